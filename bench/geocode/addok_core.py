"""Addok's searches a second, without HTTP: run by Addok's own Python (see bench_beside_addok.py).

    addok_core.py REQUESTS SECONDS REDIS_PID

REQUESTS has one JSON object {"path", "params"} a line. They are asked in turn through the functions that
Addok's own HTTP views call, for SECONDS or until all have been asked; a request that Addok breaks on is
not counted. Prints one JSON object: how many were answered, seconds of CPU that this process and Redis
used meanwhile, and the seconds of each."""
import json
import os
import sys
import time

FILTERS = ("type", "citycode", "postcode")


def arguments(params):
    """As the views of Addok read them."""
    given = {}
    for name, value in params:
        if name in FILTERS:
            given.setdefault(name, []).extend(value.split())
        elif name in ("lat", "lon"):
            given[name] = float(value)
        elif name == "limit":
            given[name] = int(value)
    return given


def main():
    from addok.config import config
    config.load()
    from addok.core import reverse, search

    with open(sys.argv[1], encoding="utf-8") as lines:
        asked = [json.loads(line) for line in lines]
    calls = []
    for one in asked:
        params = dict(one["params"])
        given = arguments(one["params"])
        if one["path"] == "/search/":
            given["q"] = params["q"]
            given["autocomplete"] = params.get("autocomplete") != "0"
        calls.append((search if "q" in given else reverse, given.pop("q", None), given))
    for call in calls[:20]:  # loads what is loaded at the first use
        ask(*call)
    took = []
    used = cpu_seconds(sys.argv[3])
    end = time.perf_counter() + float(sys.argv[2])
    for call in calls:
        began = time.perf_counter()
        if began > end:
            break
        if ask(*call):
            took.append(time.perf_counter() - began)
    json.dump({"count": len(took), "cpu_seconds": cpu_seconds(sys.argv[3]) - used, "took": took}, sys.stdout)


def cpu_seconds(redis):
    """Of this process and Redis."""
    with open(f"/proc/{redis}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(function, query, given):
    """The results are not printed, and neither are ours. False where a server would answer 500: a few
    documents without a postcode break Addok."""
    try:
        function(query, **given) if query is not None else function(**given)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return False
    return True


if __name__ == "__main__":
    main()
