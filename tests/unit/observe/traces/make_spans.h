/* make_spans.h - batches of spans out of a seed: twelve services that call each other, about eight
 * attributes a span, as the benchmarks want; or rich ones, with every type of value, events, links
 * and odd times, as the tests want. The same arguments give the same spans. */
#ifndef SEXTANT_TESTS_MAKE_SPANS_H
#define SEXTANT_TESTS_MAKE_SPANS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/spans/span.h"

typedef struct make_spans {
    uint64_t seed;     /* of all below; goes on from batch to batch */
    uint64_t trace;    /* number of the next trace */
    uint64_t start_ns; /* of the next trace; each begins step_ns after the one before */
    uint64_t step_ns;
    unsigned per_trace; /* spans in a trace */
    bool rich;
} make_spans;

static inline uint64_t make_random(make_spans *m)
{
    uint64_t z = (m->seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline sx_str make_text(span_batch *b, const char *format, unsigned long long n)
{
    char text[96];
    int len = snprintf(text, sizeof text, format, n);
    return sx_arena_copy(&b->arena, sx_str_of(text, (size_t)len));
}

static inline span_attr make_str(const char *key, sx_str value)
{
    return (span_attr){key,
                       (uint32_t)strlen(key),
                       {.data = value.data, .len = (uint32_t)value.len, .type = SPAN_STR}};
}

static inline span_attr make_int(const char *key, int64_t value)
{
    return (span_attr){key, (uint32_t)strlen(key), {.i = value, .type = SPAN_INT}};
}

static inline span_attrs make_attrs(span_batch *b, const span_attr *items, uint32_t count)
{
    span_attr *copy = sx_arena_alloc(&b->arena, (count + 1) * sizeof *copy);
    if (!copy)
        abort();
    memcpy(copy, items, count * sizeof *copy);
    return (span_attrs){.items = copy, .count = count};
}

enum { MAKE_SERVICES = 12 };
static const char *const MAKE_NAMES[MAKE_SERVICES] = {
    "frontend", "checkout", "cart",      "payment", "shipping", "email",
    "currency", "catalog",  "recommend", "ads",     "quote",    "accounting"};

static inline const span_resource *make_resource(span_batch *b, unsigned service)
{
    span_resource *r = sx_arena_calloc(&b->arena, 1, sizeof *r);
    if (!r)
        abort();
    r->service = sx_str_z(MAKE_NAMES[service]);
    span_attr attrs[] = {make_str("service.name", r->service),
                         make_str("service.version", SX_STR("1.4.2")),
                         make_str("host.name", make_text(b, "node-%llu", service % 5)),
                         make_str("telemetry.sdk.language", SX_STR("go"))};
    r->attrs = make_attrs(b, attrs, 4);
    r->schema_url = SX_STR("https://opentelemetry.io/schemas/1.26.0");
    return r;
}

static inline void make_rich(make_spans *m, span_batch *b, span *s)
{
    static const span_value LIST[] = {{.i = 1, .type = SPAN_INT},
                                      {.data = "two", .len = 3, .type = SPAN_STR}};
    static const span_resource NAMELESS; /* without a service */
    span_attr more[12];
    uint32_t n = s->attrs.count < 8 ? s->attrs.count : 8;
    memcpy(more, s->attrs.items, n * sizeof *more);
    uint64_t dice = make_random(m);
    if (dice % 3 == 0)
        more[n++] = (span_attr){"list", 4, {.items = LIST, .len = 2, .type = SPAN_LIST}};
    if (dice % 5 == 0)
        more[n++] = (span_attr){"ratio", 5, {.d = (double)(dice % 100) / 8, .type = SPAN_DOUBLE}};
    if (dice % 7 == 0)
        more[n++] = (span_attr){"cached", 6, {.i = dice & 64 ? 1 : 0, .type = SPAN_BOOL}};
    if (dice % 11 == 0)
        more[n++] = (span_attr){"blob", 4, {.data = "\0\xff\x01", .len = 3, .type = SPAN_BYTES}};
    s->attrs = make_attrs(b, more, n);
    s->attrs.dropped = dice % 13 == 0 ? 2 : 0;
    if (dice % 4 == 0) {
        span_event *e = sx_arena_calloc(&b->arena, 2, sizeof *e);
        span_attr attr = make_str("exception.type", SX_STR("IOError"));
        e[0] = (span_event){s->start_ns + 500, SX_STR("exception"), make_attrs(b, &attr, 1)};
        e[1] = (span_event){s->start_ns + 900, SX_STR("retry"), {0}};
        s->events = e;
        s->event_count = 1 + (dice >> 8) % 2;
        s->dropped_events = dice % 9 == 0;
    }
    if (dice % 6 == 0) {
        span_link *l = sx_arena_calloc(&b->arena, 1, sizeof *l);
        memcpy(l->trace_id, s->trace_id, 16);
        l->trace_id[0] ^= 0x55;
        memcpy(l->span_id, s->id, 8);
        l->trace_state = SX_STR("a=b");
        l->flags = 1;
        span_attr attr = make_int("link.order", (int64_t)(dice % 4));
        l->attrs = make_attrs(b, &attr, 1);
        s->links = l;
        s->link_count = 1;
    }
    if (dice % 17 == 0)
        s->end_ns = s->start_ns - 1000; /* ends before it begins */
    if (dice % 19 == 0)
        s->trace_state = SX_STR("vendor=x");
    if (dice % 23 == 0)
        s->resource = &NAMELESS;
}

/* One trace's spans at the end of the batch, the root first. */
static inline void make_trace(make_spans *m, span_batch *b, const span_resource *const *resources,
                              const span_scope *scope)
{
    static const char *const METHODS[] = {"GET", "POST", "PUT", "DELETE"};
    uint8_t ids[64][8];
    uint64_t a = m->trace * 0x9e3779b97f4a7c15u + 1, c = ~m->trace * 0xbf58476d1ce4e5b9u;
    unsigned count = m->per_trace < 64 ? m->per_trace : 64;
    for (unsigned i = 0; i < count; i++) {
        span *s = span_batch_add(b);
        if (!s)
            abort();
        uint64_t dice = make_random(m);
        unsigned service = i == 0 ? 0 : (unsigned)(dice % MAKE_SERVICES);
        memcpy(s->trace_id, &a, 8);
        memcpy(s->trace_id + 8, &c, 8);
        uint64_t id = make_random(m) | 1;
        memcpy(s->id, &id, 8);
        memcpy(ids[i], s->id, 8);
        if (i)
            memcpy(s->parent, ids[(dice >> 8) % i], 8);
        s->start_ns = m->start_ns + i * 1000000 + dice % 1000;
        s->end_ns = s->start_ns + 50000 + (dice >> 20) % 20000000;
        s->name = make_text(b, "/api/v1/op-%llu", service * 8 + (dice >> 32) % 8);
        s->kind = (uint8_t)(1 + dice % 5);
        s->status = (dice >> 40) % 50 == 0 ? SPAN_ERROR : SPAN_UNSET;
        if (s->status == SPAN_ERROR)
            s->status_message = SX_STR("upstream said no");
        s->resource = resources[service];
        s->scope = scope;
        span_attr attrs[] = {
            make_str("http.request.method", sx_str_z(METHODS[dice % 4])),
            make_int("http.response.status_code", s->status == SPAN_ERROR ? 500 : 200),
            make_str("url.path", s->name),
            make_str("server.address", make_text(b, "10.0.0.%llu", service)),
            make_str("user.id", make_text(b, "user-%llu", (dice >> 16) % 10000)),
            make_str("request.id", make_text(b, "%016llx", make_random(m) & 0xffffffffffffull)),
            make_int("net.bytes", (int64_t)((dice >> 24) % 5000)),
            make_str("thread.name", make_text(b, "worker-%llu", (dice >> 12) % 16)),
        };
        s->attrs = make_attrs(b, attrs, 8);
        if (m->rich)
            make_rich(m, b, s);
    }
    m->trace++;
    m->start_ns += m->step_ns;
}

/* A batch of whole traces, sorted by resource as a client sends it. */
static inline span_batch *make_batch(make_spans *m, unsigned traces)
{
    span_batch *b = span_batch_new(0);
    const span_resource *resources[MAKE_SERVICES];
    if (!b)
        abort();
    span_scope *scope = sx_arena_calloc(&b->arena, 1, sizeof *scope);
    if (!scope)
        abort();
    scope->name = SX_STR("go.opentelemetry.io/contrib/net/http");
    scope->version = SX_STR("0.53.0");
    for (unsigned i = 0; i < MAKE_SERVICES; i++)
        resources[i] = make_resource(b, i);
    for (unsigned i = 0; i < traces; i++)
        make_trace(m, b, resources, scope);
    /* Stable by resource: counted, as there are few. */
    const span **sorted = sx_arena_alloc(&b->arena, (b->count + 1) * sizeof *sorted);
    if (!sorted)
        abort();
    size_t n = 0;
    for (unsigned r = 0; r <= MAKE_SERVICES; r++)
        for (size_t i = 0; i < b->count; i++) {
            const span_resource *of = b->spans[i]->resource;
            unsigned k = 0;
            while (k < MAKE_SERVICES && resources[k] != of)
                k++;
            if (k == r)
                sorted[n++] = b->spans[i];
        }
    memcpy(b->spans, sorted, n * sizeof *sorted);
    return b;
}

static inline bool make_attrs_same(span_attrs a, span_attrs b)
{
    if (a.count != b.count || a.dropped != b.dropped)
        return false;
    for (uint32_t i = 0; i < a.count; i++)
        if (!sx_str_eq(span_attr_key(&a.items[i]), span_attr_key(&b.items[i])) ||
            !span_value_eq(&a.items[i].value, &b.items[i].value))
            return false;
    return true;
}

/* Every field of two spans. */
static inline bool make_same(const span *a, const span *b)
{
    if (memcmp(a->trace_id, b->trace_id, 16) != 0 || memcmp(a->id, b->id, 8) != 0 ||
        memcmp(a->parent, b->parent, 8) != 0 || a->start_ns != b->start_ns ||
        a->end_ns != b->end_ns || a->kind != b->kind || a->status != b->status ||
        a->flags != b->flags || a->event_count != b->event_count ||
        a->link_count != b->link_count || a->dropped_events != b->dropped_events ||
        a->dropped_links != b->dropped_links)
        return false;
    for (uint32_t i = 0; i < a->event_count; i++)
        if (a->events[i].time_ns != b->events[i].time_ns ||
            !sx_str_eq(a->events[i].name, b->events[i].name) ||
            !make_attrs_same(a->events[i].attrs, b->events[i].attrs))
            return false;
    for (uint32_t i = 0; i < a->link_count; i++)
        if (memcmp(a->links[i].trace_id, b->links[i].trace_id, 16) != 0 ||
            memcmp(a->links[i].span_id, b->links[i].span_id, 8) != 0 ||
            a->links[i].flags != b->links[i].flags ||
            !sx_str_eq(a->links[i].trace_state, b->links[i].trace_state) ||
            !make_attrs_same(a->links[i].attrs, b->links[i].attrs))
            return false;
    return sx_str_eq(a->name, b->name) && sx_str_eq(a->trace_state, b->trace_state) &&
           sx_str_eq(a->status_message, b->status_message) && make_attrs_same(a->attrs, b->attrs) &&
           sx_str_eq(a->resource->service, b->resource->service) &&
           sx_str_eq(a->resource->schema_url, b->resource->schema_url) &&
           make_attrs_same(a->resource->attrs, b->resource->attrs) &&
           sx_str_eq(a->scope->name, b->scope->name) &&
           sx_str_eq(a->scope->version, b->scope->version) &&
           make_attrs_same(a->scope->attrs, b->scope->attrs);
}

#endif
