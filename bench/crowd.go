package main

import (
	"runtime"
	"time"
)

// A cell is one thing to measure of each peer.
type cell struct {
	Work    work
	Content content
	AtATime int
}

// A crowd is the visitors of one peer.
type crowd struct {
	connect  func() transport
	visitors map[content][]*visitor
}

func newCrowd(connect func() transport) *crowd {
	return &crowd{connect, make(map[content][]*visitor)}
}

// of returns visitors with sessions that hold c.
func (c *crowd) of(holding content, n int) ([]*visitor, error) {
	for len(c.visitors[holding]) < n {
		v, err := visit(c.connect(), holding)
		if err != nil {
			return nil, err
		}
		c.visitors[holding] = append(c.visitors[holding], v)
	}
	return c.visitors[holding][:n], nil
}

// warmUp is how long a peer works before it is measured. The one before it may have waited
// for a server most of the time, and left a slow processor and cold caches.
const warmUp = 25 * time.Millisecond

// measure measures a cell for about d. What measures signing in also measures
// signing out. Before and after, each visitor proves by a read that its session
// holds what was written last.
func (c *crowd) measure(what cell, d time.Duration, timed bool) (map[work]sample, error) {
	visitors, err := c.of(what.Content, what.AtATime)
	if err != nil {
		return nil, err
	}
	resume := func(_ int, v *visitor) (int, error) { return 1, v.resume() }
	if _, err := together(visitors, resume); err != nil {
		return nil, err
	}
	runtime.GC() // what others left behind
	if _, err := c.measureWork(visitors, what.Work, min(d/2, warmUp), false); err != nil {
		return nil, err
	}
	samples, err := c.measureWork(visitors, what.Work, d, timed)
	if err != nil {
		return nil, err
	}
	if what.Work == read || what.Work == write || what.Work == update {
		for _, v := range visitors {
			v.leave()
		}
	}
	_, err = together(visitors, resume)
	return samples, err
}

func (c *crowd) measureWork(visitors []*visitor, w work, d time.Duration, timed bool) (map[work]sample, error) {
	times := func() *latencies {
		if !timed {
			return nil
		}
		return newLatencies(len(visitors))
	}
	fill := func(s *sample, l *latencies) {
		if l != nil {
			s.P50, s.P99 = l.quantile(0.5), l.quantile(0.99)
		}
	}
	first := times()
	if w != signIn {
		s, err := repeat(visitors, w, d, first)
		fill(&s, first)
		return map[work]sample{w: s}, err
	}
	second := times()
	in, out, err := signInAndOut(visitors, d, first, second)
	fill(&in, first)
	fill(&out, second)
	return map[work]sample{signIn: in, signOut: out}, err
}
