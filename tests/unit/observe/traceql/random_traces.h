/* random_traces.h - traces and queries of chance for the tests of TraceQL: the same for the same seed.
 * Few names and values, so that many spans match; parents that are missing, and circles of them. */
#ifndef TESTS_TRACEQL_RANDOM_TRACES_H
#define TESTS_TRACEQL_RANDOM_TRACES_H

#include <stdio.h>
#include <string.h>

#include "observe/spans/span.h"

#define TRACES_BEGIN_NS UINT64_C(1700000000000000000)

static uint64_t random_state = 1;

static inline uint64_t random_next(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint32_t random_below(uint32_t n)
{
    return (uint32_t)(random_next() % n);
}

static inline const char *random_of(const char *const *words, uint32_t count)
{
    return words[random_below(count)];
}

static inline span_attr random_attr(void)
{
    static const char *const KEYS[] = {"a", "b", "c"};
    static const char *const TEXTS[] = {"x", "y", "zz"};
    span_attr out = {.key = random_of(KEYS, 3), .key_len = 1};
    switch (random_below(5)) {
    case 0:
        out.value = (span_value){.data = random_of(TEXTS, 3), .type = SPAN_STR};
        out.value.len = (uint32_t)strlen(out.value.data);
        break;
    case 1:
        out.value = (span_value){.i = random_below(2), .type = SPAN_BOOL};
        break;
    case 2:
        out.value = (span_value){.d = random_below(5) / 2.0, .type = SPAN_DOUBLE};
        break;
    default:
        out.value = (span_value){.i = (int64_t)random_below(5) - 1, .type = SPAN_INT};
    }
    return out;
}

static inline span_attrs random_attrs(sx_arena *arena, uint32_t max)
{
    uint32_t count = random_below(max + 1);
    span_attr *items = sx_arena_calloc(arena, count + 1, sizeof *items);
    for (uint32_t i = 0; i < count; i++)
        items[i] = random_attr();
    return (span_attrs){.items = items, .count = count};
}

static inline const span_resource *random_resource(sx_arena *arena)
{
    static const char *const SERVICES[] = {"oven", "shop", "till"};
    span_resource *r = sx_arena_calloc(arena, 1, sizeof *r);
    span_attr *items = sx_arena_calloc(arena, 2, sizeof *items);
    const char *name = random_of(SERVICES, 3);
    items[0] = (span_attr){
        "service.name", 12, {.data = name, .len = (uint32_t)strlen(name), .type = SPAN_STR}};
    items[1] = random_attr();
    r->attrs = (span_attrs){.items = items, .count = 2};
    r->service = sx_str_z(name);
    return r;
}

/* One more span of trace `t` in the batch: the i-th of `count`. */
static inline void random_span(span_batch *b, uint32_t t, uint32_t i)
{
    static const char *const NAMES[] = {"bake", "sell", "mix"};
    span *s = span_batch_add(b);
    span_scope *scope = sx_arena_calloc(&b->arena, 1, sizeof *scope);
    scope->name = sx_str_z("lib");
    s->trace_id[14] = (uint8_t)(t >> 8);
    s->trace_id[15] = (uint8_t)t;
    s->trace_id[0] = 1;
    s->id[7] = (uint8_t)(i + 1);
    if (i && random_below(12)) /* most have a parent; some of them one that never came */
        s->parent[7] = (uint8_t)(1 + random_below(random_below(10) ? i : i + 3));
    s->name = sx_str_z(random_of(NAMES, 3));
    s->kind = (uint8_t)random_below(6);
    s->status = (uint8_t)random_below(3);
    s->start_ns = TRACES_BEGIN_NS + t * UINT64_C(1000000000) + random_below(900) * 1000000u;
    s->end_ns = s->start_ns + random_below(4) * UINT64_C(500000000);
    s->attrs = random_attrs(&b->arena, 3);
    s->resource = random_resource(&b->arena);
    s->scope = scope;
    if (!random_below(3)) {
        span_event *e = sx_arena_calloc(&b->arena, 2, sizeof *e);
        for (uint32_t k = 0; k < 2; k++)
            e[k] = (span_event){s->start_ns + random_below(1000), sx_str_z(random_of(NAMES, 3)),
                                random_attrs(&b->arena, 1)};
        s->events = e;
        s->event_count = 1 + random_below(2);
    }
}

static inline void random_test(char *out, size_t size)
{
    static const char *const TESTS[] = {".a = 1",
                                        ".a != 2",
                                        ".b > 1.5",
                                        "span.c = \"x\"",
                                        ".a",
                                        "!.b",
                                        ".c != nil",
                                        "span.a = nil",
                                        "name = \"bake\"",
                                        "name =~ \"s.*\"",
                                        "status = error",
                                        "kind != server",
                                        "duration > 600ms",
                                        "event:name = \"mix\"",
                                        "event.a = 1",
                                        "resource.b >= 1",
                                        ".c !~ \"x|y\"",
                                        ".a + 1 > .b",
                                        "span:childCount > 0",
                                        "rootName = \"sell\"",
                                        "parent.a = 1",
                                        "traceDuration > 1s",
                                        "rootServiceName = \"oven\"",
                                        "2 <= .a",
                                        "nestedSetParent < 0",
                                        "resource.service.name = \"shop\"",
                                        ".c < \"y\"",
                                        "event:timeSinceStart > 500ns"};
    snprintf(out, size, "%s", random_of(TESTS, sizeof TESTS / sizeof TESTS[0]));
}

static inline void random_filter(char *out, size_t size)
{
    char a[64], b[64], c[64];
    random_test(a, sizeof a);
    random_test(b, sizeof b);
    random_test(c, sizeof c);
    switch (random_below(5)) {
    case 0:
        snprintf(out, size, "{ %s }", a);
        break;
    case 1:
        snprintf(out, size, "{ %s && %s }", a, b);
        break;
    case 2:
        snprintf(out, size, "{ %s || %s }", a, b);
        break;
    case 3:
        snprintf(out, size, "{ !(%s && %s) || %s }", a, b, c);
        break;
    default:
        snprintf(out, size, "{ (%s || %s) && %s }", a, b, c);
    }
}

/* A query for traces. */
static inline void random_query(char *out, size_t size)
{
    static const char *const OPS[] = {"&&",  "||",  ">",  "<",  ">>", "<<",  "~",   "!>", "!<",
                                      "!>>", "!<<", "!~", "&>", "&<", "&>>", "&<<", "&~"};
    static const char *const TAILS[] = {"",
                                        " | count() > 1",
                                        " | by(name) | count() = 1",
                                        " | avg(duration) > 400ms",
                                        " | by(.a) | max(.b) > 0",
                                        " | select(.c)",
                                        " | by(name) | count() > 1 | coalesce()"};
    char a[300], b[300], c[300];
    random_filter(a, sizeof a);
    random_filter(b, sizeof b);
    random_filter(c, sizeof c);
    const char *tail = random_of(TAILS, 7);
    switch (random_below(4)) {
    case 0:
        snprintf(out, size, "%s%s", a, tail);
        break;
    case 1:
        snprintf(out, size, "%s %s %s%s", a, random_of(OPS, 17), b, tail);
        break;
    case 2:
        snprintf(out, size, "(%s %s %s) %s %s%s", a, random_of(OPS, 17), b, random_of(OPS, 17), c,
                 tail);
        break;
    default:
        snprintf(out, size, "%s | %s%s", a, b, tail);
    }
}

#endif
