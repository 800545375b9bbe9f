"""Jaeger's HTTP API v1 as Grafana's data source and Jaeger's UI ask it, and what it does better than the
peer: searches without a service, pages, comparison, critical path, archive, traces of any size."""
import json
import shutil
import time

import pytest
import requests

from lib.jaeger import TIMEOUT_S, TRACE, Query, Traces, batch, resource, span
from lib.observe import Observe
from lib.wait import wait_for

NOW = int(time.time()) * 10**9
MS = 10**6


@pytest.fixture
def app(serve, sextant_bin, tmp_path):
    return Traces(serve, sextant_bin, tmp_path)


def shop(trace=TRACE, start=NOW, slow=0):
    """front calls back, which asks a database."""
    return batch(
        resource({"service.name": "front", "host.name": "h1"},
                 span("a1", trace=trace, name="GET /", start=start, end=start + (50 + slow) * MS, kind=2),
                 span("a2", "a1", trace=trace, name="call", start=start + 5 * MS,
                      end=start + (30 + slow) * MS, kind=3)),
        resource({"service.name": "back", "host.name": "h1"},
                 span("b1", "a2", trace=trace, name="serve", start=start + 6 * MS,
                      end=start + (29 + slow) * MS, kind=2, status={"code": 2}),
                 span("b2", "b1", trace=trace, name="SELECT", start=start + 10 * MS,
                      end=start + 20 * MS, kind=3,
                      attrs={"db.system.name": "postgresql", "rows": 7})))


def ids(answer):
    return [t["traceID"] for t in answer["data"]]


def test_grafana_asks(app):
    """The requests of Grafana's Jaeger data source (its resource calls and its queries), one by one."""
    app.send(shop())
    assert app.get("/api/services")["data"] == ["back", "front"]
    assert app.get("/api/services/back/operations")["data"] == ["SELECT", "serve"]
    start, end = str(NOW // 1000 - 3600 * 10**6), str(NOW // 1000 + 3600 * 10**6)
    answer = app.get("/api/traces", {"service": "back", "operation": "SELECT", "start": start,
                                     "end": end, "limit": "20", "lookback": "custom",
                                     "tags": json.dumps({"rows": "7", "span.kind": "client"}),
                                     "minDuration": "5ms", "maxDuration": "1s"})
    [trace] = answer["data"]
    assert len(trace["spans"]) == 4 and len(trace["processes"]) == 2
    for s in trace["spans"]:  # what its transformation reads
        assert trace["processes"][s["processID"]]["serviceName"] in ("front", "back")
        assert {"traceID", "spanID", "operationName", "references", "startTime", "duration", "tags",
                "logs", "warnings"} <= set(s)
    assert ids(app.get("/api/traces/" + TRACE)) == [TRACE]
    assert ids(app.get("/api/traces/" + TRACE, {"start": start, "end": end})) == [TRACE]
    assert app.ask("/api/traces/" + TRACE, {"start": end, "end": str(int(end) + 1)}).status_code == 404
    links = app.get("/api/dependencies", {"endTs": str(NOW // MS + 3600000), "lookback": "86400000"})
    assert {"parent": "front", "child": "back", "callCount": 1} in links["data"]
    answer = app.ask("/api/traces", {"service": "front", "tags": "nonsense"})
    assert answer.status_code == 400 and answer.json()["errors"][0]["code"] == 400


def test_the_ui_asks(app):
    """What the pages of Jaeger's UI request; the same on the main port."""
    app.send(shop())
    app.send(shop("b0", NOW - 1000 * MS))
    main = Query(app.observe.address, app.otlp)
    for side in app, main:
        assert side.get("/api/services")["total"] == 2
        operations = side.get("/api/operations", {"service": "front"})["data"]
        assert operations == [{"name": "GET /", "spanKind": "server"},
                              {"name": "call", "spanKind": "client"}]
        found = side.get("/api/traces", {
            "end": str(NOW // 1000 + 10**7), "limit": "20", "lookback": "1h", "maxDuration": "",
            "minDuration": "", "service": "front", "start": str(NOW // 1000 - 3600 * 10**6)})
        assert ids(found) == [TRACE, "b0".rjust(32, "0")]
        found = side.get("/api/traces", [("traceID", TRACE), ("traceID", "b0")])
        assert ids(found) == [TRACE, "b0".rjust(32, "0")] and found["errors"] is None
        assert side.get("/api/traces/b0", {"raw": "true", "prettyPrint": "true"})["data"]
        for metric in "latencies", "calls", "errors":
            family = side.get("/api/metrics/" + metric, {
                "service": "front", "quantile": "0.95", "endTs": str(NOW // MS), "lookback": "3600000",
                "step": "60000", "ratePer": "600000", "spanKind": "server", "groupByOperation": "true"})
            assert family["name"].startswith("service_operation_") and family["type"] == "GAUGE"
        assert side.get("/api/metrics/minstep")["data"] == 1
    paths = app.get("/api/deep-dependencies", {"service": "back"})["dependencies"]
    assert paths == [{"path": [{"service": "front", "operation": "GET /"},
                               {"service": "back", "operation": "serve"}],
                      "attributes": [{"key": "exemplar_trace_id", "value": TRACE}]}]
    quality = app.get("/api/quality-metrics", {"service": "front", "hours": "24"})
    assert [s["value"] for s in quality["scores"]] == [100, 100]
    assert all(m["passCount"] == 2 and m["failureCount"] == 0 for m in quality["metrics"])
    assert requests.post(f"http://{app.query}/api/services", timeout=TIMEOUT_S).status_code == 405


def test_metrics_of_services(app):
    """The series that are derived from spans, in Jaeger's form."""
    at = NOW // MS
    labels = {"service_name": "front", "span_name": "GET /", "span_kind": "SPAN_KIND_SERVER"}
    series = []
    for code, step in ("STATUS_CODE_UNSET", 6), ("STATUS_CODE_ERROR", 2):
        series.append(({"__name__": "traces_span_metrics_calls_total", "status_code": code, **labels},
                       [(at - 60000 * (10 - i), float(step * i)) for i in range(11)]))
        for le, share in ("10", 0.5), ("100", 1), ("+Inf", 1):
            series.append(({"__name__": "traces_span_metrics_duration_milliseconds_bucket", "le": le,
                            "status_code": code, **labels},
                           [(at - 60000 * (10 - i), step * i * share) for i in range(11)]))
    app.observe.write(series)
    ask = {"service": "front", "endTs": str(at), "lookback": "0", "ratePer": "300000", "step": "60000"}

    def point(metric, **more):
        family = app.get("/api/metrics/" + metric, {**ask, **more})
        [one] = family["metrics"]
        return one["labels"], one["metricPoints"][0]["gaugeValue"]["doubleValue"]
    labels, value = point("calls")
    assert labels == [{"name": "service_name", "value": "front"}] and value == pytest.approx(8 / 60)
    labels, value = point("errors", groupByOperation="true")
    assert {"name": "operation", "value": "GET /"} in labels and value == pytest.approx(0.25)
    assert point("latencies", quantile="0.5")[1] == pytest.approx(10)
    assert "metrics" not in app.get("/api/metrics/calls", {**ask, "service": "fro.t"})


def test_pages_are_stable_without_a_service(app):
    for i in range(25):
        app.send(shop(f"{i + 1:x}", NOW - 60 * 10**9 + i * MS))
    seen, page = [], {}
    for n in range(4):
        answer = app.get("/api/traces", {"limit": "10", **page})
        seen += ids(answer)
        if n == 0:  # what arrives meanwhile does not shift the pages
            app.send(shop("ff", NOW))
        if "nextPage" not in answer:
            break
        page = {"page": answer["nextPage"]}
    assert [int(i, 16) for i in seen] == list(range(25, 0, -1))
    assert "nextPage" not in answer
    assert len(app.found(service=["front", "nobody"], limit="100")) == 26
    assert len(app.found(tag="error:true", limit="100")) == 26
    assert app.found(service="nobody") == []
    answer = app.ask("/api/traces", {"page": "x"})
    assert answer.status_code == 400 and "page" in answer.json()["errors"][0]["msg"]
    for limit in "0", "-1":
        assert app.ask("/api/traces", {"limit": limit}).status_code == 400


def test_a_filter_in_traceql(app):
    app.send(shop())
    app.send(shop("b0", NOW - 1000 * MS, slow=40))
    assert app.found(filter='{ .rows > 6 && duration = 10ms && kind = client }', limit="1") == [TRACE]
    assert app.found(filter="{ duration > 60ms }") == ["b0".rjust(32, "0")]
    assert app.found(filter='{ name =~ "S.*T" }', service="back", operation="SELECT", limit="5") == \
        [TRACE, "b0".rjust(32, "0")]
    assert app.found(filter='{ name =~ "S.*T" }', service="front") == []
    for bad in "{", "{ .a = }", "{ .a = 1 } | count() > 2", "{ .a = 1 } >> { .b = 2 }", "{} | rate()":
        answer = app.ask("/api/traces", {"filter": bad})
        assert answer.status_code == 400, bad
        assert "unable to parse param 'filter': " in answer.json()["errors"][0]["msg"]


def test_two_traces_are_compared_and_a_path_found(app):
    app.send(shop())
    app.send(shop("b0", NOW + 1000 * MS, slow=40))
    data = app.get(f"/api/traces/{TRACE}/critical-path")["data"]
    sections = [(s["spanID"].lstrip("0"), s["sectionStart"] - NOW // 1000,
                 s["sectionEnd"] - NOW // 1000) for s in data["sections"]]
    assert sections == [("a1", 0, 5000), ("a2", 5000, 6000), ("b1", 6000, 10000), ("b2", 10000, 20000),
                        ("b1", 20000, 29000), ("a2", 29000, 30000), ("a1", 30000, 50000)]
    data = app.get("/api/compare", {"a": TRACE, "b": "b0"})["data"]
    assert data["a"]["spans"] == data["b"]["spans"] == 4
    nodes = {n["operationName"]: n for n in data["nodes"]}
    assert nodes["GET /"]["parent"] == -1 and nodes["SELECT"]["depth"] == 3
    assert nodes["serve"]["b"]["durationNanos"] - nodes["serve"]["a"]["durationNanos"] == 40 * MS
    assert nodes["serve"]["a"]["errors"] == 1
    for path in "/api/compare?a=1&b=b0", "/api/compare?a=b0&b=2", "/api/traces/3/critical-path":
        assert app.ask(path).status_code == 404
    assert app.ask("/api/compare?a=b0").status_code == 400


def test_an_archived_trace_outlives_the_store(serve, sextant_bin, tmp_path):
    app = Traces(serve, sextant_bin, tmp_path, flags=("--traces.retention=1h",))
    old = NOW - 30 * 60 * 10**9
    app.send(shop(start=old))
    assert app.ask("/api/archive/" + TRACE).status_code == 405
    assert app.ask("/api/archive/abc", method="POST").status_code == 404
    assert app.ask("/api/archive/x", method="POST").status_code == 400
    for _ in range(2):
        answer = app.ask("/api/archive/" + TRACE, method="POST")
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"data": [], "total": 0, "limit": 0, "offset": 0, "errors": []}
    before = app.get("/api/traces/" + TRACE)["data"]
    app.process.stop()
    shutil.rmtree(tmp_path / "data" / "sextant" / "traces")  # as if retention had taken it
    app.restart()
    assert app.found(service="front") == []
    assert app.get("/api/traces/" + TRACE)["data"] == before
    third = app.ask("/api/v3/traces/" + TRACE)
    assert third.status_code == 200 and third.json()["result"]["resourceSpans"], third.text


def test_a_trace_of_100000_spans_streams(app):
    count, size = 100000, 5000
    for first in range(0, count, size):
        app.send(batch(resource({"service.name": "big"}, *[
            span(f"{i + 1:x}", "1" if i else "", name=f"op{i % 50}", start=NOW + i * 1000,
                 end=NOW + i * 1000 + 500, attrs={"n": i, "text": "x" * 50})
            for i in range(first, first + size)])))
    with app.session.get(f"http://{app.query}/api/traces/{TRACE}", stream=True,
                         timeout=TIMEOUT_S) as answer:
        body = b"".join(answer.iter_content(1 << 20))
        assert answer.headers.get("transfer-encoding") == "chunked"
    [trace] = json.loads(body)["data"]
    assert len({s["spanID"] for s in trace["spans"]}) == count
    # and whoever goes away in the middle harms nobody
    for _ in range(3):
        with app.session.get(f"http://{app.query}/api/traces/{TRACE}", stream=True,
                             timeout=TIMEOUT_S) as answer:
            next(answer.iter_content(1000))
    assert app.get("/api/services")["data"] == ["big"]
    wait_for(lambda: len(app.get(f"/api/traces/{TRACE}/critical-path")["data"]["sections"]) > 0,
             what="the critical path of a long trace")


def test_what_nobody_named_is_found(app):
    app.send(batch(resource({}, span("1", trace="1", name="", start=NOW, end=NOW + 1)),
                   resource({"service.name": ""}, span("1", trace="2", name="x", start=NOW, end=NOW - 5))))
    assert app.get("/api/services")["data"] == ["missing-service-name"]
    assert len(app.found(service="missing-service-name")) == 2
    assert len(app.found(operation="empty-span-name")) == 1
    assert app.get("/api/services/missing-service-name/operations")["data"] == ["empty-span-name", "x"]
    [trace] = app.get("/api/traces/2")["data"]
    assert trace["processes"]["p1"]["serviceName"] == "empty-service-name"
    assert trace["spans"][0]["duration"] == 0
    assert trace["spans"][0]["warnings"][0].startswith("Negative duration detected")
    assert app.get("/api/traces/2", {"raw": "true"})["data"][0]["spans"][0]["warnings"] is None


def test_without_a_store(serve, sextant_bin, tmp_path):
    observe = Observe(serve, sextant_bin, tmp_path, flags=("--traces.store=false",))
    app = Query(observe.address, None)
    answer = app.ask("/api/services")
    assert answer.status_code == 501 and "traces.store" in answer.json()["errors"][0]["msg"]
