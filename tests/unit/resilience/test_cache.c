/* test_cache.c - what a cache keeps, for how long, and what it forgets. */
#include "tests/unit/resilience/cache_fixture.h"

#include <string.h>

#include <sextant/hash.h>

static void test_a_value_is_read_back_until_its_time(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    expect(&f, "a", SX_CACHE_MISS, "");
    put(&f, "a", PLAIN, "one");
    put(&f, "", PLAIN, ""); /* no bytes are bytes too */
    expect(&f, "a", SX_CACHE_HIT, "one");
    expect(&f, "", SX_CACHE_HIT, "");
    put(&f, "a", PLAIN, "two");
    sx_fake_clock_advance(&f.clock, 999);
    expect(&f, "a", SX_CACHE_HIT, "two");
    sx_fake_clock_advance(&f.clock, 1);
    expect(&f, "a", SX_CACHE_MISS, "");
    assert_int_equal(sx_cache_stats_of(f.cache).expired, 1);
    cache_close(&f);
}

static void test_a_wall_clock_that_jumps_changes_nothing(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    put(&f, "a", PLAIN, "one");
    sx_fake_clock_jump(&f.clock, 4000000000000);
    expect(&f, "a", SX_CACHE_HIT, "one");
    sx_fake_clock_jump(&f.clock, -5000);
    expect(&f, "a", SX_CACHE_HIT, "one");
    sx_fake_clock_advance(&f.clock, 1000);
    expect(&f, "a", SX_CACHE_MISS, "");
    cache_close(&f);
}

static void test_a_held_view_outlives_its_entry_and_its_cache(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    put(&f, "a", PLAIN, "one");
    sx_cache_view v, none;
    assert_int_equal(sx_cache_get(f.cache, SX_STR("a"), PLAIN, NULL, &v), SX_CACHE_HIT);
    sx_cache_view second = sx_cache_view_copy(&v);
    put(&f, "a", PLAIN, "two");
    assert_true(sx_cache_remove(f.cache, SX_STR("a")));
    assert_false(sx_cache_remove(f.cache, SX_STR("a")));
    assert_int_equal(sx_cache_get(f.cache, SX_STR("a"), PLAIN, NULL, &none), SX_CACHE_MISS);
    sx_cache_release(&none);
    none = sx_cache_view_copy(&none);
    assert_null(none.hold);
    cache_close(&f);
    assert_true(sx_str_eq(v.value, SX_STR("one")));
    sx_cache_release(&v);
    sx_cache_release(&v); /* does nothing */
    assert_true(sx_str_eq(second.value, SX_STR("one")));
    sx_cache_release(&second);
}

static void test_a_ttl_of_its_own_and_jitter(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    sx_error err = {0};
    sx_cache_how how = {.ttl_ms = 5000};
    assert_int_equal(sx_cache_put(f.cache, SX_STR("long"), PLAIN, SX_STR("x"), &how, &err), SX_OK);
    sx_fake_clock_advance(&f.clock, 4999);
    expect(&f, "long", SX_CACHE_HIT, "x");
    sx_fake_clock_advance(&f.clock, 1);
    expect(&f, "long", SX_CACHE_MISS, "");

    how = (sx_cache_how){.ttl_ms = 1000, .jitter_percent = 50};
    for (int i = 0; i < 1000; i++)
        assert_int_equal(
            sx_cache_put(f.cache, sx_str_of(&i, sizeof(i)), PLAIN, SX_STR("x"), &how, &err), SX_OK);
    sx_fake_clock_advance(&f.clock, 499);
    int early = 0, late = 0;
    for (int step = 0; step < 2; step++) {
        for (int i = 0; i < 1000; i++) {
            sx_cache_view v;
            if (sx_cache_get(f.cache, sx_str_of(&i, sizeof(i)), PLAIN, NULL, &v) == SX_CACHE_HIT)
                *(step ? &late : &early) += 1;
            sx_cache_release(&v);
        }
        sx_fake_clock_advance(&f.clock, 250);
    }
    assert_int_equal(early, 1000); /* none lost more than half */
    assert_in_range(late, 350, 650);
    sx_fake_clock_advance(&f.clock, 2);
    int zero = 0;
    expect(&f, "nothing", SX_CACHE_MISS, "");
    how = (sx_cache_how){.ttl_ms = 1, .jitter_percent = 100}; /* never jittered to nothing */
    assert_int_equal(
        sx_cache_put(f.cache, sx_str_of(&zero, sizeof(zero)), PLAIN, SX_STR("x"), &how, &err),
        SX_OK);
    sx_cache_view v;
    assert_int_equal(sx_cache_get(f.cache, sx_str_of(&zero, sizeof(zero)), PLAIN, NULL, &v),
                     SX_CACHE_HIT);
    sx_cache_release(&v);
    cache_close(&f);
}

static void test_classes_tags_and_prefixes_are_forgotten(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    sx_error err = {0};
    sx_cache_how shop = {.tag = sx_hash(SX_STR("shop"), 0)};
    put(&f, "user:1", PLAIN, "a");
    put(&f, "user:2", STALE, "b");
    assert_int_equal(sx_cache_put(f.cache, SX_STR("order:1"), PLAIN, SX_STR("c"), &shop, &err),
                     SX_OK);
    sx_cache_remove_tag(f.cache, 0);
    sx_cache_remove_tag(f.cache, sx_hash(SX_STR("another"), 0));
    expect(&f, "order:1", SX_CACHE_HIT, "c");
    sx_cache_remove_tag(f.cache, shop.tag);
    expect(&f, "order:1", SX_CACHE_MISS, "");
    assert_int_equal(sx_cache_put(f.cache, SX_STR("order:1"), PLAIN, SX_STR("d"), &shop, &err),
                     SX_OK);
    expect(&f, "order:1", SX_CACHE_HIT, "d");

    sx_cache_remove_class(f.cache, STALE);
    expect(&f, "user:2", SX_CACHE_MISS, "");
    expect(&f, "user:1", SX_CACHE_HIT, "a");
    put(&f, "user:2", STALE, "e");
    expect(&f, "user:2", SX_CACHE_HIT, "e");

    assert_int_equal(sx_cache_remove_prefix(f.cache, SX_STR("user:")), 2);
    expect(&f, "user:1", SX_CACHE_MISS, "");
    expect(&f, "order:1", SX_CACHE_HIT, "d");
    assert_int_equal(sx_cache_remove_prefix(f.cache, SX_STR("")), 1);
    assert_int_equal(sx_cache_stats_of(f.cache).entries, 0);
    cache_close(&f);
}

static void test_a_sweep_removes_what_expired(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    char key[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        put(&f, key, i % 2 ? PLAIN : STALE, "value");
    }
    sx_cache_remove_class(f.cache, STALE);
    sx_fake_clock_advance(&f.clock, 1000);
    size_t removed = 0;
    for (int i = 0; i < 100; i++)
        removed += sx_cache_sweep(f.cache);
    assert_int_equal(removed, 1000);
    sx_cache_stats stats = sx_cache_stats_of(f.cache);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.expired, 500);
    assert_int_equal(stats.invalidated, 500);
    cache_close(&f);
}

static void test_too_long_is_said(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    sx_error err = {0};
    sx_cache_view v;
    static char big[1 << 20];
    assert_int_equal(sx_cache_put(f.cache, sx_str_of(big, 4097), PLAIN, SX_STR("x"), NULL, &err),
                     SX_ELIMIT);
    assert_non_null(strstr(err.message, "4097"));
    assert_int_equal(
        sx_cache_put(f.cache, SX_STR("a"), PLAIN, sx_str_of(big, sizeof(big)), NULL, &err),
        SX_ELIMIT);
    assert_int_equal(sx_cache_get(f.cache, sx_str_of(big, 4097), PLAIN, &(sx_cache_ask){0}, &v),
                     SX_CACHE_BYPASS);
    assert_int_equal(sx_cache_get(f.cache, sx_str_of(big, 4097), PLAIN, NULL, &v), SX_CACHE_MISS);
    assert_int_equal(
        sx_cache_put(f.cache, sx_str_of(big, 4096), PLAIN, sx_str_of(big, 100000), NULL, &err),
        SX_OK);
    /* A load's value that is too big is given to those who asked, and not kept. */
    asker waits = {0};
    assert_int_equal(sx_cache_get(f.cache, SX_STR("a"), PLAIN, &(sx_cache_ask){0}, &v),
                     SX_CACHE_LOAD);
    sx_cache_token token = v.token;
    assert_int_equal(ask(&f, "a", PLAIN, &waits), SX_CACHE_WAIT);
    assert_int_equal(sx_cache_fill(f.cache, token, sx_str_of(big, sizeof(big)), NULL, &v), SX_OK);
    assert_int_equal(v.value.len, sizeof(big));
    assert_int_equal(waits.result, SX_CACHE_HIT);
    sx_cache_release(&v);
    expect(&f, "a", SX_CACHE_MISS, "");
    cache_close(&f);
}

static void test_wrong_options_are_refused(void **state)
{
    (void)state;
    static const sx_cache_class JITTERY[] = {{.name = "x", .jitter_percent = 101}};
    static const struct {
        sx_cache_options options;
        const char *says;
    } WRONG[] = {
        {{.bytes_max = 1000}, "bytes_max 1000"},
        {{.shards = 3}, "3 shards"},
        {{.shards = 512}, "512 shards"},
        {{.bytes_max = 1 << 20, .shards = 32}, "too little"},
        {{.key_bytes_max = 2 << 20}, "key_bytes_max"},
        {{.classes = JITTERY, .class_count = 0}, "0 classes"},
        {{.classes = JITTERY, .class_count = 65}, "65 classes"},
        {{.classes = JITTERY, .class_count = 1}, "jitter_percent"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++) {
        sx_error err = {0};
        sx_cache *cache = NULL;
        assert_int_equal(sx_cache_new(&WRONG[i].options, &cache, &err), SX_EINVAL);
        assert_non_null(strstr(err.message, WRONG[i].says));
    }
    sx_cache *cache = NULL;
    assert_int_equal(sx_cache_new(NULL, &cache, NULL), SX_OK);
    assert_int_equal(sx_cache_stats_of(cache).bytes_max, 64 << 20);
    sx_cache_free(cache);
    sx_cache_free(NULL);
    assert_string_equal(sx_cache_result_name((sx_cache_result)99), "unknown");
}

static void test_what_happens_is_counted(void **state)
{
    (void)state;
    cache_fixture f;
    sx_error err = {0};
    sx_metrics *metrics;
    assert_int_equal(sx_metrics_new(NULL, &metrics, &err), SX_OK);
    sx_cache_options options = cache_options(&f);
    options.metrics = metrics;
    options.name = "users";
    assert_int_equal(sx_cache_new(&options, &f.cache, &err), SX_OK);
    options.name = "orders"; /* shares the metrics, has its own series */
    sx_cache *other;
    assert_int_equal(sx_cache_new(&options, &other, &err), SX_OK);
    asker a = {0};
    assert_int_equal(ask(&f, "a", PLAIN, &a), SX_CACHE_LOAD);
    sx_fake_clock_advance(&f.clock, 30);
    assert_int_equal(sx_cache_fill(f.cache, a.token, SX_STR("v"), NULL, NULL), SX_OK);
    expect(&f, "a", SX_CACHE_HIT, "v");
    sx_buf text;
    sx_buf_init(&text, 0);
    assert_int_equal(sx_metrics_write(metrics, SX_METRICS_TEXT_004, &text, &err), SX_OK);
    sx_str got = sx_buf_view(&text);
    static const char *const LINES[] = {
        "cache_requests_total{cache=\"users\",result=\"hit\"} 1\n",
        "cache_requests_total{cache=\"users\",result=\"miss\"} 1\n",
        "cache_requests_total{cache=\"orders\",result=\"miss\"} 0\n",
        "cache_entries{cache=\"users\"} 1\n",
        "cache_loads_total{cache=\"users\",outcome=\"ok\"} 1\n",
        "cache_load_seconds_sum{cache=\"users\"} 0.03\n",
    };
    for (size_t i = 0; i < SX_COUNT_OF(LINES); i++)
        if (sx_str_find(got, sx_str_z(LINES[i])) == got.len)
            fail_msg("no '%s' in\n%.*s", LINES[i], SX_ARG(got));
    sx_buf_done(&text);
    sx_cache_free(other);
    cache_close(&f);
    sx_metrics_free(metrics);
}

/* Every key that ever was: memory stays within what was asked for. */
static void test_a_million_keys_in_one_mebibyte(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    for (uint64_t i = 0; i < 1000000; i++) {
        assert_int_equal(sx_cache_put(f.cache, sx_str_of(&i, sizeof(i)), PLAIN,
                                      SX_STR("some value of usual length"), NULL, NULL),
                         SX_OK);
        if (i % 100000 == 0) {
            sx_cache_stats stats = sx_cache_stats_of(f.cache);
            assert_true(stats.bytes <= 1 << 20);
            sx_cache_check(f.cache);
        }
    }
    sx_cache_stats stats = sx_cache_stats_of(f.cache);
    assert_true(stats.bytes <= 1 << 20 && stats.bytes > 1000000);
    assert_in_range(stats.entries, 4000, 9000);
    cache_close(&f);
}

static void test_a_scan_leaves_the_hot_keys_alone(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    sx_cache_view v;
    for (int round = 0; round < 5; round++)
        for (int key = 0; key < 2000; key++) {
            if (sx_cache_get(f.cache, sx_str_of(&key, sizeof(key)), PLAIN, NULL, &v) !=
                SX_CACHE_HIT)
                sx_cache_put(f.cache, sx_str_of(&key, sizeof(key)), PLAIN, SX_STR("hot"), NULL,
                             NULL);
            sx_cache_release(&v);
        }
    for (int key = 1000000; key < 1020000; key++) /* several times the cache */
        sx_cache_put(f.cache, sx_str_of(&key, sizeof(key)), PLAIN, SX_STR("cold"), NULL, NULL);
    int left = 0;
    for (int key = 0; key < 2000; key++) {
        left +=
            sx_cache_get(f.cache, sx_str_of(&key, sizeof(key)), PLAIN, NULL, &v) == SX_CACHE_HIT;
        sx_cache_release(&v);
    }
    assert_in_range(left, 1900, 2000); /* an LRU would have none */
    cache_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_is_read_back_until_its_time),
        cmocka_unit_test(test_a_wall_clock_that_jumps_changes_nothing),
        cmocka_unit_test(test_a_held_view_outlives_its_entry_and_its_cache),
        cmocka_unit_test(test_a_ttl_of_its_own_and_jitter),
        cmocka_unit_test(test_classes_tags_and_prefixes_are_forgotten),
        cmocka_unit_test(test_a_sweep_removes_what_expired),
        cmocka_unit_test(test_too_long_is_said),
        cmocka_unit_test(test_wrong_options_are_refused),
        cmocka_unit_test(test_what_happens_is_counted),
        cmocka_unit_test(test_a_million_keys_in_one_mebibyte),
        cmocka_unit_test(test_a_scan_leaves_the_hot_keys_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
