/* histogram_math.c - sums, differences and means of native histograms.
 *
 * Everything goes through one working form, a tsdb_histogram_sum: each side as rising bucket indices
 * with counts beside them, which merges as two sorted lists do. Before a merge the coarser schema and
 * the larger zero bucket of the two are taken for both; custom buckets of different bounds meet at
 * the bounds that both have. Counts are summed with compensation (Neumaier's form of Kahan's sum)
 * when many are summed, plainly for a single + or -, as Prometheus does, so that results agree in the
 * last digit. Source: Prometheus, docs/specs/native_histograms.md, "Merge", "Zero bucket". */
#include "observe/tsdb/histogram.h"

#include <math.h>
#include <string.h>

#include "observe/tsdb/histogram_side.h"

/* sum += v, what is lost gathers in *lost. */
static void gather(double v, double *sum, double *lost)
{
    double t = *sum + v;
    if (isinf(t))
        *lost = 0;
    else if (fabs(*sum) >= fabs(v))
        *lost += (*sum - t) + v;
    else
        *lost += (v - t) + *sum;
    *sum = t;
}

static sx_status side_room(tsdb_histogram_side *s, uint32_t buckets, sx_arena *arena, sx_error *err)
{
    *s = (tsdb_histogram_side){0};
    if (buckets == 0)
        return SX_OK;
    s->index = sx_arena_alloc(arena, buckets * sizeof *s->index);
    s->count = sx_arena_alloc(arena, buckets * sizeof *s->count);
    s->lost = sx_arena_calloc(arena, buckets, sizeof *s->lost);
    if (!s->index || !s->count || !s->lost)
        return sx_fail_memory(err, "a histogram");
    return SX_OK;
}

static sx_status side_read(tsdb_histogram_side *s, const tsdb_span *spans, uint32_t span_count,
                           const double *counts, uint32_t buckets, sx_arena *arena, sx_error *err)
{
    sx_status status = side_room(s, buckets, arena, err);
    if (status != SX_OK)
        return status;
    tsdb_side_walk walk;
    tsdb_side_start(&walk, spans, span_count);
    while (s->used < buckets && tsdb_side_next(&walk)) {
        s->index[s->used] = walk.index;
        s->count[s->used] = counts[s->used];
        s->used++;
    }
    return SX_OK;
}

/* The working form of `h`, in the arena. */
static sx_status work_read(tsdb_histogram_sum *w, const tsdb_histogram *h, sx_arena *arena,
                           sx_error *err)
{
    *w = (tsdb_histogram_sum){.head = *h, .parts = 1};
    sx_status status = side_read(&w->positive, h->positive_spans, h->positive_span_count,
                                 h->positive, h->positive_count, arena, err);
    if (status == SX_OK)
        status = side_read(&w->negative, h->negative_spans, h->negative_span_count, h->negative,
                           h->negative_count, arena, err);
    return status;
}

static sx_status side_write(const tsdb_histogram_side *s, sx_arena *arena, const tsdb_span **spans,
                            uint32_t *span_count, const double **counts, uint32_t *count,
                            sx_error *err)
{
    *spans = NULL;
    *counts = NULL;
    *span_count = *count = 0;
    if (s->used == 0)
        return SX_OK;
    tsdb_span *to = sx_arena_alloc(arena, s->used * sizeof *to);
    double *values = sx_arena_alloc(arena, s->used * sizeof *values);
    if (!to || !values)
        return sx_fail_memory(err, "a histogram");
    uint32_t n = 0, k = 0;
    int32_t next = 0;
    for (uint32_t i = 0; i < s->used; i++) {
        if (s->count[i] == 0)
            continue;
        if (n > 0 && s->index[i] == next)
            to[n - 1].length++;
        else
            to[n++] = (tsdb_span){k == 0 ? s->index[i] : s->index[i] - next, 1};
        next = s->index[i] + 1;
        values[k++] = s->count[i];
    }
    *spans = k ? to : NULL;
    *counts = k ? values : NULL;
    *span_count = n;
    *count = k;
    return SX_OK;
}

/* Back into spans, without empty buckets. */
static sx_status work_write(const tsdb_histogram_sum *w, sx_arena *arena, tsdb_histogram *out,
                            sx_error *err)
{
    tsdb_histogram to = w->head;
    to.integer = false;
    sx_status status = side_write(&w->positive, arena, &to.positive_spans, &to.positive_span_count,
                                  &to.positive, &to.positive_count, err);
    if (status == SX_OK)
        status = side_write(&w->negative, arena, &to.negative_spans, &to.negative_span_count,
                            &to.negative, &to.negative_count, err);
    if (status == SX_OK)
        *out = to;
    return status;
}

/* Joins neighbours until the side has the coarser schema, in place. */
static void side_reduce(tsdb_histogram_side *s, int32_t from, int32_t to, bool kahan)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->used; i++) {
        int32_t index = ((s->index[i] - 1) >> (from - to)) + 1;
        if (n > 0 && s->index[n - 1] == index) {
            if (kahan) {
                gather(s->count[i], &s->count[n - 1], &s->lost[n - 1]);
                gather(s->lost[i], &s->count[n - 1], &s->lost[n - 1]);
            } else {
                s->count[n - 1] += s->count[i];
            }
        } else {
            s->index[n] = index;
            s->count[n] = s->count[i];
            s->lost[n] = s->lost[i];
            n++;
        }
    }
    s->used = n;
}

static void work_reduce(tsdb_histogram_sum *w, int32_t schema, bool kahan)
{
    side_reduce(&w->positive, w->head.schema, schema, kahan);
    side_reduce(&w->negative, w->head.schema, schema, kahan);
    w->head.schema = schema;
}

/* --- The zero bucket. */

/* Takes the buckets of one side that begin inside the threshold into the zero count. True: a
 * populated bucket sticks out, *threshold was raised to its end. */
static bool side_into_zero(const tsdb_histogram_side *s, int32_t schema, double *threshold,
                           double *zero, double *lost)
{
    for (uint32_t i = 0; i < s->used; i++) {
        if (tsdb_histogram_bound(schema, s->index[i] - 1) >= *threshold)
            return false;
        gather(s->count[i], zero, lost);
        gather(s->lost[i], zero, lost);
        double end = tsdb_histogram_bound(schema, s->index[i]);
        if (end > *threshold) {
            if (s->count[i] != 0) {
                *threshold = end;
                return true;
            }
            return false;
        }
    }
    return false;
}

/* What the zero count would be with a larger zero bucket. The threshold moves up to the end of a
 * populated bucket that it would cut. */
static double zero_count_for(const tsdb_histogram_sum *w, double *threshold, double *lost)
{
    for (;;) {
        double zero = w->head.zero_count;
        double lost_here = w->lost_zero;
        side_into_zero(&w->positive, w->head.schema, threshold, &zero, &lost_here);
        double before = *threshold;
        if (!side_into_zero(&w->negative, w->head.schema, threshold, &zero, &lost_here) ||
            before == *threshold) {
            *lost = lost_here;
            return zero;
        }
    }
}

static void side_drop_zero(tsdb_histogram_side *s, int32_t schema, double threshold)
{
    uint32_t cut = 0;
    while (cut < s->used && tsdb_histogram_bound(schema, s->index[cut] - 1) < threshold)
        cut++;
    if (cut == 0)
        return;
    s->used -= cut;
    memmove(s->index, s->index + cut, s->used * sizeof *s->index);
    memmove(s->count, s->count + cut, s->used * sizeof *s->count);
    memmove(s->lost, s->lost + cut, s->used * sizeof *s->lost);
}

/* Gives both the smallest zero bucket that cuts no populated bucket of either. */
static void zero_meet(tsdb_histogram_sum *a, tsdb_histogram_sum *b)
{
    while (a->head.zero_threshold != b->head.zero_threshold) {
        tsdb_histogram_sum *small = a->head.zero_threshold < b->head.zero_threshold ? a : b;
        double threshold = fmax(a->head.zero_threshold, b->head.zero_threshold), lost;
        if (isnan(threshold) || isnan(small->head.zero_threshold))
            return; /* nonsense from outside: NaN meets nothing */
        small->head.zero_count = zero_count_for(small, &threshold, &lost);
        small->lost_zero = lost;
        small->head.zero_threshold = threshold;
        side_drop_zero(&small->positive, small->head.schema, threshold);
        side_drop_zero(&small->negative, small->head.schema, threshold);
    }
}

/* --- Custom buckets of different bounds. */

/* Moves the counts to the buckets of the bounds that both have: each to the first that ends no
 * earlier than its own. */
static void side_to_bounds(tsdb_histogram_side *s, const double *from, uint32_t from_count,
                           const double *to, uint32_t to_count)
{
    uint32_t n = 0, at = 0;
    for (uint32_t i = 0; i < s->used; i++) {
        uint32_t source = s->index[i] < 0 ? 0 : (uint32_t)s->index[i];
        uint32_t target = to_count;
        if (source < from_count) {
            while (at < to_count && to[at] < from[source])
                at++;
            target = at;
        }
        if (n > 0 && s->index[n - 1] == (int32_t)target) {
            gather(s->count[i], &s->count[n - 1], &s->lost[n - 1]);
            gather(s->lost[i], &s->count[n - 1], &s->lost[n - 1]);
        } else {
            s->index[n] = (int32_t)target;
            s->count[n] = s->count[i];
            s->lost[n] = s->lost[i];
            n++;
        }
    }
    s->used = n;
}

static sx_status bounds_meet(tsdb_histogram_sum *a, tsdb_histogram_sum *b, sx_arena *arena,
                             sx_error *err)
{
    const double *x = a->head.bounds, *y = b->head.bounds;
    uint32_t xn = a->head.bound_count, yn = b->head.bound_count, n = 0;
    double *common = NULL;
    if (xn > 0 && yn > 0) {
        common = sx_arena_alloc(arena, (xn < yn ? xn : yn) * sizeof *common);
        if (!common)
            return sx_fail_memory(err, "a histogram's bounds");
        for (uint32_t i = 0, k = 0; i < xn && k < yn;) {
            if (x[i] == y[k]) {
                common[n++] = x[i];
                i++;
                k++;
            } else if (x[i] < y[k]) {
                i++;
            } else {
                k++;
            }
        }
    }
    side_to_bounds(&a->positive, x, xn, common, n);
    side_to_bounds(&b->positive, y, yn, common, n);
    a->head.bounds = b->head.bounds = n ? common : NULL;
    a->head.bound_count = b->head.bound_count = n;
    return SX_OK;
}

/* --- Adding. */

/* a += sign * b, side by side. A bucket of b that a does not have comes with all its count. */
static sx_status side_merge(tsdb_histogram_side *a, const tsdb_histogram_side *b, double sign,
                            bool kahan, sx_arena *arena, sx_error *err)
{
    bool same = a->used == b->used &&
                (a->used == 0 || memcmp(a->index, b->index, a->used * sizeof *a->index) == 0);
    if (same || b->used == 0) { /* the usual case: one metric's histograms have one layout */
        for (uint32_t i = 0; i < b->used; i++) {
            if (kahan) {
                gather(sign * b->count[i], &a->count[i], &a->lost[i]);
                gather(sign * b->lost[i], &a->count[i], &a->lost[i]);
            } else {
                a->count[i] += sign * b->count[i];
            }
        }
        return SX_OK;
    }
    tsdb_histogram_side to;
    sx_status status = side_room(&to, a->used + b->used, arena, err);
    if (status != SX_OK)
        return status;
    uint32_t i = 0, k = 0, n = 0;
    while (i < a->used || k < b->used) {
        bool left = i < a->used && (k == b->used || a->index[i] <= b->index[k]);
        bool right = k < b->used && (i == a->used || b->index[k] <= a->index[i]);
        to.index[n] = left ? a->index[i] : b->index[k];
        to.count[n] = left ? a->count[i] : 0;
        to.lost[n] = left ? a->lost[i] : 0;
        if (right && !left) {
            to.count[n] = sign * b->count[k];
            to.lost[n] = sign * b->lost[k];
        } else if (right && kahan) {
            gather(sign * b->count[k], &to.count[n], &to.lost[n]);
            gather(sign * b->lost[k], &to.count[n], &to.lost[n]);
        } else if (right) {
            to.count[n] += sign * b->count[k];
        }
        i += left;
        k += right;
        n++;
    }
    to.used = n;
    *a = to;
    return SX_OK;
}

/* The reset hint of a sum; true: one said "reset", the other "no reset". */
static bool meet_hints(tsdb_histogram *a, const tsdb_histogram *b)
{
    if (a->reset == b->reset || a->reset == TSDB_RESET_GAUGE)
        return false;
    if (b->reset == TSDB_RESET_GAUGE) {
        a->reset = TSDB_RESET_GAUGE;
        return false;
    }
    bool collide = a->reset != TSDB_RESET_UNKNOWN && b->reset != TSDB_RESET_UNKNOWN;
    a->reset = TSDB_RESET_UNKNOWN;
    return collide;
}

static sx_status work_add(tsdb_histogram_sum *a, tsdb_histogram_sum *b, double sign, bool kahan,
                          sx_arena *arena, unsigned *notes, sx_error *err)
{
    bool custom = a->head.schema == TSDB_SCHEMA_CUSTOM;
    if (custom != (b->head.schema == TSDB_SCHEMA_CUSTOM)) {
        *notes |= TSDB_HISTOGRAM_INCOMPATIBLE;
        return SX_OK;
    }
    if (meet_hints(&a->head, &b->head))
        *notes |= TSDB_HISTOGRAM_RESETS_COLLIDE;
    if (!custom) {
        zero_meet(a, b);
        if (b->head.schema < a->head.schema)
            work_reduce(a, b->head.schema, kahan);
        else if (b->head.schema > a->head.schema)
            work_reduce(b, a->head.schema, kahan);
    } else if (!tsdb_histogram_same_bounds(&a->head, &b->head)) {
        *notes |= TSDB_HISTOGRAM_BOUNDS_RECONCILED;
        sx_status status = bounds_meet(a, b, arena, err);
        if (status != SX_OK)
            return status;
    }
    if (kahan) {
        gather(sign * b->head.zero_count, &a->head.zero_count, &a->lost_zero);
        gather(sign * b->lost_zero, &a->head.zero_count, &a->lost_zero);
        gather(sign * b->head.count, &a->head.count, &a->lost_count);
        gather(sign * b->head.sum, &a->head.sum, &a->lost_sum);
    } else {
        a->head.zero_count += sign * b->head.zero_count;
        a->head.count += sign * b->head.count;
        a->head.sum += sign * b->head.sum;
    }
    sx_status status = side_merge(&a->positive, &b->positive, sign, kahan, arena, err);
    if (status == SX_OK)
        status = side_merge(&a->negative, &b->negative, sign, kahan, arena, err);
    return status;
}

static sx_status combine(const tsdb_histogram *a, const tsdb_histogram *b, double sign,
                         sx_arena *arena, tsdb_histogram *out, unsigned *notes, sx_error *err)
{
    tsdb_histogram_sum x, y;
    sx_status status = work_read(&x, a, arena, err);
    if (status == SX_OK)
        status = work_read(&y, b, arena, err);
    if (status == SX_OK)
        status = work_add(&x, &y, sign, false, arena, notes, err);
    if (status == SX_OK && !(*notes & TSDB_HISTOGRAM_INCOMPATIBLE))
        status = work_write(&x, arena, out, err);
    return status;
}

sx_status tsdb_histogram_add(const tsdb_histogram *a, const tsdb_histogram *b, sx_arena *arena,
                             tsdb_histogram *out, unsigned *notes, sx_error *err)
{
    return combine(a, b, 1, arena, out, notes, err);
}

sx_status tsdb_histogram_sub(const tsdb_histogram *a, const tsdb_histogram *b, sx_arena *arena,
                             tsdb_histogram *out, unsigned *notes, sx_error *err)
{
    return combine(a, b, -1, arena, out, notes, err);
}

/* --- Scaling. */

static void work_scale(tsdb_histogram_sum *w, double by, bool divide)
{
    double *scalars[] = {&w->head.zero_count, &w->head.count, &w->head.sum,
                         &w->lost_zero,       &w->lost_count, &w->lost_sum};
    for (size_t i = 0; i < SX_COUNT_OF(scalars); i++)
        *scalars[i] = divide ? *scalars[i] / by : *scalars[i] * by;
    if (divide && by == 0) {
        w->positive.used = w->negative.used = 0;
        return;
    }
    tsdb_histogram_side *sides[] = {&w->positive, &w->negative};
    for (size_t k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < sides[k]->used; i++) {
            sides[k]->count[i] = divide ? sides[k]->count[i] / by : sides[k]->count[i] * by;
            sides[k]->lost[i] = divide ? sides[k]->lost[i] / by : sides[k]->lost[i] * by;
        }
    }
    if (by < 0)
        w->head.reset = TSDB_RESET_GAUGE;
}

static sx_status scaled(const tsdb_histogram *h, double by, bool divide, sx_arena *arena,
                        tsdb_histogram *out, sx_error *err)
{
    tsdb_histogram_sum w;
    sx_status status = work_read(&w, h, arena, err);
    if (status != SX_OK)
        return status;
    work_scale(&w, by, divide);
    return work_write(&w, arena, out, err);
}

sx_status tsdb_histogram_scale(const tsdb_histogram *h, double factor, sx_arena *arena,
                               tsdb_histogram *out, sx_error *err)
{
    return scaled(h, factor, false, arena, out, err);
}

sx_status tsdb_histogram_divide(const tsdb_histogram *h, double divisor, sx_arena *arena,
                                tsdb_histogram *out, sx_error *err)
{
    return scaled(h, divisor, true, arena, out, err);
}

sx_status tsdb_histogram_compact(const tsdb_histogram *h, sx_arena *arena, tsdb_histogram *out,
                                 sx_error *err)
{
    tsdb_histogram_sum w;
    sx_status status = work_read(&w, h, arena, err);
    return status == SX_OK ? work_write(&w, arena, out, err) : status;
}

sx_status tsdb_histogram_reduce(const tsdb_histogram *h, int32_t schema, sx_arena *arena,
                                tsdb_histogram *out, sx_error *err)
{
    sx_assert(schema <= h->schema && h->schema != TSDB_SCHEMA_CUSTOM && schema >= TSDB_SCHEMA_MIN);
    tsdb_histogram_sum w;
    sx_status status = work_read(&w, h, arena, err);
    if (status != SX_OK)
        return status;
    work_reduce(&w, schema, false);
    w.head.reset = schema == h->schema ? h->reset : TSDB_RESET_UNKNOWN;
    return work_write(&w, arena, out, err);
}

/* --- Sums and means of many. */

static void note_hint(tsdb_histogram_sum *s, const tsdb_histogram *h)
{
    s->resets_yes |= h->reset == TSDB_RESET_YES;
    s->resets_no |= h->reset == TSDB_RESET_NO;
}

/* The sum outlives its parts, whose bounds work_read() borrows. */
static sx_status bounds_keep(tsdb_histogram *h, sx_arena *arena, sx_error *err)
{
    if (h->bound_count == 0)
        return SX_OK;
    double *own = sx_arena_alloc(arena, h->bound_count * sizeof *own);
    if (!own)
        return sx_fail_memory(err, "a histogram's bounds");
    memcpy(own, h->bounds, h->bound_count * sizeof *own);
    h->bounds = own;
    return SX_OK;
}

sx_status tsdb_histogram_sum_start(tsdb_histogram_sum *s, const tsdb_histogram *h, sx_arena *arena,
                                   sx_error *err)
{
    sx_status status = work_read(s, h, arena, err);
    if (status == SX_OK)
        status = bounds_keep(&s->head, arena, err);
    if (status == SX_OK)
        note_hint(s, h);
    return status;
}

static bool side_overflows(const tsdb_histogram_side *s)
{
    for (uint32_t i = 0; i < s->used; i++) {
        if (isinf(s->count[i]))
            return true;
    }
    return false;
}

static bool work_overflows(const tsdb_histogram_sum *w)
{
    return isinf(w->head.zero_count) || isinf(w->head.count) || isinf(w->head.sum) ||
           side_overflows(&w->positive) || side_overflows(&w->negative);
}

static sx_status side_copy(tsdb_histogram_side *to, const tsdb_histogram_side *from,
                           sx_arena *arena, sx_error *err)
{
    sx_status status = side_room(to, from->used, arena, err);
    if (status != SX_OK || from->used == 0)
        return status;
    memcpy(to->index, from->index, from->used * sizeof *to->index);
    memcpy(to->count, from->count, from->used * sizeof *to->count);
    memcpy(to->lost, from->lost, from->used * sizeof *to->lost);
    to->used = from->used;
    return SX_OK;
}

/* Whether adding `b` may reach infinity: a bound of all parts, so that the sum is tried on a copy
 * only where it matters. */
static bool may_overflow(const tsdb_histogram_sum *a, const tsdb_histogram *b)
{
    const double far = __DBL_MAX__ / 4;
    return !(fabs(a->head.count) < far && fabs(b->count) < far && fabs(a->head.sum) < far &&
             fabs(b->sum) < far);
}

sx_status tsdb_histogram_sum_add(tsdb_histogram_sum *s, const tsdb_histogram *h, bool average,
                                 sx_arena *arena, sx_arena *scratch, unsigned *notes, sx_error *err)
{
    tsdb_histogram_sum other;
    unsigned here = 0;
    note_hint(s, h);
    sx_status status = work_read(&other, h, scratch, err);
    if (status != SX_OK)
        return status;
    s->parts++;
    if (average && !s->mean && may_overflow(s, h)) {
        tsdb_histogram_sum trial = *s;
        status = side_copy(&trial.positive, &s->positive, arena, err);
        if (status == SX_OK)
            status = side_copy(&trial.negative, &s->negative, arena, err);
        if (status == SX_OK)
            status = work_add(&trial, &other, 1, true, arena, &here, err);
        if (status != SX_OK)
            return status;
        if ((here & TSDB_HISTOGRAM_INCOMPATIBLE) || !work_overflows(&trial)) {
            *notes |= here & ~(unsigned)TSDB_HISTOGRAM_RESETS_COLLIDE;
            *s = trial;
            return SX_OK;
        }
        work_scale(s, s->parts - 1, true);
        s->mean = true;
        status = work_read(&other, h, scratch, err);
        if (status != SX_OK)
            return status;
    }
    if (average && s->mean) {
        work_scale(s, (s->parts - 1) / s->parts, false);
        work_scale(&other, s->parts, true);
    }
    status = work_add(s, &other, 1, true, arena, &here, err);
    *notes |= here & ~(unsigned)TSDB_HISTOGRAM_RESETS_COLLIDE;
    return status;
}

sx_status tsdb_histogram_sum_join(tsdb_histogram_sum *s, const tsdb_histogram_sum *other,
                                  sx_arena *arena, sx_arena *scratch, unsigned *notes,
                                  sx_error *err)
{
    sx_assert(!s->mean && !other->mean);
    tsdb_histogram_sum copy = *other;
    unsigned here = 0;
    sx_status status = side_copy(&copy.positive, &other->positive, scratch, err);
    if (status == SX_OK)
        status = side_copy(&copy.negative, &other->negative, scratch, err);
    if (status == SX_OK)
        status = work_add(s, &copy, 1, true, arena, &here, err);
    if (status == SX_OK && !(here & TSDB_HISTOGRAM_INCOMPATIBLE)) {
        gather(copy.lost_count, &s->head.count, &s->lost_count);
        gather(copy.lost_sum, &s->head.sum, &s->lost_sum);
    }
    s->parts += other->parts;
    s->resets_yes |= other->resets_yes;
    s->resets_no |= other->resets_no;
    *notes |= here & ~(unsigned)TSDB_HISTOGRAM_RESETS_COLLIDE;
    return status;
}

static void side_settle(tsdb_histogram_side *s)
{
    for (uint32_t i = 0; i < s->used; i++)
        s->count[i] += s->lost[i];
}

sx_status tsdb_histogram_sum_end(const tsdb_histogram_sum *s, bool average, sx_arena *arena,
                                 tsdb_histogram *out, unsigned *notes, sx_error *err)
{
    tsdb_histogram_sum w = *s;
    sx_status status = side_copy(&w.positive, &s->positive, arena, err);
    if (status == SX_OK)
        status = side_copy(&w.negative, &s->negative, arena, err);
    if (status == SX_OK)
        status = bounds_keep(&w.head, arena, err);
    if (status != SX_OK)
        return status;
    if (average && !s->mean)
        work_scale(&w, s->parts, true);
    w.head.zero_count += w.lost_zero;
    w.head.count += w.lost_count;
    w.head.sum += w.lost_sum;
    side_settle(&w.positive);
    side_settle(&w.negative);
    if (s->resets_yes && s->resets_no)
        *notes |= TSDB_HISTOGRAM_RESETS_COLLIDE;
    return work_write(&w, arena, out, err);
}
