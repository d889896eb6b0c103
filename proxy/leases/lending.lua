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

-- The process still counts as one that borrows here, but holds nothing to recall.
local function empty(window, process, now_us)
  if redis.call('HEXISTS', window.key, 'h' .. process) == 1 then
    redis.call('HSET', window.key, 'h' .. process, '0:' .. digits(now_us) .. ':0')
  end
end

-- An epoch that is over is the ledger's: there only what is held now counts. Once the ledger has told, what was
-- used counts as well, for it may have told before: rather twice than not at all.
local function of_before(spent, window)
  return window.kind == PERIOD and not window.closed and spent or 0
end

local function take_reports(call, windows, process, is_known, same_epoch, store)
  for _, entry in ipairs(call.reports or {}) do
    local window, before = windows[entry[1]], entry[7] or 0
    if not same_epoch then
      entry = { entry[1], entry[2], of_before(entry[3] + before, window), 0, 0, true }
    elseif before > 0 then
      entry[3], entry[6] = entry[3] + of_before(before, window), true
    end
    entry[6] = entry[6] or call.resent
    report(window, process, entry, is_known or not same_epoch, store)
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
    enter(window, 'lapsed', amount)
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
    elseif mark ~= 'r' and window.kind == SLIDING then
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

-- What running calls hold may come back; what is used does not before the period ends.
local function is_used_up(window, amount)
  return window.kind == PERIOD and not window.closed and window.settled + amount > window.limit
end

local function wait_us(window, amount, store)
  if window.kind == SLIDING then
    return slide_us(window, amount, store.now_us)
  elseif window.closed then
    return math.max(0, window.opens_after_us - store.age_us)
  elseif not is_used_up(window, amount) then
    return ASK_AGAIN_US
  end
  return math.max(ASK_AGAIN_US, window.ends_us - store.raw_us)
end

-- Whoever answers for the limit is told: a hard one refuses before the whole of it is used.
local function note_refusal(window, store)
  redis.call('HSET', window.key, 'r', digits(window.limit) .. ':' .. digits(store.now_us))
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

local function refuse(index, window, longest_us, process, store)
  if window.closed then
    return { index, longest_us, CLOSED }
  end
  local waiting = recall(window, process, store.now_us)
  if window.kind == SLIDING and waiting == 0 then
    note_refusal(window, store)
  end
  return { index, longest_us, waiting * RECALLING }
end

local function answer(ask, windows, process, store)
  local refusing, longest_us = 0, -1
  for _, part in ipairs(ask) do
    local window = windows[part[1]]
    if not has_room(window, part[2]) then
      if is_used_up(window, part[2]) then
        note_refusal(window, store)
      end
      local us = wait_us(window, part[2], store)
      if us > longest_us then
        refusing, longest_us = part[1], us
      end
    end
  end
  if refusing > 0 then
    return refuse(refusing, windows[refusing], longest_us, process, store)
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
    if window.kind ~= SLIDING then
      enter(window, 'lent', window.lent)
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
    window.opens_after_us = SURELY_OVER_US
    open_period(window, store)
  elseif window.kind == NOW then
    window.opens_after_us = LEASE_LIFE_US
    window.closed = store.age_us < window.opens_after_us
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
  local stale, fresh, forgotten = register(store, keys[2], process, call)
  if stale then
    return { store.epoch, stale, {}, {} }
  end
  note_behind(keys[1], process, call.behind, store)
  local windows, same_epoch = open_windows(call, keys, store), call.epoch == store.epoch
  if fresh then
    take_returns(call, windows, process, same_epoch, store)
  end
  if fresh or forgotten then
    take_reports(call, windows, process, fresh, same_epoch, store)
  end
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

redis.register_function('latchkey_lease_@VERSION@', lease)
