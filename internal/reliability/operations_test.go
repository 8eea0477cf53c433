package reliability_test

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

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
	t.current = &ticket{known: t.known, cookie: x.cookie}
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
