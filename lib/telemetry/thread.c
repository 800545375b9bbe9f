/* thread.c - hands out shard numbers to threads. */
#include "telemetry/thread.h"

#include <sextant/crash.h>

__thread unsigned sx_thread_shard;

/* Process-wide on purpose: see thread.h. Bit n: shard n + 1 is taken. */
static uint64_t taken;      /* atomic */
static unsigned used_below; /* atomic; only rises */

bool sx_telemetry_thread_join(void)
{
    if (sx_thread_shard)
        return true;
    uint64_t seen = __atomic_load_n(&taken, __ATOMIC_RELAXED);
    for (;;) {
        if (seen == UINT64_MAX)
            return false;
        unsigned bit = (unsigned)__builtin_ctzll(~seen);
        /* Acquire: what the shard's earlier owner wrote is ours to add to. */
        if (!__atomic_compare_exchange_n(&taken, &seen, seen | (uint64_t)1 << bit, false,
                                         __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        sx_thread_shard = bit + 1;
        break;
    }
    (void)sx_crash_thread_enter(NULL); /* without one the thread's own stack has to do */
    unsigned want = sx_thread_shard + 1;
    unsigned top = __atomic_load_n(&used_below, __ATOMIC_RELAXED);
    while (top < want && !__atomic_compare_exchange_n(&used_below, &top, want, false,
                                                      __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    return true;
}

void sx_telemetry_thread_leave(void)
{
    if (!sx_thread_shard)
        return;
    sx_crash_thread_leave();
    __atomic_and_fetch(&taken, ~((uint64_t)1 << (sx_thread_shard - 1)), __ATOMIC_RELEASE);
    sx_thread_shard = 0;
}

unsigned sx_thread_shards_used(void)
{
    unsigned top = __atomic_load_n(&used_below, __ATOMIC_ACQUIRE);
    return top ? top : 1;
}
