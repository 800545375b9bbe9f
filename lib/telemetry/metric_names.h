/* metric_names.h - names and label values: what is allowed, how they are spelled, how they are read
 * back from the text that a series keeps. */
#ifndef SEXTANT_TELEMETRY_METRIC_NAMES_H
#define SEXTANT_TELEMETRY_METRIC_NAMES_H

#include "telemetry/store.h"

/* Whether every Prometheus can read the name: [a-zA-Z_:][a-zA-Z0-9_:]*, without colons for labels. */
bool sx_name_is_plain_metric(sx_str name);
bool sx_name_is_plain_label(sx_str name);

/* Appends `name`, which is not plain, under an escaping: so that it is plain, for a metric or for a
 * label, whose names have no colons; SX_METRICS_ALLOW_UTF8: as it is. */
typedef enum sx_name_of { SX_NAME_OF_METRIC, SX_NAME_OF_LABEL } sx_name_of;
void sx_name_escape(sx_buf *out, sx_str name, sx_name_of what, sx_metrics_escaping escaping);

/* Appends text with backslashes before backslashes and line feeds (as n) and, where wanted, quotes;
 * what is no UTF-8 becomes U+FFFD. */
typedef enum sx_text_quotes { SX_TEXT_QUOTES_STAY, SX_TEXT_QUOTES_ESCAPED } sx_text_quotes;
void sx_text_escape(sx_buf *out, sx_str text, sx_text_quotes quotes);

/* Appends a label value as it stands between quotes: escaped, cut after SX_LABEL_VALUE_BYTES_MAX. */
void sx_label_value_render(sx_buf *out, sx_str value);

/* Appends `name="value"` pairs with commas between; names are in the form of sx_metric.labels. */
void sx_labels_render(sx_buf *out, const sx_str *names, const sx_str *values, size_t count);

/* Takes the next value off a series' text: `rest` begins at the label named `name` (as in
 * sx_metric.labels) and is moved past it. The value is unescaped in `scratch` if it has escapes, else
 * it points into the text; it is good until the next call. */
sx_str sx_labels_next(sx_str *rest, sx_str name, sx_buf *scratch);

/* Fills name, help, unit, labels, spellings, states of `metric`. `scratch` is for the making. False
 * without memory. */
bool sx_metric_spell(sx_arena *arena, sx_buf *scratch, const sx_metric_options *o,
                     sx_metric *metric);

/* Checks all of the options. */
sx_status sx_metric_check_options(const sx_metric_options *o, sx_error *err);

/* Whether two metrics would show the same name in some format or escaping. */
bool sx_metric_names_collide(const sx_metric *a, const sx_metric *b);

#endif
