/* derive_graph.c - edges between services, from the two ends of each request.
 *
 *     client, producer ──┐                        ┌─ complete ─▶ an edge's row
 *                        ├─ derive_pairs (ttl) ───┤
 *     server, consumer ──┘                        └─ expired ──▶ an edge to a node that sends no
 *                                                               spans, or "unpaired"
 *
 * A call of a database has one end only and is complete at once; a server's span without a parent is
 * an edge from `user`. Rows are counted under the lock of takers and added up at each flush. */
#include <pthread.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/collector/derive.h"
#include "observe/collector/derive_pairs.h"
#include "observe/collector/derive_write.h"

enum { STALE_MS = 15 * 60000, DIMENSIONS_MAX = 16, EDGE_SERVER = 0, EDGE_CLIENT = 1 };

typedef enum { TYPE_NONE, TYPE_MESSAGING, TYPE_DATABASE, TYPE_VIRTUAL } edge_type;
enum { TAG_TYPE = 3, TAG_FAILED = 4, TAG_VIRTUAL_CLIENT = 8, TAG_VIRTUAL_SERVER = 16 };

enum { VALUE_CLIENT, VALUE_SERVER, VALUES };

static const uint64_t BOUNDS_NS[] = {
    2000000,   4000000,   6000000,    8000000,    10000000,   50000000,   100000000,   200000000,
    400000000, 800000000, 1000000000, 1400000000, 2000000000, 5000000000, 10000000000, 15000000000};

typedef struct rows {
    derive_shape shape, lane_shape;
    derive_sheet sheet;
    derive_table lane; /* by the lock */
} rows;

struct servicegraph {
    const servicegraph_settings *settings;
    derive_host host;
    sx_arena arena;
    derive_names databases;
    pthread_mutex_t lock; /* of what takers touch */
    pairs pairs;
    rows edges, lost;
    uint64_t seed;
    pthread_mutex_t flushing; /* one flush at a time; before `lock` */
    int64_t flushed_ms, flushed_mono_ms, expired_mono_ms, cleaned_mono_ms;
    sx_counter *failures;
};

void servicegraph_defaults(servicegraph_settings *s)
{
    static const sx_str PEERS[] = {SX_STR_INIT("peer.service"), SX_STR_INIT("db.name"),
                                   SX_STR_INIT("db.system")};
    static const sx_str DATABASES[] = {SX_STR_INIT("db.name")};
    *s = (servicegraph_settings){.buckets = {BOUNDS_NS, SX_COUNT_OF(BOUNDS_NS)},
                                 .ttl_ms = 2000,
                                 .items_max = 1000,
                                 .cache_loop_ms = 60000,
                                 .expiration_loop_ms = 2000,
                                 .peer_attributes = {PEERS, SX_COUNT_OF(PEERS)},
                                 .flush_ms = 60000,
                                 .database_attributes = {DATABASES, SX_COUNT_OF(DATABASES)}};
}

/* --- Edges that are complete. By the lock. */

static void count_edge(servicegraph *g, const pair *it, const uint32_t *dimensions, uint32_t marks)
{
    sx_str values[VALUES + 2 * DIMENSIONS_MAX];
    uint32_t count = g->edges.shape.value_count;
    derive_key key = {.tag = it->type | (it->failed ? TAG_FAILED : 0) | marks, .values = values};
    values[VALUE_CLIENT] = pairs_text_of(&g->pairs, it->client);
    values[VALUE_SERVER] = pairs_text_of(&g->pairs, it->server);
    for (uint32_t i = VALUES; i < count; i++)
        values[i] = pairs_text_of(&g->pairs, dimensions[i - VALUES]);
    key.hash = g->seed + key.tag;
    for (uint32_t i = 0; i < count; i++)
        key.hash = sx_hash(values[i], key.hash + i);
    derive_row *row = derive_table_row(&g->edges.lane, &key);
    const uint64_t ns[] = {[EDGE_SERVER] = it->server_ns, [EDGE_CLIENT] = it->client_ns};
    row->dirty = true;
    row->counters[0]++;
    row->counters[1] += it->failed;
    for (uint32_t i = 0; i < SX_COUNT_OF(ns); i++) {
        derive_exemplar x = {.ns = ns[i]};
        uint32_t bucket = derive_row_observe(&g->edges.shape, row, i, ns[i]);
        if (!g->edges.shape.exemplars_max || !ns[i])
            continue;
        memcpy(x.trace_id, it->trace_id, sizeof(x.trace_id));
        memcpy(x.span_id, it->span_id, sizeof(x.span_id));
        derive_row_exemplar(&g->edges.shape, row, i, bucket, &x);
    }
}

enum { LOST_UNPAIRED, LOST_DROPPED };

static void count_lost(servicegraph *g, uint32_t client, uint32_t server, uint32_t type, int why)
{
    sx_str values[VALUES] = {pairs_text_of(&g->pairs, client), pairs_text_of(&g->pairs, server)};
    derive_key key = {.tag = type, .values = values};
    key.hash = sx_hash(values[1], sx_hash(values[0], g->seed + type));
    derive_row *row = derive_table_row(&g->lost.lane, &key);
    row->dirty = true;
    row->counters[why]++;
}

/* The other end sends no spans: a node is made of what this end knows of it. */
static void expire_pair(servicegraph *g, uint32_t at)
{
    pair *it = &g->pairs.items[at];
    count_lost(g, it->client, it->server, it->type, LOST_UNPAIRED);
    if (g->settings->peer_attributes.count && it->client != PAIRS_NO_TEXT) {
        it->type = TYPE_VIRTUAL;
        it->server =
            it->peer != PAIRS_NO_TEXT ? it->peer : pairs_text(&g->pairs, SX_STR("unknown"));
        count_edge(g, it, g->pairs.dimension_count ? pairs_dimensions(&g->pairs, at) : NULL,
                   TAG_VIRTUAL_SERVER);
    }
    pairs_remove(&g->pairs, at);
}

static void expire_pairs(servicegraph *g, int64_t now_ms)
{
    uint32_t at;
    while ((at = pairs_expired(&g->pairs, now_ms)) != PAIRS_NONE)
        expire_pair(g, at);
}

/* --- Spans. By the lock. */

typedef struct taking {
    servicegraph *g;
    const span_resource *resource;
    uint32_t service;
    int64_t now_ms;
} taking;

static bool find_text(const span *s, sx_str key, sx_buf *space, sx_str *out)
{
    const span_value *v = span_attrs_find(s->attrs, key);
    if (!v)
        v = span_attrs_find(s->resource->attrs, key);
    if (!v)
        return false;
    *out = span_value_str(v);
    if (v->type != SPAN_STR) {
        sx_buf_clear(space);
        span_value_text(v, space);
        *out = sx_buf_view(space);
    }
    return true;
}

/* The first of these attributes that the span has, as a number; PAIRS_NO_TEXT: none of them. */
static uint32_t first_text(servicegraph *g, const span *s, derive_names names, bool resource)
{
    for (uint32_t i = 0; i < names.count; i++) {
        const span_value *v = span_attrs_find(s->attrs, names.items[i]);
        if (!v && resource)
            v = span_attrs_find(s->resource->attrs, names.items[i]);
        if (v && v->type == SPAN_STR && v->len)
            return pairs_text(&g->pairs, span_value_str(v));
    }
    return PAIRS_NO_TEXT;
}

static void put_dimensions(servicegraph *g, const span *s, bool client, uint32_t *out)
{
    derive_names names = g->settings->dimensions;
    sx_buf space;
    sx_str text;
    if (!names.count)
        return;
    sx_buf_init(&space, 0);
    for (uint32_t i = 0; i < names.count; i++)
        if (find_text(s, names.items[i], &space, &text))
            out[client ? i : names.count + i] = pairs_text(&g->pairs, text);
    sx_buf_done(&space);
}

static void fill_pair(taking *t, const span *s, bool client, uint32_t database, pair *it,
                      uint32_t *dimensions)
{
    uint64_t ns = s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0;
    it->type = s->kind == SPAN_PRODUCER || s->kind == SPAN_CONSUMER ? TYPE_MESSAGING : TYPE_NONE;
    it->failed |= s->status == SPAN_ERROR;
    if (client) {
        it->client = t->service;
        it->client_ns = ns;
    } else {
        it->server = t->service;
        it->server_ns = ns;
    }
    if (database != PAIRS_NO_TEXT) {
        it->type = TYPE_DATABASE;
        it->server = database;
        it->server_ns = ns;
    }
    put_dimensions(t->g, s, client, dimensions);
}

/* A pair that does not have to wait for anything. */
static void complete_at_once(taking *t, const span *s, bool client, uint32_t database)
{
    servicegraph *g = t->g;
    uint32_t dimensions[2 * DIMENSIONS_MAX] = {0};
    pair one = {0};
    uint32_t marks = 0;
    memcpy(one.trace_id, s->trace_id, sizeof(one.trace_id));
    memcpy(one.span_id, s->id, sizeof(one.span_id));
    fill_pair(t, s, client, database, &one, dimensions);
    if (!client) {
        one.client = pairs_text(&g->pairs, SX_STR("user"));
        one.type = TYPE_VIRTUAL;
        marks = TAG_VIRTUAL_CLIENT;
    }
    count_edge(g, &one, dimensions, marks);
}

static void take_end(taking *t, const span *s, bool client)
{
    static const uint8_t NO_PARENT[8] = {0};
    servicegraph *g = t->g;
    bool root = !client && memcmp(s->parent, NO_PARENT, sizeof(NO_PARENT)) == 0, made;
    uint32_t database = client ? first_text(g, s, g->databases, true) : PAIRS_NO_TEXT;
    if (root && g->settings->peer_attributes.count) {
        complete_at_once(t, s, client, database);
        return;
    }
    const uint8_t *id = client ? s->id : s->parent;
    if (database != PAIRS_NO_TEXT && pairs_find(&g->pairs, s->trace_id, id) == PAIRS_NONE) {
        complete_at_once(t, s, client, database);
        return;
    }
    uint32_t at = pairs_put(&g->pairs, s->trace_id, id, t->now_ms, &made);
    if (at == PAIRS_NONE) {
        count_lost(g, client ? t->service : PAIRS_NO_TEXT, client ? PAIRS_NO_TEXT : t->service,
                   TYPE_NONE, LOST_DROPPED);
        return;
    }
    pair *it = &g->pairs.items[at];
    uint32_t *dimensions = g->pairs.dimension_count ? pairs_dimensions(&g->pairs, at) : NULL;
    fill_pair(t, s, client, database, it, dimensions);
    if (client)
        it->peer = first_text(g, s, g->settings->peer_attributes, false);
    if (it->client != PAIRS_NO_TEXT && it->server != PAIRS_NO_TEXT) {
        count_edge(g, it, dimensions, 0);
        pairs_remove(&g->pairs, at);
    }
}

void servicegraph_take(servicegraph *g, const span_batch *b)
{
    taking t = {.g = g, .now_ms = sx_clock_mono_ms(g->host.clock)};
    pthread_mutex_lock(&g->lock);
    for (size_t i = 0; i < b->count; i++) {
        const span *s = b->spans[i];
        if (s->kind < SPAN_SERVER || !s->resource->service.len)
            continue;
        if (s->resource != t.resource) {
            t.resource = s->resource;
            t.service = pairs_text(&g->pairs, s->resource->service);
        }
        take_end(&t, s, s->kind == SPAN_CLIENT || s->kind == SPAN_PRODUCER);
    }
    pthread_mutex_unlock(&g->lock);
    if (g->settings->flush_ms <= 0)
        (void)servicegraph_flush(g, NULL); /* counted in the failures */
}

/* --- Flushing. */

static sx_status flush(servicegraph *g, sx_error *err)
{
    rows *both[] = {&g->edges, &g->lost};
    derive_sheet *sheets[] = {&g->edges.sheet, &g->lost.sheet};
    tsdb_appendable *store = g->host.store;
    int64_t t_ms = sx_clock_ms(g->host.clock), now_ms = sx_clock_mono_ms(g->host.clock);
    bool clean = now_ms - g->cleaned_mono_ms >= g->settings->cache_loop_ms;
    pthread_mutex_lock(&g->lock);
    for (size_t i = 0; i < SX_COUNT_OF(both); i++) {
        derive_table_merge(&sheets[i]->whole, &both[i]->lane, now_ms);
        if (clean) /* edges on which nothing has happened for long */
            derive_table_expire(&both[i]->lane, now_ms - STALE_MS, NULL, NULL);
    }
    pthread_mutex_unlock(&g->lock);
    if (clean) {
        g->cleaned_mono_ms = now_ms;
        derive_expire(sheets, SX_COUNT_OF(sheets), store, now_ms - STALE_MS, t_ms);
    }
    sx_status st = derive_flush(sheets, SX_COUNT_OF(sheets), store, t_ms, g->flushed_ms, err);
    if (st == SX_OK)
        g->flushed_ms = t_ms;
    g->flushed_mono_ms = now_ms;
    if (g->failures)
        sx_counter_add(g->failures, st != SX_OK);
    return st;
}

sx_status servicegraph_flush(servicegraph *g, sx_error *err)
{
    pthread_mutex_lock(&g->flushing);
    sx_status st = flush(g, err);
    pthread_mutex_unlock(&g->flushing);
    return st;
}

sx_status servicegraph_tick(servicegraph *g, sx_error *err)
{
    int64_t now_ms = sx_clock_mono_ms(g->host.clock);
    sx_status st = SX_OK;
    if (now_ms - g->expired_mono_ms >= g->settings->expiration_loop_ms) {
        g->expired_mono_ms = now_ms;
        pthread_mutex_lock(&g->lock);
        expire_pairs(g, now_ms);
        pairs_tidy(&g->pairs);
        pthread_mutex_unlock(&g->lock);
    }
    pthread_mutex_lock(&g->flushing);
    if (g->settings->flush_ms > 0 && now_ms - g->flushed_mono_ms >= g->settings->flush_ms)
        st = flush(g, err);
    pthread_mutex_unlock(&g->flushing);
    return st;
}

/* --- Making. */

static size_t edge_labels(const void *ctx, uint32_t tag, tsdb_label out[DERIVE_TAG_LABELS_MAX])
{
    static const char *const TYPES[] = {"", "messaging_system", "database", "virtual_node"};
    const servicegraph *g = ctx;
    size_t count = 0;
    if (tag & TAG_TYPE)
        out[count++] = (tsdb_label){SX_STR("connection_type"), sx_str_z(TYPES[tag & TAG_TYPE])};
    out[count++] =
        (tsdb_label){SX_STR("failed"), tag & TAG_FAILED ? SX_STR("true") : SX_STR("false")};
    if (g->settings->virtual_node_label && tag & (TAG_VIRTUAL_CLIENT | TAG_VIRTUAL_SERVER))
        out[count++] = (tsdb_label){SX_STR("virtual_node"),
                                    tag & TAG_VIRTUAL_CLIENT ? SX_STR("client") : SX_STR("server")};
    return count;
}

static size_t lost_labels(const void *ctx, uint32_t tag, tsdb_label out[DERIVE_TAG_LABELS_MAX])
{
    (void)ctx;
    if (tag != TYPE_MESSAGING)
        return 0;
    out[0] = (tsdb_label){SX_STR("connection_type"), SX_STR("messaging_system")};
    return 1;
}

static sx_status init_rows(servicegraph *g, rows *r, sx_error *err)
{
    int64_t max = g->settings->series_max;
    r->shape.rows_max =
        max > 0 && max < SERVICEGRAPH_ROWS_MAX ? (uint32_t)max : SERVICEGRAPH_ROWS_MAX;
    r->shape.ns_per_unit = r->sheet.writer.ns_per_unit = 1e9;
    r->sheet.writer.shape = &r->shape;
    r->sheet.writer.tag_ctx = g;
    r->lane_shape = r->shape;
    r->shape.ref_count = derive_writer_refs(&r->sheet.writer);
    sx_status st = derive_table_init(&r->lane, &r->lane_shape, err);
    return st == SX_OK ? derive_table_init(&r->sheet.whole, &r->shape, err) : st;
}

static sx_status edge_names(servicegraph *g, sx_error *err)
{
    derive_names dimensions = g->settings->dimensions;
    derive_buckets buckets = g->settings->buckets;
    sx_str *names = sx_arena_calloc(&g->arena, VALUES + 2 * DIMENSIONS_MAX, sizeof(*names));
    sx_str *bounds = sx_arena_calloc(&g->arena, buckets.count + 1, sizeof(*bounds));
    if (!names || !bounds)
        return sx_fail_memory(err, "labels of edges");
    names[VALUE_CLIENT] = SX_STR("client");
    names[VALUE_SERVER] = SX_STR("server");
    for (uint32_t i = 0; i < 2 * dimensions.count; i++) {
        bool client = i < dimensions.count;
        sx_str name = sx_arena_printf(&g->arena, "%s_%.*s", client ? "client" : "server",
                                      SX_ARG(dimensions.items[i % dimensions.count]));
        names[VALUES + i] = name.data ? derive_label_name(&g->arena, name) : name;
        if (!names[VALUES + i].data)
            return sx_fail_memory(err, "labels of edges");
    }
    for (uint32_t i = 0; i < buckets.count; i++) {
        bounds[i] = derive_bound_text(&g->arena, buckets.ns[i], 1e9);
        if (!bounds[i].data)
            return sx_fail_memory(err, "labels of edges");
    }
    g->edges.sheet.writer.label_names = g->lost.sheet.writer.label_names = names;
    g->edges.sheet.writer.bounds = bounds;
    return SX_OK;
}

static sx_status make_rows(servicegraph *g, sx_error *err)
{
    static const derive_metric EDGES[] =
        {{SX_STR_INIT("traces_service_graph_request_total"), "Requests between two nodes.", false,
          0},
         {SX_STR_INIT("traces_service_graph_request_failed_total"),
          "Failed requests between two nodes.", false, 1},
         {SX_STR_INIT("traces_service_graph_request_server_seconds"),
          "Time of requests between two nodes as seen from the server.", true, EDGE_SERVER},
         {SX_STR_INIT("traces_service_graph_request_client_seconds"),
          "Time of requests between two nodes as seen from the client.", true, EDGE_CLIENT}},
                               LOST[] = {
                                   {SX_STR_INIT("traces_service_graph_unpaired_spans_total"),
                                    "Spans whose other end has not come.", false, LOST_UNPAIRED},
                                   {SX_STR_INIT("traces_service_graph_dropped_spans_total"),
                                    "Spans for which there was no room.", false, LOST_DROPPED}};
    const servicegraph_settings *s = g->settings;
    derive_shape *shape = &g->edges.shape;
    memcpy(g->edges.sheet.writer.metrics, EDGES, sizeof(EDGES));
    g->edges.sheet.writer.metric_count = SX_COUNT_OF(EDGES);
    g->edges.sheet.writer.tag_labels = edge_labels;
    shape->value_count = VALUES + 2 * s->dimensions.count;
    shape->histogram_count = 2;
    shape->bounds_ns = s->buckets.ns;
    shape->bound_count = s->exponential_size ? 0 : s->buckets.count;
    shape->expo_size = (uint32_t)s->exponential_size;
    shape->exemplars_max =
        s->exemplars_max < DERIVE_EXEMPLARS_MAX ? (uint32_t)s->exemplars_max : DERIVE_EXEMPLARS_MAX;
    memcpy(g->lost.sheet.writer.metrics, LOST, sizeof(LOST));
    g->lost.sheet.writer.metric_count = SX_COUNT_OF(LOST);
    g->lost.sheet.writer.tag_labels = lost_labels;
    g->lost.shape.value_count = VALUES;
    sx_status st = edge_names(g, err);
    if (st == SX_OK)
        st = init_rows(g, &g->edges, err);
    return st == SX_OK ? init_rows(g, &g->lost, err) : st;
}

static sx_status make_metrics(servicegraph *g, sx_error *err)
{
    static const char *const LABELS[] = {"connector"};
    static const sx_metric_options FAILURES = {.kind = SX_METRIC_COUNTER,
                                               .name = "sextant_servicegraph_failed_flushes_total",
                                               .help = "Flushes that the metric store refused.",
                                               .labels = LABELS,
                                               .label_count = 1};
    sx_metric *failures;
    if (!g->host.kit || !g->host.kit->metrics)
        return SX_OK;
    sx_status st = sx_metric_new(g->host.kit->metrics, &FAILURES, &failures, err);
    if (st == SX_OK)
        g->failures = sx_metric_counter(failures, &g->host.id, 1);
    return st;
}

sx_status servicegraph_check(const servicegraph_settings *s, sx_error *err)
{
    if (s->dimensions.count > DIMENSIONS_MAX)
        return sx_fail(err, SX_ELIMIT, "%u dimensions are more than %d", s->dimensions.count,
                       DIMENSIONS_MAX);
    if (s->exponential_size && (s->exponential_size < 8 || s->exponential_size > 1024))
        return sx_fail(err, SX_EINVAL, "exponential_histogram_max_size is %lld; give 8 to 1024",
                       (long long)s->exponential_size);
    if (s->buckets.count > DERIVE_BOUNDS_MAX)
        return sx_fail(err, SX_EINVAL, "latency_histogram_buckets has %u; at most %d",
                       s->buckets.count, DERIVE_BOUNDS_MAX);
    for (uint32_t i = 1; i < s->buckets.count; i++)
        if (s->buckets.ns[i] <= s->buckets.ns[i - 1])
            return sx_fail(err, SX_EINVAL,
                           "latency_histogram_buckets must rise; number %u does not", i + 1);
    if (s->items_max <= 0 || s->items_max > 10000000)
        return sx_fail(err, SX_EINVAL, "store.max_items is %lld; give 1 to 10000000",
                       (long long)s->items_max);
    return SX_OK;
}

sx_status servicegraph_new(const servicegraph_settings *settings, const derive_host *host,
                           servicegraph **out, sx_error *err)
{
    *out = NULL;
    sx_status st = servicegraph_check(settings, err);
    if (st != SX_OK)
        return st;
    servicegraph *g = sx_calloc(1, sizeof(*g));
    if (!g)
        return sx_fail_memory(err, "a service graph");
    g->settings = settings;
    g->host = *host;
    g->seed = sx_hash_seed();
    g->databases = settings->database_attributes;
    if (settings->database_attribute.len)
        g->databases = (derive_names){&settings->database_attribute, 1};
    g->flushed_ms = sx_clock_ms(host->clock);
    g->flushed_mono_ms = g->expired_mono_ms = g->cleaned_mono_ms = sx_clock_mono_ms(host->clock);
    pthread_mutex_init(&g->lock, NULL);
    pthread_mutex_init(&g->flushing, NULL);
    sx_arena_init(&g->arena, 0, 0);
    st = pairs_init(&g->pairs, (size_t)settings->items_max, settings->ttl_ms,
                    2 * settings->dimensions.count, err);
    if (st == SX_OK)
        st = make_rows(g, err);
    if (st == SX_OK)
        st = make_metrics(g, err);
    if (st != SX_OK) {
        g->host.store = NULL; /* there is nothing to flush */
        servicegraph_free(g);
        return st;
    }
    *out = g;
    return SX_OK;
}

void servicegraph_free(servicegraph *g)
{
    if (!g)
        return;
    if (g->host.store)
        (void)servicegraph_flush(g, NULL);
    pairs_done(&g->pairs);
    rows *both[] = {&g->edges, &g->lost};
    for (size_t i = 0; i < SX_COUNT_OF(both); i++) {
        derive_table_done(&both[i]->lane);
        derive_table_done(&both[i]->sheet.whole);
    }
    sx_arena_done(&g->arena);
    pthread_mutex_destroy(&g->lock);
    pthread_mutex_destroy(&g->flushing);
    sx_free(g);
}
