package store

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/gorilla"
	"github.com/gin-sessionkit/sessionkit/internal/storeerr"
	"github.com/gin-sessionkit/sessionkit/internal/value"
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
// them. If the old store keeps JSON, its numbers are float64, and keys of structs, lists and
// maps read what encoding/json decodes into them. A value that cannot move, as its type was not
// given to gob.Register, is reported to Config.OnError by its name when the session moves
// without it. An old store on a server then keeps what it has, as the only copy, until that
// expires. No copy of the old cookie opens it here any more.
//
// user returns who is signed in according to the values, "" for nobody. A
// moved session is signed in as that user, and does not count as a recent sign-in.
// After the move user goes on to decide, as Config.UserOf of package sessionkit does:
// the application may keep signing in and out by its own values. If it still does when
// Migrate goes, give user to Config.UserOf. Without user only the values move.
//
// to is a store of this module, and what Migrate returns can do all that to can:
// of requests that move one session at the same time the first one moves it and
// the others' changes go where it is; a session that ended, before its move or
// after, is not brought back by a request that was under way, nor by a copy of the
// old cookie. What has not moved yet is not among the user's sessions. Once it has,
// Config.MaxSessions of package sessionkit counts it: as older than any sign-in whose time is
// known, if user tells who is signed in, and among those that move, the first one ends first.
//
// Until a session has moved, it has another ID than afterwards, in Current(c).ID of package
// sessionkit. That one leads to it later too, and RevokeAll spares the session by it, but nothing
// finds the session by it before it has moved.
//
// If the old store keeps sessions in the cookie, each of its texts is a session of its own, and
// ends alone. Visitors to whom that store gave the same values in the same second have the same
// text: one in which nobody is signed in moves into another session for each browser, by its
// first change there, until it was signed in or out in one of them. It has no ID before it
// moves. What two requests change at that moment is not joined, as it never was. That takes
// user, also if nobody ever signs in: without it, all who have the text get into one session, in
// which each signs out for all.
//
// A process that has the old store alone may begin a session in a browser whose session has
// moved, or store that one again. The moved one counts, and a sign-in or sign-out ends both,
// if user tells who is signed in, or the application calls Login and Logout.
//
// A moved session lives at least as long as it had left in the old store, and its
// cookie outlives the browser for that long. The MaxAge in the Options of from says how
// long that is, so set it to the longest that any session was given: gin-contrib's stores do
// not tell what a session was given itself. After that, and for new sessions, the
// deadlines are those of the Config. A session of store/express that Login has not signed
// in keeps its deadline after each use, and its cookie outlives the browser if it did there.
//
// On a connection over which the new cookie is not known to come back, such as plain
// HTTP, the old cookie stays and goes on opening the session, a visitor's text as it was;
// reading it does not move it then.
//
// If from is a store of this module that sessionkit has used, oldName is the Config.Name
// and user is left out. Then all that is known of a session moves: who is signed in and
// since when, the deadlines, and sessions by a token. Config.Name, Domain and Path stay
// as they are. No process should use the old store alone meanwhile: it would not know
// the sessions that have moved.
//
// A process that only revokes sessions calls Migrate as well, so that what it ends is
// remembered for as long as old cookies are good.
//
// Once the old sessions have expired, remove Migrate. It panics if to is not a store
// of this module.
func Migrate(from, to sessions.Store, oldName string, user ...func(values map[any]any) string) sessions.Store {
	own := ownStore(to)
	if own == nil {
		panic(fmt.Sprintf("store: Migrate to a %T: it must be a store of sessionkit, such as redisstore.New(client)", to))
	}
	switch {
	case len(user) > 1:
		panic("store: Migrate takes one function that says who was signed in")
	case from == nil:
		panic("store: Migrate needs the store that the sessions move from")
	}
	m := &migrating{Store: own, from: from, oldName: oldName}
	m.successor.Store(true)
	if len(user) == 1 {
		m.user = user[0]
	} else {
		m.source = ownStore(from)
	}
	return m
}

// ownStore returns the Store that s is, or that it embeds; nil: none, or one that is itself
// being moved to, whose sessions may be in yet another.
func ownStore(s sessions.Store) *Store {
	own, ok := s.(interface{ own() *Store })
	if _, chained := s.(*migrating); !ok || chained {
		return nil
	}
	return own.own()
}

func (s *Store) own() *Store { return s }

// migrating is a store that takes over the sessions of another one.
type migrating struct {
	*Store
	from    sessions.Store
	source  *Store // from, if it is one of this module that says who is signed in; nil: it does not
	oldName string
	user    func(values map[any]any) string
}

// Kit is [Store.Kit], of the old store's sessions also.
func (m *migrating) Kit() any { return migratingKit{kit{m.Store}, m} }

// migratingKit is a kit that takes over the sessions of another store.
type migratingKit struct {
	kit

	m *migrating
}

func (k migratingKit) UserOf() func(values map[any]any) string { return k.m.user }

func (k migratingKit) MovesOwn(name string) bool { return k.m.source != nil && k.m.oldName == name }

func (k migratingKit) Adopt(r *http.Request, name string, tokens []string) (id, token string, record Record, old any, err error) {
	o, err := k.m.adopt(r, name, tokens)
	if o == nil || err != nil {
		return "", "", Record{}, nil, err
	}
	return cmp.Or(o.record.Next, o.id), o.token, o.record, o, nil
}

// adopt returns the session that an old cookie of the request names, or else what is
// left of one; nil if none does. It is to have a name.
func (m *migrating) adopt(r *http.Request, name string, tokens []string) (*moving, error) {
	own := tokens != nil
	if !own {
		for _, cookie := range r.CookiesNamed(m.oldName) {
			tokens = append(tokens, cookie.Value)
		}
	}
	// A client that goes away loses no change by it. But an old store of gin-contrib gets r: it may
	// have no timeout of its own.
	ctx := context.WithoutCancel(r.Context())
	var ended *moving
	for i, token := range tokens {
		if i == maxCookies {
			break
		}
		o := &moving{m: m, cookie: token, id: markID(token), name: name, isOwn: own}
		found, err := o.find(ctx, r)
		left := false
		if found && o.token == "" && err == nil {
			left, err = o.isLeft(ctx)
		}
		if found && !left || err != nil {
			return o, err
		}
		if o.record.Ended != "" {
			ended = o
		}
	}
	return ended, nil
}

// find reports whether the old cookie opens a session, in the new store or in the old one.
func (o *moving) find(ctx context.Context, r *http.Request) (bool, error) {
	moved, err := o.lookUp(ctx)
	if moved || err != nil {
		return o.token != "", err
	}
	found, err := o.read(ctx, r)
	if !found && err == nil { // another request may just have moved it
		_, err = o.lookUp(ctx)
		found = o.token != ""
	}
	if found && o.token == "" && err == nil {
		found, err = o.stands(ctx, r, o.name)
	}
	return found, err
}

// FindOld is that of kitstore.Successor.
func (k migratingKit) FindOld(
	r *http.Request, name, id string,
) (end func(why Ending) (ended []Session, retire func(http.Header), err error), err error) {
	found, err := k.m.findOld(r, name, id)
	return func(why Ending) (ended []Session, retire func(http.Header), err error) {
		olds, err := endAll(r, found, id, why)
		for _, o := range olds {
			ended = append(ended, Session{ID: o.id, Name: name, User: o.record.User})
		}
		if len(olds) > 0 {
			retire = func(header http.Header) { retireAll(header, olds) }
		}
		return ended, retire, err
	}, err
}

func retireAll(header http.Header, olds []*moving) {
	for _, o := range olds {
		o.DropCookie(header)
	}
}

// findOld returns the sessions that old cookies of the request open. The one that has an
// ID is left out: the caller has it. What cannot be decoded opens nothing.
func (m *migrating) findOld(r *http.Request, name, id string) (olds []*moving, err error) {
	for i, cookie := range r.CookiesNamed(m.oldName) {
		if i == maxCookies {
			break
		}
		o := &moving{m: m, cookie: cookie.Value, id: markID(cookie.Value), name: name}
		if o.id == id {
			continue
		}
		found, err := o.find(r.Context(), r)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return olds, err
		}
		if found && err == nil && o.first != id {
			olds = append(olds, o)
		}
	}
	return olds, nil
}

// endAll ends sessions, but for the one that has an ID, and returns those that it ended.
func endAll(r *http.Request, olds []*moving, id string, why Ending) (ended []*moving, err error) {
	for _, o := range olds {
		there, err := o.endBeside(r, id, why)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return ended, err
		}
		if there {
			ended = append(ended, o)
		}
	}
	return ended, nil
}

// endBeside ends the session where it is, unless it has an ID, and reports whether there was
// one to end.
func (o *moving) endBeside(r *http.Request, id string, why Ending) (bool, error) {
	if o.token == "" {
		return o.End(r.Context(), r, why)
	}
	moved, record, found, err := o.m.open(r.Context(), o.name, o.token, true)
	if !found || !record.live() || moved == id || err != nil {
		return false, err
	}
	o.id, o.record = moved, record
	return o.m.endSession(r.Context(), moved, record, why)
}

// lookUp finds out whether the session has moved or ended, and if so under which
// token it goes on, if the old cookie leads to it.
func (o *moving) lookUp(ctx context.Context) (moved bool, err error) {
	mark, moved, err := o.mark(ctx)
	if moved {
		if again, err := o.isFree(ctx, mark); again || err != nil {
			o.first = mark.ID
			return false, err
		}
		o.token, o.record = mark.token(o.cookie), Record{}
		if o.token == "" {
			o.record, err = o.left(ctx, mark)
		}
	}
	return moved, err
}

// left returns what is left of a session that has moved, for an old cookie that does not
// lead to it any more: nothing if it has ended since.
func (o *moving) left(ctx context.Context, m mark) (Record, error) {
	if m.ID != "" {
		_, _, goesOn, err := kit{o.m.Store}.Find(ctx, m.ID)
		if err != nil || !goesOn {
			return Record{}, err
		}
	}
	return m.trace(), nil
}

// maxOldCookie is the longest old cookie that is looked at: what browsers keep at
// most (RFC 6265bis section 5.6).
const maxOldCookie = 4096

// read has the old store read the session of the old cookie. A session that cannot
// be decoded is [ErrCorrupt].
func (o *moving) read(ctx context.Context, r *http.Request) (bool, error) {
	found, err := o.readAsItIs(ctx, r)
	if found && err == nil && o.record.User != "" {
		in := o.record.signIn()
		in.Mark = o.id
		if in.Values {
			in.Line = markLine(o.cookie)
		}
		o.record = o.record.withSignIn(in)
	}
	return found, err
}

func (o *moving) readAsItIs(ctx context.Context, r *http.Request) (bool, error) {
	if len(o.cookie) > maxOldCookie {
		return false, nil
	}
	if o.isOwn {
		return o.readOwn(ctx)
	}
	if respelled(o.cookie) {
		return false, nil
	}
	session, err := gorilla.Open(o.m.from, r, o.m.oldName, o.cookie)
	inCookie := session == nil || session.ID == ""
	switch {
	case err != nil && (storeerr.Gone(err) || storeerr.Undecodable(err) && inCookie && !storeerr.Signed(err)):
		return false, nil
	case err != nil && storeerr.Undecodable(err):
		return false, fmt.Errorf("store: reading a session of the old store: %T: %w: %w", o.m.from, ErrCorrupt, err)
	case err != nil:
		return false, fmt.Errorf("store: reading a session of the old store: %T: %w", o.m.from, err)
	case session.IsNew:
		return false, nil
	}
	o.session = session
	user := ""
	if o.m.user != nil {
		user = o.m.user(session.Values)
	}
	if known, ok := o.known(session); ok {
		o.record = movedRecord(known, user, o.m.user != nil)
		return true, nil
	}
	if o.inCookie = session.ID == ""; !o.inCookie {
		o.sharedMark = sharedMarkID(session.ID)
	}
	o.record, o.unmoved = oldRecord(session.Values, user)
	o.record.Values = value.Apply(o.record.Values, leftOf(o.cookie, session), nil)
	return true, nil
}

// respelled reports whether a cookie is another spelling of what securecookie has made: that
// ignores the last bits of the last letter before the padding. A mark is of one spelling.
func respelled(cookie string) bool {
	raw, err := base64.URLEncoding.DecodeString(cookie)
	return err == nil && base64.URLEncoding.EncodeToString(raw) != cookie
}

// readOwn reads a session of a store of this module. It goes on with all that is known
// of it.
func (o *moving) readOwn(ctx context.Context) (bool, error) {
	id, r, found, err := o.m.source.open(ctx, o.m.oldName, o.cookie, true)
	if err != nil {
		return false, fmt.Errorf("store: reading a session of the old store: %w", err)
	}
	if !found || !r.live() {
		o.record = r
		return false, nil
	}
	o.ownID, o.own = id, r
	o.record = Record{User: r.User, Created: r.Created, Seen: r.Seen, Expires: r.Expires, Values: r.Values}
	if r.User != "" {
		in := r.signIn()
		in.Epoch = "" // of the other store
		o.record = o.record.withSignIn(in)
	}
	return true, nil
}

// known returns the session as the old store has it, if that is one of this module
// which knows more than sessions.Store tells.
func (o *moving) known(session *gsessions.Session) (r Record, ok bool) {
	own, ok := o.m.from.(interface{ Kit() any })
	if !ok {
		return Record{}, false
	}
	old, ok := own.Kit().(interface {
		Record(session *gsessions.Session) (Record, bool)
	})
	if !ok {
		return Record{}, false
	}
	return old.Record(session)
}

// Get is [Store.Get], of the old store's sessions also.
func (m *migrating) Get(r *http.Request, name string) (*gsessions.Session, error) {
	return gsessions.GetRegistry(r).Get(m, name)
}

// New is [Store.New], of the old store's sessions also.
func (m *migrating) New(r *http.Request, name string) (*gsessions.Session, error) {
	session := m.newSession(m, name)
	if err := m.openHeld(r, session); err != nil || !session.IsNew {
		return session, err
	}
	o, err := m.adopt(r, name, nil)
	switch {
	case o == nil || err != nil || o.record.Ended != "":
		return session, err
	case o.token == "":
		hold(r, session, held{id: o.id, record: o.record, old: o})
		return session, nil
	}
	id, record, found, err := m.open(context.WithoutCancel(r.Context()), name, o.token, false)
	if found && record.live() {
		hold(r, session, held{id: id, token: hide(o.token), record: record})
	}
	return session, err
}

// Save is [Store.Save]. It has the browser drop the old cookie of a session that
// moves or ends, and ends what else an old cookie opens with it.
func (m *migrating) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	was := heldIn(r)[session]
	var beside []*moving
	if session.Options.MaxAge < 0 {
		lasting := r.WithContext(context.WithoutCancel(r.Context())) // as in Store.Save
		olds, err := m.findOld(lasting, session.Name(), was.id)
		if err != nil {
			return err
		}
		if beside, err = endAll(lasting, olds, was.id, SignedOut); err != nil {
			return err
		}
	}
	if err := m.Store.Save(r, w, session); err != nil {
		return err
	}
	retireAll(w.Header(), beside)
	if was.old != nil {
		was.old.DropCookie(w.Header())
		if err := was.old.Unmoved(); err != nil {
			slog.WarnContext(r.Context(), err.Error())
		}
	}
	return nil
}
