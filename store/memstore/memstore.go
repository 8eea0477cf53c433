// Package memstore keeps sessions in the memory of the process. They end with
// it, and a second process does not see them: it is for one machine and for
// tests.
//
// Records are spread over shards with a lock each, and a map of values is never
// changed but replaced, so that requests of different sessions hardly ever wait for
// each other and a read copies no values. A session that nobody has used for some
// minutes takes less memory than one in use.
package memstore

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/config"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// Config adjusts a store. The zero value is right for most applications.
type Config struct {
	// MaxSessions bounds how many sessions there may be, visitors' sessions and
	// those that expired or ended within the last hour among them. Past it no new
	// one is stored: the error is [store.ErrFull], the response is a 503, and
	// OnEvent is called with a store-error. Default: 0, no limit.
	//
	// Renewing a session always succeeds, and the session counts once. If there is a
	// limit, the store knows the latest 64 of its earlier IDs, for an hour: a request with
	// an older one is rejected, and [store.Store.All] misses a session that is given
	// more new IDs than that within ten seconds or while it runs.
	MaxSessions int

	// Store holds the settings that all stores have. This one cannot hang, so that
	// Timeout has no effect.
	Store store.Config
}

// Validate returns nil if [New] accepts the Config. Otherwise the error names each field
// that is wrong, and the remedy.
func (c Config) Validate() error {
	f := config.Fields{Prefix: "memstore: Config."}
	if c.MaxSessions < 0 {
		f.Add("MaxSessions", strconv.Itoa(c.MaxSessions), "must not be negative; 0 means no limit")
	}
	return f.Err(c.Store.Validate())
}

// New returns a store that keeps its sessions in memory. Expired ones are removed
// automatically. It needs no Close: a store that is no longer used is collected as
// garbage once its sessions have expired. New panics on a Config that cannot work,
// and on more than one.
func New(configs ...Config) *store.Store {
	c, err := config.One("memstore: New", configs)
	if err := errors.Join(err, c.Validate()); err != nil {
		panic(err)
	}
	c.Store.Timeout = -1
	return store.New(&backend{limit: int64(c.MaxSessions)}, c.Store)
}

// NewBackend returns the backend alone, for those who build a store of their own
// around it.
func NewBackend() store.Backend { return new(backend) }

const shardCount = 256 // more than the cores of any machine, so that two requests rarely meet

type backend struct {
	limit int64        // of the sessions; 0: none
	count atomic.Int64 // of the sessions, and of those that were: see counts

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
// expires, values and packed; the map itself is never changed, so that readers need no
// copy.
type record struct {
	name, user             string
	created, seen, expires int64 // Unix milliseconds
	since                  int64 // as well; 0: it has had no other ID
	values                 map[string]string
	packed                 packed   // the values in place of the map; "": they are there
	special                *special // nil: a session that has not ended, nor has a trail
}

// special is what most sessions that have not ended need not have. It does not change.
type special struct {
	kind  string
	ended store.Ending
	next  string
	trail *trail
}

// A trail is the IDs that a session had before, oldest first, of which there are traces. It
// goes from one record of the session to the next.
type trail struct{ ids []string }

// longestTrail is how many traces a session that is renewed leaves, if there is a limit of
// the sessions. They are for requests that the browser sent before it had the new cookie,
// and somebody who renews a session all the time must not fill the memory.
const longestTrail = 64

// A userShard holds the index of some of the users: an ID enters it before its
// record is there and leaves it after. Its lock is taken before those of shards.
type userShard struct {
	mu  sync.Mutex
	ids map[string]userIDs
}

// userIDs are the IDs in the index of one user. Most have one session, which needs no
// map of its own.
type userIDs struct {
	one  string // "": more holds all there are
	more map[string]struct{}
}

func (u userIDs) add(id string) userIDs {
	switch {
	case u.one == id:
	case u.one == "" && u.more == nil:
		u.one = id
	case u.more == nil:
		u = userIDs{more: map[string]struct{}{u.one: {}, id: {}}}
	default:
		u.more[id] = struct{}{}
	}
	return u
}

func (u userIDs) remove(id string) userIDs {
	if u.one == id {
		u.one = ""
	}
	if delete(u.more, id); len(u.more) == 0 {
		u.more = nil
	}
	return u
}

func (u userIDs) empty() bool { return u.one == "" && u.more == nil }

func (u userIDs) all(yield func(id string) bool) {
	if u.one != "" && !yield(u.one) {
		return
	}
	for id := range u.more {
		if !yield(id) {
			return
		}
	}
}

func newRecord(r store.Record, values packed, t *trail) *record {
	var p *record
	if r.Kind != "" || r.Ended != "" || t != nil {
		p = newSpecial(special{r.Kind, r.Ended, r.Next, t})
	} else {
		p = new(record)
	}
	p.name, p.user, p.packed = r.Name, r.User, values
	p.created, p.seen, p.expires = r.Created.UnixMilli(), r.Seen.UnixMilli(), r.Expires.UnixMilli()
	if !r.Since.IsZero() {
		p.since = r.Since.UnixMilli()
	}
	return p
}

// newSpecial returns a record that is something special, in one piece of memory.
func newSpecial(s special) *record {
	both := &struct {
		record
		special
	}{special: s}
	both.record.special = &both.special
	return &both.record
}

// use makes the map of the values, for those who use the session.
func (r *record) use() {
	if r.packed != "" {
		r.values, r.packed = r.packed.unpack(), ""
	}
}

// value returns one of the values.
func (r *record) value(name string) string {
	if r.packed != "" {
		return r.packed.get(name)
	}
	return r.values[name]
}

// outline returns the record with the sign-in for its values, or with all of them.
func (r *record) outline() store.Record {
	u := r.full()
	if text := r.value(store.SignInValue); r.packed != "" && text != "" {
		u.Values = map[string]string{store.SignInValue: text}
	}
	return u
}

// full returns the record, whose values are not packed.
func (r *record) full() store.Record {
	u := store.Record{
		Name: r.name, User: r.user,
		Created: time.UnixMilli(r.created), Seen: time.UnixMilli(r.seen), Expires: time.UnixMilli(r.expires), Values: r.values,
	}
	if r.since != 0 {
		u.Since = time.UnixMilli(r.since)
	}
	if r.special != nil {
		u.Kind, u.Ended, u.Next = r.special.kind, r.special.ended, r.special.next
	}
	return u
}

// live reports whether the record can be changed.
func (r *record) live(now int64) bool {
	return r != nil && r.ended() == "" && (r.kind() != "" || now < r.expires)
}

func (r *record) kind() string {
	if r.special == nil {
		return ""
	}
	return r.special.kind
}

// ended returns why the session has ended already, "" if it has not.
func (r *record) ended() store.Ending {
	if r.special == nil {
		return ""
	}
	return r.special.ended
}

// session reports whether the record is a live session.
func (r *record) session(now int64) bool { return r.live(now) && r.kind() == "" }

// counts reports whether a record is one of those that the limit is for: not if it is of
// another kind, or the trace of a session that has another ID now.
func counts(kind string, ended store.Ending) bool { return kind == "" && ended != store.Renewed }

// trace returns what is left of a session that ends now.
func (r *record) trace(why store.Ending, now int64) *record {
	t := newSpecial(special{ended: why})
	t.name, t.user, t.created, t.since, t.seen, t.expires = r.name, r.user, r.created, r.since, r.seen, min(r.expires, now)
	return t
}

func now() int64 { return time.Now().UnixMilli() }

// slot spreads IDs over the shards (FNV-1a of the first bytes, as IDs are hashes).
func slot(id string) int {
	h := uint32(2166136261)
	for i := range min(len(id), 8) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return int(h % shardCount)
}

var userSeed = maphash.MakeSeed()

// userShard returns the shard of a user. Names often begin alike, as "auth0|" does, so
// that all of a name counts.
func (b *backend) userShard(user string) *userShard {
	return &b.users[maphash.String(userSeed, user)%shardCount]
}

func (b *backend) Create(_ context.Context, id string, r store.Record) (bool, error) {
	if counts(r.Kind, r.Ended) && !b.admit() {
		return false, fmt.Errorf("memstore: creating a session past Config.MaxSessions = %d: %w", b.limit, store.ErrFull)
	}
	b.index(r.User, id)
	s := &b.shards[slot(id)]
	s.mu.Lock()
	_, taken := s.records[id]
	if !taken {
		s.put(id, newRecord(r, packValues(r.Values, nil, nil), nil))
	}
	s.mu.Unlock()
	if taken {
		b.removed(r.Kind, r.Ended)
		b.tidy(r.User, id)
	}
	b.scheduleSweep()
	return !taken, nil
}

// admit counts one session more if there is room for it.
func (b *backend) admit() bool {
	if n := b.count.Add(1); b.limit > 0 && n > b.limit {
		b.count.Add(-1)
		return false
	}
	return true
}

// removed counts one record less.
func (b *backend) removed(kind string, ended store.Ending) {
	if counts(kind, ended) {
		b.count.Add(-1)
	}
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
	r := s.records[id]
	if r == nil {
		s.mu.RUnlock()
		return store.Record{}, false, nil
	}
	if r.packed == "" {
		u := r.full()
		s.mu.RUnlock()
		return u, true, nil
	}
	s.mu.RUnlock()
	return s.loadPacked(id)
}

// userOf returns whose a record is, which never changes.
func (s *shard) userOf(id string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if r := s.records[id]; r != nil {
		return r.user
	}
	return ""
}

func (s *shard) loadPacked(id string) (store.Record, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	if r == nil {
		return store.Record{}, false, nil
	}
	r.use()
	return r.full(), true, nil
}

func (b *backend) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	records := make(map[string]store.Record, len(ids))
	for _, id := range ids {
		if r, found, _ := b.Load(ctx, id); found {
			records[id] = r
		}
	}
	return records, nil
}

func (b *backend) Update(_ context.Context, id string, c store.Change) (store.Outcome, error) {
	s := &b.shards[slot(id)]
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	if !r.live(now()) {
		return store.Outcome{}, nil
	}
	r.use()
	if c.If != nil && r.values[c.If.Name] != c.If.Text {
		return store.Outcome{Found: true, Conflict: true, Text: r.values[c.If.Name]}, nil
	}
	if err := c.Fits(r.values); err != nil {
		return store.Outcome{}, fmt.Errorf("memstore: changing a session: %w", err)
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
	return store.Outcome{Found: true}, nil
}

func (b *backend) Rotate(_ context.Context, id string, m store.Move) (bool, error) {
	b.index(m.Record.User, m.ID)
	user, oldest, found, err := b.move(id, m)
	if !found {
		b.tidy(m.Record.User, m.ID)
		return false, err
	}
	b.tidy(user, id)
	if oldest != "" {
		b.forget(oldest)
	}
	return true, nil
}

// move puts a record under a new ID, between two readings of its user's list but never
// within one, which would miss it or have it twice. It returns whose it was, and the ID
// whose trace is to go, "" if there is none.
func (b *backend) move(id string, m store.Move) (user, oldest string, found bool, err error) {
	from, to := &b.shards[slot(id)], &b.shards[slot(m.ID)]
	if user := m.Record.User; user != "" && from.userOf(id) == user { // a sign-in changes whose it is
		u := b.userShard(user)
		u.mu.Lock()
		defer u.mu.Unlock()
	}
	lockBoth(from, to, slot(id) < slot(m.ID))
	defer from.mu.Unlock()
	if to != from {
		defer to.mu.Unlock()
	}
	old := from.records[id]
	if !old.session(now()) {
		return "", "", false, nil
	}
	old.use()
	if err := m.Fits(old.values); err != nil {
		return "", "", false, fmt.Errorf("memstore: renewing a session: %w", err)
	}
	var t *trail
	if b.limit > 0 {
		if t = new(trail); old.special != nil {
			t = old.special.trail
		}
		oldest = t.add(id)
	}
	from.put(id, newRecord(m.Trace, packValues(m.Trace.Values, nil, nil), nil))
	if counts(m.Trace.Kind, m.Trace.Ended) {
		b.count.Add(1)
	}
	to.put(m.ID, newRecord(m.Record, packValues(old.values, m.Record.Values, m.Drop), t))
	return old.user, oldest, true, nil
}

// add returns the ID that is not part of the trail any more, "" if all are.
func (t *trail) add(id string) (oldest string) {
	if len(t.ids) == longestTrail {
		oldest = t.ids[0]
		t.ids = t.ids[:copy(t.ids, t.ids[1:])]
	}
	t.ids = append(t.ids, id)
	return oldest
}

// forget removes the trace of a session that has another ID now.
func (b *backend) forget(id string) {
	s := &b.shards[slot(id)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.records[id]; r != nil && r.ended() != "" {
		delete(s.records, id)
		b.removed(r.kind(), r.ended())
	}
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

func (b *backend) End(_ context.Context, _ string, why store.Ending, ids ...string) ([]string, error) {
	var ended []string
	for _, id := range ids {
		if user, found := b.end(id, why); found {
			b.tidy(user, id)
			ended = append(ended, id)
		}
	}
	return ended, nil
}

func (b *backend) end(id string, why store.Ending) (user string, found bool) {
	s := &b.shards[slot(id)]
	s.mu.Lock()
	defer s.mu.Unlock()
	r, now := s.records[id], now()
	if !r.session(now) {
		return "", false
	}
	s.records[id] = r.trace(why, now)
	if !counts("", why) {
		b.count.Add(-1)
	}
	return r.user, true
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
	b.removed(r.kind(), r.ended())
	b.tidy(r.user, id)
	return true, nil
}

func (b *backend) List(_ context.Context, user string) (map[string]store.Record, error) {
	if user == "" {
		return nil, nil
	}
	u := b.userShard(user)
	u.mu.Lock()
	defer u.mu.Unlock()
	list := make(map[string]store.Record, max(1, len(u.ids[user].more)))
	for id := range u.ids[user].all {
		s := &b.shards[slot(id)]
		s.mu.RLock()
		if r := s.records[id]; r != nil && r.user == user && r.ended() == "" {
			list[id] = r.outline()
		}
		s.mu.RUnlock()
	}
	return list, nil
}

// Scan copies the records of one shard after the other.
func (b *backend) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return func(yield func(map[string]store.Record, error) bool) {
		for i := range b.shards {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(b.shards[i].sessions(), nil) {
				return
			}
		}
	}
}

func (s *shard) sessions() map[string]store.Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	records := make(map[string]store.Record, len(s.records))
	for id, r := range s.records {
		if r.kind() == "" {
			records[id] = r.outline()
		}
	}
	return records
}

// Count looks at the records of one shard after the other.
func (b *backend) Count(context.Context) (c store.Counts, err error) {
	now := now()
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.RLock()
		for _, r := range s.records {
			if r.session(now) {
				c.Live++
				if r.user != "" {
					c.SignedIn++
				}
			}
		}
		s.mu.RUnlock()
	}
	return c, nil
}

// CreateAndPeek and RotateAndPeek read what is there once the session is stored.

func (b *backend) CreateAndPeek(ctx context.Context, id string, r store.Record, p store.Peek) (bool, []string, error) {
	created, err := b.Create(ctx, id, r)
	return created, b.peek(p, created), err
}

func (b *backend) RotateAndPeek(ctx context.Context, id string, m store.Move, p store.Peek) (bool, []string, error) {
	moved, err := b.Rotate(ctx, id, m)
	return moved, b.peek(p, moved), err
}

// peek returns values of other records, none if no record has one.
func (b *backend) peek(p store.Peek, stored bool) (texts []string) {
	for i, id := range p.IDs {
		if !stored {
			break
		}
		s := &b.shards[slot(id)]
		s.mu.RLock()
		if r := s.records[id]; r != nil {
			if texts == nil {
				texts = make([]string, len(p.IDs))
			}
			texts[i] = r.value(p.Name)
		}
		s.mu.RUnlock()
	}
	return texts
}

// Now returns the time of the process, which is the only one that sees the records.
func (b *backend) Now(context.Context, string) (time.Time, error) { return time.Now(), nil }

// index enters an ID into its user's index.
func (b *backend) index(user, id string) {
	if user == "" {
		return
	}
	u := b.userShard(user)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = make(map[string]userIDs)
	}
	u.ids[user] = u.ids[user].add(id)
}

// tidy takes an ID out of a user's index if it has no session of that user.
func (b *backend) tidy(user, id string) {
	if user == "" {
		return
	}
	u := b.userShard(user)
	u.mu.Lock()
	defer u.mu.Unlock()
	s := &b.shards[slot(id)]
	s.mu.RLock()
	r := s.records[id]
	s.mu.RUnlock()
	if r != nil && r.user == user && r.kind() == "" && r.ended() == "" {
		return
	}
	// After Close there is no map, and so nothing left.
	if left := u.ids[user].remove(id); left.empty() {
		delete(u.ids, user)
	} else {
		u.ids[user] = left
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

// unusedFor is how long after its last recorded use the values of a session are packed.
const unusedFor = 2 * time.Minute

// removeExpired removes the records that ran out longer than [store.Retention]
// ago, packs the values of those that are not in use, and comes again while any record
// is left. A reader waits for a scan of its own shard's records at most.
func (b *backend) removeExpired() {
	b.sweeping.Store(false) // a record created from here on schedules the next sweep
	limit := time.Now().Add(-store.Retention).UnixMilli()
	unused := time.Now().Add(-unusedFor).UnixMilli()
	left := 0
	for i := range b.shards {
		s := &b.shards[i]
		var old, idle []string
		s.mu.RLock()
		for id, r := range s.records {
			switch {
			case r.expires <= limit:
				old = append(old, id)
			case r.seen <= unused && r.values != nil:
				idle = append(idle, id)
			}
		}
		left += len(s.records)
		s.mu.RUnlock()
		for _, id := range old {
			b.removeIfExpired(s, id, limit)
		}
		for _, id := range idle {
			s.pack(id)
		}
	}
	if left > 0 {
		b.scheduleSweep()
	}
}

// pack packs the values of a record.
func (s *shard) pack(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.records[id]; r != nil && r.values != nil {
		r.values, r.packed = nil, packValues(r.values, nil, nil)
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
	b.removed(r.kind(), r.ended())
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
