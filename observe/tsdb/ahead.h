/* ahead.h - open chunks fetched for several series at once.
 *
 * What a series of the head needs lies in a dozen places of memory that were last touched a scrape ago:
 * walked one after the other, they cost more than the decoding. Who reads many series in a row says so
 * (tsdb_columns.following), and the head then fetches the open chunks of the next ones together, a
 * piece of each by turns, so that the processor waits for all of them at once, and takes a shard's
 * lock once instead of once a series. Hangs on the columns; one thread's. */
#ifndef OBSERVE_TSDB_AHEAD_H
#define OBSERVE_TSDB_AHEAD_H

#include "observe/tsdb/head.h"

enum { TSDB_AHEAD_SERIES = 16, TSDB_AHEAD_BYTES = 1024, TSDB_AHEAD_FULL = 8 };

typedef struct tsdb_ahead_series {
    bool fetched;      /* else it is read as any other */
    uint16_t open_len; /* 0: its open chunk has nothing of the range */
    uint8_t full_count;
    bool
        newest; /* only (t, v), the newest sample, which is the one wanted, or is too old (v unused) */
    int64_t t;
    double v;
    head_full full[TSDB_AHEAD_FULL];
    uint8_t open[TSDB_AHEAD_BYTES];
} tsdb_ahead_series;

typedef struct tsdb_ahead {
    const tsdb_head *head;
    int64_t min_t, max_t;
    bool newest_only;
    uint32_t count, next; /* next: where the next series asked for is expected */
    tsdb_ref refs[TSDB_AHEAD_SERIES];
    tsdb_ahead_series series[TSDB_AHEAD_SERIES];
} tsdb_ahead;

/* Fetches series `refs`, at most TSDB_AHEAD_SERIES, for reading them in this order with this range into
 * `out`. Does nothing where there is no memory. */
void tsdb_head_ahead(tsdb_head *h, const tsdb_ref *refs, size_t count, int64_t min_t, int64_t max_t,
                     tsdb_columns *out);

/* Whether the series was fetched as the next to be asked for. */
bool tsdb_head_is_ahead(const tsdb_head *h, tsdb_ref ref, int64_t min_t, int64_t max_t,
                        const tsdb_columns *out);

/* --- Between head_ahead.c and head_read.c. */

/* What was fetched for a series, NULL if nothing was. */
const tsdb_ahead_series *head_ahead_of(const tsdb_head *h, tsdb_ref ref, int64_t min_t,
                                       int64_t max_t, const tsdb_columns *out);

/* The full chunks that may have samples of the range, [*from, *to), and whether the open one may. */
bool head_choose_chunks(const head_shard *s, const head_series *series, int64_t min_t,
                        int64_t max_t, uint32_t *from, uint32_t *to);

/* Whether the newest sample is all that is wanted of the series, and known without decoding. */
bool head_newest_will_do(const head_series *series, int64_t max_t, bool newest_only);

#endif
