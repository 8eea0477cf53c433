package sessionkit

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/store"
)

// Session describes a session. It holds no secret: its ID names the session, and
// is safe to log.
type Session = store.Session

// LoginOption adjusts a [Login].
type LoginOption func(*store.SignIn)

// Remember makes a sign-in last for Config.RememberFor, without an idle timeout
// and beyond the end of the browser. It never counts as recent for
// GuardConfig.FreshWithin: the person who comes back may be another.
func Remember() LoginOption { return func(s *store.SignIn) { s.Remembered = true } }

// maxUserBytes bounds the name of a user.
const maxUserBytes = 255

// Login signs a user in. user is what the application knows the user by, such as
// a primary key: up to 255 bytes of text.
//
// The session gets a new ID and the old one is dead at once (OWASP ASVS 5.0
// section 7.2.4), and both deadlines start anew. A visitor's values stay, such as
// a cart; those of another user who was signed in are dropped. It is saved before
// the response goes out; if that fails, nobody is signed in and the response is a
// 503.
func Login(c *gin.Context, user string, options ...LoginOption) {
	q := requestOf(c, "Login")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	if user == "" || len(user) > maxUserBytes || !utf8.ValidString(user) || strings.IndexByte(user, 0) >= 0 {
		q.refuse(fmt.Errorf("sessionkit: Login of user %q: it must be 1 to %d bytes of UTF-8 text without NUL",
			shorten(user, maxUserBytes), maxUserBytes))
		return
	}
	if q.unreadable("Login") {
		return
	}
	q.syncView()
	line := newToken()
	switch q.user {
	case "":
	case user:
		line = q.since().Line
	default:
		q.restart()
	}
	in := store.SignIn{
		At: time.Now().Round(0), Line: line,
		UserAgent: userAgent(c.Request), IP: c.ClientIP(),
	}
	for _, option := range options {
		option(&in)
	}
	q.user, q.signIn = user, &in
	q.renewing, q.signingIn = true, true
	q.changed()
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
	q.restart()
	q.expired = false
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

// User returns who is signed in. It is false where nobody is, and where the
// session could not be read, which [Err] tells.
func User(c *gin.Context) (string, bool) {
	q := requestOf(c, "User")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	return q.user, q.user != ""
}

// Current describes the session. Its ID is empty until the session is stored.
// ExpiresAt is the time until which it lives for certain if it is not used again.
func Current(c *gin.Context) Session {
	q := requestOf(c, "Current")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	now := time.Now()
	in, r := q.since(), q.record()
	if r.Created.IsZero() {
		r.Created = now
	}
	if !q.passive || r.Seen.IsZero() {
		r.Seen = now
	}
	s := Session{
		User: r.User, CreatedAt: r.Created, SignedInAt: in.At, LastSeenAt: r.Seen,
		ExpiresAt:  q.kit.deadline(r, in, r.Seen),
		Remembered: in.Remembered, UserAgent: in.UserAgent, IP: in.IP,
	}
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
