/* proto_write.c - spans as Jaeger's own protobuf model, and the lists that all dialects have.
 *
 * Fields that are zero are left out, but for the messages that Jaeger's Go types always send.
 * Source: jaeger-idl proto/api_v2/model.proto; OpenTelemetry specification, "Jaeger". */
#include <sextant/protobuf.h>

#include "observe/jaeger/proto.h"

#define NS_A_SECOND     1000000000u
#define WARNINGS        SX_STR("@jaeger@warnings")
#define REFERENCE_TYPE  SX_STR("opentracing.ref_type")
#define REFERENCE_CHILD SX_STR("child_of")

enum { TYPE_BOOL = 1, TYPE_INT64, TYPE_FLOAT64, TYPE_BINARY, REFERENCE_FOLLOWS = 1 };

static void put_text(sx_buf *out, uint32_t field, sx_str s)
{
    if (s.len)
        sx_pb_put_str(out, field, s);
}

static void put_number(sx_buf *out, uint32_t field, uint64_t n)
{
    if (n)
        sx_pb_put_u64(out, field, n);
}

/* Timestamp and Duration. */
static void put_time(sx_buf *out, uint32_t field, uint64_t ns)
{
    size_t mark = sx_pb_begin(out, field);
    put_number(out, 1, ns / NS_A_SECOND);
    put_number(out, 2, ns % NS_A_SECOND);
    sx_pb_end(out, mark);
}

/* ---- KeyValue ---- */

typedef struct tags_out {
    sx_buf *out;
    uint32_t field;
} tags_out;

/* Lists and maps are text in JSON, as Jaeger has no types for them. */
static void put_as_text(sx_buf *out, const span_value *v)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    span_value_text(v, &text);
    out->failed |= text.failed;
    put_text(out, 3, sx_buf_view(&text));
    sx_buf_done(&text);
}

static bool put_tag(void *ctx, sx_str key, const span_value *v)
{
    const tags_out *to = ctx;
    sx_buf *out = to->out;
    if (sx_str_eq(key, WARNINGS))
        return true; /* has a field of its own */
    size_t mark = sx_pb_begin(out, to->field);
    put_text(out, 1, key);
    switch ((span_type)v->type) {
    case SPAN_STR:
        put_text(out, 3, sx_str_of(v->data, v->len));
        break;
    case SPAN_BOOL:
        sx_pb_put_u64(out, 2, TYPE_BOOL);
        put_number(out, 4, v->i != 0);
        break;
    case SPAN_INT:
        sx_pb_put_u64(out, 2, TYPE_INT64);
        put_number(out, 5, (uint64_t)v->i);
        break;
    case SPAN_DOUBLE:
        sx_pb_put_u64(out, 2, TYPE_FLOAT64);
        sx_pb_put_double(out, 6, v->d);
        break;
    case SPAN_BYTES:
        sx_pb_put_u64(out, 2, TYPE_BINARY);
        put_text(out, 7, sx_str_of(v->data, v->len));
        break;
    default:
        put_as_text(out, v);
    }
    sx_pb_end(out, mark);
    return true;
}

/* ---- Span ---- */

static void put_reference(sx_buf *out, const uint8_t *trace_id, const uint8_t *span_id,
                          uint64_t type)
{
    size_t mark = sx_pb_begin(out, 4);
    sx_pb_put_str(out, 1, sx_str_of(trace_id, 16));
    sx_pb_put_str(out, 2, sx_str_of(span_id, 8));
    put_number(out, 3, type);
    sx_pb_end(out, mark);
}

static void put_references(sx_buf *out, const span *s)
{
    static const uint8_t NONE[8] = {0};
    if (memcmp(s->parent, NONE, sizeof(NONE)) != 0)
        put_reference(out, s->trace_id, s->parent, 0);
    for (uint32_t i = 0; i < s->link_count; i++) {
        const span_link *l = &s->links[i];
        const span_value *type = span_attrs_find(l->attrs, REFERENCE_TYPE);
        bool child = type && sx_str_eq(span_value_str(type), REFERENCE_CHILD);
        put_reference(out, l->trace_id, l->span_id, child ? 0 : REFERENCE_FOLLOWS);
    }
}

static void put_log(sx_buf *out, const span_event *e)
{
    tags_out fields = {out, 2};
    span_value name = {.data = e->name.data, .len = (uint32_t)e->name.len, .type = SPAN_STR};
    size_t mark = sx_pb_begin(out, 9);
    put_time(out, 1, e->time_ns);
    if (e->name.len && !span_attrs_find(e->attrs, SX_STR("event")))
        put_tag(&fields, SX_STR("event"), &name);
    for (uint32_t i = 0; i < e->attrs.count; i++)
        put_tag(&fields, span_attr_key(&e->attrs.items[i]), &e->attrs.items[i].value);
    sx_pb_end(out, mark);
}

static void put_process(sx_buf *out, const span_resource *r)
{
    tags_out tags = {out, 2};
    size_t mark = sx_pb_begin(out, 10);
    put_text(out, 1, jaeger_service_name(r));
    for (uint32_t i = 0; i < r->attrs.count; i++)
        if (!sx_str_eq(span_attr_key(&r->attrs.items[i]), SX_STR("service.name")))
            put_tag(&tags, span_attr_key(&r->attrs.items[i]), &r->attrs.items[i].value);
    sx_pb_end(out, mark);
}

/* Those that came with the span, then those of the adjusters. */
static void put_warnings(sx_buf *out, const span *s, const jaeger_notes *notes)
{
    const span_value *sent = span_attrs_find(s->attrs, WARNINGS);
    if (sent && sent->type == SPAN_LIST)
        for (uint32_t i = 0; i < sent->len; i++)
            sx_pb_put_str(out, 12, span_value_str(&sent->items[i]));
    for (uint32_t i = 0; notes && i < notes->count; i++)
        sx_pb_put_str(out, 12, notes->items[i]);
}

void jaeger_put_span(sx_buf *out, uint32_t field, const span *s, const jaeger_notes *notes)
{
    tags_out tags = {out, 8};
    size_t mark = sx_pb_begin(out, field);
    sx_pb_put_str(out, 1, sx_str_of(s->trace_id, sizeof(s->trace_id)));
    sx_pb_put_str(out, 2, sx_str_of(s->id, sizeof(s->id)));
    put_text(out, 3, jaeger_operation_name(s));
    put_references(out, s);
    put_number(out, 5, s->flags);
    put_time(out, 6, s->start_ns);
    put_time(out, 7, s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0);
    jaeger_span_tags(s, put_tag, &tags);
    for (uint32_t i = 0; i < s->event_count; i++)
        put_log(out, &s->events[i]);
    put_process(out, s->resource);
    put_warnings(out, s, notes);
    sx_pb_end(out, mark);
}

/* ---- lists ---- */

void jaeger_put_services(sx_buf *out, const tr_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        sx_pb_put_str(out, 1, names->items[i]);
}

/* The rows are sorted by service, name and kind: of one service, one name's kinds are neighbours. */
void jaeger_put_operations(sx_buf *out, jaeger_dialect dialect, const tr_operation *items,
                           size_t count)
{
    for (size_t i = 0; dialect == JAEGER_V2 && i < count; i++)
        if (i == 0 || !sx_str_eq(items[i].name, items[i - 1].name))
            sx_pb_put_str(out, 1, items[i].name);
    for (size_t i = 0; i < count; i++) {
        size_t mark = sx_pb_begin(out, dialect == JAEGER_V2 ? 2 : 1);
        put_text(out, 1, items[i].name);
        put_text(out, 2, jaeger_kind_name(items[i].kind));
        sx_pb_end(out, mark);
    }
}

void jaeger_put_dependencies(sx_buf *out, const tr_edge *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t mark = sx_pb_begin(out, 1);
        put_text(out, 1, items[i].parent);
        put_text(out, 2, items[i].child);
        put_number(out, 3, items[i].calls);
        sx_pb_end(out, mark);
    }
}
