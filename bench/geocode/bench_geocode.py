#!/usr/bin/env python3
"""Measures `sextant geocode` on France: import, start, memory, and latency at a fixed rate.

    bench_geocode.py [--rate 5000] [--seconds 15]

Queries are the searches of tests/e2e/data/addok/truth-1000.ndjson.gz. Latency counts from the
intended send time (bench/http/rate_load.c), so a pause of the server cannot hide. Prints one line a
figure: name, value, unit.
"""
import argparse
import gzip
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BENCH_BUILD", os.path.join(ROOT, "build"))


def targets(path):
    with gzip.open(os.path.join(ROOT, "tests/e2e/data/addok/truth-1000.ndjson.gz"), "rt") as f, \
            open(path, "w", encoding="utf-8") as out:
        for line in f:
            case = json.loads(line)
            if case["path"] == "/search/":
                out.write(f"/search/?{urllib.parse.urlencode([tuple(p) for p in case['params']])}\n")


def memory_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return {k: int(v) for k, v in re.findall(r"(VmHWM|VmRSS|RssAnon|RssFile):\s+(\d+) kB", f.read())}


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(index):
    began = time.perf_counter()
    server = subprocess.Popen([f"{BUILD}/sextant", "geocode", "serve", "--index", index, "--listen", "127.0.0.1:0",
                               f"--access_log={os.path.dirname(index)}/access.log"],
                              stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        if line.startswith("ready "):
            ready_ms = (time.perf_counter() - began) * 1000
            return server, int(re.search(r"http=127\.0\.0\.1:(\d+)", line).group(1)), ready_ms
    raise SystemExit("the server did not get ready")


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
            server, port, ready_ms = start(index)
            starts.append(ready_ms)
            server.terminate()
            server.wait()
        print(f"geocode_start {sorted(starts)[2]:.1f} ms")
        server, port, _ = start(index)
        list_file = os.path.join(tmp, "targets")
        targets(list_file)
        before = cpu_seconds(server.pid)
        out = subprocess.run([f"{BUILD}/bench/http/rate_load", "127.0.0.1", str(port), str(args.rate),
                              str(args.seconds), "64", list_file], stdout=subprocess.PIPE, text=True).stdout
        for line in out.splitlines():
            print(f"geocode_at_{args.rate}_{line}")
        print(f"geocode_cpu_share {(cpu_seconds(server.pid) - before) / args.seconds:.3f} cores")
        for name, kb in memory_kb(server.pid).items():
            print(f"geocode_{name} {kb / 1024:.1f} MB")
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
