/* settings.h - an OpenTelemetry Collector's configuration as structs.
 *
 * Read by settings.c with the bind tables (observe/config/bind.h), so a field that is not known is a
 * named error with its line, as is a component of another kind. Every field of the components that are
 * supported is here, with the Collector's name and default. Text lives in the settings' arena. */
#ifndef OBSERVE_COLLECTOR_SETTINGS_H
#define OBSERVE_COLLECTOR_SETTINGS_H

#include "observe/config/config.h"

/* Names: "otlp", "otlp/2": kind and the rest. */
typedef struct component_id {
    sx_str kind, name; /* name: the whole */
    uint32_t line;
} component_id;

typedef struct retry_settings {
    bool enabled;                                        /* true */
    int64_t initial_ms, max_interval_ms, max_elapsed_ms; /* 5 s, 30 s, 5 min; 0: for ever */
    double multiplier, randomization;                    /* 1.5, 0.5 */
} retry_settings;

typedef struct queue_settings {
    bool enabled;           /* true */
    int64_t size;           /* 1000, in units of `sizer` */
    int64_t consumers;      /* 10; here the requests under way at a time */
    sx_str sizer;           /* requests, items or bytes */
    bool block_on_overflow; /* refused: a pipeline is never held up */
    uint64_t bytes_max;     /* ours: 64 MiB */
} queue_settings;

typedef struct tls_settings {
    bool insecure, insecure_skip_verify;
    sx_str ca_file, cert_file, key_file, server_name;
} tls_settings;

typedef struct header_setting {
    sx_str name, value;
} header_setting;

typedef enum exporter_kind {
    EXPORT_OTLP,     /* gRPC: "otlp", "otlp_grpc" */
    EXPORT_OTLPHTTP, /* "otlphttp", "otlp_http" */
    EXPORT_ELASTICSEARCH,
    EXPORT_KAFKA,
    EXPORT_FILE,
    EXPORT_DEBUG, /* "debug", "logging" */
    EXPORT_NOP,
    EXPORT_KINDS
} exporter_kind;

typedef struct exporter_settings {
    component_id id;
    exporter_kind kind;
    /* otlp, otlphttp */
    sx_str endpoint, traces_endpoint, compression, encoding;
    header_setting *headers;
    size_t header_count;
    tls_settings tls;
    int64_t timeout_ms;
    retry_settings retry;
    queue_settings queue;
    /* elasticsearch */
    sx_str *endpoints; /* also Kafka's brokers */
    size_t endpoint_count;
    sx_str index, user, password, api_key;
    int64_t flush_ms, flush_bytes;
    /* kafka */
    sx_str topic, client_id, required_acks;
    bool partition_by_trace;
    /* file */
    sx_str path, format;
    int64_t rotate_bytes, rotate_days, rotate_backups;
    /* debug */
    sx_str verbosity;
    int64_t sampling_initial, sampling_thereafter;
} exporter_settings;

#endif
