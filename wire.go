package sessionkit

import (
	"iter"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// The prefixes of a cookie's name by which a browser enforces its attributes
// (RFC 6265bis section 4.1.3). Browsers that do not know the longer ones take
// them as __Host- or as a plain name.
const (
	prefixSecure   = "__Secure-"
	prefixHost     = "__Host-"
	prefixHTTP     = "__Http-"
	prefixHostHTTP = "__Host-Http-"
)

func hasCookiePrefix(name string) bool {
	for _, prefix := range []string{prefixSecure, prefixHost, prefixHTTP} { // browsers compare without case
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// secureCookieName is the session cookie's name where the cookie is Secure.
func secureCookieName(c Config) string {
	if c.Domain == "" && c.Path == "/" {
		return prefixHostHTTP + c.Name
	}
	return prefixSecure + c.Name
}

// cookieName is the session cookie's name on this connection.
func (k *kit) cookieName(r *http.Request) string {
	if k.plainHTTP(r) {
		return k.Name
	}
	return k.hostName
}

// plainHTTP reports whether cookies go without Secure: on a developer's own
// machine, where some browsers would drop them, and by InsecureHTTP.
func (k *kit) plainHTTP(r *http.Request) bool {
	if r.TLS != nil {
		return false
	}
	if isLocal(r.Host) && !forwarded(r.Header) && gin.Mode() != gin.ReleaseMode &&
		fromLocal(r.Header, "Origin") && (fromLocal(r.Header, "Referer") || k.sentBack(r)) {
		return true
	}
	return k.InsecureHTTP && !forwardedTLS(r.Header)
}

// sentBack reports whether another site has led the browser to a session that it
// has on this machine, as when somebody signs in at a provider.
func (k *kit) sentBack(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") != "cross-site" {
		return false
	}
	for range cookieValues(r.Header["Cookie"], k.Name) {
		return true
	}
	return false
}

// isLocal reports whether a host, with or without a port, is this machine
// (RFC 6761 section 6.3 for names under localhost).
func isLocal(hostport string) bool {
	host, _, _ := strings.Cut(hostport, ":")
	if inner, ok := strings.CutPrefix(hostport, "["); ok { // IPv6
		host, _, _ = strings.Cut(inner, "]")
	}
	const name = "localhost"
	if n := len(host) - len(name); n >= 0 && strings.EqualFold(host[n:], name) {
		return n == 0 || host[n-1] == '.'
	}
	if !strings.HasPrefix(host, "127.") && !strings.Contains(host, ":") {
		return false // most hosts: no address to parse
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// forwarded reports whether a proxy has passed the request on.
func forwarded(header http.Header) bool {
	for field := range header {
		if field == "Forwarded" || strings.HasPrefix(field, "X-Forwarded-") {
			return true
		}
	}
	return false
}

// forwardedTLS reports whether a proxy says that the browser speaks TLS.
func forwardedTLS(header http.Header) bool {
	return strings.EqualFold(header.Get("X-Forwarded-Proto"), "https") ||
		strings.Contains(strings.ToLower(header.Get("Forwarded")), "proto=https")
}

// fromLocal reports whether a header that names a URL is absent or names this
// machine. A browser that hides where it comes from sends "null".
func fromLocal(header http.Header, field string) bool {
	from := header.Get(field)
	if from == "" || from == "null" {
		return true
	}
	u, err := url.Parse(from)
	return err == nil && isLocal(u.Host)
}

// sessionCookie is the session's cookie on this connection, without a value.
func (k *kit) sessionCookie(r *http.Request) *http.Cookie {
	return k.cookieFor(r, http.Cookie{
		Name: k.cookieName(r), Domain: k.Domain, Path: k.Path, SameSite: k.SameSite, Partitioned: k.Partitioned, HttpOnly: true,
	})
}

// cookieFor fits a cookie to the connection: Secure, except where it would not
// arrive.
func (k *kit) cookieFor(r *http.Request, c http.Cookie) *http.Cookie {
	c.Secure = hasCookiePrefix(c.Name) || !k.plainHTTP(r)
	if !c.Secure { // browsers take these two from Secure cookies only
		c.Partitioned = false
		if c.SameSite == http.SameSiteNoneMode {
			c.SameSite = http.SameSiteLaxMode
		}
		if isLocal(r.Host) {
			c.Domain = "" // it is not this machine's
		}
	}
	if c.Secure && r.TLS == nil && !isLocal(r.Host) && !forwarded(r.Header) {
		k.warnOnce.Do(func() {
			slog.WarnContext(r.Context(), "sessionkit: a Secure cookie was sent over plain HTTP, where browsers drop it: "+
				"serve HTTPS, let the proxy in front send X-Forwarded-Proto, or set Config.InsecureHTTP", "host", r.Host)
		})
	}
	return &c
}

// expireCookie makes a cookie one that deletes it.
func expireCookie(c *http.Cookie) *http.Cookie {
	c.Value, c.MaxAge, c.Expires = "", -1, time.Unix(1, 0)
	return c
}

// putCookie sets a cookie in a response, in place of one of the same name: a
// response must not set a name twice (RFC 6265bis section 4.1.1).
func putCookie(header http.Header, c *http.Cookie) {
	prefix := c.Name + "="
	lines := header["Set-Cookie"]
	kept := lines[:0]
	for _, line := range lines {
		if !strings.HasPrefix(line, prefix) {
			kept = append(kept, line)
		}
	}
	header["Set-Cookie"] = append(kept, c.String())
}

// cookieValues yields the values of the cookies of one name, in the order in
// which they came. It reads the header without building a list of cookies.
func cookieValues(lines []string, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for more := true; more; {
				var pair string
				pair, line, more = strings.Cut(line, ";")
				value, ok := strings.CutPrefix(trimLeft(pair), name)
				if !ok {
					continue
				}
				if value, ok = strings.CutPrefix(trimLeft(value), "="); !ok {
					continue
				}
				if !yield(unquote(trimRight(trimLeft(value)))) {
					return
				}
			}
		}
	}
}

// trimLeft and trimRight take away blanks as [strings.Trim] does, which costs more
// where there is none.
func trimLeft(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

func trimRight(s string) string {
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// unquote drops the quotes that RFC 6265 allows around a value.
func unquote(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

func shorten(s string, limit int) string {
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}
