/* metrics.c - the names by which Prometheus's own dashboards and alerts know a server.
 *
 * Most are read from the database at each scrape; the engine's times are observed as queries end. */
#include <stdio.h>

#include "observe/api/api.h"

static tsdb_stats stats_of(void *ctx)
{
    tsdb_stats stats;
    tsdb_stats_read(((observe_api *)ctx)->db, &stats);
    return stats;
}

#define STAT(function, expression)                                                                 \
    static void function(sx_collect *into, void *ctx)                                              \
    {                                                                                              \
        tsdb_stats s = stats_of(ctx);                                                              \
        sx_collect_value(into, NULL, 0, (double)(expression));                                     \
    }
STAT(head_series, s.series)
STAT(head_chunks, s.chunks)
STAT(head_min, s.min_t == INT64_MAX ? 0 : s.min_t)
STAT(head_max, s.max_t == INT64_MIN ? 0 : s.max_t)
STAT(head_bytes, s.head_bytes)
STAT(wal_bytes, s.wal_bytes)
STAT(wal_corruptions, s.wal_corruptions)
STAT(wal_failures, s.wal_failures)
STAT(blocks_loaded, s.blocks)
STAT(block_bytes, s.block_bytes)
STAT(compactions, s.compactions)
STAT(compactions_failed, s.compactions_failed)
STAT(out_of_order, s.refused[TSDB_OUT_OF_ORDER])
STAT(out_of_bounds, s.refused[TSDB_OUT_OF_BOUNDS])
STAT(too_old, s.refused[TSDB_TOO_OLD])
STAT(series_limit, s.refused[TSDB_SERIES_LIMIT])
#undef STAT

/* Who has the most series, once new ones are refused: walking all pairs is for that moment. */
static void offenders(sx_collect *into, void *ctx)
{
    enum { OFFENDERS = 10 };
    tsdb_cardinality found;
    sx_arena arena;
    if (stats_of(ctx).refused[TSDB_SERIES_LIMIT] == 0)
        return;
    sx_arena_init(&arena, 0, 0);
    if (tsdb_cardinality_read(((observe_api *)ctx)->db, OFFENDERS, &arena, &found, NULL) == SX_OK)
        for (size_t i = 0; i < found.counts[0]; i++)
            sx_collect_value(into, &found.series_by_metric[i].name, 1,
                             (double)found.series_by_metric[i].value);
    sx_arena_done(&arena);
}

static void appended(sx_collect *into, void *ctx)
{
    tsdb_stats s = stats_of(ctx);
    const sx_str kinds[] = {SX_STR("float"), SX_STR("histogram")};
    for (size_t i = 0; i < 2; i++)
        sx_collect_value(into, &kinds[i], 1, (double)s.appended[i]);
}

static void is_ready(sx_collect *into, void *ctx)
{
    const observe_api *a = ctx;
    uint32_t done, all;
    bool ready = tsdb_ready(a->db, &done, &all) && !atomic_load(&a->stopping);
    sx_collect_value(into, NULL, 0, ready);
}

static void reload_good(sx_collect *into, void *ctx)
{
    observe_api *a = ctx;
    pthread_mutex_lock(&a->lock);
    bool good = a->reload_good;
    pthread_mutex_unlock(&a->lock);
    sx_collect_value(into, NULL, 0, good);
}

static void reload_time(sx_collect *into, void *ctx)
{
    observe_api *a = ctx;
    pthread_mutex_lock(&a->lock);
    int64_t when = a->reload_ms;
    pthread_mutex_unlock(&a->lock);
    sx_collect_value(into, NULL, 0, (double)when / 1000);
}

static void queries_running(sx_collect *into, void *ctx)
{
    const observe_api *a = ctx;
    sx_arena arena;
    promql_running *items;
    size_t count = 0;
    sx_arena_init(&arena, 0, 0);
    if (promql_engine_running(a->engine, &arena, &items, &count, NULL) == SX_OK)
        sx_collect_value(into, NULL, 0, (double)count);
    sx_arena_done(&arena);
}

static void queries_most(sx_collect *into, void *ctx)
{
    const observe_api *a = ctx;
    sx_collect_value(into, NULL, 0, (double)a->flags->query_concurrency);
}

static void queries_killed(sx_collect *into, void *ctx)
{
    observe_api *a = ctx;
    sx_collect_value(into, NULL, 0, (double)atomic_load(&a->killed));
}

static void note_subscribers(sx_collect *into, void *ctx)
{
    observe_api *a = ctx;
    sx_collect_value(into, NULL, 0, (double)atomic_load(&a->subscribers));
}

static void notes_sent(sx_collect *into, void *ctx)
{
    observe_api *a = ctx;
    sx_collect_value(into, NULL, 0, (double)atomic_load(&a->notes_sent));
}

static void build_info(sx_collect *into, void *ctx)
{
    const observe_api *a = ctx;
    const sx_str values[] = {SX_STR("3.14.0"), sx_str_z(a->version), SX_STR("sextant")};
    sx_collect_value(into, values, SX_COUNT_OF(values), 1);
}

static sx_status add_times(observe_api *a, sx_error *err)
{
    static const char *const LABELS[] = {"slice"};
    static const double BOUNDS[] = {0.001, 0.01, 0.1, 0.5, 1, 5, 10, 60};
    const sx_str slices[] = {SX_STR("queue_time"), SX_STR("prepare_time"), SX_STR("inner_eval"),
                             SX_STR("result_sort")};
    sx_metric *metric;
    sx_metric_options options = {.kind = SX_METRIC_HISTOGRAM,
                                 .name = "prometheus_engine_query_duration_histogram_seconds",
                                 .help = "How long the parts of queries took.",
                                 .labels = LABELS,
                                 .label_count = 1,
                                 .bounds = BOUNDS,
                                 .bound_count = SX_COUNT_OF(BOUNDS)};
    sx_status status = sx_metric_new(sx_service_metrics(a->service), &options, &metric, err);
    for (size_t i = 0; i < SX_COUNT_OF(slices) && status == SX_OK; i++)
        a->query_histograms[i] = sx_metric_histogram(metric, &slices[i], 1);
    const sx_metric_options summary = {.kind = SX_METRIC_SUMMARY,
                                       .name = "prometheus_engine_query_duration_seconds",
                                       .help = "How long the parts of queries took.",
                                       .labels = LABELS,
                                       .label_count = 1};
    if (status == SX_OK)
        status = sx_metric_new(sx_service_metrics(a->service), &summary, &metric, err);
    for (size_t i = 0; i < SX_COUNT_OF(slices) && status == SX_OK; i++)
        a->query_times[i] = sx_metric_summary(metric, &slices[i], 1);
    return status;
}

static sx_status add_requests(observe_api *a, sx_error *err)
{
    static const char *const LABELS[] = {"code", "handler"};
    sx_metric_options options = {.kind = SX_METRIC_COUNTER,
                                 .name = "prometheus_http_requests_total",
                                 .help = "Requests answered by the API.",
                                 .labels = LABELS,
                                 .label_count = SX_COUNT_OF(LABELS)};
    return sx_metric_new(sx_service_metrics(a->service), &options, &a->requests, err);
}

void api_metrics_request(const observe_api *a, int status, const char *route)
{
    char code[12];
    int len = snprintf(code, sizeof code, "%d", status);
    const sx_str values[] = {sx_str_of(code, (size_t)len), sx_str_z(route)};
    sx_counter_add(sx_metric_counter(a->requests, values, SX_COUNT_OF(values)), 1);
}

void api_metrics_query(const observe_api *a, const promql_stats *s)
{
    const int64_t times[] = {s->queued_ns, s->prepare_ns + s->select_ns, s->eval_ns, 0};
    for (size_t i = 0; i < SX_COUNT_OF(times); i++) {
        sx_histogram_observe(a->query_histograms[i], (double)times[i] / 1e9);
        sx_summary_observe(a->query_times[i], (double)times[i] / 1e9);
    }
}

sx_status api_metrics_add(observe_api *a, sx_error *err)
{
    static const char *const KIND[] = {"type"}, *const METRIC[] = {"metric"};
    static const char *const BUILD[] = {"version", "revision", "branch"};
    const sx_metric_kind count = SX_METRIC_COUNTER, gauge = SX_METRIC_GAUGE;
    const struct {
        const char *name, *help;
        sx_metric_kind kind;
        void (*collect)(sx_collect *, void *);
        const char *const *labels;
        size_t label_count;
    } ROWS[] = {
        {"prometheus_tsdb_head_series", "Series in the head.", gauge, head_series, NULL, 0},
        {"prometheus_tsdb_head_chunks", "Chunks in the head.", gauge, head_chunks, NULL, 0},
        {"prometheus_tsdb_head_min_time", "Oldest sample of the head, milliseconds.", gauge,
         head_min, NULL, 0},
        {"prometheus_tsdb_head_max_time", "Newest sample of the head, milliseconds.", gauge,
         head_max, NULL, 0},
        {"sextant_tsdb_head_bytes", "Memory that the head takes.", gauge, head_bytes, NULL, 0},
        {"prometheus_tsdb_head_samples_appended_total", "Samples taken.", count, appended, KIND, 1},
        {"prometheus_tsdb_wal_storage_size_bytes", "Size of the log.", gauge, wal_bytes, NULL, 0},
        {"prometheus_tsdb_wal_corruptions_total", "Places where the log was broken.", count,
         wal_corruptions, NULL, 0},
        {"prometheus_tsdb_blocks_loaded", "Blocks that are served.", gauge, blocks_loaded, NULL, 0},
        {"prometheus_tsdb_storage_blocks_bytes", "Size of the blocks.", gauge, block_bytes, NULL,
         0},
        {"prometheus_tsdb_compactions_total", "Compactions done.", count, compactions, NULL, 0},
        {"prometheus_tsdb_compactions_failed_total", "Compactions that failed.", count,
         compactions_failed, NULL, 0},
        {"prometheus_tsdb_out_of_order_samples_total", "Samples refused as out of order.", count,
         out_of_order, NULL, 0},
        {"prometheus_tsdb_out_of_bound_samples_total", "Samples refused as out of bounds.", count,
         out_of_bounds, NULL, 0},
        {"prometheus_tsdb_too_old_samples_total", "Samples refused as too old.", count, too_old,
         NULL, 0},
        {"sextant_tsdb_series_refused_total", "Samples of new series refused by the limits.", count,
         series_limit, NULL, 0},
        {"sextant_tsdb_series_offenders",
         "Series of the metrics that have the most, while new ones have been refused.", gauge,
         offenders, METRIC, 1},
        {"prometheus_tsdb_wal_writes_failed_total",
         "Batches that the log could not take: the disk is full, or broken.", count, wal_failures,
         NULL, 0},
        {"prometheus_ready", "Whether the server is ready.", gauge, is_ready, NULL, 0},
        {"prometheus_config_last_reload_successful", "Whether the last reload succeeded.", gauge,
         reload_good, NULL, 0},
        {"prometheus_config_last_reload_success_timestamp_seconds",
         "When the configuration was last taken up.", gauge, reload_time, NULL, 0},
        {"prometheus_engine_queries", "Queries that run.", gauge, queries_running, NULL, 0},
        {"prometheus_engine_queries_concurrent_max", "Queries that may run at a time.", gauge,
         queries_most, NULL, 0},
        {"sextant_engine_queries_killed_total", "Queries that an operator has ended.", count,
         queries_killed, NULL, 0},
        {"prometheus_api_notification_active_subscribers", "Clients of notifications/live.", gauge,
         note_subscribers, NULL, 0},
        {"prometheus_api_notification_updates_sent_total", "Notifications sent to them.", count,
         notes_sent, NULL, 0},
        {"prometheus_build_info", "The version whose behaviour this is, and our own.", gauge,
         build_info, BUILD, SX_COUNT_OF(BUILD)},
    };
    sx_status status = add_requests(a, err);
    if (status == SX_OK)
        status = add_times(a, err);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS) && status == SX_OK; i++) {
        sx_metric *metric;
        sx_metric_options options = {.kind = ROWS[i].kind,
                                     .name = ROWS[i].name,
                                     .help = ROWS[i].help,
                                     .labels = ROWS[i].labels,
                                     .label_count = ROWS[i].label_count,
                                     .collect = ROWS[i].collect,
                                     .collect_ctx = a};
        status = sx_metric_new(sx_service_metrics(a->service), &options, &metric, err);
    }
    return status;
}
