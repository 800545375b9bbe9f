"""remote_read in prometheus.yml: queries answered with what other servers have, Prometheus and we
ourselves as the far end, and what becomes of an end that fails."""
import http.server
import os
import threading
import time

import pytest

from lib.observe import PROMETHEUS, Observe, Prometheus
from lib.service import free_port
from lib.wait import wait_for

PEER = pytest.param("prometheus", marks=pytest.mark.skipif(
    not os.path.exists(PROMETHEUS), reason="no Prometheus"))
BUCKETS = [(("le", "1"), 3.0), (("le", "+Inf"), 5.0)]


@pytest.fixture
def far(serve, spawn, sextant_bin, tmp_path):
    def make(kind, flags=()):
        folder = tmp_path / "far"
        folder.mkdir()
        text = "global: {external_labels: {region: eu}}\n"
        if kind == "prometheus":
            return Prometheus(spawn, folder, text, flags=("--web.enable-otlp-receiver", *flags))
        return Observe(serve, sextant_bin, folder, text, flags=("--web.enable-otlp-receiver", *flags))
    return make


@pytest.fixture
def near(serve, sextant_bin, tmp_path):
    def make(entry, external="", name="near"):
        folder = tmp_path / name
        folder.mkdir()
        return Observe(serve, sextant_bin, folder,
                       f"global: {{external_labels: {{{external}}}}}\nremote_read:\n{entry}",
                       flags=("--web.enable-lifecycle",))
    return make


def entry(address, more="read_recent: true"):
    return f"  - {{url: 'http://{address}/api/v1/read', {more}}}\n"


def fill(app, start, count=300, step=15, name="demo", shift=0):
    app.write([({"__name__": name, "n": n}, [((start + i * step) * 1000, float(i + shift + int(n)))
                                             for i in range(count)]) for n in ("1", "2")])


def histograms(app, start, count=20):
    """Native histograms by OTLP, for both servers."""
    points = [{"timeUnixNano": str((start + i * 15) * 10**9), "startTimeUnixNano": str(start * 10**9),
               "count": str(3 * i), "sum": float(i), "scale": 3, "zeroCount": "0",
               "positive": {"offset": 2, "bucketCounts": [str(i), str(2 * i)]}}
              for i in range(1, count)]
    body = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": [{
        "name": "native", "exponentialHistogram": {"aggregationTemporality": 2,
                                                   "dataPoints": points}}]}]}]}
    answer = app.session.post(app.url("/api/v1/otlp/v1/metrics"), json=body, timeout=30)
    assert answer.status_code == 200, answer.text


def ask(app, expr, at):
    answer = app.ask("/api/v1/query", {"query": expr, "time": at}).json()
    assert answer["status"] == "success", answer
    return answer


def values(app, expr, at):
    return sorted((tuple(sorted(s["metric"].items())), s["value"][1])
                  for s in ask(app, expr, at)["data"]["result"])


@pytest.mark.parametrize("kind", ["ours", PEER])
def test_what_a_far_server_has_is_queried_as_our_own(far, near, kind):
    other = far(kind)
    start = int(time.time()) - 5000
    histograms(other, start)
    fill(other, start)
    app = near(entry(other.address), external="region: eu, zone: a")
    # The far end knows no zone, which Prometheus asks for, too: filter_external_labels.
    assert values(app, "demo", start + 4490) == []
    app = near(entry(other.address), external="region: eu", name="same")
    end = start + 4490
    for expr in ("demo", "sum_over_time(demo[1h])", "rate(demo[10m])", "count(demo) by (n)",
                 "histogram_count(native)", "count_over_time(native[1h])",
                 "histogram_quantile(0.5, native)", "demo{n=~'2|3'} - ignoring(n) demo{n!='2'}"):
        assert values(app, expr, end) == values(other, expr, end), expr
    assert len(values(app, "demo", end)) == 2
    assert app.query_range("demo", start, end, 60) == other.query_range("demo", start, end, 60)
    names = app.data("series", {"match[]": "demo", "start": start, "end": end})
    assert sorted(s["n"] for s in names) == ["1", "2"]
    assert 'prometheus_remote_read_client_queries_total{remote_name="' in \
        app.session.get(app.url("/metrics"), timeout=30).text


@pytest.mark.parametrize("kind", ["ours", PEER])
def test_local_samples_are_merged_and_go_first(far, near, kind):
    other = far(kind)
    start = int(time.time()) - 5000
    fill(other, start, count=100)  # older half
    app = near(entry(other.address), external="region: eu")
    fill(app, start + 50 * 15, count=100, shift=1000)  # overlaps, with other values
    end = start + 149 * 15
    assert values(app, "count_over_time(demo{n='1'}[1h])", end) == [((("n", "1"),), "150")]
    # The first 50 are only there, of the next 100 the local ones count.
    expected = sum(range(1, 51)) + sum(1001 + i for i in range(100))
    assert values(app, "sum_over_time(demo{n='1'}[1h])", end) == \
        [((("n", "1"),), str(expected))]


@pytest.mark.parametrize("kind", ["ours", PEER])
def test_required_matchers_and_recent_times_spare_the_far_end(far, near, kind):
    other = far(kind)
    start = int(time.time()) - 5000
    fill(other, start)
    end = start + 4490
    app = near(entry(other.address, "read_recent: true, required_matchers: {n: '1'}"))
    assert values(app, "demo", end) == []
    assert values(app, "demo{n=~'1'}", end) == []
    assert len(values(app, "demo{n='1'}", end)) == 1
    old = int(time.time()) - 20 * 3600
    app = near(entry(other.address, "read_recent: false"), name="recent")
    assert len(values(app, "demo", end)) == 2  # nothing local: all is asked for
    app.write([({"__name__": "own"}, [(old * 1000, 1.0)])])
    assert values(app, "demo", end) == []  # the local store is whole from four hours later
    assert ask(app, "demo", end).get("warnings") is None


def test_an_end_that_fails_is_a_warning(near, tmp_path):
    dead = f"127.0.0.1:{free_port()}"
    app = near(entry(dead))
    now = int(time.time())
    app.write([({"__name__": "own", "a": "b"}, [(now * 1000, 7.0)])])
    answer = ask(app, "own", now)
    assert [s["value"][1] for s in answer["data"]["result"]] == ["7"]
    assert len(answer["warnings"]) == 1
    assert answer["warnings"][0].startswith(
        f'remote_read: error sending request: Post "http://{dead}/api/v1/read": ')
    series = app.ask("/api/v1/series", {"match[]": "own"}).json()
    assert len(series["data"]) == 1 and len(series["warnings"]) == 1
    labels = app.ask("/api/v1/labels").json()
    assert "a" in labels["data"] and labels["warnings"] == ["not implemented"]
    values_of = app.ask("/api/v1/label/a/values").json()
    assert values_of["data"] == ["b"] and values_of["warnings"] == ["not implemented"]


class Liar:
    """A far end that answers with given bytes."""

    def __init__(self, status, kind, body, wait=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                if wait:
                    wait.wait(30)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


STREAM = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"


@pytest.mark.parametrize("status,kind,body,words", [
    (500, "text/plain", b"broken\n", "returned http status 500 Internal Server Error: broken"),
    (200, "text/html", b"<html>", "unsupported content type: text/html"),
    (200, "application/x-protobuf", b"\xff\xff", "error reading response"),
    (200, STREAM, b"\x05\x00\x00\x00\x00hello", "checksum mismatch"),
    (200, STREAM, b"\xff\xff\xff\xff\x0f\x00\x00\x00\x00", "message size exceeded the limit"),
    (200, STREAM, b"\x05\x00", "unexpected end"),
])
def test_nonsense_is_a_warning(near, status, kind, body, words):
    liar = Liar(status, kind, body)
    try:
        app = near(entry(liar.address))
        now = int(time.time())
        app.write([({"__name__": "own"}, [(now * 1000, 7.0)])])
        answer = ask(app, "own", now)
        assert len(answer["data"]["result"]) == 1
        assert len(answer["warnings"]) == 1 and words in answer["warnings"][0], answer["warnings"]
    finally:
        liar.close()


def test_a_slow_end_is_left_after_its_time(near):
    release = threading.Event()
    liar = Liar(200, STREAM, b"", wait=release)
    try:
        app = near(entry(liar.address, "read_recent: true, remote_timeout: 300ms"))
        now = int(time.time())
        app.write([({"__name__": "own"}, [(now * 1000, 7.0)])])
        answer = ask(app, "own", now)
        assert len(answer["data"]["result"]) == 1
        assert "context deadline exceeded" in answer["warnings"][0]
        app = near(entry(liar.address), name="patient")
        began = time.monotonic()
        answer = app.ask("/api/v1/query", {"query": "own", "timeout": "500ms"})
        assert answer.status_code == 503 and time.monotonic() - began < 20, answer.text
    finally:
        release.set()
        liar.close()


def test_a_reload_changes_the_ends(far, near):
    other = far("ours")
    start = int(time.time()) - 5000
    fill(other, start)
    app = near("  []\n")
    assert values(app, "demo", start + 4490) == []
    with open(app.config, "w", encoding="utf-8") as out:
        out.write("remote_read:\n" + entry(other.address))
    assert app.session.post(app.url("/-/reload"), timeout=30).status_code == 200
    assert len(values(app, "demo", start + 4490)) == 2
    with open(app.config, "w", encoding="utf-8") as out:
        out.write("global: {}\n")
    assert app.session.post(app.url("/-/reload"), timeout=30).status_code == 200
    wait_for(lambda: values(app, "demo", start + 4490) == [], what="no far end")
