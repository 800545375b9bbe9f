/* routes.c - which path is whose: one table, for each prefix. */
#include "observe/api/api.h"
#include "observe/auth/auth.h"
#include "observe/api/dash.h"

typedef enum methods {
    GET = 1,
    POST = 2,
    PUT = 4,
    ANY_READ = GET | POST,
    ANY_WRITE = POST | PUT
} methods;

/* Rows of the API are calls on a pool. */
typedef struct route_row {
    const char *path;
    unsigned methods;
    api_work *work;
    enum { OTHERS, QUERIES, INTAKE, READS, COLLECT, TRACES } pool;
} route_row;

static const route_row ROWS[] = {
    {"/api/v1/query", ANY_READ, api_query, QUERIES},
    {"/api/v1/query_range", ANY_READ, api_query_range, QUERIES},
    {"/api/v1/query_exemplars", ANY_READ, api_query_exemplars, OTHERS},
    {"/api/v1/format_query", ANY_READ, api_format_query, OTHERS},
    {"/api/v1/parse_query", ANY_READ, api_parse_query, OTHERS},
    {"/api/v1/labels", ANY_READ, api_labels, OTHERS},
    {"/api/v1/label/:name/values", GET, api_label_values, OTHERS},
    {"/api/v1/series", ANY_READ, api_series, OTHERS},
    {"/api/v1/metadata", GET, api_metadata, OTHERS},
    {"/api/v1/search/metric_names", ANY_READ, api_search_metric_names, OTHERS},
    {"/api/v1/search/label_names", ANY_READ, api_search_label_names, OTHERS},
    {"/api/v1/search/label_values", ANY_READ, api_search_label_values, OTHERS},
    {"/api/v1/scrape_pools", GET, api_scrape_pools, OTHERS},
    {"/api/v1/scrape_pools/config", GET, api_scrape_pool_config, OTHERS},
    {"/api/v1/targets", GET, api_targets, OTHERS},
    {"/api/v1/targets/metadata", GET, api_target_metadata, OTHERS},
    {"/api/v1/targets/relabel_steps", GET, api_relabel_steps, OTHERS},
    {"/api/v1/rules", GET, api_rules, OTHERS},
    {"/api/v1/alerts", GET, api_alerts, OTHERS},
    {"/api/v1/alertmanagers", GET, api_alertmanagers, OTHERS},
    {"/api/v1/features", GET, api_features, OTHERS},
    {"/api/v1/notifications", GET, api_notifications, OTHERS},
    {"/api/v1/status/config", GET, api_status_config, OTHERS},
    {"/api/v1/status/flags", GET, api_status_flags, OTHERS},
    {"/api/v1/status/logs", GET, api_status_logs, OTHERS},
    {"/api/v1/status/buildinfo", GET, api_status_build, OTHERS},
    {"/api/v1/status/runtimeinfo", GET, api_status_runtime, OTHERS},
    {"/api/v1/status/tsdb", GET, api_status_tsdb, OTHERS},
    {"/api/v1/status/tsdb/blocks", GET, api_status_blocks, OTHERS},
    {"/api/v1/admin/tsdb/clean_tombstones", ANY_WRITE, api_clean_tombstones, OTHERS},
    {"/api/v1/admin/tsdb/snapshot", ANY_WRITE, api_snapshot, OTHERS},
    {"/api/v1/status/self_metrics", GET, api_self_metrics, OTHERS},
    {"/api/v1/status/walreplay", GET, api_status_replay, OTHERS},
    {"/api/v1/status/queries", GET, api_status_queries, OTHERS},
    {"/api/v1/admin/queries/:id/kill", ANY_WRITE, api_kill_query, OTHERS},
    {"/api/v1/admin/tsdb/delete_series", ANY_WRITE, api_delete_series, OTHERS},
    {"/federate", GET, api_federate, QUERIES},
    {"/version", GET, api_version, OTHERS},
    {"/collect/host", GET, api_collect_host, COLLECT},
    {"/collect/process", GET, api_collect_process, COLLECT},
    {"/collect/redis", GET, api_collect_redis, COLLECT},
    {"/collect/postgres", GET, api_collect_postgres, COLLECT},
    {"/-/reload", ANY_WRITE, api_reload, OTHERS},
    {"/-/quit", ANY_WRITE, api_quit, OTHERS},
    {"/api/v1/write", POST, api_write, INTAKE},
    {"/api/v1/otlp/v1/metrics", POST, api_otlp, INTAKE},
    {"/api/v1/read", POST, api_read, READS},
    {"/api/v3/services", GET, api_jaeger_v3_services, TRACES},
    {"/api/v3/operations", GET, api_jaeger_v3_operations, TRACES},
    {"/api/v3/dependencies", GET, api_jaeger_v3_dependencies, TRACES},
    {"/api/v3/traces", ANY_READ, api_jaeger_v3_traces, TRACES},
    {"/api/v3/traces/:id", GET, api_jaeger_v3_trace, TRACES},
    {"/api/v3/trace-summaries", ANY_READ, api_jaeger_v3_summaries, TRACES},
    {"/api/traces", GET, api_jaeger_search, TRACES},
    {"/api/traces/:id", GET, api_jaeger_trace, TRACES},
    {"/api/services", GET, api_jaeger_services, TRACES},
    {"/api/services/:service/operations", GET, api_jaeger_service_operations, TRACES},
    {"/api/operations", GET, api_jaeger_operations, TRACES},
    {"/api/dependencies", GET, api_jaeger_dependencies, TRACES},
    {"/api/transform", POST, api_jaeger_transform, TRACES},
    {"/api/archive/:id", POST, api_jaeger_archive, TRACES},
    {"/api/traces/:id/critical-path", GET, api_jaeger_critical_path, TRACES},
    {"/api/compare", GET, api_jaeger_compare, TRACES},
    {"/api/deep-dependencies", GET, api_jaeger_deep_dependencies, TRACES},
    {"/api/quality-metrics", GET, api_jaeger_quality, TRACES},
    {"/api/metrics/latencies", GET, api_jaeger_latencies, QUERIES},
    {"/api/metrics/calls", GET, api_jaeger_calls, QUERIES},
    {"/api/metrics/errors", GET, api_jaeger_errors, QUERIES},
    {"/api/metrics/minstep", GET, api_jaeger_minstep, TRACES},
    {"/tempo/api/traces/:id", GET, api_tempo_trace, TRACES},
    {"/tempo/api/v2/traces/:id", GET, api_tempo_trace_v2, TRACES},
    {"/tempo/api/search", GET, api_tempo_search, TRACES},
    {"/tempo/api/search/tags", GET, api_tempo_tags, TRACES},
    {"/tempo/api/v2/search/tags", GET, api_tempo_tags_v2, TRACES},
    {"/tempo/api/search/tag/:id/values", GET, api_tempo_tag_values, TRACES},
    {"/tempo/api/v2/search/tag/:id/values", GET, api_tempo_tag_values_v2, TRACES},
    {"/tempo/api/metrics/query_range", GET, api_tempo_query_range, TRACES},
    {"/tempo/api/metrics/query", GET, api_tempo_query, TRACES},
    {"/tempo/api/echo", GET, api_tempo_echo, TRACES},
    {"/tempo/api/status/buildinfo", GET, api_tempo_build_info, TRACES},
    {"/tempo/ready", GET, api_tempo_ready, TRACES},
};

/* What a row's handler gets: rows live as long as the service, in its arena. */
typedef struct route_ctx {
    observe_api *api;
    const route_row *row;
    const dash_route *dashboards; /* of a route of these, instead of a row */
} route_ctx;

static void handle(sx_request *r, void *ctx)
{
    const route_ctx *to = ctx;
    observe_api *a = to->api;
    sx_pool *pools[] = {[OTHERS] = a->others, [TRACES] = a->tracing, [QUERIES] = a->queries,
                        [INTAKE] = a->intake, [READS] = a->reads,    [COLLECT] = a->collecting};
    api_call_start(a, r, pools[to->row->pool], to->row->work);
}

static void handle_dashboards(sx_request *r, void *ctx)
{
    const route_ctx *to = ctx;
    dash_http_start(to->api, r, to->dashboards);
}

/* ---- what needs no thread ---- */

static const sx_str PLAIN = SX_STR_INIT("text/plain; charset=utf-8");

static void healthy(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, PLAIN, SX_STR("Prometheus Server is Healthy.\n"));
}

/* Ready from the first moment, also while the log is replayed: a query that needs what has not been read
 * yet waits for it, and so does the first write. */
static void ready(sx_request *r, void *ctx)
{
    const route_ctx *to = ctx;
    bool stopping = atomic_load(&to->api->stopping);
    if (!stopping) {
        sx_reply(r, 200, PLAIN, SX_STR("Prometheus Server is Ready.\n"));
        return;
    }
    (void)sx_reply_header(r, SX_STR("X-Prometheus-Stopping"),
                          stopping ? SX_STR("true") : SX_STR("false"));
    sx_reply(r, 503, PLAIN, SX_STR("Service Unavailable"));
}

static void only_writes(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 405, PLAIN, SX_STR("Only POST or PUT requests allowed"));
}

/* What a browser asks before it lets a page ask. */
static void preflight(sx_request *r, void *ctx)
{
    const route_ctx *to = ctx;
    api_add_cors(to->api, r);
    sx_reply(r, 204, SX_STR(""), SX_STR(""));
}

static void live(sx_request *r, void *ctx)
{
    api_notifications_live(r, ((const route_ctx *)ctx)->api);
}

/* Handlers of the interface get the site as their context, these rows' is a route_ctx. */
static void page(sx_request *r, void *ctx)
{
    ui_page(r, &((const route_ctx *)ctx)->api->site);
}

static void root(sx_request *r, void *ctx)
{
    ui_root(r, &((const route_ctx *)ctx)->api->site);
}

static void file(sx_request *r, void *ctx)
{
    ui_file(r, &((const route_ctx *)ctx)->api->site);
}

static void openapi(sx_request *r, void *ctx)
{
    api_openapi(r, ((const route_ctx *)ctx)->api);
}

void api_not_found(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 404, PLAIN, SX_STR("404 page not found\n"));
}

/* ---- the table ---- */

typedef struct filling {
    observe_api *api;
    sx_str prefix;
    size_t strip; /* bytes left out of the paths' beginnings */
    sx_arena *arena;
    sx_route *rows;
    size_t count;
} filling;

static sx_status add(filling *f, int method, const char *path, sx_handler *handler,
                     const route_row *row, unsigned flags, sx_error *err)
{
    sx_assert(f->count < API_ROUTES_MAX);
    route_ctx *ctx = sx_arena_alloc(f->arena, sizeof *ctx);
    sx_str whole = sx_arena_printf(f->arena, "%.*s%s", SX_ARG(f->prefix), path + f->strip);
    if (!ctx || !whole.data)
        return sx_fail_memory(err, "routes");
    *ctx = (route_ctx){.api = f->api, .row = row};
    f->rows[f->count++] = (sx_route){
        .method = method,
        .path = whole.data,
        .handler = handler,
        .ctx = ctx,
        .flags = flags | (f->prefix.len ? AUTH_ROUTE_PREFIXED : 0u),
        .body_bytes_max = row && row->pool == INTAKE ? API_WRITE_BYTES_MAX : API_FORM_BYTES_MAX};
    return SX_OK;
}

static sx_status add_row(filling *f, const route_row *row, sx_error *err)
{
    static const struct {
        unsigned bit;
        int method;
    } METHODS[] = {{GET, SX_GET}, {POST, SX_POST}, {PUT, SX_PUT}};
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(METHODS) && status == SX_OK; i++)
        if (row->methods & METHODS[i].bit)
            status = add(f, METHODS[i].method, row->path, handle, row,
                         row->pool == INTAKE ? SX_ROUTE_UNTRACED : 0, err);
    if (status == SX_OK && sx_str_starts(sx_str_z(row->path), SX_STR("/api/")))
        status = add(f, SX_OPTIONS, row->path, preflight, row, 0, err);
    return status;
}

/* A dashboard's body is as large as one may be, and what is around it. Without a preflight's answer no page
 * of another origin can change any. */
static sx_status add_dashboards(filling *f, const dash_route *route, sx_error *err)
{
    sx_status status = add(f, route->method, route->path, handle_dashboards, NULL, 0, err);
    if (status != SX_OK)
        return status;
    sx_route *made = &f->rows[f->count - 1];
    ((route_ctx *)made->ctx)->dashboards = route;
    uint64_t bytes = f->api->flags ? f->api->flags->dashboards_size_max : 0;
    made->body_bytes_max = bytes > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)bytes;
    made->body_bytes_max += API_DASHBOARD_REST_BYTES;
    return SX_OK;
}

/* Grafana's way to a data source by its uid or number: what is read of our own three, by the same handlers.
 * What changes something is not among it. */
static sx_status add_proxies(filling *f, sx_error *err)
{
    static const struct {
        const char *uid, *id,
            *path; /* rows whose path it is, or with a slash at its end begins so */
        size_t strip;
    } PROXIES[] = {
        {"prometheus", "1", "/api/v1/query", 0},
        {"prometheus", "1", "/api/v1/query_range", 0},
        {"prometheus", "1", "/api/v1/query_exemplars", 0},
        {"prometheus", "1", "/api/v1/format_query", 0},
        {"prometheus", "1", "/api/v1/parse_query", 0},
        {"prometheus", "1", "/api/v1/labels", 0},
        {"prometheus", "1", "/api/v1/label/", 0},
        {"prometheus", "1", "/api/v1/series", 0},
        {"prometheus", "1", "/api/v1/metadata", 0},
        {"prometheus", "1", "/api/v1/rules", 0},
        {"prometheus", "1", "/api/v1/alerts", 0},
        {"prometheus", "1", "/api/v1/status/buildinfo", 0},
        {"tempo", "2", "/tempo/", sizeof "/tempo" - 1},
        {"jaeger", "3", "/api/services", 0},
        {"jaeger", "3", "/api/services/", 0},
        {"jaeger", "3", "/api/operations", 0},
        {"jaeger", "3", "/api/traces", 0},
        {"jaeger", "3", "/api/traces/", 0},
        {"jaeger", "3", "/api/dependencies", 0},
    };
    sx_str prefix = f->prefix;
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(PROXIES) * 2 && status == SX_OK; i++) {
        sx_str path = sx_str_z(PROXIES[i / 2].path);
        f->strip = PROXIES[i / 2].strip;
        f->prefix =
            sx_arena_printf(f->arena, "%.*s/api/datasources/proxy/%s%s", SX_ARG(prefix),
                            i % 2 ? "" : "uid/", i % 2 ? PROXIES[i / 2].id : PROXIES[i / 2].uid);
        if (!f->prefix.data)
            status = sx_fail_memory(err, "routes");
        for (size_t k = 0; k < SX_COUNT_OF(ROWS) && status == SX_OK; k++) {
            sx_str row = sx_str_z(ROWS[k].path);
            if (sx_str_ends(path, SX_STR("/")) ? sx_str_starts(row, path) : sx_str_eq(row, path))
                status = add_row(f, &ROWS[k], err);
        }
    }
    f->prefix = prefix;
    f->strip = 0;
    return status;
}

sx_status api_routes(observe_api *a, sx_str prefix, sx_arena *arena, sx_route rows[API_ROUTES_MAX],
                     size_t *count, sx_error *err)
{
    static const struct {
        int method;
        const char *path;
        sx_handler *handler;
    } PLAIN_ROWS[] = {
        {SX_GET, "/-/healthy", healthy},
        {SX_GET, "/-/ready", ready},
        {SX_GET, "/-/reload", only_writes},
        {SX_GET, "/-/quit", only_writes},
        {SX_GET, "/api/v1/notifications/live", live},
        {SX_GET, "/api/v1/openapi.yaml", openapi},
        {SX_GET, "/", root},
        {SX_GET, "/assets/:name", file},
    };
    static const route_row METRICS = {"/metrics", GET, api_metrics, OTHERS};
    filling f = {.api = a, .prefix = prefix, .arena = arena, .rows = rows};
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS) && status == SX_OK; i++)
        status = add_row(&f, &ROWS[i], err);
    for (size_t i = 0; i < DASH_ROUTES_COUNT && status == SX_OK; i++)
        status = add_dashboards(&f, &DASH_ROUTES[i], err);
    if (status == SX_OK)
        status = add_proxies(&f, err);
    /* Untraced: the interface's own files would crowd out what one looks for in it. */
    for (size_t i = 0; i < SX_COUNT_OF(PLAIN_ROWS) && status == SX_OK; i++)
        status = add(&f, PLAIN_ROWS[i].method, PLAIN_ROWS[i].path, PLAIN_ROWS[i].handler, NULL,
                     SX_ROUTE_UNLIMITED | SX_ROUTE_UNTRACED, err);
    for (size_t i = 0; i < AUTH_ROUTE_COUNT && status == SX_OK; i++) {
        status = add(&f, AUTH_ROUTES[i].method, AUTH_ROUTES[i].path, AUTH_ROUTES[i].handler, NULL,
                     0, err);
        if (status != SX_OK)
            break;
        f.rows[f.count - 1].ctx = &a->auth; /* which is made later, or never */
        f.rows[f.count - 1].body_bytes_max = AUTH_BODY_MAX;
    }
    for (size_t i = 0; i < UI_PATHS_COUNT && status == SX_OK; i++)
        status =
            add(&f, SX_GET, UI_PATHS[i], page, NULL, SX_ROUTE_UNLIMITED | SX_ROUTE_UNTRACED, err);
    if (status == SX_OK && prefix.len) /* without one the service has this page */
        status = add_row(&f, &METRICS, err);
    if (status == SX_OK && prefix.len) { /* whoever does not know the prefix finds it */
        status = add(&f, SX_GET, "", root, NULL, SX_ROUTE_UNLIMITED, err);
        f.prefix = SX_STR("");
        if (status == SX_OK)
            status = add(&f, SX_GET, "/", root, NULL, SX_ROUTE_UNLIMITED, err);
    }
    *count = f.count;
    return status;
}

sx_status api_routes_below(observe_api *a, const char *const *below, size_t below_count,
                           sx_arena *arena, sx_route rows[API_ROUTES_MAX], size_t *count,
                           sx_error *err)
{
    filling f = {.api = a, .prefix = SX_STR(""), .arena = arena, .rows = rows};
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS) && status == SX_OK; i++)
        for (size_t k = 0; k < below_count && status == SX_OK; k++)
            if (sx_str_starts(sx_str_z(ROWS[i].path), sx_str_z(below[k])))
                status = add_row(&f, &ROWS[i], err);
    *count = f.count;
    return status;
}

sx_status api_routes_tempo(observe_api *a, sx_arena *arena, sx_route rows[API_ROUTES_MAX],
                           size_t *count, sx_error *err)
{
    static const sx_str BELOW = SX_STR_INIT("/tempo");
    filling f = {.api = a, .strip = BELOW.len, .arena = arena, .rows = rows};
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS) && status == SX_OK; i++)
        if (sx_str_starts(sx_str_z(ROWS[i].path), BELOW))
            status = add_row(&f, &ROWS[i], err);
    *count = f.count;
    return status;
}
