-- wrk's script: asks for the targets of a file, one a line, in turn.
--
--     wrk -t1 -c32 -d6 -s targets.lua http://HOST:PORT/ -- FILE
local requests, at = {}, 0

function init(args)
    for line in io.lines(args[1]) do
        requests[#requests + 1] = wrk.format("GET", line)
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end
