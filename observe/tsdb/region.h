/* region.h - the memory of a head's shard: one piece of address space with 32-bit handles.
 *
 * A shard reserves address space once and commits it from the front as it grows, so nothing in it
 * ever moves and a handle (offset / 8) takes half of a pointer. Blocks come in size classes, four to
 * an octave, with a free list each; a block's size is the caller's to remember (most can tell it from
 * what is in the block), so there is no header. A handle says nothing of where the region lies, so it can be written to a
 * file as it is and be mapped again. The shard's lock guards it. */
#ifndef OBSERVE_TSDB_REGION_H
#define OBSERVE_TSDB_REGION_H

#include <sextant/error.h>

enum { TSDB_REGION_GRANULE = 8, TSDB_REGION_CLASSES = 128 };

/* 0 is no block. */
typedef uint32_t tsdb_handle;

typedef struct tsdb_region {
    uint8_t *base;
    uint64_t reserved, committed, used; /* bytes; used: given out or in a free list */
    uint64_t live;                      /* given out now */
    uint64_t bytes_max;                 /* 0: all that is reserved */
    tsdb_handle free[TSDB_REGION_CLASSES];
} tsdb_region;

/* Reserves up to `reserve_bytes` (less if the system gives less; no memory is used). */
sx_status tsdb_region_init(tsdb_region *r, uint64_t reserve_bytes, sx_error *err);
void tsdb_region_done(tsdb_region *r);

/* A block of at least `bytes`, 8-aligned, its contents undefined; 0 if there is no memory. */
tsdb_handle tsdb_region_alloc(tsdb_region *r, size_t bytes) SX_MUST_USE;

/* Gives a block back; `bytes` as it was asked for. Handle 0 is allowed. */
void tsdb_region_free(tsdb_region *r, tsdb_handle h, size_t bytes);

/* How many bytes a block asked for with `bytes` has. */
size_t tsdb_region_size(size_t bytes);

/* Commits the first `bytes`, which are then plain zeroed memory: for a region used as one array.
 * False if there is no memory. */
bool tsdb_region_commit(tsdb_region *r, uint64_t bytes) SX_MUST_USE;

/* Puts the file's `bytes` at `offset`, on a page, in the place of the first bytes of an empty region;
 * what is written to them stays private. False if the system does not let us; the region is then
 * still empty. */
bool tsdb_region_adopt(tsdb_region *r, int fd, uint64_t offset, uint64_t bytes) SX_MUST_USE;

/* Makes `bytes` of an adopted region from `at` on the process's own now, in one go: that they are
 * written to one by one costs each an interruption of all cores. Only a hint. */
void tsdb_region_own(tsdb_region *r, uint64_t at, uint64_t bytes);

static inline void *tsdb_region_at(const tsdb_region *r, tsdb_handle h)
{
    return r->base + (uint64_t)h * TSDB_REGION_GRANULE;
}

#endif
