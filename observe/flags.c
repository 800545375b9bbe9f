/* flags.c - the table of flags, and what reads it. */
#include "observe/flags.h"

#include <stddef.h>

#include <sextant/json.h>
#include <stdio.h>
#include <string.h>
#include <sextant/number.h>
#include <sextant/yaml.h>

#include "observe/config/bind.h"
#include "observe/promql/parse.h"

typedef enum flag_kind {
    TEXT,
    EACH,   /* of listen: may be repeated */
    JOINED, /* may be repeated: parts with commas between */
    BOOL,
    INT,
    FLOAT, /* checked, without a field */
    MS,    /* a duration as Prometheus writes it */
    BYTES,
    REFUSED, /* note: what to do instead */
} flag_kind;

enum { HIDDEN = 1, NO_EFFECT = 2, OURS = 4 };

typedef struct flag_row {
    const char *name;
    flag_kind kind;
    unsigned flags;
    size_t at; /* NOWHERE: no field */
    const char *fallback, *help;
} flag_row;

#define AT(field) offsetof(observe_flags, field)
#define NOWHERE   ((size_t)-1)

static const char AGENT[] =
    "the agent mode is not there; use remote_write in the configuration of a whole server";

/* Sorted by name: status/flags shows them in this order. */
static const flag_row ROWS[] = {
    {"agent", REFUSED, 0, NOWHERE, "false", AGENT},
    {"alertmanager.drain-notification-queue-on-shutdown", BOOL, 0, AT(drain_queue), "true",
     "send what waits for Alertmanagers before the end"},
    {"alertmanager.notification-batch-size", INT, 0, AT(batch_max), "256",
     "most alerts in one request to an Alertmanager"},
    {"alertmanager.notification-queue-capacity", INT, 0, AT(queue_max), "10000",
     "alerts that wait for an Alertmanager; beyond it the oldest are dropped"},
    {"auth.config", TEXT, OURS, AT(auth_config), "",
     "YAML file of sign-in: users, roles, OpenID Connect, tokens; see docs/howto/sign-in.md; without it "
     "everybody may do everything"},
    {"auto-gomaxprocs", BOOL, NO_EFFECT, NOWHERE, "true", "of Go's runtime: no effect"},
    {"auto-gomemlimit", BOOL, NO_EFFECT, NOWHERE, "true", "of Go's runtime: no effect"},
    {"auto-gomemlimit.ratio", FLOAT, NO_EFFECT, NOWHERE, "0.9", "of Go's runtime: no effect"},
    {"auto-gomemlimit.refresh-interval", MS, NO_EFFECT, NOWHERE, "0s",
     "of Go's runtime: no effect"},
    {"collect.concurrency", INT, OURS, AT(collect_concurrency), "4",
     "pages of the built-in collectors at a time; further ones wait"},
    {"collect.config", TEXT, OURS, AT(collect_file), "",
     "YAML file of what the built-in collectors look at; see docs/howto/collectors.md"},
    {"collect.postgres", JOINED, OURS, AT(collect_postgres), "",
     "NAME=CONNINFO: a PostgreSQL for /collect/postgres?target=NAME, without a password"},
    {"collect.redis", JOINED, OURS, AT(collect_redis), "",
     "[NAME=]HOST:PORT: a Redis for /collect/redis?target=NAME, without a password"},
    {"collect.timeout", MS, OURS, AT(collect_ms), "5s",
     "longest time that a database may take for its page"},
    {"collector-config", TEXT, OURS, AT(collector_config), "",
     "an OpenTelemetry Collector's configuration: receivers, processors, exporters, pipelines"},
    {"config.auto-reload", BOOL, 0, AT(auto_reload), "false",
     "take up the configuration file when it has changed"},
    {"config.auto-reload-interval", MS, 0, AT(auto_reload_ms), "30s",
     "how often the file is looked at for that"},
    {"config.expand-environment", BOOL, OURS, AT(expand_environment), "false",
     "replace ${NAME} in any string of the configuration file by the environment's"},
    {"config.file", TEXT, 0, AT(config_file), "prometheus.yml",
     "the configuration file, in Prometheus's form"},
    {"dashboards.builtin", BOOL, OURS, AT(dashboards_builtin), "true",
     "show the dashboards that come with the program"},
    {"dashboards.max-annotations", INT, OURS, AT(dashboards_annotations_max), "100000",
     "annotations that are kept; the oldest go"},
    {"dashboards.max-count", INT, OURS, AT(dashboards_count_max), "50000",
     "dashboards and folders that there may be"},
    {"dashboards.max-size", BYTES, OURS, AT(dashboards_size_max), "10MB", "largest dashboard"},
    {"dashboards.max-versions", INT, OURS, AT(dashboards_versions_max), "20",
     "versions that are kept of each dashboard"},
    {"dashboards.path", JOINED, OURS, AT(dashboards_path), "",
     "folder of dashboards in JSON, whose subfolders become folders; may be repeated"},
    {"dashboards.provisioning", TEXT, OURS, AT(dashboards_provisioning), "",
     "a provisioning file of Grafana's for dashboards (YAML), or a folder of them"},
    {"dashboards.reload-interval", MS, OURS, AT(dashboards_reload_ms), "10s",
     "how often files of dashboards are looked at; 0s: on SIGHUP and reload alone"},
    {"enable-feature", JOINED, 0, AT(features), "",
     "experimental features, with commas between; see docs/howto/observe.md"},
    {"jaeger.binary", TEXT, OURS, AT(receivers[6]), "127.0.0.1:6832",
     "HOST:PORT of Jaeger's clients by UDP, Thrift binary; empty: off"},
    {"jaeger.compact", TEXT, OURS, AT(receivers[5]), "127.0.0.1:6831",
     "HOST:PORT of Jaeger's clients by UDP, Thrift compact; empty: off"},
    {"jaeger.grpc", TEXT, OURS, AT(receivers[2]), "127.0.0.1:14250",
     "HOST:PORT of Jaeger's agents and clients by gRPC; empty: off"},
    {"jaeger.http", TEXT, OURS, AT(receivers[3]), "127.0.0.1:14268",
     "HOST:PORT of Jaeger's clients by HTTP, Thrift binary; empty: off"},
    {"jaeger.query", TEXT, OURS, AT(jaeger_query), "127.0.0.1:16686",
     "HOST:PORT of Jaeger's query API, besides the main port; empty: off"},
    {"jaeger.query-grpc", TEXT, OURS, AT(jaeger_query_grpc), "127.0.0.1:16685",
     "HOST:PORT of Jaeger's query API by gRPC; empty: off"},
    {"jaeger.sampling", TEXT, OURS, AT(jaeger_sampling), "",
     "HOST:PORT that tells Jaeger's clients how to sample (5778); empty: off"},
    {"jaeger.sampling-file", TEXT, OURS, AT(jaeger_sampling_file), "",
     "JSON file of sampling strategies, in Jaeger's form; without it: adaptive"},
    {"jaeger.sampling-target", TEXT, OURS, AT(jaeger_sampling_target), "1",
     "traces a second of each operation that adaptive sampling aims at"},
    {"jaeger.storage", TEXT, OURS, AT(jaeger_storage), "",
     "HOST:PORT of Jaeger's remote storage API by gRPC (17271): a Jaeger's backend; empty: off"},
    {"log.format", TEXT, 0, AT(log_format), "logfmt", "logfmt (lines for people) or json"},
    {"log.level", TEXT, 0, AT(log_level), "info", "debug, info, warn or error"},
    {"otlp.grpc", TEXT, OURS, AT(receivers[0]), "127.0.0.1:4317",
     "HOST:PORT of OTLP by gRPC: spans and metrics; empty: off"},
    {"otlp.http", TEXT, OURS, AT(receivers[1]), "127.0.0.1:4318",
     "HOST:PORT of OTLP by HTTP: spans and metrics; empty: off"},
    {"query.log-slower-than", MS, OURS, AT(query_slow_ms), "0s",
     "queries that take longer are logged; 0s: none"},
    {"query.lookback-delta", MS, 0, AT(lookback_ms), "5m",
     "how old a sample may be and still count in an instant vector"},
    {"query.max-concurrency", INT, 0, AT(query_concurrency), "20", "queries at a time"},
    {"query.max-memory", BYTES, OURS, AT(query_memory_max), "1GB", "bytes that one query may take"},
    {"query.max-samples", INT, 0, AT(query_samples_max), "50000000",
     "samples that one query may hold at once"},
    {"query.timeout", MS, 0, AT(query_timeout_ms), "2m", "longest time that a query may take"},
    {"rules.alert.for-grace-period", MS, 0, AT(grace_ms), "10m",
     "least time between the start and a restored alert that fires"},
    {"rules.alert.for-outage-tolerance", MS, 0, AT(outage_tolerance_ms), "1h",
     "longest outage over which the state of `for` is restored"},
    {"rules.alert.resend-delay", MS, 0, AT(resend_ms), "1m",
     "least time before an alert is sent again"},
    {"rules.max-concurrent-evals", INT, 0, AT(rule_concurrency), "4",
     "independent rules at a time, with --enable-feature=concurrent-rule-eval"},
    {"scrape.adjust-timestamps", BOOL, HIDDEN | NO_EFFECT, NOWHERE, "true",
     "scrapes are always aligned to their schedule: no effect"},
    {"scrape.discovery-reload-interval", MS, HIDDEN | NO_EFFECT, NOWHERE, "5s",
     "updates of discovery are gathered by themselves: no effect"},
    {"scrape.timestamp-tolerance", MS, HIDDEN | NO_EFFECT, NOWHERE, "2ms",
     "see scrape.adjust-timestamps: no effect"},
    {"storage.agent.checkpoint-batch-size", REFUSED, 0, NOWHERE, "1000", AGENT},
    {"storage.agent.checkpoint-from-in-memory-series", REFUSED, 0, NOWHERE, "false", AGENT},
    {"storage.agent.no-lockfile", REFUSED, 0, NOWHERE, "false", AGENT},
    {"storage.agent.path", REFUSED, 0, NOWHERE, "data-agent/", AGENT},
    {"storage.agent.retention.max-time", REFUSED, 0, NOWHERE, "4h", AGENT},
    {"storage.agent.retention.min-time", REFUSED, 0, NOWHERE, "5m", AGENT},
    {"storage.agent.wal-compression", REFUSED, 0, NOWHERE, "true", AGENT},
    {"storage.agent.wal-compression-type", REFUSED, HIDDEN, NOWHERE, "snappy", AGENT},
    {"storage.agent.wal-segment-size", REFUSED, HIDDEN, NOWHERE, "0B", AGENT},
    {"storage.agent.wal-truncate-frequency", REFUSED, HIDDEN, NOWHERE, "0s", AGENT},
    {"storage.memory-max", BYTES, OURS, AT(memory_max), "0B",
     "memory for series in the head; above it new ones are refused; 0B: any"},
    {"storage.path", TEXT, OURS, AT(storage_path), "", "the same as storage.tsdb.path"},
    {"storage.remote.flush-deadline", MS, 0, AT(flush_ms), "1m",
     "longest wait at the end for what remote writes have to send; the rest is sent after the next "
     "start, from the log"},
    {"storage.remote.read-concurrent-limit", INT, 0, AT(read_concurrency), "10",
     "remote reads at a time, at most 1000; others wait; 0: 100"},
    {"storage.remote.read-max-bytes-in-frame", INT, 0, AT(read_frame_bytes), "1048576",
     "largest frame of a streamed remote read"},
    {"storage.remote.read-sample-limit", INT, 0, AT(read_samples_max), "50000000",
     "samples of a remote read that is not streamed; 0: any"},
    {"storage.series-max", INT, OURS, AT(series_max), "0",
     "series in the head; above it new ones are refused; 0: any"},
    {"storage.tsdb.allow-overlapping-compaction", BOOL, HIDDEN | NO_EFFECT, NOWHERE, "true",
     "overlapping blocks are always compacted: no effect"},
    {"storage.tsdb.block-reload-interval", MS, HIDDEN | NO_EFFECT, NOWHERE, "1m",
     "blocks that appear are taken up by the database's own round: no effect"},
    {"storage.tsdb.delay-compact-file.path", REFUSED, 0, NOWHERE, "",
     "blocks do not wait for an uploader; run the Thanos sidecar with --shipper.upload-compacted"},
    {"storage.tsdb.delayed-compaction.max-percent", INT, HIDDEN | NO_EFFECT, NOWHERE, "10",
     "compaction is not delayed: no effect"},
    {"storage.tsdb.fsync", TEXT, OURS, AT(fsync), "interval",
     "when the log is made safe against power loss: always, interval (1s) or none"},
    {"storage.tsdb.head-chunks-write-queue-size", INT, NO_EFFECT, NOWHERE, "0",
     "chunks of the head are not queued for the disk: no effect"},
    {"storage.tsdb.max-block-chunk-segment-size", BYTES, HIDDEN | NO_EFFECT, NOWHERE, "0B",
     "segments have Prometheus's default size: no effect"},
    {"storage.tsdb.max-block-duration", MS, HIDDEN, AT(block_ms_max), "0s",
     "longest span of a compacted block; 0s: a tenth of the retention, at most 31d"},
    {"storage.tsdb.min-block-duration", MS, HIDDEN, AT(block_ms), "2h", "span of a new block"},
    {"storage.tsdb.no-lockfile", BOOL, NO_EFFECT, NOWHERE, "false",
     "the lock is the kernel's and leaves nothing behind: no effect"},
    {"storage.tsdb.path", TEXT, 0, AT(storage_path), "data/", "folder of the samples"},
    {"storage.tsdb.retention.size", BYTES, 0, AT(retention_bytes), "0B",
     "most bytes of blocks and log; 0B: any"},
    {"storage.tsdb.retention.time", MS, 0, AT(retention_ms), "15d", "how long samples are kept"},
    {"storage.tsdb.samples-per-chunk", INT, HIDDEN | NO_EFFECT, NOWHERE, "120",
     "chunks have 120 samples: no effect"},
    {"storage.tsdb.wal-compression", BOOL, HIDDEN, AT(wal_compression), "true",
     "compress the log's records"},
    {"storage.tsdb.wal-compression-type", TEXT, HIDDEN, AT(wal_packing), "zstd",
     "zstd, which Prometheus reads from 3.11 on, or snappy, which all read"},
    {"storage.tsdb.wal-segment-size", BYTES, HIDDEN, AT(wal_segment_bytes), "0B",
     "size of the log's files; 0B: 128MB"},
    {"tempo", TEXT, OURS, AT(tempo), "",
     "HOST:PORT of Tempo's API, besides /tempo on the main port (3200); empty: off"},
    {"traces.disk-free-min", BYTES, OURS, AT(traces_disk_free_min), "256MB",
     "spans are refused while the disk has less room than this"},
    {"traces.fsync", TEXT, OURS, AT(traces_fsync), "interval",
     "when the log of spans is synced: always, interval (each second) or none"},
    {"traces.memory-max", BYTES, OURS, AT(traces_memory_max), "96MB",
     "memory for spans on their way to the disk; above it clients are told to come again"},
    {"traces.metrics", BOOL, OURS, AT(traces_metrics), "true",
     "count calls, durations and edges between services of the spans that are kept"},
    {"traces.metrics-interval", MS, OURS, AT(traces_metrics_ms), "15s",
     "how often these are written into the metric store"},
    {"traces.metrics-max", INT, OURS, AT(traces_metrics_max), "5000",
     "combinations of labels of them; what is beyond is one series, otel_metric_overflow"},
    {"traces.query-max-memory", BYTES, OURS, AT(traces_query_memory_max), "256MB",
     "memory that one question about traces may hold; one that needs more fails, or tells that its "
     "answer is partial"},
    {"traces.query-max-memory-all", BYTES, OURS, AT(traces_query_memory_all), "1GB",
     "memory that all questions about traces may hold together; what is beyond is to be asked again"},
    {"traces.retention", MS, OURS, AT(traces_retention_ms), "7d", "how long traces are kept"},
    {"traces.retention-errors", MS, OURS, AT(traces_retention_error_ms), "0s",
     "how long traces with an error are kept; 0s: as all"},
    {"traces.retention-size", BYTES, OURS, AT(traces_retention_bytes), "0B",
     "most bytes of traces; the oldest go first; 0B: any"},
    {"traces.retention-slow", MS, OURS, AT(traces_retention_slow_ms), "0s",
     "how long slow traces are kept; 0s: as all"},
    {"traces.slow", MS, OURS, AT(traces_slow_ms), "1s",
     "from which duration of a span on a trace is slow"},
    {"traces.store", BOOL, OURS, AT(traces_store), "true", "keep spans; off: only pass them on"},
    {"web.config.file", TEXT, 0, AT(web_config_file), "",
     "TLS, users and header fields, in the form of Prometheus's exporters"},
    {"web.console.libraries", TEXT, NO_EFFECT, NOWHERE, "console_libraries",
     "console templates are not served: no effect"},
    {"web.console.templates", TEXT, NO_EFFECT, NOWHERE, "consoles",
     "console templates are not served: no effect"},
    {"web.cors.origin", TEXT, 0, AT(cors_origin), ".*",
     "expression for the origins whose pages may ask; it must match in full"},
    {"web.enable-admin-api", BOOL, 0, AT(admin_api), "false",
     "serve the endpoints that delete and take snapshots"},
    {"web.enable-lifecycle", BOOL, 0, AT(lifecycle), "false", "serve /-/reload and /-/quit"},
    {"web.enable-otlp-receiver", BOOL, 0, AT(otlp_receiver), "false",
     "take OTLP metrics at /api/v1/otlp/v1/metrics"},
    {"web.enable-remote-write-receiver", BOOL, 0, AT(write_receiver), "false",
     "take remote writes at /api/v1/write"},
    {"web.external-url", TEXT, 0, AT(external_url), "",
     "the address under which this server is reached from outside; its path prefixes all others"},
    {"web.listen-address", EACH, 0, AT(listen), "127.0.0.1:9090",
     "HOST:PORT to serve on; may be repeated; port 0 is any free one"},
    {"web.max-connections", INT, 0, AT(connections_max), "512", "connections at a time"},
    {"web.max-notifications-subscribers", INT, 0, AT(subscribers_max), "16",
     "clients of /api/v1/notifications/live at a time"},
    {"web.page-title", TEXT, NO_EFFECT, NOWHERE,
     "Prometheus Time Series Collection and Processing Server",
     "there are no pages yet: no effect"},
    {"web.read-timeout", MS, 0, AT(read_timeout_ms), "5m",
     "longest silence inside a request, and of an idle connection; --http.body_ms_max and "
     "--http.idle_ms_max say otherwise for the one and the other"},
    {"web.remote-write-receiver.accepted-protobuf-messages", JOINED, 0, AT(write_messages),
     "prometheus.WriteRequest,io.prometheus.write.v2.Request",
     "remote writes that are taken: prometheus.WriteRequest (1.0), io.prometheus.write.v2.Request"},
    {"web.route-prefix", TEXT, 0, AT(route_prefix), "",
     "prefix of all paths; the path of web.external-url if not given"},
    {"web.search.max-limit", INT, 0, AT(search_limit_max), "10000",
     "largest limit of a search, with --enable-feature=search-api; 0: any"},
    {"web.user-assets", REFUSED, 0, NOWHERE, "",
     "files are not served at /user; serve them by the gateway"},
    {"write-documentation", BOOL, HIDDEN | NO_EFFECT, NOWHERE, "false",
     "the documentation lies in docs/: no effect"},
    {"zipkin", TEXT, OURS, AT(receivers[4]), "127.0.0.1:9411",
     "HOST:PORT of Zipkin's clients by HTTP; empty: off"},
};
_Static_assert(SX_COUNT_OF(ROWS) <= OBSERVE_FLAGS_MAX, "room for what each row shows");

/* Features by name. `bit` of OBSERVE_FEATURE_..., or of the parser's; both 0: always on here, or of a
 * matter that has no effect. refused: what to do instead. */
static const struct feature {
    const char *name;
    unsigned bit, promql;
    const char *refused;
} FEATURES[] = {
    {"auto-reload-config", OBSERVE_FEATURE_AUTO_RELOAD, 0, NULL},
    {"concurrent-rule-eval", OBSERVE_FEATURE_CONCURRENT_RULES, 0, NULL},
    {"created-timestamp-zero-ingestion", OBSERVE_FEATURE_CREATED_ZERO, 0, NULL},
    {"delayed-compaction", 0, 0, NULL},
    {"exemplar-storage", 0, 0, NULL},
    {"extra-scrape-metrics", OBSERVE_FEATURE_EXTRA_METRICS, 0, NULL},
    {"fast-startup", 0, 0, NULL},
    {"histograms-st-encoding", 0, 0, NULL},
    {"memory-snapshot-on-shutdown", 0, 0, NULL},
    {"metadata-wal-records", 0, 0, NULL},
    {"native-histograms", 0, 0, NULL},
    {"old-ui", 0, 0, "there is no page of its own yet; use Grafana"},
    {"ooo-native-histograms", 0, 0, NULL},
    {"otlp-deltatocumulative", OBSERVE_FEATURE_OTLP_ADD_UP, 0, NULL},
    {"otlp-native-delta-ingestion", OBSERVE_FEATURE_OTLP_DELTA, 0, NULL},
    {"promql-binop-fill-modifiers", 0, PROMQL_BINOP_FILL, NULL},
    {"promql-delayed-name-removal", 0, PROMQL_DELAYED_NAME_REMOVAL, NULL},
    {"promql-duration-expr", 0, 0, NULL},
    {"promql-experimental-functions", 0, PROMQL_EXPERIMENTAL_FUNCTIONS, NULL},
    {"promql-extended-range-selectors", 0, PROMQL_EXTENDED_RANGE, NULL},
    {"promql-per-step-stats", OBSERVE_FEATURE_PER_STEP_STATS, 0, NULL},
    {"search-api", OBSERVE_FEATURE_SEARCH, 0, NULL},
    {"st-storage", OBSERVE_FEATURE_XOR2, 0, NULL},
    {"st-synthesis", 0, 0, "start timestamps are stored as targets tell them, not made up"},
    {"type-and-unit-labels", OBSERVE_FEATURE_TYPE_UNIT_LABELS, 0, NULL},
    {"use-start-timestamps", 0, PROMQL_START_TIMESTAMPS, NULL},
    {"use-uncached-io", 0, 0, NULL},
    {"xor2-encoding", OBSERVE_FEATURE_XOR2, 0, NULL},
};

const char *observe_feature_name(size_t i)
{
    return i < SX_COUNT_OF(FEATURES) ? FEATURES[i].name : NULL;
}

/* ---- values ---- */

static sx_status bad_value(const flag_row *row, sx_str value, const char *wanted, sx_error *err)
{
    return sx_fail(err, SX_EINVAL, "--%s=%.*s: %s", row->name, SX_ARG(value), wanted);
}

static sx_status take_ms(observe_flags *f, const flag_row *row, sx_str value, sx_str *shown,
                         sx_error *err)
{
    int64_t ms;
    char text[64];
    if (promql_parse_duration(value, false, &ms, NULL) != SX_OK || ms < 0)
        return bad_value(row, value, "not a duration; write 30s, 5m, 1h30m or 15d", err);
    if (row->at != NOWHERE)
        *(int64_t *)((char *)f + row->at) = ms;
    promql_print_duration(ms, text);
    *shown = sx_arena_copy(&f->arena, sx_str_z(text));
    return SX_OK;
}

static sx_status take_bytes(observe_flags *f, const flag_row *row, sx_str value, sx_str *shown,
                            sx_error *err)
{
    uint64_t bytes;
    if (!bind_bytes(value, &bytes))
        return bad_value(row, value, "not a size; write 512MB or 1GB", err);
    if (row->at != NOWHERE)
        *(uint64_t *)((char *)f + row->at) = bytes;
    sx_buf text;
    sx_buf_init(&text, 64);
    bind_print_bytes(bytes, &text);
    *shown = sx_arena_copy(&f->arena, bytes ? sx_buf_view(&text) : SX_STR("0B"));
    sx_buf_done(&text);
    return SX_OK;
}

/* Also on and off, which read better of a part that is switched; shown as true and false always. */
static sx_status take_bool(observe_flags *f, const flag_row *row, sx_str value, sx_str *shown,
                           sx_error *err)
{
    static const char *const WORDS[2][3] = {{"false", "0", "off"}, {"true", "1", "on"}};
    int on = -1;
    for (size_t i = 0; i < SX_COUNT_OF(WORDS[0]); i++) {
        for (int side = 0; side < 2; side++)
            on = sx_str_eq(value, sx_str_z(WORDS[side][i])) ? side : on;
    }
    if (on < 0)
        return bad_value(row, value, "not true or false, on or off", err);
    *shown = sx_str_z(WORDS[on][0]);
    if (row->at != NOWHERE)
        *(bool *)((char *)f + row->at) = on == 1;
    return SX_OK;
}

/* Whole numbers; Prometheus takes 5e7, too. */
static sx_status take_int(observe_flags *f, const flag_row *row, sx_str value, sx_str *shown,
                          sx_error *err)
{
    double number;
    if (!sx_double_parse(value, &number) || number < 0 || number > 9e15 ||
        number != (double)(int64_t)number)
        return bad_value(row, value, "not a whole number from 0 on", err);
    if (row->at != NOWHERE)
        *(int64_t *)((char *)f + row->at) = (int64_t)number;
    *shown = sx_arena_printf(&f->arena, "%lld", (long long)number);
    return SX_OK;
}

/* `again`: the flag was given before, so that its values add up. */
static sx_status take(observe_flags *f, const flag_row *row, sx_str value, bool again,
                      sx_error *err)
{
    sx_str *shown = &f->shown[row - ROWS];
    double number;
    sx_status status = SX_OK;
    sx_str before = *shown;
    *shown = value;
    switch (row->kind) {
    case TEXT:
        break;
    case EACH:
        f->listen_count = again ? f->listen_count : 0;
        if (f->listen_count == OBSERVE_LISTEN_MAX)
            return sx_fail(err, SX_ELIMIT, "--%s stands there more than %d times", row->name,
                           OBSERVE_LISTEN_MAX);
        f->listen[f->listen_count++] = value;
        break;
    case JOINED:
        if (again)
            *shown = sx_arena_printf(&f->arena, "%.*s,%.*s", SX_ARG(before), SX_ARG(value));
        break;
    case BOOL:
        status = take_bool(f, row, value, shown, err);
        break;
    case INT:
        status = take_int(f, row, value, shown, err);
        break;
    case FLOAT:
        if (!sx_double_parse(value, &number))
            return bad_value(row, value, "not a number", err);
        break;
    case MS:
        status = take_ms(f, row, value, shown, err);
        break;
    case BYTES:
        status = take_bytes(f, row, value, shown, err);
        break;
    case REFUSED:
        return sx_fail(err, SX_EINVAL, "--%s is not supported: %s", row->name, row->help);
    }
    if (row->kind == EACH && again)
        *shown = sx_arena_printf(&f->arena, "%.*s,%.*s", SX_ARG(before), SX_ARG(value));
    if ((row->kind == TEXT || row->kind == JOINED) && row->at != NOWHERE)
        *(sx_str *)((char *)f + row->at) = *shown;
    if (status == SX_OK && shown->len && !shown->data)
        return sx_fail_memory(err, "flags");
    return status;
}

/* ---- reading ---- */

static const flag_row *find_row(sx_str name)
{
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        if (sx_str_eq(name, sx_str_z(ROWS[i].name)))
            return &ROWS[i];
    return NULL;
}

static sx_status unknown_flag(sx_str name, sx_error *err)
{
    sx_str names[SX_COUNT_OF(ROWS)];
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        names[i] = sx_str_z(ROWS[i].name);
    const sx_str *near = sx_nearest_word(name, names, SX_COUNT_OF(ROWS));
    if (near)
        return sx_fail(err, SX_EINVAL, "there is no flag --%.*s; did you mean --%.*s?",
                       SX_ARG(name), SX_ARG(*near));
    return sx_fail(err, SX_EINVAL, "there is no flag --%.*s; 'sextant help observe' lists them",
                   SX_ARG(name));
}

/* The kit's settings, by the first part of their names; what is wrong with one the service tells. */
static bool is_kit_flag(sx_str name)
{
    static const char *const ROOTS[] = {"access_log",
                                        "admin",
                                        "cors",
                                        "http",
                                        "limits",
                                        "log",
                                        "loops",
                                        "metrics",
                                        "otlp",
                                        "profile",
                                        "proxy_protocol",
                                        "shutdown_ms_max",
                                        "shutdown_delay_ms",
                                        "tls",
                                        "tracing"};
    sx_str root, rest;
    sx_str_cut(name, '.', &root, &rest);
    for (size_t i = 0; i < SX_COUNT_OF(ROOTS); i++)
        if (sx_str_eq(root, sx_str_z(ROOTS[i])))
            return true;
    return false;
}

static sx_status pass_on(observe_flags *f, const char *typed, sx_error *err)
{
    if (f->kit_count == OBSERVE_KIT_FLAGS_MAX)
        return sx_fail(err, SX_ELIMIT, "more than %d settings of the service on the command line",
                       OBSERVE_KIT_FLAGS_MAX);
    f->kit[f->kit_count++] = typed;
    return SX_OK;
}

/* argv[*at], and its value if that is the next word. `given` has a bit for each row. */
static sx_status read_one(int argc, char **argv, int *at, bool *given, observe_flags *f,
                          sx_error *err)
{
    const char *typed = argv[*at];
    if (typed[0] != '-' || typed[1] == '\0')
        return sx_fail(err, SX_EINVAL,
                       "observe does not know what to do with '%s'; flags are written "
                       "--name=value",
                       typed);
    sx_str name, value = {0};
    bool glued = sx_str_cut(sx_str_z(typed + (typed[1] == '-' ? 2 : 1)), '=', &name, &value);
    const flag_row *row = find_row(name);
    bool off = !row && sx_str_starts(name, SX_STR("no-"));
    if (off)
        row = find_row(sx_str_from(name, 3));
    if (off && row && row->kind != BOOL)
        row = NULL;
    if (!row && glued && typed[1] == '-' && is_kit_flag(name))
        return pass_on(f, typed, err);
    if (!row)
        return unknown_flag(name, err);
    if (row->kind == BOOL && !glued)
        value = off ? SX_STR("false") : SX_STR("true");
    else if (!glued && row->kind != REFUSED && *at + 1 >= argc)
        return sx_fail(err, SX_EINVAL, "--%s wants a value: --%s=%s", row->name, row->name,
                       row->fallback[0] ? row->fallback : "VALUE");
    else if (!glued && row->kind != REFUSED)
        value = sx_str_z(argv[++*at]);
    if (row->flags & NO_EFFECT && !given[row - ROWS])
        f->idle[f->idle_count++] = (observe_idle_flag){row->name, row->help};
    sx_status status = take(f, row, value, given[row - ROWS], err);
    given[row - ROWS] = true;
    return status;
}

static sx_status read_features(observe_flags *f, sx_error *err)
{
    sx_str rest = f->features, one;
    while (rest.len) {
        sx_str_cut(rest, ',', &one, &rest);
        const struct feature *found = NULL;
        for (size_t i = 0; i < SX_COUNT_OF(FEATURES) && !found; i++)
            if (sx_str_eq(one, sx_str_z(FEATURES[i].name)))
                found = &FEATURES[i];
        if (!found)
            return sx_fail(err, SX_EINVAL, "--enable-feature: there is no feature '%.*s'",
                           SX_ARG(one));
        if (found->refused)
            return sx_fail(err, SX_EINVAL, "--enable-feature=%s is not supported: %s", found->name,
                           found->refused);
        f->feature_bits |= found->bit;
        f->promql_features |= found->promql;
    }
    if (f->feature_bits & OBSERVE_FEATURE_OTLP_DELTA &&
        f->feature_bits & OBSERVE_FEATURE_OTLP_ADD_UP)
        return sx_fail(err, SX_EINVAL,
                       "--enable-feature: otlp-deltatocumulative and otlp-native-delta-ingestion "
                       "exclude each other");
    return SX_OK;
}

static sx_status check_messages(const observe_flags *f, sx_error *err)
{
    sx_str rest = f->write_messages, one;
    do {
        sx_str_cut(rest, ',', &one, &rest);
        if (!sx_str_eq(one, SX_STR("prometheus.WriteRequest")) &&
            !sx_str_eq(one, SX_STR("io.prometheus.write.v2.Request")))
            return sx_fail(err, SX_EINVAL,
                           "--web.remote-write-receiver.accepted-protobuf-messages: '%.*s' is "
                           "neither prometheus.WriteRequest nor io.prometheus.write.v2.Request",
                           SX_ARG(one));
    } while (rest.len);
    return SX_OK;
}

static sx_status check_words(const observe_flags *f, sx_error *err)
{
    static const struct {
        size_t at;
        const char *name, *words;
    } CHOICES[] = {{AT(fsync), "storage.tsdb.fsync", " always interval none "},
                   {AT(log_format), "log.format", " logfmt json "},
                   {AT(log_level), "log.level", " debug info warn error "},
                   {AT(wal_packing), "storage.tsdb.wal-compression-type", " snappy zstd "}};
    for (size_t i = 0; i < SX_COUNT_OF(CHOICES); i++) {
        sx_str value = *(const sx_str *)((const char *)f + CHOICES[i].at);
        char word[32];
        snprintf(word, sizeof word, " %.*s ", SX_ARG(sx_str_first(value, 16)));
        if (!value.len || !strstr(CHOICES[i].words, word))
            return sx_fail(err, SX_EINVAL, "--%s=%.*s: it takes one of%s", CHOICES[i].name,
                           SX_ARG(value), CHOICES[i].words);
    }
    return SX_OK;
}

sx_status observe_flags_parse(int argc, char **argv, observe_flags *out, sx_error *err)
{
    *out = (observe_flags){0};
    sx_arena_init(&out->arena, 0, 0);
    bool given[SX_COUNT_OF(ROWS)] = {0};
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS) && status == SX_OK; i++) {
        if (ROWS[i].kind == REFUSED || ROWS[i].fallback[0] == '\0')
            out->shown[i] = sx_str_z(ROWS[i].fallback);
        else
            status = take(out, &ROWS[i], sx_str_z(ROWS[i].fallback), false, err);
    }
    for (int i = 0; i < argc && status == SX_OK; i++)
        status = read_one(argc, argv, &i, given, out, err);
    if (status == SX_OK)
        status = read_features(out, err);
    if (status == SX_OK)
        status = check_messages(out, err);
    return status == SX_OK ? check_words(out, err) : status;
}

void observe_flags_done(observe_flags *f)
{
    sx_arena_done(&f->arena);
}

void observe_flags_json(const observe_flags *f, sx_buf *out)
{
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_buf_byte(out, i ? ',' : '{');
        sx_json_quote(out, sx_str_z(ROWS[i].name), SX_JSON_UTF8);
        sx_buf_byte(out, ':');
        sx_json_quote(out, f->shown[i], SX_JSON_UTF8);
    }
    sx_buf_byte(out, '}');
}

void observe_flags_help(sx_buf *out)
{
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        const flag_row *row = &ROWS[i];
        if (row->kind == REFUSED || (row->flags & (HIDDEN | NO_EFFECT)))
            continue;
        sx_buf_printf(out, "  --%s%s\n        %s\n", row->name, row->kind == BOOL ? "" : "=VALUE",
                      row->help);
        if (row->fallback[0])
            sx_buf_printf(out, "        default: %s\n", row->fallback);
    }
}
