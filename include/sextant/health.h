/* health.h - named checks: whether the things a service needs are well, and how fast they answered.
 *
 * Two kinds. One that is asked (`ask`) answers at once from what it knows. One that is told keeps its
 * last result: whoever talks to the thing (a client, a background probe) reports by
 * sx_health_report(). /health/ready asks all that count for readiness; /health/detailed shows all with
 * state, latency and age. Any thread; no event loop. */
#ifndef SEXTANT_HEALTH_H
#define SEXTANT_HEALTH_H

#include <sextant/clock.h>
#include <sextant/error.h>
#include <sextant/metrics.h>

SX_BEGIN_DECLS

typedef struct sx_health sx_health;
typedef struct sx_health_check sx_health_check;

typedef struct sx_health_options { /* NULL or 0 takes the default */
    const sx_clock *clock;
    sx_metrics *metrics; /* health_check_up{check}, health_check_latency_seconds{check} */
} sx_health_options;

/* Errors: SX_ENOMEM, as sx_metric_new. */
sx_status sx_health_new(const sx_health_options *options, sx_health **out, sx_error *err);

/* Frees it with all its checks; the registry it was given must not be scraped any more (nor after a
 * failed sx_health_new). NULL is allowed. */
void sx_health_free(sx_health *h);

typedef struct sx_health_check_options {
    const char *name; /* copied; of the same name: "name-2" and so on */
    bool informative; /* shown, but does not make the service unready */
    /* NULL: it is told. Answers without waiting: SX_OK, or why not in err. It may report, but not add
     * or remove checks. */
    sx_status (*ask)(void *ctx, sx_error *err);
    void *ctx;
    uint32_t stale_ms; /* told: unwell if nothing was reported for so long; 0: never */
} sx_health_check_options;

/* Adds a check; one that is told is unwell ("not checked yet") until the first report. `out` may be
 * NULL. Errors: SX_ENOMEM. */
sx_status sx_health_add(sx_health *h, const sx_health_check_options *options, sx_health_check **out,
                        sx_error *err);

/* Takes it off and frees it: nobody asks it any more when this returns. NULL is allowed. */
void sx_health_remove(sx_health_check *check);

/* Says how it went: SX_OK, or a status with err (may be NULL); latency -1: not measured. Takes a lock
 * of that check only. `check` NULL: nothing. */
void sx_health_report(sx_health_check *check, sx_status status, const sx_error *err,
                      int64_t latency_ns);

typedef struct sx_health_info {
    const char *name;
    bool well, informative;
    char message[256];       /* why not; "" if well */
    int64_t latency_ns;      /* of the last ask or report; -1: unknown */
    int64_t checked_wall_ms; /* 0: never */
    uint64_t failures_in_row;
} sx_health_info;

/* Asks those that are asked, and calls `fn` for all in the order they were added. Returns whether all
 * that are not informative are well. `fn` may be NULL; it must not add or remove checks. */
bool sx_health_each(sx_health *h, void (*fn)(void *ctx, const sx_health_info *info), void *ctx);

SX_END_DECLS

#endif
