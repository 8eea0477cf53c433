package redisstore_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

var callsOf = regexp.MustCompile(`cmdstat_hgetall:calls=(\d+)`)

// reads returns how many sessions the servers were asked for.
func reads(tb testing.TB, servers ...*testserver.RedisServer) (n int) {
	tb.Helper()
	for _, server := range servers {
		info, err := server.Command("INFO", "commandstats")
		require.NoError(tb, err)
		if match := callsOf.FindStringSubmatch(info); match != nil {
			calls, err := strconv.Atoi(match[1])
			require.NoError(tb, err)
			n += calls
		}
	}
	return n
}

// waitCached waits until a read of the session asks no server.
func waitCached(tb testing.TB, load func() error, servers ...*testserver.RedisServer) {
	tb.Helper()
	require.Eventually(tb, func() bool {
		if load() != nil {
			return false
		}
		before := reads(tb, servers...)
		return load() == nil && reads(tb, servers...) == before
	}, 10*time.Second, 10*time.Millisecond, "a session in use must be read from memory")
}

func loader(t *testing.T, b store.Backend, id string) func() error {
	t.Helper()
	return func() error {
		_, found, err := b.Load(t.Context(), id)
		if err == nil && !found {
			err = store.ErrEnded
		}
		return err
	}
}

func TestCachedReadCostsNoRoundTrip(t *testing.T) {
	server := testserver.Redis(t)
	cluster := testserver.RedisCluster(t)
	for name, test := range map[string]struct {
		client  rueidis.Client
		servers []*testserver.RedisServer
	}{
		"single":                       {connect(t, server.Address), []*testserver.RedisServer{server}},
		"client without its own cache": {connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, DisableCache: true}), []*testserver.RedisServer{server}},
		"cluster":                      {connect(t, addresses(cluster)...), cluster},
	} {
		t.Run(name, func(t *testing.T) {
			b := backend(t, test.client, redisstore.WithPrefix(t.Name()))
			create(t, b, newID(1), record("alice", map[string]string{"a": `1`}))
			waitCached(t, loader(t, b, newID(1)), test.servers...)
			before := reads(t, test.servers...)
			for range 1000 {
				r, found, err := b.Load(t.Context(), newID(1))
				require.NoError(t, err)
				require.True(t, found)
				require.Equal(t, map[string]string{"a": `1`}, r.Values)
			}
			assert.Equal(t, before, reads(t, test.servers...), "reads of a session in use must not reach a server")
			id, ctx := newID(1), t.Context()
			assert.Zero(t, testing.AllocsPerRun(100, func() { _, _, _ = b.Load(ctx, id) }), "nor allocate")

			_, found, err := b.(store.CachedBackend).LoadFresh(t.Context(), newID(1))
			require.NoError(t, err)
			assert.True(t, found)
			assert.Equal(t, before+1, reads(t, test.servers...), "LoadFresh must ask the server")
		})
	}
}

func TestCacheIsBounded(t *testing.T) {
	server := testserver.Redis(t)
	b := backend(t, connect(t, server.Address), redisstore.WithCacheBytes(1<<20))
	create(t, b, newID(0), record("", nil))
	waitCached(t, loader(t, b, newID(0)), server)
	const many, size = 400, 10_000
	for i := range many {
		create(t, b, newID(i+1), record("", map[string]string{"a": strings.Repeat("x", size)}))
	}
	for range 2 {
		for i := range many {
			require.NoError(t, loader(t, b, newID(i+1))())
		}
	}
	before := reads(t, server)
	for i := many; i > 0; i-- {
		require.NoError(t, loader(t, b, newID(i))())
	}
	hits := many - (reads(t, server) - before)
	assert.Positive(t, hits, "some are cached")
	assert.LessOrEqual(t, hits*size, 1<<20, "no more than fit")
}

// trials is how often a write is followed by a read.
const trials = 20_000

func TestReadsItsOwnWrites(t *testing.T) {
	server := testserver.Redis(t)
	cluster := testserver.RedisCluster(t)
	for name, test := range map[string]struct {
		store   func(t *testing.T) *store.Store
		servers []*testserver.RedisServer
	}{
		"client of four connections": {func(t *testing.T) *store.Store {
			t.Helper()
			return newStore(t, connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, PipelineMultiplex: 2}))
		}, []*testserver.RedisServer{server}},
		"open":    {func(t *testing.T) *store.Store { t.Helper(); return open(t, server.Address) }, []*testserver.RedisServer{server}},
		"cluster": {func(t *testing.T) *store.Store { t.Helper(); return newStore(t, connect(t, addresses(cluster)...)) }, cluster},
	} {
		t.Run(name, func(t *testing.T) {
			s := test.store(t)
			secret, id, err := s.Create(t.Context(), record("alice", nil))
			require.NoError(t, err)
			waitCached(t, func() error { _, _, _, err := s.Load(t.Context(), secret, false); return err }, test.servers...)
			stale := 0
			for n := range trials {
				want := strconv.Itoa(n)
				found, err := s.Update(t.Context(), id, store.Record{}, store.Change{Set: map[string]string{"n": want}})
				require.NoError(t, err)
				require.True(t, found)
				for range 3 { // the later ones come from memory
					_, r, _, err := s.Load(t.Context(), secret, false)
					require.NoError(t, err)
					if r.Values["n"] != want {
						stale++
					}
				}
			}
			t.Logf("%d stale reads after %d writes", stale, trials)
			assert.Zero(t, stale, "a read after this store's own write must see it")
		})
	}
}

// TestRacingReadsSeeTheLastWrite reads while others write, so that answers from
// before a write arrive after it.
func TestRacingReadsSeeTheLastWrite(t *testing.T) {
	server := testserver.Redis(t)
	writer, reader := backend(t, connect(t, server.Address)), backend(t, connect(t, server.Address))
	create(t, writer, newID(1), record("", nil))
	waitCached(t, loader(t, reader, newID(1)), server)
	for n := range 300 {
		want := strconv.Itoa(n)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() { _, _, _ = reader.Load(t.Context(), newID(1)) })
		}
		found, err := writer.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"n": want}})
		require.NoError(t, err)
		require.True(t, found)
		group.Wait()
		require.Eventually(t, func() bool {
			r, _, err := reader.Load(t.Context(), newID(1))
			return err == nil && r.Values["n"] == want
		}, time.Second, 50*time.Microsecond, "no answer from before a write may stay in the cache")
	}
}

func TestRevocationIsSeenElsewhere(t *testing.T) {
	server := testserver.Redis(t)
	cluster := testserver.RedisCluster(t)
	for name, test := range map[string]struct {
		addresses []string
		servers   []*testserver.RedisServer
	}{
		"single":  {[]string{server.Address}, []*testserver.RedisServer{server}},
		"cluster": {addresses(cluster), cluster},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := backend(t, connect(t, test.addresses...)), backend(t, connect(t, test.addresses...))
			const times = 1000
			var delays []time.Duration
			for n := range times {
				id := newID(n)
				create(t, a, id, record("alice", nil))
				load := loader(t, b, id)
				if n%100 == 0 {
					waitCached(t, load, test.servers...)
				}
				require.NoError(t, load())
				seen := make(chan time.Time, 100)
				stop := b.(store.WatchingBackend).Watch(id, func() { seen <- time.Now() })
				revoked := time.Now()
				found, err := a.Delete(t.Context(), id)
				require.NoError(t, err)
				require.True(t, found)
				at := <-seen
				for load() == nil { // an earlier piece of news, of Create, may have come late
					at = <-seen
				}
				stop()
				delays = append(delays, at.Sub(revoked))
			}
			slices.Sort(delays)
			t.Logf("seen, counted from the call of Delete, after p50 %v, p99 %v, max %v", delays[times/2], delays[times*99/100], delays[times-1])
			assert.Less(t, delays[times*99/100], 100*time.Millisecond, "10 ms is the aim; a busy machine gets more")
		})
	}
}
