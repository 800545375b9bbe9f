/* rows.c - spans interned into rows; see rows.h. rows_read.c gives them back.
 *
 * Nothing here moves: each array lies in address space of its own that is filled from the front. The
 * dictionary's bytes are in an arena, its entries in such an array, only its hash slots are rebuilt
 * as it grows, so that ids and texts stay good for readers without a lock.
 *
 * What makes adding cheap: a resource or scope is interned when the batch comes to another one; a
 * key is found by its length and ends in a small cache, without a hash; the texts of a span's values
 * are hashed and their slots fetched while the span before is put, their entries while its keys are
 * looked up, so that the misses of a big dictionary overlap. */
#include "observe/traces/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/spans/otlp.h"

enum {
    COMMIT_LEAST = 64 << 10,
    RESERVE_LEAST = 1 << 20,
    SLOTS_LEAST = 4096,
    DICT_CHUNK = 256 << 10,
    WINDOW = 16 /* values whose hashes are ready before the first is looked up */
};

/* What a cleared memtable keeps under each array. */
static const uint64_t KEEP_BYTES = 24 << 20;

/* --- Arrays. */

static bool array_reserve(tr_array *a, uint64_t reserve)
{
    void *hook = sx_alloc(1); /* so that tests make this fail like any allocation */
    if (!hook)
        return false;
    sx_free(hook);
    for (uint64_t bytes = reserve; bytes >= RESERVE_LEAST; bytes /= 2) {
        void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED) {
            *a = (tr_array){.base = p, .reserved = bytes};
            return true;
        }
    }
    return false;
}

static void array_release(tr_array *a)
{
    if (a->base)
        munmap(a->base, a->reserved);
    *a = (tr_array){0};
}

bool tr_array_commit(tr_array *a, uint64_t bytes)
{
    if (sx_likely(bytes <= a->committed))
        return true;
    if (bytes > a->reserved)
        return false;
    void *hook = sx_alloc(1);
    if (!hook)
        return false;
    sx_free(hook);
    uint64_t step = a->committed / 8 > COMMIT_LEAST ? a->committed / 8 : COMMIT_LEAST;
    uint64_t to = (bytes + step + 4095) & ~(uint64_t)4095;
    if (to > a->reserved)
        to = a->reserved;
    if (mprotect(a->base + a->committed, to - a->committed, PROT_READ | PROT_WRITE) != 0)
        return false;
    a->committed = to;
    return true;
}

static void array_shrink(tr_array *a, uint64_t keep)
{
    if (a->committed > keep && madvise(a->base + keep, a->committed - keep, MADV_DONTNEED) == 0 &&
        mprotect(a->base + keep, a->committed - keep, PROT_NONE) == 0)
        a->committed = keep;
}

/* --- The dictionary. */

static sx_status dict_init(tr_dict *d, sx_error *err)
{
    *d = (tr_dict){.seed = sx_hash_seed()};
    sx_arena_init(&d->arena, DICT_CHUNK, 0);
    d->slots = sx_calloc(SLOTS_LEAST, sizeof *d->slots);
    if (!d->slots || !array_reserve(&d->memory, UINT64_C(16) << 30) ||
        !tr_array_commit(&d->memory, sizeof *d->entries))
        return sx_fail_memory(err, "dictionary of spans");
    d->slot_mask = SLOTS_LEAST - 1;
    d->entries = (tr_dict_entry *)(void *)d->memory.base;
    d->entries[0] = (tr_dict_entry){.data = ""};
    d->count = 1;
    return SX_OK;
}

static bool dict_rehash(tr_dict *d)
{
    uint32_t cap = (d->slot_mask + 1) * 2;
    uint64_t *slots = sx_calloc(cap, sizeof *slots);
    if (!slots)
        return false;
    uint32_t mask = cap - 1;
    for (uint32_t id = 1; id < d->count; id++) {
        uint32_t hash = d->entries[id].hash, at = hash & mask;
        while (slots[at])
            at = (at + 1) & mask;
        slots[at] = (uint64_t)hash << 32 | (id + 1);
    }
    sx_free(d->slots);
    d->slots = slots;
    d->slot_mask = mask;
    return true;
}

static bool dict_insert(tr_dict *d, const char *data, uint32_t len, uint32_t hash, uint32_t at,
                        uint32_t *id)
{
    if (sx_unlikely((d->count + 1) * 2 > d->slot_mask)) {
        if (!dict_rehash(d))
            return false;
        at = hash & d->slot_mask;
        while (d->slots[at])
            at = (at + 1) & d->slot_mask;
    }
    if (!tr_array_commit(&d->memory, (d->count + UINT64_C(1)) * sizeof *d->entries) ||
        d->count == UINT32_MAX / 4)
        return false;
    /* Unaligned, one behind the other: most are short. */
    sx_arena *a = &d->arena;
    char *copy;
    if (sx_likely(a->at && len <= (size_t)(a->end - a->at))) {
        copy = a->at;
        a->at += len;
    } else {
        copy = sx_arena_alloc_slow(a, (len + UINT64_C(7)) & ~UINT64_C(7));
        if (!copy)
            return false;
    }
    memcpy(copy, data, len);
    d->entries[d->count] = (tr_dict_entry){copy, len, hash};
    d->slots[at] = (uint64_t)hash << 32 | (d->count + 1);
    *id = d->count++;
    return true;
}

/* memcmp of short texts without a call. */
static inline bool same_text(const char *a, const char *b, uint32_t len)
{
    uint64_t x, y, u, v;
    if (len >= 8) {
        for (uint32_t at = 0; at + 8 < len; at += 8) {
            memcpy(&x, a + at, 8);
            memcpy(&y, b + at, 8);
            if (x != y)
                return false;
        }
        memcpy(&u, a + len - 8, 8);
        memcpy(&v, b + len - 8, 8);
        return u == v;
    }
    if (len >= 4) {
        uint32_t i, j, k, l;
        memcpy(&i, a, 4);
        memcpy(&j, b, 4);
        memcpy(&k, a + len - 4, 4);
        memcpy(&l, b + len - 4, 4);
        return i == j && k == l;
    }
    return len == 0 || (a[0] == b[0] && a[len - 1] == b[len - 1] && a[len / 2] == b[len / 2]);
}

static inline bool dict_intern(tr_dict *d, const char *data, uint32_t len, uint32_t hash,
                               uint32_t *id)
{
    uint32_t at = hash & d->slot_mask;
    for (uint64_t slot; (slot = d->slots[at]) != 0; at = (at + 1) & d->slot_mask)
        if ((uint32_t)(slot >> 32) == hash) {
            const tr_dict_entry *e = &d->entries[(uint32_t)slot - 1];
            if (e->len == len && same_text(e->data, data, len)) {
                *id = (uint32_t)slot - 1;
                return true;
            }
        }
    return dict_insert(d, data, len, hash, at, id);
}

static inline uint32_t dict_hash(const tr_dict *d, const char *data, uint32_t len)
{
    return (uint32_t)sx_hash_bytes(data, len, d->seed);
}

static inline bool intern(tr_dict *d, sx_str s, uint32_t *id)
{
    if (s.len == 0) {
        *id = TR_NONE;
        return true;
    }
    return s.len <= UINT32_MAX &&
           dict_intern(d, s.data, (uint32_t)s.len, dict_hash(d, s.data, (uint32_t)s.len), id);
}

bool tr_dict_find(const tr_dict *d, sx_str s, uint32_t *id)
{
    *id = TR_NONE;
    if (s.len == 0)
        return true;
    uint32_t hash = dict_hash(d, s.data, (uint32_t)s.len);
    for (uint32_t at = hash & d->slot_mask; d->slots[at]; at = (at + 1) & d->slot_mask) {
        uint64_t slot = d->slots[at];
        if ((uint32_t)(slot >> 32) == hash && sx_str_eq(tr_dict_get(d, (uint32_t)slot - 1), s)) {
            *id = (uint32_t)slot - 1;
            return true;
        }
    }
    return false;
}

/* A key: by its length and ends among those seen before, else as any text. */
static inline bool intern_key(tr_rows *r, const char *data, uint32_t len, uint32_t *id)
{
    if (sx_unlikely(len < 4 || len > sizeof r->key_cache[0].text))
        return intern(&r->dict, sx_str_of(data, len), id);
    uint32_t head, tail;
    memcpy(&head, data, 4);
    memcpy(&tail, data + len - 4, 4);
    uint32_t mixed = (head * 0x9e3779b1u) ^ (tail * 0x85ebca6bu) ^ (len * 0xc2b2ae35u);
    tr_key *key = &r->key_cache[mixed >> 23];
    if (sx_likely(key->len == len && same_text(key->text, data, len))) {
        *id = key->id;
        return true;
    }
    if (!intern(&r->dict, sx_str_of(data, len), id))
        return false;
    key->id = *id;
    key->len = len;
    memcpy(key->text, data, len);
    return true;
}

/* --- Rows. */

static const struct {
    size_t pointer, size; /* of the array in tr_rows, of its items */
} ARRAYS[TR_ARRAYS] = {
    {offsetof(tr_rows, rows), sizeof(tr_row)},
    {offsetof(tr_rows, cells), sizeof(tr_cell)},
    {offsetof(tr_rows, events), sizeof(tr_event)},
    {offsetof(tr_rows, links), sizeof(tr_link)},
    {offsetof(tr_rows, resources), sizeof(tr_resource)},
    {offsetof(tr_rows, scopes), sizeof(tr_scope)},
};
enum { ROWS, CELLS, EVENTS, LINKS, RESOURCES, SCOPES };
_Static_assert(TR_KEY_CACHE == 1 << 9, "the cache is indexed by the upper nine bits of a hash");

sx_status tr_rows_init(tr_rows *r, sx_error *err)
{
    *r = (tr_rows){.min_ns = UINT64_MAX};
    sx_buf_init(&r->scratch, 0);
    sx_status status = dict_init(&r->dict, err);
    for (size_t i = 0; status == SX_OK && i < TR_ARRAYS; i++) {
        if (!array_reserve(&r->arrays[i], UINT64_C(16) << 30))
            status = sx_fail_memory(err, "rows of spans");
        else
            *(void **)((char *)r + ARRAYS[i].pointer) = r->arrays[i].base;
    }
    if (status == SX_OK) {
        r->resource_slots = sx_calloc(64, sizeof *r->resource_slots);
        r->scope_slots = sx_calloc(64, sizeof *r->scope_slots);
        r->resource_mask = r->scope_mask = 63;
        if (!r->resource_slots || !r->scope_slots)
            status = sx_fail_memory(err, "rows of spans");
    }
    if (status != SX_OK)
        tr_rows_done(r);
    return status;
}

void tr_rows_done(tr_rows *r)
{
    for (size_t i = 0; i < TR_ARRAYS; i++)
        array_release(&r->arrays[i]);
    array_release(&r->dict.memory);
    sx_free(r->dict.slots);
    sx_arena_done(&r->dict.arena);
    sx_free(r->resource_slots);
    sx_free(r->scope_slots);
    sx_buf_done(&r->scratch);
    *r = (tr_rows){0};
}

void tr_rows_clear(tr_rows *r)
{
    tr_dict *d = &r->dict;
    d->count = 1;
    memset(d->slots, 0, (d->slot_mask + UINT64_C(1)) * sizeof *d->slots);
    sx_arena_reset(&d->arena);
    array_shrink(&d->memory, KEEP_BYTES / 4);
    for (size_t i = 0; i < TR_ARRAYS; i++)
        array_shrink(&r->arrays[i], KEEP_BYTES);
    memset(r->resource_slots, 0, (r->resource_mask + UINT64_C(1)) * sizeof *r->resource_slots);
    memset(r->scope_slots, 0, (r->scope_mask + UINT64_C(1)) * sizeof *r->scope_slots);
    memset(r->key_cache, 0, sizeof r->key_cache);
    r->count = r->cell_count = r->event_count = r->link_count = 0;
    r->resource_count = r->scope_count = 0;
    r->min_ns = UINT64_MAX;
    r->max_ns = 0;
    r->last_resource = NULL;
    r->last_scope = NULL;
}

size_t tr_rows_bytes(const tr_rows *r)
{
    size_t bytes = r->dict.memory.committed + r->dict.arena.used_bytes +
                   (r->dict.slot_mask + UINT64_C(1)) * sizeof *r->dict.slots;
    for (size_t i = 0; i < TR_ARRAYS; i++)
        bytes += r->arrays[i].committed;
    return bytes;
}

size_t tr_rows_used(const tr_rows *r)
{
    return (size_t)r->count * sizeof *r->rows + (size_t)r->cell_count * sizeof *r->cells +
           (size_t)r->event_count * sizeof *r->events + (size_t)r->link_count * sizeof *r->links +
           (size_t)r->dict.count * (sizeof *r->dict.entries + 2 * sizeof *r->dict.slots) +
           r->dict.arena.used_bytes;
}

tr_mark tr_rows_mark(const tr_rows *r)
{
    return (tr_mark){r->count, r->cell_count, r->event_count, r->link_count, r->min_ns, r->max_ns};
}

void tr_rows_rewind(tr_rows *r, tr_mark mark)
{
    /* Cells of resources and scopes that came with the rows are behind the mark too and must stay:
     * only the count of rows goes back then. */
    r->count = mark.count;
    r->event_count = mark.event_count;
    r->link_count = mark.link_count;
    r->min_ns = mark.min_ns;
    r->max_ns = mark.max_ns;
}

/* Room for `more` items in array `which`; NULL without memory. */
static inline void *room(tr_rows *r, unsigned which, uint32_t have, uint32_t more)
{
    uint64_t need = (uint64_t)have + more;
    if (sx_unlikely(need > UINT32_MAX ||
                    !tr_array_commit(&r->arrays[which], need * ARRAYS[which].size)))
        return NULL;
    return r->arrays[which].base + (uint64_t)have * ARRAYS[which].size;
}

static bool put_composed(tr_rows *r, const span_value *v, uint64_t *bits)
{
    uint32_t id;
    sx_buf_clear(&r->scratch);
    span_write_any(v, &r->scratch);
    if (r->scratch.failed || !intern(&r->dict, sx_buf_view(&r->scratch), &id))
        return false;
    *bits = id;
    return true;
}

/* Hashes of up to WINDOW values that are texts; their slots are on the way then. */
static inline void hash_values(const tr_dict *d, const span_attr *items, uint32_t count,
                               uint32_t *hashes)
{
    for (uint32_t i = 0; i < count; i++) {
        const span_value *v = &items[i].value;
        if (v->type == SPAN_STR || v->type == SPAN_BYTES) {
            hashes[i] = dict_hash(d, v->data, v->len);
            __builtin_prefetch(&d->slots[hashes[i] & d->slot_mask]);
        }
    }
}

/* The same attributes as cells: first the keys, while entries come, then the values. */
static bool put_window(tr_rows *r, const span_attr *items, uint32_t count, const uint32_t *hashes,
                       tr_cell *out)
{
    tr_dict *d = &r->dict;
    for (uint32_t i = 0; i < count; i++) {
        const span_value *v = &items[i].value;
        if (v->type == SPAN_STR || v->type == SPAN_BYTES) {
            uint64_t slot = d->slots[hashes[i] & d->slot_mask];
            if ((uint32_t)(slot >> 32) == hashes[i] && slot)
                __builtin_prefetch(&d->entries[(uint32_t)slot - 1]);
        }
        out[i].type = v->type;
        if (!intern_key(r, items[i].key, items[i].key_len, &out[i].key))
            return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const span_value *v = &items[i].value;
        tr_cell *cell = &out[i];
        switch ((span_type)v->type) {
        case SPAN_STR:
        case SPAN_BYTES: {
            uint32_t id = TR_NONE;
            if (v->len && !dict_intern(d, v->data, v->len, hashes[i], &id))
                return false;
            cell->bits = id;
            break;
        }
        case SPAN_LIST:
        case SPAN_MAP:
            if (!put_composed(r, v, &cell->bits))
                return false;
            break;
        case SPAN_EMPTY:
            cell->bits = 0;
            break;
        default: /* INT, BOOL, and DOUBLE's bits */
            memcpy(&cell->bits, &v->i, sizeof cell->bits);
        }
    }
    return true;
}

/* `ahead`: hashes of the first window, NULL: not computed. */
static bool put_cells(tr_rows *r, span_attrs attrs, const uint32_t *ahead, tr_cells *out)
{
    uint32_t hashes[WINDOW];
    tr_cell *cells = room(r, CELLS, r->cell_count, attrs.count);
    if (!cells)
        return false;
    *out = (tr_cells){r->cell_count, attrs.count, attrs.dropped};
    for (uint32_t i = 0; i < attrs.count; i += WINDOW) {
        uint32_t count = attrs.count - i < WINDOW ? attrs.count - i : WINDOW;
        if (i || !ahead)
            hash_values(&r->dict, attrs.items + i, count, hashes);
        if (!put_window(r, attrs.items + i, count, i || !ahead ? hashes : ahead, cells + i))
            return false;
    }
    r->cell_count += attrs.count;
    return true;
}

/* --- Resources and scopes: each different one once. */

static uint32_t cells_hash(const tr_rows *r, tr_cells c, uint32_t a, uint32_t b, uint32_t d)
{
    uint32_t head[5] = {c.count, c.dropped, a, b, d};
    uint64_t hash = sx_hash_bytes(head, sizeof head, r->dict.seed);
    return (uint32_t)sx_hash_bytes(r->cells + c.first, c.count * sizeof *r->cells, hash);
}

static bool same_cells(const tr_rows *r, tr_cells a, tr_cells b)
{
    return a.count == b.count && a.dropped == b.dropped &&
           (a.count == 0 ||
            memcmp(r->cells + a.first, r->cells + b.first, a.count * sizeof *r->cells) == 0);
}

/* Doubles a table when it is half full; its items' hashes are computed again by the caller's. */
static bool slots_grow(tr_rows *r, uint32_t **slots, uint32_t *mask, uint32_t count,
                       uint32_t (*hash)(const tr_rows *r, uint32_t i))
{
    if ((count + 1) * 2 <= *mask)
        return true;
    uint32_t cap = (*mask + 1) * 2;
    uint32_t *grown = sx_calloc(cap, sizeof *grown);
    if (!grown)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = hash(r, i) & (cap - 1);
        while (grown[at])
            at = (at + 1) & (cap - 1);
        grown[at] = i + 1;
    }
    sx_free(*slots);
    *slots = grown;
    *mask = cap - 1;
    return true;
}

static uint32_t resource_hash(const tr_rows *r, uint32_t i)
{
    const tr_resource *x = &r->resources[i];
    return cells_hash(r, x->cells, x->schema_url, x->service, 0);
}

static uint32_t scope_hash(const tr_rows *r, uint32_t i)
{
    const tr_scope *x = &r->scopes[i];
    return cells_hash(r, x->cells, x->schema_url, x->name, x->version);
}

static bool put_resource(tr_rows *r, const span_resource *in, uint32_t *id)
{
    uint32_t before = r->cell_count;
    tr_resource *x = room(r, RESOURCES, r->resource_count, 1);
    if (!x ||
        !slots_grow(r, &r->resource_slots, &r->resource_mask, r->resource_count, resource_hash) ||
        !put_cells(r, in->attrs, NULL, &x->cells) ||
        !intern(&r->dict, in->schema_url, &x->schema_url) ||
        !intern(&r->dict, in->service, &x->service))
        return false;
    uint32_t at = resource_hash(r, r->resource_count) & r->resource_mask;
    for (uint32_t i; (i = r->resource_slots[at]) != 0; at = (at + 1) & r->resource_mask) {
        const tr_resource *y = &r->resources[i - 1];
        if (y->schema_url == x->schema_url && y->service == x->service &&
            same_cells(r, x->cells, y->cells)) {
            r->cell_count = before;
            *id = i - 1;
            return true;
        }
    }
    r->resource_slots[at] = r->resource_count + 1;
    *id = r->resource_count++;
    return true;
}

static bool put_scope(tr_rows *r, const span_scope *in, uint32_t *id)
{
    uint32_t before = r->cell_count;
    tr_scope *x = room(r, SCOPES, r->scope_count, 1);
    if (!x || !slots_grow(r, &r->scope_slots, &r->scope_mask, r->scope_count, scope_hash) ||
        !put_cells(r, in->attrs, NULL, &x->cells) ||
        !intern(&r->dict, in->schema_url, &x->schema_url) ||
        !intern(&r->dict, in->name, &x->name) || !intern(&r->dict, in->version, &x->version))
        return false;
    uint32_t at = scope_hash(r, r->scope_count) & r->scope_mask;
    for (uint32_t i; (i = r->scope_slots[at]) != 0; at = (at + 1) & r->scope_mask) {
        const tr_scope *y = &r->scopes[i - 1];
        if (y->schema_url == x->schema_url && y->name == x->name && y->version == x->version &&
            same_cells(r, x->cells, y->cells)) {
            r->cell_count = before;
            *id = i - 1;
            return true;
        }
    }
    r->scope_slots[at] = r->scope_count + 1;
    *id = r->scope_count++;
    return true;
}

/* --- Spans. */

static bool put_events(tr_rows *r, const span *s, tr_row *row)
{
    row->first_event = r->event_count;
    row->event_count = s->event_count;
    row->dropped_events = s->dropped_events;
    if (s->event_count == 0)
        return true;
    tr_event *out = room(r, EVENTS, r->event_count, s->event_count);
    if (!out)
        return false;
    for (uint32_t i = 0; i < s->event_count; i++) {
        out[i].time_ns = s->events[i].time_ns;
        if (!intern(&r->dict, s->events[i].name, &out[i].name) ||
            !put_cells(r, s->events[i].attrs, NULL, &out[i].cells))
            return false;
    }
    r->event_count += s->event_count;
    return true;
}

static bool put_links(tr_rows *r, const span *s, tr_row *row)
{
    row->first_link = r->link_count;
    row->link_count = s->link_count;
    row->dropped_links = s->dropped_links;
    if (s->link_count == 0)
        return true;
    tr_link *out = room(r, LINKS, r->link_count, s->link_count);
    if (!out)
        return false;
    for (uint32_t i = 0; i < s->link_count; i++) {
        const span_link *l = &s->links[i];
        memcpy(out[i].trace_id, l->trace_id, sizeof l->trace_id);
        memcpy(out[i].span_id, l->span_id, sizeof l->span_id);
        out[i].flags = l->flags;
        if (!intern(&r->dict, l->trace_state, &out[i].trace_state) ||
            !put_cells(r, l->attrs, NULL, &out[i].cells))
            return false;
    }
    r->link_count += s->link_count;
    return true;
}

/* HOT, 300 ns with eight attributes. */
static bool put_span(tr_rows *r, const span *s, const uint32_t *ahead)
{
    if (s->resource != r->last_resource) {
        if (!put_resource(r, s->resource, &r->last_resource_id))
            return false;
        r->last_resource = s->resource;
    }
    if (s->scope != r->last_scope) {
        if (!put_scope(r, s->scope, &r->last_scope_id))
            return false;
        r->last_scope = s->scope;
    }
    tr_row *row = room(r, ROWS, r->count, 1);
    if (!row)
        return false;
    memcpy(row->trace_id, s->trace_id, sizeof row->trace_id);
    memcpy(row->id, s->id, sizeof row->id);
    memcpy(row->parent, s->parent, sizeof row->parent);
    row->start_ns = s->start_ns;
    row->end_ns = s->end_ns;
    row->resource = r->last_resource_id;
    row->scope = r->last_scope_id;
    row->flags = s->flags;
    row->kind = s->kind;
    row->status = s->status;
    if (!intern(&r->dict, s->name, &row->name) ||
        !intern(&r->dict, s->trace_state, &row->trace_state) ||
        !intern(&r->dict, s->status_message, &row->status_message) ||
        !put_cells(r, s->attrs, ahead, &row->cells) || !put_events(r, s, row) ||
        !put_links(r, s, row))
        return false;
    if (s->start_ns < r->min_ns)
        r->min_ns = s->start_ns;
    if (s->start_ns > r->max_ns)
        r->max_ns = s->start_ns;
    r->count++;
    return true;
}

uint64_t tr_trace_hash(const uint8_t trace_id[16])
{
    uint64_t a, b;
    memcpy(&a, trace_id, 8);
    memcpy(&b, trace_id + 8, 8);
    return sx_hash_u64(a, b);
}

sx_status tr_rows_add_part(tr_rows *r, const span_batch *b, tr_part part, sx_error *err)
{
    tr_mark mark = tr_rows_mark(r);
    r->last_resource = NULL; /* another batch's may have lain at the same place */
    r->last_scope = NULL;
    uint32_t hashes[2][WINDOW]; /* of the span that is put, and of the next one */
    const span *now = NULL;
    for (size_t i = 0, turn = 0; i <= b->count; i++) {
        const span *next = i < b->count ? b->spans[i] : NULL;
        if (next && !tr_part_has(part, next->trace_id))
            continue;
        if (next)
            hash_values(&r->dict, next->attrs.items,
                        next->attrs.count < WINDOW ? next->attrs.count : WINDOW, hashes[turn]);
        turn ^= 1;
        if (now && sx_unlikely(!put_span(r, now, hashes[turn]))) {
            tr_rows_rewind(r, mark);
            return sx_fail_memory(err, "spans in the memtable");
        }
        now = next;
    }
    return SX_OK;
}

sx_status tr_rows_add(tr_rows *r, const span_batch *b, sx_error *err)
{
    return tr_rows_add_part(r, b, (tr_part){0}, err);
}
