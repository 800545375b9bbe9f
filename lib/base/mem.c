/* mem.c - the allocator's skin and its fault plan. */
#include <sextant/mem.h>

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

/* Written by tests before any thread starts; `calls` and `held` are counts that threads share. */
static struct {
    bool on;
    sx_fault_alloc plan;
    _Atomic int64_t calls;
    _Atomic int64_t held;
} fault;

void sx_fault_alloc_set(sx_fault_alloc plan)
{
    fault.plan = plan;
    fault.calls = 0;
    fault.held = 0;
    fault.on = plan.nth > 0;
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

static void *counted(void *ptr)
{
    if (sx_unlikely(fault.on) && ptr)
        fault.held++;
    return ptr;
}

void *sx_alloc(size_t bytes)
{
    if (sx_unlikely(fault.on) && must_fail())
        return NULL;
    return counted(malloc(bytes ? bytes : 1));
}

void *sx_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || (sx_unlikely(fault.on) && must_fail()))
        return NULL;
    return counted(calloc(count ? count : 1, size ? size : 1));
}

void *sx_realloc(void *ptr, size_t bytes)
{
    if (sx_unlikely(fault.on) && must_fail())
        return NULL;
    void *moved = realloc(ptr, bytes ? bytes : 1);
    return ptr ? moved : counted(moved);
}

void sx_free(void *ptr)
{
    if (sx_unlikely(fault.on) && ptr)
        fault.held--;
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
