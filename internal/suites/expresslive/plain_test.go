package expresslive_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/express"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// TestWithoutKit: gin-contrib/sessions alone over the store.
func TestWithoutKit(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		serve := func(cookie string, f func(session sessions.Session)) *httptest.ResponseRecorder {
			r := gin.New()
			r.Use(sessions.Sessions("connect.sid", s))
			r.GET("/", func(c *gin.Context) { f(sessions.Default(c)) })
			w := httptest.NewRecorder()
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			req.Header.Set("Cookie", "connect.sid="+cookie)
			r.ServeHTTP(w, req)
			return w
		}
		w := serve("nonsense", func(session sessions.Session) {
			session.Set("n", 7)
			session.Set("userId", "ada")
			assert.NoError(t, session.Save())
		})
		cookies := w.Result().Cookies()
		require.Len(t, cookies, 1)
		assert.True(t, cookies[0].HttpOnly)
		cookie := cookies[0].Value
		sid, ok := open(secrets, cookie)
		require.True(t, ok)
		assert.JSONEq(t, `{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"n":7,"userId":"ada"}`, m.read(t, sid))
		assert.InDelta(t, (24 * time.Hour).Seconds(), m.left(t, sid).Seconds(), 3)

		serve(cookie, func(session sessions.Session) {
			assert.Equal(t, 7, session.Get("n"))
			m.write(t, sid, `{"cookie":{},"n":7,"node":[]}`) // meanwhile
			session.Set("n", 8)
			assert.NoError(t, session.Save())
			session.Set("id", "x")
			assert.ErrorContains(t, session.Save(), "Node would lose it")
		})
		assert.JSONEq(t, `{"cookie":{},"n":8,"node":[]}`, m.read(t, sid))

		serve(cookie, func(session sessions.Session) {
			assert.Equal(t, 8, session.Get("n"))
			other, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			require.NoError(t, err)
			other.AddCookie(&http.Cookie{Name: "connect.sid", Value: cookie})
			same, err := s.New(other, "connect.sid")
			require.NoError(t, err)
			same.Options.MaxAge = -1
			require.NoError(t, s.Save(other, httptest.NewRecorder(), same))
			session.Set("n", 9)
			assert.ErrorIs(t, session.Save(), store.ErrEnded)
		})
		assert.Empty(t, m.read(t, sid))
		_, err := s.New(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), "session")
		require.ErrorContains(t, err, `"connect.sid" in Config.Cookie`)
	})
}

// TestPlainMessageAfterASignOut: another Save begins a new session, with nothing of the one that was ended.
func TestPlainMessageAfterASignOut(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		for name, before := range map[string]func(sessions.Session){
			"by MaxAge alone": func(sessions.Session) {},
			"cleared":         sessions.Session.Clear,
			"after a change":  func(session sessions.Session) { session.Set("userId", "adam") },
		} {
			t.Run(name, func(t *testing.T) {
				r := gin.New()
				r.Use(sessions.Sessions("connect.sid", s))
				r.GET("/", func(c *gin.Context) {
					session := sessions.Default(c)
					before(session)
					session.Options(sessions.Options{Path: "/", MaxAge: -1})
					assert.NoError(t, session.Save())
					assert.Empty(t, session.ID())
					session.Options(sessions.Options{Path: "/", MaxAge: 60})
					session.Set("goodbye", true)
					assert.NoError(t, session.Save())
				})
				m.write(t, "sid", `{"cookie":{},"userId":"ada"}`)
				for _, cookie := range []string{seal(secrets, "sid"), ""} { // a session that was loaded, and one that was not yet saved
					w := httptest.NewRecorder()
					req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
					req.Header.Set("Cookie", "connect.sid="+cookie)
					r.ServeHTTP(w, req)
					assert.Empty(t, m.read(t, "sid"))
					cookies := w.Result().Cookies()
					require.Len(t, cookies, 2)
					sid, ok := open(secrets, cookies[1].Value)
					require.True(t, ok)
					assert.Contains(t, m.read(t, sid), `"goodbye":true`)
					assert.NotContains(t, m.read(t, sid), "userId")
				}
			})
		}
	})
}

// TestClientGone: what a handler does when its client is gone counts, with the middleware and without.
func TestClientGone(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		with, without := gin.New(), gin.New()
		with.Use(sessionkit.Sessions(s))
		with.POST("/set", func(c *gin.Context) { sessionkit.NewKey[bool]("paid").Set(c, true) })
		with.POST("/logout", sessionkit.Logout)
		without.Use(sessions.Sessions("connect.sid", s))
		without.POST("/set", func(c *gin.Context) {
			sessions.Default(c).Set("paid", true)
			assert.NoError(t, sessions.Default(c).Save())
		})
		without.POST("/logout", func(c *gin.Context) {
			sessions.Default(c).Options(sessions.Options{Path: "/", MaxAge: -1})
			assert.NoError(t, sessions.Default(c).Save())
		})
		for _, r := range []*gin.Engine{with, without} {
			m.write(t, "sid", `{"cookie":{},"userId":"ada"}`)
			gone := func(path string) {
				ctx, leave := context.WithCancel(t.Context())
				leave()
				req := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+path, nil)
				req.Header.Set("Cookie", "connect.sid="+seal(secrets, "sid"))
				r.ServeHTTP(httptest.NewRecorder(), req)
			}
			gone("/set")
			assert.JSONEq(t, `{"cookie":{},"userId":"ada","paid":true}`, m.read(t, "sid"))
			gone("/logout")
			assert.Empty(t, m.read(t, "sid"))
		}
	})
}

// TestMigrate: Node is gone, and nobody is signed out.
func TestMigrate(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		byNode, byGin, visitor, byBoth := s.browser(t), s.browser(t), s.browser(t), s.browser(t)
		byNode.get("/node/login", "user", "ada")
		byNode.get("/node/set", "name", "a", "value", `{"n":7}`)
		byGin.get("/gin/login", "user", "bob")
		byGin.get("/gin/flash", "text", "hello")
		visitor.get("/node/add", "item", "tea")
		byBoth.get("/gin/login", "user", "ada")
		byBoth.get("/node/login", "user", "eve")

		old := newStore(m)
		next := memstore.New()
		defer func() { assert.NoError(t, next.Close()) }()
		moved := store.Migrate(old, next, "connect.sid", old.UserOf)
		open := func(b *browser, f func(c *gin.Context)) (name, cookie string) {
			t.Helper()
			r := gin.New()
			r.Use(sessionkit.Sessions(moved))
			r.GET("/", f)
			w := httptest.NewRecorder()
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil)
			req.Header.Set("Cookie", "connect.sid="+b.cookie())
			r.ServeHTTP(w, req)
			require.Equal(t, http.StatusOK, w.Code)
			for _, c := range w.Result().Cookies() {
				if c.Name != "connect.sid" {
					name, cookie = c.Name, c.Value
				} else {
					assert.Negative(t, c.MaxAge, "the old cookie goes")
				}
			}
			return name, cookie
		}
		is0 := func(user string, f func(c *gin.Context)) func(c *gin.Context) {
			return func(c *gin.Context) {
				got, _ := sessionkit.User(c)
				assert.Equal(t, user, got)
				f(c)
			}
		}
		name, cookie := open(byNode, is0("ada", func(c *gin.Context) {
			is(t, c, "a", map[string]any{"n": 7.0})
			sessionkit.NewKey[int64]("visits").Set(c, 1)
		}))
		assert.Equal(t, "session", name)
		assert.Len(t, cookie, 43)
		open(byGin, is0("bob", func(c *gin.Context) {
			assert.Equal(t, []sessionkit.FlashMessage{{Level: sessionkit.Success, Text: "hello"}}, sessionkit.Flashes(c))
			assert.WithinDuration(t, time.Now(), sessionkit.Current(c).SignedInAt, time.Minute, "its sign-in is known")
		}))
		open(visitor, is0("", func(c *gin.Context) { is(t, c, "cart", []item{{"tea", 1}}) }))
		open(byBoth, is0("eve", func(c *gin.Context) {
			assert.True(t, sessionkit.Current(c).SignedInAt.IsZero())
			sessionkit.Logout(c)
		}))
		open(byBoth, is0("", func(*gin.Context) {}))
		for user, want := range map[string]int{"ada": 1, "bob": 1, "eve": 0} {
			list, err := next.Sessions(t.Context(), user)
			require.NoError(t, err)
			assert.Len(t, list, want, user)
		}
		assert.Zero(t, m.count(t), "the old records are gone")
	})
}

// TestMigrateSignInByLogin: the values of a session do not say who has signed in by Login if
// Node does not know.
func TestMigrateSignInByLogin(t *testing.T) {
	m := newRedis(t)
	byNode := m.store(express.Config{Secrets: secrets, User: express.User{Name: "userId"}})
	byLogin := m.store(express.Config{Secrets: secrets})
	for _, test := range []struct {
		name, drop string
		old        *express.Store
		user       string
	}{
		{"Node does not know", "", byLogin, "ada"},
		{"Node knows", "", byNode, "ada"},
		{"signed out by Node", "userId", byNode, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cookie := inside(t, test.old, "", func(c *gin.Context) { sessionkit.Login(c, "ada") }).Cookies()[0].Value
			if test.drop != "" {
				inside(t, test.old, cookie, func(c *gin.Context) { sessions.Default(c).Delete(test.drop) })
			}
			next := memstore.New()
			defer func() { assert.NoError(t, next.Close()) }()
			res := inside(t, store.Migrate(test.old, next, "connect.sid", test.old.UserOf), cookie, func(c *gin.Context) {
				user, _ := sessionkit.User(c)
				assert.Equal(t, test.user, user)
				counter.Set(c, 1)
			})
			assert.Equal(t, http.StatusOK, res.StatusCode)
			list, err := next.Sessions(t.Context(), "ada")
			require.NoError(t, err)
			assert.Equal(t, test.user != "", len(list) == 1)
		})
	}
}

// TestMigrateNewPassword: the session in which a user changes the password, in its first request
// after Node has gone, goes on.
func TestMigrateNewPassword(t *testing.T) {
	m := newRedis(t)
	for name, user := range map[string]express.User{"by Node": {Name: "userId"}, "by Login": {}} {
		t.Run(name, func(t *testing.T) {
			old := m.store(express.Config{Secrets: secrets, User: user})
			cookie := inside(t, old, "", func(c *gin.Context) { sessionkit.Login(c, "ada") }).Cookies()[0].Value
			next := memstore.New()
			defer func() { assert.NoError(t, next.Close()) }()
			res := inside(t, store.Migrate(old, next, "connect.sid", old.UserOf), cookie, func(c *gin.Context) {
				assert.NoError(t, sessionkit.LogoutOthers(c))
				_, err := next.RevokeAll(c, "ada", sessionkit.Current(c).ID)
				assert.NoError(t, err)
				sessionkit.Flash(c, sessionkit.Success, "changed")
			})
			assert.Equal(t, http.StatusOK, res.StatusCode)
			list, err := next.Sessions(t.Context(), "ada")
			require.NoError(t, err)
			assert.Len(t, list, 1)
		})
	}
}

// TestMigrateSignOutWins: a sign-out at Node, or at a process that does not move sessions
// yet, is not undone by a request that has read the session before.
func TestMigrateSignOutWins(t *testing.T) {
	for name, test := range map[string]struct {
		finish func(c *gin.Context)
		status int
		user   string // of the session that is left
	}{
		"a change":   {func(c *gin.Context) { counter.Set(c, 1) }, http.StatusServiceUnavailable, ""},
		"a renewal":  {func(c *gin.Context) { sessionkit.Renew(c) }, http.StatusServiceUnavailable, ""},
		"a sign-out": {sessionkit.Logout, http.StatusOK, ""},
		"a sign-in":  {func(c *gin.Context) { sessionkit.Login(c, "bob") }, http.StatusOK, "bob"},
	} {
		t.Run(name, func(t *testing.T) {
			eachMedium(t, func(t *testing.T, m *medium) {
				m.write(t, "x", `{"cookie":{},"userId":"ada"}`)
				old, next := newStore(m), memstore.New()
				defer func() { assert.NoError(t, next.Close()) }()
				res := inside(t, store.Migrate(old, next, "connect.sid", old.UserOf), seal(secrets, "x"), func(c *gin.Context) {
					user, _ := sessionkit.User(c)
					assert.Equal(t, "ada", user)
					inside(t, newStore(m), seal(secrets, "x"), sessionkit.Logout)
					test.finish(c)
				})
				assert.Equal(t, test.status, res.StatusCode, res.Header["Errors"])
				for user, want := range map[string]bool{"ada": false, "bob": test.user == "bob"} {
					list, err := next.Sessions(t.Context(), user)
					require.NoError(t, err)
					assert.Equal(t, want, len(list) == 1, user)
				}
			})
		})
	}
}

// TestMigrateRespelled: once the user has signed out, no spelling of the old cookie opens what Node
// has brought back.
func TestMigrateRespelled(t *testing.T) {
	m := newRedis(t)
	from := m.store(express.Config{Secrets: secrets, User: express.User{Name: "userId"}})
	next := memstore.New()
	defer func() { assert.NoError(t, next.Close()) }()
	to := store.Migrate(from, next, "connect.sid", from.UserOf)
	const document = `{"cookie":{"originalMaxAge":7200000},"userId":"ada"}`
	m.write(t, "x", document)
	user := func(cookie string) (user string) {
		insideAt(t, "http://localhost/", to, cookie, func(c *gin.Context) { user, _ = sessionkit.User(c) })
		return user
	}
	cookie := seal(secrets, "x")
	raw, err := url.PathUnescape(cookie)
	require.NoError(t, err)
	spellings := []string{cookie, raw, strings.Replace(cookie, "s%3A", "%73%3a", 1)}
	for _, spelling := range spellings {
		require.Equal(t, "ada", user(spelling))
	}
	insideAt(t, "http://localhost/", to, cookie, func(c *gin.Context) { sessionkit.Logout(c) })
	m.write(t, "x", document)
	for _, spelling := range spellings {
		assert.Empty(t, user(spelling), spelling)
	}
}
