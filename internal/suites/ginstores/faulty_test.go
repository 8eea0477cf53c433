package ginstores_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"testing"

	"github.com/gin-contrib/sessions"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
)

// faulty is a store of gin-contrib whose calls fail when they are told to.
type faulty struct {
	sessions.Store
	onNew  func(r *http.Request) (*gsessions.Session, error) // nil: the store's own
	onSave func(session *gsessions.Session) error            // nil: the store's own
}

func (f *faulty) New(r *http.Request, name string) (*gsessions.Session, error) {
	if f.onNew != nil {
		if session, err := f.onNew(r); session == nil {
			return nil, err
		}
	}
	return f.Store.New(r, name)
}

func (f *faulty) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	if f.onSave != nil {
		if err := f.onSave(session); err != nil {
			return err
		}
	}
	return f.Store.Save(r, w, session)
}

// TestForeignStoreFails: what fails on a store of others is a 503 that names the
// store, and the session is as it was.
func TestForeignStoreFails(t *testing.T) {
	for name, test := range map[string]struct {
		path, says string
		fault      faulty
	}{
		"renewal, no new session": {"/renew", "*ginstores_test.faulty: down", faulty{onNew: kittest.NoCookie}},
		"renewal, not saved":      {"/renew", "down", faulty{onSave: func(*gsessions.Session) error { return kittest.ErrDown }}},
		"renewal, old not ended":  {"/renew", "down", faulty{onSave: kittest.Stored}},
		"sign-out":                {"/logout", "down", faulty{onSave: kittest.Stored}},
		"change, not saved":       {"/set", "down", faulty{onSave: func(*gsessions.Session) error { return kittest.ErrDown }}},
		"change, panic":           {"/set", "panic: no such type", faulty{onSave: func(*gsessions.Session) error { panic("no such type") }}},
		"load":                    {"/set", "could not be read", faulty{onNew: func(*http.Request) (*gsessions.Session, error) { return nil, kittest.ErrDown }}},
		"load, nothing returned":  {"/set", "returned no session", faulty{onNew: func(*http.Request) (*gsessions.Session, error) { return nil, nil }}}, //nolint:nilnil // as a store may
	} {
		t.Run(name, func(t *testing.T) {
			f := &faulty{Store: ginmemstore.NewStore(kittest.TestSecret)}
			a := kittest.NewSite(f, sessionkit.Config{})
			a.On("/login", kittest.SignIn("42"))
			a.On("/renew", sessionkit.Renew)
			a.On("/logout", sessionkit.Logout)
			a.On("/set", kittest.Increment)
			a.On("/", kittest.Whoami)
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			session := b.Session()
			a.Errors()
			f.onNew, f.onSave = test.fault.onNew, test.fault.onSave
			w := b.Get(test.path)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.Contains(t, fmt.Sprint(a.Errors()), test.says)
			f.onNew, f.onSave = nil, nil
			assert.Equal(t, session, b.Session())
			assert.Equal(t, "42", b.Get("/").Body.String(), "the old session stands")
		})
	}
	t.Run("sign-in, no new session", func(t *testing.T) {
		a := kittest.NewSite(&faulty{Store: ginmemstore.NewStore(kittest.TestSecret), onNew: kittest.NoCookie}, sessionkit.Config{})
		a.On("/login", kittest.SignIn("42"))
		b := kittest.NewBrowser(t, a)
		assert.Equal(t, http.StatusServiceUnavailable, b.Get("/login").Code)
		assert.Empty(t, b.Session())
	})
	t.Run("a row that is gone", func(t *testing.T) {
		a := kittest.NewSite(&faulty{Store: ginmemstore.NewStore(kittest.TestSecret), onNew: func(r *http.Request) (*gsessions.Session, error) {
			if r.Header.Get("Cookie") != "" {
				return nil, fmt.Errorf("reading: %w", sql.ErrNoRows)
			}
			return kittest.GoesOn, nil
		}}, sessionkit.Config{})
		a.On("/login", kittest.SignIn("42"))
		b := kittest.NewBrowser(t, a)
		b.Cookies[kittest.SessionCookie] = "of a session that is gone"
		assert.Equal(t, http.StatusOK, b.Get("/login").Code, "is no failure: the visitor starts afresh")
		assert.Equal(t, []sessionkit.EventKind{sessionkit.EventRejected, sessionkit.EventCreated, sessionkit.EventSignedIn}, a.Kinds())
	})
}

// TestSignOutThatFails: what was to follow is not stored.
func TestSignOutThatFails(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	a.On("/", kittest.Whoami)
	a.On("/logout", sessionkit.Logout, kittest.Increment)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	old := b.Session()
	s.Called()
	s.Failing(kittest.ErrDown, "end")
	assert.Equal(t, http.StatusServiceUnavailable, b.Get("/logout").Code)
	assert.Equal(t, []string{"load", "end"}, s.Called())
	assert.Equal(t, old, b.Session())
	assert.Equal(t, "42", b.Get("/").Body.String(), "nobody is told that they are signed out who is not")
}

func TestSignInStandsWhereTrimFails(t *testing.T) {
	s := kittest.NewBackend()
	a := kittest.NewSite(kittest.StoreOver(s), sessionkit.Config{MaxSessions: 1})
	a.On("/login", kittest.SignIn("42"))
	a.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	s.Failing(kittest.ErrDown, "list")
	assert.Equal(t, http.StatusOK, b.Get("/login").Code)
	errs := a.Errors()
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "past MaxSessions")
	s.Failing(nil)
	assert.Equal(t, "42", b.Get("/").Body.String())
}

// TestFreshGuardReadsAgain: a guard for what is dangerous does not go by what an
// earlier guard has read, which may have come from a cache.
func TestFreshGuardReadsAgain(t *testing.T) {
	s := kittest.NewBackend()
	kept := kittest.StoreOver(s)
	a := kittest.NewSite(kept, sessionkit.Config{})
	a.On("/login", kittest.SignIn("42"))
	revoke := func() {}
	account := a.Group("/account", sessionkit.RequireSession())
	fresh := sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: 1 << 40})
	account.GET("", func(*gin.Context) { revoke() }, fresh, kittest.Whoami)
	b := kittest.NewBrowser(t, a)
	b.Get("/login")
	s.Called()
	assert.Equal(t, "42", b.Get("/account").Body.String())
	assert.Equal(t, []string{"load", "load fresh"}, s.Called())
	revoke = func() {}
	account.GET("/looked", func(c *gin.Context) { sessions.Default(c).Get("x") }, fresh, kittest.Whoami)
	assert.Equal(t, "42", b.Get("/account/looked").Body.String())
	assert.Equal(t, []string{"load", "load fresh"}, s.Called(), "a look by sessions.Default changes nothing")
	revoke = func() {
		n, err := kept.RevokeAll(t.Context(), "42")
		assert.NoError(t, err)
		assert.Equal(t, 1, n)
	}
	assert.Equal(t, http.StatusUnauthorized, b.Get("/account").Code, "it was revoked in between")
}
