/* Tests of health.h: asked and told checks, staleness, names, metrics, threads, no memory. */
#include <sextant/health.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fault.h"

typedef struct fixture {
    sx_fake_clock clock;
    sx_metrics *metrics;
    sx_health *health;
    sx_health_info seen[8];
    size_t count;
    char names[8][32];
} fixture;

static void note(void *ctx, const sx_health_info *info)
{
    fixture *f = ctx;
    assert_true(f->count < SX_COUNT_OF(f->seen));
    snprintf(f->names[f->count], sizeof(f->names[0]), "%s", info->name);
    f->seen[f->count++] = *info;
}

static bool look(fixture *f)
{
    f->count = 0;
    return sx_health_each(f->health, note, f);
}

static int setup(void **state)
{
    static fixture f;
    memset(&f, 0, sizeof(f));
    sx_fake_clock_init(&f.clock, 1700000000000);
    assert_int_equal(sx_metrics_new(NULL, &f.metrics, NULL), SX_OK);
    sx_health_options options = {.clock = &f.clock.clock, .metrics = f.metrics};
    assert_int_equal(sx_health_new(&options, &f.health, NULL), SX_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    sx_health_free(f->health);
    sx_metrics_free(f->metrics);
    return 0;
}

/* What a check that is asked says: ctx is the text, empty for well. Takes 3 ms of the fake clock. */
typedef struct answer {
    fixture *f;
    const char *why;
} answer;

static sx_status say(void *ctx, sx_error *err)
{
    answer *a = ctx;
    sx_fake_clock_advance(&a->f->clock, 3);
    return a->why[0] ? sx_fail(err, SX_EIO, "%s", a->why) : SX_OK;
}

static void test_an_asked_check_is_asked_each_time(void **state)
{
    fixture *f = *state;
    answer a = {f, ""};
    sx_health_check_options disk = {.name = "disk", .ask = say, .ctx = &a};
    assert_int_equal(sx_health_add(f->health, &disk, NULL, NULL), SX_OK);
    assert_true(look(f));
    assert_int_equal(f->count, 1);
    assert_string_equal(f->names[0], "disk");
    assert_true(f->seen[0].well);
    assert_int_equal(f->seen[0].latency_ns, 3000000);
    assert_int_equal(f->seen[0].checked_wall_ms, 1700000000003);
    a.why = "the disk is full";
    assert_false(look(f));
    assert_false(look(f));
    assert_string_equal(f->seen[0].message, "the disk is full");
    assert_int_equal(f->seen[0].failures_in_row, 2);
    a.why = "";
    assert_true(look(f));
    assert_string_equal(f->seen[0].message, "");
    assert_int_equal(f->seen[0].failures_in_row, 0);
}

static void test_a_told_check_is_unwell_until_told_and_when_stale(void **state)
{
    fixture *f = *state;
    sx_health_check *redis;
    sx_health_check_options options = {.name = "redis", .stale_ms = 1000};
    assert_int_equal(sx_health_add(f->health, &options, &redis, NULL), SX_OK);
    assert_false(look(f));
    assert_string_equal(f->seen[0].message, "not checked yet");
    assert_int_equal(f->seen[0].checked_wall_ms, 0);
    assert_int_equal(f->seen[0].latency_ns, -1);
    sx_health_report(redis, SX_OK, NULL, 1500);
    assert_true(look(f));
    assert_int_equal(f->seen[0].latency_ns, 1500);
    sx_fake_clock_advance(&f->clock, 1000);
    assert_true(look(f));
    sx_fake_clock_advance(&f->clock, 1);
    assert_false(look(f));
    assert_non_null(strstr(f->seen[0].message, "1001 ms"));
    sx_error err = {0};
    sx_fail(&err, SX_ETIMEOUT, "no answer within 2 s");
    sx_health_report(redis, SX_ETIMEOUT, &err, -1);
    assert_false(look(f));
    assert_string_equal(f->seen[0].message, "no answer within 2 s");
    sx_health_report(redis, SX_ECLOSED, NULL, -1); /* no words: the status' own */
    assert_false(look(f));
    assert_string_equal(f->seen[0].message, "closed");
    sx_health_report(NULL, SX_OK, NULL, 0);
}

static void test_a_wall_clock_that_jumps_makes_nothing_stale(void **state)
{
    fixture *f = *state;
    sx_health_check *check;
    sx_health_check_options options = {.name = "db", .stale_ms = 1000};
    assert_int_equal(sx_health_add(f->health, &options, &check, NULL), SX_OK);
    sx_health_report(check, SX_OK, NULL, 1);
    sx_fake_clock_jump(&f->clock, 1900000000000);
    assert_true(look(f));
    sx_fake_clock_jump(&f->clock, 1000);
    assert_true(look(f));
}

static void test_an_informative_check_does_not_count(void **state)
{
    fixture *f = *state;
    sx_health_check_options options = {.name = "cache", .informative = true};
    assert_int_equal(sx_health_add(f->health, &options, NULL, NULL), SX_OK);
    assert_true(look(f));
    assert_false(f->seen[0].well);
    assert_true(f->seen[0].informative);
    assert_true(sx_health_each(f->health, NULL, NULL));
}

static void test_names_are_made_unique_and_order_is_kept(void **state)
{
    fixture *f = *state;
    sx_health_check *checks[4];
    static const char *const NAMES[] = {"db", "db", "cache", "db"};
    for (size_t i = 0; i < 4; i++) {
        sx_health_check_options options = {.name = NAMES[i]};
        assert_int_equal(sx_health_add(f->health, &options, &checks[i], NULL), SX_OK);
    }
    look(f);
    assert_string_equal(f->names[0], "db");
    assert_string_equal(f->names[1], "db-2");
    assert_string_equal(f->names[2], "cache");
    assert_string_equal(f->names[3], "db-3");
    sx_health_remove(checks[0]);
    sx_health_remove(NULL);
    look(f);
    assert_int_equal(f->count, 3);
    assert_string_equal(f->names[0], "db-2");
}

static void test_a_long_message_is_cut_between_characters(void **state)
{
    fixture *f = *state;
    sx_health_check *check;
    sx_health_check_options options = {.name = "db"};
    assert_int_equal(sx_health_add(f->health, &options, &check, NULL), SX_OK);
    sx_error err = {0};
    memset(err.message, 'x', 254);
    memcpy(err.message + 254, "\xc3\xa9\xc3\xa9", 5);
    sx_health_report(check, SX_EIO, &err, -1);
    look(f);
    assert_int_equal(strlen(f->seen[0].message), 254);
}

static void test_metrics_show_the_last_results(void **state)
{
    fixture *f = *state;
    sx_health_check *well, *unwell;
    sx_health_check_options options = {.name = "well"};
    assert_int_equal(sx_health_add(f->health, &options, &well, NULL), SX_OK);
    options.name = "unwell";
    assert_int_equal(sx_health_add(f->health, &options, &unwell, NULL), SX_OK);
    sx_health_report(well, SX_OK, NULL, 2500000);
    sx_health_report(unwell, SX_EIO, NULL, -1);
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(sx_metrics_write(f->metrics, SX_METRICS_TEXT_004, &out, NULL), SX_OK);
    sx_buf_byte(&out, '\0');
    assert_non_null(strstr(out.data, "health_check_up{check=\"well\"} 1\n"));
    assert_non_null(strstr(out.data, "health_check_up{check=\"unwell\"} 0\n"));
    assert_non_null(strstr(out.data, "health_check_latency_seconds{check=\"well\"} 0.0025\n"));
    assert_null(strstr(out.data, "health_check_latency_seconds{check=\"unwell\"}"));
    sx_buf_done(&out);
}

static void *report_often(void *arg)
{
    sx_error err = {0};
    sx_fail(&err, SX_EIO, "away");
    for (int i = 0; i < 2000; i++)
        sx_health_report(arg, i % 2 ? SX_OK : SX_EIO, &err, i);
    return NULL;
}

static void *come_and_go(void *arg)
{
    sx_health_check_options options = {.name = "passing", .informative = true};
    for (int i = 0; i < 500; i++) {
        sx_health_check *check;
        if (sx_health_add(arg, &options, &check, NULL) == SX_OK)
            sx_health_remove(check);
    }
    return NULL;
}

static void test_threads_may_report_add_and_ask_at_once(void **state)
{
    fixture *f = *state;
    sx_health_check *check;
    sx_health_check_options options = {.name = "db"};
    assert_int_equal(sx_health_add(f->health, &options, &check, NULL), SX_OK);
    pthread_t reporter, changer;
    assert_int_equal(pthread_create(&reporter, NULL, report_often, check), 0);
    assert_int_equal(pthread_create(&changer, NULL, come_and_go, f->health), 0);
    for (int i = 0; i < 500; i++)
        look(f);
    pthread_join(reporter, NULL);
    pthread_join(changer, NULL);
    assert_true(look(f));
    assert_int_equal(f->count, 1);
}

static sx_status make_and_free(void)
{
    sx_metrics *metrics;
    sx_health *health;
    sx_status status = sx_metrics_new(NULL, &metrics, NULL);
    if (status)
        return status;
    sx_health_options options = {.metrics = metrics};
    status = sx_health_new(&options, &health, NULL);
    if (status == SX_OK) {
        sx_health_check_options check = {.name = "db"};
        status = sx_health_add(health, &check, NULL, NULL);
        sx_health_free(health);
    }
    sx_metrics_free(metrics);
    return status;
}

static void test_without_memory_it_is_an_error_and_nothing_leaks(void **state)
{
    (void)state;
    sx_fault_alloc_set((sx_fault_alloc){.nth = INT64_MAX});
    assert_int_equal(make_and_free(), SX_OK);
    int64_t calls = sx_fault_alloc_calls();
    for (int64_t n = 1; n <= calls; n++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        (void)make_and_free(); /* metrics.h: without memory a series may be "other" */
        assert_int_equal(sx_fault_alloc_held(), 0);
    }
    sx_fault_alloc_set((sx_fault_alloc){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_an_asked_check_is_asked_each_time),
        T(test_a_told_check_is_unwell_until_told_and_when_stale),
        T(test_a_wall_clock_that_jumps_makes_nothing_stale),
        T(test_an_informative_check_does_not_count),
        T(test_names_are_made_unique_and_order_is_kept),
        T(test_a_long_message_is_cut_between_characters),
        T(test_metrics_show_the_last_results),
        T(test_threads_may_report_add_and_ask_at_once),
        T(test_without_memory_it_is_an_error_and_nothing_leaks),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
