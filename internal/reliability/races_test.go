package reliability_test

import (
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
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
		if x.sent.After(t.used.sent) {
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

func (a *worker) signIn() {
	user, brief, planted := userName(a.random.IntN(4)), a.random.IntN(3) == 0, ""
	if brief {
		user = "brief-" + user // nobody else ends their sessions
	}
	a.world.mu.Lock()
	if n := len(a.world.over); n > 0 {
		planted = a.world.over[a.random.IntN(n)].cookie
	}
	a.world.mu.Unlock()
	x := a.ask(http.MethodPost, "/login", planted, brief, "user", user)
	if x.status != http.StatusOK || x.cookie == "" || x.cookie == planted {
		a.world.mu.Lock()
		defer a.world.mu.Unlock()
		a.world.found(unanswered, "a sign-in: %v", x.response)
		return
	}
	a.world.signedIn(user, brief, x.response, x.span)
	a.count(opSignIn)
}

func (a *worker) read(t *ticket) {
	x, ok := a.use(opRead, t, http.MethodGet, "/state")
	defer a.world.mu.Unlock()
	if !ok {
		return
	}
	if t.id == "" {
		t.id = x.state.ID
	}
	if t.id != x.state.ID {
		a.world.found(foreign, "session %d has the IDs %s and %s under one cookie", t.number, t.id, x.state.ID)
	}
	for i := range t.values {
		h := &t.values[i]
		low, got := a.world.lowest(h, x.node, x.sent), x.state.Others[i]
		if got < low || got > h.highest {
			a.world.found(lost, "value %d of session %d is %d on node %d and should be %d to %d", i, t.number, got, x.node, low, h.highest)
		}
	}
}

// write puts a number that is higher than all before it, and no other session has.
func (a *worker) write(t *ticket) {
	key := a.random.IntN(len(t.values))
	h := &t.values[key]
	if !h.writing.TryLock() {
		a.read(t)
		return
	}
	defer h.writing.Unlock()
	a.world.mu.Lock()
	if h.highest == 0 {
		h.highest = t.number * 1_000_000
	}
	h.highest++
	value := h.highest
	a.world.mu.Unlock()
	x, ok := a.use(opWrite, t, http.MethodPost, "/set", "key", strconv.Itoa(key), "value", strconv.Itoa(value))
	defer a.world.mu.Unlock()
	if ok {
		h.written = append(h.written, written{x.moment(), value})
	}
}

// may notes that a request is about to be sent that may end something.
func (a *worker) may(end *time.Time) {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	if end.IsZero() {
		*end = time.Now()
	}
}

func (a *worker) renew(t *ticket) {
	a.may(&t.mayDie)
	x, ok := a.use(opRenew, t, http.MethodPost, "/renew")
	defer a.world.mu.Unlock()
	if !ok {
		return
	}
	if x.cookie == "" || t.renewed {
		a.world.found(unsaved, "a renewal of session %d, which was renewed before: %v: %v", t.number, t.renewed, x.response)
	}
	t.renewed, t.dead = true, x.moment()
	a.world.retire(t)
	t.current = &ticket{known: t.known, cookie: x.cookie, made: x.answered}
	if !t.ended.at.IsZero() {
		a.world.retire(t.current)
	}
}

func (a *worker) signOut(t *ticket) {
	a.may(&t.mayEnd)
	x, ok := a.use(opSignOut, t, http.MethodPost, "/logout")
	defer a.world.mu.Unlock()
	if ok {
		a.world.bury(t.known, x.moment())
	}
}

// revoke ends another session of the same user by its ID. If that has another ID
// by then, nothing happens to it.
func (a *worker) revoke(t *ticket) {
	victim := a.world.pick(a.random, func(k *known) bool { return k.user == t.user && k != t.known && k.current.id != "" })
	if victim == nil {
		return
	}
	a.may(&victim.mayEnd)
	x, ok := a.use(opRevoke, t, http.MethodPost, "/revoke", "id", victim.id)
	defer a.world.mu.Unlock()
	if !ok {
		return
	}
	if victim.dead.at.IsZero() {
		victim.dead = x.moment()
	}
	if victim.current == victim && victim.mayDie.IsZero() {
		a.world.bury(victim.known, x.moment())
	}
}

// leave ends all sessions of a user.
func (a *worker) leave(t *ticket) {
	w := a.world
	w.mu.Lock()
	l := w.leaving[t.user]
	if l == nil {
		l = new(leaving)
		w.leaving[t.user] = l
	}
	l.running++
	var all []*known
	for _, k := range w.live {
		if k.user == t.user {
			all = append(all, k)
			if k.mayEnd.IsZero() {
				k.mayEnd = time.Now()
			}
		}
	}
	w.mu.Unlock()
	x, ok := a.use(opLeave, t, http.MethodPost, "/everywhere")
	defer w.mu.Unlock()
	l.running--
	l.ended = x.answered
	if !ok {
		return
	}
	for _, k := range all {
		w.bury(k, x.moment())
	}
}

// switchUser signs another user in, in the browser of somebody who is signed in.
func (a *worker) switchUser(t *ticket) {
	a.may(&t.mayEnd)
	user := t.user + "'s guest"
	x := a.ask(http.MethodPost, "/login", t.cookie, t.brief, "user", user)
	if x.status != http.StatusOK || x.cookie == "" || x.cookie == t.cookie {
		a.world.mu.Lock()
		defer a.world.mu.Unlock()
		a.world.found(unanswered, "a sign-in of another user: %v", x.response)
		return
	}
	a.world.signedIn(user, t.brief, x.response, x.span)
	a.count(opSwitch)
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	if t.dead.at.IsZero() {
		t.dead = x.moment()
	}
	if t.current == t && t.mayDie.IsZero() {
		a.world.bury(t.known, x.moment())
	}
}

// devices compares a user's list with what is known. The server makes it.
func (a *worker) devices(t *ticket) {
	w := a.world
	w.mu.Lock()
	var listed []*ticket
	for _, k := range w.live {
		if k.user == t.user && k.current.id != "" {
			listed = append(listed, k.current)
		}
	}
	over := slices.Clone(w.over)
	w.mu.Unlock()
	x, ok := a.use(opDevices, t, http.MethodGet, "/devices")
	defer w.mu.Unlock()
	if !ok {
		return
	}
	for _, other := range listed {
		if !other.mayBeGone(x.answered) && !slices.Contains(x.state.Devices, other.id) {
			w.found(lost, "the list of %s lacks session %d", t.user, other.number)
		}
	}
	for _, other := range over {
		if other.id != "" && w.has(moment{later(other.ended.at, other.dead.at), x.node}, x.node, x.sent) && slices.Contains(x.state.Devices, other.id) {
			w.found(revived, "the list of %s has session %d, which was ended", t.user, other.number)
		}
	}
}

// replay uses a cookie of a session that was ended.
func (a *worker) replay() {
	a.world.mu.Lock()
	n := len(a.world.over)
	var t *ticket
	if n > 0 {
		t = a.world.over[a.random.IntN(n)]
	}
	a.world.mu.Unlock()
	if t != nil {
		a.replayOf(t)
	}
}

func (a *worker) replayOf(t *ticket) {
	x, ok := a.use("replay", t, http.MethodGet, "/state")
	defer a.world.mu.Unlock()
	if !ok && x.status == http.StatusUnauthorized {
		a.count(opReplay)
	}
}

// checkAll tries everything once more when nothing else happens.
func (a *worker) checkAll() {
	for range a.nodes { // one is chosen at random
		for _, k := range slices.Clone(a.world.live) {
			a.read(k.current)
		}
		for _, t := range a.world.over {
			a.replayOf(t)
		}
	}
}
