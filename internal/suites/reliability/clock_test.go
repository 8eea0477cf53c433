package reliability_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// A clock is that of an application, of which a test can step what is stored: to
// an application whose clock steps forward by an hour, all that was stored before
// looks an hour older.
type clock struct{ ahead atomic.Int64 }

func (c *clock) step(d time.Duration) { c.ahead.Add(int64(d)) }

func (c *clock) wrap(b store.Backend) store.Backend { return stepped{b, c} }

// stepped stands between an application and its backend. It judges itself what has
// expired: to the backend, whose clock is not stepped, nothing does.
type stepped struct {
	store.Backend

	clock *clock
}

const never = 100 * 365 * 24 * time.Hour

// stored returns a time as it is stored, and seen a stored one as the application
// sees it.
func (s stepped) stored(t time.Time, later time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(time.Duration(s.clock.ahead.Load()) + later)
}

func (s stepped) seen(r store.Record) store.Record {
	ahead := time.Duration(s.clock.ahead.Load())
	r.Created, r.Seen, r.Expires = r.Created.Add(-ahead), r.Seen.Add(-ahead), r.Expires.Add(-ahead-never)
	return r
}

func (s stepped) record(r store.Record) store.Record {
	r.Created, r.Seen, r.Expires = s.stored(r.Created, 0), s.stored(r.Seen, 0), s.stored(r.Expires, never)
	return r
}

func (s stepped) live(ctx context.Context, id string) (bool, error) {
	r, found, err := s.Load(ctx, id)
	return found && time.Now().Before(r.Expires), err
}

func (s stepped) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	return s.Backend.Create(ctx, id, s.record(r))
}

func (s stepped) Load(ctx context.Context, id string) (store.Record, bool, error) {
	r, found, err := s.Backend.Load(ctx, id)
	return s.seen(r), found, err
}

func (s stepped) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	records, err := s.Backend.LoadFresh(ctx, ids...)
	for id, r := range records {
		records[id] = s.seen(r)
	}
	return records, err
}

func (s stepped) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	if live, err := s.live(ctx, id); !live || err != nil {
		return store.Outcome{}, err
	}
	c.Seen, c.Expires = s.stored(c.Seen, 0), s.stored(c.Expires, never)
	return s.Backend.Update(ctx, id, c)
}

func (s stepped) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	if live, err := s.live(ctx, id); !live || err != nil {
		return false, err
	}
	m.Record = s.record(m.Record)
	return s.Backend.Rotate(ctx, id, m)
}

func (s stepped) List(ctx context.Context, user string) (map[string]store.Record, error) {
	records, err := s.Backend.List(ctx, user)
	for id, r := range records {
		records[id] = s.seen(r)
	}
	return records, err
}

// stepClock steps the clock by less than a session may be idle, and back by more
// than it may be.
func stepClock(t *testing.T, s *site) {
	t.Helper()
	p := s.prepare(t)
	s.clock.step(30 * time.Minute)
	s.load.work(t, 10)
	s.clock.step(-3 * time.Hour)
	s.probe(p)
	s.load.work(t, 10)
}
