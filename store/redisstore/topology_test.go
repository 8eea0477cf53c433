package redisstore_test

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

func command(t *testing.T, server *testserver.RedisServer, args ...string) string {
	t.Helper()
	reply, err := server.Command(args...)
	require.NoError(t, err)
	return reply
}

// TestSlotMovesToANewNode moves a session to a node that the client has not heard
// of. The store may answer from memory until it has found out.
func TestSlotMovesToANewNode(t *testing.T) {
	testserver.Slow(t)
	nodes := testserver.RedisCluster(t)
	a := backend(t, connect(t, addresses(nodes)...), redisstore.Config{CacheBytes: -1})
	b := backend(t, connect(t, addresses(nodes)...))
	id := newID(1)
	create(t, a, id, record("alice", map[string]string{"n": `0`}))
	waitCached(t, loader(t, b, id), nodes...)

	slot := command(t, nodes[0], "CLUSTER", "KEYSLOT", "session:id:"+id)
	n, err := strconv.Atoi(slot)
	require.NoError(t, err)
	from := nodes[n*len(nodes)/16384]
	to := testserver.RedisClusterNode(t, nodes)
	fromID, toID := command(t, from, "CLUSTER", "MYID"), command(t, to, "CLUSTER", "MYID")
	command(t, to, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
	command(t, from, "CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
	host, port, err := net.SplitHostPort(to.Address)
	require.NoError(t, err)
	assert.Equal(t, "OK", command(t, from, "MIGRATE", host, port, "session:id:"+id, "0", "1000"))
	for _, node := range append(nodes, to) {
		command(t, node, "CLUSTER", "SETSLOT", slot, "NODE", toID)
	}
	require.NoError(t, loader(t, b, id)(), "the session goes on")

	for n := range 3 { // the first time the store follows the new node not yet
		want := strconv.Itoa(n + 1)
		found, err := changed(a.Update(t.Context(), id, store.Change{Set: map[string]string{"n": want}}))
		require.NoError(t, err)
		require.True(t, found)
		require.Eventually(t, func() bool {
			r, _, err := b.Load(t.Context(), id)
			return err == nil && r.Values["n"] == want
		}, 2*time.Second, time.Millisecond, "a change on the new node must be seen")
		waitCached(t, loader(t, b, id), append(nodes, to)...)
	}
}

// TestRenewWhileANodeOfABoundaryHangs: the boundaries of a user may be on a node that has
// nothing else to do with a session. If that does not answer, the session must not end.
func TestRenewWhileANodeOfABoundaryHangs(t *testing.T) {
	nodes := testserver.RedisCluster(t)
	b := backend(t, connect(t, addresses(nodes)...), redisstore.Config{CacheBytes: -1, Store: store.Config{Timeout: time.Second}})
	nodeOf := func(id string) *testserver.RedisServer {
		slot, err := strconv.Atoi(command(t, nodes[0], "CLUSTER", "KEYSLOT", "session:id:"+id))
		require.NoError(t, err)
		return nodes[slot*len(nodes)/16384]
	}
	idOn := func(first int, hangs bool) string {
		for nodeOf(newID(first)) == nodes[2] != hangs {
			first++
		}
		return newID(first)
	}
	id, next, boundary := idOn(0, false), idOn(1000, false), idOn(2000, true)
	create(t, b, id, record("", nil))
	nodes[2].Pause()
	_, _, err := b.(store.PeekingBackend).RotateAndPeek(t.Context(), id, move(next, record("", nil), nil), store.Peek{Name: "x", IDs: []string{boundary}})
	nodes[2].Resume()
	require.Error(t, err)
	r, found, err := b.Load(t.Context(), id)
	require.NoError(t, err)
	require.True(t, found)
	assert.Empty(t, r.Ended, "the session goes on")
}

// TestSentinelFailover kills the master of two servers that a Sentinel watches.
func TestSentinelFailover(t *testing.T) {
	testserver.Slow(t)
	master := testserver.Redis(t)
	host, port, err := net.SplitHostPort(master.Address)
	require.NoError(t, err)
	replica := testserver.Redis(t, "--replicaof", host, port)
	require.Eventually(t, func() bool {
		return strings.Contains(command(t, replica, "INFO", "replication"), "master_link_status:up")
	}, 10*time.Second, 10*time.Millisecond)
	sentinel := testserver.RedisSentinel(t, "main", master)

	client := connectWith(t, rueidis.ClientOption{
		InitAddress: []string{sentinel.Address},
		Sentinel:    rueidis.SentinelOption{MasterSet: "main"},
	})
	b := backend(t, client)
	create(t, b, newID(1), record("alice", nil))
	create(t, b, newID(2), record("alice", nil))
	waitCached(t, loader(t, b, newID(1)), master)
	require.Eventually(t, func() bool { // the Sentinel has found the replica, and it has the sessions
		return strings.Contains(command(t, sentinel, "INFO", "sentinel"), "slaves=1") &&
			command(t, replica, "EXISTS", "session:id:"+newID(2)) == "1"
	}, 15*time.Second, 50*time.Millisecond)
	master.Kill()
	require.Eventually(t, func() bool {
		found, err := b.Delete(t.Context(), newID(2))
		return err == nil && found
	}, 20*time.Second, 50*time.Millisecond, "the store must go on with the new master")
	waitCached(t, loader(t, b, newID(1)), replica)
	_, found, err := b.Load(t.Context(), newID(2))
	require.NoError(t, err)
	assert.False(t, found)

	other := backend(t, connect(t, replica.Address), redisstore.Config{CacheBytes: -1})
	_, err = other.Delete(t.Context(), newID(1))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return loader(t, b, newID(1))() != nil }, time.Second, time.Millisecond,
		"a change on the new master must be seen")
}

// TestRenewWhereANodeRefusesWrites: the node of the new ID is full, or lacks replicas. A
// renewal that it refuses leaves the session as it was.
func TestRenewWhereANodeRefusesWrites(t *testing.T) {
	nodes := testserver.RedisCluster(t)
	b := backend(t, connect(t, addresses(nodes)...), redisstore.Config{CacheBytes: -1})
	nodeOf := func(key string) *testserver.RedisServer {
		slot, err := strconv.Atoi(command(t, nodes[0], "CLUSTER", "KEYSLOT", key))
		require.NoError(t, err)
		return nodes[slot*len(nodes)/16384]
	}
	refuses := nodes[0]
	if nodeOf("session:user:alice") == refuses { // that of the index is asked first anyway
		refuses = nodes[1]
	}
	next := 0
	idOn := func(refusing bool) string {
		for next++; nodeOf("session:id:"+newID(next)) == refuses != refusing; {
			next++
		}
		return newID(next)
	}
	for _, setting := range []string{"maxmemory", "min-replicas-to-write"} {
		t.Run(setting, func(t *testing.T) {
			id, to := idOn(false), idOn(true)
			create(t, b, id, record("alice", map[string]string{"cart": `"full"`}))
			command(t, refuses, "CONFIG", "SET", setting, "1")
			_, err := b.Rotate(t.Context(), id, move(to, record("alice", nil), nil))
			require.Error(t, err)
			r, _, err := b.Load(t.Context(), id)
			require.NoError(t, err)
			assert.Empty(t, r.Ended, "the session goes on")
			list, err := b.List(t.Context(), "alice")
			require.NoError(t, err)
			assert.Equal(t, []string{id}, slices.Collect(maps.Keys(list)))

			command(t, refuses, "CONFIG", "SET", setting, "0")
			moved, err := b.Rotate(t.Context(), id, move(to, record("alice", nil), nil))
			require.NoError(t, err)
			assert.True(t, moved, "and is renewed once the node takes writes")
			ended, err := b.End(t.Context(), "alice", store.Revoked, to)
			require.NoError(t, err)
			require.Len(t, ended, 1)
		})
	}
}
