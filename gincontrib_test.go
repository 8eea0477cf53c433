package sessionkit_test

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	ginfilesystem "github.com/gin-contrib/sessions/filesystem"
	gingorm "github.com/gin-contrib/sessions/gorm"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	ginpostgres "github.com/gin-contrib/sessions/postgres"
	ginredis "github.com/gin-contrib/sessions/redis"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
	"github.com/libtnb/sqlite"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// tested is a store under test, and what can be done to it from outside.
type tested struct {
	sessions.Store
	fail   func()               // makes it unreachable, really; nil: nothing can
	mend   func()               // ends that
	damage func(garbage string) // puts garbage into every record; nil: it has none
}

// testedStore is a kind of store that the kit's behaviour is tested over.
type testedStore struct {
	name    string // as in docs/stores.md
	new     func(t *testing.T) tested
	failing func(t *testing.T) tested // one that has fail, mend and damage
}

// testedStores are in the order of docs/stores.md. None of them has a goroutine of
// its own or shares a channel with one, so they may be used in a bubble of
// synctest: there the clock stands still while they wait for their server.
var testedStores = []testedStore{
	{"sessionkit", newOwnStore, newFailingOwnStore},
	{"cookie", newCookieStore, newCookieStore},
	{"memstore", newMemoryStore, newMemoryStore},
	{"redis", newRedisStore, newFailingRedisStore},
	{"gorm", newGormStore, newGormStore},
	{"filesystem", newFilesystemStore, newFilesystemStore},
	{"postgres", newPostgresStore, newFailingPostgresStore},
}

func newOwnStore(*testing.T) tested { return tested{Store: memstore.New()} }

func newFailingOwnStore(*testing.T) tested {
	b := newBackend()
	return tested{
		Store: storeOver(b),
		fail: func() {
			b.failing(errors.New("down"), "load", "load fresh", "create", "update", "rotate", "end", "delete", "list")
		},
		mend:   func() { b.failing(nil) },
		damage: func(garbage string) { b.failing(fmt.Errorf("%s: %w", garbage, store.ErrCorrupt), "load") },
	}
}

func newCookieStore(*testing.T) tested { return tested{Store: gincookie.NewStore(testSecret)} }

func newMemoryStore(*testing.T) tested { return tested{Store: ginmemstore.NewStore(testSecret)} }

func newRedisStore(t *testing.T) tested {
	t.Helper()
	return redisStore(t, "unix", testserver.SharedRedis(t))
}

func redisStore(t *testing.T, network, address string) tested {
	t.Helper()
	s, err := ginredis.NewStore(10, network, address, "", "", testSecret)
	require.NoError(t, err)
	inner, err := ginredis.GetRedisStore(s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, inner.Close()) })
	return tested{Store: s, damage: func(garbage string) {
		connection := inner.Pool.Get()
		defer func() { require.NoError(t, connection.Close()) }()
		_, err := connection.Do("EVAL", "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('SET', key, ARGV[1]) end", 0, garbage)
		require.NoError(t, err)
	}}
}

// newFailingRedisStore has a server of its own, which keeps what it was told when
// it is killed. Its socket goes with it, as when a server shuts down.
func newFailingRedisStore(t *testing.T) tested {
	t.Helper()
	socket := filepath.Join(shortDir(t), "redis.sock")
	server := testserver.Redis(t, "--appendonly", "yes", "--appendfsync", "always", "--unixsocket", socket)
	s := redisStore(t, "unix", socket)
	s.fail = func() {
		server.Kill()
		require.NoError(t, os.Remove(socket))
	}
	s.mend = server.Restart
	return s
}

// shortDir returns a directory whose name is short enough for a socket in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kit-") //nolint:usetesting // its names are too long
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func newGormStore(t *testing.T) tested {
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
	return tested{
		Store:  withoutRace(gingorm.NewStore(db, false, testSecret)),
		fail:   func() { exec("ALTER TABLE sessions RENAME TO away") },
		mend:   func() { exec("ALTER TABLE away RENAME TO sessions") },
		damage: func(garbage string) { exec("UPDATE sessions SET data = ?", garbage) },
	}
}

func newFilesystemStore(t *testing.T) tested {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sessions")
	require.NoError(t, os.Mkdir(dir, 0o700))
	return tested{
		Store: ginfilesystem.NewStore(dir, testSecret),
		fail:  func() { require.NoError(t, os.Rename(dir, dir+".away")) },
		mend:  func() { require.NoError(t, os.Rename(dir+".away", dir)) },
		damage: func(garbage string) {
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			require.NoError(t, err)
			for _, file := range files {
				require.NoError(t, os.WriteFile(file, []byte(garbage), 0o600))
			}
		},
	}
}

func newPostgresStore(t *testing.T) tested {
	t.Helper()
	return postgresStore(t, openPostgres(t, "postgres"))
}

func openPostgres(t *testing.T, database string) *sql.DB {
	t.Helper()
	dsn := strings.Replace(testserver.Postgres(t), "dbname=postgres", "dbname="+database, 1)
	db, err := sql.Open("postgres", dsn+" sslmode=disable") // the driver that the store brings
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() }) // the server may have ended its connections
	return db
}

func postgresStore(t *testing.T, db *sql.DB) tested {
	t.Helper()
	s, err := ginpostgres.NewStore(db, testSecret)
	require.NoError(t, err)
	return tested{Store: withoutRace(s)}
}

// newFailingPostgresStore has a database of its own, which the server can refuse.
func newFailingPostgresStore(t *testing.T) tested {
	t.Helper()
	exec := func(db *sql.DB, query string, args ...any) {
		_, err := db.ExecContext(t.Context(), query, args...)
		require.NoError(t, err)
	}
	database := "failing" + strings.ToLower(rand.Text())
	server := openPostgres(t, "postgres")
	exec(server, "CREATE DATABASE "+database)
	db := openPostgres(t, database)
	s := postgresStore(t, db)
	s.fail = func() {
		exec(server, "ALTER DATABASE "+database+" ALLOW_CONNECTIONS false")
		exec(server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database)
	}
	s.mend = func() { exec(server, "ALTER DATABASE "+database+" ALLOW_CONNECTIONS true") }
	s.damage = func(garbage string) { exec(db, "UPDATE http_sessions SET data = $1", garbage) }
	return s
}

// withoutRace keeps the data race of a store itself from the race detector, which
// would end the tests: the stores over gorm and PostgreSQL write their settings at
// each read. TestStoresTable shows it.
func withoutRace(s sessions.Store) sessions.Store {
	if !raceEnabled || os.Getenv(raceTest) != "" {
		return s
	}
	return &oneAtATime{Store: s}
}

type oneAtATime struct {
	sessions.Store
	mu sync.Mutex
}

func (s *oneAtATime) Get(r *http.Request, name string) (*gsessions.Session, error) {
	return gsessions.GetRegistry(r).Get(s, name)
}

func (s *oneAtATime) New(r *http.Request, name string) (*gsessions.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Store.New(r, name)
}

func (s *oneAtATime) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Store.Save(r, w, session)
}

// TestOptionsMaxAge: it is how long the session lives, on the server and in the
// browser, and a browser that was closed finds it again.
func TestOptionsMaxAge(t *testing.T) {
	const day = 24 * time.Hour
	eachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := newSite(s, sessionkit.Config{})
			options := func(seconds int) gin.HandlerFunc {
				return func(c *gin.Context) {
					session := sessions.Default(c)
					session.Options(sessions.Options{MaxAge: seconds, Path: "/"})
					assert.NoError(t, session.Save())
				}
			}
			month, second, none := options(30*86400), options(1), options(0)
			login := signIn("42")
			a.on("/visit/month", increment, month)
			a.on("/visit/second", increment, second)
			a.on("/month", month)
			a.on("/second", second)
			a.on("/none", none)
			a.on("/login", login)
			a.on("/login-then-month", login, month)
			a.on("/month-then-login", month, login)
			a.on("/count", showCount)
			a.on("/", whoami)
			age := func(b *browser, target string) time.Duration {
				w := b.get(target)
				require.Len(t, setCookies(w), 1, target)
				return time.Duration(setCookies(w)[0].MaxAge) * time.Second
			}
			lives := func(b *browser) bool {
				return b.get("/count").Body.String() == `{"n":1,"ok":true}` || b.get("/").Body.String() != ""
			}

			// A visitor's session lives so long after its last use.
			b := newBrowser(t, a)
			assert.Equal(t, 31*day, age(b, "/visit/month"), "its cookie is sent again at most once a day, and lives a day longer")
			assert.Empty(t, b.get("/month").Header()["Set-Cookie"], "nothing has changed")
			for range 3 {
				time.Sleep(29 * day)
				require.True(t, lives(b))
			}
			time.Sleep(31 * day)
			assert.False(t, lives(b))

			// So short a life is no matter of the browser either.
			assert.LessOrEqual(t, age(b, "/visit/second"), 1*day+time.Second)
			time.Sleep(500 * time.Millisecond)
			require.True(t, lives(b))
			time.Sleep(2 * time.Second)
			assert.False(t, lives(b))
			b.get("/visit/month")
			age(b, "/second")
			time.Sleep(2 * time.Second)
			assert.False(t, lives(b), "a session that is there already")

			// A signed-in session lives so long after the sign-in.
			for _, target := range []string{"/login-then-month", "/month-then-login"} {
				b := newBrowser(t, a)
				assert.Equal(t, 30*day, age(b, target), target)
				for range 29 {
					time.Sleep(day)
					require.True(t, lives(b), target)
				}
				time.Sleep(day)
				assert.False(t, lives(b), target)
			}
			b = newBrowser(t, a)
			b.get("/login")
			assert.Equal(t, 30*day, age(b, "/month"))
			assert.Zero(t, age(b, "/none"), "without a MaxAge the cookie ends with the browser")
			time.Sleep(2 * time.Hour)
			assert.False(t, lives(b), "and the Config's deadlines hold")
			b = newBrowser(t, a)
			b.get("/visit/month")
			assert.Zero(t, age(b, "/login"), "a sign-in has the deadlines of a user")
			time.Sleep(2 * time.Hour)
			assert.False(t, lives(b))
		})
	})
}
