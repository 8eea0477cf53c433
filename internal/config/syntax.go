package config

import "strings"

// Letters are those of ASCII.
const Letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// IsToken reports whether s is a token of RFC 9110 section 5.6.2, as a cookie's
// name must be.
func IsToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// IsPrintable reports whether s holds printable ASCII and nothing else.
func IsPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// IsPath reports whether a cookie's Path can be s: what browsers compare it with is escaped.
func IsPath(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.ContainsAny(s, "; \"#<>?\\^`{|}") && IsPrintable(s)
}

// NoPath is what is wrong with a text that is none by [IsPath].
const NoPath = "must begin with / and be written as browsers send it, such as /my%20app, without semicolon"

// IsDomain reports whether a cookie's Domain can be s: a host name of two labels
// or more, for browsers refuse others, and no IP address.
func IsDomain(s string) bool {
	if len(s) > 253 || !strings.Contains(s, ".") || strings.Trim(s, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, Letters+"0123456789-") != "" ||
			label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// IsOrigin reports whether a browser can send s as an origin.
func IsOrigin(s string) bool {
	return s == strings.ToLower(s) && IsPrintable(s) && !strings.ContainsAny(s, "*@ ") &&
		(!strings.HasPrefix(s, "https://") || !strings.HasSuffix(s, ":443")) &&
		(!strings.HasPrefix(s, "http://") || !strings.HasSuffix(s, ":80"))
}
