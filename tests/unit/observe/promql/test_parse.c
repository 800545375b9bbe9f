/* test_parse.c - the PromQL parser: trees, positions, limits, broken text, failing memory.
 *
 * That words and layouts are Prometheus's is the matter of tests/e2e/test_promql_parse.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <sextant/json.h>

#include "base/fault.h"
#include "observe/promql/parse.h"
#include "observe/tsdb/histogram.h"

static const unsigned EVERY = PROMQL_EXPERIMENTAL_FUNCTIONS | PROMQL_EXTENDED_RANGE |
                              PROMQL_BINOP_FILL | PROMQL_START_TIMESTAMPS;

/* Dense in constructs: what the broken-text and memory tests start from. */
static const char *const QUERIES[] = {
    "sum by (job, \"a.b\") (rate(http_requests_total{code=~\"5..\",path!~`/x|/y`}[5m] offset -1h))"
    " / on (job) group_left (team, x) max without (x) (up{\"q.x\"!=\"\\u00e9\\x41\\101\"} @ 1.5)",
    "histogram_quantile(0.9, rate(a[5m*2+step()] anchored @ end())) > bool -1_000.5e-3 "
    "# comment\n unless last_over_time({\"m.n\", b='c'}[1h:max_of(1m, 5s)] offset -(1h/2))",
    "topk(3, a and ignoring () b) or count_values(\"v\", -(-1h30m ^ 2) * c </ d + fill_left (3) "
    "fill_right(-0x1F) e) % label_replace(f, \"x\", \"$1\", \"y\", \"(.*)\")",
};

static sx_status parse(const char *text, sx_arena *arena, promql_parsed *out, sx_error *err)
{
    promql_parse_options options = {.features = EVERY};
    return promql_parse(sx_str_z(text), &options, arena, out, err);
}

/* Parses what must be right. */
static promql_expr *tree(const char *text, sx_arena *arena, promql_parsed *out)
{
    sx_error err = {0};
    if (parse(text, arena, out, &err) != SX_OK)
        fail_msg("%s: %s", text, err.message);
    return out->expr;
}

static void expect_error(const char *text, const char *message)
{
    sx_arena arena;
    sx_error err = {0};
    promql_parsed parsed;
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(parse(text, &arena, &parsed, &err), SX_EFORMAT);
    assert_string_equal(err.message, message);
    assert_null(parsed.expr);
    sx_arena_done(&arena);
}

static void expect_pos(const promql_expr *e, uint32_t start, uint32_t end)
{
    assert_int_equal(e->pos.start, start);
    assert_int_equal(e->pos.end, end);
}

static void test_every_function_has_a_row_that_is_found_by_its_name(void **state)
{
    (void)state;
    size_t count, experimental = 0;
    const promql_function *rows = promql_functions(&count);
    assert_int_equal(count, 90);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(promql_function_find(rows[i].name), &rows[i]);
        assert_int_equal(rows[i].id, i);
        experimental += rows[i].feature != 0;
    }
    assert_int_equal(experimental, 17);
    assert_null(promql_function_find(SX_STR("Rate")));
    assert_null(promql_function_find(SX_STR("")));
    assert_int_equal(promql_function_find(SX_STR("label_replace"))->arg_count, 5);
    assert_int_equal(promql_function_find(SX_STR("pi"))->arg_count, 0);
}

static void test_power_binds_to_the_right_and_tighter_than_a_sign(void **state)
{
    (void)state;
    sx_arena arena;
    promql_parsed p;
    sx_arena_init(&arena, 0, 0);
    promql_expr *e = tree("-a ^ b ^ c * d", &arena, &p);
    assert_int_equal(e->binary.op, PROMQL_MUL);
    assert_int_equal(e->binary.left->kind, PROMQL_UNARY);
    const promql_expr *power = e->binary.left->unary.expr;
    assert_int_equal(power->binary.op, PROMQL_POW);
    assert_int_equal(power->binary.right->binary.op, PROMQL_POW);
    assert_int_equal(e->height, 5);
    expect_pos(e, 0, 14);
    expect_pos(power, 1, 10);
    promql_parsed_done(&p);
    sx_arena_done(&arena);
}

static void test_modifiers_are_kept_at_the_selector(void **state)
{
    (void)state;
    sx_arena arena;
    promql_parsed p;
    sx_arena_init(&arena, 0, 0);
    promql_expr *e = tree("x{a=~\"b.*\"}[90s] smoothed @ 1.5 offset -1h", &arena, &p);
    const promql_expr *s = e->range.selector;
    assert_int_equal(e->kind, PROMQL_RANGE);
    assert_int_equal(e->type, PROMQL_MATRIX);
    assert_int_equal(e->range.range.ms, 90000);
    assert_int_equal(s->selector.offset.ms, -3600000);
    assert_int_equal(s->selector.at, PROMQL_AT_TIME);
    assert_int_equal(s->selector.at_ms, 1500);
    assert_true(s->selector.smoothed);
    assert_int_equal(s->selector.matcher_count, 2);
    assert_true(tsdb_matcher_matches(&s->selector.matchers[0], SX_STR("bcd")));
    assert_int_equal(p.regex_count, 1);
    expect_pos(e, 0, 42);
    promql_parsed_done(&p);
    sx_arena_done(&arena);
}

static void test_the_end_of_an_aggregation_is_its_parenthesis(void **state)
{
    (void)state;
    sx_arena arena;
    promql_parsed p;
    sx_arena_init(&arena, 0, 0);
    promql_expr *e = tree("abs(sum(a) )", &arena, &p);
    expect_pos(e->call.args[0], 4, 10);
    promql_parsed_done(&p);
    e = tree("sum(a) by (x) + 1", &arena, &p);
    expect_pos(e->binary.left, 0, 13);
    promql_parsed_done(&p);
    sx_arena_done(&arena);
}

static void test_duration_arithmetic_stays_an_expression(void **state)
{
    (void)state;
    sx_arena arena;
    promql_parsed p;
    sx_arena_init(&arena, 0, 0);
    promql_expr *e = tree("a[5m * 2 + step():1m] offset (1h / 2)", &arena, &p);
    const promql_expr *sum = e->subquery.range.expr;
    assert_int_equal(e->subquery.range.ms, 0);
    assert_int_equal(sum->arithmetic.op, PROMQL_ADD);
    assert_int_equal(sum->arithmetic.left->arithmetic.op, PROMQL_MUL);
    assert_true(sum->arithmetic.left->arithmetic.left->number.value == 300);
    assert_int_equal(sum->arithmetic.right->arithmetic.op, PROMQL_DURATION_STEP);
    assert_int_equal(e->subquery.step.ms, 60000);
    assert_true(e->subquery.offset.expr->arithmetic.parens);
    promql_parsed_done(&p);
    sx_arena_done(&arena);
}

static void test_errors_tell_the_place_and_what_was_expected(void **state)
{
    (void)state;
    expect_error("rate(foo)", "1:6: parse error: expected type range vector in call to function "
                              "\"rate\", got instant vector");
    expect_error("\n a b", "2:4: parse error: unexpected identifier \"b\"");
    expect_error("sum(a b)", "1:7: parse error: unexpected identifier \"b\" in aggregation");
    expect_error("a{b", "1:4: parse error: unexpected end of input inside braces");
    expect_error("{}", "1:1: parse error: vector selector must contain at least one non-empty "
                       "matcher");
    expect_error("", "unknown position: parse error: no expression found in input");
    expect_error("a{b=~\"(\"}", "1:3: parse error: error parsing regexp: missing closing ): `(`");
    expect_error("a[5m]]", "1:6: parse error: unexpected right bracket ']'");
    expect_error("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier");
    expect_error("0x",
                 "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"0x\": "
                 "invalid syntax");
}

static void test_all_errors_of_types_are_told_if_wanted(void **state)
{
    (void)state;
    sx_arena arena;
    sx_error err = {0};
    promql_parsed p;
    sx_arena_init(&arena, 0, 0);
    promql_parse_options options = {.many_errors = true};
    assert_int_equal(promql_parse(SX_STR("rate(a) +\nabs(1)"), &options, &arena, &p, &err),
                     SX_EFORMAT);
    assert_string_equal(err.message,
                        "1:6: parse error: expected type range vector in call to function "
                        "\"rate\", got instant vector\n2:5: parse error: expected type instant "
                        "vector in call to function \"abs\", got scalar");
    assert_int_equal(p.error_pos.start, 5);
    sx_arena_done(&arena);
}

static void test_experimental_things_need_their_feature(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned feature;
    } cases[] = {{"info(a)", PROMQL_EXPERIMENTAL_FUNCTIONS},
                 {"limitk(1, a)", PROMQL_EXPERIMENTAL_FUNCTIONS},
                 {"a anchored", PROMQL_EXTENDED_RANGE},
                 {"a + fill(0) b", PROMQL_BINOP_FILL}};
    for (size_t i = 0; i < SX_COUNT_OF(cases); i++) {
        for (int on = 0; on < 2; on++) {
            sx_arena arena;
            promql_parsed p;
            sx_arena_init(&arena, 0, 0);
            promql_parse_options options = {.features = on ? cases[i].feature : 0};
            assert_int_equal(promql_parse(sx_str_z(cases[i].text), &options, &arena, &p, NULL),
                             on ? SX_OK : SX_EFORMAT);
            promql_parsed_done(&p);
            sx_arena_done(&arena);
        }
    }
}

static void test_limits(void **state)
{
    (void)state;
    sx_arena arena;
    sx_error err = {0};
    promql_parsed p;
    sx_arena_init(&arena, 0, 0);
    promql_parse_options options = {.text_bytes_max = 4, .depth_max = 3};
    assert_int_equal(promql_parse(SX_STR("a + b"), &options, &arena, &p, &err), SX_ELIMIT);
    assert_string_equal(err.message, "the query has 5 bytes; the limit is 4");
    options.text_bytes_max = 0;
    assert_int_equal(promql_parse(SX_STR("((a))"), &options, &arena, &p, &err), SX_OK);
    promql_parsed_done(&p);
    assert_int_equal(promql_parse(SX_STR("(((a)))"), &options, &arena, &p, &err), SX_ELIMIT);
    assert_string_equal(err.message, "the query has too many levels; the limit is 3");
    assert_int_equal(promql_parse(SX_STR("a+b+c+d"), &options, &arena, &p, &err), SX_ELIMIT);
    sx_arena_done(&arena);
}

/* --- Durations. */

static void test_durations_are_read_and_printed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
        const char *printed;
    } cases[] = {{"1h30m", 5400000, "1h30m"}, {"0", 0, "0s"},
                 {"1y", 31536000000, "1y"},   {"90d", 7776000000, "90d"},
                 {"14d", 1209600000, "2w"},   {"1500ms", 1500, "1s500ms"},
                 {"1w1d", 691200000, "8d"},   {"5m", 300000, "5m"}};
    for (size_t i = 0; i < SX_COUNT_OF(cases); i++) {
        int64_t ms = -1;
        char out[64];
        assert_int_equal(promql_parse_duration(sx_str_z(cases[i].text), false, &ms, NULL), SX_OK);
        assert_int_equal(ms, cases[i].ms);
        promql_print_duration(ms, out);
        assert_string_equal(out, cases[i].printed);
    }
    int64_t ms = 0;
    sx_error err = {0};
    assert_int_equal(promql_parse_duration(SX_STR("1.5"), true, &ms, &err), SX_OK);
    assert_int_equal(ms, 1500);
    assert_int_equal(promql_parse_duration(SX_STR("-010"), true, &ms, &err), SX_OK);
    assert_int_equal(ms, -10000);
    assert_int_equal(promql_parse_duration(SX_STR("1.5"), false, &ms, &err), SX_EFORMAT);
    assert_int_equal(promql_parse_duration(SX_STR("1s1m"), false, &ms, &err), SX_EFORMAT);
    assert_string_equal(err.message, "not a valid duration string: \"1s1m\"");
    assert_int_equal(promql_parse_duration(SX_STR("300y"), false, &ms, &err), SX_EFORMAT);
    assert_string_equal(err.message, "duration out of range");
    assert_int_equal(promql_parse_duration(SX_STR("1x"), false, &ms, &err), SX_EFORMAT);
    assert_string_equal(err.message, "unknown unit \"x\" in duration \"1x\"");
    assert_int_equal(promql_parse_duration(SX_STR("x"), true, &ms, &err), SX_EFORMAT);
    assert_string_equal(err.message, "cannot parse \"x\" to a valid duration");
    assert_int_equal(promql_parse_duration(SX_STR("1e300"), true, &ms, &err), SX_EFORMAT);
}

/* --- Series of unit tests. */

static void test_a_series_is_expanded(void **state)
{
    (void)state;
    sx_arena arena;
    tsdb_labels labels;
    promql_test_value *v;
    size_t count;
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(
        promql_parse_series(SX_STR("a{b=\"c\",d=\"\"} 1+2x2 _x2 stale {{schema:1 count:4 sum:3 "
                                   "z_bucket:1 z_bucket_w:0.5 buckets:[1 2] offset:-3 "
                                   "n_buckets:[4] n_offset:5 counter_reset_hint:gauge}} "
                                   "{{schema:-53 custom_values:[1 2.5]}}"),
                            &arena, &labels, &v, &count, NULL),
        SX_OK);
    assert_int_equal(labels.count, 2);
    assert_int_equal(count, 8);
    assert_true(v[0].value == 1 && v[2].value == 5 && v[3].omitted && v[4].omitted);
    assert_true(tsdb_is_stale(v[5].value));
    const tsdb_histogram *h = v[6].histogram;
    assert_true(v[6].is_histogram && v[6].reset_hint_given && !v[7].reset_hint_given);
    assert_int_equal(h->schema, 1);
    assert_int_equal(h->reset, TSDB_RESET_GAUGE);
    assert_int_equal(h->positive_spans[0].offset, -3);
    assert_int_equal(h->positive_spans[0].length, 2);
    assert_true(h->positive[1] == 2 && h->negative[0] == 4 && h->zero_threshold == 0.5);
    assert_int_equal(h->negative_spans[0].offset, 5);
    assert_int_equal(v[7].histogram->schema, TSDB_SCHEMA_CUSTOM);
    assert_int_equal(v[7].histogram->bound_count, 2);
    sx_arena_done(&arena);
}

/* --- Broken text and failing memory. */

/* All that can be done with a query; returns the parser's status. */
static sx_status use(sx_str text)
{
    sx_arena arena;
    sx_error err = {0};
    promql_parsed p;
    sx_arena_init(&arena, 0, 0);
    promql_parse_options options = {.features = EVERY};
    sx_status status = promql_parse(text, &options, &arena, &p, &err);
    if (status == SX_OK) {
        sx_buf out;
        sx_buf_init(&out, 0);
        status = promql_print(p.expr, &out, &err);
        sx_buf_clear(&out);
        if (status == SX_OK)
            status = promql_format(p.expr, &out, &err);
        sx_buf_clear(&out);
        if (status == SX_OK)
            status = promql_json(p.expr, &out, &err);
        sx_buf_done(&out);
    } else {
        assert_true(err.message[0]);
    }
    promql_parsed_done(&p);
    sx_arena_done(&arena);
    return status;
}

static void test_text_cut_or_changed_at_every_byte(void **state)
{
    (void)state;
    for (size_t q = 0; q < SX_COUNT_OF(QUERIES); q++) {
        size_t len = strlen(QUERIES[q]);
        for (size_t i = 0; i <= len; i++) {
            /* Its own block shows a sanitizer any read behind the end. */
            char *copy = malloc(len + 1);
            assert_non_null(copy);
            memcpy(copy, QUERIES[q], i);
            char *exact = realloc(copy, i ? i : 1);
            use(sx_str_of(exact, i));
            free(exact);
            if (i == len)
                break;
            char changed[512];
            for (int c = 0; c < 256; c += 3) {
                memcpy(changed, QUERIES[q], len);
                changed[i] = (char)c;
                use(sx_str_of(changed, len));
            }
        }
    }
}

static void test_memory_that_fails_at_every_allocation(void **state)
{
    (void)state;
    for (size_t q = 0; q < SX_COUNT_OF(QUERIES); q++) {
        sx_status status = SX_ENOMEM;
        for (int64_t nth = 1; status != SX_OK && nth < 5000; nth++) {
            sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
            status = use(sx_str_z(QUERIES[q]));
            assert_int_equal(sx_fault_alloc_held(), 0);
            if (status != SX_OK && status != SX_ENOMEM)
                fail_msg("query %zu, allocation %d: %s", q, (int)nth, sx_status_name(status));
        }
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(status, SX_OK);
    }
}

static void test_an_error_told_without_memory(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "a{b=~\"(\",c=~\".x.\"}", "a \"xyz", "sum(a \"long string\")", "foo(1)",   "1__0",
        "a{b=\"\\q\"}",           "a ! b",   "a{b=~\"x.y\"}[5m:0s]",   "by (\"\")"};
    for (size_t i = 0; i < SX_COUNT_OF(bad); i++) {
        for (int64_t nth = 1; nth < 60; nth++) {
            sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
            sx_status status = use(sx_str_z(bad[i]));
            assert_int_equal(sx_fault_alloc_held(), 0);
            assert_true(status == SX_EFORMAT || status == SX_ENOMEM);
        }
        sx_fault_alloc_set((sx_fault_alloc){0});
    }
}

static void test_a_series_cut_at_every_byte_and_without_memory(void **state)
{
    (void)state;
    sx_str text = SX_STR("a{b=\"c\",\"d.e\"='f'} 1+2x3 _x2 stale -1-2x1 inf {{schema:0 sum:-0.3 "
                         "buckets:[5.1 10 Inf] offset:-3 counter_reset_hint:reset}}+{{count:1 "
                         "sum:2}}x3 {{ }} {{count:1}}x2");
    sx_status status = SX_ENOMEM;
    for (int64_t nth = 0; nth <= (int64_t)text.len || status != SX_OK; nth++) {
        sx_arena arena;
        tsdb_labels labels;
        promql_test_value *v;
        size_t count;
        sx_error err = {0};
        sx_arena_init(&arena, 256, 0);
        promql_parse_series(sx_str_first(text, (size_t)nth), &arena, &labels, &v, &count, &err);
        sx_arena_done(&arena);
        if (status != SX_OK) {
            sx_arena_init(&arena, 256, 0);
            sx_fault_alloc_set((sx_fault_alloc){.nth = nth + 1});
            status = promql_parse_series(text, &arena, &labels, &v, &count, &err);
            sx_fault_alloc_set((sx_fault_alloc){0});
            sx_arena_done(&arena);
            if (status != SX_OK && status != SX_ENOMEM)
                fail_msg("%s", err.message);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_function_has_a_row_that_is_found_by_its_name),
        cmocka_unit_test(test_power_binds_to_the_right_and_tighter_than_a_sign),
        cmocka_unit_test(test_modifiers_are_kept_at_the_selector),
        cmocka_unit_test(test_the_end_of_an_aggregation_is_its_parenthesis),
        cmocka_unit_test(test_duration_arithmetic_stays_an_expression),
        cmocka_unit_test(test_errors_tell_the_place_and_what_was_expected),
        cmocka_unit_test(test_all_errors_of_types_are_told_if_wanted),
        cmocka_unit_test(test_experimental_things_need_their_feature),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_durations_are_read_and_printed),
        cmocka_unit_test(test_a_series_is_expanded),
        cmocka_unit_test(test_text_cut_or_changed_at_every_byte),
        cmocka_unit_test(test_memory_that_fails_at_every_allocation),
        cmocka_unit_test(test_an_error_told_without_memory),
        cmocka_unit_test(test_a_series_cut_at_every_byte_and_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
