package storetest

import (
	"slices"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

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
}

func endingOfSeveral(s *suite) {
	ended := s.create(record("alice", nil))
	s.end("alice", store.SignedOut, ended)
	live := []string{s.create(record("alice", nil)), s.create(record("alice", nil))}
	got, err := s.b.End(s.Context(), "alice", store.Revoked, s.id(), live[0], ended, live[1])
	s.must(err)
	slices.Sort(got)
	if !slices.Equal(got, slices.Sorted(slices.Values(live))) {
		s.Errorf("End of several sessions must return those that it has ended and no other: %d, want %d", len(got), len(live))
	}
	s.wantDead(ended, store.SignedOut, "the first End must stand")
	if got, err := s.b.End(s.Context(), "alice", store.Revoked); err != nil || len(got) != 0 {
		s.Errorf("End of no session is none and no error: %v, %v", got, err)
	}
	anybody := []string{s.create(record("alice", nil)), s.create(record("", nil)), s.create(record("bob", nil))}
	got, err = s.b.End(s.Context(), "", store.Revoked, anybody...)
	s.must(err)
	if len(got) != len(anybody) || len(s.list("bob")) != 0 {
		s.Errorf("End of the empty user must end sessions of anybody: %d, want %d", len(got), len(anybody))
	}
}
