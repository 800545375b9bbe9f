/* discovery_kubernetes_watch.c - one resource kept up to date: listed in pages, then watched.
 *
 *   list (page, page, ...) -> watch from its version -> watch ends -> watch from the last version seen
 *     ^                                                    | 410 Gone, or the server forgets us
 *     +----------------------------------------------------+
 *
 * A failure waits 0.8 s, twice as long each time up to 30 s, with jitter. Bookmarks move the version on
 * without an object. The objects of the last whole list stay while another is under way. */
#include "observe/scrape/discovery_kubernetes.h"

#include <stdio.h>

#include <sextant/http.h>
#include <sextant/url.h>

enum {
    PAGE_OBJECTS = 500,
    LIST_MS_MAX = 120000,
    WATCH_S_LEAST = 300, /* and up to twice of it: as client-go spreads them */
    WATCH_GRACE_MS = 30000,
    RETRY_MS_LEAST = 800,
    RETRY_MS_MOST = 30000,
    LINE_BYTES_MAX = 8 << 20,
    REFUSAL_BYTES_MAX = 4096
};

/* Groups of the API, plurals, kinds for messages, roles for metrics. */
static const struct {
    const char *prefix, *plural, *kind, *role;
} NAMES[KUBE_RESOURCES] = {
    [KUBE_PODS] = {"/api/v1", "pods", "*v1.Pod", "pod"},
    [KUBE_SERVICES] = {"/api/v1", "services", "*v1.Service", "service"},
    [KUBE_ENDPOINTS] = {"/api/v1", "endpoints", "*v1.Endpoints", "endpoints"},
    [KUBE_SLICES] = {"/apis/discovery.k8s.io/v1", "endpointslices", "*v1.EndpointSlice",
                     "endpointslice"},
    [KUBE_INGRESSES] = {"/apis/networking.k8s.io/v1", "ingresses", "*v1.Ingress", "ingress"},
    [KUBE_NODES] = {"/api/v1", "nodes", "*v1.Node", "node"},
    [KUBE_NAMESPACES] = {"/api/v1", "namespaces", "*v1.Namespace", NULL},
};

enum { ADDED, UPDATED, DELETED };

static void list(kube_watch *w);
static void watch(kube_watch *w);

/* ---- objects ---- */

static void count_event(const kube_watch *w, int event)
{
    discovery_count(w->events[event]);
}

/* Puts an object in the place of the one of its key. */
static sx_status put(kube_watch *w, kube_object *o, sx_error *err)
{
    sx_map_entry *e = sx_map_put(&w->objects, o->key, NULL);
    if (!e) {
        kube_object_free(o);
        return sx_fail_memory(err, "an object");
    }
    count_event(w, e->ptr ? UPDATED : ADDED);
    kube_object_free(e->ptr);
    o->round = w->round;
    e->ptr = o;
    e->key = o->key; /* the old one's text has gone */
    w->has_news = true;
    return SX_OK;
}

static void drop(kube_watch *w, sx_str key)
{
    kube_object *o = sx_map_get(&w->objects, key);
    if (!o)
        return;
    sx_map_remove(&w->objects, key);
    kube_object_free(o);
    count_event(w, DELETED);
    w->has_news = true;
}

const kube_object *kube_watch_find(const kube_watch *w, sx_str ns, sx_str name)
{
    char key[512]; /* names have at most 253 bytes, namespaces 63 */
    int len = ns.len ? snprintf(key, sizeof(key), "%.*s/%.*s", SX_ARG(ns), SX_ARG(name))
                     : snprintf(key, sizeof(key), "%.*s", SX_ARG(name));
    if (len < 0 || (size_t)len >= sizeof(key))
        return NULL;
    return sx_map_get(&w->objects, sx_str_of(key, (size_t)len));
}

/* ---- failures ---- */

static void set_text(sx_buf *b, sx_str text)
{
    sx_buf_clear(b);
    sx_buf_str(b, text);
}

static void wait_and_retry(kube_watch *w)
{
    uint32_t doublings = w->failures < 6 ? w->failures : 6;
    int64_t ms = (int64_t)RETRY_MS_LEAST << doublings;
    ms = ms < RETRY_MS_MOST ? ms : RETRY_MS_MOST;
    ms += (int64_t)sx_random_below(&w->state->random, (uint64_t)ms);
    w->failures++;
    sx_timer_start(sx_loop_timers(w->state->d->loop), &w->retry, ms);
}

static void fail(kube_watch *w, sx_error *err)
{
    sx_error_prefix(err, err->status, "failed to %s %s", w->is_listing ? "list" : "watch",
                    NAMES[w->resource].kind);
    discovery_count(w->state->failures);
    discovery_failed(w->state->d, "Kubernetes does not answer as it should", err);
    wait_and_retry(w);
}

static void on_retry(sx_timer *timer, void *arg)
{
    kube_watch *w = arg;
    (void)timer;
    if (w->needs_list)
        list(w);
    else
        watch(w);
}

/* An answer that is no 200, in the server's words. */
static sx_status refuse(int status, sx_str body, sx_error *err)
{
    sx_arena arena;
    sx_str message;
    sx_arena_init(&arena, 0, 0);
    kube_status_read(&arena, body, &message);
    sx_status st = message.len
                       ? sx_fail(err, SX_EPROTOCOL, "%d %s: %.*s", status, sx_http_reason(status),
                                 SX_ARG(message))
                       : sx_fail(err, SX_EPROTOCOL, "%d %s", status, sx_http_reason(status));
    sx_arena_done(&arena);
    return st;
}

/* ---- requests ---- */

static void write_parameter(sx_buf *url, const char *name, sx_str value)
{
    if (!value.len)
        return;
    sx_buf_printf(url, "&%s=", name);
    sx_url_encode(value, url);
}

/* `name` and `value` are one more parameter, `value` encoded here; an empty one is left out. */
static sx_status send(kube_watch *w, const char *query, const char *name, sx_str value,
                      int64_t timeout_ms, void (*piece)(void *ctx, int status, sx_str piece),
                      prom_http_done *done, sx_error *err)
{
    sx_buf url;
    tsdb_label headers[] = {{SX_STR("Accept"), SX_STR("application/json")},
                            {SX_STR("User-Agent"), SX_STR("Prometheus/3.14.0")}};
    sx_buf_init(&url, 0);
    sx_buf_printf(&url, "%.*s%s", SX_ARG(w->state->access.base), NAMES[w->resource].prefix);
    if (w->ns.len) {
        sx_buf_str(&url, SX_STR("/namespaces/"));
        sx_url_encode(w->ns, &url);
    }
    sx_buf_printf(&url, "/%s?%s", NAMES[w->resource].plural, query);
    write_parameter(&url, "labelSelector", w->label);
    write_parameter(&url, "fieldSelector", w->field);
    write_parameter(&url, name, value);
    prom_http_request r = {.method = SX_STR("GET"),
                           .url = sx_buf_view(&url),
                           .headers = headers,
                           .header_count = SX_COUNT_OF(headers),
                           .timeout_ms = timeout_ms,
                           .accept_gzip = !piece,
                           .piece = piece};
    sx_status st = sx_buf_status(&url, "a request to Kubernetes", err);
    if (st == SX_OK)
        st = prom_http_send(w->state->client, &r, done, w, &w->call, err);
    sx_buf_done(&url);
    return st;
}

/* ---- lists ---- */

static sx_status take_item(void *ctx, sx_str text, sx_error *err)
{
    kube_object *o;
    sx_status st = kube_object_read(((kube_watch *)ctx)->resource, text, &o, err);
    return st == SX_OK ? put(ctx, o, err) : st;
}

/* What the list did not show any more is gone. */
static void drop_older(kube_watch *w)
{
    sx_map_entry *e;
    size_t cursor = 0;
    while ((e = sx_map_next(&w->objects, &cursor))) {
        const kube_object *o = e->ptr;
        if (o->round != w->round)
            drop(w, o->key);
    }
}

static void finish_list(kube_watch *w)
{
    drop_older(w);
    w->is_listing = false;
    w->is_synced = true;
    w->needs_list = false;
    w->failures = 0;
    discovery_well(w->state->d);
    w->has_news = false;
    kube_changed(w->state);
    watch(w);
}

static sx_status take_page(kube_watch *w, const prom_http_answer *a, sx_error *err)
{
    sx_arena arena;
    kube_page page;
    if (a->result != SX_OK) {
        *err = *a->error;
        return a->result;
    }
    if (a->status != 200) {
        if (a->status == 410) /* the pages are of a version that is too old by now */
            sx_buf_clear(&w->next_page);
        return refuse(a->status, a->body, err);
    }
    sx_arena_init(&arena, 0, 0);
    sx_status st = kube_page_read(&arena, a->body, take_item, w, &page, err);
    if (st == SX_OK) {
        set_text(&w->next_page, page.next);
        set_text(&w->version, page.version);
        if (w->next_page.failed || w->version.failed)
            st = sx_fail_memory(err, "a list");
    }
    sx_arena_done(&arena);
    return st;
}

static void on_page(void *ctx, const prom_http_answer *a)
{
    kube_watch *w = ctx;
    sx_error err = {0};
    w->call = NULL;
    if (a->result == SX_ECANCELED)
        return;
    if (take_page(w, a, &err) != SX_OK) {
        sx_buf_clear(&w->next_page);
        fail(w, &err);
    } else if (w->next_page.len) {
        list(w);
    } else {
        finish_list(w);
    }
}

static void list(kube_watch *w)
{
    char query[64];
    sx_error err;
    w->needs_list = w->is_listing = true;
    if (!w->next_page.len)
        w->round++;
    snprintf(query, sizeof(query), "limit=%d", PAGE_OBJECTS);
    if (send(w, query, "continue", sx_buf_view(&w->next_page), LIST_MS_MAX, NULL, on_page, &err) !=
        SX_OK)
        fail(w, &err);
}

/* ---- watches ---- */

/* An error that the server sends instead of an event. */
static sx_status take_error(kube_watch *w, sx_arena *arena, sx_str object, sx_error *err)
{
    sx_str message;
    int64_t code = kube_status_read(arena, object, &message);
    w->needs_list = code == 410; /* what came before the version has been forgotten */
    return sx_fail(err, SX_EPROTOCOL, "%lld: %.*s", (long long)code, SX_ARG(message));
}

static sx_status take_event(kube_watch *w, sx_arena *arena, const kube_event *e, sx_error *err)
{
    kube_object *o;
    if (sx_str_eq(e->type, SX_STR("ERROR")))
        return take_error(w, arena, e->object, err);
    if (sx_str_eq(e->type, SX_STR("BOOKMARK"))) {
        sx_str version = kube_version_read(arena, e->object);
        if (version.len)
            set_text(&w->version, version);
        return SX_OK;
    }
    sx_status st = kube_object_read(w->resource, e->object, &o, err);
    if (st != SX_OK)
        return st;
    if (o->meta.version.len)
        set_text(&w->version, o->meta.version);
    if (sx_str_eq(e->type, SX_STR("DELETED"))) {
        drop(w, o->key);
        kube_object_free(o);
        return SX_OK;
    }
    return put(w, o, err);
}

static sx_status take_lines(kube_watch *w, sx_str piece, sx_error *err)
{
    sx_str line;
    sx_status st;
    sx_json_lines_feed(&w->lines, piece);
    while ((st = sx_json_lines_next(&w->lines, &line, err)) == SX_OK) {
        sx_arena arena;
        kube_event event;
        sx_arena_init(&arena, 0, 0);
        st = kube_event_read(&arena, line, &event, err);
        if (st == SX_OK)
            st = take_event(w, &arena, &event, err);
        sx_arena_done(&arena);
        if (st != SX_OK)
            return st;
        w->failures = 0;
    }
    return st == SX_AGAIN || st == SX_END ? SX_OK : st;
}

static void on_piece(void *ctx, int status, sx_str piece)
{
    kube_watch *w = ctx;
    sx_error err = {0};
    if (status != 200) {
        sx_buf_str(&w->refusal, sx_str_first(piece, REFUSAL_BYTES_MAX - w->refusal.len));
        return;
    }
    sx_status st = take_lines(w, piece, &err);
    if (w->has_news) {
        w->has_news = false;
        kube_changed(w->state);
    }
    if (st == SX_OK)
        return;
    prom_http_call *call = w->call;
    w->call = NULL;
    prom_http_cancel(call);
    /* What could not be read might be gone by the next list. */
    w->needs_list |= st != SX_EPROTOCOL;
    fail(w, &err);
}

static void on_end(void *ctx, const prom_http_answer *a)
{
    kube_watch *w = ctx;
    sx_error err = {0};
    if (a->result == SX_ECANCELED)
        return;
    w->call = NULL;
    if (a->result == SX_OK && a->status == 200) { /* its time was over */
        sx_timer_start(sx_loop_timers(w->state->d->loop), &w->retry, RETRY_MS_LEAST);
        return;
    }
    if (a->result != SX_OK) {
        err = *a->error;
    } else {
        w->needs_list = a->status == 410;
        refuse(a->status, sx_buf_view(&w->refusal), &err);
    }
    fail(w, &err);
}

static void watch(kube_watch *w)
{
    char query[128];
    sx_error err;
    int seconds = WATCH_S_LEAST + (int)sx_random_below(&w->state->random, WATCH_S_LEAST);
    sx_json_lines_done(&w->lines);
    sx_json_lines_init(&w->lines, LINE_BYTES_MAX);
    sx_buf_clear(&w->refusal);
    snprintf(query, sizeof(query), "watch=1&allowWatchBookmarks=true&timeoutSeconds=%d", seconds);
    if (send(w, query, "resourceVersion", sx_buf_view(&w->version),
             (int64_t)seconds * 1000 + WATCH_GRACE_MS, on_piece, on_end, &err) != SX_OK)
        fail(w, &err);
}

/* ---- life ---- */

static void open_counters(kube_watch *w)
{
    static const char *const LABELS[] = {"event", "role"};
    static const sx_str EVENTS[] = {SX_STR_INIT("add"), SX_STR_INIT("update"),
                                    SX_STR_INIT("delete")};
    const sx_kit *kit = w->state->d->kit;
    sx_metric *m;
    sx_metric_options o = {.kind = SX_METRIC_COUNTER,
                           .name = "prometheus_sd_kubernetes_events_total",
                           .help = "The number of Kubernetes events handled.",
                           .labels = LABELS,
                           .label_count = 2};
    if (!kit || !kit->metrics || !NAMES[w->resource].role ||
        sx_metric_new(kit->metrics, &o, &m, NULL) != SX_OK)
        return;
    for (size_t i = 0; i < SX_COUNT_OF(EVENTS); i++) {
        sx_str values[] = {EVENTS[i], sx_str_z(NAMES[w->resource].role)};
        w->events[i] = sx_metric_counter(m, values, 2);
    }
}

void kube_watch_init(kube_watch *w, kube_state *state, kube_resource resource, sx_str ns)
{
    *w = (kube_watch){.state = state, .resource = resource, .ns = ns};
    w->retry = (sx_timer){.fn = on_retry, .arg = w};
    sx_map_init(&w->objects, NULL);
    sx_buf_init(&w->version, 0);
    sx_buf_init(&w->next_page, 0);
    sx_buf_init(&w->refusal, REFUSAL_BYTES_MAX);
    sx_json_lines_init(&w->lines, LINE_BYTES_MAX);
    open_counters(w);
}

void kube_watch_start(kube_watch *w)
{
    list(w);
}

void kube_watch_done(kube_watch *w)
{
    sx_map_entry *e;
    size_t cursor = 0;
    if (!w->state)
        return;
    sx_timer_stop(sx_loop_timers(w->state->d->loop), &w->retry);
    while ((e = sx_map_next(&w->objects, &cursor)))
        kube_object_free(e->ptr);
    sx_map_done(&w->objects);
    sx_buf_done(&w->version);
    sx_buf_done(&w->next_page);
    sx_buf_done(&w->refusal);
    sx_json_lines_done(&w->lines);
}
