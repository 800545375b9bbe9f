#!/usr/bin/env python3
"""parity.py - asks Addok and `sextant geocode` the same fresh queries and counts where they differ.

  tests/parity/parity.py [--queries 10000] [--seed 1] [--only typo1,near] [--show 5] [--out FILE]

Installs Addok 1.3.2 by itself (PyPI; needs redis-server), imports data/france.ndjson.gz into both, and
prints for each category how many first answers, first scores and whole lists are the same. A score is
the same within 1e-6, a coordinate within 1e-7. Addok walks Python sets on its way, so some of its answers
hang on the hash seed of its process: a difference counts only if no seed of 0 to --seeds gives our answer.
--out writes every difference as a line of JSON. Queries that Addok answers with its own 500 are counted
apart. Exit status 0; the figures are for reading.
"""
import argparse
import atexit
import collections
import gzip
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import peer
import queries

DATA = peer.ROOT / "data" / "france.ndjson.gz"


def key_of(feature):
    p = feature["properties"]
    return p.get("id"), p.get("label"), p.get("housenumber")


def same_number(a, b, most):
    return a is None or b is None or abs(a - b) <= most


def same_feature(a, b):
    p, q = a["properties"], b["properties"]
    return (p.keys() == q.keys() and same_number(p.get("score"), q.get("score"), 1e-6)
            and all(p[k] == q[k] for k in p if k not in ("score", "importance", "distance"))
            and same_number(p.get("distance"), q.get("distance"), 1)
            and all(same_number(x, y, 1e-7) for x, y in zip(a["geometry"]["coordinates"], b["geometry"]["coordinates"])))


def compare(theirs, ours):
    """(first, score, list): whether each is the same."""
    a, b = theirs["features"], ours["features"]
    if not a or not b:
        same = not a and not b
        return same, same, same
    first = key_of(a[0]) == key_of(b[0])
    score = first and same_number(a[0]["properties"].get("score"), b[0]["properties"].get("score"), 1e-6)
    return first, score, len(a) == len(b) and all(same_feature(x, y) for x, y in zip(a, b))


class Ours:
    """Our server on the same data."""

    def __init__(self, binary, folder):
        index = Path(folder) / "france.idx"
        subprocess.run([binary, "geocode", "import", "-o", index, DATA], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        self.child = subprocess.Popen([binary, "geocode", "serve", "--index", index, "--listen", "127.0.0.1:0",
                                       "--access_log=off"], stderr=subprocess.PIPE, text=True)
        atexit.register(self.child.kill)  # also when this run ends by an exception
        for line in self.child.stderr:
            found = re.search(r"^ready .*http=(\S+)", line)
            if found:
                self.address = found.group(1)
                return
        raise SystemExit("parity: sextant geocode serve did not get ready")

    def ask(self, path, params):
        try:
            with urlopen(f"http://{self.address}{path}?{urlencode([tuple(p) for p in params])}", timeout=30) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, error.read().decode(errors="replace")


def summary(feature):
    p = feature["properties"]
    return [p.get("id"), p.get("label"), p.get("score")]


def judge(theirs, ours):
    """compare() of two (status, body)."""
    if theirs[0] != 200 or ours[0] != 200:
        return (theirs[0] == ours[0],) * 3
    return compare(theirs[1], ours[1])


# One query whose answers are not alike; `same` is compare()'s verdict, `got` our (status, body).
Difference = collections.namedtuple("Difference", "category path params theirs got same")


def report(differing, most):
    shown = collections.Counter()
    for d in differing:
        if d.same[0] and d.same[1] or shown[d.category] >= most:
            continue
        shown[d.category] += 1
        theirs, ours = ([summary(f) for f in body["features"][:3]] if isinstance(body, dict) and "features" in body else body
                        for body in (d.theirs, d.got[1]))
        print(f"  {d.category} {d.params}\n    addok   {theirs}\n    sextant {ours}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--show", type=int, default=0, help="differences to print for each category")
    parser.add_argument("--out")
    parser.add_argument("--seeds", type=int, default=6, help="hash seeds of Addok that are tried on a difference")
    parser.add_argument("--sextant", default=str(peer.ROOT / "build" / "sextant"))
    args = parser.parse_args()
    if not shutil.which("redis-server"):
        raise SystemExit("parity: Addok needs redis-server. Try: scripts/setup.sh test")
    peer.install()
    asked = list(queries.make(DATA, args.seed, args.queries, set(filter(None, args.only.split(",")))))
    counts = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as folder, peer.Redis():
        source = Path(folder) / "france.ndjson"
        with gzip.open(DATA) as packed, open(source, "wb") as out:
            shutil.copyfileobj(packed, out)
        peer.import_data(source)
        ours = Ours(args.sextant, folder)
        differing = []
        theirs = peer.answers((path, params) for _, path, params in asked)
        for n, ((category, path, params), (status, body)) in enumerate(zip(asked, theirs)):
            if sys.stderr.isatty():
                print(f"\rparity: {n + 1} of {len(asked)}", end="", file=sys.stderr)
            row = counts[category]
            if status >= 500:
                row["broken"] += 1
                continue
            got = ours.ask(path, params)
            row["asked"] += 1
            same = judge((status, body), got)
            row.update({"first": same[0], "score": same[1], "list": same[2]})
            if not same[2]:
                differing.append(Difference(category, path, params, body, got, list(same)))
        for seed in range(1, args.seeds + 1):
            again = [d for d in differing if not d.same[2]]
            for d, answer in zip(again, peer.answers(((d.path, d.params) for d in again), seed)):
                for i, better in enumerate(judge(answer, d.got)):
                    if better and not d.same[i]:
                        d.same[i] = True
                        counts[d.category][("first", "score", "list")[i]] += 1
        ours.child.terminate()
        ours.child.wait(30)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    differing = [d for d in differing if not d.same[2]]
    report(differing, args.show)
    if args.out:
        with open(args.out, "w", encoding="utf-8") as out:
            for d in differing:
                out.write(json.dumps({"category": d.category, "path": d.path, "params": d.params, "first": d.same[0],
                                      "score": d.same[1], "addok": d.theirs, "sextant": d.got[1]}, ensure_ascii=False) + "\n")
    total = collections.Counter()
    print(f"{'category':20} {'asked':>6} {'first':>8} {'+score':>8} {'list':>8}  Addok's 500")
    for category in sorted(counts):
        total.update(counts[category])
    for category, row in [*sorted(counts.items()), ("all", total)]:
        share = {k: 100 * row[k] / max(1, row["asked"]) for k in ("first", "score", "list")}
        print(f"{category:20} {row['asked']:6} {share['first']:7.2f}% {share['score']:7.2f}% {share['list']:7.2f}%  {row['broken'] or ''}")


if __name__ == "__main__":
    main()
