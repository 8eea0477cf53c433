package migrations_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	_ "github.com/gin-sessionkit/sessionkit/store/express"
)

// shop is what the shop does, whichever program answers.
func shop(t *testing.T, site string) {
	t.Helper()
	b := newBrowser(t, site)
	assert.Equal(t, "/login", b.get("/account").location)
	assert.Equal(t, "/cart", b.post("/cart", "item", "tea", "amount", "2").location)
	assert.Equal(t, http.StatusBadRequest, b.post("/cart", "item", "tea", "amount", "some").status)
	assert.Equal(t, http.StatusUnauthorized, b.post("/login", "id", "7", "password", "guess").status)
	assert.Equal(t, "/account", b.post("/login", "id", "7", "password", "opensesame", "remember", "on").location)
	assert.Equal(t, "user 7", b.get("/account").body)
	assert.Equal(t, "/cart", b.post("/cart", "item", "cake", "amount", "1").location)
	assert.JSONEq(t, `[{"item":"tea","amount":2},{"item":"cake","amount":1}]`, b.get("/cart").body, "a visitor's cart stays")
	assert.Equal(t, "/cart", b.post("/logout").location)
	assert.JSONEq(t, `null`, b.get("/cart").body)
	assert.Equal(t, "/login", b.get("/account").location)
}

// routes are what a proxy sends to one program or the other.
var routes = []string{"POST /login", "POST /logout", "GET /cart", "POST /cart", "GET /account"}

// gone is set in moved when Express is.
const gone = 1 << 31

// newFront returns an origin behind which the successor answers the routes whose bit is
// set in moved, and Express the rest. When Express is gone, it is the last program.
func newFront(t *testing.T, before, during, after string) (site string, moved *atomic.Uint32) {
	t.Helper()
	moved = new(atomic.Uint32)
	to := func(site string) http.Handler {
		u, err := url.Parse(site)
		require.NoError(t, err)
		return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
		}}
	}
	node, gin, last := to(before), to(during), to(after)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if moved.Load() == gone {
			last.ServeHTTP(w, r)
			return
		}
		for i, route := range routes {
			if route == r.Method+" "+r.URL.Path && moved.Load()&(1<<i) != 0 {
				gin.ServeHTTP(w, r)
				return
			}
		}
		node.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, moved
}

// TestFromExpress moves a shop from Express, route by route.
func TestFromExpress(t *testing.T) {
	testserver.Slow(t)
	environ := []string{"REDIS=" + testserver.Redis(t).Address}
	before := testserver.Node(t, "express-before", environ...)
	during, stop := run(t, "express-after", append(environ, "EXPRESS=live")...)
	after, _ := run(t, "express-after", environ...)

	t.Run("before", func(t *testing.T) { shop(t, before) })
	site, moved := newFront(t, before, during, after)
	t.Run("during", func(t *testing.T) {
		for routes := range uint32(1 << len(routes)) {
			t.Run(fmt.Sprintf("%05b", routes), func(t *testing.T) {
				moved.Store(routes)
				shop(t, site)
			})
		}
	})
	t.Run("one person on the way", func(t *testing.T) {
		b := newBrowser(t, site)
		moved.Store(0)
		b.post("/cart", "item", "tea", "amount", "2")
		require.Equal(t, "/account", b.post("/login", "id", "7", "password", "opensesame").location)
		for i := range routes {
			moved.Store(1<<(i+1) - 1)
			assert.Equal(t, "user 7", b.get("/account").body)
			assert.JSONEq(t, `[{"item":"tea","amount":2}]`, b.get("/cart").body)
		}
		stop()
		require.True(t, b.cookie("connect.sid"))
		moved.Store(gone)
		assert.Equal(t, "user 7", b.get("/account").body)
		assert.JSONEq(t, `[{"item":"tea","amount":2}]`, b.get("/cart").body)
		assert.False(t, b.cookie("connect.sid"), "the old cookie is gone")
		assert.Equal(t, "/cart", b.post("/logout").location)
		assert.Equal(t, "/login", b.get("/account").location)
	})
	t.Run("after", func(t *testing.T) { shop(t, after) })
}
