/* jaeger.h - spans from Jaeger's own clients: Thrift over UDP and HTTP, protobuf over gRPC.
 *
 * Tags that say what OTLP has fields for (span.kind, error, otel.status_code, w3c.tracestate ...)
 * become these fields, as Jaeger 2's receiver does it; everything else stays an attribute.
 * Sources: jaeger-idl thrift/jaeger.thrift, agent.thrift, proto/api_v2/{model,collector}.proto;
 * OpenTelemetry specification, "Jaeger: transformations". */
#ifndef OBSERVE_SPANS_JAEGER_H
#define OBSERVE_SPANS_JAEGER_H

#include "codec/thrift.h"
#include "observe/spans/otlp.h"

/* A Batch struct: the body of POST /api/traces. */
sx_status span_read_jaeger_thrift(sx_str body, sx_thrift_protocol protocol,
                                  const span_limits *limits, span_batch *out, span_refused *refused,
                                  sx_error *err);

/* A datagram of the agent's ports: the message Agent.emitBatch, or emitZipkinBatch. */
sx_status span_read_jaeger_agent(sx_str datagram, sx_thrift_protocol protocol,
                                 const span_limits *limits, span_batch *out, span_refused *refused,
                                 sx_error *err);

/* jaeger.api_v2.PostSpansRequest. */
sx_status span_read_jaeger_proto(sx_str body, const span_limits *limits, span_batch *out,
                                 span_refused *refused, sx_error *err);

/* {"data":[TRACE...]} as Jaeger's page saves it and GET /api/traces answers, or one trace alone. */
sx_status span_read_jaeger_json(sx_str body, const span_limits *limits, span_batch *out,
                                span_refused *refused, sx_error *err);

#endif
