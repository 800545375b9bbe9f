/* storage.c - the columns that samples are read into, and the words of refusals. */
#include "observe/tsdb/ahead.h"

#include <stdlib.h>

#include <sextant/mem.h>

const char *tsdb_refusal_words(tsdb_refusal r)
{
    /* Prometheus's words: senders decide by them whether to try again. */
    static const char *const WORDS[TSDB_REFUSALS] = {
        [TSDB_TAKEN] = "taken",
        [TSDB_OUT_OF_ORDER] = "out of order sample",
        [TSDB_DUPLICATE] = "duplicate sample for timestamp",
        [TSDB_TOO_OLD] = "too old sample",
        [TSDB_OUT_OF_BOUNDS] = "out of bounds",
        [TSDB_SERIES_LIMIT] = "series limit exceeded",
        [TSDB_BAD_HISTOGRAM] = "invalid histogram",
        [TSDB_EXEMPLAR_REFUSED] = "out of order exemplar",
    };
    return r < TSDB_REFUSALS ? WORDS[r] : "unknown";
}

void tsdb_columns_init(tsdb_columns *c, sx_arena *arena)
{
    *c = (tsdb_columns){.arena = arena};
}

void tsdb_columns_done(tsdb_columns *c)
{
    sx_free(c->t);
    sx_free(c->v);
    sx_free(c->h);
    sx_free(c->st);
    sx_free(c->ahead);
    *c = (tsdb_columns){.arena = c->arena};
}

size_t tsdb_columns_bytes(const tsdb_columns *c)
{
    return c->cap * (16 + (c->h ? sizeof *c->h : 0) + (c->st ? sizeof *c->st : 0)) +
           (c->ahead ? sizeof *c->ahead : 0);
}

static sx_status grow_column(void *column, size_t cap, size_t size, sx_error *err)
{
    void *old, *grown;
    memcpy(&old, column, sizeof old);
    grown = sx_realloc(old, cap * size);
    if (!grown)
        return sx_fail_memory(err, "samples of a series");
    memcpy(column, &grown, sizeof grown);
    return SX_OK;
}

sx_status tsdb_columns_reserve(tsdb_columns *c, size_t more, sx_error *err)
{
    if (sx_likely(c->cap - c->count >= more))
        return SX_OK;
    size_t cap = c->cap ? c->cap * 2 : 128;
    if (cap < c->count + more)
        cap = c->count + more;
    sx_status status = grow_column(&c->t, cap, sizeof *c->t, err);
    if (status == SX_OK)
        status = grow_column(&c->v, cap, sizeof *c->v, err);
    if (status == SX_OK && c->h)
        status = grow_column(&c->h, cap, sizeof *c->h, err);
    if (status == SX_OK && c->st)
        status = grow_column(&c->st, cap, sizeof *c->st, err);
    if (status == SX_OK)
        c->cap = cap;
    return status;
}

sx_status tsdb_columns_want_h(tsdb_columns *c, sx_error *err)
{
    if (c->h)
        return SX_OK;
    c->h = sx_calloc(c->cap ? c->cap : 1, sizeof *c->h);
    return c->h ? SX_OK : sx_fail_memory(err, "histograms of a series");
}

sx_status tsdb_columns_want_st(tsdb_columns *c, sx_error *err)
{
    if (c->st)
        return SX_OK;
    c->st = sx_calloc(c->cap ? c->cap : 1, sizeof *c->st);
    return c->st ? SX_OK : sx_fail_memory(err, "start timestamps of a series");
}

typedef struct sample_row {
    int64_t t;
    size_t at; /* where it was: of equal times the first stays first */
    double v;
    const tsdb_histogram *h;
    int64_t st;
} sample_row;

static int compare_rows(const void *a, const void *b)
{
    const sample_row *x = a, *y = b;
    if (x->t != y->t)
        return x->t < y->t ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

sx_status tsdb_columns_sort(tsdb_columns *c, size_t from, sx_error *err)
{
    size_t sorted = from + 1, kept = from;
    while (sorted < c->count && c->t[sorted - 1] < c->t[sorted])
        sorted++;
    if (sorted >= c->count)
        return SX_OK;
    size_t count = c->count - from;
    sample_row *rows = sx_calloc(count, sizeof *rows);
    if (!rows)
        return sx_fail_memory(err, "samples to sort");
    for (size_t i = 0, at = from; i < count; i++, at++)
        rows[i] =
            (sample_row){c->t[at], i, c->v[at], c->h ? c->h[at] : NULL, c->st ? c->st[at] : 0};
    qsort(rows, count, sizeof *rows, compare_rows);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && rows[i].t == rows[i - 1].t)
            continue;
        c->t[kept] = rows[i].t;
        c->v[kept] = rows[i].v;
        if (c->h)
            c->h[kept] = rows[i].h;
        if (c->st)
            c->st[kept] = rows[i].st;
        kept++;
    }
    c->count = kept;
    sx_free(rows);
    return SX_OK;
}
