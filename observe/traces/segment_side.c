/* segment_side.c - what a segment knows besides its rows, gathered while they pass: operations, keys,
 * calls between services, spans whose parent is elsewhere.
 *
 * Names and operations are capped, so that a client that puts an id into each span's name cannot fill
 * the memory of a merge: what comes above the cap is not listed (it is found by searches all the same).
 * Edges and orphans are written out in parts whenever there are many; readers add the parts up. */
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/traces/segment_impl.h"

enum { NAMES_MAX = 1 << 16, OPERATIONS_MAX = 100000, PART_MAX = 1 << 16 };

typedef struct table { /* open addressing over some entries: their number + 1 */
    uint32_t *slots;
    size_t mask;
    uint32_t count;
} table;

typedef struct operation {
    uint32_t service, kind;
    sx_str name;
    uint64_t count, hash;
} operation;

typedef struct key_entry {
    sx_str key;
    uint64_t hash;
    uint8_t place, type;
} key_entry;

typedef struct edge {
    uint64_t minute, calls, errors, duration_ns, hash;
    uint32_t parent, child, kind;
} edge;

typedef struct orphan {
    uint8_t trace_id[16], parent[8];
    uint64_t start_ns, duration_ns;
    uint32_t service;
    bool error;
} orphan;

struct tr_side {
    sx_arena arena;
    sx_str *names;
    uint64_t *name_hashes;
    size_t names_cap, name_hashes_cap;
    table name_table, operation_table, key_table, edge_table;
    operation *operations;
    key_entry *keys;
    edge *edges;
    orphan *orphans;
    size_t operations_cap, keys_cap, edges_cap, orphan_count, orphans_cap;
    tr_side_span *spans; /* of the trace under way */
    tr_side_span *parts; /* scratch: those of one part of it */
    size_t span_count, spans_cap, parts_cap;
    bool summing;
    uint32_t part;        /* of the rows that come */
    uint32_t *span_slots; /* by id, which comes from outside: hashed with a secret */
    uint64_t seed;
    size_t span_slots_cap;
};

tr_side *tr_side_new(void)
{
    tr_side *s = sx_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    sx_arena_init(&s->arena, 1 << 14, 0);
    s->seed = sx_hash_seed();
    if (tr_side_name(s, SX_STR("")) != 0) { /* number 0 is "" */
        tr_side_free(s);
        return NULL;
    }
    return s;
}

void tr_side_free(tr_side *s)
{
    if (!s)
        return;
    sx_arena_done(&s->arena);
    void *blocks[] = {s->names,
                      s->name_hashes,
                      s->name_table.slots,
                      s->operation_table.slots,
                      s->key_table.slots,
                      s->edge_table.slots,
                      s->operations,
                      s->keys,
                      s->edges,
                      s->orphans,
                      s->spans,
                      s->parts,
                      s->span_slots};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        sx_free(blocks[i]);
    sx_free(s);
}

/* Makes room for one more entry; `hash_at` is where the hash lies in an entry of `size` bytes. */
static bool table_room(table *t, const void *entries, size_t size, size_t hash_at)
{
    if (t->slots && 2 * (size_t)t->count < t->mask)
        return true;
    size_t count = t->mask ? 2 * (t->mask + 1) : 64;
    uint32_t *slots = sx_calloc(count, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < t->count; i++) {
        uint64_t hash;
        memcpy(&hash, (const char *)entries + i * size + hash_at, sizeof hash);
        size_t at = hash & (count - 1);
        while (slots[at])
            at = (at + 1) & (count - 1);
        slots[at] = i + 1;
    }
    sx_free(t->slots);
    t->slots = slots;
    t->mask = count - 1;
    return true;
}

uint32_t tr_side_name(tr_side *s, sx_str name)
{
    table *t = &s->name_table;
    uint64_t hash = tr_text_hash(name);
    if (!table_room(t, s->name_hashes, sizeof hash, 0))
        return UINT32_MAX;
    size_t at = hash & t->mask;
    for (; t->slots[at]; at = (at + 1) & t->mask) {
        uint32_t i = t->slots[at] - 1;
        if (s->name_hashes[i] == hash && sx_str_eq(s->names[i], name))
            return i;
    }
    if (t->count == NAMES_MAX)
        return 0;
    if (!sx_grow(&s->names, &s->names_cap, t->count + 1, sizeof *s->names) ||
        !sx_grow(&s->name_hashes, &s->name_hashes_cap, t->count + 1, sizeof hash))
        return UINT32_MAX;
    sx_str copy = sx_arena_copy(&s->arena, name);
    if (!copy.data)
        return UINT32_MAX;
    s->names[t->count] = copy;
    s->name_hashes[t->count] = hash;
    t->slots[at] = ++t->count;
    return t->count - 1;
}

bool tr_side_operation(tr_side *s, uint32_t service, sx_str name, unsigned kind, uint64_t count)
{
    table *t = &s->operation_table;
    uint64_t hash = tr_text_hash(name) + ((uint64_t)service << 8 | kind) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
    if (!table_room(t, s->operations, sizeof *s->operations, offsetof(operation, hash)))
        return false;
    size_t at = hash & t->mask;
    for (; t->slots[at]; at = (at + 1) & t->mask) {
        operation *o = &s->operations[t->slots[at] - 1];
        if (o->hash == hash && o->service == service && o->kind == kind &&
            sx_str_eq(o->name, name)) {
            o->count += count;
            return true;
        }
    }
    if (t->count == OPERATIONS_MAX)
        return true;
    if (!sx_grow(&s->operations, &s->operations_cap, t->count + 1, sizeof *s->operations))
        return false;
    sx_str copy = sx_arena_copy(&s->arena, name);
    if (!copy.data)
        return false;
    s->operations[t->count] = (operation){service, kind, copy, count, hash};
    t->slots[at] = ++t->count;
    return true;
}

bool tr_side_key(tr_side *s, unsigned place, sx_str key, unsigned type)
{
    table *t = &s->key_table;
    uint64_t hash = sx_hash_u64(place << 8 | type, tr_text_hash(key));
    if (!table_room(t, s->keys, sizeof *s->keys, offsetof(key_entry, hash)))
        return false;
    size_t at = hash & t->mask;
    for (; t->slots[at]; at = (at + 1) & t->mask) {
        const key_entry *k = &s->keys[t->slots[at] - 1];
        if (k->hash == hash && k->place == place && k->type == type && sx_str_eq(k->key, key))
            return true;
    }
    if (t->count == TR_KEYS_LISTED)
        return true;
    if (!sx_grow(&s->keys, &s->keys_cap, t->count + 1, sizeof *s->keys))
        return false;
    sx_str copy = sx_arena_copy(&s->arena, key);
    if (!copy.data)
        return false;
    s->keys[t->count] = (key_entry){copy, hash, (uint8_t)place, (uint8_t)type};
    t->slots[at] = ++t->count;
    return true;
}

/* --- Calls. */

bool tr_side_edge(tr_side *s, uint32_t parent, uint32_t child, const tr_edge *sum)
{
    table *t = &s->edge_table;
    uint64_t hash = sx_hash_u64((uint64_t)parent << 32 | child, sum->minute << 2 | sum->kind);
    if (!table_room(t, s->edges, sizeof *s->edges, offsetof(edge, hash)))
        return false;
    size_t at = hash & t->mask;
    for (; t->slots[at]; at = (at + 1) & t->mask) {
        const edge *e = &s->edges[t->slots[at] - 1];
        if (e->hash == hash && e->minute == sum->minute && e->parent == parent &&
            e->child == child && e->kind == sum->kind)
            break;
    }
    if (!t->slots[at]) {
        if (!sx_grow(&s->edges, &s->edges_cap, t->count + 1, sizeof *s->edges))
            return false;
        s->edges[t->count] = (edge){.minute = sum->minute,
                                    .hash = hash,
                                    .parent = parent,
                                    .child = child,
                                    .kind = sum->kind};
        t->slots[at] = ++t->count;
    }
    edge *e = &s->edges[t->slots[at] - 1];
    e->calls += sum->calls;
    e->errors += sum->errors;
    e->duration_ns += sum->duration_ns;
    return true;
}

/* One call; `by` is 1, or -1 to take it back: the sums wrap around and come out right. */
static bool add_edge(tr_side *s, uint32_t parent, uint32_t child, tr_edge_kind kind,
                     const tr_side_span *of, int by)
{
    uint64_t one = (uint64_t)(int64_t)by;
    return tr_side_edge(s, parent, child,
                        &(tr_edge){.kind = kind,
                                   .minute = of->start_ns / 60000000000u,
                                   .calls = one,
                                   .errors = of->error ? one : 0,
                                   .duration_ns = of->duration_ns * one});
}

bool tr_side_orphan(tr_side *s, const uint8_t trace_id[16], const tr_side_span *of)
{
    if (!sx_grow(&s->orphans, &s->orphans_cap, s->orphan_count + 1, sizeof *s->orphans))
        return false;
    orphan *o = &s->orphans[s->orphan_count++];
    *o = (orphan){.start_ns = of->start_ns,
                  .duration_ns = of->duration_ns,
                  .service = of->service,
                  .error = of->error};
    memcpy(o->trace_id, trace_id, sizeof o->trace_id);
    memcpy(o->parent, of->parent, sizeof o->parent);
    return true;
}

void tr_side_sum(tr_side *s, bool on)
{
    s->summing = on;
    s->part = 0;
}

void tr_side_part(tr_side *s, uint32_t part)
{
    s->part = part;
}

bool tr_side_counts(const tr_side *s)
{
    return !s->summing || s->part;
}

bool tr_side_lists(const tr_side *s)
{
    return !s->summing;
}

bool tr_side_put(tr_side *s, const tr_side_span *one)
{
    if (!sx_grow(&s->spans, &s->spans_cap, s->span_count + 1, sizeof *s->spans))
        return false;
    s->spans[s->span_count] = *one;
    s->spans[s->span_count++].part = s->part;
    return true;
}

static uint64_t id_of(const uint8_t id[8])
{
    uint64_t v;
    memcpy(&v, id, sizeof v);
    return v;
}

/* The slot of the first span of this id, or the free one where it belongs. */
static uint32_t *slot_of(tr_side *s, const tr_side_span *spans, uint64_t id, size_t mask)
{
    size_t at = sx_hash_u64(id, s->seed) & mask;
    while (s->span_slots[at] && id_of(spans[s->span_slots[at] - 1].id) != id)
        at = (at + 1) & mask;
    return &s->span_slots[at];
}

static bool index_spans(tr_side *s, tr_side_span *spans, size_t count, size_t *mask)
{
    size_t size = 4;
    while (size < 2 * count)
        size *= 2;
    if (!sx_grow(&s->span_slots, &s->span_slots_cap, size, sizeof *s->span_slots))
        return false;
    memset(s->span_slots, 0, size * sizeof *s->span_slots);
    *mask = size - 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t *slot = slot_of(s, spans, id_of(spans[i].id), *mask);
        spans[i].called = false;
        if (!*slot)
            *slot = (uint32_t)i + 1;
    }
    return true;
}

/* What a trace of these spans adds, `by` times. */
static bool count_calls(tr_side *s, const uint8_t trace_id[16], tr_side_span *spans, size_t count,
                        int by)
{
    size_t mask;
    if (!index_spans(s, spans, count, &mask))
        return false;
    for (size_t i = 0; i < count; i++) {
        const tr_side_span *c = &spans[i];
        uint64_t parent_id = id_of(c->parent);
        uint32_t parent = parent_id ? *slot_of(s, spans, parent_id, mask) : 0;
        tr_side_span *p = parent ? &spans[parent - 1] : NULL;
        if (by > 0 && parent_id && !p && !tr_side_orphan(s, trace_id, c))
            return false;
        if (!p || p == c)
            continue;
        p->called |= p->service != c->service;
        if (!add_edge(s, p->service, c->service, TR_EDGE_SERVICE, c, by))
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        const tr_side_span *c = &spans[i];
        if (c->peer && !c->called &&
            !add_edge(s, c->service, c->peer, (tr_edge_kind)c->peer_kind, c, by))
            return false;
    }
    return true;
}

/* Takes back what the parts of a trace that were apart have added where they came from. */
static bool take_back(tr_side *s, const uint8_t trace_id[16])
{
    bool fine = sx_grow(&s->parts, &s->parts_cap, s->span_count, sizeof *s->parts);
    uint32_t most = 0;
    for (size_t i = 0; i < s->span_count; i++)
        most = s->spans[i].part > most ? s->spans[i].part : most;
    for (uint32_t part = 1; fine && part <= most; part++) {
        size_t count = 0;
        for (size_t i = 0; i < s->span_count; i++)
            if (s->spans[i].part == part)
                s->parts[count++] = s->spans[i];
        fine = count == 0 || count_calls(s, trace_id, s->parts, count, -1);
    }
    return fine;
}

bool tr_side_end_trace(tr_side *s, const uint8_t trace_id[16])
{
    if (s->span_count == 0)
        return true;
    bool fine = (!s->summing || take_back(s, trace_id)) &&
                count_calls(s, trace_id, s->spans, s->span_count, 1);
    s->span_count = 0;
    return fine;
}

bool tr_side_is_full(const tr_side *s)
{
    return (!s->summing && s->edge_table.count >= PART_MAX) || s->orphan_count >= PART_MAX;
}

/* --- The sections. */

static void put_str(sx_buf *out, sx_str s)
{
    tr_put_varint(out, s.len);
    sx_buf_str(out, s);
}

static void put_names(const tr_side *s, sx_buf *out)
{
    tr_put_varint(out, s->name_table.count);
    for (uint32_t i = 0; i < s->name_table.count; i++)
        put_str(out, s->names[i]);
}

/* While sums are taken over, what is written could not be taken back. */
void tr_side_write_edges(tr_side *s, sx_buf *out)
{
    table *t = &s->edge_table;
    uint32_t count = 0;
    if (s->summing)
        return;
    for (uint32_t i = 0; i < t->count; i++) /* what was taken back wholly is no call */
        if ((int64_t)s->edges[i].calls > 0)
            s->edges[count++] = s->edges[i];
    if (count) {
        put_names(s, out);
        tr_put_varint(out, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        const edge *e = &s->edges[i];
        tr_put_varint(out, e->minute);
        tr_put_varint(out, e->parent);
        tr_put_varint(out, (uint64_t)e->child << 2 | e->kind);
        tr_put_varint(out, e->calls);
        tr_put_varint(out, e->errors);
        tr_put_varint(out, e->duration_ns);
    }
    if (t->slots)
        memset(t->slots, 0, (t->mask + 1) * sizeof *t->slots);
    t->count = 0;
}

void tr_side_write_orphans(tr_side *s, sx_buf *out)
{
    if (s->orphan_count == 0)
        return;
    put_names(s, out);
    tr_put_varint(out, s->orphan_count);
    for (size_t i = 0; i < s->orphan_count; i++) {
        const orphan *o = &s->orphans[i];
        sx_buf_bytes(out, o->trace_id, sizeof o->trace_id);
        sx_buf_bytes(out, o->parent, sizeof o->parent);
        tr_put_varint(out, (uint64_t)o->service << 1 | o->error);
        tr_put_varint(out, o->start_ns);
        tr_put_varint(out, o->duration_ns);
    }
    s->orphan_count = 0;
}

static int by_operation(const void *a, const void *b, void *ctx)
{
    const tr_side *s = ctx;
    const operation *x = a, *y = b;
    int order = sx_str_cmp(s->names[x->service], s->names[y->service]);
    if (order == 0)
        order = sx_str_cmp(x->name, y->name);
    return order ? order : (int)x->kind - (int)y->kind;
}

void tr_side_write_operations(tr_side *s, sx_buf *out)
{
    uint32_t count = s->operation_table.count;
    if (count)
        qsort_r(s->operations, count, sizeof *s->operations, by_operation, s);
    for (uint32_t i = 0; i < count; i++) {
        const operation *o = &s->operations[i];
        put_str(out, s->names[o->service]);
        put_str(out, o->name);
        tr_put_varint(out, o->kind);
        tr_put_varint(out, o->count);
    }
}

static int by_key(const void *a, const void *b)
{
    const key_entry *x = a, *y = b;
    int order = sx_str_cmp(x->key, y->key);
    if (order == 0)
        order = (int)x->place - (int)y->place;
    return order ? order : (int)x->type - (int)y->type;
}

void tr_side_write_keys(tr_side *s, sx_buf *out)
{
    uint32_t count = s->key_table.count;
    if (count)
        qsort(s->keys, count, sizeof *s->keys, by_key);
    for (uint32_t i = 0; i < count; i++) {
        const key_entry *k = &s->keys[i];
        sx_buf_byte(out, (char)k->place);
        sx_buf_byte(out, (char)k->type);
        put_str(out, k->key);
    }
}
