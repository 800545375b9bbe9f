/* storage.h - how samples go in and come out, whatever keeps them.
 *
 * Two small interfaces (structs of functions): an appender takes the samples of one scrape, one
 * request or one rule evaluation and commits them together; a querier selects series and decodes
 * their samples into columns. The database (db.h) implements both; tests and remote read implement
 * the querier over other things. Scraping, rules, PromQL and the API know no more of the store than
 * this header. Times are int64 milliseconds since 1970 UTC. */
#ifndef OBSERVE_TSDB_STORAGE_H
#define OBSERVE_TSDB_STORAGE_H

#include <sextant/arena.h>
#include <sextant/error.h>

#include "observe/tsdb/histogram.h"
#include "observe/tsdb/labels.h"

/* --- In. */

/* Names a series of the head within this process's life; 0 is none. A reference may go stale when
 * its series has left the head: appending by it then gives SX_ENOTFOUND and the caller asks by
 * labels again. */
typedef uint64_t tsdb_ref;

typedef struct tsdb_exemplar {
    tsdb_labels labels;
    double value;
    int64_t t;
    bool has_t; /* else the sample's time */
} tsdb_exemplar;

typedef struct tsdb_metadata {
    sx_str type; /* "counter", "gauge", "histogram", "gaugehistogram", "summary", "info",
                    "stateset", "unknown" */
    sx_str help, unit;
} tsdb_metadata;

/* Why a sample was not taken; each has Prometheus's words, which clients see. */
typedef enum tsdb_refusal {
    TSDB_TAKEN,
    TSDB_OUT_OF_ORDER,  /* "out of order sample": older, and out-of-order intake is off */
    TSDB_DUPLICATE,     /* "duplicate sample for timestamp": same time, another value */
    TSDB_TOO_OLD,       /* "too old sample": before what is kept */
    TSDB_OUT_OF_BOUNDS, /* "out of bounds": too far in the future or the past */
    TSDB_SERIES_LIMIT,  /* the memory budget is used up: no new series */
    TSDB_BAD_HISTOGRAM,
    TSDB_EXEMPLAR_REFUSED, /* "out of order exemplar", "duplicate exemplar" */
    TSDB_REFUSALS
} tsdb_refusal;

const char *tsdb_refusal_words(tsdb_refusal r);

/* One batch being gathered; one thread at a time. Nothing is visible or on disk before commit. */
typedef struct tsdb_appender tsdb_appender;

typedef struct tsdb_appender_ops {
    /* The series with these labels, made if there is none (TSDB_SERIES_LIMIT in *why and ref 0 if it
     * may not be). Labels are borrowed for the call. `hash` is tsdb_labels_hash(labels). */
    sx_status (*series)(tsdb_appender *a, tsdb_labels labels, uint64_t hash, tsdb_ref *ref,
                        tsdb_refusal *why, sx_error *err);
    /* A hint, or NULL: a sample of this series follows soon, so that its memory may be on its way. */
    void (*soon)(const tsdb_appender *a, tsdb_ref ref);
    /* One float sample. HOT: 60 ns all told. A refused one is SX_OK with *why set: the batch goes on.
     * The check against the series' newest sample is made here and again at commit. */
    sx_status (*sample)(tsdb_appender *a, tsdb_ref ref, int64_t t, double v, tsdb_refusal *why,
                        sx_error *err);
    sx_status (*histogram)(tsdb_appender *a, tsdb_ref ref, int64_t t, const tsdb_histogram *h,
                           tsdb_refusal *why, sx_error *err);
    /* When the counter of the next sample at `t` began (created / start timestamp). */
    sx_status (*start)(tsdb_appender *a, tsdb_ref ref, int64_t t, int64_t start_t,
                       tsdb_refusal *why, sx_error *err);
    sx_status (*exemplar)(tsdb_appender *a, tsdb_ref ref, const tsdb_exemplar *e, tsdb_refusal *why,
                          sx_error *err);
    sx_status (*metadata)(tsdb_appender *a, tsdb_ref ref, const tsdb_metadata *m, sx_error *err);
    /* Writes the batch to the log, then makes it visible; the appender is then empty and may be used
     * again. On an error nothing of it is acknowledged. rollback forgets it. */
    sx_status (*commit)(tsdb_appender *a, sx_error *err);
    void (*rollback)(tsdb_appender *a);
    void (*free)(tsdb_appender *a);
} tsdb_appender_ops;

struct tsdb_appender {
    const tsdb_appender_ops *ops;
    /* Set by the caller, for a while: float samples older than their series' newest are refused as
     * out of order, whatever the store would take. Staleness markers of what has gone want it: the
     * series may go on meanwhile under another target. */
    bool in_order_only;
};

/* --- Out. */

/* A selected series: labels, and what the querier needs to read it. Lives as long as the selection. */
typedef struct tsdb_series {
    tsdb_labels labels;
    uint64_t handle[2];
} tsdb_series;

/* Samples of one series, oldest first, as columns. Float samples have v; a histogram sample has
 * h[i] not NULL (v[i] is then unused). `h` and `st` are NULL if there is none in the series. */
typedef struct tsdb_columns {
    int64_t *t;
    double *v;
    const tsdb_histogram **h; /* read into `arena` */
    int64_t *st;              /* start timestamps; 0: unknown */
    size_t count, cap;
    sx_arena *arena;  /* for histograms; the reader's; not reset here */
    bool newest_only; /* a wish: samples older than the newest of the range may be left out */
    /* The series of the same selection that will be read next, with the same range: a reader may
     * fetch them together. selected[order[0]] and so on, or (order NULL) those behind the present
     * one. */
    const tsdb_series *selected;
    const uint32_t *order;
    uint32_t following;
    struct tsdb_ahead *ahead; /* what it fetched: the reader's, freed by tsdb_columns_done() */
} tsdb_columns;

/* Bytes that the columns hold. */
size_t tsdb_columns_bytes(const tsdb_columns *c);

void tsdb_columns_init(tsdb_columns *c, sx_arena *arena);
void tsdb_columns_done(tsdb_columns *c);

/* Room for `more` samples after those there are. Readers call it. */
sx_status tsdb_columns_reserve(tsdb_columns *c, size_t more, sx_error *err);

/* Sorts the samples from index `from` on by time; of several of one time the first given stays. */
sx_status tsdb_columns_sort(tsdb_columns *c, size_t from, sx_error *err);

/* The two columns that most series lack: made, all NULL and all 0, when the first sample wants them. */
sx_status tsdb_columns_want_h(tsdb_columns *c, sx_error *err);
sx_status tsdb_columns_want_st(tsdb_columns *c, sx_error *err);

typedef struct tsdb_querier tsdb_querier;

typedef struct tsdb_selection {
    tsdb_series *items;
    size_t count;
    bool sorted; /* by labels, as asked */
} tsdb_selection;

typedef struct tsdb_hints {
    int64_t min_t, max_t; /* both inclusive: series without a sample in between may be left out */
    bool sorted;          /* by tsdb_labels_compare */
    size_t series_max;    /* stop after so many, 0: all */
    bool no_samples;      /* only labels are wanted (the series endpoint) */
    int64_t deadline_ns;  /* monotonic: other machines are not waited for longer; 0: any time */
} tsdb_hints;

typedef struct tsdb_querier_ops {
    /* Series all matchers match. The selection lives in `arena` until the querier is freed.
     * `canceled` (may be NULL) is looked at now and then. */
    sx_status (*select)(tsdb_querier *q, const tsdb_hints *hints, const tsdb_matcher *matchers,
                        size_t count, sx_arena *arena, tsdb_selection *out,
                        const _Atomic bool *canceled, sx_error *err);
    /* Appends the samples with min_t <= t <= max_t to `out`, stale markers included, duplicates of
     * one time (head and block, replicas) once. Any thread, also several at a time for different
     * series of one selection. HOT. */
    sx_status (*read)(tsdb_querier *q, const tsdb_series *s, int64_t min_t, int64_t max_t,
                      tsdb_columns *out, sx_error *err);
    /* Names, or one label's values, of the series the matchers match (none: of all), sorted, without
     * repeats; `limit` 0: all. In `arena`. */
    sx_status (*label_names)(tsdb_querier *q, const tsdb_matcher *matchers, size_t count,
                             size_t limit, sx_arena *arena, sx_str **out, size_t *out_count,
                             sx_error *err);
    sx_status (*label_values)(tsdb_querier *q, sx_str name, const tsdb_matcher *matchers,
                              size_t count, size_t limit, sx_arena *arena, sx_str **out,
                              size_t *out_count, sx_error *err);
    void (*free)(tsdb_querier *q);
    /* What could not be asked of storages that an answer can do without (remote ends), so far; each
     * text once. Good until the querier is freed. NULL: there are none such. */
    const sx_str *(*warnings)(tsdb_querier *q, size_t *count);
} tsdb_querier_ops;

struct tsdb_querier {
    const tsdb_querier_ops *ops;
};

/* Something that can be queried: the database, or a test's samples. */
typedef struct tsdb_queryable {
    /* A querier over [min_t, max_t]: a snapshot that later appends do not change for samples already
     * there. Waits while data of that range may still be replayed. Owned by the caller (ops->free). Any thread. */
    sx_status (*querier)(struct tsdb_queryable *self, int64_t min_t, int64_t max_t,
                         tsdb_querier **out, sx_error *err);
} tsdb_queryable;

/* Something that takes samples. */
typedef struct tsdb_appendable {
    sx_status (*appender)(struct tsdb_appendable *self, tsdb_appender **out, sx_error *err);
} tsdb_appendable;

#endif
