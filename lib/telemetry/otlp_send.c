/* otlp_send.c - the sender over sx_http_client: see otlp_send.h.
 *
 * All three protocols are one POST and its answer. A gRPC export is a unary call: its request is one
 * length-prefixed message, sent whole, and its status comes in the trailers (or, where nothing else
 * comes, in the head), so it needs of gRPC only framing, deadline and status. The client is a bare one,
 * without the kit's observers: the exporter's own calls make no spans. */
#include "telemetry/otlp_send.h"

#include <stdio.h>

#include <sextant/arena.h>
#include <sextant/compress.h>
#include <sextant/grpc.h>
#include <sextant/mem.h>
#include <sextant/url.h>

#include "telemetry/otlp_json.h"

#ifndef SX_VERSION
#define SX_VERSION "0.1.0"
#endif

enum { ANSWER_BYTES_MAX = 65536, HEADERS_MAX = 32, OWN_HEADERS = 8 };

typedef struct http_sender {
    sx_otlp_sender base;
    sx_loop *loop;
    sx_http_client *client;
    sx_tls *tls;
    sx_arena arena; /* what follows, as long as the sender */
    const sx_otlp_schema *schema;
    sx_otlp_protocol protocol;
    sx_str url;
    sx_header headers[HEADERS_MAX + OWN_HEADERS];
    size_t header_count, own_count; /* the first own_count are not the user's */
    uint32_t timeout_ms;
    sx_encoder *gzip; /* NULL: none */
    sx_buf json, body;

    /* What is under way; call NULL: nothing. */
    sx_call *call;
    sx_otlp_answered *done;
    void *ctx;
    sx_arena call_arena;
    int status;      /* HTTP's; 0: no head came */
    int grpc_status; /* -1: none */
    bool is_grpc;    /* the answer's content-type says so */
    sx_str content_type, retry_after, grpc_message, grpc_details;
    sx_buf answer;
    bool too_long; /* the answer: given up */
} http_sender;

/* ---- the answer ---- */

static sx_str keep(http_sender *s, sx_str text)
{
    return sx_arena_copy(&s->call_arena, text); /* empty without memory: as if it had not come */
}

/* gRPC's status, from the head or the trailers. */
static void take_grpc_fields(http_sender *s, const sx_header *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        if (sx_str_eq(fields[i].name, SX_STR("grpc-status")))
            s->grpc_status =
                sx_str_to_u64(fields[i].value, &value) && value <= SX_GRPC_UNAUTHENTICATED
                    ? (int)value
                    : SX_GRPC_UNKNOWN;
        else if (sx_str_eq(fields[i].name, SX_STR("grpc-message")))
            s->grpc_message = sx_grpc_message_decode(&s->call_arena, fields[i].value);
        else if (sx_str_eq(fields[i].name, SX_STR("grpc-status-details-bin")))
            s->grpc_details = keep(s, fields[i].value);
    }
}

static void on_head(sx_call *call, void *ctx, const sx_response *response)
{
    http_sender *s = ctx;
    (void)call;
    s->status = response->status;
    s->content_type = keep(s, sx_response_header(response, SX_STR("content-type")));
    s->retry_after = keep(s, sx_response_header(response, SX_STR("retry-after")));
    s->is_grpc = sx_str_starts(s->content_type, SX_STR("application/grpc"));
    if (s->protocol == SX_OTLP_GRPC && s->is_grpc)
        take_grpc_fields(s, response->headers, response->header_count);
}

static void on_body(sx_call *call, void *ctx, sx_str piece)
{
    http_sender *s = ctx;
    sx_buf_str(&s->answer, piece);
    if (s->answer.failed) {
        s->too_long = true;
        sx_call_cancel(call);
    }
}

/* The one message of a unary answer; empty if there is none. False: the framing is wrong. */
static bool unframe(http_sender *s, sx_grpc_reader *r, sx_str *message)
{
    sx_str in = sx_buf_view(&s->answer);
    sx_status st = sx_grpc_reader_next(r, &in, message, NULL);
    if (st == SX_AGAIN)
        *message = SX_STR("");
    return st == SX_OK || (st == SX_AGAIN && !sx_grpc_reader_is_partial(r));
}

static void answer_grpc(http_sender *s, sx_otlp_answer *out)
{
    sx_grpc_reader r;
    sx_otlp_grpc_answer in = {
        .status = s->grpc_status, .message = s->grpc_message, .details = s->grpc_details};
    sx_grpc_reader_init(&r, ANSWER_BYTES_MAX, SX_CODEC_GZIP);
    if (s->is_grpc && !unframe(s, &r, &in.body)) {
        in.body = SX_STR("");
        if (in.status == SX_GRPC_OK || in.status < 0) {
            in.status = SX_GRPC_INTERNAL;
            in.message = SX_STR("its answer is no gRPC message");
        }
    }
    if (in.status < 0) {
        in.status = s->status == 200 ? SX_GRPC_UNKNOWN : (int)sx_grpc_status_of_http(s->status);
        in.message = SX_STR("no grpc-status came");
    }
    sx_otlp_answer_grpc(&in, out);
    sx_grpc_reader_done(&r);
}

/* No whole answer came. All but an answer that breaks a limit may be better next time. */
static void answer_error(http_sender *s, sx_status status, const sx_error *err, sx_otlp_answer *out)
{
    *out = (sx_otlp_answer){.verdict = status == SX_ELIMIT ? SX_OTLP_REFUSED : SX_OTLP_LATER};
    /* No head at all: nobody listens, or somebody who speaks another protocol. */
    snprintf(out->text, sizeof(out->text), "%.160s%s", err->message,
             s->status == 0 ? "; is a receiver there? 4318 (HTTP) and 4317 (gRPC) are usual" : "");
    if (!s->too_long)
        return;
    bool is_taken = s->protocol != SX_OTLP_GRPC && s->status >= 200 && s->status < 300;
    out->verdict = is_taken ? SX_OTLP_TAKEN : SX_OTLP_REFUSED;
    snprintf(out->text, sizeof(out->text), "its answer (status %d) is longer than %d bytes",
             s->status, ANSWER_BYTES_MAX);
}

/* A receiver may repeat what it was sent: a text that holds a header's value is not shown. */
static void hide_secrets(const http_sender *s, sx_otlp_answer *out)
{
    sx_str text = sx_str_z(out->text);
    for (size_t i = s->own_count; i < s->header_count; i++) {
        sx_str value = s->headers[i].value;
        if (value.len >= 4 && sx_str_find(text, value) < text.len) {
            snprintf(out->text, sizeof(out->text), "its answer repeats a header, and is not shown");
            return;
        }
    }
}

static void on_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t trailer_count)
{
    http_sender *s = ctx;
    sx_otlp_answer answer;
    (void)call;
    s->call = NULL;
    if (!s->done)
        return; /* given up: http_free */
    bool grpc = s->protocol == SX_OTLP_GRPC;
    if (grpc && s->is_grpc)
        take_grpc_fields(s, trailers, trailer_count);
    if (status != SX_OK && !(grpc && s->grpc_status > 0)) {
        answer_error(s, status, err, &answer);
    } else if (grpc) {
        answer_grpc(s, &answer);
    } else {
        sx_otlp_http_answer in = {.status = s->status,
                                  .content_type = s->content_type,
                                  .retry_after = s->retry_after,
                                  .body = sx_buf_view(&s->answer),
                                  .now_wall_ns = sx_loop_wall_ns(s->loop)};
        sx_otlp_answer_http(&in, &answer);
    }
    hide_secrets(s, &answer);
    s->done(s->ctx, &answer);
}

static const sx_call_events EVENTS = {.head = on_head, .body = on_body, .done = on_done};

/* ---- the request ---- */

/* Appends `plain` to `out`, compressed if the sender does that. */
static sx_status put_coded(http_sender *s, sx_str plain, sx_buf *out, sx_error *err)
{
    if (!s->gzip) {
        sx_buf_str(out, plain);
        return sx_buf_status(out, "an OTLP request", err);
    }
    sx_status st = sx_encoder_reset(s->gzip, err);
    if (st == SX_OK)
        st = sx_encoder_feed(s->gzip, plain, out, err);
    return st == SX_OK ? sx_encoder_finish(s->gzip, out, err) : st;
}

static sx_status build_grpc(http_sender *s, sx_str request, sx_error *err)
{
    char prefix[SX_GRPC_PREFIX_BYTES] = {s->gzip ? 1 : 0};
    sx_buf_bytes(&s->body, prefix, sizeof(prefix));
    sx_status st = put_coded(s, request, &s->body, err);
    if (st != SX_OK)
        return st;
    uint32_t len = (uint32_t)(s->body.len - sizeof(prefix)); /* big-endian */
    for (int i = 0; i < 4; i++)
        s->body.data[1 + i] = (char)(len >> (24 - 8 * i));
    return SX_OK;
}

static sx_status build_json(http_sender *s, sx_str request, sx_error *err)
{
    sx_json_writer w;
    sx_buf_clear(&s->json);
    sx_json_writer_init(&w, &s->json, NULL);
    sx_status st = sx_otlp_json_write(s->schema, request, &w, err);
    return st == SX_OK ? put_coded(s, sx_buf_view(&s->json), &s->body, err) : st;
}

static sx_status http_send(sx_otlp_sender *base, sx_str request, sx_otlp_answered *done, void *ctx,
                           sx_error *err)
{
    http_sender *s = (http_sender *)base;
    sx_assert(!s->call);
    sx_buf_clear(&s->body);
    sx_status st = s->protocol == SX_OTLP_GRPC        ? build_grpc(s, request, err)
                   : s->protocol == SX_OTLP_HTTP_JSON ? build_json(s, request, err)
                                                      : put_coded(s, request, &s->body, err);
    if (st != SX_OK)
        return st;
    sx_arena_reset(&s->call_arena);
    sx_buf_clear(&s->answer);
    s->status = 0;
    s->grpc_status = -1;
    s->is_grpc = s->too_long = false;
    s->content_type = s->retry_after = s->grpc_message = s->grpc_details = SX_STR("");
    s->done = done;
    s->ctx = ctx;
    sx_call_request call = {.method = SX_STR("POST"),
                            .url = s->url,
                            .headers = s->headers,
                            .header_count = s->header_count,
                            .body = sx_buf_view(&s->body),
                            .total_ms_max = s->timeout_ms};
    return sx_http_call(s->client, &call, &EVENTS, s, &s->call, err);
}

/* ---- life ---- */

static void http_free(sx_otlp_sender *base)
{
    http_sender *s = (http_sender *)base;
    s->done = NULL;
    if (s->client)
        sx_http_client_free(s->client);
    if (s->tls)
        sx_tls_unref(s->tls);
    sx_encoder_free(s->gzip);
    sx_buf_done(&s->json);
    sx_buf_done(&s->body);
    sx_buf_done(&s->answer);
    sx_arena_done(&s->call_arena);
    sx_arena_done(&s->arena);
    sx_free(s);
}

static const struct {
    const char *service; /* gRPC's path */
    const sx_otlp_schema *schema;
} SIGNALS[SX_OTLP_SIGNALS] = {
    [SX_OTLP_SPANS] = {"/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                       &sx_otlp_traces_data},
    [SX_OTLP_LOGS] = {"/opentelemetry.proto.collector.logs.v1.LogsService/Export",
                      &sx_otlp_logs_data},
    [SX_OTLP_METRICS] = {"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
                         &sx_otlp_metrics_data},
};

/* The URL to call and the one to show; also whether TLS is needed. */
static sx_status set_url(http_sender *s, sx_str endpoint, const char *service, bool *tls,
                         sx_error *err)
{
    sx_url url;
    sx_status st = sx_otlp_endpoint_check(endpoint, err);
    if (st != SX_OK)
        return st;
    s->url = sx_arena_copy(&s->arena, endpoint); /* the parts point into our copy */
    if (!s->url.data)
        return sx_fail_memory(err, "an OTLP endpoint");
    st = sx_url_parse(s->url, &url, err);
    if (st != SX_OK)
        return st;
    *tls = url.scheme == SX_URL_HTTPS;
    const char *scheme = *tls ? "https" : "http";
    if (s->protocol == SX_OTLP_GRPC) /* a path of the endpoint means nothing to gRPC */
        s->url = sx_arena_printf(&s->arena, "%s://%.*s%s%.*s%s", scheme, SX_ARG(url.userinfo),
                                 url.userinfo.data ? "@" : "", SX_ARG(url.authority), service);
    s->base.shown = s->protocol == SX_OTLP_GRPC
                        ? sx_arena_printf(&s->arena, "%s://%.*s", scheme, SX_ARG(url.authority))
                        : sx_arena_printf(&s->arena, "%s://%.*s%.*s", scheme, SX_ARG(url.authority),
                                          SX_ARG(url.path));
    return s->url.data && s->base.shown.data ? SX_OK : sx_fail_memory(err, "an OTLP endpoint");
}

static void own_header(http_sender *s, sx_str name, sx_str value)
{
    s->headers[s->header_count++] = (sx_header){name, value};
    s->own_count = s->header_count;
}

static sx_status set_headers(http_sender *s, const sx_otlp_target *target, sx_error *err)
{
    static const sx_str TYPE[] = {
        [SX_OTLP_HTTP_PROTOBUF] = SX_STR_INIT("application/x-protobuf"),
        [SX_OTLP_HTTP_JSON] = SX_STR_INIT("application/json"),
        [SX_OTLP_GRPC] = SX_STR_INIT("application/grpc"),
    };
    own_header(s, SX_STR("content-type"), TYPE[s->protocol]);
    if (s->protocol == SX_OTLP_GRPC) {
        char timeout[16];
        sx_str text = sx_grpc_timeout_format(s->timeout_ms, timeout);
        own_header(s, SX_STR("te"), SX_STR("trailers"));
        own_header(s, SX_STR("grpc-accept-encoding"), SX_STR("gzip"));
        own_header(s, SX_STR("grpc-timeout"), sx_arena_copy(&s->arena, text));
    }
    if (target->gzip)
        own_header(
            s, s->protocol == SX_OTLP_GRPC ? SX_STR("grpc-encoding") : SX_STR("content-encoding"),
            SX_STR("gzip"));
    sx_str rest = target->headers, name, value;
    sx_status st;
    while ((st = sx_otlp_headers_next(&s->arena, &rest, &name, &value, err)) == SX_OK) {
        if (s->header_count - s->own_count == HEADERS_MAX)
            return sx_fail(err, SX_EINVAL, "the OTLP headers are more than %d", HEADERS_MAX);
        s->headers[s->header_count++] = (sx_header){name, value};
    }
    return st == SX_END ? SX_OK : sx_error_prefix(err, st, "the OTLP headers");
}

static sx_status set_client(http_sender *s, const sx_otlp_target *target, bool tls, sx_error *err)
{
    sx_http_client_options options = {.connect_ms_max = s->timeout_ms,
                                      .response_ms_max = s->timeout_ms,
                                      .connections_max = 1,
                                      .proxy = "env",
                                      .http2_prior_knowledge = s->protocol == SX_OTLP_GRPC,
                                      .user_agent = "OTel-OTLP-Exporter-C/" SX_VERSION
                                                    " sextant/" SX_VERSION};
    if (tls) {
        sx_str ca = sx_arena_copy(&s->arena, target->ca_file);
        sx_str chain = sx_arena_copy(&s->arena, target->client_chain_file);
        sx_str key = sx_arena_copy(&s->arena, target->client_key_file);
        if (!ca.data || !chain.data || !key.data)
            return sx_fail_memory(err, "an OTLP exporter's certificates");
        sx_tls_client_options t = {.ca_file = ca.len ? ca.data : NULL,
                                   .chain_file = chain.len ? chain.data : NULL,
                                   .key_file = key.len ? key.data : NULL,
                                   .verify = SX_TLS_VERIFY_REQUIRED,
                                   .http2 = true};
        sx_status st = sx_tls_client_new(&t, &s->tls, err);
        if (st != SX_OK)
            return st;
        options.tls = s->tls;
    }
    return sx_http_client_new(s->loop, &options, &s->client, err);
}

static sx_status set_up(http_sender *s, const sx_otlp_target *target, sx_otlp_signal signal,
                        sx_error *err)
{
    bool tls = false;
    sx_status st = set_url(s, target->endpoint, SIGNALS[signal].service, &tls, err);
    if (st == SX_OK)
        st = set_headers(s, target, err);
    if (st == SX_OK)
        st = set_client(s, target, tls, err);
    if (st == SX_OK && target->gzip) {
        s->gzip =
            sx_encoder_new(SX_CODEC_GZIP, &(sx_encoder_options){.level = SX_OTLP_GZIP_LEVEL}, err);
        st = s->gzip ? SX_OK : sx_fail_memory(err, "an OTLP exporter's gzip");
    }
    return st;
}

sx_status sx_otlp_sender_new(sx_loop *loop, const sx_otlp_target *target, sx_otlp_signal signal,
                             sx_otlp_sender **out, sx_error *err)
{
    http_sender *s = (http_sender *)sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "an OTLP exporter");
    s->base.send = http_send;
    s->base.free = http_free;
    s->loop = loop;
    s->schema = SIGNALS[signal].schema;
    s->protocol = target->protocol;
    s->timeout_ms = target->timeout_ms ? target->timeout_ms : 10000;
    sx_arena_init(&s->arena, 1024, 1 << 20);
    sx_arena_init(&s->call_arena, 1024, 1 << 17);
    sx_buf_init(&s->json, 0);
    sx_buf_init(&s->body, 0);
    sx_buf_init(&s->answer, ANSWER_BYTES_MAX);
    sx_status st = set_up(s, target, signal, err);
    if (st != SX_OK) {
        http_free(&s->base);
        return st;
    }
    *out = &s->base;
    return SX_OK;
}
