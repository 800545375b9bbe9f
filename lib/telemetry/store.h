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
 *     histogram   [0 … n] counts of bucket i (not cumulative; n is +Inf)  [n + 1] float sum */
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
    const uint16_t *table; /* NULL: bounds are not positive or spread too far; bisect */
    int64_t table_base;    /* key of its first entry, which stands for all below */
    int64_t table_last;    /* its last entry stands for all above */
} sx_bounds;

typedef struct sx_series {
    uint64_t *cells;         /* in stripe 0 */
    const sx_bounds *bounds; /* histograms */
    sx_str labels;           /* `a="x",b="y"`, escaped: the key among the metric's series */
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

struct sx_metric {
    sx_metrics *registry;
    sx_metric_kind kind;
    sx_str name, help; /* help is escaped already */
    sx_str *labels;
    size_t label_count;
    sx_bounds bounds;
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
    uint32_t series_max;
    sx_arena arena; /* metrics, series, texts */
    sx_slab *slabs;
    sx_buf scratch;     /* the label text being looked up */
    sx_metric **metric; /* by name */
    size_t metric_count, metric_cap;
    sx_metric *folded_total;
    sx_metric **scraping; /* under scrape_lock: the metrics as the scrape began */
    size_t scraping_cap;
};

struct sx_collect {
    sx_metric *metric;
    sx_buf *out;
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

/* Sums over the stripes in use. */
uint64_t sx_series_count_sum(const sx_series *s, size_t cell);
double sx_series_float_sum(const sx_series *s, size_t cell);

/* Cells that a series of this metric takes. */
size_t sx_metric_cells(const sx_metric *metric);

/* Appends `name="value"` pairs with commas between, escaped and made UTF-8. */
void sx_labels_render(sx_buf *out, const sx_str *names, const sx_str *values, size_t count);

/* Fills b->table, b->table_base, b->le for b->upper. False without memory. */
bool sx_bounds_prepare(sx_arena *arena, sx_bounds *b);

#endif
