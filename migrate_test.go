package sessionkit_test

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
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
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
	gob.Register([]item{})
	r := gin.New()
	r.Use(sessions.Sessions(oldCookie, from))
	r.GET("/visit", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("name", "Ada")
		session.Set("count", 7)
		session.Set("cart", []item{{"tea", 2}})
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
func moveSite(from, to sessions.Store, config ...sessionkit.Config) *site {
	var c sessionkit.Config
	for _, given := range config {
		c = given
	}
	a := newSite(store.Migrate(from, to, oldCookie, oldUser), c)
	a.on("/", whoami)
	a.on("/nothing", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	a.on("/account", sessionkit.RequireSession(), whoami)
	a.on("/danger", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Hour}), whoami)
	a.on("/count", showCount)
	a.on("/increment", increment)
	a.on("/login", signIn("42"))
	a.on("/other", signIn("43"))
	a.on("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
	a.on("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	a.on("/goodbye", func(c *gin.Context) {
		sessionkit.Logout(c)
		sessionkit.Flash(c, sessionkit.Info, "Goodbye")
	})
	a.on("/values", func(c *gin.Context) {
		first, _ := name.Get(c)
		n, _ := count.Get(c)
		items, _ := cart.Get(c)
		c.JSON(http.StatusOK, gin.H{"name": first, "count": n, "cart": items, "flashes": sessionkit.Flashes(c)})
	})
	a.on("/devices", func(c *gin.Context) {
		list, err := sessionkit.Devices(c)
		c.JSON(http.StatusOK, gin.H{"n": len(list), "error": err})
	})
	return a
}

// visited returns a browser that has a session of the old application.
func visited(t *testing.T, from sessions.Store, paths ...string) *browser {
	t.Helper()
	b := newBrowser(t, oldSite(from))
	for _, path := range paths {
		require.Equal(t, http.StatusOK, b.get(path).Code)
	}
	require.NotEmpty(t, b.cookies[oldCookie])
	return b
}

// at returns the browser with its cookies on another site.
func (b *browser) at(handler http.Handler) *browser {
	other := b.fork()
	other.handler = handler
	return other
}

func eachMove(t *testing.T, test func(t *testing.T, from, to sessions.Store)) {
	t.Helper()
	froms := map[string]func(t *testing.T) sessions.Store{
		"cookie":   func(*testing.T) sessions.Store { return gincookie.NewStore(testSecret) },
		"memstore": func(*testing.T) sessions.Store { return ginmemstore.NewStore(testSecret) },
		"redis": func(t *testing.T) sessions.Store {
			t.Helper()
			s, err := ginredis.NewStore(4, "tcp", testserver.Redis(t).Address, "", "", testSecret)
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

		b := before.at(after)
		w := b.get("/account")
		assert.Equal(t, http.StatusOK, w.Code, "nobody is signed out")
		assert.Equal(t, "42", w.Body.String())
		assert.NotEmpty(t, b.session())
		assert.NotContains(t, b.cookies, oldCookie, "the old cookie is retired")
		assert.Len(t, setCookies(w), 2)
		assert.JSONEq(t, `{"name":"Ada","count":7,"cart":[{"Name":"tea","N":2}],"flashes":[{"level":"info","text":"Saved"}]}`,
			b.get("/values").Body.String(), "typed keys read what untyped code wrote")
		assert.Empty(t, setCookies(b.get("/increment")), "it has moved once")
		assert.JSONEq(t, `{"n":8,"ok":true}`, b.get("/count").Body.String())
		assert.JSONEq(t, `{"n":1,"error":null}`, b.get("/devices").Body.String())
		assert.Equal(t, http.StatusUnauthorized, b.get("/danger").Code, "it is no recent sign-in")
		if !strings.HasPrefix(t.Name(), "TestMigrate/cookie") {
			assert.JSONEq(t, "null", before.get("/").Body.String(), "the old session is gone from the old store")
		}

		late := before.at(after)
		w = late.get("/increment")
		assert.Equal(t, b.session(), late.session(), "a request sent before the new cookie came is of the same session, and brings it too")
		assert.JSONEq(t, `{"n":9,"ok":true}`, b.get("/count").Body.String())
		assert.Len(t, setCookies(w), 1)

		b.get("/logout")
		assert.Equal(t, http.StatusUnauthorized, before.at(after).get("/account").Code, "a copy of the old cookie opens nothing after the sign-out")
		assert.JSONEq(t, `{"n":0,"ok":false}`, before.at(after).get("/count").Body.String())
		assert.Empty(t, after.errors())
	})
}

// heldRoute is a route whose request waits inside its handler.
type heldRoute struct{ loaded, goOn chan struct{} }

func hold(a *site, path string, f func(c *gin.Context)) heldRoute {
	h := heldRoute{make(chan struct{}), make(chan struct{})}
	a.on(path, func(c *gin.Context) {
		name.Get(c) // it is loaded
		close(h.loaded)
		<-h.goOn
		f(c)
	})
	return h
}

// during runs f while a browser's request to path is under way, and returns its
// answer.
func (h heldRoute) during(b *browser, path string, f func()) *httptest.ResponseRecorder {
	answer := make(chan *httptest.ResponseRecorder)
	go func() { answer <- b.get(path) }()
	<-h.loaded
	f()
	close(h.goOn)
	return <-answer
}

func TestMigrateLosesNothingOfParallelRequests(t *testing.T) {
	eachMove(t, func(t *testing.T, from, to sessions.Store) {
		before := visited(t, from, "/visit", "/login")
		after := moveSite(from, to)
		h := hold(after, "/held", func(c *gin.Context) { name.Set(c, "Grace") })
		first, second := before.at(after), before.at(after)
		w := h.during(first, "/held", func() { second.get("/increment") })
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, second.session(), first.session(), "both are in one session")
		assert.JSONEq(t, `{"name":"Grace","count":8,"cart":[{"Name":"tea","N":2}],"flashes":[{"level":"info","text":"Saved"}]}`,
			first.get("/values").Body.String())
		assert.JSONEq(t, `{"n":1,"error":null}`, first.get("/devices").Body.String())
	})
}

func TestMigrateLogoutWins(t *testing.T) {
	for title, logout := range map[string]func(before *browser, after *site){
		"before the move": func(before *browser, after *site) { before.at(after).get("/logout") },
		"with a message":  func(before *browser, after *site) { before.at(after).get("/goodbye") },
		"after the move": func(before *browser, after *site) {
			b := before.at(after)
			b.get("/")
			b.get("/logout")
		},
		"after the move and a renewal": func(before *browser, after *site) {
			b := before.at(after)
			b.get("/renew")
			b.get("/logout")
		},
		"by a request that knows of no move": func(before *browser, after *site) {
			h := hold(after, "/held-logout", func(c *gin.Context) { sessionkit.Logout(c) })
			h.during(before.at(after), "/held-logout", func() { before.at(after).get("/renew") })
		},
		"by a request that knows of neither a move nor a renewal": func(before *browser, after *site) {
			h := hold(after, "/held-logout", func(c *gin.Context) { sessionkit.Logout(c) })
			h.during(before.at(after), "/held-logout", func() {
				b := before.at(after)
				b.get("/")
				b.get("/renew")
			})
		},
	} {
		t.Run(title, func(t *testing.T) {
			eachMove(t, func(t *testing.T, from, to sessions.Store) {
				before := visited(t, from, "/visit", "/login")
				after := moveSite(from, to)
				h := hold(after, "/held", func(c *gin.Context) { name.Set(c, "Grace") })
				b := before.at(after)
				w := h.during(b, "/held", func() { logout(before, after) })
				assert.Equal(t, http.StatusServiceUnavailable, w.Code)
				assert.Empty(t, setCookies(w))
				assert.Equal(t, http.StatusUnauthorized, before.at(after).get("/account").Code)
				list, err := to.(*store.Store).Sessions(t.Context(), "42")
				require.NoError(t, err)
				assert.Empty(t, list)
			})
		})
	}
}

func TestMigrateSignIn(t *testing.T) {
	from, to := ginmemstore.NewStore(testSecret), memstore.New()
	after := moveSite(from, to)

	before := visited(t, from, "/visit")
	b := before.at(after)
	b.get("/other")
	assert.Equal(t, "43", b.get("/").Body.String())
	assert.JSONEq(t, `{"n":7,"ok":true}`, b.get("/count").Body.String(), "a visitor's values stay")
	assert.Empty(t, before.at(after).get("/").Body.String(), "the old cookie does not lead to what was signed in with it")
	assert.Equal(t, http.StatusOK, b.get("/danger").Code)

	before = visited(t, from, "/visit", "/login")
	b = before.at(after)
	b.get("/other")
	assert.JSONEq(t, `{"n":0,"ok":false}`, b.get("/count").Body.String(), "those of another user do not")
	assert.Empty(t, before.at(after).get("/").Body.String())

	before = visited(t, from, "/visit")
	h := hold(after, "/held", signIn("42"))
	b = before.at(after)
	h.during(b, "/held", func() { before.at(after).get("/increment") })
	assert.Equal(t, "42", b.get("/").Body.String())
	assert.JSONEq(t, `{"n":8,"ok":true}`, b.get("/count").Body.String(), "a sign-in takes along what another request has moved")
	assert.Empty(t, before.at(after).get("/").Body.String())
}

func TestMigrateVisitorsCostNothing(t *testing.T) {
	from := &faultyOld{Store: ginmemstore.NewStore(testSecret)}
	back := newBackend()
	after := moveSite(from, storeOver(back))
	b := newBrowser(t, after)
	assert.Empty(t, setCookies(b.get("/")))
	assert.Empty(t, back.called())
	assert.Zero(t, from.news)

	b = visited(t, from, "/visit").at(after)
	from.news = 0
	assert.Empty(t, setCookies(b.get("/nothing")), "a request that touches no session")
	assert.Zero(t, from.news)
	b.get("/")
	b.get("/")
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
	from := &faultyOld{Store: ginmemstore.NewStore(testSecret)}
	back := newBackend()
	after := moveSite(from, storeOver(back))
	b := visited(t, from, "/visit", "/login").at(after)
	cookie := b.cookies[oldCookie]

	from.failNew = down
	w := b.get("/account")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code, "nobody knows whether the user is signed in")
	assert.Empty(t, setCookies(w))
	from.failNew = nil

	for title, breaks := range map[string]func(){
		"the old store does not end it":    func() { from.failed = down },
		"the old store panics":             func() { from.panics = "down" },
		"the new one does not create it":   func() { back.failing(down, "create") },
		"the new one cannot tell where to": func() { back.failing(down, "load") },
	} {
		breaks()
		w = b.get("/increment")
		assert.Equal(t, http.StatusServiceUnavailable, w.Code, title)
		assert.Empty(t, setCookies(w), title)
		from.failed, from.panics = nil, nil
		back.failing(nil)
		assert.Empty(t, userSessions(t, storeOver(back.Backend), "42"), title)
	}
	assert.NotEmpty(t, after.errors())
	assert.Equal(t, cookie, b.cookies[oldCookie])
	b.get("/increment")
	assert.JSONEq(t, `{"n":8,"ok":true}`, b.get("/count").Body.String(), "in the end it moves")

	from.failed = down
	other := visited(t, from.Store, "/login").at(after)
	assert.Equal(t, http.StatusOK, other.get("/account").Code, "that it cannot be moved does not keep it from being read")
	assert.NotEmpty(t, other.cookies[oldCookie])
	assert.Equal(t, http.StatusServiceUnavailable, other.get("/logout").Code)
	from.failed = nil
	assert.Equal(t, http.StatusOK, other.get("/logout").Code)
	assert.NotContains(t, other.cookies, oldCookie)
}

func TestMigrateAfterTheHeader(t *testing.T) {
	for path, f := range map[string]func(c *gin.Context){
		"/late-set":    func(c *gin.Context) { name.Set(c, "Grace") },
		"/late-login":  func(c *gin.Context) { sessionkit.Login(c, "42") },
		"/late-logout": func(c *gin.Context) { sessionkit.Logout(c) },
	} {
		from, to := ginmemstore.NewStore(testSecret), memstore.New()
		after := moveSite(from, to)
		after.on(path, func(c *gin.Context) {
			c.String(http.StatusOK, "sent")
			f(c)
		})
		b := visited(t, from, "/visit", "/login").at(after)
		assert.Equal(t, http.StatusOK, b.get(path).Code)
		require.Len(t, after.errors(), 1, path)
		assert.Empty(t, userSessions(t, to, "42"), "a session whose cookie cannot be sent would be nobody's")
		assert.Equal(t, "42", b.get("/account").Body.String(), path)
	}
}

func TestMigrateOfWhatCannotBeRead(t *testing.T) {
	from := &faultyOld{Store: ginmemstore.NewStore(testSecret)}
	after := moveSite(from, memstore.New())
	b := visited(t, from, "/login").at(after)
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
		assert.Equal(t, test.want, b.get("/account").Code, title)
		assert.Len(t, after.errors(), test.errs, title)
	}
	from.failNew, from.panicsNew = nil, nil

	b.cookies["other"] = "x"
	assert.Equal(t, http.StatusOK, b.get("/account").Code)
	require.Len(t, from.saw, 1, "the old store sees its own cookie and no other")
	assert.Equal(t, oldCookie, from.saw[0].Name)
}

func TestMigrateCorruptMark(t *testing.T) {
	from, back := ginmemstore.NewStore(testSecret), newBackend()
	after := moveSite(from, storeOver(back))
	before := visited(t, from, "/visit", "/login")
	back.failing(store.ErrCorrupt, "load")
	w := before.at(after).get("/account")
	assert.Equal(t, http.StatusUnauthorized, w.Code)
	assert.NotEmpty(t, after.errors())
}

func TestMigrateHostileCookies(t *testing.T) {
	from := ginmemstore.NewStore(testSecret)
	after := moveSite(from, memstore.New())
	good := visited(t, from, "/login").cookies[oldCookie]
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
		b := newBrowser(t, after)
		w := b.get("/account", "Cookie", test.header)
		assert.Equal(t, test.want, w.Code, title)
	}
	assert.Empty(t, after.errors(), "they are no errors of the server")
}

// TestMigrateDeadlines: a session that moves keeps the life that it had left, and
// its cookie outlives the browser for that long.
func TestMigrateDeadlines(t *testing.T) {
	const day = 24 * time.Hour
	eachAge := func(maxAge, visitorFor, used, unused time.Duration, ends time.Duration, test string) {
		t.Run(test, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := ginmemstore.NewStore(testSecret), memstore.New()
				from.Options(sessions.Options{MaxAge: int(maxAge.Seconds()), Path: "/"})
				after := moveSite(from, to, sessionkit.Config{VisitorFor: visitorFor})
				after.on("/status", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), whoami)
				before, began := visited(t, from, "/login"), time.Now()
				time.Sleep(3 * day)
				b := before.at(after)
				assert.Equal(t, http.StatusOK, b.get("/status").Code)
				assert.NotEmpty(t, b.cookies[oldCookie], "what is no use of the session does not move it")
				w := b.get("/account")
				var age time.Duration
				for _, c := range setCookies(w) {
					if c.Name == sessionCookie {
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
					require.Equal(t, http.StatusOK, b.get("/account").Code, "after %v", time.Since(began))
				}
				time.Sleep(unused - time.Second)
				require.Equal(t, http.StatusOK, b.get("/status").Code, "after %v", time.Since(began))
				assert.InDelta(t, (ends - time.Second).Seconds(), time.Since(began).Seconds(), 1)
				time.Sleep(2 * time.Second)
				if visitorFor > 0 {
					time.Sleep(time.Minute)
				}
				w = b.get("/account")
				assert.Contains(t, w.Body.String(), "expired", "after %v", time.Since(began))
				assert.Equal(t, http.StatusUnauthorized, before.at(after).get("/account").Code, "the old cookie opens nothing any more")
				require.NoError(t, to.Close())
			})
		})
	}
	eachAge(7*day, 0, 0, 4*day, 7*day, "unused")
	eachAge(7*day, 0, 3*day, 1*day, 7*day, "used every day")
	eachAge(7*day, 7*day, 10*day, 7*day, 20*day, "VisitorFor goes on from there")
	eachAge(30*day, 7*day, 0, 27*day, 30*day, "VisitorFor does not cut it short")
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
				from, to := ginmemstore.NewStore(testSecret), memstore.New()
				after := moveSite(from, to)
				streaming, ended := make(chan struct{}), make(chan bool, 1)
				after.on("/stream", func(c *gin.Context) {
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
				running.Go(func() { before.at(after).get("/stream") })
				<-streaming
				b := before.at(after)
				for _, path := range test.meanwhile {
					b.get(path)
				}
				assert.Equal(t, test.ends, <-ended)
				running.Wait()
				require.NoError(t, to.Close())
			})
		})
	}
}

// TestMigrateAfterSessionsWereEnded: what has not moved yet ends with the others, before
// a handler sees anything of it.
func TestMigrateAfterSessionsWereEnded(t *testing.T) {
	from, to := ginmemstore.NewStore(testSecret), memstore.New()
	after := moveSite(from, to)
	user := visited(t, from, "/visit", "/login").at(after)
	other := visited(t, from, "/visit", "/login").at(after)
	other.get("/account")
	visitor := visited(t, from, "/visit").at(after)
	n, err := to.RevokeAll(t.Context(), "42")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	for _, b := range []*browser{user, other} {
		assert.Equal(t, http.StatusUnauthorized, b.get("/account").Code)
		assert.Empty(t, b.get("/").Body.String())
	}
	assert.JSONEq(t, `{"n":7,"ok":true}`, visitor.get("/count").Body.String(), "a visitor's stands")

	visitor = visited(t, from, "/visit").at(after)
	_, err = to.RevokeEveryone(t.Context())
	require.NoError(t, err)
	assert.JSONEq(t, `{"n":0,"ok":false}`, visitor.get("/count").Body.String())
	assert.Empty(t, after.errors())
}

func TestMigrateUnderTheSameName(t *testing.T) {
	from := ginmemstore.NewStore(testSecret)
	after := newSite(store.Migrate(from, memstore.New(), "session", oldUser), sessionkit.Config{})
	after.on("/", whoami)
	after.on("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
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
		assert.LessOrEqual(t, len(setCookies(w)), 1, "no name is set twice")
	}
	assert.Len(t, setCookies(moved.Get("/logout")), 1)
	assert.Empty(t, moved.Get("/").Body.String())
}

func TestMigrateKeepsWhatTheStoreCanDo(t *testing.T) {
	from, to := ginmemstore.NewStore(testSecret), memstore.New()
	after := moveSite(from, to, sessionkit.Config{MaxSessions: 1})
	first, second := visited(t, from, "/login").at(after), visited(t, from, "/login").at(after)
	first.get("/account")
	second.get("/account")
	assert.Len(t, userSessions(t, to, "42"), 2, "a move ends nobody's session")
	third := newBrowser(t, after)
	third.get("/login")
	assert.Len(t, userSessions(t, to, "42"), 1, "a sign-in does")
	assert.Equal(t, http.StatusUnauthorized, first.get("/account").Code)

	n, err := store.Migrate(from, to, oldCookie).(interface {
		RevokeAll(ctx context.Context, user string, except ...string) (int, error)
	}).RevokeAll(t.Context(), "42")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}

// lateAnswers is a backend that creates a record and then says that it failed,
// once: the second record, which is the mark of a session that moves.
type lateAnswers struct {
	store.Backend
	created int
}

func (b *lateAnswers) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	created, err := b.Backend.Create(ctx, id, r)
	if b.created++; b.created == 2 {
		return false, errDown
	}
	return created, err
}

// TestMigrateFailureThatTookEffect: a move that is said to have failed has not
// taken place, and the session stands where it was.
func TestMigrateFailureThatTookEffect(t *testing.T) {
	from := ginmemstore.NewStore(testSecret)
	b := visited(t, from, "/visit", "/login").at(moveSite(from, storeOver(&lateAnswers{Backend: memstore.NewBackend()})))
	assert.Equal(t, http.StatusServiceUnavailable, b.get("/increment").Code)
	assert.Equal(t, "42", b.get("/").Body.String())
	assert.Equal(t, http.StatusNoContent, b.get("/increment").Code)
	assert.Equal(t, "42", b.get("/").Body.String())
	assert.JSONEq(t, `{"n":8,"ok":true}`, b.get("/count").Body.String())
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
			from, to := ginmemstore.NewStore(testSecret), memstore.New()
			old := visited(t, from, "/login", "/visit").cookies[oldCookie]
			after := moveSite(from, to, test.config)
			send := func(b *browser, path string) *httptest.ResponseRecorder {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.site+path, nil)
				for name, value := range b.cookies {
					r.AddCookie(&http.Cookie{Name: name, Value: value})
				}
				for i := 0; i < len(test.headers); i += 2 {
					r.Header.Set(test.headers[i], test.headers[i+1])
				}
				w := httptest.NewRecorder()
				after.ServeHTTP(w, r)
				for _, c := range setCookies(w) {
					switch {
					case c.MaxAge < 0:
						delete(b.cookies, c.Name)
					case test.comes || !c.Secure:
						b.cookies[c.Name] = c.Value
					}
				}
				return w
			}
			b := newBrowser(t, after)
			b.cookies[oldCookie] = old
			for range 3 {
				assert.Equal(t, "42", send(b, "/account").Body.String())
			}
			_, kept := b.cookies[oldCookie]
			assert.NotEqual(t, test.comes, kept, "the old cookie goes when the new one is known to come back")
			send(b, "/increment")
			for range 2 {
				assert.Equal(t, "42", send(b, "/account").Body.String())
				assert.Contains(t, send(b, "/count").Body.String(), `"n":8`, "changes are kept")
			}
			copied := b.fork()
			copied.cookies[oldCookie] = old
			send(b, "/logout")
			assert.Equal(t, http.StatusUnauthorized, send(b, "/account").Code)
			assert.Equal(t, http.StatusUnauthorized, send(copied, "/account").Code, "a copy of the old cookie opens nothing")
			if test.comes {
				assert.Empty(t, b.cookies)
			}
		})
	}
}

// TestMigrateTellsOfAConnectionThatDropsTheCookie: also where nothing is moved.
func TestMigrateTellsOfAConnectionThatDropsTheCookie(t *testing.T) {
	var log bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(slog.New(slog.DiscardHandler))
	from := ginmemstore.NewStore(testSecret)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.local/account", nil)
	r.AddCookie(&http.Cookie{Name: oldCookie, Value: visited(t, from, "/login").cookies[oldCookie]})
	w := httptest.NewRecorder()
	moveSite(from, memstore.New()).ServeHTTP(w, r)
	assert.Empty(t, w.Header()["Set-Cookie"])
	assert.Contains(t, log.String(), "Config.InsecureHTTP")
}
