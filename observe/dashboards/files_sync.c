/* files_sync.c - the files of one provider into the store. See files.h.
 *
 * A provider of which no file has another name, size or time than at the last look is left alone; else all
 * its files are read and those go into the store whose text is another. That may be twenty thousand, so what
 * is looked up by name, by uid or by title is in a table, and the store's index of heads, which is made anew
 * after every change, is asked once for each folder and not for each file. */
#include "observe/dashboards/files_impl.h"

#include <inttypes.h>
#include <stdio.h>

#include <sextant/file.h>
#include <sextant/hash.h>
#include <sextant/map.h>

enum { CHECKSUM_BYTES = 33, LOOK_FAILED = 2 };

static const char *const JSON_ENDS[] = {".json", NULL};

typedef struct sync {
    dash_files *f;
    dash_provider *p;
    dash_listing files;      /* in `arena`, as all that lives as long as this */
    const dash_index *index; /* as it was before */
    sx_arena *arena;
    sx_arena scratch; /* of one file */
    sx_map names;     /* of the files */
    sx_map owners;    /* uids of the files so far: a dash_found */
    sx_map folders;   /* titles: the uid, an sx_str */
} sync;

static bool keeps(void *ctx, sx_str file)
{
    const sync *s = ctx;
    return sx_map_find(&s->names, file) != NULL;
}

/* The folder of dashboards for a file: its subfolder's name, or the provider's. */
static sx_str folder_title(const dash_provider *p, sx_str file)
{
    size_t slash = file.len;
    while (slash && file.data[slash - 1] != '/')
        slash--;
    if (!p->structure || !slash)
        return p->folder;
    sx_str dir = sx_str_first(file, slash - 1);
    size_t from = dir.len;
    while (from && dir.data[from - 1] != '/')
        from--;
    return sx_str_from(dir, from);
}

/* The uid of the folder of that title at the top; "": there is none. */
static sx_status look_for_folder(const sync *s, sx_str title, sx_str *uid, sx_error *err)
{
    dash_index *index;
    sx_status status = dash_index_get(s->f->store, &index, err);
    if (status != SX_OK)
        return status;
    *uid = SX_STR("");
    for (size_t i = 0; i < index->count && !uid->len; i++)
        if (index->items[i].is_folder && !index->items[i].folder.len &&
            sx_str_eq(index->items[i].title, title))
            *uid = sx_arena_copy(s->arena, index->items[i].uid);
    dash_index_unref(index);
    return uid->data ? SX_OK : sx_fail_memory(err, "a folder of dashboards");
}

static sx_status make_folder(const sync *s, sx_str title, sx_str *uid, sx_error *err)
{
    dash_item item;
    char made[DASH_UID_MADE + 1];
    sx_str seed = sx_arena_printf(s->arena, "folder %.*s", SX_ARG(title));
    if (!seed.data)
        return sx_fail_memory(err, "a folder of dashboards");
    dash_uid_of(seed, made);
    bool named = s->p->folder_uid.len && sx_str_eq(title, s->p->folder);
    dash_folder_save save = {.uid =
                                 named ? s->p->folder_uid : sx_arena_copy(s->arena, sx_str_z(made)),
                             .title = title,
                             .provider = s->p->name};
    dash_fault fault = dash_folder_make(s->f->store, &save, s->arena, &item, err);
    if (fault == DASH_BROKEN)
        return err->status;
    if (fault != DASH_FINE)
        return sx_fail(err, SX_EINVAL, "folder \"%.*s\": %s", SX_ARG(title),
                       DASH_FAULT_ROWS[fault].message);
    *uid = item.uid;
    return SX_OK;
}

/* The uid of the folder of that title at the top, which is made if there is none. */
static sx_status find_folder(sync *s, sx_str title, sx_str *uid, sx_error *err)
{
    *uid = SX_STR("");
    if (!title.len || sx_str_eq(title, SX_STR("General")))
        return SX_OK;
    const sx_str *known = sx_map_get(&s->folders, title);
    if (known) {
        *uid = *known;
        return SX_OK;
    }
    sx_status status = look_for_folder(s, title, uid, err);
    if (status == SX_OK && !uid->len)
        status = make_folder(s, title, uid, err);
    if (status != SX_OK)
        return status;
    sx_str *kept = sx_arena_alloc(s->arena, sizeof *kept);
    sx_map_entry *e = kept ? sx_map_put(&s->folders, title, NULL) : NULL;
    if (!e)
        return sx_fail_memory(err, "a folder of dashboards");
    *kept = *uid;
    e->ptr = kept;
    return SX_OK;
}

/* Whose uid it is already, if not this file's: its file's name, or "". */
static sx_str taken_by(sync *s, sx_str uid, sx_str file)
{
    const dash_found *owner = sx_map_get(&s->owners, uid);
    if (owner)
        return owner->name;
    const dash_item *item = dash_index_find(s->index, uid);
    if (!item || !item->provider.len ||
        (sx_str_eq(item->provider, s->p->name) &&
         (sx_str_eq(item->file, file) || !keeps(s, item->file))))
        return SX_STR("");
    return item->file;
}

static void checksum(sx_str text, char out[CHECKSUM_BYTES])
{
    snprintf(out, CHECKSUM_BYTES, "%016" PRIx64 "%016" PRIx64, sx_hash(text, 1), sx_hash(text, 2));
}

/* Notes whose the uid is; the text that it lies in goes. */
static sx_status own(sync *s, sx_str uid, dash_found *file, sx_error *err)
{
    sx_str kept = sx_arena_copy(s->arena, uid);
    sx_map_entry *e = kept.data ? sx_map_put(&s->owners, kept, NULL) : NULL;
    if (!e)
        return sx_fail_memory(err, "files of dashboards");
    e->ptr = file;
    return SX_OK;
}

/* Reads the head and makes sure of a uid that is this file's alone. */
static sx_status read_file(sync *s, dash_found *file, sx_str text, dash_head *head, sx_error *err)
{
    char made[DASH_UID_MADE + 1];
    sx_error why = {0};
    sx_status status = dash_head_read(text, &s->scratch, head, &why);
    if (status != SX_OK)
        return sx_fail(err, status, "%s; mend the file, it is read again when it changes",
                       why.message);
    if (!head->uid.len) {
        sx_str seed =
            sx_arena_printf(&s->scratch, "%.*s %.*s", SX_ARG(s->p->name), SX_ARG(file->name));
        dash_uid_of(seed, made);
        head->uid = sx_arena_copy(&s->scratch, sx_str_z(made));
        if (!seed.data || !head->uid.data)
            return sx_fail_memory(err, "a dashboard");
    }
    sx_str taken = taken_by(s, head->uid, file->name);
    if (taken.len)
        return sx_fail(err, SX_EEXIST,
                       "its uid \"%.*s\" is that of %.*s; give each file a uid of its own",
                       SX_ARG(head->uid), SX_ARG(taken));
    return own(s, head->uid, file, err);
}

/* A file's text into the store, unless it is there. */
static sx_status put_text(sync *s, dash_found *file, sx_str text, sx_error *err)
{
    dash_head head;
    dash_item item;
    char sum[CHECKSUM_BYTES];
    sx_str folder;
    sx_status status = read_file(s, file, text, &head, err);
    if (status == SX_OK)
        status = find_folder(s, folder_title(s->p, file->name), &folder, err);
    if (status != SX_OK)
        return status;
    checksum(text, sum);
    const dash_item *there = dash_index_find(s->index, head.uid);
    if (there && sx_str_eq(there->provider, s->p->name) && sx_str_eq(there->file, file->name) &&
        sx_str_eq(there->checksum, sx_str_z(sum)) && sx_str_eq(there->folder, folder) &&
        there->may_update == s->p->may_update)
        return SX_OK;
    dash_save save = {.head = &head,
                      .folder = folder,
                      .overwrite = true,
                      .provider = s->p->name,
                      .file = file->name,
                      .checksum = sx_str_z(sum),
                      .may_update = s->p->may_update};
    dash_fault fault = dash_put(s->f->store, &save, &s->scratch, &item, err);
    if (fault == DASH_BROKEN)
        return err->status;
    return fault == DASH_FINE ? SX_OK
                              : sx_fail(err, SX_EINVAL, "%s", DASH_FAULT_ROWS[fault].message);
}

static void put_file(sync *s, size_t at)
{
    dash_found *file = &s->files.items[at];
    const sx_assets *built_in = s->p->assets;
    sx_buf text;
    sx_error err = {0};
    sx_buf_init(&text, 0);
    sx_status status =
        built_in
            ? SX_OK
            : sx_file_read(file->path.data, dash_store_limits(s->f->store)->bytes_max, &text, &err);
    if (status == SX_OK)
        status = put_text(s, file,
                          built_in ? sx_str_of(built_in->items[at].bytes, built_in->items[at].len)
                                   : sx_buf_view(&text),
                          &err);
    if (status != SX_OK)
        dash_tell(s->f, s->p, file->name, "%.*s: %s", SX_ARG(file->name), err.message);
    sx_buf_done(&text);
    sx_arena_reset(&s->scratch);
}

/* The built-in ones as a listing; they change with the program alone. */
static sx_status list_assets(const sx_assets *assets, dash_listing *out, sx_error *err)
{
    for (size_t i = 0; i < assets->count; i++) {
        if (!sx_arena_grow(out->arena, &out->items, &out->cap, i + 1, sizeof *out->items))
            return sx_fail_memory(err, "a listing");
        sx_str name = sx_str_from(sx_str_z(assets->items[i].path), 1);
        out->items[out->count++] = (dash_found){.name = name, .bytes = assets->items[i].len};
    }
    return SX_OK;
}

static bool is_stopped(const dash_files *f)
{
    return f->stop && atomic_load(f->stop);
}

static sx_status put_files(sync *s, sx_error *err)
{
    dash_index *index;
    for (size_t i = 0; i < s->files.count; i++)
        if (!sx_map_put(&s->names, s->files.items[i].name, NULL))
            return sx_fail_memory(err, "files of dashboards");
    sx_status status = dash_index_get(s->f->store, &index, err);
    if (status != SX_OK)
        return status;
    s->index = index;
    for (size_t i = 0; i < s->files.count && !is_stopped(s->f); i++)
        put_file(s, i);
    dash_index_unref(index);
    return is_stopped(s->f)
               ? SX_OK
               : dash_prune(s->f->store, s->p->name, s->p->keep_deleted, keeps, s, err);
}

void dash_files_sync(dash_files *f, dash_provider *p, bool all)
{
    sx_arena arena;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    sync s = {.f = f, .p = p, .arena = &arena, .files = {.arena = &arena}};
    sx_arena_init(&s.scratch, 0, 0);
    sx_map_init(&s.names, &arena);
    sx_map_init(&s.owners, &arena);
    sx_map_init(&s.folders, &arena);
    sx_status status = p->assets ? list_assets(p->assets, &s.files, &err)
                                 : dash_list(p->path, JSON_ENDS, &s.files, &err);
    uint64_t look = status == SX_OK ? dash_listing_look(&s.files) : LOOK_FAILED;
    if (look != p->seen || all) {
        dash_forget(f, p);
        p->seen = look;
        if (status == SX_OK)
            status = put_files(&s, &err);
        if (status != SX_OK) { /* what the store has of it stays: the folder may come back */
            dash_tell(f, p, p->path, "%s; see --dashboards.path and the provisioning files",
                      err.message);
            p->seen = status == SX_ENOTFOUND ? look : 0;
        }
    }
    sx_arena_done(&s.scratch);
    sx_arena_done(&arena);
}
