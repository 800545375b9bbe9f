/* traces_server.c - store and receivers of spans, put together by the flags.
 *
 * A flag's default address is optional: where its port is taken the listener is left out with a
 * warning, so that the observatory starts beside a Jaeger or a collector. */
#include "observe/traces_server.h"

#include <stdio.h>
#include <unistd.h>

#include <sextant/file.h>
#include <sextant/mem.h>
#include <sextant/number.h>

#include "observe/traces_collect.h"

#include "observe/api/jaeger_rpc.h"
#include "observe/api/sampling.h"
#include "observe/auth/auth.h"
#include "observe/collector/derive.h"

enum { UDP_KINDS = RECEIVE_KINDS - RECEIVE_JAEGER_COMPACT };

/* The UDP sockets of one loop. */
typedef struct loop_sockets {
    sx_loop *loop;
    sx_udp *udp[UDP_KINDS];
} loop_sockets;

struct traces_server {
    observe_api *api;
    tr_store *store;
    derive_own *derived; /* NULL with --traces.metrics=false */
    sampling *sampling;
    sampling_listener sampling_listener;
    traces_collect *collect; /* NULL: no --collector-config */
    receiver receivers[RECEIVE_KINDS];
    jaeger_listeners jaeger;
    sx_str addresses[RECEIVE_KINDS]; /* of the flags; empty: off */
    sx_bound bound[UDP_KINDS];       /* as the first loop got them */
    pthread_mutex_t lock;
    loop_sockets *loops; /* by lock; vector */
    size_t loop_count, loop_cap;
    char dir[4096];
    tr_store *archive;                     /* by lock; NULL: not opened */
    sx_arena arena;                        /* of the routes */
    sx_route query_routes[API_ROUTES_MAX]; /* of --jaeger.query */
    sx_route tempo_routes[API_ROUTES_MAX]; /* of --tempo */
};

static sx_status into_store(void *ctx, span_batch *b, sx_error *err)
{
    traces_server *t = ctx;
    sx_status status = tr_store_append(t->store, b, err);
    if (status == SX_OK && t->derived)
        derive_own_take(t->derived, b);
    if (status == SX_OK)
        sampling_take(t->sampling, b);
    return status;
}

/* What clients are told; they may ask at the collector's gRPC port even if the flag is empty. */
static sx_status open_sampling(traces_server *t, sx_error *err)
{
    const observe_flags *f = t->api->flags;
    sampling_options options = {.clock = t->api->clock,
                                .log = sx_service_kit(t->api->service)->log,
                                .file = f->jaeger_sampling_file.len ? f->jaeger_sampling_file.data
                                                                    : NULL};
    if (!t->store)
        return SX_OK;
    if (!sx_double_parse(f->jaeger_sampling_target, &options.target_per_second) ||
        !(options.target_per_second > 0))
        return sx_fail(err, SX_EINVAL,
                       "--jaeger.sampling-target is '%.*s'; give traces a second, more than 0",
                       SX_ARG(f->jaeger_sampling_target));
    sx_status status = sampling_new(&options, &t->sampling, err);
    if (status == SX_OK)
        status = sampling_start(t->sampling, err);
    t->api->sampling = t->sampling;
    return status == SX_OK
               ? sampling_listener_init(&t->sampling_listener, t->api, f->jaeger_sampling, err)
               : status;
}

static sx_status open_derived(traces_server *t, sx_error *err)
{
    const observe_flags *f = t->api->flags;
    const derive_host host = {.store = tsdb_appendable_of(t->api->db),
                              .clock = t->api->clock,
                              .kit = sx_service_kit(t->api->service),
                              .id = SX_STR("store")};
    if (!t->store || !f->traces_metrics)
        return SX_OK;
    return derive_own_new(&host, f->traces_metrics_ms, f->traces_metrics_max, &t->derived, err);
}

static sx_status open_store(traces_server *t, const char *storage, sx_error *err)
{
    const observe_flags *f = t->api->flags;
    if (!f->traces_store)
        return SX_OK;
    int len = snprintf(t->dir, sizeof(t->dir), "%s/sextant/traces", storage);
    if (len < 0 || (size_t)len >= sizeof(t->dir))
        return sx_fail(err, SX_ELIMIT, "the storage path is longer than %zu bytes", sizeof(t->dir));
    tr_store_options options = {
        .dir = t->dir,
        .kit = sx_service_kit(t->api->service),
        .clock = t->api->clock,
        .retention_ms = f->traces_retention_ms,
        .retention_error_ms = f->traces_retention_error_ms,
        .retention_slow_ms = f->traces_retention_slow_ms,
        .slow_ns = (uint64_t)f->traces_slow_ms * 1000000,
        .retention_bytes = f->traces_retention_bytes,
        .memory_max = f->traces_memory_max,
        .disk_free_min = f->traces_disk_free_min,
        .fsync = sx_str_eq(f->traces_fsync, SX_STR("always")) ? TR_FSYNC_ALWAYS
                 : sx_str_eq(f->traces_fsync, SX_STR("none")) ? TR_FSYNC_NONE
                                                              : TR_FSYNC_INTERVAL,
    };
    sx_status status = tr_store_open(&options, &t->store, err);
    t->api->traces = t->store;
    t->api->questions.max = (int64_t)f->traces_query_memory_all;
    return status;
}

/* A Collector's file may have connectors that write the same series: then ours are left out. */
static void settle_derived(traces_server *t)
{
    bool spans, graph;
    traces_collect_derives(t->collect, &spans, &graph);
    if (t->derived)
        derive_own_makes(t->derived, !spans, !graph);
}

static sx_status add_receivers(traces_server *t, sx_error *err)
{
    const observe_flags *f = t->api->flags;
    const span_sink sink = {.take = into_store, .ctx = t};
    const span_sink into = t->store ? sink : (span_sink){0};
    sx_status status = SX_OK;
    if (f->collector_config.len)
        status = traces_collect_new(t->api, into, &t->collect, err);
    settle_derived(t);
    for (int k = 0; k < RECEIVE_KINDS && status == SX_OK; k++) {
        sx_str address;
        span_sink file;
        if (traces_collect_has(t->collect, (receiver_kind)k, &address, &file)) {
            if (k < RECEIVE_JAEGER_COMPACT) /* listens already, instead of ours */
                continue;
            t->addresses[k] = address;
            status = receiver_init(&t->receivers[k], t->api, (receiver_kind)k, file, NULL, err);
            if (status == SX_OK)
                status = receiver_listen(&t->receivers[k], address, false, err);
            continue;
        }
        bool optional = sx_str_eq(f->receivers[k], sx_str_z(receiver_address((receiver_kind)k)));
        if (f->receivers[k].len == 0 || !t->store)
            continue;
        if (k >= RECEIVE_JAEGER_COMPACT && !auth_intake_is_open(t->api->auth)) {
            SX_LOG_INFO(sx_service_logger(t->api->service), NULL,
                        "a listener stays closed: by UDP nobody can show a token",
                        sx_field_z("listener", receiver_name((receiver_kind)k)),
                        sx_field_z("open it with", "machines: {intake: open}"));
            continue;
        }
        t->addresses[k] = f->receivers[k];
        status = receiver_init(&t->receivers[k], t->api, (receiver_kind)k, sink, NULL, err);
        if (status == SX_OK)
            status = receiver_listen(&t->receivers[k], f->receivers[k], optional, err);
    }
    if (status == SX_OK)
        status = jaeger_listeners_init(&t->jaeger, t->api, t->store, sink, err);
    return status;
}

/* A store of its own that forgets nothing: a few traces that people chose, so it may be slow and small. */
static sx_status open_archive(void *ctx, bool make, tr_store **out, sx_error *err)
{
    enum { MEMORY_MAX = 16 << 20, MEMTABLE_BYTES = 1 << 20 };
    const int64_t two_centuries_ms = INT64_C(200) * 366 * 86400 * 1000;
    traces_server *t = ctx;
    char dir[sizeof(t->dir) + sizeof("-archive")];
    sx_status status = SX_OK;
    snprintf(dir, sizeof(dir), "%s-archive", t->dir);
    tr_store_options options = {.dir = dir,
                                .clock = t->api->clock,
                                .retention_ms = two_centuries_ms,
                                .memory_max = MEMORY_MAX,
                                .memtable_bytes = MEMTABLE_BYTES,
                                .shards = 1,
                                .search_threads = 1,
                                .fsync = TR_FSYNC_ALWAYS};
    pthread_mutex_lock(&t->lock);
    if (!t->archive && (make || access(dir, F_OK) == 0))
        status = tr_store_open(&options, &t->archive, err);
    *out = t->archive;
    pthread_mutex_unlock(&t->lock);
    return status;
}

/* Jaeger's query port answers what the main port answers below the same paths. */
static sx_status add_query(traces_server *t, sx_error *err)
{
    static const char *const PATHS[] = {
        "/api/traces",          "/api/services",  "/api/operations", "/api/dependencies",
        "/api/archive",         "/api/transform", "/api/metrics/",   "/api/deep-dependencies",
        "/api/quality-metrics", "/api/compare",   "/api/v3/",
    };
    sx_str address = t->api->flags->jaeger_query;
    sx_endpoint query = {.proto = "jaeger-query",
                         .address = address,
                         .routes = t->query_routes,
                         .fallback = api_not_found,
                         .optional = sx_str_eq(address, SX_STR("127.0.0.1:16686"))};
    if (address.len == 0 || !t->store)
        return SX_OK;
    sx_status status = api_routes_below(t->api, PATHS, SX_COUNT_OF(PATHS), &t->arena,
                                        t->query_routes, &query.route_count, err);
    return status == SX_OK ? sx_service_listen(t->api->service, &query, err) : status;
}

static sx_status add_tempo(traces_server *t, sx_error *err)
{
    sx_endpoint tempo = {.proto = "tempo",
                         .address = t->api->flags->tempo,
                         .routes = t->tempo_routes,
                         .fallback = api_not_found};
    if (tempo.address.len == 0 || !t->store)
        return SX_OK;
    sx_status status =
        api_routes_tempo(t->api, &t->arena, t->tempo_routes, &tempo.route_count, err);
    return status == SX_OK ? sx_service_listen(t->api->service, &tempo, err) : status;
}

sx_status traces_server_new(observe_api *a, const char *storage, traces_server **out, sx_error *err)
{
    traces_server *t = sx_calloc(1, sizeof(*t));
    *out = NULL;
    if (!t)
        return sx_fail_memory(err, "the traces' server");
    t->api = a;
    pthread_mutex_init(&t->lock, NULL);
    sx_arena_init(&t->arena, 4096, 0);
    a->archive = open_archive;
    a->archive_ctx = t;
    sx_status status = open_store(t, storage, err);
    if (status == SX_OK)
        status = open_derived(t, err);
    if (status == SX_OK)
        status = open_sampling(t, err);
    if (status == SX_OK)
        status = add_receivers(t, err);
    if (status == SX_OK)
        status = add_query(t, err);
    if (status == SX_OK)
        status = add_tempo(t, err);
    if (status != SX_OK) {
        traces_server_free(t);
        return status;
    }
    *out = t;
    return SX_OK;
}

void traces_server_free(traces_server *t)
{
    if (!t)
        return;
    traces_collect_free(t->collect); /* what waits in pipelines goes out */
    derive_own_free(t->derived);
    if (t->archive)
        tr_store_close(t->archive);
    sampling_free(t->sampling);
    if (t->store)
        tr_store_close(t->store);
    pthread_mutex_destroy(&t->lock);
    sx_arena_done(&t->arena);
    sx_free(t->loops);
    sx_free(t);
}

sx_status traces_server_check(traces_server *t, sx_error *err)
{
    sx_status status = SX_OK;
    if (t && t->sampling)
        status = sampling_check_file(t->sampling, err);
    return t && status == SX_OK ? traces_collect_check(t->collect, err) : status;
}

sx_status traces_server_reload(traces_server *t, sx_error *err)
{
    if (!t)
        return SX_OK;
    sx_status status = traces_collect_reload(t->collect, err);
    if (status == SX_OK && t->sampling)
        status = sampling_reload(t->sampling, err);
    if (status == SX_OK)
        settle_derived(t);
    return status;
}

/* --- UDP: a socket of each kind on each loop; the kernel spreads the senders. */

static bool keep_sockets(traces_server *t, const loop_sockets *on)
{
    if (t->loop_count == t->loop_cap) {
        size_t cap = t->loop_cap ? t->loop_cap * 2 : 8;
        loop_sockets *more = sx_realloc(t->loops, cap * sizeof(*more));
        if (!more)
            return false;
        t->loops = more;
        t->loop_cap = cap;
    }
    t->loops[t->loop_count++] = *on;
    return true;
}

static void close_sockets(loop_sockets *on)
{
    for (int i = 0; i < UDP_KINDS; i++)
        if (on->udp[i])
            sx_udp_close(on->udp[i]);
}

/* One that is on by default and finds its port taken is left out, as the others are. */
static sx_status open_socket(traces_server *t, receiver_kind kind, loop_sockets *on, sx_error *err)
{
    sx_udp **out = &on->udp[kind - RECEIVE_JAEGER_COMPACT];
    sx_bound *bound = &t->bound[kind - RECEIVE_JAEGER_COMPACT];
    bool first = !bound->text[0]; /* it finds out the port, the others open the same one */
    sx_str address = first ? t->addresses[kind] : sx_str_z(bound->text);
    sx_status status =
        receiver_open(&t->receivers[kind], on->loop, address, out, first ? bound : NULL, err);
    if (status == SX_OK && first)
        sx_service_bound(t->api->service, receiver_name(kind), bound->text);
    if (status != SX_EEXIST || !first ||
        !sx_str_eq(t->addresses[kind], sx_str_z(receiver_address(kind))))
        return status;
    t->addresses[kind].len = 0; /* nor do the other loops open it */
    *out = NULL;
    SX_LOG_WARN(sx_service_logger(t->api->service), NULL, "a listener is left out",
                sx_field_str("listener", sx_str_z(receiver_name(kind))), sx_field_error(err));
    return SX_OK;
}

sx_status traces_server_loop(traces_server *t, sx_loop *loop, sx_error *err)
{
    loop_sockets on = {.loop = loop};
    sx_status status = SX_OK;
    for (int k = RECEIVE_JAEGER_COMPACT; k < RECEIVE_KINDS && status == SX_OK; k++)
        if (t->addresses[k].len)
            status = open_socket(t, (receiver_kind)k, &on, err);
    pthread_mutex_lock(&t->lock);
    if (status == SX_OK && !keep_sockets(t, &on))
        status = sx_fail_memory(err, "UDP sockets");
    pthread_mutex_unlock(&t->lock);
    if (status != SX_OK)
        close_sockets(&on);
    return status;
}

void traces_server_loop_end(traces_server *t, sx_loop *loop)
{
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->loop_count; i++)
        if (t->loops[i].loop == loop) {
            close_sockets(&t->loops[i]);
            t->loops[i--] = t->loops[--t->loop_count];
        }
    pthread_mutex_unlock(&t->lock);
}
