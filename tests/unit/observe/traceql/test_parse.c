/* test_parse.c - which TraceQL is taken, which is refused with which words, and what goes to the
 * store. */
#include "tests/unit/base/cmocka_all.h"

#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/traceql/traceql.h"

/* What each prints as. */
static const struct {
    const char *text, *printed;
} GOOD[] = {
    {"{}", "{ true }"},
    {"{ }", "{ true }"},
    {"{ .shop.id = 7 }", "{ .shop.id = 7 }"},
    {"{ span.oven = \"deck\" && resource.site != `north` }",
     "{ (span.oven = `deck`) && (resource.site != `north`) }"},
    {"{ duration > 1h30m2s5ms }", "{ duration > 1h30m2s5ms }"},
    {"{ duration > 1.5ms }", "{ duration > 1ms500us }"},
    {"{ span:duration >= 2us }", "{ duration >= 2us }"},
    {"{ trace:duration < 100ns || traceDuration = 1d }",
     "{ (traceDuration < 100ns) || (traceDuration = 24h) }"},
    {"{ status = error && kind != server }", "{ (status = error) && (kind != server) }"},
    {"{ .a = 1 || .b = 2 && .c = 3 }", "{ ((.a = 1) || (.b = 2)) && (.c = 3) }"},
    {"{ .a + 2 * .b ^ 2 ^ 3 > -1 }", "{ (.a + (2 * (.b ^ (2 ^ 3)))) > (-1) }"},
    {"{ -.a * 2 = 3 }", "{ (-(.a * 2)) = 3 }"},
    {"{ !.a && .b }", "{ (!.a) && .b }"},
    {"{ .a=1 }", "{ .a = 1 }"},
    {"{ .a-b/c=1 }", "{ .a-b/c = 1 }"},
    {"{ .\"a b\".c = 1 }", "{ .\"a b.c\" = 1 }"},
    {"{ span.\"q\\\"\" = 1 }", "{ span.\"q\\\"\" = 1 }"},
    {"{ .a != nil && nil = .b }", "{ (.a != nil) && (.b = nil) }"},
    {"{ parent.span.a = 1 && parent.b = 2 }", "{ (parent.span.a = 1) && (parent.b = 2) }"},
    {"{ parent = nil }", "{ parent = nil }"},
    {"{ event:name = \"x\" && event.a = 1 && event:timeSinceStart < 1s }",
     "{ ((event:name = `x`) && (event.a = 1)) && (event:timeSinceStart < 1s) }"},
    {"{ link:traceID = \"ab\" && link:spanID != \"cd\" && link.k = true }",
     "{ ((link:traceID = `ab`) && (link:spanID != `cd`)) && (link.k = true) }"},
    {"{ instrumentation:name =~ \"go.*\" && instrumentation.v = 1.5 }",
     "{ (instrumentation:name =~ `go.*`) && (instrumentation.v = 1.5) }"},
    {"{ \"\\x41\\u00e9\\n\" = name }", "{ `A\xc3\xa9\n` = name }"},
    {"{.a}>>{.b}", "{ .a } >> { .b }"},
    {"{.a} &>> {.b} !~ {.c}", "({ .a } &>> { .b }) !~ { .c }"},
    {"{.a} > {.b} && {.c} || {.d}", "(({ .a } > { .b }) && { .c }) || { .d }"},
    {"({.a} | count() > 2) && ({.b})", "({ .a } | count() > 2) && { .b }"},
    {"{ .a } | by(.b) | count() > 3 | avg(duration) < 1s | coalesce()", NULL},
    {"{} | select(.a, name, event:name)", "{ true } | select(.a, name, event:name)"},
    {"max(duration) > 2 * 3", "max(duration) > 6"},
    {"{} | min(.a) + 1 < max(.b)", NULL},
    {"{} | rate()", "{ true } | rate()"},
    {"{} | rate() by(name, .b) with(sample=0.1, most_recent=true)",
     "{ true } | rate() by(name,.b) with(sample=0.1,most_recent=true)"},
    {"{} | quantile_over_time(duration, .5, 1) by(name) | topk(3) > 2", NULL},
    {"({} | rate()) / ({.a} | count_over_time()) * 100 > 5", NULL},
    {"2 / 4.0 + ({} | sum_over_time(.a))", NULL},
    {"{} | compare({status=error}, 5, 1, 2)", NULL},
    {"{} | histogram_over_time(duration)", NULL},
    {"{ // all\n true /* of it */ }", "{ true }"},
    {"{ nestedSetParent < 0 }", "{ nestedSetParent < 0 }"},
    {"{ .n = maxInt }", "{ .n = 9223372036854775807 }"},
};

static const struct {
    const char *text, *words; /* the beginning of the message */
} BAD[] = {
    {"", "parse error at line 1, col 1: syntax error: unexpected $end"},
    {"{", "parse error at line 1, col 2: syntax error: unexpected $end"},
    {"{ .a = 1", "parse error at line 1, col 9: syntax error: unexpected $end, expecting }"},
    {"{ .a == 1 }", "parse error at line 1, col 7: syntax error: unexpected ="},
    {"{\n  oven = 1 }", "parse error at line 2, col 3: unknown identifier: oven"},
    {"{ . }", "parse error at line 1, col 4: syntax error: unexpected END_ATTRIBUTE"},
    {"{ .a = \"x }", "parse error at line 1, col 8: literal not terminated"},
    {"{ .a = \"\\q\" }", "parse error at line 1, col 8: invalid char escape"},
    {"{ .\"a }", "parse error at line 1, col 4: unexpected EOF, expecting \""},
    {"{ .\"\\n\" = 1 }", "parse error at line 1, col 6: invalid escape sequence"},
    {"{ .a = 99999999999999999999 }", "parse error at line 1, col 8: parsing"},
    {"{ .a # 1 }", "parse error at line 1, col 6: syntax error: unexpected '#'"},
    {"{ .a = 1 } | nothing()", "parse error at line 1, col 14: syntax error: unexpected nothing"},
    {"{ .a = 1 } + { .b = 1 }", "parse error at line 1, col 12: syntax error: unexpected +"},
    {"{ .a >> 1 }", "parse error at line 1, col 6: syntax error: unexpected >>"},
    {"{} | count()", "parse error at line 1, col 13: syntax error: unexpected $end"},
    {"2 * 3", "parse error at line 1, col 6: syntax error: unexpected $end"},
    {"3 = 2", "parse error at line 1, col 3: syntax error: unexpected ="},
    {"coalesce() | {}", "parse error at line 1, col 1: syntax error: unexpected coalesce"},
    {"{} | rate() + 5", "parse error at line 1, col 13: syntax error: unexpected +"},
    {"{} | topk(3)", "parse error at line 1, col 6: syntax error: unexpected topk"},
    {"{} | rate() | {}", "parse error at line 1, col 15: syntax error: unexpected {"},
    {"({} | rate()) * 10s", "parse error at line 1, col 17: durations"},
    {"({} | rate()) % 2", "parse error at line 1, col 15: syntax error: unexpected %"},
    {"{ trace:kind = server }", "parse error at line 1, col 9: syntax error: unexpected kind"},
    {"{} {}", "parse error at line 1, col 4: syntax error: unexpected {"},
    {"{} with(a)", "parse error at line 1, col 10: syntax error: unexpected ), expecting ="},
    {"{ nil }", "parse error at line 1, col 3: syntax error: unexpected nil"},
    {"{ .a > nil }", "parse error at line 1, col 6: syntax error: nil"},
    {"{ 1 = 1 / /* }", "parse error at line 1, col 11: comment not terminated"},
    {"{ name }", "span filter field expressions must resolve to a boolean: { name }"},
    {"{ name = 3 }", "binary operations must operate on the same type: name = 3"},
    {"{ status > ok }", "illegal operation for the given types: status > ok"},
    {"{ -true }", "illegal operation for the given type: -true"},
    {"{ .a =~ \"[\" }", "invalid regex: `[`"},
    {"{ .a =~ .b }", "invalid type for =~ or !~: .b"},
    {"{ name = nil }", "name=nil is not valid because intrinsics cannot be nil"},
    {"{ resource.service.name = nil }", "resource.service.name=nil is not valid"},
    {"{} | by(1)", "grouping field expressions must reference the span: by(1)"},
    {"{} | max(1) > 2", "aggregate field expressions must reference the span: max(1)"},
    {"{} | max(name) > 2", "aggregate field expressions must resolve to a number type: max(name)"},
    {"{} | rate() | topk(0)", "topk requires a number greater than 0"},
    {"{} | quantile_over_time(duration, 2)", "quantile must be between 0 and 1"},
    {"{} | compare({}) | topk(2)", "`compare()` cannot be used with second stage functions"},
    {"{} | rate() by(.a,.b,.c,.d,.e,.f)", "metrics group by 6 values, but only 5 are supported"},
};

static void test_good_queries_print_the_same_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        sx_error err = {0};
        traceql_query *q = NULL;
        if (traceql_parse(sx_str_z(GOOD[i].text), &q, &err) != SX_OK)
            fail_msg("%s: %s", GOOD[i].text, err.message);
        sx_buf once, twice;
        sx_buf_init(&once, 0);
        sx_buf_init(&twice, 0);
        traceql_print(q, &once);
        traceql_free(q);
        sx_str text = sx_buf_view(&once);
        if (GOOD[i].printed && !sx_str_eq(text, sx_str_z(GOOD[i].printed)))
            fail_msg("%s printed as %.*s", GOOD[i].text, SX_ARG(text));
        if (traceql_parse(text, &q, &err) != SX_OK)
            fail_msg("%.*s: %s", SX_ARG(text), err.message);
        traceql_print(q, &twice);
        assert_true(sx_str_eq(text, sx_buf_view(&twice)));
        traceql_free(q);
        sx_buf_done(&once);
        sx_buf_done(&twice);
    }
}

static void test_bad_queries_say_where_and_what(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        sx_error err = {0};
        traceql_query *q = NULL;
        assert_int_equal(traceql_parse(sx_str_z(BAD[i].text), &q, &err), SX_EFORMAT);
        assert_null(q);
        if (strncmp(err.message, BAD[i].words, strlen(BAD[i].words)) != 0)
            fail_msg("%s: %s", BAD[i].text, err.message);
    }
}

static void test_every_beginning_of_a_query_is_refused_or_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
        for (size_t n = 0; n < strlen(GOOD[i].text); n++) {
            traceql_query *q = NULL;
            traceql_parse(sx_str_of(GOOD[i].text, n), &q, NULL);
            traceql_free(q);
        }
}

static void test_depth_and_size_have_bounds(void **state)
{
    (void)state;
    char text[9000];
    traceql_query *q = NULL;
    memset(text, '(', sizeof text);
    assert_int_equal(traceql_parse(sx_str_of(text, sizeof text), &q, NULL), SX_ELIMIT);
    text[0] = '{';
    memset(text + 1, '!', sizeof text - 1);
    assert_int_equal(traceql_parse(sx_str_of(text, sizeof text), &q, NULL), SX_ELIMIT);
    memset(text + 1, '-', sizeof text - 1);
    assert_int_equal(traceql_parse(sx_str_of(text, sizeof text), &q, NULL), SX_ELIMIT);
    sx_buf chain;
    sx_buf_init(&chain, 0);
    sx_buf_str(&chain, SX_STR("{ .a"));
    for (int i = 0; i < 500; i++)
        sx_buf_str(&chain, SX_STR(" && .b || .c"));
    sx_buf_str(&chain, SX_STR(" }"));
    assert_int_equal(traceql_parse(sx_buf_view(&chain), &q, NULL), SX_OK);
    traceql_free(q);
    sx_buf_done(&chain);
}

/* --- What is pushed. */

static void put_filter(const span_filter *f, sx_buf *out)
{
    static const char *const OPS[] = {"?", "=", "!=", "<", "<=", ">", ">=", "=~", "!~", "text"};
    if (!f) {
        sx_buf_str(out, SX_STR("all"));
        return;
    }
    if (f->kind != FILTER_LEAF) {
        static const char *const KINDS[] = {"", "and", "or", "not"};
        sx_buf_printf(out, "%s(", KINDS[f->kind]);
        for (uint32_t i = 0; i < f->child_count; i++) {
            if (i)
                sx_buf_byte(out, ' ');
            put_filter(f->children[i], out);
        }
        sx_buf_byte(out, ')');
        return;
    }
    if (f->field == FILTER_ATTRIBUTE)
        sx_buf_printf(out, "%u.%.*s", f->place, SX_ARG(f->key));
    else
        sx_buf_printf(out, "f%d", (int)f->field);
    sx_buf_str(out, sx_str_z(OPS[f->op]));
    if (f->op != FILTER_EXISTS)
        span_value_text(&f->value, out);
}

static void test_conditions_are_pushed_as_far_as_no_trace_is_lost(void **state)
{
    static const struct {
        const char *text, *pushed;
        bool exact;
    } CASES[] = {
        {"{}", "all", true},
        {"{ false }", "or()", true},
        {"{ .a = 1 }", "3.a=1", true},
        {"{ 1 < span.a }", "1.a>1", true},
        {"{ resource.service.name = \"x\" && name != \"y\" }", "and(f7=x f1!=y)", true},
        {"{ .a = 1 || .b = 2 || .c }", "or(3.a=1 3.b=2 3.c=true)", true},
        {"{ !(.a = 1 && duration > 1s) }", "not(and(3.a=1 f2>1000000000))", true},
        {"{ .a != nil || .b = nil }", "or(3.a? not(3.b?))", true},
        {"{ .a = 1 && traceDuration > 1s }", "3.a=1", false},
        {"{ .a = 1 || span:childCount > 3 }", "all", false},
        {"{ !(span:childCount > 3) }", "all", false},
        {"{ .a + 1 > .b }", "and(3.a? 3.b?)", false},
        {"{ rootServiceName = \"x\" && rootName =~ \"y.*\" }", "f7=x", false},
        {"{ parent.a = 1 }", "all", false},
        {"{ event.a = 1 && link:spanID = \"00\" && instrumentation:name = \"n\" }",
         "and(8.a=1 f17=00 f12=n)", true},
        {"{ kind = client && status = error }", "and(f6=3 f4=2)", true},
        {"{ kind = client } >> { .a = 1 }", "3.a=1", false},
        {"{ .a = 1 } !>> { kind = client }", "f6=3", false},
        {"{ .a = 1 } || { .b = 1 }", "or(3.a=1 3.b=1)", true},
        {"{ .a = 1 } | { .b = 1 } | count() > 2", "and(3.a=1 3.b=1)", false},
        {"{ .a = 1 } | select(.b)", "3.a=1", true},
        {"count() > 1 | { .a = 1 }", "3.a=1", false},
        {"{ .a = 1 } | rate() by(name) | topk(2)", "3.a=1", true},
        {"({ .a = 1 } | count() > 2) && ({ .b > 1 })", "3.a=1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        sx_error err = {0};
        traceql_query *q = NULL;
        if (traceql_parse(sx_str_z(CASES[i].text), &q, &err) != SX_OK)
            fail_msg("%s: %s", CASES[i].text, err.message);
        sx_buf out;
        bool exact;
        sx_buf_init(&out, 0);
        put_filter(traceql_push(q, &exact), &out);
        sx_str text = sx_buf_view(&out);
        if (!sx_str_eq(text, sx_str_z(CASES[i].pushed)) || exact != CASES[i].exact)
            fail_msg("%s pushes %.*s%s", CASES[i].text, SX_ARG(text), exact ? ", exact" : "");
        sx_buf_done(&out);
        traceql_free(q);
    }
}

static void test_memory_may_run_out_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
        for (int64_t n = 1; n < 1000; n++) {
            traceql_query *q = NULL;
            sx_fault_alloc_set((sx_fault_alloc){.nth = n});
            sx_status status = traceql_parse(sx_str_z(GOOD[i].text), &q, NULL);
            sx_fault_alloc_set((sx_fault_alloc){0});
            traceql_free(q);
            if (status == SX_OK)
                break;
            assert_int_equal(status, SX_ENOMEM);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_queries_print_the_same_twice),
        cmocka_unit_test(test_bad_queries_say_where_and_what),
        cmocka_unit_test(test_every_beginning_of_a_query_is_refused_or_taken),
        cmocka_unit_test(test_depth_and_size_have_bounds),
        cmocka_unit_test(test_conditions_are_pushed_as_far_as_no_trace_is_lost),
        cmocka_unit_test(test_memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
