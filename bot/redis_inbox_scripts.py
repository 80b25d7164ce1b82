"""
The inbox's Lua scripts for Redis 6.2 or newer: each changes one partition, at once or not at all.

Keys of a partition, behind its prefix:

    ready               conversations with entries, by when they may be taken (ms): a time to come
                        is a loan, or a pause
    line:CONVERSATION   its entries' numbers, the oldest first
    entry:NUMBER        id, conversation, content, accepted, awaited, tries; posted and stopped, if
                        so; and fence while it is on loan
    unfinished          entries' numbers, by when they were accepted
    waiting             of those, whom somebody waits for and nobody works on
    dead, dead:DIGEST   the ids given up, by when; the entries, with reason and buried
    seen:DIGEST         the ids that were put lately
    did:TOKEN           the calls that were answered lately
    last, fence         the latest entry's number, the latest fence
    hints               pushed when a conversation may be taken, for those who wait

The client repeats a call whose reply was lost, with the same token: it then gets the same reply.
"""

# Redis asks for the names of all keys, which nobody knows before looking. What a Cluster really
# needs is that they share one hash tag; the prefix stands for all of them.
_COMMON = """
local P, hints = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ready, unfinished, waiting = P .. 'ready', P .. 'unfinished', P .. 'waiting'

local function did(token) return P .. 'did:' .. token end
local function remember(token, reply) redis.call('SET', did(token), reply, 'EX', 60) end
local function hint()
  if hints then
    redis.call('LPUSH', hints, 0)
    redis.call('LTRIM', hints, 0, 63)
  end
  return 1
end
local function finish(number)
  redis.call('ZREM', unfinished, number)
  redis.call('ZREM', waiting, number)
end
local function oldest_age()
  local oldest = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
  return oldest and math.max(0, now - oldest) or 0
end
"""
# A full Redis refuses what may need memory, unless the script has begun with something that may
# not: so what was accepted can still be worked off.
_EVEN_WHEN_FULL = "redis.call('DEL', P .. 'nothing')\n"

_APPEND = """
local function append(number, conversation)
  redis.call('RPUSH', P .. 'line:' .. conversation, number)
  redis.call('ZADD', unfinished, now, number)
  if redis.call('HGET', P .. 'entry:' .. number, 'awaited') == '1' then
    redis.call('ZADD', waiting, now, number)
  end
  return redis.call('ZADD', ready, 'NX', now, conversation) == 1 and hint() or 0
end
"""

PUT = (
    _COMMON
    + _APPEND
    + """
local token, digest, id, conversation, content, awaited, seen_s = unpack(ARGV)
local by = redis.call('GET', P .. 'seen:' .. digest)
local takable = 0
if not by then
  redis.call('SET', P .. 'seen:' .. digest, token, 'EX', seen_s)
  local number = redis.call('INCR', P .. 'last')
  redis.call('HSET', P .. 'entry:' .. number, 'id', id, 'conversation', conversation,
             'content', content, 'accepted', now, 'awaited', awaited, 'tries', 0)
  takable = append(number, conversation)
end
local is_new = (not by or by == token) and 1 or 0
local ahead = is_new == 1 and math.max(0, redis.call('LLEN', P .. 'line:' .. conversation) - 1) or 0
return {is_new, takable, ahead, redis.call('ZCARD', waiting), oldest_age()}
"""
)
"""
Whether it is new; whether its conversation may be taken now; how many come before it there; how many
wait; the oldest's age in ms.
"""

# After a fail-over some last numbers may be lost; the clock keeps fences rising all the same.
CLAIM = (
    _COMMON
    + _EVEN_WHEN_FULL
    + """
local token, lease_ms = ARGV[1], ARGV[2]
local function loan(number)
  return redis.call('HMGET', P .. 'entry:' .. number,
                    'fence', 'id', 'conversation', 'content', 'accepted', 'tries', 'posted', 'awaited')
end

local before = redis.call('GET', did(token))
if before then
  local number, fence = string.match(before, '(%d+):(%d+)')
  if redis.call('HGET', P .. 'entry:' .. number, 'fence') == fence then return loan(number) end
end
while true do
  local conversation = redis.call('ZRANGEBYSCORE', ready, '-inf', now, 'LIMIT', 0, 1)[1]
  if not conversation then
    local next_at = redis.call('ZRANGE', ready, 0, 0, 'WITHSCORES')[2]
    return next_at and math.ceil(next_at - now) or -1
  end
  local line = P .. 'line:' .. conversation
  local number = redis.call('LINDEX', line, 0)
  if not number then
    redis.call('ZREM', ready, conversation)
  elseif redis.call('EXISTS', P .. 'entry:' .. number) == 0 then
    redis.call('LPOP', line)
    finish(number)
  else
    local last = tonumber(redis.call('GET', P .. 'fence') or 0)
    local fence = string.format('%.0f', math.max(last + 1, now))
    redis.call('SET', P .. 'fence', fence)
    redis.call('HSET', P .. 'entry:' .. number, 'fence', fence)
    redis.call('HINCRBY', P .. 'entry:' .. number, 'tries', 1)
    redis.call('ZADD', ready, now + lease_ms, conversation)
    redis.call('ZREM', waiting, number)
    remember(token, number .. ':' .. fence)
    return loan(number)
  end
end
"""
)
"""The loan's fields; or in how many ms there may be something to take, -1 when nothing waits."""

_LOAN = (
    _COMMON
    + """
local conversation, fence = ARGV[1], ARGV[2]
local line = P .. 'line:' .. conversation
local number = redis.call('LINDEX', line, 0)
local entry = P .. 'entry:' .. (number or '')
local is_held = number and redis.call('HGET', entry, 'fence') == fence
"""
    + _EVEN_WHEN_FULL
)

RENEW = (
    _LOAN
    + """
if not is_held then return 0 end
redis.call('ZADD', ready, 'XX', now + ARGV[3], conversation)
return 1 + redis.call('HEXISTS', entry, 'stopped')
"""
)
"""0: over, 1: held, 2: stopped."""

RECORD = (
    _LOAN
    + """
if not is_held then return 0 end
redis.call('HSET', entry, 'posted', ARGV[3])
return 1
"""
)

# Those who end a loan say whether it was theirs, and whether the conversation may be taken again.
_END = (
    _LOAN
    + """
local token = ARGV[3]
if redis.call('EXISTS', did(token)) == 1 then return {1, 0} end
if not is_held then return {0, 0} end
remember(token, 1)
local function go_on()
  if redis.call('LLEN', line) == 0 then
    redis.call('ZREM', ready, conversation)
    return {1, 0}
  end
  redis.call('ZADD', ready, now, conversation)
  return {1, hint()}
end
"""
)

DONE = (
    _END
    + """
redis.call('LPOP', line)
finish(number)
redis.call('DEL', entry)
return go_on()
"""
)

# The hint also tells those who wait that they may have to look again sooner than they thought.
PUT_BACK = (
    _END
    + """
local after_ms, counts = ARGV[4], ARGV[5]
redis.call('HDEL', entry, 'fence')
if redis.call('HGET', entry, 'awaited') == '1' then
  redis.call('ZADD', waiting, redis.call('HGET', entry, 'accepted'), number)
end
if counts == '0' then redis.call('HINCRBY', entry, 'tries', -1) end
redis.call('ZADD', ready, now + after_ms, conversation)
return {1, hint()}
"""
)

BURY = (
    _END
    + """
local digest, reason, kept_s = ARGV[4], ARGV[5], ARGV[6]
redis.call('LPOP', line)
finish(number)
redis.call('HDEL', entry, 'fence', 'stopped')
redis.call('HSET', entry, 'reason', reason, 'buried', now)
redis.call('RENAME', entry, P .. 'dead:' .. digest)
redis.call('EXPIRE', P .. 'dead:' .. digest, kept_s)
redis.call('ZADD', P .. 'dead', now, digest)
redis.call('ZREMRANGEBYSCORE', P .. 'dead', '-inf', now - kept_s * 1000)
return go_on()
"""
)

STOP = (
    _COMMON
    + _EVEN_WHEN_FULL
    + """
local token, conversation, id = unpack(ARGV)
if redis.call('EXISTS', did(token)) == 1 then return 1 end
local line = P .. 'line:' .. conversation
local free_at = tonumber(redis.call('ZSCORE', ready, conversation) or 0)
for _, number in ipairs(redis.call('LRANGE', line, 0, -1)) do
  local entry = P .. 'entry:' .. number
  if redis.call('HGET', entry, 'id') == id then
    if redis.call('HEXISTS', entry, 'fence') == 1 and free_at > now then
      redis.call('HSET', entry, 'stopped', 1)
      return 0
    end
    remember(token, 1)
    redis.call('LREM', line, 1, number)
    finish(number)
    redis.call('DEL', entry)
    if redis.call('LLEN', line) == 0 then redis.call('ZREM', ready, conversation) end
    return 1
  end
end
return 0
"""
)
"""1: removed; 0: its holder will learn of it, or there is none."""

STATE = (
    _COMMON
    + """
local dead = redis.call('ZCOUNT', P .. 'dead', now - ARGV[1] * 1000, '+inf')
return {redis.call('ZCARD', waiting), oldest_age(), redis.call('ZCARD', unfinished), dead}
"""
)
"""How many wait; the oldest's age in ms; how many are unfinished; how many are dead."""

DEAD = (
    _COMMON
    + """
local letters = {}
for _, digest in ipairs(redis.call('ZREVRANGE', P .. 'dead', 0, -1)) do
  local letter = redis.call('HMGET', P .. 'dead:' .. digest, 'reason', 'buried',
                            'id', 'conversation', 'content', 'accepted', 'tries', 'posted', 'awaited')
  -- One whose time is over may still be listed.
  if letter[1] then table.insert(letters, letter) end
end
return letters
"""
)

REVIVE = (
    _COMMON
    + _APPEND
    + """
local token, digest = ARGV[1], ARGV[2]
local letter = P .. 'dead:' .. digest
if redis.call('EXISTS', did(token)) == 1 then return {1, 0} end
if redis.call('EXISTS', letter) == 0 then return {0, 0} end
remember(token, 1)
local number = redis.call('INCR', P .. 'last')
local entry = P .. 'entry:' .. number
redis.call('RENAME', letter, entry)
redis.call('PERSIST', entry)
redis.call('ZREM', P .. 'dead', digest)
redis.call('HDEL', entry, 'reason', 'buried')
redis.call('HSET', entry, 'accepted', now, 'tries', 0)
return {1, append(number, redis.call('HGET', entry, 'conversation'))}
"""
)

DROP = (
    _COMMON
    + _EVEN_WHEN_FULL
    + """
local token, digest = ARGV[1], ARGV[2]
if redis.call('EXISTS', did(token)) == 1 then return 1 end
redis.call('ZREM', P .. 'dead', digest)
local dropped = redis.call('DEL', P .. 'dead:' .. digest)
if dropped == 1 then remember(token, 1) end
return dropped
"""
)

RING = """
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, 63)
"""
