/* summary.h - quantiles over a sliding window: the state of one series of a summary.
 *
 *     observe ─▶ buffer (1024 values) ─ sorted ─▶ slice of now
 *     read: all slices, one for each age bucket, walked through in the order of their values
 *
 * A slice keeps of n values so few that no rank is off by more than error * n (about 1 / error of them,
 * 16 bytes each); those errors add up over slices to error * the window's values. The error is the least
 * of the metric's quantiles: one that grew towards quantiles far from the targets would be smaller, but
 * says nothing of slices put together whose values differ. A slice is forgotten when it lies a window
 * behind, so that between (buckets - 1) / buckets of the window and all of it is seen. Values are dated
 * when their buffer is merged, at the latest at the next scrape.
 * Source: Greenwald, Khanna, "Space-Efficient Online Computation of Quantile Summaries" (2001). */
#ifndef SEXTANT_TELEMETRY_SUMMARY_H
#define SEXTANT_TELEMETRY_SUMMARY_H

#include "telemetry/store.h"

typedef struct sx_window sx_window;

typedef struct sx_window_sum {
    uint64_t count;
    double sum;
    double
        values[SX_METRIC_QUANTILES_MAX]; /* of the metric's quantiles; NaN: nothing in the window */
} sx_window_sum;

/* Takes what is configured; defaults filled in. False without memory. */
bool sx_summary_prepare(sx_arena *arena, sx_summary_shape *shape, const sx_metric_options *o);

/* `shape` outlives it. NULL without memory. */
sx_window *sx_window_new(const sx_summary_shape *shape, const sx_clock *clock);
void sx_window_free(sx_window *w);

/* HOT, 100 ns: a lock that is free, a store; one in 1024 sorts and merges. */
void sx_window_observe(sx_window *w, double value);

/* All of it at one moment. Any thread. */
void sx_window_read(sx_window *w, sx_window_sum *out);

/* The window of a series of a summary. */
static inline sx_window *sx_series_window(const sx_series *s)
{
    return (sx_window *)(uintptr_t)s->cells[0]; /* set when the series is made */
}

#endif
