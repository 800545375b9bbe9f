"""Jaegers beside the observatory, spans for both, and answers in a form that compares.

Jaeger 1.76 (`make peers`), and Jaeger 2 with its memory store or with ours behind it."""
import os
import time

import requests
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2

from .jaeger_proto import JaegerClient
from .observe import ROOT
from .service import free_port
from .wait import wait_for

JAEGER1 = os.path.join(ROOT, ".cache", "peers", "bin", "jaeger")
JAEGER2 = os.path.join(ROOT, ".cache", "peers", "bin", "jaeger2")

CONFIG = """
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {{receivers: [otlp], exporters: [jaeger_storage_exporter]}}
  telemetry:
    metrics: {{level: none}}
    logs: {{level: error}}
extensions:
  jaeger_query:
    storage: {{traces: x}}
    grpc: {{endpoint: "{grpc}"}}
    http: {{endpoint: "{http}"}}
  jaeger_storage:
    backends:
      x: {backend}
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "{otlp}"}}
exporters:
  jaeger_storage_exporter: {{trace_storage: x}}
"""


def _address():
    return f"127.0.0.1:{free_port()}"


class Jaeger:
    """A Jaeger. `storage` (of the second version): the address of a storage v2; None: memory."""

    def __init__(self, spawn, folder, version, storage=None):
        self.otlp, self.grpc, self.http = _address(), _address(), _address()
        if version == 1:
            others = [f"--{flag}={_address()}" for flag in (
                "collector.otlp.http.host-port", "admin.http.host-port",
                "collector.grpc-server.host-port", "collector.http-server.host-port")]
            argv = [JAEGER1, f"--collector.otlp.grpc.host-port={self.otlp}",
                    f"--query.grpc-server.host-port={self.grpc}",
                    f"--query.http-server.host-port={self.http}", "--log-level=error", *others]
        else:
            backend = ("{memory: {max_traces: 100000}}" if storage is None else
                       "{grpc: {endpoint: \"%s\", tls: {insecure: true}}}" % storage)
            path = os.path.join(str(folder), f"jaeger2-{self.http.split(':')[1]}.yml")
            with open(path, "w", encoding="utf-8") as out:
                out.write(CONFIG.format(grpc=self.grpc, http=self.http, otlp=self.otlp,
                                        backend=backend))
            argv = [JAEGER2, "--config", path]
        # Its own traces would be among ours.
        self.process = spawn(*argv, name=f"jaeger{version}",
                             env={**os.environ, "OTEL_TRACES_SAMPLER": "always_off"})
        wait_for(self._is_up, seconds=30, what=f"Jaeger {version}")
        self.client = JaegerClient(self.grpc)
        self.writer = JaegerClient(self.otlp)

    def _is_up(self):
        try:
            return requests.get(f"http://{self.http}/api/services", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def get(self, path):
        return requests.get(f"http://{self.http}{path}", timeout=30)


def when(ns):
    return Timestamp(seconds=ns // 10**9, nanos=ns % 10**9)


def rfc3339(ns):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9)) + f".{ns % 10**9:09d}Z"


def value(thing):
    """A Python value as an AnyValue."""
    out = common_pb2.AnyValue()
    if isinstance(thing, bool):
        out.bool_value = thing
    elif isinstance(thing, int):
        out.int_value = thing
    elif isinstance(thing, float):
        out.double_value = thing
    elif isinstance(thing, bytes):
        out.bytes_value = thing
    elif isinstance(thing, list):
        out.array_value.SetInParent()
        out.array_value.values.extend(value(t) for t in thing)
    elif isinstance(thing, dict):
        out.kvlist_value.SetInParent()
        add_attributes(out.kvlist_value.values, thing)
    else:
        out.string_value = thing
    return out


def add_attributes(to, things):
    for key, thing in things.items():
        to.add(key=key).value.CopyFrom(value(thing))


def sample(start_ns, traces=4):
    """A request of `traces` traces over three services, with all that spans can have."""
    request = trace_service_pb2.ExportTraceServiceRequest()
    scopes = []
    for service in ("front", "back", "store"):
        resource = request.resource_spans.add()
        add_attributes(resource.resource.attributes,
                       {"service.name": service, "host.name": "h-" + service, "cpus": 4})
        scope = resource.scope_spans.add()
        scope.scope.name, scope.scope.version = "lib." + service, "1.2"
        scopes.append(scope.spans)
    for i in range(traces):
        trace_id = trace_id_of(i)
        at = start_ns + i * 1_000_000_000
        root = scopes[0].add(trace_id=trace_id, span_id=span_id_of(i, 1), name="GET /",
                             kind=3 if i % 2 else 2, start_time_unix_nano=at,
                             end_time_unix_nano=at + 50_000_000 + i * 1000, trace_state="a=b")
        add_attributes(root.attributes, {
            "text": "x\u00e9", "yes": True, "no": False, "int": -7, "zero": 0, "double": 2.5,
            "big": 2**53 + 1, "list": ["a", 1, True], "map": {"k": "v"}, "empty": ""})
        child = scopes[1].add(trace_id=trace_id, span_id=span_id_of(i, 2), name="work",
                              parent_span_id=span_id_of(i, 1), kind=2,
                              start_time_unix_nano=at + 1_000_000,
                              end_time_unix_nano=at + 40_000_000)
        child.status.code, child.status.message = 2, "it broke"
        add_attributes(child.attributes, {"http.status_code": 500, "n": i})
        event = child.events.add(name="exception", time_unix_nano=at + 2_000_000)
        add_attributes(event.attributes, {"exception.type": "Bad", "count": 3})
        child.events.add(name="late", time_unix_nano=at + 3_000_000)
        link = child.links.add(trace_id=trace_id_of(i + 1), span_id=span_id_of(i + 1, 1))
        add_attributes(link.attributes, {"why": "batch"})
        leaf = scopes[2].add(trace_id=trace_id, span_id=span_id_of(i, 3), name="SELECT",
                             parent_span_id=span_id_of(i, 2), kind=1,
                             start_time_unix_nano=at + 5_000_000,
                             end_time_unix_nano=at + 6_000_001)
        leaf.status.code = 1
        add_attributes(leaf.attributes, {"db.system": "x"})
    return request


def trace_id_of(i):
    return (0x1111111111111111_0000000000000000 + i + 1).to_bytes(16, "big")


def span_id_of(i, n):
    return ((i + 1) << 8 | n).to_bytes(8, "big")


# ---- answers that compare ----

def _pairs(tags):
    return sorted((t.key, t.v_type, t.v_str, t.v_bool, t.v_int64, t.v_float64, t.v_binary)
                  for t in tags)


def plain_v2(chunks):
    """Spans of api_v2 in an order of their own, what no order holds for sorted."""
    spans = [s for c in chunks for s in c.spans]
    return sorted(((s.trace_id, s.span_id, s.operation_name,
                    sorted((r.trace_id, r.span_id, r.ref_type) for r in s.references), s.flags,
                    (s.start_time.seconds, s.start_time.nanos),
                    (s.duration.seconds, s.duration.nanos), _pairs(s.tags),
                    sorted((log.timestamp.seconds, log.timestamp.nanos, _pairs(log.fields))
                           for log in s.logs),
                    (s.process.service_name, _pairs(s.process.tags)), sorted(s.warnings))
                   for s in spans), key=lambda s: (s[0], s[1], s[2]))


def _attrs(attributes):
    return sorted((a.key, a.value.SerializeToString(deterministic=True)) for a in attributes)


def plain_otlp(messages):
    """The same of TracesData."""
    out = []
    for message in messages:
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                for s in scope.spans:
                    out.append((
                        s.trace_id, s.span_id, s.parent_span_id, s.name, s.kind,
                        s.start_time_unix_nano, s.end_time_unix_nano, s.trace_state,
                        s.status.code, s.status.message, _attrs(s.attributes),
                        sorted((e.time_unix_nano, e.name, _attrs(e.attributes)) for e in s.events),
                        sorted((x.trace_id, x.span_id, _attrs(x.attributes)) for x in s.links),
                        _attrs(resource.resource.attributes), scope.scope.name,
                        scope.scope.version))
    return sorted(out, key=lambda s: s[:4])
