/* receive.c - receivers of spans: from the listener's request to the sink, and back to the client. */
#include "observe/api/receive.h"

#include <sextant/compress.h>
#include <sextant/json.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "observe/api/sampling.h"
#include "observe/spans/jaeger.h"
#include "observe/spans/zipkin.h"

enum { RETRY_SECONDS = 5 };

typedef sx_status read_fn(sx_str body, const span_limits *limits, span_batch *out,
                          span_refused *refused, sx_error *err);

/* --- What all of them do. */

/* Reads a body and gives its spans to the sink. `owned` (may be NULL) holds the body's bytes, if they
 * are not the request's, and may be taken. */
static sx_status take_spans(receiver *r, read_fn *read, sx_str body, sx_buf *owned,
                            span_refused *refused, sx_error *err)
{
    sx_buf copy;
    span_batch *b = span_batch_new(0);
    if (!b)
        return sx_fail_memory(err, "a batch of spans");
    sx_buf_init(&copy, 0);
    if (r->sink.keeps && !owned) {
        sx_buf_str(&copy, body);
        owned = &copy;
    }
    sx_status status = SX_OK;
    if (owned) {
        status = sx_buf_status(owned, "a batch of spans", err);
        span_batch_keep(b, owned);
        body = sx_buf_view(&b->body);
    }
    if (status == SX_OK)
        status = read(body, &r->limits, b, refused, err);
    if (status == SX_ELIMIT) /* too much of something: it will not be less the next time */
        status = SX_EFORMAT;
    size_t count = b->count;
    if (status == SX_OK && count)
        status = r->sink.take(r->sink.ctx, b, err);
    if (status == SX_OK)
        sx_counter_add(r->accepted, count);
    sx_counter_add(r->refused, refused->spans + (status == SX_OK ? 0 : count));
    span_batch_unref(b);
    return status;
}

static int http_status_of(sx_status status)
{
    switch (status) {
    case SX_EFORMAT:
    case SX_EINVAL:
        return 400;
    case SX_ELIMIT:
        return 429;
    case SX_REFUSED:
    case SX_ENOMEM: /* there may be some the next time: clients do not drop the spans */
        return 503;
    default:
        return 500;
    }
}

static sx_grpc_status grpc_status_of(sx_status status)
{
    switch (status) {
    case SX_OK:
        return SX_GRPC_OK;
    case SX_EFORMAT:
    case SX_EINVAL:
        return SX_GRPC_INVALID_ARGUMENT;
    case SX_ELIMIT:
        return SX_GRPC_RESOURCE_EXHAUSTED;
    case SX_REFUSED:
    case SX_ENOMEM:
        return SX_GRPC_UNAVAILABLE;
    default:
        return SX_GRPC_INTERNAL;
    }
}

static void set_retry(api_call *c)
{
    if (c->status != 429 && c->status != 503)
        return;
    sx_str seconds = sx_arena_printf(&c->arena, "%d", RETRY_SECONDS);
    if (seconds.data)
        c->headers[c->header_count++] = (sx_header){SX_STR("Retry-After"), seconds};
}

/* --- OTLP over HTTP. Errors are google.rpc.Status in the request's own encoding. */

static void otlp_error(api_call *c, int status, sx_grpc_status code, const char *message, bool json)
{
    c->status = status;
    sx_buf_clear(&c->out);
    if (json) {
        c->content_type = SX_STR("application/json");
        sx_buf_printf(&c->out, "{\"code\":%d,\"message\":", (int)code);
        sx_json_quote(&c->out, sx_str_z(message), SX_JSON_UTF8);
        sx_buf_byte(&c->out, '}');
    } else {
        c->content_type = SX_STR("application/x-protobuf");
        sx_pb_put_u64(&c->out, 1, (uint64_t)code);
        sx_pb_put_str(&c->out, 2, sx_str_z(message));
    }
    set_retry(c);
}

/* ExportTraceServiceResponse. */
static void put_partial(sx_buf *out, const span_refused *refused)
{
    size_t mark = sx_pb_begin(out, 1);
    if (refused->spans) {
        sx_pb_put_u64(out, 1, refused->spans);
        sx_pb_put_str(out, 2, sx_str_z(refused->why));
    }
    sx_pb_end(out, mark);
}

static void otlp_answer(api_call *c, bool json, const span_refused *refused)
{
    c->status = 200;
    c->content_type = json ? SX_STR("application/json") : SX_STR("application/x-protobuf");
    if (!json) {
        put_partial(&c->out, refused);
        return;
    }
    sx_buf_str(&c->out, SX_STR("{\"partialSuccess\":{"));
    if (refused->spans) {
        sx_buf_printf(&c->out, "\"rejectedSpans\":\"%llu\",\"errorMessage\":",
                      (unsigned long long)refused->spans);
        sx_json_quote(&c->out, sx_str_z(refused->why), SX_JSON_UTF8);
    }
    sx_buf_str(&c->out, SX_STR("}}"));
}

/* The media type without its parameters. */
static sx_str media_type(const api_call *c)
{
    sx_str type = sx_request_header(c->r, SX_STR("content-type")), rest;
    sx_str_cut(type, ';', &type, &rest);
    return sx_str_trim(type);
}

static void otlp_traces(api_call *c)
{
    receiver *r = c->ctx;
    sx_error err = {0};
    sx_buf space;
    sx_str body;
    span_refused refused = {0};
    sx_str type = media_type(c);
    bool json = sx_str_ieq(type, SX_STR("application/json"));
    if (!json && !sx_str_ieq(type, SX_STR("application/x-protobuf"))) {
        api_text(c, 415,
                 SX_STR("unsupported media type: application/x-protobuf and application/json are "
                        "taken\n"));
        return;
    }
    sx_buf_init(&space, 0);
    sx_status status = api_plain_body(c, &space, &body, &err);
    if (status == SX_ELIMIT) /* a body that is too long stays so: not to be sent again */
        status = SX_EFORMAT;
    if (status == SX_OK)
        status = take_spans(r, json ? span_read_otlp_json : span_read_otlp, body,
                            space.len ? &space : NULL, &refused, &err);
    if (status == SX_OK) {
        otlp_answer(c, json, &refused);
    } else {
        otlp_error(c, http_status_of(status), grpc_status_of(status), err.message, json);
    }
    sx_buf_done(&space);
}

/* --- Jaeger's collector and Zipkin over HTTP: 202 without a body, or words. */

static void plain_answer(api_call *c, receiver *r, read_fn *read)
{
    sx_error err = {0};
    sx_buf space;
    sx_str body;
    span_refused refused = {0};
    sx_buf_init(&space, 0);
    sx_status status = api_plain_body(c, &space, &body, &err);
    if (status == SX_ELIMIT)
        status = SX_EFORMAT;
    if (status == SX_OK)
        status = take_spans(r, read, body, space.len ? &space : NULL, &refused, &err);
    if (status == SX_OK && refused.spans)
        status = sx_fail(&err, SX_EFORMAT, "%llu spans were refused; the first, %s",
                         (unsigned long long)refused.spans, refused.why);
    if (status == SX_OK) {
        api_text(c, 202, SX_STR(""));
    } else {
        sx_str words =
            sx_arena_printf(&c->arena, "Unable to process request body: %s\n", err.message);
        api_text(c, http_status_of(status), words.data ? words : SX_STR("out of memory\n"));
        set_retry(c);
    }
    sx_buf_done(&space);
}

static sx_status read_thrift_binary(sx_str body, const span_limits *limits, span_batch *out,
                                    span_refused *refused, sx_error *err)
{
    return span_read_jaeger_thrift(body, SX_THRIFT_BINARY, limits, out, refused, err);
}

static bool is_thrift(sx_str type)
{
    return sx_str_ieq(type, SX_STR("application/x-thrift")) ||
           sx_str_ieq(type, SX_STR("application/vnd.apache.thrift.binary"));
}

static void unsupported_type(api_call *c, int status, sx_str type)
{
    sx_str words = sx_arena_printf(&c->arena, "Unsupported content type: %.*s\n", SX_ARG(type));
    api_text(c, status, words.data ? words : SX_STR("out of memory\n"));
}

static void jaeger_spans(api_call *c)
{
    sx_str type = media_type(c);
    if (is_thrift(type))
        plain_answer(c, c->ctx, read_thrift_binary);
    else
        unsupported_type(c, 400, type);
}

static void zipkin_v2(api_call *c)
{
    sx_str type = media_type(c);
    bool proto = sx_str_ieq(type, SX_STR("application/x-protobuf"));
    plain_answer(c, c->ctx, proto ? span_read_zipkin_proto : span_read_zipkin_json);
}

static void zipkin_v1(api_call *c)
{
    plain_answer(c, c->ctx,
                 is_thrift(media_type(c)) ? span_read_zipkin_thrift : span_read_zipkin_v1_json);
}

/* --- gRPC. */

static sx_grpc_status take_rpc(rpc_call *c, receiver *r, read_fn *read, span_refused *refused,
                               sx_error *err)
{
    sx_status status = take_spans(r, read, c->request, NULL, refused, err);
    if (status == SX_ELIMIT || status == SX_REFUSED || status == SX_ENOMEM)
        rpc_retry_after(c, RETRY_SECONDS);
    return grpc_status_of(status);
}

sx_grpc_status receiver_export_rpc(rpc_call *c, receiver *r, sx_error *err)
{
    sx_buf answer;
    span_refused refused = {0};
    sx_grpc_status status = take_rpc(c, r, span_read_otlp, &refused, err);
    sx_buf_init(&answer, 0);
    put_partial(&answer, &refused);
    if (status == SX_GRPC_OK)
        rpc_send(c, sx_buf_view(&answer));
    sx_buf_done(&answer);
    return status;
}

static sx_grpc_status export_traces(rpc_call *c, sx_error *err)
{
    return receiver_export_rpc(c, c->ctx, err);
}

static sx_grpc_status export_metrics(rpc_call *c, sx_error *err)
{
    return api_otlp_metrics_rpc(c, ((receiver *)c->ctx)->api, err);
}

static sx_grpc_status post_spans(rpc_call *c, sx_error *err)
{
    span_refused refused = {0};
    sx_grpc_status status = take_rpc(c, c->ctx, span_read_jaeger_proto, &refused, err);
    if (status == SX_GRPC_OK && refused.spans) {
        sx_fail(err, SX_EFORMAT, "%s", refused.why);
        return SX_GRPC_INVALID_ARGUMENT;
    }
    if (status == SX_GRPC_OK)
        rpc_send(c, SX_STR(""));
    return status;
}

static sx_grpc_status sampling_strategy_rpc(rpc_call *c, sx_error *err)
{
    return api_sampling_rpc(c, ((receiver *)c->ctx)->api, err);
}

static const rpc_method OTLP_METHODS[] = {
    {"/opentelemetry.proto.collector.trace.v1.TraceService/Export", export_traces},
    {"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", export_metrics},
};

static const rpc_method JAEGER_METHODS[] = {
    {"/jaeger.api_v2.CollectorService/PostSpans", post_spans},
    {"/jaeger.api_v2.SamplingManager/GetSamplingStrategy", sampling_strategy_rpc},
};

/* --- UDP: datagrams of a batch wait for a thread in one copy. */

typedef struct datagrams {
    receiver *r;
    sx_buf bytes;
    uint32_t lens[SX_UDP_BATCH];
    size_t count;
} datagrams;

static sx_status read_compact(sx_str body, const span_limits *limits, span_batch *out,
                              span_refused *refused, sx_error *err)
{
    return span_read_jaeger_agent(body, SX_THRIFT_COMPACT, limits, out, refused, err);
}

static sx_status read_binary(sx_str body, const span_limits *limits, span_batch *out,
                             span_refused *refused, sx_error *err)
{
    return span_read_jaeger_agent(body, SX_THRIFT_BINARY, limits, out, refused, err);
}

static void take_datagrams(void *arg)
{
    datagrams *d = arg;
    sx_str rest = sx_buf_view(&d->bytes);
    for (size_t i = 0; i < d->count; i++) {
        sx_error err = {0};
        span_refused refused = {0};
        sx_str one = sx_str_first(rest, d->lens[i]);
        rest = sx_str_from(rest, d->lens[i]);
        if (take_spans(d->r, d->r->kind == RECEIVE_JAEGER_COMPACT ? read_compact : read_binary, one,
                       NULL, &refused, &err) != SX_OK)
            SX_LOG_WARN(sx_service_logger(d->r->api->service), NULL,
                        "a datagram of spans is refused",
                        sx_field_str("receiver", sx_str_z(receiver_name(d->r->kind))),
                        sx_field_error(&err));
    }
}

static void free_datagrams(sx_loop *loop, void *arg)
{
    datagrams *d = arg;
    (void)loop;
    sx_buf_done(&d->bytes);
    sx_free(d);
}

static void on_datagrams(sx_udp *udp, void *ctx, const sx_datagram *items, size_t count)
{
    receiver *r = ctx;
    datagrams *d = sx_calloc(1, sizeof(*d));
    if (d) {
        d->r = r;
        sx_buf_init(&d->bytes, 0);
        for (size_t i = 0; i < count && i < SX_UDP_BATCH; i++) {
            sx_buf_str(&d->bytes, items[i].bytes);
            d->lens[d->count++] = (uint32_t)items[i].bytes.len;
        }
    }
    sx_loop *loop = sx_udp_loop(udp);
    if (d && !d->bytes.failed && r->api->intake &&
        sx_pool_submit(r->api->intake, loop, take_datagrams, free_datagrams, d, NULL) == SX_OK)
        return;
    sx_counter_add(r->refused, count); /* at least one span each */
    if (d)
        free_datagrams(loop, d);
}

/* --- Receivers. */

typedef enum { ROW_CALL, ROW_RPC, ROW_UDP } row_kind;

static void start_call(sx_request *request, void *ctx);
static void start_rpc(sx_request *request, void *ctx);

/* One row a path of an HTTP receiver. */
static const struct {
    receiver_kind kind;
    const char *path;
    api_work *work;
} PATHS[] = {
    {RECEIVE_OTLP_HTTP, "/v1/traces", otlp_traces},
    {RECEIVE_OTLP_HTTP, "/v1/metrics", api_otlp_take},
    {RECEIVE_JAEGER_HTTP, "/api/traces", jaeger_spans},
    {RECEIVE_ZIPKIN, "/api/v2/spans", zipkin_v2},
    {RECEIVE_ZIPKIN, "/api/v1/spans", zipkin_v1},
};

static const struct {
    const char *name, *address;
    const rpc_method *methods;
    size_t method_count;
} KINDS[RECEIVE_KINDS] = {
    [RECEIVE_OTLP_GRPC] = {"otlp-grpc", "127.0.0.1:4317", OTLP_METHODS, SX_COUNT_OF(OTLP_METHODS)},
    [RECEIVE_OTLP_HTTP] = {"otlp-http", "127.0.0.1:4318", NULL, 0},
    [RECEIVE_JAEGER_GRPC] = {"jaeger-grpc", "127.0.0.1:14250", JAEGER_METHODS,
                             SX_COUNT_OF(JAEGER_METHODS)},
    [RECEIVE_JAEGER_HTTP] = {"jaeger-http", "127.0.0.1:14268", NULL, 0},
    [RECEIVE_ZIPKIN] = {"zipkin", "127.0.0.1:9411", NULL, 0},
    [RECEIVE_JAEGER_COMPACT] = {"jaeger-compact", "127.0.0.1:6831", NULL, 0},
    [RECEIVE_JAEGER_BINARY] = {"jaeger-binary", "127.0.0.1:6832", NULL, 0},
};

const char *receiver_address(receiver_kind kind)
{
    return KINDS[kind].address;
}

const char *receiver_name(receiver_kind kind)
{
    return KINDS[kind].name;
}

static api_work *work_of(const receiver *r, sx_str path)
{
    for (size_t i = 0; i < SX_COUNT_OF(PATHS); i++)
        if (PATHS[i].kind == r->kind && sx_str_eq(path, sx_str_z(PATHS[i].path)))
            return PATHS[i].work;
    return NULL;
}

static void start_call(sx_request *request, void *ctx)
{
    receiver *r = ctx;
    api_call_start_for(r->api, request, r->api->intake, work_of(r, sx_str_z(request->route)), r);
}

static void start_rpc(sx_request *request, void *ctx)
{
    rpc_serve(request, &((receiver *)ctx)->rpc);
}

sx_status receiver_init(receiver *r, observe_api *a, receiver_kind kind, span_sink sink,
                        const span_limits *limits, sx_error *err)
{
    static const char *const LABELS[] = {"receiver"};
    static const sx_metric_options ACCEPTED = {.kind = SX_METRIC_COUNTER,
                                               .name = "sextant_receiver_accepted_spans_total",
                                               .help = "Spans taken from clients.",
                                               .labels = LABELS,
                                               .label_count = 1},
                                   REFUSED = {.kind = SX_METRIC_COUNTER,
                                              .name = "sextant_receiver_refused_spans_total",
                                              .help = "Spans of clients that were not taken.",
                                              .labels = LABELS,
                                              .label_count = 1};
    sx_metric *accepted, *refused;
    const sx_str name = sx_str_z(KINDS[kind].name);
    *r = (receiver){.api = a, .kind = kind, .sink = sink};
    if (limits)
        r->limits = *limits;
    sx_status status = sx_metric_new(sx_service_metrics(a->service), &ACCEPTED, &accepted, err);
    if (status == SX_OK)
        status = sx_metric_new(sx_service_metrics(a->service), &REFUSED, &refused, err);
    if (status != SX_OK)
        return status;
    r->accepted = sx_metric_counter(accepted, &name, 1);
    r->refused = sx_metric_counter(refused, &name, 1);
    for (size_t i = 0; i < SX_COUNT_OF(PATHS); i++)
        if (PATHS[i].kind == kind)
            r->routes[r->route_count++] = (sx_route){.method = SX_POST,
                                                     .path = PATHS[i].path,
                                                     .handler = start_call,
                                                     .ctx = r,
                                                     .flags = SX_ROUTE_UNTRACED,
                                                     .body_bytes_max = API_WRITE_BYTES_MAX};
    if (KINDS[kind].methods) {
        r->rpc = (rpc_server){.methods = KINDS[kind].methods,
                              .method_count = KINDS[kind].method_count,
                              .pool = &a->intake,
                              .ctx = r,
                              .message_bytes_max = API_WRITE_BYTES_MAX,
                              .stopping = &a->stopping};
        r->routes[r->route_count++] = (sx_route){.method = SX_POST,
                                                 .path = "/*",
                                                 .handler = start_rpc,
                                                 .ctx = r,
                                                 .flags = SX_ROUTE_STREAM | SX_ROUTE_UNTRACED};
    }
    return SX_OK;
}

sx_status receiver_listen(receiver *r, sx_str address, bool optional, sx_error *err)
{
    sx_endpoint endpoint = {.proto = KINDS[r->kind].name,
                            .address = r->kind < RECEIVE_JAEGER_COMPACT ? address : SX_STR(""),
                            .routes = r->routes,
                            .route_count = r->route_count,
                            .fallback = api_not_found,
                            .tls = r->tls,
                            .optional = optional};
    return sx_service_listen(r->api->service, &endpoint, err);
}

sx_status receiver_open(receiver *r, sx_loop *loop, sx_str address, sx_udp **out, sx_bound *bound,
                        sx_error *err)
{
    sx_udp_options options = {.address = address, .fn = on_datagrams, .ctx = r};
    return sx_udp_open(loop, &options, out, bound, err);
}
