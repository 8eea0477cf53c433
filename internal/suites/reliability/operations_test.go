package reliability_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

func (a *worker) signIn() {
	user, brief, planted := userName(a.random.IntN(4)), a.random.IntN(3) == 0, ""
	if brief {
		user = "brief-" + user // nobody else ends their sessions
	}
	a.world.mu.Lock()
	if n := len(a.world.over); n > 0 {
		planted = a.world.plant(a.world.over[a.random.IntN(n)])
	}
	a.world.mu.Unlock()
	if t := a.newSession(user, planted, brief, nil); t != nil {
		a.count(opSignIn)
	}
}

// newSession signs a user in, with a cookie that the browser has, and returns the
// session; nil if the user's sessions were ended meanwhile. It may go on from a
// parent.
func (a *worker) newSession(user, cookie string, brief bool, parent *known) *ticket {
	x := a.ask(http.MethodPost, "/login", cookie, brief, "user", user)
	switch {
	case a.world.refused(user, parent, x):
		return nil
	case x.status != http.StatusOK || x.cookie == "" || x.cookie == cookie:
		a.world.mu.Lock()
		defer a.world.mu.Unlock()
		a.world.found(unanswered, "a sign-in: %v", x.response)
		return nil
	}
	return a.world.signedIn(user, brief, parent, x.response, x.span)
}

// signInAgain signs the user in once more, by several requests at the same time, as
// a double click does. What the session was before goes on in one of them.
func (a *worker) signInAgain(t *ticket) {
	a.may(&t.mayEnd)
	var group sync.WaitGroup
	var mu sync.Mutex
	var began []*ticket
	for range 2 {
		seed := a.random.Uint64()
		group.Go(func() {
			other := &worker{browser: a.browser, world: a.world, nodes: a.nodes, random: rand.New(rand.NewPCG(seed, 0))}
			if n := other.newSession(t.user, t.cookie, t.brief, t.known); n != nil {
				mu.Lock()
				defer mu.Unlock()
				began = append(began, n)
			}
		})
	}
	group.Wait()
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	if len(began) == 0 {
		return
	}
	if len(began) == 2 {
		a.count(opAgain)
	}
	a.replaced(t)
}

// replaced notes that another sign-in has taken the place of a cookie. The session
// lives on if it was renewed before.
func (a *worker) replaced(t *ticket) {
	now := moment{time.Now(), a.world.anyNode()}
	if t.dead.at.IsZero() {
		t.dead = now
	}
	if t.current == t && t.mayDie.IsZero() {
		a.world.bury(t.known, now)
	}
}

// storm gives a session one new ID after the other.
func (a *worker) storm(t *ticket) {
	for range 10 {
		a.renew(t)
		a.world.mu.Lock()
		next := t.current
		a.world.mu.Unlock()
		if next == t {
			return
		}
		t = next
	}
	a.count(opStorm)
}

// late has a visitor sign in while another request of the same browser is under
// way. Whatever becomes of that one, it must not take the browser's cookie away.
func (a *worker) late() {
	visit := a.ask(http.MethodPost, "/visit", "", false)
	if visit.status != http.StatusOK || visit.cookie == "" {
		return
	}
	seed := a.random.Uint64()
	slow := make(chan exchange)
	go func() {
		other := &worker{browser: a.browser, world: a.world, nodes: a.nodes, random: rand.New(rand.NewPCG(seed, 0))}
		slow <- other.ask(http.MethodPost, "/slow", visit.cookie, false)
	}()
	t := a.newSession(userName(a.random.IntN(4)), visit.cookie, false, nil)
	x := <-slow
	if t == nil {
		return
	}
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	if x.cookie != "" {
		a.world.found(signedOut, "a request that was sent before the sign-in sets a cookie over it: %v", x.response)
	}
	a.count(opLate)
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
		if t.parent != nil {
			break
		}
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

// beginRenewal notes that a request is about to be sent that gives a session another ID, and
// returns how many do so already.
func (a *worker) beginRenewal(t *ticket) (others int) {
	a.may(&t.mayDie)
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	t.renewing++
	return t.renewing - 1
}

func (a *worker) renew(t *ticket) {
	others := a.beginRenewal(t)
	x, ok := a.use(opRenew, t, http.MethodPost, "/renew")
	defer a.world.mu.Unlock()
	defer func() { t.renewing-- }()
	if !ok {
		return
	}
	if x.cookie == "" { // another request was faster, whose response has the cookie
		if others == 0 && t.renewing == 1 && !t.renewed && t.mayEnd.IsZero() {
			a.world.found(unsaved, "a renewal of session %d sets no cookie: %v", t.number, x.response)
		}
		return
	}
	a.renewed(t, x)
}

// renewed goes on with the cookie that a request has returned.
func (a *worker) renewed(t *ticket, x exchange) {
	if t.renewed {
		a.world.found(unsaved, "session %d was renewed twice under one ID: %v", t.number, x.response)
	}
	t.renewed, t.dead = true, x.moment()
	a.world.retire(t)
	t.current = &ticket{known: t.known, cookie: x.cookie}
	if !t.ended.at.IsZero() {
		a.world.retire(t.current)
	}
}

func (a *worker) signOut(t *ticket) {
	a.may(&t.mayEnd)
	a.doom(t)
	x, ok := a.use(opSignOut, t, http.MethodPost, "/logout")
	defer a.world.mu.Unlock()
	if ok {
		a.world.bury(t.known, x.moment())
	}
}

// doom notes that a request is about to be sent that ends a session under whatever
// ID it has.
func (a *worker) doom(t *ticket) {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	t.doomed = true
}

// revoke ends another session of the same user by its ID, also if that has another
// one by then.
func (a *worker) revoke(t *ticket) {
	victim := a.world.pick(a.random, func(k *known) bool { return k.user == t.user && k != t.known && k.current.id != "" })
	if victim == nil {
		return
	}
	a.may(&victim.mayEnd)
	a.doom(victim)
	x, ok := a.use(opRevoke, t, http.MethodPost, "/revoke", "id", victim.id)
	defer a.world.mu.Unlock()
	if !ok {
		return
	}
	a.world.bury(victim.known, x.moment())
}

// leave ends all sessions of a user, and others all but the one that asks, which gets another ID.
func (a *worker) leave(t *ticket)  { a.endAll(t, opLeave, "/everywhere", false) }
func (a *worker) others(t *ticket) { a.endAll(t, opOthers, "/others", true) }

func (a *worker) endAll(t *ticket, what, path string, spare bool) {
	w := a.world
	if w.orphan != nil && a.random.IntN(4) == 0 {
		w.orphan(t.user)
	}
	w.mu.Lock()
	l := w.leaving[t.user]
	if l == nil {
		l = new(leaving)
		w.leaving[t.user] = l
	}
	l.running++
	var all []*known
	for _, k := range w.live {
		if k.user == t.user && (!spare || k != t.known) {
			all = append(all, k)
			if k.mayEnd.IsZero() {
				k.mayEnd = time.Now()
			}
		}
	}
	w.mu.Unlock()
	if spare {
		a.beginRenewal(t)
	}
	x, ok := a.use(what, t, http.MethodPost, path)
	defer w.mu.Unlock()
	l.running--
	l.ended = x.answered
	if spare {
		t.renewing--
	}
	if !ok {
		return
	}
	if spare && x.cookie != "" { // else another request was faster
		a.renewed(t, x)
	}
	for _, k := range all {
		w.bury(k, x.moment())
	}
}

// switchUser signs another user in, in the browser of somebody who is signed in.
func (a *worker) switchUser(t *ticket) {
	a.may(&t.mayEnd)
	a.doom(t)
	user := t.user + "'s guest"
	if a.newSession(user, t.cookie, t.brief, nil) == nil {
		return
	}
	a.count(opSwitch)
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	a.replaced(t)
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
