// Package session is the session of one request as a state machine: what was loaded,
// what is to become of it, and what the commit has to do. It knows nothing of HTTP and
// of Gin, and calls no store.
package session

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/dbsc"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// Stored is a session as a store has it.
type Stored struct {
	ID     string // public; "": there is none
	Record store.Record
}

// An intent is what is to become of the stored session. Values are changed under each
// of them.
type intent uint8

const (
	toStay    intent = iota
	toRenew          // gets a new ID
	toConfirm        // and a time at which the user has shown who they are
	toSignIn         // gets a new ID and a user
	toEnd            // ends; what follows is another session, if anything does
	toReplace        // ends, and somebody is signed in to the one that follows
)

// A Session is the session of one request. The zero value with a Policy is a new one.
// It is not safe for concurrent use.
type Session struct {
	Policy *Policy

	stored  Stored // what stands until the commit
	intent  intent
	due     bool // that the session is used is to be recorded
	lifeSet bool // the handler has said how long the session lives
	another bool // stored is another session, which ends in place of this one

	// Passive means that the request does not count as use of the session.
	Passive bool

	// The session as it will be: who is signed in, since when if that was looked up,
	// and its values.
	user   string
	signIn *signin.SignIn
	values values
}

// Begin goes on with a stored session, or with a new one if it has no ID. due says
// whether its use is to be recorded.
func (s *Session) Begin(stored *Stored, due bool) {
	s.stored, s.intent, s.due, s.another = *stored, toStay, due, false
	s.user, s.signIn = stored.Record.User, nil
	s.values = values{base: stored.Record.Values}
}

// Discard forgets what the request has changed. It does not count as use.
func (s *Session) Discard() {
	stored := s.Stored()
	if s.another || stored.ID == "" { // see ByItself
		stored = Stored{}
	}
	s.Begin(&stored, false)
	s.Passive = true
}

// Restart drops all there is: what follows is another, new session.
func (s *Session) Restart() {
	s.settle()
	s.intent = toStay
	if s.stored.ID != "" {
		s.intent = toEnd
	}
	s.user, s.signIn = "", nil
	s.values = values{}
}

// SignIn signs a user in. The caller sets what is known of the request in in.
func (s *Session) SignIn(user string, in signin.SignIn, now time.Time) {
	in.At = now.Round(0)
	if in.Line == "" {
		in.Line = rand.Text()
	}
	s.user, s.signIn = strings.Clone(user), &in // it may be a part of the form, with the password in it
	r := s.record()
	in.Ends = s.life().ends(&r, in)
	if s.Ending() {
		s.intent = toReplace
	} else {
		s.intent = toSignIn
	}
}

// Agree takes over who is signed in by the application's values in a stored session, ""
// for nobody.
func (s *Session) Agree(user string) {
	if user == s.user || user == "" && !s.SignedIn().Values {
		return
	}
	s.user, s.signIn = strings.Clone(user), &signin.SignIn{Values: true} // as in SignIn
}

// Confirm notes that the user has just shown again who they are.
func (s *Session) Confirm(now time.Time) {
	in := s.SignedIn()
	in.Confirmed = now.Round(0)
	s.signIn = &in
	if s.intent == toStay || s.intent == toRenew {
		s.intent = toConfirm
	}
}

// MayBeBound notes that the session may be bound to the device of its browser, now or by what
// the sign-in has offered.
func (s *Session) MayBeBound() {
	in := s.SignedIn()
	in.MayBeBound = true
	s.signIn = &in
}

// Renew gives the session a new ID. It reports false if there is none that could get
// one.
func (s *Session) Renew() bool {
	if s.stored.ID == "" || s.Ending() {
		return false
	}
	if s.intent == toStay {
		s.intent = toRenew
	}
	return true
}

// EndVisit has the deadlines of a new sign-in take the place of those before, a
// visitor's most often, but for what this request itself has said of the session's life.
func (s *Session) EndVisit() {
	s.Remove(value.Until)
	if !s.lifeSet {
		s.Remove(value.MaxAge)
	}
}

// LiveFor has the session live for a number of seconds, or as the Policy says if that
// is 0. It reports whether that is a change.
func (s *Session) LiveFor(seconds int) bool {
	s.lifeSet = true
	if seconds == 0 {
		text, _ := s.values.text(value.MaxAge)
		return !strings.HasPrefix(text, "-") && s.Remove(value.MaxAge) // 0 is until the browser closes
	}
	text, _ := value.Encode(min(seconds, int(MaxCookieAge/time.Second)))
	return s.Put(value.MaxAge, text)
}

// SaidOfLife returns the text by its name of what this request has said of how long the
// session lives, to be left for another one. It is nil if it has said nothing.
func (s *Session) SaidOfLife() map[string]string {
	text, ok := s.values.text(value.MaxAge)
	if !ok || !s.lifeSet {
		return nil
	}
	return map[string]string{value.MaxAge: text}
}

// ID returns the ID of the stored session, "" if there is none. After Restart it is that
// of the one that ends.
func (s *Session) ID() string { return s.stored.ID }

// Stored returns the stored session.
func (s *Session) Stored() Stored {
	s.settle()
	return s.stored
}

// Base returns the texts of the values as the store has them. They must not be changed.
func (s *Session) Base() map[string]string {
	s.settle()
	return s.values.base
}

// Ending reports whether the stored session ends.
func (s *Session) Ending() bool { return s.intent == toEnd || s.intent == toReplace }

// SigningIn reports whether the request signs somebody in.
func (s *Session) SigningIn() bool { return s.intent == toSignIn || s.intent == toReplace }

// Renewing reports whether the stored session goes on under a new ID.
func (s *Session) Renewing() bool {
	return s.intent == toRenew || s.intent == toConfirm || s.intent == toSignIn && s.stored.ID != ""
}

// User returns who is signed in, "" for nobody.
func (s *Session) User() string { return s.user }

// SignedIn returns what is known of the sign-in, the zero value if nobody is signed in.
func (s *Session) SignedIn() signin.SignIn { return *s.Details() }

// Details is SignedIn for a caller that changes nothing.
func (s *Session) Details() *signin.SignIn {
	if s.signIn == nil {
		in := signInOf(&store.Record{User: s.user, Values: s.values.base})
		s.signIn = &in
	}
	return s.signIn
}

// Changed reports whether there is anything to save.
func (s *Session) Changed() bool { return s.intent != toStay || s.values.unsaved() }

// Text returns the text of a value.
func (s *Session) Text(name string) (string, bool) { return s.values.text(name) }

// Texts returns the texts of all values. They must not be changed.
func (s *Session) Texts() map[string]string { return s.values.all() }

// StoredText returns the text of a value as the store has it, and whether this request has
// changed it since.
func (s *Session) StoredText(name string) (text string, changed bool) {
	s.settle()
	text = s.values.base[name]
	now, _ := s.values.text(name)
	return text, now != text
}

// Put changes a value, and reports whether that is a change.
func (s *Session) Put(name, text string) bool {
	s.settle()
	return s.values.put(name, text)
}

// Remove drops a value, and reports whether it was there.
func (s *Session) Remove(name string) bool {
	if _, ok := s.values.text(name); !ok {
		return false
	}
	s.settle()
	s.values.remove(name)
	return true
}

// WithPrefix returns the texts of the values whose names begin with prefix.
func (s *Session) WithPrefix(prefix string) map[string]string {
	s.settle()
	return s.values.withPrefix(prefix)
}

// HasStored reports whether the store has a value whose name begins with prefix.
func (s *Session) HasStored(prefix string) bool {
	s.settle()
	for name := range s.values.base {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// RemoveAll drops values that are there.
func (s *Session) RemoveAll(texts map[string]string) {
	s.settle()
	s.values.removeAll(texts)
}

// Undrop leaves values as the store has them, if it has them, that RemoveAll has dropped.
func (s *Session) Undrop(texts map[string]string) {
	s.settle()
	s.values.undropAll(texts)
}

// ReplaceValues has nothing but these values in the session.
func (s *Session) ReplaceValues(texts map[string]string) { s.values.set = texts }

// Stands notes that a value has a text in the store, "" if it is not there.
func (s *Session) Stands(name, text string) {
	s.settle()
	s.values.stands(name, text)
	s.stored.Record.Values = s.values.base
}

// StoredAlone notes that a change of one value was stored, by itself.
func (s *Session) StoredAlone(name string, change store.Change) {
	if v := &s.values; len(v.drop) == 0 && len(v.set) == 0 {
		// As after a commit: most requests are about to end, and need no copy of the
		// values.
		v.set, v.saved = change.Set, true
		return
	}
	s.Stands(name, change.Set[name])
}

// Removed notes that values are no longer in the store.
func (s *Session) Removed(names []string) {
	s.settle()
	s.values.base = value.Apply(s.values.base, nil, names)
	s.stored.Record.Values = s.values.base
}

// Reread takes over a session as another request has left it. What this request itself
// has said of the sign-in goes on.
func (s *Session) Reread(stored Stored) {
	s.settle()
	var signIn *signin.SignIn
	switch s.intent {
	case toSignIn, toReplace:
		signIn = s.signIn
	case toConfirm:
		in := signInOf(&stored.Record)
		in.Confirmed, in.MayBeBound = s.signIn.Confirmed, in.MayBeBound || s.signIn.MayBeBound
		signIn = &in
	case toStay, toRenew, toEnd:
	}
	s.stored, s.signIn = stored, signIn
	s.values.base = stored.Record.Values
}

// EndInstead has a stored session end in place of this one, which is new.
func (s *Session) EndInstead(stored Stored) { s.stored, s.another = stored, true }

func (s *Session) settle() {
	if s.values.settle() {
		s.stored.Record.Values = s.values.base
	}
}

// life returns how long the session as it will be may live.
func (s *Session) life() life {
	maxAge, _ := s.values.text(value.MaxAge)
	until, _ := s.values.text(value.Until)
	return s.Policy.life(s.user, s.SignedIn(), maxAge, until)
}

// Relived reports whether a change gives the session another life.
func Relived(c store.Change) bool {
	return c.Set[value.MaxAge] != "" || slices.Contains(c.Delete, value.MaxAge)
}

// record returns the session as it will be, but for its values and the times that
// the commit sets.
func (s *Session) record() store.Record {
	r := s.stored.Record
	if s.Ending() {
		r = store.Record{}
	}
	r.User, r.Values = s.user, nil
	return r
}

// Describe describes the session as it will be. Its ID is "" if it is not stored.
func (s *Session) Describe(now time.Time) store.Session {
	in, r, life := s.SignedIn(), s.record(), s.life()
	d := store.Session{
		Name: s.Policy.Name, User: r.User, CreatedAt: r.Created, SignedInAt: in.At, ConfirmedAt: in.Shown(), LastSeenAt: r.Seen,
		Remembered: in.Remembered, UserAgent: in.UserAgent, IP: in.IP,
	}
	if r.Created.IsZero() {
		r.Created, d.CreatedAt = now, now
	}
	used := now
	if s.Passive && !r.Seen.IsZero() {
		used = r.Seen
	}
	d.ExpiresAt, d.EndsAt = life.deadline(&r, in, used), life.ends(&r, in)
	if !s.Ending() {
		d.ID = s.stored.ID
	}
	bound, _ := s.values.text(dbsc.Name)
	d.Bound, d.ProvedAt = dbsc.Describe(bound)
	return d
}
