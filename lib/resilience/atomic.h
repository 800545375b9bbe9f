/* atomic.h - short names for the few atomic operations that this room's hot paths are made of.
 *
 * Relaxed unless the name says otherwise: breakers, limits and bulkheads are numbers that many
 * threads move; what must be seen in order says so with _acquire and _release. */
#ifndef SEXTANT_RESILIENCE_ATOMIC_H
#define SEXTANT_RESILIENCE_ATOMIC_H

#include <sched.h>

#include <sextant/base.h>
#include <sextant/mem.h>

#define load(p)             __atomic_load_n((p), __ATOMIC_RELAXED)
#define load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store(p, v)         __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define add_return(p, v)    __atomic_add_fetch((p), (v), __ATOMIC_RELAXED)

/* Replaces *p if it still is *seen; else *seen is what it is now. Acquire and release. */
#define exchange_if(p, seen, next)                                                                 \
    __atomic_compare_exchange_n((p), (seen), (next), true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

/* Doubles, which the _n forms do not take. */
static inline double load_double(const double *p)
{
    double value;
    __atomic_load(p, &value, __ATOMIC_RELAXED);
    return value;
}

static inline void store_double(double *p, double value)
{
    __atomic_store(p, &value, __ATOMIC_RELAXED);
}

/* A little rest between two looks at a lock: after some the processor is given away, so that a
 * holder that was put to sleep can finish. */
static inline void spin_rest(unsigned *spins)
{
    if (++*spins % 64 == 0)
        sched_yield();
#if defined(__x86_64__) || defined(__i386__)
    else
        __builtin_ia32_pause();
#endif
}

enum { CACHE_LINE = 64 };

/* `bytes` zeroed, at the start of a cache line; *block is what sx_free takes. NULL: no memory. */
static inline void *line_alloc(size_t bytes, void **block)
{
    if (bytes > SIZE_MAX - CACHE_LINE || !(*block = sx_calloc(1, bytes + CACHE_LINE)))
        return NULL;
    return (void *)(((uintptr_t)*block + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1));
}

#endif
