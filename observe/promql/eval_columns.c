/* eval_columns.c - running over the columns of a node, holding them, making equal series one. */
#include <string.h>

#include <sextant/mem.h>

#include "observe/promql/eval.h"

enum {
    LOOK_EVERY = 64,        /* series between two looks at limits and cancellation */
    SERIES_A_THREAD = 512,  /* fewer are not worth a thread */
    CELLS_A_THREAD = 20000, /* nor are fewer values */
    /* Consumers' own blocks in the slot of the node they consume. */
    BLOCK_V = 6,
    BLOCK_H = 7,
};

void *eval_block(eval_worker *w, const eval_node *n, int which, size_t bytes)
{
    if (n->slot >= w->slot_count) {
        size_t count = n->slot + 16;
        eval_slot **grown = sx_realloc(w->slots, count * sizeof(*grown));
        if (!grown)
            return eval_no_memory(w->run);
        memset(grown + w->slot_count, 0, (count - w->slot_count) * sizeof *grown);
        w->slots = grown;
        w->slot_count = count;
    }
    eval_slot *s = w->slots[n->slot];
    if (!s) {
        s = w->slots[n->slot] = sx_calloc(1, sizeof *s);
        if (!s)
            return eval_no_memory(w->run);
    }
    if (which < 0)
        return s;
    if (sx_unlikely(bytes > w->run->options.memory_max))
        return eval_over_memory(w->run);
    if (s->block_bytes[which] < bytes || !s->blocks[which]) {
        size_t room = bytes < 64 ? 64 : bytes + bytes / 4;
        void *grown = sx_alloc(room);
        if (!grown)
            return eval_no_memory(w->run);
        sx_free(s->blocks[which]);
        w->block_bytes += room - s->block_bytes[which];
        s->blocks[which] = grown;
        s->block_bytes[which] = room;
    }
    return s->blocks[which];
}

/* --- In parallel. */

typedef struct crew {
    eval_run *run;
    eval_part_fn work;
    void *ctx;
    unsigned parts;
    _Atomic unsigned next, next_worker;
} crew;

static void *crew_member(void *arg)
{
    crew *c = arg;
    unsigned me = atomic_fetch_add(&c->next_worker, 1);
    eval_worker *w = &c->run->workers[me];
    for (;;) {
        unsigned part = atomic_fetch_add(&c->next, 1);
        if (part >= c->parts || eval_failed(c->run))
            return NULL;
        c->work(c->ctx, w, part);
    }
}

void eval_parallel(eval_run *run, unsigned parts, eval_part_fn work, void *ctx)
{
    crew c = {.run = run, .work = work, .ctx = ctx, .parts = parts};
    pthread_t threads[64];
    unsigned want = parts < run->worker_count ? parts : run->worker_count;
    unsigned started = 0;
    if (want > SX_COUNT_OF(threads))
        want = SX_COUNT_OF(threads);
    while (started + 1 < want && pthread_create(&threads[started], NULL, crew_member, &c) == 0)
        started++; /* a thread that could not be had leaves more to the others */
    crew_member(&c);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

typedef struct walk {
    eval_run *run;
    eval_node *node;
    unsigned parts;
    const uint32_t *order;
    const size_t *bounds;
    eval_each_fn each;
    void *ctx;
} walk;

static void walk_part(void *ctx, eval_worker *w, unsigned part)
{
    walk *k = ctx;
    eval_node *n = k->node;
    size_t steps = n->times->steps;
    double *v = eval_block(w, n, BLOCK_V, steps * sizeof *v);
    const tsdb_histogram **h = eval_block(w, n, BLOCK_H, steps * sizeof(*h));
    if (!v || !h)
        return;
    size_t from = k->bounds ? k->bounds[part] : n->count * part / k->parts;
    size_t to = k->bounds ? k->bounds[part + 1] : n->count * (part + 1) / k->parts;
    w->walked = n->count;
    for (size_t at = from; at < to; at++) {
        size_t i = k->order ? k->order[at] : at;
        w->order = k->order ? k->order + at + 1 : NULL;
        w->following = to - at - 1;
        unsigned have = n->fill(n, w, i, v, h);
        if (have)
            k->each(k->ctx, w, part, i, have, v, h);
        sx_arena_reset(&w->scratch);
        if ((at - from) % LOOK_EVERY == LOOK_EVERY - 1 && !eval_account(w))
            return;
    }
    w->order = NULL;
    w->following = 0;
    eval_account(w);
}

unsigned eval_parts(const eval_run *run, size_t count, size_t steps)
{
    if (run->worker_count < 2 || count < 2)
        return 1;
    if (count < SERIES_A_THREAD && count * steps < CELLS_A_THREAD)
        return 1;
    unsigned parts = run->worker_count * 8; /* small parts: who is done early takes another */
    return count < parts ? (unsigned)count : parts;
}

bool eval_each(eval_run *run, eval_node *n, unsigned parts, eval_each_fn each, void *ctx)
{
    return eval_each_in(run, n, parts, NULL, NULL, each, ctx);
}

bool eval_each_in(eval_run *run, eval_node *n, unsigned parts, const uint32_t *order,
                  const size_t *bounds, eval_each_fn each, void *ctx)
{
    walk k = {.run = run,
              .node = n,
              .parts = parts ? parts : 1,
              .order = order,
              .bounds = bounds,
              .each = each,
              .ctx = ctx};
    if (eval_failed(run) || !eval_go_on(run))
        return false;
    eval_parallel(run, k.parts, walk_part, &k);
    return !eval_failed(run);
}

/* --- Holding. */

static unsigned stored_fill(const eval_node *n, eval_worker *w, size_t i, double *v,
                            const tsdb_histogram **h)
{
    (void)w;
    const eval_stored *s = (const eval_stored *)(const void *)n;
    unsigned have = 0;
    size_t steps = n->times->steps;
    if (s->v[i]) {
        memcpy(v, s->v[i], steps * sizeof *v);
        have |= EVAL_FLOATS;
    }
    if (s->h[i]) {
        memcpy(h, s->h[i], steps * sizeof(*h));
        have |= EVAL_HISTOGRAMS;
    }
    return have;
}

eval_stored *eval_stored_new(eval_run *run, const promql_expr *expr, const eval_times *times,
                             size_t count)
{
    eval_stored *s = eval_node_new(run, sizeof *s, expr, times);
    if (!s)
        return NULL;
    s->node.type = PROMQL_VECTOR;
    s->node.count = count;
    s->node.fill = stored_fill;
    s->node.labels = eval_zero(run, count, sizeof *s->node.labels);
    s->v = eval_zero(run, count, sizeof *s->v);
    s->h = eval_zero(run, count, sizeof *s->h);
    return s->node.labels && s->v && s->h ? s : NULL;
}

double *eval_absent_row(eval_run *run, size_t steps)
{
    double *row = eval_alloc(run, steps, sizeof *row);
    for (size_t k = 0; row && k < steps; k++)
        row[k] = eval_absent();
    return row;
}

static bool any_float(const double *v, size_t steps)
{
    for (size_t k = 0; k < steps; k++) {
        if (!eval_is_absent(v[k]))
            return true;
    }
    return false;
}

static void hold(void *ctx, eval_worker *w, unsigned part, size_t i, unsigned have, const double *v,
                 const tsdb_histogram *const *h)
{
    (void)part;
    eval_stored *s = ctx;
    size_t steps = s->node.times->steps;
    if ((have & EVAL_FLOATS) && any_float(v, steps)) {
        double *to = sx_arena_alloc(&w->keep, steps * sizeof *to);
        if (!to) {
            eval_no_memory(w->run);
            return;
        }
        memcpy(to, v, steps * sizeof *to);
        s->v[i] = to;
    }
    if (!(have & EVAL_HISTOGRAMS))
        return;
    const tsdb_histogram **to = sx_arena_calloc(&w->keep, steps, sizeof(*to));
    bool any = false;
    for (size_t k = 0; to && k < steps; k++) {
        if (!h[k])
            continue;
        any = true;
        if (k > 0 && h[k] == h[k - 1]) { /* one sample seen from two steps */
            to[k] = to[k - 1];
            continue;
        }
        tsdb_histogram *copy = sx_arena_alloc(&w->keep, sizeof *copy);
        if (!copy || tsdb_histogram_copy(h[k], &w->keep, copy, NULL) != SX_OK) {
            to = NULL;
            break;
        }
        to[k] = copy;
    }
    if (!to)
        eval_no_memory(w->run);
    else if (any)
        s->h[i] = to;
}

eval_stored *eval_stored_all(eval_run *run, eval_node *n)
{
    if (n->fill == stored_fill)
        return (eval_stored *)(void *)n;
    eval_stored *s = eval_stored_new(run, n->expr, n->times, n->count);
    if (!s || !eval_each(run, n, eval_parts(run, n->count, n->times->steps), hold, s))
        return NULL;
    s->node.labels = n->labels;
    s->node.drop = n->drop;
    s->node.one_name = n->one_name;
    s->node.distinct = n->distinct;
    return s;
}

eval_stored *eval_store(eval_run *run, eval_node *n)
{
    if (!n)
        return NULL;
    if (n->fill == stored_fill)
        return (eval_stored *)(void *)n;
    eval_stored *s = eval_stored_new(run, n->expr, n->times, n->count);
    if (!s || !eval_each(run, n, eval_parts(run, n->count, n->times->steps), hold, s))
        return NULL;
    tsdb_labels *labels = (tsdb_labels *)s->node.labels; /* ours, made above */
    uint8_t *drop = NULL;
    if (n->drop && !(drop = eval_zero(run, n->count, 1)))
        return NULL;
    size_t kept = 0;
    for (size_t i = 0; i < n->count; i++) {
        if (!s->v[i] && !s->h[i])
            continue;
        s->v[kept] = s->v[i];
        s->h[kept] = s->h[i];
        labels[kept] = n->labels[i];
        if (drop)
            drop[kept] = n->drop[i];
        kept++;
    }
    s->node.count = kept;
    s->node.drop = drop;
    s->node.one_name = n->one_name;
    s->node.distinct = n->distinct;
    return s;
}

/* --- Equal series. */

/* Gives each series the number of the first with the same labels. False: out of memory. */
static bool find_equal(eval_run *run, const eval_node *n, uint32_t *first, bool *any)
{
    sx_map64 seen;
    *any = false;
    sx_map64_init(&seen, NULL);
    bool ok = sx_map64_reserve(&seen, n->count);
    for (size_t i = 0; ok && i < n->count; i++) {
        bool added;
        sx_map64_entry *e = sx_map64_put(&seen, tsdb_labels_hash(n->labels[i]), &added);
        ok = e != NULL;
        if (!ok)
            break;
        if (added)
            e->u64 = i;
        bool same = !added && tsdb_labels_equal(n->labels[e->u64], n->labels[i]);
        first[i] = same ? (uint32_t)e->u64 : (uint32_t)i;
        *any |= same;
    }
    sx_map64_done(&seen);
    if (!ok)
        eval_no_memory(run);
    return ok;
}

bool eval_any_equal(eval_run *run, eval_node *n, bool *any)
{
    uint32_t *first = eval_alloc(run, n->count, sizeof *first);
    bool ok = first && find_equal(run, n, first, any);
    if (ok && !*any)
        n->distinct = true;
    return ok;
}

static bool merge_into(eval_run *run, eval_stored *s, size_t to, size_t from)
{
    size_t steps = s->node.times->steps;
    for (size_t k = 0; k < steps; k++) {
        if (!eval_has(s, from, k))
            continue;
        if (eval_has(s, to, k)) {
            eval_fail(run, PROMQL_ERROR_EXECUTION,
                      "vector cannot contain metrics with the same labelset");
            return false;
        }
        const tsdb_histogram *h = eval_h(s, from, k);
        if (h && !s->h[to] && !(s->h[to] = eval_zero(run, steps, sizeof **s->h)))
            return false;
        if (h) {
            s->h[to][k] = h;
            continue;
        }
        if (!s->v[to]) {
            s->v[to] = eval_alloc(run, steps, sizeof **s->v);
            if (!s->v[to])
                return false;
            for (size_t j = 0; j < steps; j++)
                s->v[to][j] = eval_absent();
        }
        s->v[to][k] = s->v[from][k];
    }
    return true;
}

eval_node *eval_unique(eval_run *run, eval_node *n, bool strict)
{
    if (!n || n->distinct || n->count < 2)
        return n;
    uint32_t *first = eval_alloc(run, n->count, sizeof *first);
    bool any;
    if (!first || !find_equal(run, n, first, &any))
        return NULL;
    if (!any) {
        n->distinct = true;
        return n;
    }
    eval_stored *s = eval_store(run, n); /* series that turn out empty do not count */
    if (!s || !find_equal(run, &s->node, first, &any))
        return NULL;
    if (any && strict)
        return eval_fail(run, PROMQL_ERROR_EXECUTION,
                         "vector cannot contain metrics with the same labelset");
    /* Other nodes may look at the same arrays. */
    tsdb_labels *labels = eval_alloc(run, s->node.count, sizeof *labels);
    uint8_t *drop = s->node.drop ? eval_alloc(run, s->node.count, 1) : NULL;
    if (!labels || (s->node.drop && !drop))
        return NULL;
    if (s->node.count)
        memcpy(labels, s->node.labels, s->node.count * sizeof *labels);
    if (drop)
        memcpy(drop, s->node.drop, s->node.count);
    s->node.labels = labels;
    s->node.drop = drop;
    size_t kept = 0;
    for (size_t i = 0; any && i < s->node.count; i++) {
        if (first[i] != i && !merge_into(run, s, first[i], i))
            return NULL;
    }
    for (size_t i = 0; any && i < s->node.count; i++) {
        if (first[i] != i)
            continue;
        s->v[kept] = s->v[i];
        s->h[kept] = s->h[i];
        labels[kept] = labels[i];
        if (drop)
            drop[kept] = drop[i];
        kept++;
    }
    if (any)
        s->node.count = kept;
    s->node.distinct = true;
    return &s->node;
}
