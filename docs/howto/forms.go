package howto

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// Name is how a user wants to be called.
var Name = sessionkit.NewKey[string]("name")

// Pages adds pages for HTMX, Turbo or Inertia to the routes of an application.
func Pages(r gin.IRouter, show gin.HandlerFunc) {
	account := r.Group("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}))
	account.GET("", show)
	account.POST("/name", func(c *gin.Context) {
		name := c.PostForm("name")
		if name == "" {
			c.Data(http.StatusUnprocessableEntity, "text/html; charset=utf-8", []byte("<p>A name, please.</p>"))
			return
		}
		Name.Set(c, name)
		sessionkit.Flash(c, sessionkit.Success, "Saved")
		c.Redirect(http.StatusSeeOther, "/account") // 303: the next request is a GET
	})
}
