/* histogram_side.h - walking the buckets of one side of a histogram; for histogram*.c alone. */
#ifndef OBSERVE_TSDB_HISTOGRAM_SIDE_H
#define OBSERVE_TSDB_HISTOGRAM_SIDE_H

#include "observe/tsdb/histogram.h"

/* Names the index of one bucket after the other. */
typedef struct tsdb_side_walk {
    const tsdb_span *spans;
    uint32_t count, span; /* of spans; the one we are in */
    uint32_t in_span;     /* buckets given of it */
    int32_t index;        /* of the bucket given last */
} tsdb_side_walk;

static inline void tsdb_side_start(tsdb_side_walk *w, const tsdb_span *spans, uint32_t count)
{
    *w = (tsdb_side_walk){.spans = spans, .count = count, .index = -1};
    if (count > 0)
        w->index = (int32_t)((uint32_t)spans[0].offset - 1u);
}

/* False: there is no further bucket. Indices wrap rather than overflow on nonsense from outside. */
static inline bool tsdb_side_next(tsdb_side_walk *w)
{
    while (w->span < w->count && w->in_span == w->spans[w->span].length) {
        w->in_span = 0;
        w->span++;
        if (w->span < w->count)
            w->index = (int32_t)((uint32_t)w->index + (uint32_t)w->spans[w->span].offset);
    }
    if (w->span >= w->count)
        return false;
    w->in_span++;
    w->index = (int32_t)((uint32_t)w->index + 1u);
    return true;
}

/* One bucket of a side with its bounds; the zero bucket. */
tsdb_bucket tsdb_histogram_side_bucket(const tsdb_histogram *h, int32_t index, double count,
                                       bool positive);
tsdb_bucket tsdb_histogram_zero_bucket(const tsdb_histogram *h);

/* The same upper bounds (schema -53). */
bool tsdb_histogram_same_bounds(const tsdb_histogram *a, const tsdb_histogram *b);

#endif
