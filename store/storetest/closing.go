package storetest

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

func closing(s *suite) {
	s.create(record("alice", nil))
	if err := s.b.Close(); err != nil {
		s.Errorf("Close must succeed: %v", err)
	}
}

// goroutinesEnd opens and closes one backend after the other. A goroutine that outlives Close
// is there once more for each of them. What a client or a connection pool begins for all of
// them is not.
func goroutinesEnd(t *testing.T, newBackend func(t *testing.T) store.Backend) {
	t.Helper()
	const first, more = 2, 8
	openAndClose := func(n int) {
		for range n {
			t.Run("one", func(t *testing.T) { use(t, newBackend(t)) })
		}
	}
	openAndClose(first)
	before := creators()
	openAndClose(more)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		left := ""
		for creator, n := range creators() {
			if n-before[creator] >= more {
				left = creator
			}
		}
		if left == "" {
			return
		}
		if time.Since(began) > patience {
			t.Errorf("no goroutine of a backend may outlive its Close: one is left of each backend, %v after it, created by %s", patience, left)
			return
		}
	}
}

// use has a backend begin what it runs by itself.
func use(t *testing.T, b store.Backend) {
	t.Helper()
	defer closeBackend(t, b)
	s := newSuite(t, b)
	id := s.create(record("alice", map[string]string{"a": `1`}))
	if b, ok := b.(store.WatchingBackend); ok {
		defer b.Watch(id, func() {})()
	}
	if b, ok := b.(store.CountingBackend); ok {
		_, err := b.Count(t.Context())
		s.must(err)
	}
	s.load(id)
	s.fresh(id)
	s.list("alice")
	s.must2(s.update(id, store.Change{Set: map[string]string{"a": `2`}}), nil)
	s.must2(s.end("alice", store.Revoked, id), nil)
	s.must2(s.delete(id), nil)
}

// creators returns how many goroutines there are, by the functions that have begun them.
func creators() map[string]int {
	stacks := make([]byte, 1<<20)
	for {
		n := runtime.Stack(stacks, true)
		if n < len(stacks) {
			stacks = stacks[:n]
			break
		}
		stacks = make([]byte, 2*len(stacks))
	}
	counts := make(map[string]int)
	for line := range strings.Lines(string(stacks)) {
		if creator, ok := strings.CutPrefix(line, "created by "); ok {
			creator, _, _ = strings.Cut(strings.TrimSpace(creator), " in goroutine ")
			counts[creator]++
		}
	}
	return counts
}
