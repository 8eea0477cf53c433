package session

import (
	"crypto/rand"
	"maps"
	"slices"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/dbsc"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// An Act is what the commit does to the store.
type Act uint8

// The acts.
const (
	None    Act = iota
	Touch       // record that the session was used
	Create      // store a new one
	Update      // change it
	Rotate      // give it a new ID
	End         // end it
	Replace     // end it, and store a new one
)

// String returns the name of the act.
func (a Act) String() string {
	return [...]string{"none", "touch", "create", "update", "rotate", "end", "replace"}[a]
}

// A Plan is what the commit has to do.
type Plan struct {
	Act    Act
	Record store.Record // of the session that is stored, by Create, Rotate and Replace
	Change store.Change // what changes, by Touch, Update and Rotate

	// Attempt means that a Rotate is by a sign-in.
	Attempt bool

	// Cookie means that the browser gets a cookie, whether or not its value is another
	// one: one that outlives the browser is sent anew as the session lives on.
	Cookie bool
}

// Plan returns what the commit has to do now.
func (s *Session) Plan(now time.Time) Plan {
	if !s.Changed() {
		if !s.Due() {
			return Plan{}
		}
		s.settle()
		return s.update(Touch, now)
	}
	s.settle()
	follows := s.values.beginsSession() || s.user != ""
	switch {
	case s.Ending() && !follows:
		return Plan{Act: End}
	case s.Ending():
		return Plan{Act: Replace, Record: s.next(now), Cookie: true}
	case s.stored.ID == "" && !follows: // what was put was dropped again
		return Plan{}
	case s.stored.ID == "":
		return Plan{Act: Create, Record: s.next(now), Cookie: true}
	case s.intent != toStay:
		return s.rotate(now)
	}
	return s.update(Update, now)
}

// Due reports whether the commit has to record that the session is used, if nothing else.
func (s *Session) Due() bool { return s.stored.ID != "" && s.due && !s.Passive }

func (s *Session) rotate(now time.Time) Plan {
	p := Plan{Act: Rotate, Change: store.Change{Set: s.values.set, Delete: s.values.drop}, Cookie: true}
	if p.Attempt = s.intent == toSignIn || s.user != s.stored.Record.User; p.Attempt { // as Config.UserOf says, and the store does not know yet
		if s.Details().Line == "" {
			s.giveLine()
		}
	}
	p.Record = s.next(now)
	return p
}

func (s *Session) giveLine() {
	in := s.SignedIn()
	in.Line = rand.Text()
	s.signIn = &in
}

func (s *Session) update(act Act, now time.Time) Plan {
	p := Plan{Act: act, Change: s.Seen(store.Change{Set: s.values.set, Delete: s.values.drop}, now)}
	p.Cookie = s.RenewsCookie(p.Change) || Relived(p.Change)
	return p
}

// next returns the record of the session as it will be.
func (s *Session) next(now time.Time) store.Record {
	r := s.record()
	if r.Created.IsZero() {
		r.Created = now
	}
	r.Seen = now
	in := s.SignedIn()
	r.Expires = s.life().expires(&r, in, now)
	r.Name, r.Values = s.Policy.Name, s.values.set
	if r.User != "" && !s.keepsSignIn() {
		r.Values = value.With(r.Values, signin.Name, in.Text())
	}
	return r
}

// keepsSignIn reports whether the stored sign-in goes on as it stands, which need not be
// as it was loaded.
func (s *Session) keepsSignIn() bool {
	return s.intent == toRenew && s.user == s.stored.Record.User
}

// Seen adds to a change that the session is used, if that is to be recorded.
func (s *Session) Seen(c store.Change, now time.Time) store.Change {
	if s.due && !s.Passive || Relived(c) {
		c.Seen = now
		c.Expires = s.life().expires(&s.stored.Record, s.SignedIn(), c.Seen)
	}
	return c
}

// SeenAlone is Seen for a change that is made by itself in a session as it is stored, be it
// as another request has left it: what else this request is about to say of its life counts
// once that is stored, and what the change says so far not at all.
func (s *Session) SeenAlone(c store.Change, r *store.Record, now time.Time) store.Change {
	if s.due && !s.Passive || !c.Seen.IsZero() || Relived(c) {
		in := signInOf(r)
		c.Seen = now
		c.Expires = s.Policy.life(r.User, in, textAfter(c, r, value.MaxAge), textAfter(c, r, value.Until)).expires(r, in, now)
	}
	return c
}

// textAfter returns the text of a value of a record once a change is made, "" if it has
// none.
func textAfter(c store.Change, r *store.Record, name string) string {
	if text, ok := c.Set[name]; ok || slices.Contains(c.Delete, name) {
		return text
	}
	return r.Values[name]
}

// Recorded takes over what a change has recorded of the session's use.
func (s *Session) Recorded(c store.Change) {
	if !c.Seen.IsZero() {
		s.stored.Record.Seen, s.stored.Record.Expires, s.due = c.Seen, c.Expires, false
	}
}

// NotRecorded notes that the use could not be recorded: to try once is enough.
func (s *Session) NotRecorded() { s.due = false }

// RenewsCookie reports whether a change has the browser get its cookie anew, as the
// session lives on.
func (s *Session) RenewsCookie(c store.Change) bool {
	if c.Seen.IsZero() {
		return false
	}
	l := s.life()
	_, due := s.values.text(value.CookieDue)
	return l.renewsCookie(&s.stored.Record, c.Seen) || (due || s.Policy.Rolling) && l.endless()
}

// CookieSent returns a change that has the browser get its cookie anew, as a response makes
// it that sends the cookie. One that cannot leaves that to the next: the use that the change
// records would otherwise count for the whole day.
func (s *Session) CookieSent(c store.Change, sent bool) store.Change {
	_, due := s.values.text(value.CookieDue)
	switch {
	case sent && due:
		c.Delete = append(slices.Clip(c.Delete), value.CookieDue)
	case !sent && !due:
		c.Set = value.With(c.Set, value.CookieDue, "1")
	}
	return c
}

// OwesCookie notes that a change has left to the next response that the browser gets its cookie
// anew, so that the commit records the use once more, and sends it.
func (s *Session) OwesCookie() {
	s.Stands(value.CookieDue, "1")
	s.due = true
}

// ByItself makes a sign-in one of its own: the session that it was to take over has
// ended, or somebody else has signed in there. The user has shown who they are, so the
// sign-in stands. It takes along what a visitor had, and nothing that a signed-in
// session held. The next Plan is a Create.
func (s *Session) ByItself() {
	s.stored.ID = ""
	s.stored.Record.Created, s.stored.Record.Since = time.Time{}, time.Time{}
	s.signIn.Line, s.signIn.Mark = rand.Text(), ""
	if s.stored.Record.User == "" {
		s.values.set = maps.Clone(s.values.all()) // a handler may go on if the Create fails, and what was loaded is others' as well
	}
	s.values.base, s.values.drop = nil, nil
}

// ChangeOf returns a change as it is to be made in the session that another request has
// given a new ID, and left as r.
func (s *Session) ChangeOf(c store.Change, r *store.Record) store.Change {
	if s.intent == toConfirm { // what else the sign-in says may be another's by now, and so is the binding
		in := signInOf(r)
		in.Confirmed = s.SignedIn().Confirmed
		c.Set = value.Apply(c.Set, map[string]string{signin.Name: in.Text()}, []string{dbsc.NameOffer})
		c.Delete = slices.DeleteFunc(slices.Clone(c.Delete), func(name string) bool { return name == dbsc.Name || name == dbsc.NameUsed })
		c.If = &store.Condition{Name: signin.Name, Text: r.Values[signin.Name]}
	}
	return c
}

// Committed goes on with a session that was stored as a plan has it.
func (s *Session) Committed(stored Stored, p Plan) {
	s.goOn(stored)
	s.signedIn(stored, p)
}

// signedIn takes over the sign-in if the store has added to it what it knows of the
// user's other sessions.
func (s *Session) signedIn(stored Stored, p Plan) {
	if stored.Record.Values[signin.Name] != p.Record.Values[signin.Name] {
		in := signInOf(&stored.Record)
		s.signIn = &in
	}
}

func (s *Session) goOn(stored Stored) {
	s.stored, s.intent, s.due, s.another = stored, toStay, false, false
	s.values = values{base: stored.Record.Values}
	if !s.Policy.ByValues {
		s.user = stored.Record.User
	}
}

// Updated goes on with the session after a change of its values.
func (s *Session) Updated(stored Stored, c store.Change) {
	if !c.Seen.IsZero() {
		stored.Record.Seen, stored.Record.Expires = c.Seen, c.Expires
	}
	s.saved(stored, s.values.set)
}

// Rotated goes on with the session under its new ID. stored has the values that the plan
// has changed.
func (s *Session) Rotated(stored Stored, p Plan) {
	s.saved(stored, stored.Record.Values)
	s.signedIn(stored, p)
}

// saved goes on with a session in which set now stands, and what was dropped does not.
func (s *Session) saved(stored Stored, set map[string]string) {
	v := values{base: s.values.base, set: set, drop: s.values.drop, saved: true}
	stored.Record.Values = v.base
	s.goOn(stored)
	s.values = v
}

// Moved goes on with the session under the ID that it has got in another store, by a change
// of no values. What the request has changed is still to be stored.
func (s *Session) Moved(stored Stored, c store.Change) {
	s.settle()
	stored.Record.Values = s.values.base
	s.stored = stored
	s.Recorded(c)
}

// Followed goes on with a session to which a change was made after another request had
// given it a new ID.
func (s *Session) Followed(stored Stored) {
	s.goOn(stored)
	s.user, s.signIn = stored.Record.User, nil
}

// CookieAge returns the Max-Age of the session's cookie in seconds, 0 if it ends with
// the browser.
func (s *Session) CookieAge(now time.Time) int {
	r := s.stored.Record
	in := s.SignedIn()
	if s.user != r.User {
		r.Values = s.values.all()
		in = signInOf(&r)
	}
	maxAge, _ := s.values.text(value.MaxAge)
	until, _ := s.values.text(value.Until)
	return s.Policy.life(r.User, in, maxAge, until).cookieAge(&r, in, now)
}
