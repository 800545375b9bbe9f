/* adjust.c - what Jaeger does to a trace before it shows it. See search.h; clock skew is skew.c's.
 * Source: behaviour of Jaeger 2.20's query service and of its write path (names, negative durations). */
#include "observe/jaeger/adjust.h"

#include <stdio.h>
#include <stdlib.h>

#include <sextant/hash.h>

enum { COMPARED_MAX = 64 }; /* spans of one id: a trace of nothing else is not worth n^2 */

/* --- Words in Go's manner. */

/* A time as Go prints it, in UTC. Days to a date: Howard Hinnant, "chrono-compatible low-level date
 * algorithms", civil_from_days. */
static void put_time(sx_buf *out, uint64_t ns)
{
    char fraction[16];
    uint64_t s = ns / 1000000000;
    unsigned rest = (unsigned)(ns % 1000000000);
    uint64_t days = s / 86400 + 719468, era = days / 146097, doe = days % 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    unsigned day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    unsigned month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    uint64_t year = yoe + era * 400 + (month <= 2);
    sx_buf_printf(out, "%04llu-%02u-%02u %02u:%02u:%02u", (unsigned long long)year, month, day,
                  (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    int n = snprintf(fraction, sizeof fraction, ".%09u", rest);
    while (rest && fraction[n - 1] == '0')
        n--;
    if (rest)
        sx_buf_bytes(out, fraction, (size_t)n);
    sx_buf_str(out, SX_STR(" +0000 UTC"));
}

/* --- Spans by their ids. */

static size_t slot_of(const adjust *a, const uint8_t id[8])
{
    uint64_t key;
    memcpy(&key, id, sizeof key);
    return (size_t)sx_hash_u64(key, sx_hash_seed()) & a->mask; /* it comes from outside */
}

void adjust_index(adjust *a)
{
    if (!a->slots) {
        size_t size = 16;
        while (size < a->count * 2)
            size *= 2;
        a->mask = size - 1;
        a->slots = sx_arena_alloc(a->arena, size * sizeof *a->slots);
        a->next = sx_arena_alloc(a->arena, (a->count + 1) * sizeof *a->next);
    }
    if (!a->slots || !a->next) {
        a->failed = true;
        return;
    }
    memset(a->slots, 0, (a->mask + 1) * sizeof *a->slots);
    for (size_t i = a->count; i-- > 0;) { /* from the back, so that the first comes first */
        size_t at = slot_of(a, a->spans[i].id);
        while (a->slots[at] && memcmp(a->spans[a->slots[at] - 1].id, a->spans[i].id, 8) != 0)
            at = (at + 1) & a->mask;
        a->next[i] = a->slots[at] ? a->slots[at] - 1 : ADJUST_NONE;
        a->slots[at] = (uint32_t)i + 1;
    }
}

uint32_t adjust_find(const adjust *a, const uint8_t id[8])
{
    for (size_t at = slot_of(a, id); a->slots[at]; at = (at + 1) & a->mask)
        if (memcmp(a->spans[a->slots[at] - 1].id, id, 8) == 0)
            return a->slots[at] - 1;
    return ADJUST_NONE;
}

void adjust_warn(adjust *a, size_t i, sx_str text)
{
    adjust_note *n = text.data ? sx_arena_alloc(a->arena, sizeof *n) : NULL;
    if (!n) {
        a->failed = true;
        return;
    }
    *n = (adjust_note){.next = a->notes[i], .text = text};
    a->notes[i] = n;
}

/* --- The steps. */

static void mend_durations(adjust *a)
{
    for (size_t i = 0; i < a->count && !a->failed; i++) {
        span *s = &a->spans[i];
        if (s->end_ns >= s->start_ns)
            continue;
        sx_buf text;
        sx_buf_init(&text, 0);
        sx_buf_str(&text, SX_STR("Negative duration detected, sanitizing end timestamp. Original "
                                 "end timestamp: "));
        put_time(&text, s->end_ns);
        s->end_ns = s->start_ns + (s->start_ns < UINT64_MAX);
        sx_buf_str(&text, SX_STR(", adjusted to: "));
        put_time(&text, s->end_ns);
        adjust_warn(a, i,
                    text.failed ? sx_str_of(NULL, 0) : sx_arena_copy(a->arena, sx_buf_view(&text)));
        sx_buf_done(&text);
    }
}

/* Is there a client's among the spans of an id? Only the first of them are looked at: an id that many
 * share is no pair of client and server. */
static bool has_client(const adjust *a, uint32_t first)
{
    unsigned left = COMPARED_MAX;
    for (uint32_t i = first; i != ADJUST_NONE && left--; i = a->next[i])
        if (a->spans[i].kind == SPAN_CLIENT)
            return true;
    return false;
}

static void next_id(uint8_t id[8])
{
    for (int i = 7; i >= 0 && ++id[i] == 0; i--)
        ;
}

typedef struct split {
    uint8_t (*ids)[8]; /* new ones, of the servers that get one */
    bool *is;          /* gets one */
    uint32_t *server;  /* by the first span that has the shared id: the server it leads to */
} split;

static bool split_begin(adjust *a, split *x)
{
    x->ids = sx_arena_alloc(a->arena, a->count * sizeof *x->ids);
    x->is = sx_arena_calloc(a->arena, a->count, sizeof *x->is);
    x->server = sx_arena_alloc(a->arena, a->count * sizeof *x->server);
    if (!x->ids || !x->is || !x->server) {
        a->failed = true;
        return false;
    }
    for (size_t i = 0; i < a->count; i++)
        x->server[i] = ADJUST_NONE;
    return true;
}

/* What was below the shared id is below the server from now on, and the server below the client.
 * Parents first, while ids still are what the index says. */
static void split_end(adjust *a, const split *x)
{
    for (uint32_t i = 0; i < a->count; i++) {
        uint32_t parent =
            adjust_no_id(a->spans[i].parent) ? ADJUST_NONE : adjust_find(a, a->spans[i].parent);
        uint32_t to = parent == ADJUST_NONE ? ADJUST_NONE : x->server[parent];
        if (!x->is[i] && to != ADJUST_NONE)
            memcpy(a->spans[i].parent, x->ids[to], 8);
    }
    for (uint32_t i = 0; i < a->count; i++)
        if (x->is[i]) {
            memcpy(a->spans[i].parent, a->spans[i].id, 8);
            memcpy(a->spans[i].id, x->ids[i], 8);
        }
    adjust_index(a);
}

/* Zipkin's spans that client and server share. */
static void split_shared(adjust *a)
{
    split x = {0};
    uint8_t id[8] = {0};
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->spans[i].kind != SPAN_SERVER)
            continue;
        uint32_t first = adjust_find(a, a->spans[i].id);
        if (a->next[first] == ADJUST_NONE || !has_client(a, first))
            continue;
        if (!x.ids && !split_begin(a, &x))
            return;
        do
            next_id(id);
        while (adjust_find(a, id) != ADJUST_NONE);
        memcpy(x.ids[i], id, 8);
        x.is[i] = true;
        x.server[first] = i;
    }
    if (x.ids)
        split_end(a, &x);
}

static int by_key(const void *a, const void *b)
{
    return sx_str_cmp(span_attr_key(a), span_attr_key(b));
}

static void sort_attrs(adjust *a, span_attrs *attrs)
{
    uint32_t i = 1;
    while (i < attrs->count && by_key(&attrs->items[i - 1], &attrs->items[i]) <= 0)
        i++;
    if (i >= attrs->count)
        return;
    span_attr *items = sx_arena_alloc(a->arena, attrs->count * sizeof *items);
    if (!items) {
        a->failed = true;
        return;
    }
    memcpy(items, attrs->items, attrs->count * sizeof *items);
    qsort(items, attrs->count, sizeof *items, by_key);
    attrs->items = items;
}

/* The span's events anew, if the attributes of one are not sorted. */
static void sort_events(adjust *a, span *s)
{
    for (uint32_t i = 0; i < s->event_count && !a->failed; i++) {
        span_attrs attrs = s->events[i].attrs;
        sort_attrs(a, &attrs);
        if (attrs.items == s->events[i].attrs.items)
            continue;
        span_event *events = sx_arena_alloc(a->arena, s->event_count * sizeof *events);
        if (!events) {
            a->failed = true;
            return;
        }
        memcpy(events, s->events, s->event_count * sizeof *events);
        for (uint32_t k = i; k < s->event_count; k++)
            sort_attrs(a, &events[k].attrs);
        s->events = events;
        return;
    }
}

/* Of two sendings of one span. */
static bool attrs_eq(span_attrs a, span_attrs b)
{
    return a.dropped == b.dropped && span_attrs_eq(a, b);
}

static bool parts_eq(const span *a, const span *b)
{
    if (a->event_count != b->event_count || a->link_count != b->link_count ||
        a->dropped_events != b->dropped_events || a->dropped_links != b->dropped_links)
        return false;
    for (uint32_t i = 0; i < a->event_count; i++)
        if (a->events[i].time_ns != b->events[i].time_ns ||
            !sx_str_eq(a->events[i].name, b->events[i].name) ||
            !attrs_eq(a->events[i].attrs, b->events[i].attrs))
            return false;
    for (uint32_t i = 0; i < a->link_count; i++) {
        const span_link *x = &a->links[i], *y = &b->links[i];
        if (memcmp(x->trace_id, y->trace_id, 16) != 0 || memcmp(x->span_id, y->span_id, 8) != 0 ||
            x->flags != y->flags || !sx_str_eq(x->trace_state, y->trace_state) ||
            !attrs_eq(x->attrs, y->attrs))
            return false;
    }
    return true;
}

static bool spans_eq(const span *a, const span *b)
{
    return a->resource && memcmp(a->parent, b->parent, 8) == 0 && a->start_ns == b->start_ns &&
           a->end_ns == b->end_ns && a->kind == b->kind && a->status == b->status &&
           a->flags == b->flags && sx_str_eq(a->name, b->name) &&
           sx_str_eq(a->trace_state, b->trace_state) &&
           sx_str_eq(a->status_message, b->status_message) && attrs_eq(a->attrs, b->attrs) &&
           parts_eq(a, b) && attrs_eq(a->scope->attrs, b->scope->attrs) &&
           sx_str_eq(a->scope->name, b->scope->name) &&
           sx_str_eq(a->scope->version, b->scope->version) &&
           attrs_eq(a->resource->attrs, b->resource->attrs);
}

/* An exporter that tries again sends spans twice. */
static void drop_repeats(adjust *a)
{
    size_t kept = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        bool repeat = false;
        unsigned compared = 0;
        for (uint32_t k = adjust_find(a, a->spans[i].id);
             k < i && !repeat && compared++ < COMPARED_MAX; k = a->next[k])
            repeat = spans_eq(&a->spans[k], &a->spans[i]);
        if (repeat)
            a->spans[i].resource = NULL; /* marked */
        else
            kept++;
    }
    if (kept == a->count)
        return;
    size_t to = 0;
    for (size_t i = 0; i < a->count; i++)
        if (a->spans[i].resource) {
            a->notes[to] = a->notes[i];
            a->spans[to++] = a->spans[i];
        }
    a->count = to;
    adjust_index(a);
}

static void write_addresses(adjust *a, span_attrs *attrs)
{
    span_attr *items = NULL; /* a copy, once one is needed */
    for (uint32_t i = 0; i < attrs->count; i++) {
        const span_attr *x = &attrs->items[i];
        sx_str key = span_attr_key(x);
        if (!sx_str_eq(key, SX_STR("ip")) && !sx_str_eq(key, SX_STR("peer.ipv4")))
            continue;
        if (x->value.type != SPAN_INT && x->value.type != SPAN_DOUBLE)
            continue;
        bool fits = x->value.type == SPAN_INT || (x->value.d >= 0 && x->value.d < 0x1p32);
        uint32_t ip = x->value.type == SPAN_INT ? (uint32_t)x->value.i
                      : fits                    ? (uint32_t)x->value.d
                                                : 0;
        if (!items) {
            items = sx_arena_alloc(a->arena, attrs->count * sizeof *items);
            if (items)
                memcpy(items, attrs->items, attrs->count * sizeof *items);
        }
        sx_str text = sx_arena_printf(a->arena, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255,
                                      ip >> 8 & 255, ip & 255);
        if (!items || !text.data) {
            a->failed = true;
            return;
        }
        items[i].value =
            (span_value){.data = text.data, .len = (uint32_t)text.len, .type = SPAN_STR};
        attrs->items = items;
    }
}

/* --- Resources: each is made anew once, however many spans have it. */

typedef struct swap {
    const span_resource *from;
    span_resource *to;
} swap;

typedef struct swaps {
    swap *items; /* open addressing */
    size_t mask;
} swaps;

static span_resource *swapped(adjust *a, swaps *w, const span_resource *from)
{
    size_t at = (size_t)sx_hash_u64((uint64_t)(uintptr_t)from, 1) & w->mask;
    while (w->items[at].from && w->items[at].from != from)
        at = (at + 1) & w->mask;
    if (w->items[at].from)
        return w->items[at].to;
    span_resource *to = sx_arena_alloc(a->arena, sizeof *to);
    if (!to) {
        a->failed = true;
        return NULL;
    }
    *to = *from;
    sort_attrs(a, &to->attrs);
    write_addresses(a, &to->attrs);
    w->items[at] = (swap){from, to};
    return to;
}

static void swap_resources(adjust *a)
{
    swaps w = {0};
    size_t different = 1, size = 16;
    for (size_t i = 1; i < a->count; i++)
        different += a->spans[i].resource != a->spans[i - 1].resource;
    while (size < different * 2)
        size *= 2;
    w.mask = size - 1;
    w.items = sx_arena_calloc(a->arena, size, sizeof *w.items);
    a->failed |= !w.items;
    const span_resource *last = NULL;
    span_resource *to = NULL;
    for (size_t i = 0; i < a->count && !a->failed; i++) {
        if (a->spans[i].resource != last) {
            last = a->spans[i].resource;
            to = swapped(a, &w, last);
        }
        a->spans[i].resource = to;
    }
}

static bool is_library(sx_str key)
{
    static const sx_str KEYS[] = {
        SX_STR_INIT("telemetry.sdk.language"),   SX_STR_INIT("telemetry.sdk.name"),
        SX_STR_INIT("telemetry.sdk.version"),    SX_STR_INIT("telemetry.distro.name"),
        SX_STR_INIT("telemetry.distro.version"),
    };
    if (!sx_str_starts(key, SX_STR("telemetry.")))
        return false;
    for (size_t i = 0; i < SX_COUNT_OF(KEYS); i++)
        if (sx_str_eq(key, KEYS[i]))
            return true;
    return false;
}

/* Puts an attribute of the span to its resource. False: there is another one already. */
static bool give_resource(adjust *a, span_resource *r, const span_attr *x)
{
    const span_value *there = span_attrs_find(r->attrs, span_attr_key(x));
    if (there)
        return span_value_eq(there, &x->value);
    span_attr *items = sx_arena_alloc(a->arena, (r->attrs.count + 1) * sizeof *items);
    if (!items) {
        a->failed = true;
        return true;
    }
    if (r->attrs.count)
        memcpy(items, r->attrs.items, r->attrs.count * sizeof *items);
    items[r->attrs.count] = *x;
    r->attrs.items = items;
    r->attrs.count++;
    sort_attrs(a, &r->attrs);
    return true;
}

static void move_library(adjust *a, size_t i)
{
    span *s = &a->spans[i];
    uint32_t k = 0;
    while (k < s->attrs.count && !is_library(span_attr_key(&s->attrs.items[k])))
        k++;
    if (k == s->attrs.count)
        return;
    span_attr *items = sx_arena_alloc(a->arena, s->attrs.count * sizeof *items);
    uint32_t count = 0;
    for (k = 0; items && k < s->attrs.count; k++) {
        const span_attr *x = &s->attrs.items[k];
        if (is_library(span_attr_key(x))) {
            if (give_resource(a, (span_resource *)s->resource, x))
                continue; /* the resource is swap_resources' copy */
            adjust_warn(a, i,
                        sx_arena_printf(a->arena,
                                        "conflicting values between Span and Resource for "
                                        "attribute %.*s",
                                        SX_ARG(span_attr_key(x))));
        }
        items[count++] = *x;
    }
    a->failed |= !items;
    if (items) {
        s->attrs.items = items;
        s->attrs.count = count;
    }
}

static bool is_empty_link(const span_link *l)
{
    static const uint8_t NONE[16];
    return memcmp(l->trace_id, NONE, 16) == 0;
}

static void drop_links(adjust *a, size_t i)
{
    span *s = &a->spans[i];
    uint32_t empty = 0, count = 0;
    for (uint32_t k = 0; k < s->link_count; k++)
        empty += is_empty_link(&s->links[k]);
    if (empty == 0)
        return;
    span_link *links = sx_arena_alloc(a->arena, (s->link_count - empty + 1) * sizeof *links);
    if (!links) {
        a->failed = true;
        return;
    }
    for (uint32_t k = 0; k < s->link_count; k++)
        if (!is_empty_link(&s->links[k]))
            links[count++] = s->links[k];
        else
            adjust_warn(a, i, SX_STR("Invalid span link removed"));
    s->links = links;
    s->link_count = count;
}

/* --- All of it. */

static bool begin(adjust *a)
{
    a->spans = sx_arena_alloc(a->arena, (a->count + 1) * sizeof *a->spans);
    a->notes = sx_arena_calloc(a->arena, a->count + 1, sizeof *a->notes);
    if (!a->spans || !a->notes)
        return false;
    for (size_t i = 0; i < a->count; i++)
        a->spans[i] = *a->trace->spans[i];
    return true;
}

static const jaeger_notes *gather_notes(adjust *a)
{
    jaeger_notes *notes = sx_arena_calloc(a->arena, a->count + 1, sizeof *notes);
    for (size_t i = 0; notes && i < a->count; i++) {
        for (const adjust_note *n = a->notes[i]; n; n = n->next)
            notes[i].count++;
        if (notes[i].count == 0)
            continue;
        sx_str *items = sx_arena_alloc(a->arena, notes[i].count * sizeof *items);
        if (!items)
            return NULL;
        uint32_t at = notes[i].count;
        for (const adjust_note *n = a->notes[i]; n; n = n->next)
            items[--at] = n->text;
        notes[i].items = items;
    }
    return notes;
}

sx_status jaeger_adjust(span_batch *trace, uint64_t max_ns, const jaeger_notes **notes,
                        sx_error *err)
{
    adjust a = {.trace = trace, .arena = &trace->arena, .count = trace->count};
    *notes = NULL;
    if (trace->count >= ADJUST_NONE / 4)
        return sx_fail(err, SX_ELIMIT, "a trace of %zu spans is too large to be adjusted",
                       trace->count);
    if (!begin(&a))
        return sx_fail_memory(err, "adjusting a trace");
    adjust_index(&a);
    if (!a.failed)
        mend_durations(&a);
    if (!a.failed)
        split_shared(&a);
    for (size_t i = 0; i < a.count && !a.failed; i++) {
        sort_attrs(&a, &a.spans[i].attrs);
        sort_events(&a, &a.spans[i]);
    }
    if (!a.failed)
        drop_repeats(&a);
    if (!a.failed)
        swap_resources(&a);
    if (!a.failed)
        adjust_skew(&a, max_ns);
    for (size_t i = 0; i < a.count && !a.failed; i++) {
        write_addresses(&a, &a.spans[i].attrs);
        move_library(&a, i);
        drop_links(&a, i);
    }
    *notes = a.failed ? NULL : gather_notes(&a);
    if (!*notes)
        return sx_fail_memory(err, "adjusting a trace");
    for (size_t i = 0; i < a.count; i++)
        trace->spans[i] = &a.spans[i];
    trace->count = a.count;
    return SX_OK;
}
