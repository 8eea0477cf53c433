package store

import (
	"encoding/json"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// A Session describes one session, as a user's list of devices shows it. It
// holds no secret: the ID names the session and does not open it.
type Session struct {
	ID         string    // public handle, the same as the backend's ID of the record; "": not stored
	User       string    // "": nobody is signed in
	CreatedAt  time.Time // when it began, also under earlier IDs
	SignedInAt time.Time // last sign-in; zero where nobody is signed in
	LastSeenAt time.Time // last use, to the minute
	ExpiresAt  time.Time // it lives until then at least; use moves it on
	Remembered bool      // signed in to be remembered
	UserAgent  string    // of the browser that signed in, at most 256 bytes
	IP         string    // it signed in from
}

// SignIn is what a record keeps of the sign-in.
type SignIn struct {
	At         time.Time `json:"at"`
	Remembered bool      `json:"remembered,omitempty"`
	UserAgent  string    `json:"user_agent,omitempty"`
	IP         string    `json:"ip,omitempty"`

	// Line is the same for all IDs that the session has from this sign-in on, so
	// that a sign-out also ends one that was given a new ID meanwhile.
	Line string `json:"line"`
}

// signInName is the name of the value that holds the [SignIn].
const signInName = value.OwnPrefix + "sign_in"

// SignIn returns what the record keeps of the sign-in, the zero value if nobody
// is signed in.
func (r Record) SignIn() SignIn {
	var s SignIn
	if text := r.Values[signInName]; text != "" && r.User != "" {
		v, _ := value.Decode(text)
		if j, ok := v.(value.JSON); !ok || json.Unmarshal([]byte(j), &s) != nil {
			return SignIn{}
		}
	}
	return s
}

// WithSignIn returns the record with the sign-in written to a copy of its values.
func (r Record) WithSignIn(s SignIn) Record {
	j, _ := json.Marshal(s) // its fields all encode
	text, _ := value.Encode(value.JSON(j))
	r.Values = value.Apply(r.Values, map[string]string{signInName: text}, nil)
	return r
}

// Session describes the record that is kept under id.
func (r Record) Session(id string) Session {
	in := r.SignIn()
	return Session{
		ID: id, User: r.User,
		CreatedAt: r.Created, SignedInAt: in.At, LastSeenAt: r.Seen, ExpiresAt: r.Expires,
		Remembered: in.Remembered, UserAgent: in.UserAgent, IP: in.IP,
	}
}
