package sessionkit_test

import (
	"database/sql"
	"errors"
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

var (
	errDown  = errors.New("down")
	goesOn   = new(gsessions.Session) // has the store go on by itself
	noCookie = func(r *http.Request) (*gsessions.Session, error) {
		if r.Header.Get("Cookie") == "" {
			return nil, errDown
		}
		return goesOn, nil
	}
	stored = func(session *gsessions.Session) error {
		if !session.IsNew {
			return errDown
		}
		return nil
	}
)

// TestForeignStoreFails: what fails on a store of others is a 503 that names the
// store, and the session is as it was.
func TestForeignStoreFails(t *testing.T) {
	for name, test := range map[string]struct {
		path, says string
		fault      faulty
	}{
		"renewal, no new session": {"/renew", "*sessionkit_test.faulty: down", faulty{onNew: noCookie}},
		"renewal, not saved":      {"/renew", "down", faulty{onSave: func(*gsessions.Session) error { return errDown }}},
		"renewal, old not ended":  {"/renew", "down", faulty{onSave: stored}},
		"sign-out":                {"/logout", "down", faulty{onSave: stored}},
		"change, not saved":       {"/set", "down", faulty{onSave: func(*gsessions.Session) error { return errDown }}},
		"change, panic":           {"/set", "panic: no such type", faulty{onSave: func(*gsessions.Session) error { panic("no such type") }}},
		"load":                    {"/set", "could not be read", faulty{onNew: func(*http.Request) (*gsessions.Session, error) { return nil, errDown }}},
		"load, nothing returned":  {"/set", "returned no session", faulty{onNew: func(*http.Request) (*gsessions.Session, error) { return nil, nil }}}, //nolint:nilnil // as a store may
	} {
		t.Run(name, func(t *testing.T) {
			f := &faulty{Store: ginmemstore.NewStore(testSecret)}
			a := newSite(f, sessionkit.Config{})
			a.on("/login", signIn("42"))
			a.on("/renew", sessionkit.Renew)
			a.on("/logout", sessionkit.Logout)
			a.on("/set", increment)
			a.on("/", whoami)
			b := newBrowser(t, a)
			b.get("/login")
			session := b.session()
			a.errors()
			f.onNew, f.onSave = test.fault.onNew, test.fault.onSave
			w := b.get(test.path)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.Contains(t, fmt.Sprint(a.errors()), test.says)
			f.onNew, f.onSave = nil, nil
			assert.Equal(t, session, b.session())
			assert.Equal(t, "42", b.get("/").Body.String(), "the old session stands")
		})
	}
	t.Run("sign-in, no new session", func(t *testing.T) {
		a := newSite(&faulty{Store: ginmemstore.NewStore(testSecret), onNew: noCookie}, sessionkit.Config{})
		a.on("/login", signIn("42"))
		b := newBrowser(t, a)
		assert.Equal(t, http.StatusServiceUnavailable, b.get("/login").Code)
		assert.Empty(t, b.session())
	})
	t.Run("a row that is gone", func(t *testing.T) {
		a := newSite(&faulty{Store: ginmemstore.NewStore(testSecret), onNew: func(r *http.Request) (*gsessions.Session, error) {
			if r.Header.Get("Cookie") != "" {
				return nil, fmt.Errorf("reading: %w", sql.ErrNoRows)
			}
			return goesOn, nil
		}}, sessionkit.Config{})
		a.on("/login", signIn("42"))
		b := newBrowser(t, a)
		b.cookies[sessionCookie] = "of a session that is gone"
		assert.Equal(t, http.StatusOK, b.get("/login").Code, "is no failure: the visitor starts afresh")
		assert.Equal(t, []sessionkit.EventKind{sessionkit.EventRejected, sessionkit.EventCreated, sessionkit.EventSignedIn}, a.kinds())
	})
}

// TestSignOutThatFails: the session that was to follow is taken back.
func TestSignOutThatFails(t *testing.T) {
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{})
	a.on("/login", signIn("42"))
	a.on("/", whoami)
	a.on("/logout", sessionkit.Logout, increment)
	b := newBrowser(t, a)
	b.get("/login")
	old := b.session()
	s.called()
	s.before = func(call string) {
		if call == "end" {
			s.failing(nil) // the next one works
		}
	}
	s.failing(errDown, "end")
	assert.Equal(t, http.StatusServiceUnavailable, b.get("/logout").Code)
	assert.Equal(t, []string{"load", "create", "end", "end"}, s.called())
	assert.Equal(t, old, b.session())
	assert.Equal(t, "42", b.get("/").Body.String(), "nobody is told that they are signed out who is not")
}

func TestSignInStandsWhereTrimFails(t *testing.T) {
	s := newBackend()
	a := newSite(storeOver(s), sessionkit.Config{MaxSessions: 1})
	a.on("/login", signIn("42"))
	a.on("/", whoami)
	b := newBrowser(t, a)
	s.failing(errDown, "list")
	assert.Equal(t, http.StatusOK, b.get("/login").Code)
	errs := a.errors()
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "past MaxSessions")
	s.failing(nil)
	assert.Equal(t, "42", b.get("/").Body.String())
}

// TestFreshGuardReadsAgain: a guard for what is dangerous does not go by what an
// earlier guard has read, which may have come from a cache.
func TestFreshGuardReadsAgain(t *testing.T) {
	s := newBackend()
	kept := storeOver(s)
	a := newSite(kept, sessionkit.Config{})
	a.on("/login", signIn("42"))
	revoke := func() {}
	account := a.Group("/account", sessionkit.RequireSession())
	fresh := sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: 1 << 40})
	account.GET("", func(*gin.Context) { revoke() }, fresh, whoami)
	b := newBrowser(t, a)
	b.get("/login")
	s.called()
	assert.Equal(t, "42", b.get("/account").Body.String())
	assert.Equal(t, []string{"load", "load fresh"}, s.called())
	revoke = func() {}
	account.GET("/looked", func(c *gin.Context) { sessions.Default(c).Get("x") }, fresh, whoami)
	assert.Equal(t, "42", b.get("/account/looked").Body.String())
	assert.Equal(t, []string{"load", "load fresh"}, s.called(), "a look by sessions.Default changes nothing")
	revoke = func() {
		n, err := kept.RevokeAll(t.Context(), "42")
		assert.NoError(t, err)
		assert.Equal(t, 1, n)
	}
	assert.Equal(t, http.StatusUnauthorized, b.get("/account").Code, "it was revoked in between")
}
