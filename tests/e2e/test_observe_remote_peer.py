"""Prometheus itself writes to us, over 1.0 and 2.0, and what it sent is what we have; refusals of the
receiver beside Prometheus's for the same requests."""
import os
import threading
import http.server
import time

import pytest
import requests

from lib.observe import PROMETHEUS, Observe, Prometheus, snappy, write_request
from lib.wait import wait_for

pytestmark = pytest.mark.skipif(not os.path.exists(PROMETHEUS), reason="no Prometheus")
MESSAGES = {"1.0": "prometheus.WriteRequest", "2.0": "io.prometheus.write.v2.Request"}


class Exporter:
    """OpenMetrics with exemplars and created times; counts its scrapes."""

    def __init__(self):
        outer = self
        self.scrapes = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.scrapes += 1
                n = outer.scrapes
                body = (
                    "# HELP demo_requests Requests \\\"quoted\\\".\n# TYPE demo_requests counter\n"
                    f'demo_requests_total{{path="/a"}} {n} # {{trace_id="t{n}"}} 0.5 {time.time()}\n'
                    "# HELP demo_bytes Size.\n# TYPE demo_bytes gauge\n# UNIT demo_bytes bytes\n"
                    f"demo_bytes {n * 1.5}\n"
                    "# HELP demo_seconds Time.\n# TYPE demo_seconds histogram\n"
                    "# UNIT demo_seconds seconds\n"
                    f'demo_seconds_bucket{{le="0.5"}} {n} # {{trace_id="b{n}"}} 0.3 {time.time()}\n'
                    f'demo_seconds_bucket{{le="+Inf"}} {2 * n}\n'
                    f"demo_seconds_sum {n}\ndemo_seconds_count {2 * n}\n# EOF\n").encode()
                self.send_response(200)
                self.send_header("Content-Type",
                                 "application/openmetrics-text; version=1.0.0; charset=utf-8")
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


@pytest.fixture
def exporter():
    e = Exporter()
    yield e
    e.close()


def raw(app, selector, at):
    """{series: samples} of the last minute; histograms as they are."""
    return {tuple(sorted(s["metric"].items())): s.get("values", []) + s.get("histograms", [])
            for s in app.query(selector + "[1m]", time=at)}


@pytest.mark.parametrize("message", MESSAGES)
def test_what_prometheus_writes_to_us_is_what_it_has(
        serve, spawn, sextant_bin, tmp_path, exporter, message):
    (tmp_path / "us").mkdir()
    (tmp_path / "peer").mkdir()
    us = Observe(serve, sextant_bin, tmp_path / "us",
                 "global: {}\nstorage: {exemplars: {max_exemplars: 1000}}\n")
    peer = Prometheus(spawn, tmp_path / "peer", f"""
global: {{scrape_interval: 500ms, scrape_native_histograms: true}}
scrape_configs:
  - job_name: demo
    static_configs: [{{targets: ['{exporter.address}']}}]
remote_write:
  - url: http://{us.address}/api/v1/write
    protobuf_message: {MESSAGES[message]}
    send_exemplars: true
    send_native_histograms: true
    queue_config: {{batch_send_deadline: 100ms}}
    metadata_config: {{send_interval: 1s}}
""", flags=("--enable-feature=exemplar-storage,metadata-wal-records",))
    own = peer.address
    with open(os.path.join(str(tmp_path / "peer"), "prometheus.yml"), "r+", encoding="utf-8") as f:
        text = f.read().replace("remote_write:", f"""  - job_name: self
    scrape_protocols: [PrometheusProto]
    static_configs: [{{targets: ['{own}']}}]
remote_write:""")
        f.seek(0)
        f.write(text)
    peer.process.signal("HUP")
    wait_for(lambda: exporter.scrapes > 8 and len(us.query('up')) == 2, seconds=60,
             what="scrapes of both jobs at our end")
    at = time.time() - 1.5

    def same(selector):
        theirs = raw(peer, selector, at)
        wait_for(lambda: raw(us, selector, at) == theirs, seconds=30,
                 what=f"{selector} as the sender has it")
        return theirs

    assert len(same('{job="demo"}')) >= 10
    native = same('prometheus_http_request_duration_seconds{job="self"}')
    assert any(isinstance(s[1], dict) for v in native.values() for s in v), native
    span = {"query": '{job="demo"}', "start": at - 60, "end": at}

    def exemplars(app):
        return sorted((sorted(e["seriesLabels"].items()), [x["labels"]["trace_id"]
                                                          for x in e["exemplars"]])
                      for e in app.data("query_exemplars", span))
    wait_for(lambda: exemplars(us) == exemplars(peer) != [], seconds=10,
             what=f"the same exemplars: {exemplars(us)} and {exemplars(peer)}")

    def metadata(app):
        found = app.data("metadata")
        return {k: v for k, v in found.items() if k.startswith("demo_")}
    # Of a counter's family its series' name is kept. Over 2.0 Prometheus sends empty metadata.
    wanted = {"demo_bytes": ("gauge", "Size.", "bytes"),
              "demo_seconds": ("histogram", "Time.", "seconds"),
              "demo_requests_total": ("counter", 'Requests "quoted".', "")}
    if message == "2.0":
        return

    def told():
        here = metadata(us)
        return {k: [(m["type"], m["help"], m["unit"]) for m in v] for k, v in here.items()} == \
            {k: [v] for k, v in wanted.items()}
    wait_for(told, seconds=30, what=f"metadata: {metadata(us)}")


# --- Refusals.

def post(app, series, **more):
    return requests.post(app.url("/api/v1/write"), data=snappy(write_request(series, **more)),
                         headers={"Content-Encoding": "snappy",
                                  "Content-Type": "application/x-protobuf",
                                  "X-Prometheus-Remote-Write-Version": "0.1.0"}, timeout=30)


def told(answer):
    return (answer.status_code, answer.text,
            {k: v for k, v in answer.headers.items() if k.lower().startswith("x-prometheus-remote")})


def test_refusals_are_told_as_prometheus_tells_them(serve, spawn, sextant_bin, tmp_path):
    (tmp_path / "us").mkdir()
    (tmp_path / "peer").mkdir()
    text = "storage: {tsdb: {out_of_order_time_window: 0s}}\n"
    us = Observe(serve, sextant_bin, tmp_path / "us", text)
    peer = Prometheus(spawn, tmp_path / "peer", text)
    now = int(time.time()) * 1000
    a, b = {"__name__": "m", "n": "a"}, {"__name__": "m", "n": "b"}
    cases = {
        "first": [(a, [(now - 5000, 1.0)])],
        "the same again": [(a, [(now - 5000, 1.0)])],
        "another value": [(a, [(now - 5000, 2.0)])],
        "older": [(a, [(now - 9000, 2.0)])],
        "far too old": [(a, [(now - 30 * 86400000, 2.0)])],
        "one good, one old": [(b, [(now - 5000, 1.0)]), (a, [(now - 6000, 1.0)])],
        "far ahead": [(a, [(now + 3600000, 1.0)])],
    }
    found = {k: (told(post(us, s)), told(post(peer, s))) for k, s in cases.items()}
    report = "\n".join(f"{k}:\n  ours   {o}\n  theirs {t}" for k, (o, t) in found.items())
    for name, (o, t) in found.items():
        assert o[0] == t[0], name + "\n" + report
        assert o[2] == t[2], name + "\n" + report
    for name in ("older", "one good, one old", "far ahead"):
        words = found[name][1][1].strip()
        assert found[name][0][1].startswith(words), report
    ours_words, theirs_words = (w[1] for w in found["another value"])
    until = "; overrides not allowed: "
    assert ours_words.split(until)[0] == theirs_words.split(until)[0], report
    # A series without a name: 204 there, and lost; 400 here, as the specification says.
    assert post(us, [({"n": "x"}, [(now, 1.0)])]).status_code == 400
