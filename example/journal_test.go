package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	main "github.com/gin-sessionkit/sessionkit/example"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestEventsOfASession(t *testing.T) {
	b := newBrowser(t)
	nothing := b.get("/events")
	assert.Contains(t, nothing.body, "you have no session")
	assert.Empty(t, nothing.Cookies())

	secret := b.post("/cart", "item", "tea").sessionCookie(t).Value
	b.signIn("alice")
	page := b.get("/events").body
	assert.Regexp(t, `(?s)POST /login.*signed-in.*User: alice.*POST /cart.*created`, page, "the latest comes first")
	assert.Equal(t, 2, strings.Count(page, `<code><strong>session</strong>=(secret); Path=/; HttpOnly; SameSite=Lax</code>`))
	assert.NotContains(t, page, secret)
}

func TestEventsFromAnotherBrowser(t *testing.T) {
	phone := newBrowser(t)
	laptop := phone.another()
	phone.signIn("alice")
	laptop.signIn("alice")
	require.Equal(t, http.StatusNoContent, laptop.post("/api/devices/revoke", "id", phone.currentDevice().ID).StatusCode)
	page := phone.get("/events").body
	assert.Contains(t, page, "From another browser")
	assert.NotContains(t, page, "rejected", "the browser has made nothing up")
	a := phone.get("/account")
	requireRedirect(t, "/login?next=%2Faccount&reason=revoked", a)
	assert.Contains(t, phone.get(a.Header.Get("Location")).body, "Your session was ended.")
	assert.NotContains(t, laptop.get("/events").body, "From another browser")
}

func TestEventsAreOfOneUser(t *testing.T) {
	b := newBrowser(t)
	b.signIn("alice")
	b.post("/logout")
	assert.Regexp(t, `(?s)signed-out.*signed-in.*User: alice`, b.get("/events").body)
	b.signIn("bob")
	page := b.get("/events").body
	assert.Contains(t, page, "User: bob")
	assert.NotContains(t, page, "alice")
	assert.NotContains(t, b.another().get("/events").body, "bob")
}

func TestEventsAreForgotten(t *testing.T) {
	b := newBrowser(t)
	b.post("/cart", "item", "tea")
	for range 25 {
		b.post("/theme", "theme", "dark")
	}
	page := b.get("/events").body
	assert.Equal(t, 20, strings.Count(page, "POST /theme"))
	assert.NotContains(t, page, "created")
	for range 1000 {
		b.another().post("/cart", "item", "tea")
	}
	assert.Contains(t, b.get("/events").body, "Nothing yet")
}

// TestEventsOfLongRequests: anybody may send a megabyte with each of many requests, and the
// journal keeps little of it.
func TestEventsOfLongRequests(t *testing.T) {
	server := httptest.NewServer(main.NewServer(memstore.New(), sessionkit.Config{}).Handler)
	t.Cleanup(server.Close)
	cookie := &http.Cookie{Name: "session", Value: strings.Repeat("A", 43)} // of no session, but with a journal
	send := func(method, path string) string {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		require.NoError(t, err)
		r.AddCookie(cookie)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return string(body)
	}
	const size = 400_000
	before := heap()
	for range 5 {
		cookie.Value = cookie.Value[1:] + "B"
		for range 10 {
			send(http.MethodGet, "/"+strings.Repeat("ä", size/6))
			send("M"+strings.Repeat("X", size), "/")
		}
	}
	assert.Less(t, heap()-before, int64(20*size), "of 100 requests")
	runtime.KeepAlive(server)

	page := send(http.MethodGet, "/events")
	assert.Contains(t, page, "expired", "its cookie has opened no session")
	assert.Contains(t, page, "GET /"+strings.Repeat("ä", 99)+"…<", "99 runes of two bytes, and the slash")
	assert.Contains(t, page, "M"+strings.Repeat("X", 19)+"… /<")
}

// heap returns how many bytes are in use.
func heap() int64 {
	for range 3 {
		runtime.GC() // more than once, for what pools keep
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
