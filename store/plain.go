package store

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// plainLifetime is how long a session lives that is used without the middleware and
// without a MaxAge of its own.
const plainLifetime = 24 * time.Hour

func defaultOptions() *gsessions.Options {
	return &gsessions.Options{Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}
}

// Options sets the attributes of the cookies that the store writes when it is
// used without the middleware. Until then they are Path=/; Secure; HttpOnly;
// SameSite=Lax and no Max-Age; a call replaces all of them. A MaxAge is also the
// time, in seconds, that the server keeps the session after it was last saved;
// without one that is 24 hours. The middleware has its own Config and does not read
// these.
func (s *Store) Options(o sessions.Options) { s.options.Store(o.ToGorillaOptions()) }

// held is a session as it was loaded for one request.
type held struct {
	id     string
	token  func() string // see hide
	record Record
	old    *moving // it has yet to move; nil: it is in this store
}

// hide returns a function, which no verb of fmt looks into: what is held stands in
// the request's context.
func hide(token string) func() string { return func() string { return token } }

type heldKey struct{}

// heldIn returns the sessions that were loaded for the request, by session.
func heldIn(r *http.Request) map[*gsessions.Session]held {
	if m, ok := r.Context().Value(heldKey{}).(map[*gsessions.Session]held); ok {
		return m
	}
	m := make(map[*gsessions.Session]held)
	*r = *r.WithContext(context.WithValue(r.Context(), heldKey{}, m)) // as gorilla's registry does
	return m
}

// Get returns the session of the request, loading it at most once. It is called
// by gin-contrib/sessions.
func (s *Store) Get(r *http.Request, name string) (*gsessions.Session, error) {
	return gsessions.GetRegistry(r).Get(s, name)
}

// New returns the session that the request's cookie names, or a new one. A
// cookie that names no live session is no error.
func (s *Store) New(r *http.Request, name string) (*gsessions.Session, error) {
	session := s.newSession(s, name)
	return session, s.openHeld(r, session)
}

// newSession returns a new session that owner saves.
func (s *Store) newSession(owner gsessions.Store, name string) *gsessions.Session {
	session := gsessions.NewSession(owner, name)
	options := *s.options.Load()
	session.Options = &options
	session.IsNew = true
	return session
}

// openHeld makes a new session the one that the request's cookie names.
func (s *Store) openHeld(r *http.Request, session *gsessions.Session) error {
	name := session.Name()
	for i, cookie := range r.CookiesNamed(name) {
		if i == maxCookies {
			break
		}
		id, record, found, err := s.open(context.WithoutCancel(r.Context()), name, cookie.Value, false)
		if err != nil {
			return err
		}
		if found && record.live() {
			hold(r, session, held{id: id, token: hide(cookie.Value), record: record})
			break
		}
	}
	return nil
}

// hold makes a session the one that was loaded.
func hold(r *http.Request, session *gsessions.Session, h held) {
	session.ID, session.IsNew = h.id, false
	value.Unpack(h.record.Values, session.Values)
	heldIn(r)[session] = h
}

// maxCookies bounds the cookies of one name that are tried. Sibling domains and
// longer paths may have added some to the session's own.
const maxCookies = 4

// Save writes what changed since the session was loaded and sends its cookie. A
// MaxAge below zero ends the session and clears its values. Once the session's Options have
// another MaxAge, another Save begins a new one; until then it stores nothing. The error is
// [ErrEnded] if the session was ended meanwhile: nothing brings it back.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	was, loaded := heldIn(r)[session]
	ctx := context.WithoutCancel(r.Context()) // a client that goes away does not stop it half-way
	if session.Options.MaxAge < 0 {
		if loaded {
			if err := s.endHeld(ctx, r, was); err != nil {
				return err
			}
			delete(heldIn(r), session) // another Save may begin a new one
			session.ID, session.IsNew = "", true
		}
		clear(session.Values) // a message later in the request must not sign the user in again
		setCookie(w, session, "")
		return nil
	}
	set, drop, err := value.Diff(was.record.Values, session.Values)
	if err != nil {
		return fmt.Errorf("store: saving a session: %w", err)
	}
	change := Change{Set: set, Delete: drop, Seen: time.Now()}
	change.Expires = change.Seen.Add(plainLifetime)
	if age := session.Options.MaxAge; age > 0 {
		change.Expires = change.Seen.Add(time.Duration(age) * time.Second)
	}
	if loaded {
		if was, err = s.updateHeld(ctx, r, session.Name(), was, change); err != nil {
			return err
		}
	} else {
		if err := s.judge(nil, set, nil); err != nil {
			return err
		}
		record := Record{Name: session.Name(), Created: change.Seen, Seen: change.Seen, Expires: change.Expires, Values: set}
		token, id, _, err := s.create(ctx, record)
		if err != nil {
			return err
		}
		was.id, was.token = id, hide(token)
	}
	session.ID, session.IsNew = was.id, false
	was.record.Values = value.Apply(was.record.Values, set, drop)
	heldIn(r)[session] = was
	setCookie(w, session, was.token())
	return nil
}

// updateHeld applies a change to a session that was loaded.
func (s *Store) updateHeld(ctx context.Context, r *http.Request, name string, was held, change Change) (held, error) {
	var outcome Outcome
	var err error
	if was.old != nil {
		var token string
		token, was.id, outcome, err = was.old.Update(ctx, r, name, change)
		was.token, was.old = hide(token), nil
	} else {
		outcome, err = s.update(ctx, was.id, was.record, change)
	}
	if err == nil && !outcome.Found {
		err = fmt.Errorf("store: saving a session: %w", ErrEnded)
	}
	return was, err
}

// endHeld ends a session that was loaded.
func (s *Store) endHeld(ctx context.Context, r *http.Request, was held) error {
	if was.old != nil {
		_, err := was.old.End(ctx, r, SignedOut)
		return err
	}
	_, err := s.endSession(ctx, was.id, was.record, SignedOut)
	return err
}

func setCookie(w http.ResponseWriter, session *gsessions.Session, value string) {
	http.SetCookie(w, gsessions.NewCookie(session.Name(), value, session.Options))
}
