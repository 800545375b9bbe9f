/* provisioning.c - Grafana's provisioning files: which folders of dashboards there are.
 *
 *     apiVersion: 1
 *     providers:
 *       - name: team
 *         folder: Team
 *         type: file
 *         disableDeletion: false
 *         allowUiUpdates: false
 *         options: {path: /var/lib/dashboards, foldersFromFilesStructure: false}
 *
 * Source: Grafana's documentation, "Provision Grafana", dashboards. What has no meaning here (orgId,
 * updateIntervalSeconds: files are looked at together) is read over; what nobody knows is a problem. */
#include "observe/dashboards/files_impl.h"

#include <sextant/file.h>
#include <sextant/yaml.h>

enum { FILE_BYTES_MAX = 1 << 20, PROVIDERS_MAX = 100 };

static const sx_str KNOWN[] = {SX_STR_INIT("name"),
                               SX_STR_INIT("orgId"),
                               SX_STR_INIT("org_id"),
                               SX_STR_INIT("folder"),
                               SX_STR_INIT("folderUid"),
                               SX_STR_INIT("type"),
                               SX_STR_INIT("disableDeletion"),
                               SX_STR_INIT("updateIntervalSeconds"),
                               SX_STR_INIT("allowUiUpdates"),
                               SX_STR_INIT("editable"),
                               SX_STR_INIT("options")};
static const sx_str KNOWN_OPTIONS[] = {SX_STR_INIT("path"),
                                       SX_STR_INIT("foldersFromFilesStructure")};

static sx_status read_bool(const sx_yaml_node *map, const char *key, bool *out, sx_error *err)
{
    const sx_yaml_node *node = sx_yaml_get(map, sx_str_z(key));
    return node && !sx_yaml_is_null(node) ? sx_yaml_bool(node, out, err) : SX_OK;
}

static sx_status read_str(const sx_yaml_node *map, const char *key, sx_arena *arena, sx_str *out,
                          sx_error *err)
{
    const sx_yaml_node *node = sx_yaml_get(map, sx_str_z(key));
    sx_str text = SX_STR("");
    sx_status status = node ? sx_yaml_str(node, &text, err) : SX_OK;
    if (status != SX_OK)
        return status;
    *out = sx_arena_copy(arena, text);
    return out->data ? SX_OK : sx_fail_memory(err, "a provider");
}

/* A path is meant from the folder of the YAML file, if it does not begin at the root. */
static sx_status anchor(sx_str yaml, sx_arena *arena, sx_str *path, sx_error *err)
{
    size_t slash = yaml.len;
    while (slash && yaml.data[slash - 1] != '/')
        slash--;
    if (path->data[0] != '/' && slash)
        *path =
            sx_arena_printf(arena, "%.*s%.*s", SX_ARG(sx_str_first(yaml, slash)), SX_ARG(*path));
    while (path->len > 1 && path->data[path->len - 1] == '/')
        path->len--;
    return path->data ? SX_OK : sx_fail_memory(err, "a provider");
}

static sx_status read_provider(const sx_yaml_node *node, sx_str yaml, dash_providers *out,
                               sx_error *err)
{
    dash_provider read = {0};
    sx_arena *a = &out->arena;
    sx_str type = {0};
    sx_status status = sx_yaml_expect(node, SX_YAML_MAPPING, err);
    if (status == SX_OK)
        status = sx_yaml_check_keys(node, KNOWN, SX_COUNT_OF(KNOWN), err);
    const sx_yaml_node *options = sx_yaml_get(node, SX_STR("options"));
    if (status == SX_OK && options)
        status = sx_yaml_check_keys(options, KNOWN_OPTIONS, SX_COUNT_OF(KNOWN_OPTIONS), err);
    if (status == SX_OK)
        status = read_str(node, "name", a, &read.name, err);
    if (status == SX_OK)
        status = read_str(node, "folder", a, &read.folder, err);
    if (status == SX_OK)
        status = read_str(node, "folderUid", a, &read.folder_uid, err);
    if (status == SX_OK)
        status = read_str(node, "type", a, &type, err);
    if (status == SX_OK && type.len && !sx_str_eq(type, SX_STR("file")))
        status = sx_yaml_fail(sx_yaml_get(node, SX_STR("type")), SX_EFORMAT, err,
                              "dashboards come from files: type: file");
    if (status == SX_OK)
        status = read_bool(node, "disableDeletion", &read.keep_deleted, err);
    if (status == SX_OK)
        status = read_bool(node, "editable", &read.may_update, err);
    if (status == SX_OK)
        status = read_bool(node, "allowUiUpdates", &read.may_update, err);
    if (status == SX_OK)
        status = read_bool(options, "foldersFromFilesStructure", &read.structure, err);
    if (status == SX_OK)
        status = read_str(options, "path", a, &read.path, err);
    if (status == SX_OK && !read.path.len)
        status =
            sx_yaml_fail(node, SX_EFORMAT, err, "options.path is missing: the folder of its files");
    if (status == SX_OK)
        status = anchor(yaml, a, &read.path, err);
    if (status != SX_OK)
        return status;
    if (!read.name.len)
        read.name = SX_STR("default");
    /* Two of one name would remove each other's dashboards at every look. */
    if (sx_str_eq(read.name, DASH_PROVIDER_BUILTIN) ||
        sx_str_starts(read.name, SX_STR(DASH_PROVIDER_PATH)))
        return sx_yaml_fail(node, SX_EFORMAT, err,
                            "the name \"%.*s\" is taken by dashboards of another origin; choose "
                            "another",
                            SX_ARG(read.name));
    for (size_t i = 0; i < out->count; i++)
        if (sx_str_eq(out->items[i].name, read.name))
            return sx_yaml_fail(node, SX_EFORMAT, err, "there is a provider \"%.*s\" already",
                                SX_ARG(read.name));
    if (out->count > PROVIDERS_MAX)
        return sx_yaml_fail(node, SX_ELIMIT, err, "more than %d providers", PROVIDERS_MAX);
    dash_provider *p = dash_provider_add(out);
    if (!p)
        return sx_fail_memory(err, "a provider");
    read.told = p->told;
    *p = read;
    return SX_OK;
}

static sx_status read_file(dash_files *f, const dash_found *file, sx_str text, sx_arena *arena,
                           dash_providers *out, sx_error *err)
{
    static const sx_str TOP[] = {SX_STR_INIT("apiVersion"), SX_STR_INIT("providers")};
    sx_yaml_file yaml;
    sx_error one = {0};
    int64_t version = 1;
    sx_status status = sx_yaml_parse(text, file->path, NULL, arena, &yaml, err);
    if (status != SX_OK || !yaml.count || sx_yaml_is_null(yaml.documents[0]))
        return status;
    const sx_yaml_node *top = yaml.documents[0];
    status = sx_yaml_check_keys(top, TOP, SX_COUNT_OF(TOP), err);
    const sx_yaml_node *node = sx_yaml_get(top, TOP[0]);
    if (status == SX_OK && node)
        status = sx_yaml_i64(node, 1, 1, &version, err);
    const sx_yaml_node *list = sx_yaml_get(top, TOP[1]);
    if (status == SX_OK && list && !sx_yaml_is_null(list))
        status = sx_yaml_expect(list, SX_YAML_SEQUENCE, err);
    else
        list = NULL;
    /* One that is wrong does not take the others with it. */
    for (uint32_t i = 0; status == SX_OK && list && i < list->count; i++)
        if (read_provider(list->items[i], file->path, out, &one) != SX_OK)
            dash_tell(f, &out->items[0], file->name, "%s", one.message);
    return status;
}

void dash_provisioning_read(dash_files *f, const dash_listing *l, dash_providers *out)
{
    for (size_t i = 0; i < l->count; i++) {
        sx_buf text;
        sx_error err = {0};
        sx_buf_init(&text, 0);
        sx_status status = sx_file_read(l->items[i].path.data, FILE_BYTES_MAX, &text, &err);
        if (status == SX_OK)
            status = read_file(f, &l->items[i], sx_buf_view(&text), l->arena, out, &err);
        if (status != SX_OK)
            dash_tell(f, &out->items[0], l->items[i].name, "%s", err.message);
        sx_buf_done(&text);
    }
}
