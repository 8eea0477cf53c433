package sessionkit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// request is the session of one request: what was loaded, and what is to become
// of it at the commit.
type request struct {
	kit    *kit
	c      *gin.Context // used while the request runs
	r      *http.Request
	writer writer

	mu      sync.Mutex
	pending *pendingCalls // nil: none

	loadErr error // the stored session could not be read: it must not be written
	bad     error // a change that cannot be saved, such as a value that does not encode
	saveErr error // the commit failed

	loaded  bool
	expired bool // the cookie names a sign-in that has run out
	cookie  bool // a session cookie came
	bearer  bool // it comes from a client without cookies
	closed  bool // the middleware has returned
	passive bool // the request does not count as use
	due     bool // that it does is to be recorded
	guarded bool // the response is for this user alone
	saved   bool // set and drop stand in the store; base has yet to take them over

	// What the commit does to the stored session.
	ending    bool // ends it; what follows is another session
	renewing  bool // gives it a new ID
	signingIn bool // and a user
	clearing  bool // takes the cookie from the browser, unless another one follows

	old     kept       // the stored session that stands until the commit; its id is "" where there is none
	adopted *store.Old // what an old cookie named, in a store that is being moved from

	// The session as it will be: who is signed in, since when where that was looked
	// up, and its values, which are base with set put and drop dropped.
	user   string
	signIn *store.SignIn
	base   map[string]string
	set    map[string]string
	drop   []string

	view *gsessions.Session // base, set and drop as gin-contrib/sessions sees them; nil until asked for

	flashes *flashes        // nil: none yet
	done    <-chan struct{} // what Done has returned; nil until it is asked for
	stop    func()          // ends the watch behind it
	vary    [1]string       // the Vary header's value
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
		if token, _ := q.kit.token(q.r); token != "" && q.open(token, fresh, &why) {
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

// openCookie opens the session that one of the cookies names.
func (q *request) openCookie(fresh bool, why *rejection) bool {
	tried := 0
	for value := range cookieValues(q.r.Header["Cookie"], q.kit.cookieName(q.r)) {
		if tried++; tried > maxCookies {
			break
		}
		q.cookie = true
		if q.open(value, fresh, why) {
			return true
		}
	}
	return q.adopt(fresh, why)
}

// open opens the session that a secret names. It reports whether no other need be
// tried: it is there, or nobody knows.
func (q *request) open(secret string, fresh bool, why *rejection) bool {
	k, err := q.kit.keeper.load(q.r, secret, fresh)
	now := time.Now()
	switch {
	case errors.Is(err, store.ErrCorrupt):
		q.report(fmt.Errorf("sessionkit: loading the session: %w", err))
		why.rejected = true
	case err != nil:
		q.loadErr = fmt.Errorf("sessionkit: loading the session: %w", err)
		q.report(q.loadErr)
		return true
	case k.id == "":
		why.rejected = true
		why.handle, _ = store.ID(secret)
	case !q.kit.live(&k.record, now):
		q.expired = q.expired || k.record.User != ""
		q.tell(Event{Kind: EventExpired, User: k.record.User, SessionID: k.id})
	default:
		q.due = now.Sub(k.record.Seen) >= q.kit.seenEvery
		q.start(k)
		return true
	}
	return false
}

// start begins with a stored session, or with a new one.
func (q *request) start(k kept) {
	q.old, q.ending, q.renewing, q.signingIn = k, false, false, false
	q.user, q.signIn = k.record.User, nil
	q.base, q.set, q.drop, q.saved = k.record.Values, nil, nil, false
	q.refreshView()
}

// restart drops all there is: what follows is another, new session.
func (q *request) restart() {
	q.ending = q.old.id != ""
	q.renewing, q.signingIn = false, false
	q.user, q.signIn = "", nil
	q.base, q.set, q.drop, q.saved = nil, nil, nil, false
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

// changed notes a change that comes when nothing can be saved any more.
func (q *request) changed() {
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
	for _, harmless := range []error{store.ErrEnded, store.ErrTooLarge, errNoCookie, errBadChange} {
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
)

// since returns what the record keeps of the sign-in.
func (q *request) since() store.SignIn {
	if q.signIn == nil {
		in := store.Record{User: q.user, Values: q.base}.SignIn()
		q.signIn = &in
	}
	return *q.signIn
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

// live reports whether a stored session has not run out. The record says when
// it does; where the Config has become stricter since, it is asked as well, once
// a minute.
func (k *kit) live(r *store.Record, now time.Time) bool {
	if !now.Before(r.Expires) {
		return false
	}
	return now.Sub(r.Seen) < k.seenEvery || now.Before(k.expires(*r, r.SignIn(), r.Seen))
}

// deadline returns the time until which a session lives for certain if it was
// last used at seen.
func (k *kit) deadline(r store.Record, in store.SignIn, seen time.Time) time.Time {
	if in.Remembered {
		return in.At.Add(k.RememberFor)
	}
	start := r.Created
	if r.User != "" && !in.At.IsZero() {
		start = in.At
	}
	end := start.Add(k.Lifetime)
	if idle := seen.Add(k.IdleTimeout); idle.Before(end) {
		return idle
	}
	return end
}

// expires returns the time at which a session ends whose last recorded use is
// seen: it may have been used later, without a record of it.
func (k *kit) expires(r store.Record, in store.SignIn, seen time.Time) time.Time {
	return k.deadline(r, in, seen.Add(k.seenEvery))
}

// commit saves what the request changed. With header it also sets the header's
// fields; without, the header has gone out already.
func (q *request) commit(header bool) error {
	if !q.loaded {
		return nil
	}
	q.syncView()
	changed := q.unsaved() || q.renewing || q.ending || q.clearing
	if !changed && q.bad == nil {
		q.touch(header)
		return nil
	}
	if err := q.save(header); err != nil {
		q.saveErr = fmt.Errorf("sessionkit: saving the session: %w", err)
		q.report(q.saveErr)
		return q.saveErr
	}
	if q.clearing && header {
		q.clearBrowser()
	}
	q.clearing = false
	return nil
}

// clearBrowser tells the browser of a sign-out.
func (q *request) clearBrowser() {
	if q.bearer {
		return
	}
	if q.old.id == "" && q.cookie {
		putCookie(q.writer.Header(), expireCookie(q.kit.sessionCookie(q.r)))
		keepFromCaches(q.writer.Header())
	}
	if directives := q.kit.ClearSiteData; len(directives) > 0 {
		q.writer.Header().Set("Clear-Site-Data", `"`+strings.Join(directives, `", "`)+`"`)
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
		return fmt.Errorf("it could not be read before: %w", q.loadErr)
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
	r.Expires = q.kit.expires(r, in, now)
	r.Values = values
	if r.User != "" {
		r = r.WithSignIn(in)
	}
	return r
}

// create stores a new session, and ends the one that it replaces.
func (q *request) create(header bool) error {
	if err := q.canSendCookie(header); err != nil {
		return err
	}
	k, err := q.kit.keeper.create(q.r, q.next(q.set))
	if err != nil {
		return err
	}
	if q.ending {
		if _, err := q.kit.keeper.end(q.r, q.old); err != nil {
			_, undoErr := q.kit.keeper.end(q.r, k)
			return errors.Join(err, undoErr)
		}
	}
	if q.ending && q.old.record.User != "" {
		q.tell(Event{Kind: EventSignedOut, User: q.old.record.User, SessionID: q.old.id})
	}
	q.tell(Event{Kind: EventCreated, User: k.record.User, SessionID: k.id})
	q.sendCookie(k)
	q.committed(k)
	return nil
}

// rotate moves the session to a new ID.
func (q *request) rotate(header bool) error {
	if err := q.canSendCookie(header); err != nil {
		return err
	}
	k, found, err := q.kit.keeper.rotate(q.r, q.old, q.next(q.set), q.drop)
	if err != nil {
		return err
	}
	if found {
		k.record.Values = value.Apply(q.base, k.record.Values, q.drop)
		q.sendCookie(k)
		q.committed(k)
		return nil
	}
	if !q.signingIn {
		return store.ErrEnded
	}
	// Another request ended it meanwhile, or signed in first. The user has shown
	// who they are, so this sign-in stands; it takes along what a visitor had, and
	// nothing that a signed-in session held.
	q.old.id = ""
	if q.old.record.User == "" {
		q.set = value.Apply(q.base, q.set, q.drop)
	}
	q.base, q.drop = nil, nil
	return q.create(header)
}

// update changes the session in place.
func (q *request) update(header bool) error {
	change := store.Change{Set: q.set, Delete: q.drop}
	if q.due && !q.passive {
		change.Seen = time.Now()
		change.Expires = q.kit.expires(q.old.record, q.since(), change.Seen)
	}
	if q.old.needsCookie() {
		if err := q.canSendCookie(header); err != nil {
			return err
		}
	}
	k, found, err := q.kit.keeper.update(q.r, q.old, change)
	if err != nil {
		return err
	}
	if !found {
		return store.ErrEnded
	}
	switch {
	case k.cookie == "":
		k.cookie = q.old.cookie
	case header:
		q.sendCookie(k)
	}
	if !change.Seen.IsZero() {
		k.record.Seen, k.record.Expires = change.Seen, change.Expires
	}
	k.record.Values = q.base
	set, drop := q.set, q.drop
	q.committed(k)
	q.set, q.drop, q.saved = set, drop, true
	return nil
}

// finishEnding ends the session, and nothing follows it.
func (q *request) finishEnding(header bool) error {
	if q.old.needsCookie() {
		if err := q.canSendCookie(header); err != nil {
			return err
		}
	}
	if _, err := q.kit.keeper.end(q.r, q.old); err != nil {
		return err
	}
	if q.old.record.User != "" {
		q.tell(Event{Kind: EventSignedOut, User: q.old.record.User, SessionID: q.old.id})
	}
	q.start(kept{})
	return nil
}

// sendCookie gives the client the session's secret.
func (q *request) sendCookie(k kept) {
	if q.bearer {
		q.kit.sendToken(q.writer.Header(), k.cookie)
		return
	}
	cookie := q.kit.sessionCookie(q.r)
	cookie.Value = k.cookie
	if in := k.record.SignIn(); in.Remembered {
		cookie.MaxAge = int(math.Ceil(time.Until(k.record.Expires).Seconds()))
	}
	putCookie(q.writer.Header(), cookie)
	keepFromCaches(q.writer.Header())
}

// canSendCookie returns an error where a new cookie would not reach the browser:
// the header has gone out, or the client is gone. Without it a new session would
// be nobody's, and a renewed one nobody's any more.
func (q *request) canSendCookie(header bool) error {
	if !header {
		return fmt.Errorf("%w: the response has begun; change the session before writing", errNoCookie)
	}
	if err := context.Cause(q.r.Context()); err != nil {
		return fmt.Errorf("%w: the client is gone: %w", errNoCookie, err)
	}
	return nil
}

// committed makes the saved session the one that the request goes on with.
func (q *request) committed(k kept) {
	signedIn := q.signingIn
	switch {
	case signedIn:
		q.tell(Event{Kind: EventSignedIn, User: k.record.User, SessionID: k.id})
	case q.renewing:
		q.tell(Event{Kind: EventRenewed, User: k.record.User, SessionID: k.id})
	}
	q.old, q.ending, q.renewing, q.signingIn, q.due = k, false, false, false, false
	q.base, q.set, q.drop, q.saved = k.record.Values, nil, nil, false
	q.user = k.record.User
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
	ended, err := q.kit.directory.Trim(committing(q.r), k.record.User, q.kit.MaxSessions)
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
	q.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// discard forgets what the request changed.
func (q *request) discard() {
	q.bad, q.view, q.clearing = nil, nil, false
	q.start(q.old)
	q.passive = true
}
