/* zipkin.h - spans from Zipkin's clients: version 2 in JSON and protobuf, version 1 in JSON and Thrift.
 *
 * Sources: zipkin-api zipkin2-api.yaml, zipkin.proto, thrift/zipkinCore.thrift; what becomes of tags,
 * endpoints and annotations is as Jaeger 2's receiver does it. */
#ifndef OBSERVE_SPANS_ZIPKIN_H
#define OBSERVE_SPANS_ZIPKIN_H

#include "codec/thrift.h"
#include "observe/spans/otlp.h"

/* The bodies of POST /api/v2/spans and /api/v1/spans: an array of spans. */
sx_status span_read_zipkin_json(sx_str body, const span_limits *limits, span_batch *out,
                                span_refused *refused, sx_error *err);
sx_status span_read_zipkin_v1_json(sx_str body, const span_limits *limits, span_batch *out,
                                   span_refused *refused, sx_error *err);
/* zipkin.proto3.ListOfSpans. */
sx_status span_read_zipkin_proto(sx_str body, const span_limits *limits, span_batch *out,
                                 span_refused *refused, sx_error *err);
/* A list of version 1 spans in the binary protocol: application/x-thrift. */
sx_status span_read_zipkin_thrift(sx_str body, const span_limits *limits, span_batch *out,
                                  span_refused *refused, sx_error *err);

/* The arguments of Agent.emitZipkinBatch, which `r` stands before. */
sx_status span_read_zipkin_thrift_args(sx_thrift *r, const span_limits *limits, span_batch *out,
                                       span_refused *refused, sx_error *err);

#endif
