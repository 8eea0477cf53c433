package redisstore_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// TestClockFarBehindTheServer has an application whose clock is at the year 2000.
func TestClockFarBehindTheServer(t *testing.T) {
	server := testserver.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Address}})
		require.NoError(t, err)
		defer client.Close()
		b := redisstore.NewBackend(client, redisstore.Config{CacheBytes: -1})
		require.Equal(t, 2000, time.Now().Year())
		stays := func(id string) {
			t.Helper()
			r, found, err := b.Load(t.Context(), id)
			require.NoError(t, err)
			require.True(t, found, "the session that was just saved")
			assert.Equal(t, "alice", r.User)
			list, err := b.List(t.Context(), "alice")
			require.NoError(t, err)
			assert.Contains(t, list, id)
			ttl, err := client.Do(t.Context(), client.B().Pttl().Key("session:id:"+id).Build()).AsInt64()
			require.NoError(t, err)
			assert.InDelta(t, (time.Until(r.Expires) + store.Retention).Milliseconds(), ttl, 5000)
		}
		create(t, b, newID(1), record("alice", nil))
		stays(newID(1))
		found, err := changed(b.Update(t.Context(), newID(1), store.Change{Seen: time.Now(), Expires: time.Now().Add(2 * time.Hour)}))
		require.NoError(t, err)
		require.True(t, found)
		stays(newID(1))
		found, err = b.Rotate(t.Context(), newID(1), move(newID(2), record("alice", nil), nil))
		require.NoError(t, err)
		require.True(t, found)
		stays(newID(2))
		found, err = changed(b.Update(t.Context(), newID(2), store.Change{Seen: time.Now(), Expires: time.Now().Add(30 * 24 * time.Hour)}))
		require.NoError(t, err)
		require.True(t, found, "although the index must hold it longer")
		stays(newID(2))
	})
}
