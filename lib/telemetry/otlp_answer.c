/* otlp_answer.c - see otlp_answer.h.
 *
 * A 2xx or OK means that the records were taken, whatever the body says besides: a body that cannot be
 * read is told, but the batch is not sent a second time. */
#include "telemetry/otlp_answer.h"

#include <stdio.h>

#include <sextant/grpc.h>
#include <sextant/json.h>
#include <sextant/protobuf.h>
#include <sextant/utf8.h>

#include "net/static_rules.h"
#include "codec/base64.h"

enum { WAIT_MS_MOST = 86400000, SAID_BYTES = 160 };

/* What the receiver said, as much of it as is shown, in characters that can be shown. */
typedef struct said {
    char text[SAID_BYTES + 1];
} said;

static said said_of(sx_str message)
{
    said s;
    size_t len = 0;
    message = sx_utf8_first(message, SAID_BYTES);
    bool valid = sx_utf8_valid(message);
    for (size_t i = 0; i < message.len; i++) {
        unsigned char c = (unsigned char)message.data[i];
        bool plain = c >= 0x20 && c != 0x7f && (c < 0x80 || valid);
        s.text[len++] = plain ? (char)c : ' ';
    }
    s.text[len] = '\0';
    return s;
}

/* ---- what is in a body ---- */

typedef struct partial {
    uint64_t rejected;
    sx_str message;
} partial;

/* ExportTracePartialSuccess and its sisters have the same fields. */
static bool read_partial_protobuf(sx_str body, partial *out)
{
    sx_pb_reader r;
    sx_pb_init(&r, body);
    while (sx_pb_next(&r)) {
        if (r.tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(&r);
            continue;
        }
        sx_pb_outer outer = sx_pb_enter(&r);
        while (sx_pb_next(&r))
            switch (r.tag) {
            case SX_PB_TAG(1, SX_PB_VARINT): {
                int64_t rejected = sx_pb_i64(&r);
                out->rejected = rejected > 0 ? (uint64_t)rejected : 0;
                break;
            }
            case SX_PB_TAG(2, SX_PB_BYTES):
                out->message = sx_pb_bytes(&r);
                break;
            default:
                sx_pb_skip(&r);
            }
        sx_pb_leave(&r, outer);
    }
    return r.fault == SX_PB_FINE;
}

/* A count as protobuf's JSON may write it: a number, or its digits in a string. */
static bool read_json_count(sx_json *r, uint64_t *out)
{
    int64_t number = 0;
    sx_str text;
    bool fine = sx_json_peek(r) == SX_JSON_STRING
                    ? sx_json_read_str(r, &text) && sx_str_to_i64(text, &number)
                    : sx_json_read_i64(r, &number);
    *out = fine && number > 0 ? (uint64_t)number : 0;
    return fine;
}

static void read_json_members(sx_json *r, partial *out)
{
    sx_str key;
    while (sx_json_next_key(r, &key)) {
        if (sx_str_starts(key, SX_STR("rejected")))
            read_json_count(r, &out->rejected);
        else if (sx_str_eq(key, SX_STR("errorMessage")))
            sx_json_read_str(r, &out->message);
        else
            sx_json_skip(r);
    }
}

static bool read_partial_json(sx_arena *arena, sx_str body, partial *out)
{
    sx_json r;
    sx_str key;
    sx_json_init(&r, body, &(sx_json_options){.arena = arena});
    if (!sx_json_enter_object(&r))
        return false;
    while (sx_json_next_key(&r, &key)) {
        if (!sx_str_eq(key, SX_STR("partialSuccess")) || sx_json_peek(&r) != SX_JSON_OBJECT)
            sx_json_skip(&r);
        else if (sx_json_enter_object(&r))
            read_json_members(&r, out);
    }
    return sx_json_finish(&r, NULL) == SX_OK;
}

static void taken(bool readable, const partial *p, sx_otlp_answer *out)
{
    out->verdict = SX_OTLP_TAKEN;
    out->rejected = p->rejected;
    said s = said_of(p->message);
    if (!readable)
        snprintf(out->text, sizeof(out->text), "its answer is no OTLP response");
    else if (p->rejected)
        snprintf(out->text, sizeof(out->text), "it rejected %llu: %s",
                 (unsigned long long)p->rejected, s.text);
    else if (p->message.len)
        snprintf(out->text, sizeof(out->text), "it says: %s", s.text);
}

/* google.rpc.Status: its message, and the delay of a RetryInfo among its details; -1: there is none. */
static void read_status(sx_str bytes, sx_str *message, int64_t *delay_ms);

/* google.protobuf.Duration, in milliseconds, rounded up. */
static int64_t read_duration(sx_str bytes)
{
    sx_pb_reader r;
    int64_t seconds = 0, nanos = 0;
    sx_pb_init(&r, bytes);
    while (sx_pb_next(&r))
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            seconds = sx_pb_i64(&r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            nanos = sx_pb_i64(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    if (seconds < 0 || nanos < 0 || nanos > 999999999)
        return 0;
    return seconds >= WAIT_MS_MOST / 1000 ? WAIT_MS_MOST
                                          : seconds * 1000 + (nanos + 999999) / 1000000;
}

/* google.protobuf.Any: the delay if it is a RetryInfo, else -1. */
static int64_t read_retry_info(sx_str any)
{
    sx_pb_reader r;
    sx_str type = {0}, value = {0};
    sx_pb_init(&r, any);
    while (sx_pb_next(&r))
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            type = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            value = sx_pb_bytes(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    if (r.fault != SX_PB_FINE || !sx_str_ends(type, SX_STR("/google.rpc.RetryInfo")))
        return -1;
    int64_t delay_ms = 0;
    sx_pb_init(&r, value);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            delay_ms = read_duration(sx_pb_bytes(&r));
        else
            sx_pb_skip(&r);
    }
    return delay_ms;
}

static void read_status(sx_str bytes, sx_str *message, int64_t *delay_ms)
{
    sx_pb_reader r;
    sx_pb_init(&r, bytes);
    while (sx_pb_next(&r))
        switch (r.tag) {
        case SX_PB_TAG(2, SX_PB_BYTES):
            *message = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES): {
            int64_t found = read_retry_info(sx_pb_bytes(&r));
            *delay_ms = found >= 0 ? found : *delay_ms;
            break;
        }
        default:
            sx_pb_skip(&r);
        }
}

/* ---- HTTP ---- */

static bool is_type(sx_str content_type, sx_str type)
{
    sx_str media, rest;
    sx_str_cut(content_type, ';', &media, &rest);
    return sx_str_ieq(sx_str_trim(media), type);
}

static void taken_http(const sx_otlp_http_answer *in, sx_otlp_answer *out)
{
    partial p = {0};
    bool readable = true;
    sx_arena arena;
    sx_arena_init(&arena, 0, 1 << 20);
    if (in->body.len > 0 && is_type(in->content_type, SX_STR("application/x-protobuf")))
        readable = read_partial_protobuf(in->body, &p);
    else if (in->body.len > 0 && is_type(in->content_type, SX_STR("application/json")))
        readable = read_partial_json(&arena, in->body, &p);
    else if (in->body.len > 0 && is_type(in->content_type, SX_STR("text/html")))
        readable = false; /* a web page: most likely the address of something else */
    taken(readable, &p, out);
    sx_arena_done(&arena);
}

/* Seconds or a date (RFC 9110, section 10.2.3) in milliseconds from now; 0: neither. */
static int64_t retry_after_ms(const sx_otlp_http_answer *in)
{
    uint64_t seconds;
    sx_str text = sx_str_trim(in->retry_after);
    if (sx_str_to_u64(text, &seconds))
        return seconds < WAIT_MS_MOST / 1000 ? (int64_t)seconds * 1000 : WAIT_MS_MOST;
    int64_t date_s = text.len ? static_date_parse(text) : -1;
    int64_t now_ms = in->now_wall_ns / 1000000;
    if (date_s < 0 || date_s > INT64_MAX / 1000 || date_s * 1000 <= now_ms)
        return 0;
    return date_s * 1000 - now_ms < WAIT_MS_MOST ? date_s * 1000 - now_ms : WAIT_MS_MOST;
}

void sx_otlp_answer_http(const sx_otlp_http_answer *in, sx_otlp_answer *out)
{
    *out = (sx_otlp_answer){.verdict = SX_OTLP_REFUSED};
    if (in->status >= 200 && in->status < 300) {
        taken_http(in, out);
        return;
    }
    if (in->status == 429 || in->status == 502 || in->status == 503 || in->status == 504) {
        out->verdict = SX_OTLP_LATER;
        out->wait_ms = retry_after_ms(in);
    }
    sx_str message = {0};
    int64_t delay_ms = -1;
    if (is_type(in->content_type, SX_STR("application/x-protobuf")))
        read_status(in->body, &message, &delay_ms);
    said s = said_of(message);
    if (in->status >= 300 && in->status < 400)
        snprintf(
            out->text, sizeof(out->text),
            "it answered %d, a redirect, which is not followed: set the endpoint to where it leads",
            in->status);
    else
        snprintf(out->text, sizeof(out->text), "it answered %d%s%s", in->status,
                 s.text[0] ? ": " : "", s.text);
}

/* ---- gRPC ---- */

void sx_otlp_answer_grpc(const sx_otlp_grpc_answer *in, sx_otlp_answer *out)
{
    static const bool RETRYABLE[] = {
        [SX_GRPC_CANCELLED] = true,   [SX_GRPC_DEADLINE_EXCEEDED] = true,
        [SX_GRPC_ABORTED] = true,     [SX_GRPC_OUT_OF_RANGE] = true,
        [SX_GRPC_UNAVAILABLE] = true, [SX_GRPC_DATA_LOSS] = true,
    };
    *out = (sx_otlp_answer){.verdict = SX_OTLP_REFUSED};
    if (in->status == SX_GRPC_OK) {
        partial p = {0};
        bool readable = read_partial_protobuf(in->body, &p);
        taken(readable, &p, out);
        return;
    }
    sx_buf details;
    sx_str message = {0};
    int64_t delay_ms = -1;
    sx_buf_init(&details, 1 << 16);
    if (sx_base64_decode(in->details, &details) && !details.failed)
        read_status(sx_buf_view(&details), &message, &delay_ms);
    bool listed =
        in->status > 0 && (size_t)in->status < SX_COUNT_OF(RETRYABLE) && RETRYABLE[in->status];
    /* RESOURCE_EXHAUSTED may mean "too big for ever"; only with a delay it means "later". */
    if (listed || (in->status == SX_GRPC_RESOURCE_EXHAUSTED && delay_ms >= 0)) {
        out->verdict = SX_OTLP_LATER;
        out->wait_ms = delay_ms > 0 ? delay_ms : 0;
    }
    said s = said_of(in->message.len ? in->message : message);
    snprintf(out->text, sizeof(out->text), "it answered %s%s%s", sx_grpc_status_name(in->status),
             s.text[0] ? ": " : "", s.text);
    sx_buf_done(&details);
}
