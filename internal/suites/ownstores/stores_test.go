package ownstores_test

import (
	"database/sql"
	"fmt"
	"io"
	"log"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-sql-driver/mysql"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	gin.DefaultWriter = io.Discard
	slog.SetDefault(slog.New(slog.DiscardHandler))
	_ = mysql.SetLogger(log.New(io.Discard, "", 0))
	testserver.Main(m)
}

// The stores.
const (
	memory      = "memory"
	sqlite      = "SQLite"
	postgres    = "PostgreSQL"
	mariadb     = "MariaDB"
	redisCached = "Redis"
	redisDirect = "Redis without cache"
	redisMany   = "Redis Cluster"
)

var allStores = []string{memory, sqlite, postgres, mariadb, redisCached, redisDirect, redisMany}

// pair is the stores of two processes on one medium.
type pair [2]*store.Store

// each runs a test on every store.
func each(t *testing.T, test func(t *testing.T, p pair)) {
	t.Helper()
	if testserver.Long() {
		on(t, allStores, test)
	} else {
		on(t, []string{memory, sqlite, redisCached}, test)
	}
}

// on runs a test on some stores.
func on(t *testing.T, names []string, test func(t *testing.T, p pair)) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) { test(t, open(t, name, asItIs)) })
	}
}

// A wrapper is put between a store and its backend.
type wrapper func(store.Backend) store.Backend

func asItIs(b store.Backend) store.Backend { return b }

// open opens the stores of two processes on a medium of their own.
func open(t *testing.T, name string, wrap wrapper) (p pair) {
	t.Helper()
	var backend func() store.Backend
	var redis *testserver.RedisServer
	switch name {
	case memory:
		b := memstore.NewBackend() // which one process has
		backend = func() store.Backend { return b }
	case sqlite:
		file := filepath.Join(t.TempDir(), "sessions.db")
		backend = func() store.Backend {
			db, err := sqlstore.OpenSQLite(file)
			require.NoError(t, err)
			return overSQL(t, db, "sessions")
		}
	case postgres:
		dsn, table := testserver.Postgres(t), newTable()
		backend = func() store.Backend { return overSQL(t, openSQL(t, "pgx", dsn), table) }
	case mariadb:
		dsn, table := testserver.MariaDB(t), newTable()
		backend = func() store.Backend { return overSQL(t, openSQL(t, "mysql", dsn), table) }
	case redisCached:
		redis = testserver.Redis(t)
		backend = func() store.Backend { return overRedis(t, []string{redis.Address}) }
	case redisDirect:
		redis = testserver.Redis(t)
		backend = func() store.Backend { return overRedis(t, []string{redis.Address}, redisstore.Config{CacheBytes: -1}) }
	case redisMany:
		var addresses []string
		for _, node := range testserver.RedisCluster(t) {
			addresses = append(addresses, node.Address)
		}
		backend = func() store.Backend { return overRedis(t, addresses) }
	}
	for i := range p {
		p[i] = store.New(wrap(backend()))
		t.Cleanup(func() { assert.NoError(t, p[i].Close()) })
		if name == redisCached || name == redisMany {
			caching.Store(p[i], true)
		}
		if redis != nil {
			redisServers.Store(p[i], redis)
		}
	}
	return p
}

// caching are the stores that hear a moment later what another process has changed,
// and redisServers is where those over one server of Redis have their records.
var caching, redisServers sync.Map

var tables atomic.Int64

func newTable() string { return fmt.Sprintf("own_%d", tables.Add(1)) }

func openSQL(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	return db
}

func overSQL(t *testing.T, db *sql.DB, table string) store.Backend {
	t.Helper()
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	b, err := sqlstore.NewBackend(db, sqlstore.Config{Table: table})
	require.NoError(t, err)
	return b
}

func overRedis(t *testing.T, addresses []string, configs ...redisstore.Config) store.Backend {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: addresses})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return redisstore.NewBackend(client, configs...)
}

// rounds is how often a race is run.
func rounds(short, long int) int {
	if testserver.Longest() {
		return long
	}
	return short
}

// stored puts a record into a store as it is, and returns the token that opens it and
// its ID.
func stored(t *testing.T, s *store.Store, r store.Record) (token, id string) {
	t.Helper()
	server, ok := kitstore.Of(s)
	require.True(t, ok)
	in := signin.Of(r.Values)
	token, id, _, err := server.Create(t.Context(), r, signin.Attempt{Noted: true, Epoch: in.Epoch})
	require.NoError(t, err)
	return token, id
}
