/* nhcb.c - gathers a classic histogram's buckets and converts them. */
#include "observe/scrape/nhcb.h"

#include <math.h>

#include <sextant/mem.h>

enum { BUCKETS_MAX = 10000 };

void nhcb_done(nhcb *n)
{
    sx_free(n->items);
    *n = (nhcb){0};
}

void nhcb_clear(nhcb *n)
{
    n->size = 0;
    n->count = n->sum = 0;
    n->has_count = false;
}

static sx_status not_cumulative(double a, const char *sign, double b, sx_error *err)
{
    return sx_fail(err, SX_EFORMAT, "count is not cumulative: %g %s %g", a, sign, b);
}

sx_status nhcb_bucket_add(nhcb *n, double bound, double count, sx_error *err)
{
    if (isnan(bound))
        return sx_fail(err, SX_EFORMAT, "bucket boundary is NaN");
    if (count < 0)
        return sx_fail(err, SX_EFORMAT, "bucket count must be non-negative: le=%g, count=%g", bound,
                       count);
    size_t at = n->size;
    while (at > 0 && n->items[at - 1].bound > bound) /* nearly always in order */
        at--;
    if (at > 0 && n->items[at - 1].bound == bound)
        return SX_OK;
    if (at > 0 && count < n->items[at - 1].count)
        return not_cumulative(count, "<", n->items[at - 1].count, err);
    if (at < n->size && count > n->items[at].count)
        return not_cumulative(count, ">", n->items[at].count, err);
    if (n->size >= BUCKETS_MAX)
        return sx_fail(err, SX_ELIMIT, "a histogram of more than %d buckets", BUCKETS_MAX);
    if (!sx_grow(&n->items, &n->cap, n->size + 2, sizeof *n->items)) /* +Inf may come on top */
        return sx_fail_memory(err, "a histogram's buckets");
    memmove(n->items + at + 1, n->items + at, (n->size - at) * sizeof *n->items);
    n->items[at] = (nhcb_bucket){bound, count};
    n->size++;
    return SX_OK;
}

sx_status nhcb_count_set(nhcb *n, double count, sx_error *err)
{
    if (count < 0)
        return sx_fail(err, SX_EFORMAT, "count must be non-negative: count=%g", count);
    n->count = count;
    n->has_count = true;
    return SX_OK;
}

static bool is_whole(double v)
{
    return v == floor(v) && v < 9007199254740992.0;
}

/* Spans over the buckets that are not empty; a gap of at most `keep` empty ones is kept in place, as
 * Prometheus compacts. */
static sx_status compact(const double *counts, size_t size, size_t keep, sx_arena *arena,
                         tsdb_histogram *out, sx_error *err)
{
    tsdb_span *spans = sx_arena_calloc(arena, size + 1, sizeof *spans);
    double *kept = sx_arena_calloc(arena, size + 1, sizeof *kept);
    uint32_t span_count = 0, count = 0;
    if (!spans || !kept)
        return sx_fail_memory(err, "a histogram");
    size_t last = 0; /* behind the last bucket taken */
    for (size_t i = 0; i < size; i++) {
        if (counts[i] == 0)
            continue;
        size_t gap = i - last;
        if (span_count == 0 || gap > keep) {
            spans[span_count++] = (tsdb_span){(int32_t)gap, 0};
        } else {
            for (size_t k = last; k < i; k++)
                kept[count++] = 0;
            spans[span_count - 1].length += (uint32_t)gap;
        }
        spans[span_count - 1].length++;
        kept[count++] = counts[i];
        last = i + 1;
    }
    out->positive_spans = spans;
    out->positive_span_count = span_count;
    out->positive = kept;
    out->positive_count = count;
    return SX_OK;
}

sx_status nhcb_convert(nhcb *n, bool gauge, sx_arena *arena, tsdb_histogram *out, sx_error *err)
{
    if (!n->has_count && n->size)
        n->count = n->items[n->size - 1].count;
    if (!sx_grow(&n->items, &n->cap, n->size + 1, sizeof *n->items))
        return sx_fail_memory(err, "a histogram's buckets");
    if (n->size == 0 || n->items[n->size - 1].bound != INFINITY)
        n->items[n->size++] = (nhcb_bucket){INFINITY, n->count};

    const nhcb_bucket *top = &n->items[n->size - 1];
    if (n->count != top->count)
        return sx_fail(err, SX_EFORMAT, "count mismatch: count=%g != le=+Inf count=%g", n->count,
                       top->count);
    double *counts = sx_arena_calloc(arena, n->size, sizeof *counts);
    double *bounds = sx_arena_calloc(arena, n->size, sizeof *bounds);
    if (!counts || !bounds)
        return sx_fail_memory(err, "a histogram");
    bool whole = is_whole(n->count);
    for (size_t i = 0; i < n->size; i++) {
        counts[i] = n->items[i].count - (i ? n->items[i - 1].count : 0);
        bounds[i] = n->items[i].bound;
        whole &= is_whole(n->items[i].count);
    }
    *out = (tsdb_histogram){.schema = TSDB_SCHEMA_CUSTOM,
                            .reset = gauge ? TSDB_RESET_GAUGE : TSDB_RESET_UNKNOWN,
                            .integer = whole,
                            .count = n->count,
                            .sum = n->sum,
                            .bounds = bounds,
                            .bound_count = (uint32_t)(n->size - 1)};
    return compact(counts, n->size, whole ? 2 : 0, arena, out, err);
}
