/* metrics.c - spans counted into groups and steps. See metrics.h. */
#include "observe/traceql/metrics.h"

#include <math.h>
#include <stdlib.h>

#include <sextant/hash.h>

#include "observe/traceql/search.h"

/* Spans with the same values of by(), and for histograms of the same bucket. */
typedef struct group {
    struct group *next; /* of the same hash */
    uint64_t hash;
    tq_value *keys;
    double *values; /* one a step; histograms: HISTOGRAM a step */
    double *counts; /* avg alone */
} group;

enum { SLOTS = 4096 };

typedef struct counter {
    const tq_node *node; /* SERIES */
    const traceql_metrics_options *options;
    traceql_metrics *out;
    sx_arena *arena;  /* of the answer */
    sx_arena scratch; /* of one span */
    group *slots[SLOTS];
    size_t groups, groups_max;
    sx_status status;
    sx_error *err;
    const tq_node *filter; /* where spans come one by one and were not told exactly; may be NULL */
} counter;

static bool is_histogram(const tq_node *n)
{
    return n->function == TQ_QUANTILE_OVER_TIME || n->function == TQ_HISTOGRAM_OVER_TIME;
}

static bool is_count(const tq_node *n)
{
    return n->function == TQ_RATE || n->function == TQ_COUNT_OVER_TIME || is_histogram(n);
}

/* --- Groups. */

static uint64_t hash_value(uint64_t seed, const tq_value *v)
{
    seed = sx_hash_bytes(&v->type, sizeof v->type, seed);
    if (v->type == TQ_STR)
        return sx_hash_bytes(v->s.data, v->s.len, seed);
    return v->type == TQ_NIL || v->type == TQ_ANY ? seed : sx_hash_bytes(&v->i, 8, seed);
}

static bool same_value(const tq_value *a, const tq_value *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == TQ_STR)
        return sx_str_eq(a->s, b->s);
    return a->type == TQ_NIL || a->type == TQ_ANY || a->i == b->i;
}

static bool same_keys(const group *g, const tq_value *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!same_value(&g->keys[i], &keys[i]))
            return false;
    return true;
}

static group *new_group(counter *c, uint64_t hash, const tq_value *keys)
{
    uint32_t count = c->node->count;
    size_t cells = (size_t)c->out->steps * (is_histogram(c->node) ? TRACEQL_HISTOGRAM : 1);
    group *g = sx_arena_calloc(c->arena, 1, sizeof *g);
    if (!g)
        return NULL;
    g->hash = hash;
    g->keys = sx_arena_calloc(c->arena, count + 1, sizeof *g->keys);
    g->values = sx_arena_calloc(c->arena, cells, sizeof(double));
    if (c->node->function == TQ_AVG_OVER_TIME)
        g->counts = sx_arena_calloc(c->arena, cells, sizeof(double));
    if (!g->keys || !g->values || (c->node->function == TQ_AVG_OVER_TIME && !g->counts))
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        g->keys[i] = keys[i];
        if (keys[i].type == TQ_STR && !(g->keys[i].s = sx_arena_copy(c->arena, keys[i].s)).data)
            return NULL;
    }
    for (size_t i = 0; !is_count(c->node) && i < cells; i++)
        g->values[i] = NAN;
    g->next = c->slots[hash % SLOTS];
    c->slots[hash % SLOTS] = g;
    c->groups++;
    return g;
}

/* NULL: there are too many already, or no memory (status). */
static group *find_group(counter *c, const tq_trace *t, uint32_t i)
{
    tq_value keys[8];
    char hex[8][33];
    uint64_t hash = 0;
    uint32_t count = c->node->count;
    for (uint32_t k = 0; k < count; k++) {
        keys[k] = tq_first(t, i, &c->node->items[k]->field, hex[k]);
        hash = hash_value(hash, &keys[k]);
    }
    for (group *g = c->slots[hash % SLOTS]; g; g = g->next)
        if (g->hash == hash && same_keys(g, keys, count))
            return g;
    if (c->groups >= c->groups_max) {
        c->out->partial = true;
        return NULL;
    }
    group *g = new_group(c, hash, keys);
    if (!g)
        c->status = sx_fail(c->err, SX_ELIMIT,
                            "%zu series of %u steps take more memory than a query may have",
                            c->groups + 1, c->out->steps);
    return g;
}

/* --- One span. */

/* The bucket of a histogram: the least i with v <= 2^i; -1: v is below 2. */
static int bucket_of(double v)
{
    if (!(v >= 2))
        return -1;
    uint64_t whole = v >= 0x1p63 ? (uint64_t)1 << 63 : (uint64_t)v;
    return 64 - __builtin_clzll(whole - 1 ? whole - 1 : 1);
}

static void observe(counter *c, group *g, uint32_t step, double v, int bucket)
{
    double *at = &g->values[step];
    switch (c->node->function) {
    case TQ_MIN_OVER_TIME:
        *at = isnan(*at) || v < *at ? v : *at;
        break;
    case TQ_MAX_OVER_TIME:
        *at = isnan(*at) || v > *at ? v : *at;
        break;
    case TQ_AVG_OVER_TIME:
        g->counts[step]++;
        *at = isnan(*at) ? v : *at + v;
        break;
    case TQ_SUM_OVER_TIME:
        *at = isnan(*at) ? v : *at + v;
        break;
    case TQ_QUANTILE_OVER_TIME:
    case TQ_HISTOGRAM_OVER_TIME:
        g->values[(size_t)step * TRACEQL_HISTOGRAM + (size_t)bucket]++;
        break;
    default:
        ++*at;
    }
}

static bool step_of(const counter *c, uint64_t start_ns, uint32_t *step)
{
    const traceql_metrics *m = c->out;
    uint64_t end = m->start_ns + m->steps * m->step_ns;
    if (start_ns > end || (c->options->instant ? start_ns < m->start_ns : start_ns <= m->start_ns))
        return false;
    *step = start_ns == m->start_ns ? 0 : (uint32_t)((start_ns - m->start_ns - 1) / m->step_ns);
    return true;
}

static void count_span(counter *c, const tq_trace *t, uint32_t i)
{
    uint32_t step;
    double v = 0;
    int bucket = 0;
    if (!step_of(c, t->spans[i]->start_ns, &step))
        return;
    if (c->node->right) {
        char hex[33];
        tq_value value = tq_first(t, i, &c->node->right->field, hex);
        if (!tq_is_number(value.type))
            return;
        v = tq_number(&value);
        if (is_histogram(c->node) && (bucket = bucket_of(v)) < 0)
            return;
        if (value.type == TQ_DURATION)
            v /= 1e9;
    }
    group *g = find_group(c, t, i);
    if (!g)
        return;
    c->out->spans++;
    observe(c, g, step, v, bucket);
}

static bool take_spans(void *ctx, const span_batch *b)
{
    counter *c = ctx;
    tq_trace t = {.spans = b->spans, .count = (uint32_t)b->count};
    for (uint32_t i = 0; i < t.count && c->status == SX_OK; i++) {
        if (c->filter) {
            sx_arena_reset(&c->scratch);
            if (!tq_holds(&c->scratch, c->filter, &t, i))
                continue;
        }
        count_span(c, &t, i);
    }
    return c->status == SX_OK;
}

static bool take_trace(void *ctx, const traceql_match *m)
{
    counter *c = ctx;
    for (size_t k = 0; k < m->sets->count; k++)
        for (uint32_t i = 0; i < m->sets->items[k].count && c->status == SX_OK; i++)
            count_span(c, m->trace, m->sets->items[k].spans[i]);
    return c->status == SX_OK;
}

/* --- Which way. */

static bool of_span(const tq_node *n)
{
    if (n->kind == TQ_FIELD) {
        tq_source s = n->field.source;
        return !n->field.of_parent && s != TQ_SPAN_CHILDREN && s != TQ_NESTED_LEFT &&
               s != TQ_NESTED_RIGHT && s != TQ_NESTED_PARENT &&
               (s < TQ_TRACE_DURATION || s > TQ_TRACE_ROOT_SERVICE);
    }
    if ((n->left && !of_span(n->left)) || (n->right && !of_span(n->right)))
        return false;
    for (uint32_t i = 0; i < n->count; i++)
        if (!of_span(n->items[i]))
            return false;
    return true;
}

/* One filter over fields of the span, and nothing else that needs the trace. */
static const tq_node *plain_filter(const tq_node *n)
{
    const tq_node *p = n->left;
    bool plain = p->count == 1 && p->items[0]->kind == TQ_FILTER && of_span(p) &&
                 (!n->right || of_span(n->right));
    for (uint32_t i = 0; i < n->count; i++)
        plain &= of_span(n->items[i]);
    return plain ? p->items[0]->left : NULL;
}

static sx_status gather(counter *c, tr_store *store)
{
    const tq_node *n = c->node, *pipeline = n->left, *filter = plain_filter(n);
    uint64_t end = c->out->start_ns + c->out->steps * c->out->step_ns;
    bool partial = false;
    sx_status status;
    if (filter) {
        tr_search question = {.filter = pipeline->pushed,
                              .min_ns = c->out->start_ns,
                              .max_ns = end,
                              .limits = c->options->limits};
        unsigned want = TR_WANT_IDS;
        for (uint32_t i = 0; i < n->count; i++)
            want |= tq_want(n->items[i]);
        if (n->right)
            want |= tq_want(n->right);
        if (!pipeline->exact) {
            c->filter = filter;
            want |= tq_want(filter);
        }
        status = tr_store_scan(store, &question, want, take_spans, c, &partial, c->err);
    } else {
        traceql_search_options options = {
            .min_ns = c->out->start_ns, .max_ns = end, .limits = c->options->limits};
        traceql_search_stats stats;
        status = tq_search(store, pipeline, &options, take_trace, c, &stats, c->err);
        partial = status == SX_OK && stats.partial;
    }
    c->out->partial |= partial;
    return c->status != SX_OK ? c->status : status;
}

/* --- Groups as series. */

static bool add_label(counter *c, traceql_series *s, sx_str name, tq_value v)
{
    size_t cap = s->label_count;
    if (!name.data ||
        !sx_arena_grow(c->arena, &s->labels, &cap, s->label_count + 1, sizeof *s->labels))
        return false;
    s->labels[s->label_count++] = (tq_note){name, v};
    return true;
}

/* Labels of a group: what is nil is left out, unless all are. */
static bool add_labels(counter *c, const group *g, traceql_series *s, bool alone)
{
    const tq_node *n = c->node;
    for (uint32_t i = 0; i < n->count; i++)
        if (g->keys[i].type != TQ_NIL &&
            !add_label(c, s, tq_text(c->arena, n->items[i]), g->keys[i]))
            return false;
    if (s->label_count || !alone)
        return true;
    if (n->count)
        return add_label(c, s, tq_text(c->arena, n->items[0]),
                         (tq_value){.type = TQ_STR, .s = SX_STR("nil")});
    tq_value name = {.type = TQ_STR, .s = sx_str_z(tq_function_name(n->function))};
    return add_label(c, s, SX_STR("__name__"), name);
}

static traceql_series *new_series(counter *c, size_t *cap)
{
    traceql_metrics *m = c->out;
    if (!sx_arena_grow(c->arena, &m->series, cap, m->count + 1, sizeof *m->series))
        return NULL;
    traceql_series *s = &m->series[m->count++];
    *s = (traceql_series){0};
    return s;
}

static bool add_plain(counter *c, const group *g, size_t *cap)
{
    traceql_series *s = new_series(c, cap);
    double seconds = (double)c->out->step_ns / 1e9;
    if (!s || !add_labels(c, g, s, true))
        return false;
    s->values = g->values;
    for (uint32_t i = 0; i < c->out->steps; i++)
        if (c->node->function == TQ_RATE)
            s->values[i] /= seconds;
        else if (g->counts)
            s->values[i] /= g->counts[i];
    return true;
}

static double in_seconds(const counter *c)
{
    return tq_source_type(c->node->right->field.source) == TQ_DURATION ? 1e9 : 1;
}

static bool add_quantiles(counter *c, const group *g, size_t *cap)
{
    for (uint32_t q = 0; q < c->node->number_count; q++) {
        tq_value p = {.type = TQ_FLOAT, .d = c->node->numbers[q]};
        traceql_series *s = new_series(c, cap);
        if (!s || !add_labels(c, g, s, false) || !add_label(c, s, SX_STR("p"), p))
            return false;
        s->values = sx_arena_alloc(c->arena, c->out->steps * sizeof(double));
        if (!s->values)
            return false;
        for (uint32_t i = 0; i < c->out->steps; i++)
            s->values[i] =
                tq_quantile(g->values + (size_t)i * TRACEQL_HISTOGRAM, p.d) / in_seconds(c);
    }
    return true;
}

static bool add_buckets(counter *c, const group *g, size_t *cap)
{
    for (unsigned b = 0; b < TRACEQL_HISTOGRAM; b++) {
        double sum = 0;
        for (uint32_t i = 0; i < c->out->steps; i++)
            sum += g->values[(size_t)i * TRACEQL_HISTOGRAM + b];
        if (!(sum > 0))
            continue;
        tq_value edge = {.type = TQ_FLOAT, .d = ldexp(1, (int)b) / in_seconds(c)};
        traceql_series *s = new_series(c, cap);
        if (!s || !add_labels(c, g, s, false) || !add_label(c, s, SX_STR("__bucket"), edge))
            return false;
        s->values = sx_arena_alloc(c->arena, c->out->steps * sizeof(double));
        if (!s->values)
            return false;
        for (uint32_t i = 0; i < c->out->steps; i++)
            s->values[i] = g->values[(size_t)i * TRACEQL_HISTOGRAM + b];
    }
    return true;
}

static int compare_series(const void *a, const void *b)
{
    return tq_labels_compare(a, b);
}

static sx_status finish(counter *c)
{
    size_t cap = 0;
    for (size_t i = 0; i < SLOTS; i++)
        for (const group *g = c->slots[i]; g; g = g->next) {
            bool ok = c->node->function == TQ_QUANTILE_OVER_TIME    ? add_quantiles(c, g, &cap)
                      : c->node->function == TQ_HISTOGRAM_OVER_TIME ? add_buckets(c, g, &cap)
                                                                    : add_plain(c, g, &cap);
            if (!ok)
                return sx_fail_memory(c->err, "series");
        }
    if (c->out->count)
        qsort(c->out->series, c->out->count, sizeof *c->out->series, compare_series);
    return SX_OK;
}

static sx_status run_series(tr_store *store, const tq_node *n,
                            const traceql_metrics_options *options, sx_arena *arena,
                            traceql_metrics *out, sx_error *err)
{
    if (n->function == TQ_COMPARE)
        return tq_compare_series(store, n, options, arena, out, err);
    counter *c = sx_arena_calloc(arena, 1, sizeof *c);
    if (!c)
        return sx_fail_memory(err, "series");
    c->node = n;
    c->options = options;
    c->out = out;
    c->arena = arena;
    c->err = err;
    c->groups_max = options->series_max ? options->series_max : TRACEQL_SERIES_MAX;
    sx_arena_init(&c->scratch, 4096, 64 << 20);
    sx_status status = gather(c, store);
    sx_arena_done(&c->scratch);
    return status == SX_OK ? finish(c) : status;
}

/* --- The query. */

/* As Tempo: about 240 steps, rounded down to what people read easily. */
static uint64_t default_step(uint64_t range_ns)
{
    static const uint64_t SECONDS[] = {3600, 300, 60, 15, 5, 1};
    uint64_t base = range_ns / 240, least = 50000000;
    if (range_ns < 60000000000u)
        return base > least ? base / least * least : least;
    for (size_t i = 0; i < sizeof SECONDS / sizeof SECONDS[0]; i++)
        if (base > SECONDS[i] * 1000000000u)
            return base / (SECONDS[i] * 1000000000u) * (SECONDS[i] * 1000000000u);
    return 1000000000u;
}

static sx_status plan(const traceql_metrics_options *o, traceql_metrics *out, sx_error *err)
{
    if (o->end_ns <= o->start_ns)
        return sx_fail(err, SX_EINVAL, "end must be after start");
    *out =
        (traceql_metrics){.start_ns = o->start_ns, .step_ns = o->end_ns - o->start_ns, .steps = 1};
    if (o->instant)
        return SX_OK;
    uint64_t step = o->step_ns ? o->step_ns : default_step(o->end_ns - o->start_ns);
    uint64_t start = o->start_ns - o->start_ns % step, end = o->end_ns;
    if (end % step && end <= UINT64_MAX - step)
        end += step - end % step;
    if (start > step) /* one step more, so that the first is whole */
        start -= step;
    if ((end - start) / step > TRACEQL_STEPS_MAX)
        return sx_fail(err, SX_EINVAL,
                       "%llu steps are more than the %d that one answer may have: ask for a longer "
                       "step or a shorter range",
                       (unsigned long long)((end - start) / step), TRACEQL_STEPS_MAX);
    out->start_ns = start;
    out->step_ns = step;
    out->steps = (uint32_t)((end - start) / step);
    return SX_OK;
}

typedef struct run {
    tr_store *store;
    const traceql_metrics_options *options;
    sx_arena *arena;
    traceql_metrics empty; /* the plan */
    sx_error *err;
} run;

static sx_status eval(run *r, const tq_node *n, traceql_metrics *out)
{
    traceql_metrics left = {0}, right = {0};
    *out = r->empty;
    if (n->kind == TQ_SERIES)
        return run_series(r->store, n, r->options, r->arena, out, r->err);
    sx_status status = n->left->kind == TQ_STATIC ? SX_OK : eval(r, n->left, &left);
    if (status != SX_OK)
        return status;
    if (n->kind == TQ_SERIES_MATH) {
        status = n->right->kind == TQ_STATIC ? SX_OK : eval(r, n->right, &right);
        return status == SX_OK ? tq_series_math(r->arena, n, &left, &right, out, r->err) : status;
    }
    *out = left;
    if (n->kind == TQ_SERIES_TOP)
        return tq_series_top(r->arena, n, out, r->err);
    tq_series_filter(n, out);
    return SX_OK;
}

sx_status traceql_metrics_run(tr_store *store, const traceql_query *q,
                              const traceql_metrics_options *options, sx_arena *arena,
                              traceql_metrics *out, sx_error *err)
{
    *out = (traceql_metrics){0};
    if (!traceql_is_metrics(q))
        return sx_fail(err, SX_EINVAL, "not a metrics query");
    run r = {.store = store, .options = options, .arena = arena, .err = err};
    sx_status status = plan(options, &r.empty, err);
    return status == SX_OK ? eval(&r, q->root, out) : status;
}
