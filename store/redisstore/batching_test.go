package redisstore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
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

// recording notes what reaches a client.
type recording struct {
	rueidis.Client

	alone   atomic.Int64
	mu      sync.Mutex
	batches [][]rueidis.Completed
}

func (r *recording) Do(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	r.alone.Add(1)
	return r.Client.Do(ctx, command)
}

func (r *recording) DoMulti(ctx context.Context, commands ...rueidis.Completed) []rueidis.RedisResult {
	r.mu.Lock()
	r.batches = append(r.batches, append([]rueidis.Completed(nil), commands...))
	r.mu.Unlock()
	return r.Client.DoMulti(ctx, commands...)
}

// TestEveryoneGetsTheirOwnAnswer has many read and change sessions of their own at
// the same time, some of whom give up, on a server that forgets its scripts.
func TestEveryoneGetsTheirOwnAnswer(t *testing.T) {
	client := &recording{Client: connect(t, testserver.Redis(t).Address)}
	b := backend(t, client, redisstore.Config{CacheBytes: -1})
	const visitors, turns = 150, 100
	for i := range visitors {
		create(t, b, newID(i), record("user"+strconv.Itoa(i), map[string]string{"n": `0`}))
	}
	var group sync.WaitGroup
	for i := range visitors {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i))) // #nosec G404 -- the moments need not be secret
			for n := range turns {
				if i == 0 && n%10 == 0 {
					assert.NoError(t, client.Client.Do(t.Context(), client.B().ScriptFlush().Build()).Error())
				}
				found, err := changed(b.Update(t.Context(), newID(i), store.Change{Set: map[string]string{"n": strconv.Itoa(n)}}))
				if !assert.NoError(t, err) || !assert.True(t, found) {
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(300))*time.Microsecond)
				r, found, err := b.Load(ctx, newID(i))
				cancel()
				if errors.Is(err, context.DeadlineExceeded) {
					r, found, err = b.Load(t.Context(), newID(i))
				}
				if !assert.NoError(t, err) || !assert.True(t, found) ||
					!assert.Equal(t, "user"+strconv.Itoa(i), r.User) || !assert.Equal(t, strconv.Itoa(n), r.Values["n"]) {
					return
				}
			}
		})
	}
	group.Wait()
	commands, most := 0, 0
	for _, batch := range client.batches {
		commands, most = commands+len(batch), max(most, len(batch))
		for _, command := range batch {
			assert.Equal(t, batch[0].IsReadOnly(), command.IsReadOnly(), "a batch with a change in it would not be repeated")
		}
	}
	t.Logf("%d commands alone, %d in %d batches of up to %d", client.alone.Load(), commands, len(client.batches), most)
	assert.LessOrEqual(t, most, 64)
	assert.Greater(t, commands, 4*len(client.batches), "what is asked at the same time must be sent in one go")
}

// TestOnlyWhatMayBeExecutedTwiceIsBatched: a client that is redirected to another
// server repeats the whole batch. A session that was created would be taken then,
// and one that was renewed or ended would be gone.
func TestOnlyWhatMayBeExecutedTwiceIsBatched(t *testing.T) {
	client := &recording{Client: connect(t, testserver.Redis(t).Address)}
	b := backend(t, client, redisstore.Config{CacheBytes: -1})
	var group sync.WaitGroup
	for i := range 300 {
		group.Go(func() {
			created, err := b.Create(t.Context(), newID(i), record("", nil))
			assert.NoError(t, err)
			assert.True(t, created)
			found, err := b.Rotate(t.Context(), newID(i), move(newID(1000+i), record("", nil), nil))
			assert.NoError(t, err)
			assert.True(t, found)
			found, err = b.Delete(t.Context(), newID(1000+i))
			assert.NoError(t, err)
			assert.True(t, found)
		})
	}
	group.Wait()
	assert.Empty(t, client.batches)
}

func TestACommandAloneIsSentAlone(t *testing.T) {
	client := &recording{Client: connect(t, testserver.Redis(t).Address)}
	b := backend(t, client, redisstore.Config{CacheBytes: -1})
	create(t, b, newID(1), record("", nil))
	for range 100 {
		_, found, err := b.Load(t.Context(), newID(1))
		require.NoError(t, err)
		require.True(t, found)
	}
	assert.Empty(t, client.batches)
}

// TestNodesDoNotHoldUpEachOther hangs a node of a Cluster.
func TestNodesDoNotHoldUpEachOther(t *testing.T) {
	testserver.Slow(t)
	nodes := testserver.RedisCluster(t)
	client := &recording{Client: connect(t, addresses(nodes)...)}
	b := backend(t, client, redisstore.Config{CacheBytes: -1})
	const sessions = 60
	for i := range sessions {
		create(t, b, newID(i), record("", nil))
	}
	client.batches = nil
	nodes[0].Pause()
	defer nodes[0].Resume()
	var group sync.WaitGroup
	var prompt, hanging atomic.Int64
	for i := range sessions {
		group.Go(func() {
			began := time.Now()
			_, found, err := b.Load(t.Context(), newID(i))
			switch {
			case err != nil:
				hanging.Add(1)
			case assert.True(t, found) && assert.Less(t, time.Since(began), time.Second):
				prompt.Add(1)
			}
		})
	}
	group.Wait()
	t.Logf("%d answered, %d not", prompt.Load(), hanging.Load())
	assert.Greater(t, prompt.Load(), hanging.Load(), "two nodes of three are there")
	assert.Positive(t, hanging.Load())
}

// TestManyWaitForAHangingServer for no longer than the timeout. Those who give up
// do not end the wait of the others.
func TestManyWaitForAHangingServer(t *testing.T) {
	server := testserver.Redis(t)
	const timeout = 500 * time.Millisecond
	b := backend(t, connect(t, server.Address), redisstore.Config{CacheBytes: -1, Store: store.Config{Timeout: timeout}})
	create(t, b, newID(1), record("", nil))
	server.Pause()
	giveUp, cancel := context.WithCancel(t.Context())
	var ready, impatient, patient sync.WaitGroup
	for i := range 100 {
		ready.Add(2)
		impatient.Go(func() {
			ready.Done()
			_, _, err := b.Load(giveUp, newID(1))
			assert.ErrorIs(t, err, context.Canceled)
		})
		patient.Go(func() {
			ready.Done()
			began := time.Now()
			var err error
			if i%2 == 0 {
				_, _, err = b.Load(t.Context(), newID(1))
			} else {
				_, err = b.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"n": `1`}})
			}
			assert.Error(t, err)
			assert.Greater(t, time.Since(began), timeout/2, "none may be given up early")
			assert.Less(t, time.Since(began), 4*timeout)
		})
	}
	ready.Wait()
	began := time.Now()
	cancel()
	impatient.Wait()
	assert.Less(t, time.Since(began), timeout, "who gives up must not wait for the server")
	patient.Wait()
	server.Resume()
	require.Eventually(t, func() bool {
		_, found, err := b.Load(t.Context(), newID(1))
		return err == nil && found
	}, 10*time.Second, time.Millisecond)
}
