"""Dashboards that mean harm, in Chromium: markup and scripts wherever a text or an address belongs, what is
no text where one belongs, names that objects have of their own, expressions that never end."""
import pytest

from lib.ui import Pages, observing, scraping, store
from test_ui_values import THRESHOLDS

EVIL = "<img src=https://evil.example/i onerror=window.hit=1><script>window.hit=1</script>\"'`${job}"
RUN = ["javascript:window.hit=1", "java\nscript:window.hit=1", "\x01javascript:window.hit=1", " JaVaScRiPt:window.hit=1", "data:text/html,<script>window.hit=1</script>", "vbscript:x", "${js}"]
TYPES = ("timeseries", "stat", "gauge", "bargauge", "table", "piechart", "barchart", "state-timeline", "xychart", "__proto__", "constructor", "toString")
BOMB = "(([a-z_])+.)+[A-Z]([a-z])+$"


def panel(number, kind):
    return {"id": number, "type": kind, "title": EVIL, "description": EVIL, "gridPos": {"x": number % 3 * 8, "y": number // 3 * 4, "w": 8, "h": 4},
            "targets": [{"refId": "A", "expr": "vector(1)", "legendFormat": EVIL}], "links": [{"title": EVIL, "url": u} for u in RUN],
            "fieldConfig": {"defaults": {"unit": "suffix:" + EVIL, "displayName": EVIL, "links": [{"title": EVIL, "url": u} for u in RUN], "thresholds": {**THRESHOLDS, "steps": [{"value": None, "color": "url(https://evil.example/c)"}]},
                                         "mappings": [{"type": "regex", "options": {"pattern": BOMB, "result": {"text": EVIL}}}, {"type": "value", "options": {"1": {"text": EVIL}}}]},
                            "overrides": [{"matcher": {"id": "byRegexp", "options": BOMB}, "properties": [{"id": "__proto__.hit", "value": 1}, {"id": "constructor.prototype.hit", "value": 1}]}]}}


HOSTILE = {"uid": "hostile", "title": EVIL, "tags": [EVIL], "links": [{"type": "link", "title": EVIL, "url": u} for u in RUN] + [{"url": 5}, None, {"url": {}, "tags": 3}],
           "templating": {"list": [{"name": "js", "type": "constant", "query": "javascript:window.hit=1"}, {"name": "__proto__", "type": "custom", "query": "a,b"}, {"name": "constructor", "type": "textbox", "query": EVIL},
                                   {"name": "bomb", "type": "query", "query": "label_values(__name__)", "regex": f"/^{BOMB}/"}, {"name": "job", "type": "custom", "query": EVIL}]},
           "panels": [None, 1, *(panel(i, kind) for i, kind in enumerate(TYPES, 1))]}


@pytest.fixture
def server(sextant_bin, tmp_path):
    with observing(sextant_bin, tmp_path, scraping(tmp_path)) as made:
        yield made


def test_a_hostile_dashboard_does_nothing(server, chromium):
    store(server, HOSTILE)
    ui = Pages(chromium, server.at)
    ui.open("/d/hostile").wait_for("document.querySelectorAll('[data-panel-state]').length === 12", "the panels")
    for y in range(0, 2000, 400):
        ui.js(f"scrollTo(0, {y})")
        ui.settled()
    assert ui.js("return [window.hit, ({}).hit, document.querySelectorAll('main script, main img').length]") == [None, None, 0]
    away = ui.js("return [...document.querySelectorAll('a[href]')].map((e) => e.href).filter((h) => !h.startsWith(location.origin))")
    assert away == []
    assert [line for line in chromium.console() if "evil.example" in line] == []
    ui.js("scrollTo(0, 0)")
    # A pattern that would hold another engine for ever is worked off here within its bound.
    ui.wait_for("document.querySelector('.variables [aria-label^=bomb], .variables select, .variables button')", "the variables")
