package reliability_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
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
	orphan   func(user string) // leaves an entry in the user's index that has no session; nil: there is no index
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
	parent   *known // that it may have gone on from: with its values, and by its IDs
	doomed   bool   // a request was sent that ends it, and what may have gone on from it
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
	renewing   int       // requests that would give it one
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

// anyNode is a node other than all that there are: of what happened there, each of
// them may know a moment later.
func (w *world) anyNode() int { return -1 }

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

// refused reports whether a sign-in was refused because all of the user's sessions
// were being ended at the time, or one that it goes on from.
func (w *world) refused(user string, parent *known, x exchange) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return x.status == http.StatusServiceUnavailable && x.cookie == "" &&
		(w.isLeaving(user, x.sent) || parent.isDoomed())
}

// isDoomed reports whether a request was sent that ends a session, or one that it may
// have gone on from.
func (k *known) isDoomed() bool {
	for ; k != nil; k = k.parent {
		if k.doomed {
			return true
		}
	}
	return false
}

// isLeaving reports whether a sign-in that was sent at a time may meet a request
// that ends all of the user's sessions.
func (w *world) isLeaving(user string, sent time.Time) bool {
	l := w.leaving[user]
	return l != nil && (l.running > 0 || l.ended.After(sent))
}

// plant returns a cookie with which somebody else signs in. A node that may not know
// yet that it opens nothing ends what it stands for. The caller holds the lock.
func (w *world) plant(t *ticket) (cookie string) {
	if !w.has(moment{later(t.ended.at, t.dead.at), w.anyNode()}, 0, time.Now()) {
		t.doomed = true
		if t.mayEnd.IsZero() {
			t.mayEnd = time.Now()
		}
	}
	return t.cookie
}

// signedIn notes a new session.
func (w *world) signedIn(user string, brief bool, parent *known, r response, sent span) *ticket {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.numbers++
	k := &known{number: w.numbers, user: user, brief: brief, parent: parent, signedIn: sent, used: sent}
	if w.isLeaving(user, sent.sent) {
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
	return !t.mayEnd.IsZero() || !t.mayDie.IsZero() || t.parent.isDoomed()
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
