#!lua name=latchkey_leases_@VERSION@

-- One call lends from every window of a batch of asks, each ask all-or-nothing, after it has taken
-- back what the calling process returned. A window's hash holds one field per bucket of time
-- ("<index>" = amount lent in it) and one per process ("h<process>" = until when that process may
-- hold something idle, when it borrowed last, when it was last asked to return it).
--
-- keys: the store's state, the process's record, then one hash per window.
-- args: the process's id, and one msgpack map made by request.py, which checks every number.

local ACTIVE_FOR_US = 10 * 1000 * 1000
local LEASE_LIFE_US = 2 * 1000 * 1000
local RECALL_AGAIN_US = 10 * 1000
local PROCESS_LIFE_MS = 60 * 1000
local STALE = 1
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
  local state = redis.call('HMGET', state_key, 'epoch', 'run_id', 'raw_us', 'shift_us')
  local epoch = state[1]
  local shift_us = tonumber(state[4] or 0)
  local last_us = tonumber(state[3] or raw_us)
  if raw_us < last_us then
    shift_us = shift_us + last_us - raw_us
  end
  local run = read_run_id()
  if not epoch or state[2] ~= run then
    epoch = digits(raw_us) .. '-' .. string.sub(run, 1, 8)
  end
  redis.call('HSET', state_key, 'epoch', epoch, 'run_id', run,
    'raw_us', digits(raw_us), 'shift_us', digits(shift_us))
  return epoch, raw_us + shift_us
end

-- A call that lay in a hung server's socket while its sender gave up must not lend to nobody, and
-- returns sent again after a lost reply must not count twice.
local function register(process_key, call)
  local known = redis.call('HMGET', process_key, 'turn', 'batch')
  local last_turn, last_batch = tonumber(known[1] or 0), tonumber(known[2] or 0)
  if call.turn <= last_turn then
    return STALE, false
  end
  local forgotten = call.resent and not known[1]
  redis.call('HSET', process_key, 'turn', digits(call.turn), 'batch', digits(call.batch))
  redis.call('PEXPIRE', process_key, PROCESS_LIFE_MS)
  return nil, call.batch > last_batch and not forgotten
end

local function keep(window)
  redis.call('PEXPIRE', window.key, math.ceil((window.buckets + 2) * window.bucket_us / 1000))
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
local function charge(window, amount)
  redis.call('HINCRBY', window.key, digits(window.bucket), digits(amount))
  keep(window)
end

-- The process still counts as one that borrows here, but holds nothing to recall.
local function empty(window, process, now_us)
  if redis.call('HEXISTS', window.key, 'h' .. process) == 1 then
    redis.call('HSET', window.key, 'h' .. process, '0:' .. digits(now_us) .. ':0')
  end
end

local function take_returns(call, windows, process, same_epoch, now_us)
  for _, entry in ipairs(call.credits) do
    if same_epoch then
      credit(windows[entry[1]], entry[2], entry[3])
    end
  end
  for _, entry in ipairs(call.debts) do
    charge(windows[entry[1]], entry[2])
  end
  for _, index in ipairs(call.emptied) do
    empty(windows[index], process, now_us)
  end
end

local function load_window(window)
  window.used, window.lent, window.granted = 0, 0, false
  window.amounts, window.holders, window.gone = {}, {}, {}
  local fields = redis.call('HGETALL', window.key)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if string.sub(name, 1, 1) == 'h' then
      local idle_until, borrowed, recalled = string.match(value, '^(%d+):(%d+):(%d+)$')
      window.holders[string.sub(name, 2)] = {
        idle_until = tonumber(idle_until), borrowed = tonumber(borrowed), recalled = tonumber(recalled),
      }
    else
      local index, amount = tonumber(name), tonumber(value)
      if index < window.bucket - window.buckets then
        window.gone[#window.gone + 1] = name
      else
        window.amounts[index] = amount
        window.used = window.used + amount
      end
    end
  end
end

-- Microseconds until enough buckets have left for `amount` to fit.
local function wait_us(window, amount, now_us)
  local over = window.used + amount - window.limit
  for index = window.bucket - window.buckets, window.bucket do
    over = over - (window.amounts[index] or 0)
    if over <= 0 then
      return (index + window.buckets + 1) * window.bucket_us - now_us
    end
  end
  return (window.bucket + window.buckets + 1) * window.bucket_us - now_us
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

local function answer(ask, windows, process, now_us)
  local refusing, longest_us = 0, -1
  for _, part in ipairs(ask) do
    local window = windows[part[1]]
    if window.used + part[2] > window.limit then
      local us = wait_us(window, part[2], now_us)
      if us > longest_us then
        refusing, longest_us = part[1], us
      end
    end
  end
  if refusing > 0 then
    return { refusing, longest_us, recall(windows[refusing], process, now_us) }
  end
  for _, part in ipairs(ask) do
    local window = windows[part[1]]
    window.used, window.lent = window.used + part[2], window.lent + part[2]
    window.granted = true
  end
  return { 0, 0, 0 }
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
    local room = math.max(0, window.limit - window.used)
    slice = math.min(window.slice, math.floor(room / (2 * active)))
  end
  window.used, window.lent = window.used + slice, window.lent + slice
  return slice
end

local function write_window(window, process, slice, now_us, life_us)
  if window.granted then
    local idle_until = slice > 0 and now_us + life_us or 0
    redis.call('HSET', window.key, digits(window.bucket),
      digits((window.amounts[window.bucket] or 0) + window.lent),
      'h' .. process, digits(idle_until) .. ':' .. digits(now_us) .. ':0')
    keep(window)
  end
  for first = 1, #window.gone, 100 do
    redis.call('HDEL', window.key, unpack(window.gone, first, math.min(first + 99, #window.gone)))
  end
end

local function close_window(window, process, now_us)
  local slice = lend_slice(window, process, now_us)
  local life_us = math.min((window.bucket + 1) * window.bucket_us - now_us, LEASE_LIFE_US)
  write_window(window, process, slice, now_us, life_us)
  local newest = window.lent > 0 and window.bucket or -1
  for index, amount in pairs(window.amounts) do
    if amount > 0 and index > newest then
      newest = index
    end
  end
  local empty_us = newest < 0 and 0 or (newest + window.buckets + 1) * window.bucket_us - now_us
  return { window.bucket, life_us, slice, window.limit - window.used, empty_us }
end

local function open_windows(call, keys, now_us)
  local windows = {}
  for i, entry in ipairs(call.windows) do
    windows[i] = {
      key = keys[i + 2], limit = entry[1], bucket_us = entry[2], buckets = entry[3],
      slice = entry[4], asked = entry[5], bucket = math.floor(now_us / entry[2]),
    }
  end
  return windows
end

local function lease(keys, args)
  local process, call = args[1], cmsgpack.unpack(args[2])
  local epoch, now_us = open_store(keys[1])
  local stale, fresh = register(keys[2], call)
  if stale then
    return { epoch, stale, {}, {} }
  end
  local windows = open_windows(call, keys, now_us)
  if fresh then
    take_returns(call, windows, process, call.epoch == epoch, now_us)
  end
  local outcomes, standings = {}, {}
  for _, window in ipairs(windows) do
    if window.asked then
      load_window(window)
    end
  end
  for i, ask in ipairs(call.asks) do
    outcomes[i] = answer(ask, windows, process, now_us)
  end
  for i, window in ipairs(windows) do
    standings[i] = window.asked and close_window(window, process, now_us) or {}
  end
  return { epoch, 0, outcomes, standings }
end

redis.register_function('latchkey_lease_@VERSION@', lease)
