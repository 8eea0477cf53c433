package sessionkit_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
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
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			ran := false
			a.Any("/account", sessionkit.RequireSession(config), func(*gin.Context) { ran = true })
			b := kittest.NewBrowser(t, a)
			method := test.method
			if method == "" {
				method = http.MethodGet
			}
			w := b.Do(b.Request(method, "/account?a=1", test.headers...))
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

func TestGuardCheckAndOnDenied(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/visit", kittest.Increment)
	a.On("/login", kittest.SignIn("42"))
	var denied []sessionkit.Denial
	guard := sessionkit.RequireSession(sessionkit.GuardConfig{
		LoginURL: "/login",
		Check:    func(c *gin.Context) bool { n, _ := kittest.Count.Get(c); return n > 0 },
		OnDenied: func(c *gin.Context, d sessionkit.Denial) {
			denied = append(denied, d)
			c.String(http.StatusTeapot, "denied")
		},
	})
	silent := sessionkit.RequireSession(sessionkit.GuardConfig{OnDenied: func(*gin.Context, sessionkit.Denial) {}})
	ran := 0
	a.On("/", guard, func(*gin.Context) { ran++ })
	a.On("/silent", silent, func(*gin.Context) { ran++ })
	b := kittest.NewBrowser(t, a)
	assert.Equal(t, http.StatusTeapot, b.Get("/").Code)
	b.Get("/login")
	assert.Equal(t, http.StatusTeapot, b.Get("/").Code, "Check decides in place of the user")
	b.Get("/visit")
	assert.Equal(t, http.StatusOK, b.Get("/").Code)
	assert.Equal(t, 1, ran)
	s.Failing(errors.New("down"), "load")
	w := b.Get("/")
	assert.Equal(t, http.StatusTeapot, w.Code, "who answers that the session could not be read has been told")
	assert.Equal(t, []sessionkit.Denial{sessionkit.NotSignedIn, sessionkit.Forbidden, sessionkit.Unavailable}, denied)
	kittest.NewBrowser(t, a).Get("/silent")
	assert.Equal(t, 1, ran, "handlers after the guard do not run in any case")
}

// TestGuardOfTheWholeSite: the page that signs in passes, however it is reached, and
// nothing else.
func TestGuardOfTheWholeSite(t *testing.T) {
	newApp := func(login string) *kittest.Site {
		a := kittest.NewSite(memstore.New(), sessionkit.Config{})
		require.NoError(t, a.SetTrustedProxies([]string{"192.0.2.1"})) // as httptest has it
		a.Use(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: login}))
		a.Any("/login", func(c *gin.Context) {
			if c.Request.Method == http.MethodPost {
				sessionkit.Login(c, "42")
			}
			c.String(http.StatusOK, "the form")
		})
		a.On("/account", kittest.Whoami)
		a.On("/account/login", kittest.Whoami)
		return a
	}
	for login, handler := range map[string]http.Handler{
		"/login":                    newApp("/login"),
		"/login?lang=de":            newApp("/login?lang=de"),
		"https://example.com/login": newApp("https://example.com/login"),
	} {
		b := kittest.NewBrowser(t, handler)
		w := b.Get("/account?tab=1", "Accept", asPage)
		require.Equal(t, http.StatusSeeOther, w.Code)
		at, err := w.Result().Location()
		require.NoError(t, err)
		assert.Equal(t, "/account?tab=1", at.Query().Get("next"), login)
		assert.Equal(t, "the form", b.Get(at.RequestURI(), "Accept", asPage).Body.String(), login)
		for _, target := range []string{"/account/login", "/login/", "//login", "/LOGIN", "/x/../login"} {
			assert.NotContains(t, b.Get(target).Body.String(), "form", target)
		}
		assert.Equal(t, http.StatusUnauthorized, b.Get("/account/login").Code)
		b.Post("/login", nil)
		assert.Equal(t, "42", b.Get("/account").Body.String())
	}
	elsewhere := newApp("https://sso.example.org/login")
	assert.Equal(t, http.StatusUnauthorized, kittest.NewBrowser(t, elsewhere).Get("/login").Code, "that is another site's")

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
		b := kittest.NewBrowser(t, test.handler)
		w := b.Get(test.prefix+"/account?tab=1", append(test.headers, "Accept", asPage)...)
		require.Equal(t, http.StatusSeeOther, w.Code, name)
		assert.Equal(t, "/shop/login?next=%2Fshop%2Faccount%3Ftab%3D1&reason=not-signed-in", w.Header().Get("Location"), name)
		assert.Equal(t, "the form", b.Get(test.prefix+"/login", append(test.headers, "Accept", asPage)...).Body.String(), name)
	}
	distrusting := newApp("/shop/login")
	require.NoError(t, distrusting.SetTrustedProxies(nil))
	w := kittest.NewBrowser(t, distrusting).Get("/account", "X-Forwarded-Prefix", "/shop", "Accept", asPage)
	assert.Equal(t, "/shop/login?next=%2Faccount&reason=not-signed-in", w.Header().Get("Location"), "somebody may have made that header up")
	for _, prefix := range []string{"//evil.example", "https://evil.example", "/x?y", "/x#y", "shop", "/\\evil.example"} {
		w := kittest.NewBrowser(t, newApp("/login")).Get("/account", "X-Forwarded-Prefix", prefix, "Accept", asPage)
		assert.Equal(t, "/login?next=%2Faccount&reason=not-signed-in", w.Header().Get("Location"), prefix)
	}
}

// TestGuardSendsNobodyInCircles: the browser comes to the page that signs in, whatever gin or
// a proxy makes of the address, and nothing else passes.
func TestGuardSendsNobodyInCircles(t *testing.T) {
	const internal = "10.0.0.7:8080"
	for name, test := range map[string]struct {
		login, route string
		host         string // by which the request comes
		forwarded    string // by which the browser has reached the proxy
	}{
		"a slash more":          {login: "/login/", route: "/login", host: "example.com"},
		"a slash less":          {login: "/login", route: "/login/", host: "example.com"},
		"absolute":              {login: "https://example.com/login", route: "/login/", host: "example.com"},
		"the scheme's own port": {login: "https://example.com:443/login", route: "/login", host: "example.com"},
		"another port":          {login: "https://example.com:8443/login", route: "/login", host: "example.com:8443"},
		"capital letters":       {login: "https://Example.com/login", route: "/login", host: "example.com"},
		"behind a proxy":        {login: "https://example.com/login", route: "/login", host: internal, forwarded: "example.com"},
		"a path behind a proxy": {login: "/login", route: "/login", host: internal, forwarded: "example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			a.Use(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: test.login}))
			a.On(test.route, func(c *gin.Context) { c.String(http.StatusOK, "the form") })
			a.On("/account", kittest.Whoami)
			b := kittest.NewBrowser(t, a)
			at := "/account"
			for range 3 { // to the LoginURL, and to gin's spelling of it
				r := b.Request(http.MethodGet, at, "Accept", asPage)
				if r.Host = test.host; test.forwarded != "" {
					r.Header.Set("X-Forwarded-Host", test.forwarded)
				}
				w := b.Do(r)
				if w.Code == http.StatusOK {
					assert.Equal(t, "the form", w.Body.String())
					return
				}
				to, err := w.Result().Location()
				require.NoError(t, err, w.Body)
				at = to.RequestURI()
			}
			t.Errorf("the browser is sent on to %s", at)
		})
	}
}

// TestGuardOfTheWholeSiteWithTheFormAtItsRoot: that one passes, and nothing else.
func TestGuardOfTheWholeSiteWithTheFormAtItsRoot(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.Use(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/"}))
	a.On("/", func(c *gin.Context) { c.String(http.StatusOK, "the form") })
	a.On("/account", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	w := b.Get("/account", "Accept", asPage)
	assert.Equal(t, "/?next=%2Faccount&reason=not-signed-in", w.Header().Get("Location"))
	assert.Equal(t, "the form", b.Get(w.Header().Get("Location"), "Accept", asPage).Body.String())
}

// TestGuardForbids: a user who may not is told so, and is not sent to sign in again.
func TestGuardForbids(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.On("/login", func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) })
	a.On("/admin", sessionkit.RequireSession(sessionkit.GuardConfig{
		LoginURL: "/login", FreshWithin: time.Hour,
		Check: func(c *gin.Context) bool { user, _ := sessionkit.User(c); return user == "root" },
	}), kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	assert.Equal(t, http.StatusSeeOther, b.Get("/admin", "Accept", asPage).Code)
	b.Get("/login?user=42")
	w := b.Get("/admin", "Accept", asPage)
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.Empty(t, w.Header().Get("Location"))
	assert.Contains(t, w.Body.String(), "not allowed")
	w = b.Get("/admin")
	assert.Contains(t, w.Body.String(), `"reason":"forbidden"`)
	assert.Empty(t, b.Get("/admin", "HX-Request", "true").Header().Get("HX-Redirect"))
	assert.Equal(t, http.StatusForbidden, b.Get("/admin", "X-Inertia", "true").Code)
	b.Get("/login?user=root")
	assert.Equal(t, "root", b.Get("/admin").Body.String())
}

// TestFreshGuardAfterSave: a guard that reads the session afresh reads the one that Save has
// stored, not what the request has brought.
func TestFreshGuardAfterSave(t *testing.T) {
	b := kittest.NewBackend()
	s := kittest.StoreOver(b)
	a := kittest.NewSite(s, sessionkit.Config{TokenHeader: "Authorization"})
	save := func(c *gin.Context) {
		kittest.Count.Set(c, 1)
		assert.NoError(t, sessions.Default(c).Save())
	}
	fresh := sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Minute})
	a.On("/signs-in", kittest.SignIn("42"), save, fresh, kittest.Whoami)
	a.On("/visits", save, sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Minute, OnDenied: func(c *gin.Context, _ sessionkit.Denial) {
		kittest.Name.Set(c, "Ada")
	}}))
	a.On("/fails", kittest.SignIn("43"), save, func(*gin.Context) { b.Failing(kittest.ErrDown, "load fresh") }, fresh)
	a.On("/", func(c *gin.Context) {
		n, _ := kittest.Count.Get(c)
		name, _ := kittest.Name.Get(c)
		c.String(http.StatusOK, "%d %s", n, name)
	})

	user, visitor := kittest.NewBrowser(t, a), kittest.NewBrowser(t, a)
	assert.Equal(t, "42", user.Get("/signs-in").Body.String())
	assert.Equal(t, "1 ", user.Get("/").Body.String())
	w, _ := kittest.Call(t, a, http.MethodGet, "/signs-in", "Authorization", "Bearer")
	assert.Equal(t, "42", w.Body.String())
	visitor.Get("/visits")
	assert.Equal(t, "1 Ada", visitor.Get("/").Body.String())
	assert.Empty(t, a.Errors())

	w = kittest.NewBrowser(t, a).Get("/fails")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Empty(t, w.Header()["Set-Cookie"])
	b.Failing(nil)
	assert.Empty(t, kittest.UserSessions(t, s, "43"), "a sign-in of which nobody was told is removed")
	n, err := s.Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, n.Live)
}

// TestFreshGuardOverARenewal: a request that has found its session under the ID that another
// one has given it meanwhile is still that user's at a guard that reads the session afresh.
func TestFreshGuardOverARenewal(t *testing.T) {
	b := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(b), sessionkit.Config{})
	fresh := sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Minute})
	during, after := func() {}, func() {}
	a.On("/login", kittest.SignIn("42"))
	a.On("/confirm", sessionkit.Confirm)
	a.On("/logout", sessionkit.Logout)
	a.On("/danger", func(c *gin.Context) {
		kittest.Count.Get(c)
		during()
		_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
		assert.NoError(t, err)
		after()
	}, fresh, func(c *gin.Context) {
		n, _ := kittest.Count.Get(c)
		c.String(http.StatusOK, "%d", n)
	})

	for _, x := range []struct {
		after func(*kittest.Browser)
		want  int
	}{
		{func(*kittest.Browser) {}, http.StatusOK},
		{func(other *kittest.Browser) { other.Get("/confirm") }, http.StatusOK},
		{func(other *kittest.Browser) { other.Get("/logout") }, http.StatusUnauthorized},
		{func(*kittest.Browser) { b.Failing(kittest.ErrDown, "list") }, http.StatusServiceUnavailable},
	} {
		other := kittest.NewBrowser(t, a)
		other.Get("/login")
		late := other.Fork()
		during, after = func() { other.Get("/confirm") }, func() { x.after(other) }
		w := late.Get("/danger")
		assert.Equal(t, x.want, w.Code)
		if x.want == http.StatusOK {
			assert.Equal(t, "1", w.Body.String())
		}
		assert.Empty(t, w.Header()["Set-Cookie"], "the browser has the cookie from the other one")
	}
}

// TestGuardOverAStoreThatPanics: the panic comes through to the recovery.
func TestGuardOverAStoreThatPanics(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{}, gin.RecoveryWithWriter(io.Discard))
	a.On("/login", kittest.SignIn("42"))
	a.On("/", sessionkit.RequireSession(), kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	s.Before = func(string) { panic("oops") }
	assert.Equal(t, http.StatusInternalServerError, b.Get("/").Code)
	s.Before = nil
	assert.Equal(t, "42", b.Get("/").Body.String())
}

// TestStorePanicIsNotSignedOut: a handler that recovers by itself does not go on
// with an empty session, which would take the place of the stored one.
func TestStorePanicIsNotSignedOut(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/", kittest.Whoami)
	a.On("/flash", func(c *gin.Context) {
		func() {
			defer func() { assert.NotNil(t, recover()) }()
			kittest.Count.Get(c)
		}()
		assert.ErrorContains(t, sessionkit.Err(c), "the store panicked")
		sessionkit.Flash(c, sessionkit.Error, "oops")
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	s.Before = func(string) { panic("oops") }
	w := b.Get("/flash")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Empty(t, kittest.SetCookies(w))
	s.Before = nil
	assert.Equal(t, "42", b.Get("/").Body.String())
}

// TestUseThatTheGuardRecords shows what a request does that may take longer than its session has left:
// nothing more in the first half of that, and else it records its use before the handler runs. The
// cookie that is due then comes with the response all the same, also if the handler fails first.
func TestUseThatTheGuardRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := kittest.NewBackend()
		a := kittest.NewSite(kittest.StoreOver(backend), sessionkit.Config{VisitorFor: 48 * time.Hour}, gin.RecoveryWithWriter(io.Discard))
		guard := sessionkit.RequireSession(sessionkit.GuardConfig{Check: func(*gin.Context) bool { return true }})
		a.On("/begin", kittest.Increment)
		a.POST("/upload", guard, func(c *gin.Context) {
			_ = backend.On("body")
			if c.Query("fails") != "" {
				panic("the disk is full")
			}
			kittest.Increment(c)
		})
		b := kittest.NewBrowser(t, a)
		upload := func(query string) (cookies int) {
			backend.Called()
			return len(kittest.SetCookies(b.Post("/upload"+query, nil)))
		}
		b.Get("/begin")
		time.Sleep(23 * time.Hour)
		assert.Zero(t, upload(""))
		assert.Equal(t, []string{"load", "body", "update"}, backend.Called(), "in the first half")
		time.Sleep(30 * time.Hour)
		assert.Equal(t, 1, upload(""), "it is sent on each day")
		assert.Equal(t, []string{"load", "update", "body", "update"}, backend.Called())
		assert.Zero(t, upload(""))
		assert.Equal(t, []string{"load", "body", "update"}, backend.Called(), "it was recorded a moment ago")
		time.Sleep(30 * time.Hour)
		assert.Zero(t, upload("?fails=1"))
		assert.Equal(t, []string{"load", "update", "body"}, backend.Called())
		assert.Equal(t, 1, upload(""), "it was not sent before")

		time.Sleep(30 * time.Hour)
		backend.Failing(kittest.ErrDown, "update")
		a.Errors()
		a.POST("/read", guard, kittest.ShowCount)
		assert.Equal(t, http.StatusOK, b.Post("/read", nil).Code, "the answer does not depend on it")
		assert.Len(t, a.Errors(), 1, "but it is reported")
	})
}

// TestUseThatTheGuardRecordsIsNotSeen by the handler: for it, the session was last used before. If the
// store fails just then, the commit records the use all the same.
func TestUseThatTheGuardRecordsIsNotSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := kittest.NewBackend()
		a := kittest.NewSite(kittest.StoreOver(back), sessionkit.Config{})
		a.On("/login", kittest.SignIn("42"))
		a.On("/", kittest.Whoami)
		down := func(c *gin.Context) { back.Failing(kittest.ErrDown, c.QueryArray("down")...) }
		up := func(*gin.Context) { back.Failing(nil) }
		a.POST("/pay", down, sessionkit.RequireSession(), sessionkit.RequireSession(), up, func(c *gin.Context) {
			kittest.Increment(c)
			c.String(http.StatusOK, time.Since(sessionkit.Current(c).LastSeenAt).String())
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/login")
		back.Called()
		time.Sleep(50 * time.Minute)
		assert.Equal(t, "50m0s", b.Post("/pay", nil).Body.String())
		assert.Equal(t, []string{"load", "update", "update"}, back.Called())
		time.Sleep(50 * time.Minute)
		assert.Equal(t, "50m0s", b.Post("/pay?down=update", nil).Body.String())
		time.Sleep(20 * time.Minute)
		assert.Equal(t, "42", b.Get("/").Body.String())
		assert.Empty(t, a.Errors())
	})
}

// TestGuardAndATokenOfAnotherName: the session lives where it belongs, so it has not
// expired.
func TestGuardAndATokenOfAnotherName(t *testing.T) {
	const header = "Authorization"
	s := memstore.New()
	a := kittest.NewTokenSite(s, header)
	admins := kittest.NewSite(s, sessionkit.Config{Name: "admin", TokenHeader: header})
	admins.On("/", sessionkit.RequireSession())
	_, token := kittest.Call(t, a, http.MethodPost, "/login", header, "Bearer")
	w, _ := kittest.Call(t, admins, http.MethodGet, "/", header, token)
	assert.Contains(t, w.Body.String(), `"reason":"not-signed-in"`)
	assert.Equal(t, []sessionkit.EventKind{sessionkit.EventRejected}, admins.Kinds())
	w, _ = kittest.Call(t, a, http.MethodGet, "/", header, token)
	assert.Equal(t, "42", w.Body.String())
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

func TestNextURL(t *testing.T) {
	r := gin.New()
	r.Any("/", func(c *gin.Context) { c.String(http.StatusOK, sessionkit.NextURL(c, "/fallback")) })
	b := kittest.NewBrowser(t, r)
	for _, test := range kittest.NextURLs {
		want := "/fallback"
		if test.Ok {
			want = test.Next
		}
		assert.Equal(t, want, b.Get("/?next="+url.QueryEscape(test.Next)).Body.String(), "query: %q", test.Next)
		assert.Equal(t, want, b.Post("/", url.Values{"next": {test.Next}}).Body.String(), "form: %q", test.Next)
	}
	assert.Equal(t, "/fallback", b.Get("/").Body.String())
}

// TestGuardIsNotOpenedByHeaders: a host and a prefix that the sender makes up do not make
// another page that of the LoginURL, and nobody is sent in circles for them.
func TestGuardIsNotOpenedByHeaders(t *testing.T) {
	for login, made := range map[string]func(*http.Request){
		"/login/":                    func(r *http.Request) { r.Header.Set("X-Forwarded-Prefix", "/login") },
		"https://login.example.com/": func(r *http.Request) { r.Host = "login.example.com" },
		"https://login.example.com":  func(r *http.Request) { r.Host = "login.example.com" },
		"https://login.example.org":  func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "login.example.org") },
	} {
		a := kittest.NewSite(memstore.New(), sessionkit.Config{})
		a.Use(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: login}))
		a.GET("/", kittest.Whoami)
		b := kittest.NewBrowser(t, a)
		r := b.Request(http.MethodGet, "/", "Accept", asPage)
		assert.Equal(t, http.StatusSeeOther, b.Do(r).Code, login)
		made(r)
		assert.Equal(t, http.StatusUnauthorized, b.Do(r).Code, login)
	}
}

// TestGuardOfAPageUnderTheForm: a slash at the end does not make the page that signs in another
// one, but it may be another one.
func TestGuardOfAPageUnderTheForm(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.Use(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/app"}))
	a.On("/app", func(c *gin.Context) { c.String(http.StatusOK, "the form") })
	a.On("/app/*file", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	assert.Equal(t, "the form", b.Get("/app", "Accept", asPage).Body.String())
	assert.Equal(t, http.StatusUnauthorized, b.Get("/app/", "Accept", asPage).Code)
	assert.Equal(t, http.StatusSeeOther, b.Get("/app/secret", "Accept", asPage).Code)
}

// TestGuardOfAPageBesideTheForm: what serves any path has another page than the form at the path
// with a slash more, which the guard refuses. It sends nobody to the form, which may redirect to
// that page.
func TestGuardOfAPageBesideTheForm(t *testing.T) {
	for _, login := range []string{"/login", "https://example.com/login"} {
		for name, serve := range map[string]func(*kittest.Site, ...gin.HandlerFunc){
			"NoRoute":          func(a *kittest.Site, h ...gin.HandlerFunc) { a.NoRoute(h...) },
			"NoRoute and form": func(a *kittest.Site, h ...gin.HandlerFunc) { a.GET("/login", h...); a.NoRoute(h...) },
			"wildcard":         func(a *kittest.Site, h ...gin.HandlerFunc) { a.GET("/*any", h...) },
		} {
			t.Run(name+", "+login, func(t *testing.T) {
				a := kittest.NewSite(memstore.New(), sessionkit.Config{})
				a.RedirectTrailingSlash = false
				a.Use(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: login}))
				serve(a, func(c *gin.Context) { c.String(http.StatusOK, "served "+c.Request.URL.Path) })
				b := kittest.NewBrowser(t, a)
				assert.Equal(t, http.StatusUnauthorized, b.Get("/login/").Code)
				assert.Equal(t, http.StatusUnauthorized, b.Get("/login/", "Accept", asPage).Code)
				assert.Equal(t, "served /login", b.Get("/login?reason=not-signed-in", "Accept", asPage).Body.String())
			})
		}
	}
}

// TestGuardOfAFolderAtTheLoginURL: a file server redirects from the LoginURL to the folder, another
// handler may do so without the query, and the guard does not send the browser back.
func TestGuardOfAFolderAtTheLoginURL(t *testing.T) {
	files := gin.WrapH(http.FileServerFS(fstest.MapFS{"login/secret.txt": {}}))
	addSlash := func(c *gin.Context) { c.Redirect(http.StatusMovedPermanently, c.Request.URL.Path+"/") }
	for name, serve := range map[string]func(*kittest.Site){
		"NoRoute":           func(a *kittest.Site) { a.NoRoute(files) },
		"wildcard":          func(a *kittest.Site) { a.GET("/*file", files) },
		"without the query": func(a *kittest.Site) { a.NoRoute(addSlash) },
	} {
		t.Run(name, func(t *testing.T) {
			a := kittest.NewSite(memstore.New(), sessionkit.Config{})
			a.Use(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}))
			serve(a)
			srv := httptest.NewServer(a)
			defer srv.Close()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/account", nil)
			require.NoError(t, err)
			r.Header.Set("Accept", asPage)
			w, err := srv.Client().Do(r) // follows up to ten redirects
			require.NoError(t, err)
			require.NoError(t, w.Body.Close())
			assert.Equal(t, http.StatusUnauthorized, w.StatusCode)
			assert.Equal(t, "/login/", w.Request.URL.Path)
		})
	}
}

// TestGuardOfAMount: the application itself has changed the path, and the page that signs in
// passes under any.
func TestGuardOfAMount(t *testing.T) {
	form := func(c *gin.Context) { c.String(http.StatusOK, "the form") }
	mounted := kittest.NewSite(memstore.New(), sessionkit.Config{})
	mounted.Use(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/app/"}))
	mounted.GET("/", form)
	assert.Equal(t, "the form", kittest.NewBrowser(t, http.StripPrefix("/app", mounted)).Get("/app/").Body.String())

	rewritten := kittest.NewSite(memstore.New(), sessionkit.Config{})
	rewritten.Use(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}))
	rewritten.GET("/login", func(c *gin.Context) { c.Request.URL.Path = "/auth/form"; rewritten.HandleContext(c) })
	rewritten.GET("/auth/form", form)
	assert.Equal(t, "the form", kittest.NewBrowser(t, rewritten).Get("/login").Body.String())
}

// TestNextIsKeptAsItWas: a redirect goes to where the browser was, to the byte.
func TestNextIsKeptAsItWas(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, "42")
		c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account"))
	})
	a.GET("/login", func(c *gin.Context) { c.Status(http.StatusOK) })
	a.NoRoute(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/login"}))
	for _, uri := range []string{
		"/", "/a", "/a/", "/a//b", "/a/b//", "/a/./b/../c/", "/a?", "/a?x=1&x=2", "/a?x=%0A%0D%09%7F", "/a%20b?c+d", "/%C3%A4",
		"/sso?SAMLRequest=" + strings.Repeat("fVLL%2B", 1000) + "&RelayState=//x", "/a?next=%2Fb%3Fnext%3D%252Fc", "/a;b=c", "/a:b", "/~a/(b)",
	} {
		b := kittest.NewBrowser(t, a)
		w := b.Get(uri, "Accept", asPage)
		require.Equal(t, http.StatusSeeOther, w.Code, uri)
		to, err := w.Result().Location()
		require.NoError(t, err)
		w = b.Post(to.RequestURI(), nil)
		assert.Equal(t, uri, w.Header().Get("Location"))
		w = b.Post("/login", url.Values{"next": {to.Query().Get("next")}})
		assert.Equal(t, uri, w.Header().Get("Location"))
	}
	w := kittest.NewBrowser(t, a).Post("/login?next=/ä//b", nil)
	assert.Equal(t, "/%C3%A4//b", w.Header().Get("Location"))
	w = kittest.NewBrowser(t, a).Post("/login?next=/a//b", url.Values{})
	require.Equal(t, "/a//b", w.Header().Get("Location"))
}

// TestNextIsKeptBehindAnotherWriter: also if a middleware behind sessionkit's, as one that
// compresses does, has put a writer of its own in front.
func TestNextIsKeptBehindAnotherWriter(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.Use(func(c *gin.Context) { c.Writer = struct{ gin.ResponseWriter }{c.Writer} })
	a.POST("/login", func(c *gin.Context) {
		sessionkit.Login(c, "42")
		c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/account"))
	})
	w := kittest.NewBrowser(t, a).Post("/login?next=/wiki/https://example.org", nil)
	assert.Equal(t, "/wiki/https://example.org", w.Header().Get("Location"))
}

const (
	asPage    = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	asProgram = "application/json"
)

// failures are the ways in which the middleware answers in place of a handler, with
// the status and the reason.
var failures = []struct {
	name   string
	status int
	reason string
	do     func(s *kittest.Backend, b *kittest.Browser, accept string) (code int, header http.Header, body string)
}{
	{"load", 503, "unavailable", func(s *kittest.Backend, b *kittest.Browser, accept string) (int, http.Header, string) {
		s.Failing(errors.New("down"), "load")
		return answered(b.Get("/who", "Accept", accept))
	}},
	{"guarded load", 503, "unavailable", func(s *kittest.Backend, b *kittest.Browser, accept string) (int, http.Header, string) {
		s.Failing(errors.New("down"), "load")
		return answered(b.Get("/guarded", "Accept", accept))
	}},
	{"save", 503, "unavailable", func(s *kittest.Backend, b *kittest.Browser, accept string) (int, http.Header, string) {
		s.Failing(errors.New("down"), "update")
		return answered(b.Get("/change", "Accept", accept))
	}},
	{"mistake", 500, "error", func(_ *kittest.Backend, b *kittest.Browser, accept string) (int, http.Header, string) {
		return answered(b.Get("/mistake", "Accept", accept))
	}},
	{"cross-origin", 403, "cross-origin", func(_ *kittest.Backend, b *kittest.Browser, accept string) (int, http.Header, string) {
		return answered(b.Post("/who", nil, "Accept", accept, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"))
	}},
	{"forbidden", 403, "forbidden", func(_ *kittest.Backend, b *kittest.Browser, accept string) (int, http.Header, string) {
		return answered(b.Get("/admin", "Accept", accept))
	}},
	{"not signed in", 401, "not-signed-in", func(_ *kittest.Backend, b *kittest.Browser, accept string) (int, http.Header, string) {
		return answered(kittest.NewBrowser(b.T, b.Handler).Get("/guarded", "Accept", accept))
	}},
}

func answered(w *httptest.ResponseRecorder) (int, http.Header, string) {
	r := w.Result()
	body, _ := io.ReadAll(r.Body) // of a recorder
	_ = r.Body.Close()
	return r.StatusCode, r.Header, string(body)
}

// newFailing returns a site in which everything can fail, and a browser that is
// signed in.
func newFailing(t *testing.T, config sessionkit.Config) (*kittest.Backend, *kittest.Browser) {
	t.Helper()
	s := kittest.NewBackend()
	r := gin.New()
	r.Use(gin.RecoveryWithWriter(io.Discard), sessionkit.Sessions(kittest.StoreOver(s), config))
	shown := func(c *gin.Context) {
		c.SetCookie("handlers", "x", 0, "/", "", true, true)
		c.Header("Location", "/handlers")
		kittest.Whoami(c)
		c.String(http.StatusOK, "the handler's page")
	}
	r.GET("/login", kittest.SignIn("42"))
	r.Any("/who", shown)
	r.GET("/change", kittest.Increment, shown)
	r.GET("/mistake", func(c *gin.Context) { sessionkit.Login(c, "") }, shown)
	r.GET("/guarded", sessionkit.RequireSession(), shown)
	r.GET("/admin", sessionkit.RequireSession(sessionkit.GuardConfig{
		LoginURL: "/login", Check: func(*gin.Context) bool { return false },
	}), shown)
	b := kittest.NewBrowser(t, r)
	b.Get("/login")
	return s, b
}

// TestPagesForPeople: who navigates gets a page and a program gets a problem
// document, whatever it is that the middleware answers, and once.
func TestPagesForPeople(t *testing.T) {
	own := func(c *gin.Context, p sessionkit.Problem) {
		c.Header("X-Own", "1")
		c.Data(p.Status, "text/html", []byte("<h1>own page: "+p.Reason+"</h1>"))
	}
	writes := func(c *gin.Context, err error) { c.String(http.StatusTeapot, "OnError: "+err.Error()) }
	quiet := func(*gin.Context, error) {}
	for _, failure := range failures {
		for name, test := range map[string]struct {
			accept string
			config sessionkit.Config
			want   string // of the body
		}{
			"program":                          {asProgram, sessionkit.Config{OnError: quiet}, `"reason":"` + failure.reason + `"`},
			"program, with an ErrorPage":       {asProgram, sessionkit.Config{OnError: quiet, ErrorPage: own}, `"reason":"` + failure.reason + `"`},
			"page":                             {asPage, sessionkit.Config{OnError: quiet}, "<h1>" + http.StatusText(failure.status) + "</h1>"},
			"page, with an ErrorPage":          {asPage, sessionkit.Config{OnError: quiet, ErrorPage: own}, "<h1>own page: " + failure.reason + "</h1>"},
			"page, and OnError writes":         {asPage, sessionkit.Config{OnError: writes}, "<h1>" + http.StatusText(failure.status) + "</h1>"},
			"program, and OnError writes":      {asProgram, sessionkit.Config{OnError: writes}, `"reason":"` + failure.reason + `"`},
			"ErrorPage and OnError write":      {asPage, sessionkit.Config{OnError: writes, ErrorPage: own}, "<h1>own page: " + failure.reason + "</h1>"},
			"an ErrorPage that writes nothing": {asPage, sessionkit.Config{OnError: quiet, ErrorPage: func(*gin.Context, sessionkit.Problem) {}}, "<h1>" + http.StatusText(failure.status) + "</h1>"},
			"an ErrorPage that panics":         {asPage, sessionkit.Config{OnError: quiet, ErrorPage: func(*gin.Context, sessionkit.Problem) { panic("oops") }}, "<h1>" + http.StatusText(failure.status) + "</h1>"},
			"an ErrorPage without a status": {asPage, sessionkit.Config{OnError: quiet, ErrorPage: func(c *gin.Context, _ sessionkit.Problem) {
				_, _ = c.Writer.WriteString("without a status")
			}}, "without a status"},
			"an ErrorPage that uses the session": {asPage, sessionkit.Config{OnError: quiet, ErrorPage: func(c *gin.Context, p sessionkit.Problem) {
				_, _ = sessionkit.User(c)
				own(c, p)
			}}, "<h1>own page: " + failure.reason + "</h1>"},
		} {
			t.Run(failure.name+", "+name, func(t *testing.T) {
				s, b := newFailing(t, test.config)
				code, header, body := failure.do(s, b, test.accept)
				assert.Equal(t, failure.status, code)
				assert.Contains(t, body, test.want)
				assert.NotContains(t, body, "handler's page")
				assert.NotContains(t, body, "OnError")
				assert.Equal(t, 1, strings.Count(body, "<h1>")+strings.Count(body, `"title"`)+strings.Count(body, "without a status"), "one answer: %s", body)
				assert.Equal(t, "no-store", header.Get("Cache-Control"))
				assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
				assert.Empty(t, header.Get("Location"), "nothing of the handler's goes out")
				assert.NotContains(t, strings.Join(header["Set-Cookie"], ""), "handlers=")
				assert.Equal(t, failure.status == http.StatusServiceUnavailable, header.Get("Retry-After") != "")
				if test.accept == asProgram {
					assert.Equal(t, "application/problem+json", header.Get("Content-Type"))
				}
			})
		}
	}
}

// TestDefaultPage: it needs nothing else, so that a strict policy leaves it whole.
func TestDefaultPage(t *testing.T) {
	s, b := newFailing(t, sessionkit.Config{OnError: func(*gin.Context, error) {}})
	s.Failing(errors.New("down"), "load")
	code, header, body := answered(b.Get("/who", "Sec-Fetch-Mode", "navigate"))
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
	assert.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
	for _, active := range []string{"<script", "<style", "style=", "src=", "http:", "https:", "onclick"} {
		assert.NotContains(t, body, active)
	}
	assert.Contains(t, body, `content="light dark"`)
	assert.Contains(t, body, `<a href="">Try again</a>`)
	_, _, body = answered(b.Post("/who", nil, "Sec-Fetch-Mode", "navigate"))
	assert.NotContains(t, body, "<a ", "the same address asked for again is not the form sent again")
}

// TestUnreadableSession: what was asked of a session that could not be read was not
// answered, so the handler's page does not go out, unless it has asked Err.
func TestUnreadableSession(t *testing.T) {
	asks := map[string]gin.HandlerFunc{
		"User":             func(c *gin.Context) { sessionkit.User(c) },
		"Current":          func(c *gin.Context) { sessionkit.Current(c) },
		"Key.Get":          func(c *gin.Context) { kittest.Count.Get(c) },
		"Key.Take":         func(c *gin.Context) { kittest.Count.Take(c) },
		"Flashes":          func(c *gin.Context) { sessionkit.Flashes(c) },
		"sessions.Default": func(c *gin.Context) { sessions.Default(c).Get("x") },
		"sessions.Flashes": func(c *gin.Context) { sessions.Default(c).Flashes() },
		"Devices":          func(c *gin.Context) { _, _ = sessionkit.Devices(c) },
		"Done":             func(c *gin.Context) { sessionkit.Done(c) },
		"Renew":            func(c *gin.Context) { sessionkit.Renew(c) },
		"Key.Update":       func(c *gin.Context) { _, _ = kittest.Count.Update(c, func(n int) int { return n + 1 }) },
	}
	changes := map[string]bool{"Renew": true, "Key.Update": true} // cannot be carried out, whoever is told
	for name, ask := range asks {
		for told, headers := range map[string][]string{"before": {"X-Err", "before"}, "after": {"X-Err", "after"}, "not": nil} {
			s := kittest.NewBackend()
			a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
			a.On("/login", kittest.SignIn("42"))
			a.On("/", func(c *gin.Context) {
				if c.GetHeader("X-Err") == "before" {
					assert.Error(t, sessionkit.Err(c))
				}
				ask(c)
				c.String(http.StatusOK, "Sign in")
				if c.GetHeader("X-Err") == "after" {
					assert.Error(t, sessionkit.Err(c))
				}
			})
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			before := b.Session()
			a.Errors()
			s.Failing(errors.New("down"), "load", "load fresh")
			w := b.Get("/", headers...)
			if told == "before" && !changes[name] {
				assert.Equal(t, http.StatusOK, w.Code, name)
			} else {
				assert.Equal(t, http.StatusServiceUnavailable, w.Code, "%s, Err: %s", name, told)
				assert.NotContains(t, w.Body.String(), "Sign in")
			}
			assert.NotEmpty(t, a.Errors())
			assert.Equal(t, before, b.Session(), "the cookie stays")
			s.Failing(nil)
			assert.Equal(t, http.StatusOK, b.Get("/").Code)
		}
	}
}

// TestErrInFrontOfAGuard: a log that asks Err does not answer in place of the guard.
func TestErrInFrontOfAGuard(t *testing.T) {
	asks := func(c *gin.Context) { _ = sessionkit.Err(c) }
	user := func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		c.String(http.StatusOK, "user %q", user)
	}
	for name, test := range map[string]struct {
		handlers gin.HandlersChain
		onError  bool
		failing  []string
	}{
		"in front of a guard":             {handlers: gin.HandlersChain{asks, sessionkit.RequireSession(), user}, failing: []string{"load", "load fresh"}},
		"before a guard has failed":       {handlers: gin.HandlersChain{asks, sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Hour}), user}, failing: []string{"load fresh"}},
		"in OnError, in front of a guard": {handlers: gin.HandlersChain{sessionkit.RequireSession(), user}, onError: true, failing: []string{"load", "load fresh"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := kittest.NewBackend()
			asked := false
			r := gin.New()
			r.Use(sessionkit.Sessions(kittest.StoreOver(s), sessionkit.Config{OnError: func(c *gin.Context, _ error) {
				if test.onError {
					asked = true
					assert.ErrorIs(t, sessionkit.Err(c), kittest.ErrDown)
				}
			}}))
			r.GET("/login", kittest.SignIn("42"))
			r.GET("/account", test.handlers...)
			b := kittest.NewBrowser(t, r)
			b.Get("/login")
			require.Equal(t, `user "42"`, b.Get("/account").Body.String())
			s.Failing(kittest.ErrDown, test.failing...)
			w := b.Get("/account")
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.NotEmpty(t, w.Header().Get("Retry-After"))
			assert.NotContains(t, w.Body.String(), "user ")
			assert.Equal(t, test.onError, asked)
		})
	}
}

// TestUnreadableSessionOverAStream: a connection is not taken over for somebody who
// is not known.
func TestUnreadableSessionOverAStream(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	var flushed, hijacked error
	a.On("/flush", func(c *gin.Context) {
		sessionkit.User(c)
		c.Writer.Flush()
		_, flushed = c.Writer.WriteString("data: hello\n\n")
	})
	a.On("/hijack", func(c *gin.Context) {
		sessionkit.User(c)
		_, _, hijacked = c.Writer.Hijack()
	})
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	s.Failing(errors.New("down"), "load")
	for path, err := range map[string]*error{"/flush": &flushed, "/hijack": &hijacked} {
		w := b.Get(path)
		assert.Equal(t, http.StatusServiceUnavailable, w.Code, path)
		require.Error(t, *err, path)
		assert.NotContains(t, w.Body.String(), "hello")
	}
}

// TestSignOutInFrontOfAGuard: one that a middleware has asked for, as for an account that is blocked, also
// holds if the guard could record the use early and another tab renews the session meanwhile.
func TestSignOutInFrontOfAGuard(t *testing.T) {
	for name, front := range map[string]gin.HandlerFunc{"logout": sessionkit.Logout, "another user": kittest.SignIn("other")} {
		for idle, why := range map[time.Duration]string{10 * time.Minute: "no early touch", 40 * time.Minute: "early touch"} {
			t.Run(name+" "+why, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := memstore.New()
					defer func() { assert.NoError(t, s.Close()) }()
					a := kittest.NewSite(s, sessionkit.Config{Lifetime: 7 * 24 * time.Hour, VisitorFor: 30 * 24 * time.Hour})
					var meanwhile func()
					a.On("/login", kittest.SignIn("42"))
					a.On("/", kittest.Whoami)
					a.On("/renew", sessionkit.Renew)
					a.POST("/slow", front, sessionkit.RequireSession(sessionkit.GuardConfig{Check: func(*gin.Context) bool { return true }}),
						func(c *gin.Context) { meanwhile(); c.Status(http.StatusOK) })
					b := kittest.NewBrowser(t, a)
					b.Get("/login")
					b.Use(24*time.Hour-5*time.Minute, 20*time.Minute)
					b.Get("/")
					time.Sleep(idle)
					other := b.Fork()
					meanwhile = func() { assert.Equal(t, 200, other.Get("/renew").Code) }
					assert.Equal(t, 200, b.Post("/slow", nil).Code)
					assert.Empty(t, other.Get("/").Body.String(), "the sign-out must hold")
					assert.Empty(t, kittest.UserSessions(t, s, "42"))
				})
			})
		}
	}
}
