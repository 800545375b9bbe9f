/* client_http.h - the HTTP client (http_client.h) and gRPC calls (grpc.h), traced, measured and broken.
 *
 *     sx_http_client *client;
 *     sx_kit_http_client_new(loop, kit, &(sx_kit_http_options){.client.name = "payments"}, &client, &err);
 *     sx_http_call(client, &(sx_call_request){.url = SX_STR("http://pay:8080/v1/charges")}, ...);
 *
 * The client is an sx_http_client like any other; what is here hangs on it as its observer. Each call
 *
 *   - has a client span, child of the current context: "GET", or "package.Service/Method" for gRPC, with
 *     the attributes of OpenTelemetry's conventions; ERROR from status 400 on, for gRPC from 1 on;
 *   - carries traceparent, tracestate, baggage (what the tracer sends) and X-Request-ID;
 *   - is counted in http_client_requests_total{method,host,code} and
 *     http_client_request_duration_seconds{method,host,code}, or in grpc_client_requests_total and
 *     grpc_client_request_duration_seconds; where no answer came `code` is a word: timeout, refused,
 *     canceled, unavailable. http_client_requests_in_flight{host} and http_client_connections{state}
 *     are gauges;
 *   - passes a circuit breaker: one an origin ("http://pay:8080"), or one for all by client.name. 5xx
 *     but 501, time-outs and broken connections are failures; of gRPC's statuses UNKNOWN,
 *     DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS. While it is open a call fails with
 *     SX_REFUSED;
 *   - takes no longer than the current context's deadline; a gRPC call tells the server so;
 *   - enters the context of its caller again around the caller's functions.
 *
 * A client with a name has a health check of that name, which every answer tells. */
#ifndef SEXTANT_CLIENT_HTTP_H
#define SEXTANT_CLIENT_HTTP_H

#include <sextant/client.h>
#include <sextant/http_client.h>

SX_BEGIN_DECLS

typedef struct sx_kit_http_options { /* 0 or NULL takes the default */
    sx_http_client_options http;     /* its observer is ours */
    sx_client_options client;        /* name NULL: breakers by origin and no health check */
    const char
        *probe_url; /* asked with GET when nothing else was for client.probe_ms; NULL: nobody */
    unsigned propagators; /* SX_PROPAGATE_…; 0: what the tracer sends */
    bool propagation_off; /* send nothing: to strangers */
    bool query_recorded;  /* url.full with its query, known secrets in it hidden; else without */
} sx_kit_http_options;

/* A client on `loop` that reports to `kit` (NULL: only the context is kept); `options` may be NULL, and
 * is copied. Free it by sx_http_client_free. Errors: as sx_http_client_new and sx_metric_new. */
sx_status sx_kit_http_client_new(sx_loop *loop, const sx_kit *kit,
                                 const sx_kit_http_options *options, sx_http_client **out,
                                 sx_error *err);

SX_END_DECLS

#endif
