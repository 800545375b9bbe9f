/* reader_querier.c - the local store and the remote ends queried as one.
 *
 * A selection asks all ends at once and the local store meanwhile. Series of equal labels become one,
 * whose samples are the local ones and, at other times, those of the ends in their order.
 * Source: Prometheus, docs/storage, "Remote storage integrations"; configuration, <remote_read>. */
#include <stdlib.h>
#include <string.h>

#include <sextant/compress.h>
#include <sextant/mem.h>

#include "observe/remote/reader_internal.h"

enum { WARNINGS_MAX = 20 };
static const uint64_t PLAIN_BYTES_MAX = UINT64_C(4) << 30;

typedef struct merged_querier {
    tsdb_querier base; /* first */
    read_set *set;
    tsdb_querier *local;
    int64_t min_t, max_t, local_start;
    pthread_mutex_t lock; /* of what follows */
    read_fetch *fetches;  /* whose answers selections point into */
    sx_str warnings[WARNINGS_MAX];
    size_t warning_count;
    sx_arena arena; /* of the warnings */
} merged_querier;

/* A series as it was found: in the local store, or in an answer. What is selected points at the first
 * of those with equal labels (handle[0]), of which there are handle[1]. */
typedef struct found_series {
    tsdb_labels labels;
    const tsdb_series *local;
    const read_series *remote;
    size_t order; /* of parts with equal labels: the local one, then the ends as configured */
} found_series;

static void warn(merged_querier *m, sx_str text)
{
    pthread_mutex_lock(&m->lock);
    bool known = m->warning_count == WARNINGS_MAX;
    for (size_t i = 0; i < m->warning_count && !known; i++)
        known = sx_str_eq(m->warnings[i], text);
    sx_str copy = known ? text : sx_arena_copy(&m->arena, text);
    if (!known && copy.data)
        m->warnings[m->warning_count++] = copy;
    pthread_mutex_unlock(&m->lock);
}

/* --- Which ends are asked. */

/* Whether an end may know more of a range than the local store; *max_t is cut to what that lacks. */
static bool is_wanted(const merged_querier *m, const prom_remote_read *e, int64_t min_t,
                      int64_t *max_t)
{
    if (e->read_recent)
        return true;
    if (min_t > m->local_start)
        return false;
    if (*max_t > m->local_start)
        *max_t = m->local_start;
    return true;
}

/* All required matchers are among those of the selector. */
static bool has_required(const prom_remote_read *e, const tsdb_matcher *matchers, size_t count)
{
    for (uint32_t i = 0; i < e->required_matchers.count; i++) {
        const tsdb_label *wanted = &e->required_matchers.items[i];
        bool found = false;
        for (size_t k = 0; k < count && !found; k++)
            found = matchers[k].kind == TSDB_MATCH_EQUAL &&
                    sx_str_eq(matchers[k].name, wanted->name) &&
                    sx_str_eq(matchers[k].value, wanted->value);
        if (!found)
            return false;
    }
    return true;
}

/* The external labels that the selector says nothing of. */
static sx_status external_of(const merged_querier *m, const prom_remote_read *e,
                             const tsdb_matcher *matchers, size_t count, sx_arena *arena,
                             tsdb_labels *out, sx_error *err)
{
    tsdb_labels all = m->set->config->external_labels;
    *out = (tsdb_labels){0};
    if (!e->filter_external_labels || all.count == 0)
        return SX_OK;
    tsdb_label *items = sx_arena_calloc(arena, all.count, sizeof *items);
    if (!items)
        return sx_fail_memory(err, "external labels");
    uint32_t n = 0;
    for (uint32_t i = 0; i < all.count; i++) {
        bool said = false;
        for (size_t k = 0; k < count && !said; k++)
            said = sx_str_eq(matchers[k].name, all.items[i].name);
        if (!said)
            items[n++] = all.items[i];
    }
    *out = (tsdb_labels){items, n};
    return SX_OK;
}

/* --- Fetches. */

static void fetch_free(read_fetch *f)
{
    sx_buf_done(&f->request);
    sx_buf_done(&f->answer.body);
    sx_buf_done(&f->answer.plain);
    sx_free(f);
}

/* One selection under way. */
typedef struct selecting {
    merged_querier *m;
    const tsdb_hints *hints;
    const tsdb_matcher *matchers;
    size_t count;
    sx_arena *arena;
    const _Atomic bool *canceled;
    read_fetch *first, **end; /* begun, in the order of the ends */
    tsdb_selection local;
    found_series *found;
    size_t found_count, found_cap;
} selecting;

static sx_status ask_end(selecting *s, const read_end *end, sx_error *err)
{
    merged_querier *m = s->m;
    const prom_remote_read *e = end->entry;
    int64_t min_t = s->hints->min_t > m->min_t ? s->hints->min_t : m->min_t;
    int64_t max_t = s->hints->max_t < m->max_t ? s->hints->max_t : m->max_t;
    if (!has_required(e, s->matchers, s->count) || !is_wanted(m, e, m->min_t, &max_t) ||
        min_t > max_t)
        return SX_OK;
    read_fetch *f = sx_calloc(1, sizeof *f);
    if (!f)
        return sx_fail_memory(err, "a remote read");
    f->set = m->set;
    f->end = end;
    f->canceled = s->canceled;
    f->deadline_ns = s->hints->deadline_ns;
    f->question = (read_question){.min_t = min_t,
                                  .max_t = max_t,
                                  .matchers = s->matchers,
                                  .matcher_count = s->count,
                                  .no_samples = s->hints->no_samples};
    sx_buf_init(&f->request, 0);
    sx_buf_init(&f->answer.body, 0);
    sx_buf_init(&f->answer.plain, 0);
    sx_status status =
        external_of(m, e, s->matchers, s->count, s->arena, &f->question.external, err);
    if (status != SX_OK) {
        fetch_free(f);
        return status;
    }
    *s->end = f;
    s->end = &f->next;
    read_fetch_start(f);
    return SX_OK;
}

static sx_status add_found(selecting *s, const found_series *one, sx_error *err)
{
    if (!sx_arena_grow(s->arena, &s->found, &s->found_cap, s->found_count + 1, sizeof *s->found))
        return sx_fail_memory(err, "series");
    s->found[s->found_count] = *one;
    s->found[s->found_count].order = s->found_count;
    s->found_count++;
    return SX_OK;
}

/* Waits for all and takes what has come; ends that failed become warnings. */
static sx_status gather(selecting *s, sx_error *err)
{
    sx_status status = SX_OK;
    for (read_fetch *f = s->first; f; f = f->next) {
        const read_limits limits = {.frame_bytes_max = f->end->entry->chunked_limit,
                                    .plain_bytes_max = PLAIN_BYTES_MAX};
        read_fetch_wait(f);
        if (f->status == SX_OK)
            f->status = read_answer_parse(&f->answer, &f->question, f->streamed, &limits, s->arena,
                                          &f->err);
        if (f->status == SX_ENOMEM && status == SX_OK)
            status = sx_fail(err, SX_ENOMEM, "%s", f->err.message);
        if (f->status != SX_OK) {
            sx_error_prefix(&f->err, f->status, "remote_read");
            warn(s->m, sx_str_z(f->err.message));
            continue;
        }
        for (size_t i = 0; i < f->answer.count && status == SX_OK; i++) {
            const read_series *r = &f->answer.items[i];
            status = add_found(s, &(found_series){.labels = r->labels, .remote = r}, err);
        }
    }
    return status;
}

static int by_labels(const void *a, const void *b)
{
    const found_series *x = a, *y = b;
    int order = tsdb_labels_compare(x->labels, y->labels);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static sx_status merge(selecting *s, tsdb_selection *out, sx_error *err)
{
    tsdb_series *items =
        sx_arena_calloc(s->arena, s->found_count ? s->found_count : 1, sizeof *items);
    if (!items)
        return sx_fail_memory(err, "series");
    if (s->found_count)
        qsort(s->found, s->found_count, sizeof *s->found, by_labels);
    size_t n = 0;
    for (size_t i = 0; i < s->found_count; i++) {
        if (n && tsdb_labels_equal(items[n - 1].labels, s->found[i].labels)) {
            items[n - 1].handle[1]++;
            continue;
        }
        items[n++] =
            (tsdb_series){.labels = s->found[i].labels, .handle = {(uintptr_t)&s->found[i], 1}};
    }
    if (s->hints->series_max && n > s->hints->series_max)
        n = s->hints->series_max;
    *out = (tsdb_selection){.items = items, .count = n, .sorted = true};
    return SX_OK;
}

static void keep_fetches(selecting *s)
{
    if (!s->first)
        return;
    pthread_mutex_lock(&s->m->lock);
    *s->end = s->m->fetches;
    s->m->fetches = s->first;
    pthread_mutex_unlock(&s->m->lock);
}

static sx_status merged_select(tsdb_querier *q, const tsdb_hints *hints,
                               const tsdb_matcher *matchers, size_t count, sx_arena *arena,
                               tsdb_selection *out, const _Atomic bool *canceled, sx_error *err)
{
    merged_querier *m = (merged_querier *)q;
    selecting s = {.m = m,
                   .hints = hints,
                   .matchers = matchers,
                   .count = count,
                   .arena = arena,
                   .canceled = canceled};
    sx_error late = {0};
    sx_status status = SX_OK;
    s.end = &s.first;
    for (uint32_t i = 0; i < m->set->count && status == SX_OK; i++)
        status = ask_end(&s, &m->set->ends[i], err);
    if (status == SX_OK)
        status =
            m->local->ops->select(m->local, hints, matchers, count, arena, &s.local, canceled, err);
    for (size_t i = 0; i < s.local.count && status == SX_OK; i++)
        status = add_found(
            &s, &(found_series){.labels = s.local.items[i].labels, .local = &s.local.items[i]},
            err);
    sx_status gathered = gather(&s, &late); /* in any case: they point at what is on this stack */
    keep_fetches(&s);
    if (status == SX_OK && gathered != SX_OK) {
        status = gathered;
        if (err)
            *err = late;
    }
    if (status == SX_OK && canceled && *canceled)
        status = sx_fail(err, SX_ECANCELED, "the query was canceled");
    return status == SX_OK ? merge(&s, out, err) : status;
}

/* HOT for the local part; an answer's samples are decoded here. */
static sx_status merged_read(tsdb_querier *q, const tsdb_series *series, int64_t min_t,
                             int64_t max_t, tsdb_columns *out, sx_error *err)
{
    merged_querier *m = (merged_querier *)q;
    const found_series *parts = (const found_series *)(uintptr_t)series->handle[0];
    size_t from = out->count;
    bool sorted = true;
    sx_status status = SX_OK;
    for (uint64_t i = 0; i < series->handle[1] && status == SX_OK; i++) {
        const found_series *p = &parts[i];
        if (p->local) {
            status = m->local->ops->read(m->local, p->local, min_t, max_t, out, err);
        } else {
            sorted = false;
            status = read_series_samples(p->remote, min_t, max_t, out, err);
        }
    }
    return status == SX_OK && !sorted ? tsdb_columns_sort(out, from, err) : status;
}

/* --- Labels: the protocol has no question for them, which Prometheus warns of in these words. */

static void warn_of_labels(merged_querier *m)
{
    warn(m, SX_STR("not implemented"));
}

static sx_status merged_names(tsdb_querier *q, const tsdb_matcher *matchers, size_t count,
                              size_t limit, sx_arena *arena, sx_str **out, size_t *out_count,
                              sx_error *err)
{
    merged_querier *m = (merged_querier *)q;
    warn_of_labels(m);
    return m->local->ops->label_names(m->local, matchers, count, limit, arena, out, out_count, err);
}

static sx_status merged_values(tsdb_querier *q, sx_str name, const tsdb_matcher *matchers,
                               size_t count, size_t limit, sx_arena *arena, sx_str **out,
                               size_t *out_count, sx_error *err)
{
    merged_querier *m = (merged_querier *)q;
    warn_of_labels(m);
    return m->local->ops->label_values(m->local, name, matchers, count, limit, arena, out,
                                       out_count, err);
}

static const sx_str *merged_warnings(tsdb_querier *q, size_t *count)
{
    merged_querier *m = (merged_querier *)q;
    pthread_mutex_lock(&m->lock);
    *count = m->warning_count;
    pthread_mutex_unlock(&m->lock);
    return m->warnings;
}

static void merged_free(tsdb_querier *q)
{
    merged_querier *m = (merged_querier *)q;
    while (m->fetches) {
        read_fetch *f = m->fetches;
        m->fetches = f->next;
        fetch_free(f);
    }
    m->local->ops->free(m->local);
    read_set_drop(m->set);
    pthread_mutex_destroy(&m->lock);
    sx_arena_done(&m->arena);
    sx_free(m);
}

static const tsdb_querier_ops OPS = {.select = merged_select,
                                     .read = merged_read,
                                     .label_names = merged_names,
                                     .label_values = merged_values,
                                     .warnings = merged_warnings,
                                     .free = merged_free};

sx_status read_querier_make(tsdb_queryable *self, int64_t min_t, int64_t max_t, tsdb_querier **out,
                            sx_error *err)
{
    remote_reader *r = (remote_reader *)self;
    tsdb_querier *local = NULL;
    sx_status status = r->options.local->querier(r->options.local, min_t, max_t, &local, err);
    read_set *set = status == SX_OK ? read_set_take(r) : NULL;
    *out = local;
    if (status != SX_OK || !set)
        return status;
    merged_querier *m = sx_calloc(1, sizeof *m);
    if (!m) {
        local->ops->free(local);
        read_set_drop(set);
        return sx_fail_memory(err, "a querier");
    }
    *m = (merged_querier){.base.ops = &OPS,
                          .set = set,
                          .local = local,
                          .min_t = min_t,
                          .max_t = max_t,
                          .local_start = r->options.local_start(r->options.ctx)};
    pthread_mutex_init(&m->lock, NULL);
    sx_arena_init(&m->arena, 0, 0);
    bool any = false;
    for (uint32_t i = 0; i < set->count; i++) {
        int64_t cut = max_t;
        any = any || is_wanted(m, set->ends[i].entry, min_t, &cut);
    }
    if (any) {
        *out = &m->base;
        return SX_OK;
    }
    read_set_drop(set); /* the local querier goes on by itself */
    pthread_mutex_destroy(&m->lock);
    sx_arena_done(&m->arena);
    sx_free(m);
    return SX_OK;
}
