/* processor_transform.c - filter and transform: OTTL over spans, their events, scopes and resources.
 *
 * transform runs each group of statements over the whole batch before the next one. Spans that share a
 * resource or a scope go on sharing it when a statement changes it.
 * Sources: opentelemetry-collector-contrib, processor/filterprocessor and transformprocessor (READMEs). */
#include "observe/collector/ottl.h"
#include "observe/collector/processor.h"
#include "observe/collector/settings_impl.h"

typedef struct ottl_list {
    const ottl_node **items;
    uint32_t count;
} ottl_list;

typedef struct statement_group {
    ottl_context context;
    bool ignore; /* errors */
    ottl_list conditions, statements;
} statement_group;

typedef struct transform_settings {
    bool ignore; /* error_mode; propagate */
    statement_group *groups;
    uint32_t group_count;
} transform_settings;

typedef struct filter_settings {
    bool ignore; /* error_mode; propagate */
    ottl_list spans, events;
    match_settings include, exclude;
} filter_settings;

/* --- Settings. */

static sx_status check_mode(bind *b, const sx_yaml_node *at, sx_str mode, bool *ignore)
{
    *ignore = sx_str_eq(mode, SX_STR("ignore")) || sx_str_eq(mode, SX_STR("silent"));
    if (!*ignore && !sx_str_eq(mode, SX_STR("propagate")))
        return bind_fault(b, at, "error_mode \"%.*s\" is none of: ignore, silent, propagate",
                          SX_ARG(sx_str_first(mode, 60)));
    return SX_OK;
}

static sx_status read_list(bind *b, const sx_yaml_node *list, ottl_context context, bool statements,
                           ottl_list *out)
{
    sx_error err;
    if (sx_yaml_is_null(list))
        return SX_OK;
    if (sx_yaml_expect(list, SX_YAML_SEQUENCE, &err) != SX_OK)
        return bind_fault(b, list, "expected a list of OTTL");
    out->items = sx_arena_calloc(b->arena, list->count + 1, sizeof(*out->items));
    if (!out->items)
        return settings_no_memory(b);
    for (uint32_t i = 0; i < list->count; i++) {
        sx_str text;
        sx_status st = bind_text(b, list->items[i], &text);
        if (st == SX_OK)
            st = (statements ? ottl_parse_statement : ottl_parse_condition)(
                b, list->items[i], text, context, &out->items[i]);
        if (st == SX_ENOMEM)
            return st;
        out->count += st == SX_OK;
    }
    return SX_OK;
}

static const struct {
    const char *name;
    ottl_context context;
} CONTEXTS[] = {{"resource", OTTL_RESOURCE},
                {"scope", OTTL_SCOPE},
                {"span", OTTL_SPAN},
                {"spanevent", OTTL_SPANEVENT}};

/* The context of a statement that stands alone: the innermost that its paths name. */
static ottl_context infer(sx_str text)
{
    if (sx_str_find(text, SX_STR("spanevent.")) < text.len)
        return OTTL_SPANEVENT;
    if (sx_str_find(text, SX_STR("span.")) < text.len)
        return OTTL_SPAN;
    if (sx_str_find(text, SX_STR("scope.")) < text.len)
        return OTTL_SCOPE;
    return sx_str_find(text, SX_STR("resource.")) < text.len ? OTTL_RESOURCE : OTTL_SPAN;
}

static sx_status read_group(bind *b, const sx_yaml_node *node, statement_group *g)
{
    static const sx_str KEYS[] = {SX_STR_INIT("context"), SX_STR_INIT("conditions"),
                                  SX_STR_INIT("statements"), SX_STR_INIT("error_mode")};
    const sx_yaml_node *context = sx_yaml_get(node, SX_STR("context")), *unknown;
    const sx_yaml_node *mode = sx_yaml_get(node, SX_STR("error_mode"));
    const sx_yaml_node *statements = sx_yaml_get(node, SX_STR("statements"));
    sx_str text;
    size_t at = 0;
    if (node->kind != SX_YAML_MAPPING)
        return bind_fault(b, node, "expected {context, statements}, or a statement");
    while ((unknown = sx_yaml_unknown_key(node, KEYS, SX_COUNT_OF(KEYS), &at)))
        bind_fault(b, unknown, "unknown field");
    g->context = OTTL_SPAN;
    if (context) {
        size_t i;
        if (bind_text(b, context, &text) != SX_OK)
            return SX_EFORMAT;
        for (i = 0; i < SX_COUNT_OF(CONTEXTS); i++)
            if (sx_str_eq(text, sx_str_z(CONTEXTS[i].name)))
                break;
        if (i == SX_COUNT_OF(CONTEXTS))
            return bind_fault(b, context,
                              "context \"%.*s\" is none of: resource, scope, span, spanevent",
                              SX_ARG(sx_str_first(text, 60)));
        g->context = CONTEXTS[i].context;
    } else if (statements && statements->kind == SX_YAML_SEQUENCE && statements->count &&
               bind_text(b, statements->items[0], &text) == SX_OK) {
        g->context = infer(text);
    }
    if (mode &&
        (bind_text(b, mode, &text) != SX_OK || check_mode(b, mode, text, &g->ignore) != SX_OK))
        return SX_EFORMAT;
    sx_status st =
        read_list(b, sx_yaml_get(node, SX_STR("conditions")), g->context, false, &g->conditions);
    return st == SX_OK ? read_list(b, statements, g->context, true, &g->statements) : st;
}

static sx_status read_groups(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    transform_settings *s = target;
    sx_error err;
    (void)f;
    if (sx_yaml_expect(value, SX_YAML_SEQUENCE, &err) != SX_OK)
        return bind_fault(b, value, "expected a list of statements");
    s->groups = sx_arena_calloc(b->arena, value->count + 1, sizeof(*s->groups));
    if (!s->groups)
        return settings_no_memory(b);
    s->group_count = value->count;
    for (uint32_t i = 0; i < value->count; i++) {
        statement_group *g = &s->groups[i];
        const sx_yaml_node *node = value->items[i];
        g->ignore = s->ignore; /* error_mode is read before */
        sx_status st;
        if (node->kind == SX_YAML_SCALAR) {
            sx_str text;
            g->statements.items = sx_arena_calloc(b->arena, 1, sizeof(*g->statements.items));
            if (!g->statements.items)
                return settings_no_memory(b);
            st = bind_text(b, node, &text);
            if (st == SX_OK) {
                g->context = infer(text);
                st = ottl_parse_statement(b, node, text, g->context, &g->statements.items[0]);
                g->statements.count = st == SX_OK;
            }
        } else {
            st = read_group(b, node, g);
        }
        if (st == SX_ENOMEM)
            return st;
    }
    return SX_OK;
}

static sx_status read_mode(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    sx_str mode;
    sx_status st = bind_text(b, value, &mode);
    return st == SX_OK ? check_mode(b, value, mode, (bool *)(void *)((char *)target + f->at)) : st;
}

static const bind_field TRANSFORM_FIELDS[] = {
    {.key = "error_mode",
     .kind = BIND_CUSTOM,
     .read = read_mode,
     .at = offsetof(transform_settings, ignore)},
    {.key = "trace_statements", .kind = BIND_CUSTOM, .read = read_groups},
    {.key = "metric_statements", .kind = BIND_REFUSED, .note = "only spans are transformed"},
    {.key = "log_statements", .kind = BIND_REFUSED, .note = "only spans are transformed"},
    {.key = "profile_statements", .kind = BIND_REFUSED, .note = "only spans are transformed"},
    {.key = "flatten_data", .kind = BIND_REFUSED, .note = "it belongs to logs"},
    {0}};
static const bind_table TRANSFORM = {.fields = TRANSFORM_FIELDS,
                                     .size = sizeof(transform_settings)};

static sx_status read_conditions(bind *b, const sx_yaml_node *value, void *target,
                                 const bind_field *f)
{
    bool events = f->at == offsetof(filter_settings, events);
    return read_list(b, value, events ? OTTL_SPANEVENT : OTTL_SPAN, false,
                     (ottl_list *)(void *)((char *)target + f->at));
}

#define F(member) offsetof(filter_settings, member)

static const bind_field TRACES_FIELDS[] = {
    {.key = "span", .kind = BIND_CUSTOM, .read = read_conditions, .at = F(spans)},
    {.key = "spanevent", .kind = BIND_CUSTOM, .read = read_conditions, .at = F(events)},
    {0}};
static const bind_table TRACES = {.fields = TRACES_FIELDS};
static const bind_field SPANS_FIELDS[] = {{.key = "include",
                                           .kind = BIND_STRUCT,
                                           .flags = BIND_PRESENCE,
                                           .at = F(include),
                                           .count_at = F(include.set),
                                           .table = &MATCH_SETTINGS},
                                          {.key = "exclude",
                                           .kind = BIND_STRUCT,
                                           .flags = BIND_PRESENCE,
                                           .at = F(exclude),
                                           .count_at = F(exclude.set),
                                           .table = &MATCH_SETTINGS},
                                          {0}};
static const bind_table SPANS = {.fields = SPANS_FIELDS};

static sx_status check_filter(bind *b, const sx_yaml_node *map, void *target)
{
    const filter_settings *s = target;
    if ((s->spans.count || s->events.count) && (s->include.set || s->exclude.set))
        return bind_fault(b, map, "give OTTL conditions (traces) or include and exclude (spans)");
    return SX_OK;
}

static const bind_field FILTER_FIELDS[] = {
    {.key = "error_mode", .kind = BIND_CUSTOM, .read = read_mode, .at = F(ignore)},
    {.key = "traces", .kind = BIND_STRUCT, .table = &TRACES},
    {.key = "spans", .kind = BIND_STRUCT, .table = &SPANS},
    {.key = "trace_conditions", .kind = BIND_REFUSED, .note = "write traces: {span: […]}"},
    {.key = "metrics", .kind = BIND_REFUSED, .note = "only spans are filtered"},
    {.key = "logs", .kind = BIND_REFUSED, .note = "only spans are filtered"},
    {.key = "profiles", .kind = BIND_REFUSED, .note = "only spans are filtered"},
    {0}};
static const bind_table FILTER = {
    .fields = FILTER_FIELDS, .size = sizeof(filter_settings), .check = check_filter};

/* --- filter */

typedef struct filter_state {
    sx_counter *filtered;
} filter_state;

static sx_status create_filter(processor *p, sx_error *err)
{
    filter_state *s = p->state;
    (void)err;
    s->filtered = processor_counter(p, "otelcol_processor_filter_spans_filtered",
                                    "Spans that the filter left out.");
    return SX_OK;
}

/* Whether one of the conditions holds. */
static sx_status any(const ottl_list *list, bool ignore, ottl_target *t, bool *out)
{
    *out = false;
    for (uint32_t i = 0; i < list->count && !*out; i++) {
        sx_status st = ottl_test(list->items[i], t, out);
        if (st == SX_ENOMEM || (st != SX_OK && !ignore))
            return st;
        if (st != SX_OK)
            *out = false;
    }
    return SX_OK;
}

/* Puts a span without the events that are to go; the span as it is if none is. */
static sx_status put_filtered(const filter_settings *c, span_batch *out, const span *s,
                              ottl_target *t, sx_error *err)
{
    span_event *kept = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; c->events.count && i < s->event_count; i++) {
        span_event event = s->events[i];
        bool drop = false;
        t->event = &event;
        t->event_index = i;
        attr_edit_init(&t->event_attrs, event.attrs, &out->arena);
        sx_status st = any(&c->events, c->ignore, t, &drop);
        if (st != SX_OK)
            return st;
        if (drop && !kept) {
            kept = sx_arena_calloc(&out->arena, s->event_count, sizeof(*kept));
            if (!kept)
                return sx_fail_memory(err, "events");
            memcpy(kept, s->events, i * sizeof(*kept));
            count = i;
        }
        if (!drop && kept)
            kept[count++] = event;
    }
    if (!kept)
        return span_batch_put(out, s, err);
    span *copy = span_batch_copy(out, s);
    if (!copy)
        return sx_fail_memory(err, "a span");
    copy->events = kept;
    copy->event_count = count;
    return SX_OK;
}

static bool is_out(const filter_settings *c, const span *s)
{
    return (c->include.set && !match_span(&c->include, s)) ||
           (c->exclude.set && match_span(&c->exclude, s));
}

static sx_status take_filter(processor *p, span_batch *b, sx_error *err)
{
    const filter_settings *c = p->settings;
    filter_state *state = p->state;
    span_batch *out = span_batch_new(0);
    sx_status st = out ? span_batch_hold(out, b, err) : sx_fail_memory(err, "a batch of spans");
    for (size_t i = 0; st == SX_OK && i < b->count; i++) {
        const span *s = b->spans[i];
        ottl_target t;
        span space;
        bool drop = is_out(c, s);
        ottl_look(&t, s, &space, &out->arena, err);
        if (!drop)
            st = any(&c->spans, c->ignore, &t, &drop);
        if (st == SX_OK && !drop)
            st = put_filtered(c, out, s, &t, err);
    }
    if (st == SX_OK) {
        processor_count(state->filtered, b->count - out->count);
        processor_emit(p, out);
    }
    span_batch_unref(out);
    return st;
}

const processor_kind PROCESSOR_FILTER = {.name = "filter",
                                         .settings = &FILTER,
                                         .size = sizeof(filter_state),
                                         .create = create_filter,
                                         .take = take_filter};

/* --- transform */

static sx_status run_statements(const statement_group *g, ottl_target *t)
{
    bool wanted = true;
    sx_status st = SX_OK;
    if (g->conditions.count)
        st = any(&g->conditions, g->ignore, t, &wanted);
    for (uint32_t i = 0; st == SX_OK && wanted && i < g->statements.count; i++) {
        st = ottl_run(g->statements.items[i], t);
        if (st != SX_ENOMEM && g->ignore)
            st = SX_OK;
    }
    return st;
}

/* All events of a span; *events is the new list if one has changed. */
static sx_status run_events(const statement_group *g, ottl_target *t, const span *s,
                            const span_event **events)
{
    span_event *fresh = NULL;
    *events = s->events;
    for (uint32_t i = 0; i < s->event_count; i++) {
        span_event event = s->events[i];
        t->event = &event;
        t->event_index = i;
        t->event_changed = false;
        attr_edit_init(&t->event_attrs, event.attrs, t->arena);
        sx_status st = run_statements(g, t);
        if (st != SX_OK)
            return st;
        if (!t->event_changed && !attr_edit_changed(&t->event_attrs))
            continue;
        if (!fresh) {
            fresh = sx_arena_calloc(t->arena, s->event_count, sizeof(*fresh));
            if (!fresh)
                return sx_fail_memory(t->err, "events");
            memcpy(fresh, s->events, s->event_count * sizeof(*fresh));
            *events = fresh;
        }
        event.attrs = attr_edit_result(&t->event_attrs);
        fresh[i] = event;
    }
    return SX_OK;
}

static sx_status run_span(const statement_group *g, ottl_target *t, span_batch *out, const span *s)
{
    span work = *s;
    t->span = &work;
    t->span_changed = false;
    attr_edit_init(&t->attrs, s->attrs, t->arena);
    attr_edit_init(&t->cache, (span_attrs){0}, t->arena);
    sx_status st =
        g->context == OTTL_SPANEVENT ? run_events(g, t, s, &work.events) : run_statements(g, t);
    if (st != SX_OK)
        return st;
    if (!t->span_changed && !attr_edit_changed(&t->attrs) && work.events == s->events)
        return span_batch_put(out, s, t->err);
    span *copy = span_batch_add(out);
    if (!copy)
        return sx_fail_memory(t->err, "a span");
    *copy = work;
    copy->attrs = attr_edit_result(&t->attrs);
    return SX_OK;
}

/* Spans from `first` on get the resource and scope that statements have changed. */
static sx_status put_shared(ottl_target *t, span_batch *out, size_t first)
{
    bool resource = t->resource_changed || attr_edit_changed(&t->resource_attrs);
    bool scope = t->scope_changed || attr_edit_changed(&t->scope_attrs);
    if (!resource && !scope)
        return SX_OK;
    t->resource->attrs = attr_edit_result(&t->resource_attrs);
    t->scope->attrs = attr_edit_result(&t->scope_attrs);
    if (!span_resource_name(t->arena, t->resource))
        return sx_fail_memory(t->err, "a resource");
    for (size_t i = first; i < out->count; i++) {
        span *copy = sx_arena_alloc(t->arena, sizeof(*copy));
        if (!copy)
            return sx_fail_memory(t->err, "a span");
        *copy = *out->spans[i];
        if (resource)
            copy->resource = t->resource;
        if (scope)
            copy->scope = t->scope;
        out->spans[i] = copy;
    }
    return SX_OK;
}

/* Spans of one resource and scope. */
static sx_status run_shared(const statement_group *g, span_batch *out, const span **spans,
                            size_t count, sx_error *err)
{
    ottl_target t = {.arena = &out->arena, .err = err};
    size_t first = out->count;
    t.resource = sx_arena_alloc(&out->arena, sizeof(*t.resource));
    t.scope = sx_arena_alloc(&out->arena, sizeof(*t.scope));
    if (!t.resource || !t.scope)
        return sx_fail_memory(err, "a resource");
    *t.resource = *spans[0]->resource;
    *t.scope = *spans[0]->scope;
    attr_edit_init(&t.resource_attrs, t.resource->attrs, t.arena);
    attr_edit_init(&t.scope_attrs, t.scope->attrs, t.arena);
    attr_edit_init(&t.cache, (span_attrs){0}, t.arena);
    sx_status st = SX_OK;
    if (g->context <= OTTL_SCOPE)
        st = run_statements(g, &t);
    for (size_t i = 0; st == SX_OK && i < count; i++)
        st = g->context <= OTTL_SCOPE ? span_batch_put(out, spans[i], err)
                                      : run_span(g, &t, out, spans[i]);
    return st == SX_OK ? put_shared(&t, out, first) : st;
}

static sx_status run_group(const statement_group *g, span_batch *in, span_batch **result,
                           sx_error *err)
{
    span_batch *out = span_batch_new(0);
    sx_status st = out ? span_batch_hold(out, in, err) : sx_fail_memory(err, "a batch of spans");
    for (size_t i = 0, end; st == SX_OK && i < in->count; i = end) {
        for (end = i + 1; end < in->count && in->spans[end]->resource == in->spans[i]->resource &&
                          in->spans[end]->scope == in->spans[i]->scope;)
            end++;
        st = run_shared(g, out, &in->spans[i], end - i, err);
    }
    if (st == SX_OK)
        *result = out;
    else
        span_batch_unref(out);
    return st;
}

static sx_status take_transform(processor *p, span_batch *b, sx_error *err)
{
    const transform_settings *c = p->settings;
    span_batch *now = span_batch_ref(b);
    sx_status st = SX_OK;
    for (uint32_t i = 0; st == SX_OK && i < c->group_count; i++) {
        span_batch *next = NULL;
        st = run_group(&c->groups[i], now, &next, err);
        if (st == SX_OK) {
            span_batch_unref(now);
            now = next;
        }
    }
    if (st == SX_OK)
        processor_emit(p, now);
    span_batch_unref(now);
    return st;
}

const processor_kind PROCESSOR_TRANSFORM = {
    .name = "transform", .settings = &TRANSFORM, .take = take_transform};
