package sessionkit

import (
	"errors"
	"fmt"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/client"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/keeper"
	"github.com/gin-sessionkit/sessionkit/internal/token"
	"github.com/gin-sessionkit/sessionkit/store"
)

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
		q.tell(Event{Kind: EventRejected, SessionID: why.id})
	}
}

// rejection says whether something came that opens no session, and what it would
// have opened.
type rejection struct {
	rejected bool
	id       string
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
		why.id, _ = store.ID(secret)
	case k.Record.Ended != "":
		q.noteEnd(k, why)
	case !q.kit.policy.Live(&k.Record, now):
		q.expired = q.expired || k.Record.User != ""
		q.tell(Event{Kind: EventExpired, User: k.Record.User, SessionID: k.ID})
		if q.kit.site.Shared != nil && k.Cookie != "" { // the other program may still open it
			q.left = &remains{k, q.left}
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

// noteEnd takes note of what is left of a session. A sign-out finds by it where the session goes on,
// however long ago it got another ID.
func (q *request) noteEnd(k keeper.Kept, why *rejection) {
	late := q.isLate(&k.Record)
	switch k.Record.Ended {
	case store.Renewed:
	case store.Replaced, store.SignedOut:
		if !late {
			why.rejected, why.id = true, k.ID
		}
	case store.Revoked:
		q.revoked = k.Record.User != ""
	}
	if q.late() == nil {
		q.left = &remains{Kept: k}
	}
}

// isLate reports whether the browser may have sent the request before it knew that a session had
// ended, or had a new ID. It counts when the request arrived: the handler may have read a long body
// before it asks.
func (q *request) isLate(left *store.Record) bool {
	var within time.Duration
	switch left.Ended {
	case store.Renewed:
		within = lateFor
	case store.Replaced:
		within = lateOver
	case store.SignedOut: // no other cookie came with that: only a later sign-in could be overtaken
		within = time.Millisecond // which backends cut the time of the sign-out to
	case store.Revoked: // perhaps by this request, which may go on to leave a message: see RevokeAll of a store
		return false
	}
	return q.arrival().Sub(left.Expires) < within
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

// late returns what is left of a session that another request has ended or given a new ID since
// the browser sent this one: it may have another cookie by now. It is nil if there is none.
func (q *request) late() *keeper.Kept {
	if q.left == nil || q.left.Record.Ended == "" || !q.isLate(&q.left.Record) {
		return nil
	}
	return &q.left.Kept
}

// replaced reports whether a sign-in has replaced it, so that the browser has the cookie of that.
func (q *request) replaced() bool {
	late := q.late()
	return late != nil && late.Record.Ended == store.Replaced
}

// start begins with a stored session, or with a new one. due says whether its use is to
// be recorded.
func (q *request) start(k *keeper.Kept, due bool) {
	q.session.Begin(&k.Stored, due)
	q.handle = k.Handle
	q.refreshView()
	q.agree()
}

// due reports whether the use of a stored session is to be recorded: once a minute, and with
// the cookie that another response could not send.
func (q *request) due(k *keeper.Kept, now time.Time) bool {
	return q.kit.policy.Due(&k.Record, now) || q.kit.policy.OwesCookie(&k.Record) && !q.writer.Begun()
}
