/* server.c - what the observatory is made of, put together and taken apart.
 *
 *     observe_serve
 *       ├─ prom_config      the file, read before anything is opened
 *       ├─ sx_service_new ─ set_up: database (replays on its own), engine, metrics
 *       ├─ sx_service_run ─ loops; loop_set_up of the first makes the pools and the timer
 *       └─ sx_service_free  loop_tear_down ends the pools, tear_down the rest
 *
 * A reload is serialised by `reload_lock`; readers of the configuration take references. */
#include "observe/server.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <sextant/file.h>
#include <sextant/hash.h>
#include <sextant/mem.h>
#include <sextant/service.h>

#include "observe/api/api.h"
#include "observe/collect/collect.h"
#include "observe/remote/remote.h"
#include "observe/rules/notify.h"
#include "observe/rules/rules.h"
#include "observe/scrape/scrape.h"
#include "observe/traces_server.h"

enum {
    KIT_FLAGS_MAX = OBSERVE_KIT_FLAGS_MAX + 16,
    QUEUE_MAX = 4096,
    OTHER_THREADS = 4,
    TRACE_THREADS = 32, /* a large trace holds its thread while a slow client takes it */
    CALL_THREADS = 16,  /* each may wait for a slow client */
    THREADS_MAX = 1000,
    READ_THREADS = 100, /* where any number of reads may run */
    COLLECT_QUEUE_MAX = 64,
    START_LOOK_MS = 20
};

typedef struct server {
    const observe_options *options;
    const observe_flags *flags;
    observe_api api;
    pthread_mutex_t reload_lock;
    sx_arena arena;
    sx_route routes[API_ROUTES_MAX];
    size_t route_count;
    sx_timer watch;   /* the first loop's: --config.auto-reload */
    sx_timer start;   /* the first loop's: until the log has been replayed */
    sx_buf *problems; /* of the start */
    remote_sender *sender;
    traces_server *traces;
    remote_reader *reader;
    prom_config *kept_config;   /* whose rules of retention the database borrows, by reload_lock */
    tsdb_retention_rule *rules; /* its rules, heap */
    bool watching;              /* that loop's: a look is under way */
    uint64_t seen;              /* what the watched files were, by reload_lock */
    collect_site_options collect;
    char storage[4096];
} server;

/* ---- configuration ---- */

static sx_status load_config(const server *s, prom_config **out, sx_buf *problems, sx_error *err)
{
    char path[4096];
    if (s->flags->config_file.len >= sizeof path)
        return sx_fail(err, SX_ELIMIT, "--config.file: the path is too long");
    snprintf(path, sizeof path, "%.*s", SX_ARG(s->flags->config_file));
    prom_config_options options = {.expand_environment = s->flags->expand_environment,
                                   .environment = s->options->environment,
                                   .extra_metrics =
                                       s->flags->feature_bits & OBSERVE_FEATURE_EXTRA_METRICS};
    return prom_config_load(path, &options, out, problems, err);
}

static promql_engine_options engine_options(const server *s, const prom_config *config)
{
    const observe_flags *f = s->flags;
    return (promql_engine_options){.features = f->promql_features,
                                   .lookback_ms = f->lookback_ms,
                                   .timeout_ms = f->query_timeout_ms,
                                   .samples_max = (uint64_t)f->query_samples_max,
                                   .memory_max = f->query_memory_max,
                                   .concurrency_max = (uint32_t)f->query_concurrency,
                                   .default_step_ms = config->evaluation_interval_ms,
                                   .slow_ms = f->query_slow_ms,
                                   .log = sx_service_logger(s->api.service)};
}

/* A number that changes when one of the files does: names, sizes, times. */
static uint64_t look_at(const prom_config *config)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i <= config->rule_file_count; i++) {
        char pattern[4096];
        glob_t found = {0};
        sx_str name = i ? config->rule_files[i - 1] : config->path;
        snprintf(pattern, sizeof pattern, "%.*s", SX_ARG(name));
        if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc; k++) {
                struct stat st;
                if (stat(found.gl_pathv[k], &st) != 0)
                    continue;
                uint64_t parts[] = {(uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
                                    (uint64_t)st.st_mtim.tv_nsec, (uint64_t)st.st_ino};
                sum += sx_hash(sx_str_of(parts, sizeof parts), 0);
            }
        }
        globfree(&found);
    }
    return sum;
}

static tsdb_options storage_options(const server *s, const prom_config *c)
{
    const observe_flags *f = s->flags;
    static const char *const FSYNC[] = {[TSDB_FSYNC_INTERVAL] = "interval",
                                        [TSDB_FSYNC_ALWAYS] = "always",
                                        [TSDB_FSYNC_NONE] = "none"};
    tsdb_options o = {
        .retention_ms = c->storage.retention_ms ? c->storage.retention_ms : f->retention_ms,
        .retention_bytes =
            c->storage.retention_bytes ? c->storage.retention_bytes : f->retention_bytes,
        .block_ms = f->block_ms,
        .block_ms_max = f->block_ms_max,
        .out_of_order_ms = c->storage.out_of_order_ms == 0  ? -1
                           : c->storage.out_of_order_ms > 0 ? c->storage.out_of_order_ms
                                                            : 0,
        .memory_max = f->memory_max,
        .series_max = (uint64_t)f->series_max,
        .exemplars_max = c->exemplars_max,
        .wal_segment_bytes = f->wal_segment_bytes,
        .wal_packing = !f->wal_compression                           ? TSDB_WAL_PLAIN
                       : sx_str_eq(f->wal_packing, SX_STR("snappy")) ? TSDB_WAL_SNAPPY
                                                                     : TSDB_WAL_ZSTD,
        .xor2 = c->storage.xor2 || (f->feature_bits & OBSERVE_FEATURE_XOR2)};
    for (size_t i = 0; i < SX_COUNT_OF(FSYNC); i++)
        if (sx_str_eq(f->fsync, sx_str_z(FSYNC[i])))
            o.fsync = (tsdb_fsync)i;
    return o;
}

/* A share of the disk that the store lies on goes before a number of bytes, as in Prometheus. */
static void take_share(const server *s, const prom_config *c, tsdb_options *options)
{
    struct statvfs disk;
    double percent = c->storage.retention_percent;
    if (percent > 0 && statvfs(s->storage, &disk) == 0)
        options->retention_bytes =
            (uint64_t)((double)disk.f_blocks * (double)disk.f_frsize * percent / 100);
}

/* The rules of retention of a configuration, heap; the matchers are the configuration's. */
static sx_status make_rules(const prom_config *c, tsdb_retention_rule **out, sx_error *err)
{
    tsdb_retention_rule *rules = sx_calloc(c->storage.rule_count + 1, sizeof *rules);
    *out = rules;
    if (!rules)
        return sx_fail_memory(err, "retention rules");
    for (uint32_t i = 0; i < c->storage.rule_count; i++)
        rules[i] =
            (tsdb_retention_rule){c->storage.rules[i].matchers, c->storage.rules[i].matcher_count,
                                  c->storage.rules[i].keep_ms};
    return SX_OK;
}

/* The database's options as a configuration has them; what they borrow lives until the next call. */
static sx_status take_retention(server *s, prom_config *config, tsdb_options *options,
                                sx_error *err)
{
    tsdb_retention_rule *rules;
    sx_status status = make_rules(config, &rules, err);
    if (status != SX_OK)
        return status;
    options->rules = rules;
    options->rule_count = config->storage.rule_count;
    take_share(s, config, options);
    if (s->api.db)
        tsdb_set_retention(s->api.db, options);
    sx_free(s->rules);
    prom_config_unref(s->kept_config);
    s->rules = rules;
    s->kept_config = prom_config_ref(config);
    return SX_OK;
}

/* Everything that follows the configuration takes it; the first that cannot ends the round. */
static sx_status apply(server *s, prom_config *config, sx_buf *problems, sx_error *err)
{
    sx_status status = api_query_log_open(s->api.query_log, config->query_log_file, err);
    if (status != SX_OK)
        return status;
    promql_engine_options options = engine_options(s, config);
    promql_engine_update(s->api.engine, &options);
    status = rule_manager_apply(s->api.rules, config, problems, err);
    if (status == SX_OK)
        status = rule_notifier_apply(s->api.notifier, config, err);
    if (status == SX_OK)
        status = remote_reader_apply(s->reader, config, err);
    if (status == SX_OK) /* before new samples come: an entry sends what is written from now on */
        status = remote_sender_apply(s->sender, config, err);
    tsdb_options storage = storage_options(s, config);
    if (status == SX_OK && config != s->kept_config)
        status = take_retention(s, config, &storage, err);
    return status == SX_OK ? prom_scraper_apply(s->api.scraper, config, err) : status;
}

static void note_reload(server *s, bool good)
{
    pthread_mutex_lock(&s->api.lock);
    s->api.reload_good = good;
    if (good)
        s->api.reload_ms = sx_clock_ms(s->api.clock);
    pthread_mutex_unlock(&s->api.lock);
    api_note_set(&s->api, API_NOTE_RELOAD_FAILED, !good);
}

static sx_status reload_locked(server *s, sx_error *err)
{
    prom_config *fresh;
    sx_status status = load_config(s, &fresh, NULL, err);
    if (status != SX_OK)
        return status;
    status = collect_site_reload(s->api.collectors, NULL, err);
    if (status == SX_OK)
        status = traces_server_reload(s->traces, err);
    if (status == SX_OK)
        status = apply(s, fresh, NULL, err);
    if (status != SX_OK) {
        prom_config_unref(fresh);
        return status;
    }
    s->seen = look_at(fresh);
    pthread_mutex_lock(&s->api.lock);
    prom_config *old = s->api.config;
    s->api.config = fresh;
    pthread_mutex_unlock(&s->api.lock);
    prom_config_unref(old);
    return SX_OK;
}

/* Any thread; waits for a reload under way. */
static sx_status reload(void *ctx, sx_error *err)
{
    server *s = ctx;
    sx_logger *log = sx_service_logger(s->api.service);
    sx_error own = {0};
    pthread_mutex_lock(&s->reload_lock);
    sx_status status = reload_locked(s, &own);
    note_reload(s, status == SX_OK);
    pthread_mutex_unlock(&s->reload_lock);
    if (status == SX_OK)
        SX_LOG_INFO(log, NULL, "configuration taken up",
                    sx_field_str("file", s->flags->config_file));
    else
        SX_LOG_ERROR(log, NULL, "configuration not taken up; the old one stays",
                     sx_field_error(&own));
    if (err)
        *err = own;
    return status;
}

static sx_status on_reload(sx_service *service, void *ctx, const void *fresh, sx_error *err)
{
    (void)service;
    (void)fresh;
    return reload(ctx, err);
}

/* ---- watching the files ---- */

static void look(void *arg)
{
    server *s = arg;
    prom_config *config = observe_api_config(&s->api);
    uint64_t now = look_at(config);
    prom_config_unref(config);
    pthread_mutex_lock(&s->reload_lock);
    bool changed = now != s->seen;
    s->seen = now; /* a broken file is told once, not at each look */
    pthread_mutex_unlock(&s->reload_lock);
    if (changed)
        (void)reload(s, NULL);
}

static void looked(sx_loop *loop, void *arg)
{
    (void)loop;
    ((server *)arg)->watching = false;
}

static void on_watch(sx_timer *timer, void *arg)
{
    server *s = arg;
    sx_loop *loop = sx_service_loop(s->api.service, 0);
    if (!s->watching)
        s->watching = sx_pool_submit(s->api.others, loop, look, looked, s, NULL) == SX_OK;
    sx_timer_start(sx_loop_timers(loop), timer, s->flags->auto_reload_ms);
}

static bool watches(const server *s)
{
    return (s->flags->auto_reload || (s->flags->feature_bits & OBSERVE_FEATURE_AUTO_RELOAD)) &&
           s->flags->auto_reload_ms > 0;
}

/* ---- life ---- */

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
    tsdb_options options = storage_options(s, s->api.config);
    options.note = note_storage;
    options.note_context = s;
    sx_status status = sx_folder_make(s->storage, err);
    if (status == SX_OK)
        status = take_retention(s, s->api.config, &options, err);
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

/* In the reverse order of set_up; any part may be missing. */
static void tear_down(sx_service *service, void *ctx)
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
    traces_server_free(s->traces);
    s->traces = NULL;
    if (s->api.engine)
        promql_engine_free(s->api.engine);
    s->api.engine = NULL;
    api_writers_free(s->api.writers);
    s->api.writers = NULL;
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

static sx_status set_up(sx_service *service, void *ctx, sx_error *err)
{
    server *s = ctx;
    s->api.service = service;
    api_note_set(&s->api, API_NOTE_STARTING, true);
    tell_idle_flags(s);
    promql_engine_options options = engine_options(s, s->api.config);
    sx_status status = open_storage(s, err);
    if (status == SX_OK)
        status = promql_engine_new(&options, &s->api.engine, err);
    if (status == SX_OK)
        status = api_writers_new(tsdb_appendable_of(s->api.db), s->flags, &s->api.writers, err);
    if (status == SX_OK)
        status = make_rooms(s, err);
    if (status == SX_OK)
        status = api_metrics_add(&s->api, err);
    if (status == SX_OK)
        status = apply(s, s->api.config, s->problems, err);
    if (status == SX_OK)
        status = traces_server_new(&s->api, s->storage, &s->traces, err);
    for (size_t i = 1; i < s->flags->listen_count && status == SX_OK; i++) {
        sx_endpoint more = {.proto = "http",
                            .address = s->flags->listen[i],
                            .routes = s->routes,
                            .route_count = s->route_count,
                            .fallback = api_not_found,
                            .web_config = true};
        char proto[16];
        snprintf(proto, sizeof proto, "http%zu", i + 1);
        more.proto = proto;
        status = sx_service_listen(service, &more, err);
    }
    if (status == SX_OK)
        note_reload(s, true);
    else
        tear_down(service, s);
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
    if (watches(s)) {
        s->watch = (sx_timer){.fn = on_watch, .arg = s};
        sx_timer_start(sx_loop_timers(loop), &s->watch, s->flags->auto_reload_ms);
    }
    return SX_OK;
}

static sx_status loop_set_up(sx_service *service, sx_loop *loop, void *ctx, void **loop_ctx,
                             sx_error *err)
{
    (void)service;
    server *s = ctx;
    *loop_ctx = s;
    sx_status status = sx_loop_index(loop) == 0 ? first_loop_set_up(s, loop, err) : SX_OK;
    return status == SX_OK ? traces_server_loop(s->traces, loop, err) : status;
}

/* No loop runs any more. Threads that still compute are told to end, and waited for; what they post
 * runs when their loops are freed. */
static void loop_tear_down(sx_service *service, sx_loop *loop, void *ctx, void *loop_ctx)
{
    (void)service;
    (void)loop_ctx;
    server *s = ctx;
    traces_server_loop_end(s->traces, loop);
    atomic_store(&s->api.stopping, true);
    if (s->api.queries) {
        api_calls_cancel(&s->api);
        free_pools(s);
    }
    if (sx_loop_index(loop) != 0)
        return;
    sx_timer_stop(sx_loop_timers(loop), &s->start);
    if (watches(s))
        sx_timer_stop(sx_loop_timers(loop), &s->watch);
}

/* ---- the service ---- */

/* The kit's own settings, where a metrics server's usual ones differ. */
static const sx_service_default DEFAULTS[] = {
    {"access_log", "off"},
    {"http.target_bytes_max", NULL, 256 << 10}, /* queries in addresses are long */
    {"http.header_bytes_max", NULL, 512 << 10},
    {"http.gzip_level", NULL, 1},
    {"metrics.series_max", NULL, 10000},
};

static sx_service_def definition(server *s)
{
    return (sx_service_def){.name = "observe",
                            .version = s->options ? s->options->version : "",
                            .summary = "metrics, rules and alerts with Prometheus's API",
                            .listen = "127.0.0.1:9090",
                            .defaults = DEFAULTS,
                            .default_count = SX_COUNT_OF(DEFAULTS),
                            .routes = s->routes,
                            .route_count = s->route_count,
                            .fallback = api_not_found,
                            .pages_on_main = true,
                            .ctx = s,
                            .setup = set_up,
                            .teardown = tear_down,
                            .loop_setup = loop_set_up,
                            .loop_teardown = loop_tear_down,
                            .reload = on_reload};
}

/* Our flags that are the kit's settings under other names. */
static sx_status kit_flags(server *s, const char **out, size_t *count, sx_error *err)
{
    const observe_flags *f = s->flags;
    sx_arena *a = &s->arena;
    size_t n = 0;
    sx_str made[] = {
        sx_arena_printf(a, "--listen=%.*s", SX_ARG(f->listen[0])),
        sx_arena_printf(a, "--log.level=%.*s", SX_ARG(f->log_level)),
        sx_arena_printf(a, "--log.form=%s",
                        sx_str_eq(f->log_format, SX_STR("json")) ? "json" : "console"),
        sx_arena_printf(a, "--http.body_ms_max=%lld", (long long)f->read_timeout_ms),
        sx_arena_printf(a, "--http.idle_ms_max=%lld", (long long)f->read_timeout_ms),
        sx_arena_printf(a, "--http.connections_max=%lld", (long long)f->connections_max),
        f->web_config_file.len
            ? sx_arena_printf(a, "--web.config.file=%.*s", SX_ARG(f->web_config_file))
            : SX_STR(""),
    };
    for (size_t i = 0; i < SX_COUNT_OF(made); i++) {
        if (!made[i].data)
            return sx_fail_memory(err, "settings");
        if (made[i].len)
            out[n++] = made[i].data;
    }
    for (size_t i = 0; i < f->kit_count; i++)
        out[n++] = f->kit[i]; /* the later one counts: they may say something else */
    *count = n;
    return SX_OK;
}

/* "/x" of --web.route-prefix, or of the path of --web.external-url; "" for the root. */
static sx_str path_prefix(const observe_flags *f, sx_arena *arena)
{
    sx_str path = f->route_prefix;
    if (!path.len && f->external_url.len) {
        size_t at = sx_str_find(f->external_url, SX_STR("://"));
        sx_str rest = sx_str_from(f->external_url, at < f->external_url.len ? at + 3 : 0);
        path = sx_str_from(rest, sx_str_find_byte(rest, '/'));
    }
    while (path.len && path.data[path.len - 1] == '/')
        path.len--;
    while (path.len && path.data[0] == '/')
        path = sx_str_from(path, 1);
    return path.len ? sx_arena_printf(arena, "/%.*s", SX_ARG(path)) : SX_STR("");
}

/* --web.external-url, or where we listen by the machine's name. */
static sx_str external_url(const observe_flags *f, sx_str prefix, sx_arena *arena)
{
    char host[256] = "localhost";
    sx_str url = f->external_url, listen = f->listen[0];
    if (url.len) {
        while (url.len && url.data[url.len - 1] == '/')
            url.len--;
        return url;
    }
    size_t colon = listen.len;
    while (colon && listen.data[colon - 1] != ':')
        colon--;
    if (gethostname(host, sizeof host - 1) != 0)
        snprintf(host, sizeof host, "localhost");
    return sx_arena_printf(arena, "http://%s:%.*s%.*s", host, SX_ARG(sx_str_from(listen, colon)),
                           SX_ARG(prefix));
}

static sx_status prepare(server *s, sx_buf *problems, sx_error *err)
{
    const observe_flags *f = s->flags;
    sx_str path = f->storage_path;
    while (path.len > 1 && path.data[path.len - 1] == '/')
        path.len--;
    if (!path.len || path.len >= sizeof s->storage)
        return sx_fail(err, SX_EINVAL, "--storage.tsdb.path: name a folder");
    snprintf(s->storage, sizeof s->storage, "%.*s", SX_ARG(path));
    sx_str anchored = sx_arena_printf(&s->arena, "%.*s", SX_ARG(f->cors_origin));
    sx_status status = sx_regex_new(&s->api.cors, anchored, NULL, err);
    if (status != SX_OK)
        return sx_error_prefix(err, SX_EINVAL, "--web.cors.origin");
    s->api.prefix = path_prefix(f, &s->arena);
    s->api.external_url = external_url(f, s->api.prefix, &s->arena);
    s->problems = problems;
    if (f->query_concurrency < 1 || f->query_concurrency > THREADS_MAX)
        return sx_fail(err, SX_EINVAL, "--query.max-concurrency: from 1 to %d", THREADS_MAX);
    if (f->read_concurrency > THREADS_MAX)
        return sx_fail(err, SX_EINVAL, "--storage.remote.read-concurrent-limit: at most %d",
                       THREADS_MAX);
    if (f->collect_concurrency < 1 || f->collect_concurrency > THREADS_MAX)
        return sx_fail(err, SX_EINVAL, "--collect.concurrency: from 1 to %d", THREADS_MAX);
    s->collect = (collect_site_options){.file = f->collect_file,
                                        .redis = f->collect_redis,
                                        .postgres = f->collect_postgres,
                                        .ms_max = f->collect_ms};
    status = api_query_log_new(&s->api.query_log, err);
    if (status == SX_OK)
        status = collect_site_new(&s->collect, &s->api.collectors, problems, err);
    if (status == SX_OK)
        status = api_routes(&s->api, s->api.prefix, &s->arena, s->routes, &s->route_count, err);
    if (status == SX_OK)
        status = load_config(s, &s->api.config, problems, err);
    if (status == SX_OK)
        s->seen = look_at(s->api.config);
    return status;
}

static sx_status run(server *s, sx_buf *problems, sx_error *err)
{
    sx_service *service = NULL;
    sx_service_def def = definition(s);
    const char *flags[KIT_FLAGS_MAX];
    size_t count = 0;
    sx_status status = kit_flags(s, flags, &count, err);
    if (status != SX_OK)
        return status;
    sx_service_options options = {
        .flags = flags, .flag_count = count, .environment = s->options->environment};
    status = sx_service_new(&def, &options, &service, problems, err);
    if (status == SX_OK)
        status = sx_service_run(service, err);
    sx_service_free(service);
    return status;
}

sx_status observe_serve(const observe_options *options, sx_buf *problems, sx_error *err)
{
    server s = {.options = options, .flags = options->flags};
    s.api = (observe_api){.flags = options->flags,
                          .version = options->version,
                          .clock = sx_clock_system(),
                          .reload = reload,
                          .reload_ctx = &s};
    s.api.start_ns = sx_clock_ns(s.api.clock);
    pthread_mutex_init(&s.reload_lock, NULL);
    pthread_mutex_init(&s.api.lock, NULL);
    sx_arena_init(&s.arena, 0, 0);
    sx_status status = prepare(&s, problems, err);
    if (status == SX_OK)
        status = run(&s, problems, err);
    sx_free(s.rules);
    if (s.kept_config)
        prom_config_unref(s.kept_config);
    if (s.api.config)
        prom_config_unref(s.api.config);
    api_query_log_free(s.api.query_log);
    collect_site_free(s.api.collectors);
    sx_regex_free(s.api.cors);
    sx_arena_done(&s.arena);
    pthread_mutex_destroy(&s.api.lock);
    pthread_mutex_destroy(&s.reload_lock);
    return status;
}

void observe_settings_help(sx_buf *out)
{
    server s = {0};
    sx_service_def def = definition(&s);
    sx_service_help(&def, out);
}
