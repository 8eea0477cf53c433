package kittest

import (
	"math"
	"net/http"
	"testing"
)

// Discard is a response that costs next to nothing. It is its header.
type Discard http.Header

// Header returns the header.
func (d Discard) Header() http.Header { return http.Header(d) }

// Write discards what it is given.
func (d Discard) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader does nothing.
func (d Discard) WriteHeader(int) {}

// Allocations returns the allocations of a request. What goroutines of earlier tests allocate meanwhile is
// counted as well, so that the least of some runs is the request's.
func Allocations(handler http.Handler, r *http.Request) float64 {
	w := Discard{}
	least := math.Inf(1)
	for range 5 {
		least = min(least, testing.AllocsPerRun(200, func() {
			clear(w)
			handler.ServeHTTP(w, r)
		}))
	}
	return least
}
