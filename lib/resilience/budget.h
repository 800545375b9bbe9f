/* budget.h - how many extra calls may be made: the balance behind retries and hedges.
 *
 * Kept in thousandths. Calls raise it, time raises it, an extra call takes a whole one.
 * Lock-free; any thread. While the balance is full (nothing fails) a call only reads it. */
#ifndef SEXTANT_RESILIENCE_BUDGET_H
#define SEXTANT_RESILIENCE_BUDGET_H

#include <sextant/clock.h>

#include "resilience/atomic.h"

typedef struct budget {
    int64_t balance;   /* thousandths; 0 to most and a little */
    int64_t filled_ns; /* up to when time has been paid in */
    int64_t most, per_call, per_s;
    bool unlimited;
} __attribute__((aligned(CACHE_LINE))) budget;

typedef struct budget_options {
    double ratio; /* below 0: no limit */
    uint32_t per_s, most;
} budget_options;

/* Starts with one second's worth. */
void budget_init(budget *b, const budget_options *options, int64_t now_ns);

/* A call is made. HOT. */
static inline void budget_earn(budget *b)
{
    if (load(&b->balance) < b->most)
        add_return(&b->balance, b->per_call);
}

/* Takes one if there is one. */
bool budget_spend(budget *b, int64_t now_ns);

#endif
