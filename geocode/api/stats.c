/* stats.c - see stats.h. */
#include "geocode/api/stats.h"

#include <stdio.h>

#include "geocode/api/cache.h"

/* What the geocoder usually answers; any other status is resolved when it comes. */
static const int CODES[GEO_STATS_CODES] = {200, 400, 404, 405, 413, 416, 500, 503};

static const sx_str ENDPOINTS[GEO_ENDPOINTS] = {
#define X(name) SX_STR_INIT(#name),
    GEO_ENDPOINT_LIST(X)
#undef X
};

static sx_counter *resolve(const geo_stats *stats, geo_endpoint endpoint, int status)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%d", status);
    const sx_str values[] = {ENDPOINTS[endpoint], sx_str_of(text, (size_t)len)};
    return sx_metric_counter(stats->requests, values, 2);
}

static void collect_hit_rate(sx_collect *into, void *ctx)
{
    geo_stats *stats = ctx;
    geo_cache_rate rates[GEO_CACHE_RATES];
    pthread_mutex_lock(&stats->lock);
    size_t count = stats->cache ? geo_cache_rates(stats->cache, rates) : 0;
    pthread_mutex_unlock(&stats->lock);
    for (size_t i = 0; i < count; i++) {
        sx_str tier = sx_str_z(rates[i].tier);
        uint64_t asked = rates[i].hits + rates[i].misses;
        sx_collect_value(into, &tier, 1, asked ? (double)rates[i].hits / (double)asked : 0);
    }
}

static void collect_connections(sx_collect *into, void *ctx)
{
    const geo_stats *stats = ctx;
    sx_collect_value(into, NULL, 0, sx_service_connections(stats->service));
}

sx_status geo_stats_init(geo_stats *stats, sx_service *service, const struct geo_cache *cache,
                         sx_error *err)
{
    static const char *const BY_STATUS[] = {"endpoint", "status"}, *const BY_TIER[] = {"tier"};
    static const double BOUNDS[] = {1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3,
                                    1e-2, 2.5e-2, 5e-2, 0.1,  0.25,   0.5,  1,    2.5,    10};
    *stats = (geo_stats){
        .cache = cache, .service = service, .lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER};
    sx_metric *times, *ignored;
    struct {
        sx_metric **at;
        sx_metric_options options;
    } rows[] = {
        {&stats->requests,
         {.kind = SX_METRIC_COUNTER,
          .name = "addok_geocoding_requests_total",
          .help = "Requests that the geocoder has answered, by the HTTP status.",
          .labels = BY_STATUS,
          .label_count = 2}},
        {&times,
         {.kind = SX_METRIC_HISTOGRAM,
          .name = "addok_response_time_seconds",
          .help = "Time from a request's head to its answer.",
          .labels = BY_STATUS,
          .label_count = 1,
          .bounds = BOUNDS,
          .bound_count = SX_COUNT_OF(BOUNDS)}},
        {&ignored,
         {.kind = SX_METRIC_GAUGE,
          .name = "addok_active_connections",
          .help = "Client connections open now.",
          .collect = collect_connections,
          .collect_ctx = stats}},
        {&ignored,
         {.kind = SX_METRIC_GAUGE,
          .name = "addok_cache_hit_rate",
          .help = "Share of what a tier of the cache was asked that it had, since the start.",
          .labels = BY_TIER,
          .label_count = 1,
          .collect = collect_hit_rate,
          .collect_ctx = stats}},
    };
    /* Without a cache there is no rate to tell. */
    size_t count = cache ? SX_COUNT_OF(rows) : SX_COUNT_OF(rows) - 1;
    sx_status status = SX_OK;
    for (size_t i = 0; i < count && status == SX_OK; i++)
        status = sx_metric_new(sx_service_metrics(service), &rows[i].options, rows[i].at, err);
    if (status != SX_OK)
        return status;
    for (geo_endpoint e = 0; e < GEO_ENDPOINTS; e++) {
        stats->times[e] = sx_metric_histogram(times, &ENDPOINTS[e], 1);
        stats->counts[e][0] = resolve(stats, e, CODES[0]);
    }
    return SX_OK;
}

void geo_stats_forget_cache(geo_stats *stats)
{
    pthread_mutex_lock(&stats->lock);
    stats->cache = NULL;
    pthread_mutex_unlock(&stats->lock);
}

void geo_stats_count(const geo_stats *stats, sx_request *r, geo_endpoint endpoint, int status)
{
    if (!stats->requests)
        return; /* a test without a registry */
    sx_counter *counter = status == CODES[0] ? stats->counts[endpoint][0] : NULL;
    sx_counter_add(counter ? counter : resolve(stats, endpoint, status), 1);
    int64_t took_ns = sx_clock_mono_ns(sx_loop_clock(r->loop)) - r->start_mono_ns;
    const sx_span *span = sx_request_span(r);
    if (sx_span_recording(span))
        sx_histogram_observe_exemplar(stats->times[endpoint], (double)took_ns * 1e-9,
                                      span->context.trace_id, span->context.span_id);
    else
        sx_histogram_observe(stats->times[endpoint], (double)took_ns * 1e-9);
}
