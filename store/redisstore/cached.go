package redisstore

import (
	"context"
	"sync"

	"github.com/gin-sessionkit/sessionkit/store"
)

// cached is the backend with a cache, and with news of changes.
type cached struct {
	*backend

	cache    *cache
	tracker  *tracker
	watchers watchers
}

var (
	_ store.CachedBackend   = (*cached)(nil)
	_ store.WatchingBackend = (*cached)(nil)
)

func newCached(b *backend, bytes int) *cached {
	c := &cached{backend: b, cache: newCache(bytes)}
	c.tracker = track(b.client, b.records, c.cache, c.heard, c.watchers.callAll)
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
	return b.LoadFresh(ctx, id)
}

func (b *cached) LoadFresh(ctx context.Context, id string) (store.Record, bool, error) {
	before := b.cache.before(id)
	r, found, err := b.backend.Load(ctx, id)
	switch {
	case found:
		b.cache.put(id, r, before)
	case err == nil:
		b.cache.drop(id)
	}
	return r, found, err
}

// The cache learns of the store's own changes before they are reported, and drops
// the record whatever comes of them but a success: an error does not mean that
// nothing was changed.

func (b *cached) Update(ctx context.Context, id string, c store.Change) (bool, error) {
	e := b.cache.changing(id)
	found, err := b.backend.Update(ctx, id, c)
	if found && err == nil {
		b.cache.changed(id, e, c)
	} else {
		b.cache.drop(id)
	}
	b.watchers.call(id)
	return found, err
}

func (b *cached) Rotate(ctx context.Context, id, newID string, r store.Record, drop []string) (bool, error) {
	defer b.ended(id)
	return b.backend.Rotate(ctx, id, newID, r, drop)
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
