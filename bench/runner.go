package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// A place is where the peers are measured.
type place string

const (
	inProcess place = "in process"
	overHTTP  place = "over HTTP"
)

// A figure names what the samples of all rounds belong to.
type figure struct {
	place place
	peer  string
	cell  cell // its Work may be signing out
}

// A runner measures all peers, in turn.
type runner struct {
	around    surroundings
	log       io.Writer
	generator *generator
	running   []*runningPeer
	names     []string
	mediums   map[string]medium
	lacks     []string // what peers cannot do or why they are left out
	samples   map[figure][]sample
}

type runningPeer struct {
	peer
	app   *app
	crowd *crowd
}

// newRunner opens all peers, and proves of each that it does its work.
func newRunner(around surroundings, log io.Writer) (*runner, error) {
	r := &runner{around: around, log: log, mediums: make(map[string]medium), samples: make(map[figure][]sample)}
	var err error
	if r.generator, err = startGenerator(around.ctx, around.close); err != nil {
		return nil, err
	}
	for _, p := range peers() {
		a, err := p.open(around)
		if errors.Is(err, errNoNode) {
			r.lacks = append(r.lacks, fmt.Sprintf("%s is left out: %v", p.name, err))
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		running := &runningPeer{peer: p, app: a}
		if p.remote {
			_, err = r.generator.run(job{Address: a.address, Prove: &claims{p.name, p.renews, p.ends}})
		} else {
			running.crowd = newCrowd(a.connect)
			err = prove(p, a.connect)
		}
		if err != nil {
			return nil, err
		}
		r.running, r.names, r.mediums[p.name] = append(r.running, running), append(r.names, p.name), p.medium
		if p.lacks != "" {
			r.lacks = append(r.lacks, p.name+": "+p.lacks)
		}
	}
	return r, nil
}

// serve lets the peers answer over HTTP.
func (r *runner) serve() error {
	for _, p := range r.running {
		if p.remote {
			continue
		}
		l, err := new(net.ListenConfig).Listen(r.around.ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		r.around.close.add(func() error { _ = l.Close(); return nil }) // some servers have closed it
		p.app.address = l.Addr().String()
		go func() { _ = p.app.serve(l) }() // it ends with the listener
	}
	return nil
}

// rounds measures each cell of each peer once a round, the peers in turn.
func (r *runner) rounds(where place, cells []cell, rounds int, each time.Duration) error {
	for round := range rounds {
		_, _ = fmt.Fprintf(r.log, "%s: round %d of %d\n", where, round+1, rounds)
		for _, c := range cells {
			for _, p := range r.running {
				if where == inProcess && p.remote || !p.does(c.Work, c.Content) {
					continue
				}
				samples, err := r.measure(where, p, c, each)
				if err != nil {
					return fmt.Errorf("%s, %s, %v: %w", p.name, where, c, err)
				}
				for w, s := range samples {
					key := figure{where, p.name, cell{w, c.Content, c.AtATime}}
					r.samples[key] = append(r.samples[key], s)
				}
			}
		}
	}
	return nil
}

func (r *runner) measure(where place, p *runningPeer, c cell, d time.Duration) (map[work]sample, error) {
	if where == inProcess {
		return p.crowd.measure(c, d, false)
	}
	before := cpuTime()
	a, err := r.generator.run(job{Address: p.app.address, Cell: c, For: d})
	if s, plain := a.Samples[c.Work]; plain && c.Work != signIn && !p.remote {
		s.CPU = (cpuTime() - before) / time.Duration(max(1, a.Requests))
		a.Samples[c.Work] = s
	}
	return a.Samples, err
}

// cpuTime returns the CPU time that this process has taken.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// countedWorks are the requests whose round trips are counted.
var countedWorks = []work{anonymous, read, write, update, signIn, signOut}

// countTrips counts, for each peer that can be measured in process, what goes to
// the store and back for one request. It opens the peers anew, with a proxy in
// front of Redis.
func countTrips(around surroundings, requests int) (map[string]map[work]float64, error) {
	trips := make(map[string]map[work]float64)
	for _, p := range peers() {
		if p.remote || p.medium == nowhere || p.medium == inCookie {
			continue
		}
		counted, err := countPeer(p, around, requests)
		if err != nil {
			return nil, fmt.Errorf("counting round trips of %s: %w", p.name, err)
		}
		if counted != nil {
			trips[p.name] = counted
		}
	}
	return trips, nil
}

func countPeer(p peer, around surroundings, requests int) (map[work]float64, error) {
	if p.medium == inMemory && p.name != kitMemory {
		return nil, nil //nolint:nilnil // its store is no place to count at
	}
	own := new(closer)
	defer func() { _ = own.close() }() // nothing of it is needed any more
	around.close, around.tally = own, new(tally)
	around.dir = filepath.Join(around.dir, "counted")
	if err := os.MkdirAll(around.dir, 0o750); err != nil {
		return nil, err
	}
	var err error
	if around.redis, err = around.tally.proxy(around.ctx, around.redis, own); err != nil {
		return nil, err
	}
	a, err := p.open(around)
	if err != nil {
		return nil, err
	}
	v, err := visit(a.connect(), small)
	if err != nil {
		return nil, err
	}
	counted := make(map[work]float64)
	for _, w := range []work{anonymous, read, write, update} {
		if !p.does(w, small) {
			continue
		}
		if err := v.resume(); err != nil {
			return nil, err
		}
		if counted[w], err = around.tally.perRequest(requests, func() error { return v.work(w) }); err != nil {
			return nil, err
		}
		if w != anonymous {
			v.leave()
		}
	}
	var cookies []string
	for range requests {
		if _, err := v.start(); err != nil {
			return nil, err
		}
		cookies = append(cookies, v.cookie())
	}
	for _, w := range []work{signIn, signOut} {
		next := 0
		counted[w], err = around.tally.perRequest(requests, func() error {
			v.setCookie(cookies[next])
			err := v.work(w)
			cookies[next] = v.cookie()
			next++
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return counted, nil
}

func (t *tally) perRequest(requests int, do func() error) (float64, error) {
	before := t.n.Load()
	for range requests {
		if err := do(); err != nil {
			return 0, err
		}
	}
	return float64(t.n.Load()-before) / float64(requests), nil
}

// surround makes what the peers need: a directory, and a Redis server.
func surround(ctx context.Context) (surroundings, error) {
	s := surroundings{ctx: ctx, close: new(closer)}
	dir, err := os.MkdirTemp("", "sessionkit-bench-")
	if err != nil {
		return s, err
	}
	s.close.add(func() error { return os.RemoveAll(dir) })
	s.dir = dir
	s.redis, err = startRedis(ctx, dir, s.close)
	return s, err
}
