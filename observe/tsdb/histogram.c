/* histogram.c - one native histogram: is it sound, its buckets in order, equality, resets, text.
 *
 * Arithmetic is in histogram_math.c. Source: Prometheus, docs/specs/native_histograms.md. */
#include "observe/tsdb/histogram.h"

#include <math.h>
#include <string.h>

#include <sextant/mem.h>
#include <sextant/number.h>

#include "observe/tsdb/histogram_side.h"

/* --- Soundness. */

static sx_status check_spans(const char *side, const tsdb_span *spans, uint32_t count,
                             uint32_t buckets, sx_error *err)
{
    uint64_t need = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && spans[i].offset < 0)
            return sx_fail(err, SX_EINVAL,
                           "%s: span number %u with offset %d: histogram has a span whose offset "
                           "is negative",
                           side, i + 1, spans[i].offset);
        need += spans[i].length;
    }
    if (need != buckets)
        return sx_fail(err, SX_EINVAL,
                       "%s: spans need %llu buckets, have %u buckets: histogram spans specify "
                       "different number of buckets than provided",
                       side, (unsigned long long)need, buckets);
    return SX_OK;
}

static sx_status check_counts(const char *side, const double *counts, uint32_t count, sx_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (counts[i] < 0) {
            char text[SX_DOUBLE_BYTES];
            sx_double_format(counts[i], SX_DOUBLE_GO, text);
            return sx_fail(err, SX_EINVAL,
                           "%s: bucket number %u has observation count of %s: histogram has a "
                           "bucket whose observation count is negative",
                           side, i + 1, text);
        }
    }
    return SX_OK;
}

static sx_status check_bounds(const tsdb_histogram *h, sx_error *err)
{
    uint64_t reach = 0;
    for (uint32_t i = 0; i < h->bound_count; i++) {
        if (isnan(h->bounds[i]))
            return sx_fail(err, SX_EINVAL,
                           "custom buckets: histogram custom bounds must not be NaN");
        if (i > 0 && h->bounds[i] <= h->bounds[i - 1])
            return sx_fail(err, SX_EINVAL,
                           "custom buckets: previous bound is %f and current is %f: histogram "
                           "custom bounds must be in strictly increasing order",
                           h->bounds[i - 1], h->bounds[i]);
    }
    if (h->bound_count > 0 && h->bounds[h->bound_count - 1] == INFINITY)
        return sx_fail(err, SX_EINVAL,
                       "custom buckets: last +Inf bound must not be explicitly defined: histogram "
                       "custom bounds must be finite");
    for (uint32_t i = 0; i < h->positive_span_count; i++) {
        const tsdb_span *s = &h->positive_spans[i];
        if (s->offset < 0)
            return sx_fail(err, SX_EINVAL,
                           "custom buckets: span number %u with offset %d: histogram has a span "
                           "whose offset is negative",
                           i + 1, s->offset);
        reach += (uint64_t)s->offset + s->length;
    }
    sx_status status = check_spans("custom buckets", h->positive_spans, h->positive_span_count,
                                   h->positive_count, err);
    if (status != SX_OK)
        return status;
    if ((uint64_t)h->bound_count + 1 < reach)
        return sx_fail(err, SX_EINVAL,
                       "custom buckets: only %u custom bounds defined which is insufficient to "
                       "cover total span length of %llu: histogram custom bounds are too few",
                       h->bound_count, (unsigned long long)reach);
    return SX_OK;
}

static sx_status check_custom(const tsdb_histogram *h, sx_error *err)
{
    sx_status status = check_bounds(h, err);
    if (status != SX_OK)
        return status;
    if (h->zero_count != 0)
        return sx_fail(err, SX_EINVAL, "custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return sx_fail(err, SX_EINVAL, "custom buckets: must have zero threshold of 0");
    if (h->negative_span_count > 0)
        return sx_fail(err, SX_EINVAL, "custom buckets: must not have negative spans");
    if (h->negative_count > 0)
        return sx_fail(err, SX_EINVAL, "custom buckets: must not have negative buckets");
    return SX_OK;
}

static sx_status check_standard(const tsdb_histogram *h, sx_error *err)
{
    sx_status status = check_spans("positive side", h->positive_spans, h->positive_span_count,
                                   h->positive_count, err);
    if (status == SX_OK)
        status = check_spans("negative side", h->negative_spans, h->negative_span_count,
                             h->negative_count, err);
    if (status == SX_OK)
        status = check_counts("negative side", h->negative, h->negative_count, err);
    if (status != SX_OK)
        return status;
    if (h->zero_count < 0) {
        char text[SX_DOUBLE_BYTES];
        sx_double_format(h->zero_count, SX_DOUBLE_GO, text);
        return sx_fail(err, SX_EINVAL,
                       "zero bucket has observation count of %s: histogram has a bucket whose "
                       "observation count is negative",
                       text);
    }
    if (h->bound_count > 0)
        return sx_fail(err, SX_EINVAL,
                       "histogram with exponential schema must not have custom bounds");
    return SX_OK;
}

/* An integer histogram's count is exact, so it can be held against its buckets; a float one's may
 * be off by rounding. With NaN observed (sum is NaN) the count is greater than the buckets' sum. */
static sx_status check_total(const tsdb_histogram *h, sx_error *err)
{
    double sum = h->zero_count;
    for (uint32_t i = 0; i < h->positive_count; i++)
        sum += h->positive[i];
    for (uint32_t i = 0; i < h->negative_count; i++)
        sum += h->negative[i];
    if (isnan(h->sum) ? sum > h->count : sum != h->count) {
        const char *words =
            isnan(h->sum)
                ? "histogram's observation count should be at least the number of observations "
                  "found in the buckets"
                : "histogram's observation count should equal the number of observations found in "
                  "the buckets (in absence of NaN)";
        return sx_fail(err, SX_EINVAL,
                       "%.0f observations found in buckets, but the Count field is "
                       "%.0f: %s",
                       sum, h->count, words);
    }
    return SX_OK;
}

sx_status tsdb_histogram_check(const tsdb_histogram *h, sx_error *err)
{
    if (h->positive_count > TSDB_HISTOGRAM_BUCKETS_MAX ||
        h->negative_count > TSDB_HISTOGRAM_BUCKETS_MAX ||
        h->bound_count > TSDB_HISTOGRAM_BUCKETS_MAX)
        return sx_fail(err, SX_EINVAL, "histogram has more than %d buckets",
                       TSDB_HISTOGRAM_BUCKETS_MAX);
    sx_status status;
    if (h->schema == TSDB_SCHEMA_CUSTOM)
        status = check_custom(h, err);
    else if (h->schema >= TSDB_SCHEMA_MIN && h->schema <= TSDB_SCHEMA_MAX)
        status = check_standard(h, err);
    else
        return sx_fail(err, SX_EINVAL,
                       "histogram has an invalid schema, which must be between %d and %d for "
                       "exponential buckets, or %d for custom buckets, got schema %d",
                       TSDB_SCHEMA_MIN, TSDB_SCHEMA_MAX, TSDB_SCHEMA_CUSTOM, h->schema);
    if (status != SX_OK)
        return status;
    if (h->count < 0) {
        char text[SX_DOUBLE_BYTES];
        sx_double_format(h->count, SX_DOUBLE_GO, text);
        return sx_fail(err, SX_EINVAL,
                       "observation count is  %s: histogram's observation count is negative", text);
    }
    status = check_counts("positive side", h->positive, h->positive_count, err);
    if (status == SX_OK && h->integer && !tsdb_is_stale(h->sum))
        status = check_total(h, err);
    return status;
}

/* --- Copies and equality. */

static bool copy_bytes(sx_arena *arena, const void *from, size_t bytes, const void **out)
{
    *out = NULL;
    if (bytes == 0)
        return true;
    void *to = sx_arena_alloc(arena, bytes);
    if (!to)
        return false;
    memcpy(to, from, bytes);
    *out = to;
    return true;
}

sx_status tsdb_histogram_copy(const tsdb_histogram *h, sx_arena *arena, tsdb_histogram *out,
                              sx_error *err)
{
    tsdb_histogram to = *h;
    bool ok =
        copy_bytes(arena, h->positive_spans, h->positive_span_count * sizeof(tsdb_span),
                   (const void **)&to.positive_spans) &&
        copy_bytes(arena, h->negative_spans, h->negative_span_count * sizeof(tsdb_span),
                   (const void **)&to.negative_spans) &&
        copy_bytes(arena, h->positive, h->positive_count * sizeof(double),
                   (const void **)&to.positive) &&
        copy_bytes(arena, h->negative, h->negative_count * sizeof(double),
                   (const void **)&to.negative) &&
        copy_bytes(arena, h->bounds, h->bound_count * sizeof(double), (const void **)&to.bounds);
    if (!ok)
        return sx_fail_memory(err, "a histogram");
    *out = to;
    return SX_OK;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool same_counts(const double *a, const double *b, uint32_t count)
{
    return count == 0 || memcmp(a, b, count * sizeof *a) == 0;
}

/* Spans of length 0 only move the ones after them: two lists are the same if the buckets that they
 * name are. */
static bool same_layout(const tsdb_span *a, uint32_t a_count, const tsdb_span *b, uint32_t b_count,
                        uint32_t buckets)
{
    tsdb_side_walk x, y;
    tsdb_side_start(&x, a, a_count);
    tsdb_side_start(&y, b, b_count);
    for (uint32_t i = 0; i < buckets; i++) {
        if (!tsdb_side_next(&x) || !tsdb_side_next(&y))
            return false;
        if (x.index != y.index)
            return false;
    }
    return true;
}

bool tsdb_histogram_same_bounds(const tsdb_histogram *a, const tsdb_histogram *b)
{
    if (a->bound_count != b->bound_count)
        return false;
    for (uint32_t i = 0; i < a->bound_count; i++) {
        if (a->bounds[i] != b->bounds[i])
            return false;
    }
    return true;
}

bool tsdb_histogram_equal(const tsdb_histogram *a, const tsdb_histogram *b)
{
    if (a->schema != b->schema || !same_bits(a->count, b->count) || !same_bits(a->sum, b->sum) ||
        a->zero_threshold != b->zero_threshold || !same_bits(a->zero_count, b->zero_count))
        return false;
    if (a->schema == TSDB_SCHEMA_CUSTOM && !tsdb_histogram_same_bounds(a, b))
        return false;
    return a->positive_count == b->positive_count && a->negative_count == b->negative_count &&
           same_counts(a->positive, b->positive, a->positive_count) &&
           same_counts(a->negative, b->negative, a->negative_count) &&
           same_layout(a->positive_spans, a->positive_span_count, b->positive_spans,
                       b->positive_span_count, a->positive_count) &&
           same_layout(a->negative_spans, a->negative_span_count, b->negative_spans,
                       b->negative_span_count, a->negative_count);
}

/* --- Buckets. */

/* 2^(part / 2^schema), to the bit as Prometheus and its clients have it in their tables, which were
 * made so: an even part is the coarser schema's, an odd one the part before it times the schema's
 * growth. (exp2 would be nearer to the truth in some last bits, and shown as another bound.) */
static double bound_fraction(int32_t schema, int32_t part)
{
    static const double GROWTH[TSDB_SCHEMA_MAX + 1] = {
        2.0,
        0x1.6a09e667f3bccp+0,
        0x1.306fe0a31b715p+0,
        0x1.172b83c7d517bp+0,
        0x1.0b5586cf9890fp+0,
        0x1.059b0d3158574p+0,
        0x1.02c9a3e778061p+0,
        0x1.0163da9fb3335p+0,
        0x1.00b1afa5abcbfp+0,
    };
    int32_t odd[TSDB_SCHEMA_MAX + 1];
    size_t count = 0;
    for (; part > 0; part /= 2, schema--) {
        if (part & 1) {
            odd[count++] = schema;
            part--;
        }
    }
    double fraction = 1.0;
    while (count > 0) /* from the coarsest on: the order decides the last bit */
        fraction *= GROWTH[odd[--count]];
    return fraction;
}

double tsdb_histogram_bound(int32_t schema, int32_t index)
{
    /* The bound above the greatest double would be 2^1024: it is the greatest double itself, and the
     * bucket above that holds the infinities. */
    if (schema < 0) {
        int shift = -schema;
        int64_t exponent = (int64_t)index * (INT64_C(1) << shift);
        if (exponent == 1024)
            return __DBL_MAX__;
        return ldexp(1.0, exponent > 5000 ? 5000 : exponent < -5000 ? -5000 : (int)exponent);
    }
    int32_t parts = INT32_C(1) << schema;
    int32_t part = index & (parts - 1);
    int32_t exponent = index >> schema;
    if (part == 0 && exponent == 1024)
        return __DBL_MAX__;
    double fraction = bound_fraction(schema, part);
    return ldexp(fraction, exponent > 5000 ? 5000 : exponent < -5000 ? -5000 : exponent);
}

uint32_t tsdb_histogram_bucket_count(const tsdb_histogram *h)
{
    return h->positive_count + h->negative_count + 1;
}

static tsdb_bucket custom_bucket(const tsdb_histogram *h, int32_t index, double count)
{
    tsdb_bucket b = {.count = count, .index = index, .upper_inclusive = true};
    uint32_t at = index < 0 ? 0 : (uint32_t)index;
    b.lower_inclusive = at == 0;
    b.lower = at == 0 || at > h->bound_count ? -INFINITY : h->bounds[at - 1];
    b.upper = at < h->bound_count ? h->bounds[at] : INFINITY;
    return b;
}

tsdb_bucket tsdb_histogram_side_bucket(const tsdb_histogram *h, int32_t index, double count,
                                       bool positive)
{
    if (h->schema == TSDB_SCHEMA_CUSTOM)
        return custom_bucket(h, index, count);
    double near = tsdb_histogram_bound(h->schema, index - 1);
    double far = tsdb_histogram_bound(h->schema, index);
    if (positive)
        return (tsdb_bucket){near, far, count, false, true, index};
    return (tsdb_bucket){-far, -near, count, true, false, index};
}

tsdb_bucket tsdb_histogram_zero_bucket(const tsdb_histogram *h)
{
    return (tsdb_bucket){-h->zero_threshold, h->zero_threshold, h->zero_count, true, true, 0};
}

uint32_t tsdb_histogram_buckets(const tsdb_histogram *h, tsdb_bucket *out)
{
    uint32_t n = h->negative_count;
    tsdb_side_walk walk;
    tsdb_side_start(&walk, h->negative_spans, h->negative_span_count);
    for (uint32_t i = 0; i < h->negative_count && tsdb_side_next(&walk); i++) {
        tsdb_bucket b = tsdb_histogram_side_bucket(h, walk.index, h->negative[i], false);
        if (b.upper < 0 && b.upper > -h->zero_threshold)
            b.upper = -h->zero_threshold;
        out[h->negative_count - 1 - i] = b;
    }
    if (h->zero_count > 0)
        out[n++] = tsdb_histogram_zero_bucket(h);
    tsdb_side_start(&walk, h->positive_spans, h->positive_span_count);
    for (uint32_t i = 0; i < h->positive_count && tsdb_side_next(&walk); i++) {
        tsdb_bucket b = tsdb_histogram_side_bucket(h, walk.index, h->positive[i], true);
        if (b.lower > 0 && b.lower < h->zero_threshold)
            b.lower = h->zero_threshold;
        out[n++] = b;
    }
    return n;
}

/* --- Text. */

static void print_number(sx_buf *out, double v)
{
    char text[SX_DOUBLE_BYTES];
    sx_buf_bytes(out, text, sx_double_format(v, SX_DOUBLE_GO, text));
}

static void print_bucket(sx_buf *out, const tsdb_bucket *b)
{
    sx_buf_str(out, SX_STR(", "));
    sx_buf_byte(out, b->lower_inclusive ? '[' : '(');
    print_number(out, b->lower);
    sx_buf_byte(out, ',');
    print_number(out, b->upper);
    sx_buf_byte(out, b->upper_inclusive ? ']' : ')');
    sx_buf_byte(out, ':');
    print_number(out, b->count);
}

sx_status tsdb_histogram_print(const tsdb_histogram *h, sx_buf *out, sx_error *err)
{
    sx_buf_str(out, SX_STR("{count:"));
    print_number(out, h->count);
    sx_buf_str(out, SX_STR(", sum:"));
    print_number(out, h->sum);
    tsdb_side_walk walk;
    if (h->negative_count > 0) { /* the spans run away from zero: the last bucket comes first */
        int32_t *index = sx_calloc(h->negative_count, sizeof *index);
        if (!index)
            return sx_fail_memory(err, "a histogram's text");
        tsdb_side_start(&walk, h->negative_spans, h->negative_span_count);
        for (uint32_t i = 0; i < h->negative_count && tsdb_side_next(&walk); i++)
            index[i] = walk.index;
        for (uint32_t i = h->negative_count; i-- > 0;) {
            tsdb_bucket b = tsdb_histogram_side_bucket(h, index[i], h->negative[i], false);
            if (b.count != 0)
                print_bucket(out, &b);
        }
        sx_free(index);
    }
    if (h->zero_count != 0) {
        tsdb_bucket b = tsdb_histogram_zero_bucket(h);
        print_bucket(out, &b);
    }
    tsdb_side_start(&walk, h->positive_spans, h->positive_span_count);
    for (uint32_t i = 0; i < h->positive_count && tsdb_side_next(&walk); i++) {
        tsdb_bucket b = tsdb_histogram_side_bucket(h, walk.index, h->positive[i], true);
        if (b.count != 0)
            print_bucket(out, &b);
    }
    sx_buf_byte(out, '}');
    return sx_buf_status(out, "a histogram's text", err);
}
