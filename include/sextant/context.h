/* context.h - what the work in hand belongs to: its trace, its request, its deadline, its priority.
 *
 * A context is a value. The code that calls into a program's own code (the service's chain before a
 * handler, a client before a callback) enters one and leaves it when that code returns:
 *
 *     const sx_context *outer = sx_context_enter(&mine);
 *     handler(...);
 *     sx_context_leave(outer);
 *
 * so that whatever the handler starts (a query, a call to another service, a log line) finds it by
 * sx_context_current() without being told. Between callbacks there is none: nothing leaks from one
 * request into the next, however callbacks interleave. What outlives the callback keeps a copy
 * (sx_context_keep) and enters that again around its own callbacks: the clients do so. */
#ifndef SEXTANT_CONTEXT_H
#define SEXTANT_CONTEXT_H

#include <sextant/trace.h>

SX_BEGIN_DECLS

/* Who is served first when there is too much: sx_shed (shed.h). */
typedef enum sx_priority {
    SX_PRIORITY_NORMAL = 0, /* zero on purpose */
    SX_PRIORITY_CRITICAL,
    SX_PRIORITY_SHEDDABLE,
    SX_PRIORITIES
} sx_priority;

typedef struct sx_context {
    sx_span_context span; /* parent of what is started now; invalid: none */
    sx_str baggage;       /* checked; may be empty */
    sx_str request_id;
    int64_t deadline_mono_ns; /* 0: none */
    sx_priority priority;
    void *reserved[2];
} sx_context;

/* The context of the calling thread's present callback; never NULL: outside of any it is empty. */
const sx_context *sx_context_current(void);

/* Makes `c` (which must live until the leave) the current one; returns what was. HOT: 1 ns. */
const sx_context *sx_context_enter(const sx_context *c);
void sx_context_leave(const sx_context *outer);

/* The parent for a span that is started now: NULL outside of a trace. */
const sx_span_context *sx_context_span(void);

/* A copy that does not borrow: its texts lie in `room`, which the caller frees by sx_free; NULL if
 * there are none. Errors: SX_ENOMEM (then *out has no texts and is usable). */
sx_status sx_context_keep(const sx_context *c, sx_context *out, char **room);

/* What a log record about it should carry; `ids` is where the hex digits are written. */
typedef struct sx_context_ids {
    char trace[33], span[17];
} sx_context_ids;
sx_log_context sx_context_log(const sx_context *c, sx_context_ids *ids);

/* Milliseconds left until the deadline, rounded up, at least 0; -1: there is none. */
int64_t sx_context_left_ms(const sx_context *c, const sx_clock *clock);

/* `limit_ms` (0: none) cut down to what is left: for the time-out of a call made on its behalf. 0
 * if neither limits. At least 1. */
uint32_t sx_context_timeout_ms(const sx_context *c, const sx_clock *clock, uint32_t limit_ms);

SX_END_DECLS

#endif
