package reliability_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// A fault is something that happens to a server while the application is used.
type fault struct {
	name   string
	stores []string

	// strike makes it happen and ends it, at the latest when it returns.
	strike func(*testing.T, *site)

	through bool // requests reach the server through a proxy
	stepped bool // the application's clock can be stepped
	late    bool // what was given up may be carried out later
	refuses bool // the application itself is killed
	file    func(*testing.T) string
}

var (
	servers = []string{redisCache, postgres, mariadb}
	stores  = []string{redisCache, postgres, mariadb, sqlite, memory}
)

var faults = []fault{
	{name: "killed and started again", stores: servers, strike: kill},
	{name: "application killed and started again", stores: []string{sqlite}, strike: kill, refuses: true},
	{name: "hangs (SIGSTOP)", stores: servers, strike: hang, late: true},
	{name: "locked by another process", stores: []string{sqlite}, strike: lock},
	{name: "connections cut anywhere", stores: servers, strike: cut, through: true, late: true},
	{name: "slow, often beyond the timeout", stores: servers, strike: slow, through: true, late: true},
	{name: "out of memory", stores: []string{redisCache}, strike: outOfMemory},
	{name: "read-only", stores: servers, strike: readOnly},
	{name: "disk full", stores: []string{sqlite}, strike: fullDisk, file: smallDisk},
	{name: "clock steps forward 30 min, back 3 h", stores: stores, strike: stepClock, stepped: true},
}

// A site is an application under load, and what can be done to it.
type site struct {
	medium
	*opened
	load  *load
	proxy *proxy
	clock *clock

	timeout time.Duration
	during  answers // to one request of each kind, while the fault lasted
}

// TestFaults lets each fault happen to each store, under load. What must hold is
// the same for all; docs/reliability.md has what the clients are told meanwhile.
func TestFaults(t *testing.T) {
	testserver.Slow(t)
	before := runtime.NumGoroutine()
	var mu sync.Mutex
	var outcomes []outcome
	t.Run("stores", func(t *testing.T) {
		for _, name := range stores {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				m := newMedium(t, name)
				for _, f := range faults {
					if !slices.Contains(f.stores, name) || raceEnabled && f.tearsClient(name) {
						continue
					}
					t.Run(f.name, func(t *testing.T) {
						o := f.run(t, m)
						mu.Lock()
						defer mu.Unlock()
						outcomes = append(outcomes, o)
					})
				}
			})
		}
	})
	noGoroutineMore(t, before)
	report(t, outcomes)
}

// tearsClient reports whether a fault shows a data race of rueidis 1.0.79, which
// the race detector takes for the test's: a command that is tried again after its
// connection was lost is given back for reuse, though the writer of the lost
// connection may still be reading it. Without the detector the fault is tried.
func (f fault) tearsClient(store string) bool { return f.through && store == redisCache }

// run lets a fault happen.
func (f fault) run(t *testing.T, m medium) outcome {
	if f.file != nil {
		m.dsn = f.file(t)
	}
	s := &site{medium: m, timeout: either(500*time.Millisecond, defaultTimeout)}
	if m.name == sqlite {
		s.timeout = busyTimeout
	}
	address := f.start(t, s)
	s.load = newLoad(address, func(l *load) { l.late, l.refuses = f.late, f.refuses })
	s.load.work(t, 20)
	stays := s.stream(t)
	connections := m.connections(t)
	began := time.Now()
	f.strike(t, s)
	struck := time.Since(began)
	began = time.Now()
	s.load.work(t, 10)
	recovered := time.Since(began)
	assert.True(t, stays() || f.refuses, "a stream must not end for a store that fails")
	s.load.stop()
	s.load.broken(t)

	// A request takes four calls of the store at the most, each within the timeout.
	slowest := time.Duration(s.load.slowest.Load())
	assert.Less(t, slowest, 4*s.timeout+2*time.Second, "a request hung")
	eventually(t, "connections to end", func() bool { return m.connections(t) <= max(connections, m.pool()) })
	return outcome{
		fault: f.name, store: m.name, during: s.during, findings: s.load.findings,
		acknowledged: s.load.acknowledged(), unavailable: s.load.unavailable.Load() + s.load.refused.Load(),
		slowest: slowest, struck: struck, recovered: recovered,
	}
}

// start starts the application and returns where it is.
func (f fault) start(t *testing.T, s *site) string {
	t.Helper()
	if f.refuses {
		n := startNode(t, s.name, s.dsn)
		s.machine = n
		return n.url()
	}
	dsn, wrap := s.dsn, wrapper(nil)
	if f.through {
		s.proxy = newProxy(t, s.network, s.socket)
		dsn = s.through(s.proxy.address())
	}
	if f.stepped {
		s.clock = new(clock)
		wrap = s.clock.wrap
	}
	var err error
	s.opened, err = open(s.name, dsn, s.timeout, wrap)
	require.NoError(t, err)
	server := httptest.NewServer(newApp(s.store))
	t.Cleanup(func() {
		server.Close()
		require.NoError(t, s.close())
		eventually(t, "the store's connections to end", func() bool { return s.connections(t) == 0 })
	})
	return server.URL
}

// answers are those to one request of each kind.
type answers struct{ read, write, signIn, signOut string }

// probe makes one request of each kind, all at the same time, for the sessions of
// prepare.
func (s *site) probe(p prepared) {
	var all sync.WaitGroup
	ask := func(into *string, method, path, cookie string) {
		all.Go(func() {
			r := p.browser.send(s.load.site, method, path, cookie, "user", "probe", "key", "0", "value", "1")
			switch {
			case r.err != nil:
				*into = "no connection"
			case r.status == http.StatusOK:
				*into = "served"
			default:
				*into = http.StatusText(r.status)
			}
			if r.status == http.StatusServiceUnavailable {
				*into = "503"
			}
		})
	}
	ask(&s.during.read, http.MethodGet, "/long/state", p.read)
	ask(&s.during.write, http.MethodPost, "/long/set", p.write)
	ask(&s.during.signIn, http.MethodPost, "/long/login", "")
	ask(&s.during.signOut, http.MethodPost, "/long/logout", p.signOut)
	all.Wait()
}

// prepared are sessions for a probe, made before the fault.
type prepared struct {
	browser              browser
	read, write, signOut string
}

func (s *site) prepare(t *testing.T) prepared {
	t.Helper()
	b := newBrowser(s.load.transport)
	p := prepared{
		b, signIn(t, b, s.load.site, "probe"), signIn(t, b, s.load.site, "probe"), signIn(t, b, s.load.site, "probe"),
	}
	show(t, b, s.load.site, p.read) // a store with a cache has it there
	return p
}

// stream opens a stream that lasts as long as its session. stays closes it, and
// reports whether it was still open.
func (s *site) stream(t *testing.T) (stays func() bool) {
	t.Helper()
	b := newBrowser(s.load.transport)
	ctx, leave := context.WithCancel(context.Background())
	t.Cleanup(leave)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.load.site+"/long/stream", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Cookie", signIn(t, b, s.load.site, "listener"))
	open, err := b.http.Do(r) //nolint:bodyclose // the goroutine closes it
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, open.StatusCode, "the stream must be open before the fault")
	ended := make(chan string, 1)
	go func() {
		got, err := io.ReadAll(open.Body)
		_ = open.Body.Close()
		ended <- fmt.Sprintf("%s, %v", got, err)
	}()
	return func() bool {
		defer leave()
		select {
		case end := <-ended:
			t.Logf("the stream ended: %s", end)
			return false
		default:
			return true
		}
	}
}

// noGoroutineMore waits until as few goroutines run as before.
func noGoroutineMore(t *testing.T, before int) {
	t.Helper()
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	if t.Failed() {
		stacks := make([]byte, 1<<20)
		t.Logf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
	}
}
