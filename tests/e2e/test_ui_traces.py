"""The observatory's pages about traces in Chromium: found, looked at, compared, as graphs; by keyboard; a
trace of 100,000 spans; files; what a hostile client sends."""
import json
import time

import pytest
import requests
from selenium.webdriver.common.keys import Keys

from lib.trace_shapes import EVIL, far, hostile, large, post, shop, trace_id
from lib.ui import SIZES, TIMEOUT_S, observing, query
from lib.wait import wait_for

LARGE = 100_000
ROWS_MAX = 80  # drawn of them, whatever is shown
A, B, BIG, HOSTILE, FAR = (trace_id(w) for w in ("A", "B", "large", "hostile", "far"))
ORDERS = 30


SERVICES = {"user", "front", "mail", "payment", "postgresql", "shop", "stock"}


@pytest.fixture(scope="module")
def server(sextant_bin, tmp_path_factory):
    with observing(sextant_bin, tmp_path_factory.mktemp("traces"), flags=["--traces.retention=36500d"], spans=True) as made:
        now = time.time_ns()
        for k in range(ORDERS):
            post(made.otlp, shop(trace_id(f"order {k}"), now - (ORDERS - k) * 10**9, slow=k % 7 == 3, fail=k % 10 == 4, more=k % 3))
        post(made.otlp, shop(A, now, links=[B]))
        post(made.otlp, shop(B, now + 10**9, slow=True, fail=True, more=2))
        post(made.otlp, hostile(HOSTILE, now - 120 * 10**9))
        post(made.otlp, far(FAR))
        # Edges are derived from spans each second: until all are there, and by their rate as the page asks for them.
        rate = "sum by (client, server) (rate(traces_service_graph_request_total[15m])) > 0"
        wait_for(lambda: {e["metric"][end] for e in query(made.at, rate) for end in ("client", "server")} >= SERVICES, 60, "the service graph")
        yield made


def rows(ui):
    return ui.js("return document.querySelectorAll('.span-row').length")


def cursor(ui):
    return ui.js("return document.querySelector('.span-row.at')?.innerText.replace(/\\s+/g, ' ') ?? ''")


def opened(ui, trace, more=""):
    ui.open(f"/trace/{trace}{more}")
    ui.wait_for("document.querySelector('.trace-page')", "the trace")
    return ui


# ---- every page, in every size and theme

PAGES = {
    "/traces?from=now-15m": ("POST /order", "payment", "errors"),
    "/traces?from=now-15m&service=shop&operation=POST+/orders&tags=order.id%3Do-55&minDuration=100ms&errors=1": ("4 errors",),
    "/traces?from=now-15m&q=%7B+status+%3D+error+%7D": ("traces", "POST /order"),
    "/traces?from=now-15m&service=nobody": ("No trace is like that",),
    "/traces?tab=services&from=now-15m": ("nodes",),
    "/traces?tab=operations&from=now-15m": ("POST /orders", "p95"),
    f"/trace/{B}": ("front", "SELECT stock", "286 ms"),
    f"/trace/{B}?span=1": ("Attributes", "http.request.method", "Of the trace"),
    f"/trace/{B}?view=flame": ("in all",),
    f"/trace/{B}?view=table": ("Self share", "payment", "risk"),
    f"/trace/{B}?view=critical": ("waited for", "risk"),
    f"/trace/{B}?view=graph": ("nodes",),
    f"/trace/{A}...{B}": ("B took 140 ms longer", "slower"),
    f"/trace/{HOSTILE}?span=1": (EVIL, "10008"),
    f"/trace/{FAR}": ("clock", "the end of time"),
    "/trace/nonsense": ("This is no trace's id",),
    f"/trace/{'12' * 16}": ("No trace of this id is stored",),
}


@pytest.mark.parametrize("width,scheme", SIZES)
def test_every_page_is_right(ui, width, scheme):
    for path, words in PAGES.items():
        ui.open(path, width, scheme).wait(*words)
        try:
            ui.judge()
        except AssertionError as e:
            raise AssertionError(f"{path} at {width} {scheme}: {e}") from e


# ---- searching

def test_from_anywhere_to_a_span_by_keys(ui):
    ui.open("/").wait("Sextant", selector="nav")
    ui.keys("g", "x")
    ui.wait("POST /order")
    ui.keys("/")
    ui.until(lambda: ui.js("return document.activeElement.name") == "service", "the field")
    ui.keys(*"shop", Keys.ENTER)
    ui.wait_for("location.search.includes('service=shop')", "the search")
    ui.js("document.activeElement.blur()")
    ui.keys("j")
    ui.until(lambda: "POST /order" in ui.focused(), "a trace has the focus")
    ui.keys(Keys.ENTER)
    ui.wait("SELECT stock")
    ui.until(lambda: ui.js("return document.activeElement.getAttribute('role')") == "treegrid", "the spans have the focus")
    ui.keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    ui.wait("Attributes", "/orders", selector=".details")
    ui.wait_for("location.search.includes('span=')", "the span in the address")


def times(ui):
    """How long the traces that are found took."""
    return ui.js("return [...document.querySelectorAll('.traces-found .took')].map((e) => parseFloat(e.innerText))")


def test_results_are_sorted_and_more_are_asked_for(ui):
    ui.open("/traces?from=now-15m&service=shop&sort=longest").wait("20 traces")
    took = times(ui)
    assert took == sorted(took, reverse=True)
    for _ in range((ORDERS + 2) // 20):
        if f"{ORDERS + 2} traces" in ui.text():
            break
        count = ui.js("return parseInt(document.querySelector('.found-bar b').innerText)")
        ui.click("button", "Load more").wait_for(f"parseInt(document.querySelector('.found-bar b').innerText) > {count}", "an older page")
    ui.wait(f"{ORDERS + 2} traces")
    ui.js("scrollTo(0, 0)")
    longest = times(ui)
    assert longest == sorted(longest, reverse=True) and len(longest) == ORDERS + 2
    ui.click("button", "Shortest").until(lambda: times(ui) == sorted(longest), "the shortest first")


def test_a_search_leads_to_the_span_that_matched(ui):
    ui.open("/traces?from=now-15m&service=payment&sort=longest").wait("20 traces")
    assert not ui.js("return document.querySelector('.found-hit')")
    for asked in ("service=payment&operation=Charge", "q=%7B+name+%3D+%22Charge%22+%7D"):
        ui.open(f"/traces?from=now-15m&{asked}&sort=longest").wait("20 traces", "Charge")
        assert ui.js("return [...document.querySelectorAll('.found-hit')].map((e) => e.innerText.includes('payment') && e.innerText.includes('Charge'))") == [True] * 20
        took = ui.js("return [...document.querySelectorAll('.found-hit .took')].map((e) => parseFloat(e.innerText))")
        assert took == sorted(took, reverse=True) and took[0] > took[-1]
        ui.click(".found-head:not(.found-hit) a", "POST /order")
        ui.wait_for("location.pathname.startsWith('/trace/') && location.search.includes('span=')", "the trace at the span")
        ui.until(lambda: "payment Charge" in cursor(ui), "the span")
        ui.wait("Attributes", selector=".details")


def test_a_point_opens_its_trace(ui):
    from selenium.webdriver.common.action_chains import ActionChains
    ui.open("/traces?from=now-15m&service=shop&tags=order.id%3Do-55&errors=1").wait("4 errors")
    ui.wait_for("document.querySelector('.scatter svg').clientWidth === document.querySelector('.scatter').clientWidth", "the plot has its width")
    svg = ui.browser.find_element("css selector", ".scatter svg")
    ui.js("arguments[0].scrollIntoView({block: 'center'})", svg)
    at = ui.js("""const m = /M([\\d.]+) ([\\d.]+)/.exec(document.querySelector('.scatter .failed').getAttribute('d'));
                  const b = arguments[0].getBoundingClientRect(); return [m[1] - b.width / 2, m[2] - b.height / 2 + 5]""", svg)
    ActionChains(ui.browser).move_to_element_with_offset(svg, round(at[0]), round(at[1])).click().perform()
    ui.wait_for("location.pathname.startsWith('/trace/')", "the trace")


def test_jaegers_address_leads_here(ui, server):
    now = int(time.time() * 1e6)
    ui.open(f"/search?end={now + 10**8}&start={now - 10**9}&limit=100&lookback=custom&maxDuration&minDuration=1ms&service=shop&operation=POST%20%2Forders"
            "&tags=%7B%22order.id%22%3A%22o-55%22%7D")
    ui.wait(f"{ORDERS + 2} traces")
    path = ui.path()
    assert path.startswith("/traces?") and "lookback" not in path and "start=" not in path and "from=1" in path, path
    ui.open("/search?service=shop&tag=error:true&lookback=2d&operation=all").wait("error")
    ui.wait_for("document.querySelector('.traces-found > li')", "traces")
    assert "from=now-2d" in ui.path() and "operation" not in ui.path()
    assert ui.js("return [...document.querySelectorAll('.traces-found > li')].every((l) => l.classList.contains('failed'))")


def test_traceql_is_completed(ui):
    ui.open("/traces?from=now-15m&q=%7B%7D").wait("traces")
    field = ui.browser.find_element("id", "traceql")
    field.clear()
    field.send_keys("{ resource.serv")
    ui.wait_for("document.querySelector('#traceql-list:not([hidden])')?.innerText.includes('resource.service.name')", "names")
    field.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    ui.until(lambda: "resource.service." in field.get_attribute("value"), "the name is taken")
    field.clear()
    field.send_keys('{ resource.service.name = "pay')
    ui.wait_for("document.querySelector('#traceql-list:not([hidden])')?.innerText.includes('payment')", "values")
    field.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    ui.until(lambda: field.get_attribute("value") == '{ resource.service.name = "payment"', "the value is taken")
    field.send_keys(" && status = error }", Keys.ESCAPE, Keys.ENTER)
    ui.wait_for("location.search.includes('payment')", "the search")
    ui.wait("4 errors")
    field.clear()
    field.send_keys("{ nonsense", Keys.ESCAPE, Keys.ENTER)
    ui.wait("invalid TraceQL query")
    ui.browser.console()  # the browser tells of the 400


def test_a_pasted_id_opens_its_trace(ui):
    ui.open("/traces").wait("Fields")
    ui.browser.find_element("id", "tags").send_keys(f" {B} ", Keys.ENTER)
    ui.wait_for(f"location.pathname === '/trace/{B}'", "the trace")


# ---- the trace

def test_the_keys_walk_fold_and_search(ui):
    opened(ui, B).wait("mail")
    assert rows(ui) == 16
    ui.keys("[")
    ui.until(lambda: rows(ui) == 1, "all is folded")
    ui.keys(Keys.ARROW_RIGHT)
    ui.until(lambda: rows(ui) == 2, "one is unfolded")
    ui.keys("]")
    ui.until(lambda: rows(ui) == 16, "all is unfolded")
    ui.keys("f", "f")
    ui.until(lambda: "POST /orders" in cursor(ui), "two further")
    ui.keys("b")
    ui.until(lambda: "POST /orders" not in cursor(ui), "one back")
    ui.keys(Keys.END)
    ui.until(lambda: "orders process" in cursor(ui), "the last")
    ui.keys("/")
    ui.keys(*"select")
    ui.wait("5 matches", selector=".trace-bar")
    ui.keys(Keys.ENTER)
    ui.wait("1 of 5", selector=".trace-bar")
    ui.keys(Keys.ESCAPE)
    ui.keys("n")
    ui.wait("2 of 5", selector=".trace-bar")
    ui.keys("N", "N")
    ui.wait("5 of 5", selector=".trace-bar")
    assert "find=select" in ui.path()
    ui.keys("z")
    ui.wait_for("location.search.includes('zoom=')", "the zoom")
    ui.keys("Z")
    ui.wait_for("!location.search.includes('zoom=')", "the whole")


def test_enter_at_once_goes_to_the_match_in_the_middle(ui):
    opened(ui, HOSTILE).wait("10008")
    ui.js("""const field = document.querySelector('.trace-bar input'); field.value = arguments[0];
             field.dispatchEvent(new Event('input', {bubbles: true}));
             requestAnimationFrame(() => field.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true})))""", "level 5000")
    ui.wait("1 of 1", selector=".trace-bar")
    off = "(() => { const b = document.querySelector('.rows-box').getBoundingClientRect(), r = document.querySelector('.span-row.at').getBoundingClientRect(); return Math.abs((r.top + r.bottom - b.top - b.bottom) / 2); })()"
    ui.wait_for(f"document.querySelector('.span-row.at.hit') && {off} < 30", "the match in the middle")


def test_filters_keep_what_is_above(ui):
    opened(ui, B, "?errors=1").wait("of 16 spans shown")
    shown = ui.js("return [...document.querySelectorAll('.span-row')].map((r) => [r.classList.contains('failed'), r.classList.contains('context')])")
    assert all(failed != context for failed, context in shown) and sum(f for f, _ in shown) == 4
    opened(ui, B, "?min=0.5").wait("of 16 spans shown")
    assert 3 < rows(ui) < 10
    opened(ui, B, "?only=mail").wait("orders process")
    ui.click("button.service-chip", "mail").wait("16 spans")


def test_a_span_leads_on(ui):
    opened(ui, A, "?span=3").wait("Links 1", "cart loaded", selector=".details")
    ui.click(".details a", "Trace")
    ui.wait_for(f"location.pathname === '/trace/{B}' && location.search.includes('span=')", "the linked trace")
    ui.wait("Attributes", selector=".details")
    opened(ui, B, "?span=1").wait("user.id", selector=".details")
    ui.click(".details a.find", "user.id")
    ui.wait_for("location.search.includes('user.id%3Du-1837')", "the search")
    ui.wait("20 traces")
    opened(ui, B, "?span=1").wait("user.id", selector=".details")
    ui.click(".details a", "Service in explore")
    ui.wait_for("location.pathname === '/explore' && location.search.includes('traces_span_metrics_calls_total')", "the metrics")


def test_home_and_exemplars_lead_to_traces_and_back(ui):
    ui.open("/").wait("payment")
    ui.click("a", "Traces of payment")
    ui.wait_for("location.search.includes('service=payment')", "its traces")
    ui.wait("20 traces")
    ui.open("/explore?g0.expr=sum by (le) (rate(traces_span_metrics_duration_milliseconds_bucket[1m]))&g0.show_exemplars=1&from=now-15m")
    ui.wait("Traces, the largest first")
    ui.click("[aria-label='Traces of exemplars'] a", "◆")
    ui.wait_for("location.pathname.startsWith('/trace/') && location.search.includes('expr=')", "the trace")
    ui.wait("Duration", selector=".details")
    ui.click("a", "Back to the graph")
    ui.wait_for("location.pathname === '/explore'", "the graph")
    ui.wait("Traces, the largest first")


def test_spans_that_arrive_are_shown_when_asked_again(ui, server):
    late = trace_id("late")
    whole = shop(late, time.time_ns())
    post(server.otlp, {"resourceSpans": [r for r in whole["resourceSpans"] if "front" in json.dumps(r["resource"])]})
    opened(ui, late).wait("2 spans")
    post(server.otlp, {"resourceSpans": [r for r in whole["resourceSpans"] if "front" not in json.dumps(r["resource"])]})
    ui.keys("d", "r")
    ui.wait("14 spans")


def test_the_minimap_zooms(ui):
    from selenium.webdriver.common.action_chains import ActionChains
    opened(ui, B)
    box = ui.browser.find_element("css selector", ".minimap")
    ActionChains(ui.browser).move_to_element_with_offset(box, -100, 0).click_and_hold().move_by_offset(150, 0).release().perform()
    ui.wait_for("location.search.includes('zoom=')", "the zoom")
    ui.click("button", "Whole")
    ui.wait_for("!location.search.includes('zoom=')", "the whole")


def test_other_views_lead_to_spans(ui):
    opened(ui, B, "?view=table").wait("risk")
    ui.click("button.pick", "risk")
    ui.wait("payment risk", selector=".details")
    opened(ui, B, "?view=flame").wait("in all")
    ui.js("document.querySelector('.flame').focus()")
    ui.keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    ui.wait("POST /orders", selector=".flame-line")
    ui.keys(Keys.ENTER)
    ui.wait("Whole trace")
    ui.keys(Keys.ESCAPE)
    ui.until(lambda: "Whole trace" not in ui.text(), "zoomed out")
    opened(ui, B, "?view=graph").wait("nodes").wait_for("document.querySelector('.node')", "the nodes")
    ui.js("document.querySelector('.node').focus()")
    ui.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    ui.until(lambda: "POST /orders" in ui.focused(), "the next node")
    ui.keys(Keys.ENTER)
    ui.wait("POST /orders", selector=".details")


@pytest.mark.timeout(600)
def test_100000_spans_open_and_scroll(ui, server):
    post(server.otlp, large(BIG, time.time_ns() - 30 * 10**9, LARGE))
    began = time.monotonic()
    opened(ui, BIG)
    seen = time.monotonic() - began
    data = ui.js("return {...document.querySelector('.trace-page').dataset}")
    assert int(data["spans"]) == LARGE
    frames = ui.browser.execute_async_script("""
        const done = arguments[0], box = document.querySelector('.rows-box'); let n = 0, at = performance.now(), worst = 0, most = 0;
        const began = at;
        const step = (t) => { worst = Math.max(worst, t - at); at = t; most = Math.max(most, document.querySelectorAll('.span-row').length);
          box.scrollTop += 997; if (++n < 120) requestAnimationFrame(step); else done([n / (t - began) * 1000, worst, most]); };
        requestAnimationFrame(step)""")
    print(f"100,000 spans: seen {seen:.2f} s after the click, of which asked {data['asked']} ms, read {data['read']} ms; scrolling {frames[0]:.0f} frames/s, worst {frames[1]:.0f} ms, {frames[2]} rows")
    assert frames[2] <= ROWS_MAX
    ui.keys(Keys.END)
    ui.until(lambda: ui.js("return Number(document.querySelector('.span-row.at')?.getAttribute('aria-rowindex'))") == LARGE, "the last row")
    ui.browser.find_element("css selector", ".trace-bar input").send_keys("index=99999")
    ui.wait("1 match", selector=".trace-bar")
    ui.keys("[")
    assert rows(ui) <= ROWS_MAX
    for view in ("flame", "table", "critical", "graph"):
        opened(ui, BIG, f"?view={view}").wait_for("document.querySelector('.trace-page .card')", view)
        assert ui.js("return document.querySelectorAll('main *').length") < 4000, view


# ---- comparing, graphs, files

def test_the_second_of_two_is_picked_from_the_list(ui):
    opened(ui, A).wait("mail")
    ui.click("a", "Compare…")
    ui.wait(f"Compare trace {A[:8]}", "20 traces")
    ui.click("button", f"Compare trace {B[:8]}")
    ui.wait("B took 140 ms longer", "+1")
    signs = ui.js("return [...document.querySelectorAll('.compare-row .delta')].map((e) => e.innerText.trim()[0])")
    assert "▲" in signs and "=" in signs
    ui.click("button", "Changed")
    ui.until(lambda: "validate" not in ui.text(), "only what changed")
    ui.click("a", "Swap the two").wait("B took 140 ms less", "faster")


def test_services_and_operations(ui):
    ui.open("/traces?tab=services&from=now-15m").wait("nodes")
    ui.until(lambda: SERVICES <= set(ui.js("return [...document.querySelectorAll('.node .title')].map((t) => t.textContent.trim())")), "the services")
    ui.js("[...document.querySelectorAll('.node')].find((n) => n.dataset.node === 'front').focus()")
    ui.keys(Keys.ARROW_RIGHT)
    ui.until(lambda: "shop" in ui.focused(), "who is called")
    ui.wait_for("document.querySelectorAll('.node.dim').length > 0", "the others to be dimmed")
    ui.click("button", "Table").wait_for("document.querySelector('main table') && !document.querySelector('.node')", "the table")
    ui.wait("postgresql", "user", selector="main table")
    ui.judge()
    ui.open("/traces?tab=operations&from=now-15m").wait("POST /orders", "Charge")
    ui.click("td a", "POST /orders")
    ui.wait_for("location.search.includes('operation=POST')", "its traces")
    ui.wait("traces")


def test_files_are_shown_without_being_stored_and_saved_again(ui, tmp_path, server):
    request = shop("ab" * 16, 1_700_000_000_000_000_000, fail=True)
    path = tmp_path / "one.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    jaeger = tmp_path / "jaeger.json"
    jaeger.write_text(requests.get(f"{server.at}/api/traces/{B}", timeout=TIMEOUT_S).text, encoding="utf-8")
    ui.open("/traces").wait("Fields")
    ui.browser.find_element("css selector", "input[type=file]").send_keys(str(path))
    ui.wait_for("location.pathname.startsWith('/trace/file-')", "the file's trace")
    ui.wait("SELECT stock", "146 ms")
    ui.js("URL.createObjectURL = (b) => { window.saved = b; return 'blob:none'; }; HTMLAnchorElement.prototype.click = () => undefined")
    ui.click("button", "JSON")
    text = ui.browser.execute_async_script("const done = arguments[0]; window.saved.text().then(done)")
    saved = {s["spanId"]: s for r in json.loads(text)["resourceSpans"] for x in r["scopeSpans"] for s in x["spans"]}
    sent = {s["spanId"]: s for r in request["resourceSpans"] for x in r["scopeSpans"] for s in x["spans"]}
    assert saved.keys() == sent.keys()
    for key, one in sent.items():
        for name in ("traceId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano"):
            assert saved[key][name] == one[name], (key, name)
        order = lambda a: sorted(a, key=lambda x: x["key"])  # noqa: E731
        assert order(saved[key]["attributes"]) == order(one.get("attributes", []))
        assert [e["name"] for e in saved[key]["events"]] == [e["name"] for e in one.get("events", [])]
    assert requests.get(f"{server.at}/tempo/api/traces/{'ab' * 16}", timeout=TIMEOUT_S).status_code == 404
    ui.open("/traces").wait("Fields")
    ui.browser.find_element("css selector", "input[type=file]").send_keys(f"{path}\n{jaeger}")
    ui.wait("From files", "2 traces")
    bad = tmp_path / "bad.json"
    bad.write_text("{", encoding="utf-8")
    ui.browser.find_element("css selector", "input[type=file]").send_keys(str(bad))
    ui.wait("bad.json: This is no JSON", selector=".toasts")


def test_a_file_of_before_is_asked_for_again(ui):
    ui.open("/trace/file-7").wait("Open the file again")


# ---- what anybody may send

def test_nothing_of_a_span_is_more_than_text(ui):
    opened(ui, HOSTILE, "?span=1").wait(EVIL, "javascript:document.title", selector=".details")
    assert "owned" not in ui.js("return document.title")
    assert ui.js("return document.querySelectorAll('.trace-page img, .trace-page script, .trace-page iframe').length") == 0
    links = ui.js("return [...document.querySelectorAll('.details a')].map((a) => a.protocol)")
    assert set(links) <= {"http:", "https:"}
    assert ui.js("return document.querySelector('.details').innerText.length") < 20_000
    ui.click(".details button", "All 977 KiB")
    ui.until(lambda: ui.js("return document.querySelector('.details').textContent.length") > 1_000_000, "the whole value")
    for view in ("flame", "table", "critical", "graph"):
        opened(ui, HOSTILE, f"?view={view}").wait_for("document.querySelector('.trace-page .card')", view)
        assert "owned" not in ui.js("return document.title")
    ui.open("/traces?from=now-15m&limit=100").wait(EVIL)
    assert "owned" not in ui.js("return document.title")


def test_what_cannot_be_is_told(ui):
    opened(ui, HOSTILE, "?find=ends+before").wait("incomplete", "roots", "1 match")
    ui.keys("n", Keys.ENTER)
    ui.wait("It ends before it begins.", selector=".details")
    opened(ui, HOSTILE, "?find=begins+before+its").wait("1 match")
    ui.keys("n", Keys.ENTER)
    ui.wait("the clocks differ", selector=".details")
    opened(ui, HOSTILE).wait("10008")
    ui.keys(Keys.END)
    ui.until(lambda: ui.js("return document.querySelector('.span-row.at')?.getAttribute('aria-rowindex')") == "10008", "the last row")
