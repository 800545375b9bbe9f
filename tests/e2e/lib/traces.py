"""The observatory's traces under test: spans sent by every protocol, and what was stored of them.

    app = Traces(serve, sextant_bin, folder)
    app.post("otlp-http", "/v1/traces", body, "application/x-protobuf")
    spans = app.stored()          # stops the server, reads its directory, asks both APIs of Jaeger
    spans[trace_id]               # every span: a dict in OTLP's JSON form, see normal()
"""
import json
import subprocess

import requests

from .observe import Observe, traces_anywhere
from .wait import SLOWER, wait_for

TIMEOUT_S = 30


def attributes(pairs):
    """A list of KeyValue as a dict; a key that is there twice keeps all of its values."""
    out = {}
    for pair in pairs or []:
        key, value = pair["key"], plain(pair.get("value", {}))
        if key in out:
            value = ("twice", out[key], value)
        out[key] = value
    return out


def plain(value):
    """An AnyValue of OTLP's JSON as (type, value), so that 1, 1.0, "1" and true differ."""
    for kind, what in value.items():
        if kind == "arrayValue":
            return ("list", [plain(v) for v in what.get("values", [])])
        if kind == "kvlistValue":
            return ("map", attributes(what.get("values", [])))
        if kind == "intValue":
            return ("int", int(what))
        if kind == "doubleValue":
            return ("double", float(what))
        return (kind.removesuffix("Value"), what)
    return ("empty", None)


def normal(span, resource, scope):
    """A span with what it belongs to, in a form in which two encodings of it are equal."""
    out = {name: span.get(name, "") for name in
           ("traceId", "spanId", "parentSpanId", "traceState", "name")}
    out["kind"] = int(span.get("kind", 0))
    out["flags"] = int(span.get("flags", 0))
    out["start"] = int(span.get("startTimeUnixNano", 0))
    out["end"] = int(span.get("endTimeUnixNano", 0))
    status = span.get("status", {})
    out["status"] = (int(status.get("code", 0)), status.get("message", ""))
    out["attributes"] = attributes(span.get("attributes"))
    out["dropped"] = tuple(int(span.get(f"dropped{what}Count", 0))
                           for what in ("Attributes", "Events", "Links"))
    out["events"] = [(int(e.get("timeUnixNano", 0)), e.get("name", ""),
                      attributes(e.get("attributes")), int(e.get("droppedAttributesCount", 0)))
                     for e in span.get("events", [])]
    out["links"] = [(l.get("traceId", ""), l.get("spanId", ""), l.get("traceState", ""),
                     int(l.get("flags", 0)), attributes(l.get("attributes")),
                     int(l.get("droppedAttributesCount", 0))) for l in span.get("links", [])]
    out["resource"] = attributes(resource.get("resource", {}).get("attributes"))
    out["resource_schema"] = resource.get("schemaUrl", "")
    own = scope.get("scope", {})
    out["scope"] = (own.get("name", ""), own.get("version", ""), attributes(own.get("attributes")))
    out["scope_schema"] = scope.get("schemaUrl", "")
    out["service"] = out["resource"].get("service.name", ("string", ""))[1]
    return out


def spans_of(request):
    """The spans of a TracesData in OTLP's JSON, normal()."""
    for resource in request.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                yield normal(span, resource, scope)


def request(spans, resource=None, scope=None):
    """An ExportTraceServiceRequest in OTLP's JSON of spans in that form."""
    return {"resourceSpans": [{
        "resource": {"attributes": resource or [
            {"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"scope": scope or {"name": "test"}, "spans": spans}]}]}


def span(trace, number, name="work", parent="", start=1_700_000_000_000_000_000, ns=1_000_000,
         **more):
    return {"traceId": trace, "spanId": f"{number:016x}", "parentSpanId": parent, "name": name,
            "kind": 1, "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + ns), **more}


def by_trace(spans):
    out = {}
    for one in spans:
        out.setdefault(one["traceId"], []).append(one)
    return out


def export(sextant_bin, folder, *flags):
    """What `sextant traces export` writes of a directory: its lines, read."""
    done = subprocess.run([sextant_bin, "traces", "export", "--dir", folder, *flags], text=True,
                          capture_output=True, timeout=60 * SLOWER, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Traces(Observe):
    """`sextant observe` with every listener of spans at a free port."""

    def __init__(self, serve, sextant_bin, folder, flags=(), **more):
        self.bin = sextant_bin
        super().__init__(serve, sextant_bin, folder, flags=(*traces_anywhere(), *flags), **more)

    def at(self, listener, path=""):
        """The URL of a listener of the ready line."""
        return f"http://{self.process.address(listener)}{path}"

    def host_port(self, listener):
        return self.process.host_port(listener)

    def post(self, listener, path, body, kind, **headers):
        return requests.post(self.at(listener, path), data=body, timeout=TIMEOUT_S * SLOWER,
                             headers={"Content-Type": kind, **headers})

    def send(self, spans, **more):
        """Spans in OTLP's JSON form; they are there when it returns."""
        answer = self.post("otlp-http", "/v1/traces", json.dumps(request(spans, **more)),
                           "application/json")
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    def count(self, what, listener):
        """sextant_receiver_{accepted,refused}_spans_total of one listener."""
        name = f'sextant_receiver_{what}_spans_total{{receiver="{listener}"}}'
        return int(self.metric(name) or 0)

    def by_v3(self, trace):
        """A trace as Jaeger's newer API has it: its spans, normal()."""
        answer = self.ask(f"/api/v3/traces/{trace}", {"raw_traces": "true"})
        assert answer.status_code == 200, f"{trace}: {answer.status_code} {answer.text}"
        return list(spans_of(answer.json()["result"]))

    def by_v1(self, trace):
        """A trace as Jaeger's older API has it."""
        answer = self.ask(f"/api/traces/{trace}", {"raw": "true"})
        assert answer.status_code == 200, f"{trace}: {answer.status_code} {answer.text}"
        (found,) = answer.json()["data"]
        assert found["traceID"] == trace
        return found

    def check_apis(self, stored):
        """Each trace is whole by both APIs of Jaeger."""
        for trace, spans in stored.items():
            order = sorted(spans, key=lambda s: (s["spanId"], s["start"]))
            assert sorted(self.by_v3(trace), key=lambda s: (s["spanId"], s["start"])) == order
            old = self.by_v1(trace)
            assert sorted((s["spanID"], s["operationName"], s["startTime"],
                            old["processes"][s["processID"]]["serviceName"], len(s["logs"]))
                          for s in old["spans"]) == \
                sorted((s["spanId"], s["name"], s["start"] // 1000,
                        s["service"] or "missing-service-name", len(s["events"])) for s in spans)

    def stored(self):
        """Every span of the server's directory, by trace: as `sextant traces export` has them, and as
        the server has them when it is started again. It is stopped then."""
        self.process.stop()
        found = by_trace(span for line in export(self.bin, self.data_dir)
                         for span in spans_of(line))
        self.process.start()
        self.address = self.process.address("http")
        wait_for(self.is_ready, what="sextant observe")
        self.check_apis(found)
        self.process.stop()
        return found

    def verify(self):
        """`sextant traces verify` of the stopped server's directory; what it printed."""
        done = subprocess.run([self.bin, "traces", "verify", "--dir", self.data_dir], text=True,
                              capture_output=True, timeout=60 * SLOWER, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def tree(spans):
    """(service, name, kind) of each span below its parent's, as nested lists in order of start."""
    known = {s["spanId"] for s in spans}

    def below(parent):
        children = [s for s in spans if s["parentSpanId"] == parent or
                    (parent == "" and s["parentSpanId"] not in known)]
        return [((s["service"], s["name"], s["kind"]), below(s["spanId"]))
                for s in sorted(children, key=lambda s: s["start"])]
    return below("")


