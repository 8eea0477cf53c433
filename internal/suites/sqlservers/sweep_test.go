package sqlservers_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

var ids atomic.Int64

func newID() string {
	id, _ := store.ID(fmt.Sprintf("%043d", ids.Add(1)))
	return id
}

// expired returns a record that ran out so long ago.
func expired(ago time.Duration) store.Record {
	r := record("alice", map[string]string{"a": `1`})
	r.Expires = time.Now().Add(-ago)
	return r
}

func create(t *testing.T, b store.Backend, r store.Record) string {
	t.Helper()
	id := newID()
	created, err := b.Create(t.Context(), id, r)
	require.NoError(t, err)
	require.True(t, created)
	return id
}

func has(t *testing.T, b store.Backend, id string) bool {
	t.Helper()
	_, found, err := b.Load(t.Context(), id)
	require.NoError(t, err)
	return found
}

func TestExpiredRowsLeave(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			b, _ := newBackend(t, database.open(t))
			live, recent := create(t, b, record("alice", nil)), create(t, b, expired(store.Retention-time.Minute))
			var old []string
			for range batch + 50 {
				old = append(old, create(t, b, expired(store.Retention+time.Second)))
			}
			var removed atomic.Int64
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					n, err := removeBatch(t.Context(), b)
					assert.NoError(t, err)
					removed.Add(n)
				})
			}
			all.Wait()
			for range 2 { // MySQL sends away those that come at the same time
				n, err := removeBatch(t.Context(), b)
				require.NoError(t, err)
				assert.LessOrEqual(t, n, int64(batch))
				removed.Add(n)
			}
			assert.Equal(t, int64(len(old)), removed.Load(), "each row is removed once, whoever else removes")
			for _, id := range old {
				assert.False(t, has(t, b, id), "a record leaves store.Retention after it ran out")
			}
			assert.True(t, has(t, b, recent), "an expired record is kept for store.Retention")
			assert.True(t, has(t, b, live))
		})
	}
}

// TestRemovalByAClockAhead: a process whose clock is ahead of the server's removes nothing
// that has not expired by the server's.
func TestRemovalByAClockAhead(t *testing.T) {
	const ahead = 3 * time.Hour
	for _, database := range []database{
		{"PostgreSQL", "pgx", testserver.Postgres, " search_path=behind,pg_catalog"},
		{"MariaDB", "mysql", testserver.MariaDB, fmt.Sprintf("?timestamp=%d", time.Now().Add(-ahead).Unix())},
	} {
		t.Run(database.name, func(t *testing.T) {
			db := database.open(t)
			if dialect(t) == sqlstore.PostgreSQL {
				_, err := db.ExecContext(t.Context(), "CREATE SCHEMA behind; CREATE FUNCTION behind.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS"+
					fmt.Sprintf(" $$ SELECT pg_catalog.clock_timestamp() - interval '%d hours' $$", ahead/time.Hour))
				require.NoError(t, err)
			}
			b, _ := newBackend(t, db)
			live, gone := create(t, b, expired(store.Retention+time.Minute)), create(t, b, expired(store.Retention+ahead+time.Minute))
			n, err := removeBatch(t.Context(), b)
			require.NoError(t, err)
			assert.Equal(t, int64(1), n)
			assert.True(t, has(t, b, live))
			assert.False(t, has(t, b, gone))
		})
	}
}

// TestRowThatIsGivenMoreTimeStays: a boundary that had run out is moved again while the
// removal is about to reach its row.
func TestRowThatIsGivenMoreTimeStays(t *testing.T) {
	db := open(t, "mysql", testserver.MariaDB(t)) // the others find and remove in one statement
	b, table := newBackend(t, db)
	r := expired(store.Retention + time.Second)
	r.Kind, r.User = "boundary", ""
	id, gone := create(t, b, r), create(t, b, expired(store.Retention+time.Second))

	change, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = change.ExecContext(t.Context(), "UPDATE "+table+" SET expires = ? WHERE id = ?", time.Now().Add(time.Hour).UnixMilli(), id)
	require.NoError(t, err)
	var removal sync.WaitGroup
	removal.Go(func() {
		_, err := removeBatch(t.Context(), b)
		assert.NoError(t, err)
	})
	assert.Eventually(t, func() bool {
		var name string
		var waiting int
		err := db.QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'").Scan(&name, &waiting)
		return assert.NoError(t, err) && waiting > 0
	}, 10*time.Second, 10*time.Millisecond, "the removal waits for the row")
	require.NoError(t, change.Commit())
	removal.Wait()

	assert.True(t, has(t, b, id))
	assert.False(t, has(t, b, gone))
}

// withoutLocks connects to a server that refuses locks, as Percona XtraDB Cluster does.
type withoutLocks struct{ driver.Connector }

func (w withoutLocks) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := w.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return connWithoutLocks{conn.(mysqlConn)}, nil
}

// mysqlConn is what a connection of the driver can do.
type mysqlConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.QueryerContext
}

type connWithoutLocks struct{ mysqlConn }

func (c connWithoutLocks) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if strings.Contains(query, "GET_LOCK") {
		return nil, errors.New("Error 1105 (HY000): Percona-XtraDB-Cluster prohibits use of GET_LOCK with pxc_strict_mode = ENFORCING")
	}
	return c.mysqlConn.QueryContext(ctx, query, args)
}

func TestRemovalWithoutLocks(t *testing.T) {
	config, err := mysql.ParseDSN(testserver.MariaDB(t))
	require.NoError(t, err)
	connector, err := mysql.NewConnector(config)
	require.NoError(t, err)
	db := sql.OpenDB(withoutLocks{connector})
	defer func() { assert.NoError(t, db.Close()) }()
	b, _ := newBackend(t, db)
	gone, live := create(t, b, expired(store.Retention+time.Second)), create(t, b, record("alice", nil))
	n, err := removeBatch(t.Context(), b)
	require.NoError(t, err)
	assert.Equal(t, int64(1), n)
	assert.False(t, has(t, b, gone))
	assert.True(t, has(t, b, live))
}

func TestRemovalGoesOnByItself(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessions.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlstore.OpenSQLite(file)
		require.NoError(t, err)
		defer func() { assert.NoError(t, db.Close()) }()
		b, err := sqlstore.NewBackend(db)
		require.NoError(t, err)
		var short []string
		for range 2*batch + 1 {
			short = append(short, create(t, b, record("alice", nil)))
		}
		r := record("alice", nil)
		r.Expires = r.Expires.Add(24 * time.Hour)
		long := create(t, b, r)

		time.Sleep(time.Hour + store.Retention - time.Minute)
		synctest.Wait()
		assert.True(t, has(t, b, short[0]))

		time.Sleep(3 * time.Minute)
		synctest.Wait()
		for _, id := range short {
			assert.False(t, has(t, b, id))
		}
		assert.True(t, has(t, b, long))

		require.NoError(t, b.Close())
		require.NoError(t, b.Close(), "also a second time")
		_, err = b.Delete(t.Context(), long)
		require.ErrorContains(t, err, "sqlstore: deleting a session")
	})
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			db := database.open(t)
			db.SetMaxOpenConns(1)
			b, table := newBackend(t, db)
			create(t, b, record("alice", nil))
			require.NoError(t, b.Close())
			before := runtime.NumGoroutine()
			for range 20 {
				s, err := sqlstore.New(db, sqlstore.Config{Table: table})
				require.NoError(t, err)
				_, _, _, err = kit(s).Create(t.Context(), record("alice", nil), signin.Attempt{Began: time.Now()})
				require.NoError(t, err)
				require.NoError(t, s.Close())
			}
			// Drivers have goroutines of their own that end a moment later.
			assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+5 }, 10*time.Second, 10*time.Millisecond,
				"nothing of the package outlives Close")
			require.NoError(t, db.PingContext(t.Context()), "Close leaves the caller's database open")
		})
	}
}

func TestCloseWhileTheServerHangs(t *testing.T) {
	server := testserver.DurablePostgres(t)
	db := open(t, "pgx", server.DSN)
	s, err := sqlstore.New(db, sqlstore.Config{Store: store.Config{Timeout: 200 * time.Millisecond}})
	require.NoError(t, err)
	server.Pause()
	defer server.Resume() // so that db can be closed
	began := time.Now()
	require.ErrorContains(t, s.Close(), "sqlstore: closing the statements, some of which may still be open: ")
	db.Stats() // waits for who uses the pool
	assert.Less(t, time.Since(began), 3*time.Second)
}

// internals are what a backend does by itself, beside what all backends do.
type internals interface {
	RemoveBatch(ctx context.Context) (int64, error)
	Statements() map[string]string
}

// removeBatch is what the removal of expired rows does once a minute.
func removeBatch(ctx context.Context, b store.Backend) (int64, error) {
	return b.(internals).RemoveBatch(ctx)
}

// statements are the texts that a backend runs, by what they do.
func statements(b store.Backend) map[string]string { return b.(internals).Statements() }

// batch is how many rows it removes: TestExpiredRowsLeave shows that it is no other number.
const batch = 200
