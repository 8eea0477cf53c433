package redisstore_test

import (
	"strconv"
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
