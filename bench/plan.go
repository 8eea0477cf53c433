package main

import (
	"slices"
	"time"
)

// A plan is how much is measured.
type plan struct {
	quick bool

	cells     []cell
	httpCells []cell
	rounds    int
	each      time.Duration // of one peer in one cell and round

	counted       int // requests whose round trips are counted
	shapeRounds   int
	directories   []int // sessions of one user
	walked        int   // sessions that are counted and gone through
	redisSessions int   // to weigh in the server
	revocations   int
	sizes         []crowdSize
}

func fullPlan(rounds int) plan {
	return plan{
		cells:     append(cellsOf([]content{small, large}, 1, 8, maxAtATime), cellsOf(kindNames, 1, maxAtATime)...),
		httpCells: cellsOf([]content{small, large}, 1, 8, maxAtATime),
		rounds:    rounds, each: 50 * time.Millisecond,
		counted: 500, shapeRounds: 5, directories: []int{1, 10, 1000}, walked: 1_000_000, redisSessions: 100_000, revocations: 1000,
		sizes: sizesOf(time.Second, true, 1_000_000, 100_000, 10_000),
	}
}

// quickPlan measures one of each kind.
func quickPlan() plan {
	return plan{
		quick:     true,
		cells:     slices.Concat(cellsOf([]content{small}, 1, maxAtATime), cellsOf([]content{large}, 8), cellsOf(kindNames, 1)),
		httpCells: cellsOf([]content{small}, 8),
		rounds:    2, each: time.Millisecond,
		counted: 20, shapeRounds: 2, directories: []int{1, 10}, walked: 1000, redisSessions: 1000, revocations: 20,
		sizes: sizesOf(10*time.Millisecond, false, 10_000, 1000),
	}
}

// sizesOf returns the stores with so many sessions, the longest to measure first:
// while one waits for its sweep, the others take their turn.
func sizesOf(each time.Duration, sweep bool, sessions ...int) []crowdSize {
	var sizes []crowdSize
	for _, m := range []medium{inSQLite, inMemory} {
		for _, n := range sessions {
			sizes = append(sizes, crowdSize{Store: m, Sessions: n, For: each, Sweep: sweep})
		}
	}
	return append(sizes, crowdSize{Store: inMemory, Sessions: sessions[0], For: each, SignedIn: true})
}

// cellsOf returns all works with all contents, each so many at a time.
func cellsOf(contents []content, atATime ...int) []cell {
	var cells []cell
	for _, n := range atATime {
		for _, c := range contents {
			for _, w := range []work{anonymous, read, write, update, signIn} {
				if w == anonymous && c != small || !worked(w, c) {
					continue // there is no session to hold anything, or no such work
				}
				cells = append(cells, cell{w, c, n})
			}
		}
	}
	return cells
}
