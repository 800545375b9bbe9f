/* chunk_histogram_read.c - chunks of native histograms decoded; see chunk_histogram.c for the form.
 *
 * The samples of a chunk share their spans and bounds in the reader's arena; each has its own counts.
 * What a chunk claims is taken only as far as its bits go. */
#include <math.h>

#include "observe/tsdb/chunk_varbit.h"

enum { HEADER_BYTES = 3 };

typedef struct moving {
    uint64_t last, delta;
    tsdb_xor_value x;
} moving;

typedef struct histogram_reader {
    tsdb_bits b;
    tsdb_histogram layout; /* what all samples share */
    bool integer;
    uint32_t buckets;
    int64_t t, t_delta;
    moving count, zero, sum;
    moving *each; /* positive, then negative buckets */
    tsdb_st_state st;
} histogram_reader;

/* --- The layout. */

static double take_threshold(tsdb_bits *b)
{
    unsigned byte = (unsigned)tsdb_bits_take(b, 8);
    if (byte == 0)
        return 0;
    if (byte != 255)
        return ldexp(0.5, (int)byte - 243);
    uint64_t bits = tsdb_bits_take(b, 64);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static bool take_spans(tsdb_bits *b, sx_arena *arena, const tsdb_span **out, uint32_t *count,
                       uint32_t *buckets)
{
    uint64_t n = tsdb_take_uvarbit(b), all = 0;
    if (tsdb_bits_over(b) || n > (b->len * 8 - b->at) / 2) /* a span takes 2 bits and more */
        return false;
    tsdb_span *spans = sx_arena_alloc(arena, (n + 1) * sizeof *spans);
    int64_t index = 0;
    for (uint64_t i = 0; spans && i < n; i++) {
        uint64_t length = tsdb_take_uvarbit(b);
        int64_t offset = tsdb_take_varbit(b);
        if (length > TSDB_HISTOGRAM_BUCKETS_MAX || offset < INT32_MIN || offset > INT32_MAX ||
            (i > 0 && offset < 0))
            return false;
        all += length;
        index += offset + (int64_t)length;
        if (all > TSDB_HISTOGRAM_BUCKETS_MAX || index < INT32_MIN || index > INT32_MAX)
            return false;
        spans[i] = (tsdb_span){(int32_t)offset, (uint32_t)length};
    }
    *out = spans;
    *count = (uint32_t)n;
    *buckets = (uint32_t)all;
    return spans && !tsdb_bits_over(b);
}

static bool take_bounds(tsdb_bits *b, sx_arena *arena, tsdb_histogram *l)
{
    uint64_t n = tsdb_take_uvarbit(b);
    if (tsdb_bits_over(b) || n > TSDB_HISTOGRAM_BUCKETS_MAX || n > b->len * 8 - b->at)
        return false;
    double *bounds = sx_arena_alloc(arena, (n + 1) * sizeof *bounds);
    for (uint64_t i = 0; bounds && i < n; i++) {
        uint64_t whole = tsdb_take_uvarbit(b);
        if (whole == 0) {
            uint64_t bits = tsdb_bits_take(b, 64);
            memcpy(&bounds[i], &bits, sizeof bits);
        } else {
            bounds[i] = (double)(whole - 1) / 1000;
        }
    }
    l->bounds = bounds;
    l->bound_count = (uint32_t)n;
    return bounds && !tsdb_bits_over(b);
}

static bool take_layout(histogram_reader *r, sx_arena *arena)
{
    tsdb_histogram *l = &r->layout;
    l->zero_threshold = take_threshold(&r->b);
    int64_t schema = tsdb_take_varbit(&r->b);
    if (schema != TSDB_SCHEMA_CUSTOM && (schema < TSDB_SCHEMA_MIN || schema > TSDB_SCHEMA_MAX))
        return false;
    l->schema = (int32_t)schema;
    if (!take_spans(&r->b, arena, &l->positive_spans, &l->positive_span_count,
                    &l->positive_count) ||
        !take_spans(&r->b, arena, &l->negative_spans, &l->negative_span_count, &l->negative_count))
        return false;
    r->buckets = l->positive_count + l->negative_count;
    return l->schema != TSDB_SCHEMA_CUSTOM || take_bounds(&r->b, arena, l);
}

/* --- Samples. */

static void take_moving(tsdb_bits *b, moving *m)
{
    m->delta += (uint64_t)tsdb_take_varbit(b);
    m->last += m->delta;
}

static bool take_float(tsdb_bits *b, moving *m, bool first)
{
    if (!first)
        return tsdb_take_xor(b, &m->x);
    m->x.bits = tsdb_bits_take(b, 64);
    return true;
}

static double float_of(const moving *m)
{
    double v;
    memcpy(&v, &m->x.bits, sizeof v);
    return v;
}

/* Moves the state on by one sample. *stale: it has no buckets. */
static bool take_sample(histogram_reader *r, unsigned i, bool *stale)
{
    bool good = true;
    int64_t dod = tsdb_take_varbit(&r->b), before = r->t;
    if (i == 0) {
        r->t = dod;
    } else {
        r->t_delta = (int64_t)((uint64_t)r->t_delta + (uint64_t)dod);
        r->t = (int64_t)((uint64_t)r->t + (uint64_t)r->t_delta);
    }
    if (r->integer && i == 0) {
        r->count.last = tsdb_take_uvarbit(&r->b);
        r->zero.last = tsdb_take_uvarbit(&r->b);
    } else if (r->integer) {
        take_moving(&r->b, &r->count);
        take_moving(&r->b, &r->zero);
    } else {
        good = take_float(&r->b, &r->count, i == 0) && take_float(&r->b, &r->zero, i == 0);
    }
    good = good && take_float(&r->b, &r->sum, i == 0);
    *stale = r->sum.x.bits == TSDB_STALE_BITS;
    /* The first sample of a chunk has its buckets in any case: its layout says how many. */
    for (uint32_t k = 0; k < r->buckets && good && (!*stale || i == 0); k++) {
        moving *m = &r->each[k];
        if (!r->integer)
            good = take_float(&r->b, m, i == 0);
        else if (i == 0)
            m->last = (uint64_t)tsdb_take_varbit(&r->b);
        else
            take_moving(&r->b, m);
        if (sx_unlikely(tsdb_bits_over(&r->b)))
            return false;
    }
    if (good)
        tsdb_take_start(&r->b, &r->st, i, before, r->t);
    return good && !tsdb_bits_over(&r->b);
}

static const tsdb_histogram *make_sample(const histogram_reader *r, unsigned i, bool stale,
                                         tsdb_reset_hint gauge, sx_arena *arena)
{
    tsdb_histogram *h = sx_arena_alloc(arena, sizeof *h);
    double *counts = stale ? NULL : sx_arena_alloc(arena, (r->buckets + 1) * sizeof *counts);
    if (!h || (!stale && !counts))
        return NULL;
    if (stale) {
        *h = (tsdb_histogram){.integer = r->integer, .reset = gauge, .sum = tsdb_stale()};
        return h;
    }
    *h = r->layout;
    h->integer = r->integer;
    /* Within a chunk there is no reset; whether there was one before it only its neighbour knows. */
    h->reset = gauge == TSDB_RESET_GAUGE ? gauge : i > 0 ? TSDB_RESET_NO : TSDB_RESET_UNKNOWN;
    h->count = r->integer ? (double)r->count.last : float_of(&r->count);
    h->zero_count = r->integer ? (double)r->zero.last : float_of(&r->zero);
    h->sum = float_of(&r->sum);
    h->positive = counts;
    h->negative = counts + h->positive_count;
    int64_t sum = 0;
    for (uint32_t k = 0; k < r->buckets; k++) {
        if (k == h->positive_count)
            sum = 0;
        sum = (int64_t)((uint64_t)sum + r->each[k].last);
        counts[k] = r->integer ? (double)sum : float_of(&r->each[k]);
    }
    return h;
}

static sx_status keep_sample(const histogram_reader *r, unsigned i, bool stale,
                             tsdb_reset_hint gauge, tsdb_columns *out, sx_error *err)
{
    sx_status status = tsdb_columns_reserve(out, 1, err);
    const tsdb_histogram *h = status == SX_OK ? make_sample(r, i, stale, gauge, out->arena) : NULL;
    if (!h)
        return status == SX_OK ? sx_fail_memory(err, "histogram") : status;
    out->t[out->count] = r->t;
    out->v[out->count] = 0;
    out->h[out->count] = h;
    if (out->st)
        out->st[out->count] = r->st.st;
    out->count++;
    return SX_OK;
}

sx_status tsdb_histogram_chunk_read(tsdb_encoding e, sx_str bytes, int64_t min_t, int64_t max_t,
                                    tsdb_columns *out, sx_error *err)
{
    bool with_starts = e == TSDB_CHUNK_HISTOGRAM_ST || e == TSDB_CHUNK_FLOAT_HISTOGRAM_ST;
    histogram_reader r = {.integer = e == TSDB_CHUNK_HISTOGRAM || e == TSDB_CHUNK_HISTOGRAM_ST};
    const uint8_t *data = (const uint8_t *)bytes.data;
    r.b = (tsdb_bits){data, bytes.len, HEADER_BYTES * 8};
    if (bytes.len < HEADER_BYTES)
        return sx_fail(err, SX_ECORRUPT, "histogram chunk of %zu bytes has no header", bytes.len);
    uint32_t count = tsdb_chunk_count(e, bytes);
    uint8_t flags = with_starts ? data[0] : data[2];
    tsdb_reset_hint gauge = flags >> 6 == 3 ? TSDB_RESET_GAUGE : TSDB_RESET_UNKNOWN;
    if (with_starts)
        r.st = (tsdb_st_state){.first_known = data[2] & 0x80, .change_on = data[2] & 0x7f};
    if (count == 0)
        return SX_OK;
    sx_assert(out->arena); /* histograms need a place */
    sx_status status = tsdb_columns_want_h(out, err);
    if (status == SX_OK && with_starts && data[2])
        status = tsdb_columns_want_st(out, err);
    if (status != SX_OK)
        return status;
    bool good = take_layout(&r, out->arena);
    if (good && r.buckets > bytes.len * 8)
        good = false;
    r.each = good ? sx_calloc(r.buckets + 1u, sizeof *r.each) : NULL;
    if (good && !r.each)
        return sx_fail_memory(err, "histogram chunk");
    r.count.x.leading = r.zero.x.leading = r.sum.x.leading = 0xff;
    for (uint32_t i = 0; good && i < r.buckets; i++)
        r.each[i].x.leading = 0xff;
    unsigned i = 0;
    for (; i < count && good && status == SX_OK; i++) {
        bool stale;
        good = take_sample(&r, i, &stale);
        if (!good || r.t > max_t)
            break;
        if (r.t >= min_t)
            status = keep_sample(&r, i, stale, gauge, out, err);
    }
    sx_free(r.each);
    if (!good)
        return sx_fail(err, SX_ECORRUPT, "histogram chunk of %zu bytes breaks at sample %u of %u",
                       bytes.len, i, count);
    return status;
}
