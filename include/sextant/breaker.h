/* breaker.h - circuit breakers: stop asking who does not answer.
 *
 *     sx_breaker *b = sx_breakers_get(breakers, SX_STR("redis"), NULL);
 *     sx_breaker_pass pass;
 *     if (!sx_breaker_allow(b, &pass)) return fail_fast();
 *     ... the call ...
 *     sx_breaker_done(b, &pass, it_went_well);
 *
 * closed: all pass; after failures_max failures in a row, or once the failure rate over the
 * window has reached failure_rate, it opens. open: nothing passes for open_ms; then half-open:
 * trials_max calls at a time pass, successes_min of them in a row close it, one failure opens it
 * again. It becomes half-open when a call asks: without calls it is shown as open. A trial that
 * nobody ends gives its place back after open_ms. Results of calls that were let through before
 * the last change of state are counted in the metrics and change nothing else.
 *
 * One breaker a name and process; deciding takes atomics on a cache line of its own: 20 ns.
 * While it is closed no clock is read, unless slow_ms or failure_rate need it. Time is the
 * clock's monotonic one: a wall clock that jumps changes nothing. Any thread, no event loop. */
#ifndef SEXTANT_BREAKER_H
#define SEXTANT_BREAKER_H

#include <sextant/clock.h>
#include <sextant/error.h>
#include <sextant/log.h>
#include <sextant/metrics.h>

SX_BEGIN_DECLS

typedef struct sx_breakers sx_breakers; /* all of a process, by name */
typedef struct sx_breaker sx_breaker;

typedef enum sx_breaker_state {
    SX_BREAKER_CLOSED,
    SX_BREAKER_OPEN,
    SX_BREAKER_HALF_OPEN,
    SX_BREAKER_STATES
} sx_breaker_state;

typedef struct sx_breaker_options { /* 0 takes the default */
    uint32_t failures_max;          /* 5 in a row open it */
    double failure_rate;            /* 0: not looked at; else up to 1: a failure that finds it
                                       reached opens it */
    uint32_t window_ms;             /* 10000: over which the rate is taken, in steps of a tenth */
    uint32_t calls_min;             /* 20 in the window before the rate counts */
    uint32_t open_ms;               /* 60000 */
    uint32_t successes_min;         /* 2 */
    uint32_t trials_max;            /* 1 at a time while half-open; at most 32 */
    uint32_t slow_ms;               /* 0: any time is fine; else a slower call counts as failed */
} sx_breaker_options;

typedef struct sx_breakers_options { /* NULL or 0 takes the default */
    const sx_clock *clock;
    /* circuit_breaker_state{name}, circuit_breaker_calls_total{name,outcome},
     * circuit_breaker_transitions_total{name,to} */
    sx_metrics *metrics;
    sx_log *log;           /* says each change of state */
    uint32_t breakers_max; /* 10000; names above it share one breaker, "other",
                              which is shown from the first of them on */
} sx_breakers_options;

/* Errors: SX_ENOMEM, as sx_metric_new. */
sx_status sx_breakers_new(const sx_breakers_options *options, sx_breakers **out, sx_error *err);
void sx_breakers_free(sx_breakers *all);

/* The breaker of that name, made at the first call with `options` (NULL: defaults); later ones
 * are taken as new settings if not NULL. Never NULL: above breakers_max, or without memory, it
 * is the one named "other", which has the defaults. Lives as long as `all`. Takes a lock: look
 * up once. */
sx_breaker *sx_breakers_get(sx_breakers *all, sx_str name, const sx_breaker_options *options);

/* What a call that was let through carries to its end. */
typedef struct sx_breaker_pass {
    uint32_t generation; /* of the state: results of calls from before a change do not count */
    uint32_t flags;
    int64_t start_ns;
} sx_breaker_pass;

/* Whether a call may go. If so sx_breaker_done or sx_breaker_cancel must follow. HOT: 20 ns. */
bool sx_breaker_allow(sx_breaker *b, sx_breaker_pass *pass);

/* How it went. */
void sx_breaker_done(sx_breaker *b, const sx_breaker_pass *pass, bool ok);

/* It says nothing about the other side (given up by us before an answer): counts neither way. */
void sx_breaker_cancel(sx_breaker *b, const sx_breaker_pass *pass);

typedef struct sx_breaker_info {
    sx_str name;
    sx_breaker_state state;
    uint32_t consecutive_failures, trials, successes;
    uint64_t window_calls, window_failures;
    int64_t since_wall_ms; /* of the state */
    int64_t retry_in_ms;   /* open: until trials are let through; else 0 */
    sx_breaker_options options;
} sx_breaker_info;

/* One breaker now; all of them by name. Any thread. */
void sx_breaker_info_of(const sx_breaker *b, sx_breaker_info *out);
void sx_breakers_each(sx_breakers *all, void (*fn)(void *ctx, const sx_breaker_info *info),
                      void *ctx);

/* Closes one by hand and forgets its failures and its window. SX_ENOTFOUND with the names there
 * are. */
sx_status sx_breakers_reset(sx_breakers *all, sx_str name, sx_error *err);

/* Holds one open whatever happens, or releases it: trials then begin at once. For an operator; a
 * reset releases it, too. SX_ENOTFOUND as sx_breakers_reset. */
sx_status sx_breakers_force_open(sx_breakers *all, sx_str name, bool open, sx_error *err);

/* "closed", "open", "half_open". Static. */
const char *sx_breaker_state_name(sx_breaker_state state);

SX_END_DECLS

#endif
