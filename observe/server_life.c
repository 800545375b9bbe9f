/* server_life.c - the observatory's parts, made with the service and its loops and ended with them. */
#include <stdio.h>

#include <sextant/file.h>

#include "observe/dashboards_server.h"
#include "observe/rules/notify.h"
#include "observe/rules/rules.h"
#include "observe/scrape/scrape.h"
#include "observe/server_impl.h"

enum {
    QUEUE_MAX = 4096,
    OTHER_THREADS = 4,
    TRACE_THREADS = 32, /* a large trace holds its thread while a slow client takes it */
    CALL_THREADS = 16,  /* each may wait for a slow client */
    READ_THREADS = 100, /* where any number of reads may run */
    COLLECT_QUEUE_MAX = 64,
    START_LOOK_MS = 20
};

static void note_storage(void *ctx, bool warning, const char *line)
{
    const server *s = ctx;
    SX_LOG(sx_service_logger(s->api.service), warning ? SX_LEVEL_WARN : SX_LEVEL_INFO, NULL, line);
}

/* From when on remote ends need not be asked: Prometheus lets two blocks' time pass after the oldest
 * sample here. */
static int64_t local_start(void *ctx)
{
    server *s = ctx;
    sx_arena arena;
    tsdb_block_info *blocks;
    tsdb_stats stats;
    size_t count = 0;
    tsdb_stats_read(s->api.db, &stats);
    int64_t oldest = stats.min_t, margin = 2 * s->flags->block_ms;
    sx_arena_init(&arena, 0, 0);
    if (tsdb_blocks(s->api.db, &arena, &blocks, &count, NULL) != SX_OK)
        count = 0;
    for (size_t i = 0; i < count; i++)
        oldest = blocks[i].min_t < oldest ? blocks[i].min_t : oldest;
    sx_arena_done(&arena);
    return oldest > INT64_MAX - margin ? INT64_MAX : oldest + margin;
}

static sx_status open_storage(server *s, sx_error *err)
{
    tsdb_options options;
    sx_status status = sx_folder_make(s->storage, err);
    if (status == SX_OK)
        status = server_storage_options(s, s->api.config, &options, err);
    options.note = note_storage;
    options.note_context = s;
    if (status == SX_OK)
        status = tsdb_open(s->storage, &options, &s->api.db, err);
    const remote_reader_options reader = {.kit = sx_service_kit(s->api.service),
                                          .local = tsdb_queryable_of(s->api.db),
                                          .local_start = local_start,
                                          .ctx = s};
    if (status == SX_OK)
        status = remote_reader_new(&reader, &s->reader, err);
    if (status == SX_OK)
        s->api.store = remote_reader_queryable(s->reader);
    return status;
}

/* In the reverse order of the set-up; any part may be missing. */
void server_tear_down(sx_service *service, void *ctx)
{
    (void)service;
    server *s = ctx;
    if (s->api.scraper)
        prom_scraper_free(s->api.scraper);
    if (s->api.rules)
        rule_manager_free(s->api.rules);
    s->api.scraper = NULL;
    s->api.rules = NULL;
    remote_sender_free(s->sender);
    s->sender = NULL;
    if (s->api.notifier)
        rule_notifier_free(s->api.notifier);
    s->api.notifier = NULL;
    dash_room_free(s->dashboards);
    s->dashboards = NULL;
    traces_server_free(s->traces);
    s->traces = NULL;
    if (s->api.engine)
        promql_engine_free(s->api.engine);
    s->api.engine = NULL;
    api_writers_free(s->api.writers);
    s->api.writers = NULL;
    auth_free(s->api.auth);
    s->api.auth = NULL;
    remote_reader_free(s->reader);
    s->reader = NULL;
    if (s->api.db)
        tsdb_close(s->api.db);
    s->api.db = NULL;
}

/* What follows the configuration. */
static sx_status make_rooms(server *s, sx_error *err)
{
    const observe_flags *f = s->flags;
    const sx_kit *kit = sx_service_kit(s->api.service);
    tsdb_appendable *into = tsdb_appendable_of(s->api.db);
    const rule_notifier_options notifier = {.kit = kit,
                                            .queue_max = (uint32_t)f->queue_max,
                                            .batch_max = (uint32_t)f->batch_max,
                                            .no_drain_on_stop = !f->drain_queue};
    sx_status status = rule_notifier_new(&notifier, &s->api.notifier, err);
    if (status != SX_OK)
        return status;
    rule_manager_options rules = {.sink = rule_notifier_sink(s->api.notifier),
                                  .kit = kit,
                                  .engine = s->api.engine,
                                  .queryable = s->api.store,
                                  .appendable = into,
                                  .external_url = s->api.external_url,
                                  .outage_tolerance_ms = f->outage_tolerance_ms,
                                  .grace_ms = f->grace_ms,
                                  .resend_ms = f->resend_ms,
                                  .concurrency = (uint32_t)f->rule_concurrency,
                                  .serial = !(f->feature_bits & OBSERVE_FEATURE_CONCURRENT_RULES),
                                  .files = {.features = f->promql_features,
                                            .expand_environment = f->expand_environment,
                                            .environment = s->options->environment}};
    prom_scraper_options scraper = {
        .kit = kit,
        .store = into,
        .type_unit_labels = f->feature_bits & OBSERVE_FEATURE_TYPE_UNIT_LABELS,
        .created_as_zero = f->feature_bits & OBSERVE_FEATURE_CREATED_ZERO,
        .start_times = f->feature_bits & OBSERVE_FEATURE_XOR2};
    status = rule_manager_new(&rules, &s->api.rules, err);
    if (status == SX_OK)
        status = prom_scraper_new(&scraper, &s->api.scraper, err);
    const remote_sender_options sender = {
        .kit = kit, .dir = s->storage, .flush_ms = f->flush_ms ? f->flush_ms : -1};
    return status == SX_OK ? remote_sender_new(&sender, &s->sender, err) : status;
}

/* Nothing is ignored in silence. */
static void tell_idle_flags(const server *s)
{
    const observe_flags *f = s->flags;
    for (size_t i = 0; i < f->idle_count; i++)
        SX_LOG_WARN(sx_service_logger(s->api.service), NULL, "a flag has no effect",
                    sx_field_str("flag", sx_str_z(f->idle[i].name)),
                    sx_field_str("why", sx_str_z(f->idle[i].why)));
}

static sx_admission admit(sx_request *r, const sx_route *route, void *ctx)
{
    return auth_admit(ctx, r, route);
}

sx_status server_set_up(sx_service *service, void *ctx, sx_error *err)
{
    server *s = ctx;
    s->api.service = service;
    api_note_set(&s->api, API_NOTE_STARTING, true);
    tell_idle_flags(s);
    promql_engine_options options = server_engine_options(s, s->api.config);
    const auth_options sign_in = {.config_file = s->flags->auth_config,
                                  .storage = sx_str_z(s->storage),
                                  .external_url = s->api.external_url,
                                  .prefix = s->api.prefix,
                                  .clock = s->api.clock};
    sx_status status = open_storage(s, err);
    if (status == SX_OK)
        status = auth_new(&sign_in, service, &s->api.auth, s->problems, err);
    if (status == SX_OK && s->api.auth)
        sx_service_admit_set(service, admit, s->api.auth);
    if (status == SX_OK)
        status = promql_engine_new(&options, &s->api.engine, err);
    if (status == SX_OK)
        status = api_writers_new(tsdb_appendable_of(s->api.db), s->flags, &s->api.writers, err);
    if (status == SX_OK)
        status = make_rooms(s, err);
    if (status == SX_OK)
        status = api_metrics_add(&s->api, err);
    if (status == SX_OK)
        status = server_config_apply(s, s->api.config, s->problems, err);
    if (status == SX_OK)
        status = traces_server_new(&s->api, s->storage, &s->traces, err);
    if (status == SX_OK)
        status = dash_room_new(&s->api, s->storage, &s->dashboards, err);
    for (size_t i = 1; i < s->flags->listen_count && status == SX_OK; i++) {
        sx_endpoint more = {.proto = "http",
                            .address = s->flags->listen[i],
                            .routes = s->routes,
                            .route_count = s->route_count,
                            .fallback = api_not_found,
                            .web_config = true};
        char proto[32]; /* copied */
        snprintf(proto, sizeof proto, "http%zu", i + 1);
        more.proto = proto;
        status = sx_service_listen(service, &more, err);
    }
    if (status == SX_OK)
        server_note_reload(s, true);
    else
        server_tear_down(service, s);
    return status;
}

/* Rules are evaluated once the samples that they look at are there. */
static void on_start(sx_timer *timer, void *arg)
{
    server *s = arg;
    uint32_t done, all;
    sx_error err = {0};
    if (!tsdb_ready(s->api.db, &done, &all)) {
        sx_timer_start(sx_loop_timers(sx_service_loop(s->api.service, 0)), timer, START_LOOK_MS);
        return;
    }
    api_note_set(&s->api, API_NOTE_STARTING, false);
    if (rule_manager_start(s->api.rules, &err) != SX_OK)
        SX_LOG_ERROR(sx_service_logger(s->api.service), NULL, "rules are not evaluated",
                     sx_field_error(&err));
}

static void free_pools(server *s)
{
    sx_pool **pools[] = {&s->api.queries, &s->api.others, &s->api.calls,     &s->api.tracing,
                         &s->api.intake,  &s->api.reads,  &s->api.collecting};
    for (size_t i = 0; i < SX_COUNT_OF(pools); i++) {
        if (*pools[i])
            sx_pool_free(*pools[i]);
        *pools[i] = NULL;
    }
}

static sx_status first_loop_set_up(server *s, sx_loop *loop, sx_error *err)
{
    int64_t reads = s->flags->read_concurrency;
    const struct {
        sx_pool **pool;
        sx_pool_options options;
    } POOLS[] = {
        {&s->api.queries, {"query", (unsigned)s->flags->query_concurrency, QUEUE_MAX}},
        {&s->api.others, {"api", OTHER_THREADS, QUEUE_MAX}},
        {&s->api.tracing, {"traces", TRACE_THREADS, QUEUE_MAX}},
        {&s->api.calls, {"rpc", CALL_THREADS, QUEUE_MAX}},
        {&s->api.intake, {"intake", 0, QUEUE_MAX}},
        {&s->api.reads, {"read", (unsigned)(reads ? reads : READ_THREADS), QUEUE_MAX}},
        {&s->api.collecting,
         {"collect", (unsigned)s->flags->collect_concurrency, COLLECT_QUEUE_MAX}},
    };
    for (size_t i = 0; i < SX_COUNT_OF(POOLS); i++) {
        sx_status status = sx_pool_new(&POOLS[i].options, POOLS[i].pool, err);
        if (status != SX_OK) {
            free_pools(s);
            return status;
        }
    }
    s->start = (sx_timer){.fn = on_start, .arg = s};
    sx_timer_start(sx_loop_timers(loop), &s->start, 1);
    server_watch_start(s, loop);
    dash_room_loop(s->dashboards, loop);
    return SX_OK;
}

sx_status server_loop_set_up(sx_service *service, sx_loop *loop, void *ctx, void **loop_ctx,
                             sx_error *err)
{
    (void)service;
    server *s = ctx;
    *loop_ctx = s;
    sx_status status = sx_loop_index(loop) == 0 ? first_loop_set_up(s, loop, err) : SX_OK;
    if (status == SX_OK)
        status = auth_loop_set_up(s->api.auth, loop, err);
    return status == SX_OK ? traces_server_loop(s->traces, loop, err) : status;
}

/* No loop runs any more. Threads that still compute are told to end, and waited for; what they post
 * runs when their loops are freed. */
void server_loop_tear_down(sx_service *service, sx_loop *loop, void *ctx, void *loop_ctx)
{
    (void)service;
    (void)loop_ctx;
    server *s = ctx;
    traces_server_loop_end(s->traces, loop);
    auth_loop_tear_down(s->api.auth, loop);
    atomic_store(&s->api.stopping, true);
    if (s->api.queries) {
        api_calls_cancel(&s->api);
        free_pools(s);
    }
    if (sx_loop_index(loop) != 0)
        return;
    sx_timer_stop(sx_loop_timers(loop), &s->start);
    server_watch_stop(s, loop);
    dash_room_loop_end(s->dashboards, loop);
}
