/* processor_sampler.c - probabilistic_sampler: a share of all traces, the same for all of a trace.
 *
 * hash_seed: the first 14 bits of FNV-1a over seed and trace id below the share. proportional and
 * equalizing: OpenTelemetry's consistent sampling, 56 bits of randomness (`rv` in the trace state, or the
 * end of the trace id) not below a threshold, which is then told in the trace state (`th`). The attribute
 * sampling.priority decides alone where it is there.
 * Sources: opentelemetry-collector-contrib, processor/probabilisticsamplerprocessor/README.md;
 * OpenTelemetry specification, "TraceState: Probability Sampling". */
#include <math.h>
#include <stdio.h>

#include <sextant/number.h>

#include "observe/collector/processor.h"

typedef enum sampler_mode { MODE_HASH, MODE_PROPORTIONAL, MODE_EQUALIZING } sampler_mode;

typedef struct sampler_settings {
    int mode; /* sampler_mode */
    double percentage;
    uint32_t hash_seed;
    uint32_t precision; /* hexadecimal digits of a threshold: 4 */
    bool fail_closed;   /* true: without randomness a span is dropped */
    sx_str attribute_source;
} sampler_settings;

typedef struct sampler_state {
    uint32_t hash_below; /* of 0x4000 */
    uint64_t threshold;  /* of 2^56 */
    sx_counter *sampled, *not_sampled;
} sampler_state;

#define S(member)  offsetof(sampler_settings, member)
#define RANDOMNESS (UINT64_C(1) << 56)

static const bind_choice MODES[] = {{"hash_seed", MODE_HASH},
                                    {"proportional", MODE_PROPORTIONAL},
                                    {"equalizing", MODE_EQUALIZING},
                                    {NULL, 0}};

static void set_defaults(void *target)
{
    *(sampler_settings *)target = (sampler_settings){
        .precision = 4, .fail_closed = true, .attribute_source = SX_STR("traceID")};
}

static sx_status check(bind *b, const sx_yaml_node *map, void *target)
{
    const sampler_settings *s = target;
    if (!(s->percentage >= 0 && isfinite(s->percentage)))
        return bind_fault(b, map, "sampling_percentage must not be negative");
    if (s->precision < 1 || s->precision > 14)
        return bind_fault(b, map, "sampling_precision must be from 1 to 14");
    if (!sx_str_eq(s->attribute_source, SX_STR("traceID")))
        return bind_fault(b, map, "attribute_source \"%.*s\" belongs to logs; spans have traceID",
                          SX_ARG(sx_str_first(s->attribute_source, 60)));
    return SX_OK;
}

static const bind_field FIELDS[] = {
    {.key = "mode", .kind = BIND_CHOICE, .at = S(mode), .choices = MODES},
    {.key = "sampling_percentage", .kind = BIND_DOUBLE, .at = S(percentage)},
    {.key = "hash_seed", .kind = BIND_U32, .at = S(hash_seed)},
    {.key = "sampling_precision", .kind = BIND_U32, .at = S(precision)},
    {.key = "fail_closed", .kind = BIND_BOOL, .at = S(fail_closed)},
    {.key = "attribute_source", .kind = BIND_STR, .at = S(attribute_source)},
    {.key = "from_attribute", .kind = BIND_REFUSED, .note = "it belongs to logs"},
    {.key = "sampling_priority", .kind = BIND_REFUSED, .note = "it belongs to logs"},
    {0}};
static const bind_table SETTINGS = {
    .fields = FIELDS, .size = sizeof(sampler_settings), .defaults = set_defaults, .check = check};

/* A threshold with so many digits that count: those behind them are zero. */
static uint64_t threshold_of(double share, uint32_t precision)
{
    if (share >= 1)
        return 0;
    uint64_t t = (uint64_t)ldexp(1 - share, 56), digit = UINT64_C(1) << (56 - 4 * precision);
    t = (t + digit / 2) / digit * digit;
    return t < RANDOMNESS ? t : RANDOMNESS - digit;
}

static sx_status create(processor *p, sx_error *err)
{
    const sampler_settings *c = p->settings;
    sampler_state *s = p->state;
    double share = c->percentage / 100;
    (void)err;
    s->hash_below = share >= 1 ? 0x4000 : (uint32_t)(share * 0x4000);
    s->threshold = threshold_of(share, c->precision);
    s->sampled = processor_counter(p, "otelcol_processor_probabilistic_sampler_traces_sampled",
                                   "Spans that the sampler let through.");
    s->not_sampled =
        processor_counter(p, "otelcol_processor_probabilistic_sampler_traces_not_sampled",
                          "Spans that the sampler left out.");
    return SX_OK;
}

static uint32_t fnv(uint32_t hash, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

static bool below_hash(const sampler_settings *c, const sampler_state *s, const span *of)
{
    uint8_t seed[4];
    for (int i = 0; i < 4; i++)
        seed[i] = (uint8_t)(c->hash_seed >> (8 * i));
    return (fnv(fnv(2166136261u, seed, 4), of->trace_id, 16) & 0x3fff) < s->hash_below;
}

/* --- Trace state: "ot=th:c;rv:0123456789abcd,other=1". */

/* The value of a field of the entry `ot`; empty if there is none. */
static sx_str ot_field(sx_str state, sx_str name)
{
    sx_str entry, field, key, value;
    while (state.len) {
        sx_str_cut(state, ',', &entry, &state);
        entry = sx_str_trim(entry);
        if (!sx_str_starts(entry, SX_STR("ot=")))
            continue;
        entry = sx_str_from(entry, 3);
        while (entry.len) {
            sx_str_cut(entry, ';', &field, &entry);
            if (sx_str_cut(field, ':', &key, &value) && sx_str_eq(key, name))
                return value;
        }
    }
    return sx_str_of(NULL, 0);
}

static bool read_hex(sx_str text, uint64_t *out)
{
    uint64_t v = 0;
    if (text.len == 0 || text.len > 14)
        return false;
    for (size_t i = 0; i < 14; i++) {
        char c = i < text.len ? text.data[i] : '0';
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out = v;
    return true;
}

/* The trace state with `th` set, all else as it was. data NULL: no memory. */
static sx_str with_threshold(sx_str state, uint64_t threshold, sx_arena *arena)
{
    char hex[16];
    int len = snprintf(hex, sizeof(hex), "%014llx", (unsigned long long)threshold);
    while (len > 1 && hex[len - 1] == '0')
        len--;
    sx_buf out, rest;
    sx_str entry, field;
    sx_buf_init(&out, 0);
    sx_buf_init(&rest, 0);
    sx_buf_printf(&out, "ot=th:%.*s", len, hex);
    while (state.len) {
        sx_str_cut(state, ',', &entry, &state);
        entry = sx_str_trim(entry);
        if (!sx_str_starts(entry, SX_STR("ot="))) {
            if (entry.len)
                sx_buf_printf(&rest, ",%.*s", SX_ARG(entry));
            continue;
        }
        entry = sx_str_from(entry, 3);
        while (entry.len) {
            sx_str_cut(entry, ';', &field, &entry);
            if (field.len && !sx_str_starts(field, SX_STR("th:")))
                sx_buf_printf(&out, ";%.*s", SX_ARG(field));
        }
    }
    sx_buf_str(&out, sx_buf_view(&rest));
    sx_str text = {0};
    if (!out.failed && !rest.failed)
        text = sx_arena_copy(arena, sx_buf_view(&out));
    sx_buf_done(&out);
    sx_buf_done(&rest);
    return text;
}

/* Whether the span is taken; *threshold is what it was taken by. */
static bool above_threshold(const sampler_settings *c, const sampler_state *s, const span *of,
                            uint64_t *threshold)
{
    uint64_t random = 0, before = 0;
    sx_str rv = ot_field(of->trace_state, SX_STR("rv"));
    sx_str th = ot_field(of->trace_state, SX_STR("th"));
    bool broken =
        (rv.len && (rv.len != 14 || !read_hex(rv, &random))) || (th.len && !read_hex(th, &before));
    if (broken)
        return !c->fail_closed;
    for (int i = 9; !rv.len && i < 16; i++)
        random = random << 8 | of->trace_id[i];
    *threshold = s->threshold;
    if (c->mode == MODE_EQUALIZING && before > *threshold)
        *threshold = before;
    if (c->mode == MODE_PROPORTIONAL && th.len)
        *threshold = threshold_of(ldexp((double)(RANDOMNESS - before), -56) * c->percentage / 100,
                                  c->precision);
    return c->percentage > 0 && random >= *threshold;
}

/* -1: never, 1: always, 0: it does not say. */
static int priority_of(const span *s)
{
    const span_value *v = span_attrs_find(s->attrs, SX_STR("sampling.priority"));
    double d = 0;
    if (!v || (v->type == SPAN_STR && !sx_double_parse(span_value_str(v), &d)))
        return 0;
    if (v->type == SPAN_INT)
        d = (double)v->i;
    else if (v->type == SPAN_DOUBLE)
        d = v->d;
    else if (v->type != SPAN_STR)
        return 0;
    return d == 0 ? -1 : d > 0 ? 1 : 0;
}

static sx_status take(processor *p, span_batch *b, sx_error *err)
{
    const sampler_settings *c = p->settings;
    sampler_state *state = p->state;
    span_batch *out = span_batch_new(0);
    sx_status st = out ? span_batch_hold(out, b, err) : sx_fail_memory(err, "a batch of spans");
    for (size_t i = 0; st == SX_OK && i < b->count; i++) {
        const span *s = b->spans[i];
        int priority = priority_of(s);
        uint64_t threshold = UINT64_MAX;
        bool taken = priority > 0;
        if (priority == 0)
            taken = c->mode == MODE_HASH ? below_hash(c, state, s)
                                         : above_threshold(c, state, s, &threshold);
        if (!taken)
            continue;
        if (threshold == UINT64_MAX) {
            st = span_batch_put(out, s, err);
            continue;
        }
        span *copy = span_batch_copy(out, s);
        if (copy)
            copy->trace_state = with_threshold(s->trace_state, threshold, &out->arena);
        if (!copy || !copy->trace_state.data)
            st = sx_fail_memory(err, "a span");
    }
    if (st == SX_OK) {
        processor_count(state->sampled, out->count);
        processor_count(state->not_sampled, b->count - out->count);
        processor_emit(p, out);
    }
    span_batch_unref(out);
    return st;
}

const processor_kind PROCESSOR_SAMPLER = {.name = "probabilistic_sampler",
                                          .settings = &SETTINGS,
                                          .size = sizeof(sampler_state),
                                          .create = create,
                                          .take = take};
