// Package turn has requests that change values of one session take turns.
package turn

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// Turns has the requests of this process that change values of one session at the
// same time do so one after the other, once two of them have met: if each only tried
// again, one of many could be too late every time. What other processes do is up to
// the store's condition.
type Turns struct {
	seed  maphash.Seed
	slots [64]slot
}

// A slot has the turns of some of the sessions.
type slot struct {
	n     atomic.Int32 // turns that are there
	mu    sync.Mutex
	turns map[string]*turn // by the session's ID
}

// turn is had by one request at a time. It is there while any has it or waits for it.
type turn struct {
	taken chan struct{} // capacity 1
	users int           // those who have it or wait for it
}

// New returns the turns of one process.
func New() *Turns { return &Turns{seed: maphash.MakeSeed()} }

func (t *Turns) slot(id string) *slot {
	return &t.slots[maphash.String(t.seed, id)%uint64(len(t.slots))]
}

// Busy reports whether requests of a session take turns just now.
func (t *Turns) Busy(id string) bool {
	s := t.slot(id)
	if s.n.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turns[id] != nil
}

// longestTurn is how long a request waits at most. Whoever waits for longer may be
// waiting for itself, by a request that its own function makes.
const longestTurn = time.Second

// Take waits for the turn of a session and returns the function that passes it on.
func (t *Turns) Take(ctx context.Context, id string) (pass func()) {
	s := t.slot(id)
	mine := s.enter(id)
	timer := time.NewTimer(longestTurn)
	defer timer.Stop()
	select {
	case mine.taken <- struct{}{}:
		return func() {
			<-mine.taken
			s.leave(id)
		}
	case <-timer.C:
	case <-ctx.Done():
	}
	return func() { s.leave(id) }
}

func (s *slot) enter(id string) *turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.turns[id]
	if t == nil {
		if s.turns == nil {
			s.turns = make(map[string]*turn)
		}
		t = &turn{taken: make(chan struct{}, 1)}
		s.turns[id] = t
		s.n.Add(1)
	}
	t.users++
	return t
}

func (s *slot) leave(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.turns[id]; t.users > 1 {
		t.users--
		return
	}
	delete(s.turns, id)
	s.n.Add(-1)
}
