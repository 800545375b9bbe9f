/* http.c - the observer that makes an HTTP client traced, measured and broken (client_http.h).
 *
 *   start    breaker of the origin asked -> span -> fields to send
 *   done     span ended, series counted, breaker and check told
 *
 * One observer a client, on the client's loop: no locks. What it keeps of an origin (breaker, series
 * that were resolved) is bounded; strangers beyond the bound share the origin "other". */
#include <sextant/client_http.h>

#include <stdio.h>

#include <sextant/grpc.h>
#include <sextant/map.h>
#include <sextant/mem.h>

#include "client/http_attributes.h"
#include "client/instrument.h"
#include "telemetry/semconv.h"

enum { ORIGINS_MAX = 1024, SERIES_MAX = 512, KEY_BYTES = 192, METHOD_BYTES = 128 };

typedef enum protocol { PLAIN, GRPC, PROTOCOLS } protocol;

/* One origin: the breaker and the series of its calls. */
typedef struct origin {
    sx_breaker *breaker;
    sx_gauge *in_flight;
    sx_map series; /* protocol, method, code to a `series` */
    sx_str name;   /* "http://host:port" behind the struct; the host with its port is its end */
    sx_str host;
} origin;

typedef struct handles {
    sx_counter *total;
    sx_histogram *seconds;
} handles;

typedef struct series {
    handles at;
    char key[];
} series;

typedef struct observer {
    sx_call_observer table; /* what the client calls */
    client_scope scope;     /* of a named client: its breaker and check; else the kit alone */
    bool is_named;
    sx_breaker_options breaker_options;
    bool breaker_off;
    unsigned propagators;
    bool query_recorded;
    sx_map origins;
    sx_metric *total[PROTOCOLS], *seconds[PROTOCOLS], *in_flight;
    sx_gauge *open, *waiting;
    sx_counter *opened, *reused;
    sx_http_client_counts told;
    /* The probe. */
    sx_loop *loop;
    sx_http_client *client;
    char *probe_url;
    uint32_t probe_ms;
    bool is_probing;
    sx_timer probe_timer;
} observer;

/* One call; zeroed by the client. */
typedef struct state {
    sx_context context; /* texts in the call's arena */
    sx_span span;
    origin *origin;
    sx_breaker *breaker; /* that waits for a result; NULL: none */
    sx_breaker_pass pass;
    int64_t start_ns;
    protocol protocol;
    bool has_deadline; /* the caller's */
    char method[METHOD_BYTES];
    char inject_room[SX_INJECT_BYTES];
} state;

/* ---- origins ---- */

static origin *new_origin(observer *o, sx_str name, sx_str host)
{
    origin *made = sx_calloc(1, sizeof(*made) + name.len + host.len);
    if (!made)
        return NULL;
    char *text = (char *)(made + 1);
    memcpy(text, name.data, name.len);
    memcpy(text + name.len, host.data, host.len);
    made->name = sx_str_of(text, name.len);
    made->host = sx_str_of(text + name.len, host.len);
    sx_map_entry *e = sx_map_put(&o->origins, made->name, NULL);
    if (!e) {
        sx_free(made);
        return NULL;
    }
    e->ptr = made;
    sx_map_init(&made->series, NULL);
    if (o->is_named)
        made->breaker = o->scope.breaker;
    else if (o->scope.kit.breakers && !o->breaker_off)
        made->breaker = sx_breakers_get(o->scope.kit.breakers, made->name, &o->breaker_options);
    if (o->in_flight)
        made->in_flight = sx_metric_gauge(o->in_flight, &made->host, 1);
    return made;
}

static origin *origin_of(observer *o, const sx_url *url)
{
    static const char *const SCHEMES[] = {
        [SX_URL_HTTP] = "http", [SX_URL_HTTPS] = "https", [SX_URL_UNIX] = "unix"};
    char text[320];
    bool is_unix = url->scheme == SX_URL_UNIX, is_ipv6 = url->is_ipv6;
    const char *scheme = SCHEMES[url->scheme];
    int len = is_unix ? snprintf(text, sizeof(text), "unix:%.*s", SX_ARG(url->host))
                      : snprintf(text, sizeof(text), "%s://%s%.*s%s:%u", scheme, is_ipv6 ? "[" : "",
                                 SX_ARG(url->host), is_ipv6 ? "]" : "", url->port);
    size_t used = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    sx_str name = sx_str_of(text, used);
    sx_str host = sx_str_from(name, is_unix ? 0 : strlen(scheme) + 3);
    origin *found = sx_map_get(&o->origins, name);
    if (!found && sx_map_count(&o->origins) >= ORIGINS_MAX) {
        name = host = SX_STR("other");
        found = sx_map_get(&o->origins, name);
    }
    return found ? found : new_origin(o, name, host);
}

static void free_origin(origin *at)
{
    size_t cursor = 0;
    sx_map_entry *e;
    while ((e = sx_map_next(&at->series, &cursor)))
        sx_free(e->ptr);
    sx_map_done(&at->series);
    sx_free(at);
}

/* ---- series ---- */

static void resolve(observer *o, const state *s, sx_str code, handles *out)
{
    const sx_str labels[] = {sx_str_z(s->method), s->origin->host, code};
    out->total = sx_metric_counter(o->total[s->protocol], labels, 3);
    out->seconds = sx_metric_histogram(o->seconds[s->protocol], labels, 3);
}

/* The handles of a call's series: resolved once, then found in the origin's table. */
static handles handles_of(observer *o, const state *s, sx_str code)
{
    char key[KEY_BYTES];
    handles result;
    int len = snprintf(key, sizeof(key), "%d%s %.*s", s->protocol, s->method, SX_ARG(code));
    sx_str text = sx_str_of(key, (size_t)len < sizeof(key) ? (size_t)len : sizeof(key) - 1);
    series *found = sx_map_get(&s->origin->series, text);
    if (found)
        return found->at;
    resolve(o, s, code, &result);
    if (sx_map_count(&s->origin->series) < SERIES_MAX &&
        (found = sx_calloc(1, sizeof(*found) + text.len))) {
        memcpy(found->key, text.data, text.len);
        sx_map_entry *e = sx_map_put(&s->origin->series, sx_str_of(found->key, text.len), NULL);
        if (e) {
            found->at = result;
            e->ptr = found;
        } else {
            sx_free(found);
        }
    }
    return result;
}

static void count(observer *o, const state *s, sx_str code, bool is_timed)
{
    if (!o->total[PLAIN])
        return;
    handles at = handles_of(o, s, code);
    sx_counter_add(at.total, 1);
    if (is_timed)
        sx_histogram_observe(at.seconds,
                             (double)(sx_clock_mono_ns(o->scope.clock) - s->start_ns) / 1e9);
}

/* ---- start ---- */

static void keep_context(state *s, sx_arena *arena)
{
    s->context = *sx_context_current();
    s->context.request_id = sx_arena_copy(arena, s->context.request_id);
    s->context.baggage = sx_arena_copy(arena, s->context.baggage);
    s->context.span.tracestate = sx_arena_copy(arena, s->context.span.tracestate);
}

static void add_fields(const observer *o, state *s, sx_call_start *call)
{
    sx_inject_field fields[SX_INJECT_FIELDS];
    if (!o->propagators)
        return;
    size_t n = sx_trace_inject(o->propagators, &s->span.context, s->context.baggage, fields,
                               s->inject_room);
    for (size_t i = 0; i < n; i++)
        call->extra[call->extra_count++] = (sx_header){fields[i].name, fields[i].value};
    if (s->context.request_id.len)
        call->extra[call->extra_count++] =
            (sx_header){SX_STR("x-request-id"), s->context.request_id};
}

/* Ends what a call has begun without an answer. */
static void end_early(observer *o, state *s, client_outcome outcome, const sx_error *err)
{
    const char *type = client_outcome_name(outcome);
    http_span_fail(&s->span, type, err);
    sx_span_end(&s->span);
    count(o, s, sx_str_z(type), false);
    if (s->breaker)
        sx_breaker_cancel(s->breaker, &s->pass);
    s->breaker = NULL;
}

static sx_status on_start(void *ctx, void *at, sx_call_start *call, sx_error *err)
{
    observer *o = ctx;
    state *s = at;
    keep_context(s, call->arena);
    s->start_ns = sx_clock_mono_ns(o->scope.clock);
    s->protocol = call->is_grpc ? GRPC : PLAIN;
    s->origin = origin_of(o, call->parts);
    if (!s->origin)
        return sx_fail_memory(err, "an origin");
    http_method_name(call, s->method, sizeof(s->method));
    http_span_start(&s->span, o->scope.kit.tracer, &s->context.span, call, s->method,
                    o->query_recorded);
    if (sx_context_left_ms(&s->context, o->scope.clock) == 0) {
        sx_fail(err, SX_ETIMEOUT, "no time was left for a call to %.*s: the deadline has passed",
                SX_ARG(s->origin->host));
        end_early(o, s, CLIENT_TIMEOUT, err);
        return SX_ETIMEOUT;
    }
    if (s->origin->breaker && !sx_breaker_allow(s->origin->breaker, &s->pass)) {
        sx_str name = o->is_named ? sx_str_z(o->scope.target) : s->origin->name;
        sx_fail(err, SX_REFUSED,
                "circuit breaker '%.*s' is open: %.*s was not called, as earlier calls failed",
                SX_ARG(name), SX_ARG(s->origin->host));
        end_early(o, s, CLIENT_REFUSED, err);
        return SX_REFUSED;
    }
    s->breaker = s->origin->breaker;
    s->has_deadline = sx_context_left_ms(&s->context, o->scope.clock) >= 0;
    add_fields(o, s, call);
    if (s->origin->in_flight)
        sx_gauge_add(s->origin->in_flight, 1);
    return SX_OK;
}

static void on_dropped(void *ctx, void *at, sx_status status, const sx_error *err)
{
    state *s = at;
    end_early(ctx, s, client_outcome_of(status), err);
    if (s->origin->in_flight)
        sx_gauge_add(s->origin->in_flight, -1);
}

static uint32_t on_timeout_ms(void *ctx, uint32_t asked_ms)
{
    const observer *o = ctx;
    return sx_context_timeout_ms(sx_context_current(), o->scope.clock, asked_ms);
}

/* ---- the end ---- */

/* What an answer says of the other side: well, failing, or nothing (our own doing). */
typedef enum verdict { WELL, FAILING, NOTHING } verdict;

static verdict judge(const observer *o, const state *s, const sx_call_end_info *info,
                     int grpc_status)
{
    static const bool GRPC_FAILS[] = {[SX_GRPC_UNKNOWN] = true,
                                      [SX_GRPC_DEADLINE_EXCEEDED] = true,
                                      [SX_GRPC_INTERNAL] = true,
                                      [SX_GRPC_UNAVAILABLE] = true,
                                      [SX_GRPC_DATA_LOSS] = true};
    client_outcome outcome = client_outcome_of(info->status);
    bool is_late = outcome == CLIENT_TIMEOUT || grpc_status == SX_GRPC_DEADLINE_EXCEEDED;
    if (info->is_by_caller || outcome == CLIENT_CANCELED || outcome == CLIENT_REFUSED)
        return NOTHING;
    if (is_late && s->has_deadline && sx_context_left_ms(&s->context, o->scope.clock) == 0)
        return NOTHING; /* the caller was in a hurry: nobody's fault */
    if (s->protocol == GRPC)
        return (size_t)grpc_status < SX_COUNT_OF(GRPC_FAILS) && GRPC_FAILS[grpc_status] ? FAILING
                                                                                        : WELL;
    if (outcome != CLIENT_OK)
        return FAILING;
    return info->response->status >= 500 && info->response->status != 501 ? FAILING : WELL;
}

static void tell(observer *o, state *s, verdict v, const sx_call_end_info *info, int grpc_status)
{
    if (s->breaker && v == NOTHING)
        sx_breaker_cancel(s->breaker, &s->pass);
    else if (s->breaker)
        sx_breaker_done(s->breaker, &s->pass, v == WELL);
    s->breaker = NULL;
    if (!o->scope.check || v == NOTHING)
        return;
    sx_error err = *info->err;
    if (v == FAILING && info->status == SX_OK)
        sx_fail(&err, SX_EIO, "%.*s answered with status %d%s%s", SX_ARG(s->origin->host),
                info->response->status, s->protocol == GRPC ? ", gRPC " : "",
                s->protocol == GRPC ? sx_grpc_status_name(grpc_status) : "");
    client_scope_report(&o->scope, v == WELL ? SX_OK : err.status, &err,
                        v == WELL ? sx_clock_mono_ns(o->scope.clock) - s->start_ns : -1);
}

static void on_done(void *ctx, void *at, const sx_call_end_info *info)
{
    observer *o = ctx;
    state *s = at;
    char digits[16];
    int grpc_status = s->protocol == GRPC ? http_grpc_status(info) : SX_GRPC_OK;
    client_outcome outcome = info->is_by_caller ? CLIENT_CANCELED : client_outcome_of(info->status);
    const char *code = client_outcome_name(outcome);
    if (s->protocol == GRPC) {
        code = sx_grpc_status_name(grpc_status);
    } else if (outcome == CLIENT_OK) {
        snprintf(digits, sizeof(digits), "%d", info->response->status);
        code = digits;
    }
    http_span_end(&s->span, info, s->protocol == GRPC, grpc_status, code);
    count(o, s, sx_str_z(code), true);
    if (s->origin->in_flight)
        sx_gauge_add(s->origin->in_flight, -1);
    tell(o, s, judge(o, s, info, grpc_status), info, grpc_status);
}

static const void *on_enter(void *ctx, void *at)
{
    const state *s = at;
    (void)ctx;
    return sx_context_enter(&s->context);
}

static void on_leave(void *ctx, const void *entered)
{
    (void)ctx;
    sx_context_leave(entered);
}

static void on_counts(void *ctx, const sx_http_client_counts *now)
{
    observer *o = ctx;
    if (!o->open || memcmp(now, &o->told, sizeof(*now)) == 0)
        return;
    /* Several loops' clients share the gauges: each adds its own change. */
    sx_gauge_add(o->open, (double)now->open - (double)o->told.open);
    sx_gauge_add(o->waiting, (double)now->waiting - (double)o->told.waiting);
    sx_counter_add(o->opened, now->opened - o->told.opened);
    sx_counter_add(o->reused, now->reused - o->told.reused);
    o->told = *now;
}

/* ---- the probe ---- */

static void on_probed(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                      const sx_header *trailers, size_t trailer_count)
{
    observer *o = ctx;
    (void)call, (void)status, (void)err, (void)trailers, (void)trailer_count;
    o->is_probing = false; /* the check was told as by any call */
}

static void on_probe_due(sx_timer *timer, void *arg)
{
    static const sx_call_events EVENTS = {.done = on_probed};
    observer *o = arg;
    sx_error err;
    sx_timer_start(sx_loop_timers(o->loop), timer, o->probe_ms);
    if (o->is_probing || !client_scope_is_quiet(&o->scope, o->probe_ms))
        return;
    sx_call_request request = {.url = sx_str_z(o->probe_url), .total_ms_max = o->probe_ms};
    sx_status st = sx_http_call(o->client, &request, &EVENTS, o, NULL, &err);
    o->is_probing = st == SX_OK;
    if (st != SX_OK)
        client_scope_report(&o->scope, st, &err, -1);
}

/* ---- life ---- */

static void observer_free(observer *o)
{
    size_t cursor = 0;
    sx_map_entry *e;
    sx_http_client_counts last = o->told;
    last.open = last.waiting = 0;
    on_counts(o, &last);
    if (o->loop)
        sx_timer_stop(sx_loop_timers(o->loop), &o->probe_timer);
    while ((e = sx_map_next(&o->origins, &cursor)))
        free_origin(e->ptr);
    sx_map_done(&o->origins);
    client_scope_done(&o->scope);
    sx_free(o->probe_url);
    sx_free(o);
}

static void on_closed(void *ctx)
{
    observer_free(ctx);
}

static sx_status add_metrics(observer *o, sx_metrics *m, sx_error *err)
{
    static const char *const CALL[] = {"method", "host", "code"};
    static const char *const HOST[] = {"host"}, *const STATE[] = {"state"}, *const HOW[] = {"how"};
    sx_metric *connections = NULL, *taken = NULL;
    const struct {
        sx_metric **out;
        sx_metric_kind kind;
        const char *name, *help;
        const char *const *labels;
        size_t count;
    } rows[] = {
        {&o->total[PLAIN], SX_METRIC_COUNTER, "http_client_requests_total",
         "HTTP calls that have ended.", CALL, 3},
        {&o->seconds[PLAIN], SX_METRIC_HISTOGRAM, "http_client_request_duration_seconds",
         "Time of HTTP calls from their start to the last byte of the answer.", CALL, 3},
        {&o->total[GRPC], SX_METRIC_COUNTER, "grpc_client_requests_total",
         "gRPC calls that have ended.", CALL, 3},
        {&o->seconds[GRPC], SX_METRIC_HISTOGRAM, "grpc_client_request_duration_seconds",
         "Time of gRPC calls from their start to their status.", CALL, 3},
        {&o->in_flight, SX_METRIC_GAUGE, "http_client_requests_in_flight",
         "HTTP and gRPC calls under way.", HOST, 1},
        {&connections, SX_METRIC_GAUGE, "http_client_connections",
         "Connections of HTTP clients that are open, and calls that wait for one.", STATE, 1},
        {&taken, SX_METRIC_COUNTER, "http_client_connections_taken_total",
         "Connections given to calls: opened for them, or reused.", HOW, 1},
    };
    for (size_t i = 0; i < SX_COUNT_OF(rows); i++) {
        sx_metric_options metric = {.kind = rows[i].kind,
                                    .name = rows[i].name,
                                    .help = rows[i].help,
                                    .labels = rows[i].labels,
                                    .label_count = rows[i].count};
        sx_status st = sx_metric_new(m, &metric, rows[i].out, err);
        if (st != SX_OK)
            return st;
    }
    o->open = sx_metric_gauge(connections, &SX_STR("open"), 1);
    o->waiting = sx_metric_gauge(connections, &SX_STR("waiting"), 1);
    o->opened = sx_metric_counter(taken, &SX_STR("opened"), 1);
    o->reused = sx_metric_counter(taken, &SX_STR("reused"), 1);
    return SX_OK;
}

static sx_status observer_init(observer *o, const sx_kit *kit, const sx_kit_http_options *options,
                               sx_error *err)
{
    static const client_kind KIND = {.name = "http"};
    sx_client_options client = options->client;
    o->is_named = client.name != NULL;
    client.breaker_off |= !o->is_named;
    client.health_off |= !o->is_named;
    sx_status st = client_scope_init(&o->scope, kit, &KIND, &client, err);
    if (st != SX_OK)
        return st;
    o->breaker_options = options->client.breaker;
    o->breaker_off = options->client.breaker_off;
    o->query_recorded = options->query_recorded;
    o->probe_ms = client.probe_ms ? client.probe_ms : 10000;
    if (!options->propagation_off)
        o->propagators = options->propagators  ? options->propagators
                         : o->scope.kit.tracer ? sx_tracer_propagators(o->scope.kit.tracer)
                                               : SX_PROPAGATE_W3C | SX_PROPAGATE_BAGGAGE;
    if (options->probe_url && o->scope.check) {
        size_t bytes = strlen(options->probe_url) + 1;
        o->probe_url = sx_alloc(bytes);
        if (!o->probe_url)
            return sx_fail_memory(err, "a probe's URL");
        memcpy(o->probe_url, options->probe_url, bytes);
    }
    return o->scope.kit.metrics ? add_metrics(o, o->scope.kit.metrics, err) : SX_OK;
}

sx_status sx_kit_http_client_new(sx_loop *loop, const sx_kit *kit,
                                 const sx_kit_http_options *options, sx_http_client **out,
                                 sx_error *err)
{
    static const sx_kit_http_options DEFAULTS;
    options = options ? options : &DEFAULTS;
    observer *o = sx_calloc(1, sizeof(*o));
    if (!o)
        return sx_fail_memory(err, "an HTTP client");
    sx_map_init(&o->origins, NULL);
    o->table = (sx_call_observer){.state_bytes = sizeof(state),
                                  .ctx = o,
                                  .timeout_ms = on_timeout_ms,
                                  .start = on_start,
                                  .dropped = on_dropped,
                                  .enter = on_enter,
                                  .leave = on_leave,
                                  .done = on_done,
                                  .counts = on_counts,
                                  .closed = on_closed};
    sx_http_client_options http = options->http;
    http.observer = &o->table;
    sx_status st = observer_init(o, kit, options, err);
    if (st == SX_OK)
        st = sx_http_client_new(loop, &http, &o->client, err);
    if (st != SX_OK) {
        observer_free(o);
        return st;
    }
    o->loop = loop;
    o->probe_timer = (sx_timer){.fn = on_probe_due, .arg = o};
    if (o->probe_url)
        sx_timer_start(sx_loop_timers(loop), &o->probe_timer, 0);
    *out = o->client;
    return SX_OK;
}
