package expresslive_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store/express"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	testserver.Main(m)
}

var secrets = express.Secrets{[]byte("a new secret of the shop"), []byte("an old secret of the shop")}

// A medium is where both sides keep the sessions.
type medium struct {
	name    string
	table   string // or the prefix of the keys
	environ []string
	store   func(express.Config) *express.Store

	// read, write and left look at a session past both sides: its text, "" if there is
	// none, and how long it stays.
	read  func(t *testing.T, sid string) string
	write func(t *testing.T, sid, text string)
	left  func(t *testing.T, sid string) time.Duration
	count func(t *testing.T) int

	close func() // what the store has
}

var media = []struct {
	name string
	open func(testing.TB) *medium
}{{"redis", newRedis}, {"postgres", newPostgres}}

var tables atomic.Int64

func newRedis(tb testing.TB) *medium {
	tb.Helper()
	socket := testserver.SharedRedis(tb)
	client, err := rueidis.NewClient(rueidis.MustParseURL("unix://" + socket))
	require.NoError(tb, err)
	tb.Cleanup(client.Close)
	m := &medium{name: "redis", table: fmt.Sprintf("sess%d:", tables.Add(1))}
	m.environ = []string{"STORE=redis", "REDIS=" + socket, "TABLE=" + m.table}
	own, err := rueidis.NewClient(rueidis.MustParseURL("unix://" + socket))
	require.NoError(tb, err)
	tb.Cleanup(own.Close)
	m.close = own.Close
	m.store = func(c express.Config) *express.Store {
		c.Prefix = m.table
		return express.Redis(own, c)
	}
	b := client.B
	m.read = func(t *testing.T, sid string) string {
		t.Helper()
		text, err := client.Do(t.Context(), b().Get().Key(m.table+sid).Build()).ToString()
		if rueidis.IsRedisNil(err) {
			return ""
		}
		require.NoError(t, err)
		return text
	}
	m.write = func(t *testing.T, sid, text string) {
		t.Helper()
		require.NoError(t, client.Do(t.Context(), b().Set().Key(m.table+sid).Value(text).ExSeconds(3600).Build()).Error())
	}
	m.left = func(t *testing.T, sid string) time.Duration {
		t.Helper()
		ms, err := client.Do(t.Context(), b().Pttl().Key(m.table+sid).Build()).AsInt64()
		require.NoError(t, err)
		return time.Duration(ms) * time.Millisecond
	}
	m.count = func(t *testing.T) int {
		t.Helper()
		keys, err := client.Do(t.Context(), b().Keys().Pattern(m.table+"*").Build()).AsStrSlice()
		require.NoError(t, err)
		return len(keys)
	}
	return m
}

// newPostgres makes the table as connect-pg-simple documents it. The server's time zone
// is not UTC, as on many machines.
func newPostgres(tb testing.TB) *medium {
	tb.Helper()
	dsn := testserver.Postgres(tb)
	first, err := sql.Open("pgx", dsn)
	require.NoError(tb, err)
	_, err = first.ExecContext(tb.Context(), `ALTER DATABASE postgres SET TimeZone TO 'America/New_York'`)
	require.NoError(tb, err)
	require.NoError(tb, first.Close())
	db, err := sql.Open("pgx", dsn)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = db.Close() })
	m := &medium{name: "postgres", table: fmt.Sprintf("session %d", tables.Add(1))}
	_, err = db.ExecContext(tb.Context(), strings.ReplaceAll(`
		CREATE TABLE "session" ("sid" varchar NOT NULL COLLATE "default", "sess" json NOT NULL, "expire" timestamp(6) NOT NULL);
		ALTER TABLE "session" ADD PRIMARY KEY ("sid") NOT DEFERRABLE INITIALLY IMMEDIATE`, `"session"`, `"`+m.table+`"`))
	require.NoError(tb, err)
	host, _, _ := strings.Cut(strings.TrimPrefix(dsn, "host="), " ")
	m.environ = []string{"STORE=postgres", "PGHOST=" + host, "PGUSER=postgres", "PGDATABASE=postgres", "TABLE=" + m.table}
	own, err := sql.Open("pgx", dsn)
	require.NoError(tb, err)
	own.SetMaxOpenConns(20)
	own.SetMaxIdleConns(20)
	m.close = func() { _ = own.Close() }
	tb.Cleanup(m.close)
	m.store = func(c express.Config) *express.Store {
		c.Table = m.table
		return express.Postgres(own, c)
	}
	m.read = func(t *testing.T, sid string) string {
		t.Helper()
		var text string
		err := db.QueryRowContext(t.Context(), `SELECT sess::text FROM "`+m.table+`" WHERE sid = $1`, sid).Scan(&text)
		if err == sql.ErrNoRows {
			return ""
		}
		require.NoError(t, err)
		return text
	}
	m.write = func(t *testing.T, sid, text string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), `INSERT INTO "`+m.table+`" VALUES ($1, $2::json, localtimestamp + interval '1 hour')
			ON CONFLICT (sid) DO UPDATE SET sess = EXCLUDED.sess, expire = EXCLUDED.expire`, sid, text)
		require.NoError(t, err)
	}
	m.left = func(t *testing.T, sid string) time.Duration {
		t.Helper()
		var seconds float64
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT extract(epoch FROM expire - localtimestamp)::float8 FROM "`+m.table+`" WHERE sid = $1`, sid).Scan(&seconds))
		return time.Duration(seconds * float64(time.Second))
	}
	m.count = func(t *testing.T) int {
		t.Helper()
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM "`+m.table+`"`).Scan(&n))
		return n
	}
	return m
}

// site is one origin, behind which /node is the Express application and all else the
// Gin one.
type site struct {
	*medium

	url string
}

// newSite starts both sides. environ is for Node, and must say what config says.
func newSite(t *testing.T, m *medium, config express.Config, kit sessionkit.Config, environ ...string) *site {
	t.Helper()
	node, err := url.Parse(testserver.Node(t, "testdata", append(environ, m.environ...)...))
	require.NoError(t, err)
	config.Secrets = secrets
	config.User = express.User{Name: "userId"}
	app := newApp(m.store(config), kit)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(node)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
		if proto := r.In.Header.Get("X-Forwarded-Proto"); proto != "" {
			r.Out.Header.Set("X-Forwarded-Proto", proto)
		}
	}}
	mux := http.NewServeMux()
	mux.Handle("/node/", proxy)
	mux.Handle("/", app)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &site{m, server.URL}
}

// browser is one visitor of a site.
type browser struct {
	t    *testing.T
	site *site
	http http.Client
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t: t, site: s, http: http.Client{Jar: jar, Timeout: 20 * time.Second}}
}

// get asks for a page, and returns its JSON as text.
func (b *browser) get(path string, query ...string) string {
	b.t.Helper()
	status, body := b.try(path, query...)
	require.Equal(b.t, http.StatusOK, status, "%s: %s", path, body)
	return body
}

func (b *browser) try(path string, query ...string) (status int, body string) {
	b.t.Helper()
	values := url.Values{}
	for i := 0; i < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.site.url+path+"?"+values.Encode(), nil)
	require.NoError(b.t, err)
	res, err := b.http.Do(r)
	require.NoError(b.t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	return res.StatusCode, strings.TrimSpace(string(text))
}

// cookie returns the value of the session cookie, "" if there is none.
func (b *browser) cookie() string {
	at, err := url.Parse(b.site.url)
	require.NoError(b.t, err)
	for _, c := range b.http.Jar.Cookies(at) {
		if c.Name == "connect.sid" {
			return c.Value
		}
	}
	return ""
}

// put gives the browser a session cookie.
func (b *browser) put(value string) {
	at, err := url.Parse(b.site.url)
	require.NoError(b.t, err)
	b.http.Jar.SetCookies(at, []*http.Cookie{{Name: "connect.sid", Value: value, Path: "/"}})
}

// fork returns a browser with a copy of the cookie.
func (b *browser) fork() *browser {
	other := b.site.browser(b.t)
	other.put(b.cookie())
	return other
}

// sid returns the ID of the browser's session.
func (b *browser) sid() string {
	text, err := url.PathUnescape(b.cookie())
	require.NoError(b.t, err)
	sid, ok := secrets.Unsign(text)
	require.True(b.t, ok)
	return sid
}

// encoded returns v as JSON.
func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

func eachMedium(t *testing.T, test func(t *testing.T, m *medium)) {
	t.Helper()
	for _, m := range media {
		t.Run(m.name, func(t *testing.T) { test(t, m.open(t)) })
	}
}
