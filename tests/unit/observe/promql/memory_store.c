/* memory_store.c - see memory_store.h. */
#include "memory_store.h"

#include <string.h>

#include <sextant/mem.h>

typedef struct memory_querier {
    tsdb_querier querier;
    memory_store *store;
} memory_querier;

memory_series *memory_store_series(memory_store *s, tsdb_labels labels)
{
    bool added;
    sx_map64_entry *e = sx_map64_put(&s->by_labels, tsdb_labels_hash(labels), &added);
    if (!e)
        return NULL;
    if (!added)
        return e->ptr;
    memory_series *series = sx_arena_calloc(&s->arena, 1, sizeof *series);
    if (!series || tsdb_labels_copy(labels, &s->arena, &series->labels, NULL) != SX_OK ||
        !sx_grow(&s->series, &s->cap, s->count + 1, sizeof *s->series))
        return NULL;
    s->series[s->count++] = series;
    e->ptr = series;
    return series;
}

static bool make_room(memory_series *m)
{
    if (m->count < m->cap)
        return true;
    size_t cap = m->cap ? m->cap * 2 : 16;
    int64_t *t = sx_realloc(m->t, cap * sizeof *t);
    m->t = t ? t : m->t;
    double *v = sx_realloc(m->v, cap * sizeof *v);
    m->v = v ? v : m->v;
    const tsdb_histogram **h = sx_realloc((void *)m->h, cap * sizeof(*h));
    m->h = h ? h : m->h;
    int64_t *st = sx_realloc(m->st, cap * sizeof *st);
    m->st = st ? st : m->st;
    if (!t || !v || !h || !st)
        return false;
    m->cap = cap;
    return true;
}

bool memory_store_add(memory_store *s, memory_series *series, int64_t t, double v,
                      const tsdb_histogram *h)
{
    tsdb_histogram *copy = NULL;
    if (h) {
        copy = sx_arena_alloc(&s->arena, sizeof *copy);
        if (!copy || tsdb_histogram_copy(h, &s->arena, copy, NULL) != SX_OK)
            return false;
    }
    size_t at = series->count;
    while (at > 0 && series->t[at - 1] >= t)
        at--;
    bool there = at < series->count && series->t[at] == t;
    if (!there) {
        if (!make_room(series))
            return false;
        size_t after = series->count++ - at;
        memmove(series->t + at + 1, series->t + at, after * sizeof *series->t);
        memmove(series->v + at + 1, series->v + at, after * sizeof *series->v);
        memmove((void *)(series->h + at + 1), (void *)(series->h + at), after * sizeof *series->h);
        memmove(series->st + at + 1, series->st + at, after * sizeof *series->st);
        series->st[at] = 0;
    }
    series->t[at] = t;
    series->v[at] = v;
    series->h[at] = copy;
    return true;
}

void memory_store_start(memory_series *series, int64_t t, int64_t start)
{
    for (size_t i = 0; i < series->count; i++) {
        if (series->t[i] == t)
            series->st[i] = start;
    }
}

void memory_store_hints(memory_store *s)
{
    for (size_t i = 0; i < s->count; i++) {
        memory_series *m = s->series[i];
        for (size_t k = 0; k < m->count; k++) {
            tsdb_histogram *h = (tsdb_histogram *)m->h[k]; /* a copy of our own */
            const tsdb_histogram *before = k > 0 ? m->h[k - 1] : NULL;
            if (!h || h->reset != TSDB_RESET_UNKNOWN || !before ||
                before->reset == TSDB_RESET_GAUGE || tsdb_is_stale(before->sum))
                continue;
            if (!tsdb_histogram_reset_between(before, h))
                h->reset = TSDB_RESET_NO; /* after a reset a chunk begins, which tells nothing */
        }
    }
}

/* --- The querier. */

static sx_status do_select(tsdb_querier *q, const tsdb_hints *hints, const tsdb_matcher *matchers,
                           size_t count, sx_arena *arena, tsdb_selection *out,
                           const _Atomic bool *canceled, sx_error *err)
{
    (void)hints;
    (void)canceled;
    memory_store *s = ((memory_querier *)(void *)q)->store;
    tsdb_series *items = sx_arena_alloc(arena, (s->count + 1) * sizeof *items);
    if (!items)
        return sx_fail_memory(err, "a selection");
    *out = (tsdb_selection){.items = items};
    for (size_t i = 0; i < s->count; i++) {
        if (tsdb_matchers_match(matchers, count, s->series[i]->labels))
            items[out->count++] =
                (tsdb_series){s->series[i]->labels, {(uint64_t)(uintptr_t)s->series[i], 0}};
    }
    return SX_OK;
}

static size_t first_from(const memory_series *m, int64_t t)
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

static sx_status do_read(tsdb_querier *q, const tsdb_series *series, int64_t min_t, int64_t max_t,
                         tsdb_columns *out, sx_error *err)
{
    memory_store *s = ((memory_querier *)(void *)q)->store;
    const memory_series *m = (const memory_series *)(uintptr_t)series->handle[0];
    size_t from = first_from(m, min_t),
           to = max_t == INT64_MAX ? m->count : first_from(m, max_t + 1);
    if (to <= from)
        return SX_OK;
    size_t n = to - from;
    sx_status status = tsdb_columns_reserve(out, n, err);
    bool histograms = false;
    for (size_t i = from; i < to; i++)
        histograms |= m->h[i] != NULL;
    if (status == SX_OK && histograms)
        status = tsdb_columns_want_h(out, err);
    if (status == SX_OK && s->has_starts)
        status = tsdb_columns_want_st(out, err);
    if (status != SX_OK)
        return status;
    memcpy(out->t + out->count, m->t + from, n * sizeof *m->t);
    memcpy(out->v + out->count, m->v + from, n * sizeof *m->v);
    if (out->h)
        memcpy((void *)(out->h + out->count), (const void *)(m->h + from), n * sizeof *m->h);
    if (out->st)
        memcpy(out->st + out->count, m->st + from, n * sizeof *m->st);
    out->count += n;
    return SX_OK;
}

static sx_status no_names(tsdb_querier *q, const tsdb_matcher *matchers, size_t count, size_t limit,
                          sx_arena *arena, sx_str **out, size_t *out_count, sx_error *err)
{
    (void)q;
    (void)matchers;
    (void)count;
    (void)limit;
    (void)arena;
    (void)out;
    (void)out_count;
    return sx_fail(err, SX_EUNSUPPORTED, "the test store lists no names");
}

static sx_status no_values(tsdb_querier *q, sx_str name, const tsdb_matcher *matchers, size_t count,
                           size_t limit, sx_arena *arena, sx_str **out, size_t *out_count,
                           sx_error *err)
{
    (void)name;
    return no_names(q, matchers, count, limit, arena, out, out_count, err);
}

static void do_free(tsdb_querier *q)
{
    sx_free(q);
}

static sx_status open_querier(tsdb_queryable *self, int64_t min_t, int64_t max_t,
                              tsdb_querier **out, sx_error *err)
{
    static const tsdb_querier_ops OPS = {.select = do_select,
                                         .read = do_read,
                                         .label_names = no_names,
                                         .label_values = no_values,
                                         .free = do_free};
    (void)min_t;
    (void)max_t;
    memory_querier *q = sx_calloc(1, sizeof *q);
    if (!q)
        return sx_fail_memory(err, "a querier");
    q->querier.ops = &OPS;
    q->store = SX_CONTAINER_OF(self, memory_store, queryable);
    *out = &q->querier;
    return SX_OK;
}

void memory_store_init(memory_store *s)
{
    *s = (memory_store){.queryable = {open_querier}};
    sx_arena_init(&s->arena, 1 << 16, 0);
    sx_map64_init(&s->by_labels, NULL);
}

void memory_store_done(memory_store *s)
{
    for (size_t i = 0; i < s->count; i++) {
        sx_free(s->series[i]->t);
        sx_free(s->series[i]->v);
        sx_free((void *)s->series[i]->h);
        sx_free(s->series[i]->st);
    }
    sx_free(s->series);
    sx_map64_done(&s->by_labels);
    sx_arena_done(&s->arena);
    *s = (memory_store){0};
}
