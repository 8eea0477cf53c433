package howto

import (
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// Administration adds an area for administrators, which have a session of its own
// there. isAdmin says who is one.
func Administration(r *gin.Engine, store sessions.Store, isAdmin func(user string) bool) {
	admin := r.Group("/admin", sessionkit.Sessions(store, sessionkit.Config{
		Name:        "admin", // a cookie and a session of its own: in this group all calls mean that one
		IdleTimeout: 15 * time.Minute,
		Lifetime:    8 * time.Hour,
		SameSite:    http.SameSiteStrictMode,
	}))
	admin.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, c.PostForm("user")) // once the password and the second factor are right
		c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/admin"))
	})
	area := admin.Group("", sessionkit.RequireSession(sessionkit.GuardConfig{
		LoginURL: "/admin/login",
		Check: func(c *gin.Context) bool {
			user, ok := sessionkit.User(c)
			return ok && isAdmin(user) // looked up, so that a role that is taken away counts at once
		},
	}))
	area.GET("", func(c *gin.Context) { c.String(http.StatusOK, "administration") })
}

// OneSession adds what is for administrators, who sign in as everybody does.
func OneSession(r gin.IRouter, isAdmin func(user string) bool) {
	r.POST("/login", func(c *gin.Context) {
		user := c.PostForm("user")
		var options []sessionkit.LoginOption
		if isAdmin(user) {
			options = append(options, sessionkit.IdleTimeout(15*time.Minute), sessionkit.Lifetime(8*time.Hour))
		}
		sessionkit.Login(c, user, options...)
		c.Redirect(http.StatusSeeOther, "/")
	})
}
