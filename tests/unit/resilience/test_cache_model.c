/* test_cache_model.c - the cache beside a plain table that keeps everything, without memory, and under
 * four threads. */
#include "tests/unit/resilience/cache_fixture.h"

#include <pthread.h>
#include <string.h>

#include <sextant/random.h>

/* ---- the model ---- */

enum { MODEL_KEYS = 200, STEPS = 200000 };

typedef struct model_entry {
    bool is_there, is_absent;
    unsigned class_index;
    int64_t stored_ms;
    uint32_t value, ttl_ms;
    sx_cache_token token;         /* a load that began and may still be answered … */
    bool is_loading, is_outdated; /* … but not stored */
    unsigned load_class;
} model_entry;

typedef struct model {
    cache_fixture f;
    sx_random random;
    model_entry keys[MODEL_KEYS];
    bool may_evict;
    uint64_t hits;
} model;

static int64_t model_now(model *m)
{
    return sx_clock_mono_ms(&m->f.clock.clock);
}

static sx_cache_result model_expects(model *m, const model_entry *e)
{
    int64_t age = model_now(m) - e->stored_ms;
    if (!e->is_there)
        return SX_CACHE_MISS;
    if (age < e->ttl_ms)
        return e->is_absent ? SX_CACHE_NEGATIVE : SX_CACHE_HIT;
    if (!e->is_absent && age < e->ttl_ms + CACHE_CLASSES[e->class_index].stale_ms)
        return SX_CACHE_STALE;
    return SX_CACHE_MISS;
}

static void model_get(model *m, uint32_t key)
{
    model_entry *e = &m->keys[key];
    unsigned class_index = (unsigned)sx_random_below(&m->random, CLASSES);
    bool asks = sx_random_below(&m->random, 3) == 0;
    sx_cache_view v;
    sx_cache_result expected = model_expects(m, e);
    sx_cache_result r = sx_cache_get(m->f.cache, sx_str_of(&key, sizeof(key)), class_index,
                                     asks ? &(sx_cache_ask){0} : NULL, &v);
    bool is_missing = r == SX_CACHE_MISS || r == SX_CACHE_LOAD || r == SX_CACHE_BYPASS;
    if (!is_missing || !m->may_evict)
        assert_int_equal(is_missing ? SX_CACHE_MISS : r, expected);
    if (!is_missing) {
        m->hits++;
        if (r != SX_CACHE_NEGATIVE) {
            assert_int_equal(v.value.len, sizeof(e->value));
            assert_memory_equal(v.value.data, &e->value, sizeof(e->value));
        }
        assert_int_equal(v.age_ms, model_now(m) - e->stored_ms);
    }
    if (v.token.id) {
        e->token = v.token;
        e->is_loading = true;
        e->is_outdated = false;
        e->load_class = class_index;
    }
    sx_cache_release(&v);
}

static void model_put(model *m, uint32_t key)
{
    model_entry *e = &m->keys[key];
    e->is_there = true;
    e->is_absent = false;
    e->is_outdated = true;
    e->class_index = (unsigned)sx_random_below(&m->random, CLASSES);
    e->stored_ms = model_now(m);
    e->value = (uint32_t)sx_random_u64(&m->random);
    sx_cache_how how = {0};
    if (sx_random_below(&m->random, 4) == 0)
        how.ttl_ms = 1 + (uint32_t)sx_random_below(&m->random, 3000);
    e->ttl_ms = how.ttl_ms ? how.ttl_ms : CACHE_CLASSES[e->class_index].ttl_ms;
    assert_int_equal(sx_cache_put(m->f.cache, sx_str_of(&key, sizeof(key)), e->class_index,
                                  sx_str_of(&e->value, sizeof(e->value)), &how, NULL),
                     SX_OK);
}

/* Answers a load, if there is one. None is ever overdue here: test_cache_loads.c has those. */
static void model_answer(model *m, uint32_t key)
{
    model_entry *e = &m->keys[key];
    if (!e->is_loading)
        return;
    e->is_loading = false;
    uint32_t value = (uint32_t)sx_random_u64(&m->random);
    bool absent = sx_random_below(&m->random, 4) == 0;
    sx_status status =
        absent ? sx_cache_absent(m->f.cache, e->token, SX_STR(""), NULL)
               : sx_cache_fill(m->f.cache, e->token, sx_str_of(&value, sizeof(value)), NULL, NULL);
    assert_int_equal(status, SX_OK);
    if (e->is_outdated)
        return;
    const sx_cache_class *k = &CACHE_CLASSES[e->load_class];
    e->is_there = !absent || k->negative_ttl_ms;
    e->is_absent = absent;
    e->class_index = e->load_class;
    e->stored_ms = model_now(m);
    e->value = value;
    e->ttl_ms = absent ? k->negative_ttl_ms : k->ttl_ms;
}

static void model_remove(model *m, uint32_t key)
{
    model_entry *e = &m->keys[key];
    switch (sx_random_below(&m->random, 20)) {
    case 0: { /* a whole class, and what is loading for it */
        unsigned class_index = (unsigned)sx_random_below(&m->random, CLASSES);
        sx_cache_remove_class(m->f.cache, class_index);
        for (size_t i = 0; i < MODEL_KEYS; i++) {
            if (m->keys[i].class_index == class_index)
                m->keys[i].is_there = false;
            if (m->keys[i].load_class == class_index)
                m->keys[i].is_outdated = true;
        }
        break;
    }
    case 1: /* all that begin with the same byte, which is all whose number ends with it */
        sx_cache_remove_prefix(m->f.cache, sx_str_of(&key, 1));
        for (size_t i = key & 255; i < MODEL_KEYS; i += 256) {
            m->keys[i].is_there = false;
            m->keys[i].is_outdated = true;
        }
        break;
    default:
        sx_cache_remove(m->f.cache, sx_str_of(&key, sizeof(key)));
        e->is_there = false;
        e->is_outdated = true;
    }
}

static void model_open(model *m, size_t bytes_max)
{
    sx_cache_options options = cache_options(&m->f);
    options.bytes_max = bytes_max;
    options.load_ms_max = 1 << 30;
    sx_error err = {0};
    assert_int_equal(sx_cache_new(&options, &m->f.cache, &err), SX_OK);
}

static void run_model(model *m, uint64_t seed)
{
    sx_random_seed(&m->random, seed);
    for (int step = 0; step < STEPS; step++) {
        uint32_t key = (uint32_t)sx_random_below(&m->random, MODEL_KEYS);
        uint64_t what = sx_random_below(&m->random, 100);
        if (what < 50)
            model_get(m, key);
        else if (what < 65)
            model_put(m, key);
        else if (what < 85)
            model_answer(m, key);
        else if (what < 88)
            model_remove(m, key);
        else if (what < 98)
            sx_fake_clock_advance(&m->f.clock, (int64_t)sx_random_below(&m->random, 20));
        else if (what < 99)
            sx_fake_clock_jump(&m->f.clock, (int64_t)sx_random_below(&m->random, 1000000));
        else
            sx_cache_sweep(m->f.cache);
        if (step % 5000 == 0)
            sx_cache_check(m->f.cache);
    }
}

static void test_it_answers_as_the_model_does(void **state)
{
    (void)state;
    static model m;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        memset(&m, 0, sizeof(m));
        model_open(&m, 1 << 20);
        print_message("seed %llu\n", (unsigned long long)seed);
        run_model(&m, seed);
        assert_true(m.hits > 10000);
        cache_close(&m.f);
    }
}

/* With too little room it may have forgotten, but what it has is right. */
static void test_a_small_one_forgets_but_never_lies(void **state)
{
    (void)state;
    static model m;
    memset(&m, 0, sizeof(m));
    m.may_evict = true;
    model_open(&m, 64 << 10);
    for (int i = 0; i < 600; i++) { /* full before it starts */
        char key[16];
        snprintf(key, sizeof(key), "filler %d", i);
        sx_cache_put(m.f.cache, sx_str_z(key), PLAIN, SX_STR("x"),
                     &(sx_cache_how){.ttl_ms = UINT32_MAX}, NULL);
    }
    run_model(&m, 4);
    assert_true(m.hits > 1000);
    cache_close(&m.f);
}

/* ---- without memory ---- */

/* What a program does with a cache; every step may fail, none may lose anything. */
static void use_cache(cache_fixture *f, sx_metrics *metrics, sx_loop *loop)
{
    sx_cache_options options = cache_options(f);
    options.metrics = metrics;
    sx_error err = {0};
    if (sx_cache_new(&options, &f->cache, &err) != SX_OK)
        return;
    asker first = {0}, waits = {0}, posted = {0}, loads = {0};
    sx_cache_view v;
    sx_cache_put(f->cache, SX_STR("a"), PLAIN, SX_STR("one"), NULL, &err);
    sx_cache_get(f->cache, SX_STR("a"), PLAIN, NULL, &v);
    sx_cache_release(&v);
    int expected = 0;
    bool is_loading = ask(f, "b", PLAIN, &first) == SX_CACHE_LOAD;
    expected += ask(f, "b", PLAIN, &waits) == SX_CACHE_WAIT;
    expected += sx_cache_get(f->cache, SX_STR("b"), PLAIN,
                             &(sx_cache_ask){.answer = answered, .ctx = &posted, .loop = loop},
                             &v) == SX_CACHE_WAIT;
    expected += sx_cache_get(f->cache, SX_STR("c"), STALE,
                             &(sx_cache_ask){.answer = answered,
                                             .ctx = &loads,
                                             .load = remember_token,
                                             .load_ctx = &loads},
                             &v) == SX_CACHE_WAIT;
    if (is_loading)
        sx_cache_fill(f->cache, first.token, SX_STR("two"), NULL, NULL);
    if (loads.loads)
        sx_cache_fail(f->cache, loads.token, SX_EIO, NULL);
    sx_loop_turn(loop);
    cache_close(f);
    sx_loop_turn(loop);
    assert_int_equal(waits.calls + posted.calls + loads.calls, expected);
}

static void test_without_memory_nobody_is_forgotten(void **state)
{
    (void)state;
    sx_error err = {0};
    for (int64_t nth = 1;; nth++) {
        cache_fixture f;
        sx_metrics *metrics;
        sx_loop *loop;
        sx_fake_clock_init(&f.clock, 0);
        assert_int_equal(sx_metrics_new(NULL, &metrics, &err), SX_OK);
        assert_int_equal(sx_loop_new(&f.clock.clock, 0, &loop, &err), SX_OK);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        use_cache(&f, metrics, loop);
        bool is_over = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_loop_free(loop);
        sx_metrics_free(metrics);
        if (is_over)
            break;
        assert_true(nth < 1000);
    }
}

/* ---- threads ---- */

enum { THREADS = 4, TURNS = 30000, SHARED_KEYS = 3000 };

static void *hammer(void *arg)
{
    sx_cache *cache = arg;
    static _Atomic uint64_t seeds = 1;
    sx_random random;
    sx_random_seed(&random, seeds++);
    sx_telemetry_thread_join();
    for (int i = 0; i < TURNS; i++) {
        uint64_t key = sx_random_below(&random, SHARED_KEYS);
        sx_str name = sx_str_of(&key, sizeof(key));
        uint64_t value[8] = {key, key, key, key, key, key, key, key};
        uint64_t what = sx_random_below(&random, 100);
        sx_cache_view v = {0};
        if (what < 70) {
            sx_cache_result r = sx_cache_get(cache, name, PLAIN, &(sx_cache_ask){0}, &v);
            if (r == SX_CACHE_LOAD)
                sx_cache_fill(cache, v.token, sx_str_of(value, sizeof(value)), NULL, &v);
            if (v.hold)
                assert_memory_equal(v.value.data, value, sizeof(value)); /* whole, and the key's */
            sx_cache_release(&v);
        } else if (what < 90) {
            sx_cache_put(cache, name, STALE, sx_str_of(value, sizeof(value)),
                         &(sx_cache_how){.tag = 1 + key % 10}, NULL);
        } else if (what < 97) {
            sx_cache_remove(cache, name);
        } else if (what < 98) {
            sx_cache_remove_tag(cache, 1 + key % 10);
        } else if (what < 99) {
            sx_cache_sweep(cache);
        } else if (i % 16 == 0) {
            sx_cache_remove_class(cache, STALE);
            (void)sx_cache_stats_of(cache);
        }
    }
    sx_telemetry_thread_leave();
    return NULL;
}

static void test_four_threads_see_whole_values(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_metrics *metrics;
    sx_cache *cache;
    assert_int_equal(sx_metrics_new(NULL, &metrics, &err), SX_OK);
    assert_int_equal(sx_cache_new(&(sx_cache_options){.bytes_max = 256 << 10,
                                                      .shards = 2,
                                                      .classes = CACHE_CLASSES,
                                                      .class_count = CLASSES,
                                                      .metrics = metrics},
                                  &cache, &err),
                     SX_OK);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, cache), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    sx_cache_check(cache);
    sx_cache_free(cache);
    sx_metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_answers_as_the_model_does),
        cmocka_unit_test(test_a_small_one_forgets_but_never_lies),
        cmocka_unit_test(test_without_memory_nobody_is_forgotten),
        cmocka_unit_test(test_four_threads_see_whole_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
