/* proto_filter.c - Jaeger's structured filters as ours: jaeger.expression.v1.Call to span_filter.
 *
 * A comparison on what is not there is false; `ne` and `not_in` ask for spans that have the reference
 * and hold nothing that matches; an attribute without a level is one of the span or the resource.
 * Source: jaeger-idl proto/expression/v1/expression.proto; Jaeger's RFC 0005, sections 5 and 6. */
#include <stdio.h>

#include <sextant/mem.h>
#include <sextant/number.h>

#include "codec/go_text.h"
#include "observe/jaeger/proto.h"
#include "observe/jaeger/proto_words.h"
#include "telemetry/otlp_json.h"

enum { ARGS_MAX = 256 };

typedef struct reading {
    sx_arena *arena;
    jaeger_regexes *regexes;
    sx_error *err;
    uint32_t depth, nodes;
} reading;

typedef enum field_type { TYPE_TEXT, TYPE_DURATION, TYPE_TIME, TYPE_KIND, TYPE_STATUS } field_type;

/* ---- references ---- */

static const struct {
    const char *level, *name;
    filter_field field;
    field_type type;
} FIELDS[] = {
    {"span", "traceID", FILTER_TRACE_ID, TYPE_TEXT},
    {"span", "spanID", FILTER_SPAN_ID, TYPE_TEXT},
    {"span", "parentSpanID", FILTER_PARENT_ID, TYPE_TEXT},
    {"span", "traceState", FILTER_TRACE_STATE, TYPE_TEXT},
    {"span", "name", FILTER_NAME, TYPE_TEXT},
    {"span", "kind", FILTER_KIND, TYPE_KIND},
    {"span", "startTime", FILTER_START, TYPE_TIME},
    {"span", "status", FILTER_STATUS, TYPE_STATUS},
    {"span", "statusMessage", FILTER_STATUS_MESSAGE, TYPE_TEXT},
    {"span", "duration", FILTER_DURATION, TYPE_DURATION},
    {"resource", "service", FILTER_SERVICE, TYPE_TEXT},
    {"scope", "name", FILTER_SCOPE_NAME, TYPE_TEXT},
    {"scope", "version", FILTER_SCOPE_VERSION, TYPE_TEXT},
    {"event", "name", FILTER_EVENT_NAME, TYPE_TEXT},
    {"event", "timeSinceStart", FILTER_EVENT_SINCE_START, TYPE_DURATION},
    {"link", "traceID", FILTER_LINK_TRACE_ID, TYPE_TEXT},
    {"link", "spanID", FILTER_LINK_SPAN_ID, TYPE_TEXT},
};

static const struct {
    const char *name;
    unsigned place;
} LEVELS[] = {{"span", FILTER_SPAN},
              {"resource", FILTER_RESOURCE},
              {"scope", FILTER_SCOPE},
              {"event", FILTER_EVENT},
              {"link", FILTER_LINK}};

/* An operand as it stands on the wire. */
typedef enum term_kind {
    TERM_NONE,
    TERM_ATTRIBUTE,
    TERM_FIELD,
    TERM_NESTED,
    TERM_SCALAR,
    TERM_LIST,
    TERM_CALL
} term_kind;

enum { VALUES_MAX = 1024 };

typedef struct term {
    term_kind kind;
    sx_str message;     /* of the term */
    sx_str name, level; /* references: key or name */
    sx_str type;        /* constants */
    sx_str *values;     /* of a scalar one */
    uint32_t value_count;
} term;

static sx_status read_values(reading *in, term *t)
{
    const bool list = t->kind == TERM_LIST;
    sx_pb_reader r;
    size_t cap = 0;
    sx_pb_init(&r, t->message);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(2, SX_PB_BYTES)) {
            t->type = sx_pb_bytes(&r);
        } else if (r.tag == SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_str value = sx_pb_bytes(&r);
            if (!list)
                t->value_count = 0; /* given twice: the last counts */
            if (t->value_count == VALUES_MAX)
                return sx_fail(in->err, SX_ELIMIT, "a list has at most %d values", VALUES_MAX);
            if (!sx_arena_grow(in->arena, &t->values, &cap, t->value_count + 1, sizeof(sx_str)))
                return sx_fail_memory(in->err, "a filter");
            t->values[t->value_count++] = value;
        } else {
            sx_pb_skip(&r);
        }
    }
    if (!list && t->value_count == 0) { /* an empty text is not sent */
        if (!sx_arena_grow(in->arena, &t->values, &cap, 1, sizeof(sx_str)))
            return sx_fail_memory(in->err, "a filter");
        t->values[t->value_count++] = sx_str_of("", 0);
    }
    return sx_pb_status(&r, "filter", in->err);
}

static sx_status read_reference(reading *in, term *t)
{
    sx_pb_reader r;
    sx_pb_init(&r, t->message);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            t->name = sx_pb_bytes(&r);
        else if (r.tag == SX_PB_TAG(2, SX_PB_BYTES))
            t->level = sx_pb_bytes(&r);
        else
            sx_pb_skip(&r);
    }
    return sx_pb_status(&r, "filter", in->err);
}

static sx_status read_term(reading *in, sx_str message, term *t)
{
    sx_pb_reader r;
    *t = (term){.name = SX_STR_INIT(""), .level = SX_STR_INIT(""), .type = SX_STR_INIT("")};
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        uint32_t field = sx_pb_field(&r);
        if (field >= TERM_ATTRIBUTE && field <= TERM_CALL && sx_pb_wire_of(&r) == SX_PB_BYTES) {
            t->kind = (term_kind)field; /* the field's numbers are our kinds */
            t->message = sx_pb_bytes(&r);
        } else {
            sx_pb_skip(&r);
        }
    }
    sx_status status = sx_pb_status(&r, "filter", in->err);
    if (status != SX_OK)
        return status;
    switch (t->kind) {
    case TERM_NONE:
        return sx_fail(in->err, SX_EINVAL, "an argument of the filter holds no term");
    case TERM_SCALAR:
    case TERM_LIST:
        return read_values(in, t);
    case TERM_CALL:
        return SX_OK;
    default:
        return read_reference(in, t);
    }
}

/* ---- nodes ---- */

static span_filter *node(reading *in, filter_kind kind)
{
    span_filter *f =
        ++in->nodes > SPAN_FILTER_NODES_MAX ? NULL : sx_arena_calloc(in->arena, 1, sizeof(*f));
    if (f)
        f->kind = kind;
    else if (in->nodes > SPAN_FILTER_NODES_MAX)
        sx_fail(in->err, SX_ELIMIT, "a filter has at most %d parts", SPAN_FILTER_NODES_MAX);
    else
        sx_fail_memory(in->err, "a filter");
    return f;
}

static const span_filter *join(reading *in, filter_kind kind, const span_filter *const *parts,
                               uint32_t count)
{
    span_filter *f = node(in, kind);
    const span_filter **children = sx_arena_calloc(in->arena, count + 1, sizeof(*children));
    if (!f || !children) {
        if (f)
            sx_fail_memory(in->err, "a filter");
        return NULL;
    }
    memcpy(children, parts, count * sizeof(*children));
    f->children = children;
    f->child_count = count;
    return f;
}

/* A leaf on whatever the reference names; an attribute without a level is two of them. */
static const span_filter *leaf(reading *in, const span_filter *what)
{
    static const unsigned PLACES[] = {FILTER_SPAN, FILTER_RESOURCE};
    const span_filter *parts[SX_COUNT_OF(PLACES)];
    bool both = what->field == FILTER_ATTRIBUTE && what->place == FILTER_ANY;
    for (size_t i = 0; i < SX_COUNT_OF(PLACES); i++) {
        span_filter *f = node(in, FILTER_LEAF);
        if (!f)
            return NULL;
        *f = *what;
        f->kind = FILTER_LEAF;
        if (!both)
            return f;
        f->place = PLACES[i];
        parts[i] = f;
    }
    return join(in, FILTER_OR, parts, SX_COUNT_OF(PLACES));
}

/* Which field a reference names: field, place and key of *out. */
static sx_status resolve(reading *in, const term *t, span_filter *out, field_type *type)
{
    *out = (span_filter){0};
    *type = TYPE_TEXT;
    if (t->kind == TERM_ATTRIBUTE) {
        out->key = t->name;
        if (t->level.len == 0)
            return SX_OK;
        for (size_t i = 0; i < SX_COUNT_OF(LEVELS); i++)
            if (sx_str_eq(t->level, sx_str_z(LEVELS[i].name))) {
                out->place = LEVELS[i].place;
                return SX_OK;
            }
        return sx_fail(in->err, SX_EINVAL, "a filter names no level \"%.*s\"", SX_ARG(t->level));
    }
    for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++)
        if (sx_str_eq(t->level, sx_str_z(FIELDS[i].level)) &&
            sx_str_eq(t->name, sx_str_z(FIELDS[i].name))) {
            out->field = FIELDS[i].field;
            *type = FIELDS[i].type;
            return SX_OK;
        }
    return sx_fail(in->err, SX_EUNSUPPORTED, "the field %.*s.%.*s cannot be filtered by",
                   SX_ARG(t->level), SX_ARG(t->name));
}

/* ---- constants ---- */

static sx_status bad_value(reading *in, sx_str text, const char *what)
{
    return sx_fail(in->err, SX_EINVAL, "\"%.*s\" is no %s", SX_ARG(text), what);
}

static span_value text_value(sx_str s)
{
    return (span_value){.data = s.data, .len = (uint32_t)s.len, .type = SPAN_STR};
}

static bool number_value(sx_str text, bool whole, span_value *out)
{
    double d;
    int64_t i;
    if (jaeger_int(text, &i)) {
        *out = (span_value){.i = i, .type = SPAN_INT};
        return true;
    }
    if (whole || !sx_double_parse(text, &d))
        return false;
    *out = (span_value){.d = d, .type = SPAN_DOUBLE};
    return true;
}

static sx_status field_value(reading *in, field_type type, sx_str text, span_value *out)
{
    static const char *const STATUSES[] = {"unset", "ok", "error"};
    int64_t number;
    int kind;
    switch (type) {
    case TYPE_DURATION:
        if (go_duration_read(text, &number, in->err) != SX_OK)
            return SX_EINVAL;
        break;
    case TYPE_TIME:
        if (jaeger_time_read(text, &number, in->err) != SX_OK)
            return SX_EINVAL;
        break;
    case TYPE_KIND:
        if ((kind = jaeger_kind(text)) < 0)
            return bad_value(in, text, "span kind");
        number = kind;
        break;
    case TYPE_STATUS:
        for (number = 0; number < (int64_t)SX_COUNT_OF(STATUSES); number++)
            if (sx_str_ieq(text, sx_str_z(STATUSES[number])))
                break;
        if (number == (int64_t)SX_COUNT_OF(STATUSES))
            return bad_value(in, text, "span status");
        break;
    default:
        *out = text_value(text);
        return SX_OK;
    }
    *out = (span_value){.i = number, .type = SPAN_INT};
    return SX_OK;
}

/* A constant for an attribute. Without a type, equality is of texts and order of numbers if it is one. */
static sx_status attribute_value(reading *in, sx_str type, sx_str text, filter_op *op,
                                 span_value *out)
{
    bool truth;
    *out = text_value(text);
    if (type.len == 0) {
        if (*op == FILTER_EQ)
            *op = FILTER_TEXT;
        else if (*op != FILTER_MATCH)
            number_value(text, false, out);
        return SX_OK;
    }
    if (sx_str_eq(type, SX_STR("string")))
        return SX_OK;
    if (sx_str_eq(type, SX_STR("int")))
        return number_value(text, true, out) ? SX_OK : bad_value(in, text, "int");
    if (sx_str_eq(type, SX_STR("double")))
        return number_value(text, false, out) ? SX_OK : bad_value(in, text, "double");
    if (!sx_str_eq(type, SX_STR("bool")))
        return sx_fail(in->err, SX_EINVAL, "a filter's value has no type \"%.*s\"", SX_ARG(type));
    if (!jaeger_bool(text, &truth))
        return bad_value(in, text, "bool");
    *out = (span_value){.i = truth, .type = SPAN_BOOL};
    return SX_OK;
}

/* Anywhere in the value, though our leaves match the whole of it. */
static sx_status set_regex(reading *in, sx_str pattern, span_filter *f)
{
    jaeger_regexes *all = in->regexes;
    sx_str whole = sx_arena_printf(in->arena, ".*(?:%.*s).*", SX_ARG(pattern));
    sx_regex *re;
    if (!whole.data || !sx_grow(&all->items, &all->cap, all->count + 1, sizeof(*all->items)))
        return sx_fail_memory(in->err, "a filter");
    sx_status status = sx_regex_new(&re, whole, NULL, in->err);
    if (status != SX_OK)
        return SX_EINVAL;
    all->items[all->count++] = re;
    f->regex = re;
    f->value = text_value(whole);
    return SX_OK;
}

/* ---- predicates ---- */

static sx_status compare_one(reading *in, const term *ref, filter_op op, sx_str type, sx_str text,
                             const span_filter **out)
{
    span_filter f;
    field_type field;
    sx_status status = resolve(in, ref, &f, &field);
    if (status != SX_OK)
        return status;
    if (op == FILTER_MATCH) {
        if (field != TYPE_TEXT)
            return sx_fail(in->err, SX_EINVAL, "%.*s.%.*s holds no text to match",
                           SX_ARG(ref->level), SX_ARG(ref->name));
        status = set_regex(in, text, &f);
    } else if (f.field == FILTER_ATTRIBUTE) {
        status = attribute_value(in, type, text, &op, &f.value);
    } else {
        status = field_value(in, field, text, &f.value);
    }
    f.op = op;
    if (status != SX_OK)
        return status;
    *out = leaf(in, &f);
    return *out ? SX_OK : in->err->status;
}

/* The reference is there, and `match` does not hold. */
static sx_status none_of(reading *in, const term *ref, const span_filter *match,
                         const span_filter **out)
{
    span_filter there;
    field_type type;
    sx_status status = resolve(in, ref, &there, &type);
    if (status != SX_OK)
        return status;
    there.op = FILTER_EXISTS;
    const span_filter *parts[2] = {leaf(in, &there), join(in, FILTER_NOT, &match, 1)};
    *out = parts[0] && parts[1] ? join(in, FILTER_AND, parts, 2) : NULL;
    return *out ? SX_OK : in->err->status;
}

static bool is_reference(const term *t)
{
    return t->kind == TERM_ATTRIBUTE || t->kind == TERM_FIELD;
}

static filter_op turned(filter_op op)
{
    switch (op) {
    case FILTER_LT:
        return FILTER_GT;
    case FILTER_LE:
        return FILTER_GE;
    case FILTER_GT:
        return FILTER_LT;
    case FILTER_GE:
        return FILTER_LE;
    default:
        return op;
    }
}

static sx_status compare(reading *in, filter_op op, const term *args, const span_filter **out)
{
    const term *ref = &args[0], *value = &args[1];
    if (!is_reference(ref) && is_reference(value) && op != FILTER_MATCH) {
        ref = &args[1];
        value = &args[0];
        op = turned(op);
    }
    if (is_reference(ref) && is_reference(value))
        return sx_fail(in->err, SX_EUNSUPPORTED, "fields cannot be compared with each other");
    if (!is_reference(ref) || value->kind != TERM_SCALAR)
        return sx_fail(in->err, SX_EINVAL, "a comparison takes a reference and a scalar");
    const span_filter *match;
    sx_status status = compare_one(in, ref, op == FILTER_NE ? FILTER_EQ : op, value->type,
                                   value->values[0], op == FILTER_NE ? &match : out);
    return status == SX_OK && op == FILTER_NE ? none_of(in, ref, match, out) : status;
}

static sx_status membership(reading *in, bool negated, const term *args, const span_filter **out)
{
    const term *list = &args[1];
    sx_status status = SX_OK;
    if (!is_reference(&args[0]) || list->kind != TERM_LIST || list->value_count == 0)
        return sx_fail(in->err, SX_EINVAL, "in and not_in take a reference and a list of values");
    const span_filter **parts = sx_arena_calloc(in->arena, list->value_count, sizeof(*parts));
    if (!parts)
        return sx_fail_memory(in->err, "a filter");
    for (uint32_t i = 0; i < list->value_count && status == SX_OK; i++)
        status = compare_one(in, &args[0], FILTER_EQ, list->type, list->values[i], &parts[i]);
    if (status != SX_OK)
        return status;
    const span_filter *any = join(in, FILTER_OR, parts, list->value_count);
    if (!any)
        return in->err->status;
    if (negated)
        return none_of(in, &args[0], any, out);
    *out = any;
    return SX_OK;
}

static sx_status exists(reading *in, const term *args, const span_filter **out)
{
    span_filter f;
    field_type type;
    if (!is_reference(&args[0]))
        return sx_fail(in->err, SX_EINVAL, "exists takes a reference");
    sx_status status = resolve(in, &args[0], &f, &type);
    if (status != SX_OK)
        return status;
    f.op = FILTER_EXISTS;
    *out = leaf(in, &f);
    return *out ? SX_OK : in->err->status;
}

/* ---- calls ---- */

static sx_status read_call(reading *in, sx_str message, const span_filter **out);

static sx_status combine(reading *in, filter_kind kind, const term *args, uint32_t count,
                         const span_filter **out)
{
    sx_status status = SX_OK;
    const span_filter **parts = sx_arena_calloc(in->arena, count + 1, sizeof(*parts));
    if (!parts)
        return sx_fail_memory(in->err, "a filter");
    for (uint32_t i = 0; i < count && status == SX_OK; i++)
        status = args[i].kind == TERM_CALL
                     ? read_call(in, args[i].message, &parts[i])
                     : sx_fail(in->err, SX_EINVAL, "and, or and not take predicates");
    if (status != SX_OK)
        return status;
    *out = join(in, kind, parts, count);
    return *out ? SX_OK : in->err->status;
}

/* One predicate over events or links holds for one of them anyway. Several would have to hold for
 * the same one, which the store's filters cannot say. */
static sx_status some(reading *in, const term *args, const span_filter **out)
{
    if (args[0].kind != TERM_NESTED || args[1].kind != TERM_CALL)
        return sx_fail(in->err, SX_EINVAL, "some takes the events or links and a predicate");
    uint32_t nodes = in->nodes;
    sx_status status = read_call(in, args[1].message, out);
    if (status == SX_OK && in->nodes != nodes + 1)
        return sx_fail(in->err, SX_EUNSUPPORTED, "some is limited to one positive comparison");
    return status;
}

static const struct {
    const char *name;
    uint32_t args_min, args_max;
    enum { OP_COMBINE, OP_COMPARE, OP_IN, OP_NOT_IN, OP_EXISTS, OP_SOME } does;
    int with; /* filter_kind or filter_op */
} OPERATORS[] = {
    {"and", 1, ARGS_MAX, OP_COMBINE, FILTER_AND},
    {"or", 1, ARGS_MAX, OP_COMBINE, FILTER_OR},
    {"not", 1, 1, OP_COMBINE, FILTER_NOT},
    {"eq", 2, 2, OP_COMPARE, FILTER_EQ},
    {"ne", 2, 2, OP_COMPARE, FILTER_NE},
    {"gt", 2, 2, OP_COMPARE, FILTER_GT},
    {"lt", 2, 2, OP_COMPARE, FILTER_LT},
    {"gte", 2, 2, OP_COMPARE, FILTER_GE},
    {"lte", 2, 2, OP_COMPARE, FILTER_LE},
    {"regex", 2, 2, OP_COMPARE, FILTER_MATCH},
    {"exists", 1, 1, OP_EXISTS, 0},
    {"in", 2, 2, OP_IN, 0},
    {"not_in", 2, 2, OP_NOT_IN, 0},
    {"some", 2, 2, OP_SOME, 0},
};

static sx_status apply(reading *in, size_t op, const term *args, uint32_t count,
                       const span_filter **out)
{
    switch (OPERATORS[op].does) {
    case OP_COMBINE:
        return combine(in, (filter_kind)OPERATORS[op].with, args, count, out);
    case OP_COMPARE:
        return compare(in, (filter_op)OPERATORS[op].with, args, out);
    case OP_EXISTS:
        return exists(in, args, out);
    case OP_SOME:
        return some(in, args, out);
    default:
        return membership(in, OPERATORS[op].does == OP_NOT_IN, args, out);
    }
}

static sx_status read_args(reading *in, sx_str message, sx_str *op, term **args, uint32_t *count)
{
    sx_pb_reader r;
    size_t cap = 0;
    sx_status status = SX_OK;
    *op = sx_str_of("", 0);
    *args = NULL;
    *count = 0;
    sx_pb_init(&r, message);
    while (status == SX_OK && sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES)) {
            *op = sx_pb_bytes(&r);
        } else if (r.tag == SX_PB_TAG(2, SX_PB_BYTES)) {
            sx_str arg = sx_pb_bytes(&r);
            if (*count == ARGS_MAX)
                return sx_fail(in->err, SX_ELIMIT, "an operator takes at most %d arguments",
                               ARGS_MAX);
            if (!sx_arena_grow(in->arena, args, &cap, *count + 1, sizeof(term)))
                return sx_fail_memory(in->err, "a filter");
            status = read_term(in, arg, &(*args)[(*count)++]);
        } else {
            sx_pb_skip(&r);
        }
    }
    return status == SX_OK ? sx_pb_status(&r, "filter", in->err) : status;
}

static sx_status read_call(reading *in, sx_str message, const span_filter **out)
{
    sx_str op;
    term *args;
    uint32_t count;
    if (++in->depth > SPAN_FILTER_DEPTH_MAX / 4)
        return sx_fail(in->err, SX_ELIMIT, "a filter is at most %d calls deep",
                       SPAN_FILTER_DEPTH_MAX / 4);
    sx_status status = read_args(in, message, &op, &args, &count);
    if (status != SX_OK)
        return status;
    for (size_t i = 0; i < SX_COUNT_OF(OPERATORS); i++) {
        if (!sx_str_eq(op, sx_str_z(OPERATORS[i].name)))
            continue;
        if (count < OPERATORS[i].args_min || count > OPERATORS[i].args_max)
            return sx_fail(in->err, SX_EINVAL, "%s does not take %u arguments", OPERATORS[i].name,
                           count);
        status = apply(in, i, args, count, out);
        in->depth--;
        return status;
    }
    return sx_fail(in->err, SX_EINVAL, "a filter has no operator \"%.*s\"", SX_ARG(op));
}

sx_status jaeger_filter_read(sx_str call, sx_arena *arena, jaeger_regexes *regexes,
                             const span_filter **out, sx_error *err)
{
    sx_error own = {0}; /* some paths look at its status */
    reading in = {.arena = arena, .regexes = regexes, .err = err ? err : &own};
    *out = NULL;
    return read_call(&in, call, out);
}

void jaeger_regexes_done(jaeger_regexes *r)
{
    for (size_t i = 0; i < r->count; i++)
        sx_regex_free(r->items[i]);
    sx_free(r->items);
    *r = (jaeger_regexes){0};
}

/* ---- JSON ---- */

#define TEXT(json, no) {.name = SX_STR_INIT(json), .number = no, .kind = SX_OTLP_STRING}
#define PART(json, no, schema)                                                                     \
    {.name = SX_STR_INIT(json), .number = no, .kind = SX_OTLP_MESSAGE, .message = &(schema)}

static const sx_otlp_schema CALL; /* contains itself */

static const sx_otlp_field ATTRIBUTE_FIELDS[] = {TEXT("key", 1), TEXT("level", 2)};
static const sx_otlp_field FIELD_FIELDS[] = {TEXT("name", 1), TEXT("level", 2)};
static const sx_otlp_field NESTED_FIELDS[] = {TEXT("level", 1)};
static const sx_otlp_field SCALAR_FIELDS[] = {TEXT("value", 1), TEXT("type", 2)};
static const sx_otlp_field LIST_FIELDS[] = {
    {.name = SX_STR_INIT("values"), .number = 1, .kind = SX_OTLP_STRING, .repeated = true},
    TEXT("type", 2)};
static const sx_otlp_schema ATTRIBUTE = {"AttributeReference", ATTRIBUTE_FIELDS, 2},
                            FIELD = {"FieldReference", FIELD_FIELDS, 2},
                            NESTED = {"NestedReference", NESTED_FIELDS, 1},
                            SCALAR = {"Scalar", SCALAR_FIELDS, 2}, LIST = {"List", LIST_FIELDS, 2};
static const sx_otlp_field EXPRESSION_FIELDS[] = {
    PART("attr", 1, ATTRIBUTE), PART("field", 2, FIELD), PART("nested", 3, NESTED),
    PART("scalar", 4, SCALAR),  PART("list", 5, LIST),   PART("call", 6, CALL)};
static const sx_otlp_schema EXPRESSION = {"Expression", EXPRESSION_FIELDS,
                                          SX_COUNT_OF(EXPRESSION_FIELDS)};
static const sx_otlp_field CALL_FIELDS[] = {TEXT("op", 1),
                                            {.name = SX_STR_INIT("args"),
                                             .number = 2,
                                             .kind = SX_OTLP_MESSAGE,
                                             .repeated = true,
                                             .message = &EXPRESSION}};
static const sx_otlp_schema CALL = {"Call", CALL_FIELDS, SX_COUNT_OF(CALL_FIELDS)};

sx_status jaeger_filter_from_json(sx_str json, sx_arena *arena, sx_buf *out, sx_error *err)
{
    sx_json r;
    sx_json_init(&r, json, &(sx_json_options){.arena = arena});
    sx_status status = sx_otlp_json_read(&CALL, &r, out, err);
    return status == SX_OK ? sx_json_finish(&r, err) : status;
}

/* ---- capabilities ---- */

void jaeger_put_capabilities(sx_buf *out)
{
    size_t search = sx_pb_begin(out, 1);
    sx_pb_put_u64(out, 1, true); /* without_service_name */
    sx_pb_put_u64(out, 2, true); /* same_span_conjunction */
    size_t filter = sx_pb_begin(out, 3);
    for (size_t i = 0; i < SX_COUNT_OF(LEVELS); i++)
        sx_pb_put_str(out, 1, sx_str_z(LEVELS[i].name));
    for (size_t i = 0; i < SX_COUNT_OF(OPERATORS); i++)
        sx_pb_put_str(out, 2, sx_str_z(OPERATORS[i].name));
    sx_pb_end(out, filter);
    sx_pb_end(out, search);
}
