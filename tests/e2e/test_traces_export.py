"""Exporters of traces: to the OpenTelemetry Collector, to a recorder of Elasticsearch's bulk API with
Jaeger's query in front of it, to files; and what becomes of spans when a receiver is away."""
import base64
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from lib.elastic import Elastic
from lib.service import free_port
from lib.wait import wait_for

TIMEOUT_S = 60
START_NS = 1_700_000_000_000_000_000

CONFIG = """
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:0"}}}}}}}}
exporters:
  {name}:
{lines}
service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [{name}]}}}}}}
"""


@pytest.fixture
def export(tmp_path):
    """export("otlp", "endpoint: ...", batches or lines) sends and gives the exporter's metrics."""
    from conftest import BUILD
    tool = os.path.join(BUILD, "tests", "e2e", "programs", "span_export")

    def run(name, settings, what, spans=500, drain_ms=20000):
        path = tmp_path / f"{name.replace('/', '-')}.yml"
        path.write_text(CONFIG.format(name=name, lines="\n".join(
            "    " + line for line in settings.strip().splitlines())))
        lines = "" if isinstance(what, int) else "\n".join(json.dumps(x) for x in what) + "\n"
        count = what if isinstance(what, int) else 0
        done = subprocess.run([tool, str(path), name, str(count), str(spans), str(drain_ms)],
                              input=lines, capture_output=True, text=True, timeout=TIMEOUT_S,
                              check=False)
        assert done.returncode == 0, done.stderr
        numbers = dict(re.findall(r"^otelcol_exporter_(\w+){exporter=\"[^\"]+\"} (\S+)$", done.stdout,
                                  re.M))
        reasons = dict(re.findall(r"^otelcol_exporter_dropped_spans.*reason=\"(\w+)\"} (\S+)$",
                                  done.stdout, re.M))
        return {**{k: float(v) for k, v in numbers.items()},
                **{k: float(v) for k, v in reasons.items()}, "log": done.stderr}
    return run


def attribute(key, value):
    kind = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue",
            bytes: "bytesValue"}[type(value)]
    shown = base64.b64encode(value).decode() if isinstance(value, bytes) else \
        str(value) if kind == "intValue" else value
    return {"key": key, "value": {kind: shown}}


def tid(number):
    """A trace id of 128 bits in use: Jaeger cuts shorter ones to 64."""
    return f"ab{number:030x}"


def trace(number=1, start_ns=START_NS, spans=2, service="shop", **attributes):
    """One trace of a service: a root and its children, as OTLP/JSON."""
    made = []
    for i in range(spans):
        made.append({
            "traceId": tid(number), "spanId": f"{number:08x}{i + 1:08x}",
            **({"parentSpanId": f"{number:08x}{1:08x}"} if i else {}),
            "name": f"op-{i}", "kind": 2 if i == 0 else 3,
            "startTimeUnixNano": str(start_ns + i * 1000000),
            "endTimeUnixNano": str(start_ns + 5000000),
            "attributes": [attribute(k, v) for k, v in attributes.items()],
            "events": [{"timeUnixNano": str(start_ns + 1000), "name": "found",
                        "attributes": [attribute("n", 3)]}],
            "links": [{"traceId": tid(number + 1000), "spanId": f"{7:016x}"}] if i else [],
            "status": {"code": 2, "message": "broken"} if i else {}})
    return {"resourceSpans": [{
        "resource": {"attributes": [attribute("service.name", service), attribute("host.name", "h")]},
        "scopeSpans": [{"scope": {"name": "lib", "version": "1.0"}, "spans": made}]}]}


# --- Elasticsearch.

FLUSH = "flush: {interval: 50ms}\n"


def test_spans_and_services_are_jaegers_documents(export):
    with Elastic() as es:
        told = export("elasticsearch", f"endpoints: ['{es.url}']\nindex: jaeger-span\n{FLUSH}",
                      [trace(1, text="a", amount=5, ratio=0.5, yes=True, raw=b"\x00\xff"),
                       trace(2, service="bank", start_ns=START_NS + 86400 * 10**9)])
        assert told["sent_spans"] == 4 and not es.faults
        assert sorted(es.docs) == ["jaeger-service-2023-11-14", "jaeger-service-2023-11-15",
                                   "jaeger-span-2023-11-14", "jaeger-span-2023-11-15"]
        root, child = sorted(es.of("jaeger-span-2023-11-14"), key=lambda d: d["spanID"])
        assert root["traceID"] == tid(1) and root["spanID"] == "0000000100000001"
        assert root["startTime"] == START_NS // 1000 and root["startTimeMillis"] == START_NS // 10**6
        assert root["duration"] == 5000 and root["references"] == [] and "parentSpanID" not in root
        assert {t["key"]: (t["type"], t["value"]) for t in root["tags"]} == {
            "otel.scope.name": ("string", "lib"), "otel.scope.version": ("string", "1.0"),
            "text": ("string", "a"), "amount": ("int64", 5), "ratio": ("float64", 0.5),
            "yes": ("bool", True), "raw": ("binary", "00ff"), "span.kind": ("string", "server")}
        assert root["logs"] == [{"timestamp": START_NS // 1000 + 1, "fields": [
            {"key": "event", "type": "string", "value": "found"},
            {"key": "n", "type": "int64", "value": 3}]}]
        assert root["process"] == {"serviceName": "shop", "tags": [
            {"key": "host.name", "type": "string", "value": "h"}]}
        assert child["references"] == [
            {"refType": "CHILD_OF", "traceID": tid(1), "spanID": "0000000100000001"},
            {"refType": "FOLLOWS_FROM", "traceID": tid(1001), "spanID": f"{7:016x}"}]
        assert {"key": "error", "type": "bool", "value": True} in child["tags"]
        assert es.of("jaeger-service-2023-11-15") == [
            {"serviceName": "bank", "operationName": "op-0"},
            {"serviceName": "bank", "operationName": "op-1"}]


@pytest.mark.parametrize("version,api", [("8.15.0", "_index_template"), ("7.17.0", "_template")])
def test_templates_are_made_once(export, version, api):
    with Elastic(version=version) as es:
        settings = f"endpoints: ['{es.url}']\n{FLUSH}"
        export("elasticsearch", settings, [trace()])
        assert sorted(es.templates) == [f"/{api}/jaeger-service", f"/{api}/jaeger-span"]
        es.templates[f"/{api}/jaeger-span"] = {"mine": 1}
        export("elasticsearch", settings, [trace()])
        assert es.templates[f"/{api}/jaeger-span"] == {"mine": 1}, "what is there stays"


def test_only_what_was_put_off_is_sent_again(export):
    with Elastic() as es:
        seen = {}

        def status(index, doc):
            if not index.startswith("jaeger-span"):
                return None
            if doc["operationName"] == "op-3":
                return 400
            seen[doc["spanID"]] = seen.get(doc["spanID"], 0) + 1
            return 429 if doc["operationName"] == "op-1" and seen[doc["spanID"]] < 3 else None
        es.item_status = status
        told = export("elasticsearch", f"endpoints: ['{es.url}']\n{FLUSH}"
                      "retry: {initial_interval: 20ms}\n", [trace(spans=4)])
        assert told["sent_spans"] == 3 and told["refused"] == 1
        assert sorted(seen.values()) == [1, 1, 3]
        assert "mapper_parsing_exception" in told["log"]


def test_refused_requests_come_again_and_large_ones_in_halves(export):
    with Elastic() as es:
        es.refuse(2, 429, {"Retry-After": "0"})
        es.refuse(1, 503)
        es.body_bytes_max = 60000
        told = export("elasticsearch", f"endpoints: ['{es.url}']\n{FLUSH}"
                      "retry: {initial_interval: 20ms}\n", 3, spans=480)
        assert told["sent_spans"] == 3 * 480 and told["send_failed_spans"] == 0
        assert len(es.of("jaeger-span-*")) == 3 * 480 and not es.faults


@pytest.mark.parametrize("settings,header", [
    ("user: u\npassword: p", "Basic " + base64.b64encode(b"u:p").decode()),
    ("api_key: a2V5", "ApiKey a2V5")])
def test_credentials(export, settings, header):
    with Elastic(credentials=header) as es:
        told = export("elasticsearch", f"endpoints: ['{es.url}']\n{FLUSH}{settings}", [trace()])
        assert told["sent_spans"] == 2
    with Elastic(credentials="other") as es:
        told = export("elasticsearch", f"endpoints: ['{es.url}']\n{FLUSH}{settings}", [trace()])
        assert told["refused"] == 2 and "401" in told["log"]


def test_the_next_endpoint_is_taken_when_one_is_away(export):
    with Elastic() as es:
        told = export("elasticsearch", f"endpoints: ['http://127.0.0.1:1', '{es.url}']\n{FLUSH}"
                      "retry: {initial_interval: 20ms}\n", [trace()])
        assert told["sent_spans"] == 2


def jaeger_env(es):
    return {**os.environ, "SPAN_STORAGE_TYPE": "elasticsearch", "ES_SERVER_URLS": es.url,
            "ES_CREATE_INDEX_TEMPLATES": "false"}


def test_jaegers_query_shows_what_we_wrote(export, spawn, repo):
    """The stock query of Jaeger over documents that our exporter wrote."""
    jaeger = os.path.join(repo, ".cache", "peers", "bin", "jaeger")
    if not os.path.exists(jaeger):
        pytest.skip("no Jaeger: make peers")
    now = time.time_ns() - 60 * 10**9
    with Elastic(version="7.17.0") as es:
        told = export("elasticsearch", f"endpoints: ['{es.url}']\nindex: jaeger-span\n{FLUSH}",
                      [trace(i, start_ns=now + i * 10**9, paid=i == 2) for i in range(1, 4)])
        assert told["sent_spans"] == 6
        port, admin = free_port(), free_port()
        process = spawn(jaeger, "--es.server-urls", es.url, "--es.create-index-templates=false",
                        f"--query.http-server.host-port=127.0.0.1:{port}",
                        f"--query.grpc-server.host-port=127.0.0.1:{free_port()}",
                        f"--admin.http.host-port=127.0.0.1:{admin}",
                        f"--collector.grpc-server.host-port=127.0.0.1:{free_port()}",
                        f"--collector.http-server.host-port=127.0.0.1:{free_port()}",
                        f"--collector.otlp.grpc.host-port=127.0.0.1:{free_port()}",
                        f"--collector.otlp.http.host-port=127.0.0.1:{free_port()}",
                        env=jaeger_env(es), name="jaeger")
        api = f"http://127.0.0.1:{port}/api"
        wait_for(lambda: requests.get(f"{api}/services", timeout=5).ok, 30, process.log)
        assert requests.get(f"{api}/services", timeout=5).json()["data"] == ["shop"]
        assert sorted(requests.get(f"{api}/services/shop/operations", timeout=5).json()["data"]) == [
            "op-0", "op-1"]
        one = requests.get(f"{api}/traces/{tid(2)}", timeout=5).json()["data"][0]
        spans = sorted(one["spans"], key=lambda s: s["operationName"])
        assert [s["operationName"] for s in spans] == ["op-0", "op-1"]
        assert {"key": "paid", "type": "bool", "value": True} in spans[0]["tags"]
        assert spans[1]["references"][0]["refType"] == "CHILD_OF"
        assert one["processes"][spans[0]["processID"]]["serviceName"] == "shop"
        found = requests.get(f"{api}/traces", timeout=5, params={
            "service": "shop", "limit": 20, "lookback": "1h", "start": (now - 10**9) // 1000,
            "end": (now + 60 * 10**9) // 1000, "tags": '{"paid":"true"}'}).json()["data"]
        assert [t["traceID"] for t in found] == [tid(2)]
        process.kill()  # asked to stop it waits for long


# --- Files.

def test_a_file_of_json_lines(export, tmp_path):
    path = tmp_path / "out.json"
    told = export("file", f"path: {path}", [trace(1), trace(2)])
    assert told["sent_spans"] == 4
    lines = [json.loads(x) for x in path.read_text().splitlines()]
    assert [s["traceId"] for x in lines for r in x["resourceSpans"] for c in r["scopeSpans"]
            for s in c["spans"]] == [tid(1)] * 2 + [tid(2)] * 2


@pytest.mark.parametrize("compression", ["", "compression: zstd\n"])
def test_a_file_of_messages(export, tmp_path, compression):
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
    path = tmp_path / "out.bin"
    export("file", f"path: {path}\nformat: proto\n{compression}", 3, spans=120)
    data, spans = path.read_bytes(), 0
    while data:
        size, = struct.unpack(">I", data[:4])
        message, data = data[4:4 + size], data[4 + size:]
        if compression:
            message = subprocess.run(["zstd", "-dc"], input=message, capture_output=True,
                                     check=True).stdout
        request = pb.ExportTraceServiceRequest.FromString(message)
        spans += sum(len(c.spans) for r in request.resource_spans for c in r.scope_spans)
    assert spans == 360


def test_a_file_is_rotated(export, tmp_path):
    path = tmp_path / "out.json"
    export("file", f"path: {path}\nrotation: {{max_megabytes: 1, max_backups: 2}}", 40, spans=500)
    names = sorted(os.listdir(tmp_path))
    backups = [n for n in names if re.fullmatch(r"out-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.json", n)]
    assert len(backups) == 2 and "out.json" in names
    for name in backups + ["out.json"]:
        assert os.path.getsize(tmp_path / name) <= 1 << 20
        for line in (tmp_path / name).read_text().splitlines():
            json.loads(line)


def test_the_log_shows_what_is_asked(export):
    told = export("debug", "verbosity: detailed", [trace(1, colour="red")])
    assert told["sent_spans"] == 2
    assert '"message":"Traces"' in told["log"] and "op-1" in told["log"] and "red" in told["log"]
    told = export("debug", "verbosity: basic", [trace(1)])
    assert '"spans":2' in told["log"] and "op-1" not in told["log"]


# --- The Collector.

COLLECTOR = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}"{tls}}}
      http: {{endpoint: "127.0.0.1:{http}"}}
exporters:
  otlphttp: {{endpoint: "{url}", encoding: json, compression: none, sending_queue: {{enabled: false}}}}
service:
  pipelines: {{traces: {{receivers: [otlp], exporters: [otlphttp]}}}}
  telemetry: {{metrics: {{level: none}}}}
"""


class Sink(BaseHTTPRequestHandler):
    """Where the Collector sends what it took: bodies are lines of a file."""
    protocol_version = "HTTP/1.1"
    path_out, lock = None, threading.Lock()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock, open(self.path_out, "ab") as f:
            f.write(body.replace(b"\n", b"") + b"\n")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture
def collector(repo, spawn, tmp_path):
    """collector(): the stock Collector, its ports and a file with what it sends on."""
    binary = os.path.join(repo, ".cache", "peers", "bin", "collector")
    if not os.path.exists(binary):
        pytest.skip("no Collector: make peers")

    handler = type("Handler", (Sink,), {"path_out": tmp_path / "collected.json"})
    sink = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    sink.daemon_threads = True
    threading.Thread(target=sink.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{sink.server_address[1]}"

    def start(tls="", ports=None):
        ports = ports or {"grpc": free_port(), "http": free_port()}
        config, path = tmp_path / "collector.yaml", tmp_path / "collected.json"
        path.touch()
        config.write_text(COLLECTOR.format(url=url, tls=tls, **ports))
        process = spawn(binary, "--config", f"file:{config}", name="collector")
        wait_for(lambda: "Everything is ready" in process.log(), 30)
        return ports, path, process
    yield start
    sink.shutdown()
    sink.server_close()


def collected(path):
    return [s for line in path.read_text().splitlines() for r in json.loads(line)["resourceSpans"]
            for c in r["scopeSpans"] for s in c["spans"]]


@pytest.mark.parametrize("kind,settings", [
    ("otlp", "compression: gzip"), ("otlp", "compression: none"), ("otlp", "compression: zstd"),
    ("otlp", "compression: snappy"),
    ("otlphttp", "compression: gzip"), ("otlphttp", "compression: none"),
    ("otlphttp", "compression: zstd"), ("otlphttp", "compression: snappy"),
    ("otlphttp", "encoding: json"), ("otlphttp", "encoding: json\ncompression: none")])
def test_the_collector_takes_every_span(export, collector, kind, settings):
    ports, path, process = collector()
    endpoint = f"endpoint: 127.0.0.1:{ports['grpc']}\ntls: {{insecure: true}}" if kind == "otlp" else \
        f"endpoint: http://127.0.0.1:{ports['http']}"
    told = export(kind, f"{endpoint}\n{settings}", 10, spans=480)
    assert told["sent_spans"] == 4800, told["log"]
    wait_for(lambda: len(collected(path)) == 4800, 15, process.log)
    assert len({s["spanId"] for s in collected(path)}) == 4800


def test_a_span_arrives_whole(export, collector):
    ports, path, process = collector()
    sent = trace(7, text="ü", amount=2**53 + 1, ratio=0.1, yes=False, raw=b"\x01\x02")
    export("otlp", f"endpoint: 127.0.0.1:{ports['grpc']}\ntls: {{insecure: true}}", [sent])
    wait_for(lambda: len(collected(path)) == 2, 15, process.log)
    got = json.loads(path.read_text().splitlines()[0])["resourceSpans"][0]
    want = sent["resourceSpans"][0]
    assert got["resource"] == want["resource"]
    for g, w in zip(got["scopeSpans"][0]["spans"], want["scopeSpans"][0]["spans"]):
        assert {k: v for k, v in g.items() if v not in ("", {}, [])} == \
            {k: v for k, v in w.items() if v not in ("", {}, [])}


def test_a_receiver_that_comes_back_gets_what_waited(export, collector, tmp_path):
    ports = {"grpc": free_port(), "http": free_port()}
    told = {}
    settings = (f"endpoint: 127.0.0.1:{ports['grpc']}\ntls: {{insecure: true}}\n"
                "retry_on_failure: {initial_interval: 100ms, max_interval: 300ms}")
    thread = threading.Thread(target=lambda: told.update(export("otlp", settings, 5, spans=480)))
    thread.start()
    _, path, process = collector(ports=ports)
    thread.join(TIMEOUT_S)
    assert told["sent_spans"] == 2400, told
    wait_for(lambda: len(collected(path)) == 2400, 15, process.log)


def test_tls(export, collector, tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                    cert, "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"],
                   check=True, capture_output=True)
    ports, path, process = collector(
        tls=f", tls: {{cert_file: {cert}, key_file: {key}, client_ca_file: {cert}}}")
    endpoint = f"endpoint: 127.0.0.1:{ports['grpc']}\n"
    told = export("otlp", endpoint + f"tls: {{ca_file: {cert}, cert_file: {cert}, key_file: {key}}}", 1)
    assert told["sent_spans"] > 0
    told = export("otlp", endpoint + "retry_on_failure: {enabled: false}", 1)
    assert told["sent_spans"] == 0 and "certificate" in told["log"]


# --- Receivers that behave badly.

def test_a_receiver_that_never_answers_holds_nobody_up(export):
    """Connections are taken, nothing is ever said: the drain ends in its time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        told = export("otlphttp", f"endpoint: http://127.0.0.1:{silent.getsockname()[1]}\n"
                      "sending_queue: {queue_size: 20}", 200, spans=120, drain_ms=500)
        assert time.monotonic() - began < 20
        assert told["enqueue_failed_spans"] > 0
        assert told["enqueue_failed_spans"] + told["shutdown"] == 200 * 120


@pytest.mark.parametrize("answers,sent,failed", [
    (["429", "503", "200"], 2, 0),  # tried again, with and without Retry-After
    (["400"], 0, 2), (["403"], 0, 2), (["500"], 0, 2), (["partial"], 1, 1),
    (["garbage", "200"], 2, 0), (["cut", "200"], 2, 0)])
def test_what_a_receiver_may_answer(export, answers, sent, failed):
    def serve(server):
        left = list(answers)
        while left:
            client, _ = server.accept()
            with client:
                client.settimeout(10)
                head = b""
                while b"\r\n\r\n" not in head:
                    head += client.recv(65536)
                size = int(re.search(rb"content-length: (\d+)", head, re.I)[1])
                body = head.split(b"\r\n\r\n", 1)[1]
                while len(body) < size:
                    body += client.recv(65536)
                what = left.pop(0)
                partial = b"\x0a\x06\x08\x01\x12\x02no"
                client.sendall({
                    "garbage": b"\x00\xff not http\r\n\r\n", "cut": b"HTTP/1.1 200 OK\r\nContent-Le",
                    "partial": b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                               b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(partial) + partial,
                }.get(what) or b"HTTP/1.1 %s X\r\nRetry-After: 0\r\nContent-Length: 0\r\n"
                    b"Connection: close\r\n\r\n" % what.encode())
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        told = export("otlphttp", f"endpoint: http://127.0.0.1:{server.getsockname()[1]}\n"
                      "retry_on_failure: {initial_interval: 20ms}", [trace()])
        assert told["sent_spans"] == sent and told["send_failed_spans"] == failed, told
