package express

import (
	"context"
	"time"
)

// Open returns the session ID of a session cookie.
func (s Secrets) Open(cookie string) (sid string, ok bool) { return s.open(cookie) }

// Seal returns the session cookie of a session ID.
func (s Secrets) Seal(sid string) string { return s.seal(sid) }

// Lost are the names that Node loses.
func Lost() []string { return lost }

// Parse returns the values of a document as their texts, and its members.
func Parse(text []byte) (texts, members map[string]string, err error) {
	d, err := parse(text)
	if err != nil {
		return nil, nil, err
	}
	r := d.record(Config{User: User{Name: "userId"}}.withDefaults(), time.Hour)
	members = make(map[string]string)
	for name, raw := range d.members {
		members[name] = string(raw)
	}
	return r.Values, members, nil
}

// MemberOf returns the JSON that stands for the text of a value.
func MemberOf(name, text string) (string, error) { return memberOf(name, text) }

// Edit has a store change a document, past all that is checked before.
func Edit(ctx context.Context, s *Store, sid string, set map[string]string, drop []string) (found bool, err error) {
	var e edit
	for name, raw := range set {
		e.set = append(e.set, member{name, raw})
	}
	e.drop = drop
	done, err := s.backend.change(ctx, sid, e)
	return done.found, err
}
