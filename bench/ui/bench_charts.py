"""How fast 10,000 series are drawn, and how many frames a second are left while the pointer moves.

Run: build/e2e/venv/bin/python bench/ui/bench_charts.py [SERIES]
Explore in Chromium without a window (software drawing, 1400x900), before a server of ours; the answer of
the query is made by a front (lib/many_series.py), so that only the page is measured. One line per
figure: name, value, unit."""
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

from lib.browser import open_browser  # noqa: E402
from lib.many_series import ManySeries  # noqa: E402
from lib.observe import NO_TRACES  # noqa: E402
from lib.service import Service, free_port  # noqa: E402

MOVES = 60
FRAMES = """
const done = arguments[arguments.length - 1], moves = arguments[0];
const plot = document.querySelector('.plot'), r = plot.getBoundingClientRect();
const gaps = []; let i = 0, last = 0;
const step = (t) => {
  if (last) gaps.push(t - last);
  last = t;
  if (i++ >= moves) { gaps.sort((a, b) => a - b); return done([gaps[gaps.length >> 1], gaps[Math.floor(gaps.length * .95)], gaps[gaps.length - 1], {...plot.work}]); }
  plot.dispatchEvent(new PointerEvent('pointermove', {clientX: r.left + 80 + i * 17, clientY: r.top + 40 + (i * 37) % 200,
    pointerId: 1, pointerType: 'mouse', bubbles: true}));
  requestAnimationFrame(step);
};
requestAnimationFrame(step);
"""


def until(driver, code, seconds=120):
    end = time.monotonic() + seconds
    while not driver.execute_script(f"return {code}"):
        if time.monotonic() > end:
            raise SystemExit(f"not within {seconds} s: {code}")
        time.sleep(0.02)


def main():
    series = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    binary = os.environ.get("SEXTANT", os.path.join(ROOT, "build", "sextant"))
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with open(os.path.join(folder, "none.yml"), "w", encoding="utf-8") as f:
            f.write("scrape_configs: []\n")
        server = Service([binary, "observe", f"--config.file={folder}/none.yml", f"--storage.tsdb.path={folder}/data",
                          f"--web.listen-address=127.0.0.1:{port}", *NO_TRACES], folder, name="observe")
        server.start(10)
        front = ManySeries(f"http://127.0.0.1:{port}", series)
        driver = open_browser(os.path.join(folder, "profile"))
        driver.set_script_timeout(120)
        try:
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": False})
            driver.get(front.url + "explore?g0.expr=many&from=now-1h&g0.step_input=10s")
            until(driver, "document.querySelector('.plot')")
            seen = time.monotonic()
            until(driver, "document.querySelector('.plot')?.dataset.drawn === 'yes'")
            print(f"ui_charts_series {series} series")
            print(f"ui_charts_drawn_after_axes {1000 * (time.monotonic() - seen):.0f} ms")
            middle, high, most, work = driver.execute_async_script(FRAMES, MOVES)
            print(f"ui_charts_frames_while_moving {1000 / middle:.1f} 1/s")
            print(f"ui_charts_frame_p95 {high:.1f} ms")
            print(f"ui_charts_frame_max {most:.1f} ms")
            print(f"ui_charts_paints_while_moving {work['paints']} paints")
        finally:
            driver.quit()
            front.close()
            server.stop()


if __name__ == "__main__":
    main()
