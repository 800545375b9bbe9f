/* guard.h - who is let in: limits of rate, of requests at a time, and shedding by priority.
 *
 * The general limiter (limits.rate) counts each client by its address, or by a header; a route may
 * have a limiter and a number at a time of its own (sx_route). Above limits.in_flight_max requests in
 * the whole process those of priority sheddable are refused first (from three quarters of it on), then
 * normal ones, and critical ones last (a quarter above it). With limits.shed the same is done by how
 * late the loops are and how busy the processors (shed.h). Refused is answered at once: 429 or 503,
 * with Retry-After. One of each a process, atomics only; any loop. */
#ifndef SEXTANT_SERVICE_GUARD_H
#define SEXTANT_SERVICE_GUARD_H

#include <sextant/config.h>
#include <sextant/limiter.h>
#include <sextant/service.h>
#include <sextant/shed.h>

typedef struct sx_guard_settings {
    sx_str rate, key; /* key: "address", or a header's name */
    sx_texts exempt;  /* for whom `rate` does not hold: exempt.h */
    uint32_t keys_max, in_flight_max;
    bool headers; /* RateLimit-… on answers that were let through, too */
    bool shed;    /* by load, too; what it was at the first apply */
} sx_guard_settings;

typedef struct sx_guard sx_guard;
typedef struct sx_guard_routes sx_guard_routes;
typedef struct sx_guard_route sx_guard_route;

/* What a request that was let in gives back at its end. Zero: nothing. */
typedef struct sx_guard_pass {
    sx_guard_route *route;
    bool counted, shed;
} sx_guard_pass;

/* Errors: SX_ENOMEM, SX_EINVAL. */
sx_status sx_guard_new(const sx_clock *clock, sx_metrics *metrics, sx_guard **out, sx_error *err);
void sx_guard_free(sx_guard *g);

/* Takes settings, at the start and at a reload; `check` only looks whether they are right. The texts
 * stay the caller's and outlive the guard. Main thread. Errors: SX_EINVAL (the rate), SX_ENOMEM. */
sx_status sx_guard_check(const sx_guard_settings *set, sx_error *err);
sx_status sx_guard_apply(sx_guard *g, const sx_guard_settings *set, sx_error *err);

/* The limits of the routes of an endpoint; *out stays NULL if none has any. Freed by the guard.
 * Errors: SX_EINVAL (a route's rate), SX_ENOMEM. */
sx_status sx_guard_routes_new(sx_guard *g, const sx_route *routes, size_t count,
                              sx_guard_routes **out, sx_error *err);

/* Whether `r` may go on; if not it has been answered. `route` is NULL if none fitted. HOT: 60 ns with
 * one rate, 2 ns without any. */
bool sx_guard_enter(sx_guard *g, sx_guard_routes *routes, sx_request *r, const sx_route *route,
                    size_t index, sx_guard_pass *pass);
void sx_guard_leave(sx_guard *g, const sx_guard_pass *pass);

/* What sheds by load; NULL if that is off. For its signals and the admin pages. */
sx_shed *sx_guard_shed(const sx_guard *g);

/* For the admin pages: all limiters; the one of a name (NULL: there is none). */
void sx_guard_limiters(sx_guard *g, void (*fn)(void *ctx, sx_limiter *l), void *ctx);
sx_limiter *sx_guard_limiter(sx_guard *g, sx_str name);

/* Requests under way that are counted, and how many may be (0: any, and then none is counted). */
uint32_t sx_guard_in_flight(const sx_guard *g, uint32_t *most);

#endif
