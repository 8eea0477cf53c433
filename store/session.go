package store

import (
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
)

// A Session describes one session, as a user's list of devices shows it. It
// holds no secret: the ID names the session and does not open it.
type Session struct {
	ID         string    // public, and safe to log; "": not stored
	Name       string    // of the session cookie, without its prefix
	User       string    // "": nobody is signed in
	CreatedAt  time.Time // when it began, also under earlier IDs
	SignedInAt time.Time // last sign-in; zero if nobody is signed in

	// ConfirmedAt is when the user last showed who they are, by signing in or by
	// confirming it.
	ConfirmedAt time.Time

	LastSeenAt time.Time // last use before this request, to the minute; zero: none
	ExpiresAt  time.Time // it lives until then at least; use postpones it
	EndsAt     time.Time // it ends then at the latest; zero: as long as it is used it does not
	Remembered bool      // signed in to be remembered
	UserAgent  string    // of the browser that signed in, at most 256 bytes
	IP         string    // it signed in from
}

// Session describes the record that is kept under id.
func (r Record) Session(id string) Session {
	in := r.signIn()
	return Session{
		ID: id, Name: r.Name, User: r.User,
		CreatedAt: r.Created, SignedInAt: in.At, ConfirmedAt: in.Shown(), LastSeenAt: r.Seen, ExpiresAt: r.Expires, EndsAt: in.Ends,
		Remembered: in.Remembered, UserAgent: in.UserAgent, IP: in.IP,
	}
}

// signIn returns the details of the sign-in, the zero value if nobody is signed in.
func (r Record) signIn() signin.SignIn {
	if r.User == "" {
		return signin.SignIn{}
	}
	return signin.Of(r.Values)
}
