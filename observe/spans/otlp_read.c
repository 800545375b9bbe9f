/* otlp_read.c - OTLP's protobuf straight into a batch of spans.
 *
 * Everything stays a view into the request; what is built is the spans and the lists of attributes,
 * events and links. A list's length is not known before its end, so its members are gathered on a
 * stack (one for attributes, one for values, events, links) and copied to the arena when the message
 * around them ends; a map inside an attribute gathers above it.
 * Source: opentelemetry-proto 1.x, trace/v1/trace.proto, common/v1/common.proto. */
#include <stdio.h>

#include <sextant/mem.h>
#include <sextant/protobuf.h>
#include <sextant/utf8.h>

#include "observe/spans/otlp.h"

enum {
    SPANS_MAX_DEFAULT = 1000000,
    LIST_MAX_DEFAULT = 16384,
    VALUE_BYTES_DEFAULT = 1 << 20,
    DEPTH_MAX_DEFAULT = 24,
    STACK_AT_FIRST = 64
};

/* Members of lists that have not ended. */
typedef struct gather {
    char *items;
    size_t count, cap, size;
} gather;

typedef struct reader {
    sx_pb_reader r;
    span_batch *batch;
    span_limits limits;
    span_refused *refused;
    gather attrs, values, events, links;
    bool changed; /* the batch is no longer what the bytes say */
    bool no_memory;
} reader;

/* --- Lists. */

static void *gather_add(reader *in, gather *g)
{
    if (g->count == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : STACK_AT_FIRST;
        char *items = sx_realloc(g->items, cap * g->size);
        if (!items) {
            in->no_memory = true;
            return NULL;
        }
        g->items = items;
        g->cap = cap;
    }
    return memset(g->items + g->size * g->count++, 0, g->size);
}

/* What was gathered since `base`, in the arena; the stack is back at base. NULL for none. */
static const void *gather_take(reader *in, gather *g, size_t base, uint32_t *count)
{
    size_t n = g->count - base;
    void *items = NULL;
    g->count = base;
    *count = 0;
    if (n == 0)
        return NULL;
    items = sx_arena_alloc(&in->batch->arena, n * g->size);
    if (!items) {
        in->no_memory = true;
        return NULL;
    }
    memcpy(items, g->items + base * g->size, n * g->size);
    *count = (uint32_t)n;
    return items;
}

/* --- Text. */

/* A copy with U+FFFD for each byte that is no part of a character. */
static SX_COLD sx_str mend_text(reader *in, sx_str s)
{
    char *text = sx_arena_alloc(&in->batch->arena, s.len * 3);
    if (!text) {
        in->no_memory = true;
        return sx_str_of(NULL, 0);
    }
    char *to = text;
    for (sx_str at = s; at.len;) {
        size_t good = sx_utf8_valid_len(at);
        memcpy(to, at.data, good);
        to += good;
        if (good < at.len) {
            memcpy(to, "\xef\xbf\xbd", 3);
            to += 3;
        }
        at = sx_str_from(at, good + 1);
    }
    in->changed = true;
    return sx_str_of(text, (size_t)(to - text));
}

static SX_COLD sx_str cut_text(reader *in, sx_str s)
{
    in->changed = true;
    return sx_utf8_first(s, in->limits.value_bytes_max);
}

/* The field's bytes as text: UTF-8, not too long. HOT: nearly all of it is short ASCII. */
static sx_str read_text(reader *in)
{
    sx_str s = sx_pb_bytes(&in->r);
    uint64_t high = 0;
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        uint64_t word;
        memcpy(&word, s.data + i, 8);
        high |= word;
    }
    for (; i < s.len; i++)
        high |= (uint8_t)s.data[i];
    if (sx_unlikely((high & 0x8080808080808080u) && !sx_utf8_valid(s)))
        s = mend_text(in, s);
    if (sx_unlikely(s.len > in->limits.value_bytes_max))
        s = cut_text(in, s);
    return s;
}

/* --- Values and attributes. */

static void read_attrs_item(reader *in, size_t base, uint32_t *dropped, uint32_t depth);
static void read_any(reader *in, span_value *v, uint32_t depth);

static void set_str(span_value *v, sx_str s, span_type type)
{
    v->data = s.data;
    v->len = (uint32_t)s.len;
    v->type = type;
}

static void read_list(reader *in, span_value *v, uint32_t depth)
{
    size_t base = in->values.count;
    sx_pb_outer outer = sx_pb_enter(&in->r);
    while (sx_pb_next(&in->r)) {
        if (in->r.tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(&in->r);
        } else if (in->values.count - base >= in->limits.attributes_max) {
            in->changed = true;
            sx_pb_skip(&in->r);
        } else {
            span_value item = {0};
            read_any(in, &item, depth + 1);
            span_value *place = gather_add(in, &in->values);
            if (place)
                *place = item;
        }
    }
    sx_pb_leave(&in->r, outer);
    v->items = gather_take(in, &in->values, base, &v->len);
    v->type = SPAN_LIST;
}

static void read_map(reader *in, span_value *v, uint32_t depth)
{
    size_t base = in->attrs.count;
    uint32_t dropped = 0;
    sx_pb_outer outer = sx_pb_enter(&in->r);
    while (sx_pb_next(&in->r)) {
        if (in->r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            read_attrs_item(in, base, &dropped, depth + 1);
        else
            sx_pb_skip(&in->r);
    }
    sx_pb_leave(&in->r, outer);
    v->members = gather_take(in, &in->attrs, base, &v->len);
    v->type = SPAN_MAP;
}

/* The fields of an AnyValue. */
static void read_any_fields(reader *in, span_value *v, uint32_t depth)
{
    sx_pb_reader *r = &in->r;
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            set_str(v, read_text(in), SPAN_STR);
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
            if (depth >= in->limits.depth_max) {
                in->changed = true;
                sx_pb_skip(r);
            } else if (sx_pb_field(r) == 5) {
                read_list(in, v, depth);
            } else {
                read_map(in, v, depth);
            }
            break;
        case SX_PB_TAG(7, SX_PB_BYTES): {
            sx_str s = sx_pb_bytes(r);
            if (s.len > in->limits.value_bytes_max) {
                in->changed = true;
                s = sx_str_first(s, in->limits.value_bytes_max);
            }
            set_str(v, s, SPAN_BYTES);
            break;
        }
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
    if (sx_unlikely(in->attrs.count - base >= in->limits.attributes_max)) {
        ++*dropped;
        in->changed = true;
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
    span_attr *place = gather_add(in, &in->attrs);
    if (sx_likely(place != NULL))
        *place = attr;
}

static void take_attrs(reader *in, size_t base, span_attrs *out)
{
    out->items = gather_take(in, &in->attrs, base, &out->count);
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

static bool zero(const uint8_t *id, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= id[i];
    return any == 0;
}

static void read_event(reader *in)
{
    sx_pb_reader *r = &in->r;
    span_event event = {0};
    size_t base = in->attrs.count;
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
    span_event *place = gather_add(in, &in->events);
    if (place)
        *place = event;
}

static void read_link(reader *in)
{
    sx_pb_reader *r = &in->r;
    span_link link = {0};
    size_t base = in->attrs.count;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            in->changed |= !read_id(in, link.trace_id, 16);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            in->changed |= !read_id(in, link.span_id, 8);
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
    span_link *place = gather_add(in, &in->links);
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
            in->changed |= code > SPAN_ERROR;
            s->status = code > SPAN_ERROR ? SPAN_UNSET : (uint8_t)code;
        } else {
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
}

/* Takes the span just read out of the batch again. */
static SX_COLD void refuse(reader *in, const span *s, const char *why)
{
    in->changed = true;
    in->batch->count--;
    if (in->refused && in->refused->spans++ == 0)
        snprintf(in->refused->why, sizeof(in->refused->why),
                 "span \"%.*s\" of service \"%.*s\": %s", s->name.len > 40 ? 40 : (int)s->name.len,
                 s->name.data ? s->name.data : "",
                 s->resource->service.len > 40 ? 40 : (int)s->resource->service.len,
                 s->resource->service.data ? s->resource->service.data : "", why);
}

/* A list of which the client or we keep only so many. */
static void read_child(reader *in, gather *g, size_t base, uint32_t most, uint32_t *dropped,
                       void (*read)(reader *))
{
    if (sx_likely(g->count - base < most)) {
        read(in);
        return;
    }
    ++*dropped;
    in->changed = true;
    sx_pb_skip(&in->r);
}

/* HOT. One field after the other: the switch is as long as the message has fields. */
static void read_span(reader *in, const span_resource *resource, const span_scope *scope)
{
    sx_pb_reader *r = &in->r;
    span *s = span_batch_add(in->batch);
    size_t attrs = in->attrs.count, events = in->events.count, links = in->links.count;
    bool ids = true;
    if (!s) {
        in->no_memory = true;
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
            in->changed |= kind > SPAN_CONSUMER;
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
            read_child(in, &in->events, events, in->limits.events_max, &s->dropped_events,
                       read_event);
            break;
        case SX_PB_TAG(12, SX_PB_VARINT):
            s->dropped_events += (uint32_t)sx_pb_varint(r);
            break;
        case SX_PB_TAG(13, SX_PB_BYTES):
            read_child(in, &in->links, links, in->limits.links_max, &s->dropped_links, read_link);
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
    s->events = gather_take(in, &in->events, events, &s->event_count);
    s->links = gather_take(in, &in->links, links, &s->link_count);
    if (sx_unlikely(!ids))
        refuse(in, s, "an id of the wrong length: a trace id has 16 bytes, a span id 8");
    else if (sx_unlikely(zero(s->trace_id, 16)))
        refuse(in, s, "the trace id is missing or all zero");
    else if (sx_unlikely(zero(s->id, 8)))
        refuse(in, s, "the span id is missing or all zero");
    else if (sx_unlikely(in->batch->count > in->limits.spans_max))
        refuse(in, s, "more spans in one request than are taken: send smaller batches");
}

/* --- What stands around them. */

static void read_scope(reader *in, span_scope *scope)
{
    sx_pb_reader *r = &in->r;
    size_t base = in->attrs.count;
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

static void read_scope_spans(reader *in, const span_resource *resource)
{
    sx_pb_reader *r = &in->r;
    span_scope *scope = sx_arena_calloc(&in->batch->arena, 1, sizeof(*scope));
    if (!scope) {
        in->no_memory = true;
        sx_pb_skip(r);
        return;
    }
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r) && !in->no_memory) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            read_scope(in, scope);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            read_span(in, resource, scope);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            scope->schema_url = read_text(in);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
}

static void read_resource(reader *in, span_resource *resource)
{
    sx_pb_reader *r = &in->r;
    size_t base = in->attrs.count;
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
    if (!span_resource_name(&in->batch->arena, resource))
        in->no_memory = true;
}

static void read_resource_spans(reader *in)
{
    sx_pb_reader *r = &in->r;
    span_resource *resource = sx_arena_calloc(&in->batch->arena, 1, sizeof(*resource));
    if (!resource) {
        in->no_memory = true;
        sx_pb_skip(r);
        return;
    }
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r) && !in->no_memory) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            read_resource(in, resource);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            read_scope_spans(in, resource);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            resource->schema_url = read_text(in);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
}

static uint32_t or_default(uint32_t value, uint32_t usual)
{
    return value ? value : usual;
}

static void reader_init(reader *in, sx_str body, const span_limits *limits, span_batch *out,
                        span_refused *refused)
{
    *in = (reader){.batch = out, .refused = refused};
    if (limits)
        in->limits = *limits;
    span_limits *l = &in->limits;
    l->spans_max = or_default(l->spans_max, SPANS_MAX_DEFAULT);
    l->attributes_max = or_default(l->attributes_max, LIST_MAX_DEFAULT);
    l->value_bytes_max = or_default(l->value_bytes_max, VALUE_BYTES_DEFAULT);
    l->events_max = or_default(l->events_max, LIST_MAX_DEFAULT);
    l->links_max = or_default(l->links_max, LIST_MAX_DEFAULT);
    l->depth_max = or_default(l->depth_max, DEPTH_MAX_DEFAULT);
    in->attrs.size = sizeof(span_attr);
    in->values.size = sizeof(span_value);
    in->events.size = sizeof(span_event);
    in->links.size = sizeof(span_link);
    sx_pb_init(&in->r, body);
}

static sx_status reader_end(reader *in, const char *what, sx_error *err)
{
    sx_free(in->attrs.items);
    sx_free(in->values.items);
    sx_free(in->events.items);
    sx_free(in->links.items);
    if (!in->no_memory)
        return sx_pb_status(&in->r, what, err);
    sx_arena *arena = &in->batch->arena;
    if (arena->max_bytes && arena->used_bytes > arena->max_bytes / 2)
        return sx_fail(err, SX_ELIMIT,
                       "%s: its spans need more than the %zu MiB that a request may take: send "
                       "smaller batches",
                       what, arena->max_bytes >> 20);
    return sx_fail_memory(err, what);
}

sx_status span_read_otlp(sx_str body, const span_limits *limits, span_batch *out,
                         span_refused *refused, sx_error *err)
{
    reader in;
    reader_init(&in, body, limits, out, refused);
    bool first = out->count == 0;
    while (sx_pb_next(&in.r) && !in.no_memory) {
        if (in.r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            read_resource_spans(&in);
        else
            sx_pb_skip(&in.r);
    }
    sx_status status = reader_end(&in, "OTLP trace request", err);
    out->otlp = status == SX_OK && first && !in.changed ? body : sx_str_of(NULL, 0);
    return status;
}

sx_status span_read_any(sx_str message, sx_arena *arena, span_value *out, sx_error *err)
{
    /* The reader wants a batch for its arena alone; it borrows this one's. */
    span_batch batch = {.arena = *arena};
    reader in;
    reader_init(&in, message, &(span_limits){.value_bytes_max = UINT32_MAX}, &batch, NULL);
    *out = (span_value){0};
    read_any_fields(&in, out, 0);
    *arena = batch.arena;
    return reader_end(&in, "attribute value", err);
}
