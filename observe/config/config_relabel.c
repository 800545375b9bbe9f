/* config_relabel.c - relabelling rules out of YAML. The rules' own checks are in relabel.c. */
#include <sextant/mem.h>

#include "observe/config/config_internal.h"

#define AT(member) offsetof(config_rule, r.member)

static const bind_choice ACTION_WORDS[] = {
    {"replace", PROM_RELABEL_REPLACE},     {"keep", PROM_RELABEL_KEEP},
    {"drop", PROM_RELABEL_DROP},           {"keepequal", PROM_RELABEL_KEEPEQUAL},
    {"dropequal", PROM_RELABEL_DROPEQUAL}, {"hashmod", PROM_RELABEL_HASHMOD},
    {"labelmap", PROM_RELABEL_LABELMAP},   {"labeldrop", PROM_RELABEL_LABELDROP},
    {"labelkeep", PROM_RELABEL_LABELKEEP}, {"lowercase", PROM_RELABEL_LOWERCASE},
    {"uppercase", PROM_RELABEL_UPPERCASE}, {NULL, 0}};

/* Any case is taken, as Prometheus takes it. */
static sx_status read_action(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    sx_str text;
    sx_status st = bind_text(b, value, &text);
    (void)f;
    if (st != SX_OK)
        return st;
    prom_relabel_action a = prom_relabel_action_find(text);
    if (a == PROM_RELABEL_ACTIONS)
        return bind_fault(b, value, "unknown relabel action \"%.*s\"", SX_ARG(text));
    ((config_rule *)target)->action = (int)a;
    return SX_OK;
}

static void print_action(sx_buf *out, int indent, const void *target, const bind_field *f)
{
    const prom_relabel *r = &((const config_rule *)target)->r;
    sx_buf_printf(out, "%*s%s: %s\n", indent, "", f->key, ACTION_WORDS[r->action].word);
}

static void defaults(void *target)
{
    config_rule *c = target;
    c->r.separator = SX_STR(";");
    c->r.regex_text = SX_STR("(.*)");
    c->r.replacement = SX_STR("$1");
}

static const bind_field FIELDS[] = {
    {.key = "source_labels", .kind = BIND_STRS, .at = AT(source), .count_at = AT(source_count)},
    {.key = "separator", .kind = BIND_STR, .at = AT(separator)},
    {.key = "regex", .kind = BIND_STR, .at = AT(regex_text)},
    {.key = "modulus", .kind = BIND_U64, .at = AT(modulus)},
    {.key = "target_label", .kind = BIND_STR, .at = AT(target)},
    {.key = "replacement", .kind = BIND_STR, .flags = BIND_ALWAYS, .at = AT(replacement)},
    {.key = "action", .kind = BIND_CUSTOM, .read = read_action, .print = print_action},
    {0}};

const bind_table CONFIG_RELABEL = {
    .fields = FIELDS, .size = sizeof(config_rule), .defaults = defaults};

sx_status config_rules(bind *b, const sx_yaml_node *list, const char *null_words, bool legacy,
                       const prom_relabel **out, uint32_t *count)
{
    const void *items = NULL;
    uint32_t read = 0, faults = b->faults;
    *out = NULL;
    *count = 0;
    if (!list || sx_yaml_is_null(list))
        return SX_OK;
    sx_status st = bind_read_structs(b, &CONFIG_RELABEL, list, &items, &read, null_words);
    if (st != SX_OK || b->faults != faults)
        return st == SX_OK ? SX_EFORMAT : st;
    prom_config *config = ((config_reader *)b->user)->config;
    prom_relabel *rules = sx_arena_calloc(b->arena, read ? read : 1, sizeof *rules);
    config_rule_set *set = sx_arena_calloc(b->arena, 1, sizeof *set);
    if (!rules || !set) {
        b->no_memory = true;
        return SX_ENOMEM;
    }
    *set = (config_rule_set){.next = config->rule_sets, .rules = rules};
    config->rule_sets = set;
    *out = rules;
    for (uint32_t i = 0; i < read; i++) {
        const config_rule *c = (const config_rule *)items + i;
        sx_error err;
        rules[i] = c->r;
        rules[i].action = (prom_relabel_action)c->action;
        rules[i].legacy_names = legacy;
        *count = set->count = i + 1;
        st = prom_relabel_init(&rules[i], &err);
        if (st == SX_ENOMEM)
            return st;
        if (st != SX_OK)
            bind_fault(b, list->items[i], "%s", err.message);
    }
    return b->faults == faults ? SX_OK : SX_EFORMAT;
}

void config_print_rules(const char *key, const prom_relabel *rules, uint32_t count, int indent,
                        sx_buf *out)
{
    if (count == 0)
        return;
    sx_buf_printf(out, "%*s%s:\n", indent, "", key);
    for (uint32_t i = 0; i < count; i++) {
        config_rule c = {.r = rules[i]};
        size_t begin = out->len;
        bind_print(&CONFIG_RELABEL, &c, indent + 2, out);
        if (!out->failed)
            out->data[begin + (size_t)indent] = '-';
    }
}
