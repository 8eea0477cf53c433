package express

import (
	"context"
	"time"
)

// What follows is for the tests of this package, which stand in a module of their own:
// they need drivers, a browser and Express itself.

// SealWith returns the session cookie of a session ID.
func (kit) SealWith(s Secrets, sid string) string { return s.seal(sid) }

// OpenWith returns the session ID of a session cookie.
func (kit) OpenWith(s Secrets, cookie string) (sid string, ok bool) { return s.open(cookie) }

// Lost are the names that Node loses.
func (kit) Lost() []string { return lost }

// Parse returns the values of a document as their texts, and its members.
func (kit) Parse(s Secrets, text []byte) (texts, members map[string]string, err error) {
	d, err := parse(text)
	if err != nil {
		return nil, nil, err
	}
	r := d.record(Config{Secrets: s, User: User{Name: "userId"}}.withDefaults(), time.Hour)
	members = make(map[string]string)
	for name, raw := range d.members {
		members[name] = string(raw)
	}
	return r.Values, members, nil
}

// MemberOf returns the JSON that stands for the text of a value.
func (kit) MemberOf(s Secrets, name, text string) (string, error) {
	return Config{Secrets: s}.memberOf(name, text)
}

// Without returns a document without the members of these names.
func (kit) Without(text string, names ...string) string {
	e := edit{drop: names}
	next, _ := e.apply(text)
	return next
}

// Swap stores a document in place of another one.
func (k kit) Swap(ctx context.Context, sid, text, next string) error {
	return k.s.backend.swap(ctx, sid, text, next)
}

// Edit has the store change a document, past all that is checked before.
func (k kit) Edit(ctx context.Context, sid string, set map[string]string, drop []string) (found bool, err error) {
	var e edit
	for name, raw := range set {
		e.set = append(e.set, member{name, raw})
	}
	e.drop = drop
	done, err := k.s.backend.change(ctx, sid, "", e)
	return done.found, err
}
