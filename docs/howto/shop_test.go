package howto_test

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// carts keeps carts in memory.
type carts struct{ sync.Map }

func (c *carts) Take(user string) ([]string, error) {
	items, _ := c.LoadAndDelete(user)
	list, _ := items.([]string)
	return list, nil
}

func (c *carts) Keep(user string, items []string) error {
	c.Store(user, items)
	return nil
}

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
	r := howto.Shop(memstore.New(), new(carts), func(string, []string) error {
		if failure == nil {
			orders.Add(1)
		}
		return failure
	})
	visitor := sessionkittest.Visitor(t, r)
	w := visitor.Post("/cart", form("item", "tea"))
	assert.Contains(t, w.Header().Get("Set-Cookie"), "Max-Age=")
	atOnce(20, func() { visitor.Post("/cart", form("item", "cake")) })
	items, _ := sessionkittest.Value(visitor, howto.Cart)
	assert.Len(t, items, 21, "no tab has lost what another added")
	assert.Equal(t, "/login?next=%2Fcart&reason=not-signed-in", visitor.Post("/order", nil).Header().Get("Location"))

	visitor.Post("/login", form("user", "42"))
	items, _ = sessionkittest.Value(visitor, howto.Cart)
	assert.Len(t, items, 21)
	failure = errors.New("the bank is out of order")
	visitor.Post("/order", nil)
	assert.Equal(t, []sessionkit.FlashMessage{{Level: sessionkit.Error, Text: "The order failed. Please try again."}}, visitor.Flashes())
	items, _ = sessionkittest.Value(visitor, howto.Cart)
	assert.Len(t, items, 21)
	failure = nil
	atOnce(20, func() { assert.Equal(t, http.StatusSeeOther, visitor.Post("/order", nil).Code) })
	assert.EqualValues(t, 1, orders.Load(), "a double click orders once")

	visitor.Post("/cart", form("item", "pot"))
	visitor.Post("/logout", nil)
	_, ok := sessionkittest.Value(visitor, howto.Cart)
	assert.False(t, ok)
	visitor.Post("/cart", form("item", "cup"))
	visitor.Post("/login", form("user", "42"))
	items, _ = sessionkittest.Value(visitor, howto.Cart)
	assert.Equal(t, []string{"pot", "cup"}, items, "the carts are one")
}
