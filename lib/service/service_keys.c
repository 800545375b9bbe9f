/* service_keys.c - the settings that every service has. docs/config.md is made from these rows. */
#include "service/service_internal.h"

#define AT(field) SX_AT(sx_service_settings, field)

/* In the order of sx_level and sx_log_form. */
static const char *const LEVELS[] = {"trace", "debug", "info", "warn",
                                     "error", "fatal", "off",  NULL};
static const char *const FORMS[] = {"auto", "json", "console", NULL};

const sx_key SX_SERVICE_KEYS[] = {
    {"listen", SX_ADDRESS, AT(listen), .help = "address to serve on; port 0 is any free one",
     .text = "127.0.0.1:8080", .flags = SX_KEY_RESTART},
    {"admin.listen", SX_ADDRESS, AT(admin_listen),
     .help = "address of /metrics and /health; empty: on the main one", .flags = SX_KEY_RESTART},
    {"tls.chain_file", SX_TEXT, AT(tls_chain_file),
     .help = "PEM file of the certificate, leaf first; empty: cleartext", .flags = SX_KEY_RESTART},
    {"tls.key_file", SX_TEXT, AT(tls_key_file), .help = "PEM file of its key",
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
    {"access_log", SX_TEXT, AT(access_log),
     .help = "file of the access log; -: stdout, log: the event log, off: none", .text = "-",
     .flags = SX_KEY_RESTART},
    {"metrics.series_max", SX_INT, AT(series_max), 1000, 1, 10000000,
     "label combinations of a metric; further ones are counted as \"other\"",
     .flags = SX_KEY_RESTART},
    {"http.body_bytes_max", SX_BYTES, AT(body_bytes_max), 1 << 20, 0, 1 << 30,
     "largest request body, unless its route says otherwise; above it 413",
     .flags = SX_KEY_RESTART},
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

void sx_service_rows(const sx_service_def *def, sx_key *rows)
{
    memcpy(rows, SX_SERVICE_KEYS, sizeof(SX_SERVICE_KEYS));
    for (size_t i = 0; i < SX_SERVICE_KEY_COUNT; i++) {
        if (def->listen && rows[i].offset == offsetof(sx_service_settings, listen))
            rows[i].text = def->listen;
        if (def->admin_listen && rows[i].offset == offsetof(sx_service_settings, admin_listen))
            rows[i].text = def->admin_listen;
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
