"""How long a trace takes to open in the page, and how smoothly it scrolls: `sextant observe` with a trace
of so many spans, in Chromium without a window.

    build/e2e/venv/bin/python bench/ui/traces.py [--spans 100000] [--sextant build/sextant]

Prints a line a figure: name, value, unit. Opening is from the request of the page to the first row."""
import argparse
import os
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

# pylint: disable=wrong-import-position
from lib.browser import open_browser  # noqa: E402
from lib.observe import NO_TRACES  # noqa: E402
from lib.service import Service, free_port  # noqa: E402
from lib.trace_shapes import large, post, trace_id  # noqa: E402
from lib.ui import Pages  # noqa: E402

FRAMES = 240
STEPS = (24, 240, 2400)  # px a frame: a row, ten, a hundred

SCROLL = """
const done = arguments[0], box = document.querySelector('.rows-box'), took = [];
let n = 0, before = performance.now(), rows = 0;
const began = before;
const step = (now) => {
  took.push(now - before);
  before = now;
  rows = Math.max(rows, document.querySelectorAll('.span-row').length);
  box.scrollTop += %d;
  if (++n < %d) return requestAnimationFrame(step);
  took.sort((a, b) => a - b);
  done([n / (now - began) * 1000, took[Math.floor(n * 0.99)], rows]);
};
requestAnimationFrame(step);
"""


def measure(pages, trace, name):
    for turn in ("first", "again"):
        pages.browser.get("about:blank")
        began = time.monotonic()
        pages.open(f"/trace/{trace}")
        pages.wait_for("document.querySelector('.span-row')", "the first row", seconds=120)
        print(f"{name}_open_{turn} {(time.monotonic() - began) * 1000:.0f} ms")
        for part in ("asked", "read"):
            print(f"{name}_{part}_{turn} {pages.js(f'return document.querySelector(`.trace-page`).dataset.{part}')} ms")
    for step in STEPS:
        pages.js("document.querySelector('.rows-box').scrollTop = 0")
        rate, worst, rows = pages.browser.execute_async_script(SCROLL % (step, FRAMES))
        print(f"{name}_scroll_{step}px {rate:.1f} frames/s")
        print(f"{name}_scroll_{step}px_p99 {worst:.1f} ms")
        print(f"{name}_scroll_{step}px_rows {rows} drawn")
    print(f"{name}_heap {pages.js('return performance.memory.usedJSHeapSize') / 1e6:.0f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--sextant", default=os.path.join(ROOT, "build", "sextant"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("scrape_configs: []\n")
        port, otlp = free_port(), free_port()
        flags = [f for f in NO_TRACES if not f.startswith("--otlp.http=")]
        server = Service([args.sextant, "observe", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                          f"--web.listen-address=127.0.0.1:{port}", *flags, f"--otlp.http=127.0.0.1:{otlp}"], folder, name="observe")
        server.start(10)
        browser = open_browser(os.path.join(folder, "profile"))
        try:
            trace = trace_id("bench")
            post(f"http://127.0.0.1:{otlp}", large(trace, time.time_ns() - 60 * 10**9, args.spans))
            measure(Pages(browser, f"http://127.0.0.1:{port}"), trace, f"trace_{args.spans}")
        finally:
            browser.quit()
            server.stop()


if __name__ == "__main__":
    main()
