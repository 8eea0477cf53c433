// Package client tells what a request says of its sender.
package client

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// WantsPage reports whether a request asks for a page to show: it navigates, or it
// prefers HTML to JSON, as those of Turbo and Unpoly do.
func WantsPage(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") == "navigate" || prefersHTML(r)
}

// mostAccept is how many bytes of Accept are looked at. Browsers send some hundred.
const mostAccept = 8 << 10

func prefersHTML(r *http.Request) bool {
	html, other := 0.0, 0.0
	left := mostAccept
	for _, line := range r.Header.Values("Accept") {
		line = line[:min(len(line), left)]
		left -= len(line)
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

// IsHTMX reports whether a request comes from HTMX.
func IsHTMX(r *http.Request) bool { return r.Header.Get("Hx-Request") == "true" }

// IsInertia reports whether a request comes from Inertia.
func IsInertia(r *http.Request) bool { return r.Header.Get("X-Inertia") == "true" }

// Prefetches reports whether a page is loaded before the user asks for it, if they
// ever do: by the browser (the Sec-Purpose header; Purpose in older ones), by Turbo, or by
// HTMX's extension preload.
func Prefetches(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Sec-Purpose"), "prefetch") || r.Header.Get("Purpose") == "prefetch" ||
		r.Header.Get("X-Sec-Purpose") == "prefetch" || r.Header.Get("Hx-Preloaded") == "true"
}

// OpensWebSocket reports whether a request is the handshake of a WebSocket over
// HTTP/1.1, a GET (RFC 6455 section 4.1).
func OpensWebSocket(r *http.Request) bool {
	for _, line := range r.Header["Upgrade"] {
		for protocol := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "websocket") {
				return true
			}
		}
	}
	return false
}

// UserAgent returns the browser's name for itself, as text of bounded length.
func UserAgent(r *http.Request) string {
	const limit = 256
	ua := strings.ReplaceAll(strings.ToValidUTF8(r.UserAgent(), "?"), "\x00", "?")
	if len(ua) > limit {
		ua = strings.ToValidUTF8(ua[:limit], "")
	}
	return ua
}
