/* bulkhead_loop.c - waiting for a place in a bulkhead on an event loop.
 *
 * Whoever leaves wakes the turn in his own thread; the turn posts itself to its loop. If that
 * cannot be done for want of memory the turn's timer finds it woken, and delivers it a little
 * later. */
#include <sextant/bulkhead.h>

#include "resilience/atomic.h"
#include "resilience/bulkhead_wait.h"

/* Written by the thread that wakes, before it posts or instead of it. */
enum { TURN_WAITING, TURN_ENTERED, TURN_LATE, TURN_LOST /* a bit: the post failed */ = 4 };

enum { LOOK_AGAIN_MS = 10 };

static void deliver(sx_loop *loop, void *arg)
{
    sx_bulkhead_turn *t = arg;
    sx_timer_stop(sx_loop_timers(loop), &t->timer);
    uint32_t outcome = load_acquire(&t->outcome);
    t->done(t, (outcome & ~(uint32_t)TURN_LOST) == TURN_ENTERED ? SX_OK : SX_ETIMEOUT);
}

static void on_woken(sx_bulkhead_wait *w, sx_status status)
{
    sx_bulkhead_turn *t = SX_CONTAINER_OF(w, sx_bulkhead_turn, wait);
    uint32_t outcome = status == SX_OK ? TURN_ENTERED : TURN_LATE;
    store_release(&t->outcome, outcome);
    if (sx_loop_post(t->loop, deliver, t, NULL) != SX_OK) /* else t may be gone already */
        store_release(&t->outcome, outcome | TURN_LOST);
}

static void on_timer(sx_timer *timer, void *arg)
{
    sx_bulkhead_turn *t = arg;
    if (load_acquire(&t->outcome) & TURN_LOST)
        deliver(t->loop, t);
    else if (bulkhead_time_out(&t->wait))
        t->done(t, SX_ETIMEOUT);
    else /* woken just now: the post is on its way, or is being lost */
        sx_timer_start(sx_loop_timers(t->loop), timer, LOOK_AGAIN_MS);
}

sx_status sx_bulkhead_enter_on(sx_bulkhead *b, sx_loop *loop, uint32_t wait_ms, sx_bulkhead_turn *t)
{
    t->loop = loop;
    t->timer = (sx_timer){.fn = on_timer, .arg = t};
    t->wait = (sx_bulkhead_wait){.woken = on_woken, .wait_ms = wait_ms};
    store(&t->outcome, TURN_WAITING);
    sx_status status = sx_bulkhead_enter(b, &t->wait);
    if (status == SX_AGAIN) {
        int64_t ms = (t->wait.due_ns - t->wait.since_ns) / 1000000;
        sx_timer_start(sx_loop_timers(loop), &t->timer, ms);
    }
    return status;
}

bool sx_bulkhead_turn_cancel(sx_bulkhead_turn *t)
{
    if (!sx_bulkhead_abandon(&t->wait))
        return false;
    sx_timer_stop(sx_loop_timers(t->loop), &t->timer);
    return true;
}
