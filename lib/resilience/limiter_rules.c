/* limiter_rules.c - the seldom used half of a rule's arithmetic. */
#include "resilience/limiter_rules.h"

sx_status limiter_rule_make(const sx_rate *rate, limiter_rule *out, sx_error *err)
{
    static const int64_t YEAR_NS = (int64_t)365 * 86400 * 1000 * LIMITER_NS_PER_MS;
    if (rate->kind != SX_RATE_TOKEN_BUCKET && rate->kind != SX_RATE_SLIDING_WINDOW)
        return sx_fail(err, SX_EINVAL, "a rate's kind %d does not exist", (int)rate->kind);
    if (rate->count == 0 || rate->period_ms == 0)
        return sx_fail(err, SX_EINVAL,
                       "a rate of %u in %u ms lets nothing through; both must be at least 1",
                       rate->count, rate->period_ms);
    *out = (limiter_rule){.rate = *rate};
    if (rate->burst == 0)
        out->rate.burst = rate->count;
    out->period_ns = (int64_t)rate->period_ms * LIMITER_NS_PER_MS;
    out->step_ns = out->period_ns / rate->count;
    out->per_period = 1.0 / (double)out->period_ns;
    if (rate->kind == SX_RATE_SLIDING_WINDOW)
        return SX_OK;
    if (out->step_ns == 0)
        return sx_fail(err, SX_EINVAL, "a rate of %u in %u ms is above one a nanosecond",
                       rate->count, rate->period_ms);
    if (out->rate.burst > YEAR_NS / out->step_ns)
        return sx_fail(err, SX_EINVAL,
                       "a burst of %u at %u in %u ms takes more than a year to come back",
                       out->rate.burst, rate->count, rate->period_ms);
    out->room_ns = out->step_ns * out->rate.burst;
    out->per_step = 1.0 / (double)out->step_ns;
    return SX_OK;
}

int64_t limiter_window_wait(const limiter_rule *r, const limiter_cell *c, int64_t now,
                            uint32_t cost)
{
    double most = r->rate.count, period = (double)r->period_ns, wait;
    if (cost > r->rate.count)
        return INT64_MAX;
    double after = (double)c->current + cost;
    if (after <= most) /* enough of the period before must go by; it is not 0, or all would fit */
        wait = period * (1 - (most - after) / c->before);
    else /* of the present one, once it is the one before */
        wait = period + period * (1 - (most - cost) / c->current);
    int64_t wait_ns = (int64_t)wait + 1 - (now - c->at); /* 1: never a moment too early */
    return wait_ns > 0 ? wait_ns : 1;
}

void limiter_cell_convert(const limiter_rule *from, const limiter_rule *to, limiter_cell *c,
                          int64_t now)
{
    if (from->rate.kind != SX_RATE_TOKEN_BUCKET || c->at <= now)
        return; /* a window's counts mean the same under any limit */
    double used = (double)(c->at - now) * from->per_step;
    double ahead_ns = used * (double)to->step_ns;
    c->at = now + (ahead_ns < (double)to->room_ns ? (int64_t)ahead_ns : to->room_ns);
}
