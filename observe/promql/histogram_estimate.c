/* histogram_estimate.c - quantiles and fractions estimated from buckets.
 *
 * Inside a bucket observations are taken to lie evenly: on a straight line for classic and custom
 * buckets and the zero bucket, on a logarithmic one for the others. Source: Prometheus,
 * docs/querying/functions.md (histogram_quantile, histogram_fraction) and
 * docs/specs/native_histograms.md, "Interpolation within a bucket". */
#include "observe/promql/histogram_estimate.h"

#include <math.h>

/* --- Classic. */

/* Buckets of the same bound are one. */
static size_t join_bounds(estimate_bucket *b, size_t count)
{
    size_t n = 0;
    for (size_t i = 1; i < count; i++) {
        if (b[i].upper == b[n].upper)
            b[n].count += b[i].count;
        else
            b[++n] = b[i];
    }
    return count ? n + 1 : 0;
}

/* A difference that rounding explains: less than a trillionth of the sum. */
static bool nearly(double a, double b)
{
    const double tolerance = 1e-12, smallest = 2.2250738585072014e-308;
    if (isnan(a) && isnan(b))
        return true;
    if (a == b)
        return true;
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);
    if (a == 0 || b == 0 || sum < smallest)
        return diff < tolerance * smallest;
    return diff / (sum < __DBL_MAX__ ? sum : __DBL_MAX__) < tolerance;
}

static void make_rising(estimate_bucket *b, size_t count, estimate_mending *m)
{
    *m = (estimate_mending){.min_bucket = INFINITY, .max_bucket = -INFINITY};
    double before = b[0].count;
    for (size_t i = 1; i < count; i++) {
        double here = b[i].count;
        if (here == before)
            continue;
        if (nearly(before, here)) {
            b[i].count = before;
        } else if (here < before) {
            b[i].count = before;
            m->forced = true;
            m->min_bucket = fmin(m->min_bucket, b[i].upper);
            m->max_bucket = fmax(m->max_bucket, b[i].upper);
            m->max_diff = fmax(m->max_diff, before - here);
        } else {
            before = here;
        }
    }
}

double estimate_quantile_classic(double q, estimate_bucket *b, size_t count,
                                 estimate_mending *mended)
{
    *mended = (estimate_mending){0};
    if (isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (count == 0 || b[count - 1].upper != INFINITY)
        return NAN;
    count = join_bounds(b, count);
    make_rising(b, count, mended);
    double all = b[count - 1].count;
    if (count < 2 || all == 0)
        return NAN;
    double rank = q * all;
    size_t at = 0, end = count - 1;
    while (at < end) { /* the first that holds the rank, by halves */
        size_t middle = at + (end - at) / 2;
        if (b[middle].count >= rank)
            end = middle;
        else
            at = middle + 1;
    }
    if (at == count - 1)
        return b[count - 2].upper;
    if (at == 0 && b[0].upper <= 0)
        return b[0].upper;
    double start = at > 0 ? b[at - 1].upper : 0;
    double inside = b[at].count;
    if (at > 0) {
        inside -= b[at - 1].count;
        rank -= b[at - 1].count;
    }
    return start + (b[at].upper - start) * (rank / inside);
}

/* The ranks of two bounds, found while walking up the buckets. */
typedef struct rank_search {
    double lower, upper; /* the bounds */
    double lower_rank, upper_rank;
    bool have_lower, have_upper;
} rank_search;

/* True: both are found. `inside` gives the rank of a value strictly inside the bucket. */
static bool rank_step(rank_search *s, double low, double high, double rank,
                      double (*inside)(const void *ctx, double v), const void *ctx)
{
    if (!s->have_lower && low >= s->lower) {
        s->lower_rank = rank;
        s->have_lower = true;
    }
    if (!s->have_upper && low >= s->upper) {
        s->upper_rank = rank;
        s->have_upper = true;
    }
    if (!s->have_lower && low < s->lower && high > s->lower) {
        s->lower_rank = inside(ctx, s->lower);
        s->have_lower = true;
    }
    if (!s->have_upper && low < s->upper && high > s->upper) {
        s->upper_rank = inside(ctx, s->upper);
        s->have_upper = true;
    }
    return s->have_lower && s->have_upper;
}

static double rank_share(const rank_search *s, double all, double of)
{
    double lower = !s->have_lower || s->lower_rank > all ? all : s->lower_rank;
    double upper = !s->have_upper || s->upper_rank > all ? all : s->upper_rank;
    return (upper - lower) / of;
}

typedef struct classic_place {
    double low, high, rank, count;
} classic_place;

static double inside_classic(const void *ctx, double v)
{
    const classic_place *p = ctx;
    if (p->low == -INFINITY)
        return p->count;
    return p->rank + (p->count - p->rank) * (v - p->low) / (p->high - p->low);
}

double estimate_fraction_classic(double lower, double upper, estimate_bucket *b, size_t count)
{
    if (count == 0 || b[count - 1].upper != INFINITY)
        return NAN;
    count = join_bounds(b, count);
    double all = b[count - 1].count;
    if (all == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    rank_search s = {.lower = lower, .upper = upper};
    double low = b[0].upper <= 0 ? -INFINITY : 0, rank = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            low = b[i - 1].upper;
        classic_place p = {low, b[i].upper, rank, b[i].count};
        if (rank_step(&s, low, b[i].upper, rank, inside_classic, &p))
            break;
        rank = b[i].count;
    }
    return rank_share(&s, all, all);
}

/* --- Native. */

/* With observations on one side of zero alone, the zero bucket's are on that side, too. */
static void narrow_zero(const tsdb_histogram *h, tsdb_bucket *b)
{
    if (h->negative_count == 0 && h->positive_count > 0)
        b->lower = 0;
    else if (h->positive_count == 0 && h->negative_count > 0)
        b->upper = 0;
}

static double inside_bucket(const tsdb_bucket *b, double share, bool straight)
{
    if (straight || (b->lower <= 0 && b->upper >= 0))
        return b->lower + (b->upper - b->lower) * share;
    double low = log2(fabs(b->lower)), high = log2(fabs(b->upper));
    if (b->lower > 0)
        return exp2(low + (high - low) * share);
    return -exp2(high + (low - high) * (1 - share));
}

double estimate_quantile_native(double q, const tsdb_histogram *h, tsdb_bucket *room,
                                unsigned *notes)
{
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (h->count == 0 || isnan(q))
        return NAN;
    bool custom = h->schema == TSDB_SCHEMA_CUSTOM;
    /* From the nearer end, which loses fewer digits; with NaN observed only from the lower one. */
    bool up = isnan(h->sum) || q < 0.5;
    double rank = up ? q * h->count : (1 - q) * h->count, count = 0;
    uint32_t n = tsdb_histogram_buckets(h, room), at = 0;
    tsdb_bucket b = {0};
    while (at < n) {
        b = room[up ? at : n - 1 - at];
        at++;
        if (b.count == 0)
            continue;
        count += b.count;
        if (count >= rank)
            break;
    }
    if (!custom && b.lower < 0 && b.upper > 0) {
        narrow_zero(h, &b);
    } else if (custom && b.lower == -INFINITY) {
        if (b.upper <= 0)
            return b.upper;
        b.lower = 0;
    } else if (custom && b.upper == INFINITY) {
        return b.lower;
    }
    if (count > h->count)
        count = h->count;
    if (count < rank) {
        if (!isnan(h->sum))
            return b.upper;
        *notes |= ESTIMATE_NAN_RESULT;
        return NAN;
    }
    rank = up ? rank - (count - b.count) : count - rank;
    if (isnan(h->sum)) {
        for (; at < n; at++)
            count += room[at].count;
        if (count < h->count)
            *notes |= ESTIMATE_NAN_SKEW;
    }
    return inside_bucket(&b, rank / b.count, custom);
}

typedef struct native_place {
    const tsdb_bucket *bucket;
    double rank;
    bool straight;
} native_place;

static double inside_native(const void *ctx, double v)
{
    const native_place *p = ctx;
    const tsdb_bucket *b = p->bucket;
    double share;
    if (p->straight) {
        if (b->lower == -INFINITY)
            return b->count;
        share = (v - b->lower) / (b->upper - b->lower);
    } else {
        double low = log2(fabs(b->lower)), high = log2(fabs(b->upper)), x = log2(fabs(v));
        share = v > 0 ? (x - low) / (high - low) : 1 - (x - high) / (low - high);
    }
    return p->rank + b->count * share;
}

double estimate_fraction_native(double lower, double upper, const tsdb_histogram *h,
                                tsdb_bucket *room, unsigned *notes)
{
    if (h->count == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    rank_search s = {.lower = lower, .upper = upper};
    uint32_t n = tsdb_histogram_buckets(h, room);
    double rank = 0, all = 0;
    for (uint32_t i = 0; i < n; i++)
        all += room[i].count;
    for (uint32_t i = 0; i < n; i++) {
        tsdb_bucket *b = &room[i];
        bool zero = b->lower <= 0 && b->upper >= 0;
        if (zero)
            narrow_zero(h, b);
        native_place p = {b, rank, h->schema == TSDB_SCHEMA_CUSTOM || zero};
        if (rank_step(&s, b->lower, b->upper, rank, inside_native, &p))
            break;
        rank += b->count;
    }
    if (!isnan(h->sum))
        all = h->count;
    else if (all < h->count)
        *notes |= ESTIMATE_NAN_EXCLUDED;
    return rank_share(&s, all, h->count);
}
