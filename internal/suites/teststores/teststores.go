package teststores

import (
	"crypto/rand"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gin-contrib/sessions"
	ginfilesystem "github.com/gin-contrib/sessions/filesystem"
	gingorm "github.com/gin-contrib/sessions/gorm"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	ginpostgres "github.com/gin-contrib/sessions/postgres"
	ginredis "github.com/gin-contrib/sessions/redis"
	"github.com/libtnb/sqlite"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// TestedStores are in the order of docs/stores.md. None of them has a goroutine of
// its own or shares a channel with one, so they may be used in a bubble of
// synctest: there the clock stands still while they wait for their server.
var TestedStores = []kittest.TestedStore{
	{Name: "sessionkit", New: kittest.NewOwnStore, Failing: kittest.NewFailingOwnStore},
	{Name: "cookie", New: kittest.NewCookieStore, Failing: kittest.NewCookieStore},
	{Name: "memstore", New: NewMemoryStore, Failing: NewMemoryStore},
	{Name: "redis", New: newRedisStore, Failing: NewFailingRedisStore},
	{Name: "gorm", New: newGormStore, Failing: newGormStore},
	{Name: "filesystem", New: newFilesystemStore, Failing: newFilesystemStore},
	{Name: "postgres", New: NewPostgresStore, Failing: newFailingPostgresStore},
}

func NewMemoryStore(*testing.T) kittest.Tested {
	return kittest.Tested{Store: ginmemstore.NewStore(kittest.TestSecret)}
}

func newRedisStore(t *testing.T) kittest.Tested {
	t.Helper()
	return redisStore(t, "unix", testserver.SharedRedis(t))
}

func redisStore(t *testing.T, network, address string) kittest.Tested {
	t.Helper()
	s, err := ginredis.NewStore(10, network, address, "", "", kittest.TestSecret)
	require.NoError(t, err)
	inner, err := ginredis.GetRedisStore(s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, inner.Close()) })
	return kittest.Tested{Store: s, Damage: func(garbage string) {
		connection := inner.Pool.Get()
		defer func() { require.NoError(t, connection.Close()) }()
		_, err := connection.Do("EVAL", "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('SET', key, ARGV[1]) end", 0, garbage)
		require.NoError(t, err)
	}}
}

// NewFailingRedisStore has a server of its own, which keeps what it was told when
// it is killed. Its socket goes with it, as when a server shuts down.
func NewFailingRedisStore(t *testing.T) kittest.Tested {
	t.Helper()
	socket := filepath.Join(kittest.ShortDir(t), "redis.sock")
	server := testserver.Redis(t, "--appendonly", "yes", "--appendfsync", "always", "--unixsocket", socket)
	s := redisStore(t, "unix", socket)
	s.Fail = func() {
		server.Kill()
		require.NoError(t, os.Remove(socket))
	}
	s.Mend = server.Restart
	return s
}

func newGormStore(t *testing.T) kittest.Tested {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sessions.db")
	db, err := gorm.Open(sqlite.Open(file+"?_pragma=busy_timeout(5000)&_pragma=synchronous(off)"), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	pool, err := db.DB()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	exec := func(query string, args ...any) {
		_, err := pool.ExecContext(t.Context(), query, args...)
		require.NoError(t, err)
	}
	return kittest.Tested{
		Store:  kittest.WithoutRace(gingorm.NewStore(db, false, kittest.TestSecret)),
		Fail:   func() { exec("ALTER TABLE sessions RENAME TO away") },
		Mend:   func() { exec("ALTER TABLE away RENAME TO sessions") },
		Damage: func(garbage string) { exec("UPDATE sessions SET data = ?", garbage) },
	}
}

func newFilesystemStore(t *testing.T) kittest.Tested {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sessions")
	require.NoError(t, os.Mkdir(dir, 0o700))
	return kittest.Tested{
		Store: ginfilesystem.NewStore(dir, kittest.TestSecret),
		Fail:  func() { require.NoError(t, os.Rename(dir, dir+".away")) },
		Mend:  func() { require.NoError(t, os.Rename(dir+".away", dir)) },
		Damage: func(garbage string) {
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			require.NoError(t, err)
			for _, file := range files {
				require.NoError(t, os.WriteFile(file, []byte(garbage), 0o600))
			}
		},
	}
}

func NewPostgresStore(t *testing.T) kittest.Tested {
	t.Helper()
	return postgresStore(t, kittest.OpenPostgres(t, "postgres"))
}

func postgresStore(t *testing.T, db *sql.DB) kittest.Tested {
	t.Helper()
	s, err := ginpostgres.NewStore(db, kittest.TestSecret)
	require.NoError(t, err)
	return kittest.Tested{Store: kittest.WithoutRace(s)}
}

// newFailingPostgresStore has a database of its own, which the server can refuse.
func newFailingPostgresStore(t *testing.T) kittest.Tested {
	t.Helper()
	exec := func(db *sql.DB, query string, args ...any) {
		_, err := db.ExecContext(t.Context(), query, args...)
		require.NoError(t, err)
	}
	database := "failing" + strings.ToLower(rand.Text())
	server := kittest.OpenPostgres(t, "postgres")
	exec(server, "CREATE DATABASE "+database)
	db := kittest.OpenPostgres(t, database)
	s := postgresStore(t, db)
	s.Fail = func() {
		exec(server, "ALTER DATABASE "+database+" ALLOW_CONNECTIONS false")
		exec(server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database)
	}
	s.Mend = func() { exec(server, "ALTER DATABASE "+database+" ALLOW_CONNECTIONS true") }
	s.Damage = func(garbage string) { exec(db, "UPDATE http_sessions SET data = $1", garbage) }
	return s
}

// EachStore runs a behaviour over sessionkit's own store and over those of
// gin-contrib that the rules hold on as well.
func EachStore(t *testing.T, test func(t *testing.T, s sessions.Store)) {
	t.Helper()
	for _, s := range TestedStores {
		t.Run(s.Name, func(t *testing.T) { test(t, s.New(t).Store) })
	}
}
