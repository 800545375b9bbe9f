/* sorter.h - sorts more records than memory holds.
 *
 * Records are two numbers of 64 bits, compared as one of 128. They are gathered in memory; when that
 * is full they are sorted there and written to a temporary file as a run; the runs are merged at the
 * end. The order, and so the index, does not depend on how much memory there was. Used by the index
 * builder; one thread. */
#ifndef GEOCODE_INDEX_SORTER_H
#define GEOCODE_INDEX_SORTER_H

#include "geocode/index/spool.h"

typedef struct geo_sort_record {
    uint64_t high, low;
} geo_sort_record;

typedef struct geo_sort_run geo_sort_run;

typedef struct geo_sorter {
    geo_sort_record *items;
    size_t count, cap, count_max; /* records; a run has count_max */
    uint64_t total;
    const char *what; /* static, for messages */
    geo_temp_file file;
    geo_sort_run *runs;
    size_t run_count, run_cap;
    /* While the records are given back. */
    size_t at;      /* in `items`, without runs */
    uint32_t *heap; /* runs by their next record, the least first */
    size_t heap_count;
} geo_sorter;

/* An empty sorter that holds about `memory_bytes` (at least a few records). `what` is static. */
void geo_sorter_init(geo_sorter *s, geo_temp *temp, size_t memory_bytes, const char *what);
void geo_sorter_done(geo_sorter *s);

/* Takes a record. Errors: SX_ENOMEM, and those of the disk. */
sx_status geo_sorter_add(geo_sorter *s, uint64_t high, uint64_t low, sx_error *err);

/* After the last: now records can be taken back. SX_ELIMIT if there are more runs than memory has
 * buffers for. */
sx_status geo_sorter_finish(geo_sorter *s, sx_error *err);

/* The next record in rising order; SX_END after the last. */
sx_status geo_sorter_next(geo_sorter *s, geo_sort_record *out, sx_error *err);

/* Sorts in memory, in place. */
void geo_sort_records(geo_sort_record *items, size_t count);

#endif
