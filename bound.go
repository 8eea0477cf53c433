package sessionkit

import (
	"cmp"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/address"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/dbsc"
	"github.com/gin-sessionkit/sessionkit/internal/keeper"
	"github.com/gin-sessionkit/sessionkit/internal/response"
	"github.com/gin-sessionkit/sessionkit/store"
)

// UnboundPolicy says what becomes of a request that comes with the cookie of a session
// that is bound to a device, and without the bound cookie: see Config.DeviceBound.
type UnboundPolicy uint8

// The policies. With each of them the request is an event, EventUnbound.
const (
	RefuseUnbound UnboundPolicy = iota // nobody is signed in
	ReportUnbound                      // nothing else: the request is as good as any other
	EndUnbound                         // nobody is signed in, and the session ends
)

const (
	defaultBoundPath = "/dbsc"
	defaultBoundFor  = 5 * time.Minute

	// Chromium refreshes the bound cookie once it has less than two minutes left, and makes
	// six signatures in nine minutes: with a shorter life it would run out of them.
	minBoundFor = 4 * time.Minute
	maxBoundFor = time.Hour

	// boundMargin is how much sooner the browser drops the bound cookie than the server
	// refuses it, so that none that the browser sends arrives too late.
	boundMargin = 10 * time.Second

	// boundGrace is how long after the registration requests may arrive without the bound
	// cookie: the browser has sent them before it had it.
	boundGrace = 30 * time.Second

	// offerFor is how long a registration may take.
	offerFor = 2 * time.Minute

	// ticketSlack is what is left at least of a challenge that is given out again.
	ticketSlack = 30 * time.Second

	// minProofAge is how old the proof of a fresh session may always be. Chromium makes six
	// signatures in nine minutes, and users of a page must not run out of them.
	minProofAge = 2 * time.Minute
)

// binder is what a kit with Config.DeviceBound knows. It does not change.
type binder struct {
	register, refresh string // the paths that it answers, as the browser has them
	cookie            string // the name of the bound cookie
	sameSite          http.SameSite
	lifetime          time.Duration
	unbound           UnboundPolicy
	origins           []string // the hosts of Config.TrustedOrigins

	judge    sync.Once
	unplaced bool // no request to these paths would get here
}

// newBinder returns nil if sessions are not to be bound.
func newBinder(c Config) *binder {
	if !c.DeviceBound {
		return nil
	}
	var hosts []string
	for _, origin := range c.TrustedOrigins {
		if u, err := url.Parse(origin); err == nil {
			hosts = append(hosts, u.Hostname())
		}
	}
	return &binder{ // Chromium 156 binds no cookie with the prefix __Host-Http-, so it is __Host- with HttpOnly
		register: c.BoundPath + "/register", refresh: c.BoundPath + "/refresh",
		cookie: cookie.PrefixHost + c.Name + "-bound", sameSite: c.SameSite, lifetime: c.BoundFor, unbound: c.Unbound, origins: hosts,
	}
}

// pathLetters are those that need no escape, in a URL and in a header.
const pathLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-._~"

// bound judges the fields for Config.DeviceBound.
func (p *problems) bound(c Config) {
	if !c.DeviceBound {
		if c.Unbound != RefuseUnbound {
			p.add("Unbound", fmt.Sprint(c.Unbound), "has no effect without DeviceBound; set that too")
		}
		return
	}
	if c.Domain != "" {
		p.add("DeviceBound", "true", "the bound cookie is this host's alone, and other hosts under Domain would see no session; leave Domain empty")
	}
	if c.Partitioned {
		p.add("DeviceBound", "true", "browsers do not bind partitioned cookies; drop Partitioned")
	}
	if c.InsecureHTTP {
		p.add("DeviceBound", "true", "browsers bind sessions over HTTPS only; drop InsecureHTTP")
	}
	if c.BoundFor < minBoundFor || c.BoundFor > maxBoundFor {
		p.add("BoundFor", c.BoundFor.String(), fmt.Sprintf("must be %v to %v: browsers refresh the cookie once it has two minutes left, and only so often", minBoundFor, maxBoundFor))
	}
	if path := c.BoundPath; !address.IsLocalURL(path) || strings.Trim(path, pathLetters) != "" || strings.HasSuffix(path, "/") {
		p.add("BoundPath", quote(path), `must be a path such as "/dbsc", of letters, digits and -._~/, without a slash at the end`)
	} else if c.Path != "/" && !address.Within(c.Path, path) {
		p.add("BoundPath", quote(path), fmt.Sprintf("must be within Path, %q: the browser sends the session cookie nowhere else", c.Path))
	}
	if c.Unbound > EndUnbound {
		p.add("Unbound", fmt.Sprint(c.Unbound), "must be RefuseUnbound, ReportUnbound or EndUnbound")
	}
}

// binding is what a request knows of the binding of its session. It is small: each request
// with a session has one, and most have no use for it.
type binding struct {
	proved  bool // the bound cookie came, and counts
	unbound bool // the session is bound, and it did not: nobody is signed in
	stale   bool // a bound cookie came that does not count
	told    bool // EventUnbound was

	proofAt int64        // when the device was last proved, if proved: Unix milliseconds
	refused *keeper.Kept // the session that is not opened; nil: none
	offer   *dbsc.Offer  // the registration that the response offers; nil: none
}

// skipped reports whether the browser says that it could not refresh the bound cookie: it
// will go on trying, and must find its session again.
// It does not try for pages of other origins, and does not say so.
func (q *request) skipped() bool {
	site := q.r.Header.Get("Sec-Fetch-Site")
	return q.unbound && (q.r.Header.Get(dbsc.HeaderSkipped) != "" || site == "same-site" || site == "cross-site")
}

// refusesDevice reports whether a session that was read from the store is not opened, for
// it is bound to a device that the request does not prove.
func (q *request) refusesDevice(k *keeper.Kept) bool {
	return q.kit.bound != nil && !q.provesDevice(k) && !q.refuseUnbound(*k)
}

// provesDevice reports whether a request may open a session as far as its binding is
// concerned. It counts what the browser had when it sent the request: the handler may have
// read a long body before it asks.
func (q *request) provesDevice(k *keeper.Kept) bool {
	text := k.Record.Values[dbsc.Name]
	if text == "" || q.serving {
		return true
	}
	b, ok := dbsc.BindingOf(text)
	if !ok {
		return false
	}
	arrival := q.arrival()
	q.proved, q.stale = q.readBound(b, arrival)
	_, used := k.Record.Values[dbsc.NameUsed]
	switch {
	case q.proved:
		q.proofAt = b.Proved.UnixMilli()
		if !used {
			q.noteUsed(k)
		}
		return true
	case !used: // the answer to the registration may have been lost, and the browser knows nothing of it
		return true
	}
	return arrival.Sub(b.Since) < boundGrace
}

// arrival returns when the request arrived. It is reckoned back from now, so that a step of
// the clock, or a machine that was suspended, since the program began is no part of it.
func (q *request) arrival() time.Time { return time.Now().Add(q.began - time.Since(started)) }

// readBound looks for a bound cookie that counted at a time.
func (q *request) readBound(b dbsc.Binding, at time.Time) (proved, came bool) {
	if q.bearer {
		return false, false // whose cookies do not count
	}
	tried := 0
	for text := range cookie.Values(q.r.Header["Cookie"], q.kit.bound.cookie) {
		if tried++; tried > cookie.MaxTried {
			break
		}
		if b.Accepts(text, at) {
			return true, false
		}
		came = true
	}
	return false, came
}

// noteUsed notes that the browser has the bound cookie. From then on it is needed.
func (q *request) noteUsed(k *keeper.Kept) {
	_, _, err := q.kit.keeper.Update(q.r, *k, store.Change{Set: map[string]string{dbsc.NameUsed: dbsc.Used}})
	if err != nil {
		q.report(fmt.Errorf("sessionkit: noting that the browser has the bound cookie: %w", err))
	}
}

// refuseUnbound deals with a request that has no valid bound cookie. It reports whether
// the session is opened all the same.
func (q *request) refuseUnbound(k keeper.Kept) bool {
	if q.arriving {
		q.unbound = true // it is not served, so nobody has used it
		return false
	}
	if !q.told {
		q.tell(Event{Kind: EventUnbound, User: k.Record.User, SessionID: k.ID})
		q.told = true
	}
	if q.kit.bound.unbound == ReportUnbound {
		q.stale = false
		return true
	}
	q.unbound, q.refused = true, &k
	if q.kit.bound.unbound == EndUnbound && !q.skipped() {
		ended, err := q.kit.keeper.End(q.r, k, store.Revoked)
		if err != nil {
			q.report(fmt.Errorf("sessionkit: ending a session that was used without its device: %w", err))
		}
		if ended {
			q.tell(Event{Kind: EventRevoked, User: k.Record.User, SessionID: k.ID})
		}
	}
	return false
}

// offerBinding has the response to a sign-in offer registration, if the browser could use
// it: over HTTPS.
func (q *request) offerBinding() {
	b := q.kit.bound
	if b == nil || b.unplaced || q.bearer || q.kit.site.PlainHTTP(q.r) || !q.kit.site.Keeps(q.r) || q.session.User() == "" {
		return
	}
	if text, _ := q.session.Text(dbsc.Name); text != "" {
		if !q.told && !q.neverUsed(text) {
			return // it is bound
		}
		q.remove(dbsc.Name) // this browser has lost the key, and ReportUnbound has let it in, or never knew of it
		q.remove(dbsc.NameUsed)
	}
	o := dbsc.Offer{Ticket: dbsc.NewTicket(time.Now().Add(offerFor))}
	q.put(dbsc.NameOffer, o.Text())
	q.session.MayBeBound()
	q.offer = &o
}

// neverUsed reports whether no bound cookie of a binding has come, though there was time: the
// answer to the registration was lost, so the session is as good as one that is not bound.
func (q *request) neverUsed(binding string) bool {
	_, used := q.session.Text(dbsc.NameUsed)
	b, ok := dbsc.BindingOf(binding)
	return ok && !used && !q.proved && q.arrival().Sub(b.Since) >= boundGrace
}

// sendOffer offers registration, with the cookie of the session that was signed in.
func (q *request) sendOffer() {
	if q.offer != nil {
		q.writer.Header().Set(dbsc.HeaderRegistration, dbsc.Registration(q.kit.bound.register, q.offer.Ticket.Challenge))
	}
}

// dropBound has the browser drop the bound cookie, if it has sent one. If it has the key
// it asks for another one then.
func (q *request) dropBound() {
	b := q.kit.bound
	if b == nil {
		return
	}
	if q.came(b.cookie) {
		cookie.Put(q.writer.Header(), cookie.Expire(b.newCookie("")))
		response.KeepFromCaches(q.writer.Header())
	}
}

func (b *binder) newCookie(value string) *http.Cookie {
	return &http.Cookie{
		Name: b.cookie, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: b.sameSite,
		MaxAge: int((b.lifetime - boundMargin) / time.Second),
	}
}

// initiators returns the hosts whose pages may have the browser refresh. For a page of another
// site its request would come without the session cookie, unless that is SameSite=None.
func (b *binder) initiators(host string) []string {
	if b.sameSite == http.SameSiteNoneMode {
		return b.origins
	}
	return slices.DeleteFunc(slices.Clone(b.origins), func(other string) bool { return !address.SameSite(other, host) })
}

// attributes are those of newCookie, but for its age.
func (b *binder) attributes() string {
	c := b.newCookie("x")
	c.MaxAge = 0
	_, attributes, _ := strings.Cut(c.String(), "; ")
	return attributes
}

// proveAgain answers a request that the guard refuses in the way by which a browser
// that has the key gets the request through: without the bound cookie it refreshes first,
// and then sends the request again. It reports false if that is of no use.
func (q *request) proveAgain(c *gin.Context) bool {
	uri := address.BrowserURI(c)
	if !address.IsLocalURL(uri) || c.Request.Header.Get(dbsc.HeaderSkipped) != "" {
		return false
	}
	q.lock()
	q.dropBound()
	q.unlock(c)
	header := c.Writer.Header()
	response.NoStore(header)
	header.Set("Location", address.EscapeNonASCII(uri))
	c.Status(http.StatusTemporaryRedirect)
	c.Writer.WriteHeaderNow()
	return true
}

// arrivesUnbound reports whether the browser has followed a link of another site to a page,
// for a session that is bound, and without the bound cookie. Chromium does not refresh for
// other sites, because its request would come without cookies that are SameSite=Lax.
func (q *request) arrivesUnbound() bool {
	r := q.r
	site := r.Header.Get("Sec-Fetch-Site")
	if r.Method != http.MethodGet || q.bearer || site != "cross-site" && site != "same-site" ||
		r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document" ||
		!q.came(q.kit.site.SecureName) || q.came(q.kit.bound.cookie) || !address.IsLocalURL(address.BrowserURI(q.c)) {
		return false
	}
	q.lock()
	defer q.unlock(q.c)
	q.arriving = true
	q.load(false)
	q.arriving = false
	if q.unbound {
		return true
	}
	if q.loadErr == nil {
		q.arrived = &arrived{q.loaded, q.pending}
	}
	q.loaded, q.pending = nil, nil
	return false
}

// arrived is the session of a request that has turned out not to arrive unbound. It counts
// as loaded once the handlers ask for it, if they do.
type arrived struct {
	loaded  *loaded
	pending *pendingCalls
}

// came reports whether the request has a cookie of a name.
func (q *request) came(name string) bool {
	for range cookie.Values(q.r.Header["Cookie"], name) {
		return true
	}
	return false
}

// comeAgain has the browser send the request again, as one of this site.
func (q *request) comeAgain() {
	q.c.Abort()
	response.NoStore(q.c.Writer.Header())
	uri := html.EscapeString(address.EscapeNonASCII(address.BrowserURI(q.c)))
	q.c.Data(http.StatusOK, "text/html; charset=utf-8", []byte(`<!doctype html><html lang="en"><meta http-equiv="refresh" content="0;url=`+uri+`"><title>…</title></html>`+"\n"))
}

// oldProof reports whether the bound cookie came, and is of a proof that is older than
// what counts as fresh.
func (q *request) oldProof(within time.Duration, now time.Time) bool {
	return q.proved && now.Sub(time.UnixMilli(q.proofAt)) > max(within, minProofAge)
}

// What follows answers the browser's own requests.

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
		routes := make(map[string]bool)
		for _, route := range engine.Routes() {
			routes[route.Method+" "+route.Path] = true
		}
		if routes["POST "+b.register] && routes["POST "+b.refresh] {
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
	var err error
	for _, most := range []int{dbsc.MaxCookies, 2, 1} { // of the bound cookies that are kept, if the session has room for no more
		err = q.changeBinding(k, dbsc.Name, func(values map[string]string) (change store.Change, err error) {
			b, ok := dbsc.BindingOf(values[dbsc.Name])
			if !ok || b.ID != id {
				v = ended
				return change, nil
			}
			v, change = q.judgeRefresh(b, p, &proofErr, most)
			return change, nil
		})
		if !errors.Is(err, store.ErrTooLarge) {
			break
		}
	}
	switch {
	case errors.Is(err, store.ErrEnded):
		return ended
	case err != nil:
		q.report(fmt.Errorf("sessionkit: refreshing the bound cookie: %w", err))
		return verdict{}
	case proofErr != nil && q.r.Header.Get(dbsc.HeaderProof) != "" && v.status == http.StatusForbidden && !errors.Is(proofErr, errUnknownChallenge):
		q.refusesProof(k, proofErr)
	}
	return v
}

// errUnknownChallenge is no suspicion: browsers send the proof that they have made before
// once more, if they have not got the answer to it.
var errUnknownChallenge = errors.New("the challenge is not the one that stands")

// judgeRefresh judges a proof, and returns the answer to it and what changes with it. most is
// how many bound cookies are kept.
func (q *request) judgeRefresh(b dbsc.Binding, p dbsc.Proof, proofErr *error, most int) (v verdict, change store.Change) {
	now, lifetime := time.Now(), q.kit.bound.lifetime
	if *proofErr == nil {
		*proofErr = p.By(b.Key)
	}
	answers := b.Ticket.Answers(p.Challenge, now)
	switch {
	case *proofErr == nil && answers:
		v = verdict{status: http.StatusOK, cookie: b.Prove(now, now.Add(lifetime))}
	default:
		v = verdict{status: http.StatusForbidden}
		if *proofErr == nil {
			*proofErr = errUnknownChallenge
		}
		if b.Ticket.Challenge != "" && now.Add(ticketSlack).Before(b.Ticket.Until) { // nobody has answered it
			v.challenge = dbsc.Challenge(b.Ticket.Challenge, b.ID)
			return v, change
		}
	}
	b.Cookies = b.Cookies[:min(len(b.Cookies), most)]
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
