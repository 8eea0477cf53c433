package reliability_test

import "slices"

// A register is what a client knows of one value in its session: one number, or
// one of several, as long as a write that got no answer may have been made or not.
type register struct {
	possible []int
	late     []int // may be written at any time: a server that hung still has to do what was sent to it
}

// acknowledged notes a write that was made.
func (r *register) acknowledged(v int) { r.possible = []int{v} }

// attempted notes a write that got no answer.
func (r *register) attempted(v int, late bool) {
	r.possible = append(r.possible, v)
	if late {
		r.late = append(r.late, v)
	}
}

// all returns what may be there: 0 before the first write.
func (r *register) all() []int {
	if len(r.possible) == 0 {
		return append(slices.Clone(r.late), 0)
	}
	return slices.Concat(r.possible, r.late)
}

// read notes what was read, and reports whether it can be.
func (r *register) read(v int) bool {
	ok := slices.Contains(r.all(), v)
	r.acknowledged(v)
	return ok
}

// added notes that one was added, with the sum n, and reports whether it can be.
func (r *register) added(n int) bool {
	ok := slices.Contains(r.all(), n-1)
	r.acknowledged(n)
	return ok
}

// attemptedToAdd notes an addition that got no answer.
func (r *register) attemptedToAdd(late bool) {
	before := r.all()
	r.possible = slices.Clone(before)
	for _, v := range before {
		r.attempted(v+1, late)
	}
	slices.Sort(r.possible)
	r.possible = slices.Compact(r.possible)
}
