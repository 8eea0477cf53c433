package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

func createAndLoad(s *suite) {
	want := record("alice", map[string]string{"n": `1`, "name": `"tea"`, "cart": `["json",[{"Name":"tea"}]]`})
	want.Since = time.Now().Add(-time.Second)
	id := s.create(want)
	got, found := s.load(id)
	if !found {
		s.Fatal("Load must find what Create stored")
	}
	s.wantRecord(got, want, "Load must return the record that Create stored")

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

// retention checks that what became of a session can be told for that long.
func retention(s *suite) {
	r := record("alice", map[string]string{"a": `1`})
	r.Expires = time.Now().Add(time.Minute - store.Retention)
	expired := s.create(r)
	renewed, m := s.create(record("alice", nil)), moveTo(s.id(), record("alice", nil))
	m.Trace.Expires = r.Expires
	s.must2(s.b.Rotate(s.Context(), renewed, m))
	fresh := s.fresh(expired, renewed)
	for id, want := range map[string]store.Record{expired: r, renewed: m.Trace} {
		const rule = "a record that expired or ended 59 minutes ago must be kept"
		if got, found := s.load(id); !found {
			s.Errorf("%s: Load does not find it", rule)
		} else {
			s.wantRecord(got, want, rule)
		}
		if got, found := fresh[id]; !found {
			s.Errorf("%s: LoadFresh does not find it", rule)
		} else {
			s.wantRecord(got, want, rule)
		}
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
