/* http_client_request.c - a call's request: checked, copied, and written in either protocol's form.
 *
 * What the caller gives may come from outside (a header that a gateway passes on), so names and
 * values are checked here once; fields that frame the message are the client's own. */
#include "net/http_client_internal.h"

/* Fields that a caller must not set: they are hop-by-hop or ours. RFC 9110, section 7.6.1. */
static bool is_reserved(sx_str name)
{
    static const sx_str RESERVED[] = {
        SX_STR_INIT("connection"), SX_STR_INIT("transfer-encoding"), SX_STR_INIT("keep-alive"),
        SX_STR_INIT("upgrade"),    SX_STR_INIT("proxy-connection"),  SX_STR_INIT("expect")};
    for (size_t i = 0; i < SX_COUNT_OF(RESERVED); i++) {
        if (sx_str_ieq(name, RESERVED[i]))
            return true;
    }
    return false;
}

static bool is_all(sx_str s, unsigned kind)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!(http1_byte_kind[(uint8_t)s.data[i]] & kind))
            return false;
    }
    return true;
}

sx_status client_check_header(sx_header h, sx_error *err)
{
    if (h.name.len == 0 || !is_all(h.name, HTTP1_TOKEN))
        return sx_fail(err, SX_EINVAL, "'%.*s' is no name of a header field",
                       SX_ARG(sx_str_first(h.name, 60)));
    if (!is_all(h.value, HTTP1_FIELD))
        return sx_fail(err, SX_EINVAL,
                       "the value of header field '%.*s' holds CR, LF, NUL or another control byte",
                       SX_ARG(h.name));
    if (is_reserved(h.name))
        return sx_fail(err, SX_EINVAL, "header field '%.*s' is set by the client itself",
                       SX_ARG(h.name));
    return SX_OK;
}

/* Copies the caller's fields, but for Content-Length, which becomes declared_left, and Host, which
 * becomes the authority. */
static sx_status take_headers(sx_call *call, const sx_call_request *request, sx_error *err)
{
    size_t room = request->header_count + 1 + (call->client->observer ? SX_CALL_EXTRA_FIELDS : 0);
    call->headers = sx_arena_calloc(&call->arena, room, sizeof(sx_header));
    if (!call->headers)
        return sx_fail_memory(err, "a request's header fields");
    for (size_t i = 0; i < request->header_count; i++) {
        sx_header from = request->headers[i];
        from.value = sx_str_trim(from.value);
        sx_status st = client_check_header(from, err);
        if (st != SX_OK)
            return st;
        sx_header to = {sx_arena_copy(&call->arena, from.name),
                        sx_arena_copy(&call->arena, from.value)};
        if (!to.name.data || !to.value.data)
            return sx_fail_memory(err, "a request's header fields");
        uint64_t length;
        if (sx_str_ieq(to.name, SX_STR("content-length"))) {
            if (!sx_str_to_u64(to.value, &length) || length > INT64_MAX ||
                (!request->stream_body && length != request->body.len))
                return sx_fail(err, SX_EINVAL, "Content-Length '%.*s' does not fit the body",
                               SX_ARG(to.value));
            if (request->stream_body)
                call->declared_bytes = call->declared_left = (int64_t)length;
        } else if (sx_str_ieq(to.name, SX_STR("host"))) {
            call->authority = to.value;
        } else {
            if (sx_str_ieq(to.name, SX_STR("authorization")))
                call->authorization = sx_str_of(NULL, 0);
            call->headers[call->header_count++] = to;
        }
    }
    return SX_OK;
}

static sx_status take_target(sx_call *call, const sx_url *url, sx_error *err)
{
    sx_buf target;
    sx_buf_init(&target, 0);
    sx_url_target(url, &target);
    sx_status st = sx_buf_status(&target, "a request's target", err);
    if (st == SX_OK) {
        call->target = sx_arena_copy(&call->arena, sx_buf_view(&target));
        call->authority = sx_arena_copy(
            &call->arena, url->scheme == SX_URL_UNIX ? SX_STR("localhost") : url->authority);
        if (!call->target.data || !call->authority.data)
            st = sx_fail_memory(err, "a request's target");
    }
    sx_buf_done(&target);
    return st;
}

sx_status call_take_request(sx_call *call, const sx_call_request *request, const sx_url *url,
                            sx_error *err)
{
    sx_str method = request->method.len ? request->method : SX_STR("GET");
    if (!is_all(method, HTTP1_TOKEN) || method.len > HTTP1_METHOD_BYTES_MAX)
        return sx_fail(err, SX_EINVAL, "'%.*s' is no request method",
                       SX_ARG(sx_str_first(method, 40)));
    sx_method known = http1_method_of(method);
    if (known == SX_CONNECT)
        return sx_fail(err, SX_EUNSUPPORTED,
                       "CONNECT is for proxies, which the client does itself");
    call->is_head = known == SX_HEAD;
    call->is_idempotent = known == SX_GET || known == SX_HEAD || known == SX_PUT ||
                          known == SX_DELETE || known == SX_OPTIONS || known == SX_TRACE;
    call->stream_body = request->stream_body;
    call->declared_bytes = call->declared_left = -1;
    call->method = sx_arena_copy(&call->arena, method);
    call->body = sx_arena_copy(&call->arena, request->stream_body ? SX_STR("") : request->body);
    if (!call->method.data || !call->body.data)
        return sx_fail_memory(err, "a request");
    if (url->userinfo.data) {
        call->authorization = client_basic(&call->arena, url->userinfo);
        if (!call->authorization.data)
            return sx_fail_memory(err, "a request's credentials");
    }
    sx_status st = take_target(call, url, err);
    return st == SX_OK ? take_headers(call, request, err) : st;
}

static bool has_header(const sx_call *call, sx_str name)
{
    for (size_t i = 0; i < call->header_count; i++) {
        if (sx_str_ieq(call->headers[i].name, name))
            return true;
    }
    return false;
}

sx_status call_add_extra(sx_call *call, const sx_call_start *start, sx_error *err)
{
    sx_assert(start->extra_count <= SX_CALL_EXTRA_FIELDS);
    for (size_t i = 0; i < start->extra_count; i++) {
        sx_header from = start->extra[i];
        if (has_header(call, from.name))
            continue;
        sx_status st = client_check_header(from, err);
        if (st != SX_OK)
            return st;
        sx_header to = {sx_arena_copy(&call->arena, from.name),
                        sx_arena_copy(&call->arena, from.value)};
        if (!to.name.data || !to.value.data)
            return sx_fail_memory(err, "a request's header fields");
        call->headers[call->header_count++] = to; /* take_headers has left room */
    }
    return SX_OK;
}

/* Length to declare: of a whole body, where there is one or the method expects one (RFC 9110,
 * section 8.6), or what the caller declared for a stream; -1: none. */
static int64_t length_to_declare(const sx_call *call)
{
    if (call->stream_body)
        return call->declared_bytes;
    sx_method method = http1_method_of(call->method);
    bool expects = method == SX_POST || method == SX_PUT || method == SX_PATCH;
    return call->body.len || expects ? (int64_t)call->body.len : -1;
}

static void write_field(sx_buf *out, sx_str name, sx_str value)
{
    sx_buf_str(out, name);
    sx_buf_str(out, SX_STR(": "));
    sx_buf_str(out, value);
    sx_buf_str(out, SX_STR("\r\n"));
}

void call_write_head(const sx_call *call, sx_buf *out)
{
    const client_origin *origin = call->origin;
    bool is_proxied = origin->proxy && origin->scheme == SX_URL_HTTP;
    int64_t length = length_to_declare(call);
    sx_buf_str(out, call->method);
    sx_buf_byte(out, ' ');
    if (is_proxied) { /* RFC 9112, section 3.2.2 */
        sx_buf_str(out, SX_STR("http://"));
        sx_buf_str(out, call->authority);
    }
    sx_buf_str(out, call->target);
    sx_buf_str(out, SX_STR(" HTTP/1.1\r\n"));
    write_field(out, SX_STR("Host"), call->authority);
    if (!has_header(call, SX_STR("user-agent")))
        write_field(out, SX_STR("User-Agent"), sx_str_z(call->client->options.user_agent));
    if (is_proxied && origin->proxy->authorization.len)
        write_field(out, SX_STR("Proxy-Authorization"), origin->proxy->authorization);
    if (call->authorization.len)
        write_field(out, SX_STR("Authorization"), call->authorization);
    for (size_t i = 0; i < call->header_count; i++)
        write_field(out, call->headers[i].name, call->headers[i].value);
    if (length >= 0) {
        sx_buf_str(out, SX_STR("Content-Length: "));
        sx_buf_i64(out, length);
        sx_buf_str(out, SX_STR("\r\n"));
    } else if (call->stream_body) {
        sx_buf_str(out, SX_STR("Transfer-Encoding: chunked\r\n"));
    }
    sx_buf_str(out, SX_STR("\r\n"));
}

nghttp2_nv *call_http2_fields(sx_call *call, size_t *count)
{
    int64_t length = length_to_declare(call);
    nghttp2_nv *fields = sx_arena_calloc(&call->arena, call->header_count + 8, sizeof(*fields));
    sx_str text =
        length >= 0 ? sx_arena_printf(&call->arena, "%lld", (long long)length) : SX_STR("");
    size_t n = 0;
    if (!fields || !text.data)
        return NULL;
    fields[n++] = sx_http2_field(SX_STR(":method"), call->method);
    fields[n++] = sx_http2_field(
        SX_STR(":scheme"), call->origin->scheme == SX_URL_HTTPS ? SX_STR("https") : SX_STR("http"));
    fields[n++] = sx_http2_field(SX_STR(":authority"), call->authority);
    fields[n++] = sx_http2_field(SX_STR(":path"), call->target);
    if (!has_header(call, SX_STR("user-agent")))
        fields[n++] =
            sx_http2_field(SX_STR("user-agent"), sx_str_z(call->client->options.user_agent));
    if (call->authorization.len)
        fields[n++] = sx_http2_field(SX_STR("authorization"), call->authorization);
    if (length >= 0)
        fields[n++] = sx_http2_field(SX_STR("content-length"), text);
    for (size_t i = 0; i < call->header_count; i++)
        fields[n++] = sx_http2_field(call->headers[i].name, call->headers[i].value);
    *count = n;
    return fields;
}

/* RFC 4648, section 4. */
static void write_base64(sx_str in, sx_buf *out)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < in.len; i += 3) {
        size_t n = in.len - i < 3 ? in.len - i : 3;
        uint32_t bits = (uint32_t)(uint8_t)in.data[i] << 16;
        bits |= n > 1 ? (uint32_t)(uint8_t)in.data[i + 1] << 8 : 0;
        bits |= n > 2 ? (uint32_t)(uint8_t)in.data[i + 2] : 0;
        char four[4] = {DIGITS[bits >> 18], DIGITS[bits >> 12 & 63],
                        n > 1 ? DIGITS[bits >> 6 & 63] : '=', n > 2 ? DIGITS[bits & 63] : '='};
        sx_buf_bytes(out, four, sizeof(four));
    }
}

sx_str client_basic(sx_arena *arena, sx_str userinfo)
{
    sx_str decoded, result = {0};
    sx_buf text;
    if (sx_percent_decode(arena, userinfo, SX_PERCENT_PATH, &decoded, NULL) != SX_OK)
        return result;
    sx_buf_init(&text, 0);
    sx_buf_str(&text, SX_STR("Basic "));
    bool has_password = sx_str_find_byte(userinfo, ':') < userinfo.len;
    if (has_password || decoded.len == 0) {
        write_base64(decoded, &text);
    } else { /* RFC 7617: the colon is always there */
        sx_str with_colon = sx_arena_printf(arena, "%.*s:", SX_ARG(decoded));
        write_base64(with_colon, &text);
        text.failed |= !with_colon.data;
    }
    if (!text.failed)
        result = sx_arena_copy(arena, sx_buf_view(&text));
    sx_buf_done(&text);
    return result;
}
