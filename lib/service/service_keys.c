/* service_keys.c - the settings that every service has. docs/config.md is made from these rows. */
#include "service/service_internal.h"

#define AT(field) SX_AT(sx_service_settings, field)

/* In the order of sx_level and sx_log_form. */
static const char *const LEVELS[] = {"trace", "debug", "info", "warn",
                                     "error", "fatal", "off",  NULL};
static const char *const CODECS[] = {"none", "gzip", "zstd", NULL};
static const char *const FORMS[] = {"auto", "json", "console", NULL};
/* In the order of sx_otlp_protocol, after what leaves it to the environment. */
static const char *const PROTOCOLS[] = {"default", "http/protobuf", "http/json", "grpc", NULL};
static const char *const COMPRESSIONS[] = {"default", "none", "gzip", NULL};

const sx_key SX_SERVICE_KEYS[] = {
    {"listen", SX_ADDRESS, AT(listen), .help = "address to serve on; port 0 is any free one",
     .text = "127.0.0.1:8080", .flags = SX_KEY_RESTART},
    {"admin.listen", SX_ADDRESS, AT(admin_listen),
     .help = "address of /metrics, /health and /admin; empty: the first two on the main one, no "
             "/admin",
     .flags = SX_KEY_RESTART},
    {"tls.chain_file", SX_TEXT, AT(tls_chain_file),
     .help = "PEM file of the certificate, leaf first; empty: cleartext", .flags = SX_KEY_RESTART},
    {"tls.key_file", SX_TEXT, AT(tls_key_file), .help = "PEM file of its key",
     .flags = SX_KEY_RESTART},
    {"web.config.file", SX_TEXT, AT(web_config_file),
     .help = "file in the form of Prometheus's exporters: TLS, users, headers",
     .flags = SX_KEY_RESTART},
    {"health.public", SX_BOOL, AT(health_public), 1,
     .help = "/health/live and /health/ready answer without a password where the web configuration "
             "has users",
     .flags = SX_KEY_RESTART},
    {"proxy_protocol", SX_BOOL, AT(proxy_protocol),
     .help = "expect a PROXY header, version 1 or 2, on each connection", .flags = SX_KEY_RESTART},
    {"loops", SX_INT, AT(loops), 0, 0, 256, "event loops; 0: one a core", .flags = SX_KEY_RESTART},
    {"shutdown_ms_max", SX_MS, AT(shutdown_ms_max), 10000, 0, 3600000,
     "longest drain after SIGTERM"},
    {"shutdown_delay_ms", SX_MS, AT(shutdown_delay_ms), 0, 0, 600000,
     "time between being not ready and the drain, for balancers to notice"},
    {"log.level", SX_CHOICE, AT(log_level), 2, .help = "least severity that is logged",
     .choices = LEVELS},
    {"log.form", SX_CHOICE, AT(log_form), 0, .help = "auto is console on a terminal, else json",
     .choices = FORMS, .flags = SX_KEY_RESTART},
    {"log.path", SX_TEXT, AT(log_path), .help = "file of the event log; empty: stderr",
     .flags = SX_KEY_RESTART},
    {"log.levels", SX_TEXT, AT(log_levels),
     .help = "levels of parts, such as net=debug,orders.*=trace; the others have log.level"},
    {"log.layer", SX_TEXT, AT(log_layer), .help = "field layer of each line; empty: none",
     .flags = SX_KEY_RESTART},
    {"log.repeats_max", SX_INT, AT(log_repeats_max), 10, 1, 2000000000,
     "lines of the same words in 5 s; more are counted and told once", .flags = SX_KEY_RESTART},
    {"log.rotate_bytes", SX_BYTES, AT(log_rotate_bytes), 0, 0, 1ll << 50,
     "size above which the log's file is rotated; 0: any", .flags = SX_KEY_RESTART},
    {"log.rotate_ms", SX_MS, AT(log_rotate_ms), 0, 0, 2000000000,
     "age above which the log's file is rotated; 0: any", .flags = SX_KEY_RESTART},
    {"log.rotate_keep", SX_INT, AT(log_rotate_keep), 5, 1, 10000, "rotated files that are kept",
     .flags = SX_KEY_RESTART},
    {"log.rotate_codec", SX_CHOICE, AT(log_rotate_codec), 0, .help = "how rotated files are kept",
     .choices = CODECS, .flags = SX_KEY_RESTART},
    {"log.recent_bytes", SX_BYTES, AT(log_recent_bytes), 128 << 10, 0, 64 << 20,
     "of the event log's last lines, kept in memory for pages that show them; 0: none",
     .flags = SX_KEY_RESTART},
    {"access_log", SX_TEXT, AT(access_log),
     .help = "file of the access log; -: stdout, log: the event log, off: not written", .text = "-",
     .flags = SX_KEY_RESTART},
    {"metrics.series_max", SX_INT, AT(series_max), 1000, 1, 10000000,
     "label combinations of a metric; further ones are counted as \"other\"",
     .flags = SX_KEY_RESTART},
    {"profile.heap_bytes", SX_BYTES, AT(profile_heap_bytes), 512 * 1024, 0, 1ll << 40,
     "one byte of the heap in so many is sampled, for /debug/pprof/heap; 0: none"},
    {"profile.seconds_max", SX_INT, AT(profile_seconds_max), 300, 1, 86400,
     "longest /debug/pprof/profile", .flags = SX_KEY_RESTART},
    {"http.body_bytes_max", SX_BYTES, AT(body_bytes_max), 1 << 20, 0, 1 << 30,
     "largest request body, unless its route says otherwise; above it 413",
     .flags = SX_KEY_RESTART},
    {"http.compress", SX_BOOL, AT(policy.compress), 1,
     .help = "compress replies that the client can read and that are worth it"},
    {"http.compress_bytes_min", SX_BYTES, AT(policy.compress_bytes_min), 1024, 0, 1 << 30,
     "smallest reply that is compressed"},
    {"http.gzip_level", SX_INT, AT(policy.gzip_level), 0, 0, 9, "0: 6"},
    {"http.zstd_level", SX_INT, AT(policy.zstd_level), 0, 0, 19, "0: 3"},
    {"http.brotli_level", SX_INT, AT(policy.brotli_level), 0, 0, 11, "0: 5"},
    {"http.security_headers", SX_BOOL, AT(policy.security_headers), 1,
     .help = "send nosniff, and the headers of the next rows, on every reply"},
    {"http.frame_options", SX_TEXT, AT(policy.frame_options),
     .help = "X-Frame-Options; empty: none", .text = "DENY"},
    {"http.referrer_policy", SX_TEXT, AT(policy.referrer_policy),
     .help = "Referrer-Policy; empty: none", .text = "strict-origin-when-cross-origin"},
    {"http.content_security_policy", SX_TEXT, AT(policy.content_security_policy),
     .help = "Content-Security-Policy of replies whose handler sends none; empty: none"},
    {"http.hsts_max_age_ms", SX_MS, AT(policy.hsts_ms), 0, 0, 3000000000,
     "Strict-Transport-Security's max-age over TLS; 0: none"},
    {"cors.origins", SX_TEXTS, AT(policy.cors_origins),
     .help = "origins whose pages may ask, such as https://*.example.com, or *; empty: none"},
    {"cors.methods", SX_TEXTS, AT(policy.cors_methods),
     .help = "methods that they may use; empty: what the routes take"},
    {"cors.headers", SX_TEXTS, AT(policy.cors_headers),
     .help = "header fields that they may send; empty: any"},
    {"cors.expose_headers", SX_TEXTS, AT(policy.cors_expose),
     .help = "header fields of replies that they may read"},
    {"cors.credentials", SX_BOOL, AT(policy.cors_credentials), 0,
     .help = "with cookies and authentication; not with *"},
    {"cors.max_age_ms", SX_MS, AT(policy.cors_max_age_ms), 600000, 0, 86400000,
     "how long a browser may remember a preflight's answer"},
    {"limits.rate", SX_TEXT, AT(guard.rate),
     .help =
         "requests of a client, such as \"100/second + 1000/minute\"; above it 429; empty: any"},
    {"limits.key", SX_TEXT, AT(guard.key),
     .help = "who is a client: address, or the name of a header", .text = "address"},
    {"limits.exempt", SX_TEXTS, AT(guard.exempt),
     .help =
         "clients that limits.rate does not hold for: addresses, prefixes such as 10.0.0.0/8, or "
         "loopback"},
    {"limits.keys_max", SX_INT, AT(guard.keys_max), 100000, 1, 100000000,
     "clients that are counted at a time; the least recent gives way", .flags = SX_KEY_RESTART},
    {"limits.headers", SX_BOOL, AT(guard.headers), 1,
     .help = "tell clients what is left, by RateLimit-... on every reply"},
    {"limits.in_flight_max", SX_INT, AT(guard.in_flight_max), 0, 0, 100000000,
     "requests under way in the whole process; above it 503, by priority; 0: any"},
    {"limits.shed", SX_BOOL, AT(guard.shed), 0,
     .help = "refuse by priority, with 503, while loops are late or the processors are used up",
     .flags = SX_KEY_RESTART},
    {"tracing.sampler", SX_TEXT, AT(sampler),
     .help = "as OTEL_TRACES_SAMPLER, which counts if this is empty"},
    {"tracing.sampler_argument", SX_TEXT, AT(sampler_argument),
     .help = "its ratio, or traces a second"},
    {"tracing.propagators", SX_TEXTS, AT(propagators),
     .help =
         "tracecontext, baggage, b3, b3multi, jaeger; empty: OTEL_PROPAGATORS, or the first two",
     .flags = SX_KEY_RESTART},
    {"otlp.endpoint", SX_TEXT, AT(otlp.endpoint),
     .help =
         "collector, such as http://127.0.0.1:4318; empty: OTEL_EXPORTER_OTLP_ENDPOINT, or none",
     .flags = SX_KEY_RESTART},
    {"otlp.protocol", SX_CHOICE, AT(otlp.protocol), 0,
     .help = "default is OTEL_EXPORTER_OTLP_PROTOCOL, or http/protobuf", .choices = PROTOCOLS,
     .flags = SX_KEY_RESTART},
    {"otlp.signals", SX_TEXTS, AT(otlp.signals), .help = "what goes to otlp.endpoint",
     .text = "traces,logs,metrics", .flags = SX_KEY_RESTART},
    {"otlp.headers", SX_TEXT, AT(otlp.headers), .help = "key=value,key=value, percent-encoded",
     .flags = SX_KEY_RESTART | SX_KEY_SECRET},
    {"otlp.compression", SX_CHOICE, AT(otlp.compression), 0,
     .help = "default is OTEL_EXPORTER_OTLP_COMPRESSION, or none", .choices = COMPRESSIONS,
     .flags = SX_KEY_RESTART},
    {"otlp.timeout_ms", SX_MS, AT(otlp.timeout_ms), 0, 0, 600000, "of one attempt; 0: 10s",
     .flags = SX_KEY_RESTART},
    {"otlp.ca_file", SX_TEXT, AT(otlp.ca_file), .help = "PEM file of the receiver's authority",
     .flags = SX_KEY_RESTART},
    {"otlp.chain_file", SX_TEXT, AT(otlp.chain_file), .help = "PEM file of our certificate",
     .flags = SX_KEY_RESTART},
    {"otlp.key_file", SX_TEXT, AT(otlp.key_file), .help = "PEM file of its key",
     .flags = SX_KEY_RESTART},
    {"otlp.resource", SX_TEXT, AT(otlp.resource),
     .help = "key=value,... beside OTEL_RESOURCE_ATTRIBUTES", .flags = SX_KEY_RESTART},
    {"otlp.queue_max", SX_INT, AT(otlp.queue_max), 0, 0, 10000000,
     "records that wait, a signal; 0: 2048", .flags = SX_KEY_RESTART},
    {"otlp.batch_max", SX_INT, AT(otlp.batch_max), 0, 0, 1000000, "records of a request; 0: 512",
     .flags = SX_KEY_RESTART},
    {"otlp.batch_delay_ms", SX_MS, AT(otlp.batch_delay_ms), 0, 0, 600000,
     "longest wait for a full batch; 0: 5s of spans, 1s of log records", .flags = SX_KEY_RESTART},
    {"otlp.metrics_interval_ms", SX_MS, AT(otlp.metrics_interval_ms), 0, 0, 3600000,
     "time between two exports of metrics; 0: 60s", .flags = SX_KEY_RESTART},
    {"http.header_bytes_max", SX_BYTES, AT(limits.header_bytes_max), 32768, 1024, 1 << 20,
     "largest header block; above it 431", .flags = SX_KEY_RESTART},
    {"http.header_count_max", SX_INT, AT(limits.header_count_max), 128, 8, 10000,
     "most header fields; above it 431", .flags = SX_KEY_RESTART},
    {"http.target_bytes_max", SX_BYTES, AT(limits.target_bytes_max), 16384, 256, 1 << 20,
     "longest request target; above it 414", .flags = SX_KEY_RESTART},
    {"http.chunk_header_bytes_max", SX_BYTES, AT(limits.chunk_header_bytes_max), 4096, 64, 1 << 20,
     "longest size line of a chunk, and all trailers", .flags = SX_KEY_RESTART},
    {"http.header_ms_max", SX_MS, AT(limits.header_ms_max), 10000, 100, 600000,
     "from a request's first byte to the end of its head; then 408", .flags = SX_KEY_RESTART},
    {"http.body_ms_max", SX_MS, AT(limits.body_ms_max), 30000, 100, 3600000,
     "longest silence inside a body; then 408", .flags = SX_KEY_RESTART},
    {"http.idle_ms_max", SX_MS, AT(limits.idle_ms_max), 75000, 1000, 600000,
     "a quiet connection is closed after this", .flags = SX_KEY_RESTART},
    {"http.write_ms_max", SX_MS, AT(limits.write_ms_max), 30000, 100, 3600000,
     "longest time without progress of a reply; then reset", .flags = SX_KEY_RESTART},
    {"http.connections_max", SX_INT, AT(limits.connections_max), 20000, 1, 10000000,
     "connections of a loop; above it 503", .flags = SX_KEY_RESTART},
    {"http.requests_max", SX_INT, AT(limits.requests_max), 0, 0, 2000000000,
     "requests on a connection before it is closed; 0: any", .flags = SX_KEY_RESTART},
    {"http.pipeline_max", SX_INT, AT(limits.pipeline_max), 64, 1, 10000,
     "requests waiting on one HTTP/1.1 connection", .flags = SX_KEY_RESTART},
    {"http.streams_max", SX_INT, AT(limits.streams_max), 128, 1, 100000,
     "concurrent HTTP/2 streams of a connection", .flags = SX_KEY_RESTART},
    {"http.stream_resets_max", SX_INT, AT(limits.stream_resets_max), 200, 1, 1000000,
     "HTTP/2 streams that a client may reset in 10 s; then GOAWAY", .flags = SX_KEY_RESTART},
    {"http.output_high_bytes", SX_BYTES, AT(limits.output_high_bytes), 262144, 4096, 1 << 30,
     "a streamed reply waits above this", .flags = SX_KEY_RESTART},
    {"http.output_low_bytes", SX_BYTES, AT(limits.output_low_bytes), 65536, 0, 1 << 30,
     "and goes on below this", .flags = SX_KEY_RESTART},
};

const size_t SX_SERVICE_KEY_COUNT = SX_COUNT_OF(SX_SERVICE_KEYS);

/* Of the file, read by the service itself. */
static const sx_str TREES[] = {SX_STR_INIT("tracing.rules")};

sx_status sx_service_trees(const sx_service_def *def, sx_arena *arena, sx_config_options *into,
                           sx_error *err)
{
    size_t own = SX_COUNT_OF(TREES), count = def->tree_count + own;
    sx_str *trees = (sx_str *)sx_arena_calloc(arena, count, sizeof(*trees));
    if (!trees)
        return sx_fail_memory(err, "the settings");
    memcpy(trees, TREES, sizeof(TREES));
    if (def->tree_count)
        memcpy(trees + own, def->trees, def->tree_count * sizeof(*trees));
    into->trees = trees;
    into->tree_count = count;
    return SX_OK;
}

void sx_service_rows(const sx_service_def *def, sx_key *rows)
{
    memcpy(rows, SX_SERVICE_KEYS, sizeof(SX_SERVICE_KEYS));
    for (size_t i = 0; i < SX_SERVICE_KEY_COUNT; i++) {
        if (def->listen && rows[i].offset == offsetof(sx_service_settings, listen))
            rows[i].text = def->listen;
        if (def->admin_listen && rows[i].offset == offsetof(sx_service_settings, admin_listen))
            rows[i].text = def->admin_listen;
    }
    for (size_t i = 0; i < def->default_count; i++) {
        size_t at = 0;
        while (at < SX_SERVICE_KEY_COUNT && strcmp(rows[at].key, def->defaults[i].key) != 0)
            at++;
        sx_assert(at < SX_SERVICE_KEY_COUNT); /* a definition names keys that there are */
        rows[at].text = def->defaults[i].text;
        rows[at].usual = def->defaults[i].usual;
    }
}

size_t sx_service_sets(const sx_service_def *def, const sx_key *rows, sx_service_settings *settings,
                       void *config, sx_key_set sets[2])
{
    sets[0] = (sx_key_set){rows, SX_SERVICE_KEY_COUNT, settings};
    sets[1] = (sx_key_set){def->keys, def->key_count, config};
    return def->key_count > 0 ? 2 : 1;
}

void sx_service_help(const sx_service_def *def, sx_buf *out)
{
    sx_key rows[SX_COUNT_OF(SX_SERVICE_KEYS)];
    sx_key_set sets[2];
    sx_service_rows(def, rows);
    size_t count = sx_service_sets(def, rows, NULL, NULL, sets);
    sx_config_help(sets, count, out);
}

void sx_service_docs(const sx_service_def *def, sx_buf *out)
{
    sx_key rows[SX_COUNT_OF(SX_SERVICE_KEYS)];
    sx_key_set sets[2];
    sx_service_rows(def, rows);
    size_t count = sx_service_sets(def, rows, NULL, NULL, sets);
    sx_config_docs(def->name, sets, count, out);
}
