/* dash.c - the routes of Grafana's API of dashboards, and what their handlers share. See dash.h. */
#include "observe/api/dash.h"

#include <sextant/clock.h>

#include "observe/auth/auth.h"
#include "observe/auth/origin.h"

const dash_route DASH_ROUTES[] = {
    {SX_GET, "/api/search", dash_http_search, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/search/sorting", dash_http_sorting, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/dashboards/uid/:uid", dash_http_get, DASH_NEEDS_VIEWER},
    {SX_DELETE, "/api/dashboards/uid/:uid", dash_http_delete, DASH_NEEDS_EDITOR},
    {SX_POST, "/api/dashboards/db", dash_http_save, DASH_NEEDS_EDITOR},
    {SX_POST, "/api/dashboards/import", dash_http_import, DASH_NEEDS_EDITOR},
    {SX_GET, "/api/dashboards/tags", dash_http_tags, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/dashboards/home", dash_http_home, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/dashboards/uid/:uid/versions", dash_http_versions, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/dashboards/uid/:uid/versions/:version", dash_http_version, DASH_NEEDS_VIEWER},
    {SX_POST, "/api/dashboards/uid/:uid/restore", dash_http_restore, DASH_NEEDS_EDITOR},
    {SX_GET, "/api/dashboards/uid/:uid/permissions", dash_http_permissions, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/folders", dash_http_folders, DASH_NEEDS_VIEWER},
    {SX_POST, "/api/folders", dash_http_folder_make, DASH_NEEDS_EDITOR},
    {SX_GET, "/api/folders/:uid", dash_http_folder, DASH_NEEDS_VIEWER},
    {SX_PUT, "/api/folders/:uid", dash_http_folder_change, DASH_NEEDS_EDITOR},
    {SX_DELETE, "/api/folders/:uid", dash_http_folder_delete, DASH_NEEDS_EDITOR},
    {SX_GET, "/api/folders/id/:id", dash_http_folder_by_id, DASH_NEEDS_VIEWER},
    {SX_POST, "/api/folders/:uid/move", dash_http_folder_move, DASH_NEEDS_EDITOR},
    {SX_GET, "/api/folders/:uid/counts", dash_http_folder_counts, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/folders/:uid/permissions", dash_http_permissions, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/user/stars", dash_http_stars, DASH_NEEDS_VIEWER},
    {SX_POST, "/api/user/stars/dashboard/uid/:uid", dash_http_star, DASH_NEEDS_VIEWER},
    {SX_DELETE, "/api/user/stars/dashboard/uid/:uid", dash_http_unstar, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/annotations", dash_http_notes, DASH_NEEDS_VIEWER},
    {SX_POST, "/api/annotations", dash_http_note_add, DASH_NEEDS_EDITOR},
    {SX_GET, "/api/annotations/tags", dash_http_note_tags, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/annotations/:id", dash_http_note, DASH_NEEDS_VIEWER},
    {SX_PUT, "/api/annotations/:id", dash_http_note_put, DASH_NEEDS_EDITOR},
    {SX_PATCH, "/api/annotations/:id", dash_http_note_patch, DASH_NEEDS_EDITOR},
    {SX_DELETE, "/api/annotations/:id", dash_http_note_delete, DASH_NEEDS_EDITOR},
    {SX_GET, "/api/datasources", dash_http_sources, DASH_NEEDS_VIEWER},
    {SX_POST, "/api/datasources", dash_http_source_add, DASH_NEEDS_ADMIN},
    {SX_GET, "/api/datasources/:id", dash_http_source, DASH_NEEDS_VIEWER},
    {SX_PUT, "/api/datasources/:id", dash_http_source_change, DASH_NEEDS_ADMIN},
    {SX_DELETE, "/api/datasources/:id", dash_http_source_delete, DASH_NEEDS_ADMIN},
    {SX_GET, "/api/datasources/id/:name", dash_http_source_id, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/datasources/name/:name", dash_http_source, DASH_NEEDS_VIEWER},
    {SX_DELETE, "/api/datasources/name/:name", dash_http_source_delete, DASH_NEEDS_ADMIN},
    {SX_GET, "/api/datasources/uid/:uid", dash_http_source, DASH_NEEDS_VIEWER},
    {SX_PUT, "/api/datasources/uid/:uid", dash_http_source_change, DASH_NEEDS_ADMIN},
    {SX_DELETE, "/api/datasources/uid/:uid", dash_http_source_delete, DASH_NEEDS_ADMIN},
    {SX_GET, "/api/datasources/uid/:uid/health", dash_http_source_health, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/org", dash_http_org, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/frontend/settings", dash_http_settings, DASH_NEEDS_VIEWER},
    {SX_GET, "/api/health", dash_http_health, DASH_NEEDS_VIEWER},
    {SX_POST, "/api/admin/provisioning/dashboards/reload", dash_http_reload, DASH_NEEDS_ADMIN},
    {SX_GET, "/api/v1/status/dashboards", dash_http_problems, DASH_NEEDS_VIEWER},
};
const size_t DASH_ROUTES_COUNT = SX_COUNT_OF(DASH_ROUTES);

/* ---- what may change something ---- */

static bool is_json(sx_str type)
{
    sx_str name, rest;
    sx_str_cut(type, ';', &name, &rest);
    return sx_str_ieq(sx_str_trim(name), SX_STR("application/json"));
}

static void refuse(sx_request *r, int status, sx_str body)
{
    sx_reply(r, status, SX_STR("application/json"), body);
}

void dash_http_start(observe_api *a, sx_request *r, const dash_route *route)
{
    bool changes = route->method != SX_GET;
    if (changes && origin_is_foreign(r, a->external_url, NULL)) {
        refuse(r, 403, SX_STR("{\"message\":\"origin not allowed\"}"));
        return;
    }
    if (changes && r->body.len && !is_json(sx_request_header(r, SX_STR("content-type")))) {
        refuse(r, 415, SX_STR("{\"message\":\"send the body as Content-Type: application/json\"}"));
        return;
    }
    api_call_start_for(a, r, a->others, route->work, (void *)route);
}

/* ---- answers ---- */

void dash_answer(api_call *c, sx_json_writer *w)
{
    c->status = 200;
    c->content_type = SX_STR("application/json; charset=UTF-8");
    sx_buf_clear(&c->out);
    sx_json_writer_init(w, &c->out, NULL);
}

void dash_message(api_call *c, int status, sx_str message)
{
    sx_json_writer w;
    dash_answer(c, &w);
    c->status = status;
    sx_json_begin_object(&w);
    key_str(&w, "message", message);
    sx_json_end_object(&w);
}

void dash_fail(api_call *c, dash_fault fault, const sx_error *err)
{
    const dash_fault_row *row = &DASH_FAULT_ROWS[fault];
    sx_json_writer w;
    if (fault == DASH_BROKEN) {
        dash_fail_store(c, err);
        return;
    }
    dash_answer(c, &w);
    c->status = row->http;
    sx_json_begin_object(&w);
    key_str(&w, "message", sx_str_z(row->message));
    if (row->word)
        key_str(&w, "status", sx_str_z(row->word));
    sx_json_end_object(&w);
}

void dash_fail_store(api_call *c, const sx_error *err)
{
    dash_message(c, err->status == SX_REFUSED || err->status == SX_ETIMEOUT ? 503 : 500,
                 sx_str_z(err->message[0] ? err->message : "the dashboards' store failed"));
}

void dash_put_time(sx_json_writer *w, const char *key, int64_t ms)
{
    char text[SX_TIME_RFC3339_BYTES];
    size_t len = sx_time_rfc3339(ms * 1000000, 0, text);
    key_str(w, key, sx_str_of(text, len));
}

void dash_put_strs(sx_json_writer *w, const char *key, const sx_str *items, size_t count)
{
    sx_json_key(w, sx_str_z(key));
    sx_json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        sx_json_str(w, items[i]);
    sx_json_end_array(w);
}

void dash_put_url(sx_json_writer *w, const api_call *c, const char *key, const dash_item *item)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    sx_buf_str(&out, c->api->prefix);
    sx_buf_str(&out, item->is_folder ? SX_STR("/dashboards/f/") : SX_STR("/d/"));
    sx_buf_str(&out, item->uid);
    sx_buf_byte(&out, '/');
    sx_buf_str(&out, item->slug);
    w->buf->failed |= out.failed;
    key_str(w, key, sx_buf_view(&out));
    sx_buf_done(&out);
}

/* ---- requests ---- */

sx_str dash_login(const api_call *c)
{
    sx_str login = auth_of(c->r)->login;
    return login.len ? login : sx_request_user(c->r); /* of the web configuration's users */
}

bool dash_may(const api_call *c, dash_need need)
{
    static const auth_role ROLES[] = {[DASH_NEEDS_VIEWER] = AUTH_VIEWER,
                                      [DASH_NEEDS_EDITOR] = AUTH_EDITOR,
                                      [DASH_NEEDS_ADMIN] = AUTH_ADMIN};
    return auth_of(c->r)->role >= ROLES[need];
}

int64_t dash_param_i64(const api_call *c, const char *name, int64_t fallback)
{
    int64_t value;
    sx_str text = api_form_address(&c->form, name);
    return text.len && sx_str_to_i64(text, &value) && value >= 0 ? value : fallback;
}

int64_t dash_path_i64(const api_call *c, const char *name)
{
    int64_t value;
    return sx_str_to_i64(sx_request_param(c->r, name), &value) && value >= 0 ? value : -1;
}

static bool bad_body(api_call *c, const sx_error *err)
{
    sx_str text = sx_arena_printf(&c->arena, "bad request data: %s", err->message);
    dash_message(c, 400, text.data ? text : SX_STR("bad request data"));
    return false;
}

bool dash_body(api_call *c, sx_json *r)
{
    sx_json_options how = {.arena = &c->arena, .depth_max = DASH_DEPTH_MAX + 2};
    sx_error err = {0};
    sx_json_init(r, c->r->body, &how);
    if (sx_json_enter_object(r))
        return true;
    (void)sx_json_status(r, &err);
    return bad_body(c, &err);
}

bool dash_read_stored(sx_json *r, sx_str key, dash_stored *out)
{
    if (sx_str_eq(key, SX_STR("dashboard")) && sx_json_peek(r) == SX_JSON_OBJECT)
        (void)sx_json_raw(r, &out->dashboard);
    else if (sx_str_eq(key, SX_STR("folderUid")))
        dash_read_str(r, &out->folder_uid);
    else if (sx_str_eq(key, SX_STR("overwrite")))
        dash_read_bool(r, &out->overwrite);
    else
        return false;
    return true;
}

bool dash_body_finish(api_call *c, sx_json *r)
{
    sx_error err = {0};
    return sx_json_finish(r, &err) == SX_OK || bad_body(c, &err);
}

bool dash_body_finish_with(api_call *c, sx_json *r, sx_str dashboard)
{
    if (!dash_body_finish(c, r))
        return false;
    if (!dashboard.len)
        dash_message(c, 400, SX_STR("bad request data: \"dashboard\" must be an object"));
    return dashboard.len > 0;
}

void dash_read_str(sx_json *r, sx_str *out)
{
    if (sx_json_peek(r) == SX_JSON_STRING)
        (void)sx_json_read_str(r, out);
    else
        (void)sx_json_skip(r);
}

void dash_read_i64(sx_json *r, int64_t *out)
{
    double value;
    if (sx_json_peek(r) != SX_JSON_NUMBER)
        (void)sx_json_skip(r);
    else if (sx_json_read_double(r, &value) && value >= -9e15 && value <= 9e15)
        *out = (int64_t)value;
}

void dash_read_bool(sx_json *r, bool *out)
{
    sx_json_token next = sx_json_peek(r);
    if (next == SX_JSON_TRUE || next == SX_JSON_FALSE)
        (void)sx_json_read_bool(r, out);
    else
        (void)sx_json_skip(r);
}

void dash_read_strs(api_call *c, sx_json *r, const sx_str **out, size_t *count)
{
    sx_str *items = NULL;
    size_t cap = 0;
    if (sx_json_peek(r) != SX_JSON_ARRAY) {
        (void)sx_json_skip(r);
        return;
    }
    *count = 0;
    for (sx_json_enter_array(r); sx_json_next_item(r);) {
        sx_str text = {0};
        dash_read_str(r, &text);
        if (!text.len)
            continue;
        if (!sx_arena_grow(&c->arena, &items, &cap, *count + 1, sizeof *items)) {
            (void)sx_json_fail(r, SX_ENOMEM, "no memory for a list");
            return;
        }
        items[(*count)++] = text;
    }
    *out = items;
}

sx_str dash_folder_uid(sx_str given)
{
    return sx_str_eq(given, SX_STR("general")) ? SX_STR("") : given;
}
