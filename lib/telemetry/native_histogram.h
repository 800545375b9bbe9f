/* native_histogram.h - exponential buckets: found by arithmetic, kept by each thread for itself.
 *
 * At schema s the bound of bucket k is 2^(k * 2^-s), and bucket k holds what is above bound k - 1 and
 * not above bound k. Schemas go from -4 (each bound 65536 times the one before) to 8 (1.0027 times).
 * Two neighbours of one schema, k - 1 and k for even k, are one bucket, k / 2, of the next coarser.
 *
 *     cells of a series, in each stripe:  [0] window, a pointer  [1] zeros  [2] not a number
 *     window  schema, and for positive and for negative values: first key, slots
 *
 * Each stripe has a window of its own over the keys that its thread has met, at a schema of its own;
 * nothing is agreed between threads. A value beside the window makes a new one, wider, or coarser
 * where it would become too wide. The layout of a window never changes, only its counts do: a reader
 * may go on with one that was replaced meanwhile and sees counts of a moment ago. Replaced windows are
 * freed by the next scrape, under the lock that readers hold. A scrape scales all windows to the
 * coarsest, adds them up, and coarsens the sum until it has no more buckets than the metric allows.
 *
 * Source: Prometheus, "Native histograms", sections on schemas and on ±Inf and NaN. */
#ifndef SEXTANT_TELEMETRY_NATIVE_HISTOGRAM_H
#define SEXTANT_TELEMETRY_NATIVE_HISTOGRAM_H

#include "telemetry/store.h"

enum {
    SX_NATIVE_SCHEMA_MIN = -4,
    SX_NATIVE_SCHEMA_MAX = 8,
    SX_NATIVE_FINEST = 1 << SX_NATIVE_SCHEMA_MAX, /* buckets of a power of two at that schema */
    SX_NATIVE_CELLS = 3,
    SX_NATIVE_WINDOW_LEAST = 256, /* at schema -4 all doubles of one sign have 136 keys */
    SX_NATIVE_BUCKETS_MAX = 1 << 16
};

#define SX_DOUBLE_SIGN     ((uint64_t)1 << 63)
#define SX_DOUBLE_MANTISSA (((uint64_t)1 << 52) - 1)
#define SX_DOUBLE_INFINITY ((uint64_t)0x7ff << 52)

/* Side 0 is for positive values, 1 for negative ones. */
typedef struct sx_native_window {
    struct sx_native_window *next_retired;
    unsigned shift; /* SX_NATIVE_SCHEMA_MAX - schema: how often the finest keys were halved */
    int32_t round;  /* (1 << shift) - 1 */
    int32_t first[2];
    uint32_t len[2];
    uint32_t offset[2]; /* of the side's slots in counts */
    uint64_t counts[];
} sx_native_window;

extern const uint64_t sx_native_mantissa[SX_NATIVE_FINEST + 1];
extern const uint16_t sx_native_below[SX_NATIVE_FINEST * 2];

/* The key at the finest schema of a positive, normal, finite double, from its bits. */
static inline int32_t sx_native_key(uint64_t bits)
{
    uint64_t mantissa = bits & SX_DOUBLE_MANTISSA;
    uint32_t k = sx_native_below[mantissa >> (52 - SX_NATIVE_SCHEMA_MAX - 1)];
    k += mantissa > sx_native_mantissa[k];
    return ((int32_t)(bits >> 52) - 1023) * SX_NATIVE_FINEST + (int32_t)k;
}

/* HOT, 5 ns. Where a value is counted, in the native `cells` of a stripe that the caller alone writes;
 * NULL for those that sx_native_observe must see to: what has no slot yet, zero, subnormal, infinite
 * and NaN. */
static inline uint64_t *sx_native_slot(const sx_metric *metric, const uint64_t *cells, double value)
{
    uint64_t bits = sx_cell_bits(value), size = bits & ~SX_DOUBLE_SIGN;
    uint64_t least = metric->native.least_bits;
    sx_native_window *w = (sx_native_window *)(uintptr_t)__atomic_load_n(cells, __ATOMIC_RELAXED);
    if (sx_unlikely(size - least >= SX_DOUBLE_INFINITY - least || !w))
        return NULL;
    unsigned side = (unsigned)(bits >> 63);
    int32_t key = (sx_native_key(size) + w->round) >> w->shift;
    uint32_t slot = (uint32_t)key - (uint32_t)w->first[side];
    return sx_likely(slot < w->len[side]) ? &w->counts[w->offset[side] + slot] : NULL;
}

/* Counts any value; `cells` as above (stripe 0: under shared_lock). False without memory: it was not
 * counted. */
bool sx_native_observe(const sx_metric *metric, uint64_t *cells, double value);

/* Where the exemplars of like values go, when there are no classic buckets for them. */
size_t sx_native_exemplar_slot(double value);

/* Fills `n` from checked options. */
void sx_native_prepare(sx_native *n, const sx_metric_options *options);

/* Everything that was observed, NaN too. */
uint64_t sx_native_total(const sx_series *s);

/* Adds up all stripes of a native histogram. `sum` is zeroed before its first use, may be used again,
 * and is freed by _done. False without memory. */
bool sx_native_add_up(const sx_series *s, sx_native_sum *sum);
void sx_native_sum_done(sx_native_sum *sum);

/* Frees the windows that were replaced before now. */
void sx_native_reclaim(sx_metrics *m);

/* Frees the windows of a series, which nobody uses any more. */
void sx_native_free_windows(const sx_series *s);

#endif
