/* derive_edges.c - increases of the service graph's counters, added up by edge. */
#include "observe/collector/derive_edges.h"

#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/map.h>

enum { LOOKBACK_MS = 5 * 60000 };

/* Which counter is which part of an edge. */
static const struct {
    sx_str name;
    size_t at;
} PARTS[] = {
    {SX_STR_INIT("traces_service_graph_request_total"), offsetof(derive_edge, calls)},
    {SX_STR_INIT("traces_service_graph_request_failed_total"), offsetof(derive_edge, failed)},
    {SX_STR_INIT("traces_service_graph_request_server_seconds_sum"),
     offsetof(derive_edge, server_seconds)},
    {SX_STR_INIT("traces_service_graph_request_client_seconds_sum"),
     offsetof(derive_edge, client_seconds)},
};

typedef struct gathering {
    tsdb_querier *q;
    sx_arena *arena;
    derive_edge *edges; /* vector in the arena */
    size_t count, cap;
    sx_map places; /* "client\0server\0type" to number + 1 */
    int64_t min_ms, max_ms;
    const _Atomic bool *canceled;
} gathering;

/* From the last value before the range (a series that begins inside does so with a zero). */
static double increase_of(const tsdb_columns *c, int64_t min_ms)
{
    double sum = 0, before = 0;
    bool any = false;
    for (size_t i = 0; i < c->count; i++) {
        double v = c->v[i];
        if (tsdb_is_stale(v)) {
            any = false; /* whatever comes next has begun at zero */
            before = 0;
            continue;
        }
        if (any && c->t[i] >= min_ms)
            sum += v >= before ? v - before : v;
        before = v;
        any = true;
    }
    return sum;
}

static derive_edge *edge_of(gathering *g, tsdb_labels l, sx_error *err)
{
    sx_str client = tsdb_labels_get(l, SX_STR("client")),
           server = tsdb_labels_get(l, SX_STR("server")),
           type = tsdb_labels_get(l, SX_STR("connection_type"));
    sx_str key = sx_arena_printf(g->arena, "%.*s%c%.*s%c%.*s", SX_ARG(client), 1, SX_ARG(server), 1,
                                 SX_ARG(type));
    sx_map_entry *e = key.data ? sx_map_put(&g->places, key, NULL) : NULL;
    if (e && !e->u64 &&
        sx_arena_grow(g->arena, &g->edges, &g->cap, g->count + 1, sizeof(*g->edges))) {
        g->edges[g->count++] =
            (derive_edge){.client = client, .server = server, .connection_type = type};
        e->u64 = g->count;
    }
    if (!e || !e->u64) {
        (void)sx_fail_memory(err, "edges between services");
        return NULL;
    }
    return &g->edges[e->u64 - 1];
}

static sx_status gather(gathering *g, sx_str name, size_t at, sx_error *err)
{
    tsdb_matcher m;
    tsdb_selection found = {0};
    tsdb_columns c;
    const tsdb_hints hints = {.min_t = g->min_ms - LOOKBACK_MS, .max_t = g->max_ms};
    sx_status st = tsdb_matcher_init(&m, TSDB_MATCH_EQUAL, TSDB_METRIC_NAME, name, err);
    if (st != SX_OK)
        return st;
    st = g->q->ops->select(g->q, &hints, &m, 1, g->arena, &found, g->canceled, err);
    tsdb_columns_init(&c, g->arena);
    for (size_t i = 0; i < found.count && st == SX_OK; i++) {
        c.count = 0;
        st = g->q->ops->read(g->q, &found.items[i], hints.min_t, hints.max_t, &c, err);
        double more = st == SX_OK ? increase_of(&c, g->min_ms) : 0;
        if (more <= 0)
            continue;
        derive_edge *e = edge_of(g, found.items[i].labels, err);
        if (!e)
            st = SX_ENOMEM;
        else
            *(double *)((char *)e + at) += more;
    }
    tsdb_columns_done(&c);
    tsdb_matcher_done(&m);
    return st;
}

static int busiest_first(const void *left, const void *right)
{
    const derive_edge *a = left, *b = right;
    if (a->calls != b->calls)
        return a->calls < b->calls ? 1 : -1;
    int order = sx_str_cmp(a->client, b->client);
    return order ? order : sx_str_cmp(a->server, b->server);
}

/* Names outlive the querier: they are copied at the end, once each edge. */
static bool keep_names(gathering *g)
{
    for (size_t i = 0; i < g->count; i++) {
        sx_str *names[] = {&g->edges[i].client, &g->edges[i].server, &g->edges[i].connection_type};
        for (size_t n = 0; n < SX_COUNT_OF(names); n++) {
            *names[n] = sx_arena_copy(g->arena, *names[n]);
            if (!names[n]->data)
                return false;
        }
    }
    return true;
}

sx_status derive_edges(tsdb_queryable *from, int64_t min_ms, int64_t max_ms, sx_arena *arena,
                       derive_edge **out, size_t *count, const _Atomic bool *canceled,
                       sx_error *err)
{
    gathering g = {.arena = arena, .min_ms = min_ms, .max_ms = max_ms, .canceled = canceled};
    *count = 0;
    sx_status st = from->querier(from, min_ms - LOOKBACK_MS, max_ms, &g.q, err);
    if (st != SX_OK)
        return st;
    sx_map_init(&g.places, arena);
    for (size_t i = 0; i < SX_COUNT_OF(PARTS) && st == SX_OK; i++)
        st = gather(&g, PARTS[i].name, PARTS[i].at, err);
    if (st == SX_OK && !keep_names(&g))
        st = sx_fail_memory(err, "edges between services");
    g.q->ops->free(g.q);
    if (st != SX_OK)
        return st;
    if (g.count)
        qsort(g.edges, g.count, sizeof(*g.edges), busiest_first);
    *out = g.edges;
    *count = g.count;
    return SX_OK;
}
