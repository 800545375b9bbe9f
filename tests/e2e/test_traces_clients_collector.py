"""A stock OpenTelemetry Collector between the client and us: OTLP by gRPC and HTTP, each compression."""
import os

import pytest
import requests
import yaml

from lib import clients
from lib.observe import PROMETHEUS
from lib.service import free_port
from lib.traces import request, span, spans_of
from lib.wait import wait_for
from test_traces_clients import traces  # noqa: F401 (a fixture)

COLLECTOR = os.path.join(os.path.dirname(PROMETHEUS), "collector")
TRACE = "0af7651916cd43dd8448eb211c80319c"
START = 1_760_000_000_000_000_000

pytestmark = pytest.mark.skipif(not os.path.exists(COLLECTOR), reason="`make peers` builds it")


def sent():
    return request([
        span(TRACE, 1, "root", start=START, traceState="a=1", flags=257,
             attributes=[{"key": "list", "value": {"arrayValue": {"values": [
                 {"intValue": "1"}, {"doubleValue": 0.5}, {"boolValue": True}]}}},
                 {"key": "bytes", "value": {"bytesValue": "AAEC"}}],
             events=[{"timeUnixNano": str(START + 3), "name": "e",
                      "attributes": [{"key": "k", "value": {"stringValue": "é"}}]}],
             links=[{"traceId": "ab" * 16, "spanId": "cd" * 8, "traceState": "b=2", "flags": 1,
                     "attributes": [{"key": "l", "value": {"intValue": "-1"}}]}],
             status={"code": 2, "message": "no"}),
        span(TRACE, 2, "child", parent=f"{1:016x}", start=START + 10)])


def exporters():
    about = yaml.safe_load(clients.run(COLLECTOR, "components").stdout)
    return [one["name"] for one in about["exporters"]]


@pytest.mark.parametrize("exporter", ["otlp", "otlphttp"])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd", "snappy"])
def test_a_collector_forwards(traces, spawn, tmp_path, exporter, compression):  # noqa: F811
    if exporter not in exporters():
        pytest.skip(f"this collector was built without the exporter {exporter}")
    app, port = traces(), free_port()
    to = {"otlp": app.process.address("otlp-grpc"), "otlphttp": app.at("otlp-http")}[exporter]
    config = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {exporter: {"endpoint": to, "compression": compression,
                                 "tls": {"insecure": True}}},
        "service": {"telemetry": {"metrics": {"level": "none"}},
                    "pipelines": {"traces": {"receivers": ["otlp"], "exporters": [exporter]}}}}
    path = tmp_path / "collector.yml"
    path.write_text(yaml.safe_dump(config))
    spawn(COLLECTOR, "--config", path, name="collector")

    def post():
        answer = requests.post(f"http://127.0.0.1:{port}/v1/traces", json=sent(), timeout=10)
        return answer.status_code == 200
    wait_for(post, 30, "the collector")
    listener = "otlp-grpc" if exporter == "otlp" else "otlp-http"
    wait_for(lambda: app.count("accepted", listener) == 2, 20, "what the collector forwards")
    stored = app.stored()
    want = list(spans_of(sent()))
    assert sorted(stored[TRACE], key=lambda s: s["spanId"]) == want
