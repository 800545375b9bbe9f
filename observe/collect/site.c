/* site.c - settings of the collectors: the file by a table, the flags, and their life. */
#include "observe/collect/site.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "observe/config/bind.h"

enum { FILE_BYTES_MAX = 1 << 20 };

typedef struct process_settings {
    const process_rule *rules;
    uint32_t count;
    bool threads, children, smaps;
} process_settings;

typedef struct file_settings {
    process_settings process;
    const collect_target *redis, *postgres;
    uint32_t redis_count, postgres_count;
} file_settings;

#define AT(type, field) offsetof(type, field)

static const bind_field RULE_FIELDS[] = {
    {.key = "name", .kind = BIND_STR, .at = AT(process_rule, name)},
    {.key = "comm",
     .kind = BIND_STRS,
     .at = AT(process_rule, comm),
     .count_at = AT(process_rule, comm_count)},
    {.key = "exe",
     .kind = BIND_STRS,
     .at = AT(process_rule, exe),
     .count_at = AT(process_rule, exe_count)},
    {.key = "cmdline",
     .kind = BIND_STRS,
     .at = AT(process_rule, cmdline),
     .count_at = AT(process_rule, cmdline_count)},
    {0}};

static sx_status check_rule(bind *b, const sx_yaml_node *map, void *target)
{
    const process_rule *rule = target;
    if (!rule->comm_count && !rule->exe_count && !rule->cmdline_count)
        return bind_fault(b, map, "a group needs comm, exe or cmdline: which processes are its");
    return SX_OK;
}

static const bind_table RULE = {RULE_FIELDS, sizeof(process_rule), NULL, check_rule, NULL};

static void process_defaults(void *target)
{
    *(process_settings *)target = (process_settings){.children = true, .smaps = true};
}

static const bind_field PROCESS_FIELDS[] = {
    {.key = "process_names",
     .kind = BIND_STRUCTS,
     .at = AT(process_settings, rules),
     .count_at = AT(process_settings, count),
     .table = &RULE},
    {.key = "threads", .kind = BIND_BOOL, .at = AT(process_settings, threads)},
    {.key = "children", .kind = BIND_BOOL, .at = AT(process_settings, children)},
    {.key = "smaps", .kind = BIND_BOOL, .at = AT(process_settings, smaps)},
    {0}};
static const bind_table PROCESS = {PROCESS_FIELDS, sizeof(process_settings), process_defaults, NULL,
                                   NULL};

static sx_status check_target(bind *b, const sx_yaml_node *map, void *target)
{
    collect_target *t = target;
    if (!t->address.len)
        return bind_fault(b, map, "a target needs an address");
    if (!t->name.len)
        t->name = t->address;
    return SX_OK;
}

static const bind_field REDIS_FIELDS[] = {
    {.key = "name", .kind = BIND_STR, .at = AT(collect_target, name)},
    {.key = "address", .kind = BIND_STR, .at = AT(collect_target, address)},
    {.key = "username", .kind = BIND_STR, .at = AT(collect_target, username)},
    {.key = "password", .kind = BIND_SECRET, .at = AT(collect_target, password)},
    {.key = "password_file", .kind = BIND_SECRET_FILE, .at = AT(collect_target, password)},
    {0}};
static const bind_table REDIS = {REDIS_FIELDS, sizeof(collect_target), NULL, check_target, NULL};

static sx_status check_postgres(bind *b, const sx_yaml_node *map, void *target)
{
    const collect_target *t = target;
    if (!t->name.len) /* a conninfo is no name: it may say what nobody should see */
        return bind_fault(b, map, "a PostgreSQL target needs a name, which ?target= gives");
    return check_target(b, map, target);
}

static const bind_field POSTGRES_FIELDS[] = {
    {.key = "name", .kind = BIND_STR, .at = AT(collect_target, name)},
    {.key = "conninfo", .kind = BIND_STR, .at = AT(collect_target, address)},
    {.key = "password", .kind = BIND_SECRET, .at = AT(collect_target, password)},
    {.key = "password_file", .kind = BIND_SECRET_FILE, .at = AT(collect_target, password)},
    {0}};
static const bind_table POSTGRES = {POSTGRES_FIELDS, sizeof(collect_target), NULL, check_postgres,
                                    NULL};

static const bind_field FILE_FIELDS[] = {
    {.key = "process", .kind = BIND_STRUCT, .at = AT(file_settings, process), .table = &PROCESS},
    {.key = "redis",
     .kind = BIND_STRUCTS,
     .at = AT(file_settings, redis),
     .count_at = AT(file_settings, redis_count),
     .table = &REDIS},
    {.key = "postgres",
     .kind = BIND_STRUCTS,
     .at = AT(file_settings, postgres),
     .count_at = AT(file_settings, postgres_count),
     .table = &POSTGRES},
    {0}};

static void file_defaults(void *target)
{
    file_settings *f = target;
    process_defaults(&f->process);
}

static const bind_table FILE_TABLE = {FILE_FIELDS, sizeof(file_settings), file_defaults, NULL,
                                      NULL};

static sx_status read_file(sx_str path, collect_settings *into, sx_buf *problems, sx_error *err)
{
    sx_str folder = sx_str_first(path, 0);
    sx_yaml_file tree = {0};
    file_settings f;
    sx_buf text;
    sx_str name = sx_arena_printf(&into->arena, "%.*s", SX_ARG(path));
    if (!name.data)
        return sx_fail_memory(err, "the collectors' settings");
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] == '/')
            folder = sx_str_first(name, i ? i : 1);
    sx_buf_init(&text, FILE_BYTES_MAX);
    sx_status st = sx_file_read(name.data, FILE_BYTES_MAX, &text, err);
    if (st == SX_OK)
        st = sx_yaml_parse(sx_buf_view(&text), name, NULL, &into->arena, &tree, err);
    sx_buf_done(&text);
    if (st != SX_OK)
        return st;
    bind b = {.arena = &into->arena, .folder = folder, .problems = problems};
    st = bind_read(&b, &FILE_TABLE, tree.count ? tree.documents[0] : NULL, &f);
    into->rules = f.process.rules;
    into->rule_count = f.process.count;
    into->threads = f.process.threads;
    into->children = f.process.children;
    into->smaps = f.process.smaps;
    into->redis = f.redis;
    into->redis_count = f.redis_count;
    into->postgres = f.postgres;
    into->postgres_count = f.postgres_count;
    if (st == SX_ENOMEM || b.no_memory)
        return sx_fail_memory(err, "the collectors' settings");
    if (b.faults) {
        *err = b.first;
        return b.first.status;
    }
    return st;
}

/* Templates and expressions of the groups: once the file is whole, so that they have one owner. */
static sx_status compile_rules(collect_settings *c, sx_error *err)
{
    static const sx_template_options LIMITS = {.output_bytes_max = 1024, .text_bytes_max = 4096};
    static const sx_regex_options CAPTURES = {.flags = SX_REGEX_CAPTURES};
    c->compiled = sx_arena_calloc(&c->arena, c->rule_count + 1, sizeof *c->compiled);
    if (!c->compiled)
        return sx_fail_memory(err, "the collectors' settings");
    for (uint32_t i = 0; i < c->rule_count; i++) {
        const process_rule *rule = &c->rules[i];
        process_compiled *to = &c->compiled[i];
        sx_str name = rule->name.len ? rule->name : SX_STR("{{.ExeBase}}");
        sx_status st = sx_template_new(SX_STR("name"), name, &LIMITS, &to->template, err);
        to->regexes = sx_arena_calloc(&c->arena, rule->cmdline_count + 1, sizeof *to->regexes);
        if (st == SX_OK && !to->regexes)
            return sx_fail_memory(err, "the collectors' settings");
        for (uint32_t k = 0; st == SX_OK && k < rule->cmdline_count; k++)
            st = sx_regex_new(&to->regexes[k], rule->cmdline[k], &CAPTURES, err);
        if (st != SX_OK)
            return sx_error_prefix(err, st, "process_names[%u]", i);
    }
    return SX_OK;
}

/* ---- flags ---- */

/* A password on a command line is seen by everybody who lists the processes. */
static bool has_password(sx_str text)
{
    size_t from = sx_str_find(text, SX_STR("://")), at = sx_str_find_byte(text, '@');
    if (sx_str_find(text, SX_STR("password")) < text.len)
        return true;
    if (from == text.len || at == text.len || at < from)
        return false;
    sx_str user = sx_str_of(text.data + from + 3, at - from - 3);
    return sx_str_find_byte(user, ':') < user.len;
}

/* "NAME=" in front of an address; an = behind a colon or slash is part of a URL. */
static sx_str cut_name(sx_str *text)
{
    for (size_t i = 0; i < text->len && text->data[i] != ':' && text->data[i] != '/'; i++) {
        if (text->data[i] != '=')
            continue;
        sx_str name = sx_str_first(*text, i);
        *text = sx_str_from(*text, i + 1);
        return name;
    }
    return SX_STR("");
}

static sx_status add_flags(const char *flag, sx_str text, bool name_needed, sx_arena *arena,
                           const collect_target **targets, uint32_t *count, sx_error *err)
{
    sx_str one;
    while (text.len) {
        sx_str_cut(text, ',', &one, &text);
        one = sx_str_trim_all(one);
        if (!one.len)
            continue;
        if (has_password(one))
            return sx_fail(err, SX_EINVAL,
                           "--%s: a password there is seen by all who list the processes; put it "
                           "into the file that --collect.config names, as password_file",
                           flag);
        collect_target t = {.name = cut_name(&one)};
        t.address = one;
        if (name_needed ? !t.name.len || !one.len : !one.len)
            return sx_fail(err, SX_EINVAL, "--%s: write %s", flag,
                           name_needed ? "NAME=CONNINFO" : "HOST:PORT or NAME=HOST:PORT");
        if (!t.name.len)
            t.name = t.address;
        collect_target *more = sx_arena_calloc(arena, *count + 1, sizeof *more);
        if (!more)
            return sx_fail_memory(err, "the collectors' settings");
        if (*count)
            memcpy(more, *targets, *count * sizeof *more);
        more[*count] = t;
        *targets = more;
        *count += 1;
    }
    return SX_OK;
}

static sx_status check_names(const collect_target *targets, uint32_t count, const char *what,
                             sx_error *err)
{
    if (count > COLLECT_TARGETS_MAX)
        return sx_fail(err, SX_ELIMIT, "collectors: more than %d targets of %s",
                       COLLECT_TARGETS_MAX, what);
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (sx_str_eq(targets[i].name, targets[k].name))
                return sx_fail(err, SX_EINVAL, "collectors: two targets of %s are called \"%.*s\"",
                               what, SX_ARG(targets[i].name));
    return SX_OK;
}

/* ---- life ---- */

static void settings_free(collect_settings *c)
{
    for (uint32_t i = 0; c->compiled && i < c->rule_count; i++) {
        const process_compiled *rule = &c->compiled[i];
        for (uint32_t k = 0; rule->regexes && k < c->rules[i].cmdline_count; k++)
            sx_regex_free(rule->regexes[k]);
        sx_template_free(rule->template);
    }
    sx_arena_done(&c->arena);
    sx_free(c);
}

static sx_status read_settings(const collect_site_options *o, collect_settings **out,
                               sx_buf *problems, sx_error *err)
{
    collect_settings *c = sx_calloc(1, sizeof *c);
    if (!c)
        return sx_fail_memory(err, "the collectors' settings");
    sx_arena_init(&c->arena, 0, 0);
    atomic_init(&c->refs, 1);
    c->children = c->smaps = true;
    sx_status st = o->file.len ? read_file(o->file, c, problems, err) : SX_OK;
    if (st == SX_OK)
        st = compile_rules(c, err);
    if (st == SX_OK)
        st =
            add_flags("collect.redis", o->redis, false, &c->arena, &c->redis, &c->redis_count, err);
    if (st == SX_OK)
        st = add_flags("collect.postgres", o->postgres, true, &c->arena, &c->postgres,
                       &c->postgres_count, err);
    if (st == SX_OK)
        st = check_names(c->redis, c->redis_count, "Redis", err);
    if (st == SX_OK)
        st = check_names(c->postgres, c->postgres_count, "PostgreSQL", err);
    if (st != SX_OK) {
        settings_free(c);
        return st;
    }
    *out = c;
    return SX_OK;
}

collect_settings *collect_settings_get(collect_site *s)
{
    pthread_mutex_lock(&s->lock);
    collect_settings *c = s->settings;
    atomic_fetch_add(&c->refs, 1);
    pthread_mutex_unlock(&s->lock);
    return c;
}

void collect_settings_unref(collect_settings *c)
{
    if (atomic_fetch_sub(&c->refs, 1) == 1)
        settings_free(c);
}

sx_status collect_site_check(const collect_site *s, sx_error *err)
{
    collect_settings *fresh;
    sx_status st = read_settings(s->options, &fresh, NULL, err);
    if (st == SX_OK)
        settings_free(fresh);
    return st;
}

sx_status collect_site_reload(collect_site *s, sx_buf *problems, sx_error *err)
{
    collect_settings *fresh;
    sx_status st = read_settings(s->options, &fresh, problems, err);
    if (st != SX_OK)
        return st;
    pthread_mutex_lock(&s->lock);
    collect_settings *old = s->settings;
    fresh->number = ++s->reloads;
    s->settings = fresh;
    pthread_mutex_unlock(&s->lock);
    collect_settings_unref(old);
    return SX_OK;
}

sx_status collect_site_new(const collect_site_options *options, collect_site **out,
                           sx_buf *problems, sx_error *err)
{
    collect_site *s = sx_calloc(1, sizeof *s);
    if (!s)
        return sx_fail_memory(err, "the collectors");
    s->options = options;
    pthread_mutex_init(&s->lock, NULL);
    sx_status st = process_state_new(&s->processes, err);
    if (st == SX_OK)
        st = read_settings(options, &s->settings, problems, err);
    if (st != SX_OK) {
        collect_site_free(s);
        return st;
    }
    *out = s;
    return SX_OK;
}

void collect_site_free(collect_site *s)
{
    if (!s)
        return;
    if (s->settings)
        collect_settings_unref(s->settings);
    process_state_free(s->processes);
    pthread_mutex_destroy(&s->lock);
    sx_free(s);
}

sx_status collect_target_find(const collect_target *targets, uint32_t count, const char *what,
                              sx_str name, const collect_target **out, sx_error *err)
{
    char names[256] = "";
    size_t used = 0;
    if (!name.len && count == 1) {
        *out = &targets[0];
        return SX_OK;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (sx_str_eq(targets[i].name, name) || sx_str_eq(targets[i].address, name)) {
            *out = &targets[i];
            return SX_OK;
        }
        int len = snprintf(names + used, sizeof names - used, "%s%.*s", i ? ", " : "",
                           SX_ARG(sx_str_first(targets[i].name, 60)));
        used += (size_t)len;
        if (used >= sizeof names)
            used = sizeof names - 1;
    }
    if (!count)
        return sx_fail(err, SX_ENOTFOUND,
                       "no %s is listed; name it with --collect.%s or in the file of "
                       "--collect.config",
                       what, what[0] == 'R' ? "redis" : "postgres");
    return sx_fail(err, SX_ENOTFOUND, "no %s is called \"%.*s\"; ?target= is one of: %s", what,
                   SX_ARG(sx_str_first(name, 100)), names);
}
