package memstore_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
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

// TestCloseDuringTheRemoval: Close may come between the two steps of what removes or ends
// a session. The removal of expired ones runs in a goroutine of its own, where a panic ends
// the process.
func TestCloseDuringTheRemoval(t *testing.T) {
	b := memstore.NewBackend()
	create := func(id string) {
		created, err := b.Create(t.Context(), id, store.Record{User: "alice", Expires: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		require.True(t, created)
	}
	create("id")
	require.NoError(t, b.Close())
	assert.NotPanics(t, func() { memstore.Tidy(b, "alice", "id") })
	create("id")
	ended, err := b.End(t.Context(), "alice", store.Revoked, "id")
	require.NoError(t, err, "also what comes after Close")
	assert.Equal(t, []string{"id"}, ended)
	assert.Zero(t, memstore.UserShards(b))
	require.NoError(t, b.Close())
}

// TestUnusedSessionsKeepTheirValues: how the values are kept while nobody uses them does
// not show.
func TestUnusedSessionsKeepTheirValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memstore.NewBackend()
		want := map[string]string{"": "", "n": "1", store.SignInValue: `["json",{"line":"x"}]`}
		for _, n := range []int{127, 128, 16383, 16384, 100_000} {
			want[strings.Repeat("n", n/100)] = strings.Repeat("x", n)
		}
		now := time.Now()
		created, err := b.Create(t.Context(), "id", store.Record{User: "alice", Created: now, Seen: now, Expires: now.Add(100 * time.Hour), Values: want})
		require.NoError(t, err)
		require.True(t, created)
		load := func() map[string]string {
			r, found, err := b.Load(t.Context(), "id")
			require.NoError(t, err)
			require.True(t, found)
			return r.Values
		}
		for range 3 {
			list, err := b.List(t.Context(), "alice")
			require.NoError(t, err)
			assert.Equal(t, want[store.SignInValue], list["id"].Values[store.SignInValue])
			held := load()
			assert.Equal(t, want, held)
			time.Sleep(10 * time.Minute) // the sweep has passed
			synctest.Wait()
			assert.Equal(t, want, held, "what a request has stays as it is")
			outcome, err := b.Update(t.Context(), "id", store.Change{
				Set: map[string]string{"n": "2"}, Delete: []string{""}, If: &store.Condition{Name: "n", Text: want["n"]},
			})
			require.NoError(t, err)
			assert.True(t, outcome.Changed())
			want = maps.Clone(want)
			want["n"] = "2"
			delete(want, "")
		}
		moved, err := b.Rotate(t.Context(), "id", store.Move{
			ID: "next", Record: store.Record{User: "alice", Expires: now.Add(100 * time.Hour), Values: map[string]string{"n": "3"}}, Drop: []string{store.SignInValue},
			Trace: store.Record{User: "alice", Ended: store.Renewed, Next: "next", Expires: now, Values: map[string]string{store.SignInValue: "x"}},
		})
		require.NoError(t, err)
		require.True(t, moved)
		delete(want, store.SignInValue)
		want["n"] = "3"
		r, _, err := b.Load(t.Context(), "next")
		require.NoError(t, err)
		assert.Equal(t, want, r.Values)
		r, _, err = b.Load(t.Context(), "id")
		require.NoError(t, err)
		assert.Equal(t, map[string]string{store.SignInValue: "x"}, r.Values)
		require.NoError(t, b.Close())
	})
}

// TestUsersAreSpread: users whose names begin alike do not share one lock.
func TestUsersAreSpread(t *testing.T) {
	for _, form := range []string{"auth0|65f1c0de%016x", "customer-%d", "%d", "user%d@example.com"} {
		b := memstore.NewBackend()
		for i := range 1000 {
			now := time.Now()
			_, err := b.Create(t.Context(), fmt.Sprint(i), store.Record{User: fmt.Sprintf(form, i), Created: now, Seen: now, Expires: now.Add(time.Hour)})
			require.NoError(t, err)
		}
		assert.Greater(t, memstore.UserShards(b), 200, "%s: of 256 shards", form)
		require.NoError(t, b.Close())
	}
}

// TestMemory bounds what a signed-in session of five small values takes.
func TestMemory(t *testing.T) {
	const sessions, most = 5_000, 700
	keys := make([]sessionkit.Key[string], 4)
	for i, name := range []string{"name", "theme", "lang", "csrf"} {
		keys[i] = sessionkit.NewKey[string](name)
	}
	count := sessionkit.NewKey[int]("count")
	s := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(s))
	r.GET("/:user", func(c *gin.Context) {
		for i, text := range []string{"tea", "dark", "en", "2jmj7l5rSw0yVb_vlWAYkK_YBwk"} {
			keys[i].Set(c, text)
		}
		count.Set(c, 1)
		sessionkit.Login(c, c.Param("user"))
	})
	visit := func(i int) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprint("https://example.com/user", i), nil)
		req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
		r.ServeHTTP(httptest.NewRecorder(), req)
	}
	visit(sessions)
	before := heap()
	for i := range sessions {
		visit(i)
	}
	each := (heap() - before) / sessions
	t.Logf("%d bytes", each)
	assert.LessOrEqual(t, each, most)
	counts, err := s.Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, sessions+1, counts.SignedIn)
}

// TestDroppedValueLeavesMemory: what is left of a session in use does not keep the memory
// of a value that was dropped or replaced.
func TestDroppedValueLeavesMemory(t *testing.T) {
	const sessions, size = 20, 500_000
	b := memstore.NewBackend()
	now := time.Now()
	before := heap()
	for i := range sessions {
		id := fmt.Sprint(i)
		_, err := b.Create(t.Context(), id, store.Record{Created: now, Seen: now, Expires: now.Add(time.Hour), Values: map[string]string{
			"dropped": strings.Repeat("x", size), "replaced": strings.Repeat("y", size), "small": "1",
		}})
		require.NoError(t, err)
		_, _, err = b.Load(t.Context(), id)
		require.NoError(t, err)
		outcome, err := b.Update(t.Context(), id, store.Change{Set: map[string]string{"replaced": "2"}, Delete: []string{"dropped"}})
		require.NoError(t, err)
		require.True(t, outcome.Changed())
	}
	assert.Less(t, heap()-before, sessions*size/10)
	r, _, err := b.Load(t.Context(), "0")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"replaced": "2", "small": "1"}, r.Values)
	require.NoError(t, b.Close())
}

// heap returns how many bytes are in use.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := kitstore.Of(memstore.New())
		for range 100 {
			_, _, _, err := s.Create(t.Context(), store.Record{User: "alice", Expires: time.Now().Add(time.Hour)}, signin.Attempt{})
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

// TestRenewalsAreBounded: someone who renews a session all the time neither takes the room of
// others nor fills the memory. What the latest IDs were stays known.
func TestRenewalsAreBounded(t *testing.T) {
	const limit, renewals, known = 5, 1000, 64
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{MaxSessions: limit})
		kit, _ := kitstore.Of(s)
		signIn := func(user string) (id string, r store.Record, err error) {
			in := signin.SignIn{At: time.Now(), Line: user}
			r = store.Record{Name: "session", User: user, Created: time.Now(), Expires: time.Now().Add(24 * time.Hour)}
			_, id, r, err = kit.Create(t.Context(), r, signin.Attempt{Began: time.Now(), SignIn: &in})
			return id, r, err
		}
		id, r, err := signIn("mallory")
		require.NoError(t, err)
		ids := []string{id}
		for range renewals {
			_, next, found, err := kit.Renew(t.Context(), id, r, r, nil)
			require.NoError(t, err)
			require.True(t, found)
			id, ids = next, append(ids, next)
		}
		found := 0
		for i, old := range ids {
			now, _, leads, err := kit.Find(t.Context(), old)
			require.NoError(t, err)
			assert.Equal(t, i >= renewals-known, leads, "ID %d of %d", i, renewals)
			if leads {
				found++
				assert.Equal(t, id, now)
			}
		}
		assert.Equal(t, known+1, found)
		for i := range limit - 1 {
			_, _, err := signIn(fmt.Sprint("user ", i))
			require.NoError(t, err, "there is room for others")
		}
		_, _, err = signIn("one too many")
		require.ErrorIs(t, err, store.ErrFull)

		time.Sleep(2 * time.Hour) // the traces are removed, and do not count either
		synctest.Wait()
		_, _, err = signIn("one too many")
		require.ErrorIs(t, err, store.ErrFull)
		counts, err := s.Count(t.Context())
		require.NoError(t, err)
		assert.Equal(t, limit, counts.Live)
		require.NoError(t, s.Revoke(t.Context(), "mallory", id))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		_, _, err = signIn("one who comes later")
		require.NoError(t, err, "what has ended leaves room")
		_, _, err = signIn("one too many")
		require.ErrorIs(t, err, store.ErrFull)
		require.NoError(t, s.Close())
	})
}

// TestMaxSessionsAtOnce: of many sessions that are made at the same time no more are
// stored than there is room for.
func TestMaxSessionsAtOnce(t *testing.T) {
	const rounds, limit = 50, 10
	for range rounds {
		s := memstore.New(memstore.Config{MaxSessions: limit})
		made, _ := kitstore.Of(s)
		var group sync.WaitGroup
		var refused atomic.Int64
		start := make(chan struct{})
		for range 20 * limit {
			group.Go(func() {
				<-start
				if _, _, _, err := made.Create(t.Context(), store.Record{Expires: time.Now().Add(time.Hour)}, signin.Attempt{}); errors.Is(err, store.ErrFull) {
					refused.Add(1)
				}
			})
		}
		close(start)
		group.Wait()
		counts, err := s.Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, limit, counts.Live)
		require.EqualValues(t, 19*limit, refused.Load())
		require.NoError(t, s.Close())
	}
}
