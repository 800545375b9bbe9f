/* notify_internal.h - what the files of the notifier share.
 *
 * The loop's thread alone makes and frees sets, clients and calls; it changes what other threads read
 * (the list of sets, their Alertmanagers, queues) under the lock. Senders only append to queues. */
#ifndef OBSERVE_RULES_NOTIFY_INTERNAL_H
#define OBSERVE_RULES_NOTIFY_INTERNAL_H

#include <pthread.h>

#include "observe/rules/notify.h"
#include "observe/scrape/discovery.h"
#include "observe/scrape/http_target.h"

/* An alert as JSON, in the queues of several Alertmanagers. Under the lock. */
typedef struct notify_alert {
    uint32_t refs;
    size_t len;
    char json[];
} notify_alert;

void notify_alert_unref(notify_alert *a);

/* Alerts in the order in which they came; a ring. */
typedef struct notify_queue {
    notify_alert **items;
    size_t begin, count, cap;
} notify_queue;

/* Adds one, dropping the oldest above `most`; *dropped counts them. Takes a reference. */
sx_status notify_queue_add(notify_queue *q, notify_alert *a, size_t most, uint64_t *dropped,
                           sx_error *err);
notify_alert *notify_queue_pop(notify_queue *q); /* with its reference; NULL: empty */
void notify_queue_done(notify_queue *q);

typedef struct notify_set notify_set;

typedef struct notify_receiver {
    notify_set *set;
    struct notify_receiver *next;
    char *url_text;
    sx_str url;
    bool seen;           /* in the list of targets that was told last */
    notify_queue queue;  /* under the lock */
    notify_queue flying; /* the batch under way; the loop's */
    prom_http_call *call;
    int64_t began_ns;
    sx_counter *sent, *errors, *dropped;
    sx_gauge *length;
    sx_histogram *seconds;
    sx_summary *latency; /* of the same */
} notify_receiver;

/* What one discovery of a set has told. */
typedef struct notify_source {
    notify_set *set;
    prom_discoverer *discoverer;
    sx_arena arena; /* of the URLs */
    sx_str *urls, *dropped;
    size_t url_count, dropped_count;
    bool has_told; /* before, `urls` are those of the configuration before */
} notify_source;

/* One entry of `alertmanagers`. */
struct notify_set {
    rule_notifier *n;
    const prom_alertmanager_config *config;
    prom_http *http;
    notify_receiver *receivers; /* changed under the lock */
    notify_source *sources;
    uint32_t source_count;
};

typedef struct notify_metrics {
    sx_metric *sent, *errors, *dropped, *length, *seconds, *latency;
    sx_gauge *discovered;
} notify_metrics;

struct rule_notifier {
    rule_notifier_options options;
    sx_loop *loop;
    pthread_t thread;
    bool running;
    sx_logger *log;
    notify_metrics metrics;

    pthread_mutex_t lock;
    pthread_cond_t applied;
    prom_config *config; /* all below and the receivers' queues: under the lock */
    notify_set *sets;
    uint32_t set_count;
    bool posted; /* the loop has a word waiting */
    bool stopping;
};

/* notify_targets.c */
void notify_count(sx_counter *c, uint64_t by); /* c may be NULL */
void notify_show_length(const notify_receiver *r);
/* Forgets what is in a queue of the receiver, counted as dropped. Under the lock. */
void notify_drop_queue(notify_receiver *r, notify_queue *q);
/* By the loop's thread, or when it does not run. */
void notify_close_sets(notify_set *sets, uint32_t set_count);

/* notify.c: sends what is queued. The loop's thread. */
void notify_wake(sx_loop *loop, void *arg);

/* --- notify_alert.c. Alerts relabelled, in `arena`. */
sx_status notify_relabel(const rule_alert *alerts, size_t count, tsdb_labels external,
                         const prom_relabel *rules, uint32_t rule_count, sx_arena *arena,
                         rule_alert **out, size_t *out_count, sx_error *err);

/* The alert as Alertmanager's API takes it, with one reference. */
sx_status notify_encode(const rule_alert *alert, notify_alert **out, sx_error *err);

/* Where a discovered target's alerts go. *keep false: relabelling dropped it, *url is what it was. */
sx_status notify_target(const prom_alertmanager_config *config, const prom_target_group *group,
                        sx_str address, sx_arena *arena, sx_str *url, bool *keep, sx_error *err);

#endif
