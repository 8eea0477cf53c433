package redisstore

import (
	"context"
	"iter"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

// DecodeHash and Fields are how a session stands in its hash.
var (
	DecodeHash = decodeHash
	Fields     = fields
)

// IndexedAtOnce is how many entries of an index are read in one go.
const IndexedAtOnce = indexedAtOnce

// EndedScore and the time are the score of a session that has ended.
const EndedScore = endedScore

// Scan is that of a backend without a cache, holding so many IDs at a time.
func Scan(ctx context.Context, b store.Backend, atOnce int) iter.Seq2[map[string]store.Record, error] {
	return b.(*backend).scan(ctx, atOnce)
}

// Trust is how long a record stays in the cache that its store has changed, and Doubtful one
// that it has made, once the server has announced that.
const (
	Trust    = trust
	Doubtful = doubtful
)

// A Cache is one without a server.
type Cache struct{ c *cache }

// NewCache returns a cache that answers for an hour.
func NewCache() Cache {
	c := newCache(1 << 20)
	c.lease.Store(int64(time.Hour))
	return Cache{c}
}

// Get and Heard are those of the cache. Make, Change and Read are what it does while its
// store makes a record, and something else happens, changes it or reads it from the server.

func (c Cache) Get(id string) (store.Record, bool) { return c.c.get(id) }

func (c Cache) Heard(id string) { c.c.heard(id) }

func (c Cache) Make(id string, r store.Record, meanwhile ...func()) {
	c.c.creating(id)
	for _, f := range meanwhile {
		f()
	}
	c.c.created(id, &r)
}

func (c Cache) Change(id string, change store.Change) { c.c.changed(id, c.c.changing(id), change) }

func (c Cache) Read(id string, r store.Record) { c.c.put(id, r, c.c.before(id)) }

// CachedBytes returns what a backend's cache holds, and what it counts of the
// young generations beside the old ones.
func CachedBytes(b store.Backend) (held, counted int) {
	c := b.(*cached).cache
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		for id, e := range s.young {
			held += bytesOf(id, e.record)
		}
		counted += s.size
		for id, e := range s.old {
			held += bytesOf(id, e.record)
			counted += e.size
		}
		s.mu.RUnlock()
	}
	return held, counted
}
