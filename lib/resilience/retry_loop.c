/* retry_loop.c - a call that is tried again on the timers of an event loop. */
#include <sextant/retry.h>

static void begin_try(sx_retry_call *c);

static void finish(sx_retry_call *c, sx_status status)
{
    sx_timer_stop(c->options.timers, &c->timer);
    sx_retry_end(&c->run, status == SX_OK);
    c->options.done(c, c->options.ctx, status);
}

static void after_failure(sx_retry_call *c, sx_status status, uint32_t retry_after_ms)
{
    uint32_t wait_ms;
    if (sx_retry_next(&c->run, retry_after_ms, &wait_ms) == SX_RETRY_GO)
        sx_timer_start(c->options.timers, &c->timer, wait_ms); /* also for 0: no recursion */
    else
        finish(c, status);
}

static void on_timer(sx_timer *timer, void *arg)
{
    (void)timer;
    sx_retry_call *c = arg;
    if (!c->trying) {
        begin_try(c);
        return;
    }
    c->trying = false; /* its time is over */
    c->options.cancel(c, c->options.ctx);
    after_failure(c, SX_ETIMEOUT, 0);
}

static void begin_try(sx_retry_call *c)
{
    uint32_t timeout_ms = sx_retry_try_ms(&c->run);
    c->trying = true;
    if (timeout_ms > 0)
        sx_timer_start(c->options.timers, &c->timer, timeout_ms);
    c->options.start(c, c->options.ctx, c->run.tries, timeout_ms); /* may end it: c may be gone */
}

void sx_retry_call_start(sx_retry_call *c, const sx_retry_call_options *options)
{
    *c = (sx_retry_call){.options = *options, .timer = {.fn = on_timer, .arg = c}};
    const sx_context *context = options->context ? options->context : sx_context_current();
    sx_retry_begin(options->policy, context, &c->run);
    c->options.context = NULL; /* it may not live as long */
    begin_try(c);
}

void sx_retry_call_result(sx_retry_call *c, sx_status status, bool again, uint32_t retry_after_ms)
{
    sx_assert(c->trying);
    c->trying = false;
    sx_timer_stop(c->options.timers, &c->timer);
    if (status == SX_OK || !again)
        finish(c, status);
    else
        after_failure(c, status, retry_after_ms);
}

void sx_retry_call_cancel(sx_retry_call *c)
{
    sx_timer_stop(c->options.timers, &c->timer);
    if (c->trying) {
        c->trying = false;
        c->options.cancel(c, c->options.ctx);
    }
    sx_retry_end(&c->run, false);
}
