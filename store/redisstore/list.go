package redisstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// List reads the index, at one instant, and then what stands under each of its IDs.
// A session that has been given a new ID meanwhile has left a trace under the old
// one, which says where it is. So no session is missed and nothing is read twice,
// whatever else runs. Only of an index that is read in portions it may miss one that is given
// a new ID between two of them. What ends a user's sessions ends that one too: it has moved
// the boundary before.
func (b *backend) List(ctx context.Context, user string) (map[string]store.Record, error) {
	if user == "" {
		return nil, nil
	}
	ids, err := b.indexed(ctx, user)
	if err != nil {
		return nil, err
	}
	found, err := b.outlines(ctx, ids)
	if err != nil {
		return nil, err
	}
	list := listing{user: user, records: make(map[string]store.Record, len(found)), lines: make(map[string][]string, len(found))}
	var moved []outline
	for _, o := range found {
		switch {
		case o.record.Ended == store.Renewed && o.record.Next != "":
			moved = append(moved, o)
		case o.record.Ended == "":
			list.add(o.id, o.record)
		}
	}
	for _, o := range moved {
		if len(list.lines[signin.Of(o.record.Values).Line]) > 0 {
			continue // in a Cluster it is in the index under both IDs for a moment
		}
		if err := b.follow(ctx, o, &list); err != nil {
			return nil, err
		}
	}
	if b.cluster {
		err = b.readTwice(ctx, &list)
	}
	return list.records, err
}

// indexedAtOnce is how many entries of an index are read in one go: a part of what a server
// returns within the timeout.
const indexedAtOnce = 10_000

// indexed returns the IDs in a user's index, at one instant if there are no more than are read
// in one go. Of more it returns those that are there all the time: it reads them by their
// scores, which never fall.
func (b *backend) indexed(ctx context.Context, user string) (ids []string, err error) {
	for from, skip, more := "-inf", int64(0), true; more; {
		read := b.client.B().Zrange().Key(b.users+user).Min(from).Max("+inf").Byscore().Limit(skip, indexedAtOnce).Withscores().Build()
		portion, err := b.client.Do(ctx, read).AsZScores()
		if err != nil {
			return nil, failed("reading a user's index", err)
		}
		for _, entry := range portion {
			ids = append(ids, entry.Member)
		}
		if more = len(portion) == indexedAtOnce; !more {
			break
		}
		if last := portion[indexedAtOnce-1].Score; last > portion[0].Score {
			from, skip = strconv.FormatFloat(last, 'f', -1, 64), 0
		} else {
			skip += indexedAtOnce
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// readTwice drops a session under the ID that it had, if it was read there and then
// under its new one. One that has yet another ID by now stays under one of them.
func (b *backend) readTwice(ctx context.Context, list *listing) error {
	for _, ids := range list.lines {
		left := len(ids)
		for i := 0; i < len(ids) && left > 1; i++ {
			now, err := b.outlines(ctx, ids[i:i+1])
			if err != nil {
				return err
			}
			if len(now) == 0 || now[0].record.Ended != "" {
				delete(list.records, ids[i])
				left--
			}
		}
	}
	return nil
}

// An outline is a record without its values but the sign-in.
type outline struct {
	id     string
	record store.Record
}

// outlineFields are the fields of an outline.
var outlineFields = []string{
	fieldUser, fieldCreated, fieldSince, fieldSeen, fieldExpires, fieldName, fieldKind, fieldEnded, fieldNext, valuePrefix + store.SignInValue,
}

// readAtOnce is how many records are read in one go.
const readAtOnce = 500

// outlines reads those that there are. One that cannot be read is left out: it
// opens nothing.
func (b *backend) outlines(ctx context.Context, ids []string) ([]outline, error) {
	found := make([]outline, 0, len(ids))
	for some := range slices.Chunk(ids, readAtOnce) {
		reads := make([]rueidis.Completed, len(some))
		for i, id := range some {
			reads[i] = b.client.B().Hmget().Key(b.records + id).Field(outlineFields...).Build()
		}
		for i, reply := range b.client.DoMulti(ctx, reads...) {
			o, err := decodeOutline(reply)
			if err != nil {
				if err = failed("reading a user's sessions", err); !errors.Is(err, store.ErrCorrupt) {
					return nil, err
				}
				continue
			}
			if o.id = some[i]; o.record.Kind == "" {
				found = append(found, o)
			}
		}
	}
	return found, nil
}

// decodeOutline reads the reply to HMGET. That of a record which is not there is
// corrupt, as it has no fields.
func decodeOutline(reply rueidis.RedisResult) (o outline, err error) {
	fields, err := reply.ToArray()
	if err != nil {
		return outline{}, err
	}
	hash := make(map[string]string, len(fields))
	for i, field := range fields {
		if text, err := field.ToString(); err == nil && i < len(outlineFields) {
			hash[outlineFields[i]] = text
		}
	}
	o.record, err = decodeHash(hash)
	return o, err
}

// A listing is the sessions of a user.
type listing struct {
	user    string
	records map[string]store.Record
	lines   map[string][]string // their IDs by the lines of their sign-ins
}

func (l *listing) add(id string, r store.Record) {
	if r.User != l.user {
		return
	}
	l.records[id] = r
	if line := signin.Of(r.Values).Line; line != "" {
		l.lines[line] = append(l.lines[line], id)
	}
}

// follow adds the session whose trace was found. One that is given new IDs faster
// than they can be read is listed as it was last seen.
func (b *backend) follow(ctx context.Context, o outline, list *listing) error {
	const hops = 5
	for range hops {
		next, found, err := b.successor(ctx, o.record.Next)
		switch {
		case err != nil || !found || next.record.Ended != "" && next.record.Next == "":
			return err // it has ended, or was lost with the process that moved it
		case next.record.Ended == "":
			list.add(next.id, next.record)
			return nil
		}
		o = next
	}
	r := o.record
	r.Ended, r.Expires = "", time.Now().Add(time.Minute)
	list.add(o.record.Next, r)
	return nil
}

// successor reads the record to which a trace leads. In a Cluster it may be about
// to be made.
func (b *backend) successor(ctx context.Context, id string) (o outline, found bool, err error) {
	const (
		gap   = time.Millisecond // between two steps of a move
		tries = 50
	)
	for range tries {
		next, err := b.outlines(ctx, []string{id})
		if len(next) > 0 || err != nil {
			return append(next, outline{})[0], len(next) > 0, err
		}
		if !b.cluster {
			break
		}
		select {
		case <-time.After(gap):
		case <-ctx.Done():
			return outline{}, false, failed("reading a user's sessions", ctx.Err())
		}
	}
	return outline{}, false, nil
}
