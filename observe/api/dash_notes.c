/* dash_notes.c - stars, and annotations as Grafana's API has them. */
#include "observe/api/dash.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MOST = 10000 };

/* ---- stars ---- */

void dash_http_stars(api_call *c)
{
    sx_str *stars;
    size_t count;
    sx_error err = {0};
    sx_json_writer w;
    if (dash_stars(c->api->dashboards, dash_login(c), &c->arena, &stars, &count, &err) != SX_OK) {
        dash_fail_store(c, &err);
        return;
    }
    dash_answer(c, &w);
    sx_json_begin_array(&w);
    for (size_t i = 0; i < count; i++)
        sx_json_str(&w, stars[i]);
    sx_json_end_array(&w);
}

static void star(api_call *c, bool on)
{
    sx_error err = {0};
    dash_fault fault =
        dash_star(c->api->dashboards, dash_login(c), sx_request_param(c->r, "uid"), on, &err);
    if (fault != DASH_FINE)
        dash_fail(c, fault, &err);
    else
        dash_message(c, 200, on ? SX_STR("Dashboard starred!") : SX_STR("Dashboard unstarred"));
}

void dash_http_star(api_call *c)
{
    star(c, true);
}

void dash_http_unstar(api_call *c)
{
    star(c, false);
}

/* ---- reading annotations ---- */

static void put_note(sx_json_writer *w, const dash_index *index, const dash_note *n)
{
    const dash_item *of = n->dashboard.len ? dash_index_find(index, n->dashboard) : NULL;
    sx_json_begin_object(w);
    key_i64(w, "id", n->id);
    key_i64(w, "alertId", 0);
    key_str(w, "alertName", SX_STR(""));
    key_i64(w, "dashboardId", of ? of->id : 0);
    key_str(w, "dashboardUID", n->dashboard);
    key_i64(w, "panelId", n->panel_id);
    key_i64(w, "userId", 0);
    key_str(w, "newState", SX_STR(""));
    key_str(w, "prevState", SX_STR(""));
    key_i64(w, "created", n->created_ms);
    key_i64(w, "updated", n->updated_ms);
    key_i64(w, "time", n->time_ms);
    key_i64(w, "timeEnd", n->end_ms);
    key_str(w, "text", n->text);
    dash_put_strs(w, "tags", n->tags, n->tag_count);
    key_str(w, "login", n->login);
    key_str(w, "email", SX_STR(""));
    key_str(w, "avatarUrl", SX_STR(""));
    sx_json_key(w, SX_STR("data"));
    sx_json_raw_value(w, n->data.len ? n->data : SX_STR("{}"));
    sx_json_end_object(w);
}

/* The uid that an old script's number stands for. */
static sx_str uid_of(api_call *c, const dash_index *index, int64_t id)
{
    const dash_item *item = id > 0 ? dash_index_find_id(index, id) : NULL;
    return item ? sx_arena_copy(&c->arena, item->uid) : SX_STR("");
}

static bool get_index(api_call *c, dash_index **index)
{
    sx_error err = {0};
    if (dash_index_get(c->api->dashboards, index, &err) == SX_OK)
        return true;
    dash_fail_store(c, &err);
    return false;
}

static void list(api_call *c, const dash_index *index)
{
    dash_note *notes;
    size_t count;
    sx_str *tags = NULL;
    sx_error err = {0};
    sx_json_writer w;
    dash_note_filter f = {.from_ms = dash_param_i64(c, "from", 0),
                          .to_ms = dash_param_i64(c, "to", 0),
                          .dashboard = api_form_address(&c->form, "dashboardUID"),
                          .panel_id = dash_param_i64(c, "panelId", 0),
                          .limit = dash_param_i64(c, "limit", LIMIT_DEFAULT)};
    int64_t id = dash_param_i64(c, "dashboardId", 0);
    if (!f.dashboard.len)
        f.dashboard = uid_of(c, index, id);
    f.of_dashboard = f.dashboard.len || id;
    f.limit = f.limit && f.limit < LIMIT_MOST ? f.limit : LIMIT_MOST;
    (void)api_bool_read(api_form_address(&c->form, "matchAny"), &f.any_tag);
    sx_status status = SX_OK;
    if (!sx_str_eq(api_form_address(&c->form, "type"), SX_STR("alert")))
        status = api_form_all(&c->form, "tags", &c->arena, &tags, &f.tag_count, &err);
    else
        f.limit = 0; /* none of ours is an alert's */
    f.tags = tags;
    if (status == SX_OK)
        status = dash_notes(c->api->dashboards, &f, &c->arena, &notes, &count, &err);
    if (status != SX_OK) {
        dash_fail_store(c, &err);
        return;
    }
    dash_answer(c, &w);
    sx_json_begin_array(&w);
    for (size_t i = 0; i < count; i++)
        put_note(&w, index, &notes[i]);
    sx_json_end_array(&w);
}

void dash_http_notes(api_call *c)
{
    dash_index *index;
    if (!get_index(c, &index))
        return;
    list(c, index);
    dash_index_unref(index);
}

void dash_http_note(api_call *c)
{
    dash_note note;
    dash_index *index;
    sx_error err = {0};
    sx_json_writer w;
    dash_fault fault =
        dash_note_get(c->api->dashboards, dash_path_i64(c, "id"), &c->arena, &note, &err);
    if (fault != DASH_FINE) {
        dash_fail(c, fault, &err);
        return;
    }
    if (!get_index(c, &index))
        return;
    dash_answer(c, &w);
    put_note(&w, index, &note);
    dash_index_unref(index);
}

void dash_http_note_tags(api_call *c)
{
    dash_count *tags;
    size_t count;
    sx_error err = {0};
    sx_json_writer w;
    int64_t limit = dash_param_i64(c, "limit", LIMIT_DEFAULT);
    if (dash_note_tags(c->api->dashboards, api_form_address(&c->form, "tag"),
                       limit < LIMIT_MOST ? limit : LIMIT_MOST, &c->arena, &tags, &count,
                       &err) != SX_OK) {
        dash_fail_store(c, &err);
        return;
    }
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("result"));
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("tags"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        sx_json_begin_object(&w);
        key_str(&w, "tag", tags[i].name);
        key_i64(&w, "count", tags[i].count);
        sx_json_end_object(&w);
    }
    sx_json_end_array(&w);
    sx_json_end_object(&w);
    sx_json_end_object(&w);
}

/* ---- writing them ---- */

typedef struct note_body {
    int64_t dashboard_id;
    bool has_end, has_time;
} note_body;

/* Writes the members that the body has over those of `n`. */
static bool read_note(api_call *c, dash_note *n, note_body *b)
{
    sx_json r;
    sx_str key;
    if (!dash_body(c, &r))
        return false;
    while (sx_json_next_key(&r, &key)) {
        if (sx_str_eq(key, SX_STR("dashboardUID"))) {
            dash_read_str(&r, &n->dashboard);
        } else if (sx_str_eq(key, SX_STR("dashboardId"))) {
            dash_read_i64(&r, &b->dashboard_id);
        } else if (sx_str_eq(key, SX_STR("panelId"))) {
            dash_read_i64(&r, &n->panel_id);
        } else if (sx_str_eq(key, SX_STR("time"))) {
            b->has_time = sx_json_peek(&r) == SX_JSON_NUMBER;
            dash_read_i64(&r, &n->time_ms);
        } else if (sx_str_eq(key, SX_STR("timeEnd"))) {
            b->has_end = sx_json_peek(&r) == SX_JSON_NUMBER;
            dash_read_i64(&r, &n->end_ms);
        } else if (sx_str_eq(key, SX_STR("text"))) {
            dash_read_str(&r, &n->text);
        } else if (sx_str_eq(key, SX_STR("tags"))) {
            dash_read_strs(c, &r, &n->tags, &n->tag_count);
        } else if (sx_str_eq(key, SX_STR("data")) && sx_json_peek(&r) == SX_JSON_OBJECT) {
            (void)sx_json_raw(&r, &n->data);
        }
    }
    return dash_body_finish(c, &r);
}

void dash_http_note_add(api_call *c)
{
    dash_note n = {.login = dash_login(c)};
    note_body b = {0};
    dash_index *index;
    dash_item item;
    sx_error err = {0};
    sx_json_writer w;
    int64_t id = 0;
    if (!read_note(c, &n, &b))
        return;
    if (!n.dashboard.len && b.dashboard_id > 0) {
        if (!get_index(c, &index))
            return;
        n.dashboard = uid_of(c, index, b.dashboard_id);
        dash_index_unref(index);
    }
    if (!b.has_time || !n.time_ms)
        n.time_ms = sx_clock_ms(c->api->clock);
    if (!b.has_end || !n.end_ms)
        n.end_ms = n.time_ms;
    dash_fault fault = DASH_FINE;
    if (n.dashboard.len)
        fault = dash_get_item(c->api->dashboards, n.dashboard, &c->arena, &item, &err);
    if (fault == DASH_FINE)
        fault = dash_note_add(c->api->dashboards, &n, &id, &err);
    if (fault != DASH_FINE) {
        dash_fail(c, fault, &err);
        return;
    }
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    key_i64(&w, "id", id);
    key_str(&w, "message", SX_STR("Annotation added"));
    sx_json_end_object(&w);
}

/* PUT says all that can be said, PATCH what changes. */
static void change(api_call *c, bool patch)
{
    dash_note n;
    note_body b = {0};
    sx_error err = {0};
    dash_fault fault =
        dash_note_get(c->api->dashboards, dash_path_i64(c, "id"), &c->arena, &n, &err);
    if (fault != DASH_FINE) {
        dash_fail(c, fault, &err);
        return;
    }
    const dash_note before = n;
    int64_t id = n.id, length_ms = n.end_ms - n.time_ms;
    if (!patch) {
        n.text = SX_STR("");
        n.tag_count = 0;
    }
    if (!read_note(c, &n, &b))
        return;
    n.id = id;
    if (patch && !n.text.len)
        n.text = before.text;
    if (b.has_time && n.time_ms <= 0) { /* a client's word for: as it was */
        n.time_ms = before.time_ms;
        b.has_time = false;
    }
    if (b.has_end && n.end_ms <= 0) {
        n.end_ms = before.end_ms;
        b.has_end = false;
    }
    if (b.has_time && !b.has_end)
        n.end_ms = patch ? n.time_ms + length_ms : n.time_ms;
    fault = dash_note_set(c->api->dashboards, &n, &err);
    if (fault != DASH_FINE)
        dash_fail(c, fault, &err);
    else
        dash_message(c, 200, patch ? SX_STR("Annotation patched") : SX_STR("Annotation updated"));
}

void dash_http_note_put(api_call *c)
{
    change(c, false);
}

void dash_http_note_patch(api_call *c)
{
    change(c, true);
}

void dash_http_note_delete(api_call *c)
{
    sx_error err = {0};
    dash_fault fault = dash_note_remove(c->api->dashboards, dash_path_i64(c, "id"), &err);
    if (fault != DASH_FINE)
        dash_fail(c, fault, &err);
    else
        dash_message(c, 200, SX_STR("Annotation deleted"));
}
