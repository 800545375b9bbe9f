/* compare.c - compare({...}): what the spans of a selection have that the others do not. For each
 * attribute the most frequent values are counted over time, of the selection and of the baseline. */
#include <math.h>
#include <stdlib.h>

#include <sextant/hash.h>

#include "observe/traceql/metrics.h"

enum { SLOTS = 8192, VALUES_MAX = 100000, TOP = 10 };

typedef struct seen {
    struct seen *next;
    uint64_t hash;
    tq_source source;
    sx_str key;
    tq_value value;
    double *counts[2]; /* baseline, selection: one a step */
    double total[2];
} seen;

typedef struct comparer {
    const tq_node *node;
    traceql_metrics *out;
    sx_arena *arena, scratch;
    seen *slots[SLOTS], **list;
    size_t count, cap;
    sx_status status;
    sx_error *err;
} comparer;

static seen *find(comparer *c, tq_source source, sx_str key, const tq_value *v)
{
    uint64_t hash = sx_hash_bytes(key.data, key.len, (uint64_t)source * 31 + v->type);
    hash = v->type == TQ_STR ? sx_hash_bytes(v->s.data, v->s.len, hash)
                             : sx_hash_bytes(&v->i, 8, hash);
    for (seen *s = c->slots[hash % SLOTS]; s; s = s->next)
        if (s->hash == hash && s->source == source && s->value.type == v->type &&
            sx_str_eq(s->key, key) && !tq_compare(&s->value, v))
            return s;
    if (c->count >= VALUES_MAX) {
        c->out->partial = true;
        return NULL;
    }
    seen *s = sx_arena_calloc(c->arena, 1, sizeof *s);
    double *counts = sx_arena_calloc(c->arena, 2 * (size_t)c->out->steps, sizeof(double));
    sx_str name = sx_arena_copy(c->arena, key);
    sx_str text = v->type == TQ_STR ? sx_arena_copy(c->arena, v->s) : SX_STR("");
    if (!s || !counts || !name.data || !text.data ||
        !sx_arena_grow(c->arena, &c->list, &c->cap, c->count + 1, sizeof *c->list)) {
        c->status = sx_fail_memory(c->err, "values to compare");
        return NULL;
    }
    *s = (seen){.next = c->slots[hash % SLOTS], .hash = hash, .source = source, .value = *v};
    s->counts[0] = counts;
    s->counts[1] = counts + c->out->steps;
    s->key = name;
    if (v->type == TQ_STR)
        s->value.s = text;
    c->slots[hash % SLOTS] = s;
    c->list[c->count++] = s;
    return s;
}

static void count_value(comparer *c, tq_source source, sx_str key, const tq_value *v, bool chosen,
                        uint32_t step)
{
    seen *s = v->type == TQ_ANY || v->type == TQ_NIL ? NULL : find(c, source, key, v);
    if (!s)
        return;
    s->counts[chosen][step]++;
    s->total[chosen]++;
}

static void count_attrs(comparer *c, tq_source source, span_attrs attrs, const tq_trace *t,
                        uint32_t i, bool chosen, uint32_t step)
{
    for (uint32_t k = 0; k < attrs.count && c->status == SX_OK; k++) {
        char hex[33];
        tq_field f = {.source = source, .key = span_attr_key(&attrs.items[k])};
        tq_value v = tq_first(t, i, &f, hex);
        count_value(c, source, f.key, &v, chosen, step);
    }
}

static void count_span(comparer *c, const tq_trace *t, uint32_t i)
{
    static const tq_source FIELDS[] = {TQ_SPAN_NAME,           TQ_SPAN_KIND,  TQ_SPAN_STATUS,
                                       TQ_SPAN_STATUS_MESSAGE, TQ_SCOPE_NAME, TQ_SCOPE_VERSION};
    const span *s = t->spans[i];
    const traceql_metrics *m = c->out;
    if (s->start_ns <= m->start_ns || s->start_ns > m->start_ns + m->steps * m->step_ns)
        return;
    uint32_t step = (uint32_t)((s->start_ns - m->start_ns - 1) / m->step_ns);
    sx_arena_reset(&c->scratch);
    bool chosen = tq_holds(&c->scratch, c->node->right->left, t, i);
    if (chosen && c->node->number_count == 3)
        chosen =
            (double)s->start_ns >= c->node->numbers[1] && (double)s->start_ns < c->node->numbers[2];
    c->out->spans++;
    for (size_t k = 0; k < sizeof FIELDS / sizeof FIELDS[0] && c->status == SX_OK; k++) {
        char hex[33];
        tq_field f = {.source = FIELDS[k]};
        tq_value v = tq_first(t, i, &f, hex);
        if (v.type != TQ_STR || v.s.len)
            count_value(c, FIELDS[k], SX_STR(""), &v, chosen, step);
    }
    count_attrs(c, TQ_ATTR_SPAN, s->attrs, t, i, chosen, step);
    count_attrs(c, TQ_ATTR_RESOURCE, s->resource->attrs, t, i, chosen, step);
}

static bool take_spans(void *ctx, const span_batch *b)
{
    comparer *c = ctx;
    tq_trace t = {.spans = b->spans, .count = (uint32_t)b->count};
    const tq_node *p = c->node->left;
    for (uint32_t i = 0; i < t.count && c->status == SX_OK; i++) {
        sx_arena_reset(&c->scratch);
        if (p->exact || tq_holds(&c->scratch, p->items[0]->left, &t, i))
            count_span(c, &t, i);
    }
    return c->status == SX_OK;
}

/* --- The series. */

static int by_field(const seen *x, const seen *y)
{
    int order = (x->source > y->source) - (x->source < y->source);
    return order ? order : sx_str_cmp(x->key, y->key);
}

static int compare_seen(const seen *x, const seen *y, int side)
{
    int order = by_field(x, y);
    if (!order && x->total[side] != y->total[side])
        order = x->total[side] < y->total[side] ? 1 : -1;
    return order ? order : tq_compare(&x->value, &y->value);
}

static int baseline_order(const void *a, const void *b)
{
    return compare_seen(*(seen *const *)a, *(seen *const *)b, 0);
}

static int selection_order(const void *a, const void *b)
{
    return compare_seen(*(seen *const *)a, *(seen *const *)b, 1);
}

static bool add_series(comparer *c, const char *type, const seen *s, const tq_value *value,
                       double *values, size_t *cap)
{
    traceql_metrics *m = c->out;
    sx_buf name;
    tq_field f = {.source = s->source, .key = s->key};
    tq_note *labels = sx_arena_alloc(c->arena, 2 * sizeof *labels);
    sx_buf_init(&name, 0);
    tq_print_field(&f, &name);
    sx_str text = sx_arena_copy(c->arena, sx_buf_view(&name));
    sx_buf_done(&name);
    if (!labels || !text.data ||
        !sx_arena_grow(c->arena, &m->series, cap, m->count + 1, sizeof *m->series))
        return false;
    labels[0] = (tq_note){SX_STR("__meta_type"), {.type = TQ_STR, .s = sx_str_z(type)}};
    labels[1] = (tq_note){text, *value};
    m->series[m->count++] = (traceql_series){labels, 2, values};
    return true;
}

/* Of one side: the first values of each field, and the sum of all. */
static bool add_side(comparer *c, int side, size_t top, size_t *cap)
{
    static const tq_value NIL = {.type = TQ_STR, .s = {"nil", 3}};
    uint32_t steps = c->out->steps;
    if (c->count)
        qsort(c->list, c->count, sizeof *c->list, side ? selection_order : baseline_order);
    for (size_t i = 0, end; i < c->count; i = end) {
        double *sum = sx_arena_calloc(c->arena, steps, sizeof(double)), all = 0;
        if (!sum)
            return false;
        for (end = i; end < c->count && !by_field(c->list[i], c->list[end]); end++) {
            const seen *s = c->list[end];
            for (uint32_t k = 0; k < steps; k++)
                sum[k] += s->counts[side][k];
            all += s->total[side];
            if (end - i < top && s->total[side] > 0 &&
                !add_series(c, side ? "selection" : "baseline", s, &s->value, s->counts[side], cap))
                return false;
        }
        if (all > 0 &&
            !add_series(c, side ? "selection_total" : "baseline_total", c->list[i], &NIL, sum, cap))
            return false;
    }
    return true;
}

sx_status tq_compare_series(tr_store *store, const tq_node *n,
                            const traceql_metrics_options *options, sx_arena *arena,
                            traceql_metrics *out, sx_error *err)
{
    const tq_node *p = n->left;
    if (p->count != 1 || p->items[0]->kind != TQ_FILTER)
        return sx_fail(err, SX_EUNSUPPORTED,
                       "compare() after anything but one filter not yet supported");
    comparer *c = sx_arena_calloc(arena, 1, sizeof *c);
    if (!c || !sx_arena_grow(arena, &c->list, &c->cap, 64, sizeof *c->list))
        return sx_fail_memory(err, "values to compare");
    c->node = n;
    c->out = out;
    c->arena = arena;
    c->err = err;
    sx_arena_init(&c->scratch, 4096, 64 << 20);
    tr_search question = {.filter = p->pushed,
                          .min_ns = out->start_ns,
                          .max_ns = out->start_ns + out->steps * out->step_ns,
                          .limits = options->limits};
    bool partial = false;
    sx_status status = tr_store_scan(store, &question, TR_WANT_ALL, take_spans, c, &partial, err);
    sx_arena_done(&c->scratch);
    if (c->status != SX_OK)
        status = c->status;
    out->partial |= partial;
    size_t cap = 0, top = n->number_count ? (size_t)n->numbers[0] : TOP;
    if (status == SX_OK && (!add_side(c, 0, top, &cap) || !add_side(c, 1, top, &cap)))
        status = sx_fail_memory(err, "values to compare");
    return status;
}
