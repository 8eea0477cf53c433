package redisstore

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit/store"
)

// census keeps sorted sets of the live sessions, by when they expire, so that they can be
// counted. It is told what has been changed, and passes that on a moment later, together
// with what else was: no request waits for it. Two sets for each first letter of the IDs
// spread them over the nodes of a Cluster.
//
// What several processes did to one session arrives in any order. So an ID that ended is
// not removed, but given a score that is higher than all that sessions have, and stays for
// a while: scores only grow, so what arrives later does not bring it back.
type census struct {
	client *bounded
	prefix string        // of the keys
	turn   chan struct{} // holds something while changes are being passed on
	later  func()        // passes on what is due
	stop   func()        // ends that

	mu     sync.Mutex
	live   map[string]living // by ID
	gone   []string          // IDs under which nothing lives any more
	due    *time.Timer       // nil: nothing is to be passed on
	closed bool
}

func newCensus(client *bounded, prefix string) *census {
	ctx, stop := context.WithCancel(context.Background())
	c := &census{client: client, prefix: prefix, turn: make(chan struct{}, 1), stop: stop}
	c.later = func() { c.passOn(ctx) }
	return c
}

// living is a session that was made, or lives longer than before.
type living struct {
	of      string // whose it is; "": as before
	expires time.Time
}

// The kinds of sessions.
const (
	ofUser    = "user:"
	ofVisitor = "visitor:"
)

const (
	// passOnAfter is how long a change waits for others.
	passOnAfter = 500 * time.Millisecond

	// passedOnAtOnce is how many scripts go out in one go, so that no request waits for
	// long behind them.
	passedOnAtOnce = 16

	// endedScore and the time, in Unix milliseconds, are the score of an ID that ended:
	// higher than the time at which any session expires.
	endedScore int64 = 1 << 50

	// endedFor is how long such an ID stays: longer than what was done to the session
	// before takes to arrive, from any process.
	endedFor = time.Minute

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
	c.gone = append(c.gone, ids...)
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

// passOn sends what is noted. What fails is not sent again: then a session is counted
// until it expires, or not counted until it is renewed. A server that hangs keeps it for
// the timeout of each portion, unless ctx ends.
func (c *census) passOn(ctx context.Context) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return
	}
	c.mu.Lock()
	live, gone := c.live, c.gone
	c.live, c.gone, c.due = nil, nil, nil
	c.mu.Unlock()
	for some := range slices.Chunk(c.commands(live, gone), passedOnAtOnce) {
		_ = c.client.DoMulti(ctx, some...)
	}
}

// commands returns those that note what became of some IDs.
func (c *census) commands(live map[string]living, gone []string) []rueidis.Completed {
	noted := make(map[string]map[string]int64) // scores by key and ID
	postponed := make(map[string]map[string]int64)
	add := func(to map[string]map[string]int64, key, id string, score int64) {
		if to[key] == nil {
			to[key] = make(map[string]int64)
		}
		to[key][id] = score
	}
	for id, e := range live {
		if e.of != "" {
			add(noted, c.key(e.of, id), id, e.expires.UnixMilli())
			continue
		}
		add(postponed, c.key(ofUser, id), id, e.expires.UnixMilli())
		add(postponed, c.key(ofVisitor, id), id, e.expires.UnixMilli())
	}
	now := time.Now()
	for _, id := range gone {
		add(noted, c.key(ofUser, id), id, endedScore+now.UnixMilli())
		add(noted, c.key(ofVisitor, id), id, endedScore+now.UnixMilli())
	}
	var commands []rueidis.Completed
	expired, stays := milliseconds(now.Add(-store.Retention)), strconv.FormatInt(censusFor.Milliseconds(), 10)
	ended, endedLongAgo := strconv.FormatInt(endedScore, 10), strconv.FormatInt(endedScore+now.Add(-endedFor).UnixMilli(), 10)
	note := func(which string, scores map[string]map[string]int64) {
		for key, of := range scores {
			args := []string{which, expired, ended, endedLongAgo, stays}
			for id, score := range of {
				args = append(args, strconv.FormatInt(score, 10), member(id))
			}
			commands = append(commands, c.client.B().Eval().Script(censusScript.text).Numkeys(1).Key(key).Arg(args...).Build())
		}
	}
	note(anyMember, noted)
	note(knownMember, postponed)
	return commands
}

func (c *census) key(of, id string) string { return c.prefix + of + id[:min(len(id), 1)] }

// member is what stands in a set for an ID: enough of it to tell it from all others.
func member(id string) string { return id[:min(len(id), 12)] }

// count passes on what this process knows, and counts: all of it within the timeout.
func (c *census) count(ctx context.Context) (counts store.Counts, err error) {
	if c.client.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.client.timeout)
		defer cancel()
	}
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		c.later() // which goes on if the time of this call is over: what it sends is noted nowhere else
	}()
	select {
	case <-passed:
	case <-ctx.Done():
	}
	now, ended := milliseconds(time.Now()), strconv.FormatInt(endedScore, 10)
	reads := make([]rueidis.Completed, 0, 2*len(letters))
	for _, of := range []string{ofUser, ofVisitor} {
		for i := range len(letters) {
			reads = append(reads, c.client.B().Zcount().Key(c.key(of, letters[i:i+1])).Min("("+now).Max("("+ended).Build())
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
	c.passOn(ctx)
	c.stop()
}
