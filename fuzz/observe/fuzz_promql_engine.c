/* fuzz_promql_engine.c - random expressions over a small store.
 *
 * The input's bytes choose how an expression is put together. Properties: a query ends; if it fails
 * there are words; an instant query gives, bit by bit, what a range query gives at the same step (but
 * for functions that know the query's own range, and failures, which other steps may cause). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/buf.h>

#include "observe/promql/engine.h"
#include "tests/unit/observe/promql/memory_store.h"

enum { MINUTE = 60000, DEPTH_MAX = 5 };

typedef struct source {
    const uint8_t *data;
    size_t size, at;
} source;

static unsigned pick(source *s, unsigned of)
{
    return s->at < s->size ? s->data[s->at++] % of : 0;
}

static const char *const SELECTORS[] = {"a",          "b",    "{job=\"x\"}", "h",
                                        "lat_bucket", "none", "mixed"};
static const char *const MODIFIERS[] = {"", "", "", " offset 1m", " @ 300", " offset -2m"};
static const char *const RANGES[] = {"[2m]", "[5m]", "[1m30s]", "[30s]"};
static const char *const OVER_RANGE[] = {"rate",
                                         "increase",
                                         "delta",
                                         "irate",
                                         "idelta",
                                         "sum_over_time",
                                         "avg_over_time",
                                         "min_over_time",
                                         "max_over_time",
                                         "count_over_time",
                                         "changes",
                                         "resets",
                                         "deriv",
                                         "last_over_time",
                                         "stddev_over_time",
                                         "mad_over_time",
                                         "first_over_time",
                                         "absent_over_time",
                                         "present_over_time"};
/* Not sort: it orders instant queries alone, and order decides which of equal values topk takes. */
static const char *const OVER_VECTOR[] = {"abs",
                                          "ceil",
                                          "sgn",
                                          "timestamp",
                                          "absent",
                                          "-",
                                          "histogram_sum",
                                          "histogram_count",
                                          "histogram_stddev",
                                          "year",
                                          "histogram_avg",
                                          "sqrt"};
static const char *const AGGREGATES[] = {"sum",   "avg",   "min",    "max",
                                         "count", "group", "stddev", "stdvar"};
static const char *const GROUPINGS[] = {"", " by (job)", " without (job)", " by (le)", " by ()"};
static const char *const OPERATORS[] = {
    "+", "-", "*", "/", "%", "^", "==", ">", "<=", "!=", "> bool", "== bool", "</", ">/"};
static const char *const SETS[] = {"and", "or", "unless"};
static const char *const NUMBERS[] = {"0", "1", "0.5", "-2", "NaN", "Inf", "1e300"};

#define PICK(s, list) (list)[pick(s, SX_COUNT_OF(list))]

static void vector(source *s, sx_buf *out, int depth);

static void matrix(source *s, sx_buf *out, int depth)
{
    if (depth > 1 && pick(s, 4) == 0) {
        sx_buf_byte(out, '(');
        vector(s, out, depth - 1);
        sx_buf_str(out, SX_STR(")[4m:1m]"));
        return;
    }
    sx_buf_printf(out, "%s%s%s", PICK(s, SELECTORS), PICK(s, RANGES), PICK(s, MODIFIERS));
}

static void call(source *s, sx_buf *out, const char *name, const char *first, int depth)
{
    sx_buf_printf(out, "%s(%s", name, first);
    vector(s, out, depth - 1);
    sx_buf_byte(out, ')');
}

static void vector(source *s, sx_buf *out, int depth)
{
    switch (depth <= 0 ? 0 : pick(s, 12)) {
    case 1:
    case 2:
        sx_buf_printf(out, "%s(", PICK(s, OVER_RANGE));
        matrix(s, out, depth);
        sx_buf_byte(out, ')');
        return;
    case 3:
        call(s, out, PICK(s, OVER_VECTOR), "", depth);
        return;
    case 4:
        sx_buf_printf(out, "%s%s(", PICK(s, AGGREGATES), PICK(s, GROUPINGS));
        vector(s, out, depth - 1);
        sx_buf_byte(out, ')');
        return;
    case 5:
        sx_buf_byte(out, '(');
        vector(s, out, depth - 1);
        sx_buf_printf(out, " %s %s)", PICK(s, OPERATORS), PICK(s, NUMBERS));
        return;
    case 6:
    case 7:
        sx_buf_byte(out, '(');
        vector(s, out, depth - 1);
        sx_buf_printf(out, " %s %s ", PICK(s, OPERATORS),
                      pick(s, 2) ? "on (job) group_left" : "ignoring (le)");
        vector(s, out, depth - 1);
        sx_buf_byte(out, ')');
        return;
    case 8:
        sx_buf_byte(out, '(');
        vector(s, out, depth - 1);
        sx_buf_printf(out, " %s ", PICK(s, SETS));
        vector(s, out, depth - 1);
        sx_buf_byte(out, ')');
        return;
    case 9:
        call(s, out, pick(s, 2) ? "topk" : "quantile", "0.7 + 1, ", depth);
        return;
    case 10:
        call(s, out, "histogram_quantile", "0.8, ", depth);
        return;
    case 11:
        sx_buf_str(out, SX_STR("label_replace("));
        vector(s, out, depth - 1);
        sx_buf_str(out, SX_STR(", \"job\", \"$1\", \"le\", \"(.*)\")"));
        return;
    default:
        sx_buf_printf(out, "%s%s", PICK(s, SELECTORS), PICK(s, MODIFIERS));
    }
}

static void add_series(memory_store *store, const char *text)
{
    sx_arena arena;
    tsdb_labels labels;
    promql_test_value *values;
    size_t count;
    sx_arena_init(&arena, 0, 0);
    sx_assert(promql_parse_series(sx_str_z(text), &arena, &labels, &values, &count, NULL) == SX_OK);
    memory_series *m = memory_store_series(store, labels);
    for (size_t k = 0; k < count; k++) {
        if (!values[k].omitted)
            memory_store_add(store, m, (int64_t)k * MINUTE / 2, values[k].value,
                             values[k].is_histogram ? values[k].histogram : NULL);
    }
    sx_arena_done(&arena);
}

static void fill_store(memory_store *store)
{
    static const char *const SERIES[] = {
        "a{job=\"x\"} 0+1x20",
        "a{job=\"y\"} 5 3 NaN 8 9 stale 1 2 _ _ 4 7 1 Inf 3 3 3 3",
        "b{job=\"x\"} 1 0 1x18",
        "b{job=\"z\"} _x15 1 2 3",
        "h{job=\"x\"} {{sum:5 count:4 buckets:[1 2 1]}}+{{sum:5 count:4 buckets:[1 2 1]}}x20",
        "h{job=\"y\"} {{schema:-53 sum:3 count:3 custom_values:[1 2] buckets:[1 1 1]}}x20",
        "lat_bucket{job=\"x\", le=\"1\"} 0+3x20",
        "lat_bucket{job=\"x\", le=\"+Inf\"} 0+2x20",
        "mixed{job=\"x\"} 1 2 {{schema:0 sum:3 count:3 buckets:[1 2]}}x5 4 5 {{}} 6",
    };
    memory_store_init(store);
    for (size_t i = 0; i < SX_COUNT_OF(SERIES); i++)
        add_series(store, SERIES[i]);
}

static const promql_series *find_series(const promql_result *r, tsdb_labels labels)
{
    for (size_t i = 0; i < r->series_count; i++) {
        if (tsdb_labels_equal(r->series[i].labels, labels))
            return &r->series[i];
    }
    return NULL;
}

static void check_same(const promql_result *once, const promql_result *steps, int64_t t)
{
    size_t at_t = 0;
    for (size_t i = 0; i < steps->series_count; i++)
        at_t += steps->series[i].t[steps->series[i].count - 1] == t;
    sx_assert(at_t == once->series_count);
    for (size_t i = 0; i < once->series_count; i++) {
        const promql_series *a = &once->series[i], *b = find_series(steps, a->labels);
        sx_assert(b && b->t[b->count - 1] == t);
        const tsdb_histogram *x = a->h ? a->h[0] : NULL, *y = b->h ? b->h[b->count - 1] : NULL;
        sx_assert(!x == !y);
        double p = a->v[0], q = b->v[b->count - 1];
        if (x)
            sx_assert(tsdb_histogram_equal(x, y));
        else
            sx_assert(p == q || (p != p && q != q));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static memory_store store;
    static promql_engine *engine;
    if (!engine) {
        /* Not with delayed removal of names: which of two series that `or` makes one decides about
         * the name depends on the steps there are, in Prometheus, too. */
        unsigned features = 31 & ~(unsigned)PROMQL_DELAYED_NAME_REMOVAL;
        promql_engine_options options = {
            .features = features, .threads = 1, .samples_max = 1000000};
        fill_store(&store);
        sx_assert(promql_engine_new(&options, &engine, NULL) == SX_OK);
    }
    source s = {data, size, 0};
    sx_buf text;
    sx_buf_init(&text, 1 << 16);
    vector(&s, &text, DEPTH_MAX);
    int64_t t = 8 * MINUTE;
    promql_request a = {.text = sx_buf_view(&text), .start_ms = t, .end_ms = t};
    promql_request b = a;
    b.start_ms = 3 * MINUTE;
    b.step_ms = MINUTE;
    promql_result once, steps;
    sx_error err = {0};
    sx_status x = promql_query(engine, &store.queryable, &a, &once, &err);
    sx_assert(x == SX_OK || err.message[0]);
    sx_status y = promql_query(engine, &store.queryable, &b, &steps, &err);
    sx_assert(y == SX_OK || err.message[0]);
    if (getenv("FUZZ_SHOW")) /* what a crash's bytes stand for */
        fprintf(stderr, "%.*s\n", SX_ARG(sx_buf_view(&text)));
    if (x == SX_OK && y == SX_OK && once.type == PROMQL_VECTOR)
        check_same(&once, &steps, t);
    promql_result_done(&once);
    promql_result_done(&steps);
    sx_buf_done(&text);
    return 0;
}
