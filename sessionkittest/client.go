package sessionkittest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/inside"
)

// A Client sends requests to a router, without a network, and keeps cookies as a
// browser does. It follows no redirects. Its methods may be called by several
// goroutines at the same time.
type Client struct {
	// Jar holds the cookies. An [http.Client] with this Jar and a server of the same
	// router at the same address, see [At], is in the same session.
	Jar http.CookieJar

	tb     testing.TB
	router http.Handler
	site   string
	base   *url.URL

	mu    sync.Mutex
	begin []func(*gin.Context) // what the session begins with; nil: it has begun
	way   *http.Request        // a request that passes the middleware; nil: none is known

	reading sync.Mutex // held while Flashes reads the messages and puts them back
}

func newClient(tb testing.TB, router http.Handler, options []Option, begin ...func(*gin.Context)) *Client {
	tb.Helper()
	jar, _ := cookiejar.New(nil) // it never fails
	c := &Client{Jar: jar, tb: tb, router: router, site: "https://example.com", begin: begin}
	for _, option := range options {
		option(c)
	}
	var err error
	if c.base, err = url.Parse(c.site); err != nil || c.base.Host == "" || c.base.Scheme != "http" && c.base.Scheme != "https" {
		tb.Fatalf("sessionkittest: At(%q): it must be a scheme and a host, such as http://localhost:8080", c.site)
	}
	probe := httptest.NewRequestWithContext(c.tb.Context(), http.MethodGet, "/-/sessionkittest", nil) // a page that hardly exists
	if w, passed := c.send(c.prepare(probe), c.start); passed {
		c.passed(probe, w)
	}
	return c
}

// start makes the session what the options say. It runs inside a request.
func (c *Client) start(gc *gin.Context) {
	for _, f := range c.begin {
		f(gc)
	}
}

// passed notes that the start of the session has run inside a request, which was
// answered with w.
func (c *Client) passed(r *http.Request, w *httptest.ResponseRecorder) {
	c.tb.Helper()
	c.way = r
	begun := len(c.begin) > 0
	c.begin = nil
	if !begun {
		return
	}
	if w.Code >= http.StatusBadRequest {
		c.tb.Fatalf("sessionkittest: the session could not be begun: %d %s", w.Code, w.Body)
	}
	if c.found() { //nolint:contextcheck // its request has one
		return
	}
	for _, cookie := range cookiesOf(w) { // it may be one of another Path
		c.way = r.Clone(r.Context())
		c.way.URL.Path = cookie.Path
		if c.found() { //nolint:contextcheck // as above
			return
		}
	}
	c.tb.Fatalf("sessionkittest: the session could not be begun: the router sent no cookie that a browser sends back to %s; "+
		"over plain HTTP that takes localhost or Config.InsecureHTTP", c.base)
}

// found reports whether the client's requests are found to have a session.
func (c *Client) found() bool {
	id := ""
	c.send(c.prepare(c.way), func(gc *gin.Context) {
		passive(gc)
		id = sessionkit.Current(gc).ID
	})
	return id != ""
}

func cookiesOf(w *httptest.ResponseRecorder) []*http.Cookie {
	response := w.Result()
	_ = response.Body.Close() // a recorder needs none
	return response.Cookies()
}

// Get opens a page, as a browser does for someone who types its address.
func (c *Client) Get(target string) *httptest.ResponseRecorder {
	c.tb.Helper()
	r := httptest.NewRequestWithContext(c.tb.Context(), http.MethodGet, target, nil)
	return c.Do(navigating(r, "none"))
}

// Post sends a form, as a browser does from a page of the site.
func (c *Client) Post(target string, form url.Values) *httptest.ResponseRecorder {
	c.tb.Helper()
	r := httptest.NewRequestWithContext(c.tb.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", c.site)
	return c.Do(navigating(r, "same-origin"))
}

// navigating adds to a request what a browser sends for a page.
func navigating(r *http.Request, site string) *http.Request {
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", site)
	return r
}

// Do sends any request as it is, with the client's cookies besides its own: that of
// a script, for instance, which wants JSON. A request of a path alone goes to the
// client's site. The request may be one of [http.NewRequest] or of [httptest.NewRequest].
func (c *Client) Do(r *http.Request) *httptest.ResponseRecorder {
	c.tb.Helper()
	pause()
	if r.Body == nil {
		r.Body = http.NoBody // as a server does
	}
	if w := c.beginBy(r); w != nil {
		return w
	}
	w, _ := c.send(c.prepare(r), nil)
	return w
}

// beginBy begins the session inside a request, unless it has begun. If the way does not lead
// through the middleware, it returns the handler's answer, else nil.
func (c *Client) beginBy(r *http.Request) *httptest.ResponseRecorder {
	c.tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.way != nil {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.tb.Fatalf("sessionkittest: reading the body: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	w, passed := c.send(c.prepare(r), c.start)
	if !passed {
		return w
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	way := r.Clone(context.WithoutCancel(r.Context())) // which may be over when Within needs it
	way.Body, way.ContentLength = http.NoBody, 0
	c.passed(way, w)
	return nil
}

// pause lets the clock of a bubble go on. There it stands still while requests are
// served, so that a sign-in could not be told from one that a LogoutEverywhere just
// before it is to end.
func pause() { time.Sleep(5 * time.Microsecond) }

// prepare returns a copy of a request, addressed to the client's site unless it is
// addressed already, with the client's cookies, and with what a server adds to a request
// of [http.NewRequest].
func (c *Client) prepare(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	at := r.URL
	if at.Host == "" {
		at = c.base.ResolveReference(at)
		r.Host, r.TLS = c.base.Host, nil
	}
	if at.Scheme == "https" && r.TLS == nil {
		r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: at.Hostname()}
	}
	r.RequestURI = cmp.Or(r.RequestURI, r.URL.RequestURI())
	r.RemoteAddr = cmp.Or(r.RemoteAddr, "192.0.2.1:1234") // as that of a request of httptest
	for _, cookie := range c.Jar.Cookies(at) {
		r.AddCookie(cookie)
	}
	return r
}

// send has the router serve a request, with f in place of the handlers unless it
// is nil. It reports whether f has run.
func (c *Client) send(r *http.Request, f func(*gin.Context)) (w *httptest.ResponseRecorder, ran bool) {
	if f != nil {
		r = r.WithContext(inside.With(r.Context(), func(gc *gin.Context) {
			gc.Status(http.StatusOK) // though there may be no such page
			f(gc)
			ran = true
		}))
	}
	w = httptest.NewRecorder()
	c.router.ServeHTTP(staying{w}, r)
	at := r.URL
	if at.Host == "" {
		at = c.base.ResolveReference(at)
	}
	c.Jar.SetCookies(at, cookiesOf(w))
	return w, ran
}

// staying is a response whose client does not go, which [gin.Context.Stream] asks it.
type staying struct{ *httptest.ResponseRecorder }

func (staying) CloseNotify() <-chan bool { return nil }

// Within runs f inside a request of the client, in place of all that stands behind
// [sessionkit.Sessions]: all of sessionkit can be called there. Middleware before it
// runs first, and middleware behind it does not run. Within returns what the client is
// answered.
//
//	client.Within(func(c *gin.Context) {
//		sessionkit.Login(c, "42", sessionkit.Remember())
//		sessionkit.Flash(c, sessionkit.Info, "Hello again")
//	})
func (c *Client) Within(f func(*gin.Context)) *httptest.ResponseRecorder {
	c.tb.Helper()
	pause()
	c.mu.Lock()
	way := c.way
	c.mu.Unlock()
	if way == nil {
		c.tb.Fatalf("sessionkittest: no request of this client has passed sessionkit.Sessions; if it stands on a group, send a request to the group first")
	}
	w, ran := c.send(c.prepare(way), f)
	if !ran {
		c.tb.Fatalf("sessionkittest: %s %s was answered before it came to sessionkit.Sessions: %d %s", way.Method, way.URL, w.Code, w.Body)
	}
	return w
}

// look runs f inside a request that does not count as use of the session.
func (c *Client) look(f func(*gin.Context)) {
	c.tb.Helper()
	var err error
	c.Within(func(gc *gin.Context) {
		passive(gc)
		if err = sessionkit.Err(gc); err == nil {
			f(gc)
		}
	})
	if err != nil {
		c.tb.Fatalf("sessionkittest: %v", err)
	}
}

var passive = sessionkit.RequireSession(sessionkit.GuardConfig{
	Passive:  true,
	Check:    func(*gin.Context) bool { return true },
	OnDenied: func(*gin.Context, sessionkit.Denial) {},
})

// Session describes the client's session. Its User is empty where nobody is signed
// in, and its ID where there is no session.
func (c *Client) Session() (s sessionkit.Session) {
	c.tb.Helper()
	c.look(func(gc *gin.Context) { s = sessionkit.Current(gc) })
	return s
}

// Flashes returns the messages that the next page is to show. They are left for
// it.
func (c *Client) Flashes() (messages []sessionkit.FlashMessage) {
	c.tb.Helper()
	c.reading.Lock() // two that read the same messages would both put them back
	defer c.reading.Unlock()
	c.look(func(gc *gin.Context) {
		messages = sessionkit.Flashes(gc)
		sessionkit.KeepFlashes(gc)
	})
	return messages
}
