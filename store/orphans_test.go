package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// stalled is a server that hangs until a time. What was sent to it meanwhile it carries out
// so long after that.
type stalled struct {
	store.Backend
	until time.Time
	after time.Duration
	ends  atomic.Int64
}

func (b *stalled) hang(ctx context.Context, later func()) error {
	if !time.Now().Before(b.until) {
		return nil
	}
	time.AfterFunc(time.Until(b.until)+b.after, later)
	<-ctx.Done()
	return ctx.Err()
}

func (b *stalled) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	if err := b.hang(ctx, func() { _, _ = b.Backend.Create(context.WithoutCancel(ctx), id, r) }); err != nil {
		return false, err
	}
	return b.Backend.Create(ctx, id, r)
}

func (b *stalled) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	if err := b.hang(ctx, func() { _, _ = b.Backend.Rotate(context.WithoutCancel(ctx), id, m) }); err != nil {
		return false, err
	}
	return b.Backend.Rotate(ctx, id, m)
}

func (b *stalled) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	if err := b.hang(ctx, func() {}); err != nil {
		return nil, err
	}
	return b.Backend.LoadFresh(ctx, ids...)
}

func (b *stalled) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	b.ends.Add(1)
	if err := b.hang(ctx, func() {}); err != nil { // it is lost with its connection
		return nil, err
	}
	return b.Backend.End(ctx, user, why, ids...)
}

// TestOrphans: a session that the server stores after its answer was given up does not
// stay: nobody has its token. What overtakes it is repeated.
func TestOrphans(t *testing.T) {
	for name, begin := range map[string]func(ctx context.Context, s *store.Store, n int) error{
		"sign-in": func(ctx context.Context, s *store.Store, n int) error {
			_, _, _, err := kit(s).Create(ctx, signedIn("alice", time.Now().Add(time.Duration(n))), signin.Attempt{Began: time.Now()})
			return err
		},
		"visitor": func(ctx context.Context, s *store.Store, _ int) error {
			_, _, _, err := kit(s).Create(ctx, store.Record{Expires: time.Now().Add(time.Hour)}, signin.Attempt{Began: time.Now()})
			return err
		},
		"renewal": func(ctx context.Context, s *store.Store, n int) error {
			r := signedIn("alice", time.Now().Add(-time.Duration(n)*time.Second))
			_, _, _, err := kit(s).Renew(ctx, fmt.Sprint("renewed", n), r, r, nil)
			return err
		},
	} {
		for _, after := range []time.Duration{0, 400 * time.Millisecond, 40 * time.Second} {
			t.Run(fmt.Sprint(name, " ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := &stalled{Backend: memstore.NewBackend(), after: after}
					s := store.New(b)
					for n := range 3 {
						_, err := b.Create(t.Context(), fmt.Sprint("renewed", n), signedIn("alice", time.Now()))
						require.NoError(t, err)
					}
					_, other, _, err := kit(s).Create(t.Context(), signedIn("bob", time.Now()), signin.Attempt{Began: time.Now()})
					require.NoError(t, err)
					b.until = time.Now().Add(7 * time.Second)
					for n := range 3 {
						require.ErrorIs(t, begin(t.Context(), s, n), context.DeadlineExceeded)
					}
					time.Sleep(time.Until(b.until) + after + 2*time.Minute)
					want := 3 + 1
					if name == "renewal" { // what they were before is dead
						want = 1
					}
					counts, err := s.Count(t.Context())
					require.NoError(t, err)
					assert.Equal(t, want, counts.Live)
					list, err := s.Sessions(t.Context(), "bob")
					require.NoError(t, err)
					require.Len(t, list, 1)
					assert.Equal(t, other, list[0].ID)
					require.NoError(t, s.Close())
				})
			})
		}
	}
}

// twice is a client that sends a command again whose answer was lost.
type twice struct{ store.Backend }

func (b twice) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	_, _ = b.Backend.Create(ctx, id, r)
	return b.Backend.Create(ctx, id, r)
}

func (b twice) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	_, _ = b.Backend.Rotate(ctx, id, m)
	return b.Backend.Rotate(ctx, id, m)
}

// TestCarriedOutTwice: the second time a backend says that the ID is taken, or that the session
// is not live. The one that it has stored before does not stay.
func TestCarriedOutTwice(t *testing.T) {
	for name, r := range map[string]store.Record{
		"user":    signedIn("alice", time.Now()),
		"visitor": {Expires: time.Now().Add(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			b := memstore.NewBackend()
			s := store.New(twice{b})
			_, _, _, err := kit(s).Create(t.Context(), r, signin.Attempt{Began: time.Now()})
			require.ErrorContains(t, err, "carried out the command twice, as a client may have sent it again, or the source of randomness is broken")
			id, _ := store.ID(strings.Repeat("a", 43))
			_, err = b.Create(t.Context(), id, r)
			require.NoError(t, err)
			_, _, found, err := kit(s).Renew(t.Context(), id, r, r, nil)
			require.ErrorContains(t, err, "carried out the command twice")
			assert.False(t, found)
			counts, err := s.Count(t.Context())
			require.NoError(t, err)
			assert.Zero(t, counts.Live, "nobody has the token of either")
			require.NoError(t, s.Close())
		})
	}
}

// TestOrphanOfAFailedEnd: the session was stored, then the server hung.
func TestOrphanOfAFailedEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &stalled{Backend: memstore.NewBackend()}
		s := store.New(&created{b, func() { b.until = time.Now().Add(10 * time.Second) }})
		_, _, _, err := kit(s).Create(t.Context(), signedIn("alice", time.Now()), signin.Attempt{Began: time.Now()})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Until(b.until) + 5*time.Second)
		list, err := s.Sessions(t.Context(), "alice")
		require.NoError(t, err)
		assert.Empty(t, list)
		require.NoError(t, s.Close())
	})
}

// created calls a function once a session is stored.
type created struct {
	store.Backend
	then func()
}

func (b *created) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	defer b.then()
	return b.Backend.Create(ctx, id, r)
}

// lost is a server to which nothing gets through.
type lost struct {
	store.Backend
	err  error
	ends atomic.Int64
	end  error
}

func (b *lost) Create(context.Context, string, store.Record) (bool, error) { return false, b.err }

func (b *lost) End(_ context.Context, _ string, _ store.Ending, ids ...string) ([]string, error) {
	b.ends.Add(int64(len(ids)))
	return nil, b.end
}

// TestOrphansAreBounded: in number, in time, and there are none of what certainly failed.
func TestOrphansAreBounded(t *testing.T) {
	try := func(t *testing.T, b *lost, n int) (ends int64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			b.Backend = memstore.NewBackend()
			s := store.New(b)
			for range n {
				_, _, _, err := kit(s).Create(t.Context(), signedIn("alice", time.Now()), signin.Attempt{Began: time.Now()})
				require.ErrorIs(t, err, b.err)
			}
			time.Sleep(2 * time.Hour)
			ends = b.ends.Load()
			time.Sleep(24 * time.Hour)
			assert.Equal(t, ends, b.ends.Load(), "it has been given up")
			require.NoError(t, s.Close())
		})
		return ends
	}
	assert.EqualValues(t, 7, try(t, &lost{err: errBroken}, 1), "it never came to be")
	assert.EqualValues(t, 70_000, try(t, &lost{err: errBroken}, 12_000))
	assert.Zero(t, try(t, &lost{err: store.ErrFull}, 1))
	hangs := try(t, &lost{err: errBroken, end: errBroken}, 1000)
	assert.Positive(t, hangs)
	assert.LessOrEqual(t, hangs, int64(3700*200), "about one portion a second")
}

// TestCloseEndsTheAttempt that waits for a server which hangs.
func TestCloseEndsTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &stalled{Backend: memstore.NewBackend(), until: time.Now().Add(24 * time.Hour)}
		s := store.New(b)
		_, _, _, err := kit(s).Create(t.Context(), store.Record{Expires: time.Now().Add(time.Hour)}, signin.Attempt{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		assert.EqualValues(t, 1, b.ends.Load(), "it began at once")
		closed := time.Now()
		require.NoError(t, s.Close())
		assert.Zero(t, time.Since(closed))
		time.Sleep(time.Hour)
		assert.EqualValues(t, 1, b.ends.Load())
	})
}

// unheard is a server whose answer to each sign-in is lost, and whose End does as told.
type unheard struct {
	store.Backend
	end func(ctx context.Context)
}

func (b *unheard) Create(context.Context, string, store.Record) (bool, error) {
	return false, errBroken
}

func (b *unheard) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	if b.end != nil {
		b.end(ctx)
	}
	return b.Backend.End(ctx, user, why, ids...)
}

func (b *unheard) signIn(t *testing.T, s *store.Store) {
	t.Helper()
	_, _, _, err := kit(s).Create(t.Context(), signedIn("alice", time.Now()), signin.Attempt{Began: time.Now()})
	require.ErrorIs(t, err, errBroken)
}

// TestOrphansInABubble: once they are settled, the store may be used and closed outside.
func TestOrphansInABubble(t *testing.T) {
	b := &unheard{Backend: memstore.NewBackend()}
	s := store.New(b)
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			b.signIn(t, s)
			time.Sleep(10 * time.Minute)
		})
	}
	require.NoError(t, s.Close())
}

// TestOrphansOfABackendThatPanics: the process lives, and they end all the same.
func TestOrphansOfABackendThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		b := &unheard{Backend: memstore.NewBackend(), end: func(context.Context) {
			if calls.Add(1) == 1 {
				panic("a bug")
			}
		}}
		s := store.New(b)
		b.signIn(t, s)
		time.Sleep(10 * time.Minute)
		assert.Greater(t, calls.Load(), int64(1))
		require.NoError(t, s.Close())
	})
}

// TestCloseBesideADeafBackend: one that goes on although its context has ended is waited for
// as long as for an operation.
func TestCloseBesideADeafBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &unheard{Backend: memstore.NewBackend(), end: func(context.Context) { time.Sleep(time.Hour) }}
		s := store.New(b)
		b.signIn(t, s)
		time.Sleep(time.Second)
		began := time.Now()
		require.NoError(t, s.Close())
		assert.Equal(t, 2*time.Second, time.Since(began))
		time.Sleep(time.Hour) // until it has ended
	})
}
