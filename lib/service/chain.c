/* chain.c - what every request passes through.
 *
 *     fields found in one pass -> id -> route -> context and span -> CORS -> limits -> who asks
 *         -> handler … -> reply: headers, compression (reply_coder.c)
 *         -> done: metrics, span, access log, limits given back
 *
 * Budget: 1 us a request for all of it, without an allocation once each route has been used. The
 * request's own state lies in its arena; metric handles are cached for each loop, route and method,
 * so that counting is a few loads and stores.
 *
 * A request's context (context.h) is entered around all that the program itself does for it: here
 * around the handler, by the server around its other callbacks (sx_chain_enter). */
#include <stdio.h>

#include "net/exchange.h"
#include "service/service_internal.h"

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

static void give_id(sx_request *r, sx_request_state *state)
{
    sx_str sent = sx_headers_get(&state->seen, SX_SEEN_X_REQUEST_ID);
    if (sx_request_id_is_sane(sent)) {
        r->id = sent;
    } else {
        sx_uuid7(&state->at->on->uuids, state->id);
        r->id = sx_str_of(state->id, SX_UUID_BYTES - 1);
    }
    sx_reply_own_field(r, SX_STR("x-request-id"), r->id);
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

static void reply_unrouted(sx_request *r, const sx_request_state *state)
{
    switch (state->result) {
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

/* ---- the way in ---- */

const void *sx_chain_enter(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_request_state *state = sx_request_state_of(r);
    return sx_context_enter(state ? &state->context : sx_context_current());
}

void sx_chain_leave(const void *outer)
{
    sx_context_leave((const sx_context *)outer);
}

static void call_handler(sx_request *r, const sx_endpoint_state *e, const sx_route *route)
{
    if (r->content_bytes == 0 || (route->flags & SX_ROUTE_STREAM)) {
        route->handler(r, route->ctx);
        return;
    }
    uint32_t most =
        route->body_bytes_max ? route->body_bytes_max : e->service->settings.body_bytes_max;
    sx_request_read_body(r, most, route->handler, route->ctx);
}

void sx_chain_admitted(sx_request *r, sx_request_state *state)
{
    const sx_endpoint_state *e = state->at->endpoint;
    const sx_service *s = e->service;
    if (sx_unlikely(state->ask_again)) {
        state->ask_again = false;
        sx_admission said = s->admit(r, &e->routes[state->route], s->admit_ctx);
        if (said != SX_ADMIT_YES && said != SX_ADMIT_TAKEN) /* it knows no more than before */
            sx_reply_error(r, 401, NULL);
        if (said != SX_ADMIT_YES)
            return;
    }
    /* Fields so far are ours: if the handler adds none, the policy's need not be compared with any. */
    state->fields_own = sx_exchange_of(r)->reply_fields.len;
    if (sx_likely(state->result == SX_ROUTE_FOUND))
        call_handler(r, e, &e->routes[state->route]);
    else if (state->result == SX_ROUTE_NONE && e->fallback)
        e->fallback(r, e->service->def->ctx);
    else
        reply_unrouted(r, state);
}

/* Whether anybody may ask: what restarts and balances services seldom has a password. */
static bool is_open(const sx_service *s, const sx_request_state *state, const sx_route *route)
{
    return state->result == SX_ROUTE_FOUND && route && s->settings.health_public &&
           (route->handler == sx_answer_live || route->handler == sx_answer_ready);
}

/* CORS, limits, who asks; each may answer instead. */
static void admit(sx_request *r, sx_request_state *state)
{
    const sx_endpoint_state *e = state->at->endpoint;
    const sx_route *route = state->route < e->route_count ? &e->routes[state->route] : NULL;
    if (sx_policy_cross_origin(state->policy, r, &state->seen))
        return;
    if (!sx_guard_enter(e->service->guard, e->guards, r, route, state->route, &state->pass))
        return;
    const sx_service *s = e->service;
    if (s->admit && state->result == SX_ROUTE_FOUND) {
        sx_admission said = s->admit(r, route, s->admit_ctx);
        if (said == SX_ADMIT_TAKEN)
            return;
        state->ask_again = said == SX_ADMIT_USERS;
        if (said == SX_ADMIT_YES) {
            sx_chain_admitted(r, state);
            return;
        }
    }
    bool asks = e->service->web && (e->web_config || state->ask_again);
    if (sx_likely(!asks) || is_open(e->service, state, route))
        sx_chain_admitted(r, state);
    else
        sx_web_auth_ask(e->service->web, r, state);
}

/* HOT: the way in. */
void sx_chain_handler(sx_request *r, void *ctx)
{
    sx_server_state *at = (sx_server_state *)ctx;
    sx_endpoint_state *e = at->endpoint;
    sx_request_state *state = (sx_request_state *)sx_arena_alloc(&r->arena, sizeof(*state));
    r->service = state;
    if (sx_unlikely(!state)) {
        sx_reply_error(r, 503, NULL);
        return;
    }
    state->at = at;
    state->route = e->route_count;
    state->policy = &__atomic_load_n(&e->service->applied, __ATOMIC_ACQUIRE)->policy;
    state->pass = (sx_guard_pass){0};
    state->encoder = NULL;
    state->coded = NULL;
    state->fields_own = 0;
    state->user = sx_str_of(NULL, 0);
    state->identity = NULL;
    state->ask_again = false;
    state->has_ids = false;
    sx_gauge_add(e->service->in_flight, 1);
    sx_headers_scan(r, &state->seen);
    give_id(r, state);
    state->result = sx_router_find(e->router, r->method, r->path, &r->arena, &state->match);
    if (sx_likely(state->result == SX_ROUTE_FOUND)) {
        state->route = state->match.index;
        r->route = e->routes[state->route].path;
    }
    state->cells = sx_chain_cells(at, r, state->route);
    sx_chain_span_start(r, state);
    const sx_context *outer = sx_context_enter(&state->context);
    admit(r, state);
    sx_context_leave(outer);
}

/* ---- the way out ---- */

/* What nginx calls a request whose client went away before an answer began. */
enum { CLIENT_CLOSED_REQUEST = 499 };

static void log_access(const sx_service *s, const sx_request *r, int code, int64_t duration_ns)
{
    sx_access a = {.wall_ns = sx_loop_wall_ns(r->loop),
                   .context = sx_request_log_context(r),
                   .method = r->method_text,
                   .path = r->path, /* without the query, where secrets are */
                   .route = sx_str_z(r->route),
                   .client = sx_str_z(r->peer->address),
                   .user_agent = sx_headers_get(&sx_request_state_of(r)->seen, SX_SEEN_USER_AGENT),
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
    sx_service *s = at->endpoint->service;
    sx_request_state *state = sx_request_state_of(r);
    if (sx_unlikely(!state))
        return;
    int code = r->status ? r->status : CLIENT_CLOSED_REQUEST;
    int64_t now_ns = sx_clock_mono_ns(sx_loop_clock(r->loop));
    int64_t duration_ns = now_ns - r->start_mono_ns;
    state->cells = sx_chain_cells(at, r, state->route); /* a handler may have named its route */
    sx_chain_count(r, state, code, duration_ns);
    sx_latency_add(&at->on->latency, sx_loop_now_ms(r->loop), duration_ns);
    sx_chain_span_end(r, state, code);
    if (s->access_log)
        log_access(s, r, code, duration_ns);
    sx_guard_leave(s->guard, &state->pass);
    sx_reply_coder_release(r);
}

/* ---- what handlers ask ---- */

sx_str sx_request_param(sx_request *r, const char *name)
{
    sx_request_state *state = sx_request_state_of(r);
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
    sx_request_state *state = sx_request_state_of(r);
    if (!state)
        return (sx_log_context){.request_id = r->id};
    if (!state->has_ids) /* most requests log nothing but their end */
        sx_context_log(&state->context, &state->ids);
    state->has_ids = true;
    return (sx_log_context){.request_id = r->id,
                            .trace_id = sx_str_of(state->ids.trace, 32),
                            .span_id = sx_str_of(state->ids.span, 16)};
}

sx_span *sx_request_span(sx_request *r)
{
    return &sx_request_state_of(r)->span;
}

const sx_context *sx_request_context(const sx_request *r)
{
    return &sx_request_state_of(r)->context;
}

sx_str sx_request_user(const sx_request *r)
{
    return sx_request_state_of(r)->user;
}

void sx_request_identify(sx_request *r, sx_str user, const void *identity)
{
    sx_request_state *state = sx_request_state_of(r);
    state->user = user;
    state->identity = identity;
}

const void *sx_request_identity(const sx_request *r)
{
    const sx_request_state *state = sx_request_state_of(r);
    return state ? state->identity : NULL;
}

void sx_request_admit(sx_request *r)
{
    sx_request_state *state = sx_request_state_of(r);
    if (sx_exchange_of(r)->state != SX_EXCHANGE_HEAD)
        return;
    const sx_context *outer = sx_context_enter(&state->context);
    sx_chain_admitted(r, state);
    sx_context_leave(outer);
}

sx_service *sx_request_service(const sx_request *r)
{
    return sx_request_state_of(r)->at->endpoint->service;
}

void *sx_request_loop_context(const sx_request *r)
{
    return sx_request_state_of(r)->at->on->context;
}
