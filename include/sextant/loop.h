/* loop.h - event loops: one a core, each with its thread, its timers and everything it opened.
 *
 * A loop is a libuv loop with an injected clock. Whatever belongs to a loop (connections, timers,
 * requests) is touched by that loop's thread alone, so nothing on a request's path takes a lock.
 * Other threads reach a loop only by sx_loop_post(). Work that blocks or runs long goes to an
 * sx_pool and comes back to the loop that sent it. */
#ifndef SEXTANT_LOOP_H
#define SEXTANT_LOOP_H

#include <sextant/clock.h>
#include <sextant/error.h>
#include <sextant/timer.h>

SX_BEGIN_DECLS

typedef struct sx_loop sx_loop;
typedef void sx_loop_fn(sx_loop *loop, void *arg);

/* A loop on the given clock (NULL: the system's), not yet running. `index` is its number among its
 * siblings from 0: the shard of metrics its thread writes. Errors: SX_ENOMEM, SX_EIO. */
sx_status sx_loop_new(const sx_clock *clock, unsigned index, sx_loop **out, sx_error *err);

/* Frees a loop that is not running; what is still open on it is closed first. */
void sx_loop_free(sx_loop *loop);

/* Runs in the calling thread until sx_loop_stop(). */
void sx_loop_run(sx_loop *loop);

/* One turn without waiting: due timers, ready sockets, posted calls. For tests on a fake clock and
 * for programs with a main loop of their own. Returns whether anything is still open. */
bool sx_loop_turn(sx_loop *loop);

/* For a program that waits in poll(2), epoll or its toolkit's own loop: the descriptor that becomes
 * readable when a turn has something to do, and for how many milliseconds at most to wait before the
 * next turn whatever it says (-1: as long as you like; 0: not at all). Ask for the time anew after
 * each turn and after each call that started something on the loop. The loop's thread. */
int sx_loop_fd(const sx_loop *loop);
int sx_loop_wait_ms(sx_loop *loop);

/* Makes sx_loop_run() return after the present turn. Any thread. */
void sx_loop_stop(sx_loop *loop);

/* Has `fn(loop, arg)` called by the loop's thread, in the order of posting. Any thread.
 * Errors: SX_ENOMEM. What was posted and never ran when the loop is freed is run then. */
sx_status sx_loop_post(sx_loop *loop, sx_loop_fn *fn, void *arg, sx_error *err);

/* Called by the loop at the end of each turn, after all sockets were served: where output gathered
 * in the turn (access logs, metric snapshots) is written in one go. Up to 8 a loop. */
sx_status sx_loop_on_turn_end(sx_loop *loop, sx_loop_fn *fn, void *arg, sx_error *err);

/* The loop's timers, clock and number. */
sx_timers *sx_loop_timers(sx_loop *loop);
const sx_clock *sx_loop_clock(const sx_loop *loop);
unsigned sx_loop_index(const sx_loop *loop);

/* Readings taken once a turn, so that a request does not ask the system: monotonic milliseconds,
 * wall nanoseconds. The loop's thread only. */
int64_t sx_loop_now_ms(const sx_loop *loop);
int64_t sx_loop_wall_ns(const sx_loop *loop);

/* A bounded pool of threads for one kind of blocking work (disk, queries, SQLite). */
typedef struct sx_pool sx_pool;
typedef void sx_pool_fn(void *arg);

typedef struct sx_pool_options {
    const char *name;   /* of its threads and metrics; static text */
    unsigned threads;   /* 0: one a core */
    uint32_t queue_max; /* jobs waiting; 0: 1024. Above it a job is refused */
} sx_pool_options;

/* Errors: SX_ENOMEM, SX_EIO when no thread can be had. */
sx_status sx_pool_new(const sx_pool_options *options, sx_pool **out, sx_error *err);

/* Finishes what is queued, then frees. Not from a thread of the pool. */
void sx_pool_free(sx_pool *pool);

/* Runs work(arg) on a thread of the pool and then done(loop, arg) on the loop. Any thread.
 * Errors: SX_REFUSED when the queue is full (neither will run), SX_ENOMEM. */
sx_status sx_pool_submit(sx_pool *pool, sx_loop *loop, sx_pool_fn *work, sx_loop_fn *done,
                         void *arg, sx_error *err);

/* Cores that this process may use: affinity and cgroup quota counted in, at least 1. */
unsigned sx_cores(void);

SX_END_DECLS

#endif
