/* discovery_groups.c - target groups under construction, and read from JSON and YAML.
 *
 * Both texts say the same: a list of {targets, labels}, unknown keys refused, as Prometheus's files and
 * services say it. Source: Prometheus, docs/configuration, <file_sd_config>, and docs/http_sd. */
#include "observe/scrape/discovery_internal.h"

#include <stdlib.h>

#include <sextant/json.h>
#include <sextant/utf8.h>
#include <sextant/yaml.h>

#include "observe/config/bind.h"

void discovery_groups_add(discovery_groups *g, const prom_target_group *group)
{
    if (g->failed || !sx_arena_grow(g->arena, &g->items, &g->cap, g->count + 1, sizeof(*group))) {
        g->failed = true;
        return;
    }
    g->items[g->count++] = *group;
}

typedef struct numbered_label {
    tsdb_label label;
    size_t number;
} numbered_label;

static int by_name_and_number(const void *a, const void *b)
{
    const numbered_label *x = a, *y = b;
    int c = sx_str_cmp(x->label.name, y->label.name);
    return c ? c : x->number < y->number ? -1 : 1;
}

/* A set of pairs in which the last of a name counts and an empty value is none. */
static tsdb_labels make_set(sx_arena *arena, const tsdb_label *labels, size_t count, bool *failed)
{
    enum { USUAL = 200 };
    numbered_label usual[USUAL];
    numbered_label *all = count <= USUAL ? usual : sx_arena_alloc(arena, count * sizeof(*all));
    tsdb_label *out = sx_arena_alloc(arena, (count + 1) * sizeof(*out));
    uint32_t n = 0;
    if (!all || !out) {
        *failed = true;
        return (tsdb_labels){0};
    }
    for (size_t i = 0; i < count; i++)
        all[i] = (numbered_label){labels[i], i};
    qsort(all, count, sizeof(*all), by_name_and_number);
    for (size_t i = 0; i < count; i++) {
        bool is_last = i + 1 == count || !sx_str_eq(all[i].label.name, all[i + 1].label.name);
        if (is_last && all[i].label.value.len)
            out[n++] = all[i].label;
    }
    return (tsdb_labels){out, n};
}

void discovery_groups_target(discovery_groups *g, sx_str source, sx_str address, tsdb_label *labels,
                             size_t count)
{
    sx_str *target = sx_arena_alloc(g->arena, sizeof(*target));
    prom_target_group group = {.targets = target, .target_count = 1, .source = source};
    group.labels = make_set(g->arena, labels, count, &g->failed);
    g->failed |= !target || (address.len && !address.data);
    if (g->failed)
        return;
    *target = address;
    discovery_groups_add(g, &group);
}

/* Gives a group its label and its source. */
static void finish_group(discovery_groups *g, prom_target_group *group, const tsdb_label *labels,
                         size_t count, sx_str name, sx_str value)
{
    tsdb_label *all = sx_arena_calloc(g->arena, count + 1, sizeof(*all));
    group->source = sx_arena_printf(g->arena, "%.*s:%zu", SX_ARG(value), g->count);
    if (!all || !group->source.data) {
        g->failed = true;
        return;
    }
    if (count)
        memcpy(all, labels, count * sizeof(*all));
    all[count] = (tsdb_label){name, value};
    group->labels = make_set(g->arena, all, count + 1, &g->failed);
    discovery_groups_add(g, group);
}

/* ---- JSON ---- */

static bool copy_str(sx_json *r, sx_arena *arena, sx_str *out)
{
    sx_str text;
    *out = SX_STR("");
    if (sx_json_take_null(r)) /* Go leaves what it is */
        return true;
    if (!sx_json_read_str(r, &text))
        return false;
    *out = sx_arena_copy(arena, text);
    return out->data ? true : sx_json_fail(r, SX_ENOMEM, "out of memory");
}

static void read_targets(sx_json *r, sx_arena *arena, prom_target_group *group)
{
    sx_str *items = NULL, text;
    size_t cap = 0, count = 0;
    if (sx_json_take_null(r))
        return;
    for (sx_json_enter_array(r); sx_json_next_item(r);) {
        if (!copy_str(r, arena, &text))
            return;
        if (!sx_arena_grow(arena, &items, &cap, count + 1, sizeof(*items))) {
            sx_json_fail(r, SX_ENOMEM, "out of memory");
            return;
        }
        items[count++] = text;
    }
    group->targets = items;
    group->target_count = (uint32_t)count;
}

typedef struct label_list {
    tsdb_label *items;
    size_t count, cap;
} label_list;

static void read_labels(sx_json *r, sx_arena *arena, label_list *out)
{
    sx_str key;
    out->count = 0;
    if (sx_json_take_null(r))
        return;
    sx_json_enter_object(r);
    while (sx_json_next_key(r, &key)) {
        tsdb_label l = {.name = sx_arena_copy(arena, key)};
        if (key.len == 0) {
            sx_json_fail(r, SX_EFORMAT, "\"\" is not a valid label name");
            return;
        }
        if (!copy_str(r, arena, &l.value))
            return;
        if (!l.name.data ||
            !sx_arena_grow(arena, &out->items, &out->cap, out->count + 1, sizeof(l))) {
            sx_json_fail(r, SX_ENOMEM, "out of memory");
            return;
        }
        out->items[out->count++] = l;
    }
}

static void read_group(sx_json *r, sx_str name, sx_str value, discovery_groups *out)
{
    prom_target_group group = {0};
    label_list labels = {0};
    sx_str key;
    if (sx_json_peek(r) == SX_JSON_NULL) {
        sx_json_fail(r, SX_EFORMAT, "nil target group item found");
        return;
    }
    sx_json_enter_object(r);
    while (sx_json_next_key(r, &key)) {
        if (sx_str_ieq(key, SX_STR("targets")))
            read_targets(r, out->arena, &group);
        else if (sx_str_ieq(key, SX_STR("labels")))
            read_labels(r, out->arena, &labels);
        else
            sx_json_fail(r, SX_EFORMAT, "json: unknown field \"%.*s\"", SX_ARG(key));
    }
    if (sx_json_status(r, NULL) == SX_OK)
        finish_group(out, &group, labels.items, labels.count, name, value);
}

sx_status discovery_read_json(sx_arena *arena, sx_str text, sx_str name, sx_str value,
                              discovery_groups *out, sx_error *err)
{
    sx_json r;
    sx_json_init(&r, text, &(sx_json_options){.arena = arena});
    if (!sx_json_take_null(&r)) {
        for (sx_json_enter_array(&r); sx_json_next_item(&r);)
            read_group(&r, name, value, out);
    }
    sx_status st = sx_json_finish(&r, err);
    return st == SX_OK && out->failed ? sx_fail_memory(err, "target groups") : st;
}

/* ---- YAML ---- */

typedef struct yaml_group {
    prom_target_group group;
    const tsdb_label *labels;
    uint32_t label_count;
} yaml_group;

static const bind_field FIELDS[] = {{.key = "targets",
                                     .kind = BIND_STRS,
                                     .at = offsetof(yaml_group, group.targets),
                                     .count_at = offsetof(yaml_group, group.target_count)},
                                    {.key = "labels",
                                     .kind = BIND_MAP,
                                     .at = offsetof(yaml_group, labels),
                                     .count_at = offsetof(yaml_group, label_count)},
                                    {0}};

static sx_status check(bind *b, const sx_yaml_node *map, void *target)
{
    const yaml_group *g = target;
    for (uint32_t i = 0; i < g->label_count; i++) {
        if (g->labels[i].name.len == 0 || !sx_utf8_valid(g->labels[i].name))
            return bind_fault(b, map, "\"%.*s\" is not a valid label name",
                              SX_ARG(g->labels[i].name));
    }
    return SX_OK;
}

static const bind_table GROUP = {.fields = FIELDS, .size = sizeof(yaml_group), .check = check};

sx_status discovery_read_yaml(sx_arena *arena, sx_str text, sx_str name, sx_str value,
                              discovery_groups *out, sx_error *err)
{
    sx_yaml_file file;
    const void *items = NULL;
    uint32_t count = 0;
    sx_status st = sx_yaml_parse(text, value, NULL, arena, &file, err);
    if (st != SX_OK)
        return st;
    if (file.count == 0 || sx_yaml_is_null(file.documents[0]))
        return SX_OK;
    st = sx_yaml_expect(file.documents[0], SX_YAML_SEQUENCE, err);
    if (st != SX_OK)
        return st;
    bind b = {.arena = arena};
    st = bind_read_structs(&b, &GROUP, file.documents[0], &items, &count,
                           "nil target group item found");
    if (b.faults) {
        if (err)
            *err = b.first;
        return b.first.status;
    }
    if (st != SX_OK || b.no_memory)
        return sx_fail_memory(err, "target groups");
    const yaml_group *groups = items;
    for (uint32_t i = 0; i < count; i++) {
        prom_target_group group = groups[i].group;
        finish_group(out, &group, groups[i].labels, groups[i].label_count, name, value);
    }
    return out->failed ? sx_fail_memory(err, "target groups") : SX_OK;
}
