package sessionkit_test

import (
	"encoding/gob"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	ginfilesystem "github.com/gin-contrib/sessions/filesystem"
	ginredis "github.com/gin-contrib/sessions/redis"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// eachFailingStore runs a test over each store that can be made to fail.
func eachFailingStore(t *testing.T, test func(t *testing.T, name string, s tested)) {
	t.Helper()
	for _, kind := range testedStores {
		t.Run(kind.name, func(t *testing.T) {
			if s := kind.failing(t); s.fail != nil {
				test(t, kind.name, s)
			}
		})
	}
}

// TestLoginOnLocalhost: there the cookie has the name by which stores know the
// session, and the one over gorm takes from it which session it saves.
func TestLoginOnLocalhost(t *testing.T) {
	eachStore(t, func(t *testing.T, s sessions.Store) {
		a := newRulesSite(s, sessionkit.Config{})
		v := newBrowser(t, a)
		get := func(path string) string {
			r := v.request(http.MethodGet, path)
			r.Host, r.TLS = "localhost:8080", nil
			return v.do(r).Body.String()
		}
		get("/set")
		visitor := v.cookies["session"]
		require.NotEmpty(t, visitor)
		get("/login")
		assert.NotEqual(t, visitor, v.cookies["session"])
		assert.Equal(t, "42", get("/"))
		v.cookies["session"] = visitor
		assert.Empty(t, get("/"), "who knew the visitor's ID is not signed in with it")
	})
}

// TestSignOutDuringAnOutage: an outage that begins after the session was read.
func TestSignOutDuringAnOutage(t *testing.T) {
	eachFailingStore(t, func(t *testing.T, _ string, s tested) {
		a := newRulesSite(s.Store, sessionkit.Config{})
		a.on("/failing", func(c *gin.Context) {
			sessionkit.Logout(c)
			s.fail()
		})
		v := newBrowser(t, a)
		v.get("/login")
		assert.Equal(t, http.StatusServiceUnavailable, v.get("/failing").Code, "nobody has been signed out")
		assert.NotEmpty(t, a.errors())
		s.mend()
		assert.Equal(t, "42", v.get("/").Body.String())
		assert.Equal(t, http.StatusOK, v.get("/logout").Code)
	})
}

// undeletable is a store that deletes nothing.
type undeletable struct{ sessions.Store }

func (s undeletable) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	if session.Options.MaxAge < 0 {
		return errors.New("down")
	}
	return s.Store.Save(r, w, session)
}

// TestSignOutWithoutDeletion: the record stays, and opens nothing.
func TestSignOutWithoutDeletion(t *testing.T) {
	for _, ending := range []string{"/login", "/renew", "/logout"} {
		a := newRulesSite(undeletable{newMemoryStore(t)}, sessionkit.Config{})
		v := newBrowser(t, a)
		v.get("/login")
		old := v.fork()
		assert.Equal(t, http.StatusOK, v.get(ending).Code)
		assert.Empty(t, old.get("/").Body.String(), ending)
		dead := old.session()
		old.get("/set")
		assert.NotEqual(t, dead, old.session(), ending)
	}
}

func TestSignOutDeletesTheRecord(t *testing.T) {
	dir := t.TempDir()
	v := newBrowser(t, newRulesSite(ginfilesystem.NewStore(dir, testSecret), sessionkit.Config{}))
	for path, want := range map[string]int{"/login": 1, "/renew": 1, "/logout": 0} {
		if path != "/login" {
			v.get("/login")
		}
		v.get(path)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		assert.Len(t, files, want, path)
		v.get("/logout")
	}
}

// TestOutageIsReported: except by the store over gorm, which says of a session
// that it cannot read that there is none.
func TestOutageIsReported(t *testing.T) {
	eachFailingStore(t, func(t *testing.T, name string, s tested) {
		a := newRulesSite(s.Store, sessionkit.Config{})
		v := newBrowser(t, a)
		v.get("/login")
		s.fail()
		want := http.StatusServiceUnavailable
		if name == "gorm" {
			want = http.StatusUnauthorized
		}
		assert.Equal(t, want, v.get("/account").Code)
		assert.Equal(t, name != "gorm", len(a.errors()) > 0)
		assert.Equal(t, http.StatusServiceUnavailable, v.get("/set").Code, "nothing can be saved")
		s.mend()
		assert.Equal(t, "42", v.get("/account").Body.String(), "the user is signed in as before")
	})
}

// TestMissingFileIsNoOutage: while the directory is there, the session is not.
func TestMissingFileIsNoOutage(t *testing.T) {
	dir := t.TempDir()
	a := newRulesSite(ginfilesystem.NewStore(dir, testSecret), sessionkit.Config{})
	v := newBrowser(t, a)
	v.get("/login")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, os.Remove(files[0]))
	assert.Equal(t, http.StatusUnauthorized, v.get("/account").Code)
	assert.Empty(t, a.errors())
	assert.Contains(t, a.kinds(), sessionkit.EventRejected)
}

// TestDamagedRecord: it is reported, except by the store over gorm, and the
// visitor starts afresh.
func TestDamagedRecord(t *testing.T) {
	eachFailingStore(t, func(t *testing.T, name string, s tested) {
		a := newRulesSite(s.Store, sessionkit.Config{})
		v := newBrowser(t, a)
		v.get("/login")
		s.damage(strings.Repeat("A", 100))
		assert.Equal(t, http.StatusUnauthorized, v.get("/account").Code)
		if errs := a.errors(); name == "gorm" {
			assert.Empty(t, errs)
		} else {
			require.Len(t, errs, 1)
			assert.ErrorIs(t, errs[0], store.ErrCorrupt)
		}
		old := v.session()
		assert.Equal(t, http.StatusNoContent, v.get("/set").Code)
		assert.NotEqual(t, old, v.session())
	})
}

// TestCutRecord: to the store over Redis a record that was cut short looks like a
// connection that was.
func TestCutRecord(t *testing.T) {
	s := newFailingRedisStore(t)
	a := newRulesSite(s.Store, sessionkit.Config{})
	v := newBrowser(t, a)
	v.get("/login")
	s.damage("cut")
	assert.Equal(t, http.StatusServiceUnavailable, v.get("/account").Code)
	assert.Len(t, a.errors(), 1)
}

// explosive is a value of an application whose decoder panics.
type explosive struct{ Fuse bool }

var explodes bool

func (e explosive) GobEncode() ([]byte, error) { return []byte("x"), nil }

func (e *explosive) GobDecode([]byte) error {
	if explodes {
		panic("it explodes")
	}
	return nil
}

func TestDecoderThatPanics(t *testing.T) {
	gob.Register(explosive{})
	defer func() { explodes = false }()
	eachStore(t, func(t *testing.T, s sessions.Store) {
		explodes = false
		a := newRulesSite(s, sessionkit.Config{})
		a.on("/put", func(c *gin.Context) { sessions.Default(c).Set("e", explosive{}) })
		v := newBrowser(t, a)
		v.get("/login")
		v.get("/put")
		explodes = true
		code := v.get("/account").Code
		assert.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, code, "no panic comes through")
		assert.Equal(t, code == http.StatusServiceUnavailable, len(a.errors()) > 0)
	})
}

// TestCookieThatBrowsersDrop: a session in a cookie may be as long as browsers
// keep it, its name included.
func TestCookieThatBrowsersDrop(t *testing.T) {
	a := newRulesSite(newCookieStore(t).Store, sessionkit.Config{})
	size := 0
	a.on("/grow", func(c *gin.Context) { name.Set(c, strings.Repeat("x", size)); c.String(http.StatusOK, "saved!") })
	codes := make(map[int]int)
	for size = 1800; size < 2300; size++ {
		v := newBrowser(t, a)
		w := v.get("/grow")
		codes[w.Code]++
		assert.LessOrEqual(t, len(sessionCookie)+len(v.session()), 4096, "browsers drop it")
		for _, err := range a.errors() {
			if !strings.Contains(err.Error(), "securecookie") { // it measures the value alone
				require.ErrorIs(t, err, store.ErrTooLarge)
				codes[0]++
			}
		}
	}
	assert.NotZero(t, codes[http.StatusOK])
	assert.NotZero(t, codes[http.StatusServiceUnavailable])
	assert.NotZero(t, codes[0])
}

// TestLongValues: most stores of gin-contrib keep no more than 4096 bytes, unless
// they are told otherwise.
func TestLongValues(t *testing.T) {
	for _, kind := range testedStores {
		t.Run(kind.name, func(t *testing.T) {
			s := kind.new(t).Store
			a := newRulesSite(s, sessionkit.Config{})
			a.on("/grow", func(c *gin.Context) { name.Set(c, strings.Repeat("x", 5000)) })
			want := http.StatusServiceUnavailable
			if kind.name == "sessionkit" || kind.name == "memstore" {
				want = http.StatusOK
			}
			assert.Equal(t, want, newBrowser(t, a).get("/grow").Code)
			if kind.name == "cookie" || want == http.StatusOK {
				return
			}
			if inner, err := ginredis.GetRedisStore(s); err == nil {
				inner.SetMaxLength(0)
			} else {
				s, ok := bare(s).(interface{ MaxLength(int) })
				require.True(t, ok)
				s.MaxLength(0)
			}
			assert.Equal(t, http.StatusOK, newBrowser(t, a).get("/grow").Code)
		})
	}
}

// bare returns the store that withoutRace has wrapped.
func bare(s sessions.Store) sessions.Store {
	if wrapped, ok := s.(*oneAtATime); ok {
		return wrapped.Store
	}
	return s
}

// TestOldCookies: stores of gin-contrib take no cookie that is older than 30 days.
// The kit renews it while the session is used.
func TestOldCookies(t *testing.T) {
	const day = 24 * time.Hour
	for _, kind := range testedStores {
		t.Run(kind.name, func(t *testing.T) {
			s := kind.new(t).Store
			synctest.Test(t, func(t *testing.T) {
				v := newBrowser(t, newRulesSite(s, sessionkit.Config{RememberFor: 90 * day}))
				v.get("/remember")
				for range 2 {
					time.Sleep(29 * day)
					assert.Equal(t, "42", v.get("/").Body.String())
				}
				time.Sleep(31 * day)
				assert.Equal(t, kind.name == "sessionkit", v.get("/").Body.String() == "42")
			})
		})
	}
}

// TestShortMaxAge: two of the stores judge the age of cookies by their own MaxAge.
func TestShortMaxAge(t *testing.T) {
	for _, kind := range testedStores {
		t.Run(kind.name, func(t *testing.T) {
			s := kind.new(t).Store
			bare(s).Options(sessions.Options{MaxAge: 600})
			synctest.Test(t, func(t *testing.T) {
				v := newBrowser(t, newRulesSite(s, sessionkit.Config{}))
				v.get("/login")
				time.Sleep(11 * time.Minute)
				assert.Equal(t, kind.name != "gorm" && kind.name != "postgres", v.get("/").Body.String() == "42")
			})
		})
	}
}

// TestChangeOfAnEndedSession: two of the stores do not bring it back. The one over
// gorm begins another session, which the kit ends and reports; the one over
// PostgreSQL does nothing, and does not say so.
func TestChangeOfAnEndedSession(t *testing.T) {
	for _, kind := range testedStores {
		if kind.name != "gorm" && kind.name != "postgres" {
			continue
		}
		t.Run(kind.name, func(t *testing.T) {
			a := newRulesSite(kind.new(t).Store, sessionkit.Config{})
			v := newBrowser(t, a)
			v.get("/login")
			code := underWay(t, a, v, increment, func() { v.get("/logout") })
			if kind.name == "postgres" {
				assert.Equal(t, http.StatusNoContent, code)
				assert.Empty(t, a.errors())
				return
			}
			assert.Equal(t, http.StatusServiceUnavailable, code)
			errs := a.errors()
			require.Len(t, errs, 1)
			assert.ErrorIs(t, errs[0], store.ErrEnded)
		})
	}
}

// TestDoneOfALegacySession: one that gin-contrib/sessions made has no ID of the
// kit's before it is saved.
func TestDoneOfALegacySession(t *testing.T) {
	s := newMemoryStore(t).Store
	synctest.Test(t, func(t *testing.T) {
		legacy := gin.New()
		legacy.Use(sessions.Sessions("session", s))
		legacy.GET("/", func(c *gin.Context) {
			sessions.Default(c).Set("count", 7)
			assert.NoError(t, sessions.Default(c).Save())
		})
		a := newRulesSite(s, sessionkit.Config{})
		a.on("/wait", func(c *gin.Context) {
			select {
			case <-sessionkit.Done(c):
				t.Error("the session has not ended")
			case <-time.After(5 * time.Second):
			}
		})
		v := newBrowser(t, legacy)
		v.get("/")
		v.handler, v.cookies[sessionCookie] = a, v.cookies["session"]
		v.get("/wait")
		assert.JSONEq(t, `{"n": 7, "ok": true}`, v.get("/count").Body.String())
		v.get("/renew")
		assert.JSONEq(t, `{"n": 7, "ok": true}`, v.get("/count").Body.String())
	})
}

// TestExpiredRecordsStay: most stores of gin-contrib leave them to somebody else.
func TestExpiredRecordsStay(t *testing.T) {
	dir := t.TempDir()
	s := ginfilesystem.NewStore(dir, testSecret)
	synctest.Test(t, func(t *testing.T) {
		v := newBrowser(t, newRulesSite(s, sessionkit.Config{}))
		v.get("/login")
		time.Sleep(25 * time.Hour)
		assert.Equal(t, http.StatusUnauthorized, v.get("/account").Code)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		assert.Len(t, files, 1)
	})
	assert.Implements(t, (*interface {
		Cleanup(time.Duration) (chan<- struct{}, <-chan struct{})
	})(nil), bare(newPostgresStore(t).Store))
}
