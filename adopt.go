package sessionkit

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/client"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/keeper"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/session"
	"github.com/gin-sessionkit/sessionkit/store"
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
		q.noteEnd(keeper.Kept{Stored: session.Stored{ID: id, Record: record}}, why)
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
	comesBack := q.bearer || q.comesBack()
	q.start(&k, comesBack && !q.adopted.IsText()) // else it does not move by this use
	if !comesBack {
		q.kit.site.Warn(q.r, true)
	}
	return true
}

// dropOldCookie has the browser drop the old cookie of a session that has ended, or has
// moved, in exchange for the new one, if the response sends that. As long as it is not known
// that the new one comes back, the old one stays: it leads to the session as well.
func (q *request) dropOldCookie(sent bool) {
	if q.adopted == nil {
		return
	}
	if q.adopted.dropOthers != nil {
		q.adopted.dropOthers(q.writer.Header())
	}
	switch {
	case q.adopted.Mover == nil:
	case q.session.ID() == "" || sent && q.comesBack():
		q.adopted.DropCookie(q.writer.Header())
	case q.moved() && q.comesBack(): // what followed has a cookie of another name
		old := make(http.Header)
		q.adopted.DropCookie(old)
		for _, line := range old["Set-Cookie"] {
			if name, _, _ := strings.Cut(line, "="); !q.kit.setsCookie(name) {
				q.writer.Header().Add("Set-Cookie", line)
			}
		}
	}
}

// trimMoved ends the oldest sign-ins past MaxSessions if the session has moved in this request.
// If that is one of them, the response has its cookie all the same: by it the next request is
// told what has ended the session.
func (q *request) trimMoved() {
	if q.adopted == nil || q.adopted.Mover == nil || q.adopted.token != "" || q.handle.ToMove() {
		return
	}
	if user := q.session.User(); user != "" && q.session.ID() != "" {
		q.trim(user)
	}
}

// reportUnmoved tells of values that could not move with the session.
func (q *request) reportUnmoved() {
	if q.adopted == nil || q.adopted.Mover == nil {
		return
	}
	if err := q.adopted.Unmoved(); err != nil {
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
	return q.findOld()()
}

// findReplaced is the first step of endOld for a sign-in, and replaceOld the second one; it
// returns nil if there is none. What may take long or panic comes before the sign-in is stored:
// the old store may hang until the client is gone, and a function of the application is called.
func (q *request) findReplaced() (end func() error) {
	if !q.session.SigningIn() {
		return nil
	}
	return q.findOld()
}

// replaceOld ends what findReplaced has found, once the sign-in is stored. If that fails it
// stands all the same, because its cookie counts, and the sign-out ends what is left.
func (q *request) replaceOld(end func() error) {
	if end == nil {
		return
	}
	if err := errors.Join(q.endExpired(), end()); err != nil {
		q.report(fmt.Errorf("sessionkit: ending what an old cookie opens beside a sign-in: %w", err))
	}
}

// findOld finds what old cookies of the request open beside its session. What it returns ends
// that, and returns also what findOld has failed at.
func (q *request) findOld() (end func() error) {
	if q.kit.successor == nil || q.kit.ownMoves || q.bearer { // then one cookie names both
		return func() error { return nil }
	}
	r := q.r.WithContext(keeper.Committing(q.r))
	endFound, findErr := q.kit.successor.FindOld(r, q.kit.Name, q.session.ID())
	return func() error {
		why := store.SignedOut
		if q.session.SigningIn() {
			why = store.Replaced
		}
		ended, drop, err := endFound(why)
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
		return errors.Join(findErr, err)
	}
}

// moved reports whether the old cookie has led to the session, or this request has moved it, so that
// the browser may have no cookie of it yet.
func (q *request) moved() bool {
	return q.adopted != nil && q.adopted.Mover != nil && !q.handle.ToMove()
}

// comesBack reports whether it is certain that the browser keeps a session cookie
// that the response sets: it has kept one, or the connection is one over which it
// does.
func (q *request) comesBack() bool {
	return q.secureCookie || q.plainCookie || q.kit.site.Keeps(q.r)
}
