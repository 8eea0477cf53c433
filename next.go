package sessionkit

import (
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"
)

// NextURL returns where to go after signing in: the next parameter of the query or
// the form if it is a path of this site, else fallback. It is never the address
// of another site (OWASP ASVS 5.0 section 3.7.2, CWE-601). As c.PostForm does, it
// must not be called by several goroutines at the same time.
func NextURL(c *gin.Context, fallback string) string {
	for _, parameter := range []func(string) string{c.Query, c.PostForm} {
		if next := parameter("next"); isLocalURL(next) {
			return next
		}
	}
	return fallback
}

// maxNextBytes bounds a return address, which travels in URLs and headers.
const maxNextBytes = 2048

// isLocalURL reports whether a browser that is sent to s stays on this site. It
// refuses more than it must: an address is judged as it is and as it is after
// each round of percent-decoding, for somebody on the way may decode it.
func isLocalURL(s string) bool {
	if u, err := url.Parse(s); err != nil || u.Scheme != "" || u.Host != "" || len(s) > maxNextBytes {
		return false
	}
	const rounds = 3
	for range rounds {
		if !isLocalSpelling(s) {
			return false
		}
		decoded := unescape(s)
		if decoded == s {
			return true
		}
		s = decoded
	}
	return isLocalSpelling(s)
}

// isLocalSpelling judges one spelling. Browsers take \ for /, and drop tabs and
// line breaks before they look (WHATWG URL section 4.4). Before that, whoever
// sends the redirect may resolve dots: [http.Redirect] makes /./\host and
// /#/../\host into /\host.
func isLocalSpelling(s string) bool {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return false
	}
	path, _, _ := strings.Cut(s, "?")
	if strings.Contains(path, `\`) || strings.Contains(path, "/.//") || strings.Contains(path, "/..//") {
		return false
	}
	for _, c := range s {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return false
		}
	}
	return true
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
