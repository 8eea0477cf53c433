package howto

import (
	"crypto/subtle"
	"net/http"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// API is a JSON API for browsers, for programs that sign in, and for programs that
// have a key.
func API(store sessions.Store, key string) *gin.Engine {
	r := gin.New()
	r.Use(sessionkit.Sessions(store, sessionkit.Config{
		TokenHeader:      "Authorization",    // programs that sign in send a bearer token in place of the cookie
		CookielessRoutes: []string{"/jobs/"}, // programs that do not sign in have a key of their own
	}))
	r.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, "42") // once the password is right; the same for both
		c.Status(http.StatusNoContent)
	})
	api := r.Group("/api", sessionkit.RequireSession())
	api.GET("/me", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		c.JSON(http.StatusOK, gin.H{"user": user})
	})
	jobs := r.Group("/jobs", func(c *gin.Context) {
		if subtle.ConstantTimeCompare([]byte(c.GetHeader("X-Api-Key")), []byte(key)) != 1 {
			c.AbortWithStatus(http.StatusUnauthorized)
		}
	})
	jobs.POST("/report", func(c *gin.Context) { c.Status(http.StatusAccepted) })
	return r
}
