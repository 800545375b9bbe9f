/* serve.c - routes, settings and life of `sextant geocode serve`.
 *
 * The first loop owns what there is once a process: the cache with its client of Redis, and the timer
 * that has a thread of a pool look at the index's file. */
#include "geocode/api/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <sextant/service.h>

#include "geocode/api/api.h"
#include "geocode/api/csv.h"
#include "geocode/api/nominatim.h"
#include "geocode/api/page.h"
#include "geocode/api/photon.h"

enum { LOOPS_MAX = 256, SWEEP_MS = 1000 };

typedef struct settings {
    geo_cache_settings cache;
    geo_csv_settings csv;
    uint32_t lookup_max, hierarchy_max;
    uint64_t polygon_bytes_max, question_bytes_max;
    uint32_t watch_ms;
    uint64_t disk_free_bytes_min;
} settings;

#define AT(field) SX_AT(settings, field)
#define DAY_MS    86400000ll
static const sx_key KEYS[] = {
    {"cache.enabled", SX_BOOL, AT(cache.enabled), 1,
     .help = "keep answers; --no-cache is the same as false", .flags = SX_KEY_RESTART},
    {"cache.bytes_max", SX_BYTES, AT(cache.bytes_max), 64 << 20, 1 << 20, 1ll << 40,
     "memory for answers, a quarter of it for compressed ones; 64MiB hold some 20,000 of five "
     "results",
     .flags = SX_KEY_RESTART},
    {"cache.value_bytes_max", SX_BYTES, AT(cache.value_bytes_max), 64 << 10, 1 << 10, 1 << 30,
     "largest answer that is kept", .flags = SX_KEY_RESTART},
    {"cache.exact_ttl_ms", SX_MS, AT(cache.exact_ttl_ms), DAY_MS, 1, 30ll * DAY_MS,
     "how long an answer is kept whose best score is 0.8 or more, and those of /reverse/",
     .flags = SX_KEY_RESTART},
    {"cache.fuzzy_ttl_ms", SX_MS, AT(cache.fuzzy_ttl_ms), DAY_MS / 24, 1, 30ll * DAY_MS,
     "how long any other answer is kept", .flags = SX_KEY_RESTART},
    {"cache.not_found_ttl_ms", SX_MS, AT(cache.not_found_ttl_ms), 300000, 1, 30ll * DAY_MS,
     "how long it is kept that nothing was found", .flags = SX_KEY_RESTART},
    {"cache.redis_url", SX_TEXT, AT(cache.redis_url),
     .help =
         "Redis that several geocoders share, such as redis://:PASSWORD@HOST:6379/0; empty: none",
     .flags = SX_KEY_RESTART | SX_KEY_SECRET},
    {"cache.redis_ms_max", SX_MS, AT(cache.redis_ms_max), 50, 1, 10000,
     "longest wait for Redis or SQLite, each; then the answer is computed",
     .flags = SX_KEY_RESTART},
    {"cache.sqlite_path", SX_TEXT, AT(cache.sqlite_path),
     .help = "file of one more tier, on this machine's disk; empty: none, which is faster",
     .flags = SX_KEY_RESTART},
    {"cache.sqlite_bytes_max", SX_BYTES, AT(cache.sqlite_bytes_max), 256 << 20, 1 << 20, 1ll << 50,
     "largest size of that file", .flags = SX_KEY_RESTART},
    {"csv.upload_bytes_max", SX_BYTES, AT(csv.upload_bytes_max), 8ll << 30, 1024, 1ll << 50,
     "largest file that is taken to be answered row by row; above it 413", .flags = SX_KEY_RESTART},
    {"csv.row_bytes_max", SX_BYTES, AT(csv.row_bytes_max), 1 << 20, 1024, 64 << 20,
     "longest row of such a file; above it 413", .flags = SX_KEY_RESTART},
    {"csv.bytes_per_second_min", SX_BYTES, AT(csv.bytes_per_second_min), 1000, 0, 1 << 30,
     "a client that sends such a file more slowly, on the average, is refused: 408; 0: none is",
     .flags = SX_KEY_RESTART},
    {"csv.slow_ms_max", SX_MS, AT(csv.slow_ms_max), 30000, 100, DAY_MS,
     "how long it may be slower than that at first", .flags = SX_KEY_RESTART},
    {"csv.folder", SX_TEXT, AT(csv.folder), .text = "/var/tmp",
     .help = "where files above 1 MiB are kept while they are answered", .flags = SX_KEY_RESTART},
    {"csv.threads", SX_INT, AT(csv.threads), 0, 0, 256, "threads that answer rows; 0: one a core",
     .flags = SX_KEY_RESTART},
    {"nominatim.lookup_max", SX_INT, AT(lookup_max), 50, 1, 10000,
     "objects that one /lookup may name; above it 400", .flags = SX_KEY_RESTART},
    {"nominatim.hierarchy_max", SX_INT, AT(hierarchy_max), 5000, 1, 1 << 20,
     "places listed in the hierarchy of one /details", .flags = SX_KEY_RESTART},
    {"nominatim.polygon_bytes_max", SX_BYTES, AT(polygon_bytes_max), 4 << 20, 1 << 10, 1 << 30,
     "largest outline as text; a larger one is simplified until it fits", .flags = SX_KEY_RESTART},
    {"nominatim.question_bytes_max", SX_BYTES, AT(question_bytes_max), 256 << 20, 4 << 20,
     1ll << 40, "memory that one question may take; above it 500", .flags = SX_KEY_RESTART},
    {"index.watch_ms", SX_MS, AT(watch_ms), 1000, 0, DAY_MS,
     "how often the index's file is looked at; a new one is taken up once two looks have found it "
     "the same; 0: on SIGHUP alone",
     .flags = SX_KEY_RESTART},
    {"health.disk_free_bytes_min", SX_BYTES, AT(disk_free_bytes_min), 64 << 20, 0, 1ll << 50,
     "with less room on the index's disk /health/detailed says so", .flags = SX_KEY_RESTART},
};
#undef AT

/* The page asks for a map with every move, so neither is taken from what its user may search; but a map
 * costs as much as a hundred searches. */
#define MAP_RATE  "4/second burst 20 + 120/minute"
#define PAGE_RATE "10/second burst 30"

/* Nominatim's endpoints, under /nominatim/ and at the root; /search and /reverse at the root are Addok's
 * handlers, which know whose a request is. */
#define ROUTE(at, handle) {.method = SX_ANY_METHOD, .path = (at), .handler = (handle)}
#define NOMINATIM(at, handle)                                                                      \
    ROUTE("/nominatim" at, handle), ROUTE("/nominatim" at ".php", handle), ROUTE(at ".php", handle)
#define NOMINATIM_ALONE(at, handle) NOMINATIM(at, handle), ROUTE(at, handle)

/* What the kit's own settings are here unless told otherwise. */
static const sx_service_default DEFAULTS[] = {
    {"limits.rate", "10/second + 100/minute + 1000/hour"},
    {"limits.exempt", "loopback"},
    {"http.compress_bytes_min", NULL, 500},
    /* Compressing costs as much as a search. Level 6 would make answers a tenth smaller, and let a
     * fifth fewer be answered. */
    {"http.gzip_level", NULL, 1},
};

typedef struct server {
    const char *path, *version;
    settings set;
    geo_api api;
    sx_service *service;
    geo_scratch *scratches[LOOPS_MAX]; /* by loop */
    size_t scratch_count;
    sx_pool *disk; /* of one thread, which looks at the file */
    sx_timer tick; /* of the first loop */
    bool looking;  /* that loop's: a look is under way */
    sx_route routes[40];
    size_t route_count;
} server;

/* ---- health ---- */

static sx_status is_index_open(void *ctx, sx_error *err)
{
    const server *s = ctx;
    return s->api.live ? SX_OK : sx_fail(err, SX_ENOTFOUND, "no index is open");
}

static sx_status is_newest_served(void *ctx, sx_error *err)
{
    const server *s = ctx;
    return geo_live_check(s->api.live, err);
}

static sx_status has_disk_room(void *ctx, sx_error *err)
{
    const server *s = ctx;
    struct statvfs disk;
    if (statvfs(s->path, &disk) != 0)
        return sx_fail_os(err, errno, "the disk of '%s'", s->path);
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes >= s->set.disk_free_bytes_min)
        return SX_OK;
    return sx_fail(err, SX_ELIMIT,
                   "the disk of '%s' has %llu bytes left, less than "
                   "health.disk_free_bytes_min, %llu: an import may not fit",
                   s->path, (unsigned long long)free_bytes,
                   (unsigned long long)s->set.disk_free_bytes_min);
}

/* Shown in /health/detailed; none of them makes the service unready. */
static sx_status add_checks(server *s, sx_error *err)
{
    const sx_health_check_options checks[] = {
        {.name = "index.file", .informative = true, .ask = is_newest_served, .ctx = s},
        {.name = "disk", .informative = true, .ask = has_disk_room, .ctx = s},
    };
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(checks) && status == SX_OK; i++)
        status = sx_health_add(sx_service_kit(s->service)->health, &checks[i], NULL, err);
    return status;
}

/* ---- the index's file ---- */

static void look(void *arg)
{
    server *s = arg;
    if (s->set.watch_ms)
        (void)geo_live_look(s->api.live, GEO_LOOK_SETTLED, NULL); /* it has told the log */
    else
        geo_live_sweep(s->api.live);
}

static void follow(sx_loop *loop, void *arg)
{
    const server *s = arg;
    geo_scratch_follow(s->scratches[sx_loop_index(loop)]);
}

static void looked(sx_loop *loop, void *arg)
{
    (void)loop;
    ((server *)arg)->looking = false;
}

/* A loop that is idle would hold on to an old index: it is told. */
static void on_tick(sx_timer *timer, void *arg)
{
    server *s = arg;
    sx_loop *loop = sx_service_loop(s->service, 0);
    for (size_t i = 0; geo_live_has_retired(s->api.live) && i < s->scratch_count; i++)
        (void)sx_loop_post(sx_service_loop(s->service, i), follow, s, NULL); /* or the next time */
    if (!s->looking)
        s->looking = sx_pool_submit(s->disk, loop, look, looked, s, NULL) == SX_OK;
    sx_timer_start(sx_loop_timers(loop), timer, s->set.watch_ms ? s->set.watch_ms : SWEEP_MS);
}

static sx_status on_reload(sx_service *service, void *ctx, const void *fresh, sx_error *err)
{
    (void)service;
    (void)fresh; /* all our settings need a restart */
    const server *s = ctx;
    return geo_live_look(s->api.live, GEO_LOOK_NOW, err);
}

/* ---- life ---- */

/* Uploads that are too long for memory are kept there; told now and not to the first who sends one. */
static sx_status check_folder(const char *folder, sx_error *err)
{
    struct stat about;
    if (stat(folder, &about) != 0 || !S_ISDIR(about.st_mode) || access(folder, W_OK | X_OK) != 0)
        return sx_fail(err, SX_EINVAL,
                       "csv.folder: '%s' is no folder that can be written to; make it, or name "
                       "another with --csv.folder=DIR",
                       folder);
    return SX_OK;
}

static sx_status set_up(sx_service *service, void *ctx, sx_error *err)
{
    server *s = ctx;
    s->service = service;
    sx_status status = check_folder(s->set.csv.folder.data, err);
    if (status == SX_OK)
        status = geo_live_report(s->api.live, sx_service_metrics(service),
                                 sx_service_logger(service), err);
    return status == SX_OK ? add_checks(s, err) : status;
}

static void tear_down(sx_service *service, void *ctx)
{
    (void)service;
    server *s = ctx;
    geo_live_mute(s->api.live);
    for (size_t i = 0; i < s->scratch_count; i++)
        geo_scratch_free(s->scratches[i]);
    s->scratch_count = 0;
}

static void first_loop_tear_down(server *s)
{
    if (s->disk)
        sx_pool_free(s->disk);
    s->disk = NULL;
    geo_stats_forget_cache(&s->api.stats);
    geo_cache_free(s->api.cache);
    s->api.cache = NULL;
}

static sx_status first_loop_set_up(server *s, sx_loop *loop, sx_error *err)
{
    sx_status status = SX_OK;
    const sx_kit *kit = sx_service_kit(s->service);
    s->api.nominatim = (nom_limits){.lookup_max = s->set.lookup_max,
                                    .polygon_bytes_max = s->set.polygon_bytes_max,
                                    .hierarchy_max = s->set.hierarchy_max};
    s->api.nominatim_bytes_max = s->set.question_bytes_max;
    s->api.version = s->version;
    if (s->set.cache.enabled)
        status = geo_cache_new(&s->set.cache, s->version, kit, loop, &s->api.cache, err);
    if (status == SX_OK)
        status = geo_stats_init(&s->api.stats, s->service, s->api.cache, err);
    if (status == SX_OK)
        status = geo_csv_new(&s->set.csv, &s->api.csv, err);
    if (status == SX_OK)
        status = sx_pool_new(&(sx_pool_options){.name = "index", .threads = 1, .queue_max = 4},
                             &s->disk, err);
    if (status != SX_OK) {
        first_loop_tear_down(s);
        return status;
    }
    s->tick = (sx_timer){.fn = on_tick, .arg = s};
    sx_timer_start(sx_loop_timers(loop), &s->tick, s->set.watch_ms ? s->set.watch_ms : SWEEP_MS);
    return SX_OK;
}

static sx_status loop_set_up(sx_service *service, sx_loop *loop, void *ctx, void **loop_ctx,
                             sx_error *err)
{
    (void)service;
    server *s = ctx;
    sx_assert(sx_loop_index(loop) == s->scratch_count && s->scratch_count < LOOPS_MAX);
    sx_status status = s->scratch_count == 0 ? first_loop_set_up(s, loop, err) : SX_OK;
    if (status == SX_OK)
        status = geo_scratch_new(&s->api, &s->scratches[s->scratch_count], err);
    if (status == SX_OK) {
        *loop_ctx = s->scratches[s->scratch_count++];
        return SX_OK;
    }
    if (s->scratch_count == 0) {
        sx_timer_stop(sx_loop_timers(loop), &s->tick);
        first_loop_tear_down(s);
    }
    return status;
}

/* What was asked of the cache and not answered yet is answered now, on loops that no longer run, so
 * the scratches stay until all loops have gone. */
static void loop_tear_down(sx_service *service, sx_loop *loop, void *ctx, void *loop_ctx)
{
    (void)service;
    (void)loop_ctx;
    server *s = ctx;
    geo_csv_stop(s->api.csv); /* its threads report to loops */
    if (sx_loop_index(loop) != 0)
        return;
    sx_timer_stop(sx_loop_timers(loop), &s->tick);
    first_loop_tear_down(s);
}

static void fill_routes(server *s)
{
    const sx_route rows[] = {
        {.method = SX_ANY_METHOD, .path = "/search/", .handler = geo_api_search},
        {.method = SX_ANY_METHOD, .path = "/reverse/", .handler = geo_api_reverse},
        {.method = SX_ANY_METHOD,
         .path = "/search/csv/",
         .handler = geo_api_search_csv,
         .flags = SX_ROUTE_STREAM,
         .in_flight_max = GEO_CSV_UPLOADS_MAX},
        {.method = SX_ANY_METHOD,
         .path = "/reverse/csv/",
         .handler = geo_api_reverse_csv,
         .flags = SX_ROUTE_STREAM,
         .in_flight_max = GEO_CSV_UPLOADS_MAX},
        {.method = SX_ANY_METHOD,
         .path = "/health",
         .handler = geo_api_health,
         .flags = SX_ROUTE_UNLIMITED},
        {.method = SX_ANY_METHOD,
         .path = "/map",
         .handler = geo_api_map,
         .flags = SX_ROUTE_OWN_RATE,
         .rate = MAP_RATE,
         .priority = SX_PRIORITY_SHEDDABLE},
        {.method = SX_ANY_METHOD,
         .path = "/",
         .handler = geo_api_page,
         .flags = SX_ROUTE_OWN_RATE,
         .rate = PAGE_RATE},
        NOMINATIM("/search", geo_nominatim_search),
        NOMINATIM("/reverse", geo_nominatim_reverse),
        NOMINATIM_ALONE("/lookup", geo_nominatim_lookup),
        NOMINATIM_ALONE("/details", geo_nominatim_details),
        NOMINATIM_ALONE("/status", geo_nominatim_status),
        NOMINATIM_ALONE("/deletable", geo_nominatim_polygons),
        NOMINATIM_ALONE("/polygons", geo_nominatim_polygons),
        ROUTE("/api", geo_photon_api),
        ROUTE("/structured", geo_photon_structured),
        ROUTE("/photon/api", geo_photon_api),
        ROUTE("/photon/structured", geo_photon_structured),
        ROUTE("/photon/reverse", geo_photon_reverse),
        ROUTE("/photon/status", geo_photon_status),
    };
    _Static_assert(SX_COUNT_OF(rows) <= SX_COUNT_OF(((server *)0)->routes), "room for each row");
    memcpy(s->routes, rows, sizeof(rows));
    s->route_count = SX_COUNT_OF(rows);
}

static sx_service_def definition(server *s)
{
    static sx_check checks[1];
    checks[0] = (sx_check){"index", is_index_open, s};
    fill_routes(s);
    return (sx_service_def){.name = "geocode",
                            .version = s->version,
                            .summary = "address search with Addok's, Nominatim's and Photon's APIs",
                            .listen = "127.0.0.1:7878",
                            .pages_on_main = true,
                            .defaults = DEFAULTS,
                            .default_count = SX_COUNT_OF(DEFAULTS),
                            .routes = s->routes,
                            .route_count = s->route_count,
                            .slash = SX_SLASH_IGNORE,
                            .fallback = geo_api_not_found,
                            .keys = KEYS,
                            .key_count = SX_COUNT_OF(KEYS),
                            .config = &s->set,
                            .config_bytes = sizeof(s->set),
                            .checks = checks,
                            .check_count = SX_COUNT_OF(checks),
                            .ctx = s,
                            .setup = set_up,
                            .teardown = tear_down,
                            .loop_setup = loop_set_up,
                            .loop_teardown = loop_tear_down,
                            .reload = on_reload};
}

static sx_status run(server *s, const geo_serve_options *options, sx_buf *problems, sx_error *err)
{
    sx_service *service = NULL;
    sx_service_def def = definition(s);
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
    server s = {.path = options->index, .version = options->version};
    sx_status status = geo_live_new(options->index, &s.api.live, err);
    if (status != SX_OK)
        return status;
    struct sigaction before;
    catch_bus_errors(options->index, &before);
    status = run(&s, options, problems, err);
    geo_csv_free(s.api.csv);
    geo_live_free(s.api.live);
    sx_assert(sigaction(SIGBUS, &before, NULL) == 0);
    return status;
}

void geo_serve_help(sx_buf *out)
{
    server s = {.version = ""};
    sx_service_def def = definition(&s);
    sx_service_help(&def, out);
}

void geo_serve_docs(sx_buf *out)
{
    server s = {.version = ""};
    sx_service_def def = definition(&s);
    sx_service_docs(&def, out);
}
