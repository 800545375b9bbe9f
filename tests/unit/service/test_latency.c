/* Tests of latency.h: quantiles against a plain sorted list, and what is forgotten. */
#include "service/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/random.h>

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void test_a_quantile_is_right_within_a_ninth(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static int64_t values[COUNT];
    static sx_latency l;
    sx_latency_sum sum = {0};
    sx_random random;
    sx_random_seed(&random, 7);
    uint64_t total = 0;
    for (int i = 0; i < COUNT; i++) {
        values[i] = (int64_t)(sx_random_u64(&random) >> (16 + sx_random_below(&random, 40)));
        total += (uint64_t)values[i];
        sx_latency_add(&l, 1000, values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), compare);
    sx_latency_gather(&l, 1000, &sum);
    assert_int_equal(sum.count, COUNT);
    assert_int_equal(sum.sum_ns, total);
    for (double q = 0; q <= 1; q += 0.01) {
        double exact = (double)values[(size_t)(q * (COUNT - 1))];
        double got = (double)sx_latency_quantile(&sum, q);
        assert_true(got >= exact * 8 / 9 - 1 && got <= exact * 9 / 8 + 1);
    }
}

static void test_what_is_older_than_two_minutes_is_forgotten(void **state)
{
    (void)state;
    static sx_latency l;
    sx_latency_sum sum = {0};
    sx_latency_add(&l, 120000, 5);
    sx_latency_add(&l, 180000, 7);
    sx_latency_gather(&l, 239999, &sum);
    assert_int_equal(sum.count, 2);
    sum = (sx_latency_sum){0};
    sx_latency_gather(&l, 240000, &sum); /* nobody has written since: the reader leaves it out */
    assert_int_equal(sum.count, 1);
    assert_int_equal(sum.sum_ns, 7);
    sx_latency_add(&l, 240000, 9);
    sum = (sx_latency_sum){0};
    sx_latency_gather(&l, 240000, &sum);
    assert_int_equal(sum.count, 2);
    assert_int_equal(sum.sum_ns, 16);
}

static void test_extremes_have_a_cell(void **state)
{
    (void)state;
    static sx_latency l;
    sx_latency_sum sum = {0};
    sx_latency_gather(&l, 5, &sum);
    assert_int_equal(sx_latency_quantile(&sum, 0.5), 0);
    sx_latency_add(&l, 5, -3); /* a clock that went back */
    sx_latency_add(&l, 5, 0);
    sx_latency_add(&l, 5, INT64_MAX);
    sx_latency_gather(&l, 5, &sum);
    assert_int_equal(sum.count, 3);
    assert_int_equal(sx_latency_quantile(&sum, 0), 0);
    assert_true(sx_latency_quantile(&sum, 1) > INT64_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_quantile_is_right_within_a_ninth),
        cmocka_unit_test(test_what_is_older_than_two_minutes_is_forgotten),
        cmocka_unit_test(test_extremes_have_a_cell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
