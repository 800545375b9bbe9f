/* fuzz_trace_context.c - a context that was taken out of any fields and put into a call's is the same
 * when it is taken out again, in every format that it was taken from, and what is sent is plain text.
 *
 * The input's lines are the fields: traceparent, tracestate, b3, four of B3's, uber-trace-id. */
#include <sextant/trace.h>

static const char *const NAMES[] = {"traceparent", "tracestate",   "b3",         "x-b3-traceid",
                                    "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "uber-trace-id"};

static sx_str get_line(const void *carrier, sx_str name)
{
    sx_str line = sx_str_of(NULL, 0), rest = *(const sx_str *)carrier;
    for (size_t i = 0; i < SX_COUNT_OF(NAMES); i++) {
        sx_str_cut(rest, '\n', &line, &rest);
        if (sx_str_eq(name, sx_str_z(NAMES[i])))
            return line;
    }
    sx_assert(!"a field that nobody sends was asked for");
    return line;
}

typedef struct sent {
    sx_inject_field fields[SX_INJECT_FIELDS];
    size_t count;
} sent;

static sx_str get_sent(const void *carrier, sx_str name)
{
    const sent *s = carrier;
    for (size_t i = 0; i < s->count; i++)
        if (sx_str_eq(s->fields[i].name, name))
            return s->fields[i].value;
    return sx_str_of(NULL, 0);
}

static void check_one(unsigned format, const sx_str *input)
{
    sx_span_context first, again;
    sent s;
    char room[SX_INJECT_BYTES];
    sx_trace_extract(format, get_line, input, &first);
    s.count = sx_trace_inject(format, &first, SX_STR(""), s.fields, room);
    bool something = sx_span_context_valid(&first) || (first.flags & SX_TRACE_DECIDED);
    sx_assert(something == (s.count > 0));
    for (size_t i = 0; i < s.count; i++)
        for (size_t k = 0; k < s.fields[i].value.len; k++) {
            char c = s.fields[i].value.data[k];
            sx_assert(c == '\t' || (c >= ' ' && c <= '~'));
        }
    sx_trace_extract(format, get_sent, &s, &again);
    sx_assert(memcmp(first.trace_id, again.trace_id, SX_TRACE_ID_BYTES) == 0);
    sx_assert(memcmp(first.span_id, again.span_id, SX_SPAN_ID_BYTES) == 0);
    sx_assert(first.flags == again.flags);
    sx_assert(sx_str_eq(first.tracestate, again.tracestate));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_str input = sx_str_of(data, size);
    static const unsigned FORMATS[] = {SX_PROPAGATE_W3C, SX_PROPAGATE_B3, SX_PROPAGATE_B3_MULTI,
                                       SX_PROPAGATE_JAEGER};
    for (size_t i = 0; i < SX_COUNT_OF(FORMATS); i++)
        check_one(FORMATS[i], &input);
    /* All at once: the first with ids wins, whatever the others are. */
    sx_span_context all, one;
    sx_trace_extract(SX_PROPAGATE_W3C | SX_PROPAGATE_B3 | SX_PROPAGATE_B3_MULTI |
                         SX_PROPAGATE_JAEGER,
                     get_line, &input, &all);
    for (size_t i = 0; i < SX_COUNT_OF(FORMATS); i++) {
        sx_trace_extract(FORMATS[i], get_line, &input, &one);
        if (!sx_span_context_valid(&one))
            continue;
        sx_assert(memcmp(all.trace_id, one.trace_id, SX_TRACE_ID_BYTES) == 0);
        return 0;
    }
    sx_assert(!sx_span_context_valid(&all));
    return 0;
}
