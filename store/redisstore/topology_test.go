package redisstore_test

import (
	"maps"
	"net"
	"slices"
	"strconv"
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

// keyOf returns the key of a session.
func keyOf(id string) string { return "session:id:" + id }

func slotOf(t *testing.T, node *testserver.RedisServer, key string) string {
	t.Helper()
	return command(t, node, "CLUSTER", "KEYSLOT", key)
}

// nodeOf returns the node of a new Cluster that has a key.
func nodeOf(t *testing.T, nodes []*testserver.RedisServer, key string) *testserver.RedisServer {
	t.Helper()
	slot, err := strconv.Atoi(slotOf(t, nodes[0], key))
	require.NoError(t, err)
	return nodes[slot*len(nodes)/16384]
}

// moveKey begins to move a slot to another node: a key of it is there already.
func moveKey(t *testing.T, from, to *testserver.RedisServer, key string) {
	t.Helper()
	slot := slotOf(t, from, key)
	command(t, to, "CLUSTER", "SETSLOT", slot, "IMPORTING", command(t, from, "CLUSTER", "MYID"))
	command(t, from, "CLUSTER", "SETSLOT", slot, "MIGRATING", command(t, to, "CLUSTER", "MYID"))
	host, port, err := net.SplitHostPort(to.Address)
	require.NoError(t, err)
	require.Equal(t, "OK", command(t, from, "MIGRATE", host, port, key, "0", "1000"))
}

// endMove tells all nodes where the slot is now.
func endMove(t *testing.T, nodes []*testserver.RedisServer, to *testserver.RedisServer, key string) {
	t.Helper()
	slot, toID := slotOf(t, to, key), command(t, to, "CLUSTER", "MYID")
	for _, node := range append([]*testserver.RedisServer{to}, nodes...) { // the new one first
		command(t, node, "CLUSTER", "SETSLOT", slot, "NODE", toID)
	}
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

	to := testserver.RedisClusterNode(t, nodes)
	moveKey(t, nodeOf(t, nodes, keyOf(id)), to, keyOf(id))
	endMove(t, nodes, to, keyOf(id))
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

// TestRevokeEveryoneOnANewNode: a slot has moved, or is being moved, to a node to which the
// client was not redirected yet. One that has no key of the store does not matter.
func TestRevokeEveryoneOnANewNode(t *testing.T) {
	nodes := testserver.RedisCluster(t)
	backends := make(map[string]store.Backend)
	for _, prefix := range []string{"moving:", "moved:", "{elsewhere}:"} {
		backends[prefix] = backend(t, connect(t, addresses(nodes)...), redisstore.Config{CacheBytes: -1, Prefix: prefix})
		create(t, backends[prefix], newID(1), record("alice", nil))
	}
	to := testserver.RedisClusterNode(t, nodes)
	for _, prefix := range []string{"moving:", "moved:", "{elsewhere}:"} {
		key := prefix + "id:" + newID(1)
		switch prefix {
		case "moving:":
			moveKey(t, nodeOf(t, nodes, key), to, key)
		case "moved:":
			moveKey(t, nodeOf(t, nodes, key), to, key)
			endMove(t, nodes, to, key)
		}
		n, err := store.New(backends[prefix]).RevokeEveryone(t.Context())
		require.NoError(t, err, prefix)
		assert.Equal(t, 1, n, prefix)
	}
}

// TestScanWhileASlotMoves: a slot moves, or begins to move, from a node that Scan has yet to
// look at to one that it has looked at.
func TestScanWhileASlotMoves(t *testing.T) {
	for name, ended := range map[string]bool{"moved": true, "moving": false} {
		t.Run(name, func(t *testing.T) {
			nodes := testserver.RedisCluster(t)
			b := backend(t, connect(t, addresses(nodes)...), redisstore.Config{CacheBytes: -1})
			ids := idsOn(t, nodes)
			for _, id := range ids {
				create(t, b, id, record("", nil))
			}
			found, moves := make(map[string]int), true
			for records, err := range b.Scan(t.Context()) {
				require.NoError(t, err)
				for id := range records {
					found[id]++
				}
				if !moves {
					continue
				}
				moves = false
				done := slices.IndexFunc(nodes, func(node *testserver.RedisServer) bool { return calls(t, node, "scan") > 0 })
				from, to := nodes[(done+1)%len(nodes)], nodes[done]
				require.Zero(t, calls(t, from, "scan"))
				moveKey(t, from, to, keyOf(ids[from]))
				if ended {
					endMove(t, nodes, to, keyOf(ids[from]))
				}
			}
			assert.Equal(t, map[string]int{ids[nodes[0]]: 1, ids[nodes[1]]: 1, ids[nodes[2]]: 1}, found)
		})
	}
}

// TestScanWhileSlotsMoveAllTheTime: if Scan cannot say that it has found all, it does not.
func TestScanWhileSlotsMoveAllTheTime(t *testing.T) {
	nodes := testserver.RedisCluster(t)
	b := backend(t, connect(t, addresses(nodes)...), redisstore.Config{CacheBytes: -1})
	key, began := keyOf(newID(1)), false
	from := nodeOf(t, nodes, key)
	to := nodes[(slices.Index(nodes, from)+1)%len(nodes)]
	var last error
	for _, err := range b.Scan(t.Context()) {
		last = err
		switch {
		case calls(t, from, "scan")%2 == 1 == began: // once in each walk
		case began:
			command(t, to, "CLUSTER", "SETSLOT", slotOf(t, to, key), "STABLE")
			began = false
		default:
			command(t, to, "CLUSTER", "SETSLOT", slotOf(t, to, key), "IMPORTING", command(t, from, "CLUSTER", "MYID"))
			began = true
		}
	}
	require.ErrorContains(t, last, "slots of the Cluster are being moved all the time")
}

// idsOn returns an ID on each node of a new Cluster.
func idsOn(t *testing.T, nodes []*testserver.RedisServer) map[*testserver.RedisServer]string {
	t.Helper()
	ids := make(map[*testserver.RedisServer]string)
	for n := 0; len(ids) < len(nodes); n++ {
		if node := nodeOf(t, nodes, keyOf(newID(n))); ids[node] == "" {
			ids[node] = newID(n)
		}
	}
	return ids
}

// TestRevokeEveryoneWithoutAReplica: one that has failed has nothing that its master lacks.
func TestRevokeEveryoneWithoutAReplica(t *testing.T) {
	nodes := testserver.RedisCluster(t)
	replica := testserver.RedisClusterNode(t, nodes)
	require.Equal(t, "OK", command(t, replica, "CLUSTER", "REPLICATE", command(t, nodes[0], "CLUSTER", "MYID")))
	var client rueidis.Client
	require.Eventually(t, func() bool {
		client = connect(t, addresses(nodes)...)
		return len(client.Nodes()) == 4
	}, 20*time.Second, 100*time.Millisecond, "the client must know the replica")
	b := backend(t, client, redisstore.Config{CacheBytes: -1, Store: store.Config{Timeout: 500 * time.Millisecond}})
	for n, fail := range []func(){replica.Pause, replica.Kill} {
		create(t, b, newID(n), record("", nil))
		fail()
		ended, err := store.New(b).RevokeEveryone(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, ended)
	}
}

// TestRevokeEveryoneWithoutAMaster: what is found ends, and the error says that it was not all.
func TestRevokeEveryoneWithoutAMaster(t *testing.T) {
	nodes := testserver.RedisCluster(t)
	b := backend(t, connect(t, addresses(nodes)...), redisstore.Config{CacheBytes: -1, Store: store.Config{Timeout: 500 * time.Millisecond}})
	ids := idsOn(t, nodes)
	for _, id := range ids {
		create(t, b, id, record("", nil))
	}
	nodes[1].Pause()
	defer nodes[1].Resume()
	n, err := store.New(b).RevokeEveryone(t.Context())
	require.ErrorContains(t, err, "reading all sessions")
	assert.Equal(t, 2, n)
	for _, node := range []*testserver.RedisServer{nodes[0], nodes[2]} {
		r, _, err := b.Load(t.Context(), ids[node])
		require.NoError(t, err)
		assert.Equal(t, store.Revoked, r.Ended)
	}
}

// TestRenewWhileANodeOfABoundaryHangs: the boundaries of a user may be on a node that has
// nothing else to do with a session. If that does not answer, the session must not end.
func TestRenewWhileANodeOfABoundaryHangs(t *testing.T) {
	nodes := testserver.RedisCluster(t)
	b := backend(t, connect(t, addresses(nodes)...), redisstore.Config{CacheBytes: -1, Store: store.Config{Timeout: time.Second}})
	idOn := func(first int, hangs bool) string {
		for nodeOf(t, nodes, keyOf(newID(first))) == nodes[2] != hangs {
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

// TestRenewWhereANodeRefusesWrites: the node of the new ID is full, or lacks replicas. A
// renewal that it refuses leaves the session as it was.
func TestRenewWhereANodeRefusesWrites(t *testing.T) {
	nodes := testserver.RedisCluster(t)
	b := backend(t, connect(t, addresses(nodes)...), redisstore.Config{CacheBytes: -1})
	refuses := nodes[0]
	if nodeOf(t, nodes, "session:user:alice") == refuses { // that of the index is asked first anyway
		refuses = nodes[1]
	}
	next := 0
	idOn := func(refusing bool) string {
		for next++; nodeOf(t, nodes, keyOf(newID(next))) == refuses != refusing; {
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
