/* config.c - prometheus.yml: read, checked, printed, counted.
 *
 * The tables of the parts are in config_*.c. What Prometheus's `tracing` and `runtime` say has no
 * meaning here: the first is refused with a word about the settings that do it, the second taken. */
#include "observe/config/config.h"

#include <glob.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "observe/config/config_internal.h"
#include "observe/promql/parse.h"

enum { FILE_BYTES_MAX = 16 << 20, FILES_MAX = 10000 };

#define P(member) offsetof(prom_config, member)

/* --- alerting */

static void default_alertmanager(void *target)
{
    prom_alertmanager_config *a = target;
    a->timeout_ms = 10 * 1000;
    a->scheme = SX_STR("http");
}

static sx_status check_alertmanager(bind *b, const sx_yaml_node *map, void *target)
{
    prom_alertmanager_config *a = target;
    sx_status st = config_rules(b, sx_yaml_get(map, SX_STR("relabel_configs")),
                                "empty or null Alertmanager target relabeling rule", false,
                                &a->relabel, &a->relabel_count);
    if (st == SX_OK)
        st = config_rules(b, sx_yaml_get(map, SX_STR("alert_relabel_configs")),
                          "empty or null Alertmanager alert relabeling rule", false,
                          &a->alert_relabel, &a->alert_relabel_count);
    return st == SX_OK ? config_discoveries(b, map, &a->discoveries, &a->discovery_count) : st;
}

static sx_status read_api_version(bind *b, const sx_yaml_node *value, void *target,
                                  const bind_field *f)
{
    sx_str text;
    sx_status st = bind_text(b, value, &text);
    (void)target, (void)f;
    if (st == SX_OK && !sx_str_eq(text, SX_STR("v2")))
        return bind_fault(b, value,
                          "expected Alertmanager api version to be one of [v2] but got %.*s",
                          SX_ARG(text));
    return st;
}

static void print_api_version(sx_buf *out, int indent, const void *target, const bind_field *f)
{
    (void)target;
    sx_buf_printf(out, "%*s%s: v2\n", indent, "", f->key);
}

static const bind_field ALERTMANAGER_FIELDS[] = {
    {.key = "",
     .kind = BIND_INLINE,
     .at = offsetof(prom_alertmanager_config, http),
     .table = &CONFIG_HTTP},
    {.key = "sigv4", .kind = BIND_REFUSED, .note = "use authorization or oauth2"},
    {.key = "scheme", .kind = BIND_STR, .at = offsetof(prom_alertmanager_config, scheme)},
    {.key = "path_prefix", .kind = BIND_STR, .at = offsetof(prom_alertmanager_config, path_prefix)},
    {.key = "timeout", .kind = BIND_MS, .at = offsetof(prom_alertmanager_config, timeout_ms)},
    {.key = "api_version",
     .kind = BIND_CUSTOM,
     .read = read_api_version,
     .print = print_api_version},
    {.key = "relabel_configs", .kind = BIND_NOTHING},
    {.key = "alert_relabel_configs", .kind = BIND_NOTHING},
    CONFIG_DISCOVERY_ROWS,
    {0}};
static const bind_table ALERTMANAGER = {.fields = ALERTMANAGER_FIELDS,
                                        .size = sizeof(prom_alertmanager_config),
                                        .defaults = default_alertmanager,
                                        .check = check_alertmanager};

static sx_status read_alert_rules(bind *b, const sx_yaml_node *value, void *target,
                                  const bind_field *f)
{
    prom_config *c = target;
    (void)f;
    return config_rules(b, value, "empty or null alert relabeling rule", false, &c->alert_relabel,
                        &c->alert_relabel_count);
}

static const bind_field ALERTING_FIELDS[] = {
    {.key = "alert_relabel_configs", .kind = BIND_CUSTOM, .read = read_alert_rules},
    {.key = "alertmanagers",
     .kind = BIND_STRUCTS,
     .flags = BIND_NO_NULLS,
     .at = P(alertmanagers),
     .count_at = P(alertmanager_count),
     .table = &ALERTMANAGER,
     .note = "empty or null Alertmanager section"},
    {0}};
static const bind_table ALERTING = {.fields = ALERTING_FIELDS};

/* --- storage */

/* Ours: { match: '{job="debug"}', keep: 2d } */
typedef struct retention_rule {
    sx_str match;
    int64_t keep_ms;
} retention_rule;

static const bind_field RETENTION_RULE_FIELDS[] = {
    {.key = "match", .kind = BIND_STR, .at = offsetof(retention_rule, match)},
    {.key = "keep", .kind = BIND_MS, .at = offsetof(retention_rule, keep_ms)},
    {0}};
static const bind_table RETENTION_RULE = {.fields = RETENTION_RULE_FIELDS,
                                          .size = sizeof(retention_rule)};

static sx_status read_retention_rules(bind *b, const sx_yaml_node *value, void *target,
                                      const bind_field *f)
{
    prom_config *c = target;
    const void *items = NULL;
    uint32_t count = 0;
    (void)f;
    sx_status st = bind_read_structs(b, &RETENTION_RULE, value, &items, &count,
                                     "empty or null retention rule");
    if (st != SX_OK)
        return st;
    struct prom_retention_rule *rules = sx_arena_calloc(b->arena, count ? count : 1, sizeof *rules);
    if (!rules) {
        b->no_memory = true;
        return SX_ENOMEM;
    }
    c->storage.rules = rules;
    for (uint32_t i = 0; i < count; i++) {
        const retention_rule *r = (const retention_rule *)items + i;
        promql_parsed parsed;
        sx_error err;
        st = promql_parse_selector(r->match, b->arena, &parsed, &err);
        if (st == SX_ENOMEM)
            return st;
        if (st != SX_OK) {
            bind_fault(b, value->items[i], "match: %s", err.message);
            continue;
        }
        if (r->keep_ms <= 0)
            bind_fault(b, value->items[i], "keep must say for how long: keep: 30d");
        rules[i].matchers = parsed.expr->selector.matchers;
        rules[i].matcher_count = parsed.expr->selector.matcher_count;
        rules[i].keep_ms = r->keep_ms;
        c->storage.rule_count = i + 1;
    }
    return SX_OK;
}

static const bind_field RETENTION_FIELDS[] = {
    {.key = "time", .kind = BIND_MS, .at = P(storage.retention_ms)},
    {.key = "size", .kind = BIND_BYTES, .at = P(storage.retention_bytes)},
    {.key = "percentage", .kind = BIND_DOUBLE, .at = P(storage.retention_percent)},
    {.key = "rules", .kind = BIND_CUSTOM, .read = read_retention_rules},
    {0}};
static const bind_table RETENTION = {.fields = RETENTION_FIELDS};

static sx_status read_floats(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    sx_str text;
    sx_status st = bind_text(b, value, &text);
    (void)f;
    if (st != SX_OK)
        return st;
    bool xor2 = sx_str_eq(text, SX_STR("xor2"));
    if (!xor2 && !sx_str_eq(text, SX_STR("xor")) && text.len)
        return bind_fault(b, value,
                          "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the "
                          "field must be omitted entirely, got \"%.*s\"",
                          SX_ARG(text));
    ((prom_config *)target)->storage.xor2 = xor2;
    return SX_OK;
}

static void print_floats(sx_buf *out, int indent, const void *target, const bind_field *f)
{
    if (((const prom_config *)target)->storage.xor2)
        sx_buf_printf(out, "%*s%s: xor2\n", indent, "", f->key);
}

static const bind_field ENCODING_FIELDS[] = {
    {.key = "floats", .kind = BIND_CUSTOM, .read = read_floats, .print = print_floats}, {0}};
static const bind_table ENCODING = {.fields = ENCODING_FIELDS};

/* "Not said" differs from "0s", which turns late samples away as Prometheus does. */
static void print_window(sx_buf *out, int indent, const void *target, const bind_field *f)
{
    char text[64];
    const prom_config *c = target;
    if (c->storage.out_of_order_ms < 0)
        return;
    promql_print_duration(c->storage.out_of_order_ms, text);
    sx_buf_printf(out, "%*s%s: %s\n", indent, "", f->key, text);
}

static sx_status read_window(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    bind_field ms = {.key = f->key, .kind = BIND_MS, .at = P(storage.out_of_order_ms)};
    return bind_read_field(b, &ms, value, target);
}

static const bind_field TSDB_FIELDS[] = {
    {.key = "out_of_order_time_window",
     .kind = BIND_CUSTOM,
     .read = read_window,
     .print = print_window},
    {.key = "stale_series_compaction_threshold",
     .kind = BIND_REFUSED,
     .note = "leave it out: series leave memory with the block that holds their last sample"},
    {.key = "chunk_encoding", .kind = BIND_STRUCT, .table = &ENCODING},
    {.key = "retention", .kind = BIND_STRUCT, .table = &RETENTION},
    {0}};
static const bind_table TSDB = {.fields = TSDB_FIELDS};

static const bind_field EXEMPLAR_FIELDS[] = {
    {.key = "max_exemplars", .kind = BIND_U32, .at = P(exemplars_max)}, {0}};
static const bind_table EXEMPLARS = {.fields = EXEMPLAR_FIELDS};

static const bind_field STORAGE_FIELDS[] = {
    {.key = "tsdb", .kind = BIND_STRUCT, .table = &TSDB},
    {.key = "exemplars", .kind = BIND_STRUCT, .table = &EXEMPLARS},
    {0}};

static sx_status check_storage(bind *b, const sx_yaml_node *map, void *target)
{
    const prom_config *c = target;
    if (c->storage.retention_percent < 0 || c->storage.retention_percent > 100)
        return bind_fault(b, map,
                          "'storage.tsdb.retention.percentage' must be in the range [0, 100], got "
                          "%g",
                          c->storage.retention_percent);
    return SX_OK;
}

static const bind_table STORAGE = {.fields = STORAGE_FIELDS, .check = check_storage};

/* --- The file. `global` is read before all else; jobs after it. */

static sx_status read_scrapes(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    prom_config *c = target;
    (void)f;
    return config_scrapes(b, value, &c->scrapes, &c->scrape_count);
}

static const bind_field RUNTIME_FIELDS[] = {{.key = "gogc", .kind = BIND_NOTHING}, {0}};
static const bind_table RUNTIME = {.fields = RUNTIME_FIELDS};

static const bind_field FILE_FIELDS[] = {
    {.key = "global", .kind = BIND_NOTHING},
    {.key = "runtime", .kind = BIND_STRUCT, .table = &RUNTIME},
    {.key = "alerting", .kind = BIND_STRUCT, .table = &ALERTING},
    {.key = "rule_files", .kind = BIND_PATHS, .at = P(rule_files), .count_at = P(rule_file_count)},
    {.key = "scrape_config_files", .kind = BIND_NOTHING},
    {.key = "scrape_configs", .kind = BIND_CUSTOM, .read = read_scrapes},
    {.key = "storage", .kind = BIND_STRUCT, .table = &STORAGE},
    {.key = "tracing",
     .kind = BIND_REFUSED,
     .note = "our own spans are sent where OTEL_EXPORTER_OTLP_ENDPOINT and the otlp.* flags say"},
    {.key = "remote_write",
     .kind = BIND_STRUCTS,
     .flags = BIND_NO_NULLS,
     .at = P(remote_writes),
     .count_at = P(remote_write_count),
     .table = &CONFIG_REMOTE_WRITE,
     .note = "empty or null remote write config section"},
    {.key = "remote_read",
     .kind = BIND_STRUCTS,
     .flags = BIND_NO_NULLS,
     .at = P(remote_reads),
     .count_at = P(remote_read_count),
     .table = &CONFIG_REMOTE_READ,
     .note = "empty or null remote read config section"},
    {.key = "otlp", .kind = BIND_STRUCT, .at = P(otlp), .table = &CONFIG_OTLP},
    {0}};

/* A star may stand in the last part of a path alone. */
static sx_status check_patterns(bind *b, const sx_yaml_node *map, const sx_str *paths,
                                uint32_t count, const char *what)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t star = sx_str_find_byte(paths[i], '*');
        if (star < paths[i].len &&
            sx_str_find_byte(sx_str_from(paths[i], star), '/') < paths[i].len - star)
            return bind_fault(b, map, "invalid %s path \"%.*s\"", what, SX_ARG(paths[i]));
    }
    return SX_OK;
}

static void check_names(bind *b, const sx_yaml_node *map, const prom_config *c)
{
    for (uint32_t i = 0; i < c->remote_write_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            sx_str name = c->remote_writes[i].name;
            if (name.len && sx_str_eq(name, c->remote_writes[k].name))
                bind_fault(b, sx_yaml_get(map, SX_STR("remote_write")),
                           "found multiple remote write configs with job name \"%.*s\"",
                           SX_ARG(name));
        }
    }
    for (uint32_t i = 0; i < c->remote_read_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            sx_str name = c->remote_reads[i].name;
            if (name.len && sx_str_eq(name, c->remote_reads[k].name))
                bind_fault(b, sx_yaml_get(map, SX_STR("remote_read")),
                           "found multiple remote read configs with job name \"%.*s\"",
                           SX_ARG(name));
        }
    }
}

static sx_status check_file(bind *b, const sx_yaml_node *map, void *target)
{
    static const char *const NOT_FOR_AGENTS[] = {"alerting", "rule_files", "remote_read"};
    const prom_config *c = target;
    const config_reader *r = b->user;
    for (size_t i = 0; r->options && r->options->agent && i < SX_COUNT_OF(NOT_FOR_AGENTS); i++) {
        const sx_yaml_node *value = sx_yaml_get(map, sx_str_z(NOT_FOR_AGENTS[i]));
        if (value && !sx_yaml_is_null(value))
            bind_fault(b, value, "field %s is not allowed in agent mode", NOT_FOR_AGENTS[i]);
    }
    check_names(b, map, c);
    return check_patterns(b, sx_yaml_get(map, SX_STR("rule_files")), c->rule_files,
                          c->rule_file_count, "rule file");
}

static const bind_table FILE_TABLE = {
    .fields = FILE_FIELDS, .size = 0, .check = check_file}; /* the config is zeroed by its maker */

/* --- scrape_config_files */

static const bind_field SCRAPE_FILE_FIELDS[] = {
    {.key = "scrape_configs", .kind = BIND_CUSTOM, .read = read_scrapes}, {0}};
static const bind_table SCRAPE_FILE = {.fields = SCRAPE_FILE_FIELDS};

static sx_status read_scrape_file(bind *b, prom_config *c, const char *path)
{
    sx_yaml_file file;
    sx_buf text;
    sx_error err;
    sx_str folder = b->folder;
    sx_buf_init(&text, FILE_BYTES_MAX);
    sx_status st = sx_file_read(path, FILE_BYTES_MAX, &text, &err);
    if (st == SX_OK)
        st = sx_yaml_parse(sx_buf_view(&text), sx_str_z(path), NULL, b->arena, &file, &err);
    sx_buf_done(&text);
    if (st == SX_ENOMEM)
        return st;
    if (st != SX_OK) {
        b->first = b->faults++ ? b->first : err;
        if (b->problems)
            sx_buf_printf(b->problems, "%s\n", err.message);
        return SX_OK;
    }
    sx_str whole = sx_str_z(path);
    size_t slash = whole.len;
    while (slash > 0 && whole.data[slash - 1] != '/')
        slash--;
    b->folder = sx_arena_copy(b->arena, sx_str_first(whole, slash ? slash - 1 : 0));
    if (file.count)
        st = bind_read(b, &SCRAPE_FILE, file.documents[0], c);
    b->folder = folder;
    return st == SX_ENOMEM ? st : SX_OK;
}

static sx_status read_scrape_files(bind *b, prom_config *c, const sx_yaml_node *top)
{
    struct {
        const sx_str *paths;
        uint32_t count;
    } patterns = {0};
    const sx_yaml_node *list = sx_yaml_get(top, SX_STR("scrape_config_files"));
    bind_field f = {.key = "scrape_config_files", .kind = BIND_PATHS, .count_at = sizeof(void *)};
    if (!list || sx_yaml_is_null(list))
        return SX_OK;
    sx_status st = bind_read_field(b, &f, list, &patterns);
    if (st == SX_OK)
        st = check_patterns(b, list, patterns.paths, patterns.count, "scrape config file");
    for (uint32_t i = 0; st == SX_OK && i < patterns.count; i++) {
        glob_t found = {0};
        sx_str path = sx_arena_copy(b->arena, patterns.paths[i]); /* with a NUL */
        if (!path.data)
            return SX_ENOMEM;
        if (glob(path.data, 0, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc && k < FILES_MAX && st == SX_OK; k++)
                st = read_scrape_file(b, c, found.gl_pathv[k]);
        }
        globfree(&found);
    }
    return st == SX_ENOMEM ? st : SX_OK;
}

/* --- Life. */

prom_config *prom_config_ref(prom_config *c)
{
    c->refs++;
    return c;
}

static void free_matchers(prom_config *c)
{
    for (uint32_t i = 0; i < c->storage.rule_count; i++) {
        for (uint32_t k = 0; k < c->storage.rules[i].matcher_count; k++)
            tsdb_matcher_done((tsdb_matcher *)&c->storage.rules[i].matchers[k]);
    }
}

void prom_config_unref(prom_config *c)
{
    if (!c || --c->refs > 0)
        return;
    for (config_rule_set *s = c->rule_sets; s; s = s->next) {
        for (uint32_t i = 0; i < s->count; i++)
            prom_relabel_done(&s->rules[i]);
    }
    free_matchers(c);
    sx_arena_done(&c->arena);
    sx_free(c);
}

static sx_status read_all(bind *b, prom_config *c, const sx_yaml_node *top, sx_error *err)
{
    config_reader *r = b->user;
    const sx_yaml_node *global = top ? sx_yaml_get(top, SX_STR("global")) : NULL;
    sx_status st = bind_read(b, &CONFIG_GLOBAL, global, r->global);
    if (st != SX_ENOMEM && !global)
        st = CONFIG_GLOBAL.check(b, top, r->global); /* completes the defaults */
    if (!r->global->extra && r->options && r->options->extra_metrics)
        r->global->extra = BIND_TRUE;
    if (st != SX_ENOMEM)
        st = bind_read(b, &FILE_TABLE, top, c);
    if (st != SX_ENOMEM && top)
        st = read_scrape_files(b, c, top);
    if (b->no_memory || st == SX_ENOMEM)
        return sx_fail_memory(err, "a configuration");
    if (b->faults == 0)
        return SX_OK;
    if (err)
        *err = b->first;
    return SX_EFORMAT;
}

static void take_global(prom_config *c, const config_global *g)
{
    c->global = g;
    c->scrape_interval_ms = g->scrape_interval_ms;
    c->scrape_timeout_ms = g->scrape_timeout_ms;
    c->evaluation_interval_ms = g->evaluation_interval_ms;
    c->rule_query_offset_ms = g->rule_query_offset_ms;
    c->external_labels = g->external_labels;
    c->query_log_file = g->query_log_file;
}

sx_status prom_config_parse(sx_str text, sx_str path, const prom_config_options *options,
                            prom_config **out, sx_buf *problems, sx_error *err)
{
    prom_config *c = sx_calloc(1, sizeof *c);
    if (!c)
        return sx_fail_memory(err, "a configuration");
    sx_arena_init(&c->arena, 0, 0);
    c->refs = 1;
    c->storage.out_of_order_ms = -1;
    c->exemplars_max = 100000;
    c->otlp.name_sanitization = c->otlp.keep_underscores = true;
    c->path = sx_arena_copy(&c->arena, path);
    c->text = sx_arena_copy(&c->arena, text);
    size_t slash = path.len;
    while (slash > 0 && path.data[slash - 1] != '/')
        slash--;
    c->folder = sx_str_first(c->path, slash > 1 ? slash - 1 : slash);
    config_global *global = sx_arena_calloc(&c->arena, 1, sizeof *global);
    sx_yaml_file file = {0};
    sx_status st = SX_OK;
    if (!global || !c->path.data || !c->text.data)
        st = sx_fail_memory(err, "a configuration");
    if (st == SX_OK)
        st = sx_yaml_parse(c->text, c->path, NULL, &c->arena, &file, err);
    if (st == SX_OK) {
        config_reader reader = {.config = c, .global = global, .options = options};
        bind b = {.arena = &c->arena, .folder = c->folder, .problems = problems, .user = &reader};
        if (options) {
            b.expand = options->expand_environment;
            b.environment = options->environment;
        }
        st = read_all(&b, c, file.count ? file.documents[0] : NULL, err);
        take_global(c, global);
    } else if (problems && err && st != SX_ENOMEM) {
        sx_buf_printf(problems, "%s\n", err->message);
    }
    if (st != SX_OK) {
        prom_config_unref(c);
        return st;
    }
    *out = c;
    return SX_OK;
}

sx_status prom_config_load(const char *path, const prom_config_options *options, prom_config **out,
                           sx_buf *problems, sx_error *err)
{
    size_t most = options && options->bytes_max ? options->bytes_max : FILE_BYTES_MAX;
    sx_error own;
    sx_buf text;
    sx_buf_init(&text, most);
    sx_status st = sx_file_read(path, most, &text, err ? err : &own);
    if (st == SX_OK)
        st = prom_config_parse(sx_buf_view(&text), sx_str_z(path), options, out, problems,
                               err ? err : &own);
    else if (problems)
        sx_buf_printf(problems, "%s\n", (err ? err : &own)->message);
    sx_buf_done(&text);
    return st;
}

/* --- Printing. */

static void print_section(const char *key, sx_buf *inner, sx_buf *out)
{
    if (inner->len) {
        sx_buf_printf(out, "%s:\n", key);
        sx_buf_str(out, sx_buf_view(inner));
    }
    out->failed |= inner->failed;
    sx_buf_clear(inner);
}

sx_status prom_config_print(const prom_config *c, sx_buf *out, sx_error *err)
{
    sx_buf inner;
    sx_buf_init(&inner, 0);
    bind_print(&CONFIG_GLOBAL, c->global, 2, &inner);
    print_section("global", &inner, out);
    config_print_rules("alert_relabel_configs", c->alert_relabel, c->alert_relabel_count, 2,
                       &inner);
    for (uint32_t i = 0; i < c->alertmanager_count; i++) {
        const prom_alertmanager_config *a = &c->alertmanagers[i];
        if (i == 0)
            sx_buf_str(&inner, SX_STR("  alertmanagers:\n"));
        size_t begin = inner.len;
        bind_print(&ALERTMANAGER, a, 4, &inner);
        config_print_rules("relabel_configs", a->relabel, a->relabel_count, 4, &inner);
        config_print_rules("alert_relabel_configs", a->alert_relabel, a->alert_relabel_count, 4,
                           &inner);
        config_print_discoveries(a->discoveries, a->discovery_count, 4, &inner);
        if (!inner.failed)
            inner.data[begin + 2] = '-';
    }
    print_section("alerting", &inner, out);
    for (uint32_t i = 0; i < c->rule_file_count; i++) {
        sx_buf_str(&inner, SX_STR("- "));
        bind_print_text(c->rule_files[i], &inner);
        sx_buf_byte(&inner, '\n');
    }
    print_section("rule_files", &inner, out);
    config_print_scrapes(c->scrapes, c->scrape_count, 0, &inner);
    print_section("scrape_configs", &inner, out);
    bind_print(&STORAGE, c, 2, &inner);
    print_section("storage", &inner, out);
    sx_buf_done(&inner);
    for (const bind_field *f = FILE_FIELDS; f->key; f++) {
        bool remote = f->at == P(remote_writes) || f->at == P(remote_reads) || f->at == P(otlp);
        bind_field one[] = {*f, {0}};
        if (remote && f->kind != BIND_NOTHING && f->kind != BIND_CUSTOM)
            bind_print(&(bind_table){.fields = one}, c, 0, out);
    }
    return sx_buf_status(out, "a configuration", err);
}

sx_status prom_secret_read(const prom_secret *s, sx_buf *out, sx_error *err)
{
    enum { SECRET_BYTES_MAX = 1 << 20 };
    sx_buf_clear(out);
    if (s->file.len == 0) {
        sx_buf_str(out, s->text);
        return sx_buf_status(out, "a secret", err);
    }
    char path[4096];
    if (s->file.len >= sizeof path)
        return sx_fail(err, SX_EINVAL, "the path of a secret's file is too long");
    memcpy(path, s->file.data, s->file.len);
    path[s->file.len] = '\0';
    sx_status st = sx_file_read(path, SECRET_BYTES_MAX, out, err);
    while (st == SX_OK && out->len &&
           (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r' ||
            out->data[out->len - 1] == ' '))
        out->len--;
    return st;
}
