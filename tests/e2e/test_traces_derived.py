"""Metrics made of spans: series, values and exemplars as the Collector's connectors name them, and the
Collector itself beside us where it has them."""
import os
import subprocess
import time

import pytest
import requests

from lib.jaeger import batch, resource, span
from lib.observe import ROOT, Observe
from lib.service import free_port
from lib.wait import wait_for

COLLECTOR = os.path.join(ROOT, ".cache", "peers", "bin", "collector")
MS = 10**6
TRACE = "0af7651916cd43dd8448eb211c80319c"


def spans(now):
    return batch(
        resource({"service.name": "front"},
                 span("a1", name="GET /", start=now, end=now + 30 * MS, kind=2, trace=TRACE),
                 span("a2", "a1", name="call", start=now, end=now + 20 * MS, kind=3, trace=TRACE),
                 span("a3", "a1", name="select", start=now, end=now + 3 * MS, kind=3, trace=TRACE,
                      attrs={"db.name": "orders"}),
                 span("a4", "a1", name="send", start=now, end=now + 3 * MS, kind=4, trace=TRACE)),
        resource({"service.name": "back"},
                 span("b1", "a2", name="serve", start=now, end=now + 10 * MS, kind=2, trace=TRACE,
                      status={"code": 2}),
                 span("b2", "a4", name="take", start=now, end=now + 4 * MS, kind=5, trace=TRACE)))


@pytest.fixture
def app(serve, sextant_bin, tmp_path):
    return Observe(serve, sextant_bin, tmp_path,
                   flags=("--otlp.http=127.0.0.1:0", "--traces.metrics-interval=1s"))


def send(address, body):
    answer = requests.post(f"http://{address}/v1/traces", json=body, timeout=10)
    assert answer.status_code == 200, answer.text


def series(samples, drop=()):
    """{(name, labels): value} of an instant query's result."""
    out = {}
    for one in samples:
        labels = {k: v for k, v in one["metric"].items() if v and k not in drop}
        out[tuple(sorted(labels.items()))] = float(one["value"][1])
    return out


def test_red_metrics_and_edges_of_what_is_stored(app):
    send(app.process.address("otlp-http"), spans(int(time.time()) * 10**9))
    calls = wait_for(lambda: app.query("traces_span_metrics_calls_total"), what="span metrics")
    assert len(calls) == 6
    assert app.query('traces_span_metrics_calls_total{service_name="back", span_kind='
                     '"SPAN_KIND_SERVER", span_name="serve", status_code="STATUS_CODE_ERROR"}')
    bucket = app.query('traces_span_metrics_duration_milliseconds_bucket'
                       '{span_name="GET /", le="50.0"}')
    assert bucket[0]["value"][1] == "1"
    edges = wait_for(lambda: (lambda e: e if len(e) == 4 else None)(
        app.query("traces_service_graph_request_total")), what="edges")
    assert {(e["metric"]["client"], e["metric"]["server"], e["metric"].get("connection_type", ""),
             e["metric"]["failed"]) for e in edges} == {
        ("user", "front", "virtual_node", "false"), ("front", "back", "", "true"),
        ("front", "orders", "database", "false"), ("front", "back", "messaging_system", "false")}
    assert app.query('traces_service_graph_request_server_seconds_sum{connection_type=""}'
                     )[0]["value"][1] == "0.01"
    now = time.time()
    found = app.data("query_exemplars", {"query": "traces_span_metrics_calls_total",
                                         "start": now - 60, "end": now + 60})
    assert {e["labels"]["trace_id"] for s in found for e in s["exemplars"]} == {TRACE}
    family = "traces_span_metrics_duration_milliseconds"
    assert app.data("metadata", {"metric": family + "_sum"})[family] == [
        {"type": "histogram", "unit": "milliseconds", "help": "How long spans took."}]


def test_nothing_is_lost_to_increase_over_a_restart(app):
    for _ in range(2):
        send(app.process.address("otlp-http"), spans(int(time.time()) * 10**9))
        app.restart()

    def resets():
        total = app.query('sum(resets(traces_span_metrics_calls_total{span_name="GET /"}[5m]))')
        return float(total[0]["value"][1]) if total else 0

    assert wait_for(resets, what="a reset") == 1


def test_off_means_none(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path,
                  flags=("--otlp.http=127.0.0.1:0", "--traces.metrics-interval=1s",
                         "--no-traces.metrics"))
    send(app.process.address("otlp-http"), spans(int(time.time()) * 10**9))
    app.process.stop()
    app.process.start()
    app.address = app.process.address("http")
    wait_for(app.is_ready, what="sextant observe")
    assert app.query('{__name__=~"traces_.*"}') == []


CONFIG = """
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:%(otlp)d"}}}}
connectors:
  spanmetrics: {metrics_flush_interval: 1s, dimensions: [{name: db.name, default: none}]}
  servicegraph: {metrics_flush_interval: 1s, store: {ttl: 1s}}
exporters: {prometheus: {endpoint: "127.0.0.1:%(prometheus)d"}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [spanmetrics, servicegraph]}
    metrics: {receivers: [spanmetrics, servicegraph], exporters: [prometheus]}
"""


def has_connectors():
    if not os.path.exists(COLLECTOR):
        return False
    listed = subprocess.run([COLLECTOR, "components"], capture_output=True, text=True, timeout=30,
                            check=False).stdout
    return all(name in listed for name in ("spanmetrics", "servicegraph", "name: prometheus"))


@pytest.mark.skipif(not has_connectors(), reason="the Collector here has no spanmetrics connector")
def test_the_same_series_as_the_collector(serve, spawn, sextant_bin, tmp_path):
    """The Collector's page is scraped by us, so that both are read by one program."""
    ports = {"otlp": free_port(), "prometheus": free_port()}
    config = tmp_path / "collector.yml"
    config.write_text(CONFIG % ports)
    spawn(COLLECTOR, f"--config={config}", name="collector")
    ours = tmp_path / "ours.yml"
    ours.write_text((CONFIG % (ports | {"otlp": 0})).replace(
        'prometheus: {endpoint: "127.0.0.1:%d"}' % ports["prometheus"], "nop: ").replace(
        "exporters: [prometheus]", "exporters: [nop]"))
    app = Observe(serve, sextant_bin, tmp_path, config=(
        "scrape_configs: [{job_name: peer, scrape_interval: 1s, static_configs: "
        f"[{{targets: ['127.0.0.1:{ports['prometheus']}']}}]}}]\n"),
        flags=(f"--collector-config={ours}",))
    body = spans(int(time.time()) * 10**9)
    wait_for(lambda: requests.post(f"http://127.0.0.1:{ports['otlp']}/v1/traces", json=body,
                                   timeout=10).status_code == 200, what="the Collector")
    send(app.process.address("otlp-http"), body)
    drop = ("job", "instance", "otel_scope_name", "otel_scope_version")
    for name in ("traces_span_metrics_calls_total", "traces_span_metrics_duration_milliseconds_bucket",
                 "traces_service_graph_request_total", "traces_service_graph_request_server_seconds_sum"):
        theirs = wait_for(lambda n=name: series(app.query(n + '{job="peer"}'), drop), what=name)
        ours = wait_for(lambda n=name: series(app.query(n + '{job!="peer"}'), drop), what=name)
        assert ours == theirs
