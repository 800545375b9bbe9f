/* series.c - series as promtool's unit tests write them: up{job="a"} 0+1x10 _ stale {{count:3}}x2
 *
 * A word of its own grammar: values apart by spaces, `a+bxn` for n steps from a, `_xn` for gaps,
 * histograms in double braces. Source: docs/configuration/unit_testing_rules.md, "series". */
#include "observe/promql/parser.h"
#include "observe/tsdb/histogram.h"

enum { VALUES_MAX = 1 << 20, BUCKETS_MAX = TSDB_HISTOGRAM_BUCKETS_MAX };

typedef struct value_list {
    promql_test_value *items;
    size_t count, cap;
} value_list;

static bool fail_here(promql_parser *p)
{
    promql_unexpected(p, "series values", "");
    return false;
}

static bool add_value(promql_parser *p, value_list *list, promql_test_value value)
{
    if (list->count == VALUES_MAX)
        return promql_parse_fail_limit(p, "too many values", VALUES_MAX), false;
    if (!sx_arena_grow(p->arena, &list->items, &list->cap, list->count + 1, sizeof *list->items))
        return promql_parse_fail_memory(p), false;
    list->items[list->count++] = value;
    return true;
}

/* --- Labels. */

typedef struct label_list {
    tsdb_label *items;
    size_t count, cap;
} label_list;

static bool add_label(promql_parser *p, label_list *list, sx_str name, sx_str value)
{
    if (!name.data || !value.data)
        return false;
    if (list->count == PROMQL_LABELS_MAX)
        return promql_parse_fail_limit(p, "too many labels", PROMQL_LABELS_MAX), false;
    if (!sx_arena_grow(p->arena, &list->items, &list->cap, list->count + 1, sizeof *list->items))
        return promql_parse_fail_memory(p), false;
    list->items[list->count++] = (tsdb_label){name, value};
    return true;
}

/* name="value", or a metric name in quotes. */
static bool parse_pair(promql_parser *p, label_list *list)
{
    promql_token_kind kind = promql_peek(p);
    if (kind != PROMQL_TOKEN_IDENTIFIER && kind != PROMQL_TOKEN_STRING)
        return promql_unexpected(p, "label set", "identifier or \"}\""), false;
    promql_token t = promql_take(p);
    sx_str name = kind == PROMQL_TOKEN_STRING ? promql_unquote(p, t.text) : t.text;
    if (!promql_accept(p, PROMQL_TOKEN_EQUAL)) {
        if (kind == PROMQL_TOKEN_STRING)
            return add_label(p, list, TSDB_METRIC_NAME, name);
        return promql_unexpected(p, "label set", "\"=\""), false;
    }
    if (promql_peek(p) != PROMQL_TOKEN_STRING)
        return promql_unexpected(p, "label set", "string"), false;
    return add_label(p, list, name, promql_unquote(p, promql_take(p).text));
}

static bool parse_labels(promql_parser *p, label_list *list)
{
    promql_take(p);
    while (promql_peek(p) != PROMQL_TOKEN_RIGHT_BRACE) {
        if (!parse_pair(p, list))
            return false;
        if (promql_accept(p, PROMQL_TOKEN_COMMA))
            continue;
        if (promql_peek(p) != PROMQL_TOKEN_RIGHT_BRACE)
            return promql_unexpected(p, "label set", "\",\" or \"}\""), false;
    }
    promql_take(p);
    return true;
}

/* A name before the braces wins over one in them. */
static bool set_name(promql_parser *p, label_list *list, sx_str name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (sx_str_eq(list->items[i].name, TSDB_METRIC_NAME)) {
            list->items[i].value = name;
            return true;
        }
    }
    return add_label(p, list, TSDB_METRIC_NAME, name);
}

static bool parse_metric(promql_parser *p, label_list *list)
{
    promql_token name = {0};
    if (promql_is_metric_name(promql_peek(p)))
        name = promql_take(p);
    if (promql_peek(p) == PROMQL_TOKEN_LEFT_BRACE && !parse_labels(p, list))
        return false;
    return name.text.len == 0 || set_name(p, list, name.text);
}

/* --- Numbers. */

static bool is_sign(promql_token_kind kind)
{
    return kind == PROMQL_TOKEN_ADD || kind == PROMQL_TOKEN_SUB;
}

/* 3, -3, +3 */
static bool parse_number(promql_parser *p, bool sign_allowed, double *out)
{
    promql_token_kind sign = promql_peek(p);
    if (is_sign(sign) && sign_allowed)
        promql_take(p);
    if (promql_peek(p) != PROMQL_TOKEN_NUMBER)
        return fail_here(p);
    if (!promql_number_value(p, promql_take(p), out))
        return false;
    if (sign == PROMQL_TOKEN_SUB)
        *out = -*out;
    return true;
}

static bool parse_count(promql_parser *p, uint64_t *out)
{
    if (promql_peek(p) != PROMQL_TOKEN_NUMBER)
        return fail_here(p);
    promql_token t = promql_take(p);
    if (sx_str_to_u64(t.text, out))
        return true;
    promql_parse_fail(p, promql_token_pos(t),
                      "invalid repetition in series values: strconv.ParseUint: parsing %.*s: "
                      "invalid syntax",
                      SX_ARG(promql_quoted(p, t.text)));
    return false;
}

static bool parse_whole(promql_parser *p, int32_t *out)
{
    bool minus = promql_accept(p, PROMQL_TOKEN_SUB);
    uint64_t value;
    if (!parse_count(p, &value))
        return false;
    *out = (int32_t)(uint32_t)(minus ? 0 - value : value); /* cut to 32 bits, as Prometheus */
    return true;
}

/* --- Histograms. */

typedef struct bucket_list {
    double *items;
    size_t count, cap;
} bucket_list;

/* What a description has said. */
typedef struct description {
    tsdb_histogram h;
    bucket_list buckets, negative, bounds;
    int32_t offset, negative_offset;
    unsigned given; /* fields, as bits */
    bool hint;
} description;

static bool parse_buckets(promql_parser *p, bucket_list *list)
{
    if (!promql_accept(p, PROMQL_TOKEN_LEFT_BRACKET))
        return fail_here(p);
    for (;;) {
        double value;
        if (!parse_number(p, true, &value))
            return false;
        if (list->count == BUCKETS_MAX)
            return promql_parse_fail_limit(p, "too many buckets", BUCKETS_MAX), false;
        if (!sx_arena_grow(p->arena, &list->items, &list->cap, list->count + 1,
                           sizeof *list->items))
            return promql_parse_fail_memory(p), false;
        list->items[list->count++] = value;
        bool space = promql_accept(p, PROMQL_TOKEN_SPACE);
        if (promql_accept(p, PROMQL_TOKEN_RIGHT_BRACKET))
            return true;
        if (!space)
            return fail_here(p);
    }
}

static bool parse_hint(promql_parser *p, description *d)
{
    static const sx_str hints[] = {SX_STR_INIT("unknown"), SX_STR_INIT("reset"),
                                   SX_STR_INIT("not_reset"), SX_STR_INIT("gauge")};
    if (promql_peek(p) != PROMQL_TOKEN_HINT)
        return fail_here(p);
    promql_token t = promql_take(p);
    for (size_t i = 0; i < SX_COUNT_OF(hints); i++) {
        if (sx_str_ieq(hints[i], t.text))
            d->h.reset = (tsdb_reset_hint)i;
    }
    d->hint = true;
    return true;
}

typedef enum field_kind { WHOLE, SIGNED, UNSIGNED, BUCKETS, HINT } field_kind;

typedef struct field {
    sx_str name;
    field_kind kind;
    size_t at; /* in a description */
} field;

static const field FIELDS[] = {
    {SX_STR_INIT("schema"), WHOLE, offsetof(description, h.schema)},
    {SX_STR_INIT("sum"), SIGNED, offsetof(description, h.sum)},
    {SX_STR_INIT("count"), SIGNED, offsetof(description, h.count)},
    {SX_STR_INIT("z_bucket"), SIGNED, offsetof(description, h.zero_count)},
    {SX_STR_INIT("z_bucket_w"), UNSIGNED, offsetof(description, h.zero_threshold)},
    {SX_STR_INIT("custom_values"), BUCKETS, offsetof(description, bounds)},
    {SX_STR_INIT("buckets"), BUCKETS, offsetof(description, buckets)},
    {SX_STR_INIT("offset"), WHOLE, offsetof(description, offset)},
    {SX_STR_INIT("n_buckets"), BUCKETS, offsetof(description, negative)},
    {SX_STR_INIT("n_offset"), WHOLE, offsetof(description, negative_offset)},
    {SX_STR_INIT("counter_reset_hint"), HINT, 0},
};

static bool parse_field_value(promql_parser *p, const field *f, description *d)
{
    void *at = (char *)d + f->at;
    switch (f->kind) {
    case WHOLE:
        return parse_whole(p, at);
    case SIGNED:
        return parse_number(p, true, at);
    case UNSIGNED:
        return parse_number(p, false, at);
    case BUCKETS:
        return parse_buckets(p, at);
    case HINT:
        return parse_hint(p, d);
    }
    return false;
}

static bool parse_field(promql_parser *p, description *d)
{
    promql_token name = promql_take(p);
    if (!promql_accept(p, PROMQL_TOKEN_COLON))
        return fail_here(p);
    for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++) {
        if (!sx_str_ieq(FIELDS[i].name, name.text))
            continue;
        if (d->given & (1U << i)) {
            promql_parse_fail(p, (promql_pos){0, 0}, "duplicate key \"%.*s\" in histogram",
                              SX_ARG(FIELDS[i].name));
            return false;
        }
        d->given |= 1U << i;
        return parse_field_value(p, &FIELDS[i], d);
    }
    return fail_here(p);
}

static bool set_side(promql_parser *p, const bucket_list *list, int32_t offset,
                     const tsdb_span **spans, uint32_t *span_count, const double **buckets,
                     uint32_t *bucket_count)
{
    if (list->count == 0)
        return true;
    tsdb_span *span = sx_arena_alloc(p->arena, sizeof *span);
    if (!span)
        return promql_parse_fail_memory(p), false;
    *span = (tsdb_span){.offset = offset, .length = (uint32_t)list->count};
    *spans = span;
    *span_count = 1;
    *buckets = list->items;
    *bucket_count = (uint32_t)list->count;
    return true;
}

static const tsdb_histogram *build_histogram(promql_parser *p, const description *d)
{
    tsdb_histogram *h = sx_arena_alloc(p->arena, sizeof *h);
    if (!h)
        return promql_parse_fail_memory(p);
    *h = d->h;
    h->bounds = d->bounds.items;
    h->bound_count = (uint32_t)d->bounds.count;
    if (!set_side(p, &d->buckets, d->offset, &h->positive_spans, &h->positive_span_count,
                  &h->positive, &h->positive_count) ||
        !set_side(p, &d->negative, d->negative_offset, &h->negative_spans, &h->negative_span_count,
                  &h->negative, &h->negative_count))
        return NULL;
    return h;
}

/* {{schema:1 sum:3 ...}}; *hint: a counter_reset_hint was given. */
static const tsdb_histogram *parse_histogram(promql_parser *p, bool *hint)
{
    description d = {0};
    promql_take(p);
    if (promql_peek(p) == PROMQL_TOKEN_FIELD) {
        do {
            if (!parse_field(p, &d))
                return NULL;
        } while (promql_accept(p, PROMQL_TOKEN_SPACE) && promql_peek(p) == PROMQL_TOKEN_FIELD);
        if (promql_peek(p) != PROMQL_TOKEN_CLOSE_HISTOGRAM)
            return promql_unexpected(p, "histogram description",
                                     "histogram description key, e.g. buckets:[5 10 7]");
    } else {
        promql_accept(p, PROMQL_TOKEN_SPACE);
    }
    if (!promql_accept(p, PROMQL_TOKEN_CLOSE_HISTOGRAM))
        return fail_here(p), NULL;
    *hint = d.hint;
    return build_histogram(p, &d);
}

/* base, base+step, base+2*step ... */
static bool add_histogram_steps(promql_parser *p, value_list *list, promql_test_value value,
                                const tsdb_histogram *step, bool minus, uint64_t times)
{
    promql_pos pos = promql_token_pos(p->token);
    if (!add_value(p, list, value))
        return false;
    for (uint64_t i = 0; i < times; i++) {
        const tsdb_histogram *now = value.histogram;
        tsdb_histogram *next = sx_arena_alloc(p->arena, sizeof *next);
        if (!next)
            return promql_parse_fail_memory(p), false;
        if (now->schema > step->schema) {
            promql_parse_fail(p, pos,
                              "error combining histograms: cannot merge from schema %d to %d",
                              step->schema, now->schema);
            return false;
        }
        unsigned notes = 0;
        sx_error why;
        sx_status status = minus ? tsdb_histogram_sub(now, step, p->arena, next, &notes, &why)
                                 : tsdb_histogram_add(now, step, p->arena, next, &notes, &why);
        if (status == SX_ENOMEM)
            return promql_parse_fail_memory(p), false;
        if (status != SX_OK || (notes & TSDB_HISTOGRAM_INCOMPATIBLE)) {
            promql_parse_fail(p, pos, "%s",
                              status != SX_OK ? why.message
                                              : "cannot apply this operation on histograms with a "
                                                "mix of exponential and custom bucket schemas");
            return false;
        }
        value.histogram = next;
        if (!add_value(p, list, value))
            return false;
    }
    return true;
}

/* --- Items. */

static bool add_times(promql_parser *p, value_list *list, promql_test_value value, uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        if (!add_value(p, list, value))
            return false;
    }
    return true;
}

static bool parse_histogram_item(promql_parser *p, value_list *list)
{
    promql_test_value value = {.is_histogram = true};
    uint64_t times;
    value.histogram = parse_histogram(p, &value.reset_hint_given);
    if (!value.histogram)
        return false;
    promql_token_kind sign = promql_peek(p);
    if (promql_accept(p, PROMQL_TOKEN_TIMES))
        return parse_count(p, &times) && times < UINT64_MAX && add_times(p, list, value, times + 1);
    if (!is_sign(sign))
        return add_value(p, list, value);
    promql_take(p);
    if (promql_peek(p) != PROMQL_TOKEN_OPEN_HISTOGRAM)
        return fail_here(p);
    const tsdb_histogram *step = parse_histogram(p, &value.reset_hint_given);
    if (!step)
        return false;
    if (!promql_accept(p, PROMQL_TOKEN_TIMES))
        return fail_here(p);
    return parse_count(p, &times) &&
           add_histogram_steps(p, list, value, step, sign == PROMQL_TOKEN_SUB, times);
}

static bool parse_float_item(promql_parser *p, value_list *list)
{
    promql_test_value value = {0};
    double step = 0;
    uint64_t times;
    if (promql_peek(p) == PROMQL_TOKEN_IDENTIFIER) {
        if (!sx_str_eq(p->token.text, SX_STR("stale")))
            return promql_unexpected(p, "series values", "number or \"stale\""), false;
        promql_take(p);
        value.value = tsdb_stale();
    } else if (!parse_number(p, true, &value.value)) {
        return false;
    }
    bool steps = is_sign(promql_peek(p));
    if (steps && !parse_number(p, true, &step))
        return false;
    if (!promql_accept(p, PROMQL_TOKEN_TIMES))
        return steps ? fail_here(p) : add_value(p, list, value);
    if (!parse_count(p, &times))
        return false;
    if (!steps)
        return times < UINT64_MAX && add_times(p, list, value, times + 1);
    for (uint64_t i = 0; i <= times; i++) {
        if (!add_value(p, list, value))
            return false;
        value.value += step;
    }
    return true;
}

static bool parse_item(promql_parser *p, value_list *list)
{
    uint64_t times;
    switch (promql_peek(p)) {
    case PROMQL_TOKEN_BLANK:
        promql_take(p);
        if (!promql_accept(p, PROMQL_TOKEN_TIMES))
            return add_value(p, list, (promql_test_value){.omitted = true});
        return parse_count(p, &times) &&
               add_times(p, list, (promql_test_value){.omitted = true}, times);
    case PROMQL_TOKEN_OPEN_HISTOGRAM:
        return parse_histogram_item(p, list);
    default:
        return parse_float_item(p, list);
    }
}

static bool starts_item(promql_token_kind kind)
{
    return kind == PROMQL_TOKEN_BLANK || kind == PROMQL_TOKEN_OPEN_HISTOGRAM ||
           kind == PROMQL_TOKEN_IDENTIFIER || kind == PROMQL_TOKEN_NUMBER || is_sign(kind);
}

static bool parse_values(promql_parser *p, value_list *list)
{
    promql_token_kind kind = promql_peek(p);
    if (kind != PROMQL_TOKEN_SPACE && kind != PROMQL_TOKEN_EOF)
        return fail_here(p);
    while (promql_accept(p, PROMQL_TOKEN_SPACE)) {
        if (starts_item(promql_peek(p)) && !parse_item(p, list))
            return false;
    }
    if (promql_peek(p) != PROMQL_TOKEN_EOF)
        return promql_unexpected(p, "", ""), false;
    return true;
}

sx_status promql_parse_series(sx_str text, sx_arena *arena, tsdb_labels *labels,
                              promql_test_value **values, size_t *count, sx_error *err)
{
    promql_parser p;
    promql_parsed parsed;
    sx_status status = promql_parse_begin(&p, text, NULL, arena, &parsed, err);
    if (status != SX_OK)
        return status;
    promql_lex_init(&p.lexer, parsed.text, true);
    label_list pairs = {0};
    value_list list = {0};
    if (!parse_metric(&p, &pairs) || !parse_values(&p, &list) || p.status != SX_OK) {
        if (p.status == SX_OK) /* a repetition of 2^64 */
            promql_parse_fail_limit(&p, "too many values", VALUES_MAX);
        return p.status;
    }
    status = tsdb_labels_sort(pairs.items, pairs.count, labels, err);
    *values = list.items;
    *count = list.count;
    return status;
}
