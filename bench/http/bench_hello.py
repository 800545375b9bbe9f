#!/usr/bin/python3
"""bench_hello.py - examples/hello (metrics, request id, access log to a file) beside nginx's plain
`return 200` (no log), in one run, taking turns. `chain` is the same with everything on: spans of 1 %
of the requests exported, a rate limit for each client, a breaker around the handler.

Client and server share the machine's cores, so the figure is requests per second of CPU time that
the server used, from /proc/PID/stat; the ratio is ours by nginx's. Then: HTTP/2 by h2load, latency
at a fixed rate from the intended send time (build/bench/http/rate_load), and the memory of 15,000
idle keep-alive connections. Prints `name value unit` a line.

    bench/http/bench_hello.py [--build build] [--rounds 3] [--seconds 4]
"""
import argparse
import http.server
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
NGINX = """
worker_processes %d;
daemon off;
pid %s/nginx.pid;
error_log %s/error.log;
events { worker_connections 20000; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s;
    uwsgi_temp_path %s; scgi_temp_path %s;
    server {
        listen 127.0.0.1:%d reuseport;
        location / { default_type text/plain; return 200 "hello, world\\n"; }
    }
}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens on port {port}")


def family(pid):
    """The process and its children."""
    pids = [pid]
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as f:
                    if int(f.read().rsplit(b")", 1)[1].split()[1]) == pid:
                        pids.append(int(entry))
            except OSError:
                pass
    return pids


def cpu_seconds(pid):
    total = 0
    for p in family(pid):
        with open(f"/proc/{p}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


class Server:
    def __init__(self, name, argv, port, env=None, log=None):
        self.name, self.port, self.log = name, port, log
        self.process = subprocess.Popen(
            argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(port)

    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def measured(server, argv, pattern):
    """Runs a load generator; requests done and CPU seconds that the server used."""
    before = cpu_seconds(server.process.pid)
    out = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout
    used = cpu_seconds(server.process.pid) - before
    if server.log and os.path.exists(server.log):
        os.truncate(server.log, 0)
    found = re.search(pattern, out)
    if not found:
        sys.exit(f"no figure in the output of {argv[0]}:\n{out}")
    return int(found[1]), used, out


def compare(title, servers, command, pattern, rounds):
    totals = {s.name: [0, 0.0] for s in servers}
    for _ in range(rounds):
        for s in servers:
            requests, used, _ = measured(s, command(s), pattern)
            totals[s.name][0] += requests
            totals[s.name][1] += used
    per_second = {name: n / used for name, (n, used) in totals.items()}
    for name, figure in per_second.items():
        print(f"{title}_{name} {figure:.0f} requests/cpu-s")
    for name, figure in per_second.items():
        if name != "nginx" and "nginx" in per_second:
            print(f"{title}_{name}_ratio {figure / per_second['nginx']:.3f} x")
    sys.stdout.flush()


def fixed_rate(servers, tool, folder, rate, seconds):
    """Latency at a rate that both can take, from the intended send time, taking turns."""
    if not os.path.exists(tool):
        print(f"# fixed rate: skipped, {tool} is not built")
        return
    targets = f"{folder}/targets"
    with open(targets, "w") as f:
        f.write("/\n")
    for s in servers:
        argv = [tool, "127.0.0.1", str(s.port), str(rate), str(seconds), "64", targets]
        out = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout
        for line in out.splitlines():
            print(f"rate_{rate}_{s.name}_{line}")
    sys.stdout.flush()


def idle_connections(server, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 100:
        print(f"# idle connections: skipped, {hard} files allowed, {count + 100} needed")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = resident_kb(server.process.pid)
    held = []
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", server.port), 10)
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        held.append(s)
    for s in held:
        data = b""
        while not data.endswith(b"hello, world\n"):
            piece = s.recv(4096)
            if not piece:
                sys.exit("a connection was closed")
            data += piece
    after = resident_kb(server.process.pid)
    print(f"idle_{count}_before {before / 1024:.1f} MiB")
    print(f"idle_{count}_after {after / 1024:.1f} MiB")
    print(f"idle_connection {(after - before) * 1024 / count:.0f} bytes")
    for s in held:
        s.close()


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes what the exporter sends, unread."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def chain_server(args, folder):
    """The whole chain, and the collector that its spans go to; None where it is not built."""
    program = f"{args.build}/bench/http/hello_chain"
    if not os.path.exists(program):
        print(f"# chain: skipped, {program} is not built")
        return None
    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    log, port = f"{folder}/chain.log", free_port()
    tracing = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }
    argv = [program, f"--listen=127.0.0.1:{port}", f"--access_log={log}", "--limits.rate=100000000/second"]
    return Server("chain", argv, port, env=dict(os.environ, **tracing), log=log)


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--build", default="build")
    ask.add_argument("--rounds", type=int, default=3)
    ask.add_argument("--seconds", type=int, default=4)
    ask.add_argument("--idle", type=int, default=15000)
    args = ask.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt install wrk")
    nginx_path = shutil.which("nginx") or "/usr/sbin/nginx"
    cores = os.cpu_count()
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        log, ours, theirs = f"{d}/access.log", free_port(), free_port()
        servers = [
            Server(
                "hello",
                [f"{args.build}/examples/hello", f"--access_log={log}"],
                ours,
                env=dict(os.environ, PORT=str(ours)),
                log=log,
            )
        ]
        chain = chain_server(args, d)
        if chain:
            servers.append(chain)
        if os.path.exists(nginx_path):
            with open(f"{d}/nginx.conf", "w") as f:
                f.write(NGINX % (cores, d, d, d, d, d, d, d, theirs))
            servers.append(Server("nginx", [nginx_path, "-p", d, "-c", f"{d}/nginx.conf"], theirs))
        try:
            compare(
                "wrk",
                servers,
                lambda s: ["wrk", "-t2", "-c64", f"-d{args.seconds}s", s.url()],
                r"(\d+) requests in",
                args.rounds,
            )
            if shutil.which("h2load"):
                compare(
                    "h2load_http1",
                    servers,
                    lambda s: ["h2load", "--h1", "-c64", "-t1", "-n200000", s.url()],
                    r"(\d+) succeeded",
                    args.rounds,
                )
                compare(
                    "h2load_http2",
                    servers[:1],
                    lambda s: ["h2load", "-c16", "-m16", "-t1", "-n300000", s.url()],
                    r"(\d+) succeeded",
                    args.rounds,
                )
            fixed_rate([s for s in servers if s.name != "chain"], f"{args.build}/bench/http/rate_load", d, 10000, args.seconds)
            idle_connections(servers[0], args.idle)
        finally:
            for s in servers:
                s.stop()


if __name__ == "__main__":
    main()
