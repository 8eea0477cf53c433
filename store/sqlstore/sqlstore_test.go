package sqlstore_test

import (
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

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

// databases open each kind of database that the package knows.
var databases = []struct {
	name string
	open func(t testing.TB) *sql.DB
}{
	{"SQLite", func(t testing.TB) *sql.DB { return openSQLite(t, filepath.Join(t.TempDir(), "sessions.db")) }},
	{"PostgreSQL", func(t testing.TB) *sql.DB { return open(t, "pgx", testserver.Postgres(t)) }},
	{"PostgreSQL, serializable", func(t testing.TB) *sql.DB {
		return open(t, "pgx", testserver.Postgres(t)+" default_transaction_isolation=serializable")
	}},
	{"MariaDB", func(t testing.TB) *sql.DB { return open(t, "mysql", testserver.MariaDB(t)) }},
	{"MariaDB, rows found", func(t testing.TB) *sql.DB {
		return open(t, "mysql", testserver.MariaDB(t)+"?clientFoundRows=true&interpolateParams=true")
	}},
}

// each runs a test with each kind of database.
func each(t *testing.T, test func(t *testing.T, open func(t testing.TB) *sql.DB)) {
	t.Helper()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) { test(t, database.open) })
	}
}

func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func openSQLite(t testing.TB, file string) *sql.DB {
	t.Helper()
	db, err := sqlstore.OpenSQLite(file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

var tables atomic.Int64

// newTable returns the name of a table that is not there.
func newTable() string { return fmt.Sprintf("Sessions_%d", tables.Add(1)) }

// newBackend returns a backend on a table of its own.
func newBackend(t testing.TB, db *sql.DB) (b store.Backend, table string) {
	t.Helper()
	table = newTable()
	b, err := sqlstore.NewBackend(db, sqlstore.Config{Table: table})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b, table
}

func TestContract(t *testing.T) {
	each(t, func(t *testing.T, open func(t testing.TB) *sql.DB) {
		db := open(t)
		storetest.Run(t, func(t *testing.T) store.Backend {
			b, _ := newBackend(t, db)
			return b
		})
	})
}

func TestGinContrib(t *testing.T) {
	each(t, func(t *testing.T, open func(t testing.TB) *sql.DB) {
		db := open(t)
		storetest.RunGinContrib(t, func(t *testing.T) sessions.Store {
			s, err := sqlstore.New(db, sqlstore.Config{Table: newTable()})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			return s
		})
	})
}
