/* eval_map.c - functions that take an instant vector value by value. */
#include <math.h>
#include <string.h>

#include <sextant/mem.h>

#include "observe/promql/eval.h"

typedef struct map_node map_node;
struct map_node {
    eval_node node;
    eval_node *from;
    promql_function_id id;
    double (*of)(double);       /* of a float */
    double (*of_date)(int64_t); /* of seconds since 1970 */
    bool of_histograms;         /* of histograms, not floats */
    const double *args[2];
};

/* --- Floats. */

static double sign(double v)
{
    return v < 0 ? -1 : v > 0 ? 1 : v;
}

static double radians(double v)
{
    return v * M_PI / 180;
}

static double degrees(double v)
{
    return v * 180 / M_PI;
}

/* --- Dates, in UTC by the proleptic Gregorian calendar. Source of the arithmetic: days counted from
 * 1 March of year 0, in eras of 400 years. */

typedef struct date {
    int64_t year;
    int month, day; /* from 1 */
} date;

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static date date_of(int64_t seconds)
{
    int64_t days = floor_div(seconds, 86400) + 719468;
    int64_t era = floor_div(days, 146097);
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (int)((5 * of_year + 2) / 153); /* 0: March */
    date d = {.day = (int)(of_year - (153 * month + 2) / 5 + 1),
              .month = month < 10 ? month + 3 : month - 9};
    d.year = year + era * 400 + (d.month <= 2);
    return d;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static const int16_t DAYS_BEFORE[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

static double days_in_month(int64_t s)
{
    date d = date_of(s);
    int days = DAYS_BEFORE[d.month] - DAYS_BEFORE[d.month - 1];
    return days + (d.month == 2 && is_leap(d.year));
}

static double day_of_month(int64_t s)
{
    return date_of(s).day;
}

static double day_of_week(int64_t s)
{
    int64_t day = (floor_div(s, 86400) + 4) % 7; /* 1 January 1970 was a Thursday */
    return (double)(day < 0 ? day + 7 : day);
}

static double day_of_year(int64_t s)
{
    date d = date_of(s);
    return DAYS_BEFORE[d.month - 1] + d.day + (d.month > 2 && is_leap(d.year));
}

static double hour_of(int64_t s)
{
    return (double)((s - floor_div(s, 86400) * 86400) / 3600);
}

static double minute_of(int64_t s)
{
    return (double)((s - floor_div(s, 3600) * 3600) / 60);
}

static double month_of(int64_t s)
{
    return date_of(s).month;
}

static double year_of(int64_t s)
{
    return (double)date_of(s).year;
}

/* Whole seconds of a sample; what fits no date is the first that there is. */
static int64_t seconds_of(double v)
{
    return v > -9.2e18 && v < 9.2e18 ? (int64_t)v : INT64_MIN / 2;
}

/* --- Histograms. */

/* All observations of a bucket are taken to be in its middle: the arithmetic one for custom buckets,
 * the geometric one for the others, zero for the zero bucket. */
static double histogram_variance(const tsdb_histogram *h, eval_worker *w, const eval_node *n)
{
    tsdb_bucket *b = eval_block(w, n, 2, tsdb_histogram_bucket_count(h) * sizeof *b);
    if (!b)
        return NAN;
    double mean = h->sum / h->count, sum = 0, lost = 0;
    uint32_t count = tsdb_histogram_buckets(h, b);
    for (uint32_t i = 0; i < count; i++) {
        if (b[i].count == 0)
            continue;
        double middle = 0;
        if (h->schema == TSDB_SCHEMA_CUSTOM)
            middle = (b[i].upper + b[i].lower) / 2;
        else if (b[i].lower > 0 || b[i].upper < 0)
            middle =
                b[i].upper < 0 ? -sqrt(b[i].upper * b[i].lower) : sqrt(b[i].upper * b[i].lower);
        double delta = middle - mean;
        eval_gather(b[i].count * delta * delta, &sum, &lost);
    }
    return (sum + lost) / h->count;
}

static double histogram_value(const map_node *m, eval_worker *w, const tsdb_histogram *h)
{
    switch (m->id) {
    case PROMQL_FN_histogram_count:
        return h->count;
    case PROMQL_FN_histogram_sum:
        return h->sum;
    case PROMQL_FN_histogram_avg:
        return h->sum / h->count;
    case PROMQL_FN_histogram_stdvar:
        return histogram_variance(h, w, &m->node);
    default:
        return sqrt(histogram_variance(h, w, &m->node));
    }
}

/* --- Filling. */

static double argued(const map_node *m, size_t k, double v)
{
    switch (m->id) {
    case PROMQL_FN_clamp:
        if (m->args[1][k] < m->args[0][k])
            return eval_absent();
        return eval_most(m->args[0][k], eval_least(m->args[1][k], v));
    case PROMQL_FN_clamp_max:
        return m->args[0][k] < -INFINITY ? eval_absent()
                                         : eval_most(-INFINITY, eval_least(m->args[0][k], v));
    case PROMQL_FN_clamp_min:
        return eval_most(m->args[0][k], eval_least(INFINITY, v));
    default: { /* round: up where it is half; by the inverse, which loses fewer digits */
        double inverse = 1.0 / (m->args[0] ? m->args[0][k] : 1.0);
        return floor(v * inverse + 0.5) / inverse;
    }
    }
}

static unsigned map_histograms(const map_node *m, eval_worker *w, unsigned have, double *v,
                               const tsdb_histogram **h)
{
    if (!(have & EVAL_HISTOGRAMS))
        return 0;
    for (size_t k = 0; k < m->node.times->steps; k++)
        v[k] = h[k] ? histogram_value(m, w, h[k]) : eval_absent();
    return EVAL_FLOATS;
}

static unsigned map_fill(const eval_node *n, eval_worker *w, size_t i, double *v,
                         const tsdb_histogram **h)
{
    const map_node *m = (const map_node *)(const void *)n;
    unsigned have = m->from->fill(m->from, w, i, v, h);
    size_t steps = n->times->steps;
    if (m->of_histograms)
        return map_histograms(m, w, have, v, h);
    if (m->id == PROMQL_FN_timestamp) { /* of an expression: when it was evaluated */
        for (size_t k = 0; k < steps; k++) {
            bool here = ((have & EVAL_FLOATS) && !eval_is_absent(v[k])) ||
                        ((have & EVAL_HISTOGRAMS) && h[k]);
            v[k] = here ? (double)eval_time(n->times, k) / 1000 : eval_absent();
        }
        return have ? EVAL_FLOATS : 0;
    }
    if (!(have & EVAL_FLOATS))
        return 0;
    for (size_t k = 0; k < steps; k++) {
        if (eval_is_absent(v[k]))
            continue;
        if (m->of)
            v[k] = m->of(v[k]);
        else if (m->of_date)
            v[k] = m->of_date(seconds_of(v[k]));
        else
            v[k] = argued(m, k, v[k]);
    }
    return EVAL_FLOATS;
}

/* hour() and its kin without an argument: of the time of evaluation. */
static unsigned now_fill(const eval_node *n, eval_worker *w, size_t i, double *v,
                         const tsdb_histogram **h)
{
    (void)w;
    (void)i;
    (void)h;
    const map_node *m = (const map_node *)(const void *)n;
    for (size_t k = 0; k < n->times->steps; k++)
        v[k] = m->of_date(eval_time(n->times, k) / 1000);
    return EVAL_FLOATS;
}

/* The selector's own times, passed on. */
static unsigned pass_fill(const eval_node *n, eval_worker *w, size_t i, double *v,
                          const tsdb_histogram **h)
{
    const map_node *m = (const map_node *)(const void *)n;
    return m->from->fill(m->from, w, i, v, h);
}

static unsigned none_fill(const eval_node *n, eval_worker *w, size_t i, double *v,
                          const tsdb_histogram **h)
{
    (void)pass_fill(n, w, i, v, h); /* for its notes */
    return 0;
}

/* --- The node. */

static const struct {
    promql_function_id id;
    double (*of)(double);
} FLOATS[] = {
    {PROMQL_FN_abs, fabs},    {PROMQL_FN_acos, acos},   {PROMQL_FN_acosh, acosh},
    {PROMQL_FN_asin, asin},   {PROMQL_FN_asinh, asinh}, {PROMQL_FN_atan, atan},
    {PROMQL_FN_atanh, atanh}, {PROMQL_FN_ceil, ceil},   {PROMQL_FN_cos, cos},
    {PROMQL_FN_cosh, cosh},   {PROMQL_FN_deg, degrees}, {PROMQL_FN_exp, exp},
    {PROMQL_FN_floor, floor}, {PROMQL_FN_ln, log},      {PROMQL_FN_log10, log10},
    {PROMQL_FN_log2, log2},   {PROMQL_FN_rad, radians}, {PROMQL_FN_sgn, sign},
    {PROMQL_FN_sin, sin},     {PROMQL_FN_sinh, sinh},   {PROMQL_FN_sqrt, sqrt},
    {PROMQL_FN_tan, tan},     {PROMQL_FN_tanh, tanh},
};

static const struct {
    promql_function_id id;
    double (*of)(int64_t);
} DATES[] = {
    {PROMQL_FN_day_of_month, day_of_month},
    {PROMQL_FN_day_of_week, day_of_week},
    {PROMQL_FN_day_of_year, day_of_year},
    {PROMQL_FN_days_in_month, days_in_month},
    {PROMQL_FN_hour, hour_of},
    {PROMQL_FN_minute, minute_of},
    {PROMQL_FN_month, month_of},
    {PROMQL_FN_year, year_of},
};

static bool is_of_histograms(promql_function_id id)
{
    return id == PROMQL_FN_histogram_count || id == PROMQL_FN_histogram_sum ||
           id == PROMQL_FN_histogram_avg || id == PROMQL_FN_histogram_stddev ||
           id == PROMQL_FN_histogram_stdvar;
}

static void find_code(map_node *m)
{
    for (size_t k = 0; k < SX_COUNT_OF(FLOATS); k++) {
        if (FLOATS[k].id == m->id)
            m->of = FLOATS[k].of;
    }
    for (size_t k = 0; k < SX_COUNT_OF(DATES); k++) {
        if (DATES[k].id == m->id)
            m->of_date = DATES[k].of;
    }
    m->of_histograms = is_of_histograms(m->id);
}

static eval_node *build_operand(eval_run *run, map_node *m, const eval_times *times)
{
    const promql_expr *arg = eval_bare(m->node.expr->call.args[0]);
    if (arg->kind == PROMQL_SELECTOR && m->id == PROMQL_FN_timestamp)
        return eval_selector(run, arg, times, EVAL_TIMESTAMPS);
    if (arg->kind == PROMQL_SELECTOR && m->id == PROMQL_FN_start_timestamp &&
        (run->options.features & PROMQL_START_TIMESTAMPS))
        return eval_selector(run, arg, times, EVAL_STARTS);
    return eval_build(run, arg, times);
}

eval_node *eval_map_call(eval_run *run, const promql_expr *e, const eval_times *times)
{
    map_node *m = eval_node_new(run, sizeof *m, e, times);
    if (!m)
        return NULL;
    m->id = (promql_function_id)e->call.function->id;
    find_code(m);
    if (e->call.arg_count == 0) {
        m->node.count = 1;
        m->node.labels = eval_zero(run, 1, sizeof *m->node.labels);
        m->node.distinct = true;
        m->node.fill = now_fill;
        return m->node.labels ? &m->node : NULL;
    }
    for (uint32_t k = 1; k < e->call.arg_count && k <= SX_COUNT_OF(m->args); k++) {
        const eval_node *s = eval_scalar(run, e->call.args[k], times);
        if (!s)
            return NULL;
        m->args[k - 1] = s->scalar;
    }
    m->from = build_operand(run, m, times);
    if (!m->from || !eval_drop_names(run, &m->node, m->from))
        return NULL;
    bool selector = eval_bare(e->call.args[0])->kind == PROMQL_SELECTOR;
    m->node.fill = map_fill;
    if (m->id == PROMQL_FN_start_timestamp)
        m->node.fill =
            selector && (run->options.features & PROMQL_START_TIMESTAMPS) ? pass_fill : none_fill;
    else if (m->id == PROMQL_FN_timestamp && selector)
        m->node.fill = pass_fill;
    return run->delayed_names ? &m->node : eval_unique(run, &m->node, false);
}

/* --- -v */

static unsigned negate_fill(const eval_node *n, eval_worker *w, size_t i, double *v,
                            const tsdb_histogram **h)
{
    const map_node *m = (const map_node *)(const void *)n;
    unsigned have = m->from->fill(m->from, w, i, v, h);
    for (size_t k = 0; (have & EVAL_FLOATS) && k < n->times->steps; k++) {
        if (!eval_is_absent(v[k]))
            v[k] = -v[k];
    }
    for (size_t k = 0; (have & EVAL_HISTOGRAMS) && k < n->times->steps; k++) {
        if (!h[k])
            continue;
        tsdb_histogram *to = sx_arena_alloc(&w->scratch, sizeof *to);
        if (!to || tsdb_histogram_scale(h[k], -1, &w->scratch, to, NULL) != SX_OK) {
            eval_no_memory(w->run);
            return 0;
        }
        h[k] = to;
    }
    return have;
}

eval_node *eval_negate(eval_run *run, const promql_expr *e, const eval_times *times)
{
    map_node *m = eval_node_new(run, sizeof *m, e, times);
    if (!m || !(m->from = eval_build(run, e->unary.expr, times)) ||
        !eval_drop_names(run, &m->node, m->from))
        return NULL;
    m->node.fill = negate_fill;
    return run->delayed_names ? &m->node : eval_unique(run, &m->node, false);
}
