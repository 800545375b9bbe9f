"""An OpenTelemetry Collector's configuration is ours: --collector-config."""
import http.server
import json
import os
import threading

import pytest
import requests

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


@pytest.fixture
def bulk():
    """What an Elasticsearch was sent by its bulk API."""
    class Server(http.server.ThreadingHTTPServer):
        lines = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            import gzip
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            lines = [json.loads(line) for line in body.splitlines() if line]
            self.server.lines += lines
            answer = json.dumps({"errors": False, "items": [
                {"index": {"status": 201}} for _ in lines[::2]]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_PUT = do_POST

        def do_GET(self):
            answer = b'{"version":{"number":"7.17.0"}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _observe(serve, sextant_bin, tmp_path, text, *flags):
    path = tmp_path / "collector.yml"
    path.write_text(text)
    return Observe(serve, sextant_bin, tmp_path, flags=(f"--collector-config={path}", *flags))


def test_the_acceptance_configuration_forwards_to_elasticsearch(serve, sextant_bin, tmp_path, bulk):
    address = f"127.0.0.1:{bulk.server_address[1]}"
    app = _observe(serve, sextant_bin, tmp_path, ACCEPTANCE % address)
    assert requests.get(f"http://{app.process.address('health-check')}/",
                        timeout=10).status_code == 200
    for name in ("jaeger-grpc", "jaeger-http", "jaeger-compact", "jaeger-binary"):
        assert app.process.address(name)
    assert _send(app, _request("GET /", 1)).status_code == 200
    wait_for(lambda: any(line.get("operationName") == "GET /" for line in bulk.lines),
             what="the span at Elasticsearch", seconds=30)
    answer = app.session.get(app.url(f"/api/traces/{1:032x}"), timeout=10)
    assert answer.status_code == 200, answer.text # our own store has it, too
    assert "otelcol_receiver_accepted_spans" in app.session.get(app.url("/metrics"), timeout=10).text


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
