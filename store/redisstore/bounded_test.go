package redisstore_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// TestTimeoutWhereTheClientHasNoRoom asks a hanging server more than the client's
// queue takes, which waits for room without a look at the context.
func TestTimeoutWhereTheClientHasNoRoom(t *testing.T) {
	for name, start := range map[string]func(testing.TB) []*testserver.RedisServer{
		"single": func(tb testing.TB) []*testserver.RedisServer {
			tb.Helper()
			return []*testserver.RedisServer{testserver.Redis(tb)}
		},
		"Cluster": testserver.RedisCluster,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers := start(t)
			const timeout = time.Second
			client := connectWith(t, rueidis.ClientOption{InitAddress: addresses(servers), RingScaleEachConn: 4}) // room for 16 commands
			b := backend(t, client, redisstore.Config{CacheBytes: -1, Store: store.Config{Timeout: timeout}})
			for i := range 200 {
				create(t, b, newID(i), record("alice", nil))
			}
			ask := []func(ctx context.Context, id string) error{
				func(ctx context.Context, id string) error { _, _, err := b.Load(ctx, id); return err },
				func(ctx context.Context, id string) error { _, err := b.Update(ctx, id, set("n")); return err },
				func(ctx context.Context, id string) error { _, err := b.Delete(ctx, id); return err },
				func(ctx context.Context, _ string) error { _, err := b.List(ctx, "alice"); return err },
			}
			servers[0].Pause()
			defer servers[0].Resume()
			var group sync.WaitGroup
			var failed atomic.Int64
			for i := range 400 {
				group.Go(func() {
					began := time.Now()
					if ask[i%len(ask)](t.Context(), newID(i/2)) != nil {
						failed.Add(1)
					}
					assert.Less(t, time.Since(began), 2*timeout)
				})
			}
			group.Wait()
			assert.Greater(t, failed.Load(), int64(50), "the server hangs")
		})
	}
}

// wrapped is a client as an application may wrap it, for traces or metrics.
type wrapped struct {
	rueidis.Client

	do      func(context.Context)
	replies int // of those to several commands that are passed on
}

func (w *wrapped) Do(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	w.do(ctx)
	return w.Client.Do(ctx, command)
}

func (w *wrapped) DoMulti(ctx context.Context, commands ...rueidis.Completed) []rueidis.RedisResult {
	w.do(ctx)
	return w.Client.DoMulti(ctx, commands...)[:w.replies]
}

func TestAClientThatPanicsFailsTheOperation(t *testing.T) {
	client := &wrapped{Client: connect(t, testserver.Redis(t).Address), do: func(context.Context) {}}
	b := backend(t, client, redisstore.Config{CacheBytes: -1})
	create(t, b, newID(1), record("alice", nil))
	create(t, b, newID(2), record("alice", nil))
	_, err := b.List(t.Context(), "alice")
	require.ErrorContains(t, err, "the client panicked: runtime error: index out of range", "a reply is missing")
	client.do = func(context.Context) { panic("a hook") }
	_, _, err = b.Load(t.Context(), newID(1))
	require.ErrorContains(t, err, "the client panicked: a hook")
	assert.ErrorContains(t, err, "bounded_test.go", "where it did")
	client.do = func(context.Context) {}
	_, found, err := b.Load(t.Context(), newID(1))
	require.NoError(t, err)
	assert.True(t, found)
}

func TestTheClientGetsTheContextsValues(t *testing.T) {
	type key struct{}
	var values []any
	client := &wrapped{Client: connect(t, testserver.Redis(t).Address)}
	client.do = func(ctx context.Context) { values = append(values, ctx.Value(key{})) }
	b := backend(t, client, redisstore.Config{CacheBytes: -1})
	ctx := context.WithValue(t.Context(), key{}, "a span")
	_, _, err := b.Load(ctx, newID(1))
	require.NoError(t, err)
	_, err = b.Delete(ctx, newID(1))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(values), 2)
	for _, v := range values {
		assert.Equal(t, "a span", v)
	}
}

func TestNothingIsSentForWhoHasGivenUp(t *testing.T) {
	var sent atomic.Int64
	client := &wrapped{Client: connect(t, testserver.Redis(t).Address), do: func(context.Context) { sent.Add(1) }}
	b := backend(t, client, redisstore.Config{CacheBytes: -1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Create(ctx, newID(1), record("alice", nil))
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = b.Load(ctx, newID(1))
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.Update(ctx, newID(1), set("n"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.Rotate(ctx, newID(1), move(newID(2), record("alice", nil), nil))
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.Delete(ctx, newID(1))
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.List(ctx, "alice")
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, b.Close()) // what is being sent has been sent
	assert.Zero(t, sent.Load())
}

func TestCloseWaitsForWhatIsBeingSent(t *testing.T) {
	ctx, giveUp := context.WithCancel(t.Context())
	slow := make(chan struct{})
	client := &wrapped{Client: connect(t, testserver.Redis(t).Address), do: func(context.Context) {
		giveUp()
		<-slow
	}}
	s := redisstore.New(client, redisstore.Config{CacheBytes: -1})
	_, _, _, err := kit(s).Load(ctx, "session", strings.Repeat("A", 43), false)
	require.ErrorIs(t, err, context.Canceled)
	sending := func() bool {
		text := make([]byte, 1<<20)
		return strings.Contains(string(text[:runtime.Stack(text, true)]), "redisstore.(*bounded).send")
	}
	require.True(t, sending())
	time.AfterFunc(500*time.Millisecond, func() { close(slow) })
	require.NoError(t, s.Close())
	assert.Eventually(t, func() bool { return !sending() }, 100*time.Millisecond, time.Millisecond)
}
