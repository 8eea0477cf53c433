package sessionkit

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"
)

// turns has the requests of this process that change values of one session at the
// same time do so one after the other, once two of them have met: if each only tried
// again, one of many could be too late every time. What other processes do is up to
// the store's condition.
type turns struct {
	seed maphash.Seed
	all  [128]turn
}

type turn struct {
	taken   chan struct{} // capacity 1
	waiting atomic.Int32  // those that have it or wait for it
}

func newTurns() *turns {
	t := &turns{seed: maphash.MakeSeed()}
	for i := range t.all {
		t.all[i].taken = make(chan struct{}, 1)
	}
	return t
}

// of returns the turn of a session, which other sessions may share.
func (t *turns) of(id string) *turn {
	return &t.all[maphash.String(t.seed, id)%uint64(len(t.all))]
}

// busy reports whether requests take turns just now.
func (t *turn) busy() bool { return t.waiting.Load() > 0 }

// longestTurn is how long a request waits at most. Whoever waits for longer may be
// waiting for itself, by a request that its own function makes.
const longestTurn = time.Second

// take waits for the turn and returns the function that passes it on.
func (t *turn) take(ctx context.Context) (pass func()) {
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
