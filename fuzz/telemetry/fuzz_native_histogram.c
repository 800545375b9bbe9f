/* fuzz_native_histogram.c - whatever is observed, in whichever stripe, each value is in the bucket
 * whose bounds are around it, nothing is lost, and there are no more buckets than allowed. */
#include <math.h>

#include "telemetry/native_histogram.h"

/* Takes `value` out of the sum again; it must be there. */
static void take_out(sx_native_sum *sum, const sx_native *n, double value)
{
    if (isnan(value)) {
        sx_assert(sum->nans-- > 0);
        return;
    }
    if (fabs(value) <= n->zero_threshold) {
        sx_assert(sum->zeros-- > 0);
        return;
    }
    int exponent, power = 1 << (sum->schema > 0 ? sum->schema : 0);
    double fraction = 2 * frexp(fabs(value), &exponent); /* [1, 2) */
    int64_t key = (int64_t)(exponent - 1) * power;
    for (int k = 0; k < SX_NATIVE_FINEST; k += SX_NATIVE_FINEST / power)
        key += fraction > 1 + (double)sx_native_mantissa[k] * 0x1p-52;
    if (sum->schema < 0)
        key = (int64_t)ceil(ldexp((double)key, sum->schema));
    if (isinf(value))
        key = sum->schema >= 0 ? 1024 * power + 1 : (1024 >> -sum->schema) + 1;
    sx_native_side *side = &sum->side[signbit(value) != 0];
    sx_assert(key >= side->first && key < side->first + (int64_t)side->len);
    sx_assert(side->counts[key - side->first]-- > 0);
}

static double value_at(const uint8_t *data)
{
    double value;
    memcpy(&value, data, sizeof(value));
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    sx_metrics *m;
    sx_metric *metric;
    sx_metric_options options = {.kind = SX_METRIC_HISTOGRAM,
                                 .name = "h",
                                 .help = "H.",
                                 .native = true,
                                 .native_growth = 1 + ldexp(1, data[0] % 24 - 8),
                                 .native_zero_threshold = data[0] & 128 ? -1 : 0,
                                 .native_buckets_max = 1 + data[1]};
    sx_assert(sx_metrics_new(NULL, &m, NULL) == SX_OK);
    sx_assert(sx_metric_new(m, &options, &metric, NULL) == SX_OK);
    sx_histogram *h = sx_metric_histogram(metric, NULL, 0);
    const uint8_t *values = data + 3;
    size_t count = (size - 3) / sizeof(double), switch_at = data[2];
    for (size_t i = 0; i < count; i++) {
        if (i == switch_at)
            sx_telemetry_thread_join();
        sx_histogram_observe(h, value_at(values + i * sizeof(double)));
    }
    sx_telemetry_thread_leave();
    sx_native_sum sum = {0};
    sx_assert(sx_native_add_up(&h->series, &sum));
    sx_assert(sum.total == count && sx_histogram_count(h) == count);
    size_t in_use = 0;
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < sum.side[side].len; i++)
            in_use += sum.side[side].counts[i] != 0;
    sx_assert(in_use <= metric->native.buckets_max || sum.schema == SX_NATIVE_SCHEMA_MIN);
    for (size_t i = 0; i < count; i++)
        take_out(&sum, &metric->native, value_at(values + i * sizeof(double)));
    sx_native_sum_done(&sum);
    sx_metrics_free(m);
    return 0;
}
