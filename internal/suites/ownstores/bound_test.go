package ownstores_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/dbsctest"
	"github.com/gin-sessionkit/sessionkit/store"
)

var boundChallenge = regexp.MustCompile(`challenge="([^"]+)"|^"([^"]+)"`)

// TestBoundOnEveryStore: one process registers a session's device and the other one
// refreshes, while pages of both change the session and give it new IDs. Nothing of either
// is lost, and nothing outlives the sign-out.
func TestBoundOnEveryStore(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		nodes := two(t, p, sessionkit.Config{DeviceBound: true})
		key := dbsctest.NewES256(t)
		var mu sync.Mutex
		var cookies []*http.Cookie
		send := func(n int, path, id, proof string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, "https://example.com"+path, nil)
			mu.Lock()
			for _, c := range cookies {
				r.AddCookie(c)
			}
			mu.Unlock()
			r.Header.Set("Sec-Secure-Session-Id", id)
			r.Header.Set("Secure-Session-Response", proof)
			w := httptest.NewRecorder()
			nodes[n].ServeHTTP(w, r)
			if set := w.Result().Cookies(); len(set) > 0 {
				mu.Lock()
				defer mu.Unlock()
				kept := set
				for _, c := range cookies {
					if c.Name != set[0].Name {
						kept = append(kept, c)
					}
				}
				cookies = kept
			}
			return w
		}
		challengeOf := func(field string) string {
			m := boundChallenge.FindStringSubmatch(field)
			require.NotNil(t, m, "%q", field)
			return m[1] + m[2]
		}
		// around runs f while pages of both processes change the session.
		around := func(round int, f func()) {
			var all sync.WaitGroup
			for n := range 2 {
				all.Go(func() {
					for i := range 5 {
						path := "/set?name=n" + strconv.Itoa(n) + "&value=" + strconv.Itoa(round*10+i)
						for send(n, path, "", "").Code == http.StatusServiceUnavailable {
							continue // the cookie was the one before the renewal
						}
					}
				})
			}
			all.Go(func() { send(round%2, "/renew", "", "") })
			f()
			all.Wait()
		}

		offer := challengeOf(send(0, "/login?user=alice", "", "").Header().Get("Secure-Session-Registration"))
		id := ""
		around(0, func() {
			w := send(0, "/dbsc/register", "", key.Registration(offer))
			require.Equal(t, http.StatusOK, w.Code)
			id = regexp.MustCompile(`"session_identifier":"([^"]+)"`).FindStringSubmatch(w.Body.String())[1]
		})
		next := challengeOf(send(1, "/dbsc/refresh", id, "").Header().Get("Secure-Session-Challenge"))
		for round := 1; round < 4; round++ {
			around(round, func() {
				w := send(1, "/dbsc/refresh", id, key.Refresh(next))
				require.Equal(t, http.StatusOK, w.Code, w.Body.String())
				require.Equal(t, http.StatusForbidden, send(0, "/dbsc/refresh", id, key.Refresh(next)).Code, "it was answered")
				next = challengeOf(w.Header().Get("Secure-Session-Challenge"))
			})
		}
		require.Empty(t, send(0, "/login?user=alice", "", "").Header().Get("Secure-Session-Registration"), "it is bound")
		list, err := p[1].Sessions(t.Context(), "alice")
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.True(t, list[0].Bound)
		assert.False(t, list[0].ProvedAt.IsZero())
		for n := range 2 {
			read := func() string {
				r := httptest.NewRequest(http.MethodGet, "https://example.com/values?name=n"+strconv.Itoa(n), nil)
				for _, c := range cookies {
					r.AddCookie(c)
				}
				w := httptest.NewRecorder()
				nodes[1-n].ServeHTTP(w, r)
				return w.Body.String()
			}
			if _, cached := caching.Load(nodes[1-n].store); cached { // its cache is told in a moment
				assert.Eventually(t, func() bool { return read() == "34" }, time.Second, time.Millisecond)
			}
			assert.Equal(t, "34", read())
		}

		saved := append([]*http.Cookie(nil), cookies...)
		var all sync.WaitGroup
		all.Go(func() { send(0, "/logout", "", "") })
		all.Go(func() { send(1, "/dbsc/refresh", id, key.Refresh(next)) })
		all.Wait()
		cookies = saved
		assert.JSONEq(t, `{"session_identifier":"`+id+`","continue":false}`, send(1, "/dbsc/refresh", id, "").Body.String())
		list, err = p[0].Sessions(t.Context(), "alice")
		require.NoError(t, err)
		assert.Empty(t, list)
		for _, a := range nodes {
			for _, err := range a.errors() {
				assert.ErrorIs(t, err, store.ErrEnded)
			}
		}
	})
}
