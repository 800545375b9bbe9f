/* bulkhead.h - not too many calls at once: a fixed number, or one that is learned.
 *
 * A bulkhead lets calls_max in at once and waiting_max wait for a place, first come, first
 * served, so that one slow dependency cannot take all of a program's memory and connections.
 *
 *     switch (sx_bulkhead_enter(b, &wait)) {
 *     case SX_OK:      the call; sx_bulkhead_leave(b) at its end; break;
 *     case SX_AGAIN:   wait.woken(SX_OK) comes once there is a place, or with SX_ETIMEOUT; break;
 *     default:         SX_REFUSED: full;
 *     }
 *
 * Adaptive concurrency finds the number itself, from how long calls take: as long as they take
 * about as long as an idle server needs, more are let in; when they take longer, requests queue
 * at the other side, and fewer are. Both: any thread, no event loop; entering and leaving are a
 * few atomics. */
#ifndef SEXTANT_BULKHEAD_H
#define SEXTANT_BULKHEAD_H

#include <sextant/error.h>
#include <sextant/list.h>
#include <sextant/loop.h>
#include <sextant/metrics.h>

SX_BEGIN_DECLS

/* ---- a fixed number ---- */

typedef struct sx_bulkhead sx_bulkhead;
typedef struct sx_bulkhead_wait sx_bulkhead_wait;

typedef struct sx_bulkhead_options { /* 0 or NULL takes the default */
    const char *name;                /* of its metrics; "default" */
    uint32_t calls_max;              /* 10 */
    uint32_t waiting_max;            /* 0: nobody waits */
    uint32_t wait_ms;                /* 1000: the longest wait */
    const sx_clock *clock;
    /* bulkhead_calls_total{name,outcome}, bulkhead_running{name}, bulkhead_waiting{name},
     * bulkhead_wait_seconds (histogram, of those that waited) */
    sx_metrics *metrics;
} sx_bulkhead_options;

/* Errors: SX_ENOMEM, as sx_metric_new. */
sx_status sx_bulkhead_new(const sx_bulkhead_options *options, sx_bulkhead **out, sx_error *err);

/* Nobody may be in it or wait. */
void sx_bulkhead_free(sx_bulkhead *b);

/* Somebody who waits: the caller's memory, until `woken` was called or sx_bulkhead_abandon was
 * true. */
struct sx_bulkhead_wait {
    /* Called once, by the thread that left (SX_OK: it is in, sx_bulkhead_leave must follow) or that
     * called sx_bulkhead_expire (SX_ETIMEOUT), without a lock. May free `w`. */
    void (*woken)(sx_bulkhead_wait *w, sx_status status);
    void *arg;
    uint32_t wait_ms; /* 0: the bulkhead's */
    sx_list link;     /* from here on the bulkhead's */
    sx_bulkhead *bulkhead;
    int64_t since_ns, due_ns;
    bool waiting;
};

/* Enters (SX_OK), or waits (SX_AGAIN: w->woken will come), or is refused (SX_REFUSED: all places
 * and all waiting places are taken). `w` NULL: does not wait. HOT. */
sx_status sx_bulkhead_enter(sx_bulkhead *b, sx_bulkhead_wait *w);

/* Leaves; the place goes to who has waited longest, whose `woken` runs before this returns. HOT. */
void sx_bulkhead_leave(sx_bulkhead *b);

/* Stops waiting. True: it did wait, and `woken` will not be called. False: it was woken already,
 * or is being woken by another thread now. */
bool sx_bulkhead_abandon(sx_bulkhead_wait *w);

/* Wakes with SX_ETIMEOUT those whose time is over. Returns ms until the next, -1 if nobody
 * waits. Who has no loop calls it every some ms; leaving does it for those it passes by. */
int64_t sx_bulkhead_expire(sx_bulkhead *b);

/* New limits while it runs; those who are in stay in. Wakes who fits now. 0 leaves as it is, but
 * for waiting_max. */
void sx_bulkhead_set(sx_bulkhead *b, uint32_t calls_max, uint32_t waiting_max);

typedef struct sx_bulkhead_info {
    uint32_t running, waiting, calls_max, waiting_max;
} sx_bulkhead_info;

/* How full it is. Any thread. */
void sx_bulkhead_info_of(const sx_bulkhead *b, sx_bulkhead_info *out);

/* ---- a fixed number, waited for on an event loop ---- */

/* As sx_bulkhead_wait, but `done` is called by the thread of `loop`, whoever left, and the
 * time-out is a timer of that loop. The caller's memory until `done`. */
typedef struct sx_bulkhead_turn {
    void (*done)(struct sx_bulkhead_turn *t, sx_status status); /* SX_OK or SX_ETIMEOUT */
    void *arg;
    sx_loop *loop; /* from here on the helper's */
    sx_timer timer;
    sx_bulkhead_wait wait;
    uint32_t outcome;
} sx_bulkhead_turn;

/* As sx_bulkhead_enter: SX_AGAIN if `done` will come. On the loop's thread. wait_ms 0: the
 * bulkhead's. */
sx_status sx_bulkhead_enter_on(sx_bulkhead *b, sx_loop *loop, uint32_t wait_ms,
                               sx_bulkhead_turn *t);

/* Gives up a turn for which SX_AGAIN was returned and `done` has not come: true, it will not come.
 * False: a place was just given to it and `done` will come. On the loop's thread. */
bool sx_bulkhead_turn_cancel(sx_bulkhead_turn *t);

/* ---- a number that is learned ---- */

typedef struct sx_adaptive sx_adaptive;

typedef struct sx_adaptive_options { /* 0 or NULL takes the default */
    const char *name;                /* of its metrics; "default" */
    uint32_t limit_min;              /* 2 */
    uint32_t limit_max;              /* 1000 */
    uint32_t limit_start;            /* 20 */
    double tolerance;                /* 1.5: calls may take so much longer than on an idle server */
    double smoothing;                /* 0.2: how much of a new limit is taken over at once */
    uint32_t queue;                  /* 0: the root of the limit: how much more is tried */
    uint32_t window_ms;              /* 100: how often it is looked at ... */
    uint32_t samples_min;            /* 10: ... with at least so many calls */
    uint32_t probe_windows;          /* 100: how often the time of an idle server is learned anew */
    const sx_clock *clock;
    /* adaptive_concurrency_limit{name}, adaptive_concurrency_running{name},
     * adaptive_concurrency_calls_total{name,outcome},
     * adaptive_concurrency_base_latency_seconds{name} */
    sx_metrics *metrics;
} sx_adaptive_options;

/* Errors: SX_ENOMEM, SX_EINVAL (limits that do not rise, a tolerance below 1), as sx_metric_new. */
sx_status sx_adaptive_new(const sx_adaptive_options *options, sx_adaptive **out, sx_error *err);
void sx_adaptive_free(sx_adaptive *a);

typedef struct sx_adaptive_pass {
    int64_t start_ns;
} sx_adaptive_pass;

typedef enum sx_adaptive_outcome {
    SX_ADAPTIVE_OK,      /* its time counts */
    SX_ADAPTIVE_DROPPED, /* timed out or refused by the other side: the limit falls */
    SX_ADAPTIVE_IGNORED, /* says nothing: it failed at once, or we gave up */
    SX_ADAPTIVE_OUTCOMES
} sx_adaptive_outcome;

/* Whether one more may go; if so sx_adaptive_done must follow. HOT. */
bool sx_adaptive_allow(sx_adaptive *a, sx_adaptive_pass *pass);
void sx_adaptive_done(sx_adaptive *a, const sx_adaptive_pass *pass, sx_adaptive_outcome outcome);

typedef struct sx_adaptive_info {
    uint32_t limit, running;
    int64_t base_ns; /* what a call takes on an idle server; 0: not known yet */
} sx_adaptive_info;

/* What it has found. Any thread. */
void sx_adaptive_info_of(const sx_adaptive *a, sx_adaptive_info *out);

SX_END_DECLS

#endif
