package operations_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

func TestMain(m *testing.M) { kittest.Main(m) }

// recipe returns a block of docs/operations.md by the words after its first fence.
func recipe(t *testing.T, words string) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/operations.md")
	require.NoError(t, err)
	match := regexp.MustCompile("(?s)```" + words + "\n(.*?)\n```").FindSubmatch(text)
	require.NotNil(t, match, "docs/operations.md says how to: %s", words)
	return string(match[1])
}

// operated is a store and what an operator has of it.
type operated struct {
	*store.Store
	run func(t *testing.T, what string) string // runs a recipe and returns what it prints
}

func operatedSQL(t *testing.T, name, driver, dsn string) operated {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), "DROP TABLE IF EXISTS sessions")
	require.NoError(t, err)
	s, err := sqlstore.New(db)
	require.NoError(t, err)
	return operated{s, func(t *testing.T, what string) string {
		t.Helper()
		if what == "count" {
			var n string
			require.NoError(t, db.QueryRowContext(t.Context(), recipe(t, "sql count "+name)).Scan(&n))
			return n
		}
		_, err := db.ExecContext(t.Context(), recipe(t, "sql "+what))
		require.NoError(t, err)
		return ""
	}}
}

func operatedRedis(t *testing.T, servers ...*testserver.RedisServer) operated {
	t.Helper()
	var addresses []string
	for _, server := range servers {
		addresses = append(addresses, server.Address)
	}
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: addresses})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return operated{redisstore.New(client), func(t *testing.T, what string) string {
		t.Helper()
		var sum int
		for _, address := range addresses {
			_, port, err := net.SplitHostPort(address)
			require.NoError(t, err)
			command := strings.ReplaceAll(recipe(t, "sh "+what), "redis-cli", "redis-cli -p "+port)
			out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput() // #nosec G204 -- of the document
			require.NoError(t, err, "%s", out)
			switch what {
			case "one":
				return "" // any node will do
			case "count":
				n, err := strconv.Atoi(strings.TrimSpace(string(out)))
				require.NoError(t, err)
				sum += n
			}
		}
		return strconv.Itoa(sum)
	}}
}

// eachOperated runs a test on every store that is operated by hand.
func eachOperated(t *testing.T, test func(t *testing.T, name string, o operated)) {
	t.Helper()
	mysql := testserver.MariaDB(t)
	for name, newStore := range map[string]func(t *testing.T) operated{
		"SQLite": func(t *testing.T) operated {
			t.Helper()
			return operatedSQL(t, "SQLite", "sqlite", filepath.Join(t.TempDir(), "sessions.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
		},
		"PostgreSQL": func(t *testing.T) operated {
			t.Helper()
			return operatedSQL(t, "PostgreSQL", "pgx", testserver.Postgres(t))
		},
		"MariaDB": func(t *testing.T) operated { t.Helper(); return operatedSQL(t, "MariaDB", "mysql", mysql) },
		"Redis":   func(t *testing.T) operated { t.Helper(); return operatedRedis(t, testserver.Redis(t)) },
		"Redis Cluster": func(t *testing.T) operated {
			t.Helper()
			return operatedRedis(t, testserver.RedisCluster(t)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newStore(t)
			t.Cleanup(func() { assert.NoError(t, o.Close()) })
			test(t, name, o)
		})
	}
}

// TestOperations runs the statements and commands of docs/operations.md on live
// stores, the cache of redisstore included.
func TestOperations(t *testing.T) {
	eachOperated(t, func(t *testing.T, name string, o operated) {
		const other = `o'Brien "\ $(x)` + "\nFLUSHALL"
		var secrets map[string]string
		create := func(user string, life time.Duration) (secret string) {
			now := time.Now()
			secret, _, _, err := kittest.Server(o).Create(t.Context(), store.Record{User: user, Created: now, Seen: now, Expires: now.Add(life), Values: map[string]string{"cart": `"tea"`}}, signin.Attempt{Began: time.Now()})
			require.NoError(t, err)
			return secret
		}
		begin := func() {
			secrets = make(map[string]string)
			for _, user := range []string{"42", other, ""} {
				secrets[user] = create(user, time.Hour)
			}
			create("43", -time.Minute) // it has expired, and its record is kept for an hour
		}
		// live is who is left, a moment later.
		live := func(want ...string) {
			t.Helper()
			var got []string
			require.Eventually(t, func() bool {
				got = nil
				for _, user := range []string{"42", other, ""} {
					_, r, found, err := kittest.Server(o).Load(t.Context(), "session", secrets[user], false)
					if assert.NoError(t, err) && found && r.Ended == "" {
						got = append(got, user)
					}
				}
				return fmt.Sprint(got) == fmt.Sprint(want)
			}, 5*time.Second, 5*time.Millisecond, "want %q to be left", want)
		}
		counted := func(want store.Counts) {
			t.Helper()
			counts, err := o.Count(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want, counts)
		}
		begin()
		live("42", other, "")
		assert.Equal(t, "3", o.run(t, "count"))
		counted(store.Counts{Live: 3, SignedIn: 2})
		o.run(t, "one")
		live(other, "")
		counted(store.Counts{Live: 2, SignedIn: 1})
		list, err := o.Sessions(t.Context(), "42")
		require.NoError(t, err)
		assert.Empty(t, list)
		if !strings.HasPrefix(name, "Redis") {
			o.run(t, "everybody")
			live("")
		}
		o.run(t, "empty")
		live()
		assert.Equal(t, "0", o.run(t, "count"))
		counted(store.Counts{})

		begin()
		require.NoError(t, revokeUser(t.Context(), o.Store))
		live(other, "")
	})
}

// TestEmptyBesideMigrate: after the store was emptied by hand, an old cookie opens as little as before.
func TestEmptyBesideMigrate(t *testing.T) {
	eachOperated(t, func(t *testing.T, _ string, o operated) {
		from := gincookie.NewStore(kittest.TestSecret)
		userOf := func(values map[any]any) string { user, _ := values["user"].(string); return user }
		old, after := gin.New(), kittest.NewSite(store.Migrate(from, o.Store, "old", userOf), sessionkit.Config{})
		old.Use(sessions.Sessions("old", from))
		old.GET("/login", func(c *gin.Context) {
			sessions.Default(c).Set("user", "42")
			assert.NoError(t, sessions.Default(c).Save())
		})
		after.On("/", kittest.Whoami)
		after.On("/logout", sessionkit.Logout)
		b := kittest.NewBrowser(t, old)
		b.Get("/login")
		b = b.At(after)
		require.Equal(t, "42", b.Fork().Get("/").Body.String())
		b.Fork().Get("/logout")
		assert.Empty(t, b.Fork().Get("/").Body.String())
		o.run(t, "empty")
		assert.Empty(t, b.Fork().Get("/").Body.String())
	})
}

// revokeUser is the Go of the document.
func revokeUser(ctx context.Context, store *store.Store) error {
	n, err := store.RevokeAll(ctx, "42")
	if err == nil && n != 1 {
		err = fmt.Errorf("ended %d sessions", n)
	}
	return err
}

// shell runs a recipe in a directory, with the tools connected by the environment.
func shell(t *testing.T, dir, words string, edit *strings.Replacer, env ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-c", edit.Replace(recipe(t, words))) // #nosec G204 -- of the document
	command.Dir, command.Env = dir, append(os.Environ(), env...)
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestBackups makes a backup while the store runs, ends the session, and restores
// it: the session is back, which is why the document says to end everybody then.
func TestBackups(t *testing.T) {
	same := strings.NewReplacer()
	over := func(t *testing.T, driver, dsn string) (*store.Store, *sql.DB) {
		t.Helper()
		db, err := sql.Open(driver, dsn)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, db.Close()) })
		s, err := sqlstore.New(db)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, s.Close()) })
		return s, db
	}
	drop := func(t *testing.T, db *sql.DB) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), "DROP TABLE sessions")
		require.NoError(t, err)
	}
	begin := func(t *testing.T, s *store.Store) (secret string) {
		t.Helper()
		now := time.Now()
		secret, _, _, err := kittest.Server(s).Create(t.Context(), store.Record{User: "42", Created: now, Seen: now, Expires: now.Add(time.Hour)}, signin.Attempt{Began: time.Now()})
		require.NoError(t, err)
		return secret
	}
	restored := func(t *testing.T, s *store.Store, secret, file string) {
		t.Helper()
		_, _, found, err := kittest.Server(s).Load(t.Context(), "session", secret, true)
		require.NoError(t, err)
		assert.True(t, found, "what is restored is as it was")
		content, err := os.ReadFile(file) // #nosec G304 -- of this test
		require.NoError(t, err)
		assert.NotContains(t, string(content), secret, "a backup opens no session by itself")
	}
	t.Run("SQLite", func(t *testing.T) {
		const settings = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"
		dir, killed := t.TempDir(), t.TempDir()
		s, db := over(t, "sqlite", filepath.Join(dir, "sessions.db")+settings)
		secret := begin(t, s)
		backup := filepath.Join(killed, "backup.db")
		_, err := db.ExecContext(t.Context(), strings.Replace(recipe(t, "sql backup SQLite"), "backup.db", backup, 1))
		require.NoError(t, err)
		since := begin(t, s)
		for _, file := range []string{"sessions.db", "sessions.db-wal"} { // which a process leaves that is killed now
			content, err := os.ReadFile(filepath.Join(dir, file)) // #nosec G304 -- of this test
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(killed, file), content, 0o600))
		}
		shell(t, killed, "sh restore SQLite", same)
		again, _ := over(t, "sqlite", filepath.Join(killed, "sessions.db")+settings)
		restored(t, again, secret, filepath.Join(killed, "sessions.db"))
		_, _, found, err := kittest.Server(again).Load(t.Context(), "session", since, true)
		require.NoError(t, err)
		assert.False(t, found, "what came later is not restored")
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		dir, dsn := t.TempDir(), testserver.Postgres(t)
		s, db := over(t, "pgx", dsn)
		secret := begin(t, s)
		env := []string{"PGHOST=" + strings.TrimPrefix(strings.Fields(dsn)[0], "host="), "PGUSER=postgres", "PGDATABASE=postgres"}
		shell(t, dir, "sh backup PostgreSQL", same, env...)
		drop(t, db)
		shell(t, dir, "sh restore PostgreSQL", same, env...)
		again, _ := over(t, "pgx", dsn)
		restored(t, again, secret, filepath.Join(dir, "backup.sql"))
	})
	t.Run("MariaDB", func(t *testing.T) {
		dir, dsn := t.TempDir(), testserver.MariaDB(t)
		s, db := over(t, "mysql", dsn)
		secret := begin(t, s)
		_, socket, _ := strings.Cut(dsn, "unix(")
		socket, _, _ = strings.Cut(socket, ")")
		edit := strings.NewReplacer("DATABASE", "--user=root --socket="+socket+" test")
		shell(t, dir, "sh backup MariaDB", edit)
		drop(t, db)
		shell(t, dir, "sh restore MariaDB", edit)
		again, _ := over(t, "mysql", dsn)
		restored(t, again, secret, filepath.Join(dir, "backup.sql"))
	})
	t.Run("Redis", func(t *testing.T) {
		dir, server := t.TempDir(), testserver.Redis(t)
		overRedis := func(address string) *store.Store {
			client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}})
			require.NoError(t, err)
			t.Cleanup(client.Close)
			return redisstore.New(client, redisstore.Config{CacheBytes: -1})
		}
		secret := begin(t, overRedis(server.Address))
		_, port, _ := net.SplitHostPort(server.Address)
		shell(t, dir, "sh backup Redis", strings.NewReplacer("redis-cli", "redis-cli -p "+port))
		second := testserver.Redis(t, append([]string{"--dir", dir}, strings.Fields(recipe(t, "text restore Redis"))...)...)
		restored(t, overRedis(second.Address), secret, filepath.Join(dir, "backup.rdb"))
		_, port, _ = net.SplitHostPort(second.Address)
		shell(t, dir, "sh restore Redis", strings.NewReplacer("redis-cli", "redis-cli -p "+port))
		second.Kill()
		usual := testserver.Redis(t, "--dir", dir, "--appendonly", "yes")
		restored(t, overRedis(usual.Address), secret, filepath.Join(dir, "backup.rdb"))
	})
}
