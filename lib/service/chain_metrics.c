/* chain_metrics.c - the metrics of HTTP: handles cached for each loop, route and method, so that
 * counting a request is a few loads and stores. */
#include <stdio.h>

#include <sextant/mem.h>

#include "service/service_internal.h"

/* `route` NULL: none fitted. */
static sx_route_cells *make_cells(const sx_service *s, sx_method method, const char *route)
{
    const char *verb = sx_method_name(method);
    size_t room = strlen(verb) + (route ? strlen(route) : 0) + 2;
    sx_route_cells *cells = (sx_route_cells *)sx_calloc(1, sizeof(*cells) + room);
    if (!cells)
        return NULL;
    /* The conventions' name of a span: "{method} {route}", and "HTTP" for a method they do not know. */
    int len = snprintf(cells->name, room, "%s%s%s", method == SX_METHOD_OTHER ? "HTTP" : verb,
                       route ? " " : "", route ? route : "");
    cells->name_len = (size_t)len;
    sx_str labels[] = {sx_str_z(verb), sx_str_z(route ? route : "unmatched")};
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

sx_route_cells *sx_chain_cells(sx_server_state *at, const sx_request *r, size_t route)
{
    const sx_endpoint_state *e = at->endpoint;
    bool own = route < e->route_count ? r->route == e->routes[route].path : !r->route;
    sx_route_cells **place =
        own ? &at->cells[route * SX_METHODS + (size_t)r->method] : named_place(at, r);
    if (!place)
        return NULL;
    if (sx_unlikely(!*place))
        *place = make_cells(e->service, r->method, r->route);
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

void sx_chain_count(sx_request *r, sx_request_state *state, int code, int64_t duration_ns)
{
    const sx_service *s = state->at->endpoint->service;
    sx_route_cells *cells = state->cells;
    sx_gauge_add(s->in_flight, -1);
    if (sx_unlikely(!cells)) { /* no memory for the cache */
        sx_counter_add(resolve_code(s, r, code), 1);
        return;
    }
    sx_counter_add(counter_of(s, r, cells, code), 1);
    const sx_span_context *span = &state->span.context;
    if (sx_unlikely(span->flags & SX_TRACE_SAMPLED)) /* the trace that shows where the time went */
        sx_histogram_observe_exemplar(cells->duration, (double)duration_ns * 1e-9, span->trace_id,
                                      span->span_id);
    else
        sx_histogram_observe(cells->duration, (double)duration_ns * 1e-9);
    if (r->received_bytes)
        sx_counter_add(cells->received, r->received_bytes);
    sx_counter_add(cells->sent, r->sent_bytes);
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
    __atomic_store_n(&on->alive_mono_ms, sx_loop_now_ms(on->loop), __ATOMIC_RELAXED);
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
