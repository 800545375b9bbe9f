/* rule_metrics.c - what the rule manager tells about itself, by Prometheus's names.
 *
 * Where Prometheus has a summary and a histogram of one duration, the histogram is here. Counters of a
 * group that is gone stay; its gauges go to 0. */
#include <sextant/mem.h>

#include "observe/rules/rules_internal.h"

enum { GROUPS_MAX = 100000 };

typedef enum which {
    MISSED,
    SCHEDULED,
    EVALUATIONS,
    FAILURES,
    INTERVAL,
    LAST_TIME,
    LAST_DURATION,
    LAST_RULES_DURATION,
    LAST_RESTORE,
    RULES,
    SAMPLES,
    GROUP_METRICS
} which;

static const struct {
    const char *name, *help;
    sx_metric_kind kind;
} GROUP_ROWS[GROUP_METRICS] = {
    [MISSED] = {"prometheus_rule_group_iterations_missed_total",
                "The total number of rule group evaluations missed due to slow rule group "
                "evaluation.",
                SX_METRIC_COUNTER},
    [SCHEDULED] = {"prometheus_rule_group_iterations_total",
                   "The total number of scheduled rule group evaluations, whether executed or "
                   "missed.",
                   SX_METRIC_COUNTER},
    [EVALUATIONS] = {"prometheus_rule_evaluations_total", "The total number of rule evaluations.",
                     SX_METRIC_COUNTER},
    [FAILURES] = {"prometheus_rule_evaluation_failures_total",
                  "The total number of rule evaluation failures.", SX_METRIC_COUNTER},
    [INTERVAL] = {"prometheus_rule_group_interval_seconds", "The interval of a rule group.",
                  SX_METRIC_GAUGE},
    [LAST_TIME] = {"prometheus_rule_group_last_evaluation_timestamp_seconds",
                   "The timestamp of the last rule group evaluation in seconds.", SX_METRIC_GAUGE},
    [LAST_DURATION] = {"prometheus_rule_group_last_duration_seconds",
                       "The duration of the last rule group evaluation.", SX_METRIC_GAUGE},
    [LAST_RULES_DURATION] = {"prometheus_rule_group_last_rule_duration_sum_seconds",
                             "The time that the rules of a group took in their last evaluation, "
                             "added up.",
                             SX_METRIC_GAUGE},
    [LAST_RESTORE] = {"prometheus_rule_group_last_restore_duration_seconds",
                      "The duration of the last restoration of alerts from `ALERTS_FOR_STATE`.",
                      SX_METRIC_GAUGE},
    [RULES] = {"prometheus_rule_group_rules", "The number of rules.", SX_METRIC_GAUGE},
    [SAMPLES] = {"prometheus_rule_group_last_evaluation_samples",
                 "The number of samples returned during the last rule group evaluation.",
                 SX_METRIC_GAUGE},
};

struct rule_metrics {
    sx_metric *of_groups[GROUP_METRICS];
    sx_histogram *rule_seconds, *group_seconds;
    sx_summary *rule_summary, *group_summary; /* of the same */
    sx_counter *expansions, *expansion_failures;
};

struct rule_group_metrics {
    sx_counter *counters[INTERVAL];
    sx_gauge *gauges[GROUP_METRICS];
};

static sx_status add(sx_metrics *registry, sx_metric_options o, sx_metric **out, sx_error *err)
{
    return sx_metric_new(registry, &o, out, err);
}

static sx_status add_histogram(sx_metrics *registry, const char *name, const char *help,
                               sx_histogram **out, sx_error *err)
{
    static const double BOUNDS[] = {.01, .1, 1, 10};
    sx_metric *metric;
    sx_status st = add(registry,
                       (sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                           .name = name,
                                           .help = help,
                                           .bounds = BOUNDS,
                                           .bound_count = SX_COUNT_OF(BOUNDS),
                                           .native = true,
                                           .native_buckets_max = 100},
                       &metric, err);
    if (st == SX_OK)
        *out = sx_metric_histogram(metric, NULL, 0);
    return st;
}

static sx_status add_summary(sx_metrics *registry, const char *name, const char *help,
                             const sx_metric_quantile *quantiles, size_t count, sx_summary **out,
                             sx_error *err)
{
    sx_metric *metric;
    sx_status st = add(registry,
                       (sx_metric_options){.kind = SX_METRIC_SUMMARY,
                                           .name = name,
                                           .help = help,
                                           .quantiles = quantiles,
                                           .quantile_count = count},
                       &metric, err);
    if (st == SX_OK)
        *out = sx_metric_summary(metric, NULL, 0);
    return st;
}

static sx_status add_counter(sx_metrics *registry, const char *name, const char *help,
                             sx_counter **out, sx_error *err)
{
    sx_metric *metric;
    sx_status st =
        add(registry, (sx_metric_options){.kind = SX_METRIC_COUNTER, .name = name, .help = help},
            &metric, err);
    if (st == SX_OK)
        *out = sx_metric_counter(metric, NULL, 0);
    return st;
}

sx_status rule_metrics_new(sx_metrics *registry, rule_metrics **out, sx_error *err)
{
    static const char *const LABELS[] = {"rule_group"};
    static const sx_metric_quantile OF_RULES[] = {{0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};
    static const sx_metric_quantile OF_GROUPS[] = {
        {0.01, 0.001}, {0.05, 0.005}, {0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};
    *out = NULL;
    if (!registry)
        return SX_OK;
    rule_metrics *m = sx_calloc(1, sizeof *m);
    if (!m)
        return sx_fail_memory(err, "the metrics of rules");
    sx_status st = add_histogram(registry, "prometheus_rule_evaluation_duration_histogram_seconds",
                                 "The duration for a rule to execute.", &m->rule_seconds, err);
    if (st == SX_OK)
        st = add_histogram(registry, "prometheus_rule_group_duration_histogram_seconds",
                           "The duration of rule group evaluations.", &m->group_seconds, err);
    if (st == SX_OK)
        st = add_summary(registry, "prometheus_rule_evaluation_duration_seconds",
                         "The duration for a rule to execute.", OF_RULES, SX_COUNT_OF(OF_RULES),
                         &m->rule_summary, err);
    if (st == SX_OK)
        st = add_summary(registry, "prometheus_rule_group_duration_seconds",
                         "The duration of rule group evaluations.", OF_GROUPS,
                         SX_COUNT_OF(OF_GROUPS), &m->group_summary, err);
    if (st == SX_OK)
        st = add_counter(registry, "prometheus_template_text_expansions_total",
                         "The total number of template text expansions.", &m->expansions, err);
    if (st == SX_OK)
        st = add_counter(registry, "prometheus_template_text_expansion_failures_total",
                         "The total number of template text expansion failures.",
                         &m->expansion_failures, err);
    for (int i = 0; st == SX_OK && i < GROUP_METRICS; i++)
        st = add(registry,
                 (sx_metric_options){.kind = GROUP_ROWS[i].kind,
                                     .name = GROUP_ROWS[i].name,
                                     .help = GROUP_ROWS[i].help,
                                     .labels = LABELS,
                                     .label_count = 1,
                                     .series_max = GROUPS_MAX},
                 &m->of_groups[i], err);
    if (st != SX_OK) {
        sx_free(m);
        return st;
    }
    *out = m;
    return SX_OK;
}

void rule_metrics_free(rule_metrics *m)
{
    sx_free(m);
}

rule_group_metrics *rule_metrics_group(rule_metrics *m, const rule_group *g)
{
    rule_group_metrics *of = m ? sx_calloc(1, sizeof *of) : NULL;
    if (!of) /* without memory the group is evaluated all the same */
        return NULL;
    for (int i = 0; i < GROUP_METRICS; i++) {
        if (GROUP_ROWS[i].kind == SX_METRIC_COUNTER)
            of->counters[i] = sx_metric_counter(m->of_groups[i], &g->key, 1);
        else
            of->gauges[i] = sx_metric_gauge(m->of_groups[i], &g->key, 1);
    }
    sx_gauge_set(of->gauges[INTERVAL], (double)g->interval_ms / 1000);
    sx_gauge_set(of->gauges[RULES], g->rule_count);
    return of;
}

void rule_metrics_group_gone(rule_group_metrics *m)
{
    if (!m)
        return;
    for (int i = INTERVAL; i < GROUP_METRICS; i++)
        sx_gauge_set(m->gauges[i], 0);
    sx_free(m);
}

void rule_metrics_rule_done(rule_metrics *m, rule_group_metrics *g, int64_t ns, bool failed)
{
    if (m) {
        sx_histogram_observe(m->rule_seconds, (double)ns / 1e9);
        sx_summary_observe(m->rule_summary, (double)ns / 1e9);
    }
    if (g)
        sx_counter_add(g->counters[EVALUATIONS], 1);
    if (failed)
        rule_metrics_failed(g);
}

void rule_metrics_failed(rule_group_metrics *g)
{
    if (g)
        sx_counter_add(g->counters[FAILURES], 1);
}

void rule_metrics_turn(rule_group_metrics *g, int64_t missed)
{
    if (!g)
        return;
    sx_counter_add(g->counters[SCHEDULED], 1 + (missed > 0 ? (uint64_t)missed : 0));
    if (missed > 0)
        sx_counter_add(g->counters[MISSED], (uint64_t)missed);
}

void rule_metrics_group_done(rule_metrics *m, rule_group_metrics *g, int64_t now_ms, int64_t ns,
                             int64_t rules_ns, double samples)
{
    if (m) {
        sx_histogram_observe(m->group_seconds, (double)ns / 1e9);
        sx_summary_observe(m->group_summary, (double)ns / 1e9);
    }
    if (!g)
        return;
    sx_gauge_set(g->gauges[LAST_TIME], (double)now_ms / 1000);
    sx_gauge_set(g->gauges[LAST_DURATION], (double)ns / 1e9);
    sx_gauge_set(g->gauges[LAST_RULES_DURATION], (double)rules_ns / 1e9);
    sx_gauge_set(g->gauges[SAMPLES], samples);
}

void rule_metrics_restored(rule_group_metrics *g, int64_t ns)
{
    if (g)
        sx_gauge_set(g->gauges[LAST_RESTORE], (double)ns / 1e9);
}

void rule_metrics_expansion(rule_metrics *m, bool failed)
{
    if (m)
        sx_counter_add(failed ? m->expansion_failures : m->expansions, 1);
}
