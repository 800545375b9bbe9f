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
    tsdb_labels labels;      /* values may be templates in alerts */
    tsdb_labels annotations; /* templates */
    uint32_t line, column;   /* of the rule; of its expression below */
    uint32_t expr_line, expr_column;
} rule_def;

typedef struct rule_group_def {
    sx_str file, name;
    int64_t interval_ms;     /* 0: the configuration's evaluation_interval */
    int64_t query_offset_ms; /* -1: the configuration's */
    uint32_t limit;          /* 0: none */
    tsdb_labels labels;      /* added to every rule's */
    const rule_def *rules;
    uint32_t rule_count;
    uint32_t line;
} rule_group_def;

typedef struct rule_file {
    const rule_group_def *groups;
    uint32_t group_count;
    sx_arena arena;
} rule_file;

typedef struct rule_file_options {
    unsigned features; /* of promql */
    bool expand_environment;
    const char *const *environment;
} rule_file_options;

/* Reads one file. With faults: SX_EFORMAT and a line each in `problems` ("FILE: LINE:COL: group "g",
 * rule 1, "x": ..."). *out is to be given to rule_file_free(). */
sx_status rule_file_load(const char *path, const rule_file_options *options, rule_file **out,
                         sx_buf *problems, sx_error *err);
sx_status rule_file_parse(sx_str text, sx_str path, const rule_file_options *options,
                          rule_file **out, sx_buf *problems, sx_error *err);
void rule_file_free(rule_file *f);

/* The lints that promtool has: duplicate rules; a line each in `problems`. Returns how many. */
size_t rule_file_lint(const rule_file *f, sx_buf *problems);

#endif
