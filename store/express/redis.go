package express

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit/internal/turn"
	"github.com/gin-sessionkit/sessionkit/store"
)

// A backend keeps documents under session IDs.
type backend interface {
	// load returns a document, and how long it stays: less than 0 if it has no end.
	load(ctx context.Context, sid string) (text []byte, left time.Duration, found bool, err error)

	// create stores a new document.
	create(ctx context.Context, sid, text string, life time.Duration) error

	// change makes an edit, value by value. It creates nothing. The text is that of the
	// document as it was loaded, which may have changed since; "" if it is not known.
	change(ctx context.Context, sid, text string, e edit) (changed, error)

	// swap stores a document in place of another one, if that still stands.
	swap(ctx context.Context, sid, text, next string) error

	// move gives a document another ID, with an edit. It reports false if it is not there.
	move(ctx context.Context, sid, newSID string, e edit) (bool, error)

	// remove removes a document, and reports whether it was there.
	remove(ctx context.Context, sid string) (bool, error)
}

// changed is what became of a change.
type changed struct {
	found    bool
	conflict bool
	raw      string // what stands in case of a conflict; "": nothing
}

type redisBackend struct {
	client rueidis.Client
	prefix string
	turns  *turn.Turns // by session ID
	bound  func(context.Context) (context.Context, context.CancelFunc)
}

func (b *redisBackend) key(sid string) string { return b.prefix + sid }

func (b *redisBackend) load(ctx context.Context, sid string) ([]byte, time.Duration, bool, error) {
	replies := b.client.DoMulti(
		ctx,
		b.client.B().Get().Key(b.key(sid)).Build(),
		b.client.B().Pttl().Key(b.key(sid)).Build(),
	)
	text, err := replies[0].AsBytes()
	if rueidis.IsRedisNil(err) {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, false, redisError(err)
	}
	ms, err := replies[1].AsInt64()
	if err != nil {
		return nil, 0, false, redisError(err)
	}
	const gone = -2
	return text, time.Duration(ms) * time.Millisecond, ms != gone, nil
}

// redisError says that a key of another type is no session. Its text holds no key and no
// value: a server that does not know a command repeats what it was sent.
func redisError(err error) error {
	reply, ok := rueidis.IsRedisErr(err)
	if !ok {
		return err
	}
	if strings.HasPrefix(reply.Error(), "WRONGTYPE") {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	if text, _, cut := strings.Cut(reply.Error(), ", with args"); cut {
		return errors.New(text)
	}
	return err
}

func (b *redisBackend) create(ctx context.Context, sid, text string, life time.Duration) error {
	return redisError(b.client.Do(ctx, b.client.B().Set().Key(b.key(sid)).Value(text).Nx().ExSeconds(seconds(life)).Build()).Error())
}

func seconds(d time.Duration) int64 { return int64(ceil(d) / time.Second) }

// change makes the edit here, and has the server store the result if what it was made of
// still stands: so the server compares and copies texts, and decodes no JSON, which would
// hold up all that others ask of it. Requests that meet there take turns: if each only tried
// again, every change that is made would have all the others send their documents once more.
func (b *redisBackend) change(ctx context.Context, sid, text string, e edit) (changed, error) {
	if e.isTouch() {
		found, err := touchScript.Exec(ctx, b.client, []string{b.key(sid)}, []string{ttl(e.renew)}).AsInt64()
		return changed{found: found == 1}, redisError(err)
	}
	if text != "" && !b.turns.Busy(sid) {
		next, conflict := e.apply(text)
		if !conflict.conflict { // else perhaps not with what stands now
			done, err := b.replace(ctx, sid, text, next, ttl(e.renew))
			if err != nil || done {
				return changed{found: done}, err
			}
		}
	}
	defer b.turns.Take(ctx, sid)()
	for { // another process has changed the session whenever this is not over at once
		stands, _, found, err := b.load(ctx, sid)
		if err != nil || !found {
			return changed{}, err
		}
		if _, err := parse(stands); err != nil {
			return changed{}, err
		}
		next, conflict := e.apply(string(stands))
		if conflict.conflict {
			return conflict, nil
		}
		done, err := b.replace(ctx, sid, string(stands), next, ttl(e.renew))
		if err != nil || done {
			return changed{found: done}, err
		}
	}
}

func (b *redisBackend) swap(ctx context.Context, sid, text, next string) error {
	_, err := b.replace(ctx, sid, text, next, "")
	return err
}

// replace stores a document in place of another one, and reports false if that does not
// stand any more.
func (b *redisBackend) replace(ctx context.Context, sid, text, next, ttl string) (bool, error) {
	done, err := replaceScript.Exec(ctx, b.client, []string{b.key(sid)}, []string{text, next, ttl}).AsInt64()
	return done == 1, redisError(err)
}

// ttl returns a time to live as the scripts take it: "" leaves it as it is.
func ttl(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.FormatInt(seconds(d), 10)
}

// mostMoves bounds how often a move begins again because the document was changed
// meanwhile.
const mostMoves = 100

// move stores the document under the new key and then removes the old one if it is
// still what was stored. So it works in a Cluster, where the two keys are on two nodes,
// and if the process dies in between, nobody knows the new ID.
func (b *redisBackend) move(ctx context.Context, sid, newSID string, e edit) (bool, error) {
	for range mostMoves {
		text, _, found, err := b.load(ctx, sid)
		if err != nil || !found {
			return false, err
		}
		if _, err := parse(text); err != nil {
			return false, err
		}
		next, _ := e.apply(string(text))
		if err := b.create(ctx, newSID, next, e.renew); err != nil {
			return false, err
		}
		same, err := removeScript.Exec(ctx, b.client, []string{b.key(sid)}, []string{string(text)}).AsInt64()
		if same == 1 && err == nil {
			return true, nil
		}
		undoErr := b.undo(ctx, newSID)
		if err != nil || undoErr != nil {
			return false, errors.Join(redisError(err), undoErr)
		}
	}
	return false, fmt.Errorf("it was changed %d times meanwhile", mostMoves)
}

// undo removes a document that a move has stored, also if the time for that is over: but a
// server that hangs holds it up only for as long as any other operation.
func (b *redisBackend) undo(ctx context.Context, newSID string) error {
	ctx, cancel := b.bound(context.WithoutCancel(ctx))
	defer cancel()
	_, err := b.remove(ctx, newSID)
	return err
}

func (b *redisBackend) remove(ctx context.Context, sid string) (bool, error) {
	n, err := b.client.Do(ctx, b.client.B().Del().Key(b.key(sid)).Build()).AsInt64()
	return n > 0, redisError(err)
}

// removeScript removes a document if it is the given one. It answers 0 if another one
// stands there, or none.
var removeScript = rueidis.NewLuaScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`)

// touchScript sets the TTL in seconds of a document that has one. It answers 0 if there
// is no document.
var touchScript = rueidis.NewLuaScript(`
local left = redis.call('PTTL', KEYS[1])
if left == -2 then return 0 end
if left >= 0 and ARGV[1] ~= '' then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return 1
`)

// replaceScript stores the document ARGV[2] if ARGV[1] stands, and sets the TTL in seconds
// of one that has any to ARGV[3]; "": it stays as it is. It answers 0 if another document
// stands there, or none.
var replaceScript = rueidis.NewLuaScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] ~= '' and redis.call('PTTL', KEYS[1]) >= 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
end
return 1
`)
