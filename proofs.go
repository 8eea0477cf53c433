package sessionkit

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/address"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/dbsc"
	"github.com/gin-sessionkit/sessionkit/internal/keeper"
	"github.com/gin-sessionkit/sessionkit/internal/response"
	"github.com/gin-sessionkit/sessionkit/store"
)

// This file answers what the browser sends by itself: registrations, and refreshes of the
// bound cookie.

// servesBinding reports whether the middleware itself answers the request.
func (q *request) servesBinding() bool {
	b, c, r := q.kit.bound, q.c, q.r
	b.place(q)
	path := strings.TrimSuffix(r.URL.Path, "/")
	if r.Method != http.MethodPost || !strings.HasSuffix(path, "/register") && !strings.HasSuffix(path, "/refresh") {
		return false
	}
	return b.is(c, b.register) || b.is(c, b.refresh)
}

// is reports whether the path of a request is one of the binder's, here or in the browser.
// A slash at its end is gin's, which redirects before any middleware runs if there is a
// route such as "POST /:a/:b/" (Engine.RedirectTrailingSlash).
func (b *binder) is(c *gin.Context, path string) bool {
	return strings.TrimSuffix(c.Request.URL.Path, "/") == path || strings.TrimSuffix(address.BrowserPath(c), "/") == path
}

// place finds out, at the first request, whether the browser's own requests get here: they
// do if the middleware stands on the engine, which has it run for every path.
func (b *binder) place(q *request) {
	b.judge.Do(func() {
		q.lock()
		defer q.unlock(q.c)
		engine, position := engineOf(q.c)
		if engine == nil || position < len(engine.Handlers) {
			return
		}
		routes := engine.Routes()
		routed := func(path string) bool {
			return slices.ContainsFunc(routes, func(r gin.RouteInfo) bool { // without the prefix that a proxy takes away, if one does
				return r.Method == http.MethodPost && strings.HasSuffix(path, r.Path) && strings.Count(r.Path, "/") > 1
			})
		}
		if routed(b.register) && routed(b.refresh) {
			return
		}
		b.unplaced = true
		q.calls().errs = append(q.calls().errs, fmt.Errorf("sessionkit: Config.DeviceBound: the middleware stands on a group, so the browser's POST %s and "+
			"POST %s would not reach it, and no session is bound: use it on the engine (r.Use), or give the group routes for these two, with any handler", b.register, b.refresh))
	})
}

// engineOf returns the engine that serves a request, and which of the handlers is running.
// gin does not tell; if it keeps them in another way one day, the engine is nil.
func engineOf(c *gin.Context) (*gin.Engine, int) {
	v := reflect.ValueOf(c).Elem()
	engine, index := v.FieldByName("engine"), v.FieldByName("index")
	if !engine.IsValid() || engine.Type() != reflect.TypeFor[*gin.Engine]() || !index.IsValid() || !index.CanInt() {
		return nil, 0
	}
	return (*gin.Engine)(engine.UnsafePointer()), int(index.Int())
}

// verdict is the answer to a request of the browser's own. The zero value has the request
// fail as one whose session could not be read or saved.
type verdict struct {
	status    int
	body      []byte
	cookie    string // the value of the bound cookie that it sets; "": none
	challenge string // the value of the header; "": none
}

// serveBinding answers a registration or a refresh. Nothing behind the middleware sees it.
func (q *request) serveBinding() {
	c := q.c
	c.Abort()
	v := q.judgeProof(c)
	header := c.Writer.Header()
	response.NoStore(header)
	if v.status == 0 {
		q.answer(c, unavailable("The session could not be read or saved."))
		return
	}
	if v.challenge != "" {
		header.Set(dbsc.HeaderChallenge, v.challenge)
	}
	if v.cookie != "" {
		cookie.Put(header, q.kit.bound.newCookie(v.cookie))
	}
	if v.body != nil {
		header.Set("Content-Type", "application/json")
	}
	c.Status(v.status)
	_, _ = c.Writer.Write(v.body)
}

// judgeProof finds the session of a registration or a refresh, and carries it out.
func (q *request) judgeProof(c *gin.Context) verdict {
	q.lock()
	defer q.unlock(c)
	q.serving = true
	q.load(true)
	q.session.Passive = true
	k, err := q.kept(), q.loadErr
	if late := q.late(); k.ID == "" && late != nil && err == nil { // the browser did not know its new cookie yet
		if k, _, err = q.kit.keeper.Follow(q.r, *late); err != nil {
			q.report(fmt.Errorf("sessionkit: finding the session of a device: %w", err))
		}
	}
	q.asked = true // whether it could be read
	switch {
	case err != nil:
		return verdict{}
	case q.kit.bound.is(c, q.kit.bound.register):
		return q.registerDevice(c, k)
	}
	return q.refreshDevice(c, k)
}

// proof reads the proof that a request brings.
func (q *request) proof(c *gin.Context, path string) (dbsc.Proof, error) {
	p, err := dbsc.ParseProof(dbsc.Unquote(q.r.Header.Get(dbsc.HeaderProof)))
	if err == nil && !p.For(endpoints(c, path)...) {
		err = fmt.Errorf("%w: it is for another address", dbsc.ErrProof)
	}
	return p, err
}

// endpoints returns the URLs by which a browser may have reached a path.
func endpoints(c *gin.Context, path string) []string {
	urls := []string{"https://" + c.Request.Host + path}
	if host := address.Host(c.Request.Header); host != "" {
		urls = append(urls, "https://"+host+path)
	}
	return urls
}

// refusesProof tells of a proof that proves nothing.
func (q *request) refusesProof(k keeper.Kept, err error) {
	q.tell(Event{Kind: EventProofRefused, User: k.Record.User, SessionID: k.ID, Err: err})
}

var errChallenge = fmt.Errorf("%w: its challenge was given to nobody, to another session, or too long ago, or has been answered", dbsc.ErrProof)

// registerDevice binds a session. What is wrong with a registration is not told: the
// browser would do nothing else, and an offer comes with a sign-in only, so that someone
// with a stolen cookie cannot bind the session to a device of theirs.
func (q *request) registerDevice(c *gin.Context, k keeper.Kept) verdict {
	refused := verdict{status: http.StatusForbidden}
	if k.ID == "" || k.Record.User == "" {
		return refused
	}
	p, err := q.proof(c, q.kit.bound.register)
	var key dbsc.Key
	if err == nil {
		key, err = p.ByOwnKey()
	}
	var v verdict
	if err == nil {
		err = q.changeBinding(k, dbsc.NameOffer, func(values map[string]string) (change store.Change, err error) {
			now := time.Now()
			if values[dbsc.Name] != "" || !dbsc.OfferOf(values[dbsc.NameOffer]).Ticket.Answers(p.Challenge, now) {
				return change, errChallenge
			}
			b := dbsc.New(key, now)
			v = verdict{status: http.StatusOK, cookie: b.Prove(now, now.Add(q.kit.bound.lifetime)), body: dbsc.Instructions{
				ID: b.ID, RefreshURL: q.kit.bound.refresh, Cookie: q.kit.bound.cookie, Attributes: q.kit.bound.attributes(), Initiators: q.kit.bound.initiators(cmp.Or(address.Host(q.r.Header), q.r.Host)),
			}.Text()}
			return store.Change{Set: map[string]string{dbsc.Name: b.Text()}, Delete: []string{dbsc.NameOffer}}, nil
		})
	}
	switch {
	case errors.Is(err, dbsc.ErrProof):
		q.refusesProof(k, err)
		return refused
	case errors.Is(err, store.ErrEnded):
		return refused
	case err != nil:
		q.report(fmt.Errorf("sessionkit: binding the session: %w", err))
		return verdict{}
	}
	q.tell(Event{Kind: EventBound, User: k.Record.User, SessionID: k.ID})
	return v
}

// refreshDevice renews the bound cookie of a session in exchange for a proof. Of the
// answers that refuse one, 403 with a challenge is the only one that does not make
// Chromium give up the binding.
func (q *request) refreshDevice(c *gin.Context, k keeper.Kept) verdict {
	id := dbsc.Unquote(q.r.Header.Get(dbsc.HeaderID))
	if !dbsc.IsID(id) {
		return verdict{status: http.StatusBadRequest} // no browser sends that
	}
	ended := verdict{status: http.StatusOK, body: dbsc.End(id)}
	if k.ID == "" || k.Record.User == "" {
		return ended
	}
	p, proofErr := q.proof(c, q.kit.bound.refresh)
	var v verdict
	err := q.changeBinding(k, dbsc.Name, func(values map[string]string) (change store.Change, err error) {
		b, ok := dbsc.BindingOf(values[dbsc.Name])
		if !ok || b.ID != id {
			v = ended
			return change, nil
		}
		v, change = q.judgeRefresh(b, p, &proofErr)
		return change, nil
	})
	switch {
	case errors.Is(err, store.ErrEnded):
		return ended
	case err != nil:
		q.report(fmt.Errorf("sessionkit: refreshing the bound cookie: %w", err))
		return verdict{}
	case proofErr != nil && q.r.Header.Get(dbsc.HeaderProof) != "" && v.status == http.StatusForbidden:
		q.refusesProof(k, proofErr)
	}
	return v
}

// judgeRefresh judges a proof, and returns the answer to it and what changes with it. A proof
// of another challenge than the one that stands is no suspicion: browsers send the one that
// they have made before once more, if they have not got the answer to it.
func (q *request) judgeRefresh(b dbsc.Binding, p dbsc.Proof, proofErr *error) (v verdict, change store.Change) {
	now, lifetime := time.Now(), q.kit.bound.lifetime
	if *proofErr == nil {
		*proofErr = p.By(b.Key)
	}
	if *proofErr == nil && b.Ticket.Answers(p.Challenge, now) {
		v = verdict{status: http.StatusOK, cookie: b.Prove(now, now.Add(lifetime))}
	} else {
		v = verdict{status: http.StatusForbidden}
		if b.Ticket.Challenge != "" && now.Add(ticketSlack).Before(b.Ticket.Until) { // nobody has answered it
			v.challenge = dbsc.Challenge(b.Ticket.Challenge, b.ID)
			return v, change
		}
	}
	b.Ticket = dbsc.NewTicket(now.Add(lifetime + time.Minute)) // for the next one, so that it takes one round trip
	v.challenge = dbsc.Challenge(b.Ticket.Challenge, b.ID)
	return v, store.Change{Set: map[string]string{dbsc.Name: b.Text()}}
}

// changeBinding changes the binding of a session, on the condition that the value of a
// name is still what judge has seen. judge is called again if it is not, and if another
// request has given the session a new ID. The error is [store.ErrEnded] if it has ended.
func (q *request) changeBinding(k keeper.Kept, name string, judge func(values map[string]string) (store.Change, error)) error {
	for range mostRenewals {
		change, err := judge(k.Record.Values)
		if err != nil || len(change.Set) == 0 {
			return err
		}
		change.If = &store.Condition{Name: name, Text: k.Record.Values[name]}
		_, outcome, err := q.kit.keeper.Update(q.r, k, change)
		if err != nil || outcome.Changed() {
			return err
		}
		now, found, err := q.current(k)
		if err != nil {
			return err
		}
		if !found {
			break
		}
		k = now
	}
	return store.ErrEnded
}

// current returns a session as it stands in the store, also under another ID.
func (q *request) current(k keeper.Kept) (keeper.Kept, bool, error) {
	if k.Cookie != "" {
		now, err := q.kit.keeper.Load(q.r, k.Cookie, true)
		if err != nil || now.ID != "" && now.Record.Ended == "" {
			return now, err == nil, err
		}
	}
	return q.kit.keeper.Follow(q.r, k)
}
