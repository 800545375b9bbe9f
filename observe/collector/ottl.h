/* ottl.h - the OpenTelemetry Transformation Language: conditions and statements on spans.
 *
 *     set(span.attributes["env"], "prod") where resource.attributes["host"] == nil and IsMatch(name, "^GET")
 *
 * Parsed once with the settings (an unknown function or path is a named error at its line and column),
 * evaluated for each span. Values are span_values; nil is EMPTY; times are nanoseconds since 1970 and
 * Duration() gives nanoseconds, so that they add and compare as numbers. Used by filter, transform and
 * tail_sampling. Source: opentelemetry-collector-contrib, pkg/ottl (README, LANGUAGE.md, ottlfuncs). */
#ifndef OBSERVE_COLLECTOR_OTTL_H
#define OBSERVE_COLLECTOR_OTTL_H

#include "observe/collector/edit.h"
#include "observe/collector/settings.h"
#include "observe/spans/span.h"

typedef enum ottl_context { OTTL_RESOURCE, OTTL_SCOPE, OTTL_SPAN, OTTL_SPANEVENT } ottl_context;

typedef struct ottl_node ottl_node;

/* What is looked at and changed. Fields of `span` and `event` are written in place: the caller gives
 * copies of its own, and looks at the flags. */
typedef struct ottl_target {
    sx_arena *arena; /* of the batch that will hold what is changed */
    span *span;      /* its attributes are in attrs; NULL in the contexts resource and scope */
    span_event *event;
    uint32_t event_index;
    span_resource *resource;
    span_scope *scope;
    attr_edit attrs, event_attrs, resource_attrs, scope_attrs, cache;
    bool span_changed, event_changed, resource_changed, scope_changed; /* fields, not attributes */
    sx_error *err;
} ottl_target;

/* `text` stands at `node`. Faults are noted in b. */
sx_status ottl_parse_condition(bind *b, const sx_yaml_node *node, sx_str text, ottl_context context,
                               const ottl_node **out);
sx_status ottl_parse_statement(bind *b, const sx_yaml_node *node, sx_str text, ottl_context context,
                               const ottl_node **out);

/* Whether the condition holds. Errors: a value of another type than the function takes. */
sx_status ottl_test(const ottl_node *condition, ottl_target *t, bool *out);

/* Runs a statement if its condition holds. */
sx_status ottl_run(const ottl_node *statement, ottl_target *t);

/* A target over one span that nothing changes, for conditions. `space` is its own copy of the span. */
void ottl_look(ottl_target *t, const span *s, span *space, sx_arena *arena, sx_error *err);

#endif
