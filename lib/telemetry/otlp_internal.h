/* otlp_internal.h - the inside of the exporter (otlp.h).
 *
 *     program's threads          the exporter's thread: one sx_loop
 *     room/commit ──▶ lanes ──▶ queue ──batch──▶ sender ──▶ receiver
 *     (otlp_lanes.c)   poll     (otlp_queue.h)   (otlp_send.c)
 *
 * Each signal is a pipe of its own with at most one request under way (otlp_pipe.c):
 *
 *         ┌──────── done: taken, refused, given up ───────┐
 *         ▼                                               │
 *       IDLE ──batch full, delay over, flush──▶ SENDING ──┤
 *                          ▲                              │ for now refused
 *                          └──pause over, flush── WAITING ◀┘
 *
 * Everything here runs on the loop and reads its clock, so that tests drive it with a fake one and
 * without a thread; otlp.c puts the thread around it. */
#ifndef SEXTANT_TELEMETRY_OTLP_INTERNAL_H
#define SEXTANT_TELEMETRY_OTLP_INTERNAL_H

#include <pthread.h>

#include <sextant/loop.h>
#include <sextant/random.h>

#include "telemetry/lane.h"
#include "telemetry/otlp_queue.h"
#include "telemetry/otlp_send.h"
#include "telemetry/otlp_sink.h"
#include "telemetry/thread.h"

enum {
    SX_OTLP_LANE_CHUNKS = 32,          /* 2 MiB: how far a thread may be ahead of the exporter */
    SX_OTLP_BATCH_BYTES_MAX = 3 << 20, /* receivers by gRPC take 4 MiB by default */
    SX_OTLP_POLL_MS_LEAST = 5,         /* between looks at the lanes while records come */
    SX_OTLP_POLL_MS_MOST = 100,        /* and when none do: doubled each time */
    SX_OTLP_PAUSE_MS_FIRST = 1000,     /* before the first retry; doubled each time */
    SX_OTLP_PAUSE_MS_MOST = 30000,
    SX_OTLP_COMPLAIN_MS = 60000
};

typedef enum sx_otlp_state { SX_OTLP_IDLE, SX_OTLP_SENDING, SX_OTLP_WAITING } sx_otlp_state;

/* What a signal's counts are, as indices of sx_otlp_pipe.counts and in this order the words of
 * sextant_otlp_records_total and sextant_otlp_requests_total. */
typedef enum sx_otlp_count {
    SX_OTLP_EXPORTED,
    SX_OTLP_DROPPED,
    SX_OTLP_REJECTED,
    SX_OTLP_SUCCEEDED, /* requests from here on */
    SX_OTLP_FAILED,    /* for good */
    SX_OTLP_RETRIED,
    SX_OTLP_COUNTS
} sx_otlp_count;

typedef struct sx_otlp_pipe {
    sx_otlp *otlp;
    sx_otlp_signal signal;
    sx_otlp_sender *sender;                     /* NULL: not exported */
    uint32_t batch_max, delay_ms, retry_ms_max; /* delay of metrics: the interval */

    /* The producers'. */
    sx_lane *lanes[SX_THREAD_SHARDS_MAX + 1]; /* atomic; each made by its thread, NULL before */
    pthread_mutex_t shared_lock;              /* of lanes[0]: threads that have not joined */
    uint64_t lost;                            /* atomic: records for which there was no lane */

    /* The exporter's. */
    sx_otlp_state state;
    sx_otlp_queue queue;
    uint64_t due;         /* of the queued records: to be sent without waiting for more */
    sx_buf batch;         /* what is being sent: a whole export request */
    uint64_t batch_count; /* its records */
    int64_t batch_since_ms;
    uint32_t attempts;      /* of this batch */
    uint64_t lanes_dropped; /* of the lanes' own counts: already in the metrics */
    bool throttled;         /* the pause was asked for by the receiver */
    bool flushing, flush_failed;
    sx_timer delay, pause;
    int64_t complain_ms;  /* not before: monotonic */
    uint64_t lost_untold; /* records, since the last complaint */

    uint64_t counts[SX_OTLP_COUNTS];      /* atomic: written by the exporter, read by anybody */
    uint64_t queued;                      /* atomic: in the queue and in the batch */
    sx_counter *counters[SX_OTLP_COUNTS]; /* NULL: no registry */
    sx_gauge *queued_gauge;
} sx_otlp_pipe;

struct sx_otlp {
    const sx_clock *clock;
    sx_loop *loop;
    sx_otlp_pipe pipes[SX_OTLP_SIGNALS];
    sx_buf resource; /* a Resource, encoded */
    sx_buf scope;    /* an InstrumentationScope */
    sx_metrics *metrics;
    int64_t started_wall_ns;
    sx_random random; /* jitter */
    sx_timer poll, interval;
    uint32_t poll_ms;

    sx_log *log;

    /* The thread, and whoever waits for a flush. */
    bool has_thread;
    pthread_t thread;
    pthread_mutex_t scrape_lock; /* held while the registry is read */
    bool metrics_over;           /* under scrape_lock: it is not read any more */
    pthread_mutex_t flush_lock;
    pthread_cond_t flush_cond;
    uint64_t flush_asked, flush_begun, flush_ended; /* under flush_lock */
    bool flush_whole;                               /* the last one sent everything */
};

/* ---- otlp_core.c: an exporter on a loop, without a thread ---- */

/* As sx_otlp_new, on a loop of the caller's that outlives it. */
sx_status sx_otlp_core_new(const sx_otlp_options *options, sx_loop *loop, sx_otlp **out,
                           sx_error *err);

/* On the loop's thread, or when that has ended. What was not sent is dropped. */
void sx_otlp_core_free(sx_otlp *otlp);

/* On the loop's thread: sends everything now; sx_otlp_core_flushing says when that is over, and
 * then *whole whether all went. */
void sx_otlp_core_flush(sx_otlp *otlp);
bool sx_otlp_core_flushing(const sx_otlp *otlp, bool *whole);

/* Called by a pipe that has become idle or has given up a flush. otlp.c */
void sx_otlp_flush_progress(sx_otlp *otlp);

/* Tells what went wrong with a signal, at most once a minute, with its records lost since the last
 * time; `count` are lost now. */
void sx_otlp_complain(sx_otlp *otlp, sx_otlp_signal signal, uint64_t count, const char *what);

/* "spans", "logs", "metrics". Static. */
const char *sx_otlp_signal_name(sx_otlp_signal signal);

/* ---- otlp_pipe.c ---- */

/* Makes the sender, if the signal is exported, and the metrics. Errors: as sx_otlp_new. */
sx_status sx_otlp_pipe_init(sx_otlp_pipe *p, const sx_otlp_options *options, sx_error *err);

/* Takes up the lanes for the last time and counts all that was not sent as dropped; then only done. */
void sx_otlp_pipe_close(sx_otlp_pipe *p);
void sx_otlp_pipe_done(sx_otlp_pipe *p);

/* Takes up what the lanes hold; whether there was anything. */
bool sx_otlp_pipe_poll(sx_otlp_pipe *p);

/* Sends if something is due and nothing under way. */
void sx_otlp_pipe_advance(sx_otlp_pipe *p);

/* Makes everything queued due, and ends a pause. */
void sx_otlp_pipe_flush(sx_otlp_pipe *p);

/* Puts the present metrics in the place of a batch that waits, and sends them; not while one is being
 * sent. */
void sx_otlp_pipe_send_metrics(sx_otlp_pipe *p);

/* Adds to a count, and to its metric. */
void sx_otlp_pipe_count(sx_otlp_pipe *p, sx_otlp_count which, uint64_t n);

/* Asserts the invariants. Returns true. */
bool sx_otlp_pipe_check(const sx_otlp_pipe *p);

/* ---- otlp_lanes.c ---- */

/* Moves what the lanes hold into `queue`, as far as it may; the rest is dropped. Returns how many
 * were taken and how many dropped. */
typedef struct sx_otlp_moved {
    uint64_t taken, dropped;
} sx_otlp_moved;
sx_otlp_moved sx_otlp_lanes_take(sx_otlp_pipe *p, sx_otlp_queue *queue);

/* What the producers have counted: records given, and of these the ones the lanes had no room for. */
sx_otlp_moved sx_otlp_lanes_counts(const sx_otlp_pipe *p);

void sx_otlp_lanes_free(sx_otlp_pipe *p);

/* ---- otlp_resource.c ---- */

/* Appends the fields of the Resource that all signals carry, and those of the scope. `uuid_clock` may
 * be any clock. Errors: SX_EINVAL (options->resource), SX_ENOMEM. */
sx_status sx_otlp_resource_write(const sx_otlp_options *options, sx_buf *out, sx_error *err);
void sx_otlp_scope_write(sx_buf *out);

#endif
