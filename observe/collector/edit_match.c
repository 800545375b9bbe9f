/* edit_match.c - include and exclude: which spans a processor means, by service, name, kind, attributes,
 * resource and instrumentation library.
 *
 * Source: opentelemetry-collector-contrib, internal/filter/filterconfig and filterspan. */
#include "observe/collector/edit.h"
#include "observe/collector/settings_impl.h"

#define M(member) offsetof(match_settings, member)

/* Lists are kept as they stand; patterns are compiled when the whole is checked. */
static sx_status read_texts(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    match_texts *t = (match_texts *)(void *)((char *)target + f->at);
    bind_field texts = {.key = f->key,
                        .kind = BIND_STRS,
                        .at = offsetof(match_texts, items),
                        .count_at = offsetof(match_texts, count)};
    return bind_read_field(b, &texts, value, t);
}

/* A list of {key, value}. */
static sx_status read_attrs(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    sx_error err;
    if (sx_yaml_expect(value, SX_YAML_SEQUENCE, &err) != SX_OK)
        return bind_fault(b, value, "expected a list of {key, value}");
    match_attr *items = sx_arena_calloc(b->arena, value->count + 1, sizeof(*items));
    if (!items)
        return settings_no_memory(b);
    for (uint32_t i = 0; i < value->count; i++) {
        static const sx_str KEYS[] = {SX_STR_INIT("key"), SX_STR_INIT("value")};
        const sx_yaml_node *one = value->items[i];
        const sx_yaml_node *key = sx_yaml_get(one, SX_STR("key"));
        const sx_yaml_node *of = sx_yaml_get(one, SX_STR("value"));
        size_t at = 0;
        if (!key || bind_text(b, key, &items[i].key) != SX_OK || items[i].key.len == 0)
            return bind_fault(b, one, "can't have empty key in the list of attributes");
        const sx_yaml_node *unknown = sx_yaml_unknown_key(one, KEYS, SX_COUNT_OF(KEYS), &at);
        if (unknown)
            return bind_fault(b, unknown, "unknown field");
        sx_status st = of ? settings_value(b, of, &items[i].value) : SX_OK;
        if (st != SX_OK)
            return st;
    }
    *(const match_attr **)(void *)((char *)target + f->at) = items;
    *(uint32_t *)(void *)((char *)target + f->count_at) = value->count;
    return SX_OK;
}

static const bind_field LIBRARY_FIELDS[] = {
    {.key = "name", .kind = BIND_STR, .at = offsetof(struct match_library, name)},
    {.key = "version", .kind = BIND_STR, .at = offsetof(struct match_library, version)},
    {0}};
static const bind_table LIBRARY = {.fields = LIBRARY_FIELDS, .size = sizeof(struct match_library)};

static sx_status compile_texts(bind *b, const sx_yaml_node *map, match_texts *t)
{
    if (t->count == 0)
        return SX_OK;
    t->patterns = sx_arena_calloc(b->arena, t->count, sizeof(*t->patterns));
    if (!t->patterns)
        return settings_no_memory(b);
    for (uint32_t i = 0; i < t->count; i++) {
        sx_status st = settings_regex(b, map, t->items[i], 0, &t->patterns[i]);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

static sx_status compile_attrs(bind *b, const sx_yaml_node *map, const match_attr *items,
                               uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        match_attr *a = (match_attr *)(uintptr_t)&items[i]; /* the arena's, still being read */
        if (a->value.type == SPAN_EMPTY)
            continue;
        if (a->value.type != SPAN_STR)
            return bind_fault(b, map,
                              "match_type=regexp for \"%.*s\" only supports texts as values",
                              SX_ARG(a->key));
        sx_status st = settings_regex(b, map, span_value_str(&a->value), 0, &a->pattern);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

static sx_status compile_libraries(bind *b, const sx_yaml_node *map, match_settings *m)
{
    sx_status st = SX_OK;
    for (uint32_t i = 0; i < m->library_count && st == SX_OK; i++) {
        struct match_library *l = (struct match_library *)(uintptr_t)&m->libraries[i];
        st = settings_regex(b, map, l->name, 0, &l->name_pattern);
        if (st == SX_OK && l->version.data)
            st = settings_regex(b, map, l->version, 0, &l->version_pattern);
    }
    return st;
}

static sx_status check(bind *b, const sx_yaml_node *map, void *target)
{
    match_settings *m = target;
    m->regexp = sx_str_eq(m->match_type, SX_STR("regexp"));
    if (!m->regexp && !sx_str_eq(m->match_type, SX_STR("strict")))
        return bind_fault(b, map, "match_type \"%.*s\" is none of: strict, regexp",
                          SX_ARG(sx_str_first(m->match_type, 60)));
    if (m->services.count + m->span_names.count + m->span_kinds.count + m->attribute_count +
            m->resource_count + m->library_count ==
        0)
        return bind_fault(b, map,
                          "at least one of services, span_names, span_kinds, attributes, libraries "
                          "or resources must be specified");
    if (!m->regexp)
        return SX_OK;
    sx_status st = compile_texts(b, map, &m->services);
    if (st == SX_OK)
        st = compile_texts(b, map, &m->span_names);
    if (st == SX_OK)
        st = compile_texts(b, map, &m->span_kinds);
    if (st == SX_OK)
        st = compile_attrs(b, map, m->attributes, m->attribute_count);
    if (st == SX_OK)
        st = compile_attrs(b, map, m->resources, m->resource_count);
    return st == SX_OK ? compile_libraries(b, map, m) : st;
}

static const bind_field FIELDS[] = {
    {.key = "match_type", .kind = BIND_STR, .at = M(match_type)},
    {.key = "regexp", .kind = BIND_NOTHING}, /* the sizes of Go's cache */
    {.key = "services", .kind = BIND_CUSTOM, .read = read_texts, .at = M(services)},
    {.key = "span_names", .kind = BIND_CUSTOM, .read = read_texts, .at = M(span_names)},
    {.key = "span_kinds", .kind = BIND_CUSTOM, .read = read_texts, .at = M(span_kinds)},
    {.key = "attributes",
     .kind = BIND_CUSTOM,
     .read = read_attrs,
     .at = M(attributes),
     .count_at = M(attribute_count)},
    {.key = "resources",
     .kind = BIND_CUSTOM,
     .read = read_attrs,
     .at = M(resources),
     .count_at = M(resource_count)},
    {.key = "libraries",
     .kind = BIND_STRUCTS,
     .at = M(libraries),
     .count_at = M(library_count),
     .table = &LIBRARY},
    {.key = "log_bodies", .kind = BIND_REFUSED, .note = "only spans are looked at"},
    {.key = "log_severity_texts", .kind = BIND_REFUSED, .note = "only spans are looked at"},
    {.key = "log_severity_number", .kind = BIND_REFUSED, .note = "only spans are looked at"},
    {.key = "metric_names", .kind = BIND_REFUSED, .note = "only spans are looked at"},
    {0}};
const bind_table MATCH_SETTINGS = {
    .fields = FIELDS, .size = sizeof(match_settings), .check = check};

/* --- Matching. */

static bool match_text(const match_texts *t, sx_str text)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->patterns ? sx_regex_search(t->patterns[i], text) : sx_str_eq(t->items[i], text))
            return true;
    return t->count == 0;
}

static bool match_value(const match_attr *a, const span_value *v)
{
    if (!v)
        return false;
    if (a->value.type == SPAN_EMPTY)
        return true;
    if (!a->pattern)
        return span_value_eq(&a->value, v);
    if (v->type == SPAN_STR)
        return sx_regex_search(a->pattern, span_value_str(v));
    sx_buf text;
    sx_buf_init(&text, 0);
    span_value_text(v, &text);
    bool found = !text.failed && sx_regex_search(a->pattern, sx_buf_view(&text));
    sx_buf_done(&text);
    return found;
}

static bool match_attrs(const match_attr *items, uint32_t count, span_attrs attrs)
{
    for (uint32_t i = 0; i < count; i++)
        if (!match_value(&items[i], span_attrs_find(attrs, items[i].key)))
            return false;
    return true;
}

static bool match_library(const match_settings *m, const span_scope *scope)
{
    for (uint32_t i = 0; i < m->library_count; i++) {
        const struct match_library *l = &m->libraries[i];
        bool name = l->name_pattern ? sx_regex_search(l->name_pattern, scope->name)
                                    : sx_str_eq(l->name, scope->name);
        bool version = !l->version.data ||
                       (l->version_pattern ? sx_regex_search(l->version_pattern, scope->version)
                                           : sx_str_eq(l->version, scope->version));
        if (name && version)
            return true;
    }
    return m->library_count == 0;
}

bool match_span(const match_settings *m, const span *s)
{
    static const sx_str KINDS[] = {
        SX_STR_INIT("SPAN_KIND_UNSPECIFIED"), SX_STR_INIT("SPAN_KIND_INTERNAL"),
        SX_STR_INIT("SPAN_KIND_SERVER"),      SX_STR_INIT("SPAN_KIND_CLIENT"),
        SX_STR_INIT("SPAN_KIND_PRODUCER"),    SX_STR_INIT("SPAN_KIND_CONSUMER")};
    return match_text(&m->services, s->resource->service) && match_text(&m->span_names, s->name) &&
           match_text(&m->span_kinds, KINDS[s->kind < SX_COUNT_OF(KINDS) ? s->kind : 0]) &&
           match_library(m, s->scope) &&
           match_attrs(m->resources, m->resource_count, s->resource->attrs) &&
           match_attrs(m->attributes, m->attribute_count, s->attrs);
}
