"""Dashboards in Chromium: those of other projects panel by panel; variables, time and address; keys
alone; one panel, its data as a file; files that are dropped; the list."""
import base64
import collections
import json
import time

import pytest
import requests

from lib.dashboards import NAMES, Community, read
from lib.ui import SIZES, TIMEOUT_S, observing, panel, store, wait_drawn

CONFIG = """global: {{scrape_interval: 2s}}
scrape_configs:
  - job_name: itself
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: node
    metrics_path: /collect/host
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: others
    honor_labels: true
    static_configs: [{{targets: ["{others}"]}}]
"""
OPEN_MS_MAX = 1500  # of node-exporter-full's open rows; measured below a second, on a machine of its own

SMALL = {
    "uid": "small", "title": "Small & plain", "tags": ["tested", "small"], "schemaVersion": 39, "time": {"from": "now-15m", "to": "now"},
    "templating": {"list": [
        {"name": "job", "type": "query", "query": "label_values(up, job)", "multi": True, "includeAll": True, "refresh": 1,
         "current": {"text": "All", "value": "$__all"}},
        {"name": "instance", "type": "query", "query": 'label_values(up{job=~"$job"}, instance)', "refresh": 1, "current": {}},
        {"name": "text", "type": "textbox", "query": "first"},
        {"name": "filters", "type": "adhoc", "datasource": {"type": "prometheus", "uid": "x"}},
    ]},
    "links": [{"title": "Others", "type": "dashboards", "tags": ["tested"], "asDropdown": False, "keepTime": True, "includeVars": False}],
    "panels": [
        {"id": 1, "type": "timeseries", "title": "Up of $job", "description": "Whether they are up.", "fieldConfig": {"defaults": {"unit": "percentunit"}, "overrides": []}, "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
         "targets": [{"refId": "A", "expr": 'up{job=~"$job"}', "legendFormat": "{{job}}"}]},
        {"id": 2, "type": "timeseries", "title": "Text $text", "gridPos": {"x": 12, "y": 0, "w": 12, "h": 8},
         "targets": [{"refId": "A", "expr": 'label_replace(vector(1), "said", "$text", "", "")'}]},
        {"id": 3, "type": "stat", "title": "Nothing", "gridPos": {"x": 0, "y": 8, "w": 6, "h": 4}, "targets": [{"refId": "A", "expr": "no_such_metric"}]},
        {"id": 4, "type": "stat", "title": "Wrong", "gridPos": {"x": 6, "y": 8, "w": 6, "h": 4}, "targets": [{"refId": "A", "expr": "sum(up"}]},
        {"id": 5, "type": "no-such-panel", "title": "Strange", "gridPos": {"x": 12, "y": 8, "w": 6, "h": 4}, "targets": [{"refId": "A", "expr": "up"}]},
        {"id": 6, "type": "logs", "title": "Logs", "gridPos": {"x": 18, "y": 8, "w": 6, "h": 4}, "datasource": {"type": "loki", "uid": "l"}, "targets": [{"refId": "A", "expr": "{a=\"b\"}"}]},
        {"id": 7, "type": "stat", "title": "Math", "gridPos": {"x": 0, "y": 12, "w": 6, "h": 4},
         "targets": [{"refId": "A", "expr": "vector(20)", "hide": True}, {"refId": "B", "datasource": {"type": "__expr__", "uid": "__expr__"}, "type": "reduce", "expression": "A", "reducer": "last"},
                     {"refId": "C", "datasource": {"type": "__expr__", "uid": "__expr__"}, "type": "math", "expression": "$B * 2 + 2"}]},
        {"id": 8, "type": "row", "title": "More", "collapsed": True, "gridPos": {"x": 0, "y": 16, "w": 24, "h": 1}, "panels": [
            {"id": 9, "type": "stat", "title": "Of $job", "repeat": "job", "repeatDirection": "h", "gridPos": {"x": 0, "y": 17, "w": 6, "h": 4},
             "targets": [{"refId": "A", "expr": 'count(up{job="$job"})'}]}]},
    ],
}


@pytest.fixture(scope="module")
def server(sextant_bin, tmp_path_factory):
    with Community() as others, observing(sextant_bin, tmp_path_factory.mktemp("dashboards"), CONFIG.replace("{others}", others.address)) as made:
        made.paths = {name: store(made, {**read(name), "id": None})["url"] for name in NAMES}
        store(made, SMALL)
        wait_drawn(made.at, 3)
        yield made


def wait_state(ui, key, state):
    ui.wait_for(f"{panel(key)}?.dataset.panelState === '{state}'", f"{key} to be {state}")
    return ui


# ---- dashboards of other projects

@pytest.mark.parametrize("name", NAMES)
def test_every_panel_of_a_community_dashboard_is_shown(server, ui, name):
    ui.open(server.paths[name] + "?from=now-5m&to=now", 1400)
    panels = ui.scroll_through()
    counts = collections.Counter(p["state"] for p in panels)
    print(f"{name}: {dict(counts)}")
    assert [p for p in panels if p["state"] not in ("ok", "nodata")] == []
    assert len({p["key"] for p in panels}) == len(panels), "a key is there twice"
    assert counts["ok"] > 0


def test_node_exporter_full_is_fast(server, ui):
    ui.open(server.paths["node-exporter-full"] + "?from=now-5m&to=now", 1400)
    ui.settled()  # everything is in the browser's cache now, as for who comes back
    ui.browser.get("about:blank")
    ui.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": """
        addEventListener('DOMContentLoaded', () => {
          window.seen = {};
          const look = () => {
            const all = [...document.querySelectorAll('[data-panel-state]')];
            const near = all.filter((e) => { const r = e.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight; });
            const done = near.filter((e) => e.dataset.panelState !== 'loading').length;
            if (done && !seen.first) seen.first = performance.now();
            if (near.length && done === near.length && !seen.all) seen.all = performance.now();
            if (!seen.all) requestAnimationFrame(look);
          };
          look();
        });"""})
    def opened():
        ui.open(server.paths["node-exporter-full"] + "?from=now-5m&to=now", 1400)
        ui.wait_for("window.seen?.all", "all panels")
        seen = ui.js("return window.seen")
        print(f"node-exporter-full: first panel {seen['first']:.0f} ms, all open rows {seen['all']:.0f} ms after navigation")
        return seen["all"]
    # The best of three: what else this machine does at one moment is not the page's.
    assert any(opened() < OPEN_MS_MAX * 3 for _ in range(3)), "far slower than measured"


@pytest.mark.parametrize("width,scheme", SIZES)
def test_dashboards_are_right_in_every_size_and_theme(server, ui, width, scheme):
    for path in ("/dashboards", "/d/small", server.paths["node-exporter-full"] + "?from=now-5m", server.paths["kubernetes-views-pods"] + "?from=now-5m"):
        ui.open(path, width, scheme)
        if path == "/dashboards":
            ui.wait("Node Exporter Full", "Small & plain")
        else:
            ui.settled()
        try:
            if path == "/d/small":
                ui.browser.console()  # Chromium notes the answer 400 of the wrong query
            ui.judge()
        except AssertionError as e:
            raise AssertionError(f"{path} at {width} {scheme}: {e}") from e


# ---- what stands in a panel's place

def test_states_say_why(ui):
    ui.open("/d/small")
    ui.settled()
    ui.browser.console()
    states = {p["key"]: (p["state"], p["message"]) for p in ui.panels()}
    assert states["panel-1"][0] == "ok" and states["panel-7"][0] == "ok"
    assert states["panel-3"] == ("nodata", "No data")
    assert states["panel-4"][0] == "error" and "parse error" in states["panel-4"][1]
    assert states["panel-5"][0] == "unsupported" and "no-such-panel" in states["panel-5"][1]
    assert states["panel-6"][0] == "nodata" and "Loki" in states["panel-6"][1]
    assert "42" in ui.text("[data-panel-key=panel-7]")
    assert "panel-9" not in states, "a folded row shows its panels"
    ui.click("[data-row-toggle]").wait_for("document.querySelectorAll('[data-panel-id=\"9\"]').length === 3", "a panel for each job")
    ui.settled()
    assert {p["title"] for p in ui.panels() if p["key"].startswith("panel-9")} == {"Of itself", "Of node", "Of others"}


def test_variables_chain_and_are_in_the_address(ui):
    ui.open("/d/small")
    ui.settled()
    ui.browser.console()
    ui.until(lambda: "var-job=%24__all" in ui.path() and "var-text=first" in ui.path(), "the variables in the address")
    ui.click("[data-variable=job] button").wait("node", selector=".pick-popup")
    ui.click(".pick-popup [role=option]", "node").click(".pick-popup button", "Apply")
    ui.wait_for(f"{panel('panel-1')}.dataset.panelTitle === 'Up of node'", "the title to follow")
    assert "var-job=node" in ui.path() and "var-job=%24__all" not in ui.path()
    asked = "performance.getEntriesByType('resource').filter((r) => r.name.includes('label_replace')).length"
    before = ui.js(f"return {asked}")
    ui.js("history.back()")
    ui.wait_for(f"{panel('panel-1')}.dataset.panelTitle === 'Up of All'", "the value of before")
    assert ui.js(f"return {asked}") == before, "a panel asked again though its variables were the same"
    ui.open("/d/small?var-job=others&var-job=itself&var-text=second")
    ui.settled()
    ui.browser.console()
    assert ui.js(f"return {panel('panel-1')}.dataset.panelTitle") == "Up of others + itself"
    assert ui.js(f"return {panel('panel-2')}.dataset.panelTitle") == "Text second"


def test_filters_go_into_every_query(ui):
    ui.open("/d/small?var-filters=job|%3D|node")
    ui.settled()
    ui.browser.console()
    ui.js("performance.clearResourceTimings()")
    ui.wait("job = node", selector=".filters")
    ui.click(".filters .chip", "")
    ui.wait_for("!location.search.includes('node') && !document.querySelector('.filters .chip')", "the filter to go")
    ui.settled()
    ui.browser.console()


def test_the_time_comes_from_the_dashboard_unless_the_address_says_it(ui):
    ui.open("/d/small").wait("Last 15 minutes", selector="header")
    ui.open("/d/small?from=now-30m&to=now").wait("Last 30 minutes", selector="header")
    ui.settled()
    ui.browser.console()
    ui.open("/targets").wait("up")
    ui.keys("g", "d").wait("Small & plain")
    ui.click("a.dash-link", "Small & plain").wait("Last 15 minutes", selector="header")
    ui.settled()
    ui.browser.console()


# ---- one panel, its data

def test_a_panel_by_keys_alone(ui):
    from selenium.webdriver.common.keys import Keys
    ui.open("/dashboards").wait("Small & plain")
    ui.keys("/").keys("small").wait_for("document.querySelectorAll('a.dash-link').length === 1", "one dashboard")
    ui.keys(Keys.ARROW_DOWN, Keys.ENTER)
    ui.settled()
    ui.browser.console()
    for _ in range(60):
        ui.keys(Keys.TAB)
        if ui.js("return document.activeElement.dataset.panelKey") == "panel-1":
            break
    assert ui.js("return document.activeElement.dataset.panelKey") == "panel-1"
    ui.keys("v").wait_for("document.querySelectorAll('[data-panel-key]').length === 1 && location.search.includes('viewPanel=panel-1')", "the panel alone")
    wait_state(ui, "panel-1", "ok")
    ui.keys(Keys.ESCAPE).wait_for("document.querySelectorAll('[data-panel-key]').length > 3 && !location.search.includes('viewPanel')", "all panels again")
    ui.settled()
    ui.browser.console()
    ui.js(f"{panel('panel-1')}.focus()")
    ui.keys("i").wait("Download CSV", selector="dialog[open]").keys(Keys.ESCAPE)
    ui.wait_for("!document.querySelector('dialog')", "the inspector to close")
    assert ui.js("return document.activeElement.dataset.panelKey") == "panel-1"
    ui.keys("d", "k").wait_for("location.search.includes('kiosk') && !document.querySelector('.side').checkVisibility()", "the kiosk")
    ui.keys(Keys.ESCAPE).wait_for("document.querySelector('.side').checkVisibility()", "the navigation")
    ui.chord(Keys.CONTROL, "o").wait("crosshair", selector=".toasts")
    ui.keys("?").wait("Panel: view it alone", selector="dialog[open]").keys(Keys.ESCAPE)


def test_one_panel_has_an_address(ui):
    for name in ("panel-1", "1"):
        ui.open(f"/d/small/any?viewPanel={name}")
        wait_state(ui, "panel-1", "ok")
        assert ui.js("return document.querySelectorAll('[data-panel-key]').length") == 1
        assert ui.js(f"return {panel('panel-1')}.clientHeight") > 500
        ui.judge()


def test_the_data_of_a_panel_is_a_table_and_a_file(ui, tmp_path):
    ui.open("/d/small?viewPanel=panel-1")
    wait_state(ui, "panel-1", "ok")
    ui.click("[aria-label='Menu of Up of All']").click("[role=menuitemcheckbox]", "Show as table")
    ui.wait("node", "itself", selector="[data-panel-key=panel-1] table")
    ui.click("[aria-label='Menu of Up of All']").click("[role=menuitem]", "Inspect queries").wait('up{job=~"', "on the server", selector="dialog[open]")
    ui.click("dialog [role=tab]", "Panel JSON").wait('"legendFormat"', selector="dialog[open]").click("dialog [role=tab]", "Data")
    ui.browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    ui.click("dialog button", "Download CSV")
    ui.until(lambda: list(tmp_path.glob("*.csv")), "the file")
    lines = next(tmp_path.glob("*.csv")).read_text(encoding="utf-8").splitlines()
    assert lines[0].split(",")[0] == "Time" and {"itself", "node", "others"} <= set(lines[0].split(",")) and len(lines) > 1
    assert lines[1].startswith("20") and ":" in lines[1] and "100%" in lines[1]


# ---- files

DROP = """
const data = new DataTransfer();
for (const [name, text] of arguments[0]) data.items.add(new File([text], name, {type: 'application/json'}));
for (const kind of ['dragenter', 'dragover', 'drop']) document.querySelector('main').dispatchEvent(
  new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: data}));
"""


def titles(ui):
    return ui.js("return [...document.querySelectorAll('dialog .found input:not([type=radio])')].map((e) => e.value)")


def test_dropped_files_are_shown_and_saved(server, ui):
    one = {**SMALL, "uid": "dropped", "title": "Dropped here"}
    ui.open("/dashboards").wait("Small & plain")
    ui.js(DROP, [["one.json", json.dumps(one)], ["bad.json", "{"], ["no.json", "{\"a\": 1}"]])
    ui.wait("8 panels", "Not valid JSON", "This is no dashboard", selector="dialog[open]")
    assert titles(ui) == ["Dropped here"]
    ui.click("dialog button", "Preview").wait("not saved", selector=".dash-bar")
    assert ui.path().startswith("/d/new-")
    ui.settled()
    ui.browser.console()
    ui.click(".dash-bar button", "Save").click("dialog button.main", "Save")
    ui.wait_for("location.pathname === '/d/dropped/dropped-here'", "its own address")
    ui.wait_for("!document.querySelector('.dash-bar').innerText.includes('not saved')", "it to be saved")
    ui.settled()
    ui.browser.console()
    assert stored(server, "dropped")["title"] == "Dropped here" and len(stored(server, "dropped")["panels"]) == 8
    ui.open("/dashboards").click("[aria-label='More about Dropped here']").click("[role=menuitem]", "Delete")
    ui.wait("Delete “Dropped here”", selector="dialog[open]").click("dialog button", "Delete")
    ui.wait_for("![...document.querySelectorAll('a.dash-link')].some((e) => e.innerText === 'Dropped here')", "it to be gone")
    assert requests.get(f"{server.at}/api/dashboards/uid/dropped", timeout=TIMEOUT_S).status_code == 404


def stored(server, uid):
    return requests.get(f"{server.at}/api/dashboards/uid/{uid}", timeout=TIMEOUT_S).json()["dashboard"]


def called(server, title):
    """The uids of those with this title."""
    hits = requests.get(f"{server.at}/api/search?query={title}", timeout=TIMEOUT_S).json()
    return [h["uid"] for h in hits if h["title"] == title]


def test_an_import_replaces_only_what_is_said(server, ui):
    """A file with the uid, and even the version, of another dashboard; and one with its number."""
    saved = store(server, {**SMALL, "uid": "precious", "title": "Precious"})
    other = {**SMALL, "uid": "precious", "title": "Impostor", "version": saved["version"], "panels": SMALL["panels"][:1]}
    ui.open("/dashboards").wait("Precious").js(DROP, [["impostor.json", json.dumps(other)]])
    ui.wait("“Precious” is there already under this uid", selector="dialog[open]")
    ui.judge()
    ui.click("dialog button.main", "Save")
    assert ui.js("return document.querySelector('dialog form').checkValidity()") is False
    assert stored(server, "precious")["title"] == "Precious"
    ui.click("dialog label", "Save as another").click("dialog button.main", "Save")
    ui.wait_for("location.pathname.endsWith('/impostor')", "the other")
    ui.settled()
    ui.browser.console()
    assert stored(server, "precious")["title"] == "Precious" and called(server, "Impostor") not in ([], ["precious"])
    # its name is taken now: another is asked for, at its field; of two files with one uid the second says so
    ui.open("/dashboards").wait("Impostor").js(DROP, [["impostor.json", json.dumps(other)], ["new.json", json.dumps({**other, "uid": "twin", "title": "Twin"})],
                                                       ["newer.json", json.dumps({**other, "uid": "twin", "title": "Later twin"})]])
    ui.wait("“Precious” is there", "“Twin” is there", selector="dialog[open]")
    for i, how in enumerate(("Save as another", "Replace it")):
        ui.js("[...document.querySelectorAll('dialog fieldset')][arguments[0]].querySelectorAll('input')[arguments[1]].click()", i, int(how == "Save as another"))
    ui.click("dialog button.main", "Save all 3").wait("same name in the folder already exists", selector="dialog[open]")
    ui.wait_for("document.activeElement.value === 'Impostor'", "the title to have the focus")
    ui.wait_for("document.querySelectorAll('dialog .found .badge.good').length === 2", "the others to be saved")
    ui.browser.console()  # Chromium notes the answer 412
    assert stored(server, "twin")["title"] == "Later twin"
    ui.keys("\ue010", " again").click("dialog button.main", "Save").wait_for("location.pathname.endsWith('/impostor-again')", "the third")
    ui.settled()
    ui.browser.console()
    # said to be replaced it is; a number is that of another server
    number = stored(server, "small")["id"]
    ui.open("/dashboards").wait("Precious").js(DROP, [["impostor.json", json.dumps(other)], ["number.json", json.dumps({**other, "uid": None, "id": number, "title": "Numbered"})]])
    ui.wait("“Precious” is there", selector="dialog[open]").click("dialog label", "Replace it").click("dialog button.main", "Save all 2")
    ui.wait_for("!document.querySelector('dialog')", "both to be saved")
    ui.wait("Numbered")
    ui.browser.console()
    assert stored(server, "precious")["title"] == "Impostor" and stored(server, "small")["title"] == SMALL["title"]
    for uid in ["precious", "twin", *called(server, "Impostor"), *called(server, "Impostor again"), *called(server, "Numbered")]:
        requests.delete(f"{server.at}/api/dashboards/uid/{uid}", timeout=TIMEOUT_S)


def test_the_list_is_searched_tagged_and_starred(ui):
    ui.open("/dashboards").wait("Small & plain", "Node Exporter Full")
    ui.click("[aria-label='Star Small & plain']").click(".choice button", "Starred")
    ui.wait_for("document.querySelectorAll('a.dash-link').length === 1", "the starred one")
    ui.click(".choice button", "All").click(".tags button", "tested").wait_for("document.querySelectorAll('a.dash-link').length === 1", "one by its tag")
    assert "tag=tested" in ui.path()
    ui.open("/targets").wait("up").chord("\ue009", "k")
    ui.wait_for("document.querySelector('dialog[open] input')", "the palette").click()
    ui.keys("node exporter").wait("Node Exporter Full", selector="dialog[open]").keys("\ue007")
    ui.settled()
    assert ui.path().startswith("/d/")


# ---- staying as it is

def test_a_refresh_keeps_focus_and_what_is_drawn(ui):
    ui.open("/d/small?refresh=5s")
    ui.settled()
    ui.browser.console()
    ui.js(f"window.canvas = {panel('panel-1')}.querySelector('canvas'); {panel('panel-1')}.focus(); window.flicker = 0;"
          f"new MutationObserver(() => {{ if ({panel('panel-1')}.dataset.panelState !== 'ok') window.flicker++; }})"
          f".observe({panel('panel-1')}, {{attributes: true, subtree: true, childList: true}})")
    asked = "performance.getEntriesByType('resource').filter((r) => r.name.includes('/api/v1/query_range')).length"
    before = ui.js(f"return {asked}")
    ui.wait_for(f"{asked} > {before} + 2", "a refresh")
    ui.settled()
    ui.browser.console()
    assert ui.js("return window.canvas.isConnected && window.flicker === 0")
    assert ui.js("return document.activeElement.dataset.panelKey") == "panel-1"


def test_annotations_are_drawn_and_added(server, ui):
    now = int(time.time() * 1000)
    assert requests.post(f"{server.at}/api/annotations", json={"dashboardUID": "small", "time": now - 60000, "text": "Deployed", "tags": ["v2"]}, timeout=TIMEOUT_S).status_code == 200
    ui.open("/d/small?viewPanel=panel-1")
    wait_state(ui, "panel-1", "ok")
    over = ui.wait_for(f"{panel('panel-1')}.querySelector('.plot-over')", "the plot")
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    ActionChains(ui.browser, duration=50).move_to_element_with_offset(over, -40, 0).key_down(Keys.CONTROL).click_and_hold().move_by_offset(60, 0).release().key_up(Keys.CONTROL).perform()
    ui.wait("Add annotation", " to ", selector="dialog[open]").keys("Broken").keys(Keys.ENTER)
    ui.until(lambda: any(a["text"] == "Broken" and a["timeEnd"] > a["time"] for a in
                         requests.get(f"{server.at}/api/annotations?dashboardUID=small", timeout=TIMEOUT_S).json()), "the annotation")


def test_a_picture_can_be_taken(ui, tmp_path):
    ui.open("/d/small?viewPanel=panel-1")
    wait_state(ui, "panel-1", "ok")
    ui.browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    ui.click("[aria-label='Menu of Up of All']").click("[role=menuitem]", "Download PNG")
    ui.until(lambda: list(tmp_path.glob("*.png")), "the file")
    assert next(tmp_path.glob("*.png")).read_bytes()[:4] == base64.b64decode("iVBORw==")
