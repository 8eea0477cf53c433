package reliability_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// A machine is what can be done to a server.
type machine interface {
	Kill()
	Restart()
}

// A medium is what a store keeps its sessions on. Those of newMedium keep what was
// acknowledged when they are killed.
type medium struct {
	name            string
	dsn             string
	network, socket string // where the server listens
	machine         machine
	admin           *sql.DB // of an administrator
}

// newMedium starts a server for a store that is to be done harm.
func newMedium(t *testing.T, name string) medium {
	t.Helper()
	m := medium{name: name}
	switch name {
	case redisCache:
		s := testserver.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
		m.dsn, m.machine, m.network, m.socket = s.Address, s, "tcp", s.Address
	case postgres:
		s := testserver.DurablePostgres(t)
		directory := strings.TrimPrefix(strings.Fields(s.DSN)[0], "host=")
		m.dsn, m.machine, m.network, m.socket = s.DSN, s, "unix", filepath.Join(directory, ".s.PGSQL.5432")
		m.admin = newAdmin(t, "pgx", s.DSN)
	case mariadb:
		s := testserver.DurableMariaDB(t)
		m.machine, m.network, m.socket = s, "unix", strings.TrimSuffix(strings.TrimPrefix(s.DSN, "root@unix("), ")/test")
		m.dsn = strings.Replace(s.DSN, "root@", "app@", 1) // root may write to a server that is read-only
		m.admin = newAdmin(t, "mysql", s.DSN)
		m.execute(t, "CREATE USER app@localhost", "GRANT ALL ON test.* TO app@localhost")
	case sqlite:
		m.dsn = sqliteFile(t.TempDir())
	}
	return m
}

// quick returns a medium on a server that need not survive anything.
func quick(t *testing.T, name string) medium {
	t.Helper()
	m := medium{name: name}
	switch name {
	case redisCache:
		m.dsn = testserver.Redis(t).Address
	case postgres:
		m.dsn = testserver.Postgres(t)
	case mariadb:
		m.dsn = testserver.MariaDB(t)
	case sqlite:
		m.dsn = filepath.Join(t.TempDir(), "sessions.db")
	}
	return m
}

// busyTimeout is how long a write to SQLite waits for those of another process.
var busyTimeout = either(500*time.Millisecond, 5*time.Second)

func sqliteFile(directory string) string {
	return fmt.Sprintf("%s?_pragma=busy_timeout(%d)", filepath.Join(directory, "sessions.db"), busyTimeout.Milliseconds())
}

func newAdmin(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	db.SetMaxIdleConns(0) // each use has a connection of its own, which a killed server has not ended
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// through is the DSN for a way to the server that leads over another address.
func (m medium) through(address string) string {
	host, port, _ := net.SplitHostPort(address)
	switch m.name {
	case postgres:
		return fmt.Sprintf("host=%s port=%s user=postgres dbname=postgres sslmode=disable", host, port)
	case mariadb:
		return fmt.Sprintf("app@tcp(%s)/test", address)
	}
	return address
}

// connections returns how many connections the server has besides this one.
func (m medium) connections(t *testing.T) (n int) {
	t.Helper()
	query := map[string]string{
		postgres: "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'",
		mariadb:  "SELECT count(*) - 1 FROM information_schema.processlist WHERE user IN ('app', 'root')",
	}[m.name]
	switch {
	case query != "":
		require.NoError(t, m.admin.QueryRowContext(context.Background(), query).Scan(&n))
	case m.name == redisCache:
		n = strings.Count(m.command(t, "CLIENT", "LIST"), "\n") - 1
	}
	return n
}

// pool is how many connections an application may have.
func (m medium) pool() int {
	if m.admin != nil {
		return poolSize
	}
	return 0 // a client of Redis opens what it needs at the start
}

func (m medium) execute(t *testing.T, statements ...string) {
	t.Helper()
	for _, text := range statements {
		_, err := m.admin.ExecContext(context.Background(), text)
		require.NoError(t, err, text)
	}
}

func (m medium) command(t *testing.T, args ...string) string {
	t.Helper()
	text, err := m.machine.(*testserver.RedisServer).Command(args...)
	require.NoError(t, err)
	return text
}

// readOnly returns what makes the server one that takes no writes, and what ends
// it.
func (m medium) readOnly(t *testing.T) (begin, end func()) {
	t.Helper()
	switch m.name {
	case redisCache: // the replica of a server that is not there keeps what it has
		return func() { m.command(t, "REPLICAOF", "127.0.0.1", "1") }, func() { m.command(t, "REPLICAOF", "NO", "ONE") }
	case postgres:
		const set, reload = "ALTER SYSTEM SET default_transaction_read_only = ", "SELECT pg_reload_conf()"
		return func() { m.execute(t, set+"on", reload) }, func() { m.execute(t, set+"off", reload) }
	}
	const set = "SET GLOBAL read_only = "
	return func() { m.execute(t, set+"1") }, func() { m.execute(t, set+"0") }
}

// smallDisk returns a file of sessions on a disk of its own.
func smallDisk(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	mountSmallDisk(t, directory)
	return sqliteFile(directory)
}
