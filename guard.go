package sessionkit

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// GuardConfig adjusts [RequireSession].
type GuardConfig struct {
	// LoginURL is where page requests are sent: a path of this site or an absolute
	// https URL. It gets ?reason= and, for GET requests, ?next=, which [NextURL]
	// reads. Default: "", every refused request gets the 401.
	LoginURL string

	// FreshWithin asks for a sign-in that is no older, as before a dangerous action
	// (OWASP ASVS 5.0 section 7.5.3). A sign-in with [Remember] never is: sign in
	// again without it. Default: 0, any age will do.
	FreshWithin time.Duration

	// Check decides in place of "a user is signed in". It may use the session.
	Check func(*gin.Context) bool

	// OnDenied answers a refused request in place of the guard. Handlers after the
	// guard do not run in any case.
	OnDenied func(*gin.Context, Denial)

	// Passive makes the request not count as use of the session: for what a page
	// asks by itself, such as how long the session will last.
	Passive bool
}

// Denial says why [RequireSession] refused a request.
type Denial string

// The reasons. They are the reason member of the 401 and 503 answers and the
// reason parameter of the LoginURL.
const (
	NotSignedIn Denial = "not-signed-in"
	Expired     Denial = "expired"     // the user was signed in, and the session has run out
	Stale       Denial = "stale"       // the sign-in is older than FreshWithin
	Unavailable Denial = "unavailable" // the session could not be read
)

// RequireSession returns a middleware that lets a request through if a user is
// signed in. Otherwise a page request (Sec-Fetch-Mode: navigate or, in its
// absence, an Accept that prefers HTML) is sent to the LoginURL with a 303; an HTMX
// request is, by HX-Redirect; any other gets a 401 as application/problem+json
// (RFC 9457) with the reason. If the session cannot be read the answer is a 503
// with Retry-After.
//
// What it guards carries Cache-Control: no-store, unless the handler sets its own
// (OWASP ASVS 5.0 section 14.3.2). It panics on a config that cannot work.
func RequireSession(config ...GuardConfig) gin.HandlerFunc {
	g, err := newGuard(config)
	if err != nil {
		panic(err)
	}
	return g.serve
}

type guard struct {
	GuardConfig
	login *url.URL
}

func newGuard(config []GuardConfig) (*guard, error) {
	g := &guard{}
	if len(config) > 1 {
		return nil, fmt.Errorf("sessionkit: RequireSession takes one GuardConfig; give all fields in it")
	}
	for _, c := range config {
		g.GuardConfig = c
	}
	if g.FreshWithin < 0 {
		return nil, &ConfigError{"GuardConfig.FreshWithin", g.FreshWithin.String(), "must be positive; 0 means any age"}
	}
	if g.LoginURL == "" {
		return g, nil
	}
	u, err := url.Parse(g.LoginURL)
	if err != nil || !isLocalURL(g.LoginURL) && (u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return nil, &ConfigError{"GuardConfig.LoginURL", quote(g.LoginURL), `must be a path such as "/login" or an absolute URL`}
	}
	g.login = u
	return g, nil
}

func (g *guard) serve(c *gin.Context) {
	q := requestOf(c, "RequireSession")
	denial := g.judge(c, q)
	if denial == "" {
		return
	}
	c.Abort()
	if g.OnDenied != nil {
		g.OnDenied(c, denial)
		return
	}
	g.deny(c, denial)
}

// judge returns why the request is refused, or "".
func (g *guard) judge(c *gin.Context, q *request) Denial {
	user, expired, stale, failed := g.look(c, q)
	allowed := user != ""
	if g.Check != nil && !failed {
		allowed = g.Check(c)
	}
	switch {
	case failed:
		return Unavailable
	case !allowed && expired:
		return Expired
	case !allowed:
		return NotSignedIn
	case stale:
		return Stale
	}
	return ""
}

// look loads the session for the guard.
func (g *guard) look(c *gin.Context, q *request) (user string, expired, stale, failed bool) {
	q.lock()
	defer q.unlock(c) // also where a store panics
	q.guarded = true
	q.passive = q.passive || g.Passive
	q.load(g.FreshWithin > 0)
	stale = g.FreshWithin > 0 && (q.since().Remembered || time.Since(q.since().At) > g.FreshWithin)
	return q.user, q.expired, stale, q.loadErr != nil
}

// deny answers a refused request.
func (g *guard) deny(c *gin.Context, denial Denial) {
	if denial == Unavailable {
		writeProblem(c.Writer, unavailable("The session could not be read."))
		return
	}
	q := requestOf(c, "RequireSession")
	if q.bearer {
		c.Header("WWW-Authenticate", bearer) // RFC 9110 section 11.6.1, RFC 6750 section 3
	} else if g.login != nil {
		htmx := c.Request.Header.Get("Hx-Request") == "true"
		next := ""
		switch {
		case htmx:
			next = htmxPage(c.Request)
		case c.Request.Method == http.MethodGet:
			next = c.Request.URL.RequestURI()
		}
		switch {
		case htmx:
			c.Header("HX-Redirect", g.loginURL(denial, next))
		case wantsPage(c.Request):
			c.Redirect(http.StatusSeeOther, g.loginURL(denial, next))
			return
		}
	}
	writeProblem(c.Writer, problem{
		Title: http.StatusText(http.StatusUnauthorized), Status: http.StatusUnauthorized,
		Detail: denialDetail[denial], Reason: string(denial),
	})
}

var denialDetail = map[Denial]string{
	NotSignedIn: "Sign in first.",
	Expired:     "The session has expired. Sign in again.",
	Stale:       "Sign in again to do this.",
}

// loginURL returns the LoginURL with the reason and, where it is a page of this
// site, the page to return to.
func (g *guard) loginURL(denial Denial, next string) string {
	u := *g.login
	query := u.Query()
	query.Set("reason", string(denial))
	if isLocalURL(next) {
		query.Set("next", next)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// htmxPage returns the path of the page that an HTMX request comes from, "" if it
// is none of this site's.
func htmxPage(r *http.Request) string {
	u, err := url.Parse(r.Header.Get("Hx-Current-Url"))
	if err != nil || u.Host != r.Host {
		return ""
	}
	return u.RequestURI()
}

// wantsPage reports whether a browser asks for a page to show.
func wantsPage(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	html, other := 0.0, 0.0
	for _, line := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			mediaType, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			q := 1.0
			if text, ok := params["q"]; ok {
				if q, err = strconv.ParseFloat(text, 64); err != nil {
					continue
				}
			}
			switch mediaType {
			case "text/html", "application/xhtml+xml":
				html = max(html, q)
			case "application/json", "application/problem+json":
				other = max(other, q)
			}
		}
	}
	return html > 0 && html >= other
}
