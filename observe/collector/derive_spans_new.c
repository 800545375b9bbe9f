/* derive_spans_new.c - settings become groups of tables, labels and names of metrics. */
#include <unistd.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/collector/derive_spans.h"

enum { LANES_MAX = 8, EXEMPLARS_DEFAULT = 5 };

static const uint64_t BOUNDS_NS[] = {
    2000000,   4000000,   6000000,    8000000,    10000000,   50000000,   100000000,   200000000,
    400000000, 800000000, 1000000000, 1400000000, 2000000000, 5000000000, 10000000000, 15000000000};

void spanmetrics_defaults(spanmetrics_settings *s)
{
    *s = (spanmetrics_settings){
        .prefix = SX_STR("traces.span.metrics"),
        .histogram = {.max_size = 160, .buckets = {BOUNDS_NS, SX_COUNT_OF(BOUNDS_NS)}},
        .flush_ms = 60000,
        .exemplars_max = EXEMPLARS_DEFAULT};
}

/* --- Making. */

static bool names_have(derive_names names, const char *name)
{
    for (uint32_t i = 0; i < names.count; i++)
        if (sx_str_eq(names.items[i], sx_str_z(name)))
            return true;
    return false;
}

static size_t tag_labels(const void *ctx, uint32_t tag, tsdb_label out[DERIVE_TAG_LABELS_MAX])
{
    static const char *const KINDS[] = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL",
                                        "SPAN_KIND_SERVER",      "SPAN_KIND_CLIENT",
                                        "SPAN_KIND_PRODUCER",    "SPAN_KIND_CONSUMER"};
    static const char *const STATUSES[] = {"STATUS_CODE_UNSET", "STATUS_CODE_OK",
                                           "STATUS_CODE_ERROR"};
    uint32_t kind = tag >> 4, status = tag & 15;
    size_t count = 0;
    (void)ctx;
    if (kind < SX_COUNT_OF(KINDS))
        out[count++] = (tsdb_label){SX_STR("span_kind"), sx_str_z(KINDS[kind])};
    if (status < SX_COUNT_OF(STATUSES))
        out[count++] = (tsdb_label){SX_STR("status_code"), sx_str_z(STATUSES[status])};
    return count;
}

static sx_status add_dimensions(spanmetrics *m, spans_group *g, derive_dimensions more,
                                sx_error *err)
{
    if (g->dimension_count + more.count > DERIVE_VALUES_MAX - VALUES)
        return sx_fail(err, SX_ELIMIT, "%u dimensions are more than %d",
                       g->dimension_count + more.count, DERIVE_VALUES_MAX - VALUES);
    derive_dimension *all =
        sx_arena_calloc(&m->arena, g->dimension_count + more.count + 1, sizeof(*all));
    if (!all)
        return sx_fail_memory(err, "dimensions");
    if (g->dimension_count)
        memcpy(all, g->dimensions, g->dimension_count * sizeof(*all));
    if (more.count)
        memcpy(all + g->dimension_count, more.items, more.count * sizeof(*all));
    g->dimensions = all;
    g->dimension_count += more.count;
    return SX_OK;
}

static sx_status name_labels(spanmetrics *m, spans_group *g, sx_error *err)
{
    static const char *const NAMES[VALUES] = {"service_name",
                                              "span_name",
                                              "job",
                                              "instance",
                                              "span_instrumentation_scope_name",
                                              "span_instrumentation_scope_version"};
    sx_str *names = sx_arena_calloc(&m->arena, DERIVE_VALUES_MAX, sizeof(*names));
    bool plain =
        !m->settings->resource_attributes && !m->settings->scopes.count && !g->dimension_count;
    if (!names)
        return sx_fail_memory(err, "names of labels");
    for (uint32_t i = 0; i < VALUES; i++)
        names[i] = sx_str_z(NAMES[i]);
    for (uint32_t i = 0; i < g->dimension_count; i++) {
        names[VALUES + i] = derive_label_name(&m->arena, g->dimensions[i].name);
        if (!names[VALUES + i].data)
            return sx_fail_memory(err, "names of labels");
        for (uint32_t j = 0; j < VALUES + i; j++)
            if (sx_str_eq(names[j], names[VALUES + i]) || names[VALUES + i].len == 0 ||
                sx_str_eq(names[VALUES + i], SX_STR("span_kind")) ||
                sx_str_eq(names[VALUES + i], SX_STR("status_code")))
                return sx_fail(err, SX_EINVAL, "duplicate dimension name %.*s",
                               SX_ARG(g->dimensions[i].name));
    }
    g->sheet.writer.label_names = names;
    g->shape.value_count = plain ? VALUE_JOB : VALUES + g->dimension_count;
    return SX_OK;
}

static sx_status name_metric(spanmetrics *m, spans_group *g, const char *name, const char *suffix,
                             const char *help, bool histogram, sx_error *err)
{
    sx_str prefix = m->settings->prefix;
    sx_str base =
        sx_arena_printf(&m->arena, "%.*s%s%s", SX_ARG(prefix), prefix.len ? "." : "", name);
    base = base.data ? derive_metric_name(&m->arena, base) : base;
    base = base.data ? sx_arena_printf(&m->arena, "%.*s%s", SX_ARG(base), suffix) : base;
    if (!base.data)
        return sx_fail_memory(err, "names of metrics");
    g->sheet.writer.metrics[g->sheet.writer.metric_count++] =
        (derive_metric){.name = base, .help = help, .histogram = histogram};
    return SX_OK;
}

static sx_status bound_texts(spanmetrics *m, spans_group *g, sx_error *err)
{
    sx_str *bounds = sx_arena_calloc(&m->arena, g->shape.bound_count + 1, sizeof(*bounds));
    if (!bounds)
        return sx_fail_memory(err, "bounds");
    for (uint32_t i = 0; i < g->shape.bound_count; i++) {
        bounds[i] =
            derive_bound_text(&m->arena, g->shape.bounds_ns[i], g->sheet.writer.ns_per_unit);
        if (!bounds[i].data)
            return sx_fail_memory(err, "bounds");
    }
    g->sheet.writer.bounds = bounds;
    return SX_OK;
}

static sx_status finish_group(spanmetrics *m, spans_group *g, sx_error *err)
{
    const spanmetrics_settings *s = m->settings;
    bool seconds = s->histogram.unit == SPANMETRICS_S;
    int64_t rows = s->series_max > 0 && s->series_max < SPANMETRICS_ROWS_MAX ? s->series_max
                                                                             : SPANMETRICS_ROWS_MAX;
    g->shape.rows_max = (uint32_t)rows;
    g->shape.ns_per_unit = g->sheet.writer.ns_per_unit = seconds ? 1e9 : 1e6;
    g->shape.histogram_count = g->durations;
    int64_t exemplars = s->exemplars_max > 0 && s->exemplars_max < DERIVE_EXEMPLARS_MAX
                            ? s->exemplars_max
                            : DERIVE_EXEMPLARS_MAX;
    g->shape.exemplars_max = s->exemplars ? (uint32_t)exemplars : 0;
    if (s->histogram.exponential)
        g->shape.expo_size = (uint32_t)s->histogram.max_size;
    g->shape.bounds_ns = s->histogram.buckets.ns;
    g->shape.bound_count = s->histogram.exponential ? 0 : s->histogram.buckets.count;
    g->sheet.writer.shape = &g->shape;
    m->sheets[g - m->groups] = &g->sheet;
    g->sheet.writer.tag_labels = tag_labels;
    sx_status st = name_labels(m, g, err);
    if (st == SX_OK)
        st = bound_texts(m, g, err);
    if (st == SX_OK && g->calls)
        st = name_metric(m, g, "calls", "_total", "Spans, by what they are.", false, err);
    if (st == SX_OK && g->events)
        st =
            name_metric(m, g, "events", "_total", "Events of spans, by what they are.", false, err);
    if (st == SX_OK && g->durations)
        st = name_metric(m, g, "duration", seconds ? "_seconds" : "_milliseconds",
                         "How long spans took.", true, err);
    if (st != SX_OK)
        return st;
    g->lane_shape = g->shape;
    g->shape.ref_count = derive_writer_refs(&g->sheet.writer);
    return derive_table_init(&g->sheet.whole, &g->shape, err);
}

static sx_status make_groups(spanmetrics *m, sx_error *err)
{
    const spanmetrics_settings *s = m->settings;
    bool apart = s->calls_dimensions.count || s->histogram.dimensions.count;
    spans_group *g = &m->groups[m->group_count++];
    g->calls = true;
    g->durations = !s->histogram.disable && !apart;
    sx_status st = add_dimensions(m, g, s->dimensions, err);
    if (st == SX_OK)
        st = add_dimensions(m, g, s->calls_dimensions, err);
    g->event_from = g->dimension_count;
    if (st == SX_OK && apart && !s->histogram.disable) {
        g = &m->groups[m->group_count++];
        g->durations = true;
        st = add_dimensions(m, g, s->dimensions, err);
        if (st == SX_OK)
            st = add_dimensions(m, g, s->histogram.dimensions, err);
        g->event_from = g->dimension_count;
    }
    if (st == SX_OK && s->events) {
        g = &m->groups[m->group_count++];
        g->events = true;
        st = add_dimensions(m, g, s->dimensions, err);
        if (st == SX_OK)
            st = add_dimensions(m, g, s->event_dimensions, err);
    }
    for (uint32_t i = 0; i < m->group_count && st == SX_OK; i++)
        st = finish_group(m, &m->groups[i], err);
    return st;
}

static sx_status make_lanes(spanmetrics *m, sx_error *err)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t count = cpus < 1 ? 1 : cpus > LANES_MAX ? LANES_MAX : (uint32_t)cpus;
    m->lanes = sx_calloc(count, sizeof(*m->lanes));
    if (!m->lanes)
        return sx_fail_memory(err, "lanes of spans");
    sx_status st = SX_OK;
    for (uint32_t i = 0; i < count && st == SX_OK; i++) {
        spans_lane *l = &m->lanes[m->lane_count++];
        pthread_mutex_init(&l->lock, NULL);
        sx_buf_init(&l->scratch, 0);
        for (uint32_t g = 0; g < m->group_count && st == SX_OK; g++)
            st = derive_table_init(&l->tables[g], &m->groups[g].lane_shape, err);
    }
    return st;
}

static sx_status make_metrics(spanmetrics *m, sx_error *err)
{
    static const char *const LABELS[] = {"connector"};
    static const sx_metric_options SERIES = {.kind = SX_METRIC_GAUGE,
                                             .name = "sextant_spanmetrics_keys",
                                             .help = "Combinations of labels being counted.",
                                             .labels = LABELS,
                                             .label_count = 1},
                                   OVERFLOWED = {.kind = SX_METRIC_COUNTER,
                                                 .name = "sextant_spanmetrics_overflowed_total",
                                                 .help = "Spans counted in the overflow series.",
                                                 .labels = LABELS,
                                                 .label_count = 1},
                                   FAILURES = {.kind = SX_METRIC_COUNTER,
                                               .name = "sextant_spanmetrics_failed_flushes_total",
                                               .help = "Flushes that the metric store refused.",
                                               .labels = LABELS,
                                               .label_count = 1};
    sx_metric *series, *overflowed, *failures;
    if (!m->host.kit || !m->host.kit->metrics)
        return SX_OK;
    sx_status st = sx_metric_new(m->host.kit->metrics, &SERIES, &series, err);
    if (st == SX_OK)
        st = sx_metric_new(m->host.kit->metrics, &OVERFLOWED, &overflowed, err);
    if (st == SX_OK)
        st = sx_metric_new(m->host.kit->metrics, &FAILURES, &failures, err);
    if (st != SX_OK)
        return st;
    m->series = sx_metric_gauge(series, &m->host.id, 1);
    m->overflowed = sx_metric_counter(overflowed, &m->host.id, 1);
    m->failures = sx_metric_counter(failures, &m->host.id, 1);
    return SX_OK;
}

sx_status spanmetrics_check(const spanmetrics_settings *s, sx_error *err)
{
    const spanmetrics_histogram *h = &s->histogram;
    if (h->has_explicit && h->exponential)
        return sx_fail(err, SX_EINVAL, "use either `explicit` or `exponential` buckets histogram");
    if (h->exponential && (h->max_size < 8 || h->max_size > 1024))
        return sx_fail(err, SX_EINVAL, "histogram.exponential.max_size is %lld; give 8 to 1024",
                       (long long)h->max_size);
    if (h->buckets.count > DERIVE_BOUNDS_MAX)
        return sx_fail(err, SX_EINVAL, "histogram.explicit has %u buckets; at most %d",
                       h->buckets.count, DERIVE_BOUNDS_MAX);
    for (uint32_t i = 1; i < h->buckets.count; i++)
        if (h->buckets.ns[i] <= h->buckets.ns[i - 1])
            return sx_fail(err, SX_EINVAL,
                           "histogram.explicit.buckets must rise; number %u does not", i + 1);
    if (s->events && !s->event_dimensions.count)
        return sx_fail(err, SX_EINVAL, "no dimensions configured for events");
    return SX_OK;
}

sx_status spanmetrics_new(const spanmetrics_settings *settings, const derive_host *host,
                          spanmetrics **out, sx_error *err)
{
    *out = NULL;
    sx_status st = spanmetrics_check(settings, err);
    if (st != SX_OK)
        return st;
    spanmetrics *m = sx_calloc(1, sizeof(*m));
    if (!m)
        return sx_fail_memory(err, "span metrics");
    m->settings = settings;
    m->host = *host;
    m->seed = sx_hash_seed();
    m->no_service = names_have(settings->exclude_dimensions, "service.name");
    m->no_name = names_have(settings->exclude_dimensions, "span.name");
    m->no_kind = names_have(settings->exclude_dimensions, "span.kind");
    m->no_status = names_have(settings->exclude_dimensions, "status.code");
    m->flushed_ms = sx_clock_ms(host->clock);
    m->flushed_mono_ms = sx_clock_mono_ms(host->clock);
    sx_arena_init(&m->arena, 0, 0);
    st = make_groups(m, err);
    if (st == SX_OK)
        st = make_lanes(m, err);
    if (st == SX_OK)
        st = make_metrics(m, err);
    if (st != SX_OK) {
        m->host.store = NULL; /* there is nothing to flush */
        spanmetrics_free(m);
        return st;
    }
    *out = m;
    return SX_OK;
}

void spanmetrics_free(spanmetrics *m)
{
    if (!m)
        return;
    if (m->host.store)
        (void)spanmetrics_flush(m, NULL);
    for (uint32_t i = 0; i < m->lane_count; i++) {
        for (uint32_t g = 0; g < m->group_count; g++)
            derive_table_done(&m->lanes[i].tables[g]);
        sx_buf_done(&m->lanes[i].scratch);
        pthread_mutex_destroy(&m->lanes[i].lock);
    }
    sx_free(m->lanes);
    for (uint32_t g = 0; g < m->group_count; g++)
        derive_table_done(&m->groups[g].sheet.whole);
    sx_arena_done(&m->arena);
    sx_free(m);
}
