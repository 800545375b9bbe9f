/* dash_items.c - one dashboard: read, saved, removed, its versions. */
#include "observe/dashboards/files.h"
#include "observe/api/dash.h"

enum { VERSIONS_DEFAULT = 1000 };

/* ---- reading ---- */

static void put_rights(sx_json_writer *w)
{
    static const char *const WHOSE[] = {"dashboard", "organization"};
    sx_json_key(w, SX_STR("annotationsPermissions"));
    sx_json_begin_object(w);
    for (size_t i = 0; i < SX_COUNT_OF(WHOSE); i++) {
        sx_json_key(w, sx_str_z(WHOSE[i]));
        sx_json_begin_object(w);
        key_bool(w, "canAdd", true);
        key_bool(w, "canEdit", true);
        key_bool(w, "canDelete", true);
        sx_json_end_object(w);
    }
    sx_json_end_object(w);
}

static void put_folder(sx_json_writer *w, api_call *c, const dash_item *item)
{
    dash_item folder = {.title = SX_STR("General")};
    bool lies = item->folder.len && dash_folder_get(c->api->dashboards, item->folder, &c->arena,
                                                    &folder, NULL) == DASH_FINE;
    key_i64(w, "folderId", folder.id);
    key_str(w, "folderUid", folder.uid);
    key_str(w, "folderTitle", folder.title);
    if (lies)
        dash_put_url(w, c, "folderUrl", &folder);
    else
        key_str(w, "folderUrl", SX_STR(""));
}

static void put_meta(sx_json_writer *w, api_call *c, const dash_item *item, bool home)
{
    bool starred = false, provisioned = item->provider.len > 0;
    bool editor = dash_may(c, DASH_NEEDS_EDITOR);
    bool save = editor && (!provisioned || item->may_update);
    sx_str problem;
    (void)dash_is_star(c->api->dashboards, dash_login(c), item->id, &starred, NULL);
    sx_json_key(w, SX_STR("meta"));
    sx_json_begin_object(w);
    if (home)
        key_bool(w, "isHome", true);
    key_str(w, "type", SX_STR("db"));
    key_bool(w, "canSave", save);
    key_bool(w, "canEdit", editor);
    key_bool(w, "canAdmin", dash_may(c, DASH_NEEDS_ADMIN));
    key_bool(w, "canStar", true);
    key_bool(w, "canDelete", editor && !provisioned);
    key_bool(w, "isStarred", starred);
    key_str(w, "slug", item->slug);
    dash_put_url(w, c, "url", item);
    key_str(w, "expires", SX_STR("0001-01-01T00:00:00Z"));
    dash_put_time(w, "created", item->created_ms);
    dash_put_time(w, "updated", item->updated_ms);
    key_str(w, "createdBy", item->created_by);
    key_str(w, "updatedBy", item->updated_by);
    key_i64(w, "version", item->version);
    key_bool(w, "hasAcl", false);
    key_bool(w, "isFolder", false);
    put_folder(w, c, item);
    key_bool(w, "provisioned", provisioned);
    key_str(w, "provisionedExternalId", item->file);
    if (dash_files_problem(c->api->dashboard_files, item->provider, item->file, &c->arena,
                           &problem))
        key_str(w, "problem", problem); /* ours: the file is broken, this is what it was */
    put_rights(w);
    sx_json_end_object(w);
}

/* `json` of the store with this head's id, uid and version. False: the answer tells why not. */
static bool put_dashboard(sx_json_writer *w, api_call *c, const char *key, const dash_item *item,
                          const dash_version *v)
{
    sx_buf text;
    sx_error err = {0};
    dash_stamp stamp = {.id = item->id, .version = v->version, .uid = item->uid};
    sx_buf_init(&text, 0);
    sx_status status = dash_stamp_write(v->json, &stamp, &text, &err);
    if (status == SX_OK) {
        sx_json_key(w, sx_str_z(key));
        sx_json_raw_value(w, sx_buf_view(&text));
    }
    sx_buf_done(&text);
    if (status != SX_OK)
        dash_fail_store(c, &err);
    return status == SX_OK;
}

static void get(api_call *c, sx_str uid, bool home)
{
    dash_item item;
    dash_version version;
    sx_error err = {0};
    sx_str problem;
    sx_json_writer w;
    dash_fault fault = dash_get(c->api->dashboards, uid, 0, &c->arena, &item, &version, &err);
    if (fault == DASH_NOT_FOUND &&
        dash_files_problem_of(c->api->dashboard_files, uid, &c->arena, &problem)) {
        dash_message(c, 500, problem);
        return;
    }
    if (fault != DASH_FINE) {
        dash_fail(c, fault, &err);
        return;
    }
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    put_meta(&w, c, &item, home);
    if (put_dashboard(&w, c, "dashboard", &item, &version))
        sx_json_end_object(&w);
}

void dash_http_get(api_call *c)
{
    get(c, sx_request_param(c->r, "uid"), false);
}

/* The one that comes with us; there are no preferences. */
void dash_http_home(api_call *c)
{
    get(c, SX_STR("sextant"), true);
}

/* ---- saving ---- */

typedef struct save_body {
    dash_stored stored;
    sx_str message;
    int64_t folder_id;
} save_body;

static bool read_save(api_call *c, save_body *b)
{
    sx_json r;
    sx_str key;
    if (!dash_body(c, &r))
        return false;
    while (sx_json_next_key(&r, &key)) {
        if (dash_read_stored(&r, key, &b->stored))
            continue;
        if (sx_str_eq(key, SX_STR("folderId")))
            dash_read_i64(&r, &b->folder_id);
        else if (sx_str_eq(key, SX_STR("message")))
            dash_read_str(&r, &b->message);
    }
    return dash_body_finish_with(c, &r, b->stored.dashboard);
}

/* The folder of an old script, which knows its number. */
static bool find_folder(api_call *c, save_body *b)
{
    dash_index *index;
    sx_error err = {0};
    b->stored.folder_uid = dash_folder_uid(b->stored.folder_uid);
    if (b->stored.folder_uid.len || b->folder_id <= 0)
        return true;
    if (dash_index_get(c->api->dashboards, &index, &err) != SX_OK) {
        dash_fail_store(c, &err);
        return false;
    }
    const dash_item *folder = dash_index_find_id(index, b->folder_id);
    bool found = folder && folder->is_folder;
    if (found)
        b->stored.folder_uid = sx_arena_copy(&c->arena, folder->uid);
    dash_index_unref(index);
    if (!found)
        dash_fail(c, DASH_FOLDER_MISSING, NULL);
    return found;
}

bool dash_http_store(api_call *c, dash_save *save, sx_str json, dash_head *head, dash_item *item)
{
    sx_error err = {0};
    if (dash_head_read(json, &c->arena, head, &err) != SX_OK) {
        sx_str text = sx_arena_printf(&c->arena, "bad request data: dashboard: %s", err.message);
        dash_message(c, 400, text.data ? text : SX_STR("bad request data"));
        return false;
    }
    if (!save->folder.len)
        save->folder = dash_folder_uid(head->folder_uid);
    save->head = head;
    save->login = dash_login(c);
    dash_fault fault = dash_put(c->api->dashboards, save, &c->arena, item, &err);
    if (fault != DASH_FINE)
        dash_fail(c, fault, &err);
    return fault == DASH_FINE;
}

static void answer_saved(api_call *c, const dash_item *item)
{
    sx_json_writer w;
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    key_str(&w, "folderUid", item->folder);
    key_i64(&w, "id", item->id);
    key_str(&w, "slug", item->slug);
    key_str(&w, "status", SX_STR("success"));
    key_str(&w, "uid", item->uid);
    dash_put_url(&w, c, "url", item);
    key_i64(&w, "version", item->version);
    sx_json_end_object(&w);
}

void dash_http_save(api_call *c)
{
    save_body b = {0};
    dash_head head;
    dash_item item;
    if (!read_save(c, &b) || !find_folder(c, &b))
        return;
    dash_save save = {
        .folder = b.stored.folder_uid, .message = b.message, .overwrite = b.stored.overwrite};
    if (dash_http_store(c, &save, b.stored.dashboard, &head, &item)) {
        c->about = item.uid; /* on record */
        answer_saved(c, &item);
    }
}

void dash_http_delete(api_call *c)
{
    dash_item item;
    sx_error err = {0};
    sx_json_writer w;
    dash_fault fault =
        dash_remove(c->api->dashboards, sx_request_param(c->r, "uid"), &c->arena, &item, &err);
    if (fault != DASH_FINE) {
        dash_fail(c, fault, &err);
        return;
    }
    sx_str text = sx_arena_printf(&c->arena, "Dashboard %.*s deleted", SX_ARG(item.title));
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    key_i64(&w, "id", item.id);
    key_str(&w, "message", text);
    key_str(&w, "title", item.title);
    key_str(&w, "uid", item.uid);
    sx_json_end_object(&w);
}

/* ---- versions ---- */

static void put_version(sx_json_writer *w, const dash_item *item, const dash_version *v)
{
    key_i64(w, "id", v->id);
    key_i64(w, "dashboardId", item->id);
    key_str(w, "dashboardUID", item->uid);
    key_str(w, "uid", item->uid);
    key_i64(w, "parentVersion", v->parent);
    key_i64(w, "restoredFrom", v->restored_from);
    key_i64(w, "version", v->version);
    dash_put_time(w, "created", v->created_ms);
    key_str(w, "createdBy", v->created_by);
    key_str(w, "message", v->message);
}

void dash_http_versions(api_call *c)
{
    dash_item item;
    dash_version *versions;
    size_t count;
    sx_error err = {0};
    sx_json_writer w;
    int64_t limit = dash_param_i64(c, "limit", VERSIONS_DEFAULT);
    dash_fault fault = dash_versions(
        c->api->dashboards, sx_request_param(c->r, "uid"), dash_param_i64(c, "start", 0),
        limit ? limit : VERSIONS_DEFAULT, &c->arena, &item, &versions, &count, &err);
    if (fault != DASH_FINE) {
        dash_fail(c, fault, &err);
        return;
    }
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    key_str(&w, "continueToken", SX_STR(""));
    sx_json_key(&w, SX_STR("versions"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        sx_json_begin_object(&w);
        put_version(&w, &item, &versions[i]);
        sx_json_end_object(&w);
    }
    sx_json_end_array(&w);
    sx_json_end_object(&w);
}

void dash_http_version(api_call *c)
{
    dash_item item;
    dash_version version;
    sx_error err = {0};
    sx_json_writer w;
    int64_t n = dash_path_i64(c, "version");
    dash_fault fault = n <= 0 ? DASH_VERSION_NOT_FOUND
                              : dash_get(c->api->dashboards, sx_request_param(c->r, "uid"), n,
                                         &c->arena, &item, &version, &err);
    if (fault != DASH_FINE) {
        dash_fail(c, fault, &err);
        return;
    }
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    put_version(&w, &item, &version);
    if (put_dashboard(&w, c, "data", &item, &version))
        sx_json_end_object(&w);
}

void dash_http_restore(api_call *c)
{
    dash_item item;
    dash_version version;
    dash_head head;
    sx_error err = {0};
    sx_json r;
    sx_str key, uid = sx_request_param(c->r, "uid");
    int64_t n = 0;
    if (!dash_body(c, &r))
        return;
    while (sx_json_next_key(&r, &key))
        if (sx_str_eq(key, SX_STR("version")))
            dash_read_i64(&r, &n);
    if (!dash_body_finish(c, &r))
        return;
    dash_fault fault =
        dash_get(c->api->dashboards, uid, n > 0 ? n : -1, &c->arena, &item, &version, &err);
    if (fault == DASH_FINE && dash_head_read(version.json, &c->arena, &head, &err) != SX_OK)
        fault = DASH_BROKEN;
    if (fault != DASH_FINE) {
        dash_fail(c, fault, &err);
        return;
    }
    head.uid = item.uid;
    dash_save save = {.head = &head,
                      .folder = item.folder,
                      .login = dash_login(c),
                      .overwrite = true,
                      .restored_from = n};
    save.message =
        sx_arena_printf(&c->arena, "Restored from version %lld", (long long)version.version);
    fault = dash_put(c->api->dashboards, &save, &c->arena, &item, &err);
    if (fault == DASH_FINE)
        answer_saved(c, &item);
    else
        dash_fail(c, fault, &err);
}

/* Everybody who may come in sees all, editors change all: what Grafana has without lists of its own. */
void dash_http_permissions(api_call *c)
{
    static const struct {
        const char *role, *name;
        int permission;
    } ROWS[] = {{"Viewer", "View", 1}, {"Editor", "Edit", 2}};
    sx_json_writer w;
    dash_answer(c, &w);
    sx_json_begin_array(&w);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_json_begin_object(&w);
        key_str(&w, "role", sx_str_z(ROWS[i].role));
        key_i64(&w, "permission", ROWS[i].permission);
        key_str(&w, "permissionName", sx_str_z(ROWS[i].name));
        key_str(&w, "uid", sx_request_param(c->r, "uid"));
        key_bool(&w, "inherited", true);
        sx_json_end_object(&w);
    }
    sx_json_end_array(&w);
}
