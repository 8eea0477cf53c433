package reliability_test

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
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
				w.orphan = orphans(t, m)
				fallthrough
			default:
				nodes = []string{newProcess(t, m), newProcess(t, m)}
			}
			stress(t, w, nodes, total/time.Duration(len(stores)))
		})
	}
}

// orphans returns a function that leaves an entry in a user's index in Redis, as a
// session does that has expired.
func orphans(t *testing.T, m medium) func(user string) {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{m.dsn}})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return func(user string) {
		end := float64(time.Now().Add(time.Hour).UnixMilli())
		entry := client.B().Zadd().Key("session:user:"+user).ScoreMember().ScoreMember(end, crand.Text()).Build()
		assert.NoError(t, client.Do(context.Background(), entry).Error())
	}
}

// stress lets goroutines go about for a time, and until each operation has succeeded.
func stress(t *testing.T, w *world, nodes []string, duration time.Duration) {
	t.Helper()
	const (
		workers = 12
		longest = time.Minute // for what succeeds seldom
	)
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	defer transport.CloseIdleConnections()
	seed := uint64(time.Now().UnixNano())
	end := time.Now().Add(duration)
	done := tally{wanted: operations, counts: make(map[string]int)}
	if duration < 5*briefLife { // most sessions that began in so short a time live at its end
		done.wanted = slices.DeleteFunc(slices.Clone(operations), func(what string) bool { return what == opTimedOut })
	}
	all := make([]*worker, workers)
	var running sync.WaitGroup
	for i := range all {
		all[i] = &worker{browser: newBrowser(transport), world: w, nodes: nodes, answered: &done, random: rand.New(rand.NewPCG(seed, uint64(i)))}
		running.Go(func() {
			for time.Now().Before(end) || len(done.missing()) > 0 && time.Now().Before(end.Add(longest)) {
				all[i].act()
			}
		})
	}
	running.Wait()
	time.Sleep(w.grace) // from here on each node must know everything
	all[0].checkAll()
	t.Logf("%d sessions, %d of them live at the end; answers: %v", w.numbers, len(w.live), done.counts)
	assert.Empty(t, done.missing(), "these never succeeded")
	for f, texts := range w.findings {
		assert.Fail(t, string(f), "%d times, such as:\n%s", len(texts), strings.Join(texts[:min(len(texts), 5)], "\n"))
	}
}

// The operations, each of which must succeed at least once.
const (
	opSignIn   = "sign-in"
	opSwitch   = "sign-in of another user"
	opRead     = "read"
	opWrite    = "write"
	opRenew    = "renewal"
	opSignOut  = "sign-out"
	opRevoke   = "revocation"
	opLeave    = "sign-out everywhere"
	opOthers   = "sign-out of others"
	opAgain    = "sign-in twice at a time"
	opStorm    = "renewals in a row"
	opLate     = "visitor's late answer"
	opDevices  = "list"
	opReplay   = "replay refused"
	opTimedOut = "expiry"
)

var operations = []string{opSignIn, opSwitch, opRead, opWrite, opRenew, opSignOut, opRevoke, opLeave, opOthers, opAgain, opStorm, opLate, opDevices, opReplay, opTimedOut}

// A worker makes one request after the other, on sessions that others use as well.
type worker struct {
	browser

	world    *world
	nodes    []string
	random   *rand.Rand
	answered *tally
}

func (a *worker) count(what string) { a.answered.count(what) }

// A tally counts what succeeded.
type tally struct {
	wanted []string

	mu     sync.Mutex
	counts map[string]int
}

func (n *tally) count(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts[what]++
}

// missing returns what was wanted and has not succeeded yet.
func (n *tally) missing() (none []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, what := range n.wanted {
		if n.counts[what] == 0 {
			none = append(none, what)
		}
	}
	return none
}

func (a *worker) act() {
	const population = 30
	a.world.mu.Lock()
	few := len(a.world.live) < population
	a.world.mu.Unlock()
	if few && a.random.IntN(10) == 0 {
		if a.random.IntN(4) == 0 {
			a.late()
		} else {
			a.signIn()
		}
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
	case n < 770:
		a.renew(t)
	case n < 775:
		a.storm(t)
	case n < 780:
		a.signInAgain(t)
	case n < 790:
		a.signOut(t)
	case n < 805:
		a.revoke(t)
	case n < 808:
		a.leave(t)
	case n < 812:
		a.others(t)
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
