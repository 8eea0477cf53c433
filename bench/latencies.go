package main

import (
	"slices"
	"time"
)

// latencies holds the time of each request of each visitor. A nil one takes no
// times, so that work in process is not slowed by the clock.
type latencies struct{ of [][]time.Duration }

func newLatencies(visitors int) *latencies { return &latencies{make([][]time.Duration, visitors)} }

func (l *latencies) begin() time.Time {
	if l == nil {
		return time.Time{}
	}
	return time.Now()
}

func (l *latencies) end(visitor int, began time.Time) {
	if l != nil {
		l.of[visitor] = append(l.of[visitor], time.Since(began))
	}
}

// quantile returns the time within which the given share of the requests ended.
func (l *latencies) quantile(share float64) time.Duration {
	return quantile(slices.Concat(l.of...), share)
}

func quantile(times []time.Duration, share float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}
