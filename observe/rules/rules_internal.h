/* rules_internal.h - what the files of the rule manager share.
 *
 * manager > group > rule > alert. A group belongs to the thread that has set `busy` under the
 * manager's lock; that thread evaluates it without the lock. What the API reads of it (alerts, health,
 * times) is written under the group's own lock, which is held for moments, never over a query. */
#ifndef OBSERVE_RULES_RULES_INTERNAL_H
#define OBSERVE_RULES_RULES_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <sextant/map.h>

#include "observe/rules/rules.h"
#include "observe/rules/template_funcs.h"

#define RULE_NEVER INT64_MIN /* a moment that has not come: 0 is one, in tests */

/* --- Label sets that are kept: one block each. */
typedef struct rule_labels {
    tsdb_labels set;
    uint64_t hash;
    uint64_t seen; /* the evaluation that last gave this series */
} rule_labels;

/* A copy; NULL: no memory. Freed by sx_free. */
rule_labels *rule_labels_new(tsdb_labels set);

/* --- Alerts. */
typedef struct alert {
    rule_labels *labels, *annotations;
    rule_state state;
    double value;
    int64_t active_ms, fired_ms, resolved_ms, sent_ms, valid_until_ms, keep_since_ms;
    uint64_t seen; /* the evaluation whose result had it */
} alert;

typedef struct rule {
    const rule_def *def;
    sx_str query;                  /* the expression as it is printed */
    sx_template **label_templates; /* NULL entries: plain text */
    sx_template **annotation_templates;
    bool independent; /* of all other rules of its group: may run beside them */

    alert **alerts;
    size_t alert_count, alert_cap;
    sx_map64 alerts_by_hash;
    bool restored; /* `for` state: before, ALERTS is not written */

    uint64_t turn;     /* evaluations that came to a result */
    sx_map64 previous; /* series of the last evaluation: hash -> rule_labels; its thread's alone */
    uint64_t writes;   /* evaluations that were written: rule_labels.seen */

    rule_health health;
    sx_buf last_error;
    int64_t evaluation_ns, last_evaluation_ms;
} rule;

/* A rule file that groups hold on to; counted under the manager's lock. */
typedef struct rule_source {
    rule_file *file;
    uint32_t refs;
} rule_source;

typedef struct rule_group {
    const rule_group_def *def;
    rule_source *source;
    sx_str key; /* "FILE;NAME" */
    int64_t interval_ms, offset_ms;
    uint64_t hash;
    sx_arena arena;
    tsdb_labels external_labels;
    rule *rules;
    uint32_t rule_count;

    bool should_restore; /* its thread's */
    uint64_t turns;
    _Atomic uint64_t samples; /* of the evaluation under way */
    rule_labels **stale;      /* series of rules that are gone: marked at the next evaluation */
    size_t stale_count, stale_cap;

    bool busy;             /* under the manager's lock */
    int64_t next_ms;       /* the same: the next slot */
    _Atomic bool stopping; /* set by a reload or the end; looked at between rules */
    _Atomic bool canceled; /* set at the end: queries stop */

    pthread_mutex_t lock;
    int64_t evaluation_ns, last_evaluation_ms;
    struct rule_group_metrics *metrics; /* NULL: none */
} rule_group;

typedef struct rule_metrics rule_metrics;
typedef struct rule_group_metrics rule_group_metrics;

/* What an evaluation needs of its manager; read-only while threads run. */
typedef struct rule_outside {
    const sx_clock *clock;
    promql_engine *engine;
    tsdb_queryable *queryable;
    tsdb_appendable *appendable;
    rule_sink sink;
    sx_str external_url;
    int64_t outage_tolerance_ms, grace_ms, resend_ms;
    sx_logger *log;
    rule_metrics *metrics;
} rule_outside;

/* --- The manager: rules.c, rules_read.c. */
enum { RULE_WORKERS_MAX = 64 };

/* Series of groups that are gone, until they are marked stale. */
typedef struct rule_retired {
    struct rule_retired *next;
    rule_labels **series;
    size_t count;
    int64_t due_ms, t; /* when to write, and at which time */
} rule_retired;

/* Independent rules of one evaluation, shared out to the helpers and the group's own thread. On the
 * stack of the latter. */
typedef struct rule_batch {
    struct rule_batch *next;
    rule_group *group;
    int64_t ts;
    uint32_t at;      /* the next rule to look at */
    uint32_t pending; /* taken, not done */
} rule_batch;

struct rule_manager {
    rule_manager_options options;
    rule_outside outside;
    sx_arena arena; /* of the options' texts */

    pthread_mutex_t apply_lock; /* one reload at a time */
    pthread_mutex_t lock;       /* all below */
    pthread_cond_t wake;        /* groups, batches or the end have come */
    pthread_cond_t done;        /* a group or a rule of a batch is done */
    rule_group **groups;
    size_t group_count;
    rule_retired *retired;
    rule_batch *batches;
    bool loaded; /* once: groups that come later have no `for` state to restore */
    bool stopping;

    pthread_t threads[2 * RULE_WORKERS_MAX];
    size_t thread_count;
};

/* A line of the log, where there is one. */
#define RULE_LOG(outside, level, ...)                                                              \
    do {                                                                                           \
        if ((outside)->log)                                                                        \
            SX_LOG((outside)->log, SX_LEVEL_##level, NULL, __VA_ARGS__);                           \
    } while (0)

/* --- alert.c */
sx_status rule_alerts_init(rule *r, sx_arena *arena, sx_error *err);
void rule_alerts_done(rule *r);
void rule_alert_free(alert *a);
/* The alert of these labels; NULL if there is none. */
alert *rule_alert_find(const rule *r, uint64_t hash);

/* A result of a rule as it will be appended. Views live in the evaluation's arena. */
typedef struct rule_sample {
    tsdb_labels labels;
    double value;
    const tsdb_histogram *histogram;
} rule_sample;

typedef struct rule_samples {
    rule_sample *items;
    size_t count, cap;
    sx_arena *arena;
} rule_samples;
sx_status rule_samples_add(rule_samples *s, tsdb_labels labels, double value,
                           const tsdb_histogram *h, sx_error *err);

/* Works out what a result means for the rule's alerts at `ts` and what is to be written. Takes the
 * group's lock. SX_EINVAL with Prometheus's words if the rule fails; SX_ENOMEM. */
sx_status rule_alerts_update(rule_group *g, rule *r, const rule_outside *o,
                             const promql_result *result, int64_t ts, rule_samples *out,
                             sx_error *err);
/* Hands the alerts whose turn it is to the sink. */
sx_status rule_alerts_send(rule_group *g, rule *r, const rule_outside *o, int64_t ts,
                           sx_error *err);
rule_state rule_alerts_state(const rule *r);

/* --- evaluate.c */
void rule_evaluate(rule_group *g, rule *r, const rule_outside *o, int64_t ts);
/* Appends stale markers for what rules that are gone have left. Returns false if it is to be tried again. */
bool rule_group_mark_stale(const rule_outside *o, rule_labels **items, size_t count, int64_t t);
/* Reads `for` states from ALERTS_FOR_STATE. */
void rule_group_restore(rule_group *g, const rule_outside *o, int64_t now);

/* --- group.c */
sx_status rule_group_new(const rule_group_def *def, rule_source *source, const prom_config *config,
                         bool restore, rule_group **out, sx_error *err);
void rule_group_free(rule_group *g); /* not its source */
bool rule_group_equal(const rule_group *a, const rule_group *b);
/* Moves alerts, previous series and what is stale from the group that `to` takes the place of. */
sx_status rule_group_take_state(rule_group *to, rule_group *from, sx_error *err);
/* All its series, taken out, to be marked stale; NULL and *count 0 if there are none. */
sx_status rule_group_take_series(rule_group *g, rule_labels ***out, size_t *count, sx_error *err);
/* The last slot at or before `now`. */
int64_t rule_group_slot(const rule_group *g, int64_t now);

/* --- rule_metrics.c: prometheus_rule_*. NULL registries and NULL handles do nothing. */
sx_status rule_metrics_new(sx_metrics *registry, rule_metrics **out, sx_error *err);
void rule_metrics_free(rule_metrics *m);
rule_group_metrics *rule_metrics_group(rule_metrics *m, const rule_group *g);
void rule_metrics_group_gone(rule_group_metrics *m);
void rule_metrics_rule_done(rule_metrics *m, rule_group_metrics *g, int64_t ns, bool failed);
void rule_metrics_failed(rule_group_metrics *g); /* one more failure, of writing */
void rule_metrics_turn(rule_group_metrics *g, int64_t missed);
void rule_metrics_group_done(rule_metrics *m, rule_group_metrics *g, int64_t now_ms, int64_t ns,
                             int64_t rules_ns, double samples);
void rule_metrics_restored(rule_group_metrics *g, int64_t ns);
void rule_metrics_expansion(rule_metrics *m, bool failed);

#endif
