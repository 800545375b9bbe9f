"""The editor of dashboards in Chromium: a new one from nothing to what is stored, one of another project
with one change, two who save at once, what is discarded, and who may not."""
import json
import subprocess
import time

import pytest
import requests
from selenium.webdriver.common.keys import Keys

from lib.dashboards import read
from lib.trace_shapes import post, shop, trace_id
from lib.ui import SIZES, TIMEOUT_S, Pages, observing, store, wait_drawn
from lib.wait import wait_for

CONFIG = """global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: itself
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
TWO = {
    "uid": "two", "title": "Two panels", "schemaVersion": 42, "time": {"from": "now-15m", "to": "now"},
    "panels": [
        {"id": 1, "type": "timeseries", "title": "Left", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8}, "targets": [{"refId": "A", "expr": "up"}]},
        {"id": 2, "type": "stat", "title": "Right", "gridPos": {"x": 12, "y": 0, "w": 12, "h": 8}, "targets": [{"refId": "A", "expr": "up"}]},
    ],
}


@pytest.fixture(scope="module")
def server(sextant_bin, tmp_path_factory):
    with observing(sextant_bin, tmp_path_factory.mktemp("editor"), CONFIG, spans=True) as made:
        for i in range(3):
            post(made.otlp, shop(trace_id(f"edited {i}"), time.time_ns() - 20_000_000_000 - i * 1_000_000_000))
        wait_drawn(made.at, 1)
        yield made


@pytest.fixture
def ui(ui):
    yield ui
    leave(ui)


def leave(ui):
    """Nothing is left that would be asked about when the next page is opened."""
    ui.js("[...document.querySelectorAll('button')].find((b) => b.innerText === 'Discard')?.click()")


def stored(server, uid):
    return requests.get(f"{server.at}/api/dashboards/uid/{uid}", timeout=TIMEOUT_S).json()["dashboard"]


def fill(ui, label, text):
    """What is in the field is replaced, as by typing."""
    field = ui.wait_for(f"[...document.querySelectorAll('input, textarea')].find((e) => e.checkVisibility() && "
                        f"(e.getAttribute('aria-label') ?? e.labels?.[0]?.innerText ?? '').startsWith({label!r}))", label)
    field.click()
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.CONTROL, Keys.NULL)
    field.send_keys(text, Keys.TAB)
    return field


def choose(ui, label, value):
    ui.until(lambda: ui.js("const s = [...document.querySelectorAll('select')].find((e) => e.checkVisibility() && (e.getAttribute('aria-label') ?? e.labels?.[0]?.innerText ?? '')"
                 ".startsWith(arguments[0])); const o = [...s?.options ?? []].find((o) => o.text === arguments[1]); if (!o) return false;"
                 "s.value = o.value; s.dispatchEvent(new Event('change', {bubbles: true})); return true", label, value), f"{value} to be chosen of {label}")


def place(ui, panel):
    return ui.js("const s = getComputedStyle(document.querySelector(`[data-panel-key=panel-${arguments[0]}]`));"
                 "return [s.gridColumnStart, s.gridColumnEnd, s.gridRowStart, s.gridRowEnd].map((t) => Number(t.replace('span ', '')))", panel)


def menu(ui, panel, item):
    ui.js(f"document.querySelector('[data-panel-key=panel-{panel}]').focus()")
    ui.click(f"[data-panel-key=panel-{panel}] .panel-menu button")
    ui.click("[role=menuitem]", item)


def save(ui, title=""):
    ui.click(".dash-tools button", "Save")
    ui.wait_for("document.querySelector('dialog.save')", "the layer")
    if title:
        fill(ui, "Title", title)
    ui.click("dialog.save button.main")


def test_a_new_dashboard_is_made_by_hand_and_stored_as_grafana_reads_it(server, ui):
    ui.open("/dashboards?from=now-5m&to=now").click("button.main", "New")
    ui.wait_for("document.querySelector('.ed-bar') && document.querySelector('[data-panel-key=panel-1]')", "edit mode with a panel")
    ui.js("document.querySelector('[data-panel-key=panel-1]').focus()")
    ui.keys("e")
    ui.wait_for("document.querySelector('.ed-editor')", "the panel's editor")
    assert "editPanel=panel-1" in ui.path()
    ui.click("button", "Add query")
    field = ui.wait_for("document.querySelector('[data-editor=ready]')?.shadowRoot.querySelector('.cm-content')", "the field for PromQL")
    field.click()
    field.send_keys("sum by (job) (up)")
    field.send_keys(Keys.ESCAPE)
    ui.wait_for("document.querySelector('.ed-stage [data-panel-state=ok]')", "the preview")
    assert "editPanel" in ui.path(), "Escape in the field closes what it offers, not the editor"
    fill(ui, "Legend", "of {{job}}")
    ui.wait("of itself", selector=".ed-stage")
    ui.click("[role=tab]", "Style")
    fill(ui, "Title", "Instances")
    fill(ui, "Unit", "percentunit")
    ui.wait_for("[...document.querySelectorAll('.ed-unit small')].some((e) => e.innerText.includes('Percent'))", "the unit by its name")
    ui.click("button", "Add threshold")
    fill(ui, "Threshold 2", "0.9")
    choose(ui, "Panel type", "Stat")
    ui.wait("100%", selector=".ed-stage")
    ui.click("[role=tab]", "Overrides")
    ui.click("button", "Add override")
    fill(ui, "Which", "of itself")
    choose(ui, "Add a property to override 1", "Standard options: Decimals")
    fill(ui, "Decimals", "1")
    ui.wait("100.0%", selector=".ed-stage")
    ui.click("[role=tab]", "Transform")
    choose(ui, "Add a transformation", "Limit")
    ui.wait_for("document.querySelector('[aria-label=\"Options of transformation 1\"]')", "its options")
    ui.keys(Keys.ESCAPE)
    ui.wait_for("document.querySelector('.dash-grid')", "the page again")
    ui.click(".ed-add").click("[role=menuitem]", "Text")
    ui.wait_for("location.search.includes('editPanel=panel-2')", "the text's editor")
    ui.keys(Keys.ESCAPE).wait_for("document.querySelectorAll('[data-panel-key]').length === 2", "the second panel")
    ui.until(lambda: place(ui, 2) == [13, 12, 1, 4], "the second panel's place")
    menu(ui, 1, "Resize")
    ui.wait("Resize:", selector=".ed-say").keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ENTER)
    ui.wait_for("!document.querySelector('.ed-say').innerText", "hands off")
    ui.until(lambda: place(ui, 1)[1] == 13 and place(ui, 1)[3] == 9, "the larger panel")
    menu(ui, 2, "Move")
    ui.wait("Move:", selector=".ed-say").keys(Keys.ARROW_LEFT, Keys.ENTER)
    save(ui, "By hand")
    ui.wait_for("location.pathname.startsWith('/d/') && !location.pathname.includes('/d/new-')", "its own address")
    uid = ui.path().split("/")[2].split("?")[0]
    made = stored(server, uid)
    assert made["title"] == "By hand"
    one = next(p for p in made["panels"] if p["id"] == 1)
    assert one["type"] == "stat" and one["title"] == "Instances"
    assert one["targets"] == [{"refId": "A", "expr": "sum by (job) (up)", "range": True, "instant": False, "editorMode": "code", "legendFormat": "of {{job}}"}]
    assert one["fieldConfig"]["defaults"]["unit"] == "percentunit"
    assert [s["value"] for s in one["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 0.9, 80]
    assert one["fieldConfig"]["overrides"] == [{"matcher": {"id": "byName", "options": "of itself"}, "properties": [{"id": "decimals", "value": 1}]}]
    assert one["transformations"] == [{"id": "limit", "options": {}}]
    assert (one["gridPos"]["w"], one["gridPos"]["h"]) == (13, 9)
    store(server, made)
    ui.settled()


def test_what_is_edited_of_another_projects_dashboard_is_all_that_changes(server, ui):
    done = store(server, {**read("node-exporter-full"), "id": None})
    ui.open(done["url"] + "?from=now-5m&to=now")
    ui.settled()
    before = stored(server, done["uid"])
    title = ui.js("const p = document.querySelector('[data-panel-id]'); p.focus(); return p.dataset.panelTitle")
    ui.keys("e").wait_for("document.querySelector('.ed-editor')", "the editor")
    ui.click("[role=tab]", "Style")
    fill(ui, "Title", title + " (mine)")
    ui.wait_for("document.querySelector('.dash-tools').innerText.includes('changed')", "it to be changed")
    save(ui)
    ui.until(lambda: stored(server, done["uid"])["version"] > before["version"], "a new version")
    ui.open(done["url"])
    ui.wait_for("document.querySelector('[data-panel-id]')", "panels")
    # Read and written without a change, then with: only the title differs.
    after = stored(server, done["uid"])

    def titles(d):
        return [q.pop("title", "") for p in d["panels"] for q in [p, *p.get("panels", [])]]
    ours, theirs = titles(after), titles(before)
    assert [b for a, b in zip(theirs, ours) if a != b] == [title + " (mine)"]
    assert len(ours) == len(theirs)
    exprs = lambda d: [t.get("expr") for p in d["panels"] for q in [p, *p.get("panels", [])] for t in q.get("targets", [])]
    assert exprs(after) == exprs(before)


def test_two_who_save_at_once(server, ui):
    store(server, TWO)
    ui.open("/d/two/two-panels?edit=1")
    ui.settled()
    menu(ui, 2, "Duplicate")
    ui.wait_for("document.querySelectorAll('[data-panel-key]').length === 3", "the copy")
    store(server, {**TWO, "title": "Two of theirs"})
    save(ui)
    ui.wait("another version", selector="dialog.save")
    ui.click("dialog.save button", "Load the newer")
    ui.wait_for("document.querySelector('h1').innerText === 'Two of theirs'", "theirs")
    assert len(stored(server, "two")["panels"]) == 2
    refused = ui.browser.console()
    assert len(refused) == 1 and "412" in refused[0], "the browser says that it was refused"
    menu(ui, 1, "Remove")
    ui.wait("is removed", selector=".toasts")
    ui.click(".toast button", "Undo")
    ui.wait_for("document.querySelectorAll('[data-panel-key]').length === 2", "it again")
    assert "changed" not in ui.text(".dash-tools")


def test_what_is_not_saved_is_asked_about_and_can_be_discarded(server, ui):
    store(server, TWO)
    ui.open("/d/two/two-panels?edit=1")
    ui.settled()
    menu(ui, 1, "Move")
    ui.wait("Move:", selector=".ed-say").keys(Keys.ARROW_DOWN, Keys.ESCAPE)
    ui.wait_for("!document.querySelector('.ed-say').innerText", "hands off")
    assert "changed" not in ui.text(".dash-tools"), "Escape puts it back"
    from selenium.webdriver.common.action_chains import ActionChains
    head = ui.js("return document.querySelector('[data-panel-key=panel-2] h2')")
    ActionChains(ui.browser, duration=50).move_to_element(head).click_and_hold().move_by_offset(-600, 0).release().perform()
    ui.wait("changed", selector=".dash-tools")
    ui.until(lambda: place(ui, 2)[0] == 1, "the panel where it was dropped")
    ui.keys("g", "d").wait_for("document.querySelector('dialog[open]')", "a question")
    ui.click("dialog button", "Stay")
    assert ui.path().startswith("/d/two")
    ui.click(".dash-tools button", "Discard")
    ui.wait_for("!document.querySelector('.dash-tools').innerText.includes('changed')", "nothing to save")
    ui.until(lambda: place(ui, 2)[0] == 13, "the panel where it was")
    ui.keys("g", "d").wait("Two panels")


def drag(ui, panel, dx, dy, corner=False):
    """By its head, or by its lower right corner."""
    from selenium.webdriver.common.action_chains import ActionChains
    box = ui.js("const p = document.querySelector(`[data-panel-key=panel-${arguments[0]}]`); const r = (arguments[1] ? p : p.querySelector('h2')).getBoundingClientRect();"
                "return arguments[1] ? [r.right - 8, r.bottom - 8] : [r.left + 12, r.top + 8]", panel, corner)
    chain = ActionChains(ui.browser, duration=50)
    chain.w3c_actions.pointer_action.move_to_location(round(box[0]), round(box[1]))
    chain.click_and_hold().move_by_offset(dx // 2, dy // 2).move_by_offset(dx - dx // 2, dy - dy // 2).release().perform()


def changed(ui, yes=True):
    ui.wait_for(f"document.querySelector('.dash-tools').innerText.includes('changed') === {str(yes).lower()}", f"changed to be {yes}")


def test_resized_by_the_mouse_and_every_step_taken_back(server, ui):
    store(server, TWO)
    ui.open("/d/two/two-panels?edit=1")
    ui.settled()
    ui.wait_for("document.querySelector('.ed-bar')", "the bar")
    cell = ui.js("return (document.querySelector('.dash-grid').clientWidth + 8) / 24")
    drag(ui, 1, round(-4 * cell), -2 * 38, corner=True)
    changed(ui)
    assert place(ui, 1) == [1, 8, 1, 6]
    drag(ui, 2, round(-4 * cell), 0)
    assert place(ui, 2)[:2] == [9, 12]
    menu(ui, 1, "Duplicate")
    ui.wait_for("document.querySelectorAll('[data-panel-key]').length === 3", "the copy")
    # One drag is one step, however far; three steps back, and on again.
    for key, panels, left, wide in (("z", 2, 9, 8), ("z", 2, 13, 8), ("z", 2, 13, 12), ("y", 2, 13, 8), ("y", 2, 9, 8), ("y", 3, 9, 8)):
        ui.chord(Keys.CONTROL, key)
        ui.wait_for(f"document.querySelectorAll('[data-panel-key]').length === {panels} && getComputedStyle(document.querySelector('[data-panel-key=panel-2]'))"
                    f".gridColumnStart === '{left}' && getComputedStyle(document.querySelector('[data-panel-key=panel-1]')).gridColumnEnd === 'span {wide}'", key)
    for _ in range(3):
        ui.click(".ed-bar button", "Undo")
    changed(ui, False)
    assert ui.js("return document.querySelector('[aria-label=Undo]').disabled")
    # A drag that is broken off is no step, and leaves what was undone there to be done again.
    ui.click(".ed-bar button", "Redo")
    ui.chord(Keys.CONTROL, Keys.SHIFT, "z")
    assert place(ui, 2)[0] == 9
    # What is typed is one step; it is the field's own while the field has the focus.
    ui.js("document.querySelector('[data-panel-key=panel-1]').focus()")
    ui.keys("e").click("[role=tab]", "Style")
    fill(ui, "Title", "Another title")
    ui.wait_for("document.querySelector('.ed-stage [data-panel-title=\"Another title\"]')", "the title")
    ui.click(".ed-preview button", "Undo")
    ui.wait_for("document.querySelector('.ed-stage [data-panel-title=Left]')", "the title before")
    assert ui.js("return [...document.querySelectorAll('.ed-form input')].some((e) => e.value === 'Left')")
    # What is stored stays stored: to undo after it is a change like any other.
    save(ui)
    ui.wait("is saved", selector=".toasts")
    changed(ui, False)
    version = stored(server, "two")["version"]
    ui.click(".ed-preview button", "Undo")
    changed(ui)
    save(ui)
    ui.wait_for("!document.querySelector('dialog[open]')", "it to be saved, too")
    ui.until(lambda: stored(server, "two")["version"] == version + 1, "the next version, without a conflict")


def test_a_copy_under_another_name(server, ui):
    store(server, TWO)
    ui.open("/d/two/two-panels?edit=1")
    ui.settled()
    menu(ui, 1, "Remove")
    changed(ui)
    ui.click(".dash-tools button", "More").click("[role=menuitem]", "Save as")
    ui.wait_for("document.activeElement.value === 'Two panels (copy)'", "the layer, with the focus in its title")
    fill(ui, "Title", "Only one")
    ui.click("dialog.save button.main")
    ui.wait_for("location.pathname.startsWith('/d/') && !location.pathname.startsWith('/d/two')", "the copy's address")
    ui.wait_for("document.querySelector('h1').innerText === 'Only one' && document.querySelectorAll('[data-panel-key]').length === 1", "the copy")
    changed(ui, False)
    uid = ui.path().split("/")[2].split("?")[0]
    assert stored(server, uid)["version"] == 1 and stored(server, uid)["title"] == "Only one"
    assert len(stored(server, "two")["panels"]) == 2, "what it was made from is as it was"
    ui.settled()


def test_back_and_closing_ask_first(server, ui):
    store(server, TWO)
    ui.open("/dashboards").wait("Two panels")
    ui.click("a", "Two panels")
    ui.wait_for("document.querySelector('[data-panel-key]')", "the dashboard")
    ui.settled()
    ui.js("document.querySelector('[data-panel-key=panel-1]').focus()")
    ui.keys("e").wait_for("document.querySelector('.ed-editor')", "the editor").click()
    ui.click("[role=tab]", "Style")
    fill(ui, "Title", "Mine")
    changed(ui)
    # Back from the panel's editor is a step within the dashboard, the next leaves it.
    ui.js("history.back()")
    ui.wait_for("document.querySelector('.dash-grid') && !document.querySelector('dialog[open]')", "the page, without a question")
    ui.js("history.back()")
    ui.wait_for("document.querySelector('dialog[open]')", "a question")
    assert ui.path().startswith("/d/two"), "the address is still the dashboard's"
    ui.keys(Keys.ESCAPE).wait_for("!document.querySelector('dialog[open]')", "it closed")
    changed(ui)
    # Closing the tab, or loading another page in it: the browser itself asks.
    assert ui.js("const e = new Event('beforeunload', {cancelable: true}); window.dispatchEvent(e); return e.defaultPrevented")
    ui.js("history.back()")
    ui.wait_for("document.querySelector('dialog[open]')", "the question again")
    ui.click("dialog button", "Save")
    ui.click("dialog.save button.main")
    ui.wait_for("location.pathname === '/dashboards'", "the list, once it is saved")
    assert stored(server, "two")["panels"][0]["title"] == "Mine"
    assert not ui.js("const e = new Event('beforeunload', {cancelable: true}); window.dispatchEvent(e); return e.defaultPrevented")
    ui.click("a", "Two panels")
    ui.wait_for("document.querySelector('[data-panel-key]')", "the dashboard")
    ui.settled()
    menu(ui, 1, "Remove")
    changed(ui)
    ui.js("history.back()")
    ui.click("dialog button", "Discard and leave")
    ui.wait_for("location.pathname === '/dashboards'", "the list, at once")
    assert len(stored(server, "two")["panels"]) == 2


def test_a_newer_version_is_replaced_if_one_says_so(server, ui):
    store(server, TWO)
    ui.open("/d/two/two-panels?edit=1")
    ui.settled()
    menu(ui, 2, "Duplicate")
    changed(ui)
    store(server, {**TWO, "title": "Two of theirs"})
    save(ui)
    ui.wait("another version", selector="dialog.save")
    assert stored(server, "two")["title"] == "Two of theirs", "nothing is stored yet"
    ui.click("dialog.save button", "Replace it")
    ui.wait("is saved", selector=".toasts")
    assert (stored(server, "two")["title"], len(stored(server, "two")["panels"])) == ("Two panels", 3)
    changed(ui, False)
    assert any("412" in line for line in ui.browser.console()), "the browser says that it was refused at first"


def test_settings_make_variables_that_work(server, ui):
    store(server, TWO)
    ui.open("/d/two/two-panels?edit=1")
    ui.settled()
    ui.click(".ed-bar button", "Settings")
    fill(ui, "Title", "Two & more")
    ui.click("[role=tab]", "Variables").click("dialog button", "Add variable")
    fill(ui, "Name", "job")
    fill(ui, "Query", "label_values(up, job)")
    ui.click("dialog button", "Close")
    ui.wait_for("document.querySelector('.variables')?.innerText.includes('itself')", "the variable's value")
    save(ui)
    ui.wait("is saved", selector=".toasts")
    made = stored(server, "two")
    assert made["title"] == "Two & more"
    assert made["templating"]["list"][0]["query"] == "label_values(up, job)"


VARIABLES = {  # what is chosen or typed for each type, and what it then offers
    "Custom": ({"Values": "a, b, big : c"}, ["a", "b", "big"]),
    "Interval": ({"Intervals": "1m,5m"}, ["1m", "5m"]),
    "Data source": ({}, ["Prometheus"]),
    "Query": ({"Query": "label_values(up, job)"}, ["itself"]),
    "Text box": ({"Value": "free"}, None),
    "Constant": ({"Value": "fixed"}, None),
    "Ad hoc filters": ({}, None),
    "Switch": ({"Value when on": "yes", "Value when off": "no"}, ["yes", "no"]),
}


def test_variables_of_every_type_say_what_they_offer(server, ui):
    store(server, TWO)
    ui.open("/d/two/two-panels?edit=1")
    ui.settled()
    ui.click(".ed-bar button", "Settings").click("[role=tab]", "Variables")
    for n, (type_, (fields, offers)) in enumerate(VARIABLES.items()):
        ui.click("dialog button", "Add variable")
        ui.wait_for(f"document.querySelectorAll('dialog section').length === {n + 1} && document.activeElement.matches('section:last-child input')", "the focus in its name")
        fill(ui, "Name", f"v{n}")
        choose(ui, "Type", type_)
        for label, text in fields.items():
            fill(ui, label, text)
        if offers:
            ui.wait_for(f"JSON.stringify([...document.querySelectorAll('.ed-values code')].map((e) => e.innerText)) === {json.dumps(json.dumps(offers, separators=(',', ':')))}", f"values of {type_}")
        ui.quiet()
    ui.click("dialog button", "Variable v1: up")
    ui.wait_for("document.querySelector('dialog section').innerText.startsWith('$v1') || document.querySelector('dialog section button').innerText.includes('v1')", "the other order")
    ui.until(lambda: "v1" in ui.focused(), "the focus to go along")
    ui.judge()
    ui.click("dialog button", "Close")
    ui.click(".dash-tools button", "Save")
    ui.wait_for("document.querySelector('dialog.save')", "the layer").find_element("css selector", "button.main").click()
    ui.wait("is saved", selector=".toasts")
    made = {v["name"]: v for v in stored(server, "two")["templating"]["list"]}
    assert [made[f"v{n}"]["type"] for n in range(8)] == ["custom", "interval", "datasource", "query", "textbox", "constant", "adhoc", "switch"]
    assert list(made)[0] == "v1" and made["v5"]["hide"] == 2 and made["v4"]["current"]["value"] == "free"
    # What is chosen now is what it opens with, if one says so.
    ui.open("/d/two/two-panels?var-v0=b&edit=1")
    ui.settled()
    ui.click(".ed-bar button", "Settings")
    fill(ui, "Description", "It opens with b")
    ui.click("dialog button", "Close").click(".dash-tools button", "Save")
    ui.click("dialog.save label", "variables of now").click("dialog.save button.main")
    ui.wait("is saved", selector=".toasts")
    assert next(v for v in stored(server, "two")["templating"]["list"] if v["name"] == "v0")["current"] == {"text": "b", "value": "b"}


def test_annotations_and_links_have_forms(server, ui):
    store(server, TWO)
    ui.open("/d/two/two-panels?edit=1")
    ui.settled()
    ui.click(".ed-bar button", "Settings").click("[role=tab]", "Annotations").click("dialog button", "Add annotations")
    fill(ui, "Name", "Always")
    fill(ui, "Where this is not zero", "up > 0")
    fill(ui, "Title", "{{job}} is up")
    choose(ui, "Panels", "On some panels")
    ui.click("dialog label", "Left")
    ui.click("dialog button", "Add annotations")
    fill(ui, "Name", "Ours")
    choose(ui, "Data source", "Stored here")
    choose(ui, "Which", "With tags, wherever they are")
    fill(ui, "Tags", "deploy")
    ui.judge()
    ui.click("[role=tab]", "Links").click("dialog button", "Add link")
    fill(ui, "Title", "Manual")
    fill(ui, "Address", "https://example.org/?a=$__from")
    ui.click("dialog label", "With the time range")
    ui.click("dialog button", "Add link")
    choose(ui, "Leads to", "Dashboards with tags")
    fill(ui, "Title", "Others")
    fill(ui, "Tags", "two")
    ui.judge()
    ui.click("dialog button", "Close")
    assert "Manual" in ui.text(".dash-tools") and "Always" in ui.text(".dash-tools")
    ui.js("document.querySelector('[data-panel-key=panel-2]').focus()")
    ui.keys("e").click("[role=tab]", "Style")
    fill(ui, "Search options", "links")
    ui.click("[aria-label=Links] button", "Add link")
    fill(ui, "Title", "Of the panel")
    fill(ui, "Address", "/targets")
    ui.click("[aria-label='Data links'] button", "Add link")
    ui.wait_for("document.querySelectorAll('[aria-label=\"Data links\"] section').length === 1", "a data link")
    title, address = ui.js("return [...document.querySelectorAll('[aria-label=\"Data links\"] input:not([type=checkbox])')]")
    title.send_keys("Explore ${__field.labels.job}")
    address.send_keys("/explore?g0.expr=${__value.raw}")
    ui.wait_for("document.querySelector('.ed-stage .panel-link')", "the panel's link")
    ui.wait_for("document.querySelector('.ed-stage a.value-box')?.href.includes('g0.expr=1')", "the value's link")
    ui.judge()
    save(ui)
    ui.wait("is saved", selector=".toasts")
    made = stored(server, "two")
    always, ours = made["annotations"]["list"][-2:]
    assert always == {"name": "Always", "enable": True, "hide": False, "iconColor": "red", "datasource": {"type": "prometheus", "uid": "prometheus"},
                      "expr": "up > 0", "titleFormat": "{{job}} is up", "filter": {"exclude": False, "ids": [1]}}
    assert ours["target"] == {"type": "tags", "limit": 100, "matchAny": False, "tags": ["deploy"]} and "expr" not in ours
    assert [(l["title"], l["type"], l["tags"], l["keepTime"]) for l in made["links"]] == [("Manual", "link", [], True), ("Others", "dashboards", ["two"], False)]
    two = next(p for p in made["panels"] if p["id"] == 2)
    assert two["links"] == [{"title": "Of the panel", "url": "/targets"}]
    assert two["fieldConfig"]["defaults"]["links"] == [{"title": "Explore ${__field.labels.job}", "url": "/explore?g0.expr=${__value.raw}"}]


def test_queries_of_traces_other_panels_and_expressions(server, ui):
    store(server, {**TWO, "panels": [*TWO["panels"], {"id": 3, "type": "table", "title": "Traces", "gridPos": {"x": 0, "y": 8, "w": 24, "h": 8}, "targets": [{"refId": "A", "expr": "up"}]}]})
    ui.open("/d/two/two-panels?editPanel=panel-3")
    ui.settled()
    choose(ui, "Source of query A", "Tempo")
    fill(ui, "TraceQL", '{ resource.service.name = "front" }')
    ui.wait_for("document.querySelectorAll('.ed-stage tbody a').length >= 3", "traces that one can follow")
    choose(ui, "Source of query A", "Jaeger")
    ui.wait_for("[...document.querySelectorAll('datalist option')].some((o) => o.innerText === 'front')", "the services that there are")
    fill(ui, "Service", "front")
    ui.wait_for("document.querySelectorAll('.ed-stage tbody a').length >= 3", "the same traces")
    # Two sources are mixed, and one again is one.
    ui.click("button", "Add query")
    choose(ui, "Source of query B", "Prometheus")
    ui.wait_for("document.querySelector('[data-editor=ready]')?.shadowRoot.querySelector('.cm-content')", "the field for PromQL").send_keys("up", Keys.ESCAPE)
    ui.click("[role=tab]", "JSON")
    model = lambda: json.loads(ui.js("return document.querySelector('[aria-label=\"The panel as JSON\"]').value"))
    ui.wait_for("document.querySelector('[aria-label=\"The panel as JSON\"]').value.includes('-- Mixed --')", "both")
    assert [t["datasource"]["type"] for t in model()["targets"]] == ["jaeger", "prometheus"] and model()["targets"][1]["expr"] == "up"
    ui.click("[role=tab]", "Query").click("button", "Remove Query A")
    choose(ui, "Source of query B", "Default")
    ui.click("[role=tab]", "JSON")
    assert model()["datasource"] is None and "datasource" not in model()["targets"][0] and model()["targets"][0]["expr"] == "up"
    ui.click("[role=tab]", "Query").click("button", "Add expression")
    fill(ui, "Expression", "$B * 7")
    ui.wait_for("document.querySelector('.ed-stage').innerText.includes('7')", "seven")
    choose(ui, "Kind", "Reduce")
    fill(ui, "Of the query", "B")
    choose(ui, "Kind", "Threshold")
    fill(ui, "Value", "0.5")
    ui.judge()
    ui.click("[role=tab]", "JSON")
    assert model()["targets"][1]["conditions"][0]["evaluator"] == {"type": "gt", "params": [0.5, 0]}
    ui.click("[role=tab]", "Query").click("button", "Remove Query A")
    choose(ui, "Source of query B", "Another panel")
    choose(ui, "The data of", "Left")
    ui.wait_for("document.querySelector('.ed-stage [data-panel-state=ok]')", "the other panel's data")


def tab_to(ui, name, back=False, most=150):
    """By Tab alone, as one without a mouse gets there; the name is what a screen reader says."""
    for _ in range(most):
        if ui.focused().startswith(name):
            return ui
        ui.chord(Keys.SHIFT, Keys.TAB) if back else ui.keys(Keys.TAB)
    raise AssertionError(f"Tab did not come to {name!r}; it is at {ui.focused()!r}")


def test_a_panel_is_added_asked_for_and_saved_by_keys_alone(server, ui):
    store(server, TWO)
    ui.open("/d/two/two-panels?edit=1")
    ui.settled()
    ui.wait_for("document.querySelector('.ed-bar')", "the bar")
    tab_to(ui, "Add to the dashboard").keys(Keys.ENTER)
    ui.wait_for("document.activeElement.matches('[role=menuitem]')", "the focus in the menu")
    ui.keys(Keys.ENTER)
    ui.wait_for("location.search.includes('editPanel=panel-3')", "the new panel's editor")
    tab_to(ui, "Add query").keys(Keys.ENTER)
    ui.wait_for("document.querySelector('[data-editor=ready]')", "the field for PromQL")
    ui.until(lambda: ui.chord(Keys.SHIFT, Keys.TAB) and ui.js("return document.activeElement.matches('[data-editor]')"), "the focus in it")
    ui.keys("sum(up)", Keys.ESCAPE)
    ui.wait_for("document.querySelector('.ed-stage [data-panel-state=ok]')", "the preview")
    tab_to(ui, "Save", back=True).keys(Keys.ENTER)
    ui.wait_for("document.activeElement.closest('dialog.save')", "the layer, with the focus in it")
    ui.keys(Keys.ENTER)
    ui.wait("is saved", selector=".toasts")
    new = next(p for p in stored(server, "two")["panels"] if p["id"] == 3)
    assert new["targets"][0]["expr"] == "sum(up)"


@pytest.mark.parametrize("width,scheme", SIZES)
def test_the_editor_is_readable_everywhere(server, ui, width, scheme):
    store(server, TWO)
    ui.open("/d/two/two-panels?edit=1", width, scheme)
    ui.settled()
    ui.wait_for("document.querySelector('.ed-bar')", "the bar")
    ui.judge()
    for tab in ("Query", "Style", "Overrides", "JSON", "Transform"):
        if tab == "Query":
            ui.open("/d/two/two-panels?editPanel=panel-1", width, scheme)
            ui.settled()
        ui.js("scrollTo(0, 0)")
        ui.click("[role=tab]", tab)
        if tab == "Style":
            ui.click("button", "Add mapping")
            ui.click("button", "Add threshold")
        if tab == "Overrides":
            ui.click("button", "Add override")
            for name in ("Color scheme", "Unit", "Thresholds"):
                choose(ui, "Add a property", next(o for o in ui.js("return [...document.querySelectorAll('select option')].map((o) => o.text)") if o.endswith(name)))
        ui.judge()


def test_a_viewer_sees_no_editing(sextant_bin, chromium, tmp_path):
    data = str(tmp_path / "data")
    for login, role in (("ann", "admin"), ("vic", "viewer")):
        done = subprocess.run([sextant_bin, "observe", "users", "add", login, "--role", role, "--storage.tsdb.path", data],
                              input=f"the password of {login}\n", capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
    (tmp_path / "auth.yml").write_text("", encoding="utf-8")
    with observing(sextant_bin, tmp_path, CONFIG, [f"--auth.config={tmp_path}/auth.yml"]) as made:
        ui = Pages(chromium, made.at)
        sign_in = """const done = arguments[2]; fetch('/api/login', {method: 'POST', headers: {'Content-Type': 'application/json'},
          body: JSON.stringify({login: arguments[0], password: arguments[1]})}).then((r) => done(r.status))"""
        ui.open("/login")
        assert chromium.execute_async_script(sign_in, "ann", "the password of ann") == 200
        save_it = """const done = arguments[1]; fetch('/api/dashboards/db', {method: 'POST', headers: {'Content-Type': 'application/json'},
          body: JSON.stringify({dashboard: JSON.parse(arguments[0])})}).then((r) => done(r.status))"""
        assert chromium.execute_async_script(save_it, json.dumps(TWO)) == 200
        assert chromium.execute_async_script(sign_in, "vic", "the password of vic") == 200
        ui.open("/d/two/two-panels?edit=1&editPanel=panel-1")
        ui.settled()
        ui.wait_for("document.querySelector('.dash-grid')", "the page, not the editor")
        assert "Edit" not in ui.text(".dash-tools") and not ui.js("return document.querySelector('.ed-bar, .ed-editor')")
        ui.js("document.querySelector('[data-panel-key=panel-1]').focus()")
        ui.click("[data-panel-key=panel-1] .panel-menu button")
        items = ui.js("return [...document.querySelectorAll('[role=menuitem]')].map((e) => e.innerText)")
        assert items and not any(i.split("\n")[0] in ("Edit", "Move", "Resize", "Duplicate", "Remove") for i in items), items
        chromium.console()
