package storetest

import (
	"context"

	"github.com/gin-sessionkit/sessionkit/store"
)

// gone returns a context that is cancelled already. A backend may return an error or do its
// work all the same. That there is nothing, or that what was not done is done, is neither.
func (s *suite) gone() context.Context {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	return ctx
}

// cancelled calls the methods that read.
func cancelled(s *suite) {
	ctx := s.gone()
	want := record("alice", map[string]string{"a": `1`})
	id := s.create(want)
	const rule = "what could not be read is not what is not there: without an error %s must return what stands"
	if r, found, err := s.b.Load(ctx, id); err == nil && (!found || len(differences(r, want)) > 0) {
		s.Errorf(rule+": %v, %+v", "Load", found, r)
	}
	if records, err := s.b.LoadFresh(ctx, id); err == nil && len(differences(records[id], want)) > 0 {
		s.Errorf(rule+": %+v", "LoadFresh", records)
	}
	if records, err := s.b.LoadFresh(ctx, id, s.id()); err == nil && len(differences(records[id], want)) > 0 {
		s.Errorf(rule+": %+v", "LoadFresh of several records", records)
	}
	if records, err := s.b.List(ctx, "alice"); err == nil && records[id].User != "alice" {
		s.Errorf(rule+": %+v", "List", records)
	}
	if now, err := s.b.Now(ctx, id); err == nil && now.IsZero() {
		s.Error("Now must return an error if the time could not be read")
	}
	if b, ok := s.whole.(store.CountingBackend); ok {
		if counts, err := b.Count(ctx); err == nil && counts != (store.Counts{Live: 1, SignedIn: 1}) {
			s.Errorf(rule+": %+v", "Count", counts)
		}
	}
}

// notDone is the rule of writes.
const notDone = "what could not be done is not done: without an error %s must report, and have done, what it does"

func cancelledCreate(s *suite) {
	ctx := s.gone()
	newID := s.id()
	created, err := s.b.Create(ctx, newID, record("bob", nil))
	if _, found := s.fresh(newID)[newID]; err == nil && (!created || !found) {
		s.Errorf(notDone+": it reports %v, found %v", "Create", created, found)
	}
	taken := s.create(record("bob", nil))
	if created, err := s.b.Create(ctx, taken, record("bob", nil)); err == nil && created {
		s.Errorf(notDone+": it reports %v", "Create of a taken ID", created)
	}
}

func cancelledUpdate(s *suite) {
	ctx := s.gone()
	for what, c := range map[string]store.Change{
		"Update":                {Set: map[string]string{"a": `2`}},
		"Update on a condition": {Set: map[string]string{"a": `2`}, If: &store.Condition{Name: "a", Text: `1`}},
		"Update with a bound":   {Set: map[string]string{"a": `2`}, MaxBytes: 3},
	} {
		id := s.create(record("bob", map[string]string{"a": `1`}))
		o, err := s.b.Update(ctx, id, c)
		if a := s.fresh(id)[id].Values["a"]; err == nil && (!o.Changed() || a != `2`) {
			s.Errorf(notDone+": %+v, the value is %s", what, o, a)
		}
	}
}

func cancelledRotate(s *suite) {
	ctx := s.gone()
	for _, most := range []int{0, 100} {
		id := s.create(record("bob", nil))
		m := moveTo(s.id(), record("bob", nil))
		m.MaxBytes = most
		moved, err := s.b.Rotate(ctx, id, m)
		if fresh := s.fresh(id, m.ID); err == nil && (!moved || fresh[id].Ended != store.Renewed || len(fresh) != 2) {
			s.Errorf(notDone+": it reports %v, %+v", "Rotate", moved, fresh)
		}
	}
}

func cancelledEnd(s *suite) {
	ctx := s.gone()
	for _, n := range []int{1, 3} {
		var ids []string
		for range n {
			ids = append(ids, s.create(record("bob", nil)))
		}
		ended, err := s.b.End(ctx, "bob", store.Revoked, ids...)
		if err == nil && len(ended) != n {
			s.Errorf(notDone+": it returns %d IDs of %d", "End", len(ended), n)
		}
		for _, id := range ended {
			s.wantDead(id, store.Revoked, "what End returns must have ended, also with an error")
		}
	}
}

func cancelledDelete(s *suite) {
	ctx := s.gone()
	id := s.create(record("bob", nil))
	deleted, err := s.b.Delete(ctx, id)
	if _, found := s.fresh(id)[id]; err == nil && (!deleted || found) {
		s.Errorf(notDone+": it reports %v, found %v", "Delete", deleted, found)
	}
}
