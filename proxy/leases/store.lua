#!lua name=latchkey_leases_@VERSION@

-- One call lends from every window of a batch of asks, each ask all-or-nothing, after it has taken
-- back what the calling process returned. A window's hash holds one field per bucket of time
-- ("<index>" = amount lent in it) and one per process ("h<process>" = until when that process may
-- hold something idle, when it borrowed last, when it was last asked to return it).
--
-- A period with an end, and what is held now, have no buckets: what each process holds stands in
-- "o<process>", which that process states anew with each change, and what was used in "u". A period
-- lends only in the epoch that "e" names; one that may have lost writes waits for `rebuild`. "r" is the
-- limit under which a window last refused for good, and when; "a<account>" are its accounts, see
-- holdings.lua.
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
-- bucket is lent from twice. The epoch's age is told by that time ("since_us"), its place among
-- periods by the clock ("opened_us").
local function open_store(state_key)
  local time = redis.call('TIME')
  local raw_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local state = redis.call('HMGET', state_key, 'epoch', 'run_id', 'raw_us', 'shift_us', 'opened_us', 'woke_us',
    'since_us')
  local epoch, opened_us = state[1], tonumber(state[5] or raw_us)
  local shift_us, woke_us = tonumber(state[4] or 0), tonumber(state[6] or raw_us)
  local last_us = tonumber(state[3] or raw_us)
  if raw_us < last_us then
    shift_us = shift_us + last_us - raw_us
    -- When anybody was heard cannot be compared for a while.
    woke_us = raw_us
  elseif raw_us > last_us + LEASE_LIFE_US then
    -- Nobody could be heard meanwhile, so nobody is gone for that.
    woke_us = raw_us
  end
  local run, since_us = read_run_id(), tonumber(state[7] or opened_us + shift_us)
  if not epoch or state[2] ~= run then
    epoch, opened_us, since_us = digits(raw_us) .. '-' .. string.sub(run, 1, 8), raw_us, raw_us + shift_us
  end
  redis.call('HSET', state_key, 'epoch', epoch, 'run_id', run, 'raw_us', digits(raw_us),
    'shift_us', digits(shift_us), 'opened_us', digits(opened_us), 'woke_us', digits(woke_us),
    'since_us', digits(since_us))
  return {
    epoch = epoch, now_us = raw_us + shift_us, raw_us = raw_us, opened_us = opened_us, woke_us = woke_us,
    age_us = raw_us + shift_us - since_us,
  }
end

local function is_gone(store, process)
  if store.gone[process] == nil then
    local seen_us = tonumber(redis.call('HGET', store.processes, process) or 0)
    local since_us = store.raw_us - GONE_AFTER_US
    -- Whoever lives has said something since the clock was set back.
    local is_silent = seen_us < since_us or seen_us > store.raw_us
    store.gone[process] = seen_us == 0 or (is_silent and store.woke_us < since_us)
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
    return STALE, false, false
  end
  if not known[1] then
    forget_the_gone(store)
  end
  redis.call('HSET', store.processes, process, digits(store.raw_us))
  local forgotten = call.resent and not known[1]
  redis.call('HSET', process_key, 'turn', digits(call.turn), 'batch', digits(call.batch))
  redis.call('PEXPIRE', process_key, PROCESS_LIFE_MS)
  return nil, call.batch > last_batch and not forgotten, forgotten
end

-- Whoever has calls that are over and not in the ledger says so with each word, in "b<process>" of the store's state.
local function note_behind(state_key, process, is_behind, store)
  if is_behind then
    redis.call('HSET', state_key, 'b' .. process, digits(store.now_us))
  else
    redis.call('HDEL', state_key, 'b' .. process)
  end
end

-- Whoever fell silent has nobody who waits for it: a successor ships what it left.
local function is_someone_behind(state_key, store)
  local found, silent = false, {}
  local fields = redis.call('HGETALL', state_key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 1) == 'b' then
      if tonumber(fields[i + 1]) > store.now_us - LEASE_LIFE_US then
        found = true
      else
        silent[#silent + 1] = fields[i]
      end
    end
  end
  for _, name in ipairs(silent) do
    redis.call('HDEL', state_key, name)
  end
  return found
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
