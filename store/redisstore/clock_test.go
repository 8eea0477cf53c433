package redisstore_test

import (
	"strconv"
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

// TestClockThatWasPutBack: a session that is used stays, although what is stored of it is
// hours ahead of the application's clock by now.
func TestClockThatWasPutBack(t *testing.T) {
	for name, client := range clients(t) {
		t.Run(name, func(t *testing.T) {
			b := backend(t, client)
			id := newID(1)
			create(t, b, id, record("alice", nil))
			// As the session stands if it was made at that time, almost two hours ago.
			ahead := time.Now().Add(3 * time.Hour)
			at := func(after time.Duration) string { return strconv.FormatInt(ahead.Add(after).UnixMilli(), 10) }
			require.NoError(t, do(t, client, "HSET", "session:id:"+id, "c", at(0), "s", at(0), "e", at(time.Hour), "i", at(26*time.Hour)).Error())
			require.NoError(t, do(t, client, "PEXPIRE", "session:id:"+id, "60000").Error())
			require.NoError(t, do(t, client, "ZADD", "session:user:alice", strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10), id).Error())

			for range 2 {
				used := time.Now()
				found, err := changed(b.Update(t.Context(), id, store.Change{Seen: used, Expires: used.Add(time.Hour)}))
				require.NoError(t, err)
				require.True(t, found)
				const long = float64(2 * time.Hour / time.Millisecond)
				assert.InDelta(t, long, number(t, client, "PTTL", "session:id:"+id), 5000)
				assert.InDelta(t, float64(used.Add(26*time.Hour).UnixMilli()), number(t, client, "ZSCORE", "session:user:alice", id), 5000)
				r, _, err := loadFresh(t.Context(), b, id)
				require.NoError(t, err)
				assert.Equal(t, used.UnixMilli(), r.Seen.UnixMilli(), "by the clock as it is now, so that the next use is recorded in time")
				assert.Equal(t, at(time.Hour), strconv.FormatInt(r.Expires.UnixMilli(), 10), "never earlier")
			}
		})
	}
}
