package sessionkit

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
)

// NextURL returns where to go after signing in: the next parameter of the query or
// the form if it is an address within this site, of up to 8 kB, else fallback. It is
// never the address of another site (OWASP ASVS 5.0 section 3.7.2, CWE-601). As
// c.PostForm does, it must not be called by several goroutines at the same time.
func NextURL(c *gin.Context, fallback string) string {
	for _, parameter := range []func(string) string{c.Query, c.PostForm} {
		if next := parameter("next"); isLocalURL(next) {
			keepNext(c, next)
			return next
		}
	}
	return fallback
}

// maxNextBytes bounds a return address, which travels in URLs and headers: servers
// take a request line of that length.
const maxNextBytes = 8 << 10

// isLocalURL reports whether a browser that is sent to s stays on this site. That
// is decided by what comes before the query. It refuses more than it must: the path
// is judged as it is and as it is after each round of percent-decoding, for somebody
// on the way may decode it.
func isLocalURL(s string) bool {
	if u, err := url.Parse(s); err != nil || u.Scheme != "" || u.Host != "" || len(s) > maxNextBytes || holdsControl(s) {
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

// keepNext notes an address that [http.Redirect] would change, as it removes what
// looks superfluous in a path: the browser is to be sent to where it was.
func keepNext(c *gin.Context, next string) {
	if w, ok := c.Writer.(*writer); ok && redirectTo(next) != next {
		w.q.lock()
		defer w.q.unlock(c)
		w.q.returnTo = next
	}
}

// keepLocation undoes that change.
func (q *request) keepLocation() {
	header := q.writer.Header()
	if q.returnTo != "" && header.Get("Location") == redirectTo(q.returnTo) {
		header.Set("Location", escapeNonASCII(q.returnTo))
	}
}

// redirectTo returns where [http.Redirect] sends a browser.
func redirectTo(address string) string {
	w := headerOnly{}
	http.Redirect(w, &http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/"}}, address, http.StatusSeeOther)
	return w.Header().Get("Location")
}

// escapeNonASCII has a header hold an address as [http.Redirect] does.
func escapeNonASCII(address string) string {
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
