"""A bakery of two services, instrumented as OpenTelemetry's documentation has it: the shop asks the
oven, which counts in Redis and writes into PostgreSQL.

    bakery.py shop PORT FILE OVEN_URL
    bakery.py oven PORT FILE REDIS_URL CONNINFO

Where spans go is told by OTEL_*; each batch that is exported is appended to FILE, too: its length in
four bytes, then the request."""
import os
import signal
import sys

import httpx
import psycopg2
import redis
import uvicorn
from fastapi import FastAPI, HTTPException
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.psycopg2 import Psycopg2Instrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

ROLE, PORT, FILE = sys.argv[1], int(sys.argv[2]), sys.argv[3]


class Keep(SpanExporter):
    """What is exported, as it is, in a file."""

    def export(self, spans):
        body = encode_spans(spans).SerializeToString()
        with open(FILE, "ab") as out:
            out.write(len(body).to_bytes(4, "big") + body)
        return SpanExportResult.SUCCESS


def exporter():
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        return OTLPSpanExporter(insecure=True)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    return OTLPSpanExporter()


provider = TracerProvider(resource=Resource.create(
    {"service.name": ROLE, "service.version": "1.2.3", "deployment.environment.name": "test",
     "ports": [PORT, 0], "warm": True, "share": 0.25}, schema_url="https://example.org/resource/1"))
provider.add_span_processor(BatchSpanProcessor(exporter()))
provider.add_span_processor(BatchSpanProcessor(Keep()))
trace.set_tracer_provider(provider)
tracer = provider.get_tracer("bakery", "3.1", "https://example.org/bakery/1", {"scope.rank": 7})
HTTPXClientInstrumentor().instrument()
RedisInstrumentor().instrument()
Psycopg2Instrumentor().instrument(enable_commenter=False)
app = FastAPI()


def odd_span():
    """Everything that a span can have."""
    other = SpanContext(0x1234567890ABCDEF1234567890ABCDEF, 0xFEDCBA0987654321, True,
                        TraceFlags(1), TraceState([("vendor", "x:1"), ("two", "b")]))
    with tracer.start_as_current_span(
            "odd – ä span", kind=SpanKind.PRODUCER,
            links=[Link(other, {"why": "because", "n": 3})]) as span:
        span.set_attributes({"text": "é€𝄞", "empty": "", "int": -9007199254740993, "real": -1e-300,
                             "truth": False, "texts": ["a", "", "c"], "ints": [1, -2, 3],
                             "reals": [0.5, 1e300], "truths": [True, False], "long": "x" * 5000})
        span.add_event("happened", {"at": "here", "times": 2}, timestamp=1_700_000_000_123_456_789)
        try:
            raise ValueError("the oven is cold")
        except ValueError as e:
            span.record_exception(e)
        span.set_status(Status(StatusCode.ERROR, "cold – very"))


if ROLE == "shop":
    @app.get("/buy/{bread}")
    def buy(bread: str):
        with tracer.start_as_current_span("choose", attributes={"bread": bread}):
            odd_span()
            answer = httpx.get(f"{sys.argv[4]}/bake", params={"bread": bread}, timeout=20)
        return {"baked": answer.json(),
                "trace": format(trace.get_current_span().get_span_context().trace_id, "032x")}

    @app.get("/burn")
    def burn():
        raise HTTPException(503, "no bread")
else:
    store = redis.Redis.from_url(sys.argv[4])

    @app.get("/bake")
    def bake(bread: str):
        count = store.incr(f"baked:{bread}")
        with psycopg2.connect(sys.argv[5]) as database, database.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS bread (name text, n int)")
            cursor.execute("INSERT INTO bread VALUES (%s, %s)", (bread, count))
        database.close()
        return count

FastAPIInstrumentor.instrument_app(app)
server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=PORT, log_level="warning"))
signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
server.run()
provider.shutdown()
