"""What no client should send: the answers are OpenTelemetry's and Jaeger's, and the server lives."""
import gzip
import json
import os
import socket
import struct
import threading
import zlib

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.trace.v1 import trace_pb2

from lib.traces import request, span
from lib.wait import wait_for
from test_traces_clients import traces  # noqa: F401 (a fixture)

PROTO, JSON = "application/x-protobuf", "application/json"
TRACE = "0af7651916cd43dd8448eb211c80319c"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def app(traces):  # noqa: F811
    return traces()


def good(app, number=1):
    """Another span is taken: the server is well."""
    assert app.send([span(TRACE, number)]) == {"partialSuccess": {}}


def message(name="work", trace=bytes.fromhex(TRACE), number=1, **more):
    one = trace_pb2.Span(trace_id=trace, span_id=number.to_bytes(8, "big"), name=name,
                         start_time_unix_nano=1_700_000_000_000_000_000,
                         end_time_unix_nano=1_700_000_000_001_000_000, **more)
    return service.ExportTraceServiceRequest(resource_spans=[trace_pb2.ResourceSpans(
        scope_spans=[trace_pb2.ScopeSpans(spans=[one])])])


def test_types_and_methods(app):
    url = "/v1/traces"
    assert app.post("otlp-http", url, b"", "text/plain").status_code == 415
    assert app.post("otlp-http", url, b"", "").status_code == 415
    assert app.session.get(app.at("otlp-http", url), timeout=10).status_code == 405
    assert app.post("otlp-http", "/v1/logs", b"", PROTO).status_code == 404
    assert app.post("otlp-http", url, b"{}", JSON + "; charset=utf-8").status_code == 200
    assert app.post("otlp-http", url, b"", PROTO).status_code == 200
    assert app.post("jaeger-http", "/api/traces", b"x", "text/plain").status_code == 400
    assert app.post("zipkin", "/api/v2/spans", b"[]", JSON).status_code == 202


def test_garbage_is_told_in_the_request_s_own_encoding(app):
    answer = app.post("otlp-http", "/v1/traces", b'{"resourceSpans":[', JSON)
    assert answer.status_code == 400 and answer.headers["content-type"] == JSON
    assert "message" in answer.json()
    for body in (b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", os.urandom(1000)):
        answer = app.post("otlp-http", "/v1/traces", body, PROTO)
        assert answer.status_code == 400 and answer.headers["content-type"] == PROTO
    for listener, path, kind in (("jaeger-http", "/api/traces", "application/x-thrift"),
                                 ("zipkin", "/api/v2/spans", JSON), ("zipkin", "/api/v1/spans", JSON),
                                 ("zipkin", "/api/v2/spans", PROTO)):
        assert app.post(listener, path, b"\xff\x00garbage", kind).status_code == 400
    good(app)


def test_truncated_at_every_byte(app):
    body = message(name="whole").SerializeToString()
    for end in range(1, len(body)):
        assert app.post("otlp-http", "/v1/traces", body[:end], PROTO).status_code == 400, end
    good(app)


def test_bombs(app):
    bomb = gzip.compress(b"\x0a" * (600 << 20), 9)
    answer = app.post("otlp-http", "/v1/traces", bomb, PROTO, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    half = gzip.compress(message().SerializeToString())[:-9]
    assert app.post("otlp-http", "/v1/traces", half, PROTO,
                    **{"Content-Encoding": "gzip"}).status_code == 400
    assert app.post("otlp-http", "/v1/traces", b"x", PROTO,
                    **{"Content-Encoding": "lzma"}).status_code in (400, 415)
    assert app.post("otlp-http", "/v1/traces", zlib.compress(message().SerializeToString()), PROTO,
                    **{"Content-Encoding": "deflate"}).status_code == 200
    good(app)


def test_odd_spans_are_kept_or_refused_one_by_one(app):
    odd = [span(TRACE, 1, "1970", start=1, ns=1),
           span(TRACE, 2, "2200", start=7_258_118_400_000_000_000),
           span(TRACE, 3, "backwards", ns=-5), span(TRACE, 3, "twice"), span(TRACE, 3, "twice"),
           span(TRACE, 4, "own parent", parent=f"{4:016x}"),
           span(TRACE, 5, "cycle", parent=f"{6:016x}"), span(TRACE, 6, "cycle", parent=f"{5:016x}"),
           span(TRACE, 7, "orphan", parent="ff" * 8)]
    bad = [span("0" * 32, 1), span(TRACE, 0), span("ab", 9)]
    answer = app.send(odd + bad)
    assert answer["partialSuccess"]["rejectedSpans"] == str(len(bad))
    stored = app.stored()
    assert sorted(s["name"] for s in stored[TRACE]) == sorted(s["name"] for s in odd)


def test_big_values_and_a_million_attributes(app):
    big = "é" * (5 << 20)
    app.send([span(TRACE, 1, "big", attributes=[{"key": "v", "value": {"stringValue": big}}])])
    many = [{"key": f"k{i}", "value": {"intValue": str(i)}} for i in range(1_000_000)]
    body = json.dumps(request([span(TRACE, 2, "many", attributes=many)]))
    answer = app.post("otlp-http", "/v1/traces", gzip.compress(body.encode(), 1), JSON,
                      **{"Content-Encoding": "gzip"})
    assert answer.status_code in (200, 400)
    good(app, 3)
    stored = {s["name"]: s for s in app.stored()[TRACE]}
    value = stored["big"]["attributes"]["v"][1]
    assert value and big.startswith(value)
    if "many" in stored:
        kept = stored["many"]["attributes"]
        assert len(kept) + stored["many"]["dropped"][0] == len(many)


def test_text_that_is_no_utf8(app):
    body = message(name="a__z").SerializeToString().replace(b"a__z", b"a\xff\xfez")
    assert app.post("otlp-http", "/v1/traces", body, PROTO).status_code == 200
    assert app.stored()[TRACE][0]["name"] == "a\ufffd\ufffdz"


def test_a_slow_sender_holds_up_nobody(app):
    with socket.create_connection(app.host_port("otlp-http")) as slow:
        slow.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 1000\r\n\r\n{")
        for n in range(1, 20):
            good(app, n)


def test_a_client_that_never_reads(app):
    body = json.dumps(request([span(TRACE, 1)])).encode()
    head = (b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body))
    with socket.create_connection(app.host_port("otlp-http")) as deaf:
        deaf.settimeout(1)
        try:
            for _ in range(5000):
                deaf.sendall(head + body)
        except OSError:
            pass  # it is not read from any more: as it should be
        good(app)


def test_grpc_says_the_same(app):
    with grpc.insecure_channel(app.process.address("otlp-grpc")) as channel:
        raw = channel.unary_unary(EXPORT, request_serializer=bytes,
                                  response_deserializer=service.ExportTraceServiceResponse.FromString)
        assert raw(message().SerializeToString(), timeout=10).partial_success.rejected_spans == 0
        answer = raw(message(trace=bytes(16)).SerializeToString(), timeout=10)
        assert answer.partial_success.rejected_spans == 1
        for body, code in ((b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),):
            with pytest.raises(grpc.RpcError) as failed:
                raw(body, timeout=10)
            assert failed.value.code() == code
        logs = channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export",
                                   request_serializer=bytes, response_deserializer=bytes)
        with pytest.raises(grpc.RpcError) as failed:
            logs(b"", timeout=10)
        assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED
    good(app, 2)


def test_full_memory_asks_clients_to_come_again(traces):  # noqa: F811
    """A small limit of memory and much at once: 429 with a time to wait, and nothing acknowledged is
    lost."""
    app = traces("--traces.memory-max=4MB")
    taken, refused, lock = [], [], threading.Lock()

    def flood(worker):
        for k in range(40):
            number = worker * 1000 + k + 1
            spans = [span(f"{number:032x}", i + 1, attributes=[
                {"key": "filler", "value": {"stringValue": f"{number}-{i}-" + "x" * 500}}])
                for i in range(400)]
            answer = app.post("otlp-http", "/v1/traces", json.dumps(request(spans)), JSON)
            with lock:
                (taken if answer.status_code == 200 else refused).append((number, answer))
    threads = [threading.Thread(target=flood, args=(w,)) for w in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for _, answer in refused:
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0
    wait_for(lambda: app.post("otlp-http", "/v1/traces", json.dumps(request([span(TRACE, 1)])),
                              JSON).status_code == 200, what="room again")
    app.process.stop()
    from lib.traces import by_trace, export, spans_of
    stored = by_trace(s for line in export(app.bin, app.data_dir) for s in spans_of(line))
    for number, _ in taken:
        assert len(stored[f"{number:032x}"]) == 400
    for number, _ in refused:
        assert f"{number:032x}" not in stored


def test_datagrams_that_are_nothing(app):
    """Half a message, lengths that lie, deep nesting: refused and counted."""
    for listener in ("jaeger-compact", "jaeger-binary"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(app.host_port(listener))
            for body in (b"", b"\x82\x81\x01\x09emitBatch", b"\x82\x81\x01\x09emitBatch\x1c" + b"\x1c" * 5000,
                         struct.pack(">I", 0x80010004) + b"\x7f\xff\xff\xff" + b"emitBatch"):
                s.send(body)
    good(app)
