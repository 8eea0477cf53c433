package ginstores_test

import (
	"encoding/gob"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
	"github.com/gin-sessionkit/sessionkit/store"
)

// eachFailingStore runs a test over each store that can be made to fail.
func eachFailingStore(t *testing.T, test func(t *testing.T, name string, s kittest.Tested)) {
	t.Helper()
	for _, kind := range teststores.TestedStores {
		t.Run(kind.Name, func(t *testing.T) {
			if s := kind.Failing(t); s.Fail != nil {
				test(t, kind.Name, s)
			}
		})
	}
}

// TestLoginOnLocalhost: there the cookie has the name by which stores know the
// session, and the one over gorm takes from it which session it saves.
func TestLoginOnLocalhost(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		a := kittest.NewRulesSite(s, sessionkit.Config{})
		v := kittest.NewBrowser(t, a)
		get := func(path string) string {
			r := v.Request(http.MethodGet, path)
			r.Host, r.TLS = "localhost:8080", nil
			return v.Do(r).Body.String()
		}
		get("/set")
		visitor := v.Cookies["session"]
		require.NotEmpty(t, visitor)
		get("/login")
		assert.NotEqual(t, visitor, v.Cookies["session"])
		assert.Equal(t, "42", get("/"))
		v.Cookies["session"] = visitor
		assert.Empty(t, get("/"), "who knew the visitor's ID is not signed in with it")
	})
}

// TestSignOutDuringAnOutage: an outage that begins after the session was read.
func TestSignOutDuringAnOutage(t *testing.T) {
	eachFailingStore(t, func(t *testing.T, _ string, s kittest.Tested) {
		a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
		a.On("/failing", func(c *gin.Context) {
			sessionkit.Logout(c)
			s.Fail()
		})
		v := kittest.NewBrowser(t, a)
		v.Get("/login")
		assert.Equal(t, http.StatusServiceUnavailable, v.Get("/failing").Code, "nobody has been signed out")
		assert.NotEmpty(t, a.Errors())
		s.Mend()
		assert.Equal(t, "42", v.Get("/").Body.String())
		assert.Equal(t, http.StatusOK, v.Get("/logout").Code)
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
		a := kittest.NewRulesSite(undeletable{teststores.NewMemoryStore(t)}, sessionkit.Config{})
		v := kittest.NewBrowser(t, a)
		v.Get("/login")
		old := v.Fork()
		assert.Equal(t, http.StatusOK, v.Get(ending).Code)
		assert.Empty(t, old.Get("/").Body.String(), ending)
		dead := old.Session()
		old.Get("/set")
		assert.NotEqual(t, dead, old.Session(), ending)
	}
}

func TestSignOutDeletesTheRecord(t *testing.T) {
	dir := t.TempDir()
	v := kittest.NewBrowser(t, kittest.NewRulesSite(ginfilesystem.NewStore(dir, kittest.TestSecret), sessionkit.Config{}))
	for path, want := range map[string]int{"/login": 1, "/renew": 1, "/logout": 0} {
		if path != "/login" {
			v.Get("/login")
		}
		v.Get(path)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		assert.Len(t, files, want, path)
		v.Get("/logout")
	}
}

// TestOutageIsReported: except by the store over gorm, which says of a session
// that it cannot read that there is none.
func TestOutageIsReported(t *testing.T) {
	eachFailingStore(t, func(t *testing.T, name string, s kittest.Tested) {
		a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
		v := kittest.NewBrowser(t, a)
		v.Get("/login")
		s.Fail()
		want := http.StatusServiceUnavailable
		if name == "gorm" {
			want = http.StatusUnauthorized
		}
		assert.Equal(t, want, v.Get("/account").Code)
		assert.Equal(t, name != "gorm", len(a.Errors()) > 0)
		assert.Equal(t, http.StatusServiceUnavailable, v.Get("/set").Code, "nothing can be saved")
		s.Mend()
		assert.Equal(t, "42", v.Get("/account").Body.String(), "the user is signed in as before")
	})
}

// TestMissingFileIsNoOutage: while the directory is there, the session is not.
func TestMissingFileIsNoOutage(t *testing.T) {
	dir := t.TempDir()
	a := kittest.NewRulesSite(ginfilesystem.NewStore(dir, kittest.TestSecret), sessionkit.Config{})
	v := kittest.NewBrowser(t, a)
	v.Get("/login")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, os.Remove(files[0]))
	assert.Equal(t, http.StatusUnauthorized, v.Get("/account").Code)
	assert.Empty(t, a.Errors())
	assert.Contains(t, a.Kinds(), sessionkit.EventRejected)
}

// TestDamagedRecord: it is reported, except by the store over gorm, and the
// visitor starts afresh.
func TestDamagedRecord(t *testing.T) {
	eachFailingStore(t, func(t *testing.T, name string, s kittest.Tested) {
		a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
		v := kittest.NewBrowser(t, a)
		v.Get("/login")
		s.Damage(strings.Repeat("A", 100))
		assert.Equal(t, http.StatusUnauthorized, v.Get("/account").Code)
		if errs := a.Errors(); name == "gorm" {
			assert.Empty(t, errs)
		} else {
			require.Len(t, errs, 1)
			assert.ErrorIs(t, errs[0], store.ErrCorrupt)
		}
		old := v.Session()
		assert.Equal(t, http.StatusNoContent, v.Get("/set").Code)
		assert.NotEqual(t, old, v.Session())
	})
}

// TestCutRecord: to the store over Redis a record that was cut short looks like a
// connection that was.
func TestCutRecord(t *testing.T) {
	s := teststores.NewFailingRedisStore(t)
	a := kittest.NewRulesSite(s.Store, sessionkit.Config{})
	v := kittest.NewBrowser(t, a)
	v.Get("/login")
	s.Damage("cut")
	assert.Equal(t, http.StatusServiceUnavailable, v.Get("/account").Code)
	assert.Len(t, a.Errors(), 1)
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
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		explodes = false
		a := kittest.NewRulesSite(s, sessionkit.Config{})
		a.On("/put", func(c *gin.Context) { sessions.Default(c).Set("e", explosive{}) })
		v := kittest.NewBrowser(t, a)
		v.Get("/login")
		v.Get("/put")
		explodes = true
		code := v.Get("/account").Code
		assert.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, code, "no panic comes through")
		assert.Equal(t, code == http.StatusServiceUnavailable, len(a.Errors()) > 0)
	})
}

// TestCookieThatBrowsersDrop: a session in a cookie may be as long as browsers
// keep it, its name included.
func TestCookieThatBrowsersDrop(t *testing.T) {
	a := kittest.NewRulesSite(kittest.NewCookieStore(t).Store, sessionkit.Config{})
	size := 0
	a.On("/grow", func(c *gin.Context) {
		kittest.Name.Set(c, strings.Repeat("x", size))
		c.String(http.StatusOK, "saved!")
	})
	codes := make(map[int]int)
	for size = 1800; size < 2300; size++ {
		v := kittest.NewBrowser(t, a)
		w := v.Get("/grow")
		codes[w.Code]++
		assert.LessOrEqual(t, len(kittest.SessionCookie)+len(v.Session()), 4096, "browsers drop it")
		for _, err := range a.Errors() {
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
	for _, kind := range teststores.TestedStores {
		t.Run(kind.Name, func(t *testing.T) {
			s := kind.New(t).Store
			a := kittest.NewRulesSite(s, sessionkit.Config{})
			a.On("/grow", func(c *gin.Context) { kittest.Name.Set(c, strings.Repeat("x", 5000)) })
			want := http.StatusServiceUnavailable
			if kind.Name == "sessionkit" || kind.Name == "memstore" {
				want = http.StatusOK
			}
			assert.Equal(t, want, kittest.NewBrowser(t, a).Get("/grow").Code)
			if kind.Name == "cookie" || want == http.StatusOK {
				return
			}
			if inner, err := ginredis.GetRedisStore(s); err == nil {
				inner.SetMaxLength(0)
			} else {
				s, ok := bare(s).(interface{ MaxLength(int) })
				require.True(t, ok)
				s.MaxLength(0)
			}
			assert.Equal(t, http.StatusOK, kittest.NewBrowser(t, a).Get("/grow").Code)
		})
	}
}

// bare returns the store that withoutRace has wrapped.
func bare(s sessions.Store) sessions.Store {
	if wrapped, ok := s.(*kittest.OneAtATime); ok {
		return wrapped.Store
	}
	return s
}

// TestOldCookies: stores of gin-contrib take no cookie that is older than 30 days.
// The middleware renews it while the session is used.
func TestOldCookies(t *testing.T) {
	const day = 24 * time.Hour
	for _, kind := range teststores.TestedStores {
		t.Run(kind.Name, func(t *testing.T) {
			s := kind.New(t).Store
			synctest.Test(t, func(t *testing.T) {
				v := kittest.NewBrowser(t, kittest.NewRulesSite(s, sessionkit.Config{RememberFor: 90 * day}))
				v.Get("/remember")
				for range 2 {
					time.Sleep(29 * day)
					assert.Equal(t, "42", v.Get("/").Body.String())
				}
				time.Sleep(31 * day)
				assert.Equal(t, kind.Name == "sessionkit", v.Get("/").Body.String() == "42")
			})
		})
	}
}

// TestShortMaxAge: two of the stores judge the age of cookies by their own MaxAge.
func TestShortMaxAge(t *testing.T) {
	for _, kind := range teststores.TestedStores {
		t.Run(kind.Name, func(t *testing.T) {
			s := kind.New(t).Store
			bare(s).Options(sessions.Options{MaxAge: 600})
			synctest.Test(t, func(t *testing.T) {
				v := kittest.NewBrowser(t, kittest.NewRulesSite(s, sessionkit.Config{}))
				v.Get("/login")
				time.Sleep(11 * time.Minute)
				assert.Equal(t, kind.Name != "gorm" && kind.Name != "postgres", v.Get("/").Body.String() == "42")
			})
		})
	}
}

// TestChangeOfAnEndedSession: two of the stores do not bring it back. The one over
// gorm begins another session, which the middleware ends and reports; the one over
// PostgreSQL does nothing, and does not say so.
func TestChangeOfAnEndedSession(t *testing.T) {
	for _, kind := range teststores.TestedStores {
		if kind.Name != "gorm" && kind.Name != "postgres" {
			continue
		}
		t.Run(kind.Name, func(t *testing.T) {
			a := kittest.NewRulesSite(kind.New(t).Store, sessionkit.Config{})
			v := kittest.NewBrowser(t, a)
			v.Get("/login")
			code := kittest.UnderWay(t, a, v, kittest.Increment, func() { v.Get("/logout") })
			if kind.Name == "postgres" {
				assert.Equal(t, http.StatusNoContent, code)
				assert.Empty(t, a.Errors())
				return
			}
			assert.Equal(t, http.StatusServiceUnavailable, code)
			errs := a.Errors()
			require.Len(t, errs, 1)
			assert.ErrorIs(t, errs[0], store.ErrEnded)
		})
	}
}

// TestDoneOfALegacySession: one that gin-contrib/sessions made has no ID of the
// kit's before it is saved.
func TestDoneOfALegacySession(t *testing.T) {
	s := teststores.NewMemoryStore(t).Store
	synctest.Test(t, func(t *testing.T) {
		legacy := gin.New()
		legacy.Use(sessions.Sessions("session", s))
		legacy.GET("/", func(c *gin.Context) {
			sessions.Default(c).Set("count", 7)
			assert.NoError(t, sessions.Default(c).Save())
		})
		a := kittest.NewRulesSite(s, sessionkit.Config{})
		a.On("/wait", func(c *gin.Context) {
			select {
			case <-sessionkit.Done(c):
				t.Error("the session has not ended")
			case <-time.After(5 * time.Second):
			}
		})
		v := kittest.NewBrowser(t, legacy)
		v.Get("/")
		v.Handler, v.Cookies[kittest.SessionCookie] = a, v.Cookies["session"]
		v.Get("/wait")
		assert.JSONEq(t, `{"n": 7, "ok": true}`, v.Get("/count").Body.String())
		v.Get("/renew")
		assert.JSONEq(t, `{"n": 7, "ok": true}`, v.Get("/count").Body.String())
	})
}

// TestDoneOfAFailedRequestDuringALoad: the watch that ends with a failure may be at the
// store, and the client's answer does not wait for it.
func TestDoneOfAFailedRequestDuringALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var watching atomic.Bool
		loading, goOn := make(chan struct{}), make(chan struct{})
		s := &faulty{Store: teststores.NewMemoryStore(t).Store}
		s.onNew = func(r *http.Request) (*gsessions.Session, error) {
			if watching.Load() {
				loading <- struct{}{}
				<-goOn
			}
			return s.Store.New(r, "session")
		}
		a := kittest.NewRulesSite(s, sessionkit.Config{})
		a.On("/stream", func(c *gin.Context) {
			ended := sessionkit.Done(c)
			watching.Store(true)
			<-loading
			watching.Store(false)
			s.onSave = func(*gsessions.Session) error { return kittest.ErrDown }
			kittest.Count.Set(c, 1)
			c.Writer.Flush()
			sessionkit.User(c)
			close(goOn)
			<-ended
		})
		b := kittest.NewBrowser(t, a)
		b.Get("/login")
		assert.Equal(t, http.StatusServiceUnavailable, b.Get("/stream").Code)
	})
}

// TestExpiredRecordsStay: most stores of gin-contrib leave them to somebody else.
func TestExpiredRecordsStay(t *testing.T) {
	dir := t.TempDir()
	s := ginfilesystem.NewStore(dir, kittest.TestSecret)
	synctest.Test(t, func(t *testing.T) {
		v := kittest.NewBrowser(t, kittest.NewRulesSite(s, sessionkit.Config{}))
		v.Get("/login")
		time.Sleep(25 * time.Hour)
		assert.Equal(t, http.StatusUnauthorized, v.Get("/account").Code)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		assert.Len(t, files, 1)
	})
	assert.Implements(t, (*interface {
		Cleanup(time.Duration) (chan<- struct{}, <-chan struct{})
	})(nil), bare(teststores.NewPostgresStore(t).Store))
}
