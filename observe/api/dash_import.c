/* dash_import.c - POST /api/dashboards/import: a dashboard as it was shared, with its inputs filled in.
 *
 * What Grafana exports for others names its data sources ${DS_PROMETHEUS} and lists them in __inputs; the
 * import says what each shall be. Short marks and long values would make any size of it, so that what it
 * becomes is held to what a dashboard may be while it is written. */
#include "codec/json_plain.h"
#include "observe/api/dash.h"

enum { INPUTS_MAX = 100 };

typedef struct input {
    sx_str mark, value; /* "${NAME}" */
} input;

typedef struct import_body {
    dash_stored stored;
    input inputs[INPUTS_MAX];
    size_t count;
} import_body;

static void read_input(api_call *c, sx_json *r, import_body *b)
{
    sx_str key, name = {0}, value = {0};
    if (sx_json_peek(r) != SX_JSON_OBJECT) {
        (void)sx_json_skip(r);
        return;
    }
    for (sx_json_enter_object(r); sx_json_next_key(r, &key);) {
        if (sx_str_eq(key, SX_STR("name")))
            dash_read_str(r, &name);
        else if (sx_str_eq(key, SX_STR("value")))
            dash_read_str(r, &value);
    }
    if (b->count == INPUTS_MAX) {
        (void)sx_json_fail(r, SX_ELIMIT, "more than %d inputs", INPUTS_MAX);
        return;
    }
    sx_str mark = sx_arena_printf(&c->arena, "${%.*s}", SX_ARG(name));
    if (name.len && mark.data)
        b->inputs[b->count++] = (input){mark, value};
}

static bool read_import(api_call *c, import_body *b)
{
    sx_json r;
    sx_str key;
    if (!dash_body(c, &r))
        return false;
    while (sx_json_next_key(&r, &key)) {
        if (dash_read_stored(&r, key, &b->stored))
            continue;
        if (sx_str_eq(key, SX_STR("inputs")) && sx_json_peek(&r) == SX_JSON_ARRAY)
            for (sx_json_enter_array(&r); sx_json_next_item(&r);)
                read_input(c, &r, b);
    }
    return dash_body_finish_with(c, &r, b->stored.dashboard);
}

/* ---- filling in ---- */

/* The text with every mark replaced, into `out`. */
static void fill_text(const import_body *b, sx_str text, sx_buf *out)
{
    sx_buf_clear(out);
    while (text.len) {
        size_t at = sx_str_find(text, SX_STR("${"));
        const input *found = NULL;
        sx_buf_str(out, sx_str_first(text, at));
        text = sx_str_from(text, at);
        for (size_t i = 0; i < b->count && text.len && !found; i++)
            if (sx_str_starts(text, b->inputs[i].mark))
                found = &b->inputs[i];
        if (found)
            sx_buf_str(out, found->value);
        else
            sx_buf_str(out, sx_str_first(text, 2));
        text = sx_str_from(text, found ? found->mark.len : 2);
    }
}

static void put_string(const import_body *b, sx_str text, sx_buf *space, sx_json_writer *w)
{
    if (sx_str_find(text, SX_STR("${")) == text.len) {
        sx_json_str(w, text);
        return;
    }
    fill_text(b, text, space);
    w->buf->failed |= space->failed;
    w->buf->hit_limit |= space->hit_limit;
    sx_json_str(w, sx_buf_view(space));
}

/* One token of the dashboard. */
static void put_token(const import_body *b, sx_json *r, sx_json_token token, sx_buf *space,
                      sx_json_writer *w)
{
    sx_str text;
    if (json_put_plain(w, token))
        return;
    if (token == SX_JSON_NUMBER)
        sx_json_raw_value(w, sx_json_token_raw(r));
    else if (!sx_json_token_str(r, &text))
        return;
    else if (token == SX_JSON_KEY)
        sx_json_key(w, text);
    else
        put_string(b, text, space, w);
}

/* Writes it with its inputs and without what only an import reads. SX_ELIMIT: it becomes too large. */
static sx_status fill(const import_body *b, sx_arena *arena, sx_buf *out, sx_error *err)
{
    static const sx_str DROPPED[] = {SX_STR_INIT("__inputs"), SX_STR_INIT("__requires"),
                                     SX_STR_INIT("__elements")};
    sx_json_options how = {.arena = arena, .depth_max = DASH_DEPTH_MAX};
    sx_json top, r;
    sx_json_writer w;
    sx_buf space;
    sx_str key, value;
    sx_buf_init(&space, out->len_max);
    sx_json_writer_init(&w, out, NULL);
    sx_json_begin_object(&w);
    sx_json_init(&top, b->stored.dashboard, &how);
    sx_json_init(&r, SX_STR("null"), &how); /* of an object without members */
    for (sx_json_enter_object(&top); sx_json_next_key(&top, &key);) {
        bool dropped = false;
        for (size_t i = 0; i < SX_COUNT_OF(DROPPED); i++)
            dropped |= sx_str_eq(key, DROPPED[i]);
        if (dropped || !sx_json_raw(&top, &value))
            continue;
        sx_json_key(&w, key);
        sx_json_init(&r, value, &how);
        for (sx_json_token t = sx_json_next(&r);
             t != SX_JSON_DONE && t != SX_JSON_ERROR && !out->failed; t = sx_json_next(&r))
            put_token(b, &r, t, &space, &w);
        if (out->failed || sx_json_status(&r, err) != SX_OK)
            break;
    }
    sx_buf_done(&space);
    sx_status status = sx_json_status(&top, err);
    if (status == SX_OK)
        status = sx_json_status(&r, err);
    if (status != SX_OK)
        return status;
    sx_json_end_object(&w);
    return sx_json_writer_finish(&w, err);
}

/* The first input that the dashboard wants and nobody gave; false: there is none. */
static bool find_missing(const import_body *b, sx_arena *arena, sx_str *missing)
{
    sx_json_options how = {.arena = arena, .depth_max = DASH_DEPTH_MAX};
    sx_json r;
    sx_str key, name, member;
    bool found = false;
    sx_json_init(&r, b->stored.dashboard, &how);
    for (sx_json_enter_object(&r); sx_json_next_key(&r, &key);) {
        if (!sx_str_eq(key, SX_STR("__inputs")) || sx_json_peek(&r) != SX_JSON_ARRAY)
            continue;
        for (sx_json_enter_array(&r); sx_json_next_item(&r);) {
            if (sx_json_peek(&r) != SX_JSON_OBJECT)
                continue;
            name = SX_STR("");
            for (sx_json_enter_object(&r); sx_json_next_key(&r, &member);)
                if (sx_str_eq(member, SX_STR("name")))
                    dash_read_str(&r, &name);
            bool given = name.len == 0;
            for (size_t i = 0; i < b->count && !given; i++)
                given = b->inputs[i].mark.len == name.len + 3 &&
                        memcmp(b->inputs[i].mark.data + 2, name.data, name.len) == 0;
            if (!given && !found)
                *missing = name;
            found |= !given;
        }
    }
    return found;
}

static void answer_imported(api_call *c, const dash_item *item)
{
    sx_json_writer w;
    sx_str uri = sx_arena_printf(&c->arena, "db/%.*s", SX_ARG(item->slug));
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    key_str(&w, "uid", item->uid);
    key_str(&w, "pluginId", SX_STR(""));
    key_str(&w, "title", item->title);
    key_bool(&w, "imported", true);
    key_str(&w, "importedUri", uri);
    dash_put_url(&w, c, "importedUrl", item);
    key_str(&w, "slug", item->slug);
    key_i64(&w, "dashboardId", item->id);
    key_str(&w, "folderUid", item->folder);
    key_i64(&w, "importedRevision", item->version);
    key_i64(&w, "revision", item->version);
    key_str(&w, "description", item->description);
    key_str(&w, "path", SX_STR(""));
    key_bool(&w, "removed", false);
    sx_json_end_object(&w);
}

void dash_http_import(api_call *c)
{
    import_body b = {0};
    dash_head head;
    dash_item item;
    sx_error err = {0};
    sx_str missing = {0};
    sx_buf text;
    if (!read_import(c, &b))
        return;
    if (find_missing(&b, &c->arena, &missing)) {
        sx_str words =
            sx_arena_printf(&c->arena, "Dashboard input variable: %.*s missing from import command",
                            SX_ARG(missing));
        dash_message(c, 400, words);
        return;
    }
    sx_buf_init(&text, dash_store_limits(c->api->dashboards)->bytes_max);
    dash_save save = {.folder = dash_folder_uid(b.stored.folder_uid),
                      .overwrite = b.stored.overwrite};
    sx_status status = fill(&b, &c->arena, &text, &err);
    if (status == SX_ELIMIT)
        dash_fail(c, DASH_TOO_LARGE, &err);
    else if (status != SX_OK)
        dash_fail_store(c, &err);
    else if (dash_http_store(c, &save, sx_buf_view(&text), &head, &item))
        answer_imported(c, &item);
    sx_buf_done(&text);
}
