/* metrics.c - the registry: metrics and series are made and found again.
 *
 * None of this is on a hot path: a program registers at its start and resolves labels once. A lock
 * guards the lists; the cells themselves (cells.c) need none. */
#include "telemetry/store.h"

#include <math.h>

#include <sextant/mem.h>

#include "telemetry/metric_names.h"
#include "telemetry/native_histogram.h"
#include "telemetry/summary.h"

static const double DEFAULT_BOUNDS[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

/* No name may be shown twice, whatever the format: "a.b" and a_b are one to who cannot read dots, and
 * OpenMetrics drops a counter's _total. */
static sx_status check_collisions(const sx_metrics *m, const sx_metric *asked, sx_error *err)
{
    for (size_t i = 0; i < m->metric_count; i++)
        if (sx_metric_names_collide(m->metric[i], asked))
            return sx_fail(err, SX_EEXIST,
                           "metrics %.*s and %.*s would show the same name (as it is, escaped, or "
                           "with an ending such as _count); rename one",
                           SX_ARG(asked->name), SX_ARG(m->metric[i]->name));
    return SX_OK;
}

/* ---- series; registry->lock is held ---- */

size_t sx_metric_cells(const sx_metric *metric)
{
    switch (metric->kind) {
    case SX_METRIC_HISTOGRAM:
        return metric->bounds.count + 2 + (metric->native.on ? SX_NATIVE_CELLS : 0);
    case SX_METRIC_COUNTER:
        return 2;
    default:
        return 1;
    }
}

/* Takes `count` cells in each stripe; the address in stripe 0, or NULL. */
static uint64_t *take_cells(sx_metrics *m, size_t count)
{
    sx_slab *slab = m->slabs;
    if (!slab || slab->used + count > SX_STRIPE_CELLS) {
        size_t bytes = (size_t)SX_STRIPES * SX_STRIPE_CELLS * sizeof(uint64_t) + 64;
        slab = (sx_slab *)sx_calloc(1, sizeof(*slab) + bytes);
        if (!slab)
            return NULL;
        slab->next = m->slabs;
        m->slabs = slab;
    }
    uintptr_t aligned = ((uintptr_t)slab->cells + 63) & ~(uintptr_t)63; /* a cache line */
    uint64_t *cells = (uint64_t *)aligned + slab->used;
    slab->used += count;
    return cells;
}

static sx_series *make_series(sx_metric *metric, sx_str labels)
{
    sx_metrics *m = metric->registry;
    sx_series *s = (sx_series *)sx_arena_alloc(&m->arena, sizeof(*s));
    sx_str copy = sx_arena_copy(&m->arena, labels);
    uint64_t *cells = s && copy.data ? take_cells(m, sx_metric_cells(metric)) : NULL;
    if (!cells)
        return NULL;
    *s = (sx_series){
        .cells = cells, .metric = metric, .labels = copy, .created_ns = sx_clock_ns(m->clock)};
    if (metric->kind == SX_METRIC_SUMMARY)
        cells[0] = (uint64_t)(uintptr_t)sx_window_new(&metric->summary, m->clock);
    return metric->kind == SX_METRIC_SUMMARY && !cells[0] ? NULL : s;
}

static void free_window(const sx_series *s)
{
    if (s->metric->kind == SX_METRIC_SUMMARY)
        sx_window_free(sx_series_window(s));
}

static bool list_series(sx_metric *metric, sx_series *s)
{
    if (!sx_grow(&metric->series, &metric->series_cap, metric->series_count + 1,
                 sizeof(*metric->series)))
        return false;
    metric->series[metric->series_count++] = s;
    return true;
}

/* The series of what is folded; a value that is really "other" lands in it too. */
static sx_series *use_other(sx_metric *metric)
{
    /* Without memory for the list it counts but is not shown until the next use. */
    if (!metric->other_used && list_series(metric, metric->other))
        metric->other_used = true;
    return metric->other;
}

static sx_series *find_or_make(sx_metric *metric, const sx_str *values);

static sx_series *fold(sx_metric *metric)
{
    sx_metric *total = metric->registry->folded_total;
    if (!metric->folded && metric != total)
        metric->folded = SX_CONTAINER_OF(find_or_make(total, &metric->name), sx_counter, series);
    if (metric->folded)
        sx_counter_add(metric->folded, 1);
    return use_other(metric);
}

static sx_series *find_or_make(sx_metric *metric, const sx_str *values)
{
    sx_buf *text = &metric->registry->scratch;
    sx_buf_clear(text);
    sx_labels_render(text, metric->labels, values, metric->label_count);
    if (text->failed)
        return fold(metric);
    sx_str labels = sx_buf_view(text);
    sx_series *there = (sx_series *)sx_map_get(&metric->by_labels, labels);
    if (there)
        return there == metric->other ? use_other(metric) : there;
    if (metric->series_count - metric->other_used >= metric->series_max ||
        !sx_map_reserve(&metric->by_labels, sx_map_count(&metric->by_labels) + 1))
        return fold(metric);
    sx_series *made = make_series(metric, labels);
    if (made && !list_series(metric, made)) {
        free_window(made);
        made = NULL;
    }
    if (!made)
        return fold(metric);
    sx_map_entry *entry = sx_map_put(&metric->by_labels, made->labels, NULL);
    sx_assert(entry); /* the room was made above */
    entry->ptr = made;
    return made;
}

static sx_series *resolve(sx_metric *metric, sx_metric_kind kind, const sx_str *values,
                          size_t count)
{
    sx_assert(metric->kind == kind && metric->label_count == count && !metric->collect);
    if (count == 0)
        return metric->other; /* made with the metric, so that it shows 0 from the start */
    pthread_mutex_lock(&metric->registry->lock);
    sx_series *s = find_or_make(metric, values);
    pthread_mutex_unlock(&metric->registry->lock);
    return s;
}

sx_counter *sx_metric_counter(sx_metric *metric, const sx_str *values, size_t count)
{
    return SX_CONTAINER_OF(resolve(metric, SX_METRIC_COUNTER, values, count), sx_counter, series);
}

sx_gauge *sx_metric_gauge(sx_metric *metric, const sx_str *values, size_t count)
{
    return SX_CONTAINER_OF(resolve(metric, SX_METRIC_GAUGE, values, count), sx_gauge, series);
}

sx_histogram *sx_metric_histogram(sx_metric *metric, const sx_str *values, size_t count)
{
    return SX_CONTAINER_OF(resolve(metric, SX_METRIC_HISTOGRAM, values, count), sx_histogram,
                           series);
}

sx_summary *sx_metric_summary(sx_metric *metric, const sx_str *values, size_t count)
{
    return SX_CONTAINER_OF(resolve(metric, SX_METRIC_SUMMARY, values, count), sx_summary, series);
}

sx_stateset *sx_metric_stateset(sx_metric *metric, const sx_str *values, size_t count)
{
    return SX_CONTAINER_OF(resolve(metric, SX_METRIC_STATESET, values, count), sx_stateset, series);
}

sx_info *sx_metric_info(sx_metric *metric, const sx_str *values, size_t count)
{
    sx_info *info =
        SX_CONTAINER_OF(resolve(metric, SX_METRIC_INFO, values, count), sx_info, series);
    sx_info_set(info);
    return info;
}

/* ---- metrics ---- */

/* Where `name` is or belongs in the list, which is in order. */
static size_t place_of(const sx_metrics *m, sx_str name, bool *found)
{
    size_t low = 0, high = m->metric_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sx_str_cmp(m->metric[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < m->metric_count && sx_str_eq(m->metric[low]->name, name);
    return low;
}

static bool same_texts(const sx_str *a, const sx_str *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!sx_str_eq(a[i], b[i]))
            return false;
    return true;
}

static bool same_native(const sx_native *a, const sx_native *b)
{
    return a->on == b->on && a->schema == b->schema && a->zero_bits == b->zero_bits &&
           a->buckets_max == b->buckets_max;
}

static bool same_summary(const sx_summary_shape *a, const sx_summary_shape *b)
{
    if (a->count != b->count || a->age_ms != b->age_ms || a->age_buckets != b->age_buckets)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (a->quantiles[i].quantile != b->quantiles[i].quantile ||
            a->quantiles[i].error != b->quantiles[i].error)
            return false;
    return true;
}

/* The metric that is there answers for the one that is asked for, or not. */
static sx_status match_existing(const sx_metric *there, const sx_metric *asked, sx_error *err)
{
    const char *differs = NULL;
    if (there->kind != asked->kind)
        differs = "kind";
    else if (there->label_count != asked->label_count)
        differs = "number of labels";
    else if (!sx_str_eq(there->help, asked->help))
        differs = "help text";
    else if (there->bounds.count != asked->bounds.count ||
             (there->bounds.count > 0 && memcmp(there->bounds.upper, asked->bounds.upper,
                                                there->bounds.count * sizeof(double)) != 0))
        differs = "bounds";
    else if (there->collect != asked->collect || there->collect_ctx != asked->collect_ctx)
        differs = "collect function";
    else if (!same_native(&there->native, &asked->native))
        differs = "native buckets";
    else if (!same_summary(&there->summary, &asked->summary))
        differs = "quantiles or window";
    else if (!sx_str_eq(there->unit, asked->unit))
        differs = "unit";
    else if (there->state_count != asked->state_count ||
             !same_texts(there->states, asked->states, there->state_count))
        differs = "set of states";
    else if (!same_texts(there->labels, asked->labels, there->label_count))
        differs = "label names";
    if (!differs)
        return SX_OK;
    return sx_fail(err, SX_EEXIST, "metric %.*s is registered already, with another %s",
                   SX_ARG(there->name), differs);
}

static bool fill_metric(sx_arena *arena, const sx_metric_options *o, sx_metric *metric)
{
    *metric = (sx_metric){.registry = metric->registry,
                          .kind = o->kind,
                          .collect = o->collect,
                          .collect_ctx = o->collect_ctx};
    if (!sx_metric_spell(arena, &metric->registry->scratch, o, metric))
        return false;
    if (metric->kind == SX_METRIC_SUMMARY)
        return sx_summary_prepare(arena, &metric->summary, o);
    if (metric->kind != SX_METRIC_HISTOGRAM)
        return true;
    if (o->native)
        sx_native_prepare(&metric->native, o);
    const double *from = o->bounds ? o->bounds : DEFAULT_BOUNDS;
    size_t count = o->bounds   ? o->bound_count
                   : o->native ? 0 /* no classic buckets */
                               : SX_COUNT_OF(DEFAULT_BOUNDS);
    double *upper = (double *)sx_arena_alloc(arena, (count + 1) * sizeof(*upper));
    if (!upper)
        return false;
    memcpy(upper, from, count * sizeof(*upper));
    upper[count] = INFINITY;
    metric->bounds = (sx_bounds){.count = count, .upper = upper};
    return sx_bounds_prepare(arena, &metric->bounds);
}

/* The series without labels, or the one that is folded into. */
static bool make_first_series(sx_metric *metric)
{
    if (metric->collect)
        return true;
    sx_str others[SX_METRIC_LABELS_MAX];
    for (size_t i = 0; i < metric->label_count; i++)
        others[i] = SX_STR("other");
    sx_buf *text = &metric->registry->scratch;
    sx_buf_clear(text);
    sx_labels_render(text, metric->labels, others, metric->label_count);
    if (text->failed)
        return false;
    metric->other = make_series(metric, sx_buf_view(text));
    if (!metric->other)
        return false;
    sx_map_entry *entry = NULL;
    bool listed = metric->label_count == 0 && list_series(metric, metric->other);
    if (metric->label_count == 0)
        metric->other_used = true;
    else
        entry = sx_map_put(&metric->by_labels, metric->other->labels, NULL);
    if (entry)
        entry->ptr = metric->other;
    else if (!listed)
        free_window(metric->other);
    return entry || listed;
}

/* What is asked for again is made in memory of its own, compared and forgotten: a program may ask at
 * every request. */
static sx_status ask_again(sx_metric *there, const sx_metric_options *o, sx_error *err)
{
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_metric asked = {.registry = there->registry};
    sx_status status = fill_metric(&arena, o, &asked) ? match_existing(there, &asked, err)
                                                      : sx_fail_memory(err, o->name);
    sx_arena_done(&arena);
    return status;
}

static sx_status add_metric(sx_metrics *m, const sx_metric_options *o, sx_metric **out,
                            sx_error *err)
{
    bool found;
    size_t at = place_of(m, sx_str_z(o->name), &found);
    if (found) {
        *out = m->metric[at];
        return ask_again(*out, o, err);
    }
    sx_metric *metric = (sx_metric *)sx_arena_calloc(&m->arena, 1, sizeof(*metric));
    if (!metric)
        return sx_fail_memory(err, "a metric");
    metric->registry = m;
    if (!fill_metric(&m->arena, o, metric))
        return sx_fail_memory(err, o->name);
    metric->series_max = o->series_max ? o->series_max : m->series_max;
    sx_status status = check_collisions(m, metric, err);
    if (status)
        return status;
    sx_map_init(&metric->by_labels, NULL);
    if (!sx_grow(&m->metric, &m->metric_cap, m->metric_count + 1, sizeof(*m->metric)) ||
        !make_first_series(metric)) {
        sx_free(metric->series);
        sx_map_done(&metric->by_labels);
        return sx_fail_memory(err, o->name);
    }
    memmove(m->metric + at + 1, m->metric + at, (m->metric_count - at) * sizeof(*m->metric));
    m->metric[at] = metric;
    m->metric_count++;
    *out = metric;
    return SX_OK;
}

sx_status sx_metric_new(sx_metrics *m, const sx_metric_options *options, sx_metric **out,
                        sx_error *err)
{
    sx_status status = sx_metric_check_options(options, err);
    if (status)
        return status;
    sx_metric *metric = NULL;
    pthread_mutex_lock(&m->lock);
    status = add_metric(m, options, &metric, err);
    pthread_mutex_unlock(&m->lock);
    if (status == SX_OK)
        *out = metric;
    return status;
}

sx_status sx_metrics_new(const sx_metrics_options *options, sx_metrics **out, sx_error *err)
{
    static const char *const FOLDED_LABELS[] = {"metric"};
    static const sx_metric_options FOLDED = {
        .kind = SX_METRIC_COUNTER,
        .name = "sx_metric_series_folded_total",
        .help = "Label combinations above a metric's series_max, counted as \"other\".",
        .labels = FOLDED_LABELS,
        .label_count = 1,
        .series_max = 100000, /* one for each metric of the program */
    };
    sx_metrics *m = (sx_metrics *)sx_calloc(1, sizeof(*m));
    if (!m)
        return sx_fail_memory(err, "a metrics registry");
    m->series_max = options && options->series_max ? options->series_max : 1000;
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->scrape_lock, NULL);
    pthread_mutex_init(&m->window_lock, NULL);
    pthread_mutex_init(&m->shared_lock, NULL);
    m->clock = options && options->clock ? options->clock : sx_clock_system();
    m->created_series = options && options->created_series;
    sx_arena_init(&m->arena, 0, 0);
    sx_buf_init(&m->scratch, 0);
    sx_status status = sx_metric_new(m, &FOLDED, &m->folded_total, err);
    if (status) {
        sx_metrics_free(m);
        return status;
    }
    *out = m;
    return SX_OK;
}

static void free_windows(const sx_metric *metric)
{
    bool native = metric->native.on;
    if (!native && metric->kind != SX_METRIC_SUMMARY)
        return;
    void (*release)(const sx_series *) = native ? sx_native_free_windows : free_window;
    for (size_t i = 0; i < metric->series_count; i++)
        release(metric->series[i]);
    if (!metric->other_used)
        release(metric->other); /* it may have counted without being listed */
}

void sx_metrics_free(sx_metrics *m)
{
    if (!m)
        return;
    sx_native_reclaim(m);
    sx_native_sum_done(&m->sum);
    for (size_t i = 0; i < m->metric_count; i++) {
        free_windows(m->metric[i]);
        sx_map_done(&m->metric[i]->by_labels);
        sx_free(m->metric[i]->series);
        sx_free(m->metric[i]->sorted);
    }
    while (m->slabs) {
        sx_slab *next = m->slabs->next;
        sx_free(m->slabs);
        m->slabs = next;
    }
    sx_free(m->metric);
    sx_free(m->scraping);
    sx_buf_done(&m->scratch);
    sx_buf_done(&m->labels);
    sx_buf_done(&m->value);
    sx_buf_done(&m->collected);
    sx_arena_done(&m->arena);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->scrape_lock);
    pthread_mutex_destroy(&m->window_lock);
    pthread_mutex_destroy(&m->shared_lock);
    sx_free(m);
}
