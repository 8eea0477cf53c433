package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/storeerr"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// withSignIn returns the record with the sign-in written to a copy of its values.
func (r Record) withSignIn(in signin.SignIn) Record {
	r.Values = value.With(r.Values, SignInValue, in.Text())
	return r
}

// signInNew stores a new session, and returns it as it is stored. If somebody is
// signed in to it, that is by an attempt.
func (s *Store) signInNew(ctx context.Context, r Record, a signin.Attempt) (token, id string, stored Record, err error) {
	var in signin.SignIn
	if r.User != "" {
		r, in = s.begin(ctx, Record{}, r, a)
	}
	token, id, b, err := s.create(ctx, r)
	if err != nil || r.User == "" {
		return token, id, r, err
	}
	r, err = s.admit(ctx, id, r, in, b, a)
	return token, id, r, err
}

// signInOver gives a session a new token, with a sign-in. It returns r as it is stored.
func (s *Store) signInOver(
	ctx context.Context, id string, held, r Record, drop []string, a signin.Attempt,
) (token, newID string, stored Record, found bool, err error) {
	r, in := s.begin(ctx, held, r, a)
	line := in.Line
	if held.signIn().Line != line { // it is new, so that nobody can have ended it
		line = ""
	}
	token, newID, b, found, err := s.rotate(ctx, id, held, r, line, drop)
	if err != nil || !found {
		return "", "", r, false, err
	}
	r, err = s.admit(ctx, newID, r, in, b, a)
	return token, newID, r, true, err
}

// begin prepares the record of a sign-in over a session that was loaded as held, if any,
// and returns what it holds of that.
func (s *Store) begin(ctx context.Context, held, r Record, a signin.Attempt) (Record, signin.SignIn) {
	var given signin.SignIn
	if a.SignIn != nil {
		given = *a.SignIn
	} else {
		given = r.signIn()
	}
	in := given
	in.Epoch = a.Epoch
	if before := held.signIn(); !a.Noted && before.Line == in.Line { // until it is admitted it stands and falls with that one
		in.Epoch = before.Epoch
	}
	if a.Limit > 0 {
		in = s.inTurn(ctx, r.User, r.Name, in)
	}
	if in == given && r.Values[SignInValue] != "" {
		return r, in
	}
	return r.withSignIn(in), in
}

// admit ends a session that was signed in to a moment ago, and is known to nobody
// yet, if the user's sessions were ended since the attempt began. Otherwise it notes
// the epoch with the sign-in, and returns the record with that.
func (s *Store) admit(ctx context.Context, id string, r Record, in signin.SignIn, b boundaries, a signin.Attempt) (Record, error) {
	if b.none() && in.Epoch == "" {
		return r, nil
	}
	late, err := s.overtaken(ctx, r.User, r.Name, b, in, a)
	if err == nil && !late && b.epoch() != in.Epoch {
		in.Epoch = b.epoch()
		r = r.withSignIn(in)
		var outcome Outcome
		outcome, err = s.apply(ctx, id, Change{Set: map[string]string{SignInValue: r.Values[SignInValue]}})
		if err == nil && !outcome.Found { // it may have another ID by now, and was judged when it got that
			var now string
			now, _, err = s.find(ctx, r.User, in.Line)
			late = now == ""
		}
	}
	return r, s.settle(ctx, r.User, id, late, err)
}

// renew gives a session that was loaded as held a new token.
func (s *Store) renew(ctx context.Context, id string, held, r Record, drop []string) (token, newID string, found bool, err error) {
	began := time.Now()
	token, newID, b, found, err := s.rotate(ctx, id, held, r, held.signIn().Line, drop)
	if err != nil || !found || b.none() {
		return token, newID, found, err
	}
	var late bool
	if r.User == "" {
		late, err = s.endsVisitor(ctx, b, held, began)
	} else {
		late = b.ends(held.signIn())
	}
	return token, newID, true, s.settle(ctx, r.User, newID, late, err)
}

// settle ends a session that is known to nobody yet if it must not stand, or if
// nobody can tell.
func (s *Store) settle(ctx context.Context, user, id string, late bool, err error) error {
	if !late && err == nil {
		return nil
	}
	ended, endErr := s.endUnknown(ctx, user, id)
	if err == nil {
		err = fmt.Errorf("store: sessions were ended since the request began, this one among them: %w", ErrEnded)
		if len(ended) > 0 { // by nobody else, who would tell
			err = storeerr.EndedHereError{Err: err}
		}
	}
	return errors.Join(err, endErr)
}
