package kittest

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

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// Site is an application under test and what it was heard to say.
type Site struct {
	*gin.Engine
	mu     sync.Mutex
	events []sessionkit.Event
	errs   []error
}

// NewSite returns an application whose OnEvent and OnError are recorded.
func NewSite(s sessions.Store, config sessionkit.Config, before ...gin.HandlerFunc) *Site {
	a := &Site{Engine: gin.New()}
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

// Heard returns the events so far and forgets them.
func (a *Site) Heard() []sessionkit.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	events := a.events
	a.events = nil
	return events
}

// Kinds returns the kinds of the events so far and forgets them.
func (a *Site) Kinds() []sessionkit.EventKind {
	var kinds []sessionkit.EventKind
	for _, e := range a.Heard() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// Errors returns the errors so far and forgets them.
func (a *Site) Errors() []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	errs := a.errs
	a.errs = nil
	return errs
}

// On adds a GET route.
func (a *Site) On(path string, handlers ...gin.HandlerFunc) { a.GET(path, handlers...) }

// Browser keeps cookies, as one that speaks TLS with example.com.
type Browser struct {
	T       testing.TB
	Handler http.Handler
	Cookies map[string]string
}

func NewBrowser(tb testing.TB, handler http.Handler) *Browser {
	tb.Helper()
	return &Browser{T: tb, Handler: handler, Cookies: make(map[string]string)}
}

// Fork returns a second browser with the same cookies.
func (b *Browser) Fork() *Browser {
	other := NewBrowser(b.T, b.Handler)
	maps.Copy(other.Cookies, b.Cookies)
	return other
}

func (b *Browser) Request(method, target string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "https://example.com"+target, nil)
	for name, value := range b.Cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func (b *Browser) Do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.Handler.ServeHTTP(w, r)
	for _, c := range SetCookies(w) {
		if c.MaxAge < 0 {
			delete(b.Cookies, c.Name)
		} else {
			b.Cookies[c.Name] = c.Value
		}
	}
	return w
}

func (b *Browser) Get(target string, headers ...string) *httptest.ResponseRecorder {
	return b.Do(b.Request(http.MethodGet, target, headers...))
}

func (b *Browser) Post(target string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	r := b.Request(http.MethodPost, target, headers...)
	r.Body = io.NopCloser(strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Do(r)
}

// Session returns the value of the session cookie, "" if there is none.
func (b *Browser) Session() string { return b.Cookies[SessionCookie] }

const SessionCookie = "__Host-Http-session"

func SetCookies(w *httptest.ResponseRecorder) []*http.Cookie {
	res := w.Result()
	_ = res.Body.Close() // a recorder needs none
	return res.Cookies()
}

// Backend is the memory backend with faults and a record of what it is asked.
type Backend struct {
	store.Backend
	mu     sync.Mutex
	calls  []string
	fail   map[string]error
	Before func(call string)
}

func NewBackend() *Backend {
	return &Backend{Backend: memstore.NewBackend(), fail: make(map[string]error)}
}

func (b *Backend) On(call string) error {
	b.mu.Lock()
	b.calls = append(b.calls, call)
	err, before := b.fail[call], b.Before
	b.mu.Unlock()
	if before != nil {
		before(call)
	}
	return err
}

// Failing makes the calls fail until the next call of failing.
func (b *Backend) Failing(err error, calls ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.fail)
	for _, call := range calls {
		b.fail[call] = err
	}
}

// Called returns what was asked so far and forgets it.
func (b *Backend) Called() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls := b.calls
	b.calls = nil
	return calls
}

func (b *Backend) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	if err := b.On("create"); err != nil {
		return false, err
	}
	return b.Backend.Create(ctx, id, r)
}

func (b *Backend) Load(ctx context.Context, id string) (store.Record, bool, error) {
	if err := b.On("load"); err != nil {
		return store.Record{}, false, err
	}
	return b.Backend.Load(ctx, id)
}

func (b *Backend) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	if err := b.On("update"); err != nil {
		return store.Outcome{}, err
	}
	return b.Backend.Update(ctx, id, c)
}

func (b *Backend) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	if err := b.On("rotate"); err != nil {
		return false, err
	}
	return b.Backend.Rotate(ctx, id, m)
}

func (b *Backend) Delete(ctx context.Context, id string) (bool, error) {
	if err := b.On("delete"); err != nil {
		return false, err
	}
	return b.Backend.Delete(ctx, id)
}

func (b *Backend) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	if err := b.On("load fresh"); err != nil {
		return nil, err
	}
	return b.Backend.LoadFresh(ctx, ids...)
}

func (b *Backend) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	if err := b.On("end"); err != nil {
		return nil, err
	}
	return b.Backend.End(ctx, user, why, ids...)
}

func (b *Backend) List(ctx context.Context, user string) (map[string]store.Record, error) {
	if err := b.On("list"); err != nil {
		return nil, err
	}
	return b.Backend.List(ctx, user)
}

// StoreOver returns a store over a backend, without time limits, so that no timer
// runs.
func StoreOver(b store.Backend) *store.Store { return store.New(b, store.Config{Timeout: -1}) }

var TestSecret = []byte("0123456789abcdef0123456789abcdef")

// Item is one of the values that the tests store.
type Item struct {
	Name string
	N    int
}

var (
	Count = sessionkit.NewKey[int]("count")
	Name  = sessionkit.NewKey[string]("name")
	Cart  = sessionkit.NewKey[[]Item]("cart")
)

func SignIn(user string, options ...sessionkit.LoginOption) gin.HandlerFunc {
	return func(c *gin.Context) { sessionkit.Login(c, user, options...) }
}

// Whoami answers with the user's name.
func Whoami(c *gin.Context) {
	user, _ := sessionkit.User(c)
	c.String(http.StatusOK, user)
}

func ShowCount(c *gin.Context) {
	n, ok := Count.Get(c)
	c.JSON(http.StatusOK, gin.H{"n": n, "ok": ok})
}

func Increment(c *gin.Context) {
	n, _ := Count.Get(c)
	Count.Set(c, n+1)
	c.Status(http.StatusNoContent)
}

// UserSessions returns the live sessions of a user.
func UserSessions(tb testing.TB, s *store.Store, user string) []store.Session {
	tb.Helper()
	list, err := s.Sessions(context.Background(), user)
	require.NoError(tb, err)
	return list
}

// Main runs the tests of a package.
func Main(m *testing.M) {
	gin.SetMode(gin.TestMode)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	testserver.Main(m)
}
