package redisstore

import (
	"context"
	"crypto/sha1" // #nosec G505 -- it is how Redis names scripts
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit/store"
)

// The scripts work on the keys they are given and no others. Times are Unix
// milliseconds of the caller's clock, which judges sessions on every store. What
// leaves by the server's clock is given how long it stays: if the two clocks differ
// by hours, a session that was just made is still there.
//
// They answer with an integer or, where they say so, with a text or a list.
const (
	gone     = 0
	done     = 1
	corrupt  = -1
	taken    = -2
	tooLarge = -3
)

// A script is known to the server by its hash, once it was sent.
type script struct {
	*rueidis.Lua

	text, sha string
}

func newScript(text string) script {
	sha := sha1.Sum([]byte(text)) // #nosec G401 -- see the import
	return script{rueidis.NewLuaScript(text), text, hex.EncodeToString(sha[:])}
}

// execThenRead runs a script and then reads the hash at a key, in one go: in a script HGETALL takes
// many times as long.
func (s script) execThenRead(ctx context.Context, client rueidis.Client, keys, args []string, key string) (ran, read rueidis.RedisResult) {
	send := func(run rueidis.Completed) (ran, read rueidis.RedisResult) {
		replies := client.DoMulti(ctx, run, client.B().Hgetall().Key(key).Build())
		return replies[0], replies[1]
	}
	n := int64(len(keys))
	ran, read = send(client.B().Evalsha().Sha1(s.sha).Numkeys(n).Key(keys...).Arg(args...).Build())
	if err, ok := rueidis.IsRedisErr(ran.Error()); ok && err.IsNoScript() {
		return send(client.B().Eval().Script(s.text).Numkeys(n).Key(keys...).Arg(args...).Build())
	}
	return ran, read
}

// What scripts have in common stands in each of them as it is: a function of Lua would
// be made anew by each run, and called. They run for every change, so they read no more
// than they need.
//
// A server whose memory is full (maxmemory, noeviction) refuses to run a command that may
// need more, unless the same script has begun to write before. What ends sessions must
// work there as well, and so should what makes none larger: such a script begins with a
// command that is not refused.

// portions is the text that runs a command with ARGV[first] to ARGV[last], in portions:
// unpack takes some 8,000.
func portions(command, key, first, last string) string {
	return fmt.Sprintf("for i = %[3]s, %[4]s, 4000 do call('%[1]s', %[2]s, unpack(ARGV, i, math.min(i + 3999, %[4]s))) end\n", command, key, first, last)
}

// sizeParts returns if the values would take more than ARGV[most], and more than before,
// once ARGV[drop] to ARGV[last] are dropped, and the fields and values from ARGV[set] on
// put; length is that of a value ARGV[i + 1]. 0: there is no bound.
//
// The memory that the hash takes, which the server tells at once, is more than its values
// take, unless it keeps integers in a listpack: their digits are half as many again at most.
// So hardly any change has to be measured. Fewer samples would be a guess.
//
// HGETALL copies the values, for a millisecond if they take 1 MB. But it is one call: HSTRLEN
// takes three times as long where there are many small ones, which is the worst case.
func sizeParts(most, drop, last, set, length string) string {
	return fmt.Sprintf(`
if ARGV[%[1]s] ~= '0' then
  local most, put = tonumber(ARGV[%[1]s]), 0
  for i = %[4]s, #ARGV, 2 do put = put + #ARGV[i] + %[5]s end
  local used = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', '0')
  if type(used) ~= 'number' or 1.5 * used + put > most then
    local sizes, before = {}, 0
    for i = %[4]s, #ARGV, 2 do sizes[ARGV[i]] = 0 end
    for i = %[2]s, %[3]s do sizes[ARGV[i]] = 0 end
    local all, sub = call('HGETALL', key), string.sub
    for i = 1, #all, 2 do
      local field = all[i]
      if sub(field, 1, 2) == '`+valuePrefix+`' then
        local size = #field - 2 + #all[i + 1]
        before = before + size
        if sizes[field] then sizes[field] = size end
      end
    end
    local after = before
    for i = %[4]s, #ARGV, 2 do
      if sub(ARGV[i], 1, 2) == '`+valuePrefix+`' then
        after = after + #ARGV[i] - 2 + %[5]s - sizes[ARGV[i]]
        sizes[ARGV[i]] = 0
      end
    end
    for i = %[2]s, %[3]s do
      after = after - sizes[ARGV[i]]
      sizes[ARGV[i]] = 0
    end
    if after > most and after > before then return -3 end
  end
end
`, most, drop, last, set, length)
}

// liveParts returns if there is no live session, of whose fields m holds some.
const liveParts = `
local call, key = redis.call, KEYS[1]
local m = call('HMGET', key, 'e', 's', 'u', 'm', 'k', 'c', 'n', 'f')
local expires, user = tonumber(m[1]), m[3]
if not expires or not tonumber(m[2]) or not user then
  if call('EXISTS', key) == 0 then return 0 end
  return -1
end
if m[4] or m[5] or expires <= tonumber(ARGV[1]) then return 0 end
`

// indexParts enters an id into the index of its user, for as long as its record can be
// there at most, and drops those whose time is over. No other entry is dropped for having
// no record: in a Cluster it may be about to have one.
const indexParts = `
  local t = call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  call('ZADD', index, 'GT', string.format('%.0f', now + stays), id)
  call('ZREMRANGEBYSCORE', index, '-inf', string.format('%.0f', now))
  if call('PTTL', index) < tonumber(stays) then
    call('PEXPIRE', index, stays)
  end
`

// peekParts adds to the answer a field of the records from KEYS[first] on, if any of them
// is there.
const peekParts = `
if first <= #KEYS and call('EXISTS', unpack(KEYS, first)) > 0 then
  for i = first, #KEYS do answer[#answer + 1] = call('HGET', KEYS[i], field) or '' end
end
`

// KEYS: the record, the user's index if it is to be entered there too, and records
// to peek at. ARGV: how long the key stays, the ID, how long it is indexed, the
// number of indexes, the field to peek at, '1' for what a full server must take, fields and values.
var createScript = newScript(`
local call, key = redis.call, KEYS[1]
if call('EXISTS', key) == 1 then return 0 end
if ARGV[6] == '1' then call('DEL', key) end
if ARGV[4] == '1' then
  local index, id, stays = KEYS[2], ARGV[2], ARGV[3]
` + indexParts + `
end
` + portions("HSET", "key", "7", "#ARGV") + `
call('PEXPIRE', key, ARGV[1])
local answer, first, field = {1}, 2 + ARGV[4], ARGV[5]
` + peekParts + `
return answer
`)

// missing is how much of store.Retention, for which a key stays after its session has
// expired, may be missing, in milliseconds and below 0. If it is more, the clock of the
// application was put back after the session was last used.
var missing = strconv.FormatInt(-store.Retention.Milliseconds()/2, 10)

// What is stored may be ahead of the application's clock, if that was put back. The key and
// the place in the index go by the server's clock, so they are made to stay for longer all
// the same; and the use is stored as it is now, so that the next one is recorded in time.
//
// ARGV: now, seen, expires, when the key goes, until when it is indexed or 0, how
// many bytes the values may take, the field of the condition or "" for no condition, what must
// stand in it, number of fields to drop, these, fields and values. The answer is the user if
// the index must be extended first, and a list of what stands if the condition does not hold;
// nothing has been changed then.
var updateScript = newScript(`
local key, call = KEYS[1], redis.call
local m = call('HMGET', key, 'e', 's', 'u', 'm', 'k')
local expires, seen = tonumber(m[1]), tonumber(m[2])
if not expires or not seen or not m[3] then
  if call('EXISTS', key) == 0 then return 0 end
  return -1
end
if m[4] or expires <= tonumber(ARGV[1]) and not m[5] then return 0 end
if ARGV[7] ~= '' then
  local stands = call('HGET', key, ARGV[7]) or ''
  if stands ~= ARGV[8] then return {stands} end
end
local last = 9 + ARGV[9]
` + sizeParts("6", "10", "last", "last + 1", "#ARGV[i + 1]") + `
if m[5] or last == #ARGV then call('HDEL', key, '') end
local back = ARGV[2] ~= '0' and tonumber(ARGV[2]) < seen and expires - ARGV[1] - call('PTTL', key) > ` + missing + `
if ARGV[3] ~= '0' then
  local indexed = tonumber(call('HMGET', key, 'i')[1])
  if indexed and (back or tonumber(ARGV[4]) > indexed) then
    if ARGV[5] == '0' then return m[3] end
    call('HSET', key, 'i', ARGV[5])
  end
  if tonumber(ARGV[3]) > expires then call('HSET', key, 'e', ARGV[3]) end
  call('PEXPIRE', key, string.format('%.0f', ARGV[4] - ARGV[1]), 'GT')
end
if ARGV[2] ~= '0' and (back or tonumber(ARGV[2]) > seen) then call('HSET', key, 's', ARGV[2]) end
` + portions("HDEL", "key", "10", "last") + portions("HSET", "key", "last + 1", "#ARGV") + `
return 1
`)

// KEYS: the record, the new one, the new user's index if there is one, and records
// to peek at. ARGV: now, how long the new key stays, the ID, the new one, how long
// that is indexed, how long the trace stays, number of fields to drop, number of
// fields and values of the trace, number of indexes, the field to peek at, how many bytes
// the values may take, these and those, fields and values. The answer is a list of the user that the session had and
// what was peeked at. That user's index has lost the old ID if it is the one of KEYS.
var renameScript = newScript(liveParts + `
local new = KEYS[2]
local dropped = 11 + ARGV[7]
local traced = dropped + ARGV[8]
` + sizeParts("11", "12", "dropped", "traced + 1", "#ARGV[i + 1]") + `
if ARGV[9] == '1' then
  local index, id, stays = KEYS[3], ARGV[4], ARGV[5]
` + indexParts + `
end
if call('RENAMENX', key, new) == 0 then return -2 end
if ARGV[9] == '1' and user ~= '' then call('ZREM', KEYS[3], ARGV[3]) end
` + portions("HDEL", "new", "12", "dropped") + portions("HSET", "new", "traced + 1", "#ARGV") + `
call('PEXPIRE', new, ARGV[2])
call('HSET', key, unpack(ARGV, dropped + 1, traced))
call('PEXPIRE', key, ARGV[6])
local answer, first, field = {user}, 3 + ARGV[9], ARGV[10]
` + peekParts + `
return answer
`)

// freezeScript is the first step of a move in a Cluster: from here on the session
// is dead under this ID, and only its trace is left. ARGV: now, how long the trace
// stays, how many bytes the values may take, number of fields and values of the trace,
// number of fields that are to be dropped, these and those, and the fields that are to be
// put with the length of each value. The answer is the fields and values that the
// session had.
var freezeScript = newScript(liveParts + `
local traced = 5 + ARGV[4]
local dropped = traced + ARGV[5]
` + sizeParts("3", "traced + 1", "dropped", "dropped + 1", "ARGV[i + 1]") + `
local all = call('HGETALL', key)
call('DEL', key)
call('HSET', key, unpack(ARGV, 6, traced))
call('PEXPIRE', key, ARGV[2])
return all
`)

// KEYS: the record, and the user's index if one script can change both.
// ARGV: now, how long the trace stays, why, the ID.
var endScript = newScript(liveParts + `
call('DEL', key)
local left = {'u', user, 'c', m[6] or '0', 's', m[2], 'e', ARGV[1], 'm', ARGV[3], 'n', m[7] or ''}
if m[8] then left[13], left[14] = 'f', m[8] end
call('HSET', key, unpack(left))
call('PEXPIRE', key, ARGV[2])
if KEYS[2] then call('ZREM', KEYS[2], ARGV[4]) end
return 1
`)

// rewriteScript writes what is left of a session that has ended, or what is no session, as it
// stands: WAIT is for what its connection has written. What has another ID now is left alone.
var rewriteScript = newScript(`
local call, key = redis.call, KEYS[1]
local m = call('HMGET', key, 'm', 'k')
local stays = call('PTTL', key)
if stays < 0 or not m[1] and not m[2] or m[1] == 'renewed' or m[1] == '1' then return 0 end
call('PEXPIRE', key, stays)
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

// Which members of a set of the census get a new score.
const (
	anyMember   = "CH" // an option of ZADD that changes no more than its reply
	knownMember = "XX"
)

// censusScript gives members of a set of the census a score, unless theirs is higher. It is
// a script so that a server whose memory is full learns of what has ended. ARGV: which
// members, the highest score of what expired long ago, the lowest and highest of what ended
// long ago, how long the key stays, scores and members.
var censusScript = newScript(`
local call, key = redis.call, KEYS[1]
call('ZREMRANGEBYSCORE', key, '-inf', ARGV[2])
call('ZREMRANGEBYSCORE', key, ARGV[3], ARGV[4])
` + portions("ZADD", "key, ARGV[1], 'GT'", "6", "#ARGV") + `
call('PEXPIRE', key, ARGV[5])
return 1
`)

// markScript puts the mark of a cache into a database whose server is full. ARGV: how many
// seconds it stays.
var markScript = newScript(`
redis.call('DEL', KEYS[1])
return redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
`)

// KEYS: any key of the server whose clock is asked for.
var clockScript = newScript(`return redis.call('TIME')`)

// ARGV: the ID, how long it is indexed, '1' if it is indexed already.
var indexScript = newScript(`
local call, index, id, stays = redis.call, KEYS[1], ARGV[1], ARGV[2]
if ARGV[3] == '1' then call('ZREM', index, '') end
` + indexParts + `
return 1
`)
