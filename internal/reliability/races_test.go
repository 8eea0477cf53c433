package reliability_test

import (
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRaces has many goroutines do everything that can be done to sessions at
// random, on two processes, and judges each answer by what is known.
func TestRaces(t *testing.T) {
	total := 5 * time.Second
	if text := os.Getenv("RELIABILITY_STRESS"); text != "" {
		var err error
		total, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	for _, name := range stores {
		t.Run(name, func(t *testing.T) {
			m, w := quick(t, name), newWorld(0)
			var nodes []string
			switch name {
			case memory:
				nodes = []string{newSite(t, m)}
			case redisCache:
				w.grace = cacheLease + 500*time.Millisecond // of the scheduler of a busy machine
				fallthrough
			default:
				nodes = []string{newProcess(t, m), newProcess(t, m)}
			}
			stress(t, w, nodes, total/time.Duration(len(stores)))
		})
	}
}

// stress lets goroutines go about for a time.
func stress(t *testing.T, w *world, nodes []string, duration time.Duration) {
	t.Helper()
	const workers = 12
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	defer transport.CloseIdleConnections()
	seed := uint64(time.Now().UnixNano())
	end := time.Now().Add(duration)
	all := make([]*worker, workers)
	var running sync.WaitGroup
	for i := range all {
		all[i] = &worker{browser: newBrowser(transport), world: w, nodes: nodes, random: rand.New(rand.NewPCG(seed, uint64(i)))}
		running.Go(func() {
			for time.Now().Before(end) {
				all[i].act()
			}
		})
	}
	running.Wait()
	time.Sleep(w.grace) // from here on each node must know everything
	all[0].checkAll()
	answered := make(map[string]int)
	for _, a := range all {
		for what, n := range a.answered {
			answered[what] += n
		}
	}
	t.Logf("%d sessions, %d of them live at the end; answers: %v", w.numbers, len(w.live), answered)
	for _, what := range operations {
		if what == opTimedOut && duration < 5*briefLife {
			continue // most sessions that began in so short a time live at its end
		}
		assert.NotZero(t, answered[what], "%s never succeeded", what)
	}
	for f, texts := range w.findings {
		assert.Fail(t, string(f), "%d times, such as:\n%s", len(texts), strings.Join(texts[:min(len(texts), 5)], "\n"))
	}
}

// The operations, each of which must succeed now and then.
const (
	opSignIn   = "sign-in"
	opSwitch   = "sign-in of another user"
	opRead     = "read"
	opWrite    = "write"
	opRenew    = "renewal"
	opSignOut  = "sign-out"
	opRevoke   = "revocation"
	opLeave    = "sign-out everywhere"
	opDevices  = "list"
	opReplay   = "replay refused"
	opTimedOut = "expiry"
)

var operations = []string{opSignIn, opSwitch, opRead, opWrite, opRenew, opSignOut, opRevoke, opLeave, opDevices, opReplay, opTimedOut}

// A worker makes one request after the other, on sessions that others use as well.
type worker struct {
	browser

	world    *world
	nodes    []string
	random   *rand.Rand
	answered map[string]int
}

func (a *worker) count(what string) {
	if a.answered == nil {
		a.answered = make(map[string]int)
	}
	a.answered[what]++
}

func (a *worker) act() {
	const population = 30
	a.world.mu.Lock()
	few := len(a.world.live) < population
	a.world.mu.Unlock()
	if few && a.random.IntN(10) == 0 {
		a.signIn()
		return
	}
	t := a.world.pick(a.random, func(k *known) bool { return !k.brief || a.random.IntN(20) == 0 })
	if t == nil {
		return
	}
	switch n := a.random.IntN(1000); {
	case n < 350:
		a.read(t)
	case n < 700:
		a.write(t)
	case n < 780:
		a.renew(t)
	case n < 790:
		a.signOut(t)
	case n < 805:
		a.revoke(t)
	case n < 810:
		a.leave(t)
	case n < 820:
		a.switchUser(t)
	case n < 850:
		a.devices(t)
	default:
		a.replay()
	}
}

// exchange is a request and its answer.
type exchange struct {
	response
	span

	node int
}

func (a *worker) ask(method, path, cookie string, brief bool, query ...string) exchange {
	group := "/long"
	if brief {
		group = "/brief"
	}
	x := exchange{node: a.random.IntN(len(a.nodes))}
	x.sent = time.Now()
	x.response = a.send(a.nodes[x.node], method, group+path, cookie, query...)
	x.answered = time.Now()
	return x
}

func (x exchange) moment() moment { return moment{x.answered, x.node} }

// use makes a request with a cookie, and reports whether it was carried out. The
// world is locked when it returns.
func (a *worker) use(what string, t *ticket, method, path string, query ...string) (exchange, bool) {
	x := a.ask(method, path, t.cookie, t.brief, query...)
	w := a.world
	w.mu.Lock()
	defer func() {
		if x.answered.After(t.used.answered) {
			t.used.answered = x.answered
		}
	}()
	switch {
	case x.err != nil:
		w.found(unanswered, "%s: %v", what, x.err)
	case x.status == http.StatusOK && w.mustBeGone(t, x.node, x.sent):
		w.found(revived, "%s on node %d, sent %v after the end, shows session %d of %s",
			what, x.node, x.sent.Sub(later(t.ended.at, t.dead.at)), t.number, x.state.User)
	case x.status == http.StatusOK:
		if x.state.User != t.user {
			w.found(foreign, "%s of %s shows the session of %q", what, t.user, x.state.User)
		}
		// A use that is saved when the session may have run out meanwhile may not count.
		if earliest, _ := t.expires(); x.sent.After(t.used.sent) && (!t.brief || x.answered.Before(earliest)) {
			t.used.sent = x.sent
		}
		a.count(what)
		return x, true
	case !t.mayBeGone(x.answered):
		w.found(signedOut, "%s of %s is answered with %d", what, t.user, x.status)
	case x.status == http.StatusUnauthorized && t.current == t && t.mayDie.IsZero():
		if t.mayEnd.IsZero() {
			a.count(opTimedOut)
		}
		w.bury(t.known, x.moment())
	case x.status != http.StatusUnauthorized && x.status != http.StatusServiceUnavailable:
		w.found(unanswered, "%s: status %d", what, x.status)
	}
	return x, false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
