/* limiter_rules.h - the arithmetic of one rule on one key's cell: no table, no lock, no clock.
 *
 * A token bucket is kept as one number (GCRA, the leaky bucket as a meter): `at`, the moment
 * when the bucket is full again. A request of `cost` moves it on by cost * step_ns; it may lie
 * at most room_ns ahead of now. Source: ATM Forum, Traffic Management 4.1, section 4.4.2
 * (virtual scheduling).
 *
 * A sliding window is the count since `at` and that of the period before it, which weighs as
 * much as is left of it within the last period. limiter.h states both formulas for stores that
 * share them. */
#ifndef SEXTANT_RESILIENCE_LIMITER_RULES_H
#define SEXTANT_RESILIENCE_LIMITER_RULES_H

#include <sextant/limiter.h>

/* A key's state under one rule. Zeroed: nothing used. Monotonic nanoseconds. */
typedef struct limiter_cell {
    int64_t at;       /* token bucket: when it is whole again; window: when it began */
    uint32_t current; /* window: counted since `at` */
    uint32_t before;  /* window: counted in the period before */
} limiter_cell;

/* A rule made ready to compute with. */
typedef struct limiter_rule {
    sx_rate rate; /* burst filled in */
    int64_t step_ns, room_ns, period_ns;
    double per_period; /* 1 / period_ns */
    double per_step;   /* 1 / step_ns */
} limiter_rule;

/* What a cell says to a cost. */
typedef struct limiter_verdict {
    bool allowed;
    uint64_t remaining; /* now, with nothing taken yet */
    int64_t wait_ns;    /* refused: until it would pass; INT64_MAX: never */
} limiter_verdict;

enum { LIMITER_NS_PER_MS = 1000000 };

/* Checks a rate and fills `out`. Errors: SX_EINVAL. */
sx_status limiter_rule_make(const sx_rate *rate, limiter_rule *out, sx_error *err);

/* The window's cell as it is at `now`: begins a new period where one is over. */
static inline void limiter_cell_turn(const limiter_rule *r, limiter_cell *c, int64_t now)
{
    int64_t age = now - c->at;
    if (sx_likely(age < r->period_ns && c->at != 0))
        return;
    bool is_next = age < 2 * r->period_ns && c->at != 0; /* 0: never used, it begins now */
    c->before = is_next ? c->current : 0;
    c->at = is_next ? c->at + r->period_ns : now;
    c->current = 0;
}

/* How much of a window is used at `now`; the cell has been turned. */
static inline double limiter_window_used(const limiter_rule *r, const limiter_cell *c, int64_t now)
{
    return c->current + c->before * (1 - (double)(now - c->at) * r->per_period);
}

/* Until `cost` would pass in a window that refused it. */
int64_t limiter_window_wait(const limiter_rule *r, const limiter_cell *c, int64_t now,
                            uint32_t cost);

/* Whether `cost` may pass. HOT. */
static inline limiter_verdict limiter_cell_ask(const limiter_rule *r, limiter_cell *c, int64_t now,
                                               uint32_t cost)
{
    limiter_verdict v = {0};
    if (r->rate.kind == SX_RATE_TOKEN_BUCKET) {
        int64_t free_ns = now + r->room_ns - (c->at > now ? c->at : now);
        if (sx_unlikely(free_ns < 0)) /* another thread, which read the clock later, was first */
            free_ns = 0;
        v.allowed = cost <= r->rate.burst && (int64_t)cost * r->step_ns <= free_ns;
        int64_t whole = (int64_t)((double)free_ns * r->per_step); /* a division, cheaper */
        whole += (whole + 1) * r->step_ns <= free_ns;
        whole -= whole * r->step_ns > free_ns;
        v.remaining = (uint64_t)whole;
        if (sx_unlikely(!v.allowed))
            v.wait_ns = cost > r->rate.burst ? INT64_MAX : (int64_t)cost * r->step_ns - free_ns;
        return v;
    }
    limiter_cell_turn(r, c, now);
    double used = limiter_window_used(r, c, now), most = r->rate.count;
    v.allowed = used + cost <= most;
    v.remaining = used < most ? (uint64_t)(most - used) : 0;
    if (sx_unlikely(!v.allowed))
        v.wait_ns = limiter_window_wait(r, c, now, cost);
    return v;
}

/* Takes `cost`, whether or not it was allowed; the cell has been asked. HOT. */
static inline void limiter_cell_take(const limiter_rule *r, limiter_cell *c, int64_t now,
                                     uint32_t cost)
{
    if (r->rate.kind == SX_RATE_TOKEN_BUCKET) {
        uint32_t most = cost < r->rate.burst ? cost : r->rate.burst;
        int64_t at = (c->at > now ? c->at : now) + most * r->step_ns;
        c->at = at < now + r->room_ns ? at : now + r->room_ns;
    } else {
        c->current = cost < UINT32_MAX - c->current ? c->current + cost : UINT32_MAX;
    }
}

/* When nothing will be used any more; at most `now`: it is whole. */
static inline int64_t limiter_cell_whole_at(const limiter_rule *r, const limiter_cell *c)
{
    if (r->rate.kind == SX_RATE_TOKEN_BUCKET)
        return c->at;
    return c->current > 0 ? c->at + 2 * r->period_ns : c->before > 0 ? c->at + r->period_ns : 0;
}

/* A cell under `from` carried over to `to`, of the same kind and period. */
void limiter_cell_convert(const limiter_rule *from, const limiter_rule *to, limiter_cell *c,
                          int64_t now);

#endif
