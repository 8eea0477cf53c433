package cookie

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Expire makes a cookie one that deletes it.
func Expire(c *http.Cookie) *http.Cookie {
	c.Value, c.MaxAge, c.Expires = "", -1, time.Unix(1, 0)
	return c
}

// Put sets a cookie in a response, in place of one of the same name: a
// response must not set a name twice (RFC 6265bis section 4.1.1).
func Put(header http.Header, c *http.Cookie) {
	Withdraw(header, c.Name)
	header["Set-Cookie"] = append(header["Set-Cookie"], c.String())
}

// Withdraw removes a cookie that a response was to set.
func Withdraw(header http.Header, name string) {
	lines := header["Set-Cookie"]
	if len(lines) == 0 {
		return
	}
	kept := slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+"=") })
	if header["Set-Cookie"] = kept; len(kept) == 0 {
		delete(header, "Set-Cookie")
	}
}
