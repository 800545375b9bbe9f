#!/usr/bin/python3
"""beside_jaeger.py - the trace store, Jaeger (memory, Badger) and VictoriaTraces on the same spans, as a table.

    bench/observe/beside_jaeger.py [--quick] [--spans N] [--only ours,jaeger-memory,jaeger-badger,victoria]

Each server runs alone, by turns, on a folder of its own: OTLP over HTTP and over gRPC (spans a second of
the server's CPU time, what it does in the seconds behind counted too), resident memory while 50,000 spans
a second come in, bytes on disk after a clean stop, the questions of Jaeger's pages (median and 99th
percentile of 50, over Jaeger's HTTP API), and the time from a start after kill -9 to the first right
answer. Spans are span_load.h's: 12 services, about 8 attributes, two of them unlike any other's, 500 a
request. Peers are those of `make peers`; one that is not there is left out. Badger takes a tenth of the
spans, as it would run for minutes. The last column is our figure beside the best peer's: above 1 we are
ahead. Nothing waits longer than PATIENCE_S. --quick: 500,000 spans, three minutes.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
FEED = os.path.join(ROOT, "build/bench/observe/span_feed")
PEERS = os.path.join(ROOT, ".cache/peers/bin")
BINARIES = {"ours": os.path.join(ROOT, "build/sextant"),
            "jaeger-memory": os.path.join(PEERS, "jaeger"),
            "jaeger-badger": os.path.join(PEERS, "jaeger"),
            "victoria": os.path.join(PEERS, "victoria-traces")}
PATIENCE_S, ASKED, RATE, SETTLE_S = 60, 50, 50000, 5
NEVER = float("inf")

HTTP, GRPC = "OTLP/HTTP, spans a CPU-second", "OTLP/gRPC, spans a CPU-second"
MEMORY, DISK = "resident MB at 50,000 spans/s", "disk bytes a span"
RESTART = "first answer after kill -9, s"
QUESTIONS = ("trace by id", "absent id", "service and operation", "rare tag", "absent tag",
             "long duration", "dependencies")
ROWS = (HTTP, GRPC, MEMORY, DISK) + tuple(f"{q}, {p} ms" for q in QUESTIONS
                                          for p in ("p50", "p99")) + (RESTART,)
MORE_IS_BETTER = (HTTP, GRPC)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One server under test: started, fed, asked, killed."""

    def __init__(self, name, folder):
        self.name, self.folder, self.process = name, folder, None
        self.port = {k: free_port() for k in ("web", "http", "grpc", "query", "a", "b", "c")}
        os.makedirs(folder)

    def command(self):
        at, data = {k: f"127.0.0.1:{v}" for k, v in self.port.items()}, self.data()
        if self.name == "ours":
            config = os.path.join(self.folder, "prometheus.yml")
            with open(config, "w", encoding="ascii") as f:
                f.write("{}\n")
            off = [f"--{x}=" for x in ("jaeger.grpc", "jaeger.http", "jaeger.compact", "jaeger.binary",
                                       "zipkin", "jaeger.query-grpc")]
            return [BINARIES["ours"], "observe", f"--config.file={config}", f"--storage.tsdb.path={data}",
                    f"--web.listen-address={at['web']}", f"--otlp.grpc={at['grpc']}",
                    f"--otlp.http={at['http']}", f"--jaeger.query={at['query']}"] + off
        if self.name == "victoria":
            return [BINARIES["victoria"], f"-storageDataPath={data}", f"-httpListenAddr={at['http']}",
                    "-retentionPeriod=100y", "-loggerLevel=ERROR"]
        badger = ["--badger.ephemeral=false", f"--badger.directory-key={data}/key",
                  f"--badger.directory-value={data}/value"] if self.name == "jaeger-badger" else []
        return [BINARIES[self.name], f"--collector.otlp.http.host-port={at['http']}",
                "--collector.otlp.enabled=true", f"--collector.otlp.grpc.host-port={at['grpc']}",
                f"--query.http-server.host-port={at['query']}",
                f"--query.grpc-server.host-port={at['web']}", f"--admin.http.host-port={at['a']}",
                f"--collector.grpc-server.host-port={at['b']}",
                f"--collector.http-server.host-port={at['c']}", "--log-level=error"] + badger

    def data(self):
        return os.path.join(self.folder, "data")

    def start(self):
        kind = "badger" if self.name == "jaeger-badger" else "memory"
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                        env=dict(os.environ, SPAN_STORAGE_TYPE=kind))
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.ask("/api/services")
                return
            except (OSError, ValueError):
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{self.name} did not start; see {self.folder}/log")
            time.sleep(0.01)

    def end(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait(PATIENCE_S)

    def cpu(self):
        """Seconds of all its threads, to the nanosecond: the kernel's clock of a process by its id."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def rss(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))

    def disk(self):
        return sum(os.path.getsize(os.path.join(folder, name))
                   for folder, _, names in os.walk(self.data()) for name in names)

    def ask(self, path, **params):
        port, before = self.port["query"], ""
        if self.name == "victoria":
            port, before = self.port["http"], "/select/jaeger"
        url = f"http://127.0.0.1:{port}{before}{path}?{urllib.parse.urlencode(params)}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as r:
            return json.load(r)["data"]

    def feed(self, kind, spans, rate=0):
        """Trace ids that were sent, and how many spans."""
        port = self.port[kind]
        if self.name == "victoria" and kind == "http":
            port = self.port["http"]
        lines = subprocess.run([FEED, kind, f"127.0.0.1:{port}", str(spans), str(rate), "2"],
                               capture_output=True, text=True, check=True).stdout.split("\n")
        told = [line.split() for line in lines if line]
        return ([w[1] for w in told if w[0] == "trace"],
                next(int(w[1]) for w in told if w[0] == "spans"))


def measure_intake(server, kind, spans):
    cpu = server.cpu()
    ids, sent = server.feed(kind, spans)
    time.sleep(SETTLE_S)
    return ids, sent, sent / (server.cpu() - cpu)


def measure_memory(server, seconds):
    feed = subprocess.Popen([FEED, "http", f"127.0.0.1:{server.port['http']}", str(RATE * seconds),
                             str(RATE), "2"], stdout=subprocess.DEVNULL)
    most = 0
    while feed.poll() is None:
        most = max(most, server.rss())
        time.sleep(0.2)
    return most


def found(server, trace_id):
    try:
        traces = server.ask(f"/api/traces/{trace_id}")
        return bool(traces and traces[0]["spans"])
    except (OSError, ValueError, KeyError):
        return False


def measure_questions(server, ids, result):
    end = int(time.time() * 1e6)
    base = {"service": "service-3", "start": end - 3600 * 10**6, "end": end, "limit": 20}
    asks = {
        "trace by id": lambda i: server.ask(f"/api/traces/{ids[i % len(ids)]}"),
        "absent id": lambda i: server.ask(f"/api/traces/{i + 1:032x}"),
        "service and operation": lambda i: server.ask(
            "/api/traces", operation="GET /api/users/{id}", **base),
        "rare tag": lambda i: server.ask(
            "/api/traces", tags=json.dumps({"enduser.id": f"user-{7919 * (i + 1) % 100000}"}), **base),
        "absent tag": lambda i: server.ask(
            "/api/traces", tags=json.dumps({"enduser.id": f"nobody-{i}"}), **base),
        "long duration": lambda i: server.ask("/api/traces", minDuration="100s", **base),
        "dependencies": lambda i: server.ask("/api/dependencies", endTs=end // 1000,
                                             lookback=3600 * 1000),
    }
    for name, one in asks.items():
        times, begun = [], time.monotonic()
        for i in range(-3, ASKED):
            before = time.monotonic()
            try:
                one(i if i >= 0 else ASKED + i)
            except urllib.error.HTTPError as e:
                if e.code != 404:
                    break
            if i >= 0:
                times.append((time.monotonic() - before) * 1000)
            if times and before - begun > PATIENCE_S / 15:
                break
        if times:
            times.sort()
            result[f"{name}, p50 ms"] = times[len(times) // 2]
            result[f"{name}, p99 ms"] = times[len(times) * 99 // 100]


def measure_restart(server, ids):
    server.end()
    before = time.monotonic()
    log = open(os.path.join(server.folder, "log"), "ab")
    kind = "badger" if server.name == "jaeger-badger" else "memory"
    server.process = subprocess.Popen(server.command(), stdout=log, stderr=log,
                                      env=dict(os.environ, SPAN_STORAGE_TYPE=kind))
    while time.monotonic() < before + PATIENCE_S / 4:
        if found(server, ids[0]):
            return time.monotonic() - before
        time.sleep(0.005)
    return NEVER


def run(name, args, folder):
    server, result = Server(name, folder), {}
    spans = args.spans // (10 if name == "jaeger-badger" else 1)
    server.start()
    ids, sent, result[HTTP] = measure_intake(server, "http", spans)
    if name != "victoria":
        ids, more, result[GRPC] = measure_intake(server, "grpc", spans)
        sent += more
    if name != "jaeger-memory":  # which has nothing left after a stop
        server.end(signal.SIGTERM)
        result[DISK] = server.disk() / sent
        server.start()
    measure_questions(server, ids, result)
    if name != "jaeger-badger":
        result[MEMORY] = measure_memory(server, args.seconds)
    ids, _ = server.feed("http", spans // 20)
    deadline = time.monotonic() + PATIENCE_S / 4  # VictoriaTraces shows spans after some seconds
    while not found(server, ids[0]) and time.monotonic() < deadline:
        time.sleep(0.1)
    result[RESTART] = measure_restart(server, ids)
    server.end()
    return result


def shown(value):
    if value is None:
        return "-"
    if value == NEVER:
        return "never"
    return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


def ahead(row, results):
    """How many times better ours is than the best peer."""
    ours = results.get("ours", {}).get(row)
    peers = [r[row] for name, r in results.items() if name != "ours" and row in r]
    if not ours or not peers:
        return ""
    ratio = ours / max(peers) if row in MORE_IS_BETTER else min(peers) / ours
    return f"{ratio:.2f}"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--spans", type=int, default=2000000, help="over each protocol")
    p.add_argument("--seconds", type=int, default=30, help="of steady load")
    p.add_argument("--quick", action="store_true", help="500,000 spans, 10 s of steady load")
    p.add_argument("--only", default="ours,jaeger-memory,jaeger-badger,victoria")
    args = p.parse_args()
    if args.quick:
        args.spans, args.seconds = 500000, 10
    results, top = {}, tempfile.mkdtemp(prefix="bench-traces-")
    try:
        for name in args.only.split(","):
            if not os.path.exists(BINARIES[name]):
                print(f"{name} is not there: make peers builds it", file=sys.stderr)
                continue
            before = time.monotonic()
            results[name] = run(name, args, os.path.join(top, name))
            print(f"{name} measured in {time.monotonic() - before:.0f} s", file=sys.stderr)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(f"{args.spans} spans over each protocol")
    print(f"{'':36s}" + "".join(f"{n:>15s}" for n in results) + f"{'ahead':>10s}")
    for row in ROWS:
        print(f"{row:36s}" + "".join(f"{shown(r.get(row)):>15s}" for r in results.values()) +
              f"{ahead(row, results):>10s}")


if __name__ == "__main__":
    main()
