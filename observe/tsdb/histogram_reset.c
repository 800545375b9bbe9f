/* histogram_reset.c - did a counter begin anew between two histograms? And trimming.
 *
 * A reset is any decrease that a growing counter cannot show: of the count, of a bucket, of the zero
 * bucket's width, of the resolution's coarseness. Source: Prometheus, docs/specs/native_histograms.md,
 * "Counter resets"; docs/querying/operators.md, "Histogram trim operators". */
#include <math.h>
#include <string.h>

#include "observe/tsdb/histogram.h"
#include "observe/tsdb/histogram_side.h"

/* Buckets of one side merged to a coarser schema as they are walked, those in the zero bucket left
 * out. */
typedef struct merged {
    tsdb_side_walk walk;
    const double *counts;
    uint32_t at, total;
    int32_t schema, target;
    double threshold;
    bool ahead;    /* the walk stands on a bucket that was not given yet */
    int32_t index; /* given last */
    double count;
} merged;

static void merged_start(merged *m, const tsdb_histogram *h, bool positive, int32_t target,
                         double threshold)
{
    *m = (merged){.schema = h->schema, .target = target, .threshold = threshold};
    m->counts = positive ? h->positive : h->negative;
    m->total = positive ? h->positive_count : h->negative_count;
    if (positive)
        tsdb_side_start(&m->walk, h->positive_spans, h->positive_span_count);
    else
        tsdb_side_start(&m->walk, h->negative_spans, h->negative_span_count);
}

static int32_t merged_index(const merged *m)
{
    if (m->schema == m->target)
        return m->walk.index;
    return ((m->walk.index - 1) >> (m->schema - m->target)) + 1;
}

static bool merged_step(merged *m)
{
    m->ahead = m->at < m->total && tsdb_side_next(&m->walk);
    if (m->ahead)
        m->at++;
    return m->ahead;
}

static bool merged_next(merged *m)
{
    bool custom = m->schema == TSDB_SCHEMA_CUSTOM;
    for (;;) {
        if (!m->ahead && !merged_step(m))
            return false;
        m->index = merged_index(m);
        m->count = m->counts[m->at - 1];
        while (merged_step(m) && merged_index(m) == m->index)
            m->count += m->counts[m->at - 1];
        if (custom || tsdb_histogram_bound(m->target, m->index) > m->threshold)
            return true;
    }
}

static bool side_was_reset(merged *before, merged *now)
{
    bool have = merged_next(now);
    while (merged_next(before)) {
        while (have && now->index < before->index)
            have = merged_next(now);
        double count = have && now->index == before->index ? now->count : 0;
        if (before->count > count)
            return true;
        if (before->count != 0 && !(have && now->index == before->index))
            return true;
    }
    return false;
}

/* The zero count `h` would have with a larger zero bucket; false: it would cut a populated bucket. */
static bool zero_with(const tsdb_histogram *h, double threshold, double *zero)
{
    *zero = h->zero_count;
    if (threshold == h->zero_threshold)
        return true;
    for (int side = 0; side < 2; side++) {
        tsdb_side_walk walk;
        uint32_t total = side == 0 ? h->positive_count : h->negative_count;
        const double *counts = side == 0 ? h->positive : h->negative;
        if (side == 0)
            tsdb_side_start(&walk, h->positive_spans, h->positive_span_count);
        else
            tsdb_side_start(&walk, h->negative_spans, h->negative_span_count);
        for (uint32_t i = 0; i < total && tsdb_side_next(&walk); i++) {
            if (tsdb_histogram_bound(h->schema, walk.index - 1) >= threshold)
                break;
            *zero += counts[i];
            if (tsdb_histogram_bound(h->schema, walk.index) > threshold) {
                if (counts[i] != 0)
                    return false;
                break;
            }
        }
    }
    return true;
}

/* One side of a comparison of custom buckets of different bounds: counts up to a common bound. */
typedef struct rolled {
    tsdb_side_walk walk;
    const tsdb_histogram *h;
    uint32_t at;
    bool ahead;
} rolled;

static double rolled_to(rolled *r, double bound)
{
    double sum = 0;
    for (;;) {
        if (!r->ahead) {
            if (r->at == r->h->positive_count || !tsdb_side_next(&r->walk))
                return sum;
            r->ahead = true;
            r->at++;
        }
        uint32_t index = r->walk.index < 0 ? 0 : (uint32_t)r->walk.index;
        double end = index < r->h->bound_count ? r->h->bounds[index] : INFINITY;
        if (end > bound)
            return sum;
        sum += r->h->positive[r->at - 1];
        r->ahead = false;
    }
}

static bool custom_was_reset(const tsdb_histogram *before, const tsdb_histogram *now)
{
    rolled a = {.h = before}, b = {.h = now};
    tsdb_side_start(&a.walk, before->positive_spans, before->positive_span_count);
    tsdb_side_start(&b.walk, now->positive_spans, now->positive_span_count);
    uint32_t i = 0, k = 0;
    while (i <= before->bound_count && k <= now->bound_count) {
        double x = i < before->bound_count ? before->bounds[i] : INFINITY;
        double y = k < now->bound_count ? now->bounds[k] : INFINITY;
        if (x == y) {
            if (rolled_to(&b, y) < rolled_to(&a, x))
                return true;
            i++;
            k++;
        } else if (x < y) {
            i++;
        } else {
            k++;
        }
    }
    return false;
}

bool tsdb_histogram_reset_between(const tsdb_histogram *before, const tsdb_histogram *now)
{
    if (now->reset == TSDB_RESET_YES)
        return true;
    if (now->reset == TSDB_RESET_NO)
        return false;
    if (now->count < before->count)
        return true;
    if (now->schema == TSDB_SCHEMA_CUSTOM) {
        if (before->schema != TSDB_SCHEMA_CUSTOM)
            return true;
        if (!tsdb_histogram_same_bounds(now, before))
            return custom_was_reset(before, now);
    } else {
        double zero;
        if (now->schema > before->schema || now->zero_threshold < before->zero_threshold ||
            before->schema == TSDB_SCHEMA_CUSTOM)
            return true;
        if (!zero_with(before, now->zero_threshold, &zero) || now->zero_count < zero)
            return true;
    }
    for (int positive = 0; positive < 2; positive++) {
        merged a, b;
        merged_start(&a, before, positive, now->schema, now->zero_threshold);
        merged_start(&b, now, positive, now->schema, now->zero_threshold);
        if (side_was_reset(&a, &b))
            return true;
    }
    return false;
}

/* --- Trimming. */

/* The value that stands for all observations between two bounds. */
static double middle(double lower, double upper, bool positive, bool linear)
{
    if (isinf(lower)) {
        if (isinf(upper))
            return 0;
        return upper > 0 ? upper / 2 : upper;
    }
    if (isinf(upper))
        return lower;
    if (linear)
        return (lower + upper) / 2;
    double mean = sqrt(fabs(lower * upper));
    return positive ? mean : -mean;
}

/* The share of a finite bucket that lies below `at`, which is inside it. */
static double share_below(const tsdb_bucket *b, double at, bool linear)
{
    if (linear)
        return (at - b->lower) / (b->upper - b->lower);
    double low = log2(fabs(b->lower)), high = log2(fabs(b->upper)), x = log2(fabs(at));
    return at > 0 ? (x - low) / (high - low) : 1 - (x - high) / (low - high);
}

static double finite_or_zero(double v)
{
    return isinf(v) ? 0 : v;
}

/* What stays of a bucket that reaches to an infinity and holds the threshold. Nothing is known of how
 * its values lie, so it goes or stays whole, but that a first bucket of custom bounds that ends above
 * zero is taken to begin at zero, as for quantiles. */
static double trim_endless(const tsdb_bucket *b, double at, bool upper, double *mid)
{
    *mid = 0;
    if (isinf(b->lower) && b->lower < 0) {
        if (upper) {
            if (at >= b->upper)
                return b->count;
            if (at > 0 && b->upper > 0 && !isinf(b->upper)) {
                *mid = at / 2;
                return b->count * at / b->upper;
            }
            if (b->upper <= 0) {
                *mid = at;
                return b->count;
            }
        } else {
            if (at <= b->lower)
                return b->count;
            if (at >= 0 && b->upper > at && !isinf(b->upper)) {
                *mid = (at + b->upper) / 2;
                return b->count * (1 - at / b->upper);
            }
        }
        *mid = finite_or_zero(b->upper);
        return 0;
    }
    if (!upper && at >= b->lower) {
        *mid = at;
        return b->count;
    }
    *mid = finite_or_zero(b->lower);
    return 0;
}

/* What stays of one bucket, and the value that stands for it. */
static double trim_bucket(const tsdb_bucket *b, double at, bool upper, bool positive, bool custom,
                          double *mid)
{
    bool whole = upper ? b->upper <= at : b->lower >= at;
    bool cut = upper ? b->lower < at : b->upper > at;
    if (whole) {
        *mid = middle(b->lower, b->upper, positive, custom);
        return b->count;
    }
    *mid = 0;
    if (!cut)
        return 0;
    if (isinf(b->lower) || isinf(b->upper))
        return trim_endless(b, at, upper, mid);
    double below = b->count * share_below(b, at, custom);
    *mid = upper ? middle(b->lower, at, positive, custom) : middle(at, b->upper, positive, custom);
    return upper ? below : b->count - below;
}

static double trim_zero(const tsdb_histogram *h, double at, bool upper, bool has_negative,
                        bool has_positive, double *mid)
{
    double low = has_positive && !has_negative ? 0 : -h->zero_threshold;
    double high = has_negative && !has_positive ? 0 : h->zero_threshold;
    *mid = 0;
    if (upper ? at <= low : at >= high)
        return 0;
    if (upper ? at >= high : at <= low) {
        *mid = (low + high) / 2;
        return h->zero_count;
    }
    *mid = upper ? (low + at) / 2 : (at + high) / 2;
    return h->zero_count * ((upper ? at - low : high - at) / (high - low));
}

sx_status tsdb_histogram_trim(const tsdb_histogram *h, double threshold, bool upper,
                              sx_arena *arena, tsdb_histogram *out, sx_error *err)
{
    tsdb_histogram to;
    sx_status status = tsdb_histogram_copy(h, arena, &to, err);
    if (status != SX_OK)
        return status;
    bool custom = h->schema == TSDB_SCHEMA_CUSTOM, changed = false, has[2] = {false, false};
    double count = 0, sum = 0;
    for (int k = 0; k < 2; k++) {
        bool positive = k == 0;
        tsdb_side_walk walk;
        uint32_t total = positive ? h->positive_count : h->negative_count;
        double *counts = (double *)(positive ? to.positive : to.negative); /* ours: a copy */
        if (positive)
            tsdb_side_start(&walk, h->positive_spans, h->positive_span_count);
        else
            tsdb_side_start(&walk, h->negative_spans, h->negative_span_count);
        for (uint32_t i = 0; i < total && tsdb_side_next(&walk); i++) {
            if (counts[i] == 0)
                continue;
            has[k] = true;
            tsdb_bucket b = tsdb_histogram_side_bucket(h, walk.index, counts[i], positive);
            double mid, keep = trim_bucket(&b, threshold, upper, positive, custom, &mid);
            count += keep;
            sum += mid * keep;
            changed |= keep != counts[i];
            counts[i] = keep;
        }
    }
    if (h->zero_count > 0) {
        double mid, keep = trim_zero(h, threshold, upper, has[1], has[0], &mid);
        count += keep;
        sum += mid * keep;
        changed |= keep != h->zero_count;
        to.zero_count = keep;
    }
    if (changed) {
        to.count = count;
        to.sum = sum;
        return tsdb_histogram_compact(&to, arena, out, err);
    }
    *out = to;
    return SX_OK;
}
