package main_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	main "github.com/gin-sessionkit/sessionkit/example"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
)

// newFailingSite returns the application on http://localhost, over a store that a test
// has fail.
func newFailingSite(t *testing.T) (site string, handler http.Handler, store *sessionkittest.Store) {
	t.Helper()
	store = sessionkittest.NewStore()
	server := httptest.NewUnstartedServer(nil)
	server.Config = main.NewServer(store, sessionkit.Config{})
	server.Start()
	t.Cleanup(func() {
		server.Close()
		assert.NoError(t, store.Close())
	})
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1), server.Config.Handler, store
}

const outOfReach = "We can’t reach your session right now. You are not signed out"

// TestOutage: while the store is down, public pages say that the session is out of reach
// and others that they are unavailable. Nobody is signed out by it.
func TestOutage(t *testing.T) {
	site, _, store := newFailingSite(t)
	b := browserOf(t, site, &http.Transport{DisableKeepAlives: true})
	visitor := browserOf(t, site, &http.Transport{DisableKeepAlives: true})
	b.signIn("alice")
	b.post("/cart", "item", "tea")
	down := errors.New("connection refused")
	store.FailReads(down)
	store.FailWrites(down)
	for _, path := range []string{"/", "/messages", "/preferences", "/events", "/login", "/source/cart.go"} {
		a := b.get(path)
		assert.Equal(t, http.StatusOK, a.StatusCode, path)
		assert.Contains(t, a.body, outOfReach, path)
		assert.NotContains(t, a.body, `href="/login?next=`, "%s: no button that says that nobody is signed in", path)
		assert.NotContains(t, a.body, "The cart is empty.", path)
		assert.Empty(t, a.Cookies(), path)
		assert.NotContains(t, visitor.get(path).body, outOfReach, "%s: without a cookie there is nothing to reach", path)
	}
	for _, path := range []string{"/account", "/devices", "/codes", "/live"} {
		a := b.get(path)
		assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode, path)
		assert.Contains(t, a.body, "<h1>Service Unavailable</h1>", path)
		assert.Contains(t, a.body, `<nav aria-label="Main">`, "%s: in the site's own layout", path)
		assert.NotEmpty(t, a.Header.Get("Retry-After"))
		assert.Empty(t, a.Cookies(), path)
	}
	for _, path := range []string{"/cart?item=cake", "/cart/remove?item=tea", "/cart/order", "/messages?text=x&when=next", "/logout", "/devices/revoke", "/codes"} {
		path, query, _ := strings.Cut(path, "?")
		a := b.send(http.MethodPost, path, http.Header{"Accept": {"text/html"}, "Content-Type": {"application/x-www-form-urlencoded"}}, query)
		assert.GreaterOrEqual(t, a.StatusCode, 400, path)
		assert.Contains(t, a.body, `<nav aria-label="Main">`, path)
		if path != "/messages" {
			assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode, path)
		}
	}
	api := b.get("/api/me")
	assert.Equal(t, http.StatusServiceUnavailable, api.StatusCode)
	assert.Contains(t, api.body, `"reason":"unavailable"`)

	store.FailReads(nil)
	store.FailWrites(nil)
	page := b.get("/account").body
	assert.Contains(t, page, `<dd id="user">alice</dd>`)
	assert.Contains(t, page, "<span>tea</span>")
	assert.NotContains(t, page, "cake")
}

// TestPagesOfTheMiddleware: what it answers in place of a handler stands in the layout.
func TestPagesOfTheMiddleware(t *testing.T) {
	b := newBrowser(t)
	a := b.send(http.MethodPost, "/cart", http.Header{"Accept": {"text/html"}, "Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, "")
	assert.Equal(t, http.StatusForbidden, a.StatusCode)
	assert.Contains(t, a.body, "<h1>Forbidden</h1>")
	assert.Contains(t, a.body, "The request came from another site.")
	assert.Contains(t, a.body, `<nav aria-label="Main">`)
}

// TestOutageInABrowser: the store goes away between two clicks.
func TestOutageInABrowser(t *testing.T) {
	testserver.Slow(t)
	t.Parallel()
	site, _, store := newFailingSite(t)
	b := newTab(t, site)
	b.signIn("alice")
	b.open("/")
	b.click("button[value=Sencha]")
	down := errors.New("connection refused")
	store.FailReads(down)
	store.FailWrites(down)
	assert.Equal(t, http.StatusServiceUnavailable, b.click("nav [href='/devices']"))
	b.expectComplaint("503")
	assert.Equal(t, "Service Unavailable", b.text("h1"))
	b.click("nav [href='/']")
	assert.Contains(t, b.text("#unreachable"), outOfReach)
	assert.False(t, b.has("header a.button"), "no Sign in")
	assert.Equal(t, http.StatusServiceUnavailable, b.click("button[value=Assam]"))
	b.expectComplaint("503")
	store.FailReads(nil)
	store.FailWrites(nil)
	b.open("/account")
	require.Equal(t, "alice", b.text("#user"))
	assert.Contains(t, b.text("[aria-labelledby=cart]"), "Sencha")
	assert.NotContains(t, b.text("[aria-labelledby=cart]"), "Assam")
}
