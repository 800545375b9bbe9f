/* exposition.h - what the formats share: one scrape under way, and the functions that a format is.
 *
 * sx_exposition_write walks the registry: metrics by name, series by labels. A format is given each
 * metric's beginning, its series or collected values, and its end; what shows no series is taken back
 * again. Everything here runs under the registry's scrape_lock. */
#ifndef SEXTANT_TELEMETRY_EXPOSITION_H
#define SEXTANT_TELEMETRY_EXPOSITION_H

#include "telemetry/store.h"

typedef struct sx_exposition sx_exposition;

typedef struct sx_format {
    void (*begin)(sx_exposition *x);
    void (*series)(sx_exposition *x, const sx_series *s);
    /* One value of a metric with a collect function; labels as in sx_series.labels. */
    void (*value)(sx_exposition *x, sx_str labels, double value);
    void (*end)(sx_exposition *x);    /* of a metric that showed something; may be NULL */
    void (*finish)(sx_exposition *x); /* of all; may be NULL */
} sx_format;

struct sx_exposition {
    sx_buf *out;
    sx_metrics *registry;
    const sx_format *format;
    sx_metrics_escaping escaping;
    sx_metric *metric; /* being written */
    const sx_spelling *spelled;

    /* Text formats: `before` SUFFIX `open` labels `"} "`, or `before` SUFFIX `closed`. */
    bool open_metrics;
    sx_str before, open, closed;

    /* Protobuf: where lengths go. */
    size_t family, points;

    int64_t start_ns, now_ns; /* OTLP */
    bool failed;              /* without memory beside `out` */
};

extern const sx_format sx_format_text, sx_format_openmetrics, sx_format_protobuf, sx_format_otlp;

/* Writes everything. Errors: SX_ENOMEM, SX_ELIMIT of x->out. */
sx_status sx_exposition_write(sx_exposition *x, sx_error *err);

/* The series' sum of a native histogram, good until the next call; NULL without memory. */
const sx_native_sum *sx_exposition_native(sx_exposition *x, const sx_series *s);

/* Whether the kind and value make a series that is shown: an info that was cleared is not. */
bool sx_series_is_shown(const sx_series *s);

/* A counter's value; *exact says that `count` is all of it. */
double sx_series_counter(const sx_series *s, uint64_t *count, bool *exact);

#endif
