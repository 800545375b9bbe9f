/* test_queues.c - the intrusive list and the many-to-one ring. */
#include <sextant/list.h>
#include <sextant/ring.h>

#include <pthread.h>
#include <sched.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"

typedef struct thing {
    int number;
    sx_list link;
} thing;

static int number_of(sx_list *link)
{
    return SX_CONTAINER_OF(link, thing, link)->number;
}

static void test_a_list_keeps_order(void **state)
{
    (void)state;
    sx_list head, other, *it, *after;
    thing things[5];
    sx_list_init(&head);
    sx_list_init(&other);
    assert_true(sx_list_empty(&head));
    assert_null(sx_list_pop_front(&head));
    for (int i = 0; i < 5; i++) {
        things[i].number = i;
        if (i == 0)
            sx_list_push_front(&head, &things[i].link);
        else
            sx_list_push_back(&head, &things[i].link);
    }
    int expected = 0;
    SX_LIST_EACH(it, &head) assert_int_equal(number_of(it), expected++);
    assert_int_equal(sx_list_count(&head), 5);
    SX_LIST_EACH_SAFE(it, after, &head)
    {
        if (number_of(it) % 2)
            sx_list_remove(it);
    }
    assert_int_equal(sx_list_count(&head), 3);
    assert_true(sx_list_empty(&things[1].link));
    sx_list_remove(&things[1].link);
    sx_list_push_back(&other, &things[1].link);
    sx_list_splice_back(&other, &head);
    sx_list_splice_back(&other, &head);
    assert_true(sx_list_empty(&head));
    static const int ORDER[] = {1, 0, 2, 4};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(number_of(sx_list_pop_front(&other)), ORDER[i]);
    assert_true(sx_list_empty(&other));
}

static void test_a_ring_is_bounded_and_in_order(void **state)
{
    (void)state;
    sx_ring ring;
    sx_error err = {0};
    int items[8];
    assert_int_equal(sx_ring_init(&ring, 5, &err), SX_OK); /* rounded up to 8 */
    for (int lap = 0; lap < 100; lap++) {
        assert_null(sx_ring_pop(&ring));
        for (int i = 0; i < 8; i++)
            assert_true(sx_ring_push(&ring, &items[i]));
        assert_false(sx_ring_push(&ring, &items[0]));
        assert_int_equal(sx_ring_count(&ring), 8);
        for (int i = 0; i < 8; i++)
            assert_ptr_equal(sx_ring_pop(&ring), &items[i]);
        assert_true(sx_ring_push(&ring, &items[0])); /* moves every lap by one */
        assert_ptr_equal(sx_ring_pop(&ring), &items[0]);
    }
    sx_ring_done(&ring);
    assert_int_equal(sx_ring_init(&ring, 1, &err), SX_OK);
    assert_true(sx_ring_push(&ring, &items[0]));
    assert_ptr_equal(sx_ring_pop(&ring), &items[0]);
    sx_ring_done(&ring);
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1});
    assert_int_equal(sx_ring_init(&ring, 4, &err), SX_ENOMEM);
    sx_fault_alloc_set((sx_fault_alloc){0});
}

enum { PRODUCERS = 3, EACH = 20000 };

static sx_ring shared;

static void *produce(void *arg)
{
    uintptr_t producer = (uintptr_t)arg;
    for (uintptr_t i = 1; i <= EACH; i++) {
        while (!sx_ring_push(&shared, (void *)(producer << 32 | i)))
            sched_yield();
    }
    return NULL;
}

static void test_many_threads_put_and_nothing_is_lost(void **state)
{
    (void)state;
    sx_error err = {0};
    pthread_t threads[PRODUCERS];
    uintptr_t last[PRODUCERS] = {0};
    assert_int_equal(sx_ring_init(&shared, 64, &err), SX_OK);
    for (uintptr_t i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, produce, (void *)i), 0);
    for (int taken = 0; taken < PRODUCERS * EACH;) {
        uintptr_t item = (uintptr_t)sx_ring_pop(&shared);
        if (!item) {
            sched_yield();
            continue;
        }
        uintptr_t producer = item >> 32, number = item & 0xffffffff;
        assert_int_equal(number, last[producer] + 1); /* each producer's order is kept */
        last[producer] = number;
        taken++;
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    assert_null(sx_ring_pop(&shared));
    sx_ring_done(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_keeps_order),
        cmocka_unit_test(test_a_ring_is_bounded_and_in_order),
        cmocka_unit_test(test_many_threads_put_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
