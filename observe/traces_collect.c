/* traces_collect.c - a Collector's file at work: settings, pipelines, listeners, health_check. */
#include "observe/traces_collect.h"

#include <unistd.h>

#include <sextant/mem.h>
#include <sextant/tls.h>

#include "observe/collector/collector.h"
#include "observe/collector/connector.h"
#include "observe/collector/kafka.h"

_Static_assert((int)LISTEN_OTLP_GRPC == (int)RECEIVE_OTLP_GRPC &&
                   (int)LISTEN_ZIPKIN == (int)RECEIVE_ZIPKIN &&
                   (int)LISTEN_JAEGER_BINARY == (int)RECEIVE_JAEGER_BINARY &&
                   (int)LISTEN_PROTOCOLS == (int)RECEIVE_KINDS,
               "protocols are in the order of receiver_kind");

typedef struct file_listener {
    receiver receiver;
    sx_str address; /* in the arena */
    span_sink sink;
    receiver_kind kind;
} file_listener;

struct traces_collect {
    observe_api *api;
    collector *collector;
    file_listener *listeners;
    size_t count;
    span_kafka **kafkas; /* consumers of topics: as the listeners, until the next start */
    size_t kafka_count;
    collector_settings *first; /* what they were started with */
    sx_route health;
    sx_arena arena;
};

/* --- Exporters as the pipelines want them. */

static sx_status open_exporter(const exporter_settings *settings, const span_exporter_host *host,
                               void **out, sx_error *err)
{
    span_exporter *e = NULL;
    sx_status st = span_exporter_new(settings, host, &e, err);
    *out = e;
    return st;
}

static span_sink exporter_sink(void *exporter)
{
    return span_exporter_sink(exporter);
}

static void close_exporter(void *exporter, int64_t drain_ms)
{
    span_exporter_free(exporter, drain_ms);
}

static const collector_exporters EXPORTERS = {open_exporter, exporter_sink, close_exporter};

/* --- The file. */

static sx_status load(traces_collect *t, collector_settings **out, sx_error *err)
{
    const collector_settings_options options = {.environment = (const char *const *)environ};
    sx_buf problems;
    sx_buf_init(&problems, 64 * 1024);
    sx_status st = collector_settings_load(t->api->flags->collector_config.data, &options, out,
                                           &problems, err);
    sx_logger *log = sx_service_logger(t->api->service);
    sx_str rest = sx_buf_view(&problems), line;
    for (bool first = true; st != SX_OK && rest.len; first = false) {
        sx_str_cut(rest, '\n', &line, &rest);
        if (!first && line.len) /* the first is the error itself */
            SX_LOG_ERROR(log, NULL, "fault of the collector's configuration",
                         sx_field_str("fault", line));
    }
    for (uint32_t i = 0; st == SX_OK && i < (*out)->warning_count; i++)
        SX_LOG_WARN(log, NULL, "collector's configuration",
                    sx_field_str("warning", (*out)->warnings[i]));
    sx_buf_done(&problems);
    return st;
}

/* The system resolves no names for listeners; this is the one that files have. */
static sx_str numeric(traces_collect *t, sx_str address)
{
    if (!sx_str_starts(address, SX_STR("localhost:")))
        return sx_arena_copy(&t->arena, address);
    return sx_arena_printf(&t->arena, "127.0.0.1:%.*s", SX_ARG(sx_str_from(address, 10)));
}

static sx_status make_tls(traces_collect *t, const listen_settings *l, sx_tls **out, sx_error *err)
{
    *out = NULL;
    if (!l->tls_set)
        return SX_OK;
    sx_str cert = sx_arena_copy(&t->arena, l->tls.cert_file);
    sx_str key = sx_arena_copy(&t->arena, l->tls.key_file);
    sx_str ca = sx_arena_copy(&t->arena, l->tls.ca_file);
    if (!cert.data || !key.data || !ca.data)
        return sx_fail_memory(err, "TLS");
    const sx_tls_certificate certificate = {.chain_file = cert.data, .key_file = key.data};
    const sx_tls_server_options options = {.certificates = &certificate,
                                           .certificate_count = 1,
                                           .client_ca_file = ca.len ? ca.data : NULL,
                                           .verify =
                                               ca.len ? SX_TLS_VERIFY_REQUIRED : SX_TLS_VERIFY_NONE,
                                           .http2 = true};
    return sx_tls_server_new(&options, out, err);
}

static sx_status listen_one(traces_collect *t, const receiver_settings *from, receiver_kind kind,
                            sx_error *err)
{
    const listen_settings *l = &from->listen[kind];
    file_listener *f = &t->listeners[t->count];
    const char *transport = kind >= RECEIVE_JAEGER_COMPACT                             ? "udp"
                            : kind == RECEIVE_OTLP_GRPC || kind == RECEIVE_JAEGER_GRPC ? "grpc"
                                                                                       : "http";
    sx_tls *tls;
    f->kind = kind;
    f->address = numeric(t, l->address);
    if (!f->address.data)
        return sx_fail_memory(err, "an address");
    sx_status st = collector_sink(t->collector, from->id.name, transport, &f->sink, err);
    if (st != SX_OK)
        return st;
    t->count++;
    if (kind >= RECEIVE_JAEGER_COMPACT)
        return SX_OK;
    st = make_tls(t, l, &tls, err);
    if (st == SX_OK)
        st = receiver_init(&f->receiver, t->api, kind, f->sink, NULL, err);
    if (st == SX_OK) {
        f->receiver.tls = tls;
        for (size_t i = 0; l->body_bytes_max && i < f->receiver.route_count; i++)
            f->receiver.routes[i].body_bytes_max = l->body_bytes_max;
        if (l->body_bytes_max)
            f->receiver.rpc.message_bytes_max = l->body_bytes_max;
        st = receiver_listen(&f->receiver, f->address, false, err);
    }
    if (tls)
        sx_tls_unref(tls);
    return st;
}

static sx_status consume(traces_collect *t, const receiver_settings *r, sx_error *err)
{
    span_kafka_host host = {.kit = sx_service_kit(t->api->service)};
    sx_status st = collector_sink(t->collector, r->id.name, "kafka", &host.sink, err);
    if (st == SX_OK)
        st = span_kafka_new(r->kafka, &r->id, &host, &t->kafkas[t->kafka_count], err);
    t->kafka_count += st == SX_OK;
    return st;
}

static sx_status listen_all(traces_collect *t, const collector_settings *s, sx_error *err)
{
    size_t most = 0;
    for (uint32_t i = 0; i < s->receiver_count; i++)
        for (int k = 0; k < LISTEN_PROTOCOLS; k++)
            most += s->receivers[i].used && s->receivers[i].listen[k].on;
    t->listeners = sx_calloc(most + 1, sizeof(*t->listeners));
    t->kafkas = sx_calloc(s->receiver_count + 1, sizeof(span_kafka *));
    if (!t->listeners || !t->kafkas)
        return sx_fail_memory(err, "listeners");
    for (uint32_t i = 0; i < s->receiver_count; i++) {
        const receiver_settings *r = &s->receivers[i];
        if (r->used && r->kafka) {
            sx_status st = consume(t, r, err);
            if (st != SX_OK)
                return sx_error_prefix(err, st, "%.*s:%u", SX_ARG(s->path), r->id.line);
        }
        for (int k = 0; r->used && k < LISTEN_PROTOCOLS; k++) {
            if (!r->listen[k].on)
                continue;
            if (k >= (int)LISTEN_JAEGER_COMPACT &&
                traces_collect_has(t, (receiver_kind)k, NULL, NULL))
                return sx_fail(err, SX_EUNSUPPORTED,
                               "%.*s:%u: a second %s listener is not supported; name one receiver "
                               "in both pipelines",
                               SX_ARG(s->path), r->listen[k].line, receiver_name((receiver_kind)k));
            sx_status st = listen_one(t, r, (receiver_kind)k, err);
            if (st != SX_OK)
                return sx_error_prefix(err, st, "%.*s:%u", SX_ARG(s->path), r->listen[k].line);
        }
    }
    return SX_OK;
}

/* As the extension answers. */
static void answer_health(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, SX_STR("application/json"), SX_STR("{\"status\":\"Server available\"}"));
}

static sx_status listen_health(traces_collect *t, const health_settings *h, sx_error *err)
{
    if (!h->on)
        return SX_OK;
    sx_str address = numeric(t, h->address);
    sx_str path = sx_arena_printf(
        &t->arena, "%s%.*s", h->path.len && h->path.data[0] == '/' ? "" : "/", SX_ARG(h->path));
    if (!address.data || !path.data)
        return sx_fail_memory(err, "health_check");
    t->health = (sx_route){.method = SX_GET, .path = path.data, .handler = answer_health};
    sx_endpoint endpoint = {.proto = "health-check",
                            .address = address,
                            .routes = &t->health,
                            .route_count = 1,
                            .fallback = api_not_found};
    return sx_service_listen(t->api->service, &endpoint, err);
}

sx_status traces_collect_new(observe_api *a, span_sink store, traces_collect **out, sx_error *err)
{
    traces_collect *t = sx_calloc(1, sizeof(*t));
    collector_settings *s = NULL;
    if (!t)
        return sx_fail_memory(err, "pipelines");
    t->api = a;
    sx_arena_init(&t->arena, 0, 0);
    sx_status st = load(t, &s, err);
    if (st == SX_OK) {
        const collector_host host = {.kit = sx_service_kit(a->service),
                                     .clock = a->clock,
                                     .store = store,
                                     .db = a->db,
                                     .exporters = &EXPORTERS};
        st = collector_new(s, &host, &t->collector, err);
    }
    if (st == SX_OK)
        st = listen_all(t, s, err);
    if (st == SX_OK)
        st = listen_health(t, &s->health, err);
    t->first = s;
    if (st != SX_OK) {
        traces_collect_free(t);
        return st;
    }
    *out = t;
    return SX_OK;
}

void traces_collect_derives(const traces_collect *t, bool *spans, bool *graph)
{
    *spans = *graph = false;
    if (!t)
        return;
    collector_settings *s = collector_settings_now(t->collector);
    derive_claimed(s, spans, graph);
    collector_settings_unref(s);
}

bool traces_collect_has(const traces_collect *t, receiver_kind kind, sx_str *address,
                        span_sink *sink)
{
    for (size_t i = 0; t && i < t->count; i++) {
        if (t->listeners[i].kind != kind)
            continue;
        if (address)
            *address = t->listeners[i].address;
        if (sink)
            *sink = t->listeners[i].sink;
        return true;
    }
    return false;
}

static bool same_kafka(const kafka_receiver_settings *a, const kafka_receiver_settings *b)
{
    if (!a || !b)
        return a == b;
    if (!sx_str_eq(a->topic, b->topic) || !sx_str_eq(a->encoding, b->encoding) ||
        !sx_str_eq(a->group_id, b->group_id) || a->broker_count != b->broker_count)
        return false;
    for (uint32_t i = 0; i < a->broker_count; i++)
        if (!sx_str_eq(a->brokers[i], b->brokers[i]))
            return false;
    return true;
}

/* Whether the same receivers listen at the same addresses and read the same topics. */
static bool same_receivers(const collector_settings *a, const collector_settings *b)
{
    if (a->receiver_count != b->receiver_count)
        return false;
    for (uint32_t i = 0; i < a->receiver_count; i++) {
        const receiver_settings *x = &a->receivers[i], *y = &b->receivers[i];
        if (!sx_str_eq(x->id.name, y->id.name) || x->used != y->used ||
            !same_kafka(x->kafka, y->kafka))
            return false;
        for (int k = 0; k < LISTEN_PROTOCOLS; k++)
            if (x->listen[k].on != y->listen[k].on ||
                !sx_str_eq(x->listen[k].address, y->listen[k].address))
                return false;
    }
    return true;
}

sx_status traces_collect_check(traces_collect *t, sx_error *err)
{
    collector_settings *s = NULL;
    sx_status st = t ? load(t, &s, err) : SX_OK;
    if (t && st == SX_OK)
        collector_settings_unref(s);
    return st;
}

sx_status traces_collect_reload(traces_collect *t, sx_error *err)
{
    collector_settings *s = NULL;
    if (!t)
        return SX_OK;
    sx_status st = load(t, &s, err);
    if (st != SX_OK)
        return st;
    bool same = same_receivers(t->first, s);
    st = collector_reload(t->collector, s, err);
    collector_settings_unref(s);
    if (st == SX_OK && !same)
        SX_LOG_WARN(sx_service_logger(t->api->service), NULL,
                    "pipelines have changed; other receivers listen after the next start");
    return st;
}

void traces_collect_free(traces_collect *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->kafka_count; i++)
        span_kafka_free(t->kafkas[i]);
    collector_free(t->collector);
    collector_settings_unref(t->first);
    sx_free(t->kafkas);
    sx_free(t->listeners);
    sx_arena_done(&t->arena);
    sx_free(t);
}
