/* eval_range_hist.c - functions over range vectors for series that hold native histograms, alone or
 * among floats. */
#include <math.h>
#include <string.h>

#include "observe/promql/eval_range.h"

/* A window over both kinds: histograms hfrom..hto-1 beside the floats. */
typedef struct mixed_window {
    range_window floats;
    size_t hfrom, hto;
} mixed_window;

/* One step of one series. */
typedef struct mixed_step {
    const eval_range_node *n;
    eval_worker *w;
    const eval_points *p;
    size_t series;
    mixed_window win;
    double v;
    const tsdb_histogram *h;
} mixed_step;

static void slide(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t step,
                  mixed_window *win)
{
    bool extended = n->range.anchored || n->range.smoothed;
    int64_t before = extended ? w->run->lookback_ms : 0;
    int64_t after = n->range.smoothed ? w->run->lookback_ms : 0;
    range_window *f = &win->floats;
    f->end = eval_range_end(&n->range, n->node.times, step);
    f->start = f->end - n->range.range_ms;
    while (f->to < p->count && p->t[f->to] <= f->end + after)
        f->to++;
    while (f->from < f->to && p->t[f->from] <= f->start - before)
        f->from++;
    while (win->hto < p->hcount && p->ht[win->hto] <= f->end + after)
        win->hto++;
    while (win->hfrom < win->hto && p->ht[win->hfrom] <= f->start - before)
        win->hfrom++;
}

static void note(const mixed_step *s, eval_note_kind kind)
{
    eval_note_add(s->w, &s->n->node, s->n->arg, kind, range_name(s->n, s->series), (sx_str){0});
}

static bool is_custom(const tsdb_histogram *h)
{
    return h->schema == TSDB_SCHEMA_CUSTOM;
}

/* to = a + b or a - b; false: no result (the reason is noted). Conflicting reset hints are expected
 * here, resets being looked for one by one. */
static bool combine(const mixed_step *s, bool add, const tsdb_histogram *a, const tsdb_histogram *b,
                    tsdb_histogram *to)
{
    unsigned notes = 0;
    sx_status status = add ? tsdb_histogram_add(a, b, &s->w->scratch, to, &notes, NULL)
                           : tsdb_histogram_sub(a, b, &s->w->scratch, to, &notes, NULL);
    if (status != SX_OK)
        return eval_no_memory(s->w->run) != NULL;
    notes &= ~(unsigned)TSDB_HISTOGRAM_RESETS_COLLIDE;
    if (notes)
        eval_note_arithmetic(s->w, &s->n->node, s->n->arg, notes, add ? "addition" : "subtraction",
                             range_name(s->n, s->series));
    return !(notes & TSDB_HISTOGRAM_INCOMPATIBLE);
}

static tsdb_histogram *fresh(const mixed_step *s)
{
    tsdb_histogram *h = sx_arena_alloc(&s->w->scratch, sizeof *h);
    return h ? h : eval_no_memory(s->w->run);
}

static bool scale(const mixed_step *s, const tsdb_histogram *h, double by, bool divide,
                  tsdb_histogram *to)
{
    sx_status status = divide ? tsdb_histogram_divide(h, by, &s->w->scratch, to, NULL)
                              : tsdb_histogram_scale(h, by, &s->w->scratch, to, NULL);
    return status == SX_OK || eval_no_memory(s->w->run);
}

/* --- rate, increase, delta. */

/* The least schema of those that count, and whether they go together. */
static bool common_schema(const mixed_step *s, const tsdb_histogram *const *h, size_t count,
                          const tsdb_histogram *first, int32_t *schema)
{
    const tsdb_histogram *last = h[count - 1];
    if (is_custom(last) != is_custom(first)) {
        note(s, EVAL_NOTE_MIXED_SCHEMAS);
        return false;
    }
    *schema = last->schema < first->schema ? last->schema : first->schema;
    for (size_t k = 1; s->n->counter && k + 1 < count; k++) {
        if (h[k]->reset == TSDB_RESET_GAUGE)
            note(s, EVAL_NOTE_NOT_COUNTER);
        if (is_custom(h[k]) != is_custom(first)) {
            note(s, EVAL_NOTE_MIXED_SCHEMAS);
            return false;
        }
        if (h[k]->schema < *schema)
            *schema = h[k]->schema;
    }
    return true;
}

/* Whether sample k of the series tells by its start timestamp that the counter began anew. */
static bool start_reset(const mixed_step *s, size_t k)
{
    const eval_points *p = s->p;
    return s->n->starts && p->hst &&
           range_start_reset(p->hst[k - 1], p->ht[k - 1], p->hst[k], p->ht[k]);
}

/* What the histograms rose by, resets taken into account. */
static bool histogram_rise(const mixed_step *s, const tsdb_histogram *const *h, size_t count,
                           tsdb_histogram *out)
{
    size_t at = s->win.hfrom;
    const tsdb_histogram *first = h[0], *last = h[count - 1];
    tsdb_histogram zero = {0};
    bool gauges = first->reset == TSDB_RESET_GAUGE, counter = s->n->counter;
    int32_t schema;
    if (counter && (gauges || last->reset == TSDB_RESET_GAUGE))
        note(s, EVAL_NOTE_NOT_COUNTER);
    if (counter && (start_reset(s, at + 1) || tsdb_histogram_reset_between(first, h[1]))) {
        /* The first is not looked at then: its layout need not fit. */
        zero.schema = h[1]->schema;
        zero.bounds = h[1]->bounds;
        zero.bound_count = h[1]->bound_count;
        first = &zero;
    }
    if (!common_schema(s, h, count, first, &schema))
        return false;
    tsdb_histogram rise = *last;
    if (!is_custom(last) && schema < last->schema &&
        tsdb_histogram_reduce(last, schema, &s->w->scratch, &rise, NULL) != SX_OK)
        return eval_no_memory(s->w->run) != NULL;
    if (!combine(s, false, &rise, first, &rise))
        return false;
    const tsdb_histogram *before = first;
    for (size_t k = 1; counter && k < count; k++) {
        if (s->n->starts && s->p->hst && s->p->hst[at + k] != 0 &&
            s->p->hst[at + k] < s->p->ht[at + k - 1] && s->p->hst[at + k] != s->p->hst[at + k - 1])
            note(s, EVAL_NOTE_START_OVERLAP);
        if ((start_reset(s, at + k) || tsdb_histogram_reset_between(before, h[k])) &&
            !combine(s, true, &rise, before, &rise))
            return false;
        before = h[k];
    }
    if (!counter && !(gauges && last->reset == TSDB_RESET_GAUGE))
        note(s, EVAL_NOTE_NOT_GAUGE);
    rise.reset = TSDB_RESET_GAUGE;
    *out = rise;
    return true;
}

static bool step_rate(mixed_step *s)
{
    const mixed_window *win = &s->win;
    size_t count = win->hto - win->hfrom;
    if (count > 0 && win->floats.to > win->floats.from) {
        note(s, EVAL_NOTE_MIXED);
        return false;
    }
    if (count == 0) { /* floats alone in this window: the slow way, sample by sample */
        const eval_points *p = s->p;
        size_t from = win->floats.from, to = win->floats.to;
        if (to - from < 2)
            return false;
        double rise = p->v[to - 1] - p->v[from];
        for (size_t k = from + 1; s->n->counter && k < to; k++)
            rise += p->v[k] < p->v[k - 1] ? p->v[k - 1] : 0;
        s->v = rise * range_extrapolate(s->n, &win->floats, p->t[from], p->t[to - 1], to - from,
                                        p->v[from], rise, false, 0);
        return true;
    }
    const tsdb_histogram *const *h = s->p->h + win->hfrom;
    int64_t first_t = s->p->ht[win->hfrom];
    int64_t start = s->n->starts && s->n->counter && s->p->hst ? s->p->hst[win->hfrom] : 0;
    bool begun = start != 0 && start > win->floats.start && start < first_t;
    tsdb_histogram *rise = count > 1 || begun ? fresh(s) : NULL;
    if (!rise || (count > 1 && !histogram_rise(s, h, count, rise)))
        return false;
    double rose = count > 1 ? rise->count : 0;
    if (count == 1)
        *rise = *h[0];
    else if (begun && !combine(s, true, rise, h[0], rise))
        return false;
    double factor = range_extrapolate(s->n, &win->floats, first_t, s->p->ht[win->hto - 1], count,
                                      h[0]->count, rose, begun, start);
    s->h = rise;
    return scale(s, rise, factor, false, rise);
}

/* --- irate, idelta. */

static bool step_last_two(mixed_step *s)
{
    const eval_points *p = s->p;
    const tsdb_histogram *h[2] = {NULL, NULL}; /* newest first */
    int64_t t[2], st[2] = {0, 0};
    double v[2] = {0, 0};
    size_t i = s->win.floats.to, k = s->win.hto;
    for (int at = 0; at < 2; at++) {
        bool more_floats = i > s->win.floats.from, more_histograms = k > s->win.hfrom;
        if (!more_floats && !more_histograms)
            return false;
        if (more_histograms && (!more_floats || p->ht[k - 1] > p->t[i - 1])) {
            t[at] = p->ht[--k];
            h[at] = p->h[k];
            st[at] = p->hst ? p->hst[k] : 0;
        } else {
            t[at] = p->t[--i];
            v[at] = p->v[i];
            st[at] = p->st ? p->st[i] : 0;
        }
    }
    double seconds = (double)(t[0] - t[1]) / 1000;
    bool counter = s->n->counter;
    bool begun = s->n->starts && range_start_reset(st[1], t[1], st[0], t[0]);
    if (t[0] == t[1])
        return false;
    if (!h[0] != !h[1]) {
        note(s, EVAL_NOTE_MIXED);
        return false;
    }
    if (!h[0]) {
        double rise = counter && (begun || v[0] < v[1]) ? v[0] : v[0] - v[1];
        s->v = counter ? rise / seconds : rise;
        return true;
    }
    bool gauges = h[0]->reset == TSDB_RESET_GAUGE && h[1]->reset == TSDB_RESET_GAUGE;
    bool some = h[0]->reset == TSDB_RESET_GAUGE || h[1]->reset == TSDB_RESET_GAUGE;
    if (counter && some)
        note(s, EVAL_NOTE_NOT_COUNTER);
    if (!counter && !gauges)
        note(s, EVAL_NOTE_NOT_GAUGE);
    tsdb_histogram *to = fresh(s);
    if (!to)
        return false;
    *to = *h[0];
    if ((!counter || (!begun && !tsdb_histogram_reset_between(h[1], h[0]))) &&
        !combine(s, false, h[0], h[1], to))
        return false;
    s->h = to;
    if (!scale(s, to, counter ? seconds : 1, true, to))
        return false;
    to->reset = TSDB_RESET_GAUGE;
    return true;
}

/* --- resets, changes. */

static bool event_between(const mixed_step *s, const tsdb_histogram *a, double x,
                          const tsdb_histogram *b, double y)
{
    bool resets = s->n->id == PROMQL_FN_resets;
    if (!a != !b)
        return true;
    if (a)
        return resets ? tsdb_histogram_reset_between(a, b) : !tsdb_histogram_equal(a, b);
    return resets ? y < x : x != y && !(isnan(x) && isnan(y));
}

/* `anchored`: what comes before the last sample at or before the window's start does not count. */
static bool skip_to_anchor(const mixed_step *s, size_t *i, size_t *k)
{
    const eval_points *p = s->p;
    int64_t start = s->win.floats.start;
    size_t f = *i, h = *k;
    while (f < s->win.floats.to && p->t[f] <= start)
        f++;
    while (h < s->win.hto && p->ht[h] <= start)
        h++;
    if (f == s->win.floats.to && h == s->win.hto)
        return false;
    bool has_f = f > *i, has_h = h > *k;
    bool float_anchor = has_f && (!has_h || p->t[f - 1] >= p->ht[h - 1]);
    *i = f - float_anchor;
    *k = h - (has_h && !float_anchor);
    return true;
}

static bool step_counted(mixed_step *s)
{
    const eval_points *p = s->p;
    size_t i = s->win.floats.from, k = s->win.hfrom;
    const tsdb_histogram *before = NULL;
    double before_v = 0, events = 0;
    int64_t before_t = 0, before_st = 0;
    bool first = true, starts = s->n->starts;
    if (s->n->range.anchored && !skip_to_anchor(s, &i, &k))
        return false;
    while (i < s->win.floats.to || k < s->win.hto) {
        const tsdb_histogram *h = NULL;
        double v = 0;
        int64_t t, st;
        if (k == s->win.hto || (i < s->win.floats.to && p->t[i] < p->ht[k])) {
            t = p->t[i];
            st = p->st ? p->st[i] : 0;
            v = p->v[i++];
        } else {
            t = p->ht[k];
            st = p->hst ? p->hst[k] : 0;
            h = p->h[k++];
        }
        events += !first && (event_between(s, before, before_v, h, v) ||
                             (starts && range_start_reset(before_st, before_t, st, t)));
        first = false;
        before_t = t;
        before_st = st;
        before = h;
        before_v = v;
    }
    s->v = events;
    return !first;
}

/* --- One sample. */

static bool step_one(mixed_step *s)
{
    const eval_points *p = s->p;
    const range_window *f = &s->win.floats;
    bool floats = f->to > f->from, histograms = s->win.hto > s->win.hfrom;
    if (!floats && !histograms)
        return false;
    bool first =
        s->n->id == PROMQL_FN_first_over_time || s->n->id == PROMQL_FN_ts_of_first_over_time;
    int64_t ft = floats ? p->t[first ? f->from : f->to - 1] : 0;
    int64_t ht = histograms ? p->ht[first ? s->win.hfrom : s->win.hto - 1] : 0;
    bool use_float = floats && (!histograms || (first ? ft < ht : ft > ht));
    switch (s->n->id) {
    case PROMQL_FN_first_over_time:
    case PROMQL_FN_last_over_time:
        if (use_float)
            s->v = p->v[first ? f->from : f->to - 1];
        else
            s->h = p->h[first ? s->win.hfrom : s->win.hto - 1];
        return true;
    case PROMQL_FN_ts_of_first_over_time:
    case PROMQL_FN_ts_of_last_over_time:
        s->v = (double)(use_float ? ft : ht) / 1000;
        return true;
    case PROMQL_FN_count_over_time:
        s->v = (double)(f->to - f->from + s->win.hto - s->win.hfrom);
        return true;
    default:
        s->v = 1;
        return true;
    }
}

/* --- sum and avg. */

static bool step_sum(mixed_step *s)
{
    const range_window *f = &s->win.floats;
    size_t count = s->win.hto - s->win.hfrom;
    bool average = s->n->id == PROMQL_FN_avg_over_time;
    sx_arena *arena = &s->w->scratch;
    if (count == 0)
        return false; /* floats alone were done before */
    if (f->to > f->from) {
        note(s, EVAL_NOTE_MIXED);
        return false;
    }
    const tsdb_histogram *const *h = s->p->h + s->win.hfrom;
    tsdb_histogram_sum sum;
    unsigned notes = 0;
    sx_status status = tsdb_histogram_sum_start(&sum, h[0], arena, NULL);
    for (size_t k = 1; status == SX_OK && k < count; k++) {
        status = tsdb_histogram_sum_add(&sum, h[k], average, arena, arena, &notes, NULL);
        if (notes & TSDB_HISTOGRAM_INCOMPATIBLE) {
            note(s, EVAL_NOTE_MIXED_SCHEMAS);
            return false;
        }
    }
    tsdb_histogram *to = fresh(s);
    if (status == SX_OK && to)
        status = tsdb_histogram_sum_end(&sum, average, arena, to, &notes, NULL);
    if (status != SX_OK || !to)
        return eval_no_memory(s->w->run) != NULL;
    eval_note_arithmetic(s->w, &s->n->node, s->n->arg, notes, "aggregation",
                         range_name(s->n, s->series));
    s->h = to;
    return true;
}

/* --- rates with `anchored` and `smoothed`. */

static const tsdb_histogram *interpolate(const mixed_step *s, size_t a, size_t b, int64_t t)
{
    const tsdb_histogram *x = s->p->h[a], *y = s->p->h[b];
    double share = (double)(t - s->p->ht[a]) / (double)(s->p->ht[b] - s->p->ht[a]);
    tsdb_histogram *to = fresh(s), part;
    if (!to)
        return NULL;
    if (s->n->counter && tsdb_histogram_reset_between(x, y))
        return scale(s, y, share, false, to) ? to : NULL;
    if (!combine(s, false, y, x, &part) || !scale(s, &part, share, false, &part) ||
        !combine(s, true, &part, x, to))
        return NULL;
    to->reset = y->reset;
    return to;
}

static bool correct_resets(const mixed_step *s, size_t first, size_t last,
                           const tsdb_histogram *left, const tsdb_histogram *right,
                           tsdb_histogram *result)
{
    const eval_points *p = s->p;
    const tsdb_histogram *before = left;
    size_t from = first + 1;
    if (s->n->range.smoothed && p->ht[first] < s->win.floats.start && first + 1 < s->win.hto &&
        tsdb_histogram_reset_between(p->h[first], p->h[first + 1])) {
        before = p->h[first + 1]; /* the left end has seen this reset already */
        from++;
    }
    if (from > last)
        return true;
    for (size_t k = from; k <= last; k++) { /* the last is the right end, maybe between samples */
        const tsdb_histogram *now = k == last ? right : p->h[k];
        if (tsdb_histogram_reset_between(before, now) && !combine(s, true, result, before, result))
            return false;
        before = now;
    }
    return true;
}

static bool step_extended(mixed_step *s)
{
    const eval_points *p = s->p;
    const eval_range_node *n = s->n;
    size_t from = s->win.hfrom, to = s->win.hto, first = from, last = to - 1;
    int64_t start = s->win.floats.start, end = s->win.floats.end;
    if (from == to)
        return false;
    if (s->win.floats.to > s->win.floats.from) {
        note(s, EVAL_NOTE_MIXED);
        return false;
    }
    while (first < to - 1 && p->ht[first] <= start)
        first++;
    first = first > from ? first - 1 : from;
    if (n->range.smoothed) {
        last = from;
        while (last < to - 1 && p->ht[last] < end)
            last++;
    }
    if (p->ht[last] <= start || (n->range.smoothed && p->ht[first] > end))
        return false;
    for (size_t k = first; k <= last; k++) {
        if (is_custom(p->h[k]) != is_custom(p->h[first])) {
            note(s, EVAL_NOTE_MIXED_SCHEMAS);
            return false;
        }
        if (n->counter && p->h[k]->reset == TSDB_RESET_GAUGE)
            note(s, EVAL_NOTE_NOT_COUNTER);
    }
    const tsdb_histogram *left = p->h[first], *right = p->h[last];
    if (n->range.smoothed && p->ht[first] < start && first + 1 < to)
        left = interpolate(s, first, first + 1, start);
    if (left && n->range.smoothed && last > from && p->ht[last] > end)
        right = interpolate(s, last - 1, last, end);
    tsdb_histogram *result = fresh(s);
    if (!left || !right || !result)
        return false;
    if (!n->counter && !(left->reset == TSDB_RESET_GAUGE && right->reset == TSDB_RESET_GAUGE))
        note(s, EVAL_NOTE_NOT_GAUGE);
    if (!combine(s, false, right, left, result) ||
        (n->counter && !correct_resets(s, first, last, left, right, result)))
        return false;
    if (n->per_second && !scale(s, result, (double)n->range.range_ms / 1000, true, result))
        return false;
    result->reset = TSDB_RESET_GAUGE;
    s->h = result;
    return true;
}

/* --- All. */

/* NULL: the function takes the floats alone. */
static bool (*step_for(const eval_range_node *n))(mixed_step *s)
{
    switch (n->id) {
    case PROMQL_FN_rate:
    case PROMQL_FN_increase:
    case PROMQL_FN_delta:
        return n->range.anchored || n->range.smoothed ? step_extended : step_rate;
    case PROMQL_FN_irate:
    case PROMQL_FN_idelta:
        return step_last_two;
    case PROMQL_FN_resets:
    case PROMQL_FN_changes:
        return step_counted;
    case PROMQL_FN_sum_over_time:
    case PROMQL_FN_avg_over_time:
        return step_sum;
    case PROMQL_FN_first_over_time:
    case PROMQL_FN_last_over_time:
    case PROMQL_FN_ts_of_first_over_time:
    case PROMQL_FN_ts_of_last_over_time:
    case PROMQL_FN_count_over_time:
    case PROMQL_FN_present_over_time:
    case PROMQL_FN_absent_over_time:
        return step_one;
    default:
        return NULL;
    }
}

static uint64_t weight(const eval_points *p, const mixed_window *win)
{
    uint64_t samples = win->floats.to - win->floats.from;
    for (size_t k = win->hfrom; k < win->hto; k++)
        samples += (uint64_t)eval_histogram_samples(p->h[k]);
    return samples;
}

bool eval_range_histograms(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                           double *v, const tsdb_histogram **h, unsigned *have)
{
    bool (*step)(mixed_step *) = step_for(n);
    bool keeps_floats = !step || step == step_sum || step == step_extended;
    eval_points floats = {.t = p->t, .v = p->v, .st = p->st, .count = p->count};
    size_t steps = n->node.times->steps, found = 0;
    if (keeps_floats && p->count > 0)
        found = n->floats(n, w, &floats, i, v);
    if (!found) {
        for (size_t k = 0; k < steps; k++)
            v[k] = eval_absent();
    }
    mixed_step s = {.n = n, .w = w, .p = p, .series = i};
    for (size_t k = 0; k < steps; k++) {
        slide(n, w, p, k, &s.win);
        size_t float_count = s.win.floats.to - s.win.floats.from;
        bool histograms = s.win.hto > s.win.hfrom;
        h[k] = NULL;
        if (histograms && float_count > 0 && !step)
            note(&s, EVAL_NOTE_IGNORED_RANGE);
        if (!step || (keeps_floats && !histograms))
            continue;
        eval_count_samples(&n->node, w, k, weight(p, &s.win));
        s.v = eval_absent();
        s.h = NULL;
        bool ok = step(&s);
        v[k] = ok && !s.h ? s.v : eval_absent();
        h[k] = ok ? s.h : NULL;
        found += ok;
    }
    *have = found ? EVAL_FLOATS | EVAL_HISTOGRAMS : 0;
    return found > 0;
}
