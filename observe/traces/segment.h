/* segment.h - a file of spans by columns: written once, mapped, searched without being unpacked whole.
 *
 * docs/formats/trace-segment.md has the bytes. In short: rows are sorted by their trace (traces by
 * when they began, newest last; spans of a trace stand together, by start) and cut into groups of at
 * most TR_GROUP_ROWS; each column of a group is a chunk of its own, coded by what it is (deltas,
 * dictionary indexes, bits) and by zstd where that helps; dictionaries are sorted, so that looking a
 * text up is a binary search and a prefix is a range; a hash index leads from trace id to rows; a
 * summary of each group (times, services, durations, statuses, a filter over attribute values) lets
 * searches pass over it. Every section has a CRC32C. All integers little-endian.
 *
 * Written by store.c's flush and merge, read by search.c. */
#ifndef OBSERVE_TRACES_SEGMENT_H
#define OBSERVE_TRACES_SEGMENT_H

#include "observe/traces/filter.h"
#include "observe/traces/rows.h"

enum { TR_GROUP_ROWS = 8192 };

typedef struct tr_segment tr_segment; /* open for reading; immutable, any thread */

typedef struct tr_segment_info {
    uint64_t rows, traces, groups, bytes;
    uint64_t min_ns, max_ns; /* of start_ns */
    uint32_t level;          /* how often merged */
    uint64_t sequence; /* from the options: flushes count up, a merge has its newest input's */
    uint64_t errors;   /* rows with status ERROR */
} tr_segment_info;

typedef struct tr_write_options {
    uint32_t level;
    uint64_t sequence;
    int zstd_level; /* 0: 1 for flushes, 3 for merges of level 2 and more */
    bool sync;      /* fsync file and folder before the name appears */
    const _Atomic bool *canceled;
    uint32_t copy_least; /* a merge packs groups of fewer rows anew; 0: half of TR_GROUP_ROWS */
    /* A merge leaves out traces this says no to; NULL keeps all. `newest_ns` is the trace's latest
     * start, `error` and `longest_ns` are over the trace's spans in this merge. Who keeps a trace keeps
     * all that are newer: it is asked of id 0 and the least start first, and if it keeps that, it is
     * not asked of traces in groups that are copied. */
    bool (*keep)(void *ctx, const uint8_t trace_id[16], uint64_t newest_ns, uint64_t longest_ns,
                 bool error);
    void *keep_ctx;
} tr_write_options;

/* Writes rows as `path` (through path.tmp, renamed). rows stay as they are.
 *   errors  SX_ENOSPC-like states as the file layer gives them; the .tmp file is gone then. */
sx_status tr_segment_write(const char *path, const tr_rows *rows, const tr_write_options *options,
                           tr_segment_info *info, sx_error *err);

/* Several segments into one, in memory that does not grow with them (group by group; dictionaries
 * merged by their order). Groups whose traces no other input has are copied. The inputs stay. Two equal spans (same ids, times, everything) stay two. */
sx_status tr_segment_merge(const char *path, tr_segment *const *inputs, size_t count,
                           const tr_write_options *options, tr_segment_info *info, sx_error *err);

/* Maps a file; checks header and section table, the rest by _verify or as it is used.
 *   errors  SX_ECORRUPT with what and where; SX_EVERSION-like for one that is newer; files' */
sx_status tr_segment_open(const char *path, tr_segment **out, sx_error *err);
tr_segment *tr_segment_ref(tr_segment *s);
void tr_segment_unref(tr_segment *s); /* the last unmaps; _drop before it also removes the file */
void tr_segment_drop(tr_segment *s);
const tr_segment_info *tr_segment_about(const tr_segment *s);
const char *tr_segment_path(const tr_segment *s);

/* Every checksum, every code decoded, order and indexes checked. */
sx_status tr_segment_verify(const tr_segment *s, const _Atomic bool *canceled, sx_error *err);

/* Rows first..first+count of a trace; *count 0: it is not here. A few microseconds. */
sx_status tr_segment_find(const tr_segment *s, const uint8_t trace_id[16], uint64_t *first,
                          uint64_t *count, sx_error *err);

/* What is read of rows: all, or what a list needs. */
typedef enum tr_want {
    TR_WANT_IDS = 1,    /* trace_id, id, parent, start_ns, end_ns */
    TR_WANT_BASICS = 2, /* name, kind, status, resource, scope */
    TR_WANT_ALL = 7
} tr_want;

/* Groups that are read from again and again stay unpacked, a few of them over all segments that share
 * this: the traces that a search found are mostly neighbours. A dropped segment's are let go. */
typedef struct tr_hot tr_hot;
tr_hot *tr_hot_new(void);
void tr_hot_free(tr_hot *h);                     /* no segment that shares it is read any more */
void tr_segment_share(tr_segment *s, tr_hot *h); /* before others know the segment; h may be NULL */

/* Rows as spans, appended to `out` (a batch), everything they point to in its arena. */
sx_status tr_segment_read(const tr_segment *s, uint64_t first, uint64_t count, unsigned want,
                          span_batch *out, sx_error *err);

/* Rows here and there: a reader keeps the last group's columns that `want` (tr_want) names, so that a
 * question that goes group by group unpacks each once. For one thread; NULL without memory. The
 * segments it reads must stay until _free, as what it keeps are views of them.
 *   read  appends the first `most` of the `count` rows (ascending) to `out`; of the groups it comes to,
 *         it makes ready for all `count`, the rest of which are the next call's */
typedef struct tr_reader tr_reader;
tr_reader *tr_reader_new(unsigned want);
void tr_reader_free(tr_reader *r);
sx_status tr_reader_read(tr_reader *r, const tr_segment *s, const uint64_t *rows, size_t count,
                         size_t most, span_batch *out, sx_error *err);

/* A search under way in one segment. Groups are visited newest first; each call gives the next rows
 * that match, at most `cap`, ascending within a group; 0: the end. Only columns the filter names are
 * decoded. Time bounds are on start_ns, both inclusive. */
typedef struct tr_scan tr_scan;
sx_status tr_scan_new(const tr_segment *s, const span_filter *filter, uint64_t min_ns,
                      uint64_t max_ns, tr_scan **out, sx_error *err);
sx_status tr_scan_next(tr_scan *scan, uint64_t *rows, size_t cap, size_t *count, sx_error *err);
/* Or the traces of matching rows, each by the latest start of those in its group: all of the next group
 * that has any, or none if a number of groups that had to be looked into had none (the end is where
 * tr_scan_newest is 0). Good until the next call. A scan gives either rows or traces. */
typedef struct tr_scan_trace {
    uint8_t trace_id[16];
    uint64_t newest_ns;
} tr_scan_trace;
sx_status tr_scan_traces(tr_scan *scan, const tr_scan_trace **out, size_t *count, sx_error *err);
/* Start of the newest row that groups not yet visited can hold; 0: none is left. */
uint64_t tr_scan_newest(const tr_scan *scan);
void tr_scan_free(tr_scan *scan);

/* What the segment knows without its rows: services with their operations and span kinds, keys of
 * each place (one bit of filter_place) with their types, values of a key in the places that `place`
 * names (0: all), sorted by type and value: of more than 100,000 the newest groups'. At most 100,000
 * operations and 65,536 keys are listed. Callbacks return false to stop. */
typedef bool tr_operation_fn(void *ctx, sx_str service, sx_str operation, unsigned kind,
                             uint64_t count);
sx_status tr_segment_operations(const tr_segment *s, tr_operation_fn *fn, void *ctx, sx_error *err);
typedef bool tr_key_fn(void *ctx, unsigned place, sx_str key, unsigned type);
sx_status tr_segment_keys(const tr_segment *s, tr_key_fn *fn, void *ctx, sx_error *err);
typedef bool tr_value_fn(void *ctx, const span_value *value);
sx_status tr_segment_values(const tr_segment *s, unsigned place, sx_str key, tr_value_fn *fn,
                            void *ctx, sx_error *err);

/* Calls between services: a span and its parent, both in this segment, counted by the minute in which
 * the child began. A kind of its own for what calls a database or queue that sends no spans: then
 * `child` is the peer's name (db.system.name or db.system, messaging.system, peer.service). */
typedef enum tr_edge_kind { TR_EDGE_SERVICE, TR_EDGE_DATABASE, TR_EDGE_MESSAGING } tr_edge_kind;
typedef struct tr_edge {
    sx_str parent, child;
    tr_edge_kind kind;
    uint64_t minute;                     /* since 1970 */
    uint64_t calls, errors, duration_ns; /* summed */
} tr_edge;
typedef bool tr_edge_fn(void *ctx, const tr_edge *e);
sx_status tr_segment_edges(const tr_segment *s, uint64_t min_minute, uint64_t max_minute,
                           tr_edge_fn *fn, void *ctx, sx_error *err);
/* Spans whose parent is not in this segment though they have one: the store looks elsewhere. */
typedef struct tr_orphan {
    uint8_t trace_id[16], parent[8];
    sx_str service;
    uint64_t start_ns, duration_ns;
    bool error;
} tr_orphan;
typedef bool tr_orphan_fn(void *ctx, const tr_orphan *o);
sx_status tr_segment_orphans(const tr_segment *s, tr_orphan_fn *fn, void *ctx, sx_error *err);

#endif
