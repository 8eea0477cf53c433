package memstore_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/storetest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	m.Run()
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Backend { return memstore.NewBackend() })
}

func TestGinContrib(t *testing.T) {
	storetest.RunGinContrib(t, func(*testing.T) sessions.Store { return memstore.New() })
}

func TestExpiredRecordsLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memstore.NewBackend()
		create := func(id string, life time.Duration) {
			now := time.Now()
			created, err := b.Create(t.Context(), id, store.Record{User: "alice", Created: now, Seen: now, Expires: now.Add(life)})
			require.NoError(t, err)
			require.True(t, created)
		}
		has := func(id string) bool {
			_, found, err := b.Load(t.Context(), id)
			require.NoError(t, err)
			return found
		}
		create("short", time.Minute)
		create("long", 24*time.Hour)

		time.Sleep(time.Minute + store.Retention - time.Millisecond)
		synctest.Wait()
		assert.True(t, has("short"), "an expired record is kept for store.Retention")

		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.False(t, has("short"), "an expired record leaves by itself")
		assert.True(t, has("long"))
		records, err := b.List(t.Context(), "alice")
		require.NoError(t, err)
		assert.Len(t, records, 1, "it leaves its user's index too")

		time.Sleep(26 * time.Hour)
		synctest.Wait()
		assert.False(t, has("long"))
		create("later", time.Minute)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		assert.False(t, has("later"), "the sweep starts again after the store was empty")
		require.NoError(t, b.Close())
	})
}

func TestNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		for range 100 {
			_, _, err := s.Create(t.Context(), store.Record{User: "alice", Expires: time.Now().Add(time.Hour)})
			require.NoError(t, err)
		}
		// The bubble would not end with a goroutine in it, although nobody calls Close.
	})
}
