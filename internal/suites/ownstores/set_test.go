package ownstores_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

var (
	dueAt    = sessionkit.NewKey[time.Time]("due_at")
	agreed   = sessionkit.NewKey[bool]("agreed")
	anything = sessionkit.NewKey[any]("anything")
)

// setAll sets a value of each kind. A database gives them back with spaces, with the members
// of objects in another order, and with characters in place of escapes.
func setAll(c *gin.Context, n int64) {
	tickets.Set(c, n)
	cart.Set(c, []item{{"<tea>", float64(n), map[string]any{"b": 1.0, "a": nil}}})
	voucher.Set(c, fmt.Sprint("\u2028", n))
	dueAt.Set(c, time.Unix(n, 0).UTC())
	agreed.Set(c, n%2 == 0)
	anything.Set(c, map[string]any{"long": float64(n), "a": "b"})
}

// loaded reads a value, and returns a function that sets it again.
func loaded[T any](c *gin.Context, k sessionkit.Key[T]) (again func()) {
	v, _ := k.Get(c)
	return func() { k.Set(c, v) }
}

// openCounted opens a store whose updates are counted.
func openCounted(t *testing.T, name string) (p pair, backend *failingUpdates) {
	t.Helper()
	p = open(t, name, func(b store.Backend) store.Backend {
		backend = &failingUpdates{Backend: b}
		return backend
	})
	return p, backend
}

// TestSetOfWhatWasLoaded: it is no change, however the store spells what it was given. It writes
// nothing, what another request has stored meanwhile stands, and an Update goes on from that.
func TestSetOfWhatWasLoaded(t *testing.T) {
	for _, name := range allStores {
		t.Run(name, func(t *testing.T) {
			p, backend := openCounted(t, name)
			a := newCounting(t, p[1], sessionkit.Config{})
			for path, n := range map[string]int64{"/1": 1, "/2": 2} {
				a.POST(path, func(c *gin.Context) { setAll(c, n) })
			}
			for path, setUp := range map[string]gin.HandlerFunc{
				"/again":         func(*gin.Context) {},
				"/again-in-view": func(c *gin.Context) { sessions.Default(c).Get("tickets") },
			} {
				a.POST(path, setUp, func(c *gin.Context) {
					all := []func(){
						loaded(c, tickets), loaded(c, cart), loaded(c, voucher), loaded(c, dueAt), loaded(c, agreed), loaded(c, anything),
					}
					a.waits("loaded")(c)
					for _, again := range all {
						again()
					}
				})
				a.POST(path+"-and-update", setUp, func(c *gin.Context) {
					again := loaded(c, tickets)
					a.waits("loaded")(c)
					again()
					n, err := tickets.Update(c, another)
					answer(c, n, err)
				})
				b := a.browser()
				b.post("/2")
				b.post("/1") // MariaDB respells a session when it is changed
				backend.calls = 0
				b.post(path)
				assert.Zero(t, backend.calls, path)

				w := b.underWay(path, "loaded", false, func() { b.at(a).post("/2") })
				assert.Equal(t, http.StatusOK, w.Code)
				assert.Equal(t, "2", b.get("/ticket"), path)
				assert.JSONEq(t, `[{"name": "<tea>", "a_price": 2, "Notes": {"a": null, "b": 1}}]`, b.get("/cart"), path)
				assert.Equal(t, "\u20282", b.get("/values?name=voucher"), path)

				w = b.underWay(path+"-and-update", "loaded", false, func() { b.at(a).post("/ticket") })
				assert.Equal(t, int64(4), decoded[int64](t, w), path)
				assert.Equal(t, "4", b.get("/ticket"), path)
			}
		})
	}
}

// TestSetOfWhatNodeHasStored: what store.Migrate has brought from a program in JavaScript has no
// Go type. To read it changes nothing, and to set it again does not either.
func TestSetOfWhatNodeHasStored(t *testing.T) {
	for _, name := range allStores {
		t.Run(name, func(t *testing.T) {
			p, backend := openCounted(t, name)
			a := newSite(t, p[1], sessionkit.Config{})
			a.POST("/view", func(c *gin.Context) { assert.Equal(t, true, sessions.Default(c).Get("agreed")) })
			a.POST("/again", func(c *gin.Context) {
				for _, again := range []func(){loaded(c, tickets), loaded(c, cart), loaded(c, dueAt), loaded(c, agreed), loaded(c, anything)} {
					again()
				}
			})
			now := time.Now()
			token, _ := stored(t, p[1], store.Record{
				Name: "session", Created: now, Seen: now, Expires: now.Add(time.Hour),
				Values: map[string]string{
					"agreed": `["js",true]`, "tickets": `["js",7]`, "cart": `["js",[{"a_price":1.5,"name":"tea"}]]`,
					"due_at": `["js","2026-01-02T03:04:05.000Z"]`, "anything": `["js",[1]]`,
				},
			})
			b := &browser{a, token}
			b.post("/set?name=other&value=1") // MariaDB respells a session when it is changed
			backend.calls = 0
			b.post("/view")
			b.post("/again")
			assert.Zero(t, backend.calls)
		})
	}
}
