package main

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

type accountData struct {
	Session       sessionkit.Session
	Cart          []item
	Administrator bool
}

func showAccount(c *gin.Context) {
	s := sessionkit.Current(c)
	items, _ := cart.Get(c)
	render(c, http.StatusOK, "account", "Your account", accountData{Session: s, Cart: items, Administrator: isAdministrator(c)})
}

// stay answers the button "Stay signed in". That the request came is enough: it
// was a use of the session.
func stay(c *gin.Context) {
	c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account"))
}

// countdown tells pages how long the session will last: if it is not used, and at
// the most. Its guard is passive, so asking does not make it last longer.
func countdown(c *gin.Context) {
	s := sessionkit.Current(c)
	c.JSON(http.StatusOK, gin.H{
		"remaining_seconds": secondsUntil(s.ExpiresAt), "at_most_seconds": secondsUntil(s.EndsAt),
		"expires_at": s.ExpiresAt.UTC().Format(time.RFC3339),
	})
}

// sayEnded tells a page, in place of the guard's 401, that nobody is signed in any
// more, and why. That is the answer to its question, and no error.
func sayEnded(c *gin.Context, denial sessionkit.Denial) {
	c.JSON(http.StatusOK, gin.H{"ended": denial})
}

func secondsUntil(t time.Time) int64 {
	return int64(max(0, time.Until(t)) / time.Second)
}
