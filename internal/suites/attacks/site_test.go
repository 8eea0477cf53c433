package attacks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// crossSite are the ways in which a page of another site makes a browser send an
// unsafe request, by browsers of now and of before Sec-Fetch headers.
var crossSite = map[string][]string{
	"cross-site":                          {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
	"cross-site without Origin":           {"Sec-Fetch-Site", "cross-site"},
	"cross-site from a sandboxed frame":   {"Sec-Fetch-Site", "cross-site", "Origin", "null"},
	"same-site, from a subdomain":         {"Sec-Fetch-Site", "same-site", "Origin", "https://sub.example.com"},
	"same-site, from another port":        {"Sec-Fetch-Site", "same-site", "Origin", "https://example.com:8443"},
	"without Sec-Fetch":                   {"Origin", "https://evil.example"},
	"without Sec-Fetch, from a subdomain": {"Origin", "https://sub.example.com"},
	"without Sec-Fetch, other port":       {"Origin", "https://example.com:8443"},
	"without Sec-Fetch, name as prefix":   {"Origin", "https://example.com.evil.example"},
	"without Sec-Fetch, Origin null":      {"Origin", "null"},
	"Origin that is no URL":               {"Origin", "https://example.com:x"},
	"unknown Sec-Fetch-Site":              {"Sec-Fetch-Site", "nowhere", "Origin", "https://example.com"},
}

func TestAttackCrossSiteRequest(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewSite(s, sessionkit.Config{TrustedOrigins: []string{"https://app.example.org"}})
		a.On("/start", kittest.SignIn("42"))
		a.On("/", func(c *gin.Context) {
			user, _ := sessionkit.User(c)
			n, _ := kittest.Count.Get(c)
			c.String(http.StatusOK, "%s %d", user, n)
		})
		for path, handler := range map[string]gin.HandlerFunc{"/set": kittest.Increment, "/logout": sessionkit.Logout, "/login": kittest.SignIn("mallory")} {
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				a.Handle(method, path, handler)
			}
		}
		b := kittest.NewBrowser(t, a)
		b.Get("/start")
		for name, headers := range crossSite {
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				for _, path := range []string{"/set", "/logout", "/login"} { // the last is login CSRF: the victim works in the attacker's account
					w := b.Do(b.Request(method, path, headers...))
					assert.Equal(t, http.StatusForbidden, w.Code, "%s: %s %s", name, method, path)
					assert.Empty(t, w.Header()["Set-Cookie"])
				}
			}
			assert.Equal(t, "42 0", b.Get("/", headers...).Body.String(), "%s: nothing was done, and links from there still work", name)
		}
		for _, headers := range [][]string{
			{"Sec-Fetch-Site", "same-origin", "Origin", "https://example.com"},
			{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example.org"},
			{"Origin", "https://example.com"},
			nil,
		} {
			before := b.Get("/").Body.String()
			assert.Equal(t, http.StatusNoContent, b.Do(b.Request(http.MethodPost, "/set", headers...)).Code)
			assert.NotEqual(t, before, b.Get("/").Body.String(), "the site's own requests work: %s", headers)
		}
	})
}

// TestAttackCrossSiteMethod: a middleware takes the method from the query, and has the request served
// once more by that. A link of another site does not become a DELETE.
func TestAttackCrossSiteMethod(t *testing.T) {
	for how, again := range map[string]func(a *kittest.Site, c *gin.Context){
		"HandleContext": func(a *kittest.Site, c *gin.Context) { a.HandleContext(c) },
		"ServeHTTP":     func(a *kittest.Site, c *gin.Context) { a.ServeHTTP(c.Writer, c.Request) },
	} {
		for what, before := range map[string]gin.HandlerFunc{"nothing is changed": func(*gin.Context) {}, "a visit is counted": kittest.Increment} {
			t.Run(how+", "+what, func(t *testing.T) {
				a := kittest.NewSite(memstore.New(), sessionkit.Config{})
				a.Use(before, func(c *gin.Context) {
					if method := c.Query("_method"); method != "" && c.Request.Method == http.MethodGet {
						c.Request.Method = method
						again(a, c)
						c.Abort()
					}
				})
				a.GET("/login", kittest.SignIn("42"))
				a.GET("/account", kittest.Whoami)
				deleted := ""
				a.DELETE("/account", func(c *gin.Context) {
					deleted, _ = sessionkit.User(c)
					c.Status(http.StatusNoContent)
				})
				b := kittest.NewBrowser(t, a)
				b.Get("/login")
				w := b.Get("/account?_method=DELETE", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
				assert.Equal(t, http.StatusForbidden, w.Code)
				assert.Empty(t, deleted)
				assert.Contains(t, a.Kinds(), sessionkit.EventCrossOrigin)
				assert.Equal(t, "42", b.Get("/account").Body.String())
				b.Get("/account?_method=DELETE", "Sec-Fetch-Site", "same-origin")
				assert.Equal(t, "42", deleted, "the site's own links may do that")
			})
		}
	}
}

// TestAttackLongLogLine: what a refused request says of itself makes no long line in the log.
func TestAttackLongLogLine(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.NoRoute(kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	long := strings.Repeat("X", 1_000_000)
	w := b.Do(b.Request(long, "/"+long, "Origin", "https://"+long, "Sec-Fetch-Site", "cross-site", "Referer", "https://"+long))
	assert.Equal(t, http.StatusForbidden, w.Code)
	errs := a.Errors()
	require.Len(t, errs, 1)
	assert.Less(t, len(errs[0].Error()), 1_000)
}

func TestAttackOpenRedirect(t *testing.T) {
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.Any("/in", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/fallback")) })
	guard := sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/in"})
	a.NoRoute(guard)
	refused := 0
	for _, trick := range kittest.OpenRedirects {
		trick = strings.ReplaceAll(trick, "HOST", "evil.example")
		b := kittest.NewBrowser(t, a)
		for how, w := range map[string]*httptest.ResponseRecorder{
			"query":        b.Get("/in?next=" + url.QueryEscape(trick)),
			"form":         b.Post("/in", url.Values{"next": {trick}}),
			"both":         b.Post("/in?next="+url.QueryEscape(trick), url.Values{"next": {trick}}),
			"second":       b.Get("/in?next=&next=" + url.QueryEscape(trick)),
			"as it stands": b.Do(rawRequest("/in?next=" + trick)),
		} {
			require.Equal(t, http.StatusSeeOther, w.Code)
			location := w.Header().Get("Location")
			assert.False(t, kittest.LeavesSite(location), "%s: %q: %q", how, trick, location)
			assert.Equal(t, byte('/'), location[0])
			if kittest.LeavesSite(trick) && how == "query" {
				assert.Equal(t, "/fallback", location, "%q", trick)
				refused++
			}
		}
		// The page that a visitor asked for, and the one that HTMX says it is on.
		for how, w := range map[string]*httptest.ResponseRecorder{
			"page":           b.Do(page(rawRequest(trick))),
			"HTMX":           b.Get("/page", "Hx-Request", "true", "Hx-Current-Url", trick),
			"HTMX, own host": b.Get("/page", "Hx-Request", "true", "Hx-Current-Url", "https://example.com"+trick),
		} {
			to := w.Header().Get("Location") + w.Header().Get("Hx-Redirect")
			if to == "" {
				continue // not a request that is sent to sign in
			}
			u, err := url.Parse(to)
			require.NoError(t, err)
			assert.Equal(t, "/in", u.Path, "%s: %q", how, trick)
			assert.False(t, kittest.LeavesSite(u.Query().Get("next")), "%s: %q: %q", how, trick, to)
			after := b.Get(u.String()).Header().Get("Location")
			assert.False(t, kittest.LeavesSite(after), "%s: %q leads to %q", how, trick, after)
		}
	}
	assert.Greater(t, refused, 60)
}

// rawRequest returns a request whose target is not cleaned, as net/http's server
// reads it, or one for / where no server would take it.
func rawRequest(target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	r.RequestURI = target
	if u, err := url.ParseRequestURI(target); err == nil {
		r.URL = u
	} else if path, query, ok := strings.Cut(target, "?"); ok {
		r.URL.Path, r.URL.RawQuery = path, query
	}
	return r
}

func page(r *http.Request) *http.Request {
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	return r
}

// TestAttackOpenRedirectByBrowsersRules: of addresses put together at random no
// redirect leaves the site, judged by a URL parser of the kind that browsers have.
// ADDRESSES=1500000 tries that many.
func TestAttackOpenRedirectByBrowsersRules(t *testing.T) {
	pieces := []string{
		"/", "//", "///", `\`, `\/`, "?", "#", ".", "..", "./", "../", "/.", "/..", "@", ":", ";", "&", "=", "evil.example", "EVIL.example",
		"http:", "https:", "javascript:", "data:", "%2f", "%2F", "%5c", "%5C", "%2e", "%2E%2e", "%09", "%0a", "%0D", "%00", "%25", "%252f", "%", "%zz",
		"\t", "\n", "\r", " ", "\x00", "\u0085", "\u00a0", "\u2028", "ä", "／", "。", "a", "b c", "1", "[::1]", "example.com", "next=//evil.example",
	}
	n, _ := strconv.Atoi(os.Getenv("ADDRESSES"))
	if n == 0 {
		n = 60_000
	}
	a := kittest.NewSite(memstore.New(), sessionkit.Config{})
	a.GET("/in", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/fallback")) })
	random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- for the same addresses each time
	var locations bytes.Buffer
	local := 0
	for range n {
		next := ""
		for range 1 + random.IntN(6) {
			next += pieces[random.IntN(len(pieces))]
		}
		if random.IntN(2) == 0 {
			next = "/" + next
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/in?next="+url.QueryEscape(next), nil))
		location := w.Header().Get("Location")
		if location != "/fallback" {
			local++
		}
		line, err := json.Marshal([]string{next, location})
		require.NoError(t, err)
		locations.Write(append(line, '\n'))
	}
	assert.Greater(t, local, n/20, "the test tries addresses that are let through")
	left := testserver.NodeScript(t, `
		for (const line of require("fs").readFileSync(0, "utf8").split("\n").filter(Boolean)) {
			const [next, location] = JSON.parse(line)
			const decoded = location.split("?")[0].replace(/%([0-9a-f]{2})/gi, (_, h) => String.fromCharCode(parseInt(h, 16)))
			for (const l of [location, decoded]) { // somebody on the way may decode the path
				let origin = "none"
				try { origin = new URL(l, "https://example.com/in").origin } catch {}
				if (origin !== "https://example.com") console.log(JSON.stringify([next, location, origin]))
			}
		}`, &locations)
	assert.Empty(t, string(left))
}

// TestAttackHeaderInjection puts line breaks wherever a request, or a value that
// came from one, reaches the header of a response.
func TestAttackHeaderInjection(t *testing.T) {
	const inject = "x\r\nX-Injected: 1\r\nSet-Cookie: evil=1\r\n\r\n<script>"
	var breaks []string
	for _, form := range []string{inject, "x\nX-Injected: 1", "x\rX-Injected: 1", "x\x00X-Injected: 1", "x\u560a\u560dX-Injected: 1", "x; Domain=evil.example", `x"; Path=/evil`, "x, evil=1", url.QueryEscape(inject)} {
		breaks = append(breaks, form, "/"+form)
	}
	theme := sessionkit.NewCookie[string]("theme")
	sealed := sessionkit.NewCookie[string]("sealed", sessionkit.CookieOptions{Protection: sessionkit.Encrypted})
	a := kittest.NewSite(memstore.New(), sessionkit.Config{Secrets: [][]byte{kittest.SecretA}, TokenHeader: "X-Session-Token", ClearSiteData: []string{"cache"}})
	var text string
	a.NoRoute(sessionkit.RequireSession(sessionkit.GuardConfig{LoginURL: "/in"}))
	a.Any("/in", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, sessionkit.NextURL(c, "/fallback")) })
	a.Any("/login", func(c *gin.Context) {
		sessionkit.Login(c, text)
		sessionkit.Flash(c, sessionkit.Level(text), text)
		kittest.Name.Set(c, text)
		assert.NoError(t, theme.Set(c, text))
		assert.NoError(t, sealed.Set(c, text))
		assert.NoError(t, sessionkit.SetCookie(c, "c", text))
		if strings.ContainsAny(text, "\r\n\x00;\", /") || strings.Contains(text, "\u560a") {
			assert.Error(t, sessionkit.SetCookie(c, text, "v"), "as a name")
			sessionkit.DeleteCookie(c, text)
		}
		assert.Error(t, sessionkit.SetCookie(c, "d", "v", sessionkit.CookieOptions{Domain: text}))
		if strings.ContainsAny(text, "\r\n\x00;") || text[0] != '/' {
			assert.Error(t, sessionkit.SetCookie(c, "d", "v", sessionkit.CookieOptions{Path: text}))
		}
	})
	server := httptest.NewServer(a)
	defer server.Close()
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	checkWritten := func(what string, header http.Header) {
		for field, lines := range header {
			assert.Equal(t, textproto.CanonicalMIMEHeaderKey(field), field, what)
			assert.NotEqual(t, "X-Injected", field, what)
			for _, line := range lines {
				assert.NotContains(t, line, "\r", "%s: %s", what, field)
				assert.NotContains(t, line, "\n", "%s: %s", what, field)
				assert.NotContains(t, line, "\x00", "%s: %s", what, field)
			}
		}
		for _, line := range header["Set-Cookie"] {
			c, err := http.ParseSetCookie(line)
			require.NoError(t, err, line)
			assert.Contains(t, []string{"theme", "sealed", "c", "d", kittest.SessionCookie, "session"}, c.Name, "%s: %s", what, line)
			assert.Empty(t, c.Domain, line)
			if c.Name == "theme" || c.Name == "c" {
				value, err := url.PathUnescape(c.Value)
				require.NoError(t, err)
				assert.Equal(t, text, value, "nothing of it was lost on the way")
			}
		}
	}
	for _, text = range breaks {
		for _, header := range []string{"", "Origin", "Referer", "User-Agent", "X-Session-Token", "Cookie", "Hx-Current-Url", "Accept"} {
			for _, path := range []string{"/login", "/in?next=" + url.QueryEscape(text), "/page?" + url.QueryEscape(text)} {
				r := httptest.NewRequest(http.MethodGet, "https://example.com"+path, nil)
				if header != "" {
					r.Header[header] = []string{text} // as no server would pass it on
				}
				if header == "Hx-Current-Url" {
					r.Header.Set("Hx-Request", "true")
				}
				w := httptest.NewRecorder()
				a.ServeHTTP(w, page(r))
				checkWritten(fmt.Sprintf("%q in %s of %s", text, header, path), w.Header())
			}
		}
		// On the wire it is one response with the header that was meant.
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/in?next="+url.QueryEscape(text), nil)
		require.NoError(t, err)
		res, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, http.StatusSeeOther, res.StatusCode)
		checkWritten("on the wire", res.Header)
	}
	for _, bad := range []sessionkit.Config{
		{Name: inject}, {Domain: inject}, {Path: "/" + inject}, {ClearSiteData: []string{inject}}, {TrustedOrigins: []string{inject}}, {TokenHeader: "X-" + inject},
	} {
		assert.Error(t, bad.Validate())
	}
}
