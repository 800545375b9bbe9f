/* processor_attributes.c - attributes and resource: insert, update, upsert, delete, hash, extract, convert.
 *
 * Sources: opentelemetry-collector-contrib, processor/attributesprocessor and resourceprocessor (READMEs),
 * internal/coreinternal/attraction. */
#include <math.h>

#include <sextant/number.h>

#include "observe/collector/edit.h"
#include "observe/collector/processor.h"
#include "observe/collector/settings_impl.h"

typedef struct attributes_settings {
    match_settings include, exclude;
    const attr_action *actions;
    uint32_t action_count;
} attributes_settings;

#define A(member) offsetof(attr_action, member)
#define S(member) offsetof(attributes_settings, member)

/* --- Settings. */

static const bind_choice KINDS[] = {{"insert", ACTION_INSERT},   {"update", ACTION_UPDATE},
                                    {"upsert", ACTION_UPSERT},   {"delete", ACTION_DELETE},
                                    {"hash", ACTION_HASH},       {"extract", ACTION_EXTRACT},
                                    {"convert", ACTION_CONVERT}, {NULL, 0}};

static sx_status read_value(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    attr_action *a = target;
    (void)f;
    a->has_value = true;
    return settings_value(b, value, &a->value);
}

/* Actions are given in any case. */
static sx_status read_kind(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    sx_str text;
    sx_status st = bind_text(b, value, &text);
    if (st != SX_OK)
        return st;
    for (const bind_choice *c = KINDS; c->word; c++)
        if (sx_str_ieq(sx_str_z(c->word), text)) {
            ((attr_action *)target)->kind = c->value;
            return SX_OK;
        }
    (void)f;
    return bind_fault(
        b, value,
        "unsupported action \"%.*s\"; there are: insert, update, upsert, delete, hash, "
        "extract, convert",
        SX_ARG(sx_str_first(text, 60)));
}

/* The names of the groups, by number; extract wants all of them named. */
static sx_status name_groups(bind *b, const sx_yaml_node *map, attr_action *a)
{
    size_t count = sx_regex_group_count(a->pattern);
    sx_str *names = sx_arena_calloc(b->arena, count + 1, sizeof(*names));
    if (!names)
        return settings_no_memory(b);
    sx_str rest = a->pattern_text;
    size_t named = 0;
    for (;;) { /* (?P<name> and (?<name> are the only forms; sx_regex_group_index confirms */
        size_t at = sx_str_find(rest, SX_STR("(?"));
        if (at == rest.len)
            break;
        rest = sx_str_from(rest, at + 2);
        if (sx_str_starts(rest, SX_STR("P<")))
            rest = sx_str_from(rest, 1);
        if (!sx_str_starts(rest, SX_STR("<")))
            continue;
        rest = sx_str_from(rest, 1);
        sx_str name = sx_str_first(rest, sx_str_find_byte(rest, '>'));
        int index = sx_regex_group_index(a->pattern, name);
        if (index < 1 || (size_t)index > count || names[index - 1].len)
            continue;
        names[index - 1] = name;
        named++;
    }
    if (count == 0 || named < count)
        return bind_fault(b, map,
                          "action extract: the pattern must have named groups only, (?P<name>…)");
    a->group_names = names;
    a->group_count = (uint32_t)count;
    return SX_OK;
}

static sx_status check_action(bind *b, const sx_yaml_node *map, void *target)
{
    attr_action *a = target;
    bool gives = a->kind == ACTION_INSERT || a->kind == ACTION_UPDATE || a->kind == ACTION_UPSERT;
    bool may_match = a->kind == ACTION_DELETE || a->kind == ACTION_HASH;
    if (a->kind < 0)
        return bind_fault(b, map, "an action must be named: action: insert, update, upsert …");
    if (a->key.len == 0 && !(may_match && a->pattern_text.len))
        return bind_fault(b, map, "missing required field \"key\"");
    if (gives && a->has_value == (a->from.len > 0))
        return bind_fault(b, map, "action %s needs one of value and from_attribute",
                          KINDS[a->kind].word);
    if (!gives && (a->has_value || a->from.len))
        return bind_fault(b, map, "action %s takes no value and no from_attribute",
                          KINDS[a->kind].word);
    if (a->pattern_text.len && !may_match && a->kind != ACTION_EXTRACT)
        return bind_fault(b, map, "action %s takes no pattern", KINDS[a->kind].word);
    if (a->kind == ACTION_EXTRACT && a->pattern_text.len == 0)
        return bind_fault(b, map, "action extract needs a pattern");
    if ((a->kind == ACTION_CONVERT) != (a->converted_type.len > 0))
        return bind_fault(b, map, "converted_type belongs to action convert, which needs it");
    if (a->kind == ACTION_CONVERT && !sx_str_eq(a->converted_type, SX_STR("int")) &&
        !sx_str_eq(a->converted_type, SX_STR("double")) &&
        !sx_str_eq(a->converted_type, SX_STR("string")))
        return bind_fault(b, map, "converted_type \"%.*s\" is none of: int, double, string",
                          SX_ARG(sx_str_first(a->converted_type, 60)));
    if (a->pattern_text.len == 0)
        return SX_OK;
    sx_status st = settings_regex(b, map, a->pattern_text, SX_REGEX_CAPTURES, &a->pattern);
    return st == SX_OK && a->kind == ACTION_EXTRACT ? name_groups(b, map, a) : st;
}

static void default_action(void *target)
{
    ((attr_action *)target)->kind = -1;
}

static const bind_field ACTION_FIELDS[] = {
    {.key = "key", .kind = BIND_STR, .at = A(key)},
    {.key = "action", .kind = BIND_CUSTOM, .read = read_kind},
    {.key = "value", .kind = BIND_CUSTOM, .read = read_value},
    {.key = "from_attribute", .kind = BIND_STR, .at = A(from)},
    {.key = "from_context",
     .kind = BIND_REFUSED,
     .note = "a client's headers are not kept with its spans"},
    {.key = "pattern", .kind = BIND_STR, .at = A(pattern_text)},
    {.key = "converted_type", .kind = BIND_STR, .at = A(converted_type)},
    {0}};
const bind_table ACTION_SETTINGS = {.fields = ACTION_FIELDS,
                                    .size = sizeof(attr_action),
                                    .defaults = default_action,
                                    .check = check_action};

/* --- Actions. */

static void hash_value(attr_edit *e, uint32_t i)
{
    const span_value *v = &attr_edit_items(e)[i].value;
    char bytes[8];
    uint64_t bits = (uint64_t)v->i;
    sx_str in = span_value_str(v);
    if (v->type == SPAN_BOOL) {
        bytes[0] = (char)(v->i != 0);
        in = sx_str_of(bytes, 1);
    } else if (v->type == SPAN_INT || v->type == SPAN_DOUBLE) {
        memcpy(&bits, v->type == SPAN_INT ? (const void *)&v->i : (const void *)&v->d, 8);
        for (int k = 0; k < 8; k++)
            bytes[k] = (char)(bits >> (8 * k));
        in = sx_str_of(bytes, 8);
    }
    sx_str hex = hash_hex(in, e->arena);
    span_value text = {.data = hex.data, .len = (uint32_t)hex.len, .type = SPAN_STR};
    if (hex.data)
        attr_edit_value(e, i, &text);
    else
        e->failed = true;
}

/* False: it cannot be, and stays as it is. */
static bool convert(const span_value *v, sx_str type, sx_arena *arena, span_value *out)
{
    *out = *v;
    if (sx_str_eq(type, SX_STR("string"))) {
        sx_str text = span_value_string(v, arena);
        *out = (span_value){.data = text.data, .len = (uint32_t)text.len, .type = SPAN_STR};
        return text.data != NULL;
    }
    bool to_int = sx_str_eq(type, SX_STR("int"));
    out->type = to_int ? SPAN_INT : SPAN_DOUBLE;
    out->len = 0;
    switch ((span_type)v->type) {
    case SPAN_BOOL:
    case SPAN_INT:
        if (!to_int)
            out->d = (double)v->i;
        return true;
    case SPAN_DOUBLE:
        if (to_int)
            out->i = v->d >= -9.2e18 && v->d <= 9.2e18 ? (int64_t)v->d : INT64_MIN;
        return true;
    case SPAN_STR:
        return to_int ? sx_str_to_i64(span_value_str(v), &out->i)
                      : sx_double_parse(span_value_str(v), &out->d);
    default:
        return false;
    }
}

static void extract(const attr_action *a, attr_edit *e)
{
    sx_str groups[SX_REGEX_GROUPS_MAX];
    const span_value *v = attr_edit_find(e, a->key);
    uint32_t count =
        a->group_count < SX_REGEX_GROUPS_MAX ? a->group_count : SX_REGEX_GROUPS_MAX - 1;
    if (!v || v->type != SPAN_STR ||
        !sx_regex_capture(a->pattern, span_value_str(v), SX_REGEX_ANYWHERE, groups, count + 1))
        return;
    for (uint32_t g = 0; g < count; g++) {
        sx_str text = groups[g + 1];
        span_value one = {
            .data = text.data ? text.data : "", .len = (uint32_t)text.len, .type = SPAN_STR};
        attr_edit_set(e, a->group_names[g], &one);
    }
}

static bool names(const attr_action *a, const span_attr *item)
{
    sx_str key = span_attr_key(item);
    return (a->key.len && sx_str_eq(a->key, key)) ||
           (a->pattern && sx_regex_search(a->pattern, key));
}

static void run_action(const attr_action *a, attr_edit *e)
{
    const span_value *there = attr_edit_find(e, a->key);
    const span_value *value = a->from.len ? attr_edit_find(e, a->from) : &a->value;
    span_value out;
    switch ((action_kind)a->kind) {
    case ACTION_INSERT:
        if (!there && value)
            attr_edit_set(e, a->key, value);
        break;
    case ACTION_UPDATE:
        if (there && value)
            attr_edit_set(e, a->key, value);
        break;
    case ACTION_UPSERT:
        if (value)
            attr_edit_set(e, a->key, value);
        break;
    case ACTION_DELETE:
    case ACTION_HASH:
        for (uint32_t i = e->count; i-- > 0;) {
            if (!names(a, &attr_edit_items(e)[i]))
                continue;
            if (a->kind == ACTION_DELETE)
                attr_edit_remove(e, i);
            else
                hash_value(e, i);
        }
        break;
    case ACTION_EXTRACT:
        extract(a, e);
        break;
    case ACTION_CONVERT:
        if (there && convert(there, a->converted_type, e->arena, &out))
            attr_edit_set(e, a->key, &out);
        break;
    }
}

void attr_actions_run(const attr_action *actions, uint32_t count, attr_edit *e)
{
    for (uint32_t i = 0; i < count; i++)
        run_action(&actions[i], e);
}

/* --- attributes */

static sx_status check_attributes(bind *b, const sx_yaml_node *map, void *target)
{
    const attributes_settings *s = target;
    if (s->action_count == 0)
        return bind_fault(b, map, "missing required field \"actions\"");
    return SX_OK;
}

static const bind_field ATTRIBUTES_FIELDS[] = {{.key = "include",
                                                .kind = BIND_STRUCT,
                                                .flags = BIND_PRESENCE,
                                                .at = S(include),
                                                .count_at = S(include.set),
                                                .table = &MATCH_SETTINGS},
                                               {.key = "exclude",
                                                .kind = BIND_STRUCT,
                                                .flags = BIND_PRESENCE,
                                                .at = S(exclude),
                                                .count_at = S(exclude.set),
                                                .table = &MATCH_SETTINGS},
                                               {.key = "actions",
                                                .kind = BIND_STRUCTS,
                                                .at = S(actions),
                                                .count_at = S(action_count),
                                                .table = &ACTION_SETTINGS},
                                               {0}};
static const bind_table ATTRIBUTES = {
    .fields = ATTRIBUTES_FIELDS, .size = sizeof(attributes_settings), .check = check_attributes};

/* Starts a batch that holds `b`; gives it on and lets it go, unless something failed. */
static span_batch *batch_over(span_batch *b, sx_error *err)
{
    span_batch *out = span_batch_new(0);
    if (!out) {
        sx_fail_memory(err, "a batch of spans");
        return NULL;
    }
    if (span_batch_hold(out, b, err) == SX_OK)
        return out;
    span_batch_unref(out);
    return NULL;
}

static sx_status take_attributes(processor *p, span_batch *b, sx_error *err)
{
    const attributes_settings *c = p->settings;
    span_batch *out = batch_over(b, err);
    sx_status st = out ? SX_OK : SX_ENOMEM;
    for (size_t i = 0; st == SX_OK && i < b->count; i++) {
        const span *s = b->spans[i];
        attr_edit e;
        attr_edit_init(&e, s->attrs, &out->arena);
        if ((!c->include.set || match_span(&c->include, s)) &&
            !(c->exclude.set && match_span(&c->exclude, s)))
            attr_actions_run(c->actions, c->action_count, &e);
        if (e.failed) {
            st = sx_fail_memory(err, "attributes");
        } else if (!attr_edit_changed(&e)) {
            st = span_batch_put(out, s, err);
        } else {
            span *copy = span_batch_copy(out, s);
            st = copy ? SX_OK : sx_fail_memory(err, "a span");
            if (copy)
                copy->attrs = attr_edit_result(&e);
        }
    }
    if (st == SX_OK)
        processor_emit(p, out);
    span_batch_unref(out);
    return st;
}

const processor_kind PROCESSOR_ATTRIBUTES = {
    .name = "attributes", .settings = &ATTRIBUTES, .take = take_attributes};

/* --- resource: the same on the resource, once for the spans that share it. */

static sx_status check_resource(bind *b, const sx_yaml_node *map, void *target)
{
    const attributes_settings *s = target;
    if (s->action_count == 0)
        return bind_fault(b, map, "missing required field \"attributes\"");
    return SX_OK;
}

static const bind_field RESOURCE_FIELDS[] = {{.key = "attributes",
                                              .kind = BIND_STRUCTS,
                                              .at = S(actions),
                                              .count_at = S(action_count),
                                              .table = &ACTION_SETTINGS},
                                             {0}};
static const bind_table RESOURCE = {
    .fields = RESOURCE_FIELDS, .size = sizeof(attributes_settings), .check = check_resource};

/* NULL: no memory. */
static const span_resource *change_resource(const attributes_settings *c, const span_resource *from,
                                            sx_arena *arena)
{
    attr_edit e;
    attr_edit_init(&e, from->attrs, arena);
    attr_actions_run(c->actions, c->action_count, &e);
    if (e.failed || !attr_edit_changed(&e))
        return e.failed ? NULL : from;
    span_resource *r = sx_arena_alloc(arena, sizeof(*r));
    if (!r)
        return NULL;
    *r = *from;
    r->attrs = attr_edit_result(&e);
    return span_resource_name(arena, r) ? r : NULL;
}

static sx_status take_resource(processor *p, span_batch *b, sx_error *err)
{
    const attributes_settings *c = p->settings;
    span_batch *out = batch_over(b, err);
    sx_status st = out ? SX_OK : SX_ENOMEM;
    const span_resource *last = NULL, *changed = NULL;
    for (size_t i = 0; st == SX_OK && i < b->count; i++) {
        const span *s = b->spans[i];
        if (s->resource != last) {
            last = s->resource;
            changed = change_resource(c, last, &out->arena);
        }
        span *copy = NULL;
        if (changed == last) {
            st = span_batch_put(out, s, err);
            continue;
        }
        if (changed)
            copy = span_batch_copy(out, s);
        if (copy)
            copy->resource = changed;
        else
            st = sx_fail_memory(err, "a resource");
    }
    if (st == SX_OK)
        processor_emit(p, out);
    span_batch_unref(out);
    return st;
}

const processor_kind PROCESSOR_RESOURCE = {
    .name = "resource", .settings = &RESOURCE, .take = take_resource};
