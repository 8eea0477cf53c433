// Package dbsc is the protocol of Device Bound Session Credentials
// (https://w3c.github.io/webappsec-dbsc/): the proofs that browsers send, the headers and
// the session instructions that servers answer with, and what a session keeps of them. It
// knows nothing of requests and of stores.
//
// Where the specification and Chromium differ, this package accepts both, and writes what
// Chromium accepts.
package dbsc

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The header fields of the protocol, as http.Header spells them.
const (
	HeaderRegistration = "Secure-Session-Registration" // response: offers registration
	HeaderChallenge    = "Secure-Session-Challenge"    // response: what the next proof is to sign
	HeaderProof        = "Secure-Session-Response"     // request: a proof
	HeaderID           = "Sec-Secure-Session-Id"       // request: which binding is to be refreshed
	HeaderSkipped      = "Secure-Session-Skipped"      // request: the browser could not refresh, and why
)

// Registration returns the value of [HeaderRegistration]: the browser is to make a key and
// to prove at path, by signing challenge, that it has it.
func Registration(path, challenge string) string {
	return fmt.Sprintf(`(%s %s);path="%s";challenge="%s"`, ES256, RS256, path, challenge)
}

// Challenge returns the value of [HeaderChallenge] for a binding. Browsers ignore a
// challenge without the ID.
func Challenge(challenge, id string) string {
	return fmt.Sprintf(`"%s";id="%s"`, challenge, id)
}

// TriesAgain reports whether the values of [HeaderSkipped] say that the server failed or could
// not be reached: the browser pauses, and then refreshes again. One that has no signatures left
// may need minutes. What they say of another binding than that of the ID does not count.
func TriesAgain(fields []string, id string) bool {
	for item := range strings.SplitSeq(strings.Join(fields, ","), ",") { // one for each binding
		reason, parameters, _ := strings.Cut(item, ";")
		_, of, named := strings.Cut(parameters, "session_identifier=")
		if of, _, _ = strings.Cut(of, ";"); named && Unquote(of) != id {
			continue
		}
		if reason = strings.TrimSpace(reason); reason == "server_error" || reason == "unreachable" {
			return true
		}
	}
	return false
}

// Unquote returns the text of a header field that the specification has as a quoted
// string, and that Chromium sends bare.
func Unquote(field string) string {
	field = strings.TrimSpace(field)
	if len(field) > 1 && field[0] == '"' && field[len(field)-1] == '"' {
		return field[1 : len(field)-1]
	}
	return field
}

const maxIDBytes = 128

// IsID reports whether a text can be the ID of a binding: it then needs no escape in a
// header or in JSON.
func IsID(s string) bool {
	if s == "" || len(s) > maxIDBytes {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// Instructions are what a browser is told of its binding.
type Instructions struct {
	ID         string // of the binding
	RefreshURL string
	Cookie     string   // the name of the bound cookie
	Attributes string   // of the bound cookie, exactly as it is set; otherwise browsers refresh before every request
	Initiators []string // hosts of other origins whose pages may have the browser refresh
}

// Text returns the instructions as JSON. The scope is the origin that was registered at.
// The pages of no other origin can have the browser refresh but of the Initiators.
func (i Instructions) Text() []byte {
	type credential struct {
		Type       string `json:"type"`
		Name       string `json:"name"`
		Attributes string `json:"attributes"`
	}
	type scope struct {
		IncludeSite bool `json:"include_site"`
	}
	text, _ := json.Marshal(struct { // its fields all encode
		ID          string       `json:"session_identifier"`
		RefreshURL  string       `json:"refresh_url"`
		Scope       scope        `json:"scope"`
		Credentials []credential `json:"credentials"`
		Initiators  []string     `json:"allowed_refresh_initiators,omitempty"`
	}{i.ID, i.RefreshURL, scope{}, []credential{{"cookie", i.Cookie, i.Attributes}}, i.Initiators})
	return text
}

// End returns the answer by which a browser forgets a binding. Without the ID Chromium
// reports an error.
func End(id string) []byte {
	text, _ := json.Marshal(struct {
		ID       string `json:"session_identifier"`
		Continue bool   `json:"continue"`
	}{ID: id})
	return text
}
