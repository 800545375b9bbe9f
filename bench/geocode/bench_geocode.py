#!/usr/bin/env python3
"""Measures `sextant geocode` on France: import, start, memory, latency at a fixed rate, and as many
requests as it answers, with and without its cache.

    bench_geocode.py [--rate 5000] [--seconds 15]

Queries are the searches of tests/e2e/data/addok/truth-1000.ndjson.gz. Latency counts from the
intended send time (bench/http/rate_load.c), so a pause of the server cannot hide. Throughput is
wrk's, one thread of it; per CPU second counts what the server used, whatever the load generator
left it. The Zipf load (s = 1.2) is over 100,000 different queries. Prints one line a figure: name,
value, unit.
"""
import argparse
import gzip
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("BENCH_BUILD", os.path.join(ROOT, "build"))
ZIPF_S, ZIPF_QUERIES, ZIPF_WARM, ZIPF_ASKED = 1.2, 100_000, 600_000, 300_000
BATCH_ROWS = 100_000
ZIPF_CACHE = "31MiB"  # room for some 20,000 of these answers


def targets(path):
    with gzip.open(os.path.join(ROOT, "tests/e2e/data/addok/truth-1000.ndjson.gz"), "rt") as f, \
            open(path, "w", encoding="utf-8") as out:
        for line in f:
            case = json.loads(line)
            if case["path"] == "/search/":
                out.write(f"/search/?{urllib.parse.urlencode([tuple(p) for p in case['params']])}\n")


def addresses():
    """"12 Rue de la Paix Paris", for every house number in the data."""
    with gzip.open(os.path.join(ROOT, "data/france.ndjson.gz"), "rt", encoding="utf-8") as f:
        for line in f:
            street = json.loads(line)
            name, city = (v[0] if isinstance(v, list) else v for v in (street["name"], street.get("city", "")))
            for number in street.get("housenumbers", ()):
                yield f"{number} {name} {city}"


def zipf_targets(folder):
    """Two files of draws: to fill the cache, and to measure."""
    pick = random.Random(5)
    queries = list(dict.fromkeys(itertools.islice(addresses(), ZIPF_QUERIES * 2)))
    pick.shuffle(queries)
    queries = ["/search/?" + urllib.parse.urlencode({"q": q}) for q in queries[:ZIPF_QUERIES]]
    weights = list(itertools.accumulate((rank + 1) ** -ZIPF_S for rank in range(len(queries))))
    for name, count in (("warm", ZIPF_WARM), ("asked", ZIPF_ASKED)):
        with open(os.path.join(folder, f"zipf_{name}"), "w", encoding="utf-8") as out:
            out.writelines(q + "\n" for q in pick.choices(queries, cum_weights=weights, k=count))
    return len(queries)


def memory_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return {k: int(v) for k, v in re.findall(r"(VmHWM|VmRSS|RssAnon|RssFile):\s+(\d+) kB", f.read())}


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """`sextant geocode serve` on a free port."""

    def __init__(self, index, *flags):
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [f"{BUILD}/sextant", "geocode", "serve", "--index", index, "--listen", "127.0.0.1:0",
             f"--access_log={os.path.dirname(index)}/access.log", f"--log.path={os.path.dirname(index)}/log", *flags],
            stderr=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        for line in self.process.stderr:
            if line.startswith("ready "):
                self.ready_ms = (time.perf_counter() - began) * 1000
                self.port = int(re.search(r"http=127\.0\.0\.1:(\d+)", line).group(1))
                return
        raise SystemExit("the server did not get ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as reply:
            found = re.search("^" + re.escape(name) + r" (\S+)$", reply.read().decode(), re.M)
        return float(found.group(1)) if found else 0.0

    def at_rate(self, name, rate, seconds, file):
        before = cpu_seconds(self.pid)
        out = subprocess.run([f"{BUILD}/bench/http/rate_load", "127.0.0.1", str(self.port), str(rate), str(seconds),
                              "64", file], stdout=subprocess.PIPE, text=True).stdout
        for line in out.splitlines():
            print(f"{name}_at_{rate}_{line}")
        print(f"{name}_at_{rate}_cpu {(cpu_seconds(self.pid) - before) / seconds:.3f} cores", flush=True)

    def load(self, file, seconds, encoding=None):
        """As many as it answers: requests, seconds, seconds of the server's CPU."""
        before = cpu_seconds(self.pid)
        header = ["-H", f"Accept-Encoding: {encoding}"] if encoding else []
        out = subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}", *header, "-s", f"{HERE}/targets.lua",
                              f"http://127.0.0.1:{self.port}/", "--", file], stdout=subprocess.PIPE, text=True).stdout
        count, took = re.search(r"(\d+) requests in ([\d.]+)s", out).groups()
        return int(count), float(took), max(cpu_seconds(self.pid) - before, 0.01)

    def throughput(self, name, file, seconds, encoding=None):
        self.load(file, 1, encoding)
        count, took, cpu = self.load(file, seconds, encoding)
        print(f"{name} {count / took:.0f} 1/s")
        print(f"{name}_per_cpu {count / cpu:.0f} 1/s", flush=True)


def bench_zipf(index, folder):
    """The hit rate of the memory tier, and how many answers are in it."""
    queries = zipf_targets(folder)
    with Server(index, f"--cache.bytes_max={ZIPF_CACHE}") as server:
        for name, count in (("warm", ZIPF_WARM), ("asked", ZIPF_ASKED)):
            asked = 'cache_requests_total{cache="geocode",result="%s"}'
            hits, misses = (server.metric(asked % r) for r in ("hit", "miss"))
            began = server.metric('addok_geocoding_requests_total{endpoint="search",status="200"}')
            seconds = 2
            while server.metric('addok_geocoding_requests_total{endpoint="search",status="200"}') - began < count:
                server.load(os.path.join(folder, f"zipf_{name}"), seconds)
                seconds = 8
            hits, misses = (server.metric(asked % r) - b for r, b in (("hit", hits), ("miss", misses)))
        print(f"geocode_zipf_queries {queries} 1")
        entries = server.metric('cache_entries{cache="geocode"}')
        print(f"geocode_zipf_entries {entries:.0f} 1")
        print(f"geocode_zipf_hit_rate {hits / (hits + misses):.4f} 1")
        print(f"geocode_zipf_resident {memory_kb(server.pid)['VmRSS'] / 1024:.1f} MB", flush=True)
    return hits / (hits + misses), entries


def bench_batch(index, folder):
    """Rows a second of `sextant geocode batch`, on all cores: wall and CPU time."""
    table = os.path.join(folder, "rows.csv")
    with open(table, "w", encoding="utf-8") as out:
        out.write("n;q\n")
        out.writelines(f"{i};{q}\n" for i, q in enumerate(itertools.islice(addresses(), BATCH_ROWS)))
    before = os.times()
    subprocess.run([f"{BUILD}/sextant", "geocode", "batch", "-q", "--index", index, "--columns", "q",
                    "-o", os.path.join(folder, "found.csv"), table], check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"geocode_batch {BATCH_ROWS / (after.elapsed - before.elapsed):.0f} rows/s")
    print(f"geocode_batch_per_cpu {BATCH_ROWS / cpu:.0f} rows/s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--seconds", type=int, default=15)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        index = os.path.join(tmp, "france.idx")
        began = time.perf_counter()
        subprocess.run([f"{BUILD}/sextant", "geocode", "import", "-q", "-o", index,
                        os.path.join(ROOT, "data/france.ndjson.gz")], check=True)
        print(f"geocode_import {time.perf_counter() - began:.2f} s")
        print(f"geocode_index {os.path.getsize(index) / 1e6:.1f} MB")
        starts = []
        for _ in range(5):
            with Server(index) as server:
                starts.append(server.ready_ms)
                idle = memory_kb(server.pid)["VmRSS"]
        print(f"geocode_start {sorted(starts)[2]:.1f} ms")
        print(f"geocode_idle {idle / 1024:.1f} MB", flush=True)
        bench_batch(index, tmp)
        list_file = os.path.join(tmp, "targets")
        targets(list_file)
        for name, flags in (("geocode", ["--no-cache"]), ("geocode_cached", [])):
            with Server(index, *flags) as server:
                server.at_rate(name, args.rate, args.seconds, list_file)
                for what, kb in memory_kb(server.pid).items():
                    print(f"{name}_{what} {kb / 1024:.1f} MB")
        if not shutil.which("wrk"):
            return
        for name, flags in (("geocode_uncached", ["--no-cache"]), ("geocode_cached", [])):
            with Server(index, *flags) as server:
                server.throughput(name, list_file, 6)
                server.throughput(f"{name}_gzip", list_file, 4, "gzip")
        bench_zipf(index, tmp)


if __name__ == "__main__":
    main()
