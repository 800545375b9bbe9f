"""Receivers of OTLP: real ones, which decode by OpenTelemetry's own protobuf classes, and mad ones.

    with Receiver() as r: ... OTEL_EXPORTER_OTLP_ENDPOINT=r.url ... r.spans()
"""
import base64
import concurrent.futures
import gzip
import http.server
import json
import socket
import ssl
import threading

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

REQUESTS = {
    "/v1/traces": trace_service_pb2.ExportTraceServiceRequest,
    "/v1/logs": logs_service_pb2.ExportLogsServiceRequest,
    "/v1/metrics": metrics_service_pb2.ExportMetricsServiceRequest,
}
ANSWERS = {
    "/v1/traces": trace_service_pb2.ExportTraceServiceResponse,
    "/v1/logs": logs_service_pb2.ExportLogsServiceResponse,
    "/v1/metrics": metrics_service_pb2.ExportMetricsServiceResponse,
}
HEX_FIELDS = ("traceId", "spanId", "parentSpanId")


def hex_to_base64(node):
    """OTLP's JSON has ids in hex where protobuf's has base64: for json_format."""
    if isinstance(node, list):
        for item in node:
            hex_to_base64(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in HEX_FIELDS:
                assert value == value.lower()
                node[key] = base64.b64encode(bytes.fromhex(value)).decode()
            else:
                hex_to_base64(value)


def decode(path, content_type, body):
    request = REQUESTS[path]()
    if content_type == "application/json":
        tree = json.loads(body)
        hex_to_base64(tree)
        json_format.ParseDict(tree, request)  # an unknown field is an error
    else:
        assert content_type == "application/x-protobuf"
        request.ParseFromString(body)
    return request


class Received:
    """What has come so far, by path."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = []  # (path, headers with lower-case names, message)
        self.faults = []

    def add(self, path, headers, message):
        with self.lock:
            self.requests.append((path, headers, message))

    def messages(self, path):
        with self.lock:
            assert not self.faults, self.faults
            return [message for at, _, message in self.requests if at == path]

    def spans(self):
        return [span for m in self.messages("/v1/traces") for r in m.resource_spans
                for s in r.scope_spans for span in s.spans]

    def logs(self):
        return [record for m in self.messages("/v1/logs") for r in m.resource_logs
                for s in r.scope_logs for record in s.log_records]

    def metrics(self):
        """The last of each name."""
        return {metric.name: metric for m in self.messages("/v1/metrics")
                for r in m.resource_metrics for s in r.scope_metrics for metric in s.metrics}

    def resources(self):
        with self.lock:
            return [r.resource for path, _, m in self.requests
                    for r in getattr(m, {"/v1/traces": "resource_spans", "/v1/logs": "resource_logs",
                                         "/v1/metrics": "resource_metrics"}[path])]


class Receiver(Received):
    """HTTP. `answer(path, headers)` may return (status, headers, body) in place of success. `tls`:
    files of our chain, our key, and of the certificate that clients must have."""

    def __init__(self, answer=None, tls=None):
        super().__init__()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                headers = {k.lower(): v for k, v in self.headers.items()}
                body = self.rfile.read(int(headers["content-length"]))
                path = self.path.partition("?")[0]
                try:
                    if headers.get("content-encoding") == "gzip":
                        body = gzip.decompress(body)
                    message = decode(path, headers["content-type"], body)
                except Exception as e:  # noqa: BLE001 - told by the next look
                    outer.faults.append(f"{self.path}: {e!r}")
                    message = None
                status, extra, out = 200, {}, None
                if answer:
                    status, extra, out = answer(path, headers) or (200, {}, None)
                if status == 200 and message is not None:
                    outer.add(path, headers, message)
                if out is None:
                    out, kind = b"", headers["content-type"]
                    if kind == "application/json":
                        out = json_format.MessageToJson(ANSWERS[path]()).encode()
                    extra = {**extra, "Content-Type": kind}
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a client that went away, or whom we do not trust

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}"
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls[2])
            context.load_cert_chain(tls[0], tls[1])
            context.verify_mode = ssl.CERT_REQUIRED
            # Without the handshake in accept(): one that fails is its thread's fault, not ours.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


class GrpcReceiver(Received):
    """gRPC, by grpcio. `answer(context)` may abort the call; `tls` as Receiver's."""

    def __init__(self, answer=None, tls=None):
        super().__init__()
        outer = self

        def export(path):
            def call(_, request, context):
                if answer:
                    answer(context)
                outer.add(path, {k: v for k, v in context.invocation_metadata()}, request)
                return ANSWERS[path]()
            return call

        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        for path, base, add in (
                ("/v1/traces", trace_service_pb2_grpc.TraceServiceServicer,
                 trace_service_pb2_grpc.add_TraceServiceServicer_to_server),
                ("/v1/logs", logs_service_pb2_grpc.LogsServiceServicer,
                 logs_service_pb2_grpc.add_LogsServiceServicer_to_server),
                ("/v1/metrics", metrics_service_pb2_grpc.MetricsServiceServicer,
                 metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server)):
            add(type("Servicer", (base,), {"Export": export(path)})(), self.server)
        if tls:
            chain, key, clients = (open(path, "rb").read() for path in tls)
            credentials = grpc.ssl_server_credentials([(key, chain)], clients, True)
            port = self.server.add_secure_port("127.0.0.1:0", credentials)
        else:
            port = self.server.add_insecure_port("127.0.0.1:0")
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(0).wait(10)


class Mad:
    """A listener that gives every connection to `behave(connection)`, which may do anything."""

    def __init__(self, behave):
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = []
        self.count = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.behave(connection)
        except OSError:
            pass  # the exporter has had enough

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.connections:
            connection.close()
