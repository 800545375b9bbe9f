"""Every page of the observatory in both themes before axe-core, which knows the rules of WCAG 2.0, 2.1 and
2.2, A and AA; dashboards and traces by the tabulator key alone."""
import os
import time

import pytest

from lib import install
from lib.trace_shapes import post, shop, trace_id
from lib.ui import Pages, observing, scraping, store, wait_scraped
from test_observe_auth import PASSWORDS, ROLES, add_user
from test_ui_values import DASHBOARD as VALUES
from test_ui_values import panel

THEMES = ("light", "dark")
A, B = trace_id("axe one"), trace_id("axe two")
BUCKETS = [{"refId": "A", "expr": "sum by (le) (http_request_duration_seconds_bucket)", "format": "heatmap", "legendFormat": "{{le}}"}]
CHARTS = {
    "uid": "charts", "title": "Charts", "schemaVersion": 39, "time": {"from": "now-5m", "to": "now"}, "tags": ["drawn"],
    "links": [{"title": "Others", "type": "dashboards", "tags": ["drawn"], "asDropdown": True}, {"title": "Elsewhere", "type": "link", "url": "https://example.com/"}],
    "templating": {"list": [
        {"name": "job", "type": "query", "query": "label_values(up, job)", "multi": True, "includeAll": True, "refresh": 1},
        {"name": "one", "label": "One of", "type": "custom", "query": "a,b,c"}, {"name": "typed", "type": "textbox", "query": "x"},
        {"name": "wide", "type": "switch"}, {"name": "filters", "type": "adhoc"}, {"name": "every", "type": "interval", "query": "1m,5m", "auto": True}]},
    "panels": [
        panel(1, "timeseries", "Lines", defaults={"unit": "percentunit"}, options={"legend": {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["last", "max"]}}),
        panel(2, "barchart", "Columns", [{"refId": "A", "expr": "up", "format": "table", "instant": True}]), panel(3, "histogram", "Histogram"), panel(4, "heatmap", "Heat", BUCKETS),
        panel(5, "state-timeline", "States"), panel(6, "status-history", "Squares"), panel(7, "xychart", "Points"), panel(8, "trend", "Trend"),
        panel(9, "candlestick", "Candles"), panel(10, "stat", "Nothing", [{"refId": "A", "expr": "no_such_metric"}]),
        panel(11, "stat", "Wrong", [{"refId": "A", "expr": "sum(up"}]), panel(12, "no-such-panel", "Strange"),
        {"id": 13, "type": "row", "title": "More", "collapsed": True, "gridPos": {"x": 0, "y": 30, "w": 24, "h": 1}, "panels": [panel(14, "stat", "Folded")]},
    ],
}

# What axe finds, one line for each place.
AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa']}).then(
  (r) => done(r.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')} ${n.html.slice(0, 160)}: ${n.failureSummary.replace(/\\s+/g, ' ').slice(0, 300)}`))),
  (e) => done([`axe failed: ${e}`]));
"""

# Where the focus is, whether it can be seen, and where on the page.
FOCUS = """
let e = document.activeElement;
const inner = e.shadowRoot?.activeElement;
const box = e.getBoundingClientRect(), s = getComputedStyle(inner ?? e);
const ring = (s) => (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1) || s.boxShadow !== 'none';
const around = [e, e.parentElement, e.parentElement?.parentElement, ...e.parentElement?.children ?? []].some((x) => x && ring(getComputedStyle(x)));
const middle = Math.max(0, Math.min(innerHeight - 1, box.top + box.height / 2));
// A part of it is enough (2.4.11): what scrolls sideways may be cut.
const onTop = [box.left + 5, box.left + box.width / 2, box.right - 5].map((x) => document.elementFromPoint(x, middle));
if (!e.dataset.stop) e.dataset.stop = String(window.stops = (window.stops ?? 0) + 1);
return {stop: e === document.body ? 'body' : e.dataset.stop, what: e.outerHTML.slice(0, 160), ring: around || ring(s) || (e.matches('.node') && parseFloat(getComputedStyle(e.querySelector('rect')).strokeWidth) > 2),
        seen: box.bottom > 0 && box.top < innerHeight && box.width > 0 && onTop.some((x) => x && (e.contains(x) || x.contains(e) || x.closest('label')?.contains(e)))};
"""


@pytest.fixture(scope="module")
def axe():
    with open(os.path.join(install.node("axe", "clients/axe"), "node_modules", "axe-core", "axe.min.js"), encoding="utf-8") as f:
        return f.read()


@pytest.fixture(scope="module")
def server(sextant_bin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("axe")
    with observing(sextant_bin, folder, scraping(folder), spans=True) as made:
        for k in range(12):
            post(made.otlp, shop(trace_id(f"axe {k}"), time.time_ns() - k * 10**9, slow=k % 3 == 0, fail=k % 4 == 0, more=k % 3))
        post(made.otlp, shop(A, time.time_ns(), links=[B]))
        post(made.otlp, shop(B, time.time_ns(), slow=True, fail=True, more=2))
        for dashboard in (VALUES, CHARTS):
            store(made, dashboard)
        wait_scraped(made.at)
        yield made


@pytest.fixture
def ui(ui):
    yield ui
    ui.browser.console()  # what is wrong on purpose is told there


def judged(ui, axe):
    ui.js(axe + "; window.axe = axe")
    return ui.browser.execute_async_script(AXE)


def press(*labels):
    """Opens what a button of this name opens."""
    def act(ui):
        for selector, text in labels:
            ui.click(selector, text)
    return act


PAGES = [
    ("/", ("gone", "itself"), None),
    ("/explore?g0.expr=up&from=now-5m", ("Last", "on the server"), None),
    ("/explore?g0.expr=up&g0.tab=table", ("job=gone", "on the server"), None),
    ("/explore?g0.expr=sum by (le) (http_request_duration_seconds_bucket)&g0.display_mode=heatmap&from=now-5m", ("on the server",), None),
    ("/explore?g0.expr=sum(up)&g0.tab=explain", ("peakSamples",), None),
    ("/explore?g0.expr=sum(up", ("parse error",), None),
    ("/alerts", ("InstanceDown", "NeverFires"), None),
    ("/alerts?tab=history&from=now-5m", ("InstanceDown",), None),
    ("/rules", ("job:up:avg", "many-to-many"), None),
    ("/targets", ("gone", "Connection refused"), press(("[aria-label='Scrape pool itself'] .target button.quiet", ""))),
    *[(f"/status{tab}", (), None) for tab in ("", "?tab=storage", "?tab=queries", "?tab=configuration", "?tab=flags", "?tab=alertmanagers")],
    ("/dashboards", ("Values", "Charts"), None),
    ("/dashboards", ("Values",), press(("[aria-label='More about Values']", ""))),
    ("/traces?from=now-15m", ("POST /order",), None),
    ("/traces?tab=services&from=now-15m", ("nodes",), None),
    ("/traces?tab=operations&from=now-15m", ("POST /orders",), None),
    (f"/trace/{B}?span=1", ("Attributes",), None),
    *[(f"/trace/{B}?view={view}", (), None) for view in ("flame", "table", "critical", "graph")],
    (f"/trace/{A}...{B}", ("slower",), None),
    ("/trace/nonsense", ("This is no trace",), None),
    ("/targets", ("gone",), lambda ui: ui.keys("?").wait("Go to Alerts", selector="dialog[open]")),
    ("/targets", ("gone",), lambda ui: ui.chord("\ue009", "k").wait("Go to", selector="dialog[open]")),
    ("/explore?g0.expr=up&from=now-5m", ("on the server",), lambda ui: ui.keys("t", "a").wait_for("document.querySelector('dialog[open]')", "the range")),
]


@pytest.mark.parametrize("theme", THEMES)
def test_pages_hold_wcag(ui, axe, theme):
    found = []
    for path, words, act in PAGES:
        ui.open(path, 1200, theme).wait(*words)
        ui.wait_for("document.querySelector('main h1, h1')", f"{path}")
        if act:
            act(ui)
        found += [f"{path}{' (opened)' if act else ''}: {x}" for x in judged(ui, axe)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("theme", THEMES)
def test_dashboards_hold_wcag(ui, axe, theme):
    found = []
    for of in (VALUES, CHARTS):
        titles = [p["title"] for p in of["panels"] if p["type"] != "row"]
        ui.open(f"/d/{of['uid']}", 1200, theme)
        ui.shown(titles)
        found += [f"{of['uid']}: {x}" for x in judged(ui, axe)]
    ui.click("[aria-label='Menu of Lines']").wait_for("document.querySelector('[role=menu]')", "the menu")
    found += [f"menu: {x}" for x in judged(ui, axe)]
    ui.click("[role=menuitem]", "Inspect queries").wait_for("document.querySelector('dialog[open] [role=tab]')", "the inspector")
    found += [f"inspector: {x}" for x in judged(ui, axe)]
    ui.open("/d/charts", 1200, theme)
    ui.shown(["Lines"])
    ui.click("[data-variable=job] button").wait("gone", selector=".pick-popup")
    found += [f"a variable's choice: {x}" for x in judged(ui, axe)]
    assert not found, "\n".join(found)


def test_sign_in_holds_wcag(sextant_bin, tmp_path, chromium, axe):
    for login, role in ROLES.items():
        assert add_user(sextant_bin, str(tmp_path / "data"), login, role, PASSWORDS[login]).returncode == 0
    (tmp_path / "auth.yml").write_text("", encoding="utf-8")
    found = []
    with observing(sextant_bin, tmp_path, scraping(tmp_path), [f"--auth.config={tmp_path}/auth.yml"]) as made:
        ui = Pages(chromium, made.at)
        for theme in THEMES:
            ui.open("/login", 1200, theme).wait_for("document.querySelector('[name=username]')", "the form")
            found += [f"/login: {x}" for x in judged(ui, axe)]
        ui.keys("ann", "\ue004", PASSWORDS["ann"], "\ue007").wait_for("location.pathname === '/'", "the way in")
        for theme in THEMES:
            for path, word in (("/account", "Sessions"), ("/admin", "ann"), ("/admin?tab=audit", "signin"), ("/admin?tab=sessions", "127.0.0.1")):
                ui.open(path, 1200, theme).wait(word)
                found += [f"{path}: {x}" for x in judged(ui, axe)]
        chromium.get("about:blank")
        chromium.console()
    assert not found, "\n".join(found)


# ---- by the tabulator key alone

@pytest.mark.parametrize("path,words", [("/dashboards", ("Charts",)), ("/d/charts", ("Lines",)), ("/d/values", ("Table",)),
                                        ("/traces?from=now-15m", ("POST /order",)), (f"/trace/{B}?span=1", ("Attributes",)),
                                        ("/traces?tab=services&from=now-15m", ("nodes",))])
def test_tab_leads_through_the_page_and_out_again(ui, path, words):
    ui.open(path).wait(*words)
    stops, wrong = [], []
    for _ in range(250):
        ui.keys("\ue004")
        at = ui.js(FOCUS)
        if at["stop"] == "body" or at["stop"] in stops:
            break
        stops.append(at["stop"])
        if not at["ring"]:
            wrong.append(f"no ring: {at['what']}")
        if not at["seen"]:
            wrong.append(f"not seen: {at['what']}")
    else:
        raise AssertionError("250 stops and no end")
    assert len(stops) > 10 and at["stop"] in ("body", stops[0]), f"a trap after {len(stops)}: {at}"
    assert not wrong, "\n".join(wrong)
