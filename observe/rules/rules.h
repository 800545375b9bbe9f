/* rules.h - the rule manager: groups evaluated at their intervals, alerts kept and sent.
 *
 * Groups run on a small pool of threads, each at its own moment of the interval by the hash of its
 * name, rules of a group in order (those that have nothing to do with another first and side by side,
 * where that is allowed). Results are appended
 * with staleness markers for series that vanish; ALERTS and ALERTS_FOR_STATE are written, and the
 * state of `for` is restored from them after a restart. Firing and resolved alerts go to the notifier.
 *
 * Called by cmd (observe); read by the API. */
#ifndef OBSERVE_RULES_RULES_H
#define OBSERVE_RULES_RULES_H

#include <sextant/kit.h>

#include "observe/config/config.h"
#include "observe/promql/engine.h"
#include "observe/rules/rule_file.h"

/* --- What an alert is when it is sent. */
typedef struct rule_alert {
    tsdb_labels labels, annotations;
    int64_t starts_ms, ends_ms; /* ends: resolved at, or valid until */
    sx_str generator_url;
} rule_alert;

/* Takes alerts to be sent; copies what it keeps. Any thread. The notifier (notify.h) is one. */
typedef struct rule_sink {
    void (*send)(void *ctx, const rule_alert *alerts, size_t count);
    void *ctx;
} rule_sink;

typedef struct rule_manager rule_manager;

typedef struct rule_manager_options { /* 0 takes the default */
    const sx_kit *kit;
    const sx_clock *clock;
    promql_engine *engine;
    tsdb_queryable *queryable;
    tsdb_appendable *appendable;
    rule_sink sink;
    sx_str external_url;
    int64_t outage_tolerance_ms; /* 1 h */
    int64_t grace_ms;            /* for-grace-period: 10 min */
    int64_t resend_ms;           /* resend-delay: 1 min */
    uint32_t concurrency;        /* rules at once beside the groups: 4; 0 with serial */
    bool serial;             /* no concurrent evaluation of independent rules (the default flag) */
    uint32_t workers;        /* groups at once: 8 */
    rule_file_options files; /* how rule files are read */
    bool no_restore;         /* alerts start as if `for` had been restored: unit tests of rules */
    const sx_str *group_order; /* names in whose order run_once goes; borrowed for the life */
    size_t group_order_count;  /* those not named come first, as in promtool */
} rule_manager_options;

sx_status rule_manager_new(const rule_manager_options *options, rule_manager **out, sx_error *err);
/* Stops: running queries are canceled, what they would have written is not. */
void rule_manager_free(rule_manager *m);

/* Starts the threads. Before this nothing is evaluated but by run_once: a server calls it when the
 * store has been replayed. Once. */
sx_status rule_manager_start(rule_manager *m, sx_error *err);

/* Whether the configuration's rule files could be loaded. Any thread. */
sx_status rule_manager_check(rule_manager *m, prom_config *config, sx_error *err);

/* Loads the configuration's rule files (patterns expanded). Groups that are unchanged keep their state.
 * A bad file leaves everything as it was and says why. Any thread. */
sx_status rule_manager_apply(rule_manager *m, prom_config *config, sx_buf *problems, sx_error *err);

/* Evaluates all groups once at `now_ms`, in this thread: unit tests of rules, and our own. A rule that
 * fails is no error here: rule_manager_read() tells. Not once the threads were started. */
sx_status rule_manager_run_once(rule_manager *m, int64_t now_ms, sx_error *err);

/* --- For the API: a copy in the arena. */
typedef enum rule_state {
    RULE_INACTIVE,
    RULE_PENDING,
    RULE_FIRING,
    RULE_STATE_UNKNOWN, /* of a rule that was not evaluated yet */
} rule_state;
const char *rule_state_name(rule_state s); /* "inactive", "pending", "firing", "unknown" */
typedef enum rule_health { RULE_UNKNOWN, RULE_OK, RULE_ERR } rule_health;
const char *rule_health_name(rule_health h); /* "unknown", "ok", "err" */

typedef struct rule_alert_info {
    tsdb_labels labels, annotations;
    rule_state state;
    int64_t active_ms, keep_firing_since_ms; /* 0: none */
    double value;
} rule_alert_info;

typedef struct rule_info {
    bool alert;
    rule_state state;
    sx_str name, query;
    tsdb_labels labels, annotations;
    double duration_s, keep_firing_for_s;
    const rule_alert_info *alerts; /* pending and firing */
    size_t alert_count;
    rule_health health;
    sx_str last_error;
    double evaluation_s;
    int64_t last_evaluation_ms;
} rule_info;

typedef struct rule_group_info {
    sx_str name, file;
    double interval_s;
    uint32_t limit;
    const rule_info *rules;
    size_t rule_count;
    double evaluation_s;
    int64_t last_evaluation_ms;
} rule_group_info;

/* Groups by file and name. Any thread. */
sx_status rule_manager_read(rule_manager *m, sx_arena *arena, rule_group_info **out, size_t *count,
                            sx_error *err);

#endif
