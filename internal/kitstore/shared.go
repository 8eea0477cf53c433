package kitstore

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// A Shared store keeps its sessions where and as another program keeps them, which
// goes on using them at the same time. What the session cookie is called, holds and
// says is that program's, and so is how long a visitor's session lives. A session is
// named by its cookie. It has a public ID as well, by which nothing is found.
type Shared interface {
	// Cookie returns the session cookie without a value, for a connection over HTTPS
	// or not.
	Cookie(https bool) http.Cookie

	// VisitorFor returns how long a session may stay unused in which nobody is signed
	// in, or by values alone, and whether its cookie outlives the browser.
	VisitorFor() (life time.Duration, persistent bool)

	// UserOf returns the function that says who is signed in by the values of a
	// session, nil if there is none.
	UserOf() func(values map[any]any) string

	// Load returns the session that a cookie names, and its public ID.
	Load(ctx context.Context, cookie string) (id string, r store.Record, found bool, err error)

	// SignAnew returns the cookie of a session as it is to be sent again: an old secret
	// may have signed it.
	SignAnew(cookie string) string

	// Create stores a new session, and returns its cookie and its public ID.
	Create(ctx context.Context, r store.Record, https bool) (cookie, id string, err error)

	// Update applies a change to a session that was loaded as held.
	Update(ctx context.Context, cookie string, held store.Record, c store.Change, https bool) (store.Outcome, error)

	// Rotate moves a session that was loaded as held to a new cookie. It reports false,
	// and changes nothing, if it has ended. Somebody has signed in if signedIn is set.
	Rotate(
		ctx context.Context, cookie string, held, next store.Record, drop []string, signedIn, https bool,
	) (newCookie, id string, found bool, err error)

	// End removes a session, and reports whether there was one.
	End(ctx context.Context, cookie string) (bool, error)
}

// SharedOf returns a store as a [Shared] one, and false for any other.
func SharedOf(s any) (Shared, bool) {
	own, ok := s.(interface{ Kit() any })
	if !ok {
		return nil, false
	}
	shared, ok := own.Kit().(Shared)
	return shared, ok
}
