package redisstore_test

import (
	"context"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// TestConnectionsThatWereClosed: a firewall, say, has closed the connection that a command
// goes out on which is alone, while nobody used it. What may be carried out twice does not
// fail for it, and the rest goes on with the next call.
func TestConnectionsThatWereClosed(t *testing.T) {
	server := testserver.Redis(t)
	admin := connect(t, server.Address)
	s := open(t, server.Address, redisstore.Config{CacheBytes: -1})
	ctx := context.WithoutCancel(t.Context())
	opened := connections(ctx, t, admin)
	create := func(user string) (token, id string, err error) {
		return kit(s).Create(ctx, record(user, nil), signin.Attempt{Began: time.Now()})
	}
	token, id, err := create("alice")
	require.NoError(t, err)
	alone := without(connections(ctx, t, admin), opened)
	var group sync.WaitGroup
	for range 64 { // which have all connections of the pipeline opened
		group.Go(func() {
			for range 100 {
				_, _, _, _ = kit(s).Load(ctx, "session", token, false)
			}
		})
	}
	group.Wait()
	watched := without(connections(ctx, t, admin), alone)
	for _, test := range []struct {
		name  string
		call  func() error
		fails bool
	}{
		{"load", func() error { _, _, _, err := kit(s).Load(ctx, "session", token, false); return err }, false},
		{"update", func() error { _, err := kit(s).Update(ctx, id, store.Record{}, set("n")); return err }, false},
		{"several", func() error { _, err := kit(s).Note(ctx, "alice", "session"); return err }, false},
		{"create", func() error { _, _, err := create("bob"); return err }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 3 {
				require.NoError(t, test.call())
				used := without(connections(ctx, t, admin), watched)
				require.NotEmpty(t, used)
				for _, id := range used {
					require.NoError(t, admin.Do(ctx, admin.B().Arbitrary("CLIENT", "KILL", "ID", id).Build()).Error())
				}
				if err := test.call(); !test.fails {
					assert.NoError(t, err)
				}
			}
		})
	}
}

// TestIdleConnectionsAreClosed: before what is between the store and the server does.
func TestIdleConnectionsAreClosed(t *testing.T) {
	testserver.Slow(t)
	server := testserver.Redis(t)
	admin := connect(t, server.Address)
	s := open(t, server.Address, redisstore.Config{CacheBytes: -1})
	ctx := context.WithoutCancel(t.Context())
	before := connections(ctx, t, admin)
	_, err := kit(s).Note(ctx, "alice", "session")
	require.NoError(t, err)
	used := without(connections(ctx, t, admin), before)
	require.NotEmpty(t, used)
	require.Eventually(t, func() bool {
		return len(without(used, connections(ctx, t, admin))) == len(used)
	}, 20*time.Second, 100*time.Millisecond)
}

// connections returns the IDs of the server's connections.
func connections(ctx context.Context, t *testing.T, admin rueidis.Client) (ids []string) {
	t.Helper()
	list, err := admin.Do(ctx, admin.B().ClientList().Build()).ToString()
	require.NoError(t, err)
	for _, match := range regexp.MustCompile(`(?m)^id=(\d+)`).FindAllStringSubmatch(list, -1) {
		ids = append(ids, match[1])
	}
	return ids
}

// without returns the ids that are not among others.
func without(ids, others []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(others, id) })
}
