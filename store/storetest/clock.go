package storetest

import (
	"time"
)

// clock checks the clock that all processes share.
func clock(s *suite) {
	id := s.create(record("", nil))
	const tolerated = 5 * time.Second // the clocks of the server and of the test
	before := time.Now().Add(-tolerated)
	first, err := s.b.Now(s.Context(), id)
	s.must(err)
	second, err := s.b.Now(s.Context(), id)
	s.must(err)
	if first.Before(before) || second.Before(first) || second.After(time.Now().Add(tolerated)) {
		s.Errorf("Now must return the time, which goes on: %v, then %v, at %v", first, second, time.Now())
	}
	if second.Sub(first) > time.Second {
		s.Errorf("Now must be precise: %v between two calls", second.Sub(first))
	}
}
