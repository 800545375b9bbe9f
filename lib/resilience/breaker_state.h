/* breaker_state.h - one breaker's memory: shared by breaker.c (the calls' path) and breakers.c
 * (the registry and the operator's side).
 *
 * The whole decision lies in one 64-bit word, changed by compare and exchange:
 *
 *     63              32 31    30    29  28 27                    0
 *     [ generation      ][ - ][forced][state][ count               ]
 *
 * `count` is failures in a row while closed, successes in a row while half-open. Each change of
 * state gives a new generation, so within one generation the state does not change, and a result
 * that carries an older generation is known to be about a time that is over.
 *
 *     closed --failures or rate--> open --open_ms--> half-open --successes_min--> closed
 *                                   ^                    |
 *                                   +----- a failure ----+
 *
 * Counting is lock-free. Changing the state, and giving out trials while half-open, happens
 * under `lock`, rarely and for some nanoseconds. */
#ifndef SEXTANT_RESILIENCE_BREAKER_STATE_H
#define SEXTANT_RESILIENCE_BREAKER_STATE_H

#include <pthread.h>

#include <sextant/breaker.h>

#include "resilience/atomic.h"

enum {
    SLOW_EXACT_NS = 200 * 1000 * 1000,
    WINDOW_SLOTS = 10, /* the failure rate's window moves on by a tenth of itself */
    TRIALS_MOST = 32   /* trials_max is cut to this */
};

#define COUNT_MASK  (((uint64_t)1 << 28) - 1)
#define STATE_SHIFT 28
#define FORCED_BIT  ((uint64_t)1 << 30)
#define GEN_SHIFT   32

typedef enum breaker_outcome {
    OUTCOME_SUCCESS,
    OUTCOME_FAILURE,
    OUTCOME_REFUSED,
    OUTCOME_CANCELED,
    OUTCOMES
} breaker_outcome;

/* A trial given out. Free while due_ns is 0; one whose time is over is free, too: a caller that
 * never came back must not keep the breaker half-open for ever. */
typedef struct breaker_trial {
    int64_t due_ns;
    uint32_t serial; /* 24 bits, in the pass: a latecomer does not end its successor's trial */
} breaker_trial;

struct sx_breaker {
    /* First line: read by every call; written when calls fail. */
    uint64_t word;
    int64_t open_until_ns; /* open: when trials begin */
    int64_t
        full_until_ns; /* half-open: no trial is free before; a hint, so that refusing is cheap */
    int64_t slow_ns;   /* 0: any time is fine */
    int64_t slot_ns;   /* a tenth of the window; 0: the rate is not looked at */
    double failure_rate;
    uint32_t failures_max, calls_min;
    uint64_t slot; /* the last one seen: saves a division for each call */

    /* Second and third: each slot is tag (16 bits), calls (24), failures (24). The tag is the
     * slot's number divided by WINDOW_SLOTS, so that an old slot is not taken for a new one; it
     * comes round after 65536 windows without one call in that slot. */
    uint64_t window[WINDOW_SLOTS] __attribute__((aligned(CACHE_LINE)));
    sx_counter *outcome[OUTCOMES]; /* NULL without metrics */

    /* Seldom. Under `lock`, but for reads by atomics. */
    pthread_mutex_t lock;
    breaker_trial trials[TRIALS_MOST];
    uint32_t trial_serial;
    sx_breaker_options options; /* with defaults filled in */
    int64_t since_wall_ms;
    sx_breakers *all;
    sx_gauge *state_gauge;
    sx_counter *transitions[SX_BREAKER_STATES];
    bool is_used; /* has been asked for, and is shown; under the list's lock */
    void *block;  /* of this structure, for sx_free */
    sx_str name;  /* behind it in the same block */
};

struct sx_breakers {
    const sx_clock *clock; /* coarse: for states and windows */
    const sx_clock *exact; /* for calls that are slow after less than SLOW_EXACT_NS */
    sx_logger *logger;
    sx_metric *state, *calls, *transitions;
    uint32_t breakers_max;
    pthread_mutex_t lock; /* over the list; taken before a breaker's own */
    sx_breaker **list;    /* by name */
    size_t count, cap;
    sx_breaker *other; /* for names above breakers_max or without memory */
};

static inline sx_breaker_state word_state(uint64_t word)
{
    return (sx_breaker_state)(word >> STATE_SHIFT & 3);
}

static inline uint32_t word_generation(uint64_t word)
{
    return (uint32_t)(word >> GEN_SHIFT);
}

static inline uint32_t word_count(uint64_t word)
{
    return (uint32_t)(word & COUNT_MASK);
}

/* Changes the state if it is still of that generation; says so to metrics and log. b->lock is held.
 * Returns whether it did. What an operator opens is held open. */
bool breaker_become(sx_breaker *b, uint32_t generation, sx_breaker_state next, bool by_operator,
                    int64_t now_ns);

/* Calls and failures of the window that ends at `now_ns`. */
void breaker_window_sum(const sx_breaker *b, int64_t now_ns, uint64_t *calls, uint64_t *failures);

/* Forgets the window. */
void breaker_window_clear(sx_breaker *b);

#endif
