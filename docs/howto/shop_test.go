package howto_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// atOnce calls f n times at the same time.
func atOnce(n int, f func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(f)
	}
	all.Wait()
}

func TestShop(t *testing.T) {
	var orders atomic.Int64
	var failure error
	r := howto.Shop(memstore.New(), func(string, []string) error {
		if failure == nil {
			orders.Add(1)
		}
		return failure
	})
	visitor := sessionkittest.Visitor(t, r)
	w := visitor.Post("/cart", form("item", "tea"))
	assert.Contains(t, w.Header().Get("Set-Cookie"), "Max-Age=2678400", "30 days and one")
	atOnce(20, func() { visitor.Post("/cart", form("item", "cake")) })
	items, _ := sessionkittest.Value(visitor, howto.Cart)
	assert.Len(t, items, 21, "no tab has lost what another added")
	assert.Equal(t, "/login?next=%2Fcart&reason=not-signed-in", visitor.Post("/order", nil).Header().Get("Location"))

	visitor.Within(func(c *gin.Context) { sessionkit.Login(c, "42") })
	items, _ = sessionkittest.Value(visitor, howto.Cart)
	assert.Len(t, items, 21, "the visitor's cart stays")
	failure = errors.New("the bank is out of order")
	visitor.Post("/order", nil)
	assert.Equal(t, []sessionkit.FlashMessage{{Level: sessionkit.Error, Text: "The order failed. Please try again."}}, visitor.Flashes())
	items, _ = sessionkittest.Value(visitor, howto.Cart)
	assert.Len(t, items, 21)
	failure = nil
	atOnce(20, func() { assert.Equal(t, http.StatusSeeOther, visitor.Post("/order", nil).Code) })
	assert.EqualValues(t, 1, orders.Load(), "a double click orders once")

	visitor.Post("/cart", form("item", "pot"))
	visitor.Within(func(c *gin.Context) { sessionkit.Logout(c) })
	_, ok := sessionkittest.Value(visitor, howto.Cart)
	assert.False(t, ok)
}

// TestCartByADoubleClick: the login page of the document keeps the cart of a visitor who signs
// in by a double click.
func TestCartByADoubleClick(t *testing.T) {
	page, err := os.ReadFile("testdata/login.html")
	require.NoError(t, err)
	r := howto.Shop(memstore.New(), nil)
	howto.RememberSignIn(r)
	r.GET("/begin", func(c *gin.Context) { howto.Cart.Set(c, []string{"tea"}) })
	r.GET("/login", html("<!doctype html><title>Sign in</title>"+string(page)))
	r.GET("/cart", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		items, _ := howto.Cart.Get(c)
		c.String(http.StatusOK, "%s has %v", user, items)
	})
	b := doubleClick(t, r, "/login?next=/cart")
	assert.Equal(t, "42 has [tea]", b.text())
}

// carts keeps carts in memory, and fails when it is told to.
type carts struct {
	mu    sync.Mutex
	of    map[string][]string
	fails error
	added func() // called after each Add that succeeds
}

func newCarts() *carts { return &carts{of: make(map[string][]string), added: func() {}} }

func (c *carts) Add(user string, items []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails != nil {
		return c.fails
	}
	c.of[user] = append(c.of[user], items...)
	c.added()
	return nil
}

// newSharedShop returns a shop with one cart per user, and a visitor who has tea.
func newSharedShop(t *testing.T) (*carts, *sessionkittest.Store, *gin.Engine, *sessionkittest.Client) {
	t.Helper()
	all, s, r := newCarts(), sessionkittest.NewStore(), gin.New()
	r.Use(sessionkit.Sessions(s, sessionkit.Config{OnError: func(*gin.Context, error) {}}))
	howto.SharedCarts(r, all)
	r.POST("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	visitor := sessionkittest.Visitor(t, r)
	assert.Equal(t, http.StatusSeeOther, visitor.Post("/cart", form("item", "tea")).Code)
	return all, s, r, visitor
}

func TestSharedCarts(t *testing.T) {
	all, _, r, laptop := newSharedShop(t)
	assert.Empty(t, all.of)
	laptop.Post("/login", form("user", "42"))
	phone := sessionkittest.As(t, r, "42")
	phone.Post("/cart", form("item", "pot"))
	laptop.Post("/logout", nil)
	laptop.Post("/cart", form("item", "cup"))
	laptop.Post("/login", form("user", "42"))
	laptop.Post("/login", form("user", "42"))
	assert.Equal(t, []string{"tea", "pot", "cup"}, all.of["42"])
}

// TestSharedCartsOutOfOrder: whatever fails at a sign-in, the cart is in one place.
func TestSharedCartsOutOfOrder(t *testing.T) {
	outOfOrder := errors.New("out of order")
	signIn := func(visitor *sessionkittest.Client) int { return visitor.Post("/login", form("user", "42")).Code }

	all, _, _, visitor := newSharedShop(t)
	all.fails = outOfOrder
	assert.Equal(t, http.StatusServiceUnavailable, signIn(visitor))
	items, _ := sessionkittest.Value(visitor, howto.Cart)
	assert.Equal(t, []string{"tea"}, items, "the carts of users fail: the visitor has it")
	all.fails = nil
	assert.Equal(t, http.StatusSeeOther, signIn(visitor))
	assert.Equal(t, []string{"tea"}, all.of["42"])

	all, s, _, visitor := newSharedShop(t)
	s.FailWrites(outOfOrder)
	assert.Equal(t, http.StatusServiceUnavailable, signIn(visitor))
	s.FailWrites(nil)
	items, _ = sessionkittest.Value(visitor, howto.Cart)
	assert.Equal(t, []string{"tea"}, items, "the sessions fail: the visitor has it")
	all.added = func() { s.FailWrites(outOfOrder) }
	assert.Equal(t, http.StatusServiceUnavailable, signIn(visitor))
	s.FailWrites(nil)
	_, ok := sessionkittest.Value(visitor, howto.Cart)
	assert.False(t, ok)
	assert.Equal(t, []string{"tea"}, all.of["42"], "the sign-in fails: the user has it")
	all.added = func() {}
	assert.Equal(t, http.StatusSeeOther, signIn(visitor))
	assert.Equal(t, []string{"tea"}, all.of["42"])
}

// TestSharedCartsByADoubleClick: the browser drops the response to the first click, or
// both are under way at the same time.
func TestSharedCartsByADoubleClick(t *testing.T) {
	all, _, r, visitor := newSharedShop(t)
	lost := sessionkittest.Visitor(t, r)
	site := &url.URL{Scheme: "https", Host: "example.com", Path: "/"}
	lost.Jar.SetCookies(site, visitor.Jar.Cookies(site))
	assert.Equal(t, http.StatusSeeOther, lost.Post("/login", form("user", "42")).Code)
	assert.Equal(t, http.StatusSeeOther, visitor.Post("/login", form("user", "42")).Code)
	assert.Equal(t, []string{"tea"}, all.of["42"])

	all, _, _, visitor = newSharedShop(t)
	atOnce(20, func() { visitor.Post("/login", form("user", "42")) })
	assert.Equal(t, []string{"tea"}, all.of["42"])
}
