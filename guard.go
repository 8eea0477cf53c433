package sessionkit

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/address"
	"github.com/gin-sessionkit/sessionkit/internal/client"
	"github.com/gin-sessionkit/sessionkit/internal/config"
	"github.com/gin-sessionkit/sessionkit/internal/dbsc"
)

// GuardConfig adjusts [RequireSession].
type GuardConfig struct {
	// LoginURL is where page requests are sent: a path of this site, as the browser
	// shows it, or an absolute URL. It gets ?reason= and, for GET requests, ?next=,
	// which [NextURL] reads. For other methods next is the page that a request of HTMX or
	// Inertia came from. Requests for that path pass the guard, so that it can stand on the
	// whole site, but for two that senders could make up: the root of an absolute URL, and the
	// application's own root behind a proxy that takes a prefix away. With a slash more or less
	// at its end they pass too, unless a wildcard or NoRoute serves them: a refused one gets the
	// 401 there. An absolute URL of this site needs a proxy that keeps Host or sends
	// X-Forwarded-Host. What else visitors need, such as the login page's style sheet or a
	// provider's callback, is then routed in front of the guard. Default: "", every refused
	// request gets the 401.
	LoginURL string

	// FreshWithin is how recently the user must have shown who they are, by [Login]
	// or [Confirm], as before a dangerous action (OWASP ASVS 5.0 section 7.5.3). To
	// come back with a remembered cookie is not that. If the session is bound to a device,
	// that must have been proved this recently too, or two minutes ago: a browser whose
	// proof is older is sent to the same address by a 307, and proves it on the way.
	// Default: 0, any time.
	FreshWithin time.Duration

	// BoundOrFresh demands a session that is bound to the browser's device (see
	// Config.DeviceBound). A user whose browser cannot do that, or has yet to do it, must
	// have shown who they are this recently instead, as for FreshWithin. Default: 0, a
	// session need not be bound.
	BoundOrFresh time.Duration

	// Check replaces the test that a user is signed in, to guard by role for example.
	// It may use the session. If it returns false, a visitor is sent to sign in, and
	// a signed-in user gets a 403. Default: nil, a user must be signed in.
	Check func(*gin.Context) bool

	// OnDenied answers a refused request in place of the guard. Handlers after the
	// guard do not run in any case. Default: nil, the guard answers.
	OnDenied func(*gin.Context, Denial)

	// Passive makes the request not count as use of the session: for what a page
	// asks by itself, such as how long the session will last. Behind a guard that is not
	// Passive, that is certain for GET requests only: such a guard may record the use of
	// another one before the handler runs, as an upload may outlast the session.
	Passive bool
}

// Denial says why [RequireSession] refused a request.
type Denial string

// The reasons. They are the reason member of the 401, 403 and 503 answers and the
// reason parameter of the LoginURL.
const (
	NotSignedIn Denial = "not-signed-in"
	Expired     Denial = "expired"     // the user was signed in, and the session has expired
	Revoked     Denial = "revoked"     // the session was ended from another device, by the application, or by MaxSessions
	Stale       Denial = "stale"       // the sign-in is older than FreshWithin
	Forbidden   Denial = "forbidden"   // a user is signed in, and Check does not allow it
	Unavailable Denial = "unavailable" // the session could not be read, or its browser, if it is bound, could not reach the server to prove its device: Err is nil then
	Unbound     Denial = "unbound"     // the session is bound to a device, and the request has no valid bound cookie
)

// RequireSession returns a middleware that lets a request through if a user is
// signed in. Otherwise:
//
//   - a page request goes to the LoginURL by a 303: one with Sec-Fetch-Mode:
//     navigate, or with an Accept that prefers HTML;
//   - an HTMX request does by HX-Redirect, and an Inertia request by a 409 with
//     X-Inertia-Location;
//   - any other request, and each if there is no LoginURL, gets a 401 with the reason:
//     a page for people (Config.ErrorPage), and application/problem+json (RFC 9457)
//     for programs.
//
// If Check does not allow a signed-in user, the answer is a 403. If the session
// cannot be read, it is a 503 with Retry-After. So it is if the session is bound to a device
// that the browser, by its own account, could not prove because the server failed.
//
// Guarded responses carry Cache-Control: no-store, unless the handler sets its own
// (OWASP ASVS 5.0 section 14.3.2). A route that the handler calls by
// [gin.Engine.HandleContext] needs a guard of its own for that. RequireSession panics on a
// config that cannot work.
func RequireSession(configs ...GuardConfig) gin.HandlerFunc {
	g, err := newGuard(configs)
	if err != nil {
		panic(err)
	}
	return g.serve
}

type guard struct {
	GuardConfig
	login     *url.URL
	loginPath string
}

func newGuard(configs []GuardConfig) (*guard, error) {
	c, err := config.One("sessionkit: RequireSession", configs)
	if err = errors.Join(err, c.Validate()); err != nil {
		return nil, err
	}
	g := &guard{GuardConfig: c}
	if c.LoginURL != "" {
		g.login, _ = url.Parse(c.LoginURL) // Validate has done it
		g.loginPath = cmp.Or(g.login.EscapedPath(), "/")
	}
	return g, nil
}

// Validate returns nil if [RequireSession] accepts the GuardConfig. Otherwise the
// error joins a [*ConfigError] for each field that is wrong.
func (c GuardConfig) Validate() error {
	p := problems{prefix: "GuardConfig."}
	if c.FreshWithin != 0 {
		p.positive("FreshWithin", c.FreshWithin)
	}
	if c.BoundOrFresh != 0 {
		p.positive("BoundOrFresh", c.BoundOrFresh)
	}
	u, err := url.Parse(c.LoginURL)
	if c.LoginURL != "" && (err != nil || !address.IsLocalURL(c.LoginURL) && (u.Scheme != "https" && u.Scheme != "http" || u.Host == "")) {
		p.add("LoginURL", quote(c.LoginURL), `must be a path such as "/login" or an absolute URL`)
	}
	return errors.Join(p.errs...)
}

func (g *guard) serve(c *gin.Context) {
	q := requestOf(c, "RequireSession")
	if g.isLogin(c) {
		return
	}
	denial := g.judge(c, q)
	if q.kit.bound != nil {
		old := denial == "" && g.FreshWithin > 0 && q.oldProof(g.FreshWithin, time.Now())
		if (old || denial == Unbound && q.stale) && q.proveAgain(c) {
			c.Abort()
			return
		}
		if old { // the browser says that it cannot prove its device now
			denial = Unbound
		}
		if denial == Unbound && dbsc.TriesAgain(c.Request.Header[dbsc.HeaderSkipped], q.bindingID()) { // to sign in again is not needed
			denial = Unavailable
		}
	}
	if denial == "" {
		return
	}
	c.Abort()
	if g.OnDenied != nil {
		if denial == Unavailable {
			q.leaveToHandler()
		}
		g.OnDenied(c, denial)
		return
	}
	g.deny(c, q, denial)
}

// isLogin reports whether a request is for the LoginURL, so that the guard lets it pass.
func (g *guard) isLogin(c *gin.Context) bool {
	return g.saysLogin(c) && !g.mayBeMadeUp(c) && !g.isBeside(c)
}

// mayBeMadeUp reports whether only a host, or a prefix that a proxy has taken away, makes a request
// one for the LoginURL: the host opens no root, which most sites have, and the prefix no path that
// does not end as the LoginURL does.
func (g *guard) mayBeMadeUp(c *gin.Context) bool {
	return g.login.Host != "" && g.loginPath == "/" ||
		c.Request.Header.Get("X-Forwarded-Prefix") != "" && path.Base(c.Request.URL.EscapedPath()) != path.Base(g.loginPath)
}

// isBeside reports whether a request has a slash more or less at its end than the LoginURL, and
// may be for another page because of that: a wildcard or NoRoute serves it.
func (g *guard) isBeside(c *gin.Context) bool {
	return strings.HasSuffix(c.Request.URL.EscapedPath(), "/") != strings.HasSuffix(g.loginPath, "/") &&
		(c.FullPath() == "" || strings.Contains(c.FullPath(), "*"))
}

// saysLogin reports whether a request is for the LoginURL by its own account: nobody is sent there
// from there. A slash at its end makes no difference, as gin redirects from one spelling to the other
// (Engine.RedirectTrailingSlash), and so do file servers and handlers of NoRoute.
func (g *guard) saysLogin(c *gin.Context) bool {
	if g.login == nil || g.login.Host != "" && !atThisHost(c, g.login) {
		return false
	}
	login := strings.TrimSuffix(g.loginPath, "/")
	return strings.TrimSuffix(c.Request.URL.EscapedPath(), "/") == login || strings.TrimSuffix(address.BrowserPath(c), "/") == login
}

// judge returns why the request is refused, or "".
func (g *guard) judge(c *gin.Context, q *request) Denial {
	user, ended, stale, failed := g.look(c, q)
	allowed := user != ""
	if g.Check != nil && !failed {
		allowed = g.Check(c)
	}
	switch {
	case failed:
		return Unavailable
	case !allowed && user != "":
		return Forbidden
	case !allowed:
		return ended
	case stale:
		return Stale
	}
	return ""
}

// tolerated is how far the clocks of the processes that share a store may be apart.
const tolerated = 5 * time.Second

// look loads the session for the guard. ended says what became of the one before,
// if nobody is signed in.
func (g *guard) look(c *gin.Context, q *request) (user string, ended Denial, stale, failed bool) {
	q.lock()
	defer q.unlock(c) // also where a store panics
	first := !q.guarded
	q.guarded = true
	q.load(g.FreshWithin > 0 || g.BoundOrFresh > 0)
	q.session.Passive = q.session.Passive || g.Passive
	_ = q.applyUserOf() // it is reported
	if first {
		q.touchEarly()
	}
	age := time.Since(q.session.SignedIn().Shown()) // negative if the clock that made it is ahead
	tooOld := func(within time.Duration) bool { return within > 0 && (age > within || age < -tolerated) }
	stale = tooOld(g.FreshWithin) || !q.proved && tooOld(g.BoundOrFresh)
	switch {
	case q.unbound:
		ended = Unbound
	case q.revoked:
		ended = Revoked
	case q.expired:
		ended = Expired
	default:
		ended = NotSignedIn
	}
	return q.session.User(), ended, stale, q.loadErr != nil
}

// deny answers a refused request.
func (g *guard) deny(c *gin.Context, q *request, denial Denial) {
	status := http.StatusUnauthorized
	switch {
	case denial == Unavailable:
		q.lock()
		q.asked = false // a handler in front of the guard may have asked, and does not answer
		failed := q.loadErr != nil
		q.unlock(c)
		if failed {
			q.writer.WriteHeaderNow() // it answers by itself
			return
		}
		q.answer(c, unavailable("Your device could not be checked."))
		return
	case denial == Forbidden:
		status = http.StatusForbidden
	case q.bearer:
		c.Header("WWW-Authenticate", client.Bearer) // RFC 9110 section 11.6.1, RFC 6750 section 3
	case g.login != nil && !g.saysLogin(c) && g.sendToLogin(c, &status, denial):
		return
	}
	q.answer(c, newProblem(status, string(denial), denialDetail[denial]))
}

// sendToLogin sends a request to the LoginURL, in the way that its sender
// understands. It reports whether that is the whole answer.
func (g *guard) sendToLogin(c *gin.Context, status *int, denial Denial) bool {
	r := c.Request
	next := ""
	if r.Method == http.MethodGet {
		next = address.BrowserURI(c)
	}
	switch {
	case client.IsHTMX(r):
		c.Header("HX-Redirect", g.loginURL(denial, ownPage(c, r.Header.Get("Hx-Current-Url"))))
	case client.IsInertia(r):
		if next == "" {
			next = ownPage(c, r.Referer())
		}
		c.Header("X-Inertia-Location", g.loginURL(denial, next))
		*status = http.StatusConflict
	case client.WantsPage(r):
		c.Redirect(http.StatusSeeOther, g.loginURL(denial, next))
		return true
	}
	return false
}

var denialDetail = map[Denial]string{
	NotSignedIn: "Sign in first.",
	Expired:     "Your session has expired. Sign in again.",
	Revoked:     "Your session was ended. Sign in again.",
	Stale:       "Sign in again to do this.",
	Unbound:     "This browser could not show that it is the one that signed in. Try again, or sign in again.",
	Forbidden:   "You are not allowed to do this.",
}

// loginURL returns the LoginURL with the reason and, where it is a page of this
// site, the page to return to.
func (g *guard) loginURL(denial Denial, next string) string {
	u := *g.login
	query := u.Query()
	query.Set("reason", string(denial))
	if address.IsLocalURL(next) {
		query.Set("next", next)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// ownPage returns the path and query of the page that a request comes from, "" if it
// is not one of this site.
func ownPage(c *gin.Context, page string) string {
	u, err := url.Parse(page)
	if err != nil || u.Host == "" || !atThisHost(c, u) {
		return ""
	}
	return u.RequestURI()
}

// atThisHost reports whether a URL is of the host by which the browser has reached this site, as
// the request or a proxy that gin trusts says.
func atThisHost(c *gin.Context, u *url.URL) bool {
	return address.HasHost(u, c.Request.Host) || address.HasHost(u, address.Host(c.Request.Header)) && address.TrustsProxy(c)
}
