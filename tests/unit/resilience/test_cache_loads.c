/* test_cache_loads.c - one load for all who ask, and every way in which it can end. */
#include "tests/unit/resilience/cache_fixture.h"

#include <pthread.h>

static void test_the_first_loads_and_the_others_are_told(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    asker first = {0}, second = {0}, third = {0};
    assert_int_equal(ask(&f, "a", PLAIN, &first), SX_CACHE_LOAD);
    assert_int_equal(ask(&f, "a", PLAIN, &second), SX_CACHE_WAIT);
    assert_int_equal(ask(&f, "a", PLAIN, &third), SX_CACHE_WAIT);
    assert_int_equal(sx_cache_stats_of(f.cache).waiters_now, 2);
    sx_cache_check(f.cache);
    sx_cache_view v;
    assert_int_equal(sx_cache_get(f.cache, SX_STR("a"), PLAIN, &(sx_cache_ask){0}, &v),
                     SX_CACHE_BYPASS); /* would not wait */
    assert_int_equal(sx_cache_fill(f.cache, first.token, SX_STR("one"), NULL, &v), SX_OK);
    assert_true(sx_str_eq(v.value, SX_STR("one")));
    sx_cache_release(&v);
    assert_int_equal(second.calls + third.calls, 2);
    assert_int_equal(third.result, SX_CACHE_HIT);
    assert_string_equal(third.value, "one");
    expect(&f, "a", SX_CACHE_HIT, "one");
    assert_int_equal(sx_cache_fill(f.cache, first.token, SX_STR("two"), NULL, &v), SX_REFUSED);
    assert_null(v.hold);
    assert_int_equal(sx_cache_fail(f.cache, SX_CACHE_NO_TOKEN, SX_EIO, &v), SX_REFUSED);
    expect(&f, "a", SX_CACHE_HIT, "one");
    cache_close(&f);
}

static void test_a_stampede_loads_once(void **state)
{
    (void)state;
    enum { ASKERS = 1000 };
    static asker askers[ASKERS];
    cache_fixture f;
    cache_open(&f);
    asker loader = {0};
    int waits = 0;
    for (int i = 0; i < ASKERS; i++) {
        sx_cache_view v;
        waits += sx_cache_get(f.cache, SX_STR("hot"), PLAIN,
                              &(sx_cache_ask){.answer = answered,
                                              .ctx = &askers[i],
                                              .load = remember_token,
                                              .load_ctx = &loader},
                              &v) == SX_CACHE_WAIT;
    }
    assert_int_equal(waits, ASKERS); /* the first as well: its loader was called */
    assert_int_equal(loader.loads, 1);
    assert_int_equal(sx_cache_fill(f.cache, loader.token, SX_STR("v"), NULL, NULL), SX_OK);
    for (int i = 0; i < ASKERS; i++) {
        assert_int_equal(askers[i].calls, 1);
        assert_string_equal(askers[i].value, "v");
    }
    assert_int_equal(sx_cache_stats_of(f.cache).loads, 1);
    cache_close(&f);
}

static void fill_at_once(void *load_ctx, sx_cache *cache, sx_str key, sx_cache_token token)
{
    (void)load_ctx;
    assert_int_equal(sx_cache_fill(cache, token, key, NULL, NULL), SX_OK);
}

static void test_a_loader_may_answer_at_once(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    asker a = {0};
    sx_cache_view v;
    sx_cache_ask question = {.answer = answered, .ctx = &a, .load = fill_at_once};
    assert_int_equal(sx_cache_get(f.cache, SX_STR("k"), PLAIN, &question, &v), SX_CACHE_WAIT);
    assert_int_equal(a.calls, 1);
    assert_string_equal(a.value, "k");
    question = (sx_cache_ask){.load = fill_at_once}; /* fire and forget */
    assert_int_equal(sx_cache_get(f.cache, SX_STR("l"), PLAIN, &question, &v), SX_CACHE_MISS);
    expect(&f, "l", SX_CACHE_HIT, "l");
    cache_close(&f);
}

static void test_absence_is_remembered_for_its_time(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    asker first = {0}, second = {0};
    ask(&f, "a", PLAIN, &first);
    ask(&f, "a", PLAIN, &second);
    assert_int_equal(sx_cache_absent(f.cache, first.token, SX_STR("gone"), NULL), SX_OK);
    assert_int_equal(second.result, SX_CACHE_NEGATIVE);
    assert_int_equal(second.status, SX_ENOTFOUND);
    expect(&f, "a", SX_CACHE_NEGATIVE, "gone");
    sx_fake_clock_advance(&f.clock, 199);
    expect(&f, "a", SX_CACHE_NEGATIVE, "gone");
    sx_fake_clock_advance(&f.clock, 1);
    assert_int_equal(ask(&f, "a", PLAIN, &first), SX_CACHE_LOAD);
    assert_int_equal(sx_cache_fail(f.cache, first.token, SX_ENOTFOUND, NULL), SX_ENOTFOUND);
    expect(&f, "a", SX_CACHE_NEGATIVE, "");

    /* A class that does not remember absence: told to those who wait, and what was there goes. */
    put(&f, "b", STALE, "old");
    sx_fake_clock_advance(&f.clock, 1200);
    assert_int_equal(ask(&f, "b", STALE, &first), SX_CACHE_STALE);
    assert_int_equal(sx_cache_absent(f.cache, first.token, SX_STR(""), NULL), SX_OK);
    expect(&f, "b", SX_CACHE_MISS, "");
    cache_close(&f);
}

static void test_a_stale_value_is_served_while_one_loads(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    put(&f, "a", STALE, "old");
    sx_fake_clock_advance(&f.clock, 1000);
    asker first = {0}, second = {0};
    assert_int_equal(ask(&f, "a", STALE, &first), SX_CACHE_STALE);
    assert_string_equal(first.value, "old");
    assert_int_not_equal(first.token.id, 0);
    assert_int_equal(ask(&f, "a", STALE, &second), SX_CACHE_STALE);
    assert_int_equal(second.token.id, 0); /* somebody is at it */
    expect(&f, "a", SX_CACHE_STALE, "old");
    sx_cache_view v;
    assert_int_equal(sx_cache_fill(f.cache, first.token, SX_STR("new"), NULL, &v), SX_OK);
    sx_cache_release(&v);
    expect(&f, "a", SX_CACHE_HIT, "new");
    assert_int_equal(first.calls + second.calls, 0);

    sx_fake_clock_advance(&f.clock, 1000);
    asker loader = {0};
    sx_cache_ask question = {.load = remember_token, .load_ctx = &loader};
    assert_int_equal(sx_cache_get(f.cache, SX_STR("a"), STALE, &question, &v), SX_CACHE_STALE);
    assert_int_equal(loader.loads, 1);
    assert_int_equal(v.token.id, 0); /* the loader has it */
    assert_int_equal(v.age_ms, 1000);
    sx_cache_release(&v);
    assert_int_equal(sx_cache_fill(f.cache, loader.token, SX_STR("newer"), NULL, NULL), SX_OK);
    expect(&f, "a", SX_CACHE_HIT, "newer");
    cache_close(&f);
}

static void test_a_stale_value_stands_in_for_a_failed_load(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    put(&f, "a", STALE, "old");
    sx_fake_clock_advance(&f.clock, 1600); /* too old to be served, not to stand in */
    asker first = {0}, second = {0};
    assert_int_equal(ask(&f, "a", STALE, &first), SX_CACHE_LOAD);
    assert_int_equal(ask(&f, "a", STALE, &second), SX_CACHE_WAIT);
    sx_cache_view v;
    assert_int_equal(sx_cache_fail(f.cache, first.token, SX_EIO, &v), SX_OK);
    assert_true(sx_str_eq(v.value, SX_STR("old")));
    sx_cache_release(&v);
    assert_int_equal(second.result, SX_CACHE_STALE);
    assert_string_equal(second.value, "old");
    /* For retry_ms nobody is sent again. */
    assert_int_equal(ask(&f, "a", STALE, &first), SX_CACHE_STALE);
    assert_int_equal(first.token.id, 0);
    sx_fake_clock_advance(&f.clock, 100);
    assert_int_equal(ask(&f, "a", STALE, &first), SX_CACHE_LOAD);
    sx_fake_clock_advance(&f.clock, 5000); /* past stale_error_ms */
    assert_int_equal(ask(&f, "a", STALE, &second), SX_CACHE_WAIT);
    assert_int_equal(sx_cache_fail(f.cache, first.token, SX_EIO, &v), SX_EIO);
    assert_int_equal(second.result, SX_CACHE_FAILED);
    assert_int_equal(second.status, SX_EIO);
    /* error_ttl_ms: the failure itself is remembered. */
    assert_int_equal(ask(&f, "a", STALE, &first), SX_CACHE_NEGATIVE);
    assert_int_equal(first.status, SX_EIO);
    sx_fake_clock_advance(&f.clock, 300);
    assert_int_equal(ask(&f, "a", STALE, &first), SX_CACHE_LOAD);
    cache_close(&f);
}

static void test_a_loader_that_dies_is_overdue(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    asker dead = {0}, waits = {0}, next = {0}, last = {0};
    assert_int_equal(ask(&f, "a", PLAIN, &dead), SX_CACHE_LOAD);
    assert_int_equal(ask(&f, "a", PLAIN, &waits), SX_CACHE_WAIT);
    sx_fake_clock_advance(&f.clock, 9999);
    sx_cache_sweep(f.cache);
    assert_int_equal(waits.calls, 0);
    sx_fake_clock_advance(&f.clock, 1);
    sx_cache_sweep(f.cache);
    assert_int_equal(waits.calls, 1);
    assert_int_equal(waits.result, SX_CACHE_FAILED);
    assert_int_equal(waits.status, SX_ETIMEOUT);
    sx_cache_check(f.cache);

    assert_int_equal(ask(&f, "a", PLAIN, &next), SX_CACHE_LOAD); /* anew */
    assert_int_equal(sx_cache_fill(f.cache, dead.token, SX_STR("late"), NULL, NULL), SX_REFUSED);
    expect(&f, "a", SX_CACHE_MISS, "");
    /* Overdue again, noticed by the next asker without a sweep; nobody has taken it over when the
     * answer does come: it is welcome. */
    sx_fake_clock_advance(&f.clock, 10000);
    assert_int_equal(ask(&f, "b", PLAIN, &last), SX_CACHE_LOAD);
    assert_int_equal(sx_cache_stats_of(f.cache).loads_timed_out, 2);
    assert_int_equal(sx_cache_fill(f.cache, next.token, SX_STR("slow"), NULL, NULL), SX_OK);
    expect(&f, "a", SX_CACHE_HIT, "slow");
    assert_int_equal(sx_cache_stats_of(f.cache).loads_late, 1);
    cache_close(&f);
    assert_int_equal(waits.calls, 1);
}

static void test_what_is_removed_during_a_load_stays_removed(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    asker before = {0}, waits = {0}, after = {0};
    ask(&f, "a", PLAIN, &before);
    ask(&f, "a", PLAIN, &waits);
    sx_cache_remove(f.cache, SX_STR("a"));
    assert_int_equal(ask(&f, "a", PLAIN, &after), SX_CACHE_LOAD); /* does not share the old load */
    assert_int_equal(sx_cache_fill(f.cache, before.token, SX_STR("old"), NULL, NULL), SX_OK);
    assert_string_equal(waits.value, "old"); /* it had asked before */
    expect(&f, "a", SX_CACHE_MISS, "");
    assert_int_equal(sx_cache_fill(f.cache, after.token, SX_STR("new"), NULL, NULL), SX_OK);
    expect(&f, "a", SX_CACHE_HIT, "new");

    ask(&f, "b", FORGETFUL, &before);
    sx_cache_remove_class(f.cache, FORGETFUL);
    assert_int_equal(ask(&f, "b", FORGETFUL, &after), SX_CACHE_LOAD);
    sx_cache_fill(f.cache, before.token, SX_STR("old"), NULL, NULL);
    expect(&f, "b", SX_CACHE_MISS, "");
    sx_cache_remove_prefix(f.cache, SX_STR("b"));
    sx_cache_fill(f.cache, after.token, SX_STR("old"), NULL, NULL);
    expect(&f, "b", SX_CACHE_MISS, "");

    ask(&f, "c", PLAIN, &before);
    put(&f, "c", PLAIN, "newer");
    sx_cache_fill(f.cache, before.token, SX_STR("older"), NULL, NULL);
    expect(&f, "c", SX_CACHE_HIT, "newer");

    ask(&f, "d", PLAIN, &before);
    sx_cache_remove_tag(f.cache, 9);
    sx_cache_fill(f.cache, before.token, SX_STR("old"), &(sx_cache_how){.tag = 9}, NULL);
    expect(&f, "d", SX_CACHE_MISS, "");

    /* Overdue and removed: nobody's any more. */
    ask(&f, "e", PLAIN, &before);
    sx_fake_clock_advance(&f.clock, 10000);
    sx_cache_sweep(f.cache);
    sx_cache_remove(f.cache, SX_STR("e"));
    assert_int_equal(sx_cache_fill(f.cache, before.token, SX_STR("old"), NULL, NULL), SX_REFUSED);
    ask(&f, "f", PLAIN, &before);
    sx_cache_remove(f.cache, SX_STR("f"));
    sx_fake_clock_advance(&f.clock, 10000);
    sx_cache_sweep(f.cache);
    assert_int_equal(sx_cache_fill(f.cache, before.token, SX_STR("old"), NULL, NULL), SX_REFUSED);
    assert_int_equal(sx_cache_stats_of(f.cache).loads_now, 0);
    cache_close(&f);
}

static void test_those_who_wait_and_load_are_bounded(void **state)
{
    (void)state;
    cache_fixture f;
    sx_error err = {0};
    sx_cache_options options = cache_options(&f);
    options.waiters_max = 2;
    options.loads_max = 3;
    assert_int_equal(sx_cache_new(&options, &f.cache, &err), SX_OK);
    asker a[6] = {0};
    assert_int_equal(ask(&f, "a", PLAIN, &a[0]), SX_CACHE_LOAD);
    assert_int_equal(ask(&f, "a", PLAIN, &a[1]), SX_CACHE_WAIT);
    assert_int_equal(ask(&f, "a", PLAIN, &a[2]), SX_CACHE_WAIT);
    assert_int_equal(ask(&f, "a", PLAIN, &a[3]), SX_CACHE_BYPASS);
    assert_int_equal(ask(&f, "b", PLAIN, &a[3]), SX_CACHE_LOAD);
    assert_int_equal(ask(&f, "c", PLAIN, &a[4]), SX_CACHE_LOAD);
    assert_int_equal(ask(&f, "d", PLAIN, &a[5]), SX_CACHE_BYPASS);
    assert_int_equal(sx_cache_stats_of(f.cache).bypassed, 2);
    sx_fake_clock_advance(&f.clock, 10000); /* overdue ones give way */
    assert_int_equal(ask(&f, "d", PLAIN, &a[5]), SX_CACHE_LOAD);
    assert_int_equal(a[1].calls + a[2].calls, 2);
    sx_cache_check(f.cache);
    cache_close(&f);
}

static void test_freeing_tells_who_waits(void **state)
{
    (void)state;
    cache_fixture f;
    cache_open(&f);
    asker first = {0}, waits = {0};
    ask(&f, "a", PLAIN, &first);
    ask(&f, "a", PLAIN, &waits);
    cache_close(&f);
    assert_int_equal(waits.calls, 1);
    assert_int_equal(waits.result, SX_CACHE_FAILED);
    assert_int_equal(waits.status, SX_ECANCELED);
}

static void test_an_asker_is_told_on_its_loop(void **state)
{
    (void)state;
    cache_fixture f;
    sx_error err = {0};
    cache_open(&f);
    sx_loop *loop;
    assert_int_equal(sx_loop_new(&f.clock.clock, 0, &loop, &err), SX_OK);
    sx_cache_attach(f.cache, loop);
    asker first = {0}, waits = {0};
    sx_cache_view v;
    ask(&f, "a", PLAIN, &first);
    sx_cache_ask question = {.answer = answered, .ctx = &waits, .loop = loop};
    assert_int_equal(sx_cache_get(f.cache, SX_STR("a"), PLAIN, &question, &v), SX_CACHE_WAIT);
    assert_int_equal(sx_cache_fill(f.cache, first.token, SX_STR("one"), NULL, NULL), SX_OK);
    assert_int_equal(waits.calls, 0);
    sx_loop_turn(loop);
    assert_int_equal(waits.calls, 1);
    assert_string_equal(waits.value, "one");

    /* The loop's timer finds what is overdue. */
    ask(&f, "b", PLAIN, &first);
    assert_int_equal(sx_cache_get(f.cache, SX_STR("b"), PLAIN, &question, &v), SX_CACHE_WAIT);
    for (int i = 0; i < 120; i++) {
        sx_fake_clock_advance(&f.clock, 100);
        sx_loop_turn(loop);
    }
    assert_int_equal(waits.calls, 2);
    assert_int_equal(waits.status, SX_ETIMEOUT);

    /* Told by a loop that ends after the cache. */
    ask(&f, "c", PLAIN, &first);
    assert_int_equal(sx_cache_get(f.cache, SX_STR("c"), PLAIN, &question, &v), SX_CACHE_WAIT);
    sx_cache_detach(f.cache);
    sx_cache_detach(f.cache);
    cache_close(&f);
    sx_loop_free(loop);
    assert_int_equal(waits.calls, 3);
    assert_int_equal(waits.status, SX_ECANCELED);
}

/* Threads that all want the same few keys: each key is loaded by one at a time. */
enum { THREADS = 4, TURNS = 20000, KEYS = 16 };
typedef struct crowd {
    sx_cache *cache;
    _Atomic int loading[KEYS];
    _Atomic int asked, told;
} crowd;

typedef struct member {
    crowd *crowd;
} member;

static void told(void *ctx, sx_cache_result result, sx_cache_view *view)
{
    member *m = ctx;
    if (result == SX_CACHE_HIT)
        assert_int_equal(view->value.len, sizeof(unsigned));
    m->crowd->told++;
    sx_cache_release(view);
}

static void *crowd_member(void *arg)
{
    member *m = arg;
    crowd *c = m->crowd;
    for (unsigned i = 0; i < TURNS; i++) {
        unsigned key = i * 7 % KEYS;
        sx_str name = sx_str_of(&key, sizeof(key));
        sx_cache_view v;
        sx_cache_result r =
            sx_cache_get(c->cache, name, PLAIN, &(sx_cache_ask){.answer = told, .ctx = m}, &v);
        if (r == SX_CACHE_LOAD) {
            assert_int_equal(c->loading[key]++, 0);
            c->loading[key]--;
            sx_cache_fill(c->cache, v.token, name, &(sx_cache_how){.ttl_ms = 1}, NULL);
        } else if (r == SX_CACHE_WAIT) {
            c->asked++;
        } else {
            assert_int_equal(r, SX_CACHE_HIT);
            sx_cache_release(&v);
        }
    }
    return NULL;
}

static void test_threads_share_loads(void **state)
{
    (void)state;
    sx_error err = {0};
    crowd c = {0};
    assert_int_equal(sx_cache_new(&(sx_cache_options){.bytes_max = 1 << 20,
                                                      .classes = CACHE_CLASSES,
                                                      .class_count = CLASSES,
                                                      .waiters_max = UINT32_MAX},
                                  &c.cache, &err),
                     SX_OK);
    pthread_t threads[THREADS];
    member members[THREADS];
    for (int i = 0; i < THREADS; i++) {
        members[i] = (member){&c};
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, &members[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(c.asked, c.told);
    sx_cache_check(c.cache);
    sx_cache_free(c.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_loads_and_the_others_are_told),
        cmocka_unit_test(test_a_stampede_loads_once),
        cmocka_unit_test(test_a_loader_may_answer_at_once),
        cmocka_unit_test(test_absence_is_remembered_for_its_time),
        cmocka_unit_test(test_a_stale_value_is_served_while_one_loads),
        cmocka_unit_test(test_a_stale_value_stands_in_for_a_failed_load),
        cmocka_unit_test(test_a_loader_that_dies_is_overdue),
        cmocka_unit_test(test_what_is_removed_during_a_load_stays_removed),
        cmocka_unit_test(test_those_who_wait_and_load_are_bounded),
        cmocka_unit_test(test_freeing_tells_who_waits),
        cmocka_unit_test(test_an_asker_is_told_on_its_loop),
        cmocka_unit_test(test_threads_share_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
