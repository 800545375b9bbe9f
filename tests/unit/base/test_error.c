/* test_error.c - errors and the clock's text form. */
#include <sextant/clock.h>
#include <sextant/error.h>

#include <errno.h>
#include <string.h>

#include "tests/unit/base/cmocka_all.h"

static void test_a_failure_fills_the_error(void **state)
{
    (void)state;
    sx_error err = {0};
    assert_int_equal(sx_fail(&err, SX_EFORMAT, "line %d", 3), SX_EFORMAT);
    assert_int_equal(err.status, SX_EFORMAT);
    assert_string_equal(err.message, "line 3");
    assert_int_equal(sx_error_prefix(&err, SX_EIO, "%s", "file.yml"), SX_EFORMAT);
    assert_string_equal(err.message, "file.yml: line 3");
    assert_int_equal(sx_fail(NULL, SX_EIO, "x"), SX_EIO);
    assert_int_equal(sx_error_prefix(NULL, SX_EIO, "x"), SX_EIO);
}

static void test_the_systems_errors_keep_their_number(void **state)
{
    (void)state;
    sx_error err = {0};
    assert_int_equal(sx_fail_os(&err, ENOENT, "cannot open x"), SX_ENOTFOUND);
    assert_int_equal(err.os_errno, ENOENT);
    assert_string_equal(err.message, "cannot open x: No such file or directory");
    assert_int_equal(sx_fail_os(&err, ENOSPC, "y"), SX_EIO);
    assert_int_equal(sx_fail_os(NULL, EPERM, "y"), SX_EACCESS);
    assert_int_equal(sx_fail_memory(&err, "a map"), SX_ENOMEM);
    assert_int_equal(err.os_errno, 0);
}

static void test_a_long_message_is_marked_as_cut(void **state)
{
    (void)state;
    sx_error err = {0};
    char text[600];
    memset(text, 'x', sizeof(text));
    text[599] = '\0';
    sx_fail(&err, SX_EIO, "%s", text);
    assert_int_equal(strlen(err.message), SX_ERROR_MESSAGE_BYTES - 1);
    assert_string_equal(err.message + SX_ERROR_MESSAGE_BYTES - 4, "...");
    sx_fail(&err, SX_EIO, "%.*s", 400, text);
    sx_error_prefix(&err, SX_EIO, "%.*s", 200, text);
    assert_string_equal(err.message + SX_ERROR_MESSAGE_BYTES - 4, "...");
    sx_fail_os(&err, EIO, "%.*s", 475, text);
    assert_string_equal(err.message + SX_ERROR_MESSAGE_BYTES - 4, "...");
    sx_fail_os(&err, EIO, "%s", text);
    assert_string_equal(err.message + SX_ERROR_MESSAGE_BYTES - 4, "...");
}

static void test_every_status_has_words(void **state)
{
    (void)state;
    assert_string_equal(sx_status_name(SX_ETIMEOUT), "timed out");
    assert_string_equal(sx_status_name((sx_status)99), "unknown status");
}

static void test_a_fake_clock_moves_when_told(void **state)
{
    (void)state;
    sx_fake_clock fake;
    sx_fake_clock_init(&fake, 1700000000000);
    assert_int_equal(sx_clock_ms(&fake.clock), 1700000000000);
    int64_t mono = sx_clock_mono_ms(&fake.clock);
    sx_fake_clock_advance(&fake, 250);
    assert_int_equal(sx_clock_ms(&fake.clock), 1700000000250);
    assert_int_equal(sx_clock_mono_ms(&fake.clock), mono + 250);
    sx_fake_clock_jump(&fake, 5);
    assert_int_equal(sx_clock_ns(&fake.clock), 5000000);
    assert_int_equal(sx_clock_mono_ms(&fake.clock), mono + 250);
    assert_true(sx_clock_ns(sx_clock_system()) > 1600000000000000000);
    int64_t first = sx_clock_mono_ns(sx_clock_system());
    assert_true(sx_clock_mono_ns(sx_clock_system()) >= first);
}

static void assert_time(int64_t ns, int digits, const char *want)
{
    char text[SX_TIME_RFC3339_BYTES];
    size_t len = sx_time_rfc3339(ns, digits, text);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
}

static void test_times_are_written_by_rfc_3339(void **state)
{
    (void)state;
    assert_time(0, 0, "1970-01-01T00:00:00Z");
    assert_time(1705314600123456789, 9, "2024-01-15T10:30:00.123456789Z");
    assert_time(1705314600123456789, 3, "2024-01-15T10:30:00.123Z");
    assert_time(1709164800000000000, 6, "2024-02-29T00:00:00.000000Z");
    assert_time(951782400000000000, 0, "2000-02-29T00:00:00Z");
    assert_time(4107542400000000000, 0, "2100-03-01T00:00:00Z");
    assert_time(-1, 9, "1969-12-31T23:59:59.999999999Z");
    assert_time(INT64_MIN, 9, "1677-09-21T00:12:43.145224192Z");
    assert_time(INT64_MAX, 9, "2262-04-11T23:47:16.854775807Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failure_fills_the_error),
        cmocka_unit_test(test_the_systems_errors_keep_their_number),
        cmocka_unit_test(test_a_long_message_is_marked_as_cut),
        cmocka_unit_test(test_every_status_has_words),
        cmocka_unit_test(test_a_fake_clock_moves_when_told),
        cmocka_unit_test(test_times_are_written_by_rfc_3339),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
