/* test_api_cache.c - which requests share an answer, how long it is kept, and how many are had. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sextant/mem.h>
#include <sextant/random.h>
#include <sextant/arena.h>

#include "base/fault.h"
#include "geocode/api/cache.h"

static const char *const FILTERS[] = {"type", "citycode", "postcode", NULL};

static const geo_cache_settings USUAL = {.enabled = true,
                                         .bytes_max = 64 << 20,
                                         .value_bytes_max = 64 << 10,
                                         .exact_ttl_ms = 86400000,
                                         .fuzzy_ttl_ms = 3600000,
                                         .not_found_ttl_ms = 300000};

typedef struct fixture {
    sx_fake_clock clock;
    sx_kit kit;
    geo_cache *cache;
    sx_arena arena;
    sx_buf key, value;
} fixture;

static int set_up(void **state)
{
    fixture *f = sx_calloc(1, sizeof(*f));
    assert_non_null(f);
    sx_fake_clock_init(&f->clock, 1700000000000);
    f->kit = (sx_kit){.clock = &f->clock.clock};
    sx_error err = {0};
    assert_int_equal(geo_cache_new(&USUAL, "1", &f->kit, NULL, &f->cache, &err), SX_OK);
    sx_arena_init(&f->arena, 0, 0);
    sx_buf_init(&f->key, 0);
    sx_buf_init(&f->value, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    geo_cache_free(f->cache);
    sx_arena_done(&f->arena);
    sx_buf_done(&f->key);
    sx_buf_done(&f->value);
    sx_free(f);
    return 0;
}

/* The key of a query of /search/, in f->key. */
static sx_str key_of(fixture *f, const char *query)
{
    geo_params params;
    geo_refusal refusal;
    geo_params_rules rules = {FILTERS, GEO_RESULTS_MAX, false};
    assert_int_equal(geo_params_read(&f->arena, sx_str_z(query), &rules, &params, &refusal), SX_OK);
    geo_cache_key(&(geo_cache_asked){1, 0, params.limit ? params.limit : 5, &params, FILTERS},
                  &f->key);
    assert_false(f->key.failed);
    return sx_buf_view(&f->key);
}

static bool share(fixture *f, const char *a, const char *b)
{
    sx_str first = sx_arena_copy(&f->arena, key_of(f, a));
    return sx_str_eq(first, key_of(f, b));
}

static void test_requests_that_mean_the_same_share_an_answer(void **state)
{
    fixture *f = *state;
    assert_true(share(f, "q=rue+de+la+paix", "q=rue%20de%20la%20paix"));
    assert_true(share(f, "q=lyon", "limit=5&q=lyon"));
    assert_true(share(f, "q=lyon", "q=lyon&autocomplete=1"));
    assert_true(share(f, "q=lyon", "q=lyon&unknown=1"));
    assert_true(share(f, "q=lyon", "q=paris&q=lyon")); /* the last one counts */
    assert_true(share(f, "q=lyon&lat=45.0&lon=4", "q=lyon&latitude=45&lng=4.00"));
    assert_true(share(f, "q=a&type=street+house", "q=a&type=street&type=house"));
}

static void test_whatever_changes_the_answer_changes_the_key(void **state)
{
    static const char *const DIFFERENT[] = {
        "q=lyon",
        "q=Lyon", /* it is told in the answer */
        "q=lyon+",
        "q=lyon&limit=6",
        "q=lyon&autocomplete=0",
        "q=lyon&lat=45&lon=4",
        "q=lyon&lat=4&lon=45",
        "q=lyon&lat=45",
        "q=lyon&lon=45",
        "q=lyon&lat=45&lon=4.0000001",
        "q=lyon&lat=0&lon=-0.0",
        "q=lyon&type=",
        "q=lyon&type=street",
        "q=lyon&citycode=street",
        "q=lyon&postcode=street",
        "q=lyon&type=street&type=house",
        "q=lyon&type=house&type=street", /* told in this order */
        "q=lyon&type=streethouse",
        "q=street&type=lyon",
    };
    fixture *f = *state;
    for (size_t i = 0; i < SX_COUNT_OF(DIFFERENT); i++) {
        for (size_t k = i + 1; k < SX_COUNT_OF(DIFFERENT); k++) {
            if (share(f, DIFFERENT[i], DIFFERENT[k]))
                fail_msg("%s and %s share an answer", DIFFERENT[i], DIFFERENT[k]);
        }
    }
}

static void test_indexes_endpoints_and_filters_share_nothing(void **state)
{
    fixture *f = *state;
    static const char *const NONE[] = {NULL};
    geo_params params = {.q = SX_STR("lyon"), .has_q = true};
    geo_cache_asked asked[] = {{1, 0, 5, &params, FILTERS},
                               {2, 0, 5, &params, FILTERS},
                               {1, 1, 5, &params, FILTERS},
                               {1, 0, 5, &params, NONE}};
    sx_str keys[SX_COUNT_OF(asked)];
    for (size_t i = 0; i < SX_COUNT_OF(asked); i++) {
        geo_cache_key(&asked[i], &f->key);
        keys[i] = sx_arena_copy(&f->arena, sx_buf_view(&f->key));
        for (size_t k = 0; k < i; k++)
            assert_false(sx_str_eq(keys[i], keys[k]));
    }
}

/* A parameter that is added to geo_params and not to the key would give one answer for another: whoever
 * comes by here because this fails adds it to geo_cache_key, and to the test above. */
static void test_the_key_knows_every_parameter(void **state)
{
    (void)state;
    typedef struct known {
        sx_str q;
        bool has_q;
        int64_t limit;
        bool autocomplete, has_lat, has_lon;
        double lat, lon;
        uint32_t better;
        bool explain; /* not in the key: what is explained is not kept */
        geo_param_filter filters[GEO_FILTERS_MAX];
    } known;
    assert_int_equal(sizeof(geo_params), sizeof(known));
}

/* ---- lifetimes ---- */

static void fill(fixture *f, sx_str key, uint32_t results, double score, bool is_reverse)
{
    sx_cache_view view;
    static geo_results list;
    list.count = results;
    list.items[0].score = score;
    assert_int_equal(geo_cache_get(f->cache, key, NULL, NULL, NULL, &view), SX_CACHE_LOAD);
    geo_cached_begin(&f->value);
    sx_buf_str(&f->value, SX_STR("{\"type\": \"FeatureCollection\"}"));
    geo_cached_finish(&f->value, list.count, list.count ? list.items[0].score : 0);
    geo_cache_fill(f->cache, view.token, &f->value, is_reverse);
}

/* Whether the key is there; ends the duty if not. */
static bool has(fixture *f, sx_str key)
{
    sx_cache_view view;
    geo_cached answer;
    sx_cache_result result = geo_cache_get(f->cache, key, NULL, NULL, NULL, &view);
    if (result != SX_CACHE_HIT) {
        geo_cache_give_up(f->cache, view.token);
        return false;
    }
    assert_true(geo_cached_read(view.value, &answer));
    assert_true(sx_str_eq(answer.body, SX_STR("{\"type\": \"FeatureCollection\"}")));
    sx_cache_release(&view);
    return true;
}

static void test_answers_live_as_long_as_they_are_sure(void **state)
{
    static const struct {
        const char *key;
        uint32_t results;
        double score;
        bool is_reverse;
        int64_t lives_ms;
    } ROWS[] = {{"exact", 3, 0.8, false, 86400000},
                {"near", 1, 0.79, false, 3600000},
                {"nothing", 0, 0, false, 300000},
                {"reverse", 1, 0.1, true, 86400000},
                {"nothing there", 0, 0, true, 300000}};
    fixture *f = *state;
    int64_t passed_ms = 0;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        fill(f, sx_str_z(ROWS[i].key), ROWS[i].results, ROWS[i].score, ROWS[i].is_reverse);
    static const int64_t MOMENTS[] = {299000, 301000, 3599000, 3601000, 86399000, 86401000};
    for (size_t m = 0; m < SX_COUNT_OF(MOMENTS); m++) {
        sx_fake_clock_advance(&f->clock, MOMENTS[m] - passed_ms);
        passed_ms = MOMENTS[m];
        for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
            assert_int_equal(has(f, sx_str_z(ROWS[i].key)), passed_ms < ROWS[i].lives_ms);
    }
}

static void test_an_answer_that_is_too_big_is_not_kept(void **state)
{
    fixture *f = *state;
    sx_cache_view view;
    assert_int_equal(geo_cache_get(f->cache, SX_STR("big"), NULL, NULL, NULL, &view),
                     SX_CACHE_LOAD);
    geo_cached_begin(&f->value);
    for (size_t i = 0; i < USUAL.value_bytes_max; i++)
        sx_buf_byte(&f->value, 'x');
    geo_cached_finish(&f->value, 0, 0);
    geo_cache_fill(f->cache, view.token, &f->value, false);
    assert_false(has(f, SX_STR("big")));
}

static void test_what_is_no_answer_is_not_read_as_one(void **state)
{
    (void)state;
    char bytes[GEO_CACHED_HEAD_BYTES] = {0};
    geo_cached answer;
    for (size_t len = 0; len < sizeof(bytes); len++)
        assert_false(geo_cached_read(sx_str_of(bytes, len), &answer));
    assert_true(geo_cached_read(sx_str_of(bytes, sizeof(bytes)), &answer));
    assert_int_equal(answer.body.len, 0);
}

/* ---- the hit rate ---- */

enum { QUERIES = 100000, ENTRIES = 20000, ASKED = 1000000, BODY_BYTES = 2000 };

/* The query of rank r comes with a probability of 1 / r^1.2. */
static double *zipf_sums(void)
{
    double *sums = sx_alloc(QUERIES * sizeof(double)), sum = 0;
    assert_non_null(sums);
    for (size_t i = 0; i < QUERIES; i++)
        sums[i] = sum += pow((double)i + 1, -1.2);
    for (size_t i = 0; i < QUERIES; i++)
        sums[i] /= sum;
    return sums;
}

static size_t draw(sx_random *random, const double *sums)
{
    double at = (double)(sx_random_u64(random) >> 11) * 0x1p-53;
    size_t low = 0, high = QUERIES - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sums[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Asks for `count` queries; returns how many were there. */
static uint64_t ask_many(fixture *f, sx_random *random, const double *sums, size_t count)
{
    static char body[BODY_BYTES];
    static geo_results list = {.count = 1, .items = {{.score = 0.9}}};
    uint64_t hits = 0;
    for (size_t i = 0; i < count; i++) {
        char text[64];
        sx_cache_view view;
        int len = snprintf(text, sizeof(text), "%zu avenue de la republique", draw(random, sums));
        sx_str key = sx_str_of(text, (size_t)len);
        sx_cache_result result = geo_cache_get(f->cache, key, NULL, NULL, NULL, &view);
        if (result == SX_CACHE_HIT) {
            hits++;
            sx_cache_release(&view);
            continue;
        }
        geo_cached_begin(&f->value);
        sx_buf_bytes(&f->value, body, sizeof(body));
        geo_cached_finish(&f->value, list.count, list.count ? list.items[0].score : 0);
        geo_cache_fill(f->cache, view.token, &f->value, false);
    }
    return hits;
}

/* 64 MiB, the default, hold more than 20,000 answers of 2 kB: so that they are no more than that, the
 * cache is made as small as 20,000 of them, and the quarter that is for compressed ones. */
static void test_twenty_thousand_answers_serve_95_of_100_of_a_zipf_load(void **state)
{
    fixture *f = *state;
    geo_cache_free(f->cache);
    geo_cache_settings set = USUAL;
    sx_error err = {0};
    set.bytes_max = (uint64_t)ENTRIES * (BODY_BYTES + 160) / 3 * 4;
    assert_int_equal(geo_cache_new(&set, "1", &f->kit, NULL, &f->cache, &err), SX_OK);
    double *sums = zipf_sums();
    sx_random random;
    sx_random_seed(&random, 5);
    (void)ask_many(f, &random, sums, ASKED / 2); /* fills it */
    uint64_t hits = ask_many(f, &random, sums, ASKED / 2);
    geo_cache_rate rates[GEO_CACHE_RATES];
    assert_int_equal(geo_cache_rates(f->cache, rates), 1);
    assert_string_equal(rates[0].tier, "memory");
    assert_int_equal(rates[0].hits + rates[0].misses, ASKED);
    double rate = (double)hits / (ASKED / 2);
    print_message("hit rate %.4f\n", rate);
    assert_true(rate >= 0.95);
    sx_free(sums);
}

/* A cache that is made, and asked. Returns whether all of it worked. */
static bool use_one(fixture *f)
{
    geo_cache *cache = NULL;
    sx_cache_view view;
    sx_error err = {0};
    if (geo_cache_new(&USUAL, "1", &f->kit, NULL, &cache, &err) != SX_OK) {
        assert_int_equal(err.status, SX_ENOMEM);
        return false;
    }
    sx_cache_result result = geo_cache_get(cache, SX_STR("lyon"), NULL, NULL, NULL, &view);
    assert_true(result == SX_CACHE_LOAD || result == SX_CACHE_BYPASS);
    geo_cached_begin(&f->value);
    geo_cached_finish(&f->value, 0, 0);
    geo_cache_fill(cache, view.token, &f->value, false);
    result = geo_cache_get(cache, SX_STR("lyon"), NULL, NULL, NULL, &view);
    sx_cache_release(&view);
    geo_cache_free(cache);
    return result == SX_CACHE_HIT;
}

static void test_every_allocation_may_fail(void **state)
{
    fixture *f = *state;
    sx_buf_reserve(&f->value, 64);
    sx_fault_alloc_set((sx_fault_alloc){.nth = INT64_MAX});
    assert_true(use_one(f));
    int64_t calls = sx_fault_alloc_calls();
    assert_true(calls > 2);
    for (int64_t nth = 1; nth <= calls; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        assert_false(use_one(f));
        assert_int_equal(sx_fault_alloc_held(), 0);
    }
    sx_fault_alloc_set((sx_fault_alloc){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_requests_that_mean_the_same_share_an_answer),
        TEST(test_whatever_changes_the_answer_changes_the_key),
        TEST(test_indexes_endpoints_and_filters_share_nothing),
        TEST(test_the_key_knows_every_parameter),
        TEST(test_answers_live_as_long_as_they_are_sure),
        TEST(test_an_answer_that_is_too_big_is_not_kept),
        TEST(test_what_is_no_answer_is_not_read_as_one),
        TEST(test_twenty_thousand_answers_serve_95_of_100_of_a_zipf_load),
        TEST(test_every_allocation_may_fail),
#undef TEST
    };
    return cmocka_run_group_tests_name("geocode/api_cache", tests, NULL, NULL);
}
