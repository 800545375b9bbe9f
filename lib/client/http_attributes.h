/* http_attributes.h - what OpenTelemetry's conventions want of the span of an HTTP or gRPC call.
 *
 * Source: Semantic Conventions for HTTP spans (stable), client part; for gRPC. */
#ifndef SEXTANT_CLIENT_HTTP_ATTRIBUTES_H
#define SEXTANT_CLIENT_HTTP_ATTRIBUTES_H

#include <sextant/http_client.h>
#include <sextant/trace.h>

/* What labels and span names call the method: "GET", "_OTHER"; "package.Service/Method" for gRPC. Cut to
 * `size` with its NUL. */
void http_method_name(const sx_call_start *call, char *out, size_t size);

/* Starts a call's span; `method` is what http_method_name gave. */
void http_span_start(sx_span *span, sx_tracer *tracer, const sx_span_context *parent,
                     const sx_call_start *call, const char *method, bool with_query);

/* Marks a span as failed without an answer. */
void http_span_fail(sx_span *span, const char *error_type, const sx_error *err);

/* Sets what the answer says and ends the span; `code` is error.type where that is due. */
void http_span_end(sx_span *span, const sx_call_end_info *info, bool is_grpc, int grpc_status,
                   const char *code);

/* The status of a gRPC call: of the trailers, the head, or what the HTTP status or our own failure
 * means. */
int http_grpc_status(const sx_call_end_info *info);

/* Appends a URL as it may be shown: user and password, and the values of known secrets in the query, as
 * "REDACTED"; without its query unless `with_query`; never its fragment. */
void http_url_redact(const sx_url *url, bool with_query, sx_buf *out);

#endif
