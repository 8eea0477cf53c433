package keeper

import (
	"net/http"

	"github.com/gin-sessionkit/sessionkit/internal/session"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// moving keeps sessions in a successor.
type moving struct{ served }

func (m moving) Update(r *http.Request, k Kept, change store.Change) (Kept, store.Outcome, error) {
	if k.mover == nil {
		return m.served.Update(r, k, change)
	}
	token, id, outcome, err := k.mover.Update(Committing(r), r, m.name, change)
	return Kept{Stored: session.Stored{ID: id, Record: k.Record}, Handle: Handle{Cookie: token}}, outcome, err
}

func (m moving) Rotate(r *http.Request, k Kept, record store.Record, drop []string, a signin.Attempt) (Kept, bool, error) {
	if k.mover == nil {
		return m.served.Rotate(r, k, record, drop, a)
	}
	next := Kept{Stored: session.Stored{Record: record}}
	var found bool
	var err error
	if !a.IsZero() {
		next.Cookie, next.ID, next.Record, found, err = k.mover.SignIn(Committing(r), r, record, drop, a)
	} else {
		next.Cookie, next.ID, found, err = k.mover.Renew(Committing(r), r, record, drop)
	}
	return next, found, err
}

func (m moving) End(r *http.Request, k Kept, why store.Ending) (bool, error) {
	if k.mover == nil {
		return m.served.End(r, k, why)
	}
	return k.mover.End(Committing(r), r, why)
}

func (m moving) Watch(r *http.Request, k Kept) (<-chan struct{}, func()) {
	if k.mover == nil {
		return m.served.Watch(r, k)
	}
	return k.mover.Watch(r)
}
