/* trace_b3.c - the older ways of passing a trace on: B3 in one field, B3 in several, and Jaeger's.
 *
 * They are read where a caller still sends them and written where a callee still needs them. Unlike
 * W3C's, they let ids be shorter than ours, digits be upper-case, and the decision be left open (B3)
 * or come alone (B3). Sources: openzipkin/b3-propagation; Jaeger documentation, "Client libraries",
 * "Propagation format". Called by trace_carrier.c. */
#include "telemetry/trace_formats.h"

#include "telemetry/trace_hex.h"

/* Reads 16 or 32 digits, the shorter form into the second half. */
static bool read_trace_id(sx_str text, uint8_t out[SX_TRACE_ID_BYTES])
{
    memset(out, 0, SX_TRACE_ID_BYTES);
    if (text.len == 32)
        return sx_hex_read(sx_hex_any, text.data, out, 16);
    return text.len == 16 && sx_hex_read(sx_hex_any, text.data, out + 8, 8);
}

static bool read_span_id(sx_str text, uint8_t out[SX_SPAN_ID_BYTES])
{
    return text.len == 16 && sx_hex_read(sx_hex_any, text.data, out, SX_SPAN_ID_BYTES);
}

/* "0", "1" or "d"; -1 if it is none of them. */
static int decision_of(sx_str text)
{
    if (text.len != 1)
        return -1;
    switch (text.data[0]) {
    case '0':
        return 0;
    case '1':
        return SX_TRACE_SAMPLED;
    case 'd':
        return SX_TRACE_SAMPLED | SX_TRACE_DEBUG;
    default:
        return -1;
    }
}

/* {trace id}-{span id}[-{decision}[-{parent span id}]], or {decision}. */
bool sx_b3_parse(sx_str text, sx_span_context *out)
{
    sx_span_context c = {.remote = true};
    sx_str trace, span, decision, parent;
    uint8_t parent_id[SX_SPAN_ID_BYTES];
    if (text.len == 1) {
        int flags = decision_of(text);
        if (flags < 0)
            return false;
        c.flags = (uint8_t)(flags | SX_TRACE_DECIDED);
        *out = c;
        return true;
    }
    if (!sx_str_cut(text, '-', &trace, &span))
        return false;
    bool has_decision = sx_str_cut(span, '-', &span, &decision);
    bool has_parent = sx_str_cut(decision, '-', &decision, &parent);
    if (!read_trace_id(trace, c.trace_id) || !read_span_id(span, c.span_id))
        return false;
    if (has_parent && !read_span_id(parent, parent_id))
        return false;
    int flags = has_decision ? decision_of(decision) : SX_TRACE_DEFERRED;
    if (flags < 0 || !sx_span_context_valid(&c))
        return false;
    c.flags = (uint8_t)flags;
    *out = c;
    return true;
}

/* The decision of the several fields: x-b3-flags "1" is debug and beats x-b3-sampled, which older
 * callers write in words; neither leaves it open. -1: not right. */
static int decision_of_fields(const sx_b3_fields *f)
{
    if (sx_str_eq(f->flags, SX_STR("1")))
        return SX_TRACE_SAMPLED | SX_TRACE_DEBUG;
    if (f->sampled.len == 0)
        return SX_TRACE_DEFERRED;
    if (sx_str_ieq(f->sampled, SX_STR("true")))
        return SX_TRACE_SAMPLED;
    if (sx_str_ieq(f->sampled, SX_STR("false")))
        return 0;
    return decision_of(f->sampled);
}

bool sx_b3_fields_parse(const sx_b3_fields *f, sx_span_context *out)
{
    sx_span_context c = {.remote = true};
    int flags = decision_of_fields(f);
    if (flags < 0)
        return false;
    c.flags = (uint8_t)flags;
    if (f->trace_id.len == 0 && f->span_id.len == 0) {
        if (flags == SX_TRACE_DEFERRED)
            return false; /* nothing is there */
        c.flags |= SX_TRACE_DECIDED;
        *out = c;
        return true;
    }
    if (!read_trace_id(f->trace_id, c.trace_id) || !read_span_id(f->span_id, c.span_id) ||
        !sx_span_context_valid(&c))
        return false;
    *out = c;
    return true;
}

/* ---- Jaeger ---- */

/* Takes the digits that `rest` begins with, 1 to 2 * `bytes`, as a number that fills `out` from its
 * end. */
static bool take_number(sx_str *rest, uint8_t *out, size_t bytes)
{
    size_t len = 0;
    while (len < rest->len && sx_hex_any[(unsigned char)rest->data[len]])
        len++;
    if (len == 0 || len > 2 * bytes)
        return false;
    memset(out, 0, bytes);
    for (size_t i = 0; i < len; i++) {
        unsigned digit = sx_hex_any[(unsigned char)rest->data[len - 1 - i]] & 15;
        out[bytes - 1 - i / 2] |= (uint8_t)(i % 2 ? digit << 4 : digit);
    }
    *rest = sx_str_from(*rest, len);
    return true;
}

/* Takes a colon, which some clients percent-encode. */
static bool take_colon(sx_str *rest)
{
    if (sx_str_starts(*rest, SX_STR(":")))
        *rest = sx_str_from(*rest, 1);
    else if (sx_str_starts(*rest, SX_STR("%3A")) || sx_str_starts(*rest, SX_STR("%3a")))
        *rest = sx_str_from(*rest, 3);
    else
        return false;
    return true;
}

/* {trace id}:{span id}:{parent span id, of no use}:{flags: 1 sampled, 2 debug}. */
bool sx_uber_trace_id_parse(sx_str text, sx_span_context *out)
{
    enum { JAEGER_SAMPLED = 1, JAEGER_DEBUG = 2 };
    sx_span_context c = {.remote = true};
    uint8_t parent_id[SX_SPAN_ID_BYTES], flags;
    if (!take_number(&text, c.trace_id, SX_TRACE_ID_BYTES) || !take_colon(&text) ||
        !take_number(&text, c.span_id, SX_SPAN_ID_BYTES) || !take_colon(&text) ||
        !take_number(&text, parent_id, SX_SPAN_ID_BYTES) || !take_colon(&text) ||
        !take_number(&text, &flags, 1) || text.len > 0 || !sx_span_context_valid(&c))
        return false;
    if (flags & JAEGER_SAMPLED) /* debug means nothing without it */
        c.flags = flags & JAEGER_DEBUG ? SX_TRACE_SAMPLED | SX_TRACE_DEBUG : SX_TRACE_SAMPLED;
    *out = c;
    return true;
}
