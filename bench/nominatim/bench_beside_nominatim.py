#!/usr/bin/env python3
"""Measures `sextant geocode` beside Nominatim 5.3.3: same machine, same run, same data, same requests.

    bench_beside_nominatim.py [--quick] [--seed 5]

`make bench-nominatim` runs it in about four minutes; --quick leaves Nominatim's import out (it takes the one
that is there) and measures each figure for a shorter time. scripts/nominatim_peer.sh brings Nominatim up;
data are data/liechtenstein.osm.pbf, requests are drawn from it (tests/e2e/lib/nominatim_queries.py).

  import         wall and CPU seconds. Nominatim's are those of its own processes and of PostgreSQL's; after
                 it the special phrases are loaded, as with ours.
  size           of the database (pg_database_size), of our file.
  HTTP           a closed loop (wrk, one thread) on all cores, which the load generator shares; Nominatim has
                 two workers of uvicorn. Per CPU second is what the server used, PostgreSQL included.
  at half rate   an open loop (bench/http/rate_load.c) at half the rate that the server had answered:
                 latency counts from when a request was due, so that a pause cannot hide.
  autocomplete   Photon's API of ours, letter by letter; Nominatim has none.

Prints one line a figure (name, value, unit), then the table for docs/performance.md.
"""
import argparse
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = os.environ.get("BENCH_BUILD", str(ROOT / "build"))
PEER = str(ROOT / "scripts" / "nominatim_peer.sh")
CLUSTER = ROOT / ".cache" / "peers" / "nominatim" / "pg"
DATA = str(ROOT / "data" / "liechtenstein.osm.pbf")
PHRASES = str(ROOT / "data" / "phrases.csv")
EXTRACT, NAME, WORKERS, REQUESTS = "liechtenstein", "bench", 2, 3000
sys.path[:0] = [str(ROOT / "tests" / "e2e"), str(ROOT / "bench" / "geocode")]
from bench_geocode import Server, memory_kb  # noqa: E402
from lib import nominatim_queries  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def say(name, value, unit):
    print(f"{name} {value:.{0 if value >= 100 else 3}f} {unit}", flush=True)


# CPU time of trees of processes: their own, that of children who have ended, and that of those alive.

def stat(pid):
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return [int(f) / TICK for f in fields[11:15]]


def tree(pid):
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                todo += [int(c) for c in Path(f"/proc/{one}/task/{task}/children").read_text(encoding="ascii").split()]
        except FileNotFoundError:
            pass
    return found


def tree_cpu(pid):
    total = 0.0
    for one in tree(pid):
        try:
            total += sum(stat(one))
        except FileNotFoundError:
            pass  # it has ended since: its parent's children's time has it
    return total


def postmaster():
    return int((CLUSTER / "postmaster.pid").read_text(encoding="ascii").split()[0])


def peer(*arguments, check=True):
    environment = {**os.environ, "NOMINATIM_WORKERS": str(WORKERS)}
    return subprocess.run([PEER, *arguments], env=environment, check=check, stdout=subprocess.PIPE, text=True).stdout


# What is asked

class Load:
    """Files of request targets: with a prefix for ours."""

    def __init__(self, folder, seed):
        extract = nominatim_queries.Extract.read(peer("sql", EXTRACT, "-At", "-c", nominatim_queries.ROWS).splitlines())
        generator = nominatim_queries.Generator(extract, seed)
        drawn = {"search": [], "reverse": []}
        while min(map(len, drawn.values())) < REQUESTS:
            request = generator.draw()
            kind = request["path"].strip("/")
            # Errors, polygons and points at sea say nothing about how fast places are found.
            if kind in drawn and len(drawn[kind]) < REQUESTS and request["category"] not in (
                    "error", "search-polygon", "reverse-polygon", "reverse-far"):
                query = urllib.parse.urlencode([tuple(p) for p in request["params"]])
                drawn[kind].append(f"{request['path']}?{query}")
        self.folder = Path(folder)
        for kind, targets in drawn.items():
            self.write(kind, targets)
            self.write(f"{kind}_ours", ["/nominatim" + t for t in targets])
        names = [r["n"]["name"] for r in extract.named]
        generator.random.shuffle(names)
        self.write("autocomplete", ["/photon/api?" + urllib.parse.urlencode({"q": name[:end], "limit": 5})
                                    for name in names[:REQUESTS // 5] for end in range(1, len(name) + 1)])

    def write(self, name, targets):
        self.path(name).write_text("".join(t + "\n" for t in targets), encoding="ascii")

    def path(self, name):
        return self.folder / f"{name}.targets"


class Served:
    """A server under load; its processes are the trees of `pids`."""

    def __init__(self, port, pids):
        self.port, self.pids = port, pids

    def cpu(self):
        return sum(map(tree_cpu, self.pids))

    def memory(self):
        return sum(memory_kb(one).get("RssAnon", 0) for pid in self.pids for one in tree(pid)) / 1024

    def most(self, file, seconds, connections):
        """(requests a second, requests a CPU second) of a closed loop."""
        self.wrk(file, 1, connections)
        before = self.cpu()
        count, took = self.wrk(file, seconds, connections)
        return count / took, count / max(self.cpu() - before, 0.01)

    def wrk(self, file, seconds, connections):
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}", "--timeout", "30s", "-s",
                              str(ROOT / "bench/geocode/targets.lua"), f"http://127.0.0.1:{self.port}/", "--", str(file)],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
        count, took = re.search(r"(\d+) requests in ([\d.]+)s", out).groups()
        return int(count), float(took)

    def latency(self, file, rate, seconds):
        out = subprocess.run([f"{BUILD}/bench/http/rate_load", "127.0.0.1", str(self.port), str(max(1, round(rate))),
                              str(seconds), "32", str(file)], stdout=subprocess.PIPE, text=True, check=True).stdout
        return {name: int(us) / 1000 for name, us in re.findall(r"^(p\d+|max) (\d+) us$", out, re.M)}


class Table:
    def __init__(self):
        self.rows = []

    def add(self, what, ours, theirs, unit, goal="", more_is_better=True):
        ratio = (ours / theirs if more_is_better else theirs / ours) if ours and theirs else 0
        self.rows.append((what, shown(ours), shown(theirs) if theirs else "", unit,
                          f"{ratio:,.1f}" if ratio else "", goal))

    def print(self):
        print("\n| | ours | Nominatim | | ratio | goal |\n|---|---|---|---|---|---|")
        for row in self.rows:
            print("| " + " | ".join(row) + " |")


def shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


# The figures

def import_theirs():
    """Seconds and CPU seconds."""
    peer("drop", NAME, check=False)
    before = tree_cpu(postmaster()), resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    peer("import", NAME, DATA)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - before[1].ru_utime - before[1].ru_stime
    return took, own + tree_cpu(postmaster()) - before[0]


def import_ours(index):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run([f"{BUILD}/sextant", "geocode", "import", "-q", "-o", index, "--phrases", PHRASES, DATA], check=True)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def bench_import(table, index, name, quick):
    runs = [import_ours(index) for _ in range(1 if quick else 3)]
    ours = min(runs)
    for what, value in zip(("import_ours", "import_ours_cpu"), ours):
        say(what, value, "s")
    theirs = (0, 0)
    if not quick:
        theirs = import_theirs()
        for what, value in zip(("import_nominatim", "import_nominatim_cpu"), theirs):
            say(what, value, "s")
    table.add("import of Liechtenstein", ours[0], theirs[0], "s", "20", False)
    table.add("the same, CPU", ours[1], theirs[1], "s", "", False)
    size = os.path.getsize(index) / 1e6
    database = int(peer("sql", name, "-Atc", "select pg_database_size(current_database())")) / 1e6
    say("size_ours", size, "MB")
    say("size_nominatim", database, "MB")
    table.add("size on the disk", size, database, "MB", "10", False)


def bench_served(served, load, suffix, name, seconds, connections):
    """{kind: (rate, rate a CPU second, latencies)}."""
    found = {}
    for kind in ("search", "reverse"):
        rate, per_cpu = served.most(load.path(kind + suffix), seconds, connections)
        latency = served.latency(load.path(kind + suffix), rate / 2, seconds)
        found[kind] = rate, per_cpu, latency
        say(f"{kind}_{name}", rate, "1/s")
        say(f"{kind}_{name}_per_cpu", per_cpu, "1/s")
        for share, ms in latency.items():
            print(f"{kind}_{name}_half_rate_{share} {ms:.3f} ms")
    say(f"memory_{name}", served.memory(), "MiB")
    return found, served.memory()


def wait_for_port(port, seconds=60):
    """A server that was started may not listen yet."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def bench_http(table, index, name, load, quick):
    seconds = 4 if quick else 12
    peer("stop", name, check=False)
    peer("start", name)
    try:
        listed = re.search(rf"^{name} http://127\.0\.0\.1:(\d+) ", peer("list"), re.M)
        wait_for_port(int(listed.group(1)))
        pid = int((CLUSTER.parent / "projects" / name / "pid").read_text(encoding="ascii"))
        theirs, their_memory = bench_served(Served(int(listed.group(1)), [pid, postmaster()]), load, "", "nominatim", seconds, 8)
    finally:
        peer("stop", name)
    with Server(index, "--no-cache") as server:
        served = Served(server.port, [server.pid])
        ours, our_memory = bench_served(served, load, "_ours", "ours", seconds, 32)
        completions, _ = served.most(load.path("autocomplete"), seconds / 2, 32)
        partial = served.latency(load.path("autocomplete"), completions / 2, seconds)
    for kind, what in (("search", "searches"), ("reverse", "reverses")):
        (rate, per_cpu, latency), (rate2, per_cpu2, latency2) = ours[kind], theirs[kind]
        table.add(f"{what} a second over HTTP", rate, rate2, "1/s")
        table.add(f"{what} a CPU second", per_cpu, per_cpu2, "1/s", "200")
        for share in ("p50", "p95", "p99"):
            table.add(f"{what}, {share} at half that rate", latency.get(share, 0), latency2.get(share, 0), "ms", "", False)
    say("autocomplete_ours", completions, "1/s")
    for share, ms in partial.items():
        print(f"autocomplete_ours_half_rate_{share} {ms:.3f} ms")
    table.add("autocompletion, p99 at half its rate", partial["p99"], 0, "ms", "1 ms")
    table.add("memory that is nobody else's", our_memory, their_memory, "MiB", "", False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("bench: wrk is missing. Try: apt install wrk")
    peer("install")
    peer("import", EXTRACT, DATA)
    name = EXTRACT if args.quick else NAME
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        index = os.path.join(folder, "liechtenstein.idx")
        load = Load(folder, args.seed)
        try:
            bench_import(table, index, name, args.quick)
            bench_http(table, index, name, load, args.quick)
        finally:
            if not args.quick:
                peer("drop", NAME)
    table.print()


if __name__ == "__main__":
    main()
