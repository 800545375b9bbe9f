/* http_attributes.c - see http_attributes.h. */
#include "client/http_attributes.h"

#include <stdio.h>

#include <sextant/grpc.h>
#include <sextant/http.h>

#include "telemetry/semconv.h"

/* The methods of RFC 9110 and RFC 5789; another is "_OTHER", so that nobody makes series by the score. */
static bool is_known_method(sx_str method)
{
    static const sx_str KNOWN[] = {
        SX_STR_INIT("GET"),     SX_STR_INIT("POST"),    SX_STR_INIT("PUT"),
        SX_STR_INIT("DELETE"),  SX_STR_INIT("PATCH"),   SX_STR_INIT("HEAD"),
        SX_STR_INIT("OPTIONS"), SX_STR_INIT("CONNECT"), SX_STR_INIT("TRACE")};
    for (size_t i = 0; i < SX_COUNT_OF(KNOWN); i++) {
        if (sx_str_eq(method, KNOWN[i]))
            return true;
    }
    return false;
}

void http_method_name(const sx_call_start *call, char *out, size_t size)
{
    sx_str path = call->parts->path;
    if (call->is_grpc && path.len > 1)
        snprintf(out, size, "%.*s", SX_ARG(sx_str_from(path, 1)));
    else
        snprintf(
            out, size, "%.*s",
            SX_ARG(is_known_method(call->method) ? call->method : SX_STR(SX_HTTP_METHOD_OTHER)));
}

/* ---- the URL ---- */

/* Parameters that sign a request: OpenTelemetry's list for url.full. */
static bool is_secret(sx_str name)
{
    static const sx_str SECRETS[] = {SX_STR_INIT("AWSAccessKeyId"), SX_STR_INIT("Signature"),
                                     SX_STR_INIT("sig"), SX_STR_INIT("X-Goog-Signature")};
    for (size_t i = 0; i < SX_COUNT_OF(SECRETS); i++) {
        if (sx_str_eq(name, SECRETS[i]))
            return true;
    }
    return false;
}

static void write_query(sx_str query, sx_buf *out)
{
    char before = '?';
    while (query.len) {
        sx_str pair, name, value;
        sx_str_cut(query, '&', &pair, &query);
        bool has_value = sx_str_cut(pair, '=', &name, &value);
        sx_buf_byte(out, before);
        if (has_value && is_secret(name)) {
            sx_buf_str(out, name);
            sx_buf_str(out, SX_STR("=REDACTED"));
        } else {
            sx_buf_str(out, pair);
        }
        before = '&';
    }
}

void http_url_redact(const sx_url *url, bool with_query, sx_buf *out)
{
    if (url->scheme == SX_URL_UNIX) {
        sx_buf_str(out, SX_STR("unix:"));
        sx_buf_str(out, url->host);
        sx_buf_byte(out, ':');
    } else {
        sx_buf_str(out, url->scheme == SX_URL_HTTPS ? SX_STR("https://") : SX_STR("http://"));
        if (url->userinfo.data)
            sx_buf_str(out, SX_STR("REDACTED:REDACTED@"));
        sx_buf_str(out, url->authority);
    }
    sx_buf_str(out, url->path.len ? url->path : SX_STR("/"));
    if (with_query)
        write_query(url->query, out);
}

/* ---- the span ---- */

static size_t add_server(const sx_url *url, sx_field *fields)
{
    size_t n = 0;
    fields[n++] = sx_field_str(SX_ATTR_SERVER_ADDRESS, url->host);
    if (url->port)
        fields[n++] = sx_field_i64(SX_ATTR_SERVER_PORT, url->port);
    return n;
}

static size_t add_rpc(const char *path, sx_field *fields)
{
    size_t n = 0;
    sx_str service, method;
    fields[n++] = sx_field_z(SX_ATTR_RPC_SYSTEM, SX_RPC_SYSTEM_GRPC);
    if (sx_str_cut(sx_str_z(path), '/', &service, &method)) {
        fields[n++] = sx_field_str(SX_ATTR_RPC_SERVICE, service);
        fields[n++] = sx_field_str(SX_ATTR_RPC_METHOD, method);
    }
    return n;
}

void http_span_start(sx_span *span, sx_tracer *tracer, const sx_span_context *parent,
                     const sx_call_start *call, const char *method, bool with_query)
{
    sx_field fields[8];
    size_t n = 0;
    sx_buf url;
    if (!tracer) {
        sx_span_start(span, NULL, &(sx_span_options){.parent = parent});
        return;
    }
    sx_buf_init(&url, 8192);
    bool is_other = strcmp(method, SX_HTTP_METHOD_OTHER) == 0;
    n += add_server(call->parts, fields + n);
    if (call->is_grpc) {
        n += add_rpc(method, fields + n);
    } else {
        http_url_redact(call->parts, with_query, &url);
        fields[n++] = sx_field_z(SX_ATTR_HTTP_REQUEST_METHOD, method);
        fields[n++] = sx_field_str(SX_ATTR_URL_FULL, sx_buf_view(&url));
        if (is_other)
            fields[n++] = sx_field_str(SX_ATTR_HTTP_REQUEST_METHOD_ORIGINAL, call->method);
    }
    sx_span_start(span, tracer,
                  &(sx_span_options){.name = is_other ? SX_STR("HTTP") : sx_str_z(method),
                                     .kind = SX_SPAN_CLIENT,
                                     .parent = parent,
                                     .attributes = fields,
                                     .attribute_count = n});
    sx_buf_done(&url);
}

void http_span_fail(sx_span *span, const char *error_type, const sx_error *err)
{
    SX_SPAN_SET(span, sx_field_z(SX_ATTR_ERROR_TYPE, error_type));
    sx_span_outcome_set(span, SX_SPAN_ERROR, sx_str_z(err->message));
}

static void set_response(sx_span *span, const sx_call_end_info *info)
{
    static const char *const VERSIONS[] = {"1.0", "1.1", "2"};
    int version = info->response->version;
    const char *text = VERSIONS[version >= 20 ? 2 : version > 10];
    sx_field fields[] = {
        sx_field_i64(SX_ATTR_HTTP_RESPONSE_STATUS_CODE, info->response->status),
        sx_field_z(SX_ATTR_NETWORK_PROTOCOL_VERSION, text),
        sx_field_u64(SX_ATTR_HTTP_RESPONSE_BODY_SIZE, info->received_bytes),
    };
    sx_span_set(span, fields, SX_COUNT_OF(fields));
}

void http_span_end(sx_span *span, const sx_call_end_info *info, bool is_grpc, int grpc_status,
                   const char *code)
{
    if (sx_span_recording(span)) {
        if (is_grpc)
            SX_SPAN_SET(span, sx_field_i64(SX_ATTR_RPC_GRPC_STATUS_CODE, grpc_status));
        else if (!is_grpc && info->response)
            set_response(span, info);
        if (info->resends)
            SX_SPAN_SET(span, sx_field_u64(SX_ATTR_HTTP_REQUEST_RESEND_COUNT, info->resends));
        bool is_error =
            info->status != SX_OK ||
            (is_grpc ? grpc_status != SX_GRPC_OK : info->response && info->response->status >= 400);
        if (is_error)
            http_span_fail(span, code, info->err);
    }
    sx_span_end(span);
}

/* ---- gRPC ---- */

static int status_in(const sx_header *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        if (sx_str_eq(fields[i].name, SX_STR("grpc-status")))
            return sx_str_to_u64(fields[i].value, &value) && value <= SX_GRPC_UNAUTHENTICATED
                       ? (int)value
                       : SX_GRPC_UNKNOWN;
    }
    return -1;
}

int http_grpc_status(const sx_call_end_info *info)
{
    int status = status_in(info->trailers, info->trailer_count);
    if (status < 0 && info->response)
        status = status_in(info->response->headers, info->response->header_count);
    if (status >= 0)
        return status;
    if (info->status != SX_OK)
        return (int)sx_grpc_status_of(info->status);
    if (!info->response || info->response->status == 200)
        return SX_GRPC_UNKNOWN;
    return (int)sx_grpc_status_of_http(info->response->status);
}
