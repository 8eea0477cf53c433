package main

import "time"

// A plan is how much is measured.
type plan struct {
	quick bool

	cells  []cell
	rounds int
	each   time.Duration // of one peer in one cell

	httpCells  []cell
	httpRounds int
	httpEach   time.Duration

	counted int // requests whose round trips are counted
}

func fullPlan(rounds int) plan {
	return plan{
		cells: cellsOf([]content{small, large}, 1, 8, maxAtATime), rounds: rounds, each: 50 * time.Millisecond,
		httpCells: cellsOf([]content{small, large}, 1, 8, maxAtATime), httpRounds: max(1, rounds/2), httpEach: 100 * time.Millisecond,
		counted: 500,
	}
}

// quickPlan measures one of each kind.
func quickPlan() plan {
	return plan{
		quick: true,
		cells: cellsOf([]content{small, large}, 1, 8, maxAtATime), rounds: 2, each: time.Millisecond,
		httpCells: cellsOf([]content{small}, 8), httpRounds: 1, httpEach: 5 * time.Millisecond,
		counted: 20,
	}
}

// cellsOf returns all works with all contents, each so many at a time.
func cellsOf(contents []content, atATime ...int) []cell {
	var cells []cell
	for _, n := range atATime {
		for _, c := range contents {
			for _, w := range []work{anonymous, read, write, signIn} {
				if w == anonymous && c != small {
					continue // there is no session to hold anything
				}
				cells = append(cells, cell{w, c, n})
			}
		}
	}
	return cells
}
