package sessionkit

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// wantsPage reports whether a request asks for a page to show: it navigates, or it
// prefers HTML to JSON, as those of Turbo and Unpoly do.
func wantsPage(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") == "navigate" || prefersHTML(r)
}

func prefersHTML(r *http.Request) bool {
	html, other := 0.0, 0.0
	for _, line := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			mediaType, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			q := 1.0
			if text, ok := params["q"]; ok {
				if q, err = strconv.ParseFloat(text, 64); err != nil {
					continue
				}
			}
			switch mediaType {
			case "text/html", "application/xhtml+xml":
				html = max(html, q)
			case "application/json", "application/problem+json":
				other = max(other, q)
			}
		}
	}
	return html > 0 && html >= other
}

// isHTMX, isInertia, prefetches and opensWebSocket report what a request is, by
// what the browser or the script in the page says of it.

func isHTMX(r *http.Request) bool { return r.Header.Get("Hx-Request") == "true" }

func isInertia(r *http.Request) bool { return r.Header.Get("X-Inertia") == "true" }

// prefetches reports whether a page is loaded before the user asks for it, if they
// ever do (the Sec-Purpose header; Purpose in older browsers).
func prefetches(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Sec-Purpose"), "prefetch") || r.Header.Get("Purpose") == "prefetch"
}

// opensWebSocket reports whether a request is the handshake of a WebSocket over
// HTTP/1.1, a GET (RFC 6455 section 4.1).
func opensWebSocket(r *http.Request) bool {
	for _, line := range r.Header["Upgrade"] {
		for protocol := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "websocket") {
				return true
			}
		}
	}
	return false
}
