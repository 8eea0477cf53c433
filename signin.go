package sessionkit

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// Session describes a session. It holds no secret: its ID names the session, and
// is safe to log.
type Session = store.Session

// LoginOption adjusts a [Login]: see [Remember], [IdleTimeout], [Lifetime] and
// [Attempt].
type LoginOption struct {
	remember       bool
	idle, lifetime time.Duration // 0: not set
	note           *note
	err            error
}

// lasting reports whether the option says how long the sign-in lasts.
func (o LoginOption) lasting() bool { return o.remember || o.idle > 0 || o.lifetime > 0 }

// note is the epoch of a user, as it was before the credentials were checked.
type note struct {
	user, epoch string
	err         error
}

// Attempt is called before a user's credentials are checked, and what it returns is
// given to [Login]. Then a sign-in with a password that was changed meanwhile does
// not stand: if the user's sessions are all ended in between, as by
// [LogoutEverywhere] or RevokeAll of a store, the response is a 503 and nobody is
// signed in.
//
//	attempt := sessionkit.Attempt(c, user)
//	if checkPassword(user, password) {
//		sessionkit.Login(c, user, attempt)
//	}
//
// Without it that holds from the beginning of the request, by the clock of the
// store's server. So Attempt is for a handler that itself ends the user's sessions
// by RevokeAll before it calls Login. It reads the store once.
func Attempt(c *gin.Context, user string) LoginOption {
	q := requestOf(c, "Attempt")
	q.lock()
	defer q.unlock(c)
	n := &note{user: user}
	if q.kit.directory != nil {
		n.epoch, n.err = q.kit.directory.Note(committing(q.r), user, q.kit.Name)
	}
	return LoginOption{note: n}
}

// attempt returns the sign-in that is under way.
func (q *request) attempt() signin.Attempt {
	a := signin.Attempt{Began: q.began, Limit: q.kit.MaxSessions}
	if q.noted != nil && q.noted.user == q.user {
		a.Noted, a.Epoch = true, q.noted.epoch
	}
	return a
}

// Remember makes a sign-in last for Config.RememberFor, without an idle timeout
// and beyond the end of the browser.
func Remember() LoginOption { return LoginOption{remember: true} }

// IdleTimeout is how long the session of this sign-in may stay unused, in place of
// Config.IdleTimeout: shorter for administrators, say, or longer. With [Remember],
// which has no idle timeout otherwise, it adds one. It holds until the next sign-in.
//
// Login refuses a duration that Config would refuse: the response is a 500.
func IdleTimeout(d time.Duration) LoginOption {
	return LoginOption{idle: max(d, 0), err: lastingTo("IdleTimeout", d)}
}

// Lifetime is how long the session lasts after this sign-in, in place of
// Config.Lifetime or, with [Remember], of Config.RememberFor. It holds until the
// next sign-in.
//
// Login refuses a duration that Config would refuse: the response is a 500.
func Lifetime(d time.Duration) LoginOption {
	return LoginOption{lifetime: max(d, 0), err: lastingTo("Lifetime", d)}
}

// maxUserBytes bounds the name of a user.
const maxUserBytes = 255

// Login signs a user in. user is what the application knows the user by, such as
// a primary key: up to 255 bytes of text. An empty or longer one is a mistake of the
// program: nobody is signed in, and the response is a 500.
//
// The session gets a new ID and the old one is dead at once (OWASP ASVS 5.0
// section 7.2.4), and both deadlines start anew. A visitor's values stay, such as
// a cart; those of another user who was signed in are dropped. It is saved before
// the response goes out; if that fails, nobody is signed in and the response is a
// 503.
//
// If the same user was signed in already, and no option says how long this sign-in
// lasts, it lasts as the one before: remembered or not, with its timeouts. To confirm
// who the signed-in user is, call [Confirm] instead.
func Login(c *gin.Context, user string, options ...LoginOption) {
	q := requestOf(c, "Login")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	if !isUser(user) {
		q.refuse(fmt.Errorf("%w: sessionkit: Login of user %q: it must be 1 to %d bytes of UTF-8 text without NUL",
			errMisuse, shorten(user, maxUserBytes), maxUserBytes))
		return
	}
	if q.unreadable("Login") {
		return
	}
	q.follow()
	var in signin.SignIn
	switch q.user {
	case "":
	case user:
		before := q.since()
		in.Line = before.Line
		if !slices.ContainsFunc(options, LoginOption.lasting) {
			in.Remembered, in.Idle, in.Lifetime = before.Remembered, before.Idle, before.Lifetime
		}
	default:
		q.restart()
	}
	q.endVisit()
	for _, option := range options {
		in.Remembered = in.Remembered || option.remember
		in.Idle, in.Lifetime = orElse(option.idle, in.Idle), orElse(option.lifetime, in.Lifetime)
		if option.note != nil {
			q.note(user, option.note)
		}
		if option.err != nil {
			q.refuse(fmt.Errorf("%w: sessionkit: Login: %w", errMisuse, option.err))
		}
	}
	q.signInAs(user, in)
}

// Confirm records that the signed-in user has just shown again who they are, by
// their password for instance: GuardConfig.FreshWithin counts from here. The session
// gets a new ID (OWASP ASVS 5.0 section 7.2.4) and keeps everything else: how long it
// lasts, and whether it is remembered. If nobody is signed in, nothing happens.
func Confirm(c *gin.Context) {
	q := requestOf(c, "Confirm")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	q.follow()
	if q.unreadable("Confirm") || q.user == "" {
		return
	}
	in := q.since()
	in.Confirmed = time.Now().Round(0)
	q.signIn = &in
	q.renewing, q.confirming = true, true
	q.changed()
}

// note takes over the epoch that was noted of a user.
func (q *request) note(user string, n *note) {
	switch {
	case n.user != user:
		q.refuse(fmt.Errorf("%w: sessionkit: Login of user %q with the Attempt of another user", errMisuse, shorten(user, maxUserBytes)))
	case n.err != nil:
		q.refuse(fmt.Errorf("sessionkit: Attempt: %w", n.err))
	default:
		q.noted = n
	}
}

// Logout ends the session: the stored one is removed, its values are gone, and
// the browser is told to drop the cookie, and what Config.ClearSiteData names.
// What is set afterwards, a flash message for instance, is in a new session.
func Logout(c *gin.Context) {
	q := requestOf(c, "Logout")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	if q.unreadable("Logout") {
		return
	}
	q.signOut()
}

func (q *request) signOut() {
	if q.old.id == "" && q.late != nil && q.late.record.User != "" {
		q.old, q.late = *q.late, nil // it goes on under another ID, and ends there
	}
	q.restart()
	q.expired, q.revoked = false, false
	q.clearing = true
	q.changed()
}

// Renew gives the session a new ID with the same contents. The old ID is dead at
// once. Call it after any change of privilege (OWASP ASVS 5.0 section 7.2.4);
// [Login] does it by itself. Without a session nothing happens.
func Renew(c *gin.Context) {
	q := requestOf(c, "Renew")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	q.follow()
	if q.unreadable("Renew") || q.old.id == "" || q.ending {
		return
	}
	q.renewing = true
	q.changed()
}

// unreadable reports whether the session could not be read. Then call cannot be
// carried out, and the commit fails.
func (q *request) unreadable(call string) bool {
	if q.loadErr != nil {
		q.refuse(errors.New("sessionkit: " + call + " without the stored session, which could not be read"))
	}
	return q.loadErr != nil
}

// User returns who is signed in. ok is false if nobody is, or if the session could
// not be read: then the response becomes a 503, unless the handler calls [Err].
func User(c *gin.Context) (user string, ok bool) {
	q := requestOf(c, "User")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	q.follow()
	return q.user, q.user != ""
}

// Current describes the session. Its ID is empty until the session is stored.
// LastSeenAt is the use before this request. ExpiresAt is the time until which the
// session lives for certain if it is not used again.
func Current(c *gin.Context) Session {
	q := requestOf(c, "Current")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	q.follow()
	return q.describe()
}

// describe describes the session as it will be.
func (q *request) describe() Session {
	now := time.Now()
	in, r, life := q.since(), q.record(), q.life()
	s := Session{
		Name: q.kit.Name, User: r.User, CreatedAt: r.Created, SignedInAt: in.At, ConfirmedAt: in.Shown(), LastSeenAt: r.Seen,
		Remembered: in.Remembered, UserAgent: in.UserAgent, IP: in.IP,
	}
	if r.Created.IsZero() {
		r.Created, s.CreatedAt = now, now
	}
	used := now
	if q.passive && !r.Seen.IsZero() {
		used = r.Seen
	}
	s.ExpiresAt, s.EndsAt = life.deadline(&r, in, used), life.ends(&r, in)
	if !q.ending {
		s.ID = q.old.id
	}
	return s
}

// userAgent returns the browser's name for itself, as text of bounded length.
func userAgent(r *http.Request) string {
	const limit = 256
	ua := strings.ReplaceAll(strings.ToValidUTF8(r.UserAgent(), "?"), "\x00", "?")
	if len(ua) > limit {
		ua = strings.ToValidUTF8(ua[:limit], "")
	}
	return ua
}

// newToken returns a random name that is not secret.
func newToken() string { return rand.Text() }
