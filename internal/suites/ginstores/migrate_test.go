package ginstores_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	ginredis "github.com/gin-contrib/sessions/redis"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

const oldCookie = "mysession"

// oldSite is an application as it was before: gin-contrib/sessions alone, with
// values and no types.
func oldSite(from sessions.Store) *gin.Engine {
	gob.Register([]kittest.Item{})
	r := gin.New()
	r.Use(sessions.Sessions(oldCookie, from))
	r.GET("/visit", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("name", "Ada")
		session.Set("count", 7)
		session.Set("cart", []kittest.Item{{Name: "tea", N: 2}})
		session.AddFlash("Saved")
		if err := session.Save(); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
		}
	})
	r.GET("/login", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("user_id", 42)
		if err := session.Save(); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
		}
	})
	r.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessions.Default(c).Get("user_id")) })
	return r
}

// oldUser tells who was signed in.
func oldUser(values map[any]any) string {
	if values["user_id"] == 42 {
		return "42"
	}
	return ""
}

// moveSite is the application after.
func moveSite(from, to sessions.Store, config ...sessionkit.Config) *kittest.Site {
	var c sessionkit.Config
	for _, given := range config {
		c = given
	}
	a := kittest.NewSite(store.Migrate(from, to, oldCookie, oldUser), c)
	a.On("/", kittest.Whoami)
	a.On("/nothing", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	a.On("/account", sessionkit.RequireSession(), kittest.Whoami)
	a.On("/danger", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Hour}), kittest.Whoami)
	a.On("/count", kittest.ShowCount)
	a.On("/increment", kittest.Increment)
	a.On("/login", kittest.SignIn("42"))
	a.On("/other", kittest.SignIn("43"))
	a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.On("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	a.On("/goodbye", func(c *gin.Context) {
		sessionkit.Logout(c)
		sessionkit.Flash(c, sessionkit.Info, "Goodbye")
	})
	a.On("/values", func(c *gin.Context) {
		first, _ := kittest.Name.Get(c)
		n, _ := kittest.Count.Get(c)
		items, _ := kittest.Cart.Get(c)
		c.JSON(http.StatusOK, gin.H{"name": first, "count": n, "cart": items, "flashes": sessionkit.Flashes(c)})
	})
	a.On("/devices", func(c *gin.Context) {
		list, err := sessionkit.Devices(c)
		c.JSON(http.StatusOK, gin.H{"n": len(list), "error": err})
	})
	return a
}

// visited returns a browser that has a session of the old application.
func visited(t *testing.T, from sessions.Store, paths ...string) *kittest.Browser {
	t.Helper()
	b := kittest.NewBrowser(t, oldSite(from))
	for _, path := range paths {
		require.Equal(t, http.StatusOK, b.Get(path).Code)
	}
	require.NotEmpty(t, b.Cookies[oldCookie])
	return b
}

func eachMove(t *testing.T, test func(t *testing.T, from, to sessions.Store)) {
	t.Helper()
	froms := map[string]func(t *testing.T) sessions.Store{
		"cookie":   func(*testing.T) sessions.Store { return gincookie.NewStore(kittest.TestSecret) },
		"memstore": func(*testing.T) sessions.Store { return ginmemstore.NewStore(kittest.TestSecret) },
		"redis": func(t *testing.T) sessions.Store {
			t.Helper()
			s, err := ginredis.NewStore(4, "tcp", testserver.Redis(t).Address, "", "", kittest.TestSecret)
			require.NoError(t, err)
			return s
		},
	}
	tos := map[string]func(t *testing.T) *store.Store{
		"sqlstore": func(t *testing.T) *store.Store {
			t.Helper()
			db, err := sqlstore.OpenSQLite(filepath.Join(t.TempDir(), "sessions.db"))
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, db.Close()) })
			s, err := sqlstore.New(db)
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, s.Close()) })
			return s
		},
		"redisstore": func(t *testing.T) *store.Store {
			t.Helper()
			s, err := redisstore.Open("redis://" + testserver.Redis(t).Address)
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, s.Close()) })
			return s
		},
		"memstore": func(*testing.T) *store.Store { return memstore.New() },
	}
	for fromName, newFrom := range froms {
		for toName, newTo := range tos {
			t.Run(fromName+" to "+toName, func(t *testing.T) { test(t, newFrom(t), newTo(t)) })
		}
	}
}

func TestMigrate(t *testing.T) {
	eachMove(t, func(t *testing.T, from, to sessions.Store) {
		before := visited(t, from, "/visit", "/login")
		after := moveSite(from, to)

		b := before.At(after)
		w := b.Get("/account")
		assert.Equal(t, http.StatusOK, w.Code, "nobody is signed out")
		assert.Equal(t, "42", w.Body.String())
		assert.NotEmpty(t, b.Session())
		assert.NotContains(t, b.Cookies, oldCookie, "the old cookie is retired")
		assert.Len(t, kittest.SetCookies(w), 2)
		assert.JSONEq(t, `{"name":"Ada","count":7,"cart":[{"Name":"tea","N":2}],"flashes":[{"level":"info","text":"Saved"}]}`,
			b.Get("/values").Body.String(), "typed keys read what untyped code wrote")
		assert.Empty(t, kittest.SetCookies(b.Get("/increment")), "it has moved once")
		assert.JSONEq(t, `{"n":8,"ok":true}`, b.Get("/count").Body.String())
		assert.JSONEq(t, `{"n":1,"error":null}`, b.Get("/devices").Body.String())
		assert.Equal(t, http.StatusUnauthorized, b.Get("/danger").Code, "it is no recent sign-in")
		if !strings.HasPrefix(t.Name(), "TestMigrate/cookie") {
			assert.JSONEq(t, "null", before.Get("/").Body.String(), "the old session is gone from the old store")
		}

		late := before.At(after)
		w = late.Get("/increment")
		assert.Equal(t, b.Session(), late.Session(), "a request sent before the new cookie came is of the same session, and brings it too")
		assert.JSONEq(t, `{"n":9,"ok":true}`, b.Get("/count").Body.String())
		assert.Len(t, kittest.SetCookies(w), 1)

		b.Get("/logout")
		assert.Equal(t, http.StatusUnauthorized, before.At(after).Get("/account").Code, "a copy of the old cookie opens nothing after the sign-out")
		assert.JSONEq(t, `{"n":0,"ok":false}`, before.At(after).Get("/count").Body.String())
		assert.Empty(t, after.Errors())
	})
}

// heldRoute is a route whose request waits inside its handler.
type heldRoute struct{ loaded, goOn chan struct{} }

func hold(a *kittest.Site, path string, f func(c *gin.Context)) heldRoute {
	h := heldRoute{make(chan struct{}), make(chan struct{})}
	a.On(path, func(c *gin.Context) {
		kittest.Name.Get(c) // it is loaded
		close(h.loaded)
		<-h.goOn
		f(c)
	})
	return h
}

// during runs f while a browser's request to path is under way, and returns its
// answer.
func (h heldRoute) during(b *kittest.Browser, path string, f func()) *httptest.ResponseRecorder {
	answer := make(chan *httptest.ResponseRecorder)
	go func() { answer <- b.Get(path) }()
	<-h.loaded
	f()
	close(h.goOn)
	return <-answer
}

func TestMigrateLosesNothingOfParallelRequests(t *testing.T) {
	eachMove(t, func(t *testing.T, from, to sessions.Store) {
		before := visited(t, from, "/visit", "/login")
		after := moveSite(from, to)
		h := hold(after, "/held", func(c *gin.Context) { kittest.Name.Set(c, "Grace") })
		first, second := before.At(after), before.At(after)
		w := h.during(first, "/held", func() { second.Get("/increment") })
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, second.Session(), first.Session(), "both are in one session")
		assert.JSONEq(t, `{"name":"Grace","count":8,"cart":[{"Name":"tea","N":2}],"flashes":[{"level":"info","text":"Saved"}]}`,
			first.Get("/values").Body.String())
		assert.JSONEq(t, `{"n":1,"error":null}`, first.Get("/devices").Body.String())
	})
}

func TestMigrateLogoutWins(t *testing.T) {
	for title, logout := range map[string]func(before *kittest.Browser, after *kittest.Site){
		"before the move": func(before *kittest.Browser, after *kittest.Site) { before.At(after).Get("/logout") },
		"with a message":  func(before *kittest.Browser, after *kittest.Site) { before.At(after).Get("/goodbye") },
		"after the move": func(before *kittest.Browser, after *kittest.Site) {
			b := before.At(after)
			b.Get("/")
			b.Get("/logout")
		},
		"after the move and a renewal": func(before *kittest.Browser, after *kittest.Site) {
			b := before.At(after)
			b.Get("/renew")
			b.Get("/logout")
		},
		"by a request that knows of no move": func(before *kittest.Browser, after *kittest.Site) {
			h := hold(after, "/held-logout", func(c *gin.Context) { sessionkit.Logout(c) })
			h.during(before.At(after), "/held-logout", func() { before.At(after).Get("/renew") })
		},
		"by a request that knows of neither a move nor a renewal": func(before *kittest.Browser, after *kittest.Site) {
			h := hold(after, "/held-logout", func(c *gin.Context) { sessionkit.Logout(c) })
			h.during(before.At(after), "/held-logout", func() {
				b := before.At(after)
				b.Get("/")
				b.Get("/renew")
			})
		},
	} {
		t.Run(title, func(t *testing.T) {
			eachMove(t, func(t *testing.T, from, to sessions.Store) {
				before := visited(t, from, "/visit", "/login")
				after := moveSite(from, to)
				h := hold(after, "/held", func(c *gin.Context) { kittest.Name.Set(c, "Grace") })
				b := before.At(after)
				w := h.during(b, "/held", func() { logout(before, after) })
				assert.Equal(t, http.StatusServiceUnavailable, w.Code)
				assert.Empty(t, kittest.SetCookies(w))
				assert.Equal(t, http.StatusUnauthorized, before.At(after).Get("/account").Code)
				list, err := to.(*store.Store).Sessions(t.Context(), "42")
				require.NoError(t, err)
				assert.Empty(t, list)
			})
		})
	}
}

// TestMigrateLateAnswer: a request that was under way while the session moved, or has moved it, sets
// no cookie over that of what the session has become since, and drops none.
func TestMigrateLateAnswer(t *testing.T) {
	handlers := map[string]gin.HandlerFunc{
		"reads": func(c *gin.Context) { sessionkit.User(c) },
		"updates": func(c *gin.Context) {
			_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
			assert.NoError(t, err)
		},
		"sets": kittest.Increment,
	}
	for name, from := range map[string]func() sessions.Store{
		"memstore": func() sessions.Store { return ginmemstore.NewStore(kittest.TestSecret) },
		"cookie":   func() sessions.Store { return gincookie.NewStore(kittest.TestSecret) },
	} {
		for _, old := range []string{"/login", "/visit"} {
			for first, handler := range handlers {
				for _, moves := range []string{"before", "meanwhile"} {
					for _, then := range [][]string{{"/login"}, {"/other"}, {"/renew"}, {"/logout", "/other"}, {"/logout"}} {
						t.Run(fmt.Sprint(name, " ", old, ", ", first, ", moved ", moves, ", then ", then), func(t *testing.T) {
							from := from()
							before := visited(t, from, old)
							after := moveSite(from, memstore.New(), sessionkit.Config{Name: oldCookie, InsecureHTTP: true}) // one name for both cookies
							h := heldRoute{make(chan struct{}), make(chan struct{})}
							after.On("/held", func(c *gin.Context) {
								handler(c)
								close(h.loaded)
								<-h.goOn
							})
							b := before.At(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
								r.TLS = nil
								after.ServeHTTP(w, r)
							}))
							late := b.Fork()
							if moves == "before" {
								b.Get("/increment")
							}
							w := h.during(late, "/held", func() {
								if moves == "meanwhile" {
									b.Get("/increment")
								}
								for _, path := range then {
									require.Equal(t, http.StatusOK, b.Get(path).Code)
								}
							})
							assert.Empty(t, kittest.SetCookies(w))
						})
					}
				}
			}
		}
	}
}

func TestMigrateSignIn(t *testing.T) {
	from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
	after := moveSite(from, to)

	before := visited(t, from, "/visit")
	b := before.At(after)
	b.Get("/other")
	assert.Equal(t, "43", b.Get("/").Body.String())
	assert.JSONEq(t, `{"n":7,"ok":true}`, b.Get("/count").Body.String(), "a visitor's values stay")
	assert.Empty(t, before.At(after).Get("/").Body.String(), "the old cookie does not lead to what was signed in with it")
	assert.Equal(t, http.StatusOK, b.Get("/danger").Code)

	before = visited(t, from, "/visit", "/login")
	b = before.At(after)
	b.Get("/other")
	assert.JSONEq(t, `{"n":0,"ok":false}`, b.Get("/count").Body.String(), "those of another user do not")
	assert.Empty(t, before.At(after).Get("/").Body.String())

	before = visited(t, from, "/visit")
	h := hold(after, "/held", kittest.SignIn("42"))
	b = before.At(after)
	h.during(b, "/held", func() { before.At(after).Get("/increment") })
	assert.Equal(t, "42", b.Get("/").Body.String())
	assert.JSONEq(t, `{"n":8,"ok":true}`, b.Get("/count").Body.String(), "a sign-in takes along what another request has moved")
	assert.Empty(t, before.At(after).Get("/").Body.String())
}

// TestMigrateSignInThenOneValue: what changes one value at once moves the session before
// that, but not past a sign-in that the same request has made.
func TestMigrateSignInThenOneValue(t *testing.T) {
	from := ginmemstore.NewStore(kittest.TestSecret)
	after := moveSite(from, memstore.New())
	for path, change := range map[string]gin.HandlerFunc{
		"/update": func(c *gin.Context) {
			n, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
			assert.NoError(t, err)
			assert.Equal(t, 8, n)
		},
		"/take": func(c *gin.Context) {
			n, ok := kittest.Count.Take(c)
			assert.True(t, ok)
			assert.Equal(t, 7, n)
		},
	} {
		after.On(path, func(c *gin.Context) {
			sessionkit.Login(c, "43")
			change(c)
		})
		b := visited(t, from, "/visit").At(after)
		assert.Equal(t, http.StatusOK, b.Get(path).Code)
		assert.Equal(t, "43", b.Get("/").Body.String(), path)
		want := map[string]string{"/update": `{"n":8,"ok":true}`, "/take": `{"n":0,"ok":false}`}[path]
		assert.JSONEq(t, want, b.Get("/count").Body.String(), path)
	}
	assert.Empty(t, after.Errors())
}

func TestMigrateVisitorsCostNothing(t *testing.T) {
	from := &faultyOld{Store: ginmemstore.NewStore(kittest.TestSecret)}
	back := kittest.NewBackend()
	after := moveSite(from, kittest.StoreOver(back))
	b := kittest.NewBrowser(t, after)
	assert.Empty(t, kittest.SetCookies(b.Get("/")))
	assert.Empty(t, back.Called())
	assert.Zero(t, from.news)

	b = visited(t, from, "/visit").At(after)
	from.news = 0
	assert.Empty(t, kittest.SetCookies(b.Get("/nothing")), "a request that touches no session")
	assert.Zero(t, from.news)
	b.Get("/")
	b.Get("/")
	assert.Equal(t, 1, from.news, "the old store is read once")
}

// faultyOld is an old store that fails on demand.
type faultyOld struct {
	sessions.Store
	news            int
	failNew, failed error
	panics          any
	panicsNew       any
	saw             []*http.Cookie // with which it was asked last
}

func (f *faultyOld) New(r *http.Request, name string) (*gsessions.Session, error) {
	f.news++
	session, err := f.Store.New(r, name)
	if f.failNew != nil {
		return session, f.failNew
	}
	if f.panicsNew != nil {
		panic(f.panicsNew)
	}
	f.saw = r.Cookies()
	return session, err
}

func (f *faultyOld) Save(r *http.Request, w http.ResponseWriter, s *gsessions.Session) error {
	if f.panics != nil {
		panic(f.panics)
	}
	if f.failed != nil {
		return f.failed
	}
	f.saw = r.Cookies()
	return f.Store.Save(r, w, s)
}

func TestMigrateFailures(t *testing.T) {
	down := errors.New("down")
	from := &faultyOld{Store: ginmemstore.NewStore(kittest.TestSecret)}
	back := kittest.NewBackend()
	after := moveSite(from, kittest.StoreOver(back))
	b := visited(t, from, "/visit", "/login").At(after)
	cookie := b.Cookies[oldCookie]

	from.failNew = down
	w := b.Get("/account")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code, "nobody knows whether the user is signed in")
	assert.Empty(t, kittest.SetCookies(w))
	from.failNew = nil

	for title, breaks := range map[string]func(){
		"the old store does not end it":    func() { from.failed = down },
		"the old store panics":             func() { from.panics = "down" },
		"the new one does not create it":   func() { back.Failing(down, "create") },
		"the new one cannot tell where to": func() { back.Failing(down, "load") },
	} {
		breaks()
		w = b.Get("/increment")
		assert.Equal(t, http.StatusServiceUnavailable, w.Code, title)
		assert.Empty(t, kittest.SetCookies(w), title)
		from.failed, from.panics = nil, nil
		back.Failing(nil)
		assert.Empty(t, kittest.UserSessions(t, kittest.StoreOver(back.Backend), "42"), title)
	}
	assert.NotEmpty(t, after.Errors())
	assert.Equal(t, cookie, b.Cookies[oldCookie])
	b.Get("/increment")
	assert.JSONEq(t, `{"n":8,"ok":true}`, b.Get("/count").Body.String(), "in the end it moves")

	from.failed = down
	other := visited(t, from.Store, "/login").At(after)
	assert.Equal(t, http.StatusOK, other.Get("/account").Code, "that it cannot be moved does not keep it from being read")
	assert.NotEmpty(t, other.Cookies[oldCookie])
	assert.Equal(t, http.StatusServiceUnavailable, other.Get("/logout").Code)
	from.failed = nil
	assert.Equal(t, http.StatusOK, other.Get("/logout").Code)
	assert.NotContains(t, other.Cookies, oldCookie)
}

func TestMigrateAfterTheHeader(t *testing.T) {
	for path, f := range map[string]func(c *gin.Context){
		"/late-set":   func(c *gin.Context) { kittest.Name.Set(c, "Grace") },
		"/late-login": func(c *gin.Context) { sessionkit.Login(c, "42") },
	} {
		from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
		after := moveSite(from, to)
		after.On(path, func(c *gin.Context) {
			c.String(http.StatusOK, "sent")
			f(c)
		})
		b := visited(t, from, "/visit", "/login").At(after)
		assert.Equal(t, http.StatusOK, b.Get(path).Code)
		require.Len(t, after.Errors(), 1, path)
		assert.Empty(t, kittest.UserSessions(t, to, "42"), "a session whose cookie cannot be sent would be nobody's")
		assert.Equal(t, "42", b.Get("/account").Body.String(), path)
	}
}

// TestMigrateSignOutAfterTheHeader: it needs no cookie, and is carried out at once.
func TestMigrateSignOutAfterTheHeader(t *testing.T) {
	for name, signOut := range map[string]gin.HandlerFunc{
		"Logout":             sessionkit.Logout,
		"LogoutEverywhere":   func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutEverywhere(c)) },
		"Logout and a value": func(c *gin.Context) { sessionkit.Logout(c); kittest.Name.Set(c, "Grace") },
	} {
		t.Run(name, func(t *testing.T) {
			eachMove(t, func(t *testing.T, from, to sessions.Store) {
				after := moveSite(from, to)
				b := visited(t, from, "/visit", "/login").At(after)
				after.On("/late", func(c *gin.Context) {
					c.String(http.StatusOK, "sent")
					ended := sessionkit.Done(c)
					signOut(c)
					kittest.AwaitEnd(t, ended)
					assert.Equal(t, http.StatusUnauthorized, b.Get("/account").Code)
				})
				assert.Equal(t, http.StatusOK, b.Fork().Get("/late").Code)
				assert.Equal(t, http.StatusUnauthorized, b.Get("/account").Code)
				want := 0
				if name == "Logout and a value" {
					want = 1 // the new session's cookie cannot be sent
				}
				assert.Len(t, after.Errors(), want)
			})
		})
	}
}

func TestMigrateOfWhatCannotBeRead(t *testing.T) {
	from := &faultyOld{Store: ginmemstore.NewStore(kittest.TestSecret)}
	after := moveSite(from, memstore.New())
	b := visited(t, from, "/login").At(after)
	for title, test := range map[string]struct {
		fails  error
		panics any
		want   int
		errs   int
	}{
		"no such row":        {fails: fmt.Errorf("reading: %w", sql.ErrNoRows), want: http.StatusUnauthorized},
		"a corrupt record":   {fails: errors.New("gob: duplicate type received"), want: http.StatusUnauthorized, errs: 1},
		"an outage":          {fails: errors.New("connection refused"), want: http.StatusServiceUnavailable, errs: 1},
		"a missing socket":   {fails: &fs.PathError{Op: "dial", Path: "/nowhere/at/all.sock", Err: fs.ErrNotExist}, want: http.StatusServiceUnavailable, errs: 1},
		"a type that panics": {panics: "GobDecode", want: http.StatusServiceUnavailable, errs: 1},
	} {
		from.failNew, from.panicsNew = test.fails, test.panics
		assert.Equal(t, test.want, b.Get("/account").Code, title)
		assert.Len(t, after.Errors(), test.errs, title)
	}
	from.failNew, from.panicsNew = nil, nil

	b.Cookies["other"] = "x"
	assert.Equal(t, http.StatusOK, b.Get("/account").Code)
	require.Len(t, from.saw, 1, "the old store sees its own cookie and no other")
	assert.Equal(t, oldCookie, from.saw[0].Name)
}

func TestMigrateCorruptMark(t *testing.T) {
	from, back := ginmemstore.NewStore(kittest.TestSecret), kittest.NewBackend()
	after := moveSite(from, kittest.StoreOver(back))
	before := visited(t, from, "/visit", "/login")
	back.Failing(store.ErrCorrupt, "load")
	w := before.At(after).Get("/account")
	assert.Equal(t, http.StatusUnauthorized, w.Code)
	assert.NotEmpty(t, after.Errors())
}

func TestMigrateHostileCookies(t *testing.T) {
	from := ginmemstore.NewStore(kittest.TestSecret)
	after := moveSite(from, memstore.New())
	good := visited(t, from, "/login").Cookies[oldCookie]
	for title, test := range map[string]struct {
		header string
		want   int
	}{
		"nonsense":           {oldCookie + "=nonsense", http.StatusUnauthorized},
		"empty":              {oldCookie + "=", http.StatusUnauthorized},
		"tampered":           {oldCookie + "=" + good[:len(good)-2] + "AA", http.StatusUnauthorized},
		"long":               {oldCookie + "=" + strings.Repeat("A", 5000), http.StatusUnauthorized},
		"many":               {strings.Repeat(oldCookie+"=x; ", 50) + oldCookie + "=" + good, http.StatusUnauthorized},
		"another one before": {oldCookie + "=x; " + oldCookie + "=" + good, http.StatusOK},
	} {
		b := kittest.NewBrowser(t, after)
		w := b.Get("/account", "Cookie", test.header)
		assert.Equal(t, test.want, w.Code, title)
	}
	assert.Empty(t, after.Errors(), "they are no errors of the server")
}

// TestMigrateDeadlines: a session that moves keeps the life that it had left, and
// its cookie outlives the browser for that long.
func TestMigrateDeadlines(t *testing.T) {
	const day = 24 * time.Hour
	eachAge := func(maxAge, visitorFor, used, unused time.Duration, ends time.Duration, test string) {
		t.Run(test, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
				from.Options(sessions.Options{MaxAge: int(maxAge.Seconds()), Path: "/"})
				after := moveSite(from, to, sessionkit.Config{VisitorFor: visitorFor})
				after.On("/status", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), kittest.Whoami)
				before, began := visited(t, from, "/login"), time.Now()
				time.Sleep(3 * day)
				b := before.At(after)
				assert.Equal(t, http.StatusOK, b.Get("/status").Code)
				assert.NotEmpty(t, b.Cookies[oldCookie], "what is no use of the session does not move it")
				w := b.Get("/account")
				var age time.Duration
				for _, c := range kittest.SetCookies(w) {
					if c.Name == kittest.SessionCookie {
						age = time.Duration(c.MaxAge) * time.Second
					}
				}
				left := time.Until(began.Add(maxAge))
				if visitorFor > 0 {
					left = max(left, visitorFor+day)
				}
				assert.InDelta(t, left.Seconds(), age.Seconds(), 1)
				for range used / day {
					time.Sleep(day)
					require.Equal(t, http.StatusOK, b.Get("/account").Code, "after %v", time.Since(began))
				}
				time.Sleep(unused - time.Second)
				require.Equal(t, http.StatusOK, b.Get("/status").Code, "after %v", time.Since(began))
				assert.InDelta(t, (ends - time.Second).Seconds(), time.Since(began).Seconds(), 1)
				time.Sleep(2 * time.Second)
				if visitorFor > 0 {
					time.Sleep(time.Minute)
				}
				w = b.Get("/account")
				assert.Contains(t, w.Body.String(), "expired", "after %v", time.Since(began))
				assert.Equal(t, http.StatusUnauthorized, before.At(after).Get("/account").Code, "the old cookie opens nothing any more")
				require.NoError(t, to.Close())
			})
		})
	}
	eachAge(7*day, 0, 0, 4*day, 7*day, "unused")
	eachAge(7*day, 0, 3*day, 1*day, 7*day, "used every day")
	eachAge(7*day, 7*day, 10*day, 7*day, 20*day, "VisitorFor goes on from there")
	eachAge(30*day, 7*day, 0, 27*day, 30*day, "VisitorFor does not cut it short")
}

// TestMigrateRemembered: a session whose own MaxAge is longer than that of the store keeps
// its life if the store that it moves from has the longest.
func TestMigrateRemembered(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
		from.Options(sessions.Options{MaxAge: int((7 * day).Seconds()), Path: "/"})
		old := oldSite(from)
		old.GET("/remember", func(c *gin.Context) {
			session := sessions.Default(c)
			session.Options(sessions.Options{MaxAge: int((30 * day).Seconds()), Path: "/"})
			session.Set("user_id", 42)
			assert.NoError(t, session.Save())
		})
		before := kittest.NewBrowser(t, old)
		before.Get("/remember")
		time.Sleep(10 * day)
		require.Equal(t, "42", before.Get("/").Body.String())

		from.Options(sessions.Options{MaxAge: int((30 * day).Seconds()), Path: "/"})
		after := moveSite(from, to, sessionkit.Config{VisitorFor: 7 * day})
		b := before.At(after)
		w := b.Get("/account")
		require.Equal(t, http.StatusOK, w.Code)
		for _, c := range kittest.SetCookies(w) {
			if c.Name == kittest.SessionCookie {
				assert.InDelta(t, (20 * day).Seconds(), c.MaxAge, 1)
			}
		}
		time.Sleep(20*day - time.Minute)
		assert.Equal(t, http.StatusOK, b.Get("/account").Code)
		require.NoError(t, to.Close())
	})
}

func TestMigrateDone(t *testing.T) {
	for title, test := range map[string]struct {
		meanwhile []string
		ends      bool
	}{
		"a sign-out":               {[]string{"/logout"}, true},
		"a move and a sign-out":    {[]string{"/account", "/logout"}, true},
		"a renewal and a sign-out": {[]string{"/renew", "/logout"}, true},
		"a move":                   {[]string{"/account"}, false},
		"a renewal":                {[]string{"/renew"}, false},
		"nothing":                  {nil, false},
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
				after := moveSite(from, to)
				streaming, ended := make(chan struct{}), make(chan bool, 1)
				after.On("/stream", func(c *gin.Context) {
					done := sessionkit.Done(c)
					close(streaming)
					select {
					case <-done:
						ended <- true
					case <-time.After(time.Minute):
						ended <- false
					}
				})
				before := visited(t, from, "/login")
				var running sync.WaitGroup
				running.Go(func() { before.At(after).Get("/stream") })
				<-streaming
				b := before.At(after)
				for _, path := range test.meanwhile {
					b.Get(path)
				}
				assert.Equal(t, test.ends, <-ended)
				running.Wait()
				require.NoError(t, to.Close())
			})
		})
	}
}

// TestMigrateDoneDuringAnOutage: an old store that fails or panics ends no stream of a
// session that has not moved, nor does the application's function; a revocation does.
func TestMigrateDoneDuringAnOutage(t *testing.T) {
	for title, fail := range map[string]func() error{
		"an error":                func() error { return kittest.ErrDown },
		"a panic":                 func() error { panic("down") },
		"a panic of the function": func() error { return nil },
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var down atomic.Bool
				from, to := &faulty{Store: ginmemstore.NewStore(kittest.TestSecret)}, memstore.New()
				from.onNew = func(r *http.Request) (*gsessions.Session, error) {
					if down.Load() {
						if err := fail(); err != nil {
							return nil, err
						}
					}
					return from.Store.New(r, oldCookie)
				}
				user := func(values map[any]any) string {
					if down.Load() {
						panic("no such user")
					}
					return oldUser(values)
				}
				after := kittest.NewSite(store.Migrate(from, to, oldCookie, user), sessionkit.Config{})
				after.On("/stream", func(c *gin.Context) {
					select {
					case <-sessionkit.Done(c):
					case <-time.After(time.Hour):
						t.Error("nothing has ended it")
					}
				})
				b := visited(t, from, "/login").At(after)
				streamed := make(chan struct{})
				go func() {
					defer close(streamed)
					b.Get("/stream")
				}()
				time.Sleep(time.Second / 2)
				down.Store(true)
				time.Sleep(time.Minute)
				select {
				case <-streamed:
					t.Error("the outage has ended it")
				default:
				}
				down.Store(false)
				_, err := to.RevokeAll(t.Context(), "42")
				require.NoError(t, err)
				<-streamed
				require.NoError(t, to.Close())
			})
		})
	}
}

// TestMigrateAfterSessionsWereEnded: what has not moved yet ends with the others, before
// a handler sees anything of it.
func TestMigrateAfterSessionsWereEnded(t *testing.T) {
	from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
	after := moveSite(from, to)
	user := visited(t, from, "/visit", "/login").At(after)
	other := visited(t, from, "/visit", "/login").At(after)
	other.Get("/account")
	visitor := visited(t, from, "/visit").At(after)
	n, err := to.RevokeAll(t.Context(), "42")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	for _, b := range []*kittest.Browser{user, other} {
		assert.Equal(t, http.StatusUnauthorized, b.Get("/account").Code)
		assert.Empty(t, b.Get("/").Body.String())
	}
	assert.JSONEq(t, `{"n":7,"ok":true}`, visitor.Get("/count").Body.String(), "a visitor's stands")

	visitor = visited(t, from, "/visit").At(after)
	_, err = to.RevokeEveryone(t.Context())
	require.NoError(t, err)
	assert.JSONEq(t, `{"n":0,"ok":false}`, visitor.Get("/count").Body.String())
	assert.Empty(t, after.Errors())
}

func TestMigrateUnderTheSameName(t *testing.T) {
	from := ginmemstore.NewStore(kittest.TestSecret)
	after := kittest.NewSite(store.Migrate(from, memstore.New(), "session", oldUser), sessionkit.Config{})
	after.On("/", kittest.Whoami)
	after.On("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	old := gin.New()
	old.Use(sessions.Sessions("session", from))
	old.GET("/login", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("user_id", 42)
		assert.NoError(t, session.Save())
	})
	client := sessionkittest.Visitor(t, old, sessionkittest.At("http://localhost"))
	client.Get("/login")
	moved := sessionkittest.Visitor(t, after, sessionkittest.At("http://localhost"))
	moved.Jar = client.Jar
	for range 2 {
		w := moved.Get("/")
		assert.Equal(t, "42", w.Body.String())
		assert.LessOrEqual(t, len(kittest.SetCookies(w)), 1, "no name is set twice")
	}
	assert.Len(t, kittest.SetCookies(moved.Get("/logout")), 1)
	assert.Empty(t, moved.Get("/").Body.String())
}

// TestMigrateSignOutOfADomain: a sign-out drops the old cookie, which has a Domain or another Path,
// beside the plain one of the same name, which may be there as well.
func TestMigrateSignOutOfADomain(t *testing.T) {
	for _, options := range []sessions.Options{{Path: "/", Domain: "example.com"}, {Path: "/app"}} {
		from := gincookie.NewStore(kittest.TestSecret)
		from.Options(options)
		after := moveSite(from, memstore.New(), sessionkit.Config{Name: oldCookie, InsecureHTTP: true})
		b := visited(t, from, "/login").At(after)
		dropped := kittest.SetCookies(b.Get("/logout"))
		require.Len(t, dropped, 2)
		for i, of := range []sessions.Options{{Path: "/"}, options} {
			assert.Equal(t, oldCookie, dropped[i].Name)
			assert.Negative(t, dropped[i].MaxAge)
			assert.Equal(t, of.Domain, dropped[i].Domain)
			assert.Equal(t, of.Path, dropped[i].Path)
		}
	}
}

func TestMigrateKeepsWhatTheStoreCanDo(t *testing.T) {
	from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
	after := moveSite(from, to)
	visited(t, from, "/login").At(after).Get("/account")
	assert.Len(t, kittest.UserSessions(t, to, "42"), 1)

	n, err := store.Migrate(from, to, oldCookie).(interface {
		RevokeAll(ctx context.Context, user string, except ...string) (int, error)
	}).RevokeAll(t.Context(), "42")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}

// TestMigrateMaxSessions: a session that has moved counts, and when it was signed in to nobody
// knows: it was before any sign-in of the new application.
func TestMigrateMaxSessions(t *testing.T) {
	for _, path := range []string{"/account", "/increment", "/renew", "/take"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
				after := moveSite(from, to, sessionkit.Config{MaxSessions: 2})
				after.On("/take", func(c *gin.Context) { kittest.Count.Take(c) })
				browsers := make([]*kittest.Browser, 4)
				for i := range browsers {
					browsers[i] = visited(t, from, "/visit", "/login").At(after)
				}
				live := func(b *kittest.Browser) bool {
					w := b.Get("/account")
					if w.Code == http.StatusUnauthorized {
						assert.Contains(t, w.Body.String(), `"reason":"revoked"`)
					}
					return w.Code == http.StatusOK
				}
				ended := func() (n int) {
					for _, kind := range after.Kinds() {
						if kind == sessionkit.EventRevoked {
							n++
						}
					}
					return n
				}
				for i, b := range browsers[:3] {
					assert.Less(t, b.Get(path).Code, http.StatusMultipleChoices)
					time.Sleep(time.Second)
					assert.Equal(t, max(0, i-1), ended())
				}
				assert.False(t, live(browsers[0]), "of those that have moved, the first one ends")
				assert.True(t, live(browsers[1]))
				assert.True(t, live(browsers[2]))

				fourth, fifth := kittest.NewBrowser(t, after), kittest.NewBrowser(t, after)
				fourth.Get("/login")
				assert.False(t, live(browsers[1]))
				assert.True(t, live(browsers[2]))
				fifth.Get("/login")
				assert.False(t, live(browsers[2]))
				assert.Equal(t, 2, ended())
				assert.Less(t, browsers[3].Get(path).Code, http.StatusMultipleChoices, "the request that moves a session is answered")
				assert.Equal(t, 1, ended())
				assert.False(t, live(browsers[3]), "and the session is older than those of who has signed in since")
				assert.True(t, live(fourth))
				assert.True(t, live(fifth))
				assert.Len(t, kittest.UserSessions(t, to, "42"), 2)
				assert.Empty(t, after.Errors())
				require.NoError(t, to.Close())
			})
		})
	}
}

// TestMigrateAfterASignOut: who has signed in and out again may begin anew, also where the
// browser has the old cookie still, because nobody knew whether the new one would come back.
func TestMigrateAfterASignOut(t *testing.T) {
	from := ginmemstore.NewStore(kittest.TestSecret)
	after := moveSite(from, memstore.New())
	b := visited(t, from, "/visit").At(after)
	send := func(path string) int {
		r := b.Request(http.MethodGet, path)
		r.TLS = nil // behind a proxy that says nothing
		return b.Do(r).Code
	}
	assert.Equal(t, http.StatusOK, send("/login"))
	assert.Equal(t, http.StatusOK, send("/logout"))
	assert.NotEmpty(t, b.Cookies[oldCookie])
	assert.Equal(t, http.StatusNoContent, send("/increment"))
	assert.Empty(t, after.Errors())
}

// TestMigrateOverAConnectionThatDropsTheCookie: plain HTTP to another host. The old
// cookie, which comes back, goes on opening the session until it is signed out.
func TestMigrateOverAConnectionThatDropsTheCookie(t *testing.T) {
	const plain, secure = "http://shop.local", "https://shop.local"
	for name, test := range map[string]struct {
		site    string
		headers []string
		config  sessionkit.Config
		comes   bool // the new cookie does come back
	}{
		"plain HTTP":                      {plain, nil, sessionkit.Config{}, false},
		"a proxy that says plain HTTP":    {plain, []string{"X-Forwarded-Proto", "http"}, sessionkit.Config{}, false},
		"plain HTTP with InsecureHTTP":    {plain, nil, sessionkit.Config{InsecureHTTP: true}, true},
		"a proxy that says HTTPS":         {plain, []string{"X-Forwarded-Proto", "https"}, sessionkit.Config{}, true},
		"a proxy that says nothing":       {plain, []string{"Sec-Fetch-Site", "none"}, sessionkit.Config{}, true},
		"HTTPS":                           {secure, nil, sessionkit.Config{}, true},
		"localhost":                       {"http://localhost:8080", nil, sessionkit.Config{}, true},
		"a proxy, and an old browser":     {plain, []string{"X-Forwarded-For", "192.0.2.7"}, sessionkit.Config{}, false},
		"IPv4 in a network without a TLS": {"http://192.168.1.5:3000", nil, sessionkit.Config{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
			old := visited(t, from, "/login", "/visit").Cookies[oldCookie]
			after := moveSite(from, to, test.config)
			send := func(b *kittest.Browser, path string) *httptest.ResponseRecorder {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.site+path, nil)
				for name, value := range b.Cookies {
					r.AddCookie(&http.Cookie{Name: name, Value: value})
				}
				for i := 0; i < len(test.headers); i += 2 {
					r.Header.Set(test.headers[i], test.headers[i+1])
				}
				w := httptest.NewRecorder()
				after.ServeHTTP(w, r)
				for _, c := range kittest.SetCookies(w) {
					switch {
					case c.MaxAge < 0:
						delete(b.Cookies, c.Name)
					case test.comes || !c.Secure:
						b.Cookies[c.Name] = c.Value
					}
				}
				return w
			}
			b := kittest.NewBrowser(t, after)
			b.Cookies[oldCookie] = old
			for range 3 {
				assert.Equal(t, "42", send(b, "/account").Body.String())
			}
			_, kept := b.Cookies[oldCookie]
			assert.NotEqual(t, test.comes, kept, "the old cookie goes when the new one is known to come back")
			send(b, "/increment")
			for range 2 {
				assert.Equal(t, "42", send(b, "/account").Body.String())
				assert.Contains(t, send(b, "/count").Body.String(), `"n":8`, "changes are kept")
			}
			copied := b.Fork()
			copied.Cookies[oldCookie] = old
			send(b, "/logout")
			assert.Equal(t, http.StatusUnauthorized, send(b, "/account").Code)
			assert.Equal(t, http.StatusUnauthorized, send(copied, "/account").Code, "a copy of the old cookie opens nothing")
			if test.comes {
				assert.Empty(t, b.Cookies)
			}
		})
	}
}

// TestMigrateTellsOfAConnectionThatDropsTheCookie: also where nothing is moved.
func TestMigrateTellsOfAConnectionThatDropsTheCookie(t *testing.T) {
	var log bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(slog.New(slog.DiscardHandler))
	from := ginmemstore.NewStore(kittest.TestSecret)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.local/account", nil)
	r.AddCookie(&http.Cookie{Name: oldCookie, Value: visited(t, from, "/login").Cookies[oldCookie]})
	w := httptest.NewRecorder()
	moveSite(from, memstore.New()).ServeHTTP(w, r)
	assert.Empty(t, w.Header()["Set-Cookie"])
	assert.Contains(t, log.String(), "Config.InsecureHTTP")
}

// respell returns another base64 text that decodes to the same bytes, "" if there is none.
func respell(cookie string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	body := strings.TrimRight(cookie, "=")
	if body == cookie {
		return ""
	}
	last := strings.IndexByte(letters, body[len(body)-1])
	return body[:len(body)-1] + letters[last^1:last^1+1] + cookie[len(body):]
}

// TestMigrateRespelledCookie: once the session has moved, no spelling of the old cookie opens
// what it held.
func TestMigrateRespelledCookie(t *testing.T) {
	for _, path := range []string{"/logout", "/login", "/renew"} {
		from := gincookie.NewStore(kittest.TestSecret)
		after := moveSite(from, memstore.New())
		b := visited(t, from, "/login")
		if respell(b.Cookies[oldCookie]) == "" { // its length has no padding
			b = visited(t, from, "/visit", "/login")
		}
		other := respell(b.Cookies[oldCookie])
		require.NotEmpty(t, other)
		b = b.At(after)
		require.Equal(t, "42", b.Get("/").Body.String())
		b.Get(path)
		stolen := kittest.NewBrowser(t, after)
		stolen.Cookies[oldCookie] = other
		assert.Equal(t, http.StatusUnauthorized, stolen.Get("/account").Code, path)
	}
}

// TestMigrateLateAnswerDropsTheOldCookie: the answer of the request that has moved a session comes after
// a sign-out. It sets no cookie, and the old one goes all the same.
func TestMigrateLateAnswerDropsTheOldCookie(t *testing.T) {
	for _, then := range [][]string{{"/logout"}, {"/renew", "/logout"}, {"/login", "/logout"}} {
		t.Run(fmt.Sprint(then), func(t *testing.T) {
			from := gincookie.NewStore(kittest.TestSecret)
			before := visited(t, from, "/login")
			after := moveSite(from, memstore.New(), sessionkit.Config{})
			h := heldRoute{make(chan struct{}), make(chan struct{})}
			after.On("/held", func(c *gin.Context) {
				_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
				assert.NoError(t, err)
				close(h.loaded)
				<-h.goOn
			})
			b := before.At(after)
			late := b.Fork()
			w := h.during(late, "/held", func() {
				for _, path := range then {
					require.Equal(t, http.StatusOK, b.Get(path).Code)
				}
			})
			for _, c := range kittest.SetCookies(w) { // the late answer arrives in the same browser
				if c.MaxAge < 0 {
					delete(b.Cookies, c.Name)
				} else {
					b.Cookies[c.Name] = c.Value
				}
			}
			assert.Empty(t, b.Cookies[oldCookie], "the old cookie stays")
			assert.Equal(t, "null", b.At(oldSite(from)).Get("/").Body.String(), "a process that has the old store alone")
		})
	}
}

// TestMigrateSignOutBesideARenewal: a request with the old cookie renews what another one has moved. A
// sign-out with the cookie of that one ends the session.
func TestMigrateSignOutBesideARenewal(t *testing.T) {
	for name, renew := range map[string]gin.HandlerFunc{"confirm": sessionkit.Confirm, "login": kittest.SignIn("42")} {
		t.Run(name, func(t *testing.T) {
			from, to := gincookie.NewStore(kittest.TestSecret), memstore.New()
			after := moveSite(from, to)
			h := hold(after, "/both", renew)
			b := visited(t, from, "/login").At(after)
			late := b.Fork()
			var twin *kittest.Browser
			h.during(late, "/both", func() {
				b.Get("/increment") // it moves
				twin = b.Fork()
			})
			assert.Equal(t, "42", late.Get("/").Body.String())
			assert.Len(t, kittest.UserSessions(t, to, "42"), 1)
			assert.Equal(t, http.StatusOK, twin.Get("/logout").Code)
			assert.Empty(t, kittest.UserSessions(t, to, "42"), "the session outlives the sign-out")
			assert.Empty(t, late.Get("/").Body.String())
		})
	}
}

// TestMigrateOldCookieOfADomain: the old cookie has the plain name, and a Domain or none. Nothing is left
// of it in the browser after a sign-out, however long ago the session has moved.
func TestMigrateOldCookieOfADomain(t *testing.T) {
	for name, options := range map[string]sessions.Options{"domain": {Path: "/", Domain: "example.com", MaxAge: 3600}, "same": {Path: "/", MaxAge: 3600}} {
		t.Run(name, func(t *testing.T) {
			from := gincookie.NewStore(kittest.TestSecret)
			from.Options(options)
			old := oldSite(from)
			after := moveSite(from, memstore.New(), sessionkit.Config{Name: oldCookie, InsecureHTTP: true})
			jar, err := cookiejar.New(nil)
			require.NoError(t, err)
			u := &url.URL{Scheme: "http", Host: "nas.example.com", Path: "/"}
			get := func(h http.Handler, path string) string {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://nas.example.com"+path, nil)
				r.TLS = nil
				for _, c := range jar.Cookies(u) {
					r.AddCookie(c)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				jar.SetCookies(u, w.Result().Cookies())
				return w.Body.String()
			}
			get(old, "/login")
			assert.Equal(t, "42", get(after, "/"))
			assert.Equal(t, "42", get(after, "/account"))
			assert.Len(t, jar.Cookies(u), 1, "the old cookie is removed")
			get(after, "/logout")
			assert.Empty(t, jar.Cookies(u))
			assert.Empty(t, get(after, "/"))
			assert.Equal(t, "null", get(old, "/"), "a process that has the old store alone")
		})
	}
}
