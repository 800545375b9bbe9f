#!/usr/bin/env python3
"""first_paint.py - how soon our pages and the peers' show something, and how soon they show data.

    build/e2e/venv/bin/python bench/ui/first_paint.py [--runs 10] [--sextant build/sextant]

Our home, explore and Node Exporter Full beside Prometheus's query page and VictoriaMetrics' vmui (make peers;
a peer that is not there is left out), all of them on the same samples: each scrapes our server once a second.
Chromium without a window on the same host. The pages take turns, run by run. Cold is a browser with a new profile,
warm the same page again in it. Of each: first and largest contentful paint and the moment at which the view's
data are drawn (ms since the navigation began), and what came over the network. Medians, with the quartiles of
the first paint: one line a figure (name, value, unit), then a table."""
import argparse
import os
import statistics
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(ROOT, "build", "e2e", "venv", "bin", "python")
if not sys.prefix.startswith(os.path.dirname(os.path.dirname(VENV))) and os.path.exists(VENV) and not os.environ.get("SEXTANT_BENCH_VENV"):
    os.environ["SEXTANT_BENCH_VENV"] = "1"  # called by another Python: once
    os.execv(VENV, [VENV, *sys.argv])
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

# pylint: disable=wrong-import-position
import requests  # noqa: E402

from lib.browser import open_browser  # noqa: E402
from lib.dashboards import read  # noqa: E402
from lib.observe import NO_TRACES, PROMETHEUS  # noqa: E402
from lib.service import Process, Service, free_port  # noqa: E402
from lib.wait import wait_for  # noqa: E402

PEERS = os.path.dirname(os.path.dirname(PROMETHEUS))
VICTORIA = os.path.join(PEERS, "bin", "victoria-metrics")
PROMETHEUS_UI = os.path.join(PEERS, "ui", "prometheus")  # scripts/peers.sh builds its pages there
ENOUGH = 15  # samples of each job

CONFIG = """global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: itself
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: node
    metrics_path: /collect/host
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""

# A canvas counts as drawn when it is large and a pixel of it is painted.
CANVAS = """[...document.querySelectorAll('%s')].some((c) => c.width > 300 && c.height > 100 &&
  c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v))"""
PANELS = """(() => { const all = [...document.querySelectorAll('[data-panel-state]')].filter((e) => e.getBoundingClientRect().top < innerHeight);
  return all.length > 10 && all.every((e) => e.dataset.panelState !== 'loading') &&
    [...document.querySelectorAll('.plot')].filter((e) => e.getBoundingClientRect().top < innerHeight).every((e) => e.dataset.drawn === 'yes'); })()"""

WATCH = """
window.bench = {};
try { new PerformanceObserver((list) => { for (const e of list.getEntries()) bench.largest = e.startTime; }).observe({type: 'largest-contentful-paint', buffered: true}); } catch {}
const look = () => { if (document.body && (%s)) requestAnimationFrame(() => bench.data = performance.now()); else requestAnimationFrame(look); };
requestAnimationFrame(look);
"""
READ = """
const [page] = performance.getEntriesByType('navigation'), files = performance.getEntriesByType('resource');
const came = [page, ...files].filter((e) => e.transferSize > 0);
return {first: performance.getEntriesByName('first-contentful-paint')[0]?.startTime, largest: bench.largest, data: bench.data,
  kB: came.reduce((n, e) => n + e.transferSize, 0) / 1000, requests: came.length};
"""
FIGURES = (("first", "ms"), ("largest", "ms"), ("data", "ms"), ("kB", "kB"), ("requests", "requests"))


def start_ours(binary, folder):
    port = free_port()
    config = os.path.join(folder, "prometheus.yml")
    with open(config, "w", encoding="utf-8") as f:
        f.write(CONFIG.format(port=port))
    server = Service([binary, "observe", f"--config.file={config}", f"--storage.tsdb.path={folder}/ours", f"--web.listen-address=127.0.0.1:{port}",
                      *NO_TRACES], folder, name="observe")
    server.start(10)
    url = f"http://127.0.0.1:{port}"
    answer = requests.post(url + "/api/dashboards/db", json={"dashboard": {**read("node-exporter-full"), "id": None}, "overwrite": True}, timeout=10)
    node = answer.json()["url"]
    return config, server, {
        "ours: home": (url + "/", "document.querySelector('.service .spark path')"),
        "ours: explore": (url + "/explore?g0.expr=up&from=now-5m", CANVAS % ".plot canvas"),
        "ours: Node Exporter Full": (url + node + "?from=now-5m", PANELS),
    }


def start_peers(config, folder):
    """Those that are there: ([process], {page: (address, what is there when its data are)})."""
    started, pages = [], {}

    def start(name, *argv, cwd=None):
        process = Process(argv, folder, name=name, cwd=cwd)
        started.append(process.start())

    if os.path.exists(PROMETHEUS) and os.path.exists(os.path.join(PROMETHEUS_UI, "web", "ui", "static")):
        at = f"127.0.0.1:{free_port()}"
        start("prometheus", PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={folder}/prometheus", f"--web.listen-address={at}", "--log.level=error",
              cwd=PROMETHEUS_UI)
        pages["Prometheus: query"] = (f"http://{at}/query?g0.expr=up&g0.tab=graph&g0.range_input=5m", CANVAS % ".uplot canvas")
    if os.path.exists(VICTORIA):
        at = f"127.0.0.1:{free_port()}"
        start("victoria", VICTORIA, f"-storageDataPath={folder}/victoria", f"-httpListenAddr={at}", f"-promscrape.config={config}", "-search.latencyOffset=1s")
        pages["VictoriaMetrics: vmui"] = (f"http://{at}/vmui/#/?g0.expr=up&g0.tab=0&g0.range_input=5m", CANVAS % ".uplot canvas")
    return started, pages


def wait_samples(pages):
    for name, (address, _) in pages.items():
        base = "/".join(address.split("/")[:3])

        def enough(url=base):
            found = requests.get(url + "/api/v1/query", {"query": f"count_over_time(up[5m]) >= {ENOUGH}"}, timeout=5).json()["data"]["result"]
            return len(found) == 2
        wait_for(enough, 90, f"samples of {name}")


def load(driver, address, condition):
    driver.get("about:blank")
    script = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH % condition})
    driver.get(address)
    end = time.monotonic() + 60
    while not driver.execute_script("return window.bench?.data"):
        if time.monotonic() > end:
            raise SystemExit(f"{address} shows no data within a minute")
        time.sleep(0.02)
    out = driver.execute_script(READ)
    driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": script["identifier"]})
    return out


def measure(pages, runs, folder):
    """{page: {"cold": [figures], "warm": [figures]}}"""
    found = {name: {"cold": [], "warm": []} for name in pages}
    for run in range(runs):
        for k, (name, (address, condition)) in enumerate(pages.items()):
            driver = open_browser(os.path.join(folder, f"profile-{run}-{k}"))
            try:
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": False})
                for when in ("cold", "warm"):
                    found[name][when].append(load(driver, address, condition))
            finally:
                driver.quit()
    return found


def median(rows, figure):
    values = [r[figure] for r in rows if r[figure] is not None]
    return statistics.median(values) if values else float("nan")


def quartiles(rows, figure):
    values = sorted(r[figure] for r in rows if r[figure] is not None)
    return values[len(values) // 4], values[len(values) * 3 // 4]


def report(found):
    for name, by_time in found.items():
        slug = "".join(c if c.isalnum() else "_" for c in name.lower()).replace("__", "_")
        for when, rows in by_time.items():
            for figure, unit in FIGURES:
                print(f"ui_{slug}_{when}_{figure} {median(rows, figure):.0f} {unit}")
    base = "ours: explore"
    print("\n| page | | first paint, ms (quartiles) | largest | data | kB | requests | first paint, data: times our explore |\n|---|---|---|---|---|---|---|---|")
    for name, by_time in found.items():
        for when, rows in by_time.items():
            low, high = quartiles(rows, "first")
            first, largest, data, size, count = (median(rows, f) for f, _ in FIGURES)
            ratio = ", ".join(f"{median(rows, f) / median(found[base][when], f):.1f}" for f in ("first", "data"))
            print(f"| {name if when == 'cold' else ''} | {when} | {first:.0f} ({low:.0f}-{high:.0f}) | {largest:.0f} | {data:.0f} | {size:.0f} | {count:.0f} | {ratio} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--sextant", default=os.path.join(ROOT, "build", "sextant"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config, server, pages = start_ours(args.sextant, folder)
        peers, more = start_peers(config, folder)
        try:
            pages.update(more)
            wait_samples(pages)
            report(measure(pages, args.runs, folder))
            with open("/proc/loadavg", encoding="ascii") as f:
                print(f"\nload of the machine at the end: {f.read().split()[0]}, {os.cpu_count()} cores")
        finally:
            for peer in peers:
                peer.kill()
            server.stop()


if __name__ == "__main__":
    main()
