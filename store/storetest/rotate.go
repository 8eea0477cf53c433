package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

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
	next.Values = got.Values
	s.wantRecord(got, next, "Rotate must take all but the values from the new record")
	if _, ok := s.list("alice")[newID]; !ok {
		s.Error("Rotate must put the new ID on its user's list")
	}
	third, bob := s.id(), record("bob", nil) // which has no name and no Since
	bob.Name, bob.Since = "", time.Time{}
	s.rotate(newID, third, bob)
	got, _ = s.load(third)
	bob.Values = got.Values
	s.wantRecord(got, bob, "Rotate must drop what the new record does not have")
	if len(s.list("alice")) != 0 || len(s.list("bob")) != 1 {
		s.Error("Rotate must take the old ID off its user's list")
	}
	if again := s.id(); s.rotate(id, again, record("alice", nil)) || len(s.list("alice")) != 0 {
		s.Error("Rotate of a dead ID must report false and create nothing")
	}
}

// trace checks what is left under the old ID.
func trace(s *suite) {
	id := s.create(record("alice", map[string]string{"a": `1`}))
	m := moveTo(s.id(), record("bob", signInOf("line")))
	m.Record.Name = "other"
	m.Trace.User, m.Trace.Name, m.Trace.Values = "bob", "session", signInOf("the line before")
	m.Trace.Since = time.Now().Add(-time.Second)
	s.must2(s.b.Rotate(s.Context(), id, m))
	trace, _ := s.load(id)
	s.wantRecord(trace, m.Trace, "Rotate must leave the given trace")
	if got, _ := s.load(m.ID); got.Name != "other" {
		s.Errorf("Rotate must take the name from the new record: %q, want %q", got.Name, "other")
	}
}

// peek is for backends that can do it.
func peek(s *suite) {
	b, ok := s.whole.(store.PeekingBackend)
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
