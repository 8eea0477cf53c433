package sessionkit_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// newTokenSite returns an application for browsers and for clients without cookies.
func newTokenSite(s sessions.Store, header string) *site {
	a := newSite(s, sessionkit.Config{TokenHeader: header, ClearSiteData: []string{"cache"}})
	a.POST("/login", signIn("42"))
	a.POST("/renew", sessionkit.Renew)
	a.POST("/logout", sessionkit.Logout)
	a.POST("/set", increment)
	a.on("/", whoami)
	a.on("/count", showCount)
	a.on("/account", sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}), whoami)
	return a
}

// call sends a request as a client without cookies does, from another origin. It
// returns the token that came back.
func call(t *testing.T, a http.Handler, method, path, header, token string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://example.com"+path, nil)
	r.Header.Set(header, token)
	r.Header.Set("Origin", "https://elsewhere.example")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	assert.Empty(t, w.Header()["Set-Cookie"], "cookies are out of the way")
	assert.Empty(t, w.Header()["Clear-Site-Data"])
	return w, w.Header().Get(header)
}

func TestToken(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		const header, ask = "Authorization", "Bearer"
		a := newTokenSite(s, header)
		w, none := call(t, a, http.MethodGet, "/account", header, ask)
		assert.Equal(t, http.StatusUnauthorized, w.Code)
		assert.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
		assert.Empty(t, none, "who stores nothing gets no session")

		w, first := call(t, a, http.MethodPost, "/login", header, ask)
		require.Equal(t, http.StatusOK, w.Code)
		require.True(t, strings.HasPrefix(first, "Bearer ") && len(first) > 40, first)
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		assert.Equal(t, []string{"Cookie, Authorization"}, w.Header()["Vary"])

		w, same := call(t, a, http.MethodGet, "/account", header, first)
		assert.Equal(t, "42", w.Body.String())
		assert.Empty(t, same)
		current := first
		w, next := call(t, a, http.MethodPost, "/set", header, strings.Replace(first, "Bearer", "bearer", 1))
		assert.Equal(t, http.StatusNoContent, w.Code)
		if next != "" { // a store that keeps the session in what the client holds
			current = next
		}
		w, _ = call(t, a, http.MethodGet, "/count", header, current)
		assert.JSONEq(t, `{"n": 1, "ok": true}`, w.Body.String())

		w, renewed := call(t, a, http.MethodPost, "/renew", header, current)
		assert.Equal(t, http.StatusOK, w.Code)
		require.NotEqual(t, current, renewed)
		w, _ = call(t, a, http.MethodGet, "/", header, renewed)
		assert.Equal(t, "42", w.Body.String())

		w, none = call(t, a, http.MethodPost, "/logout", header, renewed)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Empty(t, none)
	})
}

func TestTokenOpensOneSession(t *testing.T) {
	const header = "Authorization"
	a := newTokenSite(memstore.New(), header)
	_, old := call(t, a, http.MethodPost, "/login", header, "Bearer")
	_, token := call(t, a, http.MethodPost, "/renew", header, old)
	secret := strings.TrimPrefix(token, "Bearer ")
	for name, value := range map[string]string{
		"dead after a renewal": old, "of another scheme": "Basic " + secret, "without its scheme": secret,
		"cut short": token[:len(token)-1], "with more": token + "A", "made up": "Bearer " + strings.Repeat("A", 43),
		"two": token + ", " + token, "empty": "",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/account", nil)
		r.Header.Set(header, value)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		assert.Equal(t, http.StatusUnauthorized, w.Code, name)
		assert.NotContains(t, w.Header(), header, "%s: a token that the server did not issue is never adopted", name)
	}
	twice := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/account", nil)
	twice.Header[header] = []string{token, token}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, twice)
	assert.Equal(t, http.StatusUnauthorized, w.Code, "two headers")

	w, _ = call(t, a, http.MethodGet, "/account", header, token)
	assert.Equal(t, "42", w.Body.String())
	b := newBrowser(t, a)
	b.cookies[sessionCookie] = secret
	assert.Equal(t, "42", b.get("/").Body.String(), "they are the same sessions")

	call(t, a, http.MethodPost, "/logout", header, token)
	w, _ = call(t, a, http.MethodGet, "/account", header, token)
	assert.Equal(t, http.StatusUnauthorized, w.Code)
}

// TestTokenLeavesBrowsersSafe: what lets a request in from another origin must not
// let in what a browser sends by itself.
func TestTokenLeavesBrowsersSafe(t *testing.T) {
	const header = "Authorization"
	a := newTokenSite(memstore.New(), header)
	b := newBrowser(t, a)
	b.post("/login", nil)
	require.Equal(t, "42", b.get("/").Body.String())

	assert.Empty(t, b.get("/", header, "Bearer").Body.String(), "a request that says it has no cookies is not known by them")
	for _, value := range []string{"Basic eDp5", "Digest username=x", "", "Bearer-ish x"} {
		w := b.post("/set", nil, header, value, "Sec-Fetch-Site", "cross-site")
		assert.Equal(t, http.StatusForbidden, w.Code, "%q", value)
		assert.Equal(t, "42", b.get("/", header, value).Body.String(), "%q: and the cookie counts", value)
	}
	without := newSite(memstore.New(), sessionkit.Config{})
	without.POST("/set", increment)
	w := newBrowser(t, without).post("/set", nil, header, "Bearer", "Sec-Fetch-Site", "cross-site")
	assert.Equal(t, http.StatusForbidden, w.Code, "where no TokenHeader is set")
}

func TestTokenInAHeaderOfYourOwn(t *testing.T) {
	const header = "X-Session-Token"
	a := newTokenSite(memstore.New(), "x-session-token")
	_, token := call(t, a, http.MethodPost, "/login", header, "")
	assert.Len(t, token, 43)
	w, _ := call(t, a, http.MethodGet, "/", header, token)
	assert.Equal(t, "42", w.Body.String())
}

func TestTokenIsGivenOutOnceSaved(t *testing.T) {
	const header = "Authorization"
	s := newBackend()
	a := newTokenSite(storeOver(s), header)
	s.failing(errors.New("down"), "create")
	w, token := call(t, a, http.MethodPost, "/login", header, "Bearer")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Empty(t, token)
}

func TestVaryNamesEachHeaderOnce(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{TokenHeader: "Authorization"}, func(c *gin.Context) { c.Header("Vary", "Accept, cookie") })
	a.on("/", whoami)
	assert.Equal(t, []string{"Accept, cookie", "Authorization"}, newBrowser(t, a).get("/").Header()["Vary"])
}

// TestCookiesBesideAToken: a request that says that it is one of a client without
// cookies, and has some all the same, may be one that another site makes a browser
// send. The application may go by cookies of its own.
func TestCookiesBesideAToken(t *testing.T) {
	const header = "Authorization"
	a := newTokenSite(memstore.New(), header)
	ran := 0
	a.POST("/", func(c *gin.Context) { ran++; c.Status(http.StatusNoContent) })
	_, token := call(t, a, http.MethodPost, "/login", header, "Bearer")
	for _, value := range []string{"Bearer", "Bearer ", "bearer x", token, "Basic eDp5", ""} {
		for _, cookie := range []string{"", "basket=7", sessionCookie + "=x"} {
			ran = 0
			b := newBrowser(t, a)
			r := b.request(http.MethodPost, "/", header, value, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
			if cookie != "" {
				r.Header.Set("Cookie", cookie)
			}
			w := b.do(r)
			if cookie == "" && strings.HasPrefix(strings.ToLower(value), "bearer") {
				assert.Equal(t, http.StatusNoContent, w.Code, value)
				assert.Equal(t, 1, ran)
				continue
			}
			assert.Equal(t, http.StatusForbidden, w.Code, "%q with %q", value, cookie)
			assert.Zero(t, ran)
		}
	}
}
