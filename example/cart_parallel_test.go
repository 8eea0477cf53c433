package main_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	main "github.com/gin-sessionkit/sessionkit/example"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// onStores runs a test over stores that answer in their own time.
func onStores(t *testing.T, test func(t *testing.T, b *browser)) {
	t.Helper()
	for name, place := range map[string]func() string{
		"memory": func() string { return "memory" },
		"SQLite": func() string { return "sqlite:" + t.TempDir() + "/sessions.db" },
		"Redis":  func() string { return "redis://" + testserver.Redis(t).Address },
	} {
		t.Run(name, func(t *testing.T) {
			s, closeStore, err := main.OpenStore(place())
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, closeStore()) })
			test(t, browserOf(t, "http://localhost", handlerTransport{main.NewServer(s, sessionkit.Config{}).Handler}))
		})
	}
}

// together sends n requests at the same time.
func together(n int, send func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			send(i)
		})
	}
	close(start)
	all.Wait()
}

func TestManyAddAtOnce(t *testing.T) {
	onStores(t, func(t *testing.T, b *browser) {
		b.signIn("alice")
		together(64, func(i int) { b.post("/cart", "item", fmt.Sprint("tea ", i%16)) })
		account := b.get("/account").body
		for i := range 16 {
			assert.Contains(t, account, fmt.Sprintf("<span>tea %d × 4</span>", i))
		}
		together(16, func(i int) { b.post("/cart/remove", "item", fmt.Sprint("tea ", i)) })
		assert.Contains(t, b.get("/account").body, "The cart is empty.")
	})
}

func TestManyOrderAtOnce(t *testing.T) {
	onStores(t, func(t *testing.T, b *browser) {
		b.signIn("alice")
		for range 10 {
			b.post("/cart", "item", "tea")
			together(32, func(int) { b.post("/cart/order") })
			page := b.get("/messages").body
			assert.Equal(t, 1, strings.Count(page, "Cups on their way to you: 1"), "one request ordered")
			assert.Equal(t, 31, strings.Count(page, "There is nothing to order yet."))
		}
	})
}

// meeting has two requests both read the session before either goes on.
type meeting struct {
	store.Backend

	armed atomic.Bool
	both  chan struct{}
	met   atomic.Bool
}

func (m *meeting) Load(ctx context.Context, id string) (store.Record, bool, error) {
	r, found, err := m.Backend.Load(ctx, id)
	if m.armed.Load() {
		select { // one of them finds the other
		case m.both <- struct{}{}:
			m.met.Store(true)
		case <-m.both:
		case <-time.After(patience):
		}
	}
	return r, found, err
}

// newCountedSite returns a site, and how many orders its pages have told of.
func newCountedSite(t *testing.T, backend store.Backend) (site string, orders *atomic.Int64) {
	t.Helper()
	s := store.New(backend)
	server := httptest.NewUnstartedServer(nil)
	server.Config = main.NewServer(s, sessionkit.Config{})
	handler := server.Config.Handler
	orders = new(atomic.Int64)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := httptest.NewRecorder()
		// A message on a page whose browser has left is shown once more, and would count twice.
		handler.ServeHTTP(page, r.WithContext(context.WithoutCancel(r.Context())))
		orders.Add(int64(strings.Count(page.Body.String(), "Cups on their way to you: 1")))
		maps.Copy(w.Header(), page.Header())
		w.WriteHeader(page.Code)
		_, _ = w.Write(page.Body.Bytes()) // the browser may have left
	})
	server.Start()
	t.Cleanup(func() {
		server.Close()
		assert.NoError(t, s.Close())
	})
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1), orders
}

func TestDoubleClickOnOrder(t *testing.T) {
	t.Parallel()
	site, orders := newCountedSite(t, memstore.NewBackend())
	b := newTab(t, site)
	b.signIn("alice")
	for n := range 5 {
		b.open("/")
		b.click("button[value=Sencha]")
		at := js[[]float64](b, "(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector(`form[action='/cart/order'] button`).getBoundingClientRect())")
		b.do(chromedp.MouseClickXY(at[0], at[1]), chromedp.MouseClickXY(at[0], at[1]))
		b.waitText("[aria-labelledby=cart]", "The cart is empty.")
		b.open("/messages") // for what the second click may have left
		assert.EqualValues(t, n+1, orders.Load())
	}
}

// TestDoubleClickOnSignIn: the second click, which comes before the answer to the first one,
// sends nothing, so that the visitor's cart is the user's.
func TestDoubleClickOnSignIn(t *testing.T) {
	t.Parallel()
	arrived, clicked := make(chan struct{}, 2), make(chan struct{})
	b := newTab(t, newSiteBehind(t, func(w http.ResponseWriter, r *http.Request, application http.Handler) {
		if r.Method == http.MethodPost && r.URL.Path == "/login" {
			arrived <- struct{}{}
			<-clicked
		}
		application.ServeHTTP(w, r)
	}))
	b.open("/")
	b.click("button[value=Sencha]")
	b.open("/login")
	b.fill("#user", "bob")
	b.fill("#password", "opensesame")
	at := js[[]float64](b, "(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector(`form[action='/login'] button`).getBoundingClientRect())")
	b.do(chromedp.MouseClickXY(at[0], at[1]))
	<-arrived
	b.do(chromedp.MouseClickXY(at[0], at[1]))
	close(clicked)
	b.wait("location.pathname === '/account' && document.readyState === 'complete'")
	assert.Contains(t, b.text("[aria-labelledby=cart]"), "Sencha")
	assert.Empty(t, arrived, "another sign-in")
}

// TestTwoTabsOrder: both requests are with the server at the same time.
func TestTwoTabsOrder(t *testing.T) {
	t.Parallel()
	m := &meeting{Backend: memstore.NewBackend(), both: make(chan struct{})}
	site, orders := newCountedSite(t, m)
	b := newTab(t, site)
	b.withoutScripts() // no countdown asks meanwhile
	b.signIn("alice")
	for n := range 5 {
		b.open("/")
		b.click("button[value=Sencha]")
		m.armed.Store(true)
		js[int](b, "Promise.all([1, 2].map(() => fetch('/cart/order', {method: 'POST', redirect: 'manual'}))).then(all => all.length)")
		m.armed.Store(false)
		require.True(t, m.met.Swap(false))
		b.open("/")
		assert.EqualValues(t, n+1, orders.Load())
	}
}

// TestTwoTabsAdd: what one tab puts into the cart does not take away what another one
// does at the same time.
func TestTwoTabsAdd(t *testing.T) {
	t.Parallel()
	b := newTab(t, newSite(t, sessionkit.Config{}))
	b.signIn("alice")
	b.open("/")
	js[string](b, `Promise.all([...Array(40).keys()].map(i => fetch('/cart', {method: 'POST', redirect: 'manual',
		body: new URLSearchParams({item: i % 2 ? 'Sencha' : 'Assam'})}))).then(all => String(all.length))`)
	b.open("/")
	assert.Contains(t, b.text("[aria-labelledby=cart]"), "Sencha × 20")
	assert.Contains(t, b.text("[aria-labelledby=cart]"), "Assam × 20")
}
