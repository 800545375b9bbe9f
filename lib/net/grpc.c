/* grpc.c - gRPC without a connection: length-prefixed messages, status codes, time-outs and the
 * coding of status messages (grpc.h). The calls are in grpc_server.c and grpc_client.c. */
#include <sextant/grpc.h>

#include <stdio.h>

#include <sextant/compress.h>

#include "net/percent.h"

/* ---- status ---- */

const char *sx_grpc_status_name(int status)
{
    static const char *const NAMES[] = {
#define X(name, value) [value] = #name,
        SX_GRPC_STATUS_LIST(X)
#undef X
    };
    return status >= 0 && (size_t)status < SX_COUNT_OF(NAMES) ? NAMES[status] : "UNKNOWN";
}

sx_grpc_status sx_grpc_status_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return SX_GRPC_INTERNAL;
    case 401:
        return SX_GRPC_UNAUTHENTICATED;
    case 403:
        return SX_GRPC_PERMISSION_DENIED;
    case 404:
        return SX_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return SX_GRPC_UNAVAILABLE;
    default:
        return SX_GRPC_UNKNOWN;
    }
}

sx_grpc_status sx_grpc_status_of(sx_status status)
{
    switch (status) {
    case SX_OK:
        return SX_GRPC_OK;
    case SX_ECANCELED:
        return SX_GRPC_CANCELLED;
    case SX_ETIMEOUT:
        return SX_GRPC_DEADLINE_EXCEEDED;
    case SX_ELIMIT:
    case SX_ENOMEM:
        return SX_GRPC_RESOURCE_EXHAUSTED;
    case SX_EINVAL:
    case SX_EFORMAT:
        return SX_GRPC_INVALID_ARGUMENT;
    case SX_ENOTFOUND: /* of a host, not of the thing asked for */
    case SX_REFUSED:
    case SX_ECLOSED:
    case SX_EIO:
        return SX_GRPC_UNAVAILABLE;
    case SX_EPROTOCOL:
        return SX_GRPC_INTERNAL;
    default:
        return SX_GRPC_UNKNOWN;
    }
}

/* ---- framing ---- */

void sx_grpc_reader_init(sx_grpc_reader *r, size_t message_bytes_max, sx_codec coding)
{
    *r = (sx_grpc_reader){.message_bytes_max =
                              message_bytes_max ? message_bytes_max : SX_GRPC_MESSAGE_BYTES_MAX,
                          .coding = coding};
}

void sx_grpc_reader_done(sx_grpc_reader *r)
{
    sx_buf_done(&r->partial);
    sx_buf_done(&r->plain);
}

bool sx_grpc_reader_is_partial(const sx_grpc_reader *r)
{
    return r->partial.len > 0 && !r->drop_partial;
}

/* Length of the message that the prefix announces, checked. */
static sx_status read_prefix(const sx_grpc_reader *r, const char *prefix, size_t *len,
                             sx_error *err)
{
    const uint8_t *p = (const uint8_t *)prefix;
    if (p[0] > 1)
        return sx_fail(err, SX_EPROTOCOL, "a gRPC message begins with %u, not with 0 or 1", p[0]);
    if (p[0] == 1 && r->coding == SX_CODEC_IDENTITY)
        return sx_fail(err, SX_EPROTOCOL,
                       "a compressed gRPC message in a stream without a grpc-encoding");
    *len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    if (*len > r->message_bytes_max)
        return sx_fail(err, SX_ELIMIT, "a gRPC message of %zu bytes; at most %zu are taken", *len,
                       r->message_bytes_max);
    return SX_OK;
}

/* `framed` is one whole message with its prefix. */
static sx_status open_message(sx_grpc_reader *r, sx_str framed, sx_str *message, sx_error *err)
{
    *message = sx_str_from(framed, SX_GRPC_PREFIX_BYTES);
    if (framed.data[0] == 0)
        return SX_OK;
    sx_buf_clear(&r->plain);
    sx_status st = sx_decompress(r->coding, *message, r->message_bytes_max, &r->plain, err);
    if (st == SX_EFORMAT)
        st = sx_error_prefix(err, SX_EPROTOCOL, "a compressed gRPC message");
    *message = sx_buf_view(&r->plain);
    return st == SX_EFORMAT ? SX_EPROTOCOL : st;
}

sx_status sx_grpc_reader_next(sx_grpc_reader *r, sx_str *in, sx_str *message, sx_error *err)
{
    size_t len;
    sx_status st;
    if (r->drop_partial) { /* the caller has done with the message of the last call */
        sx_buf_clear(&r->partial);
        r->drop_partial = false;
    }
    /* The usual case: the message is whole within the piece and is used where it stands. */
    if (r->partial.len == 0 && in->len >= SX_GRPC_PREFIX_BYTES) {
        st = read_prefix(r, in->data, &len, err);
        if (st != SX_OK)
            return st;
        if (in->len - SX_GRPC_PREFIX_BYTES >= len) {
            sx_str framed = sx_str_first(*in, SX_GRPC_PREFIX_BYTES + len);
            *in = sx_str_from(*in, framed.len);
            return open_message(r, framed, message, err);
        }
    }
    while (in->len) {
        size_t need = SX_GRPC_PREFIX_BYTES;
        if (r->partial.len >= SX_GRPC_PREFIX_BYTES) {
            st = read_prefix(r, r->partial.data, &len, err);
            if (st != SX_OK)
                return st;
            need += len;
        }
        sx_str part = sx_str_first(*in, need - r->partial.len);
        sx_buf_str(&r->partial, part);
        if (r->partial.failed)
            return sx_fail_memory(err, "a gRPC message");
        *in = sx_str_from(*in, part.len);
        if (r->partial.len < SX_GRPC_PREFIX_BYTES)
            continue;
        st = read_prefix(r, r->partial.data, &len, err);
        if (st != SX_OK)
            return st;
        if (r->partial.len == SX_GRPC_PREFIX_BYTES + len) {
            r->drop_partial = true;
            return open_message(r, sx_buf_view(&r->partial), message, err);
        }
    }
    return SX_AGAIN;
}

void sx_grpc_write_message(sx_str message, sx_buf *out)
{
    sx_assert(message.len <= UINT32_MAX);
    uint32_t n = (uint32_t)message.len;
    char prefix[SX_GRPC_PREFIX_BYTES] = {0, (char)(n >> 24), (char)(n >> 16), (char)(n >> 8),
                                         (char)n};
    sx_buf_bytes(out, prefix, sizeof(prefix));
    sx_buf_str(out, message);
}

/* ---- time-outs ---- */

static const struct {
    char unit;
    int64_t microseconds; /* 0: nanoseconds */
} UNITS[] = {{'H', 3600000000}, {'M', 60000000}, {'S', 1000000}, {'m', 1000}, {'u', 1}, {'n', 0}};

sx_status sx_grpc_timeout_parse(sx_str text, int64_t *ms, sx_error *err)
{
    uint64_t value;
    if (text.len >= 2 && text.len <= 9 && sx_str_to_u64(sx_str_first(text, text.len - 1), &value)) {
        for (size_t i = 0; i < SX_COUNT_OF(UNITS); i++) {
            if (text.data[text.len - 1] != UNITS[i].unit)
                continue;
            uint64_t us = UNITS[i].microseconds ? value * (uint64_t)UNITS[i].microseconds
                                                : (value + 999) / 1000;
            *ms = (int64_t)((us + 999) / 1000);
            return SX_OK;
        }
    }
    return sx_fail(err, SX_EFORMAT,
                   "grpc-timeout '%.*s' is not one to eight digits and one of H M S m u n",
                   SX_ARG(sx_str_first(text, 20)));
}

sx_str sx_grpc_timeout_format(int64_t ms, char out[16])
{
    const char *unit = "m";
    if (ms < 0)
        ms = 0;
    if (ms > 99999999) { /* eight digits: 27 hours of milliseconds, then seconds, then hours */
        ms = (ms + 999) / 1000;
        unit = "S";
    }
    if (ms > 99999999) {
        ms = ms / 3600 > 99999999 ? 99999999 : ms / 3600;
        unit = "H";
    }
    int len = snprintf(out, 16, "%lld%s", (long long)ms, unit);
    return sx_str_of(out, (size_t)len);
}

/* ---- status messages ---- */

void sx_grpc_message_encode(sx_str text, sx_buf *out)
{
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte >= ' ' && byte <= '~' && byte != '%') {
            sx_buf_byte(out, (char)byte);
        } else {
            char coded[3] = {'%', HEX[byte >> 4], HEX[byte & 15]};
            sx_buf_bytes(out, coded, sizeof(coded));
        }
    }
}

sx_str sx_grpc_message_decode(sx_arena *arena, sx_str text)
{
    char *out = sx_arena_alloc(arena, text.len + 1);
    size_t len = 0;
    if (!out)
        return sx_str_of(NULL, 0);
    for (size_t i = 0; i < text.len; i++) {
        int value = sx_percent_value(sx_str_from(text, i));
        if (value >= 0) {
            out[len++] = (char)value;
            i += 2;
        } else {
            out[len++] = text.data[i];
        }
    }
    return sx_str_of(out, len);
}

bool sx_grpc_path(sx_str path, sx_str *service, sx_str *method)
{
    if (path.len < 4 || path.data[0] != '/')
        return false;
    return sx_str_cut(sx_str_from(path, 1), '/', service, method) && service->len && method->len &&
           sx_str_find_byte(*method, '/') == method->len;
}
