package reliability_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const (
	clients  = 8
	pace     = 2 * time.Millisecond // between two requests of a client
	recovery = 20 * time.Second     // a server may take so long to start
)

// A finding is a rule that was broken.
type finding string

const (
	lost       finding = "a write that was acknowledged is lost"
	revived    finding = "a session that was ended lives again"
	signedOut  finding = "a user is signed out who should not be"
	unsaved    finding = "a success that was not saved, or a failure that looks like one"
	foreign    finding = "a user sees the session of another"
	unanswered finding = "a request is not answered, or not as it should be"
)

// A load is a number of clients that use an application until they are told to
// stop.
type load struct {
	site    string
	refuses bool // the application itself is killed: connections fail meanwhile
	late    bool // a server that hung may carry out later what was given up

	clients     []*client
	running     sync.WaitGroup
	stopping    chan struct{}
	transport   *http.Transport
	unavailable atomic.Int64
	refused     atomic.Int64
	slowest     atomic.Int64

	mu       sync.Mutex
	findings map[finding][]string
}

// newLoad starts the clients.
func newLoad(site string, adjust func(*load)) *load {
	l := &load{
		site: site, stopping: make(chan struct{}), findings: make(map[finding][]string),
		transport: &http.Transport{MaxIdleConnsPerHost: clients},
	}
	if adjust != nil {
		adjust(l)
	}
	for i := range clients {
		c := &client{browser: newBrowser(l.transport), load: l, user: userName(i), rand: rand.New(rand.NewPCG(uint64(i), 1))}
		l.clients = append(l.clients, c)
		l.running.Go(func() {
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			for {
				select {
				case <-l.stopping:
					return
				case <-ticker.C:
					c.step()
				}
			}
		})
	}
	return l
}

func (l *load) found(f finding, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.findings[f] = append(l.findings[f], fmt.Sprintf(format, args...))
}

func (l *load) took(d time.Duration) {
	for {
		was := l.slowest.Load()
		if int64(d) <= was || l.slowest.CompareAndSwap(was, int64(d)) {
			return
		}
	}
}

// work waits until each client has had n requests acknowledged from now on.
func (l *load) work(t *testing.T, n int64) {
	t.Helper()
	goals := make([]int64, len(l.clients))
	for i, c := range l.clients {
		goals[i] = c.done.Load() + n
	}
	eventually(t, "each client to be served", func() bool {
		for i, c := range l.clients {
			if c.done.Load() < goals[i] {
				return false
			}
		}
		return true
	})
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(recovery); !ready(); {
		if time.Now().After(end) {
			t.Errorf("waited %v for %s", recovery, what)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// stop ends the load and compares what is there with what must be there.
func (l *load) stop() {
	close(l.stopping)
	l.running.Wait()
	for _, c := range l.clients {
		c.settle()
	}
	l.transport.CloseIdleConnections()
}

// acknowledged returns how many requests were.
func (l *load) acknowledged() (n int64) {
	for _, c := range l.clients {
		n += c.done.Load()
	}
	return n
}

// broken reports each rule that was broken.
func (l *load) broken(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for f, all := range l.findings {
		assert.Fail(t, string(f), "%d times, such as:\n%s", len(all), strings.Join(all[:min(len(all), 5)], "\n"))
	}
}
