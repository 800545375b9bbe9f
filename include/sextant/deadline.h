/* deadline.h - how long the caller will wait, read from its request and passed on with ours.
 *
 * A service reads the caller's fields into its context's deadline; every call made for that
 * request is cut to what is left (sx_context_timeout_ms) and says so to the next service. Work
 * for a caller who has given up is then not begun anywhere.
 *
 *     sx_deadline_fields f = {.grpc_timeout = ..., .request_timeout = ..., .envoy_ms = ...};
 *     if (sx_deadline_read(&f, 30000, &ms, &err) == SX_OK && ms >= 0)
 *         context.deadline_mono_ns = sx_deadline_after_ms(clock, ms);
 *
 *     n = sx_deadline_write(sx_context_left_ms(context, clock), SX_DEADLINE_ENVOY, fields, room);
 * */
#ifndef SEXTANT_DEADLINE_H
#define SEXTANT_DEADLINE_H

#include <sextant/clock.h>
#include <sextant/error.h>
#include <sextant/str.h>

SX_BEGIN_DECLS

/* What a request has; empty: not there. */
typedef struct sx_deadline_fields {
    sx_str grpc_timeout;    /* grpc-timeout: "100m". gRPC over HTTP/2, "Requests" */
    sx_str request_timeout; /* X-Request-Timeout: seconds "2.5", or with a unit "500ms" */
    sx_str envoy_ms;        /* X-Envoy-Expected-Rq-Timeout-Ms: "1500". Envoy, "HTTP router" */
} sx_deadline_fields;

/* The shortest of the times that are given, in ms from now, cut to `most_ms` (0: not cut); -1 if
 * none is given. A time of 0 is over already. Errors: SX_EFORMAT, with the field's name: nothing
 * is filled; who wants to go on without that field clears it. */
sx_status sx_deadline_read(const sx_deadline_fields *fields, int64_t most_ms, int64_t *ms,
                           sx_error *err);

/* Reads "2.5" (seconds), "500ms", "3s", "2m", "1h", "250us", rounded up to whole ms; at most ten
 * years (longer becomes that). No sign, no exponent, no space inside. Errors: SX_EFORMAT. */
sx_status sx_timeout_parse(sx_str text, int64_t *ms, sx_error *err);

/* The moment `ms` from now, for sx_context.deadline_mono_ns: never 0, which is none. */
int64_t sx_deadline_after_ms(const sx_clock *clock, int64_t ms);

/* Which fields to write. */
typedef enum sx_deadline_kind {
    SX_DEADLINE_REQUEST = 1 << 0, /* X-Request-Timeout, in seconds */
    SX_DEADLINE_ENVOY = 1 << 1,   /* X-Envoy-Expected-Rq-Timeout-Ms */
    SX_DEADLINE_GRPC = 1 << 2     /* grpc-timeout; sx_grpc_start writes its own */
} sx_deadline_kind;

typedef struct sx_deadline_field {
    sx_str name, value;
} sx_deadline_field;
enum { SX_DEADLINE_FIELDS = 3, SX_DEADLINE_BYTES = 80 };

/* The fields of `kinds` (bits) for what is left, whose texts lie in `room`; none if left_ms is
 * below 0. Returns how many. */
size_t sx_deadline_write(int64_t left_ms, unsigned kinds,
                         sx_deadline_field fields[SX_DEADLINE_FIELDS],
                         char room[SX_DEADLINE_BYTES]);

SX_END_DECLS

#endif
