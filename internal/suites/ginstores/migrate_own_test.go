package ginstores_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// ownMove is an application before and after its move from one store of this module to
// another.
type ownMove struct {
	from, to      *store.Store
	before, after *kittest.Site
}

func newOwnMove(t *testing.T, config sessionkit.Config) *ownMove {
	t.Helper()
	m := &ownMove{from: memstore.New(), to: memstore.New()}
	t.Cleanup(func() {
		assert.NoError(t, m.from.Close())
		assert.NoError(t, m.to.Close())
	})
	m.before = newMovingSite(kittest.NewSite(m.from, config))
	m.after = newMovingSite(kittest.NewSite(store.Migrate(m.from, m.to, "session"), config))
	return m
}

func newMovingSite(a *kittest.Site) *kittest.Site {
	a.On("/", kittest.Whoami)
	a.On("/count", kittest.ShowCount)
	a.On("/increment", kittest.Increment)
	a.On("/login", kittest.SignIn("42"))
	a.On("/login43", kittest.SignIn("43"))
	a.On("/remember", kittest.SignIn("42", sessionkit.Remember()))
	a.On("/logout", func(c *gin.Context) { sessionkit.Logout(c) })
	a.On("/everywhere", func(c *gin.Context) { _ = sessionkit.LogoutEverywhere(c) })
	a.On("/current", func(c *gin.Context) { c.JSON(http.StatusOK, sessionkit.Current(c)) })
	a.On("/confirm", sessionkit.Confirm)
	a.On("/others", func(c *gin.Context) { _ = sessionkit.LogoutOthers(c) })
	a.On("/fresh", sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Hour}), kittest.Whoami)
	a.On("/peek", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), kittest.Whoami)
	return a
}

func (m *ownMove) visitor(t *testing.T, paths ...string) *kittest.Browser {
	t.Helper()
	b := kittest.NewBrowser(t, m.before)
	for _, path := range paths {
		require.Less(t, b.Get(path).Code, http.StatusMultipleChoices)
	}
	return b
}

func TestMigrateOwn(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	old := m.visitor(t, "/increment", "/login", "/increment")
	want := kittest.UserSessions(t, m.from, "42")[0]

	b := old.At(m.after)
	assert.Equal(t, "42", b.Get("/peek").Body.String())
	assert.Equal(t, old.Session(), b.Session(), "a passive request moves nothing")
	w := b.Get("/fresh")
	assert.Equal(t, "42", w.Body.String(), "when the user signed in is known")
	assert.Len(t, kittest.SetCookies(w), 1)
	assert.NotEqual(t, old.Session(), b.Session())
	assert.JSONEq(t, `{"n":2,"ok":true}`, b.Get("/count").Body.String())
	assert.Empty(t, kittest.SetCookies(b.Get("/increment")), "it has moved once")
	got := kittest.UserSessions(t, m.to, "42")[0]
	assert.True(t, want.CreatedAt.Equal(got.CreatedAt))
	assert.True(t, want.SignedInAt.Equal(got.SignedInAt))
	assert.True(t, want.EndsAt.Equal(got.EndsAt))
	assert.Empty(t, kittest.UserSessions(t, m.from, "42"))
	assert.Empty(t, old.Get("/").Body.String(), "the old store has it no more")

	late := old.At(m.after)
	assert.Equal(t, "42", late.Get("/").Body.String(), "a request that was sent before the new cookie came")
	b.Get("/logout")
	assert.Empty(t, b.Get("/").Body.String())
	assert.Empty(t, old.At(m.after).Get("/").Body.String(), "a copy of the old cookie opens nothing after the sign-out")
	for _, kind := range m.after.Kinds() {
		assert.NotEqual(t, sessionkit.EventExpired, kind)
	}
	assert.Empty(t, m.after.Errors())
}

func TestMigrateOwnVisitor(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	b := m.visitor(t, "/increment").At(m.after)
	assert.Len(t, kittest.SetCookies(b.Get("/increment")), 1)
	assert.JSONEq(t, `{"n":2,"ok":true}`, b.Get("/count").Body.String())
	b.Get("/login")
	assert.Equal(t, "42", b.Get("/").Body.String())
	assert.JSONEq(t, `{"n":2,"ok":true}`, b.Get("/count").Body.String())
}

func TestMigrateOwnToken(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{TokenHeader: "Authorization"})
	b := kittest.NewBrowser(t, m.before)
	token := b.Get("/login", "Authorization", "Bearer").Header().Get("Authorization")
	b = b.At(m.after)
	w := b.Get("/", "Authorization", token)
	assert.Equal(t, "42", w.Body.String())
	moved := w.Header().Get("Authorization")
	assert.NotEmpty(t, moved)
	assert.NotEqual(t, token, moved)
	for _, token := range []string{token, moved} {
		assert.Equal(t, "42", b.Get("/", "Authorization", token).Body.String())
	}
	assert.Empty(t, b.Get("/", "Authorization", "Bearer x").Body.String())
}

func TestMigrateOwnDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newOwnMove(t, sessionkit.Config{})
		idle, remembered, gone := m.visitor(t, "/login"), m.visitor(t, "/remember"), m.visitor(t, "/login")
		time.Sleep(50 * time.Minute)
		idle, remembered = idle.At(m.after), remembered.At(m.after)
		assert.Equal(t, "42", idle.Get("/").Body.String())
		assert.Equal(t, "42", remembered.Get("/").Body.String())
		time.Sleep(50 * time.Minute)
		assert.Equal(t, "42", idle.Get("/").Body.String())
		w := gone.At(m.after).Get("/fresh")
		assert.Equal(t, http.StatusUnauthorized, w.Code)
		assert.Contains(t, w.Body.String(), `"reason":"expired"`)
		time.Sleep(23 * time.Hour)
		assert.Empty(t, idle.Get("/").Body.String())
		assert.Equal(t, "42", remembered.Get("/").Body.String())
		time.Sleep(30 * 24 * time.Hour)
		assert.Empty(t, remembered.Get("/").Body.String(), "its lifetime counts from the sign-in")
	})
}

// TestMigrateOwnStricter: a Config that has become stricter holds for what has yet to
// move.
func TestMigrateOwnStricter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newOwnMove(t, sessionkit.Config{})
		b := m.visitor(t, "/login")
		time.Sleep(30 * time.Minute)
		after := newMovingSite(kittest.NewSite(store.Migrate(m.from, m.to, "session"), sessionkit.Config{IdleTimeout: 10 * time.Minute}))
		w := b.At(after).Get("/fresh")
		assert.Contains(t, w.Body.String(), `"reason":"expired"`)
		assert.Contains(t, after.Kinds(), sessionkit.EventExpired)
	})
}

// TestMigrateOwnMaxSessions: when the session was signed in to is known, and the oldest ends.
func TestMigrateOwnMaxSessions(t *testing.T) {
	for name, sinceThen := range map[string]bool{"signed in before": false, "signed in since": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newOwnMove(t, sessionkit.Config{MaxSessions: 1})
				old, b := kittest.NewBrowser(t, m.before), kittest.NewBrowser(t, m.after)
				order := []*kittest.Browser{old, b}
				if sinceThen {
					order = []*kittest.Browser{b, old}
				}
				for _, one := range order {
					one.Get("/login")
					time.Sleep(time.Second)
				}
				moved := old.At(m.after)
				assert.Equal(t, "42", moved.Get("/").Body.String())
				users := map[bool]string{true: "42"}
				assert.Equal(t, users[sinceThen], moved.Get("/").Body.String())
				assert.Equal(t, users[!sinceThen], b.Get("/").Body.String())
				assert.Empty(t, m.after.Errors())
			})
		})
	}
}

func TestMigrateOwnRevocation(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	moved, waiting, late := m.visitor(t, "/login").At(m.after), m.visitor(t, "/login").At(m.after), m.visitor(t, "/login").At(m.after)
	moved.Get("/")
	moved.Get("/everywhere")
	assert.Empty(t, moved.Get("/").Body.String())
	assert.Empty(t, waiting.Get("/").Body.String(), "what has yet to move ends as well")

	_, err := m.from.RevokeAll(t.Context(), "42")
	require.NoError(t, err)
	assert.Empty(t, late.Get("/").Body.String(), "and what was ended in the old store does not move")
}

// TestMigrateOwnRevocationIsNotForgotten: what has yet to move ends however long it takes to
// come back.
func TestMigrateOwnRevocationIsNotForgotten(t *testing.T) {
	const day = 24 * time.Hour
	for name, revoke := range map[string]func(ctx context.Context, s *store.Store) error{
		"RevokeAll":      func(ctx context.Context, s *store.Store) error { _, err := s.RevokeAll(ctx, "42"); return err },
		"RevokeEveryone": func(ctx context.Context, s *store.Store) error { _, err := s.RevokeEveryone(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newOwnMove(t, sessionkit.Config{RememberFor: 90 * day})
				b := m.visitor(t, "/remember").At(m.after)
				require.NoError(t, revoke(t.Context(), m.to))
				time.Sleep(40 * day)
				assert.Empty(t, b.Get("/").Body.String())
			})
		})
	}
}

// TestMigrateOwnFreshGuard: a guard that reads the session afresh finds one that has yet to
// move where it is.
func TestMigrateOwnFreshGuard(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	m.after.On("/danger", func(c *gin.Context) { sessionkit.User(c) },
		sessionkit.RequireSession(sessionkit.GuardConfig{FreshWithin: time.Hour}), kittest.Whoami)
	b := m.visitor(t, "/login").At(m.after)
	assert.Equal(t, "42", b.Get("/danger").Body.String())
	assert.Equal(t, "42", b.Get("/danger").Body.String())
}

// TestMigrateOwnDone: a stream of a session that has not moved ends with it.
func TestMigrateOwnDone(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context, m *ownMove) error{
		"expiry":         func(context.Context, *ownMove) error { time.Sleep(31 * time.Minute); return nil }, // use is recorded once a minute
		"RevokeAll":      func(ctx context.Context, m *ownMove) error { _, err := m.to.RevokeAll(ctx, "42"); return err },
		"RevokeEveryone": func(ctx context.Context, m *ownMove) error { _, err := m.to.RevokeEveryone(ctx); return err },
		"the old store":  func(ctx context.Context, m *ownMove) error { _, err := m.from.RevokeAll(ctx, "42"); return err },
		"Close":          func(_ context.Context, m *ownMove) error { return m.to.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newOwnMove(t, sessionkit.Config{IdleTimeout: 30 * time.Minute})
				m.after.On("/stream", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), func(c *gin.Context) {
					select {
					case <-sessionkit.Done(c):
					case <-time.After(3 * time.Hour):
					}
				})
				b := m.visitor(t, "/login").At(m.after)
				streamed := make(chan time.Time, 1)
				go func() {
					b.Fork().Get("/stream")
					streamed <- time.Now()
				}()
				time.Sleep(time.Second / 2) // it has begun
				require.NoError(t, end(t.Context(), m))
				ended := time.Now()
				assert.WithinDuration(t, ended, <-streamed, time.Second+time.Millisecond)
				if name != "Close" {
					assert.Empty(t, b.Get("/").Body.String())
				}
			})
		})
	}
}

// TestDoneBesideAForm: a handler may change its request while somebody watches the session.
func TestDoneBesideAForm(t *testing.T) {
	parse := func(c *gin.Context) {
		done := sessionkit.Done(c)
		for range 3 { // the watch looks once a second
			c.Request.Form = nil
			c.Request.Body = http.MaxBytesReader(c.Writer, http.NoBody, 1000)
			assert.NoError(t, c.Request.ParseForm())
			select {
			case <-done:
				assert.Fail(t, "the session has not ended")
			case <-time.After(time.Second):
			}
		}
		c.Status(http.StatusNoContent)
	}
	t.Run("over a store of gin-contrib", func(t *testing.T) {
		s := teststores.NewMemoryStore(t).Store
		synctest.Test(t, func(t *testing.T) {
			a := kittest.NewRulesSite(s, sessionkit.Config{})
			a.On("/form", parse)
			b := kittest.NewBrowser(t, a)
			b.Get("/login")
			assert.Equal(t, http.StatusNoContent, b.Get("/form?q=x").Code)
		})
	})
	t.Run("of a session that has yet to move", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newOwnMove(t, sessionkit.Config{})
			m.after.On("/form", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), parse)
			assert.Equal(t, http.StatusNoContent, m.visitor(t, "/login").At(m.after).Get("/form?q=x").Code)
		})
	})
}

// TestCloseBesideAnOldStoreThatHangs: it ends the streams of sessions that have yet to move, and
// does not wait for the old store, which takes no context.
func TestCloseBesideAnOldStoreThatHangs(t *testing.T) {
	old := &faulty{Store: teststores.NewMemoryStore(t).Store}
	synctest.Test(t, func(t *testing.T) {
		to := memstore.New()
		a := moveSite(old, to)
		hangs, asked := make(chan struct{}), make(chan struct{}, 1)
		a.On("/stream", sessionkit.RequireSession(sessionkit.GuardConfig{Passive: true}), func(c *gin.Context) {
			old.onNew = func(*http.Request) (*gsessions.Session, error) {
				select {
				case asked <- struct{}{}:
				default:
				}
				<-hangs
				return nil, nil
			}
			<-sessionkit.Done(c)
		})
		b := visited(t, old.Store, "/login")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.At(a).Get("/stream")
		}()
		<-asked
		assert.NoError(t, to.Close())
		close(hangs)
		<-ended
	})
}

// TestMigrateOwnReasons: what became of a session is told to its old cookie, whether it
// had moved by then or not.
func TestMigrateOwnReasons(t *testing.T) {
	for name, test := range map[string]struct {
		end    func(t *testing.T, m *ownMove, b *kittest.Browser)
		reason string
		events []sessionkit.EventKind
	}{
		"revoked": {func(t *testing.T, m *ownMove, _ *kittest.Browser) {
			t.Helper()
			_, err := m.to.RevokeAll(t.Context(), "42")
			require.NoError(t, err)
		}, "revoked", nil},
		"revoked in the old store": {func(t *testing.T, m *ownMove, _ *kittest.Browser) {
			t.Helper()
			_, err := m.from.RevokeAll(t.Context(), "42")
			require.NoError(t, err)
		}, "revoked", nil},
		"everyone": {func(t *testing.T, m *ownMove, _ *kittest.Browser) {
			t.Helper()
			_, err := m.to.RevokeEveryone(t.Context())
			require.NoError(t, err)
		}, "revoked", nil},
		"from another browser": {func(t *testing.T, m *ownMove, _ *kittest.Browser) {
			t.Helper()
			other := kittest.NewBrowser(t, m.after)
			other.Get("/login")
			other.Get("/others")
		}, "revoked", nil},
		"signed out":            {at("/logout"), "not-signed-in", []sessionkit.EventKind{sessionkit.EventRejected}},
		"signed out everywhere": {at("/", "/everywhere"), "not-signed-in", []sessionkit.EventKind{sessionkit.EventRejected}},
		"signed in":             {at("/login"), "not-signed-in", nil},
		"confirmed":             {at("/confirm"), "not-signed-in", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newOwnMove(t, sessionkit.Config{})
				old := m.visitor(t, "/login").At(m.after)
				test.end(t, m, old.At(m.after))
				time.Sleep(time.Millisecond) // no request of before the sign-out is that late
				m.after.Heard()
				for range 2 {
					assert.Contains(t, old.Get("/fresh").Body.String(), `"reason":"`+test.reason+`"`)
					assert.Equal(t, test.events, m.after.Kinds())
				}
				assert.Empty(t, m.after.Errors())
			})
		})
	}
}

// at has the browser go to paths.
func at(paths ...string) func(t *testing.T, m *ownMove, b *kittest.Browser) {
	return func(_ *testing.T, _ *ownMove, b *kittest.Browser) {
		for _, path := range paths {
			b.Get(path)
		}
	}
}

// TestMigrateOwnLateAnswer: a request that the browser sent before it had the cookie of a
// sign-in that moved the session sets none over that, and its sign-out counts.
func TestMigrateOwnLateAnswer(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	b := m.visitor(t, "/login").At(m.after)
	change, signOut := b.Request(http.MethodGet, "/increment"), b.Request(http.MethodGet, "/logout")
	b.Get("/confirm")
	w := b.Do(change)
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Empty(t, kittest.SetCookies(w))
	assert.Equal(t, "42", b.Get("/").Body.String())
	b.Do(signOut)
	assert.Empty(t, kittest.UserSessions(t, m.to, "42"))

	b = m.visitor(t, "/login").At(m.after)
	change, signOut = b.Request(http.MethodGet, "/increment"), b.Request(http.MethodGet, "/logout")
	b.Get("/login43")
	assert.Empty(t, b.Do(change).Header()["Set-Cookie"])
	assert.Empty(t, b.Do(signOut).Header()["Set-Cookie"], "it is not the sign-out of the other user")
	assert.Equal(t, "43", b.Get("/").Body.String())
}

func TestMigrateOwnLosesNothingOfParallelRequests(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	for range 50 {
		old := m.visitor(t, "/login")
		var all sync.WaitGroup
		browsers := make([]*kittest.Browser, 8)
		for i := range browsers {
			browsers[i] = old.At(m.after)
			all.Go(func() { assert.Equal(t, http.StatusNoContent, browsers[i].Get("/increment").Code) })
		}
		all.Wait()
		for _, b := range browsers {
			assert.Equal(t, browsers[0].Session(), b.Session())
			assert.Equal(t, "42", b.Get("/").Body.String())
		}
		browsers[0].Get("/logout")
		assert.Empty(t, browsers[1].Get("/").Body.String())
	}
	assert.Empty(t, kittest.UserSessions(t, m.from, "42"))
	assert.Empty(t, kittest.UserSessions(t, m.to, "42"))
}

// TestMigrateOwnPanic: an Update moves the session, but nothing else that a handler has
// changed which then panics.
func TestMigrateOwnPanic(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	m.after.On("/panic", gin.CustomRecovery(func(c *gin.Context, _ any) { c.Status(http.StatusInternalServerError) }), func(c *gin.Context) {
		kittest.Name.Set(c, "half done")
		_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
		assert.NoError(t, err)
		panic("oops")
	})
	m.after.On("/whole", func(c *gin.Context) {
		kittest.Name.Set(c, "done")
		_, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
		assert.NoError(t, err)
	})
	m.after.On("/name", func(c *gin.Context) {
		name, _ := kittest.Name.Get(c)
		n, _ := kittest.Count.Get(c)
		c.String(http.StatusOK, "%s %d", name, n)
	})
	for path, want := range map[string]string{"/panic": " 2", "/whole": "done 2"} {
		b := m.visitor(t, "/login", "/increment").At(m.after)
		b.Get(path)
		assert.Equal(t, want, b.Get("/name").Body.String())
		assert.Equal(t, "42", b.Get("/").Body.String())
	}
}

// TestMigrateOwnUpdateAndRenewal: of two requests that count in a session which has yet to
// move, neither gets the number of the other, also if one gives the session a new ID.
func TestMigrateOwnUpdateAndRenewal(t *testing.T) {
	count := func(t *testing.T, c *gin.Context) (n int) {
		t.Helper()
		n, err := kittest.Count.Update(c, func(n int) int { return n + 1 })
		assert.NoError(t, err)
		return n
	}
	for name, renew := range map[string]gin.HandlerFunc{
		"Renew": sessionkit.Renew, "Confirm": sessionkit.Confirm, "Login": kittest.SignIn("42"),
	} {
		t.Run(name, func(t *testing.T) {
			m := newOwnMove(t, sessionkit.Config{})
			b := m.visitor(t, "/login", "/increment").At(m.after)
			old, other := b.Fork(), b.Fork()
			m.after.On("/other", func(c *gin.Context) { assert.Equal(t, 3, count(t, c)) })
			m.after.On("/renew", func(c *gin.Context) {
				renew(c)
				assert.Equal(t, 2, count(t, c))
				assert.Equal(t, http.StatusOK, other.Get("/other").Code)
			})
			assert.Equal(t, http.StatusOK, b.Get("/renew").Code)
			assert.JSONEq(t, `{"n": 3, "ok": true}`, b.Get("/count").Body.String())
			assert.Empty(t, old.Get("/").Body.String(), "the old cookie opens nothing any more")
			assert.Len(t, kittest.UserSessions(t, m.to, "42"), 1)
			assert.Empty(t, kittest.UserSessions(t, m.from, "42"))
			assert.Empty(t, m.after.Errors())
		})
	}
}

// TestMigrateLargerThanMaxBytes: a session for which the new store is too small moves as it is,
// whatever moves it. What the request adds is judged.
func TestMigrateLargerThanMaxBytes(t *testing.T) {
	for _, moves := range []string{"/", "/confirm", "/login", "/renew"} {
		t.Run(moves, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := store.New(memstore.NewBackend(), store.Config{Timeout: -1})
				to := store.New(memstore.NewBackend(), store.Config{Timeout: -1, MaxBytes: 1000})
				site := func(s sessions.Store) *kittest.Site {
					a := kittest.NewSite(s, sessionkit.Config{})
					a.On("/login", kittest.SignIn("42"))
					a.On("/", kittest.Whoami)
					a.On("/confirm", func(c *gin.Context) { sessionkit.Confirm(c) })
					a.On("/renew", func(c *gin.Context) { sessionkit.Renew(c) })
					a.On("/fill", func(c *gin.Context) { kittest.Name.Set(c, strings.Repeat("x", 1500)) })
					a.On("/grow", kittest.Increment)
					return a
				}
				b := kittest.NewBrowser(t, site(from))
				b.Get("/login")
				b.Get("/fill")
				a := site(store.Migrate(from, to, "session"))
				b = b.At(a)
				refused := func() {
					t.Helper()
					assert.Equal(t, http.StatusServiceUnavailable, b.Get("/grow").Code)
					errs := a.Errors()
					require.Len(t, errs, 1)
					require.ErrorIs(t, errs[0], store.ErrTooLarge)
				}
				refused()
				time.Sleep(10 * time.Minute)
				assert.Equal(t, http.StatusOK, b.Get(moves).Code)
				for range 9 {
					time.Sleep(10 * time.Minute)
					assert.Equal(t, "42", b.Get("/").Body.String())
				}
				assert.Len(t, kittest.UserSessions(t, to, "42"), 1)
				assert.Empty(t, a.Errors())
				refused()
			})
		})
	}
}

// TestMigrateFromAPlainOwnStore: a store of this module that was used by
// sessions.Sessions of gin-contrib is moved from as any other.
func TestMigrateFromAPlainOwnStore(t *testing.T) {
	from, to := memstore.New(), memstore.New()
	after := moveSite(from, to)
	b := visited(t, from, "/visit", "/login").At(after)
	assert.Equal(t, "42", b.Get("/").Body.String())
	assert.NotContains(t, b.Cookies, oldCookie)
	assert.JSONEq(t, `{"n":7,"ok":true}`, b.Get("/count").Body.String())
}
