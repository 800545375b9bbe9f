/* histogram_estimate.h - quantiles and fractions estimated from buckets, classic and native. */
#ifndef OBSERVE_PROMQL_HISTOGRAM_ESTIMATE_H
#define OBSERVE_PROMQL_HISTOGRAM_ESTIMATE_H

#include "observe/tsdb/histogram.h"

typedef struct estimate_bucket {
    double upper, count; /* count: of all observations up to `upper` */
} estimate_bucket;

/* What had to be mended in the counts. */
typedef struct estimate_mending {
    bool forced; /* some count was less than the one below it by more than rounding */
    double min_bucket, max_bucket, max_diff;
} estimate_mending;

/* Of classic buckets, sorted by `upper`; they are changed. NaN without a bucket +Inf. */
double estimate_quantile_classic(double q, estimate_bucket *b, size_t count,
                                 estimate_mending *mended);
double estimate_fraction_classic(double lower, double upper, estimate_bucket *b, size_t count);

enum { ESTIMATE_NAN_RESULT = 1, ESTIMATE_NAN_SKEW = 2, ESTIMATE_NAN_EXCLUDED = 4 };

/* Of a native histogram; `room` is for tsdb_histogram_bucket_count(h) buckets. *notes: what NaN
 * observations did to the result. */
double estimate_quantile_native(double q, const tsdb_histogram *h, tsdb_bucket *room,
                                unsigned *notes);
double estimate_fraction_native(double lower, double upper, const tsdb_histogram *h,
                                tsdb_bucket *room, unsigned *notes);

#endif
