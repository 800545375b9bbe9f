/* promql_test.c - runs scripts in Prometheus's language for testing PromQL engines against ours.
 *
 *     promql_test [--immediate-names] FILE...
 *
 * Commands: load, load_with_nhcb, clear, eval instant, eval range, with lines of expected series and
 * `expect` lines (fail, warn, info, no_warn, no_info, ordered, string, range vector). Each instant
 * query is also run over a range of three steps, whose middle one must give the same. Prints every
 * mismatch with file and line, then a count a file; exits 1 if there was any. Source of the language:
 * Prometheus, promql/promqltest/README.md. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/file.h>
#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/regex.h>

#include "observe/promql/engine.h"
#include "tests/unit/observe/promql/memory_store.h"

enum { EXPECT_MAX = 16, SERIES_MAX = 4096, MINUTE_MS = 60000 };

typedef struct expectation {
    sx_str kind; /* "fail", "warn", ... */
    sx_str how;  /* "msg", "regex" or empty */
    sx_str text;
} expectation;

typedef struct expected_series {
    tsdb_labels labels;
    promql_test_value *values;
    size_t count;
} expected_series;

typedef struct eval_command {
    sx_str expr, file;
    size_t line;
    bool range, number_given;
    double number;
    int64_t start, end, step;
    expectation expect[EXPECT_MAX];
    size_t expect_count;
    expected_series series[SERIES_MAX];
    size_t series_count;
    bool has_range_vector;
    int64_t rv_start, rv_step;
} eval_command;

typedef struct script {
    sx_str file, rest;
    size_t line;
    sx_arena arena;
    memory_store store;
    promql_engine *engine;
    size_t evals, failures;
} script;

static const char SPACES[] = " \t\r";

static sx_str next_word(sx_str *rest)
{
    sx_str s = sx_str_trim(*rest);
    size_t n = 0;
    while (n < s.len && !memchr(SPACES, s.data[n], 3))
        n++;
    *rest = sx_str_trim(sx_str_from(s, n));
    return sx_str_first(s, n);
}

static void complain(script *s, size_t line, const char *fmt, ...) SX_PRINTF(3, 4);
static void complain(script *s, size_t line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    printf("%.*s:%zu: ", SX_ARG(s->file), line);
    vprintf(fmt, args);
    printf("\n");
    va_end(args);
    s->failures++;
}

/* The next line, without spaces around it; comments come as empty ones. False at the end. */
static bool next_line(script *s, sx_str *out)
{
    if (s->rest.len == 0)
        return false;
    sx_str line;
    sx_str_cut(s->rest, '\n', &line, &s->rest);
    s->line++;
    line = sx_str_trim_all(line);
    *out = sx_str_starts(line, SX_STR("#")) ? SX_STR("") : line;
    return true;
}

static bool read_time(sx_str s, int64_t *out)
{
    bool negative = sx_str_starts(s, SX_STR("-"));
    if (negative || sx_str_starts(s, SX_STR("+")))
        s = sx_str_from(s, 1);
    if (promql_parse_duration(s, true, out, NULL) != SX_OK)
        return false;
    if (negative)
        *out = -*out;
    return true;
}

/* --- load */

typedef struct loaded {
    tsdb_labels labels;
    promql_test_value *values;
    size_t count;
} loaded;

static void add_values(script *s, const loaded *l, int64_t step)
{
    tsdb_labels labels = l->labels;
    memory_series *m = memory_store_series(&s->store, labels);
    for (size_t k = 0; m && k < l->count; k++) {
        const promql_test_value *v = &l->values[k];
        if (!v->omitted)
            memory_store_add(&s->store, m, (int64_t)k * step, v->value,
                             v->is_histogram ? v->histogram : NULL);
    }
}

/* The part of a classic histogram that a series is: its labels without `le` and the suffix. */
static bool classic_part(script *s, tsdb_labels l, const char *suffix, tsdb_labels *base)
{
    sx_str name = tsdb_labels_get(l, TSDB_METRIC_NAME);
    if (!sx_str_ends(name, sx_str_z(suffix)))
        return false;
    tsdb_label *items = sx_arena_alloc(&s->arena, (l.count + 1) * sizeof *items);
    uint32_t n = 0;
    for (uint32_t i = 0; i < l.count; i++) {
        if (sx_str_eq(l.items[i].name, SX_STR("le")))
            continue;
        items[n] = l.items[i];
        if (sx_str_eq(items[n].name, TSDB_METRIC_NAME))
            items[n].value = sx_str_first(name, name.len - strlen(suffix));
        n++;
    }
    *base = (tsdb_labels){items, n};
    return true;
}

typedef struct bucket {
    double upper;
    const loaded *from;
} bucket;

static int by_upper(const void *a, const void *b)
{
    double x = ((const bucket *)a)->upper, y = ((const bucket *)b)->upper;
    return (x > y) - (x < y);
}

static const loaded *find_part(script *s, const loaded *all, size_t count, tsdb_labels base,
                               const char *suffix)
{
    for (size_t i = 0; i < count; i++) {
        tsdb_labels other;
        if (classic_part(s, all[i].labels, suffix, &other) && tsdb_labels_equal(base, other))
            return &all[i];
    }
    return NULL;
}

static bool value_at(const loaded *l, size_t k, double *out)
{
    if (!l || k >= l->count || l->values[k].omitted || tsdb_is_stale(l->values[k].value))
        return false;
    *out = l->values[k].value;
    return true;
}

static void nhcb_sample(script *s, memory_series *m, const bucket *b, size_t count, size_t k,
                        int64_t t, const loaded *sum, const loaded *total)
{
    double *bounds = sx_arena_alloc(&s->arena, (count + 1) * sizeof *bounds);
    double *counts = sx_arena_alloc(&s->arena, (count + 1) * sizeof *counts);
    tsdb_span *span = sx_arena_alloc(&s->arena, sizeof *span);
    double before = 0, here, all = 0;
    uint32_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (!value_at(b[i].from, k, &here))
            continue;
        if (!isinf(b[i].upper))
            bounds[n] = b[i].upper;
        counts[n++] = here - before;
        before = all = here;
    }
    bool finite_last = n > 0 && !isinf(b[count - 1].upper);
    double given;
    bool have_count = value_at(total, k, &given);
    if (n == 0 && !have_count)
        return;
    if (have_count)
        all = given;
    if (finite_last || n == 0)
        counts[n++] = all - before;
    *span = (tsdb_span){0, n};
    tsdb_histogram raw = {.schema = TSDB_SCHEMA_CUSTOM,
                          .count = all,
                          .positive_spans = span,
                          .positive_span_count = 1,
                          .positive = counts,
                          .positive_count = n,
                          .bounds = bounds,
                          .bound_count = n - 1};
    value_at(sum, k, &raw.sum);
    tsdb_histogram compact;
    if (tsdb_histogram_compact(&raw, &s->arena, &compact, NULL) == SX_OK)
        memory_store_add(&s->store, m, t, 0, &compact);
}

/* Classic histograms of the batch as native ones with custom buckets, beside them. */
static void add_nhcb(script *s, const loaded *all, size_t count, int64_t step)
{
    for (size_t i = 0; i < count; i++) {
        tsdb_labels base, other;
        bucket b[256];
        size_t n = 0, longest = 0;
        if (!classic_part(s, all[i].labels, "_bucket", &base))
            continue;
        for (size_t k = 0; k < count && n < SX_COUNT_OF(b); k++) {
            if (!classic_part(s, all[k].labels, "_bucket", &other) ||
                !tsdb_labels_equal(base, other))
                continue;
            if (k < i) { /* done with its first bucket */
                n = 0;
                break;
            }
            sx_str le = tsdb_labels_get(all[k].labels, SX_STR("le"));
            char text[64];
            snprintf(text, sizeof text, "%.*s", SX_ARG(le));
            b[n++] = (bucket){strtod(text, NULL), &all[k]};
            longest = all[k].count > longest ? all[k].count : longest;
        }
        if (n == 0)
            continue;
        qsort(b, n, sizeof *b, by_upper);
        memory_series *m = memory_store_series(&s->store, base);
        for (size_t k = 0; m && k < longest; k++)
            nhcb_sample(s, m, b, n, k, (int64_t)k * step, find_part(s, all, count, base, "_sum"),
                        find_part(s, all, count, base, "_count"));
    }
}

/* `series@st -30s _ 5s`: start timestamps of the samples, relative to their times. */
static bool load_starts(script *s, sx_str line, int64_t step)
{
    size_t at = sx_str_find(line, SX_STR("@st "));
    promql_test_value *none;
    size_t none_count, k = 0;
    tsdb_labels labels;
    if (promql_parse_series(sx_str_first(line, at), &s->arena, &labels, &none, &none_count, NULL) !=
        SX_OK)
        return false;
    memory_series *m = memory_store_series(&s->store, labels);
    s->store.has_starts = true;
    sx_str rest = sx_str_from(line, at + 3);
    for (sx_str word = next_word(&rest); m && word.len > 0; word = next_word(&rest)) {
        int64_t value = 0, add = 0;
        uint64_t times = 0;
        bool gap = sx_str_starts(word, SX_STR("_"));
        size_t x = sx_str_find_byte(word, 'x');
        if (x < word.len) {
            sx_str_to_u64(sx_str_from(word, x + 1), &times);
            word = sx_str_first(word, x);
        }
        if (!gap) {
            size_t sign = 1;
            while (sign < word.len && word.data[sign] != '+' && word.data[sign] != '-')
                sign++;
            if (!read_time(sx_str_first(word, sign), &value) ||
                (sign < word.len &&
                 !read_time(sx_str_from(word, sign + (word.data[sign] == '+')), &add)))
                return false;
        } else if (times > 0) {
            times--;
        }
        for (uint64_t i = 0; i <= times; i++, k++) {
            int64_t t = (int64_t)k * step;
            if (gap)
                continue;
            memory_store_add(&s->store, m, t, 0, NULL);
            memory_store_start(m, t, t + value + (int64_t)i * add);
        }
    }
    return true;
}

static void run_load(script *s, sx_str rest, bool nhcb)
{
    int64_t step;
    static loaded all[SERIES_MAX];
    size_t count = 0, at = s->line;
    sx_str line;
    if (!read_time(rest, &step)) {
        complain(s, at, "load: bad step '%.*s'", SX_ARG(rest));
        return;
    }
    while (next_line(s, &line) && line.len > 0 && count < SERIES_MAX) {
        sx_error err = {0};
        if (sx_str_find(line, SX_STR("@st ")) < line.len) {
            if (!load_starts(s, line, step))
                complain(s, s->line, "load: start timestamps not understood");
            continue;
        }
        loaded *l = &all[count];
        if (promql_parse_series(line, &s->arena, &l->labels, &l->values, &l->count, &err) !=
            SX_OK) {
            complain(s, s->line, "load: %s", err.message);
            continue;
        }
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        /* A sample that only had a start timestamp until now keeps it. */
        add_values(s, &all[i], step);
    }
    if (nhcb)
        add_nhcb(s, all, count, step);
    memory_store_hints(&s->store);
}

/* --- Comparing. */

static bool close_to(double a, double b)
{
    const double tolerance = 0.000001, smallest = 2.2250738585072014e-308;
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (a == b)
        return true;
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);
    if (a == 0 || b == 0 || sum < smallest)
        return diff < tolerance * smallest;
    return diff / (sum < __DBL_MAX__ ? sum : __DBL_MAX__) < tolerance;
}

static bool histograms_close(script *s, const tsdb_histogram *want, const tsdb_histogram *have,
                             bool hint)
{
    tsdb_histogram a, b;
    if (tsdb_histogram_compact(want, &s->arena, &a, NULL) != SX_OK ||
        tsdb_histogram_compact(have, &s->arena, &b, NULL) != SX_OK)
        return false;
    if (hint && a.reset != b.reset)
        return false;
    if (a.schema != b.schema || !close_to(a.count, b.count) || !close_to(a.sum, b.sum) ||
        a.zero_threshold != b.zero_threshold || !close_to(a.zero_count, b.zero_count) ||
        a.positive_count != b.positive_count || a.negative_count != b.negative_count ||
        a.bound_count != b.bound_count)
        return false;
    uint32_t n = tsdb_histogram_bucket_count(&a);
    tsdb_bucket *x = sx_arena_calloc(&s->arena, n, sizeof *x);
    tsdb_bucket *y = sx_arena_calloc(&s->arena, n, sizeof *y);
    uint32_t xn = tsdb_histogram_buckets(&a, x), yn = tsdb_histogram_buckets(&b, y);
    for (uint32_t i = 0; xn == yn && i < xn; i++) {
        if (!close_to(x[i].count, y[i].count) || x[i].index != y[i].index)
            return false;
    }
    for (uint32_t i = 0; i < a.bound_count; i++) {
        if (a.bounds[i] != b.bounds[i])
            return false;
    }
    return xn == yn;
}

static void print_value(double v, const tsdb_histogram *h, sx_buf *out)
{
    if (h) {
        tsdb_histogram_print(h, out, NULL);
        sx_buf_printf(out, "/s%d/z%g/r%d", h->schema, h->zero_threshold, h->reset);
        return;
    }
    char text[SX_DOUBLE_BYTES];
    sx_buf_bytes(out, text, sx_double_format(v, SX_DOUBLE_GO, text));
}

static bool value_matches(script *s, const promql_test_value *want, double v,
                          const tsdb_histogram *h)
{
    if (want->is_histogram != (h != NULL))
        return false;
    if (h)
        return histograms_close(s, want->histogram, h, want->reset_hint_given);
    return close_to(want->value, v);
}

static const expected_series *find_expected(const eval_command *c, tsdb_labels l, size_t *at)
{
    for (size_t i = 0; i < c->series_count; i++) {
        if (tsdb_labels_equal(c->series[i].labels, l)) {
            *at = i;
            return &c->series[i];
        }
    }
    return NULL;
}

static void complain_series(script *s, const eval_command *c, const char *what,
                            const promql_series *have, size_t k)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    tsdb_labels_print(have->labels, &text, NULL);
    for (size_t i = 0; i < have->count && i < 24; i++) {
        sx_buf_printf(&text, " @%g ", (double)have->t[i] / 1000);
        print_value(have->v[i], have->h ? have->h[i] : NULL, &text);
    }
    complain(s, c->line, "%.*s: %s (point %zu): have %.*s", SX_ARG(c->expr), what, k,
             SX_ARG(sx_buf_view(&text)));
    sx_buf_done(&text);
}

static bool has_expectation(const eval_command *c, const char *kind)
{
    for (size_t i = 0; i < c->expect_count; i++) {
        if (sx_str_eq(c->expect[i].kind, sx_str_z(kind)))
            return true;
    }
    return false;
}

/* The points of one series against those expected. `start` and `step` tell where a value belongs. */
static bool compare_points(script *s, const eval_command *c, const expected_series *want,
                           const promql_series *have, int64_t start, int64_t step)
{
    size_t k = 0;
    for (size_t i = 0; i < want->count; i++) {
        const promql_test_value *v = &want->values[i];
        int64_t t = start + (int64_t)i * step;
        if (v->omitted)
            continue;
        if (k >= have->count || have->t[k] != t ||
            !value_matches(s, v, have->v[k], have->h ? have->h[k] : NULL)) {
            sx_buf text;
            sx_buf_init(&text, 0);
            print_value(v->value, v->is_histogram ? v->histogram : NULL, &text);
            printf("  want @%g %.*s\n", (double)t / 1000, SX_ARG(sx_buf_view(&text)));
            sx_buf_done(&text);
            complain_series(s, c, "another value", have, i);
            return false;
        }
        k++;
    }
    if (k == have->count)
        return true;
    complain_series(s, c, "values too many", have, k);
    return false;
}

static void compare_series(script *s, const eval_command *c, const promql_result *r)
{
    bool seen[SERIES_MAX] = {false}, ordered = has_expectation(c, "ordered");
    int64_t start = c->has_range_vector ? c->rv_start : c->start;
    int64_t step = c->has_range_vector ? c->rv_step : c->range ? c->step : 1;
    for (size_t i = 0; i < r->series_count; i++) {
        size_t at;
        const expected_series *want = find_expected(c, r->series[i].labels, &at);
        if (!want) {
            complain_series(s, c, "unexpected series", &r->series[i], 0);
            return;
        }
        seen[at] = true;
        if (ordered && at != i) {
            complain_series(s, c, "another place", &r->series[i], i);
            return;
        }
        if (!compare_points(s, c, want, &r->series[i], start, step))
            return;
    }
    for (size_t i = 0; i < c->series_count; i++) {
        bool any = false;
        for (size_t k = 0; k < c->series[i].count; k++)
            any |= !c->series[i].values[k].omitted;
        if (!seen[i] && any) {
            sx_buf text;
            sx_buf_init(&text, 0);
            tsdb_labels_print(c->series[i].labels, &text, NULL);
            complain(s, c->line, "%.*s: no series %.*s", SX_ARG(c->expr),
                     SX_ARG(sx_buf_view(&text)));
            sx_buf_done(&text);
            return;
        }
    }
}

static bool text_matches(const expectation *e, sx_str text)
{
    if (e->how.len == 0)
        return true;
    if (sx_str_eq(e->how, SX_STR("msg")))
        return sx_str_eq(e->text, text);
    sx_regex *re;
    if (sx_regex_new(&re, e->text, NULL, NULL) != SX_OK)
        return false;
    bool ok = sx_regex_search(re, text);
    sx_regex_free(re);
    return ok;
}

static void compare_notes(script *s, const eval_command *c, const char *kind, const char *none,
                          const sx_str *notes, size_t count)
{
    bool expected = false;
    for (size_t i = 0; i < c->expect_count; i++) {
        const expectation *e = &c->expect[i];
        if (sx_str_eq(e->kind, sx_str_z(none)) && count > 0)
            complain(s, c->line, "%.*s: unexpected %s: %.*s", SX_ARG(c->expr), kind,
                     SX_ARG(notes[0]));
        if (!sx_str_eq(e->kind, sx_str_z(kind)))
            continue;
        expected = true;
        bool met = false;
        for (size_t k = 0; k < count; k++)
            met |= text_matches(e, notes[k]);
        if (!met)
            complain(s, c->line, "%.*s: no %s like '%.*s' among %zu (%.*s)", SX_ARG(c->expr), kind,
                     SX_ARG(e->text), count, SX_ARG(count ? notes[0] : SX_STR("none")));
    }
    for (size_t k = 0; expected && k < count; k++) {
        bool met = false;
        for (size_t i = 0; i < c->expect_count; i++)
            met |= sx_str_eq(c->expect[i].kind, sx_str_z(kind)) &&
                   text_matches(&c->expect[i], notes[k]);
        if (!met)
            complain(s, c->line, "%.*s: %s that was not expected: %.*s", SX_ARG(c->expr), kind,
                     SX_ARG(notes[k]));
    }
}

static void compare_failure(script *s, const eval_command *c, const char *message)
{
    for (size_t i = 0; i < c->expect_count; i++) {
        if (sx_str_eq(c->expect[i].kind, SX_STR("fail")) &&
            !text_matches(&c->expect[i], sx_str_z(message)))
            complain(s, c->line, "%.*s: failed with '%s', not '%.*s'", SX_ARG(c->expr), message,
                     SX_ARG(c->expect[i].text));
    }
}

static void compare_result(script *s, const eval_command *c, const promql_result *r)
{
    if (c->number_given) {
        double have = r->type == PROMQL_SCALAR ? r->scalar
                      : r->series_count == 1   ? r->series[0].v[0]
                                               : NAN;
        if (!close_to(c->number, have))
            complain(s, c->line, "%.*s: %g, not %g", SX_ARG(c->expr), have, c->number);
        return;
    }
    for (size_t i = 0; i < c->expect_count; i++) {
        if (!sx_str_eq(c->expect[i].kind, SX_STR("string")))
            continue;
        sx_str want = c->expect[i].text;
        if (want.len >= 2)
            want = sx_str_of(want.data + 1, want.len - 2);
        if (r->type != PROMQL_STRING || !sx_str_eq(r->string, want))
            complain(s, c->line, "%.*s: string '%.*s', not '%.*s'", SX_ARG(c->expr),
                     SX_ARG(r->string), SX_ARG(want));
        return;
    }
    if (r->type == PROMQL_SCALAR || r->type == PROMQL_STRING) {
        if (c->series_count > 0)
            complain(s, c->line, "%.*s: no series", SX_ARG(c->expr));
        return;
    }
    compare_series(s, c, r);
}

/* --- eval */

/* The middle step of a range must be what the instant query gave. */
static void check_range_mode(script *s, const eval_command *c)
{
    static const char *const APART[] = {"range(", "step(", "start(", "end("};
    for (size_t i = 0; i < SX_COUNT_OF(APART); i++) {
        if (sx_str_find(c->expr, sx_str_z(APART[i])) < c->expr.len)
            return;
    }
    promql_request q = {.text = c->expr,
                        .start_ms = c->start - MINUTE_MS,
                        .end_ms = c->start + MINUTE_MS,
                        .step_ms = MINUTE_MS};
    promql_result r;
    sx_error err = {0};
    if (promql_query(s->engine, &s->store.queryable, &q, &r, &err) != SX_OK) {
        complain(s, c->line, "%.*s: as a range: %s", SX_ARG(c->expr), err.message);
        promql_result_done(&r);
        return;
    }
    promql_result middle = {.type = PROMQL_VECTOR};
    promql_series *series = sx_calloc(r.series_count + 1, sizeof *series);
    for (size_t i = 0; series && i < r.series_count; i++) {
        for (size_t k = 0; k < r.series[i].count; k++) {
            if (r.series[i].t[k] == c->start)
                series[middle.series_count++] =
                    (promql_series){.labels = r.series[i].labels,
                                    .t = &r.series[i].t[k],
                                    .v = &r.series[i].v[k],
                                    .h = r.series[i].h ? &r.series[i].h[k] : NULL,
                                    .count = 1};
        }
    }
    for (size_t i = 0; series && i < middle.series_count; i++) {
        if (series[i].h && !series[i].h[0])
            series[i].h = NULL;
    }
    middle.series = series;
    size_t before = s->failures;
    compare_result(s, c, &middle);
    if (s->failures > before)
        printf("  (as the middle step of a range)\n");
    sx_free(series);
    promql_result_done(&r);
}

static void run_eval(script *s, const eval_command *c)
{
    promql_request q = {
        .text = c->expr, .start_ms = c->start, .end_ms = c->end, .step_ms = c->range ? c->step : 0};
    promql_result r;
    sx_error err = {0};
    s->evals++;
    size_t before = s->failures;
    sx_status status = promql_query(s->engine, &s->store.queryable, &q, &r, &err);
    bool fails = has_expectation(c, "fail");
    promql_type type = r.type;
    if (status != SX_OK && fails)
        compare_failure(s, c, err.message);
    else if (status != SX_OK)
        complain(s, c->line, "%.*s: %s", SX_ARG(c->expr), err.message);
    else if (fails)
        complain(s, c->line, "%.*s: did not fail", SX_ARG(c->expr));
    if (status == SX_OK && !fails) {
        compare_notes(s, c, "warn", "no_warn", r.warnings, r.warning_count);
        compare_notes(s, c, "info", "no_info", r.infos, r.info_count);
        compare_result(s, c, &r);
    }
    promql_result_done(&r);
    if (status == SX_OK && !c->range && !fails && s->failures == before &&
        !has_expectation(c, "ordered") && (type == PROMQL_VECTOR || type == PROMQL_SCALAR))
        check_range_mode(s, c);
}

static void read_expect(script *s, eval_command *c, sx_str line)
{
    sx_str rest = line;
    next_word(&rest);
    sx_str kind = next_word(&rest);
    if (c->expect_count == EXPECT_MAX)
        return;
    if (sx_str_eq(kind, SX_STR("range"))) {
        sx_str words[6];
        int64_t end;
        next_word(&rest); /* vector */
        for (size_t i = 0; i < 6; i++)
            words[i] = next_word(&rest);
        c->has_range_vector = read_time(words[1], &c->rv_start) && read_time(words[3], &end) &&
                              read_time(words[5], &c->rv_step);
        if (!c->has_range_vector)
            complain(s, s->line, "expect range vector: not understood");
        return;
    }
    expectation *e = &c->expect[c->expect_count++];
    *e = (expectation){.kind = kind, .text = rest};
    if (!sx_str_eq(kind, SX_STR("string")) && rest.len > 0) {
        sx_str_cut(rest, ':', &e->how, &e->text);
        e->how = sx_str_trim(e->how);
        e->text = sx_str_trim(e->text);
    }
}

static bool read_series(script *s, eval_command *c, sx_str line)
{
    char text[64];
    char *end;
    if (line.len < sizeof text && line.data[0] != '{') {
        snprintf(text, sizeof text, "%.*s", SX_ARG(line));
        double v = strtod(text, &end);
        if (end != text && *end == '\0') {
            c->number_given = true;
            c->number = v;
            return true;
        }
    }
    sx_error err = {0};
    if (c->series_count == SERIES_MAX)
        return false;
    expected_series *e = &c->series[c->series_count];
    if (promql_parse_series(line, &s->arena, &e->labels, &e->values, &e->count, &err) != SX_OK) {
        complain(s, s->line, "%s", err.message);
        return false;
    }
    c->series_count++;
    return true;
}

static bool read_header(script *s, eval_command *c, sx_str first, sx_str rest)
{
    if (first.len > 5 && c->expect_count < EXPECT_MAX) { /* eval_fail and its kin */
        sx_str kind = sx_str_from(first, 5);
        c->expect[c->expect_count++] = (expectation){.kind = kind};
    }
    sx_str kind = next_word(&rest);
    c->range = sx_str_eq(kind, SX_STR("range"));
    bool ok;
    if (c->range) {
        next_word(&rest); /* from */
        ok = read_time(next_word(&rest), &c->start);
        next_word(&rest); /* to */
        ok = ok && read_time(next_word(&rest), &c->end);
        next_word(&rest); /* step */
        ok = ok && read_time(next_word(&rest), &c->step);
    } else {
        sx_str peek = rest;
        ok = true;
        if (sx_str_eq(next_word(&peek), SX_STR("at"))) {
            next_word(&rest);
            ok = read_time(next_word(&rest), &c->start);
        }
        c->end = c->start;
    }
    c->expr = rest;
    c->line = s->line;
    if (!ok)
        complain(s, s->line, "eval: times not understood");
    return ok;
}

static void read_eval(script *s, sx_str first, sx_str rest)
{
    static eval_command c; /* large */
    memset(&c, 0, sizeof c);
    bool ok = read_header(s, &c, first, rest);
    sx_str line;
    while (next_line(s, &line) && line.len > 0) {
        if (sx_str_starts(line, SX_STR("expect "))) {
            read_expect(s, &c, line);
        } else if (sx_str_starts(line, SX_STR("expected_fail_"))) {
            sx_str text = line;
            sx_str word = next_word(&text);
            c.expect[c.expect_count++] = (expectation){
                SX_STR("fail"),
                sx_str_ends(word, SX_STR("regexp")) ? SX_STR("regex") : SX_STR("msg"), text};
        } else if (!read_series(s, &c, line)) {
            ok = false;
        }
    }
    if (ok)
        run_eval(s, &c);
}

static void run_script(script *s)
{
    sx_str line;
    while (next_line(s, &line)) {
        sx_str rest = line;
        sx_str first = next_word(&rest);
        if (first.len == 0)
            continue;
        if (sx_str_eq(first, SX_STR("clear"))) {
            memory_store_done(&s->store);
            memory_store_init(&s->store);
            sx_arena_reset(&s->arena);
        } else if (sx_str_starts(first, SX_STR("load"))) {
            run_load(s, rest, sx_str_ends(first, SX_STR("_with_nhcb")));
        } else if (sx_str_starts(first, SX_STR("eval"))) {
            read_eval(s, first, rest);
        } else {
            complain(s, s->line, "unknown command '%.*s'", SX_ARG(first));
        }
    }
}

int main(int argc, char **argv)
{
    unsigned features = PROMQL_EXPERIMENTAL_FUNCTIONS | PROMQL_EXTENDED_RANGE | PROMQL_BINOP_FILL |
                        PROMQL_DELAYED_NAME_REMOVAL | PROMQL_START_TIMESTAMPS;
    size_t failures = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--immediate-names") == 0) {
            features &= ~(unsigned)PROMQL_DELAYED_NAME_REMOVAL;
            continue;
        }
        promql_engine_options options = {.features = features};
        script s = {.file = sx_str_z(argv[i])};
        sx_error err = {0};
        sx_buf text;
        sx_buf_init(&text, 64 << 20);
        if (sx_file_read(argv[i], 64 << 20, &text, &err) != SX_OK ||
            promql_engine_new(&options, &s.engine, &err) != SX_OK) {
            fprintf(stderr, "promql_test: %s\n", err.message);
            return 2;
        }
        s.rest = sx_buf_view(&text);
        memory_store_init(&s.store);
        sx_arena_init(&s.arena, 1 << 16, 0);
        run_script(&s);
        printf("%s: %zu evaluations, %zu failures\n", argv[i], s.evals, s.failures);
        failures += s.failures;
        memory_store_done(&s.store);
        sx_arena_done(&s.arena);
        promql_engine_free(s.engine);
        sx_buf_done(&text);
    }
    return failures > 0;
}
