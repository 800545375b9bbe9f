/* histogram.h - one native histogram sample, in floating point or in integers.
 *
 * The engine computes with floats only; the store keeps integer histograms as they came and converts
 * when it is read (a count of 2^53 and more loses its last bits, as in Prometheus). Buckets are
 * sparse: spans of used buckets, and their counts. Bucket i of a standard schema s covers
 * (base^(i-1), base^i] with base = 2^(2^-s); schema -53 has its upper bounds listed.
 * Source: Prometheus, docs/specs/native_histograms.md. */
#ifndef OBSERVE_TSDB_HISTOGRAM_H
#define OBSERVE_TSDB_HISTOGRAM_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

enum {
    TSDB_SCHEMA_MIN = -4,
    TSDB_SCHEMA_MAX = 8,
    TSDB_SCHEMA_CUSTOM = -53,           /* classic buckets kept as they are (NHCB) */
    TSDB_HISTOGRAM_BUCKETS_MAX = 65536, /* of one sample, both sides */
};

/* Prometheus's "stale" NaN and the NaN it gives otherwise, by their bits. */
#define TSDB_STALE_BITS      UINT64_C(0x7ff0000000000002)
#define TSDB_NORMAL_NAN_BITS UINT64_C(0x7ff8000000000001)

static inline bool tsdb_is_stale(double v)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &v, sizeof bits);
    return bits == TSDB_STALE_BITS;
}

static inline double tsdb_stale(void)
{
    uint64_t bits = TSDB_STALE_BITS;
    double v;
    __builtin_memcpy(&v, &bits, sizeof v);
    return v;
}

typedef enum tsdb_reset_hint {
    TSDB_RESET_UNKNOWN,
    TSDB_RESET_YES,
    TSDB_RESET_NO,
    TSDB_RESET_GAUGE,
} tsdb_reset_hint;

typedef struct tsdb_span {
    int32_t offset;  /* of the first span: its first bucket's index; of others: the gap before */
    uint32_t length; /* consecutive buckets */
} tsdb_span;

/* One sample. Arrays belong to the arena or the chunk it was read into. `buckets` are absolute counts
 * in both flavours (the wire's deltas are undone when read). stale: sum is the stale NaN. */
typedef struct tsdb_histogram {
    int32_t schema;
    tsdb_reset_hint reset;
    bool integer; /* counts were whole numbers when they came: kept so in chunks */
    double zero_threshold, zero_count, count, sum;
    const tsdb_span *positive_spans, *negative_spans;
    uint32_t positive_span_count, negative_span_count;
    const double *positive, *negative; /* one each bucket of the spans */
    uint32_t positive_count, negative_count;
    const double *bounds; /* schema -53: upper bounds, rising, without +Inf */
    uint32_t bound_count;
} tsdb_histogram;

/* SX_EINVAL in Prometheus's words ("negative spans: ...", "histogram ... count") if the spans do not
 * fit the buckets, counts are negative, or the count is less than the buckets' sum. */
sx_status tsdb_histogram_check(const tsdb_histogram *h, sx_error *err);

/* A deep copy in `arena`. */
sx_status tsdb_histogram_copy(const tsdb_histogram *h, sx_arena *arena, tsdb_histogram *out,
                              sx_error *err);

/* Same layout and same counts, bit by bit (NaN equals NaN of the same bits). */
bool tsdb_histogram_equal(const tsdb_histogram *a, const tsdb_histogram *b);

/* Upper bound of bucket `index` in a standard schema. */
double tsdb_histogram_bound(int32_t schema, int32_t index);

/* --- Buckets in order of their bounds, from the lowest. */
typedef struct tsdb_bucket {
    double lower, upper, count;
    bool lower_inclusive, upper_inclusive;
    int32_t index;
} tsdb_bucket;

/* How many there are at most: negative ones, zero bucket, positive ones. Empty ones included. */
uint32_t tsdb_histogram_bucket_count(const tsdb_histogram *h);

/* Writes them into `out` (that many); returns how many were written. */
uint32_t tsdb_histogram_buckets(const tsdb_histogram *h, tsdb_bucket *out);

/* Appends {count:3, sum:1.5, (0.5,1]:2, ...} as count_values shows it; empty buckets are left out. */
sx_status tsdb_histogram_print(const tsdb_histogram *h, sx_buf *out, sx_error *err);

/* --- Arithmetic, results in `arena`. Schemas and zero buckets are brought together as Prometheus
 * does; the spans of the result are compacted (no empty bucket is kept). `notes` gathers what
 * annotations will say. The result's reset hint is the two operands' common one, gauge if one is a
 * gauge, else unknown. */
enum {                                    /* bits of *notes */
       TSDB_HISTOGRAM_INCOMPATIBLE = 1,   /* standard schema with custom buckets: no result */
       TSDB_HISTOGRAM_RESETS_COLLIDE = 2, /* "conflicting counter resets" */
       TSDB_HISTOGRAM_BOUNDS_RECONCILED =
           4, /* custom bounds differed, the common ones were taken */
};
sx_status tsdb_histogram_add(const tsdb_histogram *a, const tsdb_histogram *b, sx_arena *arena,
                             tsdb_histogram *out, unsigned *notes, sx_error *err);
sx_status tsdb_histogram_sub(const tsdb_histogram *a, const tsdb_histogram *b, sx_arena *arena,
                             tsdb_histogram *out, unsigned *notes, sx_error *err);

/* Multiplied (divided: not the same in the last digit). A negative factor makes a gauge of it; a
 * division by zero leaves no buckets. */
sx_status tsdb_histogram_scale(const tsdb_histogram *h, double factor, sx_arena *arena,
                               tsdb_histogram *out, sx_error *err);
sx_status tsdb_histogram_divide(const tsdb_histogram *h, double divisor, sx_arena *arena,
                                tsdb_histogram *out, sx_error *err);

/* Without empty buckets. */
sx_status tsdb_histogram_compact(const tsdb_histogram *h, sx_arena *arena, tsdb_histogram *out,
                                 sx_error *err);

/* Fewer, wider buckets: `schema` at most the histogram's own. */
sx_status tsdb_histogram_reduce(const tsdb_histogram *h, int32_t schema, sx_arena *arena,
                                tsdb_histogram *out, sx_error *err);

/* What is left of it below (`upper`: the operator </) or above (>/) `threshold`. A bucket that holds
 * the threshold is cut by interpolation; the sum is then estimated from the buckets that are left. */
sx_status tsdb_histogram_trim(const tsdb_histogram *h, double threshold, bool upper,
                              sx_arena *arena, tsdb_histogram *out, sx_error *err);

/* Whether `now` follows `before` with a counter reset in between. */
bool tsdb_histogram_reset_between(const tsdb_histogram *before, const tsdb_histogram *now);

/* --- A sum or mean of many, with compensation for what rounding loses (Kahan and Neumaier). */
typedef struct tsdb_histogram_side {
    int32_t *index;       /* rising */
    double *count, *lost; /* lost: the compensation */
    uint32_t used;
} tsdb_histogram_side;

typedef struct tsdb_histogram_sum {
    tsdb_histogram head; /* the scalars, schema and bounds; its spans are not used */
    double lost_zero, lost_count, lost_sum;
    tsdb_histogram_side positive, negative;
    double parts;               /* histograms taken in */
    bool mean;                  /* the sum would have overflowed: it is a running mean now */
    bool resets_yes, resets_no; /* hints seen */
} tsdb_histogram_sum;

/* Begins with `h`, then takes in others; what the sum holds comes from `arena`, which must outlive
 * it, working memory of one addition from `scratch`. For `average` an overflow turns the sum into a
 * running mean. */
sx_status tsdb_histogram_sum_start(tsdb_histogram_sum *s, const tsdb_histogram *h, sx_arena *arena,
                                   sx_error *err);
sx_status tsdb_histogram_sum_add(tsdb_histogram_sum *s, const tsdb_histogram *h, bool average,
                                 sx_arena *arena, sx_arena *scratch, unsigned *notes,
                                 sx_error *err);

/* Another sum's parts, too. */
sx_status tsdb_histogram_sum_join(tsdb_histogram_sum *s, const tsdb_histogram_sum *other,
                                  sx_arena *arena, sx_arena *scratch, unsigned *notes,
                                  sx_error *err);

/* The sum, or the mean. TSDB_HISTOGRAM_RESETS_COLLIDE in *notes if hints of both kinds were seen. */
sx_status tsdb_histogram_sum_end(const tsdb_histogram_sum *s, bool average, sx_arena *arena,
                                 tsdb_histogram *out, unsigned *notes, sx_error *err);

#endif
