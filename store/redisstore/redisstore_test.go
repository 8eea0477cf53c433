package redisstore_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/storetest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	gin.DefaultWriter = io.Discard
	m.Run()
}

// connect returns a client with the options that most callers will have: the
// client's own.
func connect(tb testing.TB, addresses ...string) rueidis.Client {
	tb.Helper()
	return connectWith(tb, rueidis.ClientOption{InitAddress: addresses})
}

func connectWith(tb testing.TB, option rueidis.ClientOption) rueidis.Client {
	tb.Helper()
	client, err := rueidis.NewClient(option)
	require.NoError(tb, err)
	tb.Cleanup(client.Close)
	return client
}

func backend(t *testing.T, client rueidis.Client, configs ...redisstore.Config) store.Backend {
	t.Helper()
	b := redisstore.NewBackend(client, configs...)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	return b
}

func newStore(t *testing.T, client rueidis.Client) *store.Store {
	t.Helper()
	s := redisstore.New(client)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func open(t *testing.T, address string, configs ...redisstore.Config) *store.Store {
	t.Helper()
	s, err := redisstore.Open("redis://"+address, configs...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func record(user string, values map[string]string) store.Record {
	now := time.Now()
	return store.Record{User: user, Created: now, Seen: now, Expires: now.Add(time.Hour), Values: values}
}

// ids are made up in the form that a store uses.
func newID(n int) string {
	id, _ := store.ID(fmt.Sprintf("%043d", n))
	return id
}

func create(t *testing.T, b store.Backend, id string, r store.Record) {
	t.Helper()
	created, err := b.Create(context.Background(), id, r)
	require.NoError(t, err)
	require.True(t, created)
}

// addresses returns those of a cluster's nodes.
func addresses(nodes []*testserver.RedisServer) (list []string) {
	for _, node := range nodes {
		list = append(list, node.Address)
	}
	return list
}

// fresh returns a function that makes backends with a prefix each.
func fresh(client rueidis.Client, configs ...redisstore.Config) func(*testing.T) store.Backend {
	return func(t *testing.T) store.Backend {
		t.Helper()
		var c redisstore.Config
		if len(configs) > 0 {
			c = configs[0]
		}
		c.Prefix = t.Name()
		return redisstore.NewBackend(client, c)
	}
}

// two returns a function that makes backends with a client each, and the same prefix.
func two(client, another rueidis.Client) func(*testing.T) (one, other store.Backend) {
	return func(t *testing.T) (one, other store.Backend) {
		t.Helper()
		return fresh(client)(t), fresh(another)(t)
	}
}

func TestContract(t *testing.T) {
	server := testserver.Redis(t)
	client := connect(t, server.Address)
	t.Run("single", func(t *testing.T) {
		storetest.Run(t, fresh(client))
		storetest.RunShared(t, two(client, connect(t, server.Address)))
	})
	t.Run("single without cache", func(t *testing.T) { storetest.Run(t, fresh(client, redisstore.Config{CacheBytes: -1})) })
	t.Run("single with a tiny cache", func(t *testing.T) {
		storetest.Run(t, fresh(client, redisstore.Config{CacheBytes: 64 << 10}))
	})
	t.Run("cluster", func(t *testing.T) {
		nodes := addresses(testserver.RedisCluster(t))
		client := connect(t, nodes...)
		storetest.Run(t, fresh(client))
		storetest.RunShared(t, two(client, connect(t, nodes...)))
	})
}

func TestGinContrib(t *testing.T) {
	server := testserver.Redis(t)
	client := connect(t, server.Address)
	t.Run("single", func(t *testing.T) {
		storetest.RunGinContrib(t, func(t *testing.T) sessions.Store { t.Helper(); return newStore(t, client) })
	})
	t.Run("open", func(t *testing.T) {
		storetest.RunGinContrib(t, func(t *testing.T) sessions.Store { t.Helper(); return open(t, server.Address) })
	})
	t.Run("cluster", func(t *testing.T) {
		client := connect(t, addresses(testserver.RedisCluster(t))...)
		storetest.RunGinContrib(t, func(t *testing.T) sessions.Store { t.Helper(); return newStore(t, client) })
	})
}

// changed reports whether a change was made.
func changed(o store.Outcome, err error) (bool, error) { return o.Changed(), err }

// move returns a move to a new ID.
func move(newID string, r store.Record, drop []string) store.Move {
	trace := record(r.User, nil)
	trace.Expires, trace.Ended, trace.Next = time.Now(), store.Renewed, newID
	return store.Move{ID: newID, Record: r, Drop: drop, Trace: trace}
}

// loadFresh reads one record past the cache.
func loadFresh(ctx context.Context, b store.Backend, id string) (store.Record, bool, error) {
	records, err := b.LoadFresh(ctx, id)
	r, found := records[id]
	return r, found, err
}

// kit returns what package sessionkit does with a store.
func kit(s *store.Store) kitstore.Server {
	server, _ := kitstore.Of(s)
	return server
}
