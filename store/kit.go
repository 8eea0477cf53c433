package store

import (
	"context"
	"strings"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
)

// Kit is for package sessionkit, which takes what it returns for an interface of
// its own. Applications have no use for it.
func (s *Store) Kit() any { return kit{s} }

// kit implements the interfaces of internal/kitstore, which say what it does.
type kit struct{ s *Store }

func (k kit) Load(ctx context.Context, name, token string, fresh bool) (id string, r Record, found bool, err error) {
	return k.s.open(ctx, name, token, fresh)
}

func (k kit) Find(ctx context.Context, id string) (now string, r Record, found bool, err error) {
	id = strings.Clone(id) // as in Revoke
	r, found, err = k.s.load(ctx, id, true)
	switch {
	case err != nil || !found || r.live():
		return id, r, found, err
	case r.Kind == "" && r.Ended == Renewed:
		return k.Follow(ctx, r)
	case r.Kind == markKind:
		return k.s.findMoved(ctx, id, r)
	}
	return "", Record{}, false, nil
}

func (k kit) Create(ctx context.Context, r Record, a signin.Attempt) (token, id string, stored Record, err error) {
	if err := k.s.judge(nil, r.Values, nil); err != nil {
		return "", "", r, err
	}
	return k.s.signInNew(ctx, r, a)
}

func (k kit) Update(ctx context.Context, id string, held Record, c Change) (Outcome, error) {
	return k.s.update(ctx, id, held, c)
}

func (k kit) Renew(ctx context.Context, id string, held, r Record, drop []string) (token, newID string, found bool, err error) {
	return k.s.renew(ctx, id, held, r, drop)
}

func (k kit) SignIn(
	ctx context.Context, id string, held, r Record, drop []string, a signin.Attempt,
) (token, newID string, stored Record, found bool, err error) {
	return k.s.signInOver(ctx, id, held, r, drop, a)
}

func (k kit) Follow(ctx context.Context, held Record) (id string, r Record, found bool, err error) {
	const tries = 100 // it may be given another ID before it is read
	for range tries {
		id, _, err = k.s.find(ctx, held.User, held.signIn().Line)
		if id == "" || err != nil {
			return "", Record{}, false, err
		}
		r, found, err = k.s.load(ctx, id, true)
		if err != nil || !found || r.Ended != Renewed {
			break
		}
	}
	return id, r, found && r.live(), err
}

func (k kit) End(ctx context.Context, id string, r Record, why Ending) (bool, error) {
	return k.s.endSession(ctx, id, r, why)
}

func (k kit) Abandon(ctx context.Context, id string, r Record) (bool, error) {
	ended, err := k.s.endUnknown(ctx, r.User, id)
	return len(ended) > 0, err
}

func (k kit) Watch(id string, r Record) (done <-chan struct{}, stop func()) { return k.s.watch(id, r) }

func (k kit) Note(ctx context.Context, user, name string) (epoch string, err error) {
	b, err := k.s.boundaries(ctx, user, name, "")
	return b.epoch(), err
}

func (k kit) Sessions(ctx context.Context, user, name string) ([]Session, error) {
	return k.s.sessions(ctx, user, name)
}

func (k kit) Revoke(ctx context.Context, user, name, id, line string) (ended, spared bool, err error) {
	return k.s.revoke(ctx, user, name, id, line)
}

func (k kit) RevokeOthers(
	ctx context.Context, user, name, id string, in signin.SignIn, a signin.Attempt, force bool,
) (ended []Session, after signin.Attempt, err error) {
	return k.s.revokeOthers(ctx, user, name, id, in, a, force)
}

func (k kit) Trim(ctx context.Context, user, name string, limit int) ([]string, error) {
	return k.s.trim(ctx, user, name, limit)
}
