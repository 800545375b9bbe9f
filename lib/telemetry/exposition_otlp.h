/* exposition_otlp.h - the registry as OTLP metrics, for the exporter. */
#ifndef SEXTANT_TELEMETRY_EXPOSITION_OTLP_H
#define SEXTANT_TELEMETRY_EXPOSITION_OTLP_H

#include <sextant/metrics.h>

/* Appends the `metrics` fields (number 2) of a ScopeMetrics message: every metric as it is now, with
 * cumulative temporality. Counters are monotonic sums; gauges, infos and state sets are gauges;
 * classic histograms have explicit bounds, native ones (also those that are both) are exponential.
 * Names and labels are as registered. Any thread, one scrape at a time.
 *   start_wall_ns  since when it was counted: when the program began, nanoseconds since 1970
 *   now_wall_ns    the time of all points
 * Errors: SX_ENOMEM, SX_ELIMIT of `out`, which then holds a part. Source: opentelemetry-proto 1.x,
 * metrics.proto. */
sx_status sx_metrics_otlp(sx_metrics *m, int64_t start_wall_ns, int64_t now_wall_ns, sx_buf *out,
                          sx_error *err);

#endif
