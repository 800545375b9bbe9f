/* exporter_http.c - calls of exporters: one client a destination, answers kept whole and judged.
 *
 * The client reports to nobody: a span for each request that carries spans would never come to rest.
 * Sources: OTLP specification, "OTLP/HTTP Response", "OTLP/gRPC Response"; google.rpc.Status,
 * RetryInfo and Duration. */
#include <stdio.h>
#include <string.h>

#include <sextant/grpc.h>
#include <sextant/json.h>
#include <sextant/protobuf.h>
#include <sextant/retry.h>

#include "codec/base64.h"
#include "observe/collector/exporter_internal.h"

enum { HEADERS_MAX = 64, ANSWER_BYTES_MAX = 16 << 20 };

/* The client's limit; 0: none. */
static uint32_t limit_ms(const span_exporter *e)
{
    int64_t ms = e->settings.timeout_ms;
    return ms <= 0 ? 0 : ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* --- The client. */

static const char *text_z(span_exporter *e, sx_str s, bool *ok)
{
    if (!s.len)
        return NULL;
    sx_str copy = sx_arena_printf(&e->arena, "%.*s", SX_ARG(s));
    *ok = *ok && copy.data;
    return copy.data;
}

static sx_status tls_new(span_exporter *e, bool is_grpc, sx_tls **out, sx_error *err)
{
    const tls_settings *t = &e->settings.tls;
    bool ok = true;
    const sx_tls_client_options options = {
        .ca_file = text_z(e, t->ca_file, &ok),
        .chain_file = text_z(e, t->cert_file, &ok),
        .key_file = text_z(e, t->key_file, &ok),
        .server_name = text_z(e, t->server_name, &ok),
        .verify = t->insecure_skip_verify ? SX_TLS_VERIFY_NONE : SX_TLS_VERIFY_REQUIRED,
        .http2 = is_grpc};
    return ok ? sx_tls_client_new(&options, out, err) : sx_fail_memory(err, "an exporter's TLS");
}

sx_status export_http_open(span_exporter *e, bool is_grpc, bool is_tls, sx_http_client **out,
                           sx_error *err)
{
    sx_tls *tls = NULL;
    sx_error why;
    if (is_tls && tls_new(e, is_grpc, &tls, &why) != SX_OK)
        return export_bad(e, err, "tls: %s", why.message);
    const sx_http_client_options options = {.connections_max =
                                                (uint32_t)e->settings.queue.consumers,
                                            .response_ms_max = limit_ms(e),
                                            .body_bytes_max = ANSWER_BYTES_MAX,
                                            .tls = tls,
                                            .http2_prior_knowledge = is_grpc,
                                            .proxy = "env"};
    sx_status status = sx_http_client_new(e->loop, &options, out, err);
    if (tls)
        sx_tls_unref(tls); /* the client has its own reference */
    return status;
}

/* --- Calls. */

static void take_fields(export_call *c, const sx_header *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        if (sx_str_ieq(fields[i].name, SX_STR("grpc-status")))
            c->grpc_status = sx_str_to_u64(fields[i].value, &value) && value <= 16
                                 ? (int)value
                                 : SX_GRPC_UNKNOWN;
        else if (sx_str_ieq(fields[i].name, SX_STR("grpc-message")))
            sx_buf_str(&c->grpc_message, fields[i].value);
        else if (sx_str_ieq(fields[i].name, SX_STR("grpc-status-details-bin")))
            sx_base64_decode(fields[i].value, &c->grpc_details);
    }
}

static void copy_text(char *out, size_t room, sx_str text)
{
    snprintf(out, room, "%.*s", (int)(text.len < room ? text.len : room), text.data);
}

static void on_head(sx_call *call, void *ctx, const sx_response *response)
{
    export_call *c = ctx;
    (void)call;
    c->status = response->status;
    copy_text(c->retry_after, sizeof(c->retry_after),
              sx_response_header(response, SX_STR("retry-after")));
    copy_text(c->type, sizeof(c->type), sx_response_header(response, SX_STR("content-type")));
    take_fields(c, response->headers, response->header_count);
}

static void on_body(sx_call *call, void *ctx, sx_str piece)
{
    export_call *c = ctx;
    (void)call;
    sx_buf_str(&c->body, piece);
}

static void on_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t count)
{
    export_call *c = ctx;
    (void)call;
    c->call = NULL;
    take_fields(c, trailers, count);
    if (c->over)
        c->over(c, status, err);
}

sx_status export_call_start(export_call *c, sx_http_client *client, sx_str method, sx_str url,
                            const sx_header *headers, size_t count, sx_str body, sx_error *err)
{
    static const sx_call_events EVENTS = {.head = on_head, .body = on_body, .done = on_done};
    const exporter_settings *s = &c->r->e->settings;
    sx_header all[HEADERS_MAX];
    size_t n = 0;
    if (count + s->header_count > HEADERS_MAX)
        return sx_fail(err, SX_ELIMIT, "at most %zu headers are sent", HEADERS_MAX - count);
    for (; n < count; n++)
        all[n] = headers[n];
    for (size_t i = 0; i < s->header_count; i++)
        all[n++] = (sx_header){.name = s->headers[i].name, .value = s->headers[i].value};
    export_call_done(c);
    c->status = 0;
    c->grpc_status = -1;
    c->retry_after[0] = c->type[0] = '\0';
    c->body.len_max = ANSWER_BYTES_MAX;
    const sx_call_request request = {.method = method,
                                     .url = url,
                                     .headers = all,
                                     .header_count = n,
                                     .body = body,
                                     .total_ms_max = limit_ms(c->r->e)};
    return sx_http_call(client, &request, &EVENTS, c, &c->call, err);
}

void export_call_cancel(export_call *c)
{
    c->over = NULL;
    if (c->call)
        sx_call_cancel(c->call);
}

void export_call_done(export_call *c)
{
    sx_buf_done(&c->body);
    sx_buf_done(&c->grpc_message);
    sx_buf_done(&c->grpc_details);
}

/* --- What an answer means. */

/* The first words of an answer's body; google.rpc.Status's message if it is one. */
static sx_str answer_words(const export_call *c)
{
    sx_pb_reader r;
    sx_str body = sx_buf_view(&c->body), message = {0};
    if (!sx_str_starts(sx_str_z(c->type), SX_STR("application/x-protobuf")))
        return sx_str_first(body, 160);
    sx_pb_init(&r, body);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(2, SX_PB_BYTES))
            message = sx_pb_bytes(&r);
        else
            sx_pb_skip(&r);
    }
    return sx_str_first(message, 160);
}

static export_kind kind_of_status(int status)
{
    if (status / 100 == 2)
        return EXPORT_DONE;
    if (status == 429 || status == 502 || status == 503 || status == 504)
        return EXPORT_AGAIN;
    if (status == 413)
        return EXPORT_TOO_LARGE;
    return status == 400 ? EXPORT_SPLIT : EXPORT_REFUSED;
}

export_end export_http_end(const export_call *c, sx_status status, const sx_error *err,
                           char text[EXPORT_WHY_BYTES])
{
    export_end end = {.kind = EXPORT_AGAIN};
    if (status != SX_OK) {
        snprintf(text, EXPORT_WHY_BYTES, "%.230s", err->message);
    } else {
        sx_str words = answer_words(c);
        end.kind = kind_of_status(c->status);
        snprintf(text, EXPORT_WHY_BYTES, "HTTP status %d: %.*s", c->status, SX_ARG(words));
        if (end.kind == EXPORT_AGAIN)
            end.after_ms =
                sx_retry_after_parse(sx_str_z(c->retry_after), sx_clock_ms(c->r->e->clock));
    }
    end.why = sx_str_z(text);
    return end;
}

sx_status export_codec(const span_exporter *e, sx_str by_default, sx_codec *out, sx_error *err)
{
    static const struct {
        sx_str name;
        sx_codec codec;
    } CODECS[] = {{SX_STR_INIT("none"), SX_CODEC_IDENTITY},
                  {SX_STR_INIT("gzip"), SX_CODEC_GZIP},
                  {SX_STR_INIT("zstd"), SX_CODEC_ZSTD},
                  {SX_STR_INIT("zlib"), SX_CODEC_ZLIB},
                  {SX_STR_INIT("deflate"), SX_CODEC_ZLIB},
                  {SX_STR_INIT("snappy"), SX_CODEC_SNAPPY},
                  {SX_STR_INIT("x-snappy-framed"), SX_CODEC_SNAPPY_FRAMED}};
    sx_str name = e->settings.compression.len ? e->settings.compression : by_default;
    for (size_t i = 0; i < SX_COUNT_OF(CODECS); i++)
        if (sx_str_eq(name, CODECS[i].name)) {
            *out = CODECS[i].codec;
            return SX_OK;
        }
    return export_bad(e, err,
                      "compression is gzip, zstd, zlib, deflate, snappy or none, not '%.*s'",
                      SX_ARG(name));
}

/* google.protobuf.Duration in ms, rounded up; 0 if it is negative or absurd. */
static int64_t duration_ms(sx_str message)
{
    int64_t seconds = 0, nanos = 0;
    sx_pb_reader r;
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_VARINT))
            seconds = sx_pb_i64(&r);
        else if (r.tag == SX_PB_TAG(2, SX_PB_VARINT))
            nanos = sx_pb_i64(&r);
        else
            sx_pb_skip(&r);
    }
    if (seconds < 0 || seconds > 86400 || nanos < 0 || nanos > 999999999)
        return 0;
    return seconds * 1000 + (nanos + 999999) / 1000000;
}

/* An Any: its wait, if it is a RetryInfo. */
static int64_t any_wait_ms(sx_str any)
{
    sx_str type = {0}, value = {0};
    int64_t wait_ms = 0;
    sx_pb_reader r;
    sx_pb_init(&r, any);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            type = sx_pb_bytes(&r);
        else if (r.tag == SX_PB_TAG(2, SX_PB_BYTES))
            value = sx_pb_bytes(&r);
        else
            sx_pb_skip(&r);
    }
    if (!sx_str_ends(type, SX_STR("google.rpc.RetryInfo")))
        return 0;
    sx_pb_init(&r, value);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            wait_ms = duration_ms(sx_pb_bytes(&r));
        else
            sx_pb_skip(&r);
    }
    return wait_ms ? wait_ms : 1; /* "at once" is an answer, too: it says that a retry is welcome */
}

int64_t export_retry_info_ms(sx_str status)
{
    int64_t wait_ms = 0;
    sx_pb_reader r;
    sx_pb_init(&r, status);
    while (sx_pb_next(&r)) {
        if (r.tag != SX_PB_TAG(3, SX_PB_BYTES)) {
            sx_pb_skip(&r);
            continue;
        }
        int64_t found = any_wait_ms(sx_pb_bytes(&r));
        wait_ms = found > wait_ms ? found : wait_ms;
    }
    return wait_ms;
}

/* {"partialSuccess": {"rejectedSpans": "3", "errorMessage": "..."}}; the number may be one, too. */
static uint64_t partial_json(sx_str response, char why[EXPORT_WHY_BYTES])
{
    sx_json r;
    char space[1024];
    sx_str key, text;
    uint64_t rejected = 0;
    sx_json_init(&r, response, &(sx_json_options){.space = space, .space_bytes = sizeof(space)});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        if (!sx_str_eq(key, SX_STR("partialSuccess")) || sx_json_peek(&r) != SX_JSON_OBJECT)
            continue;
        sx_json_enter_object(&r);
        while (sx_json_next_key(&r, &key)) {
            if (sx_str_eq(key, SX_STR("rejectedSpans"))) {
                if (sx_json_peek(&r) != SX_JSON_STRING)
                    sx_json_read_u64(&r, &rejected);
                else if (sx_json_read_str(&r, &text) && !sx_str_to_u64(text, &rejected))
                    rejected = 0;
            } else if (sx_str_eq(key, SX_STR("errorMessage")) && sx_json_read_str(&r, &text)) {
                copy_text(why, EXPORT_WHY_BYTES, text);
            }
        }
    }
    return sx_json_status(&r, NULL) == SX_OK ? rejected : 0;
}

uint64_t export_partial(sx_str response, bool is_json, char why[EXPORT_WHY_BYTES])
{
    int64_t rejected = 0;
    sx_pb_reader r;
    why[0] = '\0';
    if (is_json)
        return partial_json(response, why);
    sx_pb_init(&r, response);
    while (sx_pb_next(&r)) {
        if (r.tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(&r);
            continue;
        }
        sx_pb_outer outer = sx_pb_enter(&r);
        while (sx_pb_next(&r)) {
            if (r.tag == SX_PB_TAG(1, SX_PB_VARINT))
                rejected = sx_pb_i64(&r);
            else if (r.tag == SX_PB_TAG(2, SX_PB_BYTES))
                copy_text(why, EXPORT_WHY_BYTES, sx_pb_bytes(&r));
            else
                sx_pb_skip(&r);
        }
        sx_pb_leave(&r, outer);
    }
    return rejected > 0 && sx_pb_status(&r, "an answer", NULL) == SX_OK ? (uint64_t)rejected : 0;
}
