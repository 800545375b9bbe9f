/* jaeger_json.c - spans from the JSON that Jaeger's page and its HTTP API write: {"data":[TRACE...]}, or
 * one TRACE alone.
 *
 * A trace's processes stand behind its spans as a rule: a span's resource is made empty where the span
 * names it, and filled when the process comes. Times are microseconds there. What that form has made
 * text of (lists, maps) stays text. Source: jaeger-idl swagger/api_v2, jaeger's model/json. */
#include <sextant/json.h>
#include <sextant/map.h>
#include <sextant/mem.h>

#include "codec/base64.h"
#include "observe/spans/jaeger.h"
#include "observe/spans/jaeger_tags.h"
#include "observe/spans/zipkin_span.h"

typedef struct json_intake {
    sx_json r;
    sx_json value; /* of a tag's value, whose type may stand behind it */
    jaeger_intake j;
    sx_map processes; /* of the trace: resources by their id, in the batch's arena */
} json_intake;

/* Without memory nothing more is read, at whatever depth: the reader must not be left within a list that
 * another then goes on with. */
static void stop_without_memory(json_intake *in)
{
    if (in->j.k.no_memory)
        sx_json_fail(&in->r, SX_ENOMEM, "no memory for spans");
}

static sx_str read_text(json_intake *in)
{
    sx_str s = sx_str_of(NULL, 0);
    if (!sx_json_take_null(&in->r))
        sx_json_read_str(&in->r, &s);
    return span_intake_text(&in->j.k, s);
}

static uint64_t read_us(json_intake *in)
{
    uint64_t us = 0;
    if (sx_json_read_u64(&in->r, &us) && us > UINT64_MAX / 1000)
        sx_json_fail(&in->r, SX_EFORMAT, "a time beyond the year 2500");
    return us * 1000;
}

static void read_id(json_intake *in, uint8_t *id, size_t len)
{
    sx_str s;
    if (sx_json_take_null(&in->r) || !sx_json_read_str(&in->r, &s) || !s.len)
        return;
    if (!zipkin_hex_id(s, id, len))
        sx_json_fail(&in->r, SX_EFORMAT, "an id must be 1 to %zu hexadecimal digits", 2 * len);
}

/* --- Tags: {"key":..,"type":..,"value":..} in any order. */

static bool bad_tag(json_intake *in, const char *why)
{
    return sx_json_fail(&in->r, SX_EFORMAT, "a tag's value %s", why);
}

static void read_number_value(json_intake *in, sx_str type, span_value *out)
{
    sx_str text;
    out->type = SPAN_INT;
    if (!sx_json_read_number(&in->value, &text))
        return;
    if (!sx_str_eq(type, SX_STR("float64")) && sx_str_to_i64(text, &out->i))
        return;
    out->type = SPAN_DOUBLE;
    if (!sx_double_parse(text, &out->d))
        bad_tag(in, "is a number out of range");
}

static void decode_bytes(json_intake *in, sx_str text, span_value *out)
{
    sx_buf bytes;
    sx_buf_init(&bytes, 0);
    if (!sx_base64_decode(text, &bytes))
        bad_tag(in, "is no base64");
    sx_str kept = sx_arena_copy(&in->j.k.batch->arena, sx_buf_view(&bytes));
    in->j.k.no_memory |= bytes.failed || (bytes.len && !kept.data);
    span_value_set(out, span_intake_bytes(&in->j.k, kept), SPAN_BYTES);
    sx_buf_done(&bytes);
}

/* Numbers may stand as text, as in answers of old clients. */
static void read_text_value(json_intake *in, sx_str type, span_value *out)
{
    sx_str text = sx_str_of(NULL, 0);
    int64_t number;
    double real;
    sx_json_read_str(&in->value, &text);
    text = span_intake_text(&in->j.k, text);
    span_value_set(out, text, SPAN_STR);
    if (sx_str_eq(type, SX_STR("binary")))
        decode_bytes(in, text, out);
    else if (sx_str_eq(type, SX_STR("int64")) && sx_str_to_i64(text, &number))
        *out = (span_value){.i = number, .type = SPAN_INT};
    else if (sx_str_eq(type, SX_STR("float64")) && sx_double_parse(text, &real))
        *out = (span_value){.d = real, .type = SPAN_DOUBLE};
}

/* `text` is one value of JSON. Objects and arrays, which Jaeger does not write, are kept as text. */
static void read_value(json_intake *in, sx_str text, sx_str type, span_value *out)
{
    bool truth = false;
    sx_json_init(&in->value, text, &(sx_json_options){.arena = &in->j.k.batch->arena});
    switch (sx_json_peek(&in->value)) {
    case SX_JSON_NUMBER:
        read_number_value(in, type, out);
        break;
    case SX_JSON_TRUE:
    case SX_JSON_FALSE:
        sx_json_read_bool(&in->value, &truth);
        *out = (span_value){.i = truth, .type = SPAN_BOOL};
        break;
    case SX_JSON_STRING:
        read_text_value(in, type, out);
        break;
    case SX_JSON_NULL:
        break;
    default:
        span_value_set(out, span_intake_text(&in->j.k, text), SPAN_STR);
    }
    if (sx_json_status(&in->value, NULL) != SX_OK)
        bad_tag(in, "cannot be read");
}

static void read_tag(json_intake *in, size_t base, uint32_t *dropped)
{
    sx_str key, name = {0}, type = {0}, text = {0};
    span_value value = {0};
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key)) {
        if (sx_str_eq(key, SX_STR("key")))
            name = read_text(in);
        else if (sx_str_eq(key, SX_STR("type")))
            type = read_text(in);
        else if (sx_str_eq(key, SX_STR("value")))
            sx_json_raw(&in->r, &text);
    }
    if (text.len)
        read_value(in, text, type, &value);
    jaeger_add_value(&in->j, name, value, base, dropped);
}

static void read_tags(json_intake *in, size_t base, uint32_t *dropped)
{
    if (sx_json_take_null(&in->r))
        return;
    for (sx_json_enter_array(&in->r); sx_json_next_item(&in->r);)
        read_tag(in, base, dropped);
}

/* --- Processes. */

static span_resource *resource_of(json_intake *in, sx_str id)
{
    bool added;
    sx_map_entry *e = sx_map_put(&in->processes, id, &added);
    if (e && added)
        e->ptr = sx_arena_calloc(&in->j.k.batch->arena, 1, sizeof(span_resource));
    in->j.k.no_memory |= !e || !e->ptr;
    return e ? e->ptr : NULL;
}

static void read_process(json_intake *in, span_resource *out)
{
    sx_str key, service = {0};
    uint32_t dropped = 0;
    size_t base = in->j.k.attrs.count;
    if (sx_json_take_null(&in->r))
        return;
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key)) {
        if (sx_str_eq(key, SX_STR("serviceName")))
            service = read_text(in);
        else if (sx_str_eq(key, SX_STR("tags")))
            read_tags(in, base, &dropped);
    }
    const span_resource *made = jaeger_resource(&in->j, service, base);
    if (made && out) {
        *out = *made;
        out->attrs.dropped = dropped;
    }
}

static void read_processes(json_intake *in)
{
    sx_str id;
    if (sx_json_take_null(&in->r))
        return;
    sx_json_enter_object(&in->r);
    for (; sx_json_next_key(&in->r, &id); stop_without_memory(in))
        read_process(in, resource_of(in, span_intake_text(&in->j.k, id)));
}

/* --- Spans. */

static void read_ref(json_intake *in)
{
    sx_str key;
    jaeger_ref ref = {0};
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key)) {
        if (sx_str_eq(key, SX_STR("refType")))
            ref.follows_from = sx_str_eq(read_text(in), SX_STR("FOLLOWS_FROM"));
        else if (sx_str_eq(key, SX_STR("traceID")))
            read_id(in, ref.trace_id, sizeof ref.trace_id);
        else if (sx_str_eq(key, SX_STR("spanID")))
            read_id(in, ref.span_id, sizeof ref.span_id);
    }
    jaeger_add_ref(&in->j, ref);
}

static void read_log(json_intake *in, span *s, size_t events)
{
    sx_str key;
    span_event event = {0};
    size_t base = in->j.k.attrs.count;
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key)) {
        if (sx_str_eq(key, SX_STR("timestamp")))
            event.time_ns = read_us(in);
        else if (sx_str_eq(key, SX_STR("fields")))
            read_tags(in, base, &event.attrs.dropped);
    }
    jaeger_add_event(&in->j, s, events, event, base);
}

static void read_logs(json_intake *in, span *s, size_t events)
{
    if (sx_json_take_null(&in->r))
        return;
    for (sx_json_enter_array(&in->r); sx_json_next_item(&in->r);)
        read_log(in, s, events);
}

/* The marks of what a span gathers while it is read. */
typedef struct span_marks {
    size_t tags, events, refs;
} span_marks;

/* One member after the other: as long as the object has members. */
static void read_member(json_intake *in, sx_str key, span *s, uint64_t *duration_ns,
                        const span_marks *at)
{
    if (sx_str_eq(key, SX_STR("traceID"))) {
        read_id(in, s->trace_id, sizeof s->trace_id);
    } else if (sx_str_eq(key, SX_STR("spanID"))) {
        read_id(in, s->id, sizeof s->id);
    } else if (sx_str_eq(key, SX_STR("parentSpanID"))) {
        read_id(in, s->parent, sizeof s->parent);
    } else if (sx_str_eq(key, SX_STR("operationName"))) {
        s->name = read_text(in);
    } else if (sx_str_eq(key, SX_STR("startTime"))) {
        s->start_ns = read_us(in);
    } else if (sx_str_eq(key, SX_STR("duration"))) {
        *duration_ns = read_us(in);
    } else if (sx_str_eq(key, SX_STR("tags"))) {
        read_tags(in, at->tags, &s->attrs.dropped);
    } else if (sx_str_eq(key, SX_STR("logs"))) {
        read_logs(in, s, at->events);
    } else if (sx_str_eq(key, SX_STR("processID"))) {
        s->resource = resource_of(in, read_text(in));
    } else if (sx_str_eq(key, SX_STR("process")) && sx_json_peek(&in->r) == SX_JSON_OBJECT) {
        span_resource *own = sx_arena_calloc(&in->j.k.batch->arena, 1, sizeof *own);
        in->j.k.no_memory |= !own;
        read_process(in, own);
        s->resource = own;
    } else if (sx_str_eq(key, SX_STR("references")) && !sx_json_take_null(&in->r)) {
        for (sx_json_enter_array(&in->r); sx_json_next_item(&in->r);)
            read_ref(in);
    }
}

static void read_span(json_intake *in)
{
    span_intake *k = &in->j.k;
    const span_marks at = {k->attrs.count, k->events.count, in->j.refs.count};
    uint64_t duration_ns = 0;
    sx_str key;
    span *s = span_batch_add(k->batch);
    if (!s) {
        k->no_memory = true;
        return;
    }
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key))
        read_member(in, key, s, &duration_ns, &at);
    s->end_ns = s->start_ns + duration_ns;
    s->events = span_gather_take(k, &k->events, at.events, &s->event_count);
    if (!s->resource)
        s->resource = resource_of(in, SX_STR(""));
    jaeger_end_span(&in->j, s, at.tags, at.refs, true);
}

static void read_trace(json_intake *in)
{
    sx_str key;
    sx_map_clear(&in->processes);
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key)) {
        if (sx_str_eq(key, SX_STR("processes")))
            read_processes(in);
        else if (sx_str_eq(key, SX_STR("spans")) && !sx_json_take_null(&in->r))
            for (sx_json_enter_array(&in->r); sx_json_next_item(&in->r); stop_without_memory(in))
                read_span(in);
    }
}

/* A trace by itself has the keys of a trace where {"data":...} has that one. */
static bool is_wrapped(sx_str body)
{
    sx_json r;
    sx_str key;
    char space[256];
    sx_json_init(&r, body, &(sx_json_options){.space = space, .space_bytes = sizeof space});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        if (sx_str_eq(key, SX_STR("spans")) || sx_str_eq(key, SX_STR("processes")))
            return false;
        if (sx_str_eq(key, SX_STR("data")))
            break;
    }
    return true;
}

static void read_answer(json_intake *in)
{
    sx_str key;
    sx_json_enter_object(&in->r);
    while (sx_json_next_key(&in->r, &key))
        if (sx_str_eq(key, SX_STR("data")) && !sx_json_take_null(&in->r))
            for (sx_json_enter_array(&in->r); sx_json_next_item(&in->r); stop_without_memory(in))
                read_trace(in);
}

sx_status span_read_jaeger_json(sx_str body, const span_limits *limits, span_batch *out,
                                span_refused *refused, sx_error *err)
{
    json_intake *in = sx_calloc(1, sizeof *in); /* two readers are much for a stack */
    if (!in)
        return sx_fail_memory(err, "Jaeger's JSON");
    jaeger_intake_init(&in->j, limits, out, refused);
    sx_map_init(&in->processes, NULL);
    sx_json_init(&in->r, body, &(sx_json_options){.arena = &out->arena});
    if (is_wrapped(body))
        read_answer(in);
    else
        read_trace(in);
    sx_status status = span_intake_status(&in->j.k, "Jaeger's JSON", err);
    if (status == SX_OK)
        status = sx_json_finish(&in->r, err);
    jaeger_intake_done(&in->j);
    sx_map_done(&in->processes);
    sx_free(in);
    return status;
}
