package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"
)

// All yields the live sessions of all users and of visitors, of all names, in no
// order. Each that lives through the whole iteration comes exactly once, whatever IDs
// it is given meanwhile, if that takes less than an hour ([Retention]); of those that
// begin or end meanwhile some come. It holds a small part of them in memory at a time,
// and no request waits for it. If the store fails, the error comes last, with no
// session.
//
//	for session, err := range s.All(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(session.User, session.LastSeenAt)
//	}
func (s *Store) All(ctx context.Context) iter.Seq2[Session, error] {
	return func(yield func(Session, error) bool) {
		for records, err := range s.walk(ctx) {
			if err != nil {
				yield(Session{}, err)
				return
			}
			for id, r := range records {
				if r.live() && !yield(r.Session(id), nil) {
					return
				}
			}
		}
	}
}

// Counts is how many sessions there are.
type Counts struct {
	Live     int // of all users and of visitors
	SignedIn int // those in which somebody is signed in
}

// Count returns how many sessions live, of all names, for a gauge that is read every few
// seconds: memstore looks at all records in memory, sqlstore reads an index, and redisstore
// a few numbers, which lag up to a second behind what other processes do. Over a
// backend that is no [CountingBackend] it goes through all sessions, as [Store.All] does.
func (s *Store) Count(ctx context.Context) (Counts, error) {
	if counting, ok := s.backend.(CountingBackend); ok {
		ctx, cancel := s.bound(ctx)
		defer cancel()
		c, err := counting.Count(ctx)
		return c, wrap("counting sessions", err)
	}
	var c Counts
	for session, err := range s.All(ctx) {
		if err != nil {
			return Counts{}, err
		}
		if c.Live++; session.User != "" {
			c.SignedIn++
		}
	}
	return c, nil
}

// clockSkew is by how much the clocks of two processes may differ, and more.
const clockSkew = 10 * time.Second

// walk yields the sessions that there are, in portions, each session once. The store is
// read by ID, in whatever order, while sessions are given other IDs. Each is counted
// under the ID that it had when the walk began. If that was taken from it meanwhile,
// its trace says where it is now.
func (s *Store) walk(ctx context.Context) iter.Seq2[map[string]Record, error] {
	began := time.Now().Add(-clockSkew)
	return func(yield func(map[string]Record, error) bool) {
		for records, err := range s.scan(ctx) {
			var moved []string
			for id, r := range records {
				if r.since(began) { // it had another ID then
					delete(records, id)
					continue
				}
				if r.Ended != "" {
					delete(records, id)
				}
				if r.Ended == Renewed && r.Next != "" && !r.Expires.Before(began) {
					moved = append(moved, r.Next)
				}
			}
			if err == nil {
				err = s.followAll(ctx, moved, records)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(records, nil) {
				return
			}
		}
	}
}

// since reports whether the session has got its ID after a time.
func (r Record) since(began time.Time) bool { return !r.Since.Before(began) }

var errTooFast = errors.New("a session was given new IDs faster than they could be read")

// mostSteps is how many new IDs of one session are followed: all that a client can get
// while a walk goes on.
const mostSteps = 1_000_000

// followAll adds to found the sessions that were given these IDs, as they are now.
func (s *Store) followAll(ctx context.Context, ids []string, found map[string]Record) error {
	const (
		gap  = time.Millisecond // a backend may be about to make a record to which a trace leads
		gaps = 50
	)
	missing := make(map[string]int)
	for steps := 0; len(ids) > 0; steps++ {
		if steps == mostSteps {
			return fmt.Errorf("store: reading all sessions: %w", errTooFast)
		}
		records, err := s.loadAll(ctx, ids)
		if err != nil {
			return err
		}
		var next []string
		early := false
		for _, id := range ids {
			r, there := records[id]
			switch {
			case !there && missing[id] == gaps: // lost with the process that moved it
			case !there:
				missing[id]++
				early = true
				next = append(next, id)
			case r.Ended == "":
				found[id] = r
			case r.Ended == Renewed:
				next = append(next, r.Next)
			}
		}
		if ids = next; early {
			time.Sleep(gap)
		}
	}
	return nil
}

// loadAll is loadFresh of any number.
func (s *Store) loadAll(ctx context.Context, ids []string) (map[string]Record, error) {
	const atOnce = 200 // each step has the store's timeout
	all := make(map[string]Record, len(ids))
	for some := range slices.Chunk(ids, atOnce) {
		records, err := s.loadFresh(ctx, some...)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, records)
	}
	return all, nil
}

// scan yields what the backend does. Each portion has the store's timeout.
func (s *Store) scan(ctx context.Context) iter.Seq2[map[string]Record, error] {
	return func(yield func(map[string]Record, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		var late *time.Timer
		if s.config.Timeout > 0 {
			late = time.AfterFunc(s.config.Timeout, func() { cancel(context.DeadlineExceeded) })
			defer late.Stop()
		}
		for records, err := range s.backend.Scan(ctx) {
			if late != nil {
				late.Stop()
			}
			if cause := context.Cause(ctx); err != nil && cause != nil {
				err = fmt.Errorf("%w: %w", cause, err)
			}
			if !yield(records, wrap("reading all sessions", err)) || err != nil {
				return
			}
			if late != nil {
				late.Reset(s.config.Timeout)
			}
		}
	}
}

// RevokeEveryone ends all sessions, of all users and of visitors, of all names, and
// returns how many it ended (OWASP ASVS 5.0 section 7.4.5). No request that is under way
// brings one back: a session that it is giving a new ID ends with that request. A sign-in
// that is under way, in a request that began before, leaves no session, as of
// [Store.RevokeAll]. Sessions that [Migrate] has yet to move end as well.
//
// On an error it may have ended some of them. A second call ends the others.
func (s *Store) RevokeEveryone(ctx context.Context) (int, error) {
	epoch := newEpoch()
	err := s.moveBoundary(ctx, everyoneID, func(b *boundary, now time.Time) error {
		b.Epoch, b.Spared, b.At, b.Done = epoch, nil, now.UnixMicro(), 0
		return nil
	})
	n, endErr := s.endEveryone(ctx)
	if err != nil { // as in revokeAll
		return n, errors.Join(err, endErr)
	}
	// Also on an error: nothing more is ended until the second call.
	doneErr := s.moveBoundary(context.WithoutCancel(ctx), everyoneID, func(b *boundary, now time.Time) error {
		if b.Epoch == epoch { // not that of another call
			b.Done = now.UnixMicro()
		}
		return nil
	})
	if err = errors.Join(endErr, doneErr); err == nil {
		err = s.awaitEnds(ctx, "", everyoneID)
	}
	return n, err
}

// endEveryone ends what it finds in one walk.
func (s *Store) endEveryone(ctx context.Context) (n int, err error) {
	for records, err := range s.scan(ctx) {
		maps.DeleteFunc(records, func(_ string, r Record) bool { return !r.live() })
		if err == nil {
			var ended []string
			ended, err = s.end(ctx, "", Revoked, slices.Collect(maps.Keys(records))...)
			n += len(ended)
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
