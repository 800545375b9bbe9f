/* derive_settings.c - spanmetrics and servicegraph in a Collector's configuration.
 *
 * The rows are the fields of the two connectors' config.go of version 0.140. */
#include "observe/collector/connector.h"
#include "observe/collector/derive.h"
#include "observe/tsdb/db.h"

#include <sextant/mem.h>

/* --- Values of their own kind. */

/* Durations in a list. */
static sx_status read_buckets(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    derive_buckets *out = (derive_buckets *)(void *)((char *)target + f->at);
    if (sx_yaml_is_null(value))
        return SX_OK;
    if (value->kind != SX_YAML_SEQUENCE)
        return bind_fault(b, value, "expected a list of durations");
    uint64_t *ns = sx_arena_calloc(b->arena, value->count + 1, sizeof(*ns));
    if (!ns)
        return SX_ENOMEM;
    for (size_t i = 0; i < value->count; i++) {
        sx_str text;
        int64_t one;
        sx_status st = bind_text(b, value->items[i], &text);
        if (st != SX_OK)
            return st;
        if (!settings_go_duration(text, &one) || one < 0)
            return bind_fault(b, value->items[i], "'%.*s' is no duration; write 100ms",
                              SX_ARG(text));
        ns[i] = (uint64_t)one;
    }
    *out = (derive_buckets){ns, (uint32_t)value->count};
    return SX_OK;
}

static sx_status read_fallback(bind *b, const sx_yaml_node *value, void *target,
                               const bind_field *f)
{
    derive_dimension *d = target;
    (void)f;
    if (sx_yaml_is_null(value))
        return SX_OK;
    d->has_fallback = true;
    return bind_text(b, value, &d->fallback);
}

static sx_status check_dimension(bind *b, const sx_yaml_node *map, void *target)
{
    const derive_dimension *d = target;
    return d->name.len ? SX_OK : bind_fault(b, map, "a dimension has no name");
}

#define D(member) offsetof(derive_dimension, member)
static const bind_field DIMENSION_FIELDS[] = {
    {.key = "name", .kind = BIND_STR, .at = D(name)},
    {.key = "default", .kind = BIND_CUSTOM, .read = read_fallback, .at = D(fallback)},
    {0}};
static const bind_table DIMENSION = {
    .fields = DIMENSION_FIELDS, .size = sizeof(derive_dimension), .check = check_dimension};

static const bind_choice UNITS[] = {{"ms", SPANMETRICS_MS}, {"s", SPANMETRICS_S}, {0}};

static sx_status read_temporality(bind *b, const sx_yaml_node *value, void *target,
                                  const bind_field *f)
{
    sx_str text;
    (void)target;
    (void)f;
    sx_status st = bind_text(b, value, &text);
    if (st == SX_OK && !sx_str_eq(text, SX_STR("AGGREGATION_TEMPORALITY_CUMULATIVE")))
        return bind_fault(b, value,
                          "\"%.*s\" is not supported: the store wants counters that rise; write "
                          "AGGREGATION_TEMPORALITY_CUMULATIVE",
                          SX_ARG(sx_str_first(text, 60)));
    return st;
}

/* --- spanmetrics. */

#define H(member) offsetof(spanmetrics_histogram, member)
#define S(member) offsetof(spanmetrics_settings, member)

static void histogram_defaults(void *target)
{
    spanmetrics_settings all;
    spanmetrics_defaults(&all);
    *(spanmetrics_histogram *)target = all.histogram;
}

static void explicit_defaults(void *target)
{
    spanmetrics_settings all;
    spanmetrics_defaults(&all);
    *(derive_buckets *)target = all.histogram.buckets;
}

static void exponential_defaults(void *target)
{
    *(int64_t *)target = 160;
}

static const bind_field EXPLICIT_FIELDS[] = {
    {.key = "buckets", .kind = BIND_CUSTOM, .read = read_buckets}, {0}};
static const bind_table EXPLICIT = {
    .fields = EXPLICIT_FIELDS, .size = sizeof(derive_buckets), .defaults = explicit_defaults};
static const bind_field EXPONENTIAL_FIELDS[] = {
    {.key = "max_size", .kind = BIND_CUSTOM, .read = settings_i64}, {0}};
static const bind_table EXPONENTIAL = {
    .fields = EXPONENTIAL_FIELDS, .size = sizeof(int64_t), .defaults = exponential_defaults};

static const bind_field HISTOGRAM_FIELDS[] = {
    {.key = "disable", .kind = BIND_BOOL, .at = H(disable)},
    {.key = "unit", .kind = BIND_CHOICE, .choices = UNITS, .at = H(unit)},
    {.key = "explicit",
     .kind = BIND_STRUCT,
     .flags = BIND_PRESENCE,
     .table = &EXPLICIT,
     .at = H(buckets),
     .count_at = H(has_explicit)},
    {.key = "exponential",
     .kind = BIND_STRUCT,
     .flags = BIND_PRESENCE,
     .table = &EXPONENTIAL,
     .at = H(max_size),
     .count_at = H(exponential)},
    {.key = "dimensions",
     .kind = BIND_STRUCTS,
     .table = &DIMENSION,
     .at = H(dimensions.items),
     .count_at = H(dimensions.count)},
    {0}};
static const bind_table HISTOGRAM = {.fields = HISTOGRAM_FIELDS,
                                     .size = sizeof(spanmetrics_histogram),
                                     .defaults = histogram_defaults};

typedef struct exemplar_settings {
    bool on;
    int64_t max;
} exemplar_settings;
typedef struct event_settings {
    bool on;
    derive_dimensions dimensions;
} event_settings;

/* As it is written: two of its mappings lie elsewhere in the settings. */
typedef struct span_form {
    spanmetrics_settings settings;
    exemplar_settings exemplars;
    event_settings events;
} span_form;

static void exemplars_defaults(void *target)
{
    *(exemplar_settings *)target = (exemplar_settings){.max = 5};
}

static const bind_field EXEMPLARS_FIELDS[] = {
    {.key = "enabled", .kind = BIND_BOOL, .at = offsetof(exemplar_settings, on)},
    {.key = "max_per_data_point",
     .kind = BIND_CUSTOM,
     .read = settings_i64,
     .at = offsetof(exemplar_settings, max)},
    {0}};
static const bind_table EXEMPLARS = {
    .fields = EXEMPLARS_FIELDS, .size = sizeof(exemplar_settings), .defaults = exemplars_defaults};
static const bind_field EVENTS_FIELDS[] = {
    {.key = "enabled", .kind = BIND_BOOL, .at = offsetof(event_settings, on)},
    {.key = "dimensions",
     .kind = BIND_STRUCTS,
     .table = &DIMENSION,
     .at = offsetof(event_settings, dimensions.items),
     .count_at = offsetof(event_settings, dimensions.count)},
    {0}};
static const bind_table EVENTS = {.fields = EVENTS_FIELDS, .size = sizeof(event_settings)};

static void span_defaults(void *target)
{
    span_form *f = target;
    *f = (span_form){0};
    spanmetrics_defaults(&f->settings);
    exemplars_defaults(&f->exemplars);
}

static sx_status span_check(bind *b, const sx_yaml_node *map, void *target)
{
    span_form *f = target;
    sx_error err = {0};
    f->settings.exemplars = f->exemplars.on;
    f->settings.exemplars_max = f->exemplars.max;
    f->settings.events = f->events.on;
    f->settings.event_dimensions = f->events.dimensions;
    if (spanmetrics_check(&f->settings, &err) != SX_OK)
        return bind_fault(b, map, "%s", err.message);
    return SX_OK;
}

static const bind_field SPAN_FIELDS[] = {
    {.key = "namespace", .kind = BIND_STR, .at = S(prefix)},
    {.key = "histogram", .kind = BIND_STRUCT, .table = &HISTOGRAM, .at = S(histogram)},
    {.key = "dimensions",
     .kind = BIND_STRUCTS,
     .table = &DIMENSION,
     .at = S(dimensions.items),
     .count_at = S(dimensions.count)},
    {.key = "calls_dimensions",
     .kind = BIND_STRUCTS,
     .table = &DIMENSION,
     .at = S(calls_dimensions.items),
     .count_at = S(calls_dimensions.count)},
    {.key = "exclude_dimensions",
     .kind = BIND_STRS,
     .at = S(exclude_dimensions.items),
     .count_at = S(exclude_dimensions.count)},
    {.key = "dimensions_cache_size", .kind = BIND_NOTHING}, /* bounded by the number of series */
    {.key = "resource_metrics_cache_size",
     .kind = BIND_NOTHING}, /* bounded by the number of series */
    {.key = "resource_metrics_key_attributes", .kind = BIND_NOTHING}, /* series know no resource */
    {.key = "aggregation_temporality", .kind = BIND_CUSTOM, .read = read_temporality},
    {.key = "metrics_flush_interval", .kind = BIND_CUSTOM, .read = settings_ms, .at = S(flush_ms)},
    {.key = "metrics_expiration", .kind = BIND_CUSTOM, .read = settings_ms, .at = S(expiration_ms)},
    {.key = "series_expiration",
     .kind = BIND_CUSTOM,
     .read = settings_ms,
     .at = S(series_expiration_ms)},
    {.key = "metric_timestamp_cache_size",
     .kind = BIND_NOTHING}, /* bounded by the number of series */
    {.key = "exemplars",
     .kind = BIND_STRUCT,
     .table = &EXEMPLARS,
     .at = offsetof(span_form, exemplars)},
    {.key = "events", .kind = BIND_STRUCT, .table = &EVENTS, .at = offsetof(span_form, events)},
    {.key = "include_instrumentation_scope",
     .kind = BIND_STRS,
     .at = S(scopes.items),
     .count_at = S(scopes.count)},
    {.key = "aggregation_cardinality_limit",
     .kind = BIND_CUSTOM,
     .read = settings_i64,
     .at = S(series_max)},
    {.key = "add_resource_attributes", .kind = BIND_BOOL, .at = S(resource_attributes)},
    {0}};
static const bind_table SPAN_SETTINGS = {.fields = SPAN_FIELDS,
                                         .size = sizeof(span_form),
                                         .defaults = span_defaults,
                                         .check = span_check};

/* --- servicegraph. */

#define G(member) offsetof(servicegraph_settings, member)

typedef struct store_settings {
    int64_t ttl_ms, items_max;
} store_settings;
typedef struct graph_form {
    servicegraph_settings settings;
    store_settings store;
} graph_form;

static void store_defaults(void *target)
{
    *(store_settings *)target = (store_settings){.ttl_ms = 2000, .items_max = 1000};
}

static void graph_defaults(void *target)
{
    graph_form *f = target;
    servicegraph_defaults(&f->settings);
    store_defaults(&f->store);
}

static sx_status graph_check(bind *b, const sx_yaml_node *map, void *target)
{
    graph_form *f = target;
    sx_error err = {0};
    f->settings.ttl_ms = f->store.ttl_ms;
    f->settings.items_max = f->store.items_max;
    if (servicegraph_check(&f->settings, &err) != SX_OK)
        return bind_fault(b, map, "%s", err.message);
    return SX_OK;
}

static const bind_field STORE_FIELDS[] = {{.key = "ttl",
                                           .kind = BIND_CUSTOM,
                                           .read = settings_ms,
                                           .at = offsetof(store_settings, ttl_ms)},
                                          {.key = "max_items",
                                           .kind = BIND_CUSTOM,
                                           .read = settings_i64,
                                           .at = offsetof(store_settings, items_max)},
                                          {0}};
static const bind_table STORE = {
    .fields = STORE_FIELDS, .size = sizeof(store_settings), .defaults = store_defaults};
static const bind_field GRAPH_FIELDS[] = {
    {.key = "metrics_exporter", .kind = BIND_NOTHING}, /* as in the Collector */
    {.key = "latency_histogram_buckets",
     .kind = BIND_CUSTOM,
     .read = read_buckets,
     .at = G(buckets)},
    {.key = "exponential_histogram_max_size",
     .kind = BIND_CUSTOM,
     .read = settings_i64,
     .at = G(exponential_size)},
    {.key = "dimensions",
     .kind = BIND_STRS,
     .at = G(dimensions.items),
     .count_at = G(dimensions.count)},
    {.key = "store", .kind = BIND_STRUCT, .table = &STORE, .at = offsetof(graph_form, store)},
    {.key = "cache_loop", .kind = BIND_CUSTOM, .read = settings_ms, .at = G(cache_loop_ms)},
    {.key = "store_expiration_loop",
     .kind = BIND_CUSTOM,
     .read = settings_ms,
     .at = G(expiration_loop_ms)},
    {.key = "virtual_node_peer_attributes",
     .kind = BIND_STRS,
     .at = G(peer_attributes.items),
     .count_at = G(peer_attributes.count)},
    {.key = "virtual_node_extra_label", .kind = BIND_BOOL, .at = G(virtual_node_label)},
    {.key = "metrics_flush_interval", .kind = BIND_CUSTOM, .read = settings_ms, .at = G(flush_ms)},
    {.key = "database_name_attribute", .kind = BIND_STR, .at = G(database_attribute)},
    {.key = "database_name_attributes",
     .kind = BIND_STRS,
     .at = G(database_attributes.items),
     .count_at = G(database_attributes.count)},
    {0}};
static const bind_table GRAPH_SETTINGS = {.fields = GRAPH_FIELDS,
                                          .size = sizeof(graph_form),
                                          .defaults = graph_defaults,
                                          .check = graph_check};

/* --- The kinds. */

typedef struct connector {
    spanmetrics *spans;
    servicegraph *graph; /* one of the two */
    sx_log *log;
} connector;

static sx_status create(const void *settings, const component_id *id,
                        const span_connector_host *host, bool graph, void **out, sx_error *err)
{
    const derive_host own = {.store = host->db ? tsdb_appendable_of(host->db) : NULL,
                             .clock = host->clock,
                             .kit = host->kit,
                             .id = id->name};
    connector *c = sx_calloc(1, sizeof(*c));
    sx_status st = SX_OK;
    *out = NULL;
    if (!c)
        return sx_fail_memory(err, "a connector");
    c->log = host->kit ? host->kit->log : NULL;
    if (own.store && graph)
        st = servicegraph_new(settings, &own, &c->graph, err);
    else if (own.store)
        st = spanmetrics_new(settings, &own, &c->spans, err);
    if (st != SX_OK) {
        sx_free(c);
        return st;
    }
    *out = c;
    return SX_OK;
}

static sx_status create_spans(const void *settings, const component_id *id,
                              const span_connector_host *host, void **out, sx_error *err)
{
    return create(&((const span_form *)settings)->settings, id, host, false, out, err);
}

static sx_status create_graph(const void *settings, const component_id *id,
                              const span_connector_host *host, void **out, sx_error *err)
{
    return create(&((const graph_form *)settings)->settings, id, host, true, out, err);
}

static void take(void *of, span_batch *b)
{
    connector *c = of;
    if (c->spans)
        spanmetrics_take(c->spans, b);
    if (c->graph)
        servicegraph_take(c->graph, b);
}

static void tick(void *of, int64_t mono_ms)
{
    connector *c = of;
    sx_error err = {0};
    sx_status st = SX_OK;
    (void)mono_ms;
    if (c->spans)
        st = spanmetrics_tick(c->spans, &err);
    if (c->graph)
        st = servicegraph_tick(c->graph, &err);
    if (st != SX_OK && c->log)
        SX_LOG_WARN(sx_log_logger(c->log, "derive"), NULL, "metrics of spans could not be written",
                    sx_field_error(&err));
}

static void destroy(void *of)
{
    connector *c = of;
    spanmetrics_free(c->spans);
    servicegraph_free(c->graph);
    sx_free(c);
}

const span_connector_kind SPAN_CONNECTOR_SPANMETRICS = {.name = "spanmetrics",
                                                        .settings = &SPAN_SETTINGS,
                                                        .create = create_spans,
                                                        .take = take,
                                                        .tick = tick,
                                                        .destroy = destroy};
const span_connector_kind SPAN_CONNECTOR_SERVICEGRAPH = {.name = "servicegraph",
                                                         .settings = &GRAPH_SETTINGS,
                                                         .create = create_graph,
                                                         .take = take,
                                                         .tick = tick,
                                                         .destroy = destroy};

void derive_claimed(const collector_settings *s, bool *spans, bool *graph)
{
    spanmetrics_settings own;
    spanmetrics_defaults(&own);
    *spans = *graph = false;
    for (uint32_t p = 0; p < s->pipeline_count; p++)
        for (uint32_t i = 0; i < s->pipelines[p].connector_count; i++) {
            const connector_settings *c = &s->connectors[s->pipelines[p].connectors[i]];
            if (c->kind == &SPAN_CONNECTOR_SERVICEGRAPH)
                *graph = true;
            else if (c->kind == &SPAN_CONNECTOR_SPANMETRICS &&
                     sx_str_eq(((const span_form *)c->settings)->settings.prefix, own.prefix))
                *spans = true;
        }
}
