package sessionkittest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// Item is what is in a cart.
type Item struct{ Name string }

var Cart = sessionkit.NewKey[[]Item]("cart")

// newShop returns the application that is tested.
func newShop(s *sessionkittest.Store) *gin.Engine {
	r := gin.New()
	r.Use(sessionkit.Sessions(s, sessionkit.Config{OnError: func(*gin.Context, error) {}}))
	account := r.Group("/account", sessionkit.RequireSession())
	account.GET("", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		items, _ := Cart.Get(c)
		c.String(http.StatusOK, "user %s has %d items", user, len(items))
	})
	account.POST("/cart", func(c *gin.Context) {
		items, _ := Cart.Get(c)
		Cart.Set(c, append(items, Item{c.PostForm("item")}))
		sessionkit.Flash(c, sessionkit.Success, "Added")
		c.Redirect(http.StatusSeeOther, "/account")
	})
	return r
}

// example stands for the *testing.T of a test.
type example struct{ testing.TB }

func (example) Helper() {}

func (example) Context() context.Context { return context.Background() }

func (example) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

var t example

// A guarded page, asked for by a user who is signed in and has a cart.
func ExampleAs() {
	router := newShop(sessionkittest.NewStore()) // or any other store

	w := sessionkittest.As(t, router, "42", sessionkittest.With(Cart, []Item{{"tea"}})).Get("/account")
	fmt.Println(w.Code, w.Body)

	w = sessionkittest.Visitor(t, router).Get("/account")
	fmt.Println(w.Code)
	// Output:
	// 200 user 42 has 1 items
	// 401
}

// What a handler left in the session.
func ExampleClient() {
	client := sessionkittest.As(t, newShop(sessionkittest.NewStore()), "42")
	w := client.Post("/account/cart", url.Values{"item": {"cake"}})
	fmt.Println(w.Code, w.Header().Get("Location"))

	items, _ := sessionkittest.Value(client, Cart)
	fmt.Println(items)
	fmt.Println(client.Flashes())
	fmt.Println(client.Session().User)
	// Output:
	// 303 /account
	// [{cake}]
	// [{success Added}]
	// 42
}

// An application that does not call sessionkit.Login yet, but says by a value of its own who is
// signed in: see Config.UserOf.
func ExampleWith() {
	router := gin.New()
	router.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{UserOf: func(values map[any]any) string {
		if id, ok := values["user_id"].(uint); ok {
			return fmt.Sprint(id)
		}
		return ""
	}}))
	router.GET("/account", func(c *gin.Context) { c.String(http.StatusOK, "user %v", sessions.Default(c).Get("user_id")) })

	client := sessionkittest.Visitor(t, router, sessionkittest.With(sessionkit.NewKey[uint]("user_id"), 7))
	fmt.Println(client.Get("/account").Body, client.Session().User == "7")
	// Output:
	// user 7 true
}

// Whatever else the session is to hold is put there from within.
func ExampleClient_Within() {
	client := sessionkittest.Visitor(t, newShop(sessionkittest.NewStore()))
	client.Within(func(c *gin.Context) {
		sessionkit.Login(c, "42", sessionkit.Remember())
		sessionkit.Flash(c, sessionkit.Info, "Hello again")
	})
	fmt.Println(client.Session().Remembered, client.Flashes())
	// Output:
	// true [{info Hello again}]
}

func ExampleNewStore() {
	store := sessionkittest.NewStore()
	client := sessionkittest.As(t, newShop(store), "42")

	store.FailWrites(errors.New("the disk is full"))
	w := client.Post("/account/cart", url.Values{"item": {"cake"}})
	fmt.Println(w.Code)

	store.FailWrites(nil)
	w = client.Get("/account")
	fmt.Println(w.Code, w.Body)
	// Output:
	// 503
	// 200 user 42 has 0 items
}

// A router whose cookies are made for plain HTTP on another host.
func ExampleAt() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{InsecureHTTP: true}))
	r.GET("/", func(c *gin.Context) { c.String(http.StatusOK, c.Request.Host) })

	client := sessionkittest.As(t, r, "42", sessionkittest.At("http://intranet.test"))
	fmt.Println(client.Get("/").Body, client.Session().User)
	// Output:
	// intranet.test 42
}
