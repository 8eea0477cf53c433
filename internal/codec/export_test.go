package codec

import "reflect"

// The bounds of what is remembered.
const (
	MemoSlots = memoSlots
	MemoBytes = memoBytes
)

// Remembers reports whether decoded values of T are remembered.
func Remembers[T any]() bool {
	c, _ := New[T]()
	return c.memo != nil
}

// Remembered returns how many values of c are remembered, and their bytes.
func Remembered[T any](c *Codec[T]) (entries int, bytes int64) {
	for i := range c.memo.slots {
		if c.memo.slots[i].Load() != nil {
			entries++
		}
	}
	return entries, c.memo.bytes.Load()
}

// DecodeAnew decodes without what is remembered.
func DecodeAnew[T any](c *Codec[T], text string) (T, bool) { return c.memo.slow(text) }

// Unstorable returns why values of a type cannot be stored, or "".
func Unstorable(t reflect.Type) string {
	return unstorable(place{t, true}, make(map[place]bool))
}
