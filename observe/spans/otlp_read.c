/* otlp_read.c - OTLP's protobuf straight into a batch of spans.
 *
 * Everything stays a view into the request; what is built is the spans and the lists of attributes,
 * events and links. A list's length is not known before its end, so its members are gathered on a
 * stack (one for attributes, one for values, events, links) and copied to the arena when the message
 * around them ends; a map inside an attribute gathers above it.
 * Source: opentelemetry-proto 1.x, trace/v1/trace.proto, common/v1/common.proto. */
#include <sextant/protobuf.h>

#include "observe/spans/intake.h"

typedef struct reader {
    sx_pb_reader r;
    span_intake k;
} reader;

static sx_str read_text(reader *in)
{
    return span_intake_text(&in->k, sx_pb_bytes(&in->r));
}

/* --- Values and attributes. */

static void read_attrs_item(reader *in, size_t base, uint32_t *dropped, uint32_t depth);
static void read_any(reader *in, span_value *v, uint32_t depth);

static void read_list(reader *in, span_value *v, uint32_t depth)
{
    size_t base = in->k.values.count;
    sx_pb_outer outer = sx_pb_enter(&in->r);
    while (sx_pb_next(&in->r)) {
        if (in->r.tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(&in->r);
        } else if (in->k.values.count - base >= in->k.limits.attributes_max) {
            in->k.changed = true;
            sx_pb_skip(&in->r);
        } else {
            span_value item = {0};
            read_any(in, &item, depth + 1);
            span_value *place = span_gather_add(&in->k, &in->k.values);
            if (place)
                *place = item;
        }
    }
    sx_pb_leave(&in->r, outer);
    v->items = span_gather_take(&in->k, &in->k.values, base, &v->len);
    v->type = SPAN_LIST;
}

static void read_map(reader *in, span_value *v, uint32_t depth)
{
    size_t base = in->k.attrs.count;
    uint32_t dropped = 0;
    sx_pb_outer outer = sx_pb_enter(&in->r);
    while (sx_pb_next(&in->r)) {
        if (in->r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            read_attrs_item(in, base, &dropped, depth + 1);
        else
            sx_pb_skip(&in->r);
    }
    sx_pb_leave(&in->r, outer);
    v->members = span_gather_take(&in->k, &in->k.attrs, base, &v->len);
    v->type = SPAN_MAP;
}

/* The fields of an AnyValue. */
static void read_any_fields(reader *in, span_value *v, uint32_t depth)
{
    sx_pb_reader *r = &in->r;
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            span_value_set(v, read_text(in), SPAN_STR);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            *v = (span_value){.i = sx_pb_bool(r), .type = SPAN_BOOL};
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            *v = (span_value){.i = sx_pb_i64(r), .type = SPAN_INT};
            break;
        case SX_PB_TAG(4, SX_PB_FIXED64):
            *v = (span_value){.d = sx_pb_double(r), .type = SPAN_DOUBLE};
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
        case SX_PB_TAG(6, SX_PB_BYTES):
            if (depth >= in->k.limits.depth_max) {
                in->k.changed = true;
                sx_pb_skip(r);
            } else if (sx_pb_field(r) == 5) {
                read_list(in, v, depth);
            } else {
                read_map(in, v, depth);
            }
            break;
        case SX_PB_TAG(7, SX_PB_BYTES):
            span_value_set(v, span_intake_bytes(&in->k, sx_pb_bytes(r)), SPAN_BYTES);
            break;
        default:
            sx_pb_skip(r);
        }
    }
}

/* An AnyValue, the reader's current field. */
static void read_any(reader *in, span_value *v, uint32_t depth)
{
    sx_pb_outer outer = sx_pb_enter(&in->r);
    read_any_fields(in, v, depth);
    sx_pb_leave(&in->r, outer);
}

/* A KeyValue onto the stack of attributes. HOT. */
static void read_attrs_item(reader *in, size_t base, uint32_t *dropped, uint32_t depth)
{
    sx_pb_reader *r = &in->r;
    if (sx_unlikely(in->k.attrs.count - base >= in->k.limits.attributes_max)) {
        ++*dropped;
        in->k.changed = true;
        sx_pb_skip(r);
        return;
    }
    span_attr attr = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (sx_likely(r->tag == SX_PB_TAG(1, SX_PB_BYTES))) {
            sx_str key = read_text(in);
            attr.key = key.data;
            attr.key_len = (uint32_t)key.len;
        } else if (r->tag == SX_PB_TAG(2, SX_PB_BYTES)) {
            read_any(in, &attr.value, depth);
        } else {
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    span_attr *place = span_gather_add(&in->k, &in->k.attrs);
    if (sx_likely(place != NULL))
        *place = attr;
}

static void take_attrs(reader *in, size_t base, span_attrs *out)
{
    out->items = span_gather_take(&in->k, &in->k.attrs, base, &out->count);
}

/* --- Spans. */

static bool read_id(reader *in, uint8_t *id, size_t len)
{
    sx_str s = sx_pb_bytes(&in->r);
    if (s.len == len)
        memcpy(id, s.data, len);
    else
        memset(id, 0, len);
    return s.len == len || s.len == 0;
}

static void read_event(reader *in)
{
    sx_pb_reader *r = &in->r;
    span_event event = {0};
    size_t base = in->k.attrs.count;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_FIXED64):
            event.time_ns = sx_pb_fixed64(r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            event.name = read_text(in);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            read_attrs_item(in, base, &event.attrs.dropped, 0);
            break;
        case SX_PB_TAG(4, SX_PB_VARINT):
            event.attrs.dropped += (uint32_t)sx_pb_varint(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    take_attrs(in, base, &event.attrs);
    span_event *place = span_gather_add(&in->k, &in->k.events);
    if (place)
        *place = event;
}

static void read_link(reader *in)
{
    sx_pb_reader *r = &in->r;
    span_link link = {0};
    size_t base = in->k.attrs.count;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            in->k.changed |= !read_id(in, link.trace_id, 16);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            in->k.changed |= !read_id(in, link.span_id, 8);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            link.trace_state = read_text(in);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            read_attrs_item(in, base, &link.attrs.dropped, 0);
            break;
        case SX_PB_TAG(5, SX_PB_VARINT):
            link.attrs.dropped += (uint32_t)sx_pb_varint(r);
            break;
        case SX_PB_TAG(6, SX_PB_FIXED32):
            link.flags = sx_pb_fixed32(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    take_attrs(in, base, &link.attrs);
    span_link *place = span_gather_add(&in->k, &in->k.links);
    if (place)
        *place = link;
}

static void read_status(reader *in, span *s)
{
    sx_pb_reader *r = &in->r;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(2, SX_PB_BYTES)) {
            s->status_message = read_text(in);
        } else if (r->tag == SX_PB_TAG(3, SX_PB_VARINT)) {
            uint64_t code = sx_pb_varint(r);
            in->k.changed |= code > SPAN_ERROR;
            s->status = code > SPAN_ERROR ? SPAN_UNSET : (uint8_t)code;
        } else {
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
}

/* A list of which the client or we keep only so many. */
static void read_child(reader *in, span_gather *g, size_t base, uint32_t most, uint32_t *dropped,
                       void (*read)(reader *))
{
    if (sx_likely(g->count - base < most)) {
        read(in);
        return;
    }
    ++*dropped;
    in->k.changed = true;
    sx_pb_skip(&in->r);
}

/* HOT. One field after the other: the switch is as long as the message has fields. */
static void read_span(reader *in, const span_resource *resource, const span_scope *scope)
{
    sx_pb_reader *r = &in->r;
    span *s = span_batch_add(in->k.batch);
    size_t attrs = in->k.attrs.count, events = in->k.events.count, links = in->k.links.count;
    bool ids = true;
    if (!s) {
        in->k.no_memory = true;
        sx_pb_skip(r);
        return;
    }
    s->resource = resource;
    s->scope = scope;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            ids &= read_id(in, s->trace_id, 16);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            ids &= read_id(in, s->id, 8);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            s->trace_state = read_text(in);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            ids &= read_id(in, s->parent, 8);
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
            s->name = read_text(in);
            break;
        case SX_PB_TAG(6, SX_PB_VARINT): {
            uint64_t kind = sx_pb_varint(r);
            in->k.changed |= kind > SPAN_CONSUMER;
            s->kind = kind > SPAN_CONSUMER ? SPAN_UNSPECIFIED : (uint8_t)kind;
            break;
        }
        case SX_PB_TAG(7, SX_PB_FIXED64):
            s->start_ns = sx_pb_fixed64(r);
            break;
        case SX_PB_TAG(8, SX_PB_FIXED64):
            s->end_ns = sx_pb_fixed64(r);
            break;
        case SX_PB_TAG(9, SX_PB_BYTES):
            read_attrs_item(in, attrs, &s->attrs.dropped, 0);
            break;
        case SX_PB_TAG(10, SX_PB_VARINT):
            s->attrs.dropped += (uint32_t)sx_pb_varint(r);
            break;
        case SX_PB_TAG(11, SX_PB_BYTES):
            read_child(in, &in->k.events, events, in->k.limits.events_max, &s->dropped_events,
                       read_event);
            break;
        case SX_PB_TAG(12, SX_PB_VARINT):
            s->dropped_events += (uint32_t)sx_pb_varint(r);
            break;
        case SX_PB_TAG(13, SX_PB_BYTES):
            read_child(in, &in->k.links, links, in->k.limits.links_max, &s->dropped_links,
                       read_link);
            break;
        case SX_PB_TAG(14, SX_PB_VARINT):
            s->dropped_links += (uint32_t)sx_pb_varint(r);
            break;
        case SX_PB_TAG(15, SX_PB_BYTES):
            read_status(in, s);
            break;
        case SX_PB_TAG(16, SX_PB_FIXED32):
            s->flags = sx_pb_fixed32(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    take_attrs(in, attrs, &s->attrs);
    s->events = span_gather_take(&in->k, &in->k.events, events, &s->event_count);
    s->links = span_gather_take(&in->k, &in->k.links, links, &s->link_count);
    if (sx_unlikely(!ids))
        span_intake_refuse(&in->k, s,
                           "an id of the wrong length: a trace id has 16 bytes, a span id 8");
    else
        span_intake_check(&in->k, s);
}

/* --- What stands around them. */

static void read_scope(reader *in, span_scope *scope)
{
    sx_pb_reader *r = &in->r;
    size_t base = in->k.attrs.count;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            scope->name = read_text(in);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            scope->version = read_text(in);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            read_attrs_item(in, base, &scope->attrs.dropped, 0);
            break;
        case SX_PB_TAG(4, SX_PB_VARINT):
            scope->attrs.dropped += (uint32_t)sx_pb_varint(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    take_attrs(in, base, &scope->attrs);
}

static void read_resource(reader *in, span_resource *resource)
{
    sx_pb_reader *r = &in->r;
    size_t base = in->k.attrs.count;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_BYTES))
            read_attrs_item(in, base, &resource->attrs.dropped, 0);
        else if (r->tag == SX_PB_TAG(2, SX_PB_VARINT))
            resource->attrs.dropped += (uint32_t)sx_pb_varint(r);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    take_attrs(in, base, &resource->attrs);
    if (!span_resource_name(&in->k.batch->arena, resource))
        in->k.no_memory = true;
}

/* ResourceSpans and ScopeSpans alike: 1 is whose they are, 2 what belongs to it, 3 a schema. */
typedef struct level {
    span_resource *resource;
    span_scope *scope; /* NULL: a resource's */
} level;

static void read_scope_spans(reader *in, span_resource *resource);

static void read_level(reader *in, level of)
{
    sx_pb_reader *r = &in->r;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r) && !in->k.no_memory) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            if (of.scope)
                read_scope(in, of.scope);
            else
                read_resource(in, of.resource);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            if (of.scope)
                read_span(in, of.resource, of.scope);
            else
                read_scope_spans(in, of.resource);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            *(of.scope ? &of.scope->schema_url : &of.resource->schema_url) = read_text(in);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
}

/* Zeroed, in the batch's arena. NULL: what it is for is passed over. */
static void *make(reader *in, size_t size)
{
    void *made = sx_arena_calloc(&in->k.batch->arena, 1, size);
    if (!made) {
        in->k.no_memory = true;
        sx_pb_skip(&in->r);
    }
    return made;
}

static void read_scope_spans(reader *in, span_resource *resource)
{
    level of = {resource, make(in, sizeof(*of.scope))};
    if (of.scope)
        read_level(in, of);
}

static void read_resource_spans(reader *in)
{
    level of = {make(in, sizeof(*of.resource)), NULL};
    if (of.resource)
        read_level(in, of);
}

static sx_status end(reader *in, const char *what, sx_error *err)
{
    sx_status status = span_intake_status(&in->k, what, err);
    span_intake_done(&in->k);
    return status == SX_OK ? sx_pb_status(&in->r, what, err) : status;
}

sx_status span_read_otlp(sx_str body, const span_limits *limits, span_batch *out,
                         span_refused *refused, sx_error *err)
{
    reader in;
    bool first = out->count == 0;
    sx_pb_init(&in.r, body);
    span_intake_init(&in.k, limits, out, refused);
    while (sx_pb_next(&in.r) && !in.k.no_memory) {
        if (in.r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            read_resource_spans(&in);
        else
            sx_pb_skip(&in.r);
    }
    sx_status status = end(&in, "OTLP trace request", err);
    out->otlp = status == SX_OK && first && !in.k.changed ? body : sx_str_of(NULL, 0);
    return status;
}

sx_status span_read_any(sx_str message, sx_arena *arena, span_value *out, sx_error *err)
{
    /* The reader wants a batch for its arena alone; it borrows this one's. */
    span_batch batch = {.arena = *arena};
    reader in;
    sx_pb_init(&in.r, message);
    span_intake_init(&in.k, &(span_limits){.value_bytes_max = UINT32_MAX}, &batch, NULL);
    *out = (span_value){0};
    read_any_fields(&in, out, 0);
    *arena = batch.arena;
    return end(&in, "attribute value", err);
}
