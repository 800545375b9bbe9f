/* flags.h - the command line of `sextant observe`: Prometheus's flags, and ours beside them.
 *
 * One table (flags.c) is the parser, the help page and /api/v1/status/flags. A flag is written with
 * one dash or two, with = or a space before its value; a truth also as --no-FLAG. A flag of
 * Prometheus's that we cannot honour is a named error with what to do instead; one that only tunes
 * its insides is taken, has no effect, and is told by a warning at the start (`idle`). Any other
 * --key=value with a name of the kit's settings (docs/config.md) is passed on to the service. Source: `prometheus --help-long`, version 3.14. */
#ifndef OBSERVE_FLAGS_H
#define OBSERVE_FLAGS_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

enum {
    OBSERVE_LISTEN_MAX = 8,
    OBSERVE_KIT_FLAGS_MAX = 64,
    OBSERVE_FLAGS_MAX = 128,
    OBSERVE_RECEIVERS = 7
};

/* --enable-feature. */
enum {
    OBSERVE_FEATURE_CONCURRENT_RULES = 1,
    OBSERVE_FEATURE_CREATED_ZERO = 2,
    OBSERVE_FEATURE_EXTRA_METRICS = 4,
    OBSERVE_FEATURE_PER_STEP_STATS = 8,
    OBSERVE_FEATURE_TYPE_UNIT_LABELS = 16,
    OBSERVE_FEATURE_XOR2 = 32,
    OBSERVE_FEATURE_AUTO_RELOAD = 64,
    OBSERVE_FEATURE_OTLP_DELTA = 128,
    OBSERVE_FEATURE_SEARCH = 256,
    OBSERVE_FEATURE_OTLP_ADD_UP = 512,
};

/* A flag that was given and has no effect, and why; static text. */
typedef struct observe_idle_flag {
    const char *name, *why;
} observe_idle_flag;

typedef struct observe_flags {
    sx_str config_file, storage_path, auth_config;
    bool auto_reload, expand_environment;
    int64_t auto_reload_ms;
    sx_str listen[OBSERVE_LISTEN_MAX];
    size_t listen_count;
    sx_str web_config_file, external_url, route_prefix, cors_origin;
    int64_t read_timeout_ms;
    int64_t connections_max, subscribers_max, search_limit_max;
    bool lifecycle, admin_api, write_receiver, otlp_receiver;
    sx_str write_messages; /* names, with commas between */
    int64_t block_ms, block_ms_max, retention_ms;
    uint64_t retention_bytes, wal_segment_bytes, memory_max;
    int64_t series_max;
    bool wal_compression;
    sx_str fsync, wal_packing;
    int64_t read_samples_max, read_concurrency, read_frame_bytes, flush_ms;
    int64_t outage_tolerance_ms, grace_ms, resend_ms, rule_concurrency;
    int64_t queue_max, batch_max;
    bool drain_queue;
    int64_t lookback_ms, query_timeout_ms, query_concurrency, query_samples_max, query_slow_ms;
    uint64_t query_memory_max;
    sx_str features, log_level, log_format;
    sx_str dashboards_path, dashboards_provisioning;
    bool dashboards_builtin;
    int64_t dashboards_reload_ms, dashboards_versions_max, dashboards_count_max;
    int64_t dashboards_annotations_max;
    uint64_t dashboards_size_max;
    sx_str collect_file, collect_redis, collect_postgres;
    int64_t collect_ms, collect_concurrency;

    /* Traces. Addresses of receivers in the order of receiver_kind (observe/api/receive.h). */
    sx_str receivers[OBSERVE_RECEIVERS];
    sx_str jaeger_query, jaeger_query_grpc, jaeger_sampling, jaeger_sampling_file, jaeger_storage;
    sx_str jaeger_sampling_target;
    sx_str tempo, collector_config, traces_fsync;
    bool traces_store, traces_metrics;
    int64_t traces_metrics_ms, traces_metrics_max;
    int64_t traces_retention_ms, traces_retention_error_ms, traces_retention_slow_ms;
    int64_t traces_slow_ms;
    uint64_t traces_retention_bytes, traces_memory_max, traces_disk_free_min;
    uint64_t traces_query_memory_max, traces_query_memory_all;

    unsigned feature_bits;    /* OBSERVE_FEATURE_... */
    unsigned promql_features; /* of promql/parse.h */

    const char *kit[OBSERVE_KIT_FLAGS_MAX]; /* passed on to the service */
    size_t kit_count;
    observe_idle_flag idle[OBSERVE_FLAGS_MAX];
    size_t idle_count;
    sx_str shown[OBSERVE_FLAGS_MAX]; /* by row: the value as status/flags shows it */
    sx_arena arena;                  /* holds what is not argv's */
} observe_flags;

/* Reads the arguments behind `sextant observe`; they are borrowed for the life of `out`, which is to
 * be given to observe_flags_done() after an error, too. SX_EINVAL names the flag and what to do. */
sx_status observe_flags_parse(int argc, char **argv, observe_flags *out, sx_error *err);
void observe_flags_done(observe_flags *f);

/* Appends {"agent":"false",...} sorted by name, and the rows as lines for --help. */
void observe_flags_json(const observe_flags *f, sx_buf *out);
void observe_flags_help(sx_buf *out);

/* The names of feature `i` in the order of the table; NULL after the last. For /api/v1/features. */
const char *observe_feature_name(size_t i);

#endif
