/* otlp_write.c - a batch of spans as OTLP: protobuf, and JSON by way of it.
 *
 * Source: opentelemetry-proto 1.x. Fields that are empty are left out, as every protobuf library does. */
#include <sextant/protobuf.h>

#include "observe/spans/otlp.h"
#include "telemetry/otlp_json.h"

static void put_text(sx_buf *out, uint32_t field, sx_str s)
{
    if (s.len)
        sx_pb_put_str(out, field, s);
}

static void put_count(sx_buf *out, uint32_t field, uint64_t n)
{
    if (n)
        sx_pb_put_u64(out, field, n);
}

static void put_id(sx_buf *out, uint32_t field, const uint8_t *id, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= id[i];
    if (any)
        sx_pb_put_str(out, field, sx_str_of(id, len));
}

static void put_attr(sx_buf *out, uint32_t field, const span_attr *a);

void span_write_any(const span_value *v, sx_buf *out)
{
    size_t mark;
    switch ((span_type)v->type) {
    case SPAN_EMPTY:
        break;
    case SPAN_STR:
        sx_pb_put_str(out, 1, sx_str_of(v->data, v->len));
        break;
    case SPAN_BOOL:
        sx_pb_put_u64(out, 2, v->i != 0);
        break;
    case SPAN_INT:
        sx_pb_put_i64(out, 3, v->i);
        break;
    case SPAN_DOUBLE:
        sx_pb_put_double(out, 4, v->d);
        break;
    case SPAN_BYTES:
        sx_pb_put_str(out, 7, sx_str_of(v->data, v->len));
        break;
    case SPAN_LIST:
        mark = sx_pb_begin(out, 5);
        for (uint32_t i = 0; i < v->len; i++) {
            size_t item = sx_pb_begin(out, 1);
            span_write_any(&v->items[i], out);
            sx_pb_end(out, item);
        }
        sx_pb_end(out, mark);
        break;
    case SPAN_MAP:
        mark = sx_pb_begin(out, 6);
        for (uint32_t i = 0; i < v->len; i++)
            put_attr(out, 1, &v->members[i]);
        sx_pb_end(out, mark);
        break;
    }
}

static void put_attr(sx_buf *out, uint32_t field, const span_attr *a)
{
    size_t mark = sx_pb_begin(out, field);
    put_text(out, 1, span_attr_key(a));
    size_t value = sx_pb_begin(out, 2);
    span_write_any(&a->value, out);
    sx_pb_end(out, value);
    sx_pb_end(out, mark);
}

static void put_attrs(sx_buf *out, uint32_t field, uint32_t dropped_field, span_attrs attrs)
{
    for (uint32_t i = 0; i < attrs.count; i++)
        put_attr(out, field, &attrs.items[i]);
    put_count(out, dropped_field, attrs.dropped);
}

static void put_event(sx_buf *out, const span_event *e)
{
    size_t mark = sx_pb_begin(out, 11);
    sx_pb_put_fixed64(out, 1, e->time_ns);
    put_text(out, 2, e->name);
    put_attrs(out, 3, 4, e->attrs);
    sx_pb_end(out, mark);
}

static void put_link(sx_buf *out, const span_link *l)
{
    size_t mark = sx_pb_begin(out, 13);
    put_id(out, 1, l->trace_id, sizeof(l->trace_id));
    put_id(out, 2, l->span_id, sizeof(l->span_id));
    put_text(out, 3, l->trace_state);
    put_attrs(out, 4, 5, l->attrs);
    if (l->flags)
        sx_pb_put_fixed32(out, 6, l->flags);
    sx_pb_end(out, mark);
}

static void put_span(sx_buf *out, const span *s)
{
    size_t mark = sx_pb_begin(out, 2);
    put_id(out, 1, s->trace_id, sizeof(s->trace_id));
    put_id(out, 2, s->id, sizeof(s->id));
    put_text(out, 3, s->trace_state);
    put_id(out, 4, s->parent, sizeof(s->parent));
    put_text(out, 5, s->name);
    put_count(out, 6, s->kind);
    sx_pb_put_fixed64(out, 7, s->start_ns);
    sx_pb_put_fixed64(out, 8, s->end_ns);
    put_attrs(out, 9, 10, s->attrs);
    for (uint32_t i = 0; i < s->event_count; i++)
        put_event(out, &s->events[i]);
    put_count(out, 12, s->dropped_events);
    for (uint32_t i = 0; i < s->link_count; i++)
        put_link(out, &s->links[i]);
    put_count(out, 14, s->dropped_links);
    /* Always there, as the SDKs write it: an empty one says that the status is unset. */
    size_t status = sx_pb_begin(out, 15);
    put_text(out, 2, s->status_message);
    put_count(out, 3, s->status);
    sx_pb_end(out, status);
    if (s->flags)
        sx_pb_put_fixed32(out, 16, s->flags);
    sx_pb_end(out, mark);
}

static void put_resource(sx_buf *out, const span_resource *r)
{
    size_t mark = sx_pb_begin(out, 1);
    put_attrs(out, 1, 2, r->attrs);
    sx_pb_end(out, mark);
}

static void put_scope(sx_buf *out, const span_scope *s)
{
    size_t mark = sx_pb_begin(out, 1);
    put_text(out, 1, s->name);
    put_text(out, 2, s->version);
    put_attrs(out, 3, 4, s->attrs);
    sx_pb_end(out, mark);
}

void span_write_otlp(const span_batch *b, sx_buf *out)
{
    size_t i = 0;
    while (i < b->count) {
        const span_resource *resource = b->spans[i]->resource;
        size_t outer = sx_pb_begin(out, 1);
        put_resource(out, resource);
        while (i < b->count && b->spans[i]->resource == resource) {
            const span_scope *scope = b->spans[i]->scope;
            size_t inner = sx_pb_begin(out, 2);
            put_scope(out, scope);
            for (; i < b->count && b->spans[i]->resource == resource && b->spans[i]->scope == scope;
                 i++)
                put_span(out, b->spans[i]);
            put_text(out, 3, scope->schema_url);
            sx_pb_end(out, inner);
        }
        put_text(out, 3, resource->schema_url);
        sx_pb_end(out, outer);
    }
}

void span_write_otlp_json(const span_batch *b, sx_buf *out)
{
    sx_buf message;
    sx_json_writer w;
    sx_buf_init(&message, out->len_max);
    span_write_otlp(b, &message);
    sx_json_writer_init(&w, out, NULL);
    /* Our own encoding is well formed, so all that can go wrong is memory, which the buffer tells. */
    if (message.failed ||
        sx_otlp_json_write(&sx_otlp_traces_data, sx_buf_view(&message), &w, NULL) != SX_OK)
        out->failed = true;
    sx_buf_done(&message);
}

sx_status span_read_otlp_json(sx_str body, const span_limits *limits, span_batch *out,
                              span_refused *refused, sx_error *err)
{
    sx_json r;
    sx_buf message;
    sx_buf_init(&message, 0);
    sx_json_init(&r, body,
                 &(sx_json_options){.arena = &out->arena,
                                    .depth_max = SX_JSON_DEPTH_MOST,
                                    .string_bytes_max = body.len + 1}); /* cut later on */
    sx_status status = sx_otlp_json_read(&sx_otlp_traces_data, &r, &message, err);
    if (status == SX_OK)
        status = sx_json_finish(&r, err);
    if (status == SX_OK) {
        span_batch_keep(out, &message);
        status = span_read_otlp(sx_buf_view(&out->body), limits, out, refused, err);
    }
    sx_buf_done(&message);
    return status;
}
