package ginstores_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// beforeMark calls a function right before a mark is created, and does not create it if that
// returns an error.
type beforeMark struct {
	store.Backend
	do func(create func()) error
}

func (b *beforeMark) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	if r.Kind == "moved" {
		create := func() { _, _ = b.Backend.Create(context.WithoutCancel(ctx), id, r) }
		if err := b.do(create); err != nil {
			return false, err
		}
	}
	return b.Backend.Create(ctx, id, r)
}

// TestMigrateWhileRedisHangs: a server that hangs during a move carries out, when it goes on,
// what it was sent. The session goes on as well.
func TestMigrateWhileRedisHangs(t *testing.T) {
	server := testserver.Redis(t)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Address}})
	require.NoError(t, err)
	defer client.Close()
	const timeout = 400 * time.Millisecond
	resumed := make(chan struct{})
	hang := sync.OnceFunc(func() {
		server.Pause()
		time.AfterFunc(timeout*5/2, func() { // the mark is given up by then, and so is reading it
			server.Resume()
			close(resumed)
		})
	})
	back := &beforeMark{redisstore.NewBackend(client), func(func()) error {
		hang()
		return nil
	}}
	to := store.New(back, store.Config{Timeout: timeout})
	from := ginmemstore.NewStore(kittest.TestSecret)
	b := visited(t, from, "/visit", "/login").At(moveSite(from, to))
	assert.Equal(t, http.StatusServiceUnavailable, b.Get("/increment").Code)
	<-resumed
	for range 2 {
		assert.Equal(t, "42", b.Get("/").Body.String())
		assert.Contains(t, b.Get("/values").Body.String(), `"name":"Ada"`)
	}
	assert.Len(t, kittest.UserSessions(t, to, "42"), 1)
	require.NoError(t, to.Close())
}

// TestMigrateUnsettled: a move whose mark may come to be after its answer was given up, or not at all,
// loses no session, and leaves none that nobody has.
func TestMigrateUnsettled(t *testing.T) {
	marks := map[string]struct {
		nth  int
		keep func(sessions.Store) sessions.Store
	}{
		"the mark":        {1, func(s sessions.Store) sessions.Store { return s }},
		"the second mark": {2, func(s sessions.Store) sessions.Store { return oddOld{s} }},
	}
	for mark, test := range marks {
		for lands, after := range map[string]time.Duration{"soon": 3 * time.Second, "late": 40 * time.Second, "never": 0} {
			for _, path := range []string{"/increment", "/renew", "/login"} {
				t.Run(mark+" "+lands+path, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						b := kittest.NewBackend()
						nth := 0
						to := store.New(&beforeMark{b, func(create func()) error {
							if nth++; nth != test.nth {
								return nil
							}
							b.Failing(kittest.ErrDown, "load")
							if after > 0 {
								time.AfterFunc(after, create)
							}
							return kittest.ErrDown
						}})
						from := ginmemstore.NewStore(kittest.TestSecret)
						browser := visited(t, from, "/visit", "/login").At(moveSite(test.keep(from), to))
						assert.Equal(t, http.StatusServiceUnavailable, browser.Get(path).Code)
						time.Sleep(5 * time.Second)
						b.Failing(nil)
						time.Sleep(3 * time.Minute)
						goesOn := 0
						if path == "/increment" && mark == "the mark" && after > 0 {
							goesOn = 1
						}
						assert.Len(t, kittest.UserSessions(t, to, "42"), goesOn)
						assert.Equal(t, http.StatusNoContent, browser.Get("/nothing").Code)
						assert.Equal(t, "42", browser.Get("/").Body.String())
						assert.Contains(t, browser.Get("/values").Body.String(), `"name":"Ada"`)
						assert.Len(t, kittest.UserSessions(t, to, "42"), 1)
						require.NoError(t, to.Close())
					})
				})
			}
		}
	}
}

// TestMigrateMarkWithoutAnAnswer: it is there, so that the session has moved.
func TestMigrateMarkWithoutAnAnswer(t *testing.T) {
	for _, path := range []string{"/increment", "/renew", "/login"} {
		from := ginmemstore.NewStore(kittest.TestSecret)
		to := store.New(&beforeMark{memstore.NewBackend(), func(create func()) error {
			create()
			return kittest.ErrDown
		}})
		before := visited(t, from, "/visit", "/login")
		b := before.At(moveSite(from, to))
		assert.Less(t, b.Get(path).Code, http.StatusMultipleChoices, path)
		assert.NotContains(t, b.Cookies, oldCookie, path)
		assert.Equal(t, "42", b.Get("/").Body.String(), path)
		assert.Empty(t, oldValues(t, from, before), path)
	}
}

// TestMigrateMarkThatStays: it is there, but neither could the old store end the session nor
// the mark be removed.
func TestMigrateMarkThatStays(t *testing.T) {
	for path, goesOn := range map[string]int{"/increment": 1, "/renew": 0, "/login": 0} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, back := &faultyOld{Store: ginmemstore.NewStore(kittest.TestSecret)}, kittest.NewBackend()
				to := kittest.StoreOver(back)
				b := visited(t, from, "/visit", "/login").At(moveSite(from, to))
				from.failed = kittest.ErrDown
				back.Failing(kittest.ErrDown, "delete")
				back.Before = func(call string) {
					if call == "delete" {
						back.Failing(nil)
					}
				}
				assert.Equal(t, http.StatusServiceUnavailable, b.Get(path).Code)
				from.failed = nil
				time.Sleep(3 * time.Minute)
				assert.Len(t, kittest.UserSessions(t, to, "42"), goesOn)
				assert.Equal(t, "42", b.Get("/").Body.String())
				assert.Contains(t, b.Get("/values").Body.String(), `"name":"Ada"`)
				assert.Len(t, kittest.UserSessions(t, to, "42"), 1)
				require.NoError(t, to.Close())
			})
		})
	}
}

// firstMark returns a store that does something with the first mark that it is to create.
func firstMark(b store.Backend, do func(create func()) error) *store.Store {
	first := true
	return store.New(&beforeMark{b, func(create func()) error {
		if !first {
			return nil
		}
		first = false
		return do(create)
	}})
}

// savedTwice returns a browser whose cookie the old site has signed anew, and one with the cookie
// as it was before.
func savedTwice(t *testing.T, from sessions.Store) (b, earlier *kittest.Browser) {
	t.Helper()
	b = visited(t, from, "/visit", "/login")
	earlier = b.Fork()
	time.Sleep(2 * time.Second) // in a bubble
	require.Equal(t, http.StatusOK, b.Get("/login").Code)
	require.NotEqual(t, earlier.Cookies[oldCookie], b.Cookies[oldCookie])
	return b, earlier
}

// TestMigrateLateMark: the old store is not told of a move whose mark came to be after its answer was
// given up. An earlier cookie opens nothing there all the same.
func TestMigrateLateMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kittest.NewBackend()
		to := firstMark(b, func(create func()) error {
			b.Failing(kittest.ErrDown, "load")
			time.AfterFunc(3*time.Second, create)
			return kittest.ErrDown
		})
		from := ginmemstore.NewStore(kittest.TestSecret)
		browser, earlier := savedTwice(t, from)
		site := moveSite(from, to)
		browser, earlier = browser.At(site), earlier.At(site)
		assert.Equal(t, http.StatusServiceUnavailable, browser.Get("/increment").Code)
		time.Sleep(5 * time.Second)
		b.Failing(nil)
		time.Sleep(3 * time.Minute)
		assert.Equal(t, "42", browser.Get("/").Body.String())
		assert.Equal(t, http.StatusOK, browser.Get("/logout").Code)
		assert.Empty(t, earlier.Get("/").Body.String())
		assert.Empty(t, kittest.UserSessions(t, to, "42"))
		require.NoError(t, to.Close())
	})
}

// TestMigrateSignOutWithoutAnAnswer: a sign-out is carried out in the old store too if its mark was
// created and the answer was lost.
func TestMigrateSignOutWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := firstMark(kittest.NewBackend(), func(create func()) error {
			create()
			return kittest.ErrDown
		})
		from := ginmemstore.NewStore(kittest.TestSecret)
		browser, earlier := savedTwice(t, from)
		site := moveSite(from, to)
		assert.Equal(t, http.StatusOK, browser.At(site).Get("/logout").Code)
		assert.Empty(t, earlier.At(site).Get("/").Body.String())
		assert.Equal(t, "null", earlier.At(oldSite(from)).Get("/").Body.String())
		require.NoError(t, to.Close())
	})
}

// TestMigrateMarkTwice: the client may carry out twice what it sends, and hear the second answer alone.
func TestMigrateMarkTwice(t *testing.T) {
	for _, path := range []string{"/increment", "/renew", "/login"} {
		to := firstMark(kittest.NewBackend(), func(create func()) error {
			create()
			return nil
		})
		from := ginmemstore.NewStore(kittest.TestSecret)
		b := visited(t, from, "/visit", "/login").At(moveSite(from, to))
		b.Get(path)
		assert.Equal(t, "42", b.Get("/").Body.String(), path)
		assert.Contains(t, b.Get("/values").Body.String(), `"name":"Ada"`, path)
		assert.Len(t, kittest.UserSessions(t, to, "42"), 1, path)
		require.NoError(t, to.Close())
	}
}
