/* otlp_env.c - OTEL_* variables of the exporter, with the specification's meaning.
 *
 * A variable of a signal (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) beats the general one. Endpoints and
 * headers may hold secrets: a warning names the variable and the fault, never the value. Source:
 * OpenTelemetry specification, "Environment Variable Specification", "OTLP Exporter". */
#include "telemetry/otlp_env.h"

#include <stddef.h>
#include <stdio.h>

#include <sextant/url.h>

#include "telemetry/otlp_send.h"

/* ---- what both readers share ---- */

sx_str sx_otlp_env_get(const sx_otlp_env *e, const char *name)
{
    sx_str wanted = sx_str_z(name);
    for (const char *const *at = e->environment; at && *at; at++) {
        sx_str entry = sx_str_z(*at);
        if (sx_str_starts(entry, wanted) && entry.len > wanted.len && entry.data[wanted.len] == '=')
            return sx_str_trim(sx_str_from(entry, wanted.len + 1));
    }
    return SX_STR("");
}

void sx_otlp_env_warn(sx_otlp_env *e, const char *name, const char *fmt, ...)
{
    if (!e->warnings)
        return;
    va_list args;
    size_t before = e->warnings->len;
    va_start(args, fmt);
    sx_buf_printf(e->warnings, "%s: ", name);
    sx_buf_vprintf(e->warnings, fmt, args);
    va_end(args);
    sx_str rest = sx_str_first(sx_buf_view(e->warnings), before), told;
    sx_str line = sx_str_from(sx_buf_view(e->warnings), before);
    while (rest.len > 0) { /* a general variable is read once for each signal */
        sx_str_cut(rest, '\n', &told, &rest);
        if (sx_str_eq(told, line)) {
            e->warnings->len = before;
            return;
        }
    }
    sx_buf_byte(e->warnings, '\n');
}

static sx_str keep(sx_otlp_env *e, sx_str text)
{
    sx_str copy = sx_arena_copy(e->arena, text);
    e->failed = e->failed || !copy.data;
    return copy;
}

bool sx_otlp_env_text(sx_otlp_env *e, const char *name, sx_str *out)
{
    sx_str value = sx_otlp_env_get(e, name);
    if (value.len > 0)
        *out = keep(e, value);
    return value.len > 0;
}

bool sx_otlp_env_u32(sx_otlp_env *e, const char *name, uint32_t least, uint32_t *out)
{
    uint64_t number;
    sx_str value = sx_otlp_env_get(e, name);
    if (value.len == 0)
        return false;
    if (!sx_str_to_u64(value, &number) || number < least || number > UINT32_MAX) {
        sx_otlp_env_warn(e, name, "'%.*s' is no whole number from %u to %u; ignored",
                         SX_ARG(sx_str_first(value, 40)), least, UINT32_MAX);
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

bool sx_otlp_env_bool(sx_otlp_env *e, const char *name, bool *out)
{
    sx_str value = sx_otlp_env_get(e, name);
    if (value.len == 0)
        return false;
    *out = sx_str_ieq(value, SX_STR("true"));
    if (!*out && !sx_str_ieq(value, SX_STR("false")))
        sx_otlp_env_warn(e, name, "'%.*s' is neither true nor false; taken as false",
                         SX_ARG(sx_str_first(value, 40)));
    return true;
}

bool sx_otlp_env_next(sx_str *rest, sx_str *word)
{
    while (rest->len > 0) {
        sx_str_cut(*rest, ',', word, rest);
        *word = sx_str_trim(*word);
        if (word->len > 0)
            return true;
    }
    return false;
}

/* ---- the exporter's ---- */

typedef struct signal_words {
    const char *infix;    /* of OTEL_EXPORTER_OTLP_TRACES_… */
    const char *exporter; /* which exporter */
    const char *path;     /* below the general endpoint */
} signal_words;

static const signal_words SIGNALS[SX_OTLP_SIGNALS] = {
    [SX_OTLP_SPANS] = {"TRACES_", "OTEL_TRACES_EXPORTER", "v1/traces"},
    [SX_OTLP_LOGS] = {"LOGS_", "OTEL_LOGS_EXPORTER", "v1/logs"},
    [SX_OTLP_METRICS] = {"METRICS_", "OTEL_METRICS_EXPORTER", "v1/metrics"},
};

typedef struct name_text {
    char text[64];
} name_text;

static name_text name_of(const char *infix, const char *key)
{
    name_text n;
    snprintf(n.text, sizeof(n.text), "OTEL_EXPORTER_OTLP_%s%s", infix, key);
    return n;
}

static bool set_protocol(sx_otlp_env *e, const char *name, sx_otlp_target *t)
{
    static const sx_str NAMES[] = {
        [SX_OTLP_HTTP_PROTOBUF] = SX_STR_INIT("http/protobuf"),
        [SX_OTLP_HTTP_JSON] = SX_STR_INIT("http/json"),
        [SX_OTLP_GRPC] = SX_STR_INIT("grpc"),
    };
    sx_str value = sx_otlp_env_get(e, name);
    for (int i = 0; value.len > 0 && i < SX_OTLP_PROTOCOLS; i++)
        if (sx_str_ieq(value, NAMES[i])) {
            t->protocol = (sx_otlp_protocol)i;
            return true;
        }
    if (value.len > 0)
        sx_otlp_env_warn(e, name, "'%.*s' is none of http/protobuf, http/json, grpc; ignored",
                         SX_ARG(sx_str_first(value, 40)));
    return false;
}

static bool set_compression(sx_otlp_env *e, const char *name, sx_otlp_target *t)
{
    sx_str value = sx_otlp_env_get(e, name);
    bool gzip = sx_str_ieq(value, SX_STR("gzip"));
    if (value.len == 0)
        return false;
    if (!gzip && !sx_str_ieq(value, SX_STR("none"))) {
        sx_otlp_env_warn(e, name, "'%.*s' is neither gzip nor none; ignored",
                         SX_ARG(sx_str_first(value, 40)));
        return false;
    }
    t->gzip = gzip;
    return true;
}

static bool set_headers(sx_otlp_env *e, const char *name, sx_otlp_target *t)
{
    sx_str text = sx_otlp_env_get(e, name), rest = text, key, value;
    sx_error err = {0};
    sx_arena arena;
    sx_status st;
    if (text.len == 0)
        return false;
    sx_arena_init(&arena, 0, 1 << 20);
    while ((st = sx_otlp_headers_next(&arena, &rest, &key, &value, &err)) == SX_OK)
        ;
    sx_arena_done(&arena);
    if (st != SX_END) {
        sx_otlp_env_warn(e, name, "%s; ignored", err.message);
        return false;
    }
    t->headers = keep(e, text);
    return true;
}

static bool set_timeout(sx_otlp_env *e, const char *name, sx_otlp_target *t)
{
    return sx_otlp_env_u32(e, name, 1, &t->timeout_ms);
}

static bool set_ca(sx_otlp_env *e, const char *name, sx_otlp_target *t)
{
    return sx_otlp_env_text(e, name, &t->ca_file);
}

static bool set_key(sx_otlp_env *e, const char *name, sx_otlp_target *t)
{
    return sx_otlp_env_text(e, name, &t->client_key_file);
}

static bool set_chain(sx_otlp_env *e, const char *name, sx_otlp_target *t)
{
    return sx_otlp_env_text(e, name, &t->client_chain_file);
}

/* Variables with a general form and one for each signal; whether it was set and could be read. */
static const struct {
    const char *key;
    bool (*set)(sx_otlp_env *e, const char *name, sx_otlp_target *t);
} KEYS[] = {
    {"PROTOCOL", set_protocol},        {"COMPRESSION", set_compression}, {"HEADERS", set_headers},
    {"TIMEOUT", set_timeout},          {"CERTIFICATE", set_ca},          {"CLIENT_KEY", set_key},
    {"CLIENT_CERTIFICATE", set_chain},
};

/* gRPC's endpoints may be HOST:PORT; whether TLS is meant is then said elsewhere. */
static sx_str with_scheme(sx_otlp_env *e, const char *infix, sx_str endpoint, bool is_grpc)
{
    bool insecure = false;
    if (!is_grpc || sx_str_find(endpoint, SX_STR("://")) < endpoint.len)
        return endpoint;
    if (!sx_otlp_env_bool(e, name_of(infix, "INSECURE").text, &insecure))
        sx_otlp_env_bool(e, name_of("", "INSECURE").text, &insecure);
    sx_str whole =
        sx_arena_printf(e->arena, "%s://%.*s", insecure ? "http" : "https", SX_ARG(endpoint));
    e->failed = e->failed || !whole.data;
    return whole;
}

/* The general endpoint with the signal's path, for HTTP; a query stays at the end. */
static sx_str with_path(sx_otlp_env *e, sx_str endpoint, const char *path)
{
    sx_str base, query;
    bool has_query = sx_str_cut(endpoint, '?', &base, &query);
    bool slash = sx_str_ends(base, SX_STR("/"));
    sx_str whole = sx_arena_printf(e->arena, "%.*s%s%s%s%.*s", SX_ARG(base), slash ? "" : "/", path,
                                   has_query ? "?" : "", SX_ARG(query));
    e->failed = e->failed || !whole.data;
    return whole;
}

static void set_endpoint(sx_otlp_env *e, const signal_words *words, sx_otlp_target *t)
{
    name_text own = name_of(words->infix, "ENDPOINT"), general = name_of("", "ENDPOINT");
    bool is_grpc = t->protocol == SX_OTLP_GRPC;
    const char *name = own.text;
    sx_str endpoint = sx_otlp_env_get(e, name);
    bool is_general = endpoint.len == 0;
    if (is_general) {
        name = general.text;
        endpoint = sx_otlp_env_get(e, name);
    }
    if (endpoint.len == 0)
        return;
    sx_error err = {0};
    sx_str whole = with_scheme(e, words->infix, endpoint, is_grpc);
    if (whole.data && sx_otlp_endpoint_check(whole, &err) != SX_OK)
        sx_otlp_env_warn(e, name, "%s; ignored", err.message);
    else if (is_general && !is_grpc)
        t->endpoint = with_path(e, whole, words->path);
    else
        t->endpoint = keep(e, whole);
}

/* OTEL_TRACES_EXPORTER and its sisters: a list of which only otlp is ours. */
static void choose_exporter(sx_otlp_env *e, const signal_words *words, sx_otlp_target *t)
{
    sx_str rest = sx_otlp_env_get(e, words->exporter), word;
    bool given = rest.len > 0, otlp = false;
    while (sx_otlp_env_next(&rest, &word)) {
        if (sx_str_ieq(word, SX_STR("otlp")))
            otlp = true;
        else if (!sx_str_ieq(word, SX_STR("none")))
            sx_otlp_env_warn(e, words->exporter, "'%.*s' is not supported: only otlp and none are",
                             SX_ARG(sx_str_first(word, 40)));
    }
    if (given && !otlp)
        t->endpoint = SX_STR("");
    if (otlp && t->endpoint.len == 0)
        sx_otlp_env_warn(e, words->exporter,
                         "otlp needs an endpoint: set OTEL_EXPORTER_OTLP_ENDPOINT");
}

static void set_target(sx_otlp_env *e, const signal_words *words, sx_otlp_target *t)
{
    for (size_t i = 0; i < SX_COUNT_OF(KEYS); i++)
        if (!KEYS[i].set(e, name_of(words->infix, KEYS[i].key).text, t))
            KEYS[i].set(e, name_of("", KEYS[i].key).text, t);
    set_endpoint(e, words, t);
    choose_exporter(e, words, t);
}

/* Batches and times. The export time-outs of batches bound all attempts together. */
static const struct {
    const char *name;
    size_t at;
} NUMBERS[] = {
#define OF(signal, member) offsetof(sx_otlp_options, targets[signal].member)
    {"OTEL_BSP_MAX_QUEUE_SIZE", OF(SX_OTLP_SPANS, queue_max)},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", OF(SX_OTLP_SPANS, batch_max)},
    {"OTEL_BSP_SCHEDULE_DELAY", OF(SX_OTLP_SPANS, batch_delay_ms)},
    {"OTEL_BSP_EXPORT_TIMEOUT", OF(SX_OTLP_SPANS, retry_ms_max)},
    {"OTEL_BLRP_MAX_QUEUE_SIZE", OF(SX_OTLP_LOGS, queue_max)},
    {"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", OF(SX_OTLP_LOGS, batch_max)},
    {"OTEL_BLRP_SCHEDULE_DELAY", OF(SX_OTLP_LOGS, batch_delay_ms)},
    {"OTEL_BLRP_EXPORT_TIMEOUT", OF(SX_OTLP_LOGS, retry_ms_max)},
    {"OTEL_METRIC_EXPORT_INTERVAL", OF(SX_OTLP_METRICS, batch_delay_ms)},
    {"OTEL_METRIC_EXPORT_TIMEOUT", OF(SX_OTLP_METRICS, retry_ms_max)},
#undef OF
};

static void set_numbers(sx_otlp_env *e, sx_otlp_options *o)
{
    for (size_t i = 0; i < SX_COUNT_OF(NUMBERS); i++)
        sx_otlp_env_u32(e, NUMBERS[i].name, 1, (uint32_t *)((char *)o + NUMBERS[i].at));
    for (int i = 0; i < SX_OTLP_SIGNALS; i++) {
        const sx_otlp_target *t = &o->targets[i];
        if (t->queue_max && t->batch_max > t->queue_max)
            sx_otlp_env_warn(e,
                             i == SX_OTLP_LOGS ? "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"
                                               : "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                             "is larger than the queue (%u), which is taken instead", t->queue_max);
    }
}

/* Choices of the specification of which there is one here: another one is told, not silently passed by. */
static const struct {
    const char *name, *only;
} FIXED[] = {
    {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative"},
    {"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"},
    {"OTEL_METRICS_EXEMPLAR_FILTER", "trace_based"},
    {"OTEL_CONFIG_FILE", ""},
    {"OTEL_EXPERIMENTAL_CONFIG_FILE", ""},
};

static void warn_of_fixed(sx_otlp_env *e)
{
    for (size_t i = 0; i < SX_COUNT_OF(FIXED); i++) {
        sx_str value = sx_otlp_env_get(e, FIXED[i].name);
        if (value.len > 0 && !sx_str_ieq(value, sx_str_z(FIXED[i].only)))
            sx_otlp_env_warn(e, FIXED[i].name, "not supported%s%s; ignored",
                             FIXED[i].only[0] ? ": only " : "", FIXED[i].only);
    }
}

/* service.name of OTEL_RESOURCE_ATTRIBUTES, unless OTEL_SERVICE_NAME names it; both beat what the program
 * was built with. A list with a fault is left out as a whole, as the specification asks. */
static void set_resource(sx_otlp_env *e, sx_otlp_options *o)
{
    static const char NAME[] = "OTEL_RESOURCE_ATTRIBUTES";
    sx_str text = sx_otlp_env_get(e, NAME), rest = text, key, value, service = {0};
    sx_error err = {0};
    sx_status st;
    while ((st = sx_otlp_pairs_next(e->arena, &rest, &key, &value, &err)) == SX_OK)
        if (sx_str_eq(key, SX_STR("service.name")))
            service = value;
    if (st == SX_ENOMEM) {
        e->failed = true;
    } else if (st != SX_END) {
        sx_otlp_env_warn(e, NAME, "%s; ignored", err.message);
    } else if (text.len > 0) {
        sx_str before = o->resource;
        /* The first to name an attribute wins. */
        o->resource = before.len
                          ? sx_arena_printf(e->arena, "%.*s,%.*s", SX_ARG(text), SX_ARG(before))
                          : keep(e, text);
        e->failed = e->failed || !o->resource.data;
        if (service.len > 0)
            o->service = service;
    }
    sx_otlp_env_text(e, "OTEL_SERVICE_NAME", &o->service);
}

sx_status sx_otlp_environment(const char *const *environment, sx_arena *arena,
                              sx_otlp_options *options, sx_buf *warnings, sx_error *err)
{
    sx_otlp_env e = {.environment = environment, .arena = arena, .warnings = warnings};
    bool disabled = false;
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        set_target(&e, &SIGNALS[i], &options->targets[i]);
    set_numbers(&e, options);
    set_resource(&e, options);
    warn_of_fixed(&e);
    sx_otlp_env_bool(&e, "OTEL_SDK_DISABLED", &disabled);
    for (int i = 0; disabled && i < SX_OTLP_SIGNALS; i++)
        options->targets[i].endpoint = SX_STR("");
    return e.failed ? sx_fail_memory(err, "the OTEL_* variables") : SX_OK;
}
