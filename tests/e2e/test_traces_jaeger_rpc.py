"""Jaeger's gRPC APIs and HTTP v3 of the observatory: long answers, clients that go, what is refused."""
import json
import time

import grpc
import pytest
import requests
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from lib.jaeger_peer import plain_otlp, plain_v2, rfc3339, sample, span_id_of, trace_id_of, when
from lib.jaeger_proto import JaegerClient
from lib.observe import Observe
from lib.raw import Raw
from lib.wait import wait_for

START_NS = time.time_ns() // 10**9 * 10**9 - 600 * 10**9
RANGE = {"query.startTimeMin": rfc3339(START_NS - 10**9),
         "query.startTimeMax": rfc3339(START_NS + 10**11)}
ABSENT = bytes([9] * 16)


class Server(Observe):
    def __init__(self, serve, sextant_bin, folder, *flags):
        super().__init__(serve, sextant_bin, folder,
                         flags=("--jaeger.query-grpc=127.0.0.1:0", "--jaeger.storage=127.0.0.1:0",
                                *flags))
        self.connect()

    def connect(self):
        self.client = JaegerClient(self.process.address("jaeger-query-grpc"))
        self.storage = JaegerClient(self.process.address("jaeger-storage"))

    def restart(self, signal=None):
        self.client.close()
        self.storage.close()
        super().restart(signal)
        self.connect()

    def v3(self, path, **params):
        return requests.get(self.url("/api/v3/" + path), params=params, timeout=30)


@pytest.fixture
def app(serve, sextant_bin, tmp_path):
    server = Server(serve, sextant_bin, tmp_path)
    yield server
    server.client.close()
    server.storage.close()


def long_trace(spans, start_ns=START_NS):
    """Requests with one trace of many spans, of two services by turns."""
    for first in range(0, spans, 5000):
        request = trace_service_pb2.ExportTraceServiceRequest()
        to = []
        for name in ("even", "odd"):
            resource = request.resource_spans.add()
            resource.resource.attributes.add(key="service.name").value.string_value = name
            to.append(resource.scope_spans.add().spans)
        for i in range(first, min(first + 5000, spans)):
            span = to[i % 2].add(trace_id=trace_id_of(7), span_id=(i + 1).to_bytes(8, "big"),
                                 name=f"step {i % 10}", kind=1, start_time_unix_nano=start_ns + i,
                                 end_time_unix_nano=start_ns + i + 1000)
            if i:
                span.parent_span_id = (i // 2 + 1).to_bytes(8, "big")
            span.attributes.add(key="text").value.string_value = "x" * 60
        yield request


def test_a_long_trace_comes_whole_in_small_messages(app):
    spans = 30000
    for request in long_trace(spans):
        app.storage.export(request, timeout=30)
    ids = sorted((i + 1).to_bytes(8, "big") for i in range(spans))
    chunks = app.client.v2.GetTrace(trace_id=trace_id_of(7))
    assert sorted(s.span_id for c in chunks for s in c.spans) == ids
    assert max(len(c.spans) for c in chunks) == 10
    for messages in (app.client.v3.GetTrace(trace_id=trace_id_of(7).hex()),
                     app.storage.storage.GetTraces(query=[{"trace_id": trace_id_of(7)}])):
        assert len(messages) > 1
        assert max(m.ByteSize() for m in messages) < 2 << 20
        assert all(len(m.resource_spans) <= 2 for m in messages), "a resource is told once"
        assert sorted(s[1] for s in plain_otlp(messages)) == ids
    body = app.v3("traces/" + trace_id_of(7).hex()).json()
    assert sum(len(c["spans"]) for r in body["result"]["resourceSpans"]
               for c in r["scopeSpans"]) == spans


def test_a_client_that_goes_or_does_not_read_harms_nobody(app):
    for request in long_trace(30000):
        app.storage.export(request, timeout=30)
    calls = []
    for _ in range(2):  # none of which is read
        call = app.client.v2.GetTrace.stub(
            app.client.v2.GetTrace.request(trace_id=trace_id_of(7)), timeout=30)
        next(call)
        calls.append(call)
    for call in calls:
        call.cancel()
    assert len(app.client.v2.GetServices().services) == 2
    slow = app.client.v2.GetTrace.stub(
        app.client.v2.GetTrace.request(trace_id=trace_id_of(7)), timeout=1)
    next(slow)
    with pytest.raises(grpc.RpcError) as error:
        wait_for(lambda: not slow.is_active(), seconds=10, what="the deadline")
        list(slow)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(app.client.v2.GetServices().services) == 2


def test_a_stop_waits_for_no_client(serve, sextant_bin, tmp_path):
    """Answers under way, which nobody reads, end with the time of the drain."""
    drain_s = 1
    app = Server(serve, sextant_bin, tmp_path, f"--shutdown_ms_max={drain_s * 1000}")
    for request in long_trace(30000):
        app.storage.export(request, timeout=30)
    trace = trace_id_of(7).hex()
    calls = [app.client.v2.GetTrace.stub(app.client.v2.GetTrace.request(trace_id=trace_id_of(7)),
                                         timeout=60) for _ in range(3)]
    for call in calls:
        next(call)
    unread = []
    for path in (f"/api/traces/{trace}", f"/api/v3/traces/{trace}", f"/tempo/api/traces/{trace}",
                 f"/api/traces/{trace}/critical-path", "/api/v1/notifications/live"):
        for _ in range(3):
            unread.append(Raw(app.process.host_port("http")))
            unread[-1].send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    for client in unread:
        client.until(b"HTTP/1.1 200")
    app.process.stop(seconds=drain_s + 4)
    for client in unread:
        client.sock.close()
    app.client.close()
    app.storage.close()


def test_answers_stay_the_same_over_restarts(app):
    app.storage.export(sample(START_NS), timeout=30)
    ask = {"trace_id": trace_id_of(1)}
    v2 = plain_v2(app.client.v2.GetTrace(**ask))
    query = {"service_name": "back", "start_time_min": when(START_NS),
             "start_time_max": when(START_NS + 10**10)}
    v3 = plain_otlp(app.client.v3.FindTraces(query=query))
    assert len(v2) == 3 and len(v3) == 12
    app.restart()
    assert plain_v2(app.client.v2.GetTrace(**ask)) == v2
    assert plain_otlp(app.client.v3.FindTraces(query=query)) == v3


def test_storage_answers_one_trace_after_the_other(app):
    app.storage.export(sample(START_NS), timeout=30)
    query = {"service_name": "front", "start_time_min": when(START_NS),
             "start_time_max": when(START_NS + 10**10), "search_depth": 3}
    messages = app.storage.storage.FindTraces(query=query)
    per_message = [{s[0] for s in plain_otlp([m])} for m in messages]
    assert [len(ids) for ids in per_message] == [1, 1, 1], "no message mixes traces"
    ids = [i.trace_id for i in app.storage.storage.FindTraceIDs(query=query).trace_ids]
    assert ids == [trace_id_of(i) for i in (3, 2, 1)], "newest first"
    found = app.storage.storage.GetTraces(
        query=[{"trace_id": trace_id_of(0)}, {"trace_id": ABSENT}, {"trace_id": trace_id_of(2)}])
    assert [m.resource_spans[0].scope_spans[0].spans[0].trace_id for m in found] == \
        [trace_id_of(0), trace_id_of(2)]
    summaries = [s for m in app.storage.storage.FindTraceSummaries(query=query)
                 for s in m.summaries]
    assert [(s.trace_id, s.span_count, s.error_span_count, s.root_service_name)
            for s in summaries] == [(trace_id_of(i), 3, 1, "front") for i in (3, 2, 1)]
    search = app.storage.capabilities.GetCapabilities().search
    assert search.without_service_name and search.same_span_conjunction
    assert "regex" in search.filter.operators


def code_of(call, **fields):
    with pytest.raises(grpc.RpcError) as error:
        call(**fields)
    assert error.value.details()
    return error.value.code().name


def test_what_is_wrong_is_told(app):
    v2, v3, storage = app.client.v2, app.client.v3, app.storage.storage
    assert code_of(v2.GetTrace, trace_id=ABSENT) == "NOT_FOUND"
    assert code_of(v2.GetTrace, trace_id=bytes(16)) == "INVALID_ARGUMENT"
    assert code_of(v2.GetTrace, trace_id=b"abc") == "INVALID_ARGUMENT"
    assert code_of(v2.FindTraces) == "INVALID_ARGUMENT"
    assert code_of(v2.GetDependencies) == "INVALID_ARGUMENT"
    assert v3.GetTrace(trace_id=ABSENT.hex()) == []
    assert code_of(v3.GetTrace, trace_id="xyz") == "INVALID_ARGUMENT"
    assert code_of(v3.FindTraces, query={"service_name": "x"}) == "INVALID_ARGUMENT"
    assert code_of(storage.FindTraces) == "INVALID_ARGUMENT"
    assert code_of(storage.GetTraces, query=[{"trace_id": b"1"}]) == "INVALID_ARGUMENT"
    unknown = app.client.channel.unary_unary("/jaeger.api_v2.QueryService/Nothing")
    with pytest.raises(grpc.RpcError) as error:
        unknown(b"", timeout=30)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
    garbage = app.client.channel.unary_unary("/jaeger.api_v2.QueryService/GetOperations")
    with pytest.raises(grpc.RpcError) as error:
        garbage(b"\x0a\xff\xff", timeout=30)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    health = app.client.channel.unary_unary("/grpc.health.v1.Health/Check")
    assert health(b"", timeout=30) == b"\x08\x01"


def ids_of(answer):
    assert answer.status_code == 200, answer.text
    return {s["traceId"] for r in answer.json()["result"]["resourceSpans"]
            for c in r["scopeSpans"] for s in c["spans"]}


def test_http_v3_searches(app):
    app.storage.export(sample(START_NS), timeout=30)
    every = {trace_id_of(i).hex() for i in range(4)}
    assert ids_of(app.v3("traces", **RANGE)) == every, "no service: all of them"
    older = {"query.start_time_min": RANGE["query.startTimeMin"],
             "query.start_time_max": RANGE["query.startTimeMax"], "query.service_name": "front",
             "query.num_traces": 1}
    assert ids_of(app.v3("traces", **older)) == {trace_id_of(3).hex()}
    two = {trace_id_of(2).hex()}
    assert ids_of(app.v3("traces", **RANGE, **{"query.attributes": '{"n":"2"}'})) == two
    call = {"op": "and", "args": [
        {"call": {"op": "gte", "args": [{"field": {"level": "span", "name": "duration"}},
                                        {"scalar": {"value": "39ms"}}]}},
        {"call": {"op": "eq", "args": [{"attr": {"key": "n"}},
                                       {"scalar": {"value": "2", "type": "int"}}]}}]}
    assert ids_of(app.v3("traces", **RANGE, **{"query.filter": json.dumps(call)})) == two
    body = {"query": {"serviceName": "back", "attributes": {"n": "2"}, "searchDepth": 5,
                      "startTimeMin": RANGE["query.startTimeMin"],
                      "startTimeMax": RANGE["query.startTimeMax"]}}
    assert ids_of(requests.post(app.url("/api/v3/traces"), json=body, timeout=30)) == two
    body["query"]["filter"] = call
    assert ids_of(requests.post(app.url("/api/v3/traces"), json=body, timeout=30)) == two
    links = app.v3("dependencies", startTime=RANGE["query.startTimeMin"],
                   endTime=RANGE["query.startTimeMax"]).json()["dependencies"]
    assert {"parent": "front", "child": "back", "callCount": "4"} in links
    for params in ({"query.filter": "{"}, {"query.filter": '{"op":"eq"}'},
                   {"query.attributes": "[1]"}, {"query.attributes": '{"n":2}'}):
        answer = app.v3("traces", **RANGE, **params)
        assert answer.status_code == 400, params
        assert answer.json()["error"]["httpCode"] == 400
    assert requests.post(app.url("/api/v3/traces"), data="{", timeout=30).status_code == 400
    assert app.v3("traces/" + ABSENT.hex()).json() == \
        {"error": {"httpCode": 404, "message": "No traces found"}}


def test_filters_come_by_grpc_too(app):
    app.storage.export(sample(START_NS), timeout=30)
    call = {"op": "regex", "args": [{"field": {"level": "span", "name": "name"}},
                                    {"scalar": {"value": "^SEL|wor"}}]}
    query = {"start_time_min": when(START_NS), "start_time_max": when(START_NS + 10**10),
             "filter": call}
    for found in (app.client.v3.FindTraces(query=query),
                  app.storage.storage.FindTraces(query=query)):
        assert len(plain_otlp(found)) == 12
    call["op"] = "like"
    assert code_of(app.client.v3.FindTraces, query=query) == "INVALID_ARGUMENT"


def test_a_trace_is_told_with_its_warnings(app):
    """A child that begins before its parent on another host: the peer's clock skew."""
    request = trace_service_pb2.ExportTraceServiceRequest()
    for i, name in enumerate(("one", "two")):
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = name
        resource.resource.attributes.add(key="host.name").value.string_value = name
        resource.resource.attributes.add(key="ip").value.string_value = f"10.0.0.{i}"
        span = resource.scope_spans.add().spans.add(
            trace_id=trace_id_of(1), span_id=span_id_of(1, i), name=name,
            start_time_unix_nano=START_NS - i * 10**6, end_time_unix_nano=START_NS + 10**7)
        if i:
            span.parent_span_id = span_id_of(1, 0)
    app.storage.export(request, timeout=30)
    chunks = app.client.v2.GetTrace(trace_id=trace_id_of(1))
    assert sum(len(c.spans) for c in chunks) == 2
    assert any(s.warnings for c in chunks for s in c.spans)
    spans = plain_otlp(app.client.v3.GetTrace(trace_id=trace_id_of(1).hex()))
    assert len(spans) == 2
    assert any(key == "@jaeger@warnings" for s in spans for key, _ in s[10])
    raw = app.client.v2.GetTrace(trace_id=trace_id_of(1), raw_traces=True)
    assert not any(s.warnings for c in raw for s in c.spans)


def test_archived_traces_are_told_from_the_archive(app):
    app.storage.export(sample(START_NS), timeout=30)
    assert code_of(app.client.v2.ArchiveTrace, trace_id=ABSENT) == "NOT_FOUND"
    for _ in range(2):
        app.client.v2.ArchiveTrace(trace_id=trace_id_of(1))
    assert len(plain_v2(app.client.v2.GetTrace(trace_id=trace_id_of(1)))) == 3
