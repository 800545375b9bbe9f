/* service.c - builds a service from its definition and its settings, and takes it apart. */
#include "service/service_internal.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "service/config_internal.h"

/* ---- endpoints ---- */

/* The definition's rows, then the built-in ones whose paths it does not have. */
static sx_status join_routes(sx_endpoint_state *e, const sx_endpoint *from, sx_error *err)
{
    size_t most = from->route_count + (from->admin ? SX_BUILTIN_ROUTE_COUNT : 0);
    e->routes = (sx_route *)sx_calloc(most + 1, sizeof(sx_route));
    if (!e->routes)
        return sx_fail_memory(err, "the routes");
    if (from->route_count > 0)
        memcpy(e->routes, from->routes, from->route_count * sizeof(sx_route));
    e->route_count = from->route_count;
    for (size_t i = 0; from->admin && i < SX_BUILTIN_ROUTE_COUNT; i++) {
        bool taken = false;
        for (size_t k = 0; k < from->route_count; k++)
            taken |= sx_str_eq(sx_str_z(from->routes[k].path), sx_str_z(SX_BUILTIN_ROUTES[i].path));
        if (!taken) /* the service's own row wins */
            e->routes[e->route_count++] = SX_BUILTIN_ROUTES[i];
    }
    return sx_router_new(e->routes, e->route_count, e->slash, &e->router, err);
}

sx_status sx_service_listen(sx_service *s, const sx_endpoint *from, sx_error *err)
{
    sx_assert(!s->started);
    if (s->endpoint_count == SX_ENDPOINTS_MAX)
        return sx_fail(err, SX_ELIMIT, "more than %d endpoints", SX_ENDPOINTS_MAX);
    sx_endpoint_state *e = &s->endpoints[s->endpoint_count];
    *e = (sx_endpoint_state){.service = s,
                             .slash = from->slash,
                             .fallback = from->fallback,
                             .proxy_protocol = from->proxy_protocol};
    if (from->address.len >= sizeof(e->address) || strlen(from->proto) >= sizeof(e->proto))
        return sx_fail(err, SX_EINVAL, "the address of endpoint %s is too long", from->proto);
    memcpy(e->proto, from->proto, strlen(from->proto) + 1);
    if (from->address.len > 0)
        memcpy(e->address, from->address.data, from->address.len);
    s->endpoint_count++; /* from here on sx_service_free cleans up after it */
    if (from->tls)
        e->tls = sx_tls_ref(from->tls);
    return join_routes(e, from, err);
}

sx_status sx_service_check_files(const sx_service_settings *set, sx_error *err)
{
    if (set->tls_chain_file.len == 0)
        return SX_OK;
    sx_status status = sx_config_check_file(set->tls_chain_file.data, "certificate file", err);
    if (status || set->tls_key_file.len == 0)
        return status;
    return sx_config_check_file(set->tls_key_file.data, "key file", err);
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
                        .admin = !admin_apart};
    sx_tls *tls = NULL;
    if (s->settings.tls_chain_file.len > 0) { /* texts of the settings have a NUL behind them */
        sx_tls_certificate certificate = {s->settings.tls_chain_file.data,
                                          s->settings.tls_key_file.data};
        sx_tls_server_options options = {
            .certificates = &certificate, .certificate_count = 1, .http2 = true};
        sx_status status = sx_service_check_files(&s->settings, err);
        if (status == SX_OK)
            status = sx_tls_server_new(&options, &tls, err);
        if (status)
            return status;
        main.proto = "https";
        main.tls = tls;
    }
    sx_status status = sx_service_listen(s, &main, err);
    if (tls)
        sx_tls_unref(tls); /* the endpoint has its own reference */
    if (status || !admin_apart)
        return status;
    sx_endpoint admin = {.proto = "admin", .address = s->settings.admin_listen, .admin = true};
    return sx_service_listen(s, &admin, err);
}

/* ---- logs and metrics ---- */

static sx_status open_logs(sx_service *s, sx_error *err)
{
    const sx_service_settings *set = &s->settings;
    sx_log_options options = {.service = s->def->name,
                              .path = set->log_path.len ? set->log_path.data : NULL,
                              .form = (sx_log_form)set->log_form,
                              .level = (sx_level)(set->log_level + SX_LEVEL_TRACE),
                              .clock = s->clock};
    sx_status status = sx_log_new(&options, &s->log, err);
    if (status || sx_str_eq(set->access_log, SX_STR("off")) || set->access_log.len == 0)
        return status;
    if (sx_str_eq(set->access_log, SX_STR("log"))) {
        s->access_log = s->log;
        return SX_OK;
    }
    bool to_stdout = sx_str_eq(set->access_log, SX_STR("-"));
    options.path = to_stdout ? NULL : set->access_log.data;
    options.fd = STDOUT_FILENO;
    options.level = SX_LEVEL_INFO;
    return sx_log_new(&options, &s->access_log, err);
}

static void collect_log_lines(sx_collect *into, void *ctx)
{
    const sx_service *s = (const sx_service *)ctx;
    sx_collect_value(into, &SX_STR("events"), 1, (double)sx_log_counts_of(s->log).lines);
    if (s->access_log && s->access_log != s->log)
        sx_collect_value(into, &SX_STR("access"), 1, (double)sx_log_counts_of(s->access_log).lines);
}

static void collect_log_dropped(sx_collect *into, void *ctx)
{
    const sx_service *s = (const sx_service *)ctx;
    sx_collect_value(into, &SX_STR("events"), 1, (double)sx_log_counts_of(s->log).dropped);
    if (s->access_log && s->access_log != s->log)
        sx_collect_value(into, &SX_STR("access"), 1,
                         (double)sx_log_counts_of(s->access_log).dropped);
}

static sx_status add_log_metrics(sx_service *s, sx_error *err)
{
    static const char *const LABELS[] = {"log"};
    sx_metric_options lines = {.name = "sx_log_lines_total",
                               .help = "Lines given to a log.",
                               .labels = LABELS,
                               .label_count = 1,
                               .collect = collect_log_lines,
                               .collect_ctx = s};
    sx_metric_options dropped = lines;
    dropped.name = "sx_log_lines_dropped_total";
    dropped.help = "Lines that a log could not take or write.";
    dropped.collect = collect_log_dropped;
    sx_metric *metric;
    sx_status status = sx_metric_new(s->metrics, &lines, &metric, err);
    return status ? status : sx_metric_new(s->metrics, &dropped, &metric, err);
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
    s->keys = (sx_key *)sx_calloc(SX_SERVICE_KEY_COUNT, sizeof(sx_key));
    if (!s->keys)
        return sx_fail_memory(err, "the settings");
    sx_service_rows(s->def, s->keys);
    sx_config_options options = {
        .program = s->def->name,
        .sets = sets,
        .set_count = sx_service_sets(s->def, s->keys, &s->settings, s->def->config, sets),
        .trees = s->def->trees,
        .tree_count = s->def->tree_count,
        .environment = s->options.environment,
        .flags = s->options.flags,
        .flag_count = s->options.flag_count,
    };
    sx_buf own;
    sx_buf_init(&own, 0);
    sx_status status = sx_config_load(&options, &s->config, problems ? problems : &own);
    sx_buf_done(&own);
    return status ? sx_fail(err, status, "the settings of %s are not right", s->def->name) : SX_OK;
}

sx_status sx_service_new(const sx_service_def *def, const sx_service_options *options,
                         sx_service **out, sx_buf *problems, sx_error *err)
{
    sx_service *s = (sx_service *)sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "a service");
    s->def = def;
    s->options = options ? *options : (sx_service_options){0};
    s->clock = s->options.clock ? s->options.clock : sx_clock_system();
    s->drained_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sx_status status = s->drained_fd < 0 ? sx_fail_os(err, errno, "no eventfd for the service")
                                         : read_settings(s, problems, err);
    if (status == SX_OK)
        status = open_logs(s, err);
    if (status == SX_OK)
        status = make_metrics(s, err);
    if (status == SX_OK)
        status = add_own_endpoints(s, err);
    if (status == SX_OK && def->setup)
        status = def->setup(s, def->ctx, err);
    s->setup_done = status == SX_OK;
    if (status) {
        sx_service_free(s);
        return status;
    }
    *out = s;
    return SX_OK;
}

void sx_service_free(sx_service *s)
{
    if (!s)
        return;
    if (s->started)
        sx_service_stop(s);
    if (s->setup_done && s->def->teardown)
        s->def->teardown(s, s->def->ctx);
    for (size_t i = 0; i < s->endpoint_count; i++) {
        sx_router_free(s->endpoints[i].router);
        sx_free(s->endpoints[i].routes);
        if (s->endpoints[i].tls)
            sx_tls_unref(s->endpoints[i].tls);
    }
    if (s->access_log != s->log)
        sx_log_free(s->access_log);
    sx_log_free(s->log);
    sx_metrics_free(s->metrics);
    sx_service_reloads_free(s);
    sx_config_free(s->config);
    sx_free(s->keys);
    if (s->drained_fd >= 0)
        close(s->drained_fd);
    sx_free(s);
}

/* ---- what others ask ---- */

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

const sx_config *sx_service_config(const sx_service *s)
{
    return s->config;
}

const sx_clock *sx_service_clock(const sx_service *s)
{
    return s->clock;
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
