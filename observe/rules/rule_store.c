/* rule_store.c - see rule_store.h.
 *
 * One lock for all: a test's store is small. An appender gathers its samples and puts them in at
 * commit. Columns grow by moving, so readers copy under the lock. */
#include "observe/rules/rule_store.h"

#include <pthread.h>
#include <stdlib.h>

#include <sextant/map.h>
#include <sextant/mem.h>

typedef struct store_series {
    tsdb_labels labels;
    uint64_t hash;
    int64_t *t;
    double *v;
    const tsdb_histogram **h; /* NULL entries: floats */
    size_t count, cap;
} store_series;

struct rule_store {
    tsdb_queryable queryable;
    tsdb_appendable appendable;
    pthread_mutex_t lock; /* all below */
    sx_arena arena;
    store_series **series; /* a reference is an index + 1 */
    size_t count, cap;
    sx_map64 by_hash;
};

/* --- Series. */

static store_series *find_series(rule_store *s, tsdb_labels labels, uint64_t hash, tsdb_ref *ref)
{
    sx_map64_entry *e = sx_map64_find(&s->by_hash, hash);
    if (!e)
        return NULL;
    *ref = e->u64;
    store_series *found = s->series[e->u64 - 1];
    return tsdb_labels_equal(found->labels, labels) ? found : NULL;
}

static sx_status make_series(rule_store *s, tsdb_labels labels, uint64_t hash, tsdb_ref *ref,
                             sx_error *err)
{
    store_series *made = sx_arena_calloc(&s->arena, 1, sizeof *made);
    if (!made || !sx_grow(&s->series, &s->cap, s->count + 1, sizeof(store_series *)))
        return sx_fail_memory(err, "a series");
    sx_status st = tsdb_labels_copy(labels, &s->arena, &made->labels, err);
    if (st != SX_OK)
        return st;
    sx_map64_entry *e = sx_map64_put(&s->by_hash, hash, NULL);
    if (!e)
        return sx_fail_memory(err, "a series");
    made->hash = hash;
    s->series[s->count++] = made;
    *ref = e->u64 = s->count;
    return SX_OK;
}

static sx_status add_sample(rule_store *s, store_series *m, int64_t t, double v,
                            const tsdb_histogram *h, sx_error *err)
{
    size_t caps[3] = {m->cap, m->cap, m->cap};
    tsdb_histogram *copy = NULL;
    if (m->count == m->cap) {
        if (!sx_grow(&m->t, &caps[0], m->count + 1, sizeof *m->t) ||
            !sx_grow(&m->v, &caps[1], m->count + 1, sizeof *m->v) ||
            !sx_grow((void *)&m->h, &caps[2], m->count + 1, sizeof(const tsdb_histogram *)))
            return sx_fail_memory(err, "a sample");
        m->cap = caps[0];
    }
    if (h) {
        copy = sx_arena_calloc(&s->arena, 1, sizeof *copy);
        if (!copy)
            return sx_fail_memory(err, "a histogram");
        sx_status st = tsdb_histogram_copy(h, &s->arena, copy, err);
        if (st != SX_OK)
            return st;
        /* As a chunk would tell: what follows without a reset is known to. */
        const tsdb_histogram *before = m->count ? m->h[m->count - 1] : NULL;
        if (copy->reset == TSDB_RESET_UNKNOWN && before && before->reset != TSDB_RESET_GAUGE &&
            !tsdb_is_stale(before->sum) && !tsdb_histogram_reset_between(before, copy))
            copy->reset = TSDB_RESET_NO;
    }
    m->t[m->count] = t;
    m->v[m->count] = v;
    m->h[m->count++] = copy;
    return SX_OK;
}

/* --- Appending. */

typedef struct pending {
    tsdb_ref ref;
    int64_t t;
    double v;
    const tsdb_histogram *h; /* in the appender's arena */
} pending;

typedef struct store_appender {
    tsdb_appender appender;
    rule_store *store;
    sx_arena arena;
    pending *items;
    size_t count, cap;
} store_appender;

static store_appender *appender_of(tsdb_appender *a)
{
    return SX_CONTAINER_OF(a, store_appender, appender);
}

static sx_status do_series(tsdb_appender *a, tsdb_labels labels, uint64_t hash, tsdb_ref *ref,
                           tsdb_refusal *why, sx_error *err)
{
    rule_store *s = appender_of(a)->store;
    sx_status st = SX_OK;
    *why = TSDB_TAKEN;
    pthread_mutex_lock(&s->lock);
    if (!find_series(s, labels, hash, ref))
        st = make_series(s, labels, hash, ref, err);
    pthread_mutex_unlock(&s->lock);
    return st;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Against what is in the store; the batch's own samples are looked at when they go in. */
static tsdb_refusal judge(rule_store *s, tsdb_ref ref, int64_t t, double v, const tsdb_histogram *h)
{
    const store_series *m = s->series[ref - 1];
    if (m->count == 0 || t > m->t[m->count - 1])
        return TSDB_TAKEN;
    if (t < m->t[m->count - 1])
        return TSDB_OUT_OF_ORDER;
    const tsdb_histogram *there = m->h[m->count - 1];
    bool same = h && there ? tsdb_histogram_equal(h, there)
                           : !h && !there && same_bits(v, m->v[m->count - 1]);
    return same ? TSDB_TAKEN : TSDB_DUPLICATE;
}

static sx_status put(store_appender *a, tsdb_ref ref, int64_t t, double v, const tsdb_histogram *h,
                     tsdb_refusal *why, sx_error *err)
{
    pthread_mutex_lock(&a->store->lock);
    *why = judge(a->store, ref, t, v, h);
    pthread_mutex_unlock(&a->store->lock);
    if (*why != TSDB_TAKEN)
        return SX_OK;
    if (!sx_arena_grow(&a->arena, &a->items, &a->cap, a->count + 1, sizeof *a->items))
        return sx_fail_memory(err, "a sample");
    a->items[a->count++] = (pending){ref, t, v, h};
    return SX_OK;
}

static sx_status do_sample(tsdb_appender *a, tsdb_ref ref, int64_t t, double v, tsdb_refusal *why,
                           sx_error *err)
{
    return put(appender_of(a), ref, t, v, NULL, why, err);
}

static sx_status do_histogram(tsdb_appender *a, tsdb_ref ref, int64_t t, const tsdb_histogram *h,
                              tsdb_refusal *why, sx_error *err)
{
    store_appender *own = appender_of(a);
    tsdb_histogram *copy = sx_arena_calloc(&own->arena, 1, sizeof *copy);
    if (!copy)
        return sx_fail_memory(err, "a histogram");
    sx_status st = tsdb_histogram_copy(h, &own->arena, copy, err);
    return st == SX_OK ? put(own, ref, t, 0, copy, why, err) : st;
}

/* What rules never write is taken and forgotten. */
static sx_status do_start(tsdb_appender *a, tsdb_ref ref, int64_t t, int64_t start_t,
                          tsdb_refusal *why, sx_error *err)
{
    (void)a, (void)ref, (void)t, (void)start_t, (void)err;
    *why = TSDB_TAKEN;
    return SX_OK;
}

static sx_status do_exemplar(tsdb_appender *a, tsdb_ref ref, const tsdb_exemplar *e,
                             tsdb_refusal *why, sx_error *err)
{
    (void)a, (void)ref, (void)e, (void)err;
    *why = TSDB_TAKEN;
    return SX_OK;
}

static sx_status do_metadata(tsdb_appender *a, tsdb_ref ref, const tsdb_metadata *m, sx_error *err)
{
    (void)a, (void)ref, (void)m, (void)err;
    return SX_OK;
}

static void do_rollback(tsdb_appender *a)
{
    store_appender *own = appender_of(a);
    own->items = NULL;
    own->count = own->cap = 0;
    sx_arena_reset(&own->arena);
}

static sx_status do_commit(tsdb_appender *a, sx_error *err)
{
    store_appender *own = appender_of(a);
    rule_store *s = own->store;
    sx_status st = SX_OK;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; st == SX_OK && i < own->count; i++) {
        const pending *p = &own->items[i];
        store_series *m = s->series[p->ref - 1];
        if (judge(s, p->ref, p->t, p->v, p->h) == TSDB_TAKEN &&
            (m->count == 0 || m->t[m->count - 1] < p->t))
            st = add_sample(s, m, p->t, p->v, p->h, err);
    }
    pthread_mutex_unlock(&s->lock);
    do_rollback(a);
    return st;
}

static void do_free_appender(tsdb_appender *a)
{
    sx_arena_done(&appender_of(a)->arena);
    sx_free(appender_of(a));
}

static sx_status open_appender(tsdb_appendable *self, tsdb_appender **out, sx_error *err)
{
    static const tsdb_appender_ops OPS = {.series = do_series,
                                          .sample = do_sample,
                                          .histogram = do_histogram,
                                          .start = do_start,
                                          .exemplar = do_exemplar,
                                          .metadata = do_metadata,
                                          .commit = do_commit,
                                          .rollback = do_rollback,
                                          .free = do_free_appender};
    store_appender *a = sx_calloc(1, sizeof *a);
    if (!a)
        return sx_fail_memory(err, "an appender");
    a->appender.ops = &OPS;
    a->store = SX_CONTAINER_OF(self, rule_store, appendable);
    sx_arena_init(&a->arena, 0, 0);
    *out = &a->appender;
    return SX_OK;
}

/* --- Querying. */

typedef struct store_querier {
    tsdb_querier querier;
    rule_store *store;
} store_querier;

static rule_store *store_of(tsdb_querier *q)
{
    return SX_CONTAINER_OF(q, store_querier, querier)->store;
}

static int compare_series(const void *a, const void *b)
{
    return tsdb_labels_compare(((const tsdb_series *)a)->labels, ((const tsdb_series *)b)->labels);
}

static sx_status do_select(tsdb_querier *q, const tsdb_hints *hints, const tsdb_matcher *matchers,
                           size_t count, sx_arena *arena, tsdb_selection *out,
                           const _Atomic bool *canceled, sx_error *err)
{
    rule_store *s = store_of(q);
    (void)canceled;
    pthread_mutex_lock(&s->lock);
    tsdb_series *items = sx_arena_calloc(arena, s->count + 1, sizeof *items);
    *out = (tsdb_selection){.items = items, .sorted = true};
    for (size_t i = 0; items && i < s->count; i++) {
        if (tsdb_matchers_match(matchers, count, s->series[i]->labels))
            items[out->count++] =
                (tsdb_series){s->series[i]->labels, {(uint64_t)(uintptr_t)s->series[i], 0}};
    }
    pthread_mutex_unlock(&s->lock);
    if (!items)
        return sx_fail_memory(err, "a selection");
    qsort(items, out->count, sizeof *items, compare_series);
    if (hints->series_max && out->count > hints->series_max)
        out->count = hints->series_max;
    return SX_OK;
}

static size_t first_from(const store_series *m, int64_t t)
{
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->t[middle] < t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static sx_status copy_columns(const store_series *m, size_t from, size_t n, tsdb_columns *out,
                              sx_error *err)
{
    bool histograms = out->h != NULL;
    sx_status st = tsdb_columns_reserve(out, n, err);
    for (size_t i = 0; i < n && !histograms; i++)
        histograms = m->h[from + i] != NULL;
    if (st == SX_OK && histograms)
        st = tsdb_columns_want_h(out, err);
    if (st != SX_OK)
        return st;
    for (size_t i = 0; i < n; i++, out->count++) {
        out->t[out->count] = m->t[from + i];
        out->v[out->count] = m->v[from + i];
        if (out->h)
            out->h[out->count] = m->h[from + i];
        if (out->st)
            out->st[out->count] = 0;
    }
    return SX_OK;
}

static sx_status do_read(tsdb_querier *q, const tsdb_series *series, int64_t min_t, int64_t max_t,
                         tsdb_columns *out, sx_error *err)
{
    rule_store *s = store_of(q);
    const store_series *m = (const store_series *)(uintptr_t)series->handle[0];
    sx_status st = SX_OK;
    pthread_mutex_lock(&s->lock);
    size_t from = first_from(m, min_t),
           to = max_t == INT64_MAX ? m->count : first_from(m, max_t + 1);
    if (to > from)
        st = copy_columns(m, from, to - from, out, err);
    pthread_mutex_unlock(&s->lock);
    return st;
}

static sx_status no_names(tsdb_querier *q, const tsdb_matcher *matchers, size_t count, size_t limit,
                          sx_arena *arena, sx_str **out, size_t *out_count, sx_error *err)
{
    (void)q, (void)matchers, (void)count, (void)limit, (void)arena;
    *out = NULL;
    *out_count = 0;
    return sx_fail(err, SX_EUNSUPPORTED, "names cannot be listed in a unit test of rules");
}

static sx_status no_values(tsdb_querier *q, sx_str name, const tsdb_matcher *matchers, size_t count,
                           size_t limit, sx_arena *arena, sx_str **out, size_t *out_count,
                           sx_error *err)
{
    (void)name;
    return no_names(q, matchers, count, limit, arena, out, out_count, err);
}

static void do_free_querier(tsdb_querier *q)
{
    sx_free(SX_CONTAINER_OF(q, store_querier, querier));
}

static sx_status open_querier(tsdb_queryable *self, int64_t min_t, int64_t max_t,
                              tsdb_querier **out, sx_error *err)
{
    static const tsdb_querier_ops OPS = {.select = do_select,
                                         .read = do_read,
                                         .label_names = no_names,
                                         .label_values = no_values,
                                         .free = do_free_querier};
    (void)min_t, (void)max_t;
    store_querier *q = sx_calloc(1, sizeof *q);
    if (!q)
        return sx_fail_memory(err, "a querier");
    q->querier.ops = &OPS;
    q->store = SX_CONTAINER_OF(self, rule_store, queryable);
    *out = &q->querier;
    return SX_OK;
}

/* --- Life. */

sx_status rule_store_new(rule_store **out, sx_error *err)
{
    rule_store *s = sx_calloc(1, sizeof *s);
    if (!s)
        return sx_fail_memory(err, "a store");
    s->queryable.querier = open_querier;
    s->appendable.appender = open_appender;
    pthread_mutex_init(&s->lock, NULL);
    sx_arena_init(&s->arena, 1 << 16, 0);
    sx_map64_init(&s->by_hash, NULL);
    *out = s;
    return SX_OK;
}

void rule_store_free(rule_store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        sx_free(s->series[i]->t);
        sx_free(s->series[i]->v);
        sx_free((void *)s->series[i]->h);
    }
    sx_free(s->series);
    sx_map64_done(&s->by_hash);
    sx_arena_done(&s->arena);
    pthread_mutex_destroy(&s->lock);
    sx_free(s);
}

tsdb_queryable *rule_store_queryable(rule_store *s)
{
    return &s->queryable;
}

tsdb_appendable *rule_store_appendable(rule_store *s)
{
    return &s->appendable;
}
