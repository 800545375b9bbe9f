/* files.c - dashboards that lie in files: where they are looked for, and what is wrong with them. See
 * files.h; one provider's files are taken up by files_sync.c. */
#include "observe/dashboards/files_impl.h"

#include <stdarg.h>
#include <stdio.h>

#include <sextant/file.h>
#include <sextant/hash.h>
#include <sextant/mem.h>

enum { NAMES_MAX = 20000, MESSAGE_BYTES = 1024 };

static const char *const YAML_ENDS[] = {".yaml", ".yml", NULL};

/* ---- problems ---- */

void dash_tell(dash_files *f, dash_provider *p, sx_str file, const char *fmt, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&f->lock);
    if (sx_arena_grow(&p->told, &p->problems, &p->problem_cap, p->problem_count + 1,
                      sizeof *p->problems))
        p->problems[p->problem_count++] =
            (dash_problem){.provider = p->name,
                           .file = sx_arena_copy(&p->told, file),
                           .message = sx_arena_copy(&p->told, sx_str_z(text))};
    pthread_mutex_unlock(&f->lock);
    if (f->logger)
        SX_LOG_ERROR(f->logger, NULL, "a dashboard's file is broken", sx_field_str("file", file),
                     sx_field_str("error", sx_str_z(text)));
}

void dash_forget(dash_files *f, dash_provider *p)
{
    pthread_mutex_lock(&f->lock);
    p->problems = NULL;
    p->problem_count = p->problem_cap = 0;
    sx_arena_reset(&p->told);
    pthread_mutex_unlock(&f->lock);
}

sx_status dash_files_problems(dash_files *f, sx_arena *arena, dash_problem **out, size_t *count,
                              sx_error *err)
{
    size_t n = 0, cap = 0;
    dash_problem *items = NULL;
    sx_status status = SX_OK;
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->list.count && status == SX_OK; i++)
        for (size_t k = 0; k < f->list.items[i].problem_count && status == SX_OK; k++) {
            const dash_problem *from = &f->list.items[i].problems[k];
            if (!sx_arena_grow(arena, &items, &cap, n + 1, sizeof *items)) {
                status = sx_fail_memory(err, "problems of dashboards");
                break;
            }
            items[n++] = (dash_problem){sx_arena_copy(arena, from->provider),
                                        sx_arena_copy(arena, from->file),
                                        sx_arena_copy(arena, from->message)};
        }
    pthread_mutex_unlock(&f->lock);
    *out = items;
    *count = n;
    return status;
}

/* The name of a file without its folder and ".json". */
static sx_str stem(sx_str file)
{
    size_t from = file.len;
    while (from && file.data[from - 1] != '/')
        from--;
    file = sx_str_from(file, from);
    return sx_str_ends(file, SX_STR(".json")) ? sx_str_first(file, file.len - 5) : file;
}

static bool find_problem(dash_files *f, sx_str provider, sx_str file, bool by_stem, sx_arena *arena,
                         sx_str *message)
{
    bool found = false;
    if (!f || !file.len)
        return false;
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->list.count && !found; i++) {
        const dash_provider *p = &f->list.items[i];
        for (size_t k = 0; k < p->problem_count && !found; k++) {
            found = by_stem ? sx_str_eq(stem(p->problems[k].file), file)
                            : sx_str_eq(p->name, provider) && sx_str_eq(p->problems[k].file, file);
            if (found)
                *message = sx_arena_copy(arena, p->problems[k].message);
        }
    }
    pthread_mutex_unlock(&f->lock);
    return found;
}

bool dash_files_problem(dash_files *f, sx_str provider, sx_str file, sx_arena *arena,
                        sx_str *message)
{
    return find_problem(f, provider, file, false, arena, message);
}

bool dash_files_problem_of(dash_files *f, sx_str uid, sx_arena *arena, sx_str *message)
{
    return find_problem(f, SX_STR(""), uid, true, arena, message);
}

/* ---- looking ---- */

static bool ends_with(sx_str name, const char *const *ends)
{
    for (; *ends; ends++)
        if (sx_str_ends(name, sx_str_z(*ends)))
            return true;
    return false;
}

static sx_status list_folder(sx_str path, sx_str below, int depth, const char *const *ends,
                             dash_listing *out, sx_error *err)
{
    sx_str *names;
    size_t count;
    sx_str z = sx_arena_copy(out->arena, path);
    if (!z.data)
        return sx_fail_memory(err, "a listing");
    sx_status status = sx_folder_list(z.data, NAMES_MAX, out->arena, &names, &count, err);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        sx_file_info info;
        if (names[i].data[0] == '.') /* also the folders behind a ConfigMap's links */
            continue;
        dash_found one = {
            .name = sx_arena_printf(out->arena, below.len ? "%.*s/%.*s" : "%.*s%.*s", SX_ARG(below),
                                    SX_ARG(names[i])),
            .path = sx_arena_printf(out->arena, "%.*s/%.*s", SX_ARG(path), SX_ARG(names[i]))};
        if (!one.name.data || !one.path.data)
            return sx_fail_memory(err, "a listing");
        if (sx_file_stat(one.path.data, &info, NULL) != SX_OK)
            continue; /* it has just gone */
        if (info.is_folder && depth < DASH_FILES_DEPTH_MAX)
            status = list_folder(one.path, one.name, depth + 1, ends, out, err);
        if (info.is_folder || !ends_with(names[i], ends))
            continue;
        if (out->count == DASH_FILES_MAX)
            return sx_fail(err, SX_ELIMIT, "%.*s: more than %d files", SX_ARG(path),
                           DASH_FILES_MAX);
        if (!sx_arena_grow(out->arena, &out->items, &out->cap, out->count + 1, sizeof *out->items))
            return sx_fail_memory(err, "a listing");
        one.changed_ns = info.changed_ns;
        one.bytes = info.bytes;
        one.inode = info.inode;
        out->items[out->count++] = one;
    }
    return status;
}

sx_status dash_list(sx_str path, const char *const *ends, dash_listing *out, sx_error *err)
{
    sx_file_info info;
    sx_str z = sx_arena_copy(out->arena, path);
    if (!z.data)
        return sx_fail_memory(err, "a listing");
    sx_status status = sx_file_stat(z.data, &info, err);
    if (status != SX_OK || info.is_folder)
        return status == SX_OK ? list_folder(z, SX_STR(""), 0, ends, out, err) : status;
    if (!sx_arena_grow(out->arena, &out->items, &out->cap, out->count + 1, sizeof *out->items))
        return sx_fail_memory(err, "a listing");
    out->items[out->count++] = (dash_found){z, z, info.changed_ns, info.bytes, info.inode};
    return SX_OK;
}

uint64_t dash_listing_look(const dash_listing *l)
{
    uint64_t look = 1;
    for (size_t i = 0; i < l->count; i++) {
        const dash_found *o = &l->items[i];
        uint64_t parts[] = {sx_hash(o->name, look), (uint64_t)o->changed_ns, o->bytes, o->inode};
        look = sx_hash_bytes(parts, sizeof parts, look);
    }
    return look ? look : 1;
}

/* ---- all of them ---- */

dash_provider *dash_provider_add(dash_providers *l)
{
    if (!sx_arena_grow(&l->arena, &l->items, &l->cap, l->count + 1, sizeof *l->items))
        return NULL;
    dash_provider *p = &l->items[l->count++];
    *p = (dash_provider){0};
    sx_arena_init(&p->told, 1024, 0);
    return p;
}

static void list_done(dash_providers *l)
{
    for (size_t i = 0; i < l->count; i++)
        sx_arena_done(&l->items[i].told);
    sx_arena_done(&l->arena);
}

static bool list_own(dash_files *f, dash_providers *l)
{
    dash_provider *p;
    sx_str rest = f->paths, one;
    if (f->builtin) {
        p = dash_provider_add(l);
        if (!p)
            return false;
        p->name = DASH_PROVIDER_BUILTIN;
        p->folder = SX_STR("Sextant");
        p->assets = f->builtin;
    }
    while (rest.len) {
        sx_str_cut(rest, ',', &one, &rest);
        if (!one.len)
            continue;
        p = dash_provider_add(l);
        if (!p)
            return false;
        p->name = sx_arena_printf(&l->arena, DASH_PROVIDER_PATH "%.*s", SX_ARG(one));
        p->path = one;
        p->structure = true;
        if (!p->name.data)
            return false;
    }
    return true;
}

/* Providers anew, if the provisioning files have changed or there are none yet; tells whether. The
 * first stands for the provisioning itself: its problems are those of the YAML. */
static bool list_providers(dash_files *f, bool all)
{
    sx_arena arena;
    dash_providers fresh = {0};
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    dash_listing yaml = {.arena = &arena};
    sx_status status = SX_OK;
    if (f->provisioning.len)
        status = dash_list(f->provisioning, YAML_ENDS, &yaml, &err);
    uint64_t look = status == SX_OK ? dash_listing_look(&yaml) : 2;
    if (look == f->provisioned && f->list.count && !all) {
        sx_arena_done(&arena);
        return false;
    }
    sx_arena_init(&fresh.arena, 0, 0);
    dash_provider *p = dash_provider_add(&fresh);
    if (p) {
        p->name = DASH_PROVIDER_YAML;
        if (status != SX_OK)
            dash_tell(f, p, f->provisioning, "--dashboards.provisioning: %s", err.message);
        dash_provisioning_read(f, &yaml, &fresh);
    }
    bool listed = p && list_own(f, &fresh);
    if (listed) {
        pthread_mutex_lock(&f->lock);
        dash_providers old = f->list;
        f->list = fresh;
        f->provisioned = look;
        pthread_mutex_unlock(&f->lock);
        fresh = old;
    }
    list_done(&fresh);
    sx_arena_done(&arena);
    return listed;
}

static bool is_listed(const dash_files *f, sx_str provider)
{
    for (size_t i = 0; i < f->list.count; i++)
        if (sx_str_eq(f->list.items[i].name, provider))
            return true;
    return false;
}

static bool keeps_nothing(void *ctx, sx_str file)
{
    (void)ctx;
    (void)file;
    return false;
}

/* What is of a provider that nobody names any more goes with it. */
static void drop_strangers(dash_files *f)
{
    dash_index *index;
    sx_error err = {0};
    sx_str last = {0};
    if (dash_index_get(f->store, &index, &err) != SX_OK)
        return; /* the next round of the same kind tells it */
    for (size_t i = 0; i < index->count; i++) {
        sx_str name = index->items[i].provider;
        if (!name.len || sx_str_eq(name, last) || is_listed(f, name))
            continue;
        last = name;
        if (dash_prune(f->store, name, false, keeps_nothing, NULL, &err) != SX_OK)
            dash_tell(f, &f->list.items[0], name, "%s", err.message);
    }
    dash_index_unref(index);
}

void dash_files_scan(dash_files *f, bool all)
{
    pthread_mutex_lock(&f->scan_lock);
    /* With a fault in the provisioning files it is not known whose dashboards are nobody's any more. */
    if (list_providers(f, all) && !f->list.items[0].problem_count)
        drop_strangers(f);
    for (size_t i = 1; i < f->list.count; i++)
        dash_files_sync(f, &f->list.items[i], all);
    pthread_mutex_unlock(&f->scan_lock);
}

sx_status dash_files_new(dash_store *store, const dash_files_options *options, dash_files **out,
                         sx_error *err)
{
    dash_files *f = sx_calloc(1, sizeof *f);
    if (!f)
        return sx_fail_memory(err, "files of dashboards");
    f->store = store;
    f->logger = options->logger;
    f->stop = options->stop;
    f->builtin = options->builtin;
    pthread_mutex_init(&f->scan_lock, NULL);
    pthread_mutex_init(&f->lock, NULL);
    sx_arena_init(&f->arena, 0, 0);
    sx_arena_init(&f->list.arena, 0, 0);
    f->paths = sx_arena_copy(&f->arena, options->paths);
    f->provisioning = sx_arena_copy(&f->arena, options->provisioning);
    if (!f->paths.data || !f->provisioning.data) {
        dash_files_free(f);
        return sx_fail_memory(err, "files of dashboards");
    }
    *out = f;
    return SX_OK;
}

void dash_files_free(dash_files *f)
{
    if (!f)
        return;
    list_done(&f->list);
    sx_arena_done(&f->arena);
    pthread_mutex_destroy(&f->lock);
    pthread_mutex_destroy(&f->scan_lock);
    sx_free(f);
}
