"""An OpenTelemetry Collector's configuration is ours: --collector-config."""
import json
import os
import struct

import requests

from lib.elastic import Elastic
from lib.observe import Observe
from lib.wait import wait_for

ACCEPTANCE = """\
receivers:
  jaeger:
    protocols:
      grpc:
        endpoint: 127.0.0.1:0
      thrift_http:
        endpoint: 127.0.0.1:0
      thrift_compact:
        endpoint: 127.0.0.1:0
      thrift_binary:
        endpoint: 127.0.0.1:0
  otlp:
    protocols:
      http:
        endpoint: localhost:0

processors:
  batch:
    timeout: 100ms
    send_batch_size: 100

exporters:
  elasticsearch:
    endpoints: ["http://%s"]
    index: jaeger-span

extensions:
  health_check:
    endpoint: 127.0.0.1:0

service:
  extensions: [health_check]
  pipelines:
    traces:
      receivers: [jaeger, otlp]
      processors: [batch]
      exporters: [elasticsearch]
"""

OTLP_TO_FILE = """\
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
processors:
  attributes: {actions: [{key: env, action: insert, value: '%s'}]}
  filter: {traces: {span: ['attributes["drop"] == true']}}
  transform: {trace_statements: ['set(span.name, Concat([span.name, "!"], "")) where span.kind == SPAN_KIND_SERVER']}
  batch: {timeout: 50ms}
exporters: {file: {path: out.json, flush_interval: 50ms}}
service: {pipelines: {traces: {receivers: [otlp], processors: [attributes, filter, transform, batch], exporters: [file]}}}
"""


def _request(name, number, **attributes):
    def value(v):
        return {"boolValue": v} if isinstance(v, bool) else {"stringValue": v}
    return {"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"spans": [{
            "traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": name, "kind": 2,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000010000000",
            "attributes": [{"key": k, "value": value(v)} for k, v in attributes.items()]}]}]}]}


def _send(app, body):
    return requests.post(f"http://{app.process.address('otlp-http')}/v1/traces", json=body,
                         timeout=10)


def _spans(path):
    """All spans of a file exporter's file, by name."""
    if not os.path.exists(path):
        return {}
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                break
            for resource in json.loads(line)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        found[span["name"]] = {a["key"]: a["value"] for a in span["attributes"]}
    return found


def _thrift_batch(service, name, number):
    """A jaeger.thrift Batch of one span, by the binary protocol."""
    def field(kind, at, payload):
        return struct.pack(">bh", kind, at) + payload

    def text(at, value):
        return field(11, at, struct.pack(">i", len(value)) + value.encode())

    def long(at, value):
        return field(10, at, struct.pack(">q", value))
    process = text(1, service) + b"\0"
    span = (long(1, number) + long(2, 0) + long(3, number) + long(4, 0) + text(5, name) +
            field(8, 7, struct.pack(">i", 1)) + long(8, 1700000000000000) + long(9, 10000) + b"\0")
    return field(12, 1, process) + field(15, 2, struct.pack(">bi", 12, 1) + span) + b"\0"


def _observe(serve, sextant_bin, tmp_path, text, *flags):
    path = tmp_path / "collector.yml"
    path.write_text(text)
    return Observe(serve, sextant_bin, tmp_path, flags=(f"--collector-config={path}", *flags))


def test_the_acceptance_configuration_forwards_to_elasticsearch(serve, sextant_bin, tmp_path):
    with Elastic() as es:
        app = _observe(serve, sextant_bin, tmp_path, ACCEPTANCE % es.url.removeprefix("http://"))
        assert requests.get(f"http://{app.process.address('health-check')}/",
                            timeout=10).status_code == 200
        for name in ("jaeger-grpc", "jaeger-http", "jaeger-compact", "jaeger-binary"):
            assert app.process.address(name)
        assert _send(app, _request("GET /", 1)).status_code == 200
        answer = requests.post(f"http://{app.process.address('jaeger-http')}/api/traces",
                               data=_thrift_batch("bank", "pay", 2), timeout=10,
                               headers={"Content-Type": "application/x-thrift"})
        assert answer.status_code // 100 == 2, answer.text
        docs = wait_for(lambda: (lambda d: d if len(d) == 2 else None)(
            es.of("jaeger-span-2023-11-14")), what="the spans at Elasticsearch", seconds=30)
        assert {d["operationName"]: (d["process"]["serviceName"], d["traceID"]) for d in docs} == {
            "GET /": ("shop", f"{1:032x}"), "pay": ("bank", f"{2:032x}")}
        assert {d["operationName"] for d in es.of("jaeger-service-2023-11-14")} == {"GET /", "pay"}
        assert not es.faults
        answer = app.session.get(app.url(f"/api/traces/{2:032x}"), timeout=10)
        assert answer.status_code == 200, answer.text  # our own store has it, too
        assert "otelcol_receiver_accepted_spans" in app.session.get(app.url("/metrics"),
                                                                    timeout=10).text


def test_a_connector_of_our_names_is_the_only_writer(serve, sextant_bin, tmp_path):
    """Each half of our own metrics stays where the file has no connector for it."""
    text = """
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
connectors: {spanmetrics: {metrics_flush_interval: 1s, dimensions: [{name: env, default: none}]}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [spanmetrics]}}}
"""
    app = _observe(serve, sextant_bin, tmp_path, text, "--traces.metrics-interval=1s")
    assert _send(app, _request("a", 1)).status_code == 200
    wait_for(lambda: app.query("traces_service_graph_request_total"), what="our service graph",
             seconds=30)
    calls = wait_for(lambda: app.query("traces_span_metrics_calls_total"), what="span metrics")
    assert [c["metric"].get("env") for c in calls] == ["none"]


def test_a_reload_keeps_what_a_file_has(serve, sextant_bin, tmp_path):
    app = _observe(serve, sextant_bin, tmp_path, OTLP_TO_FILE % "one", "--traces.store=false")
    out = tmp_path / "out.json"
    assert _send(app, _request("a", 1)).status_code == 200
    wait_for(lambda: "a!" in _spans(out), what="a")
    (tmp_path / "collector.yml").write_text(OTLP_TO_FILE % "two")
    app.process.signal("HUP")

    def taken_up():
        _send(app, _request("b", 2))
        return _spans(out).get("b!", {}).get("env") == {"stringValue": "two"}
    wait_for(taken_up, what="the new pipelines")
    assert "a!" in _spans(out)


def test_an_absent_exporter_holds_up_nothing(serve, sextant_bin, tmp_path):
    app = _observe(serve, sextant_bin, tmp_path, ACCEPTANCE % "127.0.0.1:1")
    for number in range(1, 50):
        assert _send(app, _request("GET /", number)).status_code == 200


def test_processors_work_in_their_order_and_a_reload_takes_up_the_file(serve, sextant_bin, tmp_path):
    app = _observe(serve, sextant_bin, tmp_path, OTLP_TO_FILE % "one", "--traces.store=off")
    out = tmp_path / "out.json"
    assert _send(app, _request("a", 1)).status_code == 200
    assert _send(app, _request("b", 2, drop=True)).status_code == 200
    assert _send(app, _request("c", 3)).status_code == 200
    found = wait_for(lambda: "c!" in _spans(out) and _spans(out), what="spans in the file")
    assert set(found) == {"a!", "c!"}
    assert found["a!"]["env"] == {"stringValue": "one"}

    path = tmp_path / "collector.yml"
    path.write_text((OTLP_TO_FILE % "two").replace("batch:", "bitch:", 1))
    app.process.signal("HUP")  # a bad file keeps the old one
    wait_for(lambda: "there is no processor" in app.process.log(), what="the fault in the log")
    assert _send(app, _request("d", 4)).status_code == 200
    assert wait_for(lambda: _spans(out).get("d!"), what="d")["env"] == {"stringValue": "one"}

    path.write_text(OTLP_TO_FILE % "two")
    app.process.signal("HUP")

    def taken_up():
        _send(app, _request("e", 5))
        return _spans(out).get("e!", {}).get("env") == {"stringValue": "two"}
    wait_for(taken_up, what="the new pipelines")


def test_a_bad_file_is_told_with_its_line(sextant_bin, tmp_path):
    import subprocess
    path = tmp_path / "collector.yml"
    path.write_text("receivers:\n  prometheus:\n    config: {}\n")
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    done = subprocess.run([sextant_bin, "observe", f"--collector-config={path}",
                           f"--config.file={tmp_path}/prometheus.yml",
                           f"--storage.tsdb.path={tmp_path}/data",
                           "--web.listen-address=127.0.0.1:0"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert f"{path}:2:3" in done.stderr and "there is no receiver" in done.stderr
