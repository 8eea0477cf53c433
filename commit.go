package sessionkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/keeper"
	"github.com/gin-sessionkit/sessionkit/internal/response"
	"github.com/gin-sessionkit/sessionkit/internal/session"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/storeerr"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// BeforeHeader implements [response.Committer]. What OnEvent and OnError change while they
// are called for this commit, such as a message after a sign-out, is committed as well.
func (q *request) BeforeHeader(next response.Stage) {
	if next == response.Heading && q.headUntouched() {
		return
	}
	panicking := true
	defer func() {
		if panicking { // as they may
			q.mu.Lock()
			defer q.mu.Unlock()
			q.writer.Begin(response.Sent)
		}
	}()
	if q.commitFor(next) {
		q.commitOfCalls()
	}
	panicking = false
}

// headUntouched is all that is to be done before the header of a request that has asked for
// no session. It reports false for others, and does nothing then.
func (q *request) headUntouched() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.loaded != nil || q.pending != nil || q.returnTo != nil || q.writer.Panicked(q.c) {
		return false
	}
	q.writer.Begin(response.Sent)
	return true
}

// commitFor commits the session and sets the header's fields, or notes that the commit
// failed, before OnError is called: it may try to write. It reports whether there is a header
// that OnEvent or OnError have been called before.
func (q *request) commitFor(next response.Stage) (called bool) {
	header := next == response.Heading
	q.lock()
	defer q.unlock(q.c)
	q.writer.Begin(next)
	if q.closed || q.writer.Panicked(q.c) {
		q.discard()
	} else if q.writer.MayHavePanicked(q.c) {
		q.doubt(q.c)
	}
	if q.loaded != nil {
		q.conclude(header)
	}
	if header {
		if q.writer.Failed == nil {
			q.keepLocation()
		}
		q.setHeader()
	}
	if called = header && q.pending != nil && q.writer.Failed == nil; header && !called {
		q.writer.Begin(response.Sent)
	}
	return called
}

// commitOfCalls commits what OnEvent and OnError have changed, while a cookie can be sent. If
// that fails, which is reported, the response is still the handler's, whose changes are saved,
// and a sign-out is tried again when the handler has returned.
func (q *request) commitOfCalls() {
	q.lock()
	defer q.unlock(q.c)
	defer q.writer.Begin(response.Sent)
	if q.loaded == nil || q.loadErr != nil || q.panicked || q.untouched() {
		return
	}
	header, before := !q.writer.Written(), q.session.ID()
	if q.commit(header) != nil {
		q.bad, q.reported = nil, false
		if !q.session.Ending() || q.session.SigningIn() {
			q.forget()
		}
	}
	if !header {
		return
	}
	if before != "" && q.session.ID() == "" { // it has ended
		q.withdrawCookie()
	}
	q.dropOldCookie(q.setCookie())
	q.watchNew()
}

// conclude commits the session, and has the response say what became of it.
func (q *request) conclude(header bool) {
	err := q.commit(header)
	if err == nil && q.early && q.session.ID() != "" {
		err = q.keepEarly(header)
	}
	if q.writer.Failed = err; err != nil {
		q.undoEarly(q.kept())
		q.forget() // so that the page does not show what is not stored
		if q.watched != nil {
			go q.watched.stop() // which may wait for a store, and others wait for the lock
		}
		for _, other := range together(q.c) {
			go other.endWatch() // whose lock somebody may hold who waits for this one
		}
	}
	if header && q.writer.Failed == nil {
		if q.early { // the handler has had time to say otherwise
			response.KeepFromCaches(q.writer.Header())
			q.sends = true // also if it has emptied the header, as a reverse proxy does
		}
		q.offerHeld()
		q.dropOldCookie(q.setCookie())
		q.trimMoved()
	}
	q.reportUnmoved()
	if q.writer.Failed == nil {
		q.watchNew()
	}
	q.early = false
}

// Errors implements [response.Committer].
func (q *request) Errors() int { return len(q.c.Errors) }

// AfterHeader implements [response.Committer]: it commits what was changed after the
// header went out.
func (q *request) AfterHeader() {
	q.lock()
	defer q.unlock(q.c)
	if q.writer.PanickedLate(q.c) {
		q.discard()
	}
	if q.commit(false) != nil { // it is reported
		q.unlist()
	}
}

// Answer implements [response.Committer]. The page has the session of this middleware,
// whichever other one the handlers have.
func (q *request) Answer(below gin.ResponseWriter, failed error) {
	var w response.Writer
	w.Wrap(below, q)
	w.Begin(response.Sent) // what could be committed is
	q.tellBrowser()
	for _, other := range together(q.c) {
		other.tellBrowser() // what it has done stands
	}
	q.showing(q.c, &w, func(c *gin.Context) { q.answer(c, problemOf(failed)) })
}

// tellBrowser has a response that is not the handler's take cookies from the browser all the
// same: if a sign-out was carried out, and a bound cookie that does not count.
func (q *request) tellBrowser() {
	q.lock()
	defer q.unlock(q.c)
	if q.loaded != nil && q.clears {
		q.dropOldCookie(q.setCookie())
	}
	if q.loaded != nil && q.stale {
		q.dropBound()
	}
}

// Spares implements [response.Committer]: a middleware of another name has saved its
// session, and may have given it a new ID.
func (q *request) Spares(setCookie string) bool {
	name, _, _ := strings.Cut(setCookie, "=")
	saved := func(other *request) bool { return other.writer.Failed == nil && other.kit.setsCookie(name) }
	return slices.ContainsFunc(together(q.c), saved)
}

// commit saves what the request changed. header says whether the header has yet to go out,
// so that a cookie can be sent.
func (q *request) commit(header bool) error {
	if q.loaded == nil {
		return nil
	}
	if q.closed && !q.untouched() {
		return errTooLate // it is reported already
	}
	if header && q.flashes != nil && !q.panicked && (q.r.Context().Err() != nil || q.writer.Status() >= http.StatusInternalServerError) {
		q.unreadFlashes() // nobody is there to see them, or the page is another
	}
	q.syncView()
	if err := q.applyUserOf(); err != nil {
		_ = q.endIfBegun() // it is reported
		return err
	}
	if !q.session.Changed() && !q.clearing && q.bad == nil {
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
		q.reported = q.bad != nil // Save has the commit fail, and then the response
		return q.saveErr
	}
	q.clears = q.clears || q.clearing && header
	q.clearing = false
	if !q.given && !q.followed() { // else handlers that are run once more would not find it by the cookie that came
		q.unlist()
	}
	return nil
}

// unlist notes that there is nothing that has yet to be saved. A stream may last for hours.
func (q *request) unlist() {
	if q.entry.Listed() {
		q.kit.resumable.Remove(&q.entry)
	}
}

// touch records that the session was used, once a minute. The response does not
// depend on it: a failure is reported and no more.
func (q *request) touch(header bool) {
	if q.loadErr != nil || !q.session.Due() {
		return
	}
	now := time.Now()
	if stored := q.session.Stored(); !header && (q.handle.NeedsCookie() || !q.kit.policy.Due(&stored.Record, now)) {
		return // it takes a cookie, which cannot be sent
	}
	err := q.update(q.session.Plan(now), header)
	q.session.NotRecorded()
	if err != nil && !errors.Is(err, store.ErrEnded) {
		q.report(fmt.Errorf("sessionkit: recording that the session was used: %w", err))
	}
}

// touchEarly records the use before the handler runs, if at least half of the time is over that the
// session may stay unused: an upload may take longer than the rest. For this request all is as it was:
// the commit records the use once more, and reports what fails. It leaves GET requests to the commit
// alone, as a guard behind this one may be Passive, and stores of gin-contrib, which accept what the
// commit writes even after that time.
func (q *request) touchEarly() {
	if !q.session.Due() || q.session.Ending() || q.r.Method == http.MethodGet ||
		q.loadErr != nil || !q.handle.OneByOne() || q.handle.ToMove() {
		return
	}
	stored, now := q.session.Stored(), time.Now()
	if now.Sub(stored.Record.Seen) < stored.Record.Expires.Sub(now) {
		return
	}
	change := q.session.SeenAlone(store.Change{}, &stored.Record, now)
	renews := q.session.RenewsCookie(change)
	if renews {
		change = q.session.CookieSent(change, false)
	}
	if outcome, err := q.changeOnce(change); err == nil && outcome.Found && renews {
		q.session.OwesCookie() // or the next one does, if this one's handler panics
	}
}

// save carries out what the request wants done.
func (q *request) save(header bool) error {
	if q.bad != nil {
		return q.endRefused(header, fmt.Errorf("%w: %w", errBadChange, q.bad))
	}
	if q.loadErr != nil {
		return fmt.Errorf("%w before: %w", errUnreadable, q.loadErr)
	}
	switch plan := q.session.Plan(time.Now()); plan.Act {
	case session.Create:
		switch {
		case q.refusing: // reported by refuseOrigin
			return nil
		case q.session.SigningIn():
		case q.clearing: // a sign-out of the session that a late request has named, or of none
			return q.createAfterEnd(plan, header)
		case q.late() != nil:
			return fmt.Errorf("another request has ended it, given it a new ID or signed somebody in, and a new session would take the place of that one in the browser: %w", store.ErrEnded)
		case q.mayProve():
			return fmt.Errorf("the browser could not prove its device just now, and a new session would take the place of its own: %w", store.ErrEnded)
		}
		return q.create(plan, header)
	case session.Replace:
		if !q.session.SigningIn() {
			return q.endAndCreate(plan, header)
		}
		return q.create(plan, header)
	case session.Rotate:
		if q.followed() && !plan.Attempt { // its cookie may come before that of the other request, which would then open nothing
			return q.updateRenewed(plan.Change)
		}
		return q.rotate(plan, header) // a sign-in's has to reach the browser, which may wait for the other no more
	case session.Update, session.Touch:
		return q.update(plan, header)
	case session.End:
		return q.end(header)
	case session.None:
	}
	return nil
}

// endRefused carries out a sign-out although what was changed beside it is refused, and returns
// why that was.
func (q *request) endRefused(header bool, refused error) error {
	if q.loadErr != nil || !q.session.Ending() || q.session.SigningIn() {
		return refused
	}
	if err := q.end(header); err != nil {
		return errors.Join(refused, err)
	}
	q.clears = header
	return refused
}

// endAndCreate carries out a sign-out, and stores what was set after it in a new session.
func (q *request) endAndCreate(plan session.Plan, header bool) error {
	if q.handle.IsCookie() { // without a new one, it would go on
		if err := q.canSendCookie(header); err != nil {
			return err
		}
	}
	if err := errors.Join(q.endOld(), q.endStored()); err != nil {
		return err
	}
	return q.createAfterEnd(plan, header)
}

// createAfterEnd stores what was set after a sign-out, which stands also if that fails. If it
// was messages alone that are lost, so does the handler's answer: what it says is so.
func (q *request) createAfterEnd(plan session.Plan, header bool) error {
	var err error
	if q.replaced() {
		err = fmt.Errorf("another request has signed somebody in, and a new session would take the place of that one in the browser: %w", store.ErrEnded)
	} else if err = q.create(plan, header); err == nil {
		return nil
	}
	q.goOnSignedOut()
	for name := range plan.Record.Values {
		if !value.IsOwn(name) && name != ginFlashes {
			q.clears = header
			return err
		}
	}
	q.saveErr = fmt.Errorf("sessionkit: saving a message after a sign-out: %w", err)
	q.report(q.saveErr)
	return nil
}

// create stores a new session, and ends the one that it replaces by a sign-in.
func (q *request) create(plan session.Plan, header bool) error {
	replaced := q.findReplaced()
	if err := q.canSendCookie(header); err != nil {
		return err
	}
	a := q.attempt()
	a.SignIn = q.session.Details()
	k, err := q.kit.keeper.Create(q.r, plan.Record, a)
	if err != nil {
		return err
	}
	if err := q.endBefore(plan); err != nil {
		_, undoErr := q.kit.keeper.Abandon(q.r, k)
		return errors.Join(err, undoErr)
	}
	q.replaceOld(replaced)
	q.tell(Event{Kind: EventCreated, User: k.Record.User, SessionID: k.ID})
	i := q.issuing()
	q.session.Committed(k.Stored, plan)
	q.issued(i, k)
	return nil
}

// endBefore ends what the browser had before a new session, which is stored by now: if that
// failed, all of it would stand.
func (q *request) endBefore(plan session.Plan) error {
	if err := q.endExpired(); err != nil {
		return err
	}
	if plan.Act == session.Replace && q.session.SigningIn() {
		return q.endKept(q.kept(), store.Replaced)
	}
	return nil
}

// rotate moves the session to a new ID.
func (q *request) rotate(plan session.Plan, header bool) error {
	replaced := q.findReplaced()
	if err := q.canSendCookie(header); err != nil {
		return err
	}
	var attempt signin.Attempt
	if plan.Attempt {
		attempt = q.attempt()
		attempt.SignIn = q.session.Details()
	}
	before := q.kept()
	k, found, err := q.kit.keeper.Rotate(q.r, before, plan.Record, plan.Change.Delete, attempt)
	switch {
	case err != nil:
		if _, ended := errors.AsType[storeerr.EndedHereError](err); ended && before.Record.User != "" { // who ended the others has not found it
			q.tell(Event{Kind: EventRevoked, User: before.Record.User, SessionID: before.ID})
		}
		return err
	case found:
		q.replaceOld(replaced)
		i := q.issuing()
		q.session.Rotated(k.Stored, plan)
		q.issued(i, k)
		return nil
	case !q.session.SigningIn(): // if another request has renewed it, that will do
		return q.updateRenewed(plan.Change)
	}
	q.session.ByItself()
	q.refreshView()
	q.agree() // with the values that are left: those of the user are gone with that session
	return q.create(q.session.Plan(time.Now()), header)
}

// issuing is why a session gets a new ID.
type issuing struct {
	signedIn, renewed bool
	before            string // the ID that it had, "" if it is a new session
}

func (q *request) issuing() issuing {
	i := issuing{signedIn: q.session.SigningIn(), renewed: q.session.Renewing(), before: q.session.ID()}
	if q.session.Ending() || q.handle.IsText() {
		i.before = "" // that one has ended, or is others' as well
	}
	return i
}

// issued goes on with a session that was stored under a new ID: the client gets its
// secret, and OnEvent is told.
func (q *request) issued(i issuing, k keeper.Kept) {
	q.sends, q.given = true, true
	q.goOn(k.Handle)
	switch {
	case i.signedIn:
		q.tell(Event{Kind: EventSignedIn, User: k.Record.User, SessionID: k.ID, PreviousID: i.before})
	case i.renewed:
		q.tell(Event{Kind: EventRenewed, User: k.Record.User, SessionID: k.ID, PreviousID: i.before})
	}
	if i.signedIn && !q.early { // else keepEarly does it
		q.trim(k.Record.User)
	}
}

// goOn makes the saved session the one that the request goes on with.
func (q *request) goOn(h keeper.Handle) {
	q.handle = h
	if q.view != nil {
		q.view.ID, q.view.IsNew = q.session.ID(), false
	}
}

// update changes the session in place.
func (q *request) update(plan session.Plan, header bool) error {
	if q.handle.NeedsCookie() {
		if err := q.canSendCookie(header); err != nil {
			return err
		}
	}
	if q.session.RenewsCookie(plan.Change) {
		plan.Change = q.session.CookieSent(plan.Change, header && q.r.Context().Err() == nil)
	}
	k, outcome, err := q.kit.keeper.Update(q.r, q.kept(), plan.Change)
	if err != nil {
		return err
	}
	if !outcome.Found {
		return q.updateRenewed(plan.Change)
	}
	again := plan.Cookie || k.Cookie != ""
	if k.Cookie == "" { // the one that the browser has is still good
		k.Cookie = q.handle.Cookie
	}
	q.sends = q.sends || again && header
	if !header && !q.bearer && session.Relived(plan.Change) {
		q.report(fmt.Errorf("sessionkit: the session has another MaxAge, and its cookie has not: %w", q.canSendCookie(header)))
	}
	q.session.Updated(k.Stored, plan.Change)
	q.goOn(k.Handle)
	return nil
}

// mostRenewals is how many times a change follows a session that other requests give one
// new ID after another.
const mostRenewals = 100

// updateRenewed applies a change to a session that another request has given a new
// ID. The browser gets the cookie from that one.
func (q *request) updateRenewed(change store.Change) error {
	for range mostRenewals {
		k, found, err := q.kit.keeper.Follow(q.r, q.kept())
		if err != nil {
			return err
		}
		if !found {
			return store.ErrEnded
		}
		change := q.session.ChangeOf(change, &k.Record)
		change = q.session.SeenAlone(change, &k.Record, time.Now()) // that sign-in says how long it lives
		next, outcome, err := q.kit.keeper.Update(q.r, k, change)
		if err != nil {
			return err
		}
		if outcome.Changed() {
			next.Record.Values = value.Apply(k.Record.Values, change.Set, change.Delete)
			q.session.Followed(next.Stored)
			q.goOn(next.Handle)
			q.refreshView()
			q.agree()
			return nil
		}
	}
	return store.ErrEnded
}

// end ends the session, and nothing follows it.
func (q *request) end(header bool) error {
	if q.handle.IsCookie() {
		if err := q.canSendCookie(header); err != nil {
			return err
		}
	}
	return q.endNow()
}

func (q *request) endNow() error {
	if err := errors.Join(q.endOld(), q.endStored()); err != nil {
		return err
	}
	q.goOnSignedOut()
	return nil
}

// goOnSignedOut goes on without a session, as a sign-out was carried out.
func (q *request) goOnSignedOut() {
	if q.early && q.session.ID() != "" { // else Save is about to store it, perhaps in a goroutine
		q.withdrawCookie()
	}
	if q.late() != nil && !q.replaced() {
		q.left = nil // it has ended, under its new ID
	}
	q.start(&keeper.Kept{}, false)
}

// endStored ends the stored session. If another request has done so by a sign-in, the browser has
// the cookie of that.
func (q *request) endStored() error {
	k := q.kept()
	ended, err := q.kit.keeper.End(q.r, k, store.SignedOut)
	if err == nil && !ended && k.Cookie != "" {
		if left, _ := q.kit.keeper.Load(q.r, k.Cookie, true); left.Record.Ended == store.Replaced {
			q.left = &remains{Kept: left}
		}
	}
	return q.tellEnd(k, ended, err)
}

func (q *request) endKept(k keeper.Kept, why store.Ending) error {
	ended, err := q.kit.keeper.End(q.r, k, why)
	return q.tellEnd(k, ended, err)
}

// tellEnd tells that a session has ended, if it has.
func (q *request) tellEnd(k keeper.Kept, ended bool, err error) error {
	if ended && err == nil && k.Record.User != "" {
		q.tell(Event{Kind: EventSignedOut, User: k.Record.User, SessionID: k.ID})
	}
	return err
}

// canSendCookie returns an error if a new cookie would not reach the browser, or not
// come back: the header has gone out, the client is gone or no longer answered, as by
// [http.TimeoutHandler], or the cookie's path or domain is another. Without it a new
// session would be nobody's, and a renewed one nobody's any more.
func (q *request) canSendCookie(header bool) error {
	switch {
	case header:
	case q.writer.TakenOver():
		return fmt.Errorf("%w, %w: a handshake sends no cookie; begin the session in a request before it, "+
			"or send the header by c.Writer.WriteHeaderNow before Hijack", errMisuse, errNoCookie)
	default:
		return fmt.Errorf("%w: the response has begun; change the session before writing", errNoCookie)
	}
	if ctx := q.r.Context(); ctx.Err() != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("%w: the time of the request is over; put a middleware that sets a deadline behind Sessions: %w",
				errNoCookie, context.Cause(ctx))
		}
		return fmt.Errorf("%w: the client is gone: %w", errNoCookie, context.Cause(ctx))
	}
	if reason := q.unreachable(); reason != "" {
		return fmt.Errorf("%w: %s", errUnreachable, reason)
	}
	return nil
}

// trim ends the oldest sign-ins of a user past MaxSessions. Its failure does not undo the
// sign-in; the next one tries again.
func (q *request) trim(user string) {
	if q.kit.MaxSessions == 0 {
		return
	}
	ended, err := q.kit.directory.Trim(keeper.Committing(q.r), user, q.kit.Name, q.kit.MaxSessions)
	for _, id := range ended {
		q.tell(Event{Kind: EventRevoked, User: user, SessionID: id})
	}
	if err != nil {
		q.report(fmt.Errorf("sessionkit: ending sessions past MaxSessions: %w", err))
	}
}
