package storetest

func closing(s *suite) {
	s.create(record("alice", nil))
	if err := s.b.Close(); err != nil {
		s.Errorf("Close must succeed: %v", err)
	}
}
