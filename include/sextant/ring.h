/* ring.h - a bounded queue of pointers: many threads put, one takes.
 *
 * How a thread hands work to a loop, and log records to the thread that writes them. No lock: a
 * producer claims a cell by one compare-and-swap and publishes it by one store. When it is full the
 * producer is told so and decides (drop and count, or wait): a queue without a bound hides overload
 * until memory ends. */
#ifndef SEXTANT_RING_H
#define SEXTANT_RING_H

#include <sextant/error.h>

SX_BEGIN_DECLS

typedef struct sx_ring_cell {
    uint64_t turn; /* atomic: which lap of which side may use the cell, see ring.c */
    void *item;    /* owned by the side whose turn it is */
} sx_ring_cell;

typedef struct sx_ring {
    sx_ring_cell *cells; /* heap, owned; mask + 1 of them */
    uint64_t mask;
    uint64_t head __attribute__((aligned(64))); /* atomic: next to be put; written by producers */
    uint64_t tail __attribute__((aligned(64))); /* atomic: next to be taken; the consumer writes */
} sx_ring;

/* A ring of `capacity` pointers, rounded up to a power of two (1 to 2^30). SX_ENOMEM. */
sx_status sx_ring_init(sx_ring *r, size_t capacity, sx_error *err);

/* Frees the cells; no thread may use the ring any more. What is still queued is the caller's to
 * take first. */
void sx_ring_done(sx_ring *r);

/* Puts `item` (not NULL) last; false if the ring is full. Any thread. What the thread wrote before
 * is visible to the consumer that takes it. */
bool sx_ring_push(sx_ring *r, void *item) SX_MUST_USE;

/* Takes the first item, or NULL if there is none yet. One thread at a time. */
void *sx_ring_pop(sx_ring *r);

/* About how many are queued: exact when nobody else is at work. Any thread. */
size_t sx_ring_count(const sx_ring *r);

SX_END_DECLS

#endif
