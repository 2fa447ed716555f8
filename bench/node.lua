-- For wrk: asks the paths of a file in turns, and prints what came of it as JSON. Arguments: the file, the Accept header.
local asked, at = {}, 0

function init(args)
  wrk.headers["Accept"] = args[2]
  for path in io.lines(args[1]) do
    asked[#asked + 1] = wrk.format("GET", path)
  end
end

function request()
  at = at % #asked + 1
  return asked[at]
end

function done(summary, latency, requests)
  local e = summary.errors
  print()
  print(string.format(
    '{"answers": %d, "s": %.6f, "p50": %.4f, "p99": %.4f, "failed": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status + e.connect + e.read + e.write + e.timeout
  ))
end
