package cost_test

import (
	"math"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit/internal/kittest"
)

// TestAllocations holds the hot path to its budget. A request costs the state of
// the kit and the context's map; a read adds the hash.
func TestAllocations(t *testing.T) {
	if kittest.RaceEnabled {
		return // the race detector allocates
	}
	r, request := newBenchRouter(t)
	bare := allocations(r, request("/bare"))
	for work, budget := range map[string]float64{"anonymous": 3, "read": 4, "write": 10, "update": 11} {
		assert.LessOrEqual(t, allocations(r, request("/"+work)), budget, "%s (bare Gin that parses a cookie: %v)", work, bare)
	}
}

// allocations of a request. What goroutines of earlier tests allocate meanwhile is
// counted as well, so that the least of some runs is the request's.
func allocations(handler http.Handler, r *http.Request) float64 {
	w := discard{http.Header{}}
	least := math.Inf(1)
	for range 5 {
		least = min(least, testing.AllocsPerRun(200, func() {
			clear(w.header)
			handler.ServeHTTP(w, r)
		}))
	}
	return least
}
