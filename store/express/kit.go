package express

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// Kit is for packages sessionkit and store, which take what it returns for an
// interface of their own. Applications have no use for it.
func (s *Store) Kit() any { return kit{s} }

// kit implements [kitstore.Shared], which says what it does.
type kit struct{ s *Store }

var _ kitstore.Shared = kit{}

func (k kit) Cookie(https bool) http.Cookie {
	c := k.s.config.Cookie
	return http.Cookie{
		Name: c.Name, Domain: c.host(), Path: c.Path, SameSite: c.SameSite, Partitioned: c.Partitioned,
		HttpOnly: !c.ScriptReadable, Secure: c.secure(https),
	}
}

func (k kit) VisitorFor() (life time.Duration, persistent bool) {
	return k.s.config.life(), k.s.config.Cookie.MaxAge > 0
}

func (k kit) UserOf() func(values map[any]any) string {
	if k.s.config.User.Name == "" {
		return nil
	}
	return k.s.UserOf
}

func (k kit) Load(ctx context.Context, cookie string) (id string, r store.Record, found bool, err error) {
	sid, ok := k.s.config.Secrets.open(cookie)
	if !ok {
		return "", store.Record{}, false, nil
	}
	r, found, err = k.s.load(ctx, sid)
	return publicID(sid), r, found, err
}

func (k kit) SignAnew(cookie string) string {
	if len(k.s.config.Secrets) == 1 {
		return cookie
	}
	sid, ok := k.s.config.Secrets.open(cookie)
	if !ok {
		return cookie
	}
	return k.s.config.Secrets.seal(sid)
}

func (k kit) Create(ctx context.Context, r store.Record, https bool) (cookie, id string, err error) {
	sid, err := k.s.create(ctx, r, https)
	return k.s.config.Secrets.seal(sid), publicID(sid), err
}

func (k kit) Update(ctx context.Context, cookie string, held store.Record, c store.Change, https bool) (store.Outcome, error) {
	sid, ok := k.s.config.Secrets.open(cookie)
	if !ok {
		return store.Outcome{}, nil
	}
	return k.s.update(ctx, sid, held, c, https)
}

func (k kit) Rotate(
	ctx context.Context, cookie string, held, next store.Record, drop []string, signedIn, https bool,
) (newCookie, id string, found bool, err error) {
	sid, ok := k.s.config.Secrets.open(cookie)
	if !ok {
		return "", "", false, nil
	}
	sid, found, err = k.s.rotate(ctx, sid, held, next, drop, signedIn, https)
	return k.s.config.Secrets.seal(sid), publicID(sid), found, err
}

func (k kit) End(ctx context.Context, cookie string) (bool, error) {
	sid, ok := k.s.config.Secrets.open(cookie)
	if !ok {
		return false, nil
	}
	return k.s.end(ctx, sid)
}

// Record is for store.Migrate: it returns what the store knows of a session that it
// has opened, with how long it lives after each use, and whether that is known.
func (k kit) Record(session *gsessions.Session) (r store.Record, ok bool) {
	o, ok := session.Store().(*opened)
	if !ok || o.sid == "" {
		return store.Record{}, false
	}
	r = o.record
	life := r.Values[lifeName]
	r.Values = value.Apply(r.Values, nil, []string{lifeName, documentName})
	if _, set := r.Values[value.MaxAge]; !set && (r.User == "" || signin.Of(r.Values).Values) {
		r.Values[value.MaxAge] = life // not by Login, whose deadlines stand in it
	}
	return r, true
}

// bound limits the time of one operation.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.config.Timeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.config.Timeout)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("express: %s: %w", doing, err)
}

// load returns a session.
func (s *Store) load(ctx context.Context, sid string) (store.Record, bool, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	text, left, found, err := s.backend.load(ctx, sid)
	if err != nil || !found {
		return store.Record{}, false, wrap("loading a session", err)
	}
	d, err := parse(text)
	if err != nil {
		return store.Record{}, false, wrap("loading a session", err)
	}
	d.own.copied = d.own.ID != "" && d.own.ID != publicID(sid)
	r := d.record(s.config, left)
	r.Name, r.Values[documentName] = s.config.Cookie.Name, string(text)
	if d.isStale(s.config, r.User) {
		s.forget(ctx, sid, text)
	}
	return r, true, nil
}

// forget drops what a document says of a sign-in by this side that is over, so that nobody
// takes it for a later one of the same user. Node may just sign somebody in, so a document
// that has changed stays; then, or if it fails, the next load tries again. The document is swapped,
// as PostgreSQL can change none with \u0000 value by value.
func (s *Store) forget(ctx context.Context, sid string, text []byte) {
	e := edit{drop: []string{ownName, signin.Name}}
	next, _ := e.apply(string(text))
	_ = s.backend.swap(ctx, sid, string(text), next)
}

// create stores a new session and returns its ID.
func (s *Store) create(ctx context.Context, r store.Record, https bool) (string, error) {
	sid := newID()
	e, err := s.config.newEdit(r.Values, nil)
	if err == nil {
		err = s.sign(&e, sid, r, r.User != "")
	}
	if err != nil {
		return "", wrap("creating a session", err)
	}
	cookie, err := marshal(s.config.newCookie(r, https))
	if err != nil {
		return "", wrap("creating a session", err)
	}
	text, err := e.document(cookie)
	if err != nil {
		return "", wrap("creating a session", err)
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return sid, wrap("creating a session", s.backend.create(ctx, sid, text, s.config.lifeOf(r)))
}

// sign adds to an edit who is signed in to the session of an ID. signedIn means that this
// is news.
func (s *Store) sign(e *edit, sid string, r store.Record, signedIn bool) error {
	if r.User == "" {
		return nil
	}
	if err := e.put(ownName, ownMember{User: r.User, ID: publicID(sid), Created: r.Created.Round(0)}); err != nil {
		return err
	}
	name := s.config.User.Name
	if !signedIn || name == "" || signin.Of(r.Values).Values { // the application has put it itself
		return nil
	}
	raw, err := s.config.User.write(r.User)
	if err != nil {
		return fmt.Errorf("express: Config.User.Write of user %q: %w", r.User, err)
	}
	if got := s.config.User.read(raw); got != r.User {
		return fmt.Errorf("express: Config.User: Write of user %q gives a value of which Read says %q: make them fit", r.User, got)
	}
	if rounds(raw) {
		return fmt.Errorf("express: Config.User: Write of user %q: %w", r.User, errRounded)
	}
	e.set = append(e.set, member{name, raw})
	return nil
}

func (s *Store) update(ctx context.Context, sid string, held store.Record, c store.Change, https bool) (store.Outcome, error) {
	e, err := s.config.newEdit(c.Set, c.Delete)
	if err != nil {
		return store.Outcome{}, wrap("saving a session", err)
	}
	r := held
	r.Values = value.Apply(held.Values, c.Set, c.Delete)
	if !c.Seen.IsZero() {
		r.Seen, r.Expires = c.Seen, c.Expires
		e.renew = s.lifeNow(held, r)
	}
	if relived(c.Set, c.Delete) {
		if err := e.put(cookieName, s.config.newCookie(r, https)); err != nil {
			return store.Outcome{}, err
		}
	}
	if c.If != nil {
		e.only = &member{name: c.If.Name}
		if c.If.Text != "" {
			if e.only.raw, err = s.config.memberOf(c.If.Name, c.If.Text); err != nil {
				return store.Outcome{}, wrap("saving a session", err)
			}
		}
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	for {
		done, err := s.backend.change(ctx, sid, held.Values[documentName], e)
		outcome := store.Outcome{Found: done.found, Conflict: done.conflict}
		if done.conflict && done.raw != "" {
			outcome.Text = s.config.textOf(c.If.Name, []byte(done.raw))
		}
		if done.conflict && outcome.Text == c.If.Text && done.raw != e.only.raw && err == nil {
			e.only.raw = done.raw // the same, in other words
			continue
		}
		return outcome, wrap("saving a session", err)
	}
}

// relived reports whether a change gives the session another life than before.
func relived(set map[string]string, drop []string) bool {
	return set[value.MaxAge] != "" || slices.Contains(drop, value.MaxAge)
}

// lifeNow returns how long a session that is used lives from now on: as Node would
// have it.
func (s *Store) lifeNow(held, r store.Record) time.Duration {
	seconds, ok := value.Int(held.Values[lifeName])
	if !ok || r.Values[value.MaxAge] != held.Values[value.MaxAge] {
		return s.config.lifeOf(r)
	}
	return time.Duration(max(seconds, -seconds)) * time.Second
}

func (s *Store) rotate(
	ctx context.Context, sid string, held, next store.Record, drop []string, signedIn, https bool,
) (newSID string, found bool, err error) {
	const doing = "giving a session a new ID"
	if signedIn {
		next = keepAge(held, next, drop)
	}
	newSID = newID()
	e, err := s.config.newEdit(next.Values, drop)
	if err == nil {
		err = s.sign(&e, newSID, next, signedIn)
	}
	if err != nil {
		return "", false, wrap(doing, err)
	}
	r := next
	if !signedIn { // the sign-in is in what stays
		r.Values = value.Apply(held.Values, next.Values, drop)
	}
	if signedIn || relived(next.Values, drop) {
		e.renew = s.config.lifeOf(r)
		if err := e.put(cookieName, s.config.newCookie(r, https)); err != nil {
			return "", false, wrap(doing, err)
		}
	} else {
		e.renew = s.lifeNow(held, r)
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	found, err = s.backend.move(ctx, sid, newSID, e)
	return newSID, found, wrap(doing, err)
}

// keepAge returns next with the maxAge of the session that it comes from, unless that is
// dropped. It may stand in what Node says of the cookie, which does not count for a
// sign-in by Login. A cookie that ends with the browser goes on doing so.
func keepAge(held, next store.Record, drop []string) store.Record {
	age := held.Values[value.MaxAge]
	if slices.Contains(drop, value.MaxAge) {
		age = ""
	}
	if life := held.Values[lifeName]; closes(life) {
		age = life
	}
	if age != "" && next.Values[value.MaxAge] == "" {
		next.Values = value.With(next.Values, value.MaxAge, age)
	}
	return next
}

func (s *Store) end(ctx context.Context, sid string) (bool, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	ended, err := s.backend.remove(ctx, sid)
	return ended, wrap("ending a session", err)
}
