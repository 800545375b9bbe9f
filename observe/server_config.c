/* server_config.c - prometheus.yml and the files beside it: read, checked, taken up, watched.
 *
 * A reload reads and checks every part before any is taken up, so that a fault in one file leaves all
 * as it was. It is serialised by `reload_lock`; readers of the configuration take references. */
#include <glob.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/dashboards_server.h"
#include "observe/rules/notify.h"
#include "observe/rules/rules.h"
#include "observe/scrape/http_target.h"
#include "observe/scrape/scrape.h"
#include "observe/server_impl.h"

sx_status server_config_load(const server *s, prom_config **out, sx_buf *problems, sx_error *err)
{
    char path[4096];
    if (s->flags->config_file.len >= sizeof path)
        return sx_fail(err, SX_ELIMIT, "--config.file: the path is too long");
    snprintf(path, sizeof path, "%.*s", SX_ARG(s->flags->config_file));
    prom_config_options options = {.expand_environment = s->flags->expand_environment,
                                   .environment = s->options->environment,
                                   .extra_metrics =
                                       s->flags->feature_bits & OBSERVE_FEATURE_EXTRA_METRICS};
    size_t told = problems ? problems->len : 0;
    sx_status st = prom_config_load(path, &options, out, problems, err);
    if (st == SX_ENOTFOUND || st == SX_EACCESS) { /* who gave no flag did not name it either */
        sx_error_prefix(err, st, "--config.file");
        if (problems) /* once, with the flag in front */
            problems->len = told;
    }
    return st;
}

promql_engine_options server_engine_options(const server *s, const prom_config *config)
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

uint64_t server_config_look(const prom_config *config)
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

sx_status server_storage_options(server *s, prom_config *config, tsdb_options *out, sx_error *err)
{
    *out = storage_options(s, config);
    return take_retention(s, config, out, err);
}

sx_status server_config_apply(server *s, prom_config *config, sx_buf *problems, sx_error *err)
{
    sx_status status = api_query_log_open(s->api.query_log, config->query_log_file, err);
    if (status != SX_OK)
        return status;
    promql_engine_options options = server_engine_options(s, config);
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

void server_note_reload(server *s, bool good)
{
    pthread_mutex_lock(&s->api.lock);
    s->api.reload_good = good;
    if (good)
        s->api.reload_ms = sx_clock_ms(s->api.clock);
    pthread_mutex_unlock(&s->api.lock);
    api_note_set(&s->api, API_NOTE_RELOAD_FAILED, !good);
}

/* Whether all that a reload takes up could be: nothing has changed if not. */
static sx_status check(server *s, prom_config *config, sx_error *err)
{
    sx_status status = api_query_log_check(config->query_log_file, err);
    if (status == SX_OK)
        status = prom_scraper_check(config, err);
    if (status == SX_OK)
        status = prom_http_check_all(config, err);
    if (status == SX_OK)
        status = rule_manager_check(s->api.rules, config, err);
    if (status == SX_OK)
        status = collect_site_check(s->api.collectors, err);
    if (status == SX_OK)
        status = auth_check(s->api.auth, err);
    return status == SX_OK ? traces_server_check(s->traces, err) : status;
}

/* After the checks only memory, threads and files that change meanwhile can fail. The traces come first:
 * an exporter that cannot be made is found out by making it. */
static sx_status reload_locked(server *s, sx_error *err)
{
    prom_config *fresh;
    sx_status status = server_config_load(s, &fresh, NULL, err);
    if (status != SX_OK)
        return status;
    status = check(s, fresh, err);
    if (status == SX_OK)
        status = traces_server_reload(s->traces, err);
    if (status == SX_OK)
        status = collect_site_reload(s->api.collectors, NULL, err);
    if (status == SX_OK)
        status = auth_reload(s->api.auth, err);
    if (status == SX_OK)
        status = server_config_apply(s, fresh, NULL, err);
    if (status != SX_OK) {
        prom_config_unref(fresh);
        return status;
    }
    s->seen = server_config_look(fresh);
    pthread_mutex_lock(&s->api.lock);
    prom_config *old = s->api.config;
    s->api.config = fresh;
    pthread_mutex_unlock(&s->api.lock);
    prom_config_unref(old);
    return SX_OK;
}

/* Any thread; waits for a reload under way. */
sx_status server_reload(void *ctx, sx_error *err)
{
    server *s = ctx;
    sx_logger *log = sx_service_logger(s->api.service);
    sx_error own = {0};
    pthread_mutex_lock(&s->reload_lock);
    sx_status status = reload_locked(s, &own);
    server_note_reload(s, status == SX_OK);
    pthread_mutex_unlock(&s->reload_lock);
    dash_room_reload(s->dashboards);
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

/* --- Watching the files. */

static void look(void *arg)
{
    server *s = arg;
    prom_config *config = observe_api_config(&s->api);
    uint64_t now = server_config_look(config);
    prom_config_unref(config);
    pthread_mutex_lock(&s->reload_lock);
    bool changed = now != s->seen;
    s->seen = now; /* a broken file is told once, not at each look */
    pthread_mutex_unlock(&s->reload_lock);
    if (changed)
        (void)server_reload(s, NULL);
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

void server_watch_start(server *s, sx_loop *loop)
{
    if (!watches(s))
        return;
    s->watch = (sx_timer){.fn = on_watch, .arg = s};
    sx_timer_start(sx_loop_timers(loop), &s->watch, s->flags->auto_reload_ms);
}

void server_watch_stop(server *s, sx_loop *loop)
{
    if (watches(s))
        sx_timer_stop(sx_loop_timers(loop), &s->watch);
}
