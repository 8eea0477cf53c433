package sqlservers_test

import (
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
	"github.com/gin-sessionkit/sessionkit/store/storetest"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(childFile); file != "" {
		child(file)
		return
	}
	gin.SetMode(gin.TestMode)
	gin.DefaultWriter = io.Discard // the requests of gin-contrib's tests
	testserver.Main(m)
}

// databases are those that the package knows.
var databases = []database{
	{name: "SQLite"},
	{"PostgreSQL", "pgx", testserver.Postgres, ""},
	{"PostgreSQL, serializable", "pgx", testserver.Postgres, " default_transaction_isolation=serializable"},
	{"MariaDB", "mysql", testserver.MariaDB, ""},
	{"MariaDB, rows found", "mysql", testserver.MariaDB, "?clientFoundRows=true&interpolateParams=true"},
	{"MariaDB, serializable", "mysql", testserver.MariaDB, "?innodb_snapshot_isolation=1&tx_isolation=%27SERIALIZABLE%27"},
}

type database struct {
	name, driver string
	server       func(testing.TB) string // nil: a file of its own
	settings     string                  // after the server's DSN
}

func (d database) open(tb testing.TB) *sql.DB {
	tb.Helper()
	return d.opener(tb)()
}

// opener returns a function that opens the same database each time.
func (d database) opener(tb testing.TB) func() *sql.DB {
	tb.Helper()
	if d.server == nil {
		file := filepath.Join(tb.TempDir(), "sessions.db")
		return func() *sql.DB { return openSQLite(tb, file) }
	}
	dsn := d.server(tb) + d.settings
	return func() *sql.DB { return open(tb, d.driver, dsn) }
}

func open(tb testing.TB, driver, dsn string) *sql.DB {
	tb.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(tb, err)
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

func openSQLite(tb testing.TB, file string) *sql.DB {
	tb.Helper()
	db, err := sqlstore.OpenSQLite(file)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

var tables atomic.Int64

// newTable returns the name of a table that is not there.
func newTable() string { return fmt.Sprintf("Sessions_%d", tables.Add(1)) }

// newBackend returns a backend on a table of its own.
func newBackend(tb testing.TB, db *sql.DB) (b store.Backend, table string) {
	tb.Helper()
	table = newTable()
	return newBackendOn(tb, db, table), table
}

func newBackendOn(tb testing.TB, db *sql.DB, table string) store.Backend {
	tb.Helper()
	b, err := sqlstore.NewBackend(db, sqlstore.Config{Table: table})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, b.Close()) })
	return b
}

func TestContract(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			open := database.opener(t)
			one := open()
			storetest.Run(t, func(t *testing.T) store.Backend {
				t.Helper()
				b, _ := newBackend(t, one)
				return b
			})
			if database.settings != "" {
				return // the settings make no difference between processes and connections
			}
			other := open()
			storetest.RunShared(t, func(t *testing.T) (store.Backend, store.Backend) {
				t.Helper()
				b, table := newBackend(t, one)
				return b, newBackendOn(t, other, table)
			})
		})
	}
}

// TestContractInAnySQLMode: what is a quote, a backslash, an empty string or the length of a text is
// a setting of MariaDB's connections.
func TestContractInAnySQLMode(t *testing.T) {
	db := open(t, "mysql", testserver.MariaDB(t)+"?sql_mode=%27ORACLE,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,EMPTY_STRING_IS_NULL%27")
	storetest.Run(t, func(t *testing.T) store.Backend {
		t.Helper()
		b, _ := newBackend(t, db)
		return b
	})
}

func TestGinContrib(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			db := database.open(t)
			storetest.RunGinContrib(t, func(t *testing.T) sessions.Store {
				t.Helper()
				s, err := sqlstore.New(db, sqlstore.Config{Table: newTable()})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, s.Close()) })
				return s
			})
		})
	}
}

// TestReadsAreTakenBackToo: with stricter isolation the database takes back reads
// as well as writes, which must not be seen.
func TestReadsAreTakenBackToo(t *testing.T) {
	db := open(t, "pgx", testserver.Postgres(t)+" default_transaction_isolation=serializable")
	b, _ := newBackend(t, db)
	const sessions, workers, turns = 8, 16, 400
	var ids [sessions]string
	for i := range ids {
		ids[i] = newID()
	}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for n := range turns {
				id := ids[(w+n)%sessions]
				var err error
				switch (w * n) % 5 {
				case 0:
					_, err = b.Create(t.Context(), id, record("alice", map[string]string{"a": `1`}))
				case 1:
					_, err = b.Update(t.Context(), id, store.Change{Set: map[string]string{"n": `1`}})
				case 2:
					_, err = b.Delete(t.Context(), id)
				case 3:
					_, _, err = b.Load(t.Context(), id)
				case 4:
					_, err = b.List(t.Context(), "alice")
				}
				assert.NoError(t, err)
			}
		})
	}
	group.Wait()
}

// TestClockWhenSummerTimeEnds: the clock goes on when the server's time zone puts its
// clocks back. With --sysdate-is-now, all of the server's times are those of the
// connection's variable.
func TestClockWhenSummerTimeEnds(t *testing.T) {
	t.Setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
	server := testserver.DurableMariaDB(t, "--sysdate-is-now")
	ends := time.Date(2026, time.October, 25, 1, 0, 0, 0, time.UTC)
	for _, from := range []time.Duration{-2 * time.Hour, -time.Hour, -time.Second, 0, time.Second, time.Hour} {
		want := ends.Add(from)
		b, _ := newBackend(t, open(t, "mysql", fmt.Sprintf("%s?timestamp=%d", server.DSN, want.Unix())))
		now, err := b.Now(t.Context(), "")
		require.NoError(t, err)
		assert.Equal(t, want, now.UTC(), "%v after the end of summer time", from)
	}
}

// changed reports whether a change was made.
func changed(o store.Outcome, err error) (bool, error) { return o.Changed(), err }

// move returns a move to a new ID.
func move(newID string, r store.Record, drop []string) store.Move {
	trace := record(r.User, nil)
	trace.Expires, trace.Ended = time.Now(), store.Renewed
	return store.Move{ID: newID, Record: r, Drop: drop, Trace: trace}
}

// kit returns what package sessionkit does with a store.
func kit(s *store.Store) kitstore.Server {
	server, _ := kitstore.Of(s)
	return server
}
