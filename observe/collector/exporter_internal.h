/* exporter_internal.h - an exporter's queue, its requests under way, and what a driver does for it.
 *
 * `take` (any thread) puts a reference into the queue and wakes the loop; the loop's thread does all
 * the rest. Waiting batches are joined to a request, one of a fixed number of slots; a driver sends it
 * and says how that ended by export_over():
 *
 *     queue --start--> slot --driver.send--> export_over: DONE      the slot is free again
 *                       ^                                 AGAIN     the slot waits, then sends again
 *                       '---------- retry timer --------- REFUSED   its spans are counted as failed
 *                                                         SPLIT     its batches go one by one
 *                                                         TOO_LARGE the same, then in halves
 *
 * What waits and what is under way count together against the queue's size, in the configuration's
 * unit and in bytes. Internal to observe/collector. */
#ifndef OBSERVE_COLLECTOR_EXPORTER_INTERNAL_H
#define OBSERVE_COLLECTOR_EXPORTER_INTERNAL_H

#include <pthread.h>

#include <sextant/http_client.h>
#include <sextant/loop.h>
#include <sextant/random.h>

#include "observe/collector/exporter.h"
#include "observe/spans/otlp.h"

enum { EXPORT_WHY_BYTES = 240, EXPORT_SLOTS_MAX = 64 };

typedef enum export_kind {
    EXPORT_DONE,
    EXPORT_AGAIN,
    EXPORT_REFUSED,
    EXPORT_SPLIT,    /* refused, perhaps for one of its batches alone */
    EXPORT_TOO_LARGE /* refused for its size */
} export_kind;

typedef enum export_reason {
    EXPORT_QUEUE_FULL, /* otelcol_exporter_enqueue_failed_spans; the others: _send_failed_spans */
    EXPORT_PERMANENT,  /* the receiver will not have them */
    EXPORT_PARTIAL,    /* the receiver took the rest */
    EXPORT_TIRED,      /* retries took too long, or are off */
    EXPORT_SHUTDOWN,
    EXPORT_REASONS
} export_reason;

/* How a try ended. */
typedef struct export_end {
    export_kind kind;
    int64_t after_ms; /* AGAIN: as the receiver asked; 0: it did not */
    sx_str why;       /* but of DONE; any bytes */
} export_end;

/* A batch that waits. */
typedef struct export_entry {
    struct export_entry *next;
    span_batch *batch;
    size_t bytes;     /* of memory */
    size_t wire;      /* about what it takes in a request */
    int64_t since_ms; /* when it came, monotonic */
    bool alone;       /* not to be joined with others: a receiver refused it with them */
} export_entry;

typedef struct export_request {
    span_exporter *e;
    export_entry *entries; /* joined, in order; NULL: the slot is free */
    size_t entry_count;
    uint64_t spans;    /* of which nothing is known yet */
    uint32_t attempts; /* tries that have ended */
    int64_t began_ms;  /* the first try, monotonic */
    double interval_ms;
    bool is_under_way; /* the driver has it */
    bool is_made;      /* the driver has made its body: a retry sends the same */
    sx_timer retry;
    void *state; /* the driver's, of driver.slot_bytes, zeroed once */
} export_request;

/* What differs between receivers. All but `open` and `done` on the loop's thread. */
typedef struct export_driver {
    const char *name;
    size_t slot_bytes, state_bytes;
    bool is_local; /* needs no receiver: has the default queue, whatever the settings say */
    /* Checks the settings and prepares; a receiver that cannot be reached is no error. */
    sx_status (*open)(span_exporter *e, sx_error *err);
    /* Sends a request; ends in export_over(), perhaps before it returns, unless it fails. */
    sx_status (*send)(export_request *r, sx_error *err);
    /* Gives up what is under way; export_over() is not called for it any more. */
    void (*cancel)(export_request *r);
    /* The request is over: its body may go. */
    void (*forget)(export_request *r);
    /* Frees what the slot holds; frees what `open` made. After the last of them. */
    void (*slot_done)(export_request *r);
    void (*done)(span_exporter *e);
} export_driver;

typedef struct export_metrics {
    sx_counter *sent, *send_failed, *enqueue_failed;
    sx_counter *dropped[EXPORT_REASONS];
    sx_gauge *queue_size, *queue_capacity;
} export_metrics;

struct span_exporter {
    exporter_settings settings; /* a copy; its texts are the configuration's */
    sx_arena arena;             /* URLs and the like, made by drivers */
    const export_driver *driver;
    void *state; /* the driver's */
    sx_kit kit;
    const sx_clock *clock;
    sx_logger *log;
    export_metrics metrics;
    sx_loop *loop;
    sx_random random; /* the loop's */
    pthread_t thread;
    bool has_thread;

    /* How requests are filled: at once, or when so many bytes wait or the first has waited so long. */
    size_t join_bytes;
    int64_t linger_ms;

    export_request *slots;
    uint32_t slot_count, busy; /* the loop's */
    bool is_pumping, is_failing, is_over;
    bool is_reload; /* as the host said */
    sx_timer linger, drain;
    bool is_draining;
    int64_t drain_by_ms, drain_ms;

    pthread_mutex_t lock; /* what follows, written by `take` and the loop */
    export_entry *first, *last;
    size_t waiting_bytes, waiting_wire;
    uint64_t held_bytes, held_units; /* waiting and under way */
    bool is_woken;                   /* a wake is posted and has not run */
};

/* As span_exporter_new, with another driver (NULL: the kind's) and, for tests that turn the loop by
 * hand, without a thread. */
sx_status export_make(const exporter_settings *settings, const span_exporter_host *host,
                      const export_driver *driver, bool threaded, span_exporter **out,
                      sx_error *err);

/* How a try ended; the request may be gone when it returns. The loop's thread. */
void export_over(export_request *r, const export_end *end);

/* So many of the request's spans have arrived, or were refused while others were not. */
void export_sent(export_request *r, uint64_t spans);
void export_dropped(export_request *r, uint64_t spans, export_reason reason, sx_str why);

/* A configuration's error: "exporters::NAME (line N): ...". */
sx_status export_bad(const span_exporter *e, sx_error *err, const char *fmt, ...) SX_PRINTF(3, 4);

/* All batches of a request as one ExportTraceServiceRequest. */
void export_join_otlp(const export_request *r, sx_buf *out);

/* The same of one batch: its own bytes if it came so. */
void export_batch_otlp(const span_batch *b, sx_buf *out);

/* --- exporter_http.c: a client for the exporter's endpoints, and calls with a whole answer. */

typedef struct export_call {
    export_request *r;
    sx_call *call; /* NULL: none is under way */
    int status;    /* 0: no head came */
    sx_buf body;   /* of the answer; what is above its limit is left out */
    char retry_after[64], type[48];
    int grpc_status;                   /* -1: none came */
    sx_buf grpc_message, grpc_details; /* as they came */
    void (*over)(struct export_call *c, sx_status status, const sx_error *err);
} export_call;

/* A client by the exporter's TLS settings and time-out. `is_grpc`: HTTP/2, also without TLS. */
sx_status export_http_open(span_exporter *e, bool is_grpc, bool is_tls, sx_http_client **out,
                           sx_error *err);

/* Sends; `over` comes once, unless this fails or the call is cancelled. The exporter's own headers go
 * after those given. */
sx_status export_call_start(export_call *c, sx_http_client *client, sx_str method, sx_str url,
                            const sx_header *headers, size_t count, sx_str body, sx_error *err);
void export_call_cancel(export_call *c);
void export_call_done(export_call *c);

/* What an HTTP answer means, by OTLP's rules, which Elasticsearch's are, too: 2xx DONE; 429, 502, 503
 * and 504 AGAIN; 413 TOO_LARGE; 400 SPLIT; others REFUSED. `why` is written to `text`. */
export_end export_http_end(const export_call *c, sx_status status, const sx_error *err,
                           char text[EXPORT_WHY_BYTES]);

/* Compression by its name in the configuration ("" takes `by_default`): SX_EINVAL names it. */
sx_status export_codec(const span_exporter *e, sx_str by_default, sx_codec *out, sx_error *err);

/* The waiting time in google.rpc.Status's details (RetryInfo), in ms; 0: none. Any bytes. */
int64_t export_retry_info_ms(sx_str status);

/* OTLP's partial success: spans that were refused, and why (a view). Any bytes. */
uint64_t export_partial(sx_str response, bool is_json, char why[EXPORT_WHY_BYTES]);

extern const export_driver export_otlp_driver, export_elastic_driver, export_file_driver,
    export_debug_driver, export_nop_driver, export_kafka_driver;

/* --- What it tells of itself (exporter_metrics.c). */

/* Registers the metrics; without a registry there are none. */
sx_status export_metrics_init(span_exporter *e, sx_error *err);
/* Adds to a counter, which may be NULL. */
void export_count(sx_counter *c, uint64_t n);
/* Counts and logs spans that were given up; of none: does nothing. */
void export_tell_drop(span_exporter *e, uint64_t spans, export_reason reason, sx_str why);

#endif
