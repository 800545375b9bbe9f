/* remote.h - samples over the network in other people's protocols: remote write, remote read, OTLP.
 *
 * Decoders turn a request's body into appends; the sender reads what was written and posts it on. The
 * HTTP side (routes, status codes) is in observe/api. HOT: remote write 150 ns a sample all told.
 * Sources: Prometheus remote write 1.0 and 2.0 specifications, remote read; opentelemetry-proto. */
#ifndef OBSERVE_REMOTE_REMOTE_H
#define OBSERVE_REMOTE_REMOTE_H

#include <sextant/buf.h>
#include <sextant/clock.h>
#include <sextant/kit.h>

#include "observe/config/config.h"
#include "observe/tsdb/storage.h"

/* What became of a request, for the status code and the X-Prometheus-Remote-Write-*-Written fields.
 * The caller sets `messages` (or NULL); the rest is filled. */
typedef struct remote_written {
    uint64_t samples, histograms, exemplars; /* accepted */
    uint64_t refused;                        /* samples, histograms and exemplars that were not */
    uint64_t invalid_labels; /* of these: samples and histograms of series with bad labels */
    bool bad;                /* part of it was bad: 400 with the messages; the rest is stored */
    sx_buf *messages;        /* why, in Prometheus's words: the first ten, a line each */
} remote_written;

/* Deltas of OTLP added up, for all writers of a store. Thread-safe; outlives them. */
typedef struct remote_deltas remote_deltas;
typedef struct remote_deltas_options {
    const sx_clock *clock; /* NULL: the system's */
    uint32_t streams_max;  /* 0: 4,194,304; a point of one more is rejected */
    uint64_t buckets_max;  /* counts and bounds of all streams together; 0: 67,108,864 */
} remote_deltas_options;
/* `options` may be NULL. */
sx_status remote_deltas_new(const remote_deltas_options *options, remote_deltas **out,
                            sx_error *err);
void remote_deltas_free(remote_deltas *d);

typedef struct remote_limits {  /* 0 takes the default */
    uint64_t decoded_bytes_max; /* of a request: 32 MiB, as the specification's receivers */
    uint32_t series_max;        /* of the series cache: 4,194,304 at 40 bytes each */
    uint32_t labels_max;        /* of one series: 2,048 */
    uint32_t label_bytes_max;   /* of all labels of one series: 1 MiB */
    const sx_clock *clock;      /* NULL: the system's; samples over 10 min ahead are refused */
    int64_t lookback_ms;        /* of queries, by which target_info is repeated: 5 min */
    bool otlp_native_delta;     /* the feature otlp-native-delta-ingestion: stored as they are */
    bool otlp_type_unit_labels; /* the feature type-and-unit-labels: __type__ and __unit__ */
    remote_deltas *deltas;      /* the feature otlp-deltatocumulative; NULL: off */
} remote_limits;

/* A decoder's memory between requests: series cache by label bytes, buffers, an appender (taken with
 * the first request, which waits while the store replays). One thread at a time; several writers of
 * one store run beside each other. It is freed before the store is closed. */
typedef struct remote_writer remote_writer;
sx_status remote_writer_new(tsdb_appendable *store, const remote_limits *limits,
                            remote_writer **out, sx_error *err);
void remote_writer_free(remote_writer *w);

/* One body of remote write 1.0 or 2.0, still snappy-compressed. SX_OK: what was valid is stored; out->bad
 * tells of the rest (a series refused for the memory budget is among it: old series go on, and a
 * sender that tried again and again would hold them up).
 *   errors  nothing was stored: SX_EFORMAT (400), SX_ELIMIT (413), SX_REFUSED (disk full: 503),
 *           others 500 */
sx_status remote_write_v1(remote_writer *w, sx_str body, remote_written *out, sx_error *err);
sx_status remote_write_v2(remote_writer *w, sx_str body, remote_written *out, sx_error *err);

/* One OTLP metrics export request, protobuf or JSON, decompressed already. What is valid is stored;
 * `rejected` data points were not (OTLP's partial success: 200 with the count and the message). Deltas
 * are rejected unless limits.otlp_native_delta or limits.deltas is set. `message` is the caller's, or NULL.
 *   errors  nothing was stored: as remote_write_v1's */
typedef struct remote_otlp_result {
    uint64_t rejected; /* data points */
    uint64_t accepted; /* samples and histograms */
    sx_buf *message;   /* why, the first ten, a line each */
    uint64_t warnings; /* metrics without points, attributes whose names collide */
} remote_otlp_result;
sx_status remote_otlp_metrics(remote_writer *w, const prom_otlp_config *config, sx_str body,
                              bool json, remote_otlp_result *out, sx_error *err);

/* --- Remote read: the whole request in, the response out in pieces. */
typedef struct remote_read_options {
    uint64_t samples_max;         /* of a SAMPLES response: 50,000,000 */
    uint64_t frame_bytes_max;     /* of STREAMED_XOR_CHUNKS, about: 1 MiB */
    uint64_t decoded_bytes_max;   /* of the request: 32 MiB */
    tsdb_labels external_labels;  /* added to each series that lacks them */
    const _Atomic bool *canceled; /* looked at between series; may be NULL */
} remote_read_options;

/* Answers one body, still snappy-compressed. `write` gets the response's bytes, for SAMPLES already
 * compressed (the caller says Content-Encoding: snappy), and returns false to stop (the client has
 * gone). *streamed tells the content type, before the first piece: REMOTE_READ_SAMPLES or _STREAMED.
 *   errors  SX_EFORMAT, SX_EINVAL, SX_ELIMIT (400: a bad request, a bad expression, too many samples),
 *           SX_ECANCELED, others 500. After the first piece the response can only be cut off. */
#define REMOTE_READ_SAMPLES  "application/x-protobuf"
#define REMOTE_READ_STREAMED "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
sx_status remote_read(tsdb_queryable *store, const remote_read_options *options, sx_str body,
                      bool *streamed, bool (*write)(void *ctx, sx_str piece), void *ctx,
                      sx_error *err);

/* --- The reader: entries of remote_read, asked besides the local store whenever something is queried. An
 * end that fails, or says what makes no sense, is left out with a warning (the querier's `warnings`);
 * of samples of one time the local one counts. An entry without read_recent is only asked for what is
 * older than the local store. */
typedef struct remote_reader remote_reader;
typedef struct remote_reader_options {
    const sx_kit *kit;     /* may be NULL; what it points to outlives the reader */
    const sx_clock *clock; /* NULL: the system's */
    tsdb_queryable *local;
    /* From when on the local store is whole; INT64_MAX: it is empty. Any thread. */
    int64_t (*local_start)(void *ctx);
    void *ctx;
    uint64_t body_bytes_max; /* of an answer; 0: 1 GiB */
} remote_reader_options;
sx_status remote_reader_new(const remote_reader_options *options, remote_reader **out,
                            sx_error *err);
/* All its queriers have been freed. */
void remote_reader_free(remote_reader *r);
/* Takes up a configuration; queries under way go on with the one before. Any thread, one at a time.
 * Errors: of prom_http_new (nothing has changed then). */
sx_status remote_reader_apply(remote_reader *r, prom_config *config, sx_error *err);
/* The local store and the remote ends as one. Lives as long as the reader. */
tsdb_queryable *remote_reader_queryable(remote_reader *r);

/* --- The sender: one queue an entry of remote_write, all on a thread of their own. What is sent is read
 * from the store's log, so a slow receiver costs no memory; what has been sent up to where is kept in
 * sextant/, and sending goes on there after a restart. An entry that is new begins with what is
 * written from then on. Samples are lost only where the store cuts its log before they were sent,
 * which is counted (prometheus_remote_storage_log_segments_lost_total) and logged. */
typedef struct remote_sender remote_sender;
typedef struct remote_sender_options {
    const sx_kit *kit;     /* may be NULL; what it points to outlives the sender */
    const sx_clock *clock; /* NULL: the system's */
    const char *dir;       /* the store's */
    int64_t flush_ms;      /* longest wait of remote_sender_free(); 0: a minute, below: none */
} remote_sender_options;
sx_status remote_sender_new(const remote_sender_options *options, remote_sender **out,
                            sx_error *err);
/* Sends what has been written before this; an end that does not take it, and what takes longer than
 * options.flush_ms, is left for the next start. */
void remote_sender_free(remote_sender *s);

/* Takes up a configuration; waits for it. Entries that are what they were go on undisturbed. Any thread,
 * one at a time. Errors: of prom_http_new (nothing has changed then), of files. */
sx_status remote_sender_apply(remote_sender *s, prom_config *config, sx_error *err);

#endif
