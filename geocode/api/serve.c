/* serve.c - routes and life of `sextant geocode serve`. */
#include "geocode/api/serve.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <sextant/service.h>

#include "geocode/api/api.h"
#include "geocode/api/page.h"

typedef struct server {
    const char *path;
    geo_index *index;
    geo_api *api;
    sx_route routes[8];
} server;

static sx_status is_index_open(void *ctx, sx_error *err)
{
    const server *s = ctx;
    return s->index ? SX_OK : sx_fail(err, SX_ENOTFOUND, "no index is open");
}

static void collect_documents(sx_collect *into, void *ctx)
{
    const server *s = ctx;
    geo_stat stat;
    geo_index_stat(s->index, &stat);
    sx_collect_value(into, NULL, 0, (double)stat.documents);
}

static sx_status set_up(sx_service *service, void *ctx, sx_error *err)
{
    sx_metric *documents;
    return sx_metric_new(sx_service_metrics(service),
                         &(sx_metric_options){.kind = SX_METRIC_GAUGE,
                                              .name = "geocode_index_documents",
                                              .help = "Documents in the index being served.",
                                              .collect = collect_documents,
                                              .collect_ctx = ctx},
                         &documents, err);
}

static sx_status loop_set_up(sx_service *service, sx_loop *loop, void *ctx, void **loop_ctx,
                             sx_error *err)
{
    (void)service;
    (void)loop;
    (void)ctx;
    geo_scratch *scratch = NULL;
    sx_status status = geo_scratch_new(&scratch, err);
    *loop_ctx = scratch;
    return status;
}

static void loop_tear_down(sx_service *service, sx_loop *loop, void *ctx, void *loop_ctx)
{
    (void)service;
    (void)loop;
    (void)ctx;
    geo_scratch_free(loop_ctx);
}

static void fill_routes(server *s)
{
    const sx_route rows[] = {
        {.method = SX_ANY_METHOD, .path = "/search/", .handler = geo_api_search},
        {.method = SX_ANY_METHOD, .path = "/reverse/", .handler = geo_api_reverse},
        {.method = SX_ANY_METHOD, .path = "/health", .handler = geo_api_health},
        {.method = SX_ANY_METHOD, .path = "/map", .handler = geo_api_map},
        {.method = SX_ANY_METHOD, .path = "/", .handler = geo_api_page},
    };
    _Static_assert(SX_COUNT_OF(rows) <= SX_COUNT_OF(((server *)0)->routes), "room for each row");
    for (size_t i = 0; i < SX_COUNT_OF(rows); i++) {
        s->routes[i] = rows[i];
        s->routes[i].ctx = s->api;
    }
}

static sx_service_def definition(server *s, const char *version)
{
    static sx_check checks[1];
    checks[0] = (sx_check){"index", is_index_open, s};
    return (sx_service_def){.name = "geocode",
                            .version = version,
                            .summary = "address search with Addok's API",
                            .listen = "127.0.0.1:7878",
                            .routes = s->routes,
                            .route_count = 5,
                            .slash = SX_SLASH_IGNORE,
                            .fallback = geo_api_not_found,
                            .checks = checks,
                            .check_count = SX_COUNT_OF(checks),
                            .ctx = s,
                            .setup = set_up,
                            .loop_setup = loop_set_up,
                            .loop_teardown = loop_tear_down};
}

static sx_status run(server *s, const geo_serve_options *options, sx_buf *problems, sx_error *err)
{
    sx_service *service = NULL;
    sx_service_def def = definition(s, options->version);
    sx_status status = sx_service_new(&def,
                                      &(sx_service_options){.flags = options->flags,
                                                            .flag_count = options->flag_count,
                                                            .environment = options->environment},
                                      &service, problems, err);
    if (status == SX_OK)
        status = sx_service_run(service, err);
    sx_service_free(service);
    return status;
}

/* ---- an index that is cut while it is mapped ---- */

/* What is said then. Global because a signal handler has no other way to it; written only before the
 * handler is installed. One server at a time in a process. */
static char bus_words[600];
static size_t bus_len;

/* Says why, then lets the signal do what it does by default. The default is restored only after the
 * words are out (and not by SA_RESETHAND on entry), or another loop that touches the index at the
 * same moment would end the process before them. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code > 0) { /* the kernel's: not sent by kill(2) */
        ssize_t done = write(STDERR_FILENO, bus_words, bus_len);
        (void)done; /* nobody is left to be told */
    }
    (void)signal(number, SIG_DFL);
    (void)raise(number); /* delivered when the handler returns */
}

static void catch_bus_errors(const char *path, struct sigaction *before)
{
    int len = snprintf(bus_words, sizeof(bus_words),
                       "bus error: the index %.300s was cut while it was served, or its disk "
                       "failed; `sextant geocode import` replaces an index safely while it is "
                       "served\n",
                       path);
    bus_len = len < 0 ? 0 : (size_t)len;
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sx_assert(sigaction(SIGBUS, &action, before) == 0);
}

sx_status geo_serve(const geo_serve_options *options, sx_buf *problems, sx_error *err)
{
    server s = {.path = options->index};
    sx_status status = geo_index_open(options->index, &s.index, err);
    if (status != SX_OK)
        return status;
    struct sigaction before;
    catch_bus_errors(options->index, &before);
    status = geo_api_new(s.index, &s.api, err);
    if (status == SX_OK) {
        fill_routes(&s);
        status = run(&s, options, problems, err);
    }
    geo_api_free(s.api);
    geo_index_close(s.index);
    sx_assert(sigaction(SIGBUS, &before, NULL) == 0);
    return status;
}

void geo_serve_help(sx_buf *out)
{
    server s = {0};
    sx_service_def def = definition(&s, "");
    sx_service_help(&def, out);
}

void geo_serve_docs(sx_buf *out)
{
    server s = {0};
    sx_service_def def = definition(&s, "");
    sx_service_docs(&def, out);
}
