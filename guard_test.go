package sessionkit_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
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
		inertia  string
	}{
		{name: "page by Sec-Fetch-Mode", headers: []string{"Sec-Fetch-Mode", "navigate"}, code: 303, location: "/login?next=%2Faccount%3Fa%3D1&reason=not-signed-in"},
		{name: "page by Accept", headers: []string{"Accept", page}, code: 303, location: "/login?next=%2Faccount%3Fa%3D1&reason=not-signed-in"},
		{name: "posted page", method: "POST", headers: []string{"Accept", page}, code: 303, location: "/login?reason=not-signed-in"},
		{name: "head of a page", method: "HEAD", headers: []string{"Accept", page}, code: 303, location: "/login?reason=not-signed-in"},
		{name: "fetch that accepts HTML", headers: []string{"Sec-Fetch-Mode", "cors", "Accept", page}, code: 303, location: "/login?next=%2Faccount%3Fa%3D1&reason=not-signed-in"},
		{name: "Turbo", headers: []string{"Sec-Fetch-Mode", "same-origin", "Accept", "text/vnd.turbo-stream.html, text/html, application/xhtml+xml"}, code: 303, location: "/login?next=%2Faccount%3Fa%3D1&reason=not-signed-in"},
		{name: "Unpoly", headers: []string{"Sec-Fetch-Mode", "cors", "X-Up-Version", "3.7.0", "Accept", "text/html"}, code: 303, location: "/login?next=%2Faccount%3Fa%3D1&reason=not-signed-in"},
		{name: "fetch", headers: []string{"Sec-Fetch-Mode", "cors", "Accept", "*/*"}, code: 401},
		{name: "fetch of JSON", headers: []string{"Sec-Fetch-Mode", "cors", "Accept", "application/json, text/plain, */*"}, code: 401},
		{name: "image", headers: []string{"Sec-Fetch-Mode", "no-cors", "Accept", "image/avif,image/webp,*/*;q=0.8"}, code: 401},
		{name: "Inertia", headers: []string{"X-Inertia", "true", "Sec-Fetch-Mode", "cors", "Accept", "text/html, application/xhtml+xml"}, code: 409, inertia: "/login?next=%2Faccount%3Fa%3D1&reason=not-signed-in"},
		{name: "Inertia's form", method: "POST", headers: []string{"X-Inertia", "true", "Referer", "https://example.com/form?b=2"}, code: 409, inertia: "/login?next=%2Fform%3Fb%3D2&reason=not-signed-in"},
		{name: "Inertia's form elsewhere", method: "POST", headers: []string{"X-Inertia", "true", "Referer", "https://evil.example/form"}, code: 409, inertia: "/login?reason=not-signed-in"},
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
			assert.Equal(t, test.inertia, w.Header().Get("X-Inertia-Location"))
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			assert.False(t, ran)
			assert.Empty(t, w.Header()["Set-Cookie"])
			if test.code == http.StatusUnauthorized && !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
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
			a.on("/confirm", sessionkit.Confirm)
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
			assert.Equal(t, "42", reason("/danger"), "a sign-in with Remember is as recent as any")
			time.Sleep(5*time.Minute + time.Second)
			assert.Equal(t, "stale", reason("/danger"), "to come back with a remembered cookie is no sign-in")
			id := b.session()
			b.get("/confirm")
			assert.NotEqual(t, id, b.session(), "a confirmation changes the ID")
			assert.Equal(t, "42", reason("/danger"))
			time.Sleep(5*time.Minute + time.Second)
			assert.Equal(t, "stale", reason("/danger"))
			time.Sleep(29 * 24 * time.Hour)
			assert.Equal(t, "42", reason("/account"), "and Remember is not lost by it")
			time.Sleep(24 * time.Hour)
			assert.Equal(t, "expired", reason("/account"), "nor is it made longer")

			b.get("/login")
			time.Sleep(31 * time.Minute)
			assert.Equal(t, "expired", reason("/account"))
			assert.Equal(t, "expired", reason("/account"), "also the second time")
			if _, own := s.(*store.Store); own {
				b.get("/login")
				time.Sleep(31 * time.Minute)
				a.kinds()
				time.Sleep(14 * time.Hour)
				assert.Equal(t, "expired", reason("/account"), "the next morning, when no store knows it any more")
				assert.Equal(t, []sessionkit.EventKind{sessionkit.EventExpired}, a.kinds(), "nobody has made that cookie up")
				b.get("/visit")
				assert.Equal(t, "not-signed-in", reason("/account"), "a visitor's session has taken its place")
				time.Sleep(14 * time.Hour)
				assert.Equal(t, "not-signed-in", reason("/account"))

				b.get("/login")
				_, err := s.(*store.Store).RevokeAll(t.Context(), "42")
				require.NoError(t, err)
				a.kinds()
				time.Sleep(59 * time.Minute)
				assert.Equal(t, "revoked", reason("/account"), "as long as the record is kept")
				assert.Empty(t, a.kinds())
			}
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
	w := b.get("/")
	assert.Equal(t, http.StatusTeapot, w.Code, "who answers that the session could not be read has been told")
	assert.Equal(t, []sessionkit.Denial{sessionkit.NotSignedIn, sessionkit.Forbidden, sessionkit.Unavailable}, denied)
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

// TestGuardOfTheWholeSite: the page that signs in passes, however it is reached, and
// nothing else.
func TestGuardOfTheWholeSite(t *testing.T) {
	newApp := func(login string) *site {
		a := newSite(memstore.New(), sessionkit.Config{})
		require.NoError(t, a.SetTrustedProxies([]string{"192.0.2.1"})) // as httptest has it
		a.Use(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: login}))
		a.Any("/login", func(c *gin.Context) {
			if c.Request.Method == http.MethodPost {
				sessionkit.Login(c, "42")
			}
			c.String(http.StatusOK, "the form")
		})
		a.on("/account", whoami)
		a.on("/account/login", whoami)
		return a
	}
	for login, handler := range map[string]http.Handler{
		"/login":                    newApp("/login"),
		"/login?lang=de":            newApp("/login?lang=de"),
		"https://example.com/login": newApp("https://example.com/login"),
	} {
		b := newBrowser(t, handler)
		w := b.get("/account?tab=1", "Accept", asPage)
		require.Equal(t, http.StatusSeeOther, w.Code)
		at, err := w.Result().Location()
		require.NoError(t, err)
		assert.Equal(t, "/account?tab=1", at.Query().Get("next"), login)
		assert.Equal(t, "the form", b.get(at.RequestURI(), "Accept", asPage).Body.String(), login)
		for _, target := range []string{"/account/login", "/login/", "//login", "/LOGIN", "/x/../login"} {
			assert.NotContains(t, b.get(target).Body.String(), "form", target)
		}
		assert.Equal(t, http.StatusUnauthorized, b.get("/account/login").Code)
		b.post("/login", nil)
		assert.Equal(t, "42", b.get("/account").Body.String())
	}
	elsewhere := newApp("https://sso.example.org/login")
	assert.Equal(t, http.StatusUnauthorized, newBrowser(t, elsewhere).get("/login").Code, "that is another site's")

	// The application may stand under a prefix, of which it does not know.
	prefixed := http.StripPrefix("/shop", newApp("/shop/login"))
	for name, test := range map[string]struct {
		handler http.Handler
		prefix  string // of what is asked of the handler
		headers []string
	}{
		"StripPrefix": {prefixed, "/shop", nil},
		"proxy":       {newApp("/shop/login"), "", []string{"X-Forwarded-Prefix", "/shop"}},
		"proxy /":     {newApp("/shop/login"), "", []string{"X-Forwarded-Prefix", "/shop/"}},
	} {
		b := newBrowser(t, test.handler)
		w := b.get(test.prefix+"/account?tab=1", append(test.headers, "Accept", asPage)...)
		require.Equal(t, http.StatusSeeOther, w.Code, name)
		assert.Equal(t, "/shop/login?next=%2Fshop%2Faccount%3Ftab%3D1&reason=not-signed-in", w.Header().Get("Location"), name)
		assert.Equal(t, "the form", b.get(test.prefix+"/login", append(test.headers, "Accept", asPage)...).Body.String(), name)
	}
	distrusting := newApp("/shop/login")
	require.NoError(t, distrusting.SetTrustedProxies(nil))
	w := newBrowser(t, distrusting).get("/account", "X-Forwarded-Prefix", "/shop", "Accept", asPage)
	assert.Equal(t, "/shop/login?next=%2Faccount&reason=not-signed-in", w.Header().Get("Location"), "somebody may have made that header up")
	for _, prefix := range []string{"//evil.example", "https://evil.example", "/x?y", "/x#y", "shop", "/\\evil.example"} {
		w := newBrowser(t, newApp("/login")).get("/account", "X-Forwarded-Prefix", prefix, "Accept", asPage)
		assert.Equal(t, "/login?next=%2Faccount&reason=not-signed-in", w.Header().Get("Location"), prefix)
	}
}

// TestGuardForbids: a user who may not is told so, and is not sent to sign in again.
func TestGuardForbids(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	a.on("/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
	a.on("/admin", sessionkit.RequireSession(sessionkit.GuardConfig{
		LoginURL: "/login", FreshWithin: time.Hour,
		Check: func(c *gin.Context) bool { user, _ := sessionkit.User(c); return user == "root" },
	}), whoami)
	b := newBrowser(t, a)
	assert.Equal(t, http.StatusSeeOther, b.get("/admin", "Accept", asPage).Code)
	b.get("/login?user=42")
	w := b.get("/admin", "Accept", asPage)
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.Empty(t, w.Header().Get("Location"))
	assert.Contains(t, w.Body.String(), "not allowed")
	w = b.get("/admin")
	assert.Contains(t, w.Body.String(), `"reason":"forbidden"`)
	assert.Empty(t, b.get("/admin", "HX-Request", "true").Header().Get("HX-Redirect"))
	assert.Equal(t, http.StatusForbidden, b.get("/admin", "X-Inertia", "true").Code)
	b.get("/login?user=root")
	assert.Equal(t, "root", b.get("/admin").Body.String())
}

// TestPrefetch: a page that nobody has asked for yet takes no message away, and is no
// use of the session.
func TestPrefetch(t *testing.T) {
	notes := sessionkit.NewFlash[int]("notes")
	eachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := newSite(s, sessionkit.Config{IdleTimeout: 30 * time.Minute})
			a.on("/login", signIn("42"), func(c *gin.Context) {
				sessionkit.Flash(c, sessionkit.Info, "hello")
				sessions.Default(c).AddFlash("old hello")
				notes.Add(c, 7)
			})
			a.on("/", func(c *gin.Context) {
				user, _ := sessionkit.User(c)
				sessionkit.FlashNow(c, sessionkit.Info, "now")
				c.JSON(http.StatusOK, gin.H{
					"user": user, "flashes": len(sessionkit.Flashes(c)), "notes": notes.Take(c), "old": sessions.Default(c).Flashes("other"),
				})
			})
			b := newBrowser(t, a)
			b.get("/login")
			for _, header := range [][]string{{"Sec-Purpose", "prefetch"}, {"Sec-Purpose", "prefetch;prerender"}, {"Purpose", "prefetch"}} {
				assert.JSONEq(t, `{"user":"42","flashes":1,"notes":null,"old":null}`, b.get("/", header...).Body.String())
			}
			assert.JSONEq(t, `{"user":"42","flashes":3,"notes":[7],"old":null}`, b.get("/").Body.String())
			for range 3 {
				time.Sleep(10*time.Minute + time.Second)
				b.get("/", "Sec-Purpose", "prefetch")
			}
			time.Sleep(3 * time.Minute)
			assert.Contains(t, b.get("/").Body.String(), `"user":""`, "it has not been used")
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
		{{FreshWithin: 5}},
		{{}, {}},
	} {
		assert.Panics(t, func() { sessionkit.RequireSession(config...) })
	}
	assert.NotPanics(t, func() { sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "https://sso.example.com/"}) })
}
