/* proto_otlp.c - a trace as OTLP messages: equal resources and scopes brought together, cut in pieces.
 *
 * The store gives spans in order of time and makes resources anew for each segment they came from;
 * who reads OTLP expects each resource once. */
#include <stdlib.h>

#include <sextant/map.h>
#include <sextant/mem.h>

#include "observe/jaeger/proto.h"
#include "observe/spans/otlp.h"

#define WARNINGS SX_STR("@jaeger@warnings")

/* A span of the batch to be changed, which takes its place: the batch does not grow. */
static span *changed(span_batch *trace, const span *s)
{
    span *copy = sx_arena_alloc(&trace->arena, sizeof(*copy));
    if (copy)
        *copy = *s;
    return copy;
}

/* ---- warnings as an attribute ---- */

static const span *with_warnings(span_batch *trace, const span *s, const jaeger_notes *notes)
{
    sx_arena *arena = &trace->arena;
    const span_value *sent = span_attrs_find(s->attrs, WARNINGS);
    uint32_t before = sent && sent->type == SPAN_LIST ? sent->len : 0;
    span *copy = changed(trace, s);
    span_attr *attrs = sx_arena_calloc(arena, s->attrs.count + 1, sizeof(*attrs));
    span_value *list = sx_arena_calloc(arena, before + notes->count, sizeof(*list));
    if (!copy || !attrs || !list)
        return NULL;
    if (before)
        memcpy(list, sent->items, before * sizeof(*list));
    for (uint32_t i = 0; i < notes->count; i++)
        list[before + i] = (span_value){
            .data = notes->items[i].data, .len = (uint32_t)notes->items[i].len, .type = SPAN_STR};
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->attrs.count; i++)
        if (!sx_str_eq(span_attr_key(&s->attrs.items[i]), WARNINGS))
            attrs[count++] = s->attrs.items[i];
    attrs[count++] =
        (span_attr){.key = WARNINGS.data,
                    .key_len = (uint32_t)WARNINGS.len,
                    .value = {.items = list, .len = before + notes->count, .type = SPAN_LIST}};
    copy->attrs.items = attrs;
    copy->attrs.count = count;
    return copy;
}

static sx_status add_warnings(span_batch *trace, const jaeger_notes *notes, sx_error *err)
{
    for (size_t i = 0; notes && i < trace->count; i++)
        if (notes[i].count) {
            const span *s = with_warnings(trace, trace->spans[i], &notes[i]);
            if (!s)
                return sx_fail_memory(err, "warnings");
            trace->spans[i] = s;
        }
    return SX_OK;
}

/* ---- groups ---- */

/* What resources and scopes are told apart by: their own encoding. */
typedef struct grouping {
    sx_arena arena;
    sx_map by_bytes;
    sx_map64 by_pointer;
    uint64_t next;
    sx_buf bytes;
} grouping;

static bool attrs_bytes(sx_buf *out, span_attrs attrs)
{
    for (uint32_t i = 0; i < attrs.count; i++) {
        sx_buf_bytes(out, &attrs.items[i].key_len, sizeof(attrs.items[i].key_len));
        sx_buf_str(out, span_attr_key(&attrs.items[i]));
        size_t mark = out->len;
        uint32_t len = 0;
        sx_buf_bytes(out, &len, sizeof(len));
        span_write_any(&attrs.items[i].value, out);
        len = (uint32_t)(out->len - mark - sizeof(len));
        if (!out->failed)
            memcpy(out->data + mark, &len, sizeof(len));
    }
    return !out->failed;
}

static void text_bytes(sx_buf *out, sx_str s)
{
    sx_buf_bytes(out, &s.len, sizeof(s.len));
    sx_buf_str(out, s);
}

/* The number of what `g->bytes` holds: in the order in which they were met. */
static bool number_of(grouping *g, const void *pointer, uint64_t *out)
{
    sx_map64_entry *known = sx_map64_put(&g->by_pointer, (uintptr_t)pointer, NULL);
    sx_map_entry *same = sx_map_find(&g->by_bytes, sx_buf_view(&g->bytes));
    if (!known || g->bytes.failed)
        return false;
    if (!same) {
        sx_str key = sx_arena_copy(&g->arena, sx_buf_view(&g->bytes));
        same = key.data ? sx_map_put(&g->by_bytes, key, NULL) : NULL;
        if (!same)
            return false;
        same->u64 = g->next++;
    }
    *out = known->u64 = same->u64;
    return true;
}

static bool resource_number(grouping *g, const span_resource *r, uint64_t *out)
{
    const sx_map64_entry *known = sx_map64_find(&g->by_pointer, (uintptr_t)r);
    if (known) {
        *out = known->u64;
        return true;
    }
    sx_buf_clear(&g->bytes);
    sx_buf_byte(&g->bytes, 'r');
    text_bytes(&g->bytes, r->schema_url);
    sx_buf_bytes(&g->bytes, &r->attrs.dropped, sizeof(r->attrs.dropped));
    return attrs_bytes(&g->bytes, r->attrs) && number_of(g, r, out);
}

static bool scope_number(grouping *g, const span_scope *s, uint64_t *out)
{
    const sx_map64_entry *known = sx_map64_find(&g->by_pointer, (uintptr_t)s);
    if (known) {
        *out = known->u64;
        return true;
    }
    sx_buf_clear(&g->bytes);
    sx_buf_byte(&g->bytes, 's');
    text_bytes(&g->bytes, s->name);
    text_bytes(&g->bytes, s->version);
    text_bytes(&g->bytes, s->schema_url);
    sx_buf_bytes(&g->bytes, &s->attrs.dropped, sizeof(s->attrs.dropped));
    return attrs_bytes(&g->bytes, s->attrs) && number_of(g, s, out);
}

typedef struct place {
    uint64_t resource, scope;
    size_t index;
    const span *span;
} place;

static int order_places(const void *x, const void *y)
{
    const place *a = x, *b = y;
    if (a->resource != b->resource)
        return a->resource < b->resource ? -1 : 1;
    if (a->scope != b->scope)
        return a->scope < b->scope ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Spans of one group take the first one's resource and scope, so that they count as one. */
static bool unify(span_batch *trace, const place *places)
{
    const span_resource *resource = NULL;
    const span_scope *scope = NULL;
    for (size_t i = 0; i < trace->count; i++) {
        const span *s = places[i].span;
        if (i == 0 || places[i].resource != places[i - 1].resource)
            resource = s->resource;
        if (i == 0 || places[i].resource != places[i - 1].resource ||
            places[i].scope != places[i - 1].scope)
            scope = s->scope;
        if (s->resource != resource || s->scope != scope) {
            span *copy = changed(trace, s);
            if (!copy)
                return false;
            copy->resource = resource;
            copy->scope = scope;
            s = copy;
        }
        trace->spans[i] = s;
    }
    return true;
}

static bool group(grouping *g, span_batch *trace)
{
    place *places = sx_arena_calloc(&g->arena, trace->count + 1, sizeof(*places));
    if (!places)
        return false;
    for (size_t i = 0; i < trace->count; i++) {
        const span *s = trace->spans[i];
        places[i].index = i;
        places[i].span = s;
        if (!resource_number(g, s->resource, &places[i].resource) ||
            !scope_number(g, s->scope, &places[i].scope))
            return false;
    }
    qsort(places, trace->count, sizeof(*places), order_places);
    return unify(trace, places);
}

sx_status jaeger_group(span_batch *trace, const jaeger_notes *notes, sx_error *err)
{
    grouping g = {0};
    sx_status status = add_warnings(trace, notes, err);
    if (status != SX_OK)
        return status;
    sx_arena_init(&g.arena, 0, 0);
    sx_map_init(&g.by_bytes, NULL);
    sx_map64_init(&g.by_pointer, NULL);
    sx_buf_init(&g.bytes, 0);
    if (!group(&g, trace))
        status = sx_fail_memory(err, "a trace's spans by resource");
    sx_buf_done(&g.bytes);
    sx_map64_done(&g.by_pointer);
    sx_map_done(&g.by_bytes);
    sx_arena_done(&g.arena);
    return status;
}

/* ---- messages ---- */

enum { SPAN_BYTES_MOST = 200, ITEM_BYTES_MOST = 64, ATTR_BYTES_MOST = 24 };

static size_t value_weight(const span_value *v)
{
    size_t bytes = ATTR_BYTES_MOST;
    if (v->type == SPAN_STR || v->type == SPAN_BYTES)
        return bytes + v->len;
    if (v->type == SPAN_LIST)
        for (uint32_t i = 0; i < v->len; i++)
            bytes += value_weight(&v->items[i]);
    if (v->type == SPAN_MAP)
        for (uint32_t i = 0; i < v->len; i++)
            bytes += v->members[i].key_len + value_weight(&v->members[i].value);
    return bytes;
}

static size_t attrs_weight(span_attrs attrs)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < attrs.count; i++)
        bytes += attrs.items[i].key_len + value_weight(&attrs.items[i].value);
    return bytes;
}

/* About as many bytes as the span takes in OTLP, rather more than fewer. */
static size_t span_weight(const span *s)
{
    size_t bytes = SPAN_BYTES_MOST + s->name.len + s->trace_state.len + s->status_message.len +
                   attrs_weight(s->attrs);
    for (uint32_t i = 0; i < s->event_count; i++)
        bytes += ITEM_BYTES_MOST + s->events[i].name.len + attrs_weight(s->events[i].attrs);
    for (uint32_t i = 0; i < s->link_count; i++)
        bytes += ITEM_BYTES_MOST + s->links[i].trace_state.len + attrs_weight(s->links[i].attrs);
    return bytes;
}

/* How many of the spans from `first` on one message takes. */
static size_t message_spans(const span_batch *trace, size_t first, size_t bytes_max)
{
    size_t bytes = 0, count = 0;
    for (size_t i = first; i < trace->count; i++) {
        const span *s = trace->spans[i];
        bytes += span_weight(s);
        if (count == 0 || s->resource != trace->spans[i - 1]->resource)
            bytes += attrs_weight(s->resource->attrs) + ITEM_BYTES_MOST;
        if (count == 0 || s->scope != trace->spans[i - 1]->scope)
            bytes += attrs_weight(s->scope->attrs) + ITEM_BYTES_MOST + s->scope->name.len;
        if (count && bytes > bytes_max)
            break;
        count++;
    }
    return count;
}

sx_status jaeger_write_otlp(const span_batch *trace, size_t bytes_max, sx_buf *space,
                            jaeger_message_fn *fn, void *ctx, sx_error *err)
{
    for (size_t i = 0; i < trace->count;) {
        /* The writer looks at the spans alone. */
        span_batch part = {.spans = trace->spans + i, .count = message_spans(trace, i, bytes_max)};
        sx_buf_clear(space);
        span_write_otlp(&part, space);
        if (space->failed)
            return sx_buf_status(space, "a trace", err);
        if (!fn(ctx, sx_buf_view(space)))
            return SX_OK;
        i += part.count;
    }
    return SX_OK;
}
