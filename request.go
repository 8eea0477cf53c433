package sessionkit

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/client"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/keeper"
	"github.com/gin-sessionkit/sessionkit/internal/response"
	"github.com/gin-sessionkit/sessionkit/internal/resume"
	"github.com/gin-sessionkit/sessionkit/internal/session"
	"github.com/gin-sessionkit/sessionkit/store"
)

// request is what this package knows of one request, between the browser, the
// application and the session, if anything asks for one.
type request struct {
	kit    *kit
	c      *gin.Context // used while the request runs
	r      *http.Request
	began  time.Duration // after the program
	writer response.Writer

	mu      sync.Mutex
	pending *pendingCalls // nil: none

	*loaded // nil: nothing has asked for the session

	arrived  *arrived // nil: nothing
	flashes  *flashes // nil: none yet
	returnTo *string  // what NextURL has returned, if a redirect would change it; nil: it would not

	bearer     bool // it comes from a client without cookies
	cookieless bool // its route is one of Config.CookielessRoutes
	guarded    bool // the response is for this user alone
	refusing   bool // it is refused as another site's: see refuseOrigin
	serving    bool // it is one for the binder itself
	arriving   bool // it is about to be found out whether the browser is to send the request again
	panicked   bool // the handlers have
	closed     bool // the middleware has returned
}

// loaded is what a request knows of its session. Most requests for pictures and the
// like never ask, and have none.
type loaded struct {
	session session.Session
	handle  keeper.Handle      // of the stored session
	left    *remains           // of the session that the browser named; nil: nothing
	adopted *adopted           // what an old cookie named, in a store that is being moved from
	view    *gsessions.Session // the values as gin-contrib/sessions sees them; nil until asked for
	noted   *note              // the epoch of a user; nil: that of the request's beginning counts
	watched *watched           // nil: nobody waits for the session's end
	vary    [1]string          // the Vary header's value

	entry resume.Entry[*request] // it is listed once anything has changed: the handlers may be run once more

	brought
	reply
	progress
	binding

	valuesUser string // who is signed in by the application's own values, as far as that has been followed
}

// remains are what is left of a session that has ended, got a new ID or expired.
type remains struct {
	keeper.Kept
	next *remains // of a further one, if both have expired
}

// brought is what the browser has sent.
type brought struct {
	secureCookie, plainCookie bool // a session cookie of this name came
	expired                   bool // the cookie names a sign-in that has expired
	revoked                   bool // the cookie names a sign-in that was ended from elsewhere
}

// reply is what the response has to say of the session.
type reply struct {
	sends    bool // it gives the client the session's token
	clearing bool // the commit is to take the cookie from the browser, unless another one follows
	clears   bool // and has, which the response tells
	given    bool // this request has given the session its ID: the cookie that came does not lead there
}

// progress is how far the request has come.
type progress struct {
	loadErr error // the stored session could not be read: it must not be written
	bad     error // a change that cannot be saved, such as a value that does not encode
	saveErr error // the commit failed

	asked    bool  // the handler has asked whether the session could be read
	early    bool  // Save has stored it
	reported bool  // bad was
	tooLate  uint8 // how many changes that came too late were reported

	// inTurn means that an Update has its turn, or waits for it: one within it must not
	// wait as well.
	inTurn atomic.Bool
}

// pendingCalls are the calls of OnEvent and OnError that wait until the request's
// lock is free: what they call may need it.
type pendingCalls struct {
	events []Event
	errs   []error
}

// make makes the calls.
func (p *pendingCalls) make(k *kit, c *gin.Context) {
	for _, e := range p.events {
		if k.OnEvent != nil {
			k.OnEvent(c, e)
		}
	}
	for _, err := range p.errs {
		k.OnError(c, err)
	}
}

// started is when the program began. To tell the time since then takes half as long as to
// tell what time it is, and all requests have to tell when they began.
var started = time.Now()

// Context implements [resume.Request].
func (q *request) Context() *gin.Context { return q.c }

// Header implements [resume.Request].
func (q *request) Header() http.Header { return q.r.Header }

func (q *request) lock() { q.mu.Lock() }

// unlock makes the calls of OnEvent and OnError that came up, with the context that
// the caller has: the request's own may be another's by then.
func (q *request) unlock(c *gin.Context) {
	calls := q.pending
	q.pending = nil
	q.mu.Unlock()
	if calls != nil {
		q.showing(c, &q.writer, func(c *gin.Context) { calls.make(q.kit, c) })
	}
}

// showing runs what is to see this session, whichever other one the handlers have.
func (q *request) showing(c *gin.Context, w *response.Writer, f func(*gin.Context)) {
	if findRequest(c) == q && w == &q.writer {
		f(c)
		return
	}
	shows := c.Copy() // goroutines of the handler may be using its own
	shows.Errors, shows.Writer = c.Errors, w
	shows.Set(sessions.DefaultKey, (*ginSession)(q))
	before := maps.Clone(shows.Keys)
	defer func() {
		c.Errors = shows.Errors
		for key, v := range shows.Keys {
			now, was := reflect.ValueOf(v), reflect.ValueOf(before[key])
			unchanged := now.Comparable() && v == before[key] // a goroutine of the handler may have set it meanwhile
			if k := now.Kind(); k == was.Kind() && (k == reflect.Map || k == reflect.Slice) {
				// It may be writing there.
				unchanged = now.Type() == was.Type() && now.Pointer() == was.Pointer() && (k == reflect.Map || now.Len() == was.Len())
			}
			if key != sessions.DefaultKey && !unchanged {
				c.Set(key, v)
			}
		}
	}()
	f(shows)
}

// callContext returns the context for a caller that has none. After the request it is one
// that cannot answer, as by c.Copy: gin has given the request's own to another by then.
// Gin exports no other way to make one than that for tests.
func (q *request) callContext() *gin.Context {
	if !q.closed {
		return q.c
	}
	c := gin.CreateTestContextOnly(nil, new(gin.Engine))
	c.Request = q.r
	c.Set(sessions.DefaultKey, (*ginSession)(q))
	return c
}

// tell notes an event, of which OnEvent hears when the lock is free.
func (q *request) tell(e Event) {
	if q.kit.OnEvent == nil {
		return
	}
	q.calls().events = append(q.calls().events, e)
}

func (q *request) calls() *pendingCalls {
	if q.pending == nil {
		q.pending = new(pendingCalls)
	}
	return q.pending
}

// came reports whether the request has a cookie of a name.
func (q *request) came(name string) bool {
	for range cookie.Values(q.r.Header["Cookie"], name) {
		return true
	}
	return false
}

// prefetch reports whether nobody sees the response yet. It is use of the session all the same: a
// page that the user has open has caused it, and is followed by no other request if they go there.
func (q *request) prefetch() bool { return client.Prefetches(q.r) }

// unseen reports whether nobody sees the body of the response: no message is for it.
func (q *request) unseen() bool { return q.prefetch() || q.r.Method == http.MethodHead }

// restart drops all there is: what follows is another, new session.
func (q *request) restart() {
	q.session.Restart()
	q.valuesUser = ""
	if q.flashes != nil {
		q.flashes.read = readFlashes{} // they were for whoever the session was
	}
	q.refreshView()
}

// kept returns the stored session.
func (q *request) kept() keeper.Kept {
	return keeper.Kept{Stored: q.session.Stored(), Handle: q.handle}
}

func (q *request) untouched() bool { return !q.session.Changed() && q.viewUntouched() }

// put changes a value. Putting what is there already changes nothing.
func (q *request) put(name, text string) {
	if q.session.Put(name, text) {
		q.changed()
	}
}

// remove drops a value.
func (q *request) remove(name string) {
	if q.session.Remove(name) {
		q.changed()
	}
}

// mostTooLate bounds how many changes are reported that come too late: OnError may change the
// session as well, about which it would be called again and again.
const mostTooLate = 8

// changed notes that there is a change, and reports one that comes when nothing can
// be saved any more.
func (q *request) changed() {
	if !q.closed && !q.entry.Listed() {
		q.kit.resumable.Add(q, &q.entry)
	}
	if q.closed && q.tooLate < mostTooLate {
		q.tooLate++
		q.report(errTooLate)
	}
}

// refuse notes a change that cannot be saved: the commit fails.
func (q *request) refuse(err error) {
	q.bad, q.reported = errors.Join(q.bad, err), false
	q.changed()
}

// report hands an error to OnError, and to OnEvent where the store failed.
func (q *request) report(err error) {
	q.calls().errs = append(q.calls().errs, err)
	if errors.Is(err, context.Canceled) && q.r.Context().Err() != nil {
		return // the client did not wait for the answer
	}
	for _, harmless := range []error{store.ErrEnded, store.ErrTooLarge, errNoCookie, errUnreachable, errBadChange, errTooLate} {
		if errors.Is(err, harmless) {
			return // the store has done its part
		}
	}
	q.tell(Event{Kind: EventStoreError, User: q.session.User(), SessionID: q.session.ID(), Err: err})
}

var (
	errLoading   = errors.New("sessionkit: loading the session: the store panicked")
	errNoCookie  = errors.New("the session's cookie can no longer be sent")
	errBadChange = errors.New("the change cannot be saved")
	errMisuse    = errors.New("the program made a mistake")
	errTooLate   = errors.New("sessionkit: the session was changed after the request had ended: the change is lost")

	errUnreachable = errors.New("the session's cookie would be lost")
	errUnreadable  = errors.New("the session could not be read")
)
