package howto

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// RememberSignIn is a sign-in whose form has a checkbox "Keep me signed in".
func RememberSignIn(r gin.IRouter) {
	r.POST("/login", func(c *gin.Context) {
		user := c.PostForm("user") // once the password is right
		var options []sessionkit.LoginOption
		if c.PostForm("remember") == "on" {
			options = append(options, sessionkit.Remember())
		}
		sessionkit.Login(c, user, options...)
		c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/"))
	})
}
