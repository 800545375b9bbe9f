/* test_cache_tiers.c - a cache over tiers that a test makes answer, hang, fail and lie; and the records
 * that they keep. */
#include <string.h>

#include <sextant/cache_tiers.h>

#include "resilience/cache_record.h"
#include "tests/unit/resilience/cache_fixture.h"

/* ---- a tier of a few keys ---- */

enum { FAKE_KEYS = 32, CALLS_HELD = 64 };

typedef struct held_call {
    sx_cache_tier_fn *done;
    void *ctx;
    char key[64];
    size_t key_len;
} held_call;

typedef struct fake_tier {
    sx_cache_tier tier;
    struct {
        char key[64];
        size_t key_len;
        char record[512];
        size_t len;
        uint32_t ttl_ms;
    } kept[FAKE_KEYS];
    size_t count;
    sx_status says; /* not SX_OK: every call ends so */
    bool hangs;     /* gets are held until fake_answer */
    bool writes_hang;
    held_call held[CALLS_HELD];
    size_t held_count;
    int gets, sets, removes;
} fake_tier;

static void hold(fake_tier *f, sx_str key, sx_cache_tier_fn *done, void *ctx)
{
    assert_true(f->held_count < CALLS_HELD && key.len < 64);
    held_call *h = &f->held[f->held_count++];
    *h = (held_call){.done = done, .ctx = ctx, .key_len = key.len};
    memcpy(h->key, key.data, key.len);
}

static size_t fake_find(const fake_tier *f, sx_str key)
{
    size_t i = 0;
    while (i < f->count && !sx_str_eq(key, sx_str_of(f->kept[i].key, f->kept[i].key_len)))
        i++;
    return i;
}

static void fake_say(fake_tier *f, sx_str key, sx_cache_tier_fn *done, void *ctx)
{
    size_t i = fake_find(f, key);
    if (f->says != SX_OK)
        done(ctx, f->says, SX_STR(""));
    else if (i == f->count)
        done(ctx, SX_ENOTFOUND, SX_STR(""));
    else
        done(ctx, SX_OK, sx_str_of(f->kept[i].record, f->kept[i].len));
}

static void fake_get(sx_cache_tier *tier, sx_str key, uint32_t ms_max, sx_cache_tier_fn *done,
                     void *ctx)
{
    fake_tier *f = (fake_tier *)tier;
    f->gets++;
    assert_int_equal(ms_max, 50);
    if (f->hangs)
        hold(f, key, done, ctx);
    else
        fake_say(f, key, done, ctx);
}

static void fake_set(sx_cache_tier *tier, sx_str key, sx_str record, uint32_t ttl_ms,
                     sx_cache_tier_fn *done, void *ctx)
{
    fake_tier *f = (fake_tier *)tier;
    f->sets++;
    size_t i = fake_find(f, key);
    if (f->says == SX_OK) {
        assert_true(i < FAKE_KEYS && key.len < 64 && record.len <= 512 && ttl_ms > 0);
        memcpy(f->kept[i].key, key.data, key.len);
        f->kept[i].key_len = key.len;
        memcpy(f->kept[i].record, record.data, record.len);
        f->kept[i].len = record.len;
        f->kept[i].ttl_ms = ttl_ms;
        f->count += i == f->count;
    }
    if (f->writes_hang)
        hold(f, key, done, ctx);
    else
        done(ctx, f->says, SX_STR(""));
}

static void fake_remove(sx_cache_tier *tier, sx_str key, sx_cache_tier_fn *done, void *ctx)
{
    fake_tier *f = (fake_tier *)tier;
    f->removes++;
    size_t i = fake_find(f, key);
    if (f->says == SX_OK && i < f->count)
        f->kept[i] = f->kept[--f->count];
    if (f->writes_hang)
        hold(f, key, done, ctx);
    else
        done(ctx, f->says, SX_STR(""));
}

/* Answers what was held; only the first may still be awaited. */
static void fake_answer(fake_tier *f)
{
    size_t count = f->held_count;
    f->held_count = 0;
    held_call held[CALLS_HELD];
    memcpy(held, f->held, sizeof(held));
    for (size_t i = 0; i < count; i++)
        fake_say(f, sx_str_of(held[i].key, held[i].key_len), held[i].done, held[i].ctx);
}

static void fake_free(sx_cache_tier *tier)
{
    fake_tier *f = (fake_tier *)tier;
    f->says = SX_ECANCELED;
    fake_answer(f);
}

static void fake_init(fake_tier *f, const char *name)
{
    memset(f, 0, sizeof(*f));
    f->tier = (sx_cache_tier){name, fake_get, fake_set, fake_remove, fake_free};
}

/* ---- a cache over two of them ---- */

typedef struct tiered {
    cache_fixture f;
    fake_tier upper, lower;
    sx_cache_tiers *tiers;
    sx_breakers *breakers;
    sx_kit kit;
} tiered;

static void tiered_options(tiered *t, sx_cache_tiers_options options)
{
    sx_error err = {0};
    memset(t, 0, sizeof(*t));
    fake_init(&t->upper, "upper");
    fake_init(&t->lower, "lower");
    sx_cache_options cache = cache_options(&t->f);
    t->kit.clock = &t->f.clock.clock;
    assert_int_equal(
        sx_breakers_new(&(sx_breakers_options){.clock = t->kit.clock}, &t->breakers, &err), SX_OK);
    t->kit.breakers = t->breakers;
    options.prefix = "p:";
    options.tiers[0] = &t->upper.tier;
    options.tiers[1] = &t->lower.tier;
    options.count = 2;
    options.kit = &t->kit;
    assert_int_equal(sx_cache_tiers_new(&options, &t->tiers, &err), SX_OK);
    cache.tiers = t->tiers;
    assert_int_equal(sx_cache_new(&cache, &t->f.cache, &err), SX_OK);
}

static void tiered_open(tiered *t)
{
    tiered_options(t, (sx_cache_tiers_options){0});
}

static void tiered_close(tiered *t)
{
    cache_close(&t->f);
    sx_cache_tiers_free(t->tiers);
    sx_cache_tier_free(&t->upper.tier);
    sx_cache_tier_free(&t->lower.tier);
    sx_breakers_free(t->breakers);
}

/* Memory forgets the key, as by eviction: no tier is told. A cache of its own memory over the same
 * tiers does that best. */
static void forget_memory(tiered *t)
{
    sx_error err = {0};
    sx_fake_clock clock = t->f.clock;
    cache_close(&t->f);
    sx_cache_options cache = cache_options(&t->f);
    t->f.clock = clock;
    cache.tiers = t->tiers;
    assert_int_equal(sx_cache_new(&cache, &t->f.cache, &err), SX_OK);
}

static void test_what_a_tier_has_is_not_loaded(void **state)
{
    (void)state;
    tiered t;
    tiered_open(&t);
    asker a = {0}, b = {0};
    assert_int_equal(ask(&t.f, "a", PLAIN, &a), SX_CACHE_WAIT);
    assert_int_equal(a.calls, 1); /* the tiers said no at once: the duty is its */
    assert_int_equal(a.result, SX_CACHE_LOAD);
    assert_int_equal(ask(&t.f, "a", PLAIN, &b), SX_CACHE_WAIT);
    assert_int_equal(b.calls, 0);
    assert_int_equal(sx_cache_fill(t.f.cache, a.token, SX_STR("one"), NULL, NULL), SX_OK);
    assert_string_equal(b.value, "one");
    assert_int_equal(t.upper.sets + t.lower.sets, 2);
    assert_int_equal(t.upper.kept[0].ttl_ms, 1000);
    assert_memory_equal(t.upper.kept[0].key, "p:a", 3);

    sx_fake_clock_advance(&t.f.clock, 400);
    t.upper.count = 0; /* the upper lost it */
    forget_memory(&t);
    memset(&a, 0, sizeof(a));
    assert_int_equal(ask(&t.f, "a", PLAIN, &a), SX_CACHE_WAIT);
    assert_int_equal(a.result, SX_CACHE_HIT);
    assert_string_equal(a.value, "one");
    assert_int_equal(t.upper.count, 1); /* and has it back, for the time that is left */
    assert_int_equal(t.upper.kept[0].ttl_ms, 600);
    assert_int_equal(t.lower.sets, 1);
    sx_fake_clock_advance(&t.f.clock, 599);
    expect(&t.f, "a", SX_CACHE_HIT, "one");
    sx_fake_clock_advance(&t.f.clock, 1);
    memset(&a, 0, sizeof(a));
    assert_int_equal(ask(&t.f, "a", PLAIN, &a), SX_CACHE_WAIT);
    assert_int_equal(a.result, SX_CACHE_LOAD); /* its time is over in all of them */
    assert_int_equal(sx_cache_tiers_stats_of(t.tiers, 1).hits, 1);
    tiered_close(&t);
}

static void test_absence_and_loaders_go_through_tiers(void **state)
{
    (void)state;
    tiered t;
    tiered_open(&t);
    asker a = {0}, loader = {0};
    sx_cache_view v;
    sx_cache_ask question = {
        .answer = answered, .ctx = &a, .load = remember_token, .load_ctx = &loader};
    assert_int_equal(sx_cache_get(t.f.cache, SX_STR("a"), PLAIN, &question, &v), SX_CACHE_WAIT);
    assert_int_equal(loader.loads, 1);
    assert_int_equal(sx_cache_absent(t.f.cache, loader.token, SX_STR("why"), NULL), SX_OK);
    assert_int_equal(a.result, SX_CACHE_NEGATIVE);
    forget_memory(&t);
    assert_int_equal(sx_cache_get(t.f.cache, SX_STR("a"), PLAIN, &question, &v), SX_CACHE_WAIT);
    assert_int_equal(loader.loads, 1);
    assert_int_equal(a.calls, 2);
    assert_int_equal(a.result, SX_CACHE_NEGATIVE);
    assert_string_equal(a.value, "why");

    /* On a loop both are called there. */
    sx_error err = {0};
    sx_loop *loop;
    assert_int_equal(sx_loop_new(&t.f.clock.clock, 0, &loop, &err), SX_OK);
    question.loop = loop;
    assert_int_equal(sx_cache_get(t.f.cache, SX_STR("b"), PLAIN, &question, &v), SX_CACHE_WAIT);
    assert_int_equal(loader.loads, 1);
    sx_loop_turn(loop);
    assert_int_equal(loader.loads, 2);
    sx_cache_fill(t.f.cache, loader.token, SX_STR("two"), NULL, NULL);
    sx_loop_turn(loop);
    assert_int_equal(a.calls, 3);
    assert_string_equal(a.value, "two");
    /* A loader posted to a loop that runs after the cache has gone is not called. */
    assert_int_equal(sx_cache_get(t.f.cache, SX_STR("c"), PLAIN, &question, &v), SX_CACHE_WAIT);
    tiered_close(&t);
    sx_loop_free(loop);
    assert_int_equal(loader.loads, 2);
    assert_int_equal(a.calls, 4);
    assert_int_equal(a.status, SX_ECANCELED);
}

static void test_a_tier_that_fails_is_passed_over(void **state)
{
    (void)state;
    tiered t;
    tiered_open(&t);
    put(&t.f, "a", PLAIN, "one");
    forget_memory(&t);
    t.upper.says = SX_ECLOSED;
    asker a = {0};
    ask(&t.f, "a", PLAIN, &a);
    assert_string_equal(a.value, "one");
    /* Its breaker opens: no longer asked. */
    for (int i = 0; i < 10; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%d", i);
        ask(&t.f, key, PLAIN, &a);
        assert_int_equal(a.result, SX_CACHE_LOAD);
    }
    sx_cache_tier_stats stats = sx_cache_tiers_stats_of(t.tiers, 0);
    assert_true(stats.skipped > 0 && stats.errors > 0);
    assert_int_equal(t.lower.gets, 11);
    tiered_close(&t);
}

static void test_a_tier_that_hangs_is_passed_over(void **state)
{
    (void)state;
    tiered t;
    tiered_open(&t);
    put(&t.f, "a", PLAIN, "one");
    forget_memory(&t);
    t.upper.hangs = true;
    asker a = {0};
    assert_int_equal(ask(&t.f, "a", PLAIN, &a), SX_CACHE_WAIT);
    sx_cache_sweep(t.f.cache);
    assert_int_equal(a.calls, 0);
    sx_fake_clock_advance(&t.f.clock, 50);
    sx_cache_sweep(t.f.cache);
    assert_int_equal(a.calls, 1);
    assert_string_equal(a.value, "one");
    fake_answer(&t.upper); /* too late: nobody listens */
    assert_int_equal(a.calls, 1);
    sx_cache_tier_stats stats = sx_cache_tiers_stats_of(t.tiers, 0);
    assert_int_equal(stats.timeouts, 1);
    assert_int_equal(stats.hits, 0);

    /* Both hang, the cache goes: who waits is told, the late answers find nobody. */
    t.lower.hangs = true;
    assert_int_equal(ask(&t.f, "b", PLAIN, &a), SX_CACHE_WAIT);
    sx_fake_clock_advance(&t.f.clock, 50);
    sx_cache_sweep(t.f.cache);
    tiered_close(&t);
    assert_int_equal(a.calls, 2);
    assert_int_equal(a.status, SX_ECANCELED);
}

static void test_nothing_old_comes_back(void **state)
{
    (void)state;
    tiered t;
    tiered_open(&t);
    asker a = {0};
    put(&t.f, "a", PLAIN, "one");
    /* Removed while the tiers are down: they still have it when they come back. */
    t.upper.says = t.lower.says = SX_ECLOSED;
    sx_fake_clock_advance(&t.f.clock, 10);
    sx_cache_remove(t.f.cache, SX_STR("a"));
    t.upper.says = t.lower.says = SX_OK;
    ask(&t.f, "a", PLAIN, &a);
    assert_int_equal(a.result, SX_CACHE_LOAD);
    sx_fake_clock_advance(&t.f.clock, 1);
    sx_cache_fill(t.f.cache, a.token, SX_STR("two"), NULL, NULL);
    forget_memory(&t);
    ask(&t.f, "a", PLAIN, &a);
    assert_string_equal(a.value, "two");

    /* A put that a tier did not take, then the memory is lost. */
    sx_fake_clock_advance(&t.f.clock, 1);
    t.upper.says = t.lower.says = SX_ECLOSED;
    put(&t.f, "a", PLAIN, "three");
    t.upper.says = t.lower.says = SX_OK;
    forget_memory(&t);
    ask(&t.f, "a", PLAIN, &a);
    assert_int_equal(a.result, SX_CACHE_LOAD);
    sx_cache_fill(t.f.cache, a.token, SX_STR("four"), NULL, NULL);

    tiered_close(&t);

    /* While a removal waits behind another write. */
    tiered_options(&t, (sx_cache_tiers_options){.writes_now = 1});
    put(&t.f, "a", PLAIN, "one");
    t.upper.writes_hang = t.lower.writes_hang = true;
    put(&t.f, "b", PLAIN, "two");
    sx_cache_remove(t.f.cache, SX_STR("a"));
    assert_int_equal(sx_cache_tiers_stats_of(t.tiers, 0).queued, 1);
    ask(&t.f, "a", PLAIN, &a);
    assert_int_equal(a.result, SX_CACHE_LOAD);
    t.upper.writes_hang = t.lower.writes_hang = false;
    fake_answer(&t.upper);
    fake_answer(&t.lower);
    assert_int_equal(t.upper.count, 1);
    assert_int_equal(sx_cache_tiers_stats_of(t.tiers, 0).queued, 0);
    tiered_close(&t);
}

static void test_classes_tags_and_prefixes_stay_forgotten(void **state)
{
    (void)state;
    static const char *const HOW[] = {"class", "tag", "prefix", "all"};
    for (size_t how = 0; how < SX_COUNT_OF(HOW); how++) {
        tiered t;
        tiered_open(&t);
        sx_error err = {0};
        sx_cache_how tag = {.tag = 77};
        assert_int_equal(sx_cache_put(t.f.cache, SX_STR("user:1"), PLAIN, SX_STR("x"), &tag, &err),
                         SX_OK);
        assert_int_equal(sx_cache_put(t.f.cache, SX_STR("other"), STALE, SX_STR("y"), NULL, &err),
                         SX_OK);
        if (how == 0)
            sx_cache_remove_class(t.f.cache, PLAIN);
        else if (how == 1)
            sx_cache_remove_tag(t.f.cache, 77);
        else if (how == 2)
            sx_cache_remove_prefix(t.f.cache, SX_STR("user:"));
        else
            sx_cache_remove_prefix(t.f.cache, SX_STR(""));
        asker a = {0}, b = {0};
        ask(&t.f, "user:1", PLAIN, &a);
        assert_int_equal(a.result, SX_CACHE_LOAD);
        forget_memory(&t);
        ask(&t.f, "other", STALE, &b);
        assert_int_equal(b.result, how == 3 ? SX_CACHE_LOAD : SX_CACHE_HIT);
        tiered_close(&t);
    }
}

/* More prefixes than are kept: then all that is older is forgotten. */
static void test_many_prefixes_forget_more(void **state)
{
    (void)state;
    tiered t;
    tiered_open(&t);
    asker a = {0};
    put(&t.f, "other", PLAIN, "x");
    for (int i = 0; i < 17; i++) {
        char prefix[8];
        snprintf(prefix, sizeof(prefix), "p%d", i);
        sx_cache_remove_prefix(t.f.cache, sx_str_z(prefix));
    }
    forget_memory(&t);
    ask(&t.f, "other", PLAIN, &a);
    assert_int_equal(a.result, SX_CACHE_LOAD);
    tiered_close(&t);
}

static void test_writes_wait_in_a_bounded_line(void **state)
{
    (void)state;
    tiered t;
    tiered_options(&t, (sx_cache_tiers_options){.writes_max = 4, .writes_now = 2});
    t.upper.writes_hang = true;
    char key[8];
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        put(&t.f, key, PLAIN, "v");
    }
    sx_cache_tier_stats upper = sx_cache_tiers_stats_of(t.tiers, 0);
    sx_cache_tier_stats lower = sx_cache_tiers_stats_of(t.tiers, 1);
    assert_int_equal(lower.written, 10); /* one does not hold up the other */
    assert_int_equal(upper.writing, 2);
    assert_int_equal(upper.queued, 4);
    assert_int_equal(upper.dropped, 4);
    for (int i = 0; i < 5; i++)
        fake_answer(&t.upper);
    upper = sx_cache_tiers_stats_of(t.tiers, 0);
    assert_int_equal(upper.written, 6);
    assert_int_equal(upper.queued_bytes, 0);
    /* Those under way when all ends. */
    put(&t.f, "last", PLAIN, "v");
    put(&t.f, "last", PLAIN, "v");
    put(&t.f, "last", PLAIN, "v");
    tiered_close(&t);
}

/* Whatever a tier gives back for a key, it is the value or a miss. */
static void test_a_lying_tier_is_a_miss(void **state)
{
    (void)state;
    tiered t;
    tiered_open(&t);
    put(&t.f, "a", PLAIN, "one");
    put(&t.f, "b", PLAIN, "two");
    t.lower.count = 0;
    asker a = {0};
    char good[512];
    size_t len = t.upper.kept[0].len;
    memcpy(good, t.upper.kept[0].record, len);
    for (size_t i = 0; i < 2 * len; i++) {
        memcpy(t.upper.kept[0].record, good, len);
        t.upper.kept[0].len = len;
        if (i < len)
            t.upper.kept[0].len = i; /* cut */
        else
            t.upper.kept[0].record[i - len] ^= 0x10; /* or one bit is wrong */
        forget_memory(&t);
        memset(&a, 0, sizeof(a));
        ask(&t.f, "a", PLAIN, &a);
        assert_int_equal(a.result, SX_CACHE_LOAD);
        sx_cache_fail(t.f.cache, a.token, SX_EIO, NULL);
    }
    assert_int_equal(sx_cache_tiers_stats_of(t.tiers, 0).corrupt, 2 * len);
    /* A sound record of another key, then of another class. */
    t.upper.kept[0].len = t.upper.kept[1].len;
    memcpy(t.upper.kept[0].record, t.upper.kept[1].record, t.upper.kept[1].len);
    forget_memory(&t);
    ask(&t.f, "a", PLAIN, &a);
    assert_int_equal(a.result, SX_CACHE_LOAD);
    ask(&t.f, "b", STALE, &a);
    assert_int_equal(a.result, SX_CACHE_LOAD);
    tiered_close(&t);
}

static void test_wall_clocks_that_jump_do_not_keep_values_for_ever(void **state)
{
    (void)state;
    tiered t;
    tiered_open(&t);
    asker a = {0};
    put(&t.f, "a", PLAIN, "one");
    sx_fake_clock_jump(&t.f.clock, 1600000000000); /* years back */
    forget_memory(&t);
    ask(&t.f, "a", PLAIN, &a);
    assert_string_equal(a.value, "one"); /* for its ttl from now on, by the monotonic clock */
    sx_fake_clock_advance(&t.f.clock, 1000);
    expect(&t.f, "a", SX_CACHE_MISS, "");
    put(&t.f, "b", PLAIN, "two");
    sx_fake_clock_jump(&t.f.clock, 1900000000000); /* and far ahead */
    forget_memory(&t);
    ask(&t.f, "b", PLAIN, &a);
    assert_int_equal(a.result, SX_CACHE_LOAD);
    tiered_close(&t);
}

static void test_options_are_checked(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_cache_tiers *tiers;
    fake_tier tier;
    fake_init(&tier, "one");
    sx_cache_tiers_options options = {0};
    assert_int_equal(sx_cache_tiers_new(&options, &tiers, &err), SX_EINVAL);
    options.count = 1;
    assert_int_equal(sx_cache_tiers_new(&options, &tiers, &err), SX_EINVAL);
    options.tiers[0] = &tier.tier;
    assert_int_equal(sx_cache_tiers_new(&options, &tiers, &err), SX_OK);
    sx_cache *one, *two;
    assert_int_equal(sx_cache_new(&(sx_cache_options){.tiers = tiers}, &one, &err), SX_OK);
    assert_int_equal(sx_cache_new(&(sx_cache_options){.tiers = tiers}, &two, &err), SX_EINVAL);
    sx_cache_free(one);
    sx_cache_tiers_free(tiers);
    sx_cache_tiers_free(NULL);
    sx_cache_tier_free(NULL);
}

static void test_without_memory_tiers_are_passed_over(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        tiered t;
        tiered_open(&t);
        sx_loop *loop;
        sx_error err = {0};
        assert_int_equal(sx_loop_new(&t.f.clock.clock, 0, &loop, &err), SX_OK);
        asker a = {0}, loader = {0};
        sx_cache_view v;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_cache_result r = sx_cache_get(t.f.cache, SX_STR("a"), PLAIN,
                                         &(sx_cache_ask){.answer = answered,
                                                         .ctx = &a,
                                                         .loop = loop,
                                                         .load = remember_token,
                                                         .load_ctx = &loader},
                                         &v);
        sx_loop_turn(loop);
        if (loader.loads)
            sx_cache_fill(t.f.cache, loader.token, SX_STR("one"), NULL, NULL);
        sx_cache_put(t.f.cache, SX_STR("b"), PLAIN, SX_STR("two"), NULL, NULL);
        sx_cache_remove(t.f.cache, SX_STR("b"));
        sx_cache_remove_prefix(t.f.cache, SX_STR("c"));
        asker told = {0};
        sx_cache_result second = ask(&t.f, "d", PLAIN, &told);
        bool is_over = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_loop_turn(loop);
        assert_int_equal(a.calls, r == SX_CACHE_WAIT ? 1 : 0);
        assert_int_equal(told.calls, second == SX_CACHE_WAIT ? 1 : 0);
        if (r == SX_CACHE_WAIT)
            assert_int_equal(loader.loads, 1);
        tiered_close(&t);
        sx_loop_free(loop);
        if (is_over)
            break;
        assert_true(nth < 200);
    }
}

static void test_records_are_read_as_written(void **state)
{
    (void)state;
    char room[CACHE_RECORD_HEAD + 5];
    cache_record r = {.is_absent = true,
                      .class_version = 7,
                      .class_hash = 1234567890123,
                      .stored_ms = 1700000000000,
                      .fresh_until_ms = 1700000000001,
                      .tag = UINT64_MAX,
                      .value = SX_STR("hello")};
    cache_record back;
    cache_record_write(&r, SX_STR("key"), room);
    sx_str bytes = sx_str_of(room, sizeof(room));
    assert_true(cache_record_read(bytes, SX_STR("key"), &back));
    assert_true(sx_str_eq(back.value, r.value) && back.is_absent && back.class_version == 7);
    assert_true(back.tag == r.tag && back.stored_ms == r.stored_ms);
    assert_false(cache_record_read(bytes, SX_STR("kex"), &back));
    r.fresh_until_ms = r.stored_ms; /* makes no sense: refused, checksum or not */
    cache_record_write(&r, SX_STR("key"), room);
    assert_false(cache_record_read(bytes, SX_STR("key"), &back));
    r.stored_ms = -1;
    cache_record_write(&r, SX_STR("key"), room);
    assert_false(cache_record_read(bytes, SX_STR("key"), &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_tier_has_is_not_loaded),
        cmocka_unit_test(test_absence_and_loaders_go_through_tiers),
        cmocka_unit_test(test_a_tier_that_fails_is_passed_over),
        cmocka_unit_test(test_a_tier_that_hangs_is_passed_over),
        cmocka_unit_test(test_nothing_old_comes_back),
        cmocka_unit_test(test_classes_tags_and_prefixes_stay_forgotten),
        cmocka_unit_test(test_many_prefixes_forget_more),
        cmocka_unit_test(test_writes_wait_in_a_bounded_line),
        cmocka_unit_test(test_a_lying_tier_is_a_miss),
        cmocka_unit_test(test_wall_clocks_that_jump_do_not_keep_values_for_ever),
        cmocka_unit_test(test_options_are_checked),
        cmocka_unit_test(test_without_memory_tiers_are_passed_over),
        cmocka_unit_test(test_records_are_read_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
