package storetest

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// processes is two backends over one medium as one. Each call goes to the next of them.
// It loads past what they have in memory.
type processes struct {
	one, other store.Backend
	calls      atomic.Uint64
}

var _ store.PeekingBackend = (*processes)(nil)

func (p *processes) next() store.Backend {
	if p.calls.Add(1)%2 == 0 {
		return p.one
	}
	return p.other
}

func (p *processes) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	return p.next().Create(ctx, id, r)
}

func (p *processes) Load(ctx context.Context, id string) (store.Record, bool, error) {
	records, err := p.next().LoadFresh(ctx, id)
	r, found := records[id]
	return r, found, err
}

func (p *processes) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	return p.next().LoadFresh(ctx, ids...)
}

func (p *processes) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	return p.next().Update(ctx, id, c)
}

func (p *processes) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	return p.next().Rotate(ctx, id, m)
}

func (p *processes) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	return p.next().End(ctx, user, why, ids...)
}

func (p *processes) Delete(ctx context.Context, id string) (bool, error) {
	return p.next().Delete(ctx, id)
}

func (p *processes) List(ctx context.Context, user string) (map[string]store.Record, error) {
	return p.next().List(ctx, user)
}

func (p *processes) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return p.next().Scan(ctx)
}

func (p *processes) Now(ctx context.Context, id string) (time.Time, error) {
	return p.next().Now(ctx, id)
}

func (p *processes) CreateAndPeek(ctx context.Context, id string, r store.Record, k store.Peek) (bool, []string, error) {
	return createAndPeek(ctx, p.next(), id, r, k)
}

func (p *processes) RotateAndPeek(ctx context.Context, id string, m store.Move, k store.Peek) (bool, []string, error) {
	return rotateAndPeek(ctx, p.next(), id, m, k)
}

// Close leaves the backends to those who made them.
func (p *processes) Close() error { return nil }

// A deed is something that a process does to a session.
type deed struct {
	name string
	do   func(s *suite, id string)
}

var deeds = []deed{
	{"Update", func(s *suite, id string) {
		s.must2(s.update(id, store.Change{Set: map[string]string{"a": `2`}}), nil)
	}},
	{"Update of the times", func(s *suite, id string) {
		later := time.Now().Add(3 * time.Hour)
		s.must2(s.update(id, store.Change{Seen: later, Expires: later}), nil)
	}},
	{"Update of the sign-in", func(s *suite, id string) {
		s.must2(s.update(id, store.Change{Set: signInOf("line")}), nil)
	}},
	{"Rotate", func(s *suite, id string) { s.must2(s.rotate(id, s.id(), record("alice", nil)), nil) }},
	{"End", func(s *suite, id string) { s.must2(s.end("alice", store.Revoked, id), nil) }},
	{"Delete", func(s *suite, id string) { s.must2(s.delete(id), nil) }},
}

// known has both processes read a session, which they may then have in memory.
func known(one, other *suite) (id string) {
	one.Helper()
	id = one.create(record("alice", map[string]string{"a": `1`}))
	for _, s := range []*suite{one, other} {
		for range 2 {
			s.load(id)
			if fresh := s.fresh(id); len(fresh) != 1 {
				s.Fatal("what one process has created must be there for another at once")
			}
			if _, listed := s.list("alice")[id]; !listed {
				s.Fatal("what one process has created must be on the list of another at once")
			}
			if _, scanned := s.scanned()[id]; !scanned {
				s.Fatal("what one process has created must be in the Scan of another at once")
			}
		}
	}
	return id
}

// freshOfAnother: what one process has done is what another finds in the medium.
func freshOfAnother(one, other *suite) {
	for _, d := range deeds {
		id := known(one, other)
		d.do(one, id)
		rule := fmt.Sprintf("LoadFresh must see what another process has done a moment ago: %s", d.name)
		want, wanted := one.fresh(id)[id]
		got, found := other.fresh(id)[id]
		if found != wanted {
			other.Errorf("%s: found %v, want %v", rule, found, wanted)
		}
		if found {
			other.wantRecord(got, want, rule)
		}
		listed, lists := one.list("alice"), other.list("alice")
		if len(listed) != len(lists) {
			other.Errorf("List must see what another process has done a moment ago: %s: it has %d sessions, want %d", d.name, len(lists), len(listed))
		}
		for id := range listed {
			if want := one.fresh(id)[id]; want.Ended == "" {
				other.wantListed(id, want, "whichever process has changed them: "+d.name)
			}
			one.delete(id)
		}
	}
}

// loadOfAnother: Load may answer from memory, but not for good.
func loadOfAnother(one, other *suite) {
	for _, d := range deeds {
		id := known(one, other)
		d.do(one, id)
		want, wanted := one.fresh(id)[id]
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for began := time.Now(); ; <-tick.C {
			got, found := other.load(id)
			if found == wanted && (!found || len(differences(got, want)) == 0) {
				break
			}
			if time.Since(began) > patience {
				other.Fatalf("Load must see what another process has done before long: %s was %v ago", d.name, patience)
			}
		}
	}
}

// watchOfAnother is for backends that watch.
func watchOfAnother(one, other *suite) {
	b, ok := other.whole.(store.WatchingBackend)
	if !ok {
		return
	}
	for _, d := range deeds {
		id := known(one, other)
		changed := make(chan struct{}, 1)
		stop := b.Watch(id, func() {
			select {
			case changed <- struct{}{}:
			default: // it may be called more often
			}
		})
		other.load(id)
		d.do(one, id)
		select {
		case <-changed:
		case <-time.After(patience):
			other.Fatalf("Watch must tell of what another process does: %s was %v ago", d.name, patience)
		}
		stop()
	}
}

// countOfAnother is for backends that count, and may know a moment later what another process
// has done.
func countOfAnother(one, other *suite) {
	user, visitor := one.create(record("alice", nil)), one.create(record("", nil))
	deleted := one.create(record("bob", nil))
	other.awaitCounts(store.Counts{Live: 3, SignedIn: 2}, "created")
	one.must2(one.update(user, store.Change{Seen: time.Now(), Expires: time.Now().Add(3 * time.Hour)}), nil)
	other.must2(other.rotate(visitor, other.id(), record("carol", nil)), nil)
	other.must2(other.delete(deleted), nil)
	other.must2(other.end("alice", store.Revoked, user), nil)
	other.create(record("", nil))
	one.awaitCounts(store.Counts{Live: 2, SignedIn: 1}, "created, given a new ID, ended and deleted")
}

// awaitCounts waits until a backend counts what another process has done, if it counts.
func (s *suite) awaitCounts(want store.Counts, done string) {
	s.Helper()
	b, ok := s.whole.(store.CountingBackend)
	if !ok {
		return
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		got, err := b.Count(s.Context())
		if s.must(err); got == want {
			return
		}
		if time.Since(began) > patience {
			s.Fatalf("Count must count before long what another process has %s: %+v, want %+v", done, got, want)
		}
	}
}

// clockOfAnother checks that the clock is one for all.
func clockOfAnother(one, other *suite) {
	id := one.create(record("", nil))
	var last time.Time
	for i := range 10 {
		s := []*suite{one, other}[i%2]
		now, err := s.b.Now(s.Context(), id)
		if s.must(err); now.Before(last) {
			s.Errorf("Now must be the time of a clock that all processes share: %v, then %v", last, now)
		}
		last = now
	}
}
