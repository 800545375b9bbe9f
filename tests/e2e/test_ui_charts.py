"""Drawings in Chromium: what a move of the pointer costs with thousands of series, zooming by mouse,
finger and keys, the pinned tooltip, the legend, heat maps. Time is not asserted, work is: it is counted."""
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from lib.many_series import ManySeries
from lib.ui import observing

SERIES = 2000
MOVES = 30

MOVE = """
const done = arguments[arguments.length - 1], moves = arguments[0];
const plot = document.querySelector('.plot'), r = plot.getBoundingClientRect();
let i = 0;
const step = () => {
  if (i >= moves) return done({...plot.work});
  plot.dispatchEvent(new PointerEvent('pointermove', {clientX: r.left + 90 + i * 19, clientY: r.top + 30 + (i * 37) % 200,
    pointerId: 1, pointerType: 'mouse', bubbles: true}));
  i++;
  requestAnimationFrame(step);
};
requestAnimationFrame(step);
"""


CHOSEN = "/[?&]from=\\d{13}/.test(location.search) && /[?&]to=\\d{13}/.test(location.search)"


@pytest.fixture(scope="module")
def server(sextant_bin, tmp_path_factory):
    """The front, which the pages are asked of."""
    with observing(sextant_bin, tmp_path_factory.mktemp("charts")) as made:
        before = ManySeries(made.at, SERIES)
        before.at = before.url.rstrip("/")
        yield before
        before.close()


@pytest.fixture
def front(server):
    """With as many series as a test wants: SERIES at its beginning."""
    server.series = SERIES
    return server


@pytest.fixture
def ui(front, ui):
    return ui


def drawn(ui, path="/explore?g0.expr=many&from=now-1h"):
    ui.open(path).wait_for("document.querySelector('.plot')?.dataset.drawn === 'yes'", "the drawing")
    return ui


def plot(ui):
    return ui.browser.find_element("css selector", ".plot")


def drag(ui, by_x, by_y, shift=False):
    chain = ActionChains(ui.browser, duration=50)
    chain.move_to_element_with_offset(plot(ui), -150, -60)
    if shift:
        chain.key_down(Keys.SHIFT)
    chain.click_and_hold().move_by_offset(by_x, by_y).release()
    if shift:
        chain.key_up(Keys.SHIFT)
    chain.perform()


def ticks(ui):
    """The value axis, as it is painted: its left part's pixels."""
    return ui.js("const c = document.querySelector('.plot canvas:not(.above)'); const g = document.createElement('canvas');"
                 "g.width = 60; g.height = c.height; g.getContext('2d').drawImage(c, 0, 0); return g.toDataURL()")


def test_a_move_of_the_pointer_looks_up_little_and_paints_nothing_again(ui):
    drawn(ui)
    before = ui.js("return {...document.querySelector('.plot').work}")
    after = ui.browser.execute_async_script(MOVE, MOVES)
    assert after["paints"] == before["paints"] and after["builds"] == 1
    assert 0 < after["looks"] - before["looks"] <= MOVES
    assert after["ranked"] <= after["looks"] and after["gathered"] == after["ranked"] * SERIES
    assert after["compared"] <= after["looks"] * 12, "the nearest is found by halving"
    rows = ui.js("return document.querySelectorAll('.tip > div').length")
    assert 2 < rows <= 17 and f"and {SERIES - 16} more" in ui.text(".tip")


def test_the_legend_draws_only_what_is_seen_and_is_walked_by_keys(ui):
    drawn(ui)
    assert 5 < ui.js("return document.querySelectorAll('.legend .series').length") < 60
    assert ui.js("return document.querySelectorAll('.legend .series[tabindex=\"0\"]').length") == 1
    ui.js("document.querySelector('.legend .series').focus()")
    for _ in range(40):
        ui.keys(Keys.ARROW_DOWN)
    ui.until(lambda: ui.focused() == 'many{host="host-00040"}', "the 41st name to have the focus")
    ui.keys(Keys.ENTER)
    ui.wait_for("document.querySelector('.legend .series:focus').getAttribute('aria-pressed') === 'true' && "
                "document.querySelectorAll('.legend .series[aria-pressed=true]').length === 1", "one line alone")
    ui.chord(Keys.CONTROL, Keys.ENTER)
    ui.wait_for("document.querySelectorAll('.legend .series[aria-pressed=true]').length === 0", "it to be off, too")
    ui.keys(Keys.ENTER, Keys.ENTER)
    ui.wait_for("document.querySelectorAll('.legend .series[aria-pressed=false]').length === 0", "all to be back")


def test_a_refresh_builds_no_axes_again_and_keeps_the_cursor(ui, front):
    front.series = 20
    drawn(ui)
    ui.js("document.querySelector('.plot').focus()")
    ui.keys(Keys.ARROW_LEFT).wait_for("document.querySelector('.tip')", "the tooltip")
    asked = len(front.asked)
    ui.js("document.querySelector('[aria-label=\"Refresh now\"]').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    ui.until(lambda: len(front.asked) > asked, "the query to be asked again")
    ui.wait_for("document.querySelector('.plot').work.paints > 1", "the new data to be painted")
    assert ui.js("return document.querySelector('.plot').work.builds") == 1
    ui.wait_for("document.querySelector('.tip')", "the tooltip to stay")


def test_a_drag_zooms_time_and_with_shift_the_values(ui, front):
    front.series = 20
    drawn(ui)
    first = ticks(ui)
    drag(ui, 0, 80, shift=True)
    ui.until(lambda: ticks(ui) != first, "another value axis")
    assert "from=now-1h" in ui.path()
    ActionChains(ui.browser, duration=0).double_click(plot(ui)).perform()
    ui.until(lambda: ticks(ui) == first, "the value axis as it was")
    assert "from=now-1h" in ui.path(), "the first double click brings back the values alone"
    drag(ui, 200, 0)
    ui.wait_for(CHOSEN, "the range in the address")
    chosen = ui.path()
    ActionChains(ui.browser, duration=0).double_click(plot(ui)).perform()
    ui.until(lambda: ui.path() != chosen, "a wider range")


def test_a_click_pins_the_tooltip_and_escape_closes_it(ui, front):
    front.series = 20
    drawn(ui)
    ActionChains(ui.browser, duration=0).move_to_element(plot(ui)).perform()
    ui.wait_for("document.querySelector('.tip:not(.pinned)')", "the tooltip")
    ActionChains(ui.browser, duration=0).click().perform()
    ui.wait_for("document.querySelector('.tip.pinned[role=dialog] button')", "the tooltip to be pinned")
    ui.judge()
    text = ui.text(".tip")
    ActionChains(ui.browser, duration=0).move_by_offset(-120, 20).perform()
    assert ui.text(".tip") == text
    ui.js("document.querySelector('.plot').focus()")
    ui.keys(Keys.ESCAPE).wait_for("!document.querySelector('.tip')", "the tooltip to go")


def test_a_hidden_line_is_not_in_the_tooltip(ui, front):
    front.series = 3
    drawn(ui)
    ActionChains(ui.browser, duration=0).key_down(Keys.CONTROL).click(ui.js("return document.querySelector('.legend .series')")).key_up(Keys.CONTROL).perform()
    ui.js("document.querySelector('.plot').focus()")
    ui.keys(Keys.ARROW_LEFT).wait_for("document.querySelectorAll('.tip > div').length === 2", "two lines")
    assert "host-00000" not in ui.text(".tip")


def test_a_range_is_chosen_by_keys(ui, front):
    front.series = 3
    drawn(ui)
    ui.js("document.querySelector('.plot').focus()")
    ui.keys(Keys.ARROW_LEFT, Keys.SPACE, *[Keys.ARROW_LEFT] * 20, Keys.ENTER)
    ui.wait_for(CHOSEN, "the range in the address")
    said = ui.text(".unseen")
    assert "many" in said, "what is under the cursor is told"


def test_a_finger_moves_the_time_and_two_stretch_it(ui, front):
    front.series = 5
    b = ui.browser
    b.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    try:
        drawn(ui)
        at = ui.js("const r = document.querySelector('.plot').getBoundingClientRect(); return {x: r.left, y: r.top, w: r.width}")

        def touch(kind, *xs):
            b.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [
                {"x": at["x"] + x, "y": at["y"] + 120, "id": i} for i, x in enumerate(xs)]})
        touch("touchStart", 700)
        for x in range(690, 500, -20):
            touch("touchMove", x)
        touch("touchEnd")
        ui.wait_for(CHOSEN, "the moved range")
        span = "const q = new URLSearchParams(location.search); return q.get('to') - q.get('from')"
        moved = ui.js(span)
        assert abs(moved - 3600e3) < 60e3, moved
        ui.wait_for("document.querySelector('.plot').dataset.drawn === 'yes'", "the drawing")
        touch("touchStart", 400, 600)
        for d in range(10, 110, 10):
            touch("touchMove", 400 - d, 600 + d)
        touch("touchEnd")
        ui.until(lambda: ui.js(span) < moved * 0.8, "a narrower range")
    finally:
        b.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_a_heat_map_is_walked_cell_by_cell(ui):
    drawn(ui, "/explore?g0.expr=buckets_bucket&g0.display_mode=heatmap&from=now-1h")
    ui.js("document.querySelector('.plot').focus()")
    ui.keys(Keys.ARROW_LEFT).wait_for("document.querySelector('.tip')?.innerText.includes(' to ')", "a bucket")
    one = ui.text(".tip")
    ui.keys(Keys.ARROW_UP)
    ui.until(lambda: ui.text(".tip") != one, "the bucket above")
    ui.judge()
    ui.keys(Keys.ESCAPE).wait_for("!document.querySelector('.tip')", "the tooltip to go")


def test_two_charts_share_the_cursor(ui, front):
    front.series = 4
    drawn(ui, "/explore?g0.expr=many&g1.expr=many%2B1&from=now-1h")
    ui.wait_for("[...document.querySelectorAll('.plot')].filter((p) => p.dataset.drawn === 'yes').length === 2", "two drawings")
    overs = ui.js("return document.querySelectorAll('.plot')[1].work.overs")
    ui.js("document.querySelectorAll('.plot')[1].scrollIntoView(); document.querySelector('.plot').focus({preventScroll: true})")
    ui.keys(Keys.ARROW_LEFT).wait_for(f"document.querySelectorAll('.plot')[1].work.overs > {overs}", "the other's cursor")
