/* edges.c - who calls whom: what segments and memtables know, and the calls whose two ends lie in
 * different ones.
 *
 * A segment has its edges by the minute. A memtable's are made when asked: its traces are walked
 * along their chains. A span whose parent is elsewhere (an orphan: its trace was under way when the
 * memtables turned over) is looked up by its trace; what a segment's orphans gave is kept with it, and
 * done again only while parents may still come. Merges bring most of them together. The look-ups of
 * one question are bounded; what is beyond is left out, a share of the calls at the segments' seams.
 * The rules for databases and queues are segment_side.c's. */
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/traces/store_impl.h"

enum {
    ORPHANS_MAX = 4096,
    YOUNG_MS = 600000,
    AGAIN_MS = 5000,
    EDGE_CACHE = 1024,
    WHOLE_MAX = 4096
};
#define MINUTE_NS UINT64_C(60000000000)

/* The attributes that name a peer which sends no spans, the first that a span has. */
static const struct {
    sx_str key;
    tr_edge_kind kind;
} PEERS[] = {
    {SX_STR_INIT("db.system.name"), TR_EDGE_DATABASE},
    {SX_STR_INIT("db.system"), TR_EDGE_DATABASE},
    {SX_STR_INIT("messaging.system"), TR_EDGE_MESSAGING},
    {SX_STR_INIT("peer.service"), TR_EDGE_SERVICE},
};

/* What a segment's orphans came to, and the sums of all its calls: a question about a day then adds
 * up a few hundred numbers a segment instead of those of each minute. */
struct tr_resolved {
    pthread_mutex_t lock;
    tr_edge *whole; /* names in whole_arena */
    size_t whole_count;
    bool whole_tried, too_many;
    sx_arena whole_arena;
    tr_edge *edges; /* names in the arena */
    size_t count, cap;
    sx_arena arena;
    int64_t checked_ms; /* mono; 0: never */
    bool final;
};

typedef struct totals {
    tr_store *s;
    const tr_view *view;
    uint64_t min_minute, max_minute;
    sx_arena *arena; /* names */
    tr_edge *edges;  /* heap */
    size_t count, cap;
    uint32_t *slots; /* open addressing: index + 1 */
    size_t mask;
    uint32_t
        met[EDGE_CACHE]; /* index + 1 of the edge last seen at a place by its names' addresses */
    size_t lookups;      /* left */
    sx_status status;
} totals;

void tr_resolved_free(struct tr_resolved *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    sx_arena_done(&r->arena);
    sx_arena_done(&r->whole_arena);
    sx_free(r->whole);
    sx_free(r->edges);
    sx_free(r);
}

/* --- Sums. */

static uint64_t edge_hash(const tr_edge *e)
{
    return sx_hash(e->child, sx_hash(e->parent, (uint64_t)e->kind + 1));
}

static bool make_slots(totals *t)
{
    if ((t->count + 1) * 2 <= t->mask)
        return true;
    size_t cap = t->mask ? (t->mask + 1) * 2 : 256;
    uint32_t *grown = sx_calloc(cap, sizeof *grown);
    if (!grown)
        return false;
    for (size_t i = 0; i < t->count; i++) {
        size_t at = edge_hash(&t->edges[i]) & (cap - 1);
        while (grown[at])
            at = (at + 1) & (cap - 1);
        grown[at] = (uint32_t)i + 1;
    }
    sx_free(t->slots);
    t->slots = grown;
    t->mask = cap - 1;
    return true;
}

static bool same_edge(const tr_edge *a, const tr_edge *b)
{
    return a->kind == b->kind && sx_str_eq(a->parent, b->parent) && sx_str_eq(a->child, b->child);
}

static void sum_edge(tr_edge *to, const tr_edge *e)
{
    to->calls += e->calls;
    to->errors += e->errors;
    to->duration_ns += e->duration_ns;
}

static bool add_edge(void *ctx, const tr_edge *e)
{
    totals *t = ctx;
    if (e->minute < t->min_minute || e->minute > t->max_minute)
        return true;
    /* A day's edges are the same names by each minute, and a segment gives them at the same address:
     * most need no hash. */
    uint64_t addresses = sx_hash_u64((uintptr_t)e->parent.data, (uintptr_t)e->child.data + e->kind);
    uint32_t *met = &t->met[addresses % EDGE_CACHE];
    tr_edge *x = *met ? &t->edges[*met - 1] : NULL;
    if (x && same_edge(x, e)) {
        sum_edge(x, e);
        return true;
    }
    if (!make_slots(t) || !sx_grow(&t->edges, &t->cap, t->count + 1, sizeof *t->edges)) {
        t->status = SX_ENOMEM;
        return false;
    }
    size_t at = edge_hash(e) & t->mask;
    x = NULL;
    for (; t->slots[at] && !x; at = (at + 1) & t->mask) {
        tr_edge *y = &t->edges[t->slots[at] - 1];
        if (same_edge(y, e))
            x = y;
    }
    if (!x) {
        x = &t->edges[t->count];
        *x = (tr_edge){.parent = sx_arena_copy(t->arena, e->parent),
                       .child = sx_arena_copy(t->arena, e->child),
                       .kind = e->kind};
        if (!x->parent.data || !x->child.data) {
            t->status = SX_ENOMEM;
            return false;
        }
        t->slots[at] = (uint32_t)++t->count;
    }
    *met = (uint32_t)(x - t->edges) + 1;
    sum_edge(x, e);
    return true;
}

/* --- Parents elsewhere. */

/* The service of a span, wherever it is; *found false: nobody has it. */
static sx_status service_of(totals *t, const uint8_t trace_id[16], const uint8_t id[8],
                            span_batch *scratch, sx_str *service, bool *found, sx_error *err)
{
    uint32_t *rows = NULL;
    size_t cap = 0, count;
    sx_status status = SX_OK;
    *found = false;
    for (size_t i = 0; i < t->view->table_count && status == SX_OK && !*found; i++) {
        const tr_rows *r = &t->view->tables[i]->rows;
        status = tr_memtable_find(t->view->tables[i], trace_id, &rows, &cap, &count, err);
        for (size_t k = 0; status == SX_OK && k < count && !*found; k++)
            if (memcmp(r->rows[rows[k]].id, id, 8) == 0) {
                *found = true;
                *service = tr_dict_get(&r->dict, r->resources[r->rows[rows[k]].resource].service);
            }
    }
    sx_free(rows);
    for (size_t i = 0; i < t->view->piece_count && status == SX_OK && !*found; i++) {
        const tr_segment *segment = t->view->pieces[i]->segment;
        uint64_t first, n = 0;
        status = tr_segment_find(segment, trace_id, &first, &n, err);
        if (status != SX_OK || n == 0)
            continue;
        span_batch_reset(scratch);
        status = tr_segment_read(segment, first, n, TR_WANT_IDS | TR_WANT_BASICS, scratch, err);
        for (size_t k = 0; status == SX_OK && k < scratch->count && !*found; k++)
            if (memcmp(scratch->spans[k]->id, id, 8) == 0) {
                *found = true;
                *service = scratch->spans[k]->resource->service;
            }
    }
    return status;
}

typedef struct orphans {
    tr_orphan *items;
    size_t count, cap;
    sx_arena arena;
    bool failed;
} orphans;

static bool take_orphan(void *ctx, const tr_orphan *o)
{
    orphans *all = ctx;
    tr_orphan copy = *o;
    copy.service = sx_arena_copy(&all->arena, o->service);
    if (!copy.service.data || !sx_grow(&all->items, &all->cap, all->count + 1, sizeof copy)) {
        all->failed = true;
        return false;
    }
    all->items[all->count++] = copy;
    return all->count < ORPHANS_MAX;
}

static sx_status resolve(totals *t, struct tr_resolved *r, const orphans *all, sx_error *err)
{
    span_batch *scratch = span_batch_new(0);
    sx_status status = scratch ? SX_OK : sx_fail_memory(err, "edges");
    for (size_t i = 0; i < all->count && status == SX_OK && t->lookups; i++) {
        const tr_orphan *o = &all->items[i];
        bool found;
        sx_str parent;
        t->lookups--;
        status = service_of(t, o->trace_id, o->parent, scratch, &parent, &found, err);
        if (status != SX_OK || !found)
            continue;
        tr_edge e = {.parent = sx_arena_copy(&r->arena, parent),
                     .child = sx_arena_copy(&r->arena, o->service),
                     .minute = o->start_ns / MINUTE_NS,
                     .calls = 1,
                     .errors = o->error,
                     .duration_ns = o->duration_ns};
        if (!e.parent.data || !e.child.data ||
            !sx_grow(&r->edges, &r->cap, r->count + 1, sizeof *r->edges))
            status = sx_fail_memory(err, "edges");
        else
            r->edges[r->count++] = e;
    }
    span_batch_unref(scratch);
    return status;
}

/* The piece's room for what its orphans come to; made once. */
static struct tr_resolved *resolved_of(tr_store *s, tr_piece *p)
{
    struct tr_resolved *fresh = sx_calloc(1, sizeof *fresh);
    if (!fresh)
        return NULL;
    pthread_mutex_init(&fresh->lock, NULL);
    pthread_mutex_lock(&s->lock);
    struct tr_resolved *have = p->resolved;
    if (!have)
        have = p->resolved = fresh;
    pthread_mutex_unlock(&s->lock);
    if (have != fresh)
        tr_resolved_free(fresh);
    return have;
}

/* Sums over all of a segment's minutes; r->lock is held. */
static sx_status make_whole(totals *t, const tr_piece *p, struct tr_resolved *r, sx_error *err)
{
    totals sum = {.s = t->s, .max_minute = UINT64_MAX, .arena = &r->whole_arena};
    sx_status status = tr_segment_edges(p->segment, 0, UINT64_MAX, add_edge, &sum, err);
    if (status == SX_OK && sum.status != SX_OK)
        status = sx_fail_memory(err, "edges");
    r->whole_tried = status == SX_OK;
    if (status == SX_OK && sum.count <= WHOLE_MAX) {
        r->whole = sum.edges;
        r->whole_count = sum.count;
        sum.edges = NULL;
    } else {
        r->too_many = status == SX_OK;
        sx_arena_done(&r->whole_arena);
    }
    sx_free(sum.edges);
    sx_free(sum.slots);
    return status;
}

static sx_status piece_edges(totals *t, tr_piece *p, sx_error *err)
{
    struct tr_resolved *r = resolved_of(t->s, p);
    sx_status status = SX_OK;
    if (!r)
        return sx_fail_memory(err, "edges");
    if (t->min_minute > p->min_ns / MINUTE_NS || t->max_minute < p->max_ns / MINUTE_NS)
        return tr_segment_edges(p->segment, t->min_minute, t->max_minute, add_edge, t, err);
    pthread_mutex_lock(&r->lock);
    if (!r->whole_tried)
        status = make_whole(t, p, r, err);
    for (size_t i = 0; i < r->whole_count && status == SX_OK; i++) {
        tr_edge e = r->whole[i];
        e.minute = t->min_minute;
        if (!add_edge(t, &e))
            status = sx_fail_memory(err, "edges");
    }
    bool kept = !r->too_many;
    pthread_mutex_unlock(&r->lock);
    if (status == SX_OK && !kept)
        status = tr_segment_edges(p->segment, t->min_minute, t->max_minute, add_edge, t, err);
    return status;
}

static sx_status piece_orphans(totals *t, tr_piece *p, sx_error *err)
{
    struct tr_resolved *r = resolved_of(t->s, p);
    if (!r)
        return sx_fail_memory(err, "edges");
    sx_status status = SX_OK;
    int64_t now_ms = sx_clock_mono_ms(t->s->clock);
    pthread_mutex_lock(&r->lock);
    if (!r->final && (r->checked_ms == 0 || now_ms - r->checked_ms >= AGAIN_MS)) {
        orphans all = {0};
        r->count = 0;
        sx_arena_done(&r->arena);
        status = tr_segment_orphans(p->segment, take_orphan, &all, err);
        if (status == SX_OK && all.failed)
            status = sx_fail_memory(err, "edges");
        if (status == SX_OK)
            status = resolve(t, r, &all, err);
        r->checked_ms = now_ms ? now_ms : 1;
        r->final = status == SX_OK && t->lookups > 0 &&
                   sx_clock_ms(t->s->clock) - (int64_t)(p->max_ns / 1000000) > YOUNG_MS;
        sx_free(all.items);
        sx_arena_done(&all.arena);
    }
    for (size_t i = 0; i < r->count && status == SX_OK; i++)
        if (!add_edge(t, &r->edges[i]))
            status = sx_fail_memory(err, "edges");
    pthread_mutex_unlock(&r->lock);
    return status;
}

/* --- Memtables. */

typedef struct walk {
    totals *t;
    const tr_rows *r;
    uint32_t peers[SX_COUNT_OF(PEERS)]; /* ids of the keys; TR_NONE: not there */
    uint32_t *rows;                     /* of the trace at hand */
    size_t cap, count;
    bool *called;
    size_t called_cap;
    orphans orphans;
} walk;

static bool row_edge(walk *w, sx_str parent, sx_str child, tr_edge_kind kind, const tr_row *of)
{
    return add_edge(
        w->t, &(tr_edge){.parent = parent,
                         .child = child,
                         .kind = kind,
                         .minute = of->start_ns / MINUTE_NS,
                         .calls = 1,
                         .errors = of->status == SPAN_ERROR,
                         .duration_ns = of->end_ns > of->start_ns ? of->end_ns - of->start_ns : 0});
}

static sx_str row_service(const walk *w, const tr_row *row)
{
    return tr_dict_get(&w->r->dict, w->r->resources[row->resource].service);
}

static bool row_peer(walk *w, const tr_row *row)
{
    if (row->kind != SPAN_CLIENT && row->kind != SPAN_PRODUCER)
        return true;
    for (size_t k = 0; k < SX_COUNT_OF(PEERS); k++)
        for (uint32_t i = 0; w->peers[k] && i < row->cells.count; i++) {
            const tr_cell *cell = &w->r->cells[row->cells.first + i];
            if (cell->key == w->peers[k] && cell->type == SPAN_STR)
                return row_edge(w, row_service(w, row),
                                tr_dict_get(&w->r->dict, (uint32_t)cell->bits), PEERS[k].kind, row);
        }
    return true;
}

/* One trace's rows: quadratic for the usual dozen, and bounded for monsters by looking back a while. */
static bool walk_trace(walk *w)
{
    enum { BACK_MAX = 2048 };
    static const uint8_t NONE[8];
    const tr_row *rows = w->r->rows;
    memset(w->called, 0, w->count * sizeof *w->called);
    for (size_t i = 0; i < w->count; i++) {
        const tr_row *c = &rows[w->rows[i]], *p = NULL;
        if (memcmp(c->parent, NONE, 8) == 0)
            continue;
        size_t from = i > BACK_MAX ? i - BACK_MAX : 0;
        size_t to = w->count - i > BACK_MAX ? i + BACK_MAX : w->count;
        size_t k = from;
        for (; k < to; k++)
            if (memcmp(rows[w->rows[k]].id, c->parent, 8) == 0) {
                p = &rows[w->rows[k]];
                break;
            }
        if (!p) {
            tr_orphan o = {.service = row_service(w, c),
                           .start_ns = c->start_ns,
                           .duration_ns = c->end_ns > c->start_ns ? c->end_ns - c->start_ns : 0,
                           .error = c->status == SPAN_ERROR};
            memcpy(o.trace_id, c->trace_id, 16);
            memcpy(o.parent, c->parent, 8);
            if (w->orphans.count < ORPHANS_MAX)
                (void)take_orphan(&w->orphans, &o);
            continue;
        }
        if (p == c)
            continue;
        w->called[k] |=
            w->r->resources[p->resource].service != w->r->resources[c->resource].service;
        if (!row_edge(w, row_service(w, p), row_service(w, c), TR_EDGE_SERVICE, c))
            return false;
    }
    for (size_t i = 0; i < w->count; i++)
        if (!w->called[i] && !row_peer(w, &rows[w->rows[i]]))
            return false;
    return true;
}

static sx_status table_edges(totals *t, tr_memtable *m, sx_error *err)
{
    tr_snapshot now = tr_memtable_now(m);
    if (now.rows == 0 || now.min_ns / MINUTE_NS > t->max_minute ||
        now.max_ns / MINUTE_NS < t->min_minute)
        return SX_OK;
    walk w = {.t = t, .r = &m->rows};
    const uint32_t *next = (const uint32_t *)(const void *)m->next.base;
    uint8_t *seen = sx_calloc(now.rows / 8 + 1, 1);
    bool fine = seen != NULL;
    pthread_mutex_lock(&m->lock);
    for (size_t k = 0; k < SX_COUNT_OF(PEERS); k++)
        (void)tr_dict_find(&m->rows.dict, PEERS[k].key, &w.peers[k]);
    pthread_mutex_unlock(&m->lock);
    for (uint32_t i = now.rows; fine && i-- > 0;) {
        if (seen[i / 8] >> (i % 8) & 1)
            continue;
        w.count = 0;
        for (uint32_t row = i + 1; fine && row; row = next[row - 1]) {
            seen[(row - 1) / 8] |= (uint8_t)(1 << ((row - 1) % 8));
            fine = sx_grow(&w.rows, &w.cap, w.count + 1, sizeof *w.rows);
            if (fine)
                w.rows[w.count++] = row - 1;
        }
        fine =
            fine && sx_grow(&w.called, &w.called_cap, w.count, sizeof *w.called) && walk_trace(&w);
    }
    sx_status status = fine && !w.orphans.failed ? SX_OK : sx_fail_memory(err, "edges");
    struct tr_resolved here = {0};
    if (status == SX_OK)
        status = resolve(t, &here, &w.orphans, err);
    for (size_t i = 0; i < here.count && status == SX_OK; i++)
        if (!add_edge(t, &here.edges[i]))
            status = sx_fail_memory(err, "edges");
    sx_free(here.edges);
    sx_arena_done(&here.arena);
    sx_free(w.orphans.items);
    sx_arena_done(&w.orphans.arena);
    sx_free(w.rows);
    sx_free(w.called);
    sx_free(seen);
    return status;
}

/* --- The question. */

static int by_names(const void *a, const void *b)
{
    const tr_edge *x = a, *y = b;
    int c = sx_str_cmp(x->parent, y->parent);
    if (c == 0)
        c = sx_str_cmp(x->child, y->child);
    return c ? c : (x->kind > y->kind) - (x->kind < y->kind);
}

sx_status tr_store_edges(tr_store *s, uint64_t min_ns, uint64_t max_ns, const tr_limits *limits,
                         sx_arena *arena, tr_edge **out, size_t *count, sx_error *err)
{
    tr_view *v = tr_view_take(s);
    totals t = {.s = s,
                .view = v,
                .min_minute = min_ns / MINUTE_NS,
                .max_minute = (max_ns ? max_ns : UINT64_MAX) / MINUTE_NS,
                .arena = arena,
                .lookups = ORPHANS_MAX,
                .status = SX_OK};
    sx_status status = SX_OK;
    if (s->meters.queries)
        sx_counter_add(s->meters.queries, 1);
    for (size_t i = 0; i < v->table_count && status == SX_OK; i++)
        if (!limits || !tr_limits_over(s, limits, &status, err))
            status = table_edges(&t, v->tables[i], err);
    for (size_t i = 0; i < v->piece_count && status == SX_OK; i++) {
        tr_piece *p = v->pieces[i];
        if (limits && tr_limits_over(s, limits, &status, err))
            break;
        if (p->min_ns / MINUTE_NS > t.max_minute || p->max_ns / MINUTE_NS < t.min_minute)
            continue;
        status = piece_edges(&t, p, err);
        if (status == SX_OK)
            status = piece_orphans(&t, p, err);
        if (tr_piece_is_damaged(s, p, status, err))
            status = SX_OK;
    }
    if (status == SX_OK && t.status != SX_OK)
        status = sx_fail_memory(err, "edges");
    if (status == SX_OK) {
        *count = t.count;
        *out = sx_arena_alloc(arena, (t.count + 1) * sizeof **out);
        if (*out && t.count) {
            qsort(t.edges, t.count, sizeof *t.edges, by_names);
            memcpy(*out, t.edges, t.count * sizeof **out);
        }
        if (!*out)
            status = sx_fail_memory(err, "edges");
    }
    sx_free(t.edges);
    sx_free(t.slots);
    tr_view_unref(v);
    return status;
}
