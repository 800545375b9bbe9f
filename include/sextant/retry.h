/* retry.h - trying again, and trying twice: back-off with jitter, budgets, hedging.
 *
 * A policy is made once for each thing that is called (a name) and shared by all its calls, any
 * thread. It only computes: whoever calls asks it when and whether to go on.
 *
 *     sx_retry_run run;
 *     sx_retry_begin(policy, sx_context_current(), &run);
 *     for (;;) {
 *         status = try_it(sx_retry_try_ms(&run));
 *         if (status == SX_OK || !worth_trying_again(status)) break;
 *         if (sx_retry_next(&run, retry_after_ms, &wait_ms) != SX_RETRY_GO) break;
 *         wait(wait_ms);
 *     }
 *     sx_retry_end(&run, status == SX_OK);
 *
 * sx_retry_call does this on an event loop's timers, and enforces the time of each try.
 *
 * The budget keeps retries from becoming a storm when everything fails: a balance that each call
 * raises by budget_ratio and each second by budget_per_s, up to budget_max, and from which each
 * retry takes 1. So in the long run there are at most budget_ratio retries for each call, and
 * budget_per_s a second.
 *
 * Hedging starts a second attempt when the first takes longer than most do (95 of 100), takes
 * the first answer, and cancels the other: it cuts the tail at a few percent more load, bounded
 * by a budget of the same kind. Only for calls that may be done twice. */
#ifndef SEXTANT_RETRY_H
#define SEXTANT_RETRY_H

#include <sextant/context.h>
#include <sextant/error.h>
#include <sextant/metrics.h>
#include <sextant/timer.h>

SX_BEGIN_DECLS

/* ---- retries ---- */

typedef struct sx_retry sx_retry;

/* How a wait is drawn, from `top` = wait_ms * 2^(tries - 1), at most wait_ms_max.
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. */
typedef enum sx_retry_jitter {
    SX_JITTER_FULL,         /* evenly from 0 to top */
    SX_JITTER_DECORRELATED, /* evenly from wait_ms to three times the last wait */
    SX_JITTER_NONE          /* top itself: for tests and for one lone client */
} sx_retry_jitter;

typedef struct sx_retry_options { /* 0 or NULL takes the default */
    const char *name;             /* of its metrics; "default" */
    uint32_t attempts_max;        /* 3, the first one counted */
    uint32_t wait_ms;             /* 50 */
    uint32_t wait_ms_max;         /* 2000 */
    sx_retry_jitter jitter;       /* full */
    uint32_t try_ms;              /* 0: a try may take what is left of the whole */
    uint32_t total_ms;            /* 0: no limit but the context's deadline */
    uint32_t retry_after_ms_max;  /* 30000: who is told to wait longer gives up */
    double budget_ratio;          /* 0.2; below 0: there is no budget */
    uint32_t budget_per_s;        /* 10 */
    uint32_t budget_max;          /* 100 */
    const sx_clock *clock;
    /* retry_calls_total{name,outcome}, retry_retries_total{name},
     * retry_stopped_total{name,reason}, retry_wait_seconds_total{name} */
    sx_metrics *metrics;
    uint64_t seed; /* of the jitter; 0: drawn from the system */
} sx_retry_options;

/* Errors: SX_ENOMEM, as sx_metric_new. */
sx_status sx_retry_new(const sx_retry_options *options, sx_retry **out, sx_error *err);
void sx_retry_free(sx_retry *r);

/* One call with all its tries. The caller's memory; nothing to free. */
typedef struct sx_retry_run {
    sx_retry *policy;
    int64_t deadline_ns; /* monotonic; 0: none */
    uint32_t tries;      /* begun */
    uint32_t last_wait_ms;
} sx_retry_run;

typedef enum sx_retry_verdict {
    SX_RETRY_GO,        /* after *wait_ms */
    SX_RETRY_NO_TRIES,  /* attempts_max are used up */
    SX_RETRY_NO_TIME,   /* the wait would reach past the deadline */
    SX_RETRY_NO_BUDGET, /* too many retries of late */
    SX_RETRY_TOO_LONG,  /* the other side asks for more patience than retry_after_ms_max */
    SX_RETRY_VERDICTS
} sx_retry_verdict;

/* Begins the first try; raises the budget. `context` gives the deadline; NULL: none. HOT. */
void sx_retry_begin(sx_retry *r, const sx_context *context, sx_retry_run *run);

/* The time limit of the present try in ms: try_ms, or what is left if that is less; 0: none. */
uint32_t sx_retry_try_ms(const sx_retry_run *run);

/* After a failed try: whether to try again. `retry_after_ms` is what the other side asked for
 * (0: nothing); the wait is no shorter. Takes from the budget on SX_RETRY_GO and begins the next
 * try. */
sx_retry_verdict sx_retry_next(sx_retry_run *run, uint32_t retry_after_ms, uint32_t *wait_ms);

/* Counts how the whole ended. */
void sx_retry_end(const sx_retry_run *run, bool ok);

/* "go", "attempts", "time", "budget", "retry_after". Static. */
const char *sx_retry_verdict_name(sx_retry_verdict verdict);

/* Reads a Retry-After field (RFC 9110, section 10.2.3): seconds, or a date, of which
 * `now_wall_ms` is taken off. In ms, at least 1; 0 if it is neither. */
uint32_t sx_retry_after_parse(sx_str value, int64_t now_wall_ms);

/* ---- retries on a loop's timers ---- */

typedef struct sx_retry_call sx_retry_call;

typedef struct sx_retry_call_options {
    sx_retry *policy;
    sx_timers *timers;         /* of the loop that all of it happens on */
    const sx_context *context; /* read by the start only; NULL: the current one */
    /* Starts try number `attempt` (from 1); exactly one sx_retry_call_result must follow, now or
     * later, unless `cancel` comes. timeout_ms 0: none; the helper cancels when it is over. */
    void (*start)(sx_retry_call *c, void *ctx, uint32_t attempt, uint32_t timeout_ms);
    /* Gives the present try up: no result may follow. */
    void (*cancel)(sx_retry_call *c, void *ctx);
    /* The end, once: the status of the last try, SX_ETIMEOUT if its time was over. May free `c`. */
    void (*done)(sx_retry_call *c, void *ctx, sx_status status);
    void *ctx;
} sx_retry_call_options;

struct sx_retry_call {             /* the caller's memory, until done or sx_retry_call_cancel */
    sx_retry_call_options options; /* from here on the helper's */
    sx_retry_run run;
    sx_timer timer; /* of the wait, or of the try */
    bool trying;
};

/* Starts the first try before it returns; `done` may come before it returns, too. */
void sx_retry_call_start(sx_retry_call *c, const sx_retry_call_options *options);

/* The end of a try. `again`: worth another one (the call is idempotent, the fault may pass). */
void sx_retry_call_result(sx_retry_call *c, sx_status status, bool again, uint32_t retry_after_ms);

/* Gives it all up; `done` is not called. */
void sx_retry_call_cancel(sx_retry_call *c);

/* ---- hedging ---- */

typedef struct sx_hedge sx_hedge;

typedef struct sx_hedge_options { /* 0 or NULL takes the default */
    const char *name;             /* of its metrics; "default" */
    double quantile;              /* 0.95: of the latencies so far */
    uint32_t delay_ms;            /* 0: by the quantile; else always this */
    uint32_t delay_ms_min;        /* 1: never sooner, however fast the calls are */
    uint32_t samples_min;         /* 100: below, only delay_ms hedges */
    double budget_ratio;          /* 0.1 of the calls; below 0: there is no budget */
    uint32_t budget_per_s;        /* 1 */
    uint32_t budget_max;          /* 20 */
    const sx_clock *clock;
    /* hedge_calls_total{name,outcome}, hedge_delay_seconds{name} */
    sx_metrics *metrics;
} sx_hedge_options;

/* Errors: SX_ENOMEM, SX_EINVAL (a quantile outside 0 to 1), as sx_metric_new. */
sx_status sx_hedge_new(const sx_hedge_options *options, sx_hedge **out, sx_error *err);
void sx_hedge_free(sx_hedge *h);

/* A call begins: raises the budget. Returns after how many ns a second attempt should start; -1:
 * not at all (too little is known yet). HOT. */
int64_t sx_hedge_begin(sx_hedge *h);

/* Whether the second attempt may start now: takes from the budget. */
bool sx_hedge_allow(sx_hedge *h);

typedef enum sx_hedge_outcome {
    SX_HEDGE_NOT_NEEDED,   /* answered before the delay */
    SX_HEDGE_FIRST_WON,    /* of two */
    SX_HEDGE_SECOND_WON,   /* of two */
    SX_HEDGE_BOTH_FAILED,  /* of two */
    SX_HEDGE_NOT_AFFORDED, /* wanted, but the budget was used up */
    SX_HEDGE_OUTCOMES
} sx_hedge_outcome;

/* A call ended. `first_ns` is how long the first attempt took, or had taken when it was
 * cancelled: by then it is known to be among the slow ones, which is all that the quantile
 * needs. */
void sx_hedge_end(sx_hedge *h, sx_hedge_outcome outcome, int64_t first_ns);

/* ---- hedging on a loop's timers ---- */

typedef struct sx_hedge_call sx_hedge_call;

typedef struct sx_hedge_call_options {
    sx_hedge *policy;
    sx_timers *timers;
    /* Starts attempt 0 or 1; one sx_hedge_call_result must follow unless `cancel` comes for it. */
    void (*start)(sx_hedge_call *c, void *ctx, unsigned attempt);
    void (*cancel)(sx_hedge_call *c, void *ctx, unsigned attempt);
    /* The end, once, with the attempt that won: the other has been cancelled. May free `c`. */
    void (*done)(sx_hedge_call *c, void *ctx, unsigned attempt, sx_status status);
    void *ctx;
} sx_hedge_call_options;

struct sx_hedge_call {             /* the caller's memory, until done or sx_hedge_call_cancel */
    sx_hedge_call_options options; /* from here on the helper's */
    sx_timer timer;
    int64_t start_ns, first_ns;
    uint8_t running; /* bit 0 and 1: that attempt has not ended */
    uint8_t started; /* how many */
    bool not_afforded;
};

/* Starts the first attempt before it returns; `done` may come before it returns, too. */
void sx_hedge_call_start(sx_hedge_call *c, const sx_hedge_call_options *options);

/* The end of an attempt. The first that is SX_OK wins; one that fails while the other is under
 * way leaves it to that; one that fails before a second was started ends the call: that is for
 * retries. */
void sx_hedge_call_result(sx_hedge_call *c, unsigned attempt, sx_status status);

/* Cancels what runs; `done` is not called. */
void sx_hedge_call_cancel(sx_hedge_call *c);

SX_END_DECLS

#endif
