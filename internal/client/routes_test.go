package client_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/client"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// TestCookielessRoutes: an API with keys of its own is reached from any origin, and
// whoever makes a browser send a request there has nothing of the user's with it.
func TestCookielessRoutes(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{
		CookielessRoutes: []string{"/api/", "POST /hooks/{name}"}, TokenHeader: "X-Session-Token", Secrets: [][]byte{kittest.SecretA},
	})
	signed := sessionkit.NewCookie[string]("signed", sessionkit.CookieOptions{Protection: sessionkit.Signed})
	a.On("/login", kittest.SignIn("42"), func(c *gin.Context) { assert.NoError(t, signed.Set(c, "x")) })
	see := func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		_, plainErr := c.Cookie("plain")
		_, signedErr := signed.Get(c)
		assert.ErrorIs(t, plainErr, http.ErrNoCookie)
		assert.ErrorIs(t, signedErr, http.ErrNoCookie)
		c.String(http.StatusOK, user+" with key "+c.GetHeader("X-Api-Key"))
	}
	a.Any("/api/items", see)
	a.Any("/hooks/:name", func(c *gin.Context) { kittest.Whoami(c) })
	a.POST("/api/store", kittest.Increment)
	a.Any("/page", kittest.Whoami)
	a.Any("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	b.Cookies["plain"] = "x"
	require.Equal(t, "42", b.Get("/").Body.String())

	from := []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example.org", "X-Api-Key", "k"}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		w := b.Do(b.Request(method, "/api/items", from...))
		assert.Equal(t, http.StatusOK, w.Code, method)
		assert.Equal(t, " with key k", w.Body.String(), "the session's cookie does not count")
		assert.Empty(t, w.Header()["Set-Cookie"])
	}
	assert.Empty(t, b.Post("/hooks/x", nil, from...).Body.String())
	assert.Equal(t, "42", b.Get("/hooks/x").Body.String(), "the pattern names a method")
	for _, path := range []string{"/page", "/", "/hooks/x/y", "//api/items", "/x/../api/items", "/API/items", "/api"} {
		w := b.Post(path, nil, from...)
		assert.Equal(t, http.StatusForbidden, w.Code, path)
	}

	a.Errors()
	w := b.Post("/api/store", nil, from...)
	assert.Equal(t, http.StatusServiceUnavailable, w.Code, "there is no session to store anything in")
	assert.ErrorContains(t, a.Errors()[0], "CookielessRoutes")
	assert.Empty(t, w.Header()["Set-Cookie"])

	w = b.Get("/login", "X-Session-Token", "")
	token := w.Header().Get("X-Session-Token")
	w = b.Post("/api/items", nil, append(from, "X-Session-Token", token)...)
	assert.Equal(t, "42 with key k", w.Body.String(), "a session by a token does count")
}

// TestRoutesOfHosts: a pattern may begin with a host, as those of http.ServeMux may.
func TestRoutesOfHosts(t *testing.T) {
	routes, err := client.NewRoutes([]string{"api.example.com/", "hooks.example.com/in/{name}", "POST app.example.com/jobs/", "localhost/x/"})
	require.NoError(t, err)
	for url, want := range map[string]bool{
		"http://api.example.com/a": true, "http://api.example.com:8080/a": true, "http://hooks.example.com/in/a": true,
		"http://app.example.com/jobs/a": true, "http://localhost/x/a": true,
		"http://example.com/a": false, "http://hooks.example.com/a": false, "http://app.example.com/a": false, "http://localhost/a": false,
	} {
		assert.Equal(t, want, client.Matches(routes, httptest.NewRequest(http.MethodPost, url, nil)), url)
	}
	_, err = client.NewRoutes([]string{"post api.example.com/"})
	require.ErrorContains(t, err, "write POST")
}

func TestDefaultManyPanics(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/", func(c *gin.Context) { sessions.DefaultMany(c, "a") })
	a.On("/other", func(*gin.Context) { panic("other") })
	a.On("/assertion", func(*gin.Context) { var v any = 1; _ = v.(string) })
	b := kittest.NewBrowser(t, a)
	for path, want := range map[string]string{"/": "use sessions.Default(c)", "/other": "other", "/assertion": "interface conversion"} {
		func() {
			defer func() { assert.Contains(t, fmt.Sprint(recover()), want, path) }()
			b.Get(path)
		}()
	}
}

// TestLongAccept: what comes after the first 8 kB takes no time.
func TestLongAccept(t *testing.T) {
	const entry = "a/b;q=1,"
	for name, test := range map[string]struct {
		lines []string
		page  bool
	}{
		"short":          {[]string{strings.Repeat(entry, 100) + "text/html"}, true},
		"short, 2 lines": {[]string{strings.Repeat(entry, 100), "text/html"}, true},
		"long":           {[]string{strings.Repeat(entry, 1<<17) + "text/html"}, false},
		"long, 2 lines":  {[]string{strings.Repeat(entry, 1<<17), "text/html"}, false},
		"many lines":     {append(slices.Repeat([]string{entry}, 1<<17), "text/html"), false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Accept"] = test.lines
		assert.Equal(t, test.page, client.WantsPage(r), name)
	}
}
