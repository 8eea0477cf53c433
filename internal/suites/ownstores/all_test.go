package ownstores_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// ordinary is the n-th of many sessions, which its Created tells apart from the others:
// every second one is a visitor's.
func ordinary(n int) store.Record {
	now := time.Now()
	r := store.Record{Name: "session", Created: now.Add(time.Duration(n-1e6) * time.Millisecond), Seen: now, Expires: now.Add(time.Hour)}
	if n%2 == 1 {
		r.User = fmt.Sprint("user ", n%10)
		in := signin.SignIn{At: now, Line: fmt.Sprint("line ", n)}
		r.Values = map[string]string{signin.Name: in.Text()}
	}
	return r
}

// renewed gives a session that a token opens a new token.
func renewed(ctx context.Context, s *store.Store, token string) (string, error) {
	server, _ := kitstore.Of(s)
	id, r, found, err := server.Load(ctx, "session", token, true)
	if err != nil {
		return "", err
	}
	if !found || r.Ended != "" {
		return "", store.ErrEnded
	}
	next := r
	next.Values = nil
	token, _, found, err = server.Renew(ctx, id, r, next, nil)
	if err == nil && !found {
		err = store.ErrEnded
	}
	return token, err
}

// TestAllOnce: each session that lives all the time comes once, also if it is given new
// IDs without a pause, by whichever process; none comes that has ended.
func TestAllOnce(t *testing.T) {
	const resting, renewing = 600, 40 // more than a portion
	each(t, func(t *testing.T, p pair) {
		must := make(map[int64]bool)
		var tokens []string
		for n := range resting + renewing {
			r := ordinary(n)
			token, _ := stored(t, p[n%2], r)
			must[r.Created.UnixMilli()] = true
			if n < renewing {
				tokens = append(tokens, token)
			}
		}
		_, ended := stored(t, p[0], ordinary(resting+renewing+1))
		require.NoError(t, p[1].Revoke(t.Context(), ordinary(resting+renewing+1).User, ended))
		expired := ordinary(resting + renewing + 2)
		expired.Expires = time.Now().Add(-time.Minute)
		stored(t, p[0], expired)

		next := make(chan struct{})
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				n := i
				for range next {
					n = (n + 4) % renewing
					var err error
					if tokens[n], err = renewed(t.Context(), p[n%2], tokens[n]); !assert.NoError(t, err) {
						return
					}
				}
			})
		}
		for range rounds(2, 100) {
			times := make(map[int64]int)
			for session, err := range p[1].All(t.Context()) {
				if !assert.NoError(t, err) {
					break
				}
				if len(times)%4 == 0 {
					next <- struct{}{}
				}
				times[session.CreatedAt.UnixMilli()]++
				assert.Equal(t, "session", session.Name)
				assert.Equal(t, session.User == "", session.SignedInAt.IsZero())
			}
			wrong := 0
			for created := range times {
				if !must[created] {
					wrong++
				}
			}
			for created := range must {
				if times[created] != 1 {
					wrong++
				}
			}
			assert.Zero(t, wrong, "sessions that did not come once, of %d", len(must))
		}
		close(next)
		all.Wait()
	})
}

// TestAllEnds: whoever has seen enough stops, and a context that ends is an error.
func TestAllEnds(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		for n := range 10 {
			stored(t, p[0], ordinary(n))
		}
		for _, err := range p[0].All(t.Context()) {
			require.NoError(t, err)
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var last error
		for session, err := range p[0].All(ctx) {
			last = err
			assert.Empty(t, session)
		}
		require.ErrorIs(t, last, context.Canceled)
		_, err := p[0].RevokeEveryone(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestCount counts what lives, on both nodes.
func TestCount(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		count := func(want store.Counts) {
			t.Helper()
			for _, s := range p {
				assert.Eventually(t, func() bool {
					got, err := s.Count(t.Context())
					return assert.NoError(t, err) && got == want
				}, 10*time.Second, 10*time.Millisecond, "%+v", want)
			}
		}
		count(store.Counts{})
		nodes := two(t, p, sessionkit.Config{})
		for n := range 20 {
			nodes[n%2].browser().signIn(fmt.Sprint(n % 3))
			nodes[n%2].browser().post("/visit")
		}
		count(store.Counts{Live: 40, SignedIn: 20})
		alice := nodes[0].browser().signIn("alice")
		alice.post("/renew")
		alice.post("/confirm")
		visitor := nodes[1].browser()
		visitor.post("/visit")
		visitor.post("/login?user=bob")
		count(store.Counts{Live: 42, SignedIn: 22})
		alice.post("/logout")
		visitor.post("/everywhere")
		_, err := p[1].RevokeAll(t.Context(), "1")
		require.NoError(t, err)
		count(store.Counts{Live: 33, SignedIn: 13})
		expired := ordinary(1)
		expired.Expires = time.Now().Add(-time.Minute)
		stored(t, p[0], expired)
		_, err = p[0].RevokeEveryone(t.Context())
		require.NoError(t, err)
		count(store.Counts{})
	})
}

// TestRevokeEveryone: nothing opens anything after it, whatever requests are under way
// that began before: visits, changes, renewals, sign-ins of all kinds.
func TestRevokeEveryone(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		nodes := two(t, p, sessionkit.Config{})
		for range rounds(2, 100) {
			var others []*browser
			for n := range 30 {
				others = append(others, nodes[n%2].browser().signIn(fmt.Sprint("user ", n)), nodes[n%2].browser())
				others[2*n+1].post("/visit")
			}
			goOn := make(chan struct{})
			nodes[0].paused, nodes[1].paused = make(map[string]pause), make(map[string]pause)
			var browsers []*browser
			var old []string
			var all sync.WaitGroup
			for n, target := range []string{
				"/login?user=1", "/login?user=2", "/renew?", "/set?name=a&value=1", "/confirm?", "/visit?", "/login?user=3", "/renew?", "/others?", "/visit?",
			} {
				b := nodes[n%2].browser()
				switch {
				case n == 0:
				case n < 4:
					b.post("/visit")
				case n < 9:
					b.signIn(fmt.Sprint("user ", n))
				default:
					b.post("/visit")
					b.post("/renew")
				}
				old = append(old, b.cookie)
				browsers = append(browsers, b)
				when := []string{"before", "after"}[n%2]
				arrived := b.site.pause(fmt.Sprint(n), goOn)
				all.Go(func() { b.do(http.MethodPost, fmt.Sprint(target, "&loaded=1&", when, "=", n)) })
				<-arrived
			}
			close(goOn)
			_, err := p[1].RevokeEveryone(t.Context())
			require.NoError(t, err)
			all.Wait()
			for _, b := range append(browsers, others...) {
				dead(t, nodes, b.cookie, "everyone was signed out")
			}
			for _, cookie := range old {
				dead(t, nodes, cookie, "everyone was signed out")
			}
			for session, err := range p[0].All(t.Context()) {
				require.NoError(t, err)
				assert.Empty(t, session, "nothing is left")
			}
			b := nodes[0].browser().signIn("42")
			assert.Len(t, list(t, p[1], "42"), 1, "who signs in again is signed in")
			b.post("/logout")
			b.post("/set?name=a&value=1")
			assert.Equal(t, "1", b.get("/values?name=a"), "and a visitor begins anew")
			_, err = p[0].RevokeEveryone(t.Context())
			require.NoError(t, err)
		}
	})
}

// scanning is a backend that does something whenever a portion of all sessions was
// read.
type scanning struct {
	store.Backend

	meanwhile func()
}

func (s *scanning) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return func(yield func(map[string]store.Record, error) bool) {
		for records, err := range s.Backend.Scan(ctx) {
			s.meanwhile()
			if !yield(records, err) {
				return
			}
		}
	}
}

// restless does so before it looks for sessions or ends some as well.
type restless struct{ scanning }

func (r *restless) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	r.meanwhile()
	return r.scanning.LoadFresh(ctx, ids...)
}

func (r *restless) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	r.meanwhile()
	return r.scanning.End(ctx, user, why, ids...)
}

// TestRevokeEveryoneAgainstRenewals: visitors are given new IDs all the time, faster than
// anyone could follow them, and some of them come where the walk has been.
func TestRevokeEveryoneAgainstRenewals(t *testing.T) {
	for _, name := range allStores {
		t.Run(name, func(t *testing.T) {
			meanwhile := func() {}
			p := open(t, name, func(b store.Backend) store.Backend { return &restless{scanning{b, func() { meanwhile() }}} })
			var tokens []string
			for n := range 20 {
				token, _ := stored(t, p[0], ordinary(2*n))
				tokens = append(tokens, token)
			}
			renewals := 0
			meanwhile = func() {
				if renewals > 1000 {
					return
				}
				again := meanwhile
				meanwhile = func() {}
				defer func() { meanwhile = again }()
				for n, token := range tokens {
					if next, err := renewed(t.Context(), p[1], token); err == nil {
						renewals++
						tokens[n] = next
					}
				}
			}
			_, err := p[0].RevokeEveryone(t.Context())
			require.NoError(t, err)
			assert.Positive(t, renewals, "before the boundary was moved")
			assert.Less(t, renewals, 1000, "it must not run after them")
			for _, token := range tokens {
				_, err := renewed(t.Context(), p[1], token)
				require.ErrorIs(t, err, store.ErrEnded)
			}
			for session, err := range p[0].All(t.Context()) {
				require.NoError(t, err)
				assert.Empty(t, session, "nothing is left")
			}
		})
	}
}

// slow is a backend on which a renewal takes long to be told that it was made.
type slow struct {
	store.Backend

	made func()
}

func (b *slow) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	moved, err := b.Backend.Rotate(ctx, id, m)
	b.made()
	return moved, err
}

// TestRevokeEveryoneAgainstALateRenewal: a visitor's session is given its new ID behind
// the walk, and the walk is over before the request goes on.
func TestRevokeEveryoneAgainstALateRenewal(t *testing.T) {
	for _, name := range allStores {
		t.Run(name, func(t *testing.T) {
			meanwhile := func() {}
			moved, over := make(chan struct{}), make(chan struct{})
			p := open(t, name, func(b store.Backend) store.Backend {
				return &slow{&scanning{b, func() { meanwhile() }}, func() { close(moved); <-over }}
			})
			token, _ := stored(t, p[0], ordinary(0))
			var renewal sync.WaitGroup
			var late error
			meanwhile = func() { // the portion with its old ID was read
				meanwhile = func() {}
				renewal.Go(func() { token, late = renewed(t.Context(), p[1], token) })
				<-moved
			}
			_, err := p[0].RevokeEveryone(t.Context())
			require.NoError(t, err)
			close(over)
			renewal.Wait()
			require.ErrorIs(t, late, store.ErrEnded)
			for session, err := range p[0].All(t.Context()) {
				require.NoError(t, err)
				assert.Empty(t, session, "nothing is left")
			}
		})
	}
}

// TestVisitorsAfterRevokeEveryone: a visitor who comes after it is given new IDs as ever,
// also where the clocks differ.
func TestVisitorsAfterRevokeEveryone(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		_, err := p[0].RevokeEveryone(t.Context())
		require.NoError(t, err)
		for _, ago := range []time.Duration{0, time.Second, time.Hour} {
			r := ordinary(0)
			r.Created = time.Now().Add(-ago)
			token, _ := stored(t, p[1], r)
			for range 2 {
				token, err = renewed(t.Context(), p[1], token)
				require.NoError(t, err)
			}
		}
	})
}

// TestRevokeAllOfVeryMany: a user's sessions end however many there are, within the
// store's timeout for each step.
func TestRevokeAllOfVeryMany(t *testing.T) {
	many := rounds(1000, 100_000)
	each(t, func(t *testing.T, p pair) {
		var all sync.WaitGroup
		for worker := range 16 {
			all.Go(func() {
				for n := worker; n < many; n += 16 {
					r := ordinary(2*n + 1)
					r.User = "alice"
					stored(t, p[0], r)
				}
			})
		}
		all.Wait()
		began := time.Now()
		n, err := p[1].RevokeAll(t.Context(), "alice")
		require.NoError(t, err)
		assert.Equal(t, many, n)
		t.Logf("%d sessions ended in %v", n, time.Since(began))
		assert.Empty(t, list(t, p[0], "alice"))
	})
}
