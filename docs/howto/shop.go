package howto

import (
	"net/http"
	"slices"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// Carts keeps the carts of users for as long as they are not signed in.
type Carts interface {
	Take(user string) ([]string, error)
	Keep(user string, items []string) error
}

// Shop is a shop with carts that visitors have as well. order is called once for
// each order.
func Shop(store sessions.Store, carts Carts, order func(user string, items []string) error) *gin.Engine {
	r := gin.New()
	r.Use(sessionkit.Sessions(store, sessionkit.Config{VisitorFor: 30 * 24 * time.Hour})) // carts outlive the browser

	r.POST("/cart", func(c *gin.Context) {
		add := func(items []string) []string { return append(items, c.PostForm("item")) }
		if _, err := Cart.Update(c, add); err != nil { // two tabs at the same time: both items are in
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		c.Redirect(http.StatusSeeOther, "/cart")
	})

	r.POST("/login", func(c *gin.Context) {
		user := c.PostForm("user") // once the password is right
		kept, err := carts.Take(user)
		if err != nil {
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		sessionkit.Login(c, user) // the visitor's cart stays
		items, _ := Cart.Get(c)
		Cart.Set(c, slices.Concat(kept, items))
		c.Redirect(http.StatusSeeOther, "/cart")
	})
	r.POST("/logout", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		if items, ok := Cart.Take(c); ok && user != "" {
			if err := carts.Keep(user, items); err != nil {
				c.AbortWithStatus(http.StatusServiceUnavailable)
				return
			}
		}
		sessionkit.Logout(c)
		c.Redirect(http.StatusSeeOther, "/")
	})

	signedIn := sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login?next=/cart"})
	r.POST("/order", signedIn, func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		items, ok := Cart.Take(c) // a double click: one of the two requests gets the cart
		if !ok {
			c.Redirect(http.StatusSeeOther, "/cart")
			return
		}
		if err := order(user, items); err != nil {
			putBack := func(added []string) []string { return append(items, added...) }
			if _, err := Cart.Update(c, putBack); err != nil {
				c.AbortWithStatus(http.StatusServiceUnavailable)
				return
			}
			sessionkit.Flash(c, sessionkit.Error, "The order failed. Please try again.")
		}
		c.Redirect(http.StatusSeeOther, "/cart")
	})
	return r
}
