/* heap_profile.h - which code holds the heap: a sample of the blocks that sx_alloc gives out.
 *
 * Each thread counts down the bytes that it asks for; the block that takes the count below zero is a
 * sample, and the next count is drawn from an exponential distribution. So a byte is as likely to be
 * sampled as any other, on average one in `mean`, whatever the pattern of sizes: a block of s bytes
 * with the chance 1 - exp(-s / mean). What a sample stands for (the inverse of that) is kept with it,
 * so that all sums here are estimates of the whole heap and nobody has to scale them again.
 *
 * A sampled block is found again at its free by a filter of one bit for each hash of an address: a
 * free costs one load of 32 KiB that stay in the nearest caches, and looks further only where a bit is
 * set. With n samples in use that is one free in 262144 / n for nothing.
 *
 * lib/base/mem.c calls the first half, lib/telemetry/profile_heap.c the second. Memory here is mapped,
 * never from sx_alloc, and is not given back: it grows with the samples in use at a time and with the
 * number of different call stacks. */
#ifndef SEXTANT_BASE_HEAP_PROFILE_H
#define SEXTANT_BASE_HEAP_PROFILE_H

#include <sextant/base.h>

/* What mem.c must do besides its work; all bits are clear in a process that neither tests nor
 * profiles. Atomic. */
enum {
    SX_MEM_FAULTS = 1,  /* a fault plan is in force (fault.h) */
    SX_MEM_SAMPLE = 2,  /* blocks are sampled */
    SX_MEM_SAMPLED = 4, /* there may be sampled blocks: set with the first, for good */
    SX_MEM_ACCOUNTS =
        8, /* threads may be in accounts (mem_account.h): set with the first, for good */
};
extern unsigned sx_mem_duties;

enum { SX_HEAP_FRAMES = 48, SX_HEAP_SLOTS_LOG = 18, SX_HEAP_SITES_MAX = 65536 };

typedef struct sx_heap_block sx_heap_block;

/* Bytes until this thread's next sample; its own. */
extern __thread int64_t sx_heap_left __attribute__((tls_model("initial-exec")));

extern uint64_t sx_heap_filter[(1 << SX_HEAP_SLOTS_LOG) / 64];

static inline uint32_t sx_heap_slot(const void *ptr)
{
    return (uint32_t)(((uint64_t)(uintptr_t)ptr >> 4) * UINT64_C(0x9e3779b97f4a7c15) >>
                      (64 - SX_HEAP_SLOTS_LOG));
}

/* Whether the block may have been sampled. HOT: every free while SX_MEM_SAMPLED is set. */
static inline bool sx_heap_maybe(const void *ptr)
{
    uint32_t slot = sx_heap_slot(ptr);
    return __atomic_load_n(&sx_heap_filter[slot / 64], __ATOMIC_RELAXED) >> (slot % 64) & 1;
}

/* The count of this thread has run out at a block of `bytes`: draws the next one and, unless it was the
 * thread's first, keeps the block as a sample, with the stack of the caller. Returns `ptr`. */
void *sx_heap_sample(void *ptr, size_t bytes);

/* Takes the sample of the block off the table before the block is freed or moved; NULL if it has none.
 * Then one of the other two: the block is freed, or it is still where it was. */
sx_heap_block *sx_heap_take(const void *ptr);
void sx_heap_forget(sx_heap_block *block);
void sx_heap_put_back(sx_heap_block *block);

/* ---- for those who read and set ---- */

/* Samples one byte in `mean_bytes` from now on; 0: none any more. What was sampled stays, and is still
 * noticed when it is freed. Any thread. */
void sx_heap_profile_set(uint64_t mean_bytes);

/* The mean now; 0: off. */
uint64_t sx_heap_profile_mean(void);

/* What the code behind one call stack has allocated, as estimated. */
typedef struct sx_heap_site {
    const uintptr_t *pcs; /* return addresses, innermost first; good for the process's life */
    unsigned depth;       /* 0: stacks beyond SX_HEAP_SITES_MAX, together */
    int64_t alloc_objects, alloc_bytes, inuse_objects, inuse_bytes;
} sx_heap_site;

/* Calls `each` for every site so far. Allocating in it is allowed. Any thread. */
void sx_heap_sites(void (*each)(void *ctx, const sx_heap_site *site), void *ctx);

/* Samples that were not kept because the system gave no memory for them. */
uint64_t sx_heap_lost(void);

#endif
