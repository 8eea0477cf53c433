package sessionkit

import (
	"context"
	"errors"
	"fmt"

	"github.com/gin-gonic/gin"
)

// errNobody is why a user's sessions cannot be told: nobody is signed in.
var errNobody = errors.New("nobody is signed in")

// Devices returns the live sessions of the signed-in user, the latest sign-in
// first. The current one is the one whose ID is Current(c).ID. The error is
// [errors.ErrUnsupported] over a store that does not know them.
func Devices(c *gin.Context) ([]Session, error) {
	var list []Session
	err := forUser(c, "Devices", func(ctx context.Context, q *request) (err error) {
		list, err = q.kit.directory.Sessions(ctx, q.user)
		return err
	})
	return list, err
}

// Revoke ends one of the signed-in user's own sessions, by its ID. An ID that is
// not of this user is no error and changes nothing. The current session is ended
// too if the ID is its own, as by [Logout]. The error is [errors.ErrUnsupported]
// over a store that does not know a user's sessions.
func Revoke(c *gin.Context, id string) error {
	return forUser(c, "Revoke", func(ctx context.Context, q *request) error {
		if id != "" && id == q.old.id && !q.ending {
			q.signOut()
			return nil
		}
		list, err := q.kit.directory.Sessions(ctx, q.user)
		if err != nil {
			return err
		}
		for _, s := range list {
			if s.ID != id {
				continue
			}
			if err := q.kit.directory.Revoke(ctx, q.user, id); err != nil {
				return err
			}
			q.tell(Event{Kind: EventRevoked, User: s.User, SessionID: s.ID})
		}
		return nil
	})
}

// LogoutOthers ends all sessions of the signed-in user but the current one. The
// error is [errors.ErrUnsupported] over a store that does not know them.
func LogoutOthers(c *gin.Context) error {
	return forUser(c, "LogoutOthers", func(ctx context.Context, q *request) error {
		return q.revokeAll(ctx, q.old.id)
	})
}

// LogoutEverywhere ends all sessions of the signed-in user, the current one as by
// [Logout]. The error is [errors.ErrUnsupported] over a store that does not know
// them.
func LogoutEverywhere(c *gin.Context) error {
	return forUser(c, "LogoutEverywhere", func(ctx context.Context, q *request) error {
		if err := q.revokeAll(ctx, q.old.id); err != nil {
			return err
		}
		q.signOut()
		return nil
	})
}

// revokeAll ends the user's sessions but one, each with an event. That one may have
// been renewed by another request: its sign-in is the same.
func (q *request) revokeAll(ctx context.Context, except string) error {
	list, err := q.kit.directory.Sessions(ctx, q.user)
	if err != nil {
		return err
	}
	in := q.since()
	if _, err := q.kit.directory.RevokeAll(ctx, q.user, except, in.Line); err != nil {
		return err
	}
	for _, s := range list {
		if s.ID != except && !s.SignedInAt.Equal(in.At) {
			q.tell(Event{Kind: EventRevoked, User: s.User, SessionID: s.ID})
		}
	}
	return nil
}

// forUser runs what concerns all sessions of the signed-in user.
func forUser(c *gin.Context, call string, f func(context.Context, *request) error) error {
	q := requestOf(c, call)
	q.lock()
	defer q.unlock(c)
	q.load(false)
	var err error
	switch {
	case q.loadErr != nil:
		return fmt.Errorf("sessionkit: %s: %w", call, q.loadErr)
	case q.kit.directory == nil:
		err = fmt.Errorf("this store does not know the sessions of a user: %w", errors.ErrUnsupported)
	case q.user == "":
		err = errNobody
	default:
		if err = f(committing(q.r), q); err != nil {
			q.report(fmt.Errorf("sessionkit: %s: %w", call, err))
		}
	}
	if err != nil {
		return fmt.Errorf("sessionkit: %s: %w", call, err)
	}
	return nil
}
