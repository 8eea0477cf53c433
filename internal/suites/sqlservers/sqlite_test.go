package sqlservers_test

import (
	"context"
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

// TestEndedByHand has an operator end all rows by UPDATE, the store's own too. Nobody is
// waited for without end: it is an error, until the row is deleted.
func TestEndedByHand(t *testing.T) {
	db := openSQLite(t, filepath.Join(t.TempDir(), "sessions.db"))
	b, table := newBackend(t, db)
	s := store.New(b)
	revoke := func() (int, error) {
		_, err := b.Create(t.Context(), newID(), record("alice", nil))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return s.RevokeAll(ctx, "alice")
	}
	_, err := revoke() // makes the boundary
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "UPDATE "+table+" SET ended = 'revoked', expires = min(expires, unixepoch() * 1000)")
	require.NoError(t, err)
	n, err := revoke()
	require.ErrorIs(t, err, store.ErrCorrupt)
	assert.Equal(t, 1, n, "what is listed ends all the same")
	_, err = db.ExecContext(t.Context(), "DELETE FROM "+table+" WHERE kind IS NOT NULL AND ended IS NOT NULL")
	require.NoError(t, err)
	n, err = revoke()
	require.NoError(t, err)
	assert.Equal(t, 1, n)
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
