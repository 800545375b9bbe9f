/* limiter_share.c - a limiter whose count is shared with other processes, asked without
 * blocking.
 *
 * The local table sees all that this process lets through, so what it refuses the store would
 * refuse, too: the store is asked only about the rest, and when it does not answer the local
 * table decides. */
#include "resilience/limiter_table.h"

#include <sextant/hash.h>

/* Where a question is. The share may answer while it is still being asked, or from another thread:
 * whoever comes second of the asker and the answerer tells the caller. */
enum { PHASE_ASKING, PHASE_WAITING, PHASE_ANSWERED };

static void count_request(sx_limiter *l, bool allowed)
{
    sx_counter_add(allowed ? l->allowed : l->refused, 1);
}

static bool decide_here(sx_limiter *l, uint64_t hash, uint32_t cost, sx_limit_answer *answer)
{
    bool allowed = limiter_decide(l, hash, cost, LIMITER_TAKE, answer);
    count_request(l, allowed);
    return allowed;
}

bool sx_limiter_take_async(sx_limiter *l, sx_str key, uint32_t cost, sx_limiter_wait *w,
                           sx_limit_answer *answer, sx_limit_source *source)
{
    uint64_t hash = sx_hash(key, l->seed);
    *source = SX_LIMIT_LOCAL;
    if (!l->share.take) {
        decide_here(l, hash, cost, answer);
        return true;
    }
    if (!limiter_decide(l, hash, cost, LIMITER_ASK, answer)) {
        count_request(l, false);
        return true;
    }
    limiter_public seen;
    limiter_public_read(l, &seen);
    w->limiter = l;
    w->hash = hash;
    w->cost = cost;
    store_release(&w->phase, PHASE_ASKING);
    if (!l->share.take(l->share.ctx, sx_str_z(l->name), key, cost, seen.rates, seen.count,
                       l->share.timeout_ms, w)) {
        sx_counter_add(l->shared[SHARE_AWAY], 1);
        *source = SX_LIMIT_FALLBACK;
        decide_here(l, hash, cost, answer);
        return true;
    }
    if (__atomic_exchange_n(&w->phase, PHASE_WAITING, __ATOMIC_ACQ_REL) == PHASE_ASKING)
        return false;
    *answer = w->answer;
    *source = w->source;
    return true;
}

void sx_limiter_answered(sx_limiter_wait *w, const sx_limit_answer *answer)
{
    sx_limiter *l = w->limiter;
    sx_counter_add(l->shared[answer ? SHARE_ANSWERED : SHARE_FAILED], 1);
    if (answer) {
        w->answer = *answer;
        w->source = SX_LIMIT_SHARED;
        count_request(l, answer->allowed);
        if (answer->allowed)
            limiter_decide(l, w->hash, w->cost, LIMITER_CHARGE, NULL);
    } else {
        w->source = SX_LIMIT_FALLBACK;
        decide_here(l, w->hash, w->cost, &w->answer);
    }
    if (__atomic_exchange_n(&w->phase, PHASE_ANSWERED, __ATOMIC_ACQ_REL) == PHASE_WAITING) {
        sx_limit_answer copy = w->answer; /* done may free w */
        w->done(w, &copy, w->source);
    }
}

void sx_limiter_cancel(sx_limiter_wait *w)
{
    w->limiter->share.cancel(w->limiter->share.ctx, w);
}
