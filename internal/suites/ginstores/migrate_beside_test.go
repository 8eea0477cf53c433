package ginstores_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// twoNodes is a site of which one node has the old application still, and another one
// the new one. One browser is sent to either.
type twoNodes struct {
	old   *gin.Engine
	after *kittest.Site
	b     *kittest.Browser
}

func newTwoNodes(t *testing.T, from, to sessions.Store) *twoNodes {
	t.Helper()
	n := &twoNodes{old: oldSite(from), after: moveSite(from, to)}
	n.after.On("/everywhere", func(c *gin.Context) { assert.NoError(t, sessionkit.LogoutEverywhere(c)) })
	n.after.On("/clear", func(c *gin.Context) { sessions.Default(c).Clear() })
	n.after.On("/late-logout", func(c *gin.Context) {
		c.String(http.StatusOK, "sent")
		sessionkit.Logout(c)
	})
	n.b = kittest.NewBrowser(t, n.old)
	return n
}

func (n *twoNodes) atOld(path string) string {
	n.b.Handler = n.old
	return n.b.Get(path).Body.String()
}

func (n *twoNodes) atNew(path string) string {
	n.b.Handler = n.after
	return n.b.Get(path).Body.String()
}

// beside has the browser signed in at the new node as 43, and beside that as 42 with a
// cookie that an old node has set.
func (n *twoNodes) beside(t *testing.T) {
	t.Helper()
	n.atNew("/other")
	n.atOld("/login")
	require.Equal(t, "43", n.atNew("/"))
	require.Len(t, n.b.Cookies, 2)
}

// TestMigrateSignOutBesideAnOldNode: a sign-out is one also for a session that an old node
// has begun beside the one that has moved, which is not seen until then.
func TestMigrateSignOutBesideAnOldNode(t *testing.T) {
	for _, path := range []string{"/logout", "/goodbye", "/everywhere", "/clear"} {
		t.Run(path, func(t *testing.T) {
			eachMove(t, func(t *testing.T, from, to sessions.Store) {
				n := newTwoNodes(t, from, to)
				n.beside(t)
				copied := n.b.Fork()
				n.after.Heard()
				n.atNew(path)
				assert.NotContains(t, n.b.Cookies, oldCookie)
				assert.Empty(t, n.atNew("/"))
				assert.Empty(t, copied.Get("/").Body.String(), "nor does a copy of the cookies open anything")
				if !strings.Contains(t.Name(), "/cookie_to") {
					copied.Handler = n.old
					assert.Equal(t, "null", copied.Get("/").Body.String(), "nor at the old node")
				}
				users := make(map[string]int)
				for _, e := range n.after.Heard() {
					if e.Kind == sessionkit.EventSignedOut {
						users[e.User]++
					}
				}
				assert.Equal(t, map[string]int{"42": 1, "43": 1}, users)
				assert.Empty(t, n.after.Errors())
			})
		})
	}
}

// TestMigrateSignOutAfterAnOldNodeBroughtItBack: a request that was under way at an old node
// while the session moved stores it again, with a cookie of another second.
func TestMigrateSignOutAfterAnOldNodeBroughtItBack(t *testing.T) {
	for name, newFrom := range map[string]func() sessions.Store{
		"cookie":   func() sessions.Store { return gincookie.NewStore(kittest.TestSecret) },
		"memstore": func() sessions.Store { return ginmemstore.NewStore(kittest.TestSecret) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := newFrom(), memstore.New()
				n := newTwoNodes(t, from, to)
				h := heldRoute{make(chan struct{}), make(chan struct{})}
				n.old.GET("/slow", func(c *gin.Context) {
					session := sessions.Default(c)
					session.Set("slow", true)
					close(h.loaded)
					<-h.goOn
					assert.NoError(t, session.Save())
				})
				n.atOld("/login")
				slow := n.b.Fork()
				h.during(slow, "/slow", func() {
					require.Equal(t, "42", n.atNew("/"))
					require.NotContains(t, n.b.Cookies, oldCookie)
					time.Sleep(2 * time.Second)
				})
				n.b.Cookies[oldCookie] = slow.Cookies[oldCookie] // it is one browser
				require.Equal(t, "42", n.atNew("/"))
				n.atNew("/logout")
				assert.Empty(t, n.b.Cookies)
				assert.Empty(t, n.atNew("/"))
				assert.Empty(t, slow.At(n.after).Get("/").Body.String(), "a copy of the cookie opens nothing")
				require.NoError(t, to.Close())
			})
		})
	}
}

// TestMigrateSignInBesideAnOldNode: nor does a sign-in leave the browser with one that comes
// up once the new session is over.
func TestMigrateSignInBesideAnOldNode(t *testing.T) {
	for _, before := range []string{"/increment", "/other"} { // a visitor's session, and that of a user
		eachMove(t, func(t *testing.T, from, to sessions.Store) {
			n := newTwoNodes(t, from, to)
			n.atNew(before)
			n.atOld("/login")
			copied := n.b.Fork()
			n.b.Handler = n.after
			assert.Len(t, kittest.SetCookies(n.b.Get("/other")), 2)
			assert.NotContains(t, n.b.Cookies, oldCookie)
			assert.Equal(t, "43", n.atNew("/"))
			delete(copied.Cookies, kittest.SessionCookie)
			assert.Empty(t, copied.At(n.after).Get("/").Body.String())
			assert.Empty(t, n.after.Errors())
		})
	}
}

// TestMigrateSignOutOfWhatHasMovedBeside: an old cookie whose session another request has
// moved opens that one, which is therefore ended as well.
func TestMigrateSignOutOfWhatHasMovedBeside(t *testing.T) {
	n := newTwoNodes(t, ginmemstore.NewStore(kittest.TestSecret), memstore.New())
	n.beside(t)
	other := n.b.Fork()
	delete(other.Cookies, kittest.SessionCookie)
	other = other.At(n.after)
	require.Equal(t, "42", other.Get("/").Body.String())
	require.Equal(t, "43", n.atNew("/"))
	n.atNew("/logout")
	assert.Empty(t, n.atNew("/"))
	assert.Empty(t, other.Get("/").Body.String())
	assert.Empty(t, n.after.Errors())
}

// TestMigrateSignOutThatFailsBeside: a sign-out that cannot end both says so, and ends what it
// can. To try again ends the rest.
func TestMigrateSignOutThatFailsBeside(t *testing.T) {
	for title, test := range map[string]struct {
		breaks func(from *faultyOld, back *kittest.Backend)
		left   string
	}{
		"the old store cannot be read":   {func(from *faultyOld, _ *kittest.Backend) { from.failNew = kittest.ErrDown }, "42"},
		"the old store does not end it":  {func(from *faultyOld, _ *kittest.Backend) { from.failed = kittest.ErrDown }, "42"},
		"the old store panics":           {func(from *faultyOld, _ *kittest.Backend) { from.panics = "down" }, "42"},
		"the new one takes no mark":      {func(_ *faultyOld, back *kittest.Backend) { back.Failing(kittest.ErrDown, "create") }, "42"},
		"the new one does not end it":    {func(_ *faultyOld, back *kittest.Backend) { back.Failing(kittest.ErrDown, "end") }, "43"},
		"the new one cannot read a mark": {func(_ *faultyOld, back *kittest.Backend) { back.Failing(kittest.ErrDown, "load") }, "43"},
	} {
		for path, code := range map[string]int{"/logout": http.StatusServiceUnavailable, "/late-logout": http.StatusOK} {
			t.Run(title+path, func(t *testing.T) {
				from, back := &faultyOld{Store: ginmemstore.NewStore(kittest.TestSecret)}, kittest.NewBackend()
				n := newTwoNodes(t, from, kittest.StoreOver(back))
				n.beside(t)
				test.breaks(from, back)
				w := n.b.Get(path)
				assert.Equal(t, code, w.Code)
				assert.Empty(t, kittest.SetCookies(w))
				assert.NotEmpty(t, n.after.Errors())
				from.failNew, from.failed, from.panics = nil, nil, nil
				back.Failing(nil)
				assert.Equal(t, test.left, n.atNew("/"))
				assert.Equal(t, http.StatusOK, n.b.Get(path).Code)
				assert.Empty(t, n.atNew("/"), "in the end it is one, too late for the cookies or not")
				assert.Empty(t, n.after.Errors())
			})
		}
	}
}

// TestMigrateSignInThatFailsBeside: a sign-in stands although what is beside it could not be
// ended, which is reported.
func TestMigrateSignInThatFailsBeside(t *testing.T) {
	from := &faultyOld{Store: ginmemstore.NewStore(kittest.TestSecret)}
	n := newTwoNodes(t, from, memstore.New())
	n.beside(t)
	from.failNew = kittest.ErrDown
	n.b.Handler = n.after
	assert.Equal(t, http.StatusOK, n.b.Get("/login").Code)
	assert.NotEmpty(t, n.after.Errors())
	from.failNew = nil
	assert.Equal(t, "42", n.atNew("/"))
	assert.Equal(t, http.StatusOK, n.b.Get("/logout").Code)
	assert.Empty(t, n.atNew("/"))
}

// TestMigrateSignInThatIsNotStored: it is a 503, and signs nobody out at the old node.
func TestMigrateSignInThatIsNotStored(t *testing.T) {
	for name, test := range map[string]struct{ before, fails string }{
		"a visitor's session": {"/increment", "rotate"},
		"no session":          {"/nothing", "create"},
		"another user's":      {"/other", "create"},
	} {
		t.Run(name, func(t *testing.T) {
			back := kittest.NewBackend()
			n := newTwoNodes(t, ginmemstore.NewStore(kittest.TestSecret), kittest.StoreOver(back))
			n.atNew(test.before)
			n.atOld("/login")
			cookies := maps.Clone(n.b.Cookies)
			back.Failing(kittest.ErrDown, test.fails)
			n.b.Handler = n.after
			assert.Equal(t, http.StatusServiceUnavailable, n.b.Get("/login").Code)
			back.Failing(nil)
			assert.Equal(t, cookies, n.b.Cookies)
			assert.Equal(t, "42", n.atOld("/"))
		})
	}
}

// TestMigrateSignInBesideAPanic: if the function of Migrate panics on the values of an old node, the
// sign-in is not stored, and what the browser had stands.
func TestMigrateSignInBesideAPanic(t *testing.T) {
	for before, count := range map[string]string{"/increment": `{"n":1,"ok":true}`, "/other": `{"n":0,"ok":false}`} {
		from, to := ginmemstore.NewStore(kittest.TestSecret), memstore.New()
		user := func(values map[any]any) string {
			user, _ := values["user"].(string)
			if id, ok := values["user_id"]; ok {
				user = id.(string) // it is an int
			}
			return user
		}
		recovery := gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) { c.AbortWithStatus(http.StatusInternalServerError) })
		n := &twoNodes{old: oldSite(from), after: kittest.NewSite(store.Migrate(from, to, oldCookie, user), sessionkit.Config{}, recovery)}
		n.after.On("/increment", kittest.Increment)
		n.after.On("/count", kittest.ShowCount)
		n.after.On("/login", kittest.SignIn("42"))
		n.after.On("/other", kittest.SignIn("43"))
		n.b = kittest.NewBrowser(t, n.old)
		n.atNew(before)
		n.atOld("/login")
		n.b.Handler = n.after
		w := n.b.Get("/login")
		assert.Equal(t, http.StatusInternalServerError, w.Code, before)
		assert.Empty(t, kittest.SetCookies(w), before)
		assert.Empty(t, kittest.UserSessions(t, to, "42"), before)
		assert.JSONEq(t, count, n.atNew("/count"), before)
		assert.Equal(t, "42", n.atOld("/"), before)
	}
}

// hangingOld is an old store that hangs until its channel is closed; nil: it does not.
type hangingOld struct {
	sessions.Store
	hangs chan struct{}
}

func (s *hangingOld) New(r *http.Request, name string) (*gsessions.Session, error) {
	if s.hangs != nil {
		<-s.hangs
	}
	return s.Store.New(r, name)
}

// TestMigrateSignInWhileTheOldStoreHangs: of a user who loses patience no sign-in is stored but the one
// that still has a client.
func TestMigrateSignInWhileTheOldStoreHangs(t *testing.T) {
	for _, before := range []string{"/increment", "/login"} { // it rotates, and creates
		synctest.Test(t, func(t *testing.T) {
			from, to := &hangingOld{Store: ginmemstore.NewStore(kittest.TestSecret)}, memstore.New()
			n := newTwoNodes(t, from, to)
			n.atNew(before)
			n.atOld("/login")
			from.hangs = make(chan struct{})
			n.b.Handler = n.after
			ctx, leave := context.WithCancel(t.Context())
			var all sync.WaitGroup
			for range 2 {
				click := n.b.Fork()
				r := click.Request(http.MethodGet, "/other").WithContext(ctx)
				all.Go(func() { assert.Equal(t, http.StatusServiceUnavailable, click.Do(r).Code) })
			}
			all.Go(func() { assert.Equal(t, http.StatusOK, n.b.Get("/other").Code) })
			synctest.Wait()
			assert.Empty(t, kittest.UserSessions(t, to, "43"), "no client has been told anything")
			leave()
			close(from.hangs)
			all.Wait()
			assert.Len(t, kittest.UserSessions(t, to, "43"), 1)
			assert.Equal(t, "43", n.b.Get("/").Body.String())
			require.NoError(t, to.Close())
		})
	}
}

// TestMigrateSignInWithBothCookies: an old cookie that leads to the session of the new one is
// no other session.
func TestMigrateSignInWithBothCookies(t *testing.T) {
	from := ginmemstore.NewStore(kittest.TestSecret)
	after := moveSite(from, memstore.New())
	before := visited(t, from, "/visit", "/login")
	b := before.At(after)
	b.Get("/increment")
	b.Cookies[oldCookie] = before.Cookies[oldCookie]
	b.Get("/login")
	assert.Equal(t, "42", b.Get("/").Body.String())
	assert.JSONEq(t, `{"n":8,"ok":true}`, b.Get("/count").Body.String(), "the user's values stay")
}

// TestMigrateLateSignOutWithAMessageBeside: the message is lost, and both sessions end.
func TestMigrateLateSignOutWithAMessageBeside(t *testing.T) {
	n := newTwoNodes(t, ginmemstore.NewStore(kittest.TestSecret), memstore.New())
	n.after.On("/late-goodbye", func(c *gin.Context) {
		c.String(http.StatusOK, "sent")
		sessionkit.Logout(c)
		sessionkit.Flash(c, sessionkit.Info, "Goodbye")
	})
	n.beside(t)
	n.atNew("/late-goodbye")
	assert.Len(t, n.after.Errors(), 1)
	assert.Empty(t, n.atNew("/"))
}

// TestMigrateCorruptBeside: what cannot be decoded opens nothing, so it keeps nobody from
// signing out.
func TestMigrateCorruptBeside(t *testing.T) {
	for _, corrupt := range []error{
		errors.New("gob: duplicate type received"), json.Unmarshal([]byte("{"), new(any)), json.Unmarshal([]byte(`"text"`), new(int)),
	} {
		from := &faultyOld{Store: ginmemstore.NewStore(kittest.TestSecret)}
		n := newTwoNodes(t, from, memstore.New())
		n.beside(t)
		from.failNew = corrupt
		n.b.Handler = n.after
		assert.Equal(t, http.StatusOK, n.b.Get("/logout").Code, corrupt)
		assert.Empty(t, n.atNew("/"), corrupt)
	}
}

// TestMigrateBesideCostsNothing: the old store is asked by what signs in or out with an old
// cookie, and by nothing else.
func TestMigrateBesideCostsNothing(t *testing.T) {
	from, back := &faultyOld{Store: ginmemstore.NewStore(kittest.TestSecret)}, kittest.NewBackend()
	n := newTwoNodes(t, from, kittest.StoreOver(back))
	n.beside(t)
	from.news = 0
	n.atNew("/")
	n.atNew("/increment")
	n.atNew("/renew")
	assert.Zero(t, from.news)
	delete(n.b.Cookies, oldCookie)
	back.Called()
	n.atNew("/logout")
	assert.Zero(t, from.news)
	assert.Equal(t, []string{"load", "end"}, back.Called())
}

// TestMigrateOwnSignOutBesideAnOldNode: of two stores of this module one cookie names the
// session in either, so that there is one.
func TestMigrateOwnSignOutBesideAnOldNode(t *testing.T) {
	m := newOwnMove(t, sessionkit.Config{})
	b := m.visitor(t, "/login")
	slow := b.Request(http.MethodGet, "/increment")
	b.Handler = m.after
	require.Equal(t, "42", b.Get("/").Body.String())
	b.Handler = m.before
	b.Do(slow) // it was under way at the old node
	assert.Empty(t, b.Get("/").Body.String())
	b.Get("/login43")
	b.Handler = m.after
	assert.Equal(t, "43", b.Get("/").Body.String())
	b.Get("/logout")
	assert.Empty(t, b.Cookies)
	assert.Empty(t, b.Get("/").Body.String())
}

// TestMigratePlainSignOutBesideAnOldNode: the same without the middleware of this module.
func TestMigratePlainSignOutBesideAnOldNode(t *testing.T) {
	from := ginmemstore.NewStore(kittest.TestSecret)
	after := gin.New()
	after.Use(sessions.Sessions("web", store.Migrate(from, memstore.New(), oldCookie)))
	after.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessions.Default(c).Get("user_id")) })
	after.GET("/login", func(c *gin.Context) {
		sessions.Default(c).Set("user_id", 43)
		assert.NoError(t, sessions.Default(c).Save())
	})
	after.GET("/logout", func(c *gin.Context) {
		sessions.Default(c).Options(sessions.Options{MaxAge: -1})
		assert.NoError(t, sessions.Default(c).Save())
	})
	b := kittest.NewBrowser(t, after)
	b.Get("/login")
	b.Handler = oldSite(from)
	b.Get("/login")
	copied := b.Fork()
	b.Handler = after
	assert.Equal(t, "43", b.Get("/").Body.String())
	b.Get("/logout")
	assert.Empty(t, b.Cookies)
	assert.Equal(t, "null", b.Get("/").Body.String())
	assert.Equal(t, "null", copied.Get("/").Body.String())
	assert.Equal(t, "null", copied.At(after).Get("/").Body.String())
}
