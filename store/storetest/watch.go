package storetest

import (
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// watch is for backends that can do it.
func watch(s *suite) {
	b, ok := s.whole.(store.WatchingBackend)
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
