/* dash_folders.c - folders of dashboards. */
#include "observe/api/dash.h"

enum { LIMIT_DEFAULT = 1000, PATH_MAX_FOLDERS = 8 };

static const dash_item GENERAL = {.uid = SX_STR_INIT("general"),
                                  .title = SX_STR_INIT("General"),
                                  .slug = SX_STR_INIT("general"),
                                  .is_folder = true};

/* Those above it, from the top. */
static void put_parents(sx_json_writer *w, api_call *c, const dash_item *item)
{
    dash_item chain[PATH_MAX_FOLDERS];
    size_t n = 0;
    for (sx_str uid = item->folder; uid.len && n < PATH_MAX_FOLDERS; uid = chain[n++].folder)
        if (dash_folder_get(c->api->dashboards, uid, &c->arena, &chain[n], NULL) != DASH_FINE)
            break;
    if (!n)
        return;
    sx_json_key(w, SX_STR("parents"));
    sx_json_begin_array(w);
    while (n-- > 0) {
        sx_json_begin_object(w);
        key_str(w, "uid", chain[n].uid);
        key_str(w, "title", chain[n].title);
        dash_put_url(w, c, "url", &chain[n]);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
}

static void answer_folder(api_call *c, const dash_item *item)
{
    bool editor = dash_may(c, DASH_NEEDS_EDITOR), general = item->id == 0;
    sx_json_writer w;
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    key_i64(&w, "id", item->id);
    key_str(&w, "uid", item->uid);
    key_i64(&w, "orgId", 1);
    key_str(&w, "title", item->title);
    if (item->description.len)
        key_str(&w, "description", item->description);
    dash_put_url(&w, c, "url", item);
    key_bool(&w, "hasAcl", false);
    key_bool(&w, "canSave", editor && !general);
    key_bool(&w, "canEdit", editor);
    key_bool(&w, "canAdmin", dash_may(c, DASH_NEEDS_ADMIN));
    key_bool(&w, "canDelete", editor && !general);
    key_str(&w, "createdBy", item->created_by);
    dash_put_time(&w, "created", item->created_ms);
    key_str(&w, "updatedBy", item->updated_by);
    dash_put_time(&w, "updated", item->updated_ms);
    key_i64(&w, "version", item->version);
    if (item->folder.len)
        key_str(&w, "parentUid", item->folder);
    put_parents(&w, c, item);
    sx_json_end_object(&w);
}

static void answer(api_call *c, dash_fault fault, const dash_item *item, const sx_error *err)
{
    if (fault == DASH_FINE)
        answer_folder(c, item);
    else
        dash_fail(c, fault, err);
}

void dash_http_folder(api_call *c)
{
    dash_item item;
    sx_error err = {0};
    sx_str uid = sx_request_param(c->r, "uid");
    if (sx_str_eq(uid, GENERAL.uid))
        answer_folder(c, &GENERAL);
    else
        answer(c, dash_folder_get(c->api->dashboards, uid, &c->arena, &item, &err), &item, &err);
}

void dash_http_folder_by_id(api_call *c)
{
    dash_index *index;
    sx_error err = {0};
    int64_t id = dash_path_i64(c, "id");
    if (id == 0) {
        answer_folder(c, &GENERAL);
        return;
    }
    if (dash_index_get(c->api->dashboards, &index, &err) != SX_OK) {
        dash_fail_store(c, &err);
        return;
    }
    const dash_item *item = dash_index_find_id(index, id);
    answer(c, item && item->is_folder ? DASH_FINE : DASH_FOLDER_NOT_FOUND, item, &err);
    dash_index_unref(index);
}

void dash_http_folders(api_call *c)
{
    dash_index *index;
    sx_error err = {0};
    sx_json_writer w;
    sx_str parent = dash_folder_uid(api_form_address(&c->form, "parentUid"));
    int64_t limit = dash_param_i64(c, "limit", LIMIT_DEFAULT), page = dash_param_i64(c, "page", 1);
    limit = limit && limit < LIMIT_DEFAULT ? limit : LIMIT_DEFAULT;
    int64_t skip = page > 1 && page < 1000000 ? (page - 1) * limit : 0;
    if (dash_index_get(c->api->dashboards, &index, &err) != SX_OK) {
        dash_fail_store(c, &err);
        return;
    }
    dash_answer(c, &w);
    sx_json_begin_array(&w);
    for (size_t n = 0; n < index->count && limit > 0; n++) {
        const dash_item *item = &index->items[index->by_title[n]];
        if (!item->is_folder || !sx_str_eq(item->folder, parent) || skip-- > 0)
            continue;
        sx_json_begin_object(&w);
        key_i64(&w, "id", item->id);
        key_str(&w, "uid", item->uid);
        key_str(&w, "title", item->title);
        if (item->folder.len)
            key_str(&w, "parentUid", item->folder);
        sx_json_end_object(&w);
        limit--;
    }
    sx_json_end_array(&w);
    dash_index_unref(index);
}

void dash_http_folder_counts(api_call *c)
{
    dash_index *index;
    dash_item item;
    sx_error err = {0};
    sx_json_writer w;
    int64_t folders = 0, dashboards = 0;
    sx_str uid = dash_folder_uid(sx_request_param(c->r, "uid"));
    dash_fault fault =
        uid.len ? dash_folder_get(c->api->dashboards, uid, &c->arena, &item, &err) : DASH_FINE;
    if (fault == DASH_FINE && dash_index_get(c->api->dashboards, &index, &err) != SX_OK)
        fault = DASH_BROKEN;
    if (fault != DASH_FINE) {
        dash_fail(c, fault, &err);
        return;
    }
    for (size_t i = 0; i < index->count; i++) {
        bool inside = sx_str_eq(index->items[i].folder, uid);
        folders += inside && index->items[i].is_folder;
        dashboards += inside && !index->items[i].is_folder;
    }
    dash_index_unref(index);
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    key_i64(&w, "folder", folders);
    key_i64(&w, "dashboard", dashboards);
    key_i64(&w, "alertrule", 0);
    key_i64(&w, "librarypanel", 0);
    sx_json_end_object(&w);
}

/* ---- changes ---- */

static bool read_folder(api_call *c, dash_folder_save *save)
{
    sx_json r;
    sx_str key;
    if (!dash_body(c, &r))
        return false;
    while (sx_json_next_key(&r, &key)) {
        if (sx_str_eq(key, SX_STR("uid")))
            dash_read_str(&r, &save->uid);
        else if (sx_str_eq(key, SX_STR("title")))
            dash_read_str(&r, &save->title);
        else if (sx_str_eq(key, SX_STR("description")))
            dash_read_str(&r, &save->description);
        else if (sx_str_eq(key, SX_STR("parentUid")))
            dash_read_str(&r, &save->parent);
        else if (sx_str_eq(key, SX_STR("version")))
            dash_read_i64(&r, &save->version);
        else if (sx_str_eq(key, SX_STR("overwrite")))
            dash_read_bool(&r, &save->overwrite);
    }
    save->parent = dash_folder_uid(save->parent);
    save->login = dash_login(c);
    return dash_body_finish(c, &r);
}

void dash_http_folder_make(api_call *c)
{
    dash_folder_save save = {0};
    dash_item item;
    sx_error err = {0};
    if (read_folder(c, &save))
        answer(c, dash_folder_make(c->api->dashboards, &save, &c->arena, &item, &err), &item, &err);
}

typedef dash_fault write_folder(dash_store *s, const dash_folder_save *save, sx_arena *arena,
                                dash_item *out, sx_error *err);

/* Of the folder that the path names, whatever the body says. */
static void change(api_call *c, write_folder *write)
{
    dash_folder_save save = {0};
    dash_item item;
    sx_error err = {0};
    if (!read_folder(c, &save))
        return;
    save.uid = sx_request_param(c->r, "uid");
    answer(c, write(c->api->dashboards, &save, &c->arena, &item, &err), &item, &err);
}

void dash_http_folder_change(api_call *c)
{
    change(c, dash_folder_change);
}

void dash_http_folder_move(api_call *c)
{
    change(c, dash_folder_move);
}

void dash_http_folder_delete(api_call *c)
{
    dash_item item;
    sx_error err = {0};
    sx_json_writer w;
    dash_fault fault = dash_folder_remove(c->api->dashboards, sx_request_param(c->r, "uid"),
                                          &c->arena, &item, &err);
    if (fault != DASH_FINE) {
        dash_fail(c, fault, &err);
        return;
    }
    sx_str text = sx_arena_printf(&c->arena, "Folder %.*s deleted", SX_ARG(item.title));
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    key_i64(&w, "id", item.id);
    key_str(&w, "message", text);
    key_str(&w, "title", item.title);
    sx_json_end_object(&w);
}
