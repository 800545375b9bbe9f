/* otlp.h - export of spans, log records and metrics by OTLP: to a collector, to Jaeger, to us.
 *
 * One thread with a loop of its own takes up what the program's threads have put into their lanes,
 * batches it, and sends it by HTTP (protobuf or JSON) or gRPC. A receiver that is slow, gone or mad
 * costs the program nothing: lanes and queue are bounded, what does not fit is dropped and counted,
 * what was refused for now is tried again with growing pauses.
 *
 * Settings come from the OTEL_* environment variables with the specification's meaning; nothing is
 * exported when no endpoint is given. Source: OpenTelemetry specification, "OTLP exporter",
 * "Environment variables", OTLP 1.x. */
#ifndef SEXTANT_OTLP_H
#define SEXTANT_OTLP_H

#include <sextant/log.h>
#include <sextant/metrics.h>
#include <sextant/trace.h>

SX_BEGIN_DECLS

typedef enum sx_otlp_signal {
    SX_OTLP_SPANS,
    SX_OTLP_LOGS,
    SX_OTLP_METRICS,
    SX_OTLP_SIGNALS
} sx_otlp_signal;

typedef enum sx_otlp_protocol {
    SX_OTLP_HTTP_PROTOBUF, /* the specification's default */
    SX_OTLP_HTTP_JSON,
    SX_OTLP_GRPC,
    SX_OTLP_PROTOCOLS
} sx_otlp_protocol;

/* Where one signal goes. */
typedef struct sx_otlp_target {
    sx_str endpoint; /* whole URL (HTTP: with its path, /v1/traces; gRPC: http(s)://host:port);
                        empty: not exported */
    sx_otlp_protocol protocol;
    sx_str headers; /* key=value,key2=value2, percent-decoded as W3C baggage */
    bool gzip;
    uint32_t timeout_ms;                                /* 10000: one attempt */
    sx_str ca_file, client_chain_file, client_key_file; /* PEM; empty: the system's, none */
    /* 0: what sx_otlp_options says for all signals. */
    uint32_t queue_max, batch_max, batch_delay_ms, retry_ms_max;
} sx_otlp_target;

typedef struct sx_otlp_options { /* 0 or NULL takes the default */
    sx_otlp_target targets[SX_OTLP_SIGNALS];
    sx_str service, version;  /* service.name ("unknown_service:PROGRAM"), service.version */
    sx_str resource;          /* OTEL_RESOURCE_ATTRIBUTES' form: key=value,… */
    uint32_t queue_bytes_max; /* 8 MiB a signal, encoded, waiting to be sent; above it dropped */
    uint32_t queue_max;       /* 2048 records waiting a signal */
    uint32_t batch_max;       /* 512 records */
    uint32_t batch_delay_ms;  /* 5000 for spans, 1000 for log records: waiting for others */
    uint32_t metrics_interval_ms; /* 60000 */
    uint32_t retry_ms_max;        /* 300000: a batch is given up after so long */
    sx_metrics *metrics;          /* whose metrics are exported, and where it counts itself */
    sx_log *log;                  /* where it complains, once a minute a signal; NULL: stderr */
    const sx_clock *clock;        /* the system's */
} sx_otlp_options;

/* Fills `options` from OTEL_* in `environment` (as environ): OTEL_SDK_DISABLED, OTEL_SERVICE_NAME,
 * OTEL_RESOURCE_ATTRIBUTES, OTEL_{TRACES,LOGS,METRICS}_EXPORTER, OTEL_EXPORTER_OTLP_* with the forms
 * for each signal, OTEL_BSP_*, OTEL_BLRP_*, OTEL_METRIC_EXPORT_INTERVAL. What is not in it stays.
 * Texts are put into `arena`. A value that cannot be read is ignored and named in `warnings` (a line
 * each; may be NULL), as the specification asks. Errors: SX_ENOMEM. */
sx_status sx_otlp_environment(const char *const *environment, sx_arena *arena,
                              sx_otlp_options *options, sx_buf *warnings, sx_error *err);

/* The same for the tracer: OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG, OTEL_PROPAGATORS,
 * OTEL_ATTRIBUTE_*_LIMIT, OTEL_SPAN_*_LIMIT, OTEL_EVENT_*, OTEL_LINK_*. */
sx_status sx_tracer_environment(const char *const *environment, sx_arena *arena,
                                sx_tracer_options *options, sx_buf *warnings, sx_error *err);

/* Starts an exporter. An endpoint that cannot be reached is no error; one that is no URL is.
 * Errors: SX_EINVAL (what, and the right form), SX_ENOTFOUND (a PEM file), SX_ENOMEM, SX_EIO. */
sx_status sx_otlp_new(const sx_otlp_options *options, sx_otlp **out, sx_error *err);

/* Sends what is there, and the metrics as they are now, for at most `ms`; whether all went. A receiver
 * that cannot be reached ends it early, one that asked for a pause does not. Any thread but the
 * exporter's. */
bool sx_otlp_flush(sx_otlp *otlp, uint32_t ms);

/* The same, for the last time with metrics: when it returns, the registry is not read any more, so that
 * what its callbacks ask may be freed while spans and logs of that still go out. Again: nothing. */
void sx_otlp_end_metrics(sx_otlp *otlp, uint32_t ms);

/* Flushes for at most `flush_ms`, stops the thread, frees; what was not sent is lost. How many records
 * of each signal were lost in its life is one warning in the log, if any were. No thread may use it any
 * more. NULL is allowed. */
void sx_otlp_free(sx_otlp *otlp, uint32_t flush_ms);

typedef struct sx_otlp_counts {
    uint64_t taken, exported, dropped,
        rejected;                /* records; rejected: by the receiver's partial success */
    uint64_t attempts, failures; /* requests */
    uint64_t queued;             /* records now */
} sx_otlp_counts;

/* What became of a signal's records so far. Of metrics, each is one metric with all its series. Any
 * thread. */
sx_otlp_counts sx_otlp_counts_of(const sx_otlp *otlp, sx_otlp_signal signal);

SX_END_DECLS

#endif
