#!/usr/bin/python3
"""beside_prometheus.py - the observatory, Prometheus and VictoriaMetrics on the same load, as a table.

    bench/observe/beside_prometheus.py [--quick] [--series N] [--only ours,prometheus,victoria]

Each server runs alone, by turns, on a folder of its own: remote write (CPU time of the server a sample),
scraping, resident memory and disk, twenty queries such as dashboards send (summed, cold), and the time
from a start after kill -9 to the first right answer. Peers are those of `make peers`; one that is not
there is left out. CPU time is the server's own, so the load generator's share does not count. The last
column is our figure beside the better peer's: above 1 we are ahead. Nothing waits longer than PATIENCE_S
for a server: what did not come by then is printed as "never". --quick: 20,000 series, three minutes.
"""
import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
FEED = os.path.join(ROOT, "build/bench/observe/feed")
PEERS = os.path.join(ROOT, ".cache/peers/bin")
STEP_MS = 15000
PATIENCE_S = 60
FLUSH_S = 12  # VictoriaMetrics loses what came in the last seconds before a kill: it is given time
NEVER = float("inf")

WRITE, SCRAPE = "remote write, samples a CPU-second", "scraping, samples a CPU-second"
MEMORY, DISK, LOG = "resident bytes a series", "disk bytes a sample", "of these the log"
INSTANT, RANGE = "20 instant queries, ms", "20 range queries, s"
RESTART = "first answer after kill -9, s"
ROWS = (WRITE, SCRAPE, MEMORY, DISK, LOG, INSTANT, RANGE, RESTART)
MORE_IS_BETTER = (WRITE, SCRAPE)

# What a dashboard asks; each metric is 7 (total) or 3 (value) series an instance of 100.
QUERIES = [
    "sum(rate(node_feed_1_total[5m]))",
    "sum by (mode) (rate(node_feed_2_total[5m]))",
    "sum by (instance) (rate(node_feed_3_total[5m]))",
    "topk(10, rate(node_feed_4_total[5m]))",
    "avg by (device) (node_feed_5_value)",
    "max by (instance) (node_feed_6_value)",
    "quantile(0.95, rate(node_feed_7_total[5m]))",
    "count(node_feed_8_total)",
    "node_feed_9_total{instance=\"host-1:9100\"}",
    "rate(node_feed_0_total{instance=~\"host-1.*\"}[5m])",
    "sum(increase(node_feed_1_total[1h]))",
    "max_over_time(node_feed_2_value[30m])",
    "avg_over_time(node_feed_3_value[30m])",
    "sum by (mode) (rate(node_feed_4_total[5m])) / ignoring(mode) group_left sum(rate(node_feed_4_total[5m]))",
    "node_feed_5_value / on (instance, device, mode) node_feed_6_value",
    "histogram_quantile(0.9, sum by (le) (rate(node_feed_7_total[5m])))",
    "stddev by (mode) (node_feed_8_value)",
    "count({__name__=~\"node_feed_[23]_total\"}) by (mode)",
    "deriv(node_feed_0_value[15m])",
    "count by (instance) (up) or count by (instance) (node_feed_1_value)",
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One server under test: started, asked, measured, killed."""

    def __init__(self, name, folder):
        self.name, self.folder, self.port, self.process = name, folder, free_port(), None
        self.config = os.path.join(folder, "prometheus.yml")
        self.write_config([])

    def write_config(self, targets, port=0):
        jobs = [{"job_name": f"t{i}", "metrics_path": f"/metrics/{i}",
                 "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for i in targets]
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                       "scrape_configs": jobs}, f)  # JSON is YAML

    def command(self):
        data, address = os.path.join(self.folder, "data"), f"127.0.0.1:{self.port}"
        prometheus = [f"--config.file={self.config}", f"--storage.tsdb.path={data}",
                      f"--web.listen-address={address}", "--web.enable-remote-write-receiver",
                      "--storage.tsdb.retention.time=100y"]
        return {
            "ours": [os.path.join(ROOT, "build/sextant"), "observe"] + prometheus,
            "prometheus": [os.path.join(PEERS, "prometheus")] + prometheus,
            "victoria": [os.path.join(PEERS, "victoria-metrics"), f"-storageDataPath={data}",
                         f"-httpListenAddr={address}", "-retentionPeriod=100y",
                         f"-promscrape.config={self.config}", "-loggerLevel=ERROR",
                         "-search.maxStalenessInterval=5m", "-search.latencyOffset=0s"],
        }[self.name]

    def start(self):
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        path = "/health" if self.name == "victoria" else "/-/ready"
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as r:
                    if r.status == 200:
                        return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{self.name} did not start; see {self.folder}/log")
            time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def cpu(self):
        """Seconds of all its threads, to the nanosecond: the kernel's clock of a process by its id."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def rss(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))

    def disk(self, part=""):
        return sum(os.path.getsize(os.path.join(folder, name))
                   for folder, _, names in os.walk(os.path.join(self.folder, "data", part))
                   for name in names)

    def ask(self, path, **params):
        if self.name == "victoria":
            params["nocache"] = "1"
        data = urllib.parse.urlencode(params).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as r:
            return json.load(r)["data"]["result"]


def measure_write(server, series, steps, start):
    cpu = server.cpu()
    out = subprocess.run([FEED, "write", f"127.0.0.1:{server.port}/api/v1/write", str(series),
                          str(steps), str(start), str(STEP_MS)], capture_output=True, text=True,
                         check=False).stdout
    told = dict(line.split() for line in out.splitlines())
    if told.get("refused") != "0":
        print(f"  {server.name} refused {told.get('refused')} requests", file=sys.stderr)
    return float(told["samples"]) / (server.cpu() - cpu), float(told["samples"])


def measure_queries(server, end, hours, step):
    """Seconds of all queries at the end, and over the range; and of each."""
    each = []
    for query in QUERIES:
        before = time.monotonic()
        server.ask("/api/v1/query", query=query, time=end / 1000)
        middle = time.monotonic()
        server.ask("/api/v1/query_range", query=query, start=end / 1000 - hours * 3600,
                   end=end / 1000, step=step)
        each.append((middle - before, time.monotonic() - middle))
    return sum(e[0] for e in each), sum(e[1] for e in each), each


def measure_restart(server, end):
    want = server.ask("/api/v1/query", query="count(node_feed_1_total)", time=end / 1000)
    server.kill()
    before = time.monotonic()
    log = open(os.path.join(server.folder, "log"), "ab")
    server.process = subprocess.Popen(server.command(), stdout=log, stderr=log)
    while time.monotonic() < before + PATIENCE_S:
        try:
            got = server.ask("/api/v1/query", query="count(node_feed_1_total)", time=end / 1000)
            if got and got[0]["value"][1] == want[0]["value"][1]:
                return time.monotonic() - before
        except (urllib.error.URLError, ConnectionError, TimeoutError, KeyError):
            pass
        time.sleep(0.005)
    return NEVER


def measure_scrape(server, targets, series, seconds):
    feed = subprocess.Popen([FEED, "serve", "0", str(targets), str(series)],
                            stdout=subprocess.PIPE, text=True)
    try:
        port = int(feed.stdout.readline().split()[1])
        server.write_config(range(targets), port)
        server.start()
        time.sleep(4)  # series are made, caches are warm
        cpu, before = server.cpu(), time.monotonic()
        time.sleep(seconds)
        spent, elapsed = server.cpu() - cpu, time.monotonic() - before
        return targets * series * elapsed / spent
    finally:
        if server.process:
            server.kill()
        feed.kill()


def run(name, args, folder):
    os.makedirs(folder)
    server, result = Server(name, folder), {}
    start = int(time.time() * 1000) - args.hours * 3600 * 1000
    start -= start % STEP_MS
    steps = args.hours * 3600 * 1000 // STEP_MS
    end = start + (steps - 1) * STEP_MS
    server.start()
    base = server.rss()
    result[WRITE], samples = measure_write(server, args.series, steps, start)
    result[MEMORY] = (server.rss() - base) / args.series
    if name == "victoria":  # it keeps the newest samples in memory for some seconds
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/internal/force_flush").read()
        time.sleep(FLUSH_S)
    result[DISK] = server.disk() / samples
    if name != "victoria":
        result[LOG] = server.disk("wal") / samples
    instant, over, each = measure_queries(server, end, args.hours, 60)
    result[INSTANT], result[RANGE] = instant * 1000, over
    result["each"] = each
    result[RESTART] = measure_restart(server, end)
    server.kill()
    scrape_folder = folder + "-scrape"
    os.makedirs(scrape_folder)
    result[SCRAPE] = measure_scrape(Server(name, scrape_folder), 10, args.series // 5, args.seconds)
    return result


def shown(value):
    if value is None:
        return "-"
    if value == NEVER:
        return "never"
    return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


def ahead(row, results):
    """How many times better ours is than the better peer."""
    ours = results.get("ours", {}).get(row)
    peers = [r[row] for name, r in results.items() if name != "ours" and row in r]
    if not ours or not peers:
        return ""
    ratio = ours / max(peers) if row in MORE_IS_BETTER else min(peers) / ours
    return f"{ratio:.2f}"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--series", type=int, default=100000)
    p.add_argument("--hours", type=int, default=1, help="of samples, every 15 s")
    p.add_argument("--seconds", type=int, default=20, help="of scraping, every second")
    p.add_argument("--quick", action="store_true", help="20,000 series")
    p.add_argument("--only", default="ours,prometheus,victoria")
    p.add_argument("--queries", action="store_true", help="print the time of each query, too")
    args = p.parse_args()
    if args.quick:
        args.series, args.seconds = 20000, 10
    results, top = {}, tempfile.mkdtemp(prefix="bench-metrics-")
    try:
        for name in args.only.split(","):
            binary = {"prometheus": "prometheus", "victoria": "victoria-metrics"}.get(name)
            if binary and not os.path.exists(os.path.join(PEERS, binary)):
                print(f"{name} is not there: make peers builds it", file=sys.stderr)
                continue
            before = time.monotonic()
            results[name] = run(name, args, os.path.join(top, name))
            print(f"{name} measured in {time.monotonic() - before:.0f} s", file=sys.stderr)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    names = list(results)
    print(f"{args.series} series, {args.hours} h every 15 s")
    print(f"{'':40s}" + "".join(f"{n:>14s}" for n in names) + f"{'ahead':>10s}")
    for row in ROWS:
        print(f"{row:40s}" + "".join(f"{shown(results[n].get(row)):>14s}" for n in names) +
              f"{ahead(row, results):>10s}")
    if args.queries:
        for i, query in enumerate(QUERIES):
            print("  ".join(f"{results[n]['each'][i][0] * 1000:8.1f} {results[n]['each'][i][1] * 1000:9.1f}"
                            for n in names) + "  " + query)


if __name__ == "__main__":
    main()
