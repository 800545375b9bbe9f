"""OTLP metrics beside Prometheus: the same requests to both, and all series that come of them."""
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
import requests

from lib.observe import PROMETHEUS, Observe
from lib.observe import Prometheus as Peer
from test_tsdb import Prometheus, peers  # noqa: F401 (a fixture)

STEP_NS = 10_000_000_000


@pytest.fixture
def tool():
    from conftest import BUILD
    return os.path.join(BUILD, "tests", "e2e", "programs", "remote_tool")


class OtlpPrometheus(Prometheus):
    def __init__(self, peers_folder, folder, data, config):  # pylint: disable=super-init-not-called
        from test_tsdb import free_port
        self.port = free_port()
        path = os.path.join(folder, f"prometheus-{self.port}.yml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(config)
        self.log = open(path + ".log", "w", encoding="utf-8")
        self.child = subprocess.Popen(
            [os.path.join(peers_folder, "prometheus"), f"--config.file={path}",
             f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{self.port}",
             "--web.enable-otlp-receiver"], stdout=self.log, stderr=self.log)

    def post(self, body, kind):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/otlp/v1/metrics", body,
            {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=10) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()


def value(v):
    if isinstance(v, bool):
        return {"boolValue": v}
    if isinstance(v, int):
        return {"intValue": str(v)}
    if isinstance(v, float):
        return {"doubleValue": v}
    if isinstance(v, bytes):
        import base64
        return {"bytesValue": base64.b64encode(v).decode()}
    if isinstance(v, list):
        return {"arrayValue": {"values": [value(i) for i in v]}}
    if isinstance(v, dict):
        return {"kvlistValue": {"values": attributes(v)}}
    return {} if v is None else {"stringValue": v}


def attributes(d):
    return [{"key": k, "value": value(v)} for k, v in d.items()]


def point(t, attrs=None, start=0, **more):
    return {"attributes": attributes(attrs or {}), "timeUnixNano": str(t),
            "startTimeUnixNano": str(start), **more}


def number(t, v, attrs=None, **more):
    key = {"asInt": str(v)} if isinstance(v, int) else {"asDouble": v}
    return point(t, attrs, **key, **more)


def gauge(name, points, unit=""):
    return {"name": name, "unit": unit, "description": "A gauge.",
            "gauge": {"dataPoints": points}}


def total(name, points, unit="", monotonic=True, temporality=2):
    return {"name": name, "unit": unit,
            "sum": {"dataPoints": points, "isMonotonic": monotonic,
                    "aggregationTemporality": temporality}}


def histogram(name, points, unit="s"):
    return {"name": name, "unit": unit,
            "histogram": {"dataPoints": points, "aggregationTemporality": 2}}


def exponential(name, points, unit="s"):
    return {"name": name, "unit": unit,
            "exponentialHistogram": {"dataPoints": points, "aggregationTemporality": 2}}


def request(metrics, resource=None, scope=None):
    if resource is None:
        resource = {"service.name": "shop", "service.namespace": "eu",
                    "service.instance.id": "i-1", "host.name": "h1", "k8s.pod.name": "p-1"}
    return {"resourceMetrics": [{
        "resource": {"attributes": attributes(resource)},
        "scopeMetrics": [{"scope": scope or {"name": "lib.one", "version": "1.2",
                                             "attributes": attributes({"a.b": "c"})},
                          "schemaUrl": "https://example.org/1", "metrics": metrics}]}]}


def naming(now):
    """Every kind of unit, and names that need work."""
    metrics = []
    for i, unit in enumerate(["", "1", "s", "By", "KiBy", "TiBy", "KBy", "By/s", "m/s", "{requests}",
                              "{x}/s", "%", "Cel", "foo bar", "1/s", "/s", "s/{x}", "a_/b_", "d/w",
                              "__x__", "{}", " ms ", "req/mo", "By/", "é"]):
        metrics.append(gauge(f"g.unit.{i}", [number(now, i)], unit))
        metrics.append(total(f"c.unit.{i}", [number(now, i)], unit))
        metrics.append(total(f"u.unit.{i}", [number(now, i)], unit, monotonic=False))
    for name in ["http.server.duration", "9lives", "a__b", "_x", "x_", "a:b", "total", "total.total",
                 "x.total.y", "bytes.used", "used_bytes", "ratio.of.x", "x_ratio", "x.seconds.total",
                 "x_total", "ünï.cödé", "a-b/c", "per_second.x", "x_bytes_per_second", "A.B"]:
        metrics.append(gauge(name + ".g", [number(now, 1)], "1"))
        metrics.append(gauge(name, [number(now, 2, {"kind": "gauge"})], "By"))
        metrics.append(total(name, [number(now, 3, {"kind": "sum"})], "By/s"))
    return [request(metrics)]


def labels(now):
    values = {"string": "x", "empty": "", "int": -5, "double": 1.5, "big": 1e21, "small": 1e-7,
              "whole": 3.0, "yes": True, "bytes": b"\x00\xff", "list": ["a", 1, 2.5, None, True],
              "map": {"z": "<&>", "a": {"b": [1]}}, "quote": "a\"b\nc", "nothing": None}
    names = {"a.b": "1", "a_b": "2", "a-b": "3", "9x": "4", "_x": "5", "__y": "6", "__z__": "7",
             "a..b": "8", "ü": "9", "x__y": "10", "le": "11", "job": "12", "instance": "13",
             "__name__": "14", "A:b": "15", "__a.b__": "16", "_": "z" if False else "",
             "otel_scope_name": "17", "k8s.pod.name": "18"}
    names.pop("_")
    return [request([gauge("values", [number(now, 1, values)]),
                     gauge("names", [number(now, 2, names)]),
                     histogram("names.h", [point(now, names, count="3", sum=1.5,
                                                 bucketCounts=["1", "2"], explicitBounds=[0.5])])])]


def histograms(now):
    full = {"count": "10", "sum": 12.5, "bucketCounts": ["1", "0", "4", "5"],
            "explicitBounds": [0.005, 1, 1000000], "min": 0, "max": 9}
    exemplars = [{"timeUnixNano": str(now), "asDouble": 0.5, "traceId": "0102" * 8,
                  "spanId": "0a0b" * 4, "filteredAttributes": attributes({"user": "u"})}]
    metrics = [
        histogram("h.full", [point(now, {"a": "1"}, exemplars=exemplars, **full)]),
        histogram("h.nosum", [point(now, count="2", bucketCounts=["1", "1"], explicitBounds=[1])]),
        histogram("h.nobuckets", [point(now, count="2", sum=3)]),
        histogram("h.stale", [point(now, flags=1, **full)]),
        histogram("h.sparse", [point(now, count="2", sum=3,
                                     bucketCounts=["0", "0", "1", "0", "0", "0", "0", "1"],
                                     explicitBounds=[1, 2, 3, 4, 5, 6, 7])]),
    ]
    # Not 9: with an empty bucket before it Prometheus puts a merged bucket one too low.
    for scale in [-4, 0, 3, 8, 12, 20]:
        metrics.append(exponential(f"e.{scale + 10}", [point(
            now, count="17", sum=5, scale=scale, zeroCount="2",
            positive={"offset": -3, "bucketCounts": ["1", "0", "0", "2", "0", "0", "0", "0", "3",
                                                     "1"]},
            negative={"offset": 5, "bucketCounts": ["4", "4"]})]))
    metrics.append(exponential("e.stale", [point(now, flags=1, count="0", scale=1)]))
    metrics.append(exponential("e.empty", [point(now, count="0", scale=1)]))
    metrics.append(exponential("e.edge", [point(now, count="3", sum=1, scale=10, positive={
        "offset": -1, "bucketCounts": ["1", "1", "1"]})]))
    metrics.append({"name": "s", "unit": "s", "summary": {"dataPoints": [
        point(now, count="5", sum=2.5, quantileValues=[{"quantile": 0.5, "value": 1},
                                                       {"quantile": 0.99, "value": 7.25},
                                                       {"quantile": 1, "value": 8}]),
        point(now, {"b": "2"}, count="5", sum=2.5, flags=1,
              quantileValues=[{"quantile": 0, "value": 1}])]}})
    return [request(metrics)]


def times(now):
    """Spread over time: target_info is repeated; resources with and without identity."""
    spread = [number(now - k * 60_000_000_000, 100 - k, {"k": "v"}) for k in range(12, -1, -1)]
    return [request([gauge("spread", spread)]),
            request([gauge("later", [number(now, 1), number(now, 7, {"stale": "y"}, flags=1)])],
                    {"service.name": "only"}),
            request([gauge("nobody", [number(now, 1)])], {"host.name": "h"}),
            request([gauge("instance", [number(now, 1)])],
                    {"service.instance.id": "i", "x.y": "1", "x_y": "2"}),
            request([gauge("space", [number(now, 1)])],
                    {"service.name": "", "service.namespace": "n", "service.instance.id": "q",
                     "z": "1"}),
            request([gauge("none", [])])]


CONFIGS = {
    "default": "otlp: {}",
    "utf8_suffixes": "otlp: {translation_strategy: NoUTF8EscapingWithSuffixes}",
    "no_suffixes": "otlp: {translation_strategy: UnderscoreEscapingWithoutSuffixes}",
    "none": "otlp: {translation_strategy: NoTranslation}",
    "promoted": "otlp: {promote_resource_attributes: [k8s.pod.name, service.name, x.y],"
                " promote_scope_metadata: true, keep_identifying_resource_attributes: true}",
    "all": "otlp: {promote_all_resource_attributes: true,"
           " ignore_resource_attributes: [host.name], convert_histograms_to_nhcb: true}",
    "plain_labels": "otlp: {label_name_underscore_sanitization: false,"
                    " label_name_preserve_multiple_underscores: false}",
}


def canonical(series, samples):
    text = ",".join(f"{k}={json.dumps(v)}" for k, v in sorted(series.items()))
    return text + " " + " ".join(f"{t}:{v}" for t, v in samples)


def bound(text):
    """Prometheus's bounds are off by one in the last digit here and there."""
    return f"{float(text):.12g}"


def shown(v):
    return "NaN" if v != v else repr(float(v))


def theirs(server, now_s):
    """Every series with raw samples; stale ones are not shown by the API. Histograms by their sum and
    the buckets that are not empty."""
    found = set()
    query = urllib.parse.urlencode({"query": '{__name__!=""}[2h]', "time": now_s + 60})
    for r in json.loads(server.get("/api/v1/query?" + query))["data"]["result"]:
        samples = [(int(round(float(t) * 1000)), shown(float(v))) for t, v in r.get("values", [])]
        for t, h in r.get("histograms", []):
            buckets = ["%s%s,%s%s:%r" % ("[" if k in (1, 3) else "(", bound(low), bound(high),
                                         "]" if k in (0, 3) else ")", float(count))
                       for k, low, high, count in h.get("buckets", [])]
            samples.append((int(round(float(t) * 1000)),
                            f"{float(h['count'])!r}/{float(h['sum'])!r}/{'|'.join(buckets)}"))
        found.add(canonical(r["metric"], samples))
    return found


def unquote(text):
    return json.loads('"' + re.sub(r"\\x([0-9a-f]{2})", r"\\u00\1", text) + '"')


def histogram_text(text):
    count = re.search(r"count:([^,}]+)", text)[1]
    total_sum = re.search(r"sum:([^,}]+)", text)[1]
    buckets = ["%s%s,%s%s:%r" % (a, bound(low), bound(high), b, float(n))
               for a, low, high, b, n in
               re.findall(r"([\[(])([^,\[(]+),([^\])]+)([\])]):([^,}]+)", text) if float(n)]
    return f"{float(count)!r}/{float(total_sum)!r}/{'|'.join(buckets)}"


def ours(tool, config, data, bodies):
    result = subprocess.run([tool, "otlp", config, data, *bodies], capture_output=True, text=True,
                            timeout=60, check=True)
    found = set()
    for line in result.stdout.splitlines():
        end = 1
        series = {}
        while line[end] != "}":
            m = re.match(r'(?:, )?("(?:[^"\\]|\\.)*"|[^=]+)="((?:[^"\\]|\\.)*)"', line[end:])
            name = m[1]
            series[unquote(name[1:-1]) if name[0] == '"' else name] = unquote(m[2])
            end += m.end()
        samples = []
        for t, v in re.findall(r" (-?\d+) (\{.*?\}(?= |$)|\S+)", line[end + 1:]):
            if v[0] == "{":
                if "sum:NaN" in v:
                    continue
                samples.append((int(t), histogram_text(v)))
            elif v != "stale":
                samples.append((int(t), shown(float(v))))
        if samples:
            found.add(canonical(series, samples))
    return found, result.stderr


def as_protobuf(paths):
    """The same requests in protobuf; exemplars' ids are hex in OTLP's JSON only."""
    from google.protobuf import json_format
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
    made = []
    for path in paths:
        with open(path, encoding="utf-8") as f:
            body = re.sub(r', "traceId": "[^"]*", "spanId": "[^"]*"', "", f.read())
        message = json_format.Parse(body, metrics_service_pb2.ExportMetricsServiceRequest())
        with open(path[:-5] + ".pb", "wb") as f:
            f.write(message.SerializeToString())
        made.append(path[:-5] + ".pb")
    return made


def test_what_the_sdk_sends_is_taken(peers, tool, tmp_path):  # noqa: F811
    """Instruments of the OpenTelemetry SDK, exported as they are, into both."""
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.metrics.view import (ExponentialBucketHistogramAggregation, View)
    from opentelemetry.sdk.resources import Resource

    reader = InMemoryMetricReader()
    provider = MeterProvider(
        [reader], Resource({"service.name": "sdk", "service.instance.id": "1", "zone": "b"}),
        views=[View(instrument_name="exp", aggregation=ExponentialBucketHistogramAggregation())])
    meter = provider.get_meter("m", "1")
    for i in range(50):
        meter.create_counter("requests", "1").add(i, {"route": "/a", "n": i % 3})
        meter.create_up_down_counter("open", "{conn}").add(1 - i % 3)
        meter.create_histogram("latency", "s").record(i / 7, {"route": "/b"})
        meter.create_histogram("exp", "ms").record(1.1 ** i)
        meter.create_gauge("temperature", "Cel").set(20.5 + i)
    body = encode_metrics(reader.get_metrics_data()).SerializeToString()
    path = tmp_path / "sdk.pb"
    path.write_bytes(body)
    config = tmp_path / "prometheus.yml"
    config.write_text("otlp: {}\n", encoding="utf-8")
    with OtlpPrometheus(peers, str(tmp_path), str(tmp_path / "theirs"), "otlp: {}\n") as server:
        assert server.post(body, "application/x-protobuf")[0] == 200
        expected = theirs(server, int(time.time()))
    found, _ = ours(tool, str(config), str(tmp_path / "ours"), [str(path)])
    assert len(expected) > 20
    assert sorted(found - expected) == [] and sorted(expected - found) == []


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_the_same_series_come_of_the_same_requests(name, peers, tool, tmp_path):  # noqa: F811
    now_s = int(time.time()) - 60
    now = now_s * 1_000_000_000 + 123_456_789
    config = tmp_path / "prometheus.yml"
    config.write_text(CONFIGS[name] + "\n", encoding="utf-8")
    requests = naming(now) + labels(now) + histograms(now) + times(now)
    bodies = []
    with OtlpPrometheus(peers, str(tmp_path), str(tmp_path / "theirs"),
                        "storage: {tsdb: {out_of_order_time_window: 3h}}\n" +
                        CONFIGS[name] + "\n") as server:
        # One metric a request: Prometheus forgets a whole request for one bad metric.
        for i, r in enumerate(requests):
            for k, metric in enumerate(r["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]):
                one = json.loads(json.dumps(r))
                one["resourceMetrics"][0]["scopeMetrics"][0]["metrics"] = [metric]
                body = json.dumps(one).encode()
                path = tmp_path / f"{i:03d}-{k:03d}.json"
                path.write_bytes(body)
                bodies.append(str(path))
                server.post(body, "application/json")
        expected = theirs(server, now_s)
    found, _ = ours(tool, str(config), str(tmp_path / "ours"), bodies)
    assert len(expected) > 100
    binary = as_protobuf(bodies)
    packed, _ = ours(tool, str(config), str(tmp_path / "packed"), binary)
    assert sorted(packed - expected) == [] and sorted(expected - packed) == []
    assert sorted(found - expected) == [] and sorted(expected - found) == []


# --- The same requests over HTTP to both servers, with what only a server has: features.

def delta(metric):
    for kind in ("sum", "histogram", "exponentialHistogram"):
        if kind in metric:
            metric[kind]["aggregationTemporality"] = 1
    return metric


def delta_rounds(now):
    """Four requests of deltas, one that is late, one of an older start, other bounds, other scales."""
    out = []
    for i, (t, start) in enumerate([(0, -10), (10, 0), (20, 10), (15, 10), (30, -20), (40, 30)]):
        t, start = now + t * 10**9, now + start * 10**9
        bounds = [0.1, 1] if i < 5 else [0.1, 2]
        out.append(request([
            delta(total("d.sum", [number(t, 5 + i, {"a": "1", "b": "2"}, start=start)], "By")),
            delta(total("d.float", [number(t, 1.5 * i, {}, start=start)])),
            delta(total("d.updown", [number(t, 3 - i, {}, start=start)], monotonic=False)),
            delta(histogram("d.hist", [point(t, {"x": "y"}, start, count="6", sum=2.5 * i,
                                             bucketCounts=["1", "2", "3"],
                                             explicitBounds=bounds)])),
            delta(exponential("d.exp", [point(t, {}, start, count=str(7 + i), sum=float(i),
                                              scale=3 - i % 3, zeroCount="1", positive={
                                                  "offset": i, "bucketCounts": ["1", "2", str(i)]},
                                              negative={"offset": -i, "bucketCounts": ["3"]})])),
            total("cumulative", [number(t, i, {}, start=start)]),
        ]))
    return out


def all_series(app, now_s):
    """{series: samples} of everything with a name."""
    found = {}
    for s in app.query('{__name__!=""}[2h]', time=now_s + 600):
        key = tuple(sorted(s["metric"].items()))
        found[key] = [(t, float(v)) for t, v in s.get("values", [])] + [
            (t, float(h["count"]), float(h["sum"]),
             [(k, bound(low), bound(high), float(n)) for k, low, high, n in h.get("buckets", [])])
            for t, h in s.get("histograms", [])]
    return found


def differ(a, b):
    return {k: (a.get(k), b.get(k)) for k in a.keys() | b.keys() if a.get(k) != b.get(k)}


def both(serve, spawn, sextant_bin, tmp_path, text, *features):
    flags = ("--web.enable-otlp-receiver",) + (
        (f"--enable-feature={','.join(features)}",) if features else ())
    (tmp_path / "o").mkdir()
    (tmp_path / "p").mkdir()
    return (Observe(serve, sextant_bin, tmp_path / "o", text, flags=flags),
            Peer(spawn, tmp_path / "p", text, flags=flags))


def protobuf(body):
    from google.protobuf import json_format
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
    text = re.sub(r', "traceId": "[^"]*", "spanId": "[^"]*"', "", json.dumps(body))
    return json_format.Parse(
        text, metrics_service_pb2.ExportMetricsServiceRequest()).SerializeToString()


def send(app, body):
    return requests.post(app.url("/api/v1/otlp/v1/metrics"), data=protobuf(body),
                         headers={"Content-Type": "application/x-protobuf"}, timeout=30).status_code


@pytest.mark.skipif(not os.path.exists(PROMETHEUS), reason="no Prometheus")
@pytest.mark.parametrize("features", [
    ("otlp-deltatocumulative",), ("otlp-native-delta-ingestion",),
    ("type-and-unit-labels",), ("otlp-deltatocumulative", "type-and-unit-labels"),
    ("otlp-native-delta-ingestion", "type-and-unit-labels")], ids="+".join)
def test_deltas_and_types_become_what_prometheus_makes_of_them(
        serve, spawn, sextant_bin, tmp_path, features):
    now_s = int(time.time()) - 120
    text = "storage: {tsdb: {out_of_order_time_window: 1h}}\n"
    us, peer = both(serve, spawn, sextant_bin, tmp_path, text, *features)
    for body in delta_rounds(now_s * 10**9) + histograms(now_s * 10**9):
        # A metric a request, as Prometheus forgets the whole request for one that it refuses.
        for metric in body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]:
            one = json.loads(json.dumps(body))
            one["resourceMetrics"][0]["scopeMetrics"][0]["metrics"] = [metric]
            send(us, one), send(peer, one)
    ours_all, theirs_all = all_series(us, now_s), all_series(peer, now_s)
    summed = [v for k, v in theirs_all.items() if dict(k)["__name__"].startswith("d_")]
    takes_deltas = any(f.startswith("otlp-") for f in features)
    assert (sum(len(v) for v in summed) > 15) == takes_deltas, theirs_all
    assert differ(ours_all, theirs_all) == {}
