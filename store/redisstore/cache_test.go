package redisstore_test

import (
	"bytes"
	"errors"
	"log/slog"
	"regexp"
	"runtime"
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
func reads(t testing.TB, servers ...*testserver.RedisServer) (n int) {
	t.Helper()
	for _, server := range servers {
		info, err := server.Command("INFO", "commandstats")
		require.NoError(t, err)
		if match := callsOf.FindStringSubmatch(info); match != nil {
			calls, err := strconv.Atoi(match[1])
			require.NoError(t, err)
			n += calls
		}
	}
	return n
}

// waitCached waits until a read of the session asks no server.
func waitCached(t testing.TB, load func() error, servers ...*testserver.RedisServer) {
	t.Helper()
	require.Eventually(t, func() bool {
		if load() != nil {
			return false
		}
		before := reads(t, servers...)
		return load() == nil && reads(t, servers...) == before
	}, 10*time.Second, 10*time.Millisecond, "a session in use must be read from memory")
}

func loader(t testing.TB, b store.Backend, id string) func() error {
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
			assert.Zero(t, testing.AllocsPerRun(100, func() { _, _, _ = b.Load(t.Context(), newID(1)) })-testing.AllocsPerRun(100, func() { _ = newID(1) }))

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

func newStore(t *testing.T, client rueidis.Client) *store.Store {
	t.Helper()
	s := redisstore.New(client)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
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

func TestHangingServerBoundsStaleness(t *testing.T) {
	server := testserver.Redis(t)
	b := backend(t, connect(t, server.Address)) // the client's own timeouts are 10 s
	create(t, b, newID(1), record("alice", nil))
	load := loader(t, b, newID(1))
	waitCached(t, load, server)
	server.Pause()
	paused := time.Now()
	last := paused
	var err error
	for err == nil {
		if err = load(); err == nil {
			last = time.Now()
		}
		runtime.Gosched()
	}
	t.Logf("last answer from memory %v after the server hung; then: %v", last.Sub(paused), err)
	assert.LessOrEqual(t, last.Sub(paused), 2*time.Second)
	assert.Less(t, time.Since(last), 3*time.Second, "a read must fail within the timeout")
	server.Resume()
	waitCached(t, load, server)
}

func TestKilledServer(t *testing.T) {
	server := testserver.Redis(t)
	for name, client := range map[string]rueidis.Client{
		"client with its own cache": connect(t, server.Address),
		"client without":            connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, DisableCache: true}),
	} {
		t.Run(name, func(t *testing.T) {
			b := backend(t, client)
			create(t, b, newID(1), record("alice", nil))
			load := loader(t, b, newID(1))
			waitCached(t, load, server)
			server.Kill()
			killed := time.Now()
			for load() == nil {
				require.Less(t, time.Since(killed), 50*time.Millisecond, "the cache must not answer for a server that is gone")
			}
			_, err := b.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"a": `1`}})
			require.Error(t, err)

			server.Restart()
			require.Eventually(t, func() bool {
				err := load()
				assert.Error(t, err, "what the server has lost must not come back from memory")
				return errors.Is(err, store.ErrEnded)
			}, 10*time.Second, time.Millisecond, "the store must recover by itself")
			create(t, b, newID(2), record("alice", nil))
			waitCached(t, loader(t, b, newID(2)), server)
		})
	}
}

// TestLostTracking cuts the connection that brings the news and leaves the others.
func TestLostTracking(t *testing.T) {
	server := testserver.Redis(t)
	a, b := backend(t, connect(t, server.Address), redisstore.WithoutCache()), backend(t, connect(t, server.Address))
	create(t, a, newID(1), record("alice", nil))
	for n := range 20 {
		waitCached(t, loader(t, b, newID(1)), server)
		missed := make(chan struct{}, 100)
		stop := b.(store.WatchingBackend).Watch(newID(1), func() { missed <- struct{}{} })
		_, err := server.Command("CLIENT", "KILL", "TYPE", "normal")
		require.NoError(t, err)
		<-missed // watchers are told that they may have missed something
		stop()
		want := strconv.Itoa(n)
		require.Eventually(t, func() bool { // the client may find its connection closed
			_, err := a.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"n": want}})
			return err == nil
		}, 5*time.Second, time.Millisecond)
		require.Eventually(t, func() bool {
			r, _, err := b.Load(t.Context(), newID(1))
			return err == nil && r.Values["n"] == want
		}, time.Second, 100*time.Microsecond)
	}
	_, err := server.Command("FLUSHALL")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, found, err := b.Load(t.Context(), newID(1))
		return err == nil && !found
	}, time.Second, 100*time.Microsecond, "FLUSHALL empties the cache")
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestTrackingRefused(t *testing.T) {
	withoutCommand := testserver.Redis(t, "--rename-command", "CLIENT", "")
	withUser := testserver.Redis(t)
	_, err := withUser.Command("ACL", "SETUSER", "app", "on", "nopass", "~*", "&*", "+@all", "-client|tracking")
	require.NoError(t, err)
	for name, test := range map[string]struct {
		server *testserver.RedisServer
		option rueidis.ClientOption
	}{
		"no such command": {withoutCommand, rueidis.ClientOption{}},
		"no permission":   {withUser, rueidis.ClientOption{Username: "app"}},
		"RESP2":           {withUser, rueidis.ClientOption{AlwaysRESP2: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var logged lines
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
			defer slog.SetDefault(before)
			test.option.InitAddress, test.option.DisableCache = []string{test.server.Address}, true
			b := backend(t, connectWith(t, test.option))
			other := backend(t, connectWith(t, test.option), redisstore.WithoutCache())
			create(t, b, newID(1), record("alice", nil))
			ticks := make(chan struct{}, 1000)
			defer b.(store.WatchingBackend).Watch(newID(1), func() { ticks <- struct{}{} })()
			for n := range 200 {
				require.NoError(t, loader(t, b, newID(1))())
				want := strconv.Itoa(n)
				_, err := other.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"n": want}})
				require.NoError(t, err)
				r, _, err := b.Load(t.Context(), newID(1))
				require.NoError(t, err)
				require.Equal(t, want, r.Values["n"], "without tracking every read asks the server")
			}
			for range 3 {
				<-ticks // who watches is told to ask now and then
			}
			assert.Equal(t, 1, strings.Count(logged.String(), "without a cache"), "it is said once: %s", logged.String())
			_, err := b.Delete(t.Context(), newID(1))
			require.NoError(t, err)
		})
	}
	t.Run("open", func(t *testing.T) {
		s := open(t, withoutCommand.Address)
		_, _, err := s.Create(t.Context(), record("alice", nil))
		require.NoError(t, err)
	})
}

func TestWatch(t *testing.T) {
	server := testserver.Redis(t)
	a, b := backend(t, connect(t, server.Address)), backend(t, connect(t, server.Address))
	create(t, a, newID(1), record("alice", nil))
	waitCached(t, loader(t, b, newID(1)), server)
	changed := make(chan struct{}, 1000)
	stop := b.(store.WatchingBackend).Watch(newID(1), func() { changed <- struct{}{} })
	for range 100 {
		_, err := a.Update(t.Context(), newID(1), store.Change{Set: map[string]string{"a": `1`}})
		require.NoError(t, err)
		<-changed
	}
	stop()
	stop() // harmless
	assert.Implements(t, (*store.CachedBackend)(nil), b)
	without := backend(t, connect(t, server.Address), redisstore.WithoutCache())
	_, watching := without.(store.WatchingBackend)
	assert.False(t, watching, "a backend without a cache hears of nothing, and must not claim to")
}

func TestNothingIsLeft(t *testing.T) {
	server := testserver.Redis(t)
	client := connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, DisableCache: true})
	tracked := func() bool {
		info, err := server.Command("INFO", "clients")
		require.NoError(t, err)
		return !strings.Contains(info, "tracking_clients:0\r")
	}
	used := func(s *store.Store) {
		secret, _, err := s.Create(t.Context(), record("alice", nil))
		require.NoError(t, err)
		waitCached(t, func() error { _, _, _, err := s.Load(t.Context(), secret, false); return err }, server)
		require.True(t, tracked())
		require.NoError(t, s.Close())
		require.NoError(t, s.Close(), "Close may be called twice")
	}
	stacks := func() string {
		text := make([]byte, 1<<20)
		return string(text[:runtime.Stack(text, true)])
	}
	used(redisstore.New(client))
	assert.NotContains(t, stacks(), "sessionkit/store/redisstore.", "Close must leave no goroutine")
	require.Eventually(t, func() bool { return !tracked() }, 5*time.Second, 10*time.Millisecond, "Close must leave no connection")
	require.NoError(t, client.Do(t.Context(), client.B().Ping().Build()).Error(), "a borrowed client stays open")
	client.Close()

	require.Eventually(t, func() bool { return !strings.Contains(stacks(), "rueidis") }, 5*time.Second, 10*time.Millisecond)
	s, err := redisstore.Open("redis://" + server.Address)
	require.NoError(t, err)
	used(s)
	assert.Eventually(t, func() bool { return !strings.Contains(stacks(), "rueidis") }, 5*time.Second, 10*time.Millisecond,
		"Close must close the store's own client")
}
