"""Tempo's API over spans sent by OTLP: the requests of Grafana's Tempo data source as it makes them, the
shapes of the answers that it and other clients read, and errors in Tempo's words."""
import time
import urllib.parse

import pytest
import requests
from opentelemetry.proto.trace.v1 import trace_pb2

from lib.observe import Observe
from lib.service import Service

SECOND = 10**9
TIMEOUT_S = 30


def attr(key, value):
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return {"key": key, "value": {kinds[type(value)]: str(value) if type(value) is int else value}}


def span(trace, number, name, start, millis, parent=0, kind=1, status=0, attrs=None, **more):
    out = {"traceId": f"{trace:032x}", "spanId": f"{number:016x}", "name": name, "kind": kind,
           "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + millis * 10**6),
           "attributes": [attr(k, v) for k, v in (attrs or {}).items()],
           "status": {"code": status}, **more}
    if parent:
        out["parentSpanId"] = f"{parent:016x}"
    return out


def resource(service, spans, **attrs):
    return {"resource": {"attributes": [attr("service.name", service)] +
                         [attr(k, v) for k, v in attrs.items()]},
            "scopeSpans": [{"scope": {"name": "bakery", "version": "1.2"}, "spans": spans}]}


class Tempo:
    def __init__(self, app, base):
        self.app, self.base = app, base

    def get(self, path, headers=None, **params):
        return requests.get(self.base + path, params=params, headers=headers, timeout=TIMEOUT_S)

    def json(self, path, **params):
        answer = self.get(path, **params)
        assert answer.status_code == 200, f"{path} {params}: {answer.status_code} {answer.text}"
        assert answer.headers["Content-Type"] == "application/json"
        return answer.json()

    def find(self, query, **params):
        """Ids of the traces found, whole."""
        traces = self.json("/api/search", q=query, **params)["traces"]
        return [t["traceID"] for t in traces]


@pytest.fixture(name="begin", scope="module")
def begin_fixture():
    return (time.time_ns() // (60 * SECOND) - 10) * 60 * SECOND


@pytest.fixture(name="app", scope="module")
def app_fixture(sextant_bin, tmp_path_factory, begin):
    folder = tmp_path_factory.mktemp("tempo")
    started = []

    def serve(*argv, name=None):
        started.append(Service(argv, str(folder), name=name))
        return started[-1].start(10)

    app = Observe(serve, sextant_bin, folder,
                  flags=("--otlp.http=127.0.0.1:0", "--tempo=127.0.0.1:0"))
    spans = [resource("shop", [
        span(0x0a1, 1, "sell", begin + SECOND, 1500, kind=2, attrs={"n": 1, "hot": True}),
        span(0x0a1, 2, "ask", begin + SECOND, 900, parent=1, kind=3, attrs={"n": 2})], site="north"),
        resource("oven", [
            span(0x0a1, 3, "bake", begin + 2 * SECOND, 700, parent=2, kind=2, status=2,
                 attrs={"n": 3, "ratio": 0.5},
                 events=[{"name": "burnt", "timeUnixNano": str(begin + 2 * SECOND + 1000),
                          "attributes": [attr("code", 7)]}],
                 links=[{"traceId": f"{0xb2:032x}", "spanId": f"{4:016x}"}])]),
        resource("oven", [span(0x0b2, 4, "bake", begin + 90 * SECOND, 100, kind=2,
                               attrs={"n": 4})])]
    address = app.process.address("otlp-http")
    answer = requests.post(f"http://{address}/v1/traces", json={"resourceSpans": spans},
                           timeout=TIMEOUT_S)
    assert answer.status_code == 200, answer.text
    yield app
    started[0].stop()


@pytest.fixture(name="tempo", params=["main", "bare"])
def tempo_fixture(request, app):
    """Below /tempo on the main port, and on a port of its own."""
    if request.param == "main":
        return Tempo(app, f"http://{app.address}/tempo")
    return Tempo(app, f"http://{app.process.address('tempo')}")


def test_grafana_tests_the_data_source(tempo):
    assert tempo.get("/api/echo").text == "echo"
    assert tempo.get("/ready").text == "ready\n"
    assert "version" in tempo.json("/api/status/buildinfo")


def test_grafana_gets_a_trace_as_protobuf(tempo, begin):
    for path in (f"/api/traces/{0xa1:032x}", "/api/traces/a1"):
        answer = tempo.get(path, headers={"Accept": "application/protobuf"},
                           start=begin // SECOND, end=begin // SECOND + 300)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/protobuf"
        trace = trace_pb2.TracesData.FromString(answer.content)
        spans = [s for r in trace.resource_spans for c in r.scope_spans for s in c.spans]
        assert sorted(s.name for s in spans) == ["ask", "bake", "sell"]
    assert tempo.get("/api/traces/a1", start=1, end=2).status_code == 404
    assert tempo.get("/api/traces/c3").status_code == 404


def test_a_trace_as_json_has_base64_ids_and_names_of_enums(tempo):
    batches = tempo.json("/api/traces/a1")["batches"]
    spans = {s["name"]: s for b in batches for c in b["scopeSpans"] for s in c["spans"]}
    assert spans["sell"]["traceId"] == "AAAAAAAAAAAAAAAAAAAAoQ=="
    assert spans["ask"]["parentSpanId"] == "AAAAAAAAAAE="
    assert spans["bake"]["kind"] == "SPAN_KIND_SERVER"
    assert spans["bake"]["status"] == {"code": "STATUS_CODE_ERROR"}
    assert spans["bake"]["events"][0]["name"] == "burnt"
    assert spans["bake"]["links"][0]["spanId"] == "AAAAAAAAAAQ="
    second = tempo.json("/api/v2/traces/a1")
    assert second["trace"]["resourceSpans"] == batches
    assert tempo.json("/api/v2/traces/c3")["trace"] == {}


def test_search_answers_in_tempos_shape(tempo, begin):
    answer = tempo.json("/api/search", q='{ .n > 1 && resource.service.name = "oven" }', limit=20,
                        spss=3, start=begin // SECOND, end=begin // SECOND + 300)
    assert [t["traceID"] for t in answer["traces"]] == ["b2", "a1"]
    trace = answer["traces"][1]
    assert trace["rootServiceName"] == "shop" and trace["rootTraceName"] == "sell"
    assert trace["startTimeUnixNano"] == str(begin + SECOND)
    assert trace["durationMs"] == 1700 and "durationNanos" not in trace
    exact = tempo.json("/api/search", q='{ .n > 1 && resource.service.name = "oven" }', exact=1)
    assert [t["durationNanos"] for t in exact["traces"] if t["traceID"] == "a1"] == ["1700000000"]
    assert trace["serviceStats"] == {"shop": {"spanCount": 2},
                                     "oven": {"spanCount": 1, "errorCount": 1}}
    assert trace["spanSet"] == trace["spanSets"][0] and trace["spanSet"]["matched"] == 1
    found = trace["spanSet"]["spans"][0]
    assert found["spanID"] == f"{3:016x}" and found["durationNanos"] == "700000000"
    assert {"key": "n", "value": {"intValue": "3"}} in found["attributes"]
    assert {"key": "service.name", "value": {"stringValue": "oven"}} in found["attributes"]


@pytest.mark.parametrize("query,found", [
    ("{}", ["b2", "a1"]),
    ('{ name = "bake" && status = error }', ["a1"]),
    ('{ event.code = 7 && event:name =~ "bu.*" }', ["a1"]),
    ('{ kind = server } >> { .ratio = 0.5 }', ["a1"]),
    ('{ name = "sell" } > { name = "bake" }', []),
    ('{ rootName = "bake" }', ["b2"]),
    ("{ traceDuration > 1s }", ["a1"]),
    ("{} | count() > 2", ["a1"]),
    ("{} | by(resource.service.name) | avg(duration) > 1s", ["a1"]),
    ('{ link:traceID = "000000000000000000000000000000b2" }', ["a1"]),
    ("{ resource.site = nil } | count() = 1", ["b2", "a1"]),
    ("{ parent.n = 2 }", ["a1"]),
    ("{ span:childCount = 0 }", ["b2", "a1"]),
])
def test_queries_find_their_traces(tempo, query, found):
    assert tempo.find(query) == found


def test_limits_times_and_durations_bound_a_search(tempo, begin):
    at = begin // SECOND
    assert tempo.find("{}", limit=1) == ["b2"]
    assert tempo.find("{}", start=at, end=at + 30) == ["a1"]
    assert tempo.find("{}", minDuration="1s") == ["a1"]
    assert tempo.find("{}", maxDuration="1s") == ["b2"]
    traces = tempo.json("/api/search", tags='service.name=oven n=3 name="bake"')["traces"]
    assert [t["traceID"] for t in traces] == ["a1"]


@pytest.mark.parametrize("path,params,words", [
    ("/api/search", {"q": "{ x }"}, "invalid TraceQL query: parse error at line 1, col 3"),
    ("/api/search", {"q": "{ name = 1 }"}, "invalid TraceQL query: binary operations must"),
    ("/api/search", {"q": "{}", "limit": "x"}, 'invalid limit: strconv.ParseUint: parsing "x"'),
    ("/api/search", {"q": "{}", "limit": "0"}, "invalid limit: must be a positive number"),
    ("/api/search", {"q": "{}", "start": 9, "end": 3}, "http parameter start must be before end"),
    ("/api/search", {"q": "{}", "tags": "a=b"}, "invalid request: can't specify tags and q"),
    ("/api/search", {"minDuration": "5"}, "invalid minDuration: time: invalid duration"),
    ("/api/traces/xyz", {}, "trace IDs can only contain hex characters: invalid character 'x' at "),
    ("/api/traces/" + "a" * 33, {}, "trace IDs can't be larger than 128 bits"),
    ("/api/v2/search/tags", {"scope": "x"}, "invalid scope: x"),
    ("/api/v2/search/tag/foo/values", {}, "please provide a valid tagName: failed to parse"),
    ("/api/metrics/query_range", {"q": "{}"}, "not a metrics query"),
    ("/api/metrics/query_range", {"q": "{} | rate()", "step": "x"}, 'cannot parse "x" to a valid'),
])
def test_errors_are_tempos(tempo, path, params, words):
    answer = tempo.get(path, **params)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.startswith(words), answer.text


def test_grafanas_editor_asks_for_tags_and_values(tempo):
    scopes = {s["name"]: s["tags"] for s in tempo.json("/api/v2/search/tags", limit=5000)["scopes"]}
    assert scopes["resource"] == ["service.name", "site"]
    assert scopes["span"] == ["hot", "n", "ratio"]
    assert scopes["event"] == ["code"]
    assert "rootServiceName" in scopes["intrinsic"]
    assert [s["name"] for s in tempo.json("/api/v2/search/tags", scope="span")["scopes"]] == ["span"]
    names = tempo.json("/api/search/tags")["tagNames"]
    assert "service.name" in names and "hot" in names

    def values(tag, **params):
        encoded = urllib.parse.quote(tag, safe="")
        answer = tempo.json(f"/api/v2/search/tag/{encoded}/values", limit=5000, **params)
        return [(v["type"], v["value"]) for v in answer["tagValues"]]

    assert values("resource.service.name") == [("string", "oven"), ("string", "shop")]
    assert values("span.n") == [("int", "1"), ("int", "2"), ("int", "3"), ("int", "4")]
    assert values(".hot") == [("bool", "true")]
    assert ("keyword", "error") in values("status")
    assert values("name", q='{resource.service.name="shop"}') == [("string", "ask"),
                                                                  ("string", "sell")]
    assert values("span.n", q='{name="bake" && }')[0] == ("int", "1")  # not finished: counts as none
    assert tempo.json("/api/search/tag/service.name/values")["tagValues"] == ["oven", "shop"]


def series(answer):
    return {tuple((x["key"], next(iter(x["value"].values()))) for x in s["labels"]):
            {int(p["timestampMs"]): p.get("value", 0) for p in s["samples"]}
            for s in answer["series"]}


def test_series_over_time(tempo, begin):
    at = begin // SECOND
    ask = {"start": at, "end": at + 120, "step": "60s"}
    first, second = (at + 60) * 1000, (at + 120) * 1000
    got = series(tempo.json("/api/metrics/query_range", q="{} | count_over_time() by (name)", **ask))
    assert got[("name", "bake"),][first] == 1 and got[("name", "bake"),][second] == 1
    assert got[("name", "sell"),][first] == 1 and got[("name", "sell"),][second] == 0
    got = series(tempo.json("/api/metrics/query_range", q="{ status = error } | rate()", **ask))
    assert got[("__name__", "rate"),][first] == pytest.approx(1 / 60)
    got = series(tempo.json("/api/metrics/query_range", q="{} | max_over_time(duration)", **ask))
    assert got[("__name__", "max_over_time"),] == {first: 1.5, second: 0.1}
    got = series(tempo.json("/api/metrics/query_range", query="{} | sum_over_time(span.n) by (.hot)"
                            " | topk(1)", **ask))
    assert got[(".hot", "nil"),] == {first: 5, second: 4}
    answer = tempo.json("/api/metrics/query", q="{} | count_over_time() by (kind)", start=at,
                        end=at + 120)
    assert {s["labels"][0]["value"]["stringValue"]: s["value"] for s in answer["series"]} == {
        "server": 3, "client": 1}


def test_a_condition_on_the_whole_trace_counts_whole_traces(tempo, begin):
    at = begin // SECOND
    got = series(tempo.json("/api/metrics/query_range", start=at, end=at + 120, step="120s",
                            q='{ rootServiceName = "shop" } | count_over_time()'))
    assert sum(got[("__name__", "count_over_time"),].values()) == 3
