package storetest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

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
		if !ids[id] {
			s.Errorf("List must return the user's sessions only: %+v", r)
		}
		s.wantRecord(outline(r), outline(whole), "List must return sessions as they are")
	}
	if n := len(s.list("")); n != 0 {
		s.Errorf("List of the empty user must be empty: %d", n)
	}
	if n := len(s.list("nobody")); n != 0 {
		s.Errorf("List of an unknown user must be empty: %d", n)
	}
}

// listOfChanged: what List and Scan return of a session is not what it once was.
func listOfChanged(s *suite) {
	id := s.create(record("alice", signInOf("first")))
	rotated := func() {
		r, _ := s.load(id)
		r.Values, r.Seen, r.Expires = nil, r.Seen.Add(time.Minute), r.Expires.Add(-time.Minute)
		next := s.id()
		s.must2(s.rotate(id, next, r), nil)
		id = next
	}
	put := func(line string) func() {
		return func() { s.must2(s.update(id, store.Change{Set: signInOf(line)}), nil) }
	}
	for _, step := range []struct {
		rule string
		do   func()
	}{
		{"after an Update of the sign-in", put("second")},
		{"after an Update of the sign-in that has room", func() {
			s.must2(s.update(id, store.Change{Set: signInOf("third"), MaxBytes: 1000}), nil)
		}},
		{"after an Update of the sign-in, on a condition", func() {
			c := store.Change{Set: signInOf("fourth"), If: &store.Condition{Name: "a"}}
			s.must2(s.update(id, c), nil)
		}},
		{"after a Rotate that leaves the sign-in", rotated},
		{"after an Update that drops the sign-in", func() {
			s.must2(s.update(id, store.Change{Delete: []string{store.SignInValue}}), nil)
		}},
		{"after a Rotate that finds no sign-in", rotated},
		{"after an Update of the sign-in under another ID", put("fifth")},
	} {
		step.do()
		want, _ := s.load(id)
		s.wantListed(id, want, step.rule)
	}
}

// loadFresh checks that LoadFresh returns what Load does, of records of all kinds.
func loadFresh(s *suite) {
	values := signInOf("line")
	values["a"] = `1`
	made := record("alice", values)
	made.Since = time.Now().Add(-time.Second)
	expired, boundary := made, record("", map[string]string{"a": `1`})
	expired.Expires, boundary.Kind = time.Now().Add(-time.Second), "other"
	ids := []string{s.create(made), s.create(record("", nil)), s.create(expired), s.create(boundary), s.create(made), s.create(made)}
	s.end("alice", store.Revoked, ids[4])
	m := moveTo(s.id(), record("alice", nil))
	m.Trace.Values = signInOf("line")
	s.must2(s.b.Rotate(s.Context(), ids[5], m))
	ids = append(ids, m.ID)

	fresh := s.fresh(append(ids, s.id())...)
	if len(fresh) != len(ids) {
		s.Errorf("LoadFresh must return what there is, also what has ended or expired, and records of other kinds: %d records, want %d", len(fresh), len(ids))
	}
	for _, id := range ids {
		want, _ := s.load(id)
		s.wantRecord(fresh[id], want, "LoadFresh must return records as Load does")
		s.wantRecord(s.fresh(id)[id], want, "LoadFresh of one record must return it as Load does")
	}
	if none, err := s.b.LoadFresh(s.Context()); err != nil || len(none) != 0 {
		s.Errorf("LoadFresh of no ID is empty and no error: %v, %v", none, err)
	}
}

// manySessions: what takes several sessions takes any number of them.
func manySessions(s *suite) {
	const many = 450
	ids := make([]string, many)
	for i := range ids {
		ids[i] = s.create(record("alice", nil))
	}
	list, fresh := s.list("alice"), s.fresh(ids...)
	if len(list) != many {
		s.Errorf("List must return all sessions of a user who has many: %d, want %d", len(list), many)
	}
	if len(fresh) != many {
		s.Errorf("LoadFresh must return all of many records: %d, want %d", len(fresh), many)
	}
	for _, id := range ids {
		if list[id].User != "alice" || fresh[id].User != "alice" {
			s.Fatalf("List and LoadFresh must return each of many sessions: %+v, %+v", list[id], fresh[id])
		}
	}
	ended, err := s.b.End(s.Context(), "alice", store.Revoked, ids...)
	s.must(err)
	slices.Sort(ended)
	slices.Sort(ids)
	if !slices.Equal(ended, ids) {
		s.Errorf("End of many sessions must return those that it has ended and no other: %d, want %d", len(ended), many)
	}
	if n := len(s.list("alice")); n != 0 {
		s.Errorf("End must end all of many sessions: %d are left", n)
	}
}
