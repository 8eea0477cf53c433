package sqlservers_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// TestAlteredTable: the statements were prepared before the table was altered, by an
// administrator or by a later version of the package, and their connections live on.
func TestAlteredTable(t *testing.T) {
	alterations := map[sqlstore.Dialect][]string{
		sqlstore.SQLite: {`ALTER TABLE "%s" ADD COLUMN extra TEXT`},
		sqlstore.PostgreSQL: {
			`ALTER TABLE "%s" ADD COLUMN extra text`,
			`ALTER TABLE "%s" ALTER COLUMN id TYPE varchar(64) COLLATE "C", ALTER COLUMN next TYPE varchar(64) COLLATE "C"`,
			`ALTER TABLE "%s" ALTER COLUMN user_id TYPE varchar(600)`, // its collation changes too
			`ALTER TABLE "%s" ALTER COLUMN seen TYPE numeric, ALTER COLUMN since TYPE numeric`,
		},
		sqlstore.MySQL: {"ALTER TABLE `%s` ADD COLUMN extra text", "ALTER TABLE `%s` MODIFY user_id varchar(600)"},
	}
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			db := database.open(t)
			b, table := newBackend(t, db)
			id := newID()
			use := func(after string) {
				_, found, err := b.Load(t.Context(), id)
				require.NoError(t, err, after)
				assert.True(t, found, after)
				records, err := b.LoadFresh(t.Context(), id)
				require.NoError(t, err, after)
				assert.Len(t, records, 1, after)
				records, err = b.List(t.Context(), "alice")
				require.NoError(t, err, after)
				assert.Len(t, records, 1, after)
				for records, err := range b.Scan(t.Context()) {
					require.NoError(t, err, after)
					assert.Contains(t, records, id, after)
				}
				outcome, err := b.Update(t.Context(), id, store.Change{Set: map[string]string{"a": `2`}, If: &store.Condition{Name: "a", Text: `3`}})
				require.NoError(t, err, after)
				assert.Equal(t, `1`, outcome.Text, after)
				next := newID()
				found, err = b.Rotate(t.Context(), id, move(next, record("alice", nil), nil))
				require.NoError(t, err, after)
				assert.True(t, found, after)
				id = next
			}
			_, err := b.Create(t.Context(), id, record("alice", map[string]string{"a": `1`}))
			require.NoError(t, err)
			use("nothing")
			for _, alter := range alterations[dialect(t)] {
				_, err := db.ExecContext(t.Context(), fmt.Sprintf(alter, table))
				require.NoError(t, err)
				use(alter)
			}
		})
	}
}
