/* trace_carrier.c - takes a trace's context out of a request's fields and puts it into a call's.
 *
 * Which formats are read and written is the tracer's setting (OTEL_PROPAGATORS). A format that is
 * there but wrong counts as not there, and the next is tried. Called by the service's chain, the
 * clients, the gateway and the Kafka workers. */
#include "telemetry/trace_formats.h"

#include "telemetry/trace_hex.h"

/* One format: whether the carrier has it, read into *out. */
static bool from_w3c(sx_carrier_get *get, const void *carrier, sx_span_context *out)
{
    sx_str text = get(carrier, SX_STR("traceparent"));
    if (text.len == 0 || !sx_traceparent_parse(text, out))
        return false;
    out->tracestate = sx_tracestate_check(get(carrier, SX_STR("tracestate")));
    return true;
}

static bool from_b3(sx_carrier_get *get, const void *carrier, sx_span_context *out)
{
    sx_str text = get(carrier, SX_STR("b3"));
    return text.len > 0 && sx_b3_parse(text, out);
}

static bool from_b3_multi(sx_carrier_get *get, const void *carrier, sx_span_context *out)
{
    sx_b3_fields f = {get(carrier, SX_STR("x-b3-traceid")), get(carrier, SX_STR("x-b3-spanid")),
                      get(carrier, SX_STR("x-b3-sampled")), get(carrier, SX_STR("x-b3-flags"))};
    return sx_b3_fields_parse(&f, out);
}

static bool from_jaeger(sx_carrier_get *get, const void *carrier, sx_span_context *out)
{
    sx_str text = get(carrier, SX_STR("uber-trace-id"));
    return text.len > 0 && sx_uber_trace_id_parse(text, out);
}

void sx_trace_extract(unsigned propagators, sx_carrier_get *get, const void *carrier,
                      sx_span_context *out)
{
    static const struct {
        unsigned bit;
        bool (*read)(sx_carrier_get *get, const void *carrier, sx_span_context *out);
    } FORMATS[] = {
        {SX_PROPAGATE_W3C, from_w3c},
        {SX_PROPAGATE_B3, from_b3},
        {SX_PROPAGATE_B3_MULTI, from_b3_multi},
        {SX_PROPAGATE_JAEGER, from_jaeger},
    };
    sx_span_context found, decision = {.flags = 0};
    for (size_t i = 0; i < SX_COUNT_OF(FORMATS); i++) {
        if (!(propagators & FORMATS[i].bit) || !FORMATS[i].read(get, carrier, &found))
            continue;
        if (!(found.flags & SX_TRACE_DECIDED)) {
            *out = found;
            return;
        }
        if (!(decision.flags & SX_TRACE_DECIDED))
            decision = found; /* counts if no other format has ids */
    }
    *out = decision;
}

/* ---- writing ---- */

/* The fields that are being made, and where the next text goes. */
typedef struct injection {
    sx_inject_field *fields;
    size_t count;
    char *at;
} injection;

/* Adds a field of the text from `from` to where the writing stands. */
static void add(injection *in, sx_str name, const char *from)
{
    in->fields[in->count++] = (sx_inject_field){name, sx_str_of(from, (size_t)(in->at - from))};
}

static void add_borrowed(injection *in, sx_str name, sx_str value)
{
    in->fields[in->count++] = (sx_inject_field){name, value};
}

/* B3's letter for the decision; 0: it was left open. */
static char b3_letter(const sx_span_context *c)
{
    if (c->flags & SX_TRACE_DEFERRED)
        return '\0';
    if (c->flags & SX_TRACE_DEBUG)
        return 'd';
    return c->flags & SX_TRACE_SAMPLED ? '1' : '0';
}

static void add_b3(injection *in, const sx_span_context *c)
{
    char *from = in->at, letter = b3_letter(c);
    if (!(c->flags & SX_TRACE_DECIDED)) {
        in->at = sx_hex_put(in->at, c->trace_id, SX_TRACE_ID_BYTES);
        *in->at++ = '-';
        in->at = sx_hex_put(in->at, c->span_id, SX_SPAN_ID_BYTES);
        if (letter)
            *in->at++ = '-';
    }
    if (letter)
        *in->at++ = letter;
    add(in, SX_STR("b3"), from);
}

static void add_b3_multi(injection *in, const sx_span_context *c)
{
    char *from = in->at, letter = b3_letter(c);
    if (!(c->flags & SX_TRACE_DECIDED)) {
        in->at = sx_hex_put(in->at, c->trace_id, SX_TRACE_ID_BYTES);
        add(in, SX_STR("x-b3-traceid"), from);
        from = in->at;
        in->at = sx_hex_put(in->at, c->span_id, SX_SPAN_ID_BYTES);
        add(in, SX_STR("x-b3-spanid"), from);
    }
    if (letter == 'd')
        add_borrowed(in, SX_STR("x-b3-flags"), SX_STR("1")); /* says "sampled" too */
    else if (letter)
        add_borrowed(in, SX_STR("x-b3-sampled"), letter == '1' ? SX_STR("1") : SX_STR("0"));
}

static void add_jaeger(injection *in, const sx_span_context *c)
{
    char *from = in->at;
    in->at = sx_hex_put(in->at, c->trace_id, SX_TRACE_ID_BYTES);
    *in->at++ = ':';
    in->at = sx_hex_put(in->at, c->span_id, SX_SPAN_ID_BYTES);
    memcpy(in->at, ":0:", 3);
    in->at += 3;
    *in->at++ = c->flags & SX_TRACE_DEBUG ? '3' : c->flags & SX_TRACE_SAMPLED ? '1' : '0';
    add(in, SX_STR("uber-trace-id"), from);
}

size_t sx_trace_inject(unsigned propagators, const sx_span_context *c, sx_str baggage,
                       sx_inject_field fields[SX_INJECT_FIELDS], char room[SX_INJECT_BYTES])
{
    injection in = {fields, 0, room};
    bool valid = sx_span_context_valid(c);
    if (valid && (propagators & SX_PROPAGATE_W3C)) {
        sx_traceparent_write(c, in.at);
        in.at += SX_TRACEPARENT_BYTES - 1; /* the next text may lie on its NUL */
        add(&in, SX_STR("traceparent"), room);
        if (c->tracestate.len > 0)
            add_borrowed(&in, SX_STR("tracestate"), c->tracestate);
    }
    if ((propagators & SX_PROPAGATE_BAGGAGE) && baggage.len > 0)
        add_borrowed(&in, SX_STR("baggage"), baggage);
    if (valid || (c && (c->flags & SX_TRACE_DECIDED))) {
        if (propagators & SX_PROPAGATE_B3)
            add_b3(&in, c);
        if (propagators & SX_PROPAGATE_B3_MULTI)
            add_b3_multi(&in, c);
    }
    if (valid && (propagators & SX_PROPAGATE_JAEGER))
        add_jaeger(&in, c);
    sx_assert(in.count <= SX_INJECT_FIELDS && in.at <= room + SX_INJECT_BYTES);
    return in.count;
}
