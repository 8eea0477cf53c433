// Package sessionkittest is for the tests of applications on sessionkit: requests
// of a user who is signed in, a look into the session afterwards, and a store that
// fails when it is told to.
//
//	func TestCart(t *testing.T) {
//		client := sessionkittest.As(t, newRouter(), "42", sessionkittest.With(Cart, []Item{{"tea"}}))
//		w := client.Post("/cart", url.Values{"item": {"cake"}})
//
//		assert.Equal(t, http.StatusSeeOther, w.Code)
//		items, _ := sessionkittest.Value(client, Cart)
//		assert.Equal(t, []Item{{"tea"}, {"cake"}}, items)
//		assert.Equal(t, "Added", client.Flashes()[0].Text)
//	}
//
// The router is the application's own, with any store and any Config: nothing of
// it is replaced, its login page is not needed, and no password is hashed. If several
// sessionkit.Sessions stand one behind the other, the session is that of the first.
//
// # Time
//
// In a bubble of testing/synctest a day passes at once. The store is store/memstore
// or [NewStore] there, made inside the bubble.
//
//	func TestSessionEnds(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			client := sessionkittest.As(t, newRouter(), "42")
//			time.Sleep(2 * time.Hour)
//			assert.Equal(t, http.StatusUnauthorized, client.Get("/account").Code)
//		})
//	}
package sessionkittest

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
)

// An Option adjusts a client: [With] and [At].
type Option func(*Client)

// With has the session hold a value.
func With[T any](key sessionkit.Key[T], value T) Option {
	return func(c *Client) {
		c.begin = append(c.begin, func(gc *gin.Context) { key.Set(gc, value) })
	}
}

// At sets where the client finds the application: a scheme and a host. Default:
// "https://example.com".
func At(url string) Option {
	return func(c *Client) { c.site = url }
}

// As returns a client who is signed in as user, with a session made by the
// router's own middleware, and fails the test where that cannot be done.
//
// If sessionkit.Sessions does not stand before all routes but on a group, the
// sign-in happens right before the client's first request to one of the group.
func As(tb testing.TB, router http.Handler, user string, options ...Option) *Client {
	tb.Helper()
	return newClient(tb, router, options, func(gc *gin.Context) { sessionkit.Login(gc, user) })
}

// Visitor returns a client who is not signed in. It has no session unless an
// option puts something into one.
func Visitor(tb testing.TB, router http.Handler, options ...Option) *Client {
	tb.Helper()
	return newClient(tb, router, options)
}

// Value returns a value of the client's session. ok is false if there is none.
func Value[T any](c *Client, key sessionkit.Key[T]) (value T, ok bool) {
	c.tb.Helper()
	c.look(func(gc *gin.Context) { value, ok = key.Get(gc) })
	return value, ok
}
