package sessionkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/client"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/keeper"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/response"
	"github.com/gin-sessionkit/sessionkit/internal/resume"
	"github.com/gin-sessionkit/sessionkit/internal/session"
	"github.com/gin-sessionkit/sessionkit/internal/token"
	"github.com/gin-sessionkit/sessionkit/store"
)

// request is what this package knows of one request, between the browser, the
// application and the session, if anything asks for one.
type request struct {
	kit    *kit
	c      *gin.Context // used while the request runs
	r      *http.Request
	began  time.Duration // after the program
	writer response.Writer

	mu      sync.Mutex
	pending *pendingCalls // nil: none

	*loaded // nil: nothing has asked for the session

	arrived  *arrived // nil: nothing
	flashes  *flashes // nil: none yet
	returnTo *string  // what NextURL has returned, if a redirect would change it; nil: it would not

	bearer     bool // it comes from a client without cookies
	cookieless bool // its route is one of Config.CookielessRoutes
	guarded    bool // the response is for this user alone
	refusing   bool // it is refused as another site's: see refuseOrigin
	serving    bool // it is one for the binder itself
	arriving   bool // it is about to be found out whether the browser is to send the request again
	panicked   bool // the handlers have
	closed     bool // the middleware has returned
}

// loaded is what a request knows of its session. Most requests for pictures and the
// like never ask, and have none.
type loaded struct {
	session session.Session
	handle  keeper.Handle      // of the stored session
	left    *left              // of the session that the browser named; nil: nothing
	adopted *adopted           // what an old cookie named, in a store that is being moved from
	view    *gsessions.Session // the values as gin-contrib/sessions sees them; nil until asked for
	noted   *note              // the epoch of a user; nil: that of the request's beginning counts
	watched *watched           // nil: nobody waits for the session's end
	vary    [1]string          // the Vary header's value

	entry resume.Entry[*request] // it is listed once anything has changed: the handlers may be run once more

	brought
	reply
	progress
	binding

	valuesUser string // who is signed in by the application's own values, as far as that has been followed
}

// left is what is left of a session: it got a new ID or was replaced a moment ago, or its
// user signed out, or it has expired.
type left struct {
	keeper.Kept
	next *left // of a further one, if both have expired
}

// brought is what the browser has sent.
type brought struct {
	secureCookie, plainCookie bool // a session cookie of this name came
	expired                   bool // the cookie names a sign-in that has expired
	revoked                   bool // the cookie names a sign-in that was ended from elsewhere
}

// reply is what the response has to say of the session.
type reply struct {
	sends    bool // it gives the client the session's secret
	clearing bool // the commit is to take the cookie from the browser, unless another one follows
	clears   bool // and has
	given    bool // this request has given the session its ID: the cookie that came does not lead there
}

// progress is how far the request has come.
type progress struct {
	loadErr error // the stored session could not be read: it must not be written
	bad     error // a change that cannot be saved, such as a value that does not encode
	saveErr error // the commit failed

	asked    bool  // the handler has asked whether the session could be read
	early    bool  // Save has stored it
	reported bool  // bad was
	tooLate  uint8 // how many changes after the request were reported

	// inTurn means that an Update has its turn, or waits for it: one within it must not
	// wait as well.
	inTurn atomic.Bool
}

// pendingCalls are the calls of OnEvent and OnError that wait until the request's
// lock is free: what they call may need it.
type pendingCalls struct {
	events []Event
	errs   []error
}

// make makes the calls.
func (p *pendingCalls) make(k *kit, c *gin.Context) {
	for _, e := range p.events {
		if k.OnEvent != nil {
			k.OnEvent(c, e)
		}
	}
	for _, err := range p.errs {
		k.OnError(c, err)
	}
}

// started is when the program began. To tell the time since then takes half as long as to
// tell what time it is, and all requests have to tell when they began.
var started = time.Now()

// Context implements [resume.Request].
func (q *request) Context() *gin.Context { return q.c }

func (q *request) lock() { q.mu.Lock() }

// unlock makes the calls of OnEvent and OnError that came up, with the context that
// the caller has: the request's own may be another's by then.
func (q *request) unlock(c *gin.Context) {
	calls := q.pending
	q.pending = nil
	q.mu.Unlock()
	if calls != nil {
		calls.make(q.kit, c)
	}
}

// context returns the context for a caller that has none. After the request it is one
// that cannot answer, as by c.Copy: gin has given the request's own to another by then.
// Gin exports no other way to make one than that for tests.
func (q *request) context() *gin.Context {
	if !q.closed {
		return q.c
	}
	c := gin.CreateTestContextOnly(nil, new(gin.Engine))
	c.Request = q.r
	c.Set(sessions.DefaultKey, (*ginSession)(q))
	return c
}

// tell notes an event, of which OnEvent hears when the lock is free.
func (q *request) tell(e Event) {
	if q.kit.OnEvent == nil {
		return
	}
	q.calls().events = append(q.calls().events, e)
}

func (q *request) calls() *pendingCalls {
	if q.pending == nil {
		q.pending = new(pendingCalls)
	}
	return q.pending
}

// load reads the session, once. With fresh the one that the request goes on with is
// read again, past any cache, unless the request has changed it.
func (q *request) load(fresh bool) {
	switch {
	case q.loaded == nil && q.arrived != nil && !fresh:
		q.loaded, q.pending, q.arrived = q.arrived.loaded, q.arrived.pending, nil
		q.session.Passive, q.asked = q.session.Passive || q.panicked, q.panicked
	case q.loaded == nil:
		q.loaded = new(loaded)
		q.session.Policy, q.session.Passive = &q.kit.policy, q.panicked
		q.asked = q.panicked
		q.read("", fresh)
	case fresh && q.session.ID() != "" && q.untouched():
		q.readAgain()
	}
}

func (q *request) readAgain() {
	before, followed := q.kept(), q.followed()
	q.revoked, q.binding = false, binding{offer: q.offer, told: q.told}
	q.onlyExpired()
	q.start(&keeper.Kept{}, false)
	if followed {
		q.followAgain(before)
	} else {
		q.read(before.Cookie, true)
	}
	if q.loadErr != nil {
		q.undoEarly(before)
	}
}

// followed reports whether this request has found its session under the ID that another
// one has given it, with a cookie that only that one knows.
func (q *request) followed() bool {
	return q.session.ID() != "" && q.handle.Cookie == "" && !q.handle.ToMove()
}

// followAgain opens a session that was followed.
func (q *request) followAgain(before keeper.Kept) {
	q.loadErr = errLoading // which stays if the store panics
	k, found, err := q.kit.keeper.Follow(q.r, before)
	now := time.Now()
	switch {
	case err != nil:
		q.loadErr = fmt.Errorf("sessionkit: loading the session: %w", err)
		q.report(q.loadErr)
		return
	case found && q.kit.policy.Live(&k.Record, now) && !q.refusesDevice(&k):
		q.start(&k, q.kit.policy.Due(&k.Record, now))
	}
	q.loadErr = nil
}

func (q *request) read(again string, fresh bool) {
	q.loadErr = errLoading // which stays if the store panics
	q.find(again, fresh)
	if errors.Is(q.loadErr, errLoading) {
		q.loadErr = nil
	}
}

// find opens the session that a cookie names, or if that is "" the one that the request
// brings, if any.
func (q *request) find(again string, fresh bool) {
	var why rejection
	var found bool
	switch {
	case again != "":
		found = q.open(again, fresh, &why)
	case q.bearer:
		secret, _ := client.Token(q.kit.TokenHeader, q.r)
		found = secret != "" && (q.open(secret, fresh, &why) || q.adopt(fresh, &why))
	default:
		found = q.openCookie(fresh, &why)
	}
	if q.adopted == nil {
		for _, id := range why.gone {
			q.expired = true
			q.tell(Event{Kind: EventExpired, SessionID: id})
		}
	}
	if why.rejected && !found {
		q.tell(Event{Kind: EventRejected, SessionID: why.handle})
	}
}

// rejection says whether something came that opens no session, and what it would
// have opened.
type rejection struct {
	rejected bool
	handle   string
	gone     []string // sessions of users that expired so long ago that their records are gone
}

// openCookie opens the session that one of the cookies names. The Secure name comes
// first: another site under the same domain can set the plain one.
func (q *request) openCookie(fresh bool, why *rejection) bool {
	lines := q.r.Header["Cookie"]
	if q.openNamed(lines, q.kit.site.SecureName, &q.secureCookie, fresh, why) {
		return true
	}
	if q.kit.site.Name != q.kit.site.SecureName && q.kit.site.PlainHTTP(q.r) && q.openNamed(lines, q.kit.Name, &q.plainCookie, fresh, why) {
		return true
	}
	return q.adopt(fresh, why)
}

func (q *request) openNamed(lines []string, name string, came *bool, fresh bool, why *rejection) bool {
	tried := 0
	for value := range cookie.Values(lines, name) {
		if tried++; tried > cookie.MaxTried {
			break
		}
		*came = true
		if q.open(value, fresh, why) {
			return true
		}
	}
	return false
}

// lateFor is how long after a session was given a new ID, or replaced, requests may arrive
// that the browser sent before it knew.
const lateFor = time.Minute

// lateOver is lateFor after somebody else has signed in. If that answer is lost, pages that
// store something, as a login page may, are refused for as long.
const lateOver = 10 * time.Second

// open opens the session that a cookie or token names. It reports whether no other
// need be tried: it is there, or nobody knows.
func (q *request) open(secret string, fresh bool, why *rejection) bool {
	k, err := q.kit.keeper.Load(q.r, secret, fresh)
	now := time.Now()
	switch {
	case errors.Is(err, store.ErrCorrupt):
		q.report(fmt.Errorf("sessionkit: loading the session: %w", err))
		why.rejected = true
	case err != nil:
		q.loadErr = fmt.Errorf("sessionkit: loading the session: %w", err)
		q.report(q.loadErr)
		return true
	case k.ID == "" && k.Record.Name == "" && q.kit.directory != nil && token.SignedIn(secret):
		id, _ := token.ID(secret)
		why.gone = append(why.gone, id)
	case k.ID == "":
		why.rejected = true
		why.handle, _ = store.ID(secret)
	case k.Record.Ended != "":
		q.noteEnd(k, now, why)
	case !q.kit.policy.Live(&k.Record, now):
		q.expired = q.expired || k.Record.User != ""
		q.tell(Event{Kind: EventExpired, User: k.Record.User, SessionID: k.ID})
		if q.kit.site.Shared != nil && k.Cookie != "" { // the other program may still open it
			q.left = &left{k, q.left}
		}
	default:
		if q.kit.bound != nil && !q.provesDevice(&k) {
			if !fresh { // what a cache has may be older than the bound cookie
				return q.open(secret, true, why)
			}
			if !q.refuseUnbound(k) {
				return false
			}
		}
		q.onlyExpired()
		q.start(&k, q.due(&k, now))
		return true
	}
	return false
}

// noteEnd takes note of what is left of a session.
func (q *request) noteEnd(k keeper.Kept, now time.Time, why *rejection) {
	switch k.Record.Ended {
	case store.Renewed:
		if now.Sub(k.Record.Expires) < lateFor {
			q.left = &left{Kept: k}
		}
	case store.Replaced:
		if now.Sub(k.Record.Expires) < lateOver {
			q.left = &left{Kept: k}
		} else {
			why.rejected, why.handle = true, k.ID
		}
	case store.SignedOut:
		why.rejected, why.handle = true, k.ID
		if q.late() == nil {
			q.left = &left{Kept: k}
		}
	case store.Revoked:
		q.revoked = k.Record.User != ""
	}
}

// onlyExpired forgets what another cookie of the same name has left, unless the session is
// still stored.
func (q *request) onlyExpired() {
	if q.left != nil && q.left.Record.Ended != "" {
		q.left = nil
	}
}

// endExpired ends what has expired and is still stored: no cookie of the browser will name
// it any more, but a copy of the cookie would open it. OnEvent has been told that it expired.
func (q *request) endExpired() error {
	for q.left != nil && q.left.Record.Ended == "" {
		if q.left.ID != q.session.ID() { // else it ends as the session
			if _, err := q.kit.keeper.End(q.r, q.left.Kept, store.SignedOut); err != nil {
				return fmt.Errorf("ending an expired session: %w", err)
			}
		}
		q.left = q.left.next
	}
	return nil
}

// late returns what is left of a session that was given a new ID, or replaced by a sign-in, a
// moment ago: the browser has sent the old one. It is nil if there is none.
func (q *request) late() *keeper.Kept {
	if q.left == nil || q.left.Record.Ended == store.SignedOut || q.left.Record.Ended == "" {
		return nil
	}
	return &q.left.Kept
}

// replaced reports whether a sign-in has replaced it, so that the browser has the cookie of that.
func (q *request) replaced() bool {
	return q.left != nil && q.left.Record.Ended == store.Replaced
}

// start begins with a stored session, or with a new one. due says whether its use is to
// be recorded, if this is one.
func (q *request) start(k *keeper.Kept, due bool) {
	q.session.Begin(&k.Stored, due && !q.prefetch())
	q.handle = k.Handle
	q.refreshView()
	q.agree()
}

// due reports whether the use of a stored session is to be recorded: once a minute, and with
// the cookie that another response could not send.
func (q *request) due(k *keeper.Kept, now time.Time) bool {
	return q.kit.policy.Due(&k.Record, now) || q.kit.policy.OwesCookie(&k.Record) && !q.writer.Begun()
}

// prefetch reports whether nobody sees the response yet: it is no use of the session.
func (q *request) prefetch() bool { return client.Prefetches(q.r) }

// restart drops all there is: what follows is another, new session.
func (q *request) restart() {
	q.session.Restart()
	q.valuesUser = ""
	if q.flashes != nil {
		q.flashes.read = nil // they were for whoever the session was
	}
	q.refreshView()
}

// kept returns the stored session.
func (q *request) kept() keeper.Kept {
	return keeper.Kept{Stored: q.session.Stored(), Handle: q.handle}
}

func (q *request) untouched() bool { return !q.session.Changed() && q.viewUntouched() }

// put changes a value. Putting what is there already changes nothing.
func (q *request) put(name, text string) {
	if q.session.Put(name, text) {
		q.changed()
	}
}

// remove drops a value.
func (q *request) remove(name string) {
	if q.session.Remove(name) {
		q.changed()
	}
}

// mostTooLate bounds how many changes after the request are reported: OnError may change the
// session as well, about which it would be called again and again.
const mostTooLate = 8

// changed notes that there is a change, and reports one that comes when nothing can
// be saved any more.
func (q *request) changed() {
	if !q.closed && !q.entry.Listed() {
		q.kit.resumable.Add(q, &q.entry)
	}
	if q.closed && q.tooLate < mostTooLate {
		q.tooLate++
		q.report(errTooLate)
	}
}

// refuse notes a change that cannot be saved: the commit fails.
func (q *request) refuse(err error) {
	q.bad = errors.Join(q.bad, err)
	q.changed()
}

// report hands an error to OnError, and to OnEvent where the store failed.
func (q *request) report(err error) {
	q.calls().errs = append(q.calls().errs, err)
	if errors.Is(err, context.Canceled) && q.r.Context().Err() != nil {
		return // the client did not wait for the answer
	}
	for _, harmless := range []error{store.ErrEnded, store.ErrTooLarge, errNoCookie, errUnreachable, errBadChange, errTooLate} {
		if errors.Is(err, harmless) {
			return // the store has done its part
		}
	}
	q.tell(Event{Kind: EventStoreError, User: q.session.User(), SessionID: q.session.ID(), Err: err})
}

var (
	errLoading   = errors.New("sessionkit: loading the session: the store panicked")
	errNoCookie  = errors.New("the session's cookie can no longer be sent")
	errBadChange = errors.New("the change cannot be saved")
	errMisuse    = errors.New("the program made a mistake")
	errTooLate   = errors.New("sessionkit: the session was changed after the request had ended: the change is lost")

	errUnreachable = errors.New("the session's cookie would be lost")
	errUnreadable  = errors.New("the session could not be read")
)

// adopted is what old cookies named.
type adopted struct {
	kitstore.Mover // of the request's session; nil: it has none from there

	token      string            // of the session, if it had moved before
	dropOthers func(http.Header) // has the browser drop the cookies of what endOld has ended; nil: nothing
}

// tokens returns what the request brings for a session of this name: those that may
// be of a store of this module that is being moved from.
func (q *request) tokens() []string {
	if q.bearer {
		secret, _ := client.Token(q.kit.TokenHeader, q.r)
		return []string{secret}
	}
	list := make([]string, 0, cookie.MaxTried)
	for _, name := range []string{q.kit.site.SecureName, q.kit.site.Name} {
		if name == q.kit.site.Name && !q.kit.site.PlainHTTP(q.r) {
			break
		}
		for value := range cookie.Values(q.r.Header["Cookie"], name) {
			if len(list) == cookie.MaxTried {
				break
			}
			list = append(list, value)
		}
	}
	return list
}

// adopt looks for the session in the store that is being moved from. It reports
// whether it is found there, or nobody knows.
func (q *request) adopt(fresh bool, why *rejection) bool {
	if q.kit.successor == nil || q.bearer && !q.kit.ownMoves {
		return false
	}
	var tokens []string // nil: those of the old cookies count
	if q.kit.ownMoves {
		tokens = q.tokens()
	}
	id, token, record, old, err := q.kit.successor.Adopt(q.r, q.kit.Name, tokens)
	switch {
	case errors.Is(err, store.ErrCorrupt):
		q.report(fmt.Errorf("sessionkit: loading the session: %w", err))
		return false
	case err != nil:
		q.loadErr = fmt.Errorf("sessionkit: loading the session: %w", err)
		q.report(q.loadErr)
		return true
	case id == "":
		return false
	}
	now := time.Now()
	if record.Ended != "" {
		why.gone = nil // that is what became of it
		q.noteEnd(keeper.Kept{Stored: session.Stored{ID: id, Record: record}}, now, why)
		return false
	}
	if q.kit.ownMoves && token == "" && !q.kit.policy.Live(&record, now) { // the Config has become stricter
		q.expired = q.expired || record.User != ""
		q.tell(Event{Kind: EventExpired, User: record.User})
		return false
	}
	q.adopted = &adopted{Mover: old.(kitstore.Mover), token: token}
	if token != "" { // it has moved, and the browser does not know that yet
		return q.open(token, fresh, why)
	}
	if !q.kit.ownMoves { // nobody knows when
		q.kit.policy.Adopt(&record, now)
	}
	k := keeper.Adopted(id, record, q.adopted.Mover)
	if q.refusesDevice(&k) {
		q.adopted, why.gone = nil, nil
		return false
	}
	moves := q.bearer || q.comesBack() // by this use
	q.start(&k, moves)
	if !moves {
		q.kit.site.Warn(q.r, true)
	}
	return true
}

// retire has the browser drop the old cookie of a session that has ended, or has
// moved, in exchange for the new one. As long as it is not known that the new one
// comes back, the old one stays: it leads to the session as well.
func (q *request) retire() {
	if q.adopted == nil {
		return
	}
	if q.adopted.dropOthers != nil {
		q.adopted.dropOthers(q.writer.Header())
	}
	if q.adopted.Mover != nil && (q.session.ID() == "" || q.comesBack()) {
		q.adopted.Retire(q.writer.Header())
	}
}

// reportLeft tells of values that could not move with the session.
func (q *request) reportLeft() {
	if q.adopted == nil || q.adopted.Mover == nil {
		return
	}
	if err := q.adopted.Left(); err != nil {
		q.report(fmt.Errorf("sessionkit: saving the session: %w", err))
	}
}

// endOld ends what old cookies of the request open beside its session, which ends or is
// replaced. A process that knows the old store alone may have begun such a session, or
// brought one back that has moved: without the cookie of this one, the browser would be
// signed in by it. It ends as well what has expired and is still stored.
func (q *request) endOld() error {
	if err := q.endExpired(); err != nil {
		return err
	}
	if q.kit.successor == nil || q.kit.ownMoves || q.bearer { // then one cookie names both
		return nil
	}
	why := store.SignedOut
	if q.session.SigningIn() {
		why = store.Replaced
	}
	ended, drop, err := q.kit.successor.EndOld(keeper.Committing(q.r), q.r, q.kit.Name, q.session.ID(), why)
	for _, s := range ended {
		if s.User != "" {
			q.tell(Event{Kind: EventSignedOut, User: s.User, SessionID: s.ID})
		}
	}
	if drop != nil {
		if q.adopted == nil {
			q.adopted = new(adopted)
		}
		q.adopted.dropOthers = drop
	}
	return err
}

// replaceOld is endOld for a sign-in. If it fails the sign-in stands all the same, because its
// cookie counts, and the sign-out ends what is left.
func (q *request) replaceOld() {
	if err := q.endOld(); err != nil {
		q.report(fmt.Errorf("sessionkit: ending what an old cookie opens beside a sign-in: %w", err))
	}
}

// moved reports whether the old cookie has led to the session, of which the browser has
// no cookie yet.
func (q *request) moved() bool {
	if q.adopted == nil {
		return false
	}
	id, ok := store.ID(q.adopted.token)
	return ok && id == q.session.ID()
}

// comesBack reports whether it is certain that the browser keeps a session cookie
// that the response sets: it has kept one, or the connection is one over which it
// does.
func (q *request) comesBack() bool {
	return q.secureCookie || q.plainCookie || q.kit.site.Keeps(q.r)
}
