// Package address tells how a browser has reached this server, and where it may be sent.
package address

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// IsLocal reports whether a host, with or without a port, is this machine
// (RFC 6761 section 6.3 for names under localhost).
func IsLocal(hostport string) bool {
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

// Forwarded reports whether a proxy has passed the request on.
func Forwarded(header http.Header) bool {
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

// Proto returns the scheme by which the browser has reached the first
// proxy, in lower case, "" if no proxy says so. Each proxy adds its own after those
// before it (RFC 7239 section 4).
func Proto(header http.Header) string {
	first, _, _ := strings.Cut(header.Get("X-Forwarded-Proto"), ",")
	if first == "" {
		first = forwardedParameter(header, "proto")
	}
	return strings.ToLower(strings.TrimSpace(first))
}

// IsHTTPS reports whether the browser uses HTTPS, as far as a proxy tells.
func IsHTTPS(r *http.Request) bool { return r.TLS != nil || Proto(r.Header) == "https" }

// Host returns the host by which the browser has reached the first proxy,
// "" if no proxy says so.
func Host(header http.Header) string {
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

// HostOf returns the host of a URL, "" if there is none.
func HostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// HasHost reports whether a URL is of a host, with or without a port. Browsers leave out the
// scheme's own port, and write the host in lower case.
func HasHost(u *url.URL, host string) bool {
	port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	return strings.EqualFold(strings.TrimSuffix(u.Host, port), strings.TrimSuffix(host, port))
}

// Within reports whether a cookie of a path is sent to another one (RFC 6265bis
// section 5.1.4).
func Within(cookie, path string) bool {
	rest, ok := strings.CutPrefix(path, cookie)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(cookie, "/"))
}

// InDomain reports whether a host, with or without a port, is a domain or within it.
func InDomain(hostport, domain string) bool {
	host, _, _ := strings.Cut(hostport, ":")
	n := len(host) - len(domain)
	return n >= 0 && strings.EqualFold(host[n:], domain) && (n == 0 || host[n-1] == '.')
}

// SameSite reports whether browsers take two hosts, with or without a port, for parts of one
// site.
func SameSite(a, b string) bool {
	a, b = hostname(a), hostname(b)
	if a == b {
		return true
	}
	for _, host := range []string{a, b} {
		if _, err := netip.ParseAddr(host); err == nil {
			return false
		}
	}
	site, err := publicsuffix.EffectiveTLDPlusOne(a)
	other, otherErr := publicsuffix.EffectiveTLDPlusOne(b)
	return err == nil && otherErr == nil && site == other
}

func hostname(hostport string) string {
	u := url.URL{Host: strings.ToLower(hostport)}
	return u.Hostname()
}

// IsPublicSuffix reports whether everybody may register names under a domain, such as co.uk or
// herokuapp.com: browsers keep no cookie for all of it. One of a single label is none unless it is listed.
func IsPublicSuffix(domain string) bool {
	domain = strings.ToLower(domain)
	suffix, listed := publicsuffix.PublicSuffix(domain)
	return domain == suffix && (listed || strings.Contains(domain, "."))
}
