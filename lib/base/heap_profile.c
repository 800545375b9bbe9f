/* heap_profile.c - samples of the heap: see heap_profile.h.
 *
 * Two tables. A site is a call stack with its sums; sites are never removed, so readers walk their list
 * without a lock. A block is a sample that is in use, in the bucket of its address; a bucket's bit in
 * the filter is set while it holds any. Blocks come and go under one of 64 locks, sums change under
 * one. All of it runs once in `mean` bytes, so none of it is hot. */
#include "base/heap_profile.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include <sextant/random.h>

#include "base/frames.h"

enum {
    BUCKETS = 1 << SX_HEAP_SLOTS_LOG,
    STRIPES = 64,
    SITE_BUCKETS = 16384,
    CHUNK_BYTES = 1 << 18
};

/* Objects are counted in parts: a sample may stand for four and a half. */
enum { OBJECT_PARTS = 1024 };

typedef struct site {
    struct site *next;      /* in its bucket */
    struct site *next_made; /* in the list of all */
    uint64_t hash;
    int64_t alloc_parts, alloc_bytes, freed_parts, freed_bytes; /* under heap.sites_lock */
    unsigned depth;
    uintptr_t pcs[];
} site;

struct sx_heap_block {
    sx_heap_block *next; /* in its bucket, or in the list of free ones */
    const void *ptr;
    site *at;
    int64_t parts, bytes; /* what it stands for */
};

typedef struct stripe {
    _Alignas(64) pthread_mutex_t lock;
} stripe;

/* The allocator is the process's, and so is this. Buckets are pages of zeros until they are used. */
static struct {
    uint64_t mean; /* atomic */
    stripe stripes[STRIPES];
    sx_heap_block *blocks[BUCKETS]; /* each under the lock of its number modulo STRIPES */
    pthread_mutex_t sites_lock;
    site *sites[SITE_BUCKETS];
    site *made; /* atomic: the newest */
    size_t site_count;
    pthread_mutex_t memory_lock;
    sx_heap_block *free_blocks;
    char *chunk, *chunk_end;
    uint64_t lost; /* atomic */
} heap = {
    .stripes = {[0 ... STRIPES - 1] = {PTHREAD_MUTEX_INITIALIZER}},
    .sites_lock = PTHREAD_MUTEX_INITIALIZER,
    .memory_lock = PTHREAD_MUTEX_INITIALIZER,
};

uint64_t sx_heap_filter[BUCKETS / 64];

/* A thread's own: nothing of a request is in it. */
__thread int64_t sx_heap_left;
static __thread struct {
    bool drawn;          /* sx_heap_left was drawn, not what a thread begins with */
    uintptr_t stack_end; /* 0: not asked for yet */
    sx_random random;
} own;

/* ---- memory ---- */

/* `bytes` for good; NULL if there is none. Under memory_lock. */
static void *take_memory(size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    if ((size_t)(heap.chunk_end - heap.chunk) < bytes) {
        void *chunk =
            mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (chunk == MAP_FAILED)
            return NULL;
        heap.chunk = (char *)chunk;
        heap.chunk_end = heap.chunk + CHUNK_BYTES;
    }
    void *taken = heap.chunk;
    heap.chunk += bytes;
    return taken;
}

static sx_heap_block *new_block(void)
{
    pthread_mutex_lock(&heap.memory_lock);
    sx_heap_block *b = heap.free_blocks;
    if (b)
        heap.free_blocks = b->next;
    else
        b = (sx_heap_block *)take_memory(sizeof(*b));
    pthread_mutex_unlock(&heap.memory_lock);
    return b;
}

static void free_block(sx_heap_block *b)
{
    pthread_mutex_lock(&heap.memory_lock);
    b->next = heap.free_blocks;
    heap.free_blocks = b;
    pthread_mutex_unlock(&heap.memory_lock);
}

/* ---- sites ---- */

static uint64_t hash_of(const uintptr_t *pcs, size_t depth)
{
    uint64_t hash = depth;
    for (size_t i = 0; i < depth; i++)
        hash = (hash ^ hash >> 29 ^ pcs[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/* The site of that stack, made if it is new; the last one that may be made stands for all others. Under
 * sites_lock. NULL without memory. */
static site *find_site(const uintptr_t *pcs, size_t depth)
{
    if (heap.site_count >= SX_HEAP_SITES_MAX - 1)
        depth = 0;
    uint64_t hash = hash_of(pcs, depth);
    site **bucket = &heap.sites[hash % SITE_BUCKETS];
    for (site *s = *bucket; s; s = s->next)
        if (s->hash == hash && s->depth == depth && memcmp(s->pcs, pcs, depth * sizeof(*pcs)) == 0)
            return s;
    pthread_mutex_lock(&heap.memory_lock);
    site *s = (site *)take_memory(sizeof(*s) + depth * sizeof(*pcs));
    pthread_mutex_unlock(&heap.memory_lock);
    if (!s)
        return NULL;
    *s = (site){.next = *bucket, .next_made = heap.made, .hash = hash, .depth = (unsigned)depth};
    memcpy(s->pcs, pcs, depth * sizeof(*pcs));
    *bucket = s;
    heap.site_count++;
    __atomic_store_n(&heap.made, s, __ATOMIC_RELEASE);
    return s;
}

/* ---- blocks ---- */

static void link_block(sx_heap_block *b)
{
    uint32_t slot = sx_heap_slot(b->ptr);
    pthread_mutex_t *lock = &heap.stripes[slot % STRIPES].lock;
    pthread_mutex_lock(lock);
    b->next = heap.blocks[slot];
    heap.blocks[slot] = b;
    /* Whoever frees the block got its address from this thread, after this. */
    __atomic_fetch_or(&sx_heap_filter[slot / 64], UINT64_C(1) << slot % 64, __ATOMIC_RELAXED);
    pthread_mutex_unlock(lock);
}

sx_heap_block *sx_heap_take(const void *ptr)
{
    uint32_t slot = sx_heap_slot(ptr);
    pthread_mutex_t *lock = &heap.stripes[slot % STRIPES].lock;
    pthread_mutex_lock(lock);
    sx_heap_block **at = &heap.blocks[slot];
    while (*at && (*at)->ptr != ptr)
        at = &(*at)->next;
    sx_heap_block *b = *at;
    if (b)
        *at = b->next;
    if (!heap.blocks[slot])
        __atomic_fetch_and(&sx_heap_filter[slot / 64], ~(UINT64_C(1) << slot % 64),
                           __ATOMIC_RELAXED);
    pthread_mutex_unlock(lock);
    return b;
}

void sx_heap_forget(sx_heap_block *b)
{
    pthread_mutex_lock(&heap.sites_lock);
    b->at->freed_parts += b->parts;
    b->at->freed_bytes += b->bytes;
    pthread_mutex_unlock(&heap.sites_lock);
    free_block(b);
}

void sx_heap_put_back(sx_heap_block *b)
{
    link_block(b);
}

/* Where this thread's stack ends. Asked once: for the main thread the answer is read from /proc. */
static uintptr_t stack_end(void)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return 0;
    if (pthread_attr_getstack(&attr, &low, &size) != 0)
        size = 0;
    pthread_attr_destroy(&attr);
    return (uintptr_t)low + size;
}

/* Bytes until the next sample: exponential, so that how long ago the last one was says nothing. */
static int64_t draw_gap(uint64_t mean)
{
    double gap = -log(1 - sx_random_double(&own.random)) * (double)mean;
    return gap < 0x1p60 ? (int64_t)gap : INT64_C(1) << 60;
}

static void keep(const void *ptr, size_t bytes, uint64_t mean, const uintptr_t *pcs, size_t depth)
{
    double stands_for = 1 / -expm1(-(double)bytes / (double)mean);
    sx_heap_block *b = new_block();
    site *s = NULL;
    if (b) {
        *b = (sx_heap_block){.ptr = ptr,
                             .parts = (int64_t)(stands_for * OBJECT_PARTS + 0.5),
                             .bytes = (int64_t)(stands_for * (double)bytes + 0.5)};
        pthread_mutex_lock(&heap.sites_lock);
        s = find_site(pcs, depth);
        if (s) {
            s->alloc_parts += b->parts;
            s->alloc_bytes += b->bytes;
        }
        pthread_mutex_unlock(&heap.sites_lock);
    }
    if (!s) {
        __atomic_add_fetch(&heap.lost, 1, __ATOMIC_RELAXED);
        if (b)
            free_block(b);
        return;
    }
    b->at = s;
    /* A block whose free went past us (a library's own free) has left its sample at this address. */
    sx_heap_block *stale = sx_heap_maybe(ptr) ? sx_heap_take(ptr) : NULL;
    if (stale)
        sx_heap_forget(stale);
    link_block(b);
}

SX_COLD void *sx_heap_sample(void *ptr, size_t bytes)
{
    uint64_t mean = sx_heap_profile_mean();
    if (mean == 0) { /* turned off this moment; drawn anew when it is turned on */
        own.drawn = false;
        sx_heap_left = 0;
        return ptr;
    }
    if (!own.drawn) {
        own.drawn = true;
        if (!own.stack_end) {
            own.stack_end = stack_end();
            sx_random_init(&own.random);
        }
        sx_heap_left += draw_gap(mean);
        if (sx_heap_left >= 0)
            return ptr;
    }
    sx_heap_left = draw_gap(mean);
    if (!ptr)
        return ptr;
    uintptr_t pcs[SX_HEAP_FRAMES];
    size_t depth =
        sx_frames_walk((uintptr_t)__builtin_frame_address(0), own.stack_end, pcs, SX_HEAP_FRAMES);
    if (depth == 0)
        pcs[depth++] = (uintptr_t)__builtin_return_address(0);
    keep(ptr, bytes ? bytes : 1, mean, pcs, depth);
    return ptr;
}

/* ---- for those who read and set ---- */

void sx_heap_profile_set(uint64_t mean_bytes)
{
    __atomic_store_n(&heap.mean, mean_bytes, __ATOMIC_RELAXED);
    if (mean_bytes)
        __atomic_fetch_or(&sx_mem_duties, SX_MEM_SAMPLE | SX_MEM_SAMPLED, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&sx_mem_duties, ~(unsigned)SX_MEM_SAMPLE, __ATOMIC_RELAXED);
}

uint64_t sx_heap_profile_mean(void)
{
    return __atomic_load_n(&heap.mean, __ATOMIC_RELAXED);
}

static int64_t objects_of(int64_t parts)
{
    return (parts + OBJECT_PARTS / 2) / OBJECT_PARTS;
}

void sx_heap_sites(void (*each)(void *ctx, const sx_heap_site *site), void *ctx)
{
    for (site *s = __atomic_load_n(&heap.made, __ATOMIC_ACQUIRE); s; s = s->next_made) {
        pthread_mutex_lock(&heap.sites_lock);
        sx_heap_site seen = {.pcs = s->pcs,
                             .depth = s->depth,
                             .alloc_objects = objects_of(s->alloc_parts),
                             .alloc_bytes = s->alloc_bytes,
                             .inuse_objects = objects_of(s->alloc_parts - s->freed_parts),
                             .inuse_bytes = s->alloc_bytes - s->freed_bytes};
        pthread_mutex_unlock(&heap.sites_lock);
        each(ctx, &seen); /* without the lock: it may allocate */
    }
}

uint64_t sx_heap_lost(void)
{
    return __atomic_load_n(&heap.lost, __ATOMIC_RELAXED);
}
