package redisstore_test

import (
	"bytes"
	"errors"
	"log/slog"
	"runtime"
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
	for name, option := range map[string]rueidis.ClientOption{
		"client with its own cache": {InitAddress: []string{server.Address}},
		"client without":            {InitAddress: []string{server.Address}, DisableCache: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := backend(t, connectWith(t, option))
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
	testserver.Slow(t)
	server := testserver.Redis(t)
	a, b := backend(t, connect(t, server.Address), redisstore.Config{CacheBytes: -1}), backend(t, connect(t, server.Address))
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
			other := backend(t, connectWith(t, test.option), redisstore.Config{CacheBytes: -1})
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
		_, _, _, err := kit(s).Create(t.Context(), record("alice", nil), signin.Attempt{Began: time.Now()})
		require.NoError(t, err)
	})
}

// TestNoConnectionForInvalidations: the application may use all dedicated connections of its client.
func TestNoConnectionForInvalidations(t *testing.T) {
	server := testserver.Redis(t)
	var logged lines
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	defer slog.SetDefault(before)
	client := connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, BlockingPoolSize: 1, ForceSingleClient: true})
	_, release := client.Dedicate()
	b := redisstore.NewBackend(client)
	create(t, b, newID(1), record("alice", nil))
	ticks := make(chan struct{}, 1000)
	defer b.(store.WatchingBackend).Watch(newID(1), func() { ticks <- struct{}{} })()
	for range 2 {
		select {
		case <-ticks: // who watches is told to ask now and then
		case <-time.After(10 * time.Second):
			require.FailNow(t, "nobody asks whether the session has ended")
		}
	}
	assert.Equal(t, 1, strings.Count(logged.String(), "BlockingPoolSize"), "it is said once: %s", logged.String())
	release()
	waitCached(t, loader(t, b, newID(1)), server)
	require.NoError(t, b.Close())

	// What comes after Close is given back.
	_, release = client.Dedicate()
	b = redisstore.NewBackend(client)
	began := time.Now()
	require.NoError(t, b.Close())
	assert.Less(t, time.Since(began), time.Second)
	release()
	free := make(chan func())
	go func() {
		_, release := client.Dedicate()
		free <- release
	}()
	select {
	case release := <-free:
		release()
	case <-time.After(10 * time.Second):
		assert.Fail(t, "the connection is lost")
	}
}

// TestTrackingAfterABusyServer: a server that runs a script for long refuses everything
// meanwhile, tracking too, but not for good.
func TestTrackingAfterABusyServer(t *testing.T) {
	server := testserver.Redis(t, "--lua-time-limit", "10")
	asked := make(chan struct{}, 100)
	meter := testserver.NewMeter(t, "tcp", server.Address, func(piece []byte) bool {
		if bytes.Contains(piece, []byte("BCAST")) {
			asked <- struct{}{}
		}
		return false
	})
	var logged lines
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	defer slog.SetDefault(before)
	client := connectWith(t, rueidis.ClientOption{InitAddress: []string{meter.Address}, DisableCache: true})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = server.Command("EVAL", "repeat--[[]]until(false)", "0")
	}()
	require.Eventually(t, func() bool {
		_, err := server.Command("EXISTS", "key")
		return err != nil && strings.HasPrefix(err.Error(), "BUSY")
	}, 10*time.Second, time.Millisecond)
	b := backend(t, client)
	for range 2 {
		select {
		case <-asked:
		case <-time.After(10 * time.Second):
			t.Fatal("tracking is requested again half a second later")
		}
	}
	command(t, server, "SCRIPT", "KILL")
	<-ended
	create(t, b, newID(1), record("alice", nil))
	waitCached(t, loader(t, b, newID(1)), server)
	assert.Empty(t, logged.String())
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
	without := backend(t, connect(t, server.Address), redisstore.Config{CacheBytes: -1})
	_, watching := without.(store.WatchingBackend)
	assert.False(t, watching, "a backend without a cache hears of nothing, and must not claim to")
}

// TestStreamEndsAtOnce: a stream on one process hears of what another one does to
// its session without asking, also after a renewal.
func TestStreamEndsAtOnce(t *testing.T) {
	server := testserver.Redis(t)
	here, there := newStore(t, connect(t, server.Address)), newStore(t, connect(t, server.Address))
	now := time.Now()
	signedIn := store.Record{User: "alice", Created: now, Seen: now, Expires: now.Add(time.Hour)}
	signedIn.Values = map[string]string{signin.Name: signin.SignIn{At: now, Line: "line"}.Text()}
	_, id, _, err := kit(here).Create(t.Context(), signedIn, signin.Attempt{Began: time.Now()})
	require.NoError(t, err)
	done, stop := kit(here).Watch(id, signedIn)
	defer stop()
	held := signedIn
	for range 5 {
		_, newID, found, err := kit(there).Renew(t.Context(), id, held, signedIn, nil)
		require.NoError(t, err)
		require.True(t, found)
		id = newID
	}
	select {
	case <-done:
		t.Fatal("it was renewed, and goes on")
	case <-time.After(300 * time.Millisecond): // it hears of each renewal within some
	}
	n, err := there.RevokeAll(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	select {
	case <-done:
	case <-time.After(10 * time.Second): // unless it is told, it waits for an hour
		t.Fatal("it has ended")
	}
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
		secret, _, _, err := kit(s).Create(t.Context(), record("alice", nil), signin.Attempt{Began: time.Now()})
		require.NoError(t, err)
		waitCached(t, func() error { _, _, _, err := kit(s).Load(t.Context(), "session", secret, false); return err }, server)
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
