/* test_context.c - the context of the work in hand. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/context.h>
#include <sextant/mem.h>

#include "base/fault.h"

static const sx_context FULL = {
    .span = {.trace_id = {[0] = 0xab, [15] = 1},
             .span_id = {[7] = 2},
             .flags = SX_TRACE_SAMPLED,
             .tracestate = SX_STR_INIT("a=b")},
    .baggage = SX_STR_INIT("k=v"),
    .request_id = SX_STR_INIT("r-1"),
    .deadline_mono_ns = 3000000001,
    .priority = SX_PRIORITY_CRITICAL,
};

static void *other_thread(void *arg)
{
    (void)arg;
    return sx_context_span() ? (void *)1 : NULL;
}

static void test_contexts_are_entered_and_left(void **state)
{
    (void)state;
    assert_non_null(sx_context_current());
    assert_null(sx_context_span());
    assert_int_equal(sx_context_current()->request_id.len, 0);
    const sx_context *outer = sx_context_enter(&FULL);
    assert_ptr_equal(sx_context_current(), &FULL);
    assert_ptr_equal(sx_context_span(), &FULL.span);
    sx_context bare = {.request_id = SX_STR("r-2")};
    const sx_context *between = sx_context_enter(&bare);
    assert_ptr_equal(between, &FULL);
    assert_null(sx_context_span()); /* no trace in it */
    pthread_t thread;
    void *seen;
    pthread_create(&thread, NULL, other_thread, NULL);
    pthread_join(thread, &seen);
    assert_null(seen); /* another thread has its own */
    sx_context_leave(between);
    assert_ptr_equal(sx_context_current(), &FULL);
    sx_context_leave(outer);
    assert_null(sx_context_span());
}

static void test_a_kept_context_borrows_nothing(void **state)
{
    (void)state;
    char texts[] = "a=bk=vr-1";
    sx_context c = FULL, kept;
    char *room;
    c.span.tracestate = sx_str_of(texts, 3);
    c.baggage = sx_str_of(texts + 3, 3);
    c.request_id = sx_str_of(texts + 6, 3);
    assert_int_equal(sx_context_keep(&c, &kept, &room), SX_OK);
    memset(texts, 'x', sizeof(texts));
    assert_true(sx_str_eq(kept.span.tracestate, SX_STR("a=b")));
    assert_true(sx_str_eq(kept.baggage, SX_STR("k=v")));
    assert_true(sx_str_eq(kept.request_id, SX_STR("r-1")));
    assert_memory_equal(kept.span.trace_id, FULL.span.trace_id, 16);
    assert_int_equal(kept.deadline_mono_ns, FULL.deadline_mono_ns);
    assert_int_equal(kept.priority, SX_PRIORITY_CRITICAL);
    char *more;
    assert_int_equal(sx_context_keep(&kept, &kept, &more), SX_OK); /* onto itself */
    sx_free(room);
    assert_true(sx_str_eq(kept.request_id, SX_STR("r-1")));
    sx_free(more);
    assert_int_equal(sx_context_keep(sx_context_current(), &kept, &room), SX_OK);
    assert_null(room);
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1});
    assert_int_equal(sx_context_keep(&FULL, &kept, &room), SX_ENOMEM);
    sx_fault_alloc_set((sx_fault_alloc){.nth = 0});
    assert_null(room);
    assert_int_equal(kept.request_id.len + kept.baggage.len + kept.span.tracestate.len, 0);
    assert_true(sx_span_context_valid(&kept.span));
}

static void test_logs_get_hex_ids(void **state)
{
    (void)state;
    sx_context_ids ids;
    sx_log_context log = sx_context_log(&FULL, &ids);
    assert_true(sx_str_eq(log.trace_id, SX_STR("ab000000000000000000000000000001")));
    assert_true(sx_str_eq(log.span_id, SX_STR("0000000000000002")));
    assert_true(sx_str_eq(log.request_id, SX_STR("r-1")));
    sx_context bare = {.request_id = SX_STR("r-2")};
    log = sx_context_log(&bare, &ids);
    assert_int_equal(log.trace_id.len + log.span_id.len, 0);
}

static void test_what_is_left_until_the_deadline(void **state)
{
    (void)state;
    sx_fake_clock clock; /* the monotonic reading starts at 1 s */
    sx_fake_clock_init(&clock, 0);
    sx_context c = FULL;
    const sx_clock *k = &clock.clock;
    assert_int_equal(sx_context_left_ms(&c, k), 2001); /* 2.000000001 s, rounded up */
    assert_int_equal(sx_context_timeout_ms(&c, k, 0), 2001);
    assert_int_equal(sx_context_timeout_ms(&c, k, 500), 500);
    assert_int_equal(sx_context_timeout_ms(&c, k, 5000), 2001);
    sx_fake_clock_jump(&clock, 999999999); /* the wall clock does not matter */
    sx_fake_clock_advance(&clock, 2000);
    assert_int_equal(sx_context_left_ms(&c, k), 1);
    sx_fake_clock_advance(&clock, 1);
    assert_int_equal(sx_context_left_ms(&c, k), 0);
    assert_int_equal(sx_context_timeout_ms(&c, k, 500), 1);
    assert_int_equal(sx_context_timeout_ms(&c, k, 0), 1);
    c.deadline_mono_ns = 0;
    assert_int_equal(sx_context_left_ms(&c, k), -1);
    assert_int_equal(sx_context_timeout_ms(&c, k, 0), 0);
    assert_int_equal(sx_context_timeout_ms(&c, k, 7), 7);
    c.deadline_mono_ns = INT64_MAX;
    assert_int_equal(sx_context_timeout_ms(&c, k, 0), UINT32_MAX);
    c.deadline_mono_ns = INT64_MIN;
    assert_int_equal(sx_context_left_ms(&c, k), 0);
    clock.mono = -5;
    c.deadline_mono_ns = INT64_MAX;
    assert_int_equal(sx_context_left_ms(&c, k), INT64_MAX / 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contexts_are_entered_and_left),
        cmocka_unit_test(test_a_kept_context_borrows_nothing),
        cmocka_unit_test(test_logs_get_hex_ids),
        cmocka_unit_test(test_what_is_left_until_the_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
