package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// maxAtATime is the most requests that are under way at a time.
const maxAtATime = 64

// A sample is what one measurement of one peer found.
type sample struct {
	Ops     int
	Elapsed time.Duration
	Allocs  uint64 // of the process; 0 over HTTP
	Bytes   uint64
	P50     time.Duration // of a request, over HTTP
	P99     time.Duration
	CPU     time.Duration // of the server for a request, over HTTP; 0: not known
}

// nanoseconds is the time of one request while others run at the same time.
func (s sample) nanoseconds() float64 { return float64(s.Elapsed) / float64(max(s.Ops, 1)) }

// repeat has all visitors work at the same time for about d.
func repeat(visitors []*visitor, w work, d time.Duration, latencies *latencies) (sample, error) {
	var stop atomic.Bool
	timer := time.AfterFunc(d, func() { stop.Store(true) })
	defer timer.Stop()
	return together(visitors, func(i int, v *visitor) (ops int, err error) {
		for !stop.Load() || ops == 0 {
			began := latencies.begin()
			if err := v.work(w); err != nil {
				return ops, err
			}
			latencies.end(i, began)
			ops++
		}
		return ops, nil
	})
}

// signInAndOut signs sessions in and out again for about d, and returns what each
// of the two took. Making the sessions is not counted.
func signInAndOut(visitors []*visitor, d time.Duration, in, out *latencies) (signedIn, signedOut sample, err error) {
	each := max(4, 128/len(visitors)) // sessions of a visitor at a time
	for signedIn.Elapsed+signedOut.Elapsed < d {
		_, err := together(visitors, func(_ int, v *visitor) (int, error) {
			v.others = v.others[:0]
			for range each {
				if _, err := v.start(); err != nil {
					return 0, err
				}
				v.others = append(v.others, v.cookie())
			}
			return each, nil
		})
		if err != nil {
			return signedIn, signedOut, err
		}
		for _, phase := range []struct {
			work      work
			sum       *sample
			latencies *latencies
		}{{signIn, &signedIn, in}, {signOut, &signedOut, out}} {
			s, err := together(visitors, func(i int, v *visitor) (int, error) {
				for n, cookie := range v.others {
					v.setCookie(cookie)
					began := phase.latencies.begin()
					if err := v.work(phase.work); err != nil {
						return n, err
					}
					phase.latencies.end(i, began)
					v.others[n] = v.cookie()
				}
				return each, nil
			})
			if err != nil {
				return signedIn, signedOut, err
			}
			*phase.sum = phase.sum.plus(s)
		}
	}
	return signedIn, signedOut, nil
}

func (s sample) plus(more sample) sample {
	s.Ops += more.Ops
	s.Elapsed += more.Elapsed
	s.Allocs += more.Allocs
	s.Bytes += more.Bytes
	return s
}

// together runs f for each visitor, all at the same time.
func together(visitors []*visitor, f func(int, *visitor) (int, error)) (sample, error) {
	var (
		all, ready sync.WaitGroup
		ops        = make([]int, len(visitors))
		errs       = make([]error, len(visitors))
		start      = make(chan struct{})
		m          [2]runtime.MemStats
	)
	for i, v := range visitors {
		ready.Add(1)
		all.Go(func() {
			ready.Done()
			<-start
			ops[i], errs[i] = f(i, v)
		})
	}
	ready.Wait()
	runtime.ReadMemStats(&m[0])
	began := time.Now()
	close(start)
	all.Wait()
	elapsed := time.Since(began)
	runtime.ReadMemStats(&m[1])
	s := sample{Elapsed: elapsed, Allocs: m[1].Mallocs - m[0].Mallocs, Bytes: m[1].TotalAlloc - m[0].TotalAlloc}
	for i := range visitors {
		if errs[i] != nil {
			return s, errs[i]
		}
		s.Ops += ops[i]
	}
	return s, nil
}
