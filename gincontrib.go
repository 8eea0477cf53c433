package sessionkit

import (
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"sync"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/config"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/dbsc"
	"github.com/gin-sessionkit/sessionkit/internal/keeper"
	"github.com/gin-sessionkit/sessionkit/internal/response"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// ginSession is the request's session as gin-contrib/sessions has it: what
// sessions.Default(c) reads and changes is the same session, under the same rules.
// It stands in for gin-contrib's own middleware, which takes a lock that all
// requests of the process share.
type ginSession request

var _ sessions.Session = (*ginSession)(nil)

// use runs f on the view of the session. A failed load has been reported, [Err]
// tells it, and nothing of the view is saved.
func (g *ginSession) use(f func(view *gsessions.Session)) {
	q := (*request)(g)
	q.lock()
	defer q.unlock(q.callContext())
	q.load(false)
	if q.view == nil {
		q.view = gsessions.NewSession(nil, q.kit.Name)
		q.refreshView()
	}
	f(q.view)
}

// change is use by a caller that changes the session.
func (g *ginSession) change(f func(view *gsessions.Session)) {
	g.use(func(view *gsessions.Session) {
		f(view)
		(*request)(g).changed()
	})
}

func (g *ginSession) ID() (id string) {
	g.use(func(view *gsessions.Session) { id = view.ID })
	return id
}

func (g *ginSession) Get(key any) (v any) {
	g.use(func(view *gsessions.Session) { v = view.Values[key] })
	return v
}

func (g *ginSession) Set(key, v any) {
	g.change(func(view *gsessions.Session) { view.Values[key] = v })
}

// Delete and Clear also remove what the view does not show, because it does not decode
// here: another version of the application may have stored a type that this one does not
// know.

func (g *ginSession) Delete(key any) {
	g.change(func(view *gsessions.Session) {
		delete(view.Values, key)
		if name, err := value.Name(key); err == nil {
			(*request)(g).remove(name)
		}
	})
}

// Clear removes all values. If a user is signed in, it signs out as [Logout] does:
// that is how applications do it that know gin-contrib/sessions alone.
func (g *ginSession) Clear() {
	g.use(func(view *gsessions.Session) {
		q := (*request)(g)
		clear(view.Values)
		q.removeAll(q.handlersTexts())
		q.changed()
		if q.hasUser() {
			life := q.session.SaidOfLife() // which Clear of gin-contrib leaves as well
			q.signOut()
			q.session.ReplaceValues(life)
			_ = q.endIfBegun() // it is reported
		}
	})
}

// AddFlash and Flashes do as gorilla's, which panic where another kind of value
// stands under the key: Flashes leaves it alone, and AddFlash takes its place.

func (g *ginSession) AddFlash(v any, vars ...string) {
	key := flashKey(vars)
	g.change(func(view *gsessions.Session) {
		list, _ := view.Values[key].([]any)
		view.Values[key] = append(list, v)
	})
}

func (g *ginSession) Flashes(vars ...string) (list []any) {
	key := flashKey(vars)
	g.use(func(view *gsessions.Session) {
		var ok bool
		if (*request)(g).unseen() {
			return // see the function Flashes
		}
		if list, ok = view.Values[key].([]any); ok {
			delete(view.Values, key)
		}
	})
	return list
}

func flashKey(vars []string) string {
	if len(vars) > 0 {
		return vars[0]
	}
	return ginFlashes
}

// Options signs out by a negative MaxAge, and else has the session live for MaxAge
// seconds: on the server, and as a cookie that outlives the browser. The other fields
// have no effect: Config decides the cookie's attributes.
func (g *ginSession) Options(o sessions.Options) {
	g.use(func(view *gsessions.Session) {
		q := (*request)(g)
		if view.Options = o.ToGorillaOptions(); o.MaxAge < 0 {
			q.signOut()
			_ = q.endIfBegun() // it is reported
		} else if q.session.LiveFor(o.MaxAge) {
			q.changed()
		}
	})
}

// Save stores a new session at once, so that it has an ID, and all other changes
// right before the header goes out. After that it saves at once; if the save before the
// header failed, it saves nothing and returns that error. The cookie of a new
// session is in the header at once too, unless a goroutine of the handler calls Save:
// then it comes with the response.
func (g *ginSession) Save() error {
	q := (*request)(g)
	q.lock()
	defer q.unlock(q.callContext())
	switch {
	case q.writer.Failed != nil: // the client has been told
		return q.writer.Failed
	case !q.writer.TakesCookie():
		return q.commit(false)
	case q.writer.Begun(): // OnEvent or OnError is being called: see commitOfCalls
		return nil
	}
	return q.createEarly()
}

// createEarly stores a session that is new. The response may still fail: then it is
// removed again.
func (q *request) createEarly() error {
	if ready := q.loaded != nil && q.loadErr == nil && q.bad == nil && q.session.ID() == ""; !ready {
		return nil
	}
	q.early = true
	err := q.commit(!q.writer.Written())
	if q.early = q.session.ID() != ""; q.early && response.OnStack(serve()) {
		q.setCookie()
	}
	return err
}

// serve is the function that runs the handlers: on its goroutine the response's header
// may be written, and on others it must not, as the handler may be writing it.
var serve = sync.OnceValue(func() *runtime.Func {
	return runtime.FuncForPC(reflect.ValueOf((*kit).serve).Pointer())
})

// keepEarly lets stay what createEarly has stored, now that the response does not fail by itself.
// It returns an error, which is reported, if the cookie will not reach the browser, or opens nothing:
// if a later sign-in has ended the session past MaxSessions, the browser may have the cookie of that.
func (q *request) keepEarly(header bool) error {
	var err error
	if header {
		err = q.canSendCookie(header)
	}
	if user := q.session.User(); err == nil && user != "" {
		if q.trim(user); q.hasEndedMeanwhile() {
			err = store.ErrEnded
		}
	}
	if err != nil {
		q.saveErr = fmt.Errorf("sessionkit: saving the session: %w", err)
		q.report(q.saveErr)
		return q.saveErr
	}
	return nil
}

// hasEndedMeanwhile reports whether another request has ended a session of which this one has the
// cookie. If the store fails, nobody knows, and it is taken to stand.
func (q *request) hasEndedMeanwhile() bool {
	if q.kit.directory == nil || q.handle.Cookie == "" {
		return false
	}
	k, err := q.kit.keeper.Load(q.r, q.handle.Cookie, true)
	return err == nil && (k.ID == "" || k.Record.Ended != "")
}

// undoEarly removes what createEarly has stored: nobody is told of it.
func (q *request) undoEarly(k keeper.Kept) {
	if !q.early || k.ID == "" {
		return
	}
	q.early = false
	ended, err := q.kit.keeper.Abandon(q.r, k)
	if err := q.tellEnd(k, ended, err); err != nil {
		q.report(fmt.Errorf("sessionkit: removing a session that was stored by Save: %w", err))
	}
	q.withdrawCookie()
	q.start(&keeper.Kept{}, false)
}

// withdrawCookie takes back the cookie or token that this response was given.
func (q *request) withdrawCookie() {
	if q.offer != nil {
		q.writer.Header().Del(dbsc.HeaderRegistration)
		q.offer = nil
	}
	if q.bearer {
		q.writer.Header().Del(q.kit.TokenHeader)
	} else {
		cookie.Withdraw(q.writer.Header(), q.kit.site.SessionName(q.r))
	}
}

// refreshView makes the view show what the session holds now. A value that is still the
// same stays in place: a handler may have it, and change what it points to.
func (q *request) refreshView() {
	if q.view == nil {
		return
	}
	shown := maps.Clone(q.view.Values)
	clear(q.view.Values)
	value.Unpack(q.session.Texts(), q.view.Values)
	for key, v := range shown {
		if now, ok := q.view.Values[key]; ok && reflect.DeepEqual(now, v) {
			q.view.Values[key] = v
		}
	}
	q.view.ID, q.view.IsNew = q.session.ID(), q.session.ID() == ""
	q.view.Options = &gsessions.Options{
		Path: q.kit.Path, Domain: q.kit.Domain, HttpOnly: true, Secure: true, SameSite: q.kit.SameSite, Partitioned: q.kit.Partitioned,
	}
	if q.session.Ending() || q.handle.IsText() { // which is stored once it moves
		q.view.ID, q.view.IsNew = "", true
	}
}

// textInView returns the text of a value that the view shows. If that is still the stored
// one, it is the stored text, which may say more: any T reads what Node has stored. The
// value itself is no caller's to change, and so is never returned.
func (q *request) textInView(name, stored string) (text string, ok bool) {
	v, ok := q.view.Values[name]
	if !ok || stored != "" && value.Equal(stored, v) {
		return stored, ok
	}
	text, err := value.Encode(v)
	return text, err == nil // else it cannot be saved either, which the commit reports
}

// viewUntouched reports whether nothing was changed through the view.
func (q *request) viewUntouched() bool {
	if q.view == nil {
		return true
	}
	set, drop, err := value.Diff(q.session.Texts(), q.view.Values)
	return err == nil && len(set) == 0 && len(drop) == 0
}

// syncView takes over what was changed through the view, unless nothing can be saved any more.
func (q *request) syncView() {
	if q.view == nil || q.bad != nil {
		return
	}
	set, drop, err := value.Diff(q.session.Texts(), q.view.Values)
	if err != nil {
		q.refuse(fmt.Errorf("sessionkit: %w", err))
		return
	}
	for name, text := range set {
		q.put(name, text)
	}
	for _, name := range drop {
		q.remove(name)
	}
}

// An application that signs in by values of its own says by Config.UserOf who that
// is. It is called again whenever it matters, so that what these values say and what
// the middleware says never differ: what they say counts, and [Login] counts as long as they
// say nothing or the same.

// byValues returns who is signed in according to the values, "" for nobody.
func (q *request) byValues() string {
	values := make(map[any]any)
	if q.view != nil {
		maps.Copy(values, q.view.Values)
	} else {
		value.Unpack(q.session.Texts(), values)
	}
	if len(values) == 0 {
		return ""
	}
	user := q.kit.UserOf(values)
	if user != "" && !signin.IsUser(user) {
		q.report(fmt.Errorf("sessionkit: Config.UserOf returned %q: it must be 1 to %d bytes of UTF-8 text without NUL",
			config.Shorten(user, signin.MaxUserBytes), signin.MaxUserBytes))
		return ""
	}
	return user
}

// agree takes over what the values of a stored session say.
func (q *request) agree() {
	if q.kit.UserOf == nil {
		return
	}
	q.valuesUser = q.byValues()
	q.session.Agree(q.valuesUser)
}

// applyUserOf has a sign-in or sign-out take effect that this request has made by values. It
// returns an error, which is reported, if it is too late for a sign-in: what was changed is
// forgotten, as the values would sign the user in by themselves once they are stored.
func (q *request) applyUserOf() error {
	if q.kit.UserOf == nil || q.loadErr != nil {
		return nil //nolint:nilerr // that error is told by the commit
	}
	q.syncView()
	user := q.byValues()
	if user == q.valuesUser {
		return nil
	}
	if user != "" && q.session.User() != user {
		if err := q.refuseLate("signing in by values"); err != nil {
			if q.session.Ending() {
				q.restart() // the sign-out is yet to be carried out
			} else {
				q.forget()
			}
			return err
		}
	}
	if q.session.User() != "" && q.session.User() != user {
		q.signOutByValues(user)
	}
	if q.valuesUser = user; user != "" && q.session.User() != user {
		q.signInAs(user, signin.SignIn{Values: true})
	}
	return nil
}

// signOutByValues ends the session, which another user follows, or a visitor if that is
// "". What the application has left of its values is theirs, and so are the flashes that
// this request has left.
func (q *request) signOutByValues(next string) {
	left := q.handlersTexts()
	if next != "" {
		maps.Copy(left, q.session.SaidOfLife())
	}
	for name, text := range q.session.Texts() {
		if _, changed := q.session.StoredText(name); changed && isFlash(name) && !q.keeps(name) {
			left[name] = text
		}
	}
	q.signOut()
	q.session.ReplaceValues(left)
	q.refreshView()
}

// handlersTexts returns the texts of the values that are not sessionkit's own.
func (q *request) handlersTexts() map[string]string {
	texts := make(map[string]string)
	for name, text := range q.session.Texts() {
		if !value.IsOwn(name) {
			texts[name] = text
		}
	}
	return texts
}

const redacted = "sessionkit: not shown"

// Format implements [fmt.Formatter]: what a program gets hold of in a request leads to
// the session's secret, and a log line of it must not show that, whatever the verb.
func (q *request) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, redacted) }

// Format implements [fmt.Formatter]: see request.
func (g *ginSession) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, redacted) }
