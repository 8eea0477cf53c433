package redisstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// backend asks the server for everything.
//
// An ID enters its user's index before its record is there, with the time until
// which the record can be there: by one script on a single server, and by a round
// trip of its own in a Cluster, where the two keys may be on two nodes. What fails
// after the change itself took effect is not reported: an entry too many in an
// index is skipped by List and leaves by itself.
type backend struct {
	client         *bounded
	batching       rueidis.Client // for what may be executed twice
	owned          bool
	timeout        time.Duration
	records, users string // what the keys begin with
	cluster        bool   // two records may be on two nodes
	closing        sync.Once
}

func (b *backend) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if b.timeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, b.timeout)
}

func (b *backend) run(ctx context.Context, script *rueidis.Lua, key string, args []string) rueidis.RedisResult {
	return script.Exec(ctx, b.client, []string{key}, args)
}

func (b *backend) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	if b.cluster {
		if err := b.index(ctx, r.User, id, indexEnd(r.Expires)); err != nil {
			return false, failed("indexing a session", err)
		}
	}
	n, _, err := answer(b.create(ctx, id, r))
	if err != nil {
		return false, failed("creating a session", err)
	}
	return n == done, nil
}

func (b *backend) create(ctx context.Context, id string, r store.Record) rueidis.RedisResult {
	args := append([]string{until(keyEnd(r.Expires)), id, until(indexEnd(r.Expires))}, fields(r)...)
	return createScript.Exec(ctx, b.client, b.withIndex(r.User, b.records+id), args)
}

// withIndex adds the key of a user's index to the keys of a script, where one
// script can change both.
func (b *backend) withIndex(user string, keys ...string) []string {
	if user == "" || b.cluster {
		return keys
	}
	return append(keys, b.users+user)
}

func (b *backend) index(ctx context.Context, user, id string, end time.Time) error {
	if user == "" {
		return nil
	}
	return b.run(ctx, indexScript, b.users+user, []string{id, until(end)}).Error()
}

func (b *backend) unindex(ctx context.Context, user, id string) {
	if user != "" {
		_ = b.client.Do(ctx, b.client.B().Zrem().Key(b.users+user).Member(id).Build()).Error()
	}
}

func (b *backend) Load(ctx context.Context, id string) (store.Record, bool, error) {
	r, found, moving, err := decode(b.batching.Do(ctx, b.read(id)))
	if err != nil {
		return store.Record{}, false, failed("reading a session", err)
	}
	if !found || moving {
		return store.Record{}, false, nil
	}
	return r, true, nil
}

func (b *backend) read(id string) rueidis.Completed {
	return b.client.B().Hgetall().Key(b.records + id).Build()
}

func (b *backend) Update(ctx context.Context, id string, c store.Change) (bool, error) {
	n, user, err := b.update(ctx, id, c, time.Time{})
	if err == nil && user != "" {
		end := indexEnd(c.Expires)
		if err = b.index(ctx, user, id, end); err == nil {
			n, _, err = b.update(ctx, id, c, end)
		}
	}
	if err != nil {
		return false, failed("changing a session", err)
	}
	return n == done, nil
}

// update applies a change to a session that is indexed until the given time. It
// returns the user, having changed nothing, if the index must hold it longer.
func (b *backend) update(ctx context.Context, id string, c store.Change, indexed time.Time) (n int64, user string, err error) {
	args := make([]string, 0, 6+len(c.Delete)+2*len(c.Set))
	args = append(args, milliseconds(time.Now()), milliseconds(c.Seen), milliseconds(c.Expires), milliseconds(keyEnd(c.Expires)), milliseconds(indexed))
	args = appendValues(appendNames(args, c.Delete), c.Set)
	return answer(updateScript.Exec(ctx, b.batching, []string{b.records + id}, args))
}

var errTaken = errors.New("the new ID is taken")

func (b *backend) Rotate(ctx context.Context, id, newID string, r store.Record, drop []string) (bool, error) {
	move := b.rename
	if b.cluster {
		if err := ctx.Err(); err != nil {
			return false, failed("renewing a session", err)
		}
		ctx = context.WithoutCancel(ctx) // a caller who gives up must not stop it between two steps
		move = b.carry
	}
	ctx, cancel := b.bound(ctx)
	defer cancel()
	n, err := move(ctx, id, newID, r, drop)
	if err != nil {
		return false, failed("renewing a session", err)
	}
	return n == done, nil
}

// rename moves a session on one server, at one instant.
func (b *backend) rename(ctx context.Context, id, newID string, r store.Record, drop []string) (int64, error) {
	args := []string{milliseconds(time.Now()), until(keyEnd(r.Expires)), id, newID, until(indexEnd(r.Expires))}
	args = append(appendNames(args, drop), fields(r)...)
	n, user, err := answer(renameScript.Exec(ctx, b.client, b.withIndex(r.User, b.records+id, b.records+newID), args))
	switch {
	case err != nil:
		return 0, err
	case n == taken:
		return 0, errTaken
	case user != r.User:
		b.unindex(ctx, user, id)
	}
	return n, nil
}

// carry moves a session in a Cluster, in three steps, with its place in the index
// before and after them.
func (b *backend) carry(ctx context.Context, id, newID string, r store.Record, drop []string) (int64, error) {
	if err := b.index(ctx, r.User, newID, indexEnd(r.Expires)); err != nil {
		return 0, err
	}
	n, user, err := b.carryRecord(ctx, id, newID, r, drop)
	switch {
	case err != nil:
		return 0, err
	case n != done:
		b.unindex(ctx, r.User, newID)
		return n, nil
	}
	b.unindex(ctx, user, id)
	return n, nil
}

func (b *backend) carryRecord(ctx context.Context, id, newID string, r store.Record, drop []string) (n int64, user string, err error) {
	// A node that does not answer is found out here, where nothing has been done.
	exists, err := b.client.Do(ctx, b.client.B().Exists().Key(b.records+newID).Build()).AsInt64()
	if err == nil && exists == 1 {
		err = errTaken
	}
	if err != nil {
		return 0, "", err
	}
	stay := 2*max(b.timeout, defaultTimeout) + time.Second // longer than until the second step is sent
	reply := b.run(ctx, freezeScript, b.records+id, []string{milliseconds(time.Now()), strconv.FormatInt(stay.Milliseconds(), 10)})
	if message, err := reply.ToMessage(); err != nil || message.IsInt64() {
		return answer(reply)
	}
	old, _, _, err := decode(reply)
	if err != nil {
		return 0, "", err
	}
	r.Values = value.Apply(old.Values, r.Values, drop)
	if n, _, err = answer(b.create(ctx, newID, r)); err != nil {
		return 0, "", err
	}
	_ = b.client.Do(ctx, b.client.B().Del().Key(b.records+id).Build()).Error() // else it goes by its TTL
	return n, old.User, nil
}

func (b *backend) Delete(ctx context.Context, id string) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	n, user, err := answer(b.run(ctx, deleteScript, b.records+id, nil))
	if err != nil {
		return false, failed("removing a session", err)
	}
	b.unindex(ctx, user, id)
	return n == done, nil
}

// List reads the index and then the records. Where an ID has no record, the
// session may have moved while they were read: from an ID that was read too late
// to one that was read too early, both in the index. Then everything is read
// again, until two readings were made with the same index before, between and
// after them: it moved at most once then, and one of the two has seen it.
func (b *backend) List(ctx context.Context, user string) (map[string]store.Record, error) {
	if user == "" {
		return nil, nil
	}
	ctx, cancel := b.bound(ctx)
	defer cancel()
	var index []string
	found := make(listing)
	for readings := 0; ; {
		ids, err := b.client.Do(ctx, b.client.B().Zrange().Key(b.users+user).Min("0").Max("-1").Build()).AsStrSlice()
		if err != nil {
			return nil, failed("reading a user's index", err)
		}
		if !slices.Equal(ids, index) {
			index, readings = ids, 0
			clear(found)
		}
		if readings == 2 {
			return found.records(), nil
		}
		all, err := b.loadAll(ctx, user, ids, found)
		if err != nil {
			return nil, err
		}
		if all {
			return found.records(), nil
		}
		readings++
	}
}

// A listing is the sessions of a user by their sign-ins, each of which is one
// session: while it moves it may be read under both of its IDs.
type listing map[string]listed

type listed struct {
	id     string
	record store.Record
	moving bool
}

func (l listing) add(next listed) {
	line := next.record.SignIn().Line
	if line == "" {
		line = next.id
	}
	if old, ok := l[line]; ok && next.moving && !old.moving {
		return
	}
	l[line] = next
}

func (l listing) records() map[string]store.Record {
	records := make(map[string]store.Record, len(l))
	for _, found := range l {
		records[found.id] = found.record
	}
	return records
}

// loadAll adds those of the records that are the user's, and reports whether that
// were all of them. One that cannot be read is left out: it opens nothing.
func (b *backend) loadAll(ctx context.Context, user string, ids []string, found listing) (all bool, err error) {
	reads := make([]rueidis.Completed, len(ids))
	for i, id := range ids {
		reads[i] = b.read(id)
	}
	n := 0
	for i, reply := range b.client.DoMulti(ctx, reads...) {
		r, ok, moving, err := decode(reply)
		if err != nil {
			if err = failed("reading a user's sessions", err); !errors.Is(err, store.ErrCorrupt) {
				return false, err
			}
		}
		if ok && r.User == user {
			found.add(listed{ids[i], r, moving})
			n++
		}
	}
	return n == len(ids), nil
}

func (b *backend) Close() error {
	b.closing.Do(func() {
		b.client.drain()
		if b.owned {
			b.client.Close()
		}
	})
	return nil
}
