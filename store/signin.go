package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// withSignIn returns the record with the sign-in written to a copy of its values.
func (r Record) withSignIn(in signin.SignIn) Record {
	r.Values = value.Apply(r.Values, map[string]string{SignInValue: in.Text()}, nil)
	return r
}

// signInNew stores a new session. If somebody is signed in to it, that is by an
// attempt.
func (s *Store) signInNew(ctx context.Context, r Record, a signin.Attempt) (token, id string, err error) {
	if r.User != "" {
		r = s.begin(ctx, r, a)
	}
	token, id, b, err := s.create(ctx, r)
	if err != nil || r.User == "" {
		return token, id, err
	}
	return token, id, s.admit(ctx, id, r, b, a)
}

// signInOver gives a session a new token, with a sign-in.
func (s *Store) signInOver(ctx context.Context, id string, held, r Record, drop []string, a signin.Attempt) (token, newID string, found bool, err error) {
	r = s.begin(ctx, r, a)
	token, newID, b, found, err := s.rotate(ctx, id, held, r, drop)
	if err != nil || !found {
		return "", "", false, err
	}
	return token, newID, true, s.admit(ctx, newID, r, b, a)
}

// begin prepares the record of a sign-in.
func (s *Store) begin(ctx context.Context, r Record, a signin.Attempt) Record {
	in := r.signIn()
	in.Epoch = a.Epoch
	if a.Limit > 0 {
		in = s.inTurn(ctx, r.User, r.Name, in)
	}
	return r.withSignIn(in)
}

// admit ends a session that was signed in to a moment ago, and is known to nobody
// yet, if the user's sessions were ended since the attempt began.
func (s *Store) admit(ctx context.Context, id string, r Record, b boundaries, a signin.Attempt) error {
	in := r.signIn()
	late, err := s.overtaken(ctx, r.User, r.Name, b, in, a)
	if err == nil && !late && b.epoch() != in.Epoch {
		in.Epoch = b.epoch()
		var outcome Outcome
		outcome, err = s.update(ctx, id, r, Change{Set: map[string]string{SignInValue: in.Text()}})
		late = !outcome.Found
	}
	return s.settle(ctx, r.User, id, late, err)
}

// renew gives a session a new token.
func (s *Store) renew(ctx context.Context, id string, held, r Record, drop []string) (token, newID string, found bool, err error) {
	token, newID, b, found, err := s.rotate(ctx, id, held, r, drop)
	if err != nil || !found || r.User == "" {
		return token, newID, found, err
	}
	return token, newID, true, s.settle(ctx, r.User, newID, b.ends(r.signIn()), nil)
}

// settle ends a session that is known to nobody yet if it must not stand, or if
// nobody can tell.
func (s *Store) settle(ctx context.Context, user, id string, late bool, err error) error {
	if !late && err == nil {
		return nil
	}
	_, endErr := s.end(context.WithoutCancel(ctx), user, Revoked, id)
	if err == nil {
		err = fmt.Errorf("store: the user's sessions were ended since the request began: %w", ErrEnded)
	}
	return errors.Join(err, endErr)
}
