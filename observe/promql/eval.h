/* eval.h - the inside of a running query; for the engine's own files.
 *
 * An expression becomes a tree of nodes, each bound to the times it is evaluated at. Building a node
 * does all that needs the whole of its operands (selecting series, grouping, matching, sorting), so
 * that afterwards one column (one series' values at all steps) can be had at a time, from any thread:
 * node->fill(). Nodes that only change values pass a column on; those that need all of their operand
 * (aggregations, sorting) run over it while they are built and store what came out.
 *
 *   sum by (job) (rate(x[5m]) * 2)       built: select x; group its labels by job; then, in parallel,
 *     aggregate (stored)                 for each series: fill() of the product, which fills from
 *       product (passes on)              rate's, which reads and decodes the series once and slides
 *         rate (reads)                   over it; the values go into the group's accumulators.
 *
 * A column is an array of doubles, one a step; the stale mark says "no value here". Histograms are in
 * a second array of pointers, which most series do not have. fill() says by bits which of the two it
 * wrote: what is not announced was not written. A step never has both. */
#ifndef OBSERVE_PROMQL_EVAL_H
#define OBSERVE_PROMQL_EVAL_H

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include <sextant/map.h>

#include "observe/promql/engine.h"

typedef struct promql_run eval_run; /* the result's, too */
typedef struct eval_worker eval_worker;
typedef struct eval_node eval_node;

typedef struct eval_times {
    int64_t start, step; /* step is 1 where there is but one */
    size_t steps;
} eval_times;

static inline int64_t eval_time(const eval_times *t, size_t step)
{
    return t->start + (int64_t)step * t->step;
}

/* Milliseconds from 1970 that no time passes: offsets and ranges may be added without overflow. */
#define EVAL_TIME_MAX (INT64_C(1) << 60)

/* --- Values. */
enum { EVAL_FLOATS = 1, EVAL_HISTOGRAMS = 2 };

#define eval_absent tsdb_stale
static inline bool eval_is_absent(double v)
{
    return tsdb_is_stale(v);
}

/* As Go's math.Max: +Inf wins, then NaN, and of the zeros the positive one. */
static inline double eval_most(double a, double b)
{
    if (a == INFINITY || b == INFINITY)
        return INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

/* As Go's math.Min: -Inf wins, then NaN, and of the zeros the negative one. */
static inline double eval_least(double a, double b)
{
    return -eval_most(-a, -b);
}

struct eval_node {
    const promql_expr *expr;
    const eval_times *times;
    promql_type type;
    /* VECTOR: its series. Some may turn out to have no value. */
    size_t count;
    const tsdb_labels *labels;
    const uint8_t *drop; /* delayed name removal: whose name goes at the end; NULL: nobody's */
    bool one_name;       /* all series have the same metric name: losing it cannot make two alike */
    bool detect_resets;  /* a leaf whose histograms get their reset hints from one another */
    bool newest_only;    /* a leaf that looks at one time: of a series it wants one sample */
    bool distinct;       /* no two series have the same labels, as far as is known */
    unsigned (*fill)(const eval_node *n, eval_worker *w, size_t i, double *v,
                     const tsdb_histogram **h);
    double *scalar; /* SCALAR: one a step */
    sx_str string;
    unsigned slot;  /* of the workers' scratch memory */
    int32_t report; /* row of EXPLAIN; -1: none */
};

/* --- Scratch memory of one node in one thread; grows, never shrinks. */
typedef struct eval_slot {
    tsdb_columns columns;
    bool columns_ready;
    size_t read_next; /* of a leaf: the series behind the one read last */
    void *blocks[8];  /* by the node's own numbering; 6 and 7 are its consumer's */
    size_t block_bytes[8];
} eval_slot;

struct eval_worker {
    eval_run *run;
    sx_arena scratch; /* until the consumer's next series */
    sx_arena keep;    /* until the query's end */
    eval_slot **slots;
    size_t slot_count;
    size_t block_bytes; /* of all slots */
    size_t memory_seen; /* bytes accounted so far */
    /* The series of the node walked over, which has `walked`, that come after the present one:
     * order[0] and so on, or (order NULL) those behind it. */
    const uint32_t *order;
    size_t following, walked;
    int64_t held;                /* samples to be counted as held at the next look */
    uint64_t samples;            /* touched, for statistics */
    uint64_t *per_step;          /* NULL unless asked for */
    const eval_node *noted_node; /* the annotation made last, so that repeats cost little */
    int noted_kind;
    const char *noted_name;
};

/* A row of EXPLAIN. */
typedef struct eval_report {
    const promql_expr *expr;
    int depth;
    uint64_t series;
    int64_t began_ns, ns; /* of building, operands included */
    int64_t samples;      /* touched meanwhile, operands included */
} eval_report;

typedef struct eval_note {
    bool warning;
    promql_pos pos;
    sx_str text; /* without position */
    /* Forced monotonicity: gathered over all steps and shown behind the text. */
    bool monotonic;
    int64_t min_t, max_t;
    double min_bucket, max_bucket, max_diff;
    uint64_t count;
} eval_note;

struct promql_run {
    promql_engine *engine;
    promql_engine_options options; /* as of its start */
    const promql_request *request;
    tsdb_querier *querier;
    sx_arena arena; /* the thread that asked; all results */
    promql_parsed parsed;
    bool parsed_own;
    eval_times times; /* the query's own */
    int64_t end_ms;   /* as asked: need not be a step */
    bool instant;
    int64_t lookback_ms, default_step_ms;
    bool delayed_names;
    /* While building: above are only histogram_count, _sum or _avg, which want counts alone; above is
     * something that wants whole histograms or samples of other times. */
    bool under_statistics, under_other;

    eval_worker *workers; /* [0] is the asking thread's */
    uint32_t worker_count;
    unsigned slots; /* given to nodes */

    pthread_mutex_t lock; /* failure, notes */
    _Atomic bool failed;
    promql_error_kind error_kind;
    sx_error error;
    eval_note *notes;
    size_t note_count, note_cap;

    /* Watched by whoever lists queries. */
    uint64_t id;
    sx_str text, who;
    int64_t started_ms;
    _Atomic bool killed;
    _Atomic int64_t samples; /* held now, as Prometheus counts */
    _Atomic int64_t samples_peak;
    _Atomic int64_t memory, memory_peak; /* bytes held */
    int64_t deadline_ns;
    eval_run *next_running;

    eval_report *reports;
    size_t report_count, report_cap;
    int depth;
    promql_stats stats;
};

/* --- engine.c */

/* Ends the query with an error; the first one counts. Any thread. Returns NULL. */
void *eval_fail(eval_run *run, promql_error_kind kind, const char *fmt, ...)
    SX_PRINTF(3, 4) SX_COLD;
void *eval_fail_with(eval_run *run, promql_error_kind kind, const sx_error *err) SX_COLD;
void *eval_no_memory(eval_run *run) SX_COLD;
void *eval_over_memory(eval_run *run) SX_COLD; /* memory_max, in words */

static inline bool eval_failed(const eval_run *run)
{
    return atomic_load_explicit(&run->failed, memory_order_relaxed);
}

/* Whether the query may go on: not cancelled, killed, late, over a limit. Any thread; every few dozen
 * series. */
bool eval_go_on(eval_run *run);

/* Counts samples (points held, as Prometheus does; less than 0: given back). False: too many. */
bool eval_hold_samples(eval_run *run, int64_t count);

/* What `w` has gathered goes into the run's accounts. False: the query must end. */
bool eval_account(eval_worker *w);

/* Zeroed or not, in the run's arena, accounted; NULL after failing the run. The asking thread. */
void *eval_alloc(eval_run *run, size_t count, size_t size);
void *eval_zero(eval_run *run, size_t count, size_t size);

/* The asking thread's worker. */
static inline eval_worker *eval_main(eval_run *run)
{
    return &run->workers[0];
}

/* --- eval_columns.c: consuming nodes. */

/* Scratch block `which` of the node in this thread, at least `bytes`; NULL after failing. */
void *eval_block(eval_worker *w, const eval_node *n, int which, size_t bytes);

/* Calls `each` for every series, in parallel if there are many, in `parts` contiguous runs of series:
 * one part is one thread's, in order, so that what depends on the order of summation does not depend
 * on the number of threads. Scratch memory is reset after each series. */
typedef void (*eval_each_fn)(void *ctx, eval_worker *w, unsigned part, size_t i, unsigned have,
                             const double *v, const tsdb_histogram *const *h);
bool eval_each(eval_run *run, eval_node *n, unsigned parts, eval_each_fn each, void *ctx);

/* The same in another order: part p takes order[bounds[p]] to order[bounds[p + 1] - 1]. */
bool eval_each_in(eval_run *run, eval_node *n, unsigned parts, const uint32_t *order,
                  const size_t *bounds, eval_each_fn each, void *ctx);

/* How many parts a walk over so many values is worth. */
unsigned eval_parts(const eval_run *run, size_t count, size_t steps);

/* Runs `work` for parts 0 to parts - 1 on the run's workers. */
typedef void (*eval_part_fn)(void *ctx, eval_worker *w, unsigned part);
void eval_parallel(eval_run *run, unsigned parts, eval_part_fn work, void *ctx);

/* All columns of a node, held. Series without a value are left out (their order is kept). */
typedef struct eval_stored {
    eval_node node;
    double **v;                /* NULL: no float in this series */
    const tsdb_histogram ***h; /* NULL: no histogram in this series */
} eval_stored;
eval_stored *eval_store(eval_run *run, eval_node *n);

/* The same, but series without a value keep their place. */
eval_stored *eval_stored_all(eval_run *run, eval_node *n);

/* Whether two series have the same labels. False: out of memory. */
bool eval_any_equal(eval_run *run, eval_node *n, bool *any);

/* An empty one for `count` series to be filled in, absent everywhere. */
eval_stored *eval_stored_new(eval_run *run, const promql_expr *expr, const eval_times *times,
                             size_t count);

/* A row of `steps` absent values in the run's arena. */
double *eval_absent_row(eval_run *run, size_t steps);

/* `n` itself if all its label sets differ. Else its series of the same labels are made one, which
 * fails if two have a value at one step (`strict`: if two have a value at all) with "vector cannot
 * contain metrics with the same labelset". */
eval_node *eval_unique(eval_run *run, eval_node *n, bool strict);

/* Whether a series has a value at the step. */
static inline bool eval_has(const eval_stored *s, size_t i, size_t step)
{
    return (s->v[i] && !eval_is_absent(s->v[i][step])) || (s->h[i] && s->h[i][step]);
}

static inline const tsdb_histogram *eval_h(const eval_stored *s, size_t i, size_t step)
{
    return s->h[i] ? s->h[i][step] : NULL;
}

/* --- eval_build.c */
eval_node *eval_build(eval_run *run, const promql_expr *e, const eval_times *times);
int eval_explain_open(eval_run *run, const promql_expr *e);
void eval_explain_close(eval_run *run, int row, eval_node *n);
bool eval_explain_write(eval_run *run, promql_result *out);
void *eval_node_new(eval_run *run, size_t bytes, const promql_expr *e, const eval_times *times);
const promql_expr *eval_bare(const promql_expr *e); /* without parentheses */
int64_t eval_duration(eval_run *run, const promql_duration *d, bool may_be_negative);
eval_node *eval_scalar(eval_run *run, const promql_expr *e, const eval_times *times);

/* Labels without the name and its kin (type, unit) or only marked so, as the engine is set. */
bool eval_drop_names(eval_run *run, eval_node *n, const eval_node *from);
tsdb_labels eval_without_meta(eval_run *run, tsdb_labels l);
bool eval_is_meta(sx_str name);

/* Sorted copy of label names. */
sx_str *eval_sorted(eval_run *run, const sx_str *names, size_t count);

/* A group by hash in a table; see eval_labels.c. The labels kept (`by`) or not (`without`). */
tsdb_labels eval_labels_by(eval_run *run, tsdb_labels l, const sx_str *names, size_t count);
tsdb_labels eval_labels_without(eval_run *run, tsdb_labels l, const sx_str *names, size_t count);
tsdb_labels eval_labels_with(eval_run *run, tsdb_labels l, sx_str name, sx_str value);

/* --- eval_select.c */
typedef enum eval_reading {
    EVAL_VALUES,
    EVAL_TIMESTAMPS, /* of the samples, in seconds */
    EVAL_STARTS,     /* start timestamps, in seconds */
} eval_reading;
eval_node *eval_selector(eval_run *run, const promql_expr *e, const eval_times *times,
                         eval_reading what);

/* Widens [*min_t, *max_t] by what the expression reads, evaluated from `start` to `end`. */
void eval_reach(eval_run *run, const promql_expr *e, int64_t start, int64_t end, int64_t *min_t,
                int64_t *max_t);

/* The times a subquery's operand is evaluated at, for the steps of `outer`. */
bool eval_subquery_times(eval_run *run, const promql_expr *e, int64_t start, int64_t end,
                         eval_times *out);

/* What a histogram weighs in samples. */
int64_t eval_histogram_samples(const tsdb_histogram *h);

/* Counts what a leaf gave at a step. */
void eval_count_samples(const eval_node *n, eval_worker *w, size_t step, uint64_t samples);

/* The source of range vectors: a selector or a subquery. */
typedef struct eval_points {
    const int64_t *t, *ht;
    const double *v;
    const tsdb_histogram *const *h;
    const int64_t *st, *hst; /* start timestamps; NULL: not known */
    size_t count, hcount;
} eval_points;

typedef struct eval_range {
    eval_node *inner; /* of a subquery; NULL: a selector */
    tsdb_selection selection;
    const promql_expr *selector; /* NULL for subqueries */
    size_t count;
    const tsdb_labels *labels;
    const uint8_t *drop;
    bool one_name;
    int64_t min_t, max_t; /* of samples wanted over all steps */
    bool fixed;           /* @: the same window at all steps */
    int64_t at_ms, offset_ms, range_ms;
    bool anchored, smoothed;
    unsigned slot;
} eval_range;

bool eval_range_open(eval_run *run, const promql_expr *e, const eval_times *times, eval_range *out);

/* The samples of one series, without stale marks; in the node's scratch. */
bool eval_range_read(const eval_range *r, const eval_node *n, eval_worker *w, size_t i,
                     eval_points *out);

/* The end of the window at a step. */
static inline int64_t eval_range_end(const eval_range *r, const eval_times *t, size_t step)
{
    return (r->fixed ? r->at_ms : eval_time(t, step)) - r->offset_ms;
}

/* --- eval_range.c, eval_map.c, eval_binary.c ... */
eval_node *eval_range_call(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_map_call(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_negate(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_binary(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_vector_scalar(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_vector_vector(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_aggregate(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_pick(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_count_values(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_quantile_call(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_label_call(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_sort_call(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_absent_call(eval_run *run, const promql_expr *e, const eval_times *times);
eval_node *eval_info_call(eval_run *run, const promql_expr *e, const eval_times *times);
bool eval_info_invariant(eval_run *run, const promql_expr *e);
tsdb_labels eval_absent_labels(eval_run *run, const promql_expr *arg);

double eval_float_operation(promql_op op, double a, double b);
/* One cell of a binary operation. Returns bits of EVAL_; keep: the comparison holds. */
typedef struct eval_cell {
    double v;
    const tsdb_histogram *h;
} eval_cell;
bool eval_cell_operation(eval_worker *w, const eval_node *n, promql_op op, eval_cell a, eval_cell b,
                         eval_cell *out, bool *keep);

/* --- eval_group.c: series into groups by their labels. */
typedef struct eval_groups {
    uint32_t *of; /* the group of each series */
    uint32_t count;
    const tsdb_labels *labels; /* of each group */
    const uint8_t *drop;
    /* Series in the order of their groups: those of g are order[from[g]] to order[from[g + 1] - 1]. */
    uint32_t *order;
    size_t *from;
} eval_groups;
bool eval_group(eval_run *run, const promql_expr *aggregate, const eval_node *n, eval_groups *out);

double eval_quantile(double q, double *values, size_t count); /* sorts them */

/* A series with histograms under a function over a range, eval_range_hist.c. */
struct eval_range_node;
bool eval_range_histograms(const struct eval_range_node *n, eval_worker *w, const eval_points *p,
                           size_t i, double *v, const tsdb_histogram **h, unsigned *have);

/* --- eval_notes.c: what annotations say. */
typedef enum eval_note_kind {
    EVAL_NOTE_QUANTILE,     /* number */
    EVAL_NOTE_RATIO,        /* two numbers */
    EVAL_NOTE_BUCKET_LABEL, /* name, le */
    EVAL_NOTE_MIXED,        /* name */
    EVAL_NOTE_MIXED_AGGREGATE,
    EVAL_NOTE_MIXED_CLASSIC, /* name */
    EVAL_NOTE_NOT_COUNTER,   /* name */
    EVAL_NOTE_NOT_GAUGE,     /* name */
    EVAL_NOTE_MIXED_SCHEMAS, /* name */
    EVAL_NOTE_LAYOUT,        /* operator */
    EVAL_NOTE_SORT,
    EVAL_NOTE_MAYBE_NO_COUNTER,  /* name */
    EVAL_NOTE_TYPES,             /* "float" op "histogram" */
    EVAL_NOTE_IGNORED_AGGREGATE, /* aggregation */
    EVAL_NOTE_IGNORED_RANGE,     /* name */
    EVAL_NOTE_QUANTILE_NAN,      /* name */
    EVAL_NOTE_QUANTILE_SKEW,     /* name */
    EVAL_NOTE_FRACTION_NAN,      /* name */
    EVAL_NOTE_COLLISION,         /* addition, subtraction, aggregation */
    EVAL_NOTE_RECONCILED,        /* the same */
    EVAL_NOTE_START_OVERLAP,     /* name */
    EVAL_NOTES
} eval_note_kind;

/* Adds an annotation at `where`; `a` and `b` as listed. Any thread. */
void eval_note_add(eval_worker *w, const eval_node *n, const promql_expr *where,
                   eval_note_kind kind, sx_str a, sx_str b);
void eval_note_numbers(eval_worker *w, const promql_expr *where, eval_note_kind kind, double a,
                       double b);
void eval_note_types(eval_worker *w, const promql_expr *where, bool left_histogram, promql_op op,
                     bool right_histogram);
void eval_note_monotonic(eval_worker *w, const promql_expr *where, sx_str name, int64_t t,
                         double min_bucket, double max_bucket, double max_diff);
bool eval_notes_write(eval_run *run, promql_result *out);
/* Notes of histogram arithmetic: bits of histogram.h. */
void eval_note_arithmetic(eval_worker *w, const eval_node *n, const promql_expr *where,
                          unsigned notes, const char *operation, sx_str name);

/* sum += v with compensation, as Prometheus: Neumaier's form of Kahan's sum. */
static inline void eval_gather(double v, double *sum, double *lost)
{
    double t = *sum + v;
    if (sx_unlikely(__builtin_isinf(t)))
        *lost = 0;
    else if (__builtin_fabs(*sum) >= __builtin_fabs(v))
        *lost += (*sum - t) + v;
    else
        *lost += (v - t) + *sum;
    *sum = t;
}

#endif
