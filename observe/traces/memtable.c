/* memtable.c - a shard's rows and the index of their traces; see memtable.h. match.c is the filter. */
#include "observe/traces/memtable.h"

#include <sys/mman.h>

#include <sextant/mem.h>

enum { SLOTS_LEAST = 1024 };

/* Address space for the two arrays beside the rows; NULL base if there is none. */
static bool reserve(tr_array *a)
{
    const uint64_t bytes = UINT64_C(1) << 32;
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return false;
    *a = (tr_array){.base = p, .reserved = bytes};
    return true;
}

static void memtable_free(tr_memtable *m);

tr_memtable *tr_memtable_new(sx_error *err)
{
    tr_memtable *m = sx_calloc(1, sizeof *m);
    if (!m) {
        sx_fail_memory(err, "memtable");
        return NULL;
    }
    atomic_init(&m->refs, 1);
    pthread_mutex_init(&m->lock, NULL);
    m->slots = sx_calloc(SLOTS_LEAST, sizeof *m->slots);
    m->mask = SLOTS_LEAST - 1;
    if (tr_rows_init(&m->rows, err) != SX_OK || !m->slots || !reserve(&m->next) ||
        !reserve(&m->newest)) {
        sx_fail_memory(err, "memtable");
        memtable_free(m);
        return NULL;
    }
    return m;
}

tr_memtable *tr_memtable_ref(tr_memtable *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

/* --- Memtables used again. */

/* A table serves one shard all its life, so that tables are locked in one order, too, whichever sets
 * they have been in; and it has that shard's size. */
struct tr_pool {
    pthread_mutex_t lock;
    tr_memtable **spare; /* by shard; NULL: none */
    uint32_t shards;
};

tr_pool *tr_pool_new(uint32_t shards)
{
    tr_pool *p = sx_calloc(1, sizeof *p);
    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    p->shards = shards;
    p->spare = sx_calloc(shards, sizeof *p->spare);
    if (p->spare)
        return p;
    tr_pool_free(p);
    return NULL;
}

void tr_pool_free(tr_pool *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; p->spare && i < p->shards; i++)
        if (p->spare[i])
            memtable_free(p->spare[i]);
    pthread_mutex_destroy(&p->lock);
    sx_free(p->spare);
    sx_free(p);
}

tr_memtable *tr_pool_take(tr_pool *p, uint32_t shard, sx_error *err)
{
    sx_assert(shard < p->shards);
    pthread_mutex_lock(&p->lock);
    tr_memtable *m = p->spare[shard];
    p->spare[shard] = NULL;
    pthread_mutex_unlock(&p->lock);
    if (!m) {
        m = tr_memtable_new(err);
        if (m) {
            m->pool = p;
            m->shard = shard;
        }
        return m;
    }
    atomic_store_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

/* True: the pool has it now. */
static bool give_back(tr_memtable *m)
{
    tr_pool *p = m->pool;
    if (!p)
        return false;
    tr_rows_clear(&m->rows);
    memset(m->slots, 0, (m->mask + UINT64_C(1)) * sizeof *m->slots);
    m->traces = 0;
    atomic_store_explicit(&m->used, 0, memory_order_relaxed);
    pthread_mutex_lock(&p->lock);
    bool room = !p->spare[m->shard];
    if (room)
        p->spare[m->shard] = m;
    pthread_mutex_unlock(&p->lock);
    return room;
}

void tr_memtable_unref(tr_memtable *m)
{
    if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1 && !give_back(m))
        memtable_free(m);
}

static void memtable_free(tr_memtable *m)
{
    tr_rows_done(&m->rows);
    if (m->next.base)
        munmap(m->next.base, m->next.reserved);
    if (m->newest.base)
        munmap(m->newest.base, m->newest.reserved);
    pthread_mutex_destroy(&m->lock);
    sx_free(m->slots);
    sx_free(m);
}

static uint32_t *next_of(const tr_memtable *m)
{
    return (uint32_t *)(void *)m->next.base;
}

/* Where a trace's slot is, or the free one it may have. */
static uint32_t slot_of(const tr_memtable *m, const uint8_t trace_id[16])
{
    uint32_t at = (uint32_t)tr_trace_hash(trace_id) & m->mask;
    for (; m->slots[at]; at = (at + 1) & m->mask)
        if (memcmp(m->rows.rows[m->slots[at] - 1].trace_id, trace_id, 16) == 0)
            break;
    return at;
}

/* Slots for as many traces as there may be with all rows that are not indexed yet. */
static bool make_slots(tr_memtable *m, uint64_t traces)
{
    if (traces * 2 <= m->mask)
        return true;
    uint64_t cap = m->mask + UINT64_C(1);
    while (traces * 2 > cap - 1)
        cap *= 2;
    uint32_t *slots = cap <= UINT32_MAX ? sx_calloc(cap, sizeof *slots) : NULL;
    if (!slots)
        return false;
    for (uint32_t i = 0; i <= m->mask; i++) {
        if (m->slots[i] == 0)
            continue;
        uint32_t at =
            (uint32_t)tr_trace_hash(m->rows.rows[m->slots[i] - 1].trace_id) & (uint32_t)(cap - 1);
        while (slots[at])
            at = (at + 1) & (uint32_t)(cap - 1);
        slots[at] = m->slots[i];
    }
    sx_free(m->slots);
    m->slots = slots;
    m->mask = (uint32_t)(cap - 1);
    return true;
}

sx_status tr_memtable_put(tr_memtable *m, const span_batch *b, tr_part part, sx_error *err)
{
    tr_mark mark = tr_rows_mark(&m->rows);
    sx_status status = tr_rows_add_part(&m->rows, b, part, err);
    if (status != SX_OK)
        return status;
    uint64_t rows = m->rows.count;
    if (!make_slots(m, m->traces + (rows - mark.count)) ||
        !tr_array_commit(&m->next, rows * sizeof(uint32_t)) ||
        !tr_array_commit(&m->newest, (rows / TR_BLOCK_ROWS + 1) * sizeof(uint64_t))) {
        tr_rows_rewind(&m->rows, mark);
        return sx_fail_memory(err, "index of the memtable");
    }
    return SX_OK;
}

void tr_memtable_show(tr_memtable *m, tr_mark before)
{
    uint32_t *next = next_of(m);
    /* A trace's first row that is new takes the slot; the rows of one trace often stand together. */
    for (uint32_t row = before.count; row < m->rows.count; row++) {
        const uint8_t *id = m->rows.rows[row].trace_id;
        uint32_t at = slot_of(m, id);
        m->traces += m->slots[at] == 0;
        next[row] = m->slots[at];
        m->slots[at] = row + 1;
    }
    uint64_t latest = m->rows.max_ns;
    _Atomic uint64_t *newest = (_Atomic uint64_t *)(void *)m->newest.base;
    if (m->rows.count > before.count)
        for (uint32_t k = before.count / TR_BLOCK_ROWS; k <= (m->rows.count - 1) / TR_BLOCK_ROWS;
             k++)
            atomic_store_explicit(&newest[k], latest, memory_order_relaxed);
    atomic_store_explicit(&m->used, tr_rows_used(&m->rows), memory_order_relaxed);
}

tr_snapshot tr_memtable_now(tr_memtable *m)
{
    pthread_mutex_lock(&m->lock);
    const tr_rows *r = &m->rows;
    tr_snapshot now = {r->count,       r->dict.count, r->resource_count,
                       r->scope_count, r->min_ns,     r->max_ns};
    pthread_mutex_unlock(&m->lock);
    return now;
}

uint64_t tr_memtable_newest(const tr_memtable *m, uint32_t rows)
{
    const _Atomic uint64_t *newest = (const _Atomic uint64_t *)(const void *)m->newest.base;
    return rows == 0
               ? 0
               : atomic_load_explicit(&newest[(rows - 1) / TR_BLOCK_ROWS], memory_order_relaxed);
}

sx_status tr_memtable_find(tr_memtable *m, const uint8_t trace_id[16], uint32_t **out, size_t *cap,
                           size_t *count, sx_error *err)
{
    sx_status status = SX_OK;
    *count = 0;
    pthread_mutex_lock(&m->lock);
    const uint32_t *next = next_of(m);
    for (uint32_t row = m->slots[slot_of(m, trace_id)]; row; row = next[row - 1]) {
        if (!sx_grow(out, cap, *count + 1, sizeof **out)) {
            status = sx_fail_memory(err, "rows of a trace");
            break;
        }
        (*out)[(*count)++] = row - 1;
    }
    pthread_mutex_unlock(&m->lock);
    for (size_t i = 0, k = *count; i + 1 < k--; i++) {
        uint32_t row = (*out)[i];
        (*out)[i] = (*out)[k];
        (*out)[k] = row;
    }
    return status;
}
