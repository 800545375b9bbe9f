/* test_log_repeats.c - what is said again and again is held back, counted, and told. */
#include "tests/unit/telemetry/log_fixture.h"

#include <pthread.h>

#include <sextant/metrics.h>

#include "telemetry/log_repeats.h"

static void test_the_eleventh_line_of_a_period_is_held_back(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){0});
    sx_logger *l = sx_log_logger(f->log, "net");
    for (int i = 0; i < 25; i++)
        SX_LOG_ERROR(l, NULL, "connection refused", sx_field_i64("port", i));
    written(f);
    assert_int_equal(count_of(f, "connection refused"), 10);
    assert_int_equal(sx_log_counts_of(f->log).repeats, 15);

    /* The period is over: the writer tells, though nobody logs. */
    sx_fake_clock_advance(&f->clock, 5000);
    written(f);
    assert_int_equal(count_of(f, "{\"timestamp\":\"2024-01-15T10:30:05.123Z\",\"level\":\"ERROR\","
                                 "\"logger\":\"net\",\"message\":\"connection refused (repeated)\","
                                 "\"repeats\":15}\n"),
                     1);

    /* A new period begins with the next line. */
    SX_LOG_ERROR(l, NULL, "connection refused");
    written(f);
    assert_int_equal(count_of(f, "connection refused\""), 11);
    assert_int_equal(count_of(f, "repeated"), 1);
}

static void test_the_next_line_tells_before_it_is_written(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.repeats_max = 1, .repeats_period_ms = 1000});
    sx_logger *l = sx_log_logger(f->log, "");
    /* Shared by no one else and told by this thread: it holds the lane while the clock moves. */
    SX_LOG_WARN(l, NULL, "slow");
    SX_LOG_WARN(l, NULL, "slow");
    sx_fake_clock_advance(&f->clock, 1000);
    SX_LOG_WARN(l, NULL, "slow");
    const char *text = written(f);
    const char *told = strstr(text, "slow (repeated)\",\"repeats\":1}");
    assert_non_null(told);
    assert_int_equal(count_of(f, "\"slow\""), 2);
}

static void test_other_fields_loggers_levels_are_no_repeats(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.repeats_max = 1});
    sx_logger *a = sx_log_logger(f->log, "a"), *b = sx_log_logger(f->log, "b");
    for (int i = 0; i < 50; i++)
        SX_LOG_INFO(a, NULL, "order taken", sx_field_i64("id", i));
    SX_LOG_INFO(a, NULL, "order taken", sx_field_z("id", "x"));
    SX_LOG_INFO(a, NULL, "order taken", sx_field_z("id", "y"));
    SX_LOG_WARN(a, NULL, "same");
    SX_LOG_WARN(b, NULL, "same");
    SX_LOG_ERROR(a, NULL, "same");
    written(f);
    assert_int_equal(count_of(f, "order taken"), 52);
    assert_int_equal(count_of(f, "\"same\""), 3);
    assert_int_equal(sx_log_counts_of(f->log).repeats, 0);
    /* The second of these is one. (An earlier order may have lost its place in the table: which
     * of them share a set depends on the logger's address.) */
    SX_LOG_INFO(a, NULL, "order taken", sx_field_z("id", "z"));
    SX_LOG_INFO(a, NULL, "order taken", sx_field_z("id", "z"));
    assert_int_equal(sx_log_counts_of(f->log).repeats, 1);
}

static void test_fatal_and_access_lines_are_never_held_back(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.repeats_max = 1});
    for (int i = 0; i < 20; i++) {
        SX_LOG_FATAL(sx_log_logger(f->log, ""), NULL, "the end");
        sx_log_access(f->log, &(sx_access){.method = SX_STR("GET"), .status = 200});
    }
    sx_log_turn_end(f->log);
    written(f);
    assert_int_equal(count_of(f, "the end"), 20);
    assert_int_equal(count_of(f, "\"request\""), 20);
}

static void test_a_clock_set_back_ends_the_period(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.repeats_max = 1});
    sx_logger *l = sx_log_logger(f->log, "");
    SX_LOG_WARN(l, NULL, "slow");
    SX_LOG_WARN(l, NULL, "slow");
    sx_fake_clock_jump(&f->clock, (int64_t)START_S * 1000 - 3600000);
    SX_LOG_WARN(l, NULL, "slow");
    written(f);
    assert_int_equal(count_of(f, "\"slow\""), 2);
    assert_int_equal(count_of(f, "\"repeats\":1"), 1);
}

static void test_what_is_held_back_is_told_at_the_end(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.repeats_max = 1});
    for (int i = 0; i < 4; i++)
        SX_LOG_WARN(sx_log_logger(f->log, ""), NULL, "slow");
    sx_log_free(f->log);
    f->log = NULL;
    sx_buf_clear(&f->text);
    add_contents(f, "shop.log");
    assert_int_equal(count_of(f, "\"message\":\"slow (repeated)\",\"repeats\":3"), 1);
}

/* Every record is either written or among those told, whatever gives way in the small table. */
static void test_nothing_is_lost_when_the_table_is_too_small(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.repeats_max = 2});
    sx_logger *l = sx_log_logger(f->log, "");
    enum { MESSAGES = 300, ROUNDS = 10 };
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < MESSAGES; i++) {
            char message[16];
            snprintf(message, sizeof(message), "m%d", i % (round % 2 ? 20 : MESSAGES));
            SX_LOG_WARN(l, NULL, message);
        }
    sx_fake_clock_advance(&f->clock, 5000);
    written(f);
    uint64_t told = 0;
    for (const char *at = f->text.data; (at = strstr(at, "\"repeats\":")) != NULL; at++)
        told += strtoull(at + 10, NULL, 10);
    size_t lines = count_of(f, "\n") - count_of(f, "(repeated)");
    assert_int_equal(lines + told, MESSAGES * ROUNDS);
    assert_int_equal(told, sx_log_counts_of(f->log).repeats);
    assert_true(told > 0);
}

/* ---- with the writer at the same table ---- */

enum { THREADS = 4, RECORDS = 5000 };

static void *shout(void *arg)
{
    sx_log *log = arg;
    sx_telemetry_thread_join();
    sx_logger *l = sx_log_logger(log, "");
    for (int i = 0; i < RECORDS; i++)
        SX_LOG_WARN(l, NULL, i % 3 ? "one" : "two");
    sx_telemetry_thread_leave();
    return NULL;
}

static void test_threads_and_writer_share_the_counting(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.repeats_max = 3, .repeats_period_ms = 1});
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, shout, f->log);
    for (int i = 0; i < 200; i++) {
        sx_fake_clock_advance(&f->clock, 1);
        sx_log_flush(f->log, 1000);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    sx_fake_clock_advance(&f->clock, 10);
    written(f);
    uint64_t told = 0;
    for (const char *at = f->text.data; (at = strstr(at, "\"repeats\":")) != NULL; at++)
        told += strtoull(at + 10, NULL, 10);
    size_t lines = count_of(f, "\n") - count_of(f, "(repeated)");
    assert_int_equal(lines + told, THREADS * RECORDS);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_the_eleventh_line_of_a_period_is_held_back),
        CASE(test_the_next_line_tells_before_it_is_written),
        CASE(test_other_fields_loggers_levels_are_no_repeats),
        CASE(test_fatal_and_access_lines_are_never_held_back),
        CASE(test_a_clock_set_back_ends_the_period),
        CASE(test_what_is_held_back_is_told_at_the_end),
        CASE(test_nothing_is_lost_when_the_table_is_too_small),
        CASE(test_threads_and_writer_share_the_counting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
