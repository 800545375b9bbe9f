/* telemetry.h - metrics, traces, logs and their export in one call, for programs of any shape.
 *
 *     sx_telemetry *t;
 *     sx_error err;
 *     if (sx_telemetry_new(&(sx_telemetry_options){.service = "shop", .version = "1.4"}, &t, &err))
 *         ...
 *     sx_logger *log = sx_log_logger(sx_telemetry_log(t), "orders");
 *     sx_span span;
 *     sx_span_start(&span, sx_telemetry_tracer(t), &(sx_span_options){.name = SX_STR("take order")});
 *     ...
 *     sx_span_end(&span);
 *     sx_telemetry_free(t, 2000);
 *
 * It needs no event loop of the program's: export has a thread of its own, the log another. What is
 * exported, and where to, is in the OTEL_* environment variables (otlp.h); without an endpoint nothing
 * leaves the process, and spans cost their ids. A program that has its own threads calls
 * sx_telemetry_thread_join() (metrics.h) in each that should be fast.
 *
 * A service (service.h) does all this by itself. */
#ifndef SEXTANT_TELEMETRY_H
#define SEXTANT_TELEMETRY_H

#include <sextant/otlp.h>

SX_BEGIN_DECLS

typedef struct sx_telemetry sx_telemetry;

/* Parts that are not wanted, as bits of sx_telemetry_options.without. */
typedef enum sx_telemetry_part {
    SX_TELEMETRY_METRICS = 1,
    SX_TELEMETRY_LOG = 2,
    SX_TELEMETRY_TRACER = 4,
    SX_TELEMETRY_OTLP = 8
} sx_telemetry_part;

typedef struct sx_telemetry_options { /* 0 or NULL takes the default */
    const char *service;              /* OTEL_SERVICE_NAME beats it */
    const char *version;
    const char *deployment; /* deployment.environment.name: "production" */
    unsigned without;       /* sx_telemetry_part bits: parts left out, their accessors NULL */
    const char *const
        *environment; /* as environ, which is the default; an empty list: none is read */

    /* Parts that exist already are used and stay the caller's; they outlive the sx_telemetry. */
    sx_metrics *metrics;
    sx_log *log;

    /* What the environment does not say. Members that name another part (service, metrics, log, otlp,
     * clock) are filled in where they are zero. */
    sx_log_options log_options;
    sx_tracer_options tracer_options;
    sx_otlp_options otlp_options;

    const sx_clock *clock; /* of all parts; the system's */
    void *reserved[4];
} sx_telemetry_options;

/* Makes the parts; `options` may be NULL. Values of the environment that cannot be read are ignored
 * and told in the log as warnings. The process metrics and sextant_build_info are added to a registry
 * that is made here. Errors: SX_EINVAL (an option that makes no sense: an endpoint that is no URL),
 * SX_ENOTFOUND, SX_EACCESS or SX_EIO (a file of the log or of TLS), SX_ENOMEM. */
sx_status sx_telemetry_new(const sx_telemetry_options *options, sx_telemetry **out, sx_error *err);

/* The parts; NULL for one that was left out. The exporter is NULL, too, when nothing is exported; the
 * tracer then makes ids and passes them on. They live until sx_telemetry_free. */
sx_metrics *sx_telemetry_metrics(const sx_telemetry *t);
sx_log *sx_telemetry_log(const sx_telemetry *t);
sx_tracer *sx_telemetry_tracer(const sx_telemetry *t);
sx_otlp *sx_telemetry_otlp(const sx_telemetry *t);

/* Sends what is there for at most `flush_ms`, then frees the parts that were made here. No span may
 * be under way and no other thread may use a part any more. NULL is allowed. */
void sx_telemetry_free(sx_telemetry *t, uint32_t flush_ms);

SX_END_DECLS

#endif
