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
// becomes a 503 and nothing of the handler's answer is sent. A handler that
// panics saves nothing. A visitor who stores nothing gets no cookie.
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
	"hash/maphash"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/config"
	"github.com/gin-sessionkit/sessionkit/internal/inside"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
)

// Sessions returns the middleware. Handlers after it have a session: typed values
// ([Key]), flash messages ([Flash]), cookies ([Cookie]), sign-in ([Login]) and
// the guard ([RequireSession]).
//
// It refuses cross-origin POST, PUT, PATCH and DELETE requests of browsers with a
// 403, as [http.CrossOriginProtection] does (OWASP ASVS 5.0 section 3.5.1), unless
// Config.TrustedOrigins names the origin.
//
// It panics on a store or a [Config] that cannot work, and the message names each
// bad field and the remedy. [Config.Validate] gives the same verdict as an error.
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
	keeper     keeper
	directory  kitstore.Directory // nil: the store does not know the sessions of a user
	successor  kitstore.Successor // nil: the store takes over from no other
	shared     kitstore.Shared    // nil: no other program uses the sessions
	seenEvery  time.Duration
	protection *http.CrossOriginProtection
	cookieless *http.ServeMux // nil: none
	sealers    []sealer       // one for each of Config.Secrets
	warned     atomic.Bool

	resumable resumable
	turns     *turns
	closing   bool // the cookie of a visitor ends with the browser, whatever VisitorFor says

	hostName string   // the cookie's name if it is Secure
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
	other, isShared := kitstore.SharedOf(store)
	if isShared {
		if c, err = shareConfig(c, other); err != nil {
			return nil, err
		}
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	k := &kit{
		Config:     c,
		seenEvery:  life{idle: c.IdleTimeout}.seenEvery(),
		protection: http.NewCrossOriginProtection(),
		hostName:   secureCookieName(c),
		resumable:  resumable{seed: maphash.MakeSeed()},
		turns:      newTurns(),
	}
	if s, ok := kitstore.Of(store); ok {
		k.keeper, k.directory = served{s, c.Name}, s
		if k.successor, ok = s.(kitstore.Successor); ok {
			k.keeper = moving{served{s, c.Name}}
			if k.successor.UserOf() != nil {
				if c.UserOf != nil {
					return nil, &ConfigError{Field: "Config.UserOf", Reason: "store.Migrate was given such a function already; give it once"}
				}
				k.UserOf = k.successor.UserOf()
			}
		}
	} else if isShared {
		k.share(other)
	} else {
		k.keeper = &foreign{store: store, name: c.Name, seenEvery: k.seenEvery}
	}
	if c.MaxSessions > 0 && k.directory == nil {
		return nil, &ConfigError{
			Field: "Config.MaxSessions", Value: fmt.Sprint(c.MaxSessions),
			Reason: fmt.Sprintf("a %T does not know the sessions of a user; use a store of sessionkit", store),
		}
	}
	k.vary = []string{"Cookie"}
	if c.TokenHeader != "" {
		k.vary = append(k.vary, c.TokenHeader)
	}
	k.varyLine = strings.Join(k.vary, ", ")
	for _, origin := range c.TrustedOrigins {
		if err := k.protection.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	k.cookieless, _ = newRoutes(c.CookielessRoutes) // Validate has seen them
	for _, secret := range c.Secrets {
		k.sealers = append(k.sealers, newSealer(secret))
	}
	return k, nil
}

// serve is the middleware.
func (k *kit) serve(c *gin.Context) {
	outer := k.outer(c)
	if outer != nil && outer.kit == k {
		c.Next() // used twice, by the engine and by a group
		return
	}
	if q := k.resumable.find(c); q != nil {
		q.resume(c)
		return
	}
	q := &request{kit: k, c: c, r: c.Request, began: time.Now()}
	q.writer = writer{ResponseWriter: c.Writer, q: q, encoded: len(c.Writer.Header()["Content-Encoding"]) > 0}
	c.Writer = &q.writer
	c.Set(sessions.DefaultKey, (*ginSession)(q))

	panicking := true
	defer func() {
		q.finish(panicking)
		if outer != nil {
			q.giveBack(outer)
		}
		if panicking {
			if v := recover(); v != nil {
				panic(explain(v))
			}
		}
	}()
	if err := q.checkOrigin(); err != nil {
		q.refuseOrigin(err)
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

// outer returns the session of a middleware that this one runs behind, if any. It
// panics where both would answer to the same cookie, of which the outer one's would
// be all that the browser gets.
func (k *kit) outer(c *gin.Context) *request {
	v, _ := c.Get(sessions.DefaultKey)
	s, ok := v.(*ginSession)
	if !ok {
		return nil
	}
	outer := (*request)(s)
	if outer.kit != k && outer.kit.hostName == k.hostName {
		panic(&ConfigError{
			Field: "Config.Name", Value: quote(k.Name),
			Reason: "another Sessions of this name runs in the same request; use that one, or give this one another Name",
		})
	}
	return outer
}

// giveBack has the middlewares before this one see their own session again.
func (q *request) giveBack(outer *request) {
	q.c.Set(sessions.DefaultKey, (*ginSession)(outer))
	if q.c.Writer == &q.writer {
		q.c.Writer = q.writer.ResponseWriter
	}
}

// checkOrigin refuses what another site makes a browser send.
func (q *request) checkOrigin() error {
	if q.kit.cookieless != nil && matches(q.kit.cookieless, q.r) {
		q.r.Header.Del("Cookie") // so that there is nothing that another site could make use of
		q.cookieless = true
	}
	_, q.bearer = q.kit.token(q.r)
	if (q.bearer || q.cookieless) && len(q.r.Header["Cookie"]) == 0 {
		return nil // no browser has added anything that the sender need not know
	}
	r := q.r
	if r.Method == http.MethodGet && opensWebSocket(r) { // it can do what a POST can
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

// refuseOrigin answers a cross-origin request.
func (q *request) refuseOrigin(cause error) {
	err := fmt.Errorf("sessionkit: refused a cross-origin %s from origin %q: if it is one of yours, add it to Config.TrustedOrigins "+
		"(and a middleware for CORS must stand before Sessions, or the browser reports a CORS error): %w",
		q.r.Method, shorten(q.r.Header.Get("Origin"), 200), cause)
	q.c.Abort()
	q.answer(q.c, newProblem(http.StatusForbidden, "cross-origin", "The request came from another site."))
	q.writer.failed = err // what OnError writes does not count
	calls := pendingCalls{events: []Event{{Kind: EventCrossOrigin, Err: err}}, errs: []error{err}}
	calls.make(q.kit, q.c)
}

// requestOf returns the request's session. It panics where the middleware is
// missing, which is a programmer's error; call is what the programmer called.
func requestOf(c *gin.Context, call string) *request {
	if w, ok := c.Writer.(*writer); ok {
		return w.q
	}
	if v, ok := c.Get(sessions.DefaultKey); ok { // another middleware has put its writer in front
		if s, ok := v.(*ginSession); ok {
			return (*request)(s)
		}
	}
	panic("sessionkit: " + call + " called before r.Use(sessionkit.Sessions(store))")
}

// Err returns what went wrong with this request's session: that it could not be
// read, or a change that could not be saved. It is nil if nothing did.
//
// A session that could not be read looks empty, and nothing is written to it. The
// response becomes a 503, so that nobody is shown a page as if they were signed out,
// unless the handler calls Err before it writes: then the response is its own.
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
