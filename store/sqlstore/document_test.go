package sqlstore_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/alloctest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// oddValues are values that one database or another would change or refuse.
var oddValues = []string{
	`1`, `-1`, `0`, `9223372036854775807`, `-9223372036854775808`, `["json",9223372036854775807]`, `["json",1.5]`, `["json",-0.25]`,
	`["json",18446744073709551615]`, `["json",123456789012345678901234567890]`, `["json",0.1234567890123456789]`,
	`["json",1e400]`, `["json",1E+200]`, `["json",-0]`, `["json",-0.0]`, `["json",1e-7]`, `["json",[1,-2,{"a":1e9}]]`,
	`["json","\ud800"]`, `["json","\uD800\udc00"]`, `["json","\u00e4\n\"\\"]`, `"ä\u2028"`, `["json",{"a":null,"b":{"c":null}}]`,
	`["json",` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `]`,
	`["json",` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat("}", 40) + `]`,
	`["raw","x"]`, `["raw","1"]`, `["raw"]`, `[ "raw" , 1]`, `["rawer",1]`, `["nil"]`, `[]`, `""`, `true`, `"["`, `"{\"a\":1}"`, `["json","]},{["]`,
}

func TestOddValues(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			b, _ := newBackend(t, database.open(t))
			values := map[string]string{"old": `1`}
			for _, text := range oddValues {
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

func TestShield(t *testing.T) {
	for text, stored := range map[string]string{
		`42`:             `42`,
		`"1e400"`:        `"1e400"`,
		`["json",19.99]`: `["json",19.99]`,
		`["json",1e21]`:  `["raw","[\"json\",1e21]"]`,
		`["raw","x"]`:    `["raw","[\"raw\",\"x\"]"]`,
	} {
		assert.Equal(t, stored, sqlstore.Shield(text))
	}
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
				sets = append(sets, `data = ''`, `data = '{"a":1'`, `data = x'7b'`, `data = 7`, `expires = 'soon'`, `seen = 1.5`)
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
	return strings.Fields(strings.TrimPrefix(sqlstore.Statements(b)["remove"], "DELETE FROM "))[0]
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

func documentSeeds() []string {
	seeds := []string{
		``, `{`, `{}`, ` { } `, `{"a":1}`, `{"a": 1, "b": [1, {"c": "]"}]}`, `{"a":1,}`, `{"a":1,"a":2}`, `{"a"}`, `{"a":}`, `{"a":1}}`, `{"a":1} x`,
		`{"\"":"\\"}`, `{"\u00e4":"\""}`, `{"a":"`, `{"a":[}`, `{"a":["raw","1"]}`, `{"a":["raw",1]}`, `{"a":["raw"]}`, `[1]`, `null`, "{\"a\"\n:\t1 }",
	}
	for _, text := range oddValues {
		seeds = append(seeds, sqlstore.Compose(map[string]string{"a": text, `"odd" name`: `1`}, nil))
	}
	return seeds
}

func TestDocumentSeeds(t *testing.T) {
	assert.NotEmpty(t, documentSeeds())
	assert.NotEmpty(t, oddValues)
}

// FuzzShield checks that a value comes back as it was from what is stored of it,
// and that what was not stored by the package is left alone.
func FuzzShield(f *testing.F) {
	for _, seed := range oddValues {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var inner string
		alloctest.Check(t, len(text), func() { inner = sqlstore.Unshield(text) })
		if inner != text {
			require.True(t, json.Valid([]byte(inner)))
		}
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) || strings.TrimSpace(text) != text {
			return // no text of a value
		}
		stored := sqlstore.Shield(text)
		require.True(t, json.Valid([]byte(stored)))
		require.Equal(t, text, sqlstore.Unshield(stored))
	})
}

func FuzzDocument(f *testing.F) {
	for _, seed := range documentSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := sqlstore.Document{"of another row": `1`}
		var err error
		alloctest.Check(t, len(text), func() { err = d.Scan(text) })
		if err != nil {
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.Nil(t, d)
		}
		var want map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &want) != nil || want == nil || !json.Valid([]byte(text)) {
			return
		}
		require.NoError(t, err)
		require.Len(t, d, len(want))
		if !utf8.ValidString(text) || strings.Contains(text, `\u0000`) {
			return // no name or value of a session
		}
		var again sqlstore.Document
		require.NoError(t, again.Scan(sqlstore.Compose(d, nil)))
		require.Equal(t, d, again, "what is read and written is read the same")
	})
}
