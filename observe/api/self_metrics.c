/* self_metrics.c - /status/self_metrics: this server's own metrics as JSON; and /metrics below a prefix.
 *
 * The registry writes MetricFamily messages of protocol buffers; this prints them in that format's JSON
 * form by a table of the fields there are. Sources: client_model's metrics.proto;
 * protobuf.dev/programming-guides/json. */
#include <math.h>
#include <stdio.h>

#include <sextant/json.h>
#include <sextant/number.h>
#include <sextant/protobuf.h>

#include "observe/api/api.h"

typedef enum field_kind {
    TEXT,
    TYPE,   /* MetricType by its name */
    COUNT,  /* uint64, which JSON has as a text */
    NUMBER, /* uint32 */
    SIGNED, /* sint32 */
    DELTA,  /* sint64, a text */
    DOUBLE,
    TIME, /* google.protobuf.Timestamp */
    PART, /* a message of `fields` */
} field_kind;

typedef struct field field;
struct field {
    uint32_t number;
    field_kind kind;
    bool list;
    const char *name; /* NULL after the last */
    const field *fields;
};

static const field LABEL[] = {{1, TEXT, false, "name", NULL}, {2, TEXT, false, "value", NULL}, {0}};
static const field GAUGE[] = {{1, DOUBLE, false, "value", NULL}, {0}};
static const field EXEMPLAR[] = {{1, PART, true, "label", LABEL},
                                 {2, DOUBLE, false, "value", NULL},
                                 {3, TIME, false, "timestamp", NULL},
                                 {0}};
static const field COUNTER[] = {{1, DOUBLE, false, "value", NULL},
                                {2, PART, false, "exemplar", EXEMPLAR},
                                {3, TIME, false, "createdTimestamp", NULL},
                                {0}};
static const field BUCKET[] = {{1, COUNT, false, "cumulativeCount", NULL},
                               {2, DOUBLE, false, "upperBound", NULL},
                               {3, PART, false, "exemplar", EXEMPLAR},
                               {0}};
static const field SPAN[] = {
    {1, SIGNED, false, "offset", NULL}, {2, NUMBER, false, "length", NULL}, {0}};
static const field HISTOGRAM[] = {{1, COUNT, false, "sampleCount", NULL},
                                  {2, DOUBLE, false, "sampleSum", NULL},
                                  {3, PART, true, "bucket", BUCKET},
                                  {5, SIGNED, false, "schema", NULL},
                                  {6, DOUBLE, false, "zeroThreshold", NULL},
                                  {7, COUNT, false, "zeroCount", NULL},
                                  {9, PART, true, "negativeSpan", SPAN},
                                  {10, DELTA, true, "negativeDelta", NULL},
                                  {12, PART, true, "positiveSpan", SPAN},
                                  {13, DELTA, true, "positiveDelta", NULL},
                                  {15, TIME, false, "createdTimestamp", NULL},
                                  {16, PART, true, "exemplars", EXEMPLAR},
                                  {0}};
static const field QUANTILE[] = {
    {1, DOUBLE, false, "quantile", NULL}, {2, DOUBLE, false, "value", NULL}, {0}};
static const field SUMMARY[] = {{1, COUNT, false, "sampleCount", NULL},
                                {2, DOUBLE, false, "sampleSum", NULL},
                                {3, PART, true, "quantile", QUANTILE},
                                {4, TIME, false, "createdTimestamp", NULL},
                                {0}};
static const field METRIC[] = {
    {1, PART, true, "label", LABEL},          {2, PART, false, "gauge", GAUGE},
    {3, PART, false, "counter", COUNTER},     {4, PART, false, "summary", SUMMARY},
    {7, PART, false, "histogram", HISTOGRAM}, {0}};
static const field FAMILY[] = {{1, TEXT, false, "name", NULL}, {2, TEXT, false, "help", NULL},
                               {3, TYPE, false, "type", NULL}, {4, PART, true, "metric", METRIC},
                               {5, TEXT, false, "unit", NULL}, {0}};

static void write_double(sx_buf *out, double value)
{
    if (isnan(value))
        sx_buf_str(out, SX_STR("\"NaN\""));
    else if (isinf(value))
        sx_buf_str(out, value > 0 ? SX_STR("\"Infinity\"") : SX_STR("\"-Infinity\""));
    else
        api_json_number(out, value);
}

static void write_time(sx_buf *out, sx_pb_reader *r)
{
    int64_t seconds = 0, rest = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_VARINT))
            seconds = sx_pb_i64(r);
        else if (r->tag == SX_PB_TAG(2, SX_PB_VARINT))
            rest = sx_pb_i64(r);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    api_json_date_ns(out, seconds * 1000000000 + rest);
}

static void write_message(sx_buf *out, sx_pb_reader *r, const field *fields);

static void write_value(sx_buf *out, sx_pb_reader *r, const field *f)
{
    static const char *const TYPES[] = {"COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM"};
    uint64_t type;
    sx_pb_outer outer;
    switch (f->kind) {
    case TEXT:
        api_json_text(out, sx_pb_bytes(r));
        break;
    case TYPE:
        type = sx_pb_varint(r);
        sx_buf_printf(out, "\"%s\"", type < SX_COUNT_OF(TYPES) ? TYPES[type] : "UNTYPED");
        break;
    case COUNT:
        sx_buf_printf(out, "\"%llu\"", (unsigned long long)sx_pb_varint(r));
        break;
    case NUMBER:
        sx_buf_printf(out, "%llu", (unsigned long long)sx_pb_varint(r));
        break;
    case SIGNED:
        sx_buf_printf(out, "%lld", (long long)sx_pb_zigzag(r));
        break;
    case DELTA:
        sx_buf_printf(out, "\"%lld\"", (long long)sx_pb_zigzag(r));
        break;
    case DOUBLE:
        write_double(out, sx_pb_double(r));
        break;
    case TIME:
        write_time(out, r);
        break;
    case PART:
        outer = sx_pb_enter(r);
        write_message(out, r, f->fields);
        sx_pb_leave(r, outer);
        break;
    }
}

/* The fields of a message in the order of their numbers, in which the registry writes them. */
static void write_message(sx_buf *out, sx_pb_reader *r, const field *fields)
{
    uint32_t last = 0;
    bool list = false;
    sx_buf_byte(out, '{');
    while (sx_pb_next(r)) {
        uint32_t number = sx_pb_field(r);
        const field *f = fields;
        while (f->name && f->number != number)
            f++;
        if (!f->name) {
            sx_pb_skip(r);
            continue;
        }
        if (number != last) {
            sx_buf_printf(out, "%s%s\"%s\":%s", list ? "]" : "", last ? "," : "", f->name,
                          f->list ? "[" : "");
            list = f->list;
        } else {
            sx_buf_byte(out, ',');
        }
        last = number;
        write_value(out, r, f);
    }
    sx_buf_str(out, list ? SX_STR("]}") : SX_STR("}"));
}

/* The name of a family, which is its first field. */
static sx_str name_of(sx_str family)
{
    sx_pb_reader r;
    sx_pb_init(&r, family);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            return sx_pb_bytes(&r);
        sx_pb_skip(&r);
    }
    return SX_STR("");
}

static void write_families(sx_buf *out, sx_str rest, const sx_regex *wanted)
{
    bool any = false;
    sx_buf_str(out, SX_STR(",\"data\":["));
    while (rest.len) {
        sx_pb_reader r;
        sx_pb_init(&r, rest);
        uint64_t len = sx_pb_varint(&r);
        size_t head = (size_t)(r.at - r.begin);
        if (r.fault || len > rest.len - head)
            break;
        sx_str family = sx_str_first(sx_str_from(rest, head), (size_t)len);
        rest = sx_str_from(rest, head + (size_t)len);
        if (wanted && !sx_regex_match(wanted, name_of(family)))
            continue;
        if (any)
            sx_buf_byte(out, ',');
        any = true;
        sx_pb_init(&r, family);
        write_message(out, &r, FAMILY);
    }
    sx_buf_str(out, SX_STR("]}"));
}

void api_metrics(api_call *c)
{
    sx_error ignored; /* a failure sticks to the buffer, which the call looks at */
    sx_metrics_encoding encoding = sx_metrics_negotiate(sx_request_header(c->r, SX_STR("accept")));
    c->content_type = sx_metrics_content_type(encoding);
    (void)sx_metrics_encode(sx_service_metrics(c->api->service), encoding, &c->out, &ignored);
}

void api_self_metrics(api_call *c)
{
    static const sx_metrics_encoding ENCODING = {SX_METRICS_PROTOBUF, SX_METRICS_ALLOW_UTF8};
    sx_error err = {0};
    sx_buf bytes;
    sx_regex *wanted = NULL;
    sx_str pattern = api_form_get(&c->form, "metric_name_pattern");
    if (pattern.len && sx_regex_new(&wanted, pattern, NULL, &err) != SX_OK) {
        (void)sx_error_prefix(&err, SX_EFORMAT, "invalid metric_name_pattern");
        api_fail(c, API_BAD_DATA, sx_str_z(err.message));
        return;
    }
    sx_buf_init(&bytes, 0);
    if (sx_metrics_encode(sx_service_metrics(c->api->service), ENCODING, &bytes, &err) == SX_OK) {
        api_success(c);
        write_families(&c->out, sx_buf_view(&bytes), wanted);
    } else {
        (void)sx_error_prefix(&err, err.status, "error gathering self metrics");
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
    }
    sx_buf_done(&bytes);
    sx_regex_free(wanted);
}
