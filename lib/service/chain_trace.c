/* chain_trace.c - the trace of a request: whose it is part of, the span that it is here, and what
 * that span says at its end.
 *
 * The caller's ids come from the fields that the chain has found already. A span that is not sampled
 * costs its ids; attributes are made only for one that is recorded, but for those that the rules of
 * sampling may ask for. Source: OpenTelemetry Semantic Conventions, "HTTP server". */
#include <stdio.h>

#include <sextant/deadline.h>

#include "service/service_internal.h"
#include "telemetry/semconv.h"
#include "telemetry/tracer.h"

/* "host", "host:port" or "[::1]:port". */
static sx_str split_authority(sx_str authority, uint64_t *port)
{
    *port = 0;
    size_t colon = authority.len;
    while (colon > 0 && authority.data[colon - 1] >= '0' && authority.data[colon - 1] <= '9')
        colon--;
    if (colon == 0 || authority.data[colon - 1] != ':' || colon == authority.len)
        return authority;
    if (!sx_str_to_u64(sx_str_from(authority, colon), port))
        return authority;
    return sx_str_first(authority, colon - 1);
}

static sx_str version_text(int version)
{
    return version == 20 ? SX_STR("2") : version == 10 ? SX_STR("1.0") : SX_STR("1.1");
}

/* What is known at the start, of a span that is recorded. */
static void describe(sx_request *r, sx_request_state *state)
{
    uint64_t port;
    sx_str host = split_authority(r->authority, &port);
    sx_str agent = sx_headers_get(&state->seen, SX_SEEN_USER_AGENT);
    sx_field fields[9];
    size_t n = 0;
    fields[n++] = sx_field_str(SX_ATTR_NETWORK_PROTOCOL_VERSION, version_text(r->version));
    if (r->peer->address[0])
        fields[n++] = sx_field_z(SX_ATTR_CLIENT_ADDRESS, r->peer->address);
    if (r->peer->port)
        fields[n++] = sx_field_u64(SX_ATTR_NETWORK_PEER_PORT, r->peer->port);
    if (host.len > 0)
        fields[n++] = sx_field_str(SX_ATTR_SERVER_ADDRESS, host);
    if (port)
        fields[n++] = sx_field_u64(SX_ATTR_SERVER_PORT, port);
    if (agent.len > 0)
        fields[n++] = sx_field_str(SX_ATTR_USER_AGENT_ORIGINAL, agent);
    if (r->method == SX_METHOD_OTHER)
        fields[n++] = sx_field_str(SX_ATTR_HTTP_REQUEST_METHOD_ORIGINAL, r->method_text);
    fields[n++] = sx_field_str("request_id", r->id);
    sx_span_set(&state->span, fields, n);
}

/* How long the caller will wait, of fields that make sense; a field that does not counts as absent. */
static void read_deadline(sx_request *r, sx_request_state *state)
{
    enum { MOST_MS = 86400000 };
    const sx_seen_headers *seen = &state->seen;
    int64_t ms;
    const sx_deadline_fields each[] = {
        {.grpc_timeout = sx_headers_get(seen, SX_SEEN_GRPC_TIMEOUT)},
        {.request_timeout = sx_headers_get(seen, SX_SEEN_X_REQUEST_TIMEOUT)},
        {.envoy_ms = sx_headers_get(seen, SX_SEEN_ENVOY_TIMEOUT)}};
    for (size_t i = 0; i < SX_COUNT_OF(each); i++) {
        if (sx_deadline_read(&each[i], MOST_MS, &ms, NULL) || ms < 0)
            continue;
        int64_t due_ns = r->start_mono_ns + ms * 1000000;
        int64_t *deadline = &state->context.deadline_mono_ns;
        if (*deadline == 0 || due_ns < *deadline)
            *deadline = due_ns ? due_ns : 1; /* 0 means none */
    }
}

static bool is_untraced(const sx_request_state *state)
{
    const sx_endpoint_state *e = state->at->endpoint;
    return state->route < e->route_count && e->routes[state->route].flags & SX_ROUTE_UNTRACED;
}

void sx_chain_span_start(sx_request *r, sx_request_state *state)
{
    sx_tracer *tracer = state->at->endpoint->service->tracer;
    sx_context *context = &state->context;
    *context = (sx_context){.request_id = r->id};
    sx_span_context caller = {0};
    enum {
        TRACE_FIELDS = 1u << SX_SEEN_TRACEPARENT | 1u << SX_SEEN_B3 | 1u << SX_SEEN_X_B3_TRACEID |
                       1u << SX_SEEN_X_B3_SAMPLED | 1u << SX_SEEN_X_B3_FLAGS |
                       1u << SX_SEEN_UBER_TRACE_ID
    };
    unsigned propagators = sx_tracer_propagators(tracer);
    if (state->seen.found & TRACE_FIELDS)
        sx_trace_extract(propagators, sx_headers_carrier_get, &state->seen, &caller);
    if (state->seen.found & 1u << SX_SEEN_BAGGAGE)
        context->baggage = sx_baggage_extract(propagators, sx_headers_carrier_get, &state->seen);
    enum {
        TIME_FIELDS = 1u << SX_SEEN_GRPC_TIMEOUT | 1u << SX_SEEN_X_REQUEST_TIMEOUT |
                      1u << SX_SEEN_ENVOY_TIMEOUT
    };
    if (sx_unlikely(state->seen.found & TIME_FIELDS))
        read_deadline(r, state);
    const sx_field first[] = {
        sx_field_z(SX_ATTR_HTTP_REQUEST_METHOD,
                   r->method == SX_METHOD_OTHER ? SX_HTTP_METHOD_OTHER : sx_method_name(r->method)),
        sx_field_str(SX_ATTR_URL_PATH, r->path),
        sx_field_str(SX_ATTR_URL_SCHEME, r->scheme),
        sx_field_z(SX_ATTR_HTTP_ROUTE, r->route),
    };
    sx_span_options options = {
        .name =
            state->cells ? sx_str_of(state->cells->name, state->cells->name_len) : SX_STR("HTTP"),
        .kind = SX_SPAN_SERVER,
        .parent = &caller,
        .start_wall_ns = sx_loop_wall_ns(r->loop),
        .start_mono_ns = r->start_mono_ns,
        .attributes = first,
        .attribute_count = SX_COUNT_OF(first) - (r->route ? 0 : 1),
    };
    if (sx_unlikely(is_untraced(state)))
        sx_span_start_unsampled(&state->span, tracer, &options);
    else
        sx_span_start(&state->span, tracer, &options);
    context->span = state->span.context;
    if (sx_unlikely(sx_span_recording(&state->span)))
        describe(r, state);
}

/* The route that a handler or fallback has named meanwhile. */
static void rename_span(sx_request *r, sx_request_state *state)
{
    const sx_route_cells *cells = state->cells;
    if (cells)
        sx_span_rename(&state->span, sx_str_of(cells->name, cells->name_len));
    SX_SPAN_SET(&state->span, sx_field_z(SX_ATTR_HTTP_ROUTE, r->route));
}

void sx_chain_span_end(sx_request *r, sx_request_state *state, int code)
{
    sx_span *span = &state->span;
    if (sx_unlikely(sx_span_recording(span))) {
        char text[12];
        const sx_endpoint_state *e = state->at->endpoint;
        bool own = state->route < e->route_count && r->route == e->routes[state->route].path;
        if (r->route && !own)
            rename_span(r, state);
        SX_SPAN_SET(span, sx_field_i64(SX_ATTR_HTTP_RESPONSE_STATUS_CODE, code),
                    sx_field_u64(SX_ATTR_HTTP_REQUEST_BODY_SIZE, r->received_bytes),
                    sx_field_u64(SX_ATTR_HTTP_RESPONSE_BODY_SIZE, r->sent_bytes));
        if (state->user.len > 0)
            SX_SPAN_SET(span, sx_field_str("user.name", state->user));
        if (code >= 500 || r->cut_short) {
            int len = snprintf(text, sizeof(text), "%d", code);
            sx_str type = r->cut_short ? SX_STR("aborted") : sx_str_of(text, (size_t)len);
            SX_SPAN_SET(span, sx_field_str(SX_ATTR_ERROR_TYPE, type));
            sx_span_outcome_set(span, SX_SPAN_ERROR, sx_str_of(NULL, 0));
        }
    }
    sx_span_end(span);
}
