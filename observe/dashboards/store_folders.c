/* store_folders.c - folders, and whose favourites. See store.h. */
#include "observe/dashboards/store_impl.h"

enum { DEPTH_MAX = 4 };

static dash_fault check(const dash_folder_save *x)
{
    if (!sx_str_trim_all(x->title).len)
        return DASH_FOLDER_TITLE_EMPTY;
    if (dash_chars(x->title) > DASH_TITLE_CHARS_MAX)
        return DASH_TITLE_LONG;
    if (!dash_uid_is_valid(x->uid))
        return DASH_UID_INVALID;
    return x->uid.len > DASH_UID_BYTES_MAX ? DASH_UID_LONG : DASH_FINE;
}

static sx_status find_folder(dash_tx *t, sx_str uid, dash_item *out, sx_error *err)
{
    bool found;
    sx_status status = dash_item_find(t, uid, &found, out, err);
    if (status == SX_OK && (!found || !out->is_folder))
        t->fault = DASH_FOLDER_NOT_FOUND;
    return status;
}

/* How many folders `uid` and those above it are; a fault if `below` is among them. */
static sx_status climb(dash_tx *t, sx_str uid, sx_str below, int *depth, sx_error *err)
{
    dash_item item = {0};
    sx_status status = SX_OK;
    for (*depth = 0; status == SX_OK && uid.len && t->fault == DASH_FINE; ++*depth) {
        if (*depth == DEPTH_MAX)
            t->fault = DASH_FOLDER_DEEP;
        else if (below.len && sx_str_eq(uid, below))
            t->fault = DASH_FOLDER_CIRCLE;
        else
            status = find_folder(t, uid, &item, err);
        uid = item.folder;
    }
    return status;
}

dash_fault dash_folder_get(dash_store *s, sx_str uid, sx_arena *arena, dash_item *out,
                           sx_error *err)
{
    sx_sqlite_value params[] = {sx_sqlite_text(uid)};
    sx_sqlite_result got;
    if (dash_ask(s, "SELECT " DASH_ITEM_COLUMNS " FROM item WHERE uid = ?1 AND is_folder = 1",
                 params, 1, arena, &got, err) != SX_OK)
        return DASH_BROKEN;
    if (!got.row_count)
        return DASH_FOLDER_NOT_FOUND;
    return dash_item_read(got.values, arena, out, err) == SX_OK ? DASH_FINE : DASH_BROKEN;
}

/* ---- making and changing ---- */

static sx_status make_tx(dash_tx *t, sx_error *err)
{
    const dash_folder_save *x = t->arg;
    dash_item *item = t->out;
    dash_item other;
    char made[DASH_UID_MADE + 1];
    bool found = false, room;
    int depth = 0;
    sx_sqlite_result got;
    sx_status status = climb(t, x->parent, SX_STR(""), &depth, err);
    if (status == SX_OK && t->fault == DASH_FINE && depth >= DEPTH_MAX)
        t->fault = DASH_FOLDER_DEEP;
    if (status == SX_OK && t->fault == DASH_FINE && x->uid.len)
        status = dash_item_find(t, x->uid, &found, &other, err);
    if (found)
        t->fault = DASH_FOLDER_UID_EXISTS;
    if (status == SX_OK && t->fault == DASH_FINE)
        status = dash_room(t, &room, err);
    if (status == SX_OK && t->fault == DASH_FINE && !x->uid.len)
        status = dash_uid_make(made, err);
    if (status != SX_OK || t->fault != DASH_FINE)
        return status;
    int64_t now_ms = dash_now_ms(t->store);
    *item = (dash_item){.uid = x->uid.len ? x->uid : sx_arena_copy(t->arena, sx_str_z(made)),
                        .title = x->title,
                        .description = x->description,
                        .folder = x->parent,
                        .version = 1,
                        .created_ms = now_ms,
                        .updated_ms = now_ms,
                        .created_by = x->login,
                        .updated_by = x->login,
                        .provider = x->provider,
                        .is_folder = true};
    item->slug = dash_slug(x->title, item->uid, t->arena);
    if (!item->uid.data || !item->slug.data)
        return sx_fail_memory(err, "a folder");
    sx_sqlite_value params[] = {sx_sqlite_text(item->uid),        sx_sqlite_text(item->title),
                                sx_sqlite_text(item->slug),       sx_sqlite_text(item->description),
                                sx_sqlite_text(item->folder),     sx_sqlite_i64(now_ms),
                                sx_sqlite_text(item->created_by), sx_sqlite_text(item->provider)};
    status = dash_run(t,
                      "INSERT INTO item (uid, title, slug, description, folder, tags, version,"
                      " created_ms, updated_ms, created_by, updated_by, provider, file, checksum,"
                      " may_update, is_folder)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, '[]', 1, ?6, ?6, ?7, ?7, ?8, '', '', 0, 1)",
                      params, SX_COUNT_OF(params), &got, err);
    if (status == SX_OK)
        item->id = got.last_row_id;
    return status;
}

dash_fault dash_folder_make(dash_store *s, const dash_folder_save *save, sx_arena *arena,
                            dash_item *out, sx_error *err)
{
    dash_fault fault = check(save);
    return fault == DASH_FINE ? dash_transact(s, arena, make_tx, save, out, err) : fault;
}

static sx_status update_folder(dash_tx *t, const dash_folder_save *x, dash_item *item,
                               sx_error *err)
{
    item->slug = dash_slug(item->title, item->uid, t->arena);
    if (!item->slug.data)
        return sx_fail_memory(err, "a folder");
    item->version++;
    item->updated_ms = dash_now_ms(t->store);
    item->updated_by = x->login;
    sx_sqlite_value params[] = {sx_sqlite_i64(item->id),         sx_sqlite_text(item->title),
                                sx_sqlite_text(item->slug),      sx_sqlite_text(item->description),
                                sx_sqlite_text(item->folder),    sx_sqlite_i64(item->version),
                                sx_sqlite_i64(item->updated_ms), sx_sqlite_text(item->updated_by)};
    return dash_run(t,
                    "UPDATE item SET title = ?2, slug = ?3, description = ?4, folder = ?5,"
                    " version = ?6, updated_ms = ?7, updated_by = ?8 WHERE id = ?1",
                    params, SX_COUNT_OF(params), NULL, err);
}

static sx_status change_tx(dash_tx *t, sx_error *err)
{
    const dash_folder_save *x = t->arg;
    dash_item *item = t->out;
    sx_status status = find_folder(t, x->uid, item, err);
    if (status != SX_OK || t->fault != DASH_FINE)
        return status;
    if (!x->overwrite && x->version != item->version) {
        t->fault = DASH_FOLDER_CHANGED;
        return SX_OK;
    }
    item->title = x->title;
    if (x->description.data)
        item->description = x->description;
    return update_folder(t, x, item, err);
}

dash_fault dash_folder_change(dash_store *s, const dash_folder_save *save, sx_arena *arena,
                              dash_item *out, sx_error *err)
{
    dash_fault fault = check(save);
    return fault == DASH_FINE ? dash_transact(s, arena, change_tx, save, out, err) : fault;
}

/* How many folders lie on top of each other in `uid`, it included. */
static sx_status measure(dash_tx *t, sx_str uid, int64_t *height, sx_error *err)
{
    sx_sqlite_value params[] = {sx_sqlite_text(uid), sx_sqlite_i64(DEPTH_MAX)};
    sx_sqlite_result got;
    sx_status status = dash_run(t,
                                "WITH RECURSIVE below (uid, level) AS (SELECT ?1, 1 UNION ALL"
                                " SELECT i.uid, b.level + 1 FROM item i JOIN below b"
                                " ON i.folder = b.uid WHERE i.is_folder = 1 AND b.level < ?2)"
                                " SELECT max(level) FROM below",
                                params, 2, &got, err);
    *height = status == SX_OK ? got.values[0].i64 : 0;
    return status;
}

static sx_status move_tx(dash_tx *t, sx_error *err)
{
    const dash_folder_save *x = t->arg;
    dash_item *item = t->out;
    int depth;
    int64_t height = 0;
    sx_status status = find_folder(t, x->uid, item, err);
    if (status == SX_OK && t->fault == DASH_FINE)
        status = climb(t, x->parent, x->uid, &depth, err);
    if (status == SX_OK && t->fault == DASH_FINE)
        status = measure(t, x->uid, &height, err);
    if (status != SX_OK || t->fault != DASH_FINE)
        return status;
    if (depth + height > DEPTH_MAX) {
        t->fault = DASH_FOLDER_DEEP;
        return SX_OK;
    }
    item->folder = x->parent;
    return update_folder(t, x, item, err);
}

dash_fault dash_folder_move(dash_store *s, const dash_folder_save *save, sx_arena *arena,
                            dash_item *out, sx_error *err)
{
    return dash_transact(s, arena, move_tx, save, out, err);
}

/* ---- removing ---- */

static sx_status remove_tx(dash_tx *t, sx_error *err)
{
    const sx_str *uid = t->arg;
    sx_sqlite_value params[] = {sx_sqlite_text(*uid)};
    sx_sqlite_result got;
    sx_status status = find_folder(t, *uid, t->out, err);
    if (status != SX_OK || t->fault != DASH_FINE)
        return status;
    status = dash_run(t,
                      "WITH RECURSIVE below (id, uid, held) AS ("
                      " SELECT id, uid, 0 FROM item WHERE uid = ?1 UNION"
                      " SELECT i.id, i.uid, i.is_folder = 0 AND i.provider <> ''"
                      " FROM item i JOIN below b ON i.folder = b.uid)"
                      " SELECT id, held FROM below",
                      params, 1, &got, err);
    for (size_t i = 0; status == SX_OK && i < got.row_count; i++) {
        if (sx_sqlite_at(&got, i, 1)->i64)
            t->fault = DASH_PROVISIONED_DELETE;
        else
            status = dash_item_remove(t, sx_sqlite_at(&got, i, 0)->i64, err);
    }
    return status;
}

dash_fault dash_folder_remove(dash_store *s, sx_str uid, sx_arena *arena, dash_item *out,
                              sx_error *err)
{
    return dash_transact(s, arena, remove_tx, &uid, out, err);
}

/* ---- stars ---- */

typedef struct star_of {
    sx_str login, uid;
    bool on;
} star_of;

static sx_status star_tx(dash_tx *t, sx_error *err)
{
    const star_of *x = t->arg;
    dash_item item;
    bool found;
    sx_status status = dash_item_find(t, x->uid, &found, &item, err);
    if (status != SX_OK)
        return status;
    if (!found || item.is_folder) {
        t->fault = DASH_NOT_FOUND;
        return SX_OK;
    }
    sx_sqlite_value params[] = {sx_sqlite_text(x->login), sx_sqlite_i64(item.id)};
    return dash_run(t,
                    x->on ? "INSERT OR IGNORE INTO star (login, item) VALUES (?1, ?2)"
                          : "DELETE FROM star WHERE login = ?1 AND item = ?2",
                    params, 2, NULL, err);
}

dash_fault dash_star(dash_store *s, sx_str login, sx_str uid, bool on, sx_error *err)
{
    star_of x = {login, uid, on};
    return dash_transact_aside(s, star_tx, &x, NULL, err);
}

sx_status dash_is_star(dash_store *s, sx_str login, int64_t item, bool *is, sx_error *err)
{
    sx_arena arena;
    sx_sqlite_value params[] = {sx_sqlite_text(login), sx_sqlite_i64(item)};
    sx_sqlite_result got = {0};
    sx_arena_init(&arena, 0, 0);
    sx_status status = dash_ask(s, "SELECT 1 FROM star WHERE login = ?1 AND item = ?2", params, 2,
                                &arena, &got, err);
    *is = status == SX_OK && got.row_count > 0;
    sx_arena_done(&arena);
    return status;
}

sx_status dash_stars(dash_store *s, sx_str login, sx_arena *arena, sx_str **out, size_t *count,
                     sx_error *err)
{
    sx_sqlite_value params[] = {sx_sqlite_text(login)};
    sx_sqlite_result got;
    sx_status status = dash_ask(s,
                                "SELECT i.uid FROM star s JOIN item i ON i.id = s.item"
                                " WHERE s.login = ?1 ORDER BY i.uid",
                                params, 1, arena, &got, err);
    if (status != SX_OK)
        return status;
    *out = sx_arena_alloc(arena, (got.row_count + 1) * sizeof **out);
    if (!*out)
        return sx_fail_memory(err, "stars");
    for (size_t i = 0; i < got.row_count; i++)
        (*out)[i] = sx_sqlite_at(&got, i, 0)->str;
    *count = got.row_count;
    return SX_OK;
}
