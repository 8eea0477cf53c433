package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	replicas       int    // that must have what ends a session
	prefix         string // what the keys begin with
	records, users string // what those of sessions and of indexes begin with
	cluster        bool   // two records may be on two nodes
	census         *census
	closing        sync.Once
}

func (b *backend) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if b.timeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, b.timeout)
}

func (b *backend) run(ctx context.Context, script script, key string, args []string) rueidis.RedisResult {
	return script.Exec(ctx, b.client, []string{key}, args)
}

// runEnding runs a script that ends a session, and waits for the replicas.
func (b *backend) runEnding(ctx context.Context, script script, keys, args []string) rueidis.RedisResult {
	if b.replicas > 0 {
		return b.client.replicated(ctx, b.replicas, script.text, keys, args)
	}
	return script.Exec(ctx, b.client, keys, args)
}

func (b *backend) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	created, _, err := b.CreateAndPeek(ctx, id, r, store.Peek{})
	return created, err
}

// CreateAndPeek is one script on a single server. In a Cluster the records to peek
// at may be on other nodes, and are read after that.
func (b *backend) CreateAndPeek(ctx context.Context, id string, r store.Record, p store.Peek) (bool, []string, error) {
	if b.cluster {
		ctx, cancel := b.bound(ctx)
		defer cancel()
		if err := b.index(ctx, r.User, id, indexEnd(r.Expires), false); err != nil {
			return false, nil, failed("indexing a session", err)
		}
		n, _, _, err := b.create(ctx, id, r, store.Peek{}, r.Kind != "")
		if err != nil {
			return false, nil, failed("creating a session", err)
		}
		if n == done {
			b.census.created(id, r)
		}
		return b.peek(ctx, n == done, p)
	}
	n, _, texts, err := b.create(ctx, id, r, p, r.Kind != "")
	if err != nil {
		return false, nil, failed("creating a session", err)
	}
	if n == done {
		b.census.created(id, r)
	}
	return n == done, texts, nil
}

// flag is a yes or no to a script.
func flag(is bool) string {
	if is {
		return "1"
	}
	return "0"
}

// create stores a record, on a full server only if it must.
func (b *backend) create(
	ctx context.Context, id string, r store.Record, p store.Peek, must bool,
) (n int64, text string, peeked []string, err error) {
	keys, indexes := b.withIndex(r.User, b.records+id)
	args := append([]string{until(keyEnd(r.Expires)), id, until(indexEnd(r.Expires)), indexes, valuePrefix + p.Name, flag(must)}, fields(r)...)
	return answerAndPeek(createScript.Exec(ctx, b.client, b.withPeek(keys, p), args))
}

func (b *backend) withPeek(keys []string, p store.Peek) []string {
	for _, id := range p.IDs {
		keys = append(keys, b.records+id)
	}
	return keys
}

// peek reads values of other records, if something was stored before.
func (b *backend) peek(ctx context.Context, stored bool, p store.Peek) (bool, []string, error) {
	if !stored || len(p.IDs) == 0 {
		return stored, nil, nil
	}
	reads := make([]rueidis.Completed, len(p.IDs))
	for i, id := range p.IDs {
		reads[i] = b.client.B().Hget().Key(b.records + id).Field(valuePrefix + p.Name).Build()
	}
	texts := make([]string, len(p.IDs))
	for i, reply := range b.client.DoMulti(ctx, reads...) {
		text, err := reply.ToString()
		if err != nil && !rueidis.IsRedisNil(err) {
			return true, nil, failed("reading sessions", err)
		}
		texts[i] = text
	}
	return true, texts, nil
}

// withIndex adds the key of a user's index to the keys of a script, if one script
// can change both. It also returns the number of indexes.
func (b *backend) withIndex(user string, keys ...string) (all []string, indexes string) {
	if user == "" || b.cluster {
		return keys, "0"
	}
	return append(keys, b.users+user), "1"
}

func (b *backend) index(ctx context.Context, user, id string, end time.Time, again bool) error {
	if user == "" {
		return nil
	}
	return b.run(ctx, indexScript, b.users+user, []string{id, until(end), flag(again)}).Error()
}

func (b *backend) unindex(ctx context.Context, user, id string) {
	if user != "" {
		_ = b.client.Do(ctx, b.client.B().Zrem().Key(b.users+user).Member(id).Build()).Error()
	}
}

func (b *backend) Load(ctx context.Context, id string) (store.Record, bool, error) {
	r, found, err := decode(b.batching.Do(ctx, b.read(id)))
	if err != nil {
		return store.Record{}, false, failed("reading a session", err)
	}
	return r, found, nil
}

func (b *backend) read(id string) rueidis.Completed {
	return b.client.B().Hgetall().Key(b.records + id).Build()
}

func (b *backend) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	records := make(map[string]store.Record, len(ids))
	if len(ids) == 1 {
		r, found, err := b.Load(ctx, ids[0])
		if found {
			records[ids[0]] = r
		}
		return records, err
	}
	reads := make([]rueidis.Completed, len(ids))
	for i, id := range ids {
		reads[i] = b.read(id)
	}
	for i, reply := range b.client.DoMulti(ctx, reads...) {
		r, found, err := decode(reply)
		if err != nil {
			return nil, failed("reading sessions", err)
		}
		if found {
			records[ids[i]] = r
		}
	}
	return records, nil
}

func (b *backend) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	outcome, user, err := b.update(ctx, id, c, time.Time{})
	if err == nil && user != "" {
		end := indexEnd(c.Expires)
		if err = b.index(ctx, user, id, end, true); err == nil {
			outcome, _, err = b.update(ctx, id, c, end)
		}
	}
	if err != nil {
		return store.Outcome{}, failed("changing a session", err)
	}
	if outcome.Changed() {
		b.census.postponed(id, c.Expires)
	}
	return outcome, nil
}

// update applies a change to a session that is indexed until the given time. It
// returns the user, having changed nothing, if the index must hold it longer.
func (b *backend) update(ctx context.Context, id string, c store.Change, indexed time.Time) (outcome store.Outcome, user string, err error) {
	args := make([]string, 0, 9+len(c.Delete)+2*len(c.Set))
	args = appendNumbers(args, time.Now().UnixMilli(), unixMilli(c.Seen), unixMilli(c.Expires), unixMilli(keyEnd(c.Expires)),
		unixMilli(indexed), int64(c.MaxBytes))
	if c.If != nil {
		args = append(args, valuePrefix+c.If.Name, c.If.Text)
	} else {
		args = append(args, "", "")
	}
	args = appendValues(appendNames(args, c.Delete), c.Set)
	client := b.batching
	if c.If != nil {
		client = b.client // a second execution would find its own change
	}
	reply := updateScript.Exec(ctx, client, []string{b.records + id}, args)
	if message, err := reply.ToMessage(); err == nil && message.IsArray() {
		stands, err := message.AsStrSlice()
		return store.Outcome{Found: true, Conflict: true, Text: strings.Join(stands, "")}, "", err
	}
	n, user, err := answer(reply)
	return store.Outcome{Found: n == done}, user, err
}

var errTaken = errors.New("the new ID is taken")

func (b *backend) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	moved, _, err := b.RotateAndPeek(ctx, id, m, store.Peek{})
	return moved, err
}

// RotateAndPeek is as CreateAndPeek. In a Cluster the records to peek at are also read before.
func (b *backend) RotateAndPeek(ctx context.Context, id string, m store.Move, p store.Peek) (bool, []string, error) {
	if !b.cluster {
		moved, texts, _, err := b.renew(ctx, id, m, p, false)
		return moved, texts, err
	}
	if err := ctx.Err(); err != nil {
		return false, nil, failed("renewing a session", err)
	}
	ctx, cancel := b.bound(context.WithoutCancel(ctx)) // a caller who gives up must not stop it between two steps
	defer cancel()
	// A node of theirs that does not answer is found out here, where nothing has been done.
	if _, _, err := b.peek(ctx, true, p); err != nil {
		return false, nil, err
	}
	n, err := b.carry(ctx, id, m)
	if err != nil {
		b.endedHere(err, id)
		return false, nil, failed("renewing a session", err)
	}
	b.renewed(n == done, id, m)
	return b.peek(ctx, n == done, p)
}

// renew moves a session on one server. It returns the record if that is asked for, and
// can be had. It reports true with an error if the session may have moved all the same.
func (b *backend) renew(ctx context.Context, id string, m store.Move, p store.Peek, asked bool) (bool, []string, *store.Record, error) {
	n, texts, r, err := b.rename(ctx, id, m, p, asked)
	if err != nil { // what the replicas do not have stands on the server
		return b.endedHere(err, id), nil, nil, failed("renewing a session", err)
	}
	b.renewed(n == done, id, m)
	return n == done, texts, r, nil
}

// endedHere reports whether an error means that nothing lives under an ID any more, on the
// server itself, and notes that for the count.
func (b *backend) endedHere(err error, id string) bool {
	if !errors.Is(err, errNotReplicated) {
		return false
	}
	b.census.ended(id)
	return true
}

func (b *backend) renewed(moved bool, id string, m store.Move) {
	if moved {
		b.census.created(m.ID, m.Record)
		b.census.ended(id)
	}
}

// rename moves a session on one server, at one instant.
func (b *backend) rename(ctx context.Context, id string, m store.Move, p store.Peek, asked bool) (int64, []string, *store.Record, error) {
	r, trace := m.Record, fields(m.Trace)
	keys, indexes := b.withIndex(r.User, b.records+id, b.records+m.ID)
	args := []string{milliseconds(time.Now()), until(keyEnd(r.Expires)), id, m.ID, until(indexEnd(r.Expires)), until(keyEnd(m.Trace.Expires))}
	drop := dropped(m)
	args = append(args, strconv.Itoa(len(drop)), strconv.Itoa(len(trace)), indexes, valuePrefix+p.Name, strconv.Itoa(m.MaxBytes))
	args = append(append(append(args, drop...), trace...), fields(r)...)
	keys = b.withPeek(keys, p)
	var reply rueidis.RedisResult
	var record *store.Record
	if asked && b.replicas == 0 {
		var read rueidis.RedisResult
		reply, read = renameScript.execThenRead(ctx, b.client, keys, args, b.records+m.ID)
		if now, found, err := decode(read); found && err == nil { // else the next read will tell
			record = &now
		}
	} else {
		reply = b.runEnding(ctx, renameScript, keys, args)
	}
	n, user, texts, err := answerAndPeek(reply)
	switch {
	case err != nil:
		return 0, nil, nil, err
	case n == taken:
		return 0, nil, nil, errTaken
	case n != done:
		return n, nil, nil, nil
	case user != r.User:
		b.unindex(ctx, user, id)
	}
	return n, texts, record, nil
}

// carry moves a session in a Cluster, in three steps, with its place in the index
// before and after them.
func (b *backend) carry(ctx context.Context, id string, m store.Move) (int64, error) {
	if err := b.index(ctx, m.Record.User, m.ID, indexEnd(m.Record.Expires), false); err != nil {
		return 0, err
	}
	n, user, err := b.carryRecord(ctx, id, m)
	switch {
	case err != nil && n != tooLarge:
		return 0, err
	case n != done:
		b.unindex(ctx, m.Record.User, m.ID)
		return n, err
	}
	b.unindex(ctx, user, id)
	return n, nil
}

func (b *backend) carryRecord(ctx context.Context, id string, m store.Move) (n int64, user string, err error) {
	// A node that does not answer, or refuses writes, is found out here, where nothing has been done.
	if err := b.takesWrites(ctx, b.records+m.ID); err != nil {
		return 0, "", err
	}
	trace := fields(m.Trace)
	args := []string{milliseconds(time.Now()), until(keyEnd(m.Trace.Expires)), strconv.Itoa(m.MaxBytes), strconv.Itoa(len(trace))}
	args = append(append(args, strconv.Itoa(len(m.Drop))), trace...)
	for _, name := range m.Drop {
		args = append(args, valuePrefix+name)
	}
	for name, text := range m.Record.Values {
		args = append(args, valuePrefix+name, strconv.Itoa(len(text)))
	}
	reply := b.runEnding(ctx, freezeScript, []string{b.records + id}, args)
	if message, err := reply.ToMessage(); err != nil || message.IsInt64() {
		return answer(reply)
	}
	old, _, err := decode(reply)
	if err != nil {
		return 0, "", err
	}
	r := m.Record
	r.Values = value.Apply(old.Values, r.Values, m.Drop)
	n, _, _, err = b.create(ctx, m.ID, r, store.Peek{}, true) // the session is nowhere now
	return n, old.User, err
}

// takesWrites returns an error if the node of a key that is free would refuse to make it:
// it is full, lacks replicas (min-replicas-to-write) or is a replica itself. It sends a
// write that the node judges as any other, and that does nothing to a key that is not there.
func (b *backend) takesWrites(ctx context.Context, key string) error {
	err := b.client.Do(ctx, b.client.B().Zadd().Key(key).Xx().ScoreMember().ScoreMember(0, "").Build()).Error()
	if refusal, ok := rueidis.IsRedisErr(err); ok && strings.HasPrefix(refusal.Error(), "WRONGTYPE") {
		return errTaken // by a record, which is a hash
	}
	return err
}

// endedAtOnce is how many scripts are under way at a time.
const endedAtOnce = 64

// End runs a script for each session. The client sends them in one go.
func (b *backend) End(ctx context.Context, user string, why store.Ending, ids ...string) (ended []string, err error) {
	var errs []error
	for some := range slices.Chunk(ids, endedAtOnce) {
		found, failures := make([]bool, len(some)), make([]error, len(some))
		var group sync.WaitGroup
		for i, id := range some[1:] {
			group.Go(func() { found[1+i], failures[1+i] = b.end(ctx, user, why, id) })
		}
		found[0], failures[0] = b.end(ctx, user, why, some[0])
		group.Wait()
		for i, id := range some {
			if found[i] {
				ended = append(ended, id)
			}
		}
		errs = append(errs, failures...)
	}
	b.census.ended(ended...)
	if b.cluster && user != "" && len(ended) > 0 {
		_ = b.client.Do(ctx, b.client.B().Zrem().Key(b.users+user).Member(ended...).Build()).Error()
	}
	if err := errors.Join(errs...); err != nil {
		return ended, failed("ending sessions", err)
	}
	return ended, nil
}

func (b *backend) end(ctx context.Context, user string, why store.Ending, id string) (bool, error) {
	args := []string{milliseconds(time.Now()), strconv.FormatInt(store.Retention.Milliseconds(), 10), string(why), id}
	keys, _ := b.withIndex(user, b.records+id)
	n, _, err := answer(b.runEnding(ctx, endScript, keys, args))
	if n == gone && err == nil && b.replicas > 0 { // the replicas may lack what ended it
		err = b.runEnding(ctx, rewriteScript, keys[:1], nil).Error()
	}
	if errors.Is(err, store.ErrCorrupt) {
		return false, nil // what cannot be read opens nothing
	}
	b.endedHere(err, id)
	return n == done && err == nil, err
}

// AwaitEnds waits until the replicas have what has ended sessions of a user, whoever ended
// them; of anybody, if that is "". A single server is asked for its last write, that of the
// boundary, which comes after all that. In a Cluster each session has a node of its own, and
// is in the index until its end has been waited for.
func (b *backend) AwaitEnds(ctx context.Context, user, boundary string) error {
	if b.replicas == 0 {
		return nil
	}
	ids := []string{boundary}
	if b.cluster && user != "" {
		indexed, err := b.indexed(ctx, user)
		if err != nil {
			return err
		}
		found, err := b.outlines(ctx, indexed)
		if err != nil {
			return err
		}
		for _, o := range found {
			if o.record.Ended != "" { // the others live
				ids = append(ids, o.id)
			}
		}
	}
	_, err := b.End(ctx, user, store.Revoked, ids...)
	return err
}

func (b *backend) Delete(ctx context.Context, id string) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	n, user, err := answer(b.run(ctx, deleteScript, b.records+id, nil))
	if err != nil {
		return false, failed("removing a session", err)
	}
	b.unindex(ctx, user, id)
	b.census.ended(id)
	return n == done, nil
}

// Count is of this moment as far as this process knows, and of up to a second ago for
// what others do.
func (b *backend) Count(ctx context.Context) (store.Counts, error) { return b.census.count(ctx) }

func (b *backend) Now(ctx context.Context, id string) (time.Time, error) {
	parts, err := b.run(ctx, clockScript, b.records+id, nil).AsIntSlice()
	if err == nil && len(parts) != 2 {
		err = fmt.Errorf("TIME has %d parts", len(parts))
	}
	if err != nil {
		return time.Time{}, failed("reading the server's clock", err)
	}
	return time.Unix(parts[0], parts[1]*int64(time.Microsecond)), nil
}

func (b *backend) Close() error {
	b.closing.Do(func() {
		b.census.close()
		b.client.drain()
		if b.owned {
			b.client.Close()
		}
	})
	return nil
}
