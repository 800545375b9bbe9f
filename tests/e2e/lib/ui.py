"""The observatory's interface in Chromium: a server with something to see, and its pages by address.

A module of tests says what its server has in a fixture `server` of its own, made by observing(); the
fixture `ui` (conftest.py) is that server's pages in the module's browser."""
import contextlib
import time

import requests

from .observe import NO_TRACES
from .service import Service
from .wait import wait_for

PATIENCE_S = 30  # of every wait: it is only ever used up by a failure, and machines are slow at times
TIMEOUT_S = 30  # of one request
STEP_S = 15  # ranges end at a multiple of their step: what is younger than this is not drawn yet

NOTHING = "scrape_configs: []\n"
SIZES = ((1200, "light"), (1200, "dark"), (360, "light"), (360, "dark"))

CONFIG = """global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{folder}/rules.yml]
scrape_configs:
  - job_name: itself
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
    relabel_configs: [{{target_label: place, replacement: here}}]
  - job_name: gone
    static_configs: [{{targets: ["127.0.0.1:1"]}}]
  - job_name: dropped
    static_configs: [{{targets: ["127.0.0.1:2"]}}]
    relabel_configs: [{{action: drop, regex: ".*", source_labels: [job]}}]
"""

RULES = """groups:
  - name: instances
    rules:
      - alert: InstanceDown
        expr: up == 0
        labels: {severity: page}
        annotations: {summary: "{{ $labels.job }} is down", runbook: "https://runbooks.example/down"}
      - alert: NeverFires
        expr: up > 5
      - record: job:up:avg
        expr: avg by (job) (up)
      - record: fails
        expr: up * on() group_left() up
"""

# What reads as text must be read easily: WCAG 2.2, 1.4.3, measured on what is drawn.
CONTRAST = """
const lum = (c) => { const f = c.map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
  return .2126 * f[0] + .7152 * f[1] + .0722 * f[2]; };
const rgba = (s) => { const m = s.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m[3] ?? 1]; };
const over = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > .99) return c; }
  return [255, 255, 255, 1]; };
const bad = [];
for (const e of document.querySelectorAll('#app *')) {
  const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!text || !e.checkVisibility({visibilityProperty: true}) || e.closest('[aria-hidden=true], :disabled, [aria-pressed=false].series')) continue;
  const a = lum(rgba(getComputedStyle(e).color)), b = lum(over(e));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) bad.push(`${e.tagName}.${e.className} ${e.textContent.slice(0, 30)}: ${ratio.toFixed(2)}`);
}
return bad;
"""

# What a screen reader would have to guess: controls without a name, targets below 24 px, ids twice.
NAMES = """
const bad = [];
const name = (e) => e.getAttribute('aria-label') || (e.labels && e.labels.length && e.labels[0].textContent.trim()) || e.textContent.trim() || e.title;
for (const e of document.querySelectorAll('button, a[href], input, select, textarea, [role=img], dialog, nav, [role=region]')) {
  if (!e.checkVisibility({visibilityProperty: true})) continue;
  if (!name(e)) bad.push('no name: ' + e.outerHTML.slice(0, 100));
  const box = e.getBoundingClientRect();
  if (/BUTTON|SELECT/.test(e.tagName) && (box.height < 23.5 || box.width < 23.5)) bad.push('small: ' + e.outerHTML.slice(0, 100));
}
const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
if (new Set(ids).size !== ids.length) bad.push('an id is there twice');
if (document.querySelectorAll('h1').length !== 1) bad.push('not one h1');
return bad;
"""


# What is seen of a dashboard and not there yet; its panels by their states.
NEAR_LOADING = """[...document.querySelectorAll('[data-panel-state=loading]')].filter((e) => {
  const r = e.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight; }).length"""
PANELS = """return [...document.querySelectorAll('[data-panel-state]')].map((e) => ({key: e.dataset.panelKey,
  type: e.dataset.panelType, title: e.dataset.panelTitle, state: e.dataset.panelState, message: e.dataset.panelMessage ?? ''}))"""


def panel(key):
    """The panel, as JavaScript."""
    return f"document.querySelector('[data-panel-key=\"{key}\"]')"


class Pages:
    def __init__(self, browser, url):
        self.browser, self.url = browser, url

    def open(self, path, width=1200, scheme="light"):
        b = self.browser
        b.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                          {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 700})
        b.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        b.get(self.url + path)
        return self

    def js(self, code, *args):
        return self.browser.execute_script(code, *args)

    def text(self, selector="main"):
        return self.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def until(self, look, what, seconds=PATIENCE_S):
        """Until look() is true: what an action does to a page is there a moment later. What is not there
        yet, or is drawn anew under the pointer, is no failure before the time is up."""
        from selenium.common.exceptions import ElementClickInterceptedException, ElementNotInteractableException, JavascriptException, StaleElementReferenceException

        def once():
            try:
                return look()
            except (ElementClickInterceptedException, ElementNotInteractableException, JavascriptException, StaleElementReferenceException) as e:
                raise AssertionError(e.msg) from e
        return wait_for(once, seconds, what)

    def wait(self, *words, selector="main", seconds=PATIENCE_S):
        self.until(lambda: all(w in self.text(selector) for w in words), f"{words} in {selector}", seconds)
        return self

    def wait_for(self, code, what, seconds=PATIENCE_S):
        return self.until(lambda: self.js(f"return {code}"), what, seconds)

    def click(self, selector, text=""):
        """Clicks the first that is so and has the text."""
        def act():
            found = self.js("return [...document.querySelectorAll(arguments[0])].find((e) => e.innerText?.includes(arguments[1]) || "
                            "(e.getAttribute('aria-label') ?? '').includes(arguments[1]))", selector, text)
            return found is not None and found.click() is None
        self.until(act, f"{selector} with {text!r}")
        return self

    def keys(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains
        chain = ActionChains(self.browser, duration=0)
        for key in keys:
            chain.send_keys(key)
        chain.perform()
        return self

    def chord(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains
        chain = ActionChains(self.browser, duration=0)
        for key in keys[:-1]:
            chain.key_down(key)
        chain.send_keys(keys[-1])
        for key in reversed(keys[:-1]):
            chain.key_up(key)
        chain.perform()
        return self

    def focused(self):
        return self.js("const e = document.activeElement; return e.getAttribute('aria-label') || e.innerText || e.tagName")

    def path(self):
        return self.js("return location.pathname + location.search")

    def judge(self):
        """What holds for every page: it fits its width, is readable, named, and its console silent."""
        assert self.js("return document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
        assert self.js(CONTRAST) == []
        assert self.js(NAMES) == []
        self.quiet()

    def quiet(self):
        lines = self.browser.console()
        assert not lines, lines

    # ---- dashboards

    def panels(self):
        """What there is of panels: key, type, title, state, message."""
        return self.js(PANELS)

    def settled(self):
        """The panels that are seen are drawn."""
        self.wait_for("document.querySelector('[data-panel-state]')", "panels")
        self.wait_for(f"!({NEAR_LOADING})", "the panels that are seen")
        return self

    def scroll_through(self, step=600):
        """All rows open, everything seen once; gives the panels."""
        self.settled()
        self.js("for (const b of document.querySelectorAll('[data-row-toggle][aria-expanded=false]')) b.click()")
        self.wait_for("!document.querySelector('[data-row-toggle][aria-expanded=false]')", "open rows")
        at = 0
        while at <= self.js("return document.documentElement.scrollHeight"):
            self.js("scrollTo(0, arguments[0])", at)
            self.settled()
            at += step
        return self.panels()

    def shown(self, titles, also="true"):
        """Panels of these titles have each been seen and are drawn; `also` is JavaScript about `panel`."""
        for title in titles:
            found = "[...document.querySelectorAll('[data-panel-title]')].find((e) => e.dataset.panelTitle === arguments[0])"
            self.until(lambda: self.js(f"const panel = {found}; panel?.scrollIntoView({{block: 'center'}}); return !!panel", title), title)
            self.until(lambda: self.js(f"const panel = {found}; return ['ok', 'error', 'nodata', 'unsupported'].includes(panel?.dataset.panelState) && ({also})",
                                       title), f"{title} drawn")
        self.js("scrollTo(0, 0)")
        return self


class Observatory(Service):
    """`sextant observe` on a free port with this configuration, which may name {port} and {folder}: it is
    read once the port is known. `at` is its address, `otlp` that of its receiver of spans."""

    def __init__(self, sextant_bin, folder, config=NOTHING, flags=(), spans=False):
        self.config, self.text = f"{folder}/prometheus.yml", config
        off = [f for f in NO_TRACES if not (spans and f.startswith("--otlp.http="))]
        receiver = ["--otlp.http=127.0.0.1:0", "--traces.metrics-interval=1s"] if spans else []
        super().__init__([sextant_bin, "observe", f"--config.file={self.config}", f"--storage.tsdb.path={folder}/data",
                          "--web.listen-address=127.0.0.1:0", *off, *receiver, *flags], str(folder), name="observe")

    def configure(self, text):
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(text)

    def start(self, seconds=PATIENCE_S):
        self.configure(NOTHING)
        super().start(seconds)
        self.at = self.url("")
        self.otlp = self.url("", "otlp-http") if "otlp-http" in self.addresses else None
        if self.text != NOTHING:
            self.configure(self.text.format(folder=self.folder, port=self.host_port()[1]))
            self.signal("HUP")
            self.wait_logged("configuration taken up", PATIENCE_S)
        return self


@contextlib.contextmanager
def observing(*args, **more):
    """An Observatory that runs, and must stop cleanly at the end."""
    made = Observatory(*args, **more).start()
    try:
        yield made
    finally:
        made.stop()


def scraping(folder, more=""):
    """The configuration that has something of everything: of itself, of a target that is down, of one that
    is dropped, of rules."""
    (folder / "rules.yml").write_text(RULES, encoding="utf-8")
    return CONFIG + more


def query(url, expr, at=None):
    """The result of an instant query."""
    answer = requests.get(url + "/api/v1/query", {"query": expr, **({"time": at} if at else {})}, timeout=TIMEOUT_S).json()
    return answer["data"]["result"]


def wait_scraped(url):
    """Until there is something to draw."""
    wait_for(lambda: len(query(url, "count_over_time(up[1m]) > 2")) >= 2, 2 * PATIENCE_S, "samples of both jobs")


def drawn_at():
    """Until when a dashboard draws now."""
    return time.time() // STEP_S * STEP_S


def wait_drawn(url, jobs):
    """Until a dashboard has something to draw of so many jobs."""
    wait_for(lambda: len(query(url, "count_over_time(up[1m]) > 2", drawn_at())) == jobs, 3 * PATIENCE_S, "samples of every job")


def store(server, dashboard):
    """Saves a dashboard, over what is there; what the server says of it."""
    answer = requests.post(f"{server.at}/api/dashboards/db", json={"dashboard": dashboard, "overwrite": True}, timeout=TIMEOUT_S)
    assert answer.status_code == 200, answer.text
    return answer.json()
