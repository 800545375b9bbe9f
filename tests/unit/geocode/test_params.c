/* test_params.c - Addok's query strings, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/fault.h"
#include "geocode/api/params.h"
#include "geocode/search/search.h"

static const char *const FILTERS[] = {"type", "citycode", "postcode", NULL};
static const geo_params_rules SEARCH = {FILTERS, 100, false};
static const geo_params_rules REVERSE = {FILTERS, 0, true};

typedef struct fixture {
    sx_arena arena;
    geo_params params;
    geo_refusal refusal;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_arena_init(&f->arena, 0, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_arena_done(&f->arena);
    free(f);
    return 0;
}

static sx_status read_query(fixture *f, const char *query, const geo_params_rules *rules)
{
    f->refusal = (geo_refusal){0};
    return geo_params_read(&f->arena, sx_str_z(query), rules, &f->params, &f->refusal);
}

static void expect_str(sx_str got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.data, want, got.len);
}

static void test_refusals_name_the_parameter(void **state)
{
    static const struct {
        const char *query, *title, *description;
        bool reverse;
    } CASES[] = {
        {"", "Missing parameter", "The \"q\" parameter is required.", false},
        {"q=", "Missing parameter", "The \"q\" parameter is required.", false},
        {"q=a&limit=", "Invalid parameter",
         "The \"limit\" parameter is invalid. The value must be an integer.", false},
        {"q=a&limit=1.5", "Invalid parameter",
         "The \"limit\" parameter is invalid. The value must be an integer.", false},
        {"q=a&limit=1__0", "Invalid parameter",
         "The \"limit\" parameter is invalid. The value must be an integer.", false},
        {"q=a&limit=-1", "Invalid parameter",
         "The \"limit\" parameter is invalid. out of range (1..100)", false},
        {"q=a&limit=99999999999999999999999", "Invalid parameter",
         "The \"limit\" parameter is invalid. out of range (1..100)", false},
        {"q=a&autocomplete=TRUE", "Invalid parameter",
         "The \"autocomplete\" parameter is invalid. The value of the parameter must be \"true\" or "
         "\"false\".",
         false},
        {"q=a&lat=&lon=", "Invalid parameter", "The \"lat\" parameter is invalid. invalid value",
         false},
        {"q=a&lat=0x10&lon=1", "Invalid parameter",
         "The \"lat\" parameter is invalid. invalid value", false},
        {"q=a&lat=nan&lon=1", "Invalid parameter", "The \"lat\" parameter is invalid. out of range",
         false},
        {"q=a&lat=95&lon=-190", "Invalid parameter",
         "The \"lon\" parameter is invalid. out of range", false},
        {"lat=1", "Missing parameter", "The \"lon\" parameter is required.", true},
        {"lon=1", "Missing parameter", "The \"lat\" parameter is required.", true},
    };
    fixture *f = *state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        assert_int_equal(read_query(f, CASES[i].query, CASES[i].reverse ? &REVERSE : &SEARCH),
                         SX_EINVAL);
        assert_int_equal(f->refusal.status, 400);
        expect_str(f->refusal.title, CASES[i].title);
        expect_str(f->refusal.description, CASES[i].description);
    }
}

static void test_numbers_are_read_as_python_does(void **state)
{
    fixture *f = *state;
    assert_int_equal(read_query(f, "q=a&limit=%2B1_0&lat=+.5e1&lng=-1_2.&long=7", &SEARCH), SX_OK);
    assert_int_equal(f->params.limit, 10);
    assert_true(f->params.has_lat && f->params.has_lon);
    assert_true(f->params.lat == 5 && f->params.lon == -12);
    assert_int_equal(read_query(f, "lat=1&lon=2&limit=-1", &REVERSE), SX_OK);
    assert_int_equal(f->params.limit, -1);
}

static void test_better_is_all_parts_and_each_part_overrides_it(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *query;
        uint32_t better;
    } ROWS[] = {
        {"q=a", 0},
        {"q=a&better=0", 0},
        {"q=a&better=1", GEO_BETTER_ALL},
        {"q=a&better=", GEO_BETTER_ALL}, /* an empty value is a yes, as for autocomplete */
        {"q=a&interpolate=0&better=1", GEO_BETTER_ALL & ~GEO_BETTER_INTERPOLATE},
        {"q=a&typos=1", GEO_BETTER_TYPOS},
        {"q=a&typos=2", GEO_BETTER_TYPOS | GEO_BETTER_TYPOS_TWO},
        {"q=a&typos=1&better=1", GEO_BETTER_ALL & ~GEO_BETTER_TYPOS_TWO},
        {"q=a&postcode_tolerance=1&city_tolerance=yes", GEO_BETTER_POSTCODE | GEO_BETTER_CITY},
        {"q=a&split_join=true&word_order=t", GEO_BETTER_SPLIT_JOIN | GEO_BETTER_WORD_ORDER},
        {"q=a&any_distance=on", GEO_BETTER_ANY_DISTANCE},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        assert_int_equal(read_query(f, ROWS[i].query, &SEARCH), SX_OK);
        assert_int_equal(f->params.better, ROWS[i].better);
        assert_false(f->params.explain);
    }
    assert_int_equal(read_query(f, "q=a&explain=1", &SEARCH), SX_OK);
    assert_true(f->params.explain && !f->params.better);
    static const struct {
        const char *query, *description;
    } BAD[] = {
        {"q=a&better=2", "The \"better\" parameter is invalid. The value of the parameter must be "
                         "\"true\" or \"false\"."},
        {"q=a&typos=3", "The \"typos\" parameter is invalid. The value must be 0, 1 or 2."},
        {"q=a&typos=", "The \"typos\" parameter is invalid. The value must be 0, 1 or 2."},
        {"q=a&typos=-1", "The \"typos\" parameter is invalid. The value must be 0, 1 or 2."},
        {"q=a&explain=maybe", "The \"explain\" parameter is invalid. The value of the parameter "
                              "must be \"true\" or \"false\"."},
        {"q=a&interpolate=x", "The \"interpolate\" parameter is invalid. The value of the "
                              "parameter must be \"true\" or \"false\"."},
    };
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        assert_int_equal(read_query(f, BAD[i].query, &SEARCH), SX_EINVAL);
        assert_int_equal(f->refusal.status, 400);
        expect_str(f->refusal.description, BAD[i].description);
    }
}

static void test_the_last_q_counts_and_filters_gather(void **state)
{
    fixture *f = *state;
    assert_int_equal(read_query(f,
                                "q=lyon&q=lille&postcode=1+2++2&postcode=3&type=&citycode=%20"
                                "&unknown=1&autocomplete=",
                                &SEARCH),
                     SX_OK);
    expect_str(f->params.q, "lille");
    assert_true(f->params.autocomplete);
    assert_int_equal(f->params.filters[2].count, 4);
    expect_str(f->params.filters[2].values[3], "3");
    assert_true(f->params.filters[0].given);
    assert_int_equal(f->params.filters[0].count, 1);
    expect_str(f->params.filters[0].values[0], "");
    assert_true(f->params.filters[1].given);
    assert_int_equal(f->params.filters[1].count, 0);
}

static void test_too_many_filter_values_are_refused(void **state)
{
    fixture *f = *state;
    char query[400] = "q=a&type=";
    memset(query + 9, '+', 300);
    for (int i = 0; i < 300; i += 2)
        query[9 + i] = 'x';
    assert_int_equal(read_query(f, query, &SEARCH), SX_EINVAL);
    expect_str(f->refusal.description, "The \"type\" parameter is invalid. more than 64 values");
}

static void test_broken_escapes_stay_and_broken_utf8_is_replaced(void **state)
{
    fixture *f = *state;
    expect_str(geo_decode_lenient(&f->arena, SX_STR("%zz%4")), "%zz%4");
    expect_str(geo_decode_lenient(&f->arena, SX_STR("lyon%ff")), "lyon\xef\xbf\xbd");
    expect_str(geo_decode_lenient(&f->arena, SX_STR("%c3%a9+%E2%82%AC")), "é €");
    expect_str(geo_decode_lenient(&f->arena, SX_STR("%ed%a0%80")),
               "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    expect_str(geo_decode_lenient(&f->arena, SX_STR("%f0%9f%98%80")), "\xf0\x9f\x98\x80");
    assert_int_equal(geo_decode_lenient(&f->arena, SX_STR("a%00b")).len, 3);
}

/* Cut anywhere, the query is read or refused; what memory there is or not. */
static void test_every_cut_and_every_failed_allocation(void **state)
{
    fixture *f = *state;
    static const char QUERY[] =
        "q=12%20rue%20de%20l%C3%A9&limit=5&lat=48.85&lon=2.35&postcode=75002";
    for (size_t len = 0; len < sizeof(QUERY); len++) {
        char cut[sizeof(QUERY)] = {0};
        memcpy(cut, QUERY, len);
        read_query(f, cut, &SEARCH);
    }
    for (int64_t nth = 1; nth < 6; nth++) {
        sx_arena_done(&f->arena);
        sx_arena_init(&f->arena, 16, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = read_query(f, QUERY, &SEARCH);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(status, SX_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusals_name_the_parameter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_numbers_are_read_as_python_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_better_is_all_parts_and_each_part_overrides_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_last_q_counts_and_filters_gather, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_filter_values_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broken_escapes_stay_and_broken_utf8_is_replaced,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_cut_and_every_failed_allocation, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
