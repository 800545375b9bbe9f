"""Spans as OTLP JSON, `sextant observe` with its Jaeger ports, and a Jaeger beside it.

    ours = Traces(serve, sextant_bin, folder)
    ours.send(batch(resource({"service.name": "front"}, span("a1", name="GET /"))))
    ours.get("/api/traces/" + TRACE)

Both have the same methods."""
import base64
import os

import requests

from .observe import Observe
from .service import free_port
from .wait import wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
JAEGER = os.path.join(ROOT, ".cache", "peers", "bin", "jaeger")
TRACE = "0af7651916cd43dd8448eb211c80319c"
TIMEOUT_S = 60


def value(v):
    """An AnyValue of a Python value."""
    if isinstance(v, bool):
        return {"boolValue": v}
    if isinstance(v, int):
        return {"intValue": str(v)}
    if isinstance(v, float):
        return {"doubleValue": v}
    if isinstance(v, bytes):
        return {"bytesValue": base64.b64encode(v).decode()}
    if isinstance(v, list):
        return {"arrayValue": {"values": [value(x) for x in v]}}
    if isinstance(v, dict):
        return {"kvlistValue": {"values": attributes(v)}}
    return {"stringValue": v}


def attributes(d):
    return [{"key": k, "value": value(v)} for k, v in d.items()]


def span(id, parent="", name="op", start=0, end=None, kind=1, trace=TRACE, attrs=None, **more):
    """Times in nanoseconds; ids are filled up with zeros."""
    out = {"traceId": trace.rjust(32, "0"), "spanId": id.rjust(16, "0"), "name": name, "kind": kind,
           "startTimeUnixNano": str(start), "endTimeUnixNano": str(start if end is None else end),
           "attributes": attributes(attrs or {}), **more}
    if parent:
        out["parentSpanId"] = parent.rjust(16, "0")
    return out


def resource(attrs, *spans, scope=None):
    return {"resource": {"attributes": attributes(attrs)},
            "scopeSpans": [{"scope": scope or {}, "spans": list(spans)}]}


def batch(*resources):
    return {"resourceSpans": list(resources)}


class Query:
    """Jaeger's HTTP ports, whoever serves them: `query` and `otlp` are addresses."""

    def __init__(self, query, otlp):
        self.query, self.otlp = query, otlp
        self.session = requests.Session()

    def send(self, body):
        answer = self.session.post(f"http://{self.otlp}/v1/traces", json=body, timeout=TIMEOUT_S)
        assert answer.status_code == 200, answer.text

    def ask(self, path, params=(), method="GET", **more):
        return self.session.request(method, f"http://{self.query}{path}", params=params,
                                    timeout=TIMEOUT_S, **more)

    def get(self, path, params=()):
        """The JSON of a good answer."""
        answer = self.ask(path, params)
        assert answer.status_code == 200, f"{path} {params}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"] == "application/json"
        return answer.json()

    def found(self, **params):
        """The ids of the traces that a search finds, in its order."""
        pairs = [(k, x) for k, v in params.items() for x in (v if isinstance(v, list) else [v])]
        return [t["traceID"].rjust(32, "0") for t in self.get("/api/traces", pairs)["data"]]


class Traces(Query):
    """`sextant observe` with OTLP over HTTP and Jaeger's query port open."""

    def __init__(self, serve, sextant_bin, folder, config="global: {}\n", flags=()):
        self.observe = Observe(serve, sextant_bin, folder, config,
                               flags=("--otlp.http=127.0.0.1:0", "--jaeger.query=127.0.0.1:0",
                                      *flags))
        self.process = self.observe.process
        super().__init__(self.process.address("jaeger-query"), self.process.address("otlp-http"))

    def restart(self, signal=None):
        self.observe.restart(signal)
        self.query = self.process.address("jaeger-query")
        self.otlp = self.process.address("otlp-http")


class Jaeger(Query):
    """Jaeger 1.76 with its memory store. `spawn` is the fixture."""

    def __init__(self, spawn, skew="0s"):
        ports = [f"127.0.0.1:{free_port()}" for _ in range(7)]
        names = ("query.http-server", "collector.otlp.http", "admin.http", "collector.otlp.grpc",
                 "query.grpc-server", "collector.grpc-server", "collector.http-server")
        self.process = spawn(JAEGER, *[f"--{n}.host-port={p}" for n, p in zip(names, ports)],
                             f"--query.max-clock-skew-adjustment={skew}", name="jaeger")
        super().__init__(ports[0], ports[1])
        wait_for(self.is_up, seconds=30, what="Jaeger")

    def is_up(self):
        try:
            return self.ask("/api/services").status_code == 200
        except requests.ConnectionError:
            return False
