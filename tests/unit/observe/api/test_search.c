/* test_search.c - what is typed finds names in the order in which a person would look at them. */
#include "tests/unit/base/cmocka_all.h"

#include <math.h>

#include "base/fault.h"
#include "observe/api/search_score.h"

typedef struct score_row {
    const char *term, *value;
    bool passes;
    double score;
} score_row;

static void check(const api_search_options *options, const score_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        api_search s;
        sx_error err = {0};
        sx_str term = sx_str_z(rows[i].term);
        double score = -1;
        assert_int_equal(api_search_init(&s, options, &term, 1, &err), SX_OK);
        bool passes = api_search_score(&s, sx_str_z(rows[i].value), &score);
        if (passes != rows[i].passes || (passes && fabs(score - rows[i].score) > 1e-12))
            fail_msg("%s in %s: %d, %.17g", rows[i].term, rows[i].value, passes, score);
        api_search_done(&s);
    }
}

static void test_subsequences_score_by_their_runs(void **state)
{
    (void)state;
    static const score_row ROWS[] = {
        {"up", "up", true, 1},
        {"up", "up_total", true, 1},    /* at its start */
        {"abc", "acb", false, 0},       /* not in order */
        {"abcd", "abc", false, 0},      /* too long */
        {"b", "ab", true, 0.5 * 0.999}, /* a gap of one of two before it */
        {"ac", "abc", true, (2 - 1.0 / 3) / 4 * 0.999},
        {"ab", "xaby", true, (4 - 1.0 / 4 - 0.5 / 4) / 4 * 0.999},
        {"ab", "axab", true, (4 - 2.0 / 4) / 4 * 0.999}, /* the better of two places */
        {"ä", "xä", true, 0.5 * 0.999},                  /* characters, not bytes */
        {"", "anything", true, 1},
    };
    check(&(api_search_options){0}, ROWS, SX_COUNT_OF(ROWS));
    static const score_row STRICT[] = {{"ac", "abc", false, 0}, {"ab", "abc", true, 1}};
    check(&(api_search_options){.threshold = 0.9}, STRICT, SX_COUNT_OF(STRICT));
}

static void test_parts_score_by_their_place_and_others_by_likeness(void **state)
{
    (void)state;
    static const score_row PARTS[] = {
        {"up", "up_total", true, 1},
        {"total", "up_total", true, 0.1},
        {"b", "abc", true, 1 - 0.9 / 2},
        {"martha", "marhta", false, 0},
    };
    check(&(api_search_options){.jaro_winkler = true}, PARTS, SX_COUNT_OF(PARTS));
    /* The examples of Winkler's paper. */
    static const score_row LIKE[] = {
        {"martha", "marhta", true, 0.9611111111111111},
        {"dixon", "dicksonx", true, 0.8133333333333332},
        {"jones", "johnson", true, 0.8323809523809523},
        {"abc", "xyz", false, 0},
    };
    check(&(api_search_options){.jaro_winkler = true, .threshold = 0.5}, LIKE, SX_COUNT_OF(LIKE));
}

static void test_letters_are_folded_if_asked(void **state)
{
    (void)state;
    static const score_row ROWS[] = {{"UP", "up", true, 1}, {"ÄÖ", "äöx", true, 1}};
    static const score_row EXACT[] = {{"UP", "up", false, 0}};
    check(&(api_search_options){.fold_case = true}, ROWS, SX_COUNT_OF(ROWS));
    check(&(api_search_options){0}, EXACT, SX_COUNT_OF(EXACT));
}

static void test_any_term_will_do_and_the_best_counts(void **state)
{
    (void)state;
    api_search s;
    double score;
    const sx_str terms[] = {SX_STR("zzz"), SX_STR(""), SX_STR("b"), SX_STR("ab")};
    assert_int_equal(api_search_init(&s, &(api_search_options){0}, terms, 4, NULL), SX_OK);
    assert_int_equal(s.term_count, 3);
    assert_true(api_search_score(&s, SX_STR("abc"), &score));
    assert_true(score == 1);
    assert_false(api_search_score(&s, SX_STR("q"), &score));
    api_search_done(&s);
}

static void test_long_texts_take_bounded_time(void **state)
{
    (void)state;
    static char text[1 << 20];
    memset(text, 'a', sizeof text);
    api_search s;
    double score;
    const sx_str term = sx_str_of(text, 100000);
    for (int i = 0; i < 2; i++) {
        const api_search_options options = {.jaro_winkler = i, .threshold = 0.1};
        assert_int_equal(api_search_init(&s, &options, &term, 1, NULL), SX_OK);
        text[0] = 'b';
        (void)api_search_score(&s, sx_str_of(text, sizeof text), &score);
        text[0] = 'a';
        api_search_done(&s);
    }
}

static void test_without_memory_it_is_refused(void **state)
{
    (void)state;
    const sx_str terms[] = {SX_STR("Abc"), SX_STR("d")};
    bool over = false;
    for (int64_t nth = 1; !over; nth++) {
        api_search s;
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status =
            api_search_init(&s, &(api_search_options){.fold_case = true}, terms, 2, &err);
        over = sx_fault_alloc_calls() < nth;
        api_search_done(&s);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(status, over ? SX_OK : SX_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subsequences_score_by_their_runs),
        cmocka_unit_test(test_parts_score_by_their_place_and_others_by_likeness),
        cmocka_unit_test(test_letters_are_folded_if_asked),
        cmocka_unit_test(test_any_term_will_do_and_the_best_counts),
        cmocka_unit_test(test_long_texts_take_bounded_time),
        cmocka_unit_test(test_without_memory_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
