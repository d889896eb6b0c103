-- One chat call of about 600 bytes over and over; the outcome is printed as one line of JSON.
-- Arguments: the Authorization header, the model, and a pause in ms before each call (0 for none).

local pause = 0

function init(args)
  pause = tonumber(args[3]) or 0
  local text = string.rep("Say in one sentence what a latchkey is, and why one would carry it. ", 6)
  wrk.method = "POST"
  wrk.headers["Authorization"] = args[1]
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = '{"model":"' .. args[2] .. '","messages":[' ..
    '{"role":"system","content":"You answer briefly, in plain words, and never make things up."},' ..
    '{"role":"user","content":"' .. text .. '"}],"max_tokens":64,"temperature":0.2}'
  if pause > 0 then
    -- Without a spread all connections would call in the same instant.
    delay = function() return math.random(0, 2 * pause) end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"calls":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"failed":%d,"timed_out":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write, errors.timeout))
end
