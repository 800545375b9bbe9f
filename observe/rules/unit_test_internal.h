/* unit_test_internal.h - what the files of the unit tests share. */
#ifndef OBSERVE_RULES_UNIT_TEST_INTERNAL_H
#define OBSERVE_RULES_UNIT_TEST_INTERNAL_H

#include <sextant/arena.h>

#include "observe/promql/engine.h"
#include "observe/rules/unit_test.h"

typedef struct unit_series {
    sx_str series, values;
} unit_series;

typedef struct unit_alert {
    tsdb_labels labels, annotations; /* sorted; empty values stay */
} unit_alert;

typedef struct unit_alert_case {
    int64_t at_ms;
    sx_str alertname;
    const unit_alert *alerts;
    uint32_t alert_count;
} unit_alert_case;

typedef struct unit_sample {
    sx_str labels, histogram;
    double value;
} unit_sample;

typedef struct unit_expr_case {
    sx_str expr;
    int64_t at_ms;
    const unit_sample *samples;
    uint32_t sample_count;
} unit_expr_case;

typedef struct unit_group {
    int64_t interval_ms, start_ms;
    sx_str name, external_url;
    tsdb_labels external_labels;
    const unit_series *series;
    uint32_t series_count;
    const unit_alert_case *alerts;
    uint32_t alert_count;
    const unit_expr_case *exprs;
    uint32_t expr_count;
} unit_group;

typedef struct unit_file {
    const sx_str *patterns; /* rule_files, resolved */
    uint32_t pattern_count;
    int64_t interval_ms; /* evaluation_interval */
    const sx_str *order; /* group_eval_order */
    uint32_t order_count;
    bool fuzzy;
    const unit_group *groups;
    uint32_t group_count;
} unit_file;

/* Reads a file. Faults: SX_EFORMAT and a line each in `problems`. */
sx_status unit_file_read(const char *path, sx_arena *arena, unit_file *out, sx_buf *problems,
                         sx_error *err);

/* Printing as promtool does. */
void unit_print_value(double v, sx_buf *out);                       /* 2E+00 */
void unit_print_histogram(const tsdb_histogram *h, sx_buf *out);    /* {{count:3 buckets:[1 2]}} */
void unit_print_alerts(const unit_alert *a, size_t n, sx_buf *out); /* over several lines */
void unit_print_go_duration(int64_t ms, sx_buf *out);               /* 1m0s */

#endif
