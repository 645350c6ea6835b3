-- Load for wrk: `wrk … -s load.lua URL -- MODE [HEADER:VALUE …]`. MODE is `get` (URL, again and again), `submit` (a new
-- request to the model at URL), or `lifecycle`: submit, status, result, each once for each request, in three equal parts.
-- Prints one line of JSON, with microseconds.

local thread_of_all

function setup(thread)
  thread_of_all = thread
end

function init(arguments)
  local mode = arguments[1]
  wrk.headers["Authorization"] = "Key bench:mark"
  wrk.headers["Content-Type"] = "application/json"
  for index = 2, #arguments do
    local name, value = arguments[index]:match("^([^:]+):(.*)$")
    wrk.headers[name] = value
  end
  completed = 0
  if mode == "submit" then
    request = submission
  elseif mode == "lifecycle" then
    request = next_call
    response = read
  end
end

local number = 0

function submission()
  number = number + 1
  return wrk.format("POST", nil, nil, '{"prompt":"number ' .. number .. '","num_images":1}')
end

-- The calls that are due: each is made by the next connection that is free.
local due, first, last = {}, 1, 0

local function add(path)
  last = last + 1
  due[last] = path
end

function next_call()
  if first > last then
    return submission()
  end
  local path = due[first]
  due[first] = nil
  first = first + 1
  return wrk.format("GET", path)
end

-- fal's queue: the app of an endpoint is the first two parts of its id.
local function path_of(id)
  return wrk.path:match("^(.-/fal%-ai/[^/]+)") .. "/requests/" .. id
end

function read(status, headers, body)
  local id = body:match('"request_id":%s*"([^"]+)"')
  if id == nil then
    completed = completed + 1
  elseif body:find('"COMPLETED"', 1, true) then
    add(path_of(id))
  else
    add(path_of(id) .. "/status")
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "duration_us": %d, "completed": %d, "p50_us": %d, "p99_us": %d, "failed": %d}\n',
    summary.requests, summary.duration, thread_of_all:get("completed"),
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
