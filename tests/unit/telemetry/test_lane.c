/* test_lane.c - bytes cross a lane whole, in order, and within its bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "base/fault.h"
#include "telemetry/lane.h"

/* Appends a record of `bytes` bytes, each `byte`; whether there was room. */
static bool append(sx_lane *lane, size_t bytes, char byte)
{
    size_t room;
    char *at = sx_lane_room(lane, bytes, &room);
    if (!at) {
        sx_lane_drop(lane);
        return false;
    }
    assert_true(room >= bytes);
    memset(at, byte, bytes);
    sx_lane_commit(lane, bytes);
    return true;
}

static void test_what_is_committed_comes_out_in_order(void **state)
{
    (void)state;
    sx_lane lane;
    sx_lane_take take;
    assert_true(sx_lane_init(&lane, 2));
    assert_false(sx_lane_take_up(&lane, &take));
    assert_true(append(&lane, 3, 'a'));
    assert_true(append(&lane, 2, 'b'));
    assert_true(sx_lane_take_up(&lane, &take));
    assert_int_equal(take.count, 1);
    assert_true(sx_str_eq(take.pieces[0], SX_STR("aaabb")));
    sx_lane_release(&lane, &take);
    assert_false(sx_lane_take_up(&lane, &take));
    sx_lane_done(&lane);
}

static void test_a_full_lane_refuses_and_counts_until_chunks_come_back(void **state)
{
    (void)state;
    sx_lane lane;
    sx_lane_take take;
    assert_true(sx_lane_init(&lane, 2));
    assert_true(append(&lane, SX_LANE_CHUNK_BYTES, 'a'));
    assert_true(append(&lane, SX_LANE_CHUNK_BYTES - 1, 'b'));
    assert_true(append(&lane, 1, 'c'));
    assert_false(append(&lane, 1, 'd'));
    assert_int_equal(lane.records, 4);
    assert_int_equal(lane.dropped, 1);
    assert_true(sx_lane_take_up(&lane, &take));
    assert_int_equal(take.count, 2);
    assert_int_equal(take.full_count, 1); /* the newest is still the producer's */
    assert_false(append(&lane, 1, 'd'));  /* taken is not given back */
    sx_lane_release(&lane, &take);
    assert_true(append(&lane, 1, 'e'));
    assert_true(sx_lane_take_up(&lane, &take));
    assert_true(sx_str_eq(take.pieces[0], SX_STR("e")));
    sx_lane_release(&lane, &take);
    sx_lane_done(&lane);
}

static void test_without_memory_a_lane_refuses(void **state)
{
    (void)state;
    sx_lane lane;
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1});
    assert_false(sx_lane_init(&lane, 4));
    sx_fault_alloc_set((sx_fault_alloc){0});
    assert_true(sx_lane_init(&lane, 4));
    assert_true(append(&lane, SX_LANE_CHUNK_BYTES, 'a'));
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1});
    assert_false(append(&lane, 1, 'b'));
    sx_fault_alloc_set((sx_fault_alloc){0});
    assert_true(append(&lane, 1, 'b'));
    sx_lane_done(&lane);
}

enum { NUMBERS = 400000 };

/* Sends 0, 1, 2 ... in records of 1 to 300 numbers; waits when the lane is full. */
static void *produce(void *arg)
{
    sx_lane *lane = (sx_lane *)arg;
    uint32_t next = 0;
    while (next < NUMBERS) {
        uint32_t count = 1 + next % 300;
        size_t room;
        char *at = sx_lane_room(lane, count * sizeof(next), &room);
        if (!at) {
            sched_yield();
            continue;
        }
        for (uint32_t i = 0; i < count; i++, next++)
            memcpy(at + i * sizeof(next), &next, sizeof(next));
        sx_lane_commit(lane, count * sizeof(next));
    }
    return NULL;
}

static void test_two_threads_lose_and_reorder_nothing(void **state)
{
    (void)state;
    sx_lane lane;
    sx_lane_take take;
    pthread_t producer;
    assert_true(sx_lane_init(&lane, 3));
    assert_int_equal(pthread_create(&producer, NULL, produce, &lane), 0);
    uint32_t expected = 0;
    while (expected < NUMBERS) {
        if (!sx_lane_take_up(&lane, &take))
            sched_yield();
        for (size_t p = 0; p < take.count; p++)
            for (size_t i = 0; i < take.pieces[p].len; i += sizeof(uint32_t)) {
                uint32_t number;
                memcpy(&number, take.pieces[p].data + i, sizeof(number));
                assert_int_equal(number, expected++);
            }
        sx_lane_release(&lane, &take);
    }
    pthread_join(producer, NULL);
    sx_lane_done(&lane);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_committed_comes_out_in_order),
        cmocka_unit_test(test_a_full_lane_refuses_and_counts_until_chunks_come_back),
        cmocka_unit_test(test_without_memory_a_lane_refuses),
        cmocka_unit_test(test_two_threads_lose_and_reorder_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
