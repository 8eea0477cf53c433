package redisstore

import "github.com/redis/rueidis"

// The scripts work on the keys they are given and no others. Times are Unix
// milliseconds of the caller's clock, which judges sessions on every store. What
// leaves by the server's clock is given how long it stays: if the two clocks differ
// by hours, a session that was just made is still there.
//
// They answer with an integer or, where they say so, with a text or a list.
const (
	gone    = 0
	done    = 1
	corrupt = -1
	taken   = -2
)

// A script is known to the server by its hash, once it was sent.
type script struct {
	*rueidis.Lua

	text string
}

func newScript(text string) script { return script{rueidis.NewLuaScript(text), text} }

// scriptParts is what most scripts begin with.
const scriptParts = `
-- many runs a command with ARGV[first..last], in portions: unpack takes some 8,000.
local function many(command, key, first, last)
  for i = first, last, 4000 do
    redis.call(command, key, unpack(ARGV, i, math.min(i + 3999, last)))
  end
end

-- live returns the user of a live session, or nil and the answer.
local function live(key, now)
  local m = redis.call('HMGET', key, 'e', 's', 'u', 'm', 'k')
  local e, s = tonumber(m[1]), tonumber(m[2])
  if not e or not s or not m[3] then
    if redis.call('EXISTS', key) == 0 then return nil, 0 end
    return nil, -1
  end
  if m[4] or m[5] or e <= tonumber(now) then return nil, 0 end
  return m[3]
end

-- peek returns the answer, and after it a field of the records from KEYS[first] on
-- if any of them has it.
local function peek(first, field, answer)
  local texts, any = {answer}, false
  for i = first, #KEYS do
    local text = redis.call('HGET', KEYS[i], field)
    texts[#texts + 1], any = text or '', any or text
  end
  if any then return texts end
  return answer
end
` + indexPart

// indexPart enters an ID into its user's index, for as long as its record can be
// there at most, and drops those whose time is over. No other
// entry is dropped for having no record: in a Cluster it may be about to have one.
const indexPart = `
local function index(key, id, stays)
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  redis.call('ZADD', key, 'GT', string.format('%.0f', now + stays), id)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
  if redis.call('PTTL', key) < tonumber(stays) then
    redis.call('PEXPIRE', key, stays)
  end
end
`

// KEYS: the record, the user's index if it is to be entered there too, and records
// to peek at. ARGV: how long the key stays, the ID, how long it is indexed, the
// number of indexes, the field to peek at, fields and values.
var createScript = newScript(scriptParts + `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if ARGV[4] == '1' then index(KEYS[2], ARGV[2], ARGV[3]) end
many('HSET', KEYS[1], 6, #ARGV)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return peek(2 + ARGV[4], ARGV[5], 1)
`)

// ARGV: now, seen, expires, when the key goes, until when it is indexed or 0, the
// field of the condition or ”, what must stand in it, number of fields to drop,
// these, fields and values. The answer is the user if the index must be extended
// first, and a list of what stands if the condition does not hold; nothing has been
// changed then.
//
// It runs for every change, so it defines no function and reads no more than it
// needs: with [scriptParts] it took a quarter longer.
var updateScript = newScript(`
local key, call = KEYS[1], redis.call
local m = call('HMGET', key, 'e', 's', 'u', 'm', 'k')
local expires, seen = tonumber(m[1]), tonumber(m[2])
if not expires or not seen or not m[3] then
  if call('EXISTS', key) == 0 then return 0 end
  return -1
end
if m[4] or expires <= tonumber(ARGV[1]) and not m[5] then return 0 end
if ARGV[6] ~= '' then
  local stands = call('HGET', key, ARGV[6]) or ''
  if stands ~= ARGV[7] then return {stands} end
end
if ARGV[3] ~= '0' and tonumber(ARGV[3]) > expires then
  local indexed = tonumber(call('HMGET', key, 'i')[1])
  if indexed and tonumber(ARGV[4]) > indexed then
    if ARGV[5] == '0' then return m[3] end
    call('HSET', key, 'i', ARGV[5])
  end
  call('HSET', key, 'e', ARGV[3])
  call('PEXPIRE', key, string.format('%.0f', ARGV[4] - ARGV[1]))
end
if ARGV[2] ~= '0' and tonumber(ARGV[2]) > seen then call('HSET', key, 's', ARGV[2]) end
local last = 8 + ARGV[8]
for i = 9, last, 4000 do
  call('HDEL', key, unpack(ARGV, i, math.min(i + 3999, last)))
end
for i = last + 1, #ARGV, 4000 do
  call('HSET', key, unpack(ARGV, i, math.min(i + 3999, #ARGV)))
end
return 1
`)

// KEYS: the record, the new one, the new user's index if there is one, and records
// to peek at. ARGV: now, how long the new key stays, the ID, the new one, how long
// that is indexed, how long the trace stays, number of fields to drop, number of
// fields and values of the trace, number of indexes, the field to peek at, 1 if the
// answer is to have the record with it, these and those, fields and values. The answer
// is the user that the session had, or a list of that, the fields and values under the
// new ID, and what was peeked at. That user's index has lost the old ID if it is the one
// of KEYS.
var renameScript = newScript(scriptParts + `
local user, answer = live(KEYS[1], ARGV[1])
if not user then return answer end
if redis.call('EXISTS', KEYS[2]) == 1 then return -2 end
if ARGV[9] == '1' then
  index(KEYS[3], ARGV[4], ARGV[5])
  redis.call('ZREM', KEYS[3], ARGV[3])
end
redis.call('RENAME', KEYS[1], KEYS[2])
local dropped = 11 + ARGV[7]
local traced = dropped + ARGV[8]
redis.call('HDEL', KEYS[2], 'i')
many('HDEL', KEYS[2], 12, dropped)
many('HSET', KEYS[2], traced + 1, #ARGV)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
many('HSET', KEYS[1], dropped + 1, traced)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
local texts = peek(3 + ARGV[9], ARGV[10], user)
if ARGV[11] == '0' then return texts end
if type(texts) ~= 'table' then texts = {texts} end
table.insert(texts, 2, redis.call('HGETALL', KEYS[2]))
return texts
`)

// freezeScript is the first step of a move in a Cluster: from here on the session
// is dead under this ID, and only its trace is left. ARGV: now, how long the trace
// stays, its fields and values. The answer is the fields and values that the
// session had.
var freezeScript = newScript(scriptParts + `
local user, answer = live(KEYS[1], ARGV[1])
if not user then return answer end
local all = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
many('HSET', KEYS[1], 3, #ARGV)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return all
`)

// KEYS: the record, and the user's index if one script can change both.
// ARGV: now, how long the trace stays, why, the ID.
var endScript = newScript(scriptParts + `
local user, answer = live(KEYS[1], ARGV[1])
if not user then return answer end
local m = redis.call('HMGET', KEYS[1], 'c', 's', 'e', 'n')
redis.call('DEL', KEYS[1])
if tonumber(ARGV[1]) < tonumber(m[3]) then m[3] = ARGV[1] end
redis.call('HSET', KEYS[1], 'u', user, 'c', m[1] or '0', 's', m[2], 'e', m[3], 'm', ARGV[3])
if m[4] then redis.call('HSET', KEYS[1], 'n', m[4]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if KEYS[2] then redis.call('ZREM', KEYS[2], ARGV[4]) end
return 1
`)

// The answer is the user that the session had. What is no session goes as well.
var deleteScript = newScript(`
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return 0 end
local user = ''
if kind == 'hash' then user = redis.call('HGET', KEYS[1], 'u') or '' end
redis.call('DEL', KEYS[1])
return user
`)

// KEYS: any key of the server whose clock is asked for.
var clockScript = newScript(`return redis.call('TIME')`)

// ARGV: the ID, how long it is indexed.
var indexScript = newScript(indexPart + `
index(KEYS[1], ARGV[1], ARGV[2])
return 1
`)
