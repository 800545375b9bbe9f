"""The observatory's gRPC and v3 APIs beside Jaeger's over the same spans, and under a Jaeger 2."""
import os
import time
import urllib.parse

import pytest
import requests

from lib.jaeger_peer import (JAEGER1, JAEGER2, Jaeger, plain_otlp, plain_v2, rfc3339, sample,
                             trace_id_of, when)
from lib.jaeger_proto import JaegerClient, message_class
from lib.observe import Observe
from lib.wait import wait_for

TRACES = 4
START_NS = time.time_ns() // 10**9 * 10**9 - 600 * 10**9
MIN_NS, MAX_NS = START_NS - 10**9, START_NS + 100 * 10**9

QUERIES = [
    {"service_name": "front"},
    {"service_name": "back", "operation_name": "work"},
    {"service_name": "back", "operation_name": "absent"},
    {"service_name": "absent"},
    {"service_name": "back", "tags": {"http.status_code": "500"}},
    {"service_name": "back", "tags": {"n": "2"}},
    {"service_name": "back", "tags": {"n": "2", "http.status_code": "500"}},
    {"service_name": "back", "tags": {"error": "true"}},
    {"service_name": "front", "tags": {"error": "true"}},
    {"service_name": "front", "tags": {"span.kind": "client"}},
    {"service_name": "front", "tags": {"double": "2.5", "yes": "true", "int": "-7"}},
    {"service_name": "back", "tags": {"exception.type": "Bad"}},
    {"service_name": "store", "tags": {"cpus": "4", "host.name": "h-store"}},
    {"service_name": "front", "duration_min": 0.050000001},
    {"service_name": "front", "duration_max": 0.049},
    {"service_name": "store", "duration_min": 0.001, "duration_max": 0.0010001},
]


@pytest.fixture
def ours(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path, flags=("--jaeger.query-grpc=127.0.0.1:0",
                                                       "--jaeger.storage=127.0.0.1:0"))
    app.client = JaegerClient(app.process.address("jaeger-query-grpc"))
    app.storage = JaegerClient(app.process.address("jaeger-storage"))
    yield app
    app.client.close()
    app.storage.close()


@pytest.fixture(params=[1, 2], ids=["jaeger-1.76", "jaeger-2"])
def peer(request, spawn, tmp_path):
    if not os.path.exists(JAEGER1 if request.param == 1 else JAEGER2):
        pytest.skip("this Jaeger is not here; run scripts/peers.sh")
    return Jaeger(spawn, tmp_path, request.param)


def fill(ours, peer):
    request = sample(START_NS, TRACES)
    ours.storage.export(request, timeout=30)
    peer.writer.export(request, timeout=30)
    wait_for(lambda: len(peer.client.v3.GetServices().services) == 3, what="the peer's spans")
    for i in range(TRACES):
        wait_for(lambda i=i: spans_v3(peer.client, i) == 3, what="the peer's spans")


def spans_v3(client, i):
    try:
        return len(plain_otlp(client.v3.GetTrace(trace_id=trace_id_of(i).hex())))
    except Exception:  # not there yet: a status of its own in each version
        return 0


def simple(peer, messages):
    """The first version keeps its own model behind v3: no lists, no maps, no links' attributes."""
    if "jaeger1" in peer.process.name:
        for message in messages:
            for resource in message.resource_spans:
                for span in (s for scope in resource.scope_spans for s in scope.spans):
                    kept = [a for a in span.attributes if a.key not in ("list", "map")]
                    del span.attributes[:]
                    span.attributes.extend(kept)
                    for link in span.links:
                        del link.attributes[:]
    return plain_otlp(messages)


def parameters(query, tags):
    out = dict(query, start_time_min=when(MIN_NS), start_time_max=when(MAX_NS))
    out.setdefault("search_depth", 100)
    if "tags" in out:
        out[tags] = out.pop("tags")
    for name in ("duration_min", "duration_max"):
        if name in out:
            ns = round(out[name] * 1e9)
            out[name] = {"seconds": ns // 10**9, "nanos": ns % 10**9}
    return out


def test_traces_are_the_peers(ours, peer):
    fill(ours, peer)
    for i in range(TRACES):
        for raw in (False, True):
            ask = {"trace_id": trace_id_of(i), "raw_traces": raw}
            assert plain_v2(ours.client.v2.GetTrace(**ask)) == \
                plain_v2(peer.client.v2.GetTrace(**ask)), f"v2 trace {i} raw {raw}"
            ask["trace_id"] = trace_id_of(i).hex()
            assert simple(peer, ours.client.v3.GetTrace(**ask)) == \
                simple(peer, peer.client.v3.GetTrace(**ask)), f"v3 trace {i} raw {raw}"


def test_searches_find_what_the_peers_find(ours, peer):
    fill(ours, peer)
    for query in QUERIES:
        v2 = parameters(query, "tags")
        v3 = parameters(query, "attributes")
        assert plain_v2(ours.client.v2.FindTraces(query=v2)) == \
            plain_v2(peer.client.v2.FindTraces(query=v2)), f"v2 {query}"
        assert simple(peer, ours.client.v3.FindTraces(query=v3)) == \
            simple(peer, peer.client.v3.FindTraces(query=v3)), f"v3 {query}"


def operations(answer):
    return sorted((o.name, o.span_kind) for o in answer.operations)


def links(answer):
    return sorted((d.parent, d.child, d.call_count, getattr(d, "source", ""))
                  for d in answer.dependencies)


def test_names_and_dependencies_are_the_peers(ours, peer):
    fill(ours, peer)
    assert sorted(ours.client.v2.GetServices().services) == \
        sorted(peer.client.v2.GetServices().services)
    for service in ("front", "back", "store", "absent"):
        for kind in ("", "server", "client", "internal", "nonsense"):
            ask = {"service": service, "span_kind": kind}
            mine, theirs = ours.client.v2.GetOperations(**ask), peer.client.v2.GetOperations(**ask)
            assert operations(mine) == operations(theirs), ask
            assert sorted(mine.operation_names) == sorted(theirs.operation_names), ask
            assert operations(ours.client.v3.GetOperations(**ask)) == \
                operations(peer.client.v3.GetOperations(**ask)), ask
    ask = {"start_time": when(MIN_NS), "end_time": when(MAX_NS)}
    assert links(ours.client.v2.GetDependencies(**ask)) == \
        links(peer.client.v2.GetDependencies(**ask))


def http_v3(query):
    names = {"service_name": "query.serviceName", "operation_name": "query.operationName",
             "search_depth": "query.searchDepth"}
    out = {"query.startTimeMin": rfc3339(MIN_NS), "query.startTimeMax": rfc3339(MAX_NS)}
    for key, to in names.items():
        if key in query:
            out[to] = query[key]
    for key, to in (("duration_min", "query.durationMin"), ("duration_max", "query.durationMax")):
        if key in query:
            out[to] = f"{round(query[key] * 1e9)}ns"
    return urllib.parse.urlencode(out)


def parsed(answer):
    """Status, and the result as TracesData or the error."""
    if answer.status_code != 200:
        return answer.status_code, answer.headers["content-type"], answer.json()["error"]
    from google.protobuf import json_format
    data = message_class("opentelemetry.proto.trace.v1.TracesData")()
    json_format.ParseDict(with_base64_ids(answer.json()["result"]), data)
    return 200, plain_otlp([data])


def with_base64_ids(thing):
    """OTLP's JSON has ids in hex, protobuf's own in base64."""
    import base64
    if isinstance(thing, list):
        return [with_base64_ids(t) for t in thing]
    if not isinstance(thing, dict):
        return thing
    return {k: base64.b64encode(bytes.fromhex(v)).decode()
            if k in ("traceId", "spanId", "parentSpanId") else with_base64_ids(v)
            for k, v in thing.items()}


BAD = ["traces", "traces?query.startTimeMin=x&query.startTimeMax=y", "traces/x!", "traces/QQ",
       "traces/" + "1" * 33, "traces/" + "9" * 32, "traces/" + "9" * 32 + "?startTime=5",
       "traces/" + "9" * 32 + "?rawTraces=maybe",
       "traces?query.startTimeMin=2026-13-01T00:00:00Z&query.startTimeMax=2026-01-01T00:00:00Z",
       "traces?query.startTimeMin=2026-01-01T00:00:00Z&query.startTimeMax=2026-01-02T00:00:00Z"
       "&query.searchDepth=many",
       "traces?query.startTimeMin=2026-01-01T00:00:00Z&query.startTimeMax=2026-01-02T00:00:00Z"
       "&query.durationMin=10",
       "traces?query.startTimeMin=2026-01-01T00:00:00Z&query.startTimeMax=2026-01-02T00:00:00Z"
       "&query.durationMax=10x"]


def test_http_v3_is_the_peers(ours, peer):
    if "jaeger1" in peer.process.name:
        pytest.skip("the first version has fewer parameters")
    fill(ours, peer)
    for i in range(TRACES):
        path = f"/api/v3/traces/{trace_id_of(i).hex()}"
        assert parsed(requests.get(ours.url(path), timeout=30)) == parsed(peer.get(path)), path
    for query in QUERIES:
        if "tags" not in query:
            path = "/api/v3/traces?" + http_v3(query)
            assert parsed(requests.get(ours.url(path), timeout=30)) == parsed(peer.get(path)), path
    for bad in BAD:
        path = "/api/v3/" + bad
        assert parsed(requests.get(ours.url(path), timeout=30)) == parsed(peer.get(path)), path
    for path in ("/api/v3/services", "/api/v3/operations?service=front",
                 "/api/v3/trace-summaries?" + http_v3({"service_name": "front"})):
        mine, theirs = requests.get(ours.url(path), timeout=30).json(), peer.get(path).json()
        assert ordered(mine) == ordered(theirs), path


def ordered(thing):
    if isinstance(thing, dict):
        return {k: ordered(v) for k, v in thing.items()}
    if isinstance(thing, list):
        return sorted((ordered(t) for t in thing), key=repr)
    return thing


@pytest.mark.skipif(not os.path.exists(JAEGER2), reason="no Jaeger 2 here; run scripts/peers.sh")
def test_a_stock_jaeger_keeps_its_traces_with_us(ours, spawn, tmp_path):
    """What a Jaeger 2 over our storage answers is what one over its own memory answers."""
    over_us = Jaeger(spawn, tmp_path, 2, storage=ours.process.address("jaeger-storage"))
    alone = Jaeger(spawn, tmp_path, 2)
    request = sample(START_NS, TRACES)
    for jaeger in (over_us, alone):
        jaeger.writer.export(request, timeout=30)
        wait_for(lambda j=jaeger: sum(spans_v3(j.client, i) for i in range(TRACES)) == 3 * TRACES,
                 what="written spans")
    hour = f"start={MIN_NS // 1000}&end={MAX_NS // 1000}"
    paths = ["/api/services", "/api/services/back/operations", "/api/operations?service=front",
             f"/api/dependencies?endTs={MAX_NS // 10**6}&lookback=3600000",
             *(f"/api/traces/{trace_id_of(i).hex()}" for i in range(TRACES)),
             "/api/traces/" + "9" * 32,
             f"/api/traces?service=front&{hour}", f"/api/traces?service=back&operation=work&{hour}",
             f"/api/traces?service=back&{hour}&tags=%7B%22n%22%3A%222%22%7D",
             f"/api/traces?service=back&{hour}&tags=%7B%22error%22%3A%22true%22%7D",
             f"/api/traces?service=front&{hour}&minDuration=50000001ns",
             f"/api/traces?service=absent&{hour}",
             "/api/v3/services", "/api/v3/operations?service=store",
             "/api/v3/trace-summaries?" + http_v3({"service_name": "front"}),
             "/api/v3/traces?" + http_v3({"service_name": "back"})]
    for path in paths:
        mine, theirs = over_us.get(path), alone.get(path)
        assert mine.status_code == theirs.status_code, path
        assert ordered(mine.json()) == ordered(theirs.json()), path
    # Which two is each store's own choice: ours are the newest.
    two = over_us.get(f"/api/traces?service=front&{hour}&limit=2").json()["data"]
    assert sorted(t["traceID"] for t in two) == [trace_id_of(i).hex() for i in (2, 3)]
