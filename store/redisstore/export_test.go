package redisstore

import "github.com/gin-sessionkit/sessionkit/store"

// DecodeHash and Fields are how a session stands in its hash.
var (
	DecodeHash = decodeHash
	Fields     = fields
)

// EndedScore and the time are the score of a session that has ended.
const EndedScore = endedScore

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
