/* check_targets.c - target groups: of file discovery, and as jobs and Alertmanagers make them. */
#include <sextant/json.h>

#include "observe/check/check_internal.h"
#include "observe/config/config_internal.h"
#include "observe/scrape/target.h"

static bool ends_with(const char *path, const char *ending)
{
    sx_str p = sx_str_z(path), e = sx_str_z(ending);
    return p.len >= e.len && sx_str_ieq(sx_str_from(p, p.len - e.len), e);
}

/* What is JSON is YAML, too, but not the other way round. */
static sx_status check_json(sx_str text, const char *path, sx_error *err)
{
    sx_json r;
    sx_json_init(&r, text, NULL);
    sx_json_skip(&r);
    sx_status st = sx_json_finish(&r, err);
    return st == SX_OK ? st : sx_error_prefix(err, st, "%s", path);
}

sx_status check_read_targets(sx_str text, const char *path, sx_arena *arena,
                             const prom_target_group **groups, uint32_t *count, sx_buf *problems,
                             sx_error *err)
{
    sx_yaml_file file;
    sx_status st = ends_with(path, ".json") ? check_json(text, path, err) : SX_OK;
    if (st == SX_OK)
        st = sx_yaml_parse(text, sx_str_z(path), NULL, arena, &file, err);
    if (st != SX_OK)
        return st;
    bind b = {.arena = arena, .problems = problems};
    const void *items = NULL;
    *count = 0;
    if (file.count && !sx_yaml_is_null(file.documents[0]))
        st = bind_read_structs(&b, &CONFIG_TARGET_GROUP, file.documents[0], &items, count,
                               "nil target group item found");
    *groups = (const prom_target_group *)items;
    if (b.no_memory || st == SX_ENOMEM)
        return sx_fail_memory(err, "target groups");
    if (b.faults == 0)
        return SX_OK;
    *err = b.first;
    return SX_EFORMAT;
}

sx_status check_targets(checker *c, sx_str text, sx_error *err)
{
    const prom_target_group *groups = NULL;
    uint32_t count = 0, targets = 0;
    sx_arena arena;
    sx_buf problems;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&problems, 0);
    sx_status st = check_read_targets(text, c->path, &arena, &groups, &count, &problems, err);
    for (uint32_t i = 0; st == SX_OK && i < count; i++)
        targets += groups[i].target_count;
    if (st == SX_OK)
        check_say(c, CHECK_GOOD, "%u targets in %u groups found", targets, count);
    else if (st != SX_ENOMEM)
        check_say_faults(c, &problems, err);
    sx_buf_done(&problems);
    sx_arena_done(&arena);
    return st == SX_ENOMEM ? st : SX_OK;
}

bool check_job_targets(checker *c, const prom_scrape_config *job, const prom_target_group *groups,
                       uint32_t count, uint32_t line)
{
    target_scratch scratch;
    target_made made;
    sx_arena arena;
    sx_error err;
    bool good = true;
    target_scratch_init(&scratch);
    sx_arena_init(&arena, 0, 0);
    for (uint32_t g = 0; g < count && good; g++) {
        for (uint32_t i = 0; i < groups[g].target_count && good; i++) {
            sx_arena_reset(&arena);
            good = target_make(job, groups[g].targets[i], groups[g].labels, &scratch, &arena, &made,
                               &err) == SX_OK;
            if (!good)
                check_say(c, CHECK_FAULT, "%s:%u: instance %u in group: %s", c->path, line, i,
                          err.message);
        }
    }
    sx_arena_done(&arena);
    target_scratch_done(&scratch);
    return good;
}

/* An Alertmanager's address after its relabelling must be one, too. */
static sx_status check_alertmanager(const prom_alertmanager_config *am, sx_str address,
                                    tsdb_labels group, tsdb_labels_builder *b, sx_arena *arena,
                                    sx_error *err)
{
    const tsdb_label own[] = {{SX_STR("__address__"), address},
                              {SX_STR("__scheme__"), am->scheme},
                              {SX_STR("__alerts_path__"), SX_STR("/api/v2/alerts")}};
    bool keep = true;
    sx_status st = tsdb_labels_builder_reset(b, group, err);
    for (size_t i = 0; i < SX_COUNT_OF(own) && st == SX_OK; i++)
        st = tsdb_labels_builder_set(b, own[i].name, own[i].value, err);
    if (st == SX_OK)
        st = prom_relabel_apply(am->relabel, am->relabel_count, b, arena, &keep, err);
    if (st != SX_OK || !keep)
        return st;
    sx_str made = tsdb_labels_builder_get(b, SX_STR("__address__"));
    if (!made.len)
        return sx_fail(err, SX_EINVAL, "no address");
    if (sx_str_find_byte(made, '/') < made.len)
        return sx_fail(err, SX_EINVAL, "\"%.*s\" is not a valid hostname", SX_ARG(made));
    return SX_OK;
}

bool check_alertmanager_targets(checker *c, const prom_alertmanager_config *am,
                                const prom_target_group *groups, uint32_t count, uint32_t line)
{
    tsdb_labels_builder b;
    sx_arena arena;
    sx_error err;
    bool good = true;
    tsdb_labels_builder_init(&b);
    sx_arena_init(&arena, 0, 0);
    for (uint32_t g = 0; g < count && good; g++) {
        for (uint32_t i = 0; i < groups[g].target_count && good; i++) {
            sx_arena_reset(&arena);
            good = check_alertmanager(am, groups[g].targets[i], groups[g].labels, &b, &arena,
                                      &err) == SX_OK;
            if (!good)
                check_say(c, CHECK_FAULT, "%s:%u: %s", c->path, line, err.message);
        }
    }
    sx_arena_done(&arena);
    tsdb_labels_builder_done(&b);
    return good;
}
