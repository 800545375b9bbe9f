/* instrument.c - span, metrics, breaker, health and context around a call (instrument.h). */
#include <sextant/client.h>

#include <stdio.h>

#include <sextant/mem.h>

#include "client/instrument.h"
#include "telemetry/semconv.h"

static const char *const OUTCOMES[CLIENT_OUTCOMES] = {
    "ok", "error", "timeout", "unavailable", "refused", "canceled",
};

const char *client_outcome_name(client_outcome outcome)
{
    return OUTCOMES[outcome];
}

client_outcome client_outcome_of(sx_status st)
{
    switch (st) {
    case SX_OK:
        return CLIENT_OK;
    case SX_ETIMEOUT:
        return CLIENT_TIMEOUT;
    case SX_REFUSED:
        return CLIENT_REFUSED;
    case SX_ECLOSED:
    case SX_EIO:
    case SX_ENOTFOUND:
    case SX_EPROTOCOL:
        return CLIENT_UNAVAILABLE;
    default:
        return CLIENT_CANCELED;
    }
}

/* ---- scopes ---- */

static sx_status add_metrics(client_scope *s, sx_error *err)
{
    const char *const labels[] = {"target", s->kind->operation_label, "outcome"};
    sx_metric_options total = {.kind = SX_METRIC_COUNTER,
                               .name = s->kind->total_name,
                               .help = s->kind->total_help,
                               .labels = labels,
                               .label_count = 3};
    sx_metric_options seconds = {.kind = SX_METRIC_HISTOGRAM,
                                 .name = s->kind->seconds_name,
                                 .help = s->kind->seconds_help,
                                 .labels = labels,
                                 .label_count = 2};
    sx_status st = sx_metric_new(s->kit.metrics, &total, &s->total, err);
    return st == SX_OK ? sx_metric_new(s->kit.metrics, &seconds, &s->seconds, err) : st;
}

sx_status client_scope_init(client_scope *s, const sx_kit *kit, const client_kind *kind,
                            const sx_client_options *options, sx_error *err)
{
    static const sx_client_options DEFAULTS;
    const sx_client_options *o = options ? options : &DEFAULTS;
    sx_str name = sx_str_z(o->name ? o->name : kind->name);
    sx_status st = SX_OK;
    sx_assert(name.data);
    memset(s, 0, sizeof(*s));
    if (kit)
        s->kit = *kit;
    s->clock = s->kit.clock ? s->kit.clock : sx_clock_system();
    s->kind = kind;
    pthread_mutex_init(&s->lock, NULL); /* cannot fail with default attributes */
    sx_map_init(&s->operations, NULL);
    s->target = sx_alloc(name.len + 1);
    if (!s->target)
        st = sx_fail_memory(err, "a client's name");
    else
        memcpy(s->target, name.data, name.len + 1);
    if (st == SX_OK && s->kit.metrics && kind->total_name)
        st = add_metrics(s, err);
    if (st == SX_OK && s->kit.health && !o->health_off) {
        sx_health_check_options check = {.name = s->target, .informative = o->health_informative};
        st = sx_health_add(s->kit.health, &check, &s->check, err);
    }
    if (st == SX_OK && s->kit.breakers && !o->breaker_off)
        s->breaker = sx_breakers_get(s->kit.breakers, name, &o->breaker);
    if (st != SX_OK)
        client_scope_done(s);
    return st;
}

void client_scope_done(client_scope *s)
{
    size_t cursor = 0;
    sx_map_entry *e;
    if (!s->clock)
        return;
    if (s->check)
        sx_health_remove(s->check);
    while ((e = sx_map_next(&s->operations, &cursor)))
        sx_free(e->ptr);
    sx_map_done(&s->operations);
    sx_free(s->target);
    pthread_mutex_destroy(&s->lock);
    memset(s, 0, sizeof(*s));
}

void client_scope_server_set(client_scope *s, sx_str host, uint16_t port)
{
    snprintf(s->server, sizeof(s->server), "%.*s", SX_ARG(host));
    s->port = port;
}

void client_scope_report(client_scope *s, sx_status st, const sx_error *err, int64_t latency_ns)
{
    __atomic_store_n(&s->told_ms, sx_clock_mono_ms(s->clock), __ATOMIC_RELAXED);
    if (s->check)
        sx_health_report(s->check, st, err, latency_ns);
}

bool client_scope_is_quiet(const client_scope *s, uint32_t ms)
{
    int64_t told_ms = __atomic_load_n(&s->told_ms, __ATOMIC_RELAXED);
    return sx_clock_mono_ms(s->clock) - told_ms >= ms;
}

/* The operation of that name, made if need be; above CLIENT_OPERATIONS_MAX the one called "other".
 * NULL without memory: then it is not measured. */
static client_operation *operation_of(client_scope *s, sx_str name)
{
    pthread_mutex_lock(&s->lock);
    client_operation *op = sx_map_get(&s->operations, name);
    if (!op && sx_map_count(&s->operations) >= CLIENT_OPERATIONS_MAX) {
        name = SX_STR("other");
        op = sx_map_get(&s->operations, name);
    }
    if (!op && (op = sx_calloc(1, sizeof(*op) + name.len))) {
        op->name_len = name.len;
        memcpy(op->name, name.data, name.len);
        sx_map_entry *e = sx_map_put(&s->operations, sx_str_of(op->name, name.len), NULL);
        if (e) {
            const sx_str labels[] = {sx_str_z(s->target), sx_str_of(op->name, name.len)};
            e->ptr = op;
            op->seconds = sx_metric_histogram(s->seconds, labels, 2);
        } else {
            sx_free(op);
            op = NULL;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return op;
}

static void count(client_call *c, client_outcome outcome)
{
    client_operation *op = c->operation;
    client_scope *s = c->scope;
    if (!op)
        return;
    sx_counter *total = __atomic_load_n(&op->total[outcome], __ATOMIC_ACQUIRE);
    if (!total) {
        const sx_str labels[] = {sx_str_z(s->target), sx_str_of(op->name, op->name_len),
                                 sx_str_z(OUTCOMES[outcome])};
        total = sx_metric_counter(s->total, labels, 3); /* the same for whoever asks */
        __atomic_store_n(&op->total[outcome], total, __ATOMIC_RELEASE);
    }
    sx_counter_add(total, 1);
    if (outcome != CLIENT_REFUSED)
        sx_histogram_observe(op->seconds, (double)(sx_clock_mono_ns(s->clock) - c->start_ns) / 1e9);
}

/* ---- calls ---- */

static void start_span(client_call *c, const client_what *what)
{
    client_scope *s = c->scope;
    char name[160];
    sx_field fields[7];
    size_t n = 0;
    if (!s->kit.tracer) {
        sx_span_start(&c->span, NULL, &(sx_span_options){.parent = &c->context.span});
        return;
    }
    int len = snprintf(name, sizeof(name), "%.*s%s%.*s", SX_ARG(what->operation),
                       what->collection.len ? " " : "", SX_ARG(what->collection));
    if (s->kind->system)
        fields[n++] = sx_field_z(SX_ATTR_DB_SYSTEM_NAME, s->kind->system);
    fields[n++] = sx_field_str(SX_ATTR_DB_OPERATION_NAME, what->operation);
    if (what->collection.len)
        fields[n++] = sx_field_str(SX_ATTR_DB_COLLECTION_NAME, what->collection);
    if (what->text.len)
        fields[n++] = sx_field_str(SX_ATTR_DB_QUERY_TEXT, what->text);
    if (s->server[0])
        fields[n++] = sx_field_z(SX_ATTR_SERVER_ADDRESS, s->server);
    if (s->port)
        fields[n++] = sx_field_i64(SX_ATTR_SERVER_PORT, s->port);
    sx_span_start(
        &c->span, s->kit.tracer,
        &(sx_span_options){
            .name = sx_str_of(name, len < (int)sizeof(name) ? (size_t)len : sizeof(name) - 1),
            .kind = SX_SPAN_CLIENT,
            .parent = &c->context.span,
            .attributes = fields,
            .attribute_count = n});
}

sx_status client_call_begin(client_call *c, client_scope *s, const client_what *what,
                            uint32_t *timeout_ms, sx_error *err)
{
    const sx_context *current = sx_context_current();
    sx_error own;
    memset(c, 0, sizeof(*c));
    c->scope = s;
    c->start_ns = sx_clock_mono_ns(s->clock);
    sx_status st = sx_context_keep(current, &c->context, &c->room);
    if (st != SX_OK)
        return sx_fail_memory(err, "a call's context");
    *timeout_ms = sx_context_timeout_ms(current, s->clock, what->timeout_ms);
    c->cut = *timeout_ms != what->timeout_ms;
    if (s->total)
        c->operation = operation_of(s, what->operation);
    start_span(c, what);
    c->open = true;
    err = err ? err : &own;
    if (sx_context_left_ms(current, s->clock) == 0 && !what->unbreakable) {
        st = sx_fail(err, SX_ETIMEOUT, "no time was left for '%.*s' on %s: the deadline has passed",
                     SX_ARG(what->operation), s->target);
    } else if (s->breaker && !what->unbreakable && !sx_breaker_allow(s->breaker, &c->pass)) {
        st = sx_fail(err, SX_REFUSED,
                     "circuit breaker '%s' is open: '%.*s' was not tried, as earlier calls failed",
                     s->target, SX_ARG(what->operation));
    } else {
        c->passed = s->breaker != NULL && !what->unbreakable;
    }
    if (st != SX_OK)
        client_call_end(c, client_outcome_of(st), err, NULL);
    return st;
}

/* What the breaker learns. A time-out that the caller's deadline brought forward is not held against
 * the other side. */
static void tell_breaker(client_call *c, client_outcome outcome)
{
    sx_breaker *b = c->scope->breaker;
    if (!c->passed)
        return;
    c->passed = false;
    if (outcome == CLIENT_OK || outcome == CLIENT_ERROR)
        sx_breaker_done(b, &c->pass, true);
    else if (outcome == CLIENT_UNAVAILABLE || (outcome == CLIENT_TIMEOUT && !c->cut))
        sx_breaker_done(b, &c->pass, false);
    else
        sx_breaker_cancel(b, &c->pass);
}

static void tell_health(client_call *c, client_outcome outcome, const sx_error *err)
{
    if (outcome == CLIENT_OK || outcome == CLIENT_ERROR)
        client_scope_report(c->scope, SX_OK, NULL, sx_clock_mono_ns(c->scope->clock) - c->start_ns);
    else if (outcome == CLIENT_UNAVAILABLE || (outcome == CLIENT_TIMEOUT && !c->cut))
        client_scope_report(c->scope,
                            err && err->status != SX_OK ? err->status
                            : outcome == CLIENT_TIMEOUT ? SX_ETIMEOUT
                                                        : SX_ECLOSED,
                            err, -1);
}

void client_call_end(client_call *c, client_outcome outcome, const sx_error *err,
                     const char *error_type)
{
    if (!c->open)
        return;
    c->open = false;
    if (outcome != CLIENT_OK && sx_span_recording(&c->span)) {
        sx_field type = sx_field_z(SX_ATTR_ERROR_TYPE, error_type ? error_type : OUTCOMES[outcome]);
        sx_span_set(&c->span, &type, 1);
        sx_span_outcome_set(&c->span, SX_SPAN_ERROR, err ? sx_str_z(err->message) : SX_STR(""));
    }
    sx_span_end(&c->span);
    count(c, outcome);
    tell_breaker(c, outcome);
    tell_health(c, outcome, err);
}

const sx_context *client_call_enter(const client_call *c)
{
    return sx_context_enter(&c->context);
}

void client_call_leave(const sx_context *outer)
{
    sx_context_leave(outer);
}

void client_call_done(client_call *c)
{
    sx_free(c->room);
    c->room = NULL;
}
