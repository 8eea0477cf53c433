package sqlservers_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// TestRotateToATakenID: a session never gets into the place of another one.
func TestRotateToATakenID(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			b, _ := newBackend(t, database.open(t))
			id := create(t, b, record("alice", map[string]string{"a": `1`}))
			ended := create(t, b, record("carol", nil))
			_, err := b.End(t.Context(), "carol", store.Revoked, ended)
			require.NoError(t, err)
			taken := []string{create(t, b, record("bob", map[string]string{"b": `2`})), ended}
			before, err := b.LoadFresh(t.Context(), append(taken, id)...)
			require.NoError(t, err)
			require.Len(t, before, 3)
			for _, newID := range taken {
				found, err := b.Rotate(t.Context(), id, move(newID, record("alice", nil), nil))
				require.Error(t, err)
				assert.False(t, found)
			}
			after, err := b.LoadFresh(t.Context(), append(taken, id)...)
			require.NoError(t, err)
			assert.Equal(t, before, after)
		})
	}
}

// TestPeek: what is read beside a session that is stored.
func TestPeek(t *testing.T) {
	db := databases[0].open(t)
	backend, table := newBackend(t, db)
	b, ok := backend.(store.PeekingBackend)
	require.True(t, ok)
	const large = `12345678901234567890123` // not every database would keep it as it is
	one := create(t, b, record("", map[string]string{"a": `"one"`, "b": `1`}))
	two := create(t, b, record("", map[string]string{"a": large}))
	other := create(t, b, record("", map[string]string{"b": `1`}))
	peeks := map[string]struct {
		ids  []string
		want []string
	}{
		"none":    {nil, nil},
		"one":     {[]string{one}, []string{`"one"`}},
		"absent":  {[]string{newID(), two, newID()}, []string{"", large, ""}},
		"no such": {[]string{two, other, one}, []string{large, "", `"one"`}},
		"many":    {[]string{one, newID(), two, other, two, one, newID()}, []string{`"one"`, "", large, "", large, `"one"`, ""}},
	}
	for name, peek := range peeks {
		t.Run(name, func(t *testing.T) {
			p, id, next := store.Peek{Name: "a", IDs: peek.ids}, newID(), newID()
			created, texts, err := b.CreateAndPeek(t.Context(), id, record("alice", map[string]string{"c": `3`}), p)
			require.NoError(t, err)
			assert.True(t, created)
			assert.Equal(t, peek.want, append([]string(nil), texts...))
			moved, texts, err := b.RotateAndPeek(t.Context(), id, move(next, record("alice", nil), nil), p)
			require.NoError(t, err)
			assert.True(t, moved)
			assert.Equal(t, peek.want, append([]string(nil), texts...))
			r, found, err := b.Load(t.Context(), next)
			require.NoError(t, err)
			assert.True(t, found && r.Values["c"] == `3`)

			created, texts, err = b.CreateAndPeek(t.Context(), id, record("alice", nil), p)
			require.NoError(t, err)
			assert.False(t, created, "the ID is taken")
			assert.Empty(t, texts)
			moved, texts, err = b.RotateAndPeek(t.Context(), id, move(newID(), record("alice", nil), nil), p)
			require.NoError(t, err)
			assert.False(t, moved, "it has another ID")
			assert.Empty(t, texts)
		})
	}
	_, err := db.ExecContext(t.Context(), `UPDATE "`+table+`" SET data = 'nonsense' WHERE id = ?`, other) // #nosec G202 -- of this test
	require.NoError(t, err)
	p, id, next := store.Peek{Name: "a", IDs: []string{one, other}}, newID(), newID()
	created, _, err := b.CreateAndPeek(t.Context(), id, record("alice", nil), p)
	require.ErrorIs(t, err, store.ErrCorrupt)
	assert.True(t, created, "the caller has to know, to end it")
	moved, _, err := b.RotateAndPeek(t.Context(), id, move(next, record("alice", nil), nil), p)
	require.ErrorIs(t, err, store.ErrCorrupt)
	assert.True(t, moved)
	assert.True(t, has(t, b, next))
}

// TestRotateInTime: a rotation that fails as its time is up has changed nothing.
func TestRotateInTime(t *testing.T) {
	b, err := sqlstore.NewBackend(databases[0].open(t), sqlstore.Config{Table: "in_time", Store: store.Config{Timeout: time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	failed := 0
	for range 8 {
		for limit := time.Duration(0); limit < 400*time.Microsecond; limit += 4 * time.Microsecond {
			id, next := create(t, b, record("", nil)), newID()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			moved, err := b.Rotate(ctx, id, move(next, record("alice", nil), nil))
			cancel()
			if err != nil {
				failed++
			}
			require.Equal(t, err == nil, moved)
			require.Equal(t, moved, has(t, b, next))
		}
	}
	assert.NotZero(t, failed)
}
