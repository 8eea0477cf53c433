package redisstore_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// TestEvictionIsLogged: a server that drops the index of a user keeps sessions that RevokeAll
// should end.
func TestEvictionIsLogged(t *testing.T) {
	for name, test := range map[string]struct {
		options []string
		denied  bool
		logged  int
	}{
		"evicts":        {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"}, false, 1},
		"refuses":       {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "noeviction"}, false, 0},
		"has no limit":  {[]string{"--maxmemory-policy", "allkeys-lru"}, false, 0},
		"does not tell": {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := testserver.Redis(t, test.options...)
			permit(t, server)
			if test.denied {
				command(t, server, "ACL", "SETUSER", "app", "-info")
			}
			var logged lines
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
			defer slog.SetDefault(before)
			b := backend(t, connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, Username: "app"}))
			create(t, b, newID(1), record("alice", nil))
			waitCached(t, loader(t, b, newID(1)), server)
			command(t, server, "CLIENT", "KILL", "TYPE", "normal")
			waitCached(t, loader(t, b, newID(1)), server)
			assert.Equal(t, test.logged, strings.Count(logged.String(), "maxmemory-policy="), logged.String())
		})
	}
}
