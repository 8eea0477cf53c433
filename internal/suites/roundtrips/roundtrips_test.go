package roundtrips_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	testserver.Main(m)
}

// metered returns stores behind a meter. "from memory" says that a read of a
// session in use asks nobody.
func metered(t *testing.T) map[string]func(t *testing.T) (*store.Store, *testserver.Meter) {
	t.Helper()
	overRedis := func(configs ...redisstore.Config) func(t *testing.T) (*store.Store, *testserver.Meter) {
		return func(t *testing.T) (*store.Store, *testserver.Meter) {
			t.Helper()
			heartbeat, census := []byte("session:cache:"), []byte("session:live:") // no request waits for them
			meter := testserver.NewMeter(t, "tcp", testserver.Redis(t).Address, func(piece []byte) bool {
				return bytes.Contains(piece, heartbeat) || bytes.Contains(piece, census)
			})
			client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{meter.Address}, ForceSingleClient: true})
			require.NoError(t, err)
			t.Cleanup(client.Close)
			return redisstore.New(client, configs...), meter
		}
	}
	overSQL := func(driver, dsn, socket string) func(t *testing.T) (*store.Store, *testserver.Meter) {
		return func(t *testing.T) (*store.Store, *testserver.Meter) {
			t.Helper()
			meter := testserver.NewMeter(t, "unix", socket, func([]byte) bool { return false })
			host, port, _ := strings.Cut(meter.Address, ":")
			db, err := sql.Open(driver, strings.NewReplacer("HOST", host, "PORT", port).Replace(dsn))
			require.NoError(t, err)
			db.SetMaxOpenConns(1) // a statement is prepared on each connection
			t.Cleanup(func() { assert.NoError(t, db.Close()) })
			s, err := sqlstore.New(db, sqlstore.Config{Table: fmt.Sprint("trips_", time.Now().UnixNano())})
			require.NoError(t, err)
			return s, meter
		}
	}
	postgres := strings.TrimPrefix(strings.Fields(testserver.Postgres(t))[0], "host=")
	mariadb := testserver.MariaDB(t)
	_, mariadb, _ = strings.Cut(mariadb, "unix(")
	mariadb, _, _ = strings.Cut(mariadb, ")")
	return map[string]func(t *testing.T) (*store.Store, *testserver.Meter){
		"Redis without cache": overRedis(redisstore.Config{CacheBytes: -1}),
		"Redis from memory":   overRedis(),
		"PostgreSQL":          overSQL("pgx", "host=HOST port=PORT user=postgres dbname=postgres sslmode=disable", filepath.Join(postgres, ".s.PGSQL.5432")),
		"MariaDB":             overSQL("mysql", "root@tcp(HOST:PORT)/test", mariadb),
	}
}

// TestRoundTrips counts what a request costs in round trips to the server.
func TestRoundTrips(t *testing.T) {
	count := sessionkit.NewKey[int]("count")
	name := sessionkit.NewKey[string]("name")
	for label, newStore := range metered(t) {
		t.Run(label, func(t *testing.T) {
			s, meter := newStore(t)
			t.Cleanup(func() { assert.NoError(t, s.Close()) })
			const idle = 2 * time.Second
			r := gin.New()
			r.Use(sessionkit.Sessions(s, sessionkit.Config{IdleTimeout: idle})) // seen is recorded every tenth of it
			for path, handler := range map[string]gin.HandlerFunc{
				"anonymous": func(*gin.Context) {},
				"sign in":   func(c *gin.Context) { sessionkit.Login(c, "42"); name.Set(c, "tea") },
				"sign out":  func(c *gin.Context) { sessionkit.Logout(c) },
				"read": func(c *gin.Context) {
					v, ok := name.Get(c)
					_, _ = count.Get(c)
					assert.True(t, ok && v == "tea")
				},
				"update": func(c *gin.Context) {
					_, err := count.Update(c, func(n int) int { return n + 1 })
					assert.NoError(t, err)
				},
				"take": func(c *gin.Context) {
					_, ok := name.Take(c)
					assert.True(t, ok)
				},
				"write": func(c *gin.Context) {
					n, _ := count.Get(c)
					count.Set(c, n+1)
					name.Set(c, "tea")
				},
			} {
				r.GET("/"+strings.ReplaceAll(path, " ", "-"), handler)
			}
			var cookie *http.Cookie
			// trips returns what one request costs.
			trips := func(path string) int {
				req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/"+strings.ReplaceAll(path, " ", "-"), nil)
				if cookie != nil {
					req.AddCookie(cookie)
				}
				meter.Trips()
				w := httptest.NewRecorder()
				r.ServeHTTP(w, req)
				n := meter.Trips()
				require.Equal(t, http.StatusOK, w.Code)
				for _, c := range w.Result().Cookies() {
					cookie = c
				}
				return n
			}
			// least is what it costs when nothing else happens, such as the first use of a
			// statement.
			least := func(prepare func(), path string) int {
				n := 1000
				for range 5 {
					prepare()
					n = min(n, trips(path))
				}
				return n
			}
			forget := func() { cookie = nil }
			nothing := func() {}
			visitor := func() { forget(); trips("write") }

			read := 1
			if strings.Contains(label, "memory") {
				trips("sign in")
				require.Eventually(t, func() bool { return trips("read") == 0 }, 10*time.Second, time.Millisecond, "a session in use costs no round trip")
				read = 0
			}
			assert.Equal(t, 0, least(forget, "anonymous"))
			assert.Equal(t, 1, least(forget, "write"), "a new session")
			// A sign-in also reads whether the user's sessions were ended meanwhile. A script
			// of Redis does so in the same step. In SQL that must be a statement of its own:
			// one that sees what was committed after the session was stored.
			signIn, renewal := 1, 1
			switch label {
			case "PostgreSQL":
				signIn, renewal = 2, 2
			case "MariaDB":
				signIn, renewal = 2, 5 // it moves the row and leaves the trace of the old ID in a transaction
			}
			assert.Equal(t, signIn, least(forget, "sign in"))
			assert.Equal(t, read+renewal, least(visitor, "sign in"), "a read first, unless this store has made the session")
			assert.LessOrEqual(t, least(func() { forget(); trips("sign in") }, "sign out"), 1+read)

			forget()
			trips("sign in")
			assert.Equal(t, read, least(nothing, "read"))
			assert.Equal(t, read+1, least(func() { trips("read") }, "write"))
			assert.Equal(t, read+1, least(func() { trips("read") }, "update"))
			assert.Equal(t, read+1, least(func() { trips("write"); trips("read") }, "take"))
			trips("write")
			assert.Equal(t, 0, least(nothing, "anonymous"), "also with the cookie")

			most := 1000
			for range 3 {
				inAWhile := read
				for began := time.Now(); time.Since(began) < idle/5; {
					inAWhile = max(inAWhile, trips("read"))
				}
				most = min(most, inAWhile)
			}
			assert.Equal(t, read+1, most, "that a session is used is recorded now and then, by one round trip more")
		})
	}
}

// TestEndingReadsNoValues: who lists or ends a user's sessions needs to know who and
// when, and not what is in them: they may be large, and many.
func TestEndingReadsNoValues(t *testing.T) {
	const sessions, size = 40, 500 << 10
	for label, newStore := range metered(t) {
		t.Run(label, func(t *testing.T) {
			s, meter := newStore(t)
			t.Cleanup(func() { assert.NoError(t, s.Close()) })
			r := gin.New()
			r.Use(sessionkit.Sessions(s))
			r.GET("/", func(c *gin.Context) {
				sessionkit.Login(c, "42")
				sessionkit.NewKey[string]("large").Set(c, strings.Repeat("x", size))
			})
			for range sessions {
				w := httptest.NewRecorder()
				r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil))
				require.Equal(t, http.StatusOK, w.Code)
			}
			meter.Received()
			list, err := s.Sessions(t.Context(), "42")
			require.NoError(t, err)
			require.Len(t, list, sessions)
			n, err := s.RevokeAll(t.Context(), "42")
			require.NoError(t, err)
			assert.Equal(t, sessions, n)
			assert.Less(t, meter.Received(), sessions*2<<10, "of %d bytes of values", sessions*size)
		})
	}
}
