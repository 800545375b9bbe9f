/* timer.h - many timeouts for one loop, driven by an sx_clock.
 *
 * A hierarchical timing wheel with a resolution of 1 ms: starting, restarting and stopping a timer
 * is a few instructions whatever their number, so a connection can have one for each of its
 * deadlines. It has no thread and never sleeps: the loop that owns it waits sx_timers_next_ms() and
 * calls sx_timers_run(). All calls come from the thread of that loop. */
#ifndef SEXTANT_TIMER_H
#define SEXTANT_TIMER_H

#include <sextant/clock.h>
#include <sextant/list.h>

SX_BEGIN_DECLS

typedef struct sx_timer sx_timer;

/* Lives inside the thing it times out. Must be stopped before its memory goes away. Zeroed memory
 * is a stopped timer; set fn and arg before the first start. */
struct sx_timer {
    sx_list link;                           /* the wheel's */
    int64_t due_ms;                         /* monotonic; meaningful while running */
    uint16_t place;                         /* the wheel's: where it hangs, 0 when stopped */
    void (*fn)(sx_timer *timer, void *arg); /* called once by sx_timers_run when due */
    void *arg;
};

/* 11 levels of 64 slots of 6 bits each reach over all of an int64_t. */
enum { SX_TIMER_LEVELS = 11, SX_TIMER_SLOTS = 64 };

typedef struct sx_timers {
    const sx_clock *clock;
    int64_t now_ms;                     /* the reading of the last update or run */
    int64_t wheel_ms;                   /* up to here the wheel has turned; never after now_ms */
    size_t count;                       /* running timers */
    bool is_running;                    /* sx_timers_run is on the stack */
    sx_list due;                        /* taken off the wheel by this run, not yet called */
    uint64_t occupied[SX_TIMER_LEVELS]; /* bit s: slots[level][s] is not empty */
    sx_list slots[SX_TIMER_LEVELS][SX_TIMER_SLOTS];
} sx_timers;

/* An empty wheel that reads `clock`, which must outlive it. */
void sx_timers_init(sx_timers *t, const sx_clock *clock);

/* (Re)starts `timer`: it fires in the first sx_timers_run at or after now + delay_ms, where now is
 * the cached reading (sx_timers_now_ms), never within the run that is on the stack. A delay below 0
 * counts as 0. Timers due at the same millisecond fire in the order they were started. */
void sx_timer_start(sx_timers *t, sx_timer *timer, int64_t delay_ms);

/* Stops it; of a stopped one: does nothing. */
void sx_timer_stop(sx_timers *t, sx_timer *timer);

/* Whether it waits to be called. */
static inline bool sx_timer_running(const sx_timer *timer)
{
    return timer->place != 0;
}

/* Reads the clock and calls every timer that is due, in order of time. A callback may start and
 * stop any timer and free the memory of its own, which is stopped by then. Returns how many it
 * called. Must not be called from a callback. */
size_t sx_timers_run(sx_timers *t);

/* The same for those that were due at `until_ms`, a moment that has passed on this clock: a loop that
 * gives nobody up whose bytes it has not looked for runs those that were due when it began to look. */
size_t sx_timers_run_until(sx_timers *t, int64_t until_ms);

/* Milliseconds from the clock's reading now until sx_timers_run has something to do, at least 0; -1
 * if no timer runs. Exact for the usual few timers; where many timers share the nearest slot it may
 * be earlier than the first of them (the run then only sorts the slot), never later. */
int64_t sx_timers_next_ms(const sx_timers *t);

/* Reads the clock into the cache without calling anything: a loop does it after it has waited. */
void sx_timers_update(sx_timers *t);

/* The cached monotonic reading, in ms. */
static inline int64_t sx_timers_now_ms(const sx_timers *t)
{
    return t->now_ms;
}

/* Asserts every invariant of the wheel; takes time in proportion to the timers. Returns true. */
bool sx_timers_check(const sx_timers *t);

SX_END_DECLS

#endif
