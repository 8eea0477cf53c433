package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

func logOut(c *gin.Context) {
	sessionkit.Logout(c)
	sessionkit.Flash(c, sessionkit.Info, "You are signed out.") // in a new session
	c.Redirect(http.StatusSeeOther, "/")
}

func logOutOthers(c *gin.Context) {
	if err := sessionkit.LogoutOthers(c); err != nil {
		refuse(c, http.StatusServiceUnavailable, "The other devices could not be signed out. Try again.")
		return
	}
	sessionkit.Flash(c, sessionkit.Success, "All your other devices are signed out.")
	c.Redirect(http.StatusSeeOther, "/devices")
}

func logOutEverywhere(c *gin.Context) {
	if err := sessionkit.LogoutEverywhere(c); err != nil {
		refuse(c, http.StatusServiceUnavailable, "Your devices could not be signed out. Try again.")
		return
	}
	sessionkit.Flash(c, sessionkit.Info, "You are signed out on all your devices.") // in a new session
	c.Redirect(http.StatusSeeOther, "/")
}
