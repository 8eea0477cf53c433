// Package turn has requests that change values of one session take turns.
package turn

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"
)

// Turns has the requests of this process that change values of one session at the
// same time do so one after the other, once two of them have met: if each only tried
// again, one of many could be too late every time. What other processes do is up to
// the store's condition.
type Turns struct {
	seed maphash.Seed
	all  [128]Turn
}

// A Turn is had by one request at a time.
type Turn struct {
	taken   chan struct{} // capacity 1
	waiting atomic.Int32  // those that have it or wait for it
}

// New returns the turns of one process.
func New() *Turns {
	t := &Turns{seed: maphash.MakeSeed()}
	for i := range t.all {
		t.all[i].taken = make(chan struct{}, 1)
	}
	return t
}

// Of returns the turn of a session, which other sessions may share.
func (t *Turns) Of(id string) *Turn {
	return &t.all[maphash.String(t.seed, id)%uint64(len(t.all))]
}

// Busy reports whether requests take turns just now.
func (t *Turn) Busy() bool { return t.waiting.Load() > 0 }

// longestTurn is how long a request waits at most. Whoever waits for longer may be
// waiting for itself, by a request that its own function makes.
const longestTurn = time.Second

// Take waits for the turn and returns the function that passes it on.
func (t *Turn) Take(ctx context.Context) (pass func()) {
	t.waiting.Add(1)
	timer := time.NewTimer(longestTurn)
	defer timer.Stop()
	select {
	case t.taken <- struct{}{}:
		return func() {
			<-t.taken
			t.waiting.Add(-1)
		}
	case <-timer.C:
	case <-ctx.Done():
	}
	return func() { t.waiting.Add(-1) }
}
