"""Clients of the years before OpenTelemetry, and its exporters to Jaeger and Zipkin; one trace each.

    legacy.py CLIENT HOST PORT

CLIENT: jaeger-udp (jaeger-client, Thrift compact), zipkin-v1-thrift, zipkin-v1-json, zipkin-v2-json,
zipkin-v2-proto (py_zipkin); otel-jaeger-udp, otel-jaeger-http, otel-jaeger-grpc, otel-zipkin-json,
otel-zipkin-proto (OpenTelemetry's old exporters). Prints the trace's id."""
import json
import os
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from lib.wait import wait_for  # noqa: E402

CLIENT, HOST, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])


def jaeger_client():
    from jaeger_client import Config
    from opentracing import child_of, follows_from
    config = Config({"sampler": {"type": "const", "param": 1},
                     "local_agent": {"reporting_host": HOST, "reporting_port": PORT},
                     "generate_128bit_trace_id": True, "tags": {"region": "eu"}},
                    service_name="old-shop", validate=True)
    tracer = config.initialize_tracer()
    with tracer.start_span("checkout", tags={"span.kind": "server", "n": 7, "share": 0.5,
                                             "free": False, "who": "é"}) as root:
        root.log_kv({"event": "paid", "amount": 3})
        with tracer.start_span("pay", references=[child_of(root.context)]) as child:
            child.set_tag("error", True)
            child.set_tag("span.kind", "client")
        with tracer.start_span("mail", references=[follows_from(root.context)]):
            pass
    trace = root.context.trace_id
    wait_for(tracer.close().done, what="the client's end")
    return f"{trace:032x}"


def zipkin(encoding):
    from py_zipkin import Encoding, Kind
    from py_zipkin.zipkin import ZipkinAttrs, zipkin_client_span, zipkin_span
    path, kind, how = {
        "v1-thrift": ("/api/v1/spans", "application/x-thrift", Encoding.V1_THRIFT),
        "v1-json": ("/api/v1/spans", "application/json", Encoding.V1_JSON),
        "v2-json": ("/api/v2/spans", "application/json", Encoding.V2_JSON),
        "v2-proto": ("/api/v2/spans", "application/x-protobuf", Encoding.V2_PROTO3)}[encoding]

    def send(body):
        if isinstance(body, str):
            body = body.encode()
        request = urllib.request.Request(f"http://{HOST}:{PORT}{path}", body, {"Content-Type": kind})
        assert urllib.request.urlopen(request, timeout=10).status == 202
    trace = "463ac35c9f6413ad48485a3953bb6124"
    with zipkin_span(service_name="old-shop", span_name="checkout", transport_handler=send,
                     encoding=how, kind=Kind.SERVER, port=8080, host="10.0.0.1",
                     binary_annotations={"region": "eu", "http.status_code": "200"},
                     zipkin_attrs=ZipkinAttrs(trace, "a2fb4a1d1a96d312", None, "0", True)) as root:
        root.add_annotation("paid")
        with zipkin_client_span(service_name="old-shop", span_name="pay",
                                binary_annotations={"error": "declined"}) as child:
            child.add_sa_binary_annotation(443, "bank", "10.0.0.2")
    return trace


def otel(exporter):
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.trace import SpanKind, Status, StatusCode
    provider = TracerProvider(resource=Resource.create({"service.name": "old-shop",
                                                        "region": "eu"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("lib", "1.0")
    with tracer.start_as_current_span("checkout", kind=SpanKind.SERVER) as root:
        root.set_attributes({"n": 7, "share": 0.5, "free": False, "who": "é"})
        root.add_event("paid", {"amount": 3})
        with tracer.start_as_current_span("pay", kind=SpanKind.CLIENT) as child:
            child.set_status(Status(StatusCode.ERROR, "declined"))
    provider.shutdown()
    return format(root.get_span_context().trace_id, "032x")


def exporter_of(name):
    if name == "otel-jaeger-udp":
        from opentelemetry.exporter.jaeger.thrift import JaegerExporter
        return JaegerExporter(agent_host_name=HOST, agent_port=PORT)
    if name == "otel-jaeger-http":
        from opentelemetry.exporter.jaeger.thrift import JaegerExporter
        return JaegerExporter(collector_endpoint=f"http://{HOST}:{PORT}/api/traces?format=jaeger.thrift")
    if name == "otel-jaeger-grpc":
        from opentelemetry.exporter.jaeger.proto.grpc import JaegerExporter
        return JaegerExporter(collector_endpoint=f"{HOST}:{PORT}", insecure=True)
    if name == "otel-zipkin-json":
        from opentelemetry.exporter.zipkin.json import ZipkinExporter
    else:
        from opentelemetry.exporter.zipkin.proto.http import ZipkinExporter
    return ZipkinExporter(endpoint=f"http://{HOST}:{PORT}/api/v2/spans")


if CLIENT == "jaeger-udp":
    found = jaeger_client()
elif CLIENT.startswith("zipkin-"):
    found = zipkin(CLIENT.removeprefix("zipkin-"))
else:
    found = otel(exporter_of(CLIENT))
print(json.dumps({"trace": found}))
