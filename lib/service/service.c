/* service.c - builds a service from its definition and its settings, and takes it apart. */
#include "service/service_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sextant/mem.h>
#include <sextant/profile.h>

#include "service/config_internal.h"

/* ---- endpoints ---- */

/* Copies `count` built-in rows behind those of the definition, but for paths that it has itself. */
static void add_rows(sx_endpoint_state *e, const sx_endpoint *from, const sx_route *rows,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool taken = false;
        for (size_t k = 0; k < from->route_count; k++)
            taken |= sx_str_eq(sx_str_z(from->routes[k].path), sx_str_z(rows[i].path));
        if (!taken) /* the service's own row wins */
            e->routes[e->route_count++] = rows[i];
    }
}

/* The definition's rows, then the built-in ones. */
static sx_status join_routes(sx_endpoint_state *e, const sx_endpoint *from, bool pages,
                             sx_error *err)
{
    size_t most =
        from->route_count + SX_BUILTIN_ROUTE_COUNT + SX_ADMIN_ROUTE_COUNT + SX_PPROF_ROUTE_COUNT;
    e->routes = (sx_route *)sx_calloc(most + 1, sizeof(sx_route));
    if (!e->routes)
        return sx_fail_memory(err, "the routes");
    if (from->route_count > 0)
        memcpy(e->routes, from->routes, from->route_count * sizeof(sx_route));
    e->route_count = from->route_count;
    if (from->admin)
        add_rows(e, from, SX_BUILTIN_ROUTES, SX_BUILTIN_ROUTE_COUNT);
    if (pages) {
        size_t first = e->route_count;
        add_rows(e, from, SX_ADMIN_ROUTES, SX_ADMIN_ROUTE_COUNT);
        add_rows(e, from, SX_PPROF_ROUTES, SX_PPROF_ROUTE_COUNT);
        for (size_t i = first; i < e->route_count; i++)
            e->routes[i].flags |= SX_ROUTE_ADMIN;
    }
    sx_status status =
        sx_guard_routes_new(e->service->guard, e->routes, e->route_count, &e->guards, err);
    return status ? status : sx_router_new(e->routes, e->route_count, e->slash, &e->router, err);
}

/* `pages`: with those of /admin, which no endpoint of a service's own ever has. */
static sx_status add_endpoint(sx_service *s, const sx_endpoint *from, bool pages, sx_error *err)
{
    sx_assert(!s->started);
    if (s->endpoint_count == SX_ENDPOINTS_MAX)
        return sx_fail(err, SX_ELIMIT, "more than %d endpoints", SX_ENDPOINTS_MAX);
    sx_endpoint_state *e = &s->endpoints[s->endpoint_count];
    *e = (sx_endpoint_state){.service = s,
                             .inherited_fd = -1,
                             .slash = from->slash,
                             .fallback = from->fallback,
                             .proxy_protocol = from->proxy_protocol,
                             .web_config = from->web_config,
                             .optional = from->optional};
    if (from->address.len >= sizeof(e->address) || strlen(from->proto) >= sizeof(e->proto))
        return sx_fail(err, SX_EINVAL, "the address of endpoint %s is too long", from->proto);
    memcpy(e->proto, from->proto, strlen(from->proto) + 1);
    if (from->address.len > 0)
        memcpy(e->address, from->address.data, from->address.len);
    s->endpoint_count++; /* from here on sx_service_free cleans up after it */
    sx_tls *tls = from->tls ? from->tls : from->web_config ? s->web_tls : NULL;
    if (tls)
        e->tls = sx_tls_ref(tls);
    return join_routes(e, from, pages, err);
}

sx_status sx_service_listen(sx_service *s, const sx_endpoint *from, sx_error *err)
{
    return add_endpoint(s, from, false, err);
}

sx_status sx_service_check_files(const sx_service_settings *set, sx_error *err)
{
    if (set->web_config_file.len > 0) {
        sx_status status =
            sx_config_check_file(set->web_config_file.data, "web configuration file", err);
        if (status)
            return status;
    }
    if (set->tls_chain_file.len == 0)
        return SX_OK;
    sx_status status = sx_config_check_file(set->tls_chain_file.data, "certificate file", err);
    if (status || set->tls_key_file.len == 0)
        return status;
    return sx_config_check_file(set->tls_key_file.data, "key file", err);
}

/* The certificate of the settings; *tls stays NULL without one. */
static sx_status open_tls(sx_service *s, sx_tls **tls, sx_error *err)
{
    if (s->settings.tls_chain_file.len == 0)
        return SX_OK;
    if (s->web_tls)
        return sx_fail(err, SX_EINVAL,
                       "tls.chain_file and the web configuration file %s both name a certificate; "
                       "remove one",
                       s->settings.web_config_file.data);
    /* texts of the settings have a NUL behind them */
    sx_tls_certificate certificate = {s->settings.tls_chain_file.data,
                                      s->settings.tls_key_file.data};
    sx_tls_server_options options = {
        .certificates = &certificate, .certificate_count = 1, .http2 = true};
    return sx_tls_server_new(&options, tls, err);
}

/* The main and the admin endpoint, from definition and settings. */
static sx_status add_own_endpoints(sx_service *s, sx_error *err)
{
    const sx_service_def *def = s->def;
    bool admin_apart = s->settings.admin_listen.len > 0;
    sx_endpoint main = {.proto = "http",
                        .address = s->settings.listen,
                        .routes = def->routes,
                        .route_count = def->route_count,
                        .slash = def->slash,
                        .fallback = def->fallback,
                        .proxy_protocol = s->settings.proxy_protocol,
                        .admin = !admin_apart || def->pages_on_main,
                        .web_config = true};
    sx_status status = open_tls(s, &main.tls, err);
    if (status)
        return status;
    if (main.tls || s->web_tls)
        main.proto = "https";
    status = add_endpoint(s, &main, false, err);
    if (main.tls)
        sx_tls_unref(main.tls); /* the endpoint has its own reference */
    if (status || !admin_apart)
        return status;
    sx_endpoint admin = {
        .proto = "admin", .address = s->settings.admin_listen, .admin = true, .web_config = true};
    return add_endpoint(s, &admin, true, err);
}

/* ---- the web configuration file ---- */

void sx_service_admit_set(sx_service *s, sx_admit_fn *admit, void *ctx)
{
    sx_assert(!s->started);
    s->admit = admit;
    s->admit_ctx = ctx;
}

bool sx_service_has_users(const sx_service *s)
{
    const sx_web_config *config = s->web ? sx_web_auth_config(s->web) : NULL;
    return config && (config->user_count > 0 || config->token_count > 0);
}

static sx_status open_web_config(sx_service *s, sx_error *err)
{
    sx_web_config *config;
    if (s->settings.web_config_file.len == 0)
        return SX_OK;
    sx_status status = sx_web_auth_new(s->metrics, &s->web, err);
    if (status == SX_OK)
        status = sx_web_config_load(s->settings.web_config_file.data, &config, err);
    if (status)
        return status;
    status = sx_web_auth_apply(s->web, config, err);
    if (status) {
        sx_web_config_free(config);
        return status;
    }
    return config->tls ? sx_tls_server_new(&config->tls_options, &s->web_tls, err) : SX_OK;
}

/* ---- logs and metrics ---- */

sx_status sx_service_log_levels(sx_service *s, const sx_service_settings *set, sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_buf_printf(&text, "%s", sx_level_name((sx_level)(set->log_level + SX_LEVEL_TRACE)));
    if (set->log_levels.len > 0)
        sx_buf_printf(&text, ",%.*s", SX_ARG(set->log_levels));
    sx_status status = sx_buf_status(&text, "log.levels", err);
    if (status == SX_OK)
        status = sx_log_levels_apply(s->log, sx_buf_view(&text), err);
    sx_buf_done(&text);
    return status;
}

static sx_status open_logs(sx_service *s, sx_error *err)
{
    static const sx_codec CODECS[] = {SX_CODEC_IDENTITY, SX_CODEC_GZIP, SX_CODEC_ZSTD};
    const sx_service_settings *set = &s->settings;
    sx_log_options options = {.service = s->def->name,
                              .path = set->log_path.len ? set->log_path.data : NULL,
                              .form = (sx_log_form)set->log_form,
                              .layer = set->log_layer.len ? set->log_layer.data : NULL,
                              .level = (sx_level)(set->log_level + SX_LEVEL_TRACE),
                              .repeats_max = set->log_repeats_max,
                              .rotate_bytes = set->log_rotate_bytes,
                              .rotate_s = (set->log_rotate_ms + 999) / 1000,
                              .rotate_keep = set->log_rotate_keep,
                              .rotate_codec = CODECS[set->log_rotate_codec],
                              .recent_bytes_max = set->log_recent_bytes,
                              .clock = s->clock};
    sx_status status = sx_log_new(&options, &s->log, err);
    options.recent_bytes_max = 0;
    if (status == SX_OK)
        status = sx_service_log_levels(s, set, err);
    bool none = set->access_log.len == 0 || sx_str_eq(set->access_log, SX_STR("off")) ||
                sx_str_eq(set->access_log, SX_STR("none"));
    if (status || none)
        return status;
    if (sx_str_eq(set->access_log, SX_STR("log"))) {
        s->access_log = s->log;
        return SX_OK;
    }
    bool to_stdout = sx_str_eq(set->access_log, SX_STR("-"));
    options.path = to_stdout ? NULL : set->access_log.data;
    options.fd = STDOUT_FILENO;
    options.level = SX_LEVEL_INFO;
    options.name = "access";
    return sx_log_new(&options, &s->access_log, err);
}

static sx_status add_log_metrics(sx_service *s, sx_error *err)
{
    sx_status status = sx_log_metrics(s->log, s->metrics, err);
    if (status || !s->access_log || s->access_log == s->log)
        return status;
    return sx_log_metrics(s->access_log, s->metrics, err);
}

static sx_status make_metrics(sx_service *s, sx_error *err)
{
    sx_metrics_options options = {.series_max = s->settings.series_max};
    sx_status status = sx_metrics_new(&options, &s->metrics, err);
    if (status == SX_OK)
        status = sx_metrics_add_process(s->metrics, err);
    if (status == SX_OK)
        status = sx_metrics_add_build_info(
            s->metrics, sx_str_z(s->def->name),
            s->def->version ? sx_str_z(s->def->version) : SX_STR("unknown"), err);
    if (status == SX_OK)
        status = sx_chain_metrics(s, err);
    return status ? status : add_log_metrics(s, err);
}

/* ---- new and free ---- */

static sx_status read_settings(sx_service *s, sx_buf *problems, sx_error *err)
{
    sx_key_set sets[2];
    sx_assert(SX_SERVICE_KEY_COUNT <= SX_SERVICE_KEYS_MOST);
    s->keys = (sx_key *)sx_calloc(SX_SERVICE_KEY_COUNT, sizeof(sx_key));
    if (!s->keys)
        return sx_fail_memory(err, "the settings");
    sx_service_rows(s->def, s->keys);
    sx_config_options options = {
        .program = s->def->name,
        .sets = sets,
        .set_count = sx_service_sets(s->def, s->keys, &s->settings, s->def->config, sets),
        .environment = s->options.environment,
        .flags = s->options.flags,
        .flag_count = s->options.flag_count,
    };
    sx_status status = sx_service_trees(s->def, &s->arena, &options, err);
    if (status)
        return status;
    sx_buf own;
    sx_buf_init(&own, 0);
    status = sx_config_load(&options, &s->config, problems ? problems : &own);
    sx_buf_done(&own);
    s->newest = s->config;
    return status ? sx_fail(err, status, "the settings of %s are not right", s->def->name) : SX_OK;
}

/* Health, breakers, limits: what clients and the chain report to. */
static sx_status make_parts(sx_service *s, sx_error *err)
{
    const sx_service_def *def = s->def;
    sx_status status = sx_health_new(&(sx_health_options){.clock = s->clock, .metrics = s->metrics},
                                     &s->health, err);
    for (size_t i = 0; i < def->check_count && status == SX_OK; i++) {
        sx_health_check_options check = {
            .name = def->checks[i].name, .ask = def->checks[i].ask, .ctx = def->checks[i].ctx};
        status = sx_health_add(s->health, &check, NULL, err);
    }
    if (status == SX_OK)
        status = sx_breakers_new(
            &(sx_breakers_options){.clock = s->clock, .metrics = s->metrics, .log = s->log},
            &s->breakers, err);
    if (status == SX_OK)
        status = sx_guard_new(s->clock, s->metrics, &s->guard, err);
    s->kit = (sx_kit){.clock = s->clock,
                      .metrics = s->metrics,
                      .tracer = s->tracer,
                      .log = s->log,
                      .breakers = s->breakers,
                      .health = s->health};
    return status;
}

sx_status sx_service_apply(sx_service *s, const sx_service_settings *set, const sx_web_config *web,
                           sx_error *err)
{
    sx_applied *fresh = (sx_applied *)sx_calloc(1, sizeof(*fresh));
    if (!fresh)
        return sx_fail_memory(err, "the settings");
    sx_policy_field extra[SX_POLICY_FIELDS_MAX] = {0};
    size_t extra_count = web && web->header_count <= SX_POLICY_FIELDS_MAX ? web->header_count : 0;
    for (size_t i = 0; i < extra_count; i++)
        extra[i] = (sx_policy_field){web->headers[i].name, web->headers[i].value, false};
    sx_status status = sx_policy_init(&fresh->policy, &set->policy, extra, extra_count, err);
    if (status) {
        sx_free(fresh);
        return status;
    }
    status = sx_guard_apply(s->guard, &set->guard, err);
    if (status) {
        sx_policy_done(&fresh->policy);
        sx_free(fresh);
        return status;
    }
    fresh->next = s->applied;
    __atomic_store_n(&s->applied, fresh, __ATOMIC_RELEASE);
    if (s->profile_heap_bytes != set->profile_heap_bytes) /* else the program's own choice stays */
        sx_profile_heap_set(set->profile_heap_bytes);
    s->profile_heap_bytes = set->profile_heap_bytes;
    return SX_OK;
}

static void tell_systemd_warnings(sx_service *s)
{
    sx_buf warnings;
    sx_str line;
    sx_buf_init(&warnings, 1 << 16);
    sx_systemd_read(&s->systemd, s->options.environment, &warnings);
    for (sx_str rest = sx_buf_view(&warnings); rest.len > 0;) {
        sx_str_cut(rest, '\n', &line, &rest);
        SX_LOG_WARN(sx_service_logger(s), NULL, "the service manager said what makes no sense",
                    sx_field_str("why", line));
    }
    sx_buf_done(&warnings);
}

/* Everything between the settings and the definition's own setup. */
static sx_status build(sx_service *s, sx_error *err)
{
    sx_status status = sx_service_check_files(&s->settings, err);
    if (status == SX_OK)
        status = open_logs(s, err);
    if (status == SX_OK)
        status = make_metrics(s, err);
    if (status == SX_OK)
        status = sx_service_telemetry(s, err);
    if (status == SX_OK)
        status = make_parts(s, err);
    if (status == SX_OK)
        status = open_web_config(s, err);
    if (status == SX_OK)
        status = sx_service_apply(s, &s->settings, s->web ? sx_web_auth_config(s->web) : NULL, err);
    if (status)
        return status;
    if (s->otlp)
        sx_log_otlp(s->log, s->otlp);
    tell_systemd_warnings(s);
    return add_own_endpoints(s, err);
}

static sx_status make(sx_service *s, sx_buf *problems, sx_error *err)
{
    sx_status status = s->drained_fd < 0 ? sx_fail_os(err, errno, "no eventfd for the service")
                                         : read_settings(s, problems, err);
    if (status == SX_OK)
        status = build(s, err);
    if (status == SX_OK && s->def->setup)
        status = s->def->setup(s, s->def->ctx, err);
    s->setup_done = status == SX_OK;
    return status;
}

sx_status sx_service_new(const sx_service_def *def, const sx_service_options *options,
                         sx_service **out, sx_buf *problems, sx_error *err)
{
    if (!def->name || def->name[0] == '\0')
        return sx_fail(err, SX_EINVAL, "the service has no name: set sx_service_def.name");
    sx_service *s = (sx_service *)sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "a service");
    s->def = def;
    s->options = options ? *options : (sx_service_options){0};
    s->clock = s->options.clock ? s->options.clock : sx_clock_system();
    s->start_wall_ms = sx_clock_ms(s->clock);
    s->start_mono_ms = sx_clock_mono_ms(s->clock);
    sx_arena_init(&s->arena, 0, 0);
    sx_systemd_init(&s->systemd);
    s->drained_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* Threads that are made here (logs, export, pools) take none of the signals that sx_service_run
     * waits for: one of them would end the process by the default action. */
    sigset_t ours, before;
    sx_service_signals(&ours);
    pthread_sigmask(SIG_BLOCK, &ours, &before);
    sx_status status = make(s, problems, err);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status) {
        sx_service_free(s);
        return status;
    }
    *out = s;
    return SX_OK;
}

static void free_endpoints(sx_service *s)
{
    for (size_t i = 0; i < s->endpoint_count; i++) {
        sx_router_free(s->endpoints[i].router);
        sx_free(s->endpoints[i].routes);
        if (s->endpoints[i].tls)
            sx_tls_unref(s->endpoints[i].tls);
    }
    if (s->web_tls)
        sx_tls_unref(s->web_tls);
}

static uint32_t flush_left_ms(const sx_service *s)
{
    return s->flushed_ms < SERVICE_FLUSH_MS ? (uint32_t)(SERVICE_FLUSH_MS - s->flushed_ms) : 0;
}

void sx_service_end_metrics(sx_service *s)
{
    if (!s->otlp)
        return;
    int64_t began_ms = sx_clock_mono_ms(s->clock);
    sx_otlp_end_metrics(s->otlp, flush_left_ms(s));
    s->flushed_ms += sx_clock_mono_ms(s->clock) - began_ms;
}

/* The exporter is first: it scrapes the registry, whose metrics ask the others. */
static void free_telemetry(sx_service *s)
{
    sx_tracer_free(s->tracer);
    if (s->otlp) {
        sx_log_otlp(s->log, NULL);
        sx_otlp_free(s->otlp, flush_left_ms(s));
    }
    if (s->stopped) /* the last word: what the teardown and the export's end had to say stands above */
        SX_LOG_INFO(sx_service_logger(s), NULL, "stopped");
    sx_web_auth_free(s->web);
    sx_guard_free(s->guard);
    sx_breakers_free(s->breakers);
    sx_health_free(s->health);
    if (s->access_log && s->access_log != s->log) {
        (void)sx_log_metrics(s->access_log, NULL, NULL); /* taking away cannot fail */
        sx_log_free(s->access_log);
    }
    if (s->log)
        (void)sx_log_metrics(s->log, NULL, NULL);
    sx_log_free(s->log);
    sx_metrics_free(s->metrics);
}

void sx_service_free(sx_service *s)
{
    if (!s)
        return;
    if (s->started)
        sx_service_stop(s);
    sx_service_end_metrics(s); /* they ask what is torn down next */
    if (s->setup_done && s->def->teardown)
        s->def->teardown(s, s->def->ctx);
    free_endpoints(s);
    free_telemetry(s);
    while (s->applied) {
        sx_applied *next = s->applied->next;
        sx_policy_done(&s->applied->policy);
        sx_free(s->applied);
        s->applied = next;
    }
    sx_systemd_done(&s->systemd);
    sx_service_reloads_free(s);
    sx_config_free(s->config);
    sx_free(s->keys);
    sx_arena_done(&s->arena);
    if (s->drained_fd >= 0)
        close(s->drained_fd);
    sx_free(s);
}

/* ---- what others ask ---- */

void sx_service_bound(sx_service *s, const char *proto, const char *address)
{
    for (size_t i = 0; i < s->endpoint_count; i++)
        if (strcmp(s->endpoints[i].proto, proto) == 0)
            snprintf(s->endpoints[i].bound.text, sizeof(s->endpoints[i].bound.text), "%s", address);
}

const char *sx_service_address(const sx_service *s, const char *proto)
{
    for (size_t i = 0; i < s->endpoint_count; i++)
        if (strcmp(s->endpoints[i].proto, proto) == 0 && s->endpoints[i].bound.text[0])
            return s->endpoints[i].bound.text;
    return NULL;
}

const sx_service_def *sx_service_def_of(const sx_service *s)
{
    return s->def;
}

sx_metrics *sx_service_metrics(const sx_service *s)
{
    return s->metrics;
}

sx_log *sx_service_log(const sx_service *s)
{
    return s->log;
}

sx_logger *sx_service_logger(const sx_service *s)
{
    return sx_log_logger(s->log, "");
}

const sx_kit *sx_service_kit(const sx_service *s)
{
    return &s->kit;
}

const sx_config *sx_service_config(const sx_service *s)
{
    return __atomic_load_n(&s->newest, __ATOMIC_ACQUIRE);
}

const sx_clock *sx_service_clock(const sx_service *s)
{
    return s->clock;
}

bool sx_service_is_draining(const sx_service *s)
{
    return __atomic_load_n(&s->draining, __ATOMIC_ACQUIRE) != 0;
}

double sx_service_connections(const sx_service *s)
{
    return sx_gauge_value(s->connections);
}

size_t sx_service_loop_count(const sx_service *s)
{
    return s->loop_count;
}

sx_loop *sx_service_loop(const sx_service *s, size_t index)
{
    sx_assert(index < s->loop_count);
    return s->loops[index].loop;
}
