/* Tests of the heap's sampling: what is counted, where, and what goes when blocks are freed. */
#include "base/heap_profile.h"

#include <pthread.h>
#include <string.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"

enum { MEAN = 4096 };

/* Sanitizers end the program where the system would refuse. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

typedef struct sums {
    int64_t alloc_objects, alloc_bytes, inuse_objects, inuse_bytes;
    const void *code; /* only sites with a return address in its first bytes; NULL: all */
} sums;

static void add(void *ctx, const sx_heap_site *site)
{
    sums *s = ctx;
    bool fits = s->code == NULL;
    for (unsigned i = 0; i < site->depth && !fits; i++)
        fits = site->pcs[i] - (uintptr_t)s->code < 200;
    if (!fits)
        return;
    s->alloc_objects += site->alloc_objects;
    s->alloc_bytes += site->alloc_bytes;
    s->inuse_objects += site->inuse_objects;
    s->inuse_bytes += site->inuse_bytes;
}

static sums sums_of(const void *code)
{
    sums s = {.code = code};
    sx_heap_sites(add, &s);
    return s;
}

__attribute__((noinline)) static void allocate(void **blocks, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = sx_alloc(bytes);
        assert_non_null(blocks[i]);
    }
}

__attribute__((noinline)) static void allocate_elsewhere(void **blocks, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = sx_calloc(1, bytes);
        assert_non_null(blocks[i]);
    }
}

static void free_all(void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sx_free(blocks[i]);
}

/* Every block is a sample from now on: what this thread had drawn before is used up. */
static void sample_all(void)
{
    sx_heap_profile_set(1);
    sx_free(sx_alloc(1 << 20));
    sx_free(sx_alloc(1 << 20));
}

static int stop(void **state)
{
    (void)state;
    sx_heap_profile_set(0);
    return 0;
}

static void test_nothing_is_sampled_until_asked_for(void **state)
{
    (void)state;
    void *blocks[1000];
    allocate(blocks, 1000, 10000);
    assert_int_equal(sums_of(NULL).alloc_objects, 0);
    free_all(blocks, 1000);
    assert_int_equal(sx_heap_profile_mean(), 0);
}

/* 20000 blocks of 1 KiB are 5000 means: the estimate's deviation is 1 / sqrt(5000) = 1.4 %. */
static void test_the_estimate_is_right_for_small_and_large_blocks(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static const size_t SIZES[] = {64, 1024, 100000};
    static void *blocks[COUNT];
    sx_heap_profile_set(MEAN);
    for (size_t i = 0; i < SX_COUNT_OF(SIZES); i++) {
        size_t count = i == 2 ? 200 : COUNT;
        sums before = sums_of((const void *)allocate);
        allocate(blocks, count, SIZES[i]);
        sums during = sums_of((const void *)allocate);
        double expected = (double)(count * SIZES[i]);
        double slack = i == 0 ? 0.4 : 0.1; /* 64 bytes: 312 means, 5.7 % */
        assert_true((double)(during.inuse_bytes - before.inuse_bytes) > expected * (1 - slack));
        assert_true((double)(during.inuse_bytes - before.inuse_bytes) < expected * (1 + slack));
        double objects = (double)(during.inuse_objects - before.inuse_objects);
        assert_true(objects > (double)count * (1 - slack) && objects < (double)count * (1 + slack));
        free_all(blocks, count);
        sums after = sums_of((const void *)allocate);
        assert_int_equal(after.inuse_bytes, before.inuse_bytes);
        assert_int_equal(after.inuse_objects, before.inuse_objects);
        assert_int_equal(after.alloc_bytes, during.alloc_bytes);
    }
}

static void test_each_site_has_its_own_sums(void **state)
{
    (void)state;
    static void *here[1000], *there[500];
    sx_heap_profile_set(MEAN);
    sums before = sums_of((const void *)allocate_elsewhere);
    allocate(here, 1000, 50000);
    allocate_elsewhere(there, 500, 50000);
    free_all(here, 1000);
    sums after = sums_of((const void *)allocate_elsewhere);
    double held = (double)(after.inuse_bytes - before.inuse_bytes);
    assert_true(held > 500 * 50000 * 0.98 && held < 500 * 50000 * 1.02);
    free_all(there, 500);
}

static void test_a_block_that_moves_is_counted_once(void **state)
{
    (void)state;
    sample_all();
    sums before = sums_of(NULL);
    char *block = NULL;
    for (size_t bytes = 100000; bytes <= 3200000; bytes *= 2) {
        block = sx_realloc(block, bytes);
        assert_non_null(block);
        sums now = sums_of(NULL);
        assert_int_equal(now.inuse_bytes - before.inuse_bytes, bytes);
        assert_int_equal(now.inuse_objects - before.inuse_objects, 1);
    }
    sx_free(block);
    assert_int_equal(sums_of(NULL).inuse_bytes, before.inuse_bytes);
}

static void test_a_resize_that_fails_leaves_the_sample(void **state)
{
    (void)state;
    sample_all();
    sums before = sums_of(NULL);
    char *block = sx_alloc(5000);
    volatile size_t too_much = PTRDIFF_MAX / 2;
    if (!SANITIZED)
        assert_null(sx_realloc(block, too_much));
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1});
    assert_null(sx_realloc(block, 6000));
    sx_fault_alloc_set((sx_fault_alloc){0});
    assert_int_equal(sums_of(NULL).inuse_bytes - before.inuse_bytes, 5000);
    sx_free(block);
    assert_int_equal(sums_of(NULL).inuse_bytes, before.inuse_bytes);
}

static void test_frees_are_noticed_after_it_was_turned_off(void **state)
{
    (void)state;
    sample_all();
    sums before = sums_of(NULL);
    void *blocks[10];
    allocate(blocks, 10, 7000);
    sx_heap_profile_set(0);
    void *unseen = sx_alloc(9000);
    assert_int_equal(sums_of(NULL).inuse_bytes - before.inuse_bytes, 70000);
    free_all(blocks, 10);
    sx_free(unseen);
    assert_int_equal(sums_of(NULL).inuse_bytes, before.inuse_bytes);
}

/* ---- threads ---- */

static void *handed[4][256]; /* atomic: blocks on their way from one thread to the next */

static void *churn(void *arg)
{
    size_t self = (size_t)(uintptr_t)arg;
    for (unsigned i = 0; i < 20000; i++) {
        void *block = sx_alloc(16 + i * 7 % 3000);
        void *old = __atomic_exchange_n(&handed[(self + i) % 4][i % 256], block, __ATOMIC_ACQ_REL);
        if (i % 3 == 0)
            old = sx_realloc(old, 5000);
        sx_free(old);
    }
    return NULL;
}

static void test_blocks_may_be_freed_by_other_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    sx_heap_profile_set(512);
    memset(handed, 0, sizeof(handed));
    sums before = sums_of(NULL);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 4; i++)
        free_all(handed[i], 256);
    sums after = sums_of(NULL);
    assert_int_equal(after.inuse_bytes, before.inuse_bytes);
    assert_int_equal(after.inuse_objects, before.inuse_objects);
    assert_true(after.alloc_bytes - before.alloc_bytes > 4 * 20000 * 1000ll);
    assert_int_equal(sx_heap_lost(), 0);
    for (size_t i = 0; i < SX_COUNT_OF(sx_heap_filter); i++)
        assert_int_equal(sx_heap_filter[i], 0); /* nothing is in use: no free looks further */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_sampled_until_asked_for),
        cmocka_unit_test_teardown(test_the_estimate_is_right_for_small_and_large_blocks, stop),
        cmocka_unit_test_teardown(test_each_site_has_its_own_sums, stop),
        cmocka_unit_test_teardown(test_a_block_that_moves_is_counted_once, stop),
        cmocka_unit_test_teardown(test_a_resize_that_fails_leaves_the_sample, stop),
        cmocka_unit_test_teardown(test_frees_are_noticed_after_it_was_turned_off, stop),
        cmocka_unit_test_teardown(test_blocks_may_be_freed_by_other_threads, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
