package sessionkit

import (
	"context"
	"net/http"

	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// keeper is what the kit asks of a store. The stores of this module do it
// themselves; [foreign] does it over any other.
type keeper interface {
	// load returns what the cookie names, which may have expired or ended. It is not
	// found if the cookie is malformed or names nothing; an error means that nobody
	// knows.
	load(r *http.Request, cookie string, fresh bool) (kept, error)

	// create stores a new session.
	create(r *http.Request, record store.Record, a signin.Attempt) (kept, error)

	// update applies a change, unless the session has ended. The cookie of what it
	// returns is "" if the one that the browser has is still good.
	update(r *http.Request, k kept, change store.Change) (kept, store.Outcome, error)

	// rotate moves a session to a new ID, unless it has ended. It is by a sign-in if
	// there is an attempt.
	rotate(r *http.Request, k kept, record store.Record, drop []string, a *signin.Attempt) (kept, bool, error)

	// follow returns a session that has been given a new ID, in the same sign-in. It
	// is not found if it has ended.
	follow(r *http.Request, k kept) (kept, bool, error)

	// end ends a session and reports whether there was one to end.
	end(r *http.Request, k kept, why store.Ending) (bool, error)

	// watch returns a channel that is closed when the session has ended, or by stop.
	watch(r *http.Request, k kept) (done <-chan struct{}, stop func())
}

// kept is a session as a keeper has it.
type kept struct {
	id      string // public; "": there is none
	cookie  string // the session cookie's value: a secret
	record  store.Record
	foreign *gsessions.Session
	old     kitstore.Mover // it is in the store that is being moved from
}

// needsCookie reports whether a change gives the browser another cookie.
func (k kept) needsCookie() bool {
	return k.old != nil || k.foreign != nil && k.foreign.ID == "" // then the cookie is the session
}

// served keeps sessions in a server, under the name of their cookie.
type served struct {
	kitstore.Server

	name string
}

func (s served) load(r *http.Request, cookie string, fresh bool) (kept, error) {
	id, record, found, err := s.Load(r.Context(), s.name, cookie, fresh)
	if err != nil || !found {
		return kept{}, err
	}
	return kept{id: id, cookie: cookie, record: record}, nil
}

func (s served) create(r *http.Request, record store.Record, a signin.Attempt) (kept, error) {
	token, id, err := s.Create(committing(r), record, a)
	return kept{id: id, cookie: token, record: record}, err
}

func (s served) update(r *http.Request, k kept, change store.Change) (kept, store.Outcome, error) {
	outcome, err := s.Update(committing(r), k.id, k.record, change)
	k.cookie = ""
	return k, outcome, err
}

func (s served) rotate(r *http.Request, k kept, record store.Record, drop []string, a *signin.Attempt) (kept, bool, error) {
	next := kept{record: record}
	var found bool
	var err error
	if a != nil {
		next.cookie, next.id, found, err = s.SignIn(committing(r), k.id, k.record, record, drop, *a)
	} else {
		next.cookie, next.id, found, err = s.Renew(committing(r), k.id, k.record, record, drop)
	}
	return next, found, err
}

func (s served) follow(r *http.Request, k kept) (kept, bool, error) {
	id, record, found, err := s.Follow(committing(r), k.record)
	return kept{id: id, record: record}, found, err
}

func (s served) end(r *http.Request, k kept, why store.Ending) (bool, error) {
	return s.End(committing(r), k.id, k.record, why)
}

func (s served) watch(_ *http.Request, k kept) (<-chan struct{}, func()) {
	return s.Watch(k.id, k.record)
}

// committing returns the context of a change. A client that goes away does not
// stop it half-way.
func committing(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }
