/* settings_expand.c - ${env:NAME}, ${NAME} and ${env:NAME:-default} in a Collector's configuration.
 *
 * A value that is one reference and nothing else takes what the variable says as YAML: a number, a
 * list, a mapping. Within a text it is put in as it stands. $$ is a dollar; an unset variable without
 * a default is empty, with a warning. What a variable holds is not looked at again.
 * Source: OpenTelemetry Collector, docs/rfcs/env-vars.md; confmap/provider/envprovider. */
#include "observe/collector/settings_impl.h"

enum { EXPANDED_MAX = 1 << 20 };

static const char *lookup(const bind *b, sx_str name)
{
    const settings_reader *r = b->user;
    for (const char *const *e = r->options ? r->options->environment : NULL; e && *e; e++)
        if (strncmp(*e, name.data, name.len) == 0 && (*e)[name.len] == '=')
            return *e + name.len + 1;
    return NULL;
}

static bool is_name(sx_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool letter = c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return name.len > 0;
}

/* The value of what stands between ${ and }. */
static sx_status value_of(bind *b, const sx_yaml_node *node, sx_str inside, sx_str *out)
{
    sx_str name = inside, other = {0};
    if (sx_str_starts(name, SX_STR("env:")))
        name = sx_str_from(name, 4);
    size_t dash = sx_str_find(name, SX_STR(":-"));
    bool has_default = dash < name.len;
    if (has_default) {
        other = sx_str_from(name, dash + 2);
        name = sx_str_first(name, dash);
    }
    if (!is_name(name))
        return bind_fault(b, node,
                          "${%.*s} is no environment variable; write ${env:NAME} or "
                          "${env:NAME:-default}",
                          SX_ARG(sx_str_first(inside, 60)));
    const char *value = lookup(b, name);
    *out = value ? sx_str_z(value) : other;
    if (!value && !has_default)
        return settings_warn(b, node, "environment variable %.*s is not set: taken as empty",
                             SX_ARG(name));
    return SX_OK;
}

/* A list or mapping in a variable takes the node's place. */
static sx_status become_yaml(bind *b, sx_yaml_node *node, sx_str text)
{
    sx_yaml_file file;
    sx_error err;
    sx_str trimmed = sx_str_trim_all(text);
    if (node->style != SX_YAML_PLAIN || trimmed.len == 0 ||
        (trimmed.data[0] != '[' && trimmed.data[0] != '{'))
        return SX_OK;
    sx_str name = sx_arena_printf(b->arena, "%.*s:%u: variable", SX_ARG(node->file->name),
                                  (unsigned)node->line);
    if (!name.data)
        return settings_no_memory(b);
    sx_status st = sx_yaml_parse(text, name, NULL, b->arena, &file, &err);
    if (st == SX_ENOMEM)
        return settings_no_memory(b);
    if (st != SX_OK || file.count != 1 || file.documents[0]->kind == SX_YAML_SCALAR)
        return SX_OK; /* then it is a text */
    sx_yaml_node *of = file.documents[0];
    of->parent = node->parent;
    node->kind = of->kind;
    node->count = of->count;
    node->weight = of->weight;
    node->sorted = of->sorted;
    if (of->kind == SX_YAML_SEQUENCE)
        node->items = of->items;
    else
        node->pairs = of->pairs;
    return SX_OK;
}

static sx_status expand_scalar(bind *b, sx_yaml_node *node)
{
    sx_buf buf;
    sx_str text = node->scalar;
    bool whole = false;
    if (sx_str_find_byte(text, '$') == text.len)
        return SX_OK;
    sx_buf_init(&buf, EXPANDED_MAX);
    sx_status st = SX_OK;
    while (text.len && st == SX_OK) {
        size_t plain = sx_str_find_byte(text, '$');
        sx_buf_str(&buf, sx_str_first(text, plain));
        text = sx_str_from(text, plain);
        if (text.len == 0)
            break;
        size_t end = sx_str_find_byte(text, '}');
        if (text.len > 1 && text.data[1] == '$') {
            sx_buf_byte(&buf, '$');
            text = sx_str_from(text, 2);
        } else if (text.len > 1 && text.data[1] == '{' && end < text.len) {
            sx_str value = {0};
            st = value_of(b, node, sx_str_of(text.data + 2, end - 2), &value);
            if (st == SX_OK)
                sx_buf_str(&buf, value);
            whole = text.len == node->scalar.len && end + 1 == text.len;
            text = sx_str_from(text, end + 1);
        } else {
            sx_buf_byte(&buf, '$');
            text = sx_str_from(text, 1);
        }
    }
    if (st == SX_OK && buf.failed)
        st = bind_fault(b, node, "is longer than 1 MiB with its variables");
    if (st == SX_OK) {
        node->scalar = sx_arena_copy(b->arena, sx_buf_view(&buf));
        st = node->scalar.data ? SX_OK : settings_no_memory(b);
    }
    sx_buf_done(&buf);
    return st == SX_OK && whole ? become_yaml(b, node, node->scalar) : st;
}

/* Depth and size are bounded by sx_yaml_options. An aliased node is met several times; once expanded
 * it may hold a dollar that was a $$, so the tree is walked by own children only: aliases have another
 * parent. */
sx_status settings_expand(bind *b, sx_yaml_node *node)
{
    if (node->kind == SX_YAML_SCALAR) {
        sx_status st = expand_scalar(b, node);
        return st == SX_ENOMEM ? st : SX_OK;
    }
    for (uint32_t i = 0; i < node->count; i++) {
        sx_yaml_node *child =
            node->kind == SX_YAML_SEQUENCE ? node->items[i] : node->pairs[i].value;
        if (child->parent != node)
            continue;
        sx_status st = settings_expand(b, child);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}
