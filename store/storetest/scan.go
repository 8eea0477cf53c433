package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// scanned goes through all sessions, each of which must come once.
func (s *suite) scanned() map[string]store.Record {
	s.Helper()
	all := make(map[string]store.Record)
	const portionAtMost = 1000 // rather less
	for records, err := range s.b.Scan(s.Context()) {
		s.must(err)
		if len(records) > portionAtMost {
			s.Errorf("Scan must yield small portions: one has %d records", len(records))
		}
		for id, r := range records {
			if _, twice := all[id]; twice {
				s.Errorf("Scan must yield a record once: %+v came twice", r)
			}
			all[id] = r
		}
		clear(records) // it is the caller's
	}
	return all
}

// endInTime ends a session of its own.
func (s *suite) endInTime(rule string) {
	s.Helper()
	id, done := s.id(), make(chan bool, 1)
	go func() {
		s.try(s.b.Create(s.Context(), id, record("", nil)))
		ended, err := s.b.End(s.Context(), "", store.Revoked, id)
		done <- err == nil && len(ended) == 1
	}()
	select {
	case ended := <-done:
		if !ended {
			s.Error("End of a live session must return its ID")
		}
	case <-time.After(patience):
		s.Errorf("%s: End has not returned after %v", rule, patience)
	}
}

// scan checks that everything comes that should, as it is, and no more.
func scan(s *suite) {
	live, renewed := s.populate()
	ended := s.create(record("alice", nil))
	s.end("alice", store.SignedOut, ended)
	expired, boundary := record("alice", nil), record("", nil)
	expired.Expires, boundary.Kind = time.Now().Add(-time.Minute), "other"
	expiredID, boundaryID := s.create(expired), s.create(boundary)

	all := s.scanned()
	signedIn := 0
	for id := range live {
		r, found := all[id]
		whole, _ := s.load(id)
		if whole.User != "" {
			signedIn++
		}
		if !found {
			s.Fatalf("Scan must yield all sessions: %+v has not come", whole)
		}
		s.wantRecord(outline(r), outline(whole), "Scan must yield sessions as they are")
	}
	for id, next := range renewed {
		if r, found := all[id]; !found || r.Ended != store.Renewed || r.Next != next {
			s.Fatalf("Scan must yield the traces of renewed sessions: %v, %+v", found, r)
		}
	}
	if _, found := all[boundaryID]; found {
		s.Error("Scan must yield sessions and no records of other kinds")
	}
	if again := s.scanned(); len(again) != len(all) {
		s.Errorf("a portion of Scan is the caller's, to be changed: %d records, then %d", len(all), len(again))
	}
	delete(all, ended)
	delete(all, expiredID)
	if len(all) != len(live)+len(renewed) {
		s.Errorf("Scan must yield what is there and no more: %d records, want %d", len(all), len(live)+len(renewed))
	}
	s.wantCounts(store.Counts{Live: len(live), SignedIn: signedIn}, "sessions, and no traces or other records")
}

// populate makes sessions that are more than a portion, and gives new IDs to some of them.
func (s *suite) populate() (live map[string]bool, renewed map[string]string) {
	s.Helper()
	const many, renewals = 1100, 50
	live, renewed = make(map[string]bool), make(map[string]string)
	for i := range many {
		live[s.create(record([]string{"", "alice", "bob"}[i%3], signInOf(fmt.Sprint("line ", i))))] = true
	}
	for id := range live {
		if len(renewed) == renewals {
			break
		}
		next := s.id()
		r, _ := s.load(id)
		r.Since = time.Now()
		s.rotate(id, next, r)
		renewed[id], live[next] = next, true
		delete(live, id)
	}
	return live, renewed
}

func scanWithoutLock(s *suite) {
	for range 3 {
		s.create(record("alice", nil))
	}
	for _, err := range s.b.Scan(s.Context()) {
		s.must(err)
		s.endInTime("while a portion of Scan is being looked at, no lock may be held")
		break
	}
}

func scanCancelled(s *suite) {
	s.create(record("alice", nil))
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	var err error
	for _, err = range s.b.Scan(ctx) {
		if err != nil {
			break
		}
	}
	if err == nil {
		s.Error("Scan must end with an error if its context is cancelled")
	}
}

// wantCounts checks what a backend counts, if it does.
func (s *suite) wantCounts(want store.Counts, what string) {
	s.Helper()
	s.wantCountsUntil(time.Now().Add(time.Hour), want, what)
}

// wantCountsUntil is wantCounts of sessions that expire soon: a slow medium may be too late.
func (s *suite) wantCountsUntil(soon time.Time, want store.Counts, what string) {
	s.Helper()
	b, ok := s.whole.(store.CountingBackend)
	if !ok {
		return
	}
	if got, err := b.Count(s.Context()); err != nil || got != want && time.Now().Before(soon) {
		s.Errorf("Count must count %s: %+v, %v, want %+v", what, got, err, want)
	}
}

func count(s *suite) {
	s.wantCounts(store.Counts{}, "nothing where nothing is")
	soon := time.Now().Add(100 * time.Millisecond)
	user, visitor := record("alice", nil), record("", nil)
	user.Expires, visitor.Expires = soon, soon
	s.create(user)
	s.create(visitor)
	postponed := s.create(user)
	s.wantCountsUntil(soon, store.Counts{Live: 3, SignedIn: 2}, "sessions that are to expire")
	inTime := s.update(postponed, store.Change{Seen: time.Now(), Expires: time.Now().Add(time.Hour)})
	s.update(postponed, store.Change{Set: map[string]string{"a": `1`}})
	signedIn := s.id()
	s.rotate(s.create(record("", nil)), signedIn, record("bob", nil))
	ended := s.create(record("", nil))
	s.end("", store.Revoked, ended)
	s.update(ended, store.Change{Expires: time.Now().Add(2 * time.Hour)})
	s.delete(s.create(record("carol", nil)))
	for time.Now().Before(soon.Add(time.Millisecond)) {
		s.load(postponed)
	}
	if inTime {
		s.wantCounts(store.Counts{Live: 2, SignedIn: 2}, "sessions that live")
	}
	if _, ok := s.list("alice")[postponed]; !ok && inTime {
		s.Error("List must return a session for as long as Update has it live")
	}
	s.end("alice", store.SignedOut, postponed)
	s.wantCounts(store.Counts{Live: 1, SignedIn: 1}, "no session that has ended")
}
