package cookie

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/address"
	"github.com/gin-sessionkit/sessionkit/internal/config"
)

// A Site is what all cookies of an application have in common, and its session cookie.
// What stands on the wire depends on it and on the connection alone, never on where a
// request came from: the next request must find what this one has set.
type Site struct {
	Name         string // of the session cookie, without a prefix
	Domain, Path string
	SameSite     http.SameSite
	Partitioned  bool
	InsecureHTTP bool

	SecureName string // the session cookie's name if it is Secure: see [SecureName]

	// Shared returns the session cookie as another program sets it that uses the same
	// sessions, for a connection over HTTPS or not; nil: there is none.
	Shared func(https bool) http.Cookie

	warned [warnings]atomic.Bool
}

// SecureName returns the session cookie's name if the cookie is Secure.
func SecureName(name, domain, path string) string {
	if domain == "" && path == "/" {
		return PrefixHostHTTP + name
	}
	return PrefixSecure + name
}

// SessionName is the name under which the session cookie is written on this connection.
func (s *Site) SessionName(r *http.Request) string {
	if s.PlainHTTP(r) {
		return s.Name
	}
	return s.SecureName
}

// PlainHTTP reports whether cookies are sent without Secure: on a developer's own
// machine, where some browsers would drop them, and by InsecureHTTP.
func (s *Site) PlainHTTP(r *http.Request) bool {
	return r.TLS == nil && s.MayBePlain(r) && address.Proto(r.Header) != "https"
}

// MayBePlain reports whether the browser may have cookies without Secure, of this connection or
// another one to this host.
func (s *Site) MayBePlain(r *http.Request) bool {
	return s.InsecureHTTP || address.IsLocal(r.Host) && !address.Forwarded(r.Header) && gin.Mode() != gin.ReleaseMode
}

// Keeps reports whether it is certain that the browser keeps a session cookie that is
// set on this connection. Browsers send Sec-Fetch-Site over such connections only.
func (s *Site) Keeps(r *http.Request) bool {
	return r.TLS != nil || s.PlainHTTP(r) || address.Proto(r.Header) == "https" || r.Header.Get("Sec-Fetch-Site") != ""
}

// Session is the session's cookie on this connection, without a value.
func (s *Site) Session(r *http.Request) http.Cookie {
	if s.Shared != nil {
		c := s.Shared(address.IsHTTPS(r))
		s.Warn(r, c.Secure)
		return c
	}
	return s.Fit(r, http.Cookie{
		Name: s.SessionName(r), Domain: s.Domain, Path: s.Path, SameSite: s.SameSite, Partitioned: s.Partitioned, HttpOnly: true,
	})
}

// Fit fits a cookie to the connection: Secure, unless it would not arrive then.
func (s *Site) Fit(r *http.Request, c http.Cookie) http.Cookie {
	c.Secure = HasPrefix(c.Name) || !s.PlainHTTP(r)
	if !c.Secure { // browsers take these two from Secure cookies only
		c.Partitioned = false
		if c.SameSite == http.SameSiteNoneMode {
			c.SameSite = http.SameSiteLaxMode
		}
	}
	direct := !c.Secure || r.TLS != nil && !address.Forwarded(r.Header)
	if direct && address.IsLocal(r.Host) && !address.InDomain(r.Host, c.Domain) {
		c.Domain = "" // it is not this machine's
	}
	s.Warn(r, c.Secure)
	return c
}

// Unreachable returns why a session cookie that is set by the response to this request
// would not come back, and the remedy; "" if it will, or nothing tells. A proxy that
// says that it has changed the request is believed.
func (s *Site) Unreachable(c *gin.Context) string {
	r := c.Request
	if s.Path != "/" && !address.Within(s.Path, r.URL.Path) && !address.Within(s.Path, address.BrowserPath(c)) {
		return fmt.Sprintf("the path %q is not within Config.Path %q, so the browser would not send the cookie back: "+
			"use the session within that path only, or let a proxy that takes a prefix away send X-Forwarded-Prefix", config.Shorten(r.URL.Path, 100), s.Path)
	}
	if s.Domain != "" && !address.IsLocal(r.Host) && !address.InDomain(r.Host, s.Domain) && !address.InDomain(address.Host(r.Header), s.Domain) {
		return fmt.Sprintf("the host %q is not within Config.Domain %q, so the browser would drop the cookie: "+
			"use that domain, or let a proxy that changes the host send X-Forwarded-Host", config.Shorten(r.Host, 100), s.Domain)
	}
	return ""
}

// The warnings. Each one is logged once, so that none hides another.
const (
	warnPublicName = iota
	warnProxy
	warnPlainHTTP
	warnLocalhost
	warnings
)

// Warn logs that a browser will drop a cookie, or may send it where it should not unless the Config
// allows for that.
func (s *Site) Warn(r *http.Request, secure bool) {
	if s.InsecureHTTP && !secure {
		return
	}
	if warning, reason := doubtful(r, secure); reason != "" && s.warned[warning].CompareAndSwap(false, true) {
		slog.WarnContext(r.Context(), "sessionkit: "+reason, "host", r.Host)
	}
}

// doubtful returns why the browser will drop a cookie that this response sets, or
// send it where it should not, and the remedy; "" if nothing tells.
func doubtful(r *http.Request, secure bool) (warning int, reason string) {
	proto := address.Proto(r.Header)
	switch local := address.IsLocal(r.Host); {
	case r.TLS != nil || proto == "https":
		return 0, ""
	case !secure:
		for _, field := range []string{"Origin", "Referer"} {
			if host := address.HostOf(r.Header.Get(field)); local && host != "" && !address.IsLocal(host) {
				return warnPublicName, "a cookie without Secure was set for localhost, but the request came from " + strconv.Quote(config.Shorten(host, 100)) +
					": if this machine is reached under a public name, call gin.SetMode(gin.ReleaseMode), or let the proxy in front send X-Forwarded-Proto"
			}
		}
		return 0, ""
	case proto != "":
		return warnProxy, "a Secure cookie was set, but the proxy says that the browser uses plain HTTP, over which browsers drop it: " +
			"serve HTTPS, or set Config.InsecureHTTP"
	case !local && (!address.Forwarded(r.Header) || r.Header.Get("Origin") == "http://"+r.Host): // a form says how its page came
		return warnPlainHTTP, "a Secure cookie was set over plain HTTP, where browsers drop it: " +
			"serve HTTPS, let the proxy in front send X-Forwarded-Proto, or set Config.InsecureHTTP"
	case local && gin.Mode() == gin.ReleaseMode && !address.Forwarded(r.Header):
		return warnLocalhost, "a Secure cookie was set for localhost over plain HTTP, where some browsers (Safari) drop it: " +
			"use gin's debug mode for development, or let the proxy in front send X-Forwarded-Proto"
	}
	return 0, ""
}
