package sqlservers_test

import (
	"strings"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// TestPoolerThatLosesStatements: with lib/pq, whose names of statements are the same on all
// connections, another's could run instead.
func TestPoolerThatLosesStatements(t *testing.T) {
	for _, driver := range []string{"pgx", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			db := open(t, driver, testserver.PgBouncer(t))
			for range 3 { // what is left of the first try makes no difference
				_, err := sqlstore.New(db, sqlstore.Config{Table: newTable()})
				require.ErrorContains(t, err, "sqlstore: a pooler in front of PostgreSQL loses prepared statements")
			}
		})
	}
}

// TestPoolerThatKeepsStatements: nothing is wrong with these, however few connections there are.
func TestPoolerThatKeepsStatements(t *testing.T) {
	for _, driver := range []string{"pgx", "postgres"} {
		for name, test := range map[string]struct {
			settings    string
			connections int
		}{
			"pools sessions":    {"pool_mode = session", 20},
			"of one connection": {"default_pool_size = 1", 20},
			"one to it":         {"", 1},
		} {
			t.Run(driver+", "+name, func(t *testing.T) {
				t.Parallel()
				db := open(t, driver, testserver.PgBouncer(t, test.settings))
				db.SetMaxOpenConns(test.connections)
				began := time.Now()
				s, err := sqlstore.New(db, sqlstore.Config{Table: newTable()})
				require.NoError(t, err)
				assert.Less(t, time.Since(began), 5*time.Second)
				assert.NoError(t, s.Close())
			})
		}
	}
}

// TestNewWhileConnectionsAreInUse: the search for a pooler does not wait for one that the application has.
func TestNewWhileConnectionsAreInUse(t *testing.T) {
	db := open(t, "pgx", testserver.Postgres(t))
	db.SetMaxOpenConns(2)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	s, err := sqlstore.New(db, sqlstore.Config{Table: newTable()})
	require.NoError(t, err)
	assert.Zero(t, db.Stats().WaitCount)
	assert.NoError(t, s.Close())
}

// TestDeletesHaveParametersOfTheirOwn: a statement that is run in the place of one that
// deletes is refused.
func TestDeletesHaveParametersOfTheirOwn(t *testing.T) {
	b, _ := newBackend(t, open(t, "pgx", testserver.Postgres(t)))
	conn, err := open(t, "pgx", testserver.Postgres(t)).Conn(t.Context())
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	parameters := make(map[string]string)
	for name, text := range statements(b) {
		_, err := conn.ExecContext(t.Context(), `PREPARE "`+name+`" AS `+text)
		require.NoError(t, err)
		var types string
		require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT parameter_types::text FROM pg_prepared_statements WHERE name = $1", name).Scan(&types))
		parameters[name] = types
	}
	for name, text := range statements(b) {
		for other, types := range parameters {
			if strings.HasPrefix(text, "DELETE") && other != name {
				assert.NotEqual(t, parameters[name], types, "%s and %s", name, other)
			}
		}
	}
}
