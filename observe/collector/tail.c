/* tail.c - reads and evaluates the policies of tail_sampling.
 *
 * Source: opentelemetry-collector-contrib, processor/tailsamplingprocessor/README.md. */
#include "observe/collector/tail.h"

#include <math.h>

#include "observe/collector/settings_impl.h"

enum { DEPTH_MAX = 8 };

#define P(member) offsetof(tail_policy, member)

/* --- Settings of each type: a table over the policy itself (of size 0). */

static const bind_field NO_FIELDS[] = {{0}};
static const bind_table NONE = {.fields = NO_FIELDS};
static const bind_field LATENCY_FIELDS[] = {
    {.key = "threshold_ms", .kind = BIND_U64, .at = P(threshold_ms)},
    {.key = "upper_threshold_ms", .kind = BIND_U64, .at = P(upper_ms)},
    {0}};
static const bind_table LATENCY = {.fields = LATENCY_FIELDS};
static const bind_field NUMERIC_FIELDS[] = {
    {.key = "key", .kind = BIND_STR, .at = P(key)},
    {.key = "min_value", .kind = BIND_CUSTOM, .read = settings_i64, .at = P(least)},
    {.key = "max_value", .kind = BIND_CUSTOM, .read = settings_i64, .at = P(most)},
    {.key = "invert_match", .kind = BIND_BOOL, .at = P(invert)},
    {0}};
static const bind_table NUMERIC = {.fields = NUMERIC_FIELDS};
static const bind_field PROBABILISTIC_FIELDS[] = {
    {.key = "hash_salt", .kind = BIND_STR, .at = P(salt)},
    {.key = "sampling_percentage", .kind = BIND_DOUBLE, .at = P(percentage)},
    {0}};
static const bind_table PROBABILISTIC = {.fields = PROBABILISTIC_FIELDS};
static const bind_field STATUS_FIELDS[] = {
    {.key = "status_codes", .kind = BIND_STRS, .at = P(values), .count_at = P(value_count)}, {0}};
static const bind_table STATUS = {.fields = STATUS_FIELDS};
static const bind_field STRING_FIELDS[] = {
    {.key = "key", .kind = BIND_STR, .at = P(key)},
    {.key = "values", .kind = BIND_STRS, .at = P(values), .count_at = P(value_count)},
    {.key = "enabled_regex_matching", .kind = BIND_BOOL, .at = P(regexp)},
    {.key = "cache_max_size", .kind = BIND_NOTHING},
    {.key = "invert_match", .kind = BIND_BOOL, .at = P(invert)},
    {0}};
static const bind_table STRING = {.fields = STRING_FIELDS};
static const bind_field RATE_FIELDS[] = {
    {.key = "spans_per_second", .kind = BIND_U64, .at = P(per_second)}, {0}};
static const bind_table RATE = {.fields = RATE_FIELDS};
static const bind_field COUNT_FIELDS[] = {{.key = "min_spans", .kind = BIND_U64, .at = P(least)},
                                          {.key = "max_spans", .kind = BIND_U64, .at = P(most)},
                                          {0}};
static const bind_table COUNT = {.fields = COUNT_FIELDS};
static const bind_field BOOLEAN_FIELDS[] = {
    {.key = "key", .kind = BIND_STR, .at = P(key)},
    {.key = "value", .kind = BIND_BOOL, .at = P(truth)},
    {.key = "invert_match", .kind = BIND_BOOL, .at = P(invert)},
    {0}};
static const bind_table BOOLEAN = {.fields = BOOLEAN_FIELDS};
static const bind_field STATE_FIELDS[] = {
    {.key = "key", .kind = BIND_STR, .at = P(key)},
    {.key = "values", .kind = BIND_STRS, .at = P(values), .count_at = P(value_count)},
    {0}};
static const bind_table STATE = {.fields = STATE_FIELDS};

static sx_status read_ottl(bind *b, const sx_yaml_node *list, ottl_context context,
                           const ottl_node ***out, uint32_t *count)
{
    sx_error err;
    if (sx_yaml_is_null(list))
        return SX_OK;
    if (sx_yaml_expect(list, SX_YAML_SEQUENCE, &err) != SX_OK)
        return bind_fault(b, list, "expected a list of conditions");
    *out = sx_arena_calloc(b->arena, list->count + 1, sizeof(**out));
    if (!*out)
        return settings_no_memory(b);
    for (uint32_t i = 0; i < list->count; i++) {
        sx_str text;
        sx_status st = bind_text(b, list->items[i], &text);
        if (st == SX_OK)
            st = ottl_parse_condition(b, list->items[i], text, context, &(*out)[*count]);
        if (st != SX_OK)
            return st;
        ++*count;
    }
    return SX_OK;
}

static sx_status read_spans(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    tail_policy *p = target;
    (void)f;
    return read_ottl(b, value, OTTL_SPAN, &p->spans, &p->span_count);
}

static sx_status read_events(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    tail_policy *p = target;
    (void)f;
    return read_ottl(b, value, OTTL_SPANEVENT, &p->events, &p->event_count);
}

static sx_status read_mode(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    sx_str mode;
    (void)f;
    sx_status st = bind_text(b, value, &mode);
    ((tail_policy *)target)->ignore_errors = st == SX_OK && !sx_str_eq(mode, SX_STR("propagate"));
    return st;
}

static const bind_field OTTL_FIELDS[] = {
    {.key = "error_mode", .kind = BIND_CUSTOM, .read = read_mode},
    {.key = "span", .kind = BIND_CUSTOM, .read = read_spans},
    {.key = "spanevent", .kind = BIND_CUSTOM, .read = read_events},
    {0}};
static const bind_table OTTL = {.fields = OTTL_FIELDS};

static const struct {
    const char *name;
    tail_type type;
    const bind_table *table; /* NULL: it has policies of its own, below this key */
    const char *children;
} TYPES[] = {
    {"always_sample", TAIL_ALWAYS, &NONE, NULL},
    {"latency", TAIL_LATENCY, &LATENCY, NULL},
    {"numeric_attribute", TAIL_NUMERIC, &NUMERIC, NULL},
    {"probabilistic", TAIL_PROBABILISTIC, &PROBABILISTIC, NULL},
    {"status_code", TAIL_STATUS, &STATUS, NULL},
    {"string_attribute", TAIL_STRING, &STRING, NULL},
    {"rate_limiting", TAIL_RATE, &RATE, NULL},
    {"span_count", TAIL_COUNT, &COUNT, NULL},
    {"boolean_attribute", TAIL_BOOLEAN, &BOOLEAN, NULL},
    {"trace_state", TAIL_STATE, &STATE, NULL},
    {"ottl_condition", TAIL_OTTL, &OTTL, NULL},
    {"and", TAIL_AND, NULL, "and_sub_policy"},
    {"not", TAIL_NOT, NULL, "not_sub_policy"},
    {"drop", TAIL_DROP, NULL, "drop_sub_policy"},
    {"composite", TAIL_COMPOSITE, NULL, "composite_sub_policy"},
};

static sx_status check_policy(bind *b, const sx_yaml_node *node, tail_policy *p)
{
    static const char *const CODES[] = {"UNSET", "OK", "ERROR"};
    bool keyed = p->type == TAIL_NUMERIC || p->type == TAIL_STRING || p->type == TAIL_BOOLEAN ||
                 p->type == TAIL_STATE;
    if (keyed && p->key.len == 0)
        return bind_fault(b, node, "the policy needs a key");
    if (p->type == TAIL_NUMERIC && p->least == INT64_MIN && p->most == INT64_MAX)
        return bind_fault(b, node, "the policy needs min_value or max_value");
    if (p->type == TAIL_STATUS && p->value_count == 0)
        return bind_fault(b, node, "expected at least one status code to filter on");
    for (uint32_t i = 0; p->type == TAIL_STATUS && i < p->value_count; i++) {
        bool known = false;
        for (size_t k = 0; k < SX_COUNT_OF(CODES); k++)
            known |= sx_str_eq(p->values[i], sx_str_z(CODES[k]));
        if (!known)
            return bind_fault(b, node, "status code \"%.*s\" is none of: UNSET, OK, ERROR",
                              SX_ARG(sx_str_first(p->values[i], 60)));
    }
    if (p->type == TAIL_OTTL && p->span_count + p->event_count == 0)
        return bind_fault(b, node, "expected at least one OTTL condition to filter on");
    if (!p->regexp)
        return SX_OK;
    p->patterns = sx_arena_calloc(b->arena, p->value_count + 1, sizeof(*p->patterns));
    if (!p->patterns)
        return settings_no_memory(b);
    sx_status st = SX_OK;
    for (uint32_t i = 0; i < p->value_count && st == SX_OK; i++)
        st = settings_regex(b, node, p->values[i], 0, &p->patterns[i]);
    return st;
}

static sx_status read_list(bind *b, const sx_yaml_node *list, int depth, tail_policy **out,
                           uint32_t *count, uint32_t *states);

/* Children in the order named, each with its share of the spans. */
static sx_status order_composite(bind *b, const sx_yaml_node *node, tail_policy *p)
{
    const sx_yaml_node *order = sx_yaml_get(node, SX_STR("policy_order"));
    const sx_yaml_node *shares = sx_yaml_get(node, SX_STR("rate_allocation"));
    const sx_yaml_node *total = sx_yaml_get(node, SX_STR("max_total_spans_per_second"));
    tail_policy *sorted = sx_arena_calloc(b->arena, p->child_count + 1, sizeof(*sorted));
    uint32_t done = 0;
    sx_error err;
    if (!sorted)
        return settings_no_memory(b);
    if (!total || sx_yaml_i64(total, 0, INT64_MAX / 100, &p->per_second, &err) != SX_OK)
        return bind_fault(b, node, "composite needs max_total_spans_per_second");
    for (uint32_t i = 0; order && order->kind == SX_YAML_SEQUENCE && i < order->count; i++) {
        sx_str name;
        uint32_t k;
        if (bind_text(b, order->items[i], &name) != SX_OK)
            return SX_EFORMAT;
        for (k = 0; k < p->child_count && !sx_str_eq(p->children[k].name, name);)
            k++;
        if (k == p->child_count || done == p->child_count)
            return bind_fault(b, order->items[i], "there is no such policy below composite");
        sorted[done++] = p->children[k];
    }
    if (done != p->child_count)
        return bind_fault(b, node, "policy_order must name each policy below composite");
    for (uint32_t k = 0; k < done; k++) {
        int64_t percent = -1;
        for (uint32_t i = 0; shares && shares->kind == SX_YAML_SEQUENCE && i < shares->count; i++) {
            const sx_yaml_node *policy = sx_yaml_get(shares->items[i], SX_STR("policy"));
            const sx_yaml_node *of = sx_yaml_get(shares->items[i], SX_STR("percent"));
            if (policy && of && policy->kind == SX_YAML_SCALAR &&
                sx_str_eq(policy->scalar, sorted[k].name) &&
                sx_yaml_i64(of, 0, 100, &percent, &err) != SX_OK)
                return bind_fault(b, of, "expected a percentage from 0 to 100");
        }
        sorted[k].share_per_second =
            percent >= 0 ? p->per_second * percent / 100 : p->per_second / (int64_t)done;
    }
    p->children = sorted;
    return SX_OK;
}

static sx_status read_policy(bind *b, const sx_yaml_node *node, int depth, tail_policy *p,
                             uint32_t *states)
{
    const sx_yaml_node *name = sx_yaml_get(node, SX_STR("name"));
    const sx_yaml_node *type = sx_yaml_get(node, SX_STR("type")), *unknown;
    sx_str word = {0};
    size_t t, at = 0;
    if (node->kind != SX_YAML_MAPPING || !name || !type || bind_text(b, name, &p->name) != SX_OK ||
        bind_text(b, type, &word) != SX_OK || p->name.len == 0)
        return bind_fault(b, node, "a policy is {name, type, and its type's settings}");
    for (t = 0; t < SX_COUNT_OF(TYPES); t++)
        if (sx_str_eq(word, sx_str_z(TYPES[t].name)))
            break;
    if (t == SX_COUNT_OF(TYPES))
        return bind_fault(b, type, "unknown sampling policy type \"%.*s\"",
                          SX_ARG(sx_str_first(word, 60)));
    const sx_str known[] = {SX_STR("name"), SX_STR("type"), word};
    while ((unknown = sx_yaml_unknown_key(node, known, SX_COUNT_OF(known), &at)))
        bind_fault(b, unknown, "unknown field of a policy of type %s", TYPES[t].name);
    p->type = (int)TYPES[t].type;
    p->state = (*states)++;
    p->share_state = (*states)++;
    p->salt = SX_STR("default-hash-seed");
    if (TYPES[t].type == TAIL_NUMERIC) { /* one of the two may be left out */
        p->least = INT64_MIN;
        p->most = INT64_MAX;
    }
    const sx_yaml_node *own = sx_yaml_get(node, word);
    if (!TYPES[t].children) {
        sx_status st = own ? bind_read(b, TYPES[t].table, own, p) : SX_OK;
        return st == SX_OK ? check_policy(b, node, p) : st;
    }
    const sx_yaml_node *list = sx_yaml_get(own, sx_str_z(TYPES[t].children));
    if (!list || depth >= DEPTH_MAX)
        return bind_fault(b, node, "the policy needs %s, at most %d deep", TYPES[t].children,
                          DEPTH_MAX);
    sx_status st;
    if (list->kind == SX_YAML_MAPPING) { /* not has one */
        p->children = sx_arena_calloc(b->arena, 1, sizeof(*p->children));
        p->child_count = 1;
        st = p->children ? read_policy(b, list, depth + 1, p->children, states)
                         : settings_no_memory(b);
    } else {
        st = read_list(b, list, depth + 1, &p->children, &p->child_count, states);
    }
    if (st != SX_OK)
        return st;
    if (p->child_count == 0)
        return bind_fault(b, node, "the policy needs %s", TYPES[t].children);
    return p->type == TAIL_COMPOSITE ? order_composite(b, own, p) : SX_OK;
}

static sx_status read_list(bind *b, const sx_yaml_node *list, int depth, tail_policy **out,
                           uint32_t *count, uint32_t *states)
{
    sx_error err;
    if (sx_yaml_expect(list, SX_YAML_SEQUENCE, &err) != SX_OK)
        return bind_fault(b, list, "expected a list of policies");
    *out = sx_arena_calloc(b->arena, list->count + 1, sizeof(**out));
    if (!*out)
        return settings_no_memory(b);
    *count = list->count;
    for (uint32_t i = 0; i < list->count; i++) {
        sx_status st = read_policy(b, list->items[i], depth, &(*out)[i], states);
        if (st != SX_OK)
            return st;
        for (uint32_t k = 0; k < i; k++)
            if (sx_str_eq((*out)[k].name, (*out)[i].name))
                return bind_fault(b, list->items[i], "duplicate policy name \"%.*s\"",
                                  SX_ARG(sx_str_first((*out)[i].name, 60)));
    }
    return SX_OK;
}

sx_status tail_read_policies(bind *b, const sx_yaml_node *list, const tail_policy **out,
                             uint32_t *count, uint32_t *states)
{
    tail_policy *items = NULL;
    sx_status st = read_list(b, list, 0, &items, count, states);
    *out = items;
    return st;
}

/* --- Judging. */

static bool value_fits(const tail_policy *p, const span_value *v)
{
    if (p->type == TAIL_NUMERIC)
        return v->type == SPAN_INT && v->i >= p->least && v->i <= p->most;
    if (p->type == TAIL_BOOLEAN)
        return v->type == SPAN_BOOL && (v->i != 0) == p->truth;
    if (v->type != SPAN_STR)
        return false;
    for (uint32_t i = 0; i < p->value_count; i++)
        if (p->regexp ? sx_regex_search(p->patterns[i], span_value_str(v))
                      : sx_str_eq(p->values[i], span_value_str(v)))
            return true;
    return false;
}

static tail_verdict judge_attribute(const tail_policy *p, const span_batch *trace)
{
    bool found = false;
    for (size_t i = 0; i < trace->count && !found; i++) {
        const span *s = trace->spans[i];
        const span_value *own = span_attrs_find(s->attrs, p->key);
        const span_value *of = span_attrs_find(s->resource->attrs, p->key);
        found = (of && value_fits(p, of)) || (own && value_fits(p, own));
    }
    if (p->invert)
        return found ? TAIL_INVERT_NO : TAIL_INVERT_YES;
    return found ? TAIL_YES : TAIL_NO;
}

static tail_verdict judge_latency(const tail_policy *p, const span_batch *trace)
{
    uint64_t start = UINT64_MAX, end = 0;
    for (size_t i = 0; i < trace->count; i++) {
        const span *s = trace->spans[i];
        start = s->start_ns < start ? s->start_ns : start;
        end = s->end_ns > end ? s->end_ns : end;
    }
    int64_t ms = end > start ? (int64_t)((end - start) / 1000000) : 0;
    bool fits = p->upper_ms ? ms > p->threshold_ms && ms <= p->upper_ms : ms >= p->threshold_ms;
    return fits ? TAIL_YES : TAIL_NO;
}

static uint64_t fnv64(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

static tail_verdict judge_chance(const tail_policy *p, const span_batch *trace)
{
    uint64_t hash = fnv64(UINT64_C(14695981039346656037), p->salt.data, p->salt.len);
    if (trace->count == 0) /* there was no memory for its spans */
        return TAIL_NO;
    hash = fnv64(hash, trace->spans[0]->trace_id, 16);
    if (p->percentage >= 100)
        return TAIL_YES;
    return p->percentage > 0 && hash <= (uint64_t)(p->percentage / 100 * 0x1p64) ? TAIL_YES
                                                                                 : TAIL_NO;
}

static tail_verdict judge_status(const tail_policy *p, const span_batch *trace)
{
    static const sx_str CODES[] = {SX_STR_INIT("UNSET"), SX_STR_INIT("OK"), SX_STR_INIT("ERROR")};
    for (size_t i = 0; i < trace->count; i++)
        for (uint32_t k = 0; k < p->value_count; k++)
            if (sx_str_eq(p->values[k], CODES[trace->spans[i]->status % SX_COUNT_OF(CODES)]))
                return TAIL_YES;
    return TAIL_NO;
}

/* A member of the trace state, "key=value,…", with one of the values. */
static tail_verdict judge_state(const tail_policy *p, const span_batch *trace)
{
    for (size_t i = 0; i < trace->count; i++) {
        sx_str rest = trace->spans[i]->trace_state, one, key, value;
        while (rest.len) {
            sx_str_cut(rest, ',', &one, &rest);
            if (!sx_str_cut(sx_str_trim(one), '=', &key, &value) || !sx_str_eq(key, p->key))
                continue;
            for (uint32_t k = 0; k < p->value_count; k++)
                if (sx_str_eq(value, p->values[k]))
                    return TAIL_YES;
        }
    }
    return TAIL_NO;
}

static bool holds(const ottl_node **list, uint32_t count, ottl_target *t)
{
    for (uint32_t i = 0; i < count; i++) {
        bool out = false; /* an error is a no, whatever error_mode says of logging it */
        if (ottl_test(list[i], t, &out) == SX_OK && out)
            return true;
    }
    return false;
}

static tail_verdict judge_ottl(const tail_policy *p, const span_batch *trace, sx_arena *arena)
{
    for (size_t i = 0; i < trace->count; i++) {
        const span *s = trace->spans[i];
        ottl_target t;
        span space;
        sx_error err = {0};
        ottl_look(&t, s, &space, arena, &err);
        if (holds(p->spans, p->span_count, &t))
            return TAIL_YES;
        for (uint32_t e = 0; p->event_count && e < s->event_count; e++) {
            span_event event = s->events[e];
            t.event = &event;
            t.event_index = e;
            attr_edit_init(&t.event_attrs, event.attrs, arena);
            if (holds(p->events, p->event_count, &t))
                return TAIL_YES;
        }
    }
    return TAIL_NO;
}

/* Whether so many spans more still fit into this second. */
static bool fits_rate(tail_rate *r, int64_t second, int64_t spans, int64_t most, bool whole)
{
    if (r->second != second)
        *r = (tail_rate){.second = second};
    if (whole ? r->spans + spans > most : r->spans + spans >= most)
        return false;
    r->spans += spans;
    return true;
}

static bool is_yes(tail_verdict v)
{
    return v == TAIL_YES || v == TAIL_INVERT_YES;
}

/* Depth is that of the settings. */
tail_verdict tail_judge(const tail_policy *p, const span_batch *trace, int64_t second,
                        tail_rate *rates, sx_arena *arena)
{
    int64_t count = (int64_t)trace->count;
    switch ((tail_type)p->type) {
    case TAIL_ALWAYS:
        return TAIL_YES;
    case TAIL_LATENCY:
        return judge_latency(p, trace);
    case TAIL_NUMERIC:
    case TAIL_STRING:
    case TAIL_BOOLEAN:
        return judge_attribute(p, trace);
    case TAIL_PROBABILISTIC:
        return judge_chance(p, trace);
    case TAIL_STATUS:
        return judge_status(p, trace);
    case TAIL_RATE:
        return fits_rate(&rates[p->state], second, count, p->per_second, false) ? TAIL_YES
                                                                                : TAIL_NO;
    case TAIL_COUNT:
        return count >= p->least && (p->most == 0 || count <= p->most) ? TAIL_YES : TAIL_NO;
    case TAIL_STATE:
        return judge_state(p, trace);
    case TAIL_OTTL:
        return judge_ottl(p, trace, arena);
    case TAIL_NOT:
        return is_yes(tail_judge(p->children, trace, second, rates, arena)) ? TAIL_NO : TAIL_YES;
    case TAIL_AND:
    case TAIL_DROP:
        for (uint32_t i = 0; i < p->child_count; i++)
            if (!is_yes(tail_judge(&p->children[i], trace, second, rates, arena)))
                return TAIL_NO;
        return p->type == TAIL_DROP ? TAIL_DROPPED : TAIL_YES;
    case TAIL_COMPOSITE:
        for (uint32_t i = 0; i < p->child_count; i++) {
            const tail_policy *c = &p->children[i];
            if (is_yes(tail_judge(c, trace, second, rates, arena)))
                return fits_rate(&rates[c->share_state], second, count, c->share_per_second, true)
                           ? TAIL_YES
                           : TAIL_NO;
        }
        return TAIL_NO;
    }
    return TAIL_NO;
}
