package sessionkit

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// life is how long a session may live.
type life struct {
	idle       time.Duration // unused; 0: any time
	lifetime   time.Duration // from its sign-in or creation on; 0: any time
	until      time.Time     // at least, whatever else holds; zero: nothing
	persistent bool          // its cookie outlives the browser
}

// life returns how long the session of a record may live.
func (k *kit) life(r *store.Record, in signin.SignIn) life {
	return k.lifeOf(r.User, in, r.Values[value.MaxAge], r.Values[value.Until])
}

// lifeOf returns how long a session may live. maxAge and until are the texts of its
// values of these names, "" if it has none.
func (k *kit) lifeOf(user string, in signin.SignIn, maxAge, until string) life {
	signedIn := user != "" && !in.Values // one that is signed in by values has a visitor's deadlines
	seconds, _ := value.Int(maxAge)
	switch age := time.Duration(seconds) * time.Second; {
	case age > 0 && signedIn:
		return life{lifetime: age, persistent: true}
	case age > 0:
		return life{idle: age, persistent: true}
	case signedIn && in.Remembered:
		return life{idle: in.Idle, lifetime: orElse(in.Lifetime, k.RememberFor), persistent: true}
	case signedIn:
		return life{idle: orElse(in.Idle, k.IdleTimeout), lifetime: orElse(in.Lifetime, k.Lifetime)}
	}
	l := life{idle: k.IdleTimeout, lifetime: k.Lifetime}
	if k.VisitorFor > 0 {
		l = life{idle: k.VisitorFor, persistent: !k.closing}
	}
	if left, ok := value.Int(until); ok {
		l.until, l.persistent = time.Unix(int64(left), 0), true
	}
	return l
}

// relived reports whether a change gives the session another life.
func (q *request) relived(change store.Change) bool {
	return change.Set[value.MaxAge] != "" || slices.Contains(change.Delete, value.MaxAge)
}

// liveFor has the session live for a number of seconds, or as the configuration
// says if that is 0.
func (q *request) liveFor(seconds int) {
	q.lifeSet = true
	if seconds == 0 {
		q.remove(value.MaxAge)
		return
	}
	text, _ := value.Encode(min(seconds, int(maxCookieAge/time.Second)))
	q.put(value.MaxAge, text)
}

// endVisit has the deadlines of a user take the place of a visitor's, but for what
// this request itself has said of the session's life.
func (q *request) endVisit() {
	q.remove(value.Until)
	if !q.lifeSet {
		q.remove(value.MaxAge)
	}
}

func orElse(d, other time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return other
}

// seenEvery is how often the use of a session is recorded.
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

// due reports whether it is time to record that the session is used. Most often
// that can be told without a look at the sign-in.
func (k *kit) due(r *store.Record, now time.Time) bool {
	unrecorded := now.Sub(r.Seen)
	if unrecorded < min(time.Minute, r.Expires.Sub(r.Seen)/11) { // it expires a tenth later than its idle timeout
		return false
	}
	return unrecorded >= k.life(r, signInOf(*r)).seenEvery()
}

// live reports whether a stored session has not expired. The record says when it
// does; the Config, which may have become stricter since, is asked as well, once a
// minute.
func (k *kit) live(r *store.Record, now time.Time) bool {
	if !now.Before(r.Expires) {
		return false
	}
	if _, own := r.Values[value.MaxAge]; !own && now.Sub(r.Seen) < k.seenEvery {
		return true
	}
	in := signInOf(*r)
	return now.Before(k.life(r, in).expires(r, in, r.Seen))
}

const day = 24 * time.Hour

// cookieAge returns the Max-Age of the session's cookie in seconds, 0 if it ends
// with the browser. The server's deadlines hold either way. A cookie that goes on
// as long as the session is used is sent once a day, and lives a day longer.
func (l life) cookieAge(r *store.Record, in signin.SignIn, now time.Time) int {
	if !l.persistent {
		return 0
	}
	end := l.ends(r, in)
	if end.IsZero() {
		end = later(now.Add(min(l.idle+day, maxCookieAge)), l.until)
	}
	return max(1, int(math.Ceil(end.Sub(now).Seconds())))
}

// renewsCookie reports whether a cookie that outlives the browser is to be sent
// again, as the session is used on another day than before, counted from its
// creation.
func (l life) renewsCookie(r *store.Record, seen time.Time) bool {
	return l.persistent && l.lifetime <= 0 && seen.Sub(r.Created)/day != r.Seen.Sub(r.Created)/day
}

// lastingTo checks how long a sign-in is to last.
func lastingTo(option string, d time.Duration) error {
	var p problems
	switch {
	case d <= 0:
		p.add(option, d.String(), "must be positive; leave the option out for what Config says")
	case d > maxCookieAge:
		p.add(option, d.String(), "browsers keep no cookie over 400 days; make it shorter")
	default:
		p.positive(option, d)
	}
	return errors.Join(p.errs...)
}
