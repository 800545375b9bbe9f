/* test_deadline.c - how long a caller waits, read and written. */
#include <sextant/deadline.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/base/cmocka_all.h"

static int64_t timeout(const char *text)
{
    int64_t ms = -7;
    sx_error err = {0};
    sx_status status = sx_timeout_parse(sx_str_z(text), &ms, &err);
    assert_true(status == SX_OK ? ms >= 0 : ms == -7 && err.message[0] != '\0');
    return ms;
}

static void test_times_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } CASES[] = {
        {"2", 2000},
        {"2.5", 2500},
        {"0", 0},
        {"500ms", 500},
        {"3s", 3000},
        {"2m", 120000},
        {"1h", 3600000},
        {"250us", 1},
        {"0.003", 3},
        {"0.0001", 1},
        {"1.5ms", 2},
        {".5", 500},
        {"5.", 5000},
        {"0.1h", 360000},
        {"0.29", 290},
        {"1.001", 1001},
        {"99999999999999999999", 315360000000},
        {"", -7},
        {".", -7},
        {"s", -7},
        {"-1", -7},
        {"+1", -7},
        {"1e3", -7},
        {"1 s", -7},
        {"1.2.3", -7},
        {"1d", -7},
        {"1S", -7},
        {"0x10", -7},
        {"nan", -7},
        {"inf", -7},
        {"10msx", -7},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++)
        if (timeout(CASES[i].text) != CASES[i].ms)
            fail_msg("'%s' is read as %lld", CASES[i].text, (long long)timeout(CASES[i].text));
    char digits[1024];
    memset(digits, '9', sizeof(digits));
    int64_t ms;
    assert_int_equal(sx_timeout_parse(sx_str_of(digits, sizeof(digits)), &ms, NULL), SX_OK);
    assert_int_equal(ms, 315360000000);
}

static void test_the_shortest_field_counts(void **state)
{
    (void)state;
    int64_t ms = -7;
    sx_deadline_fields f = {0};
    assert_int_equal(sx_deadline_read(&f, 0, &ms, NULL), SX_OK);
    assert_int_equal(ms, -1);
    f.request_timeout = SX_STR(" 2.5 ");
    f.grpc_timeout = SX_STR("3S");
    f.envoy_ms = SX_STR("2700");
    assert_int_equal(sx_deadline_read(&f, 0, &ms, NULL), SX_OK);
    assert_int_equal(ms, 2500);
    assert_int_equal(sx_deadline_read(&f, 1000, &ms, NULL), SX_OK);
    assert_int_equal(ms, 1000);
    f.envoy_ms = SX_STR("0");
    assert_int_equal(sx_deadline_read(&f, 1000, &ms, NULL), SX_OK);
    assert_int_equal(ms, 0);
    f.envoy_ms = SX_STR("18446744073709551616000");
    f.request_timeout = f.grpc_timeout = SX_STR("");
    assert_int_equal(sx_deadline_read(&f, 0, &ms, NULL), SX_OK);
    assert_int_equal(ms, 315360000000);
}

static void test_a_wrong_field_is_named(void **state)
{
    (void)state;
    int64_t ms = -7;
    sx_error err;
    sx_deadline_fields f = {.envoy_ms = SX_STR("1.5")};
    assert_int_equal(sx_deadline_read(&f, 0, &ms, &err), SX_EFORMAT);
    assert_string_equal(err.message, "X-Envoy-Expected-Rq-Timeout-Ms: '1.5' is not a whole number "
                                     "of milliseconds");
    f = (sx_deadline_fields){.grpc_timeout = SX_STR("123456789m")};
    assert_int_equal(sx_deadline_read(&f, 0, &ms, &err), SX_EFORMAT);
    f = (sx_deadline_fields){.request_timeout = SX_STR("   ")};
    assert_int_equal(sx_deadline_read(&f, 0, &ms, &err), SX_EFORMAT);
    assert_int_equal(ms, -7);
}

static void test_every_byte_is_read_or_refused(void **state)
{
    (void)state;
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char *text = malloc(3); /* of exactly that size, for the sanitizer */
            memcpy(text, (char[]){'1', (char)a, (char)b}, 3);
            for (size_t len = 0; len <= 3; len++) {
                int64_t ms;
                sx_deadline_fields f = {sx_str_of(text, len), sx_str_of(text, len),
                                        sx_str_of(text, len)};
                sx_timeout_parse(sx_str_of(text, len), &ms, NULL);
                sx_deadline_read(&f, 100, &ms, NULL);
            }
            free(text);
        }
    }
}

static void test_what_is_written_is_read_back(void **state)
{
    (void)state;
    static const int64_t LEFT[] = {0,       1,        999,          1000,     60000,
                                   3599999, 99999999, 315360000000, INT64_MAX};
    for (size_t i = 0; i < SX_COUNT_OF(LEFT); i++) {
        sx_deadline_field fields[SX_DEADLINE_FIELDS];
        char room[SX_DEADLINE_BYTES];
        int64_t want = LEFT[i] < 315360000000 ? LEFT[i] : 315360000000;
        size_t n = sx_deadline_write(
            LEFT[i], SX_DEADLINE_REQUEST | SX_DEADLINE_ENVOY | SX_DEADLINE_GRPC, fields, room);
        assert_int_equal(n, 3);
        int64_t ms;
        sx_deadline_fields f = {.request_timeout = fields[0].value};
        assert_int_equal(sx_deadline_read(&f, 0, &ms, NULL), SX_OK);
        assert_int_equal(ms, want);
        f = (sx_deadline_fields){.envoy_ms = fields[1].value};
        assert_int_equal(sx_deadline_read(&f, 0, &ms, NULL), SX_OK);
        assert_int_equal(ms, want);
        f = (sx_deadline_fields){.grpc_timeout = fields[2].value};
        assert_int_equal(sx_deadline_read(&f, 0, &ms, NULL), SX_OK);
        assert_true(ms >= want || want > 99999999); /* its eight digits are coarser then */
    }
    sx_deadline_field fields[SX_DEADLINE_FIELDS];
    char room[SX_DEADLINE_BYTES];
    assert_int_equal(sx_deadline_write(-1, SX_DEADLINE_ENVOY, fields, room), 0);
    assert_int_equal(sx_deadline_write(1500, SX_DEADLINE_REQUEST, fields, room), 1);
    assert_true(sx_str_eq(fields[0].name, SX_STR("X-Request-Timeout")));
    assert_true(sx_str_eq(fields[0].value, SX_STR("1.500")));
}

static void test_moments_are_never_none(void **state)
{
    (void)state;
    sx_fake_clock clock;
    sx_fake_clock_init(&clock, 0);
    clock.mono = 0;
    assert_int_equal(sx_deadline_after_ms(&clock.clock, 0), 1);
    assert_int_equal(sx_deadline_after_ms(&clock.clock, 5), 5000000);
    assert_true(sx_deadline_after_ms(&clock.clock, INT64_MAX) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_are_read),
        cmocka_unit_test(test_the_shortest_field_counts),
        cmocka_unit_test(test_a_wrong_field_is_named),
        cmocka_unit_test(test_every_byte_is_read_or_refused),
        cmocka_unit_test(test_what_is_written_is_read_back),
        cmocka_unit_test(test_moments_are_never_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
