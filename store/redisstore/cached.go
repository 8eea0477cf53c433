package redisstore

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/gin-sessionkit/sessionkit/store"
)

// cached is the backend with a cache, and with invalidations.
type cached struct {
	*backend

	cache    *cache
	tracker  *tracker
	watchers watchers
}

var (
	_ store.WatchingBackend = (*cached)(nil)
	_ store.PeekingBackend  = (*cached)(nil)
	_ store.CountingBackend = (*cached)(nil)
)

func newCached(b *backend, bytes int) *cached {
	c := &cached{backend: b, cache: newCache(bytes)}
	mark := ""
	if !b.cluster { // which has one database
		mark = b.prefix + "cache:" + rand.Text()
	}
	c.tracker = track(b.client, b.records, mark, c.cache, c.heard, c.watchers.callAll)
	return c
}

// heard is called when a record may have changed, by whomever.
func (b *cached) heard(id string) {
	b.cache.heard(id)
	b.watchers.call(id)
}

func (b *cached) Load(ctx context.Context, id string) (store.Record, bool, error) {
	if r, found := b.cache.get(id); found {
		return r, true, nil
	}
	records, err := b.LoadFresh(ctx, id)
	r, found := records[id]
	return r, found, err
}

func (b *cached) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	before := make([]uint32, len(ids))
	for i, id := range ids {
		before[i] = b.cache.before(id)
	}
	records, err := b.backend.LoadFresh(ctx, ids...)
	for i, id := range ids {
		r, found := records[id]
		switch {
		case found:
			b.cache.put(id, r, before[i])
		case err == nil:
			b.cache.drop(id)
		}
	}
	return records, err
}

// The cache learns of the store's own changes before they are reported, and drops
// the record whatever comes of them but a success: an error does not mean that
// nothing was changed.

func (b *cached) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	e := b.cache.changing(id)
	outcome, err := b.backend.Update(ctx, id, c)
	if outcome.Changed() && err == nil {
		b.cache.changed(id, e, c)
	} else {
		b.cache.drop(id)
	}
	b.watchers.call(id)
	return outcome, err
}

func (b *cached) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	created, _, err := b.CreateAndPeek(ctx, id, r, store.Peek{})
	return created, err
}

func (b *cached) CreateAndPeek(ctx context.Context, id string, r store.Record, p store.Peek) (bool, []string, error) {
	if b.cluster || r.Kind != "" {
		return b.backend.CreateAndPeek(ctx, id, r, p)
	}
	b.cache.creating(id)
	created, texts, err := b.backend.CreateAndPeek(ctx, id, r, p)
	if created && err == nil {
		made := asStored(r)
		b.cache.created(id, &made)
	} else {
		b.cache.created(id, nil)
	}
	return created, texts, err
}

func (b *cached) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	moved, _, err := b.RotateAndPeek(ctx, id, m, store.Peek{})
	return moved, err
}

func (b *cached) RotateAndPeek(ctx context.Context, id string, m store.Move, p store.Peek) (bool, []string, error) {
	defer b.ended(id)
	if b.cluster {
		return b.backend.RotateAndPeek(ctx, id, m, p)
	}
	b.cache.creating(m.ID)
	moved, texts, r, err := b.renew(ctx, id, m, p, true)
	b.cache.created(m.ID, r)
	return moved, texts, err
}

func (b *cached) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	defer func() {
		for _, id := range ids {
			b.ended(id)
		}
	}()
	return b.backend.End(ctx, user, why, ids...)
}

func (b *cached) Delete(ctx context.Context, id string) (bool, error) {
	defer b.ended(id)
	return b.backend.Delete(ctx, id)
}

func (b *cached) ended(id string) {
	b.cache.drop(id)
	b.watchers.call(id)
}

func (b *cached) Watch(id string, changed func()) (stop func()) { return b.watchers.add(id, changed) }

func (b *cached) Close() error {
	b.tracker.close()
	return b.backend.Close()
}

// watchers are the functions to call when a record may have changed.
type watchers struct {
	mu   sync.Mutex
	byID map[string]map[*func()]struct{}
}

func (w *watchers) add(id string, changed func()) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID == nil {
		w.byID = make(map[string]map[*func()]struct{})
	}
	if w.byID[id] == nil {
		w.byID[id] = make(map[*func()]struct{})
	}
	w.byID[id][&changed] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.byID[id], &changed)
		if len(w.byID[id]) == 0 {
			delete(w.byID, id)
		}
	}
}

func (w *watchers) call(id string) {
	w.mu.Lock()
	functions := appendKeys(nil, w.byID[id])
	w.mu.Unlock()
	for _, f := range functions {
		(*f)()
	}
}

func (w *watchers) callAll() {
	w.mu.Lock()
	var functions []*func()
	for _, watching := range w.byID {
		functions = appendKeys(functions, watching)
	}
	w.mu.Unlock()
	for _, f := range functions {
		(*f)()
	}
}

// appendKeys copies the functions, which are called without the lock: they may
// call stop.
func appendKeys(functions []*func(), watching map[*func()]struct{}) []*func() {
	for f := range watching {
		functions = append(functions, f)
	}
	return functions
}
