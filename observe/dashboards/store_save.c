/* store_save.c - dashboards: read, made, changed, removed, and their versions. See store.h. */
#include "observe/dashboards/store_impl.h"

#define VERSION_COLUMNS                                                                            \
    "v.id, v.version, v.parent, v.restored_from, v.created_ms, v.created_by, v.message"

static const dash_item NOBODY = {.uid = SX_STR_INIT("")};

static void read_version(const sx_sqlite_value *row, dash_version *out)
{
    *out = (dash_version){.id = row[0].i64,
                          .version = row[1].i64,
                          .parent = row[2].i64,
                          .restored_from = row[3].i64,
                          .created_ms = row[4].i64,
                          .created_by = row[5].str,
                          .message = row[6].str};
}

/* ---- reading ---- */

dash_fault dash_get_item(dash_store *s, sx_str uid, sx_arena *arena, dash_item *out, sx_error *err)
{
    sx_sqlite_value params[] = {sx_sqlite_text(uid)};
    sx_sqlite_result got;
    if (dash_ask(s, "SELECT " DASH_ITEM_COLUMNS " FROM item WHERE uid = ?1 AND is_folder = 0",
                 params, 1, arena, &got, err) != SX_OK)
        return DASH_BROKEN;
    if (!got.row_count)
        return DASH_NOT_FOUND;
    return dash_item_read(got.values, arena, out, err) == SX_OK ? DASH_FINE : DASH_BROKEN;
}

dash_fault dash_get(dash_store *s, sx_str uid, int64_t version, sx_arena *arena, dash_item *item,
                    dash_version *out, sx_error *err)
{
    sx_sqlite_result got;
    dash_fault fault = dash_get_item(s, uid, arena, item, err);
    if (fault != DASH_FINE)
        return fault;
    sx_sqlite_value params[] = {sx_sqlite_i64(item->id), sx_sqlite_i64(version)};
    if (dash_ask(s,
                 "SELECT " VERSION_COLUMNS ", v.json FROM version v WHERE v.item = ?1"
                 " AND (?2 = 0 OR v.version = ?2) ORDER BY v.version DESC LIMIT 1",
                 params, 2, arena, &got, err) != SX_OK)
        return DASH_BROKEN;
    if (!got.row_count) /* without a version: it was removed between the two questions */
        return version ? DASH_VERSION_NOT_FOUND : DASH_NOT_FOUND;
    read_version(got.values, out);
    out->json = got.values[7].str;
    return DASH_FINE;
}

dash_fault dash_versions(dash_store *s, sx_str uid, int64_t start, int64_t limit, sx_arena *arena,
                         dash_item *item, dash_version **out, size_t *count, sx_error *err)
{
    sx_sqlite_result got;
    dash_fault fault = dash_get_item(s, uid, arena, item, err);
    if (fault != DASH_FINE)
        return fault;
    sx_sqlite_value params[] = {sx_sqlite_i64(item->id), sx_sqlite_i64(start),
                                sx_sqlite_i64(limit)};
    if (dash_ask(s,
                 "SELECT " VERSION_COLUMNS " FROM version v WHERE v.item = ?1"
                 " AND (?2 = 0 OR v.version <= ?2) ORDER BY v.version DESC LIMIT ?3",
                 params, 3, arena, &got, err) != SX_OK)
        return DASH_BROKEN;
    *out = sx_arena_alloc(arena, (got.row_count + 1) * sizeof **out);
    if (!*out)
        return sx_fail_memory(err, "versions"), DASH_BROKEN;
    for (size_t i = 0; i < got.row_count; i++)
        read_version(sx_sqlite_at(&got, i, 0), &(*out)[i]);
    *count = got.row_count;
    return DASH_FINE;
}

/* ---- saving ---- */

/* What can be told without looking at what is there. */
static dash_fault check(const dash_store *s, const dash_save *x)
{
    const dash_head *h = x->head;
    if (h->json.len > s->limits.bytes_max)
        return DASH_TOO_LARGE;
    if (!sx_str_trim_all(h->title).len)
        return DASH_TITLE_EMPTY;
    if (dash_chars(h->title) > DASH_TITLE_CHARS_MAX)
        return DASH_TITLE_LONG;
    if (!dash_uid_is_valid(h->uid))
        return DASH_UID_INVALID;
    if (h->uid.len > DASH_UID_BYTES_MAX)
        return DASH_UID_LONG;
    size_t tag_bytes = 0;
    for (size_t i = 0; i < h->tag_count; i++)
        tag_bytes += h->tags[i].len;
    if (tag_bytes > DASH_TAGS_BYTES_MAX)
        return DASH_TAGS_LARGE;
    return dash_chars(x->message) > DASH_MESSAGE_CHARS_MAX ? DASH_MESSAGE_LONG : DASH_FINE;
}

/* The dashboard that one is saved over: of its uid, or without one of its number. */
static sx_status find_before(dash_tx *t, const dash_save *x, bool *found, dash_item *out,
                             sx_error *err)
{
    const dash_head *h = x->head;
    sx_sqlite_result got;
    *found = false;
    if (h->uid.len)
        return dash_item_find(t, h->uid, found, out, err);
    if (!h->id)
        return SX_OK;
    sx_sqlite_value params[] = {sx_sqlite_i64(h->id)};
    sx_status status =
        dash_run(t, "SELECT " DASH_ITEM_COLUMNS " FROM item WHERE id = ?1", params, 1, &got, err);
    if (status == SX_OK && !got.row_count)
        t->fault = DASH_NOT_FOUND;
    *found = status == SX_OK && got.row_count > 0;
    return *found ? dash_item_read(got.values, t->arena, out, err) : status;
}

/* One of the same title in the folder: in the way, or, where a script saves without a uid and says
 * overwrite, the one it means. */
static sx_status find_namesake(dash_tx *t, const dash_save *x, bool *found, dash_item *before,
                               sx_error *err)
{
    sx_sqlite_result got;
    sx_sqlite_value params[] = {sx_sqlite_text(x->folder), sx_sqlite_text(x->head->title),
                                sx_sqlite_i64(*found ? before->id : 0)};
    if (x->overwrite && x->head->uid.len)
        return SX_OK;
    sx_status status =
        dash_run(t,
                 "SELECT " DASH_ITEM_COLUMNS " FROM item WHERE folder = ?1"
                 " AND title = ?2 AND id <> ?3 AND is_folder = 0 ORDER BY id LIMIT 1",
                 params, 3, &got, err);
    if (status != SX_OK || !got.row_count)
        return status;
    if (!x->overwrite || *found) {
        t->fault = DASH_NAME_EXISTS;
        return SX_OK;
    }
    *found = true;
    return dash_item_read(got.values, t->arena, before, err);
}

/* Whether somebody's save may take effect. */
static void judge(dash_tx *t, const dash_save *x, bool found, const dash_item *before)
{
    if (!found || t->fault != DASH_FINE)
        return;
    if (before->is_folder)
        t->fault = DASH_TYPE_MISMATCH;
    else if (before->provider.len && !before->may_update)
        t->fault = DASH_PROVISIONED_SAVE;
    else if (!x->overwrite && !x->head->is_resource && x->head->version != before->version)
        t->fault = DASH_CHANGED;
}

static sx_status write_item(dash_tx *t, bool found, dash_item *item, sx_error *err)
{
    static const char INSERT[] =
        "INSERT INTO item (uid, title, slug, description, folder, tags, version, updated_ms,"
        " updated_by, provider, file, checksum, may_update, is_folder, created_ms, created_by)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 0, ?8, ?9)";
    static const char UPDATE[] =
        "UPDATE item SET uid = ?1, title = ?2, slug = ?3, description = ?4, folder = ?5, tags = ?6,"
        " version = ?7, updated_ms = ?8, updated_by = ?9, provider = ?10, file = ?11,"
        " checksum = ?12, may_update = ?13 WHERE id = ?14";
    sx_sqlite_result got;
    sx_str tags = dash_tags_write(item->tags, item->tag_count, t->arena);
    if (!tags.data)
        return sx_fail_memory(err, "tags");
    sx_sqlite_value params[] = {sx_sqlite_text(item->uid),        sx_sqlite_text(item->title),
                                sx_sqlite_text(item->slug),       sx_sqlite_text(item->description),
                                sx_sqlite_text(item->folder),     sx_sqlite_text(tags),
                                sx_sqlite_i64(item->version),     sx_sqlite_i64(item->updated_ms),
                                sx_sqlite_text(item->updated_by), sx_sqlite_text(item->provider),
                                sx_sqlite_text(item->file),       sx_sqlite_text(item->checksum),
                                sx_sqlite_i64(item->may_update),  sx_sqlite_i64(item->id)};
    sx_status status = dash_run(t, found ? UPDATE : INSERT, params,
                                SX_COUNT_OF(params) - (found ? 0 : 1), &got, err);
    if (status == SX_OK && !found)
        item->id = got.last_row_id;
    return status;
}

static sx_status write_version(dash_tx *t, const dash_save *x, const dash_item *item, sx_error *err)
{
    sx_sqlite_value params[] = {sx_sqlite_i64(item->id),          sx_sqlite_i64(item->version),
                                sx_sqlite_i64(item->version - 1), sx_sqlite_i64(x->restored_from),
                                sx_sqlite_i64(item->updated_ms),  sx_sqlite_text(item->updated_by),
                                sx_sqlite_text(x->message),       sx_sqlite_text(x->head->json)};
    sx_status status = dash_run(t,
                                "INSERT INTO version (item, version, parent, restored_from,"
                                " created_ms, created_by, message, json)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                                params, SX_COUNT_OF(params), NULL, err);
    sx_sqlite_value old[] = {sx_sqlite_i64(item->id),
                             sx_sqlite_i64(item->version - t->store->limits.versions_max)};
    if (status == SX_OK)
        status =
            dash_run(t, "DELETE FROM version WHERE item = ?1 AND version <= ?2", old, 2, NULL, err);
    return status;
}

/* As much of it as an item has, in whole characters. */
static sx_str described(sx_str text)
{
    size_t len = DASH_DESCRIPTION_BYTES_MAX;
    if (text.len <= len)
        return text;
    while (len && ((unsigned char)text.data[len] & 0xC0) == 0x80)
        len--;
    return sx_str_first(text, len);
}

/* What the item is after the save. */
static sx_status make_item(dash_tx *t, const dash_save *x, bool found, const dash_item *before,
                           dash_item *out, sx_error *err)
{
    const dash_head *h = x->head;
    char made[DASH_UID_MADE + 1];
    sx_status status = SX_OK;
    *out = found ? *before : NOBODY;
    if (!found && h->uid.len) {
        out->uid = h->uid;
    } else if (!found) {
        status = dash_uid_make(made, err);
        out->uid = status == SX_OK ? sx_arena_copy(t->arena, sx_str_z(made)) : SX_STR("");
    }
    out->title = h->title;
    out->description = described(h->description);
    out->slug = dash_slug(h->title, out->uid, t->arena);
    out->folder = x->folder;
    out->tags = h->tags;
    out->tag_count = h->tag_count;
    out->version++;
    out->updated_ms = dash_now_ms(t->store);
    out->updated_by = x->login;
    if (!found) {
        out->created_ms = out->updated_ms;
        out->created_by = x->login;
    }
    if (x->provider.len || !found) { /* a save of a file's keeps whose it is */
        out->provider = x->provider;
        out->file = x->file;
        out->checksum = x->checksum;
        out->may_update = x->may_update;
    }
    if (status == SX_OK && (!out->uid.data || !out->slug.data))
        return sx_fail_memory(err, "a dashboard");
    return status;
}

static sx_status save_tx(dash_tx *t, sx_error *err)
{
    const dash_save *x = t->arg;
    dash_item before, *item = t->out;
    bool found = false, is = true, room = true;
    sx_status status = find_before(t, x, &found, &before, err);
    if (status == SX_OK && !x->provider.len)
        judge(t, x, found, &before);
    else if (status == SX_OK && found && before.is_folder)
        t->fault = DASH_TYPE_MISMATCH;
    if (status == SX_OK && t->fault == DASH_FINE)
        status = dash_folder_is(t, x->folder, &is, err);
    if (status == SX_OK && !is)
        t->fault = DASH_FOLDER_MISSING;
    if (status == SX_OK && t->fault == DASH_FINE && !x->provider.len)
        status = find_namesake(t, x, &found, &before, err);
    if (status == SX_OK && !x->provider.len && t->fault == DASH_FINE && found)
        judge(t, x, found, &before);
    if (status == SX_OK && t->fault == DASH_FINE && !found)
        status = dash_room(t, &room, err);
    if (status != SX_OK || t->fault != DASH_FINE)
        return status;
    status = make_item(t, x, found, &before, item, err);
    if (status == SX_OK)
        status = write_item(t, found, item, err);
    return status == SX_OK ? write_version(t, x, item, err) : status;
}

dash_fault dash_put(dash_store *s, const dash_save *save, sx_arena *arena, dash_item *out,
                    sx_error *err)
{
    dash_fault fault = check(s, save);
    return fault == DASH_FINE ? dash_transact(s, arena, save_tx, save, out, err) : fault;
}

/* ---- removing ---- */

/* An item and all that hangs on it. */
sx_status dash_item_remove(dash_tx *t, int64_t id, sx_error *err)
{
    static const char *const STATEMENTS[] = {
        "DELETE FROM version WHERE item = ?1", "DELETE FROM star WHERE item = ?1",
        "DELETE FROM annotation WHERE dashboard = (SELECT uid FROM item WHERE id = ?1)",
        "DELETE FROM item WHERE id = ?1"};
    sx_sqlite_value params[] = {sx_sqlite_i64(id)};
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(STATEMENTS) && status == SX_OK; i++)
        status = dash_run(t, STATEMENTS[i], params, 1, NULL, err);
    return status;
}

static sx_status remove_tx(dash_tx *t, sx_error *err)
{
    const sx_str *uid = t->arg;
    dash_item *item = t->out;
    bool found;
    sx_status status = dash_item_find(t, *uid, &found, item, err);
    if (status != SX_OK)
        return status;
    if (!found || item->is_folder)
        t->fault = DASH_NOT_FOUND;
    else if (item->provider.len)
        t->fault = DASH_PROVISIONED_DELETE;
    return t->fault == DASH_FINE ? dash_item_remove(t, item->id, err) : SX_OK;
}

dash_fault dash_remove(dash_store *s, sx_str uid, sx_arena *arena, dash_item *out, sx_error *err)
{
    return dash_transact(s, arena, remove_tx, &uid, out, err);
}

typedef struct prune_of {
    sx_str provider;
    bool unlink;
    dash_keeps *keeps;
    void *ctx;
} prune_of;

static sx_status prune_one(dash_tx *t, const prune_of *p, int64_t id, sx_error *err)
{
    sx_sqlite_value params[] = {sx_sqlite_i64(id)};
    if (!p->unlink)
        return dash_item_remove(t, id, err);
    return dash_run(t,
                    "UPDATE item SET provider = '', file = '', checksum = '', may_update = 0"
                    " WHERE id = ?1",
                    params, 1, NULL, err);
}

static sx_status prune_tx(dash_tx *t, sx_error *err)
{
    const prune_of *p = t->arg;
    sx_sqlite_result got;
    sx_sqlite_value params[] = {sx_sqlite_text(p->provider)};
    sx_status status = dash_run(
        t, "SELECT id, file FROM item WHERE provider = ?1 AND is_folder = 0", params, 1, &got, err);
    for (size_t i = 0; status == SX_OK && i < got.row_count; i++)
        if (!p->keeps(p->ctx, sx_sqlite_at(&got, i, 1)->str))
            status = prune_one(t, p, sx_sqlite_at(&got, i, 0)->i64, err);
    if (status == SX_OK) /* folders that were made for files and are empty now */
        status = dash_run(t,
                          "DELETE FROM item WHERE is_folder = 1 AND provider = ?1"
                          " AND uid NOT IN (SELECT folder FROM item)",
                          params, 1, NULL, err);
    return status;
}

sx_status dash_prune(dash_store *s, sx_str provider, bool unlink, dash_keeps *keeps, void *ctx,
                     sx_error *err)
{
    sx_arena arena;
    prune_of p = {provider, unlink, keeps, ctx};
    sx_error own = {0};
    sx_arena_init(&arena, 0, 0);
    dash_fault fault = dash_transact(s, &arena, prune_tx, &p, NULL, &own);
    sx_arena_done(&arena);
    if (err)
        *err = own;
    return fault == DASH_FINE ? SX_OK : own.status;
}
