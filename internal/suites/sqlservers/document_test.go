package sqlservers_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

func TestOddValues(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			b, _ := newBackend(t, database.open(t))
			values := map[string]string{"old": `1`}
			for _, text := range kittest.OddValues {
				values["of "+text] = text
			}
			created := create(t, b, record("", values))
			updated, renewed := create(t, b, record("", nil)), create(t, b, record("", map[string]string{"old": `2`}))
			found, err := changed(b.Update(t.Context(), updated, store.Change{Set: values}))
			require.NoError(t, err)
			require.True(t, found)
			rotated := newID()
			found, err = b.Rotate(t.Context(), renewed, move(rotated, record("", values), []string{"old", "old", "none"}))
			require.NoError(t, err)
			require.True(t, found)
			for _, id := range []string{created, updated, rotated} {
				r, _, err := b.Load(t.Context(), id)
				require.NoError(t, err)
				require.Len(t, r.Values, len(values))
				for name, want := range values {
					assert.Equal(t, spaceless(t, want), spaceless(t, r.Values[name]))
				}
			}
		})
	}
}

func spaceless(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v), text)
	require.NoError(t, json.NewEncoder(&b).Encode(v))
	return b.String()
}

func TestUnreadableRows(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			db := database.open(t)
			b, _ := newBackend(t, db)
			table := tableOf(t, b)
			good := create(t, b, record("alice", map[string]string{"a": `1`}))
			sets := []string{`data = '[1]'`, `data = '"text"'`, `data = 'null'`}
			if dialect(t) == sqlstore.SQLite { // the others refuse these
				sets = append(sets, `data = ''`, `data = '{"a":1'`, `data = x'7b'`, `data = 7`, `expires = 'soon'`, `seen = 1.5`, `since = 'x'`)
			}
			for _, set := range sets {
				id := create(t, b, record("alice", map[string]string{"secret": `"hunter2"`}))
				_, err := db.ExecContext(t.Context(), "UPDATE "+table+" SET "+set+" WHERE id = '"+id+"'") // #nosec G202 -- of this test
				require.NoError(t, err, set)
				r, found, err := b.Load(t.Context(), id)
				require.ErrorIs(t, err, store.ErrCorrupt, set)
				assert.False(t, found)
				assert.Zero(t, r)
				assert.NotContains(t, err.Error(), id)
				assert.NotContains(t, err.Error(), "hunter2")
			}
			records, err := b.List(t.Context(), "alice")
			require.NoError(t, err, "a row that cannot be read does not hide the user's others")
			assert.Contains(t, records, good)
			var ids []string
			for id, r := range records {
				assert.Equal(t, "alice", r.User)
				ids = append(ids, id)
			}
			ended, err := b.End(t.Context(), "alice", store.Revoked, ids...)
			require.NoError(t, err)
			assert.Len(t, ended, len(ids), "what cannot be read can be ended all the same")
		})
	}
}

// tableOf returns the quoted name of the backend's table.
func tableOf(t *testing.T, b store.Backend) string {
	t.Helper()
	return strings.Fields(strings.TrimPrefix(statements(b)["remove"], "DELETE FROM "))[0]
}

func TestOneBadValue(t *testing.T) {
	db := databases[0].open(t)
	b, table := newBackend(t, db)
	id := create(t, b, record("", nil))
	_, err := db.ExecContext(t.Context(), `UPDATE "`+table+`" SET data = '{"good": 1, "bad": tru, "object": {"a": "}"}, "null": null, "raw": ["raw", "x"]}'`) // #nosec G202 -- of this test
	require.NoError(t, err)
	r, _, err := b.Load(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"good": `1`, "bad": `tru`, "object": `{"a": "}"}`, "null": `null`, "raw": `["raw", "x"]`}, r.Values,
		"a bad value is seen where it is used, and the others stay")
}

func TestLongUser(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			b, _ := newBackend(t, database.open(t))
			longest := strings.Repeat("é", 256)
			id := create(t, b, record(longest, nil))
			records, err := b.List(t.Context(), longest)
			require.NoError(t, err)
			assert.Len(t, records, 1)
			_, err = b.Create(t.Context(), newID(), record(longest+"x", nil))
			require.ErrorContains(t, err, "the user's name has 513 bytes, more than 512", "never cut it to another user's name")
			_, err = b.Rotate(t.Context(), id, move(newID(), record(longest+"x", nil), nil))
			require.ErrorContains(t, err, "513 bytes")
			assert.True(t, has(t, b, id))
		})
	}
}
