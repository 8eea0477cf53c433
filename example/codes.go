package main

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// freshWithin is how recent the sign-in must be for what a thief of an unlocked
// device must not do. It is short so that it can be seen; 15 minutes are usual.
const freshWithin = time.Minute

// newCodes carries codes over the redirect, to be shown once: a flash of a type.
var newCodes = sessionkit.NewFlash[[]string]("codes")

func showCodes(c *gin.Context) {
	var codes []string
	for _, list := range newCodes.Take(c) {
		codes = list
	}
	render(c, http.StatusOK, "codes", "Recovery codes", codes)
}

// makeCodes makes new recovery codes. A real application would keep their hashes
// with the account.
func makeCodes(c *gin.Context) {
	const count, length = 8, 10
	codes := make([]string, count)
	for i := range codes {
		text := rand.Text()[:length]
		codes[i] = text[:length/2] + "-" + text[length/2:]
	}
	newCodes.Add(c, codes)
	sessionkit.Flash(c, sessionkit.Success, "New recovery codes are made. The old ones no longer work.")
	c.Redirect(http.StatusSeeOther, "/codes")
}
