/* metrics.c - the registry: names are checked, metrics and series made and found again.
 *
 * None of this is on a hot path: a program registers at its start and resolves labels once. A lock
 * guards the lists; the cells themselves (cells.c) need none. */
#include "telemetry/store.h"

#include <math.h>

#include <sextant/mem.h>
#include <sextant/utf8.h>

static const char *const KIND_NAMES[SX_METRIC_KINDS] = {
    [SX_METRIC_COUNTER] = "counter",
    [SX_METRIC_GAUGE] = "gauge",
    [SX_METRIC_HISTOGRAM] = "histogram",
};

static const double DEFAULT_BOUNDS[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

/* ---- names ---- */

static bool name_is_good(sx_str name, bool colon)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(colon && c == ':') && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return name.len > 0;
}

static sx_status check_labels(const sx_metric_options *o, sx_error *err)
{
    if (o->label_count > SX_METRIC_LABELS_MAX)
        return sx_fail(err, SX_EINVAL, "metric %s has %zu labels; at most %d", o->name,
                       o->label_count, SX_METRIC_LABELS_MAX);
    for (size_t i = 0; i < o->label_count; i++) {
        sx_str label = sx_str_z(o->labels[i]);
        if (!name_is_good(label, false) || sx_str_starts(label, SX_STR("__")))
            return sx_fail(err, SX_EINVAL,
                           "metric %s: label name '%.*s' must match [a-zA-Z_][a-zA-Z0-9_]* and not "
                           "begin with __",
                           o->name, SX_ARG(label));
        if (o->kind == SX_METRIC_HISTOGRAM && sx_str_eq(label, SX_STR("le")))
            return sx_fail(err, SX_EINVAL, "histogram %s: label le is its own", o->name);
        for (size_t j = 0; j < i; j++)
            if (sx_str_eq(label, sx_str_z(o->labels[j])))
                return sx_fail(err, SX_EINVAL, "metric %s has label %s twice", o->name,
                               o->labels[i]);
    }
    return SX_OK;
}

static sx_status check_options(const sx_metric_options *o, sx_error *err)
{
    if ((unsigned)o->kind >= SX_METRIC_KINDS)
        return sx_fail(err, SX_EINVAL, "metric kind %d does not exist", (int)o->kind);
    if (!name_is_good(sx_str_z(o->name), true))
        return sx_fail(err, SX_EINVAL, "metric name '%s' must match [a-zA-Z_:][a-zA-Z0-9_:]*",
                       o->name ? o->name : "");
    if (!o->help || !*o->help)
        return sx_fail(err, SX_EINVAL, "metric %s has no help text", o->name);
    if (o->collect && o->kind == SX_METRIC_HISTOGRAM)
        return sx_fail(err, SX_EINVAL, "histogram %s cannot have a collect function", o->name);
    if (o->kind != SX_METRIC_HISTOGRAM && o->bounds)
        return sx_fail(err, SX_EINVAL, "%s %s cannot have bounds", KIND_NAMES[o->kind], o->name);
    if (o->bounds && (o->bound_count == 0 || o->bound_count > SX_METRIC_BOUNDS_MAX))
        return sx_fail(err, SX_EINVAL, "histogram %s has %zu bounds; 1 to %d are allowed", o->name,
                       o->bound_count, SX_METRIC_BOUNDS_MAX);
    for (size_t i = 0; o->bounds && i < o->bound_count; i++)
        if (!isfinite(o->bounds[i]) || (i > 0 && !(o->bounds[i] > o->bounds[i - 1])))
            return sx_fail(err, SX_EINVAL,
                           "histogram %s: bound %zu (%g) must be finite and above the one before",
                           o->name, i, o->bounds[i]);
    return check_labels(o, err);
}

/* Whether `name` is `base` and one of the suffixes that a histogram writes. */
static bool is_part_of_histogram(sx_str name, sx_str base)
{
    static const sx_str SUFFIXES[] = {SX_STR_INIT("_bucket"), SX_STR_INIT("_count"),
                                      SX_STR_INIT("_sum")};
    if (!sx_str_starts(name, base))
        return false;
    for (size_t i = 0; i < SX_COUNT_OF(SUFFIXES); i++)
        if (sx_str_eq(sx_str_from(name, base.len), SUFFIXES[i]))
            return true;
    return false;
}

static sx_status check_collisions(const sx_metrics *m, const sx_metric_options *o, sx_error *err)
{
    sx_str name = sx_str_z(o->name);
    for (size_t i = 0; i < m->metric_count; i++) {
        const sx_metric *other = m->metric[i];
        if ((other->kind == SX_METRIC_HISTOGRAM && is_part_of_histogram(name, other->name)) ||
            (o->kind == SX_METRIC_HISTOGRAM && is_part_of_histogram(other->name, name)))
            return sx_fail(err, SX_EEXIST, "metric %s: histogram and metric %.*s share a name",
                           o->name, SX_ARG(other->name));
    }
    return SX_OK;
}

/* ---- text ---- */

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, for what is no UTF-8 */

static void render_value(sx_buf *out, sx_str value)
{
    bool cut = value.len > SX_LABEL_VALUE_BYTES_MAX;
    value = sx_str_first(value, SX_LABEL_VALUE_BYTES_MAX);
    uint32_t code;
    while (value.len > 0) {
        size_t len = sx_utf8_decode(value, &code);
        char c = value.data[0];
        if (len == 0 && cut && value.len < 4)
            break; /* a character that the cut went through */
        if (len == 0)
            sx_buf_str(out, SX_STR(REPLACEMENT));
        else if (c == '\\' || c == '"')
            sx_buf_bytes(out, (char[]){'\\', c}, 2);
        else if (c == '\n')
            sx_buf_str(out, SX_STR("\\n"));
        else
            sx_buf_bytes(out, value.data, len);
        value = sx_str_from(value, len ? len : 1);
    }
}

void sx_labels_render(sx_buf *out, const sx_str *names, const sx_str *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            sx_buf_byte(out, ',');
        sx_buf_str(out, names[i]);
        sx_buf_str(out, SX_STR("=\""));
        render_value(out, values[i]);
        sx_buf_byte(out, '"');
    }
}

static sx_str escape_help(sx_arena *arena, sx_str help)
{
    char *out = (char *)sx_arena_alloc(arena, help.len * 3 + 1);
    char *at = out;
    if (!out)
        return sx_str_of(NULL, 0);
    uint32_t code;
    while (help.len > 0) {
        size_t len = sx_utf8_decode(help, &code);
        sx_str piece = len ? sx_str_first(help, len) : SX_STR(REPLACEMENT);
        if (help.data[0] == '\\')
            piece = SX_STR("\\\\");
        else if (help.data[0] == '\n')
            piece = SX_STR("\\n");
        memcpy(at, piece.data, piece.len);
        at += piece.len;
        help = sx_str_from(help, len ? len : 1);
    }
    return sx_str_of(out, (size_t)(at - out));
}

/* ---- series; registry->lock is held ---- */

size_t sx_metric_cells(const sx_metric *metric)
{
    switch (metric->kind) {
    case SX_METRIC_HISTOGRAM:
        return metric->bounds.count + 2;
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
    *s = (sx_series){.cells = cells, .bounds = &metric->bounds, .labels = copy};
    return s;
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
    if (!made || !list_series(metric, made))
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
    for (size_t i = 0; !differs && i < there->label_count; i++)
        if (!sx_str_eq(there->labels[i], asked->labels[i]))
            differs = "label names";
    if (!differs)
        return SX_OK;
    return sx_fail(err, SX_EEXIST, "metric %.*s is registered already, with another %s",
                   SX_ARG(there->name), differs);
}

static bool fill_metric(sx_arena *arena, const sx_metric_options *o, sx_metric *metric)
{
    metric->name = sx_arena_copy(arena, sx_str_z(o->name));
    metric->help = escape_help(arena, sx_str_z(o->help));
    metric->labels = (sx_str *)sx_arena_calloc(arena, o->label_count + 1, sizeof(sx_str));
    if (!metric->name.data || !metric->help.data || !metric->labels)
        return false;
    metric->label_count = o->label_count;
    for (size_t i = 0; i < o->label_count; i++) {
        metric->labels[i] = sx_arena_copy(arena, sx_str_z(o->labels[i]));
        if (!metric->labels[i].data)
            return false;
    }
    if (metric->kind != SX_METRIC_HISTOGRAM)
        return true;
    const double *from = o->bounds ? o->bounds : DEFAULT_BOUNDS;
    size_t count = o->bounds ? o->bound_count : SX_COUNT_OF(DEFAULT_BOUNDS);
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
    if (metric->label_count == 0) {
        metric->other_used = true;
        return list_series(metric, metric->other);
    }
    sx_map_entry *entry = sx_map_put(&metric->by_labels, metric->other->labels, NULL);
    if (entry)
        entry->ptr = metric->other;
    return entry != NULL;
}

static sx_status add_metric(sx_metrics *m, const sx_metric_options *o, sx_metric **out,
                            sx_error *err)
{
    sx_metric *metric = (sx_metric *)sx_arena_calloc(&m->arena, 1, sizeof(*metric));
    if (!metric)
        return sx_fail_memory(err, "a metric");
    *metric = (sx_metric){.registry = m,
                          .kind = o->kind,
                          .collect = o->collect,
                          .collect_ctx = o->collect_ctx,
                          .series_max = o->series_max ? o->series_max : m->series_max};
    if (!fill_metric(&m->arena, o, metric))
        return sx_fail_memory(err, o->name);
    bool found;
    size_t at = place_of(m, metric->name, &found);
    if (found) {
        *out = m->metric[at];
        return match_existing(*out, metric, err);
    }
    sx_status status = check_collisions(m, o, err);
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
    sx_status status = check_options(options, err);
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

void sx_metrics_free(sx_metrics *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->metric_count; i++) {
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
    sx_arena_done(&m->arena);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->scrape_lock);
    sx_free(m);
}
