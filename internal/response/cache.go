package response

import (
	"net/http"
	"strings"
)

// NoStore keeps a response out of all caches, also of those that go by a header of
// their own (RFC 9213 section 2).
func NoStore(header http.Header) {
	header["Cache-Control"] = []string{"no-store"}
	dropTargeted(header)
}

// dropTargeted removes what tells shared caches more than Cache-Control does.
func dropTargeted(header http.Header) {
	for field := range header {
		if targetsCaches(field) {
			delete(header, field)
		}
	}
}

func targetsCaches(field string) bool {
	const suffix = "CDN-Cache-Control" // also with the name of a CDN before it
	if n := len(field) - len(suffix); n >= 0 && strings.EqualFold(field[n:], suffix) {
		return true
	}
	for _, other := range [...]string{"Surrogate-Control", "Edge-Control", "X-Accel-Expires", "X-LiteSpeed-Cache-Control"} {
		if strings.EqualFold(field, other) {
			return true
		}
	}
	return false
}

// KeepFromCaches keeps a response out of caches that sets the session's cookie. A
// handler that lets everybody's caches have the page does not mean that: whoever
// they gave it to would be in the session of another.
func KeepFromCaches(header http.Header) {
	dropTargeted(header)
	for _, line := range header["Cache-Control"] {
		for directive := range strings.SplitSeq(strings.ToLower(line), ",") {
			if d := strings.TrimSpace(directive); d == "no-store" || d == "private" {
				return
			}
		}
	}
	header["Cache-Control"] = []string{"no-store"}
}

// Varies reports whether a Vary header names a field already.
func Varies(vary []string, name string) bool {
	for _, line := range vary {
		for field := range strings.SplitSeq(line, ",") {
			if field = strings.TrimSpace(field); field == "*" || strings.EqualFold(field, name) {
				return true
			}
		}
	}
	return false
}

// describesAnswer reports whether a header field is a part of the handler's
// answer, rather than of the connection or the site: all on which browsers, servers in
// front and the libraries of pages act. Those of the application's own are not known here.
func describesAnswer(field string) bool {
	field = http.CanonicalHeaderKey(field)
	switch field {
	case "Location", "Refresh", "Trailer", "Clear-Site-Data", "Link", "Sourcemap", "Preference-Applied",
		"Etag", "Last-Modified", "Accept-Ranges", "Digest", "Repr-Digest", "Signature", "Signature-Input",
		"Cache-Control", "Expires", "Pragma", "Age", "Warning",
		"X-Lighttpd-Send-File", "X-Litespeed-Location":
		return true
	case "Content-Security-Policy", "Content-Security-Policy-Report-Only":
		return false
	}
	for _, family := range [...]string{
		"Content-", "X-Accel-", "X-Sendfile", "X-Reproxy-", // of the body, or of a file in its place
		"Hx-", "X-Inertia", "X-Up-", "Turbo-", "X-Pjax", // for a library in the page
	} {
		if strings.HasPrefix(field, family) {
			return true
		}
	}
	return targetsCaches(field)
}
