/* template_internal.h - what the files of the template functions share. */
#ifndef OBSERVE_RULES_TEMPLATE_INTERNAL_H
#define OBSERVE_RULES_TEMPLATE_INTERNAL_H

#include "observe/rules/template_funcs.h"

typedef sx_status rule_template_call(void *ctx, const sx_tvalue *args, size_t count,
                                     sx_arena *arena, sx_tvalue *out, sx_error *err);

/* template_numbers.c */
rule_template_call rule_template_humanize, rule_template_humanize1024,
    rule_template_humanize_duration, rule_template_humanize_percentage,
    rule_template_humanize_timestamp, rule_template_now, rule_template_parse_duration,
    rule_template_to_time, rule_template_to_duration;

/* template_query.c */
rule_template_call rule_template_query, rule_template_first, rule_template_label,
    rule_template_value, rule_template_strvalue, rule_template_sort, rule_template_args;

/* A label set as a map[string]string; a missing key is empty. `object` in the value is the set. */
sx_status rule_template_labels(tsdb_labels labels, sx_arena *arena, sx_tvalue *out, sx_error *err);
sx_status rule_template_histogram(const tsdb_histogram *h, sx_arena *arena, sx_tvalue *out,
                                  sx_error *err);

/* Hands over what was written in `text`, which is then done, as a string. */
sx_status rule_template_give(sx_buf *text, sx_arena *arena, sx_tvalue *out, sx_error *err);

/* SX_EINVAL in Go's words unless `v` is a string. */
sx_status rule_template_text(const sx_tvalue *v, sx_str *out, sx_error *err);

/* Go's name of a value's type. */
const char *rule_template_type(const sx_tvalue *v);

/* template_time.c: moments and durations as Go's package time shows them. */
sx_status rule_template_moment(int64_t ns, sx_arena *arena, sx_tvalue *out, sx_error *err);
sx_status rule_template_span(int64_t ns, sx_arena *arena, sx_tvalue *out, sx_error *err);
void rule_template_print_moment(int64_t ns, sx_buf *out);
bool rule_template_is_span(const sx_tvalue *v, int64_t *ns);

#endif
