package sessionkit

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"path"
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

	// heldFor is how long after a sign-in to which another site has led the offer waits for a
	// request of this site. Someone who has the cookie could register in place of the browser.
	heldFor = 10 * time.Minute

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
	origins           []string // the hosts of Config.TrustedOrigins that have HTTPS

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
		if u, err := url.Parse(origin); err == nil && u.Scheme == "https" { // plain HTTP is another site to browsers: see initiators
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
	if prefix := c.BoundPath; !address.IsLocalURL(prefix) || strings.Trim(prefix, pathLetters) != "" || prefix == "/" || path.Clean(prefix) != prefix {
		p.add("BoundPath", quote(prefix), `must be a path such as "/dbsc", of letters, digits and -._~/, without "/./" or "/../" in it or a slash at the end`)
	} else if c.Path != "/" && !address.Within(c.Path, prefix) {
		p.add("BoundPath", quote(prefix), fmt.Sprintf("must be within Path, %q: the browser sends the session cookie nowhere else", c.Path))
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

// mayProve reports whether a browser that has been refused may prove its device with the next
// request, and must have its session cookie then.
func (q *request) mayProve() bool {
	return q.skipped() || q.unbound && q.stale && q.kit.bound.unbound != EndUnbound
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
	case used && !inGrace(b, arrival):
		return false
	}
	// The answer to the registration may have been lost, and the browser knows nothing of it, or it
	// was under way: what came is the cookie of a binding before, whose place the new one may have taken.
	q.stale = false
	return true
}

// inGrace reports whether a request that arrived at a time may have been sent before the browser
// had the bound cookie. If the clock has been put back since the registration, nobody can tell.
func inGrace(b dbsc.Binding, arrival time.Time) bool {
	return arrival.Sub(b.Since) < boundGrace && time.Since(b.Since) > -tolerated
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
	if b == nil { // browsers have forgotten their bindings, and are to be let in if it is switched on once more
		q.unbind()
		return
	}
	if !q.mayRegister() || q.session.User() == "" {
		return
	}
	q.session.MayBeBound()
	if text, _ := q.session.Text(dbsc.Name); text != "" {
		if !q.told && !q.neverUsed(text) {
			return // it is bound
		}
		q.unbind() // this browser has lost the key, and ReportUnbound has let it in, or never knew of it
	}
	if q.fromAnotherSite() {
		q.put(dbsc.NameOffer, dbsc.Held)
		return
	}
	o := newOffer()
	q.put(dbsc.NameOffer, o.Text())
	q.offer = &o
}

func newOffer() dbsc.Offer {
	return dbsc.Offer{Ticket: dbsc.NewTicket(time.Now().Add(offerFor))}
}

// mayRegister reports whether the browser could answer an offer.
func (q *request) mayRegister() bool {
	return !q.kit.bound.unplaced && !q.bearer && !q.kit.site.PlainHTTP(q.r) && q.kit.site.Keeps(q.r)
}

// fromAnotherSite reports whether a page of another site has led the browser here, as a provider
// does after a sign-in. Chromium then takes the registration as one for that site, and sends
// it without the session cookie, unless that is SameSite=None.
func (q *request) fromAnotherSite() bool {
	return q.r.Header.Get("Sec-Fetch-Site") == "cross-site" && q.kit.bound.sameSite != http.SameSiteNoneMode
}

// offerHeld makes an offer that was held back, in the first response to a request of this site.
func (q *request) offerHeld() {
	if q.kit.bound == nil || q.loadErr != nil || q.handle.NeedsCookie() {
		return
	}
	if text, _ := q.session.Text(dbsc.NameOffer); text != dbsc.Held || time.Since(q.session.Details().Shown()) >= heldFor ||
		!q.mayRegister() || q.fromAnotherSite() || q.prefetch() || q.r.Context().Err() != nil {
		return
	}
	o := newOffer()
	_, outcome, err := q.kit.keeper.Update(q.r, q.kept(), store.Change{
		Set: map[string]string{dbsc.NameOffer: o.Text()}, If: &store.Condition{Name: dbsc.NameOffer, Text: dbsc.Held},
	})
	if err != nil {
		q.report(fmt.Errorf("sessionkit: offering to bind the session: %w", err))
	}
	if err != nil || !outcome.Changed() { // another request has made it
		return
	}
	q.session.Stands(dbsc.NameOffer, o.Text())
	q.offer = &o
	q.sendOffer()
	response.KeepFromCaches(q.writer.Header())
}

// bindingID returns the ID of the binding of the session that the request has, or has not opened.
func (q *request) bindingID() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	text, _ := q.session.Text(dbsc.Name)
	if q.refused != nil {
		text = q.refused.Record.Values[dbsc.Name]
	}
	b, _ := dbsc.BindingOf(text)
	return b.ID
}

// unbind forgets the binding of the session.
func (q *request) unbind() {
	q.remove(dbsc.Name)
	q.remove(dbsc.NameUsed)
}

// neverUsed reports whether no bound cookie of a binding has come, though there was time: the
// answer to the registration was lost, so the session is as good as one that is not bound.
func (q *request) neverUsed(binding string) bool {
	_, used := q.session.Text(dbsc.NameUsed)
	b, ok := dbsc.BindingOf(binding)
	return ok && !used && !q.proved && !inGrace(b, q.arrival())
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
