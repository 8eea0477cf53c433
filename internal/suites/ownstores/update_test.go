package ownstores_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	ginmemstore "github.com/gin-contrib/sessions/memstore"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// item is what is in a cart. Databases write its text in another way than Go does:
// the order of its fields, the form of the number, escapes.
type item struct {
	Name  string         `json:"name"`
	Price float64        `json:"a_price"`
	Notes map[string]any `json:"Notes,omitempty"`
}

var (
	tickets  = sessionkit.NewKey[int64]("tickets")
	cart     = sessionkit.NewKey[[]item]("cart")
	voucher  = sessionkit.NewKey[string]("voucher")
	vouchers = sessionkit.NewFlash[string]("vouchers")
)

func another(n int64) int64 { return n + 1 }

// newCounting adds what changes one value.
func newCounting(t *testing.T, s *store.Store, config sessionkit.Config) *site {
	t.Helper()
	a := newSite(t, s, config)
	a.POST("/ticket", func(c *gin.Context) {
		n, err := tickets.Update(c, another)
		answer(c, n, err)
	}, a.waits("after"))
	a.POST("/add", func(c *gin.Context) {
		items, err := cart.Update(c, func(items []item) []item {
			return append(items, item{c.Query("name"), 1e21, map[string]any{"b": 1.0, "a": "<ü\u2028>", "": nil}})
		})
		answer(c, len(items), err)
	})
	a.POST("/voucher", func(c *gin.Context) { voucher.Set(c, c.Query("value")); vouchers.Add(c, c.Query("value")) })
	a.POST("/take", func(c *gin.Context) {
		v, ok := voucher.Take(c)
		c.JSON(http.StatusOK, gin.H{"value": v, "ok": ok})
	})
	a.POST("/take-flash", func(c *gin.Context) { c.JSON(http.StatusOK, vouchers.Take(c)) })
	a.GET("/ticket", func(c *gin.Context) {
		n, _ := tickets.Get(c)
		c.JSON(http.StatusOK, n)
	})
	a.GET("/cart", func(c *gin.Context) {
		items, _ := cart.Get(c)
		c.JSON(http.StatusOK, items)
	})
	return a
}

// answer tells what an Update has returned; after an error the response is the
// middleware's.
func answer(c *gin.Context, v any, err error) {
	switch {
	case errors.Is(err, store.ErrEnded):
		c.String(http.StatusGone, err.Error())
	case err != nil:
		c.String(http.StatusTeapot, err.Error())
	default:
		c.JSON(http.StatusOK, v)
	}
}

func counting(t *testing.T, p pair, config sessionkit.Config) [2]*site {
	t.Helper()
	return [2]*site{newCounting(t, p[0], config), newCounting(t, p[1], config)}
}

// together makes n requests at the same time, by turns at the two nodes.
func together(b *browser, nodes [2]*site, n int, target func(i int) string) []*httptest.ResponseRecorder {
	answers := make([]*httptest.ResponseRecorder, n)
	barrier := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-barrier
			answers[i] = b.at(nodes[i%2]).do(http.MethodPost, target(i))
		})
	}
	close(barrier)
	all.Wait()
	return answers
}

func decoded[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v))
	return v
}

// TestUpdatesAtOnce: requests that change one value lose nothing of each other, and
// of a counter no two get the same number.
func TestUpdatesAtOnce(t *testing.T) {
	const parallel = 64
	each(t, func(t *testing.T, p pair) {
		nodes := counting(t, p, sessionkit.Config{})
		for _, user := range []string{"", "42"} {
			b := nodes[0].browser()
			b.post("/visit")
			if user != "" {
				b.signIn(user)
			}
			got := make(map[int64]int)
			for _, w := range together(b, nodes, parallel, func(int) string { return "/ticket" }) {
				got[decoded[int64](t, w)]++
			}
			assert.Len(t, got, parallel)
			for i, w := range together(b, nodes, parallel, func(i int) string { return fmt.Sprintf("/add?name=%d", i) }) {
				require.Equal(t, http.StatusOK, w.Code, "%d: %s", i, w.Body)
			}
			var names []string
			for _, item := range decoded[[]item](t, eventually(b.at(nodes[1]), "/cart", parallel)) {
				names = append(names, item.Name)
			}
			slices.Sort(names)
			assert.Len(t, slices.Compact(names), parallel)
			assert.Empty(t, nodes[0].errors())
			assert.Empty(t, nodes[1].errors())
		}
	})
}

// eventually asks for a list until it has so many elements: another node may hear of
// a change a moment later.
func eventually(b *browser, target string, n int) *httptest.ResponseRecorder {
	b.site.t.Helper()
	var w *httptest.ResponseRecorder
	for range 1000 {
		w = b.do(http.MethodGet, target)
		var list []any
		if json.Unmarshal(w.Body.Bytes(), &list) == nil && len(list) == n {
			break
		}
	}
	return w
}

// TestTakesAtOnce: one request gets it.
func TestTakesAtOnce(t *testing.T) {
	const parallel = 64
	each(t, func(t *testing.T, p pair) {
		nodes := counting(t, p, sessionkit.Config{})
		for range rounds(3, 30) {
			b := nodes[0].browser()
			b.post("/voucher?value=v")
			type taken struct {
				Value string
				OK    bool
			}
			got := 0
			for _, w := range together(b, nodes, parallel, func(int) string { return "/take" }) {
				if v := decoded[taken](t, w); v.OK {
					got++
					assert.Equal(t, "v", v.Value)
				}
			}
			assert.Equal(t, 1, got)
			b.post("/voucher?value=w")
			var flashes []string
			for _, w := range together(b, nodes, parallel, func(int) string { return "/take-flash" }) {
				flashes = append(flashes, decoded[[]string](t, w)...)
			}
			assert.Equal(t, []string{"v", "w"}, flashes, "of one request")
		}
	})
}

// TestTakesAgainstAdds: each typed flash is taken once, whenever it is added.
func TestTakesAgainstAdds(t *testing.T) {
	const parallel = 64
	each(t, func(t *testing.T, p pair) {
		nodes := counting(t, p, sessionkit.Config{})
		for range rounds(3, 30) {
			b := nodes[0].browser()
			b.post("/voucher?value=first")
			added, taken := []string{"first"}, []string{}
			for i, w := range together(b, nodes, parallel, func(i int) string {
				return [...]string{"/take-flash", fmt.Sprintf("/voucher?value=%d", i)}[i%2]
			}) {
				require.Less(t, w.Code, http.StatusMultipleChoices, w.Body)
				if i%2 == 0 {
					taken = append(taken, decoded[[]string](t, w)...)
				} else {
					added = append(added, strconv.Itoa(i))
				}
			}
			last := b.at(nodes[1]) // it has added them: the other node hears of it a moment later
			taken = append(taken, decoded[[]string](t, last.do(http.MethodPost, "/take-flash"))...)
			assert.ElementsMatch(t, added, taken)
			assert.Equal(t, "null", last.do(http.MethodPost, "/take-flash").Body.String())
		}
	})
}

// TestTakeInAStream: a stream finds what came after its request began, also if the session has
// another ID since. It gets each value once, and none that another request has taken.
func TestTakeInAStream(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		for _, user := range []string{"", "42"} {
			nodes := counting(t, p, sessionkit.Config{})
			steps, done := make(chan gin.HandlerFunc), make(chan struct{})
			nodes[0].GET("/stream", func(c *gin.Context) {
				c.Writer.Flush()
				for step := range steps {
					step(c)
					done <- struct{}{}
				}
			})
			b := nodes[1].browser()
			b.post("/visit")
			if user != "" {
				b.signIn(user)
			}
			code := make(chan int)
			stream := b.at(nodes[0])
			go func() { code <- stream.do(http.MethodGet, "/stream").Code }()
			do := func(step gin.HandlerFunc) { steps <- step; <-done }
			taken := func() (v string, ok bool) {
				do(func(c *gin.Context) { v, ok = voucher.Take(c) })
				return v, ok
			}
			flashed := func() (list []string) {
				do(func(c *gin.Context) { list = vouchers.Take(c) })
				return list
			}
			put := func(value string) {
				_, err := voucher.UpdateIn(t.Context(), p[1], b.id(), func(string) string { return value })
				require.NoError(t, err)
			}
			_, ok := taken()
			assert.False(t, ok)
			for _, value := range []string{"first", "second"} {
				put(value)
				got, _ := taken()
				assert.Equal(t, value, got)
				_, ok = taken()
				assert.False(t, ok)
			}
			b.post("/voucher?value=flash")
			assert.Equal(t, []string{"flash"}, flashed())
			assert.Empty(t, flashed())
			got, _ := taken()
			assert.Equal(t, "flash", got)

			put("another's")
			b.post("/take")
			_, ok = taken()
			assert.False(t, ok, "another request has taken it")
			if user != "" {
				b.post("/renew")
				put("renewed")
				got, _ = taken()
				assert.Equal(t, "renewed", got)
			}
			do(func(c *gin.Context) {
				_, err := voucher.Update(c, func(string) string { return "own" })
				assert.NoError(t, err)
				voucher.Delete(c)
			})
			_, ok = taken()
			assert.False(t, ok, "this request has deleted it")

			b.post("/logout")
			_, ok = taken()
			assert.False(t, ok)
			close(steps)
			assert.Equal(t, http.StatusOK, <-code)
		}
	})
}

// TestManyUpdatesOverRedis: each of very many gets its turn within the timeout of the
// store.
func TestManyUpdatesOverRedis(t *testing.T) {
	const parallel = 256
	on(t, []string{redisCached, redisDirect}, func(t *testing.T, p pair) {
		nodes := counting(t, p, sessionkit.Config{})
		b := nodes[0].browser().signIn("42")
		got := make(map[int64]int)
		for _, w := range together(b, nodes, parallel, func(int) string { return "/ticket" }) {
			got[decoded[int64](t, w)]++
		}
		assert.Len(t, got, parallel)
	})
}

// TestUpdateAndTheSessionsLife: whatever becomes of the session in the same request
// or in another, an update is either kept or told to have failed, and none is applied
// to the session of another user.
func TestUpdateAndTheSessionsLife(t *testing.T) {
	ticket := func(c *gin.Context) {
		_, err := tickets.Update(c, another)
		if err != nil {
			c.Header("X-Error", err.Error())
		}
	}
	login := func(user string) gin.HandlerFunc { return func(c *gin.Context) { sessionkit.Login(c, user) } }
	show := func(c *gin.Context) {
		n, _ := tickets.Get(c)
		user, _ := sessionkit.User(c)
		c.JSON(http.StatusOK, gin.H{"n": n, "user": user})
	}
	steps := map[string][]gin.HandlerFunc{
		"/update, login":             {ticket, login("42")},
		"/login, update":             {login("42"), ticket},
		"/update, login, update":     {ticket, login("42"), ticket},
		"/login as another, update":  {login("43"), ticket},
		"/update, login as another":  {ticket, login("43")},
		"/update, logout":            {ticket, sessionkit.Logout},
		"/logout, update":            {sessionkit.Logout, ticket},
		"/update, renew":             {ticket, sessionkit.Renew},
		"/renew, update":             {sessionkit.Renew, ticket},
		"/update, confirm, update":   {ticket, sessionkit.Confirm, ticket},
		"/set, update":               {func(c *gin.Context) { tickets.Set(c, 100) }, ticket},
		"/update, set":               {ticket, func(c *gin.Context) { tickets.Set(c, 100) }},
		"/delete, update":            {func(c *gin.Context) { tickets.Delete(c) }, ticket},
		"/update, delete":            {ticket, func(c *gin.Context) { tickets.Delete(c) }},
		"/take, update":              {func(c *gin.Context) { tickets.Take(c) }, ticket},
		"/update, take":              {ticket, func(c *gin.Context) { tickets.Take(c) }},
		"/update, other value, show": {ticket, func(c *gin.Context) { voucher.Set(c, "x") }},
	}
	// What is shown within the request and by the next one, by who was there before:
	// nobody with no session, a visitor with n=10, and user 42 with n=10.
	want := map[string][3]string{
		"/update, login":             {`{"n":1,"user":"42"}`, `{"n":11,"user":"42"}`, `{"n":11,"user":"42"}`},
		"/login, update":             {`{"n":1,"user":"42"}`, `{"n":11,"user":"42"}`, `{"n":11,"user":"42"}`},
		"/update, login, update":     {`{"n":2,"user":"42"}`, `{"n":12,"user":"42"}`, `{"n":12,"user":"42"}`},
		"/login as another, update":  {`{"n":1,"user":"43"}`, `{"n":11,"user":"43"}`, `{"n":1,"user":"43"}`},
		"/update, login as another":  {`{"n":1,"user":"43"}`, `{"n":11,"user":"43"}`, `{"n":0,"user":"43"}`},
		"/update, logout":            {`{"n":0,"user":""}`, `{"n":0,"user":""}`, `{"n":0,"user":""}`},
		"/logout, update":            {`{"n":1,"user":""}`, `{"n":1,"user":""}`, `{"n":1,"user":""}`},
		"/update, renew":             {`{"n":1,"user":""}`, `{"n":11,"user":""}`, `{"n":11,"user":"42"}`},
		"/renew, update":             {`{"n":1,"user":""}`, `{"n":11,"user":""}`, `{"n":11,"user":"42"}`},
		"/update, confirm, update":   {`{"n":2,"user":""}`, `{"n":12,"user":""}`, `{"n":12,"user":"42"}`},
		"/set, update":               {`{"n":101,"user":""}`, `{"n":101,"user":""}`, `{"n":101,"user":"42"}`},
		"/update, set":               {`{"n":100,"user":""}`, `{"n":100,"user":""}`, `{"n":100,"user":"42"}`},
		"/delete, update":            {`{"n":1,"user":""}`, `{"n":1,"user":""}`, `{"n":1,"user":"42"}`},
		"/update, delete":            {`{"n":0,"user":""}`, `{"n":0,"user":""}`, `{"n":0,"user":"42"}`},
		"/take, update":              {`{"n":1,"user":""}`, `{"n":1,"user":""}`, `{"n":1,"user":"42"}`},
		"/update, take":              {`{"n":0,"user":""}`, `{"n":0,"user":""}`, `{"n":0,"user":"42"}`},
		"/update, other value, show": {`{"n":1,"user":""}`, `{"n":11,"user":""}`, `{"n":11,"user":"42"}`},
	}
	each(t, func(t *testing.T, p pair) {
		a := newCounting(t, p[0], sessionkit.Config{})
		for path, handlers := range steps {
			a.POST(strings.NewReplacer(", ", "-", " ", "-").Replace(path), append(handlers, show)...)
		}
		a.POST("/ten", func(c *gin.Context) { tickets.Set(c, 10) })
		a.GET("/show", show)
		for path := range steps {
			for i, before := range []func(b *browser){func(*browser) {}, func(b *browser) { b.post("/ten") }, func(b *browser) { b.signIn("42").post("/ten") }} {
				b := a.browser()
				before(b)
				other := b.at(a)
				w := b.do(http.MethodPost, strings.NewReplacer(", ", "-", " ", "-").Replace(path))
				require.Equal(t, http.StatusOK, w.Code, "%s %s %v", path, w.Body, a.errors())
				assert.Empty(t, w.Header().Get("X-Error"), path)
				assert.JSONEq(t, want[path][i], w.Body.String(), "%s, in the request", path)
				assert.JSONEq(t, want[path][i], b.get("/show"), "%s, in the next one", path)
				if b.cookie != other.cookie && i > 0 {
					assert.NotContains(t, other.get("/show"), `"n":1`, "%s: the old cookie opens nothing", path)
				}
			}
		}
	})
}

// TestUpdateAgainstOthers: what another request does to the session meanwhile.
func TestUpdateAgainstOthers(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		for _, test := range []struct {
			name  string
			other func(b *browser)
			ended bool
		}{
			{"renew", func(b *browser) { b.post("/renew") }, false},
			{"confirm", func(b *browser) { b.post("/confirm") }, false},
			{"renew twice", func(b *browser) { b.post("/renew"); b.post("/renew") }, false},
			{"another update", func(b *browser) { b.post("/ticket") }, false},
			{"logout", func(b *browser) { b.post("/logout") }, true},
			{"login as another", func(b *browser) { b.signIn("43") }, true},
			{"revocation", func(b *browser) {
				_, err := b.site.store.RevokeAll(t.Context(), "42")
				require.NoError(t, err)
			}, true},
			{"MaxSessions", func(b *browser) { b.site.browser().signIn("42"); b.site.browser().signIn("42") }, true},
		} {
			nodes := counting(t, p, sessionkit.Config{MaxSessions: 2})
			var under error
			nodes[1].POST("/under", nodes[1].waits("inside"), func(c *gin.Context) {
				var n int64
				n, under = tickets.Update(c, another)
				c.JSON(http.StatusOK, n)
			})
			b := nodes[0].browser().signIn("42")
			b.post("/ticket")
			late := b.at(nodes[1])
			w := late.underWay("/under", "inside", true, func() { test.other(b) })
			assert.Equal(t, http.StatusOK, w.Code, "%s: %v", test.name, nodes[1].errors())
			if !test.ended {
				require.NoError(t, under, test.name)
				want := decoded[int64](t, w)
				assert.Equal(t, want, decoded[int64](t, b.at(nodes[1]).do(http.MethodGet, "/ticket")), test.name)
			} else {
				require.ErrorIs(t, under, store.ErrEnded, test.name)
				assert.Equal(t, int64(0), decoded[int64](t, w), test.name)
				_, set := sessionCookie(w)
				assert.False(t, set, test.name)
			}
			_, err := p[0].RevokeAll(t.Context(), "42")
			require.NoError(t, err)
			_, err = p[0].RevokeAll(t.Context(), "43")
			require.NoError(t, err)
		}
	})
}

// TestUpdateOfASessionThatMoves: of updates at the same time one moves it, and all
// are kept.
func TestUpdateOfASessionThatMoves(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		from := ginmemstore.NewStore([]byte("0123456789abcdef0123456789abcdef"))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/", nil)
		session, err := from.New(r, "old")
		require.NoError(t, err)
		session.Values["user_id"] = "42"
		w := httptest.NewRecorder()
		require.NoError(t, session.Save(r, w))
		old, err := http.ParseSetCookie(w.Header().Get("Set-Cookie"))
		require.NoError(t, err)
		var nodes [2]http.Handler
		for i := range nodes {
			r := gin.New()
			r.Use(sessionkit.Sessions(store.Migrate(from, p[i], "old", func(values map[any]any) string {
				id, _ := values["user_id"].(string)
				return id
			}), sessionkit.Config{OnError: func(_ *gin.Context, err error) { t.Error(err) }}))
			r.POST("/ticket", func(c *gin.Context) {
				n, err := tickets.Update(c, another)
				assert.NoError(t, err)
				user, _ := sessionkit.User(c)
				c.JSON(http.StatusOK, gin.H{"n": n, "user": user})
			})
			nodes[i] = r
		}
		const parallel = 16
		var mu sync.Mutex
		got := make(map[int64]bool)
		var all sync.WaitGroup
		for i := range parallel {
			all.Go(func() {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://example.com/ticket", nil)
				r.AddCookie(&http.Cookie{Name: old.Name, Value: old.Value})
				w := httptest.NewRecorder()
				nodes[i%2].ServeHTTP(w, r)
				var v struct {
					N    int64
					User string
				}
				assert.NoError(t, json.Unmarshal(w.Body.Bytes(), &v), w.Body.String())
				assert.Equal(t, "42", v.User)
				mu.Lock()
				defer mu.Unlock()
				got[v.N] = true
			})
		}
		all.Wait()
		assert.Len(t, got, parallel)
		assert.Len(t, list(t, p[0], "42"), 1)
	})
}

// TestUpdateIsDoneWhenItReturns: a panic does not undo it, the commit has nothing left
// to write, and a failure changes nothing.
func TestUpdateIsDoneWhenItReturns(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		a := newCounting(t, p[0], sessionkit.Config{})
		unstorable := sessionkit.NewKey[any]("any")
		a.Use(gin.RecoveryWithWriter(io.Discard))
		a.POST("/panics-after", func(c *gin.Context) {
			_, err := tickets.Update(c, another)
			assert.NoError(t, err)
			n, ok := tickets.Get(c)
			assert.True(t, ok)
			assert.Equal(t, int64(2), n, "a Get in the same request sees it")
			voucher.Set(c, "is not saved")
			panic("oops")
		})
		a.POST("/panics-inside", func(c *gin.Context) {
			_, _ = tickets.Update(c, func(int64) int64 { panic("oops") })
		})
		a.POST("/large", func(c *gin.Context) {
			_, err := voucher.Update(c, func(string) string { return strings.Repeat("x", 2<<20) })
			require.ErrorIs(t, err, store.ErrTooLarge)
			c.Status(http.StatusRequestEntityTooLarge)
		})
		a.POST("/unstorable", func(c *gin.Context) {
			_, err := unstorable.Update(c, func(any) any { return func() {} })
			require.Error(t, err)
			c.Status(http.StatusUnprocessableEntity)
		})
		a.POST("/other-type", func(c *gin.Context) {
			sum, err := sessionkit.NewKey[float64]("tickets").Update(c, func(f float64) float64 { return f + 0.5 })
			assert.NoError(t, err)
			assert.InDelta(t, 0.5, sum, 0, "what is no T counts as none")
		})
		b := a.browser().signIn("42")
		b.post("/ticket")
		assert.Equal(t, http.StatusInternalServerError, b.do(http.MethodPost, "/panics-after").Code)
		assert.Equal(t, "2", b.get("/ticket"))
		assert.Empty(t, b.get("/values?name=voucher"))
		assert.Equal(t, http.StatusInternalServerError, b.do(http.MethodPost, "/panics-inside").Code)
		assert.Equal(t, "2", b.get("/ticket"))
		b.post("/voucher?value=kept")
		assert.Equal(t, http.StatusRequestEntityTooLarge, b.do(http.MethodPost, "/large").Code, "%v", a.errors())
		assert.Equal(t, http.StatusUnprocessableEntity, b.do(http.MethodPost, "/unstorable").Code)
		assert.Equal(t, "kept", b.get("/values?name=voucher"))
		b.post("/other-type")
		assert.Equal(t, "0", b.get("/ticket"), "the value has another type now")
	})
}

// failingUpdates is a backend that fails when it is to change something.
type failingUpdates struct {
	store.Backend

	mu    sync.Mutex
	err   error
	calls int
}

func (b *failingUpdates) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	b.mu.Lock()
	b.calls++
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return store.Outcome{}, err
	}
	return b.Backend.Update(ctx, id, c)
}

// TestUpdateThatFails: nothing has changed, and the response says so.
func TestUpdateThatFails(t *testing.T) {
	down := errors.New("down")
	for _, name := range allStores {
		t.Run(name, func(t *testing.T) {
			var backends []*failingUpdates
			p := open(t, name, func(b store.Backend) store.Backend {
				backends = append(backends, &failingUpdates{Backend: b})
				return backends[len(backends)-1]
			})
			backend := backends[0]
			a := newCounting(t, p[0], sessionkit.Config{})
			var got error
			a.POST("/try", func(c *gin.Context) {
				_, got = tickets.Update(c, another)
				c.String(http.StatusOK, "done")
			})
			b := a.browser().signIn("42")
			b.post("/ticket")
			backend.mu.Lock()
			backend.calls = 0
			backend.mu.Unlock()
			b.post("/ticket")
			assert.Equal(t, 1, backend.calls, "one step in the store, and none is left for the commit")
			backend.err = down
			w := b.do(http.MethodPost, "/try")
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.ErrorIs(t, got, down)
			backend.err = nil
			assert.Equal(t, "2", b.get("/ticket"))
		})
	}
}
