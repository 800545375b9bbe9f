/* eval_info.c - info(): the labels of info metrics (target_info) join the series they describe.
 *
 * The series and the info series meet by `instance` and `job`. At each step the info series with the
 * newest sample counts. Source: Prometheus, docs/querying/functions.md, info. */
#include <string.h>

#include <sextant/mem.h>

#include "observe/promql/eval.h"

static const sx_str IDENTITY[] = {SX_STR_INIT("instance"), SX_STR_INIT("job")};

typedef struct info_plan {
    eval_run *run;
    const promql_expr *call;
    const eval_times *times;
    const tsdb_matcher *names; /* matchers on __name__ */
    size_t name_count;
    const tsdb_matcher *data; /* on other labels */
    size_t data_count;
    tsdb_matcher positive; /* put before negative ones */
} info_plan;

static bool matches_name(const info_plan *p, sx_str name)
{
    for (size_t k = 0; k < p->name_count; k++) {
        if (!tsdb_matcher_matches(&p->names[k], name))
            return false;
    }
    return true;
}

/* Splits the second argument's matchers; without a name's it is target_info. */
static bool plan_matchers(info_plan *p)
{
    const promql_expr *e = p->call;
    const promql_expr *s = e->call.arg_count > 1 ? eval_bare(e->call.args[1]) : NULL;
    uint32_t count = s ? s->selector.matcher_count : 0;
    tsdb_matcher *names = eval_zero(p->run, (size_t)count + 1, sizeof *names);
    tsdb_matcher *data = eval_zero(p->run, (size_t)count + 1, sizeof *data);
    if (!names || !data)
        return false;
    bool positive = false;
    size_t n = 1; /* place 0 is for the one that is put before */
    for (uint32_t k = 0; k < count; k++) {
        const tsdb_matcher *m = &s->selector.matchers[k];
        if (!sx_str_eq(m->name, TSDB_METRIC_NAME)) {
            data[p->data_count++] = *m;
            continue;
        }
        positive |= m->kind == TSDB_MATCH_EQUAL || m->kind == TSDB_MATCH_REGEX;
        names[n++] = *m;
    }
    p->data = data;
    p->names = names + 1;
    p->name_count = n - 1;
    if (positive)
        return true;
    bool none = n == 1;
    sx_error err = {0};
    if (tsdb_matcher_init(&p->positive, none ? TSDB_MATCH_EQUAL : TSDB_MATCH_REGEX,
                          TSDB_METRIC_NAME, none ? SX_STR("target_info") : SX_STR(".+_info"),
                          &err) != SX_OK) {
        eval_fail_with(p->run, PROMQL_ERROR_EXECUTION, &err);
        return false;
    }
    names[0] = p->positive;
    p->names = names;
    p->name_count = n;
    return true;
}

/* What time the first argument's series are of. If all are of one time, the info series are looked
 * at then; else, and where a series comes from no selector, at the time of evaluation. */
typedef struct reference {
    bool any, mixed;
    promql_at at; /* NONE: the time of evaluation less the offset */
    int64_t at_ms, offset_ms;
} reference;

enum { SUBQUERIES_MAX = 16 };

typedef struct reference_walk {
    eval_run *run;
    reference ref;
    const promql_expr *subqueries[SUBQUERIES_MAX]; /* that we are in, outermost first */
    size_t depth;
} reference_walk;

static void add_reference(reference_walk *w, const promql_expr *selector)
{
    int64_t offset = eval_duration(w->run, &selector->selector.offset, true);
    promql_at at = selector->selector.at;
    int64_t at_ms = selector->selector.at_ms;
    for (size_t k = w->depth; at == PROMQL_AT_NONE && k-- > 0;) {
        const promql_expr *q = w->subqueries[k];
        offset += eval_duration(w->run, &q->subquery.offset, true);
        at = q->subquery.at;
        at_ms = q->subquery.at_ms;
    }
    if (at == PROMQL_AT_START)
        at_ms = w->run->times.start;
    else if (at == PROMQL_AT_END)
        at_ms = w->run->end_ms;
    reference here = {.any = true, .at = at != PROMQL_AT_NONE ? PROMQL_AT_TIME : at};
    here.at_ms = here.at == PROMQL_AT_TIME ? at_ms - offset : 0; /* however it is written */
    here.offset_ms = here.at == PROMQL_AT_TIME ? 0 : offset;
    if (!w->ref.any)
        here.mixed = w->ref.mixed;
    else
        here.mixed = w->ref.mixed || here.at != w->ref.at || here.at_ms != w->ref.at_ms ||
                     here.offset_ms != w->ref.offset_ms;
    w->ref = here;
}

static void walk_references(reference_walk *w, const promql_expr *e)
{
    e = eval_bare(e);
    if (e->type == PROMQL_SCALAR || e->type == PROMQL_STRING)
        return; /* makes no series */
    switch (e->kind) {
    case PROMQL_SELECTOR:
        add_reference(w, e);
        return;
    case PROMQL_RANGE:
        add_reference(w, e->range.selector);
        return;
    case PROMQL_SUBQUERY:
        if (w->depth == SUBQUERIES_MAX) {
            w->ref.mixed = true;
            return;
        }
        w->subqueries[w->depth++] = e;
        walk_references(w, e->subquery.expr);
        w->depth--;
        return;
    case PROMQL_UNARY:
        walk_references(w, e->unary.expr);
        return;
    case PROMQL_AGGREGATE:
        walk_references(w, e->aggregate.expr);
        return;
    case PROMQL_BINARY:
        walk_references(w, e->binary.left);
        walk_references(w, e->binary.right);
        return;
    case PROMQL_CALL:
        if (e->call.function->id == PROMQL_FN_info) { /* its second argument holds matchers */
            walk_references(w, e->call.args[0]);
            return;
        }
        if (e->call.function->id == PROMQL_FN_vector || e->call.arg_count == 0)
            w->ref.mixed = true;
        for (uint32_t k = 0; k < e->call.arg_count; k++)
            walk_references(w, e->call.args[k]);
        return;
    default:
        return;
    }
}

static reference find_reference(eval_run *run, const promql_expr *call)
{
    reference_walk w = {.run = run};
    walk_references(&w, call->call.args[0]);
    return w.ref.any && !w.ref.mixed ? w.ref : (reference){0};
}

bool eval_info_invariant(eval_run *run, const promql_expr *e)
{
    return find_reference(run, e).at == PROMQL_AT_TIME;
}

/* A selector of the info series, with the time that the first argument is of. */
static promql_expr *info_selector(info_plan *p)
{
    promql_expr *s = eval_zero(p->run, 1, sizeof *s);
    tsdb_matcher *all = eval_alloc(p->run, p->name_count + p->data_count, sizeof *all);
    if (!s || !all)
        return NULL;
    memcpy(all, p->names, p->name_count * sizeof *all);
    if (p->data_count)
        memcpy(all + p->name_count, p->data, p->data_count * sizeof *all);
    reference ref = find_reference(p->run, p->call);
    s->kind = PROMQL_SELECTOR;
    s->type = PROMQL_VECTOR;
    s->pos = p->call->pos;
    s->height = 1;
    s->selector.matchers = all;
    s->selector.matcher_count = (uint32_t)(p->name_count + p->data_count);
    s->selector.at = ref.at;
    s->selector.at_ms = ref.at_ms;
    s->selector.offset.ms = ref.offset_ms;
    return s;
}

static uint64_t identity(tsdb_labels l)
{
    return tsdb_labels_hash_by(l, IDENTITY, SX_COUNT_OF(IDENTITY));
}

/* The newest info series of a name for an identity at a step. False: the query has failed. */
static bool newest(info_plan *p, const eval_stored *times, const uint32_t *list, size_t count,
                   sx_str name, size_t step, size_t *out)
{
    *out = SIZE_MAX;
    for (size_t k = 0; k < count; k++) {
        size_t at = list[k];
        if (!times->v[at] || eval_is_absent(times->v[at][step]) ||
            !sx_str_eq(tsdb_labels_get(times->node.labels[at], TSDB_METRIC_NAME), name))
            continue;
        if (*out == SIZE_MAX || times->v[at][step] > times->v[*out][step]) {
            *out = at;
        } else if (times->v[at][step] == times->v[*out][step]) {
            sx_buf a, b;
            long long t = (long long)(times->v[at][step] * 1000);
            sx_buf_init(&a, 4096);
            sx_buf_init(&b, 4096);
            tsdb_labels_print(times->node.labels[*out], &a, NULL);
            tsdb_labels_print(times->node.labels[at], &b, NULL);
            eval_fail(p->run, PROMQL_ERROR_EXECUTION,
                      "found duplicate series for info metric: existing %.*s @ %lld, new %.*s @ "
                      "%lld",
                      SX_ARG(sx_buf_view(&a)), t, SX_ARG(sx_buf_view(&b)), t);
            sx_buf_done(&a);
            sx_buf_done(&b);
            return false;
        }
    }
    return true;
}

static bool wanted_label(const info_plan *p, sx_str name)
{
    for (size_t k = 0; k < p->data_count; k++) {
        if (sx_str_eq(p->data[k].name, name))
            return true;
    }
    return p->data_count == 0;
}

static bool all_match_empty(const info_plan *p)
{
    for (size_t k = 0; k < p->data_count; k++) {
        if (!tsdb_matcher_matches(&p->data[k], SX_STR("")))
            return false;
    }
    return true;
}

/* Adds an info series' labels to those of a series. False: two info series disagree. */
static bool join_labels(info_plan *p, tsdb_labels base, tsdb_labels info, tsdb_labels *to)
{
    for (uint32_t k = 0; k < info.count; k++) {
        const tsdb_label *l = &info.items[k];
        if (sx_str_eq(l->name, TSDB_METRIC_NAME) || !wanted_label(p, l->name) ||
            tsdb_labels_get(base, l->name).len > 0)
            continue;
        sx_str before = tsdb_labels_get(*to, l->name);
        if (before.len > 0 && !sx_str_eq(before, l->value)) {
            eval_fail(p->run, PROMQL_ERROR_EXECUTION, "conflicting label: %.*s", SX_ARG(l->name));
            return false;
        }
        *to = eval_labels_with(p->run, *to, l->name, l->value);
    }
    return !eval_failed(p->run);
}

typedef struct info_result {
    info_plan *p;
    const eval_stored *base, *info;
    const sx_str *names; /* of the info metrics there are */
    size_t name_count;
    sx_map64 by_labels;
    eval_stored *out;
    size_t cap;
} info_result;

static bool out_row(info_result *r, tsdb_labels l, size_t series, size_t *row)
{
    eval_run *run = r->p->run;
    bool added;
    sx_map64_entry *e = sx_map64_put(&r->by_labels, tsdb_labels_hash(l), &added);
    if (!e)
        return eval_no_memory(run) != NULL;
    if (!added) {
        *row = e->u64;
        return true;
    }
    size_t used = r->out ? r->out->node.count : 0;
    if (used == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        eval_stored *s = eval_stored_new(run, r->p->call, r->p->times, cap);
        uint8_t *drop = s ? eval_zero(run, cap, 1) : NULL;
        if (!drop)
            return false;
        if (used > 0) {
            memcpy((tsdb_labels *)s->node.labels, r->out->node.labels, used * sizeof l);
            memcpy(drop, r->out->node.drop, used);
            memcpy(s->v, r->out->v, used * sizeof *s->v);
            memcpy(s->h, r->out->h, used * sizeof *s->h);
        }
        s->node.drop = drop;
        s->node.count = used;
        r->out = s;
        r->cap = cap;
    }
    e->u64 = *row = r->out->node.count++;
    ((tsdb_labels *)r->out->node.labels)[*row] = l;
    ((uint8_t *)r->out->node.drop)[*row] = r->base->node.drop ? r->base->node.drop[series] : 0;
    return true;
}

static bool put(info_result *r, size_t series, size_t step, tsdb_labels l)
{
    eval_run *run = r->p->run;
    size_t row = 0, steps = r->p->times->steps;
    if (!out_row(r, l, series, &row))
        return false;
    eval_stored *s = r->out;
    if (eval_has(s, row, step)) {
        eval_fail(run, PROMQL_ERROR_EXECUTION,
                  "vector cannot contain metrics with the same labelset");
        return false;
    }
    const tsdb_histogram *h = eval_h(r->base, series, step);
    if (h) {
        if (!s->h[row] && !(s->h[row] = eval_zero(run, steps, sizeof **s->h)))
            return false;
        s->h[row][step] = h;
        return true;
    }
    if (!s->v[row] && !(s->v[row] = eval_absent_row(run, steps)))
        return false;
    s->v[row][step] = r->base->v[series][step];
    return true;
}

static bool enrich(info_result *r, size_t series, const uint32_t *list, size_t count)
{
    info_plan *p = r->p;
    tsdb_labels base = r->base->node.labels[series];
    bool is_info = matches_name(p, tsdb_labels_get(base, TSDB_METRIC_NAME));
    tsdb_labels last = base;
    size_t before[8] = {0};
    bool have_before = false;
    for (size_t step = 0; step < p->times->steps; step++) {
        if (!eval_has(r->base, series, step))
            continue;
        tsdb_labels l = base, added = {0};
        size_t found = 0, chosen[8] = {0};
        for (size_t k = 0; !is_info && k < r->name_count; k++) {
            size_t at;
            if (!newest(p, r->info, list, count, r->names[k], step, &at))
                return false;
            if (k < 8)
                chosen[k] = at;
            found += at != SIZE_MAX;
        }
        if (!is_info && found == 0 && !all_match_empty(p))
            continue;
        if (have_before && r->name_count <= 8 && memcmp(chosen, before, sizeof chosen) == 0) {
            l = last; /* the same info series as at the step before */
        } else if (found > 0) {
            for (size_t k = 0; k < r->name_count; k++) {
                size_t at;
                if (!newest(p, r->info, list, count, r->names[k], step, &at))
                    return false;
                if (at != SIZE_MAX && !join_labels(p, base, r->info->node.labels[at], &added))
                    return false;
            }
            for (uint32_t k = 0; k < added.count; k++)
                l = eval_labels_with(p->run, l, added.items[k].name, added.items[k].value);
        }
        memcpy(before, chosen, sizeof before);
        have_before = true;
        last = l;
        if (eval_failed(p->run) || !put(r, series, step, l))
            return false;
    }
    return true;
}

/* The names of the info metrics, without repeats. */
static bool list_names(info_result *r)
{
    sx_str *names = eval_alloc(r->p->run, r->info->node.count, sizeof *names);
    for (size_t i = 0; names && i < r->info->node.count; i++) {
        sx_str name = tsdb_labels_get(r->info->node.labels[i], TSDB_METRIC_NAME);
        size_t k = 0;
        while (k < r->name_count && !sx_str_eq(names[k], name))
            k++;
        if (k == r->name_count)
            names[r->name_count++] = name;
    }
    r->names = names;
    return names != NULL;
}

static bool enrich_all(info_result *r)
{
    eval_run *run = r->p->run;
    size_t infos = r->info->node.count;
    uint64_t *ids = eval_alloc(run, infos, sizeof *ids);
    uint32_t *list = eval_alloc(run, infos, sizeof *list);
    if (!ids || !list || !list_names(r))
        return false;
    for (size_t i = 0; i < infos; i++)
        ids[i] = identity(r->info->node.labels[i]);
    for (size_t s = 0; s < r->base->node.count; s++) {
        uint64_t id = identity(r->base->node.labels[s]);
        size_t count = 0;
        bool known = tsdb_labels_get(r->base->node.labels[s], IDENTITY[0]).len > 0 ||
                     tsdb_labels_get(r->base->node.labels[s], IDENTITY[1]).len > 0;
        for (size_t i = 0; known && i < infos; i++) {
            if (ids[i] == id)
                list[count++] = (uint32_t)i;
        }
        if (!enrich(r, s, list, count) || !eval_go_on(run))
            return false;
    }
    return true;
}

static void find_histogram(void *ctx, eval_worker *w, unsigned part, size_t i, unsigned have,
                           const double *v, const tsdb_histogram *const *h)
{
    const eval_node *n = ctx;
    (void)part;
    (void)v;
    for (size_t k = 0; (have & EVAL_HISTOGRAMS) && k < n->times->steps; k++) {
        if (!h[k])
            continue;
        sx_buf text;
        sx_buf_init(&text, 4096);
        tsdb_labels_print(n->labels[i], &text, NULL);
        eval_fail(w->run, PROMQL_ERROR_EXECUTION,
                  "this should be an info metric, with float samples: %.*s",
                  SX_ARG(sx_buf_view(&text)));
        sx_buf_done(&text);
        return;
    }
}

/* Info metrics have a value of 1: a histogram among them is a mistake in the matchers. */
static bool floats_alone(eval_run *run, const promql_expr *selector, const eval_times *times)
{
    eval_node *n = eval_selector(run, selector, times, EVAL_VALUES);
    return n && eval_each(run, n, 1, find_histogram, n);
}

eval_node *eval_info_call(eval_run *run, const promql_expr *e, const eval_times *times)
{
    info_plan p = {.run = run, .call = e, .times = times};
    info_result r = {.p = &p};
    eval_node *from = eval_build(run, e->call.args[0], times);
    eval_stored *base = from ? eval_store(run, from) : NULL;
    if (!base)
        return NULL;
    eval_stored *info = NULL;
    bool ok = plan_matchers(&p);
    if (ok) {
        promql_expr *selector = info_selector(&p);
        eval_node *times_of =
            selector ? eval_selector(run, selector, times, EVAL_TIMESTAMPS) : NULL;
        info = times_of ? eval_store(run, times_of) : NULL;
        ok = info && floats_alone(run, selector, times);
    }
    r.base = base;
    r.info = info;
    if (info) {
        sx_map64_init(&r.by_labels, NULL);
        ok = enrich_all(&r);
        sx_map64_done(&r.by_labels);
    }
    tsdb_matcher_done(&p.positive);
    if (!info || !ok || eval_failed(run))
        return NULL;
    if (!r.out)
        r.out = eval_stored_new(run, e, times, 0);
    if (r.out)
        r.out->node.distinct = true;
    return r.out ? &r.out->node : NULL;
}
