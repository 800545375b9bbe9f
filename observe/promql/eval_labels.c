/* eval_labels.c - what happens to label sets: dropped names, grouping, label_replace, label_join,
 * sort, absent. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/number.h>
#include <sextant/regex.h>
#include <sextant/utf8.h>

#include "observe/promql/eval.h"

/* --- Label sets, made in the run's arena by the asking thread. */

bool eval_is_meta(sx_str name)
{
    return name.len == 8 &&
           (sx_str_eq(name, TSDB_METRIC_NAME) || sx_str_eq(name, SX_STR("__type__")) ||
            sx_str_eq(name, SX_STR("__unit__")));
}

static bool is_reserved(sx_str name)
{
    return name.len >= 2 && name.data[0] == '_' && name.data[1] == '_';
}

tsdb_labels eval_without_meta(eval_run *run, tsdb_labels l)
{
    /* The usual set begins with the name and has no other reserved label: it is cut, not copied. */
    if (l.count > 0 && sx_str_eq(l.items[0].name, TSDB_METRIC_NAME) &&
        (l.count == 1 || !is_reserved(l.items[1].name)))
        return (tsdb_labels){l.items + 1, l.count - 1};
    uint32_t meta = 0;
    for (uint32_t i = 0; i < l.count; i++)
        meta += eval_is_meta(l.items[i].name);
    if (meta == 0)
        return l;
    tsdb_label *to = eval_alloc(run, l.count - meta, sizeof *to);
    uint32_t n = 0;
    for (uint32_t i = 0; to && i < l.count; i++) {
        if (!eval_is_meta(l.items[i].name))
            to[n++] = l.items[i];
    }
    return (tsdb_labels){to, to ? n : 0};
}

bool eval_drop_names(eval_run *run, eval_node *n, const eval_node *from)
{
    n->count = from->count;
    n->one_name = true;
    if (run->delayed_names) {
        uint8_t *drop = eval_alloc(run, n->count, 1);
        if (!drop)
            return false;
        memset(drop, 1, n->count);
        n->labels = from->labels;
        n->drop = drop;
        n->distinct = from->distinct;
        n->one_name = from->one_name;
        return true;
    }
    tsdb_labels *to = eval_alloc(run, n->count, sizeof *to);
    for (size_t i = 0; to && i < n->count; i++)
        to[i] = eval_without_meta(run, from->labels[i]);
    n->labels = to;
    n->distinct = from->distinct && from->one_name;
    return to && !eval_failed(run);
}

static int by_name(const void *a, const void *b)
{
    return sx_str_cmp(*(const sx_str *)a, *(const sx_str *)b);
}

sx_str *eval_sorted(eval_run *run, const sx_str *names, size_t count)
{
    sx_str *to = eval_alloc(run, count, sizeof *to);
    if (!to || count == 0)
        return to;
    memcpy(to, names, count * sizeof *to);
    qsort(to, count, sizeof *to, by_name);
    return to;
}

static bool is_among(sx_str name, const sx_str *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (sx_str_eq(name, names[i]))
            return true;
    }
    return false;
}

static tsdb_labels pick_labels(eval_run *run, tsdb_labels l, const sx_str *names, size_t count,
                               bool keep)
{
    tsdb_label *to = eval_alloc(run, l.count, sizeof *to);
    uint32_t n = 0;
    for (uint32_t i = 0; to && i < l.count; i++) {
        if (is_among(l.items[i].name, names, count) == keep)
            to[n++] = l.items[i];
    }
    return (tsdb_labels){to, n};
}

tsdb_labels eval_labels_by(eval_run *run, tsdb_labels l, const sx_str *names, size_t count)
{
    return pick_labels(run, l, names, count, true);
}

tsdb_labels eval_labels_without(eval_run *run, tsdb_labels l, const sx_str *names, size_t count)
{
    return pick_labels(run, l, names, count, false);
}

tsdb_labels eval_labels_with(eval_run *run, tsdb_labels l, sx_str name, sx_str value)
{
    tsdb_label *to = eval_alloc(run, (size_t)l.count + 1, sizeof *to);
    uint32_t n = 0;
    bool done = value.len == 0; /* no value, no label */
    for (uint32_t i = 0; to && i < l.count; i++) {
        int order = sx_str_cmp(l.items[i].name, name);
        if (order >= 0 && !done) {
            to[n++] = (tsdb_label){name, value};
            done = true;
        }
        if (order != 0)
            to[n++] = l.items[i];
    }
    if (to && !done)
        to[n++] = (tsdb_label){name, value};
    return (tsdb_labels){to, n};
}

/* --- label_replace and label_join: other labels, the same columns. */

typedef struct relabelled_node {
    eval_node node;
    eval_node *from;
} relabelled_node;

static unsigned relabelled_fill(const eval_node *n, eval_worker *w, size_t i, double *v,
                                const tsdb_histogram **h)
{
    const relabelled_node *r = (const relabelled_node *)(const void *)n;
    return r->from->fill(r->from, w, i, v, h);
}

static sx_str string_of(const promql_expr *e)
{
    return eval_bare(e)->string;
}

static bool is_label_name(sx_str name)
{
    return name.len > 0 && sx_utf8_valid(name);
}

static relabelled_node *relabelled_new(eval_run *run, const promql_expr *e, const eval_times *times)
{
    eval_node *from = eval_build(run, e->call.args[0], times);
    relabelled_node *r = from ? eval_node_new(run, sizeof *r, e, times) : NULL;
    if (!r)
        return NULL;
    r->from = from;
    r->node.count = from->count;
    r->node.fill = relabelled_fill;
    r->node.labels = eval_alloc(run, from->count, sizeof *r->node.labels);
    if (!r->node.labels)
        return NULL;
    if (from->drop) {
        uint8_t *drop = eval_alloc(run, from->count, 1);
        if (!drop)
            return NULL;
        memcpy(drop, from->drop, from->count);
        r->node.drop = drop;
    }
    return r;
}

/* Sets the label; a new metric name stays though names are to be dropped. */
static bool set_label(eval_run *run, relabelled_node *r, size_t i, sx_str name, const sx_buf *value)
{
    sx_str copy = sx_arena_copy(&run->arena, sx_buf_view(value));
    if (value->failed || !copy.data)
        return eval_no_memory(run) != NULL;
    ((tsdb_labels *)r->node.labels)[i] = eval_labels_with(run, r->from->labels[i], name, copy);
    if (r->node.drop && sx_str_eq(name, TSDB_METRIC_NAME))
        ((uint8_t *)r->node.drop)[i] = 0;
    return !eval_failed(run);
}

static bool replace_all(eval_run *run, relabelled_node *r, const promql_expr *e, sx_regex *regex)
{
    sx_str name = string_of(e->call.args[1]), text = string_of(e->call.args[2]);
    sx_str source = string_of(e->call.args[3]), groups[SX_REGEX_GROUPS_MAX];
    sx_buf value;
    bool ok = true;
    sx_buf_init(&value, 0);
    for (size_t i = 0; ok && i < r->node.count; i++) {
        sx_str subject = tsdb_labels_get(r->from->labels[i], source);
        if (!subject.data)
            subject = SX_STR("");
        memset(groups, 0, sizeof groups);
        if (sx_regex_capture(regex, subject, SX_REGEX_WHOLE, groups, SX_COUNT_OF(groups))) {
            sx_buf_clear(&value);
            sx_regex_expand(regex, text, groups, SX_COUNT_OF(groups), &value);
            ok = set_label(run, r, i, name, &value);
        } else {
            ((tsdb_labels *)r->node.labels)[i] = r->from->labels[i];
        }
    }
    sx_buf_done(&value);
    return ok;
}

static eval_node *label_replace(eval_run *run, const promql_expr *e, const eval_times *times)
{
    sx_str name = string_of(e->call.args[1]), pattern = string_of(e->call.args[4]);
    sx_regex_options options = {.flags = SX_REGEX_CAPTURES};
    sx_regex *regex = NULL;
    if (sx_regex_new(&regex, pattern, &options, NULL) != SX_OK)
        return eval_fail(run, PROMQL_ERROR_EXECUTION,
                         "invalid regular expression in label_replace(): %.*s", SX_ARG(pattern));
    relabelled_node *r = NULL;
    bool ok = false;
    if (!is_label_name(name)) {
        eval_fail(run, PROMQL_ERROR_EXECUTION,
                  "invalid destination label name in label_replace(): %.*s", SX_ARG(name));
    } else {
        r = relabelled_new(run, e, times);
        ok = r && replace_all(run, r, e, regex);
    }
    sx_regex_free(regex);
    return ok ? eval_unique(run, &r->node, false) : NULL;
}

static eval_node *label_join(eval_run *run, const promql_expr *e, const eval_times *times)
{
    sx_str name = string_of(e->call.args[1]), separator = string_of(e->call.args[2]);
    for (uint32_t k = 3; k < e->call.arg_count; k++) {
        sx_str source = string_of(e->call.args[k]);
        if (!is_label_name(source))
            return eval_fail(run, PROMQL_ERROR_EXECUTION,
                             "invalid source label name in label_join(): %.*s", SX_ARG(source));
    }
    if (!is_label_name(name))
        return eval_fail(run, PROMQL_ERROR_EXECUTION,
                         "invalid destination label name in label_join(): %.*s", SX_ARG(name));
    relabelled_node *r = relabelled_new(run, e, times);
    sx_buf value;
    bool ok = r != NULL;
    sx_buf_init(&value, 0);
    for (size_t i = 0; ok && i < r->node.count; i++) {
        sx_buf_clear(&value);
        for (uint32_t k = 3; k < e->call.arg_count; k++) {
            if (k > 3)
                sx_buf_str(&value, separator);
            sx_buf_str(&value, tsdb_labels_get(r->from->labels[i], string_of(e->call.args[k])));
        }
        ok = set_label(run, r, i, name, &value);
    }
    sx_buf_done(&value);
    return ok ? eval_unique(run, &r->node, false) : NULL;
}

eval_node *eval_label_call(eval_run *run, const promql_expr *e, const eval_times *times)
{
    if (e->call.function->id == PROMQL_FN_label_replace)
        return label_replace(run, e, times);
    return label_join(run, e, times);
}

/* --- Sorting: of instant queries only; a range's series are always in the order of labels. */

/* As people sort: runs of digits by their number, all else by bytes. */
static int natural_order(sx_str a, sx_str b)
{
    size_t i = 0, k = 0;
    while (i < a.len && k < b.len) {
        bool x = a.data[i] >= '0' && a.data[i] <= '9', y = b.data[k] >= '0' && b.data[k] <= '9';
        if (!x || !y) {
            if (a.data[i] != b.data[k])
                return (unsigned char)a.data[i] < (unsigned char)b.data[k] ? -1 : 1;
            i++;
            k++;
            continue;
        }
        while (i < a.len && a.data[i] == '0')
            i++;
        while (k < b.len && b.data[k] == '0')
            k++;
        size_t from = i, other = k;
        while (i < a.len && a.data[i] >= '0' && a.data[i] <= '9')
            i++;
        while (k < b.len && b.data[k] >= '0' && b.data[k] <= '9')
            k++;
        if (i - from != k - other)
            return i - from < k - other ? -1 : 1;
        int order = i > from ? memcmp(a.data + from, b.data + other, i - from) : 0;
        if (order != 0)
            return order;
    }
    if (a.len - i != b.len - k)
        return i == a.len ? -1 : 1;
    return sx_str_cmp(a, b);
}

typedef struct sort_key {
    const promql_expr *call;
    double v;
    tsdb_labels labels;
    size_t at;
    bool down;
} sort_key;

static int by_value(const void *x, const void *y)
{
    const sort_key *a = x, *b = y;
    bool an = isnan(a->v), bn = isnan(b->v);
    if (an != bn)
        return an ? 1 : -1; /* NaN last, whichever way it goes */
    if (!an && a->v != b->v)
        return (a->v < b->v) == !a->down ? -1 : 1;
    return a->at < b->at ? -1 : 1;
}

static int by_labels(const void *x, const void *y)
{
    const sort_key *a = x, *b = y;
    for (uint32_t k = 1; k < a->call->call.arg_count; k++) {
        sx_str name = string_of(a->call->call.args[k]);
        int order =
            natural_order(tsdb_labels_get(a->labels, name), tsdb_labels_get(b->labels, name));
        if (order != 0)
            return a->down ? -order : order;
    }
    int order = tsdb_labels_compare(a->labels, b->labels);
    return a->down ? -order : order;
}

eval_node *eval_sort_call(eval_run *run, const promql_expr *e, const eval_times *times)
{
    promql_function_id id = e->call.function->id;
    bool values = id == PROMQL_FN_sort || id == PROMQL_FN_sort_desc;
    bool down = id == PROMQL_FN_sort_desc || id == PROMQL_FN_sort_by_label_desc;
    /* What is evaluated once for all steps of a range is sorted like an instant query. */
    bool whole = times->start == run->times.start && times->steps == run->times.steps;
    if (whole ? run->times.start != run->end_ms : times->steps > 1)
        eval_note_add(eval_main(run), NULL, e, EVAL_NOTE_SORT, (sx_str){0}, (sx_str){0});
    eval_node *from = eval_build(run, e->call.args[0], times);
    eval_stored *held = from ? eval_store(run, from) : NULL;
    eval_stored *s = held ? eval_stored_new(run, e, times, held->node.count) : NULL;
    sort_key *keys = s ? eval_alloc(run, held->node.count, sizeof *keys) : NULL;
    uint8_t *drop = NULL;
    if (!keys || (held->node.drop && !(drop = eval_zero(run, held->node.count, 1))))
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < held->node.count; i++) {
        if (values && !held->v[i])
            continue; /* histograms have no order */
        keys[n++] = (sort_key){e, held->v[i] ? held->v[i][0] : 0, held->node.labels[i], i, down};
    }
    if (times->steps == 1)
        qsort(keys, n, sizeof *keys, values ? by_value : by_labels);
    for (size_t i = 0; i < n; i++) {
        s->v[i] = held->v[keys[i].at];
        s->h[i] = values ? NULL : held->h[keys[i].at];
        ((tsdb_labels *)s->node.labels)[i] = keys[i].labels;
        if (drop)
            drop[i] = held->node.drop[keys[i].at];
    }
    s->node.count = n;
    s->node.drop = drop;
    s->node.one_name = held->node.one_name;
    s->node.distinct = held->node.distinct;
    return &s->node;
}

/* --- absent and absent_over_time. */

/* Whether another matcher leaves a label uncertain that is said to be equal. As Prometheus judges it,
 * who goes through the matchers with those last that only take away: one that came before does not
 * count. */
static bool unsettles(const tsdb_matcher *m, bool after)
{
    bool negative = m->kind == TSDB_MATCH_NOT_EQUAL || m->kind == TSDB_MATCH_NOT_REGEX;
    return after || m->kind == TSDB_MATCH_EQUAL ||
           (negative && tsdb_matcher_matches(m, (sx_str){0}));
}

tsdb_labels eval_absent_labels(eval_run *run, const promql_expr *arg)
{
    tsdb_labels l = {0};
    arg = eval_bare(arg);
    if (arg->kind == PROMQL_RANGE)
        arg = arg->range.selector;
    if (arg->kind != PROMQL_SELECTOR)
        return l;
    uint32_t count = arg->selector.matcher_count;
    const tsdb_matcher *m = arg->selector.matchers;
    for (uint32_t i = 0; i < count; i++) {
        bool only = m[i].kind == TSDB_MATCH_EQUAL;
        for (uint32_t k = 0; k < count; k++)
            only &= k == i || !unsettles(&m[k], k > i) || !sx_str_eq(m[k].name, m[i].name);
        if (only && !sx_str_eq(m[i].name, TSDB_METRIC_NAME))
            l = eval_labels_with(run, l, m[i].name, m[i].value);
    }
    return l;
}

typedef struct presence {
    _Atomic uint8_t *seen;
    size_t steps;
} presence;

static void mark_present(void *ctx, eval_worker *w, unsigned part, size_t i, unsigned have,
                         const double *v, const tsdb_histogram *const *h)
{
    (void)w;
    (void)part;
    (void)i;
    presence *p = ctx;
    for (size_t k = 0; k < p->steps; k++) {
        if (((have & EVAL_FLOATS) && !eval_is_absent(v[k])) || ((have & EVAL_HISTOGRAMS) && h[k]))
            atomic_store_explicit(&p->seen[k], 1, memory_order_relaxed);
    }
}

eval_node *eval_absent_call(eval_run *run, const promql_expr *e, const eval_times *times)
{
    bool over_time = e->call.function->id == PROMQL_FN_absent_over_time;
    eval_node *from =
        over_time ? eval_range_call(run, e, times) : eval_build(run, e->call.args[0], times);
    presence p = {.steps = times->steps};
    eval_stored *s = from ? eval_stored_new(run, e, times, 1) : NULL;
    p.seen = s ? eval_zero(run, times->steps + 1, 1) : NULL;
    if (!p.seen || !eval_each(run, from, 1, mark_present, &p))
        return NULL;
    double *v = eval_alloc(run, times->steps, sizeof *v);
    if (!v)
        return NULL;
    bool any = false;
    for (size_t k = 0; k < times->steps; k++) {
        v[k] = p.seen[k] ? eval_absent() : 1;
        any |= !p.seen[k];
    }
    s->v[0] = any ? v : NULL;
    s->node.count = any;
    s->node.distinct = true;
    ((tsdb_labels *)s->node.labels)[0] = eval_absent_labels(run, e->call.args[0]);
    return &s->node;
}
