"""What Redis does to one conversation's messages in one step, in Lua; the twin in `message_log` says the same."""

# Every script bears being sent twice, which the client does when a reply is lost: what stands
# already is not added again, and a change to the same content is none.
#
# KEYS: the log, a hash with of each message its `head:`, `body:` and `state:`, and the counters;
# and the index, whose members sort by themselves:
#   change|AUDIENCE|NUMBER|ID    the last change of each message, for each audience that sees it
#   place|AUDIENCE|NUMBER|ID     the messages of one audience in order
#   beside|ORDER|ID              after which shared message a private one stands
# ARGV: time to live in ms, limit, an epoch if there is none yet, channel of wake-ups, place; then
# what each script says. The audience * is everyone.
_WRITING = """
local log, index = KEYS[1], KEYS[2]
local ttl_ms, limit, place = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[5]
local woken = {}

local function digits(n) return string.format('%016d', n) end
local function change_of(id, audience, n)
  return 'change|' .. audience .. '|' .. digits(n) .. '|' .. id
end
local function id_in(member) return string.match(member, '[^|]*$') end
local function state_of(id)
  local state = redis.call('HGET', log, 'state:' .. id)
  return state and cjson.decode(state)
end
local function keep(id, state)
  redis.call('HSET', log, 'state:' .. id, cjson.encode(state))
end
local function note_change(id, state, audience)
  local before = state.numbers[audience]
  if before then redis.call('ZREM', index, change_of(id, audience, before)) end
  local n = redis.call('HINCRBY', log, 'changes:' .. audience, 1)
  redis.call('ZADD', index, 0, change_of(id, audience, n))
  state.numbers[audience] = n
  keep(id, state)
  woken[audience] = true
end
local function set_open(id, state, is_open)
  if state.is_open == is_open then
    keep(id, state)
  else
    state.is_open = is_open
    note_change(id, state, '*')
  end
end
local function forget(id)
  local state = state_of(id)
  for audience, n in pairs(state.numbers) do
    redis.call('ZREM', index, change_of(id, audience, n))
  end
  redis.call('ZREM', index, state.place, state.beside or state.place)
  redis.call('HDEL', log, 'head:' .. id, 'body:' .. id, 'state:' .. id)
end
local function keep_the_last(audience)
  local first, past = '[place|' .. audience .. '|', '(place|' .. audience .. '}'
  local surplus = redis.call('ZLEXCOUNT', index, first, past) - limit
  if surplus <= 0 then return end
  for _, member in ipairs(redis.call('ZRANGEBYLEX', index, first, past, 'LIMIT', 0, surplus)) do
    forget(id_in(member))
  end
  if audience ~= '*' then return end
  -- Private ones at the start stood beside messages that are gone.
  local oldest = redis.call('ZRANGEBYLEX', index, first, past, 'LIMIT', 0, 1)[1]
  local order = string.match(oldest, '|(%d+)|')
  for _, member in ipairs(redis.call('ZRANGEBYLEX', index, '[beside|', '(beside|' .. order)) do
    forget(id_in(member))
  end
end
local function add(id, head, body, audience, state)
  local n
  state.v, state.audience, state.numbers, state.ratings = 1, audience, {}, {}
  if audience == '*' then
    n = redis.call('HINCRBY', log, 'order', 1)
    state.order = string.format('%d', n)
  else
    local shared = tonumber(redis.call('HGET', log, 'order') or 0)
    n = tonumber(redis.call('HGET', log, 'changes:' .. audience) or 0)
    state.order = string.format('%.17g', shared + 1 - 1 / (n + 2))
    state.beside = 'beside|' .. digits(shared) .. '|' .. id
    redis.call('ZADD', index, 0, state.beside)
  end
  state.place = 'place|' .. audience .. '|' .. digits(n) .. '|' .. id
  redis.call('ZADD', index, 0, state.place)
  redis.call('HSET', log, 'head:' .. id, head, 'body:' .. id, body)
  note_change(id, state, audience)
  keep_the_last(audience)
  return state
end
local function finish()
  if not next(woken) then return end
  redis.call('HSETNX', log, 'epoch', ARGV[3])
  -- What one person sees alone must not let the conversation live any longer.
  local left_ms = redis.call('PTTL', log)
  for _, key in ipairs(KEYS) do
    if woken['*'] then
      redis.call('PEXPIRE', key, ttl_ms)
    elseif redis.call('PTTL', key) == -1 then
      redis.call('PEXPIRE', key, left_ms > 0 and left_ms or ttl_ms)
    end
  end
  if woken['*'] then woken = {['*'] = true} end
  for audience in pairs(woken) do redis.call('PUBLISH', ARGV[4], place .. '|' .. audience) end
end
"""

# ARGV: id, head.
SAY = (
    _WRITING
    + """
local id = ARGV[6]
local state = state_of(id)
if not state then
  add(id, ARGV[7], '', '*', {is_open = true, is_answered = false})
elseif not state.is_answered then
  set_open(id, state, true)
end
finish()
"""
)

# ARGV: id.
RETRACT = (
    _WRITING
    + """
local id = ARGV[6]
local state = state_of(id)
if state then set_open(id, state, false) end
finish()
"""
)

# ARGV: id, body, status | partial | final; to post it also head, audience, id of the question or ''.
PUT = (
    _WRITING
    + """
local id, body, kind, head, audience, answers = unpack(ARGV, 6)
local state = state_of(id)
if not state then
  if not head then return end
  state = add(id, head, body, audience, {is_open = false, answers = answers})
elseif head and kind == 'status' then
  return
elseif redis.call('HGET', log, 'body:' .. id) ~= body then
  redis.call('HSET', log, 'body:' .. id, body)
  note_change(id, state, state.audience)
end
if state.audience == '*' then
  local question = state_of(state.answers)
  if question then
    question.is_answered = kind == 'final'
    set_open(state.answers, question, kind ~= 'final')
  end
end
finish()
"""
)

# ARGV: id, the person's key, rating.
RATE = (
    _WRITING
    + """
local id, person, rating = unpack(ARGV, 6)
local state = state_of(id)
if state and state.ratings[person] ~= rating then
  state.ratings[person] = rating
  note_change(id, state, person)
end
finish()
"""
)

# ARGV: time to live in ms, an epoch if there is none yet, viewer; read up to: epoch, shared, own.
# It writes the epoch alone, which must not change with what another person is told in private.
READ = """
local log, index, viewer = KEYS[1], KEYS[2], ARGV[3]
local epoch = redis.call('HGET', log, 'epoch')
-- What is there can be read while Redis takes nothing new.
if not epoch then
  epoch = ARGV[2]
  redis.call('HSET', log, 'epoch', epoch)
  if redis.call('PTTL', log) == -1 then redis.call('PEXPIRE', log, ARGV[1]) end
end
local after = {['*'] = tonumber(ARGV[5]), [viewer] = tonumber(ARGV[6])}
local last, is_whole = {}, epoch ~= ARGV[4]
for audience, n in pairs(after) do
  last[audience] = tonumber(redis.call('HGET', log, 'changes:' .. audience) or 0)
  is_whole = is_whole or n > last[audience]
end
local read = {epoch, last['*'], last[viewer], is_whole and 1 or 0}
local seen = {}
for audience, n in pairs(after) do
  local prefix = 'change|' .. audience .. '|'
  local first = '(' .. prefix .. string.format('%016d', is_whole and 0 or n) .. '}'
  for _, member in ipairs(redis.call('ZRANGEBYLEX', index, first, '(change|' .. audience .. '}')) do
    local id = string.match(member, '[^|]*$')
    if not seen[id] then
      seen[id] = true
      local kept = redis.call('HMGET', log, 'head:' .. id, 'body:' .. id, 'state:' .. id)
      read[#read + 1] = {id, kept[1], kept[2], kept[3]}
    end
  end
end
return read
"""

# KEYS: of one person, direct conversations by channel, and when each was last used.
# ARGV: channel, conversation, now and time to live in ms, how many are kept.
NOTE_DIRECT = """
local directs, used = KEYS[1], KEYS[2]
local now_ms, ttl_ms, limit = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
redis.call('HSETNX', directs, ARGV[1], ARGV[2])
redis.call('ZADD', used, now_ms, ARGV[1])
local gone = redis.call('ZRANGEBYSCORE', used, '-inf', now_ms - ttl_ms)
for _, channel in ipairs(redis.call('ZRANGE', used, 0, -limit - 1)) do gone[#gone + 1] = channel end
for _, channel in ipairs(gone) do
  redis.call('HDEL', directs, channel)
  redis.call('ZREM', used, channel)
end
redis.call('PEXPIRE', directs, ttl_ms)
redis.call('PEXPIRE', used, ttl_ms)
"""
