#!/usr/bin/env python3
"""Measures `sextant geocode` beside Addok 1.3.2: same machine, same run, same data, same queries.

    bench_beside_addok.py [--quick] [--seed 1]

`make bench-geocode` runs it in about five minutes; --quick takes Addok's import from an earlier run of
`make parity`, if there was one, and measures each figure for a shorter time. Installs Addok by itself
(PyPI; needs redis-server and wrk). Data are data/france.ndjson.gz, queries those of `make parity` with a
seed of their own (tests/parity/queries.py).

  one core       searches a second of CPU without HTTP and cache: of Addok and its Redis, which share one
                 core, and of ours, which asks every query ROUNDS times in turn, so that none follows itself.
  HTTP           a closed loop (wrk, one thread) on all cores, which the load generator shares. Addok
                 has two workers of gunicorn. Per CPU second is what the server's processes used
                 (Addok's with Redis), whatever the generator left them.
  at half rate   an open loop (bench/http/rate_load.c; for Addok threads, as gunicorn takes one request a
                 connection): latency counts from when a request was due, so a pause cannot hide. The
                 rate is half of what the server had answered a second of the same queries.
  memory         resident; of Addok, used_memory of Redis and the workers' private memory.

Prints one line a figure (name, value, unit), then the table for docs/performance.md.
"""
import argparse
import concurrent.futures
import contextlib
import gzip
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

from bench_geocode import BUILD, ROOT, Server, bench_zipf, cpu_seconds, memory_kb

sys.path.append(os.path.join(ROOT, "tests", "parity"))
import peer  # noqa: E402
import queries  # noqa: E402

DATA = os.path.join(ROOT, "data", "france.ndjson.gz")
QUERIES, ROUNDS, WORKERS = 4000, 5, 2
DEADLINE_S = 120


def say(name, value, unit):
    print(f"{name} {value:.{0 if value >= 100 else 2}f} {unit}", flush=True)


def target(path, params):
    return f"{path}?{urllib.parse.urlencode([tuple(p) for p in params])}\n"


class Load:
    """The queries, in the forms that each program reads."""

    def __init__(self, folder, seed):
        self.asked = list(queries.make(DATA, seed, QUERIES))
        self.requests, self.partial_requests, self.targets, self.partial = (
            os.path.join(folder, n) for n in ("requests", "partial_requests", "targets", "partial"))
        for _, path, params in self.asked:
            if not any(name == "limit" for name, _ in params):
                params.append(["limit", "5" if path == "/search/" else "1"])
        for file, wanted in ((self.requests, None), (self.partial_requests, "autocomplete")):
            with open(file, "w", encoding="utf-8") as out:
                out.writelines(json.dumps({"category": category, "path": path, "params": params, "status": 200}) + "\n"
                               for category, path, params in self.asked if wanted in (None, category))
        for file, wanted in ((self.targets, None), (self.partial, "autocomplete")):
            with open(file, "w", encoding="utf-8") as out:
                out.writelines(target(path, params) for category, path, params in self.asked
                               if wanted in (None, category))


class Addok:
    """Addok with a Redis of its own, in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = os.path.join(folder, "redis.sock")
        settings = os.path.join(folder, "settings.py")
        text = (peer.HOME / "settings.py").read_text(encoding="utf-8").replace(str(peer.HOME), folder)
        Path(settings).write_text(text, encoding="utf-8")
        self.environment = {**os.environ, "ADDOK_CONFIG_MODULE": settings, "PYTHONHASHSEED": "0"}
        self.bin = peer.HOME / "venv" / "bin"

    def __enter__(self):
        self.redis = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.folder,
                                       "--save", "", "--appendonly", "no", "--dbfilename", "addok.rdb"],
                                      stdout=subprocess.DEVNULL)
        wait(lambda: self.ask_redis("loading") == "0", "redis-server")
        return self

    def __exit__(self, *_):
        self.redis.terminate()
        self.redis.wait(DEADLINE_S)

    def ask_redis(self, name):
        """A figure of INFO, or None."""
        out = subprocess.run(["redis-cli", "-s", self.socket, "INFO"], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True).stdout
        found = re.search(f"^{name}:(.*)$", out, re.M)
        return found.group(1).strip() if found else None

    def import_data(self):
        """Seconds it took: its documents, then its n-grams."""
        with gzip.open(DATA) as packed, open(os.path.join(self.folder, "data.ndjson"), "wb") as out:
            shutil.copyfileobj(packed, out)
        began = time.perf_counter()
        for command in (["batch", out.name], ["ngrams"]):
            subprocess.run([self.bin / "addok", *command], env=self.environment, check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        return time.perf_counter() - began

    def search(self, requests, seconds):
        """What addok_core.py prints; on one core, with Redis there, too."""
        everywhere = os.sched_getaffinity(0)
        pin(self.redis.pid, {min(everywhere)})
        out = subprocess.run(["taskset", "-c", str(min(everywhere)), self.bin / "python",
                              os.path.join(ROOT, "bench/geocode/addok_core.py"), requests, str(seconds),
                              str(self.redis.pid)], env=self.environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        pin(self.redis.pid, everywhere)
        return json.loads(out[out.index("{"):])

    @contextlib.contextmanager
    def serve(self):
        """Two workers of gunicorn on a free port."""
        with open(os.path.join(self.folder, "gunicorn.log"), "w+", encoding="utf-8") as log:
            child = subprocess.Popen([self.bin / "gunicorn", "-w", str(WORKERS), "-b", "127.0.0.1:0",
                                      "addok.http.wsgi:application"], env=self.environment, stdout=log, stderr=log)
            try:
                address = wait(lambda: re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", Path(log.name).read_text()),
                               "gunicorn")
                wait(lambda: len(children(child.pid)) == WORKERS, "gunicorn's workers")
                pids = [*children(child.pid), self.redis.pid]
                yield Served(int(address.group(1)), pids)
            finally:
                child.terminate()
                child.wait(DEADLINE_S)


def pin(pid, cores):
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), cores)


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait(ready, what):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        found = ready()
        if found:
            return found
        time.sleep(0.05)
    raise SystemExit(f"bench: {what} did not get ready")


class Served:
    """A server under load: where it listens, and its processes."""

    def __init__(self, port, pids):
        self.port, self.pids = port, pids

    def cpu(self):
        return sum(map(cpu_seconds, self.pids))

    def most(self, file, seconds, connections):
        """(requests a second, requests a CPU second) of a closed loop."""
        self.wrk(file, 1, connections)
        before = self.cpu()
        count, took = self.wrk(file, seconds, connections)
        return count / took, count / max(self.cpu() - before, 0.01)

    def wrk(self, file, seconds, connections):
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}", "-s",
                              os.path.join(ROOT, "bench/geocode/targets.lua"), f"http://127.0.0.1:{self.port}/", "--", file],
                             stdout=subprocess.PIPE, text=True).stdout
        count, took = re.search(r"(\d+) requests in ([\d.]+)s", out).groups()
        return int(count), float(took)

    def latency(self, file, rate, seconds):
        """{"p50": ms, …} of an open loop."""
        out = subprocess.run([f"{BUILD}/bench/http/rate_load", "127.0.0.1", str(self.port), str(rate), str(seconds), "64",
                              file], stdout=subprocess.PIPE, text=True).stdout
        return {name: int(us) / 1000 for name, us in re.findall(r"^(p\d+|max) (\d+) us$", out, re.M)}


def latency_one_by_one(port, file, rate, seconds):
    """As Served.latency(), with a connection for each request: a worker of gunicorn would wait for the
    next request of an idle one, and keep everybody else waiting."""
    with open(file, encoding="utf-8") as lines:
        targets = [line.strip() for line in lines]
    started = time.perf_counter() + 0.1
    took = []

    def ask(n):
        due = started + n / rate
        time.sleep(max(0, due - time.perf_counter()))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        connection.request("GET", targets[n % len(targets)])
        connection.getresponse().read()
        connection.close()
        took.append(1000 * (time.perf_counter() - due))

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        list(pool.map(ask, range(int(rate * seconds))))
    return {"p50": quantile(took, .5), "p99": quantile(took, .99)}


def quantile(values, share):
    values = sorted(values)
    return values[int((len(values) - 1) * share)]


class Table:
    def __init__(self):
        self.rows = []

    def add(self, what, ours, theirs, unit, goal="", more_is_better=True):
        ratio = ours / theirs if more_is_better and theirs else theirs / ours if theirs and ours else 0
        self.rows.append((what, shown(ours), shown(theirs) if theirs else "", unit, f"{ratio:.1f}" if ratio else "", goal))

    def print(self):
        print("\n| | ours | Addok | | ratio | goal |\n|---|---|---|---|---|---|")
        for row in self.rows:
            print("| " + " | ".join(row) + " |")


def shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def bench_core(table, addok, load, seconds):
    core = str(min(os.sched_getaffinity(0)))
    for name, requests, what in (("mix", load.requests, "searches a second, one core, the whole mix"),
                                 ("autocomplete", load.partial_requests, "the same, autocompletion")):
        found = addok.search(requests, seconds)
        theirs = found["count"] / found["cpu_seconds"]
        out = subprocess.run(["taskset", "-c", core, f"{BUILD}/bench/geocode/bench_search", DATA, requests, str(ROUNDS)],
                             check=True, stdout=subprocess.PIPE, text=True).stdout
        ours = float(re.search(r"^turns_rate (\S+) queries/s$", out, re.M).group(1))
        say(f"core_{name}_ours", ours, "queries/s")
        say(f"core_{name}_addok", theirs, "queries/s")
        say(f"core_{name}_addok_p95", 1000 * quantile(found["took"], .95), "ms")
        table.add(what, ours, theirs, "1/s", "270")


def bench_http(table, index, addok, load, args):
    seconds = 3 if args.quick else 8
    with addok.serve() as served:
        theirs = served.most(load.targets, 4 if args.quick else 12, 8)
        their_latency = latency_one_by_one(served.port, load.targets, theirs[0] / 2, seconds)
        workers = sum(memory_kb(pid)["RssAnon"] for pid in served.pids[:-1]) / 1024
        redis = int(addok.ask_redis("used_memory")) / (1 << 20)
    say("http_addok", theirs[0], "1/s")
    say("http_addok_per_cpu", theirs[1], "1/s")
    for share, ms in their_latency.items():
        print(f"http_addok_half_rate_{share} {ms:.1f} ms")
    ours, rss = {}, 0
    for name, flags in (("uncached", ["--no-cache"]), ("cached", [])):
        with Server(index, *flags) as server:
            served = Served(server.port, [server.pid])
            rate, per_cpu = ours[name] = served.most(load.targets, seconds, 32)
            latency = served.latency(load.targets, round(rate / 2), seconds)
            partial_rate = served.most(load.partial, seconds / 2, 32)[0]
            partial = served.latency(load.partial, round(partial_rate / 2), seconds)
            rss = max(rss, memory_kb(server.pid)["VmHWM"] / 1024)
        say(f"http_{name}", rate, "1/s")
        say(f"http_{name}_per_cpu", per_cpu, "1/s")
        for what, found in (("half_rate", latency), ("autocomplete", partial)):
            for share, ms in found.items():
                print(f"http_{name}_{what}_{share} {ms:.3f} ms")
        goal = {"uncached": "20,000", "cached": "50,000"}[name]
        table.add(f"HTTP requests a second, {name}", rate, theirs[0], "1/s", goal)
        table.add(f"the same, a CPU second of the server, {name}", per_cpu, theirs[1], "1/s", goal)
        table.add(f"p50 at half that rate, {name}", latency["p50"], their_latency["p50"], "ms", "", False)
        table.add(f"p99 at half that rate, {name}", latency["p99"], their_latency["p99"], "ms", "5", False)
        table.add(f"p99 of autocompletion at half its rate ({partial_rate:,.0f} 1/s), {name}", partial["p99"], 0, "ms", "1", False)
    for name, value in (("memory_ours", rss), ("memory_addok_redis", redis), ("memory_addok_workers", workers)):
        say(name, value, "MiB")
    table.add("memory under load, the cache on", rss, redis + workers, "MiB", "150", False)


def bench_import(table, folder, addok, quick):
    index = os.path.join(folder, "france.idx")
    began = time.perf_counter()
    subprocess.run([f"{BUILD}/sextant", "geocode", "import", "-q", "-o", index, DATA], check=True)
    ours, theirs = time.perf_counter() - began, 0
    say("import_ours", ours, "s")
    if not quick:
        theirs = addok.import_data()
        say("import_addok", theirs, "s")
    table.add("import", ours, theirs, "s", "", False)
    return index


def reuse_import(folder):
    """Addok's import of an earlier `make parity`, if there is one and it is whole."""
    files = ("addok.db", "addok.rdb")
    if not (peer.HOME / "imported").exists() or not all((peer.HOME / f).exists() for f in files):
        return False
    for name in files:
        shutil.copy(peer.HOME / name, folder)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=77)
    args = parser.parse_args()
    for tool, package in (("redis-server", "redis-server"), ("redis-cli", "redis-tools"), ("wrk", "wrk"),
                          ("taskset", "util-linux")):
        if not shutil.which(tool):
            raise SystemExit(f"bench: {tool} is missing. Try: apt install {package}")
    peer.install()
    if not (peer.HOME / "venv" / "bin" / "gunicorn").exists():
        subprocess.run([peer.python(), "-m", "pip", "install", "-q", "--disable-pip-version-check", "gunicorn==27.0.1"],
                       check=True)
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        reused = args.quick and reuse_import(folder)
        load = Load(folder, args.seed)
        with Addok(folder) as addok:
            index = bench_import(table, folder, addok, reused)
            bench_core(table, addok, load, 6 if args.quick else 20)
            bench_http(table, index, addok, load, args)
        if not args.quick:
            rate, entries = bench_zipf(index, folder)
            table.add(f"hits of {entries:,.0f} answers in memory, Zipf (s = 1.2) over 100,000 queries", 100 * rate, 0, "%", "95")
    table.print()


if __name__ == "__main__":
    main()
