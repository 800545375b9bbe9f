/* guard.c - see guard.h. */
#include "service/guard.h"

#include <stdio.h>

#include <sextant/mem.h>

#include "service/exempt.h"

#include "service/service_internal.h"

enum { BY_RATE, BY_LOAD, LINE = 64, RETRY_AFTER_S = 1 };

/* What loops read in one go: a reload publishes another one. All are kept until the guard is freed. */
typedef struct rules {
    struct rules *next;
    sx_limiter *limiter; /* NULL: no general rate */
    sx_str header;       /* whose value is the key; empty: the address is */
    sx_exempt exempt;    /* keys that `limiter` does not count */
    uint32_t in_flight_max;
    bool headers;
} rules;

typedef struct made_limiter {
    struct made_limiter *next;
    sx_limiter *limiter;
} made_limiter;

struct sx_guard_route {
    sx_limiter *limiter;
    uint32_t in_flight_max;
    uint32_t in_flight;         /* all loops */
} __attribute__((aligned(64))); /* a line of its own: neighbours are other loops' */

struct sx_guard_routes {
    struct sx_guard_routes *next; /* the guard's list */
    void *memory;                 /* of this block, not aligned */
    sx_guard_route each[];
};

struct sx_guard {
    sx_shed *shed; /* made by the first apply, or never */
    const sx_clock *clock;
    sx_metrics *metrics;
    rules *now;             /* atomic: the newest, older ones behind it */
    made_limiter *limiters; /* atomic: grows at a reload, while admin pages read */
    sx_limiter *general;    /* atomic: made at the first rate; its rates change with reloads */
    sx_guard_routes *routes;
    sx_counter *refused[2]; /* by rate, by load */
    char apart[LINE]; /* what is written at each request shares no line with what is only read */
    uint32_t in_flight;
    char end[LINE];
};

sx_status sx_guard_new(const sx_clock *clock, sx_metrics *metrics, sx_guard **out, sx_error *err)
{
    static const char *const LABELS[] = {"reason"};
    static const sx_str REASONS[] = {SX_STR_INIT("rate"), SX_STR_INIT("load")};
    sx_metric *refused;
    sx_metric_options options = {.name = "http_requests_shed_total",
                                 .help = "Requests refused by a limit of rate (429) or load (503).",
                                 .labels = LABELS,
                                 .label_count = 1};
    sx_status status = sx_metric_new(metrics, &options, &refused, err);
    if (status)
        return status;
    sx_guard *g = (sx_guard *)sx_calloc(1, sizeof(*g));
    if (!g)
        return sx_fail_memory(err, "the limits");
    g->clock = clock;
    g->metrics = metrics;
    for (int i = 0; i < 2; i++)
        g->refused[i] = sx_metric_counter(refused, &REASONS[i], 1);
    *out = g;
    return SX_OK;
}

void sx_guard_free(sx_guard *g)
{
    if (!g)
        return;
    for (rules *r = g->now, *next; r; r = next) {
        next = r->next;
        sx_free(r);
    }
    for (made_limiter *m = g->limiters, *next; m; m = next) {
        next = m->next;
        sx_limiter_free(m->limiter);
        sx_free(m);
    }
    for (sx_guard_routes *r = g->routes, *next; r; r = next) {
        next = r->next;
        sx_free(r->memory);
    }
    sx_shed_free(g->shed);
    sx_free(g);
}

sx_shed *sx_guard_shed(const sx_guard *g)
{
    return g->shed;
}

/* ---- settings ---- */

static sx_status make_limiter(sx_guard *g, const char *name, sx_str rate, uint32_t keys_max,
                              sx_limiter **out, sx_error *err)
{
    sx_limiter_options options = {
        .name = name, .keys_max = keys_max, .clock = g->clock, .metrics = g->metrics};
    sx_status status = sx_rates_parse(rate, options.rates, &options.rate_count, err);
    if (status)
        return status;
    made_limiter *m = (made_limiter *)sx_calloc(1, sizeof(*m));
    if (!m)
        return sx_fail_memory(err, "a limiter");
    status = sx_limiter_new(&options, &m->limiter, err);
    if (status) {
        sx_free(m);
        return status;
    }
    m->next = g->limiters;
    __atomic_store_n(&g->limiters, m, __ATOMIC_RELEASE);
    *out = m->limiter;
    return SX_OK;
}

sx_status sx_guard_check(const sx_guard_settings *set, sx_error *err)
{
    sx_rate rates[SX_RATES_MAX];
    size_t count;
    sx_exempt exempt;
    sx_status status = sx_exempt_parse(set->exempt, &exempt, err);
    if (status || set->rate.len == 0)
        return status;
    status = sx_rates_parse(set->rate, rates, &count, err);
    return status ? sx_error_prefix(err, status, "limits.rate") : SX_OK;
}

/* The general limiter with the rates of `set`: made, or told the new ones. */
static sx_status apply_rate(sx_guard *g, const sx_guard_settings *set, sx_limiter **out,
                            sx_error *err)
{
    sx_rate rates[SX_RATES_MAX];
    size_t count;
    *out = NULL;
    if (set->rate.len == 0)
        return SX_OK;
    sx_status status = sx_guard_check(set, err);
    if (status)
        return status;
    if (!g->general) {
        status = make_limiter(g, "default", set->rate, set->keys_max, out, err);
        __atomic_store_n(&g->general, *out, __ATOMIC_RELEASE);
        return status;
    }
    status = sx_rates_parse(set->rate, rates, &count, err);
    if (status == SX_OK)
        status = sx_limiter_rates_set(g->general, rates, count, err);
    *out = g->general;
    return status;
}

sx_status sx_guard_apply(sx_guard *g, const sx_guard_settings *set, sx_error *err)
{
    rules *fresh = (rules *)sx_calloc(1, sizeof(*fresh));
    if (!fresh)
        return sx_fail_memory(err, "the limits");
    sx_status status = sx_exempt_parse(set->exempt, &fresh->exempt, err);
    if (status == SX_OK)
        status = apply_rate(g, set, &fresh->limiter, err);
    if (status == SX_OK && set->shed && !g->now) { /* the first: no loop runs yet */
        sx_shed_options options = {.clock = g->clock, .metrics = g->metrics};
        status = sx_shed_new(&options, &g->shed, err);
    }
    if (status) {
        sx_free(fresh);
        return status;
    }
    fresh->header = sx_str_eq(set->key, SX_STR("address")) ? sx_str_of(NULL, 0) : set->key;
    fresh->in_flight_max = set->in_flight_max;
    fresh->headers = set->headers;
    fresh->next = g->now;
    __atomic_store_n(&g->now, fresh, __ATOMIC_RELEASE);
    return SX_OK;
}

static sx_status fill_route(sx_guard *g, const sx_route *from, sx_guard_route *to, sx_error *err)
{
    to->in_flight_max = from->in_flight_max;
    if (!from->rate)
        return SX_OK;
    sx_status status = make_limiter(g, from->path, sx_str_z(from->rate), 0, &to->limiter, err);
    return status ? sx_error_prefix(err, status, "route %s", from->path) : SX_OK;
}

sx_status sx_guard_routes_new(sx_guard *g, const sx_route *routes, size_t count,
                              sx_guard_routes **out, sx_error *err)
{
    bool any = false;
    *out = NULL;
    for (size_t i = 0; i < count; i++)
        any |= routes[i].rate || routes[i].in_flight_max;
    if (!any)
        return SX_OK;
    char *memory =
        (char *)sx_calloc(1, sizeof(sx_guard_routes) + count * sizeof(sx_guard_route) + LINE);
    if (!memory)
        return sx_fail_memory(err, "the limits of routes");
    size_t off = (LINE - (uintptr_t)memory % LINE) % LINE;
    sx_guard_routes *made = (sx_guard_routes *)(void *)(memory + off);
    made->memory = memory;
    made->next = g->routes;
    g->routes = made;
    for (size_t i = 0; i < count; i++) {
        sx_status status = fill_route(g, &routes[i], &made->each[i], err);
        if (status)
            return status;
    }
    *out = made;
    return SX_OK;
}

/* ---- a request ---- */

static void add_fields(sx_request *r, const sx_limiter *l, const sx_limit_answer *answer)
{
    sx_limit_field fields[SX_LIMIT_FIELDS];
    char room[SX_LIMIT_BYTES];
    size_t count = sx_limit_headers(l, answer, fields, room);
    for (size_t i = 0; i < count; i++)
        sx_reply_own_field(r, fields[i].name, fields[i].value);
}

/* Whose limiter it is: the general one and what stands in its place let exempt clients pass. */
typedef enum limiter_place { GENERAL, OF_ROUTE } limiter_place;

/* Whether the limiter lets it pass; else it is answered. */
static bool take(sx_guard *g, sx_limiter *l, limiter_place place, const rules *now, sx_request *r)
{
    sx_limit_answer answer;
    sx_str key = now && now->header.len ? sx_request_header(r, now->header) : sx_str_of(NULL, 0);
    if (key.len == 0) /* who sends no such header shares what its address may do */
        key = sx_str_z(r->peer->address);
    if (now && place == GENERAL && sx_exempt_has(&now->exempt, key))
        return true;
    bool allowed = sx_limiter_take(l, key, 1, &answer);
    if (sx_unlikely(!allowed) || (now && now->headers))
        add_fields(r, l, &answer);
    if (sx_likely(allowed))
        return true;
    sx_counter_add(g->refused[BY_RATE], 1);
    sx_reply_error(r, 429, NULL);
    return false;
}

static void refuse_load(sx_guard *g, sx_request *r)
{
    char text[12];
    int len = snprintf(text, sizeof(text), "%d", RETRY_AFTER_S);
    sx_counter_add(g->refused[BY_LOAD], 1);
    (void)sx_reply_header(r, SX_STR("retry-after"), sx_str_of(text, (size_t)len));
    sx_reply_error(r, 503, "too much to do; try again later");
}

/* How many may be under way before one of this priority is refused. */
static uint64_t most_for(uint32_t most, sx_priority priority)
{
    if (priority == SX_PRIORITY_CRITICAL)
        return (uint64_t)most + (most + 3) / 4;
    return priority == SX_PRIORITY_SHEDDABLE ? most - most / 4 : most;
}

/* Counts one more if there is room. */
static bool count_in(uint32_t *in_flight, uint64_t most)
{
    if (__atomic_add_fetch(in_flight, 1, __ATOMIC_RELAXED) <= most)
        return true;
    __atomic_sub_fetch(in_flight, 1, __ATOMIC_RELAXED);
    return false;
}

bool sx_guard_enter(sx_guard *g, sx_guard_routes *routes, sx_request *r, const sx_route *route,
                    size_t index, sx_guard_pass *pass)
{
    const rules *now = __atomic_load_n(&g->now, __ATOMIC_ACQUIRE);
    *pass = (sx_guard_pass){0};
    if (route && route->flags & SX_ROUTE_UNLIMITED)
        return true;
    sx_priority priority = route ? route->priority : SX_PRIORITY_NORMAL;
    if (g->shed) {
        if (!sx_shed_allow(g->shed, priority)) {
            refuse_load(g, r);
            return false;
        }
        pass->shed = true;
    }
    if (now && now->in_flight_max) {
        if (!count_in(&g->in_flight, most_for(now->in_flight_max, priority))) {
            refuse_load(g, r);
            return false;
        }
        pass->counted = true;
    }
    bool is_limited = now && now->limiter, has_own = route && route->flags & SX_ROUTE_OWN_RATE;
    if (is_limited && !has_own && !take(g, now->limiter, GENERAL, now, r))
        return false;
    if (sx_likely(!routes || !route))
        return true;
    sx_guard_route *own = &routes->each[index];
    if (own->in_flight_max) {
        if (!count_in(&own->in_flight, own->in_flight_max)) {
            refuse_load(g, r);
            return false;
        }
        pass->route = own;
    }
    if (!own->limiter || (has_own && !is_limited))
        return true;
    return take(g, own->limiter, has_own ? GENERAL : OF_ROUTE, now, r);
}

void sx_guard_leave(sx_guard *g, const sx_guard_pass *pass)
{
    if (pass->shed)
        sx_shed_done(g->shed);
    if (pass->counted)
        __atomic_sub_fetch(&g->in_flight, 1, __ATOMIC_RELAXED);
    if (pass->route)
        __atomic_sub_fetch(&pass->route->in_flight, 1, __ATOMIC_RELAXED);
}

/* ---- for the admin pages ---- */

void sx_guard_limiters(sx_guard *g, void (*fn)(void *ctx, sx_limiter *l), void *ctx)
{
    const rules *now = __atomic_load_n(&g->now, __ATOMIC_ACQUIRE);
    const sx_limiter *general = __atomic_load_n(&g->general, __ATOMIC_ACQUIRE);
    for (made_limiter *m = __atomic_load_n(&g->limiters, __ATOMIC_ACQUIRE); m; m = m->next)
        if (m->limiter != general || (now && now->limiter)) /* switched off: not shown */
            fn(ctx, m->limiter);
}

sx_limiter *sx_guard_limiter(sx_guard *g, sx_str name)
{
    for (made_limiter *m = __atomic_load_n(&g->limiters, __ATOMIC_ACQUIRE); m; m = m->next) {
        sx_limiter_info info;
        sx_limiter_info_of(m->limiter, &info);
        if (sx_str_eq(sx_str_z(info.name), name))
            return m->limiter;
    }
    return NULL;
}

uint32_t sx_guard_in_flight(const sx_guard *g, uint32_t *most)
{
    const rules *now = __atomic_load_n(&g->now, __ATOMIC_ACQUIRE);
    *most = now ? now->in_flight_max : 0;
    return __atomic_load_n(&g->in_flight, __ATOMIC_RELAXED);
}
