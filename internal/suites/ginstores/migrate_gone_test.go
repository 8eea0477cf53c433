package ginstores_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-contrib/sessions"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// redisWithoutCache returns a store that asks the server at each load, which ends with its context.
func redisWithoutCache(t *testing.T) *store.Store {
	t.Helper()
	s, err := redisstore.Open("redis://"+testserver.Redis(t).Address, redisstore.Config{CacheBytes: -1})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// gone makes a request whose client is gone by then.
func gone(b *kittest.Browser, target string) *httptest.ResponseRecorder {
	ctx, leave := context.WithCancel(b.T.Context())
	leave()
	return b.Fork().Do(b.Request(http.MethodGet, target).WithContext(ctx))
}

// TestMigrateForAClientThatIsGone: what a handler does when its client is gone counts, also in a session
// that has yet to move, or has just moved.
func TestMigrateForAClientThatIsGone(t *testing.T) {
	for name, test := range map[string]func(t *testing.T) (old *kittest.Browser, after *kittest.Site){
		"from a store of gin-contrib": func(t *testing.T) (*kittest.Browser, *kittest.Site) {
			t.Helper()
			from := ginmemstore.NewStore(kittest.TestSecret)
			return visited(t, from, "/visit", "/login"), moveSite(from, redisWithoutCache(t))
		},
		"from one of this module without the middleware": func(t *testing.T) (*kittest.Browser, *kittest.Site) {
			t.Helper()
			from := redisWithoutCache(t)
			return visited(t, from, "/visit", "/login"), moveSite(from, redisWithoutCache(t))
		},
		"from one of this module": func(t *testing.T) (*kittest.Browser, *kittest.Site) {
			t.Helper()
			from := redisWithoutCache(t)
			old := kittest.NewBrowser(t, newMovingSite(kittest.NewSite(from, sessionkit.Config{})))
			old.Get("/login")
			return old, newMovingSite(kittest.NewSite(store.Migrate(from, redisWithoutCache(t), "session"), sessionkit.Config{}))
		},
	} {
		for _, before := range []string{"", "/increment"} {
			t.Run(name+", "+before, func(t *testing.T) {
				old, after := test(t)
				b := old.At(after)
				if before != "" {
					b.Fork().Get(before)
				}
				gone(b, "/logout")
				assert.Empty(t, b.Fork().Get("/").Body.String())
			})
		}
	}
}

// TestMigratePlainForAClientThatIsGone: the same without the middleware of this module.
func TestMigratePlainForAClientThatIsGone(t *testing.T) {
	for _, before := range []string{"", "/set"} {
		from := ginmemstore.NewStore(kittest.TestSecret)
		after := gin.New()
		after.Use(sessions.Sessions("web", store.Migrate(from, redisWithoutCache(t), oldCookie)))
		after.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, sessions.Default(c).Get("user_id")) })
		after.GET("/set", func(c *gin.Context) {
			sessions.Default(c).Set("x", 1)
			assert.NoError(t, sessions.Default(c).Save())
		})
		after.GET("/logout", func(c *gin.Context) {
			sessions.Default(c).Options(sessions.Options{MaxAge: -1})
			assert.NoError(t, sessions.Default(c).Save())
		})
		b := visited(t, from, "/login").At(after)
		if before != "" {
			b.Fork().Get(before)
		}
		require.Equal(t, "42", b.Fork().Get("/").Body.String())
		gone(b, "/logout")
		assert.Equal(t, "null", b.Fork().Get("/").Body.String(), before)
	}
}

// TestClientGoesDuringALoad: a store of gin-contrib need not have a timeout, so a client that goes away ends
// its load. That says nothing of the store.
func TestClientGoesDuringALoad(t *testing.T) {
	for name, over := range map[string]func(s sessions.Store) *kittest.Site{
		"as it is": func(s sessions.Store) *kittest.Site {
			a := kittest.NewSite(s, sessionkit.Config{})
			a.On("/", kittest.Whoami)
			return a
		},
		"moved from": func(s sessions.Store) *kittest.Site { return moveSite(s, redisWithoutCache(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := &faulty{Store: ginmemstore.NewStore(kittest.TestSecret)}
			a := over(s)
			b := visited(t, s, "/login").At(a)
			b.Cookies[kittest.SessionCookie] = b.Cookies[oldCookie]
			ctx, leave := context.WithCancel(t.Context())
			s.onNew = func(r *http.Request) (*gsessions.Session, error) {
				leave()
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			assert.Equal(t, http.StatusServiceUnavailable, b.Do(b.Request(http.MethodGet, "/").WithContext(ctx)).Code)
			assert.NotContains(t, a.Kinds(), sessionkit.EventStoreError)
			assert.Len(t, a.Errors(), 1)
		})
	}
}
