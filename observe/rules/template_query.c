/* template_query.c - what templates are given: labels, the results of `query`, histograms. */
#include <stdlib.h>

#include "observe/rules/template_internal.h"

/* --- Labels: map[string]string. */

static int64_t labels_count(const void *object)
{
    return ((const tsdb_labels *)object)->count;
}

static sx_status labels_at(const void *object, int64_t i, sx_arena *arena, sx_tvalue *key,
                           sx_tvalue *value, sx_error *err)
{
    const tsdb_label *l = &((const tsdb_labels *)object)->items[i];
    (void)arena, (void)err;
    *key = (sx_tvalue){.kind = SX_TVALUE_STRING, .string = l->name};
    *value = (sx_tvalue){.kind = SX_TVALUE_STRING, .string = l->value};
    return SX_OK;
}

static sx_status labels_get(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                            sx_error *err)
{
    (void)arena, (void)err;
    *out = (sx_tvalue){.kind = SX_TVALUE_STRING,
                       .string = tsdb_labels_get(*(const tsdb_labels *)object, name)};
    return SX_OK;
}

static const sx_tobject_ops LABELS = {
    .type = "map[string]string", .count = labels_count, .at = labels_at, .get = labels_get};

sx_status rule_template_labels(tsdb_labels labels, sx_arena *arena, sx_tvalue *out, sx_error *err)
{
    tsdb_labels *copy = sx_arena_alloc(arena, sizeof *copy);
    if (!copy)
        return sx_fail_memory(err, "a template's labels");
    *copy = labels;
    *out = (sx_tvalue){.kind = SX_TVALUE_MAP, .object = copy, .ops = &LABELS};
    return SX_OK;
}

/* --- Histograms. */

static sx_status histogram_print(const void *object, sx_buf *out)
{
    sx_error err;
    return tsdb_histogram_print(object, out, &err);
}

static sx_status histogram_get(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                               sx_error *err)
{
    const tsdb_histogram *h = object;
    if (sx_str_eq(name, SX_STR("Count")) || sx_str_eq(name, SX_STR("Sum"))) {
        *out =
            (sx_tvalue){.kind = SX_TVALUE_FLOAT, .number = name.data[0] == 'C' ? h->count : h->sum};
        return SX_OK;
    }
    if (!sx_str_eq(name, SX_STR("String")))
        return SX_ENOTFOUND;
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_status st = tsdb_histogram_print(h, &text, err);
    if (st != SX_OK) {
        sx_buf_done(&text);
        return st;
    }
    return rule_template_give(&text, arena, out, err);
}

static const sx_tobject_ops HISTOGRAM = {
    .type = "*histogram.FloatHistogram", .get = histogram_get, .print = histogram_print};

sx_status rule_template_histogram(const tsdb_histogram *h, sx_arena *arena, sx_tvalue *out,
                                  sx_error *err)
{
    tsdb_histogram *copy = sx_arena_alloc(arena, sizeof *copy);
    if (!copy)
        return sx_fail_memory(err, "a template's histogram");
    *out = (sx_tvalue){.kind = SX_TVALUE_STRUCT, .object = copy, .ops = &HISTOGRAM};
    return tsdb_histogram_copy(h, arena, copy, err);
}

/* --- Samples and query results. */

typedef struct sample {
    sx_tvalue labels, value;
    tsdb_labels set;
} sample;

typedef struct samples {
    const sample **items;
    size_t count;
} samples;

static sx_status sample_get(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                            sx_error *err)
{
    const sample *s = object;
    (void)arena, (void)err;
    if (sx_str_eq(name, SX_STR("Labels")))
        *out = s->labels;
    else if (sx_str_eq(name, SX_STR("Value")))
        *out = s->value;
    else
        return SX_ENOTFOUND;
    return SX_OK;
}

static const sx_tobject_ops SAMPLE = {.type = "*template.sample", .get = sample_get};

static sx_tvalue value_of(const sample *s)
{
    return (sx_tvalue){.kind = SX_TVALUE_STRUCT, .object = s, .ops = &SAMPLE};
}

static int64_t samples_count(const void *object)
{
    return (int64_t)((const samples *)object)->count;
}

static sx_status samples_at(const void *object, int64_t i, sx_arena *arena, sx_tvalue *key,
                            sx_tvalue *value, sx_error *err)
{
    (void)arena, (void)err;
    *key = (sx_tvalue){.kind = SX_TVALUE_INT, .integer = i};
    *value = value_of(((const samples *)object)->items[i]);
    return SX_OK;
}

static const sx_tobject_ops SAMPLES = {
    .type = "template.queryResult", .count = samples_count, .at = samples_at};

static sx_status expect(const sx_tvalue *v, const sx_tobject_ops *ops, const void **object,
                        sx_error *err)
{
    bool fits = (v->kind == SX_TVALUE_STRUCT || v->kind == SX_TVALUE_LIST) && v->ops == ops;
    if (!fits)
        return sx_fail(err, SX_EINVAL, "wrong type for value; expected %s; got %s", ops->type,
                       rule_template_type(v));
    *object = v->object;
    return SX_OK;
}

static sx_status copy_series(const promql_series *from, sx_arena *arena, sample *to, sx_error *err)
{
    sx_status st = tsdb_labels_copy(from->labels, arena, &to->set, err);
    if (st == SX_OK)
        st = rule_template_labels(to->set, arena, &to->labels, err);
    if (st == SX_OK && from->h && from->h[0])
        return rule_template_histogram(from->h[0], arena, &to->value, err);
    if (st == SX_OK)
        to->value = (sx_tvalue){.kind = SX_TVALUE_FLOAT, .number = from->v[0]};
    return st;
}

static sx_status copy_result(const promql_result *r, sx_arena *arena, samples *out, sx_error *err)
{
    size_t count = r->type == PROMQL_SCALAR ? 1 : r->series_count;
    if (r->type != PROMQL_SCALAR && r->type != PROMQL_VECTOR)
        return sx_fail(err, SX_EINVAL, "rule result is not a vector or scalar");
    sample *all = sx_arena_calloc(arena, count ? count : 1, sizeof *all);
    out->items = sx_arena_calloc(arena, count ? count : 1, sizeof(const sample *));
    if (!all || !out->items)
        return sx_fail_memory(err, "a template's query");
    out->count = count;
    for (size_t i = 0; i < count; i++)
        out->items[i] = &all[i];
    if (r->type == PROMQL_SCALAR) {
        all[0].value = (sx_tvalue){.kind = SX_TVALUE_FLOAT, .number = r->scalar};
        return rule_template_labels((tsdb_labels){0}, arena, &all[0].labels, err);
    }
    for (size_t i = 0; i < count; i++) {
        sx_status st = copy_series(&r->series[i], arena, &all[i], err);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

sx_status rule_template_query(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                              sx_tvalue *out, sx_error *err)
{
    rule_template_env *env = ctx;
    sx_str text;
    (void)count;
    sx_status st = rule_template_text(&args[0], &text, err);
    if (st != SX_OK)
        return st;
    if (!env->engine)
        return sx_fail(err, SX_EINVAL, "there is nothing to query");
    samples *all = sx_arena_calloc(arena, 1, sizeof *all);
    if (!all)
        return sx_fail_memory(err, "a template's query");
    promql_request request = {.text = text,
                              .start_ms = env->now_ms,
                              .end_ms = env->now_ms,
                              .canceled = env->canceled,
                              .who = "template"};
    promql_result result;
    st = promql_query(env->engine, env->queryable, &request, &result, err);
    if (st == SX_OK)
        st = copy_result(&result, arena, all, err);
    promql_result_done(&result);
    *out = (sx_tvalue){.kind = SX_TVALUE_LIST, .object = all, .ops = &SAMPLES};
    return st;
}

sx_status rule_template_first(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                              sx_tvalue *out, sx_error *err)
{
    const void *object = NULL;
    (void)ctx, (void)count, (void)arena;
    sx_status st = expect(&args[0], &SAMPLES, &object, err);
    if (st != SX_OK)
        return st;
    if (((const samples *)object)->count == 0)
        return sx_fail(err, SX_EINVAL, "first() called on vector with no elements");
    *out = value_of(((const samples *)object)->items[0]);
    return SX_OK;
}

sx_status rule_template_label(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                              sx_tvalue *out, sx_error *err)
{
    const void *object = NULL;
    sx_str name;
    (void)ctx, (void)count, (void)arena;
    sx_status st = rule_template_text(&args[0], &name, err);
    if (st == SX_OK)
        st = expect(&args[1], &SAMPLE, &object, err);
    if (st == SX_OK)
        *out = (sx_tvalue){.kind = SX_TVALUE_STRING,
                           .string = tsdb_labels_get(((const sample *)object)->set, name)};
    return st;
}

sx_status rule_template_value(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                              sx_tvalue *out, sx_error *err)
{
    const void *object = NULL;
    (void)ctx, (void)count, (void)arena;
    sx_status st = expect(&args[0], &SAMPLE, &object, err);
    if (st == SX_OK)
        *out = ((const sample *)object)->value;
    return st;
}

sx_status rule_template_strvalue(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                                 sx_tvalue *out, sx_error *err)
{
    sx_tvalue both[2] = {{.kind = SX_TVALUE_STRING, .string = SX_STR("__value__")}, args[0]};
    return rule_template_label(ctx, both, count + 1, arena, out, err);
}

/* The samples to be sorted with their places, since qsort is not stable and ours must be. */
typedef struct keyed {
    sx_str key;
    size_t place;
    const sample *item;
} keyed;

static int compare_keyed(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    int by_key = sx_str_cmp(x->key, y->key);
    return by_key ? by_key : x->place < y->place ? -1 : x->place > y->place;
}

sx_status rule_template_sort(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                             sx_tvalue *out, sx_error *err)
{
    const void *object = NULL;
    sx_str name;
    (void)ctx, (void)count;
    sx_status st = rule_template_text(&args[0], &name, err);
    if (st == SX_OK)
        st = expect(&args[1], &SAMPLES, &object, err);
    if (st != SX_OK)
        return st;
    const samples *all = object;
    samples *sorted = sx_arena_calloc(arena, 1, sizeof *sorted);
    keyed *keys = sx_arena_calloc(arena, all->count + 1, sizeof *keys);
    if (sorted)
        sorted->items = sx_arena_calloc(arena, all->count + 1, sizeof *sorted->items);
    if (!sorted || !keys || !sorted->items)
        return sx_fail_memory(err, "a template's query");
    for (size_t i = 0; i < all->count; i++)
        keys[i] = (keyed){tsdb_labels_get(all->items[i]->set, name), i, all->items[i]};
    qsort(keys, all->count, sizeof *keys, compare_keyed);
    for (size_t i = 0; i < all->count; i++)
        sorted->items[i] = keys[i].item;
    sorted->count = all->count;
    *out = (sx_tvalue){.kind = SX_TVALUE_LIST, .object = sorted, .ops = &SAMPLES};
    return SX_OK;
}

/* --- args: arg0, arg1 ... as a map. */

typedef struct arguments {
    size_t count;
    sx_tvalue items[];
} arguments;

static int64_t arguments_count(const void *object)
{
    return (int64_t)((const arguments *)object)->count;
}

/* In the order of their names, as Go ranges over a map; there are at most ten of one digit. */
static sx_status arguments_at(const void *object, int64_t i, sx_arena *arena, sx_tvalue *key,
                              sx_tvalue *value, sx_error *err)
{
    *key = (sx_tvalue){.kind = SX_TVALUE_STRING, .string = sx_arena_printf(arena, "arg%d", (int)i)};
    *value = ((const arguments *)object)->items[i];
    return key->string.data ? SX_OK : sx_fail_memory(err, "a template's arguments");
}

static sx_status arguments_get(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                               sx_error *err)
{
    const arguments *a = object;
    uint64_t i;
    (void)arena, (void)err;
    *out = (sx_tvalue){.kind = SX_TVALUE_NIL};
    bool ours = sx_str_starts(name, SX_STR("arg")) && sx_str_to_u64(sx_str_from(name, 3), &i);
    if (ours && i < a->count && !(name.len > 4 && name.data[3] == '0'))
        *out = a->items[i];
    return SX_OK; /* a missing key of a map[string]any is nil */
}

static const sx_tobject_ops ARGUMENTS = {.type = "map[string]interface {}",
                                         .count = arguments_count,
                                         .at = arguments_at,
                                         .get = arguments_get};

sx_status rule_template_args(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                             sx_tvalue *out, sx_error *err)
{
    arguments *a = sx_arena_calloc(arena, 1, sizeof *a + count * sizeof *a->items);
    (void)ctx;
    if (!a)
        return sx_fail_memory(err, "a template's arguments");
    a->count = count;
    for (size_t i = 0; i < count; i++)
        a->items[i] = args[i];
    *out = (sx_tvalue){.kind = SX_TVALUE_MAP, .object = a, .ops = &ARGUMENTS};
    return SX_OK;
}
