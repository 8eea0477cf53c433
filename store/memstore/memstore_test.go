package memstore_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/storetest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	m.Run()
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Backend { return memstore.NewBackend() })
}

func TestGinContrib(t *testing.T) {
	storetest.RunGinContrib(t, func(*testing.T) sessions.Store { return memstore.New() })
}

func TestExpiredRecordsLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memstore.NewBackend()
		create := func(id string, life time.Duration) {
			now := time.Now()
			created, err := b.Create(t.Context(), id, store.Record{User: "alice", Created: now, Seen: now, Expires: now.Add(life)})
			require.NoError(t, err)
			require.True(t, created)
		}
		has := func(id string) bool {
			_, found, err := b.Load(t.Context(), id)
			require.NoError(t, err)
			return found
		}
		create("short", time.Minute)
		create("long", 24*time.Hour)

		time.Sleep(time.Minute + store.Retention - time.Millisecond)
		synctest.Wait()
		assert.True(t, has("short"), "an expired record is kept for store.Retention")

		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.False(t, has("short"), "an expired record leaves by itself")
		assert.True(t, has("long"))
		records, err := b.List(t.Context(), "alice")
		require.NoError(t, err)
		assert.Len(t, records, 1, "it leaves its user's index too")

		time.Sleep(26 * time.Hour)
		synctest.Wait()
		assert.False(t, has("long"))
		create("later", time.Minute)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		assert.False(t, has("later"), "the sweep starts again after the store was empty")
		require.NoError(t, b.Close())
	})
}

func TestNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := kitstore.Of(memstore.New())
		for range 100 {
			_, _, err := s.Create(t.Context(), store.Record{User: "alice", Expires: time.Now().Add(time.Hour)}, signin.Attempt{})
			require.NoError(t, err)
		}
		// The bubble would not end with a goroutine in it, although nobody calls Close.
	})
}

// TestMaxSessions: a visitor past the limit gets no session and an error that says so;
// those that have one go on.
func TestMaxSessions(t *testing.T) {
	const limit = 5
	synctest.Test(t, func(t *testing.T) {
		var errs []error
		r := gin.New()
		r.Use(sessionkit.Sessions(memstore.New(memstore.Config{MaxSessions: limit}), sessionkit.Config{
			OnEvent: func(_ *gin.Context, e sessionkit.Event) {
				if e.Kind == sessionkit.EventStoreError {
					errs = append(errs, e.Err)
				}
			},
			OnError: func(*gin.Context, error) {},
		}))
		visits := sessionkit.NewKey[int]("visits")
		r.GET("/visit", func(c *gin.Context) { visits.Set(c, 1) })
		r.GET("/renew", sessionkit.Renew)
		r.GET("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
		r.GET("/logout", sessionkit.Logout)
		get := func(path string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com"+path, nil)
			for _, c := range cookies {
				req.AddCookie(c)
			}
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			return w
		}
		var cookies []*http.Cookie
		for range limit {
			w := get("/visit")
			require.Equal(t, http.StatusOK, w.Code)
			cookie, err := http.ParseSetCookie(w.Header().Get("Set-Cookie"))
			require.NoError(t, err)
			cookies = append(cookies, cookie)
		}
		w := get("/visit")
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.Empty(t, w.Header()["Set-Cookie"])
		require.Len(t, errs, 1, "metrics hear of it")
		require.ErrorIs(t, errs[0], store.ErrFull)
		assert.ErrorContains(t, errs[0], "Config.MaxSessions = 5")
		for i, path := range []string{"/visit", "/renew", "/login"} {
			w := get(path, cookies[i])
			assert.Equal(t, http.StatusOK, w.Code, "%s of who has a session", path)
		}
		time.Sleep(26 * time.Hour)
		synctest.Wait()
		assert.Equal(t, http.StatusOK, get("/visit").Code, "there is room when others have expired")
	})
}
