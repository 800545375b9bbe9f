/* scrape_internal.h - the scrape manager's parts and who owns them.
 *
 *   prom_scraper   the manager: a control loop (configuration, discovery) and scrape loops
 *   scrape_pool    a job on the control loop: its discoveries, their groups, its targets
 *   scrape_job     a job's configuration; immutable, shared by reference by pool and targets
 *   scrape_loop    a scraping thread: its appender, reader and scratch memory
 *   scrape_client  a job's HTTP client on one loop; gone with its last target there
 *   scrape_target  belongs to one scrape loop from its start to its end
 *
 * The control thread makes targets and posts them to their loop; it takes one out of the pool before
 * it posts its end, so that under the manager's lock every target in a pool is alive. What the API
 * shows of a target is behind the target's own lock; all else in it is its loop's. */
#ifndef OBSERVE_SCRAPE_SCRAPE_INTERNAL_H
#define OBSERVE_SCRAPE_SCRAPE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <sextant/list.h>
#include <sextant/map.h>

#include "observe/scrape/discovery.h"
#include "observe/scrape/exposition.h"
#include "observe/scrape/http_target.h"
#include "observe/scrape/scrape.h"
#include "observe/scrape/scrape_cache.h"
#include "observe/scrape/scrape_metrics.h"
#include "observe/scrape/target.h"

enum {
    SCRAPE_REPORTS = 8, /* up, scrape_duration_seconds, ... */
    SCRAPE_LOOPS_MAX = 64,
    SCRAPE_AHEAD_MS = 600000,    /* samples further in the future are refused, as in Prometheus */
    SCRAPE_TOLERANCE_MS = 2,     /* a scrape so late still gets the time it was due at */
    SCRAPE_META_KEPT = 10,       /* scrapes for which metadata outlives its family */
    SCRAPE_BODY_MAX = 256 << 20, /* decoded, where a job sets no body_size_limit */
};

typedef struct scrape_job {
    _Atomic uint32_t refs;
    prom_config *config; /* a reference */
    const prom_scrape_config *c;
    sx_buf fingerprint; /* equal: the same configuration */
    sx_buf cache_key;   /* equal: the same series come of the same body */
    sx_buf accept;
    int32_t schema_max;    /* of native histograms */
    int failure_fd;        /* scrape_failure_log_file; -1: none */
    _Atomic uint32_t over; /* targets, if there are more than target_limit; 0: all is well */
} scrape_job;

typedef struct scrape_loop scrape_loop;

typedef struct scrape_client {
    sx_list link; /* scrape_loop.clients */
    scrape_job *job;
    prom_http *http;
    size_t targets;
} scrape_client;

/* Metadata of one family, as its target told it. */
typedef struct scrape_meta {
    sx_str name; /* in the heap, with what follows in one block each */
    sx_str type; /* static */
    char *help, *unit;
    size_t help_len, unit_len;
    uint32_t seen, changed; /* scrapes */
} scrape_meta;

typedef enum scrape_state { SCRAPE_RUNNING, SCRAPE_ENDING } scrape_state;

typedef struct scrape_target {
    sx_list link; /* scrape_loop.targets */
    prom_scraper *manager;
    scrape_loop *loop;
    scrape_job *job;
    scrape_client *client;        /* NULL before the start */
    struct scrape_target *before; /* its cache is taken over, or it ends, when this one starts */

    /* Read-only from its making on. */
    sx_arena arena;
    tsdb_labels labels, shown; /* all; those of its series */
    sx_str url, ask_url;       /* ask_url: what is asked, which differs for Unix sockets */
    uint64_t hash;
    int64_t interval_ms, timeout_ms;
    bool native_histograms, classic_always, classic_to_nhcb;
    char timeout_text[32], interval_text[64];

    /* The control thread's. */
    uint32_t generation;

    /* The loop's. */
    scrape_state state;
    sx_timer timer;
    int64_t due_ms; /* wall: when the next scrape is to begin */
    int64_t t;      /* time of the scrape under way */
    int64_t begun_ns, last_begun_ns;
    prom_http_call *call;
    scrape_cache cache;
    tsdb_ref reports[SCRAPE_REPORTS];
    bool scraped;    /* at least once */
    sx_map64 starts; /* what created_as_zero has written, by reference */
    size_t meta_cursor;
    uint32_t meta_scrape;

    pthread_mutex_t lock;
    /* Behind the lock; written by the loop (discovered: the control thread), read by anyone. The
     * loop reads its own without the lock. */
    sx_arena discovered_arena;
    tsdb_labels discovered;
    prom_health health;
    int64_t last_scrape_ms;
    double last_duration_s;
    sx_buf last_error;
    scrape_meta *metas;
    size_t meta_count, meta_cap;
    sx_map meta_by_name; /* index in metas */
} scrape_target;

typedef struct scrape_counts {
    uint64_t total, after_relabel, added;
    int64_t body_bytes;
} scrape_counts;

struct scrape_loop {
    prom_scraper *manager;
    sx_loop *loop;
    pthread_t thread;
    bool running;
    sx_list targets, clients;
    tsdb_appender *appender; /* made at the first scrape: the store may still be replaying */
    prom_exposition *reader;
    sx_arena scratch, histogram_arena;
    tsdb_labels_builder builder;
    tsdb_exemplar *exemplars;
    size_t exemplar_cap;
};

/* One discovery of a pool and what it last said. */
typedef struct scrape_source {
    struct scrape_pool *pool;
    prom_discoverer *discoverer; /* NULL: a static group */
    sx_buf fingerprint;
    const prom_discovery *what; /* of the pool's configuration */
    prom_config *config;        /* a reference: what `what` points into */
    sx_arena arena;             /* holds groups */
    prom_target_group *groups;
    size_t count;
} scrape_source;

typedef struct scrape_pool {
    sx_list link; /* prom_scraper.pools */
    prom_scraper *manager;
    scrape_job *job;
    scrape_source **sources;
    size_t source_count;
    sx_timer sync_timer;
    int64_t synced_ms; /* monotonic */
    bool kept;         /* during an apply */
    uint32_t generation;
    sx_map64 targets; /* by hash; behind the manager's lock */
    sx_arena dropped_arena;
    prom_dropped_info *dropped;
    size_t dropped_count;
    uint64_t dropped_total;
} scrape_pool;

struct prom_scraper {
    prom_scraper_options options;
    const sx_clock *clock;
    sx_logger *log; /* NULL: none */
    scrape_metrics metrics;
    scrape_loop control;
    scrape_loop loops[SCRAPE_LOOPS_MAX];
    unsigned loop_count;
    _Atomic uint64_t offset_seed; /* written by the control thread, read by the loops */
    bool closing;                 /* set with all threads ended */
    pthread_mutex_t applying;     /* one apply at a time */
    pthread_mutex_t lock;         /* pools and their targets: written by the control thread alone */
    sx_list pools;
    target_scratch target_scratch; /* the control thread's */
};

/* --- scrape_job.c */
sx_status scrape_job_new(prom_config *config, const prom_scrape_config *c, scrape_job **out,
                         sx_error *err);
scrape_job *scrape_job_ref(scrape_job *j);
void scrape_job_unref(scrape_job *j);

/* Appends what tells one discovery's configuration from another's, secrets included. */
void scrape_job_print_source(const prom_discovery *d, sx_buf *out);

/* --- scrape_append.c: a body, or none, into the loop's appender. The caller commits. */

/* SX_OK: all was appended, staleness markers too, and the cache has been moved on. Else nothing is to
 * be committed: the caller rolls back and calls scrape_append_nothing(). */
sx_status scrape_append(scrape_target *t, sx_str body, sx_str content_type, scrape_counts *counts,
                        sx_error *err);

/* Markers for all series: the scrape failed, or the target has ended. */
sx_status scrape_append_nothing(scrape_target *t, int64_t time_ms, sx_error *err);

/* The synthetic series; `stale`: their markers. */
sx_status scrape_append_report(scrape_target *t, int64_t time_ms, bool up, double duration_s,
                               const scrape_counts *counts, bool stale, sx_error *err);

/* --- scrape_meta.c: what TYPE, HELP and UNIT lines say, kept for the API. */
/* The family's entry, updated; NULL: no memory (the line is then as if it were not there). */
scrape_meta *scrape_meta_take(scrape_target *t, const prom_entry *e);
void scrape_meta_begin(scrape_target *t);
void scrape_meta_end(scrape_target *t); /* forgets families that have not come for long */
void scrape_meta_done(scrape_target *t);
/* Whether a series of that name belongs to the family. */
bool scrape_meta_covers(const scrape_meta *m, sx_str name);

/* --- scrape_target.c */
sx_status scrape_target_new(prom_scraper *s, scrape_job *job, const target_made *made,
                            scrape_target **out, sx_error *err);
sx_status scrape_target_set_discovered(scrape_target *t, tsdb_labels discovered, sx_error *err);
void scrape_target_free(scrape_target *t);
void scrape_target_start(sx_loop *loop, void *target); /* on its loop */
void scrape_target_end(sx_loop *loop, void *target);   /* on its loop: markers, then gone */
void scrape_client_unref(scrape_client *c);

/* Appends, reports, commits: all of it or, if anything fails, that the target is down. `result` and
 * `err` say how the request went; t->t is the time of the scrape. */
void scrape_target_finish(scrape_target *t, sx_status result, sx_str body, sx_str content_type,
                          sx_error *err);

/* --- scrape_pool.c: on the control thread, or with it stopped. */
sx_status scrape_pool_new(prom_scraper *s, scrape_job *job, scrape_pool **out, sx_error *err);
sx_status scrape_pool_reload(scrape_pool *p, scrape_job *job, sx_error *err);
void scrape_pool_free(scrape_pool *p); /* its targets are ended */

#endif
