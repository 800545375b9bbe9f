/* eval_range.c - functions over range vectors: rate and its kin, *_over_time.
 *
 * One series is decoded once; the window then slides over its samples for all steps. What can be kept
 * from step to step is kept where the result stays the same in every bit: resets and changes are
 * counted beforehand, extremes are held in a queue, sums of whole numbers come from prefix sums. Other
 * sums are made anew for each window, in order and with compensation, since a running sum would differ
 * from Prometheus's in the last digits. */
#include "observe/promql/eval_range.h"

#include <math.h>
#include <string.h>

/* --- rate, increase, delta. */

bool range_start_reset(int64_t before_start, int64_t before_t, int64_t start, int64_t t)
{
    if (start == 0 || start >= t || start < before_t)
        return false; /* unknown, nonsense, or long before */
    if (start > before_t)
        return start != before_start; /* both say the same: it began once */
    /* It begins where the last sample was: a delta's next part, unless that sample's own start was
     * unknown or nonsense. */
    return before_start <= before_t && before_start != 0 && before_start != before_t;
}

/* Where the counter began anew: positions of the samples after. */
static size_t find_resets(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                          uint32_t **out)
{
    size_t count = 0;
    const double *v = p->v;
    *out = NULL;
    for (size_t k = 1; k < p->count; k++) /* no branch: a few samples a cycle */
        count += v[k] < v[k - 1];
    if (sx_likely(count == 0 && !n->starts))
        return 0;
    uint32_t *at = eval_block(w, &n->node, RANGE_BLOCK, p->count * sizeof *at);
    if (!at)
        return 0;
    bool overlap = false;
    count = 0;
    for (size_t k = 1; k < p->count; k++) {
        bool reset = v[k] < v[k - 1];
        if (n->starts && p->st) {
            int64_t before = p->st[k - 1], st = p->st[k];
            reset |= range_start_reset(before, p->t[k - 1], st, p->t[k]);
            overlap |= st != 0 && st < p->t[k - 1] && st != before;
        }
        if (reset)
            at[count++] = (uint32_t)k;
    }
    if (overlap)
        eval_note_add(w, &n->node, n->arg, EVAL_NOTE_START_OVERLAP, range_name(n, i), (sx_str){0});
    *out = at;
    return count;
}

/* HOT: the most used of all. */
static size_t range_rate(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                         double *v)
{
    uint32_t *resets = NULL;
    size_t reset_count = n->counter ? find_resets(n, w, p, i, &resets) : 0;
    size_t first_reset = 0, found = 0, steps = n->node.times->steps;
    range_window win = range_first();
    const int64_t *st = n->starts && n->counter ? p->st : NULL;
    for (size_t k = 0; k < steps; k++) {
        size_t count = range_step(n, w, p, k, &win, v);
        if (count == 0)
            continue;
        int64_t first_t = p->t[win.from], last_t = p->t[win.to - 1];
        double first = p->v[win.from];
        bool begun = sx_unlikely(st != NULL) && st[win.from] != 0 && st[win.from] > win.start &&
                     st[win.from] < first_t;
        if (count == 1 && !begun)
            continue;
        double rise = p->v[win.to - 1] - first;
        while (first_reset < reset_count && resets[first_reset] <= win.from)
            first_reset++;
        for (size_t r = first_reset; r < reset_count && resets[r] < win.to; r++)
            rise += p->v[resets[r] - 1];
        if (begun)
            rise += first;
        v[k] = rise * range_extrapolate(n, &win, first_t, last_t, count, first, rise, begun,
                                        begun ? st[win.from] : 0);
        found++;
    }
    return found;
}

/* irate and idelta: the last two samples. */
static size_t range_last_two(const eval_range_node *n, eval_worker *w, const eval_points *p,
                             size_t i, double *v)
{
    (void)i;
    size_t found = 0;
    range_window win = range_first();
    for (size_t k = 0; k < n->node.times->steps; k++) {
        size_t count = range_step(n, w, p, k, &win, v), b = win.to - 1, a = win.to - 2;
        if (count < 2 || p->t[b] == p->t[a])
            continue;
        bool reset =
            n->counter &&
            (p->v[b] < p->v[a] ||
             (n->starts && p->st && range_start_reset(p->st[a], p->t[a], p->st[b], p->t[b])));
        double rise = reset ? p->v[b] : p->v[b] - p->v[a];
        v[k] = n->counter ? rise / ((double)(p->t[b] - p->t[a]) / 1000) : rise;
        found++;
    }
    return found;
}

/* --- Counted beforehand: resets, changes. */

static bool changed(double a, double b)
{
    return a != b && !(isnan(a) && isnan(b));
}

static size_t range_counted(const eval_range_node *n, eval_worker *w, const eval_points *p,
                            size_t i, double *v)
{
    (void)i;
    uint32_t *before = eval_block(w, &n->node, RANGE_BLOCK, p->count * sizeof *before);
    size_t found = 0;
    if (!before)
        return 0;
    bool resets = n->id == PROMQL_FN_resets;
    before[0] = 0; /* events up to and at a sample, each between it and the one before */
    for (size_t k = 1; k < p->count; k++) {
        bool event = resets ? p->v[k] < p->v[k - 1] : changed(p->v[k - 1], p->v[k]);
        if (resets && n->starts && p->st)
            event |= range_start_reset(p->st[k - 1], p->t[k - 1], p->st[k], p->t[k]);
        before[k] = before[k - 1] + event;
    }
    range_window win = range_first();
    for (size_t k = 0; k < n->node.times->steps; k++) {
        if (range_step(n, w, p, k, &win, v) == 0)
            continue;
        v[k] = before[win.to - 1] - before[win.from];
        found++;
    }
    return found;
}

/* --- One sample of the window: its first or last, or that there is one. */

static size_t range_one(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                        double *v)
{
    (void)i;
    size_t found = 0;
    range_window win = range_first();
    for (size_t k = 0; k < n->node.times->steps; k++) {
        if (range_step(n, w, p, k, &win, v) == 0)
            continue;
        found++;
        switch (n->id) {
        case PROMQL_FN_first_over_time:
            v[k] = p->v[win.from];
            break;
        case PROMQL_FN_last_over_time:
            v[k] = p->v[win.to - 1];
            break;
        case PROMQL_FN_ts_of_first_over_time:
            v[k] = (double)p->t[win.from] / 1000;
            break;
        case PROMQL_FN_ts_of_last_over_time:
            v[k] = (double)p->t[win.to - 1] / 1000;
            break;
        case PROMQL_FN_count_over_time:
            v[k] = (double)(win.to - win.from);
            break;
        default: /* present_over_time, absent_over_time */
            v[k] = 1;
        }
    }
    return found;
}

/* --- Extremes. */

/* One window: looked through, which is quicker than a queue. */
static size_t extreme_once(const eval_range_node *n, eval_worker *w, const eval_points *p,
                           double *v)
{
    range_window win = range_first();
    range_slide(n, p, 0, &win);
    if (win.from == win.to)
        return 0;
    range_count(n, w, 0, win.to - win.from);
    double best = p->v[win.from];
    if (n->id == PROMQL_FN_max_over_time) {
        for (size_t k = win.from; k < win.to; k++)
            best = p->v[k] > best || isnan(best) ? p->v[k] : best;
    } else {
        for (size_t k = win.from; k < win.to; k++)
            best = p->v[k] < best || isnan(best) ? p->v[k] : best;
    }
    v[0] = best;
    return 1;
}

/* Candidates for the extreme of this window and later ones: each is beaten by none after it. Of equal
 * values the earlier stays in front. NaN is none: it shows only where there is nothing else. */
static size_t range_extreme(const eval_range_node *n, eval_worker *w, const eval_points *p,
                            size_t i, double *v)
{
    (void)i;
    if (n->node.times->steps == 1)
        return extreme_once(n, w, p, v);
    uint32_t *queue = eval_block(w, &n->node, RANGE_BLOCK, p->count * sizeof *queue);
    size_t found = 0, head = 0, tail = 0, seen = 0;
    if (!queue)
        return 0;
    bool most = n->id == PROMQL_FN_max_over_time;
    range_window win = range_first();
    for (size_t k = 0; k < n->node.times->steps; k++) {
        range_slide(n, p, k, &win);
        for (; seen < win.to; seen++) {
            double x = p->v[seen];
            if (seen < win.from || isnan(x))
                continue;
            while (tail > head && (most ? p->v[queue[tail - 1]] < x : p->v[queue[tail - 1]] > x))
                tail--;
            queue[tail++] = (uint32_t)seen;
        }
        while (head < tail && queue[head] < win.from)
            head++;
        v[k] = eval_absent();
        if (win.from == win.to)
            continue;
        range_count(n, w, k, win.to - win.from);
        v[k] = head < tail ? p->v[queue[head]] : NAN;
        found++;
    }
    return found;
}

/* When the extreme was: the last of equal ones. */
static size_t range_extreme_time(const eval_range_node *n, eval_worker *w, const eval_points *p,
                                 size_t i, double *v)
{
    (void)i;
    size_t found = 0;
    bool most = n->id == PROMQL_FN_ts_of_max_over_time;
    range_window win = range_first();
    for (size_t k = 0; k < n->node.times->steps; k++) {
        if (range_step(n, w, p, k, &win, v) == 0)
            continue;
        size_t best = win.from;
        for (size_t j = win.from; j < win.to; j++) {
            if (isnan(p->v[best]) || (most ? p->v[j] >= p->v[best] : p->v[j] <= p->v[best]))
                best = j;
        }
        v[k] = (double)p->t[best] / 1000;
        found++;
    }
    return found;
}

/* --- Sums. */

/* Prefix sums if all samples are whole numbers and no sum of them can leave 2^53: then every order of
 * summation gives the same, exact result. */
static double *whole_sums(const eval_range_node *n, eval_worker *w, const eval_points *p)
{
    const double limit = 9007199254740992.0;
    const eval_times *times = n->node.times;
    if (times->steps < 3 || n->range.range_ms <= times->step * 2)
        return NULL; /* windows hardly overlap */
    double all = 0;
    for (size_t k = 0; k < p->count; k++) {
        if (!(fabs(p->v[k]) < limit) || p->v[k] != trunc(p->v[k]))
            return NULL;
        all += fabs(p->v[k]);
    }
    if (!(all < limit))
        return NULL;
    double *sums = eval_block(w, &n->node, RANGE_BLOCK, (p->count + 1) * sizeof *sums);
    if (!sums)
        return NULL;
    sums[0] = 0;
    for (size_t k = 0; k < p->count; k++)
        sums[k + 1] = sums[k] + p->v[k];
    return sums;
}

static double sum_of(const double *v, size_t count)
{
    double sum = 0, lost = 0;
    for (size_t k = 0; k < count; k++)
        eval_gather(v[k], &sum, &lost);
    return isinf(sum) ? sum : sum + lost;
}

/* The sum over the count; where the sum would overflow, a running mean from there on. */
static double mean_of(const double *v, size_t count)
{
    double sum = v[0], mean = 0, lost = 0;
    bool running = false;
    for (size_t k = 1; k < count; k++) {
        double n = (double)(k + 1);
        if (!running) {
            double sum_now = sum, lost_now = lost;
            eval_gather(v[k], &sum_now, &lost_now);
            if (!isinf(sum_now)) {
                sum = sum_now;
                lost = lost_now;
                continue;
            }
            running = true;
            mean = sum / (n - 1);
            lost /= n - 1;
        }
        double q = (n - 1) / n;
        mean *= q;
        lost *= q;
        eval_gather(v[k] / n, &mean, &lost);
    }
    if (running)
        return mean + lost;
    return sum / (double)count + lost / (double)count;
}

static double variance_of(const double *v, size_t count)
{
    double mean = 0, mean_lost = 0, sum = 0, sum_lost = 0;
    for (size_t k = 0; k < count; k++) {
        double delta = v[k] - (mean + mean_lost);
        eval_gather(delta / (double)(k + 1), &mean, &mean_lost);
        eval_gather(delta * (v[k] - (mean + mean_lost)), &sum, &sum_lost);
    }
    return (sum + sum_lost) / (double)count;
}

/* Four windows of the same length side by side: one sum must wait for itself at every sample, four
 * do not wait for one another. What an addition loses is found without a branch (Knuth's two-sum),
 * which is the same number, being exact both ways. */
static void sum_four(const double *const x[4], size_t count, double sum[4], double lost[4])
{
    double s0 = x[0][0], s1 = x[1][0], s2 = x[2][0], s3 = x[3][0];
    double c0 = 0, c1 = 0, c2 = 0, c3 = 0;
#define ADD(lane, s, c)                                                                            \
    {                                                                                              \
        double v = x[lane][k], t = s + v, b = t - s;                                               \
        c += (s - (t - b)) + (v - b);                                                              \
        s = t;                                                                                     \
    }
    for (size_t k = 1; k < count; k++) {
        ADD(0, s0, c0)
        ADD(1, s1, c1)
        ADD(2, s2, c2)
        ADD(3, s3, c3)
    }
#undef ADD
    sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
    lost[0] = c0, lost[1] = c1, lost[2] = c2, lost[3] = c3;
}

typedef struct sum_batch {
    const double *x[4];
    size_t count[4], step[4], used;
} sum_batch;

static void sum_flush(const eval_range_node *n, sum_batch *b, double *v)
{
    bool average = n->id == PROMQL_FN_avg_over_time;
    double sum[4], lost[4];
    bool four = b->used == 4 && b->count[0] == b->count[1] && b->count[0] == b->count[2] &&
                b->count[0] == b->count[3];
    if (four)
        sum_four(b->x, b->count[0], sum, lost);
    for (size_t k = 0; k < b->used; k++) {
        double count = (double)b->count[k], *to = &v[b->step[k]];
        if (!four || !isfinite(sum[k]) || !isfinite(lost[k])) /* the careful way */
            *to = average ? mean_of(b->x[k], b->count[k]) : sum_of(b->x[k], b->count[k]);
        else
            *to = average ? sum[k] / count + lost[k] / count : sum[k] + lost[k];
    }
    b->used = 0;
}

/* sum_over_time and avg_over_time of numbers that are not whole. */
static size_t range_sum_four(const eval_range_node *n, eval_worker *w, const eval_points *p,
                             double *v)
{
    size_t found = 0;
    sum_batch b = {.used = 0};
    range_window win = range_first();
    for (size_t k = 0; k < n->node.times->steps; k++) {
        if (range_step(n, w, p, k, &win, v) == 0)
            continue;
        found++;
        b.x[b.used] = p->v + win.from;
        b.count[b.used] = win.to - win.from;
        b.step[b.used++] = k;
        if (b.used == 4)
            sum_flush(n, &b, v);
    }
    sum_flush(n, &b, v);
    return found;
}

static size_t range_sum(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                        double *v)
{
    (void)i;
    size_t found = 0;
    bool plain = n->id == PROMQL_FN_sum_over_time || n->id == PROMQL_FN_avg_over_time;
    const double *whole = plain ? whole_sums(n, w, p) : NULL;
    if (plain && !whole)
        return range_sum_four(n, w, p, v);
    range_window win = range_first();
    for (size_t k = 0; k < n->node.times->steps; k++) {
        size_t count = range_step(n, w, p, k, &win, v);
        const double *x = p->v + win.from;
        if (count == 0)
            continue;
        found++;
        switch (n->id) {
        case PROMQL_FN_sum_over_time:
            v[k] = whole[win.to] - whole[win.from];
            break;
        case PROMQL_FN_avg_over_time:
            v[k] = (whole[win.to] - whole[win.from]) / (double)count;
            break;
        case PROMQL_FN_stdvar_over_time:
            v[k] = variance_of(x, count);
            break;
        default:
            v[k] = sqrt(variance_of(x, count));
        }
    }
    return found;
}

/* --- The node. */

static range_floats_fn floats_for(promql_function_id id)
{
    switch (id) {
    case PROMQL_FN_rate:
    case PROMQL_FN_increase:
    case PROMQL_FN_delta:
        return range_rate;
    case PROMQL_FN_irate:
    case PROMQL_FN_idelta:
        return range_last_two;
    case PROMQL_FN_resets:
    case PROMQL_FN_changes:
        return range_counted;
    case PROMQL_FN_max_over_time:
    case PROMQL_FN_min_over_time:
        return range_extreme;
    case PROMQL_FN_ts_of_max_over_time:
    case PROMQL_FN_ts_of_min_over_time:
        return range_extreme_time;
    case PROMQL_FN_sum_over_time:
    case PROMQL_FN_avg_over_time:
    case PROMQL_FN_stddev_over_time:
    case PROMQL_FN_stdvar_over_time:
        return range_sum;
    case PROMQL_FN_quantile_over_time:
        return range_quantile;
    case PROMQL_FN_mad_over_time:
        return range_mad;
    case PROMQL_FN_double_exponential_smoothing:
        return range_smoothing;
    case PROMQL_FN_deriv:
    case PROMQL_FN_predict_linear:
        return range_linear;
    default:
        return range_one;
    }
}

static bool counter_name(sx_str name)
{
    return sx_str_ends(name, SX_STR("_total")) || sx_str_ends(name, SX_STR("_sum")) ||
           sx_str_ends(name, SX_STR("_count")) || sx_str_ends(name, SX_STR("_bucket"));
}

static void note_no_counter(const eval_range_node *n, eval_worker *w, size_t i)
{
    sx_str name = range_name(n, i);
    if (name.len > 0 && !counter_name(name))
        eval_note_add(w, &n->node, n->arg, EVAL_NOTE_MAYBE_NO_COUNTER, name, (sx_str){0});
}

/* Histograms alone are counters whatever their name: the note is about floats beside them. */
static bool has_float(const double *v, size_t steps)
{
    for (size_t k = 0; k < steps; k++)
        if (!eval_is_absent(v[k]))
            return true;
    return false;
}

static unsigned range_fill(const eval_node *node, eval_worker *w, size_t i, double *v,
                           const tsdb_histogram **h)
{
    const eval_range_node *n = (const eval_range_node *)(const void *)node;
    eval_points p;
    unsigned have = 0;
    if (!eval_range_read(&n->range, node, w, i, &p) || (p.count == 0 && p.hcount == 0))
        return 0;
    size_t found;
    if (n->id == PROMQL_FN_double_exponential_smoothing && p.hcount > 0 &&
        !range_check_factors(n, w, &p))
        return 0;
    if (sx_likely(p.hcount == 0)) {
        found = n->floats(n, w, &p, i, v);
        have = found ? EVAL_FLOATS : 0;
    } else {
        if (!eval_range_histograms(n, w, &p, i, v, h, &have))
            return 0;
        found = node->times->steps;
    }
    w->held += (int64_t)found;
    if ((have & EVAL_FLOATS) && n->counter &&
        (n->id == PROMQL_FN_rate || n->id == PROMQL_FN_increase) &&
        (p.hcount == 0 || has_float(v, found)))
        note_no_counter(n, w, i);
    return have;
}

static bool check_modifiers(eval_run *run, const eval_range_node *n)
{
    promql_function_id id = n->id;
    bool smooth_ok = id == PROMQL_FN_rate || id == PROMQL_FN_increase || id == PROMQL_FN_delta;
    bool anchor_ok = smooth_ok || id == PROMQL_FN_resets || id == PROMQL_FN_changes;
    const char *mod = NULL, *list = NULL;
    if (n->range.anchored && !anchor_ok) {
        mod = "anchored";
        list = "changes, delta, increase, rate, resets";
    } else if (n->range.smoothed && !smooth_ok) {
        mod = "smoothed";
        list = "delta, increase, rate";
    }
    if (mod)
        eval_fail(run, PROMQL_ERROR_EXECUTION,
                  "%s modifier can only be used with: %s - not with %.*s", mod, list,
                  SX_ARG(n->node.expr->call.function->name));
    return !mod;
}

static bool open_arguments(eval_run *run, eval_range_node *n, const eval_times *times)
{
    const promql_expr *e = n->node.expr;
    size_t scalars = 0;
    for (uint32_t k = 0; k < e->call.arg_count; k++) {
        if (e->call.args[k]->type == PROMQL_MATRIX) {
            n->arg = eval_bare(e->call.args[k]);
            if (!eval_range_open(run, n->arg, times, &n->range))
                return false;
        } else if (scalars < SX_COUNT_OF(n->args)) {
            const eval_node *s = eval_scalar(run, e->call.args[k], times);
            if (!s)
                return false;
            n->args[scalars++] = s->scalar;
        }
    }
    /* Prometheus places notes about a subquery's values at the start of the query. */
    static const promql_expr START;
    if (n->arg && n->arg->kind == PROMQL_SUBQUERY)
        n->arg = &START;
    if (n->arg && n->id == PROMQL_FN_quantile_over_time) /* and these at the quantile */
        n->arg = eval_bare(e->call.args[0]);
    return n->arg != NULL;
}

eval_node *eval_range_call(eval_run *run, const promql_expr *e, const eval_times *times)
{
    eval_range_node *n = eval_node_new(run, sizeof *n, e, times);
    if (!n)
        return NULL;
    n->id = (promql_function_id)e->call.function->id;
    if (!open_arguments(run, n, times) || !check_modifiers(run, n))
        return NULL;
    n->node.detect_resets = run->under_statistics && !run->under_other;
    n->counter = n->id == PROMQL_FN_rate || n->id == PROMQL_FN_increase || n->id == PROMQL_FN_irate;
    n->per_second = n->id == PROMQL_FN_rate;
    n->starts = (run->options.features & PROMQL_START_TIMESTAMPS) &&
                (n->counter || n->id == PROMQL_FN_resets);
    n->floats = n->range.anchored || n->range.smoothed ? range_extended : floats_for(n->id);
    n->node.fill = range_fill;
    eval_node from = {.count = n->range.count,
                      .labels = n->range.labels,
                      .drop = n->range.drop,
                      .one_name = n->range.one_name,
                      .distinct = true};
    if (n->id == PROMQL_FN_last_over_time || n->id == PROMQL_FN_first_over_time) {
        n->node.count = from.count;
        n->node.labels = from.labels;
        n->node.drop = from.drop;
        n->node.one_name = from.one_name;
        n->node.distinct = true;
        return &n->node;
    }
    if (!eval_drop_names(run, &n->node, &from))
        return NULL;
    if (n->id == PROMQL_FN_absent_over_time || run->delayed_names)
        return &n->node;
    return eval_unique(run, &n->node, true);
}
