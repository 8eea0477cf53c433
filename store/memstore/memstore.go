// Package memstore keeps sessions in the memory of the process. They end with
// it, and a second process does not see them: it is for one machine and for
// tests.
//
// Records are spread over shards with a lock each, and a map of values is never
// changed but replaced, so that requests of different sessions hardly ever wait for
// each other and a read copies no values.
package memstore

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// New returns a store that keeps its sessions in memory. Expired ones leave by
// themselves. It needs no Close: a store that is no longer used is collected as
// garbage once its sessions have run out. It cannot hang, so [store.Config]'s
// Timeout has no effect.
func New(config ...store.Config) *store.Store {
	var c store.Config
	for _, given := range config {
		c = given
	}
	c.Timeout = -1
	return store.New(NewBackend(), c)
}

// NewBackend returns the backend alone, for those who build a store of their own
// around it.
func NewBackend() store.Backend { return new(backend) }

const shardCount = 256 // more than the cores of any machine, so that two requests rarely meet

type backend struct {
	shards [shardCount]shard
	users  [shardCount]userShard

	sweeping atomic.Bool // a sweep is due or under way; no new one need be scheduled
	sweepMu  sync.Mutex
	sweep    *time.Timer
	closed   bool
}

// A shard holds the records of some of the IDs.
type shard struct {
	mu      sync.RWMutex
	records map[string]*record
}

// record is a [store.Record] in a third of its size. The shard's mutex guards seen,
// expires and values; the map itself is never changed, so that readers need no copy.
type record struct {
	user                   string
	created, seen, expires int64 // Unix milliseconds
	values                 map[string]string
}

// A userShard holds the index of some of the users: an ID enters it before its
// record is there and leaves it after. Its lock is taken before those of shards.
type userShard struct {
	mu  sync.Mutex
	ids map[string]map[string]struct{}
}

func pack(r store.Record, values map[string]string) *record {
	return &record{
		user: r.User, created: r.Created.UnixMilli(), seen: r.Seen.UnixMilli(), expires: r.Expires.UnixMilli(), values: values,
	}
}

func (r *record) unpack() store.Record {
	return store.Record{
		User: r.user, Created: time.UnixMilli(r.created), Seen: time.UnixMilli(r.seen), Expires: time.UnixMilli(r.expires), Values: r.values,
	}
}

func (r *record) live() bool { return r != nil && time.Now().UnixMilli() < r.expires }

// slot spreads texts over the shards (FNV-1a of the first bytes; IDs are hashes).
func slot(text string) int {
	h := uint32(2166136261)
	for i := range min(len(text), 8) {
		h = (h ^ uint32(text[i])) * 16777619
	}
	return int(h % shardCount)
}

func (b *backend) Create(_ context.Context, id string, r store.Record) (bool, error) {
	b.index(r.User, id)
	s := &b.shards[slot(id)]
	s.mu.Lock()
	_, taken := s.records[id]
	if !taken {
		s.put(id, pack(r, maps.Clone(r.Values)))
	}
	s.mu.Unlock()
	if taken {
		b.tidy(r.User, id)
	}
	b.scheduleSweep()
	return !taken, nil
}

func (s *shard) put(id string, r *record) {
	if s.records == nil {
		s.records = make(map[string]*record)
	}
	s.records[id] = r
}

func (b *backend) Load(_ context.Context, id string) (store.Record, bool, error) {
	s := &b.shards[slot(id)]
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.records[id]
	if r == nil {
		return store.Record{}, false, nil
	}
	return r.unpack(), true, nil
}

func (b *backend) Update(_ context.Context, id string, c store.Change) (bool, error) {
	s := &b.shards[slot(id)]
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	if !r.live() {
		return false, nil
	}
	if len(c.Set) > 0 || len(c.Delete) > 0 {
		r.values = value.Apply(r.values, c.Set, c.Delete)
	}
	if !c.Seen.IsZero() {
		r.seen = max(r.seen, c.Seen.UnixMilli())
	}
	if !c.Expires.IsZero() {
		r.expires = max(r.expires, c.Expires.UnixMilli())
	}
	return true, nil
}

func (b *backend) Rotate(_ context.Context, id, newID string, r store.Record, drop []string) (bool, error) {
	b.index(r.User, newID)
	user, found := b.move(id, newID, r, drop)
	if !found {
		b.tidy(r.User, newID)
		return false, nil
	}
	b.tidy(user, id)
	return true, nil
}

// move puts a record under a new ID, between two readings of the user's list but
// never within one, which would miss it or have it twice. It returns whose it was.
func (b *backend) move(id, newID string, r store.Record, drop []string) (user string, found bool) {
	if r.User != "" {
		u := &b.users[slot(r.User)]
		u.mu.Lock()
		defer u.mu.Unlock()
	}
	from, to := &b.shards[slot(id)], &b.shards[slot(newID)]
	lockBoth(from, to, slot(id) < slot(newID))
	defer from.mu.Unlock()
	if to != from {
		defer to.mu.Unlock()
	}
	old := from.records[id]
	if !old.live() {
		return "", false
	}
	delete(from.records, id)
	to.put(newID, pack(r, value.Apply(old.values, r.Values, drop)))
	return old.user, true
}

// lockBoth takes two locks in the order of their slots, which all callers share.
func lockBoth(from, to *shard, fromFirst bool) {
	switch {
	case from == to:
		from.mu.Lock()
	case fromFirst:
		from.mu.Lock()
		to.mu.Lock()
	default:
		to.mu.Lock()
		from.mu.Lock()
	}
}

func (b *backend) Delete(_ context.Context, id string) (bool, error) {
	s := &b.shards[slot(id)]
	s.mu.Lock()
	r := s.records[id]
	delete(s.records, id)
	s.mu.Unlock()
	if r == nil {
		return false, nil
	}
	b.tidy(r.user, id)
	return true, nil
}

func (b *backend) List(ctx context.Context, user string) (map[string]store.Record, error) {
	if user == "" {
		return nil, nil
	}
	u := &b.users[slot(user)]
	u.mu.Lock()
	defer u.mu.Unlock()
	list := make(map[string]store.Record, len(u.ids[user]))
	for id := range u.ids[user] {
		if r, found, _ := b.Load(ctx, id); found && r.User == user {
			list[id] = r
		}
	}
	return list, nil
}

// index enters an ID into its user's index.
func (b *backend) index(user, id string) {
	if user == "" {
		return
	}
	u := &b.users[slot(user)]
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = make(map[string]map[string]struct{})
	}
	if u.ids[user] == nil {
		u.ids[user] = make(map[string]struct{})
	}
	u.ids[user][id] = struct{}{}
}

// tidy takes an ID out of a user's index if it has no record of that user.
func (b *backend) tidy(user, id string) {
	if user == "" {
		return
	}
	u := &b.users[slot(user)]
	u.mu.Lock()
	defer u.mu.Unlock()
	s := &b.shards[slot(id)]
	s.mu.RLock()
	r := s.records[id]
	s.mu.RUnlock()
	if r != nil && r.user == user {
		return
	}
	delete(u.ids[user], id)
	if len(u.ids[user]) == 0 {
		delete(u.ids, user)
	}
}

// sweepEvery is how often expired records are looked for.
const sweepEvery = time.Minute

// scheduleSweep starts the timer unless it runs already. There is no goroutine
// in between, so nothing keeps an unused store alive.
func (b *backend) scheduleSweep() {
	if b.sweeping.Load() || !b.sweeping.CompareAndSwap(false, true) {
		return
	}
	b.sweepMu.Lock()
	defer b.sweepMu.Unlock()
	if !b.closed {
		b.sweep = time.AfterFunc(sweepEvery, b.removeExpired)
	}
}

// removeExpired removes the records that ran out longer than [store.Retention]
// ago, and comes again while any record is left. A reader waits for a scan of its
// own shard's expired records at the most.
func (b *backend) removeExpired() {
	b.sweeping.Store(false) // a record created from here on schedules the next sweep
	limit := time.Now().Add(-store.Retention).UnixMilli()
	left := 0
	for i := range b.shards {
		s := &b.shards[i]
		var old []string
		s.mu.RLock()
		for id, r := range s.records {
			if r.expires <= limit {
				old = append(old, id)
			}
		}
		left += len(s.records)
		s.mu.RUnlock()
		for _, id := range old {
			b.removeIfExpired(s, id, limit)
		}
	}
	if left > 0 {
		b.scheduleSweep()
	}
}

func (b *backend) removeIfExpired(s *shard, id string, limit int64) {
	s.mu.Lock()
	r := s.records[id]
	if r == nil || r.expires > limit {
		s.mu.Unlock()
		return
	}
	delete(s.records, id)
	s.mu.Unlock()
	b.tidy(r.user, id)
}

// Close stops the removal of expired records and forgets all sessions.
func (b *backend) Close() error {
	b.sweepMu.Lock()
	b.closed = true
	if b.sweep != nil {
		b.sweep.Stop()
	}
	b.sweepMu.Unlock()
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		s.records = nil
		s.mu.Unlock()
	}
	for i := range b.users {
		u := &b.users[i]
		u.mu.Lock()
		u.ids = nil
		u.mu.Unlock()
	}
	return nil
}
