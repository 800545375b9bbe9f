/* admin.c - the pages of the admin listener: breakers, limits, log levels, settings, build.
 *
 * They are for operators and change how the service behaves, so they are on no listener that serves
 * anybody else: sx_service_listen gives these rows to endpoints of the admin alone. Each is a row of
 * SX_ADMIN_ROUTES; GET / lists them. Answers are JSON, a change is answered by what is so now. */
#include <stdio.h>

#include "base/build.h"
#include "codec/json_member.h"
#include "service/service_internal.h"

/* Who did it and from where: a change by hand is found again in the log. */
static void log_change(sx_request *r, const char *what, sx_str subject)
{
    sx_log_context context = sx_request_log_context(r);
    SX_LOG_WARN(sx_service_logger(sx_request_service(r)), &context, "changed by hand",
                sx_field_z("what", what), sx_field_str("subject", subject),
                sx_field_z("client", r->peer->address), sx_field_str("user", sx_request_user(r)));
}

/* Whether a page of another site made a browser ask: then nothing is changed. Programs send no Origin. */
static bool is_from_elsewhere(sx_request *r)
{
    sx_str origin = sx_request_header(r, SX_STR("origin"));
    size_t at = sx_str_find(origin, SX_STR("://"));
    if (origin.len == 0 || sx_str_ieq(sx_str_from(origin, at + 3), r->authority))
        return false;
    sx_reply_error(r, 403, "asked by a page of another origin");
    return true;
}

/* ---- breakers ---- */

static void write_breaker(void *ctx, const sx_breaker_info *info)
{
    sx_json_writer *w = (sx_json_writer *)ctx;
    char since[SX_TIME_RFC3339_BYTES];
    sx_json_begin_object(w);
    key_str(w, "name", info->name);
    key_str(w, "state", sx_str_z(sx_breaker_state_name(info->state)));
    key_str(w, "since", sx_str_of(since, sx_time_rfc3339(info->since_wall_ms * 1000000, 3, since)));
    key_u64(w, "consecutive_failures", info->consecutive_failures);
    key_u64(w, "window_calls", info->window_calls);
    key_u64(w, "window_failures", info->window_failures);
    if (info->state == SX_BREAKER_OPEN)
        key_seconds(w, "retry_in_seconds", info->retry_in_ms);
    if (info->state == SX_BREAKER_HALF_OPEN) {
        key_u64(w, "trials", info->trials);
        key_u64(w, "successes", info->successes);
    }
    sx_json_end_object(w);
}

static void answer_breakers(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_buf *text = sx_loop_text(r);
    sx_json_writer w;
    sx_json_writer_init(&w, text, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("breakers"));
    sx_json_begin_array(&w);
    sx_breakers_each(sx_request_service(r)->breakers, write_breaker, &w);
    sx_json_end_array(&w);
    sx_json_end_object(&w);
    sx_reply_json(r, 200, &w, text);
}

enum { RESET, OPEN, CLOSE };

static const struct {
    const char *name;
    const char *note; /* in the list: whoever wants calls to pass has two ways */
} BREAKER_CHANGES[] = {
    [RESET] = {"reset", "closes it, held open or not: calls pass"},
    [OPEN] = {"open", "holds it open until close or reset"},
    [CLOSE] = {"close", "lets go of one held open: half open, trials decide"},
};

static void change_breaker(sx_request *r, void *ctx)
{
    size_t what = (size_t)(uintptr_t)ctx;
    sx_service *s = sx_request_service(r);
    sx_str name = sx_request_param(r, "name");
    sx_error err = {0};
    sx_status status;
    if (is_from_elsewhere(r))
        return;
    if (what == RESET)
        status = sx_breakers_reset(s->breakers, name, &err);
    else
        status = sx_breakers_force_open(s->breakers, name, what == OPEN, &err);
    if (status) {
        sx_reply_error(r, status == SX_ENOTFOUND ? 404 : 500, err.message);
        return;
    }
    log_change(r, BREAKER_CHANGES[what].name, name);
    answer_breakers(r, NULL);
}

/* ---- limits ---- */

static void write_rate(sx_json_writer *w, const sx_rate *rate)
{
    sx_json_begin_object(w);
    key_str(w, "kind",
            rate->kind == SX_RATE_TOKEN_BUCKET ? SX_STR("token_bucket") : SX_STR("sliding_window"));
    key_u64(w, "count", rate->count);
    key_seconds(w, "period_seconds", (int64_t)rate->period_ms);
    if (rate->kind == SX_RATE_TOKEN_BUCKET)
        key_u64(w, "burst", rate->burst ? rate->burst : rate->count);
    sx_json_end_object(w);
}

static void write_limiter(void *ctx, sx_limiter *l)
{
    sx_json_writer *w = (sx_json_writer *)ctx;
    sx_limiter_info info;
    sx_limiter_info_of(l, &info);
    sx_json_begin_object(w);
    key_str(w, "name", sx_str_z(info.name));
    sx_json_key(w, SX_STR("rates"));
    sx_json_begin_array(w);
    for (size_t i = 0; i < info.rate_count; i++)
        write_rate(w, &info.rates[i]);
    sx_json_end_array(w);
    key_u64(w, "allowed", info.allowed);
    key_u64(w, "refused", info.refused);
    key_u64(w, "keys", info.keys);
    key_u64(w, "keys_max", info.keys_max);
    key_u64(w, "evicted", info.evicted);
    sx_json_end_object(w);
}

static void answer_limits(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_service *s = sx_request_service(r);
    sx_buf *text = sx_loop_text(r);
    sx_json_writer w;
    uint32_t most, in_flight = sx_guard_in_flight(s->guard, &most);
    sx_json_writer_init(&w, text, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("limiters"));
    sx_json_begin_array(&w);
    sx_guard_limiters(s->guard, write_limiter, &w);
    sx_json_end_array(&w);
    if (most) {
        key_u64(&w, "in_flight", in_flight);
        key_u64(&w, "in_flight_max", most);
    }
    if (sx_guard_shed(s->guard)) {
        sx_shed_info info;
        sx_shed_info_of(sx_guard_shed(s->guard), &info);
        key_double(&w, "pressure", info.pressure);
    }
    sx_json_end_object(&w);
    sx_reply_json(r, 200, &w, text);
}

/* DELETE /admin/limits/NAME: all of its keys; /NAME/KEY: one. A route's limiter is named by its
 * pattern, whose slashes are written %2F. */
static void forget_limit(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_str name = sx_request_param(r, "name"), key = sx_request_param(r, "key");
    if (is_from_elsewhere(r))
        return;
    sx_limiter *l = sx_guard_limiter(sx_request_service(r)->guard, name);
    if (!l) {
        sx_reply_error(r, 404, "no limiter of that name; GET /admin/limits lists them");
        return;
    }
    if (!sx_limiter_forget(l, key) && key.data) {
        sx_reply_error(r, 404, "that limiter has not seen that key");
        return;
    }
    log_change(r, "limit forgotten", key.data ? key : name);
    answer_limits(r, NULL);
}

/* ---- log levels ---- */

static void write_level(void *ctx, const char *name, sx_level level)
{
    key_str((sx_json_writer *)ctx, name, sx_str_z(sx_level_name(level)));
}

static void answer_levels(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_buf *text = sx_loop_text(r);
    sx_json_writer w;
    sx_json_writer_init(&w, text, NULL);
    sx_json_begin_object(&w);
    sx_log_loggers(sx_service_log(sx_request_service(r)), write_level, &w);
    sx_json_end_object(&w);
    sx_reply_json(r, 200, &w, text);
}

enum { NAME_BYTES_MAX = 128, CHANGES_MAX = 64 };

typedef struct level_change {
    char name[NAME_BYTES_MAX];
    sx_level level;
} level_change;

static sx_status add_change(level_change *changes, size_t *count, sx_str name, sx_str level,
                            sx_error *err)
{
    if (*count == CHANGES_MAX)
        return sx_fail(err, SX_ELIMIT, "more than %d levels at once", CHANGES_MAX);
    level_change *c = &changes[(*count)++];
    if (name.len >= sizeof(c->name) || (name.len && memchr(name.data, 0, name.len)))
        return sx_fail(err, SX_EINVAL, "a logger's name is too long");
    if (name.len)
        memcpy(c->name, name.data, name.len);
    c->name[name.len] = '\0';
    if (!sx_level_parse(level, &c->level))
        return sx_fail(
            err, SX_EINVAL,
            "\"%.*s\" is no level; there are trace, debug, info, warn, error, fatal, off",
            SX_ARG(level));
    return SX_OK;
}

/* {"net": "debug", "": "info"}; "" is the program itself, "all" every logger. */
static sx_status read_json_levels(sx_request *r, level_change *changes, size_t *count,
                                  sx_error *err)
{
    sx_json j;
    sx_str name, level;
    sx_status status = SX_OK;
    sx_json_init(&j, r->body, &(sx_json_options){.arena = &r->arena});
    sx_json_enter_object(&j);
    while (status == SX_OK && sx_json_next_key(&j, &name)) {
        if (sx_json_read_str(&j, &level))
            status = add_change(changes, count, name, level, err);
    }
    return status ? status : sx_json_finish(&j, err);
}

/* net=debug&all=warn */
static sx_status read_form_levels(sx_request *r, level_change *changes, size_t *count,
                                  sx_error *err)
{
    sx_str rest = r->body, name, level;
    while (sx_query_next(&rest, &name, &level)) {
        sx_status status = sx_percent_decode(&r->arena, name, SX_PERCENT_FORM, &name, err);
        if (status == SX_OK)
            status = sx_percent_decode(&r->arena, level, SX_PERCENT_FORM, &level, err);
        if (status == SX_OK)
            status = add_change(changes, count, name, sx_str_trim_all(level), err);
        if (status)
            return status;
    }
    return SX_OK;
}

/* All or nothing is asked of the text; a logger that does not exist is told, the others are set. */
static void change_levels(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_service *s = sx_request_service(r);
    level_change *changes =
        (level_change *)sx_arena_calloc(&r->arena, CHANGES_MAX, sizeof(level_change));
    size_t count = 0;
    sx_error err = {0};
    sx_str body = sx_str_trim_all(r->body);
    if (is_from_elsewhere(r))
        return;
    if (!changes) {
        sx_reply_error(r, 503, NULL);
        return;
    }
    sx_status status = sx_str_starts(body, SX_STR("{"))
                           ? read_json_levels(r, changes, &count, &err)
                           : read_form_levels(r, changes, &count, &err);
    if (status == SX_OK && count == 0)
        status = sx_fail(&err, SX_EINVAL,
                         "nothing to set; send {\"LOGGER\":\"LEVEL\"} or "
                         "LOGGER=LEVEL; all=LEVEL sets every logger");
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        bool all = strcmp(changes[i].name, "all") == 0;
        status = sx_log_level_set(s->log, all ? NULL : changes[i].name, changes[i].level, &err);
        if (status == SX_OK)
            log_change(r, sx_level_name(changes[i].level), sx_str_z(changes[i].name));
    }
    if (status)
        sx_reply_error(r, status == SX_ENOTFOUND ? 404 : 400, err.message);
    else
        answer_levels(r, NULL);
}

/* ---- settings and build ---- */

static void answer_config(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_buf *text = sx_loop_text(r);
    sx_config_dump(sx_service_config(sx_request_service(r)), text);
    if (text->failed)
        sx_reply_error(r, 503, NULL);
    else
        sx_reply(r, 200, SX_STR("application/json"), sx_buf_view(text));
}

static void answer_build(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_service *s = sx_request_service(r);
    sx_buf *text = sx_loop_text(r);
    sx_json_writer w;
    char started[SX_TIME_RFC3339_BYTES];
    sx_json_writer_init(&w, text, NULL);
    sx_json_begin_object(&w);
    key_str(&w, "service", sx_str_z(s->def->name));
    key_str(&w, "version", s->def->version ? sx_str_z(s->def->version) : SX_STR("unknown"));
    key_str(&w, "kit_version", SX_STR(SX_VERSION));
    key_str(&w, "compiler", SX_STR(SX_COMPILER));
    key_u64(&w, "loops", s->loop_count);
    key_str(&w, "started",
            sx_str_of(started, sx_time_rfc3339(s->start_wall_ms * 1000000, 3, started)));
    sx_json_end_object(&w);
    sx_reply_json(r, 200, &w, text);
}

/* ---- the list ---- */

static void answer_index(sx_request *r, void *ctx);

#define UNLIMITED .flags = SX_ROUTE_UNLIMITED
const sx_route SX_ADMIN_ROUTES[] = {
    {SX_GET, "/", answer_index, UNLIMITED},
    {SX_GET, "/admin", answer_index, UNLIMITED},
    {SX_GET, "/admin/", answer_index, UNLIMITED},
    {SX_GET, "/admin/breakers", answer_breakers, UNLIMITED},
    {SX_POST, "/admin/breakers/:name/reset", change_breaker, (void *)RESET, UNLIMITED},
    {SX_POST, "/admin/breakers/:name/open", change_breaker, (void *)OPEN, UNLIMITED},
    {SX_POST, "/admin/breakers/:name/close", change_breaker, (void *)CLOSE, UNLIMITED},
    {SX_GET, "/admin/limits", answer_limits, UNLIMITED},
    {SX_DELETE, "/admin/limits/:name", forget_limit, UNLIMITED},
    {SX_DELETE, "/admin/limits/:name/:key", forget_limit, UNLIMITED},
    {SX_GET, "/admin/log-levels", answer_levels, UNLIMITED},
    {SX_PUT, "/admin/log-levels", change_levels, UNLIMITED},
    {SX_GET, "/admin/config", answer_config, UNLIMITED},
    {SX_GET, "/admin/build", answer_build, UNLIMITED},
};
#undef UNLIMITED
const size_t SX_ADMIN_ROUTE_COUNT = SX_COUNT_OF(SX_ADMIN_ROUTES);

static const char *note_of(const sx_route *route)
{
    bool is_change = route->handler == change_breaker;
    return is_change ? BREAKER_CHANGES[(uintptr_t)route->ctx].note : NULL;
}

/* For browsers a page with links, else lines of method and path. Paths are patterns of our own tables:
 * they have nothing that HTML could misread. */
static void answer_index(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_service *s = sx_request_service(r);
    const sx_endpoint_state *e = sx_request_state_of(r)->at->endpoint;
    sx_buf *text = sx_loop_text(r);
    sx_str accept = sx_request_header(r, SX_STR("accept"));
    bool html = sx_str_find(accept, SX_STR("text/html")) < accept.len;
    (void)sx_reply_header(r, SX_STR("vary"), SX_STR("Accept"));
    if (html)
        sx_buf_printf(text,
                      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                      "<title>%s</title></head>\n<body><h1>%s</h1>\n<ul>\n",
                      s->def->name, s->def->name);
    for (size_t i = 0; i < e->route_count; i++) {
        const sx_route *route = &e->routes[i];
        if (route->handler == answer_index)
            continue; /* this one */
        const char *method =
            route->method == SX_ANY_METHOD ? "ANY" : sx_method_name((sx_method)route->method);
        const char *note = note_of(route);
        bool link = route->method == SX_GET && !strchr(route->path, ':');
        if (!html)
            sx_buf_printf(text, "%-6s %s%s%s\n", method, route->path, note ? "  # " : "",
                          note ? note : "");
        else if (link)
            sx_buf_printf(text, "<li>%s <a href=\"%s\">%s</a></li>\n", method, route->path,
                          route->path);
        else
            sx_buf_printf(text, "<li>%s %s%s%s</li>\n", method, route->path, note ? ": " : "",
                          note ? note : "");
    }
    if (html)
        sx_buf_printf(text, "</ul></body></html>\n");
    if (text->failed)
        sx_reply_error(r, 503, NULL);
    else
        sx_reply(r, 200,
                 html ? SX_STR("text/html; charset=utf-8") : SX_STR("text/plain; charset=utf-8"),
                 sx_buf_view(text));
}
