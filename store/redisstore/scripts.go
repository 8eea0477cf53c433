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

// scriptParts is what most scripts begin with.
const scriptParts = `
-- many runs a command with ARGV[first..last], in portions: unpack takes some 8,000.
local function many(command, key, first, last)
  for i = first, last, 4000 do
    redis.call(command, key, unpack(ARGV, i, math.min(i + 3999, last)))
  end
end

-- live returns the metadata of a live session, or nil and the answer.
local function live(key, now)
  local m = redis.call('HMGET', key, 'e', 's', 'i', 'u', 'm')
  local e, s = tonumber(m[1]), tonumber(m[2])
  if not e or not s or not m[4] then
    if redis.call('EXISTS', key) == 0 then return nil, 0 end
    return nil, -1
  end
  if m[5] or e <= tonumber(now) then return nil, 0 end
  return {expires = e, seen = s, indexed = tonumber(m[3]), user = m[4]}
end
` + indexPart

// indexPart enters an ID into its user's index, for as long as its record can be
// there at the most, and drops those whose time is over. No other
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

// KEYS: the record, and the user's index where it is to be entered there too.
// ARGV: how long the key stays, the ID, how long it is indexed, fields and values.
var createScript = rueidis.NewLuaScript(scriptParts + `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if KEYS[2] then index(KEYS[2], ARGV[2], ARGV[3]) end
many('HSET', KEYS[1], 4, #ARGV)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`)

// ARGV: now, seen, expires, when the key goes, until when it is indexed or 0,
// number of fields to drop, these, fields and values. The answer is the user if
// the index must be extended first; nothing has been changed then.
//
// It runs for every change, so it defines no function and reads no more than it
// needs: with [scriptParts] it took a quarter longer.
var updateScript = rueidis.NewLuaScript(`
local key, call = KEYS[1], redis.call
local m = call('HMGET', key, 'e', 's', 'u', 'm')
local expires, seen = tonumber(m[1]), tonumber(m[2])
if not expires or not seen or not m[3] then
  if call('EXISTS', key) == 0 then return 0 end
  return -1
end
if m[4] or expires <= tonumber(ARGV[1]) then return 0 end
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
local last = 6 + ARGV[6]
for i = 7, last, 4000 do
  call('HDEL', key, unpack(ARGV, i, math.min(i + 3999, last)))
end
for i = last + 1, #ARGV, 4000 do
  call('HSET', key, unpack(ARGV, i, math.min(i + 3999, #ARGV)))
end
return 1
`)

// KEYS: the record, the new one, and the new user's index if there is one.
// ARGV: now, how long the new key stays, the ID, the new one, how long that is
// indexed, number of fields to drop, these, fields and values. The answer is the
// user that the session had. That user's index has lost the old ID if it is the
// one of KEYS.
var renameScript = rueidis.NewLuaScript(scriptParts + `
local r, answer = live(KEYS[1], ARGV[1])
if not r then return answer end
if redis.call('EXISTS', KEYS[2]) == 1 then return -2 end
if KEYS[3] then
  index(KEYS[3], ARGV[4], ARGV[5])
  redis.call('ZREM', KEYS[3], ARGV[3])
end
redis.call('RENAME', KEYS[1], KEYS[2])
local drop = tonumber(ARGV[6])
redis.call('HDEL', KEYS[2], 'i')
many('HDEL', KEYS[2], 7, 6 + drop)
many('HSET', KEYS[2], 7 + drop, #ARGV)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return r.user
`)

// freezeScript is the first step of a move in a Cluster: from here on the session
// is dead under this ID, and what it holds changes no more. It stays readable for
// List until the new record is there. ARGV: now, how long it stays if the process
// dies. The answer is the fields and values.
var freezeScript = rueidis.NewLuaScript(scriptParts + `
local r, answer = live(KEYS[1], ARGV[1])
if not r then return answer end
local all = redis.call('HGETALL', KEYS[1])
redis.call('HSET', KEYS[1], 'm', '1')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return all
`)

// The answer is the user that the session had. What is no session goes as well.
var deleteScript = rueidis.NewLuaScript(`
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return 0 end
local user = ''
if kind == 'hash' then
  local m = redis.call('HMGET', KEYS[1], 'u', 'm')
  if m[2] then return 0 end
  user = m[1] or ''
end
redis.call('DEL', KEYS[1])
return user
`)

// ARGV: the ID, how long it is indexed.
var indexScript = rueidis.NewLuaScript(indexPart + `
index(KEYS[1], ARGV[1], ARGV[2])
return 1
`)
