"""Spans of the clients of Jaeger's and Zipkin's own: each protocol by the programs that speak it."""
import os
import socket

import pytest

from lib.traces import Traces
from lib.wait import wait_for
from test_traces_clients import python, run, traces  # noqa: F401 (a fixture)

SERVER, CLIENT = 2, 3
OLD = ("traces-old", "clients/traces/requirements-old.txt")

CLIENTS = [  # client, listener, the Python that has it
    ("jaeger-udp", "jaeger-compact", ()),
    ("zipkin-v1-thrift", "zipkin", OLD),
    ("zipkin-v1-json", "zipkin", ()),
    ("zipkin-v2-json", "zipkin", ()),
    ("zipkin-v2-proto", "zipkin", ()),
    ("otel-jaeger-udp", "jaeger-compact", OLD),
    ("otel-jaeger-http", "jaeger-http", OLD),
    ("otel-jaeger-grpc", "jaeger-grpc", OLD),
    ("otel-zipkin-json", "zipkin", OLD),
    ("otel-zipkin-proto", "zipkin", OLD),
]


@pytest.fixture
def app(traces):  # noqa: F811
    return traces()


def sent_by(app, client, listener, which):
    """What is stored of a client's one trace, by the names of its spans."""
    host, port = app.host_port(listener)
    trace = run(python(*which), "legacy.py", client, host, port)["trace"]
    want = 3 if client == "jaeger-udp" else 2
    wait_for(lambda: app.count("accepted", listener) == want, what="the client's spans")
    assert app.count("refused", listener) == 0
    stored = app.stored()
    assert list(stored) == [trace]
    return {s["name"]: s for s in stored[trace]}


@pytest.mark.parametrize("client, listener, which", CLIENTS, ids=[c[0] for c in CLIENTS])
def test_a_client_of_old(app, client, listener, which):
    spans = sent_by(app, client, listener, which)
    root, child = spans["checkout"], spans["pay"]
    assert child["parentSpanId"] == root["spanId"] and root["parentSpanId"] == ""
    assert (root["kind"], child["kind"]) == (SERVER, CLIENT)
    assert {s["service"] for s in spans.values()} == {"old-shop"}
    assert child["status"][0] == 2  # an error, however the client says so
    assert root["start"] <= child["start"] and child["end"] <= root["end"] + 1000
    if client.startswith("zipkin"):
        assert root["attributes"]["region"] == ("string", "eu")
        assert child["attributes"]["error"] == ("string", "declined")
        assert [e[1] for e in root["events"]] == ["paid"]
        return
    if "zipkin" in client:
        assert root["attributes"]["n"] == ("string", "7")
        return
    # OpenTelemetry's Thrift exporters have the resource's among each span's.
    thrift = client in ("otel-jaeger-udp", "otel-jaeger-http")
    assert root["attributes" if thrift else "resource"]["region"] == ("string", "eu")
    attributes = root["attributes"]
    assert attributes["n"] == ("int", 7) and attributes["share"] == ("double", 0.5)
    assert attributes["free"] == ("bool", False) and attributes["who"] == ("string", "é")
    (event,) = root["events"]
    assert event[2]["amount"] == ("int", 3)
    if client == "jaeger-udp":
        assert event[1] == "paid"
        assert spans["mail"]["parentSpanId"] == root["spanId"]
        assert spans["mail"]["links"][0][1] == root["spanId"]
    else:
        assert child["status"][1] == "declined"


def test_a_flood_of_garbage_by_udp(app):
    """Datagrams that are nothing: the server lives, counts and answers."""
    for listener in ("jaeger-compact", "jaeger-binary"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(app.host_port(listener))
            for i in range(5000):
                s.send(os.urandom(i % 1400 + 1))
    wait_for(lambda: "refused" in app.process.log(), what="garbage that is refused")
    app.send([])
    assert app.is_ready()
    assert isinstance(app, Traces)
