/* context.c - the current context of a thread, and what is asked of it.
 *
 * The pointer is a thread-local, and yet nothing leaks by it: it is only set between an enter and the
 * leave that puts back what was, around one call into somebody's code, and what it points at lives on
 * the stack or in the request of whoever entered it. A callback that comes later, for whichever
 * request, is entered anew by the code that calls it. */
#include <sextant/context.h>

#include <sextant/mem.h>

static const sx_context EMPTY = {.request_id = SX_STR_INIT("")};

/* See above for why this is no leak; initial-exec because it is read on hot paths. */
static __thread const sx_context *current __attribute__((tls_model("initial-exec")));

const sx_context *sx_context_current(void)
{
    return current ? current : &EMPTY;
}

const sx_context *sx_context_enter(const sx_context *c)
{
    const sx_context *outer = current;
    current = c;
    return outer ? outer : &EMPTY;
}

void sx_context_leave(const sx_context *outer)
{
    current = outer;
}

const sx_span_context *sx_context_span(void)
{
    return current && sx_span_context_valid(&current->span) ? &current->span : NULL;
}

/* Moves one text into the block at *at. */
static sx_str move(sx_str text, char **at)
{
    if (text.len == 0)
        return SX_STR("");
    memcpy(*at, text.data, text.len);
    sx_str moved = sx_str_of(*at, text.len);
    *at += text.len;
    return moved;
}

sx_status sx_context_keep(const sx_context *c, sx_context *out, char **room)
{
    sx_str tracestate = c->span.tracestate, baggage = c->baggage, request_id = c->request_id;
    size_t bytes = tracestate.len + baggage.len + request_id.len;
    *out = *c;
    out->span.tracestate = out->baggage = out->request_id = SX_STR("");
    *room = NULL;
    if (bytes == 0)
        return SX_OK;
    char *at = sx_alloc(bytes);
    if (!at)
        return SX_ENOMEM;
    *room = at;
    out->span.tracestate = move(tracestate, &at);
    out->baggage = move(baggage, &at);
    out->request_id = move(request_id, &at);
    return SX_OK;
}

sx_log_context sx_context_log(const sx_context *c, sx_context_ids *ids)
{
    sx_log_context log = {.request_id = c->request_id};
    if (sx_span_context_valid(&c->span)) {
        sx_trace_id_hex(&c->span, ids->trace);
        sx_span_id_hex(&c->span, ids->span);
        log.trace_id = sx_str_of(ids->trace, sizeof(ids->trace) - 1);
        log.span_id = sx_str_of(ids->span, sizeof(ids->span) - 1);
    }
    return log;
}

int64_t sx_context_left_ms(const sx_context *c, const sx_clock *clock)
{
    if (c->deadline_mono_ns == 0)
        return -1;
    int64_t left_ns;
    if (__builtin_sub_overflow(c->deadline_mono_ns, sx_clock_mono_ns(clock), &left_ns))
        return c->deadline_mono_ns < 0 ? 0 : INT64_MAX / 1000000;
    return left_ns <= 0 ? 0 : left_ns / 1000000 + (left_ns % 1000000 != 0);
}

uint32_t sx_context_timeout_ms(const sx_context *c, const sx_clock *clock, uint32_t limit_ms)
{
    int64_t left_ms = sx_context_left_ms(c, clock);
    if (left_ms < 0)
        return limit_ms;
    if (limit_ms > 0 && left_ms > limit_ms)
        return limit_ms;
    if (left_ms > UINT32_MAX)
        return UINT32_MAX;
    return left_ms > 0 ? (uint32_t)left_ms : 1;
}
