package ownstores_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// site is an application on one store.
type site struct {
	*gin.Engine

	t     *testing.T
	store *store.Store

	mu     sync.Mutex
	errs   []error
	events []sessionkit.Event
	paused map[string]pause
}

// A pause is where a request waits for the test.
type pause struct{ arrived, goOn chan struct{} }

// newSite returns an application with a route for each thing that can be done to a
// session.
func newSite(t *testing.T, s *store.Store, config sessionkit.Config) *site {
	t.Helper()
	a := &site{Engine: gin.New(), t: t, store: s, paused: make(map[string]pause)}
	config.OnError = func(_ *gin.Context, err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.errs = append(a.errs, err)
	}
	config.OnEvent = func(_ *gin.Context, e sessionkit.Event) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.events = append(a.events, e)
	}
	a.Use(sessionkit.Sessions(s, config))
	a.Use(a.waits("before"))
	for path, handler := range map[string]gin.HandlerFunc{
		"/login":   func(c *gin.Context) { sessionkit.Login(c, c.Query("user")) },
		"/renew":   sessionkit.Renew,
		"/confirm": sessionkit.Confirm,
		"/logout":  sessionkit.Logout,
		"/visit":   func(c *gin.Context) { visits.Set(c, 1) },
		"/set":     func(c *gin.Context) { sessionkit.NewKey[string](c.Query("name")).Set(c, c.Query("value")) },
		"/others":  func(c *gin.Context) { fail(c, sessionkit.LogoutOthers(c)) },
		"/everywhere": func(c *gin.Context) {
			fail(c, sessionkit.LogoutEverywhere(c))
		},
		"/revoke": func(c *gin.Context) { fail(c, sessionkit.Revoke(c, c.Query("id"))) },
	} {
		a.POST(path, handler, a.waits("after"))
	}
	a.GET("/", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		c.Header("X-Id", sessionkit.Current(c).ID)
		c.String(http.StatusOK, user)
	})
	a.GET("/devices", func(c *gin.Context) {
		list, err := sessionkit.Devices(c)
		fail(c, err)
		ids := make([]string, 0, len(list))
		for _, s := range list {
			if s.ID == sessionkit.Current(c).ID {
				c.Header("X-Own", s.ID)
			}
			ids = append(ids, s.ID)
		}
		sort.Strings(ids)
		c.String(http.StatusOK, strings.Join(ids, " "))
	})
	a.GET("/values", func(c *gin.Context) {
		v, _ := sessionkit.NewKey[string](c.Query("name")).Get(c)
		c.String(http.StatusOK, v)
	})
	return a
}

var visits = sessionkit.NewKey[int]("visits")

// fail answers that what was asked for has failed.
func fail(c *gin.Context, err error) {
	if err != nil {
		c.AbortWithStatus(http.StatusTeapot)
	}
}

// waits makes a request wait that has the name of a pause as its query says: before
// its handler has asked anything of the session, or after.
func (a *site) waits(when string) gin.HandlerFunc {
	return func(c *gin.Context) {
		name := c.Query(when)
		if name == "" {
			return
		}
		if c.Query("loaded") != "" {
			sessionkit.User(c)
		}
		a.mu.Lock()
		p := a.paused[name]
		a.mu.Unlock()
		close(p.arrived)
		<-p.goOn
	}
}

// pause has the request that waits under a name go on when a channel is closed. The
// channel that it returns is closed when the request has come so far.
func (a *site) pause(name string, goOn chan struct{}) (arrived <-chan struct{}) {
	p := pause{make(chan struct{}), goOn}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paused[name] = p
	return p.arrived
}

// errors returns what OnError was called with, and forgets it.
func (a *site) errors() []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	errs := a.errs
	a.errs = nil
	return errs
}

// browser has the cookies of one browser.
type browser struct {
	site   *site
	cookie string // of the session
}

func (a *site) browser() *browser { return &browser{site: a} }

// at is a second browser with the same cookie, at a site.
func (b *browser) at(a *site) *browser { return &browser{site: a, cookie: b.cookie} }

const cookieName = "__Host-Http-session"

func (b *browser) do(method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(b.site.t.Context(), method, "https://example.com"+target, nil)
	if b.cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: b.cookie})
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.site.ServeHTTP(w, r)
	if value, set := sessionCookie(w); set {
		b.cookie = value
	}
	return w
}

// sessionCookie returns the session cookie that a response sets, "" if it removes it.
func sessionCookie(w *httptest.ResponseRecorder) (value string, set bool) {
	for _, line := range w.Header()["Set-Cookie"] {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == cookieName {
			value, set = c.Value, true
		}
	}
	return value, set
}

func (b *browser) get(target string) string {
	b.site.t.Helper()
	w := b.do(http.MethodGet, target)
	require.Equal(b.site.t, http.StatusOK, w.Code, "%s: %s", target, w.Body)
	return w.Body.String()
}

// post makes a request that must succeed.
func (b *browser) post(target string) {
	b.site.t.Helper()
	w := b.do(http.MethodPost, target)
	require.Equal(b.site.t, http.StatusOK, w.Code, "%s: %s: %v", target, w.Body, b.site.errors())
}

func (b *browser) signIn(user string) *browser {
	b.site.t.Helper()
	b.post("/login?user=" + url.QueryEscape(user))
	require.Equal(b.site.t, user, b.get("/"))
	return b
}

// id returns the ID of the browser's session.
func (b *browser) id() string { return b.do(http.MethodGet, "/").Header().Get("X-Id") }

// dead checks that a cookie opens nothing, on both nodes: at once, or where a store
// caches, within the moment that the news takes.
func dead(t *testing.T, nodes [2]*site, cookie, why string) {
	t.Helper()
	for i, a := range nodes {
		b := &browser{a, cookie}
		if _, cached := caching.Load(a.store); cached {
			assert.Eventually(t, func() bool { return b.get("/") == "" }, time.Second, time.Millisecond, "%s, on node %d", why, i)
			b.cookie = cookie
		}
		assert.Empty(t, b.get("/"), "%s, on node %d", why, i)
	}
}

// underWay makes a request that waits, when it has got so far, while meanwhile runs.
// It returns the answer.
func (b *browser) underWay(target, when string, loaded bool, meanwhile func()) *httptest.ResponseRecorder {
	b.site.t.Helper()
	goOn := make(chan struct{})
	arrived := b.site.pause("it", goOn)
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	target += separator + when + "=it"
	if loaded {
		target += "&loaded=1"
	}
	answer := make(chan *httptest.ResponseRecorder)
	go func() { answer <- b.do(http.MethodPost, target) }()
	<-arrived
	meanwhile()
	close(goOn)
	return <-answer
}

// two returns the applications of two processes.
func two(t *testing.T, p pair, config sessionkit.Config) [2]*site {
	t.Helper()
	return [2]*site{newSite(t, p[0], config), newSite(t, p[1], config)}
}

// list returns the IDs of a user's sessions, as the store has them.
func list(t *testing.T, s *store.Store, user string) (ids []string) {
	t.Helper()
	sessions, err := s.Sessions(t.Context(), user)
	require.NoError(t, err)
	for _, s := range sessions {
		ids = append(ids, s.ID)
	}
	sort.Strings(ids)
	return ids
}
