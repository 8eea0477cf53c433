package devicebound_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// patience is how long a busy machine may take.
const patience = 40 * time.Second

// boundCookie is the name of the bound cookie.
const boundCookie = "__Host-session-bound"

// chromium is a browser with a profile of its own, and one tab.
type chromium struct {
	t    *testing.T
	site string
	dir  string
	ctx  context.Context
	stop func()

	mu     sync.Mutex
	events []network.EventDeviceBoundSessionEventOccurred
}

func newChromium(t *testing.T, site string) *chromium {
	t.Helper()
	testserver.Chromium(t)
	b := &chromium{t: t, site: site, dir: t.TempDir()}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

// start starts the browser, with the profile that it had.
func (b *chromium) start() {
	b.t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"),
		chromedp.UserDataDir(b.dir),
		chromedp.Flag("enable-features", "DeviceBoundSessions:RefreshQuota/false,EnableBoundSessionCredentialsSoftwareKeysForManualTesting"))
	for flag, v := range testserver.ChromiumFlags() {
		options = append(options, chromedp.Flag(flag, v))
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator, chromedp.WithListener(b.hear))
	b.ctx = ctx
	b.stop = func() {
		closing, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_ = chromedp.Cancel(closing) // so that it writes its profile
		stop()
		stopAllocator()
		b.stop = func() {}
	}
	require.NoError(b.t, chromedp.Do(ctx))
	call(b, network.Enable, network.EnableParams{})
	call(b, network.EnableDeviceBoundSessions, network.EnableDeviceBoundSessionsParams{Enable: true})
}

// restart closes the browser and starts it again.
func (b *chromium) restart() {
	b.t.Helper()
	b.stop()
	b.start()
}

func (b *chromium) hear(event any) {
	if e, ok := event.(*network.EventDeviceBoundSessionEventOccurred); ok {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, *e)
	}
}

// heard returns the events of the browser's bindings so far, in short.
func (b *chromium) heard() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		s := ""
		switch {
		case e.CreationEventDetails != nil:
			s = fmt.Sprintf("creation: %s", e.CreationEventDetails.FetchResult)
		case e.RefreshEventDetails != nil:
			s = fmt.Sprintf("refresh: %s", e.RefreshEventDetails.RefreshResult)
			if e.RefreshEventDetails.FetchResult == "ServerRequestedTermination" {
				s = "refresh: ended by the server" // which Chromium counts as failed
				e.Succeeded = true
			}
			if e.RefreshEventDetails.WasFullyProactiveRefresh {
				s += ", proactive"
			}
		case e.ChallengeEventDetails != nil:
			s = fmt.Sprintf("challenge: %s", e.ChallengeEventDetails.ChallengeResult)
		case e.TerminationEventDetails != nil:
			s = fmt.Sprintf("termination: %s", e.TerminationEventDetails.DeletionReason)
		}
		if !e.Succeeded {
			s += ", failed"
		}
		list = append(list, s)
	}
	return list
}

// await waits for an event and returns the number of such events.
func (b *chromium) await(event string, n int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.number(event) >= n }, patience, 20*time.Millisecond, "%d of %q: %q", n, event, b.heard())
}

func (b *chromium) number(event string) (n int) {
	for _, e := range b.heard() {
		if e == event {
			n++
		}
	}
	return n
}

// flawless checks that the browser has complained of nothing.
func (b *chromium) flawless() {
	b.t.Helper()
	for _, e := range b.heard() {
		assert.NotContains(b.t, e, "failed", "%q", b.heard())
	}
}

func call[P, R any](b *chromium, command cdp.Command[P, R], parameters P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Call(ctx, command, parameters)
	require.NoError(b.t, err)
	return v
}

func (b *chromium) do(action chromedp.Action[chromedp.Void]) int {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, action)
	require.NoError(b.t, err)
	return int(response.Status)
}

func (b *chromium) open(path string) int { b.t.Helper(); return b.do(chromedp.Navigate(b.site + path)) }

func (b *chromium) press() int {
	b.t.Helper()
	return b.do(chromedp.Click(chromedp.CSS("button")))
}

func js[T any](b *chromium, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	return v
}

func (b *chromium) text() string { b.t.Helper(); return js[string](b, "document.body.innerText") }

// waitText waits until the page shows a text, also while the browser goes to another one.
func (b *chromium) waitText(text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		shown, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body?.innerText ?? ''"))
		if err == nil && strings.Contains(shown, text) {
			return
		}
		require.NoError(b.t, ctx.Err(), "waited for %q: %v", text, err)
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *chromium) path() string {
	b.t.Helper()
	return js[string](b, "location.pathname + location.search")
}

// cookies returns the cookies of the site.
func (b *chromium) cookies() map[string]*network.Cookie {
	b.t.Helper()
	m := make(map[string]*network.Cookie)
	for _, c := range call(b, network.GetCookies, network.GetCookiesParams{URLs: []string{b.site + "/"}}).Cookies {
		m[c.Name] = c
	}
	return m
}

// lose has the bound cookie end.
func (b *chromium) lose() {
	b.t.Helper()
	call(b, network.DeleteCookies, network.DeleteCookiesParams{Name: boundCookie, URL: b.site + "/"})
}

// put puts a cookie into the browser.
func (b *chromium) put(c *network.Cookie, left time.Duration) {
	b.t.Helper()
	yes := true
	call(b, network.SetCookie, network.SetCookieParams{
		Name: c.Name, Value: c.Value, URL: b.site + "/", Path: "/", Secure: &yes, HTTPOnly: &yes, SameSite: c.SameSite,
		Expires: cdp.TimeSinceEpoch(time.Now().Add(left).Unix()),
	})
}

// me returns the session as the API shows it.
func (b *chromium) me() (s sessionkit.Session) {
	b.t.Helper()
	text := js[string](b, "fetch('/api/me').then(r => r.text())")
	require.NoError(b.t, json.Unmarshal([]byte(text), &s), text)
	return s
}

// signIn signs in by the form, and waits for the registration.
func (b *chromium) signIn() {
	b.t.Helper()
	registered := b.number("creation: Success")
	b.open("/login")
	b.press()
	require.Equal(b.t, "/account", b.path())
	require.Contains(b.t, b.text(), "user: alice")
	b.await("creation: Success", registered+1)
}

// TestChromium is the life of a bound session in a browser.
func TestChromium(t *testing.T) {
	testserver.Slow(t)
	a, site := newSite(t)
	b := newChromium(t, site)
	b.signIn()
	assert.Equal(t, []sessionkit.EventKind{"created", "signed-in", "bound"}, a.heard())
	require.Contains(t, b.cookies(), boundCookie)
	registered := b.me()
	assert.True(t, registered.Bound)

	// Five requests at the same time cause one refresh.
	b.lose()
	before := a.count("POST /dbsc/refresh")
	assert.Equal(t, "200,200,200,200,200", js[string](b, "Promise.all([1,2,3,4,5].map(i => fetch('/api/me?' + i).then(r => r.status))).then(l => l.join())"))
	assert.Equal(t, 1, b.number("refresh: Refreshed"), "%q", b.heard())
	assert.Equal(t, 2, a.count("POST /dbsc/refresh")-before, "the first one gets a challenge")
	assert.True(t, b.me().ProvedAt.After(registered.ProvedAt))

	// A navigation waits for the refresh, which is one round trip from now on.
	for i := range 2 {
		b.lose()
		before = a.count("POST /dbsc/refresh")
		assert.Equal(t, 200, b.open("/account"))
		assert.Contains(t, b.text(), "user: alice")
		assert.Equal(t, 1, a.count("POST /dbsc/refresh")-before)
		assert.Equal(t, 2+i, b.number("refresh: Refreshed"))
	}

	// With less than two minutes left it refreshes beside the request.
	c := b.cookies()[boundCookie]
	b.put(c, time.Minute)
	assert.Equal(t, "alice", b.me().User)
	b.await("refresh: Refreshed, proactive", 1)
	assert.NotEqual(t, c.Value, b.cookies()[boundCookie].Value)
	assert.Equal(t, "alice", b.me().User)

	assert.Empty(t, a.heard())

	b.flawless()

	// The browser is closed and comes back.
	b.restart()
	b.lose()
	assert.Equal(t, 200, b.open("/account"))
	assert.Contains(t, b.text(), "user: alice")
	refreshed := b.number("refresh: Refreshed")
	assert.Empty(t, a.heard())

	// The sign-out ends it.
	b.press()
	assert.Equal(t, "/login", b.path())
	b.await("termination: ServerRequested", 1)
	assert.Empty(t, b.cookies())
	b.open("/account")
	assert.Contains(t, b.path(), "/login?")
	assert.LessOrEqual(t, b.number("refresh: Refreshed"), refreshed+1)
	assert.Equal(t, []sessionkit.EventKind{"signed-out"}, a.heard())

	// And the next sign-in begins anew.
	b.signIn()
	b.lose()
	assert.Equal(t, "alice", b.me().User)
	b.flawless()
}

// TestChromiumRedirected: gin redirects the browser's own requests to the path with a slash if
// there is such a route, and the browser follows.
func TestChromiumRedirected(t *testing.T) {
	testserver.Slow(t)
	a, site := newSite(t)
	a.POST("/:a/:b/", func(c *gin.Context) { c.AbortWithStatus(http.StatusTooManyRequests) })
	b := newChromium(t, site)
	b.signIn()
	for range 2 {
		b.lose()
		assert.Equal(t, "alice", b.me().User)
	}
	assert.Equal(t, 3, a.count("POST /dbsc/refresh/"))
	assert.Zero(t, a.count("POST /dbsc/refresh"))
	b.flawless()
}

// TestChromiumStreams: the browser refreshes before it opens a WebSocket or an EventSource.
func TestChromiumStreams(t *testing.T) {
	testserver.Slow(t)
	a, site := newSite(t)
	came := make(chan error, 2)
	a.GET("/stream", func(c *gin.Context) {
		_, err := c.Cookie(boundCookie)
		came <- err
		c.Status(http.StatusBadRequest)
	})
	b := newChromium(t, site)
	b.signIn()
	for n, open := range []string{"new WebSocket(location.origin.replace('https', 'wss') + '/stream')", "new EventSource('/stream')"} {
		b.lose()
		js[string](b, "new Promise(done => { "+open+".onerror = () => done('') })")
		assert.NoError(t, <-came, open)
		assert.Equal(t, n+1, b.number("refresh: Refreshed"), "%q", b.heard())
	}
	b.flawless()
}

// TestChromiumCopy: both cookies in another profile are good as long as the bound cookie
// is, and the first browser goes on.
func TestChromiumCopy(t *testing.T) {
	testserver.Slow(t)
	a, site := newSite(t)
	b, thief := newChromium(t, site), newChromium(t, site)
	b.signIn()
	id := b.me().ID
	for _, c := range b.cookies() {
		thief.put(c, 4*time.Minute)
	}
	assert.Equal(t, 200, thief.open("/account"))
	assert.Contains(t, thief.text(), "user: alice")
	a.heard()
	time.Sleep(time.Until(b.me().ProvedAt.Add(31 * time.Second))) // requests that the browser sent before the registration may arrive until then

	thief.lose() // as browsers do at its end
	thief.open("/account")
	assert.Equal(t, "/login?next=%2Faccount&reason=unbound", thief.path())
	a.mu.Lock()
	assert.Equal(t, sessionkit.Event{Kind: sessionkit.EventUnbound, User: "alice", SessionID: id}, a.events[0])
	a.mu.Unlock()
	assert.Empty(t, thief.heard(), "it has no key")

	b.lose()
	assert.Equal(t, 200, b.open("/account"))
	assert.Contains(t, b.text(), "user: alice")
	a.heard()

	// A link on another site leads here while the bound cookie is missing: the browser comes
	// again by itself, and refreshes then.
	other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "<!doctype html><link rel=icon href=data:,><a href=%q>here</a>", site+"/account?from=elsewhere&x=1#there")
	}))
	t.Cleanup(other.Close)
	refreshes := b.number("refresh: Refreshed")
	b.lose()
	b.do(chromedp.Navigate(other.URL)) // by its address, which is another site
	b.do(chromedp.Click(chromedp.CSS("a")))
	b.waitText("user: alice")
	assert.Equal(t, "/account?from=elsewhere&x=1", b.path())
	assert.Equal(t, refreshes+1, b.number("refresh: Refreshed"), "%q", b.heard())
	assert.Empty(t, a.heard())

	// A bound cookie that does not count any more is made anew on the way.
	c := b.cookies()[boundCookie]
	c.Value = "an old one"
	b.put(c, 4*time.Minute)
	a.heard()
	assert.Equal(t, 200, b.open("/account"))
	assert.Contains(t, b.text(), "user: alice")
	assert.Equal(t, []sessionkit.EventKind{"unbound"}, a.heard())
	b.flawless()
}

// TestChromiumFromAnotherOrigin: an application in the browser, at another origin of the
// site, calls this one: the browser refreshes for its requests as well. Origins of other
// sites and addresses in Config.TrustedOrigins do no harm.
func TestChromiumFromAnotherOrigin(t *testing.T) {
	testserver.Slow(t)
	pages := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, "<!doctype html><link rel=icon href=data:,>")
	}))
	t.Cleanup(pages.Close)
	origin := strings.Replace(pages.URL, "127.0.0.1", "localhost", 1)
	s := memstore.New()
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	a := newApp(s, origin, "https://elsewhere.example", "https://127.0.0.1:8443", "https://[::1]:8443")
	site := overTLS(t, a)
	b := newChromium(t, site)
	b.do(chromedp.Navigate(origin))
	status := func(method, path string) int {
		return js[int](b, fmt.Sprintf("fetch(%q, {method: %q, credentials: 'include', redirect: 'manual'}).then(r => r.status)", site+path, method))
	}
	status(http.MethodPost, "/login")
	b.await("creation: Success", 1)
	assert.Equal(t, 200, status(http.MethodGet, "/api/me"))
	time.Sleep(31 * time.Second) // requests that the browser sent before the registration may arrive until then
	b.lose()
	a.heard()
	assert.Equal(t, 200, status(http.MethodGet, "/api/me"), "%q", b.heard())
	assert.Empty(t, a.heard())
	b.flawless()
}

// TestChromiumFromPlainHTTP: the pages of Config.TrustedOrigins that have no HTTPS are another site's to
// the browser, also on this host. A link there does not end the binding.
func TestChromiumFromPlainHTTP(t *testing.T) {
	testserver.Slow(t)
	site := ""
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "<!doctype html><link rel=icon href=data:,><a href=%q>here</a>", site+"/account")
	}))
	t.Cleanup(pages.Close)
	origin := strings.Replace(pages.URL, "127.0.0.1", "localhost", 1)
	s := memstore.New()
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	a := newApp(s, origin)
	site = overTLS(t, a)
	b := newChromium(t, site)
	b.signIn()
	assert.True(t, b.me().Bound)
	time.Sleep(31 * time.Second) // requests that the browser sent before the registration may arrive until then
	b.do(chromedp.Navigate(origin))
	b.lose()
	b.do(chromedp.Click(chromedp.CSS("a")))
	b.waitText("user: alice")
	assert.Equal(t, 1, b.number("refresh: Refreshed"), "%q", b.heard())
	b.flawless()
}

// TestChromiumProvider: the user signs in at a provider, on another site, which sends the browser back.
// The session is bound by the first request of a page of this site.
func TestChromiumProvider(t *testing.T) {
	testserver.Slow(t)
	site := ""
	provider := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" || r.Method == http.MethodPost {
			http.Redirect(w, r, site+"/callback", http.StatusFound)
			return
		}
		_, _ = fmt.Fprintf(w, "<!doctype html><link rel=icon href=data:,><a href=%q>here</a><form method=post><button>Sign in</button></form>", site+"/callback")
	}))
	t.Cleanup(provider.Close)
	s := memstore.New()
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	a := newApp(s)
	a.GET("/start/:how", func(c *gin.Context) { c.Redirect(http.StatusFound, provider.URL+"/"+c.Param("how")) })
	a.GET("/callback", func(c *gin.Context) {
		sessionkit.Login(c, "alice")
		c.Redirect(http.StatusSeeOther, "/account")
	})
	site = overTLS(t, a)
	for how, goOn := range map[string]func(*chromium){
		"redirect": func(*chromium) {},
		"link":     func(b *chromium) { b.do(chromedp.Click(chromedp.CSS("a"))) },
		"form":     func(b *chromium) { b.press() },
	} {
		b := newChromium(t, site)
		b.open("/start/" + how)
		goOn(b)
		b.waitText("user: alice")
		assert.Equal(t, "alice", b.me().User)
		b.await("creation: Success", 1)
		b.lose()
		s := b.me()
		assert.Equal(t, "alice", s.User)
		assert.True(t, s.Bound)
		b.flawless()
		b.stop()

		b = newChromium(t, site)
		b.open("/start/" + how)
		goOn(b)
		b.waitText("user: alice")
		b.open("/account") // by its address
		b.await("creation: Success", 1)
		assert.True(t, b.me().Bound)
		b.flawless()
		b.stop()
	}
	assert.NotContains(t, a.heard(), sessionkit.EventProofRefused)
}

// TestChromiumTwoProcesses: one process registers and the other one refreshes.
func TestChromiumTwoProcesses(t *testing.T) {
	testserver.Slow(t)
	testserver.Chromium(t)
	b := newChromium(t, newPair(t))
	b.signIn()
	for i := range 4 {
		b.lose()
		assert.Equal(t, "200,200,200,200,200", js[string](b, "Promise.all([1,2,3,4,5].map(i => fetch('/api/me?' + i).then(r => r.status))).then(l => l.join())"))
		assert.Equal(t, i+1, b.number("refresh: Refreshed"), "%q", b.heard())
		assert.Equal(t, 200, b.open("/account"))
	}
	b.press()
	b.await("termination: ServerRequested", 1)
	b.open("/account")
	assert.True(t, strings.HasPrefix(b.path(), "/login"))
	b.flawless()
}
