// Package keeper keeps the sessions of requests in a store: in one of this module, in
// one that takes over from another, or in any store of gin-contrib/sessions.
package keeper

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/session"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// A Keeper keeps sessions in a store.
type Keeper interface {
	// Load returns what the cookie names, which may have expired or ended. The ID is "" if
	// the cookie is malformed or names nothing, or a session of another name, which the
	// record then has; an error means that nobody knows.
	Load(r *http.Request, cookie string, fresh bool) (Kept, error)

	// Create stores a new session, and returns it as it is stored.
	Create(r *http.Request, record store.Record, a signin.Attempt) (Kept, error)

	// Update applies a change, unless the session has ended. The Cookie of what it
	// returns is "" if the one that the browser has is still good.
	Update(r *http.Request, k Kept, change store.Change) (Kept, store.Outcome, error)

	// Rotate moves a session to a new ID, unless it has ended. It is by a sign-in if
	// there is an attempt. It returns the record as it is stored, with the values that
	// the move has changed.
	Rotate(r *http.Request, k Kept, record store.Record, drop []string, a signin.Attempt) (Kept, bool, error)

	// Follow returns a session that has been given a new ID, in the same sign-in. It
	// is not found if it has ended.
	Follow(r *http.Request, k Kept) (Kept, bool, error)

	// End ends a session and reports whether there was one to end.
	End(r *http.Request, k Kept, why store.Ending) (bool, error)

	// Abandon ends a session that Create has stored a moment ago, and of which no browser
	// knows. It reports whether there was one to end.
	Abandon(r *http.Request, k Kept) (bool, error)

	// Watch returns a channel that is closed when the session has ended, or by stop.
	Watch(r *http.Request, k Kept) (done <-chan struct{}, stop func())
}

// Kept is a session as a Keeper has it.
type Kept struct {
	session.Stored
	Handle
}

// A Handle is what a Keeper knows of a session beside what is stored.
type Handle struct {
	Cookie string // the session cookie's value: a secret

	foreign *gsessions.Session
	mover   kitstore.Mover // it is in the store that is being moved from
}

// Adopted returns a session that is in the store that is being moved from.
func Adopted(id string, r store.Record, m kitstore.Mover) Kept {
	return Kept{Stored: session.Stored{ID: id, Record: r}, Handle: Handle{mover: m}}
}

// ToMove reports whether it is in the store that is being moved from.
func (h Handle) ToMove() bool { return h.mover != nil }

// IsText reports whether it is one that other browsers may have as well: see [kitstore.Mover].
func (h Handle) IsText() bool { return h.mover != nil && h.mover.IsText() }

// OneByOne reports whether its values can be changed one by one, in the store.
func (h Handle) OneByOne() bool { return h.foreign == nil }

// NeedsCookie reports whether a change gives the browser another cookie.
func (h Handle) NeedsCookie() bool {
	return h.mover != nil || h.IsCookie()
}

// IsCookie reports whether the cookie is the session, so that the browser alone can end it.
func (h Handle) IsCookie() bool { return h.foreign != nil && h.foreign.ID == "" }

// Of returns the keeper of a store for sessions of a name, and what else the store can
// do: its directory of the sessions of a user, and the store that it takes over from.
// Both are nil if it cannot. seenEvery is how often the use of a session is recorded.
func Of(s sessions.Store, name string, seenEvery time.Duration) (Keeper, kitstore.Directory, kitstore.Successor) {
	server, ok := kitstore.Of(s)
	if !ok {
		return &foreign{store: s, name: name, seenEvery: seenEvery}, nil, nil
	}
	if successor, ok := server.(kitstore.Successor); ok {
		return moving{served{server, name}}, server, successor
	}
	return served{server, name}, server, nil
}

// served keeps sessions in a server, under the name of their cookie.
type served struct {
	server kitstore.Server
	name   string
}

func (s served) Load(r *http.Request, cookie string, fresh bool) (k Kept, err error) {
	var found bool
	k.ID, k.Record, found, err = s.server.Load(r.Context(), s.name, cookie, fresh)
	if err != nil && r.Context().Err() != nil { // what the handler does without its client counts as well
		k.ID, k.Record, found, err = s.server.Load(Committing(r), s.name, cookie, fresh) //nolint:contextcheck // on purpose
	}
	if err != nil || !found {
		k.ID = ""
		return k, err
	}
	k.Cookie = cookie
	return k, nil
}

func (s served) Create(r *http.Request, record store.Record, a signin.Attempt) (Kept, error) {
	token, id, stored, err := s.server.Create(Committing(r), record, a)
	return Kept{Stored: session.Stored{ID: id, Record: stored}, Handle: Handle{Cookie: token}}, err
}

func (s served) Update(r *http.Request, k Kept, change store.Change) (Kept, store.Outcome, error) {
	outcome, err := s.server.Update(Committing(r), k.ID, k.Record, change)
	k.Cookie = ""
	return k, outcome, err
}

func (s served) Rotate(r *http.Request, k Kept, record store.Record, drop []string, a signin.Attempt) (Kept, bool, error) {
	next := Kept{Stored: session.Stored{Record: record}}
	var found bool
	var err error
	if !a.IsZero() {
		next.Cookie, next.ID, next.Record, found, err = s.server.SignIn(Committing(r), k.ID, k.Record, record, drop, a)
	} else {
		next.Cookie, next.ID, found, err = s.server.Renew(Committing(r), k.ID, k.Record, record, drop)
	}
	return next, found, err
}

func (s served) Follow(r *http.Request, k Kept) (Kept, bool, error) {
	id, record, found, err := s.server.Follow(Committing(r), k.Record)
	return Kept{Stored: session.Stored{ID: id, Record: record}}, found, err
}

func (s served) End(r *http.Request, k Kept, why store.Ending) (bool, error) {
	return s.server.End(Committing(r), k.ID, k.Record, why)
}

func (s served) Abandon(r *http.Request, k Kept) (bool, error) {
	return s.server.Abandon(Committing(r), k.ID, k.Record)
}

func (s served) Watch(_ *http.Request, k Kept) (<-chan struct{}, func()) {
	return s.server.Watch(k.ID, k.Record)
}

// Committing returns the context of a change, and of what is read for one. A client that goes
// away does not stop it half-way.
func Committing(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }
