/* search.c - the two steps of a search. The store's search stays open while the traces it finds are read
 * and evaluated, each as it is found: so it is read at one moment, and no row of it twice. */
#include "observe/traceql/search.h"

#include <stdlib.h>

#include <sextant/mem.h>

#include "base/mem_account.h"

enum { LIMIT_DEFAULT = 20, PROBE_AFTER = 512, PROBE_IDS = 4096 };

typedef struct search {
    tr_store *store;
    const tq_node *pipeline;
    const traceql_search_options *options;
    traceql_match_fn *fn;
    void *ctx;
    traceql_search_stats *stats;
    uint64_t limit, found, spans_max;
    unsigned want; /* of spans, to tell whether the query finds the trace */
    span_batch *batch;
    sx_arena arena;
    bool probed; /* below */
    uint8_t
        *others; /* ids, sorted, of all traces that have a span for the other side; NULL: unknown */
    size_t other_count;
    sx_status status; /* of looking at candidates */
    bool stop;
    sx_error *err;
} search;

/* Between spans of a trace, which may have very many. */
static sx_status look_up(void *ctx, sx_error *err)
{
    const search *s = ctx;
    return tr_store_limits(s->store, &s->options->limits, err);
}

static bool in_duration(const traceql_search_options *o, const tq_trace *t)
{
    uint64_t ns = t->end_ns - t->start_ns;
    return ns >= o->min_duration_ns && (!o->max_duration_ns || ns <= o->max_duration_ns);
}

unsigned tq_want(const tq_node *n)
{
    static const struct {
        tq_source source;
        unsigned want;
    } KNOWN[] = {
        {TQ_SPAN_DURATION, TR_WANT_IDS},
        {TQ_SPAN_ID, TR_WANT_IDS},
        {TQ_SPAN_PARENT_ID, TR_WANT_IDS},
        {TQ_TRACE_ID, TR_WANT_IDS},
        {TQ_PARENT, TR_WANT_IDS},
        {TQ_SPAN_CHILDREN, TR_WANT_IDS},
        {TQ_TRACE_DURATION, TR_WANT_IDS},
        {TQ_NESTED_LEFT, TR_WANT_IDS},
        {TQ_NESTED_RIGHT, TR_WANT_IDS},
        {TQ_NESTED_PARENT, TR_WANT_IDS},
        {TQ_SPAN_NAME, TR_WANT_BASICS},
        {TQ_SPAN_KIND, TR_WANT_BASICS},
        {TQ_SPAN_STATUS, TR_WANT_BASICS},
        {TQ_ATTR_RESOURCE, TR_WANT_BASICS},
        {TQ_ATTR_SCOPE, TR_WANT_BASICS},
        {TQ_SCOPE_NAME, TR_WANT_BASICS},
        {TQ_SCOPE_VERSION, TR_WANT_BASICS},
        {TQ_TRACE_ROOT_NAME, TR_WANT_BASICS},
        {TQ_TRACE_ROOT_SERVICE, TR_WANT_BASICS},
    };
    unsigned want = TR_WANT_IDS;
    if (n->kind == TQ_SELECT)
        return want; /* it is for who writes the answer */
    if (n->kind == TQ_FIELD) {
        for (size_t i = 0; i < SX_COUNT_OF(KNOWN); i++)
            if (KNOWN[i].source == n->field.source)
                return want | KNOWN[i].want;
        return TR_WANT_ALL;
    }
    if (n->left)
        want |= tq_want(n->left);
    if (n->right)
        want |= tq_want(n->right);
    for (uint32_t i = 0; i < n->count; i++)
        want |= tq_want(n->items[i]);
    return want;
}

/* One candidate read and evaluated. */
static sx_status evaluate(search *s, const tr_hit *hit, unsigned want, tq_trace *trace,
                          tq_spansets *sets)
{
    const tq_watch watch = {look_up, s};
    bool partial = false;
    *sets = (tq_spansets){0};
    span_batch_reset(s->batch);
    sx_arena_reset(&s->arena);
    sx_status status = tr_store_trace_part(s->store, hit->trace_id, want, &s->options->limits,
                                           s->batch, &partial, s->err);
    s->stats->partial |= partial;
    if (status == SX_OK)
        status =
            tq_trace_prepare(&s->arena, s->batch->spans, s->batch->count, &watch, trace, s->err);
    if (status == SX_OK && trace->count && in_duration(s->options, trace))
        status = tq_run(&s->arena, s->pipeline, trace, &watch, sets, s->err);
    return status;
}

/* One candidate: looked at, and handed on whole. Where few are found it is read twice: first no more of
 * it than the query asks about, which is a third of the work. */
static sx_status look_at(search *s, const tr_hit *hit)
{
    tq_trace trace;
    tq_spansets sets;
    unsigned want = s->found > s->stats->traces / 4 ? TR_WANT_ALL : s->want;
    sx_status status = evaluate(s, hit, want, &trace, &sets);
    if (status != SX_OK)
        return status;
    s->stats->traces++;
    s->stats->spans += s->batch->count;
    if (sets.count && want != TR_WANT_ALL)
        status = evaluate(s, hit, TR_WANT_ALL, &trace, &sets);
    if (status != SX_OK || !sets.count)
        return status;
    traceql_match m = {&trace, &sets, &s->arena};
    s->found++;
    s->stop |= !s->fn(s->ctx, &m) || s->found >= s->limit;
    return SX_OK;
}

/* --- Both sides. The store looks for the side of a relation that promises fewer spans. Where many
 * candidates come to nothing, the traces of the other side are looked up, and if they are few, those
 * candidates that are none of them are passed over unread. */

static bool take_other(void *ctx, const tr_hit *hit)
{
    search *s = ctx;
    if (s->other_count == PROBE_IDS) {
        s->other_count++; /* too many */
        return false;
    }
    memcpy(s->others + 16 * s->other_count++, hit->trace_id, 16);
    return true;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static sx_status probe(search *s)
{
    bool partial = false;
    const tr_search question = {.filter = s->pipeline->also, .limits = s->options->limits};
    s->probed = true;
    s->others = sx_alloc((size_t)16 * PROBE_IDS);
    if (!s->others)
        return sx_fail_memory(s->err, "traces of a relation");
    sx_status status = tr_store_search(s->store, &question, take_other, s, &partial, s->err);
    if (status == SX_OK && !partial && s->other_count <= PROBE_IDS) {
        qsort(s->others, s->other_count, 16, by_id);
        return SX_OK;
    }
    sx_free(s->others);
    s->others = NULL;
    return status;
}

static bool take_hit(void *ctx, const tr_hit *hit)
{
    search *s = ctx;
    if (s->pipeline->also && !s->probed && s->stats->traces >= PROBE_AFTER &&
        s->found < s->stats->traces / 16 && (s->status = probe(s)) != SX_OK)
        return false;
    if (s->others && !bsearch(hit->trace_id, s->others, s->other_count, 16, by_id))
        return true;
    if (s->stats->spans >= s->spans_max) {
        s->stats->partial = true;
        return false;
    }
    s->status = look_at(s, hit);
    return s->status == SX_OK && !s->stop;
}

static sx_status run_search(search *s)
{
    bool partial = false;
    tr_search question = {.filter = s->pipeline->pushed,
                          .min_ns = s->options->min_ns,
                          .max_ns = s->options->max_ns,
                          .limits = s->options->limits};
    sx_status status = tr_store_search(s->store, &question, take_hit, s, &partial, s->err);
    s->stats->partial |= partial;
    status = status == SX_OK ? s->status : status;
    if (status != SX_ENOMEM || !s->found || !sx_mem_account_over(sx_mem_account_current()))
        return status;
    s->stats->partial = true; /* what was found before memory ended is right as far as it goes */
    return SX_OK;
}

static sx_status start(search *s)
{
    const traceql_search_options *o = s->options;
    s->spans_max = o->spans_max ? o->spans_max : 20000000;
    *s->stats = (traceql_search_stats){0};
    s->batch = span_batch_new(0);
    if (!s->batch)
        return sx_fail_memory(s->err, "a trace");
    sx_arena_init(&s->arena, 64 << 10, o->memory_max ? o->memory_max : (size_t)1 << 30);
    sx_status status = run_search(s);
    sx_arena_done(&s->arena);
    span_batch_unref(s->batch);
    sx_free(s->others);
    return status;
}

sx_status traceql_search(tr_store *store, const traceql_query *q,
                         const traceql_search_options *options, traceql_match_fn *fn, void *ctx,
                         traceql_search_stats *stats, sx_error *err)
{
    const tq_node *pipeline = q->root;
    while (pipeline->kind == TQ_SERIES || pipeline->kind == TQ_SERIES_FILTER ||
           pipeline->kind == TQ_SERIES_TOP)
        pipeline = pipeline->left; /* of a query for series: the traces it counts */
    if (pipeline->kind != TQ_PIPELINE)
        return sx_fail(err, SX_EINVAL, "math expressions not supported");
    search s = {.store = store,
                .pipeline = pipeline,
                .options = options,
                .fn = fn,
                .ctx = ctx,
                .stats = stats,
                .err = err};
    s.limit = options->limit ? options->limit : LIMIT_DEFAULT;
    s.want = tq_want(pipeline) | TR_WANT_BASICS;
    return start(&s);
}

sx_status tq_search(tr_store *store, const tq_node *pipeline, const traceql_search_options *options,
                    traceql_match_fn *fn, void *ctx, traceql_search_stats *stats, sx_error *err)
{
    search s = {.store = store,
                .pipeline = pipeline,
                .options = options,
                .fn = fn,
                .ctx = ctx,
                .stats = stats,
                .limit = UINT64_MAX,
                .want = TR_WANT_ALL,
                .err = err};
    return start(&s);
}

/* --- Fields. */

typedef struct fields {
    const tq_field **items;
    size_t count, cap;
    sx_arena *arena;
    bool failed;
} fields;

static bool same_field(const tq_field *a, const tq_field *b)
{
    return a->source == b->source && a->of_parent == b->of_parent && sx_str_eq(a->key, b->key);
}

static void collect(fields *f, const tq_node *n)
{
    if (n->kind == TQ_FIELD) {
        for (size_t i = 0; i < f->count; i++)
            if (same_field(f->items[i], &n->field))
                return;
        if (!sx_arena_grow(f->arena, &f->items, &f->cap, f->count + 1, sizeof *f->items))
            f->failed = true;
        else
            f->items[f->count++] = &n->field;
        return;
    }
    if (n->left)
        collect(f, n->left);
    if (n->right)
        collect(f, n->right);
    for (uint32_t i = 0; i < n->count; i++)
        collect(f, n->items[i]);
}

const tq_field **traceql_fields(const traceql_query *q, sx_arena *arena, size_t *count)
{
    fields f = {.arena = arena};
    if (!sx_arena_grow(arena, &f.items, &f.cap, 8, sizeof *f.items))
        return NULL;
    collect(&f, q->root);
    *count = f.count;
    return f.failed ? NULL : f.items;
}
