package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestTokenOpensOneSession(t *testing.T) {
	const header = "Authorization"
	a := kittest.NewTokenSite(memstore.New(), header)
	_, old := kittest.Call(t, a, http.MethodPost, "/login", header, "Bearer")
	_, token := kittest.Call(t, a, http.MethodPost, "/renew", header, old)
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

	w, _ = kittest.Call(t, a, http.MethodGet, "/account", header, token)
	assert.Equal(t, "42", w.Body.String())
	b := kittest.NewBrowser(t, a)
	b.Cookies[kittest.SessionCookie] = secret
	assert.Equal(t, "42", b.Get("/").Body.String(), "they are the same sessions")

	kittest.Call(t, a, http.MethodPost, "/logout", header, token)
	w, _ = kittest.Call(t, a, http.MethodGet, "/account", header, token)
	assert.Equal(t, http.StatusUnauthorized, w.Code)
}

// TestTokenLeavesBrowsersSafe: what lets a request in from another origin must not
// let in what a browser sends by itself.
func TestTokenLeavesBrowsersSafe(t *testing.T) {
	const header = "Authorization"
	a := kittest.NewTokenSite(memstore.New(), header)
	b := kittest.NewBrowser(t, a)
	b.Post("/login", nil)
	require.Equal(t, "42", b.Get("/").Body.String())

	assert.Empty(t, b.Get("/", header, "Bearer").Body.String(), "a request that says it has no cookies is not known by them")
	for _, value := range []string{"Basic eDp5", "Digest username=x", "", "Bearer-ish x"} {
		w := b.Post("/set", nil, header, value, "Sec-Fetch-Site", "cross-site")
		assert.Equal(t, http.StatusForbidden, w.Code, "%q", value)
		assert.Equal(t, "42", b.Get("/", header, value).Body.String(), "%q: and the cookie counts", value)
	}
	without := kittest.NewSite(memstore.New(), sessionkit.Config{})
	without.POST("/set", kittest.Increment)
	w := kittest.NewBrowser(t, without).Post("/set", nil, header, "Bearer", "Sec-Fetch-Site", "cross-site")
	assert.Equal(t, http.StatusForbidden, w.Code, "where no TokenHeader is set")
}

func TestTokenInAHeaderOfYourOwn(t *testing.T) {
	const header = "X-Session-Token"
	a := kittest.NewTokenSite(memstore.New(), "x-session-token")
	_, token := kittest.Call(t, a, http.MethodPost, "/login", header, "")
	assert.Len(t, token, 43)
	w, _ := kittest.Call(t, a, http.MethodGet, "/", header, token)
	assert.Equal(t, "42", w.Body.String())
}

func TestTokenIsGivenOutOnceSaved(t *testing.T) {
	const header = "Authorization"
	s := kittest.NewBackend()
	a := kittest.NewTokenSite(kittest.StoreOver(s), header)
	s.Failing(errors.New("down"), "create")
	w, token := kittest.Call(t, a, http.MethodPost, "/login", header, "Bearer")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Empty(t, token)
}

func TestVaryNamesEachHeaderOnce(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{TokenHeader: "Authorization"}, func(c *gin.Context) { c.Header("Vary", "Accept, cookie") })
	a.On("/", kittest.Whoami)
	assert.Equal(t, []string{"Accept, cookie", "Authorization"}, kittest.NewBrowser(t, a).Get("/").Header()["Vary"])
}

// TestVaryOfAllResponses: a middleware may give all responses one list, as gin-contrib/cors does to
// preflights, and what is added for one request is not in it.
func TestVaryOfAllResponses(t *testing.T) {
	shared := slices.Grow([]string{"Origin"}, 1)
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
	r.Use(func(c *gin.Context) { c.Writer.Header()["Vary"] = shared })
	r.GET("/", kittest.Whoami)
	assert.Equal(t, []string{"Origin", "Cookie"}, kittest.NewBrowser(t, r).Get("/").Header()["Vary"])
	assert.Empty(t, shared[:2][1])
}

// TestCookiesBesideAToken: a request that says that it is one of a client without
// cookies, and has some all the same, may be one that another site makes a browser
// send. The application may go by cookies of its own.
func TestCookiesBesideAToken(t *testing.T) {
	const header = "Authorization"
	a := kittest.NewTokenSite(memstore.New(), header)
	ran := 0
	a.POST("/", func(c *gin.Context) { ran++; c.Status(http.StatusNoContent) })
	_, token := kittest.Call(t, a, http.MethodPost, "/login", header, "Bearer")
	for _, value := range []string{"Bearer", "Bearer ", "bearer x", token, "Basic eDp5", ""} {
		for _, cookie := range []string{"", "basket=7", kittest.SessionCookie + "=x"} {
			ran = 0
			b := kittest.NewBrowser(t, a)
			r := b.Request(http.MethodPost, "/", header, value, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
			if cookie != "" {
				r.Header.Set("Cookie", cookie)
			}
			w := b.Do(r)
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
