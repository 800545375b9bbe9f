/* proto_summary.c - what a trace comes to, without its spans: jaeger.api_v3.TraceSummary.
 *
 * The root is the earliest span without a parent; an orphan has one that is not in the trace.
 * Times run from the earliest start to the latest end. Services are sorted by name. */
#include <stdlib.h>

#include <sextant/map.h>
#include <sextant/protobuf.h>

#include "observe/jaeger/proto.h"

typedef struct service_count {
    sx_str name;
    uint64_t spans, errors;
} service_count;

typedef struct summary {
    sx_map services; /* to service_count */
    sx_map64 ids;
    uint64_t min_ns, max_ns, errors, orphans;
    const span *root;
} summary;

static uint64_t id_number(const uint8_t id[8])
{
    uint64_t n;
    memcpy(&n, id, sizeof(n));
    return n;
}

static bool count_span(summary *s, const span *of, sx_arena *arena)
{
    sx_map_entry *entry = sx_map_find(&s->services, of->resource->service);
    if (!entry) {
        service_count *made = sx_arena_calloc(arena, 1, sizeof(*made));
        entry = made ? sx_map_put(&s->services, of->resource->service, NULL) : NULL;
        if (!entry)
            return false;
        made->name = of->resource->service;
        entry->ptr = made;
    }
    service_count *service = entry->ptr;
    bool error = of->status == SPAN_ERROR;
    service->spans++;
    service->errors += error;
    s->errors += error;
    if (of->start_ns < s->min_ns)
        s->min_ns = of->start_ns;
    if (of->end_ns > s->max_ns)
        s->max_ns = of->end_ns;
    uint64_t parent = id_number(of->parent);
    if (parent && !sx_map64_find(&s->ids, parent))
        s->orphans++;
    if (!parent && (!s->root || of->start_ns < s->root->start_ns))
        s->root = of;
    return true;
}

static bool count_trace(summary *s, const span_batch *trace, sx_arena *arena)
{
    for (size_t i = 0; i < trace->count; i++)
        if (!sx_map64_put(&s->ids, id_number(trace->spans[i]->id), NULL))
            return false;
    for (size_t i = 0; i < trace->count; i++)
        if (!count_span(s, trace->spans[i], arena))
            return false;
    return true;
}

static int order_services(const void *x, const void *y)
{
    const service_count *const *a = x, *const *b = y;
    return sx_str_cmp((*a)->name, (*b)->name);
}

static void put_text(sx_buf *out, uint32_t field, sx_str s)
{
    if (s.len)
        sx_pb_put_str(out, field, s);
}

static void put_count(sx_buf *out, uint32_t field, uint64_t n)
{
    if (n)
        sx_pb_put_u64(out, field, n > INT32_MAX ? INT32_MAX : n);
}

static bool put_services(sx_buf *out, const summary *s, sx_arena *arena)
{
    size_t count = 0, at = 0;
    service_count **items = sx_arena_calloc(arena, s->services.table.count + 1, sizeof(*items));
    sx_map_entry *entry;
    if (!items)
        return false;
    while ((entry = sx_map_next(&s->services, &at)))
        items[count++] = entry->ptr;
    qsort(items, count, sizeof(*items), order_services);
    for (size_t i = 0; i < count; i++) {
        size_t mark = sx_pb_begin(out, 9);
        put_text(out, 1, items[i]->name);
        put_count(out, 2, items[i]->spans);
        put_count(out, 3, items[i]->errors);
        sx_pb_end(out, mark);
    }
    return true;
}

static void put_id(sx_buf *out, jaeger_dialect dialect, const uint8_t id[16])
{
    static const char DIGITS[] = "0123456789abcdef";
    char hex[32];
    for (size_t i = 0; i < 16; i++) {
        hex[2 * i] = DIGITS[id[i] >> 4];
        hex[2 * i + 1] = DIGITS[id[i] & 15];
    }
    sx_pb_put_str(out, 1,
                  dialect == JAEGER_STORAGE ? sx_str_of(id, 16) : sx_str_of(hex, sizeof(hex)));
}

static bool put_summary(sx_buf *out, uint32_t field, jaeger_dialect dialect,
                        const span_batch *trace, const summary *s, sx_arena *arena)
{
    size_t mark = sx_pb_begin(out, field);
    put_id(out, dialect, trace->spans[0]->trace_id);
    if (s->root) {
        put_text(out, 2, s->root->resource->service);
        put_text(out, 3, s->root->name);
    }
    sx_pb_put_fixed64(out, 4, s->min_ns);
    sx_pb_put_fixed64(out, 5, s->max_ns);
    put_count(out, 6, trace->count);
    put_count(out, 7, s->errors);
    put_count(out, 8, s->orphans);
    bool good = put_services(out, s, arena);
    sx_pb_end(out, mark);
    return good;
}

sx_status jaeger_put_summary(sx_buf *out, uint32_t field, jaeger_dialect dialect,
                             const span_batch *trace, sx_arena *arena, sx_error *err)
{
    summary s = {.min_ns = UINT64_MAX};
    if (trace->count == 0)
        return SX_OK;
    sx_map_init(&s.services, NULL);
    sx_map64_init(&s.ids, NULL);
    bool good = count_trace(&s, trace, arena) &&
                put_summary(out, field, dialect, trace, &s, arena) && !out->failed;
    sx_map64_done(&s.ids);
    sx_map_done(&s.services);
    return good ? SX_OK : sx_fail_memory(err, "a trace's summary");
}
