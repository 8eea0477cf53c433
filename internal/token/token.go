// Package token makes the tokens that open sessions, and their IDs.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

const (
	tokenBytes = 32 // 256 bits of crypto/rand; OWASP ASVS 5.0 7.2.3 asks for 128
	tokenChars = 43 // as base64url; an ID, which is a SHA-256, has as many
)

// New returns a new session token: 43 characters of base64url. The last one holds
// four of the 256 random bits, and says whether somebody is signed in: so that a
// session which is long gone can be told from one that never was.
func New(signedIn bool) string {
	var b [tokenBytes]byte
	_, _ = rand.Read(b[:]) // it never fails: the program ends instead
	var text [tokenChars]byte
	base64.RawURLEncoding.Encode(text[:], b[:])
	if signedIn {
		text[tokenChars-1] = base64url[strings.IndexByte(base64url, text[tokenChars-1])|1]
	}
	return string(text[:])
}

// SignedIn reports whether a text looks like a token that was made for somebody who
// was signed in. Anyone can make up one that does.
func SignedIn(text string) bool {
	_, ok := ID(text)
	return ok && strings.IndexByte(base64url, text[tokenChars-1])&1 == 1
}

// ID returns the ID of the session that a token opens: it is public, and safe to
// log. ok is false for a text that cannot be a token.
func ID(token string) (id string, ok bool) {
	if !IsID(token) { // which looks the same
		return "", false
	}
	var in [tokenChars]byte // it stays on the stack: the ID is the only allocation
	copy(in[:], token)
	return Hash(in[:]), true
}

// IsID reports whether a text can be an ID.
func IsID(text string) bool {
	if len(text) != tokenChars {
		return false
	}
	other := uint8(0)
	for i := range len(text) {
		other |= notBase64url[text[i]]
	}
	return other == 0
}

// Hash returns the SHA-256 of a text in the form of an ID.
func Hash(text []byte) string {
	var out [tokenChars]byte
	sum := sha256.Sum256(text)
	base64.RawURLEncoding.Encode(out[:], sum[:])
	return string(out[:])
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// notBase64url is 1 for each byte that is none of base64url.
var notBase64url = func() (set [256]uint8) {
	for c := range set {
		if strings.IndexByte(base64url, byte(c)) < 0 {
			set[c] = 1
		}
	}
	return set
}()
