/* nhcb.h - a classic histogram's cumulative buckets as one native histogram with custom bounds.
 *
 * Buckets may come in any order; a bucket given twice counts once. Used where a job asks for it
 * (convert_classic_histograms_to_nhcb), by the text readers and the protobuf reader.
 * Source: Prometheus, native histograms specification, schema -53. */
#ifndef OBSERVE_SCRAPE_NHCB_H
#define OBSERVE_SCRAPE_NHCB_H

#include <sextant/arena.h>
#include <sextant/error.h>

#include "observe/tsdb/histogram.h"

typedef struct nhcb_bucket {
    double bound, count; /* cumulative */
} nhcb_bucket;

typedef struct nhcb {
    nhcb_bucket *items; /* rising bounds */
    size_t size, cap;
    double count, sum;
    bool has_count;
} nhcb;

void nhcb_done(nhcb *n);
void nhcb_clear(nhcb *n);

/* SX_EFORMAT in Prometheus's words for a count that is negative or not cumulative, or a NaN bound;
 * SX_ELIMIT for too many buckets; SX_ENOMEM. */
sx_status nhcb_bucket_add(nhcb *n, double bound, double count, sx_error *err);
sx_status nhcb_count_set(nhcb *n, double count, sx_error *err);

/* The native histogram, in `arena`. SX_EFORMAT if the count is not that of the last bucket. */
sx_status nhcb_convert(nhcb *n, bool gauge, sx_arena *arena, tsdb_histogram *out, sx_error *err);

#endif
