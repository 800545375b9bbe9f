/* test_mem_account.c - what a thread holds is counted, bounded by its account and by all together. */
#include "tests/unit/base/cmocka_all.h"

#include <pthread.h>

#include <sextant/arena.h>
#include <sextant/error.h>
#include <sextant/mem.h>

#include "base/mem_account.h"

static const char *const WORDS[] = {NULL, "its own", "all together"};

static void test_allocations_fail_at_the_limit_and_frees_make_room(void **state)
{
    (void)state;
    sx_mem_account a;
    sx_error err = {0};
    sx_mem_account_init(&a, 100000, NULL, WORDS);
    void *before = sx_alloc(50000); /* not on any account */
    assert_null(sx_mem_account_enter(&a));
    void *x = sx_alloc(60000), *y = sx_calloc(1, 60000);
    assert_non_null(x);
    assert_null(y);
    assert_int_equal(sx_mem_account_over(&a), SX_MEM_OVER_OWN);
    assert_int_equal(sx_fail_memory(&err, "a test"), SX_ENOMEM);
    assert_string_equal(err.message, "no memory for a test: its own");
    assert_null(sx_realloc(x, 200000)); /* the old one is still there */
    x = sx_realloc(x, 90000);
    assert_non_null(x);
    x = sx_realloc(x, 1000);
    y = sx_alloc(80000);
    assert_non_null(y);
    sx_free(y);
    sx_free(x);
    assert_int_equal(a.held, 0);
    sx_free(before);
    assert_ptr_equal(sx_mem_account_enter(NULL), &a);
    x = sx_alloc(200000); /* outside nothing is counted */
    assert_non_null(x);
    sx_free(x);
    sx_mem_account_done(&a);
}

static void test_all_together_hold_no_more_than_the_share(void **state)
{
    (void)state;
    sx_mem_share share = {.max = 3 << 20};
    sx_mem_account a, b;
    sx_mem_account_init(&a, 0, &share, WORDS);
    sx_mem_account_init(&b, 0, &share, WORDS);
    sx_mem_account_enter(&a);
    void *x = sx_alloc(2 << 20);
    sx_mem_account_enter(&b);
    void *y = sx_alloc(2 << 20);
    assert_non_null(x);
    assert_null(y);
    assert_int_equal(sx_mem_account_over(&b), SX_MEM_OVER_SHARE);
    y = sx_alloc(500000);
    assert_non_null(y);
    sx_mem_account_enter(&a);
    sx_free(x);
    assert_true(share.held >= 2 << 20); /* kept until it is settled */
    sx_mem_account_settle(&a);
    assert_true(share.held < 1 << 20);
    sx_mem_account_enter(NULL);
    sx_free(y); /* after the work: charged until it is done with */
    sx_mem_account_done(&a);
    sx_mem_account_done(&b);
    assert_int_equal(share.held, 0);
}

typedef struct worker {
    sx_mem_account *account;
    uint64_t seed;
} worker;

static void *churn(void *arg)
{
    worker *w = arg;
    void *held[16] = {0};
    sx_mem_account_enter(w->account);
    for (unsigned i = 0; i < 20000; i++) {
        w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
        unsigned at = (unsigned)(w->seed >> 60), bytes = (unsigned)(w->seed >> 40) % 60000;
        void *grown = sx_realloc(held[at], bytes);
        held[at] = grown ? grown : held[at];
        if (w->account->share)
            assert_true(w->account->share->held <= w->account->share->max + (4 << 20));
    }
    for (unsigned i = 0; i < 16; i++)
        sx_free(held[i]);
    return NULL;
}

static void test_threads_share_an_account(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    sx_mem_share share = {.max = 1 << 20};
    sx_mem_account a;
    pthread_t threads[THREADS];
    worker workers[THREADS];
    sx_mem_account_init(&a, 800000, &share, WORDS);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (worker){&a, i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(a.held, 0);
    assert_int_equal(sx_mem_account_over(&a), SX_MEM_OVER_OWN);
    sx_mem_account_done(&a);
    assert_int_equal(share.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations_fail_at_the_limit_and_frees_make_room),
        cmocka_unit_test(test_all_together_hold_no_more_than_the_share),
        cmocka_unit_test(test_threads_share_an_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
