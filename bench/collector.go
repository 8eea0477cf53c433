package main

import (
	"math"
	"runtime/metrics"
	"time"
)

// collector is what the runtime tells of the garbage collector.
type collector struct {
	cycles   uint64        // collections that have ended; what follows is as of the last one
	cpu, all time.Duration // CPU time of the collector, and of the process
	pauses   *metrics.Float64Histogram
}

func readCollector() collector {
	samples := []metrics.Sample{
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
		{Name: "/cpu/classes/total:cpu-seconds"},
		{Name: "/cpu/classes/idle:cpu-seconds"},
		{Name: "/sched/pauses/total/gc:seconds"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples)
	seconds := func(i int) time.Duration { return time.Duration(samples[i].Value.Float64() * float64(time.Second)) }
	return collector{cpu: seconds(0), all: seconds(1) - seconds(2), pauses: samples[3].Value.Float64Histogram(), cycles: samples[4].Value.Uint64()}
}

// since returns the collector's share of the CPU time since then, and its longest
// pause.
func (c collector) since(before collector) (share float64, longest time.Duration) {
	if c.all > before.all {
		share = float64(c.cpu-before.cpu) / float64(c.all-before.all)
	}
	for i, n := range c.pauses.Counts {
		if n == before.pauses.Counts[i] {
			continue
		}
		bound := c.pauses.Buckets[i+1]
		if math.IsInf(bound, 1) {
			bound = c.pauses.Buckets[i]
		}
		longest = time.Duration(bound * float64(time.Second))
	}
	return share, longest
}

// awaitCollections waits until so many collections have ended and the time is over,
// half a minute at most, and returns the state at the end of the last one.
func awaitCollections(cycles uint64, atLeast time.Duration) collector {
	began := time.Now()
	for {
		c := readCollector()
		waited := time.Since(began)
		if c.cycles >= cycles && waited >= atLeast || waited > 30*time.Second {
			return c
		}
		time.Sleep(5 * time.Millisecond)
	}
}
