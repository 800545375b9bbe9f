/* exposition_protobuf.c - delimited io.prometheus.client.MetricFamily messages.
 *
 * A family's head is read first, then its metrics one by one: each is taken apart into arrays that are
 * used again for the next, and the entries that it stands for (a counter one, a summary its count, sum
 * and quantiles, a histogram its native form, its classic series or both) are given out in the order
 * in which Prometheus gives them. Source: io/prometheus/client/metrics.proto. */
#include <math.h>

#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/protobuf.h>
#include <sextant/utf8.h>

#include "observe/scrape/exposition_internal.h"
#include "observe/scrape/nhcb.h"

/* What a metric still has to give. */
typedef enum expo_phase {
    PHASE_FAMILY, /* the next family's head */
    PHASE_HELP,
    PHASE_UNIT,
    PHASE_TYPE,
    PHASE_METRIC, /* the next metric */
    PHASE_NATIVE,
    PHASE_CLASSIC, /* x->step counts */
    PHASE_NHCB,
} expo_phase;

/* A growing array of the metric under way. */
#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count, cap;                                                                         \
    }

typedef struct quantile {
    double bound, value; /* of a bucket: upper bound, cumulative count */
    sx_str exemplar;     /* its message */
} quantile;

struct expo_protobuf {
    sx_pb_reader families;
    sx_pb_reader metrics; /* of the family under way */
    expo_phase phase;
    size_t step;

    sx_str name, help, unit;
    expo_type type;

    VEC(tsdb_label) labels;
    VEC(quantile) quantiles; /* or buckets */
    VEC(tsdb_span) spans[2]; /* negative, positive */
    VEC(double) counts[2], float_counts[2];
    VEC(sx_str) exemplar_messages; /* of a native histogram */
    VEC(tsdb_exemplar) exemplars;
    double value, sum, count, zero_threshold, zero_count;
    bool is_float, has_zero; /* of a native histogram */
    int32_t schema;
    int64_t start_t, t;
    sx_str exemplar; /* of a counter */

    nhcb classic;
    tsdb_histogram histogram;
    sx_buf key; /* what identifies the series */
    char bound_text[EXPO_FLOAT_BYTES];
    size_t bound_len;
    sx_str suffix; /* of the series just given */
    const char *bound_name;
    bool failed; /* an array could not grow */
};

#define PUSH(p, vec, ...)                                                                          \
    (sx_grow(&(vec).items, &(vec).cap, (vec).count + 1, sizeof *(vec).items)                       \
         ? (void)((vec).items[(vec).count++] = __VA_ARGS__)                                        \
         : (void)((p)->failed = true))

/* --- Parts of the messages. */

static void read_label(struct expo_protobuf *p, sx_pb_reader *r)
{
    tsdb_label l = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            l.name = sx_pb_bytes(r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            l.value = sx_pb_bytes(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    PUSH(p, p->labels, l);
}

/* google.protobuf.Timestamp as milliseconds. */
static int64_t read_timestamp(sx_pb_reader *r)
{
    int64_t seconds = 0, nanos = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            seconds = sx_pb_i64(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            nanos = sx_pb_i64(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    if (seconds > INT64_MAX / 1000 - 1 || seconds < INT64_MIN / 1000 + 1)
        return 0;
    return seconds * 1000 + nanos / 1000000;
}

/* gauge, untyped: value = 1; counter: also exemplar = 2, start timestamp = 3. */
static void read_value(struct expo_protobuf *p, sx_pb_reader *r)
{
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_FIXED64):
            p->value = sx_pb_double(r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            p->exemplar = sx_pb_bytes(r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            p->start_t = read_timestamp(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
}

static void read_quantile(struct expo_protobuf *p, sx_pb_reader *r)
{
    quantile q = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_FIXED64):
            q.bound = sx_pb_double(r);
            break;
        case SX_PB_TAG(2, SX_PB_FIXED64):
            q.value = sx_pb_double(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    PUSH(p, p->quantiles, q);
}

static void read_summary(struct expo_protobuf *p, sx_pb_reader *r)
{
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            p->count = (double)sx_pb_varint(r);
            break;
        case SX_PB_TAG(2, SX_PB_FIXED64):
            p->sum = sx_pb_double(r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            read_quantile(p, r);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            p->start_t = read_timestamp(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
}

static void read_bucket(struct expo_protobuf *p, sx_pb_reader *r)
{
    quantile q = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT): {
            double count = (double)sx_pb_varint(r);
            q.value = q.value != 0 ? q.value : count;
            break;
        }
        case SX_PB_TAG(2, SX_PB_FIXED64):
            q.bound = sx_pb_double(r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            q.exemplar = sx_pb_bytes(r);
            break;
        case SX_PB_TAG(4, SX_PB_FIXED64): {
            double count = sx_pb_double(r);
            q.value = count != 0 ? count : q.value;
            break;
        }
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    PUSH(p, p->quantiles, q);
}

static void read_span(struct expo_protobuf *p, sx_pb_reader *r, int side)
{
    tsdb_span s = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            s.offset = (int32_t)sx_pb_zigzag(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            s.length = (uint32_t)sx_pb_varint(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    PUSH(p, p->spans[side], s);
}

/* Deltas become absolute counts as they come; packed or one by one. */
static void add_delta(struct expo_protobuf *p, int side, int64_t delta)
{
    size_t n = p->counts[side].count;
    double before = n ? p->counts[side].items[n - 1] : 0;
    PUSH(p, p->counts[side], before + (double)delta);
}

static void read_deltas(struct expo_protobuf *p, sx_pb_reader *r, int side)
{
    sx_pb_reader list;
    sx_pb_init(&list, sx_pb_bytes(r));
    while (list.at < list.end)
        add_delta(p, side, sx_pb_zigzag(&list));
    if (list.fault)
        sx_pb_set_fault(r, (sx_pb_fault)list.fault);
}

static void read_doubles(struct expo_protobuf *p, sx_pb_reader *r, int side)
{
    sx_pb_reader list;
    sx_pb_init(&list, sx_pb_bytes(r));
    while (list.at < list.end)
        PUSH(p, p->float_counts[side], sx_pb_double(&list));
    if (list.fault)
        sx_pb_set_fault(r, (sx_pb_fault)list.fault);
}

/* The fields of Histogram that are about the classic form. True: it was one of them. */
static bool read_classic_field(struct expo_protobuf *p, sx_pb_reader *r)
{
    double number;
    switch (r->tag) {
    case SX_PB_TAG(1, SX_PB_VARINT):
        number = (double)sx_pb_varint(r);
        p->count = p->is_float ? p->count : number;
        return true;
    case SX_PB_TAG(2, SX_PB_FIXED64):
        p->sum = sx_pb_double(r);
        return true;
    case SX_PB_TAG(3, SX_PB_BYTES):
        read_bucket(p, r);
        return true;
    case SX_PB_TAG(4, SX_PB_FIXED64):
        number = sx_pb_double(r);
        if (number > 0) {
            p->count = number;
            p->is_float = true;
        }
        return true;
    case SX_PB_TAG(15, SX_PB_BYTES):
        p->start_t = read_timestamp(r);
        return true;
    default:
        return false;
    }
}

static void read_native_field(struct expo_protobuf *p, sx_pb_reader *r)
{
    double number;
    switch (r->tag) {
    case SX_PB_TAG(5, SX_PB_VARINT):
        p->schema = (int32_t)sx_pb_zigzag(r);
        break;
    case SX_PB_TAG(6, SX_PB_FIXED64):
        p->zero_threshold = sx_pb_double(r);
        break;
    case SX_PB_TAG(7, SX_PB_VARINT):
        number = (double)sx_pb_varint(r);
        p->has_zero |= number > 0;
        p->zero_count = p->zero_count != 0 ? p->zero_count : number;
        break;
    case SX_PB_TAG(8, SX_PB_FIXED64):
        number = sx_pb_double(r);
        if (number > 0) {
            p->zero_count = number;
            p->is_float = true;
        }
        break;
    case SX_PB_TAG(9, SX_PB_BYTES):
    case SX_PB_TAG(12, SX_PB_BYTES):
        read_span(p, r, sx_pb_field(r) == 12);
        break;
    case SX_PB_TAG(10, SX_PB_BYTES):
    case SX_PB_TAG(13, SX_PB_BYTES):
        read_deltas(p, r, sx_pb_field(r) == 13);
        break;
    case SX_PB_TAG(10, SX_PB_VARINT):
    case SX_PB_TAG(13, SX_PB_VARINT): {
        int side = sx_pb_field(r) == 13;
        add_delta(p, side, sx_pb_zigzag(r));
        break;
    }
    case SX_PB_TAG(11, SX_PB_BYTES):
    case SX_PB_TAG(14, SX_PB_BYTES):
        read_doubles(p, r, sx_pb_field(r) == 14);
        break;
    case SX_PB_TAG(11, SX_PB_FIXED64):
    case SX_PB_TAG(14, SX_PB_FIXED64): {
        int side = sx_pb_field(r) == 14;
        PUSH(p, p->float_counts[side], sx_pb_double(r));
        break;
    }
    case SX_PB_TAG(16, SX_PB_BYTES):
        PUSH(p, p->exemplar_messages, sx_pb_bytes(r));
        break;
    default:
        sx_pb_skip(r);
    }
}

static void read_histogram(struct expo_protobuf *p, sx_pb_reader *r)
{
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (!read_classic_field(p, r))
            read_native_field(p, r);
    }
    sx_pb_leave(r, outer);
}

/* --- A metric. */

static void clear_metric(struct expo_protobuf *p)
{
    p->labels.count = p->quantiles.count = p->exemplar_messages.count = p->exemplars.count = 0;
    for (int side = 0; side < 2; side++)
        p->spans[side].count = p->counts[side].count = p->float_counts[side].count = 0;
    p->value = p->sum = p->count = p->zero_threshold = p->zero_count = 0;
    p->is_float = p->has_zero = false;
    p->schema = 0;
    p->start_t = p->t = 0;
    p->exemplar = (sx_str){0};
    p->step = 0;
}

/* The number of the field in Metric that holds a type's value. */
static const uint32_t VALUE_FIELD[EXPO_TYPES] = {
    [EXPO_GAUGE] = 2,   [EXPO_COUNTER] = 3,   [EXPO_SUMMARY] = 4,
    [EXPO_UNKNOWN] = 5, [EXPO_HISTOGRAM] = 7, [EXPO_GAUGEHISTOGRAM] = 7,
};

static void read_metric(struct expo_protobuf *p, sx_pb_reader *r)
{
    sx_pb_outer outer = sx_pb_enter(r);
    clear_metric(p);
    while (sx_pb_next(r)) {
        uint32_t field = sx_pb_field(r);
        bool message = sx_pb_wire_of(r) == SX_PB_BYTES;
        if (field == 1 && message)
            read_label(p, r);
        else if (r->tag == SX_PB_TAG(6, SX_PB_VARINT))
            p->t = sx_pb_i64(r);
        else if (field != VALUE_FIELD[p->type] || !message)
            sx_pb_skip(r);
        else if (p->type == EXPO_SUMMARY)
            read_summary(p, r);
        else if (field == 7)
            read_histogram(p, r);
        else
            read_value(p, r);
    }
    sx_pb_leave(r, outer);
}

/* A histogram without spans, zero bucket and zero threshold is a classic one. */
static bool is_native(const struct expo_protobuf *p)
{
    return p->spans[0].count || p->spans[1].count || p->zero_threshold > 0 || p->has_zero;
}

static bool is_histogram(const struct expo_protobuf *p)
{
    return p->type == EXPO_HISTOGRAM || p->type == EXPO_GAUGEHISTOGRAM;
}

/* --- A family. */

static expo_type type_of(uint64_t number)
{
    static const expo_type TYPES[] = {EXPO_COUNTER, EXPO_GAUGE,     EXPO_SUMMARY,
                                      EXPO_UNKNOWN, EXPO_HISTOGRAM, EXPO_GAUGEHISTOGRAM};
    return number < SX_COUNT_OF(TYPES) ? TYPES[number] : EXPO_TYPES;
}

/* Reads the head; the metrics are read in a second pass. */
static sx_status read_family(struct expo_protobuf *p, sx_str message, sx_error *err)
{
    sx_pb_reader r;
    uint64_t type = 0;
    p->name = p->help = p->unit = (sx_str){0};
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            p->name = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            p->help = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            type = sx_pb_varint(&r);
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
            p->unit = sx_pb_bytes(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    }
    sx_status st = sx_pb_status(&r, "a metric family", err);
    if (st != SX_OK)
        return st;
    sx_str shown = sx_str_first(p->name, 100);
    if (p->name.len == 0 || !sx_utf8_valid(p->name))
        return sx_fail(err, SX_EFORMAT, "invalid metric name: %.*s", SX_ARG(shown));
    if (!sx_utf8_valid(p->help))
        return sx_fail(err, SX_EFORMAT, "invalid help for metric \"%.*s\"", SX_ARG(shown));
    p->type = type_of(type);
    if (p->type == EXPO_TYPES)
        return sx_fail(err, SX_EFORMAT, "unknown metric type for metric \"%.*s\": %llu",
                       SX_ARG(shown), (unsigned long long)type);
    sx_pb_init(&p->metrics, message);
    return SX_OK;
}

/* The next family's message. SX_END: there is none. */
static sx_status next_family(struct expo_protobuf *p, sx_error *err)
{
    if (p->families.at >= p->families.end)
        return sx_pb_status(&p->families, "a metric family", err) == SX_OK ? SX_END : SX_EFORMAT;
    sx_str message = sx_pb_bytes(&p->families);
    sx_status st = sx_pb_status(&p->families, "a metric family", err);
    return st == SX_OK ? read_family(p, message, err) : st;
}

/* The family's next metric. SX_END: there is none. */
static sx_status next_metric(struct expo_protobuf *p, sx_error *err)
{
    sx_pb_reader *r = &p->metrics;
    bool found = false;
    while (!found && sx_pb_next(r)) {
        found = r->tag == SX_PB_TAG(4, SX_PB_BYTES);
        if (found)
            read_metric(p, r);
        else
            sx_pb_skip(r);
    }
    sx_status st = sx_pb_status(r, "a metric", err);
    if (st == SX_OK && p->failed)
        st = sx_fail_memory(err, "a metric");
    return st != SX_OK ? st : found ? SX_OK : SX_END;
}

/* --- Entries. */

/* What identifies the series: its name with suffix, its labels as they came, the bound. */
static sx_status make_key(struct expo_protobuf *p, const char *suffix, const char *bound_name,
                          double bound, prom_entry *out, sx_error *err)
{
    p->suffix = sx_str_z(suffix);
    p->bound_name = bound_name;
    p->bound_len = 0;
    if (bound_name) {
        char text[SX_DOUBLE_BYTES];
        size_t len = sx_double_format(bound, SX_DOUBLE_GO, text);
        p->bound_len = expo_normal_float(sx_str_of(text, len), p->bound_text);
    }
    sx_buf_clear(&p->key);
    sx_buf_str(&p->key, p->name);
    sx_buf_str(&p->key, p->suffix);
    for (size_t i = 0; i < p->labels.count; i++) {
        sx_buf_byte(&p->key, '\xff');
        sx_buf_str(&p->key, p->labels.items[i].name);
        sx_buf_byte(&p->key, '\xff');
        sx_buf_str(&p->key, p->labels.items[i].value);
    }
    if (bound_name) {
        sx_buf_byte(&p->key, '\xff');
        sx_buf_bytes(&p->key, p->bound_text, p->bound_len);
    }
    out->series = sx_buf_view(&p->key);
    out->has_t = p->t != 0; /* the format cannot tell "none" from 1970 */
    out->t = p->t;
    out->start_t = p->start_t;
    return sx_buf_status(&p->key, "a series", err);
}

static sx_status read_exemplar(struct expo_protobuf *p, sx_str message, sx_arena *arena,
                               sx_error *err)
{
    tsdb_exemplar e = {0};
    sx_pb_reader r;
    size_t first = p->labels.count; /* borrowed: taken off again below */
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            read_label(p, &r);
            break;
        case SX_PB_TAG(2, SX_PB_FIXED64):
            e.value = sx_pb_double(&r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            e.t = read_timestamp(&r);
            e.has_t = true;
            break;
        default:
            sx_pb_skip(&r);
        }
    }
    size_t count = p->labels.count - first;
    p->labels.count = first;
    sx_status st = sx_pb_status(&r, "an exemplar", err);
    tsdb_label *items = sx_arena_calloc(arena, count ? count : 1, sizeof *items);
    if (st == SX_OK && (!items || p->failed))
        st = sx_fail_memory(err, "an exemplar");
    if (st != SX_OK)
        return st;
    if (count)
        memcpy(items, p->labels.items + first, count * sizeof *items);
    st = tsdb_labels_sort(items, count, &e.labels, err);
    if (st == SX_OK)
        PUSH(p, p->exemplars, e);
    return p->failed ? sx_fail_memory(err, "an exemplar") : st;
}

static sx_status add_exemplar(prom_exposition *x, sx_str message, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    p->exemplars.count = 0;
    if (message.len == 0)
        return SX_OK;
    sx_status st = read_exemplar(p, message, &x->scratch, err);
    out->exemplars = p->exemplars.items;
    out->exemplar_count = (uint32_t)p->exemplars.count;
    return st;
}

static sx_status give_value(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    p->phase = PHASE_METRIC;
    out->value = p->value;
    sx_status st = make_key(p, "", NULL, 0, out, err);
    return st == SX_OK ? add_exemplar(x, p->exemplar, out, err) : st;
}

/* Step 0 is the count, 1 the sum, then quantiles or buckets; a histogram ends with +Inf even if the
 * target left it out. */
static sx_status give_classic(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    size_t step = p->step++, i = step - 2;
    const quantile *q = step >= 2 && i < p->quantiles.count ? &p->quantiles.items[i] : NULL;
    bool last = step >= 1 && p->step - 2 >= p->quantiles.count;
    if (is_histogram(p))
        last = step >= 2 && (!q || q->bound == INFINITY);
    if (last) {
        bool native = is_native(p) && x->options.native_histograms;
        p->phase =
            x->options.classic_to_nhcb && is_histogram(p) && !native ? PHASE_NHCB : PHASE_METRIC;
    }
    if (step < 2) {
        out->value = step == 0 ? p->count : p->sum;
        return make_key(p, step == 0 ? "_count" : "_sum", NULL, 0, out, err);
    }
    out->value = q ? q->value : p->count;
    bool summary = p->type == EXPO_SUMMARY;
    sx_status st = make_key(p, summary ? "" : "_bucket", summary ? "quantile" : "le",
                            q ? q->bound : INFINITY, out, err);
    return st == SX_OK && q ? add_exemplar(x, q->exemplar, out, err) : st;
}

static sx_status check_spans(const struct expo_protobuf *p, int side, size_t have, sx_error *err)
{
    uint64_t want = 0;
    for (size_t i = 0; i < p->spans[side].count; i++)
        want += p->spans[side].items[i].length;
    if (want == have)
        return SX_OK;
    return sx_fail(err, SX_EFORMAT,
                   "histogram \"%.*s\": %s side: spans require %llu buckets, have %zu",
                   SX_ARG(sx_str_first(p->name, 100)), side ? "positive" : "negative",
                   (unsigned long long)want, have);
}

static sx_status give_native(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    const double *counts[2];
    for (int side = 0; side < 2; side++) {
        bool floats = p->is_float;
        counts[side] = floats ? p->float_counts[side].items : p->counts[side].items;
        sx_status st =
            check_spans(p, side, floats ? p->float_counts[side].count : p->counts[side].count, err);
        if (st != SX_OK)
            return st;
    }
    size_t sizes[2];
    for (int side = 0; side < 2; side++)
        sizes[side] = p->is_float ? p->float_counts[side].count : p->counts[side].count;
    p->histogram = (tsdb_histogram){.schema = p->schema,
                                    .reset = p->type == EXPO_GAUGEHISTOGRAM ? TSDB_RESET_GAUGE
                                                                            : TSDB_RESET_UNKNOWN,
                                    .integer = !p->is_float,
                                    .zero_threshold = p->zero_threshold,
                                    .zero_count = p->zero_count,
                                    .count = p->count,
                                    .sum = p->sum,
                                    .negative_spans = p->spans[0].items,
                                    .negative_span_count = (uint32_t)p->spans[0].count,
                                    .negative = counts[0],
                                    .negative_count = (uint32_t)sizes[0],
                                    .positive_spans = p->spans[1].items,
                                    .positive_span_count = (uint32_t)p->spans[1].count,
                                    .positive = counts[1],
                                    .positive_count = (uint32_t)sizes[1]};
    p->phase = x->options.classic_always && p->quantiles.count ? PHASE_CLASSIC : PHASE_METRIC;
    out->kind = PROM_ENTRY_HISTOGRAM;
    out->histogram = &p->histogram;
    sx_status st = make_key(p, "", NULL, 0, out, err);
    p->exemplars.count = 0;
    for (size_t i = 0; i < p->exemplar_messages.count && st == SX_OK; i++)
        st = read_exemplar(p, p->exemplar_messages.items[i], &x->scratch, err);
    for (size_t i = 0; !p->exemplar_messages.count && i < p->quantiles.count && st == SX_OK; i++) {
        if (p->quantiles.items[i].exemplar.len) /* older libraries have them at the buckets */
            st = read_exemplar(p, p->quantiles.items[i].exemplar, &x->scratch, err);
    }
    out->exemplars = p->exemplars.items;
    out->exemplar_count = (uint32_t)p->exemplars.count;
    return st;
}

static sx_status give_nhcb(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    nhcb_clear(&p->classic);
    p->classic.sum = p->sum;
    sx_status st = nhcb_count_set(&p->classic, p->count, err);
    for (size_t i = 0; i < p->quantiles.count && st == SX_OK; i++)
        st = nhcb_bucket_add(&p->classic, p->quantiles.items[i].bound, p->quantiles.items[i].value,
                             err);
    if (st == SX_OK)
        st = nhcb_convert(&p->classic, p->type == EXPO_GAUGEHISTOGRAM, &x->scratch, &p->histogram,
                          err);
    p->phase = PHASE_METRIC;
    out->kind = PROM_ENTRY_HISTOGRAM;
    out->histogram = &p->histogram;
    return st == SX_OK ? make_key(p, "", NULL, 0, out, err) : st;
}

/* What a metric gives first. */
static expo_phase first_phase(const prom_exposition *x)
{
    const struct expo_protobuf *p = x->protobuf;
    if (!is_histogram(p))
        return PHASE_CLASSIC;
    if (x->options.native_histograms && is_native(p))
        return PHASE_NATIVE;
    return x->options.classic_to_nhcb && !x->options.classic_always ? PHASE_NHCB : PHASE_CLASSIC;
}

static sx_status give_metadata(struct expo_protobuf *p, prom_entry_kind kind, sx_str text,
                               expo_phase next, prom_entry *out)
{
    out->kind = kind;
    out->metric = p->name;
    out->text = text;
    p->phase = next;
    return SX_OK;
}

sx_status expo_protobuf_next(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    *out = (prom_entry){0};
    sx_arena_reset(&x->scratch);
    for (;;) {
        sx_status st;
        switch (p->phase) {
        case PHASE_FAMILY:
            st = next_family(p, err);
            if (st == SX_OK)
                st = next_metric(p, err); /* an empty family says nothing, not even its help */
            else
                return st;
            if (st == SX_OK)
                p->phase = PHASE_HELP;
            else if (st != SX_END)
                return st;
            break;
        case PHASE_HELP:
            return give_metadata(p, PROM_ENTRY_HELP, p->help, p->unit.len ? PHASE_UNIT : PHASE_TYPE,
                                 out);
        case PHASE_UNIT:
            return give_metadata(p, PROM_ENTRY_UNIT, p->unit, PHASE_TYPE, out);
        case PHASE_TYPE:
            return give_metadata(p, PROM_ENTRY_TYPE, EXPO_TYPE_NAMES[p->type], first_phase(x), out);
        case PHASE_METRIC:
            st = next_metric(p, err);
            if (st != SX_OK && st != SX_END)
                return st;
            p->phase = st == SX_END ? PHASE_FAMILY : first_phase(x);
            break;
        case PHASE_NATIVE:
            return give_native(x, out, err);
        case PHASE_CLASSIC:
            return is_histogram(p) || p->type == EXPO_SUMMARY ? give_classic(x, out, err)
                                                              : give_value(x, out, err);
        case PHASE_NHCB:
            return give_nhcb(x, out, err);
        }
    }
}

sx_status expo_protobuf_labels(prom_exposition *x, sx_arena *arena, tsdb_labels *out, sx_error *err)
{
    const struct expo_protobuf *p = x->protobuf;
    tsdb_label *items = sx_arena_calloc(arena, p->labels.count + 4, sizeof *items);
    sx_str name = sx_arena_printf(arena, "%.*s%.*s", SX_ARG(p->name), SX_ARG(p->suffix));
    sx_str bound = sx_arena_copy(arena, sx_str_of(p->bound_text, p->bound_len));
    size_t count = 0;
    if (!items || !name.data || !bound.data)
        return sx_fail_memory(err, "labels of a series");
    items[count++] = (tsdb_label){TSDB_METRIC_NAME, name};
    if (x->options.type_unit_labels && p->type != EXPO_UNKNOWN)
        items[count++] = (tsdb_label){SX_STR("__type__"), EXPO_TYPE_NAMES[p->type]};
    if (x->options.type_unit_labels && p->unit.len)
        items[count++] = (tsdb_label){SX_STR("__unit__"), p->unit};
    size_t ours = count;
    for (size_t i = 0; i < p->labels.count; i++) {
        const tsdb_label *l = &p->labels.items[i];
        bool taken = false;
        for (size_t k = 0; k < ours; k++)
            taken |= sx_str_eq(items[k].name, l->name);
        if (!sx_utf8_valid(l->name) || !sx_utf8_valid(l->value))
            return sx_fail(err, SX_EFORMAT, "metric \"%.*s\": a label that is no UTF-8",
                           SX_ARG(sx_str_first(p->name, 100)));
        if (!taken)
            items[count++] = *l;
    }
    if (p->bound_name)
        items[count++] = (tsdb_label){sx_str_z(p->bound_name), bound};
    return expo_sort_labels(items, count, out, err);
}

sx_status expo_protobuf_begin(prom_exposition *x, sx_error *err)
{
    if (!x->protobuf) {
        x->protobuf = sx_calloc(1, sizeof *x->protobuf);
        if (!x->protobuf)
            return sx_fail_memory(err, "an exposition reader");
        sx_buf_init(&x->protobuf->key, 0);
    }
    sx_pb_init(&x->protobuf->families, x->body);
    x->protobuf->phase = PHASE_FAMILY;
    x->protobuf->failed = false;
    return SX_OK;
}

void expo_protobuf_done(prom_exposition *x)
{
    struct expo_protobuf *p = x->protobuf;
    if (!p)
        return;
    void *vectors[] = {p->labels.items,         p->quantiles.items, p->exemplar_messages.items,
                       p->exemplars.items,      p->spans[0].items,  p->spans[1].items,
                       p->counts[0].items,      p->counts[1].items, p->float_counts[0].items,
                       p->float_counts[1].items};
    for (size_t i = 0; i < SX_COUNT_OF(vectors); i++)
        sx_free(vectors[i]);
    nhcb_done(&p->classic);
    sx_buf_done(&p->key);
    sx_free(p);
}
