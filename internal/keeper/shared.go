package keeper

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/address"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/session"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// Share keeps sessions in a store that another program uses as well.
func Share(s kitstore.Shared, p *session.Policy) Keeper { return shared{s, p} }

// shared keeps sessions in a store that another program uses as well.
type shared struct {
	store  kitstore.Shared
	policy *session.Policy
}

// Load ends a session whose sign-in has ended: the other program does not know of that, and
// would keep it alive. One that seems to be unused for too long stays, until its user signs
// out or another session takes its place in the browser: what is known of its use is what the
// other program lets know.
func (s shared) Load(r *http.Request, cookie string, _ bool) (Kept, error) {
	return s.load(Committing(r), cookie)
}

func (s shared) load(ctx context.Context, cookie string) (Kept, error) {
	id, record, found, err := s.store.Load(ctx, cookie)
	if err != nil || !found {
		return Kept{}, err
	}
	if s.policy.Over(&record, time.Now()) {
		if _, err := s.store.End(context.WithoutCancel(ctx), cookie); err != nil {
			return Kept{}, fmt.Errorf("ending an expired session: %w", err)
		}
		return Kept{Stored: session.Stored{ID: id, Record: record}}, nil // there is nothing left to end
	}
	return Kept{Stored: session.Stored{ID: id, Record: record}, Handle: Handle{Cookie: s.store.SignAnew(cookie)}}, nil
}

func (s shared) Create(r *http.Request, record store.Record, _ signin.Attempt) (Kept, error) {
	cookie, id, err := s.store.Create(Committing(r), record, address.IsHTTPS(r))
	return Kept{Stored: session.Stored{ID: id, Record: record}, Handle: Handle{Cookie: cookie}}, err
}

func (s shared) Update(r *http.Request, k Kept, change store.Change) (Kept, store.Outcome, error) {
	outcome, err := s.store.Update(Committing(r), k.Cookie, k.Record, change, address.IsHTTPS(r))
	k.Cookie = ""
	return k, outcome, err
}

func (s shared) Rotate(r *http.Request, k Kept, record store.Record, drop []string, a signin.Attempt) (Kept, bool, error) {
	cookie, id, found, err := s.store.Rotate(Committing(r), k.Cookie, k.Record, record, drop, !a.IsZero(), address.IsHTTPS(r))
	return Kept{Stored: session.Stored{ID: id, Record: record}, Handle: Handle{Cookie: cookie}}, found, err
}

// Follow finds nothing: the other program leaves no trace of what it has renewed.
func (s shared) Follow(*http.Request, Kept) (Kept, bool, error) { return Kept{}, false, nil }

func (s shared) End(r *http.Request, k Kept, _ store.Ending) (bool, error) {
	return s.store.End(Committing(r), k.Cookie)
}

func (s shared) Abandon(r *http.Request, k Kept) (bool, error) { return s.End(r, k, store.SignedOut) }

func (s shared) Watch(r *http.Request, k Kept) (<-chan struct{}, func()) {
	return watchByLoading(r, func(r *http.Request) (Kept, error) { return s.load(r.Context(), k.Cookie) })
}
