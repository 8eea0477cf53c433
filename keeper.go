package sessionkit

import (
	"context"
	"net/http"

	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/store"
)

// keeper is what the kit asks of a store. The stores of this module do it
// themselves; [foreign] does it over any other.
type keeper interface {
	// load returns what the cookie names. It is not found where the cookie is
	// malformed or names nothing; an error means that nobody knows.
	load(r *http.Request, cookie string, fresh bool) (kept, error)

	// create stores a new session.
	create(r *http.Request, record store.Record) (kept, error)

	// update applies a change, unless the session has ended. The cookie of what it
	// returns is "" where the one that the browser has is still good.
	update(r *http.Request, k kept, change store.Change) (kept, bool, error)

	// rotate moves a session to a new ID, unless it has ended.
	rotate(r *http.Request, k kept, record store.Record, drop []string) (kept, bool, error)

	// end ends a session and reports whether there was one to end.
	end(r *http.Request, k kept) (bool, error)

	// watch returns a channel that is closed when the session has ended, or by stop.
	watch(r *http.Request, k kept) (done <-chan struct{}, stop func())
}

// kept is a session as a keeper has it.
type kept struct {
	id      string // public handle; "": there is none
	cookie  string // the session cookie's value: a secret
	record  store.Record
	foreign *gsessions.Session
	old     *store.Old // it is in the store that is being moved from
}

// needsCookie reports whether a change gives the browser another cookie.
func (k kept) needsCookie() bool {
	return k.old != nil || k.foreign != nil && k.foreign.ID == "" // then the cookie is the session
}

// server is what a store can do beyond sessions.Store.
type server interface {
	Load(ctx context.Context, secret string, fresh bool) (id string, r store.Record, found bool, err error)
	Create(ctx context.Context, r store.Record) (secret, id string, err error)
	Update(ctx context.Context, id string, held store.Record, c store.Change) (bool, error)
	Rotate(ctx context.Context, id string, held, r store.Record, drop []string) (secret, newID string, found bool, err error)
	End(ctx context.Context, id string, r store.Record) (bool, error)
	Watch(id string, r store.Record) (done <-chan struct{}, stop func())
	directory
}

// directory is a store that knows the sessions of a user.
type directory interface {
	Sessions(ctx context.Context, user string) ([]Session, error)
	Revoke(ctx context.Context, user, id string) error
	RevokeAll(ctx context.Context, user string, except ...string) (int, error)
	Trim(ctx context.Context, user string, limit int) ([]string, error)
}

// served keeps sessions in a server.
type served struct{ server }

func (s served) load(r *http.Request, cookie string, fresh bool) (kept, error) {
	id, record, found, err := s.Load(r.Context(), cookie, fresh)
	if err != nil || !found {
		return kept{}, err
	}
	return kept{id: id, cookie: cookie, record: record}, nil
}

func (s served) create(r *http.Request, record store.Record) (kept, error) {
	secret, id, err := s.Create(committing(r), record)
	return kept{id: id, cookie: secret, record: record}, err
}

func (s served) update(r *http.Request, k kept, change store.Change) (kept, bool, error) {
	found, err := s.Update(committing(r), k.id, k.record, change)
	k.cookie = ""
	return k, found, err
}

func (s served) rotate(r *http.Request, k kept, record store.Record, drop []string) (kept, bool, error) {
	secret, id, found, err := s.Rotate(committing(r), k.id, k.record, record, drop)
	return kept{id: id, cookie: secret, record: record}, found, err
}

func (s served) end(r *http.Request, k kept) (bool, error) {
	return s.End(committing(r), k.id, k.record)
}

func (s served) watch(_ *http.Request, k kept) (<-chan struct{}, func()) {
	return s.Watch(k.id, k.record)
}

// committing returns the context of a change. A client that goes away does not
// stop it half-way.
func committing(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }
