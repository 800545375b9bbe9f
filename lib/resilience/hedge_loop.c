/* hedge_loop.c - two attempts at one call on the timers of an event loop; the first answer wins. */
#include <sextant/retry.h>

static int64_t now_ns(const sx_hedge_call *c)
{
    return sx_clock_mono_ns(c->options.timers->clock);
}

static void start_attempt(sx_hedge_call *c, unsigned attempt)
{
    c->running |= (uint8_t)(1u << attempt);
    c->started = (uint8_t)(attempt + 1);
    c->options.start(c, c->options.ctx, attempt); /* may end it: c may be gone */
}

static void cancel_attempt(sx_hedge_call *c, unsigned attempt)
{
    if (!(c->running & 1u << attempt))
        return;
    if (attempt == 0)
        c->first_ns = now_ns(c) - c->start_ns;
    c->running &= (uint8_t)~(1u << attempt);
    c->options.cancel(c, c->options.ctx, attempt);
}

static void on_delay(sx_timer *timer, void *arg)
{
    (void)timer;
    sx_hedge_call *c = arg;
    if (sx_hedge_allow(c->options.policy))
        start_attempt(c, 1);
    else
        c->not_afforded = true;
}

void sx_hedge_call_start(sx_hedge_call *c, const sx_hedge_call_options *options)
{
    *c = (sx_hedge_call){.options = *options, .timer = {.fn = on_delay, .arg = c}};
    c->start_ns = now_ns(c);
    int64_t delay_ns = sx_hedge_begin(options->policy);
    if (delay_ns >= 0)
        sx_timer_start(options->timers, &c->timer, (delay_ns + 999999) / 1000000);
    start_attempt(c, 0);
}

static sx_hedge_outcome outcome_of(const sx_hedge_call *c, unsigned attempt, sx_status status)
{
    if (c->started < 2)
        return c->not_afforded ? SX_HEDGE_NOT_AFFORDED : SX_HEDGE_NOT_NEEDED;
    if (status != SX_OK)
        return SX_HEDGE_BOTH_FAILED;
    return attempt == 0 ? SX_HEDGE_FIRST_WON : SX_HEDGE_SECOND_WON;
}

void sx_hedge_call_result(sx_hedge_call *c, unsigned attempt, sx_status status)
{
    sx_assert(attempt < 2 && c->running & 1u << attempt);
    c->running &= (uint8_t)~(1u << attempt);
    if (attempt == 0)
        c->first_ns = now_ns(c) - c->start_ns;
    if (status != SX_OK && c->running)
        return; /* the other one may still do it */
    sx_timer_stop(c->options.timers, &c->timer);
    cancel_attempt(c, 1 - attempt);
    sx_hedge_end(c->options.policy, outcome_of(c, attempt, status), c->first_ns);
    c->options.done(c, c->options.ctx, attempt, status);
}

void sx_hedge_call_cancel(sx_hedge_call *c)
{
    sx_timer_stop(c->options.timers, &c->timer);
    cancel_attempt(c, 0);
    cancel_attempt(c, 1);
}
