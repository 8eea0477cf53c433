package sessionkit

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// successor is a server that takes over the sessions of another store.
type successor interface {
	Adopt(r *http.Request) (*store.Old, error)
}

// adopt looks for the session in the store that is being moved from. It reports
// whether it is found there, or nobody knows.
func (q *request) adopt(fresh bool, why *rejection) bool {
	if q.kit.successor == nil {
		return false
	}
	old, err := q.kit.successor.Adopt(q.r)
	switch {
	case errors.Is(err, store.ErrCorrupt):
		q.report(fmt.Errorf("sessionkit: loading the session: %w", err))
		return false
	case err != nil:
		q.loadErr = fmt.Errorf("sessionkit: loading the session: %w", err)
		q.report(q.loadErr)
		return true
	case old == nil:
		return false
	}
	q.adopted = old
	if old.Secret != "" { // it has moved, and the browser has not heard of that yet
		return q.open(old.Secret, fresh, why)
	}
	now := time.Now()
	old.Record.Created, old.Record.Seen = now, now
	old.Record.Expires = q.kit.expires(old.Record, old.Record.SignIn(), now)
	q.due = true // this use moves it
	q.start(kept{id: old.ID, old: old, record: old.Record})
	return true
}

// retire has the browser drop the old cookie of a session that has moved, in
// exchange for the new one.
func (q *request) retire() {
	if q.adopted == nil {
		return
	}
	if id, ok := store.ID(q.adopted.Secret); ok && id == q.old.id {
		q.sendCookie(q.old)
	}
	q.adopted.Retire(q.writer.Header())
}

// moving keeps sessions in a successor.
type moving struct{ served }

func (m moving) update(r *http.Request, k kept, change store.Change) (kept, bool, error) {
	if k.old == nil {
		return m.served.update(r, k, change)
	}
	secret, id, found, err := k.old.Update(committing(r), r, change)
	return kept{id: id, cookie: secret, record: k.record}, found, err
}

func (m moving) rotate(r *http.Request, k kept, record store.Record, drop []string) (kept, bool, error) {
	if k.old == nil {
		return m.served.rotate(r, k, record, drop)
	}
	secret, id, found, err := k.old.Rotate(committing(r), r, record, drop)
	return kept{id: id, cookie: secret, record: record}, found, err
}

func (m moving) end(r *http.Request, k kept) (bool, error) {
	if k.old == nil {
		return m.served.end(r, k)
	}
	return k.old.End(committing(r), r)
}

func (m moving) watch(r *http.Request, k kept) (<-chan struct{}, func()) {
	if k.old == nil {
		return m.served.watch(r, k)
	}
	return k.old.Watch(r)
}
