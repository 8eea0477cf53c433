package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/address"
	"github.com/gin-sessionkit/sessionkit/internal/gorilla"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// moving is a session on its way from the old store of [Migrate] to the new one. It
// holds the old cookie, so it is not to be printed.
type moving struct {
	m       *migrating
	id      string // of its mark
	cookie  string // the old one
	name    string // of the new one
	token   string // of the new session, if it has moved already
	record  Record // as it is to be created, or what is left of it if it has ended
	session *gsessions.Session
	isOwn   bool   // the cookie is a token of a store of this module
	ownID   string // there
	own     Record
	retired []string

	inCookie   bool   // the old store has no other place for it
	first      string // ID of the session that the cookie has moved into before, in this browser or in another one that has the same
	unmoved    error  // names the values that cannot move; nil: all can
	sharedMark string // ID of the mark that the session gets if it stays in the old store; "": it has no ID there
	moved      bool   // by this
	unsettled  bool   // it may have a mark of this, or yet get one, although it has not moved
}

// Format implements [fmt.Formatter], so that no verb prints the secrets.
func (o *moving) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "a session that moves: %q", o.id)
}

// oldRecord returns the record of a session of another store. A value that has no
// text is left out, so that it takes none of the others down, and unmoved names it.
func oldRecord(values map[any]any, user string) (r Record, unmoved error) {
	now := time.Now()
	r = Record{User: user, Created: now, Seen: now, Expires: now.Add(plainLifetime), Values: make(map[string]string, len(values))}
	var errs []error
	for key, v := range values {
		name, err := value.Name(key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		text, err := value.Encode(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("value of %q: %w", name, err))
			continue
		}
		r.Values[name] = text
	}
	if user != "" {
		r = r.withSignIn(signin.SignIn{Line: rand.Text(), Values: true}) // nobody knows when
	}
	return r, errors.Join(errs...)
}

// movedRecord returns the record of a session of which the old store knows more than
// its values: a sign-in by Login goes on as it is, if the values say the same.
func movedRecord(r Record, user string, byValues bool) Record {
	now := time.Now()
	in := r.signIn()
	if !byValues || user == "" && !in.Values { // values that say nothing do not sign out who has signed in by Login
		user = r.User
	}
	r.Name, r.Seen = "", now
	if user != "" && user == r.User && !in.Values && in.Line != "" {
		return r
	}
	until, _ := value.Encode(int(r.Expires.Unix()))
	r.User, r.Created, r.Expires = user, now, now.Add(plainLifetime)
	r.Values = value.Apply(r.Values, map[string]string{value.Until: until}, []string{SignInValue})
	if user != "" {
		r = r.withSignIn(signin.SignIn{Line: rand.Text(), Values: true}) // nobody knows when
	}
	return r
}

// leftOf returns the value that says how long a session of another store lives, if
// that can be told. The stores of gin-contrib keep it in the cookie when that was
// made, readable for anybody, and how long it lives from then on in the options.
func leftOf(cookie string, session *gsessions.Session) map[string]string {
	if session.Options == nil || session.Options.MaxAge <= 0 {
		return nil
	}
	made := time.Now()
	if raw, err := base64.URLEncoding.DecodeString(cookie); err == nil {
		seconds, _, _ := strings.Cut(string(raw), "|")
		if n, err := strconv.ParseInt(seconds, 10, 64); err == nil && n > 0 && n < made.Unix() {
			made = time.Unix(n, 0)
		}
	}
	left := made.Add(time.Duration(session.Options.MaxAge) * time.Second)
	text, _ := value.Encode(int(left.Unix()))
	return map[string]string{value.Until: text}
}

// DropCookie has the browser drop the old cookie, once the session has moved or ended.
// A cookie of the same name that the response sets or drops has replaced it already, unless its
// Domain or Path is another.
func (o *moving) DropCookie(header http.Header) {
	said := (&http.Response{Header: header}).Cookies()
	for _, line := range o.retired {
		old, err := http.ParseSetCookie(line)
		replaces := func(c *http.Cookie) bool {
			return c.Name == old.Name && (c.Domain == old.Domain && c.Path == old.Path || old.Path == "" && c.MaxAge >= 0)
		}
		if err != nil || !slices.ContainsFunc(said, replaces) {
			header.Add("Set-Cookie", line)
		}
	}
}

// Update moves the session, with a change. If it has moved meanwhile, the change is
// applied there. It finds nothing, and changes nothing, if the session has ended.
func (o *moving) Update(ctx context.Context, r *http.Request, name string, c Change) (token, id string, outcome Outcome, err error) {
	next := o.record
	next.Name = name
	if next.Values, err = o.with(c.Set, c.Delete); err != nil {
		return "", "", outcome, err
	}
	if !c.Expires.IsZero() {
		next.Seen, next.Expires = c.Seen, c.Expires
	}
	token, id, outcome.Found, err = o.move(ctx, r, next, true)
	if err != nil || outcome.Found {
		return token, id, outcome, err
	}
	token, id, now, err := o.successor(ctx)
	if token == "" || err != nil {
		return "", "", outcome, err
	}
	outcome, err = o.m.update(ctx, id, now, c)
	return token, id, outcome, err
}

// Renew moves the session to a token to which the old cookie does not lead. Its
// user and times are those of next. It reports false, and changes nothing, if the
// session has ended or was so moved before.
func (o *moving) Renew(ctx context.Context, r *http.Request, next Record, drop []string) (token, id string, found bool, err error) {
	whole := next
	if whole.Values, err = o.with(next.Values, drop); err != nil {
		return "", "", false, err
	}
	token, id, found, err = o.move(ctx, r, whole, false)
	if err != nil || found {
		return token, id, found, err
	}
	token, id, now, err := o.successor(ctx)
	if token == "" || err != nil {
		return "", "", false, err
	}
	return o.m.renew(ctx, id, now, next, drop)
}

// SignIn is Renew with a sign-in.
func (o *moving) SignIn(
	ctx context.Context, r *http.Request, next Record, drop []string, a signin.Attempt,
) (token, id string, stored Record, found bool, err error) {
	whole := next
	if whole.Values, err = o.with(next.Values, drop); err != nil {
		return "", "", whole, false, err
	}
	token, id, stored, err = o.m.signInNew(ctx, whole, a)
	if err != nil {
		return "", "", stored, false, err
	}
	found, err = o.replace(ctx, r, next, token, id, false)
	if err != nil || found {
		return token, id, stored, found, err
	}
	token, id, now, err := o.successor(ctx)
	if token == "" || err != nil {
		return "", "", stored, false, err
	}
	return o.m.signInOver(ctx, id, now, next, drop, a)
}

// with returns the values of the old session, less drop, overlaid with set. They move
// whatever they take; what the request adds to them is judged.
func (o *moving) with(set map[string]string, drop []string) (map[string]string, error) {
	if err := o.m.judge(o.record.Values, set, drop); err != nil {
		return nil, err
	}
	return value.Apply(o.record.Values, set, drop), nil
}

// End ends the session, also if it has moved meanwhile, and reports whether there
// was one to end.
func (o *moving) End(ctx context.Context, r *http.Request, why Ending) (bool, error) {
	ended, err := o.putMark(ctx, r, mark{Ended: why, User: o.record.User})
	if err != nil || ended {
		return ended, err
	}
	there, found, err := o.mark(ctx)
	if err != nil || !found || there.ID == "" {
		return false, err
	}
	if o.IsText() {
		ended, err = o.moveAgain(ctx, r, mark{Ended: why})
		if ended || err != nil {
			return ended, err
		}
	}
	return o.m.endSession(ctx, there.ID, there.record(), why)
}

// Watch is [Store.watch] for a session that has not moved yet.
func (o *moving) Watch(r *http.Request) (done <-chan struct{}, stop func()) {
	r = r.WithContext(context.WithoutCancel(r.Context())) // a copy: the handler goes on to change its own
	return o.m.watches.run(r.Context(), func(ctx context.Context) { o.watchUntilEnd(r.WithContext(ctx)) })
}

// watchUntilEnd returns when the session has ended, or with the request's context.
func (o *moving) watchUntilEnd(r *http.Request) {
	for ctx := r.Context(); ; {
		timer := time.NewTimer(watchEvery)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		mark, moved, err := o.mark(ctx)
		if err == nil && !moved && o.over(r) {
			mark, moved, err = o.mark(ctx) // another request may just have moved it
			if err == nil && !moved {
				return
			}
		}
		switch {
		case err != nil || !moved:
			continue
		case mark.ID == "":
			return
		}
		next, stop := o.m.watch(mark.ID, mark.record()) //nolint:contextcheck // it ends by stop
		defer stop()
		select {
		case <-ctx.Done():
		case <-next:
		}
		return
	}
}

// over reports whether a session that has not moved has expired, or was ended in the
// old store or with others. If it cannot be read, nobody knows.
func (o *moving) over(r *http.Request) bool {
	defer func() { _ = recover() }()                                                   // on this goroutine a panic would end the process
	again := &moving{m: o.m, id: o.id, cookie: o.cookie, name: o.name, isOwn: o.isOwn} // o is the handler's
	found, err := again.read(r.Context(), r)
	if found && err == nil {
		found, err = again.stands(r.Context(), r, o.name)
	}
	if found && err == nil {
		left, err := again.isLeft(r.Context())
		return left && err == nil
	}
	return !found && err == nil
}

// successor returns the session to which this one has moved. token is "" if the
// old cookie leads to none.
func (o *moving) successor(ctx context.Context) (token, id string, r Record, err error) {
	mark, _, err := o.mark(ctx)
	if token = mark.token(o.cookie); token == "" || err != nil {
		return "", "", Record{}, err
	}
	id, _ = ID(token)
	r, found, err := o.m.load(ctx, id, true)
	if !found || !r.live() || err != nil {
		return "", "", Record{}, err
	}
	return token, id, r, nil
}

// stands reports whether the session has not been ended with others of its user, or with
// everybody's. If it has, it ends now.
func (o *moving) stands(ctx context.Context, r *http.Request, name string) (bool, error) {
	in := o.record.signIn()
	b, err := o.m.boundaries(ctx, o.record.User, name, in.Line)
	if err != nil || !b.ends(in) {
		return err == nil, err
	}
	ended := o.revoked()
	_, err = o.putMark(context.WithoutCancel(ctx), r, ended)
	o.record = ended.trace()
	return false, err
}

// revoked returns the mark of a session that was ended with others.
func (o *moving) revoked() mark { return mark{Ended: Revoked, User: o.record.User} }

// move creates the new session and puts a mark in place of the old one. It reports
// false if there is a mark already: the session has moved or ended meanwhile. If
// the user's sessions were all ended before, this one ends now.
func (o *moving) move(ctx context.Context, r *http.Request, next Record, leads bool) (token, id string, moved bool, err error) {
	token, id, b, err := o.m.create(ctx, next)
	if err != nil {
		return "", "", false, err
	}
	if next.User == "" {
		b, err = o.m.boundaries(ctx, "", "", "")
	}
	if err != nil || b.ends(next.signIn()) {
		undoErr := o.m.removeUnknown(ctx, id)
		if err == nil {
			_, err = o.putMark(ctx, r, o.revoked())
		}
		return "", "", false, errors.Join(err, undoErr)
	}
	moved, err = o.replace(ctx, r, next, token, id, leads)
	return token, id, moved, err
}

// replace puts a mark that leads to the new session in place of the old one. It
// removes the new session if there is a mark already. If nobody knows whether there is one, it
// is found out in the background.
//
// The new session is there before the mark, so that a process that dies in between
// signs nobody out; nobody has its token then.
func (o *moving) replace(ctx context.Context, r *http.Request, next Record, token, id string, leads bool) (bool, error) {
	mark := mark{ID: id, User: next.User, Line: next.signIn().Line}
	mark.Text = o.IsText() && (leads || next.User != "")
	if leads && !mark.Text {
		mark.Sealed = seal(o.cookie, token)
	}
	moved, err := o.putMark(ctx, r, mark)
	if !moved && err == nil && o.IsText() {
		moved, err = o.moveAgain(ctx, r, mark)
	}
	switch {
	case o.unsettled:
		o.m.noteOrphan(&orphan{id: id, marks: o.marks(), led: leads})
		return false, err
	case !moved:
		return false, errors.Join(err, o.m.removeUnknown(ctx, id))
	}
	o.moved = true
	return true, nil
}

// IsText reports whether the cookie is all there is of the session, and a visitor's. Of gin-contrib's
// cookie store that is the time in seconds and the values: all who were given the same values in
// the same second have the same text, and must not get into one session by it. If nobody can tell who
// is signed in, it may be a user's, whose sign-out must hold for all who have the cookie.
func (o *moving) IsText() bool { return o.inCookie && o.m.user != nil && o.record.User == "" }

// moveAgain moves a text once more, and reports whether it may. After a sign-in, a renewal or a sign-out
// it does not any more: a request that was under way must not set its cookie over that one's.
func (o *moving) moveAgain(ctx context.Context, r *http.Request, m mark) (bool, error) {
	there, _, err := o.mark(ctx)
	if err != nil {
		return false, err
	}
	if free, err := o.isFree(ctx, there); !free || err != nil {
		return false, err
	}
	if err := o.endInOldStore(ctx, r); err != nil {
		return false, err
	}
	if m.Text && m.User == "" {
		return true, nil
	}
	return o.changeMark(ctx, there, m)
}

// marks returns the IDs of the marks that the session may have.
func (o *moving) marks() []string {
	if o.sharedMark == "" {
		return []string{o.id}
	}
	return []string{o.id, o.sharedMark}
}

// settleMove ends a session to which an old one was to move, and removes the marks that say
// so: the old one stands. If a mark leads to it, that has moved, and a browser may be using it
// by now. Then it is left alone, unless a server that hung removes the mark yet.
func (s *Store) settleMove(ctx context.Context, next *orphan) error {
	for _, id := range next.marks {
		there, _, err := s.mark(ctx, id)
		switch {
		case err != nil && !errors.Is(err, ErrCorrupt):
			return err
		case there.ID != next.id: // there is none, or another one
		case len(there.Sealed) > 0:
			return s.shareMark(ctx, next.marks, there)
		default:
			if err := s.remove(ctx, id); err != nil {
				return err
			}
		}
	}
	if next.led && next.answers < orphanAnswers-1 { // its mark may come yet
		return nil
	}
	_, err := s.endSome(ctx, "", Revoked, []string{next.id})
	return err
}

// shareMark puts up the second of a session's marks, when the first one has come so late that the
// old store was not told: no earlier cookie of the session may move it once more.
func (s *Store) shareMark(ctx context.Context, marks []string, m mark) error {
	if len(marks) == 1 {
		return nil
	}
	r, found, err := s.load(ctx, marks[0], false)
	if err != nil || !found {
		return err
	}
	m.Sealed = nil
	r.Values = map[string]string{markName: m.text()}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	_, err = s.backend.Create(ctx, marks[1], r)
	return err
}

// Unmoved names the values that the session could not take along when this moved it. It is nil
// if there are none.
func (o *moving) Unmoved() error {
	if !o.moved || o.unmoved == nil {
		return nil
	}
	return fmt.Errorf("store: moving a session: it is left in the old store for what cannot be moved: %T: %w", o.m.from, o.unmoved)
}

// putMark puts a mark in place of the old session and removes that, unless values of it cannot
// move: what is there is the only copy. It reports false if there is a mark already, or the
// old session has ended.
func (o *moving) putMark(ctx context.Context, r *http.Request, mark mark) (bool, error) {
	o.unsettled = false
	created, err := o.createMark(ctx, o.id, mark)
	if !created || err != nil {
		return false, err
	}
	if mark.ID != "" && o.unmoved != nil {
		return o.leave(ctx, mark)
	}
	if err := o.endInOldStore(ctx, r); err != nil {
		undoErr := o.m.remove(ctx, o.id)
		if errors.Is(err, ErrEnded) {
			return false, undoErr
		}
		o.unsettled = undoErr != nil
		return false, errors.Join(err, undoErr)
	}
	return true, nil
}

// leave leaves the session in the old store, behind a second mark, so that none of its other
// cookies opens it here. It reports false if there is that mark already: the session has moved
// by one of them.
func (o *moving) leave(ctx context.Context, m mark) (bool, error) {
	if o.sharedMark != "" {
		m.Sealed = nil // the new token is for the cookie that has moved it
		created, err := o.createMark(ctx, o.sharedMark, m)
		if !created || err != nil {
			undoErr := o.m.remove(ctx, o.id)
			o.unsettled = o.unsettled || undoErr != nil
			return false, errors.Join(err, undoErr)
		}
	}
	o.retired = []string{gsessions.NewCookie(o.m.oldName, "", o.dropped()).String()}
	return true, nil
}

// endInOldStore removes the session from the old store. The error is [ErrEnded] if that knows
// that there was none any more.
func (o *moving) endInOldStore(ctx context.Context, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil { // some stores panic on what they cannot encode
			err = fmt.Errorf("store: ending a session of the old store: %T: panic: %v", o.m.from, v)
		}
	}()
	if o.isOwn {
		ended, err := o.m.source.endSession(ctx, o.ownID, o.own, SignedOut)
		if err == nil && !ended { // by somebody else, meanwhile
			err = ErrEnded
		}
		if err != nil {
			return fmt.Errorf("store: ending a session of the old store: %w", err)
		}
		return nil
	}
	ended, known, err := o.endKnown(ctx)
	if err == nil && known && !ended {
		err = ErrEnded
	}
	if err != nil {
		return fmt.Errorf("store: ending a session of the old store: %w", err)
	}
	clear(o.session.Values)
	o.session.Options = o.dropped()
	header := address.HeaderOnly{}
	if err := o.m.from.Save(gorilla.Only(r.WithContext(ctx), o.m.oldName, o.cookie), header, o.session); err != nil && !ended {
		return fmt.Errorf("store: ending a session of the old store: %T: %w", o.m.from, err)
	}
	o.retired = header.Header()["Set-Cookie"]
	return nil
}

// dropped returns the options of the old cookie with which the browser drops it.
func (o *moving) dropped() *gsessions.Options {
	options := gsessions.Options{Path: "/"}
	if o.session.Options != nil {
		options = *o.session.Options
	}
	options.MaxAge = -1
	return &options
}

// endKnown ends the session in the old store, and reports whether there was one. known is
// false, and nothing has been done, if the old store cannot tell.
func (o *moving) endKnown(ctx context.Context) (ended, known bool, err error) {
	if source := ownStore(o.m.from); source != nil {
		id, r, found, err := source.open(ctx, o.m.oldName, o.cookie, true)
		if err == nil && found {
			ended, err = source.endSession(ctx, id, r, SignedOut)
		}
		return ended, true, err
	}
	from, ok := o.m.from.(interface{ Kit() any })
	if !ok {
		return false, false, nil
	}
	old, ok := from.Kit().(interface {
		End(ctx context.Context, cookie string) (bool, error)
	})
	if !ok {
		return false, false, nil
	}
	ended, err = old.End(ctx, o.cookie)
	return ended, true, err
}
