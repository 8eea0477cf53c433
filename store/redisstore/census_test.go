package redisstore_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

func wantCounts(t *testing.T, b store.Backend, want store.Counts) {
	t.Helper()
	counts, err := b.(store.CountingBackend).Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, want, counts)
}

// TestCountOverProcesses: a session that another process has ended is not counted,
// although the one that made it passes that on later.
func TestCountOverProcesses(t *testing.T) {
	for name, client := range clients(t) {
		t.Run(name, func(t *testing.T) {
			one, other := backend(t, client), backend(t, client)
			create(t, one, newID(1), record("alice", nil))
			create(t, one, newID(2), record("", nil))
			create(t, one, newID(3), record("", nil))
			ended, err := other.End(t.Context(), "", store.Revoked, newID(1), newID(2))
			require.NoError(t, err)
			require.Len(t, ended, 2)
			moved, err := other.Rotate(t.Context(), newID(3), move(newID(4), record("bob", nil), nil))
			require.NoError(t, err)
			require.True(t, moved)
			for _, b := range []store.Backend{other, one, other} {
				wantCounts(t, b, store.Counts{Live: 1, SignedIn: 1})
			}
		})
	}
}

// TestCountAfterClose: so it is if the process that ended the session is closed at once.
func TestCountAfterClose(t *testing.T) {
	client := connect(t, testserver.Redis(t).Address)
	one, other := backend(t, client), redisstore.NewBackend(client)
	create(t, one, newID(1), record("alice", nil))
	moved, err := other.Rotate(t.Context(), newID(1), move(newID(2), record("alice", nil), nil))
	require.NoError(t, err)
	require.True(t, moved)
	require.NoError(t, other.Close())
	wantCounts(t, one, store.Counts{Live: 1, SignedIn: 1})
}

// TestEndedSessionsLeaveTheCount: what is kept of sessions that ended is removed once
// nothing about them is under way any more.
func TestEndedSessionsLeaveTheCount(t *testing.T) {
	client := connect(t, testserver.Redis(t).Address)
	b := backend(t, client)
	key := "session:live:visitor:" + newID(1)[:1]
	ended := func(ago time.Duration) string {
		return strconv.FormatInt(redisstore.EndedScore+time.Now().Add(-ago).UnixMilli(), 10)
	}
	require.NoError(t, do(t, client, "ZADD", key, ended(2*time.Minute), "long ago", ended(time.Second), "just now").Error())
	create(t, b, newID(1), record("", nil))
	wantCounts(t, b, store.Counts{Live: 1})
	members, err := do(t, client, "ZRANGE", key, "0", "-1").AsStrSlice()
	require.NoError(t, err)
	assert.Equal(t, []string{newID(1)[:12], "just now"}, members)
}

// TestCountOnAFullServer: what has ended while the memory of the server was full is not
// counted, and what was used is counted for longer.
func TestCountOnAFullServer(t *testing.T) {
	client := connect(t, testserver.Redis(t).Address)
	b := backend(t, client)
	for i := range 3 {
		create(t, b, newID(i), record("alice", nil))
	}
	wantCounts(t, b, store.Counts{Live: 3, SignedIn: 3})
	full(t, client, true)
	ended, err := b.End(t.Context(), "alice", store.SignedOut, newID(0), newID(1))
	require.NoError(t, err)
	require.Len(t, ended, 2)
	later := time.Now().Add(2 * time.Hour)
	found, err := changed(b.Update(t.Context(), newID(2), store.Change{Seen: time.Now(), Expires: later}))
	require.NoError(t, err)
	require.True(t, found)
	wantCounts(t, b, store.Counts{Live: 1, SignedIn: 1})
	full(t, client, false)
	wantCounts(t, b, store.Counts{Live: 1, SignedIn: 1})
	assert.Equal(t, later.UnixMilli(), number(t, client, "ZSCORE", "session:live:user:"+newID(2)[:1], newID(2)[:12]))
}

// hangingTimeout is that of the backend which busyAndHanging returns.
const hangingTimeout = 300 * time.Millisecond

// busyAndHanging returns a backend that still has more to pass on than goes out at once, to a
// server that hangs. The channel holds something once anything has been sent since.
func busyAndHanging(t *testing.T) (b store.Backend, sent chan struct{}) {
	t.Helper()
	server := testserver.Redis(t)
	sent = make(chan struct{}, 1)
	var hangs atomic.Bool // or is about to
	client := &wrapped{Client: connect(t, server.Address), do: func(context.Context) {
		if hangs.Load() {
			select {
			case sent <- struct{}{}:
			default:
			}
		}
	}}
	b = redisstore.NewBackend(client, redisstore.Config{CacheBytes: -1, Store: store.Config{Timeout: hangingTimeout}})
	for i := range 500 {
		create(t, b, newID(i), record([]string{"", "alice"}[i%2], nil))
	}
	hangs.Store(true)
	server.Pause()
	t.Cleanup(server.Resume)
	return b, sent
}

func TestCountOfAServerThatHangs(t *testing.T) {
	b, _ := busyAndHanging(t)
	began := time.Now()
	_, err := b.(store.CountingBackend).Count(t.Context())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(began), 3*hangingTimeout)
	require.NoError(t, b.Close())
}

func TestCloseWhileTheServerHangs(t *testing.T) {
	b, sent := busyAndHanging(t)
	<-sent // a moment later the sessions are being passed on
	began := time.Now()
	require.NoError(t, b.Close())
	assert.Less(t, time.Since(began), 5*hangingTimeout)
}
