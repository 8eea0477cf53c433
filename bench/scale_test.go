package main_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/bench"
)

func TestScaleProcess(t *testing.T) {
	for _, store := range []string{"memory", "SQLite"} {
		t.Run(store, func(t *testing.T) {
			var found main.Scale
			size := main.NewCrowdSize(store, 2000, time.Millisecond, t.TempDir())
			end, err := main.StartScale(t.Context(), size, &found)
			require.NoError(t, err)
			measured := found
			require.NoError(t, end())
			assert.Equal(t, measured, found, "without a sweep there is nothing more to find")
			assert.Greater(t, measured.BytesEach, 100.0)
			assert.Less(t, measured.BytesEach, 2000.0)
			assert.Positive(t, measured.Create)
			assert.Positive(t, measured.Read)
			assert.Positive(t, measured.GCShare)
			assert.Less(t, measured.GCShare, 1.0)
			assert.Positive(t, measured.Pause)
			assert.Positive(t, measured.Collect)
		})
	}
}

func TestWalkProcess(t *testing.T) {
	for _, store := range []string{"memory", "SQLite", "Redis"} {
		t.Run(store, func(t *testing.T) {
			redis := ""
			if store == "Redis" {
				redis = main.StartRedis(t)
			}
			found, err := main.StartWalk(t.Context(), main.NewWalkSize(store, 5000, time.Millisecond, t.TempDir(), redis))
			require.NoError(t, err)
			assert.Positive(t, found.Count)
			assert.Positive(t, found.All)
			assert.Less(t, found.Held, uint64(5000*200), "it holds a part of them")
			assert.Positive(t, found.Alone.P50)
			assert.LessOrEqual(t, found.Beside.P50, found.Beside.P99)
		})
	}
}

func TestRevocationIsMeasured(t *testing.T) {
	found, err := main.MeasureRevocation(t, main.StartRedis(t), 5)
	require.NoError(t, err)
	assert.Equal(t, 5, found.Tries)
	assert.Zero(t, found.Missed)
	assert.Positive(t, found.P50)
	assert.Less(t, found.Max, 2*time.Second)
}

func TestTripsOfPeersOnRedis(t *testing.T) {
	redis := main.StartRedis(t)
	info, err := main.RedisInfo(t.Context(), redis)
	require.NoError(t, err)
	assert.NotEmpty(t, info["redis_version"])

	scs := main.CountTrips(t, redis, "scs goredisstore")
	assert.InDelta(t, 0, scs[main.Anonymous], 0)
	assert.InDelta(t, 1, scs[main.Read], 0.2)
	assert.InDelta(t, 2, scs[main.Write], 0.2)
	kit := main.CountTrips(t, redis, "sessionkit redisstore, no cache")
	assert.InDelta(t, 0, kit[main.Anonymous], 0)
	assert.InDelta(t, 1, kit[main.Read], 0.2)
}

func TestNodeLockNamesNoRegistry(t *testing.T) {
	lock, err := os.ReadFile("node/package-lock.json")
	require.NoError(t, err)
	assert.Contains(t, string(lock), `"integrity"`)
	assert.NotContains(t, string(lock), `"resolved"`)
	assert.NotContains(t, string(lock), "registry.")
}
