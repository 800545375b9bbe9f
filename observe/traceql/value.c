/* value.c - literals and values of fields: which types an operator takes, and what it gives. */
#include <math.h>

#include "observe/traceql/ast.h"

tq_type tq_source_type(tq_source s)
{
    switch (s) {
    case TQ_SPAN_DURATION:
    case TQ_TRACE_DURATION:
    case TQ_EVENT_SINCE_START:
        return TQ_DURATION;
    case TQ_SPAN_CHILDREN:
    case TQ_NESTED_LEFT:
    case TQ_NESTED_RIGHT:
    case TQ_NESTED_PARENT:
        return TQ_INT;
    case TQ_SPAN_STATUS:
        return TQ_STATUS;
    case TQ_SPAN_KIND:
        return TQ_KIND;
    case TQ_SPAN_NAME:
    case TQ_SPAN_STATUS_MESSAGE:
    case TQ_SPAN_ID:
    case TQ_SPAN_PARENT_ID:
    case TQ_TRACE_ID:
    case TQ_TRACE_ROOT_NAME:
    case TQ_TRACE_ROOT_SERVICE:
    case TQ_EVENT_NAME:
    case TQ_LINK_TRACE_ID:
    case TQ_LINK_SPAN_ID:
    case TQ_SCOPE_NAME:
    case TQ_SCOPE_VERSION:
        return TQ_STR;
    default:
        return TQ_ANY;
    }
}

bool tq_types_match(tq_type a, tq_type b)
{
    return a == TQ_ANY || b == TQ_ANY || a == b || (tq_is_number(a) && tq_is_number(b)) ||
           a == TQ_NIL || b == TQ_NIL;
}

static bool op_takes(tq_op op, tq_type t)
{
    switch (t) {
    case TQ_ANY:
        return true;
    case TQ_BOOL:
        return op == TQ_AND || op == TQ_OR || op == TQ_EQ || op == TQ_NE;
    case TQ_INT:
    case TQ_FLOAT:
    case TQ_DURATION:
        return op >= TQ_ADD && op <= TQ_GE;
    case TQ_STR:
        return op >= TQ_EQ && op <= TQ_NOT_MATCH;
    case TQ_NIL:
    case TQ_STATUS:
    case TQ_KIND:
        return op == TQ_EQ || op == TQ_NE;
    }
    return false;
}

bool tq_op_takes(tq_op op, tq_type a, tq_type b)
{
    return op_takes(op, a) && op_takes(op, b);
}

double tq_number(const tq_value *v)
{
    switch (v->type) {
    case TQ_INT:
    case TQ_DURATION:
        return (double)v->i;
    case TQ_FLOAT:
        return v->d;
    default:
        return NAN;
    }
}

static tq_value of_bool(bool b)
{
    return (tq_value){.type = TQ_BOOL, .i = b};
}

static tq_value of_int(int64_t i)
{
    return (tq_value){.type = TQ_INT, .i = i};
}

static tq_value of_float(double d)
{
    return (tq_value){.type = TQ_FLOAT, .d = d};
}

static bool by_order(tq_op op, int order)
{
    switch (op) {
    case TQ_LT:
        return order < 0;
    case TQ_LE:
        return order <= 0;
    case TQ_GT:
        return order > 0;
    case TQ_GE:
        return order >= 0;
    case TQ_EQ:
        return order == 0;
    default:
        return order != 0;
    }
}

/* A double held at the bounds of int64. */
static int64_t to_int(double d)
{
    if (isnan(d))
        return 0;
    return d >= 0x1p63 ? INT64_MAX : d < -0x1p63 ? INT64_MIN : (int64_t)d;
}

static tq_value of_ints(tq_op op, int64_t a, int64_t b)
{
    switch (op) {
    case TQ_ADD:
        return of_int((int64_t)((uint64_t)a + (uint64_t)b));
    case TQ_SUB:
        return of_int((int64_t)((uint64_t)a - (uint64_t)b));
    case TQ_MUL:
        return of_int((int64_t)((uint64_t)a * (uint64_t)b));
    case TQ_DIV:
        if (!b)
            return (tq_value){.type = TQ_NIL};
        return of_int(b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b);
    case TQ_MOD:
        if (!b)
            return (tq_value){.type = TQ_NIL};
        return of_int(b == -1 ? 0 : a % b);
    case TQ_POW:
        return of_int(to_int(pow((double)a, (double)b)));
    default:
        return of_bool(by_order(op, (a > b) - (a < b)));
    }
}

/* An integer against a double exactly: -1, 0, 1; 2 with NaN. */
static int order_int_double(int64_t i, double d)
{
    if (isnan(d))
        return 2;
    if (d >= 0x1p63)
        return -1;
    if (d < -0x1p63)
        return 1;
    double whole = trunc(d);
    int64_t t = (int64_t)whole;
    if (i != t)
        return i < t ? -1 : 1;
    return d > whole ? -1 : d < whole ? 1 : 0;
}

static int order_numbers(const tq_value *a, const tq_value *b)
{
    if (a->type != TQ_FLOAT && b->type != TQ_FLOAT)
        return (a->i > b->i) - (a->i < b->i);
    if (a->type != TQ_FLOAT)
        return order_int_double(a->i, b->d);
    if (b->type != TQ_FLOAT) {
        int order = order_int_double(b->i, a->d);
        return order == 2 ? 2 : -order;
    }
    return isnan(a->d) || isnan(b->d) ? 2 : (a->d > b->d) - (a->d < b->d);
}

static tq_value of_numbers(tq_op op, const tq_value *a, const tq_value *b)
{
    if (a->type == TQ_INT && b->type == TQ_INT)
        return of_ints(op, a->i, b->i);
    if (op >= TQ_EQ) {
        int order = order_numbers(a, b);
        return of_bool(order == 2 ? op == TQ_NE : by_order(op, order));
    }
    double x = tq_number(a), y = tq_number(b);
    switch (op) {
    case TQ_ADD:
        return of_float(x + y);
    case TQ_SUB:
        return of_float(x - y);
    case TQ_MUL:
        return of_float(x * y);
    case TQ_DIV:
        return of_float(x / y);
    case TQ_MOD:
        return of_float(fmod(x, y));
    default:
        return of_float(pow(x, y));
    }
}

tq_value tq_binary(tq_op op, const tq_value *a, const tq_value *b, const sx_regex *regex)
{
    if (op == TQ_AND || op == TQ_OR) { /* what is no boolean counts as false */
        bool x = a->type == TQ_BOOL && a->i, y = b->type == TQ_BOOL && b->i;
        return of_bool(op == TQ_AND ? x && y : x || y);
    }
    /* A field that is not there passes no comparison, != neither; nor does a list or a map (ANY). */
    if (a->type == TQ_ANY || b->type == TQ_ANY || a->type == TQ_NIL || b->type == TQ_NIL ||
        !tq_types_match(a->type, b->type) || !tq_op_takes(op, a->type, b->type))
        return tq_is_test(op) ? of_bool(false) : (tq_value){.type = TQ_NIL};
    if (tq_is_number(a->type))
        return of_numbers(op, a, b);
    if (a->type == TQ_STR) {
        if (op == TQ_MATCH || op == TQ_NOT_MATCH)
            return of_bool(regex && sx_regex_match(regex, a->s) == (op == TQ_MATCH));
        return of_bool(by_order(op, sx_str_cmp(a->s, b->s)));
    }
    return of_bool(by_order(op, a->i != b->i));
}

tq_value tq_unary(tq_op op, const tq_value *a)
{
    tq_value v = *a;
    switch (op) {
    case TQ_NOT:
        return a->type == TQ_BOOL ? of_bool(!a->i) : (tq_value){.type = TQ_NIL};
    case TQ_EXISTS:
        return of_bool(a->type != TQ_NIL);
    case TQ_ABSENT:
        return of_bool(a->type == TQ_NIL);
    default:
        if (!tq_is_number(a->type))
            return (tq_value){.type = TQ_NIL};
        if (a->type == TQ_FLOAT)
            v.d = -v.d;
        else
            v.i = (int64_t)(0 - (uint64_t)v.i);
        return v;
    }
}

int tq_compare(const tq_value *a, const tq_value *b)
{
    if (tq_is_number(a->type) && tq_is_number(b->type)) {
        int order = order_numbers(a, b);
        if (order != 2)
            return order;
        /* NaN before all numbers */
        bool nan_a = a->type == TQ_FLOAT && isnan(a->d), nan_b = b->type == TQ_FLOAT && isnan(b->d);
        return (int)nan_b - (int)nan_a;
    }
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    if (a->type == TQ_STR)
        return sx_str_cmp(a->s, b->s);
    if (a->type == TQ_NIL)
        return 0;
    return (a->i > b->i) - (a->i < b->i);
}
