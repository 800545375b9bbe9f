/* derive_table.h - numbers gathered by a set of texts: the rows from which metrics of spans are made.
 *
 *     take (threads) ── observe ──▶ lanes: tables of what came since the last flush, each with a lock
 *                                     │ merge, every flush
 *                                     ▼
 *     flush (one thread) ────────▶ the whole: a table that only counts up ── derive_write.h ──▶ store
 *
 * A row's key is a small number (kind, status, …) and some texts. A table holds `rows_max` rows at
 * most, whatever comes: further keys are counted in one row more, the overflow, as OpenTelemetry's
 * SDKs do. What keys need lies in the table's arena, so nothing is allocated for a span whose key is
 * known. A histogram is explicit (bounds in nanoseconds) or exponential (a window of buckets that
 * grows coarser when values do not fit). One thread at a time a table.
 * Used by derive_spans.c and derive_graph.c. */
#ifndef OBSERVE_COLLECTOR_DERIVE_TABLE_H
#define OBSERVE_COLLECTOR_DERIVE_TABLE_H

#include <string.h>

#include <sextant/arena.h>
#include <sextant/error.h>
#include <sextant/str.h>

enum {
    DERIVE_COUNTERS = 2,
    DERIVE_HISTOGRAMS = 2,
    DERIVE_VALUES_MAX = 40,       /* texts of a key */
    DERIVE_VALUE_BYTES_MAX = 512, /* longer ones are cut */
    DERIVE_BOUNDS_MAX = 63,       /* a mask of 64 bits tells which buckets have an exemplar */
    DERIVE_EXEMPLARS_MAX = 16,
    DERIVE_SCALE_MAX = 8, /* of exponential histograms: Prometheus's finest */
    DERIVE_SCALE_MIN = -4,
};

/* What the rows of a table have. Lives longer than the tables. */
typedef struct derive_shape {
    uint32_t value_count;
    uint32_t histogram_count;
    const uint64_t *bounds_ns; /* rising; the bucket above the last has no bound */
    uint32_t bound_count;
    uint32_t expo_size;     /* buckets of an exponential histogram; 0: explicit */
    double ns_per_unit;     /* of exponential ones, whose buckets depend on it: 1e6, 1e9 */
    uint32_t exemplars_max; /* of a row between two flushes */
    uint32_t rows_max;      /* beside the overflow */
    uint32_t ref_count;     /* series of a row in the metric store; 0 for lanes */
} derive_shape;

typedef struct derive_exemplar {
    uint8_t trace_id[16], span_id[8];
    uint64_t ns;
    uint8_t histogram, bucket;
} derive_exemplar;

typedef struct derive_histogram {
    uint64_t count;
    double sum_ns;
    uint64_t *buckets; /* each for itself; of an exponential one: from index `first` on */
    uint64_t has;      /* buckets that have an exemplar */
    uint64_t zero;     /* exponential from here on */
    int32_t scale, first;
    uint32_t used;
} derive_histogram;

typedef struct derive_row {
    uint64_t hash;
    uint32_t tag;
    bool overflow;
    bool dirty;           /* counted since the last merge */
    bool written;         /* in the metric store */
    const sx_str *values; /* NULL for the overflow */
    uint64_t counters[DERIVE_COUNTERS];
    derive_histogram histograms[DERIVE_HISTOGRAMS];
    derive_exemplar *exemplars;
    uint32_t exemplar_count;
    int64_t seen_ms; /* when it counted last: monotonic, as merges tell it */
    uint64_t *refs;  /* by derive_write.c */
} derive_row;

typedef struct derive_slot {
    uint64_t hash;
    derive_row *row;
} derive_slot;

typedef struct derive_table {
    const derive_shape *shape;
    sx_arena arena;
    derive_slot *slots; /* a power of two; half of them empty at least */
    size_t mask;
    derive_row **rows; /* vector */
    size_t count, cap;
    derive_row *overflow;
    uint64_t overflowed; /* times that it was taken */
} derive_table;

typedef struct derive_key {
    uint64_t hash;
    uint32_t tag;
    const sx_str *values; /* value_count; data NULL: there is none */
} derive_key;

sx_status derive_table_init(derive_table *t, const derive_shape *shape, sx_error *err);
/* A zeroed table is allowed. */
void derive_table_done(derive_table *t);

/* The row of a key: an old one, a new one, or (full, out of memory) the overflow. */
derive_row *derive_table_make(derive_table *t, const derive_key *key);

/* Adds up what `from` has counted since the last time, and empties it; its keys stay. A key that the
 * table has no room for is added to its overflow. */
void derive_table_merge(derive_table *into, derive_table *from, int64_t now_ms);

/* Removes rows that have counted nothing since `before_ms` (never the overflow); `gone` is told of
 * each first. Pointers to rows are void afterwards. Without memory nothing is removed. */
void derive_table_expire(derive_table *t, int64_t before_ms,
                         void (*gone)(void *ctx, const derive_row *row), void *ctx);

/* Exemplars are of one flush. */
void derive_table_forget_exemplars(derive_table *t);

/* The bucket in which a duration is counted: the first whose bound is not below it. */
static inline uint32_t derive_bucket(const derive_shape *shape, uint64_t ns)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < shape->bound_count; i++)
        at += ns > shape->bounds_ns[i];
    return at;
}

/* Counts a duration in an exponential histogram; returns the index of its bucket in the window. */
uint32_t derive_expo_observe(const derive_shape *shape, derive_histogram *h, uint64_t ns);

/* Keeps an exemplar of a bucket that has none yet. */
void derive_row_exemplar(const derive_shape *shape, derive_row *row, uint32_t histogram,
                         uint32_t bucket, const derive_exemplar *e);

/* Whether the row `r` has this key. HOT. */
static inline bool derive_row_is(const derive_row *r, const derive_key *key, uint32_t values)
{
    if (r->tag != key->tag)
        return false;
    for (uint32_t i = 0; i < values; i++)
        if (r->values[i].len != key->values[i].len ||
            memcmp(r->values[i].data ? r->values[i].data : "",
                   key->values[i].data ? key->values[i].data : "", r->values[i].len) != 0 ||
            !r->values[i].data != !key->values[i].data)
            return false;
    return true;
}

/* HOT, 20 ns. */
static inline derive_row *derive_table_row(derive_table *t, const derive_key *key)
{
    for (size_t i = key->hash & t->mask; t->slots[i].row; i = (i + 1) & t->mask)
        if (t->slots[i].hash == key->hash &&
            derive_row_is(t->slots[i].row, key, t->shape->value_count))
            return t->slots[i].row;
    return derive_table_make(t, key);
}

/* Counts a duration. HOT, 15 ns. Returns its bucket. */
static inline uint32_t derive_row_observe(const derive_shape *shape, derive_row *row,
                                          uint32_t which, uint64_t ns)
{
    derive_histogram *h = &row->histograms[which];
    h->count++;
    h->sum_ns += (double)ns;
    if (shape->expo_size)
        return derive_expo_observe(shape, h, ns);
    uint32_t bucket = derive_bucket(shape, ns);
    h->buckets[bucket]++;
    return bucket;
}

#endif
