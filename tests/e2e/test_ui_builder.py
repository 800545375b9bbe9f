"""Explore's query builder and metrics browser in Chromium, by mouse and by keys, over a server that
scrapes itself: a quantile of a histogram is drawn without a letter of PromQL being typed."""
import pytest

from lib.ui import SIZES, observing, query, scraping, wait_scraped
from lib.wait import wait_for

HISTOGRAM = "http_request_duration_seconds_bucket"
P95 = f"histogram_quantile(0.95, sum by (le) (rate({HISTOGRAM}[5m])))"
TEXT = "document.querySelector('[data-editor]')?.shadowRoot?.querySelector('.cm-content')?.innerText"


@pytest.fixture(scope="module")
def server(sextant_bin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("builder")
    with observing(sextant_bin, folder, scraping(folder)) as made:
        wait_scraped(made.at)
        wait_for(lambda: query(made.at, P95), 60, "a histogram with two scrapes")
        yield made


def text_is(ui, wanted):
    try:
        ui.wait_for(f"({TEXT} ?? '').trim() === {wanted!r}", "the query's text")
    except TimeoutError as e:
        raise AssertionError(f"{ui.js(f'return {TEXT}')!r} is not {wanted!r}") from e


def ops(ui):
    return ui.js("return [...document.querySelectorAll('.qb-step')].map((e) => e.dataset.op)")


def test_a_quantile_is_built_by_keys_and_drawn(ui):
    from selenium.webdriver.common.keys import Keys
    ui.open("/explore?from=now-5m").wait("Type a query").keys("b")
    ui.wait_for("document.getElementById('q0-metric')", "the builder")
    ui.js("document.getElementById('q0-metric').focus()")
    ui.wait_for("document.querySelector('.qb [role=option]')", "metrics to be offered")
    ui.keys("duration bucket").wait_for(f"[...document.querySelectorAll('.qb [role=option]')].some((e) => e.innerText.includes({HISTOGRAM!r}))", "the histogram")
    ui.wait_for("document.querySelectorAll('.qb [role=option]').length < 10", "few to be left")
    at = ui.js(f"return [...document.querySelectorAll('.qb [role=option]')].findIndex((e) => e.innerText.includes({HISTOGRAM!r}))")
    ui.keys(*[Keys.ARROW_DOWN] * (at + 1), Keys.ENTER)
    text_is(ui, P95)
    assert ops(ui) == ["rate", "sum", "histogram_quantile"]
    ui.wait("averaged over 5m", "for each le", "a share of 0.95", selector=".qb")
    ui.chord(Keys.CONTROL, Keys.ENTER).wait("on the server").wait_for("document.querySelectorAll('.series').length > 0", "a line")
    assert "g0.builder=1" in ui.path() and "histogram_quantile" in ui.path()
    ui.judge()


def test_filters_and_steps_by_mouse(ui):
    from selenium.webdriver.common.keys import Keys
    ui.open("/explore?g0.builder=1&g0.expr=http_requests_total").wait("Take every series of http_requests_total")
    ui.wait("A counter only ever grows").click(".qb .notice button", "Take its rate")
    text_is(ui, "rate(http_requests_total[5m])")
    ui.click(".qb-more", "Filter").wait_for("document.activeElement.getAttribute('aria-label') === 'Label 1'", "the label's field to have the focus")
    ui.wait_for("[...document.querySelectorAll('.qb-filter [role=option]')].some((e) => e.innerText === 'job')", "labels to be offered")
    ui.keys("job")
    ui.js("document.querySelector('[aria-label=\"Value 1\"]').focus()")
    ui.wait_for("[...document.querySelectorAll('.qb-filter [role=option]')].some((e) => e.innerText === 'itself')", "values to be offered")
    offered = ui.js("return [...document.querySelectorAll('.qb-filter [role=option]')].map((e) => e.innerText)")
    assert "gone" not in offered, "a value that has no such series"
    ui.click(".qb-filter [role=option]", "itself")
    text_is(ui, 'rate(http_requests_total{job="itself"}[5m])')
    ui.js("const s = document.querySelector('[aria-label=\"Step to add\"]'); s.value = 'sum'; s.dispatchEvent(new Event('change', { bubbles: true }))")
    ui.click(".qb-add button", "Add").wait_for("document.querySelectorAll('.qb-step').length === 2", "a second step")
    ui.js("document.querySelector('[aria-label=\"sum: add a label\"]').focus()")
    ui.wait_for("[...document.querySelectorAll('.qb-group [role=option]')].some((e) => e.innerText === 'job')", "labels to group by")
    ui.click(".qb-group [role=option]", "job")
    text_is(ui, 'sum by (job) (rate(http_requests_total{job="itself"}[5m]))')
    ui.keys(Keys.ESCAPE)
    ui.click("[data-op=sum] button", "Move sum up").wait_for("document.querySelector('.qb-step').dataset.op === 'sum'", "sum to be first")
    text_is(ui, 'rate(sum by (job) (http_requests_total{job="itself"})[5m:])')
    assert ui.focused() == "Move sum down", "the focus goes with the step"
    ui.click("[data-op=sum] button", "Move sum down").click("[data-op=rate] button", "Remove rate")
    text_is(ui, 'sum by (job) (http_requests_total{job="itself"})')
    ui.click(".query-tools button", "Run").wait("on the server")


def test_text_and_builder_follow_each_other(ui):
    from selenium.webdriver.common.keys import Keys
    ui.open("/explore?g0.builder=1&g0.expr=topk(3, up offset 1m) > 0").wait("Keep the 3 largest", "as it was 1m before", "above 0")
    ui.wait_for("document.querySelector('[data-editor=ready]')", "the editor")
    ui.js("document.querySelector('[data-editor]').shadowRoot.querySelector('.cm-content').focus()")
    ui.chord(Keys.CONTROL, Keys.END).keys(" + up").wait("This query stays text", "joins two queries")
    text_is(ui, "topk(3, up offset 1m) > 0 + up")
    ui.judge()
    ui.keys(*[Keys.BACKSPACE] * 5).wait_for("document.querySelectorAll('.qb-step').length === 2", "the builder again")


def test_the_browser_counts_filters_and_opens_the_builder(ui):
    ui.open("/explore?from=now-5m").wait("Type a query").click(".query-tools button", "Metrics").wait(HISTOGRAM, "counter", selector="dialog[open]")
    ui.js("const s = [...document.querySelectorAll('dialog select')][1]; s.value = 'gone'; s.dispatchEvent(new Event('change', { bubbles: true }))")
    ui.wait_for("document.querySelectorAll('dialog tbody tr').length > 0 && !document.querySelector('dialog').innerText.includes('http_requests_total')", "the other job's metrics only")
    ui.js("const s = [...document.querySelectorAll('dialog select')][1]; s.value = ''; s.dispatchEvent(new Event('change', { bubbles: true }))")
    ui.wait(HISTOGRAM, selector="dialog[open]").click("dialog .choice button", "Tree")
    ui.click("dialog .fold", "http_").wait_for("document.querySelector('dialog .qb-tree').innerText.includes('http_request')", "what begins so")
    ui.judge()
    ui.click("dialog .choice button", "List").click("dialog tbody button", f"Open {HISTOGRAM} in the builder").wait("a share of 0.95", "on the server")
    assert "g0.builder=1" in ui.path()
    text_is(ui, P95)
    ui.click(".query-tools button", "History").wait("Nothing has been run", selector="dialog[open]")


def test_the_time_range_is_copied_and_pasted(ui):
    ui.open("/explore?from=now-7m").wait("Type a query").keys("t", "c").wait("is copied", selector=".toasts")
    ui.keys("t", "z")
    ui.until(lambda: "from=now-7m" not in ui.path(), "another range")
    ui.keys("t", "v")
    ui.until(lambda: "from=now-7m" in ui.path(), "the range that was copied")


@pytest.mark.parametrize("width,scheme", SIZES)
def test_the_builder_is_right(ui, width, scheme):
    ui.open(f"/explore?g0.builder=1&from=now-5m&g0.expr=histogram_quantile(0.95, sum by (le, job) (rate({HISTOGRAM}{{job=\"itself\"}}[5m]))) * 1000", width, scheme)
    ui.wait("a share of 0.95", "Multiply by 1000", "on the server")
    ui.judge()
