"""Jaeger's gRPC APIs for tests: message classes made from a table, and a client.

    client = JaegerClient("127.0.0.1:16685")
    client.v2.GetTrace(trace_id=b"...")        all messages of the stream
    client.storage.GetServices().services

Source: jaeger-idl proto/api_v2, api_v3, expression/v1, storage/v2. Types: s text, b bytes, B bool,
i int32, l int64, u uint64, U uint32, f fixed64, d double, t Timestamp, D Duration, m a map of texts; `*` in front: repeated;
any other word: a message."""
import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf import duration_pb2, timestamp_pb2  # registers both
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # and TracesData

assert duration_pb2 and timestamp_pb2
TRACES = "opentelemetry.proto.trace.v1.TracesData"
TIMEOUT_S = 30

MESSAGES = {
    "jaeger.api_v2": {
        "KeyValue": "key:s v_type:i v_str:s v_bool:B v_int64:l v_float64:d v_binary:b",
        "Log": "timestamp:t fields:*KeyValue",
        "SpanRef": "trace_id:b span_id:b ref_type:i",
        "Process": "service_name:s tags:*KeyValue",
        "Span": "trace_id:b span_id:b operation_name:s references:*SpanRef flags:U start_time:t "
                "duration:D tags:*KeyValue logs:*Log process:Process process_id:s warnings:*s",
        "GetTraceRequest": "trace_id:b start_time:t end_time:t raw_traces:B",
        "SpansResponseChunk": "spans:*Span",
        "ArchiveTraceRequest": "trace_id:b start_time:t end_time:t",
        "ArchiveTraceResponse": "",
        "TraceQueryParameters": "service_name:s operation_name:s tags:m start_time_min:t "
                                "start_time_max:t duration_min:D duration_max:D search_depth:i "
                                "raw_traces:B",
        "FindTracesRequest": "query:TraceQueryParameters",
        "GetServicesRequest": "",
        "GetServicesResponse": "services:*s",
        "GetOperationsRequest": "service:s span_kind:s",
        "Operation": "name:s span_kind:s",
        "GetOperationsResponse": "operation_names:*s operations:*Operation",
        "GetDependenciesRequest": "start_time:t end_time:t",
        "DependencyLink": "parent:s child:s call_count:u source:s",
        "GetDependenciesResponse": "dependencies:*DependencyLink",
    },
    "jaeger.expression.v1": {
        "AttributeReference": "key:s level:s",
        "FieldReference": "name:s level:s",
        "NestedReference": "level:s",
        "Scalar": "value:s type:s",
        "List": "values:*s type:s",
        "Expression": "attr:AttributeReference field:FieldReference nested:NestedReference "
                      "scalar:Scalar list:List call:Call",
        "Call": "op:s args:*Expression",
    },
    "jaeger.api_v3": {
        "GetTraceRequest": "trace_id:s start_time:t end_time:t raw_traces:B",
        "TraceQueryParameters": "service_name:s operation_name:s attributes:m start_time_min:t "
                                "start_time_max:t duration_min:D duration_max:D search_depth:i "
                                "raw_traces:B filter:jaeger.expression.v1.Call",
        "FindTracesRequest": "query:TraceQueryParameters",
        "FindTraceSummariesRequest": "query:TraceQueryParameters",
        "GetServicesRequest": "",
        "GetServicesResponse": "services:*s",
        "GetOperationsRequest": "service:s span_kind:s",
        "Operation": "name:s span_kind:s",
        "GetOperationsResponse": "operations:*Operation",
        "GetDependenciesRequest": "start_time:t end_time:t",
        "Dependency": "parent:s child:s call_count:u",
        "DependenciesResponse": "dependencies:*Dependency",
        "ServiceSummary": "name:s span_count:i error_span_count:i",
        "TraceSummary": "trace_id:s root_service_name:s root_operation_name:s "
                        "min_start_time_unix_nano:f max_end_time_unix_nano:f span_count:i "
                        "error_span_count:i orphan_span_count:i services:*ServiceSummary",
        "FindTraceSummariesResponse": "summaries:*TraceSummary",
    },
    "jaeger.storage.v2": {
        "GetTraceParams": "trace_id:b start_time:t end_time:t",
        "GetTracesRequest": "query:*GetTraceParams",
        "GetServicesRequest": "",
        "GetServicesResponse": "services:*s",
        "GetOperationsRequest": "service:s span_kind:s",
        "Operation": "name:s span_kind:s",
        "GetOperationsResponse": "operations:*Operation",
        "TraceQueryParameters":
            "service_name:s operation_name:s "
            "attributes:*opentelemetry.proto.common.v1.KeyValue start_time_min:t start_time_max:t "
            "duration_min:D duration_max:D search_depth:i filter:jaeger.expression.v1.Call",
        "FindTracesRequest": "query:TraceQueryParameters",
        "FindTraceIDsRequest": "query:TraceQueryParameters",
        "FoundTraceID": "trace_id:b start:t end:t",
        "FindTraceIDsResponse": "trace_ids:*FoundTraceID",
        "ServiceSummary": "name:s span_count:i error_span_count:i",
        "TraceSummary": "trace_id:b root_service_name:s root_operation_name:s "
                        "min_start_time_unix_nano:f max_end_time_unix_nano:f span_count:i "
                        "error_span_count:i orphan_span_count:i services:*ServiceSummary",
        "FindTraceSummariesRequest": "query:TraceQueryParameters",
        "FindTraceSummariesResponse": "summaries:*TraceSummary",
        "GetDependenciesRequest": "start_time:t end_time:t",
        "Dependency": "parent:s child:s call_count:u source:s",
        "GetDependenciesResponse": "dependencies:*Dependency",
        "FilterCapabilities": "levels:*s operators:*s",
        "SearchCapabilities": "without_service_name:B same_span_conjunction:B "
                              "filter:FilterCapabilities",
        "GetCapabilitiesRequest": "",
        "GetCapabilitiesResponse": "search:SearchCapabilities",
    },
}

# Method: request, response, whether the answer is a stream.
SERVICES = {
    "jaeger.api_v2.QueryService": {
        "GetTrace": ("GetTraceRequest", "SpansResponseChunk", True),
        "ArchiveTrace": ("ArchiveTraceRequest", "ArchiveTraceResponse", False),
        "FindTraces": ("FindTracesRequest", "SpansResponseChunk", True),
        "GetServices": ("GetServicesRequest", "GetServicesResponse", False),
        "GetOperations": ("GetOperationsRequest", "GetOperationsResponse", False),
        "GetDependencies": ("GetDependenciesRequest", "GetDependenciesResponse", False),
    },
    "jaeger.api_v3.QueryService": {
        "GetTrace": ("GetTraceRequest", TRACES, True),
        "FindTraces": ("FindTracesRequest", TRACES, True),
        "GetServices": ("GetServicesRequest", "GetServicesResponse", False),
        "GetOperations": ("GetOperationsRequest", "GetOperationsResponse", False),
        "GetDependencies": ("GetDependenciesRequest", "DependenciesResponse", False),
        "FindTraceSummaries": ("FindTraceSummariesRequest", "FindTraceSummariesResponse", True),
    },
    "jaeger.storage.v2.TraceReader": {
        "GetTraces": ("GetTracesRequest", TRACES, True),
        "GetServices": ("GetServicesRequest", "GetServicesResponse", False),
        "GetOperations": ("GetOperationsRequest", "GetOperationsResponse", False),
        "FindTraces": ("FindTracesRequest", TRACES, True),
        "FindTraceIDs": ("FindTraceIDsRequest", "FindTraceIDsResponse", False),
        "FindTraceSummaries": ("FindTraceSummariesRequest", "FindTraceSummariesResponse", True),
    },
    "jaeger.storage.v2.DependencyReader": {
        "GetDependencies": ("GetDependenciesRequest", "GetDependenciesResponse", False),
    },
    "jaeger.storage.v2.Capabilities": {
        "GetCapabilities": ("GetCapabilitiesRequest", "GetCapabilitiesResponse", False),
    },
}

_SCALARS = {"s": "STRING", "b": "BYTES", "B": "BOOL", "i": "INT32", "l": "INT64", "u": "UINT64",
            "U": "UINT32", "f": "FIXED64", "d": "DOUBLE"}
_KNOWN = {"t": "google.protobuf.Timestamp", "D": "google.protobuf.Duration"}
_FIELD = descriptor_pb2.FieldDescriptorProto


def _add_field(message, package, number, text):
    name, kind = text.split(":")
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    if kind.startswith("*"):
        field.label = _FIELD.LABEL_REPEATED
        kind = kind[1:]
    if kind in _SCALARS:
        field.type = getattr(_FIELD, "TYPE_" + _SCALARS[kind])
        return
    field.type = _FIELD.TYPE_MESSAGE
    if kind == "m":
        entry = message.nested_type.add(name="".join(p.title() for p in name.split("_")) + "Entry")
        entry.options.map_entry = True
        for at, part in enumerate(("key", "value"), 1):
            entry.field.add(name=part, number=at, label=_FIELD.LABEL_OPTIONAL,
                            type=_FIELD.TYPE_STRING)
        field.label = _FIELD.LABEL_REPEATED
        field.type_name = f".{package}.{message.name}.{entry.name}"
    else:
        kind = _KNOWN.get(kind, kind)
        field.type_name = "." + (kind if "." in kind else f"{package}.{kind}")


def _load():
    pool = descriptor_pool.Default()
    for package, messages in MESSAGES.items():
        file = descriptor_pb2.FileDescriptorProto(
            name=f"tests/{package}.proto", package=package, syntax="proto3",
            dependency=["google/protobuf/timestamp.proto", "google/protobuf/duration.proto",
                        "opentelemetry/proto/trace/v1/trace.proto",
                        "opentelemetry/proto/common/v1/common.proto"])
        if package in ("jaeger.api_v3", "jaeger.storage.v2"):
            file.dependency.append("tests/jaeger.expression.v1.proto")
        for name, fields in messages.items():
            message = file.message_type.add(name=name)
            for number, text in enumerate(fields.split(), 1):
                _add_field(message, package, number, text)
        pool.Add(file)
    return pool


_POOL = _load()


def message_class(name):
    """The class of a message by its full name."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


class _Service:
    def __init__(self, channel, name):
        package = name.rsplit(".", 1)[0]
        for method, (request, response, stream) in SERVICES[name].items():
            full = [n if "." in n else f"{package}.{n}" for n in (request, response)]
            kind = channel.unary_stream if stream else channel.unary_unary
            setattr(self, method, self._caller(
                kind(f"/{name}/{method}",
                     request_serializer=message_class(full[0]).SerializeToString,
                     response_deserializer=message_class(full[1]).FromString),
                message_class(full[0]), stream))

    @staticmethod
    def _caller(stub, request, stream):
        def call(timeout=TIMEOUT_S, **fields):
            answer = stub(request(**fields), timeout=timeout)
            return list(answer) if stream else answer
        call.stub = stub
        call.request = request
        return call


class JaegerClient:
    """v2, v3: the query services; storage, dependencies, capabilities: those of storage v2."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.v2 = _Service(self.channel, "jaeger.api_v2.QueryService")
        self.v3 = _Service(self.channel, "jaeger.api_v3.QueryService")
        self.storage = _Service(self.channel, "jaeger.storage.v2.TraceReader")
        self.dependencies = _Service(self.channel, "jaeger.storage.v2.DependencyReader")
        self.capabilities = _Service(self.channel, "jaeger.storage.v2.Capabilities")
        self.export = self.channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            request_serializer=trace_service_pb2.ExportTraceServiceRequest.SerializeToString,
            response_deserializer=trace_service_pb2.ExportTraceServiceResponse.FromString)

    def close(self):
        self.channel.close()
