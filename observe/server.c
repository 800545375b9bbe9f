/* server.c - the observatory as one service: its settings, its start and its end.
 *
 *     observe_serve
 *       ├─ prom_config      the file, read before anything is opened
 *       ├─ sx_service_new ─ set-up: database (replays on its own), engine, metrics
 *       ├─ sx_service_run ─ loops; the set-up of the first makes the pools and the timer
 *       └─ sx_service_free  the loops' tear-down ends the pools, the service's the rest
 *
 * The hooks are in server_life.c, the configuration's ways in server_config.c. */
#include "observe/server.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/server_impl.h"

enum { KIT_FLAGS_MAX = OBSERVE_KIT_FLAGS_MAX + 16, THREADS_MAX = 1000 };

static sx_status on_reload(sx_service *service, void *ctx, const void *fresh, sx_error *err)
{
    (void)service;
    (void)fresh;
    return server_reload(ctx, err);
}

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
                            .setup = server_set_up,
                            .teardown = server_tear_down,
                            .loop_setup = server_loop_set_up,
                            .loop_teardown = server_loop_tear_down,
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
        status = ui_init(&s->api.site, s->api.external_url, &s->arena, err);
    if (status == SX_OK)
        status = api_routes(&s->api, s->api.prefix, &s->arena, s->routes, &s->route_count, err);
    if (status == SX_OK)
        status = server_config_load(s, &s->api.config, problems, err);
    if (status == SX_OK)
        s->seen = server_config_look(s->api.config);
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
                          .reload = server_reload,
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
