package client

import (
	"net/http"
	"strings"

	"github.com/gin-sessionkit/sessionkit/internal/config"
)

// A client without cookies sends the session's token in Config.TokenHeader and is
// given it there. It says that it is one by sending the header, also before it has
// a token. No browser sends that header by itself, and no other site can make it:
// a request that has it needs no cross-origin protection, provided that its
// cookies are not looked at.

// authorization is the header whose value begins with a scheme (RFC 9110 section
// 11.6.2); other headers hold the token alone.
const authorization = "Authorization"

// Bearer is the scheme of tokens (RFC 6750 section 2.1).
const Bearer = "Bearer"

// Token returns the token that a request brings in a header, "" if it has none yet. It
// is false for a request of a browser, whose session is in its cookie, and if there is
// no such header.
func Token(header string, r *http.Request) (string, bool) {
	if header == "" {
		return "", false
	}
	lines := r.Header[header]
	if len(lines) == 0 {
		return "", false
	}
	value := lines[0]
	if header == authorization {
		scheme, rest, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, Bearer) {
			return "", false // such as Basic, which browsers send by themselves
		}
		value = strings.Trim(rest, " ")
	}
	if len(lines) > 1 {
		return "", true // which of them counts, another server on the way may see differently
	}
	return value, true
}

// SentByBrowser reports whether a request has credentials that browsers add by themselves,
// as they add cookies, also to what another site has them send: of the schemes that
// they ask their users for, or answer with the user's sign-in to the machine.
func SentByBrowser(r *http.Request) bool {
	for _, line := range r.Header[authorization] {
		scheme, _, _ := strings.Cut(line, " ")
		for _, known := range []string{"Basic", "Digest", "Negotiate", "NTLM"} {
			if strings.EqualFold(scheme, known) {
				return true
			}
		}
	}
	return false
}

// SendToken gives a client without cookies its token, in the form in which it is to be
// sent.
func SendToken(header string, response http.Header, secret string) {
	if header == authorization {
		secret = Bearer + " " + secret
	}
	response.Set(header, secret)
}

// IsTokenHeader reports whether a header can hold tokens: one that neither
// browsers nor proxies send by themselves.
func IsTokenHeader(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case authorization:
		return true
	case "X-Real-Ip", "X-Request-Id", "X-Correlation-Id", "X-Requested-With":
		return false
	}
	return config.IsToken(name) && strings.HasPrefix(name, "X-") && !strings.HasPrefix(name, "X-Forwarded-")
}
