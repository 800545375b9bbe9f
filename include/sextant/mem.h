/* mem.h - the allocator that everything in Sextant calls.
 *
 * A thin skin over malloc so that a test can make the n-th call fail (lib/base/fault.h) and the
 * heap in use can be counted. Code calls these, never malloc: `make lint` enforces it. */
#ifndef SEXTANT_MEM_H
#define SEXTANT_MEM_H

#include <sextant/base.h>

SX_BEGIN_DECLS

/* `bytes` of heap, not zeroed; NULL if there is none. bytes 0 gives a unique pointer. Any thread. */
void *sx_alloc(size_t bytes) __attribute__((malloc, alloc_size(1)));

/* `count` elements of `size` bytes, zeroed; NULL if there is none or the product overflows. */
void *sx_calloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));

/* `ptr` grown or shrunk to `bytes` as realloc(3); on NULL the old block is still there. */
void *sx_realloc(void *ptr, size_t bytes) __attribute__((alloc_size(2)));

/* Gives back what the three above gave; NULL is allowed. */
void sx_free(void *ptr);

/* Grows a vector to hold at least `need` elements of `size` bytes: doubles *cap (at least 8).
 *   items   address of the vector's pointer; it may move
 *   cap     its capacity in elements
 * Returns false, and changes nothing, if there is no memory. */
bool sx_grow(void *items, size_t *cap, size_t need, size_t size) SX_MUST_USE;

SX_END_DECLS

#endif
