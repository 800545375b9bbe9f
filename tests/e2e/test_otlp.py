"""What the kit exports by OTLP, decoded by OpenTelemetry's own classes, the Collector and Jaeger."""
import os
import re
import struct
import subprocess
import time

import pytest
import requests

from lib.clients import run
from lib.otlp import GrpcReceiver, Mad, Receiver
from lib.service import free_port
from lib.wait import SLOWER, wait_for

PEERS = ".cache/peers/bin"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture
def zoo(repo, tmp_path):
    """zoo(ENV, *args) runs otlp_zoo to its end: ({signal: counts}, stderr, seconds)."""
    build = os.environ.get("SEXTANT_BUILD") or os.path.join(repo, "build")
    program = os.path.join(build, "tests/e2e/programs/otlp_zoo")
    assert os.path.exists(program), f"{program} is missing; run `make build`"

    def run(env, *args, seconds=20):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
        began = time.monotonic()
        ended = subprocess.run([program, *args], env={**clean, **env}, capture_output=True,
                               text=True, timeout=seconds * SLOWER, check=False)
        assert ended.returncode == 0, ended.stderr
        counts = {}
        for line in ended.stdout.splitlines():
            name, _, rest = line.partition(" ")
            counts[name] = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", rest)}
        return counts, ended.stderr, time.monotonic() - began
    return run


def value_of(any_value):
    kind = any_value.WhichOneof("value")
    value = getattr(any_value, kind) if kind else None
    if kind == "array_value":
        return [value_of(v) for v in value.values]
    if kind == "kvlist_value":
        return attributes(value.values)
    return value


def attributes(pairs):
    assert len({p.key for p in pairs}) == len(pairs)
    return {p.key: value_of(p.value) for p in pairs}


def check_resource(resource):
    got = attributes(resource.attributes)
    assert got["service.name"] == "otlp-zoo"
    assert got["service.version"] == "1.2.3"
    assert got["deployment.environment.name"] == "test"
    assert got["telemetry.sdk.name"] == "sextant"
    assert got["telemetry.sdk.language"] == "c"
    assert got["os.type"] == "linux"
    assert got["host.name"] == os.uname().nodename
    assert got["process.pid"] > 0
    assert re.fullmatch(r"[0-9a-f-]{36}", got["service.instance.id"])


def check_server_span(span):
    assert span.trace_id.hex() == TRACE and span.parent_span_id.hex() == PARENT
    assert len(span.span_id) == 8 and span.trace_state == "vendor=opaque"
    assert span.kind == 2 and span.status.code == 1
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10 ** 10
    assert abs(span.start_time_unix_nano / 1e9 - time.time()) < 600
    assert attributes(span.attributes) == {
        "text": "größe � end", "signed": -42, "unsigned": 7, "double": 2.5, "yes": True,
        "empty": "", "big": 2 ** 63 - 1, "list": [1, "two", 3.5, False, None],
        "tree": {"a": {"b": [True]}}}
    [event] = span.events
    assert event.name == "cache miss" and attributes(event.attributes) == {"attempt": 2}
    assert span.start_time_unix_nano <= event.time_unix_nano <= span.end_time_unix_nano


def check_child_span(span, parent):
    assert span.trace_id.hex() == TRACE and span.parent_span_id == parent.span_id
    assert span.kind == 3 and span.status.code == 2
    assert span.status.message == "the database did not answer"
    assert attributes(span.attributes)["db.system.name"] == "postgresql"
    [event] = span.events
    assert event.name == "exception"
    assert attributes(event.attributes) == {"exception.type": "timeout",
                                            "exception.message": "the database did not answer"}
    [link] = span.links
    assert link.trace_id.hex() == TRACE and link.span_id.hex() == PARENT
    assert attributes(link.attributes) == {"why": "cause"}


def check_log(record, span):
    assert record.severity_number == 13 and record.severity_text == "WARN"
    assert record.body.string_value == "a record of the zoo"
    assert record.trace_id.hex() == TRACE and record.span_id == span.span_id
    got = attributes(record.attributes)
    assert got["count"] == 3 and got["animal"] == "okapi" and got["fed"] is False
    assert abs(record.time_unix_nano / 1e9 - time.time()) < 600


def check_metrics(metrics):
    visits = metrics["zoo_visits_total"].sum
    assert visits.is_monotonic and visits.aggregation_temporality == 2
    [point] = visits.data_points
    assert (point.as_int or point.as_double) == 5
    assert attributes(point.attributes) == {"animal": "okapi"}
    [point] = metrics["zoo_animals"].gauge.data_points
    assert point.as_double == 12.5
    [point] = metrics["zoo_stay_seconds"].histogram.data_points
    assert point.count == 4 and point.sum == pytest.approx(1.0)
    assert sum(point.bucket_counts) == 4
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    [point] = metrics["zoo_weight"].exponential_histogram.data_points
    assert point.count == 4 and point.sum == 100
    assert sum(point.positive.bucket_counts) == 4
    assert "process_cpu_seconds_total" in metrics


def check_zoo(received):
    for resource in received.resources():
        check_resource(resource)
    spans = {s.name: s for s in received.spans()}
    assert sorted(spans) == ["GET /zoo", "SELECT zoo"]
    check_server_span(spans["GET /zoo"])
    check_child_span(spans["SELECT zoo"], spans["GET /zoo"])
    [record] = [r for r in received.logs() if r.body.string_value == "a record of the zoo"]
    check_log(record, spans["GET /zoo"])
    check_metrics(received.metrics())


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_the_python_sdks_classes_decode_everything(zoo, protocol, compression):
    with (GrpcReceiver if protocol == "grpc" else Receiver)() as receiver:
        counts, err, _ = zoo({"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
                              "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                              "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
                              "OTEL_EXPORTER_OTLP_HEADERS": "x-key=s%C3%A9same%2C,X-Two=2"})
        check_zoo(receiver)
        for _, headers, _ in receiver.requests:
            # HTTP's fields are Latin-1 to http.server; gRPC's are ASCII there.
            assert headers["x-two"] == "2" and "x-key" in headers
            assert headers["user-agent"].startswith("OTel-OTLP-Exporter-C/")
    assert "trouble" not in err
    assert counts["spans"]["exported"] == 2 and counts["spans"]["whole"] == 1
    assert counts["metrics"]["exported"] > 10


def test_nothing_is_exported_without_an_endpoint(zoo):
    counts, _, seconds = zoo({"OTEL_SERVICE_NAME": "x"})
    assert counts == {"nothing": {}}
    assert seconds < 5 * SLOWER


@pytest.mark.parametrize("env,left_out", [
    ({"OTEL_SDK_DISABLED": "true"}, {"spans", "logs", "metrics"}),
    ({"OTEL_TRACES_EXPORTER": "none"}, {"spans"}),
    ({"OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "console"}, {"logs", "metrics"}),
    ({"OTEL_TRACES_SAMPLER": "always_off"}, {"spans"}),
])
def test_what_is_switched_off_is_not_exported(zoo, env, left_out):
    with Receiver() as receiver:
        zoo({"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, **env})
        assert bool(receiver.spans()) == ("spans" not in left_out)
        assert bool(receiver.logs()) == ("logs" not in left_out)
        assert bool(receiver.metrics()) == ("metrics" not in left_out)


def test_the_environment_names_the_service_and_each_signals_endpoint(zoo):
    with Receiver() as receiver, GrpcReceiver() as other:
        zoo({"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url + "/",
             "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": other.url,
             "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc",
             "OTEL_SERVICE_NAME": "renamed",
             "OTEL_RESOURCE_ATTRIBUTES": "service.name=loses,team=a%20b%2Cc,host.name=elsewhere"})
        assert receiver.spans() and receiver.metrics() and not receiver.logs()
        assert other.logs() and not other.spans()
        for resource in receiver.resources():
            got = attributes(resource.attributes)
            assert (got["service.name"], got["team"], got["host.name"]) == \
                ("renamed", "a b,c", "elsewhere")


def test_every_span_of_two_threads_arrives_once(zoo):
    with Receiver() as receiver:
        counts, _, _ = zoo({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.url + "/v1/traces",
                            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
                            "OTEL_BSP_MAX_QUEUE_SIZE": "1000000",
                            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "300"}, "many", "5000")
        spans = receiver.spans()
        assert len(spans) == len({s.span_id for s in spans}) == 5000
        assert max(len(m.resource_spans[0].scope_spans[0].spans)
                   for m in receiver.messages("/v1/traces")) <= 300
    assert counts["spans"]["exported"] == 5000 and counts["spans"]["dropped"] == 0


def test_a_full_queue_drops_and_counts(zoo):
    with Receiver() as receiver:
        counts, err, _ = zoo({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.url + "/v1/traces",
                              "OTEL_BSP_MAX_QUEUE_SIZE": "100",
                              "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100",
                              "OTEL_BSP_SCHEDULE_DELAY": "60000"}, "many", "20000")
        got = counts["spans"]
        assert got["taken"] == 20000 == got["exported"] + got["dropped"]
        assert len(receiver.spans()) == got["exported"]
    assert got["dropped"] > 0 and "queue is full" in err


# ---- receivers that are not well ----

def spans_only(url, **more):
    return {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "500", **more}


def test_a_throttling_receiver_gets_its_pause_and_then_everything(zoo):
    asked = []

    def answer(_, __):
        asked.append(time.monotonic())
        return (429, {"Retry-After": "1"}, b"slow down") if len(asked) == 1 else None
    with Receiver(answer) as receiver:
        counts, err, _ = zoo(spans_only(receiver.url + "/v1/traces"))
        assert len(receiver.spans()) == 2
    assert asked[1] - asked[0] >= 0.99
    assert counts["spans"] == {"taken": 2, "exported": 2, "dropped": 0, "rejected": 0,
                               "failures": 1, "whole": 1}
    assert "429" in err


def test_grpc_says_when_to_come_back(zoo):
    from google.protobuf.any_pb2 import Any
    asked = []
    # google.rpc.RetryInfo {retry_delay {nanos: 600 million}} in google.rpc.Status
    retry_info = Any(type_url="type.googleapis.com/google.rpc.RetryInfo",
                     value=bytes.fromhex("0a06") + b"\x10" + bytes([0x80, 0xb0, 0x8d, 0x9e, 0x02]))
    detail = retry_info.SerializeToString()
    status = b"\x08\x08" + b"\x12\x04full" + b"\x1a" + bytes([len(detail)]) + detail

    def answer(context):
        import grpc
        asked.append(time.monotonic())
        if len(asked) == 1:
            context.set_trailing_metadata((("grpc-status-details-bin", status),))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    with GrpcReceiver(answer) as receiver:
        counts, _, _ = zoo(spans_only(receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
                                      OTEL_EXPORTER_OTLP_TIMEOUT="5000"))
        assert len(receiver.spans()) == 2
    assert asked[1] - asked[0] >= 0.59
    assert counts["spans"]["failures"] == 1


def test_grpc_that_refuses_for_good_is_not_asked_again(zoo):
    asked = []

    def answer(context):
        import grpc
        asked.append(1)
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too big")
    with GrpcReceiver(answer) as receiver:
        counts, err, _ = zoo(spans_only(receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
                                        OTEL_EXPORTER_OTLP_TIMEOUT="5000"))
    assert len(asked) == 1 and counts["spans"]["dropped"] == 2
    assert "RESOURCE_EXHAUSTED: too big" in err


@pytest.mark.parametrize("status", [301, 400, 404, 500])
def test_a_refusal_is_final(zoo, status):
    asked = []

    def answer(_, __):
        asked.append(1)
        return status, {"Location": "http://127.0.0.1:1/secret"}, b"no"
    with Receiver(answer) as receiver:
        counts, err, _ = zoo(spans_only(receiver.url + "/v1/traces?key=hidden",
                                        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20hidden"))
    assert len(asked) == 1
    assert counts["spans"]["dropped"] == 2 and counts["spans"]["exported"] == 0
    assert str(status) in err and "hidden" not in err and "secret" not in err


def test_partial_success_is_counted_and_told(zoo):
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
    partial = pb.ExportTraceServiceResponse(partial_success=pb.ExportTracePartialSuccess(
        rejected_spans=1, error_message="too old"))

    def answer(_, __):
        return (200, {"Content-Type": "application/x-protobuf"}, partial.SerializeToString())
    with Receiver(answer) as receiver:
        counts, err, _ = zoo(spans_only(receiver.url + "/v1/traces"))
    assert counts["spans"]["exported"] == 1 and counts["spans"]["rejected"] == 1
    assert "too old" in err


def read_request(connection):
    """Reads one request, more or less."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length.group(1)):
        body += connection.recv(65536)


def swallow(connection):
    """Reads until the other side has enough."""
    while connection.recv(65536):
        pass


def hang(connection):
    swallow(connection)


def reset(connection):
    read_request(connection)
    connection.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: RST
    connection.close()


def reset_in_the_answer(connection):
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    connection.setsockopt(1, 13, struct.pack("ii", 1, 0))
    connection.close()


def garbage(connection):
    read_request(connection)
    connection.sendall(bytes(range(256)) * 40)
    connection.close()


def wrong_frames(connection):
    """HTTP/2 that turns to nonsense after its settings."""
    connection.recv(65536)
    connection.sendall(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\xff" * 4096)
    connection.close()


def silence_after_the_head(connection):
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    swallow(connection)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("behave", [hang, reset, reset_in_the_answer, garbage, wrong_frames,
                                    silence_after_the_head], ids=lambda f: f.__name__)
def test_a_mad_receiver_costs_little(zoo, behave, protocol):
    with Mad(behave) as mad:
        counts, err, seconds = zoo(spans_only(mad.url, OTEL_EXPORTER_OTLP_PROTOCOL=protocol))
        assert mad.count >= 1
    assert counts["spans"]["exported"] == 0 and counts["spans"]["whole"] == 0
    assert "OTLP export has trouble" in err
    assert re.search(r'ended with losses.*"spans":2,"logs":0,"metrics":0', err)
    assert seconds < 6 * SLOWER


@pytest.mark.parametrize("status,final", [(200, "exported"), (400, "dropped")])
def test_an_endless_answer_is_cut(zoo, status, final):
    def endless(connection):
        read_request(connection)
        connection.sendall(f"HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        while True:
            connection.sendall(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
    with Mad(endless) as mad:
        counts, err, seconds = zoo(spans_only(mad.url))
        assert mad.count == 1
    assert counts["spans"][final] == 2 and "longer than" in err
    assert seconds < 5 * SLOWER


def test_a_web_page_is_taken_but_told(zoo):
    def answer(_, __):
        return 200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>hello"
    with Receiver(answer) as receiver:
        _, err, _ = zoo(spans_only(receiver.url + "/v1/traces"))
    assert "no OTLP response" in err


def certificate(folder, name, *more):
    key, chain = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".pem")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", key, "-out", chain, "-days", "2", "-subj", f"/CN={name}", *more)
    return chain, key


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_tls_is_checked_on_both_sides(zoo, tmp_path, protocol):
    server = certificate(tmp_path, "server", "-addext", "subjectAltName=IP:127.0.0.1")
    client = certificate(tmp_path, "client")
    make = GrpcReceiver if protocol == "grpc" else Receiver
    with make(tls=(*server, client[0])) as receiver:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
               "OTEL_LOGS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_TIMEOUT": "3000"}
        ours = {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": client[0],
                "OTEL_EXPORTER_OTLP_CLIENT_KEY": client[1]}
        trust = {"OTEL_EXPORTER_OTLP_CERTIFICATE": server[0]}
        for wrong in ({**env, **ours}, {**env, **trust}):  # we do not trust it, it does not trust us
            counts, err, _ = zoo(wrong)
            assert counts["spans"]["exported"] == 0 and "trouble" in err
        counts, err, _ = zoo({**env, **trust, **ours})
        assert counts["spans"]["exported"] == 2, err
        assert len(receiver.spans()) == 2


def test_grpc_behind_a_proxy_that_answers_http(zoo):
    """503 without a grpc-status means UNAVAILABLE: it is tried again."""
    import h2.config
    import h2.connection
    import h2.events

    def unavailable(connection):
        c = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        c.initiate_connection()
        connection.sendall(c.data_to_send())
        while data := connection.recv(65536):
            for event in c.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    c.send_headers(event.stream_id, [(":status", "503"),
                                                     ("content-type", "text/plain")])
                    c.send_data(event.stream_id, b"no upstream", end_stream=True)
            connection.sendall(c.data_to_send())
    with Mad(unavailable) as mad:
        counts, err, _ = zoo(spans_only(mad.url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
                                        OTEL_EXPORTER_OTLP_TIMEOUT="5000"))
    assert counts["spans"]["dropped"] == 0 and counts["spans"]["failures"] == 1
    assert "UNAVAILABLE" in err


def test_bad_variables_are_told_and_ignored(zoo):
    counts, err, _ = zoo({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://user:hidden@example.org",
                          "OTEL_EXPORTER_OTLP_HEADERS": "authorization: hidden",
                          "OTEL_BSP_SCHEDULE_DELAY": "soon",
                          "OTEL_TRACES_SAMPLER": "sometimes",
                          "OTEL_RESOURCE_ATTRIBUTES": "a=%zz"})
    assert counts == {"nothing": {}}
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS",
                 "OTEL_BSP_SCHEDULE_DELAY", "OTEL_TRACES_SAMPLER", "OTEL_RESOURCE_ATTRIBUTES"):
        assert name in err
    assert "hidden" not in err


# ---- the real ones ----

def peer(repo, name):
    path = os.path.join(repo, PEERS, name)
    if not os.path.exists(path):
        pytest.skip(f"{PEERS}/{name} is missing; scripts/peers.sh builds it")
    return path


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_jaeger_shows_our_spans(zoo, spawn, repo, protocol):
    ports = {name: free_port() for name in ("http", "grpc", "query", "admin")}
    local = "127.0.0.1:%d"
    jaeger = spawn(peer(repo, "jaeger"), "--collector.otlp.enabled=true",
          f"--collector.otlp.http.host-port={local % ports['http']}",
          f"--collector.otlp.grpc.host-port={local % ports['grpc']}",
          f"--query.http-server.host-port={local % ports['query']}",
          f"--query.grpc-server.host-port={local % free_port()}",
          f"--admin.http.host-port={local % ports['admin']}",
          f"--collector.grpc-server.host-port={local % free_port()}",
          f"--collector.http-server.host-port={local % free_port()}",
          name="jaeger")
    query = f"http://127.0.0.1:{ports['query']}/api/traces/{TRACE}"
    wait_for(lambda: answers(f"http://127.0.0.1:{ports['admin']}/"), 30)
    url = f"http://127.0.0.1:{ports['grpc' if protocol == 'grpc' else 'http']}"
    counts, err, _ = zoo({"OTEL_EXPORTER_OTLP_ENDPOINT": url,
                          "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                          "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
                          "OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"})
    assert counts["spans"]["exported"] == 2, err

    def found():
        answer = requests.get(query, timeout=5 * SLOWER)
        traces = answer.json()["data"] if answer.ok else []
        return traces if traces and len(traces[0]["spans"]) == 2 else None
    [trace] = wait_for(found, 20)
    spans = {s["operationName"]: s for s in trace["spans"]}
    tags = {t["key"]: t["value"] for t in spans["GET /zoo"]["tags"]}
    assert tags["signed"] == -42 and tags["double"] == 2.5 and tags["yes"] is True
    assert tags["span.kind"] == "server" and tags["w3c.tracestate"] == "vendor=opaque"
    tags = {t["key"]: t["value"] for t in spans["SELECT zoo"]["tags"]}
    assert tags["otel.status_code"] == "ERROR" and tags["error"] is True
    [process] = trace["processes"].values()
    assert process["serviceName"] == "otlp-zoo"
    jaeger.kill()  # asked to stop it waits for long


def answers(url):
    try:
        return requests.get(url, timeout=2 * SLOWER).status_code < 500
    except requests.ConnectionError:
        return False


COLLECTOR = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: 127.0.0.1:{grpc}}}
      http: {{endpoint: 127.0.0.1:{http}}}
exporters:
  otlphttp: {{endpoint: "{url}", sending_queue: {{enabled: false}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [otlphttp]}}
    logs: {{receivers: [otlp], exporters: [otlphttp]}}
    metrics: {{receivers: [otlp], exporters: [otlphttp]}}
"""


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_the_collector_passes_everything_on(zoo, spawn, repo, tmp_path, protocol):
    collector = peer(repo, "collector")
    ports = {"grpc": free_port(), "http": free_port()}
    with Receiver() as receiver:
        config = tmp_path / "collector.yaml"
        config.write_text(COLLECTOR.format(url=receiver.url, **ports))
        process = spawn(collector, "--config", f"file:{config}", name="collector")
        wait_for(lambda: "Everything is ready" in process.log(), 30)
        url = f"http://127.0.0.1:{ports['grpc' if protocol == 'grpc' else 'http']}"
        counts, err, _ = zoo({"OTEL_EXPORTER_OTLP_ENDPOINT": url,
                              "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                              "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"})
        assert counts["spans"]["exported"] == 2, err
        # Without a queue of its own the Collector answers when our receiver has answered.
        check_zoo(receiver)
