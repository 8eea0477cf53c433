// Package resume finds the requests that gin runs the handlers of once more.
package resume

import (
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/gin-gonic/gin"
)

// A Request is what a [List] holds. Most often it is a pointer.
type Request interface {
	comparable

	// Context returns the context that the request runs with.
	Context() *gin.Context

	// Header returns the header fields that the client has sent.
	Header() http.Header
}

// A List holds the requests with changes that have yet to be saved, by their
// *gin.Context. A handler that calls [gin.Engine.HandleContext] has all handlers run
// once more on the same one, of which gin has forgotten everything: the session has
// to go on where it was.
type List[R Request] struct {
	slots [1 << slotBits]slot[R]
}

const slotBits = 6

type slot[R Request] struct {
	mu    sync.Mutex
	n     atomic.Int32 // entries in the list
	first *Entry[R]
}

// An Entry is the place of a request in a [List]. It is a part of the request, which so
// needs no allocation for it.
type Entry[R Request] struct {
	request R
	next    *Entry[R] // in the same slot
}

// Listed reports whether the entry was put into a list.
func (e *Entry[R]) Listed() bool {
	var none R
	return e.request != none
}

// New returns an empty list.
func New[R Request]() *List[R] { return new(List[R]) }

// slot goes by the address, multiplied so that each bit of it counts: every request looks.
func (l *List[R]) slot(c *gin.Context) *slot[R] {
	return &l.slots[uint64(reflect.ValueOf(c).Pointer())*0x9e3779b97f4a7c15>>(64-slotBits)]
}

// Find returns the request of a context, the zero value if there is none. Gin gives a context to
// another client's request once it has answered, and the handlers of the one before may still run
// then: a middleware that answers when a time is over does not wait for them. The two differ in the
// map of their header fields, which a request with another context shares.
func (l *List[R]) Find(c *gin.Context) (none R) {
	slot := l.slot(c)
	if slot.n.Load() == 0 {
		return none
	}
	slot.mu.Lock()
	defer slot.mu.Unlock()
	for e := slot.first; e != nil; e = e.next {
		if e.request.Context() == c && reflect.ValueOf(e.request.Header()).Pointer() == reflect.ValueOf(c.Request.Header).Pointer() {
			return e.request
		}
	}
	return none
}

// Add puts a request into the list, in which it is not yet, by an entry of its own.
func (l *List[R]) Add(request R, e *Entry[R]) {
	slot := l.slot(request.Context())
	slot.mu.Lock()
	defer slot.mu.Unlock()
	e.request, e.next, slot.first = request, slot.first, e
	slot.n.Add(1)
}

// Remove takes a request out of the list.
func (l *List[R]) Remove(e *Entry[R]) {
	slot := l.slot(e.request.Context())
	slot.mu.Lock()
	defer slot.mu.Unlock()
	for p := &slot.first; *p != nil; p = &(*p).next {
		if *p == e {
			*p, *e = e.next, Entry[R]{}
			slot.n.Add(-1)
			return
		}
	}
}
