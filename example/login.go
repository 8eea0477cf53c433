package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// loginForm is what the login page shows. The password is not part of it: it is
// never sent back.
type loginForm struct {
	Notice   string // why the page was asked for
	Confirm  string // the signed-in user, who is to confirm that it is them
	Failed   bool   // the last attempt
	User     string
	Remember bool
	Next     string
}

func showLogin(c *gin.Context) {
	reason := sessionkit.Denial(c.Query("reason"))
	form, title := loginForm{Notice: loginNotices[reason], Next: sessionkit.NextURL(c, "")}, "Sign in"
	if user, ok := sessionkit.User(c); ok && reason == sessionkit.Stale {
		form.Confirm, title = user, "Confirm it’s you"
	}
	render(c, http.StatusOK, "login", title, form)
}

// loginNotices say why the guard sent the visitor to the login page.
var loginNotices = map[sessionkit.Denial]string{
	sessionkit.Expired:     "Your session has expired. Sign in again to go on.",
	sessionkit.Revoked:     "Your session was ended. Sign in again to go on.",
	sessionkit.Stale:       "Please sign in again to continue.",
	sessionkit.Unbound:     "This browser could not prove that it is the one you signed in with. Sign in again to go on.",
	sessionkit.NotSignedIn: "Please sign in to see this page.",
}

func (a *app) logIn(c *gin.Context) {
	form := loginForm{
		User:     c.PostForm("user"),
		Remember: checked(c.PostForm("remember")),
		Next:     sessionkit.NextURL(c, ""),
	}
	if !authenticate(form.User, c.PostForm("password")) {
		form.Failed = true
		render(c, http.StatusUnauthorized, "login", "Sign in", form)
		return
	}
	if user, _ := sessionkit.User(c); user == form.User && !form.Remember {
		sessionkit.Confirm(c)
		c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account"))
		return
	}
	options := a.signInFor(form.User)
	if form.Remember {
		options = append(options, sessionkit.Remember())
	}
	sessionkit.Login(c, form.User, options...)
	sessionkit.Flash(c, sessionkit.Success, "Welcome back")
	c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account"))
}

// checked reports whether a checkbox is ticked. What it does not understand is
// not: to be remembered is what a user must have asked for.
func checked(value string) bool { return value == "on" || value == "true" || value == "1" }
