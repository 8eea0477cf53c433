package main_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/example"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

func TestSessionsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	settings := main.Settings{
		Address: "127.0.0.1:0", Store: "sqlite:" + filepath.Join(dir, "sessions.db"), Secrets: filepath.Join(dir, "key"),
	}
	b := browserOf(t, "", &http.Transport{DisableKeepAlives: true})
	run := func(use func()) {
		ctx, stop := context.WithCancel(t.Context())
		out, in := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := main.Run(ctx, settings, in)
			ended <- errors.Join(err, in.Close())
		}()
		lines := bufio.NewScanner(out)
		b.site = site(t, lines)
		require.True(t, lines.Scan(), "the accounts")
		use()
		stop()
		require.NoError(t, <-ended)
	}
	run(func() {
		b.signIn("alice")
		requireRedirect(t, "/", b.post("/cart", "item", "tea"))
	})
	run(func() {
		account := b.get("/account")
		require.Equal(t, http.StatusOK, account.StatusCode)
		assert.Contains(t, account.body, `<dd id="user">alice</dd>`)
		assert.Contains(t, account.body, "<span>tea</span>")
	})
}

// servers are the stores that several processes can share.
var servers = map[string]func(*testing.T) string{
	"Redis": func(t *testing.T) string {
		t.Helper()
		return "redis://" + testserver.Redis(t).Address
	},
	"PostgreSQL": func(t *testing.T) string {
		t.Helper()
		parameters := url.Values{}
		for field := range strings.FieldsSeq(testserver.Postgres(t)) {
			name, value, _ := strings.Cut(field, "=")
			parameters.Set(name, value)
		}
		return "postgres:///?" + parameters.Encode()
	},
	"MariaDB": func(t *testing.T) string {
		t.Helper()
		socket, _, _ := strings.Cut(strings.TrimPrefix(testserver.MariaDB(t), "root@unix("), ")")
		return "mysql://root@localhost/test?socket=" + url.QueryEscape(socket)
	},
}

func TestProcessesShareSessions(t *testing.T) {
	t.Parallel()
	for name, server := range servers {
		t.Run(name, func(t *testing.T) {
			store := server(t)
			secrets := filepath.Join(t.TempDir(), "key")
			one, two := startProcess(t, store, secrets), startProcess(t, store, secrets)
			transport := &http.Transport{DisableKeepAlives: true}
			b := browserOf(t, one.site, transport)
			b.signIn("alice")
			requireRedirect(t, "/", b.post("/cart", "item", "tea"))
			b.site = two.site
			assert.Contains(t, b.get("/account").body, "<span>tea</span>")
			requireRedirect(t, "/", b.post("/cart", "item", "cake"))
			b.site = one.site
			assert.Eventually(t, func() bool {
				return strings.Contains(b.get("/account").body, "<span>cake</span>")
			}, 5*time.Second, 5*time.Millisecond)

			other := browserOf(t, two.site, transport)
			other.signIn("alice")
			require.Equal(t, http.StatusNoContent, other.post("/api/devices/revoke", "id", b.currentDevice().ID).StatusCode)
			assert.Eventually(t, func() bool {
				return b.get("/api/me").StatusCode == http.StatusUnauthorized
			}, 5*time.Second, 5*time.Millisecond, "the revocation is seen in the other process")
			assert.Len(t, other.devices(), 1)
		})
	}
}

func TestStoresThatCannotBe(t *testing.T) {
	const password = "hunter2"
	for name, in := range map[string]struct{ store, want string }{
		"nothing":               {"", "-store must be memory, sqlite:FILE, redis://"},
		"unknown":               {"disk", "-store must be memory, sqlite:FILE, redis://"},
		"unknown scheme":        {"mongodb://root:hunter2@localhost/", "-store must be memory, sqlite:FILE, redis://"},
		"no file":               {"sqlite:", "-store sqlite:FILE needs the name of a file"},
		"SQLite in memory":      {"sqlite::memory:", "use -store memory"},
		"no folder":             {"sqlite:" + filepath.Join(t.TempDir(), "none", "sessions.db"), "unable to open database file"},
		"no Redis":              {"redis://:hunter2@127.0.0.1:1/0", "-store redis://127.0.0.1:1: redisstore: connecting"},
		"no PostgreSQL":         {"postgres://root:hunter2@127.0.0.1:1/app", "-store postgres://127.0.0.1:1: failed to connect"},
		"no MySQL":              {"mysql://root:hunter2@127.0.0.1:1/app", "-store mysql://127.0.0.1:1: dial tcp 127.0.0.1:1"},
		"no database number":    {"redis://:hunter2@127.0.0.1:1/one", "invalid database number"},
		"wrong parameter":       {"mysql://root:hunter2@127.0.0.1:1/app?parseTime=hunter2-times", "invalid bool value"},
		"password as parameter": {"postgres://127.0.0.1:1/app?password=hunter2&sslmode=hunter2", "-store postgres://127.0.0.1:1: "},
		"hash in password":      {"postgres://root:hunter2#1@127.0.0.1/app", "must be percent-encoded"},
		"slash in password":     {"redis://:1/hunter2@127.0.0.1:6379/0", "must be percent-encoded"},
		"question in password":  {"mysql://root:1?hunter2@127.0.0.1/app", "must be percent-encoded"},
		"percent in password":   {"postgres://root:hunter2%@127.0.0.1/app", "must be percent-encoded"},
		"password for a port":   {"redis://root:hunter2", "must be percent-encoded"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := main.Run(t.Context(), main.Settings{
				Address: "127.0.0.1:0", Store: in.store, Secrets: filepath.Join(t.TempDir(), "key"),
			}, &out)
			require.ErrorContains(t, err, in.want)
			assert.NotContains(t, err.Error(), "\n")
			assert.NotContains(t, err.Error(), password)
			assert.Empty(t, out.String())
		})
	}
}

func TestMySQLAddress(t *testing.T) {
	for address, want := range map[string]string{
		"mysql://root@db.example/app":                                "root@tcp(db.example)/app",
		"mysql://app:p%40ss%2Fword@db.example:3307/app":              "app:p@ss/word@tcp(db.example:3307)/app",
		"mysql://app@[::1]:3307/app?tls=true&interpolateParams=true": "app@tcp([::1]:3307)/app?interpolateParams=true&tls=true",
		"mysql://root@localhost/app?socket=%2Frun%2Fmysqld.sock":     "root@unix(/run/mysqld.sock)/app",
	} {
		u, err := url.Parse(address)
		require.NoError(t, err)
		assert.Equal(t, want, main.MySQLDSN(u), address)
	}
}
