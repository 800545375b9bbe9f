/* sender_internal.h - what the sender is made of.
 *
 *     log ──tails──> series by reference ──> shards: [filling] [ready ...] [under way] ──HTTP──> end
 *
 * One thread, the sender's loop, does all of it: nothing here is locked but the sender's hand-over of
 * a configuration. Reading stops while a shard is full. A place in the log is done with when every
 * batch that begins before it has been answered; the oldest such place is what is written to disk. */
#ifndef OBSERVE_REMOTE_SENDER_INTERNAL_H
#define OBSERVE_REMOTE_SENDER_INTERNAL_H

#include <pthread.h>

#include <sextant/loop.h>
#include <sextant/map.h>

#include "observe/remote/remote.h"
#include "observe/scrape/http_target.h"
#include "observe/tsdb/wal.h"

enum { SEND_LOGS = 2 }; /* wal/ and wbl/, where late samples are */

typedef struct send_place {
    uint32_t segment;
    uint64_t offset;
} send_place;

typedef struct send_places {
    send_place at[SEND_LOGS];
} send_places;

/* --- Metrics: Prometheus's names behind prometheus_remote_storage_. */
typedef enum send_kind { SEND_SAMPLE, SEND_EXEMPLAR, SEND_HISTOGRAM, SEND_METADATA } send_kind;
typedef enum send_reason {
    SEND_TOO_OLD,
    SEND_DROPPED_SERIES,
    SEND_UNKNOWN_SERIES,
    SEND_CUSTOM_BUCKETS,
    SEND_REASONS
} send_reason;
typedef enum send_gauge {
    SEND_QUEUE_HIGHEST,
    SEND_QUEUE_HIGHEST_SENT,
    SEND_SAMPLES_PENDING,
    SEND_EXEMPLARS_PENDING,
    SEND_HISTOGRAMS_PENDING,
    SEND_SHARD_CAPACITY,
    SEND_SHARDS,
    SEND_SHARDS_MAX,
    SEND_SHARDS_MIN,
    SEND_SHARDS_DESIRED,
    SEND_BATCH_MAX,
    SEND_GAUGES
} send_gauge;
typedef struct send_metrics { /* members are NULL without a registry */
    sx_counter *total[4], *failed[4], *retried[4], *dropped[3][SEND_REASONS];
    sx_counter *enqueue_retries, *bytes, *metadata_bytes, *lost_segments;
    sx_gauge *gauges[SEND_GAUGES];
    sx_histogram *seconds;
} send_metrics;

sx_status send_metrics_init(send_metrics *m, sx_metrics *registry, sx_str name, sx_str url,
                            sx_error *err);
void send_count(sx_counter *c, uint64_t n);
void send_show(const send_metrics *m, send_gauge which, double value);

/* --- Series, by their references in the log. */
typedef struct send_meta {
    uint8_t type; /* as on the wire */
    sx_str help, unit;
} send_meta;

typedef struct send_series {
    uint32_t refs; /* the table's, and one each item that waits */
    uint32_t segment;
    bool dropped; /* by relabelling */
    tsdb_labels labels;
    send_meta *meta; /* heap; NULL: none known */
} send_series;
void send_series_unref(send_series *s);

typedef struct send_item {
    send_series *series;
    int64_t t, start;
    double v;
    const tsdb_histogram *h; /* in the batch's arena, as exemplars' labels */
    tsdb_labels exemplar;
    send_kind kind;
} send_item;

typedef struct send_batch {
    struct send_batch *next;
    send_item *items;
    size_t count, cap;
    sx_arena arena;
    send_places from; /* where the first item's record begins */
    bool resent;      /* may have been sent before a restart */
    uint32_t attempts;
    sx_buf metadata; /* of a batch of metadata: its message; `count` entries */
    bool is_metadata;
} send_batch;

typedef struct send_queue send_queue;

typedef struct send_shard {
    send_queue *q;
    send_batch *filling, *flying;
    send_batch *first, *last; /* ready */
    size_t pending;           /* items in all of these */
    prom_http_call *call;
    int64_t began_ns, backoff_ms;
    sx_timer deadline, retry;
} send_shard;

typedef struct send_rate {
    uint64_t events;
    double rate;
    bool begun;
} send_rate;

struct send_queue {
    send_queue *next;
    remote_sender *s;
    prom_config *config; /* one reference: the entry is its */
    const prom_remote_write *entry;
    uint64_t id; /* of its name or URL: what its place on disk is called by */
    prom_http *http;
    send_metrics metrics;

    tsdb_wal_tail tails[SEND_LOGS];
    send_places from;   /* before it only series are read */
    send_places resend; /* what was in the log before it may have been sent already */
    send_places saved;  /* on disk */
    bool has_late;      /* a record of the second log waits for the first one to be read up */
    sx_str late;
    send_places late_from;
    uint32_t checkpoint; /* the newest one looked at */
    bool has_checkpoint, at_end;
    uint64_t lost;
    sx_map64 series;
    tsdb_labels_builder builder;
    sx_arena scratch;
    sx_map families; /* v1: metadata by metric family */
    sx_arena family_arena;

    send_shard *shards;
    uint32_t shard_count, wanted;
    send_shard meta;
    bool full_told;
    uint64_t pending[4];
    int64_t highest_in, highest_sent, last_sent_ms;
    send_rate in, out, dropped, out_seconds; /* the last in nanoseconds */
    sx_timer read, save, reshard, metadata;
};

struct remote_sender {
    sx_kit kit;
    const sx_clock *clock;
    char *dir;
    sx_loop *loop;
    pthread_t thread;
    bool running;
    sx_logger *log;
    send_queue *queues; /* the loop's */
    sx_timer stop;      /* while it ends */
    int64_t flush_ms, stop_by_ms;
    pthread_mutex_t lock;
    pthread_cond_t applied;
};

/* --- sender_read.c */
/* Opens both logs at the place on disk, or at their ends. */
sx_status send_read_open(send_queue *q, sx_error *err);
void send_read_close(send_queue *q);
void send_read_on(sx_timer *timer, void *queue);
/* Writes down the place up to which all is answered, if it has moved. */
void send_read_save(send_queue *q);

/* --- sender_send.c */
sx_status send_shards_make(send_queue *q, uint32_t count, sx_error *err);
void send_shards_free(send_queue *q);
/* The batch that takes one more item of the shard. NULL: no memory. */
send_batch *send_shard_room(send_shard *sh);
void send_shard_added(send_shard *sh); /* after an item went into it */
/* Sends what has been gathered, now. True if nothing is left, or the end does not take it. */
bool send_shards_flush(send_queue *q);
void send_shards_full(const send_queue *q, bool *full, bool *empty);
void send_reshard(sx_timer *timer, void *queue);
sx_status send_metadata(send_queue *q, sx_buf *body, size_t count, sx_error *err);
void send_batch_free(send_batch *b);

/* --- sender_encode.c: the message, not yet compressed. */
sx_status send_encode_v1(const send_batch *b, sx_buf *out, sx_error *err);
sx_status send_encode_v2(const send_batch *b, sx_buf *out, sx_error *err);
uint8_t send_meta_type(sx_str name);
void send_encode_family(sx_buf *out, sx_str family, const send_meta *m);

/* --- sender_config.c */
bool send_entries_equal(const prom_remote_write *a, const prom_remote_write *b);

#endif
