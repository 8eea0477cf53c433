package sessionkit

import (
	"net/http"
	"strings"
)

// A client without cookies sends the session's secret in Config.TokenHeader and is
// given it there. It says that it is one by sending the header, also before it has
// a token. No browser sends that header by itself, and no other site can make it:
// a request that has it needs no cross-origin protection, provided that its
// cookies are not looked at.

// authorization is the header whose value begins with a scheme (RFC 9110 section
// 11.6.2); other headers hold the token alone.
const (
	authorization = "Authorization"
	bearer        = "Bearer" // RFC 6750 section 2.1
)

// token returns the token that a request brings, "" if it has none yet. It is
// false for a request of a browser, whose session is in its cookie.
func (k *kit) token(r *http.Request) (string, bool) {
	if k.TokenHeader == "" {
		return "", false
	}
	lines := r.Header[k.TokenHeader]
	if len(lines) == 0 {
		return "", false
	}
	value := lines[0]
	if k.TokenHeader == authorization {
		scheme, rest, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, bearer) {
			return "", false // such as Basic, which browsers send by themselves
		}
		value = strings.Trim(rest, " ")
	}
	if len(lines) > 1 {
		return "", true // which of them counts, another server on the way may see differently
	}
	return value, true
}

// sendToken gives a client without cookies its token, in the form in which it is
// to be sent.
func (k *kit) sendToken(header http.Header, secret string) {
	if k.TokenHeader == authorization {
		secret = bearer + " " + secret
	}
	header.Set(k.TokenHeader, secret)
	keepFromCaches(header) // RFC 6750 section 5.3
}

// isTokenHeader reports whether a header can hold tokens: one that neither
// browsers nor proxies send by themselves.
func isTokenHeader(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case authorization:
		return true
	case "X-Real-Ip", "X-Request-Id", "X-Correlation-Id", "X-Requested-With":
		return false
	}
	return isToken(name) && strings.HasPrefix(name, "X-") && !strings.HasPrefix(name, "X-Forwarded-")
}
