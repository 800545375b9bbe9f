/* config.c - fills structures from defaults, file, environment and flags; see config.h.
 *
 * Each source in turn writes over the one before and notes itself as the origin of the value, so
 * that the last one wins and the dump can say who it was. A fault is one line in `problems` and the
 * reading goes on: a person wants to know all of them at once. After PROBLEMS_MAX it stops: such a file
 * is not meant for us, and each line costs a look through all keys and all of the file. */
#include <sextant/config.h>

#include <stdio.h>
#include <sys/stat.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "service/config_internal.h"
#include "service/config_values.h"

enum { FILE_BYTES_MAX = 16 << 20, PROBLEMS_MAX = 20 };

static const sx_str CONFIG_FILE = SX_STR_INIT("config.file");

/* ---- problems ---- */

static void problem(sx_config *c, const sx_error *err)
{
    c->no_memory |= err->status == SX_ENOMEM;
    if (c->problem_count++ < PROBLEMS_MAX)
        sx_buf_printf(c->problems, "%s\n", err->message);
    else if (c->problem_count == PROBLEMS_MAX + 1)
        sx_buf_printf(c->problems, "further problems are not shown\n");
}

/* Whether to read no further. */
static bool is_over(const sx_config *c)
{
    return c->no_memory || c->problem_count > PROBLEMS_MAX;
}

static void file_problem(sx_config *c, const sx_error *err)
{
    problem(c, err);
    c->file_wrong = true;
}

static void flag_problem(sx_config *c, const sx_error *err)
{
    problem(c, err);
    c->flag_wrong = true;
}

/* How much of `key` is a group as deep as `name`: "http.tls" of http.tls.file for "htp.tls"; 0: none. */
static size_t group_bytes(sx_str key, sx_str name)
{
    size_t dots = 1, at = 0;
    for (size_t i = 0; i < name.len; i++)
        dots += name.data[i] == '.';
    for (; at < key.len; at++)
        if (key.data[at] == '.' && --dots == 0)
            return at;
    return 0;
}

static const char *did_you_mean(const sx_str *near, char *out, size_t size)
{
    out[0] = '\0';
    if (near)
        snprintf(out, size, "; did you mean \"%.*s\"?", SX_ARG(*near));
    return out;
}

/* "; did you mean …?" for a flag that does not exist, or nothing. --config is what other programs call
 * their file. */
static const char *flag_hint(const sx_config *c, sx_str name, char *out, size_t size)
{
    const sx_str *near = sx_nearest_word(name, &CONFIG_FILE, 1);
    if (sx_str_eq(name, SX_STR("config")))
        near = &CONFIG_FILE;
    return did_you_mean(near ? near : sx_nearest_word(name, c->names, c->count), out, size);
}

/* The same for a key of the file, which may also be meant for a group: what comes before the dot that
 * ends as many words as `name` has. */
static const char *file_hint(const sx_config *c, sx_str name, bool has_keys, char *out, size_t size)
{
    const sx_str *key = has_keys ? NULL : sx_nearest_word(name, c->names, c->count), *near;
    sx_str group = {NULL, 0};
    for (size_t i = 0; !key && i < c->count; i++) {
        sx_str words[2] = {group, c->names[i]};
        size_t end = group_bytes(c->names[i], name);
        words[1].len = end;
        near = end ? sx_nearest_word(name, words, 2) : NULL;
        group = near ? *near : group;
    }
    return did_you_mean(group.len ? &group : key, out, size);
}

/* ---- rows ---- */

static sx_status list_rows(sx_config *c, const sx_config_options *o, sx_error *err)
{
    size_t total = 0, n = 0;
    for (size_t s = 0; s < o->set_count; s++)
        total += o->sets[s].count;
    c->entries = (sx_entry *)sx_arena_calloc(&c->arena, total + 1, sizeof(sx_entry));
    c->names = (sx_str *)sx_arena_calloc(&c->arena, total + 1, sizeof(sx_str));
    if (!c->entries || !c->names)
        return sx_fail_memory(err, "the configuration");
    for (size_t s = 0; s < o->set_count; s++) {
        for (size_t i = 0; i < o->sets[s].count; i++, n++) {
            const sx_key *key = &o->sets[s].keys[i];
            bool added;
            c->entries[n] = (sx_entry){.key = key, .into = o->sets[s].into};
            c->names[n] = sx_str_z(key->key);
            sx_map_entry *place = sx_map_put(&c->by_name, c->names[n], &added);
            if (!place)
                return sx_fail_memory(err, "the configuration");
            sx_assert(added); /* a key twice is a mistake in the tables */
            place->ptr = &c->entries[n];
            sx_status status = sx_key_default(key, &c->arena, o->sets[s].into, err);
            if (status)
                return sx_error_prefix(err, status, "default of key \"%s\"", key->key);
        }
    }
    c->count = n;
    return SX_OK;
}

static sx_entry *find(const sx_config *c, sx_str name)
{
    return (sx_entry *)sx_map_get(&c->by_name, name);
}

/* ---- the environment ---- */

static bool get_env(const char *const *environment, sx_str name, sx_str *value)
{
    for (size_t i = 0; environment && environment[i]; i++) {
        sx_str line = sx_str_z(environment[i]), left;
        if (sx_str_starts(line, name) && sx_str_cut(line, '=', &left, value) &&
            sx_str_eq(left, name))
            return true;
    }
    return false;
}

sx_str sx_env_name(const char *program, const char *key, char out[SX_ENV_NAME_BYTES])
{
    int len = snprintf(out, SX_ENV_NAME_BYTES, "%s_%s", program, key);
    sx_assert(len > 0 && len < SX_ENV_NAME_BYTES);
    for (char *p = out; *p; p++) {
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
        else if (*p == '.' || *p == '-')
            *p = '_';
    }
    return sx_str_of(out, (size_t)len);
}

static void read_environment(sx_config *c)
{
    char name[SX_ENV_NAME_BYTES];
    for (size_t i = 0; i < c->count; i++) {
        sx_entry *e = &c->entries[i];
        sx_str value;
        sx_error err = {0};
        sx_str wanted = sx_env_name(c->o->program, e->key->key, name);
        if (!get_env(c->o->environment, wanted, &value))
            continue;
        sx_status status = sx_key_read(e->key, value, &c->arena, e->into, &err);
        if (status) {
            sx_error_prefix(&err, status, "environment %s", name);
            file_problem(c, &err);
        }
        e->origin = SX_FROM_ENVIRONMENT;
    }
}

sx_status sx_config_expand(sx_arena *arena, sx_str text, const char *const *environment,
                           sx_str *out, sx_error *err)
{
    if (sx_str_find_byte(text, '$') == text.len) {
        *out = text;
        return SX_OK;
    }
    sx_buf b;
    sx_buf_init(&b, FILE_BYTES_MAX);
    sx_status status = SX_OK;
    while (text.len > 0 && status == SX_OK) {
        sx_str value;
        size_t plain = sx_str_find_byte(text, '$');
        sx_buf_str(&b, sx_str_first(text, plain));
        text = sx_str_from(text, plain);
        if (sx_str_starts(text, SX_STR("$$"))) {
            sx_buf_byte(&b, '$');
            text = sx_str_from(text, 2);
        } else if (sx_str_starts(text, SX_STR("${"))) {
            size_t end = sx_str_find_byte(text, '}');
            sx_str name = sx_str_from(sx_str_first(text, end), 2);
            if (end == text.len)
                status = sx_fail(err, SX_EFORMAT, "\"${\" has no \"}\"; a dollar sign is \"$$\"");
            else if (name.len == 0 || !get_env(environment, name, &value))
                status = sx_fail(err, SX_EFORMAT,
                                 "${%.*s} is not set in the environment; set it, or write \"$${\" "
                                 "for the characters themselves",
                                 SX_ARG(name));
            else
                sx_buf_str(&b, value);
            text = sx_str_from(text, end + 1);
        } else if (text.len > 0) {
            sx_buf_byte(&b, '$');
            text = sx_str_from(text, 1);
        }
    }
    if (status == SX_OK)
        status = sx_buf_status(&b, "an expanded value", err);
    if (status == SX_OK) {
        *out = sx_arena_copy(arena, sx_buf_view(&b));
        status = out->data ? SX_OK : sx_fail_memory(err, "an expanded value");
    }
    sx_buf_done(&b);
    return status;
}

/* ---- the file ---- */

static sx_status expand_node(sx_config *c, const sx_yaml_node *node, sx_str *out, sx_error *err)
{
    sx_status status = sx_yaml_str(node, out, err);
    if (status)
        return status;
    status = sx_config_expand(&c->arena, *out, c->o->environment, out, err);
    return status ? sx_yaml_error_prefix(node, status, err) : SX_OK;
}

static sx_status read_sequence(sx_config *c, const sx_entry *e, const sx_yaml_node *node,
                               sx_error *err)
{
    if (e->key->kind != SX_TEXTS)
        return sx_yaml_fail(node, SX_EFORMAT, err, "expected one value, not a list");
    sx_str *items = (sx_str *)sx_arena_calloc(&c->arena, node->count + 1, sizeof(*items));
    if (!items)
        return sx_fail_memory(err, e->key->key);
    for (uint32_t i = 0; i < node->count; i++) {
        sx_status status = expand_node(c, node->items[i], &items[i], err);
        if (status)
            return status;
    }
    return sx_key_read_items(e->key, items, node->count, &c->arena, e->into, err);
}

static sx_status read_node(sx_config *c, const sx_entry *e, const sx_yaml_node *node, sx_error *err)
{
    sx_str text;
    if (node->kind == SX_YAML_SEQUENCE)
        return read_sequence(c, e, node, err);
    sx_status status = expand_node(c, node, &text, err);
    if (status)
        return status;
    status = sx_key_read(e->key, text, &c->arena, e->into, err);
    return status ? sx_yaml_error_prefix(node, status, err) : SX_OK;
}

/* Whether some key begins with `prefix` and a dot. */
static bool is_group(const sx_config *c, sx_str prefix)
{
    for (size_t i = 0; i < c->count; i++)
        if (sx_str_starts(c->names[i], prefix) && c->names[i].len > prefix.len &&
            c->names[i].data[prefix.len] == '.')
            return true;
    return false;
}

static bool is_tree(const sx_config *c, sx_str name)
{
    for (size_t i = 0; i < c->o->tree_count; i++)
        if (sx_str_eq(c->o->trees[i], name))
            return true;
    return false;
}

static void read_mapping(sx_config *c, const sx_yaml_node *map, sx_str prefix);

static void read_pair(sx_config *c, const sx_yaml_pair *pair, sx_str prefix)
{
    sx_error err = {0};
    sx_str name = pair->key->scalar;
    if (prefix.len > 0)
        name = sx_arena_printf(&c->arena, "%.*s.%.*s", SX_ARG(prefix), SX_ARG(name));
    if (!name.data) {
        sx_fail_memory(&err, "the configuration");
        file_problem(c, &err);
        return;
    }
    sx_entry *e = find(c, name);
    if (e && sx_yaml_is_null(pair->value))
        return; /* `key:` alone leaves the default */
    if (e) {
        if (read_node(c, e, pair->value, &err))
            file_problem(c, &err);
        e->origin = SX_FROM_FILE;
    } else if (is_tree(c, name)) {
        return;
    } else if (is_group(c, name) && pair->value->kind == SX_YAML_MAPPING) {
        read_mapping(c, pair->value, name);
    } else if (is_group(c, name)) {
        if (sx_yaml_is_null(pair->value))
            return;
        sx_yaml_fail(pair->value, SX_EFORMAT, &err, "expected a mapping");
        file_problem(c, &err);
    } else {
        char near[160];
        bool has_keys = pair->value->kind == SX_YAML_MAPPING;
        sx_yaml_fail(pair->key, SX_EFORMAT, &err, "unknown%s",
                     file_hint(c, name, has_keys, near, sizeof(near)));
        file_problem(c, &err);
    }
}

/* Depth is bounded by the reader's depth_max and by the keys that exist. */
static void read_mapping(sx_config *c, const sx_yaml_node *map, sx_str prefix)
{
    for (uint32_t i = 0; i < map->count && !is_over(c); i++)
        read_pair(c, &map->pairs[i], prefix);
}

static void read_text(sx_config *c, sx_str text, const char *name)
{
    sx_error err = {0};
    if (sx_yaml_parse(text, sx_str_z(name), NULL, &c->arena, &c->file, &err)) {
        file_problem(c, &err);
        return;
    }
    if (c->file.count == 0 || sx_yaml_is_null(c->file.documents[0]))
        return;
    if (c->file.count > 1) {
        sx_yaml_fail(c->file.documents[1], SX_EFORMAT, &err, "a second document; one is read");
        file_problem(c, &err);
    }
    c->top = c->file.documents[0];
    if (sx_yaml_expect(c->top, SX_YAML_MAPPING, &err)) {
        file_problem(c, &err);
        c->top = NULL;
        return;
    }
    read_mapping(c, c->top, sx_str_of(NULL, 0));
}

/* ---- flags ---- */

/* The flag at *at as name and value; *at moves behind it. False, with err, if it makes no sense. */
static bool split_flag(const sx_config *c, size_t *at, sx_str *name, sx_str *value, sx_error *err)
{
    const sx_config_options *o = c->o;
    sx_str typed = sx_str_z(o->flags[(*at)++]);
    if (!sx_str_starts(typed, SX_STR("--")) || typed.len == 2) {
        sx_fail(err, SX_EINVAL, "argument '%.*s' is not a flag; flags are --key=value",
                SX_ARG(typed));
        return false;
    }
    if (sx_str_cut(sx_str_from(typed, 2), '=', name, value))
        return true;
    const sx_entry *e = find(c, *name);
    if (e && e->key->kind == SX_BOOL) {
        *value = SX_STR("true");
        return true;
    }
    bool known = e || sx_str_eq(*name, CONFIG_FILE);
    if (known && *at < o->flag_count) {
        *value = sx_str_z(o->flags[(*at)++]);
    } else if (known) {
        sx_fail(err, SX_EINVAL, "flag --%.*s needs a value: --%.*s=VALUE", SX_ARG(*name),
                SX_ARG(*name));
        return false;
    }
    return true;
}

static void read_flags(sx_config *c)
{
    for (size_t at = 0; at < c->o->flag_count && !is_over(c);) {
        sx_error err = {0};
        sx_str name, value;
        if (!split_flag(c, &at, &name, &value, &err)) {
            flag_problem(c, &err);
            continue;
        }
        if (sx_str_eq(name, CONFIG_FILE))
            continue; /* read before */
        sx_entry *e = find(c, name);
        if (!e) {
            char near[160];
            sx_fail(&err, SX_EINVAL, "flag --%.*s: unknown%s", SX_ARG(name),
                    flag_hint(c, name, near, sizeof(near)));
            flag_problem(c, &err);
            continue;
        }
        sx_status status = sx_key_read(e->key, value, &c->arena, e->into, &err);
        if (status) {
            sx_error_prefix(&err, status, "flag --%s", e->key->key);
            flag_problem(c, &err);
        }
        e->origin = SX_FROM_FLAG;
    }
}

/* The file that flags or environment name, in the arena; the last flag wins. */
static sx_str find_path(sx_config *c)
{
    const sx_config_options *o = c->o;
    sx_str path = {NULL, 0};
    char name[SX_ENV_NAME_BYTES];
    if (o->file)
        return sx_arena_copy(&c->arena, sx_str_z(o->file));
    get_env(o->environment, sx_env_name(o->program, "config.file", name), &path);
    for (size_t at = 0; at < o->flag_count;) {
        sx_str flag, value = {NULL, 0};
        sx_error ignored; /* told when the flags are read */
        if (split_flag(c, &at, &flag, &value, &ignored) && sx_str_eq(flag, CONFIG_FILE))
            path = value;
    }
    return path.data ? sx_arena_copy(&c->arena, path) : path;
}

sx_status sx_config_check_file(const char *path, const char *what, sx_error *err)
{
    static const sx_str PIPES[] = {SX_STR_INIT("/dev/fd/"), SX_STR_INIT("/proc/self/fd/"),
                                   SX_STR_INIT("/dev/stdin")};
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISFIFO(info.st_mode))
        return SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(PIPES); i++)
        if (sx_str_starts(sx_str_z(path), PIPES[i]))
            return SX_OK;
    return sx_fail(err, SX_EINVAL, "%s %s is a FIFO, which may wait for ever; name a regular file",
                   what, path);
}

static void read_file(sx_config *c)
{
    sx_error err = {0};
    sx_str path = find_path(c);
    if (c->o->text.data) {
        read_text(c, c->o->text, path.data ? path.data : "configuration");
        return;
    }
    if (path.len == 0)
        return;
    sx_buf text;
    sx_buf_init(&text, FILE_BYTES_MAX);
    c->path = path.data;
    if (sx_config_check_file(path.data, "config file", &err) ||
        sx_file_read(path.data, FILE_BYTES_MAX, &text, &err))
        file_problem(c, &err);
    else
        read_text(c, sx_buf_view(&text), path.data);
    sx_buf_done(&text);
}

/* ---- loading ---- */

sx_status sx_config_load(const sx_config_options *options, sx_config **out, sx_buf *problems)
{
    sx_error err = {0};
    *out = NULL;
    sx_config *c = (sx_config *)sx_calloc(1, sizeof(*c));
    if (!c)
        return SX_ENOMEM;
    sx_arena_init(&c->arena, 0, 0);
    sx_map_init(&c->by_name, &c->arena);
    c->o = options;
    c->problems = problems;
    if (list_rows(c, options, &err)) {
        problem(c, &err);
        c->no_memory = true;
    } else {
        read_file(c);
        read_environment(c);
        read_flags(c);
    }
    c->o = NULL;
    c->problems = NULL;
    sx_status status = c->no_memory    ? SX_ENOMEM
                       : c->flag_wrong ? SX_EINVAL
                       : c->file_wrong ? SX_EFORMAT
                                       : SX_OK;
    if (status)
        sx_config_free(c);
    else
        *out = c;
    return status;
}

void sx_config_free(sx_config *c)
{
    if (!c)
        return;
    sx_map_done(&c->by_name);
    sx_arena_done(&c->arena);
    sx_free(c);
}

const char *sx_config_file(const sx_config *c)
{
    return c->path;
}

const sx_yaml_node *sx_config_tree(const sx_config *c, sx_str key)
{
    const sx_yaml_node *whole =
        c->top ? sx_yaml_get(c->top, key) : NULL; /* `a.b:`, or `a`'s `b:` */
    const sx_yaml_node *node = c->top;
    sx_str part;
    while (!whole && node && key.len > 0) {
        sx_str_cut(key, '.', &part, &key);
        node = sx_yaml_get(node, part);
    }
    return whole ? whole : node;
}

void sx_config_changes(const sx_config *before, const sx_config *after,
                       void (*fn)(void *ctx, const sx_key *key), void *ctx)
{
    sx_assert(before->count == after->count);
    for (size_t i = 0; i < before->count; i++) {
        const sx_key *key = before->entries[i].key;
        sx_assert(key == after->entries[i].key);
        if (!sx_key_equal(key, before->entries[i].into, after->entries[i].into))
            fn(ctx, key);
    }
}
