-- What was lost in an earlier epoch is not known here: unless a period began after that, it waits.
local function open_period(window, store)
  local known = redis.call('HMGET', window.key, 'e', 'c')
  if known[1] == store.epoch then
    return
  end
  if window.starts_us >= store.opened_us then
    redis.call('HSET', window.key, 'e', store.epoch)
    keep(window, store)
    return
  end
  window.closed = true
  if known[2] ~= store.epoch then
    redis.call('DEL', window.key)
    redis.call('HSET', window.key, 'c', store.epoch)
    keep(window, store)
  end
  redis.call('SADD', store.closed, window.key)
end

-- The accounts of a window, added up in the very step that changes it: what was lent to processes, and
-- what they used beyond it, is what they settled and returned, what lapsed, what they never heard of
-- ("lost"), and what they hold; less what they hold unasked since the store forgot it ("restated").
-- "opening" is what the ledger said had been used, "unended" what calls used at most of which it knew no end.
-- "early" is what was settled before the ledger was asked, and may stand in "opening" too. "wrong" is what nobody
-- can explain: it stays 0.
local function enter(window, account, amount)
  if amount ~= 0 then
    redis.call('HINCRBY', window.key, 'a' .. account, digits(amount))
  end
end

-- What a process says it holds replaces what was thought of it, so that no lost answer matters.
-- entry: its place, what is held, what was spent, returned and used beyond what was lent since the last
-- report, and whether an answer may have got lost meanwhile.
local function report(window, process, entry, is_known, store)
  local name, holds, spent, returned, beyond = 'o' .. process, entry[2], entry[3], entry[4], entry[5]
  local before = tonumber(redis.call('HGET', window.key, name) or 0)
  if not is_known then
    -- Whether it was heard before is not known: what is no longer held may have been used.
    spent, returned, beyond = math.min(spent, math.max(0, before - holds)), 0, 0
  end
  if holds > 0 then
    redis.call('HSET', window.key, name, digits(holds))
  elseif before > 0 then
    redis.call('HDEL', window.key, name)
  end
  if spent > 0 and window.kind == PERIOD then
    redis.call('HINCRBY', window.key, 'u', digits(spent))
    enter(window, 'early', window.closed and spent or 0)
  end
  enter(window, 'settled', spent)
  enter(window, 'returned', returned)
  enter(window, 'beyond', beyond)
  local gap = before + beyond - holds - spent - returned
  if gap ~= 0 and is_known and not entry[6] then
    enter(window, 'wrong', gap)
  elseif gap ~= 0 then
    enter(window, gap > 0 and 'lost' or 'restated', math.abs(gap))
  end
  keep(window, store)
end

-- Raises what stands in an open period to what the ledger says was used. Of every call that was taken
-- out of it, what the ledger knows stands in it already, as used or as held.
local function catch_up(window, used)
  local counted = 0
  local fields = redis.call('HGETALL', window.key)
  for i = 1, #fields, 2 do
    if fields[i] == 'u' or string.sub(fields[i], 1, 1) == 'o' then
      counted = counted + tonumber(fields[i + 1])
    end
  end
  if used > counted then
    redis.call('HINCRBY', window.key, 'u', digits(used - counted))
    enter(window, 'opening', used - counted)
  end
end

-- Gives closed periods what the ledger says was used of them, each once in an epoch, and open ones what
-- they lack of it. Until the last lease of the epoch before is over, nobody can say how much that is.
-- keys: the store's state, all closed windows, then the windows. args: what was used of each, what calls of which the
-- ledger knows no end used at most, and its end in microseconds.
-- Returns microseconds still to wait, 0 when it is done.
local function rebuild(keys, args)
  local store = open_store(keys[1])
  local wait_us = SURELY_OVER_US - store.age_us
  if wait_us > 0 then
    for i = 3, #keys do
      redis.call('SADD', keys[2], keys[i])
    end
    return wait_us
  end
  for i = 3, #keys do
    local used, unended, ends_us = tonumber(args[3 * i - 8]), tonumber(args[3 * i - 7]), tonumber(args[3 * i - 6])
    local window = { key = keys[i], kind = PERIOD, starts_us = -1, ends_us = ends_us }
    store.closed = keys[2]
    open_period(window, store)
    if window.closed then
      redis.call('HINCRBY', window.key, 'u', digits(used + unended))
      enter(window, 'opening', used)
      enter(window, 'unended', unended)
      redis.call('HSET', window.key, 'e', store.epoch)
    else
      catch_up(window, used)
    end
    redis.call('SREM', store.closed, window.key)
  end
  return 0
end

-- Whether the ledger may be asked what was used before this epoch. keys: the store's state.
-- Returns 1 once the last lease of the epoch before is over, and nobody has calls on their way into the ledger.
local function may_ask(keys)
  local store = open_store(keys[1])
  return store.age_us >= SURELY_OVER_US and not is_someone_behind(keys[1], store) and 1 or 0
end

redis.register_function('latchkey_rebuild_@VERSION@', rebuild)
redis.register_function('latchkey_may_ask_@VERSION@', may_ask)
