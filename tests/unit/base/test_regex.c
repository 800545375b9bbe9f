/* test_regex.c - regular expressions: the simple plans against RE2 itself, groups, replacement. */
#include <sextant/regex.h>

#include <pthread.h>
#include <stdio.h>

#include <sextant/random.h>

#include "base/fault.h"
#include "base/regex_plan.h"
#include "base/regex_shim.h"
#include "tests/unit/base/cmocka_all.h"

static sx_regex *compile(const char *pattern, unsigned flags)
{
    sx_regex *re = NULL;
    sx_error err = {0};
    const sx_regex_options options = {.flags = flags};
    if (sx_regex_new(&re, sx_str_z(pattern), &options, &err) != SX_OK)
        fail_msg("%s", err.message);
    return re;
}

static bool matches(const char *pattern, const char *subject)
{
    sx_regex *re = compile(pattern, 0);
    bool yes = sx_regex_match(re, sx_str_z(subject));
    sx_regex_free(re);
    return yes;
}

static bool finds(const char *pattern, const char *subject)
{
    sx_regex *re = compile(pattern, 0);
    bool yes = sx_regex_search(re, sx_str_z(subject));
    sx_regex_free(re);
    return yes;
}

static void test_a_match_is_of_the_whole_subject(void **state)
{
    (void)state;
    assert_true(matches("", ""));
    assert_false(matches("", "x"));
    assert_true(matches("a.c", "abc"));
    assert_false(matches("a.c", "xabc"));
    assert_true(matches("a|ab", "ab"));
    assert_true(matches("api-.*", "api-7"));
    assert_true(matches(".+", "x"));
    assert_false(matches(".+", ""));
    assert_true(matches("(?i)GeT", "get"));
    assert_true(matches("a.b", "a\nb"));
    assert_true(matches("a.*b", "a\n\nb"));
}

static void test_a_search_looks_anywhere(void **state)
{
    (void)state;
    assert_true(finds("err", "an error"));
    assert_false(finds("^err", "an error"));
    assert_true(finds("ror$", "an error"));
    assert_true(finds("r[or]+$", "an error"));
    assert_true(finds("", ""));
    assert_false(finds(".+x", "x"));
    assert_true(finds(".+x", "xx"));
}

static void test_dots_may_stop_at_a_newline(void **state)
{
    (void)state;
    sx_regex *re = compile("a.*", SX_REGEX_DOT_NO_LINE);
    assert_true(sx_regex_match(re, SX_STR("abc")));
    assert_false(sx_regex_match(re, SX_STR("a\nc")));
    sx_regex_free(re);
}

static void test_caseless_matches_either_case(void **state)
{
    (void)state;
    sx_regex *re = compile("caf\xc3\xa9|th\xc3\xa9", SX_REGEX_CASELESS);
    assert_true(sx_regex_match(re, SX_STR("CAF\xc3\x89")));
    assert_true(sx_regex_match(re, SX_STR("Th\xc3\xa9")));
    assert_false(sx_regex_match(re, SX_STR("tea")));
    sx_regex_free(re);
}

static void test_simple_patterns_are_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        bool is_fast;
        size_t count;
    } CASES[] = {
        {"", true, 1},         {"GET", true, 1},        {"GET|POST", true, 2},
        {"(a|b|c)", true, 3},  {"(?:a|b)", true, 2},    {"foo.*", true, 1},
        {".*foo", true, 1},    {".*foo.*", true, 1},    {".+", true, 1},
        {"(.*)", true, 1},     {"^a$", true, 1},        {"a\\.b", true, 1},
        {"5(0|1|2)", true, 3}, {"a(b|c)d.*", true, 2},  {"^(a|b)$", true, 2},
        {"(a|)", true, 2},     {"a]}", true, 1},        {"a*", false, 0},
        {"a.c", false, 0},     {"[ab]", false, 0},      {"a|b.*", false, 0},
        {"^a|b", false, 0},    {"a|b$", false, 0},      {"\\d", false, 0},
        {"(a)(b)", false, 0},  {".*a|b", false, 0},     {"(?i)a", false, 0},
        {"ab+", false, 0},     {"a.*b", false, 0},      {".*?", false, 0},
        {".*.*", false, 0},    {"(a)*", false, 0},      {"a{2}", false, 0},
        {"((a))", false, 0},   {"\\Qa.b\\E", false, 0}, {"a\\", false, 0},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_arena arena;
        sx_regex_plan plan;
        sx_arena_init(&arena, 0, 0);
        assert_true(sx_regex_plan_make(&plan, sx_str_z(CASES[i].pattern), true, &arena));
        if (plan.is_fast != CASES[i].is_fast || (plan.is_fast && plan.count != CASES[i].count))
            fail_msg("%s: fast %d, %zu literals", CASES[i].pattern, plan.is_fast, plan.count);
        sx_arena_done(&arena);
    }
}

/* A pattern from pieces that are likely to be simple, and a subject from the same letters. */
static sx_str random_text(sx_random *r, const char *const *pieces, size_t count, char *out,
                          size_t cap)
{
    size_t len = 0, parts = sx_random_below(r, 8);
    for (size_t i = 0; i < parts; i++) {
        const char *piece = pieces[sx_random_below(r, count)];
        size_t n = strlen(piece);
        if (len + n > cap)
            break;
        memcpy(out + len, piece, n);
        len += n;
    }
    return sx_str_of(out, len);
}

/* The oracle: RE2 alone must answer every question as we do, simple pattern or not. */
static void test_plans_answer_as_re2_does(void **state)
{
    (void)state;
    static const char *const PATTERN[] = {
        "a", "b",     "ab", "\xc3\xa9", ".*",  ".+", "|", "(", ")", "^",   "$",   "(?:", "\\.",
        ".", "(a|b)", "a|", "*",        "\\n", "\n", "-", "{", "]", "\\-", "\\<", "\\_"};
    static const char *const SUBJECT[] = {"a", "b", "ab", "\xc3\xa9", "\n", ".", "-", "", "x"};
    sx_random r;
    sx_random_seed(&r, 20240115);
    size_t fast = 0, compiled = 0;
    for (int round = 0; round < 60000; round++) {
        char pattern_text[64], subject_text[64];
        sx_str pattern = random_text(&r, PATTERN, SX_COUNT_OF(PATTERN), pattern_text, 64);
        bool dots_are_all = round % 4 != 0;
        sx_arena arena;
        sx_regex_plan plan;
        sx_arena_init(&arena, 0, 0);
        assert_true(sx_regex_plan_make(&plan, pattern, dots_are_all, &arena));
        if (plan.is_fast) {
            const sx_re2_options options = {1 << 20, false, dots_are_all, false};
            sx_re2_fault fault;
            char message[128];
            sx_re2 *re2 = sx_re2_new(pattern, &options, &fault, message, sizeof(message));
            if (!re2)
                fail_msg("'%.*s' is simple to us and '%s' to RE2", SX_ARG(pattern), message);
            fast++;
            for (int i = 0; i < 12; i++) {
                sx_str s = random_text(&r, SUBJECT, SX_COUNT_OF(SUBJECT), subject_text, 64);
                if (sx_regex_plan_match(&plan, s) != sx_re2_match(re2, s, 0, true, NULL, 0) ||
                    sx_regex_plan_search(&plan, s) != sx_re2_match(re2, s, 0, false, NULL, 0))
                    fail_msg("'%.*s' on '%.*s'", SX_ARG(pattern), SX_ARG(s));
            }
            sx_re2_free(re2);
            compiled++;
        }
        sx_arena_done(&arena);
    }
    assert_true(fast > 10000 && compiled == fast);
}

static void test_long_alternations_are_looked_up(void **state)
{
    (void)state;
    char pattern[4096];
    int len = 0;
    for (int i = 0; i < 300; i++)
        len += snprintf(pattern + len, sizeof(pattern) - (size_t)len, "%shost-%d", i ? "|" : "", i);
    sx_regex *re = compile(pattern, 0);
    size_t count;
    const sx_str *literals = sx_regex_literals(re, &count);
    assert_int_equal(count, 300);
    assert_true(sx_str_eq(literals[299], SX_STR("host-299")));
    assert_true(sx_regex_match(re, SX_STR("host-123")));
    assert_false(sx_regex_match(re, SX_STR("host-300")));
    assert_true(sx_regex_search(re, SX_STR("on host-7!")));
    assert_false(sx_regex_search(re, SX_STR("on host-x")));
    sx_regex_free(re);
}

static void test_literals_and_prefix_are_told(void **state)
{
    (void)state;
    size_t count;
    sx_regex *re = compile("api\\.v1.*", SX_REGEX_FULL_ONLY);
    assert_null(sx_regex_literals(re, &count));
    assert_int_equal(count, 0);
    assert_true(sx_str_eq(sx_regex_prefix(re), SX_STR("api.v1")));
    assert_true(sx_str_eq(sx_regex_pattern(re), SX_STR("api\\.v1.*")));
    sx_regex_free(re);
    re = compile("[a-c]", 0);
    assert_null(sx_regex_literals(re, &count));
    assert_int_equal(sx_regex_prefix(re).len, 0);
    sx_regex_free(re);
}

static void assert_expands(const char *pattern, const char *subject, const char *text,
                           const char *want)
{
    sx_regex *re = compile(pattern, SX_REGEX_CAPTURES);
    sx_str groups[8];
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_true(sx_regex_capture(re, sx_str_z(subject), SX_REGEX_WHOLE, groups, 8));
    sx_regex_expand(re, sx_str_z(text), groups, 8, &out);
    sx_str got = sx_buf_view(&out);
    if (!sx_str_eq(got, sx_str_z(want)))
        fail_msg("%s: '%.*s', not '%s'", text, SX_ARG(got), want);
    sx_buf_done(&out);
    sx_regex_free(re);
}

/* The rules of Go's Regexp.Expand, which relabelling and label_replace are made of. */
static void test_references_expand_as_in_go(void **state)
{
    (void)state;
    assert_expands("(.*)", "value", "$1", "value");
    assert_expands("(.*)", "", "<$1>", "<>");
    assert_expands("(.*):(.*)", "host:80", "${1}-$2", "host-80");
    assert_expands("(.*):(.*)", "host:80", "$1x", ""); /* the name is 1x */
    assert_expands("(.*):(.*)", "host:80", "${1}x$$", "hostx$");
    assert_expands("(?P<h>.*):.*", "host:80", "$h/${h}", "host/host");
    assert_expands("(?<h>[(?<]*).*", "host:80", "[$h]", "[]");
    assert_expands("(?<h>.*):.*", "host:80", "$h", "host");
    assert_expands("(a)|(b)", "b", "$1$2$3$9", "b");
    assert_expands("a", "a", "$ ${ ${} $- $0 $", "$ ${ ${} $- a $");
    assert_expands("(a)", "a", "$01|${1", "|${1");
}

static void test_groups_that_took_no_part_have_no_data(void **state)
{
    (void)state;
    sx_regex *re = compile("x(a)?(b*)", SX_REGEX_CAPTURES);
    sx_str groups[5];
    assert_int_equal(sx_regex_group_count(re), 2);
    assert_true(sx_regex_capture(re, SX_STR("--x--"), SX_REGEX_ANYWHERE, groups, 5));
    assert_true(sx_str_eq(groups[0], SX_STR("x")));
    assert_null(groups[1].data);
    assert_non_null(groups[2].data);
    assert_null(groups[3].data);
    assert_false(sx_regex_capture(re, SX_STR("--x--"), SX_REGEX_WHOLE, groups, 5));
    sx_regex_free(re);
    re = compile("(?P<one>a)(?<two>b)", SX_REGEX_CAPTURES);
    assert_int_equal(sx_regex_group_index(re, SX_STR("two")), 2);
    assert_int_equal(sx_regex_group_index(re, SX_STR("three")), -1);
    sx_regex_free(re);
}

static void assert_replaces(const char *pattern, const char *subject, const char *text,
                            const char *want)
{
    sx_regex *re = compile(pattern, SX_REGEX_CAPTURES);
    sx_buf out;
    sx_buf_init(&out, 0);
    sx_regex_replace_all(re, sx_str_z(subject), sx_str_z(text), &out);
    sx_str got = sx_buf_view(&out);
    if (!sx_str_eq(got, sx_str_z(want)))
        fail_msg("%s in %s: '%.*s', not '%s'", pattern, subject, SX_ARG(got), want);
    sx_buf_done(&out);
    sx_regex_free(re);
}

static void test_all_matches_are_replaced_as_in_go(void **state)
{
    (void)state;
    assert_replaces("b+", "abbcb", "<$0>", "a<bb>c<b>");
    assert_replaces("x*", "abxd", "-", "-a-b-d-");
    assert_replaces("", "h\xc3\xa9", "-", "-h-\xc3\xa9-");
    assert_replaces("^a", "aaa", "b", "baa");
    assert_replaces("a$", "aaa", "b", "aab");
    assert_replaces("(\\w+)@(\\w+)", "me@home you@work", "$2.$1", "home.me work.you");
    assert_replaces("z", "", "x", "");
    assert_replaces("", "", "x", "x");
}

static void test_a_bad_pattern_is_named_in_the_error(void **state)
{
    (void)state;
    static const char *const BAD[] = {"(", "a**", "[z-a]", "\\", "(?<=a)", "a{1001}", "*", "(?P<n"};
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        sx_regex *re;
        sx_error err = {0};
        if (sx_regex_new(&re, sx_str_z(BAD[i]), NULL, &err) != SX_EFORMAT)
            fail_msg("%s is taken", BAD[i]);
        assert_non_null(strstr(err.message, BAD[i]));
    }
    sx_regex *re;
    sx_error err = {0};
    assert_int_equal(sx_regex_new(&re, SX_STR("a\xff"), NULL, &err), SX_EFORMAT);
    assert_non_null(strstr(err.message, "not UTF-8 at byte 1"));
}

static void test_limits_hold(void **state)
{
    (void)state;
    sx_regex *re;
    sx_error err = {0};
    sx_regex_options options = {.pattern_bytes_max = 5};
    assert_int_equal(sx_regex_new(&re, SX_STR("abcdef"), &options, &err), SX_ELIMIT);
    options = (sx_regex_options){.memory_max = 20000};
    assert_int_equal(sx_regex_new(&re, SX_STR("\\pL{500}"), &options, &err), SX_ELIMIT);
    assert_non_null(strstr(err.message, "needs more than 20000 bytes"));
}

static void test_every_failing_allocation_is_told(void **state)
{
    (void)state;
    static const char *const PATTERNS[] = {"a(b|c)d", "(?<n>a[b]*)",
                                           "a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q"};
    for (size_t i = 0; i < SX_COUNT_OF(PATTERNS); i++) {
        for (int64_t nth = 1;; nth++) {
            sx_regex *re = NULL;
            sx_error err = {0};
            sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
            sx_status status = sx_regex_new(&re, sx_str_z(PATTERNS[i]), NULL, &err);
            bool reached = sx_fault_alloc_calls() >= nth;
            sx_regex_free(status == SX_OK ? re : NULL);
            assert_int_equal(sx_fault_alloc_held(), 0);
            sx_fault_alloc_set((sx_fault_alloc){0});
            assert_int_equal(status, reached ? SX_ENOMEM : SX_OK);
            if (!reached)
                break;
        }
    }
}

static void *match_often(void *arg)
{
    const sx_regex *re = arg;
    for (int i = 0; i < 3000; i++) {
        sx_str groups[2];
        sx_assert(sx_regex_capture(re, SX_STR("key=value"), SX_REGEX_ANYWHERE, groups, 2));
        sx_assert(sx_str_eq(groups[1], SX_STR("value")));
        sx_assert(!sx_regex_match(re, SX_STR("key:value")));
    }
    return NULL;
}

static void test_threads_share_one_expression(void **state)
{
    (void)state;
    sx_regex *re = compile("[a-z]+=([a-z]+)", SX_REGEX_CAPTURES);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_often, re), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    sx_regex_free(re);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_match_is_of_the_whole_subject),
        cmocka_unit_test(test_a_search_looks_anywhere),
        cmocka_unit_test(test_dots_may_stop_at_a_newline),
        cmocka_unit_test(test_caseless_matches_either_case),
        cmocka_unit_test(test_simple_patterns_are_recognised),
        cmocka_unit_test(test_plans_answer_as_re2_does),
        cmocka_unit_test(test_long_alternations_are_looked_up),
        cmocka_unit_test(test_literals_and_prefix_are_told),
        cmocka_unit_test(test_references_expand_as_in_go),
        cmocka_unit_test(test_groups_that_took_no_part_have_no_data),
        cmocka_unit_test(test_all_matches_are_replaced_as_in_go),
        cmocka_unit_test(test_a_bad_pattern_is_named_in_the_error),
        cmocka_unit_test(test_limits_hold),
        cmocka_unit_test(test_every_failing_allocation_is_told),
        cmocka_unit_test(test_threads_share_one_expression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
