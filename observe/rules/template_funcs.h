/* template_funcs.h - the templates of alerts: Go's text/template with Prometheus's functions.
 *
 * A template is parsed once, when its rule is loaded, and expanded for every alert. In front of each
 * stand the declarations that Prometheus puts there ($labels, $externalLabels, $externalURL, $value),
 * so that positions in error messages are the same. lib/codec/template.h is the language; here are
 * query, humanize and their kin. (`tmpl` is of Prometheus's console files alone: a rule that calls it
 * is refused there, and so here.)
 * Source: Prometheus, docs/configuration/template_reference.md. */
#ifndef OBSERVE_RULES_TEMPLATE_FUNCS_H
#define OBSERVE_RULES_TEMPLATE_FUNCS_H

#include <sextant/arena.h>
#include <sextant/buf.h>

#include "codec/template.h"
#include "observe/promql/engine.h"

/* Where an expansion happens. */
typedef struct rule_template_env {
    promql_engine *engine; /* for `query`; NULL: it fails */
    tsdb_queryable *queryable;
    int64_t now_ms;      /* the evaluation's time */
    sx_str external_url; /* "http://prom.example/prefix" */
    const _Atomic bool *canceled;
} rule_template_env;

/* What a template is about. */
typedef struct rule_template_data {
    tsdb_labels labels; /* of the series, its name among them */
    tsdb_labels external_labels;
    sx_str external_url;
    double value;
    const tsdb_histogram *histogram; /* in place of the value; may be NULL */
} rule_template_data;

/* Parses a label's or annotation's text; `alert` names it in messages ("__alert_NAME").
 *   errors  SX_EFORMAT in Go's words; SX_ENOMEM. *out NULL then. */
sx_status rule_template_new(sx_str alert, sx_str text, sx_template **out, sx_error *err);

/* Appends the expansion to `out`. A template that fails gives, as in Prometheus,
 * "<error expanding template: error executing template __alert_NAME: ...>" and SX_OK, and the message
 * is in *trouble (may be NULL; else an empty message if all went well).
 *   arena   for what the functions make; may be reset afterwards
 *   errors  SX_ENOMEM
 * Any thread; the template is not changed. */
sx_status rule_template_expand(const sx_template *t, const rule_template_data *data,
                               rule_template_env *env, sx_arena *arena, sx_buf *out,
                               sx_error *trouble, sx_error *err);

/* The link of an expression to its table, behind the external URL: "/graph?g0.expr=...&g0.tab=1". */
void rule_link(sx_str expr, bool table, sx_buf *out);

#endif
