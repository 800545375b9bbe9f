/* eval_range_more.c - the rarer functions over range vectors, floats alone: quantiles, regression,
 * smoothing, and rates with the modifiers `anchored` and `smoothed`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/number.h>

#include "observe/promql/eval_range.h"

/* --- Quantiles. NaN counts as the smallest value. */

static int by_size(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    if (isnan(a) || isnan(b))
        return isnan(b) - isnan(a);
    return (a > b) - (a < b);
}

/* Of sorted values. */
static double quantile_sorted(double q, const double *values, size_t count)
{
    if (count == 0 || isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    double rank = q * ((double)count - 1), below = floor(rank);
    size_t low = (size_t)(below < 0 ? 0 : below);
    size_t high = low + 1 < count ? low + 1 : count - 1;
    double weight = rank - below;
    return values[low] * (1 - weight) + values[high] * weight;
}

double eval_quantile(double q, double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_size);
    return quantile_sorted(q, values, count);
}

static size_t place_of(const double *sorted, size_t count, double x)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_size(&sorted[middle], &x) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The window's values are kept sorted from step to step. */
size_t range_quantile(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                      double *v)
{
    (void)i;
    double *sorted = eval_block(w, &n->node, RANGE_BLOCK, (p->count + 1) * sizeof *sorted);
    size_t used = 0, found = 0, in_from = 0, in_to = 0;
    if (!sorted)
        return 0;
    range_window win = range_first();
    for (size_t k = 0; k < n->node.times->steps; k++) {
        range_slide(n, p, k, &win);
        double q = n->args[0][k];
        v[k] = eval_absent();
        if (win.from >= in_to) {
            used = 0;
            in_from = in_to = win.from;
        }
        for (; in_from < win.from; in_from++) {
            size_t at = place_of(sorted, used, p->v[in_from]);
            memmove(sorted + at, sorted + at + 1, (--used - at) * sizeof *sorted);
        }
        for (; in_to < win.to; in_to++) {
            size_t at = place_of(sorted, used, p->v[in_to]);
            memmove(sorted + at + 1, sorted + at, (used++ - at) * sizeof *sorted);
            sorted[at] = p->v[in_to];
        }
        if (used == 0)
            continue;
        range_count(n, w, k, used);
        if (isnan(q) || q < 0 || q > 1)
            eval_note_numbers(w, eval_bare(n->node.expr->call.args[0]), EVAL_NOTE_QUANTILE, q, 0);
        v[k] = quantile_sorted(q, sorted, used);
        found++;
    }
    return found;
}

size_t range_mad(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                 double *v)
{
    (void)i;
    double *values = eval_block(w, &n->node, RANGE_BLOCK, (p->count + 1) * sizeof *values);
    size_t found = 0;
    if (!values)
        return 0;
    range_window win = range_first();
    for (size_t k = 0; k < n->node.times->steps; k++) {
        size_t count = range_step(n, w, p, k, &win, v);
        if (count == 0)
            continue;
        found++;
        bool nan = false;
        for (size_t j = 0; j < count; j++) {
            values[j] = p->v[win.from + j];
            nan |= isnan(values[j]);
        }
        v[k] = NAN;
        if (nan)
            continue;
        double median = eval_quantile(0.5, values, count);
        for (size_t j = 0; j < count; j++)
            values[j] = fabs(values[j] - median);
        v[k] = eval_quantile(0.5, values, count);
    }
    return found;
}

/* --- Smoothing: NIST's handbook, 6.4.3.3. */

static bool factors_hold(const eval_range_node *n, eval_worker *w, size_t k)
{
    double sf = n->args[0][k], tf = n->args[1][k];
    bool first = sf <= 0 || sf >= 1;
    if (!first && !(tf <= 0 || tf >= 1))
        return true;
    double bad = first ? sf : tf;
    char text[SX_DOUBLE_FIXED_BYTES]; /* as Go's %f */
    if (isinf(bad))
        memcpy(text, bad > 0 ? "+Inf" : "-Inf", sizeof "+Inf");
    else
        snprintf(text, sizeof text, "%f", bad);
    eval_fail(w->run, PROMQL_ERROR_EXECUTION, "invalid %s factor. Expected: 0 < %s < 1, got: %s",
              first ? "smoothing" : "trend", first ? "sf" : "tf", text);
    return false;
}

bool range_check_factors(const eval_range_node *n, eval_worker *w, const eval_points *p)
{
    for (size_t k = 0; k < n->node.times->steps; k++) {
        int64_t end = eval_range_end(&n->range, n->node.times, k);
        int64_t start = end - n->range.range_ms;
        for (size_t j = 0; j < p->hcount && p->ht[j] <= end; j++) {
            if (p->ht[j] > start) {
                if (!factors_hold(n, w, k))
                    return false;
                break;
            }
        }
    }
    return true;
}

size_t range_smoothing(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                       double *v)
{
    (void)i;
    size_t found = 0;
    range_window win = range_first();
    for (size_t k = 0; k < n->node.times->steps; k++) {
        size_t count = range_step(n, w, p, k, &win, v);
        double sf = n->args[0][k], tf = n->args[1][k];
        if (count == 0)
            continue;
        if (!factors_hold(n, w, k))
            return 0;
        if (count < 2)
            continue;
        const double *x = p->v + win.from;
        double before = 0, level = x[0], trend = x[1] - x[0];
        for (size_t j = 1; j < count; j++) {
            if (j > 1)
                trend = tf * (level - before) + (1 - tf) * trend;
            double next = sf * x[j] + (1 - sf) * (level + trend);
            before = level;
            level = next;
        }
        v[k] = level;
        found++;
    }
    return found;
}

/* --- Least squares: deriv, predict_linear. */

static double line_through(const int64_t *t, const double *v, size_t count, int64_t zero,
                           double *at_zero)
{
    double x_sum = 0, x_lost = 0, y_sum = 0, y_lost = 0, xy = 0, xy_lost = 0, xx = 0, xx_lost = 0;
    bool level = true;
    for (size_t k = 0; k < count; k++) {
        level &= k == 0 || v[k] == v[0];
        double x = (double)(t[k] - zero) / 1000;
        eval_gather(x, &x_sum, &x_lost);
        eval_gather(v[k], &y_sum, &y_lost);
        eval_gather(x * v[k], &xy, &xy_lost);
        eval_gather(x * x, &xx, &xx_lost);
    }
    if (level) {
        *at_zero = isinf(v[0]) ? NAN : v[0];
        return isinf(v[0]) ? NAN : 0;
    }
    double n = (double)count;
    x_sum += x_lost;
    y_sum += y_lost;
    xy += xy_lost;
    xx += xx_lost;
    double slope = (xy - x_sum * y_sum / n) / (xx - x_sum * x_sum / n);
    *at_zero = y_sum / n - slope * x_sum / n;
    return slope;
}

size_t range_linear(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                    double *v)
{
    (void)i;
    size_t found = 0;
    bool predict = n->id == PROMQL_FN_predict_linear;
    range_window win = range_first();
    for (size_t k = 0; k < n->node.times->steps; k++) {
        size_t count = range_step(n, w, p, k, &win, v);
        if (count < 2)
            continue;
        const int64_t *t = p->t + win.from;
        double at_zero;
        double slope = line_through(t, p->v + win.from, count,
                                    predict ? eval_time(n->node.times, k) : t[0], &at_zero);
        v[k] = predict ? slope * n->args[0][k] + at_zero : slope;
        found++;
    }
    return found;
}

/* --- anchored and smoothed. */

static double on_line(double y1, double y2, int64_t t1, int64_t t2, int64_t t, bool counter)
{
    if (counter && y2 < y1)
        y1 = 0; /* it began anew, from zero */
    return y1 + (y2 - y1) * (double)(t - t1) / (double)(t2 - t1);
}

/* rate, increase, delta between the values at the window's ends: with `anchored` the last sample
 * before (or the first inside) and the last inside, with `smoothed` on the lines between samples. */
static bool extended_rate(const eval_range_node *n, const int64_t *t, const double *v, size_t count,
                          int64_t start, int64_t end, double *out)
{
    bool smoothed = n->range.smoothed;
    size_t first = 0, last = count - 1;
    while (first < count - 1 && t[first] <= start)
        first++;
    first = first > 0 ? first - 1 : 0;
    if (smoothed) {
        last = 0;
        while (last < count - 1 && t[last] < end)
            last++;
    }
    if (t[last] <= start || (smoothed && t[first] > end))
        return false;
    double left = v[first], right = v[last];
    if (smoothed && t[first] < start)
        left = on_line(v[first], v[first + 1], t[first], t[first + 1], start, n->counter);
    if (smoothed && last > 0 && t[last] > end)
        right = on_line(v[last - 1], v[last], t[last - 1], t[last], end, n->counter);
    double result = right - left;
    if (n->counter) {
        double before = left;
        size_t from = first + (t[first] <= start), to = last + 1 - (t[last] >= end);
        for (size_t k = from; k < to; k++) {
            if (v[k] < before)
                result += before;
            before = v[k];
        }
        if (right < before)
            result += before;
    }
    *out = n->per_second ? result / ((double)n->range.range_ms / 1000) : result;
    return true;
}

static bool anchored_count(const eval_range_node *n, const int64_t *t, const double *v,
                           size_t count, int64_t start, double *out)
{
    size_t from = 0;
    while (from < count && t[from] <= start)
        from++;
    if (from == count)
        return false;
    from = from > 0 ? from - 1 : 0;
    double events = 0;
    for (size_t k = from + 1; k < count; k++) {
        bool event = n->id == PROMQL_FN_resets
                         ? v[k] < v[k - 1]
                         : v[k] != v[k - 1] && !(isnan(v[k]) && isnan(v[k - 1]));
        events += event;
    }
    *out = events;
    return true;
}

size_t range_extended(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                      double *v)
{
    (void)i;
    int64_t lookback = w->run->lookback_ms;
    size_t found = 0, from = 0, to = 0;
    for (size_t k = 0; k < n->node.times->steps; k++) {
        int64_t end = eval_range_end(&n->range, n->node.times, k);
        int64_t start = end - n->range.range_ms;
        while (to < p->count && p->t[to] <= end + (n->range.smoothed ? lookback : 0))
            to++;
        while (from < to && p->t[from] <= start - lookback)
            from++;
        v[k] = eval_absent();
        if (from == to)
            continue;
        range_count(n, w, k, to - from);
        bool counting = n->id == PROMQL_FN_resets || n->id == PROMQL_FN_changes;
        bool have = counting
                        ? anchored_count(n, p->t + from, p->v + from, to - from, start, &v[k])
                        : extended_rate(n, p->t + from, p->v + from, to - from, start, end, &v[k]);
        found += have;
    }
    return found;
}
