// Package alloctest bounds what decoding allocates by the size of its input.
package alloctest

import (
	"runtime"
	"testing"
)

// Check fails the test if f allocates out of proportion to its input of n bytes:
// more than some constant and a small multiple of it. An attacker, or a damaged
// record, must not make a few bytes cost megabytes.
//
// What other goroutines allocate meanwhile is counted as well, so f is run again
// before it is blamed.
func Check(tb testing.TB, n int, f func()) {
	tb.Helper()
	limit := 256<<10 + 128*uint64(n) // #nosec G115 -- a length
	var allocated uint64
	for range 5 {
		if allocated = measure(f); allocated <= limit {
			return
		}
	}
	tb.Errorf("an input of %d bytes makes it allocate %d bytes, more than %d", n, allocated, limit)
}

func measure(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
