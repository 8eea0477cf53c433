package store_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// signedIn returns a record of a sign-in at a time.
func signedIn(user string, at time.Time) store.Record {
	r := store.Record{User: user, Created: at, Seen: at, Expires: time.Now().Add(time.Hour)}
	return withSignIn(r, signin.SignIn{At: at, Line: user + at.String()})
}

func TestID(t *testing.T) {
	for _, secret := range []string{"", "x", strings.Repeat("A", 42), strings.Repeat("A", 44), strings.Repeat("A", 42) + "=", strings.Repeat("A", 42) + "\x00", strings.Repeat("A", 42) + "+"} {
		_, ok := store.ID(secret)
		assert.False(t, ok, "%q", secret)
	}
	id, ok := store.ID(strings.Repeat("A", 43))
	assert.True(t, ok)
	assert.Equal(t, "DwBzhbb51LfusnSGBa_hqYSgo7-j8BTQnip4TOnlzRo", id, "the base64url of SHA-256, for ever: sessions outlive a deployment")
	for range 1000 {
		secret := (rand.Text() + rand.Text())[:43]
		id, ok := store.ID(secret)
		require.True(t, ok)
		sum := sha256.Sum256([]byte(secret))
		require.Equal(t, base64.RawURLEncoding.EncodeToString(sum[:]), id)
	}
}

func TestSessionsOfAUser(t *testing.T) {
	s := memstore.New()
	now := time.Now()
	var ids []string
	for i := range 5 {
		_, id, _, err := kit(s).Create(t.Context(), signedIn("alice", now.Add(time.Duration(i)*time.Minute)), signin.Attempt{Began: time.Now()})
		require.NoError(t, err)
		ids = append([]string{id}, ids...)
	}
	_, bob, _, err := kit(s).Create(t.Context(), signedIn("bob", now), signin.Attempt{Began: time.Now()})
	require.NoError(t, err)
	expired := signedIn("alice", now)
	expired.Expires = now.Add(-time.Second)
	_, _, _, err = kit(s).Create(t.Context(), expired, signin.Attempt{Began: time.Now()})
	require.NoError(t, err)

	list := func(user string) (got []string) {
		sessions, err := s.Sessions(t.Context(), user)
		require.NoError(t, err)
		for _, one := range sessions {
			assert.Equal(t, user, one.User)
			got = append(got, one.ID)
		}
		return got
	}
	assert.Equal(t, ids, list("alice"), "live ones, the latest sign-in first")
	assert.Empty(t, list(""))

	require.NoError(t, s.Revoke(t.Context(), "alice", bob), "another user's is none of alice's")
	require.NoError(t, s.Revoke(t.Context(), "alice", "unknown"))
	assert.Len(t, list("bob"), 1)
	require.NoError(t, s.Revoke(t.Context(), "alice", ids[0]))
	assert.Equal(t, ids[1:], list("alice"))

	n, err := s.RevokeAll(t.Context(), "alice", ids[2])
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	assert.Equal(t, []string{ids[2]}, list("alice"))
	n, err = s.RevokeAll(t.Context(), "alice")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Len(t, list("bob"), 1)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
}

// rotating renews a session right before it is deleted, once.
type rotating struct {
	store.Backend
	rotate func()
}

func (r *rotating) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	if rotate := r.rotate; rotate != nil {
		r.rotate = nil
		rotate()
	}
	return r.Backend.End(ctx, user, why, ids...)
}

func TestRevocationReachesARenewedSession(t *testing.T) {
	for name, revoke := range map[string]func(s *store.Store, id string) error{
		"Revoke":    func(s *store.Store, id string) error { return s.Revoke(t.Context(), "alice", id) },
		"RevokeAll": func(s *store.Store, _ string) error { _, err := s.RevokeAll(t.Context(), "alice"); return err },
		"Trim": func(s *store.Store, _ string) error {
			_, err := kit(s).Trim(t.Context(), "alice", "session", 0)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &rotating{Backend: memstore.NewBackend()}
			s := store.New(b)
			r := signedIn("alice", time.Now())
			_, id, _, err := kit(s).Create(t.Context(), r, signin.Attempt{Began: time.Now()})
			require.NoError(t, err)
			b.rotate = func() {
				_, _, found, err := kit(s).Renew(t.Context(), id, r, r, nil)
				if name == "RevokeAll" {
					assert.ErrorIs(t, err, store.ErrEnded, "who renews a session finds that it has ended")
					return
				}
				assert.NoError(t, err)
				assert.True(t, found)
			}
			require.NoError(t, revoke(s, id))
			list, err := s.Sessions(t.Context(), "alice")
			require.NoError(t, err)
			assert.Empty(t, list, "the session under its new ID has ended too")
		})
	}
}

// TestRevocationOfASessionThatIsRenewedAgain: what is listed has another ID once more before
// it can be ended, and who has renewed it finds that it has ended.
func TestRevocationOfASessionThatIsRenewedAgain(t *testing.T) {
	r := signedIn("alice", time.Now())
	for name, renew := range map[string]func(s *store.Store, id string) (next string, err error){
		"Renew": func(s *store.Store, id string) (next string, err error) {
			_, next, _, err = kit(s).Renew(t.Context(), id, r, r, nil)
			return next, err
		},
		"Confirm": func(s *store.Store, id string) (next string, err error) {
			_, next, _, _, err = kit(s).SignIn(t.Context(), id, r, r, nil, signin.Attempt{Began: time.Now()})
			return next, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &rotating{Backend: memstore.NewBackend()}
			s := store.New(b)
			_, id, _, err := kit(s).Create(t.Context(), r, signin.Attempt{Began: time.Now()})
			require.NoError(t, err)
			renewals := 0
			b.rotate = func() {
				next, err := renew(s, id)
				assert.NoError(t, err)
				b.rotate = func() {
					renewals++
					_, err := renew(s, next)
					assert.ErrorIs(t, err, store.ErrEnded)
				}
			}
			require.NoError(t, s.Revoke(t.Context(), "alice", id))
			assert.Equal(t, 1, renewals)
			list, err := s.Sessions(t.Context(), "alice")
			require.NoError(t, err)
			assert.Empty(t, list)
		})
	}
}

// TestRevocationOfARenewedSessionReadsNoClock: the boundary of one sign-in holds no time.
func TestRevocationOfARenewedSessionReadsNoClock(t *testing.T) {
	b := &counting{Backend: memstore.NewBackend()}
	s := store.New(b)
	r := signedIn("alice", time.Now())
	_, id, _, err := kit(s).Create(t.Context(), r, signin.Attempt{Began: time.Now()})
	require.NoError(t, err)
	_, _, _, err = kit(s).Renew(t.Context(), id, r, r, nil)
	require.NoError(t, err)
	b.times = 0
	require.NoError(t, s.Revoke(t.Context(), "alice", id))
	assert.Zero(t, b.times)
	list, err := s.Sessions(t.Context(), "alice")
	require.NoError(t, err)
	assert.Empty(t, list)
	_, err = s.RevokeAll(t.Context(), "alice")
	require.NoError(t, err)
	assert.Equal(t, 1, b.times, "that of a user does")
}

func TestTrim(t *testing.T) {
	s := memstore.New()
	now := time.Now()
	var oldest string
	for i := range 4 {
		_, id, _, err := kit(s).Create(t.Context(), signedIn("alice", now.Add(-time.Duration(i)*time.Minute)), signin.Attempt{Began: time.Now()})
		require.NoError(t, err)
		oldest = id
	}
	ended, err := kit(s).Trim(t.Context(), "alice", "session", 3)
	require.NoError(t, err)
	assert.Equal(t, []string{oldest}, ended)
	ended, err = kit(s).Trim(t.Context(), "alice", "session", 3)
	require.NoError(t, err)
	assert.Empty(t, ended)
}

// countingEnds counts the steps in which sessions are ended.
type countingEnds struct {
	store.Backend
	steps, most int
}

func (c *countingEnds) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	c.steps, c.most = c.steps+1, max(c.most, len(ids))
	return c.Backend.End(ctx, user, why, ids...)
}

// TestTrimOfMany: the limit is new, and a user is far past it.
func TestTrimOfMany(t *testing.T) {
	inner := &rotating{Backend: memstore.NewBackend()}
	b := &countingEnds{Backend: inner}
	s := store.New(b)
	now := time.Now()
	var ids []string // the oldest first
	for i := range 1003 {
		_, id, _, err := kit(s).Create(t.Context(), signedIn("alice", now.Add(time.Duration(i)*time.Second)), signin.Attempt{Began: time.Now()})
		require.NoError(t, err)
		ids = append(ids, id)
	}
	inner.rotate = func() {
		r := signedIn("alice", now)
		_, _, found, err := kit(s).Renew(t.Context(), ids[0], r, r, nil)
		assert.NoError(t, err)
		assert.True(t, found)
	}
	ended, err := kit(s).Trim(t.Context(), "alice", "session", 3)
	require.NoError(t, err)
	assert.ElementsMatch(t, ids[:1000], ended, "also one that was renewed meanwhile")
	list, err := s.Sessions(t.Context(), "alice")
	require.NoError(t, err)
	require.Len(t, list, 3)
	assert.Equal(t, ids[1002], list[0].ID)
	assert.Equal(t, 200, b.most, "one step is small enough for the store's timeout")
	assert.Equal(t, 5+1, b.steps, "and there is not one for each session")
}

// slow is a server that takes so long to list a user's sessions.
type slow struct {
	store.Backend
	takes time.Duration
	late  error // of a list that is too late; nil: the context's
}

func (b *slow) List(ctx context.Context, user string) (map[string]store.Record, error) {
	select {
	case <-time.After(b.takes):
		return b.Backend.List(ctx, user)
	case <-ctx.Done():
		return nil, cmp.Or(b.late, ctx.Err())
	}
}

// TestMoreThanCanBeListedByAnyDriver: lib/pq has an error of its own for a query that it ends
// with the context.
func TestMoreThanCanBeListedByAnyDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{Backend: memstore.NewBackend(), late: errBroken}
		s := store.New(b)
		_, _, _, err := kit(s).Create(t.Context(), signedIn("alice", time.Now()), signin.Attempt{Began: time.Now()})
		require.NoError(t, err)
		b.takes = 15 * time.Second
		n, err := s.RevokeAll(t.Context(), "alice")
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		require.NoError(t, s.Close())
	})
}

// TestMoreThanCanBeListed: a user has so many sessions that the store's timeout is over
// before they are listed. They end all the same.
func TestMoreThanCanBeListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{Backend: memstore.NewBackend()}
		s := store.New(b)
		r := signedIn("alice", time.Now())
		var ids []string
		sign := func() {
			for range 3 {
				_, id, _, err := kit(s).Create(t.Context(), r, signin.Attempt{Began: time.Now()})
				require.NoError(t, err)
				ids = append(ids, id)
			}
		}
		sign()
		for _, user := range []string{"bob", ""} {
			_, _, _, err := kit(s).Create(t.Context(), signedIn(user, time.Now()), signin.Attempt{Began: time.Now()})
			require.NoError(t, err)
		}
		b.takes = 15 * time.Second
		began := time.Now()
		_, err := s.Sessions(t.Context(), "alice")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2*time.Second, time.Since(began), "who only looks at them does not wait")
		n, err := s.RevokeAll(t.Context(), "alice")
		require.NoError(t, err)
		assert.Equal(t, 3, n)

		sign()
		ended, _, err := kit(s).RevokeOthers(t.Context(), "alice", "", ids[5], signin.SignIn{Line: "another"}, signin.Attempt{}, true)
		require.NoError(t, err)
		assert.Len(t, ended, 2)
		_, _, found, err := kit(s).Renew(t.Context(), ids[5], r, r, nil)
		require.ErrorIs(t, err, store.ErrEnded)
		assert.True(t, found)

		b.takes = 0
		sign()
		b.takes = 24 * time.Hour
		began = time.Now()
		_, err = s.RevokeAll(t.Context(), "alice")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 22*time.Second, time.Since(began), "a server that hangs is not waited for without end")
		b.takes = 0
		n, err = s.RevokeAll(t.Context(), "alice")
		require.NoError(t, err)
		assert.Equal(t, 3, n, "a second call ends the others")
		counts, err := s.Count(t.Context())
		require.NoError(t, err)
		assert.Equal(t, store.Counts{Live: 2, SignedIn: 1}, counts, "and nobody else's")
		require.NoError(t, s.Close())
	})
}

// unmovable is a backend in which other records than sessions are there and cannot be
// changed: what somebody has ended by hand.
type unmovable struct {
	store.Backend
	outcome store.Outcome
	asked   int
	then    func()
}

func (b *unmovable) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	if r.Kind != "" {
		return false, nil
	}
	return b.Backend.Create(ctx, id, r)
}

func (b *unmovable) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	if c.If == nil {
		return b.Backend.Update(ctx, id, c)
	}
	if b.asked++; b.asked > 20_000 {
		return store.Outcome{}, errBroken // and no test that never ends
	}
	if b.then != nil {
		b.then()
	}
	return b.outcome, nil
}

// TestBoundaryThatWasEnded by something other than the store cannot be moved. That is an
// error, and what is found ends.
func TestBoundaryThatWasEnded(t *testing.T) {
	for name, revoke := range map[string]func(s *store.Store) (int, error){
		"RevokeAll":      func(s *store.Store) (int, error) { return s.RevokeAll(t.Context(), "alice") },
		"RevokeEveryone": func(s *store.Store) (int, error) { return s.RevokeEveryone(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			b := &unmovable{Backend: memstore.NewBackend()}
			s := store.New(b)
			for range 3 {
				_, _, _, err := kit(s).Create(t.Context(), signedIn("alice", time.Now()), signin.Attempt{Began: time.Now()})
				require.NoError(t, err)
			}
			n, err := revoke(s)
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.ErrorContains(t, err, "delete it")
			assert.LessOrEqual(t, b.asked, 10)
			assert.Equal(t, 3, n)
			list, err := s.Sessions(t.Context(), "alice")
			require.NoError(t, err)
			assert.Empty(t, list)
		})
	}
	t.Run("Revoke", func(t *testing.T) {
		inner := &rotating{Backend: memstore.NewBackend()}
		s := store.New(&unmovable{Backend: inner})
		r := signedIn("alice", time.Now())
		_, id, _, err := kit(s).Create(t.Context(), r, signin.Attempt{Began: time.Now()})
		require.NoError(t, err)
		inner.rotate = func() {
			_, _, _, err := kit(s).Renew(t.Context(), id, r, r, nil)
			assert.NoError(t, err)
		}
		require.ErrorIs(t, s.Revoke(t.Context(), "alice", id), store.ErrCorrupt)
		list, err := s.Sessions(t.Context(), "alice")
		require.NoError(t, err)
		assert.Empty(t, list, "the session under its new ID")
	})
}

// unnoted is a backend that stores no other records than sessions, or does not tell the time.
type unnoted struct {
	store.Backend
	timeless bool
}

func (b *unnoted) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	if r.Kind != "" {
		return false, errBroken
	}
	return b.Backend.Create(ctx, id, r)
}

func (b *unnoted) Now(ctx context.Context, id string) (time.Time, error) {
	if b.timeless {
		return time.Time{}, errBroken
	}
	return b.Backend.Now(ctx, id)
}

// TestBoundaryThatCannotBeMoved is an error, and what is found ends all the same.
func TestBoundaryThatCannotBeMoved(t *testing.T) {
	r := signedIn("alice", time.Now())
	in := signin.Of(r.Values)
	others := func(force bool) func(s *store.Store, id, old string) error {
		return func(s *store.Store, id, _ string) error {
			_, _, err := kit(s).RevokeOthers(t.Context(), "alice", "", id, in, signin.Attempt{}, force)
			return err
		}
	}
	for name, test := range map[string]struct {
		timeless bool
		end      func(s *store.Store, id, old string) error
		left     int
	}{
		"RevokeAll":      {false, func(s *store.Store, _, _ string) error { _, err := s.RevokeAll(t.Context(), "alice"); return err }, 0},
		"RevokeEveryone": {false, func(s *store.Store, _, _ string) error { _, err := s.RevokeEveryone(t.Context()); return err }, 0},
		"Revoke":         {false, func(s *store.Store, _, old string) error { return s.Revoke(t.Context(), "alice", old) }, 1},
		"RevokeOthers":   {false, others(false), 1},
		"no time":        {true, func(s *store.Store, _, _ string) error { _, err := s.RevokeAll(t.Context(), "alice"); return err }, 0},
		"nobody knows whether the session that ends the others has ended itself": {true, others(false), 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := &unnoted{Backend: memstore.NewBackend(), timeless: test.timeless}
			s := store.New(b)
			_, old, _, err := kit(s).Create(t.Context(), r, signin.Attempt{Began: time.Now()})
			require.NoError(t, err)
			_, id, _, err := kit(s).Renew(t.Context(), old, r, r, nil)
			require.NoError(t, err)
			_, _, _, err = kit(s).Create(t.Context(), signedIn("alice", time.Now().Add(time.Second)), signin.Attempt{Began: time.Now()})
			require.NoError(t, err)
			require.ErrorIs(t, test.end(s, id, old), errBroken)
			list, err := s.Sessions(t.Context(), "alice")
			require.NoError(t, err)
			assert.Len(t, list, test.left)
		})
	}
}

// noting keeps the longest text that records of other kinds than sessions hold.
type noting struct {
	store.Backend
	longest int
}

func (b *noting) note(values map[string]string) {
	for _, text := range values {
		b.longest = max(b.longest, len(text))
	}
}

func (b *noting) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	if r.Kind != "" {
		b.note(r.Values)
	}
	return b.Backend.Create(ctx, id, r)
}

func (b *noting) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	if c.If != nil { // sessions are changed without
		b.note(c.Set)
	}
	return b.Backend.Update(ctx, id, c)
}

// TestBoundaryDoesNotGrow: somebody who signs in, renews the session and signs out with the
// cookie from before, again and again, makes no record that each further step has to rewrite.
func TestBoundaryDoesNotGrow(t *testing.T) {
	b := &noting{Backend: memstore.NewBackend()}
	s := store.New(b)
	for i := range 300 {
		r := signedIn("mallory", time.Now().Add(time.Duration(i)*time.Second))
		_, old, _, err := kit(s).Create(t.Context(), r, signin.Attempt{Began: time.Now()})
		require.NoError(t, err)
		_, _, found, err := kit(s).Renew(t.Context(), old, r, r, nil)
		require.NoError(t, err)
		require.True(t, found)
		ended, err := kit(s).End(t.Context(), old, r, store.SignedOut)
		require.NoError(t, err)
		require.True(t, ended)
	}
	_, err := s.RevokeAll(t.Context(), "mallory")
	require.NoError(t, err)
	assert.Positive(t, b.longest)
	assert.Less(t, b.longest, 200)
}

// TestBoundaryThatOthersMove each time: the context ends the tries, and their number does.
func TestBoundaryThatOthersMove(t *testing.T) {
	b := &unmovable{Backend: memstore.NewBackend(), outcome: store.Outcome{Found: true, Conflict: true}}
	ctx, cancel := context.WithCancel(t.Context())
	b.then = func() {
		if b.asked == 3 {
			cancel()
		}
	}
	_, err := store.New(b).RevokeAll(ctx, "alice")
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 3, b.asked)

	b.asked, b.then = 0, nil
	_, err = store.New(b).RevokeAll(t.Context(), "alice")
	require.ErrorContains(t, err, "store: noting what is ended")
	require.NotErrorIs(t, err, errBroken)
}

// hanging is a server that does not answer.
type hanging struct{ store.Backend }

func (hanging) Load(ctx context.Context, _ string) (store.Record, bool, error) {
	<-ctx.Done()
	return store.Record{}, false, ctx.Err()
}

func (hanging) Create(ctx context.Context, _ string, _ store.Record) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

func (hanging) End(ctx context.Context, _ string, _ store.Ending, _ ...string) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hanging) Close() error { return nil }

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for want, config := range map[time.Duration][]store.Config{2 * time.Second: nil, time.Minute: {{Timeout: time.Minute}}} {
			s := store.New(hanging{}, config...)
			start := time.Now()
			_, _, _, err := kit(s).Load(t.Context(), "session", strings.Repeat("A", 43), false)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, want, time.Since(start))
			_, _, _, err = kit(s).Create(t.Context(), store.Record{}, signin.Attempt{Began: time.Now()})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NoError(t, s.Close())
		}
	})
}

// cached is a backend that answers from memory.
type cached struct {
	store.Backend
	fresh int
}

func (c *cached) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	if len(ids) == 1 {
		c.fresh++
	}
	return c.Backend.LoadFresh(ctx, ids...)
}

func TestFreshLoad(t *testing.T) {
	b := &cached{Backend: memstore.NewBackend()}
	s := store.New(b)
	secret, _, _, err := kit(s).Create(t.Context(), signedIn("alice", time.Now()), signin.Attempt{Began: time.Now()})
	require.NoError(t, err)
	for _, fresh := range []bool{false, true} {
		_, r, found, err := kit(s).Load(t.Context(), "session", secret, fresh)
		require.NoError(t, err)
		assert.True(t, found)
		assert.Equal(t, "alice", r.User)
	}
	assert.Equal(t, 1, b.fresh)
}

func TestTooLarge(t *testing.T) {
	backend := memstore.NewBackend()
	s := store.New(backend, store.Config{MaxBytes: 100})
	big := map[string]string{"a": strings.Repeat("x", 60), "b": strings.Repeat("x", 60)}
	r := store.Record{Expires: time.Now().Add(time.Hour), Values: big}
	_, _, _, err := kit(s).Create(t.Context(), r, signin.Attempt{Began: time.Now()})
	require.ErrorIs(t, err, store.ErrTooLarge)
	r.Values = map[string]string{"a": big["a"]}
	_, id, _, err := kit(s).Create(t.Context(), r, signin.Attempt{Began: time.Now()})
	require.NoError(t, err)
	_, err = kit(s).Update(t.Context(), id, r, store.Change{Set: map[string]string{"b": big["b"]}})
	require.ErrorIs(t, err, store.ErrTooLarge, "together with what is there")
	_, _, _, err = kit(s).Renew(t.Context(), id, r, store.Record{Values: big}, nil)
	require.ErrorIs(t, err, store.ErrTooLarge)
	outcome, err := kit(s).Update(t.Context(), id, r, store.Change{Set: map[string]string{"b": big["b"]}, Delete: []string{"a"}})
	require.NoError(t, err)
	assert.True(t, outcome.Changed())
	r.Values = map[string]string{"b": big["b"]}
	_, err = kit(s).Update(t.Context(), id, r, store.Change{Set: map[string]string{"b": big["b"] + big["b"]}})
	require.ErrorIs(t, err, store.ErrTooLarge, "in place of what is there")
	_, err = kit(s).Update(t.Context(), id, r, store.Change{Set: map[string]string{"b": big["b"] + big["b"]}, Delete: []string{"b"}})
	require.ErrorIs(t, err, store.ErrTooLarge, "dropped and put")
	empty := store.Record{} // as a request has loaded it before others stored something
	_, err = kit(s).Update(t.Context(), id, empty, store.Change{Set: map[string]string{"c": big["b"]}})
	require.ErrorIs(t, err, store.ErrTooLarge, "together with what others have stored")
	_, _, _, err = kit(s).Renew(t.Context(), id, empty, store.Record{Values: map[string]string{"c": big["b"]}}, nil)
	require.ErrorIs(t, err, store.ErrTooLarge, "together with what others have stored")
	_, _, found, err := kit(s).Renew(t.Context(), id, empty, store.Record{Expires: r.Expires}, nil)
	require.NoError(t, err)
	assert.True(t, found)

	_, id, _, err = kit(store.New(backend)).Create(t.Context(), store.Record{Expires: time.Now().Add(time.Hour), Values: big}, signin.Attempt{})
	require.NoError(t, err)
	for _, text := range []string{strings.Repeat("y", 60), "1"} {
		_, err = kit(s).Update(t.Context(), id, store.Record{Values: big}, store.Change{Set: map[string]string{"a": text}})
		require.NoError(t, err, "a session that is too large already can be made as long, and smaller")
	}
	_, err = kit(s).Update(t.Context(), id, store.Record{Values: big}, store.Change{Set: map[string]string{"a": strings.Repeat("y", 61)}})
	require.ErrorIs(t, err, store.ErrTooLarge)
}

// counting counts calls.
type counting struct {
	store.Backend

	changes, loads, times int
}

func (b *counting) Now(ctx context.Context, id string) (time.Time, error) {
	b.times++
	return b.Backend.Now(ctx, id)
}

func (b *counting) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	b.changes++
	return b.Backend.Update(ctx, id, c)
}

func (b *counting) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	b.loads++
	return b.Backend.LoadFresh(ctx, ids...)
}

// TestRoomTakesCalls: a change that has room takes one call to the backend. One that has it only
// beside the sign-in takes three, and one that has none two. What is too large by itself is not sent.
func TestRoomTakesCalls(t *testing.T) {
	b := &counting{Backend: memstore.NewBackend()}
	s := store.New(b, store.Config{MaxBytes: 100})
	_, id, r, err := kit(s).Create(t.Context(), signedIn("alice", time.Now()), signin.Attempt{Began: time.Now()})
	require.NoError(t, err)
	text := func(n int) string { return strings.Repeat("1", n-1) } // with the name: n
	for _, test := range []struct {
		set            map[string]string
		changes, loads int
		err            error
	}{
		{map[string]string{"a": text(101)}, 0, 0, store.ErrTooLarge},
		{map[string]string{"a": text(100)}, 2, 1, nil},
		{map[string]string{"a": text(100)}, 1, 0, nil},
		{map[string]string{"b": text(2)}, 1, 1, store.ErrTooLarge},
		{map[string]string{store.SignInValue: r.Values[store.SignInValue] + strings.Repeat(" ", 200)}, 1, 0, nil},
		{map[string]string{"a": text(99)}, 1, 0, nil},
		{map[string]string{"a": text(100), value.CookieDue: "true"}, 2, 1, nil},
	} {
		b.changes, b.loads = 0, 0
		_, err := kit(s).Update(t.Context(), id, r, store.Change{Set: test.set})
		require.ErrorIs(t, err, test.err)
		assert.Equal(t, test.changes, b.changes, test.set)
		assert.Equal(t, test.loads, b.loads, test.set)
	}
}

// broken fails.
type broken struct{ store.Backend }

var errBroken = errors.New("broken")

func (broken) List(context.Context, string) (map[string]store.Record, error) { return nil, errBroken }

func (broken) LoadFresh(context.Context, ...string) (map[string]store.Record, error) {
	return nil, errBroken
}

// TestNoID: what cannot be an ID is no session's, whatever the backend would say of it.
func TestNoID(t *testing.T) {
	s := store.New(broken{})
	for _, id := range []string{"", "x", "\x00", "\xff", strings.Repeat("A", 42), strings.Repeat("A", 42) + "\x00", strings.Repeat("A", 43) + "\xff"} {
		require.NoError(t, s.Revoke(t.Context(), "alice", id), "%q", id)
		_, _, found, err := kit(s).Find(t.Context(), id)
		require.NoError(t, err, "%q", id)
		assert.False(t, found, "%q", id)
	}
}

func TestErrorsSayWhatWasDone(t *testing.T) {
	s := store.New(broken{})
	_, err := s.Sessions(t.Context(), "alice")
	require.ErrorIs(t, err, errBroken)
	require.ErrorContains(t, err, "store: listing a user's sessions")
	_, err = s.RevokeAll(t.Context(), "alice")
	require.ErrorIs(t, err, errBroken)
	require.ErrorIs(t, s.Revoke(t.Context(), "alice", strings.Repeat("A", 43)), errBroken)
	_, err = kit(s).Trim(t.Context(), "alice", "session", 1)
	require.ErrorIs(t, err, errBroken)
}

// refusing fails to change what is there.
type refusing struct{ store.Backend }

func (refusing) Update(context.Context, string, store.Change) (store.Outcome, error) {
	return store.Outcome{}, errBroken
}

func (refusing) End(context.Context, string, store.Ending, ...string) ([]string, error) {
	return nil, errBroken
}

func (refusing) Create(context.Context, string, store.Record) (bool, error) { return false, nil }

func TestChangesThatFail(t *testing.T) {
	b := memstore.NewBackend()
	s := store.New(refusing{b})
	_, _, _, err := kit(s).Create(t.Context(), signedIn("alice", time.Now()), signin.Attempt{Began: time.Now()})
	require.ErrorContains(t, err, "the source of randomness is broken", "an ID that comes twice is never shared")
	for i := range 3 {
		_, err := b.Create(t.Context(), fmt.Sprint("id", i), signedIn("alice", time.Now().Add(time.Duration(i)*time.Second)))
		require.NoError(t, err)
	}
	ended, err := kit(s).Trim(t.Context(), "alice", "session", 1)
	require.ErrorIs(t, err, errBroken)
	assert.Empty(t, ended)
	n, err := s.RevokeAll(t.Context(), "alice")
	require.ErrorIs(t, err, errBroken)
	assert.Zero(t, n)
}

func TestWatchAfterClose(t *testing.T) {
	s := memstore.New()
	require.NoError(t, s.Close())
	done, stop := kit(s).Watch("id", store.Record{})
	<-done
	stop()
	stop()
}

// The rest is about the store without the middleware.

func request(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// save changes the session of a request and returns the cookie that is set.
func save(t *testing.T, s *store.Store, r *http.Request, change func(*gsessions.Session)) *http.Cookie {
	t.Helper()
	session, err := s.Get(r, "plain")
	require.NoError(t, err)
	change(session)
	w := httptest.NewRecorder()
	require.NoError(t, session.Save(r, w))
	res := w.Result()
	require.NoError(t, res.Body.Close())
	require.Len(t, res.Cookies(), 1)
	return res.Cookies()[0]
}

func values(t *testing.T, s *store.Store, cookies ...*http.Cookie) map[any]any {
	t.Helper()
	session, err := s.Get(request(cookies...), "plain")
	require.NoError(t, err)
	assert.Equal(t, len(session.Values) == 0, session.IsNew)
	return session.Values
}

func TestPlainMergesChanges(t *testing.T) {
	s := memstore.New()
	cookie := save(t, s, request(), func(session *gsessions.Session) {
		session.Values["a"], session.Values["b"], session.Values[7] = 1, "x", true
	})
	assert.True(t, cookie.HttpOnly && cookie.Secure)
	assert.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
	assert.Equal(t, "/", cookie.Path)

	first, second := request(cookie), request(cookie)
	one, err := s.Get(first, "plain")
	require.NoError(t, err)
	two, err := s.Get(second, "plain")
	require.NoError(t, err)
	one.Values["c"] = 3
	delete(one.Values, "a")
	two.Values["d"] = 4
	require.NoError(t, one.Save(first, httptest.NewRecorder()))
	require.NoError(t, two.Save(second, httptest.NewRecorder()))
	one.Values["e"] = 5
	require.NoError(t, one.Save(first, httptest.NewRecorder()), "a second time")
	assert.Equal(t, map[any]any{"b": "x", 7: true, "c": 3, "d": 4, "e": 5}, values(t, s, cookie))

	planted := &http.Cookie{Name: "plain", Value: "x"}
	assert.NotEmpty(t, values(t, s, planted, cookie), "a planted cookie before the right one")
	assert.Empty(t, values(t, s, planted, planted, planted, planted, cookie), "but not any number of them")
}

func TestPlainLogoutWins(t *testing.T) {
	s := memstore.New()
	cookie := save(t, s, request(), func(session *gsessions.Session) { session.Values["a"] = 1 })
	r := request(cookie)
	inFlight, err := s.Get(r, "plain")
	require.NoError(t, err)
	gone := save(t, s, request(cookie), func(session *gsessions.Session) { session.Options.MaxAge = -1 })
	assert.Negative(t, gone.MaxAge)
	inFlight.Values["a"] = 2
	w := httptest.NewRecorder()
	require.ErrorIs(t, inFlight.Save(r, w), store.ErrEnded)
	assert.Empty(t, w.Header())
	assert.Empty(t, values(t, s, cookie))
}

// TestPlainMessageAfterASignOut: another Save begins a new session, with nothing of the one that was ended.
func TestPlainMessageAfterASignOut(t *testing.T) {
	for name, before := range map[string]func(*gsessions.Session){
		"by MaxAge alone": func(*gsessions.Session) {},
		"cleared":         func(session *gsessions.Session) { clear(session.Values) },
		"after a change": func(session *gsessions.Session) {
			session.Values["user"] = "43"
			session.AddFlash("Welcome")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			old := save(t, s, request(), func(session *gsessions.Session) { session.Values["user"] = "42" })
			for _, r := range []*http.Request{request(old), request()} { // a session that was loaded, and one that was not yet saved
				session, err := s.Get(r, "plain")
				require.NoError(t, err)
				before(session)
				session.Options.MaxAge = -1
				require.NoError(t, session.Save(r, httptest.NewRecorder()))
				assert.Empty(t, session.ID)
				session.Options.MaxAge = 3600
				session.AddFlash("Goodbye")
				next := save(t, s, r, func(*gsessions.Session) {})
				assert.NotEqual(t, old.Value, next.Value)
				assert.Empty(t, values(t, s, old))
				assert.Equal(t, map[any]any{"_flash": []any{"Goodbye"}}, values(t, s, next))
				save(t, s, r, func(session *gsessions.Session) { session.Values["again"] = true })
				assert.Len(t, values(t, s, next), 2)
			}
		})
	}
}

func TestPlainMaxAgeIsEnforced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		set := func(session *gsessions.Session) { session.Values["a"] = 1 }
		byDefault := save(t, s, request(), set)
		s.Options(sessions.Options{Path: "/", MaxAge: 60})
		minute := save(t, s, request(), set)
		assert.Equal(t, 60, minute.MaxAge)
		time.Sleep(time.Minute - time.Millisecond)
		assert.NotEmpty(t, values(t, s, minute))
		time.Sleep(time.Millisecond)
		assert.Empty(t, values(t, s, minute), "whatever the browser kept")
		time.Sleep(23 * time.Hour)
		assert.NotEmpty(t, values(t, s, byDefault))
		time.Sleep(time.Hour)
		assert.Empty(t, values(t, s, byDefault))
		require.NoError(t, s.Close())
	})
}

func TestPlainErrors(t *testing.T) {
	s := store.New(hanging{}, store.Config{Timeout: time.Millisecond})
	session, err := s.New(request(&http.Cookie{Name: "plain", Value: strings.Repeat("A", 43)}), "plain")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotNil(t, session, "gorilla's registry needs one")

	r := request()
	session, err = memstore.New().Get(r, "plain")
	require.NoError(t, err)
	session.Values["f"] = func() {}
	require.ErrorContains(t, session.Save(r, httptest.NewRecorder()), `"f"`)

	// Nothing that fails is taken for saved: no cookie is sent.
	b := memstore.NewBackend()
	secret := save(t, store.New(b), request(), func(s *gsessions.Session) { s.Values["a"] = 1 })
	failing := store.New(refusing{b})
	for name, change := range map[string]func(*gsessions.Session){
		"update": func(s *gsessions.Session) { s.Values["a"] = 2 },
		"delete": func(s *gsessions.Session) { s.Options.MaxAge = -1 },
	} {
		r := request(secret)
		session, err := failing.New(r, secret.Name)
		require.NoError(t, err)
		change(session)
		w := httptest.NewRecorder()
		require.ErrorIs(t, failing.Save(r, w, session), errBroken, name)
		assert.Empty(t, w.Header(), name)
	}
	r = request()
	session, err = failing.New(r, "plain")
	require.NoError(t, err)
	w := httptest.NewRecorder()
	require.Error(t, failing.Save(r, w, session))
	assert.Empty(t, w.Header())
}
