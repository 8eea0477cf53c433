package main

import (
	"io"
	"time"
)

// results is all that one run found.
type results struct {
	plan    plan
	began   time.Time
	took    time.Duration
	command string
	machine machine

	peers   []string
	mediums map[string]medium
	lacks   []string // what peers cannot do or why they are left out
	samples map[figure][]sample
	trips   map[string]map[work]float64

	scale       []scaleResult
	shapes      []shape
	directories []directory
	walks       []walk
	redis       redisCost
	revocation  revocation
}

// of returns the samples of a peer, one of each round.
func (r *results) of(where place, peer string, c cell) []sample {
	return r.samples[figure{where, peer, c}]
}

// nanoseconds returns the median time of a request.
func (r *results) nanoseconds(where place, peer string, c cell) float64 {
	return median(times(r.of(where, peer, c)))
}

// measureAll carries out a plan.
func measureAll(around surroundings, p plan, log io.Writer) (*results, error) {
	r := &results{plan: p, began: time.Now()}
	var err error
	if r.machine, err = describeMachine(around); err != nil {
		return nil, err
	}
	runner, err := newRunner(around, log)
	if err != nil {
		return nil, err
	}
	r.peers, r.mediums, r.lacks, r.samples = runner.names, runner.mediums, runner.lacks, runner.samples
	if err := runner.rounds(inProcess, p.cells, p.rounds, p.each); err != nil {
		return nil, err
	}
	if err := runner.serve(); err != nil {
		return nil, err
	}
	if err := runner.rounds(overHTTP, p.httpCells, p.rounds, p.each); err != nil {
		return nil, err
	}
	if r.trips, err = countTrips(around, p.counted); err != nil {
		return nil, err
	}
	if r.shapes, err = measureShapes(around, p.shapeRounds, p.each); err != nil {
		return nil, err
	}
	if r.directories, err = measureDirectories(around, p.directories); err != nil {
		return nil, err
	}
	if r.walks, err = measureWalks(around, log, p.walked, p.each); err != nil {
		return nil, err
	}
	if r.redis, err = measureRedis(around, p.redisSessions, 10*p.each); err != nil {
		return nil, err
	}
	if r.revocation, err = measureRevocation(around, p.revocations); err != nil {
		return nil, err
	}
	for i := range p.sizes {
		p.sizes[i].Dir = around.dir
	}
	r.scale, err = measureScale(around.ctx, log, p.sizes)
	r.took = time.Since(r.began)
	return r, err
}
