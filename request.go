package sessionkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/token"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// request is the session of one request: what was loaded, and what is to become
// of it at the commit.
type request struct {
	kit    *kit
	c      *gin.Context // used while the request runs
	r      *http.Request
	began  time.Time
	writer writer

	mu      sync.Mutex
	pending *pendingCalls // nil: none

	loadErr error // the stored session could not be read: it must not be written
	bad     error // a change that cannot be saved, such as a value that does not encode
	saveErr error // the commit failed

	loaded  bool
	expired bool // the cookie names a sign-in that has expired
	revoked bool // the cookie names a sign-in that was ended from elsewhere
	bearer  bool // it comes from a client without cookies

	cookieless bool // its route is one of Config.CookielessRoutes

	secureCookie, plainCookie bool // a session cookie of this name came

	closed   bool // the middleware has returned
	lifeSet  bool // the handler has said how long the session lives
	early    bool // Save has stored it
	asked    bool // the handler has asked whether the session could be read
	passive  bool // the request does not count as use
	prefetch bool // nobody sees the response yet
	due      bool // that it does is to be recorded
	guarded  bool // the response is for this user alone
	sends    bool // the response is to give the client the session's secret
	clears   bool // and to have the browser forget a session that has ended
	saved    bool // set and drop stand in the store; base has yet to take them over
	listed   bool // it can be resumed
	reported bool // bad was

	// What the commit does to the stored session.
	ending     bool // ends it; what follows is another session
	renewing   bool // gives it a new ID
	signingIn  bool // and a user
	confirming bool // and a time at which the user has shown who they are
	clearing   bool // takes the cookie from the browser, unless another one follows

	old     kept     // the stored session that stands until the commit; its id is "" if there is none
	late    *kept    // what is left of a session that was given a new ID a moment ago: the browser has sent the old one; nil: nothing
	adopted *adopted // what an old cookie named, in a store that is being moved from

	// The session as it will be: who is signed in, since when where that was looked
	// up, and its values, which are base with set put and drop dropped.
	user       string
	signIn     *signin.SignIn
	valuesUser string // who is signed in by the application's own values, as far as that has been followed
	noted      *note  // the epoch of a user; nil: that of the request's beginning counts
	base       map[string]string
	set        map[string]string
	drop       []string

	// inTurn means that an Update has its turn, or waits for it: one within it must not
	// wait as well.
	inTurn atomic.Bool

	returnTo string // what NextURL has returned, if a redirect would change it

	view *gsessions.Session // base, set and drop as gin-contrib/sessions sees them; nil until asked for

	flashes *flashes        // nil: none yet
	done    <-chan struct{} // what Done has returned; nil until it is asked for
	stop    func()          // ends the watch behind it
	vary    [1]string       // the Vary header's value

	nextResumable *request // in the same slot
}

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

// tell notes an event, of which OnEvent hears when the lock is free.
func (q *request) tell(e Event) {
	q.calls().events = append(q.calls().events, e)
}

func (q *request) calls() *pendingCalls {
	if q.pending == nil {
		q.pending = new(pendingCalls)
	}
	return q.pending
}

// maxCookies bounds the cookies of one name that are tried: sibling domains and
// longer paths may have put theirs before the right one.
const maxCookies = 4

// load reads the session, once. With fresh it is read again, past any cache,
// unless the request has changed it.
func (q *request) load(fresh bool) {
	again := fresh && q.old.id != "" && q.untouched()
	if q.loaded && !again {
		return
	}
	q.loaded, q.loadErr = true, errLoading // which stays if the store panics
	q.prefetch = prefetches(q.r)
	q.passive = q.passive || q.prefetch
	q.late, q.revoked = nil, false
	q.start(kept{})
	q.find(fresh)
	if errors.Is(q.loadErr, errLoading) {
		q.loadErr = nil
	}
}

// find opens the session that the request brings, if any.
func (q *request) find(fresh bool) {
	var why rejection
	if q.bearer {
		if secret, _ := q.kit.token(q.r); secret != "" && q.open(secret, fresh, &why) {
			return
		}
	} else if q.openCookie(fresh, &why) {
		return
	}
	if why.rejected {
		q.tell(Event{Kind: EventRejected, SessionID: why.handle})
	}
}

// rejection says whether something came that opens no session, and what it would
// have opened.
type rejection struct {
	rejected bool
	handle   string
}

// openCookie opens the session that one of the cookies names. The Secure name comes
// first: another site under the same domain can set the plain one.
func (q *request) openCookie(fresh bool, why *rejection) bool {
	lines := q.r.Header["Cookie"]
	if q.openNamed(lines, q.kit.hostName, &q.secureCookie, fresh, why) {
		return true
	}
	if q.kit.Name != q.kit.hostName && q.kit.plainHTTP(q.r) && q.openNamed(lines, q.kit.Name, &q.plainCookie, fresh, why) {
		return true
	}
	return q.adopt(fresh, why)
}

func (q *request) openNamed(lines []string, name string, came *bool, fresh bool, why *rejection) bool {
	tried := 0
	for value := range cookieValues(lines, name) {
		if tried++; tried > maxCookies {
			break
		}
		*came = true
		if q.open(value, fresh, why) {
			return true
		}
	}
	return false
}

// lateFor is how long after a session was given a new ID requests may arrive that
// the browser sent before it knew.
const lateFor = time.Minute

// open opens the session that a cookie or token names. It reports whether no other
// need be tried: it is there, or nobody knows.
func (q *request) open(cookie string, fresh bool, why *rejection) bool {
	k, err := q.kit.keeper.load(q.r, cookie, fresh)
	now := time.Now()
	switch {
	case errors.Is(err, store.ErrCorrupt):
		q.report(fmt.Errorf("sessionkit: loading the session: %w", err))
		why.rejected = true
	case err != nil:
		q.loadErr = fmt.Errorf("sessionkit: loading the session: %w", err)
		q.report(q.loadErr)
		return true
	case k.id == "" && q.kit.directory != nil && token.SignedIn(cookie):
		id, _ := token.ID(cookie)
		q.expired = true // so long ago that its record is gone
		q.tell(Event{Kind: EventExpired, SessionID: id})
	case k.id == "":
		why.rejected = true
		why.handle, _ = store.ID(cookie)
	case k.record.Ended == store.Renewed:
		if now.Sub(k.record.Expires) < lateFor {
			late := k // of its own: most requests have none, and should not pay for it
			q.late = &late
		}
	case k.record.Ended == store.SignedOut:
		why.rejected, why.handle = true, k.id
	case k.record.Ended == store.Revoked:
		q.revoked = k.record.User != ""
	case !q.kit.live(&k.record, now):
		q.expired = q.expired || k.record.User != ""
		q.tell(Event{Kind: EventExpired, User: k.record.User, SessionID: k.id})
	default:
		q.due = q.kit.due(&k.record, now)
		q.start(k)
		return true
	}
	return false
}

// start begins with a stored session, or with a new one.
func (q *request) start(k kept) {
	q.old, q.ending, q.renewing, q.signingIn, q.confirming = k, false, false, false, false
	q.user, q.signIn = k.record.User, nil
	q.base, q.set, q.drop, q.saved = k.record.Values, nil, nil, false
	q.refreshView()
	q.agree()
}

// restart drops all there is: what follows is another, new session.
func (q *request) restart() {
	q.ending = q.old.id != ""
	q.renewing, q.signingIn, q.confirming = false, false, false
	q.user, q.signIn, q.valuesUser = "", nil, ""
	q.base, q.set, q.drop, q.saved = nil, nil, nil, false
	if q.flashes != nil {
		q.flashes.read = nil // they were for whoever the session was
	}
	q.refreshView()
}

func (q *request) untouched() bool {
	return !q.ending && !q.renewing && !q.unsaved() && q.viewUntouched()
}

// unsaved reports whether there are changes of values that the store does not have.
func (q *request) unsaved() bool { return !q.saved && (len(q.set) > 0 || len(q.drop) > 0) }

// settle has base take over what was saved. Most requests are over by then, and
// need no copy.
func (q *request) settle() {
	if q.saved {
		q.base = q.texts()
		q.old.record.Values = q.base
		q.set, q.drop, q.saved = nil, nil, false
	}
}

// text returns the text of a value.
func (q *request) text(name string) (string, bool) {
	if text, ok := q.set[name]; ok {
		return text, true
	}
	text, ok := q.base[name]
	if !ok {
		return "", false
	}
	if slices.Contains(q.drop, name) {
		return "", false
	}
	return text, true
}

// put changes a value. Putting what is there already changes nothing.
func (q *request) put(name, text string) {
	q.settle()
	q.undrop(name)
	if base, ok := q.base[name]; ok && base == text {
		delete(q.set, name)
		return
	}
	if q.set == nil {
		q.set = make(map[string]string, 1)
	}
	q.set[name] = text
	q.changed()
}

// remove drops a value.
func (q *request) remove(name string) {
	if _, ok := q.text(name); !ok {
		return
	}
	q.settle()
	delete(q.set, name)
	if _, ok := q.base[name]; ok {
		q.drop = append(q.drop, name)
	}
	q.changed()
}

func (q *request) undrop(name string) {
	if i := slices.Index(q.drop, name); i >= 0 {
		q.drop = slices.Delete(q.drop, i, i+1)
	}
}

// changed notes that there is a change, and reports one that comes when nothing can
// be saved any more.
func (q *request) changed() {
	if !q.listed && !q.closed {
		q.listed = true
		q.kit.resumable.add(q)
	}
	if q.closed {
		q.report(errors.New("sessionkit: the session was changed after the request had ended: the change is lost"))
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
	for _, harmless := range []error{store.ErrEnded, store.ErrTooLarge, errNoCookie, errUnreachable, errBadChange} {
		if errors.Is(err, harmless) {
			return // the store has done its part
		}
	}
	q.tell(Event{Kind: EventStoreError, User: q.user, SessionID: q.old.id, Err: err})
}

var (
	errLoading   = errors.New("sessionkit: loading the session: the store panicked")
	errNoCookie  = errors.New("the session's cookie can no longer be sent")
	errBadChange = errors.New("the change cannot be saved")
	errMisuse    = errors.New("the program made a mistake")

	errUnreachable = errors.New("the session's cookie would be lost")
	errUnreadable  = errors.New("the session could not be read")
)

// since returns what the record keeps of the sign-in.
func (q *request) since() signin.SignIn {
	if q.signIn == nil {
		in := signInOf(store.Record{User: q.user, Values: q.base})
		q.signIn = &in
	}
	return *q.signIn
}

// life returns how long the session as it will be may live.
func (q *request) life() life {
	maxAge, _ := q.text(value.MaxAge)
	until, _ := q.text(value.Until)
	return q.kit.lifeOf(q.user, q.since(), maxAge, until)
}

// signInOf returns what a record keeps of the sign-in, the zero value if nobody is
// signed in.
func signInOf(r store.Record) signin.SignIn {
	if r.User == "" {
		return signin.SignIn{}
	}
	return signin.Of(r.Values)
}

// record returns the session as it will be, but for its values and the times that
// the commit sets.
func (q *request) record() store.Record {
	r := q.old.record
	if q.ending {
		r = store.Record{}
	}
	r.User, r.Values = q.user, nil
	return r
}

// commit saves what the request changed. With header it also sets the header's
// fields; without, the header has gone out already.
func (q *request) commit(header bool) error {
	if !q.loaded {
		return nil
	}
	q.syncView()
	q.follow()
	changed := q.unsaved() || q.renewing || q.ending || q.clearing
	if !changed && q.bad == nil {
		if q.loadErr != nil && !q.asked {
			return fmt.Errorf("%w: %w", errUnreadable, q.loadErr) // it is reported already
		}
		q.touch(header)
		return nil
	}
	if err := q.save(header); err != nil {
		q.saveErr = fmt.Errorf("sessionkit: saving the session: %w", err)
		if !q.reported {
			q.report(q.saveErr)
		}
		return q.saveErr
	}
	q.clears = q.clears || q.clearing && header
	q.clearing = false
	return nil
}

// clearBrowser tells the browser of a sign-out.
func (q *request) clearBrowser() {
	if q.bearer {
		return
	}
	if q.old.id == "" {
		q.dropCookies(q.kit.cookieName(q.r))
		q.dropOtherCookie()
	}
	if directives := q.kit.ClearSiteData; len(directives) > 0 {
		q.writer.Header().Set("Clear-Site-Data", `"`+strings.Join(directives, `", "`)+`"`)
	}
}

// dropCookies has the browser drop the session cookie of a name, if it has one.
func (q *request) dropCookies(name string) {
	if name == q.kit.hostName && q.secureCookie || name == q.kit.Name && q.plainCookie {
		cookie := q.kit.sessionCookie(q.r)
		if q.kit.shared == nil {
			cookie.Name, cookie.Secure = name, cookie.Secure || name == q.kit.hostName
		}
		putCookie(q.writer.Header(), expireCookie(cookie))
		keepFromCaches(q.writer.Header())
	}
}

// dropOtherCookie has the browser drop the session cookie of the name that this
// connection does not write.
func (q *request) dropOtherCookie() {
	if q.kit.Name == q.kit.hostName { // it has one name on every connection
		return
	}
	if q.kit.cookieName(q.r) == q.kit.hostName {
		q.dropCookies(q.kit.Name)
	} else {
		q.dropCookies(q.kit.hostName)
	}
}

// touch records that the session was used, once a minute. The response does not
// depend on it: a failure is reported and no more.
func (q *request) touch(header bool) {
	if q.loadErr != nil || q.old.id == "" || !q.due || q.passive {
		return
	}
	q.settle()
	err := q.update(header)
	q.due = false // also where it could not be recorded: once is enough
	if err != nil && !errors.Is(err, store.ErrEnded) {
		q.report(fmt.Errorf("sessionkit: recording that the session was used: %w", err))
	}
}

// save carries out what the request wants done.
func (q *request) save(header bool) error {
	if q.bad != nil {
		return fmt.Errorf("%w: %w", errBadChange, q.bad)
	}
	if q.loadErr != nil {
		return fmt.Errorf("%w before: %w", errUnreadable, q.loadErr)
	}
	q.settle()
	follows := len(q.set) > 0 || q.user != ""
	switch {
	case q.ending && !follows:
		return q.finishEnding(header)
	case q.ending || q.old.id == "":
		if !follows {
			return nil // what was put was dropped again
		}
		if q.late != nil && !q.ending && !q.signingIn {
			return fmt.Errorf("another request has given it a new ID, and a new session would take its place in the browser: %w", store.ErrEnded)
		}
		return q.create(header)
	case q.renewing:
		return q.rotate(header)
	default:
		return q.update(header)
	}
}

// next returns the record of the session as it will be.
func (q *request) next(values map[string]string) store.Record {
	r, now := q.record(), time.Now()
	if r.Created.IsZero() {
		r.Created = now
	}
	r.Seen = now
	in := q.since()
	r.Expires = q.life().expires(&r, in, now)
	r.Name, r.Values = q.kit.Name, values
	if r.User != "" {
		r.Values = value.Apply(r.Values, map[string]string{signin.Name: in.Text()}, nil)
	}
	return r
}

// create stores a new session, and ends the one that it replaces.
func (q *request) create(header bool) error {
	if err := q.canSendCookie(header); err != nil {
		return err
	}
	k, err := q.kit.keeper.create(q.r, q.next(q.set), q.attempt())
	if err != nil {
		return err
	}
	if q.ending {
		if err := q.endOld(); err != nil {
			_, undoErr := q.kit.keeper.end(q.r, k, store.SignedOut)
			return errors.Join(err, undoErr)
		}
	}
	q.tell(Event{Kind: EventCreated, User: k.record.User, SessionID: k.id})
	q.sends = true
	q.committed(k)
	return nil
}

// rotate moves the session to a new ID.
func (q *request) rotate(header bool) error {
	if err := q.canSendCookie(header); err != nil {
		return err
	}
	var attempt *signin.Attempt
	if q.signingIn || q.user != q.old.record.User { // as Config.UserOf says, and the store does not know yet
		a := q.attempt()
		attempt = &a
		if in := q.since(); in.Line == "" {
			in.Line = newToken()
			q.signIn = &in
		}
	}
	k, found, err := q.kit.keeper.rotate(q.r, q.old, q.next(q.set), q.drop, attempt)
	if err != nil {
		return err
	}
	if found {
		k.record.Values = value.Apply(q.base, k.record.Values, q.drop)
		q.sends = true
		q.committed(k)
		return nil
	}
	if !q.signingIn { // if another request has renewed it, that will do
		return q.updateRenewed(store.Change{Set: q.set, Delete: q.drop})
	}
	// Another request ended it meanwhile, or signed in first. The user has shown
	// who they are, so this sign-in stands, as one of its own; it takes along what a
	// visitor had, and nothing that a signed-in session held.
	q.old.id = ""
	q.signIn.Line = newToken()
	if q.old.record.User == "" {
		q.set = value.Apply(q.base, q.set, q.drop)
	}
	q.base, q.drop = nil, nil
	return q.create(header)
}

// update changes the session in place.
func (q *request) update(header bool) error {
	change := q.seenBy(store.Change{Set: q.set, Delete: q.drop})
	if q.old.needsCookie() {
		if err := q.canSendCookie(header); err != nil {
			return err
		}
	}
	k, outcome, err := q.kit.keeper.update(q.r, q.old, change)
	if err != nil {
		return err
	}
	if !outcome.Found {
		return q.updateRenewed(change)
	}
	again := k.cookie == ""
	if again {
		k.cookie = q.old.cookie
		again = !change.Seen.IsZero() && q.life().renewsCookie(&q.old.record, change.Seen) || q.relived(change)
	} else {
		again = true
	}
	if !change.Seen.IsZero() {
		k.record.Seen, k.record.Expires = change.Seen, change.Expires
	}
	q.sends = q.sends || again && header
	k.record.Values = q.base
	set, drop := q.set, q.drop
	q.committed(k)
	q.set, q.drop, q.saved = set, drop, true
	return nil
}

// seenBy adds to a change that the session is used, if that is to be recorded.
func (q *request) seenBy(change store.Change) store.Change {
	if q.due && !q.passive || q.relived(change) {
		change.Seen = time.Now()
		change.Expires = q.life().expires(&q.old.record, q.since(), change.Seen)
	}
	return change
}

// seen takes over what a change has recorded.
func (q *request) seen(change store.Change) {
	if !change.Seen.IsZero() {
		q.old.record.Seen, q.old.record.Expires, q.due = change.Seen, change.Expires, false
	}
}

// mostRenewals is how many times a change follows a session that other requests give one
// new ID after another.
const mostRenewals = 100

// updateRenewed applies a change to a session that another request has given a new
// ID. The browser gets the cookie from that one.
func (q *request) updateRenewed(change store.Change) error {
	for range mostRenewals {
		k, found, err := q.kit.keeper.follow(q.r, q.old)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrEnded
		}
		c := change
		if q.confirming { // what else the sign-in says may be another's by now
			in := signInOf(k.record)
			in.Confirmed = q.since().Confirmed
			c.Set = value.Apply(change.Set, map[string]string{signin.Name: in.Text()}, nil)
			c.If = &store.Condition{Name: signin.Name, Text: k.record.Values[signin.Name]}
		}
		next, outcome, err := q.kit.keeper.update(q.r, k, c)
		if err != nil {
			return err
		}
		if outcome.Changed() {
			next.record.Values = value.Apply(k.record.Values, c.Set, c.Delete)
			q.renewing = false
			q.committed(next)
			q.user, q.signIn = next.record.User, nil
			q.agree()
			return nil
		}
	}
	return store.ErrEnded
}

// finishEnding ends the session, and nothing follows it.
func (q *request) finishEnding(header bool) error {
	if q.old.needsCookie() {
		if err := q.canSendCookie(header); err != nil {
			return err
		}
	}
	if err := q.endOld(); err != nil {
		return err
	}
	q.start(kept{})
	return nil
}

// endOld ends the stored session. Another request may have done so.
func (q *request) endOld() error {
	ended, err := q.kit.keeper.end(q.r, q.old, store.SignedOut)
	if ended && err == nil && q.old.record.User != "" {
		q.tell(Event{Kind: EventSignedOut, User: q.old.record.User, SessionID: q.old.id})
	}
	return err
}

// sendCookie gives the client the session's secret.
func (q *request) sendCookie() {
	if q.bearer {
		q.kit.sendToken(q.writer.Header(), q.old.cookie)
		return
	}
	cookie := q.kit.sessionCookie(q.r)
	cookie.Value = q.old.cookie
	r := q.old.record
	r.Values = q.texts()
	in := signInOf(r)
	cookie.MaxAge = q.kit.life(&r, in).cookieAge(&r, in, time.Now())
	putCookie(q.writer.Header(), cookie)
	keepFromCaches(q.writer.Header())
	q.dropOtherCookie()
}

// canSendCookie returns an error if a new cookie would not reach the browser, or not
// come back: the header has gone out, the client is gone, or the cookie's path or
// domain is another. Without it a new session would
// be nobody's, and a renewed one nobody's any more.
func (q *request) canSendCookie(header bool) error {
	if !header {
		return fmt.Errorf("%w: the response has begun; change the session before writing", errNoCookie)
	}
	if err := context.Cause(q.r.Context()); err != nil {
		return fmt.Errorf("%w: the client is gone: %w", errNoCookie, err)
	}
	if reason := q.unreachable(); reason != "" {
		return fmt.Errorf("%w: %s", errUnreachable, reason)
	}
	return nil
}

// committed makes the saved session the one that the request goes on with.
func (q *request) committed(k kept) {
	signedIn, before := q.signingIn, q.old.id
	if q.ending {
		before = "" // that one has ended
	}
	switch {
	case signedIn:
		q.tell(Event{Kind: EventSignedIn, User: k.record.User, SessionID: k.id, PreviousID: before})
	case q.renewing:
		q.tell(Event{Kind: EventRenewed, User: k.record.User, SessionID: k.id, PreviousID: before})
	}
	q.old, q.ending, q.renewing, q.signingIn, q.confirming, q.due = k, false, false, false, false, false
	q.base, q.set, q.drop, q.saved = k.record.Values, nil, nil, false
	if q.kit.UserOf == nil {
		q.user = k.record.User
	}
	if q.view != nil {
		q.view.ID, q.view.IsNew = k.id, false
	}
	if signedIn && q.kit.MaxSessions > 0 {
		q.trim(k)
	}
}

// trim ends the oldest sign-ins past MaxSessions. Its failure does not undo the
// sign-in; the next one tries again.
func (q *request) trim(k kept) {
	ended, err := q.kit.directory.Trim(committing(q.r), k.record.User, q.kit.Name, q.kit.MaxSessions)
	for _, id := range ended {
		q.tell(Event{Kind: EventRevoked, User: k.record.User, SessionID: id})
	}
	if err != nil {
		q.report(fmt.Errorf("sessionkit: ending sessions past MaxSessions: %w", err))
	}
}

// finish ends the request's part in the session. A handler that panicked saves
// nothing.
func (q *request) finish(panicking bool) {
	defer q.close()
	q.end(panicking)
}

// end ends a pass through the handlers.
func (q *request) end(panicking bool) {
	if panicking {
		q.mu.Lock()
		q.discard()
		q.writer.ended = true
		q.mu.Unlock()
		q.writer.passStatus()
		return
	}
	q.writer.finish()
}

// close notes that the request has ended, and ends the watch that [Done] has begun.
func (q *request) close() {
	q.mu.Lock()
	q.closed = true
	stop := q.stop
	if q.listed {
		q.kit.resumable.remove(q)
	}
	q.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// discard forgets what the request changed.
func (q *request) discard() {
	q.bad, q.view, q.clearing = nil, nil, false
	q.undoEarly()
	q.start(q.old)
	q.passive, q.asked = true, true
}
