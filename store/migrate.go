package store

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/foreign"
)

// Migrate returns the store to such that nobody is signed out by the switch to it:
// a request whose session is not in to is looked for in from, the store that the
// application had, under the name that the session cookie had there. The session
// moves on its first commit, and the old cookie is retired.
//
//	old, err := redis.NewStore(10, "tcp", "localhost:6379", "", "", secret) // as it was
//	...
//	s := store.Migrate(old, redisstore.New(client), "mysession", func(values map[any]any) string {
//		id, _ := values["user_id"].(string) // where the application kept who is signed in
//		return id
//	})
//	r.Use(sessionkit.Sessions(s))
//
// All values move as they are, so that typed keys and sessions.Default(c) read
// them. user returns who was signed in, "" for nobody; the moved session is
// signed in as that user, and never counts as a recent sign-in. Without user only
// the values move.
//
// to is a store of this module, and what Migrate returns can do all that to can:
// of requests that move one session at the same time the first one moves it and
// the others' changes go where it is; a session that ended, before its move or
// after, is not brought back by a request that was under way, nor by a copy of the
// old cookie. What has not moved yet is not among the user's sessions.
//
// The deadlines are those of to. Once the old sessions have run out, take Migrate
// away. It panics where to is no store of this module.
func Migrate(from, to sessions.Store, oldName string, user ...func(values map[any]any) string) sessions.Store {
	own, ok := to.(interface{ own() *Store })
	if _, twice := to.(*migrating); !ok || twice {
		panic(fmt.Sprintf("store: Migrate to a %T: it must be a store of sessionkit, such as redisstore.New(client)", to))
	}
	m := &migrating{Store: own.own(), from: from, oldName: oldName, user: func(map[any]any) string { return "" }}
	for _, f := range user {
		m.user = f
	}
	return m
}

// own is also that of a type in which a Store is embedded.
func (s *Store) own() *Store { return s }

// migrating is a store that takes over the sessions of another one.
type migrating struct {
	*Store
	from    sessions.Store
	oldName string
	user    func(values map[any]any) string
}

// Adopt returns the session that an old cookie of the request names, nil if none
// does.
func (m *migrating) Adopt(r *http.Request) (*Old, error) {
	for i, cookie := range r.CookiesNamed(m.oldName) {
		if i == maxCookies {
			break
		}
		o := &Old{m: m, cookie: cookie.Value, ID: markID(cookie.Value)}
		mark, moved, err := o.mark(r.Context())
		if err != nil {
			return nil, err
		}
		if o.Secret = mark.secret(o.cookie); o.Secret != "" {
			return o, nil
		}
		if moved {
			continue // the cookie opens nothing any more
		}
		found, err := o.read(r)
		if found || err != nil {
			return o, err
		}
	}
	return nil, nil //nolint:nilnil // there is none
}

// maxOldCookie is the longest old cookie that is looked at: what browsers keep at
// most (RFC 6265bis section 5.6).
const maxOldCookie = 4096

// read has the old store read the session of the old cookie. A session that cannot
// be decoded is [ErrCorrupt].
func (o *Old) read(r *http.Request) (bool, error) {
	if len(o.cookie) > maxOldCookie {
		return false, nil
	}
	session, err := o.open(r)
	inCookie := session == nil || session.ID == ""
	switch {
	case err != nil && (foreign.Gone(err) || foreign.Undecodable(err) && inCookie):
		return false, nil
	case err != nil && foreign.Undecodable(err):
		return false, fmt.Errorf("store: reading a session of the old store: %T: %w: %w", o.m.from, ErrCorrupt, err)
	case err != nil:
		return false, fmt.Errorf("store: reading a session of the old store: %T: %w", o.m.from, err)
	case session == nil || session.IsNew:
		return false, nil
	}
	o.session = session
	o.Record = oldRecord(session.Values, o.m.user(session.Values))
	return true, nil
}

// open has the old store read the session. A type that the application gave to gob
// may panic on what it is to decode.
func (o *Old) open(r *http.Request) (session *gsessions.Session, err error) {
	defer func() {
		if v := recover(); v != nil {
			session, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	return o.m.from.New(o.only(r), o.m.oldName)
}

// only returns the request with the old cookie and no other, which stores may look
// at also when they save.
func (o *Old) only(r *http.Request) *http.Request {
	only := r.WithContext(r.Context())
	only.Header = http.Header{"Cookie": {o.m.oldName + "=" + o.cookie}}
	return only
}

// Get is [Store.Get], of the old store's sessions also.
func (m *migrating) Get(r *http.Request, name string) (*gsessions.Session, error) {
	return gsessions.GetRegistry(r).Get(m, name)
}

// New is [Store.New], of the old store's sessions also.
func (m *migrating) New(r *http.Request, name string) (*gsessions.Session, error) {
	session := m.newSession(m, name)
	if err := m.open(r, session); err != nil || !session.IsNew {
		return session, err
	}
	o, err := m.Adopt(r)
	switch {
	case o == nil || err != nil:
		return session, err
	case o.Secret == "":
		hold(r, session, held{id: o.ID, record: o.Record, old: o})
		return session, nil
	}
	id, record, found, err := m.Load(r.Context(), o.Secret, false)
	if found && time.Now().Before(record.Expires) {
		hold(r, session, held{id: id, secret: hide(o.Secret), record: record})
	}
	return session, err
}

// Save is [Store.Save]. It has the browser drop the old cookie of a session that
// moves or ends.
func (m *migrating) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	o := heldIn(r)[session].old
	if err := m.Store.Save(r, w, session); err != nil || o == nil {
		return err
	}
	o.Retire(w.Header())
	return nil
}
