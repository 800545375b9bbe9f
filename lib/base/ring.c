/* ring.c - the bounded many-to-one queue.
 *
 * Every cell carries a turn number. A producer that drew position p may fill cell p & mask when its
 * turn is p, and sets it to p + 1; the consumer at position p may empty it when its turn is p + 1,
 * and sets it to p + capacity, which is the turn of the producer one lap later. A turn that lags
 * behind tells a producer "full" and the consumer "empty" without looking at the other side's
 * counter. A producer that was preempted between the two steps delays the consumer, not the other
 * producers. */
#include <sextant/ring.h>

#include <sextant/mem.h>

enum { CAPACITY_BITS_MAX = 30 };

sx_status sx_ring_init(sx_ring *r, size_t capacity, sx_error *err)
{
    sx_assert(capacity >= 1 && capacity <= (size_t)1 << CAPACITY_BITS_MAX);
    size_t cells = 2; /* with one cell "filled" and "free a lap later" would be the same turn */
    while (cells < capacity)
        cells *= 2;
    r->cells = sx_calloc(cells, sizeof(*r->cells));
    if (!r->cells)
        return sx_fail_memory(err, "a ring");
    for (size_t i = 0; i < cells; i++)
        r->cells[i].turn = i;
    r->mask = cells - 1;
    r->head = 0;
    r->tail = 0;
    return SX_OK;
}

void sx_ring_done(sx_ring *r)
{
    sx_free(r->cells);
    *r = (sx_ring){0};
}

/* HOT: a log line, a task posted to a loop. */
bool sx_ring_push(sx_ring *r, void *item)
{
    sx_assert(item != NULL);
    uint64_t at = __atomic_load_n(&r->head, __ATOMIC_RELAXED);
    for (;;) {
        sx_ring_cell *cell = &r->cells[at & r->mask];
        int64_t ahead = (int64_t)(__atomic_load_n(&cell->turn, __ATOMIC_ACQUIRE) - at);
        if (ahead < 0)
            return false;
        if (ahead > 0) {
            at = __atomic_load_n(&r->head, __ATOMIC_RELAXED);
            continue;
        }
        /* On failure `at` becomes the head that another producer has moved. */
        if (__atomic_compare_exchange_n(&r->head, &at, at + 1, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            cell->item = item;
            __atomic_store_n(&cell->turn, at + 1, __ATOMIC_RELEASE);
            return true;
        }
    }
}

void *sx_ring_pop(sx_ring *r)
{
    uint64_t at = __atomic_load_n(&r->tail, __ATOMIC_RELAXED);
    sx_ring_cell *cell = &r->cells[at & r->mask];
    if (__atomic_load_n(&cell->turn, __ATOMIC_ACQUIRE) != at + 1)
        return NULL;
    void *item = cell->item;
    __atomic_store_n(&cell->turn, at + r->mask + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&r->tail, at + 1, __ATOMIC_RELAXED);
    return item;
}

size_t sx_ring_count(const sx_ring *r)
{
    uint64_t tail = __atomic_load_n(&r->tail, __ATOMIC_RELAXED);
    uint64_t head = __atomic_load_n(&r->head, __ATOMIC_RELAXED);
    return head > tail ? (size_t)(head - tail) : 0;
}
