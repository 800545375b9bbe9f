/* names.c - what is there to choose from: services, operations, keys, values.
 *
 * Each memtable and segment gives its own names; they are gathered in a list that is sorted and rid
 * of repeats whenever it has doubled, and cut to what was asked for. So memory is bounded by the
 * answer, and no map of all values ever seen is kept. */
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/traces/store_impl.h"

enum { GATHER_LEAST = 1024 };
/* Answers without a limit of their own; beyond it they are cut. */
static const size_t NAMES_MAX = 1000000;

typedef struct item {
    sx_str a, b; /* name; service and operation; */
    uint64_t kind;
    span_value value;
} item;

typedef struct gathering {
    sx_arena *arena;           /* the answer's: texts that stay */
    item *items;               /* heap */
    size_t count, cap, sorted; /* items[0..sorted) are in order, without repeats */
    size_t limit;
    bool cut;
    int (*order)(const void *a, const void *b);
    /* while a source gives */
    uint64_t min_ns, max_ns;
    sx_str service, key;
    bool any_service;
    int kind;
    unsigned place;
    filter_field field;
    tr_operation_fn *operation;
    sx_status status;
} gathering;

static int order_names(const void *x, const void *y)
{
    const item *a = x, *b = y;
    int c = sx_str_cmp(a->a, b->a);
    if (c == 0)
        c = sx_str_cmp(a->b, b->b);
    return c ? c : (a->kind > b->kind) - (a->kind < b->kind);
}

static int order_numbers(double a, double b)
{
    return a < b ? -1 : a > b ? 1 : 0;
}

/* By type, then by value; all that is text of some kind by its bytes. */
static int order_values(const void *x, const void *y)
{
    const span_value *a = &((const item *)x)->value, *b = &((const item *)y)->value;
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    switch ((span_type)a->type) {
    case SPAN_STR:
    case SPAN_BYTES:
        return sx_str_cmp(sx_str_of(a->data, a->len), sx_str_of(b->data, b->len));
    case SPAN_BOOL:
    case SPAN_INT:
        return (a->i > b->i) - (a->i < b->i);
    case SPAN_DOUBLE: {
        int c = order_numbers(a->d, b->d);
        return c ? c : memcmp(&a->i, &b->i, sizeof a->i);
    }
    default:
        return sx_str_cmp(((const item *)x)->a, ((const item *)y)->a); /* their text */
    }
}

static void tidy(gathering *g)
{
    if (g->count == 0)
        return;
    qsort(g->items, g->count, sizeof *g->items, g->order);
    size_t kept = 1;
    for (size_t i = 1; i < g->count; i++)
        if (g->order(&g->items[kept - 1], &g->items[i]) != 0)
            g->items[kept++] = g->items[i];
    if (kept > g->limit) {
        kept = g->limit;
        g->cut = true;
    }
    g->count = g->sorted = kept;
}

static bool gather(gathering *g, item it)
{
    if (g->sorted && bsearch(&it, g->items, g->sorted, sizeof it, g->order))
        return true;
    if (g->sorted == g->limit && g->limit && g->order(&it, &g->items[g->sorted - 1]) > 0) {
        g->cut = true;
        return true;
    }
    sx_str a = sx_arena_copy(g->arena, it.a), b = sx_arena_copy(g->arena, it.b);
    span_value v = it.value;
    if (!a.data || !b.data || !span_value_copy(g->arena, &it.value, &v) ||
        !sx_grow(&g->items, &g->cap, g->count + 1, sizeof *g->items)) {
        g->status = SX_ENOMEM;
        return false;
    }
    g->items[g->count++] = (item){a, b, it.kind, v};
    if (g->count >= 2 * g->sorted + GATHER_LEAST)
        tidy(g);
    return true;
}

static gathering gather_begin(sx_arena *arena, uint64_t min_ns, uint64_t max_ns, size_t limit,
                              int (*order)(const void *a, const void *b))
{
    return (gathering){.arena = arena,
                       .min_ns = min_ns,
                       .max_ns = max_ns,
                       .limit = limit && limit < NAMES_MAX ? limit : NAMES_MAX,
                       .order = order,
                       .status = SX_OK};
}

static bool overlaps(const gathering *g, uint64_t min_ns, uint64_t max_ns)
{
    return min_ns <= (g->max_ns ? g->max_ns : UINT64_MAX) && max_ns >= g->min_ns;
}

/* --- Segments' callbacks. */

static bool on_service(void *ctx, sx_str service, sx_str operation, unsigned kind, uint64_t count)
{
    (void)operation;
    (void)kind;
    (void)count;
    gathering *g = ctx;
    return service.len == 0 || gather(g, (item){.a = service});
}

static bool on_operation(void *ctx, sx_str service, sx_str operation, unsigned kind, uint64_t count)
{
    (void)count;
    gathering *g = ctx;
    if ((g->any_service || sx_str_eq(service, g->service)) &&
        (g->kind < 0 || (unsigned)g->kind == kind))
        return gather(g, (item){.a = service, .b = operation, .kind = kind});
    return true;
}

static bool on_key(void *ctx, unsigned place, sx_str key, unsigned type)
{
    (void)type;
    gathering *g = ctx;
    return !(place & g->place) || gather(g, (item){.a = key});
}

static bool on_value(void *ctx, const span_value *value)
{
    gathering *g = ctx;
    item it = {.value = *value};
    sx_buf text;
    sx_buf_init(&text, 0);
    if (value->type == SPAN_LIST || value->type == SPAN_MAP) {
        span_value_text(value, &text);
        it.a = sx_buf_view(&text);
    }
    bool more = gather(g, it);
    sx_buf_done(&text);
    return more;
}

/* A field's value out of the list of operations. */
static bool on_field(void *ctx, sx_str service, sx_str operation, unsigned kind, uint64_t count)
{
    (void)count;
    gathering *g = ctx;
    span_value v = {.type = SPAN_STR};
    if (g->field == FILTER_KIND) {
        v = (span_value){.i = kind, .type = SPAN_INT};
    } else {
        sx_str s = g->field == FILTER_SERVICE ? service : operation;
        v.data = s.data;
        v.len = (uint32_t)s.len;
    }
    return gather(g, (item){.value = v});
}

/* --- Memtables. */

/* Ids met already, so that a name is gathered once for many rows. */
typedef struct met {
    uint64_t *slots;
    size_t mask, count;
} met;

/* True the first time. Without memory always: gathering again does no harm. Keys are hashes that stand
 * for what they are of: of two numbers the one is hashed before the other is mixed in, else small ones
 * would meet. */
static bool meet(met *m, uint64_t key)
{
    if (m->count * 2 >= m->mask) {
        size_t cap = m->mask ? (m->mask + 1) * 2 : 1024;
        uint64_t *grown = sx_calloc(cap, sizeof *grown);
        if (!grown)
            return true;
        for (size_t i = 0; m->slots && i <= m->mask; i++) {
            if (!m->slots[i])
                continue;
            size_t at = sx_hash_u64(m->slots[i], 1) & (cap - 1);
            while (grown[at])
                at = (at + 1) & (cap - 1);
            grown[at] = m->slots[i];
        }
        sx_free(m->slots);
        m->slots = grown;
        m->mask = cap - 1;
    }
    key++;
    size_t at = sx_hash_u64(key, 1) & m->mask;
    for (; m->slots[at]; at = (at + 1) & m->mask)
        if (m->slots[at] == key)
            return false;
    m->slots[at] = key;
    m->count++;
    return true;
}

static void table_services(tr_memtable *m, tr_snapshot now, gathering *g)
{
    const tr_rows *r = &m->rows;
    for (uint32_t i = 0; i < now.resources && g->status == SX_OK; i++)
        if (r->resources[i].service)
            gather(g, (item){.a = tr_dict_get(&r->dict, r->resources[i].service)});
}

static void table_operations(tr_memtable *m, tr_snapshot now, gathering *g)
{
    const tr_rows *r = &m->rows;
    met seen = {0};
    for (uint32_t i = 0; i < now.rows && g->status == SX_OK; i++) {
        const tr_row *row = &r->rows[i];
        uint32_t service = r->resources[row->resource].service;
        if (meet(&seen,
                 sx_hash_u64(sx_hash_u64((uint64_t)service << 32 | row->name, 0), row->kind)))
            g->operation(g, tr_dict_get(&r->dict, service), tr_dict_get(&r->dict, row->name),
                         row->kind, 1);
    }
    sx_free(seen.slots);
}

/* Calls fn for each list of attributes of a row at the places wanted. */
typedef void cells_fn(const tr_rows *r, tr_cells c, gathering *g, met *seen, uint32_t key);

static void cells_keys(const tr_rows *r, tr_cells c, gathering *g, met *seen, uint32_t key)
{
    (void)key;
    for (uint32_t i = 0; i < c.count; i++) {
        uint32_t id = r->cells[c.first + i].key;
        if (meet(seen, id))
            gather(g, (item){.a = tr_dict_get(&r->dict, id)});
    }
}

static void cells_values(const tr_rows *r, tr_cells c, gathering *g, met *seen, uint32_t key)
{
    for (uint32_t i = 0; i < c.count; i++) {
        const tr_cell *cell = &r->cells[c.first + i];
        if (cell->key != key || !meet(seen, sx_hash_u64(sx_hash_u64(cell->bits, 0), cell->type)))
            continue;
        sx_arena scratch;
        span_value v;
        sx_arena_init(&scratch, 0, 0);
        if (tr_rows_value(r, cell, &scratch, &v, NULL) == SX_OK)
            on_value(g, &v);
        sx_arena_done(&scratch);
    }
}

static void table_cells(tr_memtable *m, tr_snapshot now, gathering *g, cells_fn *fn, uint32_t key)
{
    const tr_rows *r = &m->rows;
    met seen = {0};
    for (uint32_t i = 0; (g->place & FILTER_RESOURCE) && i < now.resources; i++)
        fn(r, r->resources[i].cells, g, &seen, key);
    for (uint32_t i = 0; (g->place & FILTER_SCOPE) && i < now.scopes; i++)
        fn(r, r->scopes[i].cells, g, &seen, key);
    for (uint32_t i = 0; i < now.rows && g->status == SX_OK; i++) {
        const tr_row *row = &r->rows[i];
        if (g->place & FILTER_SPAN)
            fn(r, row->cells, g, &seen, key);
        for (uint32_t k = 0; (g->place & FILTER_EVENT) && k < row->event_count; k++)
            fn(r, r->events[row->first_event + k].cells, g, &seen, key);
        for (uint32_t k = 0; (g->place & FILTER_LINK) && k < row->link_count; k++)
            fn(r, r->links[row->first_link + k].cells, g, &seen, key);
    }
    sx_free(seen.slots);
}

static void table_keys(tr_memtable *m, tr_snapshot now, gathering *g)
{
    table_cells(m, now, g, cells_keys, 0);
}

static void table_values(tr_memtable *m, tr_snapshot now, gathering *g)
{
    uint32_t id;
    pthread_mutex_lock(&m->lock);
    bool there = tr_dict_find(&m->rows.dict, g->key, &id);
    pthread_mutex_unlock(&m->lock);
    if (there)
        table_cells(m, now, g, cells_values, id);
}

/* --- Segments. */

static sx_status segment_operations(const tr_segment *s, gathering *g, sx_error *err)
{
    return tr_segment_operations(s, g->operation, g, err);
}

static sx_status segment_keys(const tr_segment *s, gathering *g, sx_error *err)
{
    return tr_segment_keys(s, on_key, g, err);
}

static sx_status segment_values(const tr_segment *s, gathering *g, sx_error *err)
{
    return tr_segment_values(s, g->place, g->key, on_value, g, err);
}

/* --- Questions. */

typedef void table_fn(tr_memtable *m, tr_snapshot now, gathering *g);
typedef sx_status segment_fn(const tr_segment *s, gathering *g, sx_error *err);

/* Asks all that the store has of the time. A damaged segment's names are missing: the others' are
 * given. */
static sx_status ask(tr_store *s, gathering *g, table_fn *table, segment_fn *segment, sx_error *err)
{
    tr_view *v = tr_view_take(s);
    sx_status status = SX_OK;
    for (size_t i = 0; i < v->table_count; i++) {
        tr_snapshot now = tr_memtable_now(v->tables[i]);
        if (overlaps(g, now.min_ns, now.max_ns))
            table(v->tables[i], now, g);
    }
    for (size_t i = 0; i < v->piece_count && status == SX_OK; i++) {
        tr_piece *p = v->pieces[i];
        if (!overlaps(g, p->min_ns, p->max_ns))
            continue;
        status = segment(p->segment, g, err);
        if (tr_piece_is_damaged(s, p, status, err))
            status = SX_OK;
    }
    tr_view_unref(v);
    if (status == SX_OK && g->status != SX_OK)
        status = sx_fail_memory(err, "names");
    if (status == SX_OK)
        tidy(g);
    return status;
}

/* The answer, if all went well so far; what was gathered goes. */
static sx_status give_names(gathering *g, sx_status status, tr_names *out, sx_error *err)
{
    if (status != SX_OK) {
        sx_free(g->items);
        return status;
    }
    out->cut = g->cut;
    out->count = g->count;
    out->items = sx_arena_alloc(g->arena, (g->count + 1) * sizeof *out->items);
    for (size_t i = 0; out->items && i < g->count; i++)
        out->items[i] = g->items[i].a;
    sx_free(g->items);
    return out->items ? SX_OK : sx_fail_memory(err, "names");
}

sx_status tr_store_services(tr_store *s, uint64_t min_ns, uint64_t max_ns, sx_arena *arena,
                            tr_names *out, sx_error *err)
{
    gathering g = gather_begin(arena, min_ns, max_ns, 0, order_names);
    g.operation = on_service;
    return give_names(&g, ask(s, &g, table_services, segment_operations, err), out, err);
}

sx_status tr_store_operations(tr_store *s, sx_str service, int kind, uint64_t min_ns,
                              uint64_t max_ns, sx_arena *arena, tr_operation **out, size_t *count,
                              sx_error *err)
{
    gathering g = gather_begin(arena, min_ns, max_ns, 0, order_names);
    g.service = service;
    g.any_service = !service.data;
    g.kind = kind;
    g.operation = on_operation;
    sx_status status = ask(s, &g, table_operations, segment_operations, err);
    if (status == SX_OK) {
        *count = g.count;
        *out = sx_arena_alloc(arena, (g.count + 1) * sizeof **out);
        for (size_t i = 0; *out && i < g.count; i++)
            (*out)[i] = (tr_operation){g.items[i].a, g.items[i].b, (unsigned)g.items[i].kind};
        if (!*out)
            status = sx_fail_memory(err, "operations");
    }
    sx_free(g.items);
    return status;
}

sx_status tr_store_keys(tr_store *s, unsigned place, uint64_t min_ns, uint64_t max_ns, size_t limit,
                        sx_arena *arena, tr_names *out, sx_error *err)
{
    gathering g = gather_begin(arena, min_ns, max_ns, limit, order_names);
    g.place = place == FILTER_ANY ? 31 : place;
    return give_names(&g, ask(s, &g, table_keys, segment_keys, err), out, err);
}

/* Values of the few fields that are neither attributes nor in the list of operations. */
static sx_status fixed_values(gathering *g, filter_field field)
{
    if (field != FILTER_STATUS)
        return SX_EUNSUPPORTED;
    for (int64_t i = SPAN_UNSET; i <= SPAN_ERROR; i++)
        gather(g, (item){.value = {.i = i, .type = SPAN_INT}});
    return SX_OK;
}

sx_status tr_store_values(tr_store *s, filter_field field, unsigned place, sx_str key,
                          uint64_t min_ns, uint64_t max_ns, size_t limit, sx_arena *arena,
                          tr_values *out, sx_error *err)
{
    gathering g = gather_begin(arena, min_ns, max_ns, limit, order_values);
    g.field = field;
    g.place = place == FILTER_ANY ? 31 : place;
    g.key = key;
    g.operation = on_field;
    sx_status status;
    if (field == FILTER_ATTRIBUTE)
        status = ask(s, &g, table_values, segment_values, err);
    else if (field == FILTER_NAME || field == FILTER_SERVICE || field == FILTER_KIND)
        status = ask(s, &g, table_operations, segment_operations, err);
    else if ((status = fixed_values(&g, field)) != SX_OK)
        sx_fail(err, status, "values of this field are not listed");
    else
        tidy(&g);
    if (status == SX_OK) {
        out->cut = g.cut;
        out->count = g.count;
        out->items = sx_arena_alloc(arena, (g.count + 1) * sizeof *out->items);
        for (size_t i = 0; out->items && i < g.count; i++)
            out->items[i] = g.items[i].value;
        if (!out->items)
            status = sx_fail_memory(err, "values");
    }
    sx_free(g.items);
    return status;
}
