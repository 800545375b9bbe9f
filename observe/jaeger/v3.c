/* v3.c - answers of /api/v3. See v3.h. */
#include "observe/jaeger/v3.h"

#include <stdio.h>

#include <sextant/json.h>
#include <sextant/protobuf.h>

#include "base/mem_account.h"
#include "codec/base64.h"
#include "observe/jaeger/v3_params.h"
#include "telemetry/otlp_json.h"

enum { MESSAGE_BYTES = 256 << 10 };

static int http_status(sx_status status)
{
    switch (status) {
    case SX_OK:
        return 200;
    case SX_EFORMAT:
    case SX_EINVAL:
        return 400;
    case SX_EUNSUPPORTED:
        return 501;
    case SX_ENOTFOUND:
        return 404;
    case SX_ETIMEOUT:
        return 504;
    default:
        return 500;
    }
}

void jaeger_v3_error(int status, const sx_error *err, sx_buf *out)
{
    sx_buf_printf(out, "{\"error\":{\"httpCode\":%d,\"message\":", status);
    sx_json_quote(out, sx_str_z(err->message), SX_JSON_UTF8);
    sx_buf_str(out, SX_STR("}}\n"));
}

static int give(jaeger_v3 *q, sx_buf *out, sx_status status, sx_error *err)
{
    if (status == SX_OK)
        status = sx_buf_status(out, "an answer", err);
    if (status == SX_OK)
        q->put(q->ctx, sx_buf_view(out));
    sx_buf_done(out);
    return http_status(status);
}

/* ---- names and dependencies ---- */

int jaeger_v3_services(jaeger_v3 *q, sx_error *err)
{
    tr_names names = {0};
    sx_buf out;
    sx_json_writer w;
    sx_buf_init(&out, 0);
    sx_json_writer_init(&w, &out, NULL);
    sx_status status = jaeger_services(q->store, &q->limits, q->arena, &names, err);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("services"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < names.count; i++)
        sx_json_str(&w, names.items[i]);
    sx_json_end_array(&w);
    sx_json_end_object(&w);
    return give(q, &out, status, err);
}

int jaeger_v3_operations(jaeger_v3 *q, sx_error *err)
{
    const char *name;
    tr_operation *items = NULL;
    size_t count = 0;
    sx_buf out;
    sx_json_writer w;
    sx_str service = jaeger_v3_param(q, "service", NULL, &name);
    sx_str kind_name = jaeger_v3_param(q, "spanKind", "span_kind", &name);
    sx_status status =
        jaeger_operations(q->store, service, kind_name, q->arena, &items, &count, err);
    sx_buf_init(&out, 0);
    sx_json_writer_init(&w, &out, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("operations"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        sx_str told = jaeger_kind_name(items[i].kind);
        sx_json_begin_object(&w);
        sx_json_key(&w, SX_STR("name"));
        sx_json_str(&w, items[i].name);
        sx_json_key(&w, SX_STR("spanKind"));
        sx_json_str(&w, told.len ? told : SX_STR("internal"));
        sx_json_end_object(&w);
    }
    sx_json_end_array(&w);
    sx_json_end_object(&w);
    return give(q, &out, status, err);
}

static sx_status read_range(jaeger_v3 *q, jaeger_moment *min, jaeger_moment *max, sx_error *err)
{
    sx_status status = jaeger_v3_time(q, "startTime", "start_time", min, err);
    if (status == SX_OK)
        status = jaeger_v3_time(q, "endTime", "end_time", max, err);
    return status;
}

int jaeger_v3_dependencies(jaeger_v3 *q, sx_error *err)
{
    jaeger_moment min, max;
    tr_edge *items = NULL;
    size_t count = 0;
    sx_buf out;
    sx_json_writer w;
    sx_status status = read_range(q, &min, &max, err);
    if (status == SX_OK && (!min.set || !max.set))
        status = sx_fail(err, SX_EINVAL, "startTime and endTime are required");
    if (status == SX_OK && min.ns >= max.ns)
        status = sx_fail(err, SX_EINVAL, "endTime must be after startTime");
    if (status == SX_OK)
        status = jaeger_dependencies(q->store, min.ns, max.ns, &q->limits, q->arena, &items, &count,
                                     err);
    sx_buf_init(&out, 0);
    sx_json_writer_init(&w, &out, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("dependencies"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        char calls[24];
        sx_json_begin_object(&w);
        sx_json_key(&w, SX_STR("parent"));
        sx_json_str(&w, items[i].parent);
        sx_json_key(&w, SX_STR("child"));
        sx_json_str(&w, items[i].child);
        sx_json_key(&w, SX_STR("callCount")); /* a uint64 is text */
        snprintf(calls, sizeof(calls), "%llu", (unsigned long long)items[i].calls);
        sx_json_str(&w, sx_str_z(calls));
        sx_json_end_object(&w);
    }
    sx_json_end_array(&w);
    sx_json_end_object(&w);
    return give(q, &out, status, err);
}

/* ---- traces ---- */

typedef struct traces_out {
    jaeger_v3 *q;
    bool raw, begun;
    sx_buf message, json;
    sx_status status;
    sx_error *err;
} traces_out;

/* {"result":{"resourceSpans":[ , its items, ]}} */
static bool put_json(traces_out *t)
{
    t->status = sx_buf_status(&t->json, "a trace", t->err);
    bool more = t->status == SX_OK && t->q->put(t->q->ctx, sx_buf_view(&t->json));
    sx_buf_clear(&t->json);
    return more;
}

/* The items of one TracesData. */
static bool put_message(void *ctx, sx_str message)
{
    traces_out *t = ctx;
    const sx_otlp_schema *item = sx_otlp_traces_data.fields[0].message;
    sx_json_writer w;
    sx_pb_reader r;
    sx_pb_init(&r, message);
    sx_json_writer_init(&w, &t->json, NULL);
    while (sx_pb_next(&r)) {
        if (!t->begun)
            sx_buf_str(&t->json, SX_STR("{\"result\":{\"resourceSpans\":["));
        else
            sx_buf_byte(&t->json, ',');
        t->begun = true;
        t->status = sx_otlp_json_write(item, sx_pb_bytes(&r), &w, t->err);
        if (t->status != SX_OK)
            return false;
        sx_json_writer_init(&w, &t->json, NULL);
    }
    return put_json(t);
}

static bool put_trace(void *ctx, const uint8_t trace_id[16], span_batch *trace)
{
    traces_out *t = ctx;
    const jaeger_notes *notes = NULL;
    (void)trace_id;
    if (!t->raw)
        t->status = jaeger_adjust(trace, t->q->skew_ns, &notes, t->err);
    if (t->status == SX_OK)
        t->status = jaeger_group(trace, notes, t->err);
    if (t->status == SX_OK) {
        sx_status status =
            jaeger_write_otlp(trace, MESSAGE_BYTES, &t->message, put_message, t, t->err);
        if (t->status == SX_OK)
            t->status = status;
    }
    return t->status == SX_OK && !(t->q->limits.canceled && atomic_load(t->q->limits.canceled));
}

static void traces_begin(traces_out *t, jaeger_v3 *q, sx_error *err)
{
    *t = (traces_out){.q = q, .err = err};
    sx_buf_init(&t->message, 0);
    sx_buf_init(&t->json, 0);
}

static int traces_end(traces_out *t, sx_status status)
{
    if (status == SX_OK)
        status = t->status;
    if (status == SX_OK && !t->begun)
        status = sx_fail(t->err, SX_ENOTFOUND, "No traces found");
    if (status == SX_OK)
        t->q->put(t->q->ctx, SX_STR("]}}"));
    sx_buf_done(&t->message);
    sx_buf_done(&t->json);
    return http_status(status);
}

/* Base64 in either alphabet, padded or not; false: it is none. */
static bool read_base64(sx_str text, sx_buf *out)
{
    enum { BASE64_ID_MAX = 24 };
    char plain[BASE64_ID_MAX];
    size_t len = 0;
    if (text.len > BASE64_ID_MAX)
        return false;
    for (; len < text.len && text.data[len] != '='; len++)
        plain[len] = text.data[len] == '-' ? '+' : text.data[len] == '_' ? '/' : text.data[len];
    while (len % 4 && len < BASE64_ID_MAX)
        plain[len++] = '=';
    return sx_base64_decode(sx_str_of(plain, len), out);
}

static sx_status read_id(sx_str text, uint8_t out[16], sx_error *err)
{
    sx_error why = {0};
    sx_buf bytes;
    if (jaeger_trace_id(text, out, &why) == SX_OK)
        return SX_OK;
    sx_buf_init(&bytes, 0);
    sx_status status = SX_OK;
    if (!read_base64(text, &bytes))
        status = sx_fail(err, SX_EINVAL, "malformed parameter trace_id: %s", why.message);
    else if (bytes.len != 8 && bytes.len != 16)
        status =
            sx_fail(err, SX_EINVAL, "malformed parameter trace_id: invalid length for TraceID");
    if (status == SX_OK) {
        memset(out, 0, 16);
        memcpy(out + 16 - bytes.len, bytes.data, bytes.len);
    }
    sx_buf_done(&bytes);
    return status;
}

int jaeger_v3_trace(jaeger_v3 *q, sx_str id, sx_error *err)
{
    traces_out t;
    uint8_t trace_id[16];
    jaeger_moment min, max;
    bool partial = false;
    traces_begin(&t, q, err);
    sx_status status = read_id(id, trace_id, err);
    if (status == SX_OK)
        status = read_range(q, &min, &max, err);
    if (status == SX_OK)
        status = jaeger_v3_bool(q, "rawTraces", "raw_traces", &t.raw, err);
    span_batch *trace = status == SX_OK ? span_batch_new(0) : NULL;
    if (status == SX_OK && !trace)
        status = sx_fail_memory(err, "a trace");
    if (status == SX_OK) {
        const jaeger_which which = {trace_id, min.ns, max.ns};
        status = jaeger_read(q->store, &q->archive, &which, &q->limits, trace, &partial, err);
    }
    if (status == SX_OK && trace->count)
        put_trace(&t, trace_id, trace);
    span_batch_unref(trace);
    return traces_end(&t, status);
}

static sx_status search(jaeger_v3 *q, jaeger_question *asked, jaeger_trace_fn *fn, void *ctx,
                        sx_error *err)
{
    jaeger_regexes regexes = {0};
    bool partial = false;
    sx_status status = SX_OK;
    if (asked->filter.len)
        status = jaeger_filter_read(asked->filter, q->arena, &regexes, &asked->search.also, err);
    if (status == SX_OK)
        status = jaeger_find(q->store, &asked->search, &q->limits, fn, ctx, NULL, &partial, err);
    jaeger_regexes_done(&regexes);
    /* There is no place in the answer to say that it is partial: it ends as one that failed. */
    if (status == SX_OK && sx_mem_account_over(sx_mem_account_current()))
        status = sx_fail_memory(err, "all traces found");
    return status;
}

int jaeger_v3_traces(jaeger_v3 *q, sx_error *err)
{
    traces_out t;
    jaeger_question asked;
    traces_begin(&t, q, err);
    sx_status status = jaeger_v3_question(q, &asked, err);
    if (status == SX_OK) {
        t.raw = asked.raw;
        status = search(q, &asked, put_trace, &t, err);
    }
    return traces_end(&t, status);
}

/* ---- summaries ---- */

#define TEXT(json, no)   {.name = SX_STR_INIT(json), .number = no, .kind = SX_OTLP_STRING}
#define NUMBER(json, no) {.name = SX_STR_INIT(json), .number = no, .kind = SX_OTLP_UINT32}
#define TIME(json, no)   {.name = SX_STR_INIT(json), .number = no, .kind = SX_OTLP_FIXED64}

static const sx_otlp_field SERVICE_FIELDS[] = {TEXT("name", 1), NUMBER("spanCount", 2),
                                               NUMBER("errorSpanCount", 3)};
static const sx_otlp_schema SERVICE = {"ServiceSummary", SERVICE_FIELDS,
                                       SX_COUNT_OF(SERVICE_FIELDS)};
static const sx_otlp_field SUMMARY_FIELDS[] = {TEXT("traceId", 1),
                                               TEXT("rootServiceName", 2),
                                               TEXT("rootOperationName", 3),
                                               TIME("minStartTimeUnixNano", 4),
                                               TIME("maxEndTimeUnixNano", 5),
                                               NUMBER("spanCount", 6),
                                               NUMBER("errorSpanCount", 7),
                                               NUMBER("orphanSpanCount", 8),
                                               {.name = SX_STR_INIT("services"),
                                                .number = 9,
                                                .kind = SX_OTLP_MESSAGE,
                                                .repeated = true,
                                                .message = &SERVICE}};
static const sx_otlp_schema SUMMARY = {"TraceSummary", SUMMARY_FIELDS, SX_COUNT_OF(SUMMARY_FIELDS)};

static bool put_summary(void *ctx, const uint8_t trace_id[16], span_batch *trace)
{
    traces_out *t = ctx;
    const jaeger_notes *notes;
    sx_json_writer w;
    sx_pb_reader r;
    (void)trace_id;
    sx_buf_clear(&t->message);
    t->status = jaeger_adjust(trace, t->q->skew_ns, &notes, t->err);
    if (t->status == SX_OK)
        t->status = jaeger_put_summary(&t->message, 1, JAEGER_V3, trace, &trace->arena, t->err);
    sx_pb_init(&r, sx_buf_view(&t->message));
    if (t->status != SX_OK || !sx_pb_next(&r))
        return false;
    sx_buf_str(&t->json, t->begun ? SX_STR(",") : SX_STR("{\"summaries\":["));
    t->begun = true;
    sx_json_writer_init(&w, &t->json, NULL);
    t->status = sx_otlp_json_write(&SUMMARY, sx_pb_bytes(&r), &w, t->err);
    return t->status == SX_OK && put_json(t);
}

int jaeger_v3_summaries(jaeger_v3 *q, sx_error *err)
{
    traces_out t;
    jaeger_question asked;
    traces_begin(&t, q, err);
    sx_status status = jaeger_v3_question(q, &asked, err);
    if (status == SX_OK)
        status = search(q, &asked, put_summary, &t, err);
    if (status == SX_OK)
        status = t.status;
    if (status == SX_OK)
        q->put(q->ctx, t.begun ? SX_STR("]}") : SX_STR("{\"summaries\":[]}"));
    sx_buf_done(&t.message);
    sx_buf_done(&t.json);
    return http_status(status);
}
