"""The observatory's interface in Chromium: a server with something to see, and its pages by address."""
import requests

from .wait import wait_for

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

    def wait(self, *words, selector="main", seconds=15):
        wait_for(lambda: all(w in self.text(selector) for w in words), seconds,
                 f"{words} in {selector}")
        return self

    def wait_for(self, code, what, seconds=15):
        return wait_for(lambda: self.js(f"return {code}"), seconds, what)

    def click(self, selector, text=""):
        """Clicks the first that is so and has the text."""
        found = self.wait_for(f"[...document.querySelectorAll({selector!r})].find((e) => e.innerText.includes({text!r}) || "
                              f"(e.getAttribute('aria-label') ?? '').includes({text!r}))", f"{selector} with {text!r}")
        found.click()
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


def write_files(folder, port):
    (folder / "rules.yml").write_text(RULES, encoding="utf-8")
    path = folder / "prometheus.yml"
    path.write_text(CONFIG.format(folder=folder, port=port), encoding="utf-8")
    return path


def wait_scraped(url):
    """Until there is something to draw."""
    def look():
        answer = requests.get(url + "/api/v1/query", {"query": "count_over_time(up[1m]) > 2"}, timeout=5).json()
        return len(answer["data"]["result"]) >= 2
    wait_for(look, 20, "samples of both jobs")
