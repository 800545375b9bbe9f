/* zipkin_json.c - Zipkin's spans in JSON, both versions: one table of members says what each fills. */
#include <sextant/json.h>

#include "observe/spans/zipkin.h"
#include "observe/spans/zipkin_span.h"

typedef struct json_intake {
    sx_json r;
    zipkin_intake z;
    bool v1;
} json_intake;

/* --- Scalars, lenient where clients are: a number may stand as a text and the other way. */

static sx_str read_text(json_intake *in)
{
    sx_str s = sx_str_of(NULL, 0);
    sx_json_token kind = sx_json_peek(&in->r);
    bool truth;
    if (sx_json_take_null(&in->r))
        return s;
    if (kind == SX_JSON_NUMBER)
        sx_json_read_number(&in->r, &s);
    else if ((kind == SX_JSON_TRUE || kind == SX_JSON_FALSE) && sx_json_read_bool(&in->r, &truth))
        s = truth ? SX_STR("true") : SX_STR("false");
    else
        sx_json_read_str(&in->r, &s);
    return span_intake_text(&in->z.k, s);
}

static uint64_t read_number(json_intake *in)
{
    double v = 0;
    sx_str s;
    if (sx_json_take_null(&in->r))
        return 0;
    if (sx_json_peek(&in->r) == SX_JSON_STRING) {
        if (sx_json_read_str(&in->r, &s) && !sx_double_parse(s, &v))
            sx_json_fail(&in->r, SX_EFORMAT, "a number is expected");
    } else {
        sx_json_read_double(&in->r, &v);
    }
    if (!(v >= 0 && v < 9.2e18))
        sx_json_fail(&in->r, SX_EFORMAT, "a number from 0 to 2^63 is expected");
    return v >= 0 && v < 9.2e18 ? (uint64_t)v : 0;
}

static void read_id(json_intake *in, uint8_t *id, size_t len, const char *what)
{
    sx_str s;
    if (sx_json_take_null(&in->r))
        return;
    if (sx_json_read_str(&in->r, &s) && !zipkin_hex_id(s, id, len))
        sx_json_fail(&in->r, SX_EFORMAT, "%s must be 1 to %zu hexadecimal digits", what, 2 * len);
}

static zipkin_endpoint read_endpoint(json_intake *in)
{
    zipkin_endpoint e = {0};
    sx_str key;
    if (sx_json_take_null(&in->r))
        return e;
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key)) {
        if (sx_str_eq(key, SX_STR("serviceName")))
            e.service = read_text(in);
        else if (sx_str_eq(key, SX_STR("ipv4")))
            e.ipv4 = read_text(in);
        else if (sx_str_eq(key, SX_STR("ipv6")))
            e.ipv6 = read_text(in);
        else if (sx_str_eq(key, SX_STR("port")))
            e.port = (int64_t)read_number(in);
    }
    return e;
}

static void read_annotation(json_intake *in, zipkin_span *z)
{
    uint64_t time_us = 0;
    sx_str key, value = sx_str_of(NULL, 0);
    zipkin_endpoint host = {0};
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key)) {
        if (sx_str_eq(key, SX_STR("timestamp")))
            time_us = read_number(in);
        else if (sx_str_eq(key, SX_STR("value")))
            value = read_text(in);
        else if (in->v1 && sx_str_eq(key, SX_STR("endpoint")))
            host = read_endpoint(in);
    }
    if (in->v1)
        zipkin_v1_annotation(&in->z, z, time_us, value, &host);
    else
        zipkin_annotation(&in->z, z, time_us, value);
}

static void read_binary_annotation(json_intake *in, zipkin_span *z)
{
    sx_str key, name = sx_str_of(NULL, 0);
    span_value value = {.type = SPAN_STR};
    zipkin_endpoint host = {0};
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key)) {
        if (sx_str_eq(key, SX_STR("key")))
            name = read_text(in);
        else if (sx_str_eq(key, SX_STR("value")))
            span_value_set(&value, read_text(in), SPAN_STR);
        else if (sx_str_eq(key, SX_STR("endpoint")))
            host = read_endpoint(in);
    }
    zipkin_v1_binary(&in->z, z, name, value, &host);
}

static void read_tags(json_intake *in, zipkin_span *z)
{
    sx_str key;
    if (sx_json_take_null(&in->r))
        return;
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key)) {
        span_value value = {0};
        sx_str name = span_intake_text(&in->z.k, key);
        span_value_set(&value, read_text(in), SPAN_STR);
        zipkin_tag(&in->z, z, name, value);
    }
}

static void read_kind(json_intake *in, zipkin_span *z)
{
    static const struct {
        sx_str text;
        span_kind kind;
    } KINDS[] = {{SX_STR_INIT("CLIENT"), SPAN_CLIENT},
                 {SX_STR_INIT("SERVER"), SPAN_SERVER},
                 {SX_STR_INIT("PRODUCER"), SPAN_PRODUCER},
                 {SX_STR_INIT("CONSUMER"), SPAN_CONSUMER}};
    sx_str text = read_text(in);
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(*KINDS); i++)
        if (sx_str_eq(text, KINDS[i].text))
            z->kind = (uint8_t)KINDS[i].kind;
}

static void read_list(json_intake *in, zipkin_span *z, void (*item)(json_intake *, zipkin_span *))
{
    if (sx_json_take_null(&in->r))
        return;
    for (sx_json_enter_array(&in->r); sx_json_next_item(&in->r);)
        item(in, z);
}

/* One member after the other: as long as the object has members. */
static void read_span(json_intake *in)
{
    zipkin_span z;
    sx_str key;
    zipkin_begin_span(&in->z, &z);
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key)) {
        if (sx_str_eq(key, SX_STR("traceId")))
            read_id(in, z.trace_id, sizeof(z.trace_id), "traceId");
        else if (sx_str_eq(key, SX_STR("id")))
            read_id(in, z.id, sizeof(z.id), "id");
        else if (sx_str_eq(key, SX_STR("parentId")))
            read_id(in, z.parent, sizeof(z.parent), "parentId");
        else if (sx_str_eq(key, SX_STR("name")))
            z.name = read_text(in);
        else if (sx_str_eq(key, SX_STR("timestamp")))
            z.timestamp_us = read_number(in);
        else if (sx_str_eq(key, SX_STR("duration")))
            z.duration_us = read_number(in);
        else if (sx_str_eq(key, SX_STR("annotations")))
            read_list(in, &z, read_annotation);
        else if (in->v1 && sx_str_eq(key, SX_STR("binaryAnnotations")))
            read_list(in, &z, read_binary_annotation);
        else if (!in->v1 && sx_str_eq(key, SX_STR("kind")))
            read_kind(in, &z);
        else if (!in->v1 && sx_str_eq(key, SX_STR("localEndpoint")))
            z.local = read_endpoint(in);
        else if (!in->v1 && sx_str_eq(key, SX_STR("remoteEndpoint")))
            z.remote = read_endpoint(in);
        else if (!in->v1 && sx_str_eq(key, SX_STR("tags")))
            read_tags(in, &z);
    }
    if (in->v1)
        zipkin_v1_end(&z);
    zipkin_end_span(&in->z, &z);
}

static sx_status read_spans(sx_str body, bool v1, const span_limits *limits, span_batch *out,
                            span_refused *refused, sx_error *err)
{
    json_intake in = {.v1 = v1};
    zipkin_intake_init(&in.z, limits, out, refused);
    sx_json_init(&in.r, body, &(sx_json_options){.arena = &out->arena});
    for (sx_json_enter_array(&in.r); sx_json_next_item(&in.r) && !in.z.k.no_memory;)
        read_span(&in);
    sx_status status = in.z.k.no_memory ? SX_ENOMEM : sx_json_finish(&in.r, err);
    return zipkin_status(&in.z, status, "Zipkin spans", err);
}

sx_status span_read_zipkin_json(sx_str body, const span_limits *limits, span_batch *out,
                                span_refused *refused, sx_error *err)
{
    return read_spans(body, false, limits, out, refused, err);
}

sx_status span_read_zipkin_v1_json(sx_str body, const span_limits *limits, span_batch *out,
                                   span_refused *refused, sx_error *err)
{
    return read_spans(body, true, limits, out, refused, err);
}
