package sessionkit_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
)

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
	do     func(s *backend, b *browser, accept string) (code int, header http.Header, body string)
}{
	{"load", 503, "unavailable", func(s *backend, b *browser, accept string) (int, http.Header, string) {
		s.failing(errors.New("down"), "load")
		return answered(b.get("/who", "Accept", accept))
	}},
	{"guarded load", 503, "unavailable", func(s *backend, b *browser, accept string) (int, http.Header, string) {
		s.failing(errors.New("down"), "load")
		return answered(b.get("/guarded", "Accept", accept))
	}},
	{"save", 503, "unavailable", func(s *backend, b *browser, accept string) (int, http.Header, string) {
		s.failing(errors.New("down"), "update")
		return answered(b.get("/change", "Accept", accept))
	}},
	{"mistake", 500, "error", func(_ *backend, b *browser, accept string) (int, http.Header, string) {
		return answered(b.get("/mistake", "Accept", accept))
	}},
	{"cross-origin", 403, "cross-origin", func(_ *backend, b *browser, accept string) (int, http.Header, string) {
		return answered(b.post("/who", nil, "Accept", accept, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"))
	}},
	{"forbidden", 403, "forbidden", func(_ *backend, b *browser, accept string) (int, http.Header, string) {
		return answered(b.get("/admin", "Accept", accept))
	}},
	{"not signed in", 401, "not-signed-in", func(_ *backend, b *browser, accept string) (int, http.Header, string) {
		return answered(newBrowser(b.t, b.handler).get("/guarded", "Accept", accept))
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
func newFailing(t *testing.T, config sessionkit.Config) (*backend, *browser) {
	t.Helper()
	s := newBackend()
	r := gin.New()
	r.Use(gin.RecoveryWithWriter(io.Discard), sessionkit.Sessions(storeOver(s), config))
	shown := func(c *gin.Context) {
		c.SetCookie("handlers", "x", 0, "/", "", true, true)
		c.Header("Location", "/handlers")
		whoami(c)
		c.String(http.StatusOK, "the handler's page")
	}
	r.GET("/login", signIn("42"))
	r.Any("/who", shown)
	r.GET("/change", increment, shown)
	r.GET("/mistake", func(c *gin.Context) { sessionkit.Login(c, "") }, shown)
	r.GET("/guarded", sessionkit.RequireSession(), shown)
	r.GET("/admin", sessionkit.RequireSession(sessionkit.GuardConfig{
		LoginURL: "/login", Check: func(*gin.Context) bool { return false },
	}), shown)
	b := newBrowser(t, r)
	b.get("/login")
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
	s.failing(errors.New("down"), "load")
	code, header, body := answered(b.get("/who", "Sec-Fetch-Mode", "navigate"))
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
	assert.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
	for _, active := range []string{"<script", "<style", "style=", "src=", "http:", "https:", "onclick"} {
		assert.NotContains(t, body, active)
	}
	assert.Contains(t, body, `content="light dark"`)
	assert.Contains(t, body, `<a href="">Try again</a>`)
	_, _, body = answered(b.post("/who", nil, "Sec-Fetch-Mode", "navigate"))
	assert.NotContains(t, body, "<a ", "the same address asked for again is not the form sent again")
}

// TestUnreadableSession: what was asked of a session that could not be read was not
// answered, so the handler's page does not go out, unless it has asked Err.
func TestUnreadableSession(t *testing.T) {
	asks := map[string]gin.HandlerFunc{
		"User":             func(c *gin.Context) { sessionkit.User(c) },
		"Current":          func(c *gin.Context) { sessionkit.Current(c) },
		"Key.Get":          func(c *gin.Context) { count.Get(c) },
		"Key.Take":         func(c *gin.Context) { count.Take(c) },
		"Flashes":          func(c *gin.Context) { sessionkit.Flashes(c) },
		"sessions.Default": func(c *gin.Context) { sessions.Default(c).Get("x") },
		"sessions.Flashes": func(c *gin.Context) { sessions.Default(c).Flashes() },
		"Devices":          func(c *gin.Context) { _, _ = sessionkit.Devices(c) },
		"Done":             func(c *gin.Context) { sessionkit.Done(c) },
		"Renew":            func(c *gin.Context) { sessionkit.Renew(c) },
		"Key.Update":       func(c *gin.Context) { _, _ = count.Update(c, func(n int) int { return n + 1 }) },
	}
	changes := map[string]bool{"Renew": true, "Key.Update": true} // cannot be carried out, whoever is told
	for name, ask := range asks {
		for told, headers := range map[string][]string{"before": {"X-Err", "before"}, "after": {"X-Err", "after"}, "not": nil} {
			s := newBackend()
			a := newSite(storeOver(s), sessionkit.Config{})
			a.on("/login", signIn("42"))
			a.on("/", func(c *gin.Context) {
				if c.GetHeader("X-Err") == "before" {
					assert.Error(t, sessionkit.Err(c))
				}
				ask(c)
				c.String(http.StatusOK, "Sign in")
				if c.GetHeader("X-Err") == "after" {
					assert.Error(t, sessionkit.Err(c))
				}
			})
			b := newBrowser(t, a)
			b.get("/login")
			before := b.session()
			a.errors()
			s.failing(errors.New("down"), "load", "load fresh")
			w := b.get("/", headers...)
			if told == "before" && !changes[name] {
				assert.Equal(t, http.StatusOK, w.Code, name)
			} else {
				assert.Equal(t, http.StatusServiceUnavailable, w.Code, "%s, Err: %s", name, told)
				assert.NotContains(t, w.Body.String(), "Sign in")
			}
			assert.NotEmpty(t, a.errors())
			assert.Equal(t, before, b.session(), "the cookie stays")
			s.failing(nil)
			assert.Equal(t, http.StatusOK, b.get("/").Code)
		}
	}
}

// TestUnreadableSessionOverAStream: a connection is not taken over for somebody who
// is not known.
func TestUnreadableSessionOverAStream(t *testing.T) {
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{})
	a.on("/login", signIn("42"))
	var flushed, hijacked error
	a.on("/flush", func(c *gin.Context) {
		sessionkit.User(c)
		c.Writer.Flush()
		_, flushed = c.Writer.WriteString("data: hello\n\n")
	})
	a.on("/hijack", func(c *gin.Context) {
		sessionkit.User(c)
		_, _, hijacked = c.Writer.Hijack()
	})
	b := newBrowser(t, a)
	b.get("/login")
	s.failing(errors.New("down"), "load")
	for path, err := range map[string]*error{"/flush": &flushed, "/hijack": &hijacked} {
		w := b.get(path)
		assert.Equal(t, http.StatusServiceUnavailable, w.Code, path)
		require.Error(t, *err, path)
		assert.NotContains(t, w.Body.String(), "hello")
	}
}
