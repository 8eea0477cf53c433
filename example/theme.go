package main

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// theme is a cookie of its own, so that it outlives the session.
var theme = sessionkit.NewCookie[string]("theme", sessionkit.CookieOptions{MaxAge: 365 * 24 * time.Hour})

const (
	light = "light"
	dark  = "dark"
)

// chosenTheme returns the visitor's theme. A cookie can hold anything: what is no
// theme is as good as none.
func chosenTheme(c *gin.Context) string {
	if chosen, err := theme.Get(c); err == nil && chosen == dark {
		return dark
	}
	return light
}

func setTheme(c *gin.Context) {
	chosen := c.PostForm("theme")
	if chosen != light && chosen != dark {
		refuse(c, http.StatusUnprocessableEntity, "The theme is light or dark.")
		return
	}
	if err := theme.Set(c, chosen); err != nil {
		panic(err) // it is short, the response has not begun, and no secret is needed
	}
	c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/"))
}
