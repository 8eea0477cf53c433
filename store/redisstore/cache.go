package redisstore

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// cache holds records by ID, about as many as fit into its bound, the recently
// used. It answers only while its lease runs, which the [tracker] extends as long
// as the server tells it of every change.
//
// A record that is read from the server is entered only if nothing was heard of
// its ID since before it was asked for: an invalidation that overtakes the answer
// must not be lost. So what a read returns is never older than the last invalidation of its
// ID, whatever connections the two took.
//
// A record that this store changes stays, with the change applied, but for [trust]
// only: an invalidation does not say which process made the change, so until then none
// counts.
//
// A record that this store makes is entered at once. The server announces that it was
// made, and nobody who has to read its ID first can have changed it by then: that is
// possible after the server has executed the command that made it, and it announces a
// change before it answers the next commands. So the first invalidation of its ID, if it
// comes within [announced], does not drop the record. But the server announces a key once,
// whatever was done to it in one turn of its loop, and a script over all keys, or an
// eviction, may have removed the record in the turn in which it was made. So the record is
// then answered for [doubtful] only. What is read after that stays.
type cache struct {
	start  time.Time
	lease  atomic.Int64 // until when it answers, since start; 0: not
	seed   maphash.Seed
	limit  int // bytes of one generation of one shard
	shards [cacheShards]cacheShard
}

const (
	cacheShards = 16   // so that one generation of one shard holds a session of store.Config's MaxBytes
	cacheMarks  = 1024 // of a shard; IDs that share one keep each other out at worst

	// trust is how long a record that this store changes is answered without
	// asking the server what others changed meanwhile.
	trust = 5 * time.Millisecond

	// announced is how long after this store has made a record its invalidation may come.
	announced = 50 * time.Millisecond

	// doubtful is how long after that a record is answered that this store has made. It
	// bounds for how long one is served that was removed at that instant, and costs one more
	// read of a session that is used for longer.
	doubtful = time.Second
)

// A cacheShard has two generations: what is used moves to the young one, and when
// that is full the old one is dropped and the young one takes its place.
type cacheShard struct {
	mu         sync.RWMutex
	young, old map[string]*entry
	size       int                // of the young one, in bytes
	making     map[string]int     // IDs of records that this store is making, and how many invalidations of them came
	changes    [cacheMarks]uint32 // how often IDs changed, by their hash
}

// An entry is a record as it stands on the server. Its fields are guarded by the
// shard's mutex.
type entry struct {
	record   store.Record
	size     int
	until    time.Duration // when it ends at the latest, since the cache's start; 0: with an invalidation
	changing int           // changes by this store that are under way
	mixed    bool          // several were at a time: their order is not known
	made     bool          // by this store, and the invalidation for that has yet to come
	changed  bool          // by this store: no invalidation counts
}

func newCache(bytes int) *cache {
	return &cache{start: time.Now(), seed: maphash.MakeSeed(), limit: bytes / cacheShards / 2}
}

// of returns the shard of an ID, and the mark in it that counts its changes.
func (c *cache) of(id string) (s *cacheShard, mark *uint32) {
	hash := maphash.String(c.seed, id)
	s = &c.shards[hash%cacheShards]
	return s, &s.changes[hash/cacheShards%cacheMarks]
}

// get returns a record that was true a moment ago.
func (c *cache) get(id string) (store.Record, bool) {
	now := time.Now()
	age := now.Sub(c.start)
	if int64(age) >= c.lease.Load() {
		return store.Record{}, false
	}
	s, _ := c.of(id)
	s.mu.RLock()
	e, young := s.find(id)
	if e == nil || e.until != 0 && age >= e.until || now.Sub(e.record.Expires) > store.Retention {
		s.mu.RUnlock()
		return store.Record{}, false
	}
	r := e.record
	s.mu.RUnlock()
	if !young {
		s.rejuvenate(id, c.limit)
	}
	return r, true
}

func (s *cacheShard) rejuvenate(id string, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.old[id]; e != nil {
		delete(s.old, id)
		s.enter(id, e, limit)
	}
}

// find, enter and remove are called with the shard's lock held.

func (s *cacheShard) find(id string) (e *entry, young bool) {
	if e, young = s.young[id]; young {
		return e, true
	}
	return s.old[id], false
}

// enter puts an entry into the young generation, where the ID has none.
func (s *cacheShard) enter(id string, e *entry, limit int) {
	e.size = bytesOf(id, e.record)
	if e.size > limit {
		return
	}
	if s.size += e.size; s.size > limit {
		s.old, s.young, s.size = s.young, nil, e.size
	}
	if s.young == nil {
		s.young = make(map[string]*entry)
	}
	s.young[id] = e
}

func (s *cacheShard) remove(id string) {
	if e := s.young[id]; e != nil {
		s.size -= e.size
		delete(s.young, id)
	}
	delete(s.old, id)
}

// bytesOf estimates the memory of a record.
func bytesOf(id string, r store.Record) int {
	n := 250 + len(id) + len(r.User)
	for name, text := range r.Values {
		n += 48 + len(name) + len(text)
	}
	return n
}

// before is called before a record is read from the server, and its result given
// to put with the answer.
func (c *cache) before(id string) uint32 {
	s, mark := c.of(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return *mark
}

func (c *cache) put(id string, r store.Record, before uint32) {
	s, mark := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(id) // even if r is not entered: what is there may be older than r
	if *mark == before {
		s.enter(id, &entry{record: r}, c.limit)
	}
}

// drop forgets a record that this store has ended, or changed in a way that is not
// known.
func (c *cache) drop(id string) {
	s, mark := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	*mark++
	s.remove(id)
}

// heard forgets a record that somebody has changed.
func (c *cache) heard(id string) {
	s, mark := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	*mark++
	if n, making := s.making[id]; making {
		s.making[id] = n + 1
	}
	e, _ := s.find(id)
	now := time.Since(c.start)
	switch {
	case e == nil || e.changed:
	case e.made && now < e.until:
		e.made, e.until = false, now+doubtful
	default:
		s.remove(id)
	}
}

// creating is called before this store makes a record.
func (c *cache) creating(id string) {
	s, _ := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.making == nil {
		s.making = make(map[string]int)
	}
	s.making[id] = 0
}

// created enters a record that was made, unless it is nil.
func (c *cache) created(id string, r *store.Record) {
	s, _ := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	news, known := s.making[id]
	delete(s.making, id)
	s.remove(id)
	if r == nil || !known || news > 1 { // not known: news may have been missed
		return
	}
	made, stays := news == 0, doubtful
	if made {
		stays = announced
	}
	s.enter(id, &entry{record: *r, made: made, until: time.Since(c.start) + stays}, c.limit)
}

// changing is called before this store changes a record, and its result given to
// changed when that is done.
func (c *cache) changing(id string) *entry {
	s, _ := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, _ := s.find(id)
	if e == nil {
		return nil
	}
	if until := time.Since(c.start) + trust; e.until == 0 || e.until > until {
		e.until = until // from the first change on: later ones do not put it off
	}
	e.changed = true
	e.made = false // if its invalidation has yet to come, it drops what was read since, at worst
	e.changing++
	e.mixed = e.mixed || e.changing > 1
	return e
}

// changed applies a change that this store has made.
func (c *cache) changed(id string, e *entry, change store.Change) {
	if e == nil {
		c.drop(id)
		return
	}
	s, mark := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	*mark++
	e.changing--
	now, _ := s.find(id)
	s.remove(id)
	if now != e || e.mixed {
		return // what is there was read meanwhile, before or after the change
	}
	r := &e.record
	r.Values = value.Apply(r.Values, change.Set, change.Delete)
	r.Seen, r.Expires = later(r.Seen, change.Seen), later(r.Expires, change.Expires)
	s.enter(id, e, c.limit)
}

// later returns the later of a stored time and a new one, as it will be stored.
func later(a, b time.Time) time.Time {
	if b = time.UnixMilli(b.UnixMilli()); b.After(a) {
		return b
	}
	return a
}

// dropAll forgets everything, and what is being read just now.
func (c *cache) dropAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for mark := range s.changes {
			s.changes[mark]++
		}
		s.young, s.old, s.size, s.making = nil, nil, 0, nil
		s.mu.Unlock()
	}
}
