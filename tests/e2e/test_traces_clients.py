"""Spans of real clients: the OpenTelemetry SDK of Python with its instrumentation, by every protocol,
and each span stored as the SDK made it."""
import json
import os
import subprocess

import pytest
import requests
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lib import install
from lib.service import free_port
from lib.traces import Traces, by_trace, spans_of, tree
from lib.wait import wait_for

CLIENTS = os.path.join(install.E2E, "clients", "traces")
SERVER, CLIENT = 2, 3


def python(name="traces-venv", source="clients/traces/requirements.txt"):
    """A Python with clients, or a skipped test where the registry cannot be reached."""
    try:
        return install.venv(name, source)
    except RuntimeError as e:
        pytest.skip(f"the clients cannot be had: {e}")


@pytest.fixture
def traces(serve, sextant_bin, tmp_path):
    """traces(flag...) starts a server with all listeners of spans."""
    return lambda *flags, **more: Traces(serve, sextant_bin, tmp_path, flags=flags, **more)


def _hex_ids(request):
    """Ids of a request in protobuf's own JSON as OTLP's JSON has them."""
    import base64
    for resource in request.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                for one in [span, *span.get("links", [])]:
                    for key in ("traceId", "spanId", "parentSpanId"):
                        if key in one:
                            one[key] = base64.b64decode(one[key]).hex()
    return request


def kept(path):
    """The spans that a client kept beside those it sent."""
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        message = ExportTraceServiceRequest.FromString(data[at + 4:at + 4 + size])
        at += 4 + size
        yield from spans_of(_hex_ids(MessageToDict(message, use_integers_for_enums=True)))


@pytest.mark.parametrize("protocol, compression", [("grpc", ""), ("grpc", "gzip"),
                                                   ("http/protobuf", ""),
                                                   ("http/protobuf", "gzip")])
def test_a_bakery_of_fastapi_httpx_redis_and_postgresql(traces, spawn, redis, postgres, tmp_path,
                                                        protocol, compression):
    interpreter, app = python(), traces()
    env = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
           **({"OTEL_EXPORTER_OTLP_COMPRESSION": compression} if compression else {}),
           "OTEL_EXPORTER_OTLP_ENDPOINT": app.at("otlp-grpc" if protocol == "grpc" else "otlp-http"),
           "OTEL_BSP_SCHEDULE_DELAY": "200"}
    ports = {"shop": free_port(), "oven": free_port()}
    files = {role: str(tmp_path / f"{role}.kept") for role in ports}

    def start(role, *more):
        return spawn(interpreter, os.path.join(CLIENTS, "bakery.py"), role, ports[role], files[role],
                     *more, env=env, name=role)
    oven = start("oven", redis().url, postgres.conninfo)
    shop = start("shop", f"http://127.0.0.1:{ports['oven']}")

    def get(role, path):
        return requests.get(f"http://127.0.0.1:{ports[role]}{path}", timeout=20)
    def both_answer():
        if shop.child.poll() is not None or oven.child.poll() is not None:
            raise RuntimeError("the bakery has ended")
        return [get(role, "/nothing") for role in ports]
    wait_for(both_answer, 60, "the bakery")
    bought = get("shop", "/buy/rye").json()
    assert bought["baked"] == 1
    assert get("shop", "/burn").status_code == 503
    shop.stop()
    oven.stop()
    stored = app.stored()

    sent = by_trace(span for path in files.values() for span in kept(path))
    assert sorted(stored) == sorted(sent)
    for trace in sent:
        order = sorted(sent[trace], key=lambda s: s["spanId"])
        assert sorted(stored[trace], key=lambda s: s["spanId"]) == order

    # The trace is one tree over both services, down to the databases.
    whole = tree(stored[bought["trace"]])
    assert len(whole) == 1 and whole[0][0] == ("shop", "GET /buy/{bread}", SERVER)
    flat = {(s["service"], s["name"], s["kind"]) for s in stored[bought["trace"]]}
    assert {("shop", "choose", 1), ("shop", "odd – ä span", 4), ("shop", "GET", CLIENT),
            ("oven", "GET /bake", SERVER)} <= flat
    assert any(s["service"] == "oven" and s["name"] == "INSERT" for s in stored[bought["trace"]])
    odd = next(s for s in stored[bought["trace"]] if s["name"] == "odd – ä span")
    assert odd["attributes"]["int"] == ("int", -9007199254740993)
    assert odd["status"] == (2, "cold – very")
    assert [e[1] for e in odd["events"]] == ["happened", "exception"]
    assert odd["links"][0][4] == {"why": ("string", "because"), "n": ("int", 3)}
    assert "spans in" in app.verify()


def run(interpreter, script, *args, env=None):
    """What a client's program printed, read as JSON."""
    done = subprocess.run([interpreter, os.path.join(CLIENTS, script), *map(str, args)], text=True,
                          capture_output=True, timeout=120, env={**os.environ, **(env or {})},
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
