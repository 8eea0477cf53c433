package express

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit/store"
)

// A backend keeps documents under session IDs.
type backend interface {
	// load returns a document, and how long it stays: less than 0 if it has no end.
	load(ctx context.Context, sid string) (text []byte, left time.Duration, found bool, err error)

	// create stores a new document.
	create(ctx context.Context, sid, text string, life time.Duration) error

	// change makes an edit, value by value. It creates nothing.
	change(ctx context.Context, sid string, e edit) (changed, error)

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

// redisError says that a key of another type is no session.
func redisError(err error) error {
	if reply, ok := rueidis.IsRedisErr(err); ok && strings.HasPrefix(reply.Error(), "WRONGTYPE") {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return err
}

func (b *redisBackend) create(ctx context.Context, sid, text string, life time.Duration) error {
	return b.client.Do(ctx, b.client.B().Set().Key(b.key(sid)).Value(text).Nx().ExSeconds(seconds(life)).Build()).Error()
}

func seconds(d time.Duration) int64 { return int64(ceil(d) / time.Second) }

func (b *redisBackend) change(ctx context.Context, sid string, e edit) (changed, error) {
	return b.edit(ctx, sid, "", e)
}

// edit makes an edit of the document that stands under the key, or of the one that is
// given, and stores that.
func (b *redisBackend) edit(ctx context.Context, sid, text string, e edit) (changed, error) {
	args := []string{text, "", "", "", "", strconv.Itoa(len(e.drop))}
	if e.renew > 0 {
		args[1] = strconv.FormatInt(seconds(e.renew), 10)
	}
	if e.only != nil {
		args[2], args[3], args[4] = "if", e.only.name, e.only.raw
	}
	args = append(args, e.drop...)
	for _, m := range e.set {
		name, err := marshal(m.name)
		if err != nil {
			return changed{}, err
		}
		args = append(args, m.name, name, m.raw)
	}
	reply, err := editScript.Exec(ctx, b.client, []string{b.key(sid)}, args).ToArray()
	if err != nil {
		return changed{}, redisError(err)
	}
	code, err := reply[0].AsInt64()
	if err != nil {
		return changed{}, err
	}
	const gone, conflict, corrupt = 0, 2, -1
	switch code {
	case gone:
		return changed{}, nil
	case corrupt:
		return changed{}, fmt.Errorf("%w: it is not a JSON object with an object %q", store.ErrCorrupt, cookieName)
	case conflict:
		raw, err := reply[1].ToString()
		return changed{found: true, conflict: true, raw: raw}, err
	}
	return changed{found: true}, nil
}

func (b *redisBackend) swap(ctx context.Context, sid, text, next string) error {
	return swapScript.Exec(ctx, b.client, []string{b.key(sid)}, []string{text, next}).Error()
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
		if _, err := b.edit(ctx, newSID, string(text), e); err != nil {
			return false, err
		}
		same, err := removeScript.Exec(ctx, b.client, []string{b.key(sid)}, []string{string(text)}).AsInt64()
		if same == 1 && err == nil {
			return true, nil
		}
		_, undoErr := b.remove(context.WithoutCancel(ctx), newSID)
		if err != nil || undoErr != nil {
			return false, fmt.Errorf("giving a session a new ID: %w", errors.Join(err, undoErr))
		}
	}
	return false, fmt.Errorf("giving a session a new ID: it was changed %d times meanwhile", mostMoves)
}

func (b *redisBackend) remove(ctx context.Context, sid string) (bool, error) {
	n, err := b.client.Do(ctx, b.client.B().Del().Key(b.key(sid)).Build()).AsInt64()
	return n > 0, err
}

// removeScript removes a document if it is the given one. It answers 0 if another one
// stands there, or none.
var removeScript = rueidis.NewLuaScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`)

// swapScript stores a document in place of the given one, unless another one stands
// there, or none.
var swapScript = rueidis.NewLuaScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL') end
return 0
`)

// editScript makes an edit. It does not decode and encode the document: Lua knows no
// difference between an empty list and an empty object, and rounds numbers. It finds
// where the members of the object stand and exchanges their texts.
//
//	ARGV[1]   the document; "": the one that is stored
//	ARGV[2]   the TTL in seconds; "": as it is
//	ARGV[3…5] "if", a name and the JSON that must stand under it ("": nothing); or ""
//	ARGV[6]   how many names to drop follow
//	…         after them a name, the name as JSON, and the JSON of its value, for each to put
//
// It answers {1}, {0} if there is no document, {2, what stands} if the condition does
// not hold, and {-1} if what is stored is no session.
var editScript = rueidis.NewLuaScript(`
local doc, given = ARGV[1], ARGV[1] ~= ''
if not given then
  doc = redis.call('GET', KEYS[1])
  if not doc then return {0} end
end

-- past returns the position behind the string that begins at i.
local function past(i)
  repeat
    i = string.find(doc, '["\\]', i + 1)
    local escapes = string.byte(doc, i) == 92
    if escapes then i = i + 1 end
  until not escapes
  return i + 1
end

-- stop returns the position of the comma or brace behind the value that begins at i.
local function stop(i)
  local depth = 0
  while true do
    i = string.find(doc, '["%[%]{},]', i)
    local c = string.byte(doc, i)
    if c == 34 then
      i = past(i)
    else
      if c == 91 or c == 123 then
        depth = depth + 1
      elseif depth == 0 then
        return i
      elseif c ~= 44 then
        depth = depth - 1
      end
      i = i + 1
    end
  end
end

local names, values, place = {}, {}, {}
local function scan()
  local i = string.match(doc, '^%s*{%s*()')
  local ends = string.byte(doc, i) == 125
  while not ends do
    if string.byte(doc, i) ~= 34 then return false end
    local behind = past(i)
    local name = string.sub(doc, i, behind - 1)
    local plain = string.sub(name, 2, -2)
    if string.find(name, '\\', 1, true) then
      local known, list = pcall(cjson.decode, '[' .. name .. ']')
      plain = known and list[1] or {} -- half a surrogate: like no other name
    end
    local from = string.match(doc, '^%s*:%s*()', behind)
    i = stop(from)
    local at = place[plain] or #names + 1
    names[at], values[at], place[plain] = name, string.match(string.sub(doc, from, i - 1), '^.*%S'), at
    ends = string.byte(doc, i) == 125
    if not ends then i = string.match(doc, '^,%s*()', i) end
  end
  return string.find(doc, '^%s*$', i + 1)
end
local read, whole = pcall(scan) -- it finds no position in what is no JSON, and fails
if not read or not whole or string.sub(values[place.cookie] or '', 1, 1) ~= '{' then return {-1} end

if ARGV[3] == 'if' then
  local at = place[ARGV[4]]
  local stands = at and values[at] or ''
  if stands ~= ARGV[5] then return {2, stands} end
end

local drops = tonumber(ARGV[6])
for d = 7, 6 + drops do
  if place[ARGV[d]] then values[place[ARGV[d]]] = false end
end
for s = 7 + drops, #ARGV, 3 do
  local at = place[ARGV[s]] or #names + 1
  names[at], values[at], place[ARGV[s]] = ARGV[s + 1], ARGV[s + 2], at
end

local ttl = ARGV[2]
if #ARGV == 6 and not given then
  if ttl ~= '' and redis.call('PTTL', KEYS[1]) >= 0 then redis.call('EXPIRE', KEYS[1], ttl) end
  return {1}
end
local members = {}
for at = 1, #names do
  if values[at] then members[#members + 1] = names[at] .. ':' .. values[at] end
end
doc = '{' .. table.concat(members, ',') .. '}'
if given then
  redis.call('SET', KEYS[1], doc, 'EX', ttl)
elseif ttl ~= '' and redis.call('PTTL', KEYS[1]) >= 0 then
  redis.call('SET', KEYS[1], doc, 'EX', ttl)
else
  redis.call('SET', KEYS[1], doc, 'KEEPTTL')
end
return {1}
`)
