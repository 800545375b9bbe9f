/* test_exporter.c - the queue of an exporter: what it keeps, joins, drops, tries again and counts. */
#include "base/fault.h"
#include "tests/unit/observe/collector/export_fixture.h"

static void test_spans_arrive_and_are_counted(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    fixture_open(&f);
    assert_int_equal(give(&f, 3), SX_OK);
    turn(&f, 0);
    assert_int_equal(note.sends, 1);
    assert_int_equal(note.spans[0], 3);
    assert_true(metric_of(&f, "otelcol_exporter_sent_spans{exporter=\"otlp/test\"} ") == 3);
    assert_true(metric_of(&f, "otelcol_exporter_queue_capacity{exporter=\"otlp/test\"} ") == 10);
    assert_true(metric_of(&f, "otelcol_exporter_queue_size{exporter=\"otlp/test\"} ") == 0);
    fixture_close(&f);
}

static void test_waiting_batches_are_joined_up_to_a_size(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    fixture_open(&f);
    f.e->join_bytes = 2 * 400 * 2; /* two batches of two spans each, by the guess */
    for (int i = 0; i < 3; i++)
        give(&f, 2);
    turn(&f, 0);
    assert_int_equal(note.sends, 2);
    assert_int_equal(note.entries[0], 2);
    assert_int_equal(note.entries[1], 1);
    fixture_close(&f);
}

static void test_a_request_is_filled_until_its_time(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    fixture_open(&f);
    f.e->join_bytes = 400 * 10;
    f.e->linger_ms = 1000;
    give(&f, 2);
    turn(&f, 0);
    turn(&f, 999);
    assert_int_equal(note.sends, 0);
    give(&f, 3);
    turn(&f, 1);
    assert_int_equal(note.sends, 1);
    assert_int_equal(note.spans[0], 5);
    give(&f, 10); /* as many as go into one: at once */
    turn(&f, 0);
    assert_int_equal(note.sends, 2);
    fixture_close(&f);
}

static void test_retries_wait_longer_each_time_and_end(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.retry.max_elapsed_ms = 30000;
    fixture_open(&f);
    note.bad_spans = 0;
    note.end = (export_end){EXPORT_AGAIN, 0, SX_STR("down")};
    give(&f, 4);
    turn(&f, 0);
    assert_int_equal(note.sends, 1);
    turn(&f, 4999);
    assert_int_equal(note.sends, 1);
    turn(&f, 1);
    assert_int_equal(note.sends, 2); /* after 5 s; the next after 7.5, then 11.25, then 16.9 s */
    turn(&f, 7499);
    assert_int_equal(note.sends, 2);
    turn(&f, 1);
    assert_int_equal(note.sends, 3);
    turn(&f, 11250);
    assert_int_equal(note.sends, 4); /* 23.75 s have passed: another try would come too late */
    turn(&f, 100000);
    assert_int_equal(note.sends, 4);
    assert_true(metric_of(&f, "otelcol_exporter_send_failed_spans{exporter=\"otlp/test\"} ") == 4);
    assert_true(metric_of(&f, "otelcol_exporter_dropped_spans{exporter=\"otlp/test\",reason="
                              "\"retries_exhausted\"} ") == 4);
    fixture_close(&f);
}

static void test_jitter_stays_in_its_bounds(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.retry.randomization = 0.5;
    fixture_open(&f);
    note.bad_spans = 0;
    note.end = (export_end){EXPORT_AGAIN, 0, SX_STR("down")};
    for (int i = 0; i < 20; i++) {
        unsigned before = note.sends;
        note.end.kind = EXPORT_AGAIN;
        give(&f, 1);
        turn(&f, 0);
        turn(&f, 2499);
        assert_int_equal(note.sends, before + 1);
        note.end.kind = EXPORT_DONE;
        turn(&f, 5001);
        assert_int_equal(note.sends, before + 2);
    }
    fixture_close(&f);
}

static void test_the_receiver_says_when_to_come_again(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    fixture_open(&f);
    note.bad_spans = 0;
    note.end = (export_end){EXPORT_AGAIN, 60000, SX_STR("busy")};
    give(&f, 1);
    turn(&f, 0);
    turn(&f, 59999);
    assert_int_equal(note.sends, 1);
    note.end.kind = EXPORT_DONE;
    turn(&f, 1);
    assert_int_equal(note.sends, 2);
    assert_true(metric_of(&f, "otelcol_exporter_sent_spans{exporter=\"otlp/test\"} ") == 1);
    fixture_close(&f);
}

static void test_without_retries_a_failure_is_final(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.retry.enabled = false;
    fixture_open(&f);
    note.refuse_send = true;
    give(&f, 2);
    turn(&f, 0);
    turn(&f, 100000);
    assert_int_equal(note.sends, 1);
    assert_true(metric_of(&f, "otelcol_exporter_send_failed_spans{exporter=\"otlp/test\"} ") == 2);
    fixture_close(&f);
}

static void test_one_bad_batch_does_not_take_others_with_it(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    fixture_open(&f);
    f.e->join_bytes = 1 << 20;
    note.bad_spans = 5;
    note.end = (export_end){EXPORT_SPLIT, 0, SX_STR("bad value")};
    give(&f, 1);
    give(&f, 6); /* the bad one */
    give(&f, 2);
    turn(&f, 0);
    turn(&f, 0);
    assert_int_equal(note.sends, 4);
    assert_int_equal(note.spans[0], 9);
    assert_int_equal(note.spans[1], 1);
    assert_int_equal(note.spans[2], 6);
    assert_int_equal(note.spans[3], 2);
    assert_true(metric_of(&f, "otelcol_exporter_sent_spans{exporter=\"otlp/test\"} ") == 3);
    assert_true(metric_of(&f, "otelcol_exporter_send_failed_spans{exporter=\"otlp/test\"} ") == 6);
    assert_int_equal(f.e->held_units, 0);
    assert_int_equal(f.e->held_bytes, 0);
    fixture_close(&f);
}

static void test_what_is_too_large_goes_in_halves(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    fixture_open(&f);
    note.bad_spans = 2;
    note.end = (export_end){EXPORT_TOO_LARGE, 0, SX_STR("413")};
    give(&f, 8);
    turn(&f, 0);
    turn(&f, 0);
    assert_int_equal(note.sends, 7); /* 8, 4, 2, 2, 4, 2, 2 */
    assert_true(metric_of(&f, "otelcol_exporter_sent_spans{exporter=\"otlp/test\"} ") == 8);
    note.bad_spans = 0; /* one span that is too large by itself */
    give(&f, 1);
    turn(&f, 0);
    assert_true(metric_of(&f, "otelcol_exporter_send_failed_spans{exporter=\"otlp/test\"} ") == 1);
    assert_int_equal(f.e->held_units, 0);
    fixture_close(&f);
}

static void test_a_full_queue_drops_the_oldest(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    fixture_open(&f);
    note.hold = true;
    for (int i = 0; i < 2; i++) {
        give(&f, 1); /* fills both slots */
        turn(&f, 0);
    }
    for (size_t i = 1; i <= 10; i++)
        assert_int_equal(give(&f, i), SX_OK); /* there is room for 8: those of 1 and 2 spans go */
    assert_true(metric_of(&f, "otelcol_exporter_enqueue_failed_spans{exporter=\"otlp/test\"} ") ==
                3);
    assert_true(metric_of(&f, "otelcol_exporter_queue_size{exporter=\"otlp/test\"} ") == 10);
    note.hold = false;
    export_over(note.held[0], &(export_end){.kind = EXPORT_DONE});
    turn(&f, 0);
    assert_int_equal(note.spans[2], 3);
    fixture_close(&f);
    assert_int_equal(note.cancelled, 1);
}

static void test_memory_is_bounded(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.queue.size = 1000000;
    f.settings.queue.bytes_max = 1 << 20;
    fixture_open(&f);
    note.hold = true;
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(give(&f, 10), SX_OK);
        assert_true(f.e->held_bytes <= 1 << 20);
    }
    uint64_t held = f.e->held_bytes;
    assert_int_equal(give(&f, 1 << 18),
                     SX_OK); /* too large for the whole queue: what waits stays */
    assert_int_equal(f.e->held_bytes, held);
    assert_true(metric_of(&f, "otelcol_exporter_enqueue_failed_spans{exporter=\"otlp/test\"} ") >=
                1 << 18);
    fixture_close(&f);
}

static void test_settings_without_sense_are_named(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.queue.sizer = SX_STR("spans");
    const span_exporter_host host = {&f.kit, &f.clock.clock};
    assert_int_equal(export_make(&f.settings, &host, &FAKE, false, &f.e, &f.err), SX_EINVAL);
    assert_non_null(strstr(f.err.message, "otlp/test (line 7): sending_queue: sizer"));
    f.settings.queue.sizer = SX_STR("");
    f.settings.retry.randomization = 2;
    assert_int_equal(export_make(&f.settings, &host, &FAKE, false, &f.e, &f.err), SX_EINVAL);
    sx_metrics_free(f.metrics);
}

/* --- With its own thread. */

typedef struct giver {
    span_sink sink;
    unsigned batches;
} giver;

static void *give_many(void *arg)
{
    giver *g = arg;
    sx_error err;
    for (unsigned i = 0; i < g->batches; i++) {
        span_batch *b = batch_of(1 + i % 7);
        g->sink.take(g->sink.ctx, b, &err);
        span_batch_unref(b);
    }
    return NULL;
}

static void test_takers_on_several_threads_and_a_drain(void **state)
{
    enum { THREADS = 3, BATCHES = 300 }; /* all of them fit the queue */
    fixture f;
    pthread_t threads[THREADS];
    uint64_t spans = 0;
    (void)state;
    fixture_init(&f);
    f.settings.kind = EXPORT_NOP;
    assert_int_equal(
        span_exporter_new(&f.settings, &(span_exporter_host){.kit = &f.kit}, &f.e, &f.err), SX_OK);
    giver g = {span_exporter_sink(f.e), BATCHES};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, give_many, &g), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    span_exporter_free(f.e, 10000);
    for (unsigned i = 0; i < BATCHES; i++)
        spans += THREADS * (1 + i % 7);
    assert_true(metric_of(&f, "otelcol_exporter_sent_spans{exporter=\"otlp/test\"} ") ==
                (double)spans);
    sx_metrics_free(f.metrics);
}

/* Nobody listens: the drain ends in time, and what was not sent is counted. */
static void test_a_drain_keeps_to_its_time(void **state)
{
    fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.kind = EXPORT_OTLPHTTP;
    f.settings.endpoint = SX_STR("http://127.0.0.1:1");
    assert_int_equal(
        span_exporter_new(&f.settings, &(span_exporter_host){.kit = &f.kit}, &f.e, &f.err), SX_OK);
    give(&f, 5);
    int64_t began_ms = sx_clock_mono_ms(sx_clock_system());
    span_exporter_free(f.e, 200);
    assert_true(sx_clock_mono_ms(sx_clock_system()) - began_ms < 3000);
    assert_true(metric_of(&f, "otelcol_exporter_dropped_spans{exporter=\"otlp/test\",reason="
                              "\"shutdown\"} ") == 5);
    sx_metrics_free(f.metrics);
}

static void test_memory_that_is_not_there(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        fixture f;
        fixture_init(&f);
        const span_exporter_host host = {&f.kit, &f.clock.clock};
        span_batch *b = batch_of(4);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = export_make(&f.settings, &host, &FAKE, false, &f.e, &f.err);
        if (status == SX_OK) {
            span_sink sink = span_exporter_sink(f.e);
            status = sink.take(sink.ctx, b, &f.err);
            note.bad_spans = 2;
            note.end = (export_end){EXPORT_TOO_LARGE, 0, SX_STR("413")};
            turn(&f, 0);
            span_exporter_free(f.e, 0);
        }
        bool all = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        span_batch_unref(b);
        sx_metrics_free(f.metrics);
        assert_true(status == SX_OK || status == SX_ENOMEM || status == SX_EIO);
        if (all)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans_arrive_and_are_counted),
        cmocka_unit_test(test_waiting_batches_are_joined_up_to_a_size),
        cmocka_unit_test(test_a_request_is_filled_until_its_time),
        cmocka_unit_test(test_retries_wait_longer_each_time_and_end),
        cmocka_unit_test(test_jitter_stays_in_its_bounds),
        cmocka_unit_test(test_the_receiver_says_when_to_come_again),
        cmocka_unit_test(test_without_retries_a_failure_is_final),
        cmocka_unit_test(test_one_bad_batch_does_not_take_others_with_it),
        cmocka_unit_test(test_what_is_too_large_goes_in_halves),
        cmocka_unit_test(test_a_full_queue_drops_the_oldest),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_settings_without_sense_are_named),
        cmocka_unit_test(test_takers_on_several_threads_and_a_drain),
        cmocka_unit_test(test_a_drain_keeps_to_its_time),
        cmocka_unit_test(test_memory_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
