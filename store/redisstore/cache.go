package redisstore

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// cache holds records by ID, about as many as fit into its bound, the recently
// used. It answers only while its lease runs, which the [tracker] extends as long
// as it hears of every change.
//
// A record that is read from the server is entered only if nothing was dropped
// from its shard since before it was asked for: news of a change that overtakes
// the answer must not be lost. So what a read returns is never older than the
// last drop of its ID, whatever connections the two took.
type cache struct {
	start  time.Time
	lease  atomic.Int64 // until when it answers, since start; 0: not
	seed   maphash.Seed
	limit  int // bytes of one generation of one shard
	shards [cacheShards]cacheShard
}

const cacheShards = 16 // so that one generation of one shard holds a session of store.Config's MaxBytes

// A cacheShard has two generations: what is used moves to the young one, and when
// that is full the old one is dropped and the young one takes its place.
type cacheShard struct {
	mu         sync.RWMutex
	young, old map[string]store.Record
	size       int    // of the young one, in bytes
	drops      uint64 // how often anything was dropped as no longer true
}

func newCache(bytes int) *cache {
	return &cache{start: time.Now(), seed: maphash.MakeSeed(), limit: bytes / cacheShards / 2}
}

func (c *cache) shard(id string) *cacheShard {
	return &c.shards[maphash.String(c.seed, id)%cacheShards]
}

// get returns a record that was true a moment ago.
func (c *cache) get(id string) (store.Record, bool) {
	now := time.Now()
	if int64(now.Sub(c.start)) >= c.lease.Load() {
		return store.Record{}, false
	}
	s := c.shard(id)
	s.mu.RLock()
	r, young := s.young[id]
	found := young
	if !young {
		r, found = s.old[id]
	}
	s.mu.RUnlock()
	if !found || now.Sub(r.Expires) > store.Retention {
		return store.Record{}, false
	}
	if !young {
		s.rejuvenate(id, c.limit)
	}
	return r, true
}

func (s *cacheShard) rejuvenate(id string, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, still := s.old[id]; still {
		delete(s.old, id)
		s.enter(id, r, limit)
	}
}

// enter puts a record into the young generation. The caller holds the lock.
func (s *cacheShard) enter(id string, r store.Record, limit int) {
	n := bytesOf(id, r)
	if n > limit {
		return
	}
	if s.size += n; s.size > limit {
		s.old, s.young, s.size = s.young, nil, n
	}
	if s.young == nil {
		s.young = make(map[string]store.Record)
	}
	s.young[id] = r
}

// bytesOf estimates the memory of a record.
func bytesOf(id string, r store.Record) int {
	n := 250 + len(id) + len(r.User)
	for name, text := range r.Values {
		n += 48 + len(name) + len(text)
	}
	return n
}

// before is called before the server is asked for a record, and its result given
// to put with the answer.
func (c *cache) before(id string) uint64 {
	s := c.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.drops
}

func (c *cache) put(id string, r store.Record, before uint64) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drops != before {
		return
	}
	delete(s.old, id)
	s.enter(id, r, c.limit)
}

// drop forgets a record that has changed.
func (c *cache) drop(id string) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops++
	delete(s.young, id)
	delete(s.old, id)
}

// dropAll forgets everything, and what is being read just now.
func (c *cache) dropAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.drops++
		s.young, s.old, s.size = nil, nil, 0
		s.mu.Unlock()
	}
}
