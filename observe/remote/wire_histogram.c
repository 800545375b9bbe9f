/* wire_histogram.c - see wire_histogram.h. */
#include "observe/remote/wire_histogram.h"

#include <sextant/mem.h>

enum { NEGATIVE, POSITIVE };

void wire_histogram_done(wire_histogram *w)
{
    for (unsigned i = 0; i < 2; i++) {
        sx_free(w->side[i].spans);
        sx_free(w->side[i].whole.items);
        sx_free(w->side[i].fractions.items);
    }
    sx_free(w->bounds.items);
    *w = (wire_histogram){0};
}

static void push(wire_histogram *w, wire_numbers *n, double value)
{
    if (sx_grow(&n->items, &n->cap, n->count + 1, sizeof *n->items))
        n->items[n->count++] = value;
    else
        w->failed = true;
}

static void read_span(wire_histogram *w, sx_pb_reader *r, unsigned side)
{
    tsdb_span span = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            span.offset = (int32_t)sx_pb_zigzag(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            span.length = (uint32_t)sx_pb_varint(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    if (sx_grow(&w->side[side].spans, &w->side[side].span_cap, w->side[side].span_count + 1,
                sizeof span))
        w->side[side].spans[w->side[side].span_count++] = span;
    else
        w->failed = true;
}

static void read_delta(wire_histogram *w, sx_pb_reader *r, unsigned side)
{
    uint64_t sum = (uint64_t)w->side[side].sum + (uint64_t)sx_pb_zigzag(r);
    w->side[side].sum = (int64_t)sum;
    push(w, &w->side[side].whole, (double)(int64_t)sum);
}

/* A list of numbers, packed or one field each, as a reader must take both. */
static void read_numbers(wire_histogram *w, sx_pb_reader *r, wire_numbers *to)
{
    if (sx_pb_wire_of(r) == SX_PB_FIXED64) {
        push(w, to, sx_pb_double(r));
        return;
    }
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_more(r))
        push(w, to, sx_pb_double(r));
    sx_pb_leave(r, outer);
}

static void read_deltas(wire_histogram *w, sx_pb_reader *r, unsigned side)
{
    if (sx_pb_wire_of(r) == SX_PB_VARINT) {
        read_delta(w, r, side);
        return;
    }
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_more(r))
        read_delta(w, r, side);
    sx_pb_leave(r, outer);
}

static void clear(wire_histogram *w)
{
    for (unsigned i = 0; i < 2; i++) {
        w->side[i].span_count = w->side[i].whole.count = w->side[i].fractions.count = 0;
        w->side[i].sum = 0;
    }
    w->bounds.count = 0;
    w->t = w->start_t = 0;
    w->failed = false;
}

static void read_lists(wire_histogram *w, sx_pb_reader *r)
{
    switch (r->tag) {
    case SX_PB_TAG(8, SX_PB_BYTES):
    case SX_PB_TAG(11, SX_PB_BYTES):
        read_span(w, r, sx_pb_field(r) == 8 ? NEGATIVE : POSITIVE);
        break;
    case SX_PB_TAG(9, SX_PB_BYTES):
    case SX_PB_TAG(9, SX_PB_VARINT):
        read_deltas(w, r, NEGATIVE);
        break;
    case SX_PB_TAG(12, SX_PB_BYTES):
    case SX_PB_TAG(12, SX_PB_VARINT):
        read_deltas(w, r, POSITIVE);
        break;
    case SX_PB_TAG(10, SX_PB_BYTES):
    case SX_PB_TAG(10, SX_PB_FIXED64):
        read_numbers(w, r, &w->side[NEGATIVE].fractions);
        break;
    case SX_PB_TAG(13, SX_PB_BYTES):
    case SX_PB_TAG(13, SX_PB_FIXED64):
        read_numbers(w, r, &w->side[POSITIVE].fractions);
        break;
    case SX_PB_TAG(16, SX_PB_BYTES):
    case SX_PB_TAG(16, SX_PB_FIXED64):
        read_numbers(w, r, &w->bounds);
        break;
    default:
        sx_pb_skip(r);
    }
}

static void read_fields(wire_histogram *w, sx_pb_reader *r, tsdb_histogram *h)
{
    static const tsdb_reset_hint HINTS[] = {TSDB_RESET_UNKNOWN, TSDB_RESET_YES, TSDB_RESET_NO,
                                            TSDB_RESET_GAUGE};
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            h->integer = true;
            h->count = (double)sx_pb_varint(r);
            break;
        case SX_PB_TAG(2, SX_PB_FIXED64):
            h->integer = false;
            h->count = sx_pb_double(r);
            break;
        case SX_PB_TAG(3, SX_PB_FIXED64):
            h->sum = sx_pb_double(r);
            break;
        case SX_PB_TAG(4, SX_PB_VARINT):
            h->schema = (int32_t)sx_pb_zigzag(r);
            break;
        case SX_PB_TAG(5, SX_PB_FIXED64):
            h->zero_threshold = sx_pb_double(r);
            break;
        case SX_PB_TAG(6, SX_PB_VARINT):
            h->zero_count = (double)sx_pb_varint(r);
            break;
        case SX_PB_TAG(7, SX_PB_FIXED64):
            h->zero_count = sx_pb_double(r);
            break;
        case SX_PB_TAG(14, SX_PB_VARINT): {
            uint64_t hint = sx_pb_varint(r);
            h->reset = hint < 4 ? HINTS[hint] : TSDB_RESET_UNKNOWN;
            break;
        }
        case SX_PB_TAG(15, SX_PB_VARINT):
            w->t = sx_pb_i64(r);
            break;
        case SX_PB_TAG(17, SX_PB_VARINT):
            w->start_t = sx_pb_i64(r);
            break;
        default:
            read_lists(w, r);
        }
    }
}

/* Schemas 9 to 52 are reserved for finer buckets: they are merged to those of schema 8, by steps that
 * an index of 32 bits can be shifted by. */
static sx_status reduce(sx_arena *arena, tsdb_histogram *h, sx_error *err)
{
    enum { STEP = 16, RESERVED_MAX = 52 };
    if (h->schema <= TSDB_SCHEMA_MAX || h->schema > RESERVED_MAX)
        return SX_OK;
    tsdb_histogram as_known = *h;
    as_known.schema = TSDB_SCHEMA_MAX; /* reducing wants spans and buckets that fit each other */
    sx_status status = tsdb_histogram_check(&as_known, err);
    while (status == SX_OK && h->schema > TSDB_SCHEMA_MAX) {
        tsdb_histogram coarse;
        int32_t next = h->schema - STEP < TSDB_SCHEMA_MAX ? TSDB_SCHEMA_MAX : h->schema - STEP;
        status = tsdb_histogram_reduce(h, next, arena, &coarse, err);
        if (status == SX_OK)
            *h = coarse;
    }
    return status;
}

sx_status wire_histogram_read(wire_histogram *w, sx_pb_reader *r, sx_arena *arena,
                              tsdb_histogram *out, sx_error *err)
{
    tsdb_histogram h = {.integer = true};
    clear(w);
    sx_pb_outer outer = sx_pb_enter(r);
    read_fields(w, r, &h);
    sx_pb_leave(r, outer);
    if (w->failed)
        return sx_fail_memory(err, "a histogram's buckets");
    const wire_numbers *negative =
        h.integer ? &w->side[NEGATIVE].whole : &w->side[NEGATIVE].fractions;
    const wire_numbers *positive =
        h.integer ? &w->side[POSITIVE].whole : &w->side[POSITIVE].fractions;
    h.negative_spans = w->side[NEGATIVE].spans;
    h.negative_span_count = (uint32_t)w->side[NEGATIVE].span_count;
    h.positive_spans = w->side[POSITIVE].spans;
    h.positive_span_count = (uint32_t)w->side[POSITIVE].span_count;
    h.negative = negative->items;
    h.negative_count = (uint32_t)negative->count;
    h.positive = positive->items;
    h.positive_count = (uint32_t)positive->count;
    h.bounds = w->bounds.items;
    h.bound_count = (uint32_t)w->bounds.count;
    *out = h;
    return reduce(arena, out, err);
}

/* --- Writing. */

/* A whole number kept as a double: above 2^63 the conversion would be undefined. */
static uint64_t whole_of(double v)
{
    return v >= 18446744073709549568.0 ? UINT64_MAX : v > 0 ? (uint64_t)v : 0;
}

static void write_spans(sx_buf *out, uint32_t field, const tsdb_span *spans, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t mark = sx_pb_begin(out, field);
        sx_pb_put_zigzag(out, 1, spans[i].offset);
        sx_pb_put_u64(out, 2, spans[i].length);
        sx_pb_end(out, mark);
    }
}

static void write_counts(sx_buf *out, uint32_t field, bool integer, const double *counts,
                         uint32_t count)
{
    if (count == 0)
        return;
    size_t mark = sx_pb_begin(out, integer ? field : field + 1);
    uint64_t before = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!integer) {
            uint64_t bits;
            memcpy(&bits, &counts[i], sizeof bits);
            sx_pb_add_fixed64(out, bits);
            continue;
        }
        uint64_t now = whole_of(counts[i]);
        sx_pb_add_varint(out, sx_pb_zigzag_of((int64_t)(now - before)));
        before = now;
    }
    sx_pb_end(out, mark);
}

void wire_histogram_write(sx_buf *out, uint32_t field, const tsdb_histogram *h, int64_t t,
                          int64_t start_t)
{
    static const uint8_t HINTS[] = {[TSDB_RESET_UNKNOWN] = 0,
                                    [TSDB_RESET_YES] = 1,
                                    [TSDB_RESET_NO] = 2,
                                    [TSDB_RESET_GAUGE] = 3};
    size_t mark = sx_pb_begin(out, field);
    if (h->integer)
        sx_pb_put_u64(out, 1, whole_of(h->count));
    else
        sx_pb_put_double(out, 2, h->count);
    sx_pb_put_double(out, 3, h->sum);
    sx_pb_put_zigzag(out, 4, h->schema);
    sx_pb_put_double(out, 5, h->zero_threshold);
    if (h->integer)
        sx_pb_put_u64(out, 6, whole_of(h->zero_count));
    else
        sx_pb_put_double(out, 7, h->zero_count);
    write_spans(out, 8, h->negative_spans, h->negative_span_count);
    write_counts(out, 9, h->integer, h->negative, h->negative_count);
    write_spans(out, 11, h->positive_spans, h->positive_span_count);
    write_counts(out, 12, h->integer, h->positive, h->positive_count);
    if (HINTS[h->reset])
        sx_pb_put_u64(out, 14, HINTS[h->reset]);
    sx_pb_put_i64(out, 15, t);
    if (h->bound_count) {
        size_t list = sx_pb_begin(out, 16);
        for (uint32_t i = 0; i < h->bound_count; i++) {
            uint64_t bits;
            memcpy(&bits, &h->bounds[i], sizeof bits);
            sx_pb_add_fixed64(out, bits);
        }
        sx_pb_end(out, list);
    }
    if (start_t)
        sx_pb_put_i64(out, 17, start_t);
    sx_pb_end(out, mark);
}
