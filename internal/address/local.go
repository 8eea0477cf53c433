package address

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxURLBytes bounds a return address, which travels in URLs and headers: servers
// take a request line of that length.
const maxURLBytes = 8 << 10

// IsLocalURL reports whether a browser that is sent to s stays on this site. That
// is decided by what comes before the query. It refuses more than it must: the path
// is judged as it is and as it is after each round of percent-decoding, for somebody
// on the way may decode it.
func IsLocalURL(s string) bool {
	if u, err := url.Parse(s); err != nil || u.Scheme != "" || u.Host != "" || len(s) > maxURLBytes || holdsControl(s) {
		return false
	}
	path, _, _ := strings.Cut(s, "?")
	const rounds = 3
	for range rounds {
		if !isLocalPath(path) {
			return false
		}
		decoded := unescape(path)
		if decoded == path {
			return true
		}
		path = decoded
	}
	return isLocalPath(path)
}

// isLocalPath judges one spelling of a path. Browsers take \ for /, and drop tabs
// and line breaks before they look (WHATWG URL section 4.4). Before that, whoever
// sends the redirect may resolve dots: [http.Redirect] makes /./\host and
// /#/../\host into /\host.
func isLocalPath(s string) bool {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return false
	}
	path, _, _ := strings.Cut(s, "?")
	return !strings.Contains(path, `\`) && !strings.Contains(path, "/.//") && !strings.Contains(path, "/..//") && !holdsControl(s)
}

func holdsControl(s string) bool {
	for _, c := range s {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return true
		}
	}
	return false
}

// unescape decodes each valid percent escape and leaves the others.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// RedirectTo returns where [http.Redirect] sends a browser.
func RedirectTo(address string) string {
	w := HeaderOnly{}
	http.Redirect(w, &http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/"}}, address, http.StatusSeeOther)
	return w.Header().Get("Location")
}

// EscapeNonASCII has a header hold an address as [http.Redirect] does.
func EscapeNonASCII(address string) string {
	var b strings.Builder
	for i := range len(address) {
		if c := address[i]; c < utf8.RuneSelf {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// HeaderOnly is a response of which only the header is of interest.
type HeaderOnly http.Header

// Header returns the header.
func (h HeaderOnly) Header() http.Header { return http.Header(h) }

// Write fails.
func (h HeaderOnly) Write([]byte) (int, error) { return 0, http.ErrNotSupported }

// WriteHeader does nothing.
func (h HeaderOnly) WriteHeader(int) {}
