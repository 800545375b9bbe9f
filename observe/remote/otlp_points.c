/* otlp_points.c - OTLP's data points as Prometheus's samples.
 *
 * One reader takes in all five messages: a table says which of their fields is what.
 * Source: opentelemetry-proto, metrics/v1/metrics.proto; OpenTelemetry,
 * compatibility/prometheus_and_openmetrics.md. */
#include <math.h>

#include <sextant/utf8.h>

#include "observe/remote/otlp.h"

enum { EXEMPLAR_RUNES_MAX = 128, GAP_FILLED_MAX = 2, NO_RECORDED_VALUE = 1 };

/* What a field of a data point holds. */
typedef enum point_field {
    FIELD_UNKNOWN,
    FIELD_ATTRIBUTE,
    FIELD_START,
    FIELD_TIME,
    FIELD_DOUBLE,
    FIELD_INT,
    FIELD_EXEMPLAR,
    FIELD_FLAGS,
    FIELD_COUNT,
    FIELD_SUM,
    FIELD_BUCKET_COUNTS,
    FIELD_BOUNDS,
    FIELD_QUANTILE,
    FIELD_SCALE,
    FIELD_ZERO_COUNT,
    FIELD_POSITIVE,
    FIELD_NEGATIVE,
    FIELD_ZERO_THRESHOLD,
} point_field;

enum { FIELD_NUMBERS = 16 };
#define NUMBER_FIELDS                                                                              \
    {[2] = FIELD_START, [3] = FIELD_TIME,      [4] = FIELD_DOUBLE, [5] = FIELD_EXEMPLAR,           \
     [6] = FIELD_INT,   [7] = FIELD_ATTRIBUTE, [8] = FIELD_FLAGS}
static const uint8_t FIELDS[OTLP_KINDS][FIELD_NUMBERS] = {
    [OTLP_GAUGE] = NUMBER_FIELDS,
    [OTLP_SUM] = NUMBER_FIELDS,
    [OTLP_HISTOGRAM] = {[2] = FIELD_START,
                        [3] = FIELD_TIME,
                        [4] = FIELD_COUNT,
                        [5] = FIELD_SUM,
                        [6] = FIELD_BUCKET_COUNTS,
                        [7] = FIELD_BOUNDS,
                        [8] = FIELD_EXEMPLAR,
                        [9] = FIELD_ATTRIBUTE,
                        [10] = FIELD_FLAGS},
    [OTLP_EXPONENTIAL] = {[1] = FIELD_ATTRIBUTE,
                          [2] = FIELD_START,
                          [3] = FIELD_TIME,
                          [4] = FIELD_COUNT,
                          [5] = FIELD_SUM,
                          [6] = FIELD_SCALE,
                          [7] = FIELD_ZERO_COUNT,
                          [8] = FIELD_POSITIVE,
                          [9] = FIELD_NEGATIVE,
                          [10] = FIELD_FLAGS,
                          [11] = FIELD_EXEMPLAR,
                          [14] = FIELD_ZERO_THRESHOLD},
    [OTLP_SUMMARY] = {[2] = FIELD_START,
                      [3] = FIELD_TIME,
                      [4] = FIELD_COUNT,
                      [5] = FIELD_SUM,
                      [6] = FIELD_QUANTILE,
                      [7] = FIELD_ATTRIBUTE,
                      [8] = FIELD_FLAGS},
};

/* The wire type that each must have; lists of numbers may also come one by one. */
static const uint8_t WIRES[] = {
    [FIELD_ATTRIBUTE] = SX_PB_BYTES,
    [FIELD_START] = SX_PB_FIXED64,
    [FIELD_TIME] = SX_PB_FIXED64,
    [FIELD_DOUBLE] = SX_PB_FIXED64,
    [FIELD_INT] = SX_PB_FIXED64,
    [FIELD_EXEMPLAR] = SX_PB_BYTES,
    [FIELD_FLAGS] = SX_PB_VARINT,
    [FIELD_COUNT] = SX_PB_FIXED64,
    [FIELD_SUM] = SX_PB_FIXED64,
    [FIELD_BUCKET_COUNTS] = SX_PB_BYTES,
    [FIELD_BOUNDS] = SX_PB_BYTES,
    [FIELD_QUANTILE] = SX_PB_BYTES,
    [FIELD_SCALE] = SX_PB_VARINT,
    [FIELD_ZERO_COUNT] = SX_PB_FIXED64,
    [FIELD_POSITIVE] = SX_PB_BYTES,
    [FIELD_NEGATIVE] = SX_PB_BYTES,
    [FIELD_ZERO_THRESHOLD] = SX_PB_FIXED64,
};

void otlp_point_done(otlp_point *p)
{
    sx_free(p->attributes.items);
    sx_free(p->exemplars.items);
    sx_free(p->bounds.items);
    sx_free(p->positive.counts.items);
    sx_free(p->negative.counts.items);
    sx_free(p->quantiles);
    *p = (otlp_point){0};
}

static void clear(otlp_point *p)
{
    p->attributes.count = p->exemplars.count = p->bounds.count = p->quantile_count = 0;
    p->positive.counts.count = p->negative.counts.count = 0;
    p->positive.offset = p->negative.offset = 0;
    p->t_ns = p->start_ns = 0;
    p->value = p->sum = p->count = p->zero_count = p->zero_threshold = 0;
    p->has_sum = p->stale = false;
    p->scale = 0;
    p->attributes_hash = 0;
}

static bool push_message(otlp_list *l, sx_str message)
{
    if (!sx_grow(&l->items, &l->cap, l->count + 1, sizeof *l->items))
        return false;
    l->items[l->count++] = message;
    return true;
}

static bool push_number(otlp_numbers *n, double v)
{
    if (!sx_grow(&n->items, &n->cap, n->count + 1, sizeof *n->items))
        return false;
    n->items[n->count++] = v;
    return true;
}

/* A list of doubles, or of fixed64 (`whole`), packed or not. */
static bool read_fixed(sx_pb_reader *r, otlp_numbers *to, bool whole)
{
    bool room = true;
    if (sx_pb_wire_of(r) == SX_PB_FIXED64)
        return push_number(to, whole ? (double)sx_pb_fixed64(r) : sx_pb_double(r));
    sx_pb_outer outer = sx_pb_enter(r);
    while (room && sx_pb_more(r))
        room = push_number(to, whole ? (double)sx_pb_fixed64(r) : sx_pb_double(r));
    sx_pb_leave(r, outer);
    return room;
}

static bool read_buckets(sx_pb_reader *r, otlp_buckets *to)
{
    bool room = true;
    sx_pb_outer outer = sx_pb_enter(r);
    while (room && sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            to->offset = (int32_t)sx_pb_zigzag(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            room = push_number(&to->counts, (double)sx_pb_varint(r));
            break;
        case SX_PB_TAG(2, SX_PB_BYTES): {
            sx_pb_outer list = sx_pb_enter(r);
            while (room && sx_pb_more(r))
                room = push_number(&to->counts, (double)sx_pb_varint(r));
            sx_pb_leave(r, list);
            break;
        }
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    return room;
}

static bool read_quantile(sx_pb_reader *r, otlp_point *p)
{
    otlp_quantile q = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_FIXED64))
            q.quantile = sx_pb_double(r);
        else if (r->tag == SX_PB_TAG(2, SX_PB_FIXED64))
            q.value = sx_pb_double(r);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    if (!sx_grow(&p->quantiles, &p->quantile_cap, p->quantile_count + 1, sizeof q))
        return false;
    p->quantiles[p->quantile_count++] = q;
    return true;
}

/* One field into the point; false without memory. */
static bool read_field(otlp_point *p, sx_pb_reader *r, point_field field, uint64_t seed)
{
    switch (field) {
    case FIELD_ATTRIBUTE: {
        sx_str message = sx_pb_bytes(r);
        p->attributes_hash = sx_hash(message, p->attributes_hash ^ seed);
        return push_message(&p->attributes, message);
    }
    case FIELD_START:
        p->start_ns = sx_pb_fixed64(r);
        return true;
    case FIELD_TIME:
        p->t_ns = sx_pb_fixed64(r);
        return true;
    case FIELD_DOUBLE:
        p->value = sx_pb_double(r);
        return true;
    case FIELD_INT:
        p->value = (double)(int64_t)sx_pb_fixed64(r);
        return true;
    case FIELD_EXEMPLAR:
        return push_message(&p->exemplars, sx_pb_bytes(r));
    case FIELD_FLAGS:
        p->stale = sx_pb_varint(r) & NO_RECORDED_VALUE;
        return true;
    case FIELD_COUNT:
        p->count = (double)sx_pb_fixed64(r);
        return true;
    case FIELD_SUM:
        p->sum = sx_pb_double(r);
        p->has_sum = true;
        return true;
    case FIELD_BUCKET_COUNTS:
        return read_fixed(r, &p->positive.counts, true);
    case FIELD_BOUNDS:
        return read_fixed(r, &p->bounds, false);
    case FIELD_QUANTILE:
        return read_quantile(r, p);
    case FIELD_SCALE:
        p->scale = (int32_t)sx_pb_zigzag(r);
        return true;
    case FIELD_ZERO_COUNT:
        p->zero_count = (double)sx_pb_fixed64(r);
        return true;
    case FIELD_POSITIVE:
        return read_buckets(r, &p->positive);
    case FIELD_NEGATIVE:
        return read_buckets(r, &p->negative);
    case FIELD_ZERO_THRESHOLD:
        p->zero_threshold = sx_pb_double(r);
        return true;
    default:
        sx_pb_skip(r);
        return true;
    }
}

static sx_status read_point(remote_writer *w, sx_pb_reader *r, sx_error *err)
{
    otlp_state *s = w->otlp;
    bool room = true;
    clear(&s->point);
    sx_pb_outer outer = sx_pb_enter(r);
    while (room && sx_pb_next(r)) {
        uint32_t number = sx_pb_field(r);
        point_field field = number < FIELD_NUMBERS ? FIELDS[s->kind][number] : FIELD_UNKNOWN;
        sx_pb_wire wire = sx_pb_wire_of(r);
        bool list = field == FIELD_BUCKET_COUNTS || field == FIELD_BOUNDS;
        if (wire != WIRES[field] && !(list && wire == SX_PB_FIXED64))
            field = FIELD_UNKNOWN;
        room = read_field(&s->point, r, field, w->seed);
    }
    sx_pb_leave(r, outer);
    return room ? SX_OK : sx_fail_memory(err, "a data point");
}

/* --- Exemplars. */

/* Adds an id as a label in hex; ids of zeros only are none. */
static sx_status put_id(remote_writer *w, sx_str name, sx_str id, size_t *runes, sx_error *err)
{
    bool any = false;
    for (size_t i = 0; i < id.len; i++)
        any |= id.data[i] != 0;
    if (!any)
        return SX_OK;
    static const char DIGITS[] = "0123456789abcdef";
    char *text = sx_arena_alloc(&w->arena, id.len * 2);
    if (!text)
        return sx_fail_memory(err, "an exemplar");
    for (size_t i = 0; i < id.len; i++) {
        text[2 * i] = DIGITS[(uint8_t)id.data[i] >> 4];
        text[2 * i + 1] = DIGITS[(uint8_t)id.data[i] & 15];
    }
    *runes += name.len + id.len * 2;
    return remote_label(w, name, sx_str_of(text, id.len * 2)) ? SX_OK
                                                              : sx_fail_memory(err, "an exemplar");
}

/* Reads one; its labels are in w->labels until the next. *whole false: it has no value. */
static sx_status read_exemplar(remote_writer *w, sx_str message, tsdb_exemplar *out, bool *whole,
                               sx_error *err)
{
    sx_pb_reader r;
    sx_str trace = SX_STR(""), span = SX_STR("");
    uint64_t t_ns = 0;
    size_t runes = 0, ids;
    sx_status status = SX_OK;
    *out = (tsdb_exemplar){0};
    *whole = false;
    w->label_count = 0;
    sx_pb_init(&r, message);
    while (status == SX_OK && sx_pb_next(&r)) {
        tsdb_label l;
        switch (r.tag) {
        case SX_PB_TAG(2, SX_PB_FIXED64):
            t_ns = sx_pb_fixed64(&r);
            break;
        case SX_PB_TAG(3, SX_PB_FIXED64):
            out->value = sx_pb_double(&r);
            *whole = true;
            break;
        case SX_PB_TAG(6, SX_PB_FIXED64):
            out->value = (double)(int64_t)sx_pb_fixed64(&r);
            *whole = true;
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            span = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
            trace = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(7, SX_PB_BYTES):
            status = otlp_read_pair(&w->arena, sx_pb_bytes(&r), &l, err);
            if (status == SX_OK && !remote_label(w, l.name, l.value))
                status = sx_fail_memory(err, "an exemplar");
            if (status == SX_OK)
                runes += sx_utf8_count(l.name) + sx_utf8_count(l.value);
            break;
        default:
            sx_pb_skip(&r);
        }
    }
    size_t attributes = w->label_count;
    if (status == SX_OK)
        status = put_id(w, SX_STR("trace_id"), trace, &runes, err);
    if (status == SX_OK)
        status = put_id(w, SX_STR("span_id"), span, &runes, err);
    if (status != SX_OK)
        return status;
    ids = w->label_count - attributes;
    if (runes > EXEMPLAR_RUNES_MAX) { /* the ids stay */
        memmove(w->labels, w->labels + attributes, ids * sizeof *w->labels);
        w->label_count = ids;
    }
    out->t = (int64_t)(t_ns / 1000000);
    out->has_t = out->t != 0;
    *whole &= tsdb_labels_sort(w->labels, w->label_count, &out->labels, NULL) == SX_OK;
    return SX_OK;
}

/* Appends exemplars from *next on, as long as they are not above `most`. */
static sx_status put_exemplars(remote_writer *w, size_t *next, double most, sx_error *err)
{
    const otlp_list *l = &w->otlp->point.exemplars;
    sx_status status = SX_OK;
    while (*next < l->count && status == SX_OK) {
        tsdb_exemplar e;
        bool whole;
        status = read_exemplar(w, l->items[*next], &e, &whole, err);
        if (status != SX_OK || (whole && e.value > most))
            return status;
        ++*next;
        if (!e.has_t) {
            e.t = (int64_t)(w->otlp->point.t_ns / 1000000);
            e.has_t = true;
        }
        if (whole)
            status = remote_exemplar(w, &e, err);
    }
    return status;
}

/* --- Samples. */

static int64_t start_of(const otlp_point *p)
{
    return p->start_ns <= p->t_ns ? (int64_t)(p->start_ns / 1000000) : 0;
}

static sx_status put_sample(remote_writer *w, otlp_part part, double bound, double v, sx_error *err)
{
    const otlp_point *p = &w->otlp->point;
    bool known;
    sx_status status = otlp_find_series(w, part, bound, &known, err);
    if (status != SX_OK || !known)
        return status;
    uint64_t refused = w->out->refused;
    status = remote_sample(w, (int64_t)(p->t_ns / 1000000), start_of(p),
                           p->stale ? tsdb_stale() : v, err);
    w->otlp->out->rejected += w->out->refused - refused;
    return status;
}

static sx_status put_number(remote_writer *w, sx_error *err)
{
    size_t next = 0;
    sx_status status = put_sample(w, OTLP_PART_ITSELF, 0, w->otlp->point.value, err);
    if (status == SX_OK && w->otlp->kind == OTLP_SUM && w->otlp->point.exemplars.count &&
        w->series.ref)
        status = put_exemplars(w, &next, INFINITY, err);
    return status;
}

static sx_status put_summary(remote_writer *w, sx_error *err)
{
    const otlp_point *p = &w->otlp->point;
    sx_status status = put_sample(w, OTLP_PART_SUM, 0, p->sum, err);
    if (status == SX_OK)
        status = put_sample(w, OTLP_PART_COUNT, 0, p->count, err);
    for (size_t i = 0; i < p->quantile_count && status == SX_OK; i++)
        status =
            put_sample(w, OTLP_PART_QUANTILE, p->quantiles[i].quantile, p->quantiles[i].value, err);
    return status;
}

static sx_status put_classic(remote_writer *w, sx_error *err)
{
    const otlp_point *p = &w->otlp->point;
    size_t next = 0;
    double seen = 0;
    sx_status status = SX_OK;
    if (p->has_sum)
        status = put_sample(w, OTLP_PART_SUM, 0, p->sum, err);
    if (status == SX_OK)
        status = put_sample(w, OTLP_PART_COUNT, 0, p->count, err);
    size_t buckets =
        p->bounds.count < p->positive.counts.count ? p->bounds.count : p->positive.counts.count;
    for (size_t i = 0; i < buckets && status == SX_OK; i++) {
        seen += p->positive.counts.items[i];
        status = put_sample(w, OTLP_PART_BUCKET, p->bounds.items[i], seen, err);
        if (status == SX_OK && w->series.ref)
            status = put_exemplars(w, &next, p->bounds.items[i], err);
    }
    if (status == SX_OK)
        status = put_sample(w, OTLP_PART_BUCKET, INFINITY, p->count, err);
    if (status == SX_OK && w->series.ref)
        status = put_exemplars(w, &next, INFINITY, err);
    return status;
}

/* --- Native histograms. */

/* Dense counts as spans and counts: bucket i is at (offset + i) >> down, plus `shift`. Few empty
 * buckets are kept rather than beginning another span. */
static sx_status lay_out(otlp_state *s, unsigned side, const otlp_buckets *b, unsigned down,
                         int64_t shift, sx_error *err)
{
    wire_numbers *cells = &s->cells[side];
    int64_t last = 0;
    cells->count = 0;
    s->span_counts[side] = 0;
    for (size_t i = 0; i < b->counts.count; i++) {
        int64_t at = (((int64_t)b->offset + (int64_t)i) >> down) + shift;
        double count = b->counts.items[i];
        if (count == 0)
            continue;
        if (s->span_counts[side] && at == last) {
            cells->items[cells->count - 1] += count;
            continue;
        }
        int64_t gap = s->span_counts[side] ? at - last - 1 : at;
        if (at > INT32_MAX || at < INT32_MIN)
            return sx_fail(err, SX_EINVAL, "bucket index %lld is out of range", (long long)at);
        bool fresh = s->span_counts[side] == 0 || gap > GAP_FILLED_MAX;
        size_t more = fresh ? 1 : (size_t)gap + 1;
        if (!sx_grow(&cells->items, &cells->cap, cells->count + more, sizeof *cells->items) ||
            !sx_grow(&s->spans[side], &s->span_caps[side], s->span_counts[side] + 1,
                     sizeof *s->spans[side]))
            return sx_fail_memory(err, "a histogram's buckets");
        if (fresh)
            s->spans[side][s->span_counts[side]++] = (tsdb_span){(int32_t)gap, 0};
        for (size_t k = 1; k < more; k++)
            cells->items[cells->count++] = 0;
        cells->items[cells->count++] = count;
        s->spans[side][s->span_counts[side] - 1].length += (uint32_t)more;
        last = at;
    }
    return SX_OK;
}

static sx_status make_exponential(otlp_state *s, tsdb_histogram *h, sx_error *err)
{
    enum { DOWN_MAX = 62 };
    static const double ZERO_THRESHOLD = 1e-128; /* what Prometheus takes, whatever was sent */
    const otlp_point *p = &s->point;
    if (p->scale < TSDB_SCHEMA_MIN)
        return sx_fail(
            err, SX_EINVAL,
            "cannot convert exponential to native histogram. Scale must be >= %d, was %d",
            TSDB_SCHEMA_MIN, p->scale);
    int64_t down = p->scale > TSDB_SCHEMA_MAX ? (int64_t)p->scale - TSDB_SCHEMA_MAX : 0;
    unsigned shift = (unsigned)(down < DOWN_MAX ? down : DOWN_MAX);
    h->schema = p->scale - (int32_t)down;
    h->zero_threshold = ZERO_THRESHOLD;
    h->zero_count = p->zero_count;
    sx_status status = lay_out(s, 0, &p->negative, shift, 1, err);
    return status == SX_OK ? lay_out(s, 1, &p->positive, shift, 1, err) : status;
}

static sx_status make_custom(otlp_state *s, tsdb_histogram *h, sx_error *err)
{
    h->schema = TSDB_SCHEMA_CUSTOM;
    h->bounds = s->point.bounds.items;
    h->bound_count = (uint32_t)s->point.bounds.count;
    s->span_counts[0] = s->cells[0].count = 0;
    return lay_out(s, 1, &s->point.positive, 0, 0, err);
}

static sx_status put_native(remote_writer *w, sx_error *err)
{
    otlp_state *s = w->otlp;
    const otlp_point *p = &s->point;
    tsdb_histogram h = {.integer = true, .count = p->count, .sum = p->has_sum ? p->sum : 0};
    sx_error bad;
    sx_status status =
        s->kind == OTLP_EXPONENTIAL ? make_exponential(s, &h, &bad) : make_custom(s, &h, &bad);
    if (status == SX_EINVAL) {
        otlp_reject(w, 1, "%s", bad.message);
        return SX_OK;
    }
    if (status != SX_OK)
        return sx_fail(err, status, "%s", bad.message);
    h.negative_spans = s->spans[0];
    h.negative_span_count = (uint32_t)s->span_counts[0];
    h.negative = s->cells[0].items;
    h.negative_count = (uint32_t)s->cells[0].count;
    h.positive_spans = s->spans[1];
    h.positive_span_count = (uint32_t)s->span_counts[1];
    h.positive = s->cells[1].items;
    h.positive_count = (uint32_t)s->cells[1].count;
    if (s->temporality == OTLP_DELTA)
        h.reset = TSDB_RESET_GAUGE;
    if (p->stale)
        h = (tsdb_histogram){.integer = true,
                             .schema = h.schema,
                             .sum = tsdb_stale(),
                             .bounds = h.bounds,
                             .bound_count = h.bound_count};
    if (!p->stale && h.count == 0 && h.sum != 0)
        s->out->warnings++;
    bool known;
    status = otlp_find_series(w, OTLP_PART_ITSELF, 0, &known, err);
    if (status != SX_OK || !known)
        return status;
    uint64_t refused = w->out->refused;
    size_t next = 0;
    status = remote_histogram(w, (int64_t)(p->t_ns / 1000000), start_of(p), &h, err);
    s->out->rejected += w->out->refused - refused;
    return status == SX_OK ? put_exemplars(w, &next, INFINITY, err) : status;
}

sx_status otlp_read_point(remote_writer *w, sx_pb_reader *r, sx_error *err)
{
    otlp_state *s = w->otlp;
    sx_status status = read_point(w, r, err);
    if (status != SX_OK || r->fault)
        return status;
    if (s->point.t_ns < s->earliest_ns)
        s->earliest_ns = s->point.t_ns;
    if (s->point.t_ns > s->latest_ns)
        s->latest_ns = s->point.t_ns;
    if (s->bad_metric) {
        s->out->rejected++;
        return SX_OK;
    }
    bool taken = true;
    if (s->adds_up)
        status = otlp_accumulate(w, &taken, err);
    if (status != SX_OK || !taken)
        return status;
    switch (s->kind) {
    case OTLP_GAUGE:
    case OTLP_SUM:
        return put_number(w, err);
    case OTLP_SUMMARY:
        return put_summary(w, err);
    case OTLP_HISTOGRAM:
        return s->config->to_nhcb ? put_native(w, err) : put_classic(w, err);
    default:
        return put_native(w, err);
    }
}
