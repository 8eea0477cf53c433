package reliability_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// A world is what is known of all sessions, from the times at which requests were
// sent and answered. Requests that ran at the same time may have happened in either
// order; one that was answered before another was sent came first.
type world struct {
	grace time.Duration // a node may answer from what it knew so long ago, of what another node did

	mu       sync.Mutex
	numbers  int
	live     []*known  // in use, not known to have ended
	over     []*ticket // that must open nothing
	leaving  map[string]*leaving
	findings map[finding][]string
}

// A known is a session.
type known struct {
	number   int
	user     string
	brief    bool
	current  *ticket
	signedIn span
	used     span      // sent: the last use that was acknowledged; answered: the last request of any outcome
	mayEnd   time.Time // when the first request that may end it was sent; zero: none was
	ended    moment    // when one was answered that did
	values   [len(others)]history
}

// A ticket is one cookie of a session.
type ticket struct {
	*known

	cookie, id string
	renewed    bool      // another cookie has its place
	mayDie     time.Time // as mayEnd, of this cookie alone
	dead       moment
}

type span struct{ sent, answered time.Time }

// A moment is when a node has answered.
type moment struct {
	at   time.Time
	node int
}

// leaving are a user's requests to end all sessions.
type leaving struct {
	running int
	ended   time.Time // the last one
}

// A history is what one value has been.
type history struct {
	writing sync.Mutex // one request writes it at a time
	highest int        // of those that were sent
	written []written  // that were acknowledged
}

type written struct {
	moment

	value int
}

func newWorld(grace time.Duration) *world {
	return &world{grace: grace, leaving: make(map[string]*leaving), findings: make(map[finding][]string)}
}

func (w *world) found(f finding, format string, args ...any) {
	w.findings[f] = append(w.findings[f], fmt.Sprintf(format, args...))
}

// has reports whether a node must know at a time what happened at a moment.
func (w *world) has(m moment, node int, at time.Time) bool {
	if m.at.IsZero() {
		return false
	}
	if m.node != node {
		return m.at.Add(w.grace).Before(at)
	}
	return m.at.Before(at)
}

// signedIn notes a new session.
func (w *world) signedIn(user string, brief bool, r response, sent span) *ticket {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.numbers++
	k := &known{number: w.numbers, user: user, brief: brief, signedIn: sent, used: sent}
	if l := w.leaving[user]; l != nil && (l.running > 0 || l.ended.After(sent.sent)) {
		k.mayEnd = sent.sent // it may have been seen by one of those
	}
	k.current = &ticket{known: k, cookie: r.cookie}
	w.live = append(w.live, k)
	return k.current
}

// pick returns the cookie of some session, nil if there is none.
func (w *world) pick(random *rand.Rand, like func(*known) bool) *ticket {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range 10 {
		if len(w.live) == 0 {
			return nil
		}
		if k := w.live[random.IntN(len(w.live))]; like(k) {
			return k.current
		}
	}
	return nil
}

// bury takes a session out of use. The caller holds the lock.
func (w *world) bury(k *known, m moment) {
	if i := slices.Index(w.live, k); i >= 0 {
		w.live = slices.Delete(w.live, i, i+1)
	}
	if k.ended.at.IsZero() {
		k.ended = m
	}
	w.retire(k.current)
}

// retire keeps a cookie to try again later. The caller holds the lock.
func (w *world) retire(t *ticket) {
	const most = 1000
	if len(w.over) < most {
		w.over = append(w.over, t)
		return
	}
	w.over[rand.IntN(most)] = t
}

// A session that is not used ends by itself: at this time at the earliest, and at
// the latest.
func (k *known) expires() (earliest, latest time.Time) {
	const recorded = briefIdle / 10
	rounding := 20 * time.Millisecond
	if raceEnabled { // which makes requests slow
		rounding *= 3
	}
	earliest, latest = k.signedIn.sent.Add(briefLife), k.signedIn.answered.Add(briefLife)
	if idle := k.used.sent.Add(briefIdle); idle.Before(earliest) {
		earliest = idle
	}
	if idle := k.used.answered.Add(briefIdle + recorded); idle.Before(latest) {
		latest = idle
	}
	return earliest.Add(-rounding), latest.Add(rounding)
}

// mayBeGone reports whether a cookie may be refused by an answer that came at a
// time.
func (t *ticket) mayBeGone(at time.Time) bool {
	if earliest, _ := t.expires(); t.brief && !at.Before(earliest) {
		return true
	}
	return !t.mayEnd.IsZero() || !t.mayDie.IsZero()
}

// mustBeGone reports whether a request that was sent to a node at a time must find
// no session.
func (w *world) mustBeGone(t *ticket, node int, at time.Time) bool {
	if _, latest := t.expires(); t.brief && at.After(latest) {
		return true
	}
	return w.has(t.ended, node, at) || w.has(t.dead, node, at)
}

// lowest returns what a value must be at least, to a request sent to a node at a
// time.
func (w *world) lowest(h *history, node int, at time.Time) int {
	for _, v := range slices.Backward(h.written) {
		if w.has(v.moment, node, at) {
			return v.value
		}
	}
	return 0
}
