/* edit.h - changed spans beside unchanged ones: attributes copied only when the first change comes.
 *
 * A list that is edited is copied into the arena of the batch that will hold the span; keys and values
 * that stay are shared. Keys and values put in must live as long as that batch or the settings. */
#ifndef OBSERVE_COLLECTOR_EDIT_H
#define OBSERVE_COLLECTOR_EDIT_H

#include "observe/collector/settings.h"
#include "observe/spans/span.h"

typedef struct attr_edit {
    sx_arena *arena;
    span_attr *items; /* NULL until the first change */
    span_attrs from;
    uint32_t count, cap;
    bool failed; /* no memory: from then on nothing changes */
} attr_edit;

void attr_edit_init(attr_edit *e, span_attrs from, sx_arena *arena);
static inline bool attr_edit_changed(const attr_edit *e)
{
    return e->items != NULL;
}
span_attrs attr_edit_result(const attr_edit *e);

/* The list as it is now. */
static inline const span_attr *attr_edit_items(const attr_edit *e)
{
    return e->items ? e->items : e->from.items;
}
const span_value *attr_edit_find(const attr_edit *e, sx_str key);

/* Sets or adds; removes number `i`. */
void attr_edit_set(attr_edit *e, sx_str key, const span_value *v);
void attr_edit_value(attr_edit *e, uint32_t i, const span_value *v);
void attr_edit_remove(attr_edit *e, uint32_t i);

/* A YAML value as a span's: numbers, booleans, texts, lists, mappings. In the settings' arena. */
sx_status settings_value(bind *b, const sx_yaml_node *node, span_value *out);

/* A text made of a value in an arena, as pcommon's AsString. data NULL: no memory. */
sx_str span_value_string(const span_value *v, sx_arena *arena);

/* --- include and exclude. */

typedef struct match_attr {
    sx_str key;
    span_value value; /* EMPTY: any */
    const sx_regex *pattern;
} match_attr;

typedef struct match_texts {
    const sx_str *items;
    const sx_regex **patterns; /* as many; NULL: strict */
    uint32_t count;
} match_texts;

typedef struct match_settings {
    bool set, regexp;
    sx_str match_type;
    match_texts services, span_names, span_kinds;
    const match_attr *attributes, *resources;
    uint32_t attribute_count, resource_count;
    const struct match_library {
        sx_str name, version; /* version data NULL: any */
        const sx_regex *name_pattern, *version_pattern;
    } *libraries;
    uint32_t library_count;
} match_settings;

extern const bind_table MATCH_SETTINGS;

/* All that is given must hold: one of each list of texts, every attribute. */
bool match_span(const match_settings *m, const span *s);

/* --- actions */

typedef enum action_kind {
    ACTION_INSERT,
    ACTION_UPDATE,
    ACTION_UPSERT,
    ACTION_DELETE,
    ACTION_HASH,
    ACTION_EXTRACT,
    ACTION_CONVERT
} action_kind;

typedef struct attr_action {
    sx_str key, from, converted_type;
    int kind; /* action_kind */
    span_value value;
    bool has_value;
    const sx_regex *pattern;
    sx_str pattern_text;
    const sx_str *group_names; /* of extract; number i is group i + 1 */
    uint32_t group_count;
} attr_action;

extern const bind_table ACTION_SETTINGS;
void attr_actions_run(const attr_action *actions, uint32_t count, attr_edit *e);

/* SHA-256 in hexadecimal, in an arena. data NULL: no memory. */
sx_str hash_hex(sx_str bytes, sx_arena *arena);

#endif
