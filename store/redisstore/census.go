package redisstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit/store"
)

// census keeps sorted sets of the live sessions, by when they expire, so that they can be
// counted. It is told what has been changed, and passes that on a moment later, together
// with what else was: no request waits for it. Two sets for each first letter of the IDs
// spread them over the nodes of a Cluster.
type census struct {
	client *bounded
	prefix string // of the keys

	mu       sync.Mutex
	live     map[string]living // by ID
	gone     []departure       // in the order of time
	due      *time.Timer       // nil: nothing is to be passed on
	closed   bool
	flushing sync.Mutex
}

// living is a session that was made, or lives longer than before.
type living struct {
	of      string // whose it is; "": as before
	expires time.Time
}

// A departure is the end of an ID.
type departure struct {
	id string
	at time.Time
}

// The kinds of sessions.
const (
	ofUser    = "user:"
	ofVisitor = "visitor:"
)

const (
	// passOnAfter is how long a change waits for others.
	passOnAfter = 500 * time.Millisecond

	// passedOnAtOnce is how many commands go out in one go, so that no request waits for
	// long behind them.
	passedOnAtOnce = 64

	// lastsAfter is how long the end of an ID waits: longer than what was done to the
	// session before, by any process.
	lastsAfter = 2 * time.Second

	// censusFor is how long the sets are kept where nothing happens: no browser keeps a
	// cookie for longer (RFC 6265bis section 5.5).
	censusFor = 400 * 24 * time.Hour
)

// created notes a new session, and so the one under the new ID of a renewed one.
func (c *census) created(id string, r store.Record) {
	of := ofUser
	switch {
	case r.Kind != "" || r.Ended != "":
		return
	case r.User == "":
		of = ofVisitor
	}
	c.note(id, living{of, r.Expires})
}

// postponed notes that a session lives longer.
func (c *census) postponed(id string, expires time.Time) {
	if !expires.IsZero() {
		c.note(id, living{"", expires})
	}
}

func (c *census) note(id string, e living) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, ok := c.live[id]; ok && e.of == "" {
		e.of = before.of
		if e.expires.Before(before.expires) {
			e.expires = before.expires
		}
	}
	if c.live == nil {
		c.live = make(map[string]living)
	}
	c.live[id] = e
	c.schedule()
}

// ended notes that nothing lives under the IDs any more.
func (c *census) ended(ids ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.gone = append(c.gone, departure{id, time.Now()})
	}
	if len(c.gone) > 0 {
		c.schedule()
	}
}

// schedule has the changes passed on. No goroutine waits for that.
func (c *census) schedule() {
	if c.due == nil && !c.closed {
		c.due = time.AfterFunc(passOnAfter, c.later)
	}
}

// later passes on what is due.
func (c *census) later() { c.passOn(context.Background(), lastsAfter) }

// passOn sends what is noted: of the ends those that are so old. What fails is not sent
// again: then a session is counted until it expires, or not counted until it is renewed.
func (c *census) passOn(ctx context.Context, old time.Duration) {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	c.mu.Lock()
	live := c.live
	n := 0
	for n < len(c.gone) && time.Since(c.gone[n].at) >= old {
		n++
	}
	gone := c.gone[:n:n]
	c.live, c.gone, c.due = nil, c.gone[n:], nil
	if len(c.gone) > 0 {
		c.schedule()
	}
	c.mu.Unlock()
	for some := range slices.Chunk(c.commands(live, gone), passedOnAtOnce) {
		_ = c.client.DoMulti(ctx, some...)
	}
}

// commands returns those that note what became of some IDs: first what lives, then what
// does not.
func (c *census) commands(live map[string]living, gone []departure) []rueidis.Completed {
	members := make(map[string]map[string]time.Time) // by key
	postponed := make(map[string]map[string]time.Time)
	add := func(to map[string]map[string]time.Time, key, id string, expires time.Time) {
		if to[key] == nil {
			to[key] = make(map[string]time.Time)
		}
		to[key][id] = expires
	}
	for id, e := range live {
		if e.of != "" {
			add(members, c.key(e.of, id), id, e.expires)
			continue
		}
		add(postponed, c.key(ofUser, id), id, e.expires)
		add(postponed, c.key(ofVisitor, id), id, e.expires)
	}
	var commands []rueidis.Completed
	build := c.client.B
	expired := milliseconds(time.Now().Add(-store.Retention))
	for key, of := range members {
		zadd := build().Zadd().Key(key).Gt().ScoreMember()
		for id, expires := range of {
			zadd = zadd.ScoreMember(float64(expires.UnixMilli()), member(id))
		}
		commands = append(commands, zadd.Build(),
			build().Zremrangebyscore().Key(key).Min("-inf").Max(expired).Build(),
			build().Pexpire().Key(key).Milliseconds(censusFor.Milliseconds()).Build())
	}
	for key, of := range postponed {
		zadd := build().Zadd().Key(key).Xx().Gt().ScoreMember()
		for id, expires := range of {
			zadd = zadd.ScoreMember(float64(expires.UnixMilli()), member(id))
		}
		commands = append(commands, zadd.Build())
	}
	left := make(map[string][]string)
	for _, d := range gone {
		for _, of := range []string{ofUser, ofVisitor} {
			left[c.key(of, d.id)] = append(left[c.key(of, d.id)], member(d.id))
		}
	}
	for key, ids := range left {
		commands = append(commands, build().Zrem().Key(key).Member(ids...).Build())
	}
	return commands
}

func (c *census) key(of, id string) string { return c.prefix + of + id[:min(len(id), 1)] }

// member is what stands in a set for an ID: enough of it to tell it from all others.
func member(id string) string { return id[:min(len(id), 12)] }

// count passes on what this process knows, and counts.
func (c *census) count(ctx context.Context) (counts store.Counts, err error) {
	c.passOn(ctx, 0)
	now := milliseconds(time.Now())
	reads := make([]rueidis.Completed, 0, 2*len(letters))
	for _, of := range []string{ofUser, ofVisitor} {
		for i := range len(letters) {
			reads = append(reads, c.client.B().Zcount().Key(c.key(of, letters[i:i+1])).Min("("+now).Max("+inf").Build())
		}
	}
	for i, reply := range c.client.DoMulti(ctx, reads...) {
		n, err := reply.AsInt64()
		if err != nil {
			return store.Counts{}, failed("counting sessions", err)
		}
		counts.Live += int(n)
		if i < len(letters) {
			counts.SignedIn += int(n)
		}
	}
	return counts, nil
}

// close passes on what is left, if the server answers soon.
func (c *census) close() {
	const patience = 500 * time.Millisecond
	c.mu.Lock()
	if c.due != nil {
		c.due.Stop()
	}
	c.closed = true
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c.passOn(ctx, 0)
}
