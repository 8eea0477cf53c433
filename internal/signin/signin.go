// Package signin keeps the details of a sign-in among the values of a session.
package signin

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// Name is the name of the value that holds a [SignIn].
const Name = value.OwnPrefix + "sign_in"

// MaxUserBytes bounds the name of a user.
const MaxUserBytes = 255

// IsUser reports whether a text can name a user.
func IsUser(user string) bool {
	return user != "" && len(user) <= MaxUserBytes && utf8.ValidString(user) && strings.IndexByte(user, 0) < 0
}

// SignIn is what a session keeps of the sign-in.
type SignIn struct {
	At         time.Time `json:"at"`
	Confirmed  time.Time `json:"confirmed,omitzero"` // when the user has shown once more who they are
	Ends       time.Time `json:"ends,omitzero"`      // at the latest
	Remembered bool      `json:"remembered,omitempty"`
	Values     bool      `json:"values,omitempty"` // by values of the application's own: see Config.UserOf
	UserAgent  string    `json:"user_agent,omitempty"`
	IP         string    `json:"ip,omitempty"`

	// Idle and Lifetime are of this sign-in alone. 0: those of the configuration.
	Idle     time.Duration `json:"idle,omitempty"`
	Lifetime time.Duration `json:"lifetime,omitempty"`

	// Line is the same for all IDs that the session has from this sign-in on, and
	// no other session ever has it. So whoever ends the session under an ID that it
	// had finds it under the one that it has.
	Line string `json:"line"`

	// Epoch is that of the user when the sign-in was saved: see the store's
	// boundaries. "": nothing of the user had been ended shortly before.
	Epoch string `json:"epoch,omitempty"`

	// Mark is the ID under which a session was known that was signed in to before the store's
	// Migrate moved it, or has yet to move: that of its mark. All requests that come with its
	// old cookie know it by that.
	Mark string `json:"mark,omitempty"`

	// MayBeBound means that the browser was offered to bind the session to its device:
	// whether it did is another value's to say.
	MayBeBound bool `json:"may_be_bound,omitempty"`

	// Turn comes in place of At where sign-ins are put in order: the clock that made
	// an earlier one was ahead. 0: it was not.
	Turn int64 `json:"turn,omitempty"`
}

// Shown returns when the user has last shown who they are.
func (s SignIn) Shown() time.Time {
	if s.Confirmed.After(s.At) {
		return s.Confirmed
	}
	return s.At
}

// Order is greater for a later sign-in.
func (s SignIn) Order() int64 { return max(s.Turn, s.At.UnixMilli()) }

// Of returns the sign-in among the values of a session, the zero value if there
// is none.
func Of(values map[string]string) SignIn {
	var s SignIn
	if text := values[Name]; text != "" {
		if s, ok := plainOf(text); ok {
			return s
		}
		v, _ := value.Decode(text)
		if j, ok := v.(value.JSON); !ok || json.Unmarshal([]byte(j), &s) != nil {
			return SignIn{}
		}
	}
	return s
}

// Text returns the value that holds s.
func (s SignIn) Text() string {
	if text, ok := s.plainText(); ok {
		return text
	}
	j, _ := json.Marshal(s) // its fields all encode
	text, _ := value.Encode(value.JSON(j))
	return text
}

// An Attempt is a sign-in that is under way. The zero value is none.
type Attempt struct {
	Began time.Time // its request; with the reading of the monotonic clock

	// Noted means that Epoch is that of the user before the credentials were
	// checked. Otherwise the beginning of the request counts.
	Noted bool
	Epoch string

	Limit int // of the user's sessions; 0: none

	// SignIn is what the record holds of the sign-in, if the caller knows; nil: the record
	// is to be asked.
	SignIn *SignIn
}

// IsZero reports whether there is none.
func (a Attempt) IsZero() bool { return a.Began.IsZero() }
