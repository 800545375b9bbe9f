/* store.h - how a registry lies in memory: cells, series, metrics.
 *
 *     slab      [stripe 0: 512 cells][stripe 1: 512 cells] … [stripe 64]
 *     series    `cells` points into stripe 0; thread n writes the same place of stripe n
 *
 * A cell is 8 bytes: a count, or the bits of a double. Stripe n is written by thread n alone (plain
 * load and store, relaxed, so that a reader on another thread is no race), stripe 0 by everyone else
 * with read-modify-write operations. Stripes are whole pages: those of threads that do not exist are
 * never touched and cost no memory. A series never moves and is never freed before its registry.
 *
 *     counter     [0] count  [1] float sum
 *     gauge       [0] float
 *     histogram   [0 … n] counts of bucket i (not cumulative; n is +Inf)  [n + 1] float sum
 *                 and, if it is native, SX_NATIVE_CELLS more (native_histogram.h)
 *     info        [0] 1: shown             in stripe 0 alone, whoever writes
 *     state set   [0] bit i: state i holds in stripe 0 alone, whoever writes
 *     summary     [0] address of its window (summary.h), in stripe 0 alone */
#ifndef SEXTANT_TELEMETRY_STORE_H
#define SEXTANT_TELEMETRY_STORE_H

#include <pthread.h>

#include <sextant/arena.h>
#include <sextant/map.h>
#include <sextant/metrics.h>

enum {
    SX_STRIPE_CELLS = 512,
    SX_STRIPES = SX_THREAD_SHARDS_MAX + 1,
    SX_BOUNDS_SHIFT = 50,           /* leaves a double's sign, exponent and two bits of mantissa */
    SX_LABEL_VALUE_BYTES_MAX = 1024 /* longer ones are cut: they come from outside */
};

typedef struct sx_slab {
    struct sx_slab *next;
    size_t used;      /* cells of each stripe */
    uint64_t cells[]; /* room for alignment, then SX_STRIPES * SX_STRIPE_CELLS */
} sx_slab;

/* Upper bounds and a way to find a value's bucket without searching: the top bits of a positive
 * double (exponent and two bits of mantissa) rise with it, so they index a table that says where
 * in `upper` to begin. */
typedef struct sx_bounds {
    size_t count;
    const double *upper;   /* count of them, then +Inf */
    const sx_str *le;      /* `le="0.005"} `, one for each bound and one for +Inf */
    const sx_str *le_open; /* the same for OpenMetrics, where 1 is 1.0 */
    const uint16_t *table; /* NULL: bounds are not positive or spread too far; bisect */
    int64_t table_base;    /* key of its first entry, which stands for all below */
    int64_t table_last;    /* its last entry stands for all above */
} sx_bounds;

/* What a summary's windows have in common. */
typedef struct sx_summary_shape {
    const sx_metric_quantile *quantiles;
    const sx_str *texts;      /* `quantile="0.5"} `, one for each */
    const sx_str *texts_open; /* the same for OpenMetrics, where 1 is 1.0 */
    size_t count;
    double error; /* the least of the quantiles' */
    uint32_t age_ms, age_buckets;
} sx_summary_shape;

/* How the exponential buckets of a native histogram are. */
typedef struct sx_native {
    bool on;
    int8_t schema; /* the finest resolution, at which each stripe begins */
    uint32_t buckets_max;
    uint32_t window_max;   /* slots of one window of one sign */
    double zero_threshold; /* what is not larger is counted as zero */
    uint64_t zero_bits;    /* its bits */
    uint64_t least_bits;   /* from here to infinity: neither zero nor subnormal */
} sx_native;

/* One side of a native histogram's sum, from the first bucket in use to the last. */
typedef struct sx_native_side {
    int32_t first;    /* key of counts[0] */
    size_t len;       /* 0: nothing on this side */
    uint64_t *counts; /* heap */
    size_t cap;
} sx_native_side;

typedef struct sx_native_sum {
    int schema;
    uint64_t zeros, nans;
    uint64_t total; /* zeros, NaN and all buckets */
    sx_native_side side[2];
} sx_native_sum;

typedef struct sx_exemplars sx_exemplars; /* exemplar.h */

typedef struct sx_series {
    uint64_t *cells; /* in stripe 0 */
    sx_metric *metric;
    sx_exemplars *exemplars; /* atomic; NULL until the first one comes */
    sx_str labels;           /* `a="x",b="y"`, escaped: the key among the metric's series */
    int64_t created_ns;      /* wall time */
} sx_series;

struct sx_counter {
    sx_series series;
};
struct sx_gauge {
    sx_series series;
};
struct sx_histogram {
    sx_series series;
};
struct sx_summary {
    sx_series series;
};
struct sx_info {
    sx_series series;
};
struct sx_stateset {
    sx_series series;
};

/* A metric's name and label names under one escaping. */
typedef struct sx_spelling {
    sx_str name;
    sx_str *labels;
} sx_spelling;

struct sx_metric {
    sx_metrics *registry;
    sx_metric_kind kind;
    sx_str name, help; /* help is UTF-8, not escaped */
    sx_str unit;       /* empty: not told */
    sx_str quoted;     /* `{"name`, escaped, for names that need quotes; else empty */
    sx_str *labels;    /* as they stand in sx_series.labels: `name`, or `"name"` with escapes */
    size_t label_count;
    bool plain_labels;                         /* none of them needs escaping */
    sx_spelling spelled[SX_METRICS_ESCAPINGS]; /* all the same for plain names */
    sx_bounds bounds;                          /* count 0: a native histogram alone */
    sx_native native;
    sx_summary_shape summary;
    const sx_str *states;
    size_t state_count;
    void (*collect)(sx_collect *into, void *ctx);
    void *collect_ctx;
    uint32_t series_max;

    /* Under registry->lock. */
    sx_map by_labels;   /* of sx_series; the keys are their own labels */
    sx_series **series; /* in order of creation; append only */
    size_t series_count, series_cap;
    sx_series *other; /* where what is folded goes; in `series` once it is used */
    bool other_used;
    sx_counter *folded; /* sx_metric_series_folded_total{metric}, from the first fold on */

    /* Under registry->scrape_lock. */
    sx_series **sorted;                        /* by labels */
    size_t sorted_count, sorted_cap, in_order; /* the first in_order are in order */
};

struct sx_metrics {
    pthread_mutex_t lock;        /* registration and resolving */
    pthread_mutex_t scrape_lock; /* taken before `lock` when both are */
    pthread_mutex_t window_lock; /* reading foreign windows of native histograms, freeing them */
    pthread_mutex_t shared_lock; /* writing the windows of stripe 0 */
    struct sx_native_window *retired; /* atomic stack: replaced windows, freed by the next scrape */
    uint32_t series_max;
    const sx_clock *clock;
    bool created_series;
    sx_arena arena; /* metrics, series, texts */
    sx_slab *slabs;
    sx_buf scratch;     /* the label text being looked up */
    sx_metric **metric; /* by name */
    size_t metric_count, metric_cap;
    sx_metric *folded_total;
    /* Under scrape_lock. */
    sx_metric **scraping; /* the metrics as the scrape began */
    size_t scraping_cap;
    /* A series' labels spelled anew, a label's value unescaped, the labels of a collected value. */
    sx_buf labels, value, collected;
    sx_native_sum sum; /* the native histogram being written */
};

struct sx_collect {
    sx_metric *metric;
    struct sx_exposition *exposition;
};

static inline double sx_cell_float(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline uint64_t sx_cell_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* The bucket of `value`: the first whose bound is not below it, `count` for +Inf and for NaN. */
size_t sx_bounds_find(const sx_bounds *b, double value);

/* The clock that the series' registry was given. */
int64_t sx_series_now_ns(const sx_series *s);

/* Sums over the stripes in use. */
uint64_t sx_series_count_sum(const sx_series *s, size_t cell);
double sx_series_float_sum(const sx_series *s, size_t cell);

/* Cells that a series of this metric takes. */
size_t sx_metric_cells(const sx_metric *metric);

/* Fills b->table, b->table_base, b->le, b->le_open for b->upper. False without memory. */
bool sx_bounds_prepare(sx_arena *arena, sx_bounds *b);

#endif
