package storetest

import (
	"fmt"
	"maps"
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
