package storetest

import (
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

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

// times checks that each of the times moves forward by itself, whatever else changes.
func times(s *suite) {
	for what, c := range map[string]store.Change{
		"nothing else":                      {},
		"a value":                           {Set: map[string]string{"a": `2`}},
		"a value that has room":             {Set: map[string]string{"a": `2`}, MaxBytes: 1000},
		"a value, on a condition":           {Set: map[string]string{"a": `2`}, If: &store.Condition{Name: "a", Text: `1`}},
		"a value with room, on a condition": {Set: map[string]string{"a": `2`}, MaxBytes: 1000, If: &store.Condition{Name: "a", Text: `1`}},
	} {
		for _, by := range []struct{ seen, expires time.Duration }{
			{time.Minute, -time.Minute}, {-time.Minute, time.Minute}, {time.Minute, time.Minute}, {-time.Minute, -time.Minute},
		} {
			want := record("alice", map[string]string{"a": `1`})
			id := s.create(want)
			c.Seen, c.Expires = want.Seen.Add(by.seen), want.Expires.Add(by.expires)
			if !s.update(id, c) {
				s.Error("Update of a live session must report true")
			}
			want.Seen, want.Expires = want.Seen.Add(max(by.seen, 0)), want.Expires.Add(max(by.expires, 0))
			got, _ := s.load(id)
			got.Values, want.Values = nil, nil
			s.wantRecord(got, want, "Update must move each of Seen and Expires forward only, by itself, with "+what)
			s.wantListed(id, want, "after an Update of the times with "+what)
		}
	}
}
