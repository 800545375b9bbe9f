/* limiter.h - rate limits: so many requests a second, a minute and an hour, for each key.
 *
 *     sx_rate rules[4];
 *     size_t n = sx_rates_parse(SX_STR("10/second + 100/minute burst 20"), ...);
 *     sx_limit_answer a;
 *     if (!sx_limiter_take(limiter, client_address, 1, &a))
 *         reply 429 with sx_limit_headers(&a, …)
 *
 * Each rule is a token bucket (its rate with a burst) or a sliding window (the count over the last
 * period, by two buckets weighted). All rules must agree; what one refuses costs the others nothing.
 * Keys live in a table of fixed size: the least recently used gives way, and is counted. One limiter a
 * process, its numbers mean what the operator wrote; 50 ns. Any thread, no event loop.
 *
 * Shared among processes through `share` (client.h gives one on Redis): asked without blocking, and
 * the local table decides while the shared one is away. */
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

/* Reads "10/second + 100/minute + 1000/hour", "5/10s burst 20", "100/minute sliding": count, '/', a unit (second,
 * minute, hour, day, their plurals and s m h d, or a duration), then `burst N` or `sliding`; rules are separated by
 * '+' or ','. Returns how many. Errors: SX_EINVAL with what is wrong where; more than SX_RATES_MAX. */
sx_status sx_rates_parse(sx_str text, sx_rate rates[SX_RATES_MAX], size_t *count, sx_error *err);

typedef struct sx_limiter_options { /* 0 or NULL takes the default */
    const char *name;               /* of its metrics and listing; "default" */
    sx_rate rates[SX_RATES_MAX];
    size_t rate_count; /* at least 1 */
    uint32_t keys_max; /* 100000 */
    const sx_clock *clock;
    sx_metrics *metrics; /* rate_limiter_requests_total{name,outcome}, …_keys, …_evicted_total */
} sx_limiter_options;

/* Errors: SX_EINVAL (no rate, a count or period of 0), SX_ENOMEM. */
sx_status sx_limiter_new(const sx_limiter_options *options, sx_limiter **out, sx_error *err);
void sx_limiter_free(sx_limiter *l);

typedef struct sx_limit_answer {
    bool allowed;
    uint8_t rule;            /* that refused, or has the least left */
    uint32_t limit;          /* of that rule */
    uint32_t period_s;       /* of that rule, rounded up */
    uint64_t remaining;      /* of that rule after this request */
    uint32_t reset_s;        /* until it is whole again, rounded up */
    uint32_t retry_after_ms; /* refused: until `cost` would be let through; else 0 */
} sx_limit_answer;

/* Takes `cost` for `key` (any bytes) if all rules allow; whether they did. `answer` may be NULL. HOT: 50 ns. */
bool sx_limiter_take(sx_limiter *l, sx_str key, uint32_t cost, sx_limit_answer *answer);

/* The same without taking. */
void sx_limiter_peek(sx_limiter *l, sx_str key, sx_limit_answer *answer);

/* Fields of an answer: RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, RateLimit-Policy (as
 * draft-ietf-httpapi-ratelimit-headers-03 and most gateways), and Retry-After if refused. Texts lie in
 * `room`; returns how many fields. */
typedef struct sx_limit_field {
    sx_str name, value;
} sx_limit_field;
enum { SX_LIMIT_FIELDS = 5, SX_LIMIT_BYTES = 192 };
size_t sx_limit_headers(const sx_limiter *l, const sx_limit_answer *a,
                        sx_limit_field fields[SX_LIMIT_FIELDS], char room[SX_LIMIT_BYTES]);

/* New rates while it runs; what keys have used stays. Errors: as sx_limiter_new. */
sx_status sx_limiter_rates_set(sx_limiter *l, const sx_rate *rates, size_t count, sx_error *err);

typedef struct sx_limiter_info {
    const char *name;
    sx_rate rates[SX_RATES_MAX];
    size_t rate_count;
    uint64_t allowed, refused, evicted, keys;
    uint32_t keys_max;
} sx_limiter_info;
void sx_limiter_info_of(const sx_limiter *l, sx_limiter_info *out);

/* Forgets one key, or all (data NULL). Whether there was one. */
bool sx_limiter_forget(sx_limiter *l, sx_str key);

SX_END_DECLS

#endif
