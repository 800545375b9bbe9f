/* mem.c - the allocator's skin, its fault plan, and where the heap profile and accounts look on.
 *
 * HOT: each call asks one word, sx_mem_duties, whether there is anything to do besides, and nearly
 * always there is not. While the heap is sampled an allocation counts its bytes down and a free asks
 * the filter of heap_profile.h: at most 2 ns for the two. */
#include <sextant/mem.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/heap_profile.h"
#include "base/mem_account.h"

unsigned sx_mem_duties;

/* Written by tests before any thread starts; `calls` and `held` are counts that threads share. */
static struct {
    sx_fault_alloc plan;
    _Atomic int64_t calls;
    _Atomic int64_t held;
} fault;

void sx_fault_alloc_set(sx_fault_alloc plan)
{
    fault.plan = plan;
    fault.calls = 0;
    fault.held = 0;
    if (plan.nth > 0)
        __atomic_fetch_or(&sx_mem_duties, SX_MEM_FAULTS, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&sx_mem_duties, ~(unsigned)SX_MEM_FAULTS, __ATOMIC_RELAXED);
}

int64_t sx_fault_alloc_calls(void)
{
    return fault.calls;
}

int64_t sx_fault_alloc_held(void)
{
    return fault.held;
}

/* Whether this call is the one to fail. */
static SX_COLD bool must_fail(void)
{
    int64_t call = ++fault.calls;
    return call == fault.plan.nth || (fault.plan.and_after && call > fault.plan.nth);
}

static inline unsigned duties(void)
{
    return __atomic_load_n(&sx_mem_duties, __ATOMIC_RELAXED);
}

/* The account that the thread is in, if any. */
static inline sx_mem_account *account_of(unsigned duty)
{
    return sx_unlikely(duty & SX_MEM_ACCOUNTS) ? sx_mem_account_current() : NULL;
}

/* What malloc made of `bytes` that were charged: a little more, or nothing. */
static void *counted(sx_mem_account *a, void *ptr, size_t bytes)
{
    sx_mem_account_adjust(a, (ptr ? (int64_t)malloc_usable_size(ptr) : 0) - (int64_t)bytes);
    return ptr;
}

/* A new block that is about to be given out (NULL: there was none). */
static inline void *given(void *ptr, size_t bytes, unsigned duty)
{
    if (sx_likely(!duty))
        return ptr;
    if (sx_unlikely(duty & SX_MEM_FAULTS) && ptr)
        fault.held++;
    if ((duty & SX_MEM_SAMPLE) && sx_unlikely((sx_heap_left -= (int64_t)bytes) < 0))
        return sx_heap_sample(ptr, bytes);
    return ptr;
}

void *sx_alloc(size_t bytes)
{
    unsigned duty = duties();
    if (sx_unlikely(duty & SX_MEM_FAULTS) && must_fail())
        return NULL;
    bytes = bytes ? bytes : 1;
    sx_mem_account *a = account_of(duty);
    if (a && !sx_mem_account_charge(a, bytes))
        return NULL;
    void *ptr = malloc(bytes);
    return given(a ? counted(a, ptr, bytes) : ptr, bytes, duty);
}

void *sx_calloc(size_t count, size_t size)
{
    unsigned duty = duties();
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) ||
        (sx_unlikely(duty & SX_MEM_FAULTS) && must_fail()))
        return NULL;
    sx_mem_account *a = account_of(duty);
    if (a && !sx_mem_account_charge(a, bytes))
        return NULL;
    void *ptr = calloc(count ? count : 1, size ? size : 1);
    return given(a ? counted(a, ptr, bytes) : ptr, bytes ? bytes : 1, duty);
}

/* To the profile it is a new block of `bytes`, and the old one is freed, as soon as it has moved: the
 * sample is taken away before, since the old address may be another thread's at once. */
static SX_COLD void *resize_watched(void *ptr, size_t bytes, unsigned duty)
{
    sx_heap_block *sampled = ptr && sx_heap_maybe(ptr) ? sx_heap_take(ptr) : NULL;
    void *moved = realloc(ptr, bytes);
    if (sampled && moved)
        sx_heap_forget(sampled);
    else if (sampled)
        sx_heap_put_back(sampled);
    return given(moved, bytes, ptr ? duty & ~(unsigned)SX_MEM_FAULTS : duty);
}

void *sx_realloc(void *ptr, size_t bytes)
{
    unsigned duty = duties();
    if (sx_unlikely(duty & SX_MEM_FAULTS) && must_fail())
        return NULL;
    bytes = bytes ? bytes : 1;
    if (sx_likely(!duty))
        return realloc(ptr, bytes);
    sx_mem_account *a = account_of(duty);
    if (!a)
        return resize_watched(ptr, bytes, duty);
    size_t old = ptr ? malloc_usable_size(ptr) : 0, more = bytes > old ? bytes - old : 0;
    if (!sx_mem_account_charge(a, more))
        return NULL;
    void *moved = resize_watched(ptr, bytes, duty);
    size_t now = moved ? malloc_usable_size(moved) : old;
    sx_mem_account_adjust(a, (int64_t)now - (int64_t)old - (int64_t)more);
    return moved;
}

static SX_COLD void free_sampled(void *ptr)
{
    sx_heap_block *sampled = sx_heap_take(ptr);
    if (sampled)
        sx_heap_forget(sampled);
    free(ptr);
}

void sx_free(void *ptr)
{
    unsigned duty = duties();
    if (sx_unlikely(duty)) {
        if ((duty & SX_MEM_FAULTS) && ptr)
            fault.held--;
        sx_mem_account *a = account_of(duty);
        if (a && ptr)
            sx_mem_account_adjust(a, -(int64_t)malloc_usable_size(ptr));
        if ((duty & SX_MEM_SAMPLED) && sx_unlikely(sx_heap_maybe(ptr))) {
            free_sampled(ptr);
            return;
        }
    }
    free(ptr);
}

bool sx_grow(void *items, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return true;
    size_t want = *cap < 8 ? 8 : *cap;
    while (want < need) {
        if (__builtin_mul_overflow(want, 2u, &want))
            return false;
    }
    size_t bytes;
    void *old;
    memcpy(&old, items, sizeof(old));
    if (__builtin_mul_overflow(want, size, &bytes))
        return false;
    void *moved = sx_realloc(old, bytes);
    if (!moved)
        return false;
    memcpy(items, &moved, sizeof(moved));
    *cap = want;
    return true;
}
