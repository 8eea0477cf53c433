// Package resume finds the requests that gin runs the handlers of once more.
package resume

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/gin-gonic/gin"
)

// A List holds the requests with changes that have yet to be saved, by their
// *gin.Context. A handler that calls [gin.Engine.HandleContext] has all handlers run
// once more on the same one, of which gin has forgotten everything: the session has
// to go on where it was.
type List struct {
	seed  maphash.Seed
	slots [64]slot
}

type slot struct {
	mu    sync.Mutex
	n     atomic.Int32 // entries in the list
	first *Entry
}

// An Entry is a request in a [List]. It is a part of what it stands for, so that a
// request needs no allocation for it.
type Entry struct {
	Context *gin.Context
	Request any // a pointer to the whole

	next *Entry // in the same slot
}

// New returns an empty list.
func New() *List { return &List{seed: maphash.MakeSeed()} }

func (l *List) slot(c *gin.Context) *slot {
	return &l.slots[maphash.Comparable(l.seed, c)%uint64(len(l.slots))]
}

// Find returns the request of a context, nil if there is none.
func (l *List) Find(c *gin.Context) any {
	slot := l.slot(c)
	if slot.n.Load() == 0 {
		return nil
	}
	slot.mu.Lock()
	defer slot.mu.Unlock()
	for e := slot.first; e != nil; e = e.next {
		if e.Context == c {
			return e.Request
		}
	}
	return nil
}

// Add puts an entry into the list, in which it is not yet.
func (l *List) Add(e *Entry) {
	slot := l.slot(e.Context)
	slot.mu.Lock()
	defer slot.mu.Unlock()
	e.next, slot.first = slot.first, e
	slot.n.Add(1)
}

// Remove takes an entry out of the list.
func (l *List) Remove(e *Entry) {
	slot := l.slot(e.Context)
	slot.mu.Lock()
	defer slot.mu.Unlock()
	for p := &slot.first; *p != nil; p = &(*p).next {
		if *p == e {
			*p, e.next = e.next, nil
			slot.n.Add(-1)
			return
		}
	}
}
