/* ottl_eval.c - values of paths and expressions, and how a path is set. */
#include "observe/collector/ottl_impl.h"

#include <math.h>

static bool fail(ottl_target *t, const char *what)
{
    sx_fail(t->err, SX_EINVAL, "OTTL: %s", what);
    return false;
}

static bool no_memory(ottl_target *t)
{
    sx_fail_memory(t->err, "a value of OTTL");
    return false;
}

static span_value of_int(int64_t i)
{
    return (span_value){.i = i, .type = SPAN_INT};
}

static span_value of_bool(bool truth)
{
    return (span_value){.i = truth, .type = SPAN_BOOL};
}

static span_value of_text(sx_str s)
{
    return (span_value){.data = s.data ? s.data : "", .len = (uint32_t)s.len, .type = SPAN_STR};
}

static span_value of_bytes(const void *bytes, uint32_t len)
{
    return (span_value){.data = bytes, .len = len, .type = SPAN_BYTES};
}

static bool hex_of(ottl_target *t, const uint8_t *bytes, uint32_t len, span_value *out)
{
    static const char DIGITS[] = "0123456789abcdef";
    char *text = sx_arena_alloc(t->arena, (size_t)len * 2);
    if (!text)
        return no_memory(t);
    for (uint32_t i = 0; i < len; i++) {
        text[2 * i] = DIGITS[bytes[i] >> 4];
        text[2 * i + 1] = DIGITS[bytes[i] & 15];
    }
    *out = of_text(sx_str_of(text, (size_t)len * 2));
    return true;
}

attr_edit *ottl_attrs(const ottl_node *path, ottl_target *t)
{
    switch (path->object) {
    case ON_RESOURCE:
        return &t->resource_attrs;
    case ON_SCOPE:
        return &t->scope_attrs;
    case ON_SPAN:
        return &t->attrs;
    case ON_EVENT:
        return &t->event_attrs;
    case ON_CACHE:
        break;
    }
    return &t->cache;
}

/* --- Reading. */

static bool read_span(const ottl_node *n, ottl_target *t, span_value *out)
{
    static const sx_str KINDS[] = {SX_STR_INIT("Unspecified"), SX_STR_INIT("Internal"),
                                   SX_STR_INIT("Server"),      SX_STR_INIT("Client"),
                                   SX_STR_INIT("Producer"),    SX_STR_INIT("Consumer")};
    const span *s = t->span;
    switch (n->field) {
    case F_NAME:
        *out = of_text(s->name);
        return true;
    case F_KIND:
        *out = of_int(s->kind);
        return true;
    case F_KIND_STRING:
        *out = of_text(KINDS[s->kind < SX_COUNT_OF(KINDS) ? s->kind : 0]);
        return true;
    case F_STATUS_CODE:
        *out = of_int(s->status);
        return true;
    case F_STATUS_MESSAGE:
        *out = of_text(s->status_message);
        return true;
    case F_TRACE_ID:
        *out = of_bytes(s->trace_id, 16);
        return true;
    case F_TRACE_ID_STRING:
        return hex_of(t, s->trace_id, 16, out);
    case F_SPAN_ID:
        *out = of_bytes(s->id, 8);
        return true;
    case F_SPAN_ID_STRING:
        return hex_of(t, s->id, 8, out);
    case F_PARENT:
        *out = of_bytes(s->parent, 8);
        return true;
    case F_PARENT_STRING:
        return hex_of(t, s->parent, 8, out);
    case F_TRACE_STATE:
        *out = of_text(s->trace_state);
        return true;
    case F_START:
        *out = of_int((int64_t)s->start_ns);
        return true;
    case F_END:
        *out = of_int((int64_t)s->end_ns);
        return true;
    case F_FLAGS:
        *out = of_int(s->flags);
        return true;
    case F_DROPPED_ATTRIBUTES:
        *out = of_int(s->attrs.dropped);
        return true;
    case F_DROPPED_EVENTS:
        *out = of_int(s->dropped_events);
        return true;
    case F_DROPPED_LINKS:
        *out = of_int(s->dropped_links);
        return true;
    default:
        return fail(t, "no such field of a span");
    }
}

static bool read_path(const ottl_node *n, ottl_target *t, span_value *out)
{
    if (n->field == F_ATTRIBUTES) {
        const attr_edit *e = ottl_attrs(n, t);
        *out = (span_value){.members = attr_edit_items(e), .len = e->count, .type = SPAN_MAP};
        return true;
    }
    switch (n->object) {
    case ON_SPAN:
        return read_span(n, t, out);
    case ON_RESOURCE:
        *out = n->field == F_SCHEMA_URL ? of_text(t->resource->schema_url)
                                        : of_int(t->resource->attrs.dropped);
        return true;
    case ON_SCOPE:
        *out = of_text(n->field == F_NAME      ? t->scope->name
                       : n->field == F_VERSION ? t->scope->version
                                               : t->scope->schema_url);
        return true;
    case ON_EVENT:
        *out = n->field == F_NAME          ? of_text(t->event->name)
               : n->field == F_TIME        ? of_int((int64_t)t->event->time_ns)
               : n->field == F_EVENT_INDEX ? of_int(t->event_index)
                                           : of_int(t->event->attrs.dropped);
        return true;
    case ON_CACHE:
        break;
    }
    return fail(t, "no such path");
}

static bool read_index(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value from, key;
    if (!ottl_eval(n->children[0], t, &from) || !ottl_eval(n->children[1], t, &key))
        return false;
    *out = (span_value){.type = SPAN_EMPTY};
    if (from.type == SPAN_MAP && key.type == SPAN_STR) {
        const span_value *v = span_attrs_find(
            (span_attrs){.items = from.members, .count = from.len}, span_value_str(&key));
        if (v)
            *out = *v;
        return true;
    }
    if (from.type == SPAN_LIST && key.type == SPAN_INT) {
        if (key.i < 0 || key.i >= (int64_t)from.len)
            return fail(t, "an index beyond the list");
        *out = from.items[key.i];
        return true;
    }
    return from.type == SPAN_EMPTY ? true : fail(t, "only maps and lists have members");
}

/* --- Expressions. */

static bool is_number(const span_value *v)
{
    return v->type == SPAN_INT || v->type == SPAN_DOUBLE;
}

static double number_of(const span_value *v)
{
    return v->type == SPAN_INT ? (double)v->i : v->d;
}

static bool by_order(int op, int order)
{
    switch ((ottl_operator)op) {
    case OTTL_EQ:
        return order == 0;
    case OTTL_NE:
        return order != 0;
    case OTTL_LT:
        return order < 0;
    case OTTL_LE:
        return order <= 0;
    case OTTL_GT:
        return order > 0;
    case OTTL_GE:
        return order >= 0;
    }
    return false;
}

/* Values of different types differ and have no order; numbers are one type. */
static bool compare(int op, const span_value *a, const span_value *b)
{
    if (is_number(a) && is_number(b)) {
        if (a->type == SPAN_INT && b->type == SPAN_INT)
            return by_order(op, a->i < b->i ? -1 : a->i > b->i);
        double x = number_of(a), y = number_of(b);
        if (isnan(x) || isnan(y))
            return op == OTTL_NE;
        return by_order(op, x < y ? -1 : x > y);
    }
    if (a->type != b->type)
        return op == OTTL_NE;
    if (a->type == SPAN_STR || a->type == SPAN_BYTES)
        return by_order(op, sx_str_cmp(span_value_str(a), span_value_str(b)));
    if (a->type == SPAN_BOOL)
        return by_order(op, (int)(a->i - b->i));
    bool same = span_value_eq(a, b);
    return op == OTTL_NE ? !same : same && (op == OTTL_EQ || op == OTTL_LE || op == OTTL_GE);
}

static bool calculate(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value a, b;
    if (!ottl_eval(n->children[0], t, &a) || !ottl_eval(n->children[1], t, &b))
        return false;
    if (!is_number(&a) || !is_number(&b))
        return fail(t, "only numbers can be calculated with");
    if (a.type == SPAN_INT && b.type == SPAN_INT) {
        if (n->op == '/' && (b.i == 0 || (a.i == INT64_MIN && b.i == -1)))
            return fail(t, "division by zero");
        uint64_t x = (uint64_t)a.i, y = (uint64_t)b.i; /* wraps, as Go's */
        *out = of_int(n->op == '+'   ? (int64_t)(x + y)
                      : n->op == '-' ? (int64_t)(x - y)
                      : n->op == '*' ? (int64_t)(x * y)
                                     : a.i / b.i);
        return true;
    }
    double x = number_of(&a), y = number_of(&b);
    *out = (span_value){.d = n->op == '+'   ? x + y
                             : n->op == '-' ? x - y
                             : n->op == '*' ? x * y
                                            : x / y,
                        .type = SPAN_DOUBLE};
    return true;
}

static bool truth_of(const ottl_node *n, ottl_target *t, bool *out)
{
    span_value v;
    if (!ottl_eval(n, t, &v))
        return false;
    if (v.type != SPAN_BOOL)
        return fail(t, "a condition is neither true nor false");
    *out = v.i != 0;
    return true;
}

static bool list_of(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value *items = sx_arena_calloc(t->arena, n->count + 1, sizeof(*items));
    if (!items)
        return no_memory(t);
    for (uint32_t i = 0; i < n->count; i++)
        if (!ottl_eval(n->children[i], t, &items[i]))
            return false;
    *out = (span_value){.items = items, .len = n->count, .type = SPAN_LIST};
    return true;
}

/* Depth is that of the tree, which the parser bounds. */
bool ottl_eval(const ottl_node *n, ottl_target *t, span_value *out)
{
    bool left = false, right = false;
    span_value a, b;
    switch (n->kind) {
    case OTTL_LITERAL:
        *out = n->value;
        return true;
    case OTTL_LIST:
        return list_of(n, t, out);
    case OTTL_PATH:
        return read_path(n, t, out);
    case OTTL_INDEX:
        return read_index(n, t, out);
    case OTTL_CALL:
        return n->function->call(n, t, out);
    case OTTL_MATH:
        return calculate(n, t, out);
    case OTTL_COMPARE:
        if (!ottl_eval(n->children[0], t, &a) || !ottl_eval(n->children[1], t, &b))
            return false;
        *out = of_bool(compare(n->op, &a, &b));
        return true;
    case OTTL_NOT:
        if (!truth_of(n->children[0], t, &left))
            return false;
        *out = of_bool(!left);
        return true;
    case OTTL_AND:
    case OTTL_OR:
        if (!truth_of(n->children[0], t, &left))
            return false;
        right = left;
        if (left == (n->kind == OTTL_AND) && !truth_of(n->children[1], t, &right))
            return false;
        *out = of_bool(right);
        return true;
    case OTTL_STATEMENT:
        break;
    }
    return fail(t, "a statement is no value");
}

/* --- Setting. */

static bool want(ottl_target *t, const span_value *v, span_type type)
{
    return v->type == (uint32_t)type ? true : fail(t, "the field takes a value of another type");
}

static bool set_id(ottl_target *t, uint8_t *id, uint32_t len, const span_value *v)
{
    if (v->type != SPAN_BYTES || v->len != len)
        return fail(t, "an id takes bytes of its length");
    memcpy(id, v->data, len);
    return true;
}

static bool set_span(const ottl_node *n, ottl_target *t, const span_value *v)
{
    span *s = t->span;
    t->span_changed = true;
    switch (n->field) {
    case F_NAME:
        s->name = span_value_str(v);
        return want(t, v, SPAN_STR);
    case F_STATUS_MESSAGE:
        s->status_message = span_value_str(v);
        return want(t, v, SPAN_STR);
    case F_TRACE_STATE:
        s->trace_state = span_value_str(v);
        return want(t, v, SPAN_STR);
    case F_TRACE_ID:
        return set_id(t, s->trace_id, 16, v);
    case F_SPAN_ID:
        return set_id(t, s->id, 8, v);
    case F_PARENT:
        return set_id(t, s->parent, 8, v);
    default:
        break;
    }
    if (!want(t, v, SPAN_INT))
        return false;
    switch (n->field) {
    case F_KIND:
        s->kind = v->i >= 0 && v->i <= SPAN_CONSUMER ? (uint8_t)v->i : SPAN_UNSPECIFIED;
        return true;
    case F_STATUS_CODE:
        s->status = v->i >= 0 && v->i <= SPAN_ERROR ? (uint8_t)v->i : SPAN_UNSET;
        return true;
    case F_START:
        s->start_ns = (uint64_t)v->i;
        return true;
    case F_END:
        s->end_ns = (uint64_t)v->i;
        return true;
    case F_FLAGS:
        s->flags = (uint32_t)v->i;
        return true;
    case F_DROPPED_EVENTS:
        s->dropped_events = (uint32_t)v->i;
        return true;
    case F_DROPPED_LINKS:
        s->dropped_links = (uint32_t)v->i;
        return true;
    default:
        return fail(t, "the field cannot be set");
    }
}

static bool set_whole(attr_edit *e, ottl_target *t, const span_value *v)
{
    if (!want(t, v, SPAN_MAP))
        return false;
    span_attr *copy = sx_arena_calloc(t->arena, v->len + 1, sizeof(*copy)); /* may be e's own */
    if (!copy)
        return no_memory(t);
    if (v->len)
        memcpy(copy, v->members, v->len * sizeof(*copy));
    while (e->count)
        attr_edit_remove(e, e->count - 1);
    for (uint32_t i = 0; i < v->len; i++)
        attr_edit_set(e, span_attr_key(&copy[i]), &copy[i].value);
    return !e->failed || no_memory(t);
}

bool ottl_set(const ottl_node *path, ottl_target *t, const span_value *v)
{
    if (path->kind == OTTL_INDEX) {
        attr_edit *e = ottl_attrs(path->children[0], t);
        span_value key;
        if (!ottl_eval(path->children[1], t, &key) || !want(t, &key, SPAN_STR))
            return false;
        attr_edit_set(e, span_value_str(&key), v);
        return !e->failed || no_memory(t);
    }
    if (path->field == F_ATTRIBUTES)
        return set_whole(ottl_attrs(path, t), t, v);
    switch (path->object) {
    case ON_SPAN:
        return set_span(path, t, v);
    case ON_SCOPE:
        t->scope_changed = true;
        *(path->field == F_NAME      ? &t->scope->name
          : path->field == F_VERSION ? &t->scope->version
                                     : &t->scope->schema_url) = span_value_str(v);
        return want(t, v, SPAN_STR);
    case ON_RESOURCE:
        if (path->field != F_SCHEMA_URL)
            break;
        t->resource_changed = true;
        t->resource->schema_url = span_value_str(v);
        return want(t, v, SPAN_STR);
    case ON_EVENT:
        t->event_changed = true;
        if (path->field == F_NAME) {
            t->event->name = span_value_str(v);
            return want(t, v, SPAN_STR);
        }
        if (path->field != F_TIME)
            break;
        t->event->time_ns = (uint64_t)v->i;
        return want(t, v, SPAN_INT);
    case ON_CACHE:
        break;
    }
    return fail(t, "the field cannot be set");
}

/* --- From outside. */

sx_status ottl_test(const ottl_node *condition, ottl_target *t, bool *out)
{
    sx_error own = {0};
    if (!t->err)
        t->err = &own;
    bool good = truth_of(condition, t, out);
    sx_status st = good ? SX_OK : t->err->status;
    if (t->err == &own)
        t->err = NULL;
    return st;
}

sx_status ottl_run(const ottl_node *statement, ottl_target *t)
{
    bool holds = true;
    span_value nothing;
    if (statement->children[1]) {
        sx_status st = ottl_test(statement->children[1], t, &holds);
        if (st != SX_OK)
            return st;
    }
    if (!holds)
        return SX_OK;
    return ottl_eval(statement->children[0], t, &nothing) ? SX_OK : t->err->status;
}

void ottl_look(ottl_target *t, const span *s, span *space, sx_arena *arena, sx_error *err)
{
    *space = *s;
    *t = (ottl_target){.arena = arena, .span = space, .err = err};
    t->resource = (span_resource *)(uintptr_t)s->resource; /* conditions change nothing */
    t->scope = (span_scope *)(uintptr_t)s->scope;
    attr_edit_init(&t->attrs, s->attrs, arena);
    attr_edit_init(&t->resource_attrs, s->resource->attrs, arena);
    attr_edit_init(&t->scope_attrs, s->scope->attrs, arena);
    attr_edit_init(&t->cache, (span_attrs){0}, arena);
}
