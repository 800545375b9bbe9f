/* chunk_histogram.c - native histograms in chunks, integer and float, with start timestamps or not.
 *
 * All samples of a chunk share one layout (schema, zero threshold, spans, bounds), which stands in
 * front; each field of a sample is written relative to the same field before it. Buckets of integer
 * histograms are differences along the buckets and then differences of differences along time; those
 * of float histograms each have an XOR window. A packer that meets a bucket the layout lacks widens
 * it and begins again; a counter reset ends the chunk.
 * Source: prometheus, tsdb/docs/format/chunks.md, "Histogram chunk data" and what follows it. */
#include <math.h>

#include "observe/tsdb/chunk_varbit.h"
#include "observe/tsdb/histogram_side.h"

enum {
    HEADER_BYTES = 3,
    COUNT_MOST = 0x3fff,
    FLAGS_RESET = 0x80,
    FLAGS_NO_RESET = 0x40,
    FLAGS_GAUGE = 0xc0,
    BOUND_THOUSANDTHS_MOST = 33554430
};

typedef struct chunk_layout {
    int32_t schema;
    double zero_threshold;
    const tsdb_span *spans[2]; /* positive, negative */
    uint32_t span_count[2], buckets[2];
    const double *bounds;
    uint32_t bound_count;
} chunk_layout;

/* One bucket along time: for integers `last` and `delta`, for floats the window. */
typedef struct bucket_state {
    int64_t last, delta;
    tsdb_xor_value x;
} bucket_state;

typedef struct sample_state {
    int64_t t, t_delta;
    bucket_state count, zero;
    tsdb_xor_value sum;
    bucket_state *buckets; /* positive ones, then negative ones */
    tsdb_st_state st;
} sample_state;

static uint32_t buckets_of(const tsdb_span *spans, uint32_t count)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < count; i++)
        all += spans[i].length;
    return all > TSDB_HISTOGRAM_BUCKETS_MAX ? UINT32_MAX : (uint32_t)all;
}

/* --- Writing. */

/* A count that was read as 2^64 - 1 is 2^64 as a double: bounded, not undefined. */
static uint64_t whole(double v)
{
    return v >= 0x1p64 ? UINT64_MAX : v > 0 ? (uint64_t)v : 0;
}

static int64_t whole_bucket(double v)
{
    return v >= 0x1p63 ? INT64_MAX : v > -0x1p63 ? (int64_t)v : INT64_MIN;
}

static void put_threshold(tsdb_bit_sink *s, double threshold)
{
    int exponent = 0;
    if (threshold == 0) {
        tsdb_put_bits(s, 0, 8);
        return;
    }
    double fraction = frexp(threshold, &exponent);
    if (fraction == 0.5 && exponent >= -242 && exponent <= 11) {
        tsdb_put_bits(s, (uint64_t)(exponent + 243), 8);
    } else {
        tsdb_put_bits(s, 255, 8);
        tsdb_put_bits(s, tsdb_bits_of(threshold), 64);
    }
}

static void put_bound(tsdb_bit_sink *s, double bound)
{
    double scaled = bound * 1000;
    if (scaled >= 0 && scaled <= BOUND_THOUSANDTHS_MOST && round(scaled) / 1000 == bound) {
        tsdb_put_uvarbit(s, (uint64_t)round(scaled) + 1);
    } else {
        tsdb_put_bits(s, 0, 1);
        tsdb_put_bits(s, tsdb_bits_of(bound), 64);
    }
}

static void put_layout(tsdb_bit_sink *s, const chunk_layout *l)
{
    put_threshold(s, l->zero_threshold);
    tsdb_put_varbit(s, l->schema);
    for (unsigned side = 0; side < 2; side++) {
        tsdb_put_uvarbit(s, l->span_count[side]);
        for (uint32_t i = 0; i < l->span_count[side]; i++) {
            tsdb_put_uvarbit(s, l->spans[side][i].length);
            tsdb_put_varbit(s, l->spans[side][i].offset);
        }
    }
    if (l->schema != TSDB_SCHEMA_CUSTOM)
        return;
    tsdb_put_uvarbit(s, l->bound_count);
    for (uint32_t i = 0; i < l->bound_count; i++)
        put_bound(s, l->bounds[i]);
}

/* An integer that moves evenly: the difference of differences. */
static void put_moving(tsdb_bit_sink *s, bucket_state *b, int64_t value, bool quiet)
{
    int64_t delta = (int64_t)((uint64_t)value - (uint64_t)b->last);
    tsdb_put_varbit(s, quiet ? 0 : (int64_t)((uint64_t)delta - (uint64_t)b->delta));
    b->delta = delta;
    b->last = value;
}

static void put_integer(tsdb_bit_sink *s, sample_state *x, const tsdb_histogram *h, uint32_t i,
                        const double *const counts[2], const uint32_t buckets[2])
{
    bool stale = tsdb_is_stale(h->sum);
    if (i == 0) {
        tsdb_put_uvarbit(s, stale ? 0 : whole(h->count));
        tsdb_put_uvarbit(s, stale ? 0 : whole(h->zero_count));
        tsdb_put_bits(s, tsdb_bits_of(h->sum), 64);
        x->count.last = stale ? 0 : (int64_t)whole(h->count);
        x->zero.last = stale ? 0 : (int64_t)whole(h->zero_count);
        x->sum.bits = tsdb_bits_of(h->sum);
    } else {
        put_moving(s, &x->count, stale ? 0 : (int64_t)whole(h->count), stale);
        put_moving(s, &x->zero, stale ? 0 : (int64_t)whole(h->zero_count), stale);
        tsdb_put_xor(s, &x->sum, h->sum);
    }
    if (stale)
        return;
    bucket_state *b = x->buckets;
    for (unsigned side = 0; side < 2; side++) {
        int64_t before = 0;
        for (uint32_t k = 0; k < buckets[side]; k++, b++) {
            int64_t count = whole_bucket(counts[side][k]);
            if (i == 0) {
                b->last = (int64_t)((uint64_t)count - (uint64_t)before);
                tsdb_put_varbit(s, b->last);
            } else {
                put_moving(s, b, (int64_t)((uint64_t)count - (uint64_t)before), false);
            }
            before = count;
        }
    }
}

static void put_float(tsdb_bit_sink *s, tsdb_xor_value *x, double v, bool first)
{
    if (first) {
        tsdb_put_bits(s, tsdb_bits_of(v), 64);
        x->bits = tsdb_bits_of(v);
    } else {
        tsdb_put_xor(s, x, v);
    }
}

static void put_floats(tsdb_bit_sink *s, sample_state *x, const tsdb_histogram *h, uint32_t i,
                       const double *const counts[2], const uint32_t buckets[2])
{
    bool stale = tsdb_is_stale(h->sum);
    put_float(s, &x->count.x, stale ? 0 : h->count, i == 0);
    put_float(s, &x->zero.x, stale ? 0 : h->zero_count, i == 0);
    put_float(s, &x->sum, h->sum, i == 0);
    bucket_state *b = x->buckets;
    for (unsigned side = 0; side < 2 && !stale; side++)
        for (uint32_t k = 0; k < buckets[side]; k++, b++)
            put_float(s, &b->x, counts[side][k], i == 0);
}

/* --- Layouts. */

static void layout_of(const tsdb_histogram *h, chunk_layout *l)
{
    *l = (chunk_layout){0};
    if (tsdb_is_stale(h->sum)) /* its buckets do not matter */
        return;
    l->schema = h->schema;
    l->zero_threshold = h->zero_threshold;
    l->spans[0] = h->positive_spans;
    l->spans[1] = h->negative_spans;
    l->span_count[0] = h->positive_span_count;
    l->span_count[1] = h->negative_span_count;
    for (unsigned side = 0; side < 2; side++)
        l->buckets[side] = buckets_of(l->spans[side], l->span_count[side]);
    l->bounds = h->bounds;
    l->bound_count = h->bound_count;
}

static bool same_spans(const tsdb_span *a, uint32_t a_count, const tsdb_span *b, uint32_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof *a) == 0);
}

/* Counts of `h` spread over the layout's buckets, into `out`; false if it has one that the layout
 * lacks. */
static bool spread(const chunk_layout *l, unsigned side, const tsdb_span *spans, uint32_t count,
                   const double *counts, double *out)
{
    tsdb_side_walk to, from;
    uint32_t at = 0;
    tsdb_side_start(&to, l->spans[side], l->span_count[side]);
    tsdb_side_start(&from, spans, count);
    bool more = tsdb_side_next(&from);
    for (uint32_t i = 0; i < l->buckets[side] && tsdb_side_next(&to); i++) {
        out[i] = 0;
        if (more && from.index == to.index) {
            out[i] = counts[at++];
            more = tsdb_side_next(&from);
        }
    }
    return !more;
}

/* Spans over the buckets of both. */
static sx_status widen(chunk_layout *l, unsigned side, const tsdb_span *spans, uint32_t count,
                       sx_arena *arena, sx_error *err)
{
    tsdb_side_walk a, b;
    tsdb_side_start(&a, l->spans[side], l->span_count[side]);
    tsdb_side_start(&b, spans, count);
    bool in_a = tsdb_side_next(&a), in_b = tsdb_side_next(&b);
    size_t most = (size_t)l->buckets[side] + buckets_of(spans, count), used = 0;
    tsdb_span *out = sx_arena_alloc(arena, (most + 1) * sizeof *out);
    int64_t behind = 0;
    uint32_t buckets = 0;
    if (!out)
        return sx_fail_memory(err, "chunk");
    while (in_a || in_b) {
        int32_t index = !in_b || (in_a && a.index < b.index) ? a.index : b.index;
        if (in_a && a.index == index)
            in_a = tsdb_side_next(&a);
        if (in_b && b.index == index)
            in_b = tsdb_side_next(&b);
        if (used == 0 || index != behind) {
            out[used] = (tsdb_span){(int32_t)(index - (used ? behind : 0)), 0};
            used++;
        }
        out[used - 1].length++;
        behind = (int64_t)index + 1;
        buckets++;
    }
    l->spans[side] = out;
    l->span_count[side] = (uint32_t)used;
    l->buckets[side] = buckets;
    return SX_OK;
}

static bool same_bounds(const chunk_layout *l, const tsdb_histogram *h)
{
    return l->schema != TSDB_SCHEMA_CUSTOM ||
           (l->bound_count == h->bound_count &&
            (l->bound_count == 0 ||
             memcmp(l->bounds, h->bounds, l->bound_count * sizeof *l->bounds) == 0));
}

/* Whether the sample may follow `before` in a chunk of that layout. */
static bool continues(const chunk_layout *l, const tsdb_histogram *before, const tsdb_histogram *h)
{
    if (!h || h->integer != before->integer ||
        (h->reset == TSDB_RESET_GAUGE) != (before->reset == TSDB_RESET_GAUGE))
        return tsdb_is_stale(h ? h->sum : 0) && h->integer == before->integer;
    if (tsdb_is_stale(h->sum))
        return true;
    if (tsdb_is_stale(before->sum) || h->reset == TSDB_RESET_YES || h->schema != l->schema ||
        tsdb_bits_of(h->zero_threshold) != tsdb_bits_of(l->zero_threshold) || !same_bounds(l, h))
        return false;
    return h->reset == TSDB_RESET_GAUGE || !tsdb_histogram_reset_between(before, h);
}

static uint8_t flags_of(const tsdb_columns *c, size_t from)
{
    const tsdb_histogram *h = c->h[from];
    const tsdb_histogram *before = from ? c->h[from - 1] : NULL;
    if (h->reset == TSDB_RESET_GAUGE)
        return FLAGS_GAUGE;
    if (h->reset == TSDB_RESET_YES)
        return FLAGS_RESET;
    if (!before || tsdb_is_stale(before->sum) || tsdb_is_stale(h->sum) ||
        before->reset == TSDB_RESET_GAUGE)
        return 0;
    return tsdb_histogram_reset_between(before, h) ? FLAGS_RESET : FLAGS_NO_RESET;
}

/* --- Packing. */

typedef struct packer {
    const tsdb_columns *c;
    size_t from, to;
    chunk_layout layout;
    tsdb_bit_sink sink;
    sample_state state;
    double *row[2]; /* counts spread over the layout */
    bool starts, by_count;
    sx_arena *arena;
} packer;

/* Begins the chunk, with room for the layout as it is now. */
static sx_status begin_chunk(packer *p, sx_error *err)
{
    size_t buckets = (size_t)p->layout.buckets[0] + p->layout.buckets[1];
    if (p->layout.buckets[0] == UINT32_MAX || p->layout.buckets[1] == UINT32_MAX)
        return sx_fail(err, SX_EINVAL, "histogram with more than %d buckets",
                       TSDB_HISTOGRAM_BUCKETS_MAX);
    p->state = (sample_state){.sum.leading = 0xff, .count.x.leading = 0xff};
    p->state.zero.x.leading = 0xff;
    p->state.buckets = sx_arena_calloc(p->arena, buckets + 1, sizeof *p->state.buckets);
    p->row[0] = sx_arena_calloc(p->arena, buckets + 1, sizeof *p->row[0]);
    if (!p->state.buckets || !p->row[0] || !tsdb_bit_sink_begin(&p->sink, HEADER_BYTES))
        return sx_fail_memory(err, "chunk");
    p->row[1] = p->row[0] + p->layout.buckets[0];
    for (size_t i = 0; i < buckets; i++)
        p->state.buckets[i].x.leading = 0xff;
    put_layout(&p->sink, &p->layout);
    p->to = p->from;
    return SX_OK;
}

/* Puts the next sample; SX_REFUSED if the layout had to be widened: all begins again. */
static sx_status put_sample(packer *p, sx_error *err)
{
    const tsdb_histogram *h = p->c->h[p->to];
    const double *counts[2] = {h->positive, h->negative};
    const tsdb_span *spans[2] = {h->positive_spans, h->negative_spans};
    uint32_t span_counts[2] = {h->positive_span_count, h->negative_span_count};
    bool widened = false;
    for (unsigned side = 0; side < 2 && !tsdb_is_stale(h->sum); side++) {
        if (same_spans(spans[side], span_counts[side], p->layout.spans[side],
                       p->layout.span_count[side]))
            continue;
        if (!spread(&p->layout, side, spans[side], span_counts[side], counts[side], p->row[side])) {
            sx_status status =
                widen(&p->layout, side, spans[side], span_counts[side], p->arena, err);
            if (status != SX_OK)
                return status;
            widened = true;
        }
        counts[side] = p->row[side];
    }
    if (widened)
        return SX_REFUSED;
    uint32_t i = (uint32_t)(p->to - p->from);
    int64_t t = p->c->t[p->to], before = p->state.t;
    int64_t delta = i ? (int64_t)((uint64_t)t - (uint64_t)before) : 0;
    tsdb_put_varbit(&p->sink, i ? (int64_t)((uint64_t)delta - (uint64_t)p->state.t_delta) : t);
    (h->integer ? put_integer : put_floats)(&p->sink, &p->state, h, i, counts, p->layout.buckets);
    if (p->starts)
        tsdb_put_start(&p->sink, &p->state.st, i, before, t, p->c->st[p->to]);
    p->state.t = t;
    p->state.t_delta = delta;
    p->to++;
    return p->sink.failed ? sx_fail_memory(err, "chunk") : SX_OK;
}

static bool is_full(const packer *p, uint32_t most)
{
    size_t bytes = tsdb_bit_sink_len(&p->sink), count = p->to - p->from;
    if (p->by_count)
        return count >= most;
    return count >= most || bytes >= 2 * TSDB_CHUNK_HISTOGRAM_BYTES ||
           (bytes >= TSDB_CHUNK_HISTOGRAM_BYTES && count >= TSDB_CHUNK_HISTOGRAM_SAMPLES);
}

static sx_status fill_chunk(packer *p, size_t most, sx_error *err)
{
    layout_of(p->c->h[p->from], &p->layout);
    sx_status status = begin_chunk(p, err);
    size_t end = p->from + 1; /* samples up to here are known to belong together */
    while (status == SX_OK && p->to < p->c->count) {
        if (p->to == end) {
            if (is_full(p, (uint32_t)most) ||
                !continues(&p->layout, p->c->h[p->to - 1], p->c->h[p->to]))
                break;
            end++;
        }
        status = put_sample(p, err);
        if (status == SX_REFUSED)
            status = begin_chunk(p, err);
    }
    return status;
}

sx_status tsdb_histogram_chunk_pack(const tsdb_columns *c, size_t *at,
                                    const tsdb_pack_options *options, sx_arena *arena,
                                    tsdb_packed *out, sx_error *err)
{
    packer p = {.c = c, .from = *at, .arena = arena, .by_count = options->samples_max != 0};
    bool integer = c->h[*at]->integer;
    /* As many as Prometheus would take: there is no limit but that of bytes, unless asked for. */
    size_t most = options->samples_max && options->samples_max < COUNT_MOST ? options->samples_max
                                                                            : COUNT_MOST;
    for (size_t i = *at; options->xor2 && c->st && i < c->count && !p.starts; i++)
        p.starts = c->st[i] != 0;
    sx_status status = fill_chunk(&p, most, err);
    size_t len = tsdb_bit_sink_len(&p.sink), count = p.to - p.from;
    uint8_t *bytes = status == SX_OK ? sx_arena_alloc(arena, len) : NULL;
    if (status == SX_OK && !bytes)
        status = sx_fail_memory(err, "chunk");
    if (bytes) {
        uint8_t flags = flags_of(c, p.from);
        memcpy(bytes, p.sink.bytes, len);
        bytes[0] = (uint8_t)(count >> 8) | (p.starts ? flags : 0);
        bytes[1] = (uint8_t)count;
        bytes[2] = p.starts ? tsdb_st_header(&p.state.st) : flags;
        tsdb_encoding e = integer ? TSDB_CHUNK_HISTOGRAM : TSDB_CHUNK_FLOAT_HISTOGRAM;
        if (p.starts)
            e = integer ? TSDB_CHUNK_HISTOGRAM_ST : TSDB_CHUNK_FLOAT_HISTOGRAM_ST;
        *out = (tsdb_packed){.encoding = e,
                             .min_t = c->t[p.from],
                             .max_t = c->t[p.to - 1],
                             .bytes = sx_str_of(bytes, len),
                             .count = (uint32_t)count};
        *at = p.to;
    }
    tsdb_bit_sink_done(&p.sink);
    return status;
}
