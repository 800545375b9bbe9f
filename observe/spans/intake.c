/* intake.c - the memory and the rules of all readers of spans. */
#include "observe/spans/intake.h"

#include <stdio.h>

#include <sextant/mem.h>
#include <sextant/utf8.h>

enum {
    SPANS_MAX_DEFAULT = 1000000,
    LIST_MAX_DEFAULT = 16384,
    VALUE_BYTES_DEFAULT = 1 << 20,
    DEPTH_MAX_DEFAULT = 24,
    STACK_AT_FIRST = 64
};

static uint32_t or_default(uint32_t value, uint32_t usual)
{
    return value ? value : usual;
}

void span_intake_init(span_intake *in, const span_limits *limits, span_batch *out,
                      span_refused *refused)
{
    static const span_limits none = {0};
    const span_limits *given = limits ? limits : &none;
    *in = (span_intake){.batch = out, .refused = refused};
    in->limits = (span_limits){
        .spans_max = or_default(given->spans_max, SPANS_MAX_DEFAULT),
        .attributes_max = or_default(given->attributes_max, LIST_MAX_DEFAULT),
        .value_bytes_max = or_default(given->value_bytes_max, VALUE_BYTES_DEFAULT),
        .events_max = or_default(given->events_max, LIST_MAX_DEFAULT),
        .links_max = or_default(given->links_max, LIST_MAX_DEFAULT),
        .depth_max = or_default(given->depth_max, DEPTH_MAX_DEFAULT),
    };
    in->attrs.size = sizeof(span_attr);
    in->values.size = sizeof(span_value);
    in->events.size = sizeof(span_event);
    in->links.size = sizeof(span_link);
}

void span_intake_done(span_intake *in)
{
    sx_free(in->attrs.items);
    sx_free(in->values.items);
    sx_free(in->events.items);
    sx_free(in->links.items);
}

sx_status span_intake_status(const span_intake *in, const char *what, sx_error *err)
{
    const sx_arena *arena = &in->batch->arena;
    if (!in->no_memory)
        return SX_OK;
    if (arena->max_bytes && arena->used_bytes > arena->max_bytes / 2)
        return sx_fail(err, SX_ELIMIT,
                       "%s: its spans need more than the %zu MiB that a request may take: send "
                       "smaller batches",
                       what, arena->max_bytes >> 20);
    return sx_fail_memory(err, what);
}

/* --- Lists. */

void *span_gather_add(span_intake *in, span_gather *g)
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

const void *span_gather_take(span_intake *in, span_gather *g, size_t base, uint32_t *count)
{
    size_t n = g->count - base;
    g->count = base;
    *count = 0;
    if (n == 0)
        return NULL;
    void *items = sx_arena_alloc(&in->batch->arena, n * g->size);
    if (!items) {
        in->no_memory = true;
        return NULL;
    }
    memcpy(items, g->items + base * g->size, n * g->size);
    *count = (uint32_t)n;
    return items;
}

/* --- Text. */

static SX_COLD sx_str mend(span_intake *in, sx_str s)
{
    static const char REPLACEMENT[] = "\xef\xbf\xbd";
    char *text = sx_arena_alloc(&in->batch->arena, s.len * 3);
    char *to = text;
    if (!text) {
        in->no_memory = true;
        return sx_str_of(NULL, 0);
    }
    for (sx_str at = s; at.len;) {
        size_t good = sx_utf8_valid_len(at);
        memcpy(to, at.data, good);
        to += good;
        if (good < at.len) {
            memcpy(to, REPLACEMENT, 3);
            to += 3;
        }
        at = sx_str_from(at, good + 1);
    }
    in->changed = true;
    return sx_str_of(text, (size_t)(to - text));
}

sx_str span_intake_text(span_intake *in, sx_str s)
{
    /* HOT: nearly all of it is short ASCII. */
    uint64_t high = 0;
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        uint64_t word;
        memcpy(&word, s.data + i, 8);
        high |= word;
    }
    for (; i < s.len; i++)
        high |= (uint8_t)s.data[i];
    if (sx_unlikely(s.len > in->limits.value_bytes_max)) {
        in->changed = true;
        s = sx_utf8_first(s, in->limits.value_bytes_max);
    }
    if (sx_unlikely((high & 0x8080808080808080u) && !sx_utf8_valid(s)))
        return mend(in, s);
    return s;
}

sx_str span_intake_bytes(span_intake *in, sx_str s)
{
    in->changed |= s.len > in->limits.value_bytes_max;
    return sx_str_first(s, in->limits.value_bytes_max);
}

/* --- Refusals. */

void span_intake_refuse(span_intake *in, const span *s, const char *why)
{
    enum { NAME_SHOWN = 40 };
    sx_str name = sx_utf8_first(s->name, NAME_SHOWN);
    sx_str service = sx_utf8_first(s->resource->service, NAME_SHOWN);
    in->changed = true;
    in->batch->count--;
    if (in->refused && in->refused->spans++ == 0)
        snprintf(in->refused->why, sizeof(in->refused->why),
                 "span \"%.*s\" of service \"%.*s\": %s", SX_ARG(name), SX_ARG(service), why);
}

static bool zero(const uint8_t *id, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= id[i];
    return any == 0;
}

void span_intake_check(span_intake *in, const span *s)
{
    if (sx_unlikely(zero(s->trace_id, sizeof(s->trace_id))))
        span_intake_refuse(in, s, "the trace id is missing or all zero");
    else if (sx_unlikely(zero(s->id, sizeof(s->id))))
        span_intake_refuse(in, s, "the span id is missing or all zero");
    else if (sx_unlikely(in->batch->count > in->limits.spans_max))
        span_intake_refuse(in, s, "more spans in one request than are taken: send smaller batches");
}

const span_scope *span_intake_scope(span_intake *in, sx_str name, sx_str version)
{
    if (in->scope && sx_str_eq(in->scope->name, name) && sx_str_eq(in->scope->version, version))
        return in->scope;
    span_scope *scope = sx_arena_calloc(&in->batch->arena, 1, sizeof(*scope));
    if (!scope) {
        in->no_memory = true;
        return NULL;
    }
    scope->name = name;
    scope->version = version;
    in->scope = scope;
    return scope;
}

void span_intake_id(uint8_t *id, size_t len, sx_str bytes)
{
    memset(id, 0, len);
    if (bytes.len && bytes.len <= len)
        memcpy(id + len - bytes.len, bytes.data, bytes.len);
}
