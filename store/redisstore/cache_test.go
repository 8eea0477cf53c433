package redisstore_test

import (
	"context"
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

	"github.com/gin-sessionkit/sessionkit/internal/signin"
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
			b := backend(t, test.client, redisstore.Config{Prefix: t.Name()})
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

			_, found, err := loadFresh(t.Context(), b, newID(1))
			require.NoError(t, err)
			assert.True(t, found)
			assert.Equal(t, before+1, reads(t, test.servers...), "LoadFresh must ask the server")
		})
	}
}

func TestCacheIsBounded(t *testing.T) {
	server := testserver.Redis(t)
	b := backend(t, connect(t, server.Address), redisstore.Config{CacheBytes: 1 << 20})
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
	testserver.Slow(t)
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
			secret, id, _, err := kit(s).Create(t.Context(), record("alice", nil), signin.Attempt{Began: time.Now()})
			require.NoError(t, err)
			waitCached(t, func() error { _, _, _, err := kit(s).Load(t.Context(), "session", secret, false); return err }, test.servers...)
			stale := 0
			for n := range trials {
				want := strconv.Itoa(n)
				found, err := changed(kit(s).Update(t.Context(), id, store.Record{}, store.Change{Set: map[string]string{"n": want}}))
				require.NoError(t, err)
				require.True(t, found)
				for range 3 { // the later ones come from memory
					_, r, _, err := kit(s).Load(t.Context(), "session", secret, false)
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

// TestReadsItsOwnWritesWhileOthersRead has answers from before a write arrive after
// it, and before the news of it.
func TestReadsItsOwnWritesWhileOthersRead(t *testing.T) {
	testserver.Slow(t)
	server := testserver.Redis(t)
	b := backend(t, connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, PipelineMultiplex: 2}))
	create(t, b, newID(1), record("", nil))
	waitCached(t, loader(t, b, newID(1)), server)
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, _, err := loadFresh(context.Background(), b, newID(1))
				assert.NoError(t, err)
			}
		})
	}
	stale := 0
	for n := range trials {
		want := strconv.Itoa(n)
		_, err := b.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"n": want}})
		require.NoError(t, err)
		r, _, err := b.Load(t.Context(), newID(1))
		require.NoError(t, err)
		if r.Values["n"] != want {
			stale++
		}
	}
	close(stop)
	group.Wait()
	assert.Zero(t, stale)
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
		found, err := changed(writer.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"n": want}}))
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

func TestOwnChangeStaysInMemory(t *testing.T) {
	server := testserver.Redis(t)
	b := backend(t, connect(t, server.Address))
	create(t, b, newID(1), record("alice", map[string]string{"gone": `1`}))
	const times = 500
	hits, expires := 0, time.Now().Add(time.Hour)
	for n := range times {
		waitCached(t, loader(t, b, newID(1)), server) // as it stands on the server
		seen := time.Now()
		expires = expires.Add(time.Minute)
		found, err := changed(b.Update(t.Context(), newID(1), store.Change{
			Set: map[string]string{"n": strconv.Itoa(n)}, Delete: []string{"gone"}, Seen: seen, Expires: expires,
		}))
		require.NoError(t, err)
		require.True(t, found)
		before := reads(t, server)
		r, _, err := b.Load(t.Context(), newID(1))
		require.NoError(t, err)
		if reads(t, server) == before {
			hits++
		}
		assert.Equal(t, map[string]string{"n": strconv.Itoa(n)}, r.Values)
		assert.Equal(t, []string{"alice", strconv.FormatInt(seen.UnixMilli(), 10), strconv.FormatInt(expires.UnixMilli(), 10)},
			[]string{r.User, strconv.FormatInt(r.Seen.UnixMilli(), 10), strconv.FormatInt(r.Expires.UnixMilli(), 10)})
		onServer, _, err := loadFresh(t.Context(), b, newID(1))
		require.NoError(t, err)
		require.Equal(t, onServer, r, "memory and server must agree")
	}
	t.Logf("%d of %d reads after a change came from memory", hits, times)
	assert.Greater(t, hits, times/2)
}

// TestForeignChangeIsSeenAfterAnOwnOne changes a session here and, at about the
// same time, elsewhere: news does not tell the one from the other.
func TestForeignChangeIsSeenAfterAnOwnOne(t *testing.T) {
	server := testserver.Redis(t)
	other, b := backend(t, connect(t, server.Address), redisstore.Config{CacheBytes: -1}), backend(t, connect(t, server.Address))
	create(t, b, newID(1), record("", nil))
	const times = 1000
	delays := make([]time.Duration, times)
	for n := range times {
		if n%10 == 0 {
			waitCached(t, loader(t, b, newID(1)), server)
		} else {
			require.NoError(t, loader(t, b, newID(1))())
		}
		want := strconv.Itoa(n)
		foreign := make(chan time.Time, 1)
		go func() {
			if n%2 == 0 {
				time.Sleep(time.Duration(n) * time.Microsecond) // in all phases of the other change
			}
			_, err := other.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"foreign": want}})
			assert.NoError(t, err)
			foreign <- time.Now()
		}()
		_, err := b.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"own": want}})
		require.NoError(t, err)
		made := <-foreign
		for {
			r, _, err := b.Load(t.Context(), newID(1))
			require.NoError(t, err)
			require.Equal(t, want, r.Values["own"])
			if r.Values["foreign"] == want {
				break
			}
			require.Less(t, time.Since(made), 5*time.Second, "a foreign change must be seen")
		}
		delays[n] = time.Since(made)
	}
	slices.Sort(delays)
	t.Logf("seen after p50 %v, p99 %v, max %v", delays[times/2], delays[times*99/100], delays[times-1])
	assert.Less(t, delays[times*99/100], 100*time.Millisecond, "5 ms is the aim; a busy machine gets more")
}

func TestForeignChangeIsSeenWhileOwnOnesGoOn(t *testing.T) {
	server := testserver.Redis(t)
	other, b := backend(t, connect(t, server.Address), redisstore.Config{CacheBytes: -1}), backend(t, connect(t, server.Address))
	create(t, b, newID(1), record("", nil))
	waitCached(t, loader(t, b, newID(1)), server)
	change := func(b store.Backend, name string, n int) {
		t.Helper()
		_, err := b.Update(t.Context(), newID(1), store.Change{Set: map[string]string{name: strconv.Itoa(n)}})
		require.NoError(t, err)
	}
	own := 0
	for n := range 100 {
		change(b, "own", -1)
		change(other, "foreign", n)
		for made := time.Now(); ; own++ {
			change(b, "own", own)
			r, _, err := b.Load(t.Context(), newID(1))
			require.NoError(t, err)
			require.Equal(t, strconv.Itoa(own), r.Values["own"])
			if r.Values["foreign"] == strconv.Itoa(n) {
				break
			}
			require.Less(t, time.Since(made), 5*time.Second, "own changes must not put off the sight of others' for ever")
		}
	}
}

// TestOwnChangesAtATime has several change one session, in an order that only the
// server knows.
func TestOwnChangesAtATime(t *testing.T) {
	server := testserver.Redis(t)
	b := backend(t, connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, PipelineMultiplex: 2}))
	create(t, b, newID(1), record("", nil))
	for n := range 2000 {
		if n%100 == 0 {
			waitCached(t, loader(t, b, newID(1)), server)
		}
		require.NoError(t, loader(t, b, newID(1))())
		var group sync.WaitGroup
		for i := range 1 + n%4 {
			group.Go(func() {
				_, err := b.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"n": strconv.Itoa(n), "last": strconv.Itoa(i)}})
				assert.NoError(t, err)
			})
		}
		group.Wait()
		r, _, err := b.Load(t.Context(), newID(1))
		require.NoError(t, err)
		fresh, _, err := loadFresh(t.Context(), b, newID(1))
		require.NoError(t, err)
		require.Equal(t, fresh.Values, r.Values, "what is read after changes must be what they came to")
	}
}

// TestOwnChangesDoNotOutgrowTheCache makes sessions large that were entered small.
func TestOwnChangesDoNotOutgrowTheCache(t *testing.T) {
	server := testserver.Redis(t)
	b := backend(t, connect(t, server.Address), redisstore.Config{CacheBytes: 1 << 20})
	create(t, b, newID(0), record("", nil))
	waitCached(t, loader(t, b, newID(0)), server)
	most := 0
	for i := range 400 {
		create(t, b, newID(i+1), record("", nil))
		require.NoError(t, loader(t, b, newID(i+1))())
		for n := range 3 {
			_, err := b.Update(t.Context(), newID(i+1), store.Change{Set: map[string]string{"a": `"` + strings.Repeat("x", 10_000*(3-n)) + `"`}})
			require.NoError(t, err)
		}
		held, counted := redisstore.CachedBytes(b)
		require.Equal(t, held, counted, "what is held and what is counted must agree")
		most = max(most, held)
	}
	assert.Greater(t, most, 1<<18, "some are held")
	assert.LessOrEqual(t, most, 1<<20, "no more than fit")
}

// TestCachingWhileOthersChange reads one session while many others are changed.
func TestCachingWhileOthersChange(t *testing.T) {
	testserver.Slow(t)
	server := testserver.Redis(t)
	writer, reader := backend(t, connect(t, server.Address)), backend(t, connect(t, server.Address))
	const others = 200
	for i := range others {
		create(t, writer, newID(i), record("", nil))
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	for i := range others {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := writer.Update(context.Background(), newID(i), store.Change{Set: map[string]string{"a": `1`}})
				assert.NoError(t, err)
			}
		})
	}
	const times = 300
	kept := 0
	for n := range times {
		load := loader(t, reader, newID(others+n))
		create(t, writer, newID(others+n), record("", nil))
		require.NoError(t, load())
		require.NoError(t, load()) // the news of Create may have come after the first
		before := reads(t, server)
		require.NoError(t, load())
		if reads(t, server) == before {
			kept++
		}
	}
	close(stop)
	group.Wait()
	t.Logf("%d of %d sessions were kept", kept, times)
	assert.Greater(t, kept, times/2, "changes of other sessions must not keep one out")
}
