// Package sessionkit gives Gin handlers sessions that are safe without
// configuration: typed values, flash messages, cookies, sign-in and sign-out, and
// a guard.
//
//	r.Use(sessionkit.Sessions(memstore.New()))
//
// It wraps github.com/gin-contrib/sessions and works over every store of it. With
// the stores of this module (store/memstore and its siblings) it also does what
// others cannot: parallel requests that change different values keep all changes,
// and with [Key.Update] those to one value too; a request that is under way when the
// user logs out cannot bring the session back; and a user's sessions can be listed
// and revoked.
//
// # Saving
//
// Nothing needs to be saved by hand. What a handler changed is saved once, right
// before the first byte of the response goes out. If that fails, the response
// becomes a 503 without the handler's body, the cookies that it has set, and the header
// fields that describe its answer; others, as for CORS, are sent. A change after the
// middleware has returned is reported to Config.OnError and not saved. A visitor who
// stores nothing gets no cookie.
//
// A 103 (Early Hints) that is sent by c.Status and c.Writer.WriteHeaderNow counts as the
// response: gin takes the header for sent then. So change the session before that.
//
// A handler that panics saves nothing, if the recovery stands in front of this middleware,
// as that of [gin.Default] does. What such a recovery changes itself comes too late. One behind
// is known by a status of 500 or more, or by a request that it has aborted before it writes: if
// it answers otherwise, or not at all, what the handler changed is saved. After a panic about a
// lost connection, for which [gin.Recovery] writes nothing, it is known by "recover" in the name of
// its function.
//
// A middleware that keeps whole pages in the process, as gin-contrib/cache does, keeps
// the header too, and gives the cookie of one visitor to all others. Add the routes of such
// pages before this middleware: they have no session.
//
// A middleware that sets a deadline in the context of c.Request belongs behind this one:
// after a deadline that was set in front of it no new cookie is sent, because what set it,
// such as [http.TimeoutHandler], may have answered by then.
//
// A middleware that answers while handlers still run with the same *gin.Context, as
// gin-contrib/timeout does when the time is over, must not be used at all, neither in front nor
// behind: gin gives the context to another client's request, and a late [Login] signs that
// client in. [http.TimeoutHandler] around the engine is safe.
//
// A handler that calls [gin.Engine.HandleContext] changes the session before the call.
// A change that is made after it may be lost, and so is one that needs a cookie if the
// other route is not behind the middleware. Config.OnError is called for each.
//
// # Beside gin-contrib/sessions
//
// sessions.Default(c) returns the same session under the same rules. Its Save is
// no longer needed and does no harm. Clear signs out, as [Logout] does, if a user is
// signed in. Options with a negative MaxAge does too; a positive one is how long the
// session lives, and its other fields have no effect: Config decides the cookie's
// attributes. Config.UserOf is for applications that do not call [Login] yet.
//
// # Concurrency
//
// Every function that takes a *gin.Context, but [NextURL], may be called by several
// goroutines of that request at the same time, and so may the methods of
// sessions.Default(c). The response is the handler's alone: cookies, which are a
// part of its header, are to be set before it writes.
package sessionkit

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/client"
	"github.com/gin-sessionkit/sessionkit/internal/config"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/inside"
	"github.com/gin-sessionkit/sessionkit/internal/keeper"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/response"
	"github.com/gin-sessionkit/sessionkit/internal/resume"
	"github.com/gin-sessionkit/sessionkit/internal/session"
	"github.com/gin-sessionkit/sessionkit/internal/turn"
)

// Sessions returns the middleware. Handlers after it have a session: typed values
// ([Key]), flash messages ([Flash]), cookies ([Cookie]), sign-in ([Login]) and
// the guard ([RequireSession]).
//
// It refuses cross-origin POST, PUT, PATCH and DELETE requests of browsers with a
// 403, as [http.CrossOriginProtection] does (OWASP ASVS 5.0 section 3.5.1), unless
// Config.TrustedOrigins names the origin.
//
// A store of gin-contrib must give back values with the Go types that it was given, as gob
// does. One with a JSON serializer, such as redistore.JSONSerializer, does not, and typed
// values are lost there.
//
// A request may pass several, if each has a Config.Name of its own, and a
// Config.TokenHeader and a Config.BoundPath of its own if it has any. A handler has the
// session of the last one. Each saves its session by itself: if one fails, the response
// becomes a 503, and what the others have saved stands. A request that passes one of them
// twice has one session. All of this also holds if a handler has another engine serve the
// request, as by [gin.WrapH], or the same engine once more, unless a writer between the two
// has no Unwrap method.
//
// It panics on a store or a [Config] that cannot work, and the message names each
// bad field and the remedy. [Config.Validate] gives the same verdict as an error, but for
// what the store cannot do.
func Sessions(store sessions.Store, configs ...Config) gin.HandlerFunc {
	k, err := newKit(store, configs)
	if err != nil {
		panic(err)
	}
	return k.serve
}

// kit is a Config that has been judged, and what follows from it. It does not
// change.
type kit struct {
	Config
	policy     session.Policy
	site       cookie.Site
	keeper     keeper.Keeper
	directory  kitstore.Directory // nil: the store does not know the sessions of a user
	successor  kitstore.Successor // nil: the store takes over from no other
	ownMoves   bool               // it takes over from a store of this module
	protection *http.CrossOriginProtection
	cookieless *http.ServeMux  // nil: none
	sealers    []cookie.Sealer // one for each of Config.Secrets
	bound      *binder         // nil: sessions are not bound to devices

	resumable *resume.List[*request]
	turns     *turn.Turns

	vary     []string // the headers in which requests bring a session
	varyLine string   // these as one line
}

func newKit(store sessions.Store, configs []Config) (*kit, error) {
	c, err := config.One("sessionkit: Sessions", configs)
	if err != nil {
		return nil, err
	}
	if store == nil || reflect.ValueOf(store).Kind() == reflect.Pointer && reflect.ValueOf(store).IsNil() {
		return nil, errors.New("sessionkit: Sessions needs a store; memstore.New() is one")
	}
	own := c
	shared, isShared := kitstore.SharedOf(store)
	if isShared {
		if c, err = shareConfig(c, shared); err != nil {
			return nil, err
		}
	}
	if err := own.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	k := &kit{
		Config: c,
		policy: session.Policy{Name: c.Name, Idle: c.IdleTimeout, Lifetime: c.Lifetime, Remember: c.RememberFor, Visitor: c.VisitorFor},
		site: cookie.Site{
			Name: c.Name, Domain: c.Domain, Path: c.Path, SameSite: c.SameSite, Partitioned: c.Partitioned,
			InsecureHTTP: c.InsecureHTTP, SecureName: cookie.SecureName(c.Name, c.Domain, c.Path),
		},
		protection: http.NewCrossOriginProtection(),
		resumable:  resume.New[*request](),
		turns:      turn.New(),
		vary:       []string{"Cookie"},
		bound:      newBinder(c),
	}
	if isShared {
		k.share(shared)
	} else {
		k.keepIn(store)
	}
	if err := k.checkStore(store); err != nil {
		return nil, err
	}
	if k.successor != nil && k.successor.UserOf() != nil {
		k.UserOf = k.successor.UserOf()
	}
	k.policy.ByValues = k.UserOf != nil
	if c.TokenHeader != "" {
		k.vary = append(k.vary, c.TokenHeader)
	}
	k.varyLine = strings.Join(k.vary, ", ")
	for _, origin := range c.TrustedOrigins {
		if err := k.protection.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	k.cookieless, _ = client.NewRoutes(c.CookielessRoutes) // Validate has seen them
	for _, secret := range c.Secrets {
		k.sealers = append(k.sealers, cookie.NewSealer(secret))
	}
	return k, nil
}

// share has the sessions kept in a store that another program uses as well.
func (k *kit) share(s kitstore.Shared) {
	_, persistent := s.VisitorFor()
	k.policy.Closing, k.policy.Rolling = !persistent, true
	k.site.Shared, k.site.SecureName = s.Cookie, k.Name
	k.keeper = keeper.Share(s, &k.policy)
}

// keepIn has the sessions kept in a store.
func (k *kit) keepIn(store sessions.Store) {
	k.keeper, k.directory, k.successor = keeper.Of(store, k.Name, k.policy.SeenEvery())
	k.ownMoves = k.successor != nil && k.successor.MovesOwn(k.Name)
}

// checkStore returns an error for each field of Config that needs more of the store than it
// can do.
func (k *kit) checkStore(store sessions.Store) error {
	p := problems{prefix: "Config."}
	if k.bound != nil && k.directory == nil {
		p.add("DeviceBound", "true", fmt.Sprintf("a %T cannot change one value of a session without overwriting the others, so that a page loaded at the same time "+
			"would undo the binding; use memstore, sqlstore or redisstore", store))
	}
	if k.MaxSessions > 0 && k.directory == nil {
		p.add("MaxSessions", fmt.Sprint(k.MaxSessions), fmt.Sprintf("a %T does not know the sessions of a user; use memstore, sqlstore or redisstore", store))
	}
	if k.successor != nil && k.successor.UserOf() != nil && k.UserOf != nil {
		p.add("UserOf", "", "store.Migrate was given such a function already; give it once")
	}
	return errors.Join(p.errs...)
}

// serve is the middleware.
func (k *kit) serve(c *gin.Context) {
	shown := shownIn(c)
	around := requestsAround(c, shown)
	if q := k.among(around); q != nil {
		q.serveAgain(c, shown)
		return
	}
	if q := k.resumable.Find(c); q != nil {
		q.resume(c, around)
		return
	}
	q := &request{kit: k, c: c, r: c.Request, began: time.Since(started)}
	q.writer.Wrap(c.Writer, q)
	c.Writer = &q.writer
	c.Set(sessions.DefaultKey, (*ginSession)(q))
	if around != nil {
		q.noteAround(around)
	}

	panicking := true
	defer func() {
		q.finish(panicking)
		if shown != nil {
			giveBack(c, &q.writer, shown)
		}
		if panicking {
			if v := recover(); v != nil {
				panic(explain(v))
			}
		}
	}()
	if k.bound != nil && q.servesBinding() {
		q.serveBinding()
	} else if err := q.checkOrigin(); err != nil {
		q.refuseOrigin(c, err)
	} else if k.bound != nil && q.arrivesUnbound() {
		q.comeAgain()
	} else if f := inside.From(c.Request.Context()); f != nil {
		q.runInside(f)
	} else {
		c.Next()
	}
	panicking = false
}

// explain returns what a handler panicked with, in other words if it called
// sessions.DefaultMany, which needs another middleware.
func explain(v any) any {
	if err, ok := v.(*runtime.TypeAssertionError); ok && strings.Contains(err.Error(), "map[string]sessions.Session") {
		return "sessionkit: sessions.DefaultMany does not work behind sessionkit.Sessions, which has one session: use sessions.Default(c), " +
			"and names of values to keep things apart"
	}
	return v
}

// shownIn returns the session that a middleware before this one shows to its handlers,
// if there is one: its writer, or one that was put in front of it, is in the place of gin's own.
func shownIn(c *gin.Context) *request {
	if reflect.TypeOf(c.Writer) == ginsWriter {
		return nil
	}
	v, _ := c.Get(sessions.DefaultKey)
	s, _ := v.(*ginSession)
	return (*request)(s)
}

// ginsWriter is the type of the writer that gin gives to each request.
var ginsWriter = reflect.TypeOf(gin.CreateTestContextOnly(nil, new(gin.Engine)).Writer)

// aroundKey is where the context has the requests of all middlewares that the handlers run
// behind, from the second one on.
type aroundKey struct{}

// mountedKey is where the context has the requests of engines that its own has mounted.
type mountedKey struct{}

// requestsIn returns the requests that a context has under a key.
func requestsIn(c *gin.Context, key any) []*request {
	v, _ := c.Get(key)
	requests, _ := v.([]*request)
	return requests
}

// together returns the requests of all middlewares that answer together in a context, none if
// there is only one.
func together(c *gin.Context) []*request {
	return slices.Concat(requestsIn(c, aroundKey{}), requestsIn(c, mountedKey{}))
}

// requestsAround returns the requests of all middlewares that this one runs behind, also those
// of an engine that has this one mounted. shown is the one that handlers of this engine see, nil
// if there is none yet.
func requestsAround(c *gin.Context, shown *request) []*request {
	if shown != nil {
		if around := requestsIn(c, aroundKey{}); around != nil {
			return around
		}
		return []*request{shown}
	}
	mounting := writesTo(c.Writer)
	if mounting == nil {
		return nil
	}
	around := requestsAround(mounting.c, mounting)
	c.Set(aroundKey{}, around)
	return around
}

// writesTo returns the request whose writer is below another one, nil if there is none.
func writesTo(w http.ResponseWriter) *request {
	for {
		wraps, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = wraps.Unwrap()
		if w, ok := w.(*response.Writer); ok {
			return w.Committer.(*request)
		}
	}
}

// noteAround notes in its context which requests this one is behind, and in those of other
// engines that it is behind theirs.
func (q *request) noteAround(around []*request) {
	q.c.Set(aroundKey{}, append(slices.Clip(around), q))
	for _, outer := range around {
		if outer.c != q.c {
			outer.c.Set(mountedKey{}, append(requestsIn(outer.c, mountedKey{}), q))
		}
	}
}

// among returns the request of this very middleware, nil if there is none. It panics
// where another one would answer to the same cookie or token, of which the outer one's would
// be all that the client gets.
func (k *kit) among(around []*request) *request {
	for _, q := range around {
		if q.hasEnded() { // what is served now was not behind it, but in front
			continue
		}
		if q.kit == k {
			return q
		}
		if q.kit.bound != nil && k.bound != nil && q.kit.bound.register == k.bound.register {
			panic(&ConfigError{
				Field: "Config.BoundPath", Value: quote(k.BoundPath),
				Reason: "another Sessions in the same request answers there; give this one another BoundPath",
			})
		}
		if k.TokenHeader != "" && k.TokenHeader == q.kit.TokenHeader {
			panic(&ConfigError{
				Field: "Config.TokenHeader", Value: quote(k.TokenHeader),
				Reason: "another Sessions in the same request sends its tokens there; give this one another TokenHeader",
			})
		}
		if q.kit.site.SecureName == k.site.SecureName || q.kit.Name == k.Name { // without a prefix, as on localhost, Path and Domain make no difference
			panic(&ConfigError{
				Field: "Config.Name", Value: quote(k.Name),
				Reason: "another Sessions of this name runs in the same request; use that one, or give this one another Name",
			})
		}
	}
	return nil
}

// serveAgain runs the handlers of a middleware that is used twice, by the engine and by a
// group, or by one that serves the request for another: with the one session, also if another
// middleware in between has shown its own.
func (q *request) serveAgain(c *gin.Context, shown *request) {
	if shown == q {
		c.Next()
		return
	}
	var w response.Writer
	w.Wrap(c.Writer, q)
	w.Begin(response.Sent) // those below commit
	c.Writer = &w
	c.Set(sessions.DefaultKey, (*ginSession)(q))
	panicking := true
	defer func() {
		if shown != nil {
			giveBack(c, &w, shown)
		}
		panicked := panicking || w.PanickedLate(c)
		doubtful := !q.writer.Begun() && w.Status() == http.StatusOK && response.MayHavePanicked(c)
		if c == q.c || !panicked && !doubtful { // else the other engine does not see who recovers here
			return
		}
		q.lock()
		defer q.unlock(c)
		if panicked {
			q.discard()
		} else {
			q.doubt(c)
		}
	}()
	q.next(c)
	panicking = false
}

// next runs the handlers once more. A middleware may have given the request another method before
// it had that done, and another host as well: what the browser says of its origin counts.
func (q *request) next(c *gin.Context) {
	if c.Request.Header.Get("Sec-Fetch-Site") != "" {
		if err := q.checkMethod(c.Request); err != nil {
			q.refuseOrigin(c, err)
			return
		}
	}
	c.Next()
}

// giveBack has the middlewares before one, whose writer is w, see their own session again.
func giveBack(c *gin.Context, w *response.Writer, outer *request) {
	c.Set(sessions.DefaultKey, (*ginSession)(outer))
	if c.Writer == w {
		c.Writer = w.ResponseWriter
	}
}

// checkOrigin refuses what another site makes a browser send.
func (q *request) checkOrigin() error {
	if q.kit.cookieless != nil && client.Matches(q.kit.cookieless, q.r) {
		q.r.Header.Del("Cookie") // so that there is nothing that another site could make use of
		q.cookieless = true
	}
	_, q.bearer = client.Token(q.kit.TokenHeader, q.r)
	return q.checkMethod(q.r)
}

// checkMethod is checkOrigin for the method that the request has now.
func (q *request) checkMethod(r *http.Request) error {
	if (q.bearer || q.cookieless && !client.SentByBrowser(r)) && len(r.Header["Cookie"]) == 0 {
		return nil // no browser has added anything that the sender need not know
	}
	if r.Method == http.MethodGet && client.OpensWebSocket(r) { // it can do what a POST can
		asPost := *r
		asPost.Method = http.MethodPost
		r = &asPost
	}
	return q.kit.protection.Check(r)
}

// runInside runs a function of a test in place of the handlers; see sessionkittest.
func (q *request) runInside(f func(*gin.Context)) {
	q.c.Abort()
	f(q.c)
}

// refuseOrigin answers a cross-origin request. Its page begins no session: the browser
// does not send a SameSite cookie along, and the new one would take the place of the user's.
func (q *request) refuseOrigin(c *gin.Context, cause error) {
	origin, remedy := q.r.Header.Get("Origin"), "if it is one of yours, add it to Config.TrustedOrigins, or have the proxy keep Host if it is this site's own "+
		"(and a middleware for CORS must stand before Sessions, or the browser reports a CORS error)"
	if origin == "null" {
		remedy = "a page that hides where it is from sends this: if it is one of yours, send it with Referrer-Policy same-origin in place of no-referrer, and do not sandbox it"
	}
	err := fmt.Errorf("sessionkit: refused a cross-origin %s from origin %q: %s: %w", config.Shorten(q.r.Method, 20), config.Shorten(origin, 200), remedy, cause)
	c.Abort()
	q.refusing = true
	defer q.reportRefusal(c, err) // also if the page panics
	q.answer(c, newProblem(http.StatusForbidden, "cross-origin", "The request came from another site."))
}

// reportRefusal tells OnEvent and OnError of a refused request.
func (q *request) reportRefusal(c *gin.Context, err error) {
	q.writer.Failed = err // what OnError writes does not count
	calls := pendingCalls{events: []Event{{Kind: EventCrossOrigin, Err: err}}, errs: []error{err}}
	lost := q.beginsSession()
	if lost {
		calls.errs = append(calls.errs, errors.New("sessionkit: what Config.ErrorPage stored for a cross-origin request is lost: "+
			"a new session would take the place of the one whose cookie the browser did not send"))
	}
	calls.make(q.kit, c)
	if !lost && q.hasChanges() {
		q.kit.OnError(c, errors.New("sessionkit: what Config.OnEvent or Config.OnError changed for a cross-origin request is lost: use the store there"))
	}
}

// beginsSession reports whether the request has stored something without a session.
func (q *request) beginsSession() bool {
	q.lock()
	defer q.unlock(q.c)
	return q.loaded != nil && q.session.ID() == "" && !q.untouched()
}

// hasChanges reports whether there is anything that is not saved.
func (q *request) hasChanges() bool {
	q.lock()
	defer q.unlock(q.c)
	return q.loaded != nil && !q.untouched()
}

// requestOf returns the request's session. It panics where the middleware is
// missing, which is a programmer's error; call is what the programmer called.
func requestOf(c *gin.Context, call string) *request {
	if q := findRequest(c); q != nil {
		return q
	}
	if _, another := c.Get(sessions.DefaultKey); another {
		panic("sessionkit: " + call + " called behind gin-contrib's sessions.Sessions, which has a session of its own: use sessionkit.Sessions(store) in its place")
	}
	panic("sessionkit: " + call + " called before r.Use(sessionkit.Sessions(store)), or the route was added before r.Use")
}

// findRequest returns the request's session, nil if the middleware is missing.
func findRequest(c *gin.Context) *request {
	if w, ok := c.Writer.(*response.Writer); ok {
		return w.Committer.(*request)
	}
	if v, ok := c.Get(sessions.DefaultKey); ok { // another middleware has put its writer in front
		if s, ok := v.(*ginSession); ok {
			return (*request)(s)
		}
	}
	return nil
}

// Err returns what went wrong with this request's session: that it could not be
// read, or a change that could not be saved. It is nil if nothing did.
//
// A session that could not be read looks empty, and nothing is written to it. The
// response becomes a 503, so that nobody is shown a page as if they were signed out,
// unless the handler calls Err before it writes: then the response is its own, also if
// Config.OnError calls it. [RequireSession] answers with the 503 whatever was called in front
// of it.
func Err(c *gin.Context) error {
	q := requestOf(c, "Err")
	q.lock()
	defer q.unlock(c)
	q.load(false)
	q.asked = true
	return errors.Join(q.loadErr, q.bad, q.saveErr)
}

// leaveToHandler notes that the handler knows that the session could not be read.
func (q *request) leaveToHandler() {
	q.lock()
	defer q.unlock(q.c)
	q.asked = true
}

// resume runs the handlers once more, and saves before gin sends a header.
func (q *request) resume(c *gin.Context, around []*request) {
	below, panicking := q.writer.ResponseWriter, true
	defer func() {
		q.pass(panicking)
		q.writer.ResponseWriter = below
	}()
	q.writer.ResponseWriter = c.Writer
	c.Writer = &q.writer
	c.Set(sessions.DefaultKey, (*ginSession)(q))
	if around != nil {
		q.noteAround(around)
	}
	q.next(c)
	panicking = false
}
