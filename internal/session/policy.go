package session

import (
	"math"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// A Policy is what the configuration says about sessions. It does not change.
type Policy struct {
	Name     string        // of the session cookie
	Idle     time.Duration // Config.IdleTimeout
	Lifetime time.Duration // Config.Lifetime
	Remember time.Duration // Config.RememberFor
	Visitor  time.Duration // Config.VisitorFor; 0: Idle and Lifetime

	// Closing means that a visitor's cookie ends with the browser, whatever Visitor is.
	Closing bool

	// Rolling means that a cookie that outlives the browser is sent again whenever use is
	// recorded. The browser may have it from another program, which makes it end earlier.
	Rolling bool

	// ByValues means that the application's own values say who is signed in.
	ByValues bool
}

// MaxCookieAge is the longest that browsers keep a cookie (RFC 6265bis section 5.5).
const MaxCookieAge = 400 * day

const day = 24 * time.Hour

// life is how long a session may live.
type life struct {
	idle       time.Duration // unused; 0: any time
	lifetime   time.Duration // from its sign-in or creation on; 0: any time
	until      time.Time     // at least, whatever else holds; zero: nothing
	persistent bool          // its cookie outlives the browser
}

// lifeOf returns how long the session of a record may live.
func (p *Policy) lifeOf(r *store.Record, in signin.SignIn) life {
	return p.life(r.User, in, r.Values[value.MaxAge], r.Values[value.Until])
}

// life returns how long a session may live. maxAge and until are the texts of its
// values of these names, "" if it has none.
func (p *Policy) life(user string, in signin.SignIn, maxAge, until string) life {
	signedIn := user != "" && !in.Values // one that is signed in by values has a visitor's deadlines
	seconds, _ := value.Int(maxAge)
	switch age := time.Duration(seconds) * time.Second; {
	case age > 0 && signedIn:
		return life{lifetime: age, persistent: true}
	case age > 0:
		return life{idle: age, persistent: true}
	case age < 0 && !signedIn:
		return life{idle: -age}
	case signedIn && in.Remembered:
		return life{idle: in.Idle, lifetime: orElse(in.Lifetime, p.Remember), persistent: true}
	case signedIn:
		return life{idle: orElse(in.Idle, p.Idle), lifetime: orElse(in.Lifetime, p.Lifetime)}
	}
	l := life{idle: p.Idle, lifetime: p.Lifetime}
	if p.Visitor > 0 {
		l = life{idle: p.Visitor, persistent: !p.Closing}
	}
	if left, ok := value.Int(until); ok {
		l.until, l.persistent = time.Unix(int64(left), 0), true
	}
	return l
}

func orElse(d, other time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return other
}

// SeenEvery is how often the use of a session is recorded.
func (p *Policy) SeenEvery() time.Duration { return life{idle: p.Idle}.seenEvery() }

func (l life) seenEvery() time.Duration {
	if l.idle > 0 {
		return min(time.Minute, l.idle/10)
	}
	return time.Minute
}

// ends returns when a session ends at the latest, the zero time if never.
func (l life) ends(r *store.Record, in signin.SignIn) time.Time {
	start := r.Created
	if r.User != "" && !in.At.IsZero() {
		start = in.At
	}
	if l.lifetime <= 0 {
		return time.Time{}
	}
	return later(start.Add(l.lifetime), l.until)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// deadline returns the time until which a session lives for certain if it was
// last used at seen.
func (l life) deadline(r *store.Record, in signin.SignIn, seen time.Time) time.Time {
	end := l.ends(r, in)
	if l.idle > 0 {
		if idle := later(seen.Add(l.idle), l.until); end.IsZero() || idle.Before(end) {
			return idle
		}
	}
	return end
}

// expires returns the time at which a session ends whose last recorded use is
// seen: it may have been used later, without a record of it.
func (l life) expires(r *store.Record, in signin.SignIn, seen time.Time) time.Time {
	return l.deadline(r, in, seen.Add(l.seenEvery()))
}

// Due reports whether it is time to record that the session is used. Most often
// that can be told without a look at the sign-in.
func (p *Policy) Due(r *store.Record, now time.Time) bool {
	unrecorded := now.Sub(r.Seen)
	if unrecorded < min(time.Minute, r.Expires.Sub(r.Seen)/11) { // it expires a tenth later than its idle timeout
		// A clock that was put back by more than what clocks differ by may take hours to come
		// there again. A server with a clock of its own drops what it takes for unused.
		return unrecorded < -store.Retention/2
	}
	return unrecorded >= p.lifeOf(r, signInOf(r)).seenEvery()
}

// OwesCookie reports whether the browser is to get the cookie of a stored session again.
func (p *Policy) OwesCookie(r *store.Record) bool {
	_, due := r.Values[value.CookieDue]
	return due && p.lifeOf(r, signInOf(r)).endless()
}

// Live reports whether a stored session has not expired. The record says when it
// does; the Policy, which may have become stricter since, is checked as well, once a
// minute.
func (p *Policy) Live(r *store.Record, now time.Time) bool {
	if !now.Before(r.Expires) {
		return false
	}
	if _, own := r.Values[value.MaxAge]; !own && now.Sub(r.Seen) < p.SeenEvery() {
		return true
	}
	in := signInOf(r)
	return now.Before(p.lifeOf(r, in).expires(r, in, r.Seen))
}

// Over reports whether somebody has signed in so long ago that the sign-in has ended, in use or
// not.
func (p *Policy) Over(r *store.Record, now time.Time) bool {
	in := signInOf(r)
	if r.User == "" || in.Values {
		return false
	}
	end := p.lifeOf(r, in).ends(r, in)
	return !end.IsZero() && !now.Before(end) || !in.Ends.IsZero() && !now.Before(in.Ends)
}

// Adopt gives a record that comes from another store the times of one that begins
// now.
func (p *Policy) Adopt(r *store.Record, now time.Time) {
	r.Created, r.Seen = now, now
	in := signInOf(r)
	r.Expires = p.lifeOf(r, in).expires(r, in, now)
}

// cookieAge returns the Max-Age of the session's cookie in seconds, 0 if it ends
// with the browser. The server's deadlines hold either way. A cookie that goes on
// as long as the session is used is sent once a day, and lives a day longer.
func (l life) cookieAge(r *store.Record, in signin.SignIn, now time.Time) int {
	if !l.persistent {
		return 0
	}
	end := l.ends(r, in)
	if end.IsZero() {
		end = later(now.Add(min(l.idle+day, MaxCookieAge)), l.until)
	}
	return max(1, int(math.Ceil(end.Sub(now).Seconds())))
}

// renewsCookie reports whether a cookie that outlives the browser is to be sent
// again, as the session is used on another day than before, counted from its
// creation.
func (l life) renewsCookie(r *store.Record, seen time.Time) bool {
	return l.endless() && seen.Sub(r.Created)/day != r.Seen.Sub(r.Created)/day
}

// endless reports whether the cookie outlives the browser and goes on as long as the
// session is used.
func (l life) endless() bool { return l.persistent && l.lifetime <= 0 }

// signInOf returns what a record keeps of the sign-in, the zero value if nobody is
// signed in.
func signInOf(r *store.Record) signin.SignIn {
	if r.User == "" {
		return signin.SignIn{}
	}
	return signin.Of(r.Values)
}
