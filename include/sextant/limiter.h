/* limiter.h - rate limits: so many requests a second, a minute and an hour, for each key.
 *
 *     sx_limiter_options options = {.name = "search"};
 *     sx_limiter *limiter;
 *     sx_limit_answer a;
 *     sx_limit_field fields[SX_LIMIT_FIELDS];
 *     char room[SX_LIMIT_BYTES];
 *     st = sx_rates_parse(SX_STR("10/second + 100/minute burst 20"), options.rates,
 *                         &options.rate_count, &err);
 *     if (st == SX_OK)
 *         st = sx_limiter_new(&options, &limiter, &err);
 *     ...
 *     if (!sx_limiter_take(limiter, client_address, 1, &a)) {
 *         size_t n = sx_limit_headers(limiter, &a, fields, room);
 *         ... reply 429 with the n fields
 *     }
 *
 * Each rule is a token bucket (its rate with a burst) or a sliding window (the count over the
 * last period, by two buckets weighted). All rules must agree; what one refuses costs the others
 * nothing.
 *
 * Keys live in a table of fixed size (about 110 bytes for each of keys_max), in sets of seven. A
 * new key that finds its set full takes the place of the key that is soonest whole again:
 * forgetting it forgives least, and one that is whole already is not missed at all. So a flood
 * of new keys does not push out those that are at their limits. A place is counted as evicted if
 * it was not whole. A key is known by 64 bits of XXH3, seeded with a secret of the process: of n
 * keys in the table a new one shares a place with another by mistake with a probability of n in
 * 2^64.
 *
 * One limiter a process, its numbers mean what the operator wrote; 50 ns, under a lock of its
 * set that is held for some ten nanoseconds. Any thread, no event loop. Time is the clock's
 * monotonic one.
 *
 * Shared among processes through `share` (client.h gives one on Redis) by sx_limiter_take_async:
 * asked without blocking, and the local table decides while the shared one is away. */
#ifndef SEXTANT_LIMITER_H
#define SEXTANT_LIMITER_H

#include <sextant/clock.h>
#include <sextant/error.h>
#include <sextant/metrics.h>

SX_BEGIN_DECLS

typedef struct sx_limiter sx_limiter;

typedef enum sx_rate_kind { SX_RATE_TOKEN_BUCKET, SX_RATE_SLIDING_WINDOW } sx_rate_kind;

typedef struct sx_rate {
    sx_rate_kind kind;
    uint32_t count;     /* so many … */
    uint32_t period_ms; /* … in such a time */
    uint32_t burst;     /* token bucket: its size; 0: count */
} sx_rate;

enum { SX_RATES_MAX = 4 };

/* Reads "10/second + 100/minute + 1000/hour", "5/10s burst 20", "100/minute sliding": a count,
 * '/', a unit (ms, s, m, h, d, or second, minute, hour, day and their plurals) with a whole
 * number before it if it is not one, then `burst N` or `sliding`; rules are separated by '+' or
 * ','. Case does not matter. *count is how many. Errors: SX_EINVAL with what is wrong where:
 * also a count or period of 0, a period above 49 days, more than SX_RATES_MAX rules. On an error
 * nothing is filled. */
sx_status sx_rates_parse(sx_str text, sx_rate rates[SX_RATES_MAX], size_t *count, sx_error *err);

typedef struct sx_limiter_share sx_limiter_share; /* below */

typedef struct sx_limiter_options { /* 0 or NULL takes the default */
    const char *name;               /* of its metrics and listing; "default" */
    sx_rate rates[SX_RATES_MAX];
    size_t rate_count; /* at least 1 */
    uint32_t keys_max; /* 100000 */
    const sx_clock *clock;
    /* rate_limiter_requests_total{name,outcome}, rate_limiter_keys{name},
     * rate_limiter_evicted_total{name}, rate_limiter_share_total{name,outcome} */
    sx_metrics *metrics;
    const sx_limiter_share *share; /* copied; NULL: not shared */
} sx_limiter_options;

/* Errors: SX_EINVAL (no rate; a count or period of 0; more than one a nanosecond; a whole burst
 * that takes more than a year to come back), SX_ENOMEM. */
sx_status sx_limiter_new(const sx_limiter_options *options, sx_limiter **out, sx_error *err);
void sx_limiter_free(sx_limiter *l);

typedef struct sx_limit_answer {
    bool allowed;
    uint8_t rule;            /* that refused, or has the least left */
    uint32_t limit;          /* of that rule */
    uint32_t period_s;       /* of that rule, rounded up */
    uint64_t remaining;      /* of that rule after this request */
    uint32_t reset_s;        /* until it is whole again, rounded up */
    uint32_t retry_after_ms; /* refused: until `cost` would be let through; else 0. UINT32_MAX: a
                                cost above the burst never is */
} sx_limit_answer;

/* Takes `cost` for `key` (any bytes) if all rules allow; whether they did. `answer` may be NULL.
 * HOT: 50 ns. */
bool sx_limiter_take(sx_limiter *l, sx_str key, uint32_t cost, sx_limit_answer *answer);

/* What a cost of 1 would be answered, without taking; `remaining` is what there is now. */
void sx_limiter_peek(sx_limiter *l, sx_str key, sx_limit_answer *answer);

typedef struct sx_limit_field {
    sx_str name, value;
} sx_limit_field;
enum { SX_LIMIT_FIELDS = 5, SX_LIMIT_BYTES = 320 };

/* Fields of an answer: RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, RateLimit-Policy
 * (as draft-ietf-httpapi-ratelimit-headers-03 and most gateways; the policy has all rules, the
 * others are of the answer's), and Retry-After in seconds if refused. Texts lie in `room`;
 * returns how many. */
size_t sx_limit_headers(const sx_limiter *l, const sx_limit_answer *a,
                        sx_limit_field fields[SX_LIMIT_FIELDS], char room[SX_LIMIT_BYTES]);

/* New rates while it runs. A new rule goes on from the old one of the same kind and period, so
 * what a key has used of it stays used; without one it starts whole. Takes milliseconds, holds
 * nobody up. Errors: as sx_limiter_new. */
sx_status sx_limiter_rates_set(sx_limiter *l, const sx_rate *rates, size_t count, sx_error *err);

typedef struct sx_limiter_info {
    const char *name;
    sx_rate rates[SX_RATES_MAX];
    size_t rate_count;
    uint64_t allowed, refused, evicted, keys;
    uint32_t keys_max;
} sx_limiter_info;

/* What it does and has done. Any thread. */
void sx_limiter_info_of(const sx_limiter *l, sx_limiter_info *out);

/* Forgets one key, or all (data NULL). Whether there was one. */
bool sx_limiter_forget(sx_limiter *l, sx_str key);

/* ---- shared among processes ---- */

typedef struct sx_limiter_wait sx_limiter_wait;

typedef enum sx_limit_source {
    SX_LIMIT_LOCAL,    /* the local table alone: it refused, or there is no share */
    SX_LIMIT_SHARED,   /* the share answered */
    SX_LIMIT_FALLBACK, /* the share is away or late: the local table decided in its place */
    SX_LIMIT_SOURCES
} sx_limit_source;

/* A question under way. The caller's memory: lives until `done` was called or sx_limiter_cancel. */
struct sx_limiter_wait {
    /* Called once, by the thread in which the share got its answer; may free `w`. */
    void (*done)(sx_limiter_wait *w, const sx_limit_answer *answer, sx_limit_source source);
    void *arg;
    void *share_state;   /* the share's own */
    sx_limiter *limiter; /* from here on the limiter's */
    uint64_t hash;
    uint32_t cost, phase;
    sx_limit_answer answer;
    sx_limit_source source;
};

/* A store that several processes count in, asked without blocking. What it must do so that it
 * answers as the local table would, for the rules of one key together and atomically (in Redis:
 * one Lua script over one hash a key, fields t0, s0, c0, p0 and so on; times are the store's own
 * clock, in microseconds as a double; EXPIRE at the time when all rules are whole):
 *
 * token bucket, state t (theoretical arrival time, 0 if none):
 *     step = period_ms * 1000 / count;  room = step * burst         (burst 0: count)
 *     base = max(t, now);  next = base + cost * step
 *     allowed if next <= now + room;  then t = next
 *     remaining = floor((now + room - t) / step)
 *     whole again at t;  refused: retry after next - room - now     (cost > burst: never)
 * sliding window, state s (start), c (count in it), p (count of the one before):
 *     period = period_ms * 1000
 *     if now - s >= 2 * period (or no state): s = now, c = 0, p = 0
 *     else if now - s >= period:              s = s + period, p = c, c = 0
 *     used = c + p * (1 - (now - s) / period)
 *     allowed if used + cost <= count;  then c = c + cost
 *     remaining = floor(count - used)
 *     whole again at s + 2 * period if c > 0, else at s + period if p > 0, else now
 *     refused: if c + cost <= count: retry at s + period * (1 - (count - c - cost) / p)
 *              else:         retry at s + period + period * (1 - (count - cost) / c)
 *
 * All rules are asked first; only if all allow is any state written. The answer is of the rule
 * that refused (of several the one with the longest wait), else of the one with the least
 * remaining. The local table computes the same in nanoseconds, token buckets with a whole number
 * of them a step. */
struct sx_limiter_share {
    void *ctx;
    uint32_t timeout_ms; /* 20: how long the local table is held back; 0 takes it */
    /* Starts asking; `rates` and `key` are good for the call only. False: cannot (away, queue
     * full), nothing will follow. Else sx_limiter_answered(w, ...) follows exactly once, at the
     * latest after timeout_ms (the share has the timers: with NULL then, and the late answer is
     * dropped), unless it is cancelled. It may come before this returns. */
    bool (*take)(void *ctx, sx_str limiter_name, sx_str key, uint32_t cost, const sx_rate *rates,
                 size_t count, uint32_t timeout_ms, sx_limiter_wait *w);
    /* Forgets a question: sx_limiter_answered must not follow. In the thread that asked. */
    void (*cancel)(void *ctx, sx_limiter_wait *w);
};

/* As sx_limiter_take, through the share if there is one. Returns true when it is decided already
 * (*answer, *source are filled, `done` is not called): there is no share, it is away, it
 * answered at once, or the local table refuses: it counts what this process let through, which
 * is no more than all have, so the share need not be asked. Returns false when `done` will be
 * called. w->done and w->arg are the caller's. */
bool sx_limiter_take_async(sx_limiter *l, sx_str key, uint32_t cost, sx_limiter_wait *w,
                           sx_limit_answer *answer, sx_limit_source *source);

/* Gives a question up that returned false and is not done: `done` is not called any more. In the
 * thread that asked. */
void sx_limiter_cancel(sx_limiter_wait *w);

/* For the share: the answer, or NULL for none (an error, too late). Calls w->done. */
void sx_limiter_answered(sx_limiter_wait *w, const sx_limit_answer *answer);

SX_END_DECLS

#endif
