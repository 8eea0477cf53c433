package sqlstore_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/store"
)

// TestLockedFile has another process keep the lock of the file.
func TestLockedFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessions.db") + "?_pragma=busy_timeout(200)"
	b, _ := newBackend(t, openSQLite(t, file))
	id := newID()
	_, err := b.Create(t.Context(), id, record("alice", nil))
	require.NoError(t, err)

	other, err := openSQLite(t, file).Conn(t.Context())
	require.NoError(t, err)
	defer func() { assert.NoError(t, other.Close()) }()
	_, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	began := time.Now()
	var writers sync.WaitGroup
	for range 30 { // if each waited for those before it: 6 s
		writers.Go(func() {
			_, err := b.Update(t.Context(), id, store.Change{Set: map[string]string{"a": `1`}})
			assert.Error(t, err)
		})
	}
	_, found, err := b.Load(t.Context(), id)
	require.NoError(t, err, "readers wait for nobody")
	assert.True(t, found)
	writers.Wait()
	assert.Less(t, time.Since(began), 2*time.Second, "a write waits for the lock, and no longer for other writes than that")

	_, err = other.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	found, err = b.Update(t.Context(), id, store.Change{Set: map[string]string{"a": `1`}})
	require.NoError(t, err)
	assert.True(t, found)
}
