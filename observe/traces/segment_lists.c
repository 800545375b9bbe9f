/* segment_lists.c - what a segment tells without its rows: operations, keys, values, calls. */
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/spans/otlp.h"
#include "observe/traces/segment_impl.h"

enum { VALUES_MAX = 100000 }; /* of one key; more are not listed */

static sx_str take_str(tr_cursor *c)
{
    uint64_t len = tr_take_varint(c);
    const uint8_t *at = tr_take_bytes(c, len);
    return sx_str_of(at, at ? len : 0);
}

/* Gives each section of a kind to `each`, which returns false to stop. */
typedef bool section_fn(void *ctx, tr_cursor *c, sx_status *status);
static sx_status each_section(const tr_segment *s, tr_section_kind kind, section_fn *each,
                              void *ctx, sx_error *err)
{
    sx_status status = SX_OK;
    bool go_on = true;
    for (uint32_t i = 0; i < s->section_count && go_on && status == SX_OK; i++) {
        sx_str bytes;
        if (s->sections[i].kind != kind)
            continue;
        status = tr_segment_section(s, i, &bytes, err);
        if (status != SX_OK)
            break;
        tr_cursor c = tr_cursor_of(bytes.data, bytes.len);
        go_on = each(ctx, &c, &status);
        if (status == SX_ENOMEM)
            return sx_fail_memory(err, "names of a segment");
        if (c.fault)
            return tr_segment_damaged(s, err, "section", i);
    }
    return status;
}

typedef struct operations_ctx {
    tr_operation_fn *fn;
    void *ctx;
} operations_ctx;

static bool each_operation(void *ctx, tr_cursor *c, sx_status *status)
{
    const operations_ctx *o = ctx;
    (void)status;
    while (c->at < c->end) {
        sx_str service = take_str(c), name = take_str(c);
        uint64_t kind = tr_take_varint(c), count = tr_take_varint(c);
        if (kind > SPAN_CONSUMER)
            tr_set_fault(c, TR_DAMAGED);
        if (c->fault || !o->fn(o->ctx, service, name, (unsigned)kind, count))
            return false;
    }
    return true;
}

sx_status tr_segment_operations(const tr_segment *s, tr_operation_fn *fn, void *ctx, sx_error *err)
{
    operations_ctx o = {fn, ctx};
    return each_section(s, TR_SECTION_OPERATIONS, each_operation, &o, err);
}

typedef struct keys_ctx {
    tr_key_fn *fn;
    void *ctx;
} keys_ctx;

static bool each_key(void *ctx, tr_cursor *c, sx_status *status)
{
    const keys_ctx *k = ctx;
    (void)status;
    while (c->at < c->end) {
        const uint8_t *marks = tr_take_bytes(c, 2);
        sx_str key = take_str(c);
        if (marks && (marks[0] >= TR_PLACES || marks[1] > SPAN_MAP))
            tr_set_fault(c, TR_DAMAGED);
        if (c->fault || !k->fn(k->ctx, 1u << marks[0], key, marks[1]))
            return false;
    }
    return true;
}

sx_status tr_segment_keys(const tr_segment *s, tr_key_fn *fn, void *ctx, sx_error *err)
{
    keys_ctx k = {fn, ctx};
    return each_section(s, TR_SECTION_KEYS, each_key, &k, err);
}

/* --- Calls. */

static sx_str *take_names(tr_cursor *c, uint64_t *count, sx_status *status)
{
    *count = tr_take_varint(c);
    if (*count > (uint64_t)(c->end - c->at) || c->fault) {
        tr_set_fault(c, TR_DAMAGED);
        return NULL;
    }
    sx_str *names = sx_alloc((*count + 1) * sizeof *names);
    if (!names)
        *status = SX_ENOMEM;
    for (uint64_t i = 0; names && i < *count; i++)
        names[i] = take_str(c);
    return names;
}

typedef struct edges_ctx {
    uint64_t min_minute, max_minute;
    tr_edge_fn *fn;
    void *ctx;
} edges_ctx;

static bool each_edge(void *ctx, tr_cursor *c, sx_status *status)
{
    const edges_ctx *x = ctx;
    uint64_t count;
    sx_str *names = take_names(c, &count, status);
    bool go_on = names != NULL;
    for (uint64_t left = go_on ? tr_take_varint(c) : 0; left > 0 && go_on; left--) {
        uint64_t minute = tr_take_varint(c), parent = tr_take_varint(c), child = tr_take_varint(c);
        tr_edge e = {.kind = (tr_edge_kind)(child & 3), .minute = minute};
        e.calls = tr_take_varint(c);
        e.errors = tr_take_varint(c);
        e.duration_ns = tr_take_varint(c);
        child >>= 2;
        if (parent >= count || child >= count || e.kind > TR_EDGE_MESSAGING)
            tr_set_fault(c, TR_DAMAGED);
        if (c->fault)
            break;
        e.parent = names[parent], e.child = names[child];
        if (minute >= x->min_minute && minute <= x->max_minute)
            go_on = x->fn(x->ctx, &e);
    }
    sx_free(names);
    return go_on;
}

sx_status tr_segment_edges(const tr_segment *s, uint64_t min_minute, uint64_t max_minute,
                           tr_edge_fn *fn, void *ctx, sx_error *err)
{
    edges_ctx e = {min_minute, max_minute, fn, ctx};
    return each_section(s, TR_SECTION_EDGES, each_edge, &e, err);
}

typedef struct orphans_ctx {
    tr_orphan_fn *fn;
    void *ctx;
} orphans_ctx;

static bool each_orphan(void *ctx, tr_cursor *c, sx_status *status)
{
    const orphans_ctx *x = ctx;
    uint64_t count;
    sx_str *names = take_names(c, &count, status);
    bool go_on = names != NULL;
    for (uint64_t left = go_on ? tr_take_varint(c) : 0; left > 0 && go_on; left--) {
        tr_orphan o = {0};
        const uint8_t *ids = tr_take_bytes(c, 24);
        uint64_t service = tr_take_varint(c);
        o.start_ns = tr_take_varint(c);
        o.duration_ns = tr_take_varint(c);
        o.error = service & 1;
        if (service >> 1 >= count)
            tr_set_fault(c, TR_DAMAGED);
        if (c->fault)
            break;
        memcpy(o.trace_id, ids, 16);
        memcpy(o.parent, ids + 16, 8);
        o.service = names[service >> 1];
        go_on = x->fn(x->ctx, &o);
    }
    sx_free(names);
    return go_on;
}

sx_status tr_segment_orphans(const tr_segment *s, tr_orphan_fn *fn, void *ctx, sx_error *err)
{
    orphans_ctx o = {fn, ctx};
    return each_section(s, TR_SECTION_ORPHANS, each_orphan, &o, err);
}

/* --- Values of a key. */

typedef struct gathering {
    const tr_segment *s;
    unsigned places;
    sx_str key;
    uint64_t key_hash;
    sx_arena arena, kept; /* of a group; of the values */
    tr_unpacker unpacker;
    uint64_t *seen; /* a set of hashes; 0 is none */
    size_t seen_mask;
    span_value *values;
    size_t count, cap;
    sx_error *err;
} gathering;

static sx_status no_memory(const gathering *v)
{
    return sx_fail_memory(v->err, "values of a segment");
}

static bool widen(gathering *v)
{
    size_t cap = v->seen ? 2 * (v->seen_mask + 1) : 256;
    uint64_t *seen = sx_calloc(cap, sizeof *seen);
    if (!seen)
        return false;
    for (size_t i = 0; v->seen && i <= v->seen_mask; i++) {
        size_t at = v->seen[i] & (cap - 1);
        while (v->seen[i] && seen[at])
            at = (at + 1) & (cap - 1);
        if (v->seen[i])
            seen[at] = v->seen[i];
    }
    sx_free(v->seen);
    v->seen = seen;
    v->seen_mask = cap - 1;
    return true;
}

/* One more value, if it is new. Two of the same hash count as one: by chance, once in 2^30 lists. */
static sx_status gather(gathering *v, span_value value, sx_str text)
{
    uint64_t hash = tr_type_is_text(value.type) ? tr_text_hash(text) * 8 + value.type
                                                : sx_hash_u64((uint64_t)value.i, value.type + 1);
    if (v->count == VALUES_MAX)
        return SX_OK;
    if ((!v->seen || 2 * v->count >= v->seen_mask) && !widen(v))
        return no_memory(v);
    hash += hash == 0;
    size_t at = hash & v->seen_mask;
    while (v->seen[at] && v->seen[at] != hash)
        at = (at + 1) & v->seen_mask;
    if (v->seen[at])
        return SX_OK;
    v->seen[at] = hash;
    if (value.type == SPAN_LIST || value.type == SPAN_MAP) {
        span_value read;
        sx_status status = span_read_any(text, &v->arena, &read, v->err);
        if (status != SX_OK)
            return status == SX_ENOMEM
                       ? status
                       : tr_segment_damaged(v->s, v->err, "a list, value", v->count);
        if (!span_value_copy(&v->kept, &read, &value))
            return no_memory(v);
    } else if (tr_type_is_text(value.type)) {
        sx_str copy = sx_arena_copy(&v->kept, text);
        if (!copy.data)
            return no_memory(v);
        value.data = copy.data;
        value.len = (uint32_t)copy.len;
    }
    if (!sx_grow(&v->values, &v->cap, v->count + 1, sizeof *v->values))
        return no_memory(v);
    v->values[v->count++] = value;
    return SX_OK;
}

static sx_status gather_column(gathering *v, tr_group *g, uint32_t column)
{
    unsigned type = tr_column_type(g, column);
    size_t count = g->column_counts[column];
    sx_status status = SX_OK;
    if (tr_type_is_text(type)) {
        tr_text_column t;
        status = tr_group_texts(g, TR_CHUNKS + column, count, false, &t, v->err);
        for (uint32_t i = 0; status == SX_OK && i < t.global_count + t.local_count; i++)
            status = gather(v, (span_value){.type = type}, tr_column_text(v->s, &t, i));
        return status;
    }
    uint64_t *numbers;
    status = tr_group_ints(g, TR_CHUNKS + column, count, &numbers, v->err);
    for (size_t i = 0; status == SX_OK && i < count; i++)
        status = gather(v, (span_value){.i = (int64_t)numbers[i], .type = type}, (sx_str){0});
    return status;
}

static sx_status gather_group(gathering *v, uint64_t group)
{
    const uint8_t *filter;
    tr_group g;
    sx_status status = tr_segment_filter(v->s, group, &filter, v->err);
    bool has = false;
    for (unsigned t = SPAN_EMPTY; status == SX_OK && t <= SPAN_MAP; t++)
        has |= tr_filter_has(filter, v->s->groups[group].filter_len, tr_item_type(v->key_hash, t));
    if (status != SX_OK || !has)
        return status;
    sx_arena_reset(&v->arena);
    status = tr_group_open(&g, v->s, group, &v->arena, &v->unpacker, v->err);
    if (status == SX_OK)
        status = tr_group_columns(&g, v->err);
    for (uint32_t c = 0; status == SX_OK && c < g.head.column_count; c++) {
        unsigned place = tr_column_place(&g, c);
        if (!(v->places >> place & 1) ||
            !sx_str_eq(tr_column_text(v->s, &g.keys, g.keys.codes[c]), v->key))
            continue;
        status = tr_group_shapes_of(&g, place, v->err);
        if (status == SX_OK)
            status = gather_column(v, &g, c);
    }
    return status;
}

static int by_value(const void *a, const void *b)
{
    const span_value *x = a, *y = b;
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    switch ((span_type)x->type) {
    case SPAN_STR:
    case SPAN_BYTES:
        return sx_str_cmp(span_value_str(x), span_value_str(y));
    case SPAN_DOUBLE:
        return (x->d > y->d) - (x->d < y->d);
    case SPAN_INT:
    case SPAN_BOOL:
        return (x->i > y->i) - (x->i < y->i);
    default:
        return 0;
    }
}

sx_status tr_segment_values(const tr_segment *s, unsigned place, sx_str key, tr_value_fn *fn,
                            void *ctx, sx_error *err)
{
    gathering v = {.s = s, .places = place ? place : 31, .key = key, .err = err};
    sx_status status = SX_OK;
    v.key_hash = tr_text_hash(key);
    sx_arena_init(&v.arena, 1 << 18, 0);
    sx_arena_init(&v.kept, 0, 0);
    for (uint64_t g = s->info.groups; g-- > 0 && status == SX_OK && v.count < VALUES_MAX;)
        status = gather_group(&v, g);
    if (status == SX_OK && v.count)
        qsort(v.values, v.count, sizeof *v.values, by_value);
    for (size_t i = 0; status == SX_OK && i < v.count && fn(ctx, &v.values[i]); i++)
        ;
    sx_arena_done(&v.arena);
    sx_arena_done(&v.kept);
    tr_unpacker_done(&v.unpacker);
    sx_free(v.seen);
    sx_free(v.values);
    return status;
}
