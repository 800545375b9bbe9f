/* mem_account.h - what a piece of work holds of the heap, counted and bounded.
 *
 * A thread that enters an account has each of its allocations charged to it, and each free given back,
 * until it leaves. What would go beyond the account's limit, or beyond that of the share which many
 * accounts have together, fails as if there were no memory: so every path that survives a failing
 * allocation keeps the limit, whatever room it is in, and nothing there has to count.
 *
 * Several threads may be in one account. A block that another thread frees after the work stays charged
 * until the account is done with; one that was there before and is freed inside lowers the count. Work
 * whose result outlives the question (a cache that is filled) is done outside: enter(NULL) around it.
 *
 * To the share an account is charged by lumps, and keeps what it took until it is settled.
 * lib/base/mem.c counts; observe/api and observe/rpc keep accounts of questions. */
#ifndef SEXTANT_BASE_MEM_ACCOUNT_H
#define SEXTANT_BASE_MEM_ACCOUNT_H

#include <stdatomic.h>

#include <sextant/base.h>

/* What all accounts of a kind may hold together. */
typedef struct sx_mem_share {
    _Atomic int64_t held;
    int64_t max;             /* bytes; 0: no limit */
    _Atomic int64_t settled; /* given back since malloc was last asked to let go of what it keeps */
} sx_mem_share;

typedef enum sx_mem_over {
    SX_MEM_WITHIN,
    SX_MEM_OVER_OWN,   /* an allocation failed at the account's limit */
    SX_MEM_OVER_SHARE, /* one failed as all accounts together were at theirs */
} sx_mem_over;

typedef struct sx_mem_account {
    int64_t max; /* bytes; 0: no limit */
    sx_mem_share *share;
    const char *const *words; /* by sx_mem_over: why, for error messages */
    _Atomic int64_t held;     /* by the work */
    _Atomic int64_t charged;  /* to the share: at least `held` */
    _Atomic int over;         /* sx_mem_over; stays */
} sx_mem_account;

/* `share` may be NULL; `words` lives as long as the account. */
void sx_mem_account_init(sx_mem_account *a, uint64_t max, sx_mem_share *share,
                         const char *const words[SX_MEM_OVER_SHARE + 1]);
/* Puts the calling thread into the account, or (NULL) into none; returns where it was. */
sx_mem_account *sx_mem_account_enter(sx_mem_account *a);
/* The calling thread's; NULL: none. */
sx_mem_account *sx_mem_account_current(void);
/* The work is through: the share gets back all but what is held still. Now and then malloc is made to
 * give to the system what works have freed: each thread's heap would keep the most that it ever had. */
void sx_mem_account_settle(sx_mem_account *a);
/* The share gets back the rest. An account of zeros is allowed. */
void sx_mem_account_done(sx_mem_account *a);

/* Whether an allocation has failed at a limit of the account, and which; NULL: SX_MEM_WITHIN. */
sx_mem_over sx_mem_account_over(const sx_mem_account *a);

/* --- For mem.c. */
/* Charges `bytes`; false: over a limit, nothing is charged. */
bool sx_mem_account_charge(sx_mem_account *a, size_t bytes);
/* A correction that cannot fail: what malloc gave more, or what is freed (below 0). */
void sx_mem_account_adjust(sx_mem_account *a, int64_t bytes);

#endif
