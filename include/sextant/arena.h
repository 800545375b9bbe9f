/* arena.h - memory that is freed all at once.
 *
 * A request, a query, a parsed file each own one. Allocation bumps a pointer in the newest chunk;
 * there is no free of a single thing. One thread at a time. */
#ifndef SEXTANT_ARENA_H
#define SEXTANT_ARENA_H

#include <sextant/str.h>

SX_BEGIN_DECLS

typedef struct sx_arena_chunk sx_arena_chunk;

typedef struct sx_arena {
    char *at;               /* next free byte of the newest chunk */
    char *end;              /* its end */
    sx_arena_chunk *chunks; /* newest first */
    size_t chunk_bytes;     /* size of a usual chunk */
    size_t used_bytes;      /* sum of all chunks, as counted against max_bytes */
    size_t max_bytes;       /* 0: no limit */
} sx_arena;

/* An arena that takes `chunk_bytes` from the heap at a time (0: 4096; bigger requests get a chunk of
 * their own) and at most `max_bytes` (0: any) in all. Takes nothing yet. */
void sx_arena_init(sx_arena *a, size_t chunk_bytes, size_t max_bytes);

/* Frees everything. */
void sx_arena_done(sx_arena *a);

/* Forgets everything but keeps one usual chunk for the next round. */
void sx_arena_reset(sx_arena *a);

/* The rare half of sx_arena_alloc: takes a new chunk. `bytes` is a multiple of 8. */
void *sx_arena_alloc_slow(sx_arena *a, size_t bytes);

/* `bytes`, aligned to 8, not zeroed; NULL when memory or max_bytes ran out. */
static inline void *sx_arena_alloc(sx_arena *a, size_t bytes)
{
    if (sx_unlikely(bytes > (size_t)PTRDIFF_MAX - 7))
        return NULL;
    size_t rounded = (bytes + 7) & ~(size_t)7;
    if (sx_likely(rounded <= (size_t)(a->end - a->at) && a->at)) {
        void *p = a->at;
        a->at += rounded;
        return p;
    }
    return sx_arena_alloc_slow(a, rounded);
}

/* The same, zeroed; `count` elements of `size` bytes. NULL too if the product overflows. */
void *sx_arena_calloc(sx_arena *a, size_t count, size_t size);

/* Grows a vector in the arena to at least `need` elements, doubling; the old one is left to the
 * arena. As sx_grow(). */
bool sx_arena_grow(sx_arena *a, void *items, size_t *cap, size_t need, size_t size) SX_MUST_USE;

/* A copy of `s` in the arena, with a NUL after it that is not counted. On failure data is NULL and
 * len 0 (a copy of an empty view has data non-NULL). */
sx_str sx_arena_copy(sx_arena *a, sx_str s);

/* Text as printf(3) makes it, in the arena, NUL after it. data NULL on failure. */
sx_str sx_arena_printf(sx_arena *a, const char *fmt, ...) SX_PRINTF(2, 3);

SX_END_DECLS

#endif
