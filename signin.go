package sessionkit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/client"
	"github.com/gin-sessionkit/sessionkit/internal/config"
	"github.com/gin-sessionkit/sessionkit/internal/keeper"
	"github.com/gin-sessionkit/sessionkit/internal/session"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// Session describes a session. It holds no secret: its ID names the session, and
// is safe to log.
type Session = store.Session

// LoginOption adjusts a [Login]: see [Remember], [IdleTimeout], [Lifetime] and
// [Attempt].
type LoginOption struct {
	remember bool
	note     *note
	err      error

	// idle and lifetime are 0 if they are not set. They have no nanoseconds, which would make
	// numbers that JavaScript rounds: store/express keeps none of those.
	idle, lifetime time.Duration
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
		n.epoch, n.err = q.kit.directory.Note(keeper.Committing(q.r), user, q.kit.Name)
	}
	return LoginOption{note: n}
}

// attempt returns the sign-in that is under way.
func (q *request) attempt() signin.Attempt {
	a := signin.Attempt{Began: started.Add(q.began), Limit: q.kit.MaxSessions}
	if q.noted != nil && q.noted.user == q.session.User() {
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
// Login refuses a duration under 100 ms or over 400 days: the response is a 500.
func IdleTimeout(d time.Duration) LoginOption {
	return LoginOption{idle: max(d, 0).Truncate(time.Microsecond), err: lastingTo("IdleTimeout", d)}
}

// Lifetime is how long the session lasts after this sign-in, in place of
// Config.Lifetime or, with [Remember], of Config.RememberFor. It holds until the
// next sign-in.
//
// Login refuses a duration under 100 ms or over 400 days: the response is a 500.
func Lifetime(d time.Duration) LoginOption {
	return LoginOption{lifetime: max(d, 0).Truncate(time.Microsecond), err: lastingTo("Lifetime", d)}
}

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
// A form that the browser sends twice, as for a double click, makes two sign-ins, of which
// the browser keeps the second, without the visitor's values: it came with the ID that is dead,
// and whoever brings that is given nothing of what the session has become. Let the page
// disable its button on submit.
//
// If the same user was signed in already, and no option says how long this sign-in
// lasts, it lasts as the one before: remembered or not, with its timeouts, and with the
// MaxAge that sessions.Default(c).Options has given it. To confirm
// who the signed-in user is, call [Confirm] instead.
//
// Once the response has begun, or in a connection that was hijacked, no cookie can be sent:
// nobody is signed in, which [Err] and Config.OnError tell.
func Login(c *gin.Context, user string, options ...LoginOption) {
	q := requestOf(c, "Login")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	if !signin.IsUser(user) {
		q.refuse(fmt.Errorf("%w: sessionkit: Login of user %q: it must be 1 to %d bytes of UTF-8 text without NUL",
			errMisuse, config.Shorten(user, signin.MaxUserBytes), signin.MaxUserBytes))
		return
	}
	if q.unreadable("Login") || q.refuseLate("Login") != nil {
		return
	}
	_ = q.applyUserOf() // it is reported
	var in signin.SignIn
	lastsAsBefore := false
	switch q.session.User() {
	case "":
	case user:
		before := q.session.SignedIn()
		in.Line, in.Mark = before.Line, before.Mark
		if lastsAsBefore = !slices.ContainsFunc(options, LoginOption.lasting); lastsAsBefore {
			in.Remembered, in.Idle, in.Lifetime = before.Remembered, before.Idle, before.Lifetime
		}
	default:
		life := q.session.SaidOfLife()
		q.restart()
		q.session.ReplaceValues(life)
	}
	if !lastsAsBefore {
		q.session.EndVisit()
	}
	for _, option := range options {
		in.Remembered = in.Remembered || option.remember
		in.Idle, in.Lifetime = cmp.Or(option.idle, in.Idle), cmp.Or(option.lifetime, in.Lifetime)
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
// lasts, and whether it is remembered. If nobody is signed in, nothing happens. Once the
// response has begun nothing happens either, as no cookie can be sent, which [Err] and
// Config.OnError tell.
//
// A form that leads here should disable its button when it is submitted, see [Renew].
func Confirm(c *gin.Context) {
	q := requestOf(c, "Confirm")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	_ = q.applyUserOf() // it is reported
	if q.unreadable("Confirm") || q.session.User() == "" || !q.mayRenew("Confirm") {
		return
	}
	q.session.Confirm(time.Now())
	q.offerBinding()
	q.changed()
}

// note takes over the epoch that was noted of a user.
func (q *request) note(user string, n *note) {
	switch {
	case n.user != user:
		q.refuse(fmt.Errorf("%w: sessionkit: Login of user %q with the Attempt of another user", errMisuse, config.Shorten(user, signin.MaxUserBytes)))
	case n.err != nil:
		q.refuse(fmt.Errorf("sessionkit: Attempt: %w", n.err))
	default:
		q.noted = n
	}
}

// Logout ends the session: the stored one is removed, its values are gone, and
// the browser is told to drop the cookie, and what Config.ClearSiteData names.
// What is set afterwards, a flash message for instance, is in a new session. If that one
// cannot be stored, or its cookie cannot be sent any more, because the client is gone or the
// response has begun, what was set is lost, which Config.OnError is told, and the session ends
// all the same. If that was more than messages, the response becomes a 503. With a [Login] after
// it, it is one step: if that cannot be stored, the session before stands.
//
// Once the response has begun, as in a stream, Logout ends the session at once, whatever the
// handler does after that, and [Done] is closed. If the store fails, [Err] and Config.OnError
// tell it, and it is tried again when the handler returns. Over the cookie store of
// gin-contrib nothing can end it then, which OnError is told when the handler returns.
func Logout(c *gin.Context) {
	q := requestOf(c, "Logout")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	if q.unreadable("Logout") {
		return
	}
	q.signOut()
	_ = q.endIfBegun() // it is reported
}

// endIfBegun carries out a sign-out at once if the response has begun: the commit may be hours
// away, and has nothing to add. If it fails, which is reported, the commit tries again.
func (q *request) endIfBegun() error {
	switch {
	case q.writer.Failed != nil:
		return q.writer.Failed // there is no other commit
	case q.writer.TakesCookie() || q.closed || !q.session.Ending() || q.handle.IsCookie():
		return nil
	}
	if err := q.endNow(); err != nil {
		q.saveErr = fmt.Errorf("sessionkit: ending the session: %w", err)
		q.report(q.saveErr)
		return q.saveErr
	}
	q.clearing = false // no cookie can be sent any more
	q.unlist()
	if q.watched == nil {
		q.watched = watchLater()
	}
	go q.watched.stop() // which may wait for a store, and others wait for the lock
	return nil
}

// hasUser reports whether a sign-out would end the session of a user, also one that is not open here.
func (q *request) hasUser() bool {
	if q.session.User() != "" || q.session.ID() != "" {
		return q.session.User() != ""
	}
	return q.refused != nil || q.left != nil && q.left.Record.Ended == store.Renewed && q.left.Record.User != ""
}

func (q *request) signOut() {
	if q.session.ID() == "" && q.refused != nil { // whoever has the cookie may end it
		q.session.EndInstead(q.refused.Stored)
		q.handle = q.refused.Handle
	}
	// A session that goes on under another ID ends there, but for a visitor's, which may be another's by
	// now. One that was signed out may not have ended on the replicas of its store.
	if left := q.left; q.session.ID() == "" && left != nil && left.Record.Ended != store.Revoked &&
		(left.Record.User != "" || left.Record.Ended != store.Renewed) {
		q.session.EndInstead(left.Stored)
		q.handle = left.Handle
	}
	q.restart()
	q.expired, q.revoked = false, false
	q.clearing = true
	q.changed()
}

// Renew gives the session a new ID with the same contents. The old ID is dead at
// once. Call it after any change of privilege (OWASP ASVS 5.0 section 7.2.4);
// [Login] does it by itself. Without a session nothing happens. Once the response has
// begun nothing happens either, as no cookie can be sent, which [Err] and Config.OnError
// tell.
//
// A double click on a button that leads here can sign the user out. The browser drops the
// response to the first request, with the new cookie in it, and the second request has
// the old ID: behind a guard, nobody is signed in with that. So have the form disable its
// button when it is submitted:
//
//	form.addEventListener("submit", (event) => { event.submitter.disabled = true })
func Renew(c *gin.Context) {
	q := requestOf(c, "Renew")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	_ = q.applyUserOf() // it is reported
	if q.unreadable("Renew") || q.session.ID() == "" || q.session.Ending() {
		return
	}
	if q.mayRenew("Renew") && q.session.Renew() {
		q.changed()
	}
}

// mayRenew reports whether the session can get a new ID. If not, because it is too late, that
// is reported. One to which another request has given a new ID keeps that.
func (q *request) mayRenew(call string) bool { return q.followed() || q.refuseLate(call) == nil }

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
	_ = q.applyUserOf() // it is reported
	return q.session.User(), q.session.User() != ""
}

// Current describes the session. Its ID is empty until the session is stored.
// LastSeenAt is the use before this request. ExpiresAt is the time until which the
// session lives for certain if it is not used again.
func Current(c *gin.Context) Session {
	q := requestOf(c, "Current")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	_ = q.applyUserOf() // it is reported
	return q.describe()
}

func (q *request) describe() Session {
	s := q.session.Describe(time.Now())
	if q.handle.IsText() { // it is stored once it moves
		s.ID = ""
	}
	return s
}

// signInAs signs a user in.
func (q *request) signInAs(user string, in signin.SignIn) {
	in.UserAgent, in.IP = client.UserAgent(q.r), q.callContext().ClientIP()
	q.session.SignIn(user, in, time.Now())
	q.offerBinding()
	q.changed()
}

// lastingTo checks how long a sign-in is to last.
func lastingTo(option string, d time.Duration) error {
	var p problems
	switch {
	case d <= 0:
		p.add(option, d.String(), "must be positive; leave the option out for what Config says")
	case d > session.MaxCookieAge:
		p.add(option, d.String(), "browsers keep no cookie over 400 days; make it shorter")
	default:
		p.positive(option, d)
	}
	return errors.Join(p.errs...)
}
