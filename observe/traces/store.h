/* store.h - the trace database: a log, memtables, and segments that merge behind them.
 *
 * Lies under sextant/traces/ of the data directory: wal/ (a batch a record: OTLP protobuf as it came
 * or as span/otlp_write.c writes it), segments NAME.seg, MANIFEST. A batch is acknowledged once it is
 * in the log by write(2) and visible to searches; the fsync policy is about power.
 *
 * Shards (one a core) hold each trace's spans together: a batch is split by trace id. All shards turn
 * over together when one is full or old: new memtables and a new log begin, the old ones are written
 * as one segment a shard in the background, then their log goes. Segments of a shard merge by size
 * in the background, in bounded memory. Searches see every span once: a flush or merge replaces its
 * inputs in one step.
 *
 * Any thread may call anything here. Called by the collector (append), jaeger, traceql, tempo and cmd. */
#ifndef OBSERVE_TRACES_STORE_H
#define OBSERVE_TRACES_STORE_H

#include <sextant/clock.h>
#include <sextant/kit.h>

#include "observe/traces/filter.h"
#include "observe/traces/segment.h"

typedef enum tr_fsync { TR_FSYNC_INTERVAL, TR_FSYNC_ALWAYS, TR_FSYNC_NONE } tr_fsync;

/* 0 in a field is the default. */
typedef struct tr_store_options {
    const char *dir;   /* made if it is not there */
    const sx_kit *kit; /* metrics and log; may be NULL */
    const sx_clock *clock;
    int64_t retention_ms; /* of spans by their trace's newest start: 7 days */
    int64_t retention_error_ms, retention_slow_ms; /* traces with an error, traces with a span of
                                                      slow_ns and more: at least retention_ms */
    uint64_t slow_ns;                              /* 1 s */
    uint64_t retention_bytes;                      /* oldest segments go first; 0: no limit */
    uint64_t memory_max;      /* of all memtables, flushing ones too: 96 MiB; over it appends wait
                                 for a flush up to append_wait_ms, then are refused */
    int64_t append_wait_ms;   /* 0: does not wait */
    uint64_t memtable_bytes;  /* of all shards, at which they turn over: 32 MiB */
    int64_t memtable_age_ms;  /* 60 s */
    uint32_t shards;          /* a power of two; 0: cores, at most 8 */
    uint64_t merge_bytes_max; /* no merge makes a segment bigger: 2 GiB */
    tr_fsync fsync;
    int64_t fsync_interval_ms; /* 1 s */
    uint64_t disk_free_min;    /* intake stops below so much room: 256 MiB */
    uint32_t search_threads;   /* 0: cores */
    bool read_only;
} tr_store_options;

typedef struct tr_store tr_store;

/* Opens or makes the directory; replays the log (a torn end is cut and logged), in the background if
 * it is long: searches wait for it.
 *   errors  SX_EEXIST: locked by another process; a newer VERSION; files'. A corrupt segment is set
 *           aside as NAME.corrupt, named in the log and in sextant_traces_segments_corrupt. */
sx_status tr_store_open(const tr_store_options *options, tr_store **out, sx_error *err);
/* Flushes, finishes or cancels merges, closes. */
void tr_store_close(tr_store *s);

/* All spans of a batch, or none. HOT: 1 us a span, log, memtable, flush and merge together.
 *   errors  SX_ELIMIT: memory is full of what waits for the disk (429, RESOURCE_EXHAUSTED: try again
 *           later); SX_REFUSED: the disk is full (503, UNAVAILABLE); files' */
sx_status tr_store_append(tr_store *s, span_batch *b, sx_error *err);

/* --- Questions. A question is read at one moment: what it returns is of one state of the store. */
typedef struct tr_limits {
    const _Atomic bool *canceled; /* may be NULL */
    int64_t deadline_ms;          /* by the store's clock; 0: none. Past it SX_ETIMEOUT */
    uint64_t rows_max;            /* looked at: 0: no limit; past it the answer is marked partial */
    uint64_t bytes_max;           /* of spans read into the answer: 256 MiB */
} tr_limits;

/* SX_ECANCELED or SX_ETIMEOUT when a question with these limits is to end: for work between reads. */
sx_status tr_store_limits(const tr_store *s, const tr_limits *limits, sx_error *err);

/* All spans of a trace in order of start (then parents first), within time bounds on start_ns (0: none).
 * Spans land in `out`. out->count 0: not found. */
sx_status tr_store_trace(tr_store *s, const uint8_t trace_id[16], uint64_t min_ns, uint64_t max_ns,
                         const tr_limits *limits, span_batch *out, bool *partial, sx_error *err);
/* The same with no more of its spans than `want` says (tr_want), which costs less. */
sx_status tr_store_trace_part(tr_store *s, const uint8_t trace_id[16], unsigned want,
                              const tr_limits *limits, span_batch *out, bool *partial,
                              sx_error *err);

/* A trace that holds at least one span the filter matches. */
typedef struct tr_hit {
    uint8_t trace_id[16];
    uint64_t newest_ns; /* latest start of its matching spans */
} tr_hit;

typedef struct tr_search {
    const span_filter *filter; /* NULL: all */
    uint64_t min_ns, max_ns;   /* of the matching span's start, inclusive; max 0: now */
    /* Where the last page ended: only hits older than this one (newest_ns, trace_id) come; pages so
     * are stable whatever arrives meanwhile. NULL: from the newest. */
    const tr_hit *after;
    tr_limits limits;
} tr_search;

/* Gives hits newest first (ties by trace id), each trace once, until the callback returns false. */
typedef bool tr_hit_fn(void *ctx, const tr_hit *hit);
sx_status tr_store_search(tr_store *s, const tr_search *search, tr_hit_fn *fn, void *ctx,
                          bool *partial, sx_error *err);

/* All matching spans, in no order, for aggregates over time: the batch given to the callback holds only
 * what `want` (tr_want) says and is reset after each call. */
typedef bool tr_spans_fn(void *ctx, const span_batch *spans);
sx_status tr_store_scan(tr_store *s, const tr_search *search, unsigned want, tr_spans_fn *fn,
                        void *ctx, bool *partial, sx_error *err);

/* Names: sorted, without repeats, in `arena`, between times as far as segments overlap them. */
typedef struct tr_names {
    sx_str *items;
    size_t count;
    bool cut; /* there were more than limit */
} tr_names;
typedef struct tr_operation {
    sx_str service, name;
    unsigned kind; /* span_kind */
} tr_operation;
typedef struct tr_values {
    span_value *items;
    size_t count;
    bool cut;
} tr_values;
sx_status tr_store_services(tr_store *s, uint64_t min_ns, uint64_t max_ns, sx_arena *arena,
                            tr_names *out, sx_error *err);
/* Of one service, or of all (service.data NULL); kind SPAN_UNSPECIFIED-1 (-1): any. */
sx_status tr_store_operations(tr_store *s, sx_str service, int kind, uint64_t min_ns,
                              uint64_t max_ns, sx_arena *arena, tr_operation **out, size_t *count,
                              sx_error *err);
sx_status tr_store_keys(tr_store *s, unsigned place, uint64_t min_ns, uint64_t max_ns, size_t limit,
                        sx_arena *arena, tr_names *out, sx_error *err);
/* Values of an attribute or of a field (name, service, status, kind ...: `field`). */
sx_status tr_store_values(tr_store *s, filter_field field, unsigned place, sx_str key,
                          uint64_t min_ns, uint64_t max_ns, size_t limit, sx_arena *arena,
                          tr_values *out, sx_error *err);
/* Calls between services, summed over the time range (in whole minutes). */
sx_status tr_store_edges(tr_store *s, uint64_t min_ns, uint64_t max_ns, const tr_limits *limits,
                         sx_arena *arena, tr_edge **out, size_t *count, sx_error *err);

/* --- Care. */
typedef struct tr_store_stats {
    uint64_t spans, segments, segment_bytes, wal_bytes, memtable_spans, memtable_bytes;
    uint64_t oldest_ns, newest_ns;
    bool ready; /* the log has been replayed */
} tr_store_stats;
void tr_store_about(tr_store *s, tr_store_stats *out);

/* Memtables to segments, now; sees whether a disk that was full has room again. */
sx_status tr_store_flush(tr_store *s, sx_error *err);
sx_status tr_store_compact(tr_store *s, sx_error *err); /* all merges that are due, and retention */
/* A copy of what is there at this moment, by hard links where the file system allows. */
sx_status tr_store_snapshot(tr_store *s, const char *dir, sx_error *err);
/* Every segment and the log; `note` gets a line a fault; SX_ECORRUPT if there was one. */
sx_status tr_store_verify(const char *dir, void (*note)(void *ctx, const char *line), void *ctx,
                          const _Atomic bool *canceled, sx_error *err);

#endif
