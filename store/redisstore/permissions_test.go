package redisstore_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/storetest"
)

// permit makes a user "app" with the permissions that the package's documentation names.
func permit(t *testing.T, servers ...*testserver.RedisServer) {
	t.Helper()
	source, err := os.ReadFile("redisstore.go")
	require.NoError(t, err)
	text := regexp.MustCompile(`(?s)The user needs the permissions for (.*?)\. A client`).FindSubmatch(source)
	require.NotNil(t, text)
	args := []string{"ACL", "SETUSER", "app", "on", "nopass", "~*", "&*", "-@all"}
	for _, command := range regexp.MustCompile(`[A-Z]{3,}( [A-Z]+)?`).FindAllString(string(text[1]), -1) {
		args = append(args, "+"+strings.ToLower(strings.Replace(command, " ", "|", 1)))
	}
	for _, server := range servers {
		command(t, server, args...)
	}
}

func nothingDenied(t *testing.T, servers ...*testserver.RedisServer) {
	t.Helper()
	for _, server := range servers {
		admin := connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, ForceSingleClient: true})
		denied, err := admin.Do(t.Context(), admin.B().Arbitrary("ACL", "LOG").Build()).ToArray()
		require.NoError(t, err)
		assert.Empty(t, denied)
	}
}

// TestPermissions: a user with the permissions that the package's documentation names can
// do everything.
func TestPermissions(t *testing.T) {
	server := testserver.Redis(t)
	permit(t, server)
	for name, cache := range map[string]int{"cache": 0, "no cache": -1} {
		t.Run(name, func(t *testing.T) {
			client := connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, Username: "app"})
			storetest.Run(t, fresh(client, redisstore.Config{CacheBytes: cache}))
		})
	}
	nothingDenied(t, server)
}

// TestSizeWithoutMemoryUsage: where the server does not tell the memory that a hash takes,
// each change is measured.
func TestSizeWithoutMemoryUsage(t *testing.T) {
	server := testserver.Redis(t)
	permit(t, server)
	command(t, server, "ACL", "SETUSER", "app", "-memory|usage")
	client := connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, Username: "app"})
	b := backend(t, client)
	create(t, b, newID(1), record("", map[string]string{"a": `"123"`}))
	found, err := changed(b.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"b": `"123"`}, MaxBytes: 12}))
	require.NoError(t, err)
	assert.True(t, found)
	_, err = b.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"c": `1`}, MaxBytes: 12})
	require.ErrorIs(t, err, store.ErrTooLarge)
	assert.Equal(t, "1", command(t, server, "ACL", "LOG"), "nothing else is denied")
}

// TestPermissionsInACluster does so with each way in which a client learns of the nodes, and
// with a session in a slot that is being moved.
func TestPermissionsInACluster(t *testing.T) {
	nodes := testserver.RedisCluster(t)
	permit(t, nodes...)
	for name, shards := range map[string]bool{"slots": false, "shards": true} {
		t.Run(name, func(t *testing.T) {
			client := connectWith(t, rueidis.ClientOption{
				InitAddress: addresses(nodes), Username: "app", ClusterOption: rueidis.ClusterOption{PreferClusterShards: shards},
			})
			if !shards {
				storetest.Run(t, fresh(client))
			}
			b := backend(t, client, redisstore.Config{Prefix: name})
			slot := command(t, nodes[0], "CLUSTER", "KEYSLOT", name+"id:"+newID(1))
			n, err := strconv.Atoi(slot)
			require.NoError(t, err)
			i := n * len(nodes) / 16384
			from, to := nodes[i], nodes[(i+1)%len(nodes)]
			command(t, to, "CLUSTER", "SETSLOT", slot, "IMPORTING", command(t, from, "CLUSTER", "MYID"))
			command(t, from, "CLUSTER", "SETSLOT", slot, "MIGRATING", command(t, to, "CLUSTER", "MYID"))
			create(t, b, newID(1), record("", nil))
			found, err := changed(b.Update(t.Context(), newID(1), set("a")))
			require.NoError(t, err)
			assert.True(t, found)
		})
	}
	nothingDenied(t, nodes...)
}
