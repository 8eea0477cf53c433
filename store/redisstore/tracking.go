package redisstore

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

const (
	beat     = 500 * time.Millisecond // how often each node is pinged
	lease    = 3 * beat               // how long an answer lets the cache answer
	askAgain = time.Minute            // after which tracking is requested again from a server that refused it

	markStays   = time.Minute // how long the mark stays in the database
	markRenewed = 20          // beats after which it is made to stay as long again
)

// A tracker is told of every change of a record, by one connection to each node on
// which the server announces the keys that were changed (CLIENT TRACKING ON
// BCAST). It uses connections of its own because a client's own cache leaves two
// things open: a client of several connections may read what it has just changed
// from its cache, as the invalidation comes by another connection than the reply, and a
// server that hangs without closing lets the cache answer for as long as the
// client's timeouts please.
//
// The cache answers on a lease. Each node is pinged every half second, and an
// answer from all of them extends the lease to 1.5 s after the question: until
// then every piece of news has arrived, as it comes by the same connection. So
// nothing stale is served later than that. A connection that is lost ends the
// lease at once; a change in the set of nodes, as when a master fails over, ends
// it at the next question. Replicas are tracked as well: one may be a master a
// moment later.
//
// One thing is not announced: SWAPDB, after which the same keys are others. So what
// each node is asked for is a mark in the database, which is not there any more
// then. A node that refuses to take the mark is asked again at each beat, and the cache
// answers meanwhile: a node that takes no writes, for want of a disk or of replicas, takes no
// SWAPDB either, and one whose memory is full takes the mark from a script.
type tracker struct {
	client  rueidis.Client
	prefix  string
	mark    string      // a key of its own; "": the server has no second database
	barred  atomic.Bool // from writing the mark
	cache   *cache
	changed func(id string)
	missed  func() // news may have been missed

	// These are of the goroutine.
	links   map[string]rueidis.DedicatedClient        // by the node's address
	coming  map[string]<-chan rueidis.DedicatedClient // asked for; by the node's address
	beats   int
	refused time.Time // when tracking was last refused
	logged  bool      // that it was
	crowded bool      // it is logged that the client gave no connection
	warned  bool      // of eviction, or that there is no need

	mu      sync.Mutex
	losses  int             // how often news may have been missed
	without map[string]bool // addresses of nodes that have refused the mark, and do not have it

	wake, stop, done chan struct{}
	stopping         sync.Once
}

func track(client rueidis.Client, prefix, mark string, c *cache, changed func(id string), missed func()) *tracker {
	t := &tracker{
		client: client, prefix: prefix, mark: mark, cache: c, changed: changed, missed: missed,
		coming: make(map[string]<-chan rueidis.DedicatedClient),
		wake:   make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go t.run()
	return t
}

// close ends the tracking. It waits for that, but not for a server that hangs.
func (t *tracker) close() {
	t.stopping.Do(func() { close(t.stop) })
	select {
	case <-t.done:
	case <-time.After(2 * lease):
	}
}

func (t *tracker) run() {
	defer close(t.done)
	defer t.cache.lease.Store(0)
	defer t.unlink()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		if err := t.check(); err != nil {
			t.lose()
			t.unlink()
		}
		select {
		case <-t.stop:
			return
		case <-t.wake:
		case <-ticker.C:
		}
	}
}

// check extends the lease if all nodes are there, and connects to them if they
// are not those that it is connected to.
func (t *tracker) check() error {
	if err := t.connect(); err != nil {
		return err
	}
	t.beats++
	losses, asked := t.count(), time.Now()
	err := every(t.links, func(address string, link rueidis.DedicatedClient) error {
		ctx, cancel := context.WithTimeout(context.Background(), lease)
		defer cancel()
		reply := link.Do(ctx, t.question(link))
		missing := rueidis.IsRedisNil(reply.Error())
		if missing {
			reply = t.putMark(ctx, link)
		}
		if t.swapped(address, missing, reply.Error() == nil) {
			t.lose()
		}
		if len(t.links) == 1 && refusesWrites(reply.Error()) { // it was the master, and others write elsewhere by now
			return reply.Error()
		}
		return reply.NonRedisError() // a refusal is an answer as well
	})
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.losses == losses {
		t.cache.lease.Store(int64(asked.Add(lease).Sub(t.cache.start)))
	}
	return nil
}

// question is what is sent to a node at a beat.
func (t *tracker) question(link rueidis.DedicatedClient) rueidis.Completed {
	switch {
	case t.mark == "" || t.barred.Load():
		return link.B().Ping().Build()
	case t.beats%markRenewed == 0:
		return link.B().Getex().Key(t.mark).Ex(markStays).Build()
	}
	return link.B().Get().Key(t.mark).Build()
}

// swapped reports whether what was read may be of another database: if the mark of a node was
// missing, and if it is there after the node had refused it, as nothing showed a swap until
// then. A mark that is missing because it is refused shows none.
func (t *tracker) swapped(address string, missing, there bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.without[address]
	switch {
	case there:
		delete(t.without, address)
		return missing || before
	case missing:
		if t.without == nil {
			t.without = make(map[string]bool)
		}
		t.without[address] = true
		return !before
	}
	return false
}

// putMark puts the mark into the database. A replica refuses that, and gets it from
// its master.
func (t *tracker) putMark(ctx context.Context, link rueidis.DedicatedClient) rueidis.RedisResult {
	reply := link.Do(ctx, link.B().Set().Key(t.mark).Value("1").Ex(markStays).Build())
	refusal, refused := rueidis.IsRedisErr(reply.Error())
	switch {
	case !refused:
	case strings.HasPrefix(refusal.Error(), "NOPERM"):
		t.barred.Store(true)
	case strings.HasPrefix(refusal.Error(), "OOM"):
		seconds := strconv.Itoa(int(markStays / time.Second))
		return link.Do(ctx, link.B().Eval().Script(markScript.text).Numkeys(1).Key(t.mark).Arg(seconds).Build())
	}
	return reply
}

func (t *tracker) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.losses
}

// lose is called when news may have been missed. The cache is empty then, and
// answers again when a check that begins later has succeeded.
func (t *tracker) lose() {
	t.mu.Lock()
	t.losses++
	t.cache.lease.Store(0)
	t.mu.Unlock()
	t.cache.dropAll()
	t.missed()
}

// news is called by the client for keys that were changed, with nil for all keys
// and when the connection is lost.
func (t *tracker) news(keys []rueidis.RedisMessage) {
	if keys == nil {
		t.lose()
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
	for _, key := range keys {
		if text, err := key.ToString(); err == nil {
			t.changed(strings.TrimPrefix(text, t.prefix))
		}
	}
}

var (
	errNoNode      = errors.New("the client knows no node")
	errRefused     = errors.New("tracking was refused a moment ago")
	errOldProtocol = errors.New("the connection does not speak RESP3")
	errNoLink      = errors.New("the client gave no connection in time")
)

// connect makes the links those to the client's nodes.
func (t *tracker) connect() error {
	nodes := t.client.Nodes()
	same := len(nodes) == len(t.links)
	for address := range nodes {
		same = same && t.links[address] != nil
	}
	switch {
	case len(nodes) == 0:
		return errNoNode
	case same:
		return nil
	case t.links != nil:
		t.lose()
		t.unlink()
	}
	if time.Since(t.refused) < askAgain {
		return errRefused
	}
	for address, node := range nodes {
		if t.coming[address] == nil {
			t.coming[address] = t.dedicate(node)
		}
	}
	var mu sync.Mutex
	t.links = make(map[string]rueidis.DedicatedClient, len(nodes))
	err := every(nodes, func(address string, _ rueidis.Client) error {
		link, err := t.receive(t.coming[address])
		if err != nil {
			return err
		}
		mu.Lock()
		t.links[address] = link
		mu.Unlock()
		return t.follow(link)
	})
	for address := range t.links {
		delete(t.coming, address)
	}
	if errors.Is(err, errNoLink) && !t.crowded {
		t.crowded = true
		slog.Warn("redisstore: the client gives no connection for invalidations: sessions are read without a cache. " +
			"If the server answers, the application uses all connections of ClientOption.BlockingPoolSize itself")
	}
	if refuses(err) {
		t.refused = time.Now()
		if !t.logged {
			t.logged = true
			slog.Warn("redisstore: the server refuses to tell of changes (CLIENT TRACKING): sessions are read without a cache", "error", err)
		}
	}
	if err == nil {
		t.lose() // what was read before the last link stood
		t.warnOfEviction()
	}
	return err
}

// dedicate asks a node's client for a connection. It waits without a bound while the application uses
// all those of the client's pool. A connection that comes late is for the next try.
func (t *tracker) dedicate(node rueidis.Client) <-chan rueidis.DedicatedClient {
	coming := make(chan rueidis.DedicatedClient)
	go func() {
		link, _ := node.Dedicate() // closed by unlink, not given back
		select {
		case coming <- link:
		case <-t.stop:
			link.Close()
		}
	}()
	return coming
}

func (t *tracker) receive(coming <-chan rueidis.DedicatedClient) (rueidis.DedicatedClient, error) {
	select {
	case link := <-coming:
		return link, nil
	case <-time.After(lease):
		return nil, errNoLink
	case <-t.stop:
		return nil, context.Canceled
	}
}

// refuses reports whether an error means that the server does not track, and not only that
// it cannot answer at the moment.
func refuses(err error) bool {
	reply, ok := errors.AsType[*rueidis.RedisError](err)
	if !ok {
		return errors.Is(err, errOldProtocol)
	}
	for _, passing := range [...]string{"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "ERR max number of clients"} {
		if strings.HasPrefix(reply.Error(), passing) {
			return false
		}
	}
	return true
}

// follow makes the server announce changes on a connection.
func (t *tracker) follow(link rueidis.DedicatedClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), lease)
	defer cancel()
	hello, err := link.Do(ctx, link.B().Hello().Build()).AsMap()
	if err != nil {
		return err
	}
	protocol := hello["proto"]
	if n, _ := protocol.AsInt64(); n != 3 {
		return errOldProtocol // such a connection would accept tracking and tell of nothing
	}
	link.SetOnInvalidations(t.news)
	replies := link.DoMulti(ctx,
		link.B().ClientTracking().Off().Build(), // the client may have turned it on for its own cache
		link.B().ClientTracking().On().Prefix().Prefix(t.prefix).Bcast().Build())
	if err := errors.Join(replies[0].Error(), replies[1].Error()); err != nil || t.mark == "" {
		return err
	}
	return t.putMark(ctx, link).NonRedisError()
}

func (t *tracker) unlink() {
	_ = every(t.links, func(_ string, link rueidis.DedicatedClient) error {
		link.SetOnInvalidations(nil) // its end is no news
		link.Close()
		return nil
	})
	t.links = nil
	t.mu.Lock()
	t.without = nil
	t.mu.Unlock()
}

// every calls f for all values at the same time, as each may take as long as a
// server that hangs.
func every[V any](values map[string]V, f func(key string, v V) error) error {
	errs := make(chan error, len(values))
	var group sync.WaitGroup
	for key, v := range values {
		group.Go(func() { errs <- f(key, v) })
	}
	group.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}
