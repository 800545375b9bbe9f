/* exposition_text.h - the lines that Prometheus's text formats and OpenMetrics have in common. */
#ifndef SEXTANT_TELEMETRY_EXPOSITION_TEXT_H
#define SEXTANT_TELEMETRY_EXPOSITION_TEXT_H

#include "telemetry/exposition.h"

/* Sets x->before, x->open, x->closed for the metric that begins. */
void sx_text_name(sx_exposition *x);

/* Appends the metric's name without its last `less` bytes, in quotes if it needs them. */
void sx_text_put_name(sx_exposition *x, size_t less);

/* The series' labels under the escaping of this scrape: `labels`, or anew and good until the next. */
sx_str sx_text_labels(sx_exposition *x, sx_str labels);

/* `name_suffix{labels} `; labels from sx_text_labels. */
void sx_text_put_head(sx_exposition *x, sx_str suffix, sx_str labels);

/* A number, without and with its line's end. */
void sx_text_put_float(sx_buf *out, double value);
void sx_text_put_u64(sx_buf *out, uint64_t value);

/* All series of the kinds; what OpenMetrics adds is asked of exposition_openmetrics.c. */
void sx_text_series(sx_exposition *x, const sx_series *s);
void sx_text_value(sx_exposition *x, sx_str labels, double value);

/* OpenMetrics: ` # {trace_id="…",span_id="…"} value time` after the sample of that slot. */
void sx_openmetrics_put_exemplar(sx_exposition *x, const sx_series *s, size_t slot);

/* OpenMetrics: the line that says when the series began. */
void sx_openmetrics_put_created(sx_exposition *x, const sx_series *s, sx_str labels);

/* Whether OpenMetrics knows the metric as a counter: it must end in _total. */
bool sx_openmetrics_is_counter(const sx_metric *metric);

#endif
