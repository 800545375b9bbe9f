/* exporter_otlp.c - OTLP by gRPC and by HTTP, protobuf and JSON.
 *
 * A gRPC call is written by hand over the HTTP/2 client: one message, compressed as the settings say,
 * and the details of its status, in which servers say when to come again.
 * Sources: OTLP specification 1.x; "gRPC over HTTP2"; the Collector's otlp and otlphttp exporters
 * (which statuses are tried again, and the defaults). */
#include <stdio.h>
#include <string.h>

#include <sextant/compress.h>
#include <sextant/grpc.h>

#include "observe/collector/exporter_internal.h"
#include "telemetry/otlp_json.h"

/* Servers take 4 MiB a message unless told otherwise. */
enum { JOIN_BYTES = 2 << 20, URL_BYTES_MAX = 2048 };

typedef struct otlp_state {
    sx_http_client *client;
    sx_str url;
    sx_codec codec;
    bool is_json;
} otlp_state;

typedef struct otlp_slot {
    export_call call;
    sx_buf body;
} otlp_slot;

/* --- What the settings mean. */

static bool cut_prefix(sx_str *s, sx_str prefix)
{
    if (!sx_str_starts(*s, prefix))
        return false;
    *s = sx_str_from(*s, prefix.len);
    return true;
}

/* "HOST:PORT", perhaps with a scheme, which decides; else tls.insecure does. */
static sx_status grpc_url(span_exporter *e, bool *is_tls, sx_error *err)
{
    otlp_state *o = e->state;
    sx_str at = e->settings.endpoint;
    *is_tls = !e->settings.tls.insecure;
    if (cut_prefix(&at, SX_STR("http://")))
        *is_tls = false;
    else if (cut_prefix(&at, SX_STR("https://")))
        *is_tls = true;
    else
        cut_prefix(&at, SX_STR("dns:///"));
    if (!at.len)
        return export_bad(e, err, "endpoint: HOST:PORT of an OTLP/gRPC receiver is needed");
    if (sx_str_find_byte(at, '/') < at.len)
        return export_bad(e, err,
                          "endpoint '%.*s': gRPC takes HOST:PORT without a path; for "
                          "HTTP use otlphttp",
                          SX_ARG(at));
    o->url = sx_arena_printf(&e->arena, "%s://%.*s/%s", *is_tls ? "https" : "http", SX_ARG(at),
                             "opentelemetry.proto.collector.trace.v1.TraceService/Export");
    return o->url.data ? SX_OK : sx_fail_memory(err, "an exporter");
}

static sx_status http_url(span_exporter *e, bool *is_tls, sx_error *err)
{
    otlp_state *o = e->state;
    sx_str url = e->settings.traces_endpoint;
    bool whole = url.len > 0;
    if (!whole) {
        url = e->settings.endpoint;
        while (url.len && url.data[url.len - 1] == '/')
            url.len--;
    }
    *is_tls = sx_str_starts(url, SX_STR("https://"));
    if (!*is_tls && !sx_str_starts(url, SX_STR("http://")))
        return export_bad(e, err, "endpoint '%.*s' is no URL that begins with http:// or https://",
                          SX_ARG(url));
    o->url = sx_arena_printf(&e->arena, "%.*s%s", SX_ARG(url), whole ? "" : "/v1/traces");
    return o->url.data ? SX_OK : sx_fail_memory(err, "an exporter");
}

static sx_status open_otlp(span_exporter *e, sx_error *err)
{
    otlp_state *o = e->state;
    sx_url parts;
    sx_error why;
    bool is_tls, is_grpc = e->settings.kind == EXPORT_OTLP;
    sx_str encoding = e->settings.encoding;
    sx_status status = is_grpc ? grpc_url(e, &is_tls, err) : http_url(e, &is_tls, err);
    if (status != SX_OK)
        return status;
    if (o->url.len > URL_BYTES_MAX || sx_url_parse(o->url, &parts, &why) != SX_OK)
        return export_bad(e, err, "endpoint '%.*s': %s", SX_ARG(sx_str_first(o->url, 100)),
                          o->url.len > URL_BYTES_MAX ? "too long" : why.message);
    o->is_json = !is_grpc && sx_str_eq(encoding, SX_STR("json"));
    if (encoding.len && !o->is_json && !sx_str_eq(encoding, SX_STR("proto")))
        return export_bad(e, err, "encoding is proto or json, not '%.*s'", SX_ARG(encoding));
    status = export_codec(e, SX_STR("gzip"), &o->codec, err);
    if (status != SX_OK)
        return status;
    if (is_grpc && o->codec == SX_CODEC_SNAPPY)
        o->codec = SX_CODEC_SNAPPY_FRAMED; /* gRPC's snappy is a stream, HTTP's a block */
    e->join_bytes = JOIN_BYTES;
    return export_http_open(e, is_grpc, is_tls, &o->client, err);
}

static void otlp_done(span_exporter *e)
{
    otlp_state *o = e->state;
    if (o->client)
        sx_http_client_free(o->client);
}

/* --- A request. */

static sx_status pack(const otlp_state *o, bool is_grpc, sx_str plain, sx_buf *out, sx_error *err)
{
    char prefix[SX_GRPC_PREFIX_BYTES] = {o->codec != SX_CODEC_IDENTITY};
    if (is_grpc)
        sx_buf_bytes(out, prefix, sizeof(prefix));
    sx_status status = SX_OK;
    if (o->codec == SX_CODEC_IDENTITY)
        sx_buf_str(out, plain);
    else
        status = sx_compress(o->codec, plain, SX_LEVEL_DEFAULT, out, err);
    if (status == SX_OK)
        status = sx_buf_status(out, "a request with spans", err);
    if (status == SX_OK && is_grpc)
        for (unsigned i = 0; i < 4; i++)
            out->data[1 + i] = (char)((out->len - SX_GRPC_PREFIX_BYTES) >> (24 - 8 * i) & 0xff);
    return status;
}

static sx_status make_body(export_request *r, sx_error *err)
{
    const otlp_state *o = r->e->state;
    otlp_slot *s = r->state;
    sx_buf plain, json;
    sx_buf_init(&plain, 0);
    sx_buf_init(&json, 0);
    sx_buf_clear(&s->body);
    /* One that came as OTLP and goes alone is compressed where it lies. */
    sx_str message = r->entry_count == 1 ? r->entries->batch->otlp : SX_STR("");
    if (!message.len) {
        export_join_otlp(r, &plain);
        message = sx_buf_view(&plain);
    }
    sx_status status = sx_buf_status(&plain, "a request with spans", err);
    if (status == SX_OK && o->is_json) {
        sx_json_writer w;
        sx_json_writer_init(&w, &json, NULL);
        status = sx_otlp_json_write(&sx_otlp_traces_data, message, &w, err);
        if (status == SX_OK)
            status = sx_buf_status(&json, "a request with spans", err);
        message = sx_buf_view(&json);
    }
    if (status == SX_OK)
        status = pack(o, r->e->settings.kind == EXPORT_OTLP, message, &s->body, err);
    sx_buf_done(&plain);
    sx_buf_done(&json);
    r->is_made = status == SX_OK;
    return status;
}

static void tell_partial(export_request *r, sx_str response, bool is_json)
{
    char why[EXPORT_WHY_BYTES];
    uint64_t rejected = export_partial(response, is_json, why);
    export_dropped(r, rejected, EXPORT_PARTIAL, sx_str_z(why));
}

static void http_over(export_call *c, sx_status status, const sx_error *err)
{
    char text[EXPORT_WHY_BYTES];
    export_request *r = c->r;
    export_end end = export_http_end(c, status, err, text);
    if (end.kind == EXPORT_DONE)
        tell_partial(r, sx_buf_view(&c->body),
                     sx_str_starts(sx_str_z(c->type), SX_STR("application/json")));
    export_over(r, &end);
}

/* The answer's one message; empty if there is none that can be read. Into `plain` if compressed. */
static sx_str grpc_answer(const export_call *c, sx_grpc_reader *reader)
{
    sx_error err;
    sx_str in = sx_buf_view(&c->body), message;
    sx_grpc_reader_init(reader, 0, SX_CODEC_GZIP);
    return sx_grpc_reader_next(reader, &in, &message, &err) == SX_OK ? message : SX_STR("");
}

static export_kind kind_of_grpc(const export_call *c, int status, int64_t wait_ms)
{
    switch (status) {
    case SX_GRPC_OK:
        return EXPORT_DONE;
    case SX_GRPC_CANCELLED:
    case SX_GRPC_DEADLINE_EXCEEDED:
    case SX_GRPC_ABORTED:
    case SX_GRPC_OUT_OF_RANGE:
    case SX_GRPC_UNAVAILABLE:
    case SX_GRPC_DATA_LOSS:
        return EXPORT_AGAIN;
    case SX_GRPC_RESOURCE_EXHAUSTED: /* a message too large for the server has this status, too */
        if (wait_ms)
            return EXPORT_AGAIN;
        sx_str text = sx_buf_view(&c->grpc_message);
        return sx_str_find(text, SX_STR("larger than max")) < text.len ? EXPORT_TOO_LARGE
                                                                       : EXPORT_REFUSED;
    case SX_GRPC_INVALID_ARGUMENT:
        return EXPORT_SPLIT;
    default:
        return EXPORT_REFUSED;
    }
}

static void grpc_over(export_call *c, sx_status status, const sx_error *err)
{
    char text[EXPORT_WHY_BYTES];
    export_request *r = c->r;
    export_end end = {.kind = EXPORT_AGAIN};
    if (status != SX_OK && c->grpc_status < 0) {
        snprintf(text, sizeof(text), "%.230s", err->message);
    } else {
        int code = c->grpc_status >= 0 ? c->grpc_status : (int)sx_grpc_status_of_http(c->status);
        int64_t wait_ms = export_retry_info_ms(sx_buf_view(&c->grpc_details));
        end.kind = kind_of_grpc(c, code, wait_ms);
        end.after_ms = wait_ms;
        snprintf(text, sizeof(text), "%s: %.*s", sx_grpc_status_name(code),
                 (int)(c->grpc_message.len < 200 ? c->grpc_message.len : 200),
                 c->grpc_message.data ? c->grpc_message.data : "");
    }
    end.why = sx_str_z(text);
    if (end.kind == EXPORT_DONE) {
        sx_grpc_reader reader;
        tell_partial(r, grpc_answer(c, &reader), false);
        sx_grpc_reader_done(&reader);
    }
    export_over(r, &end);
}

static sx_status send_otlp(export_request *r, sx_error *err)
{
    const otlp_state *o = r->e->state;
    otlp_slot *s = r->state;
    bool is_grpc = r->e->settings.kind == EXPORT_OTLP;
    bool packed = o->codec != SX_CODEC_IDENTITY;
    char timeout[16];
    sx_header headers[8];
    size_t n = 0;
    sx_status status = r->is_made ? SX_OK : make_body(r, err);
    if (status != SX_OK)
        return status;
    if (is_grpc) {
        headers[n++] =
            (sx_header){.name = SX_STR("content-type"), .value = SX_STR("application/grpc")};
        headers[n++] = (sx_header){.name = SX_STR("te"), .value = SX_STR("trailers")};
        headers[n++] = (sx_header){.name = SX_STR("grpc-accept-encoding"), .value = SX_STR("gzip")};
        if (r->e->settings.timeout_ms > 0)
            headers[n++] =
                (sx_header){.name = SX_STR("grpc-timeout"),
                            .value = sx_grpc_timeout_format(r->e->settings.timeout_ms, timeout)};
    } else {
        headers[n++] = (sx_header){.name = SX_STR("Content-Type"),
                                   .value = o->is_json ? SX_STR("application/json")
                                                       : SX_STR("application/x-protobuf")};
    }
    if (packed)
        headers[n++] =
            (sx_header){.name = is_grpc ? SX_STR("grpc-encoding") : SX_STR("Content-Encoding"),
                        .value = o->codec != SX_CODEC_SNAPPY_FRAMED ? sx_codec_coding(o->codec)
                                 : is_grpc                          ? SX_STR("snappy")
                                                                    : SX_STR("x-snappy-framed")};
    s->call.r = r;
    s->call.over = is_grpc ? grpc_over : http_over;
    return export_call_start(&s->call, o->client, SX_STR("POST"), o->url, headers, n,
                             sx_buf_view(&s->body), err);
}

static void cancel_otlp(export_request *r)
{
    otlp_slot *s = r->state;
    export_call_cancel(&s->call);
}

static void forget_otlp(export_request *r)
{
    otlp_slot *s = r->state;
    sx_buf_done(&s->body);
}

static void slot_done_otlp(export_request *r)
{
    otlp_slot *s = r->state;
    export_call_cancel(&s->call);
    export_call_done(&s->call);
    sx_buf_done(&s->body);
}

const export_driver export_otlp_driver = {.name = "otlp",
                                          .slot_bytes = sizeof(otlp_slot),
                                          .state_bytes = sizeof(otlp_state),
                                          .open = open_otlp,
                                          .send = send_otlp,
                                          .cancel = cancel_otlp,
                                          .forget = forget_otlp,
                                          .slot_done = slot_done_otlp,
                                          .done = otlp_done};
