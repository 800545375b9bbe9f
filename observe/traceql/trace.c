/* trace.c - a trace made ready for questions: its tree, and the values of fields. */
#include <sextant/hash.h>

#include "observe/traceql/eval.h"

enum { LOOK_SPANS = 1024 };

static uint64_t key_of(const uint8_t id[8])
{
    uint64_t key;
    memcpy(&key, id, 8);
    return key;
}

/* Spans by an id of theirs, the span's own or its parent's: open addressing, a span's index + 1 a slot.
 * Ids come from outside, so the seed is secret. */
typedef struct id_table {
    const tq_trace *t;
    bool parents; /* by the parent's id */
    uint64_t seed;
    uint32_t *slots, mask;
} id_table;

static bool table_init(id_table *x, sx_arena *arena, uint32_t count)
{
    uint32_t slots = 8;
    while (slots < count * 2)
        slots *= 2;
    x->slots = sx_arena_calloc(arena, slots, sizeof *x->slots);
    x->mask = slots - 1;
    x->seed = sx_hash_seed();
    return x->slots != NULL;
}

/* The slot of the first span that came with this id, or the free one where it belongs. */
static uint32_t *table_slot(const id_table *x, uint64_t key)
{
    uint32_t at = (uint32_t)sx_hash_u64(key, x->seed) & x->mask;
    for (; x->slots[at]; at = (at + 1) & x->mask) {
        const span *s = x->t->spans[x->slots[at] - 1];
        if (key_of(x->parents ? s->parent : s->id) == key)
            break;
    }
    return &x->slots[at];
}

static sx_status look(const tq_watch *watch, uint32_t i, sx_error *err)
{
    return watch && i % LOOK_SPANS == 0 ? watch->look(watch->ctx, err) : SX_OK;
}

/* Parents, the root, and how many spans name a parent that is not there (or none). */
static sx_status link_spans(tq_trace *t, sx_arena *arena, const tq_watch *watch, uint32_t *lost,
                            sx_error *err)
{
    id_table ids = {.t = t};
    sx_status status = table_init(&ids, arena, t->count) ? SX_OK : sx_fail_memory(err, "a trace");
    for (uint32_t i = 0; i < t->count && status == SX_OK; i++) {
        uint32_t *slot = table_slot(&ids, key_of(t->spans[i]->id));
        if (*slot == 0)
            *slot = i + 1;
        status = look(watch, i, err);
    }
    for (uint32_t i = 0; i < t->count && status == SX_OK; i++) {
        uint64_t parent = key_of(t->spans[i]->parent);
        uint32_t at = parent ? *table_slot(&ids, parent) - 1 : TQ_NONE; /* a free slot: TQ_NONE */
        t->parent[i] = at == i ? TQ_NONE : at;
        if (t->parent[i] != TQ_NONE)
            t->children[at]++;
        else
            ++*lost;
        if (!parent && !t->root)
            t->root = t->spans[i];
        status = look(watch, i, err);
    }
    return status;
}

/* Families: spans that name the same parent, be it there or not. `of` is room: a zeroed number a span. */
static sx_status group_families(tq_trace *t, sx_arena *arena, const tq_watch *watch, uint32_t lost,
                                uint32_t *of, sx_error *err)
{
    id_table heads = {.t = t, .parents = true};
    sx_status status = table_init(&heads, arena, lost) ? SX_OK : sx_fail_memory(err, "a trace");
    for (uint32_t i = 0; i < t->count && status == SX_OK; i++) {
        uint64_t parent = key_of(t->spans[i]->parent);
        bool is_own = parent && parent == key_of(t->spans[i]->id); /* it names itself */
        uint32_t *family = t->parent[i] != TQ_NONE ? &of[t->parent[i]] : is_own ? &of[i] : NULL;
        if (!family) {
            uint32_t *slot = table_slot(&heads, parent);
            if (*slot == 0)
                *slot = i + 1;
            else
                t->family[i] = t->family[*slot - 1];
            if (*slot == i + 1)
                t->family[i] = t->families++;
        } else {
            if (*family == 0)
                *family = ++t->families;
            t->family[i] = *family - 1;
        }
        status = look(watch, i, err);
    }
    return status;
}

/* Nested sets by walking each tree in depth without recursion; `next` and `first` are room. */
static void number_spans(tq_trace *t, uint32_t *first, uint32_t *next)
{
    int32_t number = 1;
    for (uint32_t i = 0; i < t->count; i++)
        first[i] = TQ_NONE;
    for (uint32_t i = t->count; i-- > 0;)
        if (t->parent[i] != TQ_NONE) {
            next[i] = first[t->parent[i]];
            first[t->parent[i]] = i;
        }
    for (uint32_t top = 0; top < t->count; top++) {
        if (t->parent[top] != TQ_NONE)
            continue;
        bool is_root = key_of(t->spans[top]->parent) == 0;
        t->above[top] = is_root ? -1 : 0;
        uint32_t at = top;
        t->left[at] = number++;
        t->order[t->ordered++] = at;
        for (;;) {
            if (first[at] != TQ_NONE) { /* down, and that child is done with */
                uint32_t child = first[at];
                first[at] = next[child];
                t->above[child] = t->left[at];
                at = child;
                t->left[at] = number++;
                t->order[t->ordered++] = at;
                continue;
            }
            t->right[at] = number++;
            if (at == top)
                break;
            at = t->parent[at];
        }
    }
}

sx_status tq_trace_prepare(sx_arena *arena, const span *const *spans, size_t count,
                           const tq_watch *watch, tq_trace *out, sx_error *err)
{
    if (count >= INT32_MAX / 2)
        return sx_fail(err, SX_ELIMIT, "a trace of %zu spans is too long to be looked at", count);
    *out = (tq_trace){.spans = spans, .count = (uint32_t)count};
    size_t n = count + 1;
    uint32_t lost = 0;
    out->parent = sx_arena_calloc(arena, n, sizeof(uint32_t));
    out->children = sx_arena_calloc(arena, n, sizeof(uint32_t));
    out->family = sx_arena_calloc(arena, n, sizeof(uint32_t));
    out->order = sx_arena_calloc(arena, n, sizeof(uint32_t));
    out->left = sx_arena_calloc(arena, n, sizeof(int32_t));
    out->right = sx_arena_calloc(arena, n, sizeof(int32_t));
    out->above = sx_arena_calloc(arena, n, sizeof(int32_t));
    uint32_t *room = sx_arena_calloc(arena, 2 * n, sizeof *room);
    if (!out->parent || !out->children || !out->family || !out->order || !out->left ||
        !out->right || !out->above || !room)
        return sx_fail_memory(err, "a trace");
    sx_status status = link_spans(out, arena, watch, &lost, err);
    if (status == SX_OK)
        status = group_families(out, arena, watch, lost, room, err);
    if (status != SX_OK)
        return status;
    number_spans(out, room, room + n);
    for (uint32_t i = 0; i < out->count; i++) {
        const span *s = spans[i];
        uint64_t end = s->end_ns > s->start_ns ? s->end_ns : s->start_ns;
        if (!i || s->start_ns < out->start_ns)
            out->start_ns = s->start_ns;
        if (end > out->end_ns)
            out->end_ns = end;
    }
    return SX_OK;
}

/* --- Values. */

static tq_value of_text(sx_str s)
{
    return (tq_value){.type = TQ_STR, .s = s};
}

static tq_value of(tq_type type, int64_t i)
{
    return (tq_value){.type = type, .i = i};
}

static tq_value of_id(const uint8_t *id, size_t len, char *hex)
{
    static const char DIGITS[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = DIGITS[id[i] >> 4];
        hex[2 * i + 1] = DIGITS[id[i] & 15];
    }
    return of_text(sx_str_of(hex, 2 * len));
}

static int64_t bounded(uint64_t ns)
{
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

static tq_value of_attribute(const span_value *v)
{
    switch ((span_type)v->type) {
    case SPAN_STR:
        return of_text(sx_str_of(v->data, v->len));
    case SPAN_BOOL:
        return of(TQ_BOOL, v->i != 0);
    case SPAN_INT:
        return of(TQ_INT, v->i);
    case SPAN_DOUBLE:
        return (tq_value){.type = TQ_FLOAT, .d = v->d};
    default:
        return of(TQ_ANY, 0);
    }
}

static bool each_attribute(span_attrs attrs, sx_str key, bool *there, tq_value_fn *fn, void *ctx)
{
    for (uint32_t i = 0; i < attrs.count; i++)
        if (sx_str_eq(span_attr_key(&attrs.items[i]), key)) {
            tq_value v = of_attribute(&attrs.items[i].value);
            *there = true;
            if (fn(ctx, &v))
                return true;
        }
    return false;
}

static bool attribute_values(const span *s, const tq_field *f, tq_value_fn *fn, void *ctx)
{
    bool there = false;
    switch (f->source) {
    case TQ_ATTR:
        if (each_attribute(s->attrs, f->key, &there, fn, ctx))
            return true;
        return !there && each_attribute(s->resource->attrs, f->key, &there, fn, ctx);
    case TQ_ATTR_SPAN:
        return each_attribute(s->attrs, f->key, &there, fn, ctx);
    case TQ_ATTR_RESOURCE:
        return each_attribute(s->resource->attrs, f->key, &there, fn, ctx);
    case TQ_ATTR_SCOPE:
        return each_attribute(s->scope->attrs, f->key, &there, fn, ctx);
    case TQ_ATTR_EVENT:
        for (uint32_t i = 0; i < s->event_count; i++)
            if (each_attribute(s->events[i].attrs, f->key, &there, fn, ctx))
                return true;
        return false;
    default:
        for (uint32_t i = 0; i < s->link_count; i++)
            if (each_attribute(s->links[i].attrs, f->key, &there, fn, ctx))
                return true;
        return false;
    }
}

/* Fields of events and links: one value each. */
static bool many_values(const span *s, tq_source source, char *hex, tq_value_fn *fn, void *ctx)
{
    bool events = source == TQ_EVENT_NAME || source == TQ_EVENT_SINCE_START;
    for (uint32_t i = 0; i < (events ? s->event_count : s->link_count); i++) {
        tq_value v;
        if (source == TQ_EVENT_NAME)
            v = of_text(s->events[i].name);
        else if (events)
            v = of(TQ_DURATION, (int64_t)(s->events[i].time_ns - s->start_ns));
        else if (source == TQ_LINK_TRACE_ID)
            v = of_id(s->links[i].trace_id, 16, hex);
        else
            v = of_id(s->links[i].span_id, 8, hex);
        if (fn(ctx, &v))
            return true;
    }
    return false;
}

/* Fields with one value that the span knows itself. */
static tq_value span_value_of(const span *s, tq_source source, char *hex)
{
    static const uint8_t ROOT[8];
    switch (source) {
    case TQ_SPAN_DURATION:
        return of(TQ_DURATION, s->end_ns > s->start_ns ? bounded(s->end_ns - s->start_ns) : 0);
    case TQ_SPAN_NAME:
        return of_text(s->name);
    case TQ_SPAN_STATUS:
        return of(TQ_STATUS, s->status);
    case TQ_SPAN_STATUS_MESSAGE:
        return of_text(s->status_message);
    case TQ_SPAN_KIND:
        return of(TQ_KIND, s->kind);
    case TQ_SPAN_ID:
        return of_id(s->id, 8, hex);
    case TQ_SPAN_PARENT_ID:
        return of_id(s->parent, memcmp(s->parent, ROOT, 8) ? 8 : 0, hex);
    case TQ_PARENT:
        return memcmp(s->parent, ROOT, 8) ? of_id(s->parent, 8, hex) : of(TQ_NIL, 0);
    case TQ_TRACE_ID:
        return of_id(s->trace_id, 16, hex);
    case TQ_SCOPE_NAME:
        return of_text(s->scope->name);
    case TQ_SCOPE_VERSION:
        return of_text(s->scope->version);
    default:
        return of(TQ_NIL, 0);
    }
}

static tq_value trace_value_of(const tq_trace *t, uint32_t i, tq_source source)
{
    if (!t->parent)
        return of(TQ_NIL, 0);
    switch (source) {
    case TQ_SPAN_CHILDREN:
        return of(TQ_INT, t->children[i]);
    case TQ_TRACE_DURATION:
        return of(TQ_DURATION, bounded(t->end_ns - t->start_ns));
    case TQ_TRACE_ROOT_NAME:
        return t->root ? of_text(t->root->name) : of(TQ_NIL, 0);
    case TQ_TRACE_ROOT_SERVICE:
        return t->root ? of_text(t->root->resource->service) : of(TQ_NIL, 0);
    case TQ_NESTED_LEFT:
        return of(TQ_INT, t->left[i]);
    case TQ_NESTED_RIGHT:
        return of(TQ_INT, t->right[i]);
    case TQ_NESTED_PARENT:
        return of(TQ_INT, t->above[i]);
    default:
        return of(TQ_NIL, 0);
    }
}

bool tq_values(const tq_trace *t, uint32_t i, const tq_field *f, char *hex, tq_value_fn *fn,
               void *ctx)
{
    if (f->of_parent) {
        i = t->parent ? t->parent[i] : TQ_NONE;
        if (i == TQ_NONE)
            return false;
    }
    const span *s = t->spans[i];
    tq_value v;
    switch (f->source) {
    case TQ_ATTR:
    case TQ_ATTR_SPAN:
    case TQ_ATTR_RESOURCE:
    case TQ_ATTR_EVENT:
    case TQ_ATTR_LINK:
    case TQ_ATTR_SCOPE:
        return attribute_values(s, f, fn, ctx);
    case TQ_EVENT_NAME:
    case TQ_EVENT_SINCE_START:
    case TQ_LINK_TRACE_ID:
    case TQ_LINK_SPAN_ID:
        return many_values(s, f->source, hex, fn, ctx);
    case TQ_SPAN_CHILDREN:
    case TQ_TRACE_DURATION:
    case TQ_TRACE_ROOT_NAME:
    case TQ_TRACE_ROOT_SERVICE:
    case TQ_NESTED_LEFT:
    case TQ_NESTED_RIGHT:
    case TQ_NESTED_PARENT:
        v = trace_value_of(t, i, f->source);
        break;
    default:
        v = span_value_of(s, f->source, hex);
    }
    return v.type != TQ_NIL && fn(ctx, &v);
}

static bool keep_value(void *ctx, const tq_value *v)
{
    *(tq_value *)ctx = *v;
    return true;
}

tq_value tq_first(const tq_trace *t, uint32_t i, const tq_field *f, char *hex)
{
    tq_value v = {.type = TQ_NIL};
    tq_values(t, i, f, hex, keep_value, &v);
    return v;
}
