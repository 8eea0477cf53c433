package store

import (
	"context"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/dbsc"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// A Session describes one session, as a user's list of devices shows it. It
// holds no secret: the ID names the session and does not open it.
type Session struct {
	ID         string    // public, and safe to log; "": not stored
	Name       string    // of the session cookie, without its prefix
	User       string    // "": nobody is signed in
	CreatedAt  time.Time // when it began, also under earlier IDs
	SignedInAt time.Time // last sign-in; zero if nobody is signed in, or nobody knows when, as after Migrate

	// ConfirmedAt is when the user last showed who they are, by signing in or by
	// confirming it.
	ConfirmedAt time.Time

	LastSeenAt time.Time // last use before this request, to the minute; zero: none
	ExpiresAt  time.Time // it lives until then at least; use postpones it
	EndsAt     time.Time // it ends then at the latest; zero: as long as it is used it does not
	Remembered bool      // signed in to be remembered
	UserAgent  string    // of the browser that signed in, at most 256 bytes
	IP         string    // it signed in from

	// Bound means that the session is bound to a device, and ProvedAt is when the browser
	// has last proved that it has the key: see Config.DeviceBound of sessionkit. Store.All
	// leaves them empty over some backends.
	Bound    bool
	ProvedAt time.Time
}

// Session describes the record that is kept under id.
func (r Record) Session(id string) Session {
	in := r.signIn()
	bound, proved := dbsc.Describe(r.Values[dbsc.Name])
	return Session{
		ID: id, Name: r.Name, User: r.User,
		CreatedAt: r.Created, SignedInAt: in.At, ConfirmedAt: in.Shown(), LastSeenAt: r.Seen, ExpiresAt: r.Expires, EndsAt: in.Ends,
		Remembered: in.Remembered, UserAgent: in.UserAgent, IP: in.IP, Bound: bound, ProvedAt: proved,
	}
}

// signIn returns the details of the sign-in, the zero value if nobody is signed in.
func (r Record) signIn() signin.SignIn {
	if r.User == "" {
		return signin.SignIn{}
	}
	return signin.Of(r.Values)
}

// withBindings adds to records of a list what they keep of their devices. A list need not
// have it, and few have any.
func (s *Store) withBindings(ctx context.Context, records map[string]Record) error {
	var ids []string
	for id, r := range records {
		if _, there := r.Values[dbsc.Name]; !there && r.signIn().MayBeBound {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	whole, err := s.loadFresh(ctx, ids...)
	if err != nil {
		return err
	}
	for id, w := range whole {
		if text := w.Values[dbsc.Name]; text != "" {
			r := records[id]
			r.Values = value.Apply(r.Values, map[string]string{dbsc.Name: text}, nil)
			records[id] = r
		}
	}
	return nil
}
