"""Spans of OpenTelemetry's SDKs for Node, Go and Java, and of the old clients of Node."""
import json
import os
import shutil

import pytest

from lib import clients, install
from lib.wait import wait_for
from test_traces_clients import CLIENTS, traces  # noqa: F401 (a fixture)

SERVER, CLIENT, PRODUCER = 2, 3, 4


def fetched(how, *args):
    try:
        return how(*args)
    except RuntimeError as e:
        pytest.skip(f"the clients cannot be had: {e}")


def node(script, *args):
    folder = fetched(install.node, "traces-node", "clients/traces/node")
    shutil.copy(os.path.join(CLIENTS, "node", script), folder)
    return json.loads(clients.run("node", os.path.join(folder, script), *args, seconds=60).stdout
                      .splitlines()[-1])["trace"].zfill(32)


def stored(app, trace):
    spans = app.stored()
    assert trace in spans
    return spans[trace]


def named(spans, name):
    found = [s for s in spans if s["name"] == name]
    assert found, f"no {name} in {[s['name'] for s in spans]}"
    return found[0]


@pytest.mark.parametrize("protocol", ["http/json", "http/protobuf", "grpc"])
def test_node_with_express_and_the_aws_sdk(traces, protocol):  # noqa: F811
    app = traces()
    trace = node("shop.mjs", protocol, app.at("otlp-grpc" if protocol == "grpc" else "otlp-http"))
    spans = stored(app, trace)
    assert {s["service"] for s in spans} == {"node-shop"}
    assert spans[0]["resource"]["replicas"] == ("list", [("int", 1), ("int", 2)])
    root = named(spans, "GET /orders/:id")
    assert root["kind"] == SERVER
    sqs = next(s for s in spans if s["attributes"].get("rpc.service") == ("string", "SQS"))
    assert sqs["kind"] == PRODUCER
    assert any(s["kind"] == CLIENT and s["parentSpanId"] == sqs["spanId"] for s in spans)
    work = named(spans, "work")
    assert work["attributes"] == {"list": ("list", [("string", "a"), ("string", "b")]),
                                  "truth": ("bool", True)}
    assert work["status"] == (2, "hot") and work["scope"][:2] == ("own", "2.0")
    assert [e[1] for e in work["events"]] == ["exception"]
    asked = [e for s in spans for e in s["events"] if e[1] == "asked"]
    assert asked[0][2] == {"id": ("int", 7), "exact": ("double", 0.5)}
    ids = {s["spanId"] for s in spans}
    assert [s for s in spans if s["parentSpanId"] not in ids] == \
        [s for s in spans if s["parentSpanId"] == ""] or \
        len([s for s in spans if s["parentSpanId"] not in ids]) == 1


@pytest.mark.parametrize("client, listener", [("jaeger-udp", "jaeger-binary"),
                                              ("jaeger-http", "jaeger-http"),
                                              ("zipkin-http", "zipkin")])
def test_old_clients_of_node(traces, client, listener):  # noqa: F811
    app = traces()
    trace = node("legacy.mjs", client, *app.host_port(listener))
    wait_for(lambda: app.count("accepted", listener) == 2, what="the client's spans")
    assert app.count("refused", listener) == 0
    spans = stored(app, trace)
    root, child = named(spans, "checkout"), named(spans, "pay")
    assert (root["kind"], child["kind"]) == (SERVER, CLIENT)
    assert child["parentSpanId"] == root["spanId"] and root["parentSpanId"] == ""
    assert {s["service"] for s in spans} == {"old-shop"}
    assert child["status"][0] == 2
    assert [e[1] for e in root["events"]] == ["paid"]
    if client.startswith("jaeger"):
        assert root["resource"]["region"] == ("string", "eu")
        assert root["attributes"]["who"] == ("string", "é")
        assert root["attributes"]["free"] == ("bool", False)


@pytest.mark.parametrize("protocol, more", [("grpc", ()), ("grpc", ("gzip",)), ("http", ()),
                                            ("http", ("gzip",))])
def test_go_with_net_http(traces, protocol, more):  # noqa: F811
    program = fetched(install.go, "traces-go", "clients/traces/go")
    app = traces()
    where = app.at("otlp-grpc" if protocol == "grpc" else "otlp-http")
    trace = json.loads(clients.run(program, protocol, where, *more).stdout)["trace"]
    spans = stored(app, trace)
    buy, get, bake = (named(spans, name) for name in ("buy", "HTTP GET", "GET"))
    assert get["parentSpanId"] == buy["spanId"] and bake["parentSpanId"] == get["spanId"]
    assert (get["kind"], bake["kind"]) == (CLIENT, SERVER)
    assert buy["attributes"] == {"truth": ("bool", True), "real": ("double", 2.5),
                                 "list": ("list", [("string", "a"), ("string", "b")])}
    assert buy["scope"][:2] == ("own", "1.0")
    assert bake["status"] == (2, "very cold")
    assert [e[1] for e in bake["events"]] == ["asked", "exception"]
    assert bake["resource"]["ports"] == ("list", [("int", 1), ("int", 2)])


@pytest.mark.parametrize("protocol, listener", [("grpc", "otlp-grpc"), ("http", "otlp-http"),
                                                ("zipkin", "zipkin")])
def test_the_java_sdk(traces, protocol, listener):  # noqa: F811
    jars = fetched(install.java, "traces-java", "clients/traces/java")
    app = traces()
    trace = json.loads(clients.run(
        "java", "-XX:TieredStopAtLevel=1", "-cp", jars, os.path.join(CLIENTS, "java", "Shop.java"),
        protocol, app.at(listener), seconds=60).stdout)["trace"]
    spans = stored(app, trace)
    buy, bake = named(spans, "buy"), named(spans, "bake")
    assert bake["parentSpanId"] == buy["spanId"]
    assert (buy["kind"], bake["kind"]) == (SERVER, CLIENT)
    assert bake["status"][0] == 2
    assert {s["service"] for s in spans} == {"java-shop"}
    if protocol == "zipkin":
        assert bake["attributes"]["error"] == ("string", "very cold")
        return
    assert bake["status"][1] == "very cold"
    assert buy["attributes"]["list"] == ("list", [("string", "a"), ("string", "b")])
    assert [e[1] for e in bake["events"]] == ["asked", "exception"]
