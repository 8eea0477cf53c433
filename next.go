package sessionkit

import (
	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/address"
)

// NextURL returns where to go after signing in: the next parameter of the query or
// the form if it is a path of this site, such as "/account?tab=1", of up to 8 kB, else
// fallback. An address with a scheme or a host is none, not even this site's own, so it is never
// that of another site (OWASP ASVS 5.0 section 3.7.2, CWE-601). As c.PostForm does, it must
// not be called by several goroutines at the same time.
func NextURL(c *gin.Context, fallback string) string {
	for _, parameter := range []func(string) string{c.Query, c.PostForm} {
		if next := parameter("next"); address.IsLocalURL(next) {
			keepNext(c, next)
			return next
		}
	}
	return fallback
}

// keepNext notes an address that [http.Redirect] would change, as it removes what
// looks superfluous in a path: the browser is to be sent to where it was.
func keepNext(c *gin.Context, next string) {
	q := findRequest(c)
	if q == nil || address.RedirectTo(next) == next {
		return
	}
	q.lock()
	defer q.unlock(c)
	q.returnTo = &next
}

// keepLocation undoes that change.
func (q *request) keepLocation() {
	if q.returnTo == nil {
		return
	}
	if header := q.writer.Header(); header.Get("Location") == address.RedirectTo(*q.returnTo) {
		header.Set("Location", address.EscapeNonASCII(*q.returnTo))
	}
}
