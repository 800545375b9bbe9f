/* budget.c - paying in for the time that went by, and taking one out. */
#include "resilience/budget.h"

enum { WHOLE = 1000 };

void budget_init(budget *b, const budget_options *options, int64_t now_ns)
{
    *b = (budget){
        .filled_ns = now_ns,
        .most = (int64_t)options->most * WHOLE,
        .per_call = options->ratio < 1 ? (int64_t)(options->ratio * WHOLE + 0.5) : WHOLE,
        .per_s = (int64_t)options->per_s * WHOLE,
        .unlimited = options->ratio < 0,
    };
    b->balance = b->per_s < b->most ? b->per_s : b->most;
}

/* One of several threads that come at once pays the time in. */
static void pay_time(budget *b, int64_t now_ns)
{
    static const int64_t SECOND_NS = 1000000000;
    int64_t from = load(&b->filled_ns), past_ns = now_ns - from;
    if (past_ns < SECOND_NS / 100 || b->per_s == 0)
        return;
    int64_t paid = past_ns / SECOND_NS >= b->most / b->per_s + 1
                       ? b->most
                       : past_ns / 1000 * b->per_s / (SECOND_NS / 1000);
    if (__atomic_compare_exchange_n(&b->filled_ns, &from, now_ns, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
        add_return(&b->balance, paid);
}

bool budget_spend(budget *b, int64_t now_ns)
{
    if (b->unlimited)
        return true;
    pay_time(b, now_ns);
    int64_t seen = load(&b->balance);
    while (seen >= WHOLE) {
        int64_t left = (seen < b->most ? seen : b->most) - WHOLE;
        if (exchange_if(&b->balance, &seen, left))
            return true;
    }
    return false;
}
