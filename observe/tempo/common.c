/* common.c - parameters, errors and pieces of JSON of Tempo's API. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/go_text.h"
#include "observe/tempo/tempo_internal.h"

sx_str tempo_get(const tempo_call *c, const char *name)
{
    for (size_t i = 0; i < c->param_count; i++)
        if (sx_str_eq(c->params[i].name, sx_str_z(name)))
            return c->params[i].value;
    return sx_str_of("", 0);
}

void tempo_fail(tempo_call *c, int status, const char *fmt, ...)
{
    va_list args;
    c->status = status;
    c->content_type = SX_STR("text/plain; charset=utf-8");
    sx_buf_clear(c->out);
    va_start(args, fmt);
    sx_buf_vprintf(c->out, fmt, args);
    va_end(args);
}

void tempo_fail_error(tempo_call *c, const char *prefix, const sx_error *err)
{
    int status = 500;
    switch (err->status) {
    case SX_EFORMAT:
    case SX_EINVAL:
    case SX_ELIMIT:
    case SX_EUNSUPPORTED:
        status = 400;
        break;
    case SX_ECANCELED:
        status = 499;
        break;
    case SX_ETIMEOUT:
        status = 504;
        break;
    default:
        break;
    }
    tempo_fail(c, status, "%s%s", prefix, err->message);
}

bool tempo_number(tempo_call *c, const char *name, uint64_t max, uint64_t *out)
{
    sx_str text = tempo_get(c, name);
    uint64_t v;
    if (!text.len)
        return true;
    if (!sx_str_to_u64(text, &v)) {
        tempo_fail(c, 400, "invalid %s: strconv.ParseUint: parsing \"%.*s\": invalid syntax", name,
                   (int)(text.len < 100 ? text.len : 100), text.data);
        return false;
    }
    if (v > max) {
        tempo_fail(c, 400, "invalid %s: strconv.ParseUint: parsing \"%.*s\": value out of range",
                   name, (int)(text.len < 100 ? text.len : 100), text.data);
        return false;
    }
    *out = v;
    return true;
}

bool tempo_seconds_range(tempo_call *c, uint64_t *min_ns, uint64_t *max_ns)
{
    uint64_t start = 0, end = 0;
    if (!tempo_number(c, "start", UINT32_MAX, &start) || !tempo_number(c, "end", UINT32_MAX, &end))
        return false;
    *min_ns = *max_ns = 0;
    if (!start && !end)
        return true;
    if (end <= start) {
        tempo_fail(c, 400, "http parameter start must be before end. received start=%llu end=%llu",
                   (unsigned long long)start, (unsigned long long)end);
        return false;
    }
    *min_ns = start * 1000000000u;
    *max_ns = end * 1000000000u + 999999999u;
    return true;
}

bool tempo_duration_read(sx_str text, uint64_t *ns)
{
    int64_t read;
    if (go_duration_read(text, &read, NULL) != SX_OK || read < 0)
        return false;
    *ns = (uint64_t)read;
    return true;
}

bool tempo_duration(tempo_call *c, const char *name, uint64_t *ns)
{
    sx_str text = tempo_get(c, name);
    if (!text.len || tempo_duration_read(text, ns))
        return true;
    tempo_fail(c, 400, "invalid %s: time: invalid duration \"%.*s\"", name,
               (int)(text.len < 100 ? text.len : 100), text.data);
    return false;
}

/* --- JSON. */

void tempo_begin_json(tempo_call *c, sx_json_writer *w)
{
    c->status = 200;
    c->content_type = SX_STR("application/json");
    sx_json_writer_init(w, c->out, NULL);
    sx_json_begin_object(w);
}

void tempo_end_json(tempo_call *c, sx_json_writer *w)
{
    (void)c;
    sx_json_end_object(w);
    sx_json_writer_finish(w, NULL);
}

void tempo_put_u64(sx_json_writer *w, const char *key, uint64_t v)
{
    char text[24];
    if (!v)
        return;
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    sx_json_key(w, sx_str_z(key));
    sx_json_str(w, sx_str_of(text, (size_t)len));
}

void tempo_put_str(sx_json_writer *w, const char *key, sx_str v)
{
    if (!v.len)
        return;
    sx_json_key(w, sx_str_z(key));
    sx_json_str(w, v);
}

static void put_i64_text(sx_json_writer *w, int64_t v)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)v);
    sx_json_key(w, SX_STR("intValue"));
    sx_json_str(w, sx_str_of(text, (size_t)len));
}

/* Protobuf's JSON has these three as texts. */
static void put_double(sx_json_writer *w, double d)
{
    sx_json_key(w, SX_STR("doubleValue"));
    if (isfinite(d))
        sx_json_double(w, d);
    else
        sx_json_str(w, isnan(d) ? SX_STR("NaN") : d > 0 ? SX_STR("Infinity") : SX_STR("-Infinity"));
}

void tempo_put_value(sx_json_writer *w, sx_str key, const tq_value *v)
{
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("key"));
    sx_json_str(w, key);
    sx_json_key(w, SX_STR("value"));
    sx_json_begin_object(w);
    if (v->type == TQ_INT) {
        put_i64_text(w, v->i);
    } else if (v->type == TQ_FLOAT) {
        put_double(w, v->d);
    } else if (v->type == TQ_BOOL) {
        sx_json_key(w, SX_STR("boolValue"));
        sx_json_bool(w, v->i != 0);
    } else if (v->type == TQ_STR) {
        sx_json_key(w, SX_STR("stringValue"));
        sx_json_str(w, v->s);
    } else {
        sx_buf text;
        sx_buf_init(&text, 200);
        if (v->type == TQ_DURATION)
            go_duration_write(v->i, &text);
        else
            tq_print_value(v, &text);
        sx_json_key(w, SX_STR("stringValue"));
        sx_json_str(w, sx_buf_view(&text));
        sx_buf_done(&text);
    }
    sx_json_end_object(w);
    sx_json_end_object(w);
}

static void put_base64(sx_json_writer *w, const void *data, size_t len)
{
    span_value v = {.data = data, .len = (uint32_t)len, .type = SPAN_BYTES};
    sx_buf text;
    sx_buf_init(&text, 0);
    span_value_text(&v, &text);
    sx_json_str(w, sx_buf_view(&text));
    if (text.failed)
        w->buf->failed = text.failed;
    sx_buf_done(&text);
}

static void put_any(sx_json_writer *w, const span_value *v, unsigned depth);

static void put_members(sx_json_writer *w, const span_attr *items, uint32_t count, unsigned depth)
{
    sx_json_begin_array(w);
    for (uint32_t i = 0; i < count; i++) {
        sx_json_begin_object(w);
        sx_json_key(w, SX_STR("key"));
        sx_json_str(w, span_attr_key(&items[i]));
        sx_json_key(w, SX_STR("value"));
        put_any(w, &items[i].value, depth + 1);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
}

static void put_any(sx_json_writer *w, const span_value *v, unsigned depth)
{
    sx_json_begin_object(w);
    switch ((span_type)v->type) {
    case SPAN_STR:
        sx_json_key(w, SX_STR("stringValue"));
        sx_json_str(w, sx_str_of(v->data, v->len));
        break;
    case SPAN_BOOL:
        sx_json_key(w, SX_STR("boolValue"));
        sx_json_bool(w, v->i != 0);
        break;
    case SPAN_INT:
        put_i64_text(w, v->i);
        break;
    case SPAN_DOUBLE:
        put_double(w, v->d);
        break;
    case SPAN_BYTES:
        sx_json_key(w, SX_STR("bytesValue"));
        put_base64(w, v->data, v->len);
        break;
    case SPAN_LIST:
    case SPAN_MAP:
        if (depth > 32) /* the readers stop before */
            break;
        sx_json_key(w, v->type == SPAN_LIST ? SX_STR("arrayValue") : SX_STR("kvlistValue"));
        sx_json_begin_object(w);
        sx_json_key(w, SX_STR("values"));
        if (v->type == SPAN_MAP) {
            put_members(w, v->members, v->len, depth);
        } else {
            sx_json_begin_array(w);
            for (uint32_t i = 0; i < v->len; i++)
                put_any(w, &v->items[i], depth + 1);
            sx_json_end_array(w);
        }
        sx_json_end_object(w);
        break;
    case SPAN_EMPTY:
        break;
    }
    sx_json_end_object(w);
}

void tempo_put_attrs(sx_json_writer *w, const char *key, span_attrs attrs)
{
    if (attrs.count) {
        sx_json_key(w, sx_str_z(key));
        put_members(w, attrs.items, attrs.count, 0);
    }
    if (attrs.dropped) {
        sx_json_key(w, SX_STR("droppedAttributesCount"));
        sx_json_u64(w, attrs.dropped);
    }
}

void tempo_put_trace_id(sx_json_writer *w, const uint8_t id[16])
{
    char hex[33];
    size_t zeros = 0;
    for (size_t i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    while (zeros < 32 && hex[zeros] == '0')
        zeros++;
    sx_json_str(w, sx_str_of(hex + zeros, 32 - zeros));
}

/* --- Small endpoints. */

static void answer_text(tempo_call *c, const char *text)
{
    tempo_fail(c, 200, "%s", text);
}

void tempo_echo(tempo_call *c)
{
    answer_text(c, "echo");
}

void tempo_ready(tempo_call *c)
{
    tr_store_stats stats;
    tr_store_about(c->store, &stats);
    if (stats.ready)
        answer_text(c, "ready\n");
    else
        tempo_fail(c, 503, "the log is being replayed\n");
}

void tempo_build_info(tempo_call *c)
{
    sx_json_writer w;
    tempo_begin_json(c, &w);
    static const char *const EMPTY[] = {"revision", "branch", "buildUser", "buildDate",
                                        "goVersion"};
    sx_json_key(&w, SX_STR("version"));
    sx_json_str(&w, sx_str_z(c->version ? c->version : ""));
    for (size_t i = 0; i < 5; i++) {
        sx_json_key(&w, sx_str_z(EMPTY[i]));
        sx_json_str(&w, SX_STR(""));
    }
    tempo_end_json(c, &w);
}
