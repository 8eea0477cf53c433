package howto

import (
	"net/http"

	"github.com/gin-contrib/cors"
	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// Cart is what a user or a visitor is going to buy.
var Cart = sessionkit.NewKey[[]string]("cart")

// SinglePageAPI is an API for a single-page application on another origin.
func SinglePageAPI(store sessions.Store, app string) *gin.Engine {
	r := gin.New()
	r.Use(cors.New(cors.Config{ // before Sessions, so that its 403 has CORS headers too
		AllowOrigins:     []string{app}, // such as "https://app.example.com" or "http://localhost:5173"
		AllowMethods:     []string{"GET", "POST", "PUT", "PATCH", "DELETE"},
		AllowHeaders:     []string{"Content-Type"},
		AllowCredentials: true,
	}))
	r.Use(sessionkit.Sessions(store, sessionkit.Config{TrustedOrigins: []string{app}}))

	r.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, "42") // once the password is right
		c.Status(http.StatusNoContent)
	})
	api := r.Group("/api", sessionkit.RequireSession()) // no LoginURL: a script gets the 401
	api.POST("/cart", func(c *gin.Context) {
		items, err := Cart.Update(c, func(items []string) []string { return append(items, c.Query("item")) })
		if err != nil {
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		c.JSON(http.StatusOK, items)
	})
	return r
}
