/* rule_file.h - a file of rule groups, read and checked.
 *
 * Recording and alerting rules with every field of Prometheus 3. Expressions are parsed, templates
 * checked, faults reported with line and column in Prometheus's words, all of them at once. Used by
 * the rule manager, `sextant check`, `sextant test rules`.
 * Source: Prometheus, docs/configuration/recording_rules.md, alerting_rules.md. */
#ifndef OBSERVE_RULES_RULE_FILE_H
#define OBSERVE_RULES_RULE_FILE_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

#include "observe/promql/parse.h"

typedef struct rule_def {
    bool alert;  /* else a recording rule */
    sx_str name; /* record's metric, or the alert's name */
    sx_str expr_text;
    promql_parsed expr;
    int64_t for_ms, keep_firing_for_ms;
    /* The group's and the rule's own, sorted. Unlike the labels of a series these may have an empty
     * value: it takes the label away from the result. Values are templates in alerts. */
    tsdb_labels labels;
    tsdb_labels annotations; /* templates; an empty one stays */
    uint32_t line, column;   /* of the rule; of its expression below */
    uint32_t expr_line, expr_column;
} rule_def;

typedef struct rule_group_def {
    sx_str file, name;
    int64_t interval_ms;     /* 0: the configuration's evaluation_interval */
    int64_t query_offset_ms; /* -1: the configuration's */
    uint32_t limit;          /* 0: none */
    tsdb_labels labels;      /* already among every rule's */
    rule_def *rules;
    uint32_t rule_count;
    uint32_t line, column;
} rule_group_def;

typedef struct rule_file {
    rule_group_def *groups;
    uint32_t group_count, rule_count;
    uint32_t documents; /* only the first one counts: the caller may warn */
    sx_arena arena;
} rule_file;

typedef struct rule_file_options {
    unsigned features; /* of promql */
    bool expand_environment;
    const char *const *environment;
    bool legacy_names;          /* metric_name_validation_scheme: legacy */
    bool ignore_unknown_fields; /* as `promtool check rules --ignore-unknown-fields` */
} rule_file_options;

enum { RULE_FILE_BYTES_MAX = 16 << 20, RULE_FILE_PROBLEMS_MAX = 100 };

/* Reads one file. With faults: SX_EFORMAT, all of them, a line each, in `problems` (may be NULL):
 *   FILE:LINE:COL: group "g", rule 1, "x": could not parse expression: 1:5: parse error: ...
 * and the first of them in `err`. LINE:COL is where in the file; what follows are Prometheus's words.
 * `options` may be NULL. *out is to be given to rule_file_free(); NULL after an error. */
sx_status rule_file_load(const char *path, const rule_file_options *options, rule_file **out,
                         sx_buf *problems, sx_error *err);
sx_status rule_file_parse(sx_str text, sx_str path, const rule_file_options *options,
                          rule_file **out, sx_buf *problems, sx_error *err);
void rule_file_free(rule_file *f);

/* promtool's lint of rule files: rules of the same name and labels, whose results would be mixed up.
 * Returns how many; appends promtool's report ("2 duplicate rule(s) found.\nMetric: ...") if any. */
size_t rule_file_lint(const rule_file *f, sx_buf *problems);

#endif
