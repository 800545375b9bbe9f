/* limiter_table.h - a limiter's memory: shared by limiter.c (the table and its decisions),
 * limiter_share.c (asking a store) and limiter_text.c (header fields).
 *
 *     hash --high bits--> set: [lock used version | hash 0 ... hash 6] one cache line
 *                              [key 0: four cells] ... [key 6: four cells] one line each
 *
 * A decision touches two lines whatever the number of rules. Everything in a set is under its
 * lock.
 *
 * The rules are behind one pointer that is read while a set's lock is held. New rules are
 * published first; then sx_limiter_rates_set walks all sets, carries their cells over (whoever
 * takes a set's lock earlier does it for that set) and, having seen every lock free once, knows
 * that nobody reads the old rules any more. */
#ifndef SEXTANT_RESILIENCE_LIMITER_TABLE_H
#define SEXTANT_RESILIENCE_LIMITER_TABLE_H

#include <pthread.h>

#include "resilience/atomic.h"
#include "resilience/limiter_rules.h"

enum { LIMITER_WAYS = 7, LIMITER_POLICY_BYTES = 192 };

typedef struct limiter_key {
    limiter_cell cell[SX_RATES_MAX];
} limiter_key;

typedef struct limiter_set {
    uint8_t lock;
    uint8_t used;    /* bit i: hash[i] and key[i] hold a key; also read without the lock */
    uint8_t version; /* of the rules that the cells are under; two exist at a time at most */
    uint8_t rest[5];
    uint64_t hash[LIMITER_WAYS];
    limiter_key key[LIMITER_WAYS];
} __attribute__((aligned(CACHE_LINE))) limiter_set;

typedef struct limiter_rules {
    limiter_rule rule[SX_RATES_MAX];
    uint32_t count;
    uint8_t version;
    const struct limiter_rules *before; /* the last ones; good while sets are carried over */
    int8_t heir_of[SX_RATES_MAX];       /* rule of `before` that each goes on from; -1: none */
} limiter_rules;

/* The rules as others want to see them, copied out under a sequence lock: readers never wait for a
 * writer that sleeps longer than its copy takes. */
typedef struct limiter_public {
    sx_rate rates[SX_RATES_MAX];
    uint64_t count;
    uint64_t policy_len;
    char policy[LIMITER_POLICY_BYTES]; /* of RateLimit-Policy */
} limiter_public;

enum { LIMITER_PUBLIC_WORDS = sizeof(limiter_public) / sizeof(uint64_t) };
_Static_assert(sizeof(limiter_public) % sizeof(uint64_t) == 0, "copied by words");
_Static_assert(sizeof(limiter_set) == 512, "a line for the hashes, one for each key");

typedef enum limiter_share_outcome {
    SHARE_ANSWERED,
    SHARE_FAILED, /* asked, no answer in time */
    SHARE_AWAY,   /* could not be asked */
    SHARE_OUTCOMES
} limiter_share_outcome;

struct sx_limiter {
    limiter_set *sets;
    uint64_t set_count;
    uint64_t seed;
    limiter_rules *rules; /* atomic; see above */
    const sx_clock *clock;
    const sx_clock *hot_clock; /* atomic; the coarse one if the rules are slow enough for it */
    sx_counter *allowed, *refused, *evicted;
    sx_counter *shared[SHARE_OUTCOMES];
    sx_gauge *keys_gauge;
    sx_limiter_share share; /* take NULL: none */
    uint32_t keys_max;
    char *name;
    void *block;                /* of `sets` */
    sx_metrics *own_metrics;    /* where it counts if it was given none */
    pthread_mutex_t rates_lock; /* one rates_set at a time */

    uint32_t public_turn __attribute__((aligned(CACHE_LINE))); /* odd: being written */
    uint64_t public_words[LIMITER_PUBLIC_WORDS];
    uint64_t keys __attribute__((aligned(CACHE_LINE))); /* written when keys come and go */
};

typedef enum limiter_mode {
    LIMITER_TAKE,  /* if all rules allow */
    LIMITER_ASK,   /* never */
    LIMITER_CHARGE /* always, up to the whole of each rule: somebody else has decided */
} limiter_mode;

/* One decision. `answer` may be NULL; counts nothing. HOT. */
bool limiter_decide(sx_limiter *l, uint64_t hash, uint32_t cost, limiter_mode mode,
                    sx_limit_answer *answer);

/* Copies the rules out. */
void limiter_public_read(const sx_limiter *l, limiter_public *out);

/* Writes the value of RateLimit-Policy; returns its length. */
size_t limiter_policy_write(const sx_rate *rates, size_t count, char out[LIMITER_POLICY_BYTES]);

#endif
