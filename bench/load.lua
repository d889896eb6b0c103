-- One chat call over and over; the outcome is printed as one line of JSON.
-- Arguments: model=…, bytes=… (of the body), header:NAME=VALUE for each header, and where wanted pause_ms=… (before each
-- call, on average), stream=1, and keys=FILE (one key a line, called with in turns).

local pause_ms, calls, number = 0, {}, 0

local function write_body(asked)
  local head = '{"model":"' .. asked.model .. '","messages":[' ..
    '{"role":"system","content":"You answer briefly, in plain words, and never make things up."},' ..
    '{"role":"user","content":"'
  local tail = '"}],"max_tokens":64,"temperature":0.2' .. (asked.stream and ',"stream":true}' or '}')
  local sentence = "Say in one sentence what a latchkey is, and why one would carry it. "
  local room = math.max(tonumber(asked.bytes) - #head - #tail, 1)
  return head .. string.rep(sentence, math.ceil(room / #sentence)):sub(1, room) .. tail
end

local function write_calls(path)
  for key in io.lines(path) do
    wrk.headers["Authorization"] = "Bearer " .. key
    calls[#calls + 1] = wrk.format()
  end
end

function init(args)
  local asked = {}
  for _, text in ipairs(args) do
    local name, value = text:match("^([^=]+)=(.*)$")
    local header = name:match("^header:(.+)$")
    if header then wrk.headers[header] = value else asked[name] = value end
  end
  wrk.method, wrk.body = "POST", write_body(asked)
  wrk.headers["Content-Type"] = "application/json"
  pause_ms = tonumber(asked.pause_ms) or 0
  if pause_ms > 0 then
    -- Without a spread all connections would call in the same instant.
    delay = function() return math.random(0, 2 * pause_ms) end
  end
  if asked.keys then
    -- Each call is written once: writing it anew each time would make the load the bottleneck.
    write_calls(asked.keys)
    request = function()
      number = number % #calls + 1
      return calls[number]
    end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"calls":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"failed":%d,"timed_out":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write, errors.timeout))
end
