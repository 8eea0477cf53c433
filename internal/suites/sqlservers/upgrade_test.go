package sqlservers_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// earlierTable makes a table as the version before names and endings did.
var earlierTable = map[sqlstore.Dialect][]string{
	sqlstore.SQLite: {
		`CREATE TABLE "%[1]s" (id TEXT NOT NULL PRIMARY KEY, user_id TEXT, created INTEGER NOT NULL, seen INTEGER NOT NULL, expires INTEGER NOT NULL, data TEXT NOT NULL)`,
		`CREATE INDEX "%[1]s_user_id" ON "%[1]s" (user_id) WHERE user_id IS NOT NULL`,
		`CREATE INDEX "%[1]s_expires" ON "%[1]s" (expires)`,
	},
	sqlstore.PostgreSQL: {
		`CREATE TABLE "%[1]s" (id text COLLATE "C" NOT NULL PRIMARY KEY, user_id text COLLATE "C", created bigint NOT NULL, seen bigint NOT NULL, expires bigint NOT NULL, data jsonb NOT NULL)`,
		`CREATE INDEX "%[1]s_user_id" ON "%[1]s" (user_id) WHERE user_id IS NOT NULL`,
		`CREATE INDEX "%[1]s_expires" ON "%[1]s" (expires)`,
	},
	sqlstore.MySQL: {
		"CREATE TABLE `%[1]s` (id varchar(64) NOT NULL PRIMARY KEY, user_id varchar(512), created bigint NOT NULL, seen bigint NOT NULL, expires bigint NOT NULL, data json NOT NULL, version bigint NOT NULL DEFAULT 0, " +
			"INDEX `%[1]s_user_id` (user_id), INDEX `%[1]s_expires` (expires)) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
	},
}

// TestEarlierTable: the sessions of the version before live on, also if several
// processes of this one start at once, and a process of the earlier one goes on
// writing for a while.
func TestEarlierTable(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			db, table := database.open(t), newTable()
			for _, text := range earlierTable[dialect(t)] {
				_, err := db.ExecContext(t.Context(), fmt.Sprintf(text, table))
				require.NoError(t, err)
			}
			quoted := `"` + table + `"`
			if dialect(t) == sqlstore.MySQL {
				quoted = table
			}
			earlier := func(id string) {
				insert := fmt.Sprintf(`INSERT INTO %s (id, user_id, created, seen, expires, data) VALUES ('%s', 'alice', 1000, 2000, %d, '{"cart":["tea"]}')`,
					quoted, id, time.Now().Add(time.Hour).UnixMilli())
				_, err := db.ExecContext(t.Context(), insert)
				require.NoError(t, err)
			}
			earlier("before")
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					b, err := sqlstore.NewBackend(db, sqlstore.Config{Table: table})
					if assert.NoError(t, err) {
						assert.NoError(t, b.Close())
					}
				})
			}
			all.Wait()
			b, err := sqlstore.NewBackend(db, sqlstore.Config{Table: table})
			require.NoError(t, err)
			defer func() { require.NoError(t, b.Close()) }()
			earlier("meanwhile")
			for _, id := range []string{"before", "meanwhile"} {
				r, found, err := b.Load(t.Context(), id)
				require.NoError(t, err)
				require.True(t, found, id)
				assert.Equal(t, "alice", r.User)
				assert.JSONEq(t, `["tea"]`, r.Values["cart"])
			}
			list, err := b.List(t.Context(), "alice")
			require.NoError(t, err)
			assert.Len(t, list, 2)
			ended, err := b.End(t.Context(), "alice", store.SignedOut, "before")
			require.NoError(t, err)
			assert.Equal(t, []string{"before"}, ended)
			list, err = b.List(t.Context(), "alice")
			require.NoError(t, err)
			assert.Len(t, list, 1)
			assert.Contains(t, list, "meanwhile")
		})
	}
}
