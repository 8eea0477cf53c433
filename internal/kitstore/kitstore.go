// Package kitstore is what package sessionkit does with a store of this module,
// beyond sessions.Store of gin-contrib.
package kitstore

import (
	"context"
	"net/http"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// A Server is a store of this module. Its sessions have names, that of the cookie
// that opens them.
type Server interface {
	Directory

	// Load returns what a token opens, which may have expired or ended, and its ID.
	// It is not found if there is no such session, or it is one of another name, which
	// the record then has.
	Load(ctx context.Context, name, token string, fresh bool) (id string, r store.Record, found bool, err error)

	// Find returns the live session that has an ID, or had it before it was renewed in
	// the same sign-in or moved from another store, as it stands in the medium.
	Find(ctx context.Context, id string) (now string, r store.Record, found bool, err error)

	// Create stores a new session, and returns its token, its ID, and the record as it
	// is stored. If somebody is signed in, it is by an attempt. The error is
	// [store.ErrEnded] if the user's sessions were ended meanwhile.
	Create(ctx context.Context, r store.Record, a signin.Attempt) (token, id string, stored store.Record, err error)

	// Update applies a change to a session that was loaded as held.
	Update(ctx context.Context, id string, held store.Record, c store.Change) (store.Outcome, error)

	// Renew moves a session that was loaded as held to a new token, and SignIn does
	// so with a sign-in and returns r as it is stored. They report false, and change
	// nothing, if it has ended.
	Renew(ctx context.Context, id string, held, r store.Record, drop []string) (token, newID string, found bool, err error)
	SignIn(ctx context.Context, id string, held, r store.Record, drop []string, a signin.Attempt) (token, newID string, stored store.Record, found bool, err error)

	// Follow returns a session that was loaded as held and has another ID since, in
	// the same sign-in. It is not found if it has ended, or nobody was signed in:
	// whoever has the new ID may be somebody else.
	Follow(ctx context.Context, held store.Record) (id string, r store.Record, found bool, err error)

	// End ends a session that was loaded as r, also if it has another ID since. It
	// reports whether there was one to end.
	End(ctx context.Context, id string, r store.Record, why store.Ending) (bool, error)

	// Abandon ends a session that Create has stored as r, and of which no browser knows. If
	// that fails it is tried again in the background. It reports whether there was one to end.
	Abandon(ctx context.Context, id string, r store.Record) (bool, error)

	// Watch returns a channel that is closed when the session, which was loaded as r,
	// has ended, or by stop, which must be called.
	Watch(id string, r store.Record) (done <-chan struct{}, stop func())
}

// A Directory knows the sessions of a user, under a name.
type Directory interface {
	// Note returns the epoch of a user, before the credentials are checked.
	Note(ctx context.Context, user, name string) (epoch string, err error)

	// Sessions returns the live ones.
	Sessions(ctx context.Context, user, name string) ([]store.Session, error)

	// Revoke ends one by its ID, and reports whether there was one to end. It spares the one
	// that has the line of a sign-in, if that is not "".
	Revoke(ctx context.Context, user, name, id, line string) (ended, spared bool, err error)

	// RevokeOthers ends all but the one with the given ID and sign-in, and returns
	// those that it ended, and the attempt of a sign-in that follows in the same request.
	// The error is [store.ErrEnded], and nothing is ended, if that one was ended itself,
	// unless force is set: if a has a SignIn it is not stored yet, and is judged by a. The ID
	// is "" if it has yet to move from another store.
	RevokeOthers(
		ctx context.Context, user, name, id string, in signin.SignIn, a signin.Attempt, force bool,
	) (ended []store.Session, after signin.Attempt, err error)

	// Trim ends the oldest sign-ins until limit of them live, and returns their IDs.
	Trim(ctx context.Context, user, name string, limit int) ([]string, error)
}

// A Successor is a [Server] that takes over the sessions of another store.
type Successor interface {
	Server

	// Adopt returns the session that an old cookie of the request names: its token
	// if it has moved, and else a [Mover]. The ID is "" if there is none. If it has ended, or
	// the cookie does not lead to it any more, the record is what is left of it, and says
	// why. If it moves own sessions, tokens are looked for in place of cookies.
	Adopt(r *http.Request, name string, tokens []string) (id, token string, record store.Record, old any, err error)

	// FindOld finds the sessions that old cookies of the request open, but for the one that
	// has an ID, as many as it can. It ends none of them.
	FindOld(r *http.Request, name, id string) (end EndOld, err error)

	// MovesOwn reports whether the other store is one of this module, and has sessions
	// that package sessionkit has made under this name.
	MovesOwn(name string) bool

	// UserOf returns the function that says who is signed in by the values of a
	// session, nil if there is none.
	UserOf() func(values map[any]any) string
}

// EndOld ends what FindOld has found, and returns the sessions that it ended, also with an
// error. If there are any, retire has the browser drop their cookies.
type EndOld = func(why store.Ending) (ended []store.Session, retire func(http.Header), err error)

// A Mover is a session that has yet to move from the old store. Its methods are
// those of [Server].
type Mover interface {
	Update(ctx context.Context, r *http.Request, name string, c store.Change) (token, id string, outcome store.Outcome, err error)
	Renew(ctx context.Context, r *http.Request, next store.Record, drop []string) (token, id string, found bool, err error)
	SignIn(ctx context.Context, r *http.Request, next store.Record, drop []string, a signin.Attempt) (token, id string, stored store.Record, found bool, err error)
	End(ctx context.Context, r *http.Request, why store.Ending) (bool, error)
	Watch(r *http.Request) (done <-chan struct{}, stop func())

	// IsText reports whether the old cookie is all there is of a visitor's session. It moves with
	// a change: a use alone must not set a cookie over that of a request beside it.
	IsText() bool

	// Unmoved names the values that could not move with the session, and stay in the old
	// store. It is nil if there are none, or nothing has moved.
	Unmoved() error

	// DropCookie has the browser drop the old cookie.
	DropCookie(header http.Header)
}

// Of returns a store as a [Server], and false for one that is none of this module.
func Of(s any) (Server, bool) {
	own, ok := s.(interface{ Kit() any })
	if !ok {
		return nil, false
	}
	server, ok := own.Kit().(Server)
	return server, ok
}
