/* mem_account.c - charging accounts and their shares. See mem_account.h. */
#include "base/mem_account.h"

#include <malloc.h>

#include "base/heap_profile.h"

enum { LUMP_BYTES = 256 << 10, TRIM_BYTES = 64 << 20 };

/* The thread's own. */
static __thread sx_mem_account *current __attribute__((tls_model("initial-exec")));

void sx_mem_account_init(sx_mem_account *a, uint64_t max, sx_mem_share *share,
                         const char *const words[SX_MEM_OVER_SHARE + 1])
{
    *a = (sx_mem_account){
        .max = max > INT64_MAX ? INT64_MAX : (int64_t)max, .share = share, .words = words};
    __atomic_fetch_or(&sx_mem_duties, SX_MEM_ACCOUNTS, __ATOMIC_RELAXED);
}

sx_mem_account *sx_mem_account_enter(sx_mem_account *a)
{
    sx_mem_account *before = current;
    current = a;
    return before;
}

sx_mem_account *sx_mem_account_current(void)
{
    return current;
}

static int64_t give_back(sx_mem_account *a, int64_t keep)
{
    int64_t was = atomic_exchange(&a->charged, keep);
    if (a->share)
        atomic_fetch_sub(&a->share->held, was - keep);
    return was - keep;
}

void sx_mem_account_settle(sx_mem_account *a)
{
    int64_t held = atomic_load(&a->held), charged = atomic_load(&a->charged);
    if (held >= charged)
        return;
    int64_t back = give_back(a, held > 0 ? held : 0);
    if (!a->share || atomic_fetch_add(&a->share->settled, back) + back < TRIM_BYTES)
        return;
    atomic_store(&a->share->settled, 0);
    malloc_trim(0);
}

void sx_mem_account_done(sx_mem_account *a)
{
    give_back(a, 0);
    atomic_store(&a->held, 0);
}

sx_mem_over sx_mem_account_over(const sx_mem_account *a)
{
    return a ? (sx_mem_over)atomic_load_explicit(&a->over, memory_order_relaxed) : SX_MEM_WITHIN;
}

/* Charges the share so that it covers `held`. Several threads may do so at once: who comes second
 * gives back what it took. */
static bool charge_share(sx_mem_account *a, int64_t held)
{
    int64_t charged = atomic_load_explicit(&a->charged, memory_order_relaxed);
    while (held > charged) {
        int64_t lump = held - charged > LUMP_BYTES ? held - charged : LUMP_BYTES;
        int64_t all = atomic_fetch_add(&a->share->held, lump) + lump;
        if (a->share->max && all > a->share->max) {
            atomic_fetch_sub(&a->share->held, lump);
            return false;
        }
        if (atomic_compare_exchange_strong(&a->charged, &charged, charged + lump))
            break;
        atomic_fetch_sub(&a->share->held, lump);
    }
    return true;
}

bool sx_mem_account_charge(sx_mem_account *a, size_t bytes)
{
    int64_t more = bytes > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)bytes;
    int64_t held = atomic_fetch_add_explicit(&a->held, more, memory_order_relaxed) + more;
    sx_mem_over over = a->max && held > a->max              ? SX_MEM_OVER_OWN
                       : a->share && !charge_share(a, held) ? SX_MEM_OVER_SHARE
                                                            : SX_MEM_WITHIN;
    if (sx_likely(over == SX_MEM_WITHIN))
        return true;
    atomic_fetch_sub_explicit(&a->held, more, memory_order_relaxed);
    atomic_store_explicit(&a->over, over, memory_order_relaxed);
    return false;
}

void sx_mem_account_adjust(sx_mem_account *a, int64_t bytes)
{
    atomic_fetch_add_explicit(&a->held, bytes, memory_order_relaxed);
}
