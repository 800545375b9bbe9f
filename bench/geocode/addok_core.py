"""Addok's searches a second, without HTTP: run by Addok's own Python (see bench_beside_addok.py).

    addok_core.py REQUESTS SECONDS

REQUESTS has one JSON object {"category", "path", "params"} a line. They are asked in turn through the
functions that Addok's own HTTP views call, for SECONDS or until all have been asked; a request that
Addok breaks on is not counted. Prints one JSON object: category -> seconds of each request."""
import json
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
        calls.append((one["category"], search if "q" in given else reverse, given.pop("q", None), given))
    took = {}
    for _, function, query, given in calls[:20]:  # loads what is loaded at the first use
        ask(function, query, given)
    end = time.perf_counter() + float(sys.argv[2])
    for category, function, query, given in calls:
        began = time.perf_counter()
        if began > end:
            break
        if ask(function, query, given):
            took.setdefault(category, []).append(time.perf_counter() - began)
    json.dump(took, sys.stdout)


def ask(function, query, given):
    """False where a server would answer 500: a few documents without a postcode break Addok."""
    try:
        for result in function(query, **given) if query is not None else function(**given):
            result.format()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return False
    return True


if __name__ == "__main__":
    main()
