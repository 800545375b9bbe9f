/* querier.c - what several sources say, as one: series by their labels, samples by their times. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/tsdb/source.h"

typedef struct held_source {
    tsdb_source *source;
    void *memory;
} held_source;

typedef struct merged_querier {
    tsdb_querier base;
    int64_t min_t, max_t;
    size_t count;
    held_source held[];
} merged_querier;

/* A series that more than one source has: handle[0] is the address of these, handle[1] their number
 * with the top bit set. Of one source: handle[1] is its index. */
typedef struct series_part {
    uint64_t handle;
    size_t source;
} series_part;

static const uint64_t MANY = UINT64_C(1) << 63;

static int compare_series(const void *a, const void *b)
{
    const tsdb_series *x = a, *y = b;
    int by_labels = tsdb_labels_compare(x->labels, y->labels);
    if (by_labels)
        return by_labels;
    return x->handle[1] < y->handle[1] ? -1 : x->handle[1] > y->handle[1];
}

/* Series of the same labels become one; items are sorted. */
static sx_status merge_series(tsdb_selection *out, sx_arena *arena, sx_error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < out->count;) {
        size_t end = i + 1;
        while (end < out->count && tsdb_labels_equal(out->items[i].labels, out->items[end].labels))
            end++;
        tsdb_series item = out->items[i];
        if (end - i > 1) {
            series_part *parts = sx_arena_alloc(arena, (end - i) * sizeof *parts);
            if (!parts)
                return sx_fail_memory(err, "selected series");
            for (size_t k = i; k < end; k++)
                parts[k - i] = (series_part){out->items[k].handle[0], out->items[k].handle[1]};
            item.handle[0] = (uint64_t)(uintptr_t)parts;
            item.handle[1] = MANY | (end - i);
        }
        out->items[kept++] = item;
        i = end;
    }
    out->count = kept;
    return SX_OK;
}

static sx_status select_series(tsdb_querier *base, const tsdb_hints *hints,
                               const tsdb_matcher *matchers, size_t count, sx_arena *arena,
                               tsdb_selection *out, const _Atomic bool *canceled, sx_error *err)
{
    merged_querier *q = (merged_querier *)base;
    *out = (tsdb_selection){0};
    size_t with = 0, found = 0;
    tsdb_selection all = {0};
    size_t cap = 0;
    for (size_t i = 0; i < q->count; i++) {
        tsdb_selection part = {0};
        sx_status status = q->held[i].source->ops->select(q->held[i].source, hints, matchers, count,
                                                          arena, &part, canceled, err);
        if (status != SX_OK)
            return status;
        for (size_t k = 0; k < part.count; k++)
            part.items[k].handle[1] = i;
        if (part.count == 0)
            continue;
        if (with++ == 0) {
            all = part;
            cap = part.count;
            continue;
        }
        found = all.count + part.count;
        if (!sx_arena_grow(arena, &all.items, &cap, found, sizeof *all.items))
            return sx_fail_memory(err, "selected series");
        memcpy(all.items + all.count, part.items, part.count * sizeof *part.items);
        all.count = found;
    }
    *out = all;
    if (all.count > 1 && (hints->sorted || with > 1))
        qsort(out->items, out->count, sizeof *out->items, compare_series);
    out->sorted = hints->sorted || with > 1;
    sx_status status = with > 1 ? merge_series(out, arena, err) : SX_OK;
    if (hints->series_max && out->count > hints->series_max)
        out->count = hints->series_max;
    return status;
}

/* HOT. */
static sx_status read_series(tsdb_querier *base, const tsdb_series *s, int64_t min_t, int64_t max_t,
                             tsdb_columns *out, sx_error *err)
{
    merged_querier *q = (merged_querier *)base;
    if (sx_likely(!(s->handle[1] & MANY))) {
        tsdb_source *source = q->held[s->handle[1]].source;
        if (out->following && source->ops->ahead)
            source->ops->ahead(source, s, min_t, max_t, out);
        return source->ops->read(source, s->handle[0], min_t, max_t, out, err);
    }
    const series_part *parts = (const series_part *)(uintptr_t)s->handle[0];
    size_t count = s->handle[1] & ~MANY, begin = out->count;
    for (size_t i = 0; i < count; i++) {
        tsdb_source *source = q->held[parts[i].source].source;
        if (source->max_t < min_t || source->min_t > max_t)
            continue;
        sx_status status = source->ops->read(source, parts[i].handle, min_t, max_t, out, err);
        if (status != SX_OK)
            return status;
    }
    return tsdb_columns_sort(out, begin, err);
}

static int compare_text(const void *a, const void *b)
{
    return sx_str_cmp(*(const sx_str *)a, *(const sx_str *)b);
}

/* Sorted, without repeats, at most `limit`. */
static void finish_texts(sx_str *texts, size_t *count, size_t limit)
{
    size_t kept = 0;
    if (*count > 1)
        qsort(texts, *count, sizeof *texts, compare_text);
    for (size_t i = 0; i < *count; i++)
        if (i == 0 || !sx_str_eq(texts[i], texts[i - 1]))
            texts[kept++] = texts[i];
    *count = limit && kept > limit ? limit : kept;
}

/* The series that a question about labels is about, when it has matchers. */
static sx_status select_for_labels(merged_querier *q, const tsdb_matcher *matchers, size_t count,
                                   sx_arena *arena, tsdb_selection *out, sx_error *err)
{
    tsdb_hints hints = {.min_t = q->min_t, .max_t = q->max_t, .no_samples = true};
    return select_series(&q->base, &hints, matchers, count, arena, out, NULL, err);
}

static sx_status label_names(tsdb_querier *base, const tsdb_matcher *matchers, size_t count,
                             size_t limit, sx_arena *arena, sx_str **out, size_t *out_count,
                             sx_error *err)
{
    merged_querier *q = (merged_querier *)base;
    sx_str *texts = NULL;
    size_t found = 0, cap = 0;
    sx_status status = SX_OK;
    if (count == 0) {
        for (size_t i = 0; i < q->count && status == SX_OK; i++)
            status = q->held[i].source->ops->names(q->held[i].source, arena, &texts, &found, err);
    } else {
        tsdb_selection selection;
        status = select_for_labels(q, matchers, count, arena, &selection, err);
        for (size_t i = 0; status == SX_OK && i < selection.count; i++) {
            tsdb_labels l = selection.items[i].labels;
            if (found + l.count > cap)
                finish_texts(texts, &found, 0); /* repeats go before more room is taken */
            if (!sx_arena_grow(arena, &texts, &cap, found + l.count, sizeof *texts))
                return sx_fail_memory(err, "label names");
            for (uint32_t k = 0; k < l.count; k++)
                texts[found++] = l.items[k].name;
        }
    }
    if (status == SX_OK)
        finish_texts(texts, &found, limit);
    *out = texts;
    *out_count = found;
    return status;
}

static sx_status label_values(tsdb_querier *base, sx_str name, const tsdb_matcher *matchers,
                              size_t count, size_t limit, sx_arena *arena, sx_str **out,
                              size_t *out_count, sx_error *err)
{
    merged_querier *q = (merged_querier *)base;
    sx_str *texts = NULL;
    size_t found = 0, cap = 0;
    sx_status status = SX_OK;
    if (count == 0) {
        for (size_t i = 0; i < q->count && status == SX_OK; i++)
            status =
                q->held[i].source->ops->values(q->held[i].source, name, arena, &texts, &found, err);
    } else {
        tsdb_selection selection;
        status = select_for_labels(q, matchers, count, arena, &selection, err);
        for (size_t i = 0; status == SX_OK && i < selection.count; i++) {
            sx_str value = tsdb_labels_get(selection.items[i].labels, name);
            if (value.len == 0)
                continue;
            if (!sx_arena_grow(arena, &texts, &cap, found + 1, sizeof *texts))
                return sx_fail_memory(err, "label values");
            texts[found++] = value;
        }
    }
    if (status == SX_OK)
        finish_texts(texts, &found, limit);
    *out = texts;
    *out_count = found;
    return status;
}

static void free_querier(tsdb_querier *base)
{
    merged_querier *q = (merged_querier *)base;
    for (size_t i = 0; i < q->count; i++)
        q->held[i].source->ops->release(q->held[i].source, q->held[i].memory);
    sx_free(q);
}

sx_status tsdb_querier_over(tsdb_source *const *sources, size_t count, int64_t min_t, int64_t max_t,
                            tsdb_querier **out, sx_error *err)
{
    static const tsdb_querier_ops OPS = {select_series, read_series, label_names, label_values,
                                         free_querier};
    merged_querier *q = sx_calloc(1, sizeof *q + count * sizeof *q->held);
    if (!q)
        return sx_fail_memory(err, "querier");
    q->base.ops = &OPS;
    q->min_t = min_t;
    q->max_t = max_t;
    for (size_t i = 0; i < count; i++) {
        held_source *held = &q->held[q->count];
        sx_status status = sources[i]->ops->hold(sources[i], &held->memory, err);
        if (status != SX_OK) {
            free_querier(&q->base);
            return status;
        }
        held->source = sources[i];
        q->count++;
    }
    *out = &q->base;
    return SX_OK;
}
