package express

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/address"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

var _ sessions.Store = (*Store)(nil)

// opened is a store as one session has it that was opened: what was loaded must be
// known when it is saved.
type opened struct {
	*Store

	sid    string // "": it is not stored yet
	record store.Record
}

type openedKey struct{}

// openedIn returns the sessions that were opened for the request. gorilla's registry
// makes the store that it was called with the session's own, so what is known of a
// session is kept here as well.
func openedIn(r *http.Request) map[*gsessions.Session]*opened {
	if m, ok := r.Context().Value(openedKey{}).(map[*gsessions.Session]*opened); ok {
		return m
	}
	m := make(map[*gsessions.Session]*opened)
	*r = *r.WithContext(context.WithValue(r.Context(), openedKey{}, m)) // as gorilla's registry does
	return m
}

// maxCookies bounds the cookies of one name that are tried.
const maxCookies = 4

// Options implements sessions.Store of gin-contrib/sessions. It does nothing:
// [Config.Cookie] decides the cookie's attributes, as both sides must have the same.
func (s *Store) Options(sessions.Options) {}

// Get returns the session of the request, loading it at most once. It is called by
// gin-contrib/sessions.
func (s *Store) Get(r *http.Request, name string) (*gsessions.Session, error) {
	return gsessions.GetRegistry(r).Get(s, name)
}

// New returns the session that the request's cookie names, or a new one. A cookie that
// names no session is no error. The name must be that of Config.Cookie.
func (s *Store) New(r *http.Request, name string) (*gsessions.Session, error) {
	o := &opened{Store: s}
	session := gsessions.NewSession(o, name)
	session.IsNew = true
	openedIn(r)[session] = o
	c := s.config.Cookie
	session.Options = &gsessions.Options{
		Path: c.Path, Domain: c.Domain, MaxAge: int(ceil(c.MaxAge) / time.Second), Secure: c.secure(false), HttpOnly: !c.ScriptReadable,
		SameSite: c.SameSite, Partitioned: c.Partitioned,
	}
	if name != c.Name {
		return session, fmt.Errorf("express: the session cookie is %q in Config.Cookie and %q here", c.Name, name)
	}
	for i, cookie := range r.CookiesNamed(name) {
		if i == maxCookies {
			break
		}
		sid, ok := s.config.Secrets.open(cookie.Value)
		if !ok {
			continue
		}
		record, found, err := s.load(context.WithoutCancel(r.Context()), sid)
		if err != nil {
			return session, err
		}
		if found && time.Now().Before(record.Expires) {
			o.sid, o.record = sid, record
			session.ID, session.IsNew = publicID(sid), false
			seconds, _ := value.Int(record.Values[lifeName])
			session.Options.MaxAge = max(0, seconds)
			value.Unpack(record.Values, session.Values)
			break
		}
	}
	return session, nil
}

// Save writes the values that were changed since the session was loaded, and sends its
// cookie. A MaxAge below zero in its Options ends the session and clears its values. Once the
// Options have another MaxAge, another Save begins a new one; until then it stores nothing. The
// error is [store.ErrEnded] if the session was ended meanwhile: nothing brings it back.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	o, ok := session.Store().(*opened)
	if !ok {
		o, ok = openedIn(r)[session]
	}
	if !ok {
		return errors.New("express: saving a session that this store has not opened in this request")
	}
	https, ctx := address.IsHTTPS(r), context.WithoutCancel(r.Context()) // a client that goes away does not stop it half-way
	if s.config.Cookie.Secure == Auto {
		session.Options.Secure = https
	}
	if session.Options.MaxAge < 0 {
		if o.sid != "" {
			if _, err := s.end(ctx, o.sid); err != nil {
				return err
			}
			o.sid, o.record = "", store.Record{} // another Save may begin a new one
			session.ID, session.IsNew = "", true
		}
		clear(session.Values) // a message later in the request must not sign the user in again
		http.SetCookie(w, gsessions.NewCookie(session.Name(), "", session.Options))
		return nil
	}
	set, drop, err := value.Diff(o.record.Values, session.Values)
	if err != nil {
		return wrap("saving a session", err)
	}
	now := time.Now()
	if o.sid == "" {
		record := store.Record{Created: now, Seen: now, Expires: now.Add(s.config.life()), Values: set}
		if o.sid, err = s.create(ctx, record, https); err != nil {
			return err
		}
		o.record = record
	} else {
		change := store.Change{Set: set, Delete: drop, Seen: now, Expires: now.Add(s.config.life())}
		outcome, err := s.update(ctx, o.sid, o.record, change, https)
		if err != nil {
			return err
		}
		if !outcome.Found {
			return wrap("saving a session", store.ErrEnded)
		}
		o.record.Values = value.Apply(o.record.Values, set, drop)
	}
	session.ID, session.IsNew = publicID(o.sid), false
	http.SetCookie(w, gsessions.NewCookie(session.Name(), s.config.Secrets.seal(o.sid), session.Options))
	return nil
}
