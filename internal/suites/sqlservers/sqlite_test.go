package sqlservers_test

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
	found, err = changed(b.Update(t.Context(), id, store.Change{Set: map[string]string{"a": `1`}}))
	require.NoError(t, err)
	assert.True(t, found)
}

// TestNoConnectionLeft has a handler keep the only connection and use the session:
// without an end to the waiting it would wait for itself for ever.
func TestNoConnectionLeft(t *testing.T) {
	db := openSQLite(t, filepath.Join(t.TempDir(), "sessions.db")+"?_pragma=busy_timeout(200)")
	db.SetMaxOpenConns(1)
	b, _ := newBackend(t, db)
	id := newID()
	_, err := b.Create(t.Context(), id, record("alice", nil))
	require.NoError(t, err)
	held, err := db.Conn(t.Context())
	require.NoError(t, err)
	for name, operation := range map[string]func() error{
		"load":   func() error { _, _, err := b.Load(t.Context(), id); return err },
		"list":   func() error { _, err := b.List(t.Context(), "alice"); return err },
		"update": func() error { _, err := b.Update(t.Context(), id, store.Change{Seen: time.Now()}); return err },
		"delete": func() error { _, err := b.Delete(t.Context(), id); return err },
	} {
		began := time.Now()
		assert.ErrorContains(t, operation(), "a handler must not hold one while it uses the session", name)
		assert.Less(t, time.Since(began), 2*time.Second, name)
	}
	require.NoError(t, held.Close())
	_, found, err := b.Load(t.Context(), id)
	require.NoError(t, err)
	assert.True(t, found)
}
