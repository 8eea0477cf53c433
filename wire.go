package sessionkit

import (
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/inside"
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

// cookieName is the name under which the session cookie is written on this
// connection. It depends on the connection and the Config alone, never on where the
// request came from: the next request must find what this one has set.
func (k *kit) cookieName(r *http.Request) string {
	if k.plainHTTP(r) {
		return k.Name
	}
	return k.hostName
}

// plainHTTP reports whether cookies are sent without Secure: on a developer's own
// machine, where some browsers would drop them, and by InsecureHTTP.
func (k *kit) plainHTTP(r *http.Request) bool {
	if r.TLS != nil {
		return false
	}
	if isLocal(r.Host) && !forwarded(r.Header) && gin.Mode() != gin.ReleaseMode {
		return true
	}
	return k.InsecureHTTP && forwardedProto(r.Header) != "https"
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
		switch field {
		case "Forwarded", "Via", "X-Real-Ip", "Cf-Connecting-Ip", "True-Client-Ip":
			return true
		}
		if strings.HasPrefix(field, "X-Forwarded-") {
			return true
		}
	}
	return false
}

// forwardedProto returns the scheme by which the browser has reached the first
// proxy, in lower case, "" if no proxy says so. Each proxy adds its own after those
// before it (RFC 7239 section 4).
func forwardedProto(header http.Header) string {
	first, _, _ := strings.Cut(header.Get("X-Forwarded-Proto"), ",")
	if first == "" {
		first = forwardedParameter(header, "proto")
	}
	return strings.ToLower(strings.TrimSpace(first))
}

// forwardedHost returns the host by which the browser has reached the first proxy,
// "" if no proxy says so.
func forwardedHost(header http.Header) string {
	first, _, _ := strings.Cut(header.Get("X-Forwarded-Host"), ",")
	if first == "" {
		first = forwardedParameter(header, "host")
	}
	return strings.TrimSpace(first)
}

// forwardedParameter returns a parameter of the first element of a Forwarded header.
func forwardedParameter(header http.Header, name string) string {
	element, _, _ := cutUnquoted(header.Get("Forwarded"), ',')
	for more := element != ""; more; {
		var pair string
		pair, element, more = cutUnquoted(element, ';')
		key, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(strings.TrimSpace(key), name) {
			continue
		}
		value = strings.TrimSpace(value)
		if unquoted, err := strconv.Unquote(value); err == nil && strings.HasPrefix(value, `"`) {
			return unquoted
		}
		return value
	}
	return ""
}

// cutUnquoted is [strings.Cut] at a byte that stands outside of quotes.
func cutUnquoted(s string, separator byte) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == separator && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// sessionCookie is the session's cookie on this connection, without a value.
func (k *kit) sessionCookie(r *http.Request) *http.Cookie {
	if k.shared != nil {
		return k.sharedCookie(r)
	}
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
	k.warn(r, c.Secure)
	return &c
}

// warn logs once that a browser will drop a cookie.
func (k *kit) warn(r *http.Request, secure bool) {
	if reason := k.doubtful(r, secure); reason != "" && k.warned.CompareAndSwap(false, true) {
		slog.WarnContext(r.Context(), "sessionkit: "+reason, "host", r.Host)
	}
}

// comesBack reports whether it is certain that the browser keeps a session cookie
// that the response sets: it has kept one, or the connection is one over which it
// does. Browsers send Sec-Fetch-Site over such connections only.
func (q *request) comesBack() bool {
	r := q.r
	return q.secureCookie || q.plainCookie || r.TLS != nil || q.kit.plainHTTP(r) ||
		forwardedProto(r.Header) == "https" || r.Header.Get("Sec-Fetch-Site") != ""
}

// doubtful returns why the browser will drop a cookie that this response sets, or
// send it where it should not, and the remedy; "" if nothing tells.
func (k *kit) doubtful(r *http.Request, secure bool) string {
	proto := forwardedProto(r.Header)
	switch local := isLocal(r.Host); {
	case r.TLS != nil || proto == "https":
		return ""
	case !secure:
		for _, field := range []string{"Origin", "Referer"} {
			if host := hostOf(r.Header.Get(field)); local && host != "" && !isLocal(host) {
				return "a cookie without Secure was set for localhost, but the request came from " + strconv.Quote(shorten(host, 100)) +
					": if this machine is reached under a public name, call gin.SetMode(gin.ReleaseMode), or let the proxy in front send X-Forwarded-Proto"
			}
		}
		return ""
	case proto != "":
		return "a Secure cookie was set, but the proxy says that the browser uses plain HTTP, over which browsers drop it: " +
			"serve HTTPS, or set Config.InsecureHTTP"
	case !local && !forwarded(r.Header):
		return "a Secure cookie was set over plain HTTP, where browsers drop it: " +
			"serve HTTPS, let the proxy in front send X-Forwarded-Proto, or set Config.InsecureHTTP"
	case local && gin.Mode() == gin.ReleaseMode && !forwarded(r.Header):
		return "a Secure cookie was set for localhost over plain HTTP, where some browsers (Safari) drop it: " +
			"use gin's debug mode for development, or let the proxy in front send X-Forwarded-Proto"
	}
	return ""
}

// hostOf returns the host of a URL, "" if there is none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// unreachable returns why a session cookie that is set by the response to r would
// not come back, and the remedy; "" if it will, or nothing tells. The request may
// have been changed by a proxy: one that says so is believed, and one whose browser
// has sent such a cookie before is right.
func (q *request) unreachable() string {
	k, r := q.kit, q.r
	if q.bearer || q.secureCookie || q.plainCookie || inside.From(r.Context()) != nil {
		return ""
	}
	if q.cookieless {
		return "the route is one of Config.CookielessRoutes, which have no session but by Config.TokenHeader: do not store anything there"
	}
	if k.Path != "/" && !within(k.Path, r.URL.Path) && !within(k.Path, browserPath(q.c)) {
		return fmt.Sprintf("the path %q is not within Config.Path %q, so the browser would not send the cookie back: "+
			"use the session within that path only, or let a proxy that takes a prefix away send X-Forwarded-Prefix", shorten(r.URL.Path, 100), k.Path)
	}
	if k.Domain != "" && !isLocal(r.Host) && !inDomain(r.Host, k.Domain) && !inDomain(forwardedHost(r.Header), k.Domain) {
		return fmt.Sprintf("the host %q is not within Config.Domain %q, so the browser would drop the cookie: "+
			"use that domain, or let a proxy that changes the host send X-Forwarded-Host", shorten(r.Host, 100), k.Domain)
	}
	return ""
}

// within reports whether a cookie of a path is sent to another one (RFC 6265bis
// section 5.1.4).
func within(cookie, path string) bool {
	rest, ok := strings.CutPrefix(path, cookie)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(cookie, "/"))
}

// inDomain reports whether a host, with or without a port, is a domain or within it.
func inDomain(hostport, domain string) bool {
	host, _, _ := strings.Cut(hostport, ":")
	n := len(host) - len(domain)
	return n >= 0 && strings.EqualFold(host[n:], domain) && (n == 0 || host[n-1] == '.')
}

// expireCookie makes a cookie one that deletes it.
func expireCookie(c *http.Cookie) *http.Cookie {
	c.Value, c.MaxAge, c.Expires = "", -1, time.Unix(1, 0)
	return c
}

// putCookie sets a cookie in a response, in place of one of the same name: a
// response must not set a name twice (RFC 6265bis section 4.1.1).
func putCookie(header http.Header, c *http.Cookie) {
	withdrawCookie(header, c.Name)
	header["Set-Cookie"] = append(header["Set-Cookie"], c.String())
}

// withdrawCookie removes a cookie that a response was to set.
func withdrawCookie(header http.Header, name string) {
	lines := header["Set-Cookie"]
	if len(lines) == 0 {
		return
	}
	kept := slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+"=") })
	if header["Set-Cookie"] = kept; len(kept) == 0 {
		delete(header, "Set-Cookie")
	}
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
