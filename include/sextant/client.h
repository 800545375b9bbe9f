/* client.h - what the kit's clients (HTTP, gRPC, Redis, PostgreSQL, SQLite) have in common.
 *
 * Each takes an sx_kit (kit.h), which may be NULL, and does by itself what its members allow:
 *
 *   tracer    a client span for each call by OpenTelemetry's conventions, child of the current context
 *   metrics   a histogram of durations and a counter of outcomes, and gauges of the pool
 *   breakers  one breaker for each target: while it is open a call fails at once, with SX_REFUSED
 *   health    a check that every result tells, and a probe in the background when nothing else does
 *
 * and, whether there is a kit or not: a call's time-out is cut to the deadline of the current context
 * (context.h), which is kept and entered again around the caller's functions. */
#ifndef SEXTANT_CLIENT_H
#define SEXTANT_CLIENT_H

#include <sextant/kit.h>

SX_BEGIN_DECLS

typedef struct sx_client_options { /* 0 or NULL takes the default */
    const char *name; /* of breaker and check, and label "target"; default: the kind of client */
    sx_breaker_options breaker;
    bool breaker_off;        /* no breaker */
    bool health_off;         /* no check */
    bool health_informative; /* the check is shown, but does not make the service unready */
    uint32_t probe_ms;       /* 10000: a quiet target is asked so often whether it is well */
} sx_client_options;

SX_END_DECLS

#endif
