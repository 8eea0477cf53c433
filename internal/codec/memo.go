package codec

import (
	"hash/maphash"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

const (
	memoSlots = 512     // of a type
	memoBytes = 1 << 20 // of all entries of a type, by estimate
	entryMost = memoBytes / 16
)

// A memo remembers values by their texts, if these are JSON. Decoding depends on nothing
// but the text and the type, so an entry never becomes wrong. Every caller gets a copy of
// its own.
//
// A text has two slots that it may stand in. No lock is taken: an entry does not change
// once it is in a slot. When the entries take too many bytes, others are dropped, in the
// order of their slots.
type memo[T any] struct {
	copying copier // nil: an assignment is a copy
	slow    func(string) (T, bool)
	seed    maphash.Seed
	slots   [memoSlots]atomic.Pointer[entry[T]]
	fixed   int64        // bytes of an entry but for what is in it
	bytes   atomic.Int64 // of all entries
	next    atomic.Uint32
}

type entry[T any] struct {
	text  string
	value T
	bytes int64
}

func newMemo[T any](copying copier, slow func(string) (T, bool)) *memo[T] {
	return &memo[T]{
		copying: copying, slow: slow, seed: maphash.MakeSeed(),
		fixed: int64(reflect.TypeFor[entry[T]]().Size()), // #nosec G115 -- of a type
	}
}

func (m *memo[T]) decode(text string) (v T, ok bool) {
	// Other texts may have been decoded by gob, and a method that it calls may have put a
	// reference where the copier does not look.
	if _, isJSON := value.CutJSON(text); !isJSON || len(text) > entryMost {
		return m.slow(text)
	}
	hash := maphash.String(m.seed, text)
	one, other := &m.slots[hash%memoSlots], &m.slots[hash/memoSlots%memoSlots]
	for _, slot := range [...]*atomic.Pointer[entry[T]]{one, other} {
		if e := slot.Load(); e != nil && e.text == text {
			if m.copying == nil {
				return e.value, true
			}
			return copyOf(m.copying, &e.value), true
		}
	}
	if v, ok = m.slow(text); !ok {
		return v, false
	}
	if one.Load() != nil && (other.Load() == nil || hash>>63 == 1) {
		one = other
	}
	m.put(one, text, v)
	return v, true
}

// put puts a copy of v into a slot, unless it is too large.
func (m *memo[T]) put(slot *atomic.Pointer[entry[T]], text string, v T) {
	e := &entry[T]{text: strings.Clone(text), bytes: m.fixed + int64(2*len(text))} // once more for the strings in v
	if m.copying == nil {
		e.value = v
	} else {
		e.bytes += int64(m.copying(reflect.ValueOf(&e.value).Elem(), reflect.ValueOf(&v).Elem()))
	}
	if e.bytes > entryMost {
		return
	}
	m.bytes.Add(e.bytes)
	m.release(slot.Swap(e))
	for tries := 0; m.bytes.Load() > memoBytes && tries < memoSlots; tries++ {
		m.release(m.slots[m.next.Add(1)%memoSlots].Swap(nil))
	}
}

func (m *memo[T]) release(e *entry[T]) {
	if e != nil {
		m.bytes.Add(-e.bytes)
	}
}

// copyOf returns a deep copy of a value.
func copyOf[T any](copying copier, src *T) (v T) {
	copying(reflect.ValueOf(&v).Elem(), reflect.ValueOf(src).Elem())
	return v
}
