package store_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/storetest"
)

// A backend of one's own: these eleven methods, and the test of the contract.
func Example_backend() {
	s := store.New(&mapBackend{records: make(map[string]store.Record)}) // for r.Use(sessionkit.Sessions(s))
	fmt.Println(s.Sessions(context.Background(), "42"))
	// Output: [] <nil>
}

func TestMapBackend(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Backend {
		return &mapBackend{records: make(map[string]store.Record)}
	})
}

// mapBackend keeps records in a map. One lock makes every operation take effect at
// one instant. Records that have expired stay: removing them an hour later, by
// store.Retention, is up to the backend.
type mapBackend struct {
	mu      sync.Mutex
	records map[string]store.Record
}

func (b *mapBackend) Create(_ context.Context, id string, r store.Record) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, taken := b.records[id]; taken {
		return false, nil
	}
	r.Values = maps.Clone(r.Values)
	b.records[id] = r
	return true, nil
}

func (b *mapBackend) Load(_ context.Context, id string) (store.Record, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, found := b.records[id]
	return r, found, nil
}

func (b *mapBackend) LoadFresh(_ context.Context, ids ...string) (map[string]store.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	records := make(map[string]store.Record)
	for _, id := range ids {
		if r, found := b.records[id]; found {
			records[id] = r
		}
	}
	return records, nil
}

func (b *mapBackend) Update(_ context.Context, id string, c store.Change) (store.Outcome, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, found := b.records[id]
	if !found || r.Ended != "" || r.Kind == "" && !time.Now().Before(r.Expires) {
		return store.Outcome{}, nil
	}
	if c.If != nil && r.Values[c.If.Name] != c.If.Text {
		return store.Outcome{Found: true, Conflict: true, Text: r.Values[c.If.Name]}, nil
	}
	if err := c.Fits(r.Values); err != nil {
		return store.Outcome{}, err
	}
	r.Values = merge(r.Values, c.Set, c.Delete)
	if c.Seen.After(r.Seen) {
		r.Seen = c.Seen
	}
	if c.Expires.After(r.Expires) {
		r.Expires = c.Expires
	}
	b.records[id] = r
	return store.Outcome{Found: true}, nil
}

// live returns a session that has neither ended nor expired.
func (b *mapBackend) live(id string) (store.Record, bool) {
	r, found := b.records[id]
	return r, found && r.Kind == "" && r.Ended == "" && time.Now().Before(r.Expires)
}

func (b *mapBackend) Rotate(_ context.Context, id string, m store.Move) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, live := b.live(id)
	if !live {
		return false, nil
	}
	if err := m.Fits(old.Values); err != nil {
		return false, err
	}
	next := m.Record
	next.Values = merge(old.Values, m.Record.Values, m.Drop)
	b.records[m.ID], b.records[id] = next, m.Trace
	return true, nil
}

func (b *mapBackend) End(_ context.Context, _ string, why store.Ending, ids ...string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ended []string
	for _, id := range ids {
		if r, live := b.live(id); live {
			r.Ended, r.Expires, r.Values = why, time.Now(), nil
			b.records[id] = r
			ended = append(ended, id)
		}
	}
	return ended, nil
}

func (b *mapBackend) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return func(yield func(map[string]store.Record, error) bool) {
		b.mu.Lock()
		all := maps.Clone(b.records)
		b.mu.Unlock()
		portion := make(map[string]store.Record)
		for id, r := range all {
			if r.Kind == "" {
				portion[id] = r
			}
			if len(portion) == 100 {
				if !yield(portion, nil) {
					return
				}
				portion = make(map[string]store.Record)
			}
		}
		yield(portion, ctx.Err())
	}
}

func (b *mapBackend) Delete(_ context.Context, id string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, found := b.records[id]
	delete(b.records, id)
	return found, nil
}

func (b *mapBackend) List(_ context.Context, user string) (map[string]store.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make(map[string]store.Record)
	for id, r := range b.records {
		if user != "" && r.User == user && r.Ended == "" {
			list[id] = r
		}
	}
	return list, nil
}

// Now returns the clock of the one process that uses the map.
func (b *mapBackend) Now(context.Context, string) (time.Time, error) { return time.Now(), nil }

func (b *mapBackend) Close() error { return nil }

// merge returns values with drop dropped and set put. Records that were handed out
// keep theirs.
func merge(values, set map[string]string, drop []string) map[string]string {
	next := maps.Clone(values)
	if next == nil {
		next = make(map[string]string)
	}
	for _, name := range drop {
		delete(next, name)
	}
	maps.Copy(next, set)
	return next
}
