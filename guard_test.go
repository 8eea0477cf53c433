package sessionkit_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestGuard(t *testing.T) {
	const page = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	tests := []struct {
		name     string
		method   string
		target   string
		headers  []string
		config   sessionkit.GuardConfig
		code     int
		location string
		htmx     string
	}{
		{name: "page by Sec-Fetch-Mode", headers: []string{"Sec-Fetch-Mode", "navigate"}, code: 303, location: "/login?next=%2Faccount%3Fa%3D1&reason=not-signed-in"},
		{name: "page by Accept", headers: []string{"Accept", page}, code: 303, location: "/login?next=%2Faccount%3Fa%3D1&reason=not-signed-in"},
		{name: "posted page", method: "POST", headers: []string{"Accept", page}, code: 303, location: "/login?reason=not-signed-in"},
		{name: "head of a page", method: "HEAD", headers: []string{"Accept", page}, code: 303, location: "/login?reason=not-signed-in"},
		{name: "fetch that accepts HTML", headers: []string{"Sec-Fetch-Mode", "cors", "Accept", page}, code: 401},
		{name: "prefers JSON", headers: []string{"Accept", "application/json, text/html;q=0.5"}, code: 401},
		{name: "prefers HTML", headers: []string{"Accept", "application/json;q=0.5, text/html"}, code: 303, location: "/login?next=%2Faccount%3Fa%3D1&reason=not-signed-in"},
		{name: "HTML refused", headers: []string{"Accept", "text/html;q=0"}, code: 401},
		{name: "malformed Accept", headers: []string{"Accept", "text/html;q=x, ;;;,"}, code: 401},
		{name: "anything", headers: []string{"Accept", "*/*"}, code: 401},
		{name: "nothing", code: 401},
		{name: "HTMX", headers: []string{"HX-Request", "true", "HX-Current-URL", "https://example.com/page?b=2", "Sec-Fetch-Mode", "cors"}, code: 401, htmx: "/login?next=%2Fpage%3Fb%3D2&reason=not-signed-in"},
		{name: "HTMX from elsewhere", headers: []string{"HX-Request", "true", "HX-Current-URL", "https://evil.example/page"}, code: 401, htmx: "/login?reason=not-signed-in"},
		{name: "without LoginURL", headers: []string{"Sec-Fetch-Mode", "navigate"}, config: sessionkit.GuardConfig{FreshWithin: time.Minute}, code: 401},
		{name: "LoginURL with a query", headers: []string{"Sec-Fetch-Mode", "navigate"}, config: sessionkit.GuardConfig{LoginURL: "/in?lang=de"}, code: 303, location: "/in?lang=de&next=%2Faccount%3Fa%3D1&reason=not-signed-in"},
		{name: "LoginURL elsewhere", headers: []string{"Sec-Fetch-Mode", "navigate"}, config: sessionkit.GuardConfig{LoginURL: "https://sso.example.com/in"}, code: 303, location: "https://sso.example.com/in?next=%2Faccount%3Fa%3D1&reason=not-signed-in"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := test.config
			if config.LoginURL == "" && config.FreshWithin == 0 {
				config.LoginURL = "/login"
			}
			a := newSite(memstore.New(), sessionkit.Config{})
			ran := false
			a.Any("/account", sessionkit.RequireSession(config), func(*gin.Context) { ran = true })
			b := newBrowser(t, a)
			method := test.method
			if method == "" {
				method = http.MethodGet
			}
			w := b.do(b.request(method, "/account?a=1", test.headers...))
			assert.Equal(t, test.code, w.Code)
			assert.Equal(t, test.location, w.Header().Get("Location"))
			assert.Equal(t, test.htmx, w.Header().Get("HX-Redirect"))
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			assert.False(t, ran)
			assert.Empty(t, w.Header()["Set-Cookie"])
			if test.code == http.StatusUnauthorized {
				assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
				var problem map[string]any
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
				assert.Equal(t, "not-signed-in", problem["reason"])
				assert.InDelta(t, 401, problem["status"], 0)
				assert.NotEmpty(t, problem["title"])
			}
		})
	}
}

func TestGuardReasons(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := newSite(s, sessionkit.Config{IdleTimeout: 30 * time.Minute})
			a.on("/visit", increment)
			a.on("/login", signIn("42"))
			a.on("/remember", signIn("42", sessionkit.Remember()))
			a.on("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
			a.on("/account", sessionkit.RequireSession(), whoami)
			a.on("/danger", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: 5 * time.Minute}), whoami)
			b := newBrowser(t, a)
			reason := func(path string) string {
				w := b.get(path)
				if w.Code == http.StatusOK {
					return w.Body.String()
				}
				var problem struct{ Reason string }
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
				return problem.Reason
			}
			assert.Equal(t, "not-signed-in", reason("/account"))
			b.get("/visit")
			assert.Equal(t, "not-signed-in", reason("/account"))
			time.Sleep(31 * time.Minute)
			assert.Equal(t, "not-signed-in", reason("/account"), "a visitor's session that ran out was no sign-in")

			b.get("/login")
			assert.Equal(t, "42", reason("/account"))
			assert.Equal(t, "42", reason("/danger"))
			time.Sleep(5 * time.Minute)
			assert.Equal(t, "42", reason("/danger"))
			time.Sleep(time.Second)
			assert.Equal(t, "stale", reason("/danger"))
			b.get("/login")
			assert.Equal(t, "42", reason("/danger"), "signing in again is recent")

			b.get("/remember")
			assert.Equal(t, "42", reason("/account"))
			assert.Equal(t, "stale", reason("/danger"), "Remember never counts as a recent sign-in")

			b.get("/login")
			time.Sleep(31 * time.Minute)
			assert.Equal(t, "expired", reason("/account"))
			assert.Equal(t, "expired", reason("/account"), "also the second time")
			b.get("/login")
			b.get("/logout")
			assert.Equal(t, "not-signed-in", reason("/account"))
		})
	})
}

func TestGuardCheckAndOnDenied(t *testing.T) {
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{})
	a.on("/visit", increment)
	a.on("/login", signIn("42"))
	var denied []sessionkit.Denial
	guard := sessionkit.RequireSession(sessionkit.GuardConfig{
		LoginURL: "/login",
		Check:    func(c *gin.Context) bool { n, _ := count.Get(c); return n > 0 },
		OnDenied: func(c *gin.Context, d sessionkit.Denial) {
			denied = append(denied, d)
			c.String(http.StatusTeapot, "denied")
		},
	})
	silent := sessionkit.RequireSession(sessionkit.GuardConfig{OnDenied: func(*gin.Context, sessionkit.Denial) {}})
	ran := 0
	a.on("/", guard, func(*gin.Context) { ran++ })
	a.on("/silent", silent, func(*gin.Context) { ran++ })
	b := newBrowser(t, a)
	assert.Equal(t, http.StatusTeapot, b.get("/").Code)
	b.get("/login")
	assert.Equal(t, http.StatusTeapot, b.get("/").Code, "Check decides in place of the user")
	b.get("/visit")
	assert.Equal(t, http.StatusOK, b.get("/").Code)
	assert.Equal(t, 1, ran)
	s.failing(errors.New("down"), "load")
	b.get("/")
	assert.Equal(t, []sessionkit.Denial{sessionkit.NotSignedIn, sessionkit.NotSignedIn, sessionkit.Unavailable}, denied)
	newBrowser(t, a).get("/silent")
	assert.Equal(t, 1, ran, "handlers after the guard do not run in any case")
}

func TestPassive(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			const idle = 30 * time.Minute
			a := newSite(s, sessionkit.Config{IdleTimeout: idle})
			a.on("/login", signIn("42"))
			a.on("/me", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), func(c *gin.Context) {
				c.String(http.StatusOK, time.Until(sessionkit.Current(c).ExpiresAt).String())
			})
			a.on("/use", sessionkit.RequireSession(), func(c *gin.Context) {
				c.String(http.StatusOK, time.Until(sessionkit.Current(c).ExpiresAt).String())
			})
			b := newBrowser(t, a)
			b.get("/login")
			time.Sleep(10 * time.Minute)
			assert.Equal(t, "20m0s", b.get("/me").Body.String())
			time.Sleep(10 * time.Minute)
			assert.Equal(t, "10m0s", b.get("/me").Body.String(), "asking is no use")
			assert.Equal(t, "30m0s", b.get("/use").Body.String())
			for range 4 {
				time.Sleep(idle / 4)
				b.get("/me")
			}
			time.Sleep(time.Minute)
			assert.Equal(t, http.StatusUnauthorized, b.get("/me").Code)
		})
	})
}

// TestGuardOverAStoreThatPanics: the panic comes through to the recovery.
func TestGuardOverAStoreThatPanics(t *testing.T) {
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{}, gin.RecoveryWithWriter(io.Discard))
	a.on("/login", signIn("42"))
	a.on("/", sessionkit.RequireSession(), whoami)
	b := newBrowser(t, a)
	b.get("/login")
	s.before = func(string) { panic("oops") }
	assert.Equal(t, http.StatusInternalServerError, b.get("/").Code)
	s.before = nil
	assert.Equal(t, "42", b.get("/").Body.String())
}

// TestStorePanicIsNotSignedOut: a handler that recovers by itself does not go on
// with an empty session, which would take the place of the stored one.
func TestStorePanicIsNotSignedOut(t *testing.T) {
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{})
	a.on("/login", signIn("42"))
	a.on("/", whoami)
	a.on("/flash", func(c *gin.Context) {
		func() {
			defer func() { assert.NotNil(t, recover()) }()
			count.Get(c)
		}()
		assert.ErrorContains(t, sessionkit.Err(c), "the store panicked")
		sessionkit.Flash(c, sessionkit.Error, "oops")
	})
	b := newBrowser(t, a)
	b.get("/login")
	s.before = func(string) { panic("oops") }
	w := b.get("/flash")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Empty(t, setCookies(w))
	s.before = nil
	assert.Equal(t, "42", b.get("/").Body.String())
}

func TestGuardThatCannotWork(t *testing.T) {
	for _, config := range [][]sessionkit.GuardConfig{
		{{LoginURL: "login"}},
		{{LoginURL: "//evil.example/login"}},
		{{LoginURL: "javascript:alert(1)"}},
		{{LoginURL: "https:///login"}},
		{{LoginURL: "/login\r\nX: y"}},
		{{FreshWithin: -time.Second}},
		{{}, {}},
	} {
		assert.Panics(t, func() { sessionkit.RequireSession(config...) })
	}
	assert.NotPanics(t, func() { sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "https://sso.example.com/"}) })
}

var nextURLs = []struct {
	next string
	ok   bool
}{
	{"/", true},
	{"/account", true},
	{"/account?tab=1&q=a%20b#top", true},
	{"/search?q=100%", true},
	{"/ä/日本", true},
	{"/a//b", true},
	{"/a:b@c", true},
	{"/100%25", true},
	{"", false},
	{"account", false},
	{"//evil.example", false},
	{"///evil.example", false},
	{`/\evil.example`, false},
	{`\\evil.example`, false},
	{`\/evil.example`, false},
	{"https:evil.example", false},
	{"https://evil.example", false},
	{"HTTPS://evil.example", false},
	{"javascript:alert(1)", false},
	{"data:text/html,x", false},
	{" /account", false},
	{"\t//evil.example", false},
	{"/\t/evil.example", false},
	{"/\n/evil.example", false},
	{"/account\r\nSet-Cookie: a=b", false},
	{"/\x00", false},
	{"/\x7f", false},
	{"/%2fevil.example", false},
	{"/%2Fevil.example", false},
	{"/%5cevil.example", false},
	{"/%09/evil.example", false},
	{"/%0d%0aSet-Cookie:a=b", false},
	{"/a?x=%00", false},
	{"/%252fevil.example", false},
	{"/%25252fevil.example", false},
	{"%2f%2fevil.example", false},
	{"/\u0085/evil.example", false},
	{`/./\evil.example`, false},
	{`/#/../\evil.example`, false},
	{"/.//evil.example", false},
	{"/x/..//evil.example", false},
	{`/a\b`, false},
	{"/a/./b/../c", true},
	{`/a?b=\`, true},
	{"?next=/x", false},
	{"#/x", false},
	{"/" + string(make([]byte, 4096)), false},
}

func TestNextURL(t *testing.T) {
	r := gin.New()
	r.Any("/", func(c *gin.Context) { c.String(http.StatusOK, sessionkit.NextURL(c, "/fallback")) })
	b := newBrowser(t, r)
	for _, test := range nextURLs {
		want := "/fallback"
		if test.ok {
			want = test.next
		}
		assert.Equal(t, want, b.get("/?next="+url.QueryEscape(test.next)).Body.String(), "query: %q", test.next)
		assert.Equal(t, want, b.post("/", url.Values{"next": {test.next}}).Body.String(), "form: %q", test.next)
	}
	assert.Equal(t, "/fallback", b.get("/").Body.String())
}

// FuzzNextURL checks that a browser that follows what NextURL returns stays on
// the site, and that a header that carries it is one line.
func FuzzNextURL(f *testing.F) {
	for _, test := range nextURLs {
		f.Add(test.next)
	}
	r := gin.New()
	r.GET("/", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/fallback")) })
	base, _ := url.Parse("https://example.com/login")
	f.Fuzz(func(t *testing.T, next string) {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://example.com/?next="+url.QueryEscape(next), nil))
		location := w.Header().Get("Location")
		u, err := base.Parse(location)
		require.NoError(t, err)
		assert.Equal(t, "https", u.Scheme)
		assert.Equal(t, "example.com", u.Host)
		require.NotEmpty(t, location)
		assert.Equal(t, byte('/'), location[0])
		if len(location) > 1 {
			assert.NotContains(t, `/\`, location[1:2])
		}
		assert.NotContains(t, location, "\r")
		assert.NotContains(t, location, "\n")
		assert.False(t, leavesSite(location), "%q", location)
	})
}
