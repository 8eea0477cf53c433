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
		denied  [2]bool // at the start, and when the connections were lost
		logged  int
	}{
		"evicts":                 {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"}, [2]bool{}, 1},
		"refuses":                {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "noeviction"}, [2]bool{}, 0},
		"has no limit":           {[]string{"--maxmemory-policy", "allkeys-lru"}, [2]bool{}, 0},
		"does not tell":          {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"}, [2]bool{true, true}, 0},
		"does not tell at first": {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"}, [2]bool{true, false}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			server := testserver.Redis(t, test.options...)
			permit(t, server)
			tells := map[bool]string{false: "+info", true: "-info"}
			command(t, server, "ACL", "SETUSER", "app", tells[test.denied[0]])
			var logged lines
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
			defer slog.SetDefault(before)
			b := backend(t, connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, Username: "app"}))
			create(t, b, newID(1), record("alice", nil))
			waitCached(t, loader(t, b, newID(1)), server)
			for range 2 {
				command(t, server, "ACL", "SETUSER", "app", tells[test.denied[1]])
				command(t, server, "CLIENT", "KILL", "TYPE", "normal")
				waitCached(t, loader(t, b, newID(1)), server)
			}
			assert.Equal(t, test.logged, strings.Count(logged.String(), "maxmemory-policy="), logged.String())
		})
	}
}
