/* span.c - batches of spans: their memory, their references, and values of any type. */
#include "observe/spans/span.h"

#include <math.h>

#include <sextant/json.h>
#include <sextant/mem.h>

#include "codec/base64.h"

enum { ARENA_CHUNK_BYTES = 16 * 1024, SPANS_AT_FIRST = 64 };
#define MEMORY_MAX_DEFAULT ((size_t)256 << 20)

span_batch *span_batch_new(size_t memory_max)
{
    span_batch *b = sx_calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    sx_arena_init(&b->arena, ARENA_CHUNK_BYTES, memory_max ? memory_max : MEMORY_MAX_DEFAULT);
    sx_buf_init(&b->body, 0);
    return b;
}

void span_batch_keep(span_batch *b, sx_buf *body)
{
    sx_buf_done(&b->body);
    b->body = *body;
    sx_buf_init(body, 0);
}

span_batch *span_batch_ref(span_batch *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void span_batch_unref(span_batch *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < b->held_count; i++)
        span_batch_unref(b->held[i]);
    sx_free(b->held);
    sx_free(b->spans);
    sx_arena_done(&b->arena);
    sx_buf_done(&b->body);
    sx_free(b);
}

bool span_batch_touches(const span_batch *b, uint64_t min_ns, uint64_t max_ns)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->spans[i]->start_ns >= min_ns && (!max_ns || b->spans[i]->start_ns <= max_ns))
            return true;
    return false;
}

void span_batch_reset(span_batch *b)
{
    for (size_t i = 0; i < b->held_count; i++)
        span_batch_unref(b->held[i]);
    b->held_count = 0;
    b->count = 0;
    b->otlp = sx_str_of(NULL, 0);
    sx_arena_reset(&b->arena);
    sx_buf_clear(&b->body);
}

/* Makes room for one more element of a heap vector. */
static bool grow(void *items, size_t *cap, size_t count, size_t at_first)
{
    void **vector = items;
    if (count < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : at_first;
    void *bigger = sx_realloc(*vector, more * sizeof(void *));
    if (!bigger)
        return false;
    *vector = bigger;
    *cap = more;
    return true;
}

sx_status span_batch_hold(span_batch *b, span_batch *other, sx_error *err)
{
    /* The one held last is nearly always the one asked for again. */
    for (size_t i = b->held_count; i-- > 0;)
        if (b->held[i] == other)
            return SX_OK;
    if (!grow(&b->held, &b->held_cap, b->held_count, 4))
        return sx_fail_memory(err, "a batch of spans");
    b->held[b->held_count++] = span_batch_ref(other);
    return SX_OK;
}

sx_status span_batch_put(span_batch *b, const span *s, sx_error *err)
{
    if (!grow(&b->spans, &b->cap, b->count, SPANS_AT_FIRST))
        return sx_fail_memory(err, "a batch of spans");
    b->spans[b->count++] = s;
    return SX_OK;
}

span *span_batch_add(span_batch *b)
{
    if (!grow(&b->spans, &b->cap, b->count, SPANS_AT_FIRST))
        return NULL;
    span *s = sx_arena_alloc(&b->arena, sizeof(*s));
    if (!s)
        return NULL;
    memset(s, 0, sizeof(*s));
    b->spans[b->count++] = s;
    return s;
}

span *span_batch_copy(span_batch *b, const span *s)
{
    span *copy = span_batch_add(b);
    if (copy)
        *copy = *s;
    return copy;
}

bool span_resource_name(sx_arena *arena, span_resource *r)
{
    const span_value *name = span_attrs_find(r->attrs, SX_STR("service.name"));
    r->service = sx_str_of(NULL, 0);
    if (!name)
        return true;
    if (name->type == SPAN_STR) {
        r->service = sx_str_of(name->data, name->len);
        return true;
    }
    sx_buf text;
    sx_buf_init(&text, 0);
    span_value_text(name, &text);
    bool held = !text.failed;
    if (held && text.len) {
        r->service = sx_arena_copy(arena, sx_buf_view(&text));
        held = r->service.data != NULL;
    }
    sx_buf_done(&text);
    return held;
}

const span_value *span_attrs_find(span_attrs attrs, sx_str key)
{
    for (uint32_t i = 0; i < attrs.count; i++)
        if (sx_str_eq(span_attr_key(&attrs.items[i]), key))
            return &attrs.items[i].value;
    return NULL;
}

/* Lists and maps as JSON: Go's encoding of what a client sent, keys in their order. */
static void write_json(const span_value *v, sx_json_writer *w)
{
    char number[SX_DOUBLE_BYTES];
    sx_buf text;
    switch ((span_type)v->type) {
    case SPAN_EMPTY:
        sx_json_null(w);
        break;
    case SPAN_STR:
        sx_json_str(w, sx_str_of(v->data, v->len));
        break;
    case SPAN_BOOL:
        sx_json_bool(w, v->i != 0);
        break;
    case SPAN_INT:
        sx_json_i64(w, v->i);
        break;
    case SPAN_DOUBLE:
        if (isfinite(v->d))
            sx_json_double(w, v->d);
        else
            sx_json_str(w, sx_str_of(number, sx_double_format(v->d, SX_DOUBLE_JS, number)));
        break;
    case SPAN_BYTES:
        sx_buf_init(&text, 0);
        sx_base64_encode(sx_str_of(v->data, v->len), &text);
        w->buf->failed |= text.failed;
        sx_json_str(w, sx_buf_view(&text));
        sx_buf_done(&text);
        break;
    case SPAN_LIST:
        sx_json_begin_array(w);
        for (uint32_t i = 0; i < v->len; i++)
            write_json(&v->items[i], w);
        sx_json_end_array(w);
        break;
    case SPAN_MAP:
        sx_json_begin_object(w);
        for (uint32_t i = 0; i < v->len; i++) {
            sx_json_key(w, span_attr_key(&v->members[i]));
            write_json(&v->members[i].value, w);
        }
        sx_json_end_object(w);
        break;
    }
}

void span_value_text(const span_value *v, sx_buf *out)
{
    char number[SX_DOUBLE_BYTES];
    sx_json_writer w;
    switch ((span_type)v->type) {
    case SPAN_EMPTY:
        break;
    case SPAN_STR:
        sx_buf_bytes(out, v->data, v->len);
        break;
    case SPAN_BOOL:
        sx_buf_str(out, v->i ? SX_STR("true") : SX_STR("false"));
        break;
    case SPAN_INT:
        sx_buf_i64(out, v->i);
        break;
    case SPAN_DOUBLE:
        sx_buf_bytes(out, number, sx_double_format(v->d, SX_DOUBLE_JS, number));
        break;
    case SPAN_BYTES:
        sx_base64_encode(sx_str_of(v->data, v->len), out);
        break;
    case SPAN_LIST:
    case SPAN_MAP:
        sx_json_writer_init(&w, out, NULL);
        write_json(v, &w);
        break;
    }
}

static bool maps_eq(const span_value *a, const span_value *b)
{
    for (uint32_t i = 0; i < a->len; i++) {
        span_attrs members = {.items = b->members, .count = b->len};
        const span_value *other = span_attrs_find(members, span_attr_key(&a->members[i]));
        if (!other || !span_value_eq(&a->members[i].value, other))
            return false;
    }
    return true;
}

bool span_value_eq(const span_value *a, const span_value *b)
{
    if (a->type != b->type)
        return false;
    switch ((span_type)a->type) {
    case SPAN_EMPTY:
        return true;
    case SPAN_BOOL:
    case SPAN_INT:
        return a->i == b->i;
    case SPAN_DOUBLE:
        return a->d == b->d || (isnan(a->d) && isnan(b->d));
    case SPAN_STR:
    case SPAN_BYTES:
        return sx_str_eq(sx_str_of(a->data, a->len), sx_str_of(b->data, b->len));
    case SPAN_LIST:
        for (uint32_t i = 0; i < a->len && a->len == b->len; i++)
            if (!span_value_eq(&a->items[i], &b->items[i]))
                return false;
        return a->len == b->len;
    case SPAN_MAP:
        return a->len == b->len && maps_eq(a, b);
    }
    return false;
}

bool span_attrs_eq(span_attrs a, span_attrs b)
{
    if (a.count != b.count)
        return false;
    for (uint32_t i = 0; i < a.count && a.items != b.items; i++)
        if (!sx_str_eq(span_attr_key(&a.items[i]), span_attr_key(&b.items[i])) ||
            !span_value_eq(&a.items[i].value, &b.items[i].value))
            return false;
    return true;
}

bool span_value_copy(sx_arena *arena, const span_value *v, span_value *out)
{
    *out = *v;
    if (v->len == 0)
        return true;
    if (v->type == SPAN_STR || v->type == SPAN_BYTES) {
        out->data = sx_arena_copy(arena, sx_str_of(v->data, v->len)).data;
        return out->data != NULL;
    }
    if (v->type == SPAN_LIST) {
        span_value *items = sx_arena_calloc(arena, v->len, sizeof(*items));
        for (uint32_t i = 0; items && i < v->len; i++)
            if (!span_value_copy(arena, &v->items[i], &items[i]))
                return false;
        out->items = items;
        return items != NULL;
    }
    if (v->type == SPAN_MAP) {
        span_attr *members = sx_arena_calloc(arena, v->len, sizeof(*members));
        for (uint32_t i = 0; members && i < v->len; i++) {
            sx_str key = sx_arena_copy(arena, span_attr_key(&v->members[i]));
            members[i].key = key.data;
            members[i].key_len = (uint32_t)key.len;
            if (!key.data || !span_value_copy(arena, &v->members[i].value, &members[i].value))
                return false;
        }
        out->members = members;
        return members != NULL;
    }
    return true;
}
