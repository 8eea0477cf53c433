package sessionkit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/keeper"
)

// errNobody is why a user's sessions cannot be told: nobody is signed in.
var errNobody = errors.New("nobody is signed in")

// Devices returns the live sessions of the signed-in user, the latest sign-in
// first, under this Config.Name. The current one is the one whose ID is
// Current(c).ID. SignedInAt and ConfirmedAt are zero if it is not known when the user signed
// in, as in a session that [store.Migrate] has moved from a store that does not tell it. The
// error is [errors.ErrUnsupported] over a store that does not know them; it is also an error
// if nobody is signed in.
func Devices(c *gin.Context) ([]Session, error) {
	var list []Session
	err := forUser(c, "Devices", func(ctx context.Context, q *request) (err error) {
		if list, err = q.kit.directory.Sessions(ctx, q.session.User(), q.kit.Name); err == nil {
			err = q.findAmong(list)
		}
		for i, s := range list {
			switch {
			case s.ID == q.session.ID() && !q.session.Ending():
				list[i] = q.describe()
			case !s.ExpiresAt.Equal(s.EndsAt): // it may end so much earlier, if its last use is not recorded yet
				list[i].ExpiresAt = s.ExpiresAt.Add(-q.kit.policy.SeenEvery())
			}
		}
		return err
	})
	return list, err
}

// findAmong goes on with the session under the ID that another request has given it, so
// that it is known among the user's.
func (q *request) findAmong(list []Session) error {
	isOwn := func(s Session) bool { return s.ID == q.session.ID() }
	if q.session.ID() == "" || q.session.Ending() || q.session.Renewing() || slices.ContainsFunc(list, isOwn) {
		return nil
	}
	k, found, err := q.kit.keeper.Follow(q.r, q.kept())
	if found {
		q.syncView()
		q.takeOver(k)
		q.refreshView()
	}
	return err
}

// Revoke ends one of the signed-in user's own sessions, by its ID, also one that the
// session had before it was renewed within the last hour. Any other ID is ignored:
// another user's, that of a session which is gone, and one from before an earlier
// renewal, as an old page may show it. So before you tell the user that a device is signed
// out, look for the ID in [Devices]. The current session is ended too if the ID is its
// own, or was before such a renewal, as by [Logout]. The error is [errors.ErrUnsupported]
// over a store that does not know a user's sessions; it is also an error if nobody is signed
// in.
func Revoke(c *gin.Context, id string) error {
	id = strings.Clone(id) // it may be a part of a form, and the store and OnEvent keep it
	return forUser(c, "Revoke", func(ctx context.Context, q *request) error {
		own := id != "" && id == q.session.ID() && !q.session.Ending()
		if !own {
			ended, spared, err := q.kit.directory.Revoke(ctx, q.session.User(), q.kit.Name, id, q.session.SignedIn().Line)
			if ended {
				q.tell(Event{Kind: EventRevoked, User: q.session.User(), SessionID: id})
			}
			if own = spared; !own {
				return err
			}
		}
		return q.endOwn() //nolint:contextcheck // it is carried out whether or not the client waits
	})
}

// endOwn ends the current session as [Logout] does, and at once if the request has ended, as its user's
// other sessions end then: there is no commit any more.
func (q *request) endOwn() error {
	if q.closed {
		return q.endNow()
	}
	q.signOut()
	return q.endIfBegun()
}

// LogoutOthers ends all sessions of the signed-in user under this Config.Name but the
// current one, also sign-ins that are under way. Call it after a password was changed and
// the new one is stored. The error is [store.ErrEnded], and no session ends, if the current
// one was ended itself meanwhile, or if the sign-in of this request does not stand: see
// [Attempt]. It is [errors.ErrUnsupported] over a store that does not know them; it is also
// an error if nobody is signed in.
//
// Sessions under another Config.Name, as of an admin area, go on. RevokeAll of the store
// ends those as well:
//
//	_, err := sessions.RevokeAll(c, user, sessionkit.Current(c).ID)
//
// The current session gets a new ID, as by [Renew], which says what to do about double clicks:
// so a copy of its cookie opens nothing any more. It keeps its ID if no cookie can be sent, as
// once the response has begun, and if another request gives it a new one at the same time.
//
// To let a user be signed in once only, set Config.MaxSessions to 1: a form that calls
// Login and LogoutOthers, and is sent twice, overtakes itself.
func LogoutOthers(c *gin.Context) error {
	return forUser(c, "LogoutOthers", func(ctx context.Context, q *request) error {
		if err := q.revokeOthers(ctx, false); err != nil {
			return err
		}
		if !q.followed() && q.canSendCookie(q.writer.TakesCookie() && !q.writer.Written()) == nil && q.session.Renew() { //nolint:contextcheck // the request's own context counts
			q.changed()
		}
		return nil
	})
}

// LogoutEverywhere ends all sessions of the signed-in user under this Config.Name, also
// sign-ins that are under way; the current one as by [Logout]. For those under other names
// see [LogoutOthers]. The error is [errors.ErrUnsupported] over a store that does not know
// them; it is also an error if nobody is signed in.
func LogoutEverywhere(c *gin.Context) error {
	return forUser(c, "LogoutEverywhere", func(ctx context.Context, q *request) error {
		if err := q.revokeOthers(ctx, true); err != nil {
			return err
		}
		if q.session.ID() != "" && !q.session.Ending() {
			if err := q.endStored(); err != nil { // at once, as the others
				return err
			}
		}
		return q.endOwn() //nolint:contextcheck // as in Revoke
	})
}

// revokeOthers ends the user's other sessions, with force also if the current one was ended
// itself. A sign-in that follows in this request is later than that, unless others have
// ended the user's sessions since the request began.
func (q *request) revokeOthers(ctx context.Context, force bool) error {
	user, in, a := q.session.User(), q.session.SignedIn(), q.attempt()
	if q.session.SigningIn() {
		a.SignIn = &in
	}
	id := q.session.ID()
	if q.handle.ToMove() {
		id = "" // it is the old store's
	}
	ended, after, err := q.kit.directory.RevokeOthers(ctx, user, q.kit.Name, id, in, a, force)
	for _, s := range ended {
		q.tell(Event{Kind: EventRevoked, User: s.User, SessionID: s.ID})
	}
	if err == nil && after.Noted {
		q.noted = &note{user: user, epoch: after.Epoch}
	}
	return err
}

// forUser runs what concerns all sessions of the signed-in user.
func forUser(c *gin.Context, call string, f func(context.Context, *request) error) error {
	q := requestOf(c, call)
	q.lock()
	defer q.unlock(c)
	q.load(false)
	_ = q.applyUserOf() // it is reported
	var err error
	switch {
	case q.loadErr != nil:
		return fmt.Errorf("sessionkit: %s: %w", call, q.loadErr)
	case q.kit.directory == nil:
		err = fmt.Errorf("this store does not know the sessions of a user: %w", errors.ErrUnsupported)
	case q.session.User() == "":
		err = errNobody
	default:
		if err = f(keeper.Committing(q.r), q); err != nil {
			q.report(fmt.Errorf("sessionkit: %s: %w", call, err))
		}
	}
	if err != nil {
		return fmt.Errorf("sessionkit: %s: %w", call, err)
	}
	return nil
}
