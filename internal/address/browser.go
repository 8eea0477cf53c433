package address

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"
)

// BrowserURI returns the path and query of the request as the browser shows them,
// also if [http.StripPrefix] or a proxy that gin trusts has taken a prefix away.
func BrowserURI(c *gin.Context) string {
	uri := c.Request.RequestURI
	if !strings.HasPrefix(uri, "/") { // in the form for proxies, which tests use as well, or empty
		u, err := url.Parse(uri)
		if err != nil || u.Host == "" {
			u = c.Request.URL
		}
		uri = u.RequestURI()
	}
	prefix := strings.TrimSuffix(c.Request.Header.Get("X-Forwarded-Prefix"), "/")
	if prefix != "" && IsLocalURL(prefix) && !strings.ContainsAny(prefix, "?#") && TrustsProxy(c) {
		uri = prefix + uri
	}
	return uri
}

// BrowserPath is the path of [BrowserURI], as it is written there.
func BrowserPath(c *gin.Context) string {
	path, _, _ := strings.Cut(BrowserURI(c), "?")
	return path
}

// TrustsProxy reports whether gin believes what the sender of the request says of
// the client (see [gin.Engine.SetTrustedProxies]).
func TrustsProxy(c *gin.Context) bool {
	const somebody = "2001:db8:6e6f:6f6e:65::1" // RFC 3849: nobody has it
	asked := c.Copy()
	asked.Request = &http.Request{RemoteAddr: c.Request.RemoteAddr, Header: http.Header{
		"X-Forwarded-For": {somebody}, "X-Real-Ip": {somebody},
	}}
	return asked.ClientIP() == somebody
}
