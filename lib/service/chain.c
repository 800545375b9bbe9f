/* chain.c - what every request passes through: id, route, handler, then metrics and access log.
 *
 * Budget: 1 us a request for all of it, without an allocation once each route has been used. The
 * request's own state lies in its arena; metric handles are cached for each loop, route and method,
 * so that counting is a few loads and stores. */
#include <stdio.h>

#include <sextant/mem.h>

#include "service/service_internal.h"

typedef struct request_state {
    sx_server_state *at;
    size_t route; /* row in at->endpoint->routes; route_count: none fitted */
    sx_route_match match;
    char id[SX_UUID_BYTES];
} request_state;

static request_state *state_of(const sx_request *r)
{
    return (request_state *)r->service;
}

/* ---- request id ---- */

bool sx_request_id_is_sane(sx_str id)
{
    static const bool SANE[256] = {
        ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true, ['.'] = true,
        ['_'] = true,         ['~'] = true,         [':'] = true,         ['/'] = true,
        ['+'] = true,         ['='] = true,         ['-'] = true,
    };
    for (size_t i = 0; i < id.len && i <= 128; i++)
        if (!SANE[(unsigned char)id.data[i]])
            return false;
    return id.len >= 1 && id.len <= 128;
}

static void give_id(sx_request *r, request_state *state)
{
    sx_str sent = sx_request_header(r, SX_STR("x-request-id"));
    if (sx_request_id_is_sane(sent)) {
        r->id = sent;
    } else {
        sx_uuid7(&state->at->on->uuids, state->id);
        r->id = sx_str_of(state->id, SX_UUID_BYTES - 1);
    }
    /* Refused only without memory: then the reply will fail too. */
    (void)sx_reply_header(r, SX_STR("x-request-id"), r->id);
}

/* ---- routing ---- */

static void reply_allow(sx_request *r, unsigned allow)
{
    char text[128];
    size_t len = 0;
    allow |= 1u << SX_OPTIONS;
    for (int m = 0; m < SX_METHOD_OTHER; m++)
        if (allow & 1u << m)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "",
                                    sx_method_name((sx_method)m));
    (void)sx_reply_header(r, SX_STR("allow"), sx_str_of(text, len));
    if (r->method == SX_OPTIONS)
        sx_reply(r, 204, SX_STR(""), SX_STR(""));
    else
        sx_reply_error(r, 405, NULL);
}

static void reply_redirect(sx_request *r, sx_str location)
{
    if (r->query.len)
        location = sx_arena_printf(&r->arena, "%.*s?%.*s", SX_ARG(location), SX_ARG(r->query));
    /* "//host/" would lead to another host: RFC 3986, section 4.2. */
    if (!location.data || sx_str_starts(location, SX_STR("//")) ||
        sx_reply_header(r, SX_STR("location"), location)) {
        sx_reply_error(r, 404, NULL);
        return;
    }
    sx_reply(r, 308, SX_STR(""), SX_STR(""));
}

static void reply_unrouted(sx_request *r, request_state *state, sx_route_result result)
{
    switch (result) {
    case SX_ROUTE_METHOD:
        reply_allow(r, state->match.allow);
        break;
    case SX_ROUTE_REDIRECT:
        reply_redirect(r, state->match.location);
        break;
    case SX_ROUTE_BAD_ESCAPE:
        sx_reply_error(r, 400, "the path has a broken percent escape");
        break;
    case SX_ROUTE_NO_MEMORY:
        sx_reply_error(r, 503, NULL);
        break;
    default:
        sx_reply_error(r, 404, NULL);
        break;
    }
}

static void call_handler(sx_request *r, const sx_endpoint_state *e, const sx_route *route)
{
    r->route = route->path;
    if (r->content_bytes == 0 || (route->flags & SX_ROUTE_STREAM)) {
        route->handler(r, route->ctx);
        return;
    }
    uint32_t most =
        route->body_bytes_max ? route->body_bytes_max : e->service->settings.body_bytes_max;
    sx_request_read_body(r, most, route->handler, route->ctx);
}

/* HOT: the way in. */
void sx_chain_handler(sx_request *r, void *ctx)
{
    sx_server_state *at = (sx_server_state *)ctx;
    sx_endpoint_state *e = at->endpoint;
    request_state *state = (request_state *)sx_arena_alloc(&r->arena, sizeof(*state));
    r->service = state;
    if (sx_unlikely(!state)) {
        sx_reply_error(r, 503, NULL);
        return;
    }
    state->at = at;
    state->route = e->route_count;
    sx_gauge_add(e->service->in_flight, 1);
    give_id(r, state);
    sx_route_result result =
        sx_router_find(e->router, r->method, r->path, &r->arena, &state->match);
    if (sx_likely(result == SX_ROUTE_FOUND)) {
        state->route = state->match.index;
        call_handler(r, e, &e->routes[state->route]);
    } else if (result == SX_ROUTE_NONE && e->fallback) {
        e->fallback(r, e->service->def->ctx);
    } else {
        reply_unrouted(r, state, result);
    }
}

/* ---- metrics ---- */

static sx_route_cells *make_cells(const sx_service *s, const char *method, const char *route)
{
    sx_route_cells *cells = (sx_route_cells *)sx_calloc(1, sizeof(*cells));
    if (!cells)
        return NULL;
    sx_str labels[] = {sx_str_z(method), sx_str_z(route)};
    cells->duration = sx_metric_histogram(s->duration, labels, 2);
    cells->received = sx_metric_counter(s->received, labels, 2);
    cells->sent = sx_metric_counter(s->sent, labels, 2);
    return cells;
}

/* Cells of a route that was named by a handler, by the pointer it gave. */
static sx_route_cells **named_place(sx_server_state *at, const sx_request *r)
{
    enum { NAMED_MAX = 4096 }; /* names change at reloads; beyond this they are not cached */
    uint64_t key = (uint64_t)(uintptr_t)r->route << 4 | (unsigned)r->method;
    sx_map64_entry *entry = sx_map64_find(&at->named, key);
    if (!entry && sx_map64_count(&at->named) < NAMED_MAX)
        entry = sx_map64_put(&at->named, key, NULL);
    return entry ? (sx_route_cells **)&entry->ptr : NULL;
}

static sx_route_cells *cells_of(sx_server_state *at, const sx_request *r, size_t route)
{
    const sx_endpoint_state *e = at->endpoint;
    const char *name = r->route ? r->route : "unmatched";
    bool own = route < e->route_count ? r->route == e->routes[route].path : !r->route;
    sx_route_cells **place =
        own ? &at->cells[route * SX_METHODS + (size_t)r->method] : named_place(at, r);
    if (!place)
        return NULL;
    if (sx_unlikely(!*place))
        *place = make_cells(e->service, sx_method_name(r->method), name);
    return *place;
}

static sx_counter *resolve_code(const sx_service *s, const sx_request *r, int code)
{
    char text[12];
    int len = snprintf(text, sizeof(text), "%d", code);
    sx_str labels[] = {sx_str_z(sx_method_name(r->method)),
                       sx_str_z(r->route ? r->route : "unmatched"), sx_str_of(text, (size_t)len)};
    return sx_metric_counter(s->requests, labels, 3);
}

static sx_counter *counter_of(const sx_service *s, const sx_request *r, sx_route_cells *cells,
                              int code)
{
    for (unsigned i = 0; i < cells->count; i++)
        if (sx_likely(cells->codes[i] == code))
            return cells->requests[i];
    sx_counter *c = resolve_code(s, r, code);
    if (cells->count < SX_CODES) {
        cells->codes[cells->count] = code;
        cells->requests[cells->count++] = c;
    }
    return c;
}

/* What nginx calls a request whose client went away before an answer began. */
enum { CLIENT_CLOSED_REQUEST = 499 };

static void log_access(const sx_service *s, const sx_request *r, int code, int64_t duration_ns)
{
    sx_access a = {.wall_ns = sx_loop_wall_ns(r->loop),
                   .context = {.request_id = r->id},
                   .method = r->method_text,
                   .path = r->path, /* without the query, where secrets are */
                   .route = sx_str_z(r->route),
                   .client = sx_str_z(r->peer->address),
                   .user_agent = sx_request_header(r, SX_STR("user-agent")),
                   .status = code,
                   .cut_short = r->cut_short,
                   .duration_ns = duration_ns,
                   .received_bytes = r->received_bytes,
                   .sent_bytes = r->sent_bytes};
    sx_log_access(s->access_log, &a);
}

/* HOT: the way out. */
void sx_chain_done(sx_request *r, void *ctx)
{
    sx_server_state *at = (sx_server_state *)ctx;
    const sx_service *s = at->endpoint->service;
    const request_state *state = state_of(r);
    if (sx_unlikely(!state))
        return;
    int code = r->status ? r->status : CLIENT_CLOSED_REQUEST;
    int64_t duration_ns = sx_clock_mono_ns(sx_loop_clock(r->loop)) - r->start_mono_ns;
    sx_gauge_add(s->in_flight, -1);
    sx_route_cells *cells = cells_of(at, r, state->route);
    if (sx_likely(cells != NULL)) {
        sx_counter_add(counter_of(s, r, cells, code), 1);
        sx_histogram_observe(cells->duration, (double)duration_ns * 1e-9);
        if (r->received_bytes)
            sx_counter_add(cells->received, r->received_bytes);
        sx_counter_add(cells->sent, r->sent_bytes);
    } else {
        sx_counter_add(resolve_code(s, r, code), 1); /* no memory for the cache */
    }
    if (s->access_log)
        log_access(s, r, code, duration_ns);
}

void sx_chain_rejected(sx_http_server *server, void *ctx, const sx_peer *peer, int status,
                       const char *why)
{
    (void)server;
    const sx_server_state *at = (const sx_server_state *)ctx;
    sx_service *s = at->endpoint->service;
    char text[12];
    int len = snprintf(text, sizeof(text), "%d", status);
    sx_counter_add(sx_metric_counter(s->rejected, &(sx_str){text, (size_t)len}, 1), 1);
    SX_LOG_DEBUG(sx_service_logger(s), NULL, "connection refused or broken",
                 sx_field_z("client", peer ? peer->address : ""), sx_field_i64("status", status),
                 sx_field_z("why", why));
}

void sx_chain_turn_end(sx_loop *loop, void *arg)
{
    (void)loop;
    sx_loop_state *on = (sx_loop_state *)arg;
    sx_service *s = on->service;
    for (size_t i = 0; i < on->server_count; i++) {
        sx_server_state *at = &on->servers[i];
        const sx_http_counts *now = sx_http_server_counts(at->server);
        if (now->connections_open != at->connections) {
            sx_gauge_add(s->connections, (double)now->connections_open - (double)at->connections);
            at->connections = now->connections_open;
        }
        if (now->connections_accepted != at->accepted) {
            sx_counter_add(s->accepted, now->connections_accepted - at->accepted);
            at->accepted = now->connections_accepted;
        }
    }
    if (s->access_log)
        sx_log_turn_end(s->access_log);
}

sx_status sx_chain_metrics(sx_service *s, sx_error *err)
{
    static const char *const LABELS[] = {"method", "route", "code"}, *const CODE[] = {"code"};
    sx_metric *in_flight, *connections, *accepted;
    const struct {
        sx_metric **place;
        sx_metric_options options;
    } METRICS[] = {
        {&s->requests,
         {.name = "http_requests_total",
          .help = "Requests answered, by method, route and status code.",
          .labels = LABELS,
          .label_count = 3}},
        {&s->duration,
         {.kind = SX_METRIC_HISTOGRAM,
          .name = "http_request_duration_seconds",
          .help = "Time from the end of a request's head to the end of its reply.",
          .labels = LABELS,
          .label_count = 2}},
        {&s->received,
         {.name = "http_request_body_bytes_total",
          .help = "Bytes of request bodies received.",
          .labels = LABELS,
          .label_count = 2}},
        {&s->sent,
         {.name = "http_response_body_bytes_total",
          .help = "Bytes of response bodies sent.",
          .labels = LABELS,
          .label_count = 2}},
        {&s->rejected,
         {.name = "http_requests_rejected_total",
          .help = "Requests and connections refused before they reached a route, by the status "
                  "they were answered with; 0: none.",
          .labels = CODE,
          .label_count = 1}},
        {&in_flight,
         {.kind = SX_METRIC_GAUGE,
          .name = "http_requests_in_flight",
          .help = "Requests being answered now."}},
        {&connections,
         {.kind = SX_METRIC_GAUGE,
          .name = "http_connections_open",
          .help = "Client connections open now."}},
        {&accepted,
         {.name = "http_connections_accepted_total", .help = "Client connections accepted."}},
    };
    for (size_t i = 0; i < SX_COUNT_OF(METRICS); i++) {
        sx_status status = sx_metric_new(s->metrics, &METRICS[i].options, METRICS[i].place, err);
        if (status)
            return status;
    }
    s->in_flight = sx_metric_gauge(in_flight, NULL, 0);
    s->connections = sx_metric_gauge(connections, NULL, 0);
    s->accepted = sx_metric_counter(accepted, NULL, 0);
    return SX_OK;
}

void sx_chain_cells_free(sx_server_state *server)
{
    size_t count = server->cells ? (server->endpoint->route_count + 1) * SX_METHODS : 0;
    for (size_t i = 0; i < count; i++)
        sx_free(server->cells[i]);
    sx_free(server->cells);
    size_t cursor = 0;
    for (sx_map64_entry *e; (e = sx_map64_next(&server->named, &cursor));)
        sx_free(e->ptr);
    sx_map64_done(&server->named);
}

/* ---- what handlers ask ---- */

sx_str sx_request_param(sx_request *r, const char *name)
{
    request_state *state = state_of(r);
    const sx_endpoint_state *e = state ? state->at->endpoint : NULL;
    sx_str wanted = sx_str_z(name);
    for (size_t i = 0; e && state->route < e->route_count && i < state->match.param_count; i++) {
        if (!sx_str_eq(sx_router_param_name(e->router, state->route, i), wanted))
            continue;
        sx_str value = state->match.params[i];
        if (state->match.escaped &&
            sx_percent_decode(&r->arena, value, SX_PERCENT_PATH, &value, NULL))
            return sx_str_of(NULL, 0);
        return value;
    }
    return sx_str_of(NULL, 0);
}

sx_str sx_request_query(sx_request *r, const char *name)
{
    sx_str wanted = sx_str_z(name), rest = r->query, key, value, plain;
    while (sx_query_next(&rest, &key, &value)) {
        if (sx_percent_decode(&r->arena, key, SX_PERCENT_FORM, &plain, NULL))
            plain = key;
        if (!sx_str_eq(plain, wanted))
            continue;
        if (sx_percent_decode(&r->arena, value, SX_PERCENT_FORM, &plain, NULL))
            plain = value;
        return plain.data ? plain : SX_STR("");
    }
    return sx_str_of(NULL, 0);
}

sx_log_context sx_request_log_context(const sx_request *r)
{
    return (sx_log_context){.request_id = r->id};
}

sx_service *sx_request_service(const sx_request *r)
{
    return state_of(r)->at->endpoint->service;
}

void *sx_request_loop_context(const sx_request *r)
{
    return state_of(r)->at->on->context;
}
