package sessionkit_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	testserver.Main(m)
}

// site is an application under test and what it was heard to say.
type site struct {
	*gin.Engine
	mu     sync.Mutex
	events []sessionkit.Event
	errs   []error
}

// newSite returns an application whose OnEvent and OnError are recorded.
func newSite(s sessions.Store, config sessionkit.Config, before ...gin.HandlerFunc) *site {
	a := &site{Engine: gin.New()}
	config.OnEvent = func(_ *gin.Context, e sessionkit.Event) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.events = append(a.events, e)
	}
	config.OnError = func(_ *gin.Context, err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.errs = append(a.errs, err)
	}
	a.Use(before...)
	a.Use(sessionkit.Sessions(s, config))
	return a
}

// heard returns the events so far and forgets them.
func (a *site) heard() []sessionkit.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	events := a.events
	a.events = nil
	return events
}

// kinds returns the kinds of the events so far and forgets them.
func (a *site) kinds() []sessionkit.EventKind {
	var kinds []sessionkit.EventKind
	for _, e := range a.heard() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// errors returns the errors so far and forgets them.
func (a *site) errors() []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	errs := a.errs
	a.errs = nil
	return errs
}

// on adds a GET route.
func (a *site) on(path string, handlers ...gin.HandlerFunc) { a.GET(path, handlers...) }

// browser keeps cookies, as one that speaks TLS with example.com.
type browser struct {
	t       testing.TB
	handler http.Handler
	cookies map[string]string
}

func newBrowser(tb testing.TB, handler http.Handler) *browser {
	tb.Helper()
	return &browser{t: tb, handler: handler, cookies: make(map[string]string)}
}

// fork returns a second browser with the same cookies.
func (b *browser) fork() *browser {
	other := newBrowser(b.t, b.handler)
	maps.Copy(other.cookies, b.cookies)
	return other
}

func (b *browser) request(method, target string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "https://example.com"+target, nil)
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func (b *browser) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	for _, c := range setCookies(w) {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return w
}

func (b *browser) get(target string, headers ...string) *httptest.ResponseRecorder {
	return b.do(b.request(http.MethodGet, target, headers...))
}

func (b *browser) post(target string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	r := b.request(http.MethodPost, target, headers...)
	r.Body = io.NopCloser(strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

// session returns the value of the session cookie, "" if there is none.
func (b *browser) session() string { return b.cookies[sessionCookie] }

const sessionCookie = "__Host-Http-session"

func setCookies(w *httptest.ResponseRecorder) []*http.Cookie {
	res := w.Result()
	_ = res.Body.Close() // a recorder needs none
	return res.Cookies()
}

// backend is the memory backend with faults and a record of what it is asked.
type backend struct {
	store.Backend
	mu     sync.Mutex
	calls  []string
	fail   map[string]error
	before func(call string)
}

func newBackend() *backend {
	return &backend{Backend: memstore.NewBackend(), fail: make(map[string]error)}
}

func (b *backend) on(call string) error {
	b.mu.Lock()
	b.calls = append(b.calls, call)
	err, before := b.fail[call], b.before
	b.mu.Unlock()
	if before != nil {
		before(call)
	}
	return err
}

// failing makes the calls fail until the next call of failing.
func (b *backend) failing(err error, calls ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.fail)
	for _, call := range calls {
		b.fail[call] = err
	}
}

// called returns what was asked so far and forgets it.
func (b *backend) called() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls := b.calls
	b.calls = nil
	return calls
}

func (b *backend) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	if err := b.on("create"); err != nil {
		return false, err
	}
	return b.Backend.Create(ctx, id, r)
}

func (b *backend) Load(ctx context.Context, id string) (store.Record, bool, error) {
	if err := b.on("load"); err != nil {
		return store.Record{}, false, err
	}
	return b.Backend.Load(ctx, id)
}

func (b *backend) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	if err := b.on("update"); err != nil {
		return store.Outcome{}, err
	}
	return b.Backend.Update(ctx, id, c)
}

func (b *backend) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	if err := b.on("rotate"); err != nil {
		return false, err
	}
	return b.Backend.Rotate(ctx, id, m)
}

func (b *backend) Delete(ctx context.Context, id string) (bool, error) {
	if err := b.on("delete"); err != nil {
		return false, err
	}
	return b.Backend.Delete(ctx, id)
}

func (b *backend) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	if err := b.on("load fresh"); err != nil {
		return nil, err
	}
	return b.Backend.LoadFresh(ctx, ids...)
}

func (b *backend) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	if err := b.on("end"); err != nil {
		return nil, err
	}
	return b.Backend.End(ctx, user, why, ids...)
}

func (b *backend) List(ctx context.Context, user string) (map[string]store.Record, error) {
	if err := b.on("list"); err != nil {
		return nil, err
	}
	return b.Backend.List(ctx, user)
}

// storeOver returns a store over a backend, without time limits, so that no timer
// runs.
func storeOver(b store.Backend) *store.Store { return store.New(b, store.Config{Timeout: -1}) }

// storedIn puts a record into a store, and returns the token that opens it and its ID.
func storedIn(t *testing.T, s *store.Store, r store.Record) (token, id string) {
	t.Helper()
	server, ok := kitstore.Of(s)
	require.True(t, ok)
	token, id, err := server.Create(t.Context(), r, signin.Attempt{Began: time.Now()})
	require.NoError(t, err)
	return token, id
}

var testSecret = []byte("0123456789abcdef0123456789abcdef")

// eachStore runs a behaviour over the kit's own store and over those of
// gin-contrib that the rules hold on as well.
func eachStore(t *testing.T, test func(t *testing.T, s sessions.Store)) {
	t.Helper()
	for _, s := range testedStores {
		t.Run(s.name, func(t *testing.T) { test(t, s.new(t).Store) })
	}
}

// The values that the tests store.
type item struct {
	Name string
	N    int
}

var (
	count = sessionkit.NewKey[int]("count")
	name  = sessionkit.NewKey[string]("name")
	cart  = sessionkit.NewKey[[]item]("cart")
)

func signIn(user string, options ...sessionkit.LoginOption) gin.HandlerFunc {
	return func(c *gin.Context) { sessionkit.Login(c, user, options...) }
}

// whoami answers with the user's name.
func whoami(c *gin.Context) {
	user, _ := sessionkit.User(c)
	c.String(http.StatusOK, user)
}

func showCount(c *gin.Context) {
	n, ok := count.Get(c)
	c.JSON(http.StatusOK, gin.H{"n": n, "ok": ok})
}

func increment(c *gin.Context) {
	n, _ := count.Get(c)
	count.Set(c, n+1)
	c.Status(http.StatusNoContent)
}

// newRulesSite returns an application with what the rules are tried on.
func newRulesSite(s sessions.Store, config sessionkit.Config) *site {
	a := newSite(s, config)
	a.on("/set", increment)
	a.on("/login", signIn("42"))
	a.on("/remember", signIn("42", sessionkit.Remember()))
	a.on("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.on("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	a.on("/account", sessionkit.RequireSession(), whoami)
	a.on("/count", showCount)
	a.on("/", whoami)
	return a
}

// userSessions returns the live sessions of a user.
func userSessions(tb testing.TB, s *store.Store, user string) []store.Session {
	tb.Helper()
	list, err := s.Sessions(context.Background(), user)
	require.NoError(tb, err)
	return list
}

func canceled(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
