#!/usr/bin/python3
"""many_targets.py - thousands of small targets: what one costs a second, and in memory.

    bench/observe/many_targets.py [--targets 10000] [--series 100] [--interval 15] [--seconds 45]
                                  [--only ours,prometheus,victoria]

Each target has an address of its own (bench/observe/fleet), so a connection of its own. After two
intervals for the first scrapes, which make the series, CPU time of the server is taken over some more.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

from beside_prometheus import PEERS, ROOT, Server

FLEET = os.path.join(ROOT, "build/bench/observe/fleet")


def write_targets(server, count, port, interval):
    with open(server.config, "w", encoding="utf-8") as f:
        f.write(f"global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s}}\n"
                "scrape_configs:\n- job_name: fleet\n  static_configs:\n  - targets:\n")
        f.writelines(f"    - 127.1.{i // 250}.{i % 250 + 1}:{port}\n" for i in range(count))


def up(server):
    """How many targets answer."""
    path = "/api/v1/query"
    got = server.ask(path, query="sum(up)", time=time.time())
    return int(float(got[0]["value"][1])) if got else 0


def measure(name, args, folder):
    os.makedirs(folder)
    fleet = subprocess.Popen([FLEET, str(args.series)], stdout=subprocess.PIPE, text=True)
    server = Server(name, folder)
    try:
        write_targets(server, args.targets, int(fleet.stdout.readline().split()[1]), args.interval)
        server.start()
        time.sleep(args.interval * 2 + 2)
        cpu, before = server.cpu(), time.monotonic()
        time.sleep(args.seconds)
        share = (server.cpu() - cpu) / (time.monotonic() - before)
        scrapes = args.targets / args.interval
        print(f"{name:12s} {share:8.3f} cores {share / scrapes * 1e6:8.0f} us a scrape "
              f"{server.rss() / args.targets / 1024:8.1f} KiB a target "
              f"{server.rss() / args.targets / args.series:8.0f} B a series, all told "
              f"{up(server):8d} up", flush=True)
    finally:
        if server.process:
            server.kill()
        fleet.kill()


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--targets", type=int, default=10000)
    p.add_argument("--series", type=int, default=100, help="of each")
    p.add_argument("--interval", type=int, default=15, help="seconds")
    p.add_argument("--seconds", type=int, default=45, help="of measuring")
    p.add_argument("--only", default="ours")
    args = p.parse_args()
    top = tempfile.mkdtemp(prefix="bench-metrics-")
    print(f"{args.targets} targets of {args.series} series, every {args.interval} s")
    try:
        for name in args.only.split(","):
            binary = {"prometheus": "prometheus", "victoria": "victoria-metrics"}.get(name)
            if binary and not os.path.exists(os.path.join(PEERS, binary)):
                print(f"{name} is not there: make peers builds it", file=sys.stderr)
                continue
            measure(name, args, os.path.join(top, name))
    finally:
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    main()
