package sessionkit

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
)

// resumable holds the requests with changes that have yet to be saved, by their
// *gin.Context. A handler that calls [gin.Engine.HandleContext] has all handlers run
// once more on the same one, of which gin has forgotten everything: the session has
// to go on where it was.
type resumable struct {
	seed  maphash.Seed
	slots [64]resumableSlot
}

type resumableSlot struct {
	mu    sync.Mutex
	n     atomic.Int32 // requests in the list
	first *request
}

func (l *resumable) slot(c *gin.Context) *resumableSlot {
	return &l.slots[maphash.Comparable(l.seed, c)%uint64(len(l.slots))]
}

// find returns the request of a context, nil if there is none.
func (l *resumable) find(c *gin.Context) *request {
	slot := l.slot(c)
	if slot.n.Load() == 0 {
		return nil
	}
	slot.mu.Lock()
	defer slot.mu.Unlock()
	q := slot.first
	for q != nil && q.c != c {
		q = q.nextResumable
	}
	return q
}

func (l *resumable) add(q *request) {
	slot := l.slot(q.c)
	slot.mu.Lock()
	defer slot.mu.Unlock()
	q.nextResumable, slot.first = slot.first, q
	slot.n.Add(1)
}

func (l *resumable) remove(q *request) {
	slot := l.slot(q.c)
	slot.mu.Lock()
	defer slot.mu.Unlock()
	for p := &slot.first; *p != nil; p = &(*p).nextResumable {
		if *p == q {
			*p, q.nextResumable = q.nextResumable, nil
			slot.n.Add(-1)
			return
		}
	}
}

// resume runs the handlers once more, and saves before gin sends a header.
func (q *request) resume(c *gin.Context) {
	below, panicking := q.writer.ResponseWriter, true
	defer func() {
		q.end(panicking)
		q.writer.ResponseWriter = below
	}()
	q.writer.ResponseWriter = c.Writer
	c.Writer = &q.writer
	c.Set(sessions.DefaultKey, (*ginSession)(q))
	c.Next()
	panicking = false
}
