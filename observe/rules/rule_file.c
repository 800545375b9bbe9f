/* rule_file.c - rule files: read by tables, then judged as a whole.
 *
 * Reading and judging are two passes, as in Prometheus: a file whose YAML does not fit (a key that
 * nobody knows, a duration that is none) gets those faults alone; only one that fits is looked at for
 * what its rules mean. The tables therefore only note where each mapping stood in the file, and
 * judge() goes over what they made. */
#include "observe/rules/rule_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <sextant/file.h>
#include <sextant/mem.h>
#include <sextant/utf8.h>

#include "observe/config/bind.h"
#include "observe/rules/template_funcs.h"

/* What the tables fill. */
typedef struct raw_rule {
    sx_str record, alert, expr;
    int64_t for_ms, keep_firing_for_ms;
    const tsdb_label *labels, *annotations; /* in the order of the file */
    uint32_t label_count, annotation_count;
    const sx_yaml_node *node;
} raw_rule;

typedef struct raw_group {
    sx_str name;
    int64_t interval_ms, query_offset_ms;
    uint32_t limit;
    const raw_rule *rules;
    uint32_t rule_count;
    const tsdb_label *labels;
    uint32_t label_count;
    const sx_yaml_node *node;
} raw_group;

typedef struct raw_file {
    const raw_group *groups;
    uint32_t group_count;
} raw_file;

/* --- Tables. */

#define R(member) offsetof(raw_rule, member)
#define G(member) offsetof(raw_group, member)

static sx_status note_rule(bind *b, const sx_yaml_node *map, void *target)
{
    (void)b;
    ((raw_rule *)target)->node = map;
    return SX_OK;
}

static const bind_field RULE_FIELDS[] = {
    {.key = "record", .kind = BIND_STR, .at = R(record)},
    {.key = "alert", .kind = BIND_STR, .at = R(alert)},
    {.key = "expr", .kind = BIND_STR, .at = R(expr)},
    {.key = "for", .kind = BIND_MS, .at = R(for_ms)},
    {.key = "keep_firing_for", .kind = BIND_MS, .at = R(keep_firing_for_ms)},
    {.key = "labels", .kind = BIND_MAP, .at = R(labels), .count_at = R(label_count)},
    {.key = "annotations", .kind = BIND_MAP, .at = R(annotations), .count_at = R(annotation_count)},
    {0}};
static const bind_table RULE = {
    .fields = RULE_FIELDS, .size = sizeof(raw_rule), .check = note_rule};

static void default_group(void *target)
{
    ((raw_group *)target)->query_offset_ms = -1;
}

static sx_status note_group(bind *b, const sx_yaml_node *map, void *target)
{
    (void)b;
    ((raw_group *)target)->node = map;
    return SX_OK;
}

/* Prometheus takes any integer; below 1 there is no limit. */
static sx_status read_limit(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    int64_t limit;
    sx_error err;
    (void)f;
    if (sx_yaml_i64(value, INT64_MIN, INT64_MAX, &limit, &err) != SX_OK)
        return bind_fault(b, value, "expected a whole number");
    ((raw_group *)target)->limit = limit <= 0           ? 0
                                   : limit > UINT32_MAX ? UINT32_MAX
                                                        : (uint32_t)limit;
    return SX_OK;
}

static const bind_field GROUP_FIELDS[] = {
    {.key = "name", .kind = BIND_STR, .at = G(name)},
    {.key = "interval", .kind = BIND_MS, .at = G(interval_ms)},
    {.key = "query_offset", .kind = BIND_MS, .at = G(query_offset_ms)},
    {.key = "limit", .kind = BIND_CUSTOM, .read = read_limit},
    {.key = "labels", .kind = BIND_MAP, .at = G(labels), .count_at = G(label_count)},
    {.key = "rules",
     .kind = BIND_STRUCTS,
     .at = G(rules),
     .count_at = G(rule_count),
     .table = &RULE},
    {0}};
static const bind_table GROUP = {.fields = GROUP_FIELDS,
                                 .size = sizeof(raw_group),
                                 .defaults = default_group,
                                 .check = note_group};

static const bind_field FILE_FIELDS[] = {{.key = "groups",
                                          .kind = BIND_STRUCTS,
                                          .at = offsetof(raw_file, groups),
                                          .count_at = offsetof(raw_file, group_count),
                                          .table = &GROUP},
                                         {0}};
static const bind_table FILE_TABLE = {.fields = FILE_FIELDS, .size = sizeof(raw_file)};

/* --- Judging. */

typedef struct judge {
    rule_file *file;
    sx_str path;
    const rule_file_options *options;
    sx_buf *problems;
    sx_error *err; /* the first fault; never NULL */
    uint32_t faults;
    /* What is being looked at, for the words; rule 0: the group itself. */
    sx_str group, rule;
    uint32_t number;
} judge;

static void fault(judge *j, const sx_yaml_node *at, const char *fmt, ...) SX_PRINTF(3, 4);
static void fault(judge *j, const sx_yaml_node *at, const char *fmt, ...)
{
    sx_buf line;
    va_list args;
    if (++j->faults > RULE_FILE_PROBLEMS_MAX)
        return;
    sx_buf_init(&line, 0);
    sx_buf_printf(&line, "%.*s:%u:%u: ", SX_ARG(j->path), at ? at->line : 1, at ? at->column : 1);
    if (j->number) {
        sx_buf_str(&line, SX_STR("group "));
        tsdb_quote(j->group, &line);
        sx_buf_printf(&line, ", rule %u, ", j->number);
        tsdb_quote(j->rule, &line);
        sx_buf_str(&line, SX_STR(": "));
    }
    va_start(args, fmt);
    sx_buf_vprintf(&line, fmt, args);
    va_end(args);
    if (j->faults == 1)
        sx_fail(j->err, SX_EFORMAT, "%.*s", SX_ARG(sx_buf_view(&line)));
    sx_buf_byte(&line, '\n');
    if (j->problems)
        sx_buf_str(j->problems, sx_buf_view(&line));
    sx_buf_done(&line);
}

/* The value of a key, or what stands for it in a message when it is not there. */
static const sx_yaml_node *value_of(const sx_yaml_node *map, const char *key)
{
    const sx_yaml_node *value = sx_yaml_get(map, sx_str_z(key));
    return value ? value : map;
}

/* The value of a label; its line is the label's. */
static const sx_yaml_node *label_of(const sx_yaml_node *map, const char *key, sx_str name)
{
    const sx_yaml_node *labels = value_of(map, key);
    const sx_yaml_node *value = sx_yaml_get(labels, name);
    return value ? value : labels;
}

static bool valid_label_name(const judge *j, sx_str name)
{
    if (j->options->legacy_names)
        return tsdb_label_name_is_legacy(name);
    return name.len && sx_utf8_valid(name);
}

static bool valid_metric_name(const judge *j, sx_str name)
{
    if (j->options->legacy_names)
        return tsdb_metric_name_is_legacy(name);
    return name.len && sx_utf8_valid(name);
}

static void judge_labels(judge *j, const sx_yaml_node *map, const char *key,
                         const tsdb_label *labels, uint32_t count)
{
    bool annotations = key[0] == 'a';
    for (uint32_t i = 0; i < count; i++) {
        sx_str name = labels[i].name;
        bool bad = !valid_label_name(j, name);
        if (bad || (!annotations && sx_str_eq(name, TSDB_METRIC_NAME)))
            fault(j, label_of(map, key, name), "invalid %s name: %.*s",
                  annotations ? "annotation" : "label", SX_ARG(name));
        if (!annotations && !sx_utf8_valid(labels[i].value))
            fault(j, label_of(map, key, name), "invalid label value: %.*s",
                  SX_ARG(labels[i].value));
    }
}

static sx_status judge_templates(judge *j, const raw_rule *r, const char *key,
                                 const tsdb_label *labels, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        sx_template *t = NULL;
        sx_error err;
        sx_status st = rule_template_new(r->alert, labels[i].value, &t, &err);
        if (st == SX_ENOMEM) {
            *j->err = err;
            return st;
        }
        sx_template_free(t);
        if (st == SX_OK)
            continue;
        sx_buf name;
        sx_buf_init(&name, 0);
        tsdb_quote(labels[i].name, &name);
        fault(j, label_of(r->node, key, labels[i].name), "%.*s %.*s: %s", (int)strlen(key) - 1, key,
              SX_ARG(sx_buf_view(&name)), err.message);
        sx_buf_done(&name);
    }
    return SX_OK;
}

static sx_status judge_expr(judge *j, const raw_rule *r, rule_def *def)
{
    const sx_yaml_node *at = value_of(r->node, "expr");
    promql_parse_options options = {.features = j->options->features};
    sx_error err;
    def->expr_line = at->line;
    def->expr_column = at->column;
    if (r->expr.len == 0) {
        fault(j, at, "field 'expr' must be set in rule");
        return SX_OK;
    }
    sx_status st = promql_parse(r->expr, &options, &j->file->arena, &def->expr, &err);
    if (st == SX_ENOMEM)
        *j->err = err;
    else if (st != SX_OK)
        fault(j, at, "could not parse expression: %s", err.message);
    return st == SX_ENOMEM ? st : SX_OK;
}

static void judge_recording(judge *j, const raw_rule *r)
{
    const sx_yaml_node *at = value_of(r->node, "record");
    if (r->annotation_count)
        fault(j, at, "invalid field 'annotations' in recording rule");
    if (r->for_ms)
        fault(j, at, "invalid field 'for' in recording rule");
    if (r->keep_firing_for_ms)
        fault(j, at, "invalid field 'keep_firing_for' in recording rule");
    if (!valid_metric_name(j, r->record))
        fault(j, at, "invalid recording rule name: %.*s", SX_ARG(r->record));
    if (sx_str_find_byte(r->record, '{') < r->record.len ||
        sx_str_find_byte(r->record, '}') < r->record.len)
        fault(j, at, "braces present in the recording rule name; should it be in expr?: %.*s",
              SX_ARG(r->record));
}

static int compare_names(const void *a, const void *b)
{
    return sx_str_cmp(((const tsdb_label *)a)->name, ((const tsdb_label *)b)->name);
}

/* `first` with `second` over it, sorted, empty values kept. */
static sx_status merge_labels(judge *j, const tsdb_label *first, uint32_t first_count,
                              const tsdb_label *second, uint32_t second_count, tsdb_labels *out)
{
    tsdb_label *items =
        sx_arena_calloc(&j->file->arena, (size_t)first_count + second_count + 1, sizeof *items);
    if (!items)
        return sx_fail_memory(j->err, "the labels of a rule");
    uint32_t count = 0;
    for (uint32_t i = 0; i < second_count; i++)
        items[count++] = second[i];
    for (uint32_t i = 0; i < first_count; i++) {
        bool replaced = false;
        for (uint32_t k = 0; k < second_count && !replaced; k++)
            replaced = sx_str_eq(first[i].name, second[k].name);
        if (!replaced)
            items[count++] = first[i];
    }
    qsort(items, count, sizeof *items, compare_names);
    *out = (tsdb_labels){items, count};
    return SX_OK;
}

static sx_status judge_rule(judge *j, const raw_group *g, const raw_rule *r, rule_def *def)
{
    def->alert = r->alert.len > 0;
    def->name = j->rule = def->alert ? r->alert : r->record;
    def->expr_text = r->expr;
    def->for_ms = r->for_ms;
    def->keep_firing_for_ms = r->keep_firing_for_ms;
    def->line = r->node ? r->node->line : 1;
    def->column = r->node ? r->node->column : 1;
    if (r->record.len && r->alert.len)
        fault(j, value_of(r->node, "record"), "only one of 'record' and 'alert' must be set");
    if (!r->record.len && !r->alert.len)
        fault(j, r->node, "one of 'record' or 'alert' must be set");
    sx_status st = judge_expr(j, r, def);
    if (st != SX_OK)
        return st;
    if (r->record.len)
        judge_recording(j, r);
    judge_labels(j, r->node, "labels", r->labels, r->label_count);
    judge_labels(j, r->node, "annotations", r->annotations, r->annotation_count);
    if (r->alert.len) {
        st = judge_templates(j, r, "labels", r->labels, r->label_count);
        if (st == SX_OK)
            st = judge_templates(j, r, "annotations", r->annotations, r->annotation_count);
    }
    if (st == SX_OK)
        st = merge_labels(j, g->labels, g->label_count, r->labels, r->label_count, &def->labels);
    if (st == SX_OK)
        st = merge_labels(j, NULL, 0, r->annotations, r->annotation_count, &def->annotations);
    return st;
}

static sx_status judge_group(judge *j, const raw_group *g, rule_group_def *def)
{
    j->number = 0;
    j->group = g->name;
    def->file = j->path;
    def->name = g->name;
    def->interval_ms = g->interval_ms;
    def->query_offset_ms = g->query_offset_ms;
    def->limit = g->limit;
    def->line = g->node ? g->node->line : 1;
    def->column = g->node ? g->node->column : 1;
    if (g->name.len == 0)
        fault(j, g->node, "Groupname must not be empty");
    for (const rule_group_def *other = j->file->groups; other < def; other++) {
        if (sx_str_eq(other->name, g->name)) {
            fault(j, value_of(g->node, "name"), "groupname: \"%.*s\" is repeated in the same file",
                  SX_ARG(g->name));
            break;
        }
    }
    judge_labels(j, g->node, "labels", g->labels, g->label_count);
    sx_status st = merge_labels(j, NULL, 0, g->labels, g->label_count, &def->labels);
    def->rules = sx_arena_calloc(&j->file->arena, (size_t)g->rule_count + 1, sizeof *def->rules);
    if (!def->rules)
        return sx_fail_memory(j->err, "a group of rules");
    for (uint32_t i = 0; st == SX_OK && i < g->rule_count; i++) {
        j->number = i + 1;
        def->rule_count = i + 1; /* before, so that what was parsed is freed after an error */
        st = judge_rule(j, g, &g->rules[i], &def->rules[i]);
        j->file->rule_count++;
    }
    return st;
}

static sx_status judge_file(judge *j, const raw_file *raw)
{
    rule_file *f = j->file;
    f->groups = sx_arena_calloc(&f->arena, (size_t)raw->group_count + 1, sizeof *f->groups);
    if (!f->groups)
        return sx_fail_memory(j->err, "groups of rules");
    for (uint32_t i = 0; i < raw->group_count; i++) {
        f->group_count = i + 1;
        sx_status st = judge_group(j, &raw->groups[i], &f->groups[i]);
        if (st != SX_OK)
            return st;
    }
    return j->faults ? SX_EFORMAT : SX_OK;
}

/* --- A file. */

/* Unknown fields are left out of the tree's judgement where the caller wants them ignored: bind has no
 * such mode, so they are taken out of the mapping before it looks. */
static void drop_unknown(sx_yaml_node *map, const bind_table *t)
{
    uint32_t kept = 0;
    if (!map || map->kind != SX_YAML_MAPPING)
        return;
    for (uint32_t i = 0; i < map->count; i++) {
        for (const bind_field *f = t->fields; f->key; f++) {
            if (!sx_str_eq(map->pairs[i].key->scalar, sx_str_z(f->key)))
                continue;
            sx_yaml_node *value = map->pairs[i].value;
            if (f->kind == BIND_STRUCTS && value->kind == SX_YAML_SEQUENCE) {
                for (uint32_t k = 0; k < value->count; k++)
                    drop_unknown(value->items[k], f->table);
            }
            map->pairs[kept++] = map->pairs[i];
            break;
        }
    }
    map->count = kept;
    map->sorted = NULL;
}

static sx_status read_tree(judge *j, sx_str text, raw_file *raw)
{
    sx_yaml_file tree = {0};
    rule_file *f = j->file;
    sx_status st = sx_yaml_parse(text, j->path, NULL, &f->arena, &tree, j->err);
    if (st != SX_OK) {
        if (st != SX_ENOMEM && j->problems)
            sx_buf_printf(j->problems, "%s\n", j->err->message);
        return st;
    }
    bind b = {.arena = &f->arena,
              .problems = j->problems,
              .expand = j->options->expand_environment,
              .environment = j->options->environment};
    f->documents = (uint32_t)tree.count;
    if (tree.count && j->options->ignore_unknown_fields)
        drop_unknown(tree.documents[0], &FILE_TABLE);
    st = bind_read(&b, &FILE_TABLE, tree.count ? tree.documents[0] : NULL, raw);
    if (st == SX_ENOMEM || b.no_memory)
        return sx_fail_memory(j->err, "a rule file");
    if (b.faults) {
        *j->err = b.first;
        return SX_EFORMAT;
    }
    return SX_OK;
}

sx_status rule_file_parse(sx_str text, sx_str path, const rule_file_options *options,
                          rule_file **out, sx_buf *problems, sx_error *err)
{
    static const rule_file_options NONE = {0};
    sx_error own;
    raw_file raw = {0};
    *out = NULL;
    rule_file *f = sx_calloc(1, sizeof *f);
    if (!f)
        return sx_fail_memory(err, "a rule file");
    sx_arena_init(&f->arena, 0, 0);
    judge j = {.file = f,
               .path = sx_arena_copy(&f->arena, path),
               .options = options ? options : &NONE,
               .problems = problems,
               .err = err ? err : &own};
    sx_status st = j.path.data ? SX_OK : sx_fail_memory(err, "a rule file");
    if (st == SX_OK)
        st = read_tree(&j, text, &raw);
    if (st == SX_OK)
        st = judge_file(&j, &raw);
    if (st != SX_OK) {
        rule_file_free(f);
        return st;
    }
    *out = f;
    return SX_OK;
}

sx_status rule_file_load(const char *path, const rule_file_options *options, rule_file **out,
                         sx_buf *problems, sx_error *err)
{
    sx_error own;
    sx_buf text;
    *out = NULL;
    sx_buf_init(&text, RULE_FILE_BYTES_MAX);
    sx_status st = sx_file_read(path, RULE_FILE_BYTES_MAX, &text, err ? err : &own);
    if (st == SX_OK)
        st = rule_file_parse(sx_buf_view(&text), sx_str_z(path), options, out, problems, err);
    else if (problems && st != SX_ENOMEM)
        sx_buf_printf(problems, "%s\n", (err ? err : &own)->message);
    sx_buf_done(&text);
    return st;
}

void rule_file_free(rule_file *f)
{
    if (!f)
        return;
    for (uint32_t g = 0; g < f->group_count; g++) {
        for (uint32_t i = 0; i < f->groups[g].rule_count; i++)
            promql_parsed_done(&f->groups[g].rules[i].expr);
    }
    sx_arena_done(&f->arena);
    sx_free(f);
}

/* --- Lint. */

static int compare_rules(const void *a, const void *b)
{
    const rule_def *x = *(const rule_def *const *)a, *y = *(const rule_def *const *)b;
    int by_name = sx_str_cmp(x->name, y->name);
    return by_name ? by_name : tsdb_labels_compare(x->labels, y->labels);
}

size_t rule_file_lint(const rule_file *f, sx_buf *problems)
{
    size_t count = 0, found = 0;
    sx_buf report;
    if (f->rule_count < 2)
        return 0;
    const rule_def **all = sx_calloc(f->rule_count, sizeof *all);
    if (!all)
        return 0;
    for (uint32_t g = 0; g < f->group_count; g++) {
        for (uint32_t i = 0; i < f->groups[g].rule_count; i++)
            all[count++] = &f->groups[g].rules[i];
    }
    qsort(all, count, sizeof *all, compare_rules);
    sx_buf_init(&report, 0);
    for (size_t i = 1; i < count; i++) {
        bool same = compare_rules(&all[i - 1], &all[i]) == 0;
        if (!same || (i > 1 && compare_rules(&all[i - 2], &all[i]) == 0)) /* told once */
            continue;
        found++;
        sx_buf_printf(&report, "Metric: %.*s\nLabel(s):\n", SX_ARG(all[i]->name));
        for (uint32_t k = 0; k < all[i]->labels.count; k++)
            sx_buf_printf(&report, "\t%.*s: %.*s\n", SX_ARG(all[i]->labels.items[k].name),
                          SX_ARG(all[i]->labels.items[k].value));
    }
    if (found && problems) {
        sx_buf_printf(problems, "%zu duplicate rule(s) found.\n", found);
        sx_buf_str(problems, sx_buf_view(&report));
        sx_buf_str(problems, SX_STR("Might cause inconsistency while recording expressions\n"));
    }
    sx_buf_done(&report);
    sx_free(all);
    return found;
}
