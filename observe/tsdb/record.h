/* record.h - what is inside a log record: series, samples, histograms and the rest, in bytes.
 *
 * The kinds and layouts are Prometheus's, so that a directory goes both ways. A record of samples
 * begins with its first reference and time; each sample follows as differences to these. Writers
 * append to a buffer; readers are pull cursors over a record's bytes that never read beyond it and
 * take no memory for what a count claims before the bytes are there.
 * Source: prometheus, tsdb/docs/format/wal.md and the kinds in tsdb/record/record.go. Used by the
 * appender, the replay, checkpoints and the head (for histograms at rest). */
#ifndef OBSERVE_TSDB_RECORD_H
#define OBSERVE_TSDB_RECORD_H

#include "observe/tsdb/storage.h"

typedef enum tsdb_record_kind {
    TSDB_RECORD_SERIES = 1,
    TSDB_RECORD_SAMPLES = 2,
    TSDB_RECORD_TOMBSTONES = 3,
    TSDB_RECORD_EXEMPLARS = 4,
    TSDB_RECORD_MMAP_MARKERS = 5,
    TSDB_RECORD_METADATA = 6,
    TSDB_RECORD_HISTOGRAMS = 7,
    TSDB_RECORD_FLOAT_HISTOGRAMS = 8,
    TSDB_RECORD_CUSTOM_HISTOGRAMS = 9,
    TSDB_RECORD_CUSTOM_FLOAT_HISTOGRAMS = 10,
    TSDB_RECORD_SAMPLES_V2 = 11, /* with start timestamps, as the two below */
    TSDB_RECORD_HISTOGRAMS_V2 = 12,
    TSDB_RECORD_FLOAT_HISTOGRAMS_V2 = 13,
} tsdb_record_kind;

/* --- Writing. A record is begun, fed, and is then the buffer's contents. */
typedef struct tsdb_record_writer {
    sx_buf *out;
    uint64_t first_ref, last_ref;
    int64_t first_t, first_start, last_start, last_t;
    bool v2, begun;
} tsdb_record_writer;

void tsdb_record_begin(tsdb_record_writer *w, tsdb_record_kind kind, sx_buf *out);
void tsdb_record_series(tsdb_record_writer *w, uint64_t ref, tsdb_labels labels);
/* `start` 0: none; only kept by the V2 kind. HOT. */
void tsdb_record_sample(tsdb_record_writer *w, uint64_t ref, int64_t t, int64_t start, double v);
void tsdb_record_histogram(tsdb_record_writer *w, uint64_t ref, int64_t t, int64_t start,
                           sx_str encoded);
void tsdb_record_tombstone(tsdb_record_writer *w, uint64_t ref, int64_t min_t, int64_t max_t);
void tsdb_record_exemplar(tsdb_record_writer *w, uint64_t ref, int64_t t, double v,
                          tsdb_labels labels);
void tsdb_record_metadata(tsdb_record_writer *w, uint64_t ref, const tsdb_metadata *m);

/* "counter" for 1 and so on; "unknown" for what is no type. */
sx_str tsdb_record_metric_type(uint8_t number);

/* The bytes of one histogram, as they are inside the record kinds and at rest in the head. */
void tsdb_record_put_histogram(sx_buf *out, const tsdb_histogram *h);

/* --- Reading. */
typedef struct tsdb_record_reader {
    const uint8_t *at, *end;
    tsdb_record_kind kind;
    uint64_t first_ref, last_ref;
    int64_t first_t, last_t, first_start, last_start;
    bool begun;
} tsdb_record_reader;

/* SX_EUNSUPPORTED for a kind that is not in the list, SX_ECORRUPT for an empty record. */
sx_status tsdb_record_open(tsdb_record_reader *r, sx_str record, sx_error *err);

/* Each gives the next entry; SX_END behind the last, SX_ECORRUPT if the bytes end early. Views point
 * into the record; label arrays are in the arena. */
sx_status tsdb_record_next_series(tsdb_record_reader *r, sx_arena *arena, uint64_t *ref,
                                  tsdb_labels *labels, sx_error *err);
/* HOT. */
sx_status tsdb_record_next_sample(tsdb_record_reader *r, uint64_t *ref, int64_t *t, int64_t *start,
                                  double *v, sx_error *err);
/* `encoded` is what tsdb_record_get_histogram reads. */
sx_status tsdb_record_next_histogram(tsdb_record_reader *r, uint64_t *ref, int64_t *t,
                                     int64_t *start, bool *integer, sx_str *encoded, sx_error *err);
sx_status tsdb_record_next_tombstone(tsdb_record_reader *r, uint64_t *ref, int64_t *min_t,
                                     int64_t *max_t, sx_error *err);
sx_status tsdb_record_next_exemplar(tsdb_record_reader *r, sx_arena *arena, uint64_t *ref,
                                    int64_t *t, double *v, tsdb_labels *labels, sx_error *err);
sx_status tsdb_record_next_metadata(tsdb_record_reader *r, uint64_t *ref, tsdb_metadata *m,
                                    sx_error *err);

/* Decodes one histogram into the arena. */
sx_status tsdb_record_get_histogram(sx_str encoded, bool integer, sx_arena *arena,
                                    tsdb_histogram *out, sx_error *err);

#endif
