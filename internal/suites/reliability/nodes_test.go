package reliability_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two nodes of an application that share a server.
var pairs = []struct {
	name  string
	start func(t *testing.T, m medium) string // returns where the node is
	tries int
}{
	{"two stores", newSite, either(200, 1000)},
	{"two processes", newProcess, 1000},
}

func newProcess(t *testing.T, m medium) string {
	t.Helper()
	return startNode(t, m.name, m.dsn).url()
}

// newSite runs the application in this process.
func newSite(t *testing.T, m medium) string {
	t.Helper()
	o, err := open(m.name, m.dsn, defaultTimeout, nil)
	require.NoError(t, err)
	site := httptest.NewServer(newApp(o.store))
	t.Cleanup(func() {
		site.Close()
		assert.NoError(t, o.close())
	})
	return site.URL
}

// TestRevocationIsSeenOnTheOtherNode ends sessions on one node that another node
// has just shown, and has in its cache if it has one.
func TestRevocationIsSeenOnTheOtherNode(t *testing.T) {
	for _, name := range []string{redisCache, postgres} {
		for _, pair := range pairs {
			t.Run(name+", "+pair.name, func(t *testing.T) {
				m, tries := quick(t, name), pair.tries
				b := newBrowser(&http.Transport{})
				defer b.http.CloseIdleConnections()
				here, there := pair.start(t, m), pair.start(t, m)
				manager := signIn(t, b, here, "manager")
				var seen []time.Duration
				for i := range tries {
					cookie := signIn(t, b, here, "manager")
					id := show(t, b, there, cookie).ID
					for range 3 {
						require.Equal(t, id, show(t, b, there, cookie).ID)
					}
					var r response
					if i%2 == 0 {
						r = b.send(here, http.MethodPost, "/long/logout", cookie)
					} else {
						r = b.send(here, http.MethodPost, "/long/revoke", manager, "id", id)
					}
					require.Equal(t, http.StatusOK, r.status)
					seen = append(seen, untilGone(t, b, there, cookie))
				}
				slices.Sort(seen)
				p99 := seen[tries*99/100]
				t.Logf("a revocation is seen on the other node after %v (median), %v (p99), %v (longest of %d)",
					seen[tries/2], p99, seen[tries-1], tries)
				assert.Less(t, p99, 100*time.Millisecond) // 10 ms on a machine with nothing else to do
			})
		}
	}
}

// signIn returns the cookie of a new session.
func signIn(t *testing.T, b browser, site, user string) string {
	t.Helper()
	r := b.send(site, http.MethodPost, "/long/login", "", "user", user)
	require.NoError(t, r.err)
	require.Equal(t, http.StatusOK, r.status)
	require.NotEmpty(t, r.cookie)
	return r.cookie
}

func show(t *testing.T, b browser, site, cookie string) state {
	t.Helper()
	r := b.send(site, http.MethodGet, "/long/state", cookie)
	require.NoError(t, r.err)
	require.Equal(t, http.StatusOK, r.status)
	return r.state
}

// untilGone returns how long a node goes on to show a session from now on.
func untilGone(t *testing.T, b browser, site, cookie string) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		r := b.send(site, http.MethodGet, "/long/state", cookie)
		if r.status == http.StatusUnauthorized {
			return time.Since(began)
		}
		require.Equal(t, http.StatusOK, r.status)
		require.Less(t, time.Since(began), 5*time.Second, "the revocation was missed")
	}
}

// TestOwnWritesAreRead reads a session right after a change on the same node.
func TestOwnWritesAreRead(t *testing.T) {
	for name, tries := range map[string]int{
		redisCache: either(2000, 20_000), // reads come from its cache
		postgres:   either(200, 20_000),
		mariadb:    either(200, 20_000),
		sqlite:     either(200, 20_000),
	} {
		t.Run(name, func(t *testing.T) {
			site := newSite(t, quick(t, name))
			b := newBrowser(&http.Transport{})
			defer b.http.CloseIdleConnections()
			cookie := signIn(t, b, site, "alice")
			stale := 0
			for i := range tries {
				r := b.send(site, http.MethodPost, "/long/set", cookie, "key", "0", "value", fmt.Sprint(i+1))
				require.Equal(t, http.StatusOK, r.status)
				if show(t, b, site, cookie).Others[0] != i+1 {
					stale++
				}
				show(t, b, site, cookie) // what it answers from is in the cache again
			}
			assert.Zero(t, stale, "of %d reads", tries)
		})
	}
}

// TestSignInUnderWayOverProcesses: what ends all sessions of a user in one process also
// ends a sign-in that another one has begun before, whichever is saved first.
func TestSignInUnderWayOverProcesses(t *testing.T) {
	for _, name := range []string{redisCache, postgres} {
		t.Run(name, func(t *testing.T) {
			m := quick(t, name)
			here, there := newProcess(t, m), newProcess(t, m)
			o, err := open(m.name, m.dsn, defaultTimeout, nil)
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, o.close()) })
			b := newBrowser(&http.Transport{})
			defer b.http.CloseIdleConnections()
			for i, when := range []string{"before", "after", "before", "after", "before", "after"} {
				user := fmt.Sprint("held ", i)
				device := signIn(t, b, there, user)
				body, goOn := io.Pipe()
				query := url.Values{"user": {user}, "name": {user}, "when": {when}}.Encode()
				answer := make(chan *http.Response)
				go func() {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, here+"/long/held?"+query, body)
					assert.NoError(t, err)
					res, err := b.http.Do(r)
					if assert.NoError(t, err) {
						assert.NoError(t, res.Body.Close())
					}
					answer <- res
				}()
				require.Equal(t, http.StatusOK, b.send(here, http.MethodGet, "/long/arrived", "", "name", user).status)
				left := 0
				switch i / 2 {
				case 0:
					n, err := o.store.RevokeAll(t.Context(), user)
					require.NoError(t, err)
					assert.Equal(t, 1, n)
				case 1:
					require.Equal(t, http.StatusOK, b.send(there, http.MethodPost, "/long/everywhere", device).status)
				case 2:
					require.Equal(t, http.StatusOK, b.send(there, http.MethodPost, "/long/others", device).status)
					left = 1
				}
				require.NoError(t, goOn.Close())
				res := <-answer
				assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode, "%s the sign-in", when)
				assert.Empty(t, res.Header["Set-Cookie"])
				sessions, err := o.store.Sessions(t.Context(), user)
				require.NoError(t, err)
				assert.Len(t, sessions, left)
				signIn(t, b, here, user) // at once it is another sign-in
			}
		})
	}
}
