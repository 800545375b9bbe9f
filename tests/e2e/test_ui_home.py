"""The observatory's home page in Chromium: services of every kind of metrics, found from what is scraped,
those in trouble first; its links, keys, filters, and what it says when there is nothing."""
import time

import pytest

from lib.exporter import Exporter
from lib.ui import SIZES, Pages, observing, query, scraping
from lib.wait import wait_for

# Two services more: one as OpenTelemetry's libraries count, one known by its spans alone, as a
# collector tells of it; of the latter a quarter fails. `n` grows with every scrape.
METRICS = """# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{{http_route="/cart",http_response_status_code="200",le="0.1"}} {n}
http_server_request_duration_seconds_bucket{{http_route="/cart",http_response_status_code="200",le="0.5"}} {n2}
http_server_request_duration_seconds_bucket{{http_route="/cart",http_response_status_code="200",le="+Inf"}} {n2}
http_server_request_duration_seconds_sum{{http_route="/cart",http_response_status_code="200"}} {n}
http_server_request_duration_seconds_count{{http_route="/cart",http_response_status_code="200"}} {n2}
# TYPE target_info gauge
target_info{{service_version="4.2.0"}} 1
# TYPE traces_span_metrics_calls_total counter
traces_span_metrics_calls_total{{service_name="billing",span_kind="SPAN_KIND_SERVER",span_name="GET /bill",status_code="STATUS_CODE_UNSET"}} {n3}
traces_span_metrics_calls_total{{service_name="billing",span_kind="SPAN_KIND_SERVER",span_name="GET /bill",status_code="STATUS_CODE_ERROR"}} {n}
traces_span_metrics_calls_total{{service_name="billing",span_kind="SPAN_KIND_CLIENT",span_name="ask",status_code="STATUS_CODE_UNSET"}} {n9}
# TYPE traces_span_metrics_duration_milliseconds histogram
traces_span_metrics_duration_milliseconds_bucket{{service_name="billing",span_kind="SPAN_KIND_SERVER",span_name="GET /bill",le="50"}} 0
traces_span_metrics_duration_milliseconds_bucket{{service_name="billing",span_kind="SPAN_KIND_SERVER",span_name="GET /bill",le="100"}} {n2}
traces_span_metrics_duration_milliseconds_bucket{{service_name="billing",span_kind="SPAN_KIND_SERVER",span_name="GET /bill",le="+Inf"}} {n2}
traces_span_metrics_duration_milliseconds_sum{{service_name="billing",span_kind="SPAN_KIND_SERVER",span_name="GET /bill"}} {n}
traces_span_metrics_duration_milliseconds_count{{service_name="billing",span_kind="SPAN_KIND_SERVER",span_name="GET /bill"}} {n2}
"""

# A machine of two cores, a quarter of them busy; its disk is almost full.
MACHINE = """node_uname_info{{nodename="web-1",sysname="Linux"}} 1
node_cpu_seconds_total{{cpu="0",mode="idle"}} {n}
node_cpu_seconds_total{{cpu="0",mode="user"}} {n}
node_cpu_seconds_total{{cpu="1",mode="idle"}} {n2}
node_load1 3
node_memory_MemTotal_bytes 1000
node_memory_MemAvailable_bytes 400
node_filesystem_size_bytes{{mountpoint="/",fstype="ext4"}} 100
node_filesystem_avail_bytes{{mountpoint="/",fstype="ext4"}} 5
node_filesystem_size_bytes{{mountpoint="/run",fstype="tmpfs"}} 100
node_filesystem_avail_bytes{{mountpoint="/run",fstype="tmpfs"}} 0
"""
PROGRAMS = 'namedprocess_namegroup_num_procs{{groupname="sh"}} 1\n'


@pytest.fixture(scope="module")
def shop():
    began = time.monotonic()

    def page(text):
        n = int(100 * (time.monotonic() - began))
        return text.format(n=n, n2=2 * n, n3=3 * n, n9=9 * n)
    with Exporter(lambda: page(METRICS)) as shop, Exporter(lambda: page(MACHINE)) as node, Exporter(lambda: page(PROGRAMS)) as programs:
        yield {"shop": shop.address, "node": node.address, "process": programs.address}


# What home asks, of each kind of service.
READY = ("rate(traces_span_metrics_calls_total[1m])", "rate(http_requests_total[1m]) > 0", "rate(http_server_request_duration_seconds_count[1m]) > 0",
         "rate(node_cpu_seconds_total[1m]) > 0", 'ALERTS{alertstate="firing"}')


@pytest.fixture(scope="module")
def server(sextant_bin, shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    config = scraping(folder, "".join(f'  - job_name: {job}\n    static_configs: [{{{{targets: ["{at}"]}}}}]\n' for job, at in shop.items()))
    with observing(sextant_bin, folder, config) as made:
        wait_for(lambda: all(query(made.at, q) for q in READY), 60, "samples of every service")
        yield made


FULL = "document.querySelectorAll('a.signal').length >= 15"

CELLS = """return Object.fromEntries([...document.querySelectorAll('.service')].map((r) => [r.querySelector('h2, h3').innerText,
[...r.querySelectorAll('.signal b')].map((b) => b.innerText)]))"""


def names(ui):
    return ui.js("return [...document.querySelectorAll('.service h2')].map((e) => e.innerText)")


@pytest.mark.parametrize("width,scheme", SIZES)
def test_home_shows_every_service_those_in_trouble_first(ui, width, scheme, tmp_path):
    ui.open("/?from=now-5m", width, scheme).wait("gone", "itself", "shop", "billing").wait_for(FULL, "the sparklines")
    ui.judge()
    ui.until(lambda: names(ui) == ["gone", "billing", "itself", "shop"], "those in trouble to be first")
    ui.browser.save_screenshot(str(tmp_path / f"home-{width}-{scheme}.png"))


def test_what_is_shown_is_what_was_measured(ui):
    ui.open("/?from=now-5m").wait("billing").wait_for(FULL, "the sparklines")
    cells = ui.js(CELLS)
    assert cells["gone"] == [], "why it is down stands there"
    rate, errors, p95, cpu, memory = cells["billing"]
    assert (errors, cpu, memory) == ("25 %", "–", "–") and p95 == "97.5 ms"
    billing = float(rate.split("/")[0])
    rate, errors, p95, _, _ = cells["shop"]
    assert (errors, p95) == ("0 %", "460 ms")
    assert 1.8 < billing / float(rate.split("/")[0]) < 2.2, "spans that call others are not the service's own"
    rate, errors, p95, cpu, memory = cells["itself"]
    assert rate.endswith("/s") and errors == "0 %" and p95.endswith("s") and "–" not in (cpu, memory) and memory.endswith("iB")
    ui.wait("Connection refused")
    text = ui.text(".services")
    assert "InstanceDown: gone is down" in text and "127.0.0.1:1: " in text, text
    assert text.startswith("gone\n■\ndown") and "1 alert firing" in text and "not scraped" in text and "4.2.0" in text, text
    assert query(ui.url, "prometheus_build_info")[0]["metric"]["revision"] in text


def test_machines_are_no_services(ui):
    ui.open("/?from=now-5m").wait("web-1").wait_for(FULL, "the sparklines")
    assert "node" not in names(ui) and "process" not in names(ui)
    text = ui.text(".machines")
    assert "Machines" in text and "process" in text and "node" in text, text
    machine = ui.js("return [...document.querySelectorAll('.machine .signal')].map((e) => [e.querySelector('small').innerText, e.querySelector('b').innerText])")
    got = dict(machine)
    assert (got["Load by core"], got["Memory"], got["Fullest disk"]) == ("1.5", "60 %", "95 %"), machine
    assert got["CPU"].endswith("%")
    assert ui.js("return document.querySelector('.machine').className").endswith("warn"), "a full disk is seen"
    ui.click("a.signal[aria-label^='Fullest disk']").wait("on the server")
    ui.wait_for("document.querySelector('.series')", "the line of the disk")
    ui.open("/").click(".machine h3 a", "web-1")
    ui.wait_for("location.pathname.startsWith('/d/sextant-host')", "the host's dashboard")
    assert "var-job=node" in ui.path() and "var-instance=" in ui.path()


def test_few_questions_are_asked_however_many_services(ui):
    ui.open("/").wait("billing").wait_for(FULL, "the sparklines")
    asked = ui.js("return performance.getEntriesByType('resource').filter((r) => r.name.includes('/api/v1/')).map((r) => r.name)")
    assert len(asked) <= 9, asked


def test_a_signal_leads_to_its_query_and_a_service_to_its_targets(ui):
    for job, signal, query in (("itself", "Duration p95", "http_request_duration_seconds_bucket"),
                               ("billing", "Errors", "STATUS_CODE_ERROR"), ("shop", "Requests", "http_route"),
                               ("billing", "Duration p95", "0.001"), ("itself", "CPU", "process_cpu_seconds_total"),
                               ("itself", "Memory", "process_resident_memory_bytes")):
        ui.open("/?from=now-5m").wait("billing").wait_for(FULL, "the sparklines")
        ui.click(f"a.signal[aria-label^='{signal}'][aria-label*=', of {job},']").wait("on the server")
        assert ui.path().startswith("/explore?") and query in ui.path() and "from=now-5m" in ui.path()
        ui.wait_for("document.querySelector('.series')", f"a line of {signal} of {job}")
    ui.open("/").wait("gone").click(".service h2 a", "gone").wait("Connection refused")
    assert ui.path().startswith("/targets?search=job%3Dgone")
    ui.open("/").wait("gone").click(".service a", "alert firing").wait("InstanceDown")
    assert ui.path().startswith("/alerts?state=firing&search=gone")


def test_services_are_filtered_and_gone_through_by_keys(ui):
    from selenium.webdriver.common.keys import Keys
    ui.open("/").wait("billing")
    ui.keys("j")
    ui.wait_for("document.activeElement.innerText === 'gone'", "the first")
    ui.keys("j", "j", "k")
    ui.wait_for("document.activeElement.innerText === 'billing'", "the second")
    ui.js("window.kept = document.activeElement")
    asked = "performance.getEntriesByType('resource').filter((r) => r.name.includes('/api/v1/alerts')).length"
    ui.keys("d", "r")
    ui.wait_for(f"{asked} > 1", "it to be asked again")
    assert ui.js("return window.kept.isConnected && document.activeElement === window.kept")
    ui.keys("/").keys("shj").wait("No services match")
    ui.keys(Keys.BACKSPACE)
    ui.wait_for("document.querySelectorAll('.service').length === 1", "one to be left")
    assert names(ui) == ["shop"] and "search=sh" in ui.path()
    ui.open("/").wait("billing").click(".choice button", "In trouble 3")
    ui.wait_for("document.querySelectorAll('.service').length === 3", "those in trouble")
    ui.keys("g", "t").wait("Connection refused").keys("g", "h").wait("billing")
    assert ui.path() == "/"


def test_a_refresh_never_empties_the_page(ui):
    ui.open("/?from=now-5m").wait("billing").wait_for(FULL, "the sparklines")
    ui.js("""window.least = 99; window.loading = 0; new MutationObserver(() => {
        window.least = Math.min(window.least, document.querySelectorAll('a.signal').length);
        window.loading += document.querySelectorAll('.loading').length; }).observe(document.querySelector('main'), {childList: true, subtree: true, attributes: true});""")
    full = ui.js("return document.querySelectorAll('a.signal').length")
    for turn in (2, 3, 4):
        ui.keys("d", "r")
        ui.wait_for(
            f"performance.getEntriesByType('resource').filter((r) => r.name.includes('build_info')).length >= {turn}", "it to be asked again")
    assert ui.js("return window.loading") == 0 and ui.js("return window.least") >= full


def test_nothing_yet_says_what_to_do(sextant_bin, chromium, tmp_path):
    with observing(sextant_bin, tmp_path) as made:
        ui = Pages(chromium, made.at)
        for width, scheme in SIZES:
            ui.open("/", width, scheme).wait("No service is known yet", "scrape_configs", "make up")
            ui.judge()
