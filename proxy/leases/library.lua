#!lua name=latchkey_leases_@VERSION@

-- One call lends from every window of a batch of asks, each ask all-or-nothing, after it has taken
-- back what the calling process returned. A window's hash holds one field per bucket of time
-- ("<index>" = amount lent in it) and one per process ("h<process>" = until when that process may
-- hold something idle, when it borrowed last, when it was last asked to return it).
--
-- A period with an end, and what is held now, have no buckets: what each process holds stands in
-- "o<process>", which that process states anew with each change, and what was used in "u". A period
-- lends only in the epoch that "e" names; one that may have lost writes waits for `rebuild`.
--
-- keys: the store's state, the process's record, all processes, all closed windows, then one hash
-- per window.
-- args: the process's id, and one msgpack map made by request.py, which checks every number.

local ACTIVE_FOR_US = 10 * 1000 * 1000
local LEASE_LIFE_US = 2 * 1000 * 1000
-- By then whoever borrowed before has heard of the loss, and what was spent is in the ledger.
local SURELY_OVER_US = 2 * LEASE_LIFE_US
local RECALL_AGAIN_US = 10 * 1000
local PROCESS_LIFE_MS = 60 * 1000
-- A process that has not been heard for so long holds no call any more.
local GONE_AFTER_US = 10 * 1000 * 1000
local KEPT_AFTER_END_US = 7 * 86400 * 1000 * 1000
local KEPT_OF_NOW_MS = 2 * 86400 * 1000
local ASK_AGAIN_US = 1000 * 1000
local MOST_OF_A_PERIOD = 3 / 100
local STALE = 1
local RECALLING, CLOSED = 1, 2
local SLIDING, PERIOD, NOW = 0, 1, 2
local RECALL_CHANNEL = 'latchkey:lease:1:recall:'

-- Lives as long as the server process, which is what it names.
local run_id = nil

local function digits(number)
  return string.format('%.0f', number)
end

-- A server that was restarted or promoted may miss writes. Where an access list forbids INFO, only
-- an absent epoch tells of a loss.
local function read_run_id()
  if not run_id then
    local info = redis.pcall('INFO', 'server')
    run_id = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
  end
  return run_id
end

-- Time never runs backwards here: a clock set back goes on from the last time seen, so that no
-- bucket is lent from twice.
local function open_store(state_key)
  local time = redis.call('TIME')
  local raw_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local state = redis.call('HMGET', state_key, 'epoch', 'run_id', 'raw_us', 'shift_us', 'opened_us', 'woke_us')
  local epoch, opened_us = state[1], tonumber(state[5] or raw_us)
  local shift_us, woke_us = tonumber(state[4] or 0), tonumber(state[6] or raw_us)
  local last_us = tonumber(state[3] or raw_us)
  if raw_us < last_us then
    shift_us = shift_us + last_us - raw_us
  elseif raw_us > last_us + LEASE_LIFE_US then
    -- Nobody could be heard meanwhile, so nobody is gone for that.
    woke_us = raw_us
  end
  local run = read_run_id()
  if not epoch or state[2] ~= run then
    epoch, opened_us = digits(raw_us) .. '-' .. string.sub(run, 1, 8), raw_us
  end
  redis.call('HSET', state_key, 'epoch', epoch, 'run_id', run, 'raw_us', digits(raw_us),
    'shift_us', digits(shift_us), 'opened_us', digits(opened_us), 'woke_us', digits(woke_us))
  return { epoch = epoch, now_us = raw_us + shift_us, raw_us = raw_us, opened_us = opened_us, woke_us = woke_us }
end

local function is_gone(store, process)
  if store.gone[process] == nil then
    local seen_us = tonumber(redis.call('HGET', store.processes, process) or 0)
    local since_us = store.raw_us - GONE_AFTER_US
    store.gone[process] = seen_us == 0 or (seen_us < since_us and store.woke_us < since_us)
  end
  return store.gone[process]
end

local function forget_the_gone(store)
  local all = redis.call('HGETALL', store.processes)
  for i = 1, #all, 2 do
    if tonumber(all[i + 1]) < store.raw_us - PROCESS_LIFE_MS * 1000 then
      redis.call('HDEL', store.processes, all[i])
    end
  end
end

-- A call that lay in a hung server's socket while its sender gave up must not lend to nobody, and
-- returns sent again after a lost reply must not count twice.
local function register(store, process_key, process, call)
  local known = redis.call('HMGET', process_key, 'turn', 'batch')
  local last_turn, last_batch = tonumber(known[1] or 0), tonumber(known[2] or 0)
  if call.turn <= last_turn then
    return STALE, false
  end
  if not known[1] then
    forget_the_gone(store)
  end
  redis.call('HSET', store.processes, process, digits(store.raw_us))
  local forgotten = call.resent and not known[1]
  redis.call('HSET', process_key, 'turn', digits(call.turn), 'batch', digits(call.batch))
  redis.call('PEXPIRE', process_key, PROCESS_LIFE_MS)
  return nil, call.batch > last_batch and not forgotten
end

local function keep(window, store)
  local life_ms = KEPT_OF_NOW_MS
  if window.kind == SLIDING then
    life_ms = math.ceil((window.buckets + 2) * window.bucket_us / 1000)
  elseif window.kind == PERIOD then
    life_ms = math.ceil((window.ends_us + KEPT_AFTER_END_US - store.raw_us) / 1000)
  end
  redis.call('PEXPIRE', window.key, digits(life_ms))
end

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

-- Returns credit the bucket they were lent in; a bucket never holds less than nothing.
local function credit(window, bucket, amount)
  local field = digits(bucket)
  local there = tonumber(redis.call('HGET', window.key, field) or 0)
  if there > 0 then
    redis.call('HSET', window.key, field, digits(math.max(0, there - amount)))
  end
end

-- Use beyond what was reserved counts from now on, whenever it was reserved.
local function charge(window, amount, store)
  redis.call('HINCRBY', window.key, digits(window.bucket), digits(amount))
  keep(window, store)
end

-- What a process says it holds replaces what was thought of it, so that no lost answer matters.
local function report(window, process, holds, spent, store)
  if holds > 0 then
    redis.call('HSET', window.key, 'o' .. process, digits(holds))
  else
    redis.call('HDEL', window.key, 'o' .. process)
  end
  if spent > 0 and window.kind == PERIOD then
    redis.call('HINCRBY', window.key, 'u', digits(spent))
  end
  keep(window, store)
end

-- The process still counts as one that borrows here, but holds nothing to recall.
local function empty(window, process, now_us)
  if redis.call('HEXISTS', window.key, 'h' .. process) == 1 then
    redis.call('HSET', window.key, 'h' .. process, '0:' .. digits(now_us) .. ':0')
  end
end

local function take_reports(call, windows, process, is_counted, store)
  for _, entry in ipairs(call.reports or {}) do
    report(windows[entry[1]], process, entry[2], is_counted and entry[3] or 0, store)
  end
end

local function take_returns(call, windows, process, same_epoch, store)
  for _, entry in ipairs(call.credits) do
    if same_epoch then
      credit(windows[entry[1]], entry[2], entry[3])
    end
  end
  for _, entry in ipairs(call.debts) do
    charge(windows[entry[1]], entry[2], store)
  end
  for _, index in ipairs(call.emptied) do
    empty(windows[index], process, store.now_us)
  end
end

local function load_holder(window, name, value)
  local idle_until, borrowed, recalled = string.match(value, '^(%d+):(%d+):(%d+)$')
  window.holders[name] = {
    idle_until = tonumber(idle_until), borrowed = tonumber(borrowed), recalled = tonumber(recalled),
  }
end

local function load_bucket(window, name, value)
  local index, amount = tonumber(name), tonumber(value)
  if index < window.bucket - window.buckets then
    window.gone[#window.gone + 1] = name
  else
    window.amounts[index] = amount
    window.used = window.used + amount
  end
end

-- What a process that is gone held of a period may have been used, and stays counted.
local function load_held(window, name, process, amount, store)
  if window.kind == NOW and name ~= process and is_gone(store, name) then
    window.gone[#window.gone + 1] = 'o' .. name
    return
  end
  window.used = window.used + amount
  if name == process then
    window.own = amount
  end
end

local function load_window(window, process, store)
  window.used, window.settled, window.own = 0, 0, 0
  window.lent, window.granted = 0, false
  window.amounts, window.holders, window.gone = {}, {}, {}
  local fields = redis.call('HGETALL', window.key)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    local mark, rest = string.sub(name, 1, 1), string.sub(name, 2)
    if mark == 'h' then
      load_holder(window, rest, value)
    elseif mark == 'o' then
      load_held(window, rest, process, tonumber(value), store)
    elseif mark == 'u' then
      window.settled = tonumber(value)
      window.used = window.used + window.settled
    elseif window.kind == SLIDING then
      load_bucket(window, name, value)
    end
  end
end

-- Microseconds until enough buckets have left for `amount` to fit.
local function slide_us(window, amount, now_us)
  local over = window.used + amount - window.limit
  for index = window.bucket - window.buckets, window.bucket do
    over = over - (window.amounts[index] or 0)
    if over <= 0 then
      return (index + window.buckets + 1) * window.bucket_us - now_us
    end
  end
  return (window.bucket + window.buckets + 1) * window.bucket_us - now_us
end

local function wait_us(window, amount, store)
  if window.kind == SLIDING then
    return slide_us(window, amount, store.now_us)
  end
  local is_used_up = window.kind == PERIOD and window.settled + amount > window.limit
  if window.closed then
    return math.max(0, window.opens_us - store.raw_us)
  elseif not is_used_up then
    return ASK_AGAIN_US
  end
  return math.max(ASK_AGAIN_US, window.ends_us - store.raw_us)
end

-- True while some other process may still give something back.
local function recall(window, process, now_us)
  local waiting = 0
  for name, holder in pairs(window.holders) do
    if name ~= process and holder.idle_until > now_us then
      waiting = 1
      if holder.recalled + RECALL_AGAIN_US <= now_us then
        holder.recalled = now_us
        redis.call('HSET', window.key, 'h' .. name,
          digits(holder.idle_until) .. ':' .. digits(holder.borrowed) .. ':' .. digits(now_us))
        redis.call('PUBLISH', RECALL_CHANNEL .. name, window.key)
      end
    end
  end
  return waiting
end

local function has_room(window, amount)
  return window.soft or not (window.closed or window.ended) and window.used + amount <= window.limit
end

local function refuse(index, window, longest_us, process, now_us)
  if window.closed then
    return { index, longest_us, CLOSED }
  end
  return { index, longest_us, recall(window, process, now_us) * RECALLING }
end

local function answer(ask, windows, process, store)
  local refusing, longest_us = 0, -1
  for _, part in ipairs(ask) do
    local window = windows[part[1]]
    if not has_room(window, part[2]) then
      local us = wait_us(window, part[2], store)
      if us > longest_us then
        refusing, longest_us = part[1], us
      end
    end
  end
  if refusing > 0 then
    return refuse(refusing, windows[refusing], longest_us, process, store.now_us)
  end
  for _, part in ipairs(ask) do
    local window = windows[part[1]]
    window.used, window.lent = window.used + part[2], window.lent + part[2]
    window.granted = true
  end
  return { 0, 0, 0 }
end

-- What a process that dies takes with it stays counted until its period ends: hence its bound.
local function most_in_slice(window, active)
  if window.soft then
    return window.slice
  end
  local most = math.floor(math.max(0, window.limit - window.used) / (2 * active))
  return window.kind == PERIOD and math.min(most, math.floor(window.limit * MOST_OF_A_PERIOD)) or most
end

-- A slice on top of what was asked: at most the room divided by twice the processes that borrow
-- here, so that slices shrink to single calls near the end.
local function lend_slice(window, process, now_us)
  local active = 1
  for name, holder in pairs(window.holders) do
    if name ~= process and holder.borrowed > now_us - ACTIVE_FOR_US then
      active = active + 1
    elseif name ~= process and holder.borrowed <= now_us - ACTIVE_FOR_US then
      window.gone[#window.gone + 1] = 'h' .. name
    end
  end
  local slice = 0
  if window.granted then
    slice = math.min(window.slice, most_in_slice(window, active))
  end
  window.used, window.lent = window.used + slice, window.lent + slice
  return slice
end

local function write_window(window, process, slice, store, life_us)
  if window.granted then
    local idle_until = slice > 0 and store.now_us + life_us or 0
    local name, held = 'o' .. process, window.own
    if window.kind == SLIDING then
      name, held = digits(window.bucket), window.amounts[window.bucket] or 0
    end
    redis.call('HSET', window.key, name, digits(held + window.lent),
      'h' .. process, digits(idle_until) .. ':' .. digits(store.now_us) .. ':0')
    keep(window, store)
  end
  for first = 1, #window.gone, 100 do
    redis.call('HDEL', window.key, unpack(window.gone, first, math.min(first + 99, #window.gone)))
  end
end

local function slides_empty_us(window, now_us)
  local newest = window.lent > 0 and window.bucket or -1
  for index, amount in pairs(window.amounts) do
    if amount > 0 and index > newest then
      newest = index
    end
  end
  return newest < 0 and 0 or (newest + window.buckets + 1) * window.bucket_us - now_us
end

local function close_window(window, process, store)
  local slice = lend_slice(window, process, store.now_us)
  local life_us, empty_us = LEASE_LIFE_US, window.used > 0 and ASK_AGAIN_US or 0
  if window.kind == SLIDING then
    life_us = math.min((window.bucket + 1) * window.bucket_us - store.now_us, LEASE_LIFE_US)
    empty_us = slides_empty_us(window, store.now_us)
  elseif window.kind == PERIOD then
    empty_us = math.max(0, window.ends_us - store.raw_us)
    life_us = window.ended and LEASE_LIFE_US or math.min(empty_us, LEASE_LIFE_US)
  end
  write_window(window, process, slice, store, life_us)
  return { window.bucket, life_us, slice, window.limit - window.used, empty_us }
end

-- What is held now was forgotten with an epoch: whoever still holds it needs a moment to say so.
local function open_window(window, store)
  if window.kind == PERIOD then
    window.ended = store.raw_us >= window.ends_us
    window.opens_us = store.opened_us + SURELY_OVER_US
    open_period(window, store)
  elseif window.kind == NOW then
    window.opens_us = store.opened_us + LEASE_LIFE_US
    window.closed = store.raw_us < window.opens_us
  end
end

local function open_windows(call, keys, store)
  local windows = {}
  for i, entry in ipairs(call.windows) do
    local kind = entry[6] or SLIDING
    windows[i] = {
      key = keys[i + 4], limit = entry[1], bucket_us = entry[2], buckets = entry[3],
      slice = entry[4], asked = entry[5], kind = kind,
      bucket = kind == SLIDING and math.floor(store.now_us / entry[2]) or 0,
      starts_us = entry[7] or 0, ends_us = entry[8] or 0, soft = entry[9] or false,
    }
    open_window(windows[i], store)
  end
  return windows
end

local function open_for_process(keys)
  local store = open_store(keys[1])
  store.processes, store.closed, store.gone = keys[3], keys[4], {}
  return store
end

local function lease(keys, args)
  local process, call = args[1], cmsgpack.unpack(args[2])
  local store = open_for_process(keys)
  local stale, fresh = register(store, keys[2], process, call)
  if stale then
    return { store.epoch, stale, {}, {} }
  end
  local windows, same_epoch = open_windows(call, keys, store), call.epoch == store.epoch
  if fresh then
    take_returns(call, windows, process, same_epoch, store)
  end
  take_reports(call, windows, process, fresh and same_epoch, store)
  local outcomes, standings = {}, {}
  for _, window in ipairs(windows) do
    if window.asked then
      load_window(window, process, store)
    end
  end
  for i, ask in ipairs(call.asks) do
    outcomes[i] = answer(ask, windows, process, store)
  end
  for i, window in ipairs(windows) do
    standings[i] = window.asked and close_window(window, process, store) or {}
  end
  return { store.epoch, 0, outcomes, standings }
end

-- Gives closed periods what the ledger says was used of them, each once in an epoch. Until the last
-- lease of the epoch before is over, nobody can say how much that is.
-- keys: the store's state, all closed windows, then the windows. args: what was used of each, and its
-- end in microseconds.
-- Returns microseconds still to wait, 0 when it is done.
local function rebuild(keys, args)
  local store = open_store(keys[1])
  local wait_us = store.opened_us + SURELY_OVER_US - store.raw_us
  if wait_us > 0 then
    return wait_us
  end
  for i = 3, #keys do
    local window = { key = keys[i], kind = PERIOD, starts_us = -1, ends_us = tonumber(args[2 * i - 4]) }
    store.closed = keys[2]
    open_period(window, store)
    if window.closed then
      redis.call('HINCRBY', window.key, 'u', args[2 * i - 5])
      redis.call('HSET', window.key, 'e', store.epoch)
    end
    redis.call('SREM', store.closed, window.key)
  end
  return 0
end

redis.register_function('latchkey_rebuild_@VERSION@', rebuild)
redis.register_function('latchkey_lease_@VERSION@', lease)
