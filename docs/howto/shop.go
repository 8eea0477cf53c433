package howto

import (
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// Shop is a shop with carts that visitors have as well. order is called once for
// each order.
func Shop(store sessions.Store, order func(user string, items []string) error) *gin.Engine {
	r := gin.New()
	r.Use(sessionkit.Sessions(store, sessionkit.Config{VisitorFor: 30 * 24 * time.Hour})) // carts outlive the browser

	r.POST("/cart", func(c *gin.Context) {
		item := c.PostForm("item") // before Update: the body of a slow client takes its time
		add := func(items []string) []string { return append(items, item) }
		if _, err := Cart.Update(c, add); err != nil { // two tabs at the same time: both items are in
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		c.Redirect(http.StatusSeeOther, "/cart")
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

// Carts are the carts of users in a database, one for each user.
type Carts interface {
	Add(user string, items []string) error
}

// SharedCarts adds the routes of a shop whose users have one cart on all devices. The
// session holds the cart of a visitor only.
func SharedCarts(r gin.IRouter, carts Carts) {
	r.POST("/cart", func(c *gin.Context) {
		items := []string{c.PostForm("item")}
		var err error
		if user, ok := sessionkit.User(c); ok {
			err = carts.Add(user, items)
		} else {
			_, err = Cart.Update(c, func(all []string) []string { return append(all, items...) })
		}
		if err != nil {
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		c.Redirect(http.StatusSeeOther, "/cart")
	})

	r.POST("/login", func(c *gin.Context) {
		user := c.PostForm("user") // once the password is right
		items, _ := Cart.Take(c)   // a double click: one of the two requests gets the visitor's cart
		if err := carts.Add(user, items); err != nil {
			putBack := func(added []string) []string { return append(items, added...) }
			_, _ = Cart.Update(c, putBack) // if that fails too, as beside a second click that has signed in, the cart is lost
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		sessionkit.Login(c, user) // if this cannot be saved, the cart is safe all the same
		c.Redirect(http.StatusSeeOther, "/cart")
	})
}
