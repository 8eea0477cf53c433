package sessionkit

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/address"
	"github.com/gin-sessionkit/sessionkit/internal/client"
	"github.com/gin-sessionkit/sessionkit/internal/config"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/session"
)

// Config adjusts [Sessions]. The zero value is safe and right for most
// applications; each field says what it changes.
type Config struct {
	// Name is the name of the session cookie without its prefix. Default: "session".
	// On the wire it is __Host-Http-session, or __Secure-session if Domain or another
	// Path is set, or plain session on a developer's own machine: a request to localhost
	// over plain HTTP, with no sign of a proxy, outside gin's release mode.
	Name string

	// IdleTimeout is how long a session may stay unused. Default: 1 h, the
	// figure of NIST SP 800-63B-4 section 2.2.3 for AAL2. Use is recorded once a
	// minute, or every tenth of IdleTimeout, if that is less, so a session may live
	// that much longer, and never shorter. A request is a use when its response
	// begins: one that takes longer than its session has left finds it ended.
	IdleTimeout time.Duration

	// Lifetime is how long a session lasts after sign-in, or after its creation if
	// nobody has signed in. Default: 24 h (NIST SP 800-63B-4 section 2.2.3).
	Lifetime time.Duration

	// RememberFor is the Lifetime of a sign-in with [Remember], which has no idle
	// timeout. Default: 30 days. At most 400 days: browsers keep no cookie longer.
	RememberFor time.Duration

	// VisitorFor is how long a session in which nobody is signed in may stay unused.
	// Its cookie then outlives the browser, so that a cart is still there the next
	// day. The cookie has a Max-Age of a day more, at most 400 days, as it is sent again
	// once a day only; the session itself ends on time. Signing in puts the user's deadlines in its place. For an application that
	// keeps its sign-ins as values of its own and does not call [Login], it is how
	// long these last. At most 400 days: browsers keep no cookie longer.
	// Default: 0, IdleTimeout and Lifetime apply, and the cookie ends with the browser.
	VisitorFor time.Duration

	// Domain lets subdomains see the cookie. Default: "", this host alone. With a Domain,
	// each subdomain can also put a session of its own in place of the user's. A public suffix,
	// such as co.uk or herokuapp.com, is refused: browsers drop its cookies. On a
	// developer's own machine it is left out if the host is not within it.
	Domain string

	// Path is the part of the site that sees the cookie. Default: "/". With another one,
	// the cookie has no __Host- prefix, and each subdomain of the same domain can put a
	// session of its own in place of the user's, as with Domain; scripts of the other
	// paths are not kept out. To tell two applications of a host apart, use Name.
	Path string

	// SameSite is the cookie's SameSite attribute. Default: Lax. With Strict, browsers do
	// not send the cookie along with a link from another site, such as a mail: the page
	// has no session, and if it stores something, a new one takes the place of the user's.
	SameSite http.SameSite

	// Partitioned keeps a cookie jar for each site that embeds this one (CHIPS). It needs
	// SameSite None: browsers send no other cookie to an embedded page.
	Partitioned bool

	// InsecureHTTP lets cookies go over plain HTTP to hosts other than localhost,
	// where anybody on the network can read them and sign in with them.
	InsecureHTTP bool

	// MaxSessions is how many sessions a user may have at a time. Past it the
	// oldest sign-in ends. Default: 0, no limit. It needs a store that knows a
	// user's sessions, as those of this module do. A session that [store.Migrate] moves
	// counts from its move on, and as an older sign-in than all others if it was signed in
	// by values: once it has moved, it may be what ends.
	MaxSessions int

	// ClearSiteData names what the browser should delete at [Logout], such as
	// "cache" and "storage" (the Clear-Site-Data header). "cookies" and "*" also delete the
	// cookies that the same response sets, so if a new session follows, as for a message after
	// the sign-out, the first is left out, and the second is sent as the others one by one.
	// Default: nothing.
	ClearSiteData []string

	// Secrets are the keys of Signed and Encrypted cookies, 32 bytes or more each.
	// The first one writes, all of them read. To rotate, first add a new one behind the
	// others in all processes, then move it to the front.
	Secrets [][]byte

	// TrustedOrigins are the origins, such as "https://app.example.com", whose
	// cross-origin POST, PUT, PATCH and DELETE requests are let through. With DeviceBound
	// the pages of those on the same site, over HTTPS, may also have the browser refresh the
	// bound cookie. Such a request from another site comes without the session, unless SameSite
	// is None: if its handler stores something, a new session takes the place of the user's.
	// For a form that another site posts, have a route in front of the middleware redirect
	// by a 303 to a page that has the session.
	TrustedOrigins []string

	// CookielessRoutes are the requests that are authenticated by something other than
	// a cookie, such as a key of your own in a header: patterns as of [http.ServeMux],
	// such as "/api/" or "POST /hooks/{name}". They are let through from any origin,
	// and are safe to let through because they lose their cookies: neither the session
	// nor a handler sees any, and no session cookie is set. The cookies are gone for the
	// rest of the request, also for a Sessions of another Name in front of this one.
	//
	// A request with an Authorization of a scheme that browsers answer by themselves
	// (Basic, Digest, Negotiate, NTLM) is checked as any other: from a page of another
	// origin it needs TrustedOrigins, and programs, which send neither Origin nor
	// Sec-Fetch-Site, pass. What else comes with a browser's requests unasked, such as a
	// client certificate or an address on an allow-list, is the application's affair: do
	// not rely on that alone here.
	CookielessRoutes []string

	// TokenHeader lets clients without cookies, such as mobile apps and scripts,
	// have the same sessions. For "Authorization" it is a bearer token (RFC 6750),
	// and a header of your own such as "X-Session-Token" holds the token alone.
	// Default: "", cookies only.
	//
	// A client says that it is one by sending the header, at first without a token
	// ("Authorization: Bearer"). The response to its sign-in, and to any other that
	// gives the session a new ID, has the header as it is to be sent from then on.
	// Such a request's cookies are not looked at, and its response sets none for the
	// session. One without any cookies may come from any origin: no browser has added
	// anything to it.
	TokenHeader string

	// DeviceBound binds signed-in sessions to the browser's device, if the browser can do
	// that (Device Bound Session Credentials, https://www.w3.org/TR/dbsc-1/): it makes a
	// key that cannot leave the device, and from then on a request needs a second cookie,
	// which lives for BoundFor and is renewed only by a signature of that key. A copy of
	// the cookies is good for requests that arrive within those minutes, and for none after
	// that. A stream that such a request has opened goes on until it ends.
	//
	// A sign-in over HTTPS offers it, by a header that other browsers ignore: their
	// sessions, and those of clients with TokenHeader, are as they would be without. The
	// middleware answers the browser's requests to BoundPath itself, and must stand on
	// the engine for that. It needs a [store.Store], such as memstore, sqlstore and
	// redisstore make. docs/security.md says how to introduce it. Default: false.
	DeviceBound bool

	// BoundPath is the prefix of the two paths that browsers send their proofs to, as the
	// browser sees it: a POST to BoundPath + "/register" or "/refresh". Rate limiters and
	// guards in front of the middleware must let these through. Default: Path + "/dbsc".
	BoundPath string

	// BoundFor is how long a bound cookie is good for, and so how long a stolen one is. A
	// browser in use renews it two minutes before. Default: 5 minutes. At least 4 minutes,
	// as browsers renew it only so often; at most an hour.
	BoundFor time.Duration

	// Unbound says what becomes of a request for a bound session without a valid bound
	// cookie. Default: [RefuseUnbound], nobody is signed in.
	Unbound UnboundPolicy

	// UserOf returns who is signed in according to a session's values, "" for nobody.
	// It is for an application that signs in by sessions.Default(c) and does not call
	// [Login] yet: setting the values that it looks at is a sign-in with a new session
	// ID, and removing them, as Clear does, is a sign-out. Once the response has begun, such
	// a sign-in is refused as [Login] is, and what was changed together with it is not saved.
	// values are what sessions.Default(c) returns; they are a copy. The deadlines of such
	// a sign-in are a visitor's, see VisitorFor. What store.Migrate was given for it is
	// used if this is nil. Default: nil, only Login signs in.
	UserOf func(values map[any]any) string

	// ErrorPage writes the page that people see if the middleware answers in place of
	// the handler: a 503 if the session could not be read or saved, a 403 for a
	// request from another site, the 401 and 403 of [RequireSession], and a 500 if the program
	// made a mistake, such as [Login] without a user. The session
	// may be used, but the page for a request from another site does not begin one: what
	// it stores without a session is lost. ErrorPage is called for page requests only: those
	// that navigate or prefer HTML. All others get the problem document. Default: a plain
	// page.
	ErrorPage func(*gin.Context, Problem)

	// OnEvent is called for every session event, inside the request, with the session that it
	// is about. What it changes there for a cross-origin request that is refused is not saved,
	// and OnError is told. What the methods of a store end, such as RevokeAll, has no request and
	// is no event. Default: none.
	OnEvent func(*gin.Context, Event)

	// OnError is called for every error of a session, inside the request. It should
	// not write a response: see ErrorPage. Default: the error is logged with
	// [log/slog], with the method and the route of the request.
	OnError func(*gin.Context, error)
}

const (
	defaultName        = "session"
	defaultIdleTimeout = time.Hour
	defaultLifetime    = 24 * time.Hour
	defaultRememberFor = 30 * 24 * time.Hour

	minSecretBytes = 32 // of HMAC-SHA-256 and AES-256
)

// EventKind says what happened to a session.
type EventKind string

// The kinds of events.
const (
	EventCreated     EventKind = "created"      // a session was stored for the first time
	EventSignedIn    EventKind = "signed-in"    // Login was saved
	EventRenewed     EventKind = "renewed"      // Renew or Confirm was saved: a new ID
	EventSignedOut   EventKind = "signed-out"   // a user's session was ended by its own browser: Logout, or a sign-in as somebody else
	EventExpired     EventKind = "expired"      // a request came for a session that had expired
	EventRevoked     EventKind = "revoked"      // a request ended another session, or MaxSessions or EndUnbound did
	EventRejected    EventKind = "rejected"     // a cookie came that is malformed, or names no session or one that was signed out
	EventCrossOrigin EventKind = "cross-origin" // a cross-origin request was refused
	EventStoreError  EventKind = "store-error"  // the store failed
)

// The kinds of events of sessions that are bound to devices: see Config.DeviceBound.
const (
	EventBound        EventKind = "bound"         // a session was bound to a device
	EventUnbound      EventKind = "unbound"       // a request came for a bound session, without a valid bound cookie: it may be stolen
	EventProofRefused EventKind = "proof-refused" // a proof came that is malformed, or signed by another key
)

// Event tells [Config].OnEvent what happened, once for each time that it
// happens. It holds no secret.
type Event struct {
	Kind      EventKind
	User      string // "" if nobody is signed in
	SessionID string // "" if there is none
	Err       error  // of EventStoreError, EventCrossOrigin and EventProofRefused

	// PreviousID is the ID that a session had before, of EventRenewed and
	// EventSignedIn: "" if it had none.
	PreviousID string
}

// ConfigError is one reason why a configuration cannot work.
type ConfigError struct {
	Field  string // such as "Config.Domain"
	Value  string // what it was set to; a secret is not shown
	Reason string // what is wrong with it, and the remedy
}

// Error returns the field, the value and the reason in one line.
func (e *ConfigError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("sessionkit: %s: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("sessionkit: %s is %s: %s", e.Field, e.Value, e.Reason)
}

// Validate returns nil if [Sessions] accepts the Config over a store that can do what it
// asks for, as those of sessionkit can. Otherwise the error joins a [*ConfigError] for each
// field that is wrong.
func (c Config) Validate() error {
	p := problems{prefix: "Config."}
	c = c.withDefaults()
	p.cookieName("Name", c.Name)
	if cookie.HasPrefix(c.Name) {
		p.add("Name", quote(c.Name), "the prefix is added by the middleware; give the name without it")
	}
	p.positive("IdleTimeout", c.IdleTimeout)
	p.positive("Lifetime", c.Lifetime)
	p.positive("RememberFor", c.RememberFor)
	if c.RememberFor > session.MaxCookieAge {
		p.add("RememberFor", c.RememberFor.String(), "browsers keep no cookie over 400 days; make it shorter")
	}
	if c.VisitorFor != 0 {
		p.positive("VisitorFor", c.VisitorFor)
	}
	if c.VisitorFor > session.MaxCookieAge {
		p.add("VisitorFor", c.VisitorFor.String(), "browsers keep no cookie over 400 days; make it shorter")
	}
	if _, err := client.NewRoutes(c.CookielessRoutes); err != nil {
		p.add("CookielessRoutes", fmt.Sprintf("%q", c.CookielessRoutes), err.Error())
	}
	p.scope(c.Domain, c.Path, c.SameSite, c.Partitioned && !c.InsecureHTTP)
	if c.InsecureHTTP && c.SameSite == http.SameSiteNoneMode {
		p.add("SameSite", "None", "browsers take SameSite=None from Secure cookies only; drop InsecureHTTP or use Lax")
	}
	if c.InsecureHTTP && c.Partitioned {
		p.add("Partitioned", "true", "browsers partition Secure cookies only; drop InsecureHTTP or Partitioned")
	}
	if c.MaxSessions < 0 {
		p.add("MaxSessions", fmt.Sprint(c.MaxSessions), "must not be negative; 0 means no limit")
	}
	for _, directive := range c.ClearSiteData {
		if directive != "*" && (directive == "" || strings.Trim(directive, config.Letters) != "") {
			p.add("ClearSiteData", quote(directive), `must be a bare directive such as "cache", "cookies", "storage" or "*"`)
		}
	}
	for i, secret := range c.Secrets {
		if len(secret) > 0 && bytes.Count(secret, []byte{0}) == len(secret) {
			p.add(fmt.Sprintf("Secrets[%d]", i), "nothing but zeros", "must be filled with randomness, such as from openssl rand -base64 32")
		}
		if len(secret) < minSecretBytes {
			p.add(fmt.Sprintf("Secrets[%d]", i), fmt.Sprintf("%d bytes long", len(secret)),
				"must have 32 bytes or more of randomness, such as from openssl rand -base64 32")
		}
	}
	if c.TokenHeader != "" && !client.IsTokenHeader(c.TokenHeader) {
		p.add("TokenHeader", quote(c.TokenHeader), `must be "Authorization", or a header that begins with X- and that neither browsers nor proxies send by themselves`)
	}
	p.bound(c)
	protection := http.NewCrossOriginProtection()
	for _, origin := range c.TrustedOrigins {
		if err := protection.AddTrustedOrigin(origin); err != nil || !config.IsOrigin(origin) {
			p.add("TrustedOrigins", quote(origin), "must be scheme://host[:port] as browsers send it: in lower case, international names as xn--…, "+
				"without wildcards, a path or the scheme's own port")
		}
	}
	return errors.Join(p.errs...)
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = defaultIdleTimeout
	}
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	if c.RememberFor == 0 {
		c.RememberFor = defaultRememberFor
	}
	if c.Path == "" {
		c.Path = "/"
	}
	if c.SameSite == 0 || c.SameSite == http.SameSiteDefaultMode {
		c.SameSite = http.SameSiteLaxMode
	}
	if c.BoundPath == "" {
		c.BoundPath = strings.TrimSuffix(c.Path, "/") + defaultBoundPath
	}
	if c.BoundFor == 0 {
		c.BoundFor = defaultBoundFor
	}
	c.TokenHeader = http.CanonicalHeaderKey(c.TokenHeader)
	if c.OnError == nil {
		c.OnError = func(c *gin.Context, err error) {
			slog.ErrorContext(c, "session error", "err", err, "method", c.Request.Method, "route", c.FullPath())
		}
	}
	return c
}

// shareConfig returns the configuration as a store has it whose sessions another
// program uses as well. What the store decides must not be set twice, and the store has
// judged it: the other program's cookie need not look like one of sessionkit's.
func shareConfig(c Config, s kitstore.Shared) (Config, error) {
	p := problems{prefix: "Config."}
	const reason = "the store shares its sessions with another program and has a setting for it; set it there"
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"Name", c.Name != ""},
		{"VisitorFor", c.VisitorFor != 0},
		{"Domain", c.Domain != ""},
		{"Path", c.Path != ""},
		{"SameSite", c.SameSite != 0},
		{"Partitioned", c.Partitioned},
		{"UserOf", c.UserOf != nil && s.UserOf() != nil},
	} {
		if f.set {
			p.add(f.name, "", reason)
		}
	}
	if len(p.errs) > 0 {
		return c, errors.Join(p.errs...)
	}
	cookie := s.Cookie(true)
	c.Name, c.Domain, c.Path, c.SameSite = cookie.Name, cookie.Domain, cookie.Path, cookie.SameSite
	if c.UserOf == nil {
		c.UserOf = s.UserOf()
	}
	c.VisitorFor, _ = s.VisitorFor()
	return c, nil
}

// Format implements [fmt.Formatter], so that no verb prints the secrets.
func (c Config) Format(f fmt.State, _ rune) {
	c = c.withDefaults()
	_, _ = fmt.Fprintf(f, "sessionkit.Config{Name: %q, IdleTimeout: %v, Lifetime: %v, RememberFor: %v, Secrets: %d, not shown}",
		c.Name, c.IdleTimeout, c.Lifetime, c.RememberFor, len(c.Secrets))
}

// LogValue implements [slog.LogValuer], so that no log shows the secrets.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// problems collects what is wrong with a configuration.
type problems struct {
	prefix string
	errs   []error
}

func (p *problems) add(field, value, reason string) {
	p.errs = append(p.errs, &ConfigError{Field: p.prefix + field, Value: value, Reason: reason})
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

func (p *problems) positive(field string, d time.Duration) {
	switch {
	case d < 0:
		p.add(field, d.String(), "must be positive; 0 means the default")
	case d < config.MinDuration:
		p.add(field, d.String(), config.TooShort)
	}
}

func (p *problems) cookieName(field, name string) {
	if !config.IsToken(name) {
		p.add(field, quote(name), "must be letters, digits and !#$%&'*+-.^_`|~ (RFC 6265)")
	}
}

// scope judges the attributes that all cookies share.
func (p *problems) scope(domain, path string, sameSite http.SameSite, partitioned bool) {
	if domain != "" && !config.IsDomain(domain) {
		p.add("Domain", quote(domain), "must be a host name such as example.com, without scheme, port or leading dot")
	} else if address.IsPublicSuffix(domain) {
		p.add("Domain", quote(domain), "others may have names under it, so browsers drop such a cookie; name your own, such as app."+domain+", or leave it out")
	}
	if path != "" && !config.IsPath(path) {
		p.add("Path", quote(path), config.NoPath)
	}
	if sameSite < 0 || sameSite > http.SameSiteNoneMode {
		p.add("SameSite", fmt.Sprint(int(sameSite)), "must be http.SameSiteLaxMode, StrictMode or NoneMode")
	}
	if partitioned && sameSite != http.SameSiteNoneMode {
		p.add("Partitioned", "true", "browsers send no other cookie than one with SameSite None to a page that another site embeds; set SameSite to http.SameSiteNoneMode, or drop Partitioned")
	}
}
