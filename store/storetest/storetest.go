// Package storetest holds the contract of a [store.Backend] as tests. The author
// of a backend calls [Run] from a test of their own:
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Backend { return newBackend(t) })
//	}
//
// A failure says which rule is broken, in words. Run the tests with -race.
package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// Run checks that a backend keeps the contract. newBackend is called for each
// group of rules and returns an empty backend, or one whose records do not
// interfere; Run closes it.
func Run(t *testing.T, newBackend func(t *testing.T) store.Backend) {
	t.Helper()
	for _, group := range []struct {
		name  string
		rules func(*suite)
	}{
		{"create and load", createAndLoad},
		{"text", text},
		{"update", update},
		{"expiry", expiry},
		{"rotate", rotate},
		{"delete", remove},
		{"list", list},
		{"concurrent updates", concurrentUpdates},
		{"update against load", updateAgainstLoad},
		{"update against delete", updateAgainstDelete},
		{"update against rotate", updateAgainstRotate},
		{"rotate against rotate", rotateAgainstRotate},
		{"rotate against delete", rotateAgainstDelete},
		{"rotate against list", rotateAgainstList},
		{"random operations", randomOperations},
		{"close", closing},
	} {
		t.Run(group.name, func(t *testing.T) {
			b := newBackend(t)
			defer func() {
				if err := b.Close(); err != nil {
					t.Errorf("Close must succeed, also a second time: %v", err)
				}
			}()
			group.rules(&suite{T: t, b: b})
		})
	}
}

// suite runs operations of which no error is expected.
type suite struct {
	*testing.T
	b store.Backend
	n int
}

// id returns a new ID of the form that a store uses.
func (s *suite) id() string {
	s.Helper()
	s.n++
	id, ok := store.ID(fmt.Sprintf("%043d", time.Now().UnixNano()+int64(s.n)))
	if !ok {
		s.Fatal("storetest: a made-up secret was refused")
	}
	return id
}

func record(user string, values map[string]string) store.Record {
	now := time.Now()
	return store.Record{User: user, Created: now.Add(-time.Minute), Seen: now, Expires: now.Add(time.Hour), Values: values}
}

func (s *suite) create(r store.Record) string {
	s.Helper()
	id := s.id()
	created, err := s.b.Create(s.Context(), id, r)
	s.must(err)
	if !created {
		s.Fatal("Create of a new ID must report true")
	}
	return id
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("no operation of this test may fail: %v", err)
	}
}

func (s *suite) load(id string) (store.Record, bool) {
	s.Helper()
	r, found, err := s.b.Load(s.Context(), id)
	s.must(err)
	return r, found
}

func (s *suite) update(id string, c store.Change) bool {
	s.Helper()
	found, err := s.b.Update(s.Context(), id, c)
	s.must(err)
	return found
}

func (s *suite) rotate(id, newID string, r store.Record, drop ...string) bool {
	s.Helper()
	found, err := s.b.Rotate(s.Context(), id, newID, r, drop)
	s.must(err)
	return found
}

func (s *suite) delete(id string) bool {
	s.Helper()
	found, err := s.b.Delete(s.Context(), id)
	s.must(err)
	return found
}

func (s *suite) list(user string) map[string]store.Record {
	s.Helper()
	records, err := s.b.List(s.Context(), user)
	s.must(err)
	return records
}

// wantValues checks the values of a session that must be there.
func (s *suite) wantValues(id string, want map[string]string, rule string) {
	s.Helper()
	r, found := s.load(id)
	if !found {
		s.Fatalf("%s: the session is gone", rule)
	}
	if !sameValues(r.Values, want) {
		s.Errorf("%s: values are %q, want %q", rule, r.Values, want)
	}
}

// sameValues compares JSON texts, in which a database may put or leave out spaces.
func sameValues(a, b map[string]string) bool {
	return maps.EqualFunc(a, b, func(a, b string) bool { return a == b || compact(a) == compact(b) })
}

func compact(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return "no JSON: " + text
	}
	return b.String()
}

func (s *suite) wantGone(id, rule string) {
	s.Helper()
	if _, found := s.load(id); found {
		s.Errorf("%s: the session is still there", rule)
	}
}

func createAndLoad(s *suite) {
	want := record("alice", map[string]string{"n": `1`, "name": `"tea"`, "cart": `["json",[{"Name":"tea"}]]`})
	id := s.create(want)
	got, found := s.load(id)
	if !found {
		s.Fatal("Load must find what Create stored")
	}
	if got.User != want.User {
		s.Errorf("Load must return the user: %q, want %q", got.User, want.User)
	}
	for name, times := range map[string][2]time.Time{
		"Created": {got.Created, want.Created}, "Seen": {got.Seen, want.Seen}, "Expires": {got.Expires, want.Expires},
	} {
		if times[0].UnixMilli() != times[1].UnixMilli() {
			s.Errorf("%s must be kept to the millisecond: %v, want %v", name, times[0], times[1])
		}
	}
	s.wantValues(id, want.Values, "Load must return the values that Create stored")

	want.Values["later"] = `1`
	delete(want.Values, "n")
	s.wantValues(id, map[string]string{"n": `1`, "name": `"tea"`, "cart": `["json",[{"Name":"tea"}]]`},
		"the caller's map must not be kept")

	if created, err := s.b.Create(s.Context(), id, record("mallory", map[string]string{"n": `2`})); err != nil || created {
		s.Errorf("Create of a taken ID must report false and no error: %v, %v", created, err)
	}
	if got, _ := s.load(id); got.User != "alice" || got.Values["n"] != `1` {
		s.Errorf("Create of a taken ID must change nothing: user %q, n = %s", got.User, got.Values["n"])
	}
	if len(s.list("mallory")) != 0 {
		s.Error("Create of a taken ID must not put it on the other user's list")
	}

	if r, found := s.load(s.id()); found || r.User != "" || r.Values != nil {
		s.Errorf("Load of an unknown ID must report false and the zero record: %v, %+v", found, r)
	}
	empty := s.create(record("", nil))
	if r, found := s.load(empty); !found || len(r.Values) != 0 || r.User != "" {
		s.Errorf("a session without user and values must be kept: %v, %+v", found, r)
	}
}

// text checks that names, values and users come back as they were.
func text(s *suite) {
	odd := []string{
		"a", "A", "a ", " a", "ä", "a\u0308", "ß", "ss", "日本語", "🍵", `"quoted"`, `back\slash`, `$.path`, `a.b`, `a[0]`, "%", "_", "'; --", "",
		"line\nbreak", "tab\t", strings.Repeat("long", 50), "_kit:x", `_key:["int64","7"]`, "null", "true", "0", "{}", "[]", "~1~0/",
	}
	values := make(map[string]string, len(odd))
	for _, name := range odd {
		values[name] = fmt.Sprintf("%q", "value of "+strings.Map(printable, name))
	}
	id := s.create(record("u", values))
	s.wantValues(id, values, "any name without NUL must be kept apart from any other")
	for _, name := range odd {
		values[name] = `"changed"`
		s.update(id, store.Change{Set: map[string]string{name: `"changed"`}})
		s.wantValues(id, values, fmt.Sprintf("Update of %q must reach that value and no other", name))
	}
	for _, name := range odd {
		delete(values, name)
		s.update(id, store.Change{Delete: []string{name}})
		s.wantValues(id, values, fmt.Sprintf("Delete of %q must reach that value and no other", name))
	}

	users := make(map[string]string, len(odd))
	for _, user := range odd {
		if user == "" {
			continue
		}
		users[user] = s.create(record(user, nil))
	}
	for user, id := range users {
		got := s.list(user)
		if _, ok := got[id]; !ok || len(got) != 1 {
			s.Errorf("the user %q must be told from every other: List has %d sessions, want 1", user, len(got))
		}
		if r, _ := s.load(id); r.User != user {
			s.Errorf("the user's name must come back as it was: %q, want %q", r.User, user)
		}
	}
	big := map[string]string{"big": `"` + strings.Repeat("x", 1<<19) + `"`}
	s.wantValues(s.create(record("", big)), big, "a value of half a mebibyte must be kept")
}

func printable(r rune) rune {
	if r < ' ' || r > '~' || r == '"' || r == '\\' {
		return '.'
	}
	return r
}

func update(s *suite) {
	id := s.create(record("alice", map[string]string{"a": `1`, "b": `2`, "list": `["json",[1,2,3]]`, "obj": `["json",{"x":1}]`}))
	if !s.update(id, store.Change{Set: map[string]string{"b": `3`, "c": `4`}, Delete: []string{"a", "never there"}}) {
		s.Error("Update of a live session must report true")
	}
	s.wantValues(id, map[string]string{"b": `3`, "c": `4`, "list": `["json",[1,2,3]]`, "obj": `["json",{"x":1}]`},
		"Update must put what is set, drop what is deleted and leave the rest")
	s.update(id, store.Change{Set: map[string]string{"list": `["json",[9]]`, "obj": `["json",{"y":null}]`}, Delete: []string{"b", "c"}})
	s.wantValues(id, map[string]string{"list": `["json",[9]]`, "obj": `["json",{"y":null}]`},
		"Update must replace a value as a whole, not merge into it")

	before, _ := s.load(id)
	s.update(id, store.Change{Set: map[string]string{"d": `1`}})
	if r, _ := s.load(id); !r.Seen.Equal(before.Seen) || !r.Expires.Equal(before.Expires) || !r.Created.Equal(before.Created) {
		s.Error("Update with zero times must leave the times alone")
	}
	later := before.Expires.Add(time.Hour)
	s.update(id, store.Change{Seen: later, Expires: later})
	if r, _ := s.load(id); !r.Seen.Equal(later) || !r.Expires.Equal(later) {
		s.Errorf("Update must move Seen and Expires forward: %v, %v, want %v", r.Seen, r.Expires, later)
	}
	s.update(id, store.Change{Seen: before.Seen, Expires: before.Expires})
	if r, _ := s.load(id); !r.Seen.Equal(later) || !r.Expires.Equal(later) {
		s.Error("Update must never move Seen or Expires back")
	}

	unknown := s.id()
	if s.update(unknown, store.Change{Set: map[string]string{"a": `1`}, Expires: later}) {
		s.Error("Update of an unknown ID must report false")
	}
	s.wantGone(unknown, "Update must never create a session")
}

func expiry(s *suite) {
	r := record("alice", map[string]string{"a": `1`})
	r.Expires = time.Now().Add(-time.Millisecond)
	id := s.create(r)
	if s.update(id, store.Change{Set: map[string]string{"a": `2`}, Expires: time.Now().Add(time.Hour)}) {
		s.Error("Update of an expired session must report false")
	}
	if got, found := s.load(id); found && (got.Values["a"] != `1` || got.Expires.After(time.Now())) {
		s.Error("Update must not wake an expired session")
	}
	newID := s.id()
	if s.rotate(id, newID, record("alice", nil)) {
		s.Error("Rotate of an expired session must report false")
	}
	s.wantGone(newID, "Rotate must not wake an expired session")
	if got, found := s.load(id); !found || got.User != "alice" {
		s.Error("Load must return a session that has just expired, so that it can be told from an unknown one")
	}

	r.Expires = time.Now().Add(60 * time.Millisecond).Truncate(time.Millisecond)
	id = s.create(r)
	for {
		before := time.Now()
		live := s.update(id, store.Change{})
		after := time.Now()
		if live && !before.Before(r.Expires) {
			s.Fatalf("a session must end at its Expires: it lived %v longer", before.Sub(r.Expires))
		}
		if !live {
			if after.Before(r.Expires) {
				s.Fatalf("a session must live until its Expires: it ended %v before", r.Expires.Sub(after))
			}
			return
		}
	}
}

func rotate(s *suite) {
	id := s.create(record("", map[string]string{"cart": `"tea"`, "old": `1`, "n": `1`}))
	s.update(id, store.Change{Set: map[string]string{"meanwhile": `1`}})
	newID, next := s.id(), record("alice", map[string]string{"n": `2`, "new": `1`})
	next.Created = time.Now().Add(-time.Hour)
	if !s.rotate(id, newID, next, "old", "never there") {
		s.Fatal("Rotate of a live session must report true")
	}
	s.wantGone(id, "the old ID must be dead after Rotate")
	if s.update(id, store.Change{Set: map[string]string{"late": `1`}}) {
		s.Error("Update of an ID that was rotated away must report false")
	}
	s.wantGone(id, "Update must not bring back an ID that was rotated away")
	s.wantValues(newID, map[string]string{"cart": `"tea"`, "n": `2`, "new": `1`, "meanwhile": `1`},
		"Rotate must carry what stands in the store, less what is dropped, overlaid with what is new")
	got, _ := s.load(newID)
	if got.User != "alice" || got.Created.UnixMilli() != next.Created.UnixMilli() || got.Expires.UnixMilli() != next.Expires.UnixMilli() {
		s.Errorf("Rotate must take user and times from the new record: %+v, want %+v", got, next)
	}
	if _, ok := s.list("alice")[newID]; !ok {
		s.Error("Rotate must put the new ID on its user's list")
	}
	third := s.id()
	s.rotate(newID, third, record("bob", nil))
	if len(s.list("alice")) != 0 || len(s.list("bob")) != 1 {
		s.Error("Rotate must take the old ID off its user's list")
	}
	if again := s.id(); s.rotate(id, again, record("alice", nil)) || len(s.list("alice")) != 0 {
		s.Error("Rotate of a dead ID must report false and create nothing")
	}
}

func remove(s *suite) {
	id := s.create(record("alice", map[string]string{"a": `1`}))
	if !s.delete(id) {
		s.Error("Delete of a session that is there must report true")
	}
	s.wantGone(id, "Delete must remove the session")
	if s.delete(id) {
		s.Error("Delete of a session that is gone must report false")
	}
	if s.update(id, store.Change{Set: map[string]string{"a": `2`}}) {
		s.Error("Update of a deleted session must report false")
	}
	s.wantGone(id, "Update must not bring a deleted session back")
	if len(s.list("alice")) != 0 {
		s.Error("Delete must take the session off its user's list")
	}
}

func list(s *suite) {
	ids := make(map[string]bool)
	for range 12 {
		ids[s.create(record("alice", map[string]string{"a": `1`}))] = true
	}
	s.create(record("bob", nil))
	s.create(record("", nil))
	got := s.list("alice")
	if len(got) != len(ids) {
		s.Errorf("List must return each of the user's sessions and no other: %d, want %d", len(got), len(ids))
	}
	for id, r := range got {
		if !ids[id] || r.User != "alice" || r.Values["a"] != `1` {
			s.Errorf("List must return whole records of that user: %+v", r)
		}
	}
	if n := len(s.list("")); n != 0 {
		s.Errorf("List of the empty user must be empty: %d", n)
	}
	if n := len(s.list("nobody")); n != 0 {
		s.Errorf("List of an unknown user must be empty: %d", n)
	}
}

func closing(s *suite) {
	s.create(record("alice", nil))
	if err := s.b.Close(); err != nil {
		s.Errorf("Close must succeed: %v", err)
	}
}
