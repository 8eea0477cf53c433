package sessionkit

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// adopted is what an old cookie named.
type adopted struct {
	kitstore.Mover

	token string // of the session, if it had moved before
}

// tokens returns what the request brings for a session of this name: those that may
// be of a store of this module that is being moved from.
func (q *request) tokens() []string {
	if q.bearer {
		secret, _ := q.kit.token(q.r)
		return []string{secret}
	}
	list := make([]string, 0, maxCookies)
	for _, name := range []string{q.kit.hostName, q.kit.Name} {
		if name == q.kit.Name && !q.kit.plainHTTP(q.r) {
			break
		}
		for value := range cookieValues(q.r.Header["Cookie"], name) {
			if len(list) == maxCookies {
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
	if q.kit.ownMoves && token == "" && !q.kit.live(&record, now) { // the Config has become stricter
		q.expired = q.expired || record.User != ""
		q.tell(Event{Kind: EventExpired, User: record.User})
		return false
	}
	q.adopted = &adopted{old.(kitstore.Mover), token}
	if token != "" { // it has moved, and the browser does not know that yet
		return q.open(token, fresh, why)
	}
	if !q.kit.ownMoves { // nobody knows when
		record.Created, record.Seen = now, now
		in := signInOf(record)
		record.Expires = q.kit.life(&record, in).expires(&record, in, now)
	}
	q.start(kept{id: id, old: q.adopted.Mover, record: record})
	if q.due = q.bearer || q.comesBack(); !q.due { // else this use moves it
		q.kit.warn(q.r, true)
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
	if q.old.id == "" || q.comesBack() {
		q.adopted.Retire(q.writer.Header())
	}
}

// moved reports whether the old cookie has led to the session, of which the browser has
// no cookie yet.
func (q *request) moved() bool {
	if q.adopted == nil {
		return false
	}
	id, ok := store.ID(q.adopted.token)
	return ok && id == q.old.id
}

// moving keeps sessions in a successor.
type moving struct{ served }

func (m moving) update(r *http.Request, k kept, change store.Change) (kept, store.Outcome, error) {
	if k.old == nil {
		return m.served.update(r, k, change)
	}
	token, id, found, err := k.old.Update(committing(r), r, m.name, change)
	return kept{id: id, cookie: token, record: k.record}, store.Outcome{Found: found}, err
}

func (m moving) rotate(r *http.Request, k kept, record store.Record, drop []string, a *signin.Attempt) (kept, bool, error) {
	if k.old == nil {
		return m.served.rotate(r, k, record, drop, a)
	}
	next := kept{record: record}
	var found bool
	var err error
	if a != nil {
		next.cookie, next.id, found, err = k.old.SignIn(committing(r), r, record, drop, *a)
	} else {
		next.cookie, next.id, found, err = k.old.Renew(committing(r), r, record, drop)
	}
	return next, found, err
}

func (m moving) end(r *http.Request, k kept, why store.Ending) (bool, error) {
	if k.old == nil {
		return m.served.end(r, k, why)
	}
	return k.old.End(committing(r), r, why)
}

func (m moving) watch(r *http.Request, k kept) (<-chan struct{}, func()) {
	if k.old == nil {
		return m.served.watch(r, k)
	}
	return k.old.Watch(r)
}
