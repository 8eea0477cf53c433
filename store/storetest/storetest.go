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
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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
		{"condition", condition},
		{"size", size},
		{"expiry", expiry},
		{"rotate", rotate},
		{"peek", peek},
		{"end", ending},
		{"delete", remove},
		{"list", list},
		{"scan", scan},
		{"count", count},
		{"kinds", kinds},
		{"watch", watch},
		{"clock", clock},
		{"concurrent updates", concurrentUpdates},
		{"conditional updates", conditionalUpdates},
		{"size against updates", sizeAgainstUpdates},
		{"peek against update", peekAgainstUpdate},
		{"update against load", updateAgainstLoad},
		{"update against end", updateAgainstEnd},
		{"update against delete", updateAgainstDelete},
		{"update against rotate", updateAgainstRotate},
		{"rotate against rotate", rotateAgainstRotate},
		{"rotate against end", rotateAgainstEnd},
		{"rotate against list", rotateAgainstList},
		{"rotate against scan", rotateAgainstScan},
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

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

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
	return store.Record{Name: "session", User: user, Created: now.Add(-time.Minute), Seen: now, Expires: now.Add(time.Hour), Values: values}
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

func (s *suite) must2(ok bool, err error) {
	s.Helper()
	if s.must(err); !ok {
		s.Fatal("the operation must report true")
	}
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
	o, err := s.b.Update(s.Context(), id, c)
	s.must(err)
	return o.Changed()
}

// moveTo returns a move to a new ID.
func moveTo(newID string, r store.Record, drop ...string) store.Move {
	trace := record(r.User, nil)
	trace.Expires, trace.Ended, trace.Next = time.Now(), store.Renewed, newID
	return store.Move{ID: newID, Record: r, Drop: drop, Trace: trace}
}

// signInOf returns the value that keeps a sign-in. The line is the same for all
// IDs that the session has.
func signInOf(line string) map[string]string {
	return map[string]string{store.SignInValue: fmt.Sprintf(`["json",{"at":"2026-01-02T03:04:05Z","line":%q}]`, line)}
}

func (s *suite) rotate(id, newID string, r store.Record, drop ...string) bool {
	s.Helper()
	found, err := s.b.Rotate(s.Context(), id, moveTo(newID, r, drop...))
	s.must(err)
	return found
}

// end reports whether the session was ended by this call.
func (s *suite) end(user string, why store.Ending, id string) bool {
	s.Helper()
	ended, err := s.b.End(s.Context(), user, why, id)
	return s.try(len(ended) == 1 && ended[0] == id, err)
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

// wantDead checks what is left of a session that has ended.
func (s *suite) wantDead(id string, why store.Ending, rule string) {
	s.Helper()
	r, found := s.load(id)
	if !found || r.Ended != why || time.Now().Before(r.Expires.Add(-time.Second)) {
		s.Errorf("%s, and leave a trace that says %q: found %v, %q, expires %v", rule, why, found, r.Ended, r.Expires)
	}
}

// wantTimes checks times of a record, which are kept to the millisecond.
func (s *suite) wantTimes(got, want store.Record, rule string) {
	s.Helper()
	for _, t := range []struct {
		name      string
		got, want time.Time
	}{
		{"Created", got.Created, want.Created}, {"Since", got.Since, want.Since}, {"Seen", got.Seen, want.Seen},
	} {
		if t.got.IsZero() != t.want.IsZero() || t.got.UnixMilli() != t.want.UnixMilli() {
			s.Errorf("%s: %s is %v, want %v", rule, t.name, t.got, t.want)
		}
	}
}

func createAndLoad(s *suite) {
	want := record("alice", map[string]string{"n": `1`, "name": `"tea"`, "cart": `["json",[{"Name":"tea"}]]`})
	want.Since = time.Now().Add(-time.Second)
	id := s.create(want)
	got, found := s.load(id)
	if !found {
		s.Fatal("Load must find what Create stored")
	}
	if got.User != want.User {
		s.Errorf("Load must return the user: %q, want %q", got.User, want.User)
	}
	for name, times := range map[string][2]time.Time{
		"Created": {got.Created, want.Created}, "Since": {got.Since, want.Since}, "Seen": {got.Seen, want.Seen}, "Expires": {got.Expires, want.Expires},
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
	if r, found := s.load(empty); !found || len(r.Values) != 0 || r.User != "" || !r.Since.IsZero() {
		s.Errorf("a session without user and values must be kept: %v, %+v", found, r)
	}
}

// oddNames are names of values, and of users.
var oddNames = []string{
	"a", "A", "a ", " a", "ä", "a\u0308", "ß", "ss", "日本語", "🍵", `"quoted"`, `back\slash`, `$.path`, `a.b`, `a[0]`, "%", "_", "'; --", "",
	"line\nbreak", "tab\t", strings.Repeat("long", 50), "_kit:x", `_key:["int64","7"]`, "null", "true", "0", "{}", "[]", "~1~0/",
	"R&D", "a<b", "a->b", "-a", "-", "a\u2028b",
}

// text checks that names, values and users come back as they were.
func text(s *suite) {
	odd := oddNames
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

	long := strings.Repeat("u", 511) // the last byte of 512 tells users apart
	odd = append(slices.Clone(odd), long+"a", long+"b")
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
	made := record("alice", map[string]string{"a": `1`, "b": `2`, "list": `["json",[1,2,3]]`, "obj": `["json",{"x":1}]`})
	made.Since = time.Now().Add(-time.Second)
	id := s.create(made)
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

	got, _ := s.load(id)
	if got.Name != made.Name || got.User != made.User {
		s.Errorf("Update must leave the name and the user alone: %+v, want %+v", got, made)
	}
	made.Seen = later
	s.wantTimes(got, made, "Update must leave Created and Since alone")

	unknown := s.id()
	if s.update(unknown, store.Change{Set: map[string]string{"a": `1`}, Expires: later}) {
		s.Error("Update of an unknown ID must report that it is not found")
	}
	s.wantGone(unknown, "Update must never create a session")
}

// condition checks changes that depend on what stands.
func condition(s *suite) {
	values := map[string]string{"n": `1`, "other": `1`}
	id := s.create(record("alice", values))
	update := func(c store.Change) store.Outcome {
		s.Helper()
		o, err := s.b.Update(s.Context(), id, c)
		s.must(err)
		return o
	}
	before, _ := s.load(id)
	o := update(store.Change{
		Set: map[string]string{"n": `3`, "new": `1`}, Delete: []string{"other"}, Seen: time.Now().Add(time.Hour), Expires: time.Now().Add(3 * time.Hour),
		If: &store.Condition{Name: "n", Text: `2`},
	})
	if !o.Found || !o.Conflict || o.Text != `1` {
		s.Errorf("a condition that does not hold is a conflict, which tells what stands: %+v, want 1", o)
	}
	s.wantValues(id, values, "a conflict must leave everything untouched")
	if r, _ := s.load(id); !r.Seen.Equal(before.Seen) || !r.Expires.Equal(before.Expires) {
		s.Error("a conflict must leave the times untouched")
	}
	if o := update(store.Change{Set: map[string]string{"n": `2`}, Delete: []string{"other"}, If: &store.Condition{Name: "n", Text: `1`}}); !o.Changed() {
		s.Errorf("a change whose condition holds must be made: %+v", o)
	}
	s.wantValues(id, map[string]string{"n": `2`}, "a change whose condition holds must be made as a whole")
	if o := update(store.Change{Delete: []string{"n"}, If: &store.Condition{Name: "n", Text: `2`}}); !o.Changed() {
		s.Errorf("a value must be dropped if it stands as given: %+v", o)
	}
	if o := update(store.Change{Set: map[string]string{"n": `9`}, If: &store.Condition{Name: "n", Text: `2`}}); !o.Conflict || o.Text != "" {
		s.Errorf("that there is no value must be told apart from every text: %+v", o)
	}
	if o := update(store.Change{Set: map[string]string{"n": `9`}, If: &store.Condition{Name: "n"}}); !o.Changed() {
		s.Errorf("that there is no value is a condition as well: %+v", o)
	}
	if o := update(store.Change{Set: map[string]string{"n": `8`}, If: &store.Condition{Name: "n"}}); !o.Conflict || o.Text != `9` {
		s.Errorf("a value that is there is a conflict with its absence: %+v", o)
	}
	if o := update(store.Change{Seen: time.Now(), If: &store.Condition{Name: "n", Text: `9`}}); !o.Changed() {
		s.Errorf("a change of the times alone may have a condition: %+v", o)
	}

	// Comparing goes by what Load returns, also where the medium writes it another way.
	for _, text := range []string{
		`""`, `"text"`, `true`, `-0`, `0`, `1e3`, `1.0`, `1.10`, `12345678901234567890`, `0.1234567890123456789`, `"\u00e9"`, `"\/"`, `"\ud83c\udf75"`,
		`["json",{"b":1,"a":[1, 2.50, null]}]`, `["json",{"a":1,"a":2}]`, `["json",{"":{"x":null}}]`, `["raw","[1]"]`, `["json","é\n\"\\"]`,
		`["json",[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]`,
	} {
		s.update(id, store.Change{Set: map[string]string{"n": text}})
		r, _ := s.load(id)
		stands := r.Values["n"]
		if o := update(store.Change{Set: map[string]string{"n": `["json",{"c":0}]`}, If: &store.Condition{Name: "n", Text: stands}}); !o.Changed() {
			s.Errorf("a condition must hold that was loaded as %s: %+v", stands, o)
			continue
		}
		s.update(id, store.Change{Set: map[string]string{"n": text}})
		o := update(store.Change{Set: map[string]string{"n": `0`}, If: &store.Condition{Name: "n", Text: `"other"`}})
		if !o.Conflict || compact(o.Text) != compact(stands) {
			s.Errorf("a conflict must tell what stands as Load does: %+v, want %s", o, stands)
			continue
		}
		if o := update(store.Change{Set: map[string]string{"n": `1`}, If: &store.Condition{Name: "n", Text: o.Text}}); !o.Changed() {
			s.Errorf("a condition must hold that a conflict told: %+v", o)
		}
	}
	for _, name := range oddNames {
		s.update(id, store.Change{Set: map[string]string{name: `"a"`}})
		if o := update(store.Change{Set: map[string]string{name: `"c"`}, If: &store.Condition{Name: name, Text: `"b"`}}); !o.Conflict || o.Text != `"a"` {
			s.Errorf("a condition on %q must reach that value and no other: %+v", name, o)
		}
		if o := update(store.Change{Set: map[string]string{name: `"c"`}, If: &store.Condition{Name: name, Text: `"a"`}}); !o.Changed() {
			s.Errorf("a condition on %q that holds must let the change be made: %+v", name, o)
		}
		s.update(id, store.Change{Delete: []string{name}})
		if o := update(store.Change{If: &store.Condition{Name: name}}); !o.Changed() {
			s.Errorf("a condition that there is no %q must hold: %+v", name, o)
		}
	}

	s.end("alice", store.Revoked, id)
	for _, id := range []string{id, s.id()} {
		o, err := s.b.Update(s.Context(), id, store.Change{Set: map[string]string{"n": `1`}, If: &store.Condition{Name: "n"}})
		if s.must(err); o.Found || o.Conflict {
			s.Errorf("a session that is not live is not found, whatever the condition: %+v", o)
		}
	}
}

// quoted returns a value of n bytes, which every medium keeps as it is.
func quoted(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }

// size checks changes that are bounded by what the values take.
func size(s *suite) {
	const most = 1000
	id := s.create(record("alice", map[string]string{"a": quoted(599)})) // with the name: 600
	refused := func(c store.Change, what string) {
		s.Helper()
		before, _ := s.load(id)
		c.MaxBytes, c.Seen, c.Expires = most, time.Now().Add(time.Hour), time.Now().Add(3*time.Hour)
		if o, err := s.b.Update(s.Context(), id, c); !errors.Is(err, store.ErrTooLarge) {
			s.Fatalf("Update must return ErrTooLarge for %s: %+v, %v", what, o, err)
		}
		s.wantValues(id, before.Values, "a change that is too large must leave everything untouched")
		if r, _ := s.load(id); !r.Seen.Equal(before.Seen) || !r.Expires.Equal(before.Expires) {
			s.Error("a change that is too large must leave the times untouched")
		}
	}
	made := func(c store.Change, what string) {
		s.Helper()
		if o, err := s.b.Update(s.Context(), id, c); err != nil || !o.Changed() {
			s.Fatalf("Update must make %s: %+v, %v", what, o, err)
		}
	}
	put := func(name string, n int, drop ...string) store.Change {
		return store.Change{Set: map[string]string{name: quoted(n)}, Delete: drop, MaxBytes: most}
	}
	refused(put("b", 400), "a value that is one byte more than there is room for")
	refused(put("a", 1000), "a value that becomes too large itself")
	conditional := put("b", 400)
	conditional.If = &store.Condition{Name: "a", Text: quoted(599)}
	refused(conditional, "one that has a condition, which holds")
	conditional.If = &store.Condition{Name: "a", Text: quoted(3)}
	if o, err := s.b.Update(s.Context(), id, conditional); err != nil || !o.Conflict || compact(o.Text) != quoted(599) {
		s.Errorf("a condition that does not hold is a conflict, whatever the size: %+v, %v", o, err)
	}
	made(put("b", 399), "a change that takes all the room there is")
	s.wantValues(id, map[string]string{"a": quoted(599), "b": quoted(399)}, "a change that fits must be made as a whole")
	made(put("c", 598, "a", "never there"), "one that first makes room by what it drops")
	made(put("c", 598), "one that leaves all as it is")
	refused(put("d", 600, "c"), "what it puts and drops together")
	conditional = put("b", 399)
	conditional.If = &store.Condition{Name: "b", Text: quoted(399)}
	made(conditional, "one whose condition holds, and which fits")

	unbounded := put("d", 5000)
	unbounded.MaxBytes = 0
	made(unbounded, "a change of any size if it has no bound")
	made(put("d", 4999), "one that leaves what is too large already smaller")
	made(put("e", 10, "c"), "one that drops more than it puts")
	made(store.Change{Delete: []string{"b"}, MaxBytes: most}, "one that only drops")
	refused(put("d", 5000), "one that makes it larger again")

	newID := s.id()
	move := moveTo(newID, record("bob", map[string]string{"f": quoted(10)}))
	move.MaxBytes = most
	if found, err := s.b.Rotate(s.Context(), id, move); !errors.Is(err, store.ErrTooLarge) {
		s.Fatalf("Rotate must return ErrTooLarge for values that become too large: %v, %v", found, err)
	}
	s.wantGone(newID, "Rotate of what becomes too large must create nothing")
	s.wantValues(id, map[string]string{"d": quoted(4999), "e": quoted(10)}, "Rotate of what becomes too large must leave the session alone")
	if len(s.list("bob")) != 0 || len(s.list("alice")) != 1 {
		s.Error("Rotate of what becomes too large must leave the users' lists alone")
	}
	move.Drop = []string{"d"}
	s.must2(s.b.Rotate(s.Context(), id, move))
	s.wantValues(newID, map[string]string{"e": quoted(10), "f": quoted(10)}, "Rotate must move what fits")
	for _, dead := range []string{id, s.id()} {
		if o, err := s.b.Update(s.Context(), dead, put("b", 2000)); err != nil || o.Found {
			s.Errorf("a session that is not live is not found, whatever the size: %+v, %v", o, err)
		}
		move := moveTo(s.id(), record("bob", map[string]string{"f": quoted(2000)}))
		move.MaxBytes = most
		if found, err := s.b.Rotate(s.Context(), dead, move); err != nil || found {
			s.Errorf("a session that is not live gets no new ID, whatever the size: %v, %v", found, err)
		}
	}
	manyValues(s)
}

// manyValues: what a medium needs beside the values, or saves, does not count.
func manyValues(s *suite) {
	for _, text := range []string{`1234567890123456789`, `"\n"`, quoted(70)} {
		values := make(map[string]string)
		bytes := 0
		for i := range 100 {
			name := fmt.Sprintf("%03d", i)
			values[name] = text
			bytes += len(name) + len(text)
		}
		id := s.create(record("", values))
		change := store.Change{Set: map[string]string{"100": text}, MaxBytes: bytes + 2 + len(text)}
		if o, err := s.b.Update(s.Context(), id, change); !errors.Is(err, store.ErrTooLarge) {
			s.Errorf("Update must count names and texts of many values: %s a hundred times, and once more: %+v, %v", text, o, err)
		}
		change.MaxBytes++
		if o, err := s.b.Update(s.Context(), id, change); err != nil || !o.Changed() {
			s.Errorf("Update must count nothing but names and texts: %s a hundred times, and once more: %+v, %v", text, o, err)
		}
	}
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
	if s.end("alice", store.Revoked, id) {
		s.Error("End of an expired session must not return its ID")
	}
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
	next.Created, next.Since, next.Seen = time.Now().Add(-time.Hour), time.Now(), time.Now().Add(-time.Second)
	if !s.rotate(id, newID, next, "old", "never there") {
		s.Fatal("Rotate of a live session must report true")
	}
	s.wantDead(id, store.Renewed, "the old ID must be dead after Rotate")
	if s.update(id, store.Change{Set: map[string]string{"late": `1`}, Expires: time.Now().Add(time.Hour)}) {
		s.Error("Update of an ID that was rotated away must not find it")
	}
	s.wantDead(id, store.Renewed, "Update must not bring back an ID that was rotated away")
	if s.end("", store.Revoked, id) {
		s.Error("End of an ID that was rotated away must not return it")
	}
	s.wantValues(newID, map[string]string{"cart": `"tea"`, "n": `2`, "new": `1`, "meanwhile": `1`},
		"Rotate must carry what stands in the store, less what is dropped, overlaid with what is new")
	got, _ := s.load(newID)
	if got.User != "alice" || got.Expires.UnixMilli() != next.Expires.UnixMilli() {
		s.Errorf("Rotate must take user and times from the new record: %+v, want %+v", got, next)
	}
	s.wantTimes(got, next, "Rotate must take user and times from the new record")
	if _, ok := s.list("alice")[newID]; !ok {
		s.Error("Rotate must put the new ID on its user's list")
	}
	third := s.id()
	s.rotate(newID, third, record("bob", nil))
	if len(s.list("alice")) != 0 || len(s.list("bob")) != 1 {
		s.Error("Rotate must take the old ID off its user's list")
	}
	m := moveTo(s.id(), record("bob", signInOf("line")))
	m.Record.Name = "other"
	m.Trace.User, m.Trace.Name, m.Trace.Values = "bob", "session", signInOf("the line before")
	m.Trace.Since = time.Now().Add(-time.Second)
	s.must2(s.b.Rotate(s.Context(), third, m))
	trace, _ := s.load(third)
	if trace.User != "bob" || trace.Name != "session" || trace.Next != m.ID || !sameValues(trace.Values, m.Trace.Values) {
		s.Errorf("Rotate must leave the given trace: %+v, want %+v", trace, m.Trace)
	}
	s.wantTimes(trace, m.Trace, "Rotate must leave the given trace")
	if got, _ := s.load(m.ID); got.Name != "other" {
		s.Errorf("Rotate must take the name from the new record: %q, want %q", got.Name, "other")
	}
	if again := s.id(); s.rotate(id, again, record("alice", nil)) || len(s.list("alice")) != 0 {
		s.Error("Rotate of a dead ID must report false and create nothing")
	}
}

// peek is for backends that can do it.
func peek(s *suite) {
	b, ok := s.b.(store.PeekingBackend)
	if !ok {
		return
	}
	one := s.create(record("", map[string]string{"a": `"one"`, "b": `1`}))
	two := s.create(record("alice", map[string]string{"a": `"two"`}))
	other := s.create(record("", map[string]string{"b": `1`}))
	r := record("", map[string]string{"a": `"kind"`})
	r.Kind, r.Expires = "other", time.Now().Add(-time.Second)
	kind := s.create(r)
	for _, test := range []struct{ ids, want []string }{
		{nil, nil},
		{[]string{s.id()}, []string{""}},
		{[]string{s.id(), one}, []string{"", `"one"`}},
		{[]string{kind, one}, []string{`"kind"`, `"one"`}},
		{[]string{two, other, s.id(), one}, []string{`"two"`, "", "", `"one"`}},
	} {
		p, id, newID := store.Peek{Name: "a", IDs: test.ids}, s.id(), s.id()
		check := func(doing string, want bool, stored bool, texts []string, err error) {
			s.Helper()
			s.must(err)
			switch {
			case stored != want:
				s.Errorf("%s must report %t", doing, want)
			case !stored && len(texts) > 0:
				s.Errorf("%s that stores nothing must return no texts: %q", doing, texts)
			case stored && !slices.Equal(texts, test.want) && len(texts)+len(strings.Join(test.want, "")) > 0:
				s.Errorf("%s must return what stands in the other records, in their order: %q, want %q", doing, texts, test.want)
			}
		}
		stored, texts, err := b.CreateAndPeek(s.Context(), id, record("alice", map[string]string{"a": `"own"`}), p)
		check("CreateAndPeek of a new ID", true, stored, texts, err)
		stored, texts, err = b.RotateAndPeek(s.Context(), id, moveTo(newID, record("alice", nil)), p)
		check("RotateAndPeek of a live session", true, stored, texts, err)
		s.wantValues(newID, map[string]string{"a": `"own"`}, "RotateAndPeek must carry what stands in the store")
		s.wantDead(id, store.Renewed, "the old ID must be dead after RotateAndPeek")
		stored, texts, err = b.CreateAndPeek(s.Context(), newID, record("alice", nil), p)
		check("CreateAndPeek of an ID that is taken", false, stored, texts, err)
		stored, texts, err = b.RotateAndPeek(s.Context(), id, moveTo(s.id(), record("alice", nil)), p)
		check("RotateAndPeek of a session that has another ID", false, stored, texts, err)
	}
}

func ending(s *suite) {
	r := record("alice", map[string]string{"a": `1`})
	r.Since, r.Seen = time.Now().Add(-time.Minute), time.Now().Add(-time.Second)
	id, other := s.create(r), s.create(record("alice", nil))
	if !s.end("alice", store.SignedOut, id) {
		s.Error("End of a live session must return its ID")
	}
	s.wantDead(id, store.SignedOut, "End must end the session")
	got, _ := s.load(id)
	if got.User != "alice" || got.Name != r.Name || len(got.Values) != 0 {
		s.Errorf("what is left of a session that was ended has its user and name, and no values: %+v", got)
	}
	s.wantTimes(got, r, "what is left of a session that was ended has its times, but for Expires")
	if s.end("alice", store.Revoked, id) {
		s.Error("End of a session that has ended must not return its ID")
	}
	s.wantDead(id, store.SignedOut, "the first End must stand")
	replaced := s.create(record("alice", nil))
	if !s.end("alice", store.Replaced, replaced) {
		s.Error("End of a live session must return its ID")
	}
	s.wantDead(replaced, store.Replaced, "End must keep its reason")
	if s.update(id, store.Change{Set: map[string]string{"a": `2`}, Expires: time.Now().Add(time.Hour)}) {
		s.Error("Update of an ended session must not find it")
	}
	if s.rotate(id, s.id(), record("alice", nil)) {
		s.Error("Rotate of an ended session must report false")
	}
	if list := s.list("alice"); len(list) != 1 || list[other].User != "alice" {
		s.Errorf("End must take the session off its user's list, and no other: %v", list)
	}
	if created, err := s.b.Create(s.Context(), id, r); created || err != nil {
		s.Errorf("the ID of an ended session is taken: %v, %v", created, err)
	}

	const many = 450
	ids := []string{s.id(), id}
	for range many {
		ids = append(ids, s.create(record("many", nil)))
	}
	ended, err := s.b.End(s.Context(), "many", store.Revoked, ids...)
	s.must(err)
	slices.Sort(ended)
	want := slices.Sorted(slices.Values(ids[2:]))
	if !slices.Equal(ended, want) {
		s.Errorf("End of several sessions must return those that it has ended and no other: %d, want %d", len(ended), len(want))
	}
	if n := len(s.list("many")); n != 0 {
		s.Errorf("End must end all of several sessions: %d are left", n)
	}
	if ended, err := s.b.End(s.Context(), "many", store.Revoked); err != nil || len(ended) != 0 {
		s.Errorf("End of no session is none and no error: %v, %v", ended, err)
	}
	ids = []string{s.create(record("alice", nil)), s.create(record("", nil)), s.create(record("bob", nil))}
	ended, err = s.b.End(s.Context(), "", store.Revoked, ids...)
	s.must(err)
	if len(ended) != len(ids) || len(s.list("bob")) != 0 {
		s.Errorf("End of the empty user must end sessions of anybody: %d, want %d", len(ended), len(ids))
	}
}

func remove(s *suite) {
	id := s.create(record("alice", map[string]string{"a": `1`}))
	if !s.delete(id) {
		s.Error("Delete of a record that is there must report true")
	}
	s.wantGone(id, "Delete must remove the record")
	if s.delete(id) {
		s.Error("Delete of a record that is gone must report false")
	}
	if s.update(id, store.Change{Set: map[string]string{"a": `2`}}) {
		s.Error("Update of a deleted record must not find it")
	}
	s.wantGone(id, "Update must not bring a deleted record back")
	if len(s.list("alice")) != 0 {
		s.Error("Delete must take the session off its user's list")
	}
	ended := s.create(record("alice", nil))
	s.end("alice", store.Revoked, ended)
	if !s.delete(ended) {
		s.Error("Delete must remove what is left of a session as well")
	}
	s.wantGone(ended, "Delete must remove what is left of a session as well")
}

func list(s *suite) {
	ids := make(map[string]bool)
	values := map[string]string{"a": `1`}
	for i := range 12 {
		values := maps.Clone(values)
		values[store.SignInValue] = signInOf(fmt.Sprint("line ", i))[store.SignInValue]
		ids[s.create(record("alice", values))] = true
	}
	s.create(record("bob", nil))
	s.create(record("", nil))
	got := s.list("alice")
	if len(got) != len(ids) {
		s.Errorf("List must return each of the user's sessions and no other: %d, want %d", len(got), len(ids))
	}
	for id, r := range got {
		whole, _ := s.load(id)
		if !ids[id] || r.User != "alice" || r.Name != whole.Name || !r.Created.Equal(whole.Created) || !r.Seen.Equal(whole.Seen) || !r.Expires.Equal(whole.Expires) {
			s.Errorf("List must return sessions as they are: %+v, want %+v", r, whole)
		}
		if compact(r.Values[store.SignInValue]) != compact(whole.Values[store.SignInValue]) {
			s.Errorf("List must return the sign-in: %s, want %s", r.Values[store.SignInValue], whole.Values[store.SignInValue])
		}
	}
	if n := len(s.list("")); n != 0 {
		s.Errorf("List of the empty user must be empty: %d", n)
	}
	if n := len(s.list("nobody")); n != 0 {
		s.Errorf("List of an unknown user must be empty: %d", n)
	}

	var some []string
	for id := range ids {
		some = append(some, id)
	}
	fresh, err := s.b.LoadFresh(s.Context(), append(some, s.id())...)
	s.must(err)
	if len(fresh) != len(some) {
		s.Errorf("LoadFresh must return the records that are there: %d, want %d", len(fresh), len(some))
	}
	for id, r := range fresh {
		if !ids[id] || r.User != "alice" || r.Values["a"] != `1` || len(r.Values) != 2 {
			s.Errorf("LoadFresh must return whole records: %+v", r)
		}
		whole, _ := s.load(id)
		if r.Name != whole.Name || !r.Expires.Equal(whole.Expires) {
			s.Errorf("LoadFresh must return records as Load does: %+v, want %+v", r, whole)
		}
		s.wantTimes(r, whole, "LoadFresh must return records as Load does")
	}
	expired, boundary := record("alice", nil), record("", map[string]string{"a": `1`})
	expired.Expires, boundary.Kind = time.Now().Add(-time.Second), "other"
	others := []string{s.create(record("alice", nil)), s.create(record("alice", nil)), s.create(expired), s.create(boundary)}
	s.end("alice", store.Revoked, others[0])
	s.rotate(others[1], s.id(), record("alice", nil))
	fresh, err = s.b.LoadFresh(s.Context(), others...)
	s.must(err)
	if fresh[others[0]].Ended != store.Revoked || fresh[others[1]].Ended != store.Renewed || fresh[others[2]].User != "alice" || fresh[others[3]].Kind != "other" {
		s.Errorf("LoadFresh must return what has ended or expired, and records of other kinds, as Load does: %+v", fresh)
	}
	if none, err := s.b.LoadFresh(s.Context()); err != nil || len(none) != 0 {
		s.Errorf("LoadFresh of no ID is empty and no error: %v, %v", none, err)
	}
}

// scanned goes through all sessions, each of which must come once.
func (s *suite) scanned() map[string]store.Record {
	s.Helper()
	all := make(map[string]store.Record)
	const portionAtMost = 1000 // rather less
	for records, err := range s.b.Scan(s.Context()) {
		s.must(err)
		if len(records) > portionAtMost {
			s.Errorf("Scan must yield small portions: one has %d records", len(records))
		}
		for id, r := range records {
			if _, twice := all[id]; twice {
				s.Errorf("Scan must yield a record once: %+v came twice", r)
			}
			all[id] = r
		}
		clear(records) // it is the caller's
	}
	return all
}

// endInTime ends a session of its own.
func (s *suite) endInTime(rule string) {
	s.Helper()
	id, done := s.id(), make(chan bool, 1)
	go func() {
		s.try(s.b.Create(s.Context(), id, record("", nil)))
		ended, err := s.b.End(s.Context(), "", store.Revoked, id)
		done <- err == nil && len(ended) == 1
	}()
	select {
	case ended := <-done:
		if !ended {
			s.Error("End of a live session must return its ID")
		}
	case <-time.After(patience):
		s.Errorf("%s: End has not returned after %v", rule, patience)
	}
}

func scan(s *suite) {
	const many = 1100 // more than a portion
	live := make(map[string]bool)
	for i := range many {
		live[s.create(record([]string{"", "alice", "bob"}[i%3], signInOf(fmt.Sprint("line ", i))))] = true
	}
	signedIn := 0
	renewed := make(map[string]string)
	for id := range live {
		if len(renewed) == 50 {
			break
		}
		next := s.id()
		r, _ := s.load(id)
		r.Since = time.Now()
		s.rotate(id, next, r)
		renewed[id], live[next] = next, true
		delete(live, id)
	}
	ended := s.create(record("alice", nil))
	s.end("alice", store.SignedOut, ended)
	expired := record("alice", nil)
	expired.Expires = time.Now().Add(-time.Minute)
	expiredID := s.create(expired)
	boundary := record("", nil)
	boundary.Kind = "other"
	boundaryID := s.create(boundary)

	all := s.scanned()
	for id := range live {
		r, found := all[id]
		whole, _ := s.load(id)
		if whole.User != "" {
			signedIn++
		}
		if !found || r.Ended != "" || r.User != whole.User || r.Name != whole.Name || !r.Created.Equal(whole.Created) || !r.Since.Equal(whole.Since) ||
			!r.Seen.Equal(whole.Seen) || !r.Expires.Equal(whole.Expires) || compact(r.Values[store.SignInValue]) != compact(whole.Values[store.SignInValue]) {
			s.Fatalf("Scan must yield sessions as they are: %v, %+v, want %+v", found, r, whole)
		}
	}
	for id, next := range renewed {
		if r, found := all[id]; !found || r.Ended != store.Renewed || r.Next != next {
			s.Fatalf("Scan must yield the traces of renewed sessions: %v, %+v", found, r)
		}
	}
	if _, found := all[boundaryID]; found {
		s.Error("Scan must yield sessions and no records of other kinds")
	}
	if again := s.scanned(); len(again) != len(all) {
		s.Errorf("a portion of Scan is the caller's, to be changed: %d records, then %d", len(all), len(again))
	}
	delete(all, ended)
	delete(all, expiredID)
	if len(all) != len(live)+len(renewed) {
		s.Errorf("Scan must yield what is there and no more: %d records, want %d", len(all), len(live)+len(renewed))
	}

	for _, err := range s.b.Scan(s.Context()) {
		s.must(err)
		s.endInTime("while a portion of Scan is being looked at, no lock may be held")
		break
	}
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	var err error
	for _, err = range s.b.Scan(ctx) {
		if err != nil {
			break
		}
	}
	if err == nil {
		s.Error("Scan must end with an error if its context is cancelled")
	}

	s.wantCounts(store.Counts{Live: len(live), SignedIn: signedIn}, "sessions, and no traces or other records")
}

// wantCounts checks what a backend counts, if it does.
func (s *suite) wantCounts(want store.Counts, what string) {
	s.Helper()
	b, ok := s.b.(store.CountingBackend)
	if !ok {
		return
	}
	if got, err := b.Count(s.Context()); err != nil || got != want {
		s.Errorf("Count must count %s: %+v, %v, want %+v", what, got, err, want)
	}
}

func count(s *suite) {
	s.wantCounts(store.Counts{}, "nothing where nothing is")
	soon := time.Now().Add(100 * time.Millisecond)
	user, visitor := record("alice", nil), record("", nil)
	user.Expires, visitor.Expires = soon, soon
	s.create(user)
	s.create(visitor)
	postponed := s.create(user)
	s.wantCounts(store.Counts{Live: 3, SignedIn: 2}, "sessions that are to expire")
	inTime := s.update(postponed, store.Change{Seen: time.Now(), Expires: time.Now().Add(time.Hour)})
	s.update(postponed, store.Change{Set: map[string]string{"a": `1`}})
	signedIn := s.id()
	s.rotate(s.create(record("", nil)), signedIn, record("bob", nil))
	ended := s.create(record("", nil))
	s.end("", store.Revoked, ended)
	s.update(ended, store.Change{Expires: time.Now().Add(2 * time.Hour)})
	s.delete(s.create(record("carol", nil)))
	for time.Now().Before(soon.Add(time.Millisecond)) {
		s.load(postponed)
	}
	s.wantCounts(store.Counts{Live: 2, SignedIn: 2}, "sessions that live")
	if _, ok := s.list("alice")[postponed]; !ok && inTime {
		s.Error("List must return a session for as long as Update has it live")
	}
	s.end("alice", store.SignedOut, postponed)
	s.wantCounts(store.Counts{Live: 1, SignedIn: 1}, "no session that has ended")
}

// kinds checks records that are no sessions.
func kinds(s *suite) {
	r := record("", map[string]string{"a": `1`})
	r.Kind, r.Name = "other", ""
	r.Expires = time.Now().Add(-time.Second)
	id := s.create(r)
	if got, found := s.load(id); !found || got.Kind != "other" || !sameValues(got.Values, r.Values) {
		s.Errorf("a record of another kind must be kept as such: %v, %+v", found, got)
	}
	if !s.update(id, store.Change{Set: map[string]string{"a": `2`}, If: &store.Condition{Name: "a", Text: `1`}}) {
		s.Error("a record of another kind must be changed until it is removed, whatever its Expires")
	}
	if !s.update(id, store.Change{Set: map[string]string{"b": `1`}, Expires: time.Now().Add(time.Hour)}) {
		s.Error("a record of another kind must be changed without a condition as well")
	}
	if s.end("", store.Revoked, id) {
		s.Error("End must end sessions only")
	}
	if s.rotate(id, s.id(), record("", nil)) {
		s.Error("Rotate must give sessions new IDs only")
	}
	s.wantValues(id, map[string]string{"a": `2`, "b": `1`}, "End and Rotate must leave records of other kinds alone")
	if !s.delete(id) {
		s.Error("Delete must remove a record of any kind")
	}
}

// watch is for backends that can do it.
func watch(s *suite) {
	b, ok := s.b.(store.WatchingBackend)
	if !ok {
		return
	}
	for _, change := range []struct {
		name string
		make func(id string) bool
	}{
		{"Update", func(id string) bool { return s.update(id, store.Change{Set: map[string]string{"a": `1`}}) }},
		{"Rotate", func(id string) bool { return s.rotate(id, s.id(), record("alice", nil)) }},
		{"End", func(id string) bool { return s.end("alice", store.Revoked, id) }},
		{"Delete", s.delete},
	} {
		id := s.create(record("alice", nil))
		told := func() (changed chan struct{}, stop func()) {
			changed = make(chan struct{}, 1)
			return changed, b.Watch(id, func() {
				select {
				case changed <- struct{}{}:
				default: // it may be called more often
				}
			})
		}
		first, stop := told()
		second, stopSecond := told()
		third, stopThird := told()
		await := func(what string, watching ...chan struct{}) {
			s.Helper()
			for _, changed := range watching {
				select {
				case <-changed:
				case <-time.After(patience):
					s.Fatalf("Watch must call back each caller if the record is changed or removed: %s was %v ago", what, patience)
				}
			}
		}
		s.must2(s.update(id, store.Change{Set: map[string]string{"b": `1`}}), nil)
		await("a first Update", first, second, third)
		stopThird()
		s.must2(change.make(id), nil)
		await(change.name, first, second)
		stop()
		stopSecond()
	}
}

// clock checks the clock that all processes share.
func clock(s *suite) {
	id := s.create(record("", nil))
	const tolerated = 5 * time.Second // the clocks of the server and of the test
	before := time.Now().Add(-tolerated)
	first, err := s.b.Now(s.Context(), id)
	s.must(err)
	second, err := s.b.Now(s.Context(), id)
	s.must(err)
	if first.Before(before) || second.Before(first) || second.After(time.Now().Add(tolerated)) {
		s.Errorf("Now must return the time, which goes on: %v, then %v, at %v", first, second, time.Now())
	}
	if second.Sub(first) > time.Second {
		s.Errorf("Now must be precise: %v between two calls", second.Sub(first))
	}
}

func closing(s *suite) {
	s.create(record("alice", nil))
	if err := s.b.Close(); err != nil {
		s.Errorf("Close must succeed: %v", err)
	}
}
