// Package cookie is how cookies look on the wire: names, attributes, values, signatures
// and encryption.
package cookie

import "strings"

// The prefixes of a cookie's name by which a browser enforces its attributes
// (RFC 6265bis section 4.1.3). Browsers that do not know the longer ones take
// them as __Host- or as a plain name.
const (
	PrefixSecure   = "__Secure-"
	PrefixHost     = "__Host-"
	PrefixHTTP     = "__Http-"
	PrefixHostHTTP = "__Host-Http-"
)

// MaxBytes is what browsers keep of a cookie's name and value (RFC 6265bis section 5.6).
const MaxBytes = 4096

// HasPrefix reports whether a name begins with one of the prefixes.
func HasPrefix(name string) bool {
	for _, prefix := range []string{PrefixSecure, PrefixHost, PrefixHTTP} { // browsers compare without case
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}
