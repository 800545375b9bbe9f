/* test_pipelines.c - batches on their way: fan-out, batching, full queues, reload. */
#include "tests/unit/observe/collector/spans.h"

#include "base/fault.h"

static span_batch *some(size_t count)
{
    span_batch *b = span_batch_new(0);
    assert_non_null(b);
    for (size_t i = 0; i < count; i++)
        add_span(b, "shop", "GET /", (uint8_t)(i + 1));
    return b;
}

static void test_a_batch_is_handed_on_without_a_copy(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f, "  batch:", "[]");
    span_batch *b = span_batch_ref(some(3));
    pipe_send(&f, b);
    assert_int_equal(RECORDER.count, 1);
    assert_ptr_equal(RECORDER.batches[0], b);
    span_batch_unref(b);
    pipe_close(&f);
}

static void test_batch_waits_until_it_is_full_or_old(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f, "  batch: {timeout: 1s, send_batch_size: 10}", "[batch]");
    pipe_send(&f, some(4));
    assert_int_equal(RECORDER.count, 0);
    pipe_send(&f, some(7));
    assert_int_equal(RECORDER.count, 1);
    assert_int_equal(RECORDER.batches[0]->count, 11);
    pipe_send(&f, some(1));
    sx_fake_clock_advance(&f.clock, 999);
    collector_run(f.c);
    assert_int_equal(RECORDER.count, 1);
    sx_fake_clock_advance(&f.clock, 1);
    collector_run(f.c);
    assert_int_equal(RECORDER.count, 2);
    pipe_close(&f);
}

static void test_batch_is_cut_at_its_greatest_size(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f, "  batch: {timeout: 1s, send_batch_size: 4, send_batch_max_size: 5}", "[batch]");
    pipe_send(&f, some(12));
    assert_int_equal(RECORDER.count, 2);
    assert_int_equal(RECORDER.batches[1]->count, 5);
    sx_fake_clock_advance(&f.clock, 1000);
    collector_run(f.c);
    assert_int_equal(recorded_spans(), 12);
    pipe_close(&f);
}

static void test_what_waits_goes_out_at_the_end(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f, "  batch: {timeout: 1h}\n  batch/2: {timeout: 1h}", "[batch, batch/2]");
    pipe_send(&f, some(2));
    collector_free(f.c);
    assert_int_equal(recorded_spans(), 2);
    recorder_clear();
}

static void test_a_full_exporter_holds_up_nothing(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f, "  batch:", "[]");
    RECORDER.full = true;
    for (int i = 0; i < 100; i++)
        pipe_send(&f, some(1));
    assert_int_equal(RECORDER.count, 0);
    pipe_close(&f);
}

static sx_status refuse(void *ctx, span_batch *b, sx_error *err)
{
    (void)ctx, (void)b;
    return sx_fail(err, SX_REFUSED, "the disk is full");
}

static void test_the_stores_error_is_the_clients(void **state)
{
    sx_error err = {0};
    collector *c;
    span_sink sink;
    (void)state;
    collector_settings *s = settings_with("  batch:", "[]");
    collector_host host = {.exporters = &RECORDERS, .no_threads = true, .store = {.take = refuse}};
    assert_int_equal(collector_new(s, &host, &c, &err), SX_OK);
    assert_int_equal(collector_sink(c, SX_STR("otlp"), "grpc", &sink, &err), SX_OK);
    span_batch *b = some(1);
    assert_int_equal(sink.take(sink.ctx, b, &err), SX_REFUSED);
    span_batch_unref(b);
    collector_run(c);
    assert_int_equal(RECORDER.count, 0);
    collector_free(c);
    collector_settings_unref(s);
}

static void test_a_full_queue_drops_and_never_waits(void **state)
{
    sx_error err = {0};
    collector *c;
    span_sink sink;
    (void)state;
    collector_settings *s = settings_with("  batch:", "[]");
    collector_host host = {.exporters = &RECORDERS, .no_threads = true, .queue_bytes_max = 1};
    assert_int_equal(collector_new(s, &host, &c, &err), SX_OK);
    assert_int_equal(collector_sink(c, SX_STR("otlp"), "grpc", &sink, &err), SX_OK);
    span_batch *b = some(1);
    assert_int_equal(sink.take(sink.ctx, b, &err), SX_OK);
    span_batch_unref(b);
    collector_run(c);
    assert_int_equal(RECORDER.count, 0);
    collector_free(c);
    collector_settings_unref(s);
}

static void test_a_reload_swaps_pipelines_and_loses_nothing(void **state)
{
    pipe_fixture f;
    sx_error err = {0};
    (void)state;
    pipe_open(&f, "  batch: {timeout: 1h}", "[batch]");
    pipe_send(&f, some(3));
    assert_int_equal(RECORDER.count, 0);
    collector_settings *s = settings_with("  batch:", "[]");
    assert_int_equal(collector_reload(f.c, s, &err), SX_OK);
    collector_settings_unref(s);
    assert_int_equal(recorded_spans(), 3);
    pipe_send(&f, some(2));
    assert_int_equal(recorded_spans(), 5);
    pipe_close(&f);
}

/* --- With threads, as it runs in earnest: also under TSan. */

static sx_status count_spans(void *ctx, span_batch *b, sx_error *err)
{
    (void)err;
    atomic_fetch_add((atomic_size_t *)ctx, b->count);
    return SX_OK;
}

static atomic_size_t COUNTED;

static span_sink counting_sink(void *exporter)
{
    (void)exporter;
    return (span_sink){.take = count_spans, .ctx = &COUNTED, .keeps = true};
}

static const collector_exporters COUNTERS = {open_recorder, counting_sink, close_recorder};

static void *send_many(void *arg)
{
    span_sink *sink = arg;
    for (int i = 0; i < 200; i++) {
        sx_error err = {0};
        span_batch *b = some(5);
        assert_int_equal(sink->take(sink->ctx, b, &err), SX_OK);
        span_batch_unref(b);
    }
    return NULL;
}

static void test_many_threads_and_reloads_lose_nothing(void **state)
{
    sx_error err = {0};
    collector *c;
    span_sink sink;
    pthread_t threads[3];
    (void)state;
    atomic_store(&COUNTED, 0);
    collector_settings *s =
        settings_with("  batch: {timeout: 5ms, send_batch_size: 20}", "[batch]");
    collector_host host = {.exporters = &COUNTERS};
    assert_int_equal(collector_new(s, &host, &c, &err), SX_OK);
    assert_int_equal(collector_sink(c, SX_STR("otlp"), "grpc", &sink, &err), SX_OK);
    for (size_t i = 0; i < SX_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &sink), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(collector_reload(c, s, &err), SX_OK);
    for (size_t i = 0; i < SX_COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    collector_free(c);
    collector_settings_unref(s);
    assert_int_equal(atomic_load(&COUNTED), 3000);
}

static void test_without_memory_nothing_starts(void **state)
{
    collector_settings *s = settings_with("  batch:", "[batch]");
    collector_host host = {.exporters = &RECORDERS, .no_threads = true};
    (void)state;
    for (int64_t n = 1;; n++) {
        collector *c = NULL;
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status st = collector_new(s, &host, &c, &err);
        if (st == SX_OK) {
            collector_free(c);
            break;
        }
        assert_int_equal(st, SX_ENOMEM);
        assert_int_equal(sx_fault_alloc_held(), 0);
    }
    sx_fault_alloc_set((sx_fault_alloc){0});
    collector_settings_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch_is_handed_on_without_a_copy),
        cmocka_unit_test(test_batch_waits_until_it_is_full_or_old),
        cmocka_unit_test(test_batch_is_cut_at_its_greatest_size),
        cmocka_unit_test(test_what_waits_goes_out_at_the_end),
        cmocka_unit_test(test_a_full_exporter_holds_up_nothing),
        cmocka_unit_test(test_the_stores_error_is_the_clients),
        cmocka_unit_test(test_a_full_queue_drops_and_never_waits),
        cmocka_unit_test(test_a_reload_swaps_pipelines_and_loses_nothing),
        cmocka_unit_test(test_many_threads_and_reloads_lose_nothing),
        cmocka_unit_test(test_without_memory_nothing_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
