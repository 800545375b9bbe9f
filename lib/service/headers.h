/* headers.h - the fields of a request that the chain looks at, found in one pass.
 *
 * A browser sends twenty fields and the chain wants some of nineteen: looking up each by name would
 * walk the list nineteen times. Here every field is looked at once; its length nearly always says
 * that nobody wants it. */
#ifndef SEXTANT_SERVICE_HEADERS_H
#define SEXTANT_SERVICE_HEADERS_H

#include <sextant/http.h>

/* One list for the numbers and the names, lower case. */
#define SX_SEEN_LIST(X)                                                                            \
    X(B3, "b3")                                                                                    \
    X(ORIGIN, "origin")                                                                            \
    X(BAGGAGE, "baggage")                                                                          \
    X(TRACESTATE, "tracestate")                                                                    \
    X(X_B3_FLAGS, "x-b3-flags")                                                                    \
    X(USER_AGENT, "user-agent")                                                                    \
    X(TRACEPARENT, "traceparent")                                                                  \
    X(X_B3_SPANID, "x-b3-spanid")                                                                  \
    X(X_REQUEST_ID, "x-request-id")                                                                \
    X(X_B3_TRACEID, "x-b3-traceid")                                                                \
    X(X_B3_SAMPLED, "x-b3-sampled")                                                                \
    X(GRPC_TIMEOUT, "grpc-timeout")                                                                \
    X(UBER_TRACE_ID, "uber-trace-id")                                                              \
    X(AUTHORIZATION, "authorization")                                                              \
    X(ACCEPT_ENCODING, "accept-encoding")                                                          \
    X(X_REQUEST_TIMEOUT, "x-request-timeout")                                                      \
    X(X_B3_PARENTSPANID, "x-b3-parentspanid")                                                      \
    X(REQUEST_METHOD, "access-control-request-method")                                             \
    X(REQUEST_HEADERS, "access-control-request-headers")                                           \
    X(ENVOY_TIMEOUT, "x-envoy-expected-rq-timeout-ms")

typedef enum sx_seen {
#define X(id, name) SX_SEEN_##id,
    SX_SEEN_LIST(X)
#undef X
        SX_SEEN_COUNT
} sx_seen;

typedef struct sx_seen_headers {
    uint32_t found;               /* bit n: values[n] is set */
    sx_str values[SX_SEEN_COUNT]; /* views of the request, or of its arena */
} sx_seen_headers;

/* Finds them. Of a field that is there twice, tracestate, baggage and accept-encoding are joined with
 * ',' in the arena (RFC 9110, section 5.3); a second traceparent makes it count as absent (W3C Trace
 * Context, section 3.2: "exactly one"); of all others the first counts. HOT. */
void sx_headers_scan(sx_request *r, sx_seen_headers *out);

/* The value of one; data NULL if it is not there. */
static inline sx_str sx_headers_get(const sx_seen_headers *h, sx_seen which)
{
    return h->found & 1u << which ? h->values[which] : sx_str_of(NULL, 0);
}

/* The same by lower-case name: a carrier of trace.h. `carrier` is an sx_seen_headers. */
sx_str sx_headers_carrier_get(const void *carrier, sx_str name);

#endif
